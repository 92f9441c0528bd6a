"""S3: what was gathered about an incident, and the report that was made of it."""

from functools import cached_property
from typing import Any

from watchkeeper import naming
from watchkeeper.aws.client import client
from watchkeeper.aws.errors import translated
from watchkeeper.aws.iam import needs

EVIDENCE, REPORT = "evidence.json", "report.json"
PUTS = 3
"""Objects of one look; they cost money."""


class ReportReader:
    """Reads what was written; it can write nothing."""

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket

    @cached_property
    def client(self) -> Any:
        return client("s3")

    @needs("s3:GetObject", "s3:ListBucket")
    def read(self, key: str) -> bytes:
        """Raises NotThere if there is none, which S3 says only to who may list the bucket."""
        with translated("s3:GetObject"):
            answer = self.client.get_object(Bucket=self.bucket, Key=key)
            document: bytes = answer["Body"].read()
        return document

    def evidence(self, incident: str, look: int) -> bytes:
        return self.read(naming.look_key(incident, look, EVIDENCE))


class ReportStore(ReportReader):
    """Writes looks: one that is made again by an attempt after a lost one takes its place."""

    @needs("s3:PutObject")
    def write(self, incident: str, look: int, evidence: bytes, report: bytes, page: str) -> str:
        """The key of the page. Evidence comes first: a report without it could not be checked."""
        json, html = "application/json", "text/html; charset=utf-8"
        self._put(naming.look_key(incident, look, EVIDENCE), evidence, json)
        self._put(naming.look_key(incident, look, REPORT), report, json)
        key = naming.incident_page_key(incident)
        self._put(key, page.encode("utf-8", "backslashreplace"), html)
        return key

    def _put(self, key: str, body: bytes, content_type: str) -> None:
        with translated("s3:PutObject"):
            self.client.put_object(Bucket=self.bucket, Key=key, Body=body, ContentType=content_type)
