"""What a table restored from a backup lacks, by the names of the manifest, and what differs in the
end.
"""

from collections.abc import Iterator
from typing import Any

from watchkeeper.recovery.model import (
    ByHand,
    Change,
    Difference,
    Settings,
    command,
    compared,
    is_same,
    theirs,
    with_numbers,
)

PLAIN = (
    "tags", "time_to_live", "stream", "table_class", "point_in_time_recovery",
    "deletion_protection",
)  # fmt: skip
"""In the order of being put back: the last one also keeps people from deleting it by mistake."""
SCALING = {
    "targets": ("ResourceId", "ScalableDimension", "MinCapacity", "MaxCapacity", "SuspendedState"),
    "policies": (
        "PolicyName", "ResourceId", "ScalableDimension", "PolicyType",
        "StepScalingPolicyConfiguration", "TargetTrackingScalingPolicyConfiguration",
    ),
    "scheduled_actions": (
        "ScheduledActionName", "ResourceId", "ScalableDimension", "Schedule", "Timezone",
        "StartTime", "EndTime", "ScalableTargetAction",
    ),
}  # fmt: skip
"""Of what Application Auto Scaling shows, that which it can be told; targets come first."""

FRACTIONS = ("TargetValue", "MetricIntervalLowerBound", "MetricIntervalUpperBound")
"""Numbers in them that need not be whole."""


def comparable(settings: Settings, table: str) -> dict[str, Any]:
    """The settings that are put back; what scales is of `table`, whichever it was of."""
    found: dict[str, Any] = {name: settings.get(name) for name in PLAIN if name in settings}
    found["tags"] = theirs(settings.get("tags") or {})
    found["time_to_live"] = _time_to_live(settings)
    found["point_in_time_recovery"] = _recovery(settings)
    stream = settings.get("stream") or {}
    found["stream"] = stream.get("StreamViewType", "") if stream.get("StreamEnabled") else ""
    scaling = settings.get("scaling") or {}
    for kind, told in SCALING.items():
        for one in scaling.get(kind, ()):
            kept = {name: one[name] for name in told if name in one}
            kept["ResourceId"] = _moved(one["ResourceId"], table)
            found[_scaled(kind, one)] = kept
    return found


def _time_to_live(settings: Settings) -> str:
    """The attribute that holds the time; empty if it is off."""
    shown = settings.get("time_to_live") or {}
    is_on = shown.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
    return str(shown.get("AttributeName", "")) if is_on else ""


def _recovery(settings: Settings) -> Any:
    """The days that it reaches back; `on` where the days are not shown; empty if it is off."""
    shown = settings.get("point_in_time_recovery") or {}
    is_on = shown.get("PointInTimeRecoveryStatus") == "ENABLED"
    return shown.get("RecoveryPeriodInDays", "on") if is_on else ""


def _moved(resource: str, table: str) -> str:
    """`table/orders/index/by-day`, of another table."""
    _, _, rest = resource.removeprefix("table/").partition("/")
    return f"table/{table}/{rest}" if rest else f"table/{table}"


def _scaled(kind: str, one: Settings) -> str:
    """The name of a setting: `target ReadCapacityUnits of index by-day`."""
    word = {"targets": "target", "policies": "policy", "scheduled_actions": "schedule"}[kind]
    name = one.get("PolicyName") or one.get("ScheduledActionName") or ""
    index = one["ResourceId"].partition("/index/")[2]
    of = f" of index {index}" if index else ""
    return " ".join(filter(None, [word, name, one["ScalableDimension"].rpartition(":")[2]])) + of


def changes(wanted: Settings, found: Settings, table: str) -> list[Change]:
    """`wanted` and `found` as `comparable` has them."""
    scaled = [name for name in wanted if name not in PLAIN]
    return [
        Change(name, table, {"value": with_numbers(wanted[name], FRACTIONS)})
        for name in (*(one for one in PLAIN if one in wanted), *scaled)
        if not is_same(wanted[name], found.get(name)) and wanted[name]
    ]


def differences(wanted: Settings, found: Settings) -> list[Difference]:
    return compared(wanted, found, {})


def by_hand(settings: Settings, table: str, arn: str) -> Iterator[ByHand]:
    """Settings that reach beyond the table: writing to others' streams, letting others in."""
    name = ("--table-name", table)
    for destination in settings.get("kinesis_destinations") or ():
        if destination.get("DestinationStatus") in ("ACTIVE", "ENABLING", "UPDATING"):
            stream = ("--stream-arn", destination["StreamArn"])
            words = ("aws", "dynamodb", "enable-kinesis-streaming-destination")
            yield ByHand(
                "The original's changes went to a Kinesis stream. So would this table's:",
                (command(*words, *name, *stream),),
            )
    if policy := settings.get("resource_policy"):
        put = ("aws", "dynamodb", "put-resource-policy", "--resource-arn", arn, "--policy", policy)
        yield ByHand(
            "The original had a policy of its own, which names the original: put this table's name "
            "in it first:",
            (command(*put),),
        )
    for region in settings.get("replica_regions") or ():
        create = f"Create={{RegionName={region}}}"
        update = command("aws", "dynamodb", "update-table", *name, "--replica-updates", create)
        yield ByHand("The original had a replica there:", (update,))
    if (settings.get("stream") or {}).get("StreamEnabled"):
        yield ByHand(
            "The stream is a new one. Functions that read the original's have to be given it (the "
            "manifest does not know them):",
            (
                command("aws", "lambda", "list-event-source-mappings", "--event-source-arn",
                        "<stream of the original>"),
                command("aws", "lambda", "create-event-source-mapping", "--function-name",
                        "<function>", "--event-source-arn", "<stream of the new table>",
                        "--starting-position", "TRIM_HORIZON"),
            ),
        )  # fmt: skip
    insights = ("aws", "dynamodb", "update-contributor-insights", *name)
    yield ByHand(
        "Alarms, IAM policies and Contributor Insights name the original. If it had the last:",
        (command(*insights, "--contributor-insights-action", "ENABLE"),),
    )
