"""RDS and Aurora in the box, held against the AWS page that each test names."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from botocore.exceptions import ClientError
from moto.rds.models import DBCluster, DBInstance, DBSnapshot, RDSBackend
from moto.rds.responses import RDSResponse

from local.aws import rds
from local.aws.rds import Rds
from local.clock import Clock
from local.pace import INSTANT, Pace
from tests.local.service_box import ACCOUNT, REGION, TWO_O_CLOCK, ServiceBox, service_box

TEN_MINUTES = Pace(db_snapshot_takes=timedelta(minutes=10))
PASSWORD = "correct-horse-battery"


class Box(ServiceBox):
    @property
    def rds(self) -> Rds:
        return rds.installed_in(self)


@pytest.fixture
def box() -> Iterator[Box]:
    with service_box(Box, rds, pace=TEN_MINUTES) as box:
        yield box


@pytest.fixture
def aws(box: Box) -> Any:
    return box.client("rds")


def instance(aws: Any, name: str = "orders", engine: str = "postgres", **more: Any) -> str:
    made = aws.create_db_instance(
        DBInstanceIdentifier=name,
        DBInstanceClass="db.t4g.medium",
        Engine=engine,
        AllocatedStorage=20,
        MasterUsername="admin1",
        MasterUserPassword=PASSWORD,
        PreferredBackupWindow="13:00-13:30",
        **more,
    )
    return str(made["DBInstance"]["DBInstanceIdentifier"])


def cluster(aws: Any, name: str = "ledger", **more: Any) -> str:
    aws.create_db_cluster(
        DBClusterIdentifier=name,
        Engine="aurora-postgresql",
        MasterUsername="admin1",
        MasterUserPassword=PASSWORD,
        **more,
    )
    aws.create_db_instance(
        DBInstanceIdentifier=f"{name}-1",
        DBClusterIdentifier=name,
        DBInstanceClass="db.r7g.large",
        Engine="aurora-postgresql",
    )
    return name


def snapshot(aws: Any, name: str, source: str = "orders", **tags: str) -> dict[str, Any]:
    made: dict[str, Any] = aws.create_db_snapshot(
        DBSnapshotIdentifier=name, DBInstanceIdentifier=source, Tags=listed(tags)
    )["DBSnapshot"]
    return made


def cluster_snapshot(aws: Any, name: str, source: str = "ledger", **tags: str) -> dict[str, Any]:
    made: dict[str, Any] = aws.create_db_cluster_snapshot(
        DBClusterSnapshotIdentifier=name, DBClusterIdentifier=source, Tags=listed(tags)
    )["DBClusterSnapshot"]
    return made


def listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def described(aws: Any, name: str | None = None, **request: Any) -> list[dict[str, Any]]:
    if name is not None:
        request["DBSnapshotIdentifier"] = name
    found: list[dict[str, Any]] = aws.describe_db_snapshots(**request)["DBSnapshots"]
    return found


def names(aws: Any, **request: Any) -> list[str]:
    return [one["DBSnapshotIdentifier"] for one in described(aws, **request)]


def status(aws: Any, name: str = "orders") -> str:
    [shown] = aws.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
    return str(shown["DBInstanceStatus"])


def shown_cluster(aws: Any, name: str = "ledger") -> dict[str, Any]:
    [shown] = aws.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"]
    assert isinstance(shown, dict)
    return shown


def code_of(failure: pytest.ExceptionInfo[ClientError]) -> str:
    return str(failure.value.response["Error"]["Code"])


# --- a snapshot's life ------------------------------------------------------------------------


def test_a_snapshot_is_hidden_then_creating_then_available(box: Box, aws: Any) -> None:
    """API_CreateDBSnapshot, API_DBSnapshot; boto3 issue 952: no SnapshotCreateTime at first."""
    instance(aws)
    made = snapshot(aws, "Orders-Nightly", point="5ca1ab1e")
    assert (made["Status"], made["PercentProgress"]) == ("creating", 0)
    assert made["DBSnapshotIdentifier"] == "orders-nightly"
    assert made["TagList"] == listed({"point": "5ca1ab1e"})
    assert "SnapshotCreateTime" not in made
    assert names(aws, SnapshotType="manual") == []
    with pytest.raises(ClientError) as failure:
        described(aws, "orders-nightly")
    assert code_of(failure) == "DBSnapshotNotFound"

    seen = []
    for minutes in (1, 4, 4):
        box.clock.run_for(timedelta(minutes=minutes))
        [shown] = described(aws, "orders-nightly")
        assert shown["Status"] == "creating"
        assert "SnapshotCreateTime" not in shown
        seen.append(shown["PercentProgress"])
    assert seen == [10, 50, 90]
    box.clock.run_for(timedelta(minutes=1))
    [shown] = described(aws, "orders-nightly")
    assert (shown["Status"], shown["PercentProgress"]) == ("available", 100)
    assert shown["SnapshotCreateTime"] == shown["OriginalSnapshotCreateTime"] == TWO_O_CLOCK
    assert shown["TagList"] == listed({"point": "5ca1ab1e"})
    assert shown["StorageType"] == "gp2"


def test_the_instance_is_backing_up_meanwhile(box: Box, aws: Any) -> None:
    """API_CreateDBSnapshot (InvalidDBInstanceState); accessing-monitoring.html: backing-up."""
    instance(aws)
    snapshot(aws, "first")
    assert status(aws) == "backing-up"
    with pytest.raises(ClientError) as failure:
        snapshot(aws, "second")
    assert code_of(failure) == "InvalidDBInstanceState"
    box.clock.run_for(timedelta(minutes=10))
    assert status(aws) == "available"
    snapshot(aws, "second")


def test_a_name_is_taken_from_the_first_moment(box: Box, aws: Any) -> None:
    """API_CreateDBSnapshot, DBSnapshotAlreadyExists: how a repeated call finds its first try."""
    instance(aws)
    snapshot(aws, "nightly")
    assert names(aws, SnapshotType="manual") == []
    for minutes in (0, 5, 10):
        box.clock.run_for(timedelta(minutes=minutes))
        with pytest.raises(ClientError) as failure:
            snapshot(aws, "NIGHTLY")
        assert code_of(failure) == "DBSnapshotAlreadyExists"


def test_a_failed_snapshot_is_told_by_nobody(box: Box, aws: Any) -> None:
    """USER_Events.Messages.html has no such event; it can be deleted, and is no backup."""
    instance(aws)
    box.rds.fail_snapshot_of("orders")
    snapshot(aws, "doomed")
    box.clock.run_for(timedelta(minutes=10))
    [shown] = described(aws, "doomed")
    assert (shown["Status"], shown["PercentProgress"]) == ("failed", 99)
    assert "SnapshotCreateTime" not in shown
    assert box.events.ids == ["RDS-EVENT-0040"]
    assert status(aws) == "available"
    aws.delete_db_snapshot(DBSnapshotIdentifier="doomed")
    snapshot(aws, "next")
    box.clock.run_for(timedelta(minutes=10))
    assert described(aws, "next")[0]["Status"] == "available"


def test_a_deleted_snapshot_lingers_and_keeps_its_name(box: Box, aws: Any) -> None:
    """API_DeleteDBSnapshot: only in the available state; USER_Events.Messages.html: 0041."""
    instance(aws)
    snapshot(aws, "nightly")
    box.clock.run_for(timedelta(minutes=5))
    with pytest.raises(ClientError) as failure:
        aws.delete_db_snapshot(DBSnapshotIdentifier="nightly")
    assert code_of(failure) == "InvalidDBSnapshotState"
    box.clock.run_for(timedelta(minutes=5))
    deleted = aws.delete_db_snapshot(DBSnapshotIdentifier="nightly")["DBSnapshot"]
    assert deleted["Status"] == "deleted"
    assert described(aws, "nightly")[0]["Status"] == "deleting"
    with pytest.raises(ClientError) as failure:
        aws.delete_db_snapshot(DBSnapshotIdentifier="nightly")
    assert code_of(failure) == "InvalidDBSnapshotState"
    with pytest.raises(ClientError) as failure:
        snapshot(aws, "nightly")
    assert code_of(failure) == "DBSnapshotAlreadyExists"
    box.clock.run_for(timedelta(minutes=1))
    with pytest.raises(ClientError) as failure:
        aws.delete_db_snapshot(DBSnapshotIdentifier="nightly")
    assert code_of(failure) == "DBSnapshotNotFound"
    assert box.events.ids == ["RDS-EVENT-0040", "RDS-EVENT-0042", "RDS-EVENT-0041"]
    snapshot(aws, "nightly")


def test_events_are_those_of_aws(box: Box, aws: Any) -> None:
    """rds-cloudwatch-events.sample.html#rds-cloudwatch-events.db-snapshots."""
    instance(aws)
    snapshot(aws, "nightly", owner="web")
    box.clock.run_for(timedelta(minutes=10))
    arn = f"arn:aws:rds:{REGION}:{ACCOUNT}:snapshot:nightly"
    begun, done = box.events.sent
    assert done | {"id": "any"} == {
        "version": "0",
        "id": "any",
        "detail-type": "RDS DB Snapshot Event",
        "source": "aws.rds",
        "account": ACCOUNT,
        "time": "2026-11-23T02:10:00Z",
        "region": REGION,
        "resources": [arn],
        "detail": {
            "EventCategories": ["creation"],
            "SourceType": "SNAPSHOT",
            "SourceArn": arn,
            "Date": "2026-11-23T02:10:00.000Z",
            "Message": "Manual snapshot created",
            "SourceIdentifier": "nightly",
            "EventID": "RDS-EVENT-0042",
            "Tags": {"owner": "web"},
        },
    }
    assert begun["detail"]["Message"] == "Creating manual snapshot"
    assert (begun["time"], begun["detail"]["EventID"]) == ("2026-11-23T02:00:00Z", "RDS-EVENT-0040")


