"""What wakes the functions: when, by what, and where an event goes that cannot be delivered."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from moto.events.models import EventPattern

from local.aws_schedules import check_aws_schedule, occurrences_of_aws
from tests.template.stack import ROOT, Data, Stack
from watchkeeper import naming, triggers

START = datetime(2026, 11, 23, tzinfo=UTC)


def schedules(stack: Stack) -> dict[str, Data]:
    return stack.of_type("AWS::Scheduler::Schedule")


def test_every_function_but_that_of_recoveries_is_woken_by_a_schedule(stack: Stack) -> None:
    targets = {schedule["Target"]["Arn"] for schedule in schedules(stack).values()}
    assert targets == {stack.arn(name) for name in stack.functions.keys() - {"RecoverResources"}}


def test_nothing_begins_a_recovery_but_a_person(stack: Stack) -> None:
    """What wakes it goes on with what a person has begun."""
    invokers = [
        permission["Principal"]
        for permission in stack.of_type("AWS::Lambda::Permission").values()
        if permission["FunctionName"] == stack.ref("RecoverResources")
    ]
    assert invokers == ["sns.amazonaws.com"]


def test_schedules_are_such_as_aws_accepts(stack: Stack) -> None:
    for schedule in schedules(stack).values():
        check_aws_schedule(schedule["ScheduleExpression"])
        ZoneInfo(schedule.get("ScheduleExpressionTimezone", "UTC"))
        assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
        assert schedule.get("State", "ENABLED") == "ENABLED"


@pytest.mark.parametrize(
    ("schedule", "every"),
    [
        ("TakeBackupsTick", timedelta(minutes=15)),
        ("ExpireBackupsTick", timedelta(hours=1)),
        ("DrillRestoresTick", timedelta(hours=1)),
        ("TriageIncidentsTick", timedelta(minutes=5)),
        ("SweepRunsTick", timedelta(minutes=1)),
    ],
)
def test_ticks_come_as_often_as_the_work_needs(
    stack: Stack, schedule: str, every: timedelta
) -> None:
    expression = schedules(stack)[schedule]["ScheduleExpression"]
    fired = occurrences_of_aws(expression, "UTC", START, START, START + 4 * every)
    assert fired == [START + count * every for count in (1, 2, 3, 4)]


def test_a_tick_says_when_it_was_due_so_that_a_repeated_one_means_the_same(stack: Stack) -> None:
    for schedule in schedules(stack).values():
        assert json.loads(schedule["Target"]["Input"]) == {
            "trigger": "tick",
            "scheduled_at": "<aws.scheduler.scheduled-time>",
        }


def test_a_tick_is_tried_again_until_the_next_one_and_then_kept(stack: Stack) -> None:
    for name, schedule in schedules(stack).items():
        target = schedule["Target"]
        owner = name.removesuffix("Tick")
        assert target["DeadLetterConfig"] == {"Arn": stack.arn(f"{owner}Undelivered")}
        first, second = occurrences_of_aws(
            schedule["ScheduleExpression"], "UTC", START, START, START + timedelta(hours=2)
        )[:2]
        retry = target["RetryPolicy"]
        assert timedelta(seconds=retry["MaximumEventAgeInSeconds"]) == second - first
        assert 1 <= retry["MaximumRetryAttempts"] <= 185


def test_a_schedule_may_invoke_its_function_fill_its_queue_and_nothing_else(stack: Stack) -> None:
    for name in schedules(stack):
        owner = name.removesuffix("Tick")
        policies = stack.properties(f"{name}Role")["Policies"]
        granted = [
            (statement["Action"], statement["Resource"])
            for policy in policies
            for statement in policy["PolicyDocument"]["Statement"]
        ]
        assert granted == [
            ("lambda:InvokeFunction", stack.arn(owner)),
            ("sqs:SendMessage", stack.arn(f"{owner}Undelivered")),
        ]


# ── News ─────────────────────────────────────────────────────────────────────────────────────────


def subscriptions(stack: Stack) -> dict[str, Data]:
    return {
        name: subscription
        for name, subscription in stack.of_type("AWS::SNS::Subscription").items()
        if subscription["Protocol"] == "lambda"
    }


@pytest.mark.parametrize(
    ("name", "function", "capability"),
    [
        ("TakeBackupsWake", "TakeBackups", "backup"),
        ("ExpireBackupsWake", "ExpireBackups", "expire"),
        ("DrillRestoresWake", "DrillRestores", "drill"),
        ("RecoverResourcesWake", "RecoverResources", "recover"),
        ("TriageIncidentsWake", "TriageIncidents", "triage"),
    ],
)
def test_a_function_hears_only_that_a_run_of_its_own_is_due(
    stack: Stack, name: str, function: str, capability: str
) -> None:
    assert subscriptions(stack)[name] == {
        "TopicArn": stack.ref("NewsTopic"),
        "Protocol": "lambda",
        "Endpoint": stack.arn(function),
        "FilterPolicy": {"type": ["RunDue"], "capability": [capability]},
        "FilterPolicyScope": "MessageAttributes",
        "RedrivePolicy": {"deadLetterTargetArn": stack.arn(f"{function}Undelivered")},
    }


def test_no_run_wakes_two_functions_and_the_sweep_hears_no_news(stack: Stack) -> None:
    heard = [
        (subscription["Endpoint"], capability)
        for subscription in subscriptions(stack).values()
        for capability in subscription["FilterPolicy"]["capability"]
    ]
    assert len({capability for _, capability in heard}) == len(heard)
    assert stack.arn("SweepRuns") not in {endpoint for endpoint, _ in heard}


# ── Events of AWS ────────────────────────────────────────────────────────────────────────────────

EVENTS = ROOT / "events" / "take_backups"


def event(name: str, **detail: Any) -> Data:
    """An example event; `detail` changes what it is about."""
    read: Data = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return {**read, "detail": {**read["detail"], **detail}}


def rules_to(stack: Stack, target: str) -> dict[str, Data]:
    return {
        name.removeprefix("TakeBackups"): rule
        for name, rule in stack.of_type("AWS::Events::Rule").items()
        if [one["Arn"] for one in rule["Targets"]] == [target]
    }


def matches(rule: Data, told: Data) -> bool:
    pattern = EventPattern.load(json.dumps(rule["EventPattern"]))
    return bool(pattern.matches_event(cast("Any", told)))


def heard_by(stack: Stack, told: Data) -> list[str]:
    """The rules that wake TakeBackups and whose patterns match an event."""
    rules = rules_to(stack, stack.arn("TakeBackups"))
    return [name for name, rule in rules.items() if matches(rule, told)]


@pytest.mark.parametrize(
    ("told", "rule"),
    [
        (event("snapshot-failed"), "SnapshotFailed"),
        (event("snapshot-set-failed"), "SnapshotSetEnded"),
        (event("snapshot-set-succeeded"), "SnapshotSetEnded"),
        (event("database-snapshot-made"), "DatabaseSnapshotMade"),
        (event("cluster-snapshot-made"), "DatabaseSnapshotMade"),
        *[
            (event("script-ended", status=status), "ScriptEnded")
            for status in ("Success", "Failed", "TimedOut", "Cancelled")
        ],
        (event("key-disabled"), "KeyChanged"),
        (event("key-deletion-scheduled"), "KeyChanged"),
        (event("key-disabled", eventName="EnableKey"), "KeyChanged"),
        (event("key-disabled", eventName="CancelKeyDeletion"), "KeyChanged"),
        (event("key-disabled", eventName="DeleteImportedKeyMaterial"), "KeyChanged"),
        (event("key-disabled") | {"detail-type": "KMS CMK Deletion"}, "KeyGone"),
        (
            event("key-disabled") | {"detail-type": "KMS Imported Key Material Expiration"},
            "KeyGone",
        ),
    ],
)
def test_what_take_backups_waits_for_wakes_it_by_one_rule(
    stack: Stack, told: Data, rule: str
) -> None:
    assert heard_by(stack, told) == [rule]
    triggers.parse(triggers.take_backups, told)


AUTOMATED = {
    "EventID": "RDS-EVENT-0091",
    "Message": "Automated snapshot created",
    "SourceIdentifier": "rds:orders-2026-03-02-03-00",
}


@pytest.mark.parametrize(
    "told",
    [
        event("snapshot-failed", result="succeeded"),
        event("snapshot-failed", event="copySnapshot"),
        event("snapshot-failed") | {"source": "fleet"},
        event("database-snapshot-made", **AUTOMATED),
        event("database-snapshot-made", SourceIdentifier="before-upgrade"),
        event("database-snapshot-made", EventID="RDS-EVENT-0040"),  # it has only begun
        event("database-snapshot-made", EventID="RDS-EVENT-0041", EventCategories=["deletion"]),
        event("cluster-snapshot-made", EventID="RDS-EVENT-0074"),
        event("cluster-snapshot-made", SourceIdentifier="rds:orders-2026-03-02"),
        event("database-snapshot-made") | {"detail-type": "RDS DB Instance Event"},
        event("script-ended", **{"document-name": "AWS-RunShellScript"}),
        *[
            event("script-ended", status=status)
            for status in ("Pending", "InProgress", "Delayed", "Cancelling")
        ],
        event("key-disabled", eventName="Decrypt"),
        event("key-disabled", eventName="CreateGrant"),
        event("key-disabled", eventName="PutKeyPolicy"),
        event("key-disabled") | {"source": "aws.s3"},
        event("key-disabled") | {"detail-type": "KMS CMK Rotation"},
    ],
)
def test_what_is_not_over_or_not_ours_wakes_nobody(stack: Stack, told: Data) -> None:
    assert heard_by(stack, told) == []


def test_every_rule_is_told_of_above_or_below(stack: Stack) -> None:
    assert {name.removeprefix("TakeBackups") for name in stack.of_type("AWS::Events::Rule")} == {
        "SnapshotFailed", "SnapshotSetEnded", "DatabaseSnapshotMade", "ScriptEnded", "KeyChanged",
        "KeyGone", "TriageIncidentsAlarmChanged", "TrailRule",
    }  # fmt: skip


def test_rules_filter_by_the_names_that_we_give(stack: Stack) -> None:
    pattern = stack.properties("TakeBackupsDatabaseSnapshotMade")["EventPattern"]
    assert pattern["detail"]["SourceIdentifier"] == [{"prefix": naming.DATABASE_SNAPSHOT}]


def test_an_event_is_tried_again_for_an_hour_and_then_kept(stack: Stack) -> None:
    for rule in rules_to(stack, stack.arn("TakeBackups")).values():
        (target,) = rule["Targets"]
        assert target["DeadLetterConfig"] == {"Arn": stack.arn("TakeBackupsUndelivered")}
        assert target["RetryPolicy"] == {
            "MaximumEventAgeInSeconds": 3600,
            "MaximumRetryAttempts": 15,
        }


# ── Alarms ───────────────────────────────────────────────────────────────────────────────────────

ALARMS = ROOT / "events" / "triage_incidents"


def alarm(name: str, **detail: Any) -> Data:
    read: Data = json.loads((ALARMS / f"{name}.json").read_text(encoding="utf-8"))
    return {**read, "detail": {**read["detail"], **detail}}


@pytest.mark.parametrize(
    ("told", "heard"),
    [
        *[
            (alarm(name), True)
            for name in (
                "metric-alarm", "metric-alarm-ok", "metric-alarm-muted", "metric-math-alarm",
                "anomaly-alarm", "composite-alarm", "composite-alarm-suppressed",
                "contributor-alarm", "log-alarm", "set-by-hand", "target-tracking-alarm",
            )
        ],
        (alarm("metric-alarm", alarmName="stackful"), True),
        (alarm("metric-alarm", alarmName="of-another-stack-"), True),
        (alarm("metric-alarm", alarmName="stack-RunsStuckAlarm-1X2Y"), False),
        (alarm("metric-alarm") | {"source": "fleet"}, False),
        (alarm("metric-alarm") | {"detail-type": "CloudWatch Alarm Configuration Change"}, False),
    ],
)  # fmt: skip
def test_every_alarm_but_our_own_wakes_triage(stack: Stack, told: Data, *, heard: bool) -> None:
    """Ours page directly: what would triage them may be what is broken."""
    rule = stack.properties("TriageIncidentsAlarmChanged")
    assert matches(rule, told) is heard
    if heard:
        triggers.parse(triggers.triage_incidents, told)


def test_an_alarm_is_tried_for_as_long_as_a_storm_may_last_and_then_kept(stack: Stack) -> None:
    (target,) = stack.properties("TriageIncidentsAlarmChanged")["Targets"]
    assert target["Arn"] == stack.arn("TriageIncidents")
    assert target["DeadLetterConfig"] == {"Arn": stack.arn("TriageIncidentsUndelivered")}
    oldest = stack.properties("TriageIncidentsEventInvokeConfig")["MaximumEventAgeInSeconds"]
    assert target["RetryPolicy"]["MaximumEventAgeInSeconds"] == oldest == 6 * 3600


# ── The ring of management events ────────────────────────────────────────────────────────────────

CHANGE = event("key-disabled", eventCategory="Management", readOnly=False)


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (CHANGE, True),
        (event("key-disabled"), True),  # says neither whether it reads nor its category
        (CHANGE | {"detail-type": "AWS Service Event via CloudTrail"}, True),
        (CHANGE | {"detail-type": "AWS Console Sign In via CloudTrail"}, True),
        (event("key-disabled", readOnly=True, eventName="GetSecretValue"), True),
        (event("key-disabled", readOnly=True, eventName="GetPasswordData"), True),
        (event("key-disabled", readOnly=True, eventName="DescribeInstances"), False),
        (event("key-disabled", readOnly=False, eventCategory="Data"), False),
        (CHANGE | {"detail-type": "KMS CMK Rotation"}, False),
        (alarm("metric-alarm"), False),
        (event("snapshot-failed"), False),
    ],
)
def test_the_ring_keeps_what_changes_and_the_reads_that_intruders_begin_with(
    stack: Stack, told: Data, *, kept: bool
) -> None:
    assert matches(stack.properties("TrailRule"), told) is kept


def test_the_ring_is_told_of_reads_at_all_and_loses_nothing_silently(stack: Stack) -> None:
    rule = stack.properties("TrailRule")
    assert rule["State"] == "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
    (target,) = rule["Targets"]
    assert target["DeadLetterConfig"] == {"Arn": stack.arn("TriageIncidentsUndelivered")}


# ── Who may invoke ───────────────────────────────────────────────────────────────────────────────


def test_alarms_of_this_account_may_have_triage_as_their_action(stack: Stack) -> None:
    assert stack.properties("AlarmsMayInvokeTriageIncidents") == {
        "Action": "lambda:InvokeFunction",
        "FunctionName": stack.ref("TriageIncidents"),
        "Principal": "lambda.alarms.cloudwatch.amazonaws.com",
        "SourceAccount": "123456789012",
    }


def test_only_our_own_rules_and_topic_may_invoke_a_function(stack: Stack) -> None:
    permissions = stack.of_type("AWS::Lambda::Permission")
    del permissions["AlarmsMayInvokeTriageIncidents"]
    for permission in permissions.values():
        assert permission["Action"] == "lambda:InvokeFunction"
        origins = {
            "events.amazonaws.com": {
                stack.arn(rule) for rule in stack.of_type("AWS::Events::Rule")
            },
            "sns.amazonaws.com": {stack.ref("NewsTopic")},
        }
        assert permission["SourceArn"] in origins[permission["Principal"]]
