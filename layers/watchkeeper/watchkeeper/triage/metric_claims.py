"""What an incident's metrics say: which moved first and most, which fell silent, who is suspect.

Pure. A metric has moved if `anomaly_scores` finds a point near the incident that has no like in its
past. What it did is told in its own numbers: where it went, and between what it was before.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf, isfinite

from watchkeeper.quoting import quoted
from watchkeeper.triage.causes import Key, suspects
from watchkeeper.triage.charts import Series, charted
from watchkeeper.triage.evidence import figure
from watchkeeper.triage.gathered import Gathered, Measured, Span
from watchkeeper.triage.metrics import (
    THRESHOLD,
    WARM_UP_POINTS,
    WARM_UP_SECONDS,
    anomaly_scores,
    gaps,
)
from watchkeeper.triage.phrases import apart, clean, counted, lasting, linked, short, stamp
from watchkeeper.triage.report import Chart, Claim, Source

MOST_CLAIMS = 20
"""What moved later is mostly what followed."""
MOST_SUSPECTS = 5
"""What a person looks at before asking for more."""
BEFORE_WINDOW = timedelta(minutes=30)
"""A slow fault moves its first metric before anything alarms; what moved earlier is another one."""
NORMAL = timedelta(hours=6)
"""What suspects' metrics are compared with: at five minutes 72 points, of this part of the day."""
REGULAR = 0.9
"""Of the points that a metric should have: from here on one that is missing was lost. Metrics that
only count what happens have no point where nothing does.
"""
LATE = timedelta(minutes=3)
"""CloudWatch has a minute's point one to three minutes after it."""
MISSING = 2
"""Points on end: one alone is often only late."""
LONGEST_PERIOD = 86_400
"""Seconds: CloudWatch alarms on none that is longer."""
NAMED = 4
"""Metrics named in a sentence about several."""
_BOUNDLESS = 1e6
"""In place of infinity: JSON has none, and what never moved before has no range to compare with."""


@dataclass(frozen=True, slots=True)
class FromMetrics:
    series: tuple[Series, ...] = ()
    moved: tuple[Claim, ...] = ()
    """First mover first."""
    movers: tuple[Series, ...] = ()
    """In the same order."""
    suspects: tuple[str, ...] = ()
    silences: tuple[Claim, ...] = ()
    usual: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()


def from_metrics(gathered: Gathered, onset: datetime) -> FromMetrics:
    """What all metrics say; each is a claim, a silence, usual or unchecked."""
    series = tuple(_looked_at(one, gathered.span) for one in gathered.metrics)
    movers = sorted(
        (one for one in series if one.odd),
        key=lambda one: (one.odd[0], -one.excess, one.key),
    )
    silences = tuple(claim for one in series for claim in _silences(one, gathered.span))
    silent = {claim.key for claim in silences}
    # An alarm's metric is there twice: for some days, and finer for a chart.
    judged = {one.key for one in series if one.points and not _is_young(one)}
    found = tuple(
        one
        for one in series
        if not one.odd
        and f"silent {one.key}" not in silent
        and not (one.key in judged and _is_young(one))
    )
    unchecked = [*_short_of(found)]
    if len(movers) > MOST_CLAIMS:
        rest = counted(len(movers) - MOST_CLAIMS, "further metric that moved later", "further "
                       "metrics that moved later")  # fmt: skip
        unchecked.append(f"{rest} because a report shows {MOST_CLAIMS}")
    return FromMetrics(
        series,
        tuple(_claim(one, onset) for one in movers[:MOST_CLAIMS]),
        tuple(movers),
        tuple(_suspects(gathered, movers)),
        silences,
        tuple(_usual(found)),
        tuple(unchecked),
        charted(series, movers, gathered.span),
    )


# ── One metric ────────────────────────────────────────────────────────────────────────────────────


