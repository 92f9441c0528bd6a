"""Others' recovery points read into the table, in the box: asserted on the table's items."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import boto3
import pytest

from local.aws import backup, dynamodb_backups, ec2, rds
from local.aws.backup import Backups
from local.pace import INSTANT
from tests.contracts.emulators import table
from tests.local.service_box import ACCOUNT, REGION, TWO_O_CLOCK, ServiceBox, service_box
from watchkeeper import naming
from watchkeeper.aws.catalogue import TargetTable
from watchkeeper.aws.errors import Denied, Throttled
from watchkeeper.aws.other_points import REMEMBERED, OtherPoints
from watchkeeper.aws.others import BackupVaults, ManagedSnapshots
from watchkeeper.aws.rds import Databases
from watchkeeper.aws.table import unpack
from watchkeeper.backups.model import (
    Kind,
    Part,
    Place,
    RecoveryPoint,
    Service,
    Span,
    State,
    Target,
    Unread,
)
from watchkeeper.backups.others import POINT_IN_TIME, ensure_others_read
from watchkeeper.news.base import LINES
from watchkeeper.runs.record import Done, Run

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
ARNS = ("aws", REGION, ACCOUNT)
PLACE = Place(ACCOUNT, REGION)
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ORDERS = naming.database_arn(ARNS, "orders")
LEDGER = naming.cluster_arn(ARNS, "ledger")
RATES = naming.table_arn(ARNS, "rates")
FILES = f"arn:aws:elasticfilesystem:{REGION}:{ACCOUNT}:file-system/fs-0a1b2c3d"
NIGHT = "backup#gold#2026-11-23T02:00Z"


class Box(ServiceBox):
    @property
    def backups(self) -> Backups:
        return backup.installed_in(self)

    def record(self, resource: str, vault: str = "nightly", **more: Any) -> str:
        more = {"created_at": TWO_O_CLOCK - DAY} | more
        return self.backups.record_recovery_point(vault, resource, **more)

    def lifecycle_snapshot(self, volume: str) -> str:
        return ec2.installed_in(self).record_snapshot(
            naming.ec2_id(volume),
            started_at=TWO_O_CLOCK - DAY,
            tags={"aws:dlm:lifecycle-policy-id": "policy-0a7d3f1c9b2e4d586"},
        )


@dataclass
class Spans:
    """A taker of which only the spans are asked."""

    found: Mapping[str, Span | Unread | None] | Exception

    def spans(self, arns: Iterable[str]) -> Mapping[str, Span | Unread | None]:
        if isinstance(self.found, Exception):
            raise self.found
        return {arn: self.found[arn] for arn in arns if arn in self.found}


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    with service_box(Box, ec2, rds, dynamodb_backups, backup, pace=INSTANT) as box:
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        for vault in ("nightly", "compliance"):
            box.client("backup").create_backup_vault(BackupVaultName=vault)
        login = {"MasterUsername": "harbour", "MasterUserPassword": "correct-horse-battery"}
        box.client("rds").create_db_instance(
            DBInstanceIdentifier="orders",
            DBInstanceClass="db.t4g.medium",
            Engine="postgres",
            AllocatedStorage=20,
            BackupRetentionPeriod=7,
            **login,
        )
        box.client("rds").create_db_cluster(
            DBClusterIdentifier="ledger", Engine="aurora-postgresql", **login
        )
        box.client("dynamodb").create_table(
            TableName="rates",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield box


@pytest.fixture
def volume(box: Box) -> str:
    made = box.client("ec2").create_volume(AvailabilityZone=f"{REGION}a", Size=8)
    return naming.volume_arn(ARNS, made["VolumeId"])


@pytest.fixture
def instance(box: Box) -> str:
    aws = box.client("ec2")
    made = aws.run_instances(ImageId="ami-0c101f26f147fa7fd", MinCount=1, MaxCount=1)
    return naming.instance_arn(ARNS, made["Instances"][0]["InstanceId"])


@dataclass
class Cloud:
    """What the step acts on."""

    takers: Mapping[Service, Any]
    targets: TargetTable
    others: OtherPoints
    vaults: BackupVaults
    managed: ManagedSnapshots = field(default_factory=lambda: ManagedSnapshots(ARNS))
    place: Place = PLACE


class OneVaultMore(BackupVaults):
    """One that is deleted between the two calls."""

    def names(self) -> list[str]:
        return ["deleted", *super().names()]


@dataclass
class Night:
    """The step of one night after another, as the night's workflow calls it."""

    box: Box
    table: str
    takers: dict[Service, Any]
    vaults: BackupVaults
    nights: int = 0

    @property
    def others(self) -> OtherPoints:
        return OtherPoints(self.table, "watchkeeper")

    def read(self, *targets: Target) -> Mapping[str, str]:
        """Let a day pass and the step be done; its facts."""
        self.box.clock.run_for(DAY)
        self.nights += 1
        run_id = f"{NIGHT}.{self.nights}"
        chosen = TargetTable(self.table)
        chosen.freeze(run_id, [targets])
        facts = {"plan": "gold", "shards": str(int(bool(targets)))}
        now = self.box.clock.now()
        run = Run(run_id, ("others",), "others", entered_at=now, wake_at=now, facts=facts)
        cloud = Cloud(self.takers, chosen, self.others, self.vaults)
        report = ensure_others_read(run, cloud, now)
        assert isinstance(report, Done)
        return report.facts

    def listed(self) -> list[RecoveryPoint]:
        return sorted(self.others.listed(), key=lambda point: (point.resource, point.created_at))

    def items(self) -> list[dict[str, Any]]:
        """Every record of somebody else's, as it is stored."""
        found = boto3.client("dynamodb").scan(TableName=self.table)["Items"]
        items = [unpack(item) for item in found]
        return [item for item in items if item["pk"].startswith("OTHERS#")]


