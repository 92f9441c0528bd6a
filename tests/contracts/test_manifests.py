"""What backups rely on, of the documents beside recovery points: written once, never again."""

import base64
from datetime import timedelta

import boto3
import pytest

from watchkeeper import naming
from watchkeeper.aws.errors import NotThere
from watchkeeper.aws.objects import ManifestReader, Manifests
from watchkeeper.backups.manifest import digest

POINT = "3f9d1c0a7be24856"
KEY = naming.manifest_key(POINT)


@pytest.fixture
def manifests(bucket: str) -> Manifests:
    return Manifests(bucket)


def versions(bucket: str) -> int:
    return len(boto3.client("s3").list_object_versions(Bucket=bucket).get("Versions", []))


def test_what_is_written_is_read_back(manifests: Manifests) -> None:
    assert manifests.write(POINT, b'{"n": 1}') == b'{"n": 1}'

    assert ManifestReader(manifests.bucket).read(POINT) == b'{"n": 1}'
    found = boto3.client("s3").head_object(Bucket=manifests.bucket, Key=KEY, ChecksumMode="ENABLED")
    assert found["ContentType"] == "application/json"
    assert base64.b64decode(found["ChecksumSHA256"]).hex() == digest(b'{"n": 1}')


def test_who_comes_second_reads_what_the_first_wrote(manifests: Manifests) -> None:
    manifests.write(POINT, b'{"n": 1}')

    assert manifests.write(POINT, b'{"n": 2}') == b'{"n": 1}'

    assert manifests.read(POINT) == b'{"n": 1}'
    assert versions(manifests.bucket) == 1


def test_points_have_a_document_each(manifests: Manifests) -> None:
    manifests.write(POINT, b"{}")

    with pytest.raises(NotThere, match="NoSuchKey"):
        manifests.read(POINT[::-1])
    assert manifests.write(POINT[::-1], b"[]") == b"[]"
    assert versions(manifests.bucket) == 2


def test_a_document_is_kept_from_its_first_moment(manifests: Manifests) -> None:
    """As the bucket's default retention has it: an upload need not ask for it."""
    manifests.write(POINT, b"{}")

    found = boto3.client("s3").head_object(Bucket=manifests.bucket, Key=KEY)
    kept = found["ObjectLockRetainUntilDate"] - found["LastModified"]
    assert found["ObjectLockMode"] == "GOVERNANCE"
    assert abs(kept - timedelta(days=1)) < timedelta(minutes=1)
