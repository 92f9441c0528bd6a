"""Alarms as CloudWatch describes them, in the box: the same as its events of them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

import pytest
from moto.cloudwatch.models import cloudwatch_backends

from local.alarms import Alarms
from local.aws import alarm_states as box_of_states
from local.aws import cloudwatch
from local.metrics import Metric, Metrics
from local.pace import INSTANT
from tests.local.service_box import ACCOUNT, REGION, TWO_O_CLOCK, ServiceBox, service_box
from watchkeeper.aws.alarm_states import AlarmStates
from watchkeeper.aws.errors import Denied, Throttled
from watchkeeper.triage import alarms
from watchkeeper.triage.alarm_model import Alarm, Kind, State

MINUTE = timedelta(minutes=1)
QUERY = 'SELECT SUM(ThrottledRequests) FROM "AWS/DynamoDB" GROUP BY TableName'


class Box(ServiceBox):
    @cached_property
    def metrics(self) -> Metrics:
        return Metrics(self.account_id, self.region)

    @cached_property
    def alarms(self) -> Alarms:
        return Alarms(self)  # type: ignore[arg-type]

    @property
    def aws(self) -> Any:
        return self.client("cloudwatch")

    def events_of_alarms(self) -> list[Alarm]:
        whole = [{"region": REGION, "account": ACCOUNT, **event} for event in self.events.sent]
        return [alarm for event in whole for alarm in alarms.read(event)]

    def put(self, name: str, **more: Any) -> None:
        self.aws.put_metric_alarm(
            AlarmName=name,
            **{
                "Namespace": "AWS/Lambda",
                "MetricName": "Errors",
                "Dimensions": [{"Name": "FunctionName", "Value": "orders-api"}],
                "Statistic": "Sum",
                "Period": 60,
                "EvaluationPeriods": 1,
                "Threshold": 5.0,
                "ComparisonOperator": "GreaterThanThreshold",
            }
            | more,
        )

    def set(self, name: str, state: str = "ALARM") -> None:
        self.aws.set_alarm_state(AlarmName=name, StateValue=state, StateReason="as the test says")


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with service_box(Box, box_of_states, cloudwatch, pace=INSTANT) as box:
        yield box


@pytest.fixture
def states(box: Box) -> AlarmStates:
    return AlarmStates()


def test_a_description_and_the_event_of_a_change_are_the_same_change(
    box: Box, states: AlarmStates
) -> None:
    box.put("orders-errors", AlarmDescription="Orders fail", TreatMissingData="notBreaching")
    dimensions = {"FunctionName": "orders-api"}
    at = TWO_O_CLOCK + timedelta(seconds=10, milliseconds=123)
    box.clock.run_until(at)
    box.metrics.record(Metric("AWS/Lambda", "Errors", 9.0, at, "Count", dimensions))
    box.clock.run_until(at + 3 * MINUTE)
    for event in box.events_of_alarms():
        box_now = states.of(["orders-errors"])[0]
        if event.identity == box_now.identity:
            assert (event.key, event.at, event.state) == (box_now.key, box_now.at, box_now.state)
            assert (event.name, event.arn, event.kind) == (
                box_now.name, box_now.arn, box_now.kind,
            )  # fmt: skip
            assert event.metrics[0].dimensions == box_now.metrics[0].dimensions == dimensions
            assert event.metrics[0].stat == box_now.metrics[0].stat == "Sum"
            assert (event.since, event.datapoints) == (box_now.since, box_now.datapoints)
            assert box_now.description == "Orders fail"
            assert box_now.threshold == 5
            break
    else:
        pytest.fail("no event has the identity of the description")


def test_a_change_in_the_middle_of_a_millisecond_is_still_the_same(
    box: Box, states: AlarmStates
) -> None:
    box.put("orders-errors")
    box.clock.run_until(TWO_O_CLOCK + timedelta(microseconds=1_234_567))
    box.set("orders-errors")
    [event] = box.events_of_alarms()
    assert [one.identity for one in states.firing()] == [event.identity]


def test_an_update_that_changes_nothing_is_no_change(
    box: Box, states: AlarmStates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Alarms, "watch", lambda *_: None)
    box.put("orders-errors")
    box.set("orders-errors")
    [event] = box.events_of_alarms()
    box.clock.run_until(TWO_O_CLOCK + timedelta(hours=1))
    box.set("orders-errors")
    assert states.of(["orders-errors"])[0].identity == event.identity


def test_only_what_is_asked_for_is_told(box: Box, states: AlarmStates) -> None:
    for number in range(230):
        box.put(f"errors-{number:03}")
    for number in range(120):
        box.set(f"errors-{number:03}")
    assert len(states.firing()) == 120
    assert {one.state for one in states.firing()} == {State.ALARM}
    names = [f"errors-{number:03}" for number in range(229, -1, -1)]
    assert len(states.of([*names, "gone"])) == 230
    assert states.of([]) == []
    assert states.of(["gone"]) == []
    assert states.of(["errors-200"])[0].state is State.INSUFFICIENT_DATA


def test_our_own_and_autoscaling_alarms_are_known_as_such(box: Box, states: AlarmStates) -> None:
    for name in ("watchkeeper-dead-letters", "TargetTracking-table/orders-AlarmHigh", "orders"):
        box.put(name)
        box.set(name)
    found = {one.name: (one.ours, one.autoscaling) for one in states.firing("watchkeeper-")}
    assert found == {
        "watchkeeper-dead-letters": (True, False),
        "TargetTracking-table/orders-AlarmHigh": (False, True),
        "orders": (False, False),
    }


def test_a_composite_alarm_names_its_children_as_their_keys_are(
    box: Box, states: AlarmStates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Alarms, "watch", lambda *_: None)
    box.put("orders-errors")
    box.put("orders-slow")
    box.aws.put_composite_alarm(
        AlarmName="orders", AlarmRule='ALARM("orders-errors") OR ALARM(orders-slow)'
    )
    composite, *children = states.of(["orders", "orders-errors", "orders-slow"])
    assert composite.kind is Kind.COMPOSITE
    assert list(composite.children) == [one.key for one in children]


def test_metric_math_and_anomaly_bands_are_read(
    box: Box, states: AlarmStates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Alarms, "watch", lambda *_: None)
    stat = {
        "Metric": {
            "Namespace": "AWS/SQS",
            "MetricName": "NumberOfMessagesSent",
            "Dimensions": [{"Name": "QueueName", "Value": "orders"}],
        },
        "Period": 300,
        "Stat": "Sum",
    }
    box.aws.put_metric_alarm(
        AlarmName="backlog",
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        Threshold=1.0,
        Metrics=[
            {"Id": "e1", "Expression": "m1 / 60", "Label": "rate", "ReturnData": True},
            {"Id": "m1", "MetricStat": stat, "ReturnData": False},
        ],
    )
    [alarm] = states.of(["backlog"])
    assert alarm.kind is Kind.MATH
    assert [one.returned for one in alarm.metrics] == [True, False]
    assert alarm.metrics[1].dimensions == {"QueueName": "orders"}


def test_a_composite_alarm_follows_its_children_and_its_events_say_the_same(
    box: Box, states: AlarmStates
) -> None:
    box.put("orders-errors", TreatMissingData="ignore")
    box.put("orders-slow", TreatMissingData="ignore")
    rule = 'ALARM("orders-errors") OR (ALARM(orders-slow) AND NOT OK(orders-errors))'
    box.aws.put_composite_alarm(AlarmName="orders", AlarmRule=rule)
    box.clock.run_until(TWO_O_CLOCK + timedelta(seconds=1))
    for child, state, expected in (
        ("orders-slow", "ALARM", State.ALARM),
        ("orders-errors", "OK", State.OK),
        ("orders-errors", "ALARM", State.ALARM),
    ):
        box.set(child, state)
        box.clock.run_for(timedelta(seconds=1))
        [described] = states.of(["orders"])
        assert described.state is expected
        told = box.events_of_alarms()[-1]
        assert (told.identity, told.state, told.kind) == (
            described.identity, described.state, Kind.COMPOSITE,
        )  # fmt: skip
        assert told.children == described.children
        assert told.triggered_by == described.triggered_by
        assert [one.rpartition(":")[2] for one in told.triggered_by] == [child]


def test_an_event_says_what_the_description_says_of_a_mute_rule(
    box: Box, states: AlarmStates
) -> None:
    box.put("orders")
    box.aws.put_alarm_mute_rule(
        Name="deploy",
        Rule={"Schedule": {"Expression": "at(2026-11-23T01:30)", "Duration": "PT1H"}},
        MuteTargets={"AlarmNames": ["orders"]},
    )
    box.set("orders")
    [event], [described] = box.events_of_alarms(), states.firing()
    assert event.muted == described.muted != ""


# ── Muted ─────────────────────────────────────────────────────────────────────────────────────────


def test_actions_that_are_off_or_suppressed_mute(box: Box, states: AlarmStates) -> None:
    for name in ("loud", "off", "suppressed"):
        box.put(name, ActionsEnabled=name != "off")
        box.set(name)
    held: Any = cloudwatch_backends[ACCOUNT][REGION].alarms["suppressed"]
    held.rule = "ALARM(loud)"
    held.actions_suppressed_by = "Alarm"
    held.actions_suppressed_reason = "deploying"
    assert {one.name: one.muted for one in states.firing()} == {
        "loud": "",
        "off": "Its actions are switched off",
        "suppressed": "Suppressed by Alarm: deploying",
    }


def test_a_mute_rule_mutes_while_its_window_lasts(
    box: Box, states: AlarmStates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Alarms, "watch", lambda *_: None)
    for name in ("orders", "billing"):
        box.put(name)
        box.set(name)
    box.aws.put_alarm_mute_rule(
        Name="deploy",
        Rule={"Schedule": {"Expression": "at(2026-11-23T01:30)", "Duration": "PT1H"}},
        MuteTargets={"AlarmNames": ["orders", "gone"]},
    )
    arn = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm-mute-rule:deploy"
    assert {one.name: one.muted for one in states.firing()} == {
        "orders": f"Muted by {arn}",
        "billing": "",
    }
    box.clock.run_until(TWO_O_CLOCK + 31 * MINUTE)
    assert {one.muted for one in states.firing()} == {""}


@pytest.mark.parametrize(
    ("code", "error"),
    [("AccessDeniedException", Denied), ("ThrottlingException", Throttled)],
)
def test_nothing_is_said_where_muting_is_not_known(
    box: Box, states: AlarmStates, code: str, error: type[Exception]
) -> None:
    box.put("orders")
    box.set("orders")
    refuse(states.client, "ListAlarmMuteRules", code)
    with pytest.raises(error):
        states.firing()
    box.set("orders", "OK")
    assert states.of(["orders"])[0].state is State.OK


def refuse(client: Any, operation: str, code: str) -> None:
    """Answer an operation with an error of AWS's, from before the request on."""

    @dataclass
    class Answer:
        status_code: int = 400
        headers: dict[str, str] = field(default_factory=dict)

    parsed = {
        "Error": {"Code": code, "Message": "no"},
        "ResponseMetadata": {"HTTPStatusCode": 400},
    }
    client.meta.events.register(f"before-call.*.{operation}", lambda **_: (Answer(), parsed))


