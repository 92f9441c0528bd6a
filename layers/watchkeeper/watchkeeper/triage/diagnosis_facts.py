"""What the rules of a diagnosis share: questions to the evidence, and what texts say. Pure."""

import re
from dataclasses import replace
from datetime import timedelta
from math import isfinite

from watchkeeper.quoting import quoted
from watchkeeper.triage.evidence import HELD, Citation, Event, Evidence, LogPattern, Query, Series

SHAPES = {"large": 2, "medium": 2, "small": 2, "micro": 2}
"""vCPUs by the size of an instance class; of `xlarge` 4, and of `8xlarge` 32."""
GIB_PER_CPU = {"r": 8, "x": 16, "m": 4, "c": 2}
"""Memory by family (https://aws.amazon.com/rds/instance-types/); others have no fixed ratio."""
SATURATED = 90.0
"""Per cent of CPU from which work queues; AWS recommends to alarm here."""
LEAD = timedelta(minutes=15)
"""Before what was measured: an event earlier than that had ended when all was still well."""
MOST = 0.5
"""Of the load: what more than half of the sessions do."""
PART = 0.3
"""Of the load: enough to be a fault of its own beside another."""

_WRITING = re.compile(
    r"^\W*(?:begin\b\W*|start transaction\b\W*|with\b.{0,2000}?\b)??"
    r"(insert|update|delete|merge|copy|create|alter|reindex|truncate|load|replace"
    r"|(?:auto)?vacuum)\b",
    re.IGNORECASE | re.DOTALL,
)
_BACK = re.compile(
    r"recovered|resolved|back to normal|returned to normal|caught up|no longer|cleared",
    re.IGNORECASE,
)


class Facts:
    """The evidence, with what every rule asks of it."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.series = [series for series in map(_finite, evidence.metrics) if series.points]
        times = [at for series in self.series for at, _ in series.points]
        times += [at for at, _ in evidence.load]
        happened = [event.at for event in evidence.events]
        self.begin = min(times or happened, default=None)
        self.total = sum(evidence.waits.values())
        self.by_load = sorted(evidence.queries, key=lambda query: -query.load)

    def metric(self, name: str, *, replica: bool = False) -> Series | None:
        """Of the instance; or, of its replicas, the one with the highest level."""
        own = self.evidence.instance
        wanted = [
            one for one in self.series if one.name == name and (one.resource != own) == replica
        ]
        return max(wanted, key=lambda one: one.held, default=None)

    def share(self, *beginnings: str) -> float:
        """Of the load: how much of it waits for something whose name begins so, from 0 to 1."""
        waits = self.evidence.waits.items()
        part = sum(load for name, load in waits if name.startswith(beginnings))
        return part / self.total if self.total > 0 else 0.0

    def top_waits(self, most: int = 3) -> str:
        waits = sorted(self.evidence.waits.items(), key=lambda item: -item[1])[:most]
        return ", ".join(f"{quoted(name)[1:-1]} {load:.2g}" for name, load in waits)

    def top(self) -> Query | None:
        return self.by_load[0] if self.by_load else None

    def most(self, beginning: str) -> Query | None:
        """The statement with the most load on such waits, if they are at least half of its own."""
        found = max(self.by_load, key=lambda query: query.on(beginning), default=None)
        return found if found and found.on(beginning) >= found.load / 2 > 0 else None

    def runner(self) -> str:
        """Who has the most load, in words; empty if nobody knows."""
        told = [
            f"{kind} {quoted(max(loads, key=lambda name: loads[name]))[1:-1]}"
            for kind, loads in (("user", self.evidence.users), ("host", self.evidence.hosts))
            if loads
        ]
        return f" (most of the load is of {', '.join(told)})" if told else ""


def _finite(series: Series) -> Series:
    """Without points that are no numbers, and in the order of their times."""
    return replace(series, points=sorted(one for one in series.points if isfinite(one[1])))


def shape(instance_class: str) -> tuple[int | None, float | None]:
    """The vCPUs and bytes of memory of a class such as db.r6g.2xlarge; None where nobody knows."""
    family, _, size = instance_class.removeprefix("db.").partition(".")
    times = size.removesuffix("xlarge")
    cpus = SHAPES.get(size)
    if size.endswith("xlarge"):
        cpus = 4 * int(times) if times.isdecimal() and len(times) < HELD else 4
    per_cpu = GIB_PER_CPU.get(family[:1])
    return cpus, (cpus * per_cpu * 2.0**30 if cpus and per_cpu else None)


def said(facts: Facts, pattern: re.Pattern[str], *, over: bool = False) -> list[Event | LogPattern]:
    """Events and log patterns of this window that say it, and not that it is over; first first."""
    since = facts.begin - LEAD if facts.begin else None
    told: list[tuple[Event | LogPattern, str]] = [
        *((event, event.text) for event in facts.evidence.events),
        *((log, log.template) for log in facts.evidence.logs),
    ]
    found = [
        one
        for one, text in told
        if (since is None or one.at >= since)
        and pattern.search(text)
        and (over or not _BACK.search(text))
    ]
    return sorted(found, key=lambda one: one.at)


def cited(told: list[Event | LogPattern]) -> tuple[Citation, ...]:
    return tuple(one.cited() for one in told[:3])


def writes(query: Query) -> bool:
    """Whether a statement changes data, or rewrites it as upkeep does."""
    return bool(_WRITING.search(query.text[:2100]))


def writer(facts: Facts) -> Query | None:
    """The statement that writes with the most load."""
    return next((query for query in facts.by_load if writes(query)), None)