def test_tags_are_copied_only_where_none_are_given(box: Box, aws: Any) -> None:
    """USER_Tagging.html#USER_Tagging.CopyTags: CopyTagsToSnapshot."""
    box.pace = INSTANT
    instance(aws, Tags=listed({"backup-plan": "gold"}), CopyTagsToSnapshot=True)
    assert snapshot(aws, "bare")["TagList"] == listed({"backup-plan": "gold"})
    assert snapshot(aws, "tagged", point="1")["TagList"] == listed({"point": "1"})
    assert described(aws, "tagged")[0]["TagList"] == listed({"point": "1"})
    arn = described(aws, "tagged")[0]["DBSnapshotArn"]
    assert aws.list_tags_for_resource(ResourceName=arn)["TagList"] == listed({"point": "1"})


@pytest.mark.parametrize(
    "tags",
    [
        {"run": "backup#gold"},
        {"note": "who? (me)"},
        {"note": "x" * 257},
        {"aws:mine": "1"},
        {"rds:mine": "1"},
        {f"tag-{number}": "1" for number in range(51)},
    ],
    ids=["hash", "brackets", "long", "aws", "rds", "many"],
)
def test_tags_that_rds_does_not_take(box: Box, aws: Any, tags: dict[str, str]) -> None:
    """API_Tag: letters, digits, spaces and `_.:/=+-@`; USER_Tagging.html: at most 50."""
    box.pace = INSTANT
    arn = f"arn:aws:rds:{REGION}:{ACCOUNT}:db:orders"
    instance(aws)
    cluster(aws)
    refused: list[Callable[[], object]] = [
        lambda: snapshot(aws, "nightly", **tags),
        lambda: cluster_snapshot(aws, "nightly", **tags),
        lambda: instance(aws, "other", Tags=listed(tags)),
        lambda: cluster(aws, "other", Tags=listed(tags)),
        lambda: aws.add_tags_to_resource(ResourceName=arn, Tags=listed(tags)),
    ]
    for call in refused:
        with pytest.raises(ClientError) as failure:
            call()
        assert code_of(failure) == "InvalidParameterValue"
    assert names(aws, SnapshotType="manual") == []
    fit = {"Größe 2": "a_b.c:d/e=f+g-h@i j", **{f"tag-{number}": "" for number in range(49)}}
    aws.add_tags_to_resource(ResourceName=arn, Tags=listed(fit))
    with pytest.raises(ClientError) as failure:
        aws.add_tags_to_resource(ResourceName=arn, Tags=listed({"one-more": "1"}))
    assert code_of(failure) == "InvalidParameterValue"
    aws.add_tags_to_resource(ResourceName=arn, Tags=listed({"tag-7": "changed"}))


