"""Everything that wakes a function: schedules, topics with filters, rules."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.cloud import Cloud
from tests.local.box import START, box, items

MINUTE = timedelta(minutes=1)


def events_of(cloud: Cloud, function: str) -> list[dict[str, Any]]:
    return [
        each.event for each in cloud.functions.invocations if each.function.logical_id == function
    ]


def test_a_rate_starts_at_once_and_goes_on() -> None:
    with box() as cloud:
        cloud.clock.run_for(3 * MINUTE)
        assert [event["scheduled_at"] for event in events_of(cloud, "Watcher")] == [
            f"2026-11-23T00:0{minute}:00Z" for minute in range(4)
        ]


def test_a_cron_means_the_time_of_its_zone() -> None:
    with box() as cloud:
        cloud.clock.run_for(timedelta(days=1))
        assert [event["at"] for event in events_of(cloud, "Keeper")] == ["2026-11-23T01:30:00Z"]


def test_a_schedule_that_is_switched_off_or_deleted_does_not_fire() -> None:
    with box() as cloud:
        scheduler = cloud.client("scheduler")
        name = cloud.physical_id("WatcherTick")
        given = scheduler.get_schedule(Name=name)
        keep = ("Name", "ScheduleExpression", "FlexibleTimeWindow", "Target")
        scheduler.update_schedule(**{key: given[key] for key in keep}, State="DISABLED")
        scheduler.delete_schedule(Name=cloud.physical_id("KeeperNightly"))
        cloud.clock.run_for(timedelta(hours=2))
        assert list(cloud.functions.invocations) == []


def test_a_bad_schedule_expression_is_refused() -> None:
    with box() as cloud, pytest.raises(ClientError, match="ValidationException"):
        cloud.client("scheduler").create_schedule(
            Name="bad",
            ScheduleExpression="rate(1 minutes)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": "arn:aws:lambda:us-east-1:123456789012:function:x", "RoleArn": "r"},
        )


def test_a_message_that_passes_the_filter_reaches_the_function_after_the_publisher() -> None:
    with box() as cloud:
        cloud.invoke("Keeper", {"do": "publish", "type": "Wake"})
        cloud.invoke("Keeper", {"do": "publish", "type": "Sleep"})
        assert len(events_of(cloud, "Keeper")) == 2  # not inside the publishing invocation
        cloud.clock.settle()
        (woken,) = [event for event in events_of(cloud, "Keeper") if "Records" in event]
        (record,) = woken["Records"]
        assert record["EventSource"] == "aws:sns"
        assert record["Sns"]["MessageAttributes"] == {"type": {"Type": "String", "Value": "Wake"}}
        assert record["Sns"]["TopicArn"] == cloud.physical_id("Topic")
        assert [each.attributes["type"] for each in cloud.published("Topic")] == ["Wake", "Sleep"]


def test_an_event_whose_pattern_matches_reaches_the_function() -> None:
    with box() as cloud:
        for result in ("failed", "succeeded"):
            cloud.events.send(
                {"source": "aws.ec2", "detail-type": "Something", "detail": {"result": result}}
            )
        cloud.clock.settle()
        (event,) = events_of(cloud, "Keeper")
        assert event["detail"] == {"result": "failed"}
        assert event["account"] == cloud.account_id
        assert event["time"] == "2026-11-23T00:00:00Z"


def test_an_event_put_by_a_client_reaches_the_function_and_input_path_is_honoured() -> None:
    with box() as cloud:
        cloud.client("events").put_events(
            Entries=[{"Source": "fleet", "DetailType": "x", "Detail": '{"order": {"pk": "fleet"}}'}]
        )
        cloud.clock.settle()
        assert len(items(cloud, "fleet")) == 1


def test_a_disabled_rule_delivers_nothing() -> None:
    with box() as cloud:
        cloud.client("events").disable_rule(Name=cloud.physical_id("KeeperSnapshotFailed"))
        cloud.events.send({"source": "aws.ec2", "detail-type": "x", "detail": {"result": "failed"}})
        cloud.clock.settle()
        assert events_of(cloud, "Keeper") == []


def test_without_its_permission_a_topic_cannot_wake_the_function() -> None:
    with box() as cloud:
        policy = cloud.client("lambda").get_policy(FunctionName=cloud.physical_id("Keeper"))
        for statement in json.loads(policy["Policy"])["Statement"]:
            cloud.client("lambda").remove_permission(
                FunctionName=cloud.physical_id("Keeper"), StatementId=statement["Sid"]
            )
        cloud.invoke("Keeper", {"do": "publish", "type": "Wake"})
        cloud.events.send({"source": "aws.ec2", "detail-type": "x", "detail": {"result": "failed"}})
        cloud.clock.settle()
        assert len(events_of(cloud, "Keeper")) == 1
        assert [source for source, _ in cloud.triggers.undelivered] == [
            cloud.physical_id("KeeperWake"),
            f"arn:aws:events:us-east-1:{cloud.account_id}:rule/"
            + cloud.physical_id("KeeperSnapshotFailed"),
        ]


def test_quiet_ticks_are_thinned_and_activity_brings_them_back() -> None:
    with box(thin=timedelta(minutes=15)) as cloud:
        noon = datetime(2026, 11, 23, 12, 7, tzinfo=UTC)
        cloud.clock.run_until(noon)
        cloud.invoke("Keeper", {"do": "note"})
        cloud.clock.run_for(timedelta(hours=1))
        starts = [
            (each.started_at - START) // MINUTE
            for each in cloud.functions.invocations
            if each.function.logical_id == "Watcher" and each.started_at
        ]
    assert starts[:4] == [0, 15, 30, 45]
    # The keeper wrote at 01:30, so there was a tick at 01:31, and every quarter of an hour after
    # it. What it writes at 12:07 wakes the tick of 12:08.
    assert [minute for minute in starts if minute >= 720] == [721, 728, 743, 758, 773]


def test_alarms_do_not_take_thinned_ticks_for_silence() -> None:
    with box(thin=timedelta(minutes=15)) as cloud:
        cloud.clock.run_for(timedelta(hours=6))
        assert not [page for page in cloud.published("Pages") if "Silence" in str(page.subject)]
