"""GetMetricData and ListMetrics as AWS documents them, where moto answers wrongly in silence.

`install(cloud)` patches moto's classes until `cloud.stack` closes. moto ignores the namespace where
dimensions are given, takes no dimensions for all of them, knows no percentiles, no paging and no
limits, computes no metric math and reads all metrics once per period. What it adds:

- series by namespace, name and exactly their dimensions; periods that begin at whole ones;
- percentiles;
- limits and pages, with `PartialData` on every page but the last of a series;
- ListMetrics without what has had no data for two weeks, or for three hours if asked for.

Metric math is refused: nothing here computes it.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.cloudwatch.exceptions import InvalidParameterValue, ValidationError
from moto.cloudwatch.models import CloudWatchBackend, MetricAggregatedDatum, MetricDatum
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult

from local.aws.ebs import Box
from local.replacing import replace

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
MOST_QUERIES = 500
MOST_POINTS = 100_800
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_ListMetrics.html
MOST_LISTED = 500
LISTED_FOR = timedelta(weeks=2)
RECENTLY = timedelta(hours=3)
PERIODS_UNDER_A_MINUTE = frozenset({1, 5, 10, 20, 30})

Key = tuple[str, str, frozenset[tuple[str, str]]]
Datum = MetricDatum | MetricAggregatedDatum


class MetricData:
    """The installed API, and its switches."""

    def __init__(self, cloud: Box) -> None:
        self.cloud = cloud
        self.most_points = MOST_POINTS
        """Of one page. A test makes it small."""

    def operations(self) -> dict[str, Callable[[Any], ActionResult]]:
        return {"get_metric_data": self.get_metric_data, "list_metrics": self.list_metrics}

    # --- GetMetricData ---

    def get_metric_data(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html"""
        params = response._get_params()
        since, until = _utc(params["StartTime"]), _utc(params["EndTime"])
        queries = params.get("MetricDataQueries", [])
        _check(queries, since, until)
        series = _series(response.cloudwatch_backend, {_key(one) for one in queries})
        whole = [
            (one, _aggregated(series.get(_key(one), []), one["MetricStat"], since, until))
            for one in queries
        ]
        if (params.get("ScanBy") or "TimestampDescending") == "TimestampDescending":
            whole = [(one, points[::-1]) for one, points in whole]
        size = min(int(params.get("MaxDatapoints") or MOST_POINTS), self.most_points)
        begin = _place(params.get("NextToken"))
        results, after = _page(whole, begin, size)
        token = f"points-{after}" if after is not None else None
        return ActionResult({"MetricDataResults": results, "NextToken": token, "Messages": []})

    # --- ListMetrics ---

    def list_metrics(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_ListMetrics.html"""
        params = response._get_params()
        recently = params.get("RecentlyActive")
        if recently not in (None, "PT3H"):
            raise InvalidParameterValue("RecentlyActive must be PT3H")
        now = self.cloud.clock.now()
        since = now - (RECENTLY if recently else LISTED_FOR)
        found = {
            _key_of(one): one
            for one in response.cloudwatch_backend.get_all_metrics()
            if _utc(one.timestamp) >= since and _fits(one, params)
        }
        ordered = sorted(found, key=lambda key: (key[0], key[1], sorted(key[2])))
        begin = _place(params.get("NextToken"))
        page = ordered[begin : begin + MOST_LISTED]
        after = begin + MOST_LISTED
        token = f"points-{after}" if after < len(ordered) else None
        metrics = [
            {
                "Namespace": namespace,
                "MetricName": name,
                "Dimensions": [{"Name": k, "Value": v} for k, v in sorted(dimensions)],
            }
            for namespace, name, dimensions in page
        ]
        return ActionResult({"Metrics": metrics, "NextToken": token})


def install(cloud: Box) -> MetricData:
    """Make moto's CloudWatch answer like this until `cloud.stack` closes; returns the switches."""
    data = MetricData(cloud)
    for name, handler in data.operations().items():
        replace(cloud.stack, CloudWatchResponse, name, _as_method(handler))
    return data


def _as_method(handler: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
    """Moto finds the operations of a response class by looking for plain functions."""

    def operation(response: Any) -> ActionResult:
        return handler(response)

    return operation


def _utc(at: datetime) -> datetime:
    """Of a time of moto's, which has no zone."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _place(token: str | None) -> int:
    if not token:
        return 0
    if not re.fullmatch(r"points-\d+", token):
        raise InvalidParameterValue("Request parameter NextToken is invalid")
    return int(token.partition("-")[2])


# --- Which series ---------------------------------------------------------------------------------


def _key(query: Mapping[str, Any]) -> Key:
    metric = query["MetricStat"]["Metric"]
    dimensions = frozenset((one["Name"], one["Value"]) for one in metric.get("Dimensions", ()))
    return (metric["Namespace"], metric["MetricName"], dimensions)


def _key_of(datum: Any) -> Key:
    return (datum.namespace, datum.name, frozenset((d.name, d.value) for d in datum.dimensions))


def _fits(datum: Any, params: Mapping[str, Any]) -> bool:
    if params.get("Namespace") not in (None, datum.namespace):
        return False
    if params.get("MetricName") not in (None, datum.name):
        return False
    own = {one.name: one.value for one in datum.dimensions}
    return all(
        one["Name"] in own and one.get("Value") in (None, own[one["Name"]])
        for one in params.get("Dimensions", ())
    )


def _series(backend: CloudWatchBackend, keys: set[Key]) -> dict[Key, list[Datum]]:
    names = {(key[0], key[1]) for key in keys}
    found: dict[Key, list[Datum]] = defaultdict(list)
    for one in backend.get_all_metrics():
        if (one.namespace, one.name) in names:
            assert isinstance(one, MetricDatum | MetricAggregatedDatum)
            found[_key_of(one)].append(one)
    for series in found.values():
        series.sort(key=lambda one: _utc(one.timestamp))
    return found


# --- Points ---------------------------------------------------------------------------------------


def _check(queries: Sequence[Mapping[str, Any]], since: datetime, until: datetime) -> None:
    if since >= until:
        raise ValidationError("The parameter StartTime must be less than the parameter EndTime.")
    if len(queries) > MOST_QUERIES:
        raise ValidationError(f"The collection MetricDataQueries must not exceed {MOST_QUERIES}.")
    ids = [one["Id"] for one in queries]
    if len(set(ids)) < len(ids) or not all(re.fullmatch(r"[a-z]\w{0,254}", one) for one in ids):
        raise ValidationError("The values for parameter id in MetricDataQueries are not unique.")
    for one in queries:
        if "MetricStat" not in one:
            raise ValidationError("Nothing in the box computes metric math: ask for its inputs.")
        period = int(one["MetricStat"]["Period"])
        if period not in PERIODS_UNDER_A_MINUTE and (period < 60 or period % 60):
            raise ValidationError(f"Period {period} must be 1, 5, 10, 20, 30 or a multiple of 60.")
        _statistic(one["MetricStat"]["Stat"])


def _aggregated(
    series: Sequence[Datum], asked: Mapping[str, Any], since: datetime, until: datetime
) -> list[tuple[datetime, float]]:
    """By period. Periods begin at multiples of themselves: what begins before the first whole one
    is left out, as where AWS's metrics begin in the middle of one.
    """
    period = int(asked["Period"])
    statistic = _statistic(asked["Stat"])
    unit = asked.get("Unit")
    first = bisect_left(series, since.replace(second=0, microsecond=0), key=_at)
    last = bisect_left(series, until, key=_at)
    buckets: dict[int, list[Datum]] = defaultdict(list)
    for one in series[first:last]:
        if unit in (None, one.unit):
            buckets[int(_at(one).timestamp()) // period].append(one)
    return [
        (datetime.fromtimestamp(number * period, UTC), statistic(data))
        for number, data in sorted(buckets.items())
    ]


def _at(datum: Datum) -> datetime:
    return _utc(datum.timestamp)


def _statistic(name: str) -> Callable[[Sequence[Datum]], float]:
    if name in PLAIN:
        return PLAIN[name]
    percentile = re.fullmatch(r"p(\d{1,2}(?:\.\d{1,10})?|100)", name)
    if not percentile:
        raise ValidationError(f"The value {name} for parameter Stat is not supported.")
    return lambda data: _percentile([_value(one) for one in data], float(percentile[1]))


def _value(datum: Datum) -> float:
    if isinstance(datum, MetricAggregatedDatum):
        raise ValidationError("AWS has no percentiles of statistic sets, and neither has the box.")
    return float(datum.value)


def _percentile(values: Sequence[float], percent: float) -> float:
    """The value below which `percent` of them are, between two of them on the line through both."""
    ordered = sorted(values)
    place = percent / 100 * (len(ordered) - 1)
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return low + (high - low) * (place - math.floor(place))


def _count(data: Sequence[Datum]) -> float:
    return sum(one.sample_count if isinstance(one, MetricAggregatedDatum) else 1.0 for one in data)


def _sum(data: Sequence[Datum]) -> float:
    return sum(one.sum if isinstance(one, MetricAggregatedDatum) else one.value for one in data)


PLAIN: Mapping[str, Callable[[Sequence[Datum]], float]] = {
    "Sum": _sum,
    "SampleCount": _count,
    "Average": lambda data: _sum(data) / _count(data),
    "Minimum": lambda data: min(
        one.min if isinstance(one, MetricAggregatedDatum) else one.value for one in data
    ),
    "Maximum": lambda data: max(
        one.max if isinstance(one, MetricAggregatedDatum) else one.value for one in data
    ),
}


def _page(
    whole: Sequence[tuple[Mapping[str, Any], list[tuple[datetime, float]]]], begin: int, size: int
) -> tuple[list[dict[str, Any]], int | None]:
    """The points from the `begin`-th on, over all series, and where the next page begins.

    A series without a point is on the first page; one that goes on is `PartialData` until its end.
    """
    results = []
    place = 0
    end = begin + size
    for query, points in whole:
        first, last = max(begin - place, 0), end - place
        shown = points[first : max(last, 0)]
        if shown or (not points and begin == 0):
            metric = query["MetricStat"]["Metric"]["MetricName"]
            results.append(
                {
                    "Id": query["Id"],
                    "Label": query.get("Label") or metric,
                    "Timestamps": [at for at, _ in shown],
                    "Values": [value for _, value in shown],
                    "StatusCode": "PartialData" if shown and last < len(points) else "Complete",
                }
            )
        place += len(points)
    return results, end if end < place else None
