"""What wakes the functions: when, by what, and where an event goes that cannot be delivered."""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from local.aws_schedules import check_aws_schedule, occurrences_of_aws
from tests.template.stack import Data, Stack

START = datetime(2026, 11, 23, tzinfo=UTC)


def schedules(stack: Stack) -> dict[str, Data]:
    return stack.of_type("AWS::Scheduler::Schedule")


def test_every_function_is_woken_by_a_schedule(stack: Stack) -> None:
    targets = {schedule["Target"]["Arn"] for schedule in schedules(stack).values()}
    assert targets == {stack.arn(name) for name in stack.functions}


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


# ── Events of EBS ────────────────────────────────────────────────────────────────────────────────


def test_take_backups_hears_of_failed_snapshots_and_of_ended_sets(stack: Stack) -> None:
    rules = stack.of_type("AWS::Events::Rule")
    assert {name: rule["EventPattern"] for name, rule in rules.items()} == {
        "TakeBackupsSnapshotFailed": {
            "source": ["aws.ec2"],
            "detail-type": ["EBS Snapshot Notification"],
            "detail": {"event": ["createSnapshot"], "result": ["failed"]},
        },
        "TakeBackupsSnapshotSetEnded": {
            "source": ["aws.ec2"],
            "detail-type": ["EBS Multi-Volume Snapshots Completion Status"],
        },
    }


def test_an_event_is_tried_again_for_an_hour_and_then_kept(stack: Stack) -> None:
    for rule in stack.of_type("AWS::Events::Rule").values():
        (target,) = rule["Targets"]
        assert target["Arn"] == stack.arn("TakeBackups")
        assert target["DeadLetterConfig"] == {"Arn": stack.arn("TakeBackupsUndelivered")}
        assert target["RetryPolicy"] == {
            "MaximumEventAgeInSeconds": 3600,
            "MaximumRetryAttempts": 15,
        }


def test_only_our_own_rules_and_topic_may_invoke_a_function(stack: Stack) -> None:
    for permission in stack.of_type("AWS::Lambda::Permission").values():
        assert permission["Action"] == "lambda:InvokeFunction"
        origins = {
            "events.amazonaws.com": {
                stack.arn(rule) for rule in stack.of_type("AWS::Events::Rule")
            },
            "sns.amazonaws.com": {stack.ref("NewsTopic")},
        }
        assert permission["SourceArn"] in origins[permission["Principal"]]
