"""What a diagnosis reads, what it says, and how a series is put in words. Pure.

Units are base units: seconds, bytes, counts per second, per cent. Times are in UTC.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from statistics import median

from watchkeeper.quoting import quoted

HELD = 3
"""Points in a row that make a level: one is a blip, as with alarms of three datapoints."""
SURGE = 3.0
"""Times what it was: more than the usual swing of a busy hour, which is about two."""
LONGEST_STATEMENT = 200
"""Characters of a query or message that are quoted: enough to tell which table it is on."""


class Source(StrEnum):
    METRICS = "CloudWatch metrics"
    EVENTS = "RDS events"
    QUERIES = "Performance Insights"
    LOGS = "logs"


class Category(StrEnum):
    HEALTHY = "healthy"
    EXHAUSTION = "resource_exhaustion"
    INFRASTRUCTURE = "infrastructure"
    CONTENTION = "contention"
    UNKNOWN = "unknown"


class Mode(StrEnum):
    """What can be wrong with a database; the first that fits is told first."""

    STORAGE_FULL = "storage_full"
    FAILOVER = "failover"
    MAINTENANCE = "maintenance"
    MEMORY = "memory_pressure"
    CHECKPOINTS = "checkpoint_storm"
    CREDITS = "burst_credits_exhausted"
    LAG = "replication_lag"
    CONNECTIONS = "connection_exhaustion"
    CPU = "cpu_saturation"
    LOCKS = "lock_contention"
    IO = "io_saturation"


@dataclass(frozen=True, slots=True)
class Citation:
    source: Source
    name: str
    """A metric with its resource, an event's or a query's text, a template of log lines."""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    text: str
    evidence: tuple[Citation, ...] = ()


@dataclass(frozen=True, slots=True)
class Series:
    """One metric of one resource, oldest point first."""

    resource: str
    name: str
    points: Sequence[tuple[datetime, float]]

    @property
    def values(self) -> list[float]:
        return [value for _, value in self.points]

    @property
    def before(self) -> float:
        """Where it came from: the point of the first three that is nearest to quiet. The trouble
        may have begun with the second.
        """
        return min(self.values[:HELD])

    @property
    def held(self) -> float:
        """The highest level that it kept for three points."""
        return max(min(window) for window in _windows(self.values))

    @property
    def held_low(self) -> float:
        return min(max(window) for window in _windows(self.values))

    @property
    def now(self) -> float:
        return median(self.values[-HELD:])

    @property
    def lately(self) -> float:
        """Now, or the last point if that is higher: what has only just begun is not over."""
        return max(self.now, self.values[-1])

    @property
    def highest(self) -> float:
        return max(self.values)

    @property
    def lowest(self) -> float:
        return min(self.values)

    @property
    def surged(self) -> bool:
        return self.held >= SURGE * max(self.before, 0.0) and self.held > 0

    def onset(self, level: float) -> datetime:
        """When it first reached a level, or was highest if it never did."""
        reached = (at for at, value in self.points if value >= level)
        return next(reached, max(self.points, key=lambda point: point[1])[0])

    def rise(self) -> datetime:
        """When it was half way up."""
        return self.onset((self.before + self.held) / 2)

    def fall(self) -> datetime:
        """When it was half way down, from the highest of its first points."""
        half = (max(self.values[:HELD]) + self.lowest) / 2
        return next(at for at, value in self.points if value <= half or value == self.lowest)

    def cited(self, at: datetime | None = None) -> Citation:
        return Citation(Source.METRICS, f"{self.name} of {self.resource}", at)

    def shown(self, value: float) -> str:
        return figure(self.name, value)


def _windows(values: Sequence[float]) -> list[Sequence[float]]:
    width = min(HELD, len(values))
    return [values[first : first + width] for first in range(len(values) - width + 1)]


@dataclass(frozen=True, slots=True)
class Event:
    """Of RDS's, about an instance, its replica or its cluster."""

    at: datetime
    resource: str
    text: str

    def cited(self) -> Citation:
        return Citation(Source.EVENTS, quoted(self.text, LONGEST_STATEMENT), self.at)


