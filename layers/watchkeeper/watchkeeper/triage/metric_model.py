"""What is asked of CloudWatch's metrics, and what it answers. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

Points = Sequence[tuple[datetime, float]]
Dimensions = Mapping[str, str]

COMPLETE = "Complete"


@dataclass(frozen=True, slots=True)
class MetricName:
    """One metric of CloudWatch: a name alone is not one, its dimensions are part of it."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()
    """Sorted."""

    @classmethod
    def of(cls, namespace: str, name: str, dimensions: Dimensions) -> "MetricName":
        return cls(namespace, name, tuple(sorted(dimensions.items())))

    def __str__(self) -> str:
        return f"{self.namespace} {self.name}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One series: `since` and `until` are whole periods, UTC."""

    metric: MetricName
    stat: str
    """As CloudWatch's API writes it: `Sum`, `p90`."""
    period: int
    """Seconds."""
    since: datetime
    until: datetime

    @classmethod
    def lasting(
        cls, metric: MetricName, stat: str, period: int, how_long: timedelta, now: datetime
    ) -> "Wanted":
        """Until now, the period that has only begun included."""
        seconds = -(-now.timestamp() // period) * period
        until = datetime.fromtimestamp(seconds, now.tzinfo)
        return cls(metric, stat, period, until - how_long, until)

    @property
    def most(self) -> int:
        """Points that it can have."""
        return max(1, int((self.until - self.since).total_seconds()) // self.period)


@dataclass(frozen=True, slots=True)
class Answer:
    """What CloudWatch has of one series."""

    points: Points = ()
    """Oldest first, UTC."""
    status: str = COMPLETE
    """Or `PartialData`, `InternalError`, `Forbidden`; "" if it was not answered at all."""
    message: str = ""

    @property
    def is_complete(self) -> bool:
        return self.status == COMPLETE


@dataclass(frozen=True, slots=True)
class Listed:
    """The metrics that have at least given dimensions."""

    metrics: Sequence[MetricName] = field(default=())
    is_all: bool = True


class MetricSource(Protocol):
    """What keeps metrics. Both raise what the adapters raise."""

    def listed(self, dimensions: Dimensions) -> Listed:
        """Every metric with at least these dimensions, of whatever namespace."""

    def data(self, wanted: Sequence[Wanted]) -> Sequence[Answer]:
        """One answer for each, in the same order."""


def only_lower_bounds_dropped(points: Points, wanted: Wanted, now: datetime) -> Points:
    """Without the count of a period that has not ended, unless it is a record already.

    Such a count can only grow: less than before says nothing yet, more than before says it now.
    """
    if wanted.stat not in ("Sum", "SampleCount") or len(points) < 2:  # noqa: PLR2004 (a pair)
        return points
    (_, before), (at, last) = points[-2:]
    is_unfinished = at + timedelta(seconds=wanted.period) > now
    return points[:-1] if is_unfinished and last < before else points