# ── Contributors ──────────────────────────────────────────────────────────────────────────────────


def test_the_contributors_of_a_query_are_alarms_of_their_own(
    box: Box, states: AlarmStates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Alarms, "watch", lambda *_: None)
    box.aws.put_metric_alarm(
        AlarmName="throttled",
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        Threshold=1.0,
        Metrics=[{"Id": "q1", "Expression": QUERY, "Period": 60, "ReturnData": True}],
    )
    box.set("throttled")
    box_of_states.installed_in(box).contributors["throttled"] = [
        {
            "ContributorId": f"c{number:02}",
            "ContributorAttributes": {"TableName": f"carts-{number}"},
            "StateReason": "too much",
            "StateTransitionedTimestamp": TWO_O_CLOCK - MINUTE,
        }
        for number in range(60)
    ]
    whole, *parts = states.firing()
    arn = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:throttled"
    assert (whole.key, whole.kind, len(parts)) == (arn, Kind.QUERY, 60)
    event = {
        "detail-type": "CloudWatch Alarm Contributor State Change",
        "account": ACCOUNT,
        "region": REGION,
        "resources": [arn],
        "detail": {
            "alarmName": "throttled",
            "state": {"value": "ALARM", "timestamp": "2026-11-23T01:59:00.000+0000"},
            "alarmContributor": {"id": "c03", "attributes": {"TableName": "carts-3"}},
        },
    }
    [told] = alarms.read(event)
    assert parts[3].identity == told.identity
    assert parts[3].contributor_attributes == {"TableName": "carts-3"}
