"""Watchkeeper: the runbook that runs itself.

One package per capability (`backups/`, …), each with the same few files: `model.py` holds its
records, `rules.py` decides and says why, `steps.py` acts, and one file per kind of resource. Around
them: `runs/` moves long work along, `news/` is what we publish, `triggers.py` what we accept,
`aws/` the only importer of boto3.
"""

import gc

# A handler's imports make some 80,000 objects that live as long as the process. With Python's own
# threshold of 700 the collector walks all of them again and again meanwhile: 30 ms of a cold start.
gc.set_threshold(50_000)
