"""How an alarm is heard: its state, gravity and place among the incidents."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.triage import alarms
from watchkeeper.triage.alarm_model import Alarm, Kind, Metric, State
from watchkeeper.triage.alarm_resources import Place
from watchkeeper.triage.heard import LONGEST_SAID, SAME, SEVERITIES, Heard, as_known, heard
from watchkeeper.triage.incidents import home, join
from watchkeeper.triage.policy import default_triage_policy, parse_triage_policy
from watchkeeper.triage.severity import Severity

NOW = datetime(2026, 11, 23, 3, 12, 7, tzinfo=UTC)
ARN = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:orders"
POLICY = default_triage_policy()
GRADED = parse_triage_policy(
    json.dumps(
        {
            "severities": [
                {"alarms": "*-batch-*", "severity": "low"},
                {"alarms": "orders*", "severity": "critical"},
            ],
            "default_severity": "medium",
        }
    )
)


def alarm(**fields: Any) -> Alarm:
    known = {"identity": f"{ARN}@x", "key": ARN, "kind": Kind.METRIC, "name": "orders", "arn": ARN}
    return Alarm.model_validate({**known, "state": "ALARM", "at": NOW, **fields})


# ── State ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ("ALARM", False, False)),
        ({"state": "OK"}, ("OK", False, False)),
        ({"state": "INSUFFICIENT_DATA"}, ("INSUFFICIENT_DATA", False, False)),
        ({"state": "no such state"}, ("ALARM", False, False)),
        ({"state": State.UNKNOWN, "problem": "cut"}, ("ALARM", False, False)),
        ({"muted": "Muted by a rule"}, ("ALARM", True, False)),
        ({"ours": True}, ("ALARM", False, True)),
        ({"autoscaling": True}, ("ALARM", False, True)),
    ],
)
def test_how_it_stands(fields: dict[str, Any], expected: tuple[str, bool, bool]) -> None:
    found = heard(alarm(**fields), POLICY, NOW)
    assert (found.state, found.is_muted, found.is_ours) == expected


def test_an_alarm_without_a_time_is_of_now() -> None:
    assert heard(alarm(at=None), POLICY, NOW).at == NOW
    before = NOW - timedelta(hours=1)
    assert heard(alarm(at=before), POLICY, NOW).at == before


def test_whatever_cannot_be_read_opens_an_incident() -> None:
    [unread] = alarms.read({"what": "ever"})
    one = heard(unread, POLICY, NOW)
    assert home([], one).incident is None
    incident = join(None, one, NOW)
    assert incident is not None
    assert [each.is_firing for each in incident.members.values()] == [True]


# ── Gravity ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("labels", "name", "expected"),
    [
        ({"severity": "critical"}, "x", Severity.CRITICAL),
        ({"Severity": "Page"}, "x", Severity.CRITICAL),
        ({"severity": "SEV-1"}, "x", Severity.CRITICAL),
        ({"severity": "p1"}, "x", Severity.CRITICAL),
        ({"priority": "P2"}, "x", Severity.HIGH),
        ({"severity": "error"}, "x", Severity.HIGH),
        ({"severity": "warning"}, "orders", Severity.MEDIUM),
        ({"severity": "ticket"}, "x", Severity.MEDIUM),
        ({"severity": "minor"}, "x", Severity.LOW),
        ({"severity": "info"}, "x", Severity.INFORMATIONAL),
        ({"severity": "purple", "priority": "p4"}, "x", Severity.LOW),
        ({"severity": "purple"}, "orders", Severity.CRITICAL),
        ({}, "orders-batch-7", Severity.LOW),
        ({}, "orders", Severity.CRITICAL),
        ({}, "carts", Severity.MEDIUM),
    ],
)
def test_how_grave_it_is(labels: dict[str, str], name: str, expected: Severity) -> None:
    assert heard(alarm(labels=labels, name=name), GRADED, NOW).severity is expected


def test_nobody_says_how_grave() -> None:
    assert heard(alarm(), POLICY, NOW).severity is Severity.HIGH
    assert set(SEVERITIES.values()) == set(Severity)


# ── What it is about, and what it is made of ──────────────────────────────────────────────────────


def test_it_is_about_what_it_looks_at() -> None:
    metric = Metric(namespace="AWS/SQS", name="m", dimensions={"QueueName": "orders"})
    found = heard(alarm(metrics=[metric]), POLICY, NOW)
    assert found.resources == ("arn:aws:sqs:eu-west-1:123456789012:orders",)
    alert = alarm(kind=Kind.ALERT, arn="", labels={"queue": "orders"})
    assert heard(alert, POLICY, NOW).resources == ()
    ours = Place("aws", "us-east-1", "210987654321")
    assert heard(alert, POLICY, NOW, ours).resources == (
        "arn:aws:sqs:us-east-1:210987654321:orders",
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"children": [f"{ARN}-slow"]}, f"{ARN}-slow"),
        ({"children": ["orders-slow"]}, f"{ARN}-slow"),
        (
            {"arn": "", "account": "123456789012", "region": "eu-west-1",
             "children": ["orders-slow"]},
            f"{ARN}-slow",
        ),
        (
            {"arn": "", "account": "123456789012", "region": "EU (Ireland)",
             "children": ["orders-slow"]},
            "alarm:123456789012:EU (Ireland):orders-slow",
        ),
    ],
)  # fmt: skip
def test_children_are_called_by_their_keys(fields: dict[str, Any], expected: str) -> None:
    one = alarm(kind=Kind.COMPOSITE, **fields)
    assert heard(one, POLICY, NOW).children == (expected,)


def test_a_composite_and_its_child_are_one_incident() -> None:
    composite = alarm(kind=Kind.COMPOSITE, children=["orders-slow"])
    later = NOW + timedelta(hours=2)
    child = alarm(key=f"{ARN}-slow", arn=f"{ARN}-slow", name="orders-slow", at=later)
    incident = join(None, heard(composite, POLICY, NOW), NOW)
    assert incident is not None
    assert home([incident], heard(child, POLICY, later)).incident is incident


# ── The same change, told twice ───────────────────────────────────────────────────────────────────


def told(seconds: float, state: str = "ALARM") -> Heard:
    return heard(alarm(at=NOW + timedelta(seconds=seconds), state=state), POLICY, NOW)


def test_two_reports_of_one_change_are_one_change() -> None:
    incident = join(None, told(0), NOW)
    assert incident is not None
    for seconds in (0.4, -0.4, 1.999):
        assert join(incident, as_known(told(seconds), incident), NOW) is incident


@pytest.mark.parametrize(("seconds", "state"), [(SAME.total_seconds(), "ALARM"), (0.4, "OK")])
def test_what_is_another_change_stays_one(seconds: float, state: str) -> None:
    incident = join(None, told(0), NOW)
    assert incident is not None
    other = told(seconds, state)
    assert as_known(other, incident) is other
    assert join(incident, other, NOW) is not incident


def test_an_alarm_that_is_not_known_is_as_it_says() -> None:
    incident = join(None, told(0), NOW)
    assert incident is not None
    other = heard(alarm(key="another"), POLICY, NOW)
    assert as_known(other, incident) is other


# ── What is kept of it ────────────────────────────────────────────────────────────────────────────


def test_what_is_kept_is_the_alarm_again() -> None:
    metric = Metric(namespace="AWS/SQS", name="m", dimensions={"QueueName": "orders"}, period=60)
    one = alarm(metrics=[metric], since=NOW, datapoints=[1.0, 2.0], reason="too many", threshold=5)
    assert Alarm.model_validate_json(heard(one, POLICY, NOW).said) == one


def test_what_is_kept_holds_no_secrets() -> None:
    key = "AKIA" + "IOSFODNN7EXAMPLF"
    secret = f"password=hunter2hunter2 {key}"
    one = alarm(
        reason=secret, description=secret, labels={"password": "hunter2hunter2", "team": "a"},
        annotations={"summary": secret}, source=f"https://x/?token={key}",
    )  # fmt: skip
    kept = heard(one, POLICY, NOW).said
    assert "hunter2" not in kept
    assert key not in kept
    again = Alarm.model_validate_json(kept)
    assert (again.key, again.arn, again.identity) == (one.key, one.arn, one.identity)
    assert again.labels["team"] == "a"


@given(
    st.dictionaries(st.text(max_size=9), st.text(max_size=1_100), max_size=64),
    st.text(max_size=2_000),
    st.integers(0, 100),
)
def test_whatever_it_says_what_is_kept_fits_and_can_be_read(
    labels: dict[str, str], words: str, metrics: int
) -> None:
    many = [{"namespace": words, "name": "m", "dimensions": labels}] * metrics
    one = alarm(labels=labels, annotations=labels, reason=words, rule=words * 9, metrics=many)
    kept = heard(one, POLICY, NOW).said
    assert len(kept.encode()) <= LONGEST_SAID
    assert Alarm.model_validate_json(kept).key == one.key