@dataclass(frozen=True, slots=True)
class LogPattern:
    """A template of log lines, how often it was seen, and when first."""

    at: datetime
    template: str
    count: int = 1

    def cited(self) -> Citation:
        return Citation(Source.LOGS, quoted(self.template, LONGEST_STATEMENT), self.at)


@dataclass(frozen=True, slots=True)
class Query:
    """One of the statements with the most load, in average active sessions."""

    text: str
    load: float
    calls: float | None = None
    """Per second."""
    waits: Mapping[str, float] = field(default_factory=dict)
    """Load by wait event: CPU, IO:DataFileRead, Lock:relation, …"""

    def on(self, beginning: str) -> float:
        """Its load on wait events whose names begin so."""
        return sum(load for name, load in self.waits.items() if name.startswith(beginning))

    def shown(self) -> str:
        return quoted(self.text, LONGEST_STATEMENT)

    def cited(self) -> Citation:
        return Citation(Source.QUERIES, self.shown())


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was gathered about one database and its replicas. Absent is empty, never made up."""

    instance: str
    metrics: Sequence[Series] = ()
    """Of this instance and of its replicas only."""
    events: Sequence[Event] = ()
    logs: Sequence[LogPattern] = ()
    queries: Sequence[Query] = ()
    waits: Mapping[str, float] = field(default_factory=dict)
    """Load by wait event, over all statements."""
    users: Mapping[str, float] = field(default_factory=dict)
    """Load by database user."""
    hosts: Mapping[str, float] = field(default_factory=dict)
    load: Sequence[tuple[datetime, float]] = ()
    """Average active sessions."""
    instance_class: str = ""
    max_connections: int | None = None
    engine: str = "postgres"
    alarm: str = ""
    """What the alarm says, to be quoted. It is what was seen from outside, and proves no cause."""
    firing: bool = True


@dataclass(frozen=True, slots=True)
class Ruling:
    """What one rule found: a fault with its evidence, or why it is none, or what it lacked."""

    mode: Mode
    found: bool = False
    headline: str = ""
    claims: tuple[Claim, ...] = ()
    since: datetime | None = None
    over: bool = False
    """It was so, and is no longer."""
    why_not: str = ""
    missing: tuple[str, ...] = ()
    """Metrics that it asked for in vain."""
    by: Query | None = None
    """The statement behind it."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    category: Category
    headline: str
    modes: tuple[Mode, ...] = ()
    """What is wrong, first cause first; empty if healthy or unknown."""
    claims: tuple[Claim, ...] = ()
    consequences: tuple[Claim, ...] = ()
    """What moved too, because of the cause or beside it: no causes, whatever they look like."""
    ruled_out: tuple[Claim, ...] = ()
    could_not_check: tuple[str, ...] = ()

    def text(self) -> str:
        """All of it, for people: one statement a line, each with its evidence."""
        lines = [self.headline, ""]
        for title, claims in (
            ("Evidence", self.claims),
            ("Not causes", self.consequences),
            ("Ruled out", self.ruled_out),
        ):
            if claims:
                lines += [f"{title}:", *(_line(claim) for claim in claims)]
        if self.could_not_check:
            lines += ["Could not check:", *(f"- {what}" for what in self.could_not_check)]
        return "\n".join(lines)


def _line(claim: Claim) -> str:
    told = "; ".join(
        f"{one.source}: {one.name}" + (f" at {clock(one.at)}" if one.at else "")
        for one in claim.evidence
    )
    return f"- {claim.text}" + (f" [{told}]" if told else "")


def clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}Z"


def figure(name: str, value: float) -> str:
    """A metric's value with its unit, as a person would say it."""
    if name.endswith(("Utilization", "Balance", "Balance%")) and "Credit" not in name:
        return f"{value:.0f} %"
    if name.endswith("Latency"):
        return f"{value:.3g} s" if value >= 1 else f"{value * 1000:.3g} ms"
    if name.endswith("Lag"):
        return f"{value:,.0f} s"
    if name in ("TransactionLogsGeneration", "WriteThroughput", "ReadThroughput"):
        return f"{size(value)}/s"
    if name.startswith(("Free", "Swap")):
        return size(value)
    return f"{value:,.0f}" if abs(value) >= 1 else f"{value:.2g}"


def size(value: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if abs(value) < 1000:  # noqa: PLR2004 - units are thousands
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"