# --- what cannot be backed up -----------------------------------------------------------------


@pytest.mark.parametrize("state", ["maintenance", "modifying", "upgrading", "rebooting"])
def test_only_what_is_available_can_be_backed_up(box: Box, aws: Any, state: str) -> None:
    """API_CreateDBSnapshot: "must be in the available or storage-optimization state"."""
    instance(aws)
    box.rds.make_busy("orders", state, timedelta(minutes=20))
    assert status(aws) == state
    with pytest.raises(ClientError) as failure:
        snapshot(aws, "nightly")
    assert code_of(failure) == "InvalidDBInstanceState"
    assert "not currently in the available state" in failure.value.response["Error"]["Message"]
    box.clock.run_for(timedelta(minutes=20))
    snapshot(aws, "nightly")


def test_storage_optimization_hinders_nobody(box: Box, aws: Any) -> None:
    """API_CreateDBSnapshot."""
    instance(aws)
    box.rds.make_busy("orders", "storage-optimization", timedelta(hours=20))
    assert snapshot(aws, "nightly")["Status"] == "creating"


def test_a_stopped_instance_refuses_until_it_starts_by_itself(box: Box, aws: Any) -> None:
    """USER_StopInstance.html: seven days; API_DBInstance: AutomaticRestartTime; event 0154."""
    instance(aws)
    box.clock.run_for(timedelta(hours=1))
    aws.stop_db_instance(DBInstanceIdentifier="orders")
    stopped_at = TWO_O_CLOCK + timedelta(hours=1)
    [shown] = aws.describe_db_instances()["DBInstances"]
    assert shown["DBInstanceStatus"] == "stopped"
    assert shown["AutomaticRestartTime"] == stopped_at + timedelta(days=7)
    with pytest.raises(ClientError) as failure:
        snapshot(aws, "nightly")
    assert code_of(failure) == "InvalidDBInstanceState"
    box.clock.run_for(timedelta(days=3))
    [shown] = aws.describe_db_instances()["DBInstances"]
    assert shown["LatestRestorableTime"] == stopped_at - timedelta(minutes=5)
    box.clock.run_for(timedelta(days=4))
    assert status(aws) == "available"
    assert box.events.ids == ["RDS-EVENT-0154"]
    snapshot(aws, "nightly")


