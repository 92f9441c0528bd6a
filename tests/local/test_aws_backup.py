"""AWS Backup in the box, held against the AWS page that each test names."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.backup import urls

from local.aws import backup, dynamodb_backups, ec2, rds
from local.aws.backup import Backups
from local.pace import INSTANT
from tests.local.service_box import ACCOUNT, REGION, TWO_O_CLOCK, ServiceBox, service_box

DAY = timedelta(days=1)
FILES = f"arn:aws:elasticfilesystem:{REGION}:{ACCOUNT}:file-system/fs-0a1b2c3d"


class Box(ServiceBox):
    @property
    def backups(self) -> Backups:
        return backup.installed_in(self)


@pytest.fixture
def box() -> Iterator[Box]:
    with service_box(Box, ec2, rds, dynamodb_backups, backup, pace=INSTANT) as box:
        box.client("backup").create_backup_vault(BackupVaultName="nightly")
        yield box


@pytest.fixture
def aws(box: Box) -> Any:
    return box.client("backup")


def made(box: Box) -> dict[str, str]:
    """One resource of each kind: its ARN by the type that AWS Backup gives it."""
    ec2_arn = f"arn:aws:ec2:{REGION}:{ACCOUNT}"
    instance = box.client("ec2").run_instances(
        ImageId="ami-0c101f26f147fa7fd", MinCount=1, MaxCount=1
    )["Instances"][0]
    volume = box.client("ec2").create_volume(AvailabilityZone=f"{REGION}a", Size=8)
    login = {"MasterUsername": "harbour", "MasterUserPassword": "correct-horse-battery"}
    database = box.client("rds").create_db_instance(
        DBInstanceIdentifier="orders",
        DBInstanceClass="db.t4g.medium",
        Engine="postgres",
        AllocatedStorage=20,
        **login,
    )["DBInstance"]
    cluster = box.client("rds").create_db_cluster(
        DBClusterIdentifier="ledger", Engine="aurora-postgresql", **login
    )["DBCluster"]
    table = box.client("dynamodb").create_table(
        TableName="rates",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )["TableDescription"]
    return {
        "EC2": f"{ec2_arn}:instance/{instance['InstanceId']}",
        "EBS": f"{ec2_arn}:volume/{volume['VolumeId']}",
        "RDS": database["DBInstanceArn"],
        "Aurora": cluster["DBClusterArn"],
        "DynamoDB": table["TableArn"],
        "EFS": FILES,
    }


def listed(aws: Any, vault: str = "nightly", **filters: Any) -> list[dict[str, Any]]:
    answer = aws.list_recovery_points_by_backup_vault(BackupVaultName=vault, **filters)
    found: list[dict[str, Any]] = answer["RecoveryPoints"]
    return found


def shown_by_its_service(box: Box) -> dict[str, list[str]]:
    """What the services themselves show of AWS Backup's, by type."""
    ours = [{"Name": "tag-key", "Values": ["aws:backup:source-resource"]}]
    aws, databases = box.client("ec2"), box.client("rds")
    snapshots = aws.describe_snapshots(OwnerIds=["self"], Filters=ours)["Snapshots"]
    images = aws.describe_images(Owners=["self"], Filters=ours)["Images"]
    in_images = {
        mapping["Ebs"]["SnapshotId"] for image in images for mapping in image["BlockDeviceMappings"]
    }
    loose = {one["SnapshotId"] for one in snapshots} - in_images
    of_instances = databases.describe_db_snapshots(SnapshotType="awsbackup")["DBSnapshots"]
    of_clusters = databases.describe_db_cluster_snapshots(SnapshotType="awsbackup")
    of_tables = box.client("dynamodb").list_backups(BackupType="AWS_BACKUP")["BackupSummaries"]
    return {
        "EC2": [f"arn:aws:ec2:{REGION}::image/{one['ImageId']}" for one in images],
        "EBS": [f"arn:aws:ec2:{REGION}::snapshot/{one}" for one in loose],
        "RDS": [one["DBSnapshotArn"] for one in of_instances],
        "Aurora": [one["DBClusterSnapshotArn"] for one in of_clusters["DBClusterSnapshots"]],
        "DynamoDB": [one["BackupArn"] for one in of_tables],
    }


def test_a_recovery_point_is_in_its_vault_and_in_its_service_until_it_expires(
    box: Box, aws: Any
) -> None:
    """API_ListRecoveryPointsByBackupVault; the ARN is that of what the service shows."""
    at = TWO_O_CLOCK - DAY
    arns = {
        kind: box.backups.record_recovery_point("nightly", resource, created_at=at, gib=20)
        for kind, resource in made(box).items()
    }
    found = {one["ResourceType"]: one for one in listed(aws)}
    assert {kind: one["RecoveryPointArn"] for kind, one in found.items()} == arns
    assert {one["Status"] for one in found.values()} == {"COMPLETED"}
    assert {one["CreationDate"] for one in found.values()} == {at}
    elsewhere = {kind: arn for kind, [arn] in shown_by_its_service(box).items()}
    assert elsewhere | {"EFS": arns["EFS"]} == arns
    assert arns["EFS"].startswith(f"arn:aws:backup:{REGION}:{ACCOUNT}:recovery-point:")
    for arn in arns.values():
        box.backups.expire(arn)
    box.clock.run_for(DAY)
    assert listed(aws) == []
    assert set(map(tuple, shown_by_its_service(box).values())) == {()}


