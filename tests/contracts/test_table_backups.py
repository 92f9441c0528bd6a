"""What backups rely on, of DynamoDB's own backups and of what it says about tables."""

from collections.abc import Iterator

import boto3
import pytest

from watchkeeper import naming
from watchkeeper.aws.dynamodb_backups import (
    PointInTime,
    TableBackupRemover,
    TableBackups,
    TableBackupTaker,
    Tables,
)
from watchkeeper.aws.errors import NotThere, Refused
from watchkeeper.backups.model import Span

RUN = "backup#gold#2026-11-23T02:00Z#000"
STACK = "watchkeeper"


@pytest.fixture
def rates(aws: str) -> Iterator[str]:
    """The ARN of a tagged table."""
    dynamodb = boto3.client("dynamodb")
    made = dynamodb.create_table(
        TableName="rates",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        Tags=[{"Key": "backup-plan", "Value": "gold"}],
    )
    yield made["TableDescription"]["TableArn"]
    dynamodb.delete_table(TableName="rates")


@pytest.fixture
def tables(rates: str) -> Tables:
    _, partition, _, region, account, _ = rates.split(":", 5)
    return Tables((partition, region, account), "own")


def test_a_table_is_shown_with_its_tags(tables: Tables, rates: str) -> None:
    (found,) = tables.tables()

    assert (found.arn, found.name, found.state) == (rates, "rates", "ACTIVE")
    assert found.tags == {"backup-plan": "gold"}


def test_point_in_time_recovery_is_off_until_it_is_switched_on(tables: Tables, rates: str) -> None:
    assert tables.spans([rates]) == {rates: None}

    PointInTime().switch_on(rates)

    span = tables.spans([rates])[rates]
    assert isinstance(span, Span)
    assert span.earliest <= span.latest


def test_a_backup_is_listed_described_and_removed(rates: str) -> None:
    ours, remover = TableBackups(STACK), TableBackupRemover(STACK)
    point = naming.point_id(RUN, rates)
    TableBackupTaker().take(rates, naming.table_backup(STACK, "gold", RUN, point))

    (made,) = ours.made_since(None)

    assert (made.volume, made.state) == (rates, "completed")
    assert made.tags[naming.TAG_POINT] == point
    assert remover.named([made.id]) == [made]
    assert ours.made_since(made.started_at) == [made]
    remover.delete(made.id)
    assert (ours.made_since(None), remover.named([made.id])) == ([], [])
    with pytest.raises(NotThere):
        remover.delete(made.id)


def test_a_backup_of_somebody_else_is_neither_listed_nor_removed(rates: str) -> None:
    ours, remover = TableBackups(STACK), TableBackupRemover(STACK)
    made = boto3.client("dynamodb").create_backup(TableName="rates", BackupName="by-hand")
    arn = made["BackupDetails"]["BackupArn"]

    assert ours.made_since(None) == []
    with pytest.raises(Refused, match="by-hand"):
        remover.delete(arn)
    (left,) = remover.named([arn])
    assert left.tags == {}
