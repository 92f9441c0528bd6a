"""Systems Manager's Run Command as AWS documents it, where moto is done at once.

`install(cloud)` patches moto's classes until `cloud.stack` closes. What it adds:

- commands that take their time, are hidden at first, fail, hang or never reach their instance;
- instances that Systems Manager does not manage, documents that are not there, parameters that a
  document does not take;
- the events that AWS sends;
- what the commands do to an instance: documents that take a parameter `command` freeze it with
  `pre-script` and thaw it with `post-script`, as those of Data Lifecycle Manager do.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol

from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.moto_api._internal import mock_random
from moto.ssm.exceptions import SSMException
from moto.ssm.models import ssm_backends
from moto.ssm.responses import SimpleSystemManagerResponse

from local.aws.ebs import Box
from local.aws.ec2 import Host
from local.replacing import replace

# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html
# and API_ListCommands.html: TimeoutSeconds, Comment, MaxResults.
DEFAULT_TIMEOUT = 3600
LONGEST_COMMENT = 100
MOST_LISTED = 50
# "The first 2,500 characters" of each plugin:
# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_CommandPlugin.html
LONGEST_OUTPUT = 2500
# "The first 24,000 characters written by the plugin to `stdout`", 8,000 to `stderr`:
# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetCommandInvocation.html
LONGEST_STDOUT, LONGEST_STDERR = 24_000, 8_000

# AWS's own document, in every account: its parameters, as DescribeDocument shows them.
SHELL_DOCUMENT = "AWS-RunShellScript"
SHELL_PARAMETERS: Mapping[str, Any] = {
    "commands": {"type": "StringList"},
    "workingDirectory": {"type": "String", "default": ""},
    "executionTimeout": {
        "type": "String",
        "default": "3600",
        "allowedPattern": "^[1-9][0-9]{0,5}$",
    },
}
# An agent that has lost its connection tries again soon.
RECONNECTS_AFTER = timedelta(seconds=30)

# The words of Data Lifecycle Manager's documents, and the exit codes with which its samples refuse
# a word that does not fit: frozen already, thawed already.
# https://docs.aws.amazon.com/ebs/latest/userguide/automate-app-consistent-backups.html
FREEZES, THAWS = "pre-script", "post-script"
FROZEN_ALREADY, THAWED_ALREADY = 204, 205

ENDED = frozenset({"Success", "Failed", "TimedOut"})
# "Valid states are: Running, Pending, Stopped, and Stopping": InvalidInstanceId of SendCommand.
ACCEPTED_STATES = frozenset({"running", "pending", "stopped", "stopping"})


def install(cloud: Box) -> Commands:
    """Make moto's commands behave like this until `cloud.stack` closes; returns the switches."""
    commands = Commands(cloud)
    for name, handler in commands.operations().items():
        replace(cloud.stack, SimpleSystemManagerResponse, name, _as_method(handler))
    return commands


def installed_in(cloud: Host) -> Commands:
    """The switches of a box's commands, e.g. `installed_in(cloud).frozen("i-0abc")`."""
    commands: Commands = cloud.extensions[__name__]
    return commands


def create_script_document(ssm: Any, name: str) -> None:
    """A document with the parameters of those of Data Lifecycle Manager (same page as the words),
    which is all of it that counts here.
    """
    uuid = "^(None|[a-fA-F0-9]{8}(-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12})$"
    run = {"runCommand": ["watchkeeper-freeze '{{ command }}'"]}
    content = {
        "schemaVersion": "2.2",
        "parameters": {
            "executionId": {"type": "String", "default": "None", "allowedPattern": uuid},
            "command": {
                "type": "String",
                "default": "dry-run",
                "allowedValues": [FREEZES, THAWS, "dry-run"],
            },
        },
        "mainSteps": [{"action": "aws:runShellScript", "name": "freeze", "inputs": run}],
    }
    ssm.create_document(Name=name, Content=json.dumps(content), DocumentType="Command")


