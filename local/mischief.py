"""Unkindness on demand: deaths, twins, throttling, lost answers, and events that misbehave.

AWS does all of this on its own, rarely, and at the worst moment. Here a test says when.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Literal

from botocore.exceptions import ClientError, ReadTimeoutError

Moment = Literal["before", "after"]

# The HTTP status that goes with an error code; anything else is a plain 400.
STATUS_OF_CODE = {
    "InternalError": 500,
    "InternalServerError": 500,
    "InternalFailure": 500,
    "ServiceUnavailable": 503,
    "RequestLimitExceeded": 503,
    "Unavailable": 503,
}


class Killed(BaseException):
    """The invocation is dead: out of time, of memory, or told to die. No handler survives it."""


class NotInTheBox(BaseException):
    """The box has no such thing. It passes through handlers: a gap here is not an AWS error."""


def client_error(code: str, message: str, operation: str, status: int | None = None) -> ClientError:
    """The exception boto3 raises for this error code."""
    return ClientError(
        {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {
                "RequestId": "00000000-0000-0000-0000-000000000000",
                "HTTPStatusCode": status or STATUS_OF_CODE.get(code, 400),
                "HTTPHeaders": {},
                "RetryAttempts": 0,
                "HostId": "",
            },
        },
        operation,
    )


@dataclass
class Death:
    """A planned end: at the function's `call`-th AWS call; `fired` says that it happened."""

    function: str
    call: int
    when: Moment
    fired: bool = False
    seen: int = 0


@dataclass
class Twin:
    """A planned second invocation with the same event, in the middle of the first."""

    function: str
    call: int
    fired: bool = False
    seen: int = 0


@dataclass
class Failure:
    """A planned error for an AWS operation, as often as `times`, `until` and `rate` say."""

    service: str
    operation: str
    code: str
    message: str
    status: int | None = None
    after: bool = False
    times: int | None = None
    until: datetime | None = None
    rate: float | None = None
    match: Callable[[dict[str, Any]], bool] | None = None
    fired: int = 0

    def applies(
        self, service: str, operation: str, params: dict[str, Any], now: datetime, random: Random
    ) -> bool:
        """Whether this call is to fail; `*` as operation means every operation of the service."""
        if self.service != service or self.operation not in (operation, "*"):
            return False
        if self.times is not None and self.fired >= self.times:
            return False
        if self.until is not None and now >= self.until:
            return False
        if self.match is not None and not self.match(params):
            return False
        return self.rate is None or random.random() < self.rate


@dataclass(frozen=True)
class EventTrouble:
    """How best-effort events misbehave; the default is not at all.

    EventBridge events of AWS services suffer all of it. SNS repeats and reorders, it never drops.
    Schedules and what a function sends itself with PutEvents arrive.
    """

    drop: float = 0.0
    """Probability that an event never arrives."""
    repeat: float = 0.0
    """Probability that it arrives twice."""
    delay: timedelta = timedelta(0)
    """The longest that one is late."""
    reorder: bool = False
    """Whether deliveries overtake each other (by up to `delay`, or a minute)."""
    seed: int = 0

    def deliveries(self, random: Random, *, may_drop: bool = True) -> list[timedelta]:
        """After how long each copy arrives; an empty list when it never does."""
        if may_drop and random.random() < self.drop:
            return []
        copies = 2 if random.random() < self.repeat else 1
        return [self._lateness(random) for _ in range(copies)]

    def _lateness(self, random: Random) -> timedelta:
        longest = self.delay
        if self.reorder and not longest:
            longest = timedelta(minutes=1)
        return longest * random.random() if longest else timedelta(0)


QUIET = EventTrouble()


@dataclass
class Mischief:
    """Everything that is planned to go wrong in one box."""

    random: Random
    deaths: list[Death] = field(default_factory=list)
    twins: list[Twin] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    events: EventTrouble = QUIET

    def kill(self, function: str, call: int, when: Moment = "before") -> Death:
        """Kill `function` once, before or after its `call`-th AWS call (1 is the next one)."""
        death = Death(function, _positive(call), when)
        self.deaths.append(death)
        return death

    def twin(self, function: str, call: int) -> Twin:
        """Run another invocation with the same event just before the `call`-th AWS call, once."""
        twin = Twin(function, _positive(call))
        self.twins.append(twin)
        return twin

    def throttle(
        self,
        service: str,
        operation: str,
        *,
        times: int | None = None,
        until: datetime | None = None,
        rate: float | None = None,
        code: str = "RequestLimitExceeded",
    ) -> Failure:
        """Let AWS refuse an operation as too frequent. With no limit given: until the end."""
        failure = Failure(
            service,
            operation,
            code,
            "Request limit exceeded.",
            503,
            times=times,
            until=until,
            rate=rate,
        )
        self.failures.append(failure)
        return failure

    def fail(  # noqa: PLR0913, an answer of AWS has this many sides
        self,
        service: str,
        operation: str,
        code: str,
        message: str = "made to fail",
        status: int | None = None,
        *,
        after: bool = False,
        times: int | None = 1,
        match: Callable[[dict[str, Any]], bool] | None = None,
    ) -> Failure:
        """Let an operation fail, once unless `times` says otherwise (None: always).

        With `after=True` the call takes effect and only its answer is lost; the code "ReadTimeout"
        then raises botocore's ReadTimeoutError, as a broken connection does.
        """
        failure = Failure(
            service, operation, code, message, status, after=after, times=times, match=match
        )
        self.failures.append(failure)
        return failure

    def trouble_events(
        self,
        *,
        drop: float = 0.0,
        repeat: float = 0.0,
        delay: timedelta = timedelta(0),
        reorder: bool = False,
        seed: int = 0,
    ) -> None:
        """From now on, let events misbehave; see EventTrouble."""
        self.events = EventTrouble(drop, repeat, delay, reorder, seed)
        self.random.seed(seed)

    def calm(self) -> None:
        """Forget everything that was planned."""
        self.deaths.clear()
        self.twins.clear()
        self.failures.clear()
        self.events = QUIET

    def deaths_due(self, function: str) -> list[Death]:
        """Count a call of `function`; the deaths that this call is the time for."""
        return [each for each in self.deaths if _due(each, function)]

    def twins_due(self, function: str) -> list[Twin]:
        """Count a call of `function`; the twins that this call is the time for."""
        return [each for each in self.twins if _due(each, function)]

    def failure(
        self, service: str, operation: str, params: dict[str, Any], now: datetime
    ) -> Failure | None:
        """The first planned failure that applies to this call, counted as fired."""
        for each in self.failures:
            if each.applies(service, operation, params, now, self.random):
                each.fired += 1
                return each
        return None


def raise_failure(failure: Failure, endpoint: str, operation: str) -> None:
    """Raise what boto3 would raise."""
    if failure.code == "ReadTimeout":
        raise ReadTimeoutError(endpoint_url=endpoint)
    raise client_error(failure.code, failure.message, operation, failure.status)


def _positive(call: int) -> int:
    if call < 1:
        raise ValueError(f"call={call}: calls are counted from 1")
    return call


def _due(plan: Death | Twin, function: str) -> bool:
    if plan.fired or plan.function != function:
        return False
    plan.seen += 1
    if plan.seen < plan.call:
        return False
    plan.fired = True
    return True
