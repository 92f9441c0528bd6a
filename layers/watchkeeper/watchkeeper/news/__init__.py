"""Every message that we publish.

Machines read `NewsTopic`, people read `PagesTopic`. A message is a key and a version: whoever acts
on it reads the record again, consistently, and ignores a version older than the one it acted on,
because SNS repeats and reorders.
"""
