"""RDS and Aurora as AWS documents them for backups, where moto is done at once.

`install(cloud)` patches moto's classes until `cloud.stack` closes. What it adds:

- snapshots that take their time, fail, stay hidden at first and linger when deleted;
- databases that can be backed up only when `available`: not stopped, not in maintenance, not
  while they are being backed up, not without their key, and not as members of a cluster;
- the limit of manual snapshots, paging, the daily automated backups and the span of time that
  can be restored from them;
- the events that AWS sends.
"""

from __future__ import annotations

import base64
import binascii
import copy
import hashlib
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.core.responses import ActionResult
from moto.kms.models import KmsBackend, kms_backends
from moto.rds.exceptions import (
    DBClusterNotFoundError,
    DBClusterSnapshotAlreadyExistsError,
    DBClusterSnapshotNotFoundError,
    DBInstanceNotFoundError,
    DBSnapshotAlreadyExistsError,
    DBSnapshotNotFoundFault,
    KMSKeyNotAccessibleFault,
    RDSClientError,
)
from moto.rds.models import (
    DBCluster,
    DBClusterSnapshot,
    DBInstance,
    DBInstanceClustered,
    DBSnapshot,
    RDSBackend,
    rds_backends,
)
from moto.rds.responses import RDSResponse

from local.aws.ebs import Box, stamp
from local.aws.ec2 import Host
from local.replacing import replace

# Quotas "Manual DB instance snapshots" and "Manual DB cluster snapshots", each:
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Limits.html
MANUAL_SNAPSHOTS = 100

# "Constraints: Minimum 20, maximum 100", "Default: 100": the Describe pages of the API reference.
LEAST_RECORDS = 20
MOST_RECORDS = 100

# "The source DB instance must be in the available or storage-optimization state":
# https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBSnapshot.html
BACKED_UP_IN = frozenset({"available", "storage-optimization"})

# "RDS uploads transaction logs for DB instances to Amazon S3 every five minutes":
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_PIT.html
RESTORABLE_LAG = timedelta(minutes=5)

# "You can stop a DB instance for up to seven days":
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_StopInstance.html
STOPPED_FOR = timedelta(days=7)

# A database that lost its key can be brought back for seven days, then only from a backup:
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Overview.Encryption.html
RECOVERABLE_FOR = timedelta(days=7)

# moto's word for "encrypted with the key that AWS manages for RDS", and KMS's for that key.
MOTO_DEFAULT_KEY = "default_kms_key_id"
DEFAULT_KEY = "alias/aws/rds"


def install(cloud: Box) -> Rds:
    """Make moto's RDS behave like this until `cloud.stack` closes; returns the switches."""
    rds = Rds(cloud)
    for owner, name, value in (*rds.operations(), *rds.databases(), *rds.snapshots()):
        replace(cloud.stack, owner, name, value)
    for owner, name, wrapped in rds.checks():
        replace(cloud.stack, owner, name, wrapped(getattr(owner, name)))
    return rds


