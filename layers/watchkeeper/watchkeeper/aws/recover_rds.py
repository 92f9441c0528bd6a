"""RDS and Aurora: restoring a snapshot beside its original, and putting settings back.

What is made here stays: there is nothing in this file that deletes. We choose the names, and only
what has one of them is ever changed; rights in template.yaml say the same of `*-wkr-*`.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from watchkeeper import naming
from watchkeeper.aws.client import client
from watchkeeper.aws.errors import AlreadyThere, Refused, translated
from watchkeeper.aws.iam import needs
from watchkeeper.aws.rds import Databases
from watchkeeper.backups.model import Kind
from watchkeeper.quoting import quoted

LATER = frozenset({"InvalidDBInstanceState", "InvalidDBClusterStateFault"})
"""Refusals that pass by themselves: it is still busy with the change before."""

Tags = Mapping[str, str]
Arguments = Mapping[str, Any]


def check_is_recovered(call: str, name: str) -> None:
    """Raises Refused before anything is asked to make or change what is not a recovery's."""
    if not naming.is_recovered(name):
        raise Refused(call, "NotOurs", f"{quoted(name)} is no name that a recovery gives")


@dataclass(frozen=True)
class Standing:
    """An instance or a cluster as its service shows it."""

    name: str
    state: str
    """In the words of RDS, e.g. `creating`, `available`."""
    endpoint: str
    """Host and port; empty until there is one."""
    tags: Tags


class _Rds:
    @cached_property
    def client(self) -> Any:
        return client("rds")


class DatabaseRecoverer(_Rds):
    """Makes databases from snapshots, and changes what it has made; it can delete none.

    What is there already by the name that it gives is an earlier attempt's, and success.
    """

    @needs(
        "rds:RestoreDBInstanceFromDBSnapshot", "rds:AddTagsToResource",
        "kms:CreateGrant", "kms:DescribeKey",
    )  # fmt: skip
    def restore_instance(self, name: str, snapshot: str, told: Arguments, tags: Tags) -> None:
        """Raises NotThere without the snapshot, or without a group that it is told of."""
        call = "rds:RestoreDBInstanceFromDBSnapshot"
        check_is_recovered(call, name)
        with suppress(AlreadyThere), translated(call):
            self.client.restore_db_instance_from_db_snapshot(
                DBInstanceIdentifier=name,
                DBSnapshotIdentifier=snapshot,
                Tags=_as_list(tags),
                **told,
            )

    @needs(
        "rds:RestoreDBClusterFromSnapshot", "rds:AddTagsToResource",
        "kms:CreateGrant", "kms:DescribeKey",
    )  # fmt: skip
    def restore_cluster(
        self, name: str, snapshot: str, engine: str, told: Arguments, tags: Tags
    ) -> None:
        """Without members. Raises NotThere as above."""
        call = "rds:RestoreDBClusterFromSnapshot"
        check_is_recovered(call, name)
        with suppress(AlreadyThere), translated(call):
            self.client.restore_db_cluster_from_snapshot(
                DBClusterIdentifier=name,
                SnapshotIdentifier=snapshot,
                Engine=engine,
                Tags=_as_list(tags),
                **told,
            )

    @needs("rds:CreateDBInstance", "rds:AddTagsToResource")
    def add_member(self, name: str, cluster: str, engine: str, told: Arguments, tags: Tags) -> None:
        call = "rds:CreateDBInstance"
        check_is_recovered(call, name)
        check_is_recovered(call, cluster)
        with suppress(AlreadyThere), translated(call):
            self.client.create_db_instance(
                DBInstanceIdentifier=name,
                DBClusterIdentifier=cluster,
                Engine=engine,
                Tags=_as_list(tags),
                **told,
            )

    # RDS passes the role of its detailed monitoring on in the name of whoever asks.
    @needs("rds:ModifyDBInstance", "rds:ModifyDBCluster", "iam:PassRole")
    def change(self, name: str, kind: Kind, change: Arguments) -> str:
        """Empty once it was accepted; otherwise what must pass first. The same change again does
        nothing more.
        """
        is_cluster = kind is Kind.CLUSTER
        call = "rds:ModifyDBCluster" if is_cluster else "rds:ModifyDBInstance"
        check_is_recovered(call, name)
        try:
            with translated(call):
                if is_cluster:
                    self.client.modify_db_cluster(
                        DBClusterIdentifier=name, ApplyImmediately=True, **change
                    )
                else:
                    self.client.modify_db_instance(
                        DBInstanceIdentifier=name, ApplyImmediately=True, **change
                    )
        except Refused as error:
            if error.code not in LATER:
                raise
            return f"RDS to be done with {name}: {quoted(error.message)}"
        return ""


class RecoveredDatabases(_Rds):
    """Looks at databases: at the original, and at what was restored beside it."""

    def __init__(self, place: tuple[str, str, str]) -> None:
        self.place = place
        """Partition, Region and account, for ARNs."""

    @needs("rds:DescribeDBInstances", "rds:DescribeDBClusters")
    def settings(self, arn: str) -> Mapping[str, object]:
        """In the same words as a manifest has them. Raises NotThere."""
        return Databases(self.place).one(arn).settings

    @needs("rds:DescribeDBInstances")
    def instance(self, name: str) -> Standing:
        """Raises NotThere."""
        with translated("rds:DescribeDBInstances"):
            [found] = self.client.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
        where = found.get("Endpoint", {})
        endpoint = f"{where['Address']}:{where['Port']}" if where.get("Address") else ""
        return Standing(name, found["DBInstanceStatus"], endpoint, _tags(found))

    @needs("rds:DescribeDBClusters")
    def cluster(self, name: str) -> Standing:
        """Raises NotThere."""
        with translated("rds:DescribeDBClusters"):
            [found] = self.client.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"]
        endpoint = f"{found['Endpoint']}:{found['Port']}" if found.get("Endpoint") else ""
        return Standing(name, found["Status"], endpoint, _tags(found))

    @needs("rds:DescribeDBClusterSnapshots")
    def engine(self, snapshot: str) -> str:
        """Of a snapshot of a cluster, which a restore has to be told. Raises NotThere."""
        with translated("rds:DescribeDBClusterSnapshots"):
            [found] = self.client.describe_db_cluster_snapshots(
                DBClusterSnapshotIdentifier=snapshot
            )["DBClusterSnapshots"]
        return str(found["Engine"])


def _tags(described: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in described.get("TagList", [])}


def _as_list(tags: Tags) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