def test_an_instance_started_by_hand_is_not_started_again(box: Box, aws: Any) -> None:
    """USER_StopInstance.html."""
    instance(aws)
    aws.stop_db_instance(DBInstanceIdentifier="orders")
    box.clock.run_for(timedelta(days=1))
    aws.start_db_instance(DBInstanceIdentifier="orders")
    box.clock.run_for(timedelta(days=2))
    aws.stop_db_instance(DBInstanceIdentifier="orders")
    box.clock.run_for(timedelta(days=5))
    assert status(aws) == "stopped"
    assert box.events.ids == []
    box.clock.run_for(timedelta(days=2))
    assert status(aws) == "available"


def test_a_stop_can_take_a_snapshot_first(box: Box, aws: Any) -> None:
    """API_StopDBInstance, DBSnapshotIdentifier."""
    instance(aws)
    aws.stop_db_instance(DBInstanceIdentifier="orders", DBSnapshotIdentifier="before-stop")
    box.clock.run_for(timedelta(minutes=10))
    assert described(aws, "before-stop")[0]["Status"] == "available"
    assert status(aws) == "stopped"


def test_a_lost_key_is_noticed_late(box: Box, aws: Any) -> None:
    """Overview.Encryption.html; API_CreateDBInstance: KMSKeyNotAccessibleFault."""
    kms = box.client("kms")
    key = kms.create_key()["KeyMetadata"]
    instance(aws, StorageEncrypted=True, KmsKeyId=key["KeyId"])
    [shown] = aws.describe_db_instances()["DBInstances"]
    assert shown["KmsKeyId"] == key["Arn"]
    kms.disable_key(KeyId=key["KeyId"])
    assert status(aws) == "available"
    with pytest.raises(ClientError) as failure:
        snapshot(aws, "nightly")
    assert code_of(failure) == "KMSKeyNotAccessibleFault"
    with pytest.raises(ClientError) as failure:
        instance(aws, "other", StorageEncrypted=True, KmsKeyId=key["Arn"])
    assert code_of(failure) == "KMSKeyNotAccessibleFault"
    box.clock.run_for(timedelta(minutes=30))
    assert status(aws) == "inaccessible-encryption-credentials-recoverable"
    with pytest.raises(ClientError) as failure:
        snapshot(aws, "nightly")
    assert code_of(failure) == "InvalidDBInstanceState"
    box.clock.run_for(timedelta(days=7))
    assert status(aws) == "inaccessible-encryption-credentials"


def test_a_key_that_comes_back_in_time_makes_the_instance_available(box: Box, aws: Any) -> None:
    """Overview.Encryption.html: recoverable."""
    kms = box.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    instance(aws, StorageEncrypted=True, KmsKeyId=key)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    box.clock.run_for(timedelta(hours=1))
    assert status(aws) == "inaccessible-encryption-credentials-recoverable"
    kms.cancel_key_deletion(KeyId=key)
    kms.enable_key(KeyId=key)
    assert snapshot(aws, "nightly")["Encrypted"] is True
    box.clock.run_for(timedelta(hours=1))
    kms.disable_key(KeyId=key)
    assert status(aws) == "available"  # lost anew, and not noticed yet


def test_what_is_encrypted_without_naming_a_key_has_that_of_aws(box: Box, aws: Any) -> None:
    """API_CreateDBInstance, KmsKeyId: "Amazon RDS uses your default KMS key"."""
    instance(aws, StorageEncrypted=True)
    default = box.client("kms").describe_key(KeyId="alias/aws/rds")["KeyMetadata"]["Arn"]
    assert snapshot(aws, "nightly")["KmsKeyId"] == default
    cluster(aws)
    assert "KmsKeyId" not in shown_cluster(aws)


@pytest.mark.parametrize(("engine", "allowed"), [("postgres", True), ("sqlserver-ee", False)])
def test_replicas_can_be_backed_up_but_for_sql_server(
    box: Box, aws: Any, engine: str, allowed: bool
) -> None:
    """USER_ReadRepl.Overview.Differences.html; USER_ReadRepl.Create.html: backups disabled."""
    instance(aws, engine=engine, Tags=listed({"backup-plan": "gold"}))
    box.clock.run_for(timedelta(minutes=10))
    aws.create_db_instance_read_replica(
        DBInstanceIdentifier="replica", SourceDBInstanceIdentifier="orders"
    )
    [shown] = aws.describe_db_instances(DBInstanceIdentifier="replica")["DBInstances"]
    assert shown["ReadReplicaSourceDBInstanceIdentifier"] == "orders"
    assert (shown["BackupRetentionPeriod"], shown["TagList"]) == (0, [])
    assert shown["InstanceCreateTime"] == TWO_O_CLOCK + timedelta(minutes=10)
    assert "LatestRestorableTime" not in shown
    [source] = aws.describe_db_instances(DBInstanceIdentifier="orders")["DBInstances"]
    assert source["ReadReplicaDBInstanceIdentifiers"] == ["replica"]
    assert source["DbiResourceId"] != shown["DbiResourceId"]
    if allowed:
        assert snapshot(aws, "of-replica", "replica")["DBInstanceIdentifier"] == "replica"
    else:
        with pytest.raises(ClientError) as failure:
            snapshot(aws, "of-replica", "replica")
        assert code_of(failure) == "InvalidDBInstanceState"


