"""Drills: recovery points are restored on a schedule, compared with what they should hold, and torn
down again. What passed, how long it took and how old its data was is kept as evidence.
"""
