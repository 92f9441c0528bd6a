"""What IAM is asked for calls that restore, look into and take down: an example per operation."""

from collections.abc import Mapping
from typing import Any

import pytest

from local.iam_actions import requests_of
from local.iam_requests import (
    KNOWN_KEYS,
    KNOWN_PREFIXES,
    MULTIVALUED_KEYS,
    Account,
    CannotJudge,
    Request,
)
from local.iam_restores import RESTORES

EC2 = "arn:aws:ec2:eu-west-1:111122223333"
RDS = "arn:aws:rds:eu-west-1:111122223333"
TABLE = "arn:aws:dynamodb:eu-west-1:111122223333:table"
KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234"
SNAPSHOT = "arn:aws:ec2:eu-west-1::snapshot/snap-1"
BACKUP = f"{TABLE}/rates/backup/01764000000000-aaaa1111"
ROLE = "arn:aws:iam::111122223333:role/looks"
KEYS = {
    SNAPSHOT: KEY,
    f"{RDS}:snapshot:nightly": KEY,
    f"{RDS}:snapshot:rds:orders-2026-11-23": "",
    f"{RDS}:cluster-snapshot:nightly": "",
    f"{TABLE}/rates": KEY,
}
ACCOUNT = Account("111122223333", "eu-west-1", key_of=KEYS.get, role_of={"looks": ROLE}.get)

DRILL = [{"Key": "drill", "Value": "d1"}]
TAGGED = {"aws:requesttag/drill": ("d1",), "aws:tagkeys": ("drill",)}


