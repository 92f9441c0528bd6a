"""What `make deploy-local` puts into the second emulator before it deploys."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest

from local import account
from local.account import TABLES
from local.aws import dynamodb_backups
from local.deploy import copy_tables
from local.pace import Pace
from tests.local.service_box import REGION, ServiceBox, service_box


@pytest.fixture
def box() -> Iterator[ServiceBox]:
    pace = Pace(ddb_backups_enabled_after=timedelta(0))
    with service_box(ServiceBox, dynamodb_backups, pace=pace) as box:
        account._tables(box)
        yield box


def shown(aws: Any, name: str) -> dict[str, Any]:
    """All of a table that the account's tables differ in."""
    table = aws.describe_table(TableName=name)["Table"]
    recovery = aws.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    return {
        "tags": aws.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"],
        "protected": table["DeletionProtectionEnabled"],
        "stream": table.get("StreamSpecification"),
        "key": table["KeySchema"],
        "recovery": recovery["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"],
        "expiry": aws.describe_time_to_live(TableName=name)["TimeToLiveDescription"],
        "items": aws.scan(TableName=name)["Items"],
    }


def test_every_table_of_the_account_is_copied_as_it_is(box: ServiceBox) -> None:
    here, there = box.client("dynamodb"), boto3.client("dynamodb", region_name="eu-west-1")
    assert REGION != "eu-west-1"
    copy_tables(here, there)
    assert set(there.list_tables()["TableNames"]) == {table.name for table in TABLES}
    copies = {table.name: shown(there, table.name) for table in TABLES}
    assert copies == {table.name: shown(here, table.name) for table in TABLES}
    assert len({str(copy) for copy in copies.values()}) == len(TABLES)
