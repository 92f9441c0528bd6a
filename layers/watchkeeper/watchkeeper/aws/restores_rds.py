"""RDS and Aurora: restoring a snapshot for a drill, looking at what was restored, taking it down.

One class per right, so that a function composed of them needs exactly the actions that they name.
What a drill makes has a name that nobody else gives, and only what has one is ever changed or
deleted here; rights in template.yaml say the same of `wk-drill-*`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from watchkeeper import naming
from watchkeeper.aws.client import client
from watchkeeper.aws.errors import AlreadyThere, NotThere, Refused, translated
from watchkeeper.aws.iam import needs
from watchkeeper.backups.model import Kind
from watchkeeper.quoting import quoted

PAGE = 100
"""The most that the Describe calls of RDS give a page."""
DELETING = "deleting"
LATER = frozenset({"InvalidDBInstanceState", "InvalidDBClusterStateFault"})
"""Refusals that pass by themselves: it is still being made, or its members are still there."""

Tags = Mapping[str, str]
Settings = Mapping[str, Any]
Described = Mapping[str, Any]


# ── Names ─────────────────────────────────────────────────────────────────────────────────────────


def check_is_drill(call: str, name: str) -> None:
    """Raises Refused before anything is asked to change or delete what is not a drill's."""
    if not naming.is_drill(name):
        raise Refused(call, "NotOurs", f"{quoted(name)} is no name that a drill gives")


# ── Adapters ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Isolation:
    """Where drills restore databases: nothing leads in or out but the verifier's connection."""

    subnet_group: str
    security_group: str


@dataclass(frozen=True)
class RestoredDatabase:
    """An instance or a cluster that a drill made."""

    name: str
    arn: str
    kind: Kind
    state: str
    """In the words of RDS, e.g. `creating`, `available`, `deleting`."""
    engine: str
    cluster: str
    """The name of the cluster that an instance is a member of; empty if of none."""
    endpoint: str
    """Host and port; empty until there is one."""
    is_protected: bool
    tags: Tags
    settings: Settings
    """As Describe shows them: to compare with those of the manifest."""


