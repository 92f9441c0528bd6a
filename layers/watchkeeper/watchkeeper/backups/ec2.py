"""EC2 instances and EBS volumes: what there is, how a recovery point of them is made, and what the
account shows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from watchkeeper import naming
from watchkeeper.aws.ec2 import (
    OTHERS,
    Fleet,
    SnapshotRemover,
    Snapshots,
    SnapshotTaker,
    TaggedResources,
)
from watchkeeper.backups.model import Blockers, Kind, Place, RecoveryPoint, Snapshot, Target
from watchkeeper.backups.rules import Found, Inventory, found_by_source
from watchkeeper.quoting import quoted

TAG_VALUE = 256
"""The longest value that EC2 takes for a tag."""


@dataclass(frozen=True)
class Ec2Sources:
    """What can be backed up."""

    fleet: Fleet
    tagged: TaggedResources

    def inventory(self, choose_by: str) -> Inventory:
        return Inventory(
            instances=self.fleet.instances(),
            volumes=self.fleet.volumes(),
            others=self.tagged.with_tag(choose_by),
            elsewhere=self.fleet.protected_elsewhere(),
        )


@dataclass(frozen=True)
class Ec2Points:
    """What the account shows of our recovery points."""

    snapshots: Snapshots
    place: Place

    def of_run(self, run_id: str) -> dict[tuple[str, str], Found]:
        return self.amount_to(self.snapshots.of_run(run_id))

    def amount_to(self, snapshots: Iterable[Snapshot]) -> dict[tuple[str, str], Found]:
        """Per run and source, the recovery points that these snapshots make."""
        return found_by_source(snapshots, self.place)

    def all(self) -> list[Snapshot]:
        return self.snapshots.all()

    def parts_of(self, points: Iterable[RecoveryPoint]) -> list[Snapshot]:
        """The snapshots of these points that exist, also those whose tags somebody took off."""
        return self.snapshots.named(part.snapshot for point in points for part in point.parts)

    def runs_of(self, snapshot_ids: list[str]) -> set[str]:
        return self.snapshots.runs_of(snapshot_ids)


def take(taker: SnapshotTaker, target: Target, tags: Mapping[str, str]) -> None:
    """Start a recovery point. Any error but Unclear means that none was started."""
    if target.kind is Kind.INSTANCE:
        taker.snapshot_instance(target, tags)
    else:
        taker.snapshot_volume(target, tags)


def tags_of(run_id: str, plan: str, words: str, stack: str, target: Target) -> dict[str, str]:
    """The catalogue's truth, written onto the snapshot in the call that makes it."""
    tags = {
        naming.TAG_STACK: stack,
        naming.TAG_RUN: run_id,
        naming.TAG_PLAN: plan,
        naming.TAG_SOURCE: target.arn,
        naming.TAG_POINT: naming.point_id(run_id, target.arn),
        "Name": f"{target.name or naming.ec2_id(target.arn)} {plan}"[:TAG_VALUE],
    }
    return tags | {naming.TAG_WORDS: words} if words else tags


def blockers(remover: SnapshotRemover, snapshots: Iterable[Snapshot]) -> Blockers:
    return Blockers(
        locked=remover.locked(),
        in_images=remover.in_images(),
        held={one.id: reason for one in snapshots if (reason := forbidden(one.tags))},
    )


def forbidden(tags: Mapping[str, str]) -> str:
    """What a snapshot's own tags say against its removal; empty if nothing."""
    if naming.TAG_STACK not in tags:
        return f"has lost its tag {naming.TAG_STACK}: only what carries it may be removed"
    if naming.TAG_LEGAL_HOLD in tags:
        return f"is under legal hold ({quoted(tags[naming.TAG_LEGAL_HOLD])})"
    keepers = [keeper for tag, keeper in OTHERS.items() if tag in tags]
    return f"is managed by {keepers[0]}" if keepers else ""
