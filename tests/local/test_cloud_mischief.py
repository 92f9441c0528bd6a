"""The box can be unkind, when and as told."""

from datetime import timedelta

import boto3
import pytest
from botocore.exceptions import ClientError

from local.cloud import Cloud
from tests.local.box import box, items

MINUTE = timedelta(minutes=1)
THREE = {"do": "three", "items": 3, "tidy": True}


@pytest.mark.parametrize(("when", "written"), [("before", 1), ("after", 2)])
def test_a_function_dies_before_or_after_its_kth_call(when: str, written: int) -> None:
    with box() as cloud:
        death = cloud.mischief.kill("Keeper", call=2, when=when)  # type: ignore[arg-type]
        invocation = cloud.invoke("Keeper", THREE)
        assert death.fired
        assert invocation.error == f"Killed: killed {when} PutItem"
        assert len(items(cloud, "three")) == written
        assert items(cloud, "tidied") == []  # the dead make no calls, not even in `finally`
        assert "three done" not in invocation.log


def test_a_death_happens_once_and_the_retry_finds_a_new_process() -> None:
    with box() as cloud:
        cloud.invoke("Keeper", {"do": "count"})
        cloud.mischief.kill("Keeper", call=1)
        cloud.invoke("Keeper", THREE, asynchronous=True)
        cloud.clock.run_for(2 * MINUTE)
        assert len(items(cloud, "three")) == 3
        assert cloud.invoke("Keeper", {"do": "count"}).result["seen"] == 2


def test_a_death_that_is_never_reached_has_not_fired() -> None:
    with box() as cloud:
        death = cloud.mischief.kill("Keeper", call=5)
        assert cloud.invoke("Keeper", THREE).ok
        assert not death.fired


def test_a_twin_runs_in_the_middle_as_a_process_of_its_own() -> None:
    with box() as cloud:
        cloud.mischief.twin("Keeper", call=2)
        cloud.invoke("Keeper", {"do": "note", "items": 2})
        outer, twin = cloud.functions.invocations
        assert outer.event == twin.event
        order = [call.invocation for call in cloud.calls]
        assert order == [outer.number, twin.number, twin.number, outer.number]
        assert outer.ok
        assert twin.ok


def test_throttling_ends_as_told() -> None:
    with box() as cloud:
        cloud.mischief.throttle("dynamodb", "PutItem", times=2, code="ThrottlingException")
        cloud.mischief.throttle(
            "dynamodb", "*", until=cloud.clock.now() + MINUTE, code="ThrottlingException"
        )
        errors = [cloud.invoke("Keeper", {"do": "note"}).error for _ in range(3)]
        cloud.clock.run_for(MINUTE)
        assert all("ThrottlingException" in str(error) for error in errors)
        assert cloud.invoke("Keeper", {"do": "note"}).ok


def test_a_lost_answer_leaves_the_effect() -> None:
    with box() as cloud:
        cloud.mischief.fail("dynamodb", "PutItem", "ReadTimeout", after=True)
        invocation = cloud.invoke("Keeper", {"do": "note"})
        assert "ReadTimeoutError" in str(invocation.error)
        assert len(items(cloud, "note")) == 1
        assert [call.error for call in cloud.calls] == ["ReadTimeoutError"]


def test_a_failure_can_be_for_some_calls_only() -> None:
    with box() as cloud:
        cloud.mischief.fail(
            "dynamodb",
            "PutItem",
            "AccessDeniedException",
            status=400,
            times=None,
            match=lambda params: params["Item"]["pk"]["S"] == "secret",
        )
        assert not cloud.invoke("Keeper", {"do": "note", "pk": "secret"}).ok
        assert cloud.invoke("Keeper", {"do": "note", "pk": "open"}).ok


def test_mischief_is_for_functions_not_for_the_operator() -> None:
    with box() as cloud:
        cloud.mischief.fail("dynamodb", "*", "InternalServerError", times=None)
        assert cloud.client("dynamodb").list_tables()["TableNames"]


def failed_snapshots(cloud: Cloud, number: int) -> list[str]:
    """Send events one minute apart; their names in the order of arrival."""
    for name in range(number):
        cloud.events.send(
            {
                "source": "aws.ec2",
                "detail-type": "EBS Snapshot Notification",
                "detail": {"result": "failed", "name": str(name)},
            }
        )
        cloud.clock.run_for(MINUTE)
    cloud.clock.run_for(60 * MINUTE)
    return [
        each.event["detail"]["name"]
        for each in cloud.functions.invocations
        if "detail" in each.event
    ]


def test_events_are_dropped_repeated_delayed_and_reordered_as_told() -> None:
    with box() as cloud:
        in_order = [str(number) for number in range(20)]
        assert failed_snapshots(cloud, 20) == in_order
    with box() as cloud:
        cloud.mischief.trouble_events(drop=1)
        assert failed_snapshots(cloud, 20) == []
    with box() as cloud:
        cloud.mischief.trouble_events(repeat=1)
        assert sorted(failed_snapshots(cloud, 20), key=int) == sorted(in_order * 2, key=int)
    with box() as cloud:
        cloud.mischief.trouble_events(delay=30 * MINUTE, seed=1)
        arrived = failed_snapshots(cloud, 20)
        assert arrived != in_order
        assert sorted(arrived, key=int) == in_order


def test_topics_repeat_and_reorder_but_never_drop() -> None:
    with box() as cloud:
        cloud.mischief.trouble_events(drop=1, repeat=1, reorder=True)
        cloud.invoke("Keeper", {"do": "publish", "type": "Wake"})
        cloud.clock.run_for(5 * MINUTE)
        woken = [each for each in cloud.functions.invocations if "Records" in each.event]
        assert len(woken) == 2


def test_what_the_role_does_not_allow_is_denied() -> None:
    with box(deny=True) as cloud:
        # The role of this small stack allows nothing but its log.
        invocation = cloud.invoke("Keeper", {"do": "note"})
        assert "AccessDeniedException" in str(invocation.error)
        assert "dynamodb:PutItem" in str(invocation.error)
        assert cloud.client("dynamodb").list_tables()["TableNames"]


def test_an_error_of_aws_is_recorded_with_its_code() -> None:
    with box() as cloud:
        table = cloud.physical_id("Table")
        cloud.client("dynamodb").delete_table(TableName=table)
        cloud.invoke("Keeper", {"do": "note"})
        assert [call.error for call in cloud.calls] == ["ResourceNotFoundException"]
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            boto3.client("dynamodb").describe_table(TableName=table)
