"""The incidents of the week, by the product's own records and reports."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from local.cloud import Cloud
from watchkeeper import naming

PREFIX = "incidents/"


@dataclass(frozen=True)
class Looked:
    """An incident with its newest report, and when people heard of it."""

    id: str
    report: dict[str, Any]
    page_key: str
    told_at: datetime | None
    resolved_at: datetime | None

    @property
    def since(self) -> datetime:
        return naming.parse_instant(self.report["since"])


@dataclass(frozen=True)
class IncidentsState:
    looked: Sequence[Looked]
    objects: Sequence[tuple[str, bytes]]
    """Everything in the bucket of incidents, by key."""


def read_incidents(cloud: Cloud) -> IncidentsState:
    objects = list(_objects(cloud))
    newest: dict[str, dict[str, Any]] = {}
    for key, body in objects:  # looks come in their order
        if key.endswith("/report.json"):
            report = json.loads(body)
            newest[report["incident"]] = report
    news = [one.json() for one in cloud.published("NewsTopic")]
    looked = [
        Looked(
            id=one,
            report=report,
            page_key=naming.incident_page_key(one),
            told_at=_told(news, "IncidentOpened", one),
            resolved_at=_told(news, "IncidentResolved", one),
        )
        for one, report in newest.items()
    ]
    return IncidentsState(sorted(looked, key=lambda one: one.since), objects)


def keep(state: IncidentsState, folder: Path) -> None:
    """As `aws s3 sync` would; those of another demo are removed."""
    for old in (folder / PREFIX).rglob("*.*"):
        old.unlink()
    for key, body in state.objects:
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)


def took(one: Looked) -> timedelta | None:
    return one.resolved_at - one.since if one.resolved_at else None


def _objects(cloud: Cloud) -> Iterator[tuple[str, bytes]]:
    aws, bucket = cloud.client("s3"), cloud.physical_id("IncidentsBucket")
    for page in aws.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=PREFIX):
        for one in page.get("Contents", []):
            yield one["Key"], aws.get_object(Bucket=bucket, Key=one["Key"])["Body"].read()


def _told(news: Sequence[dict[str, Any]], kind: str, incident: str) -> datetime | None:
    times = (one["at"] for one in news if one["type"] == kind and one["incident"] == incident)
    return naming.parse_instant(found) if (found := next(times, None)) else None
