"""Looks at metrics: those that the alarms are about, and those of the resources they are about.

What is asked follows from the alarms' configuration and from ARNs, never from texts.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from watchkeeper.aws.errors import AwsError, Busy
from watchkeeper.quoting import quoted
from watchkeeper.triage.alarm_model import Alarm, Kind, Metric
from watchkeeper.triage.gathered import Found, Measured, Resource, Unchecked
from watchkeeper.triage.links import metric_link
from watchkeeper.triage.looking import Asked
from watchkeeper.triage.metric_model import (
    Answer,
    Listed,
    MetricName,
    MetricSource,
    Wanted,
    only_lower_bounds_dropped,
)
from watchkeeper.triage.metric_table import AVERAGE, Identity, identity

MOST = 60
"""Metrics of a look: with three days each that is half of what one call answers, and 0.06 cents."""
MOST_OF_ALARMS = 30
"""Of them, so that metric math over a hundred leaves room for what is around it."""
PERIOD = 300
"""Seconds: what services measure without being paid for more, and kept for 63 days."""
HISTORY = timedelta(days=3)
"""What scores need to know what is usual: a day before they say anything, then as much again."""
DETAIL = timedelta(hours=3)
"""At the alarm's own period: what is looked at point by point."""
FINEST = 60
"""Seconds: finer points are gone after three hours."""
CUSTOM_TURN = 4
"""Metrics that no table knows come after so many well-known ones of the same resource."""
MOST_LINES = 5
"""Metrics that are named as missing for one reason: a page of them would hide all else."""
LINK_LEAD = timedelta(hours=1)
"""What a picture shows before the incident."""

_STAT = re.compile(r"[A-Za-z]{1,20}\d{0,3}(?:\.\d{1,10})?|[A-Z]{2}\([\d.:%]{1,40}\)")
"""`Sum`, `p99.9`, `TM(10%:90%)`."""
_NAME = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,254}")
_NAMESPACE = re.compile(r"[\w./#-][\w.:/# -]{0,254}", re.ASCII)
"""As CloudWatch takes them: one that it refuses would take the whole call with it."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A series to ask for, and what it is for."""

    wanted: Wanted
    of_alarm: bool = False
    threshold: float | None = None
    must_be: str = ""
    """What is told if there is none of it; "" if that is no news."""


class MetricLook:
    """See `looking.Look`."""

    def __init__(self, source: MetricSource, place: tuple[str, str, str]) -> None:
        self.source = source
        self.place = place
        """Partition, Region and account: only metrics of these are looked at."""

    def __call__(self, asked: Asked, now: datetime) -> Found:
        known = [one for one in map(_identified, asked.resources) if isinstance(one, Identity)]
        unchecked = [one for one in map(_identified, asked.resources) if isinstance(one, Unchecked)]
        planned, unread = _of_alarms(asked.alarms, self.place, now)
        listed, untold = self._listed(known)
        of_resources, left_out = _of_resources(asked.resources, known, listed, planned, now)
        planned += of_resources
        unchecked += [*unread, *untold, *left_out]
        used = {
            "metrics_requested": float(len(planned)),
            "cloudwatch_requests": float(len(known)),
        }
        try:
            answers = self.source.data([one.wanted for one in planned]) if planned else ()
        except AwsError as error:
            unchecked.append(Unchecked("the metrics", error.quoted))
            return Found(unchecked=tuple(unchecked), used=used)
        measured = []
        missing: list[Unchecked] = []
        for plan, answer in zip(planned, answers, strict=True):
            missing += _missing(plan, answer)
            if answer.points or plan.of_alarm:
                measured.append(self._measured(asked, known, plan, answer, now))
        unchecked += _in_few_lines(missing)
        return Found(metrics=tuple(measured), unchecked=tuple(unchecked), used=used)

    def _listed(
        self, known: Sequence[Identity]
    ) -> tuple[Mapping[str, Listed], Sequence[Unchecked]]:
        """By ARN, as far as it can be told. Who is throttled once is not asked on."""
        listed: dict[str, Listed] = {}
        unchecked: list[Unchecked] = []
        busy: Busy | None = None
        for one in known:
            try:
                if busy:
                    raise busy
                listed[one.arn] = self.source.listed(one.dimensions)
            except AwsError as error:
                busy = error if isinstance(error, Busy) else None
                unchecked.append(Unchecked(f"which metrics {one.arn} has", error.quoted))
                continue
            if not listed[one.arn].is_all:
                unchecked.append(
                    Unchecked(f"all metrics of {one.arn}", "it has more than one page of them")
                )
        return listed, unchecked

    def _measured(
        self,
        asked: Asked,
        known: Sequence[Identity],
        plan: Planned,
        answer: Answer,
        now: datetime,
    ) -> Measured:
        wanted, metric = plan.wanted, plan.wanted.metric
        dimensions = dict(metric.dimensions)
        since, until = asked.span.since - LINK_LEAD, max(asked.span.until, now)
        return Measured(
            resource=_resource_of(metric, known),
            namespace=metric.namespace,
            name=metric.name,
            stat=wanted.stat,
            dimensions=dimensions,
            period=wanted.period,
            points=tuple(only_lower_bounds_dropped(answer.points, wanted, now)),
            of_alarm=plan.of_alarm,
            threshold=plan.threshold,
            link=metric_link(
                self.place[1], metric.namespace, metric.name, dimensions, wanted.stat,
                wanted.period, since, until,
            ),
        )  # fmt: skip