def tags(*kinds: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": DRILL} for kind in kinds]


def creating(operation: str) -> dict[str, tuple[str, ...]]:
    return {**TAGGED, "ec2:createaction": (operation,)}


def via(service: str) -> dict[str, tuple[str, ...]]:
    return {"kms:viaservice": (f"{service}.eu-west-1.amazonaws.com",)}


def granting(service: str) -> dict[str, tuple[str, ...]]:
    return via(service) | {"kms:grantisforawsresource": ("true",)}


VERIFIER = {
    "ImageId": "ami-1",
    "InstanceType": "t4g.small",
    "MinCount": 1,
    "MaxCount": 1,
    "IamInstanceProfile": {"Name": "looks"},
    "NetworkInterfaces": [
        {
            "DeviceIndex": 0,
            "SubnetId": "subnet-1",
            "Groups": ["sg-1", "sg-2"],
            "AssociatePublicIpAddress": False,
        }
    ],
    "MetadataOptions": {"HttpTokens": "required"},
    "TagSpecifications": tags("instance", "volume", "network-interface"),
}
ENDPOINT = {
    "VpcEndpointType": "Interface",
    "VpcId": "vpc-1",
    "ServiceName": "com.amazonaws.eu-west-1.ssm",
    "SubnetIds": ["subnet-1"],
    "SecurityGroupIds": ["sg-1"],
    "PrivateDnsEnabled": True,
    "TagSpecifications": tags("vpc-endpoint"),
}
INSTANCE = {
    "DBInstanceIdentifier": "wk-1",
    "DBSnapshotIdentifier": "nightly",
    "DBSubnetGroupName": "drills",
    "DBParameterGroupName": "tuned",
    "Tags": DRILL,
}
CLUSTER = {
    "DBClusterIdentifier": "wk-1",
    "SnapshotIdentifier": "nightly",
    "Engine": "aurora-postgresql",
    "DBSubnetGroupName": "drills",
    "Tags": DRILL,
}
Asked = list[tuple[str, str, Mapping[str, tuple[str, ...]]]]
Calls = list[tuple[str, str, Mapping[str, Any], Asked]]

ON_DISKS: Calls = [
    (
        "ec2",
        "CreateVolume",
        {"SnapshotId": "snap-1", "TagSpecifications": tags("volume")},
        [
            ("ec2:CreateVolume", f"{EC2}:volume/*", TAGGED),
            ("ec2:CreateTags", f"{EC2}:volume/*", creating("CreateVolume")),
            ("ec2:CreateVolume", SNAPSHOT, {}),
            ("kms:CreateGrant", KEY, granting("ec2")),
            ("kms:Decrypt", KEY, via("ec2")),
            ("kms:DescribeKey", KEY, via("ec2")),
            ("kms:GenerateDataKeyWithoutPlaintext", KEY, via("ec2")),
        ],
    ),
    (
        "ec2",
        "AttachVolume",
        {"InstanceId": "i-1", "VolumeId": "vol-1", "Device": "/dev/sdf"},
        [
            ("ec2:AttachVolume", f"{EC2}:instance/i-1", {}),
            ("ec2:AttachVolume", f"{EC2}:volume/vol-1", {}),
        ],
    ),
    (
        "ec2",
        "DeleteVolume",
        {"VolumeId": "vol-1"},
        [("ec2:DeleteVolume", f"{EC2}:volume/vol-1", {})],
    ),
]
ON_VERIFIERS: Calls = [
    (
        "ec2",
        "RunInstances",
        VERIFIER | {"KeyName": "mine"},
        [
            (
                "ec2:RunInstances",
                f"{EC2}:instance/*",
                TAGGED
                | {
                    "ec2:instancetype": ("t4g.small",),
                    "ec2:metadatahttptokens": ("required",),
                    "ec2:instanceprofile": ("arn:aws:iam::111122223333:instance-profile/looks",),
                },
            ),
            ("ec2:CreateTags", f"{EC2}:instance/*", creating("RunInstances")),
            ("ec2:RunInstances", f"{EC2}:volume/*", TAGGED),
            ("ec2:CreateTags", f"{EC2}:volume/*", creating("RunInstances")),
            (
                "ec2:RunInstances",
                f"{EC2}:network-interface/*",
                TAGGED
                | {
                    "ec2:subnet": (f"{EC2}:subnet/subnet-1",),
                    "ec2:associatepublicipaddress": ("false",),
                },
            ),
            ("ec2:CreateTags", f"{EC2}:network-interface/*", creating("RunInstances")),
            ("ec2:RunInstances", f"{EC2}:subnet/subnet-1", {}),
            ("ec2:RunInstances", f"{EC2}:security-group/sg-1", {}),
            ("ec2:RunInstances", f"{EC2}:security-group/sg-2", {}),
            ("ec2:RunInstances", "arn:aws:ec2:eu-west-1::image/ami-1", {}),
            ("ec2:RunInstances", f"{EC2}:key-pair/mine", {}),
            ("iam:PassRole", ROLE, {"iam:passedtoservice": ("ec2.amazonaws.com",)}),
        ],
    ),
    (
        "ec2",
        "TerminateInstances",
        {"InstanceIds": ["i-1", "i-2"]},
        [("ec2:TerminateInstances", f"{EC2}:instance/{each}", {}) for each in ("i-1", "i-2")],
    ),
    (
        "ec2",
        "CreateVpcEndpoint",
        ENDPOINT,
        [
            (
                "ec2:CreateVpcEndpoint",
                f"{EC2}:vpc-endpoint/*",
                TAGGED | {"ec2:vpceservicename": ("com.amazonaws.eu-west-1.ssm",)},
            ),
            ("ec2:CreateTags", f"{EC2}:vpc-endpoint/*", creating("CreateVpcEndpoint")),
            ("ec2:CreateVpcEndpoint", f"{EC2}:vpc/vpc-1", {}),
            ("ec2:CreateVpcEndpoint", f"{EC2}:subnet/subnet-1", {}),
            ("ec2:CreateVpcEndpoint", f"{EC2}:security-group/sg-1", {}),
            (
                "route53:AssociateVPCWithHostedZone",
                "arn:aws:route53:::hostedzone/*",
                {"route53:vpcs": ("VPCId=vpc-1,VPCRegion=eu-west-1",)},
            ),
        ],
    ),
    (
        "ec2",
        "DeleteVpcEndpoints",
        {"VpcEndpointIds": ["vpce-1"]},
        [("ec2:DeleteVpcEndpoints", f"{EC2}:vpc-endpoint/vpce-1", {})],
    ),
]
RESTORE_INSTANCE = "rds:RestoreDBInstanceFromDBSnapshot"
RESTORE_CLUSTER = "rds:RestoreDBClusterFromSnapshot"
ON_DATABASES: Calls = [
    (
        "rds",
        "RestoreDBInstanceFromDBSnapshot",
        INSTANCE,
        [
            (RESTORE_INSTANCE, f"{RDS}:db:wk-1", TAGGED),
            ("rds:AddTagsToResource", f"{RDS}:db:wk-1", TAGGED),
            (RESTORE_INSTANCE, f"{RDS}:pg:tuned", TAGGED),
            (RESTORE_INSTANCE, f"{RDS}:subgrp:drills", TAGGED),
            (RESTORE_INSTANCE, f"{RDS}:og:default", TAGGED),
            (RESTORE_INSTANCE, f"{RDS}:snapshot:nightly", TAGGED),
            ("kms:DescribeKey", KEY, via("rds")),
            ("kms:CreateGrant", KEY, granting("rds")),
        ],
    ),
    (
        "rds",
        "RestoreDBInstanceFromDBSnapshot",
        {"DBInstanceIdentifier": "wk-1", "DBSnapshotIdentifier": "rds:orders-2026-11-23"},
        [
            (RESTORE_INSTANCE, f"{RDS}:db:wk-1", {}),
            (RESTORE_INSTANCE, f"{RDS}:pg:default", {}),
            (RESTORE_INSTANCE, f"{RDS}:subgrp:default", {}),
            (RESTORE_INSTANCE, f"{RDS}:og:default", {}),
            (RESTORE_INSTANCE, f"{RDS}:snapshot:rds:orders-2026-11-23", {}),
        ],
    ),
    (
        "rds",
        "RestoreDBClusterFromSnapshot",
        CLUSTER,
        [
            (RESTORE_CLUSTER, f"{RDS}:cluster:wk-1", TAGGED),
            ("rds:AddTagsToResource", f"{RDS}:cluster:wk-1", TAGGED),
            (RESTORE_CLUSTER, f"{RDS}:cluster-pg:default", TAGGED),
            (RESTORE_CLUSTER, f"{RDS}:subgrp:drills", TAGGED),
            (RESTORE_CLUSTER, f"{RDS}:og:default", TAGGED),
            (RESTORE_CLUSTER, f"{RDS}:cluster-snapshot:nightly", TAGGED),
        ],
    ),
    (
        "rds",
        "CreateDBInstance",
        {"DBInstanceIdentifier": "wk-1-1", "DBClusterIdentifier": "wk-1", "Tags": DRILL},
        [
            ("rds:CreateDBInstance", f"{RDS}:db:wk-1-1", TAGGED),
            ("rds:AddTagsToResource", f"{RDS}:db:wk-1-1", TAGGED),
            ("rds:CreateDBInstance", f"{RDS}:cluster:wk-1", TAGGED),
            ("rds:CreateDBInstance", f"{RDS}:pg:default", TAGGED),
        ],
    ),
    (
        "rds",
        "ModifyDBCluster",
        {"DBClusterIdentifier": "wk-1", "MasterUserPassword": "p"},
        [("rds:ModifyDBCluster", f"{RDS}:cluster:wk-1", {})],
    ),
    (
        "rds",
        "StartDBCluster",
        {"DBClusterIdentifier": "wk-1"},
        [("rds:StartDBCluster", f"{RDS}:cluster:wk-1", {})],
    ),
    (
        "rds",
        "DeleteDBInstance",
        {"DBInstanceIdentifier": "wk-1", "SkipFinalSnapshot": True},
        [("rds:DeleteDBInstance", f"{RDS}:db:wk-1", {})],
    ),
    (
        "rds",
        "DeleteDBCluster",
        {"DBClusterIdentifier": "wk-1", "SkipFinalSnapshot": True},
        [("rds:DeleteDBCluster", f"{RDS}:cluster:wk-1", {})],
    ),
]
WRITES = ("BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem")
ON_TABLES: Calls = [
    (
        "dynamodb",
        "RestoreTableFromBackup",
        {"BackupArn": BACKUP, "TargetTableName": "wk-1"},
        [
            ("dynamodb:RestoreTableFromBackup", BACKUP, {}),
            ("dynamodb:RestoreTableFromBackup", f"{TABLE}/wk-1", {}),
            *((f"dynamodb:{action}", f"{TABLE}/wk-1", {}) for action in WRITES),
            ("kms:CreateGrant", KEY, granting("dynamodb")),
            ("kms:Decrypt", KEY, via("dynamodb")),
            ("kms:DescribeKey", KEY, via("dynamodb")),
        ],
    ),
    (
        "dynamodb",
        "TagResource",
        {"ResourceArn": f"{TABLE}/wk-1", "Tags": DRILL},
        [("dynamodb:TagResource", f"{TABLE}/wk-1", TAGGED)],
    ),
    (
        "dynamodb",
        "DeleteTable",
        {"TableName": "wk-1"},
        [("dynamodb:DeleteTable", f"{TABLE}/wk-1", {})],
    ),
    (
        "dynamodb",
        "UpdateTable",
        {"TableName": "wk-1"},
        [("dynamodb:UpdateTable", f"{TABLE}/wk-1", {})],
    ),
    (
        "dynamodb",
        "UpdateTimeToLive",
        {"TableName": "wk-1"},
        [("dynamodb:UpdateTimeToLive", f"{TABLE}/wk-1", {})],
    ),
]
CALLS: Calls = [*ON_DISKS, *ON_VERIFIERS, *ON_DATABASES, *ON_TABLES]


def own_keys(request: Request) -> dict[str, tuple[str, ...]]:
    """Without those that every request has."""
    of_all = {"aws:principalaccount", "aws:requestedregion", "aws:securetransport", "ec2:region"}
    return {name: value for name, value in request.keys.items() if name not in of_all}


@pytest.mark.parametrize(
    ("service", "operation", "params", "asks"), CALLS, ids=[f"{c[0]}-{c[1]}" for c in CALLS]
)
def test_a_call_asks_for(
    service: str, operation: str, params: Mapping[str, Any], asks: Asked
) -> None:
    requests = requests_of(service, operation, params, ACCOUNT)
    assert [(one.action, one.resource, own_keys(one)) for one in requests] == asks


def test_every_operation_has_an_example() -> None:
    assert {(service, operation) for service, operation, _, _ in CALLS} == RESTORES.keys()


def test_every_key_is_one_that_policies_may_test() -> None:
    keys = {name for _, _, _, asks in CALLS for _, _, given in asks for name in given}
    assert {name for name in keys if not name.startswith(KNOWN_PREFIXES)} <= KNOWN_KEYS
    assert "route53:vpcs" in keys & MULTIVALUED_KEYS


MAKES = {
    "CreateVolume": {f"{EC2}:volume/*"},
    "RunInstances": {f"{EC2}:{kind}/*" for kind in ("instance", "volume", "network-interface")},
    "CreateVpcEndpoint": {f"{EC2}:vpc-endpoint/*"},
    "RestoreDBInstanceFromDBSnapshot": {f"{RDS}:db:wk-1"},
    "RestoreDBClusterFromSnapshot": {f"{RDS}:cluster:wk-1"},
    "CreateDBInstance": {f"{RDS}:db:wk-1-1"},
    "RestoreTableFromBackup": {f"{TABLE}/wk-1"},
}


def test_what_is_made_has_no_tags_yet_and_what_it_is_made_of_has() -> None:
    for service, operation, params, _ in CALLS:
        requests = requests_of(service, operation, params, ACCOUNT)
        made = {request.resource for request in requests if request.creates}
        assert made == MAKES.get(operation, set()), operation


@pytest.mark.parametrize(
    ("service", "operation", "params", "reason"),
    [
        ("ec2", "CreateVolume", {"SnapshotId": "snap-1", "KmsKeyId": "k"}, "another key"),
        ("ec2", "CreateVolume", {"SnapshotId": "snap-unheard"}, "which KMS key"),
        ("ec2", "RunInstances", VERIFIER | {"LaunchTemplate": {}}, "what LaunchTemplate would"),
        (
            "ec2",
            "RunInstances",
            VERIFIER | {"IamInstanceProfile": {"Name": "unheard"}},
            "which role is in the instance profile unheard",
        ),
        (
            "ec2",
            "RunInstances",
            VERIFIER | {"NetworkInterfaces": [{"NetworkInterfaceId": "eni-1"}]},
            "where eni-1 is",
        ),
        ("rds", "RestoreDBClusterFromSnapshot", CLUSTER | {"SnapshotIdentifier": "x"}, "KMS key"),
        (
            "rds",
            "ModifyDBCluster",
            {"DBClusterIdentifier": "wk-1", "NewDBClusterIdentifier": "orders"},
            "what NewDBClusterIdentifier would",
        ),
        ("rds", "DeleteDBInstance", {"DBInstanceIdentifier": "wk-1"}, "a final snapshot"),
    ],
)
def test_what_is_asked_cannot_be_told(
    service: str, operation: str, params: Mapping[str, Any], reason: str
) -> None:
    with pytest.raises(CannotJudge, match=reason):
        requests_of(service, operation, params, ACCOUNT)
