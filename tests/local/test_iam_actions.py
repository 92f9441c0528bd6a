"""What IAM is asked for each call: the tables of `local.iam_actions`, one example per operation."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import botocore.session
import pytest

from local.iam_actions import ANY_RESOURCE, OPERATIONS, requests_of
from local.iam_recoveries import RECOVERIES
from local.iam_requests import KNOWN_KEYS, KNOWN_PREFIXES, Account, CannotJudge, Request
from local.iam_restores import RESTORES

TABLE = "arn:aws:dynamodb:eu-west-1:111122223333:table/state"
SECRET_TABLE = "arn:aws:dynamodb:eu-west-1:111122223333:table/secrets"
NEWS = "arn:aws:sns:eu-west-1:111122223333:news"
SECRET_NEWS = "arn:aws:sns:eu-west-1:111122223333:secret-news"
QUEUE = "arn:aws:sqs:eu-west-1:111122223333:left-over"
SECRET_QUEUE = "arn:aws:sqs:eu-west-1:111122223333:secret-left-over"
KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234"
SNAPSHOT = "arn:aws:ec2:eu-west-1::snapshot/snap-1"
ANY_SNAPSHOT = "arn:aws:ec2:eu-west-1::snapshot/*"
PARAMETER = "arn:aws:ssm:eu-west-1:111122223333:parameter"
ALARMS = "arn:aws:cloudwatch:eu-west-1:111122223333"
LOG_GROUP = "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/lambda/f"

DATABASE = "arn:aws:rds:eu-west-1:111122223333:db"
CLUSTER = "arn:aws:rds:eu-west-1:111122223333:cluster"
DATABASE_SNAPSHOT = "arn:aws:rds:eu-west-1:111122223333:snapshot"
CLUSTER_SNAPSHOT = "arn:aws:rds:eu-west-1:111122223333:cluster-snapshot"
RATES = "arn:aws:dynamodb:eu-west-1:111122223333:table/rates"
BACKUP = f"{RATES}/backup/01764000000000-aaaa1111"
VAULT_POINT = "arn:aws:backup:eu-west-1:111122223333:recovery-point:1EB3B5E7"

# What is encrypted with which customer-managed key, and what is not; nothing else is known.
KEYS = {
    f"{DATABASE}:orders": "",
    f"{DATABASE}:guests": KEY,
    f"{CLUSTER}:ledger": KEY,
    f"{CLUSTER}:reports": "",
    RATES: KEY,
    TABLE: "",
    SNAPSHOT: KEY,
    "arn:aws:ec2:eu-west-1::snapshot/snap-plain": "",
}
OBJECTS_THERE = {
    "arn:aws:s3:::b/k": True,
    "arn:aws:s3:::secrets/k": True,
    "arn:aws:s3:::b/no": False,
}

VOLUMES = {"i-1": ["vol-1", "vol-2"], "i-gone": []}

ACCOUNT = Account(
    "111122223333",
    "eu-west-1",
    volumes_of=VOLUMES.get,
    partition_keys={
        TABLE: "pk",
        f"{TABLE}/index/due": "due",
        SECRET_TABLE: "pk",
    },
    customer_keys={
        SECRET_NEWS: KEY,
        SECRET_QUEUE: KEY,
        SECRET_TABLE: KEY,
        "arn:aws:s3:::secrets": KEY,
        f"{PARAMETER}/secret": KEY,
    },
    key_of=KEYS.get,
    has_object=OBJECTS_THERE.get,
)

# Every request has these; the tables below name only what a call adds.
ALWAYS = {
    "aws:principalaccount": ("111122223333",),
    "aws:requestedregion": ("eu-west-1",),
    "aws:securetransport": ("true",),
}


class Call(NamedTuple):
    service: str
    operation: str
    params: Mapping[str, Any]
    asks: list[tuple[str, str, dict[str, tuple[str, ...]]]]


def tags(kind: str = "snapshot", **values: str) -> list[dict[str, Any]]:
    listed = [{"Key": key, "Value": value} for key, value in values.items()]
    return [{"ResourceType": kind, "Tags": listed}]


def via(service: str) -> dict[str, tuple[str, ...]]:
    return {"kms:viaservice": (f"{service}.eu-west-1.amazonaws.com",)}


def granting(service: str) -> dict[str, tuple[str, ...]]:
    return via(service) | {"kms:grantisforawsresource": ("true",)}


def key(value: str) -> dict[str, dict[str, str]]:
    return {"pk": {"S": value}, "sk": {"S": "RUN"}}


def leading(*values: str) -> dict[str, tuple[str, ...]]:
    return {"dynamodb:leadingkeys": values}


TAGGED = {
    "aws:requesttag/stack": ("wk",),
    "aws:requesttag/run": ("r1",),
    "aws:tagkeys": ("Stack", "run"),
}

EC2 = [
    Call("ec2", "DescribeInstances", {}, [("ec2:DescribeInstances", "*", {})]),
    Call("ec2", "DescribeSnapshots", {"OwnerIds": ["self"]}, [("ec2:DescribeSnapshots", "*", {})]),
    Call(
        "ec2",
        "DescribeSnapshotAttribute",
        {"SnapshotId": "snap-1", "Attribute": "createVolumePermission"},
        [("ec2:DescribeSnapshotAttribute", SNAPSHOT, {})],
    ),
    Call(
        "ec2",
        "DescribeImageAttribute",
        {"ImageId": "ami-1", "Attribute": "launchPermission"},
        [("ec2:DescribeImageAttribute", "arn:aws:ec2:eu-west-1::image/ami-1", {})],
    ),
    Call(
        "ec2",
        "CreateSnapshot",
        {"VolumeId": "vol-1"},
        [
            ("ec2:CreateSnapshot", "arn:aws:ec2:eu-west-1:111122223333:volume/vol-1", {}),
            ("ec2:CreateSnapshot", ANY_SNAPSHOT, {}),
        ],
    ),
    Call(
        "ec2",
        "CreateSnapshot",
        {"VolumeId": "vol-1", "TagSpecifications": tags(Stack="wk", run="r1")},
        [
            ("ec2:CreateSnapshot", "arn:aws:ec2:eu-west-1:111122223333:volume/vol-1", {}),
            ("ec2:CreateSnapshot", ANY_SNAPSHOT, TAGGED),
            ("ec2:CreateTags", ANY_SNAPSHOT, TAGGED | {"ec2:createaction": ("CreateSnapshot",)}),
        ],
    ),
    Call(
        "ec2",
        "CreateSnapshots",
        {
            "InstanceSpecification": {"InstanceId": "i-1", "ExcludeDataVolumeIds": ["vol-2"]},
            "TagSpecifications": tags(Stack="wk", run="r1"),
        },
        [
            ("ec2:CreateSnapshots", "arn:aws:ec2:eu-west-1:111122223333:instance/i-1", {}),
            ("ec2:CreateSnapshots", "arn:aws:ec2:eu-west-1:111122223333:volume/vol-1", {}),
            ("ec2:CreateSnapshots", ANY_SNAPSHOT, TAGGED),
            ("ec2:CreateTags", ANY_SNAPSHOT, TAGGED | {"ec2:createaction": ("CreateSnapshots",)}),
        ],
    ),
    Call(
        "ec2",
        "CreateSnapshots",
        {"InstanceSpecification": {"InstanceId": "i-gone"}},
        [
            ("ec2:CreateSnapshots", "arn:aws:ec2:eu-west-1:111122223333:instance/i-gone", {}),
            ("ec2:CreateSnapshots", ANY_SNAPSHOT, {}),
        ],
    ),
    *(
        Call("ec2", operation, {"SnapshotId": "snap-1"}, [(f"ec2:{operation}", SNAPSHOT, {})])
        for operation in (
            "DeleteSnapshot",
            "LockSnapshot",
            "ModifySnapshotTier",
            "RestoreSnapshotTier",
        )
    ),
    Call(
        "ec2",
        "CreateTags",
        {"Resources": ["snap-1", "i-1"], "Tags": [{"Key": "run", "Value": "r1"}]},
        [
            ("ec2:CreateTags", SNAPSHOT, {"aws:requesttag/run": ("r1",), "aws:tagkeys": ("run",)}),
            (
                "ec2:CreateTags",
                "arn:aws:ec2:eu-west-1:111122223333:instance/i-1",
                {"aws:requesttag/run": ("r1",), "aws:tagkeys": ("run",)},
            ),
        ],
    ),
    Call(
        "ec2",
        "DeleteTags",
        {"Resources": ["snap-1"], "Tags": [{"Key": "run"}]},
        [("ec2:DeleteTags", SNAPSHOT, {"aws:tagkeys": ("run",)})],
    ),
]

DYNAMODB = [
    *(
        Call(
            "dynamodb",
            operation,
            {"TableName": "state", "Key": key("RUN#1")},
            [(f"dynamodb:{operation}", TABLE, leading("RUN#1"))],
        )
        for operation in ("GetItem", "UpdateItem", "DeleteItem")
    ),
    Call(
        "dynamodb",
        "PutItem",
        {"TableName": TABLE, "Item": key("RUN#1") | {"state": {"S": "done"}}},
        [("dynamodb:PutItem", TABLE, leading("RUN#1"))],
    ),
    Call(
        "dynamodb",
        "GetItem",
        {"TableName": "secrets", "Key": {"pk": {"N": "7"}}},
        [
            ("dynamodb:GetItem", SECRET_TABLE, leading("7")),
            ("kms:Decrypt", KEY, via("dynamodb")),
        ],
    ),
    Call(
        "dynamodb",
        "Query",
        {
            "TableName": "state",
            "KeyConditionExpression": "#pk = :pk AND begins_with(sk, :sk)",
            "ExpressionAttributeNames": {"#pk": "pk"},
            "ExpressionAttributeValues": {":pk": {"S": "RUN#1"}, ":sk": {"S": "STEP#"}},
        },
        [("dynamodb:Query", TABLE, leading("RUN#1"))],
    ),
    Call(
        "dynamodb",
        "Query",
        {
            "TableName": "state",
            "KeyConditionExpression": "sk = :sk AND (:pk = pk)",
            "ExpressionAttributeValues": {":pk": {"S": "RUN#1"}, ":sk": {"S": "RUN"}},
        },
        [("dynamodb:Query", TABLE, leading("RUN#1"))],
    ),
    Call(
        "dynamodb",
        "Query",
        {
            "TableName": "state",
            "IndexName": "due",
            "KeyConditionExpression": "due = :due AND wake_at <= :now",
            "ExpressionAttributeValues": {":due": {"S": "DUE#backup"}, ":now": {"S": "2026"}},
        },
        [("dynamodb:Query", f"{TABLE}/index/due", leading("DUE#backup"))],
    ),
    Call("dynamodb", "Scan", {"TableName": "state"}, [("dynamodb:Scan", TABLE, {})]),
    Call(
        "dynamodb",
        "Scan",
        {"TableName": "state", "IndexName": "due"},
        [("dynamodb:Scan", f"{TABLE}/index/due", {})],
    ),
    Call(
        "dynamodb",
        "BatchGetItem",
        {"RequestItems": {"state": {"Keys": [key("RUN#1"), key("RUN#2"), key("RUN#1")]}}},
        [("dynamodb:BatchGetItem", TABLE, leading("RUN#1", "RUN#2"))],
    ),
    Call(
        "dynamodb",
        "BatchWriteItem",
        {
            "RequestItems": {
                "state": [
                    {"PutRequest": {"Item": key("RUN#1")}},
                    {"DeleteRequest": {"Key": key("RUN#2")}},
                ]
            }
        },
        [("dynamodb:BatchWriteItem", TABLE, leading("RUN#1", "RUN#2"))],
    ),
    Call(
        "dynamodb",
        "TransactWriteItems",
        {
            "TransactItems": [
                {"Put": {"TableName": "state", "Item": key("RUN#1")}},
                {"Update": {"TableName": "state", "Key": key("RUN#2")}},
                {"Put": {"TableName": "state", "Item": key("POINT#1")}},
                {"Delete": {"TableName": "state", "Key": key("RUN#3")}},
                {"ConditionCheck": {"TableName": "state", "Key": key("STOP")}},
            ]
        },
        [
            (
                f"dynamodb:{action}",
                TABLE,
                leading(*keys) | {"dynamodb:enclosingoperation": ("TransactWriteItems",)},
            )
            for action, keys in {
                "PutItem": ["RUN#1", "POINT#1"],
                "UpdateItem": ["RUN#2"],
                "DeleteItem": ["RUN#3"],
                "ConditionCheckItem": ["STOP"],
            }.items()
        ],
    ),
    Call(
        "dynamodb",
        "TransactGetItems",
        {"TransactItems": [{"Get": {"TableName": "state", "Key": key("RUN#1")}}]},
        [
            (
                "dynamodb:GetItem",
                TABLE,
                leading("RUN#1") | {"dynamodb:enclosingoperation": ("TransactGetItems",)},
            )
        ],
    ),
]

TABLES = [
    *(
        Call("dynamodb", operation, {"TableName": table}, [(f"dynamodb:{operation}", TABLE, {})])
        for operation in (
            "DescribeTable",
            "DescribeTimeToLive",
            "DescribeContinuousBackups",
            "UpdateContinuousBackups",
            "DescribeContributorInsights",
            "DescribeKinesisStreamingDestination",
        )
        for table in ("state", TABLE)
    ),
    Call(
        "dynamodb",
        "DescribeContributorInsights",
        {"TableName": "state", "IndexName": "due"},
        [("dynamodb:DescribeContributorInsights", f"{TABLE}/index/due", {})],
    ),
    *(
        Call("dynamodb", operation, {"ResourceArn": TABLE}, [(f"dynamodb:{operation}", TABLE, {})])
        for operation in ("GetResourcePolicy", "ListTagsOfResource")
    ),
    Call(
        "dynamodb",
        "CreateBackup",
        {"TableName": "state", "BackupName": "wk.1"},
        [("dynamodb:CreateBackup", TABLE, {})],
    ),
    Call(
        "dynamodb",
        "CreateBackup",
        {"TableName": "secrets", "BackupName": "wk.1"},
        [
            ("dynamodb:CreateBackup", SECRET_TABLE, {}),
            ("kms:Decrypt", KEY, via("dynamodb")),
            ("kms:GenerateDataKey", KEY, via("dynamodb")),
        ],
    ),
    Call(
        "dynamodb",
        "CreateBackup",
        {"TableName": RATES, "BackupName": "wk.1"},
        [
            ("dynamodb:CreateBackup", RATES, {}),
            ("kms:Decrypt", KEY, via("dynamodb")),
            ("kms:GenerateDataKey", KEY, via("dynamodb")),
        ],
    ),
    *(
        Call("dynamodb", operation, {"BackupArn": BACKUP}, [(f"dynamodb:{operation}", BACKUP, {})])
        for operation in ("DeleteBackup", "DescribeBackup")
    ),
    Call("dynamodb", "ListBackups", {"TableName": "rates"}, [("dynamodb:ListBackups", "*", {})]),
    Call("dynamodb", "ListTables", {}, [("dynamodb:ListTables", "*", {})]),
    *(
        Call(
            "application-autoscaling",
            operation,
            {"ServiceNamespace": "dynamodb"},
            [(f"application-autoscaling:{operation}", "*", {})],
        )
        for operation in (
            "DescribeScalableTargets",
            "DescribeScalingPolicies",
            "DescribeScheduledActions",
        )
    ),
]

NEW_TAGS: dict[str, tuple[str, ...]] = {
    "aws:requesttag/watchkeeper:run": ("r1",),
    "aws:tagkeys": ("watchkeeper:run",),
}
WITH_TAGS = {"Tags": [{"Key": "watchkeeper:run", "Value": "r1"}]}

DATABASES = [
    Call("rds", "DescribeDBInstances", {}, [("rds:DescribeDBInstances", f"{DATABASE}:*", {})]),
    *(
        Call(
            "rds",
            "DescribeDBInstances",
            {"DBInstanceIdentifier": identifier},
            [("rds:DescribeDBInstances", f"{DATABASE}:orders", {})],
        )
        for identifier in ("orders", f"{DATABASE}:orders")
    ),
    Call(
        "rds",
        "DescribeDBParameters",
        {"DBParameterGroupName": "tuned"},
        [("rds:DescribeDBParameters", f"{DATABASE.removesuffix(':db')}:pg:tuned", {})],
    ),
    Call("rds", "DescribeEvents", {}, [("rds:DescribeEvents", "*", {})]),
    *(
        Call(
            "pi",
            operation,
            {"ServiceType": "RDS", "Identifier": "db-ABC"},
            [
                (
                    f"pi:{operation}",
                    f"{DATABASE.removesuffix(':db').replace(':rds:', ':pi:')}:metrics/rds/db-ABC",
                    {},
                )
            ],
        )
        for operation in ("DescribeDimensionKeys", "GetResourceMetrics")
    ),
    Call("rds", "DescribeDBClusters", {}, [("rds:DescribeDBClusters", f"{CLUSTER}:*", {})]),
    Call(
        "rds",
        "DescribeDBSnapshots",
        {"SnapshotType": "manual"},
        [
            ("rds:DescribeDBSnapshots", f"{DATABASE}:*", {}),
            ("rds:DescribeDBSnapshots", f"{DATABASE_SNAPSHOT}:*", {}),
        ],
    ),
    Call(
        "rds",
        "DescribeDBSnapshots",
        {"DBInstanceIdentifier": "orders", "DBSnapshotIdentifier": "wk-1"},
        [
            ("rds:DescribeDBSnapshots", f"{DATABASE}:orders", {}),
            ("rds:DescribeDBSnapshots", f"{DATABASE_SNAPSHOT}:wk-1", {}),
        ],
    ),
    Call(
        "rds",
        "DescribeDBClusterSnapshots",
        {"DBClusterSnapshotIdentifier": "wk-1"},
        [
            ("rds:DescribeDBClusterSnapshots", f"{CLUSTER}:*", {}),
            ("rds:DescribeDBClusterSnapshots", f"{CLUSTER_SNAPSHOT}:wk-1", {}),
        ],
    ),
    Call(
        "rds",
        "DescribeDBInstanceAutomatedBackups",
        {},
        [
            ("rds:DescribeDBInstanceAutomatedBackups", f"{DATABASE}:*", {}),
            (
                "rds:DescribeDBInstanceAutomatedBackups",
                "arn:aws:rds:eu-west-1:111122223333:auto-backup:*",
                {},
            ),
        ],
    ),
    Call("rds", "DescribeAccountAttributes", {}, [("rds:DescribeAccountAttributes", "*", {})]),
    *(
        Call(
            "rds",
            operation,
            {"DBSnapshotIdentifier": "wk-1"},
            [(f"rds:{operation}", f"{DATABASE_SNAPSHOT}:wk-1", {})],
        )
        for operation in ("DeleteDBSnapshot", "DescribeDBSnapshotAttributes")
    ),
    *(
        Call(
            "rds",
            operation,
            {"DBClusterSnapshotIdentifier": "wk-1"},
            [(f"rds:{operation}", f"{CLUSTER_SNAPSHOT}:wk-1", {})],
        )
        for operation in ("DeleteDBClusterSnapshot", "DescribeDBClusterSnapshotAttributes")
    ),
    Call(
        "rds",
        "CreateDBSnapshot",
        {"DBInstanceIdentifier": "orders", "DBSnapshotIdentifier": "wk-1"},
        [
            ("rds:CreateDBSnapshot", f"{DATABASE}:orders", {}),
            ("rds:CreateDBSnapshot", f"{DATABASE_SNAPSHOT}:wk-1", {}),
        ],
    ),
    Call(
        "rds",
        "CreateDBSnapshot",
        {"DBInstanceIdentifier": "guests", "DBSnapshotIdentifier": "wk-1"} | WITH_TAGS,
        [
            ("rds:CreateDBSnapshot", f"{DATABASE}:guests", NEW_TAGS),
            ("rds:CreateDBSnapshot", f"{DATABASE_SNAPSHOT}:wk-1", NEW_TAGS),
            ("rds:AddTagsToResource", f"{DATABASE_SNAPSHOT}:wk-1", NEW_TAGS),
            ("kms:DescribeKey", KEY, via("rds")),
            ("kms:CreateGrant", KEY, granting("rds")),
        ],
    ),
    Call(
        "rds",
        "CreateDBClusterSnapshot",
        {"DBClusterIdentifier": "ledger", "DBClusterSnapshotIdentifier": "wk-1"} | WITH_TAGS,
        [
            ("rds:CreateDBClusterSnapshot", f"{CLUSTER}:ledger", NEW_TAGS),
            ("rds:CreateDBClusterSnapshot", f"{CLUSTER_SNAPSHOT}:wk-1", NEW_TAGS),
            ("rds:AddTagsToResource", f"{CLUSTER_SNAPSHOT}:wk-1", NEW_TAGS),
            ("kms:DescribeKey", KEY, via("rds")),
            ("kms:CreateGrant", KEY, granting("rds")),
        ],
    ),
    Call(
        "rds",
        "AddTagsToResource",
        {"ResourceName": f"{DATABASE_SNAPSHOT}:wk-1"} | WITH_TAGS,
        [("rds:AddTagsToResource", f"{DATABASE_SNAPSHOT}:wk-1", NEW_TAGS)],
    ),
    Call(
        "rds",
        "RemoveTagsFromResource",
        {"ResourceName": f"{DATABASE_SNAPSHOT}:wk-1", "TagKeys": ["run"]},
        [
            (
                "rds:RemoveTagsFromResource",
                f"{DATABASE_SNAPSHOT}:wk-1",
                {"aws:tagkeys": ("run",)},
            )
        ],
    ),
    Call(
        "rds",
        "ListTagsForResource",
        {"ResourceName": f"{CLUSTER}:ledger"},
        [("rds:ListTagsForResource", f"{CLUSTER}:ledger", {})],
    ),
    *(
        Call(
            "rds",
            operation,
            {"DBInstanceIdentifier": "orders"},
            [(f"rds:{operation}", f"{DATABASE}:orders", {})],
        )
        for operation in ("ModifyDBInstance", "StartDBInstance", "StopDBInstance")
    ),
    Call(
        "rds",
        "StopDBInstance",
        {"DBInstanceIdentifier": "orders", "DBSnapshotIdentifier": "last"},
        [
            ("rds:StopDBInstance", f"{DATABASE}:orders", {}),
            ("rds:StopDBInstance", f"{DATABASE_SNAPSHOT}:last", {}),
        ],
    ),
    Call("backup", "ListBackupVaults", {}, [("backup:ListBackupVaults", "*", {})]),
    Call(
        "backup",
        "ListRecoveryPointsByBackupVault",
        {"BackupVaultName": "Default"},
        [
            (
                "backup:ListRecoveryPointsByBackupVault",
                "arn:aws:backup:eu-west-1:111122223333:backup-vault:Default",
                {},
            )
        ],
    ),
    Call(
        "backup",
        "DescribeRecoveryPoint",
        {"BackupVaultName": "Default", "RecoveryPointArn": VAULT_POINT},
        [("backup:DescribeRecoveryPoint", VAULT_POINT, {})],
    ),
]

NODE = "arn:aws:ec2:eu-west-1:111122223333:instance/i-1"

COMMANDS = [
    Call(
        "ssm",
        "SendCommand",
        {"DocumentName": "AWS-RunShellScript", "InstanceIds": ["i-1"]},
        [
            ("ssm:SendCommand", "arn:aws:ssm:eu-west-1::document/AWS-RunShellScript", {}),
            ("ssm:SendCommand", NODE, {}),
        ],
    ),
    Call(
        "ssm",
        "SendCommand",
        {
            "DocumentName": "freeze",
            "Targets": [{"Key": "InstanceIds", "Values": ["i-1", "mi-2"]}],
            "OutputS3BucketName": "evidence",
        },
        [
            ("ssm:SendCommand", "arn:aws:ssm:eu-west-1:111122223333:document/freeze", {}),
            ("ssm:SendCommand", NODE, {}),
            ("ssm:SendCommand", "arn:aws:ssm:eu-west-1:111122223333:managed-instance/mi-2", {}),
            ("ssm:SendCommand", "arn:aws:s3:::evidence", {}),
        ],
    ),
    Call(
        "ssm",
        "SendCommand",
        {"DocumentName": "arn:aws:ssm:eu-west-1:4:document/shared", "InstanceIds": []},
        [("ssm:SendCommand", "arn:aws:ssm:eu-west-1:4:document/shared", {})],
    ),
    *(
        Call("ssm", operation, {}, [(f"ssm:{operation}", "*", {})])
        for operation in (
            "CancelCommand",
            "DescribeInstanceInformation",
            "GetCommandInvocation",
            "ListCommandInvocations",
            "ListCommands",
        )
    ),
]

MESSAGES = [
    Call("sns", "Publish", {"TopicArn": NEWS, "Message": "m"}, [("sns:Publish", NEWS, {})]),
    Call("sns", "Publish", {"TargetArn": NEWS, "Message": "m"}, [("sns:Publish", NEWS, {})]),
    Call("sns", "Publish", {"PhoneNumber": "+4911", "Message": "m"}, [("sns:Publish", "*", {})]),
    Call(
        "sns",
        "PublishBatch",
        {"TopicArn": SECRET_NEWS, "PublishBatchRequestEntries": []},
        [
            ("sns:Publish", SECRET_NEWS, {}),
            ("kms:GenerateDataKey", KEY, via("sns")),
            ("kms:Decrypt", KEY, via("sns")),
        ],
    ),
    *(
        Call(
            "sqs",
            operation,
            {"QueueUrl": "https://sqs.eu-west-1.amazonaws.com/111122223333/left-over"},
            [(f"sqs:{action}", QUEUE, {})],
        )
        for operation, action in {
            "SendMessage": "SendMessage",
            "SendMessageBatch": "SendMessage",
            "ReceiveMessage": "ReceiveMessage",
            "DeleteMessage": "DeleteMessage",
            "DeleteMessageBatch": "DeleteMessage",
            "ChangeMessageVisibility": "ChangeMessageVisibility",
            "GetQueueAttributes": "GetQueueAttributes",
        }.items()
    ),
    Call(
        "sqs",
        "ReceiveMessage",
        {"QueueUrl": "https://sqs.eu-west-1.amazonaws.com/111122223333/secret-left-over"},
        [("sqs:ReceiveMessage", SECRET_QUEUE, {}), ("kms:Decrypt", KEY, via("sqs"))],
    ),
    Call("sqs", "GetQueueUrl", {"QueueName": "left-over"}, [("sqs:GetQueueUrl", QUEUE, {})]),
]

PARAMETERS = [
    Call("ssm", "GetParameter", {"Name": "/wk/a"}, [("ssm:GetParameter", f"{PARAMETER}/wk/a", {})]),
    Call("ssm", "GetParameter", {"Name": "a:3"}, [("ssm:GetParameter", f"{PARAMETER}/a", {})]),
    Call(
        "ssm",
        "GetParameter",
        {"Name": f"{PARAMETER}/a"},
        [("ssm:GetParameter", f"{PARAMETER}/a", {})],
    ),
    Call(
        "ssm",
        "GetParameters",
        {"Names": ["/a", "/secret"], "WithDecryption": True},
        [
            ("ssm:GetParameters", f"{PARAMETER}/a", {}),
            ("ssm:GetParameters", f"{PARAMETER}/secret", {}),
            ("kms:Decrypt", KEY, via("ssm")),
        ],
    ),
    Call(
        "ssm",
        "GetParametersByPath",
        {"Path": "/wk/policy/", "Recursive": True},
        [("ssm:GetParametersByPath", f"{PARAMETER}/wk/policy", {"ssm:recursive": ("true",)})],
    ),
    Call(
        "ssm",
        "PutParameter",
        {"Name": "/a", "Value": "v", "Tags": [{"Key": "run", "Value": "r1"}]},
        [
            (
                f"ssm:{action}",
                f"{PARAMETER}/a",
                {"aws:requesttag/run": ("r1",), "aws:tagkeys": ("run",)},
            )
            for action in ("PutParameter", "AddTagsToResource")
        ],
    ),
    Call("ssm", "DescribeParameters", {}, [("ssm:DescribeParameters", "*", {})]),
    Call("ssm", "DeleteParameter", {"Name": "/a"}, [("ssm:DeleteParameter", f"{PARAMETER}/a", {})]),
    Call(
        "ssm",
        "ListTagsForResource",
        {"ResourceType": "Parameter", "ResourceId": "/a"},
        [("ssm:ListTagsForResource", f"{PARAMETER}/a", {})],
    ),
]

OBJECTS = [
    Call(
        "s3", "GetObject", {"Bucket": "b", "Key": "k"}, [("s3:GetObject", "arn:aws:s3:::b/k", {})]
    ),
    Call(
        "s3",
        "GetObject",
        {"Bucket": "secrets", "Key": "k", "VersionId": "v"},
        [
            ("s3:GetObjectVersion", "arn:aws:s3:::secrets/k", {}),
            ("kms:Decrypt", KEY, via("s3")),
        ],
    ),
    Call(
        "s3",
        "GetObject",
        {"Bucket": "b", "Key": "no"},
        [("s3:GetObject", "arn:aws:s3:::b/no", {}), ("s3:ListBucket", "arn:aws:s3:::b", {})],
    ),
    Call(
        "s3", "HeadObject", {"Bucket": "b", "Key": "k"}, [("s3:GetObject", "arn:aws:s3:::b/k", {})]
    ),
    Call(
        "s3",
        "PutObject",
        {"Bucket": "b", "Key": "k", "IfNoneMatch": "*"},
        [("s3:PutObject", "arn:aws:s3:::b/k", {"s3:if-none-match": ("*",)})],
    ),
    Call(
        "s3",
        "PutObject",
        {"Bucket": "b", "Key": "k", "IfMatch": "0a1b"},
        [("s3:PutObject", "arn:aws:s3:::b/k", {}), ("s3:GetObject", "arn:aws:s3:::b/k", {})],
    ),
    Call(
        "s3", "PutObject", {"Bucket": "b", "Key": "k"}, [("s3:PutObject", "arn:aws:s3:::b/k", {})]
    ),
    Call(
        "s3",
        "PutObject",
        {"Bucket": "secrets", "Key": "k", "ObjectLockMode": "GOVERNANCE", "Tagging": "a=b"},
        [
            ("s3:PutObject", "arn:aws:s3:::secrets/k", {}),
            ("s3:PutObjectRetention", "arn:aws:s3:::secrets/k", {}),
            ("s3:PutObjectTagging", "arn:aws:s3:::secrets/k", {}),
            ("kms:GenerateDataKey", KEY, via("s3")),
        ],
    ),
    Call(
        "s3",
        "DeleteObject",
        {"Bucket": "b", "Key": "k"},
        [("s3:DeleteObject", "arn:aws:s3:::b/k", {})],
    ),
    Call(
        "s3",
        "DeleteObject",
        {"Bucket": "b", "Key": "k", "VersionId": "v"},
        [("s3:DeleteObjectVersion", "arn:aws:s3:::b/k", {})],
    ),
    Call("s3", "HeadBucket", {"Bucket": "b"}, [("s3:ListBucket", "arn:aws:s3:::b", {})]),
    Call(
        "s3",
        "ListObjectsV2",
        {"Bucket": "b", "Prefix": "evidence/"},
        [("s3:ListBucket", "arn:aws:s3:::b", {"s3:prefix": ("evidence/",)})],
    ),
    Call(
        "ebs",
        "ListSnapshotBlocks",
        {"SnapshotId": "snap-1"},
        [("ebs:ListSnapshotBlocks", SNAPSHOT, {})],
    ),
    Call(
        "ebs",
        "GetSnapshotBlock",
        {"SnapshotId": "snap-plain", "BlockIndex": 0, "BlockToken": "x"},
        [("ebs:GetSnapshotBlock", "arn:aws:ec2:eu-west-1::snapshot/snap-plain", {})],
    ),
    Call(
        "ebs",
        "GetSnapshotBlock",
        {"SnapshotId": "snap-1", "BlockIndex": 0, "BlockToken": "x"},
        [("ebs:GetSnapshotBlock", SNAPSHOT, {}), ("kms:Decrypt", KEY, {})],
    ),
    Call(
        "s3",
        "ListObjectVersions",
        {"Bucket": "b"},
        [("s3:ListBucketVersions", "arn:aws:s3:::b", {})],
    ),
]

TRAIL = "arn:aws:cloudtrail:eu-west-1:111122223333:trail/all"
OTHERS = [
    Call(
        "cloudwatch",
        "PutMetricData",
        {"Namespace": "Watchkeeper", "MetricData": []},
        [("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": ("Watchkeeper",)})],
    ),
    Call("cloudwatch", "GetMetricData", {}, [("cloudwatch:GetMetricData", "*", {})]),
    Call(
        "cloudwatch",
        "DescribeAlarmContributors",
        {"AlarmName": "a"},
        [("cloudwatch:DescribeAlarmContributors", f"{ALARMS}:alarm:a", {})],
    ),
    Call(
        "cloudwatch",
        "GetAlarmMuteRule",
        {"AlarmMuteRuleName": "m"},
        [("cloudwatch:GetAlarmMuteRule", f"{ALARMS}:alarm-mute-rule:m", {})],
    ),
    Call(
        "logs",
        "CreateLogGroup",
        {"logGroupName": "/aws/lambda/f", "tags": {"run": "r1"}},
        [
            (
                "logs:CreateLogGroup",
                f"{LOG_GROUP}:log-stream:",
                {"aws:requesttag/run": ("r1",), "aws:tagkeys": ("run",)},
            )
        ],
    ),
    *(
        Call(
            "logs",
            operation,
            {"logGroupName": "/aws/lambda/f", "logStreamName": "s"},
            [(f"logs:{operation}", f"{LOG_GROUP}:log-stream:s", {})],
        )
        for operation in ("CreateLogStream", "PutLogEvents")
    ),
    Call(
        "logs",
        "FilterLogEvents",
        {"logGroupName": "/aws/lambda/f"},
        [("logs:FilterLogEvents", f"{LOG_GROUP}:log-stream:", {})],
    ),
    Call(
        "logs",
        "StartQuery",
        {"logGroupNames": ["/aws/lambda/f", "/ecs/g"]},
        [
            ("logs:StartQuery", f"{LOG_GROUP}:log-stream:", {}),
            (
                "logs:StartQuery",
                "arn:aws:logs:eu-west-1:111122223333:log-group:/ecs/g:log-stream:",
                {},
            ),
        ],
    ),
    Call("logs", "GetQueryResults", {"queryId": "q"}, [("logs:GetQueryResults", "*", {})]),
    Call(
        "logs",
        "DescribeLogStreams",
        {"logGroupName": "/aws/lambda/f"},
        [("logs:DescribeLogStreams", f"{LOG_GROUP}:log-stream:", {})],
    ),
    Call(
        "logs",
        "DescribeLogGroups",
        {"logGroupNamePrefix": "/aws/lambda/f"},
        [
            (
                "logs:DescribeLogGroups",
                "arn:aws:logs:eu-west-1:111122223333:log-group::log-stream:",
                {},
            )
        ],
    ),
    Call("cloudtrail", "LookupEvents", {}, [("cloudtrail:LookupEvents", "*", {})]),
    *(
        Call("cloudtrail", operation, {name: TRAIL}, [(f"cloudtrail:{operation}", TRAIL, {})])
        for operation, name in (("GetTrailStatus", "Name"), ("GetEventSelectors", "TrailName"))
    ),
    Call(
        "lambda",
        "Invoke",
        {"FunctionName": "f", "Qualifier": "live"},
        [("lambda:InvokeFunction", "arn:aws:lambda:eu-west-1:111122223333:function:f:live", {})],
    ),
    *(
        Call("kms", operation, {"KeyId": key_id}, [(f"kms:{operation}", KEY, {})])
        for operation in (
            "DescribeKey",
            "Decrypt",
            "GenerateDataKey",
            "DisableKey",
            "ScheduleKeyDeletion",
        )
        for key_id in ("1234", KEY)
    ),
    Call("resourcegroupstaggingapi", "GetResources", {}, [("tag:GetResources", "*", {})]),
    Call("sts", "GetCallerIdentity", {}, []),
]

CALLS = [
    *EC2,
    *DYNAMODB,
    *TABLES,
    *DATABASES,
    *COMMANDS,
    *MESSAGES,
    *PARAMETERS,
    *OBJECTS,
    *OTHERS,
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.service}-{call.operation}")
def test_a_call_asks_for(call: Call) -> None:
    requests = requests_of(call.service, call.operation, call.params, ACCOUNT)
    asked = [(each.action, each.resource, dict(each.keys)) for each in requests]
    region = {"ec2:region": ("eu-west-1",)}
    assert asked == [
        (action, resource, ALWAYS | (region if action.startswith("ec2:") else {}) | keys)
        for action, resource, keys in call.asks
    ]


def test_the_retention_that_a_bucket_gives_by_default_needs_no_right() -> None:
    (request,) = requests_of("s3", "PutObject", {"Bucket": "b", "Key": "k"}, ACCOUNT)
    assert request.action == "s3:PutObject"


def test_every_operation_of_the_tables_has_an_example() -> None:
    shown = {(call.service, call.operation) for call in CALLS}
    elsewhere = RESTORES.keys() | RECOVERIES.keys()  # test_iam_restores.py, test_iam_recoveries.py
    assert OPERATIONS.keys() - shown == elsewhere


def test_every_operation_of_the_tables_exists_in_botocore() -> None:
    session = botocore.session.get_session()
    listed = [
        *OPERATIONS,
        *((service, each) for service in ANY_RESOURCE for each in ANY_RESOURCE[service]),
    ]
    missing = [
        f"{service} {operation}"
        for service, operation in listed
        if operation not in session.get_service_model(service).operation_names
    ]
    assert missing == []


def test_every_key_of_a_request_is_one_that_policies_may_test() -> None:
    keys = {
        name
        for call in CALLS
        for request in requests_of(call.service, call.operation, call.params, ACCOUNT)
        for name in request.keys
    }
    assert {
        key for key in keys if key not in KNOWN_KEYS and not key.startswith(KNOWN_PREFIXES)
    } == set()
    # The others are those of restores and recoveries: test_iam_restores.py, test_iam_recoveries.py.
    of_others = {"application-autoscaling", "ec2", "iam", "route53"}
    assert {key.split(":")[0] for key in KNOWN_KEYS - keys} == of_others


@pytest.mark.parametrize("operation", ["CreateSnapshot", "CreateSnapshots"])
def test_a_snapshot_that_is_created_has_no_tags_yet(operation: str) -> None:
    params = {
        "VolumeId": "vol-1",
        "InstanceSpecification": {"InstanceId": "i-1"},
        "TagSpecifications": tags(run="r1"),
    }
    requests = requests_of("ec2", operation, params, ACCOUNT)
    assert {request.resource for request in requests if request.creates} == {ANY_SNAPSHOT}


@pytest.mark.parametrize(
    ("operation", "params", "new"),
    [
        (
            "CreateDBSnapshot",
            {"DBInstanceIdentifier": "orders", "DBSnapshotIdentifier": "wk-1"} | WITH_TAGS,
            f"{DATABASE_SNAPSHOT}:wk-1",
        ),
        (
            "CreateDBClusterSnapshot",
            {"DBClusterIdentifier": "reports", "DBClusterSnapshotIdentifier": "wk-1"} | WITH_TAGS,
            f"{CLUSTER_SNAPSHOT}:wk-1",
        ),
    ],
)
def test_the_database_has_its_tags_and_its_new_snapshot_none_yet(
    operation: str, params: Mapping[str, Any], new: str
) -> None:
    requests = requests_of("rds", operation, params, ACCOUNT)
    assert [request.creates for request in requests] == [False, True, True]
    assert {request.resource for request in requests if request.creates} == {new}


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("GetItem", {"TableName": "other", "Key": key("RUN#1")}),
        ("Query", {"TableName": "state", "IndexName": "other", "KeyConditionExpression": "a = :a"}),
    ],
)
def test_the_leading_keys_of_a_table_that_is_not_known_are_unknown(
    operation: str, params: Mapping[str, Any]
) -> None:
    (request,) = requests_of("dynamodb", operation, params, ACCOUNT)
    assert request.unknown == {"dynamodb:leadingkeys"}


def test_another_region_asks_for_the_resources_there() -> None:
    frankfurt = Account("111122223333", "eu-central-1")
    (request,) = requests_of("ec2", "DeleteSnapshot", {"SnapshotId": "snap-1"}, frankfurt)
    assert request == Request(
        "ec2:DeleteSnapshot",
        "arn:aws:ec2:eu-central-1::snapshot/snap-1",
        ALWAYS | {"aws:requestedregion": ("eu-central-1",), "ec2:region": ("eu-central-1",)},
    )


NOT_A_STRING = object()


@pytest.mark.parametrize(
    ("service", "operation", "params", "reason"),
    [
        ("ec2", "StopInstances", {"InstanceIds": ["i-1"]}, "ec2 StopInstances"),
        ("quantum", "Entangle", {}, "quantum Entangle"),
        ("ec2", "DeleteSnapshot", {}, "parameter 'SnapshotId' is missing"),
        ("ec2", "CreateTags", {"Resources": ["sg-1"], "Tags": []}, "what kind of resource 'sg-1'"),
        ("ec2", "CreateSnapshots", {"InstanceSpecification": {"InstanceId": "i-9"}}, "volumes i-9"),
        (
            "ec2",
            "CreateSnapshots",
            {"InstanceSpecification": {"InstanceId": "i-1"}, "CopyTagsFromSource": "volume"},
            "CopyTagsFromSource",
        ),
        (
            "ec2",
            "CreateSnapshot",
            {"VolumeId": "vol-1", "TagSpecifications": tags("volume", run="r1")},
            "tags for a volume",
        ),
        (
            "ec2",
            "CreateSnapshot",
            {"VolumeId": "vol-1", "TagSpecifications": tags(run="r1", Run="r2")},
            "ignores the case of tag keys",
        ),
        ("dynamodb", "ExecuteStatement", {"Statement": "SELECT"}, "dynamodb ExecuteStatement"),
        ("dynamodb", "GetItem", {"TableName": "state", "Key": {"pk": "plain"}}, "not a typed"),
        ("dynamodb", "GetItem", {"TableName": "state", "Key": {"sk": {"S": "x"}}}, "'pk'"),
        ("dynamodb", "Query", {"TableName": "state"}, "KeyConditionExpression"),
        (
            "dynamodb",
            "Query",
            {"TableName": "state", "KeyConditionExpression": NOT_A_STRING},
            "only key conditions that are strings",
        ),
        (
            "dynamodb",
            "Query",
            {"TableName": "state", "KeyConditionExpression": "sk = :sk"},
            "does not say `pk = :value`",
        ),
        ("ssm", "GetParametersByPath", {"Path": "/a", "WithDecryption": True}, "KMS keys"),
        ("ssm", "PutParameter", {"Name": "/a", "KeyId": "1234"}, "SecureString"),
        ("s3", "PutObject", {"Bucket": "b", "Key": "k", "SSEKMSKeyId": "1234"}, "KMS key"),
        ("s3", "GetObject", {"Bucket": "b", "Key": "who knows"}, "whether there is .*b/who knows"),
        (
            "rds",
            "CreateDBSnapshot",
            {"DBInstanceIdentifier": "unheard", "DBSnapshotIdentifier": "wk-1"},
            "which KMS key .*db:unheard",
        ),
        (
            "dynamodb",
            "CreateBackup",
            {"TableName": "unheard", "BackupName": "b"},
            "which KMS key .*table/unheard",
        ),
        (
            "rds",
            "ModifyDBInstance",
            {"DBInstanceIdentifier": "orders", "OptionGroupName": "g"},
            "what OptionGroupName would ask for",
        ),
        (
            "ssm",
            "SendCommand",
            {"DocumentName": "d", "Targets": [{"Key": "tag:role", "Values": ["db"]}]},
            "which nodes tag:role stands for",
        ),
        ("ssm", "SendCommand", {"DocumentName": "d", "ServiceRoleArn": "arn:r"}, "which role"),
        ("kms", "DescribeKey", {"KeyId": "alias/mine"}, "alias/mine stands for"),
    ],
)
def test_what_is_asked_cannot_be_told(
    service: str, operation: str, params: Mapping[str, Any], reason: str
) -> None:
    with pytest.raises(CannotJudge, match=reason):
        requests_of(service, operation, params, ACCOUNT)
