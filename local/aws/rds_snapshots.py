"""Snapshots of RDS instances and Aurora clusters: slow, fallible, lingering, counted, announced.

What a snapshot is (source, tags, sharing) stays in moto's backend; when things happen to it is a
`Life` kept here.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from moto.core.responses import ActionResult
from moto.rds.exceptions import (
    DBClusterNotFoundError,
    DBClusterSnapshotAlreadyExistsError,
    DBClusterSnapshotNotFoundError,
    DBInstanceNotFoundError,
    DBSnapshotAlreadyExistsError,
    DBSnapshotNotFoundFault,
    RDSClientError,
)
from moto.rds.models import (
    DBCluster,
    DBClusterSnapshot,
    DBInstanceClustered,
    DBSnapshot,
    RDSBackend,
)

from local.aws.rds_databases import (
    BACKED_UP_IN,
    Busy,
    Databases,
    Replacements,
    aware,
    check_instance,
    ignored,
    naive,
)
from local.aws.rds_limits import check_tags

# Quotas "Manual DB instance snapshots" and "Manual DB cluster snapshots", each:
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Limits.html
MANUAL_SNAPSHOTS = 100


@dataclass
class Life:
    """When things happen to one snapshot."""

    started_at: datetime
    ends_at: datetime
    visible_from: datetime
    fails: bool = False
    gone_at: datetime | None = None
    """When a deleted snapshot stops being described."""

    def state(self, now: datetime) -> str:
        if self.gone_at is not None:
            return "deleting"
        if now < self.ends_at:
            return "creating"
        return "failed" if self.fails else "available"

    def progress(self, now: datetime) -> int:
        """PercentProgress; a failed snapshot stops short of the end."""
        if now >= self.ends_at:
            return 99 if self.fails else 100
        return min(99, int((now - self.started_at) / (self.ends_at - self.started_at) * 100))

    def is_visible(self, now: datetime) -> bool:
        return now >= self.visible_from and (self.gone_at is None or now < self.gone_at)


@dataclass(frozen=True)
class Kind:
    """What differs between the snapshots of instances and those of clusters."""

    collection: str
    """Name of moto's mapping of snapshots by identifier."""
    model: type
    deleted: str
    """Name of the answer to Delete, and of the list in the answer to Describe without its `s`."""
    parameter: str
    source_type: str
    detail_type: str
    category: str
    begun: tuple[str, str]
    """Event id and message."""
    done: tuple[str, str]
    gone: tuple[str, str] | None
    bad_state: str
    missing: Callable[[str], RDSClientError]


# Messages and ids: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_Events.Messages.html
# It lists no event for a snapshot that fails, nor for a deleted snapshot of a cluster.
OF_INSTANCE = Kind(
    collection="database_snapshots",
    model=DBSnapshot,
    deleted="DBSnapshot",
    parameter="DBSnapshotIdentifier",
    source_type="SNAPSHOT",
    detail_type="RDS DB Snapshot Event",
    category="creation",
    begun=("RDS-EVENT-0040", "Creating manual snapshot"),
    done=("RDS-EVENT-0042", "Manual snapshot created"),
    gone=("RDS-EVENT-0041", "Deleted manual snapshot"),
    bad_state="InvalidDBSnapshotState",
    missing=DBSnapshotNotFoundFault,
)
OF_CLUSTER = Kind(
    collection="cluster_snapshots",
    model=DBClusterSnapshot,
    deleted="DBClusterSnapshot",
    parameter="DBClusterSnapshotIdentifier",
    source_type="CLUSTER_SNAPSHOT",
    detail_type="RDS DB Cluster Snapshot Event",
    category="backup",
    begun=("RDS-EVENT-0074", "Creating manual cluster snapshot"),
    done=("RDS-EVENT-0075", "Manual cluster snapshot created"),
    gone=None,
    bad_state="InvalidDBClusterSnapshotStateFault",
    missing=DBClusterSnapshotNotFoundError,
)


