"""What is found to be wrong, by which evidence, and what is ruled out."""

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.triage.incident_world import (
    ACCOUNT,
    BEGAN,
    DATABASE,
    DEPLOYER,
    FUNCTION,
    MACHINE,
    MINUTE,
    NOW,
    QUEUE,
    deployed,
    errors,
    event,
    failing,
    incident,
    logged,
    measured,
    points,
    trail,
    usual,
)
from watchkeeper.triage.analysis import report_of
from watchkeeper.triage.evidence import Event
from watchkeeper.triage.gathered import Database, Gathered, Logged, Measured, Resource
from watchkeeper.triage.report import Report, Source

CALM = trail(event("DescribeInstances", BEGAN, source="ec2", readOnly=True))


def about(arn: str, *metrics: Measured, **fields: Any) -> Report:
    given: dict[str, Any] = {
        "resources": (Resource(arn),), "metrics": metrics, "trail": CALM, "logs": (), **fields,
    }  # fmt: skip
    return report_of(incident(**given))


def of(arn: str, name: str, jump: float | None, **fields: Any) -> Measured:
    return measured(name, arn, jump=jump, **{"stat": "Maximum", "of_alarm": True, **fields})


def balance(jump: float) -> Measured:
    return of(MACHINE, "CPUCreditBalance", jump, base=120, stat="Minimum")


BALANCER = (
    f"arn:aws:elasticloadbalancing:eu-west-1:{ACCOUNT}:loadbalancer/app/shop/50dc6c495c0c9188"
)
TABLE = f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/orders"


@pytest.mark.parametrize(
    ("report", "category", "said"),
    [
        (about(MACHINE, of(MACHINE, "disk_used_percent", 99, base=60)), "disk_full",
         'a disk of "i-0abc12345678" is full: 99'),
        (about(MACHINE, of(MACHINE, "StatusCheckFailed_System", 1, base=0, wave=0)),
         "status_check_failed", "EC2 cannot reach it"),
        (about(MACHINE, balance(0.2)), "burst_credits_exhausted", "is used up: 0.2"),
        (about(MACHINE, of(MACHINE, "mem_used_percent", 98, base=50)), "memory_exhausted",
         "memory of"),
        (about(MACHINE, of(MACHINE, "CPUUtilization", 99, base=30)), "cpu_saturated", "99 %"),
        (about(FUNCTION, of(FUNCTION, "Throttles", 60, base=0, wave=0, stat="Sum")),
         "concurrency_limit", 'calls of "orders" are throttled'),
        (about(FUNCTION, of(FUNCTION, "Duration", 30_003, base=900, wave=90, stat="p90")),
         "timeout", "take 30 s and are cut off"),
        (about(TABLE, of(TABLE, "WriteThrottleEvents", 600, base=0, wave=0, stat="Sum")),
         "throughput_limit", '"orders" throttles: WriteThrottleEvents 600'),
        (about(BALANCER, of(BALANCER, "HealthyHostCount", 0, base=3, wave=0, stat="Minimum")),
         "no_healthy_targets", "has no healthy target"),
        (about(FUNCTION, of(FUNCTION, "Invocations", 9_000, base=200, stat="Sum")), "load",
         "more to do than ever"),
    ],
)  # fmt: skip
def test_limits(report: Report, category: str, said: str) -> None:
    assert (report.verdict.known, report.verdict.category) == (True, category)
    assert said in report.verdict.headline
    assert report.verdict.claims[0].source is Source.METRICS
    assert report.verdict.claims[0].links