def _looked_at(measured: Measured, span: Span) -> Series:
    points = tuple(sorted(one for one in measured.points if isfinite(one[1])))
    scores = anomaly_scores(points)
    odd = tuple(
        at
        for (at, _), score in zip(points, scores, strict=True)
        if score >= THRESHOLD and span.since - at <= BEFORE_WINDOW and at <= span.until
    )
    moved_at = min(odd[0], span.since) if odd else span.since
    before = [value for at, value in points if at < moved_at]
    since = [value for at, value in points if at >= moved_at]
    low, high = (min(before), max(before)) if before else (0.0, 0.0)
    extreme = max(since, key=lambda value: _outside(value, low, high), default=float("nan"))
    if before and since and low <= extreme <= high:
        extreme = since[-1]
    out = _outside(extreme, low, high) if before and since else 0.0
    return Series(measured, points, odd, low, high, extreme, out)


def _outside(value: float, low: float, high: float) -> float:
    """In ranges; infinite where there is none."""
    over = max(value - high, low - value, 0.0)
    if over == 0.0:
        return 0.0
    wide = high - low
    ranges = over / wide if 0.0 < wide < inf else inf
    return min(ranges, _BOUNDLESS)


def _claim(one: Series, onset: datetime) -> Claim:
    measured, at = one.measured, one.odd[0]
    before = one.before(min(at, onset))
    past = f"in the {lasting(at - one.points[0][0])} before" if before else "before"
    low, high = _figure(one, one.low), _figure(one, one.high)
    was = f"it was {low}" if low == high else f"it was between {low} and {high}"
    if one.excess > 0.0:
        went = "rose" if one.extreme > one.high else "fell"
        did = f"{went} to {_figure(one, one.extreme)}; {was} {past}"
    else:
        did = f"is unusual for this time, or has been for long; {was} {past}"
    return Claim(
        Source.METRICS,
        f"{one.title} of {quoted(short(measured.resource))} {did}; from {stamp(at)}, "
        f"{_when(at, onset)}",
        at=at,
        resource=clean(measured.resource),
        links=linked("metric", measured.link),
        weight=one.excess,
        key=one.key,
    )


def _when(at: datetime, onset: datetime) -> str:
    by = apart(at, onset)
    return f"{by} as it began" if by.endswith("minute") else f"{by} it began"


def _figure(one: Series, value: float) -> str:
    if not isfinite(value):
        return "nothing"
    return figure(one.measured.name[:80], value)


def _silences(one: Series, span: Span) -> Iterator[Claim]:
    """That points which should have come have not."""
    measured = one.measured
    period = timedelta(seconds=min(max(1, measured.period), LONGEST_PERIOD))
    if not one.points:
        if measured.of_alarm:
            yield _silence(one, span.since, "has no data at all", 1.0)
        return
    first, until = one.points[0][0], span.until - LATE
    expected = (span.since - first) / period
    regular = expected >= MISSING and len(one.before(span.since)) >= REGULAR * expected
    if not regular or until <= span.before:
        return
    for gap in gaps(one.points, period, since=max(first, span.before), until=until):
        ends = gap.until >= until
        if gap.missing >= MISSING and gap.until > span.since:
            text = "stopped" if ends else "paused"
            yield _silence(one, gap.since, f"{text}: {gap.why}", 1.0 if ends else 0.5)
            return


def _silence(one: Series, at: datetime, what: str, weight: float) -> Claim:
    measured = one.measured
    return Claim(
        Source.METRICS,
        f"{one.title} of {quoted(short(measured.resource))} {what}",
        at=at,
        resource=clean(measured.resource),
        links=linked("metric", measured.link),
        weight=weight,
        key=f"silent {one.key}",
    )


# ── Nothing, and nothing to tell by ───────────────────────────────────────────────────────────────


def _is_young(one: Series) -> bool:
    """Whether nothing can be unusual yet: see `anomaly_scores`."""
    lasted = one.points[-1][0] - one.points[0][0]
    return len(one.points) <= WARM_UP_POINTS or lasted.total_seconds() < WARM_UP_SECONDS


