"""A box with a small stack in it: one of everything that the box must run."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local.cloud import Cloud

TEMPLATE = Path(__file__).parent / "fixtures" / "box" / "template.yaml"
START = datetime(2026, 11, 23, tzinfo=UTC)


def box(**options: Any) -> Cloud:
    return Cloud(START, template=TEMPLATE, seeded=False, **options)


def items(cloud: Cloud, pk: str) -> list[dict[str, Any]]:
    """What the functions wrote under this key."""
    answer = cloud.client("dynamodb").query(
        TableName=cloud.physical_id("Table"),
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": pk}},
    )
    found: list[dict[str, Any]] = answer["Items"]
    return found
