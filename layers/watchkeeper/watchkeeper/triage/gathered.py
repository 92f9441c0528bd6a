"""What was gathered about an incident at one look: all that its report is made from. Pure.

It is stored beside the report, redacted, and makes the same report again whenever it is asked to
(`replay`). So a report depends on this and on nothing else: no clock, no AWS.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from watchkeeper.triage.evidence import Event, Query

SCHEMA = 1
"""Raised when stored fields change meaning. Fields are only ever added, with a default."""

BASELINE = timedelta(hours=1)
"""Before the window: what an hour shows is what is usual, and costs twelve times what the shortest
window does.
"""
LEAD = timedelta(minutes=5)
"""Before the alarm's first bad datapoint: its period hides when in it the trouble began."""
LONGEST = timedelta(minutes=30)
"""Of the window: what an incident says it says in the beginning, and a busy log is paid by size."""


@dataclass(frozen=True, slots=True)
class Span:
    """The times that a look is about, all UTC: usual before `since`, the incident's from there."""

    before: datetime
    since: datetime
    until: datetime

    @classmethod
    def of(cls, began_at: datetime, now: datetime) -> "Span":
        """Around an incident whose first bad datapoint is of `began_at`."""
        since = min(began_at, now) - LEAD
        return cls(since - BASELINE, since, min(now, since + LONGEST))


@dataclass(frozen=True, slots=True)
class Unchecked:
    """Something that could not be looked at. It is never read as fine."""

    what: str
    """Completes "could not check …": `the logs of orders-api`."""
    why: str


@dataclass(frozen=True, slots=True)
class Raised:
    """An alarm of the incident, as it was when it was raised."""

    name: str
    arn: str
    state: str
    severity: str
    at: datetime
    since: datetime
    """Of its first bad datapoint; `at` where nothing says it."""
    reason: str = ""
    description: str = ""
    kind: str = ""
    metric: str = ""
    """`AWS/RDS CPUUtilization`, or "" where it has none of its own."""
    threshold: float | None = None
    datapoints: Sequence[float] = ()
    link: str = ""


@dataclass(frozen=True, slots=True)
class Resource:
    """Something that an alarm is about, or that is beside it."""

    arn: str
    tags: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""
    """By its tag, else by the policy."""
    beside: str = ""
    """Why it is looked at though no alarm is about it; "" for the alarms' own."""
    log_groups: Sequence[str] = ()
    """By tag, policy or the convention of its service; they need not exist."""


@dataclass(frozen=True, slots=True)
class Line:
    """One message of a log, redacted."""

    at: datetime
    stream: str
    text: str