@pytest.fixture
def night(box: Box) -> Iterator[Night]:
    with table() as name:
        yield Night(box, name, {Service.RDS: Databases(ARNS)}, BackupVaults(ARNS))


def test_recovery_points_of_every_kind_are_entered_as_somebody_elses(
    box: Box, night: Night, volume: str, instance: str
) -> None:
    arns = {
        resource: box.record(resource, gib=20)
        for resource in (instance, volume, ORDERS, LEDGER, RATES, FILES)
    }
    night.read()
    listed = {point.resource: point for point in night.listed()}
    assert {resource: point.kind for resource, point in listed.items()} == {
        instance: Kind.INSTANCE,
        volume: Kind.VOLUME,
        ORDERS: Kind.DATABASE,
        LEDGER: Kind.CLUSTER,
        RATES: Kind.TABLE,
    }
    assert {point.keeper for point in listed.values()} == {"AWS Backup"}
    assert {point.state for point in listed.values()} == {State.COMPLETED}
    assert {point.created_at for point in listed.values()} == {TWO_O_CLOCK - DAY}
    orders = listed[ORDERS]
    assert (orders.id, orders.place) == (naming.short_id(arns[ORDERS]), PLACE)
    assert orders.parts == (Part(arns[ORDERS], ORDERS, 20),)
    snapshot = naming.ec2_id(arns[volume])
    assert listed[volume].parts == (Part(snapshot, naming.ec2_id(volume), 8),)
    assert {item["pk"] for item in night.items()} == {f"OTHERS#{resource}" for resource in listed}


def test_a_snapshot_that_two_sources_show_is_one(box: Box, night: Night, volume: str) -> None:
    box.record(volume)
    managed = box.lifecycle_snapshot(volume)
    night.read()
    assert sorted(point.keeper for point in night.listed()) == [
        "AWS Backup",
        "Data Lifecycle Manager",
    ]
    [of_lifecycle] = [one for one in night.listed() if one.keeper != "AWS Backup"]
    assert [part.snapshot for part in of_lifecycle.parts] == [managed]


@pytest.mark.parametrize(
    "resource",
    [
        pytest.param(f"arn:aws:rds:eu-west-1:{ACCOUNT}:db:orders", id="another Region's"),
        pytest.param(f"arn:aws:rds:{REGION}:210987654321:db:orders", id="another account's"),
        pytest.param(FILES, id="of a kind that no plan protects"),
    ],
)
def test_what_no_plan_could_protect_is_in_no_catalogue(
    box: Box, night: Night, resource: str
) -> None:
    arn = box.record(ORDERS)
    box.backups.points[arn] |= {"ResourceArn": resource}
    if resource == FILES:
        box.backups.points[arn] |= {"ResourceType": "EFS"}
    assert night.read() == {"others": "0", "unread": ""}
    assert night.listed() == []


@pytest.mark.parametrize(
    ("shown", "state", "why"),
    [
        ({"Status": "COMPLETED"}, State.COMPLETED, ""),
        ({"Status": "AVAILABLE"}, State.COMPLETED, ""),
        ({"Status": "PARTIAL"}, State.FAILED, "AWS Backup shows it as PARTIAL"),
        (
            {"Status": "EXPIRED", "StatusMessage": "no\nright"},
            State.FAILED,
            'AWS Backup shows it as EXPIRED: "no\\nright"',
        ),
        ({"Status": "DELETING"}, State.FAILED, "AWS Backup shows it as DELETING"),
        ({"Status": "CREATING"}, None, ""),
    ],
    ids=lambda value: value["Status"] if isinstance(value, dict) else "",
)
def test_only_what_is_completed_counts(
    box: Box, night: Night, shown: dict[str, str], state: State | None, why: str
) -> None:
    box.backups.points[box.record(ORDERS)] |= shown
    night.read()
    assert [(one.state, one.why) for one in night.listed()] == ([(state, why)] if state else [])


