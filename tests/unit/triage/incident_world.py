"""Incidents to analyse: a function that fails after a deployment, and what may be changed of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import sin
from typing import Any

from watchkeeper.triage.gathered import (
    Gathered,
    Line,
    Logged,
    Measured,
    Raised,
    Resource,
    Span,
    Trail,
)

MINUTE = timedelta(minutes=1)
BEGAN = datetime(2026, 11, 23, 3, 6, tzinfo=UTC)
NOW = BEGAN + 6 * MINUTE
SPAN = Span.of(BEGAN, NOW)
ACCOUNT, REGION = "111122223333", "eu-west-1"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:orders"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:orders-in"
MACHINE = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-0abc12345678"
DATABASE = f"arn:aws:rds:{REGION}:{ACCOUNT}:db:orders"
DEPLOYER = f"arn:aws:iam::{ACCOUNT}:role/deployer"
GROUP = "/aws/lambda/orders"


def alarm(name: str = "orders-errors", **fields: Any) -> Raised:
    made = Raised(
        name,
        f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}",
        "ALARM",
        "high",
        BEGAN + 3 * MINUTE,
        BEGAN,
        metric="AWS/Lambda Errors",
        reason="Threshold Crossed: 3 datapoints were greater than 1.0",
    )
    return replace(made, **fields)


def usual(minutes: int, at: datetime, text: str = "Order {n} accepted for shop {n}") -> list[Line]:
    """Four lines a minute for so many minutes before `at`, of two streams."""
    lines = [
        Line(at - (minutes * 60 - number * 15) * timedelta(seconds=1), f"s{number % 2}", "")
        for number in range(minutes * 4)
    ]
    told = (replace(one, text=text.format(n=number)) for number, one in enumerate(lines))
    return sorted(told, key=lambda one: (one.stream, one.at))


def errors(count: int, text: str = "ERROR payment {n} failed: no route") -> list[Line]:
    """All of stream s1, from the onset on."""
    return [
        Line(BEGAN + number * timedelta(seconds=5), "s1", text.format(n=number))
        for number in range(count)
    ]


def logged(new: Sequence[Line] = (), **fields: Any) -> Logged:
    lines = sorted([*usual(11, NOW), *new], key=lambda one: (one.stream, one.at))
    made = Logged(
        GROUP, (FUNCTION,), tuple(usual(60, SPAN.since)), tuple(lines), link="https://logs.example"
    )
    return replace(made, **fields)


def points(
    at: datetime = NOW, *, days: float = 3, period: int = 300, base: float = 10, wave: float = 2
) -> list[tuple[datetime, float]]:
    """A quiet metric with a daily rhythm until `at`."""
    step = timedelta(seconds=period)
    number = int(days * 86_400 / period)
    first = at - number * step
    return [
        (first + place * step, base + wave * sin(place * step.total_seconds() / 13_751))
        for place in range(number + 1)
    ]


def measured(
    name: str = "Errors",
    resource: str = FUNCTION,
    jump: Mapping[str, Any] | float | None = None,
    **fields: Any,
) -> Measured:
    """A metric; with `jump`, at that value since BEGAN."""
    base = fields.pop("base", 10)
    wave = fields.pop("wave", 2)
    period = fields.pop("period", 60)
    start = fields.pop("since", BEGAN)
    found = points(base=base, wave=wave, period=period)
    if isinstance(jump, int | float):
        found = [(at, value if at < start else jump) for at, value in found]
    made = Measured(
        resource, fields.pop("namespace", "AWS/Lambda"), name, fields.pop("stat", "Sum"),
        period=period, points=tuple(found), link="https://metric.example",
    )  # fmt: skip
    return replace(made, **fields)


def event(
    name: str,
    at: datetime,
    who: str = DEPLOYER,
    *,
    source: str = "lambda",
    request: Mapping[str, Any] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """A record of CloudTrail's."""
    return {
        "eventID": f"{name}-{at:%H%M%S}",
        "eventTime": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": f"{source}.amazonaws.com",
        "eventName": name,
        "awsRegion": REGION,
        "recipientAccountId": ACCOUNT,
        "sourceIPAddress": "198.51.100.7",
        "userIdentity": {
            "type": "AssumedRole",
            "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{who.rpartition('/')[2]}/session",
            "sessionContext": {"sessionIssuer": {"arn": who, "type": "Role"}},
        },
        "requestParameters": dict(request or {}),
        **fields,
    }


def deployed(minutes: int = 4, **fields: Any) -> dict[str, Any]:
    return event(
        "UpdateFunctionCode20150331v2",
        BEGAN - minutes * MINUTE,
        request={"functionName": "orders"},
        **fields,
    )


def trail(*events: Mapping[str, Any], until: datetime | None = NOW) -> Trail:
    return Trail(events, SPAN.before, until, "the ring")


def incident(**fields: Any) -> Gathered:
    """A quiet one; what it is about is given."""
    made = Gathered(
        "inc-1", 0, NOW, SPAN, REGION, ACCOUNT, severity="high", owner="shop",
        alarms=(alarm(),), resources=(Resource(FUNCTION, log_groups=(GROUP,)),),
        logs=(logged(),), metrics=(measured(of_alarm=True),), trail=trail(),
    )  # fmt: skip
    return replace(made, **fields)


def failing(**fields: Any) -> Gathered:
    """After a deployment, with new errors."""
    made = incident(
        logs=(logged(errors(17)),),
        metrics=(measured(jump=90.0, of_alarm=True), measured("Invocations", base=200)),
        trail=trail(deployed()),
    )
    return replace(made, **fields)


def every_text(value: Any) -> Iterator[str]:
    """All texts in a report."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.items():
            yield from every_text(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from every_text(one)
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from every_text(getattr(value, name))
