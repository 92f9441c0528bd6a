"""An incident from alarm to end, killed at every call, raced, starved and lied to: people are paged
once when it begins and told once when it is over, and the record says the same.
"""

import json
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from local.aws import alarm_states
from local.mischief import Mischief
from tests.crash.forks import aside, explore_changes
from tests.crash.triage import (
    FAILING,
    MINUTE,
    SLOW,
    Account,
    Outcome,
    account,
    incident,
    outcome,
    settle,
)

FUNCTION = "TriageIncidents"
FEWEST = 15
"""Calls of a share of an incident that change something."""
SHARES = 4
CALLS = range(1, 16)
"""Of an alarm's invocation, those until it is in the table, and some more."""
ALL = bool(os.environ.get("EVERY_CALL"))
"""Every call, which takes some minutes of a core; else each fourth."""
NO_LOGS = "AccessDeniedException"


@pytest.fixture(scope="module")
def calm() -> Iterator[Account]:
    """Tests tell their stories aside, so all find it like this."""
    with account() as made:
        yield made


def told_aside(made: Account, trouble: Callable[[Mischief], object]) -> Outcome:
    def story() -> Outcome:
        trouble(made.cloud.mischief)
        return incident(made)

    return aside(story)


def is_one_incident(end: Outcome, within: timedelta = 8 * MINUTE) -> bool:
    late = end.first_page_after
    return end.is_one_incident and late is not None and late <= within


# ── What is as it should be ───────────────────────────────────────────────────────────────────────


def test_an_alarm_is_told_at_once_and_its_end_once(calm: Account) -> None:
    end = aside(lambda: incident(calm))
    assert is_one_incident(end, within=MINUTE / 2), end
    assert end.looks == (0, 1, 2)
    assert end.closed == ("all are OK",)
    assert not end.repeats
    assert not end.errors


# ── Killed, raced ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["death", "twin"])
@pytest.mark.parametrize("share", range(SHARES if ALL else 1))
def test_death_or_twin_at_every_call(calm: Account, share: int, kind: str) -> None:
    """Who dies right after publishing sends the same page again, and the same news."""
    story = aside(
        lambda: explore_changes(calm.cloud, FUNCTION, kind, lambda: incident(calm), (share, SHARES))
    )
    assert len(story.branches) >= FEWEST
    assert story.gone_wrong(lambda end: is_one_incident(end) and end.repeats <= 2) == []


# ── Events that misbehave ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("trouble", "within"),
    [
        pytest.param({"drop": 1.0}, 10 * MINUTE, id="every event of EventBridge is lost"),
        pytest.param({"repeat": 1.0}, MINUTE, id="everything comes twice"),
        pytest.param(
            {"delay": 9 * MINUTE, "reorder": True, "seed": 3}, 11 * MINUTE, id="late and mixed up"
        ),
        pytest.param(
            {"drop": 0.5, "repeat": 0.5, "delay": 4 * MINUTE, "reorder": True, "seed": 5},
            12 * MINUTE,
            id="all of it at once",
        ),
    ],
)
def test_events_misbehave(calm: Account, trouble: dict[str, Any], within: timedelta) -> None:
    end = told_aside(calm, lambda mischief: mischief.trouble_events(**trouble))
    assert is_one_incident(end, within), end


# ── Throttled, denied, without an answer ──────────────────────────────────────────────────────────

LOOKED_AT = ("logs", "cloudwatch", "cloudtrail", "rds", "resourcegroupstaggingapi", "s3", "ssm")


@pytest.mark.parametrize("service", LOOKED_AT)
@pytest.mark.parametrize(
    "how", ["denied", *(pytest.param(one, marks=pytest.mark.slow) for one in ("throttled", "500"))]
)
def test_what_cannot_be_asked_holds_up_no_page(calm: Account, service: str, how: str) -> None:
    until = calm.cloud.clock.now() + timedelta(hours=1)

    def trouble(mischief: Mischief) -> None:
        if how == "throttled":
            mischief.throttle(service, "*", until=until)
        elif how == "denied":
            mischief.fail(service, "*", "AccessDeniedException", times=None)
        else:
            mischief.fail(service, "*", "InternalFailure", status=500, times=None)

    end = told_aside(calm, trouble)
    assert end.news.get("IncidentOpened") == end.news.get("IncidentResolved") == 1, end
    assert end.first_page_after is not None
    assert end.first_page_after <= MINUTE, end
    assert set(end.runs.values()) == {"done"}
    assert not end.differs
    if service != "s3":
        assert end.looks == (0, 1, 2)