def test_a_replica_needs_a_source_with_backups(aws: Any) -> None:
    """API_CreateDBInstanceReadReplica: "must have backup retention enabled"."""
    instance(aws, BackupRetentionPeriod=0)
    with pytest.raises(ClientError) as failure:
        aws.create_db_instance_read_replica(
            DBInstanceIdentifier="replica", SourceDBInstanceIdentifier="orders"
        )
    assert code_of(failure) == "InvalidDBInstanceState"


def test_a_hundred_manual_snapshots_are_all(box: Box, aws: Any) -> None:
    """CHAP_Limits.html; automated ones do not count, nor do those of clusters."""
    box.pace = INSTANT
    instance(aws)
    cluster(aws)
    for number in range(100):
        box.rds.record_snapshot("orders", f"by-hand-{number}", created_at=TWO_O_CLOCK)
    with pytest.raises(ClientError) as failure:
        snapshot(aws, "one-too-many")
    assert code_of(failure) == "SnapshotQuotaExceeded"
    assert "100 manual snapshots" in failure.value.response["Error"]["Message"]
    with pytest.raises(ClientError) as failure:
        aws.copy_db_snapshot(
            SourceDBSnapshotIdentifier="by-hand-0", TargetDBSnapshotIdentifier="copy"
        )
    assert code_of(failure) == "SnapshotQuotaExceeded"
    cluster_snapshot(aws, "of-cluster")
    aws.delete_db_snapshot(DBSnapshotIdentifier="by-hand-7")
    box.rds.manual_snapshot_quota = 120
    assert quotas(aws) == {
        "DBInstances": (2, 40),
        "DBClusters": (1, 40),
        "ManualSnapshots": (99, 120),
        "ManualClusterSnapshots": (1, 120),
    }
    snapshot(aws, "now-it-fits")


def quotas(aws: Any) -> dict[str, tuple[int, int]]:
    """API_AccountQuota: used and most, by name."""
    shown = aws.describe_account_attributes()["AccountQuotas"]
    return {one["AccountQuotaName"]: (one["Used"], one["Max"]) for one in shown}


@pytest.mark.parametrize("name", ["", "1st", "a--b", "ends-", "under_score", "a" * 256])
def test_bad_names_are_refused(aws: Any, name: str) -> None:
    """API_CreateDBSnapshot, DBSnapshotIdentifier: constraints."""
    instance(aws)
    cluster(aws)
    for take in (snapshot, cluster_snapshot):
        with pytest.raises(ClientError) as failure:
            take(aws, name)
        assert code_of(failure) == "InvalidParameterValue"


def test_missing_sources_are_told(aws: Any) -> None:
    """API_CreateDBSnapshot, API_CreateDBClusterSnapshot."""
    for take, code in (
        (snapshot, "DBInstanceNotFound"),
        (cluster_snapshot, "DBClusterNotFoundFault"),
    ):
        with pytest.raises(ClientError) as failure:
            take(aws, "nightly", "no-such-thing")
        assert code_of(failure) == code


# --- Aurora -----------------------------------------------------------------------------------


def test_a_cluster_is_backed_up_not_its_members(box: Box, aws: Any) -> None:
    """API_CreateDBClusterSnapshot, API_DBClusterSnapshot; a member is refused."""
    cluster(aws)
    with pytest.raises(ClientError) as failure:
        snapshot(aws, "of-member", "ledger-1")
    assert code_of(failure) == "InvalidParameterValue"
    assert "CreateDBClusterSnapshot" in failure.value.response["Error"]["Message"]

    made = cluster_snapshot(aws, "nightly", point="1")
    assert (made["Status"], made["PercentProgress"]) == ("creating", 0)
    assert made["SnapshotCreateTime"] == TWO_O_CLOCK
    assert shown_cluster(aws)["Status"] == "backing-up"
    with pytest.raises(ClientError) as failure:
        cluster_snapshot(aws, "second")
    assert code_of(failure) == "InvalidDBClusterStateFault"
    with pytest.raises(ClientError) as failure:
        aws.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier="nightly")
    assert code_of(failure) == "DBClusterSnapshotNotFoundFault"

    box.clock.run_for(timedelta(minutes=10))
    [shown] = aws.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier="nightly")[
        "DBClusterSnapshots"
    ]
    assert (shown["Status"], shown["PercentProgress"]) == ("available", 100)
    assert shown["TagList"] == listed({"point": "1"})
    assert shown_cluster(aws)["Status"] == "available"
    with pytest.raises(ClientError) as failure:
        cluster_snapshot(aws, "nightly")
    assert code_of(failure) == "DBClusterSnapshotAlreadyExistsFault"


