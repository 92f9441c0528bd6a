"""EC2 instances and EBS volumes: what there is, how a recovery point of them is made and removed,
and what the account shows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from watchkeeper import naming
from watchkeeper.aws.ec2 import Fleet, SnapshotRemover, Snapshots, SnapshotTaker
from watchkeeper.backups.model import Asked, Kind, Place, Resource, Service, Snapshot, Span, Target
from watchkeeper.backups.rules import found_by_source
from watchkeeper.backups.services import BySource

TAG_VALUE = 256
"""The longest value that EC2 takes for a tag."""


@dataclass(frozen=True)
class Ec2Taker:
    """Makes recovery points of instances and volumes."""

    fleet: Fleet
    taker: SnapshotTaker
    snapshots: Snapshots
    place: Place

    service = Service.EC2
    repeats_safely = False
    """CreateSnapshot knows neither a client token nor a name of ours."""

    def resources(self) -> Sequence[Resource]:
        return [*self.fleet.instances(), *self.fleet.volumes()]

    def spans(self, _arns: Iterable[str], /) -> Mapping[str, Span | None]:
        """EBS knows no point-in-time recovery."""
        return {}

    def take(self, target: Target, asked: Asked, _now: datetime, /) -> str:
        """Start a recovery point. Any error but Unclear means that none was started."""
        if target.kind is Kind.INSTANCE:
            self.taker.snapshot_instance(target, tags_of(target, asked))
        else:
            self.taker.snapshot_volume(target, tags_of(target, asked))
        return ""

    def of_run(self, asked: Asked, _targets: Sequence[Target], /) -> BySource:
        return found_by_source(self.snapshots.of_run(asked.run), self.place)

    def all(self) -> BySource:
        return found_by_source(self.snapshots.all(), self.place)


def tags_of(target: Target, asked: Asked) -> dict[str, str]:
    """The catalogue's truth, written onto the snapshot in the call that makes it."""
    tags = {
        naming.TAG_STACK: asked.stack,
        naming.TAG_RUN: asked.run,
        naming.TAG_PLAN: asked.plan,
        naming.TAG_SOURCE: target.arn,
        naming.TAG_POINT: naming.point_id(asked.run, target.arn),
        naming.TAG_WORDS: asked.words,
        naming.TAG_CONSISTENCY: asked.consistency[:TAG_VALUE],
        "Name": f"{target.name or naming.ec2_id(target.arn)} {asked.plan}"[:TAG_VALUE],
    }
    return {key: value for key, value in tags.items() if value}


@dataclass(frozen=True)
class Ec2Keeper:
    """Looks at recovery points of instances and volumes, and removes them."""

    snapshots: Snapshots
    remover: SnapshotRemover
    place: Place

    service = Service.EC2

    def all(self) -> Sequence[Snapshot]:
        return self.snapshots.all()

    def parts(self, snapshot_ids: Iterable[str]) -> Sequence[Snapshot]:
        return self.snapshots.named(snapshot_ids)

    def amount_to(self, snapshots: Iterable[Snapshot]) -> BySource:
        return found_by_source(snapshots, self.place)

    def forbidden(self, snapshots: Sequence[Snapshot]) -> Mapping[str, str]:
        locked, in_images = self.remover.locked(), self.remover.in_images()
        reasons = {
            one.id: [said[one.id] for said in (locked, in_images) if one.id in said]
            for one in snapshots
        }
        return {snapshot: " and ".join(said) for snapshot, said in reasons.items() if said}

    def shared_with(self, snapshot_id: str) -> str:
        return self.remover.shared_with(snapshot_id)

    def delete(self, snapshot_id: str) -> None:
        self.remover.delete(snapshot_id)
