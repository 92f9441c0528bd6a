"""Work that outlives the Lambda that moves it: a table of steps, a stored record, and `advance`.

`record.py` is what is stored, `engine.py` what moves it, `sweep.py` what wakes it again.
"""
