"""What drills restore through the adapters, in the box: asserted on what is there."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

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
from local.pace import INSTANT
from tests.local.service_box import REGION, TWO_O_CLOCK, ServiceBox, service_box
from watchkeeper import naming
from watchkeeper.aws import restores_ec2, verifiers
from watchkeeper.aws.errors import NotThere, OverQuota, Refused
from watchkeeper.aws.restores_dynamodb import (
    RestoredTable,
    RestoredTables,
    TableDismantler,
    TableRestorer,
)
from watchkeeper.aws.restores_ec2 import RestoredVolumes, VolumeDismantler, VolumeRestorer
from watchkeeper.aws.restores_rds import (
    DatabaseDismantler,
    DatabaseRestorer,
    Isolation,
    RestoredDatabases,
)
from watchkeeper.aws.verifiers import VerifierDismantler, VerifierMaker, Verifiers
from watchkeeper.backups.model import Kind

EXTENSIONS = (
    *(ec2, ebs_blocks, kms, rds, dynamodb_tables, dynamodb_backups),
    *(rds_restores, dynamodb_restores, ec2_restores),
)
MINUTE = timedelta(minutes=1)
RUN = "drill#orders#2026-11-23T02:00Z"
NAME = naming.drill_name("watchkeeper", RUN)
EXPIRES = TWO_O_CLOCK + timedelta(hours=12)
TAGS = naming.drill_tags("watchkeeper", RUN, EXPIRES)
PASSWORD = "correct-horse-battery"
FRESH = "staple-battery-horse"
ENGINE = {"Engine": "aurora-postgresql"}


class Box(ServiceBox):
    def wait(self, minutes: float) -> None:
        self.clock.run_for(minutes * MINUTE)

    def isolation(self) -> tuple[str, str]:
        """A subnet and a security group, without a way out."""
        aws = self.client("ec2")
        vpc = aws.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        subnet = aws.create_subnet(
            VpcId=vpc, CidrBlock="10.9.0.0/24", AvailabilityZone=f"{REGION}a"
        )["Subnet"]["SubnetId"]
        group = aws.create_security_group(GroupName="drills", Description="d", VpcId=vpc)
        return subnet, group["GroupId"]


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    with service_box(Box, *EXTENSIONS, pace=INSTANT) as box:
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        yield box


def test_names_and_tags() -> None:
    assert naming.is_drill(NAME)
    assert naming.is_drill(f"{NAME}-1")
    for other in ("orders", "wk-drill-", "wk-drill-orders", f"my-{NAME}", f"{NAME}-old", ""):
        assert not naming.is_drill(other)
    assert naming.expires_at(TAGS) == EXPIRES
    assert "#" not in "".join(TAGS.values())  # RDS takes none
    for written in ({}, {"watchkeeper:expires": "soon"}, {"watchkeeper:expires": "2026-11-23"}):
        assert naming.expires_at(written) is None


# --- databases --------------------------------------------------------------------------------


@pytest.fixture
def restorer(box: Box) -> DatabaseRestorer:
    """With a database and a cluster in the box, and a snapshot of each named as its source."""
    subnet, group = box.isolation()
    aws = box.client("rds")
    aws.create_db_subnet_group(
        DBSubnetGroupName="drills", DBSubnetGroupDescription="d", SubnetIds=[subnet]
    )
    aws.create_db_parameter_group(
        DBParameterGroupName="tuned", DBParameterGroupFamily="postgres16", Description="d"
    )
    owner = {"MasterUsername": "admin1", "MasterUserPassword": PASSWORD}
    aws.create_db_instance(
        DBInstanceIdentifier="orders", DBInstanceClass="db.t4g.medium", Engine="postgres",
        AllocatedStorage=20, DBParameterGroupName="tuned", DeletionProtection=True, MultiAZ=True,
        PreferredBackupWindow="13:00-13:30", **owner,
    )  # fmt: skip
    aws.create_db_snapshot(DBInstanceIdentifier="orders", DBSnapshotIdentifier="orders")
    aws.create_db_cluster(DBClusterIdentifier="ledger", DeletionProtection=True, **ENGINE, **owner)
    aws.create_db_cluster_snapshot(
        DBClusterIdentifier="ledger", DBClusterSnapshotIdentifier="ledger"
    )
    return DatabaseRestorer(Isolation("drills", group))


SETTINGS = {
    "DBInstanceClass": "db.t4g.medium",
    "DBParameterGroups": ["tuned"],
    "OptionGroupMemberships": ["default:postgres-16"],
    "DeletionProtection": True,
    "PubliclyAccessible": True,
    "MultiAZ": True,
}


def test_an_instance_is_restored_once_in_isolation(box: Box, restorer: DatabaseRestorer) -> None:
    databases = RestoredDatabases()
    for _ in range(2):
        restorer.restore_instance(NAME, "orders", SETTINGS, TAGS)
    assert databases.one(NAME, Kind.DATABASE).state == "creating"
    box.wait(12)
    [found] = databases.all()
    assert (found.name, found.state, found.tags) == (NAME, "available", TAGS)
    shown = found.settings
    assert [one["DBParameterGroupName"] for one in shown["DBParameterGroups"]] == ["tuned"]
    assert shown["DBSubnetGroup"]["DBSubnetGroupName"] == "drills"
    groups = [one["VpcSecurityGroupId"] for one in shown["VpcSecurityGroups"]]
    assert groups == [restorer.isolation.database_group]
    for setting in ("PubliclyAccessible", "MultiAZ", "DeletionProtection"):
        assert not shown[setting]
    assert shown["BackupRetentionPeriod"] == 0
    switches = rds_restores.installed_in(box)
    restorer.renew_password(found, FRESH)
    box.wait(1)
    assert switches.opens(NAME, FRESH)
    assert not switches.opens(NAME, PASSWORD)


def test_an_instance_is_taken_down_for_good(box: Box, restorer: DatabaseRestorer) -> None:
    databases, dismantler = RestoredDatabases(), DatabaseDismantler()
    restorer.restore_instance(NAME, "orders", SETTINGS, TAGS)
    made = databases.one(NAME, Kind.DATABASE)
    assert "creating" in dismantler.delete(made)
    box.wait(12)
    # Somebody wanted to keep it.
    box.client("rds").modify_db_instance(DBInstanceIdentifier=NAME, DeletionProtection=True)
    found = databases.one(NAME, Kind.DATABASE)
    assert dismantler.delete(found) == ""
    assert databases.one(NAME, Kind.DATABASE).state == "deleting"
    assert dismantler.delete(databases.one(NAME, Kind.DATABASE)) == ""
    box.wait(5)
    assert dismantler.delete(found) == ""
    with pytest.raises(NotThere):
        databases.one(NAME, Kind.DATABASE)
    assert databases.all() == []
    names = box.client("rds").describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
    assert [one["DBSnapshotIdentifier"] for one in names] == ["orders"]


def test_a_cluster_is_restored_with_a_member_and_taken_down_after_it(
    box: Box, restorer: DatabaseRestorer
) -> None:
    databases, dismantler = RestoredDatabases(), DatabaseDismantler()
    for _ in range(2):
        restorer.restore_cluster(NAME, "ledger", {"EngineMode": "provisioned"}, TAGS)
    box.wait(12)
    cluster = databases.one(NAME, Kind.CLUSTER)
    for _ in range(2):
        restorer.add_member(cluster, "db.r7g.large", TAGS)
    box.wait(12)
    found = databases.all()
    assert [(one.name, one.kind, one.cluster, one.state, one.tags) for one in found] == [
        (f"{NAME}-1", Kind.DATABASE, NAME, "available", TAGS),
        (NAME, Kind.CLUSTER, "", "available", TAGS),
    ]
    restorer.renew_password(cluster, FRESH)
    box.wait(1)
    assert rds_restores.installed_in(box).opens(NAME, FRESH)
    assert "still contains" in dismantler.delete(cluster)
    assert [dismantler.delete(one) for one in found] == ["", ""]
    box.wait(5)
    assert databases.all() == []
    left = box.client("rds").describe_db_cluster_snapshots()["DBClusterSnapshots"]
    assert {one["DBClusterIdentifier"] for one in left} == {"ledger"}


def test_what_no_drill_made_is_never_touched(box: Box, restorer: DatabaseRestorer) -> None:
    shown = RestoredDatabases().one("orders", Kind.DATABASE)
    for call in (
        lambda: DatabaseDismantler().delete(shown),
        lambda: DatabaseDismantler().delete(replace(shown, is_protected=False)),
        lambda: restorer.renew_password(shown, FRESH),
    ):
        with pytest.raises(Refused, match="NotOurs"):
            call()
    assert RestoredDatabases().one("orders", Kind.DATABASE).state == "available"
    assert rds_restores.installed_in(box).opens("orders", PASSWORD)


def test_a_snapshot_or_group_that_is_gone(restorer: DatabaseRestorer) -> None:
    with pytest.raises(NotThere):
        restorer.restore_instance(NAME, "last-year", SETTINGS, TAGS)
    with pytest.raises(NotThere):
        restorer.restore_cluster(NAME, "last-year", {}, TAGS)
    with pytest.raises(NotThere):
        restorer.restore_instance(NAME, "orders", {"DBParameterGroups": ["gone"]}, TAGS)
    assert RestoredDatabases().all() == []


# --- tables -----------------------------------------------------------------------------------


@pytest.fixture
def backup(box: Box) -> str:
    """The ARN of a backup of a table of five items."""
    aws = box.client("dynamodb")
    aws.create_table(
        TableName="carts",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        ProvisionedThroughput={"ReadCapacityUnits": 9, "WriteCapacityUnits": 9},
        DeletionProtectionEnabled=True,
    )
    for number in range(5):
        aws.put_item(TableName="carts", Item={"id": {"S": str(number)}})
    made = aws.create_backup(TableName="carts", BackupName="nightly")["BackupDetails"]
    return str(made["BackupArn"])


def test_a_table_is_restored_once_read_and_taken_down(box: Box, backup: str) -> None:
    restorer, tables, dismantler = TableRestorer(), RestoredTables(), TableDismantler()
    for _ in range(2):
        restorer.restore(NAME, backup)
    made = tables.one(NAME)
    assert (made.state, made.source, made.keys) == ("CREATING", backup, ("id",))
    with pytest.raises(NotThere):
        tables.page(NAME)
    assert dismantler.delete(made) == "DynamoDB to finish creating or changing it"
    box.wait(10)
    [found] = tables.all()
    restorer.tag(found, TAGS)
    assert tables.tags(found) == TAGS
    assert sorted(one["id"]["S"] for one in tables.page(NAME).items) == list("01234")
    aws = box.client("dynamodb")
    billing = aws.describe_table(TableName=NAME)["Table"]["BillingModeSummary"]
    assert billing["BillingMode"] == "PAY_PER_REQUEST"
    aws.update_table(TableName=NAME, DeletionProtectionEnabled=True)
    assert [dismantler.delete(tables.one(NAME)) for _ in range(2)] == ["", ""]
    box.wait(1)
    assert dismantler.delete(found) == ""
    assert tables.all() == []
    assert aws.list_tables()["TableNames"] == ["carts"]


def test_a_table_waits_for_others_and_spares_what_no_drill_made(box: Box, backup: str) -> None:
    dynamodb_restores.installed_in(box).at_once = 0
    with pytest.raises(OverQuota):
        TableRestorer().restore(NAME, backup)
    carts: RestoredTable = RestoredTables().one("carts")
    for call in (
        lambda: TableDismantler().delete(carts),
        lambda: TableRestorer().restore("carts", backup),
        lambda: TableRestorer().tag(carts, TAGS),
        lambda: RestoredTables().page("carts"),
    ):
        with pytest.raises(Refused, match="NotOurs"):
            call()
    assert RestoredTables().one("carts").is_protected


# --- volumes and verifiers --------------------------------------------------------------------


@pytest.fixture
def volumes() -> VolumeRestorer:
    return VolumeRestorer(f"{REGION}a")


@pytest.fixture
def starter(box: Box) -> VerifierMaker:
    subnet, group = box.isolation()
    box.client("iam").create_instance_profile(InstanceProfileName="verifier")
    there = verifiers.Isolation(
        "123456789012", "vpc-1", subnet, group, group, "verifier", "ami-1", "t4g.small"
    )
    return VerifierMaker(there)


def snapshot_of(aws: Any) -> str:
    volume = aws.create_volume(AvailabilityZone=f"{REGION}a", Size=8)["VolumeId"]
    return str(aws.create_snapshot(VolumeId=volume)["SnapshotId"])


def test_volumes_are_restored_once_attached_and_taken_down(
    box: Box, volumes: VolumeRestorer, starter: VerifierMaker
) -> None:
    aws, made, dismantler = box.client("ec2"), RestoredVolumes(), VolumeDismantler()
    started = Verifiers()
    snapshots = [snapshot_of(aws), snapshot_of(aws)]
    ids = [volumes.restore(one, TAGS) for one in [*snapshots, *snapshots]]
    assert ids[:2] == ids[2:]
    starts = [starter.start(TAGS) for _ in range(2)]
    assert starts[0] == starts[1]
    restored = [one for one in made.volumes(NAME) if one.snapshot]
    assert [(one.id, one.snapshot, one.state) for one in restored] == [
        (number, source, "creating") for number, source in zip(ids, snapshots, strict=False)
    ]
    assert dismantler.delete(restored[0]) == "EC2 does not delete it while it is creating"
    box.wait(21)
    [verifier] = started.instances(NAME)
    assert (verifier.id, verifier.state) == (starts[0], "running")
    shown = aws.describe_instances(InstanceIds=starts[:1])["Reservations"][0]["Instances"][0]
    assert "PublicIpAddress" not in shown
    assert shown["SubnetId"] == starter.isolation.subnet
    for _ in range(2):
        ready = next(one for one in made.volumes(NAME) if one.id == ids[0])
        volumes.attach(ready, verifier.id, "/dev/sdf")
    ready = next(one for one in made.volumes(NAME) if one.id == ids[0])
    assert ready.attached_to == verifier.id
    assert ready.initialised == 50
    assert "in-use" in dismantler.delete(ready)
    for _ in range(2):
        VerifierDismantler().terminate(started.instances())
    box.wait(2)
    assert started.instances()[0].is_going
    assert [dismantler.delete(one) for one in made.volumes()] == ["", ""]
    box.wait(2)
    assert made.volumes() == []
    assert len(aws.describe_volumes()["Volumes"]) == 2  # those that the snapshots are of


def test_nothing_without_a_drills_tag_is_made_or_deleted(
    box: Box, volumes: VolumeRestorer, starter: VerifierMaker
) -> None:
    aws = box.client("ec2")
    snapshot = snapshot_of(aws)
    [shown] = aws.describe_volumes()["Volumes"]
    volume = restores_ec2.RestoredVolume(shown["VolumeId"], "available", "", "", None)
    verifier = verifiers.Instance("i-0123456789abcdef0", "running", TWO_O_CLOCK)
    for call in (
        lambda: VolumeDismantler().delete(volume),
        lambda: VerifierDismantler().terminate([verifier]),
        lambda: volumes.restore(snapshot, {}),
        lambda: starter.start({"watchkeeper:drill": "mine"}),
    ):
        with pytest.raises(Refused, match="NotOurs"):
            call()
    assert len(aws.describe_volumes()["Volumes"]) == 1


def test_somebody_elses_tag_is_no_drills(box: Box) -> None:
    aws = box.client("ec2")
    tags = [{"ResourceType": "volume", "Tags": [{"Key": "watchkeeper:drill", "Value": "mine"}]}]
    aws.create_volume(AvailabilityZone=f"{REGION}a", Size=8, TagSpecifications=tags)
    assert RestoredVolumes().volumes() == []
