"""Every call to AWS, and nothing else: the only importers of boto3.

Each method names the IAM actions that it needs.
"""