def test_events_of_clusters_are_backups(box: Box, aws: Any) -> None:
    """USER_Events.Messages.html#USER_Events.Messages.cluster-snapshot: none for deletion."""
    cluster(aws)
    cluster_snapshot(aws, "nightly")
    box.clock.run_for(timedelta(minutes=10))
    deleted = aws.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier="nightly")
    assert deleted["DBClusterSnapshot"]["Status"] == "deleted"
    box.clock.run_for(timedelta(minutes=1))
    assert box.events.ids == ["RDS-EVENT-0074", "RDS-EVENT-0075"]
    event = box.events.sent[-1]
    assert event["detail-type"] == "RDS DB Cluster Snapshot Event"
    assert event["detail"]["EventCategories"] == ["backup"]
    assert event["detail"]["SourceType"] == "CLUSTER_SNAPSHOT"
    assert event["detail"]["Message"] == "Manual cluster snapshot created"
    assert event["resources"] == [f"arn:aws:rds:{REGION}:{ACCOUNT}:cluster-snapshot:nightly"]


def test_a_stopped_cluster_refuses(aws: Any) -> None:
    """API_CreateDBClusterSnapshot: InvalidDBClusterStateFault."""
    cluster(aws)
    aws.describe_db_clusters()
    aws.stop_db_cluster(DBClusterIdentifier="ledger")
    with pytest.raises(ClientError) as failure:
        cluster_snapshot(aws, "nightly")
    assert code_of(failure) == "InvalidDBClusterStateFault"


# --- point in time ----------------------------------------------------------------------------


def test_the_restorable_span_ends_five_minutes_ago(box: Box, aws: Any) -> None:
    """USER_PIT.html; API_DBInstance; API_RestoreWindow."""
    instance(aws, BackupRetentionPeriod=7)
    [shown] = aws.describe_db_instances()["DBInstances"]
    assert "LatestRestorableTime" not in shown
    box.clock.run_for(timedelta(hours=1))
    [shown] = aws.describe_db_instances()["DBInstances"]
    assert shown["LatestRestorableTime"] == TWO_O_CLOCK + timedelta(minutes=55)
    [backup] = aws.describe_db_instance_automated_backups()["DBInstanceAutomatedBackups"]
    assert backup["RestoreWindow"] == {
        "EarliestTime": TWO_O_CLOCK,
        "LatestTime": TWO_O_CLOCK + timedelta(minutes=55),
    }
    assert (backup["Status"], backup["BackupRetentionPeriod"]) == ("active", 7)
    for status, found in (("active", [backup]), ("retained", [])):
        shown = aws.describe_db_instance_automated_backups(
            Filters=[{"Name": "status", "Values": [status]}]
        )
        assert shown["DBInstanceAutomatedBackups"] == found
    assert backup["DBInstanceAutomatedBackupsArn"].startswith(
        f"arn:aws:rds:{REGION}:{ACCOUNT}:auto-backup:ab-"
    )
    box.clock.run_for(timedelta(days=10))
    [backup] = aws.describe_db_instance_automated_backups(DBInstanceIdentifier="orders")[
        "DBInstanceAutomatedBackups"
    ]
    now = TWO_O_CLOCK + timedelta(days=10, hours=1)
    assert backup["RestoreWindow"]["EarliestTime"] == now - timedelta(days=7)


def test_without_retention_there_is_no_span(box: Box, aws: Any) -> None:
    """API_CreateDBInstance, BackupRetentionPeriod: 0 disables automated backups."""
    instance(aws, BackupRetentionPeriod=0)
    box.clock.run_for(timedelta(days=2))
    [shown] = aws.describe_db_instances()["DBInstances"]
    assert "LatestRestorableTime" not in shown
    assert aws.describe_db_instance_automated_backups()["DBInstanceAutomatedBackups"] == []
    assert names(aws, SnapshotType="automated") == []
    with pytest.raises(ClientError) as failure:
        aws.describe_db_instance_automated_backups(DBInstanceIdentifier="orders")
    assert code_of(failure) == "DBInstanceAutomatedBackupNotFound"


def test_a_clusters_span_is_its_own(box: Box, aws: Any) -> None:
    """API_DBCluster: EarliestRestorableTime, LatestRestorableTime."""
    cluster(aws, BackupRetentionPeriod=3)
    box.clock.run_for(timedelta(hours=2))
    shown = shown_cluster(aws)
    assert shown["EarliestRestorableTime"] == TWO_O_CLOCK
    assert shown["LatestRestorableTime"] == TWO_O_CLOCK + timedelta(minutes=115)
    [member] = aws.describe_db_instances()["DBInstances"]
    assert "LatestRestorableTime" not in member
    assert aws.describe_db_instance_automated_backups()["DBInstanceAutomatedBackups"] == []
    box.rds.backdate("ledger", TWO_O_CLOCK - timedelta(days=100))
    now = TWO_O_CLOCK + timedelta(hours=2)
    assert shown_cluster(aws)["EarliestRestorableTime"] == now - timedelta(days=3)