def _usual(series: Sequence[Series]) -> Iterator[str]:
    for resource, some in _by_resource(one for one in series if one.points and not _is_young(one)):
        names = _names(some)
        yield f"Nothing unusual in {counted(len(some), 'metric')} of {resource}: {names}"


def _short_of(series: Sequence[Series]) -> Iterator[str]:
    for resource, some in _by_resource(one for one in series if not one.points):
        kind = "metric" if len(some) == 1 else "metrics"
        why = "CloudWatch has no points (some have them only when something happens)"
        yield f"the {kind} {_names(some)} of {resource} because {why}"
    for resource, some in _by_resource(one for one in series if one.points and _is_young(one)):
        why = "there is less than a day of history"
        yield f"whether the metrics {_names(some)} of {resource} moved because {why}"


def _by_resource(series: Iterator[Series]) -> list[tuple[str, list[Series]]]:
    groups: dict[str, list[Series]] = defaultdict(list)
    for one in series:
        groups[quoted(short(one.measured.resource))].append(one)
    return list(groups.items())


def _names(some: Sequence[Series]) -> str:
    names = list(dict.fromkeys(clean(one.measured.name, 80) for one in some))
    rest = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + rest


def unmeasured(gathered: Gathered) -> Iterator[str]:
    """Resources that no metric was looked at of, and nothing else says so."""
    told = " ".join(one.what for one in gathered.unchecked)
    measured = {one.resource for one in gathered.metrics}
    for resource in gathered.resources:
        name = short(resource.arn)
        if resource.arn not in measured and not ("metric" in told and name in told):
            yield f"the metrics of {quoted(name)} because none is known"


# ── Suspects ──────────────────────────────────────────────────────────────────────────────────────


def _suspects(gathered: Gathered, movers: Sequence[Series]) -> Iterator[str]:
    """Best first: of the ranked, those of which something moved, and the alarm's own."""
    target = _target(gathered)
    if target is None:
        return
    key = _key(target)
    normal: dict[Key, list[float | None]] = {}
    abnormal: dict[Key, list[float | None]] = {}
    period = timedelta(seconds=min(max(60, target.period), LONGEST_PERIOD))
    for one in gathered.metrics:
        points = sorted(point for point in one.points if isfinite(point[1]))
        normal[_key(one)] = [
            value for at, value in points
            if at < gathered.span.since and gathered.span.since - at <= NORMAL
        ]  # fmt: skip
        abnormal[_key(one)] = _aligned(points, one.period, gathered.span, period)
    moved = {one.measured.resource for one in movers} | ({target.resource} if movers else set())
    ranked = suspects(key, normal, abnormal, gathered.calls)
    some = [one.node for one in ranked if one.node in moved]
    yield from (clean(one) for one in some[:MOST_SUSPECTS])


def _target(gathered: Gathered) -> Measured | None:
    own = [one for one in gathered.metrics if one.of_alarm and one.points]
    return own[0] if own else None


def _key(one: Measured) -> Key:
    return one.resource, one.name, one.stat


def _aligned(
    points: Sequence[tuple[datetime, float]], lasts: int, span: Span, period: timedelta
) -> list[float | None]:
    """One value per period of the window; a point counts for all that it covers."""
    lasting_ = timedelta(seconds=min(max(1, lasts), LONGEST_PERIOD))
    # A point is of the time from `at` on; only those that reach into the window are looked at.
    near = [one for one in points if one[0] < span.until and span.since - one[0] < lasting_]
    moments = max(1, min(120, int((span.until - span.since) / period)))
    found: list[float | None] = []
    for number in range(moments):
        begin = span.since + number * period
        within = [
            value for at, value in near if at - begin < period and begin - at < lasting_
        ]  # fmt: skip
        found.append(sum(within) / len(within) if within else None)
    return found
