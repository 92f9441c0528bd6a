"""What other services of AWS keep of this account's resources: read, never touched.

EBS shows the snapshots that AWS Backup and Data Lifecycle Manager manage, each with its tags. AWS
Backup shows the rest: images of instances, snapshots of databases, backups of tables. An EBS
snapshot in a vault is in both; only EBS's answer counts, for EBS knows whether it is still there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from watchkeeper import naming
from watchkeeper.aws.client import client
from watchkeeper.aws.ec2 import COPY, SNAPSHOT_PAGE
from watchkeeper.aws.errors import translated
from watchkeeper.aws.iam import needs
from watchkeeper.aws.paging import paged
from watchkeeper.backups.model import Kind, Part, Place, RecoveryPoint, State
from watchkeeper.quoting import quoted

AWS_BACKUP = "AWS Backup"
VAULT_PAGE = 1000
"""The most that AWS Backup's lists give a page."""
GIB = 2**30
KINDS = {
    "EC2": Kind.INSTANCE,
    "EBS": Kind.VOLUME,
    "RDS": Kind.DATABASE,
    "Aurora": Kind.CLUSTER,
    "DynamoDB": Kind.TABLE,
}
"""Resource types of AWS Backup that a plan can protect, too. The others (file systems, buckets,
whole CloudFormation stacks, …) are in no catalogue: no plan has an objective for them.
"""
USABLE = frozenset({"COMPLETED", "AVAILABLE"})
"""https://docs.aws.amazon.com/aws-backup/latest/devguide/API_DescribeRecoveryPoint.html, Status."""
TAGS = {
    "aws:backup:source-resource": AWS_BACKUP,
    "aws:dlm:lifecycle-policy-id": "Data Lifecycle Manager",
}
"""Tags on the snapshots that other services take and manage; nobody else can set them."""


@dataclass(frozen=True)
class Vault:
    """What a backup vault holds of the resources of this account and Region."""

    points: tuple[RecoveryPoint, ...]
    continuous: frozenset[str]
    """ARNs of the resources with a continuous backup. AWS Backup does not tell which span that can
    restore; the service that makes it does.
    """