@dataclass
class Command:
    """One command, sent to one or more instances."""

    id: str
    document: str
    parameters: Mapping[str, Sequence[str]]
    comment: str
    requested_at: datetime
    shown_from: datetime
    timeout: int
    """Seconds within which it must have begun."""
    invocations: list[Invocation] = field(default_factory=list)

    @property
    def word(self) -> str:
        return next(iter(self.parameters.get("command", ())), "")

    @property
    def expires_at(self) -> datetime:
        return self.requested_at + timedelta(seconds=self.timeout)

    @property
    def longest(self) -> timedelta:
        """How long it may run."""
        [seconds] = self.parameters.get("executionTimeout", [str(DEFAULT_TIMEOUT)])
        return timedelta(seconds=int(seconds))

    @property
    def status(self) -> tuple[str, str]:
        """Status and StatusDetails of the whole: that of its slowest, worst part."""
        parts = [(one.status, one.details) for one in self.invocations]
        unfinished = [part for part in parts if part[0] not in ENDED]
        failed = [part for part in parts if part[0] != "Success"]
        return next(iter(unfinished or failed), ("Success", "Success"))


@dataclass
class Invocation:
    """A command at one instance."""

    command: Command
    instance_id: str
    status: str = "Pending"
    details: str = "Pending"
    started_at: datetime | None = None
    ended_at: datetime | None = None
    code: int = -1
    """-1 until it has run: GetCommandInvocation, ResponseCode."""
    output: str = ""
    error: str = ""


@dataclass(frozen=True)
class Ended:
    """How a script has ended."""

    code: int
    output: str = ""
    error: str = ""


class Shell(Protocol):
    """Instances that run `AWS-RunShellScript`, and come and go with their network."""

    def reaches(self, instance_id: str) -> bool:
        """Whether Systems Manager and the agent reach each other; also true of other instances."""

    def takes(self, command: Command, instance_id: str) -> timedelta:
        """How long a script will run."""

    def run(self, command: Command, instance_id: str) -> Ended:
        """Do what the script does."""


@dataclass
class Freeze:
    """A span of time in which an instance was frozen."""

    since: datetime
    until: datetime | None = None


@dataclass(frozen=True)
class Fate:
    """What a script will do instead of succeeding."""

    output: str
    code: int
    freezes: bool
    """It fails half-way: the instance is frozen all the same."""


