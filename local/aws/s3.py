"""S3 as AWS documents it, where moto reads half of a policy and half of a lock.

`install(cloud)` patches moto's classes until `cloud.stack` closes. What it corrects:

- moto judges requests by a bucket's policy and ignores the policy's conditions, so that a bucket
  which refuses access without TLS refuses everybody. In the box roles are judged by `local.iam`;
- moto cannot put an object into a bucket whose default retention is given in days or in years: it
  adds both.
"""

from __future__ import annotations

from datetime import timedelta

from moto.s3.models import FakeBucket

from local.aws.ebs import Box
from local.replacing import replace


def install(cloud: Box) -> None:
    """Make moto's S3 behave like this until `cloud.stack` closes."""

    def nothing_is_said(bucket: FakeBucket, action: str, resource: str) -> None:
        return None

    def retained_until(bucket: FakeBucket) -> str:
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_DefaultRetention.html
        days = (bucket.default_lock_days or 0) + 365 * (bucket.default_lock_years or 0)
        return (cloud.clock.now() + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")

    replace(cloud.stack, FakeBucket, "get_permission", nothing_is_said)
    replace(cloud.stack, FakeBucket, "default_retention", retained_until)
