"""The seeded account looks like somebody's, and holds the cases that backups must get right."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import boto3
import pytest
import time_machine
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.moto_api._internal import mock_random

from local import account
from local.aws import backup, dynamodb_backups, ec2, rds
from local.clock import Clock
from local.pace import Pace

START = datetime(2026, 11, 23, tzinfo=UTC)
PACE = Pace()


class NoBus:
    def send(self, event: dict[str, Any]) -> None:
        pass


@dataclass
class Box:
    stack: ExitStack
    clock: Clock
    events: NoBus = field(default_factory=NoBus)
    pace: Pace = PACE
    account_id: str = "123456789012"
    region: str = "us-east-1"
    random: Random = field(default_factory=lambda: Random(2))
    clients: dict[str, Any] = field(default_factory=dict)
    extensions: dict[str, Any] = field(default_factory=dict)

    def client(self, name: str) -> Any:
        if name not in self.clients:
            made = boto3.client(name, region_name=self.region)  # type: ignore[call-overload]
            self.clients[name] = made
        return self.clients[name]


@contextmanager
def seeded_box() -> Iterator[Box]:
    # The environment last: moto puts back what it found in it.
    with pytest.MonkeyPatch.context() as environment, ExitStack() as stack:
        for name, value in {
            "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
            "AWS_ACCESS_KEY_ID": "made-up",
            "AWS_SECRET_ACCESS_KEY": "made-up",
        }.items():
            environment.setenv(name, value)
        traveller = stack.enter_context(time_machine.travel(START, tick=False))
        stack.enter_context(mock_aws())
        mock_random.seed(0)
        box = Box(stack, Clock(traveller))
        for extension in (ec2, rds, dynamodb_backups, backup):
            box.extensions[extension.__name__] = extension.install(box)
        account.seed(box)
        yield box


@pytest.fixture(scope="class")
def box() -> Iterator[Box]:
    with seeded_box() as box:
        yield box


@pytest.fixture
def fresh_box() -> Iterator[Box]:
    with seeded_box() as box:
        yield box


def instances(box: Box) -> list[dict[str, Any]]:
    found = box.client("ec2").describe_instances()["Reservations"]
    return [one for each in found for one in each["Instances"]]


def tags(resource: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in resource.get("Tags", [])}


def snapshots(box: Box, name: str = "", value: str = "") -> list[dict[str, Any]]:
    filters = [{"Name": name, "Values": [value]}] if name else []
    answer = box.client("ec2").describe_snapshots(OwnerIds=["self"], Filters=filters)
    found: list[dict[str, Any]] = answer["Snapshots"]
    return found


class TestAccount:
    """Read only: one account for all of these."""

    def test_every_instance_of_the_table_stands_in_its_vpc_with_its_volumes(self, box: Box) -> None:
        by_name = {tags(one).get("Name", ""): one for one in instances(box)}
        assert len(by_name) == len(account.INSTANCES) + 1
        for machine in (*account.INSTANCES, account.UNTAGGED_SERVER):
            shown = by_name[machine.name]
            assert len(shown["BlockDeviceMappings"]) == len(machine.volumes)
            assert shown["State"]["Name"] == ("stopped" if machine.stopped else "running")
            assert tags(shown).get(account.PLAN_TAG) == machine.plan
        vpcs = box.client("ec2").describe_vpcs(
            Filters=[{"Name": "tag:environment", "Values": ["production", "staging"]}]
        )["Vpcs"]
        assert {one["VpcId"] for one in vpcs} == {one["VpcId"] for one in by_name.values()}

    def test_tagging_is_as_people_tag(self, box: Box) -> None:
        plans = {
            tags(one).get("Name", ""): tags(one).get(account.PLAN_TAG) for one in instances(box)
        }
        assert {"gold", "silver", "bronze", "none", "Gold", "platinum", None} <= set(plans.values())
        [untagged] = [one for one in instances(box) if not tags(one)]
        assert untagged["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
        [typo] = [one for one in instances(box) if "bakup-plan" in tags(one)]
        assert account.PLAN_TAG not in tags(typo)

    def test_loose_volumes_are_attached_to_nothing(self, box: Box) -> None:
        loose = box.client("ec2").describe_volumes(
            Filters=[{"Name": "status", "Values": ["available"]}]
        )["Volumes"]
        assert {tags(one)["Name"] for one in loose} == {one.name for one in account.VOLUMES}
        assert {one["Size"] for one in loose} == {one.size for one in account.VOLUMES}

    def test_snapshots_of_aws_services_carry_their_tags(self, box: Box) -> None:
        by_backup = snapshots(
            box, "description", "This snapshot is created by the AWS Backup service."
        )
        assert len(by_backup) == 3
        exports = account.volume_id(box, "harbour-exports")
        for one in by_backup:
            assert tags(one)["aws:backup:source-resource"].endswith(f":volume/{exports}")
            assert one["State"] == "completed"
        by_lifecycle = snapshots(box, "tag-key", "aws:dlm:lifecycle-policy-id")
        assert {one["VolumeId"] for one in by_lifecycle} == {
            account.volume_id(box, "harbour-ledger-1 /dev/sdf")
        }

    def test_nothing_looks_like_ours_but_the_other_stacks(self, box: Box) -> None:
        stacks = {
            tags(one)["watchkeeper:stack"] for one in snapshots(box, "tag-key", "watchkeeper:*")
        }
        assert stacks == {"another-stack"}

    def test_locked_and_registered_snapshots_cannot_be_deleted(self, box: Box) -> None:
        aws = box.client("ec2")
        [locked] = aws.describe_locked_snapshots()["Snapshots"]
        assert locked["LockState"] == "governance"
        [image] = aws.describe_images(Owners=["self"])["Images"]
        for identifier, code in (
            (locked["SnapshotId"], "OperationNotPermitted"),
            (image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"], "InvalidSnapshot.InUse"),
        ):
            with pytest.raises(ClientError) as failure:
                aws.delete_snapshot(SnapshotId=identifier)
            assert failure.value.response["Error"]["Code"] == code

    def test_one_snapshot_is_shared(self, box: Box) -> None:
        shared = box.client("ec2").describe_snapshots(
            OwnerIds=["self"], RestorableByUserIds=[account.AUDITOR_ACCOUNT]
        )["Snapshots"]
        assert [one["VolumeId"] for one in shared] == [account.volume_id(box, "staging-fixtures")]

    def test_the_rest_of_the_product_is_there(self, box: Box) -> None:
        databases = box.client("rds").describe_db_instances()["DBInstances"]
        assert {one["Engine"] for one in databases} == {"postgres", "aurora-postgresql"}
        dynamodb = box.client("dynamodb")
        recoverable = {
            name: dynamodb.describe_continuous_backups(TableName=name)[
                "ContinuousBackupsDescription"
            ]["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
            for name in dynamodb.list_tables()["TableNames"]
        }
        assert set(recoverable.values()) == {"ENABLED", "DISABLED"}
        artefacts = f"harbour-artefacts-{box.account_id}"
        versions = box.client("s3").list_object_versions(Bucket=artefacts)["Versions"]
        assert len(versions) == 9
        functions = box.client("lambda").list_functions()["Functions"]
        assert len(functions) == 2
        secrets = box.client("ssm").describe_parameters(
            ParameterFilters=[{"Key": "Type", "Values": ["SecureString"]}]
        )["Parameters"]
        assert len(secrets) == 4
        templates = box.client("ec2").describe_launch_templates()["LaunchTemplates"]
        assert len(templates) == 4
        assert len(box.client("logs").describe_log_groups()["logGroups"]) == 8

    def test_databases_are_kept_well_badly_and_not_at_all(self, box: Box) -> None:
        aws = box.client("rds")
        shown = {
            one["DBInstanceIdentifier"]: one for one in aws.describe_db_instances()["DBInstances"]
        }
        for one in account.DATABASES:
            found = {tag["Key"]: tag["Value"] for tag in shown[one.name]["TagList"]}
            assert found.get(account.PLAN_TAG) == one.plan
            assert ("LatestRestorableTime" in shown[one.name]) is (one.retention > 0)
        statuses = {name: one["DBInstanceStatus"] for name, one in shown.items()}
        assert statuses.pop("staging-restore-test") == "stopped"
        lost = "inaccessible-encryption-credentials-recoverable"
        assert statuses.pop("harbour-contracts") == lost
        assert set(statuses.values()) == {"available"}
        replica = shown[account.REPLICA]
        assert replica["ReadReplicaSourceDBInstanceIdentifier"] == "harbour-bookings-production"
        clusters = {one["DBClusterIdentifier"] for one in aws.describe_db_clusters()["DBClusters"]}
        assert clusters == set(account.CLUSTERS)
        by_others = aws.describe_db_snapshots(SnapshotType="awsbackup")["DBSnapshots"]
        assert len(by_others) == 3
        [by_hand] = aws.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
        assert by_hand["DBSnapshotIdentifier"] == "bookings-before-upgrade"

    def test_tables_have_the_settings_that_a_restore_loses(self, box: Box) -> None:
        aws = box.client("dynamodb")
        for one in account.TABLES:
            shown = aws.describe_table(TableName=one.name)["Table"]
            assert shown["DeletionProtectionEnabled"] is one.protected
            assert ("StreamSpecification" in shown) is one.streamed
            ttl = aws.describe_time_to_live(TableName=one.name)["TimeToLiveDescription"]
            assert ttl["TimeToLiveStatus"] == ("ENABLED" if one.expires else "DISABLED")
        [by_hand] = aws.list_backups()["BackupSummaries"]
        assert by_hand["TableName"] == "harbour-rates"
        by_others = aws.list_backups(BackupType="AWS_BACKUP")["BackupSummaries"]
        assert [one["TableName"] for one in by_others] == ["harbour-sessions"] * 3

    def test_aws_backup_looks_after_what_is_in_no_plan(self, box: Box) -> None:
        aws = box.client("backup")
        [vault] = aws.list_backup_vaults()["BackupVaultList"]
        found = aws.list_recovery_points_by_backup_vault(BackupVaultName=vault["BackupVaultName"])
        exports = account.volume_id(box, "harbour-exports")
        names = [
            (one["ResourceType"], one["ResourceArn"].replace("/", ":").rsplit(":", 1)[-1])
            for one in found["RecoveryPoints"]
        ]
        expected = [("DynamoDB", "harbour-sessions"), ("EBS", exports), ("RDS", "harbour-metrics")]
        assert sorted(names) == sorted(expected * 3)

    def test_seeding_leaves_the_pace_as_it_was(self, box: Box) -> None:
        assert box.pace is PACE

    def test_a_name_that_is_not_there_is_an_error(self, box: Box) -> None:
        with pytest.raises(LookupError, match="volume named no-such-thing"):
            account.volume_id(box, "no-such-thing")


def test_the_volume_with_the_disabled_key_cannot_be_backed_up(fresh_box: Box) -> None:
    aws = fresh_box.client("ec2")
    contracts = account.volume_id(fresh_box, "harbour-contracts")
    invoices = account.volume_id(fresh_box, "harbour-invoices")
    made = {one: aws.create_snapshot(VolumeId=one)["SnapshotId"] for one in (contracts, invoices)}
    fresh_box.clock.run_for(timedelta(hours=1))
    shown = aws.describe_snapshots(SnapshotIds=list(made.values()))["Snapshots"]
    states = {one["VolumeId"]: one["State"] for one in shown}
    assert states == {contracts: "error", invoices: "completed"}


def test_many_volumes_are_tagged_and_stand_alone(fresh_box: Box) -> None:
    made = account.many_volumes(fresh_box, 120, plan="bronze")
    pages = (
        fresh_box.client("ec2")
        .get_paginator("describe_volumes")
        .paginate(
            Filters=[
                {"Name": f"tag:{account.PLAN_TAG}", "Values": ["bronze"]},
                {"Name": "status", "Values": ["available"]},
            ],
            PaginationConfig={"PageSize": 50},
        )
    )
    found = [one["VolumeId"] for page in pages for one in page["Volumes"]]
    staged = account.volume_id(fresh_box, "staging-fixtures")
    assert sorted(found) == sorted([*made, staged])


def test_the_account_is_the_same_each_time() -> None:
    found = []
    for _ in range(2):
        with seeded_box() as box:
            identifiers = [one["InstanceId"] for one in instances(box)]
            identifiers += [one["SnapshotId"] for one in snapshots(box)]
            assert len(set(identifiers)) == len(identifiers)
            found.append(identifiers)
    assert found[0] == found[1]
