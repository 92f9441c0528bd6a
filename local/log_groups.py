"""EventBridge's deliveries to log groups, under the policies of CloudWatch Logs.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-cloudwatchlogs-permissions
"""

from __future__ import annotations

import json
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from moto.logs.models import logs_backends

SERVICE = "events.amazonaws.com"
NEEDED = ("logs:CreateLogStream", "logs:PutLogEvents")


def takes(group_arn: str, source_arn: str) -> bool:
    """Whether the log group is there, and a policy lets this rule write to it.

    EventBridge takes an ARN without `:*` as target; policies name the streams in the group.
    """
    _, _, _, region, account, resource = group_arn.split(":", 5)
    backend = logs_backends[account][region]
    name = resource.removeprefix("log-group:")
    documents = [json.loads(one.policy_document) for one in backend.resource_policies.values()]
    statements = [one for document in documents for one in _list(document.get("Statement"))]
    return name in backend.groups and all(
        any(_allows(one, action, f"{group_arn}:log-stream:x", source_arn) for one in statements)
        for action in NEEDED
    )


def put(group_arn: str, stream: str, message: str, at: datetime) -> None:
    """Write one message, as an event arrives: into a stream of its own."""
    _, _, _, region, account, resource = group_arn.split(":", 5)
    backend, name = logs_backends[account][region], resource.removeprefix("log-group:")
    backend.ensure_log_stream(name, stream)
    event = {"timestamp": int(at.timestamp() * 1000), "message": message}
    backend.put_log_events(name, stream, [event])


def _allows(statement: dict[str, Any], action: str, arn: str, source_arn: str) -> bool:
    principal = statement.get("Principal", {})
    services = _list(principal.get("Service")) if isinstance(principal, dict) else []
    sources = [
        source
        for kind in ("ArnEquals", "ArnLike", "StringEquals")
        for key, value in statement.get("Condition", {}).get(kind, {}).items()
        if key.lower() == "aws:sourcearn"
        for source in _list(value)
    ] or ["*"]
    return (
        statement.get("Effect") == "Allow"
        and SERVICE in services
        and any(fnmatchcase(action, one) for one in _list(statement.get("Action")))
        and any(fnmatchcase(arn, one) for one in _list(statement.get("Resource")))
        and any(fnmatchcase(source_arn, one) for one in sources)
    )


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
