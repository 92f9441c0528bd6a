"""S3: chains of evidence under Object Lock, one per resource.

A key can be written again, or be hidden by a delete marker, by who has the right to; what was
written first under it stays beneath, locked. So it is versions that are listed and read, and the
first one of each key is the document.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import groupby
from typing import Any

from watchkeeper import naming
from watchkeeper.aws.client import client
from watchkeeper.aws.errors import AlreadyThere, Throttled, translated
from watchkeeper.aws.iam import needs
from watchkeeper.drills.chain import Link
from watchkeeper.drills.evidence import BadEvidence, digest

# S3 stamps objects with its own clock, cut to seconds; ours is some other machine's.
CLOCKS_APART = timedelta(minutes=1)

# Somebody else appended first, each time: one resource has a handful of drills a day.
ATTEMPTS = 5


@dataclass(frozen=True)
class Stored:
    """A document of a chain, as S3 lists it."""

    chain: str
    """The short id of its resource."""
    sequence: int
    key: str
    version: str
    """Of the object's first version."""
    at: datetime
    """When S3 took it."""
    versions: int = 1
    """How often the key was written. More than once is somebody's doing, not ours."""


class EvidenceReader:
    """Reads what was written; it can write nothing."""

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket

    @cached_property
    def client(self) -> Any:
        return client("s3")

    @needs("s3:ListBucketVersions")
    def chains(self) -> Iterator[list[Stored]]:
        """Every chain in the bucket, one after the other, each in the order of its numbers."""
        for _, chain in groupby(self._listed(naming.EVIDENCE), key=lambda one: one.chain):
            yield list(chain)

    @needs("s3:ListBucketVersions")
    def chain(self, resource: str) -> list[Stored]:
        """Listings of S3 lack nothing that was written before:
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel
        """
        return list(self._listed(naming.evidence_chain(naming.short_id(resource))))

    @needs("s3:GetObjectVersion")
    def read(self, one: Stored) -> bytes:
        with translated("s3:GetObject"):
            answer = self.client.get_object(Bucket=self.bucket, Key=one.key, VersionId=one.version)
            document: bytes = answer["Body"].read()
        return document

    def _listed(self, prefix: str) -> Iterator[Stored]:
        pages = self.client.get_paginator("list_object_versions").paginate(
            Bucket=self.bucket, Prefix=prefix
        )
        with translated("s3:ListObjectVersions"):
            found = (version for page in pages for version in page.get("Versions", []))
            for key, group in groupby(found, key=lambda version: version["Key"]):
                if (named := naming.parse_evidence_key(key)) is None:
                    continue
                versions = list(group)
                first = versions[-1]  # they come newest first
                at: datetime = first["LastModified"]
                yield Stored(*named, key, first["VersionId"], at, len(versions))


class EvidenceStore(EvidenceReader):
    """Appends documents, each once; it can change and remove none."""

    @needs("s3:PutObject")
    def append(
        self, resource: str, run: str, since: datetime, make: Callable[[int, str], bytes]
    ) -> tuple[int, bytes]:
        """The number and the bytes of the run's document, whichever attempt has written it.

        `make` makes it, given its number and the digest of the document before it, if there is one.
        `since` is when the run began: no document of its own can be older.

        Raises Throttled if others keep coming first.
        """
        for _ in range(ATTEMPTS):
            chain = self.chain(resource)
            previous, own = self._looked_back(chain, run, since - CLOCKS_APART)
            if own is not None:
                return own
            sequence = chain[-1].sequence + 1 if chain else 1
            document = make(sequence, previous)
            try:
                self._write(naming.evidence_key(resource, sequence), document, "application/json")
            except AlreadyThere:  # another drill's, or ours by an attempt whose answer was lost
                continue
            return sequence, document
        raise Throttled("s3:PutObject", "PreconditionFailed", f"{ATTEMPTS} drills came first")

    @needs("s3:PutObject")
    def write_page(self, resource: str, sequence: int, page: str) -> None:
        """The first page of a document stays."""
        key = naming.evidence_page_key(resource, sequence)
        try:
            self._write(key, page.encode(), "text/html; charset=utf-8")
        except AlreadyThere:
            return

    @needs("s3:PutObject")
    def write_exercise(self, drill: str, page: str) -> str:
        """The key of the page that a person is to follow; the first one stays."""
        key = naming.exercise_page_key(drill)
        with suppress(AlreadyThere):
            self._write(key, page.encode(), "text/html; charset=utf-8")
        return key

    def _looked_back(
        self, chain: list[Stored], run: str, until: datetime
    ) -> tuple[str, tuple[int, bytes] | None]:
        """The digest of the newest document, and the run's own document if it is there."""
        newest = ""
        for one in reversed(chain):
            document = self.read(one)
            newest = newest or digest(document)
            if _run_of(document) == run:
                return newest, (one.sequence, document)
            if one.at < until:
                break
        return newest, None

    def _write(self, key: str, body: bytes, content_type: str) -> None:
        with translated("s3:PutObject"):
            self.client.put_object(
                Bucket=self.bucket,
                Key=key,
                Body=body,
                ContentType=content_type,
                # A bucket with Object Lock takes nothing without a checksum. Of this kind S3 then
                # holds the same digest as the chain.
                ChecksumAlgorithm="SHA256",
                IfNoneMatch="*",
            )


def _run_of(document: bytes) -> str:
    """Empty if it cannot be read: verifying names it, and the chain goes on behind it."""
    try:
        return Link.of(document).run
    except BadEvidence:
        return ""
