"""Restoring and deleting databases as AWS documents it, where moto is done at once; and contents.

`install(cloud)` patches moto's classes until `cloud.stack` closes; install `local.aws.rds` first.
What it adds:

- restored instances and clusters that take their time, are backed up before they are available,
  fail, and lose every setting that a restore is not told;
- deletion that asks about a final snapshot, refuses what is being made, and takes its time;
- a master password that stays production's until a change of it has been applied;
- contents: a database in use grows with the clock, a snapshot keeps what was there when it was
  begun, and what is restored from it holds that; with switches for bad snapshots.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from moto.core.responses import ActionResult
from moto.rds.exceptions import (
    DBClusterNotFoundError,
    DBInstanceNotFoundError,
    RDSClientError,
)
from moto.rds.models import DBCluster, RDSBackend
from moto.rds.responses import RDSResponse

from local import replacing
from local.aws import rds
from local.aws.ebs import Box
from local.aws.ec2 import Host
from local.aws.rds_databases import aware

# Quotas "DB instances" and "DB clusters", each:
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Limits.html
DATABASES = 40

# What a restore makes from defaults unless it is told otherwise, by moto's names. Retention and the
# backup window are not among them: "Default: Uses existing setting".
# https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_RestoreDBInstanceFromDBSnapshot.html
LOST: Mapping[str, object] = {
    "auto_minor_version_upgrade": True,
    "copy_tags_to_snapshot": False,
    "deletion_protection": False,
    "enable_cloudwatch_logs_exports": [],
    "enable_iam_database_authentication": False,
    "manage_master_user_password": False,
    "monitoring_interval": 0,
    "publicly_accessible": False,
    "tags": [],
}
LOST_OF_INSTANCES: Mapping[str, object] = {**LOST, "multi_az": False}
# What moto keeps of a cluster under another name than it is told.
NAMED_OF_CLUSTERS = {"enable_iam_database_authentication": "iam_auth"}
KEPT_UNLESS_TOLD = ("backup_retention_period", "preferred_backup_window")


def install(cloud: RdsBox) -> RdsRestores:
    """Make moto's RDS behave like this until `cloud.stack` closes; returns the switches."""
    restores = RdsRestores(cloud, rds.installed_in(cloud))
    for name, handler in restores.operations().items():
        replacing.replace(cloud.stack, RDSResponse, name, _as_method(handler))
    for name, wrapped in restores.checks().items():
        replacing.replace(cloud.stack, RDSBackend, name, wrapped(getattr(RDSBackend, name)))
    return restores


def installed_in(cloud: Host) -> RdsRestores:
    """The switches of a box's restores, e.g. `installed_in(cloud).empty("nightly")`."""
    restores: RdsRestores = cloud.extensions[__name__]
    return restores


class RdsBox(Box, Host, Protocol):
    """What this file needs of the cloud in a box: also its other extensions."""


