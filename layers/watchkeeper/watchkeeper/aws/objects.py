"""S3: the documents beside recovery points, written once and read back."""

from functools import cached_property
from typing import Any

from watchkeeper import naming
from watchkeeper.aws.client import client
from watchkeeper.aws.errors import AlreadyThere, translated
from watchkeeper.aws.iam import needs


class ManifestReader:
    """Reads what was written; it can write nothing."""

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket

    @cached_property
    def client(self) -> Any:
        return client("s3")

    @needs("s3:GetObject", "s3:ListBucket")
    def read(self, point_id: str) -> bytes:
        """Raises NotThere if there is none.

        S3 says so only to who may list the bucket, and denies access to everybody else:
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
        """
        key = naming.manifest_key(point_id)
        with translated("s3:GetObject"):
            answer = self.client.get_object(Bucket=self.bucket, Key=key)
            document: bytes = answer["Body"].read()
        return document


class Manifests(ManifestReader):
    """Writes documents, each once; it can change and remove none."""

    @needs("s3:PutObject")
    def write(self, point_id: str, document: bytes) -> bytes:
        """What is stored there now: `document`, or what an earlier attempt wrote."""
        try:
            with translated("s3:PutObject"):
                self.client.put_object(
                    Bucket=self.bucket,
                    Key=naming.manifest_key(point_id),
                    Body=document,
                    ContentType="application/json",
                    # A bucket with Object Lock takes nothing without a checksum. Of this kind S3
                    # then holds the same digest as the catalogue.
                    ChecksumAlgorithm="SHA256",
                    IfNoneMatch="*",
                )
        except AlreadyThere:
            return self.read(point_id)
        return document
