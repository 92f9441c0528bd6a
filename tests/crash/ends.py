"""When a story is at its end, how its runs stand then, and what people were told in it."""

from collections.abc import Mapping
from typing import Any

from local.cloud import Cloud

ALARMS = ("OK: ", "ALARM: ")
"""What subjects of alarms begin with; alarms have tests of their own."""


def is_busy(cloud: Cloud) -> bool:
    """Whether a run is still to be woken, or an event still to be delivered."""
    due = cloud.client("dynamodb").scan(
        TableName=cloud.physical_id("Table"), IndexName="due", Select="COUNT"
    )
    return bool(due["Count"]) or cloud.functions.waiting > 0


def stands(run: Mapping[str, Any]) -> str:
    """Of a run's item in the table, in words."""
    if "step" in run:
        return f"{run['step']} waits for {run['waits_for']}"
    return f"failed: {run['failure']}" if run.get("failure") else "done"


def told(cloud: Cloud, *expected: str) -> tuple[str, ...]:
    """Subjects of pages, but for alarms and those that begin with something `expected`."""
    subjects = [page.subject or "" for page in cloud.published("PagesTopic")]
    return tuple(one for one in subjects if not one.startswith((*ALARMS, *expected)))
