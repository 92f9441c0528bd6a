"""RDS and Aurora: restoring a snapshot for a drill, looking at what was restored, taking it down.

One class per right, so that a function composed of them needs exactly the actions that they name.
What a drill makes has a name that nobody else gives, and only what has one is ever changed or
deleted here; rights in template.yaml say the same of `wk-drill-*`.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from watchkeeper import naming
from watchkeeper.aws.client import client
from watchkeeper.aws.errors import AlreadyThere, NotThere, Refused, translated
from watchkeeper.aws.iam import needs
from watchkeeper.aws.paging import paged
from watchkeeper.backups.model import Kind
from watchkeeper.drills.database_settings import OF_EVERY_MEMBER, Settings, parameters
from watchkeeper.quoting import quoted

PAGE = 100
"""The most that the Describe calls of RDS give a page."""
DELETING = "deleting"
STOPPED = "stopped"
LATER = frozenset({"InvalidDBInstanceState", "InvalidDBClusterStateFault"})
"""Refusals that pass by themselves: it is still being made, or its members are still there."""
PROTECTED = "InvalidParameterCombination"
"""How RDS refuses to delete the last member of a cluster that somebody has protected. That passes
when the cluster's turn comes: https://repost.aws/knowledge-center/rds-error-delete-aurora-cluster
"""

Tags = Mapping[str, str]
Described = Mapping[str, Any]


# ── Names ─────────────────────────────────────────────────────────────────────────────────────────


def check_is_drill(call: str, name: str) -> None:
    """Raises Refused before anything is asked to change or delete what is not a drill's."""
    if not naming.is_drill(name):
        raise Refused(call, "NotOurs", f"{quoted(name)} is no name that a drill gives")


def member_of(cluster: str) -> str:
    """The name of the one instance that a drill gives a cluster of Aurora."""
    return f"{cluster}-1"


def is_aurora(engine: str) -> bool:
    return engine.startswith("aurora")


# ── Adapters ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Isolation:
    """Where drills restore databases: nothing leads in or out but the verifier's connection."""

    subnet_group: str
    database_group: str


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
        return paged(self.client, operation, key, PAGE, **arguments)


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
        """`settings` are those of the manifest. Raises NotThere without the snapshot, or without a
        group that the settings name.
        """
        with suppress(AlreadyThere), translated("rds:RestoreDBInstanceFromDBSnapshot"):
            self.client.restore_db_instance_from_db_snapshot(
                DBInstanceIdentifier=name,
                DBSnapshotIdentifier=snapshot,
                DBSubnetGroupName=self.isolation.subnet_group,
                VpcSecurityGroupIds=[self.isolation.database_group],
                Tags=_as_list(tags),
                **parameters(settings, Kind.DATABASE),
            )

    @needs(
        "rds:RestoreDBClusterFromSnapshot", "rds:DescribeDBClusterSnapshots",
        "rds:AddTagsToResource", "kms:CreateGrant", "kms:DescribeKey",
    )  # fmt: skip
    def restore_cluster(self, name: str, snapshot: str, settings: Settings, tags: Tags) -> None:
        """Without members, if it is Aurora's: nobody can ask it anything until it has one. Those of
        other clusters RDS makes itself. Raises NotThere.
        """
        with translated("rds:DescribeDBClusterSnapshots"):
            [found] = self.client.describe_db_cluster_snapshots(
                DBClusterSnapshotIdentifier=snapshot
            )["DBClusterSnapshots"]
        private = {} if is_aurora(found["Engine"]) else {"PubliclyAccessible": False}
        with suppress(AlreadyThere), translated("rds:RestoreDBClusterFromSnapshot"):
            self.client.restore_db_cluster_from_snapshot(
                DBClusterIdentifier=name,
                SnapshotIdentifier=snapshot,
                Engine=found["Engine"],
                DBSubnetGroupName=self.isolation.subnet_group,
                VpcSecurityGroupIds=[self.isolation.database_group],
                Tags=_as_list(tags),
                **private,
                **parameters(settings, Kind.CLUSTER),
            )

    @needs("rds:CreateDBInstance", "rds:AddTagsToResource")
    def add_member(self, cluster: RestoredDatabase, instance_class: str, tags: Tags) -> None:
        """Give a restored cluster the one instance that answers. Its class is a setting of a member
        in the manifest. Raises Refused (one of LATER) until the cluster is available.
        """
        check_is_drill("rds:CreateDBInstance", cluster.name)
        with suppress(AlreadyThere), translated("rds:CreateDBInstance"):
            self.client.create_db_instance(
                DBInstanceIdentifier=member_of(cluster.name),
                DBClusterIdentifier=cluster.name,
                Engine=cluster.engine,
                DBInstanceClass=instance_class,
                Tags=_as_list(tags),
                **OF_EVERY_MEMBER,
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

    @needs("rds:DescribeDBSnapshots", "rds:DescribeDBClusterSnapshots")
    def source(self, snapshot: str, kind: Kind) -> Described:
        """What RDS shows of a snapshot. Raises NotThere."""
        if kind is Kind.CLUSTER:
            with translated("rds:DescribeDBClusterSnapshots"):
                answer = self.client.describe_db_cluster_snapshots(
                    DBClusterSnapshotIdentifier=snapshot
                )
            [found] = answer["DBClusterSnapshots"]
        else:
            with translated("rds:DescribeDBSnapshots"):
                answer = self.client.describe_db_snapshots(DBSnapshotIdentifier=snapshot)
            [found] = answer["DBSnapshots"]
        shown: Described = found
        return shown

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
        "rds:DeleteDBInstance", "rds:DeleteDBCluster", "rds:ModifyDBInstance",
        "rds:ModifyDBCluster", "rds:StartDBCluster",
    )  # fmt: skip
    def delete(self, restored: RestoredDatabase) -> str:
        """What has to pass first; empty if it is being deleted, or gone. No final snapshot, no
        automated backups are left. Raises Refused of what has no drill's name.
        """
        is_cluster = restored.kind is Kind.CLUSTER
        call = "rds:DeleteDBCluster" if is_cluster else "rds:DeleteDBInstance"
        check_is_drill(call, restored.name)
        if restored.state == DELETING:
            return ""
        later = LATER | ({PROTECTED} if restored.cluster else set())
        try:
            if is_cluster and restored.state == STOPPED:
                return self._start(restored)
            if restored.is_protected:
                unprotected = {"DeletionProtection": False, "ApplyImmediately": True}
                _modify(self.client, restored, unprotected)
            with translated(call):
                self._delete(restored)
        except NotThere:
            return ""
        except Refused as error:
            if error.code not in later:
                raise
            return f"RDS does not delete it as it is now: {quoted(error.message)}"
        return ""

    def _start(self, cluster: RestoredDatabase) -> str:
        """A stopped instance can be deleted, a stopped cluster cannot, nor can its members:
        https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_DeleteCluster.html
        """
        with translated("rds:StartDBCluster"):
            self.client.start_db_cluster(DBClusterIdentifier=cluster.name)
        return "RDS to start it: it deletes no stopped cluster"

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