@pytest.mark.parametrize(
    "metric",
    [
        of(MACHINE, "disk_used_percent", 70, base=60),
        of(MACHINE, "StatusCheckFailed", 0, base=0, wave=0),
        of(MACHINE, "CPUCreditBalance", 0.2, base=0.3, wave=0.1),
        of(MACHINE, "CPUUtilization", None, base=97, wave=2),
        of(FUNCTION, "Throttles", 10, base=9, wave=3, stat="Sum"),
        of(FUNCTION, "Duration", 2_480, base=900, wave=90, stat="p90"),
        of(FUNCTION, "Duration", 3_002, base=3_001, wave=2, stat="p90"),
    ],
)
def test_what_is_as_every_day_is_ruled_out(metric: Measured) -> None:
    verdict = about(metric.resource, metric).verdict

    assert (verdict.known, verdict.category) == (False, "unknown")
    assert any(metric.name in one for one in verdict.ruled_out)
    assert verdict.headline.startswith("unknown: no rule explains it")


def test_waiting_messages_are_told_with_the_consumer_that_fails() -> None:
    aging = [
        (at, 5.0 if at < BEGAN else 60.0 * ((at - BEGAN) / MINUTE + 1))
        for at, _ in points(period=60)
    ]
    report = about(
        QUEUE,
        measured("ApproximateAgeOfOldestMessage", QUEUE, points=tuple(aging), of_alarm=True),
        measured("Errors", FUNCTION, jump=90.0),
    )

    assert report.verdict.category == "consumers_behind"
    assert any("Errors Sum" in one.text for one in report.verdict.claims)


def test_what_was_not_measured_is_unchecked_where_somebody_would_ask() -> None:
    report = about(MACHINE, of(MACHINE, "CPUUtilization", None, base=20))

    told = [one for one in report.unchecked if one.startswith("Could not check for")]
    assert any("a full disk because no disk_used_percent" in one for one in told)
    assert not any("function" in one for one in told)


def test_a_deployment_and_then_new_errors_is_a_change() -> None:
    verdict = report_of(failing()).verdict

    assert verdict.category == "change"
    assert verdict.headline == 'it began 4 min after UpdateFunctionCode by "deployer"'
    assert [one.source for one in verdict.claims] == [Source.TRAIL, Source.METRICS, Source.LOGS]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"trail": trail(deployed(45))}, "nothing was changed in the half hour before"),
        ({"trail": trail(deployed(-9))}, "nothing was changed in the half hour before"),
        ({"logs": (logged(),), "metrics": (measured(of_alarm=True),)}, "1 change just before, but"),
    ],
)
def test_no_change(changed: dict[str, Any], why: str) -> None:
    verdict = report_of(failing(**changed)).verdict

    assert verdict.category != "change"
    assert any(why in one for one in verdict.ruled_out)


def test_nothing_is_ruled_out_by_a_trail_that_is_late() -> None:
    late = trail(until=BEGAN - MINUTE)

    assert not any("change" in one or "stopped" in one
                   for one in report_of(failing(trail=late)).verdict.ruled_out)  # fmt: skip


def test_a_change_is_told_beside_a_hard_fact() -> None:
    change = event("ModifyInstanceAttribute", BEGAN - 3 * MINUTE, source="ec2",
                   request={"instanceId": "i-0abc12345678"})  # fmt: skip
    report = about(MACHINE, of(MACHINE, "disk_used_percent", 99, base=60), trail=trail(change))

    assert report.verdict.category == "disk_full"
    assert "it began 3 min after ModifyInstanceAttribute" in report.verdict.headline


def test_somebody_who_stopped_it_is_named() -> None:
    stop = event("StopInstances", BEGAN - MINUTE, source="ec2",
                 request={"instancesSet": {"items": [{"instanceId": MACHINE[-14:]}]}})  # fmt: skip
    report = about(MACHINE, of(MACHINE, "StatusCheckFailed", 1, base=0, wave=0), trail=trail(stop))

    assert report.verdict.category == "stopped"
    assert report.verdict.headline.startswith('StopInstances of "i-0abc12345678" by "deployer"')
    assert any("EC2 cannot reach it" in one for one in report.verdict.consequences)


