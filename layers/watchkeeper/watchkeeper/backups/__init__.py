"""Backups of EC2 instances and volumes: which recovery points are made, which are kept and why.

What decides is pure and says why; what acts is apart from it:

    taking     take.py → steps.py           decided by due.py (which nights) and rules.py
    removing   expire.py → expire_steps.py  decided by removal.py, for each source by retention.py
    both       model.py (records), ec2.py (what a recovery point of EC2 is made of)
"""