def test_logs_that_may_not_be_read_are_said_to_be_unread(calm: Account) -> None:
    end = told_aside(calm, lambda mischief: mischief.fail("logs", "*", NO_LOGS, times=None))
    assert is_one_incident(end, MINUTE), end
    assert any("log" in one and "denied" in one.lower() for one in end.unchecked), end.unchecked
    assert "Not checked" in end.words[0]


def test_a_report_that_cannot_be_stored_is_told_all_the_same(calm: Account) -> None:
    end = told_aside(calm, lambda mischief: mischief.fail("s3", "*", "AccessDenied", times=None))
    assert not end.looks
    assert "could not be stored" in end.words[0]


@pytest.mark.parametrize("service", ["sns", "dynamodb"])
def test_throttled_for_an_hour_it_is_only_later(calm: Account, service: str) -> None:
    until = calm.cloud.clock.now() + timedelta(hours=1)

    def story() -> Outcome:
        began = calm.cloud.clock.now()
        calm.cloud.mischief.throttle(service, "*", until=until)
        calm.change("ALARM")
        calm.passes(80 * MINUTE)
        calm.change("OK")
        return settle(calm, began)

    end = aside(story)
    counts = {name: end.news.get(name) for name in ("IncidentOpened", "IncidentResolved")}
    assert counts == {"IncidentOpened": 1, "IncidentResolved": 1}, end
    assert end.first_page_after is not None
    assert end.first_page_after <= timedelta(minutes=70)
    # What failed three times within the hour is kept for a person, and pages by itself.
    assert end.waiting.keys() <= {"TriageIncidentsUnhandled"}


def test_one_that_is_over_before_anybody_could_be_told_is_told_with_its_end(calm: Account) -> None:
    until = calm.cloud.clock.now() + timedelta(hours=1)

    def story() -> Outcome:
        began = calm.cloud.clock.now()
        calm.change("ALARM")
        calm.cloud.mischief.throttle("dynamodb", "UpdateItem", until=until)  # no run is leased
        calm.passes(10 * MINUTE)
        calm.change("OK")
        return settle(calm, began)

    end = aside(story)
    assert end.news.get("IncidentOpened") == end.news.get("IncidentResolved") == 1, end


# ── A look that crashes ───────────────────────────────────────────────────────────────────────────


def test_a_bug_in_a_look_does_not_keep_people_from_being_paged(calm: Account) -> None:
    def story() -> Outcome:
        from watchkeeper.triage.log_looks import LogLook  # noqa: PLC0415, importable inside a box

        def broken(*_: Any) -> Any:
            raise ValueError("a bug")

        LogLook.__call__ = broken  # type: ignore[method-assign, assignment]
        return incident(calm)

    end = aside(story)
    counts = {name: end.news.get(name) for name in ("IncidentOpened", "IncidentResolved")}
    assert counts == {"IncidentOpened": 1, "IncidentResolved": 1}, end
    assert end.first_page_after is not None
    assert end.first_page_after <= 5 * MINUTE
    assert "Nothing else is known" in end.words[0]
    assert set(end.runs.values()) == {"done"}
    assert any("a bug" in one for one in end.errors), "the function's own alarm speaks of it"


# ── Several routes, several alarms ────────────────────────────────────────────────────────────────


def test_by_every_route_at_once_it_is_one_incident(calm: Account) -> None:
    def story() -> Outcome:
        topic = calm.topic_into_the_queue()
        function = calm.cloud.functions.find(FUNCTION).arn
        actions = [topic, function]
        calm.put_alarm(FAILING, AlarmActions=actions, OKActions=actions)
        calm.passes(2 * MINUTE)
        return incident(calm)

    end = aside(story)
    assert is_one_incident(end, MINUTE), end
    assert end.members == (1,)