@dataclass(frozen=True, slots=True)
class Logged:
    """What one log group said."""

    group: str
    resources: Sequence[str] = ()
    """ARNs of those whose log it is."""
    before: Sequence[Line] = ()
    """Of the baseline, by stream and then time."""
    lines: Sequence[Line] = ()
    """Of the window, likewise."""
    only_trouble: bool = False
    """Only messages with words of trouble were asked for: the log is too large for all of it."""
    most: str = ""
    """Why these are not all the messages that were asked for; "" if they are."""
    counts: Sequence[tuple[datetime, float]] = ()
    """Messages per minute or five, from before the baseline on: what CloudWatch counted."""
    last_at: datetime | None = None
    """When the newest message came, as far as is known."""
    until: datetime | None = None
    """Until when this can be complete: later messages may still be on their way. None: unknown."""
    how: str = ""
    """The call and query by which anybody gets the same."""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric of one resource."""

    resource: str
    """ARN; of a metric that belongs to no resource that we know, its dimensions."""
    namespace: str
    name: str
    stat: str
    dimensions: Mapping[str, str] = field(default_factory=dict)
    period: int = 300
    """Seconds."""
    points: Sequence[tuple[datetime, float]] = ()
    """Oldest first; from some days before the window on."""
    of_alarm: bool = False
    """An alarm is about it."""
    threshold: float | None = None
    link: str = ""


@dataclass(frozen=True, slots=True)
class Trail:
    """What the audit trail said."""

    events: Sequence[Mapping[str, Any]] = ()
    """Records of CloudTrail, redacted."""
    since: datetime | None = None
    until: datetime | None = None
    """Until when it can be complete: CloudTrail tells some minutes later. None: not at all."""
    source: str = ""
    """Where they were read, in words."""
    most: str = ""
    """Why these are not all; "" if they are."""
    silent: str = ""
    """Why the audit trail itself is a finding: switched off, new, or dumb; "" if it is as it should
    be.
    """


@dataclass(frozen=True, slots=True)
class Database:
    """What only a database service says of itself."""

    arn: str
    instance: str
    engine: str = ""
    instance_class: str = ""
    max_connections: int | None = None
    replicas: Sequence[str] = ()
    """Identifiers; their metrics are among `Gathered.metrics`."""
    events: Sequence[Event] = ()
    queries: Sequence[Query] = ()
    waits: Mapping[str, float] = field(default_factory=dict)
    users: Mapping[str, float] = field(default_factory=dict)
    hosts: Mapping[str, float] = field(default_factory=dict)
    load: Sequence[tuple[datetime, float]] = ()
    metrics: Sequence[Measured] = ()
    """Its own and its replicas', by the minute, for the diagnosis; from shortly before the window
    on. `Gathered.metrics` has the longer and coarser ones.
    """


@dataclass(frozen=True, slots=True)
class Gathered:
    """Everything that one look has found."""

    incident: str
    look: int
    """0 at once, then the later ones."""
    at: datetime
    span: Span
    region: str = ""
    account: str = ""
    ours: Sequence[str] = ()
    """Patterns of the ARNs of our own roles."""
    code: Sequence[str] = ()
    """The same of those that apply infrastructure as code."""
    calls: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Who calls whom, by ARN, as the policy says."""
    headline: str = ""
    """Of the incident, from its alarms alone."""
    severity: str = ""
    owner: str = ""
    recurrence: int = 0
    follows: Sequence[str] = ()
    tree: Sequence[Mapping[str, Any]] = ()
    """How the alarms hang together: by, what, count, branches."""
    alarms: Sequence[Raised] = ()
    resources: Sequence[Resource] = ()
    logs: Sequence[Logged] = ()
    metrics: Sequence[Measured] = ()
    trail: Trail = field(default_factory=Trail)
    databases: Sequence[Database] = ()
    unchecked: Sequence[Unchecked] = ()
    used: Mapping[str, float] = field(default_factory=dict)
    """What was asked of AWS, by names of `costs.PRICES`, over all looks."""
    schema: int = SCHEMA


@dataclass(frozen=True, slots=True)
class Found:
    """What one kind of evidence brought at one look; every kind fills in its own."""

    logs: Sequence[Logged] = ()
    metrics: Sequence[Measured] = ()
    trail: Trail | None = None
    databases: Sequence[Database] = ()
    unchecked: Sequence[Unchecked] = ()
    used: Mapping[str, float] = field(default_factory=dict)
    pending: Sequence[str] = ()
    """Queries that have not ended yet: handed back at the next look."""


def with_found(gathered: Gathered, *found: Found) -> Gathered:
    """All kinds together."""
    trails = [one.trail for one in found if one.trail is not None]
    used = dict(gathered.used)
    for one in found:
        for name, value in one.used.items():
            used[name] = used.get(name, 0.0) + value
    return replace(
        gathered,
        logs=(*gathered.logs, *(each for one in found for each in one.logs)),
        metrics=(*gathered.metrics, *(each for one in found for each in one.metrics)),
        trail=trails[-1] if trails else gathered.trail,
        databases=(*gathered.databases, *(each for one in found for each in one.databases)),
        unchecked=(*gathered.unchecked, *(each for one in found for each in one.unchecked)),
        used=used,
    )


# ── Stored form ───────────────────────────────────────────────────────────────────────────────────


def to_json(gathered: Gathered) -> bytes:
    """The same bytes for the same evidence."""
    from pydantic import TypeAdapter  # noqa: PLC0415 (building it costs 30 ms; few wake-ups need it)

    return TypeAdapter(Gathered).dump_json(gathered, indent=1)


def from_json(text: bytes) -> Gathered:
    """Raises ValueError if it is none."""
    from pydantic import TypeAdapter  # noqa: PLC0415 (as above)

    return TypeAdapter(Gathered).validate_json(text)
