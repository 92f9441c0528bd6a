"""Restores in the box, held against the AWS page that each test names, and what they contain."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.aws import (
    dynamodb_backups,
    dynamodb_restores,
    dynamodb_tables,
    ebs_blocks,
    ec2,
    ec2_restores,
    kms,
    rds,
    rds_restores,
)
from local.aws.rds_restores import Content, RdsRestores
from local.pace import INSTANT
from tests.local.service_box import REGION, ServiceBox, service_box

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
PASSWORD = "correct-horse-battery"
FRESH = "staple-battery-horse"
EXTENSIONS = (
    *(ec2, ebs_blocks, kms, rds, dynamodb_tables, dynamodb_backups),
    *(rds_restores, dynamodb_restores, ec2_restores),
)


class Box(ServiceBox):
    @property
    def databases(self) -> RdsRestores:
        return rds_restores.installed_in(self)

    @property
    def tables(self) -> dynamodb_restores.DynamodbRestores:
        return dynamodb_restores.installed_in(self)

    def wait(self, minutes: float) -> None:
        self.clock.run_for(minutes * MINUTE)

    def database(self, name: str = "orders", **more: Any) -> str:
        self.client("rds").create_db_instance(
            DBInstanceIdentifier=name,
            DBInstanceClass="db.t4g.medium",
            Engine="postgres",
            AllocatedStorage=20,
            MasterUsername="admin1",
            MasterUserPassword=PASSWORD,
            PreferredBackupWindow="13:00-13:30",
            **more,
        )
        return name

    def snapshot(self, name: str = "nightly", source: str = "orders") -> str:
        self.client("rds").create_db_snapshot(
            DBSnapshotIdentifier=name, DBInstanceIdentifier=source
        )
        return name

    def restore(self, name: str = "drill", snapshot: str = "nightly", **more: Any) -> Any:
        return self.client("rds").restore_db_instance_from_db_snapshot(
            DBInstanceIdentifier=name, DBSnapshotIdentifier=snapshot, **more
        )["DBInstance"]

    def shown(self, name: str = "drill") -> Any:
        found = self.client("rds").describe_db_instances(DBInstanceIdentifier=name)
        return found["DBInstances"][0]

    def table(self, items: int = 10) -> str:
        """The ARN of a backup of a table with so many items."""
        aws = self.client("dynamodb")
        aws.create_table(
            TableName="carts",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
            DeletionProtectionEnabled=True,
            Tags=[{"Key": "owner", "Value": "web"}],
        )
        for number in range(items):
            self.put(number)
        return str(
            aws.create_backup(TableName="carts", BackupName="nightly")["BackupDetails"]["BackupArn"]
        )

    def put(self, number: int) -> None:
        item = {"id": {"S": f"cart {number}"}, "at": {"N": str(number)}}
        self.client("dynamodb").put_item(TableName="carts", Item=item)

    def restore_table(self, backup: str, name: str = "drill") -> Any:
        return self.client("dynamodb").restore_table_from_backup(
            TargetTableName=name, BackupArn=backup
        )["TableDescription"]

    def items(self, name: str = "drill") -> dict[str, int]:
        found = self.client("dynamodb").scan(TableName=name)["Items"]
        return {one["id"]["S"]: int(one["at"]["N"]) for one in found}


@pytest.fixture
def box() -> Iterator[Box]:
    with service_box(Box, *EXTENSIONS, pace=INSTANT) as box:
        yield box


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as failure:
        call()
    return str(failure.value.response["Error"]["Code"])


# --- databases --------------------------------------------------------------------------------


def test_a_restore_takes_its_time_and_loses_settings(box: Box) -> None:
    """API_RestoreDBInstanceFromDBSnapshot; accessing-monitoring.html."""
    tags = [{"Key": "owner", "Value": "web"}]
    box.database(DeletionProtection=True, MultiAZ=True, CopyTagsToSnapshot=True, Tags=tags)
    box.snapshot()
    made = box.restore(Tags=[{"Key": "drill", "Value": "1"}])
    assert made["DBInstanceStatus"] == "creating"
    states = []
    for minutes in (11, 2, 4):
        box.wait(minutes)
        states.append(box.shown()["DBInstanceStatus"])
    assert states == ["creating", "backing-up", "available"]
    shown = box.shown()
    assert not shown["DeletionProtection"]
    assert not shown["MultiAZ"]
    assert shown["TagList"] == [{"Key": "drill", "Value": "1"}]
    assert shown["DBInstanceClass"] == "db.t4g.medium"
    assert box.events.ids[-1] == "RDS-EVENT-0043"
    box.restore("unsaved", BackupRetentionPeriod=0)
    box.wait(12)
    assert box.shown("unsaved")["DBInstanceStatus"] == "available"


def test_productions_password_opens_a_restore_until_another_is_in_force(box: Box) -> None:
    """API_ModifyDBInstance, MasterUserPassword: "applied as soon as possible"."""
    box.database()
    box.snapshot()
    box.restore()
    aws = box.client("rds")

    def renew() -> None:
        aws.modify_db_instance(DBInstanceIdentifier="drill", MasterUserPassword=FRESH)

    assert refusal(renew) == "InvalidDBInstanceState"
    box.wait(20)
    assert box.databases.opens("drill", PASSWORD)
    renew()
    assert box.shown()["DBInstanceStatus"] == "resetting-master-credentials"
    assert box.databases.opens("drill", PASSWORD)
    box.wait(1)
    assert box.databases.opens("drill", FRESH)
    assert not box.databases.opens("drill", PASSWORD)
    assert box.databases.opens("orders", PASSWORD)


def test_a_database_is_deleted_only_when_told_what_to_leave(box: Box) -> None:
    """API_DeleteDBInstance."""
    box.database(DeletionProtection=True)
    aws = box.client("rds")

    def delete(**more: Any) -> None:
        aws.delete_db_instance(DBInstanceIdentifier="orders", **more)

    assert refusal(delete) == "InvalidParameterCombination"
    both = {"SkipFinalSnapshot": True, "FinalDBSnapshotIdentifier": "last"}
    assert refusal(lambda: delete(**both)) == "InvalidParameterCombination"
    assert refusal(lambda: delete(SkipFinalSnapshot=True)) == "InvalidParameterCombination"
    aws.modify_db_instance(DBInstanceIdentifier="orders", DeletionProtection=False)
    delete(FinalDBSnapshotIdentifier="last")
    assert box.shown("orders")["DBInstanceStatus"] == "deleting"
    assert refusal(lambda: delete(SkipFinalSnapshot=True)) == "InvalidDBInstanceState"
    box.wait(5)
    assert refusal(lambda: box.shown("orders")) == "DBInstanceNotFound"
    box.restore(snapshot="last")
    assert (
        refusal(
            lambda: aws.delete_db_instance(DBInstanceIdentifier="drill", SkipFinalSnapshot=True)
        )
        == "InvalidDBInstanceState"
    )  # it is still being made


def test_a_restored_cluster_has_no_members_and_goes_after_those_it_got(box: Box) -> None:
    """API_RestoreDBClusterFromSnapshot, API_DeleteDBCluster."""
    aws = box.client("rds")
    engine = {"Engine": "aurora-postgresql"}
    aws.create_db_cluster(
        DBClusterIdentifier="ledger", MasterUsername="a1", MasterUserPassword=PASSWORD, **engine
    )
    aws.create_db_cluster_snapshot(
        DBClusterIdentifier="ledger", DBClusterSnapshotIdentifier="nightly"
    )
    kept = box.databases.content_of_snapshot("nightly")

    def restore() -> None:
        aws.restore_db_cluster_from_snapshot(
            DBClusterIdentifier="drill", SnapshotIdentifier="nightly", **engine
        )

    def status() -> str:
        [found] = aws.describe_db_clusters(DBClusterIdentifier="drill")["DBClusters"]
        assert not found["DBClusterMembers"] or found["DBClusterMembers"][0]["IsClusterWriter"]
        return str(found["Status"])

    restore()
    assert refusal(restore) == "DBClusterAlreadyExistsFault"
    assert (status(), status()) == ("creating", "creating")
    box.wait(12)
    assert status() == "available"
    member = {"DBInstanceIdentifier": "drill-1", "DBClusterIdentifier": "drill"}
    aws.create_db_instance(DBInstanceClass="db.r7g.large", **member, **engine)
    assert box.shown("drill-1")["DBInstanceStatus"] == "creating"
    box.wait(12)
    assert box.shown("drill-1")["DBInstanceStatus"] == "available"
    assert box.databases.content("drill-1") == kept
    aws.modify_db_instance(DBInstanceIdentifier="drill-1", PromotionTier=15)
    assert box.databases.opens("drill-1", PASSWORD)

    def delete() -> None:
        aws.delete_db_cluster(DBClusterIdentifier="drill", SkipFinalSnapshot=True)

    assert refusal(delete) == "InvalidDBClusterStateFault"
    aws.delete_db_instance(DBInstanceIdentifier="drill-1")
    delete()
    assert status() == "deleting"
    box.wait(5)
    assert refusal(status) == "DBClusterNotFoundFault"


def test_what_cannot_be_restored(box: Box) -> None:
    """API_RestoreDBInstanceFromDBSnapshot: InstanceQuotaExceeded, KMSKeyNotAccessibleFault."""
    key = box.client("kms").create_key()["KeyMetadata"]["KeyId"]
    box.database(StorageEncrypted=True, KmsKeyId=key)
    box.snapshot()
    box.databases.fail_restores_of("nightly")
    box.restore()
    box.wait(30)
    assert box.shown()["DBInstanceStatus"] == "incompatible-restore"
    box.client("kms").disable_key(KeyId=key)
    assert refusal(lambda: box.restore("locked")) == "KMSKeyNotAccessibleFault"
    box.databases.quota = 2
    assert refusal(lambda: box.restore("third")) == "InstanceQuotaExceeded"


def test_a_snapshot_keeps_what_the_database_held(box: Box) -> None:
    """A database grows with the clock; its snapshot, and what is restored from it, does not."""
    box.database()
    box.snapshot()
    then = box.databases.content("orders")
    box.wait(24 * 60)
    now = box.databases.content("orders")
    assert now.tables["orders"].count == then.tables["orders"].count + 24 * 60
    box.restore()
    box.wait(60)
    assert box.databases.content("drill") == box.databases.content_of_snapshot("nightly") == then
    box.snapshot("of a drill".replace(" ", "-"), "drill")
    assert box.databases.content_of_snapshot("of-a-drill") == then


def differs(good: Content, bad: Content) -> set[str]:
    """In what the content of a bad snapshot differs from that of a good one."""
    found = {"identity"} if good.identity != bad.identity else set()
    for name, rows in good.tables.items():
        other = bad.tables[name]
        found |= {f"{name} count"} if rows.count != other.count else set()
        found |= {f"{name} newest"} if rows.newest != other.newest else set()
        found |= {f"{name} digest"} if rows.digest != other.digest else set()
    return found


ALL = {f"{table} {what}" for table in rds_restores.GROWTH for what in ("count", "newest", "digest")}


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda one: one.empty("nightly"), ALL),
        (lambda one: one.truncate("nightly"), ALL),
        (lambda one: one.age("nightly", 3 * DAY), ALL),
        (
            lambda one: one.swap("nightly", "billing"),
            {"identity", *(name for name in ALL if "digest" in name)},
        ),
        (lambda one: one.flip_byte("nightly", "orders"), {"orders digest"}),
        (
            lambda one: one.lose_newest("nightly", "orders", DAY),
            {"orders count", "orders newest", "orders digest"},
        ),
    ],
    ids=["empty", "truncated", "older", "another's", "one byte", "newest rows"],
)
def test_bad_snapshots_differ_in_one_way_each(
    box: Box, spoil: Callable[[RdsRestores], None], expected: set[str]
) -> None:
    box.database()
    box.database("billing")
    box.snapshot()
    good = box.databases.content_of_snapshot("nightly")
    spoil(box.databases)
    box.restore()
    assert differs(good, box.databases.content("drill")) == expected


def test_a_setting_can_be_lost_though_it_was_told(box: Box) -> None:
    box.database()
    box.snapshot()
    box.restore("kept", CopyTagsToSnapshot=True)
    box.databases.lose_setting("nightly", "copy_tags_to_snapshot")
    box.restore("lost", CopyTagsToSnapshot=True)
    assert [box.shown(name)["CopyTagsToSnapshot"] for name in ("kept", "lost")] == [True, False]


# --- tables -----------------------------------------------------------------------------------


def test_a_restored_table_is_created_read_and_deleted_in_its_time(box: Box) -> None:
    """API_RestoreTableFromBackup; CreateBackup.html on what is lost; API_TableDescription."""
    backup = box.table()
    box.put(99)  # after the backup
    aws = box.client("dynamodb")
    assert box.restore_table(backup)["TableStatus"] == "CREATING"
    assert refusal(box.items) == "ResourceNotFoundException"
    assert refusal(lambda: aws.delete_table(TableName="drill")) == "ResourceInUseException"
    assert refusal(lambda: aws.delete_backup(BackupArn=backup)) == "BackupInUseException"
    assert refusal(lambda: box.restore_table(backup)) == "TableAlreadyExistsException"
    box.wait(10)
    shown = aws.describe_table(TableName="drill")["Table"]
    assert (shown["TableStatus"], shown["ItemCount"]) == ("ACTIVE", 0)
    assert not shown["DeletionProtectionEnabled"]
    assert shown["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert aws.list_tags_of_resource(ResourceArn=shown["TableArn"])["Tags"] == []
    assert box.items() == {f"cart {number}": number for number in range(10)}
    box.wait(6 * 60)
    assert aws.describe_table(TableName="drill")["Table"]["ItemCount"] == 10
    aws.delete_table(TableName="drill")
    assert aws.describe_table(TableName="drill")["Table"]["TableStatus"] == "DELETING"
    box.wait(1)
    assert refusal(lambda: aws.describe_table(TableName="drill")) == "ResourceNotFoundException"
    assert len(box.items("carts")) == 11


def test_so_many_restores_at_once(box: Box) -> None:
    """API_RestoreTableFromBackup, LimitExceededException."""
    backup = box.table()
    box.tables.at_once = 2
    box.restore_table(backup, "one")
    box.restore_table(backup, "two")
    assert refusal(lambda: box.restore_table(backup, "three")) == "LimitExceededException"
    box.wait(10)
    box.restore_table(backup, "three")


def test_restoring_to_a_point_in_time_is_slow_too(box: Box) -> None:
    """API_RestoreTableToPointInTime: by the ARN of the source, as well as by its name."""
    box.table()
    aws = box.client("dynamodb")
    aws.update_continuous_backups(
        TableName="carts", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    box.wait(60)
    source = aws.describe_table(TableName="carts")["Table"]["TableArn"]
    aws.restore_table_to_point_in_time(
        SourceTableArn=source, TargetTableName="drill", UseLatestRestorableTime=True
    )
    assert refusal(box.items) == "ResourceNotFoundException"
    box.wait(10)
    assert len(box.items()) == 10


@pytest.mark.parametrize(
    ("spoil", "left"),
    [
        (lambda one, backup, _: one.empty(backup), 0),
        (lambda one, backup, _: one.truncate(backup), 5),
        (lambda one, backup, _: one.lose_newest(backup, "at", 3), 7),
        (lambda one, backup, other: one.swap(backup, other), 11),
    ],
    ids=["empty", "truncated", "newest items", "another's"],
)
def test_bad_backups(
    box: Box,
    spoil: Callable[[dynamodb_restores.DynamodbRestores, str, str], None],
    left: int,
) -> None:
    backup = box.table()
    box.put(99)
    other = box.client("dynamodb").create_backup(TableName="carts", BackupName="later")
    spoil(box.tables, backup, other["BackupDetails"]["BackupArn"])
    box.restore_table(backup)
    box.wait(10)
    assert len(box.items()) == left
    assert len(box.items("carts")) == 11


def test_one_flipped_byte_changes_one_item(box: Box) -> None:
    aws = box.client("dynamodb")
    box.table()
    item = {"id": {"S": "cart 0"}, "at": {"N": "0"}, "note": {"S": "as is"}}
    aws.put_item(TableName="carts", Item=item)
    backup = aws.create_backup(TableName="carts", BackupName="later")["BackupDetails"]["BackupArn"]
    box.tables.flip_byte(backup, "note")
    box.restore_table(backup)
    box.wait(10)
    key = {"id": {"S": "cart 0"}}
    [found, original] = [
        aws.get_item(TableName=name, Key=key)["Item"] for name in ("drill", "carts")
    ]
    assert (found, original) == (item | {"note": {"S": "`s is"}}, item)


# --- volumes and verifiers --------------------------------------------------------------------


def volume(aws: Any, snapshot: str, token: str = "1", size: int = 8) -> str:
    made = aws.create_volume(
        SnapshotId=snapshot, AvailabilityZone=f"{REGION}a", ClientToken=token, Size=size
    )
    return str(made["VolumeId"])


def test_a_volume_is_available_long_before_it_is_initialised(box: Box) -> None:
    """API_CreateVolume; API_DescribeVolumeStatus; initalize-volume.html."""
    aws = box.client("ec2")
    original = aws.create_volume(AvailabilityZone=f"{REGION}a", Size=8)["VolumeId"]
    snapshot = aws.create_snapshot(VolumeId=original)["SnapshotId"]
    made = volume(aws, snapshot)
    assert volume(aws, snapshot) == made
    mismatch = refusal(lambda: volume(aws, snapshot, size=9))
    assert mismatch == "IdempotentParameterMismatch"

    def look() -> tuple[str, int]:
        [shown] = aws.describe_volumes(VolumeIds=[made])["Volumes"]
        [status] = aws.describe_volume_status(VolumeIds=[made])["VolumeStatuses"]
        return shown["State"], status["InitializationStatusDetails"]["Progress"]

    assert look() == ("creating", 0)
    assert refusal(lambda: aws.delete_volume(VolumeId=made)) == "IncorrectState"
    seen = []
    for minutes in (1, 20, 20):
        box.wait(minutes)
        seen.append(look())
    assert seen == [("available", 0), ("available", 50), ("available", 100)]
    events = [one["event"] for one in box.events.details("EBS Volume Notification")]
    assert events == ["createVolume", "initializeVolume"]
    aws.delete_volume(VolumeId=made)
    assert look()[0] == "deleting"
    box.wait(1)
    assert refusal(look) == "InvalidVolume.NotFound"


def test_a_volume_without_its_key_ends_in_error(box: Box) -> None:
    """API_CreateVolume, KmsKeyId: "the action can appear to complete, but eventually fails"."""
    aws = box.client("ec2")
    key = box.client("kms").create_key()["KeyMetadata"]["Arn"]
    original = aws.create_volume(
        AvailabilityZone=f"{REGION}a", Size=8, Encrypted=True, KmsKeyId=key
    )["VolumeId"]
    snapshot = aws.create_snapshot(VolumeId=original)["SnapshotId"]
    box.client("kms").disable_key(KeyId=key)
    made = volume(aws, snapshot)
    box.wait(2)
    [shown] = aws.describe_volumes(VolumeIds=[made])["Volumes"]
    assert shown["State"] == "error"
    [event] = box.events.details("EBS Volume Notification")
    assert (event["result"], event["cause"]) == ("failed", f"{key} is disabled.")


def test_an_instance_starts_and_ends_in_its_time(box: Box) -> None:
    """ec2-instance-lifecycle.html; ec2-api-idempotency.html."""
    aws = box.client("ec2")

    def run() -> str:
        made = aws.run_instances(ImageId="ami-1", MinCount=1, MaxCount=1, ClientToken="1")
        return str(made["Instances"][0]["InstanceId"])

    def state() -> str:
        shown = aws.describe_instances(InstanceIds=[one])["Reservations"][0]["Instances"]
        return str(shown[0]["State"]["Name"])

    one = run()
    assert run() == one
    seen = [state()]
    box.wait(1)
    seen.append(state())
    aws.terminate_instances(InstanceIds=[one])
    aws.terminate_instances(InstanceIds=[one])
    seen.append(state())
    box.wait(1)
    assert [*seen, state()] == ["pending", "running", "shutting-down", "terminated"]
