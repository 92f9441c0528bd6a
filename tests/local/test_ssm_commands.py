"""Run Command in the box, held against the AWS page that each test names."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.scripts_box import DOCUMENT, SECOND, ScriptsBox, scripts_box
from tests.local.service_box import TWO_O_CLOCK

MINUTE = timedelta(minutes=1)
EXECUTION = "0f2a6a44-6f0e-5d0b-9c05-6d9f5f8a3c11"


@pytest.fixture
def box() -> Iterator[ScriptsBox]:
    with scripts_box() as box:
        yield box


@pytest.fixture
def aws(box: ScriptsBox) -> Any:
    return box.client("ssm")


@pytest.fixture
def instance(box: ScriptsBox) -> str:
    return box.instance


def send(aws: Any, instance: str, word: str = "pre-script", **more: Any) -> str:
    request: dict[str, Any] = {
        "DocumentName": DOCUMENT,
        "InstanceIds": [instance],
        "Parameters": {"command": [word], "executionId": [EXECUTION]},
        "Comment": f"{word} of a test",
        "TimeoutSeconds": 30,
    }
    return str(aws.send_command(**(request | more))["Command"]["CommandId"])


def state(aws: Any, command: str) -> tuple[str, str, int]:
    [found] = aws.list_command_invocations(CommandId=command, Details=True)["CommandInvocations"]
    [plugin] = found["CommandPlugins"]
    return found["Status"], found["StatusDetails"], plugin["ResponseCode"]


def refusal(aws: Any, instance: str, **more: Any) -> str:
    with pytest.raises(ClientError) as failure:
        send(aws, instance, **more)
    return str(failure.value.response["Error"]["Code"])


def test_a_command_is_hidden_pending_in_progress_and_ends(
    box: ScriptsBox, aws: Any, instance: str
) -> None:
    """API_SendCommand, API_GetCommandInvocation: eventual consistency, InvocationDoesNotExist."""
    command = send(aws, instance)
    assert aws.list_commands()["Commands"] == []
    with pytest.raises(ClientError) as failure:
        aws.get_command_invocation(CommandId=command, InstanceId=instance)
    assert failure.value.response["Error"]["Code"] == "InvocationDoesNotExist"
    with pytest.raises(ClientError) as failure:
        aws.list_commands(CommandId=command)
    assert failure.value.response["Error"]["Code"] == "InvalidCommandId"
    box.clock.run_for(2 * SECOND)
    assert state(aws, command) == ("InProgress", "InProgress", -1)
    assert not box.commands.frozen(instance)
    box.clock.run_for(4 * SECOND)
    assert state(aws, command) == ("Success", "Success", 0)
    [listed] = aws.list_commands(InstanceId=instance)["Commands"]
    assert listed["Comment"] == "pre-script of a test"
    assert listed["Parameters"]["executionId"] == [EXECUTION]
    assert (listed["Status"], listed["RequestedDateTime"]) == ("Success", TWO_O_CLOCK)
    got = aws.get_command_invocation(CommandId=command, InstanceId=instance)
    assert (got["Status"], got["ResponseCode"]) == ("Success", 0)
    assert got["StandardOutputContent"]


def test_an_instance_is_frozen_from_the_end_of_one_word_to_the_end_of_the_other(
    box: ScriptsBox, aws: Any, instance: str
) -> None:
    send(aws, instance)
    box.clock.run_for(10 * SECOND)
    assert box.commands.frozen(instance)
    assert state(aws, _sent(box, aws, instance, "pre-script")) == ("Failed", "Failed", 204)
    assert state(aws, _sent(box, aws, instance, "post-script"))[0] == "Success"
    assert state(aws, _sent(box, aws, instance, "post-script")) == ("Failed", "Failed", 205)
    assert box.commands.words_run(instance) == ["pre-script"] * 2 + ["post-script"] * 2
    assert not box.commands.frozen(instance)
    [freeze] = box.commands.freezes(instance)
    assert (freeze.since, freeze.until) == (TWO_O_CLOCK + 6 * SECOND, TWO_O_CLOCK + 26 * SECOND)
    assert box.commands.frozen(instance, TWO_O_CLOCK + 25 * SECOND)


def _sent(box: ScriptsBox, aws: Any, instance: str, word: str) -> str:
    command = send(aws, instance, word)
    box.clock.run_for(10 * SECOND)
    return command


def test_a_silent_agent_gets_nothing_and_what_has_expired_never_runs(
    box: ScriptsBox, aws: Any, instance: str
) -> None:
    """API_SendCommand, TimeoutSeconds; monitor-commands.html: Delivery Timed Out."""
    box.commands.never_answers(instance)
    lost, late = send(aws, instance), send(aws, instance, TimeoutSeconds=3600)
    box.clock.run_for(MINUTE)
    assert state(aws, lost) == ("TimedOut", "DeliveryTimedOut", -1)
    assert state(aws, late) == ("Pending", "Pending", -1)
    box.commands.answers_again(instance)
    box.clock.run_for(MINUTE)
    assert state(aws, late)[0] == "Success"
    assert box.commands.words_run(instance) == ["pre-script"]


def test_what_cannot_be_sent_is_refused(box: ScriptsBox, aws: Any, instance: str) -> None:
    """API_SendCommand: Errors."""
    assert refusal(aws, instance, DocumentName="watchkeeper-other") == "InvalidDocument"
    assert refusal(aws, instance, word="dance") == "InvalidParameters"
    assert refusal(aws, instance, Parameters={"commands": ["date"]}) == "InvalidParameters"
    assert refusal(aws, instance, Comment="x" * 101) == "ValidationException"
    assert refusal(aws, "i-0123456789abcdef0") == "InvalidInstanceId"
    box.commands.unmanaged.add(instance)
    assert refusal(aws, instance) == "InvalidInstanceId"
    box.commands.unmanaged.clear()
    box.client("ec2").terminate_instances(InstanceIds=[instance])
    assert refusal(aws, instance) == "InvalidInstanceId"
    assert box.commands.sent == []


def test_scripts_fail_and_take_as_long_as_a_test_says(
    box: ScriptsBox, aws: Any, instance: str
) -> None:
    box.commands.scripts_fail(instance, "pre-script", "out of space", code=3, freezes=True)
    box.commands.scripts_take(instance, "post-script", 10 * MINUTE)
    pre = _sent(box, aws, instance, "pre-script")
    assert state(aws, pre) == ("Failed", "Failed", 3)
    assert box.commands.frozen(instance)
    got = aws.get_command_invocation(CommandId=pre, InstanceId=instance)
    assert got["StandardErrorContent"] == "out of space"
    post = _sent(box, aws, instance, "post-script")
    assert state(aws, post)[0] == "InProgress"
    box.clock.run_for(10 * MINUTE)
    assert state(aws, post)[0] == "Success"
    assert not box.commands.frozen(instance)


def test_lists_are_filtered_and_come_in_pages(box: ScriptsBox, aws: Any, instance: str) -> None:
    """API_ListCommands, API_CommandFilter."""
    commands = [send(aws, instance, word) for word in ("pre-script", "post-script")]
    box.clock.run_for(MINUTE)
    commands.append(_sent(box, aws, instance, "pre-script"))

    def listed(**filters: str) -> list[str]:
        request = [{"key": key, "value": value} for key, value in filters.items()]
        pages = aws.get_paginator("list_commands").paginate(
            Filters=request, PaginationConfig={"PageSize": 1}
        )
        return [one["CommandId"] for page in pages for one in page["Commands"]]

    assert set(listed(DocumentName=DOCUMENT)) == set(commands)
    assert listed(DocumentName="watchkeeper-other") == []
    assert listed(InvokedAfter="2026-11-23T02:00:30Z") == commands[2:]
    assert set(listed(InvokedBefore="2026-11-23T02:00:30Z")) == set(commands[:2])
    with pytest.raises(ClientError) as failure:
        aws.list_commands(MaxResults=51)
    assert failure.value.response["Error"]["Code"] == "ValidationException"


def test_each_change_is_told_of_the_command_and_of_its_invocation(
    box: ScriptsBox, aws: Any, instance: str
) -> None:
    """monitoring-systems-manager-event-examples.html"""
    command = send(aws, instance)
    box.clock.run_for(MINUTE)
    of_command, of_invocation = (
        box.events.details(f"EC2 {kind} Status-change Notification")
        for kind in ("Command", "Command Invocation")
    )
    for told in (of_command, of_invocation):
        assert [one["status"] for one in told] == ["InProgress", "Success"]
        assert {(one["command-id"], one["document-name"]) for one in told} == {(command, DOCUMENT)}
    assert of_command[0]["parameters"]["command"] == ["pre-script"]
    assert of_invocation[0]["instance-id"] == instance
    assert of_invocation[0]["requested-date-time"] == "2026-11-23T02:00:00.000Z"
