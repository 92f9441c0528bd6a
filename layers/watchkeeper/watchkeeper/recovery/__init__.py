"""Recovery in earnest: a person asks, and something is restored beside its original, under a name
of its own, with the settings put back. What remains to be done by hand is told; nothing is removed.
"""
