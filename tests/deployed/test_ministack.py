"""What local/ministack/start.py adds to ministack, on both sides: what is allowed, what is not."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.deployed.ministack import MARKS, ROOT, ministack

ACCOUNT = "123456789012"
TABLES = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table"

pytestmark = MARKS


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of ministack, in which everybody has the rights of a policy."""
    ahead = tmp_path_factory.mktemp("clock") / "ahead"
    ahead.write_text("0", encoding="ascii")
    settings = {
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "AUTH": "true",
        "PYTHONPATH": str(ROOT / "local" / "ministack"),
        "WATCHKEEPER_CLOCK_AHEAD": str(ahead),
    }
    with ministack("python", "local/ministack/start.py", **settings) as url:
        yield url


def client(url: str, service: str, key: Mapping[str, str]) -> Any:
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        config=Config(retries={"total_max_attempts": 1}),
    )


# To ministack, an account's number is its administrator.
ADMINISTRATOR = {"AccessKeyId": ACCOUNT, "SecretAccessKey": "made-up"}

POLICY: list[dict[str, Any]] = [
    {
        "Action": ["dynamodb:CreateBackup", "dynamodb:ListTagsOfResource"],
        "Resource": f"{TABLES}/rates",
    },
    {
        "Action": ["dynamodb:DescribeBackup", "dynamodb:DeleteBackup"],
        "Resource": f"{TABLES}/rates/backup/*",
    },
    {
        "Action": "dynamodb:GetItem",
        "Resource": f"{TABLES}/state",
        "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["RUN#*"]}},
    },
    {
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::evidence/*",
        "Condition": {"Null": {"s3:if-none-match": "false"}},
    },
]


@pytest.fixture(scope="module")
def administrator(url: str) -> Any:
    """Clients that may do anything, in an account with two tables, a state and a bucket."""
    clients = partial(client, url, key=ADMINISTRATOR)
    for name, key in (("rates", "id"), ("carts", "id"), ("state", "pk")):
        clients("dynamodb").create_table(
            TableName=name,
            KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            Tags=[{"Key": "backup-plan", "Value": "gold"}],
        )
        clients("dynamodb").put_item(TableName=name, Item={key: {"S": "first"}})
    clients("s3").create_bucket(Bucket="evidence", ObjectLockEnabledForBucket=True)
    return clients


@pytest.fixture(scope="module")
def user(url: str, administrator: Any) -> Any:
    """Clients of somebody who has the rights of POLICY."""
    iam = administrator("iam")
    iam.create_user(UserName="user")
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", **statement} for statement in POLICY],
    }
    iam.put_user_policy(UserName="user", PolicyName="p", PolicyDocument=json.dumps(document))
    return partial(client, url, key=iam.create_access_key(UserName="user")["AccessKey"])


def backup(dynamodb: Any, table: str, name: str = "nightly") -> str:
    made = dynamodb.create_backup(TableName=table, BackupName=name)
    return str(made["BackupDetails"]["BackupArn"])


def test_rights_to_backups_are_asked_for_by_the_arn_of_the_backup(
    user: Any, administrator: Any
) -> None:
    dynamodb = user("dynamodb")
    ours, theirs = backup(dynamodb, "rates"), backup(administrator("dynamodb"), "carts")
    described = dynamodb.describe_backup(BackupArn=ours)["BackupDescription"]
    assert described["SourceTableDetails"]["TableName"] == "rates"
    for operation in (dynamodb.describe_backup, dynamodb.delete_backup):
        with pytest.raises(ClientError, match="AccessDenied"):
            operation(BackupArn=theirs)
    dynamodb.delete_backup(BackupArn=ours)
    with pytest.raises(ClientError, match="BackupNotFound"):
        dynamodb.describe_backup(BackupArn=ours)


def test_rights_to_tags_are_asked_for_by_the_arn_of_the_table(user: Any) -> None:
    dynamodb = user("dynamodb")
    tags = dynamodb.list_tags_of_resource(ResourceArn=f"{TABLES}/rates")["Tags"]
    assert tags == [{"Key": "backup-plan", "Value": "gold"}]
    with pytest.raises(ClientError, match="not authorized to perform"):
        dynamodb.list_tags_of_resource(ResourceArn=f"{TABLES}/carts")


def test_backups_are_listed_by_type_and_time(administrator: Any) -> None:
    dynamodb = administrator("dynamodb")
    arn = backup(dynamodb, "carts", "by-type-and-time")
    at = dynamodb.describe_backup(BackupArn=arn)["BackupDescription"]["BackupDetails"][
        "BackupCreationDateTime"
    ]

    def is_listed(**asked: Any) -> bool:
        return arn in [
            one["BackupArn"] for one in dynamodb.list_backups(**asked)["BackupSummaries"]
        ]

    assert [is_listed(BackupType=kind) for kind in ("USER", "ALL")] == [True, True]
    assert [is_listed(BackupType=kind) for kind in ("SYSTEM", "AWS_BACKUP")] == [False, False]
    assert is_listed(TimeRangeLowerBound=at.timestamp() - 1)
    assert is_listed(TimeRangeUpperBound=at.timestamp() + 1)
    assert not is_listed(TimeRangeLowerBound=at.timestamp() + 1)
    assert not is_listed(TimeRangeUpperBound=at.timestamp() - 1)


def test_a_right_to_some_partition_keys_is_none_to_others(user: Any) -> None:
    dynamodb = user("dynamodb")
    assert "Item" not in dynamodb.get_item(TableName="state", Key={"pk": {"S": "RUN#1"}})
    with pytest.raises(ClientError, match="AccessDenied"):
        dynamodb.get_item(TableName="state", Key={"pk": {"S": "POINT#1"}})


def test_a_right_to_write_once_is_none_to_write_again(user: Any) -> None:
    once = {"Bucket": "evidence", "Key": "manifest.json", "Body": b"{}"}
    s3 = user("s3")
    s3.put_object(**once, IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(**once, IfNoneMatch="*")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(**once)


NETWORK = {
    "Parameters": {
        "Image": {
            "Type": "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>",
            "Default": "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64",
        }
    },
    "Resources": {
        "Network": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "100.127.240.0/24"}},
        "Group": {
            "Type": "AWS::EC2::SecurityGroup",
            "Properties": {"GroupDescription": "asked", "VpcId": {"Ref": "Network"}},
        },
        "Asked": {
            "Type": "AWS::EC2::SecurityGroupIngress",
            "Properties": {
                "GroupId": {"Ref": "Group"},
                "SourceSecurityGroupId": {"Ref": "Group"},
                "IpProtocol": "tcp",
                "FromPort": 443,
                "ToPort": 443,
            },
        },
        "Names": {
            "Type": "AWS::Route53Resolver::FirewallDomainList",
            "Properties": {"Domains": ["*"]},
        },
    },
    "Outputs": {"Image": {"Value": {"Ref": "Image"}}, "Names": {"Value": {"Ref": "Names"}}},
}


def test_a_network_is_deployed_with_rules_that_stand_beside_their_group(administrator: Any) -> None:
    cloudformation = administrator("cloudformation")
    cloudformation.create_stack(StackName="network", TemplateBody=json.dumps(NETWORK))
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName="network", WaiterConfig={"Delay": 1, "MaxAttempts": 20}
    )
    (stack,) = cloudformation.describe_stacks(StackName="network")["Stacks"]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
    assert outputs["Image"].startswith("ami-")
    assert outputs["Names"]
    made = cloudformation.describe_stack_resource(StackName="network", LogicalResourceId="Group")
    group = made["StackResourceDetail"]["PhysicalResourceId"]
    (shown,) = administrator("ec2").describe_security_groups(GroupIds=[group])["SecurityGroups"]
    (rule,) = shown["IpPermissions"]
    assert (rule["FromPort"], rule["UserIdGroupPairs"][0]["GroupId"]) == (443, group)
