"""Looks at metrics: what is asked for, what is found, and what is said to be missing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.aws import metric_data
from local.metrics import Metric as Recorded
from local.metrics import Metrics
from local.pace import INSTANT
from tests.local.service_box import ACCOUNT, REGION, TWO_O_CLOCK, ServiceBox, service_box
from watchkeeper.aws.errors import AwsError, Denied, Throttled
from watchkeeper.aws.metric_data import MetricData
from watchkeeper.triage.alarm_model import Alarm, Kind, Metric, State
from watchkeeper.triage.gathered import Found, Resource, Span
from watchkeeper.triage.looking import Asked
from watchkeeper.triage.metric_looks import MOST, MetricLook
from watchkeeper.triage.metric_model import (
    Answer,
    Dimensions,
    Listed,
    MetricName,
    Wanted,
    only_lower_bounds_dropped,
)
from watchkeeper.triage.metric_table import identity
from watchkeeper.triage.metrics import THRESHOLD, anomaly_scores

NOW = TWO_O_CLOCK + timedelta(minutes=3)
MINUTE = timedelta(minutes=1)
PLACE = ("aws", REGION, ACCOUNT)
ORDERS = f"arn:aws:rds:{REGION}:{ACCOUNT}:db:orders"
API = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:orders-api"
OF_ORDERS = {"DBInstanceIdentifier": "orders"}
OF_API = {"FunctionName": "orders-api"}


def alarm(**more: object) -> Alarm:
    told = {
        "identity": "a", "key": "a", "kind": Kind.METRIC, "name": "orders is busy",
        "state": State.ALARM, "threshold": 90.0, "account": ACCOUNT, "region": REGION,
        "metrics": (
            Metric(
                namespace="AWS/RDS", name="CPUUtilization", dimensions=OF_ORDERS, stat="Average",
                period=60,
            ),
        ),
    }  # fmt: skip
    return Alarm.model_validate(told | more)


def asked(*resources: str, alarms: Sequence[Alarm] = (), beside: Sequence[str] = ()) -> Asked:
    return Asked(
        incident="i",
        look=0,
        span=Span.of(NOW - 5 * MINUTE, NOW),
        alarms=alarms,
        resources=[
            *(Resource(one) for one in resources),
            *(Resource(one, beside="a neighbour") for one in beside),
        ],
        calls={},
    )


@dataclass
class Source:
    """Metrics that have a constant value for as long as is asked."""

    metrics: Sequence[MetricName] = ()
    silent: Sequence[str] = ()
    """Names of those that have no points."""
    status: str = "Complete"
    refuses: Sequence[AwsError | None] = (None, None)
    """What listing and reading answer."""
    asked: list[Wanted] = field(default_factory=list)

    def listed(self, dimensions: Dimensions) -> Listed:
        if self.refuses[0]:
            raise self.refuses[0]
        return Listed(
            [one for one in self.metrics if dimensions.items() <= dict(one.dimensions).items()]
        )

    def data(self, wanted: Sequence[Wanted]) -> Sequence[Answer]:
        if self.refuses[1]:
            raise self.refuses[1]
        return [
            Answer(
                ((one.since, 1.0),)
                if one.metric in self.metrics and one.metric.name not in self.silent
                else (),
                self.status,
            )
            for one in wanted
        ]


def look(source: Source, what: Asked) -> Found:
    return MetricLook(source, PLACE)(what, NOW)


def rds(name: str) -> MetricName:
    return MetricName.of("AWS/RDS", name, OF_ORDERS)


CPU = rds("CPUUtilization")


# ── End to end ────────────────────────────────────────────────────────────────────────────────────


def test_rising_cpu_of_a_database_is_found_in_the_box(monkeypatch: pytest.MonkeyPatch) -> None:
    with service_box(ServiceBox, metric_data, pace=INSTANT) as box:
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        metrics = Metrics(ACCOUNT, REGION)
        for number in range(3 * 24 * 60):
            at = NOW - (number + 1) * MINUTE
            cpu = 95.0 if number < 10 else 20.0 + number % 7
            for name, value in (("CPUUtilization", cpu), ("DatabaseConnections", 40.0)):
                if name == "CPUUtilization" or number % 5 == 0:
                    metrics.record(Recorded("AWS/RDS", name, value, at, dimensions=dict(OF_ORDERS)))
        metrics.record(Recorded("Shop", "Baskets", 4.0, NOW - MINUTE, dimensions=dict(OF_ORDERS)))
        box.clock.run_for(NOW - TWO_O_CLOCK)
        found = MetricLook(MetricData(), PLACE)(asked(ORDERS, alarms=[alarm()]), NOW)
    assert found.unchecked == ()
    assert found.used["metrics_requested"] > 10
    coarse, fine, *others = found.metrics
    assert (coarse.name, coarse.period, coarse.of_alarm, coarse.threshold) == (
        "CPUUtilization", 300, True, 90.0,
    )  # fmt: skip
    assert (coarse.resource, coarse.dimensions) == (ORDERS, OF_ORDERS)
    scores = anomaly_scores(coarse.points)
    odd = [at for (at, _), score in zip(coarse.points, scores, strict=True) if score >= THRESHOLD]
    assert len(coarse.points) == 3 * 24 * 12
    assert [at for at in odd if at > NOW - 20 * MINUTE] == odd != []
    assert (fine.name, fine.period, fine.threshold) == ("CPUUtilization", 60, 90.0)
    assert [value for _, value in fine.points[-10:]] == [95.0] * 10
    assert fine.points[0][0] >= NOW - timedelta(hours=3)
    assert [(one.name, one.stat, one.of_alarm) for one in others] == [
        ("DatabaseConnections", "Average", False),
        ("Baskets", "Average", False),
    ]
    assert all("CPUUtilization" in one.link and REGION in one.link for one in (coarse, fine))


# ── The alarms' own ───────────────────────────────────────────────────────────────────────────────


def test_without_a_point_the_alarms_own_metric_is_there_and_said_to_be_missing() -> None:
    found = look(Source(), asked(alarms=[alarm()]))
    assert [(one.name, one.period, one.points) for one in found.metrics] == [
        ("CPUUtilization", 300, ()),
        ("CPUUtilization", 60, ()),
    ]
    assert [(one.what, one.why) for one in found.unchecked] == [
        (
            "AWS/RDS CPUUtilization of DBInstanceIdentifier=orders",
            "CloudWatch has no data of it for the last 72 hours",
        )
    ]


@pytest.mark.parametrize(
    ("stat", "period", "expected"),
    [
        ("Average", 60, [(300, 5.0), (60, 5.0)]),
        ("Sum", 60, [(300, None), (60, 5.0)]),
        ("Sum", 300, [(300, 5.0)]),
        ("p99.9", 300, [(300, 5.0)]),
        ("Sum", 3600, [(3600, 5.0)]),
        ("Sum", 10, [(300, None), (60, 5.0)]),
        ("Average", 360, [(600, 5.0), (360, 5.0)]),
        ("Average", None, [(300, 5.0)]),
    ],
)
def test_a_threshold_is_held_against_what_it_is_about(
    stat: str, period: float | None, expected: list[tuple[int, float | None]]
) -> None:
    metric = Metric(namespace="Shop", name="Errors", dimensions=OF_API, stat=stat, period=period)
    found = look(Source(), asked(alarms=[alarm(metrics=(metric,), threshold=5.0)]))
    assert [(one.period, one.threshold) for one in found.metrics] == expected


def test_of_metric_math_the_inputs_are_looked_at() -> None:
    metrics = (
        Metric(id="e", expression="100*a/b", returned=True),
        *(
            Metric(id=name, namespace="Shop", name=name, dimensions={}, stat="Sum", period=300)
            for name in "ab"
        ),
    )
    found = look(Source(), asked(alarms=[alarm(kind=Kind.MATH, metrics=metrics)]))
    assert [(one.name, one.threshold) for one in found.metrics] == [("a", None), ("b", None)]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"kind": Kind.ALERT}, "Prometheus"),
        ({"kind": Kind.QUERY}, "query over many"),
        ({"region": "eu-west-1"}, '"eu-west-1"'),
        ({"account": "210987654321"}, '"210987654321"'),
        ({"metrics": (Metric(namespace="A B\n", name="x"),)}, "not described"),
        ({"metrics": (Metric(namespace="A", name="x\u202e"),)}, "not described"),
        ({"metrics": (Metric(namespace="A", name="x", stat="Sum; drop"),)}, "not described"),
        ({"metrics": (Metric(namespace="A", name="x", dimensions={"k": ""}),)}, "not described"),
    ],
)
def test_what_is_not_to_be_had_is_told_and_not_asked(more: dict[str, object], why: str) -> None:
    found = look(Source(), asked(alarms=[alarm(**more)]))
    assert not found.metrics
    assert [why in one.why for one in found.unchecked] == [True]
    assert found.used["metrics_requested"] == 0


def test_alarms_on_the_same_metric_ask_once() -> None:
    again = alarm(key="b", identity="b", kind=Kind.ANOMALY)
    found = look(Source([CPU]), asked(ORDERS, alarms=[again, alarm()]))
    assert [(one.period, one.threshold) for one in found.metrics] == [(300, 90.0), (60, 90.0)]


# ── The resources' ────────────────────────────────────────────────────────────────────────────────


def test_what_nobody_has_seen_is_left_out_and_what_has_fallen_silent_is_told() -> None:
    source = Source([CPU, rds("ReadLatency")], silent=["ReadLatency"])
    found = look(source, asked(ORDERS))
    assert [one.name for one in found.metrics] == ["CPUUtilization"]
    assert [one.what for one in found.unchecked] == [
        "AWS/RDS ReadLatency of DBInstanceIdentifier=orders"
    ]


def test_that_nothing_was_throttled_lately_is_no_news() -> None:
    rare = MetricName.of("AWS/Lambda", "AsyncEventsDropped", OF_API)
    found = look(Source([rare], silent=[rare.name]), asked(API))
    assert (found.metrics, found.unchecked) == ((), ())


@pytest.mark.parametrize("refuses", [Denied, Throttled])
def test_what_cannot_be_listed_is_asked_for_all_the_same(refuses: type[AwsError]) -> None:
    error = refuses("cloudwatch:ListMetrics", "Nope", "no")
    found = look(Source([CPU], refuses=(error, None)), asked(ORDERS, API))
    assert [one.name for one in found.metrics] == ["CPUUtilization"]
    assert [one.what for one in found.unchecked] == [
        f"which metrics {ORDERS} has",
        f"which metrics {API} has",
    ]


def test_a_refusal_is_told() -> None:
    error = Denied("cloudwatch:GetMetricData", "AccessDenied", "no")
    found = look(Source([CPU], refuses=(None, error)), asked(ORDERS, alarms=[alarm()]))
    assert [(one.what, one.why) for one in found.unchecked] == [
        ("the metrics", 'cloudwatch:GetMetricData answered AccessDenied: "no"')
    ]


def test_a_part_is_shown_and_said_to_be_one() -> None:
    found = look(Source([CPU], status="PartialData"), asked(alarms=[alarm()]))
    assert [len(one.points) for one in found.metrics] == [1, 1]
    assert [one.why for one in found.unchecked] == ["CloudWatch answered PartialData"]


def test_many_that_are_missing_for_one_reason_are_a_few_lines() -> None:
    metrics = tuple(
        Metric(namespace="Shop", name=f"a{number}", stat="Sum", period=300) for number in range(9)
    )
    found = look(Source(), asked(alarms=[alarm(metrics=metrics)]))
    assert len(found.unchecked) == 6
    assert found.unchecked[-1].what == "4 further metrics"


def test_a_resource_of_another_kind_is_told() -> None:
    found = look(Source(), asked("arn:aws:sagemaker:us-east-1:123456789012:endpoint/x"))
    assert [one.why for one in found.unchecked] == ["it is not known which metrics are its own"]


def test_no_more_than_the_budget_is_asked_and_nobody_goes_without() -> None:
    functions = [f"{API}-{number}" for number in range(12)]
    custom = [
        MetricName.of("Shop", f"m{number:02}", {"FunctionName": "orders-api-0"})
        for number in range(80)
    ]
    known = [
        MetricName.of("AWS/Lambda", name, {"FunctionName": f"orders-api-{number}"})
        for number in range(12)
        for name in ("Errors", "Throttles", "Invocations", "Duration", "ConcurrentExecutions")
    ]
    found = look(Source([*custom, *known]), asked(*functions[:2], beside=functions[2:]))
    assert found.used["metrics_requested"] == MOST
    assert {one.resource for one in found.metrics} == set(functions)
    assert any(one.namespace == "Shop" for one in found.metrics)
    [told] = found.unchecked
    assert told.what.endswith("further metrics")


@given(st.integers(0, 40), st.integers(0, 12), st.integers(0, 90))
def test_the_budget_holds_whatever_there_is(alarms: int, resources: int, custom: int) -> None:
    many = [
        alarm(
            key=str(number),
            metrics=(Metric(namespace="Shop", name=f"a{number}", stat="Sum", period=60),),
        )
        for number in range(alarms)
    ]
    own = [MetricName.of("Shop", f"c{one}", {"FunctionName": "f-0"}) for one in range(custom)]
    arns = [f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f-{one}" for one in range(resources)]
    found = look(Source(own), asked(*arns, alarms=many))
    assert found.used["metrics_requested"] <= MOST


@pytest.mark.parametrize(
    ("service", "resource", "dimensions"),
    [
        ("ec2", "instance/i-0abc", {"InstanceId": "i-0abc"}),
        ("ec2", "volume/vol-0abc", {"VolumeId": "vol-0abc"}),
        ("ec2", "natgateway/nat-0abc", {"NatGatewayId": "nat-0abc"}),
        ("rds", "db:orders", OF_ORDERS),
        ("rds", "cluster:ledger", {"DBClusterIdentifier": "ledger"}),
        ("lambda", "function:orders-api", OF_API),
        ("lambda", "function:orders-api:live", OF_API),
        ("dynamodb", "table/rates", {"TableName": "rates"}),
        ("dynamodb", "table/rates/index/by-day", {"TableName": "rates"}),
        ("sqs", "jobs", {"QueueName": "jobs"}),
        ("sns", "news", {"TopicName": "news"}),
        ("elasticloadbalancing", "loadbalancer/app/web/0abc", {"LoadBalancer": "app/web/0abc"}),
        ("elasticloadbalancing", "loadbalancer/net/tcp/0abc", {"LoadBalancer": "net/tcp/0abc"}),
        ("elasticloadbalancing", "loadbalancer/classic", {"LoadBalancerName": "classic"}),
        ("elasticloadbalancing", "targetgroup/web/0abc", {"TargetGroup": "targetgroup/web/0abc"}),
        ("ecs", "service/shop/web", {"ClusterName": "shop", "ServiceName": "web"}),
        ("ecs", "cluster/shop", {"ClusterName": "shop"}),
        ("elasticache", "cluster:sessions", {"CacheClusterId": "sessions"}),
        (
            "autoscaling",
            "autoScalingGroup:0-a:autoScalingGroupName/web",
            {"AutoScalingGroupName": "web"},
        ),
        ("kinesis", "stream/clicks", {"StreamName": "clicks"}),
        ("events", "rule/nightly", {"RuleName": "nightly"}),
        ("events", "rule/bus/nightly", {"RuleName": "nightly"}),
        ("ec2", "security-group/sg-0abc", None),
    ],
)
def test_by_what_the_metrics_of_a_resource_are_known(
    service: str, resource: str, dimensions: dict[str, str] | None
) -> None:
    found = identity(f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}")
    assert (found.dimensions if found else None) == dimensions


def test_a_state_machine_is_known_by_its_arn_and_a_bucket_by_its_name() -> None:
    machine = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:night"
    for arn, dimensions in (
        (machine, {"StateMachineArn": machine}),
        ("arn:aws:s3:::receipts", {"BucketName": "receipts"}),
        (f"arn:aws:apigateway:{REGION}::/apis/0abc", {"ApiId": "0abc"}),
    ):
        found = identity(arn)
        assert found is not None
        assert found.dimensions == dimensions


@given(st.text(max_size=80))
def test_no_text_is_too_odd_for_an_arn(text: str) -> None:
    identity(text)
    identity(f"arn:aws:{text}")


# ── Points ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("stat", "last", "minutes", "kept"),
    [
        ("Sum", 3.0, 2, False),
        ("Sum", 30.0, 2, True),
        ("Sum", 3.0, 6, True),
        ("SampleCount", 3.0, 2, False),
        ("Average", 3.0, 2, True),
    ],
)
def test_a_count_of_a_period_that_goes_on_is_kept_only_if_it_says_something(
    stat: str, last: float, minutes: int, kept: bool
) -> None:
    begin = datetime(2027, 5, 4, 8, 0, tzinfo=UTC)
    points = ((begin, 10.0), (begin + 5 * MINUTE, last))
    wanted = Wanted(CPU, stat, 300, begin, begin + 10 * MINUTE)
    now = begin + (5 + minutes) * MINUTE
    assert (len(only_lower_bounds_dropped(points, wanted, now)) == 2) is kept


def test_a_series_lasts_until_the_end_of_the_period_that_has_begun() -> None:
    wanted = Wanted.lasting(CPU, "Sum", 300, timedelta(hours=1), NOW)
    assert (wanted.since, wanted.until) == (
        TWO_O_CLOCK - timedelta(minutes=55),
        TWO_O_CLOCK + timedelta(minutes=5),
    )
    assert wanted.most == 12
