"""Running the deployed functions: the real handlers, in this process, as Lambda would.

Each function has its environment, its own copy of its module, a context that counts down, a log,
and the retries and destinations of asynchronous invocations. Every AWS call that it makes is seen,
recorded and open to mischief.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from types import ModuleType
from typing import TYPE_CHECKING, Any
from uuid import UUID

from aws_lambda_powertools import Logger, Metrics
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from local.metrics import Metric, parse_emf
from local.mischief import Failure, Killed, NotInTheBox, raise_failure
from local.output import OUTPUT
from local.powertools import owned_by, powertools_of
from local.replacing import replace

if TYPE_CHECKING:
    from local.cloud import Cloud

# Lambda waits one minute before the first retry of an asynchronous invocation and two before the
# second.
RETRY_DELAYS = (timedelta(minutes=1), timedelta(minutes=2))

# Enough to look back at in a test of a simulated month, little enough to hold.
LOG_LINES_KEPT = 20_000
INVOCATIONS_KEPT = 20_000

# What a function does that others can notice: the sign, for the thin clock, that something is
# going on.
WRITES = {
    ("dynamodb", "PutItem"),
    ("dynamodb", "UpdateItem"),
    ("dynamodb", "DeleteItem"),
    ("dynamodb", "BatchWriteItem"),
    ("dynamodb", "TransactWriteItems"),
    ("sns", "Publish"),
    ("sns", "PublishBatch"),
}


@dataclass
class Call:
    """One AWS call of a function."""

    function: str
    invocation: int
    service: str
    operation: str
    params: dict[str, Any]
    error: str | None
    """The error code that the function saw; None when the call succeeded."""
    at: datetime


@dataclass
class Function:
    """A deployed function."""

    logical_id: str
    name: str
    arn: str
    role: str
    handler: str
    folder: Path
    timeout: timedelta
    memory_mb: int
    environment: dict[str, str]
    dead_letter: str | None = None
    """ARN of the queue or topic for events that failed for good."""
    on_failure: str | None = None
    """ARN of the on-failure destination of asynchronous invocations."""
    on_success: str | None = None
    retries: int = len(RETRY_DELAYS)
    maximum_event_age: timedelta = timedelta(hours=6)
    module: ModuleType | None = None

    def variables(self) -> dict[str, str]:
        """The environment of its process: what the template gives it, and what Lambda adds."""
        return self.environment | {
            "AWS_LAMBDA_FUNCTION_NAME": self.name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self.memory_mb),
            "AWS_LAMBDA_FUNCTION_VERSION": Context.function_version,
            "LAMBDA_TASK_ROOT": str(self.folder),
        }


@dataclass
class Invocation:
    """One run of a function, and what became of it."""

    function: Function
    number: int
    request_id: str
    event: Any
    queued_at: datetime
    attempt: int = 1
    started_at: datetime | None = None
    result: Any = None
    error: str | None = None
    """`Type: message` of what ended it; None while it is well."""
    exception: BaseException | None = None
    calls: list[Call] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    metrics: list[Metric] = field(default_factory=list)
    """What was measured of it and by it."""
    died_of: str | None = None
    """Why its process is gone; from then on nothing that its code does has an effect."""
    finished: bool = False

    @property
    def ok(self) -> bool:
        """Whether it ran to its end without an error."""
        return self.finished and self.error is None


class Context:
    """The second argument of a handler; with the names that Lambda gives them."""

    function_version = "$LATEST"
    client_context = None
    identity = None

    def __init__(self, invocation: Invocation, now: Callable[[], datetime]) -> None:
        function = invocation.function
        self.function_name = function.name
        self.invoked_function_arn = function.arn
        self.memory_limit_in_mb = str(function.memory_mb)
        self.aws_request_id = invocation.request_id
        self.log_group_name = f"/aws/lambda/{function.name}"
        self.log_stream_name = f"[$LATEST]{invocation.request_id.replace('-', '')}"
        self._started = now()
        self._timeout = function.timeout
        self._now = now

    def get_remaining_time_in_millis(self) -> int:
        """What is left of the function's timeout, in simulated time."""
        left = self._timeout - (self._now() - self._started)
        return max(0, int(left.total_seconds() * 1000))