def _as_method(handler: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
    """Moto finds the operations of a response class by looking for plain functions."""

    def operation(response: Any) -> ActionResult:
        return handler(response)

    return operation


# --- contents -----------------------------------------------------------------------------------

# Tables of a made-up shop, and how often somebody adds a row to each.
GROWTH = {
    "customers": timedelta(minutes=30),
    "orders": timedelta(minutes=1),
    "payments": timedelta(minutes=5),
}
FIRST_ROW_AT = datetime(2026, 1, 1, tzinfo=UTC)
# A new version of the application, and of its schema, each month.
MIGRATED_EVERY = timedelta(days=30)


@dataclass(frozen=True)
class Rows:
    """What a query of one table answers."""

    count: int
    newest: datetime | None
    digest: str
    """Over all rows: other bytes, another digest."""


@dataclass(frozen=True)
class Content:
    """What queries of a database answer."""

    identity: str
    """Of the database that the rows were written into, wherever they are now."""
    schema_version: int
    tables: Mapping[str, Rows]


def living(identity: str, moment: datetime) -> Content:
    """A database in use, at `moment`; the same in every run."""
    tables = {name: _rows(identity, name, every, moment) for name, every in GROWTH.items()}
    return Content(identity, 1 + (moment - FIRST_ROW_AT) // MIGRATED_EVERY, tables)


def _rows(identity: str, name: str, every: timedelta, moment: datetime) -> Rows:
    count = max(0, (moment - FIRST_ROW_AT) // every)
    newest = FIRST_ROW_AT + count * every if count else None
    return Rows(count, newest, _digest(identity, name, count))


def _digest(*words: object) -> str:
    return hashlib.sha256(" ".join(map(str, words)).encode()).hexdigest()


# --- restores -----------------------------------------------------------------------------------


@dataclass
class RdsRestores:
    """What was restored, what it holds, and the switches that make it unkind."""

    cloud: RdsBox
    rds: rds.Rds
    restore_takes: timedelta = timedelta(minutes=12)
    """From `creating` on, of an instance or a cluster, and of each member of a cluster."""
    first_backup_takes: timedelta = timedelta(minutes=4)
    """`backing-up`, of an instance with automated backups, before it is `available`."""
    password_takes: timedelta = timedelta(minutes=1)
    deletion_takes: timedelta = timedelta(minutes=5)
    quota: int = DATABASES
    made: int = 0
    """Instances and clusters that were ever restored."""
    _doomed: dict[str, str] = field(default_factory=dict)
    """By the ARN of the snapshot, the state in which what is restored from it ends."""
    _losing: dict[str, set[str]] = field(default_factory=dict)
    """By the ARN of the snapshot, settings that a restore is told in vain."""
    _mistaking: dict[str, dict[str, object]] = field(default_factory=dict)
    """By the ARN of the snapshot, settings of what is restored from it, whatever it is told."""
    _changed: dict[str, Content] = field(default_factory=dict)
    """By the ARN of the snapshot, what somebody did to its content."""
    _restored: dict[str, Content] = field(default_factory=dict)
    """By the ARN of the instance or cluster."""
    _old_passwords: dict[str, tuple[datetime, str]] = field(default_factory=dict)
    """By ARN, until when the password before the last change is the one that opens it."""

    def operations(self) -> dict[str, Callable[[Any], ActionResult]]:
        """API operations, by moto's name for them, that this file answers itself."""
        return {
            "delete_db_instance": self.delete_db_instance,
            "delete_db_cluster": self.delete_db_cluster,
        }

    def checks(self) -> dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]]:
        """Methods of moto that are kept and told more."""
        return {
            "restore_db_instance_from_db_snapshot": self._instance_restored,
            "restore_db_cluster_from_snapshot": self._cluster_restored,
            "create_db_instance": self._member_made,
            "modify_db_instance": self._modified,
            "modify_db_cluster": self._modified,
        }

    # --- switches ---

    def empty(self, snapshot: str) -> None:
        """Every table is there, and no row."""
        self._change(snapshot, lambda name, _: Rows(0, None, _digest(name)))

    def truncate(self, snapshot: str, percent: int = 50) -> None:
        """Every table has only its first rows."""
        self._change(snapshot, lambda name, rows: self._first(name, rows.count * percent // 100))

    def lose_newest(self, snapshot: str, table: str, behind: timedelta) -> None:
        """One table has no rows of the last while; the others are whole."""

        def changed(name: str, rows: Rows) -> Rows:
            return self._first(name, rows.count - behind // GROWTH[name]) if name == table else rows

        self._change(snapshot, changed)

    def purge(self, snapshot: str, percent: int) -> None:
        """Every table lacks its oldest rows, as where somebody deletes them now and then."""
        self._change(
            snapshot,
            lambda name, rows: Rows(
                rows.count - rows.count * percent // 100, rows.newest, _digest("purged", name)
            ),
        )

    def flip_version(self, snapshot: str) -> None:
        """The last bit of the version of its schema is another."""
        content = self.content_of_snapshot(snapshot)
        changed = replace(content, schema_version=content.schema_version ^ 1)
        self._changed[self._snapshot(snapshot).arn] = changed

    def flip_byte(self, snapshot: str, table: str) -> None:
        """One table has as many rows as it should, and one of them is another."""
        self._change(
            snapshot,
            lambda name, rows: (
                replace(rows, digest=_digest(rows.digest)) if name == table else rows
            ),
        )

    def age(self, snapshot: str, by: timedelta) -> None:
        """The whole content is older than the snapshot says."""
        found = self._snapshot(snapshot)
        content = self.content_of_snapshot(snapshot)
        moment = aware(found.created) - by
        self._changed[found.arn] = living(content.identity, moment)

    def swap(self, snapshot: str, identifier: str) -> None:
        """The content is that of another database, as it is now."""
        self._changed[self._snapshot(snapshot).arn] = self.content(identifier)

    def lose_setting(self, snapshot: str, name: str) -> None:
        """What is restored from it has the default of a setting, by moto's name, though told."""
        self._losing.setdefault(self._snapshot(snapshot).arn, set()).add(name)

    def mistake_setting(self, snapshot: str, name: str, value: object) -> None:
        """What is restored from it has this value of a setting, by moto's name."""
        self._mistaking.setdefault(self._snapshot(snapshot).arn, {})[name] = value

    def fail_restores_of(self, snapshot: str, state: str = "incompatible-restore") -> None:
        """What is restored from it becomes never available."""
        self._doomed[self._snapshot(snapshot).arn] = state

    def _change(self, snapshot: str, changed: Callable[[str, Rows], Rows]) -> None:
        content = self.content_of_snapshot(snapshot)
        tables = {name: changed(name, rows) for name, rows in content.tables.items()}
        self._changed[self._snapshot(snapshot).arn] = replace(content, tables=tables)

    @staticmethod
    def _first(name: str, count: int) -> Rows:
        newest = FIRST_ROW_AT + count * GROWTH[name] if count else None
        return Rows(count, newest, _digest("cut", name, count))

    # --- contents ---

    def content(self, identifier: str) -> Content:
        """What queries of an instance or a cluster answer now; a member answers as its cluster."""
        database = self.rds._database(identifier)
        if cluster := getattr(database, "cluster", None):
            database = cluster
        if database.arn in self._restored:
            return self._restored[database.arn]  # nobody writes to it
        return living(_identity(database), self.rds.now())

    def content_of_snapshot(self, name: str) -> Content:
        """What it keeps."""
        snapshot = self._snapshot(name)
        if snapshot.arn in self._changed:
            return self._changed[snapshot.arn]
        source = _source(snapshot)
        if source.arn in self._restored:
            return self._restored[source.arn]
        return living(_identity(source), aware(snapshot.created))

    def opens(self, identifier: str, password: str) -> bool:
        """Whether this is the master password now."""
        database = self.rds._database(identifier)
        until, old = self._old_passwords.get(database.arn, (None, ""))
        is_old = until is not None and self.rds.now() < until
        return password == (old if is_old else _password(database))

    def _snapshot(self, name: str) -> Any:
        backend = self.rds.backend
        found = backend.database_snapshots.get(name) or backend.cluster_snapshots.get(name)
        if found is None:
            raise LookupError(f"no snapshot of a database {name!r} in {self.cloud.region}")
        return found

    # --- restoring ---

    def _instance_restored(self, moto_does: Callable[..., Any]) -> Callable[..., Any]:
        def restore(backend: Any, from_snapshot_id: str, overrides: dict[str, Any]) -> Any:
            self._check_quota(backend.databases, "InstanceQuotaExceeded")
            return self._restored_by(moto_does, backend, from_snapshot_id, overrides)

        return restore

    def _cluster_restored(self, moto_does: Callable[..., Any]) -> Callable[..., Any]:
        def restore(backend: Any, from_snapshot_id: str, overrides: dict[str, Any]) -> Any:
            self._check_quota(backend.clusters, "DBClusterQuotaExceededFault")
            name = overrides["db_cluster_identifier"]
            if name in backend.clusters:  # moto makes it anew
                raise RDSClientError("DBClusterAlreadyExistsFault", "DB Cluster already exists")
            return self._restored_by(moto_does, backend, from_snapshot_id, overrides)

        return restore

    def _check_quota(self, used: Mapping[str, object], code: str) -> None:
        if len(used) >= self.quota:
            raise RDSClientError(code, f"You cannot have more than {self.quota}.")

    def _restored_by(
        self, moto_does: Callable[..., Any], backend: Any, snapshot: str, told: dict[str, Any]
    ) -> Any:
        name = snapshot.rsplit(":", 1)[-1]  # the ARN is accepted, too
        made = moto_does(backend, name, told)
        found = self._snapshot(name)
        made.kms_key_id = told.get("kms_key_id") or found.kms_key_id  # moto makes clusters another
        self._settle(made, told, self._losing.get(found.arn, set()))
        for setting, value in self._mistaking.get(found.arn, {}).items():
            setattr(made, setting, value)
        self._restored[made.arn] = self.content_of_snapshot(name)
        self._begin(made, self._doomed.get(found.arn))
        self.made += 1
        return made

    def _settle(self, made: Any, told: Mapping[str, Any], losing: set[str]) -> None:
        """Moto copies every setting of the source."""
        is_cluster = isinstance(made, DBCluster)
        lost, named = (LOST, NAMED_OF_CLUSTERS) if is_cluster else (LOST_OF_INSTANCES, {})
        for name, default in lost.items():
            attribute = named.get(name, name)
            if hasattr(made, attribute):
                value = default if name in losing else told.get(name, default)
                setattr(made, attribute, value)
        for name in KEPT_UNLESS_TOLD:
            if told.get(name) is not None:  # moto takes a 0 for nothing
                setattr(made, name, told[name])

    def _member_made(self, moto_does: Callable[..., Any]) -> Callable[..., Any]:
        """A restored cluster has no members; each that it gets takes as long again."""

        def create(backend: Any, db_kwargs: dict[str, Any]) -> Any:
            cluster = backend.clusters.get(db_kwargs.get("db_cluster_identifier") or "")
            if cluster is not None and cluster.status == "deleting":
                raise RDSClientError("InvalidDBClusterStateFault", "The cluster is being deleted.")
            made = moto_does(backend, db_kwargs)
            if cluster is not None and cluster.arn in self._restored:
                self._begin(made, None)
            return made

        return create

    def _begin(self, made: Any, doomed: str | None) -> None:
        self.rds.make_busy(made.resource_id, "creating", self.restore_takes)

        def end() -> None:
            if self.rds.backend.databases.get(made.resource_id) is not made:
                return
            self.rds._send(
                "RDS DB Instance Event", "DB_INSTANCE", made, "restoration",
                ("RDS-EVENT-0043", "Restored from snapshot"),
            )  # fmt: skip
            if int(made.backup_retention_period) and not getattr(made, "cluster", None):
                self.rds.make_busy(made.resource_id, "backing-up", self.first_backup_takes)

        def fail() -> None:
            made.status = doomed

        after = self.rds.now() + self.restore_takes
        self.cloud.clock.at(after, fail if doomed else end, f"{made.arn} is restored")

    # --- modifying ---

    def _modified(self, moto_does: Callable[..., Any]) -> Callable[..., Any]:
        def modify(backend: Any, *given: Any, **named: Any) -> Any:
            told: Mapping[str, Any] = given[-1]
            is_of_cluster = len(given) == 1
            name = told["db_cluster_identifier"] if is_of_cluster else given[0]
            known = backend.clusters if is_of_cluster else backend.databases
            if name in known and known[name].status not in ("available", "backing-up"):
                code = "InvalidDBClusterStateFault" if is_of_cluster else "InvalidDBInstanceState"
                raise RDSClientError(code, f"{name} is {known[name].status}.")
            before = _password(known[name]) if name in known else ""
            made = moto_does(backend, *given, **named)
            if told.get("master_user_password"):
                until = self.rds.now() + self.password_takes
                self._old_passwords[made.arn] = until, before
                self.rds.make_busy(name, "resetting-master-credentials", self.password_takes)
            return made

        return modify

    # --- deleting ---

    def delete_db_instance(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DeleteDBInstance.html"""
        backend, name = response.backend, response.params["DBInstanceIdentifier"]
        database = backend.databases.get(name)
        if database is None:
            raise DBInstanceNotFoundError(name)
        is_member = bool(getattr(database, "cluster", None))
        final = _final_snapshot(response) if not is_member else None
        _check_deletable(database, "InvalidDBInstanceState")
        if final:
            backend.create_db_snapshot(name, final)
        database.status = "deleting"

        def forget() -> None:
            backend.delete_db_instance(name, skip_final_snapshot=True)
            self._forget(database)

        at = self.rds.now() + self.deletion_takes
        self.cloud.clock.at(at, forget, f"{database.arn} is gone")
        return ActionResult({"DBInstance": database})

    def delete_db_cluster(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DeleteDBCluster.html"""
        backend, name = response.backend, response.params["DBClusterIdentifier"]
        cluster = backend.clusters.get(name)
        if cluster is None:
            raise DBClusterNotFoundError(name)
        final = _final_snapshot(response)
        _check_deletable(cluster, "InvalidDBClusterStateFault")
        if any(member.status != "deleting" for member in cluster.members):
            raise RDSClientError(
                "InvalidDBClusterStateFault",
                "Cluster cannot be deleted, it still contains DB instances in non-deleting state.",
            )
        if final:
            backend.create_db_cluster_snapshot(name, final)
        cluster.status = "deleting"

        def forget() -> None:
            backend.clusters.pop(name, None)
            kept = backend.cluster_snapshots
            for key, one in list(kept.items()):
                if one.snapshot_type == "automated" and one.cluster.arn == cluster.arn:
                    del kept[key]
            self._forget(cluster)

        at = self.rds.now() + self.deletion_takes
        self.cloud.clock.at(at, forget, f"{cluster.arn} is gone")
        return ActionResult({"DBCluster": cluster})

    def _forget(self, database: Any) -> None:
        self._restored.pop(database.arn, None)
        self._old_passwords.pop(database.arn, None)


def _final_snapshot(response: Any) -> str | None:
    name: str | None = response.params.get("FinalDBSnapshotIdentifier")
    skipped = str(response.params.get("SkipFinalSnapshot") or False).lower() == "true"
    if skipped and name:
        raise RDSClientError(
            "InvalidParameterCombination",
            "FinalDBSnapshotIdentifier can not be specified when deleting a database with "
            "SkipFinalSnapshot",
        )
    if not skipped and not name:
        raise RDSClientError(
            "InvalidParameterCombination",
            "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.",
        )
    return name


def _check_deletable(database: Any, code: str) -> None:
    if database.deletion_protection:
        raise RDSClientError(
            "InvalidParameterCombination",
            "Cannot delete protected DB Instance, please disable deletion protection and try "
            "again.",
        )
    # AWS documents that a deletion can be refused for the state, not for which: the stricter guess.
    if database.status in ("creating", "deleting"):
        raise RDSClientError(code, f"{database.resource_id} is {database.status} already.")


def _password(database: Any) -> str:
    """Moto's own property refuses to tell; a member opens with its cluster's."""
    owner = getattr(database, "cluster", None) or database
    password: str = vars(owner)["_master_user_password"]
    return password


def _source(snapshot: Any) -> Any:
    return snapshot.cluster if hasattr(snapshot, "cluster") else snapshot.database


def _identity(database: Any) -> str:
    is_cluster = isinstance(database, DBCluster)
    identity = database.db_cluster_resource_id if is_cluster else database.dbi_resource_id
    return str(identity)
