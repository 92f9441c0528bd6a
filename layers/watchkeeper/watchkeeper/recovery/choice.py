"""Which recovery point is recovered, or why none can be."""

from collections.abc import Sequence

from watchkeeper.backups.model import COUNTS, Kind, RecoveryPoint
from watchkeeper.recovery.model import command


class NoRecovery(Exception):
    """The message says why, and what to do instead."""


def chosen(
    resource: str, wanted: str, ours: Sequence[RecoveryPoint], others: Sequence[RecoveryPoint]
) -> RecoveryPoint:
    """The point of that id; if none is named, the newest of ours. Raises NoRecovery."""
    if Kind.of(resource) is None:
        raise NoRecovery("nothing of its kind can be recovered")
    if not wanted:
        return _newest(ours, others)
    point = next((one for one in (*ours, *others) if one.id == wanted), None)
    if point is None:
        raise NoRecovery(f"it has no recovery point {wanted}: {_known(ours)}")
    if point.state not in COUNTS:
        why = f" ({point.why})" if point.why else ""
        raise NoRecovery(f"recovery point {wanted} is {point.state}{why}: {_known(ours)}")
    if point.keeper and not _is_snapshot(point):
        raise NoRecovery(_instead(point))
    if point.place.tier != "standard":
        raise NoRecovery(
            f"recovery point {wanted} is in tier {point.place.tier}: bring it back first, and ask "
            "again under another request_id"
        )
    return point


def _newest(ours: Sequence[RecoveryPoint], others: Sequence[RecoveryPoint]) -> RecoveryPoint:
    usable = [one for one in ours if one.state in COUNTS and one.place.tier == "standard"]
    if usable:
        return max(usable, key=lambda one: one.created_at)
    kept = sorted((one for one in others if one.state in COUNTS), key=lambda one: one.newest_data)
    if kept:
        raise NoRecovery(
            f"there is no recovery point of ours of it; {kept[-1].keeper} has {kept[-1].id}, of "
            f"{kept[-1].newest_data:%Y-%m-%d %H:%M} UTC. {_instead(kept[-1])}"
        )
    raise NoRecovery("there is no completed recovery point of it")


def _known(ours: Sequence[RecoveryPoint]) -> str:
    times = sorted((one.created_at, one.id) for one in ours if one.state in COUNTS)
    if not times:
        return "there is no completed one"
    return "the newest are " + ", ".join(
        f"{point} of {at:%Y-%m-%d %H:%M} UTC" for at, point in reversed(times[-3:])
    )


def _is_snapshot(point: RecoveryPoint) -> bool:
    """Whether EBS has it, whoever keeps it: a span has no parts, a vault's cannot be used."""
    return bool(point.parts) and all(part.snapshot.startswith("snap-") for part in point.parts)


def _instead(point: RecoveryPoint) -> str:
    """What a person does with what somebody else keeps."""
    if point.until or not point.parts:
        return f"Restore it to a moment by hand: {_to_a_moment(point)}"
    if _is_snapshot(point):
        return f'Ask again, under another request_id, with "point": "{point.id}"'
    arn = point.parts[0].snapshot
    asked = command(
        "aws", "backup", "get-recovery-point-restore-metadata", "--backup-vault-name", "<vault>",
        "--recovery-point-arn", arn,
    )  # fmt: skip
    begun = command(
        "aws", "backup", "start-restore-job", "--recovery-point-arn", arn, "--iam-role-arn",
        "<role>", "--metadata", "<what the first answers, with a new name in it>",
    )  # fmt: skip
    return f"It is in a vault of {point.keeper}, which alone restores it: {asked}; {begun}"


def _to_a_moment(point: RecoveryPoint) -> str:
    last = point.resource.rsplit(":", 1)[-1]
    name = last.removeprefix("table/")
    how = {
        Kind.DATABASE: (
            "rds", "restore-db-instance-to-point-in-time", "--source-db-instance-identifier", name,
            "--target-db-instance-identifier", "<new name>", "--use-latest-restorable-time",
        ),
        Kind.CLUSTER: (
            "rds", "restore-db-cluster-to-point-in-time", "--source-db-cluster-identifier", name,
            "--db-cluster-identifier", "<new name>", "--use-latest-restorable-time",
        ),
        Kind.TABLE: (
            "dynamodb", "restore-table-to-point-in-time", "--source-table-name", name,
            "--target-table-name", "<new name>", "--use-latest-restorable-time",
        ),
    }  # fmt: skip
    return command("aws", *how[point.kind])
