"""What recoveries make through the adapters, in the box: asserted on what is there."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from local.aws import (
    autoscaling,
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
from local.pace import INSTANT
from tests.local.service_box import REGION, ServiceBox, service_box
from watchkeeper import naming
from watchkeeper.aws.errors import NotThere, Refused
from watchkeeper.aws.recover_dynamodb import Standing, TableRecoverer
from watchkeeper.aws.recover_ec2 import OriginalVolumes, VolumeRecoverer
from watchkeeper.aws.recover_rds import DatabaseRecoverer, RecoveredDatabases
from watchkeeper.backups.model import Kind

EXTENSIONS = (
    *(ec2, ebs_blocks, kms, rds, dynamodb_tables, dynamodb_backups, autoscaling),
    *(rds_restores, dynamodb_restores, ec2_restores),
)
RUN = "recover#by-hand#one"
NAME = naming.recovered_name("orders", RUN, 60)
TAGS = naming.recovered_tags("watchkeeper", RUN, NAME)
OWNER = {"MasterUsername": "admin1", "MasterUserPassword": "correct-horse-battery"}
PLACE = ("aws", REGION, "123456789012")


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceBox]:
    with service_box(ServiceBox, *EXTENSIONS, pace=INSTANT) as box:
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        yield box


def wait(box: ServiceBox, minutes: float) -> None:
    box.clock.run_for(timedelta(minutes=minutes))


# ── Databases ─────────────────────────────────────────────────────────────────────────────────────


def test_an_instance_is_restored_once_and_changed(box: ServiceBox) -> None:
    aws, recoverer, databases = (
        box.client("rds"), DatabaseRecoverer(), RecoveredDatabases(PLACE),
    )  # fmt: skip
    aws.create_db_instance(
        DBInstanceIdentifier="orders", DBInstanceClass="db.t4g.medium", Engine="postgres",
        AllocatedStorage=20, **OWNER,
    )  # fmt: skip
    aws.create_db_snapshot(DBInstanceIdentifier="orders", DBSnapshotIdentifier="orders")
    for _ in range(2):
        recoverer.restore_instance(NAME, "orders", {"MultiAZ": True}, TAGS)
    assert databases.instance(NAME).state == "creating"
    assert "creating" in recoverer.change(NAME, Kind.DATABASE, {"CopyTagsToSnapshot": True})
    wait(box, 17)
    found = databases.instance(NAME)
    assert (found.state, found.tags) == ("available", TAGS)
    assert found.endpoint.endswith(":5432")
    assert recoverer.change(NAME, Kind.DATABASE, {"CopyTagsToSnapshot": True}) == ""
    settings = databases.settings(naming.database_arn(PLACE, NAME))
    assert (settings["MultiAZ"], settings["CopyTagsToSnapshot"]) == (True, True)
    assert len(aws.describe_db_instances()["DBInstances"]) == 2


def test_a_cluster_is_restored_with_members(box: ServiceBox) -> None:
    aws, recoverer, databases = (
        box.client("rds"), DatabaseRecoverer(), RecoveredDatabases(PLACE),
    )  # fmt: skip
    aws.create_db_cluster(DBClusterIdentifier="ledger", Engine="aurora-postgresql", **OWNER)
    aws.create_db_cluster_snapshot(
        DBClusterIdentifier="ledger", DBClusterSnapshotIdentifier="ledger"
    )
    engine = databases.engine("ledger")
    for _ in range(2):
        recoverer.restore_cluster(NAME, "ledger", engine, {}, TAGS)
    wait(box, 12)
    for _ in range(2):
        told = {"DBInstanceClass": "db.r7g.large", "PromotionTier": 2}
        recoverer.add_member(f"{NAME}-1", NAME, engine, told, TAGS)
    wait(box, 12)
    assert databases.cluster(NAME).state == "available"
    assert databases.instance(f"{NAME}-1").state == "available"
    settings: dict[str, Any] = dict(databases.settings(naming.cluster_arn(PLACE, NAME)))
    assert [one["DBInstanceClass"] for one in settings["Members"]] == ["db.r7g.large"]


# ── Tables ────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def restored(box: ServiceBox) -> Standing:
    aws = box.client("dynamodb")
    aws.create_table(
        TableName="orders",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
    )
    wait(box, 10)
    backup = aws.create_backup(TableName="orders", BackupName="nightly")["BackupDetails"][
        "BackupArn"
    ]
    wait(box, 10)
    recoverer = TableRecoverer()
    assert [recoverer.restore(NAME, backup) for _ in range(2)] == ["", ""]
    wait(box, 12)
    found = recoverer.one(NAME)
    assert (found.state, found.source) == ("ACTIVE", backup)
    return found


SCALED = {
    "ResourceId": f"table/{NAME}", "ScalableDimension": "dynamodb:table:ReadCapacityUnits",
    "MinCapacity": 5, "MaxCapacity": 50,
}  # fmt: skip
CHANGES: dict[str, Any] = {
    "tags": TAGS,
    "time_to_live": "until",
    "stream": "NEW_IMAGE",
    "table_class": "STANDARD_INFREQUENT_ACCESS",
    "point_in_time_recovery": 14,
    "deletion_protection": True,
    "target ReadCapacityUnits": SCALED,
}


def test_every_setting_of_a_table_is_put_back(box: ServiceBox, restored: Standing) -> None:
    from watchkeeper.aws.dynamodb_backups import TableSettings  # noqa: PLC0415
    from watchkeeper.recovery.table_settings import comparable  # noqa: PLC0415

    recoverer = TableRecoverer()
    for setting, value in CHANGES.items():
        assert recoverer.change(restored, NAME, setting, value) == ""
        wait(box, 1)
    _, settings = TableSettings().read(restored.arn)
    found = comparable(settings, NAME)
    found["target ReadCapacityUnits"].pop("SuspendedState", None)
    assert {**found, "tags": settings["tags"]} == CHANGES


def test_what_scales_is_never_the_original(box: ServiceBox, restored: Standing) -> None:
    wrong = {**SCALED, "ResourceId": "table/orders"}
    with pytest.raises(Refused, match="no name that a recovery gives"):
        TableRecoverer().change(restored, NAME, "target ReadCapacityUnits", wrong)
    scaling = box.client("application-autoscaling")
    assert not scaling.describe_scalable_targets(ServiceNamespace="dynamodb")["ScalableTargets"]


# ── Volumes ───────────────────────────────────────────────────────────────────────────────────────


def test_a_volume_is_restored_once_and_keeps_what_it_is_tagged_with(box: ServiceBox) -> None:
    aws, recoverer, originals = box.client("ec2"), VolumeRecoverer(), OriginalVolumes()
    original = aws.create_volume(
        AvailabilityZone=f"{REGION}a", Size=4, VolumeType="gp3", Iops=4000, Throughput=250
    )["VolumeId"]
    snapshot = aws.create_snapshot(VolumeId=original)["SnapshotId"]
    wait(box, 10)
    told = {"VolumeType": "gp3", "Iops": 4000, "Throughput": 250}
    ids = {recoverer.restore(snapshot, f"{REGION}b", told, TAGS) for _ in range(2)}
    [made] = recoverer.made(NAME)
    assert ids == {made.id}
    recoverer.tag(made.id, {"owner": "harbour"})
    wait(box, 2)
    [made] = recoverer.made(NAME)
    assert (made.state, made.snapshot) == ("available", snapshot)
    assert made.tags == {**TAGS, "owner": "harbour"}
    assert {name: made.shown[name] for name in told} == told
    assert originals.volumes([original, "vol-00000000000000000"]).keys() == {original}
    with pytest.raises(NotThere):
        originals.instance("i-00000000000000000")


# ── What is not a recovery's ──────────────────────────────────────────────────────────────────────


def test_nothing_is_made_or_changed_under_another_name(box: ServiceBox) -> None:
    databases, tables, volumes = DatabaseRecoverer(), TableRecoverer(), VolumeRecoverer()
    original = Standing("arn", "ACTIVE", "")
    calls = (
        lambda: databases.restore_instance("orders", "orders", {}, {}),
        lambda: databases.restore_cluster("orders", "orders", "aurora-mysql", {}, {}),
        lambda: databases.add_member("orders-1", NAME, "aurora-mysql", {}, {}),
        lambda: databases.change("orders", Kind.CLUSTER, {"DeletionProtection": False}),
        lambda: tables.restore("orders", "arn"),
        lambda: tables.change(original, "orders", "deletion_protection", True),
        lambda: volumes.restore("snap-0", f"{REGION}a", {}, {naming.TAG_RECOVERED: "orders"}),
    )
    for call in calls:
        with pytest.raises(Refused, match="no name that a recovery gives"):
            call()
    assert not box.client("rds").describe_db_instances()["DBInstances"]