def test_the_daily_window_backs_up_and_lets_nobody_else(box: Box, aws: Any) -> None:
    """USER_WorkingWithAutomatedBackups.html#USER_WorkingWithAutomatedBackups.BackupWindow."""
    instance(aws, BackupRetentionPeriod=2)
    box.clock.run_until(datetime(2026, 11, 23, 13, 5, tzinfo=UTC))
    assert status(aws) == "backing-up"
    with pytest.raises(ClientError) as failure:
        snapshot(aws, "nightly")
    assert code_of(failure) == "InvalidDBInstanceState"
    box.clock.run_until(datetime(2026, 11, 23, 13, 10, tzinfo=UTC))
    assert status(aws) == "available"
    snapshot(aws, "nightly")
    assert names(aws, SnapshotType="automated") == [
        "rds:orders-2026-11-23-02-00",
        "rds:orders-2026-11-23-13-00",
    ]
    box.clock.run_for(timedelta(days=3))
    assert names(aws, SnapshotType="automated") == [
        "rds:orders-2026-11-25-13-00",
        "rds:orders-2026-11-26-13-00",
    ]
    with pytest.raises(ClientError) as failure:
        aws.delete_db_snapshot(DBSnapshotIdentifier="rds:orders-2026-11-26-13-00")
    assert code_of(failure) == "InvalidDBSnapshotState"
    assert "Only manual snapshots" in failure.value.response["Error"]["Message"]


def test_windows_are_described(aws: Any) -> None:
    """API_DBInstance, API_DBCluster: PreferredBackupWindow, PreferredMaintenanceWindow."""
    instance(aws, PreferredMaintenanceWindow="sun:04:00-sun:04:30")
    cluster(aws, PreferredBackupWindow="01:00-01:30")
    [shown] = aws.describe_db_instances(DBInstanceIdentifier="orders")["DBInstances"]
    assert shown["PreferredBackupWindow"] == "13:00-13:30"
    assert shown["PreferredMaintenanceWindow"] == "sun:04:00-sun:04:30"
    assert shown_cluster(aws)["PreferredBackupWindow"] == "01:00-01:30"


# --- lists ------------------------------------------------------------------------------------


def test_types_and_filters_choose(box: Box, aws: Any) -> None:
    """API_DescribeDBSnapshots: SnapshotType and the supported filters."""
    box.pace = INSTANT
    instance(aws)
    instance(aws, "users", engine="mysql")
    snapshot(aws, "nightly")
    snapshot(aws, "of-users", "users")
    box.rds.record_snapshot(
        "orders",
        "awsbackup:job-1",
        created_at=TWO_O_CLOCK - timedelta(days=1),
        snapshot_type="awsbackup",
        tags={"aws:backup:source-resource": "db-1"},
    )
    automated = ["rds:orders-2026-11-23-02-00", "rds:users-2026-11-23-02-00"]
    assert names(aws) == ["nightly", "of-users", *automated]
    assert names(aws, SnapshotType="awsbackup") == ["awsbackup:job-1"]
    assert names(aws, SnapshotType="manual") == ["nightly", "of-users"]
    assert names(aws, SnapshotType="shared") == []
    assert names(aws, SnapshotType="manual", DBInstanceIdentifier="users") == ["of-users"]
    [users] = aws.describe_db_instances(DBInstanceIdentifier="users")["DBInstances"]
    for name, value in (
        ("db-instance-id", "users"),
        ("db-instance-id", users["DBInstanceArn"]),
        ("dbi-resource-id", users["DbiResourceId"]),
        ("db-snapshot-id", "of-users"),
        ("engine", "mysql"),
    ):
        filters = [{"Name": name, "Values": [value]}]
        assert names(aws, SnapshotType="manual", Filters=filters) == ["of-users"], name
    assert names(aws, SnapshotType="manual", DbiResourceId=users["DbiResourceId"]) == ["of-users"]
    with pytest.raises(ClientError) as failure:
        names(aws, Filters=[{"Name": "colour", "Values": ["red"]}])
    assert code_of(failure) == "InvalidParameterValue"


