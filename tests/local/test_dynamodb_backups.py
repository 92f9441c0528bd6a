"""DynamoDB's backups in the box, held against the AWS page that each test names."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from botocore.exceptions import ClientError
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.responses import DynamoHandler

from local.aws import dynamodb_backups
from local.aws.dynamodb_backups import DynamodbBackups
from local.clock import Clock
from local.pace import INSTANT, Pace
from tests.local.service_box import TWO_O_CLOCK, ServiceBox, service_box

MINUTE = timedelta(minutes=1)
PACE = Pace(ddb_backup_takes=2 * MINUTE, ddb_backups_enabled_after=timedelta(0))


class Box(ServiceBox):
    @property
    def backups(self) -> DynamodbBackups:
        return dynamodb_backups.installed_in(self)


@pytest.fixture
def box() -> Iterator[Box]:
    with service_box(Box, dynamodb_backups, pace=PACE) as box:
        yield box


@pytest.fixture
def aws(box: Box) -> Any:
    return box.client("dynamodb")


def table(aws: Any, name: str = "rates", **more: Any) -> str:
    made = aws.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        **more,
    )
    return str(made["TableDescription"]["TableArn"])


def backup(aws: Any, name: str = "nightly", table_name: str = "rates") -> str:
    made = aws.create_backup(TableName=table_name, BackupName=name)
    return str(made["BackupDetails"]["BackupArn"])


def listed(aws: Any, **request: Any) -> list[str]:
    return [one["BackupName"] for one in aws.list_backups(**request)["BackupSummaries"]]


def state(aws: Any, arn: str) -> str:
    details = aws.describe_backup(BackupArn=arn)["BackupDescription"]["BackupDetails"]
    return str(details["BackupStatus"])


def recover(aws: Any, name: str = "rates", *, enabled: bool = True, **more: Any) -> dict[str, Any]:
    answer = aws.update_continuous_backups(
        TableName=name,
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": enabled, **more},
    )
    found: dict[str, Any] = answer["ContinuousBackupsDescription"]
    return found


def span(aws: Any, name: str = "rates") -> dict[str, Any]:
    found: dict[str, Any] = aws.describe_continuous_backups(TableName=name)[
        "ContinuousBackupsDescription"
    ]["PointInTimeRecoveryDescription"]
    return found


def code_of(failure: pytest.ExceptionInfo[ClientError]) -> str:
    return str(failure.value.response["Error"]["Code"])


# --- on-demand backups ------------------------------------------------------------------------


def test_a_backup_is_creating_then_available_and_hidden_from_lists_at_first(
    box: Box, aws: Any
) -> None:
    """API_CreateBackup, API_BackupDetails; lists are eventually consistent."""
    table_arn = table(aws)
    details = aws.create_backup(TableName="rates", BackupName="nightly")["BackupDetails"]
    arn = details["BackupArn"]
    assert arn.startswith(f"{table_arn}/backup/")
    assert (details["BackupStatus"], details["BackupType"]) == ("CREATING", "USER")
    assert details["BackupCreationDateTime"] == TWO_O_CLOCK
    assert state(aws, arn) == "CREATING"
    assert listed(aws) == []
    box.clock.run_for(timedelta(seconds=20))
    [summary] = aws.list_backups()["BackupSummaries"]
    assert (summary["BackupArn"], summary["BackupStatus"]) == (arn, "CREATING")
    assert (summary["TableName"], summary["TableArn"]) == ("rates", table_arn)
    box.clock.run_for(2 * MINUTE)
    assert state(aws, arn) == "AVAILABLE"


def test_names_may_repeat_so_a_repeated_call_makes_a_second_backup(box: Box, aws: Any) -> None:
    """API_CreateBackup takes no token and no tags, and no name is unique."""
    table(aws)
    first = backup(aws)
    box.clock.run_for(5 * MINUTE)
    second = backup(aws)
    box.clock.run_for(5 * MINUTE)
    assert first != second
    assert listed(aws) == ["nightly", "nightly"]
    with pytest.raises(ClientError) as failure:
        aws.tag_resource(ResourceArn=first, Tags=[{"Key": "run", "Value": "1"}])
    assert code_of(failure) == "ValidationException"


def test_one_backup_of_a_table_at_a_time(box: Box, aws: Any) -> None:
    """API_CreateBackup: BackupInUseException."""
    table(aws)
    table(aws, "sessions")
    backup(aws)
    backup(aws, table_name="sessions")
    with pytest.raises(ClientError) as failure:
        backup(aws, "second")
    assert code_of(failure) == "BackupInUseException"
    box.clock.run_for(2 * MINUTE)
    assert state(aws, backup(aws, "second")) == "CREATING"


def test_a_missing_table_is_told(aws: Any) -> None:
    """API_CreateBackup, API_DescribeContinuousBackups: TableNotFoundException."""
    for call in (
        lambda: backup(aws),
        lambda: span(aws),
        lambda: recover(aws),
    ):
        with pytest.raises(ClientError) as failure:
            call()
        assert code_of(failure) == "TableNotFoundException"
    assert listed(aws, TableName="rates") == []


def test_a_new_table_has_no_backups_for_a_moment(box: Box, aws: Any) -> None:
    """API_CreateBackup: ContinuousBackupsUnavailableException."""
    box.pace = Pace(ddb_backups_enabled_after=timedelta(seconds=30))
    table(aws)
    for call in (lambda: backup(aws), lambda: recover(aws)):
        with pytest.raises(ClientError) as failure:
            call()
        assert code_of(failure) == "ContinuousBackupsUnavailableException"
    box.clock.run_for(timedelta(seconds=30))
    assert state(aws, backup(aws)) == "CREATING"


def test_a_deleted_backup_is_deleted_once(box: Box, aws: Any) -> None:
    """API_DeleteBackup: BackupInUseException, BackupNotFoundException; API_BackupDetails."""
    table(aws)
    arn = backup(aws)
    with pytest.raises(ClientError) as failure:
        aws.delete_backup(BackupArn=arn)
    assert code_of(failure) == "BackupInUseException"
    box.clock.run_for(5 * MINUTE)
    answer = aws.delete_backup(BackupArn=arn)["BackupDescription"]["BackupDetails"]
    assert answer["BackupStatus"] == state(aws, arn) == "DELETED"
    with pytest.raises(ClientError) as failure:
        aws.delete_backup(BackupArn=arn)
    assert code_of(failure) == "BackupNotFoundException"
    box.clock.run_for(MINUTE)
    with pytest.raises(ClientError) as failure:
        state(aws, arn)
    assert code_of(failure) == "BackupNotFoundException"
    assert listed(aws) == []


def test_backups_outlive_their_table(box: Box, aws: Any) -> None:
    """backuprestore_HowItWorks.html; PointInTimeRecovery_Howitworks.html: the system backup."""
    box.pace = INSTANT
    table(aws)
    arn = backup(aws)
    recover(aws)
    aws.delete_table(TableName="rates")
    assert state(aws, arn) == "AVAILABLE"
    assert listed(aws, TableName="rates") == ["nightly"]
    [system] = aws.list_backups(BackupType="SYSTEM")["BackupSummaries"]
    assert system["BackupName"] == "rates$DeletedTableBackup"
    assert system["BackupExpiryDateTime"] == TWO_O_CLOCK + timedelta(days=35)
    with pytest.raises(ClientError) as failure:
        aws.delete_backup(BackupArn=system["BackupArn"])
    assert code_of(failure) == "ValidationException"
    box.clock.run_for(timedelta(days=35))
    assert listed(aws, BackupType="ALL") == ["nightly"]


def test_a_description_holds_the_table_as_it_was(box: Box, aws: Any) -> None:
    """API_SourceTableDetails, API_SourceTableFeatureDetails: no tags among them."""
    table(aws, StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"})
    aws.update_time_to_live(
        TableName="rates",
        TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires_at"},
    )
    described = aws.describe_backup(BackupArn=backup(aws))["BackupDescription"]
    source = described["SourceTableDetails"]
    assert source["TableName"] == "rates"
    assert source["BillingMode"] == "PAY_PER_REQUEST"
    assert source["KeySchema"] == [{"AttributeName": "id", "KeyType": "HASH"}]
    assert source["TableCreationDateTime"] == TWO_O_CLOCK
    features = described["SourceTableFeatureDetails"]
    assert features["TimeToLiveDescription"]["AttributeName"] == "expires_at"
    assert features["StreamDescription"]["StreamViewType"] == "NEW_IMAGE"


# --- lists ------------------------------------------------------------------------------------


def test_lists_come_in_pages(box: Box, aws: Any) -> None:
    """API_ListBackups: Limit, ExclusiveStartBackupArn, LastEvaluatedBackupArn."""
    box.pace = INSTANT
    table(aws)
    for number in range(5):
        backup(aws, f"night-{number}")
        box.clock.run_for(MINUTE)
    first = aws.list_backups(Limit=2)
    assert [one["BackupName"] for one in first["BackupSummaries"]] == ["night-0", "night-1"]
    start = first["LastEvaluatedBackupArn"]
    assert start == first["BackupSummaries"][1]["BackupArn"]
    backup(aws, "night-5")
    second = aws.list_backups(Limit=2, ExclusiveStartBackupArn=start)
    assert [one["BackupName"] for one in second["BackupSummaries"]] == ["night-2", "night-3"]
    last = aws.list_backups(Limit=2, ExclusiveStartBackupArn=second["LastEvaluatedBackupArn"])
    assert [one["BackupName"] for one in last["BackupSummaries"]] == ["night-4", "night-5"]
    assert "LastEvaluatedBackupArn" not in last
    pages = aws.get_paginator("list_backups").paginate(PaginationConfig={"PageSize": 4})
    assert [len(page["BackupSummaries"]) for page in pages] == [4, 2]


def test_a_page_without_a_limit_has_a_hundred(box: Box, aws: Any) -> None:
    """API_ListBackups: Limit is 1 to 100."""
    table(aws)
    for number in range(101):
        box.backups.record_backup(
            "rates", f"night-{number:03}", created_at=TWO_O_CLOCK - (101 - number) * MINUTE
        )
    answer = aws.list_backups()
    assert len(answer["BackupSummaries"]) == 100
    rest = aws.list_backups(ExclusiveStartBackupArn=answer["LastEvaluatedBackupArn"])
    assert [one["BackupName"] for one in rest["BackupSummaries"]] == ["night-100"]
    with pytest.raises(ClientError) as failure:
        aws.list_backups(Limit=101)
    assert code_of(failure) == "ValidationException"


def test_lists_are_cut_by_time_table_and_type(box: Box, aws: Any) -> None:
    """API_ListBackups: the lower bound is inclusive, the upper exclusive; USER by default."""
    arn = table(aws)
    table(aws, "sessions")
    for hours in (3, 2, 1):
        at = TWO_O_CLOCK - timedelta(hours=hours)
        box.backups.record_backup("rates", f"{hours}-hours-old", created_at=at)
    box.backups.record_backup(
        "rates", "awsbackup-job", created_at=TWO_O_CLOCK, backup_type="AWS_BACKUP"
    )
    box.backups.record_backup("sessions", "of-sessions", created_at=TWO_O_CLOCK)
    two_hours_ago = TWO_O_CLOCK - timedelta(hours=2)
    assert listed(aws, TimeRangeLowerBound=two_hours_ago, TableName="rates") == [
        "2-hours-old",
        "1-hours-old",
    ]
    assert listed(aws, TimeRangeUpperBound=two_hours_ago) == ["3-hours-old"]
    assert listed(aws, TableName=arn) == ["3-hours-old", "2-hours-old", "1-hours-old"]
    assert listed(aws, BackupType="AWS_BACKUP") == ["awsbackup-job"]
    assert "awsbackup-job" not in listed(aws, BackupType="ALL")


# --- point-in-time recovery -------------------------------------------------------------------


def test_the_span_begins_when_enabled_and_ends_five_minutes_ago(box: Box, aws: Any) -> None:
    """API_PointInTimeRecoveryDescription; API_ContinuousBackupsDescription: enabled at creation."""
    table(aws)
    off = aws.describe_continuous_backups(TableName="rates")["ContinuousBackupsDescription"]
    assert off == {
        "ContinuousBackupsStatus": "ENABLED",
        "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "DISABLED"},
    }
    on = recover(aws)["PointInTimeRecoveryDescription"]
    assert on["EarliestRestorableDateTime"] == on["LatestRestorableDateTime"] == TWO_O_CLOCK
    box.clock.run_for(timedelta(hours=1))
    assert span(aws) == {
        "PointInTimeRecoveryStatus": "ENABLED",
        "RecoveryPeriodInDays": 35,
        "EarliestRestorableDateTime": TWO_O_CLOCK,
        "LatestRestorableDateTime": TWO_O_CLOCK + 55 * MINUTE,
    }
    box.clock.run_for(timedelta(days=40))
    now = TWO_O_CLOCK + timedelta(days=40, hours=1)
    assert span(aws)["EarliestRestorableDateTime"] == now - timedelta(days=35)


def test_enabling_again_begins_anew_and_a_period_shortens(box: Box, aws: Any) -> None:
    """PointInTimeRecovery_Howitworks.html; API_PointInTimeRecoverySpecification: 1 to 35 days."""
    table(aws)
    recover(aws)
    box.clock.run_for(timedelta(days=10))
    recover(aws)
    assert span(aws)["EarliestRestorableDateTime"] == TWO_O_CLOCK
    recover(aws, RecoveryPeriodInDays=3)
    now = TWO_O_CLOCK + timedelta(days=10)
    assert span(aws)["EarliestRestorableDateTime"] == now - timedelta(days=3)
    recover(aws)
    assert span(aws)["RecoveryPeriodInDays"] == 35
    recover(aws, enabled=False)
    recover(aws)
    assert span(aws)["EarliestRestorableDateTime"] == now
    with pytest.raises(ClientError) as failure:
        recover(aws, RecoveryPeriodInDays=36)
    assert code_of(failure) == "ValidationException"


def test_only_the_span_can_be_restored(box: Box, aws: Any) -> None:
    """API_RestoreTableToPointInTime: its errors."""
    table(aws)

    def restore(**more: Any) -> Any:
        return aws.restore_table_to_point_in_time(
            SourceTableName="rates", TargetTableName="restored", **more
        )

    with pytest.raises(ClientError) as failure:
        restore(UseLatestRestorableTime=True)
    assert code_of(failure) == "PointInTimeRecoveryUnavailableException"
    recover(aws)
    box.clock.run_for(timedelta(hours=1))
    for moment in (TWO_O_CLOCK - MINUTE, TWO_O_CLOCK + 56 * MINUTE):
        with pytest.raises(ClientError) as failure:
            restore(RestoreDateTime=moment)
        assert code_of(failure) == "InvalidRestoreTimeException"
    restored = restore(RestoreDateTime=TWO_O_CLOCK + 30 * MINUTE)["TableDescription"]
    assert restored["TableName"] == "restored"


def test_a_backup_is_restored_once_it_is_available(box: Box, aws: Any) -> None:
    """API_RestoreTableFromBackup; a restored table has none of the settings beside its data."""
    table(aws, Tags=[{"Key": "backup-plan", "Value": "gold"}], DeletionProtectionEnabled=True)
    aws.update_time_to_live(
        TableName="rates",
        TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires_at"},
    )
    recover(aws)
    aws.put_item(TableName="rates", Item={"id": {"S": "first"}})
    arn = backup(aws)
    request = {"TargetTableName": "restored", "BackupArn": arn}
    with pytest.raises(ClientError) as failure:
        aws.restore_table_from_backup(**request)
    assert code_of(failure) == "BackupInUseException"
    box.clock.run_for(5 * MINUTE)
    restored = aws.restore_table_from_backup(**request)["TableDescription"]
    assert aws.scan(TableName="restored")["Count"] == 1
    assert span(aws, "restored")["PointInTimeRecoveryStatus"] == "DISABLED"
    ttl = aws.describe_time_to_live(TableName="restored")["TimeToLiveDescription"]
    assert ttl["TimeToLiveStatus"] == "DISABLED"
    assert aws.list_tags_of_resource(ResourceArn=restored["TableArn"])["Tags"] == []
    assert not aws.describe_table(TableName="restored")["Table"].get("DeletionProtectionEnabled")


# --- what a restore loses ---------------------------------------------------------------------


def test_settings_are_described(box: Box, aws: Any) -> None:
    """API_DescribeTimeToLive, API_ListTagsOfResource, API_DescribeTable."""
    arn = table(
        aws,
        Tags=[{"Key": "backup-plan", "Value": "gold"}],
        DeletionProtectionEnabled=True,
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    ttl = {"Enabled": True, "AttributeName": "expires_at"}
    aws.update_time_to_live(TableName="rates", TimeToLiveSpecification=ttl)
    described = aws.describe_time_to_live(TableName="rates")["TimeToLiveDescription"]
    assert described == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}
    tags = aws.list_tags_of_resource(ResourceArn=arn)["Tags"]
    assert tags == [{"Key": "backup-plan", "Value": "gold"}]
    shown = aws.describe_table(TableName="rates")["Table"]
    assert shown["DeletionProtectionEnabled"] is True
    assert shown["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"
    with pytest.raises(ClientError) as failure:
        aws.delete_table(TableName="rates")
    assert code_of(failure) == "ValidationException"


def test_everything_is_undone_when_the_stack_closes() -> None:
    patched = (DynamoHandler, DynamoDBBackend)
    before = [dict(vars(owner)) for owner in patched]
    with ExitStack() as stack, time_machine.travel(TWO_O_CLOCK, tick=False) as traveller:
        dynamodb_backups.install(Box(stack, Clock(traveller), PACE))
        assert [dict(vars(owner)) for owner in patched] != before
    assert [dict(vars(owner)) for owner in patched] == before
