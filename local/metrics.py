"""Metrics: what functions print in embedded metric format, and what AWS itself measures.

Kept twice: in moto's CloudWatch, where the API finds them, and here by series, where alarms read
them fast.
"""

from __future__ import annotations

import json
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends

Key = tuple[str, str, frozenset[tuple[str, str]]]


@dataclass(frozen=True)
class Metric:
    """One measured value."""

    namespace: str
    name: str
    value: float
    at: datetime
    unit: str = "None"
    dimensions: dict[str, str] = field(default_factory=dict, hash=False)
    function: str | None = None
    """Logical id of the function that printed it; None when AWS measured it."""

    @property
    def key(self) -> Key:
        """The series that it belongs to."""
        return (self.namespace, self.name, frozenset(self.dimensions.items()))


@dataclass(order=True)
class _Datum:
    at: datetime
    value: float = field(compare=False)
    assumed: bool = field(compare=False, default=False)


class Metrics:
    """Everything measured in one box; iterating gives each Metric in the order of arrival."""

    def __init__(self, account_id: str, region: str) -> None:
        self._backend = cloudwatch_backends[account_id][region]
        self._recorded: list[Metric] = []
        self._series: dict[Key, list[_Datum]] = defaultdict(list)
        self._listeners: list[Callable[[Key, datetime], None]] = []

    def __iter__(self) -> Iterator[Metric]:
        return iter(self._recorded)

    def __len__(self) -> int:
        return len(self._recorded)

    def listen(self, listener: Callable[[Key, datetime], None]) -> None:
        """Call `listener(series, when)` for every value, and for the end of every assumption."""
        self._listeners.append(listener)

    def record(self, metric: Metric, *, tell: bool = True) -> None:
        """Measure a value, and tell the listeners."""
        self._recorded.append(metric)
        insort(self._series[metric.key], _Datum(metric.at, metric.value))
        self._backend.put_metric_data(
            metric.namespace,
            [
                {
                    "MetricName": metric.name,
                    "Value": metric.value,
                    "Unit": metric.unit,
                    # moto compares with times that have no zone.
                    "Timestamp": metric.at.astimezone(UTC).replace(tzinfo=None),
                    "Dimensions": [{"Name": k, "Value": v} for k, v in metric.dimensions.items()],
                }
            ],
        )
        for listener in self._listeners if tell else ():
            listener(metric.key, metric.at)

    def values(self, key: Key, start: datetime, end: datetime) -> list[float]:
        """The values of a series with `start` <= time < `end`, assumed ones included."""
        series = self._series.get(key, [])
        first = bisect_left(series, start, key=lambda datum: datum.at)
        last = bisect_left(series, end, key=lambda datum: datum.at)
        return [datum.value for datum in series[first:last]]

    def last(self, name: str, **dimensions: str) -> float | None:
        """The newest value of a metric with at least these dimensions; None when there is none."""
        for metric in reversed(self._recorded):
            if metric.name == name and dimensions.items() <= metric.dimensions.items():
                return metric.value
        return None

    def assume(self, metrics: list[Metric], times: list[datetime]) -> None:
        """Take these metrics as measured again at each of `times`: ticks that thinning skips."""
        for metric in metrics:
            series = self._series[metric.key]
            for when in times:
                insort(series, _Datum(when, metric.value, assumed=True))
            for listener in self._listeners:
                listener(metric.key, times[-1])

    def stop_assuming(self, metrics: list[Metric], start: datetime) -> None:
        """Forget what was assumed from `start` on: the ticks will happen after all."""
        for metric in metrics:
            series = self._series[metric.key]
            first = bisect_left(series, start, key=lambda datum: datum.at)
            series[first:] = [datum for datum in series[first:] if not datum.assumed]
            for listener in self._listeners:
                listener(metric.key, start)

    def assumed_until(self, key: Key, start: datetime) -> datetime | None:
        """The time of the last assumed value at or after `start`; None when nothing is assumed."""
        series = self._series.get(key, [])
        first = bisect_left(series, start, key=lambda datum: datum.at)
        return max((datum.at for datum in series[first:] if datum.assumed), default=None)


def parse_emf(line: str, function: str) -> list[Metric]:
    """The metrics in a line of embedded metric format; none in any other line.

    A malformed document is an error here, because CloudWatch would drop it without a word.
    """
    if not line.startswith("{") or '"_aws"' not in line:
        return []
    document = json.loads(line)
    about = document.get("_aws")
    if not isinstance(about, dict):
        return []
    at = datetime.fromtimestamp(about["Timestamp"] / 1000, UTC)
    found: list[Metric] = []
    for directive in about["CloudWatchMetrics"]:
        for names in directive.get("Dimensions") or [[]]:
            dimensions = {name: str(document[name]) for name in names}
            for definition in directive["Metrics"]:
                found += _values(
                    document, definition, directive["Namespace"], dimensions, at, function
                )
    return found


def _values(
    document: dict[str, Any],
    definition: dict[str, Any],
    namespace: str,
    dimensions: dict[str, str],
    at: datetime,
    function: str,
) -> list[Metric]:
    values = document[definition["Name"]]
    first = Metric(
        namespace, definition["Name"], 0.0, at, definition.get("Unit", "None"), dimensions, function
    )
    return [
        replace(first, value=float(value))
        for value in (values if isinstance(values, list) else [values])
    ]
