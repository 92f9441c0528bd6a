"""CloudWatch's metrics in the box: what the adapter reads, and that the box answers as AWS does."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local.aws import metric_data
from local.pace import INSTANT
from tests.local.service_box import REGION, TWO_O_CLOCK, ServiceBox, service_box
from watchkeeper.aws.errors import Refused
from watchkeeper.aws.metric_data import MetricData
from watchkeeper.triage.metric_model import MetricName, Wanted

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
ORDERS = {"DBInstanceIdentifier": "orders"}
METRIC = {"Namespace": "A", "MetricName": "b"}
CPU = MetricName.of("AWS/RDS", "CPUUtilization", ORDERS)


class Box(ServiceBox):
    def put(
        self,
        value: float,
        at: datetime,
        *,
        namespace: str = "AWS/RDS",
        name: str = "CPUUtilization",
        **dimensions: str,
    ) -> None:
        self.client("cloudwatch").put_metric_data(
            Namespace=namespace,
            MetricData=[
                {
                    "MetricName": name,
                    "Value": value,
                    "Timestamp": at,
                    "Dimensions": [
                        {"Name": key, "Value": one}
                        for key, one in (dimensions or ORDERS).items()
                        if one
                    ],
                }
            ],
        )


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    with service_box(Box, metric_data, pace=INSTANT) as box:
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        yield box


@pytest.fixture
def data() -> MetricData:
    return MetricData()


def wanted(stat: str = "Average", period: int = 300, metric: MetricName = CPU) -> Wanted:
    return Wanted(metric, stat, period, TWO_O_CLOCK - HOUR, TWO_O_CLOCK)


def test_points_are_by_period_in_utc_oldest_first(box: Box, data: MetricData) -> None:
    begin = TWO_O_CLOCK - HOUR
    for minute, value in ((0, 10), (1, 20), (4, 60), (5, 7), (59, 1), (60, 99)):
        box.put(value, begin + minute * MINUTE)
    [answer] = data.data([wanted()])
    assert answer.points == (
        (begin, 30.0),
        (begin + 5 * MINUTE, 7.0),
        (begin + 55 * MINUTE, 1.0),
    )
    assert answer.is_complete
    assert all(at.tzinfo is UTC for at, _ in answer.points)


@pytest.mark.parametrize(
    ("stat", "value"),
    [
        ("Sum", 5050.0),
        ("Average", 50.5),
        ("Minimum", 1.0),
        ("Maximum", 100.0),
        ("SampleCount", 100.0),
        ("p90", 90.1),
        ("p50", 50.5),
        ("p100", 100.0),
    ],
)
def test_statistics(box: Box, data: MetricData, stat: str, value: float) -> None:
    for number in range(1, 101):
        box.put(number, TWO_O_CLOCK - 5 * MINUTE + timedelta(seconds=number))
    [answer] = data.data([wanted(stat)])
    assert [round(one, 6) for _, one in answer.points] == [value]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"namespace": "Shop"}, id="another namespace's"),
        pytest.param({"name": "DatabaseConnections"}, id="another metric"),
        pytest.param({"DBInstanceIdentifier": "billing"}, id="another resource's"),
        pytest.param({**ORDERS, "Role": "WRITER"}, id="with more dimensions"),
        pytest.param({"DBInstanceIdentifier": ""}, id="without dimensions"),
    ],
)
def test_a_metric_is_its_namespace_name_and_exactly_its_dimensions(
    box: Box, data: MetricData, other: dict[str, str]
) -> None:
    box.put(1, TWO_O_CLOCK - MINUTE, **other)
    [answer] = data.data([wanted()])
    assert answer.points == ()
    assert answer.is_complete


def test_what_has_no_dimensions_is_not_the_sum_of_what_has(box: Box, data: MetricData) -> None:
    box.put(1, TWO_O_CLOCK - MINUTE)
    bare = MetricName.of("AWS/RDS", "CPUUtilization", {})
    [answer] = data.data([wanted(metric=bare)])
    assert answer.points == ()


def test_many_series_of_several_spans_come_in_the_order_asked(box: Box, data: MetricData) -> None:
    names = [MetricName.of("Shop", f"m{number:03}", ORDERS) for number in range(600)]
    for number in (0, 250, 599):
        box.put(number, TWO_O_CLOCK - MINUTE, namespace="Shop", name=names[number].name)
    asked = [
        Wanted(one, "Average", 60, TWO_O_CLOCK - (1 + number % 2) * HOUR, TWO_O_CLOCK)
        for number, one in enumerate(names)
    ]
    answers = data.data(asked)
    assert {number: one.points[0][1] for number, one in enumerate(answers) if one.points} == {
        0: 0.0,
        250: 250.0,
        599: 599.0,
    }


def test_pages_are_put_together(box: Box, data: MetricData) -> None:
    box.extensions[metric_data.__name__].most_points = 7
    other = MetricName.of("AWS/RDS", "DatabaseConnections", ORDERS)
    for minute in range(10):
        for name in (CPU.name, other.name):
            box.put(minute, TWO_O_CLOCK - (10 - minute) * MINUTE, name=name)
    nothing = MetricName.of("AWS/RDS", "ReadIOPS", ORDERS)
    asked = [wanted(period=60, metric=one) for one in (CPU, nothing, other)]
    answers = data.data(asked)
    assert [[value for _, value in one.points] for one in answers] == [
        list(map(float, range(10))),
        [],
        list(map(float, range(10))),
    ]
    assert all(one.is_complete for one in answers)


def test_nothing_asked_is_nothing_answered(box: Box, data: MetricData) -> None:
    assert data.data([]) == []


def test_listed_are_all_metrics_with_the_dimensions(box: Box, data: MetricData) -> None:
    at = TWO_O_CLOCK - MINUTE
    box.put(1, at)
    box.put(1, at, namespace="CWAgent", name="mem", **ORDERS, path="/")
    box.put(1, at, namespace="Shop", name="queue", **ORDERS)
    box.put(1, at, namespace="Shop", name="queue", **ORDERS)
    box.put(1, at, name="ReadIOPS", DBInstanceIdentifier="billing")
    box.put(1, TWO_O_CLOCK - timedelta(days=15), name="Old")
    listed = data.listed(ORDERS)
    assert listed.is_all
    assert listed.metrics == (
        CPU,
        MetricName.of("CWAgent", "mem", {**ORDERS, "path": "/"}),
        MetricName.of("Shop", "queue", ORDERS),
    )


def test_of_very_many_metrics_the_first_are_listed(box: Box, data: MetricData) -> None:
    for number in range(501):
        box.put(1, TWO_O_CLOCK, namespace="Shop", name=f"m{number:03}", **ORDERS)
    listed = data.listed(ORDERS)
    assert (len(listed.metrics), listed.is_all) == (500, False)


def test_recently_active_is_of_three_hours(box: Box) -> None:
    box.put(1, TWO_O_CLOCK - 4 * HOUR)
    box.put(1, TWO_O_CLOCK - 2 * HOUR, name="ReadIOPS")
    listed = box.client("cloudwatch").list_metrics(RecentlyActive="PT3H")["Metrics"]
    assert [one["MetricName"] for one in listed] == ["ReadIOPS"]


@pytest.mark.parametrize(
    "query",
    [
        {"Expression": "SUM(METRICS())"},
        {"MetricStat": {"Metric": METRIC, "Period": 61, "Stat": "Sum"}},
        {"MetricStat": {"Metric": METRIC, "Period": 60, "Stat": "Mean"}},
    ],
)
def test_what_nothing_computes_is_refused(box: Box, query: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="ValidationError"):
        box.client("cloudwatch").get_metric_data(
            MetricDataQueries=[{"Id": "m1", **query}],
            StartTime=TWO_O_CLOCK - HOUR,
            EndTime=TWO_O_CLOCK,
        )


def test_a_refusal_is_one_of_ours(box: Box, data: MetricData) -> None:
    with pytest.raises(Refused, match="cloudwatch:GetMetricData answered"):
        data.data([wanted("Median")])


def test_boto3_reaches_the_box(box: Box) -> None:
    client = boto3.client("cloudwatch", region_name=REGION)
    box.put(1, TWO_O_CLOCK)
    assert len(client.list_metrics()["Metrics"]) == 1