class _Rds:
    @cached_property
    def client(self) -> Any:
        return client("rds")

    def _pages(self, operation: str, key: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        """Every item under `key`, page after page."""
        pages = self.client.get_paginator(operation).paginate(
            **arguments, PaginationConfig={"PageSize": PAGE}
        )
        call = self.client.meta.method_to_api_mapping[operation]
        with translated(f"rds:{call}"):
            for page in pages:
                yield from page[key]


class DatabaseRestorer(_Rds):
    """Makes databases from snapshots, in isolation; it can delete none, and change only passwords.

    We choose the names, so what is there already is an earlier attempt's, and success.
    """

    def __init__(self, isolation: Isolation) -> None:
        self.isolation = isolation

    @needs(
        "rds:RestoreDBInstanceFromDBSnapshot", "rds:AddTagsToResource",
        "kms:CreateGrant", "kms:DescribeKey",
    )  # fmt: skip
    def restore_instance(self, name: str, snapshot: str, settings: Settings, tags: Tags) -> None:
        """`settings` are those of the manifest. Automated backups stay off: a drill needs none, and
        the first would keep it from being available. Raises NotThere without the snapshot, or
        without a group that the settings name.
        """
        with suppress(AlreadyThere), translated("rds:RestoreDBInstanceFromDBSnapshot"):
            self.client.restore_db_instance_from_db_snapshot(
                DBInstanceIdentifier=name,
                DBSnapshotIdentifier=snapshot,
                DBSubnetGroupName=self.isolation.subnet_group,
                VpcSecurityGroupIds=[self.isolation.security_group],
                PubliclyAccessible=False,
                MultiAZ=False,
                DeletionProtection=False,
                AutoMinorVersionUpgrade=False,
                BackupRetentionPeriod=0,
                Tags=_as_list(tags),
                **_told(settings, INSTANCE_SETTINGS),
            )

    @needs(
        "rds:RestoreDBClusterFromSnapshot", "rds:DescribeDBClusterSnapshots",
        "rds:AddTagsToResource", "kms:CreateGrant", "kms:DescribeKey",
    )  # fmt: skip
    def restore_cluster(self, name: str, snapshot: str, settings: Settings, tags: Tags) -> None:
        """Without members: nobody can ask it anything until it has one. Raises NotThere."""
        with translated("rds:DescribeDBClusterSnapshots"):
            [found] = self.client.describe_db_cluster_snapshots(
                DBClusterSnapshotIdentifier=snapshot
            )["DBClusterSnapshots"]
        with suppress(AlreadyThere), translated("rds:RestoreDBClusterFromSnapshot"):
            self.client.restore_db_cluster_from_snapshot(
                DBClusterIdentifier=name,
                SnapshotIdentifier=snapshot,
                Engine=found["Engine"],
                DBSubnetGroupName=self.isolation.subnet_group,
                VpcSecurityGroupIds=[self.isolation.security_group],
                DeletionProtection=False,
                BackupRetentionPeriod=1,  # "Must be a value from 1 to 35"
                Tags=_as_list(tags),
                **_told(settings, CLUSTER_SETTINGS),
            )

    @needs("rds:CreateDBInstance", "rds:AddTagsToResource")
    def add_member(self, cluster: RestoredDatabase, instance_class: str, tags: Tags) -> None:
        """Give a restored cluster the one instance that answers. Its class is a setting of a member
        in the manifest.
        """
        check_is_drill("rds:CreateDBInstance", cluster.name)
        with suppress(AlreadyThere), translated("rds:CreateDBInstance"):
            self.client.create_db_instance(
                DBInstanceIdentifier=f"{cluster.name}-1",
                DBClusterIdentifier=cluster.name,
                Engine=cluster.engine,
                DBInstanceClass=instance_class,
                PubliclyAccessible=False,
                AutoMinorVersionUpgrade=False,
                Tags=_as_list(tags),
            )

    @needs("rds:ModifyDBInstance", "rds:ModifyDBCluster")
    def renew_password(self, restored: RestoredDatabase, password: str) -> None:
        """So that production's opens nothing. It is in force when the state, which changes within
        minutes to `resetting-master-credentials`, is `available` again. Raises NotThere.
        """
        change = {"MasterUserPassword": password, "ApplyImmediately": True}
        _modify(self.client, restored, change)


class RestoredDatabases(_Rds):
    """Looks at what drills have restored."""

    @needs("rds:DescribeDBInstances", "rds:DescribeDBClusters")
    def one(self, name: str, kind: Kind) -> RestoredDatabase:
        """Raises NotThere."""
        if kind is Kind.CLUSTER:
            with translated("rds:DescribeDBClusters"):
                [found] = self.client.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"]
            return _cluster(found)
        with translated("rds:DescribeDBInstances"):
            [found] = self.client.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
        return _instance(found)

    @needs("rds:DescribeDBInstances", "rds:DescribeDBClusters")
    def all(self) -> list[RestoredDatabase]:
        """Everything in this Region that has a drill's name, whichever stack made it; members of
        clusters before the clusters, which is the order of taking them down.
        """
        instances = map(_instance, self._pages("describe_db_instances", "DBInstances"))
        clusters = map(_cluster, self._pages("describe_db_clusters", "DBClusters"))
        return [
            one for found in (instances, clusters) for one in found if naming.is_drill(one.name)
        ]


class DatabaseDismantler(_Rds):
    """Deletes what drills have restored, and nothing else; it can make none."""

    @needs(
        "rds:DeleteDBInstance", "rds:DeleteDBCluster", "rds:ModifyDBInstance", "rds:ModifyDBCluster"
    )
    def delete(self, restored: RestoredDatabase) -> str:
        """What has to pass first; empty if it is being deleted, or gone. No final snapshot, no
        automated backups are left. Raises Refused of what has no drill's name.
        """
        is_cluster = restored.kind is Kind.CLUSTER
        call = "rds:DeleteDBCluster" if is_cluster else "rds:DeleteDBInstance"
        check_is_drill(call, restored.name)
        if restored.state == DELETING:
            return ""
        try:
            if restored.is_protected:
                unprotected = {"DeletionProtection": False, "ApplyImmediately": True}
                _modify(self.client, restored, unprotected)
            with translated(call):
                self._delete(restored)
        except NotThere:
            return ""
        except Refused as error:
            if error.code not in LATER:
                raise
            return f"RDS does not delete it as it is now: {quoted(error.message)}"
        return ""

    def _delete(self, restored: RestoredDatabase) -> None:
        if restored.kind is Kind.CLUSTER:
            self.client.delete_db_cluster(
                DBClusterIdentifier=restored.name,
                SkipFinalSnapshot=True,
                DeleteAutomatedBackups=True,
            )
        else:
            self.client.delete_db_instance(
                DBInstanceIdentifier=restored.name,
                SkipFinalSnapshot=True,
                DeleteAutomatedBackups=True,
            )


def _modify(rds: Any, restored: RestoredDatabase, change: Mapping[str, object]) -> None:
    is_cluster = restored.kind is Kind.CLUSTER
    call = "rds:ModifyDBCluster" if is_cluster else "rds:ModifyDBInstance"
    check_is_drill(call, restored.name)
    with translated(call):
        if is_cluster:
            rds.modify_db_cluster(DBClusterIdentifier=restored.name, **change)
        else:
            rds.modify_db_instance(DBInstanceIdentifier=restored.name, **change)


# ── Shapes ────────────────────────────────────────────────────────────────────────────────────────


def _own_group(names: Any) -> str | None:
    """The one of a list of groups that is not a default one: those a restore finds by itself."""
    listed = [names] if isinstance(names, str) else names
    own = (name for name in listed if not name.startswith(("default.", "default:")))
    return next(own, None)


def _plain(value: Any) -> Any:
    return value


INSTANCE_SETTINGS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "DBInstanceClass": ("DBInstanceClass", _plain),
    "DBParameterGroups": ("DBParameterGroupName", _own_group),
    "LicenseModel": ("LicenseModel", _plain),
    "OptionGroupMemberships": ("OptionGroupName", _own_group),
}
"""By its name in Describe, and so in the manifest, what a restore is told of a setting. The rest is
either kept by the snapshot, or changes neither the data nor whether it can be asked.
"""
CLUSTER_SETTINGS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "DBClusterParameterGroup": ("DBClusterParameterGroupName", _own_group),
    "EngineMode": ("EngineMode", _plain),
    "ServerlessV2ScalingConfiguration": ("ServerlessV2ScalingConfiguration", _plain),
}


