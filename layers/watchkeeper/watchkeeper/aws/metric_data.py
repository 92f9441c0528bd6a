"""CloudWatch's metrics: which there are of a resource, and their points. All times are UTC."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property
from itertools import groupby
from typing import Any

from watchkeeper.aws.client import client
from watchkeeper.aws.errors import translated
from watchkeeper.aws.iam import needs
from watchkeeper.aws.paging import paged
from watchkeeper.triage.metric_model import Answer, Dimensions, Listed, MetricName, Wanted

MOST_QUERIES = 500
MOST_POINTS = 100_800
"""Of one call: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html"""
UNANSWERED = Answer(status="", message="CloudWatch did not answer about it")


class MetricData:
    """The metrics of this account and Region."""

    @cached_property
    def client(self) -> Any:
        return client("cloudwatch")

    @needs("cloudwatch:ListMetrics")
    def listed(self, dimensions: Dimensions) -> Listed:
        """Metrics with at least these dimensions and data in the last two weeks, whatever their
        namespace: the service's own, those of the CloudWatch agent, the operator's.

        One request: the first 500, in the order of their names. A metric that has just been made
        may be missing for a quarter of an hour:
        https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_ListMetrics.html
        """
        asked = [{"Name": name, "Value": value} for name, value in sorted(dimensions.items())]
        with translated("cloudwatch:ListMetrics"):
            answered = self.client.list_metrics(Dimensions=asked)
        found = [_name(one) for one in answered["Metrics"]]
        found.sort(key=lambda one: (one.namespace, one.name, one.dimensions))
        return Listed(tuple(found), is_all=not answered.get("NextToken"))

    @needs("cloudwatch:GetMetricData")
    def data(self, wanted: Sequence[Wanted]) -> list[Answer]:
        """One answer for each, in the same order, from as few calls as fit.

        Points of under a minute are kept for three hours, of a minute for 15 days, of five minutes
        for 63: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html
        """
        answers = [UNANSWERED] * len(wanted)
        numbered = sorted(enumerate(wanted), key=lambda one: (one[1].since, one[1].until))
        for span, group in groupby(numbered, key=lambda one: (one[1].since, one[1].until)):
            for batch in _batches(list(group)):
                for number, answer in self._answered(span, batch):
                    answers[number] = answer
        return answers

    def _answered(
        self, span: tuple[datetime, datetime], batch: Sequence[tuple[int, Wanted]]
    ) -> Iterator[tuple[int, Answer]]:
        parts: dict[str, list[dict[str, Any]]] = {}
        for part in paged(
            self.client,
            "get_metric_data",
            "MetricDataResults",
            MOST_POINTS,
            StartTime=span[0],
            EndTime=span[1],
            ScanBy="TimestampAscending",
            MetricDataQueries=[_query(number, one) for number, one in batch],
        ):
            parts.setdefault(part["Id"], []).append(part)
        for number, _ in batch:
            if _id(number) in parts:
                yield number, _joined(parts[_id(number)])


def _batches(numbered: list[tuple[int, Wanted]]) -> Iterator[list[tuple[int, Wanted]]]:
    batch: list[tuple[int, Wanted]] = []
    points = 0
    for one in numbered:
        if batch and (len(batch) == MOST_QUERIES or points + one[1].most > MOST_POINTS):
            yield batch
            batch, points = [], 0
        batch.append(one)
        points += one[1].most
    if batch:
        yield batch


def _id(number: int) -> str:
    """It must begin with a small letter."""
    return f"m{number}"


def _query(number: int, wanted: Wanted) -> dict[str, Any]:
    metric = wanted.metric
    return {
        "Id": _id(number),
        "MetricStat": {
            "Metric": {
                "Namespace": metric.namespace,
                "MetricName": metric.name,
                "Dimensions": [{"Name": name, "Value": value} for name, value in metric.dimensions],
            },
            "Period": wanted.period,
            "Stat": wanted.stat,
        },
    }


def _joined(parts: Sequence[dict[str, Any]]) -> Answer:
    """One series from the pages on which it was. Every page but the last has a part only."""
    points = {
        at.astimezone(UTC): float(value)
        for part in parts
        for at, value in zip(part.get("Timestamps", ()), part.get("Values", ()), strict=True)
    }
    messages = [one.get("Value", "") for part in parts for one in part.get("Messages", ())]
    status = parts[-1].get("StatusCode", "")
    return Answer(tuple(sorted(points.items())), status, "; ".join(dict.fromkeys(messages)))


def _name(found: dict[str, Any]) -> MetricName:
    dimensions = {one["Name"]: one["Value"] for one in found.get("Dimensions", ())}
    return MetricName.of(found["Namespace"], found["MetricName"], dimensions)
