"""AWS Backup as far as reading it goes: its vaults and what is in them, which moto leaves empty.

`install(cloud)` patches moto's classes until `cloud.stack` closes. Backups are not made here:
`record_recovery_point` puts one of the past into a vault, together with the snapshot, image or
backup that the service of its resource shows.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from moto.backup import urls
from moto.backup.exceptions import InvalidParameterValueException, ResourceNotFoundException
from moto.backup.models import backup_backends
from moto.backup.responses import BackupResponse
from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.moto_api._internal import mock_random
from moto.rds.models import rds_backends

from local.aws import dynamodb_backups, ec2, rds
from local.aws.ebs import Box
from local.replacing import replace

# MaxResults, "Valid Range: Minimum value of 1. Maximum value of 1000":
# https://docs.aws.amazon.com/aws-backup/latest/devguide/API_ListRecoveryPointsByBackupVault.html
MOST_LISTED = 1000

DESCRIPTION = "This snapshot is created by the AWS Backup service."
SOURCE_TAG = "aws:backup:source-resource"
GIB = 2**30

PATHS = (
    "{0}/backup-vaults/(?P<name>[^/]+)/recovery-points/$",
    "{0}/backup-vaults/(?P<name>[^/]+)/recovery-points/(?P<arn>.+)$",
)

# By the service and the type in a resource's ARN.
RESOURCE_TYPES = {
    ("ec2", "volume"): "EBS",
    ("ec2", "instance"): "EC2",
    ("rds", "db"): "RDS",
    ("rds", "cluster"): "Aurora",
    ("dynamodb", "table"): "DynamoDB",
    ("elasticfilesystem", "file-system"): "EFS",
}


class Host(Box, ec2.Host):
    """What this file needs of the cloud in a box: also its other extensions."""

    def client(self, name: str) -> Any: ...


class AccessDenied(JsonRESTError):
    """What a vault's own policy, or one of the organisation, answers."""

    code = 403

    def __init__(self) -> None:
        message = "Insufficient privileges to perform this action."
        super().__init__("AccessDeniedException", message)


def install(cloud: Host) -> Backups:
    """Make moto's AWS Backup behave like this until `cloud.stack` closes; returns the switches."""
    backups = Backups(cloud)
    for name, handler in backups.operations().items():
        replace(cloud.stack, BackupResponse, name, _as_method(handler))
    for path in PATHS:
        urls.url_paths[path] = BackupResponse.dispatch
        cloud.stack.callback(urls.url_paths.pop, path)
    return backups


def installed_in(cloud: ec2.Host) -> Backups:
    """The switches of a box's AWS Backup, e.g. `installed_in(cloud).record_recovery_point(…)`."""
    backups: Backups = cloud.extensions[__name__]
    return backups