def _missing(plan: Planned, answer: Answer) -> Iterator[Unchecked]:
    if not answer.is_complete:
        status = answer.status or "nothing"
        why = f": {quoted(answer.message)}" if answer.message else ""
        what = f"all of {_words(plan.wanted.metric)}"
        yield Unchecked(what, f"CloudWatch answered {status}{why}")
    elif plan.must_be and not answer.points:
        hours = (plan.wanted.until - plan.wanted.since) // timedelta(hours=1)
        yield Unchecked(plan.must_be, f"CloudWatch has no data of it for the last {hours} hours")


def _in_few_lines(missing: Sequence[Unchecked]) -> Iterator[Unchecked]:
    """Each once; of more than a few with the same reason, the first ones and how many there are."""
    by_reason: dict[str, list[str]] = {}
    for one in dict.fromkeys(missing):
        by_reason.setdefault(one.why, []).append(one.what)
    for why, whats in by_reason.items():
        yield from (Unchecked(what, why) for what in whats[:MOST_LINES])
        if len(whats) > MOST_LINES:
            yield Unchecked(f"{len(whats) - MOST_LINES} further metrics", why)


def _words(metric: MetricName) -> str:
    return f"{metric} of {_dimensions_in_words(metric)}"


def _dimensions_in_words(metric: MetricName) -> str:
    return ", ".join(f"{name}={value}" for name, value in metric.dimensions) or "the whole account"


def _resource_of(metric: MetricName, known: Sequence[Identity]) -> str:
    """The one with the most of its dimensions: a service before its cluster."""
    own = [one for one in known if one.is_of(metric)]
    best = max(own, key=lambda one: len(one.dimensions), default=None)
    return best.arn if best else _dimensions_in_words(metric)


def _identified(resource: Resource) -> Identity | Unchecked:
    found = identity(resource.arn)
    return found or Unchecked(
        f"the metrics of {resource.arn}", "it is not known which metrics are its own"
    )


# ── The alarms' own ───────────────────────────────────────────────────────────────────────────────


def _of_alarms(
    alarms: Sequence[Alarm], place: tuple[str, str, str], now: datetime
) -> tuple[list[Planned], list[Unchecked]]:
    """Three days of each metric, and the last hours at its own period where that is another."""
    planned: dict[tuple[MetricName, str, int], Planned] = {}
    unchecked: list[Unchecked] = []
    for alarm in alarms:
        why_not = _not_ours(alarm, place)
        if why_not:
            unchecked.append(Unchecked(f"the metrics of the alarm {quoted(alarm.name)}", why_not))
            continue
        for metric in alarm.metrics:
            if metric.expression or not metric.name:
                continue
            if not _is_fit(metric):
                what = f"a metric of the alarm {quoted(alarm.name)}"
                unchecked.append(Unchecked(what, "it is not described as CloudWatch does"))
                continue
            for one in _series_of(alarm, metric, now):
                key = (one.wanted.metric, one.wanted.stat, one.wanted.period)
                kept = planned.get(key)
                planned[key] = kept if kept and kept.threshold is not None else one
    series = list(planned.values())
    if len(series) > MOST_OF_ALARMS:
        many = f"{len(series) - MOST_OF_ALARMS} further metrics of the alarms"
        unchecked.append(Unchecked(many, f"at most {MOST_OF_ALARMS} of them are looked at"))
    return series[:MOST_OF_ALARMS], unchecked