def installed_in(cloud: Host) -> Rds:
    """The switches of a box's RDS, e.g. `installed_in(cloud).fail_snapshot_of("orders")`."""
    rds: Rds = cloud.extensions[__name__]
    return rds


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
class Busy:
    """A state that a database is in until then, by itself or because of a snapshot."""

    status: str
    until: datetime


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
class Rds:
    """What the installed RDS remembers, and its switches."""

    cloud: Box
    manual_snapshot_quota: int = MANUAL_SNAPSHOTS
    lives: dict[str, Life] = field(default_factory=dict)
    """By the ARN of the snapshot."""
    _busy: dict[str, Busy] = field(default_factory=dict)
    _doomed: dict[str, int] = field(default_factory=dict)
    _stopped_at: dict[str, datetime] = field(default_factory=dict)
    _lost_keys: dict[str, datetime] = field(default_factory=dict)
    """When RDS notices that a key was disabled, by the ARN of the key."""

    # --- switches ---

    def fail_snapshot_of(self, identifier: str, times: int = 1) -> None:
        """Let the next `times` snapshots of this instance or cluster end as `failed`."""
        arn = self._database(identifier).arn
        self._doomed[arn] = self._doomed.get(arn, 0) + times

    def make_busy(self, identifier: str, status: str, duration: timedelta) -> None:
        """Put an instance or cluster into a state, e.g. `maintenance`, for that long."""
        self._busy[self._database(identifier).arn] = Busy(status, self.now() + duration)

    def backdate(self, identifier: str, created_at: datetime) -> None:
        """Let an instance or cluster exist since then, with the automated backups it would have."""
        database = self._database(identifier)
        database.created = _naive(created_at)
        moto_name = "cluster" if isinstance(database, DBCluster) else "instance"
        setattr(database, f"{moto_name}_create_time", database.created)

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

    # --- what is replaced ---

    @property
    def backend(self) -> Any:
        """Moto's RDS of this account and Region."""
        return rds_backends[self.cloud.account_id][self.cloud.region]

    def now(self) -> datetime:
        """Simulated now, in the whole milliseconds that RDS answers with."""
        now = self.cloud.clock.now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def operations(self) -> list[tuple[object, str, object]]:
        """API operations that this file answers itself."""
        return [
            (RDSResponse, name, _as_method(handler))
            for name, handler in {
                "create_db_snapshot": self.create_db_snapshot,
                "create_db_cluster_snapshot": self.create_db_cluster_snapshot,
                "delete_db_snapshot": self.delete_db_snapshot,
                "delete_db_cluster_snapshot": self.delete_db_cluster_snapshot,
                "describe_db_snapshots": self.describe_db_snapshots,
                "describe_db_cluster_snapshots": self.describe_db_cluster_snapshots,
                "describe_db_instances": self.describe_db_instances,
                "describe_db_clusters": self.describe_db_clusters,
                "describe_db_instance_automated_backups": self.describe_automated_backups,
            }.items()
        ]

    def databases(self) -> list[tuple[object, str, object]]:
        """Attributes of moto's instances and clusters that depend on the time."""
        return [
            (DBInstance, "status", _kept("status", self.status_of)),
            (DBInstance, "latest_restorable_time", property(self._latest_restorable)),
            (DBInstance, "automatic_restart_time", property(self._restarts_at)),
            (DBInstance, "dbi_resource_id", property(_resource_id, _set_resource_id)),
            (DBCluster, "status", _kept("status", self.status_of, then={"creating": "available"})),
            (DBCluster, "latest_restorable_time", property(self._latest_restorable)),
            (DBCluster, "earliest_restorable_time", property(self._earliest_restorable, _ignored)),
            (DBCluster, "kms_key_id", _kept("kms_key_id", self._shown_key)),
        ]

    def snapshots(self) -> list[tuple[object, str, object]]:
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
                ("status", property(state, _ignored)),
                ("percent_progress", property(progress, _ignored)),
            )
        ]
        return [
            *shared,
            (DBSnapshot, "snapshot_create_time", property(taken_at)),
            (DBSnapshot, "original_snapshot_create_time", property(taken_at, _ignored)),
        ]

    def checks(self) -> list[tuple[type, str, Callable[[Any], Any]]]:
        """Methods of moto that are kept and told more: (class, name, what wraps it)."""
        return [
            (RDSBackend, "SNAPSHOT_QUOTA", lambda _: property(lambda _: sys.maxsize)),
            (RDSBackend, "create_db_instance", self._with_key),
            (RDSBackend, "create_db_cluster", self._with_key),
            (RDSBackend, "create_db_instance_read_replica", self._as_replica),
            (RDSBackend, "create_db_snapshot", self._begun_of_instance),
            (RDSBackend, "create_db_cluster_snapshot", self._begun_of_cluster),
            (RDSBackend, "describe_db_snapshots", self._seen(OF_INSTANCE)),
            (RDSBackend, "describe_db_cluster_snapshots", self._seen(OF_CLUSTER)),
            (RDSBackend, "copy_db_snapshot", self._within_quota(OF_INSTANCE)),
            (RDSBackend, "copy_db_cluster_snapshot", self._within_quota(OF_CLUSTER)),
            (RDSBackend, "restore_db_instance_from_db_snapshot", self._restored(OF_INSTANCE)),
            (RDSBackend, "restore_db_cluster_from_snapshot", self._restored(OF_CLUSTER)),
            (RDSBackend, "stop_db_instance", self._remembered_stop),
            (KmsBackend, "disable_key", self._noticed),
            (KmsBackend, "schedule_key_deletion", self._noticed),
        ]

    # --- databases ---

    def _database(self, identifier: str) -> Any:
        backend = self.backend
        found = backend.databases.get(identifier) or backend.clusters.get(identifier)
        if found is None:
            raise LookupError(f"no DB instance or cluster {identifier!r} in {self.cloud.region}")
        return found

    def status_of(self, database: Any, kept: str) -> str:
        """DBInstanceStatus, or Status of a cluster.

        https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/accessing-monitoring.html
        """
        if kept != "available":
            return kept
        now = self.now()
        noticed_at = self._key_lost_at(database)
        if noticed_at is not None and now >= noticed_at:
            recoverable = now < noticed_at + RECOVERABLE_FOR
            return "inaccessible-encryption-credentials" + ("-recoverable" if recoverable else "")
        busy = self._busy.get(database.arn)
        if busy is not None and now < busy.until:
            return busy.status
        return "backing-up" if self._in_backup_window(database, now) else kept

    def _in_backup_window(self, database: Any, now: datetime) -> bool:
        if isinstance(database, DBInstanceClustered | DBCluster):
            return False  # Aurora backs up all the time, and no window interrupts it
        begun = self._window_starts(database, now - timedelta(days=1), now)
        return any(now < one + self.cloud.pace.window_backup_takes for one in begun)

    def _window_starts(self, database: Any, after: datetime, until: datetime) -> list[datetime]:
        """When automated backups of this instance or cluster began, in (after, until]."""
        if not database.backup_retention_period:
            return []
        hour, minute = map(int, database.preferred_backup_window.split("-")[0].split(":"))
        stopped_at = self._stopped_at.get(database.arn, until)
        after = max(after, _aware(database.created))
        first = after.replace(hour=hour, minute=minute, second=0, microsecond=0)
        days = range((until - after) // timedelta(days=1) + 2)
        starts = [first + timedelta(days=day) for day in days]
        return [one for one in starts if after < one <= min(until, stopped_at)]

    def _key_lost_at(self, database: Any) -> datetime | None:
        """When RDS notices that the key of a database cannot be used; None while it can."""
        key_id = database.kms_key_id
        if not key_id or key_id == MOTO_DEFAULT_KEY:
            return None
        keys = kms_backends[self.cloud.account_id][self.cloud.region]
        try:
            key = keys.describe_key(key_id)
        except KeyError:
            return _aware(database.created)
        if key.key_state == "Enabled":
            return None
        return self._lost_keys.get(key.arn, _aware(database.created))

    def _noticed(self, moto_does: Callable[..., Any]) -> Callable[..., Any]:
        def lose_key(backend: Any, key_id: str, *more: Any, **named: Any) -> Any:
            answer = moto_does(backend, key_id, *more, **named)
            delay = self.cloud.pace.lost_key_noticed_after
            self._lost_keys.setdefault(backend.keys[key_id].arn, self.now() + delay)
            return answer

        return lose_key

    def _with_key(self, moto_does: Callable[..., Any]) -> Callable[..., Any]:
        """A new database is encrypted with a key that exists and is enabled, named by its ARN."""

        def create(backend: Any, db_kwargs: dict[str, Any]) -> Any:
            if db_kwargs.get("storage_encrypted"):
                given = db_kwargs.get("kms_key_id")
                key = DEFAULT_KEY if given in (None, MOTO_DEFAULT_KEY) else given
                db_kwargs["kms_key_id"] = arn = backend._validate_kms_key(key)
                if backend.kms.describe_key(arn).key_state != "Enabled":
                    raise KMSKeyNotAccessibleFault(key)
            return moto_does(backend, db_kwargs)

        return create

    def _shown_key(self, _: Any, kept: str) -> str | None:
        """Moto shows the default key even for a cluster that is not encrypted."""
        return None if kept == MOTO_DEFAULT_KEY else kept

    def _as_replica(self, moto_does: Callable[..., Any]) -> Callable[..., Any]:
        """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBInstanceReadReplica.html

        Moto copies the source with its age, its tags and its backups.
        """

        def create(backend: Any, db_kwargs: dict[str, Any]) -> Any:
            source = backend.find_db_from_id(db_kwargs["source_db_instance_identifier"])
            if not source.backup_retention_period:
                raise RDSClientError(
                    "InvalidDBInstanceState",
                    "Automated backups are not enabled for this database instance. To enable "
                    "automated backups, use ModifyDBInstance to set the backup retention period "
                    "to a non-zero value.",
                )
            replica = moto_does(backend, db_kwargs)
            replica.tags = db_kwargs.get("tags") or []
            replica.created = replica.instance_create_time = _naive(self.now())
            # "RDS creates read replicas with backups disabled."
            replica.backup_retention_period = 0
            replica.dbi_resource_id = None
            return replica

        return create

    def _remembered_stop(self, moto_does: Callable[..., Any]) -> Callable[..., Any]:
        def stop(backend: Any, *given: Any, **named: Any) -> Any:
            database = moto_does(backend, *given, **named)
            stopped_at = self._stopped_at[database.arn] = self.now()
            self.cloud.clock.at(
                stopped_at + STOPPED_FOR,
                lambda: self._restart(database, stopped_at),
                f"{database.arn} has been stopped for seven days",
            )
            return database

        return stop

    def _restart(self, database: Any, stopped_at: datetime) -> None:
        unchanged = self._stopped_at.get(database.arn) == stopped_at
        if not unchanged or database.status != "stopped":
            return
        database.status = "available"
        del self._stopped_at[database.arn]
        self._send(
            "RDS DB Instance Event",
            "DB_INSTANCE",
            database,
            "notification",
            (
                "RDS-EVENT-0154",
                (
                    "DB instance is being started due to it exceeding the maximum allowed time "
                    "being stopped"
                ),
            ),
        )

    def _restarts_at(self, database: Any) -> datetime | None:
        """AutomaticRestartTime of a stopped instance."""
        if database.status != "stopped" or database.arn not in self._stopped_at:
            return None
        return self._stopped_at[database.arn] + STOPPED_FOR

    # --- point in time ---

    def _latest_restorable(self, database: Any) -> datetime | None:
        """LatestRestorableTime: none of a member of a cluster, nor before there is a backup."""
        if isinstance(database, DBInstanceClustered) or not database.backup_retention_period:
            return None
        stopped = database.status == "stopped"
        until = self._stopped_at.get(database.arn, self.now()) if stopped else self.now()
        latest = until - RESTORABLE_LAG
        return latest if latest >= _aware(database.created) else None

    def _earliest_restorable(self, database: Any) -> datetime | None:
        latest = self._latest_restorable(database)
        if latest is None:
            return None
        oldest = latest + RESTORABLE_LAG - timedelta(days=int(database.backup_retention_period))
        return max(oldest, _aware(database.created))

    def describe_automated_backups(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBInstanceAutomatedBackups.html"""
        asked = response.params.get("DBInstanceIdentifier")
        resource_id = response.params.get("DbiResourceId")
        found = [
            one
            for one in response.backend.databases.values()
            if one.backup_retention_period
            and not isinstance(one, DBInstanceClustered)
            and asked in (None, one.db_instance_identifier)
            and resource_id in (None, one.dbi_resource_id)
        ]
        if not found and (asked or resource_id):
            raise RDSClientError(
                "DBInstanceAutomatedBackupNotFound",
                f"Automated backup of DB instance {asked or resource_id} not found.",
            )
        page, marker = _page(response, found)
        shown = [self._automated_backup(one) for one in page]
        return ActionResult({"DBInstanceAutomatedBackups": shown, "Marker": marker})

    def _automated_backup(self, database: Any) -> dict[str, Any]:
        suffix = _digest(f"ab-{database.arn}-{database.dbi_resource_id}").lower()
        arn = f"arn:aws:rds:{database.region}:{database.account_id}:auto-backup:ab-{suffix}"
        return {
            "DBInstanceArn": database.arn,
            "DbiResourceId": database.dbi_resource_id,
            "Region": database.region,
            "DBInstanceIdentifier": database.db_instance_identifier,
            "RestoreWindow": {
                "EarliestTime": self._earliest_restorable(database),
                "LatestTime": self._latest_restorable(database),
            },
            "AllocatedStorage": database.allocated_storage,
            "Status": "active" if self._latest_restorable(database) else "creating",
            "Port": database.port,
            "AvailabilityZone": database.availability_zone,
            "InstanceCreateTime": database.created,
            "MasterUsername": database.master_username,
            "Engine": database.engine,
            "EngineVersion": database.engine_version,
            "LicenseModel": database.license_model,
            "OptionGroupName": database.option_group_name,
            "Encrypted": database.storage_encrypted,
            "StorageType": database.storage_type,
            "KmsKeyId": database.kms_key_id,
            "BackupRetentionPeriod": database.backup_retention_period,
            "PreferredBackupWindow": database.preferred_backup_window,
            "DBInstanceAutomatedBackupsArn": arn,
            "BackupTarget": "region",
        }

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
                if automated and _aware(one.created) <= since:
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
        snapshot.created = _naive(created_at)
        _complete(snapshot, database)
        getattr(database.backend, kind.collection)[name] = snapshot
        return snapshot

    # --- snapshots: creating ---

    def create_db_snapshot(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBSnapshot.html"""
        name = response.params["DBSnapshotIdentifier"]
        response.backend.validate_db_snapshot_identifier(name, "DBSnapshotIdentifier")
        snapshot = response.backend.create_db_snapshot(**response.params)
        return ActionResult({"DBSnapshot": _answered(snapshot, "creating")})

    def create_db_cluster_snapshot(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBClusterSnapshot.html"""
        name = response.params["DBClusterSnapshotIdentifier"]
        response.backend.validate_db_snapshot_identifier(name, "DBClusterSnapshotIdentifier")
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
                _check_instance(database)
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

    def _check_key(self, database: Any) -> None:
        """The key was lost, and RDS shows the database as `available` all the same."""
        if self._key_lost_at(database) is not None:
            raise KMSKeyNotAccessibleFault(database.kms_key_id)

    def _check_quota(self, backend: Any, kind: Kind) -> None:
        taken = getattr(backend, kind.collection).values()
        most = self.manual_snapshot_quota
        if sum(one.snapshot_type == "manual" for one in taken) >= most:
            raise RDSClientError(
                "SnapshotQuotaExceeded", f"Cannot create more than {most} manual snapshots"
            )

    def _begin(self, kind: Kind, database: Any, snapshot: Any) -> None:
        now, pace = self.now(), self.cloud.pace
        snapshot.created = _naive(now)
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

    # --- snapshots: reading ---

    def life_of(self, snapshot: Any) -> Life:
        """A snapshot's life; what moto makes by itself (a copy) is available at once."""
        life = self.lives.get(snapshot.arn)
        if life is None:
            at = _aware(snapshot.created)
            life = self.lives[snapshot.arn] = Life(at, at, at)
        return life

    def _seen(self, kind: Kind) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def wrapped(moto_does: Callable[..., Any]) -> Callable[..., Any]:
            def describe(
                backend: Any,
                source: str | None,
                db_snapshot_identifier: str | None = None,
                snapshot_type: str | None = None,
                filters: Any = None,
            ) -> list[Any]:
                self._keep_automated(backend)
                given = {} if filters is None else filters
                found = moto_does(backend, source, db_snapshot_identifier, snapshot_type, given)
                now = self.now()
                seen = [one for one in found if self.life_of(one).is_visible(now)]
                if db_snapshot_identifier and found and not seen:
                    raise kind.missing(db_snapshot_identifier)
                return seen

            return describe

        return wrapped

    def describe_db_snapshots(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBSnapshots.html"""
        filters = _filters(response)
        if resource_id := response.params.get("DbiResourceId"):
            filters.setdefault("dbi-resource-id", []).append(resource_id)
        found = response.backend.describe_db_snapshots(
            response.params.get("DBInstanceIdentifier"),
            response.params.get("DBSnapshotIdentifier"),
            response.params.get("SnapshotType"),
            filters,
        )
        page, marker = _page(response, found)
        return ActionResult({"DBSnapshots": page, "Marker": marker})

    def describe_db_cluster_snapshots(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBClusterSnapshots.html"""
        found = response.backend.describe_db_cluster_snapshots(
            response.params.get("DBClusterIdentifier"),
            response.params.get("DBClusterSnapshotIdentifier"),
            response.params.get("SnapshotType"),
            _filters(response),
        )
        page, marker = _page(response, found)
        return ActionResult({"DBClusterSnapshots": page, "Marker": marker})

    def describe_db_instances(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBInstances.html"""
        found = response.backend.describe_db_instances(
            response.params.get("DBInstanceIdentifier"), _filters(response)
        )
        page, marker = _page(response, found)
        return ActionResult({"DBInstances": page, "Marker": marker})

    def describe_db_clusters(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBClusters.html"""
        found = response.backend.describe_db_clusters(
            response.params.get("DBClusterIdentifier"), _filters(response)
        )
        page, marker = _page(response, found)
        return ActionResult({"DBClusters": page, "Marker": marker})

    # --- snapshots: copying, restoring, deleting ---

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

    # --- events ---

    def _send(
        self,
        detail_type: str,
        source_type: str,
        resource: Any,
        category: str,
        what: tuple[str, str],
    ) -> None:
        """https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-cloudwatch-events.sample.html"""
        now = self.now()
        event_id, message = what
        detail: dict[str, Any] = {
            "EventCategories": [category],
            "SourceType": source_type,
            "SourceArn": resource.arn,
            "Date": now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z",
            "Message": message,
            "SourceIdentifier": resource.resource_id,
            "EventID": event_id,
        }
        if resource.tags:
            detail["Tags"] = {tag["Key"]: tag["Value"] for tag in resource.tags}
        self.cloud.events.send(
            {
                "version": "0",
                "id": str(uuid.UUID(int=self.cloud.random.getrandbits(128), version=4)),
                "detail-type": detail_type,
                "source": "aws.rds",
                "account": self.cloud.account_id,
                "time": stamp(now),
                "region": self.cloud.region,
                "resources": [resource.arn],
                "detail": detail,
            }
        )


def _check_instance(database: Any) -> None:
    """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBSnapshot.html"""
    if isinstance(database, DBInstanceClustered):
        raise RDSClientError(
            "InvalidParameterValue",
            "The specified instance is a member of a cluster and a snapshot cannot be created "
            "directly. Please use the CreateDBClusterSnapshot API instead.",
        )
    # "You can't create manual snapshots of RDS for SQL Server read replicas"; those of the other
    # engines can be. AWS documents the refusal, not its code: this is the one for a database that
    # cannot be backed up as it is.
    # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_ReadRepl.Overview.Differences.html
    if database.is_replica and database.engine.startswith("sqlserver"):
        raise RDSClientError(
            "InvalidDBInstanceState",
            f"Cannot create a snapshot because the database instance {database.resource_id} is a "
            "SQL Server read replica.",
        )
    if database.status not in BACKED_UP_IN:
        raise RDSClientError(
            "InvalidDBInstanceState",
            f"Cannot create a snapshot because the database instance {database.resource_id} is "
            "not currently in the available state.",
        )


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


def _as_method(handler: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
    """Moto finds the operations of a response class by looking for plain functions."""

    def operation(response: Any) -> ActionResult:
        return handler(response)

    return operation


def _kept(
    name: str, read: Callable[[Any, Any], Any], then: Mapping[str, str] | None = None
) -> property:
    """An attribute that moto sets and `read` shows; `then` is what it becomes once it was seen."""

    def get(owner: Any) -> Any:
        kept = vars(owner).get(f"_{name}", vars(owner).get(name))
        if then and kept in then:
            vars(owner)[f"_{name}"] = then[kept]
        return read(owner, kept)

    def keep(owner: Any, value: Any) -> None:
        vars(owner)[f"_{name}"] = value

    return property(get, keep)


def _ignored(_owner: Any, _value: Any) -> None:
    """For what moto sets once and the time decides here."""


def _resource_id(database: Any) -> str:
    resource_id: str = vars(database)["_dbi_resource_id"]
    return resource_id


def _set_resource_id(database: Any, _: Any) -> None:
    """Moto gives every instance the same one; in AWS it outlives names."""
    text = f"{database.arn} {database.created.isoformat()}"
    vars(database)["_dbi_resource_id"] = f"db-{_digest(text)}"


def _digest(text: str) -> str:
    """26 letters and digits, as RDS's resource ids have."""
    return base64.b32encode(hashlib.sha256(text.encode()).digest()).decode()[:26]


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _naive(moment: datetime) -> datetime:
    """As moto keeps times: UTC, without saying so."""
    return moment.astimezone(UTC).replace(tzinfo=None)


# --- requests ---------------------------------------------------------------------------------


def _filters(response: Any) -> dict[str, list[str]]:
    given = response.params.get("Filters") or []
    return {one["Name"]: list(one["Values"]) for one in given}


def _page(response: Any, found: Iterable[Any]) -> tuple[list[Any], str | None]:
    """One page of resources in the order of their ARNs, and the marker of the next.

    A marker is a place in that order: what is created or deleted between two pages shifts nothing.
    """
    size = response.params.get("MaxRecords", MOST_RECORDS)
    if not LEAST_RECORDS <= int(size) <= MOST_RECORDS:
        raise RDSClientError(
            "InvalidParameterValue",
            f"Invalid value {size} for MaxRecords. Must be between {LEAST_RECORDS} and "
            f"{MOST_RECORDS}",
        )
    after = _place_of(response.params.get("Marker"))
    later = sorted((one for one in found if one.arn > after), key=lambda one: str(one.arn))
    if len(later) <= int(size):
        return later, None
    page = later[: int(size)]
    return page, base64.urlsafe_b64encode(page[-1].arn.encode()).decode()


def _place_of(marker: str | None) -> str:
    if not marker:
        return ""
    try:
        place = base64.urlsafe_b64decode(marker.encode()).decode()
    except (ValueError, binascii.Error):
        place = ""
    if not place.startswith("arn:"):
        raise RDSClientError("InvalidParameterValue", "Unable to parse the marker.")
    return place