@dataclass
class Snapshots(Databases):
    """The snapshots of one account and Region, and the switches that make them unkind."""

    manual_snapshot_quota: int = MANUAL_SNAPSHOTS
    lives: dict[str, Life] = field(default_factory=dict)
    """By the ARN of the snapshot."""
    _doomed: dict[str, int] = field(default_factory=dict)

    def fail_snapshot_of(self, identifier: str, times: int = 1) -> None:
        """Let the next `times` snapshots of this instance or cluster end as `failed`."""
        arn = self._database(identifier).arn
        self._doomed[arn] = self._doomed.get(arn, 0) + times

    def record_snapshot(
        self,
        identifier: str,
        name: str,
        *,
        created_at: datetime,
        snapshot_type: str = "manual",
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Put an available snapshot of the past into the account; returns its ARN.

        The only way to snapshots and tags (`aws:…`) that only AWS's own services make, e.g. with
        the type `awsbackup`.
        """
        database = self._database(identifier)
        kind = OF_CLUSTER if isinstance(database, DBCluster) else OF_INSTANCE
        listed = [{"Key": key, "Value": value} for key, value in (tags or {}).items()]
        snapshot = self._add_snapshot(kind, database, name, snapshot_type, created_at, listed)
        return str(snapshot.arn)

    def snapshots(self) -> Replacements:
        """Attributes of moto's snapshots that depend on the time."""

        def state(snapshot: Any) -> str:
            answered: str | None = vars(snapshot).get("_answered")
            return answered or self.life_of(snapshot).state(self.now())

        def progress(snapshot: Any) -> int:
            begins = vars(snapshot).get("_answered") == "creating"
            return 0 if begins else self.life_of(snapshot).progress(self.now())

        def taken_at(snapshot: Any) -> datetime | None:
            # Absent until the snapshot is available: https://github.com/boto/boto3/issues/952
            return snapshot.created if state(snapshot) in ("available", "deleting") else None

        shared = [
            (owner, name, value)
            for owner in (DBSnapshot, DBClusterSnapshot)
            for name, value in (
                ("status", property(state, ignored)),
                ("percent_progress", property(progress, ignored)),
            )
        ]
        return [
            *shared,
            (DBSnapshot, "snapshot_create_time", property(taken_at)),
            (DBSnapshot, "original_snapshot_create_time", property(taken_at, ignored)),
        ]

    def snapshot_checks(self) -> Replacements:
        """Methods of moto that are kept and told more."""
        return [
            (RDSBackend, "SNAPSHOT_QUOTA", lambda _: property(lambda _: sys.maxsize)),
            (RDSBackend, "create_db_snapshot", self._begun_of_instance),
            (RDSBackend, "create_db_cluster_snapshot", self._begun_of_cluster),
            (RDSBackend, "describe_db_snapshots", self._seen(OF_INSTANCE)),
            (RDSBackend, "describe_db_cluster_snapshots", self._seen(OF_CLUSTER)),
            (RDSBackend, "copy_db_snapshot", self._within_quota(OF_INSTANCE)),
            (RDSBackend, "copy_db_cluster_snapshot", self._within_quota(OF_CLUSTER)),
            (RDSBackend, "restore_db_instance_from_db_snapshot", self._restored(OF_INSTANCE)),
            (RDSBackend, "restore_db_cluster_from_snapshot", self._restored(OF_CLUSTER)),
        ]

    # --- creating ---

    def create_db_snapshot(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBSnapshot.html"""
        name = response.params["DBSnapshotIdentifier"]
        response.backend.validate_db_snapshot_identifier(name, "DBSnapshotIdentifier")
        check_tags(response.params.get("Tags"))
        snapshot = response.backend.create_db_snapshot(**response.params)
        return ActionResult({"DBSnapshot": _answered(snapshot, "creating")})

    def create_db_cluster_snapshot(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBClusterSnapshot.html"""
        name = response.params["DBClusterSnapshotIdentifier"]
        response.backend.validate_db_snapshot_identifier(name, "DBClusterSnapshotIdentifier")
        check_tags(response.params.get("Tags"))
        snapshot = response.backend.create_db_cluster_snapshot(**response.params)
        return ActionResult({"DBClusterSnapshot": _answered(snapshot, "creating")})

    def _begun_of_instance(self, moto_does: Callable[..., Any]) -> Callable[..., Any]:
        """Also for the snapshots that StopDBInstance and DeleteDBInstance take."""

        def create(
            backend: Any,
            db_instance_identifier: str,
            db_snapshot_identifier: str,
            snapshot_type: str = "manual",
            **more: Any,
        ) -> Any:
            if snapshot_type == "manual":
                database = backend.databases.get(db_instance_identifier)
                if database is None:
                    raise DBInstanceNotFoundError(db_instance_identifier)
                if db_snapshot_identifier in backend.database_snapshots:
                    raise DBSnapshotAlreadyExistsError(db_snapshot_identifier)
                check_instance(database)
                self._check_key(database)
                self._check_quota(backend, OF_INSTANCE)
            snapshot = moto_does(
                backend, db_instance_identifier, db_snapshot_identifier, snapshot_type, **more
            )
            database = backend.databases[db_instance_identifier]
            _complete(snapshot, database)
            if snapshot_type == "manual":
                self._begin(OF_INSTANCE, database, snapshot)
            return snapshot

        return create

    def _begun_of_cluster(self, moto_does: Callable[..., Any]) -> Callable[..., Any]:
        def create(
            backend: Any,
            db_cluster_identifier: str,
            db_cluster_snapshot_identifier: str,
            snapshot_type: str = "manual",
            tags: list[dict[str, str]] | None = None,
        ) -> Any:
            if snapshot_type == "manual":
                cluster = backend.clusters.get(db_cluster_identifier)
                if cluster is None:
                    raise DBClusterNotFoundError(db_cluster_identifier)
                if db_cluster_snapshot_identifier in backend.cluster_snapshots:
                    raise DBClusterSnapshotAlreadyExistsError(db_cluster_snapshot_identifier)
                if cluster.status not in BACKED_UP_IN:
                    raise RDSClientError(
                        "InvalidDBClusterStateFault",
                        f"Can't create a snapshot because the database cluster "
                        f"{db_cluster_identifier} isn't currently in the available state.",
                    )
                self._check_key(cluster)
                self._check_quota(backend, OF_CLUSTER)
            snapshot = moto_does(
                backend, db_cluster_identifier, db_cluster_snapshot_identifier, snapshot_type, tags
            )
            cluster = backend.clusters[db_cluster_identifier]
            _complete(snapshot, cluster)
            if snapshot_type == "manual":
                self._begin(OF_CLUSTER, cluster, snapshot)
            return snapshot

        return create

    def _check_quota(self, backend: Any, kind: Kind) -> None:
        taken = getattr(backend, kind.collection).values()
        most = self.manual_snapshot_quota
        if sum(one.snapshot_type == "manual" for one in taken) >= most:
            raise RDSClientError(
                "SnapshotQuotaExceeded", f"Cannot create more than {most} manual snapshots"
            )

    def _begin(self, kind: Kind, database: Any, snapshot: Any) -> None:
        now, pace = self.now(), self.cloud.pace
        snapshot.created = naive(now)
        doomed = self._doomed.get(database.arn, 0)
        self._doomed[database.arn] = max(0, doomed - 1)
        life = Life(
            started_at=now,
            ends_at=now + pace.db_snapshot_duration(snapshot.resource_id),
            visible_from=now + pace.hidden_for,
            fails=doomed > 0,
        )
        self.lives[snapshot.arn] = life
        self._busy[database.arn] = Busy("backing-up", life.ends_at)
        self._send(kind.detail_type, kind.source_type, snapshot, kind.category, kind.begun)

        def end() -> None:
            if not life.fails and self.lives.get(snapshot.arn) is life:
                self._send(kind.detail_type, kind.source_type, snapshot, kind.category, kind.done)

        self.cloud.clock.at(life.ends_at, end, f"{snapshot.arn} ends")

    def _keep_automated(self, backend: Any) -> None:
        """Take the automated snapshots that were due, and drop those whose time is over."""
        sources: list[tuple[Kind, Any]] = [
            (OF_INSTANCE, one)
            for one in backend.databases.values()
            if not isinstance(one, DBInstanceClustered)
        ]
        sources += [(OF_CLUSTER, one) for one in backend.clusters.values()]
        for kind, database in sources:
            until = self._stopped_at.get(database.arn, self.now())
            since = until - timedelta(days=int(database.backup_retention_period))
            taken = getattr(backend, kind.collection)
            mine = f"rds:{database.resource_id}-"
            for name, one in list(taken.items()):
                automated = one.snapshot_type == "automated" and name.startswith(mine)
                if automated and aware(one.created) <= since:
                    self.lives.pop(taken.pop(name).arn, None)
            done = self.now() - self.cloud.pace.window_backup_takes
            for start in self._window_starts(database, since, done):
                name = f"{mine}{start:%Y-%m-%d-%H-%M}"
                if name not in taken:
                    self._add_snapshot(kind, database, name, "automated", start)

    def _add_snapshot(
        self,
        kind: Kind,
        database: Any,
        name: str,
        snapshot_type: str,
        created_at: datetime,
        tags: list[dict[str, str]] | None = None,
    ) -> Any:
        snapshot = kind.model(database.backend, database, name, snapshot_type, tags)
        snapshot.created = naive(created_at)
        _complete(snapshot, database)
        getattr(database.backend, kind.collection)[name] = snapshot
        return snapshot

    # --- reading ---

    def life_of(self, snapshot: Any) -> Life:
        """A snapshot's life; what moto makes by itself (a copy) is available at once."""
        life = self.lives.get(snapshot.arn)
        if life is None:
            at = aware(snapshot.created)
            life = self.lives[snapshot.arn] = Life(at, at, at)
        return life

    def _seen(self, kind: Kind) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def wrapped(moto_does: Callable[..., Any]) -> Callable[..., Any]:
            def describe(backend: Any, *given: Any, **named: Any) -> list[Any]:
                self._keep_automated(backend)
                found = moto_does(backend, *given, **named)
                now = self.now()
                seen = [one for one in found if self.life_of(one).is_visible(now)]
                asked = named.get("db_snapshot_identifier") or (given[1] if given[1:] else None)
                if asked and found and not seen:
                    raise kind.missing(asked)
                return seen

            return describe

        return wrapped

    # --- copying, restoring, deleting ---

    def _within_quota(self, kind: Kind) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def wrapped(moto_does: Callable[..., Any]) -> Callable[..., Any]:
            def copied(backend: Any, *given: Any, **named: Any) -> Any:
                self._check_quota(backend, kind)
                return moto_does(backend, *given, **named)

            return copied

        return wrapped

    def _restored(self, kind: Kind) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def wrapped(moto_does: Callable[..., Any]) -> Callable[..., Any]:
            def restore(backend: Any, from_snapshot_id: str, overrides: dict[str, Any]) -> Any:
                snapshot = getattr(backend, kind.collection).get(from_snapshot_id)
                if snapshot is not None and snapshot.status != "available":
                    raise RDSClientError(
                        kind.bad_state, f"The snapshot {from_snapshot_id} is {snapshot.status}."
                    )
                return moto_does(backend, from_snapshot_id, overrides)

            return restore

        return wrapped

    def delete_db_snapshot(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DeleteDBSnapshot.html"""
        return self._delete(response, OF_INSTANCE)

    def delete_db_cluster_snapshot(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DeleteDBClusterSnapshot.html"""
        return self._delete(response, OF_CLUSTER)

    def _delete(self, response: Any, kind: Kind) -> ActionResult:
        backend, now = response.backend, self.now()
        name = response.params[kind.parameter]
        snapshot = getattr(backend, kind.collection).get(name)
        if snapshot is None or not self.life_of(snapshot).is_visible(now):
            raise kind.missing(name)
        if snapshot.snapshot_type != "manual":
            raise RDSClientError(kind.bad_state, "Only manual snapshots may be deleted.")
        # The API reference says "available"; those that failed can be deleted, too.
        life = self.life_of(snapshot)
        if life.state(now) not in ("available", "failed"):
            raise RDSClientError(
                kind.bad_state,
                f"Cannot delete the snapshot because it is not currently in the available or "
                f"failed state: {name} is {life.state(now)}.",
            )
        life.gone_at = now + self.cloud.pace.deletion_takes
        if life.gone_at == now:
            self._forget(backend, kind, snapshot)
        else:
            self.cloud.clock.at(
                life.gone_at,
                lambda: self._forget(backend, kind, snapshot),
                f"{snapshot.arn} is no longer described",
            )
        return ActionResult({kind.deleted: _answered(snapshot, "deleted")})

    def _forget(self, backend: Any, kind: Kind, snapshot: Any) -> None:
        getattr(backend, kind.collection).pop(snapshot.resource_id, None)
        self.lives.pop(snapshot.arn, None)
        if kind.gone:
            self._send(kind.detail_type, kind.source_type, snapshot, "deletion", kind.gone)


def _complete(snapshot: Any, database: Any) -> None:
    """What DescribeDBSnapshots shows of the source, and moto does not."""
    for name in (
        "availability_zone",
        "availability_zones",
        "backup_retention_period",
        "db_cluster_resource_id",
        "engine_mode",
        "license_model",
        "preferred_backup_window",
        "storage_type",
    ):
        if hasattr(database, name):
            setattr(snapshot, name, getattr(database, name))
    if not isinstance(database, DBCluster):
        snapshot.option_group_name = database.option_group_name


def _answered(snapshot: Any, state: str) -> Any:
    """The snapshot as a call answers it: the state that the call began, however fast it ends."""
    shown = copy.copy(snapshot)
    vars(shown)["_answered"] = state
    return shown