class Functions:
    """All deployed functions of one box."""

    def __init__(self, cloud: Cloud, random: Random) -> None:
        self._cloud = cloud
        self._random = random
        self._numbers = count(1)
        self._loads = count(1)
        self._operators: set[int] = set()
        self.by_id: dict[str, Function] = {}
        self.calls: list[Call] = []
        self.logs: deque[tuple[datetime, str, str]] = deque(maxlen=LOG_LINES_KEPT)
        self.invocations: deque[Invocation] = deque(maxlen=INVOCATIONS_KEPT)
        self._stack: list[Invocation] = []
        self._powertools: list[Logger | Metrics] = []
        self.waiting = 0
        """Asynchronous invocations that are queued or wait for their retry."""
        self.writes = 0
        """How often functions have written to the table or published, or `stir` was called."""

    @property
    def running(self) -> Invocation | None:
        """The invocation whose code runs right now; the inner one when a twin runs."""
        return self._stack[-1] if self._stack else None

    # Finding them

    def find(self, name: str) -> Function:
        """The function with this logical id, name or ARN."""
        for function in self.by_id.values():
            if name in (function.logical_id, function.name, function.arn):
                return function
        raise KeyError(f"no function {name!r} in the stack; there are: {', '.join(self.by_id)}")

    # Running them

    def invoke(self, function: Function, event: Any) -> Invocation:
        """Run now. Errors of the function are in the invocation, not raised."""
        invocation = self._new(function, event)
        self._run(invocation)
        return invocation

    def queue(self, function: Function, event: Any, delay: timedelta = timedelta(0)) -> Invocation:
        """Run as soon as the clock runs, as Lambda does: with retries, then destinations."""
        invocation = self._new(function, event)
        self._queue(invocation, delay)
        return invocation

    def _queue(self, invocation: Invocation, delay: timedelta) -> None:
        self.waiting += 1

        def run() -> None:
            self.waiting -= 1
            self._run(invocation)
            self._conclude(invocation)

        self._cloud.clock.after(delay, run, f"invoke {invocation.function.logical_id}")

    def _conclude(self, invocation: Invocation) -> None:
        function = invocation.function
        if invocation.ok:
            self._cloud.triggers.send_to_destination(function.on_success, invocation)
            return
        retries_made = invocation.attempt - 1
        if retries_made < function.retries:
            delay = RETRY_DELAYS[retries_made]
            if self._cloud.clock.now() + delay - invocation.queued_at <= function.maximum_event_age:
                again = self._new(function, invocation.event, invocation.request_id)
                again.attempt = invocation.attempt + 1
                again.queued_at = invocation.queued_at
                self._queue(again, delay)
                return
        self._cloud.triggers.send_to_destination(function.on_failure, invocation)
        self._cloud.triggers.send_to_dead_letters(function.dead_letter, invocation)

    def _new(self, function: Function, event: Any, request_id: str | None = None) -> Invocation:
        request_id = request_id or str(UUID(int=self._random.getrandbits(128), version=4))
        # What a handler is given is what JSON makes of the event, and nobody else's copy.
        event = json.loads(json.dumps(event))
        return Invocation(function, next(self._numbers), request_id, event, self._cloud.clock.now())

    def _run(self, invocation: Invocation) -> None:
        invocation.started_at = self._cloud.clock.now()
        self.invocations.append(invocation)
        function = invocation.function
        context = Context(invocation, self._cloud.clock.now)
        error: BaseException | None = None
        with self._as_lambda(invocation):
            try:
                handler = self._handler(function)
                event = json.loads(json.dumps(invocation.event))
                with owned_by(function.variables(), self._powertools):
                    invocation.result = json.loads(json.dumps(handler(event, context)))
            except (Exception, SystemExit, Killed) as raised:  # noqa: BLE001, a handler may raise anything
                error = raised
        if invocation.died_of is not None:
            error = Killed(invocation.died_of)
            function.module = None
            self.stir()  # what it has not measured or done is not quiet
        if error is not None:
            self._fail(invocation, error)
        self._observe(invocation)

    @contextmanager
    def _as_lambda(self, invocation: Invocation) -> Iterator[None]:
        """The process as the invocation sees it: its environment and its standard output."""
        before = dict(os.environ)
        outer = (OUTPUT.collector, OUTPUT.silent)
        self._stack.append(invocation)
        OUTPUT.collector, OUTPUT.silent = invocation.log, False
        variables = invocation.function.variables()
        os.environ.update(variables)
        stdout, sys.stdout = sys.stdout, OUTPUT
        try:
            # Lambda writes warnings to the log, whatever the process around the box makes of them.
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("default")
                yield
        finally:
            OUTPUT.finish()
            invocation.log.extend(
                f"[WARNING] {each.category.__name__}: {each.message}" for each in warned
            )
            sys.stdout = stdout
            OUTPUT.collector, OUTPUT.silent = outer
            self._stack.pop()
            for name in variables:
                if name in before:
                    os.environ[name] = before[name]
                else:
                    os.environ.pop(name, None)
            invocation.finished = True

    def _handler(self, function: Function) -> Callable[[Any, Context], Any]:
        file, _, name = function.handler.rpartition(".")
        # A twin, an invocation inside one of the same function, is a process of its own.
        twin = sum(each.function is function for each in self._stack) > 1
        if function.module is None or twin:
            function.module = self._load(function, file)
        handler: Callable[[Any, Context], Any] = getattr(function.module, name)
        return handler

    def _load(self, function: Function, file: str) -> ModuleType:
        path = function.folder / f"{file}.py"
        name = f"deployed_{function.logical_id}_{next(self._loads)}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None or not path.exists():
            raise FileNotFoundError(
                f"{function.logical_id}: handler {function.handler} needs {path}"
            )
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self._powertools = powertools_of((*self._cloud.layers, function.folder))
        return module

    def _fail(self, invocation: Invocation, error: BaseException) -> None:
        invocation.exception = error
        invocation.error = f"{type(error).__name__}: {error}"
        invocation.log.append(f"[ERROR] {invocation.error}")
        if invocation.died_of is None:
            invocation.log.extend("".join(traceback.format_exception(error)).splitlines())

    def _observe(self, invocation: Invocation) -> None:
        """What CloudWatch makes of it: log lines, the metrics in them, and Lambda's own."""
        now = self._cloud.clock.now()
        function = invocation.function
        for line in invocation.log:
            self.logs.append((now, function.logical_id, line))
            invocation.metrics += parse_emf(line, function.logical_id)
        dimensions = {"FunctionName": function.name}
        errors = 0.0 if invocation.ok else 1.0
        for name, value in (("Invocations", 1.0), ("Errors", errors)):
            invocation.metrics.append(Metric("AWS/Lambda", name, value, now, "Count", dimensions))
        for metric in invocation.metrics:
            self._cloud.metrics.record(metric)

    def stir(self) -> None:
        """Something happened that the next tick of every schedule may find: none is quiet."""
        self.writes += 1
        self._cloud.schedules.stir()

    # Seeing what they do

    def trust(self, client: Any) -> Any:
        """Let this client's calls be the operator's: not recorded, denied or made to fail."""
        self._operators.add(id(client))
        return client

    def watch(self) -> None:
        """Put every AWS call that a running function makes through `_call`."""
        functions = self

        def make_api_call(client: Any, operation: str, params: dict[str, Any]) -> Any:
            invocation = functions.running
            if invocation is None or id(client) in functions._operators:
                return original(client, operation, params)
            return functions._call(invocation, client, operation, params, original)

        original = replace(self._cloud.stack, BaseClient, "_make_api_call", make_api_call)

    def _call(
        self,
        invocation: Invocation,
        client: Any,
        operation: str,
        params: dict[str, Any],
        original: Callable[[Any, str, dict[str, Any]], Any],
    ) -> Any:
        if invocation.died_of is not None:
            raise Killed("the dead make no calls")
        self._take_time(invocation)
        function = invocation.function
        deaths = self._cloud.mischief.deaths_due(function.logical_id)
        for _ in self._cloud.mischief.twins_due(function.logical_id):
            self.invoke(function, invocation.event)
        if any(death.when == "before" for death in deaths):
            self._die(invocation, f"killed before {operation}")
        service = client.meta.service_model.service_name
        call = Call(
            function.logical_id,
            invocation.number,
            service,
            operation,
            params,
            None,
            self._cloud.clock.now(),
        )
        self.calls.append(call)
        invocation.calls.append(call)
        answer = self._answer(call, client, original)
        if any(death.when == "after" for death in deaths):
            self._die(invocation, f"killed after {operation}")
        return answer

    def _answer(
        self, call: Call, client: Any, original: Callable[[Any, str, dict[str, Any]], Any]
    ) -> Any:
        failure: Failure | None = None
        try:
            self._cloud.check_allowed(call, client.meta.region_name)
            failure = self._cloud.mischief.failure(
                call.service, call.operation, call.params, call.at
            )
            if failure is not None and not failure.after:
                raise_failure(failure, client.meta.endpoint_url, call.operation)
            answer = original(client, call.operation, call.params)
            if (call.service, call.operation) in WRITES:
                self.stir()
            if failure is not None:
                raise_failure(failure, client.meta.endpoint_url, call.operation)
        except ClientError as error:
            call.error = error.response["Error"]["Code"]
            raise
        except NotImplementedError as error:
            raise NotInTheBox(f"{call.service} {call.operation}: {error}") from error
        except Exception as error:
            call.error = type(error).__name__
            raise
        return answer

    def _take_time(self, invocation: Invocation) -> None:
        """A call takes its time; when that was more than the function had, it is over."""
        pace = self._cloud.pace.call
        if not pace or invocation.started_at is None:
            return
        now = self._cloud.clock.now() + pace
        end = invocation.started_at + invocation.function.timeout
        self._cloud.clock.move_to(min(now, end))
        if now >= end:
            seconds = invocation.function.timeout.total_seconds()
            self._die(invocation, f"Task timed out after {seconds:.2f} seconds")

    def _die(self, invocation: Invocation, why: str) -> None:
        invocation.died_of = why
        OUTPUT.silent = True
        raise Killed(why)
