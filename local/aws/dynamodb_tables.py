"""DynamoDB's tables as AWS documents them, where moto forgets what it was told.

`install(cloud)` patches moto's classes until `cloud.stack` closes. What it adds:

- the class of a table, which a table restored from a backup of it does not have;
- Kinesis data streams as the destination of a table's changes, which moto has not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.dynamodb.exceptions import ResourceNotFoundException
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler

from local.aws.ebs import Box
from local.replacing import replace

# What is remembered, on moto's own tables: a new table of the same name has none of it.
TABLE_CLASS = "told_class"
DESTINATIONS = "told_destinations"


def install(cloud: Box) -> None:
    """Make moto's tables behave like this until `cloud.stack` closes."""
    for name, operation in {
        "create_table": _with_class(DynamoHandler.create_table),
        "update_table": _with_class(DynamoHandler.update_table),
        "enable_kinesis_streaming_destination": _enable_destination,
        "describe_kinesis_streaming_destination": _describe_destinations,
    }.items():
        replace(cloud.stack, DynamoHandler, name, operation)
    replace(cloud.stack, Table, "describe", _with_class_shown(Table.describe))


def _with_class(moto_does: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Remember the class that CreateTable or UpdateTable gives."""

    def operation(handler: Any) -> Any:
        answer = moto_does(handler)
        if given := handler.body.get("TableClass"):
            setattr(_existing(handler), TABLE_CLASS, given)
        return answer

    return operation


def _with_class_shown(moto_does: Callable[..., Any]) -> Callable[..., Any]:
    """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TableClassSummary.html"""

    def describe(table: Any, *given: Any, **named: Any) -> Any:
        described = moto_does(table, *given, **named)
        if known := getattr(table, TABLE_CLASS, None):
            for shown in described.values():
                shown["TableClassSummary"] = {"TableClass": known}
        return described

    return describe


def _enable_destination(handler: Any) -> ActionResult:
    """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_EnableKinesisStreamingDestination.html"""
    table, stream = _existing(handler), handler.body["StreamArn"]
    known = _destinations(table)
    if stream in known:
        # AWS documents that this is refused, not with which text.
        raise JsonRESTError(
            "com.amazonaws.dynamodb.v20120810#ResourceInUseException",
            f"Table is not in a valid state to enable Kinesis Streaming Destination: {stream}",
        )
    configuration = handler.body.get("EnableKinesisStreamingConfiguration") or {}
    setattr(table, DESTINATIONS, known | {stream: configuration})
    return ActionResult(
        {"TableName": table.name, "StreamArn": stream, "DestinationStatus": "ENABLING"}
    )


def _describe_destinations(handler: Any) -> ActionResult:
    """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DescribeKinesisStreamingDestination.html"""
    table = _existing(handler)
    shown = [
        {"StreamArn": stream, "DestinationStatus": "ACTIVE", **configuration}
        for stream, configuration in _destinations(table).items()
    ]
    return ActionResult({"TableName": table.name, "KinesisDataStreamDestinations": shown})


def _destinations(table: Any) -> dict[str, dict[str, Any]]:
    known: dict[str, dict[str, Any]] = getattr(table, DESTINATIONS, {})
    return known


def _existing(handler: Any) -> Any:
    name = handler.body["TableName"].rsplit("/", maxsplit=1)[-1]
    found = handler.dynamodb_backend.tables.get(name)
    if found is None:
        raise ResourceNotFoundException(table_name=name)
    return found
