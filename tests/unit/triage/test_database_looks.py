"""Looks at databases, and what a diagnosis makes of what they find."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from local.aws import metric_data, performance_insights, rds
from local.aws.performance_insights import put, put_event, switch_on
from local.metrics import Metric, Metrics
from local.pace import INSTANT
from tests.local.service_box import ACCOUNT, REGION, TWO_O_CLOCK, ServiceBox, service_box
from watchkeeper.aws.errors import Denied
from watchkeeper.aws.metric_data import MetricData
from watchkeeper.aws.watched_databases import WatchedDatabases
from watchkeeper.triage.database_evidence import evidence_of
from watchkeeper.triage.database_looks import DatabaseLook
from watchkeeper.triage.diagnosis import diagnose
from watchkeeper.triage.evidence import Event, LogPattern, Mode
from watchkeeper.triage.gathered import (
    Database,
    Found,
    Gathered,
    Measured,
    Raised,
    Resource,
    Span,
    from_json,
    to_json,
    with_found,
)
from watchkeeper.triage.looking import Asked

NOW = TWO_O_CLOCK
MINUTE = timedelta(minutes=1)
BEGAN = NOW - 6 * MINUTE
SPAN = Span.of(BEGAN, NOW)
ORDERS = f"arn:aws:rds:{REGION}:{ACCOUNT}:db:orders"
SCAN = "SELECT * FROM baskets WHERE note LIKE ?"
LOGIN = {"MasterUsername": "harbour", "MasterUserPassword": "correct-horse-battery"}


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceBox]:
    with service_box(ServiceBox, metric_data, rds, performance_insights, pace=INSTANT) as box:
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        box.client("rds").create_db_instance(
            DBInstanceIdentifier="orders",
            DBInstanceClass="db.m6g.large",
            Engine="postgres",
            AllocatedStorage=20,
            **LOGIN,
        )
        yield box


def look(*arns: str, source: WatchedDatabases | None = None) -> Found:
    asked = Asked("i", 0, SPAN, (), [Resource(one) for one in arns], {})
    return DatabaseLook(source or WatchedDatabases(), MetricData())(asked, NOW)


def busy(box: ServiceBox) -> None:
    """For an hour all is well; since six minutes a scan takes the processors."""
    metrics = Metrics(ACCOUNT, REGION)
    switch_on(box, "orders")
    for number in range(60):
        at = NOW - (number + 1) * MINUTE
        is_bad = at >= BEGAN
        values = {
            "CPUUtilization": 97.0 if is_bad else 22.0,
            "DatabaseConnections": 45.0 if is_bad else 40.0,
            "FreeStorageSpace": 90e9,
            "FreeableMemory": 5e9,
            "SwapUsage": 8e7,
            "DiskQueueDepth": 0.1,
        }
        for name, value in values.items():
            of = {"DBInstanceIdentifier": "orders"}
            metrics.record(Metric("AWS/RDS", name, value, at, dimensions=of))
        put(box, "orders", at, 0.4, statement="SELECT ?", calls=80.0)
        if is_bad:
            put(box, "orders", at, 6.0, statement=SCAN, user="reports", calls=2.0)


def gathered(found: Found, **more: object) -> Gathered:
    base = Gathered("i", 0, NOW, SPAN)
    return with_found(replace(base, **more), found)  # type: ignore[arg-type]


def test_a_busy_database_is_diagnosed_minutes_after_it_began(box: ServiceBox) -> None:
    busy(box)
    put_event(box, "orders", "Password=hunter2-hunter2 was reset", NOW - 2 * MINUTE)
    found = look(ORDERS)
    assert found.unchecked == ()
    [database] = found.databases
    assert (database.instance, database.engine, database.instance_class) == (
        "orders", "postgres", "db.m6g.large",
    )  # fmt: skip
    assert database.queries[0].text == SCAN
    assert "hunter2" not in str(database.events)
    assert found.used == {"metrics_requested": 20.0, "pi_requests": 2.0}
    told = from_json(to_json(gathered(found)))
    [database] = told.databases
    diagnosis = diagnose(evidence_of(told, database))
    assert diagnosis.modes == (Mode.CPU,)
    assert "baskets" in diagnosis.headline


def test_that_insights_are_off_is_told(box: ServiceBox) -> None:
    found = look(ORDERS)
    assert [(one.what, one.why) for one in found.unchecked] == [
        ("Performance Insights of orders", "it is switched off")
    ]
    assert found.used["pi_requests"] == 0


def test_that_insights_have_nothing_is_told(box: ServiceBox) -> None:
    switch_on(box, "orders")
    assert [one.why for one in look(ORDERS).unchecked] == ["it has no data of these minutes"]


def test_what_is_gone_and_what_is_no_database(box: ServiceBox) -> None:
    gone = ORDERS.replace("orders", "gone")
    found = look(f"arn:aws:sqs:{REGION}:{ACCOUNT}:jobs", gone)
    assert found.databases == ()
    assert [one.what for one in found.unchecked] == [f"the database {gone}"]


def test_a_database_is_looked_at_once_and_only_so_many_are(box: ServiceBox) -> None:
    aws = box.client("rds")
    arns = []
    for number in range(5):
        made = aws.create_db_instance(
            DBInstanceIdentifier=f"more-{number}", DBInstanceClass="db.m6g.large",
            Engine="postgres", AllocatedStorage=20, **LOGIN,
        )  # fmt: skip
        arns.append(made["DBInstance"]["DBInstanceArn"])
    found = look(*arns, arns[0])
    assert [one.arn for one in found.databases] == arns[:4]
    assert f"the database {arns[4]}" in [one.what for one in found.unchecked]


@dataclass
class Refusing(WatchedDatabases):
    """Everything but the description is denied."""

    def __getattribute__(self, name: str) -> object:
        if name in ("events", "load", "statements"):
            return self_refuses
        return super().__getattribute__(name)


def self_refuses(*_: object) -> None:
    raise Denied("pi:GetResourceMetrics", "NotAuthorizedException", "no")


def test_what_is_denied_is_told_one_by_one_and_the_rest_is_there(box: ServiceBox) -> None:
    busy(box)
    found = look(ORDERS, source=Refusing())
    [database] = found.databases
    assert database.metrics
    assert sorted(one.what for one in found.unchecked) == [
        "Performance Insights of orders",
        "the RDS events of orders",
        "the statements of orders",
    ]


# ── Evidence ──────────────────────────────────────────────────────────────────────────────────────


def measured(name: str, instance: str = "orders", *, period: int = 300, **more: object) -> Measured:
    points = [(NOW - number * period * timedelta(seconds=1), float(number)) for number in range(99)]
    return replace(
        Measured(
            ORDERS, "AWS/RDS", name, "Average", {"DBInstanceIdentifier": instance}, period,
            sorted(points),
        ),
        **more,  # type: ignore[arg-type]
    )  # fmt: skip


def database(**more: object) -> Database:
    return replace(Database(ORDERS, "orders", "postgres"), **more)  # type: ignore[arg-type]


def test_the_finest_points_count_and_only_those_around_the_window() -> None:
    told = gathered(Found(metrics=[measured("CPUUtilization"), measured("ReadIOPS")]))
    one = database(metrics=[measured("CPUUtilization", period=60)])
    cpu, reads = evidence_of(told, one).metrics
    assert (cpu.name, reads.name) == ("CPUUtilization", "ReadIOPS")
    assert cpu.points[1][0] - cpu.points[0][0] == MINUTE
    assert reads.points[1][0] - reads.points[0][0] == 5 * MINUTE
    assert min(cpu.points[0][0], reads.points[0][0]) >= SPAN.since - 15 * MINUTE


def test_other_databases_are_left_out_and_replicas_are_not() -> None:
    series = [measured("CPUUtilization", one) for one in ("orders", "orders-2", "billing")]
    found = evidence_of(gathered(Found(metrics=series)), database(replicas=["orders-2"])).metrics
    assert [one.resource for one in found] == ["orders", "orders-2"]


@pytest.mark.parametrize(
    ("engine", "name", "told_as", "factor"),
    [
        ("aurora-postgresql", "AuroraReplicaLag", "ReplicaLag", 0.001),
        ("aurora-mysql", "CommitLatency", "CommitLatency", 0.001),
        ("postgres", "CommitLatency", "CommitLatency", 1.0),
        ("postgres", "ReplicaLag", "ReplicaLag", 1.0),
    ],
)
def test_units_are_base_units(engine: str, name: str, told_as: str, factor: float) -> None:
    given = measured(name)
    [found] = evidence_of(gathered(Found(metrics=[given])), database(engine=engine)).metrics
    assert found.name == told_as
    assert found.points[-1][1] == given.points[-1][1] * factor
    assert found.points[0][1] == pytest.approx(factor * 5)


def raised(metric: str, state: str = "ALARM") -> Raised:
    return Raised("orders is busy", "", state, "", NOW, BEGAN, metric=metric)


@pytest.mark.parametrize(
    ("alarms", "words", "firing"),
    [
        ([raised("AWS/RDS CPUUtilization")], "CPUUtilization", True),
        ([raised("AWS/RDS CPUUtilization", "OK")], "CPUUtilization", False),
        ([raised("AWS/Lambda Errors", "OK")], "", True),
        ([], "", True),
    ],
)
def test_only_the_alarms_about_it_are_quoted(
    alarms: list[Raised], words: str, firing: bool
) -> None:
    told = gathered(Found(metrics=[measured("CPUUtilization", of_alarm=True)]), alarms=alarms)
    found = evidence_of(told, database())
    assert (words in found.alarm, bool(found.alarm), found.firing) == (True, bool(words), firing)


def test_patterns_events_and_what_there_is_not() -> None:
    def at(minutes: int) -> datetime:
        return SPAN.since - minutes * MINUTE

    patterns = [LogPattern(at(5), "FATAL: <*>"), LogPattern(at(60), "old")]
    event = Event(at(90), "orders", "failover")
    found = evidence_of(gathered(Found()), database(events=[event]), patterns)
    assert ([one.template for one in found.logs], found.events) == (["FATAL: <*>"], (event,))
    assert (found.metrics, found.queries, found.waits) == ((), (), {})
