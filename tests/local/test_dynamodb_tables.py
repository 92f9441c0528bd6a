"""Tables and their scaling in the box, held against the AWS page that each test names."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.aws import autoscaling, dynamodb_backups, dynamodb_tables
from local.pace import INSTANT
from tests.local.service_box import ServiceBox, service_box

STREAM = "arn:aws:kinesis:us-east-1:123456789012:stream/changes"


@pytest.fixture
def box() -> Iterator[ServiceBox]:
    extensions = (autoscaling, dynamodb_backups, dynamodb_tables)
    with service_box(ServiceBox, *extensions, pace=INSTANT) as box:
        yield box


@pytest.fixture
def aws(box: ServiceBox) -> Any:
    return box.client("dynamodb")


def table(aws: Any, **more: Any) -> None:
    aws.create_table(
        TableName="rates",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        **more,
    )


def table_class(aws: Any, name: str = "rates") -> Any:
    found = aws.describe_table(TableName=name)["Table"]
    return found.get("TableClassSummary", {}).get("TableClass")


def destinations(aws: Any) -> list[dict[str, Any]]:
    answer = aws.describe_kinesis_streaming_destination(TableName="rates")
    return list(answer["KinesisDataStreamDestinations"])


def test_a_table_has_the_class_that_it_was_given_last(aws: Any) -> None:
    """API_CreateTable, API_UpdateTable: TableClass."""
    table(aws, TableClass="STANDARD_INFREQUENT_ACCESS")
    assert table_class(aws) == "STANDARD_INFREQUENT_ACCESS"
    aws.update_table(TableName="rates", TableClass="STANDARD")
    assert table_class(aws) == "STANDARD"


def test_neither_a_restored_nor_a_new_table_of_the_name_has_the_old_settings(aws: Any) -> None:
    """Restore.Tutorial: tables restored from backups are always of the class Standard."""
    table(aws, TableClass="STANDARD_INFREQUENT_ACCESS")
    aws.enable_kinesis_streaming_destination(TableName="rates", StreamArn=STREAM)
    made = aws.create_backup(TableName="rates", BackupName="nightly")["BackupDetails"]
    aws.restore_table_from_backup(TargetTableName="again", BackupArn=made["BackupArn"])
    assert table_class(aws, "again") is None
    aws.delete_table(TableName="rates")
    table(aws)
    assert (table_class(aws), destinations(aws)) == (None, [])


def test_a_stream_is_a_destination_once(aws: Any) -> None:
    """API_EnableKinesisStreamingDestination, API_DescribeKinesisStreamingDestination."""
    with pytest.raises(ClientError) as failure:
        destinations(aws)
    assert failure.value.response["Error"]["Code"] == "ResourceNotFoundException"
    table(aws)
    answer = aws.enable_kinesis_streaming_destination(TableName="rates", StreamArn=STREAM)
    assert answer["DestinationStatus"] == "ENABLING"
    assert destinations(aws) == [{"StreamArn": STREAM, "DestinationStatus": "ACTIVE"}]
    with pytest.raises(ClientError) as failure:
        aws.enable_kinesis_streaming_destination(TableName="rates", StreamArn=STREAM)
    assert failure.value.response["Error"]["Code"] == "ResourceInUseException"


def test_scaling_policies_are_those_of_the_resource_that_was_named(box: ServiceBox) -> None:
    """API_DescribeScalingPolicies: ResourceId."""
    scaling = box.client("application-autoscaling")
    for resource, what in (("table/rates", "table"), ("table/rates/index/day", "index")):
        where = {
            "ServiceNamespace": "dynamodb",
            "ResourceId": resource,
            "ScalableDimension": f"dynamodb:{what}:ReadCapacityUnits",
        }
        scaling.register_scalable_target(**where, MinCapacity=1, MaxCapacity=9)
        scaling.put_scaling_policy(
            **where,
            PolicyName=what,
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={"TargetValue": 70.0},
        )

    def policies(**asked: str) -> list[str]:
        found = scaling.describe_scaling_policies(ServiceNamespace="dynamodb", **asked)
        return [policy["PolicyName"] for policy in found["ScalingPolicies"]]

    assert policies(ResourceId="table/rates/index/day") == ["index"]
    assert policies(ResourceId="table/rates") == ["table"]
    assert policies() == ["table", "index"]
