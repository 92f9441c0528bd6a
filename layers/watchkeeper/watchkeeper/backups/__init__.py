"""Backups of EC2 instances and volumes: which recovery points are made, which are kept and why.

Decisions are pure and live apart from the calls that carry them out: given the recovery points of
a source and the operator's policy, `retention` says what stays, what goes and what cannot go yet,
each with a sentence that an operator can read.
"""
