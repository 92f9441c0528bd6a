"""Commands that verifiers are asked with, over Systems Manager; and their answers.

SendCommand has neither token nor name: its comment tells a command from others.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cached_property
from typing import Any

from watchkeeper.aws.client import ONCE, client
from watchkeeper.aws.errors import Refused, translated
from watchkeeper.aws.iam import needs
from watchkeeper.aws.restores_ec2 import Described
from watchkeeper.quoting import quoted

DOCUMENT = "AWS-RunShellScript"
LONGEST_COMMAND = 60_000
"""Characters. A document may have 64 KB, parameters put in, of which AWS's own text takes a few:
MaxDocumentSizeExceeded in
https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html
"""
BEGINS_WITHIN = timedelta(minutes=10)
"""A verifier that was online a moment ago gets a command in seconds."""
TAKES_AT_MOST = timedelta(hours=1)
"""The longest that a script may run; blocks of volumes that are not initialised come slowly."""
COMMENT = 100
"""The longest comment that SendCommand takes."""
PAGE = 50
"""The most that ListCommands gives a page."""
UNFINISHED = frozenset({"Pending", "InProgress", "Delayed", "Cancelling"})
NOT_SHOWN = "InvocationDoesNotExist"
STDERR = 300
"""Characters of what a script complains of, from its beginning."""


class State(Enum):
    UNFINISHED = "unfinished"
    """It runs, will run, or is not shown yet."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """What has become of a command."""

    state: State
    output: str = ""
    """Of one that succeeded: the first 24,000 characters. The instance wrote them."""
    why: str = ""
    """Of one that failed: in words, with what it complained of, quoted."""


class VerifierCommands:
    """Asks verifiers, and reads their answers."""

    @cached_property
    def client(self) -> Any:
        return client("ssm")

    @cached_property
    def once(self) -> Any:
        """A client that never repeats a call by itself: SendCommand knows no client token."""
        return client("ssm", ONCE)

    @needs("ssm:SendCommand")
    def send(self, instance_id: str, line: str, comment: str) -> str:
        """The id of the command. Any error but Unclear means that it was not sent. Raises Refused
        (`InvalidInstanceId` if the agent is not there, …).
        """
        with translated("ssm:SendCommand"):
            answer = self.once.send_command(
                DocumentName=DOCUMENT,
                InstanceIds=[instance_id],
                Parameters={
                    "commands": [line],
                    "executionTimeout": [str(int(TAKES_AT_MOST.total_seconds()))],
                },
                Comment=comment[:COMMENT],
                TimeoutSeconds=int(BEGINS_WITHIN.total_seconds()),
            )
        return str(answer["Command"]["CommandId"])

    @needs("ssm:ListCommands")
    def sent(self, instance_id: str, comment: str, since: datetime) -> list[str]:
        """The ids of such commands, oldest first, as far as Systems Manager shows them already."""
        filters = [
            {"key": "DocumentName", "value": DOCUMENT},
            # Whole seconds: the format that the API reference shows.
            {"key": "InvokedAfter", "value": f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"},
        ]
        pages = self.client.get_paginator("list_commands").paginate(
            InstanceId=instance_id, Filters=filters, PaginationConfig={"PageSize": PAGE}
        )
        with translated("ssm:ListCommands"):
            found = [one for page in pages for one in page["Commands"]]
        ours = [one for one in found if one.get("Comment") == comment[:COMMENT]]
        return [one["CommandId"] for one in sorted(ours, key=lambda one: one["RequestedDateTime"])]

    @needs("ssm:GetCommandInvocation")
    def outcome(self, command_id: str, instance_id: str) -> Outcome:
        """What has become of a command. One that is not shown yet is unfinished."""
        try:
            with translated("ssm:GetCommandInvocation"):
                shown = self.client.get_command_invocation(
                    CommandId=command_id, InstanceId=instance_id
                )
        except Refused as error:
            if error.code != NOT_SHOWN:
                raise
            return Outcome(State.UNFINISHED)
        if shown["Status"] in UNFINISHED:
            return Outcome(State.UNFINISHED)
        if shown["Status"] == "Success":
            return Outcome(State.SUCCEEDED, shown.get("StandardOutputContent", ""))
        return Outcome(State.FAILED, why=_failure(shown))


def _failure(shown: Described) -> str:
    """`Failed, exit code 1, stderr "…"`."""
    why = str(shown.get("StatusDetails") or shown["Status"])
    if (code := shown.get("ResponseCode", 0)) > 0:
        why += f", exit code {code}"
    if complaint := shown.get("StandardErrorContent", "").strip():
        why += f", stderr {quoted(complaint, STDERR)}"
    return why
