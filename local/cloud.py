"""The cloud in a box: the real template in a simulated AWS account, on a clock that jumps.

    with Cloud(start=datetime(2026, 11, 23, tzinfo=UTC)) as cloud:
        cloud.clock.run_for(timedelta(days=7))
        cloud.published("PagesTopic")

One box at a time in a process: it replaces the time, the credentials and AWS itself until it is
left.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

import boto3
import time_machine
from botocore.config import Config
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.moto_api._internal import mock_random

from local import account, cloudformation, template
from local.alarms import Alarms
from local.aws import (
    alarm_states,
    autoscaling,
    backup,
    cheaper,
    cloudtrail,
    cloudwatch,
    dynamodb,
    dynamodb_backups,
    dynamodb_queries,
    dynamodb_restores,
    dynamodb_tables,
    ebs_blocks,
    ec2,
    ec2_restores,
    events,
    kms,
    lambda_,
    logs,
    metric_data,
    performance_insights,
    queues,
    rds,
    rds_restores,
    s3,
    scheduler,
    serializing,
    sns,
    ssm_commands,
    verifiers,
)
from local.clock import Clock
from local.functions import Call, Function, Functions, Invocation
from local.iam import Guard
from local.metrics import Metrics
from local.mischief import Mischief
from local.output import OUTPUT
from local.pace import Pace
from local.rights import guard_of
from local.schedules import Schedules
from local.triggers import Published, Triggers

ROOT = Path(__file__).resolve().parent.parent
REGION = "us-east-1"

# A Monday, a little before the first backups of the night.
DEFAULT_START = datetime(2026, 11, 23, 0, 0, tzinfo=UTC)

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "in-the-box",
    "AWS_SECRET_ACCESS_KEY": "in-the-box",
    "AWS_SESSION_TOKEN": "in-the-box",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    # 1,301 public snapshots of foreign owners would only be in the way, and cost half a second.
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
    # Code runs from its folders, so there is nothing in S3 for Lambda to look for.
    "VALIDATE_LAMBDA_S3": "false",
    # The cold-start metric says nothing here, and tracing has no daemon to talk to.
    "POWERTOOLS_TRACE_DISABLED": "true",
}

# What is added to moto, in this order: how it answers at all, what the stack is made of, and what
# is backed up and restored.
EXTENSIONS = (
    *(serializing, cheaper),
    *(dynamodb, dynamodb_queries, sns, queues, events, scheduler, lambda_),
    *(cloudtrail, alarm_states, cloudwatch, metric_data, logs),
    *(ec2, rds, dynamodb_tables, dynamodb_backups, autoscaling, backup, kms, ssm_commands, s3),
    *(metric_data, performance_insights),
    *(ebs_blocks, ec2_restores, rds_restores, dynamodb_restores, verifiers),
)

# Loading AWS's API descriptions is most of the cost of a client: one session keeps them for all
# boxes.
_SESSION: list[boto3.Session] = []


_ENTERED: list[Cloud] = []


class Events:
    """The default event bus, from the side of AWS services."""

    def __init__(self, triggers: Triggers) -> None:
        self._triggers = triggers

    def send(self, event: dict[str, Any]) -> None:
        """Put an event on the bus as an AWS service would; id, time and account are filled in."""
        self._triggers.put_event(event)


class Cloud:
    """A simulated AWS account with the template deployed in it; use it as a context manager."""

    account_id = DEFAULT_ACCOUNT_ID
    region = REGION
    stack_name = "watchkeeper"

    clock: Clock
    metrics: Metrics
    functions: Functions
    triggers: Triggers
    events: Events
    schedules: Schedules
    alarms: Alarms
    mischief: Mischief
    stack: ExitStack

    def __init__(  # noqa: PLR0913, each is a switch of its own, and all have defaults
        self,
        start: datetime = DEFAULT_START,
        *,
        template: Path = ROOT / "template.yaml",
        parameters: dict[str, str] | None = None,
        seeded: bool = True,
        thin: timedelta | None = None,
        pace: Pace | None = None,
        seed: int = 0,
        deny: bool = False,
        ticking: bool = False,
    ) -> None:
        """Describe the box; entering it builds it.

        `thin` skips quiet ticks (see local.schedules), `pace` is how slow AWS is, `seed` decides
        every random choice, `deny` judges each call by the function's own role, `ticking` lets
        time pass by itself, too.
        """
        if start.tzinfo is None:
            raise ValueError(f"start={start} has no time zone; use an aware datetime")
        self._start = start.astimezone(UTC)
        self._template_path = template
        self._given_parameters = parameters
        self._seeded = seeded
        self._thin = thin
        self._deny = deny
        self._ticking = ticking
        self.guard: Guard | None = None
        """Judges every call of a function when the box was made with `deny=True`."""
        self._clients: dict[tuple[str, str], Any] = {}
        self.pace = pace or Pace()
        self.random = Random(seed)
        self._seed = seed
        self.extensions: dict[str, Any] = {}
        """What installing an extension gave, e.g. the switches of `local.aws.ec2`."""
        self.resources: dict[str, dict[str, Any]] = {}
        """Type, physical id and resolved properties of everything deployed, by logical id."""

    # Life

    def __enter__(self) -> Self:
        if _ENTERED:
            raise RuntimeError("one box at a time: leave the other Cloud first")
        self.stack = ExitStack()
        _ENTERED.append(self)
        self.stack.callback(_ENTERED.clear)
        try:
            self._build()
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stack.close()

    def _build(self) -> None:
        self._set_environment()
        traveller = self.stack.enter_context(time_machine.travel(self._start, tick=self._ticking))
        self.stack.enter_context(mock_aws(config={"core": {"mock_credentials": False}}))
        boto3.DEFAULT_SESSION = self._session()
        # While moto forgot the box before this one, autoscaling made itself a new EC2 to hold on
        # to, in or after its turn: ids would depend on which boxes there have been.
        ec2_backends.clear()
        mock_random.seed(self._seed)
        self._transformed = template.load(self._template_path, self._given_parameters)
        self.template = self._transformed.document()
        self.parameters = self._transformed.parameters
        self.clock = Clock(traveller, ticking=self._ticking)
        self.mischief = Mischief(Random(self._seed))
        self.metrics = Metrics(self.account_id, self.region)
        self.functions = Functions(self, Random(self._seed))
        self.triggers = Triggers(self, Random(self._seed))
        self.events = Events(self.triggers)
        self.schedules = Schedules(self, self._thin)
        self.alarms = Alarms(self)
        self._install_extensions()
        self._make_layers_importable()
        if self._seeded:
            account.seed(self)
        self._deploy()
        if self._deny:
            self.guard = guard_of(self)
        self.functions.watch()

    def _set_environment(self) -> None:
        before = {name: os.environ.get(name) for name in (*ENVIRONMENT, "AWS_PROFILE")}

        def restore() -> None:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

        self.stack.callback(restore)
        os.environ.update(ENVIRONMENT)
        os.environ.pop("AWS_PROFILE", None)
        outside, OUTPUT.outside = OUTPUT.outside, sys.stdout
        self.stack.callback(setattr, OUTPUT, "outside", outside)

    @staticmethod
    def _session() -> boto3.Session:
        if not _SESSION:
            _SESSION.append(boto3.Session(region_name=REGION))
        return _SESSION[0]

    def _install_extensions(self) -> None:
        for extension in EXTENSIONS:
            self.extensions[extension.__name__] = extension.install(self)

    def _make_layers_importable(self) -> None:
        self.layers = self._transformed.layers
        for folder in self.layers:
            if folder.is_dir() and str(folder) not in sys.path:
                sys.path.insert(0, str(folder))
                self.stack.callback(sys.path.remove, str(folder))

    def _deploy(self) -> None:
        self.resources = cloudformation.create_stack(self)
        queues = {
            resource["Properties"]["FunctionName"]: resource["Properties"]
            for resource in self.resources.values()
            if resource["Type"] == "AWS::Lambda::EventInvokeConfig"
        }
        for logical_id, resource in self.resources.items():
            if resource["Type"] == "AWS::Lambda::Function":
                name = resource["PhysicalId"]
                self.functions.by_id[logical_id] = self._function(
                    logical_id, name, resource["Properties"], queues.get(name, {})
                )

    def _function(
        self, logical_id: str, name: str, properties: dict[str, Any], asynchronous: dict[str, Any]
    ) -> Function:
        destinations = asynchronous.get("DestinationConfig", {})
        arn = f"arn:aws:lambda:{self.region}:{self.account_id}:function:{name}"
        variables = properties.get("Environment", {}).get("Variables", {})
        return Function(
            logical_id=logical_id,
            name=name,
            arn=arn,
            role=properties["Role"],
            handler=properties["Handler"],
            folder=self._transformed.code[logical_id],
            timeout=timedelta(seconds=int(properties.get("Timeout", 3))),
            memory_mb=int(properties.get("MemorySize", 128)),
            environment={key: str(value) for key, value in variables.items()},
            dead_letter=properties.get("DeadLetterConfig", {}).get("TargetArn"),
            on_failure=destinations.get("OnFailure", {}).get("Destination"),
            on_success=destinations.get("OnSuccess", {}).get("Destination"),
            retries=int(asynchronous.get("MaximumRetryAttempts", 2)),
            maximum_event_age=timedelta(
                seconds=int(asynchronous.get("MaximumEventAgeInSeconds", 21600))
            ),
        )

    # The operator's side

    def client(self, name: str, region: str | None = None) -> Any:
        """A boto3 client of the operator: never recorded, denied or made to fail."""
        key = (name, region or self.region)
        if key not in self._clients:
            # No retries: moto does not throttle, and an error of the box should show at once.
            config = Config(retries={"total_max_attempts": 1, "mode": "standard"})
            client = self._session().client(name, region_name=key[1], config=config)  # type: ignore[call-overload]
            self._clients[key] = self.functions.trust(client)
        return self._clients[key]

    def invoke(self, function: str, event: Any, *, asynchronous: bool = False) -> Invocation:
        """Invoke a function by its logical id.

        At once, its error in the answer; or asynchronously: it runs when the clock does, with
        Lambda's retries.
        """
        deployed = self.functions.find(function)
        if asynchronous:
            return self.functions.queue(deployed, event)
        return self.functions.invoke(deployed, event)

    def physical_id(self, logical_id: str) -> str:
        """The name, URL or ARN that the deployed resource has: what Ref gives."""
        if logical_id not in self.resources:
            raise KeyError(f"no resource {logical_id!r} in {self._template_path.name}")
        physical_id: str = self.resources[logical_id]["PhysicalId"]
        return physical_id

    def published(self, topic: str) -> list[Published]:
        """The messages that a topic, given by its logical id, has taken; oldest first."""
        return list(self.triggers.published_to(self.physical_id(topic)))

    def attributes(self, logical_id: str) -> dict[str, str]:
        """The attributes of a deployed resource that Fn::GetAtt can give."""
        attributes: dict[str, str] = self.resources[logical_id]["Attributes"]
        return attributes

    @property
    def calls(self) -> list[Call]:
        """Every AWS call that functions made, oldest first."""
        return self.functions.calls

    def check_allowed(self, call: Call, region: str) -> None:
        """Raise what AWS raises when the function's role does not allow it, if `deny=True`."""
        if self.guard is not None:
            elsewhere = region if region != self.region else None
            self.guard.check(call.function, call.service, call.operation, call.params, elsewhere)