def test_keys_and_cold_storage_are_told_as_they_come_to_be(box: Box, night: Night) -> None:
    lifecycle = {"MoveToColdStorageAt": TWO_O_CLOCK + 1.5 * DAY}
    for resource in (RATES, ORDERS):
        arn = box.record(resource, lifecycle=lifecycle)
        box.backups.points[arn] |= {"EncryptionKeyArn": KEY, "IsEncrypted": True}
    night.read()
    assert {(one.place.tier, one.keys) for one in night.listed()} == {("standard", (KEY,))}
    night.read()
    # AWS Backup ignores the setting for databases.
    assert {one.resource: one.place.tier for one in night.listed()} == {
        RATES: "cold",
        ORDERS: "standard",
    }


def test_what_has_expired_leaves_the_list_and_is_remembered_for_a_while(
    box: Box, night: Night, volume: str
) -> None:
    arns = [box.record(resource) for resource in (volume, ORDERS)]
    kept = box.record(ORDERS, created_at=TWO_O_CLOCK)
    night.read()
    for arn in arns:
        box.backups.expire(arn)
    night.read()
    assert [one.id for one in night.listed()] == [naming.short_id(kept)]
    gone = [item for item in night.items() if item["state"] == State.REMOVED]
    assert {item["resource"] for item in gone} == {volume, ORDERS}
    ends = int((box.clock.now() + REMEMBERED).timestamp())
    assert [item["expires_at"] for item in gone] == [ends, ends]
    assert all("listed_in" not in item for item in gone)
    assert all("expires_at" not in item for item in night.items() if item not in gone)


def test_a_night_with_nothing_new_writes_nothing(box: Box, night: Night, volume: str) -> None:
    for resource in (volume, ORDERS, RATES):
        box.record(resource)
    night.read()
    # Whatever is written again gets today's number.
    for item in night.items():
        boto3.client("dynamodb").update_item(
            TableName=night.table,
            Key={name: {"S": item[name]} for name in ("pk", "sk")},
            UpdateExpression="SET #schema = :earlier",
            ExpressionAttributeNames={"#schema": "schema"},
            ExpressionAttributeValues={":earlier": {"N": "0"}},
        )
    before = night.items()
    assert len(before) == 3
    night.read()
    assert night.items() == before


@pytest.mark.parametrize(
    ("closed", "unread"),
    [
        pytest.param(
            "*",
            "AWS Backup could not be read: backup:ListBackupVaults answered AccessDeniedException: "
            '"Insufficient privileges to perform this action."',
            id="AWS Backup",
        ),
        pytest.param(
            "compliance",
            "AWS Backup's vault compliance could not be read: "
            "backup:ListRecoveryPointsByBackupVault answered AccessDeniedException: "
            '"Insufficient privileges to perform this action."',
            id="one vault",
        ),
    ],
)
def test_what_a_source_does_not_tell_stays_as_it_was(
    box: Box, night: Night, volume: str, closed: str, unread: str
) -> None:
    arns = [box.record(RATES), box.record(ORDERS, "compliance"), box.record(volume, "compliance")]
    night.read()
    before = {one.resource: one for one in night.listed()}
    assert before.keys() == {RATES, ORDERS, volume}
    box.backups.closed.add(closed)
    for arn in arns:
        box.backups.expire(arn)
    managed = box.lifecycle_snapshot(volume)
    assert night.read()["unread"] == unread
    after = night.listed()
    # EBS told of its snapshots: one is gone, another is there.
    assert [one for one in after if one.resource != volume] == [before[RATES], before[ORDERS]]
    assert [one.parts[0].snapshot for one in after if one.resource == volume] == [managed]
    box.backups.closed.clear()
    assert night.read()["unread"] == ""
    assert [one.resource for one in night.listed()] == [volume]


def test_a_vault_that_is_deleted_meanwhile_held_nothing(box: Box, night: Night) -> None:
    box.record(ORDERS)
    night.vaults = OneVaultMore(ARNS)
    assert night.read() == {"others": "1", "unread": ""}


