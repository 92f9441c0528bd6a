"""What IAM looks up in the box: the world as it is, whatever a Describe shows of it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.aws import dynamodb_backups, rds
from local.pace import Pace
from local.rights import World
from tests.local.service_box import ACCOUNT, REGION, ServiceBox, service_box

MINUTE = timedelta(minutes=1)
PACE = Pace(
    hidden_for=5 * MINUTE,
    db_snapshot_takes=MINUTE,
    deletion_takes=3 * MINUTE,
    ddb_backups_enabled_after=timedelta(0),
)
RDS = f"arn:aws:rds:{REGION}:{ACCOUNT}"
DYNAMODB = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}"
TAGS = [{"Key": "stack", "Value": "wk"}]


@pytest.fixture
def box() -> Iterator[ServiceBox]:
    with service_box(ServiceBox, rds, dynamodb_backups, pace=PACE) as box:
        yield box


@pytest.fixture
def world(box: ServiceBox) -> World:
    return World(box.account_id, box.region)


def database(aws: Any, name: str, **more: Any) -> None:
    aws.create_db_instance(
        DBInstanceIdentifier=name,
        DBInstanceClass="db.t4g.medium",
        Engine="postgres",
        AllocatedStorage=20,
        MasterUsername="admin1",
        MasterUserPassword="correct-horse-battery",
        PreferredBackupWindow="13:00-13:30",
        **more,
    )


def cluster(aws: Any, name: str, **more: Any) -> None:
    aws.create_db_cluster(
        DBClusterIdentifier=name,
        Engine="aurora-postgresql",
        MasterUsername="admin1",
        MasterUserPassword="correct-horse-battery",
        **more,
    )


def table(aws: Any, name: str, **more: Any) -> None:
    aws.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        **more,
    )


def test_the_tags_of_a_snapshot_are_there_before_it_is_shown_and_gone_once_it_is(
    box: ServiceBox, world: World
) -> None:
    aws = box.client("rds")
    database(aws, "orders")
    aws.create_db_snapshot(DBInstanceIdentifier="orders", DBSnapshotIdentifier="wk-1", Tags=TAGS)
    with pytest.raises(ClientError, match="DBSnapshotNotFound"):
        aws.describe_db_snapshots(DBSnapshotIdentifier="wk-1")
    assert world.tags_of(f"{RDS}:snapshot:wk-1") == {"stack": "wk"}

    box.clock.run_for(6 * MINUTE)
    aws.delete_db_snapshot(DBSnapshotIdentifier="wk-1")
    assert world.tags_of(f"{RDS}:snapshot:wk-1") == {"stack": "wk"}
    box.clock.run_for(4 * MINUTE)
    assert world.tags_of(f"{RDS}:snapshot:wk-1") == {}


def test_tags_of_databases_and_tables(box: ServiceBox, world: World) -> None:
    relational, tables = box.client("rds"), box.client("dynamodb")
    database(relational, "orders", Tags=TAGS)
    cluster(relational, "ledger", Tags=TAGS)
    relational.create_db_cluster_snapshot(
        DBClusterIdentifier="ledger", DBClusterSnapshotIdentifier="wk-1", Tags=TAGS
    )
    table(tables, "rates", Tags=TAGS)
    backup = tables.create_backup(TableName="rates", BackupName="nightly")["BackupDetails"]
    tagged = ["db:orders", "cluster:ledger", "cluster-snapshot:wk-1"]
    assert [world.tags_of(f"{RDS}:{one}") for one in tagged] == [{"stack": "wk"}] * 3
    assert world.tags_of(f"{DYNAMODB}:table/rates") == {"stack": "wk"}
    assert world.tags_of(f"{DYNAMODB}:table/rates/index/by-day") == {"stack": "wk"}
    # Backups of tables cannot be tagged, and do not inherit.
    assert world.tags_of(backup["BackupArn"]) == {}
    unheard = [f"{RDS}:db:unheard", f"{RDS}:db:*", f"{DYNAMODB}:table/unheard"]
    assert [world.tags_of(one) for one in unheard] == [{}] * 3


def test_tags_that_are_not_looked_up_are_unknown_and_not_none(world: World) -> None:
    assert world.tags_of(f"{RDS}:og:default") is None
    assert world.tags_of("arn:aws:s3:::bucket/key") is None


def test_only_keys_that_customers_manage_are_asked_for(box: ServiceBox, world: World) -> None:
    relational, tables, kms = (box.client(name) for name in ("rds", "dynamodb", "kms"))
    key = kms.create_key(Tags=[{"TagKey": "stack", "TagValue": "wk"}])["KeyMetadata"]["Arn"]
    database(relational, "plain")
    database(relational, "by-aws", StorageEncrypted=True)
    database(relational, "by-us", StorageEncrypted=True, KmsKeyId=key)
    cluster(relational, "ledger", StorageEncrypted=True, KmsKeyId=key)
    table(tables, "plain")
    table(tables, "by-aws", SSESpecification={"Enabled": True, "SSEType": "KMS"})
    ours = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
    table(tables, "by-us", SSESpecification=ours)
    names = ("plain", "by-aws", "by-us")
    assert [world.key_of(f"{RDS}:db:{name}") for name in names] == ["", "", key]
    assert world.key_of(f"{RDS}:cluster:ledger") == key
    assert [world.key_of(f"{DYNAMODB}:table/{name}") for name in names] == ["", "", key]
    assert world.key_of("arn:aws:sns:us-east-1:123456789012:news") is None
    assert world.tags_of(key) == {"stack": "wk"}


def test_an_object_is_there_until_a_delete_marker_hides_it(box: ServiceBox, world: World) -> None:
    s3, arn = box.client("s3"), "arn:aws:s3:::evidence/manifests/a:b.json"
    assert world.has_object(arn) is False
    s3.create_bucket(Bucket="evidence")
    versioning = {"Status": "Enabled"}
    s3.put_bucket_versioning(Bucket="evidence", VersioningConfiguration=versioning)
    s3.put_object(Bucket="evidence", Key="manifests/a:b.json", Body=b"{}")
    assert world.has_object(arn) is True
    s3.delete_object(Bucket="evidence", Key="manifests/a:b.json")
    assert world.has_object(arn) is False
