"""RDS instances and Aurora clusters: when they can be backed up, and what they can be restored to.

What a database is stays in moto's backend; the state it is in, as time passes, is worked out here.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.kms.models import KmsBackend, kms_backends
from moto.rds.exceptions import KMSKeyNotAccessibleFault, RDSClientError
from moto.rds.models import DBCluster, DBInstance, DBInstanceClustered, RDSBackend, rds_backends

from local.aws.ebs import Box, stamp
from local.aws.rds_limits import check_tags

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

# What is replaced in moto: class, attribute, and its value or what wraps the method that it is.
Replacements = list[tuple[Any, str, Any]]


@dataclass(frozen=True)
class Busy:
    """A state that a database is in until then, by itself or because of a snapshot."""

    status: str
    until: datetime


@dataclass
class Databases:
    """The databases of one account and Region, and the switches that make them unkind."""

    cloud: Box
    _busy: dict[str, Busy] = field(default_factory=dict)
    """By the ARN of the instance or cluster, as the following two."""
    _stopped_at: dict[str, datetime] = field(default_factory=dict)
    _lost_keys: dict[str, datetime] = field(default_factory=dict)
    """When RDS notices that a key was disabled, by the ARN of the key."""

    def make_busy(self, identifier: str, status: str, duration: timedelta) -> None:
        """Put an instance or cluster into a state, e.g. `maintenance`, for that long."""
        self._busy[self._database(identifier).arn] = Busy(status, self.now() + duration)

    def backdate(self, identifier: str, created_at: datetime) -> None:
        """Let an instance or cluster exist since then, with the automated backups it would have."""
        database = self._database(identifier)
        database.created = naive(created_at)
        moto_name = "cluster" if isinstance(database, DBCluster) else "instance"
        setattr(database, f"{moto_name}_create_time", database.created)

    @property
    def backend(self) -> Any:
        """Moto's RDS of this account and Region."""
        return rds_backends[self.cloud.account_id][self.cloud.region]

    def now(self) -> datetime:
        """Simulated now, in the whole milliseconds that RDS answers with."""
        now = self.cloud.clock.now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def databases(self) -> Replacements:
        """Attributes of moto's instances and clusters that depend on the time."""
        return [
            (DBInstance, "status", _kept("status", self.status_of)),
            (DBInstance, "latest_restorable_time", property(self._latest_restorable)),
            (DBInstance, "automatic_restart_time", property(self._restarts_at)),
            (DBInstance, "dbi_resource_id", property(_resource_id, _set_resource_id)),
            (DBCluster, "status", _kept("status", self.status_of, then={"creating": "available"})),
            (DBCluster, "latest_restorable_time", property(self._latest_restorable)),
            (DBCluster, "earliest_restorable_time", property(self._earliest_restorable, ignored)),
            (DBCluster, "kms_key_id", _kept("kms_key_id", self._shown_key)),
        ]

    def database_checks(self) -> Replacements:
        """Methods of moto that are kept and told more."""
        return [
            (RDSBackend, "create_db_instance", self._with_key),
            (RDSBackend, "create_db_cluster", self._with_key),
            (RDSBackend, "create_db_instance_read_replica", self._as_replica),
            (RDSBackend, "stop_db_instance", self._remembered_stop),
            (RDSBackend, "add_tags_to_resource", self._with_fit_tags),
            (KmsBackend, "disable_key", self._noticed),
            (KmsBackend, "schedule_key_deletion", self._noticed),
        ]

    def _database(self, identifier: str) -> Any:
        backend = self.backend
        found = backend.databases.get(identifier) or backend.clusters.get(identifier)
        if found is None:
            raise LookupError(f"no DB instance or cluster {identifier!r} in {self.cloud.region}")
        return found

    # --- states ---

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
        after = max(after, aware(database.created))
        first = after.replace(hour=hour, minute=minute, second=0, microsecond=0)
        days = range((until - after) // timedelta(days=1) + 2)
        starts = [first + timedelta(days=day) for day in days]
        return [one for one in starts if after < one <= min(until, stopped_at)]

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
            replica.created = replica.instance_create_time = naive(self.now())
            # "RDS creates read replicas with backups disabled."
            replica.backup_retention_period = 0
            replica.dbi_resource_id = None
            return replica

        return create

    def _with_fit_tags(self, moto_does: Callable[..., Any]) -> Callable[..., Any]:
        def add(backend: Any, arn: str, tags: list[dict[str, str]]) -> Any:
            check_tags(tags, (tag["Key"] for tag in backend.list_tags_for_resource(arn)))
            return moto_does(backend, arn, tags)

        return add

    # --- keys ---

    def _key_lost_at(self, database: Any) -> datetime | None:
        """When RDS notices that the key of a database cannot be used; None while it can."""
        key_id = database.kms_key_id
        if not key_id or key_id == MOTO_DEFAULT_KEY:
            return None
        keys = kms_backends[self.cloud.account_id][self.cloud.region]
        try:
            key = keys.describe_key(key_id)
        except KeyError:
            return aware(database.created)
        if key.key_state == "Enabled":
            return None
        return self._lost_keys.get(key.arn, aware(database.created))

    def _check_key(self, database: Any) -> None:
        """The key was lost, and RDS shows the database as `available` all the same."""
        if self._key_lost_at(database) is not None:
            raise KMSKeyNotAccessibleFault(database.kms_key_id)

    def _noticed(self, moto_does: Callable[..., Any]) -> Callable[..., Any]:
        def lose_key(backend: Any, key_id: str, *more: Any, **named: Any) -> Any:
            key = backend.describe_key(key_id)  # by id or ARN, where moto takes only ids
            usable = key.key_state == "Enabled"
            answer = moto_does(backend, key.id, *more, **named)
            if usable:
                delay = self.cloud.pace.lost_key_noticed_after
                self._lost_keys[key.arn] = self.now() + delay
            return answer

        return lose_key

    def _with_key(self, moto_does: Callable[..., Any]) -> Callable[..., Any]:
        """A new database is encrypted with a key that exists and is enabled, named by its ARN; its
        tags are such as RDS takes.
        """

        def create(backend: Any, db_kwargs: dict[str, Any]) -> Any:
            check_tags(db_kwargs.get("tags"))
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

    # --- point in time ---

    def _latest_restorable(self, database: Any) -> datetime | None:
        """LatestRestorableTime: none of a member of a cluster, nor before there is a backup."""
        if isinstance(database, DBInstanceClustered) or not database.backup_retention_period:
            return None
        stopped = database.status == "stopped"
        until = self._stopped_at.get(database.arn, self.now()) if stopped else self.now()
        latest = until - RESTORABLE_LAG
        return latest if latest >= aware(database.created) else None

    def _earliest_restorable(self, database: Any) -> datetime | None:
        latest = self._latest_restorable(database)
        if latest is None:
            return None
        oldest = latest + RESTORABLE_LAG - timedelta(days=int(database.backup_retention_period))
        return max(oldest, aware(database.created))

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


def check_instance(database: Any) -> None:
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


def ignored(_owner: Any, _value: Any) -> None:
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


def aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def naive(moment: datetime) -> datetime:
    """As moto keeps times: UTC, without saying so."""
    return moment.astimezone(UTC).replace(tzinfo=None)