def _told(
    settings: Settings, known: Mapping[str, tuple[str, Callable[[Any], Any]]]
) -> dict[str, Any]:
    found = {
        parameter: read(settings[name])
        for name, (parameter, read) in known.items()
        if settings.get(name)
    }
    return {parameter: value for parameter, value in found.items() if value is not None}


def _instance(found: Described) -> RestoredDatabase:
    where = found.get("Endpoint", {})
    return RestoredDatabase(
        name=found["DBInstanceIdentifier"],
        arn=found["DBInstanceArn"],
        kind=Kind.DATABASE,
        state=found["DBInstanceStatus"],
        engine=found["Engine"],
        cluster=found.get("DBClusterIdentifier", ""),
        endpoint=f"{where['Address']}:{where['Port']}" if where.get("Address") else "",
        is_protected=found.get("DeletionProtection", False),
        tags=_tags(found),
        settings=found,
    )


def _cluster(found: Described) -> RestoredDatabase:
    where = found.get("Endpoint", "")
    return RestoredDatabase(
        name=found["DBClusterIdentifier"],
        arn=found["DBClusterArn"],
        kind=Kind.CLUSTER,
        state=found["Status"],
        engine=found["Engine"],
        cluster="",
        endpoint=f"{where}:{found['Port']}" if where else "",
        is_protected=found.get("DeletionProtection", False),
        tags=_tags(found),
        settings=found,
    )


def _tags(described: Described) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in described.get("TagList", [])}


def _as_list(tags: Tags) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