def test_by_the_queue_alone(calm: Account) -> None:
    def story() -> Outcome:
        topic = calm.topic_into_the_queue()
        calm.put_alarm(FAILING, AlarmActions=[topic], OKActions=[topic])
        calm.cloud.client("events").disable_rule(
            Name=calm.cloud.physical_id("TriageIncidentsAlarmChanged")
        )
        calm.passes(2 * MINUTE)
        return incident(calm)

    end = aside(story)
    assert is_one_incident(end, MINUTE), end


@pytest.mark.parametrize(
    "call", [one if one % 4 == 2 else pytest.param(one, marks=pytest.mark.slow) for one in CALLS]
)
def test_two_first_alarms_at_one_moment_open_one_incident(calm: Account, call: int) -> None:
    """In the middle of the first alarm's invocation, the second one's runs from begin to end."""

    def story() -> Outcome:
        cloud, began = calm.cloud, calm.cloud.clock.now()
        twins = cloud.mischief.twins_due
        seen = 0

        def second_alarm(function: str) -> Any:
            nonlocal seen
            seen += function == FUNCTION
            if seen == call:
                seen += 1_000
                event = _event_of(calm, SLOW)
                assert cloud.invoke(FUNCTION, event).ok
            return twins(function)

        calm.change("ALARM", SLOW)
        # Its own event is still on its way.
        cloud.mischief.twins_due = second_alarm  # type: ignore[method-assign]
        calm.change("ALARM")
        calm.passes(12 * MINUTE)
        calm.change("OK")
        calm.change("OK", SLOW)
        return settle(calm, began)

    end = aside(story)
    assert end.members == (2,), end
    assert end.news["IncidentOpened"] == end.news["IncidentResolved"] == 1
    assert set(end.runs.values()) == {"done"}


def _event_of(made: Account, name: str) -> dict[str, Any]:
    """As EventBridge tells of the alarm's state."""
    found = made.cloud.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]
    at = found["StateTransitionedTimestamp"].strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    return {
        "source": "aws.cloudwatch",
        "detail-type": "CloudWatch Alarm State Change",
        "resources": [found["AlarmArn"]],
        "detail": {"alarmName": name, "state": {"value": found["StateValue"], "timestamp": at}},
    }


def _named(made: Account, name: str, state: str, ago: timedelta) -> dict[str, Any]:
    """As EventBridge told of an alarm that is about something of its own."""
    cloud = made.cloud
    at = cloud.clock.now() - ago
    metric = {"namespace": "AWS/EC2", "name": "CPU", "dimensions": {"InstanceId": f"i-{name:0>17}"}}
    return {
        "source": "aws.cloudwatch",
        "detail-type": "CloudWatch Alarm State Change",
        "resources": [f"arn:aws:cloudwatch:{cloud.region}:{cloud.account_id}:alarm:{name}"],
        "detail": {
            "alarmName": name,
            "state": {"value": state, "timestamp": f"{at:%Y-%m-%dT%H:%M:%S}.000+0000"},
            "configuration": {"metrics": [{"id": "m", "metricStat": {"metric": metric}}]},
        },
    }


def test_a_backlog_of_half_a_day_fits_into_the_limits_of_a_transaction(calm: Account) -> None:
    """None of them belongs to any other, so each opens an incident of its own."""
    number = 40

    def story() -> Outcome:
        records = [
            {
                "messageId": str(one),
                "receiptHandle": str(one),
                "eventSource": "aws:sqs",
                "body": json.dumps(_named(calm, str(one), "ALARM", (number - one) * 15 * MINUTE)),
            }
            for one in range(number)
        ]
        invocation = calm.cloud.invoke(FUNCTION, {"Records": records})
        assert invocation.ok, invocation.error
        return outcome(calm, calm.cloud.clock.now())

    end = aside(story)
    assert end.members == (1,) * number
    assert end.news == {"IncidentOpened": number}


