"""The report of an incident: what people read, and what other functions read. Pure.

Every claim carries its evidence: links into AWS with absolute times, or the raw lines themselves,
which are stored beside it. All texts are anybody's, redacted: escape them where they are shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

SCHEMA = 1


class Source(StrEnum):
    ALARM = "alarm"
    LOGS = "logs"
    METRICS = "metrics"
    TRAIL = "audit trail"
    DATABASE = "database"


@dataclass(frozen=True, slots=True)
class Link:
    """Into the AWS console, with absolute times."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that the evidence says."""

    source: Source
    text: str
    """A sentence for people."""
    at: datetime | None = None
    resource: str = ""
    """ARN."""
    links: Sequence[Link] = ()
    lines: Sequence[str] = ()
    """Raw lines, redacted and cut; of an audit event, its record as JSON."""
    weight: float = 0.0
    """The higher the more telling, within its section only."""
    key: str = ""
    """The same for the same finding at a later look: a template, a metric, ids of events."""
    severity: str = ""
    """Of a suspicious one."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong, in words, by rules that name their evidence."""

    known: bool
    """False: "unknown", with what was ruled out."""
    category: str
    headline: str
    claims: Sequence[Claim] = ()
    consequences: Sequence[str] = ()
    ruled_out: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """One metric, for an inline picture."""

    title: str
    """Metric and resource."""
    unit: str
    points: Sequence[tuple[datetime, float]]
    threshold: float | None = None
    odd_at: Sequence[datetime] = ()
    """Where it is unusual."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the timeline over all sources."""

    at: datetime
    source: Source
    text: str
    mark: str = ""
    """What kind: `change`, `new error`, `anomaly`, `alarm`, `suspicious`, `silence`."""


@dataclass(frozen=True, slots=True)
class Report:
    incident: str
    look: int
    made_at: datetime
    headline: str
    """What, since when, who is hit, what changed just before: one line."""
    severity: str
    owner: str
    since: datetime
    alarms: Sequence[Claim]
    tree: Sequence[Mapping[str, Any]]
    hit: Sequence[str]
    """Resources that the alarms are about, ARNs."""
    verdict: Verdict
    changes: Sequence[Claim]
    """What changed before and during, the latest before the onset first."""
    errors: Sequence[Claim]
    """What is new or more frequent in the logs, the most telling first."""
    moved: Sequence[Claim]
    """Metrics that moved, the first and most first."""
    suspects: Sequence[str]
    """Where the cause is, by metrics and calls: best first, ARNs or names."""
    suspicious: Sequence[Claim]
    silences: Sequence[Claim]
    """Sources that have gone silent."""
    usual: Sequence[str]
    """"Nothing unusual in …": sources that were looked at and showed nothing."""
    unchecked: Sequence[str]
    """"Could not check … because …"."""
    timeline: Sequence[Moment]
    charts: Sequence[Chart]
    audit_until: datetime | None
    """Until when the audit trail can be complete."""
    recurrence: int
    follows: Sequence[str]
    used: Mapping[str, float]
    cost_usd: float
    """At list prices: what looking has cost so far."""
    matters: str
    """A digest of what people must be told of; they are told again when it differs."""
    more: Mapping[str, str] = field(default_factory=dict)
    """Short sentences for messages, by the name of what they answer: `what`, `changed`, `errors`,
    `moved`, `intruder`, `unchecked`, `cause`."""
    schema: int = SCHEMA


def to_json(report: Report) -> bytes:
    """The same bytes for the same report."""
    from pydantic import TypeAdapter  # noqa: PLC0415 (building it costs 30 ms; few wake-ups need it)

    return TypeAdapter(Report).dump_json(report, indent=1)