def test_many_are_read_in_pages_and_written_in_batches(box: Box, night: Night) -> None:
    for _ in range(1_000):  # they come first
        box.record(FILES)
    first = box.backups.points[box.record(ORDERS)]
    for number in range(100):
        arn = f"{first['RecoveryPointArn']}-{number}"
        box.backups.points[arn] = first | {"RecoveryPointArn": arn}
    assert night.read()["others"] == "101"
    assert len(night.listed()) == 101


def test_a_span_is_one_record_that_moves(box: Box, night: Night) -> None:
    target = Target(ORDERS, Kind.DATABASE, "orders", keys=(KEY,))
    box.clock.run_for(8 * DAY)
    night.read(target)
    night.read(target)
    [span] = night.listed()
    [item] = night.items()
    shown = box.client("rds").describe_db_instances()["DBInstances"][0]
    assert (span.keeper, span.kind, span.keys) == (POINT_IN_TIME, Kind.DATABASE, (KEY,))
    assert span.newest_data == span.until == shown["LatestRestorableTime"]
    assert span.created_at < box.clock.now() - 6 * DAY
    assert item["sk"] == "SPAN"


def test_a_span_that_was_switched_off_leaves_and_comes_back(box: Box, night: Night) -> None:
    target = Target(ORDERS, Kind.DATABASE, "orders")
    found = []
    for days in (7, 0, 7):
        box.client("rds").modify_db_instance(
            DBInstanceIdentifier="orders", BackupRetentionPeriod=days, ApplyImmediately=True
        )
        box.clock.run_for(2 * DAY)
        night.read(target)
        found.append([one.state for one in night.listed()])
    assert found == [[State.COMPLETED], [], [State.COMPLETED]]
    [item] = night.items()
    assert "expires_at" not in item


def test_a_continuous_backup_is_the_span_that_the_database_itself_shows(
    box: Box, night: Night
) -> None:
    """It is in no plan of ours: AWS Backup's word is why it is asked about at all."""
    box.record(ORDERS, status="AVAILABLE", continuous=True)
    night.read()
    [span] = night.listed()
    shown = box.client("rds").describe_db_instances()["DBInstances"][0]
    assert (span.keeper, span.until) == ("AWS Backup", shown["LatestRestorableTime"])
    box.backups.closed.add("*")
    night.read()
    [later] = night.listed()
    assert later.keeper == "AWS Backup"
    assert later.newest_data > span.newest_data


def test_the_night_of_another_plan_does_not_lose_the_keys_of_a_span(box: Box, night: Night) -> None:
    box.record(ORDERS, status="AVAILABLE", continuous=True)
    night.read(Target(ORDERS, Kind.DATABASE, "orders", keys=(KEY,)))
    night.read()
    [span] = night.listed()
    assert (span.keys, span.until) == ((KEY,), box.clock.now() - 5 * MINUTE)


def test_spans_that_cannot_be_read_stay_and_are_told(box: Box, night: Night) -> None:
    target = Target(RATES, Kind.TABLE, "rates")
    span = Span(TWO_O_CLOCK - 7 * DAY, TWO_O_CLOCK)
    night.takers = {Service.DYNAMODB: Spans({RATES: span})}
    night.read(target)
    before = night.items()
    refusal = Denied("dynamodb:DescribeContinuousBackups", "AccessDeniedException", "no")
    night.takers = {Service.DYNAMODB: Spans(refusal)}
    assert night.read(target)["unread"] == (
        "point-in-time recovery of dynamodb could not be read: "
        'dynamodb:DescribeContinuousBackups answered AccessDeniedException: "no"'
    )
    assert night.items() == before
    night.takers = {Service.DYNAMODB: Spans({RATES: Unread("it may not be looked at")})}
    assert night.read(target)["unread"] == (
        f"point-in-time recovery of {RATES} could not be read: it may not be looked at"
    )
    assert night.items() == before


def test_of_many_that_cannot_be_read_it_is_told_how_many(box: Box, night: Night) -> None:
    targets = [Target(f"{RATES}-{number}", Kind.TABLE, "rates") for number in range(LINES + 3)]
    hidden = {target.arn: Unread("it may not be looked at") for target in targets}
    night.takers = {Service.DYNAMODB: Spans(hidden)}
    *lines, last = night.read(*targets)["unread"].splitlines()
    assert len(lines) == LINES
    assert last == "and 3 more that could not be checked"


def test_a_busy_source_is_waited_for_and_nothing_is_written(box: Box, night: Night) -> None:
    box.record(ORDERS)
    target = Target(RATES, Kind.TABLE, "rates")
    busy = Throttled("dynamodb:DescribeContinuousBackups", "ThrottlingException", "slow down")
    night.takers = {Service.DYNAMODB: Spans(busy)}
    with pytest.raises(Throttled):
        night.read(target)
    assert night.items() == []
