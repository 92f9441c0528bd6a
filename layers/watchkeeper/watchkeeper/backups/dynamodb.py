"""DynamoDB tables: how a recovery point of one is made, and what the account shows.

Beside every backup lies a manifest in the evidence bucket: the settings that a restore loses, the
key, what some of the items were, and the words of whoever asked, for which a backup has no tags.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from watchkeeper import naming, telemetry
from watchkeeper.aws.dynamodb_backups import (
    TableBackupRemover,
    TableBackups,
    TableBackupTaker,
    Tables,
    TableSettings,
)
from watchkeeper.aws.dynamodb_samples import Looked, Measured, TableSampler
from watchkeeper.aws.errors import AwsError, NotThere, Refused
from watchkeeper.aws.objects import ManifestReader, Manifests
from watchkeeper.backups.manifest import BadManifest, Manifest, digest
from watchkeeper.backups.model import (
    Asked,
    Place,
    Resource,
    Service,
    Snapshot,
    Span,
    Target,
    Unread,
)
from watchkeeper.backups.rules import PENDING, found_by_source
from watchkeeper.backups.sample import FIRST, Sample, digests
from watchkeeper.backups.services import BySource

CLOCKS_DIFFER = timedelta(minutes=5)
"""How far DynamoDB's clock may be behind ours: AWS answers no request whose time is further off.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
"""
LATER = {
    "BackupInUseException": "another backup of it to be made",
    "ContinuousBackupsUnavailableException": "DynamoDB to allow backups of a new table",
    "LimitExceededException": "DynamoDB to finish other changes to this account's tables",
    "TableInUseException": "DynamoDB to finish creating or changing it",
}
"""Answers of CreateBackup that pass by themselves, and what has to pass."""


@dataclass(frozen=True)
class DynamoDbTaker:
    """Makes recovery points of tables; it can remove none."""

    tables: Tables
    settings: TableSettings
    taker: TableBackupTaker
    backups: TableBackups
    manifests: Manifests
    place: Place
    sampler: TableSampler

    service = Service.DYNAMODB
    repeats_safely = False

    def resources(self) -> Sequence[Resource]:
        return self.tables.tables()

    def spans(self, arns: Iterable[str]) -> Mapping[str, Span | Unread | None]:
        return self.tables.spans(arns)

    def take(self, target: Target, asked: Asked, now: datetime) -> str:
        """The manifest first: a backup without one has lost its settings, a manifest without a
        backup costs nothing.
        """
        point = naming.point_id(asked.run, target.arn)
        name = _name(asked, point)
        measured = self.sampler.measured(target.arn)
        before = self._look(target.arn)
        key, settings = self.settings.read(target.arn)
        manifest = replace(
            Manifest.about(target, asked, now, key, settings),
            sample=self._sample(target.arn, measured, before),
        )
        self.manifests.write(point, manifest.to_json())
        try:
            self.taker.take(target.arn, name)
        except Refused as error:
            if error.code not in LATER:
                raise
            return LATER[error.code]
        return ""

    def _sample(self, arn: str, measured: Measured, before: Looked | str) -> Sample:
        after = self._look(arn) if isinstance(before, Looked) else before
        if isinstance(before, str) or isinstance(after, str):
            return Sample(count=measured.count, size=measured.size, why=str(after))
        return Sample.between(
            digests(before.items, measured.keys),
            digests(after.items, measured.keys),
            is_whole=after.is_whole,
            at=after.at,
            count=measured.count,
            size=measured.size,
        )

    def _look(self, arn: str) -> Looked | str:
        """Or why it could not be looked at: a backup without a sample is better than none."""
        try:
            return self.sampler.first(arn, FIRST)
        except AwsError as error:
            return f"{error.call} answered {error.code}"

    def of_run(self, asked: Asked, targets: Sequence[Target]) -> BySource:
        wanted = {target.arn for target in targets}
        made = self.backups.made_since(asked.at - CLOCKS_DIFFER)
        return self._amount_to(
            one for one in made if one.tags[naming.TAG_RUN] == asked.run and one.volume in wanted
        )

    def all(self) -> BySource:
        return self._amount_to(self.backups.made_since(None))

    def _amount_to(self, snapshots: Iterable[Snapshot]) -> BySource:
        return found_by_source(_documented(snapshots, self.manifests), self.place)


@dataclass(frozen=True)
class DynamoDbKeeper:
    """Looks at recovery points of tables, and removes them; it can make none."""

    backups: TableBackups
    remover: TableBackupRemover
    manifests: ManifestReader
    place: Place

    service = Service.DYNAMODB

    def all(self) -> Sequence[Snapshot]:
        """Without their manifests, which cost a call each."""
        return self.backups.made_since(None)

    def parts(self, snapshot_ids: Iterable[str]) -> Sequence[Snapshot]:
        return self.remover.named(snapshot_ids)

    def amount_to(self, snapshots: Iterable[Snapshot]) -> BySource:
        return found_by_source(_documented(snapshots, self.manifests), self.place)

    def forbidden(self, snapshots: Sequence[Snapshot]) -> Mapping[str, str]:
        why = f"is not named as a recovery point of stack {self.backups.stack}"
        return {one.id: why for one in snapshots if not one.tags}

    def shared_with(self, snapshot_id: str) -> str:  # noqa: ARG002, of other kinds it matters
        """Backups cannot be shared."""
        return ""

    def delete(self, snapshot_id: str) -> None:
        self.remover.delete(snapshot_id)


def _name(asked: Asked, point: str) -> str:
    try:
        return naming.table_backup(asked.stack, asked.plan, asked.run, point)
    except ValueError as error:
        raise Refused("dynamodb:CreateBackup", "NameTooLong", str(error)) from error


def _documented(snapshots: Iterable[Snapshot], manifests: ManifestReader) -> list[Snapshot]:
    """Those of ours; of what has ended, with what only its manifest knows."""
    return [
        one if one.state in PENDING else _with_manifest(one, manifests)
        for one in snapshots
        if one.tags
    ]


def _with_manifest(snapshot: Snapshot, manifests: ManifestReader) -> Snapshot:
    """As it is if there is no manifest that can be read: it can be restored from all the same."""
    point = snapshot.tags[naming.TAG_POINT]
    try:
        document = manifests.read(point)
        manifest = Manifest.of(document)
    except NotThere:
        return snapshot
    except BadManifest as error:
        telemetry.logger.warning("manifest not read", extra={"point": point, "why": str(error)})
        return snapshot
    words = {naming.TAG_WORDS: " ".join(manifest.words)} if manifest.words else {}
    return replace(
        snapshot,
        key=manifest.key,
        manifest=digest(document),
        tags={**snapshot.tags, **words},
    )