def _as_method(handler: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
    """Moto finds the operations of a response class by looking for plain functions."""

    def operation(response: Any) -> ActionResult:
        return handler(response)

    return operation


@dataclass
class Backups:
    """What the vaults hold, and the switches."""

    cloud: Host
    points: dict[str, dict[str, Any]] = field(default_factory=dict)
    """As DescribeRecoveryPoint shows them, by ARN."""
    closed: set[str] = field(default_factory=set)
    """Names of vaults that nobody may look into; `*` closes the list of vaults, too."""

    # --- switches ---

    def record_recovery_point(
        self,
        vault: str,
        resource_arn: str,
        *,
        created_at: datetime,
        status: str = "COMPLETED",
        gib: int = 1,
        continuous: bool = False,
        lifecycle: dict[str, datetime] | None = None,
    ) -> str:
        """Put a recovery point of the past into a vault; returns its ARN.

        `lifecycle` is its CalculatedLifecycle. One that is continuous or of a kind that AWS Backup
        keeps by itself is nowhere else; of all others their own service shows a snapshot, image or
        backup.
        """
        service, thing = _service_and_type(resource_arn)
        kind = RESOURCE_TYPES[service, thing]
        arn = self._recorded(kind, resource_arn, created_at, continuous=continuous)
        self.points[arn] = {
            "RecoveryPointArn": arn,
            "BackupVaultName": vault,
            "BackupVaultArn": self._vault(vault).backup_vault_arn,
            "ResourceArn": resource_arn,
            "ResourceType": kind,
            "IamRoleArn": f"arn:aws:iam::{self.cloud.account_id}:role/service-role/"
            "AWSBackupDefaultServiceRole",
            "Status": status,
            "CreationDate": created_at,
            "InitiationDate": created_at,
            "CompletionDate": created_at + self.cloud.pace.deletion_takes,
            "BackupSizeInBytes": gib * GIB,
            "CalculatedLifecycle": lifecycle or {},
            "IsEncrypted": False,
            "IsParent": False,
            "VaultType": "BACKUP_VAULT",
        }
        return arn

    def expire(self, recovery_point_arn: str, *, refused: bool = False) -> None:
        """Its time is over: it leaves the vault and its service, or stays as `EXPIRED` where AWS
        Backup is refused its deletion.
        """
        if refused:
            self.points[recovery_point_arn] |= {
                "Status": "EXPIRED",
                "StatusMessage": "The recovery point could not be deleted.",
            }
            return
        point = self.points.pop(recovery_point_arn)
        match point["ResourceType"]:
            case "EBS":
                self._delete_snapshots([recovery_point_arn.rsplit("/", 1)[-1]])
            case "EC2":
                image = recovery_point_arn.rsplit("/", 1)[-1]
                snapshots = self._snapshots_of(image)
                self.cloud.client("ec2").deregister_image(ImageId=image)
                self._delete_snapshots(snapshots)
            case "RDS" | "Aurora":
                backend = rds_backends[self.cloud.account_id][self.cloud.region]
                name = recovery_point_arn.split(":", 6)[6]
                for kept in (backend.database_snapshots, backend.cluster_snapshots):
                    kept.pop(name, None)
            case "DynamoDB":
                dynamodb_backups.installed_in(self.cloud).backend.backups.pop(recovery_point_arn)
            case _:
                pass  # it was in the vault alone

    def _delete_snapshots(self, snapshots: Iterable[str]) -> None:
        for snapshot in snapshots:
            self.cloud.client("ec2").delete_snapshot(SnapshotId=snapshot)

    def _snapshots_of(self, image_id: str) -> list[str]:
        [image] = self.cloud.client("ec2").describe_images(ImageIds=[image_id])["Images"]
        return [mapping["Ebs"]["SnapshotId"] for mapping in image["BlockDeviceMappings"]]

    def _recorded(
        self, kind: str, resource_arn: str, created_at: datetime, *, continuous: bool
    ) -> str:
        cloud = self.cloud
        ours = f"arn:aws:backup:{cloud.region}:{cloud.account_id}:recovery-point"
        name = resource_arn.replace("/", ":").rsplit(":", 1)[-1]
        job = mock_random.uuid4()
        tags = {SOURCE_TAG: resource_arn}
        if continuous:
            return f"{ours}:continuous:{name}-{job.hex[:8]}"
        match kind:
            case "EBS":
                snapshot = ec2.installed_in(cloud).record_snapshot(
                    name, started_at=created_at, description=DESCRIPTION, tags=tags
                )
                return f"arn:aws:ec2:{cloud.region}::snapshot/{snapshot}"
            case "EC2":
                return f"arn:aws:ec2:{cloud.region}::image/{self._image(name, resource_arn)}"
            case "RDS" | "Aurora":
                return rds.installed_in(cloud).record_snapshot(
                    name,
                    f"awsbackup:job-{job}",
                    created_at=created_at,
                    snapshot_type="awsbackup",
                    tags=tags,
                )
            case "DynamoDB":
                return dynamodb_backups.installed_in(cloud).record_backup(
                    name, f"awsbackup-{job}", created_at=created_at, backup_type="AWS_BACKUP"
                )
            case _:
                return f"{ours}:{str(job).upper()}"

    def _image(self, instance_id: str, resource_arn: str) -> str:
        """An image of an instance as it is now, tagged as AWS Backup tags it and its snapshots."""
        aws, backend = self.cloud.client("ec2"), ec2.installed_in(self.cloud).backend
        name = f"AwsBackup_{instance_id}_{mock_random.uuid4()}"
        image_id = aws.create_image(InstanceId=instance_id, Name=name, NoReboot=True)["ImageId"]
        backend.amis[image_id].add_tags({SOURCE_TAG: resource_arn})
        for snapshot in self._snapshots_of(image_id):
            backend.snapshots[snapshot].add_tags({SOURCE_TAG: resource_arn})
        return str(image_id)

    # --- operations ---

    def operations(self) -> dict[str, Callable[[Any], ActionResult]]:
        """API operations, by moto's name for them, that this file answers itself."""
        return {
            "list_backup_vaults": self.list_backup_vaults,
            "list_recovery_points_by_backup_vault": self.list_recovery_points,
            "describe_recovery_point": self.describe_recovery_point,
        }

    def list_backup_vaults(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/aws-backup/latest/devguide/API_ListBackupVaults.html"""
        if "*" in self.closed:
            raise AccessDenied
        shown = [
            vault.to_list_dict()
            | {
                "VaultType": "BACKUP_VAULT",
                "VaultState": "AVAILABLE",
                "NumberOfRecoveryPoints": len(self._in(vault.backup_vault_name)),
            }
            for vault in self._backend.vaults.values()
        ]
        page, token = _page(response, shown, "BackupVaultArn")
        return ActionResult({"BackupVaultList": page, "NextToken": token})

    def list_recovery_points(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/aws-backup/latest/devguide/API_ListRecoveryPointsByBackupVault.html"""
        vault, _ = _asked(response)
        self._check_open(vault)
        wanted = _filters(response)
        chosen = [
            {name: value for name, value in one.items() if name != "StorageClass"}
            for one in self._in(vault)
            if wanted.items() <= one.items()
        ]
        page, token = _page(response, chosen, "RecoveryPointArn")
        return ActionResult({"RecoveryPoints": page, "NextToken": token})

    def describe_recovery_point(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/aws-backup/latest/devguide/API_DescribeRecoveryPoint.html"""
        vault, arn = _asked(response)
        self._check_open(vault)
        for one in self._in(vault):
            if one["RecoveryPointArn"] == arn:
                cold_from = one["CalculatedLifecycle"].get("MoveToColdStorageAt")
                is_cold = cold_from is not None and cold_from <= self.cloud.clock.now()
                return ActionResult(one | {"StorageClass": "COLD" if is_cold else "WARM"})
        raise ResourceNotFoundException(msg=f"Recovery point {arn} was not found.")

    @property
    def _backend(self) -> Any:
        return backup_backends[self.cloud.account_id][self.cloud.region]

    def _vault(self, name: str) -> Any:
        if name not in self._backend.vaults:
            raise ResourceNotFoundException(msg=f"Backup vault {name} not found")
        return self._backend.vaults[name]

    def _check_open(self, vault: str) -> None:
        self._vault(vault)
        if self.closed & {vault, "*"}:
            raise AccessDenied

    def _in(self, vault: str) -> list[dict[str, Any]]:
        return [one for one in self.points.values() if one["BackupVaultName"] == vault]


def _service_and_type(arn: str) -> tuple[str, str]:
    service, resource = arn.split(":", 5)[2::3]
    return service, resource.replace("/", ":").split(":")[0]


def _asked(response: Any) -> tuple[str, str]:
    """The vault's name and the recovery point's ARN, if any, of a request's path."""
    _, _, vault, _, arn = response.path.split("/", 4)
    return vault, unquote(arn)


def _filters(response: Any) -> dict[str, str]:
    """Of the filters that AWS Backup knows, those that are known here, too."""
    given = response.normalized_request.args
    known = {"resourceArn": "ResourceArn", "resourceType": "ResourceType"}
    if unknown := given.keys() - known.keys() - {"maxResults", "nextToken"}:
        raise NotImplementedError(f"the box lists no recovery points by {sorted(unknown)}")
    return {known[name]: given[name] for name in given.keys() & known.keys()}


def _page(
    response: Any, found: Iterable[dict[str, Any]], by: str
) -> tuple[Sequence[dict[str, Any]], str | None]:
    """One page in the order of the ARNs, and the token of the next, which is a place in it."""
    given = response.normalized_request.args
    size = int(given.get("maxResults", MOST_LISTED))
    if not 1 <= size <= MOST_LISTED:
        raise InvalidParameterValueException(msg=f"MaxResults must be from 1 to {MOST_LISTED}")
    after = _place_of(given.get("nextToken"))
    later = sorted((one for one in found if one[by] > after), key=lambda one: str(one[by]))
    if len(later) <= size:
        return later, None
    page = later[:size]
    return page, base64.urlsafe_b64encode(str(page[-1][by]).encode()).decode()


def _place_of(token: str | None) -> str:
    try:
        return base64.urlsafe_b64decode((token or "").encode()).decode()
    except (ValueError, binascii.Error) as error:
        raise InvalidParameterValueException(msg="Provided NextToken is not valid.") from error
