"""RDS instances and clusters: when and how a recovery point of them is made and removed, and what
the account shows.

Beside every snapshot lies a manifest in the evidence bucket: the settings that a restore loses.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from watchkeeper import naming, telemetry
from watchkeeper.aws.errors import AlreadyThere, NotThere, Refused
from watchkeeper.aws.objects import ManifestReader, Manifests
from watchkeeper.aws.rds import (
    Databases,
    DatabaseSnapshotRemover,
    DatabaseSnapshots,
    DatabaseSnapshotTaker,
)
from watchkeeper.backups.manifest import Manifest, digest
from watchkeeper.backups.model import Asked, Kind, Place, Resource, Service, Snapshot, Span, Target
from watchkeeper.backups.rules import DELETING, PENDING, found_by_source
from watchkeeper.backups.services import BySource
from watchkeeper.backups.windows import closed, unreadable
from watchkeeper.quoting import quoted

READY = frozenset({"available", "storage-optimization"})
"""The states that RDS takes a snapshot in. Every other, `stopped` too, may pass:
https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBSnapshot.html
"""
LATER = frozenset({"InvalidDBInstanceState", "InvalidDBClusterStateFault"})
"""What RDS answers if that state has passed since we looked."""
UNDELETABLE = frozenset({"InvalidDBSnapshotState", "InvalidDBClusterSnapshotStateFault"})
PATIENCE = timedelta(hours=2, minutes=30)
"""How long windows are waited out: a recovery point taken in one beats a night without. It leaves
a quarter of an hour before a shard gives up.
"""
MOST_TAGS = 50
"""https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_Tagging.html"""
TAG_VALUE = 256
"""The longest value that RDS takes for a tag."""
NOT_COPIED = ("aws:", "rds:", "watchkeeper:")
"""What begins like this is AWS's, or says whose a snapshot is."""


@dataclass(frozen=True)
class RdsTaker:
    """Makes recovery points of databases and clusters; it can remove none."""

    databases: Databases
    snapshots: DatabaseSnapshots
    taker: DatabaseSnapshotTaker
    manifests: Manifests
    place: Place

    service = Service.RDS
    repeats_safely = True
    """We choose the names of the snapshots."""

    def resources(self) -> Sequence[Resource]:
        return [*self.databases.instances(), *self.databases.clusters()]

    def spans(self, arns: Iterable[str]) -> Mapping[str, Span | None]:
        return self.databases.spans(arns)

    def take(self, target: Target, asked: Asked, now: datetime) -> str:
        """The manifest first: a snapshot without one has lost its settings, a manifest without a
        snapshot costs nothing.
        """
        point = naming.point_id(asked.run, target.arn)
        name = naming.database_snapshot(asked.stack, point)
        try:
            database = self.databases.one(target.arn)
        except NotThere:
            if self.snapshots.has(target.kind, name):  # made just before it went
                return ""
            raise
        if database.state not in READY:
            # An attempt whose answer was lost may be what it is busy with.
            made = self.snapshots.has(target.kind, name)
            return "" if made else f"it is {quoted(database.state)}"
        if waits_for := _closed(database, asked, now):
            return waits_for
        manifest = Manifest.about(target, asked, now, database.key, database.settings)
        self.manifests.write(point, manifest.to_json())
        return self._snapshot(target, name, tags_of(database, target, asked))

    def _snapshot(self, target: Target, name: str, tags: Mapping[str, str]) -> str:
        is_cluster = target.kind is Kind.CLUSTER
        snapshot = self.taker.snapshot_cluster if is_cluster else self.taker.snapshot_instance
        try:
            snapshot(naming.rds_name(target.arn), name, tags)
        except AlreadyThere:
            return ""  # by an earlier attempt: nobody else gives this name
        except Refused as error:
            if error.code not in LATER:
                raise
            return f"RDS takes no snapshot of it as it is now: {quoted(error.message)}"
        return ""

    def of_run(self, asked: Asked, targets: Sequence[Target]) -> BySource:
        kinds = sorted({target.kind for target in targets})
        made = self.snapshots.of_run(asked.run, kinds)
        return found_by_source(_documented(made, self.manifests), self.place)

    def all(self) -> BySource:
        return found_by_source(
            _documented(_staying(self.snapshots.all()), self.manifests), self.place
        )


