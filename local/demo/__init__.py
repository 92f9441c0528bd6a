"""The demo: a week of nights in a simulated account, and what there is to recover from after it.

`week` lets the days pass, `timeline` tells them from what the system published, and each capability
adds what happens to it (`backups_story`), what its state is (`backups_state`), and how that is
shown (`backups_view`).
"""
