"""Watchkeeper: the runbook that runs itself.

One package per capability (`backups/`, …), each with the same few files: `model.py` holds its
records, `rules.py` decides and says why, `steps.py` acts, and one file per kind of resource. Around
them: `runs/` moves long work along, `news/` is what we publish, `triggers.py` what we accept,
`aws/` the only importer of boto3.
"""