def test_an_alarm_that_comes_again_after_weeks_is_known(calm: Account) -> None:
    """The list of incidents has forgotten its incident, which is still in the table."""

    def story() -> Outcome:
        event = _named(calm, "7", "ALARM", MINUTE)
        calm.cloud.invoke(FUNCTION, event)
        calm.cloud.invoke(FUNCTION, _named(calm, "7", "OK", MINUTE / 2))
        settle(calm, calm.cloud.clock.now())
        calm.cloud.client("dynamodb").delete_item(
            TableName=calm.cloud.physical_id("Table"),
            Key={"pk": {"S": "INCIDENTS#watchkeeper"}, "sk": {"S": "BOOK"}},
        )
        calm.cloud.invoke(FUNCTION, event, asynchronous=True)
        return settle(calm, calm.cloud.clock.now())

    end = aside(story)
    assert end.is_one_incident, end
    assert not end.errors


@pytest.mark.parametrize("seed", [1, 2])
def test_a_storm_of_real_alarms_is_one_page(calm: Account, seed: int) -> None:
    """Forty alarms in five minutes, each flapping once, their events late, twice or never."""

    def story() -> Outcome:
        began, names = calm.cloud.clock.now(), [f"storm-{one}" for one in range(40)]
        for name in names:
            calm.put_alarm(name)
        calm.cloud.mischief.trouble_events(
            drop=0.1, repeat=0.3, delay=2 * MINUTE, reorder=True, seed=seed
        )
        for state in ("ALARM", "OK", "ALARM"):
            for name in names:
                calm.change(state, name)
                calm.passes(timedelta(seconds=2))
        calm.passes(10 * MINUTE)
        for name in names:
            calm.change("OK", name)
        return settle(calm, began)

    end = aside(story)
    assert end.members == (40,), end
    assert end.news["IncidentOpened"] == end.news["IncidentResolved"] == 1
    assert end.news.get("IncidentChanged", 0) <= 3
    assert set(end.runs.values()) == {"done"}
    assert not end.waiting
    assert not end.errors
    assert not end.differs


# ── Alarms of nobody's ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["watchkeeper-SweepSilentAlarm", "TargetTracking-table/of-us-1"])
@pytest.mark.parametrize("by_hand", [False, True])
def test_our_own_alarms_and_those_of_autoscaling_open_none(
    calm: Account, name: str, *, by_hand: bool
) -> None:
    def story() -> Outcome:
        began = calm.cloud.clock.now()
        calm.put_alarm(name)
        calm.change("ALARM", name)
        if by_hand:
            calm.cloud.invoke(FUNCTION, _event_of(calm, name))
        calm.passes(20 * MINUTE)
        return outcome(calm, began)

    end = aside(story)
    assert not end.members, end
    assert not end.pages
    assert not end.waiting


def test_a_muted_alarm_is_recorded_and_pages_nobody(calm: Account) -> None:
    def story() -> Outcome:
        now = calm.cloud.clock.now()
        calm.cloud.client("cloudwatch").put_alarm_mute_rule(
            Name="deploying",
            Rule={
                "Schedule": {
                    "Expression": f"at({now - MINUTE:%Y-%m-%dT%H:%M})",
                    "Duration": "PT2H",
                }
            },
            MuteTargets={"AlarmNames": [FAILING]},
        )
        assert alarm_states.installed_in(calm.cloud).muting(FAILING)
        return incident(calm)

    end = aside(story)
    assert end.members == (1,), end
    assert not end.pages
    assert not end.news
    assert end.closed == ("all are OK",)
    assert set(end.runs.values()) == {"done"}


def test_an_alarm_that_is_deleted_while_it_fires_does_not_fire_for_ever(calm: Account) -> None:
    def story() -> Outcome:
        began = calm.cloud.clock.now()
        calm.change("ALARM")
        calm.passes(3 * MINUTE)
        calm.cloud.client("cloudwatch").delete_alarms(AlarmNames=[FAILING])
        return settle(calm, began)

    end = aside(story)
    assert is_one_incident(end, MINUTE), end
    assert end.closed == ("1 stopped reporting, the others are OK",)


def test_a_stop_silences_no_alarm(calm: Account) -> None:
    """A stop halts what changes the account; who is on call is told all the same."""

    def story() -> Outcome:
        calm.cloud.client("dynamodb").put_item(
            TableName=calm.cloud.physical_id("Table"),
            Item={"pk": {"S": "STOP"}, "sk": {"S": "STOP"}, "why": {"S": "an incident"}},
        )
        return incident(calm)

    assert is_one_incident(aside(story), MINUTE)