def test_a_continuous_backup_is_available_and_nowhere_else(box: Box, aws: Any) -> None:
    """https://docs.aws.amazon.com/aws-backup/latest/devguide/point-in-time-recovery.html"""
    orders = made(box)["RDS"]
    box.backups.record_recovery_point(
        "nightly", orders, created_at=TWO_O_CLOCK - DAY, status="AVAILABLE", continuous=True
    )
    [one] = listed(aws)
    assert ":recovery-point:continuous:orders-" in one["RecoveryPointArn"]
    assert one["Status"] == "AVAILABLE"
    assert shown_by_its_service(box)["RDS"] == []


def test_what_cannot_be_deleted_stays_as_expired(box: Box, aws: Any) -> None:
    """API_DescribeRecoveryPoint, Status: EXPIRED."""
    arn = box.backups.record_recovery_point("nightly", FILES, created_at=TWO_O_CLOCK)
    box.backups.expire(arn, refused=True)
    [one] = listed(aws)
    assert one["Status"] == "EXPIRED"
    assert one["StatusMessage"]


def test_only_describing_one_shows_its_storage_class(box: Box, aws: Any) -> None:
    """API_DescribeRecoveryPoint; it is in no list."""
    lifecycle = {"MoveToColdStorageAt": TWO_O_CLOCK + DAY}
    arn = box.backups.record_recovery_point(
        "nightly", FILES, created_at=TWO_O_CLOCK, lifecycle=lifecycle
    )

    def storage_class() -> str:
        answer = aws.describe_recovery_point(BackupVaultName="nightly", RecoveryPointArn=arn)
        return str(answer["StorageClass"])

    assert storage_class() == "WARM"
    box.clock.run_for(2 * DAY)
    assert storage_class() == "COLD"
    assert "StorageClass" not in listed(aws)[0]
    assert listed(aws)[0]["CalculatedLifecycle"] == lifecycle


def test_lists_come_in_pages_of_a_thousand(box: Box, aws: Any) -> None:
    arns = {
        box.backups.record_recovery_point("nightly", FILES, created_at=TWO_O_CLOCK)
        for _ in range(1_003)
    }
    pages = list(
        aws.get_paginator("list_recovery_points_by_backup_vault").paginate(
            BackupVaultName="nightly"
        )
    )
    assert [len(page["RecoveryPoints"]) for page in pages] == [1_000, 3]
    assert {one["RecoveryPointArn"] for page in pages for one in page["RecoveryPoints"]} == arns
    aws.create_backup_vault(BackupVaultName="weekly")
    vaults = aws.get_paginator("list_backup_vaults").paginate(PaginationConfig={"PageSize": 1})
    assert [page["BackupVaultList"][0]["NumberOfRecoveryPoints"] for page in vaults] == [1_003, 0]


def test_a_list_can_be_of_one_resource(box: Box, aws: Any) -> None:
    resources = made(box)
    for kind in ("RDS", "EFS"):
        box.backups.record_recovery_point("nightly", resources[kind], created_at=TWO_O_CLOCK)
    for filters in ({"ByResourceArn": resources["RDS"]}, {"ByResourceType": "RDS"}):
        assert [one["ResourceType"] for one in listed(aws, **filters)] == ["RDS"]


@pytest.mark.parametrize(
    ("closed", "vault", "code"),
    [
        pytest.param(set(), "weekly", "ResourceNotFoundException", id="no such vault"),
        pytest.param({"nightly"}, "nightly", "AccessDeniedException", id="its own policy"),
        pytest.param({"*"}, "nightly", "AccessDeniedException", id="the organisation's"),
    ],
)
def test_a_vault_that_is_closed_or_not_there(
    box: Box, aws: Any, closed: set[str], vault: str, code: str
) -> None:
    box.backups.closed |= closed
    with pytest.raises(ClientError) as failure:
        listed(aws, vault)
    assert failure.value.response["Error"]["Code"] == code
    if "*" not in closed:
        assert len(aws.list_backup_vaults()["BackupVaultList"]) == 1
        return
    with pytest.raises(ClientError) as failure:
        aws.list_backup_vaults()
    assert failure.value.response["Error"]["Code"] == code


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_it_works_over_http_too() -> None:
    """What `make cloud` serves is what tests see."""
    with service_box(Box, backup, pace=INSTANT, over_http=True) as box:
        aws = box.client("backup")
        aws.create_backup_vault(BackupVaultName="nightly")
        arn = box.backups.record_recovery_point("nightly", FILES, created_at=TWO_O_CLOCK)
        assert [one["RecoveryPointArn"] for one in listed(aws, ByResourceArn=FILES)] == [arn]
        one = aws.describe_recovery_point(BackupVaultName="nightly", RecoveryPointArn=arn)
        assert one["ResourceType"] == "EFS"


def test_nothing_of_it_is_left_in_moto() -> None:
    before = dict(urls.url_paths)
    with service_box(Box, backup, pace=INSTANT):
        assert urls.url_paths != before
    assert urls.url_paths == before
