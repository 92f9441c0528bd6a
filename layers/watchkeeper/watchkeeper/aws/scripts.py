"""Scripts on an instance, run by Systems Manager: sending them, and what has become of them.

A document of the operator's takes the parameters that Data Lifecycle Manager gives to its own:
`command`, which is one of two words, and `executionId`, a UUID that the two have in common.
https://docs.aws.amazon.com/ebs/latest/userguide/automate-app-consistent-backups.html
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cached_property
from typing import Any

from watchkeeper.aws.client import ONCE, client
from watchkeeper.aws.errors import NotThere, Refused, translated
from watchkeeper.aws.iam import needs
from watchkeeper.quoting import quoted

PRE, POST = "pre-script", "post-script"
"""The words that a document must take for its parameter `command`."""
COMMENT = 100
"""The longest comment that SendCommand takes."""
PAGE = 50
"""The most that ListCommands gives a page."""
LINES = 3
"""Of a script's output; with the cut of `quoted` they fit into one line of a list."""
OUTPUT = 200
"""Characters of a script's output."""
UNFINISHED = frozenset({"Pending", "InProgress", "Delayed", "Cancelling"})
UNDELIVERABLE = "Undeliverable"
"""Of all that ends a command, only this says that nothing of it has run: a command that expires is
DeliveryTimedOut even while it is in progress (ExpiresAfter in API_Command).
https://docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html
"""
NOT_BEGUN = -1
"""The exit code of a step that has not run, or of which nobody has heard."""
NO_SUCH_COMMAND = "InvalidCommandId"
GONE = frozenset({"shutting-down", "terminated"})


class State(Enum):
    UNFINISHED = "unfinished"
    """It runs, will run, or is not shown yet."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """It has ended, and may have done a part of its work."""
    NEVER_RAN = "never ran"


@dataclass(frozen=True)
class Outcome:
    """What has become of a command."""

    state: State
    code: int = 0
    """The exit code of the step of the document that failed, where one has."""
    why: str = ""
    """In words, with the first lines of its output, quoted: the instance wrote them."""


@dataclass(frozen=True)
class Sent:
    """A command that there is."""

    id: str
    by_hand: bool = False
    """Somebody else has sent it, with our execution id."""


class Scripts:
    def __init__(self, stack: str) -> None:
        self.stack = stack

    @cached_property
    def client(self) -> Any:
        return client("ssm")

    @cached_property
    def once(self) -> Any:
        """A client that never repeats a call by itself: SendCommand knows no client token."""
        return client("ssm", ONCE)

    @cached_property
    def ec2(self) -> Any:
        return client("ec2")

    @needs("ssm:SendCommand")
    def send(
        self, document: str, instance_id: str, word: str, run_id: str, begin_within: timedelta
    ) -> str:
        """Have a script run; the id of its command. Any error but Unclear means that it was not
        sent.

        One that has not begun to run after `begin_within` (30 s at least) never will. Raises
        Refused (`InvalidInstanceId`, `InvalidDocument`, `InvalidParameters`, …).
        """
        with translated("ssm:SendCommand"):
            answer = self.once.send_command(
                DocumentName=document,
                InstanceIds=[instance_id],
                Parameters=self._parameters(run_id, word),
                Comment=_comment(word, run_id),
                TimeoutSeconds=int(begin_within.total_seconds()),
            )
        return str(answer["Command"]["CommandId"])

    @needs("ssm:ListCommands")
    def sent(self, document: str, word: str, run_id: str, since: datetime) -> list[Sent]:
        """The commands that a run has sent, and those that somebody has sent by hand with its
        execution id; oldest first, as far as Systems Manager shows them already.
        """
        filters = [
            {"key": "DocumentName", "value": document},
            # Whole seconds: the format that the API reference shows.
            {"key": "InvokedAfter", "value": f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"},
        ]
        pages = self.client.get_paginator("list_commands").paginate(
            Filters=filters, PaginationConfig={"PageSize": PAGE}
        )
        with translated("ssm:ListCommands"):
            found = [one for page in pages for one in page["Commands"]]
        expected = self._parameters(run_id, word)
        ours = [one for one in found if one.get("Parameters") == expected]
        comment = _comment(word, run_id)
        return [
            Sent(one["CommandId"], by_hand=one.get("Comment") != comment)
            for one in sorted(ours, key=_requested_at)
        ]

    # Not GetCommandInvocation: that tells of one step, and refuses a document that has several.
    @needs("ssm:ListCommandInvocations")
    def outcome(self, command_id: str, instance_id: str) -> Outcome:
        """What has become of a command at its instance. One that is not shown yet is unfinished."""
        try:
            with translated("ssm:ListCommandInvocations"):
                answer = self.client.list_command_invocations(
                    CommandId=command_id, InstanceId=instance_id, Details=True
                )
        except Refused as error:
            if error.code != NO_SUCH_COMMAND:
                raise
            return Outcome(State.UNFINISHED)
        shown = answer["CommandInvocations"]
        return _outcome(shown[0]) if shown else Outcome(State.UNFINISHED)

    @needs("ssm:ListCommands")
    def run_of(self, command_id: str) -> str | None:
        """The run that sent a command; None if it is another's, or not shown yet."""
        try:
            with translated("ssm:ListCommands"):
                answer = self.client.list_commands(CommandId=command_id)
        except Refused as error:
            if error.code != NO_SUCH_COMMAND:
                raise
            return None
        for command in answer["Commands"]:
            word, _, run_id = command.get("Comment", "").partition(" ")
            # Anybody can write a comment; the execution id goes with it, and names the stack too.
            if command.get("Parameters") == self._parameters(run_id, word):
                return str(run_id)
        return None

    @needs("ec2:DescribeInstances")
    def is_gone(self, instance_id: str) -> bool:
        """Whether the instance is terminated: nothing of it can be frozen any more."""
        try:
            with translated("ec2:DescribeInstances"):
                answer = self.ec2.describe_instances(InstanceIds=[instance_id])
        except NotThere:
            return True
        found = [one for each in answer["Reservations"] for one in each["Instances"]]
        return all(one["State"]["Name"] in GONE for one in found)

    def execution_id(self, run_id: str) -> str:
        """What the scripts of a run have in common, made from its id and the stack's name."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"watchkeeper:{self.stack}|{run_id}"))

    def _parameters(self, run_id: str, word: str) -> dict[str, list[str]]:
        return {"command": [word], "executionId": [self.execution_id(run_id)]}


def _comment(word: str, run_id: str) -> str:
    return f"{word} {run_id}"[:COMMENT]


def _requested_at(command: Mapping[str, Any]) -> datetime:
    at: datetime = command["RequestedDateTime"]
    return at


def _outcome(invocation: Mapping[str, Any]) -> Outcome:
    status, details = invocation["Status"], invocation.get("StatusDetails", "")
    if status in UNFINISHED:
        return Outcome(State.UNFINISHED)
    if status == "Success":
        return Outcome(State.SUCCEEDED)
    if details == UNDELIVERABLE:
        return Outcome(State.NEVER_RAN, why=details)
    plugins = invocation.get("CommandPlugins", [])
    failed = [one for one in plugins if one.get("ResponseCode", 0) not in (0, NOT_BEGUN)]
    plugin: Mapping[str, Any] = failed[0] if failed else {}
    code, output = int(plugin.get("ResponseCode", 0)), plugin.get("Output", "").strip()
    why = details or status
    if code:
        why += f", exit code {code}"
    if output:
        why += f", output {quoted(' / '.join(output.splitlines()[:LINES]), OUTPUT)}"
    return Outcome(State.FAILED, code, why)