def test_denied_calls_after_a_change_of_access() -> None:
    put = event("PutRolePolicy", BEGAN - 5 * MINUTE, source="iam", request={"roleName": "orders"})
    denied = event("GetItem", BEGAN + MINUTE, f"arn:aws:iam::{ACCOUNT}:role/orders",
                   source="dynamodb", errorCode="AccessDenied")  # fmt: skip
    role = Resource(f"arn:aws:iam::{ACCOUNT}:role/orders", beside="it runs as it")
    given = incident(resources=(Resource(FUNCTION), role), trail=trail(put, denied))
    verdict = report_of(given).verdict

    assert verdict.category == "permission"
    assert "after PutRolePolicy" in verdict.headline


def test_the_metrics_point_behind_it() -> None:
    report = about(
        FUNCTION,
        of(FUNCTION, "Duration", 80, stat="p90"),
        of(QUEUE, "Duration", 79, stat="p90", of_alarm=False),
        resources=(Resource(FUNCTION), Resource(QUEUE, beside="called by it")),
        calls={FUNCTION: [QUEUE]},
    )

    assert report.verdict.category == "downstream"
    assert report.verdict.headline == 'the metrics point to "orders-in" behind it'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ERROR x509: certificate has expired", "a certificate"),
        ("Error: getaddrinfo ENOTFOUND db.internal", "a name"),
        ("ERROR AccessDenied: not authorized to perform s3:GetObject", "a permission"),
        ("ERROR write failed: No space left on device", "a full disk"),
        ("java.lang.OutOfMemoryError: Java heap space", "memory"),
        ("Error: connect ECONNREFUSED 10.0.0.7:5432", "cannot be reached"),
    ],
)
def test_what_logs_alone_say_is_told_as_theirs(text: str, words: str) -> None:
    verdict = about(FUNCTION, logs=(logged(errors(5, text)),)).verdict

    assert verdict.category == "reported_in_logs"
    assert verdict.headline.startswith("the logs speak of")
    assert words in verdict.headline


def database(**fields: Any) -> Gathered:
    dimensions = {"DBInstanceIdentifier": "orders"}

    def metric(name: str, jump: float | None, base: float, stat: str = "Average") -> Measured:
        return measured(name, DATABASE, jump, base=base, wave=base / 50, stat=stat,
                        namespace="AWS/RDS", dimensions=dimensions)  # fmt: skip

    given = incident(
        resources=(Resource(DATABASE),),
        databases=(Database(DATABASE, "orders", "postgres", "db.m6g.large"),),
        metrics=(
            metric("CPUUtilization", None, 30), metric("DatabaseConnections", None, 40),
            metric("FreeableMemory", None, 4e9), metric("FreeStorageSpace", 0.0, 5e9, "Minimum"),
        ),
        logs=(Logged("postgres", (DATABASE,), tuple(usual(60, BEGAN)), tuple(usual(6, NOW))),),
        trail=CALM,
    )  # fmt: skip
    return replace(given, **fields)


def test_a_database_is_diagnosed_by_what_it_says_of_itself() -> None:
    full = Event(BEGAN + MINUTE, "orders", "The free storage capacity for DB Instance: orders is"
                 " low at 0% of the provisioned storage")  # fmt: skip
    given = database()
    report = report_of(replace(given, databases=(replace(given.databases[0], events=(full,)),)))

    assert report.verdict.category == "resource_exhaustion"
    assert report.verdict.headline.startswith('"orders": ')
    assert "storage" in report.verdict.headline
    assert any(one.source is Source.DATABASE for one in report.timeline)
    assert report.verdict.ruled_out


def test_a_healthy_database_is_usual() -> None:
    given = database()
    healthy = tuple(
        replace(one, points=tuple(points(base=5e9, wave=1e7, period=60)))
        if one.name == "FreeStorageSpace" else one
        for one in given.metrics
    )  # fmt: skip
    report = report_of(replace(given, metrics=healthy))

    assert any('in the database "orders": healthy' in one for one in report.usual)
    assert not report.verdict.known


def test_a_change_by_code_says_so() -> None:
    assert "(infrastructure as code)" in report_of(failing(code=(DEPLOYER,))).verdict.headline
