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
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from moto.core.responses import ActionResult
from moto.rds.exceptions import RDSClientError
from moto.rds.models import DBInstanceClustered
from moto.rds.responses import RDSResponse

from local.aws.ebs import Box
from local.aws.ec2 import Host
from local.aws.rds_databases import Replacements
from local.aws.rds_limits import account_attributes
from local.aws.rds_snapshots import Snapshots
from local.replacing import replace

# "Constraints: Minimum 20, maximum 100", "Default: 100": the Describe pages of the API reference.
LEAST_RECORDS = 20
MOST_RECORDS = 100


def install(cloud: Box) -> Rds:
    """Make moto's RDS behave like this until `cloud.stack` closes; returns the switches."""
    rds = Rds(cloud)
    for owner, name, value in (*rds.operations(), *rds.databases(), *rds.snapshots()):
        replace(cloud.stack, owner, name, value)
    for owner, name, wrapped in (*rds.database_checks(), *rds.snapshot_checks()):
        replace(cloud.stack, owner, name, wrapped(getattr(owner, name)))
    return rds


def installed_in(cloud: Host) -> Rds:
    """The switches of a box's RDS, e.g. `installed_in(cloud).fail_snapshot_of("orders")`."""
    rds: Rds = cloud.extensions[__name__]
    return rds


def _as_method(handler: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
    """Moto finds the operations of a response class by looking for plain functions."""

    def operation(response: Any) -> ActionResult:
        return handler(response)

    return operation


@dataclass
class Rds(Snapshots):
    """What the installed RDS remembers, and its switches."""

    def operations(self) -> Replacements:
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
                "describe_account_attributes": self.describe_account_attributes,
            }.items()
        ]

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
        statuses = _filters(response).get("status", ["active", "creating", "retained"])
        found = [one for one in found if self._automated_backup(one)["Status"] in statuses]
        page, marker = _page(response, found)
        shown = [self._automated_backup(one) for one in page]
        return ActionResult({"DBInstanceAutomatedBackups": shown, "Marker": marker})

    def describe_account_attributes(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeAccountAttributes.html"""
        return account_attributes(response.backend, self.manual_snapshot_quota)


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