def test_snapshots_come_in_pages_that_nothing_shifts(box: Box, aws: Any) -> None:
    """API_DescribeDBSnapshots: MaxRecords of 20 to 100, Marker."""
    box.pace = INSTANT
    instance(aws)
    made = sorted(f"by-hand-{number:02}" for number in range(45))
    for name in made:
        box.rds.record_snapshot("orders", name, created_at=TWO_O_CLOCK)
    first = aws.describe_db_snapshots(MaxRecords=20, SnapshotType="manual")
    assert [one["DBSnapshotIdentifier"] for one in first["DBSnapshots"]] == made[:20]
    aws.delete_db_snapshot(DBSnapshotIdentifier=made[3])
    rest = aws.get_paginator("describe_db_snapshots").paginate(
        SnapshotType="manual",
        PaginationConfig={"PageSize": 20, "StartingToken": None},
    )
    assert [len(page["DBSnapshots"]) for page in rest] == [20, 20, 4]
    second = aws.describe_db_snapshots(MaxRecords=20, SnapshotType="manual", Marker=first["Marker"])
    assert [one["DBSnapshotIdentifier"] for one in second["DBSnapshots"]] == made[20:40]


@pytest.mark.parametrize(
    ("operation", "list_name"),
    [
        ("describe_db_instances", "DBInstances"),
        ("describe_db_clusters", "DBClusters"),
        ("describe_db_cluster_snapshots", "DBClusterSnapshots"),
        ("describe_db_instance_automated_backups", "DBInstanceAutomatedBackups"),
    ],
)
def test_everything_else_comes_in_pages_too(aws: Any, operation: str, list_name: str) -> None:
    """The API page of each: MaxRecords of 20 to 100, Marker."""
    for number in range(21):
        if "instance" in operation:
            instance(aws, f"orders-{number}")
        else:
            aws.create_db_cluster(
                DBClusterIdentifier=f"ledger-{number}",
                Engine="aurora-postgresql",
                MasterUsername="admin1",
                MasterUserPassword=PASSWORD,
            )
    pages = aws.get_paginator(operation).paginate(PaginationConfig={"PageSize": 20})
    assert [len(page[list_name]) for page in pages] == [20, 1]
    for request in ({"MaxRecords": 19}, {"MaxRecords": 101}, {"Marker": "made-up"}):
        with pytest.raises(ClientError) as failure:
            getattr(aws, operation)(**request)
        assert code_of(failure) == "InvalidParameterValue"


# --- copies and restores ----------------------------------------------------------------------


def test_only_available_snapshots_are_restored(box: Box, aws: Any) -> None:
    """API_RestoreDBInstanceFromDBSnapshot, API_RestoreDBClusterFromSnapshot."""
    instance(aws)
    cluster(aws)
    snapshot(aws, "nightly")
    cluster_snapshot(aws, "of-cluster")
    box.clock.run_for(timedelta(minutes=1))
    with pytest.raises(ClientError) as failure:
        aws.restore_db_instance_from_db_snapshot(
            DBInstanceIdentifier="restored", DBSnapshotIdentifier="nightly"
        )
    assert code_of(failure) == "InvalidDBSnapshotState"
    with pytest.raises(ClientError) as failure:
        aws.restore_db_cluster_from_snapshot(
            DBClusterIdentifier="restored",
            SnapshotIdentifier="of-cluster",
            Engine="aurora-postgresql",
        )
    assert code_of(failure) == "InvalidDBClusterSnapshotStateFault"
    box.clock.run_for(timedelta(minutes=10))
    aws.restore_db_instance_from_db_snapshot(
        DBInstanceIdentifier="restored", DBSnapshotIdentifier="nightly"
    )
    assert status(aws, "restored") == "available"


def test_a_copy_is_a_snapshot_like_others(box: Box, aws: Any) -> None:
    """API_CopyDBSnapshot; moto's own, which takes no time."""
    box.pace = INSTANT
    instance(aws)
    snapshot(aws, "nightly", point="1")
    aws.copy_db_snapshot(
        SourceDBSnapshotIdentifier="nightly", TargetDBSnapshotIdentifier="copy", CopyTags=True
    )
    [shown] = described(aws, "copy")
    assert (shown["Status"], shown["TagList"]) == ("available", listed({"point": "1"}))


# --- the wire, the end ------------------------------------------------------------------------


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_it_works_over_http_too() -> None:
    """What `make cloud` serves is what tests see."""
    with service_box(Box, rds, pace=TEN_MINUTES, over_http=True) as box:
        aws = box.client("rds")
        instance(aws, "wired")
        assert snapshot(aws, "over-http", "wired")["Status"] == "creating"
        box.clock.run_for(timedelta(minutes=10))
        assert described(aws, "over-http")[0]["Status"] == "available"


def test_everything_is_undone_when_the_stack_closes() -> None:
    patched = (RDSResponse, RDSBackend, DBInstance, DBCluster, DBSnapshot)
    before = [dict(vars(owner)) for owner in patched]
    with ExitStack() as stack, time_machine.travel(TWO_O_CLOCK, tick=False) as traveller:
        rds.install(Box(stack, Clock(traveller), TEN_MINUTES))
        assert [dict(vars(owner)) for owner in patched] != before
    assert [dict(vars(owner)) for owner in patched] == before