def _not_ours(alarm: Alarm, place: tuple[str, str, str]) -> str:
    """Why an alarm's metrics are not to be had here; "" if they are, or if it has none to have."""
    here = (alarm.region or place[1], alarm.account or place[2])
    if here != place[1:] and alarm.kind is not Kind.ALERT:
        return f"they are of {quoted(here[1])} in {quoted(here[0])}"
    return {
        Kind.ALERT: "they are in Prometheus, not in CloudWatch",
        Kind.QUERY: "it is a query over many metrics, which is not asked again",
    }.get(alarm.kind, "")


def _is_fit(metric: Metric) -> bool:
    named = (metric.name, *metric.dimensions, *metric.dimensions.values())
    return bool(
        _NAMESPACE.fullmatch(metric.namespace)
        and all(map(_NAME.fullmatch, named))
        and (not metric.stat or _STAT.fullmatch(metric.stat))
    )


def _series_of(alarm: Alarm, metric: Metric, now: datetime) -> Iterator[Planned]:
    name = MetricName.of(metric.namespace, metric.name, metric.dimensions)
    stat = metric.stat or AVERAGE
    period = _period(metric)
    coarse = -(-max(PERIOD, period) // PERIOD) * PERIOD
    threshold = alarm.threshold if alarm.kind is Kind.METRIC else None
    # What is counted in another period is held against another threshold.
    comparable = coarse == period or stat not in ("Sum", "SampleCount")
    yield Planned(
        Wanted.lasting(name, stat, coarse, HISTORY, now),
        of_alarm=True,
        threshold=threshold if comparable else None,
        must_be=_words(name),
    )
    if period != coarse:
        detail = Wanted.lasting(name, stat, period, DETAIL, now)
        yield Planned(detail, of_alarm=True, threshold=threshold)


def _period(metric: Metric) -> int:
    """In whole minutes, between one and a day, which is CloudWatch's longest for alarms."""
    given = metric.period if metric.period and metric.period > 0 else PERIOD
    minutes = min(max(round(given / FINEST), 1), 1_440)
    return minutes * FINEST


# ── The resources' ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Candidate:
    turn: int
    metric: MetricName
    stat: str
    must_be: str = ""


def _of_resources(
    resources: Sequence[Resource],
    known: Sequence[Identity],
    listed: Mapping[str, Listed],
    planned: Sequence[Planned],
    now: datetime,
) -> tuple[list[Planned], list[Unchecked]]:
    """In turns, so that none goes without: two of each resource that is hit, one of those beside.

    Of several at the same turn, those come first that are first in the list of resources.
    """
    beside = {one.arn for one in resources if one.beside}
    candidates = [
        candidate
        for one in known
        for candidate in _candidates(one, listed.get(one.arn), is_hit=one.arn not in beside)
    ]
    candidates.sort(key=lambda one: one.turn)
    taken = {one.wanted.metric for one in planned}
    chosen: dict[MetricName, Planned] = {}
    for one in candidates:
        if one.metric not in taken and one.metric not in chosen:
            wanted = Wanted.lasting(one.metric, one.stat, PERIOD, HISTORY, now)
            chosen[one.metric] = Planned(wanted, must_be=one.must_be)
    room = MOST - len(planned)
    left_out = len(chosen) - room
    unchecked = (
        [Unchecked(f"{left_out} further metrics", f"at most {MOST} are looked at")]
        if left_out > 0
        else []
    )
    return list(chosen.values())[:room], unchecked


def _candidates(one: Identity, listed: Listed | None, *, is_hit: bool) -> Iterator[_Candidate]:
    """What is listed and has no data now is told; what nobody has ever seen is simply not there."""
    metrics = list(listed.metrics) if listed else []
    seen = set(metrics)
    each = 2 if is_hit else 1
    for number, (well_known, metric) in enumerate(one.well_known(metrics)):
        must_be = "" if well_known.is_rare or metric not in seen else _words(metric)
        yield _Candidate(number // each, metric, well_known.stat, must_be)
    for number, metric in enumerate(one.others(metrics)):
        yield _Candidate(CUSTOM_TURN + number // each, metric, AVERAGE)
