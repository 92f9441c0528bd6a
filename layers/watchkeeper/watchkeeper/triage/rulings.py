"""What the rules of a verdict share: what they read, and what one answers. Pure.

Rules rest on metrics and on the audit trail. What logs say is anybody's text: it supports a ruling
that these have made, and alone it is told as what the logs say (`REPORTED`), whatever it is.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from statistics import median

from watchkeeper.quoting import quoted
from watchkeeper.triage.charts import Series
from watchkeeper.triage.gathered import Gathered
from watchkeeper.triage.log_claims import FromLogs, News
from watchkeeper.triage.metric_claims import FromMetrics
from watchkeeper.triage.phrases import clean, linked, service, short
from watchkeeper.triage.report import Claim, Source
from watchkeeper.triage.trail_claims import FromTrail

LATEST = 3
"""Points on end: one alone is a blip."""


class Category(StrEnum):
    """What is wrong, where no database's diagnosis says it. Names are stored: add, never rename."""

    STOPPED = "stopped"
    DISK_FULL = "disk_full"
    STATUS_CHECK = "status_check_failed"
    CREDITS = "burst_credits_exhausted"
    CHANGE = "change"
    PERMISSION = "permission"
    CONCURRENCY = "concurrency_limit"
    TIMEOUT = "timeout"
    MEMORY = "memory_exhausted"
    THROUGHPUT = "throughput_limit"
    PORTS = "ports_exhausted"
    TARGETS = "no_healthy_targets"
    CPU = "cpu_saturated"
    BEHIND = "consumers_behind"
    DOWNSTREAM = "downstream"
    LOAD = "load"
    REPORTED = "reported_in_logs"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Ruling:
    """What one rule found: a fault with its evidence, or why it is none, or what it lacked."""

    category: Category
    headline: str = ""
    """The fault in a few words; "" if it is none."""
    claims: tuple[Claim, ...] = ()
    why_not: str = ""
    lacked: str = ""
    """Completes "could not check …"; "" also where the question does not arise."""

    @property
    def found(self) -> bool:
        return bool(self.headline)


@dataclass(frozen=True)
class Facts:
    """Everything that was found, with what every rule asks of it."""

    gathered: Gathered
    onset: datetime
    logs: FromLogs
    metrics: FromMetrics
    trail: FromTrail

    @cached_property
    def hit(self) -> frozenset[str]:
        """ARNs that the alarms are about."""
        return frozenset(one.arn for one in self.gathered.resources if not one.beside)

    @cached_property
    def diagnosed(self) -> frozenset[str]:
        """Databases, of which a diagnosis of their own says what is wrong."""
        return frozenset(one.arn for one in self.gathered.databases)

    def services(self) -> frozenset[str]:
        return frozenset(service(arn) for arn in self.hit)

    def measured(self, names: Iterable[str]) -> list[Series]:
        """The series of these names with a point in the window, the alarms' own resources first."""
        wanted = frozenset(names)
        found = [
            one
            for one in self.metrics.series
            if one.measured.name in wanted
            and one.measured.resource not in self.diagnosed
            and self.now(one)
        ]
        return sorted(found, key=lambda one: (one.measured.resource not in self.hit, one.key))

    def now(self, one: Series) -> list[float]:
        return one.since(self.gathered.span.since)

    def latest(self, one: Series) -> float:
        """Of a series with a point in the window."""
        return median(self.now(one)[-LATEST:])

    def usual(self, one: Series) -> float | None:
        """What it was before the window; None if it was nothing."""
        before = one.before(self.gathered.span.since)
        return median(before) if before else None

    def errors(self, pattern: re.Pattern[str]) -> list[News]:
        """New errors that say it: support for a ruling, never one by themselves."""
        return [
            one for one in self.logs.news if one.is_error and pattern.search(one.template[:2_000])
        ]


def cited(one: Series, text: str) -> Claim:
    """A metric as evidence."""
    measured = one.measured
    return Claim(
        Source.METRICS,
        text,
        at=one.onset,
        resource=clean(measured.resource),
        links=linked("metric", measured.link),
        key=one.key,
    )


def named(one: Series) -> str:
    return quoted(short(one.measured.resource))


def claims_of(news: Sequence[News]) -> tuple[Claim, ...]:
    return tuple(one.claim for one in news[:2])
