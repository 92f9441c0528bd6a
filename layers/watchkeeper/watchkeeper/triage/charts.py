"""A metric with what was found in it, and the charts of those that a report shows. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from watchkeeper.triage.gathered import Measured, Span
from watchkeeper.triage.phrases import clean, short
from watchkeeper.triage.report import Chart

MOST_CHARTS = 8
"""A page of them."""
MOST_POINTS = 300
"""Of a chart: about one per pixel that a telephone has for it."""
CHARTED = timedelta(hours=3)
"""What a chart shows: the incident, and what the hours before it were like."""


@dataclass(frozen=True, slots=True)
class Series:
    """A metric with what was found in it."""

    measured: Measured
    points: tuple[tuple[datetime, float], ...]
    """Those that are numbers, in order."""
    odd: tuple[datetime, ...]
    """Points near the incident that have no like before them."""
    low: float
    high: float
    """Between what it was before it moved, or before the window."""
    extreme: float
    """Where it went: the point since then that is furthest out; NaN if there is none."""
    excess: float
    """How far that is outside, in ranges; 0 if it is inside."""

    @property
    def onset(self) -> datetime | None:
        return self.odd[0] if self.odd else None

    @property
    def title(self) -> str:
        return f"{clean(self.measured.name, 80)} {clean(self.measured.stat, 20)}"

    @property
    def key(self) -> str:
        one = self.measured
        return clean(f"{one.resource} {one.namespace} {one.name} {one.stat}")

    def since(self, at: datetime) -> list[float]:
        return [value for when, value in self.points if when >= at]

    def before(self, at: datetime) -> list[float]:
        return [value for when, value in self.points if when < at]


UNITS = (
    (("percent", "utilization", "burstbalance"), "%"),
    (("bytes", "storagespace", "freeablememory", "swapusage"), "bytes"),
    (("throughput",), "bytes/s"),
    (("replicalag", "ageofoldest", "latency", "responsetime"), "s"),
    (("duration", "iteratorage"), "ms"),
    (("iops",), "1/s"),
)
"""By words in a metric's name, in small letters: the points themselves carry no unit."""


def unit_of(name: str) -> str:
    low = name[:255].lower()
    return next((unit for words, unit in UNITS if any(word in low for word in words)), "")


def charted(series: Sequence[Series], movers: Sequence[Series], span: Span) -> tuple[Chart, ...]:
    """The alarms' own metrics, then those that moved most."""
    return tuple(_charts(series, movers, span))


def _charts(series: Sequence[Series], movers: Sequence[Series], span: Span) -> Iterator[Chart]:
    most = sorted(movers, key=lambda one: (-one.excess, one.key))
    wanted = [*(one for one in series if one.measured.of_alarm), *most]
    for one in list({each.key: each for each in wanted if each.points}.values())[:MOST_CHARTS]:
        recent = [point for point in one.points if span.until - point[0] <= CHARTED]
        yield Chart(
            f"{one.title} of {short(one.measured.resource)}",
            unit_of(one.measured.name),
            tuple(thinned(recent)),
            one.measured.threshold,
            tuple(at for at in one.odd if span.until - at <= CHARTED),
        )


def thinned(points: Sequence[tuple[datetime, float]]) -> list[tuple[datetime, float]]:
    """At most MOST_POINTS of them: of each stretch of time the lowest and the highest."""
    if len(points) <= MOST_POINTS:
        return list(points)
    stretches = MOST_POINTS // 2
    kept: list[tuple[datetime, float]] = []
    for number in range(stretches):
        begin, end = (len(points) * at // stretches for at in (number, number + 1))
        some = points[begin:end]
        ends = (min(some, key=lambda one: one[1]), max(some, key=lambda one: one[1]))
        kept += sorted(set(ends))
    return kept