class BackupVaults:
    """What AWS Backup keeps in its vaults."""

    def __init__(self, place: tuple[str, str, str]) -> None:
        self.place = place
        """Partition, Region and account."""

    @cached_property
    def client(self) -> Any:
        return client("backup")

    @needs("backup:ListBackupVaults")
    def names(self) -> list[str]:
        """Of the vaults that can be looked into."""
        found = self._pages("list_backup_vaults", "BackupVaultList")
        # A logically air-gapped vault takes time to be made, and may fail to be.
        return [
            vault["BackupVaultName"]
            for vault in found
            if vault.get("VaultState", "AVAILABLE") == "AVAILABLE"
        ]

    @needs("backup:ListRecoveryPointsByBackupVault")
    def held(self, vault: str, now: datetime) -> Vault:
        """Raises NotThere if the vault is gone, Denied also where its own policy forbids it."""
        points, continuous = [], set()
        name = "list_recovery_points_by_backup_vault"
        for found in self._pages(name, "RecoveryPoints", BackupVaultName=vault):
            if not self._counts(found):
                continue
            if ":recovery-point:continuous:" in found["RecoveryPointArn"]:
                continuous.add(found["ResourceArn"])
            elif found["Status"] != "CREATING":
                points.append(self._point(found, now))
        return Vault(tuple(points), frozenset(continuous))

    def _counts(self, found: Mapping[str, Any]) -> bool:
        """Whether it is of a resource that a plan of this stack could protect, and shown nowhere
        else.
        """
        here = tuple(found["ResourceArn"].split(":")[index] for index in (1, 3, 4))
        is_snapshot = naming.ec2_id(found["RecoveryPointArn"]).startswith("snap-")
        return found["ResourceType"] in KINDS and here == self.place and not is_snapshot

    def _point(self, found: Mapping[str, Any], now: datetime) -> RecoveryPoint:
        resource, arn = found["ResourceArn"], found["RecoveryPointArn"]
        usable = found["Status"] in USABLE
        reason = f": {quoted(found['StatusMessage'])}" if found.get("StatusMessage") else ""
        gib = -(-found.get("BackupSizeInBytes", 0) // GIB)
        return RecoveryPoint(
            resource=resource,
            id=naming.short_id(arn),
            kind=_kind(found),
            created_at=found["CreationDate"],
            run="",
            plan="",
            place=replace(Place.of(self.place), tier=_tier(found, now)),
            state=State.COMPLETED if usable else State.FAILED,
            parts=(Part(arn, resource, gib),),
            completed_at=found.get("CompletionDate") if usable else None,
            why="" if usable else f"{AWS_BACKUP} shows it as {found['Status']}{reason}",
            keys=tuple(filter(None, [found.get("EncryptionKeyArn")])),
            keeper=AWS_BACKUP,
        )

    def _pages(self, operation: str, key: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        """Every item under `key`, page after page."""
        return paged(self.client, operation, key, VAULT_PAGE, **arguments)


def _kind(found: Mapping[str, Any]) -> Kind:
    # RDS with readable standbys is a cluster, though AWS Backup calls it by the same type.
    is_cluster = ":cluster:" in found["ResourceArn"]
    return Kind.CLUSTER if is_cluster else KINDS[found["ResourceType"]]


def _tier(found: Mapping[str, Any], now: datetime) -> str:
    """The list does not show the storage class, only when it is to change. Of what is read here
    only backups of tables can: AWS Backup ignores that setting for instances and databases.
    """
    cold_from = found.get("CalculatedLifecycle", {}).get("MoveToColdStorageAt")
    is_cold = _kind(found) is Kind.TABLE and cold_from and cold_from <= now
    return "cold" if is_cold else "standard"


class ManagedSnapshots:
    """EBS snapshots that other services of AWS manage."""

    def __init__(self, place: tuple[str, str, str]) -> None:
        self.place = place
        """Partition, Region and account."""

    @cached_property
    def client(self) -> Any:
        return client("ec2")

    @needs("ec2:DescribeSnapshots")
    def points(self) -> list[RecoveryPoint]:
        """One of a volume for each snapshot that has ended.

        Those that Data Lifecycle Manager takes for an image are tagged like all its others, so that
        its images need no call of their own.
        """
        pages = self.client.get_paginator("describe_snapshots").paginate(
            OwnerIds=["self"],
            Filters=[
                {"Name": "tag-key", "Values": list(TAGS)},
                {"Name": "status", "Values": ["completed", "error"]},
            ],
            PaginationConfig={"PageSize": SNAPSHOT_PAGE},
        )
        with translated("ec2:DescribeSnapshots"):
            found = [snapshot for page in pages for snapshot in page["Snapshots"]]
        return [self._point(one) for one in found if not _is_of_another(one)]

    def _point(self, found: Mapping[str, Any]) -> RecoveryPoint:
        resource = naming.volume_arn(self.place, found["VolumeId"])
        usable = found["State"] == "completed"
        reason = f": {quoted(found['StateMessage'])}" if found.get("StateMessage") else ""
        tier = found.get("StorageTier", "standard")
        return RecoveryPoint(
            resource=resource,
            id=naming.short_id(found["SnapshotId"]),
            kind=Kind.VOLUME,
            created_at=found["StartTime"],
            run="",
            plan="",
            place=replace(Place.of(self.place), tier=tier),
            state=State.COMPLETED if usable else State.FAILED,
            parts=(Part(found["SnapshotId"], found["VolumeId"], found["VolumeSize"]),),
            completed_at=found.get("CompletionTime") if usable else None,
            why="" if usable else f"EBS shows it as {found['State']}{reason}",
            keys=tuple(filter(None, [found.get("KmsKeyId")])),
            keeper=next(keeper for tag, keeper in TAGS.items() if tag in _tags(found)),
        )


def _is_of_another(found: Mapping[str, Any]) -> bool:
    """A copy, which shows no volume of ours; or one disk of an image that AWS Backup keeps of a
    whole instance, which its vault shows.
    """
    source = _tags(found).get("aws:backup:source-resource", "")
    return found["VolumeId"] == COPY or naming.ec2_id(source).startswith("i-")


def _tags(found: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}