@dataclass(frozen=True)
class RdsKeeper:
    """Looks at recovery points of databases and clusters, and removes them; it can make none."""

    snapshots: DatabaseSnapshots
    remover: DatabaseSnapshotRemover
    manifests: ManifestReader
    place: Place

    service = Service.RDS

    def all(self) -> Sequence[Snapshot]:
        """Without their manifests, which cost a call each."""
        return self.snapshots.all()

    def parts(self, snapshot_ids: Iterable[str]) -> Sequence[Snapshot]:
        return self.snapshots.named(snapshot_ids)

    def amount_to(self, snapshots: Iterable[Snapshot]) -> BySource:
        return found_by_source(_documented(_staying(snapshots), self.manifests), self.place)

    def forbidden(self, snapshots: Sequence[Snapshot]) -> Mapping[str, str]:
        """RDS knows no locks, and deletes nothing that it is still making."""
        return {one.id: "is still being made" for one in snapshots if one.state in PENDING}

    def shared_with(self, snapshot_id: str) -> str:
        return self.remover.shared_with(snapshot_id)

    def delete(self, snapshot_id: str) -> None:
        """Asking twice is no error: RDS refuses, and shows it for minutes, while it deletes."""
        try:
            self.remover.delete(snapshot_id)
        except Refused as error:
            shown = self.snapshots.named([snapshot_id]) if error.code in UNDELETABLE else []
            if not any(one.state == DELETING for one in shown):
                raise


def tags_of(database: Resource, target: Target, asked: Asked) -> dict[str, str]:
    """The catalogue's truth, written onto the snapshot in the call that makes it; after it as many
    of the database's own tags as there is room for.
    """
    ours = {
        naming.TAG_STACK: asked.stack,
        naming.TAG_RUN: naming.rds_value(asked.run),
        naming.TAG_PLAN: asked.plan,
        naming.TAG_SOURCE: target.arn,
        naming.TAG_POINT: naming.point_id(asked.run, target.arn),
        naming.TAG_ASKED_AT: naming.instant(asked.at),
        naming.TAG_WORDS: asked.words,
        "Name": f"{target.name} {asked.plan}"[:TAG_VALUE],
    }
    ours = {key: value for key, value in ours.items() if value}
    copied = [
        (key, value)
        for key, value in sorted(database.tags.items())
        if key not in ours and not key.startswith(NOT_COPIED)
    ]
    return ours | dict(copied[: MOST_TAGS - len(ours)])


def _closed(database: Resource, asked: Asked, now: datetime) -> str:
    """The window to be waited out; empty if there is none, or no time left to."""
    if database.windows is None or now >= asked.at + PATIENCE:
        return ""
    if unread := unreadable(database.windows):
        about = {"database": database.arn, "windows": [quoted(one) for one in unread]}
        telemetry.logger.warning("windows not read, and so not waited out", extra=about)
    found = closed(database.windows, now)
    return f"{found.why}, until {found.until:%a %H:%M} UTC" if found else ""


def _staying(snapshots: Iterable[Snapshot]) -> list[Snapshot]:
    """What is being deleted is no recovery point any more, though RDS shows it a while longer."""
    return [one for one in snapshots if one.state != DELETING]


def _documented(snapshots: Iterable[Snapshot], manifests: ManifestReader) -> list[Snapshot]:
    """With the digests of the manifests of those that have ended; a call each."""
    return [
        one if one.state in PENDING else replace(one, manifest=_digest(one, manifests))
        for one in snapshots
    ]


def _digest(snapshot: Snapshot, manifests: ManifestReader) -> str:
    # The name says it, too, and nobody can take that off.
    point = naming.point_of_snapshot(naming.rds_name(snapshot.id))
    try:
        return digest(manifests.read(point))
    except NotThere:
        return ""
