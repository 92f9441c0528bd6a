"""The template arrives in the account as it was written, and leaves nothing behind."""

import os
from datetime import UTC, datetime

import boto3
import pytest

from local.cloud import Cloud
from tests.local.box import START, TEMPLATE, box


def test_time_and_credentials_are_those_of_the_box_and_only_inside_it() -> None:
    before = (os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_DEFAULT_REGION"))
    with box() as cloud:
        assert datetime.now(UTC) == START == cloud.clock.now()
        assert os.environ["AWS_DEFAULT_REGION"] == cloud.region
    assert datetime.now(UTC) != START
    after = (os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_DEFAULT_REGION"))
    assert after == before


def test_nothing_of_one_box_is_in_the_next() -> None:
    with box() as first:
        first.client("sqs").create_queue(QueueName="left-behind")
        name = first.physical_id("Table")
    with box() as second:
        queues = second.client("sqs").list_queues()["QueueUrls"]
        assert not any("left-behind" in url for url in queues)
        # The same seed makes the same names, so that a failing test fails again.
        assert second.physical_id("Table") == name


def test_properties_that_moto_drops_are_applied_to_the_table() -> None:
    with box() as cloud:
        dynamodb, table = cloud.client("dynamodb"), cloud.physical_id("Table")
        lifetime = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        backups = dynamodb.describe_continuous_backups(TableName=table)
        description = dynamodb.describe_table(TableName=table)["Table"]
    assert lifetime == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}
    recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"
    assert description["SSEDescription"]["Status"] == "ENABLED"


def test_properties_that_moto_drops_are_applied_to_the_bucket() -> None:
    with box() as cloud:
        s3, bucket = cloud.client("s3"), cloud.physical_id("Bucket")
        versioning = s3.get_bucket_versioning(Bucket=bucket)["Status"]
        lock = s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
        block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert versioning == "Enabled"
    assert lock["Rule"]["DefaultRetention"] == {"Mode": "GOVERNANCE", "Days": 30}
    assert set(block.values()) == {True}


def test_parameters_reach_the_functions() -> None:
    with box(parameters={"Greeting": "good night"}) as cloud:
        configuration = cloud.client("lambda").get_function_configuration(
            FunctionName=cloud.physical_id("Keeper")
        )
        assert configuration["Environment"]["Variables"]["GREETING"] == "good night"


def test_an_unknown_parameter_is_named() -> None:
    with (
        pytest.raises(ValueError, match="no parameter Greting; there are: Greeting"),
        box(parameters={"Greting": "x"}),
    ):
        pass


def test_a_start_without_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        Cloud(datetime(2026, 11, 23), template=TEMPLATE)  # noqa: DTZ001, that is the point


def test_a_function_that_makes_its_own_session_stays_in_the_box() -> None:
    with box() as cloud:
        tables = boto3.Session().client("dynamodb").list_tables()["TableNames"]
        assert tables == [cloud.physical_id("Table")]