# ── Garbage ───────────────────────────────────────────────────────────────────────────────────────

HOSTILE = "<script>alert(1)</script>\x00\u202e" + "A" * 4_000
GARBAGE: dict[str, Any] = {
    "nothing": None,
    "a truth": True,
    "a number": 17,
    "a fraction": 1e308,
    "a text": HOSTILE,
    "a list": [1, [None, {}]],
    "an empty object": {},
    "an object": {"a": {"b": [HOSTILE]}},
    "a cut notification": {"Records": [{"Sns": {"Message": '{"AlarmName": "checkout-er'}}]},
    "a cut queue": {"Records": [{"body": '{"Type": "Notification", "Mess'}]},
    "records of nothing": {"Records": [None, 3, "x", {}]},
    "a hostile alarm": {
        "source": "aws.cloudwatch",
        "detail-type": "CloudWatch Alarm State Change",
        "resources": [HOSTILE],
        "detail": {
            "alarmName": HOSTILE,
            "state": {"value": HOSTILE, "timestamp": HOSTILE, "reasonData": "{" * 5_000},
            "configuration": {"metrics": [{"metricStat": {"metric": {"dimensions": [HOSTILE]}}}]},
        },
    },
    "an alarm from the end of time": {
        "source": "aws.cloudwatch",
        "detail-type": "CloudWatch Alarm State Change",
        "resources": ["arn:aws:cloudwatch:us-east-1:123456789012:alarm:later"],
        "detail": {
            "alarmName": "later",
            "state": {"value": "ALARM", "timestamp": "9999-12-31T23:59:59.999+0000"},
        },
    },
    "an alarm from its beginning": {
        "source": "aws.cloudwatch",
        "detail-type": "CloudWatch Alarm State Change",
        "resources": ["arn:aws:cloudwatch:us-east-1:123456789012:alarm:before"],
        "detail": {
            "alarmName": "before",
            "state": {"value": "ALARM", "timestamp": "0001-01-01T00:00:00.000+0000"},
        },
    },
    "half a character": {"detail-type": "CloudWatch Alarm x", "detail": {"alarmName": "\ud800"}},
}
READ_AS_OTHERS = {
    "a broken tick": {"trigger": "tick", "scheduled_at": HOSTILE},
    "a wake-up without a run": {
        "Records": [{"Sns": {"Message": json.dumps({"type": "RunDue", "run": 3})}}]
    },
}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_is_one_incident_that_ends_by_itself(calm: Account, what: str) -> None:
    """Somebody looks at it, once; and no alarm after it is held back."""

    def story() -> Outcome:
        began = calm.cloud.clock.now()
        calm.cloud.invoke(FUNCTION, GARBAGE[what], asynchronous=True)
        return settle(calm, began)

    end = aside(story)
    assert not end.errors, end
    assert not end.waiting
    assert set(end.runs.values()) <= {"done"}, end
    assert end.news.get("IncidentOpened", 0) == end.news.get("IncidentResolved", 0), end
    assert end.news.get("IncidentOpened", 0) <= 3
    assert not end.differs


@pytest.mark.parametrize("what", READ_AS_OTHERS)
def test_a_broken_word_of_our_own_waits_for_a_person(calm: Account, what: str) -> None:
    def story() -> Outcome:
        began = calm.cloud.clock.now()
        calm.cloud.invoke(FUNCTION, READ_AS_OTHERS[what], asynchronous=True)
        calm.passes(10 * MINUTE)
        return outcome(calm, began)

    end = aside(story)
    assert end.waiting == {"TriageIncidentsUnhandled": 1}, end
    assert not end.members


def test_garbage_beside_an_alarm_holds_nothing_up(calm: Account) -> None:
    def story() -> Outcome:
        for one in (*GARBAGE.values(), *READ_AS_OTHERS.values()):
            calm.cloud.invoke(FUNCTION, one, asynchronous=True)
        return incident(calm)

    end = aside(story)
    assert end.first_page_after is not None
    assert end.first_page_after <= MINUTE
    assert end.news["IncidentOpened"] == end.news["IncidentResolved"] == len(end.members), end