@dataclass
class Commands:
    """The commands of one account and Region, what they did, and the switches."""

    cloud: Box
    sent: list[Command] = field(default_factory=list)
    unmanaged: set[str] = field(default_factory=set)
    """Instances without an agent that Systems Manager knows."""
    shell: Shell | None = None
    """Without it, nobody can be sent `AWS-RunShellScript`."""
    _silent: set[str] = field(default_factory=set)
    _fates: dict[tuple[str, str], list[Fate]] = field(default_factory=lambda: defaultdict(list))
    _durations: dict[tuple[str, str], timedelta] = field(default_factory=dict)
    _words: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _freezes: dict[str, list[Freeze]] = field(default_factory=lambda: defaultdict(list))

    # --- switches, and what has become of an instance ---

    def scripts_fail(
        self,
        instance_id: str,
        word: str,
        output: str = "ERROR: made to fail",
        *,
        code: int = 1,
        times: int = 1,
        freezes: bool = False,
    ) -> None:
        """Let the next `times` runs of this word fail at this instance, changing nothing there.

        A pre script that `freezes` fails after it has frozen the instance.
        """
        self._fates[instance_id, word].extend([Fate(output, code, freezes)] * times)

    def scripts_take(self, instance_id: str, word: str, duration: timedelta) -> None:
        """From now on this word takes so long at this instance."""
        self._durations[instance_id, word] = duration

    def never_answers(self, instance_id: str) -> None:
        """The agent has lost its connection: commands stay pending until they expire."""
        self._silent.add(instance_id)

    def answers_again(self, instance_id: str) -> None:
        """The agent is back, and gets what has not expired."""
        self._silent.discard(instance_id)
        for command in self.sent:
            for one in command.invocations:
                if one.instance_id == instance_id and one.status == "Pending":
                    self._deliver(one)

    def words_run(self, instance_id: str) -> list[str]:
        """The words that have begun to run at an instance, in order."""
        return list(self._words[instance_id])

    def frozen(self, instance_id: str, at: datetime | None = None) -> bool:
        """Whether the instance is frozen now, or was at a moment."""
        moment = at or self.now()
        return any(
            one.since <= moment and (one.until is None or moment < one.until)
            for one in self._freezes[instance_id]
        )

    def freezes(self, instance_id: str) -> list[Freeze]:
        """The spans in which an instance has been frozen."""
        return list(self._freezes[instance_id])

    def thaw(self, instance_id: str) -> None:
        """What a document's own timer does, or a person at the instance."""
        for one in self._freezes[instance_id]:
            one.until = one.until or self.now()

    def now(self) -> datetime:
        """Simulated now, in the whole milliseconds that Systems Manager answers with."""
        now = self.cloud.clock.now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    # --- the life of a command ---

    def _begin(self, command: Command) -> None:
        self.sent.append(command)
        self.cloud.clock.at(
            command.expires_at, lambda: self._expire(command), f"command {command.id} expires"
        )
        delivered_at = command.requested_at + self.cloud.pace.command_delivered_after
        for one in command.invocations:
            arrives = partial(self._deliver, one)
            self.cloud.clock.at(delivered_at, arrives, f"command {command.id} arrives")

    def _deliver(self, one: Invocation) -> None:
        reached = one.instance_id not in self._silent and self._state(one.instance_id) == "running"
        if one.status != "Pending" or not reached:
            return
        if self.shell and not self.shell.reaches(one.instance_id):
            self._later(RECONNECTS_AFTER, self._deliver, one)
            return
        word = one.command.word
        one.status, one.details, one.started_at = "InProgress", "InProgress", self.now()
        self._words[one.instance_id].append(word)
        self._tell(one)
        takes = self._durations.get((one.instance_id, word), self.cloud.pace.command_takes)
        if one.command.document == SHELL_DOCUMENT and self.shell:
            takes = self.shell.takes(one.command, one.instance_id)
        self._later(min(takes, one.command.longest), self._end, one, takes > one.command.longest)

    def _later(self, after: timedelta, do: Callable[..., None], *given: Any) -> None:
        self.cloud.clock.at(
            self.now() + after, partial(do, *given), f"command at {given[0].instance_id}"
        )

    def _end(self, one: Invocation, is_late: bool) -> None:  # noqa: FBT001, by an appointment
        if self._state(one.instance_id) != "running":
            return  # nobody is there to say how it ended
        if self.shell and not self.shell.reaches(one.instance_id):
            self._later(RECONNECTS_AFTER, self._end, one, is_late)
            return
        if is_late:
            one.status, one.details = "TimedOut", "ExecutionTimedOut"
        else:
            ended = self._run(one)
            one.code, one.output, one.error = ended.code, ended.output, ended.error
            one.status = one.details = "Failed" if one.code else "Success"
        one.ended_at = self.now()
        self._tell(one)

    def _expire(self, command: Command) -> None:
        for one in command.invocations:
            if one.status == "Pending":
                one.status, one.details, one.ended_at = "TimedOut", "DeliveryTimedOut", self.now()
                self._tell(one)

    def _run(self, one: Invocation) -> Ended:
        if one.command.document == SHELL_DOCUMENT and self.shell:
            return self.shell.run(one.command, one.instance_id)
        code, output = self._run_word(one.instance_id, one.command.word)
        return Ended(code, error=output) if code else Ended(code, output)

    def _run_word(self, instance_id: str, word: str) -> tuple[int, str]:
        """What a script does to an instance: its exit code and output."""
        fates = self._fates[instance_id, word]
        if fates:
            fate = fates.pop(0)
            if fate.freezes:
                self._freezes[instance_id].append(Freeze(self.now()))
            return fate.code, fate.output
        is_frozen = self.frozen(instance_id)
        if word == FREEZES and is_frozen:
            return FROZEN_ALREADY, "ERROR: already frozen. Return Error Code: 204"
        if word == THAWS and not is_frozen:
            return THAWED_ALREADY, "ERROR: already in thaw state. Return Error Code: 205"
        if word == FREEZES:
            self._freezes[instance_id].append(Freeze(self.now()))
        if word == THAWS:
            self.thaw(instance_id)
        return 0, f"INFO: {word} completed"

    def _tell(self, one: Invocation) -> None:
        """https://docs.aws.amazon.com/systems-manager/latest/userguide/monitoring-systems-manager-event-examples.html"""
        command = one.command
        arn = f"arn:aws:ec2:{self.cloud.region}:{self.cloud.account_id}:instance/{one.instance_id}"
        detail = {
            "command-id": command.id,
            "document-name": command.document,
            "requested-date-time": _text(command.requested_at),
        }
        of_invocation = {"instance-id": one.instance_id, "status": one.status}
        of_command = {
            "expire-after": _text(command.expires_at),
            "parameters": dict(command.parameters),
            "status": command.status[0],
        }
        for kind, more in (("Command Invocation", of_invocation), ("Command", of_command)):
            self.cloud.events.send({
                "source": "aws.ssm",
                "detail-type": f"EC2 {kind} Status-change Notification",
                "resources": [arn],
                "detail": detail | more,
            })  # fmt: skip

    # --- the API ---

    def operations(self) -> dict[str, Callable[[Any], ActionResult]]:
        """API operations, by moto's name for them, that this file answers itself."""
        return {
            "send_command": self.send_command,
            "list_commands": self.list_commands,
            "list_command_invocations": self.list_command_invocations,
            "get_command_invocation": self.get_command_invocation,
        }

    def send_command(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html"""
        asked: Callable[..., Any] = response._get_param
        instance_ids = asked("InstanceIds", [])
        if asked("Targets") or not instance_ids:
            raise NotImplementedError("the box sends commands to InstanceIds only")
        timeout, comment = int(asked("TimeoutSeconds") or DEFAULT_TIMEOUT), asked("Comment", "")
        if len(comment) > LONGEST_COMMENT:
            raise SSMException(
                "ValidationException", f"Comment is longer than {LONGEST_COMMENT} characters"
            )
        document, given = asked("DocumentName"), asked("Parameters", {})
        _check_parameters(self._document(document), given)
        for instance_id in instance_ids:
            if not self._is_managed(instance_id):
                raise SSMException(
                    "InvalidInstanceId",
                    f"Instances not in a valid state for account: {instance_id}",
                )
        now = self.now()
        command = Command(
            id=str(mock_random.uuid4()),
            document=document,
            parameters=given,
            comment=comment,
            requested_at=now,
            shown_from=now + self.cloud.pace.command_hidden_for,
            timeout=timeout,
        )
        command.invocations = [Invocation(command, instance_id) for instance_id in instance_ids]
        self._begin(command)
        return ActionResult({"Command": _described(command)})

    def list_commands(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_ListCommands.html"""
        page, token = _page(response, self._chosen(response))
        return ActionResult({"Commands": [_described(one) for one in page], "NextToken": token})

    def list_command_invocations(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_ListCommandInvocations.html"""
        instance_id = response._get_param("InstanceId")
        found = [
            one
            for command in self._chosen(response)
            for one in command.invocations
            if instance_id in (None, one.instance_id)
        ]
        page, token = _page(response, found)
        with_output = bool(response._get_param("Details"))
        shown = [_invocation(one, with_output=with_output) for one in page]
        return ActionResult({"CommandInvocations": shown, "NextToken": token})

    def get_command_invocation(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetCommandInvocation.html"""
        instance_id = response._get_param("InstanceId")
        found = [
            one
            for command in self._shown()
            if command.id == response._get_param("CommandId")
            for one in command.invocations
            if one.instance_id == instance_id
        ]
        if not found:
            raise SSMException("InvocationDoesNotExist", "")
        [one] = found
        return ActionResult({
            "CommandId": one.command.id,
            "InstanceId": one.instance_id,
            "Comment": one.command.comment,
            "DocumentName": one.command.document,
            "PluginName": "aws:runShellScript",
            "ResponseCode": one.code,
            "Status": one.status,
            "StatusDetails": one.details,
            "StandardOutputContent": one.output[:LONGEST_STDOUT],
            "StandardErrorContent": one.error[:LONGEST_STDERR],
        })  # fmt: skip

    def _shown(self) -> list[Command]:
        """Newest first."""
        now = self.now()
        return [command for command in reversed(self.sent) if command.shown_from <= now]

    def _chosen(self, response: Any) -> list[Command]:
        command_id, instance_id = (
            response._get_param("CommandId"),
            response._get_param("InstanceId"),
        )
        known = [one for one in self._shown() if command_id in (None, one.id)]
        if command_id and not known:
            raise SSMException("InvalidCommandId", "Invalid command id.")
        filters = {one["key"]: one["value"] for one in response._get_param("Filters", [])}
        return [
            command
            for command in known
            if instance_id is None or instance_id in _instances_of(command)
            if all(_fits(command, key, value) for key, value in filters.items())
        ]

    def _document(self, name: str) -> Mapping[str, Any]:
        if name == SHELL_DOCUMENT and self.shell:
            return SHELL_PARAMETERS
        documents = ssm_backends[self.cloud.account_id][self.cloud.region]._documents
        if name not in documents:
            raise SSMException("InvalidDocument", f"document {name} does not exist.")
        document = documents[name].get_default_version()
        if document.document_type not in (None, "Command"):  # the default
            raise SSMException("InvalidDocument", f"document {name} is no Command document.")
        parameters: Mapping[str, Any] = document.content_json.get("parameters", {})
        return parameters

    def _is_managed(self, instance_id: str) -> bool:
        return (
            instance_id not in self.unmanaged
            and self._state(instance_id) in ACCEPTED_STATES
            and (self.shell is None or self.shell.reaches(instance_id))
        )

    def _state(self, instance_id: str) -> str:
        instance = ec2_backends[self.cloud.account_id][self.cloud.region].get_instance_by_id(
            instance_id
        )
        return str(instance.state) if instance else "unknown"


def _as_method(handler: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
    """Moto finds the operations of a response class by looking for plain functions."""

    def operation(response: Any) -> ActionResult:
        return handler(response)

    return operation


def _check_parameters(known: Mapping[str, Any], given: Mapping[str, Sequence[str]]) -> None:
    """InvalidParameters: all those that the document requires, and none that it does not know."""
    required = {name for name, one in known.items() if "default" not in one}
    if unfit := (given.keys() - known.keys()) | (required - given.keys()):
        raise SSMException("InvalidParameters", f"Parameters unknown or missing: {unfit}")
    for name, values in given.items():
        allowed, pattern = known[name].get("allowedValues"), known[name].get("allowedPattern")
        for value in values:
            if (allowed and value not in allowed) or (pattern and not re.search(pattern, value)):
                raise SSMException("InvalidParameters", f"Value {value} of {name} not allowed")


def _instances_of(command: Command) -> list[str]:
    return [one.instance_id for one in command.invocations]


def _fits(command: Command, key: str, value: str) -> bool:
    match key:
        case "InvokedAfter":
            return command.requested_at >= datetime.fromisoformat(value)
        case "InvokedBefore":
            return command.requested_at < datetime.fromisoformat(value)
        case "DocumentName":
            return command.document == value
        case "Status":
            return value in command.status
        case _:
            raise SSMException("InvalidFilterKey", f"The specified key {key} is not valid.")


def _page(response: Any, found: Sequence[Any]) -> tuple[Sequence[Any], str | None]:
    """One page, and the token of the next; what is sent between two pages shifts them, as in AWS,
    which promises no order.
    """
    size = int(response._get_param("MaxResults") or MOST_LISTED)
    token = response._get_param("NextToken") or "0"
    if not 1 <= size <= MOST_LISTED:
        raise SSMException("ValidationException", f"MaxResults: 1 to {MOST_LISTED}")
    if not token.isdigit():
        raise SSMException("InvalidNextToken", "The specified token is not valid.")
    start = int(token)
    end = start + size
    return found[start:end], str(end) if end < len(found) else None


def _described(command: Command) -> dict[str, Any]:
    status, details = command.status
    return {
        "CommandId": command.id,
        "DocumentName": command.document,
        "Comment": command.comment,
        "ExpiresAfter": command.expires_at,
        "Parameters": command.parameters,
        "InstanceIds": _instances_of(command),
        "Targets": [],
        "RequestedDateTime": command.requested_at,
        "Status": status,
        "StatusDetails": details,
        "MaxConcurrency": "50",
        "MaxErrors": "0",
        "TargetCount": len(command.invocations),
        "CompletedCount": _count(command.invocations, ENDED),
        "ErrorCount": _count(command.invocations, {"Failed"}),
        "DeliveryTimedOutCount": _count(command.invocations, {"TimedOut"}),
        "TimeoutSeconds": command.timeout,
    }


def _count(invocations: Iterable[Invocation], statuses: Iterable[str]) -> int:
    return sum(one.status in statuses for one in invocations)


def _invocation(one: Invocation, *, with_output: bool) -> dict[str, Any]:
    plugin = {
        "Name": "aws:runShellScript",
        "Status": one.status,
        "StatusDetails": one.details,
        "ResponseCode": one.code,
        "ResponseStartDateTime": one.started_at,
        "ResponseFinishDateTime": one.ended_at,
        "Output": (one.output + one.error)[:LONGEST_OUTPUT],
    }
    return {
        "CommandId": one.command.id,
        "InstanceId": one.instance_id,
        "Comment": one.command.comment,
        "DocumentName": one.command.document,
        "RequestedDateTime": one.command.requested_at,
        "Status": one.status,
        "StatusDetails": one.details,
        "CommandPlugins": [plugin] if with_output else [],
    }


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
