"""Starts ministack, with what it lacks of EventBridge Scheduler and of IAM added.

    .tools/ministack/bin/python local/ministack/start.py

It runs in ministack's own environment and imports nothing of this project.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from ministack import app
from ministack.core import iam_actions, iam_evaluator
from ministack.services import eventbridge, scheduler

# ministack looks every ten seconds which schedule is due; whoever lets time jump waits for each.
scheduler._SCHEDULE_TICK_INTERVAL = 1

_invoke = eventbridge._invoke_target


def _invoke_with_time(target: dict[str, Any], event: dict[str, Any], *rest: Any) -> Any:
    """Fill in the time that the schedule was due, which Scheduler does and ministack leaves out."""
    if event.get("Source") == "aws.scheduler" and "Input" in target:
        due = f"{datetime.fromtimestamp(event['Time'], UTC):%Y-%m-%dT%H:%M:%SZ}"
        filled_in = target["Input"].replace("<aws.scheduler.scheduled-time>", due)
        target = target | {"Input": filled_in}
    return _invoke(target, event, *rest)


eventbridge._invoke_target = _invoke_with_time

_context = iam_actions.dynamodb_service_context


def _context_with_keys(body: bytes) -> dict[str, Any]:
    """Add the partition keys that a request names: the condition in every right to the table."""
    keys = sorted(set(_partition_keys(json.loads(body))))
    context: dict[str, Any] = _context(body)
    return context | ({"dynamodb:LeadingKeys": keys} if keys else {})


def _partition_keys(request: Any) -> Iterator[str]:
    """Those of every item and key in the request, and the one that a query asks for."""
    if isinstance(request, list):
        for each in request:
            yield from _partition_keys(each)
    elif isinstance(request, dict):
        for name, value in request.items():
            if name == "KeyConditionExpression":
                (asked,) = re.findall(r"^\w+ = (:\w+)", value)
                yield request["ExpressionAttributeValues"][asked]["S"]
            elif name in {"Item", "Key", "Keys"}:
                yield from (each["pk"]["S"] for each in (value if name == "Keys" else [value]))
            else:
                yield from _partition_keys(value)


iam_actions.dynamodb_service_context = _context_with_keys


def _as_if_by_tls(source_ip: str, _secure: bool) -> None:  # noqa: FBT001, ministack's signature
    """The topics refuse what comes without TLS, which on this machine's own loopback all does."""
    iam_evaluator.pin_request_origin(source_ip, secure_transport=True)


app.pin_request_origin = _as_if_by_tls

if __name__ == "__main__":
    app.main()
