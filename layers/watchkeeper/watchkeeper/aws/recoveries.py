"""S3: how recoveries went, each written down once."""

from contextlib import suppress
from functools import cached_property
from typing import Any

from watchkeeper import naming
from watchkeeper.aws.client import client
from watchkeeper.aws.errors import AlreadyThere, translated
from watchkeeper.aws.iam import needs


class Recoveries:
    """Writes documents, each once; it can change and remove none."""

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket

    @cached_property
    def client(self) -> Any:
        return client("s3")

    @needs("s3:PutObject")
    def write(self, name: str, document: bytes) -> None:
        """The first one stays."""
        with suppress(AlreadyThere), translated("s3:PutObject"):
            self.client.put_object(
                Bucket=self.bucket,
                Key=naming.recovery_key(name),
                Body=document,
                ContentType="application/json",
                # A bucket with Object Lock takes nothing without a checksum.
                ChecksumAlgorithm="SHA256",
                IfNoneMatch="*",
            )
