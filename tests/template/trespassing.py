"""What DrillRestores must not be able to do: everything to everybody else's, in an account with a
production, a second stack, and things that look like a drill's.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from local.iam_requests import Request
from tests.template.reach import (
    BACKUP,
    CLUSTER,
    COMMAND,
    ENDPOINT,
    ID,
    INSTANCE,
    INTERFACE,
    MEMBER,
    NAME,
    OWN,
    REGION,
    SECRETS,
    STACK,
    VERIFIER,
    Call,
    Reach,
    arn,
    as_list,
    drill_tags,
    role,
    specified,
)
from watchkeeper import naming


def _tagged(call: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, Any]:
    """The same call with other tags on what it makes."""
    if "Tags" in call:
        return {**call, "Tags": as_list(tags)}
    kinds = [each["ResourceType"] for each in call["TagSpecifications"]]
    return {**call, "TagSpecifications": specified(tags, *kinds)}


MAKING = ("restore a database", "restore a cluster", "give it a member", "make a volume",
          "start a verifier", "make an endpoint")  # fmt: skip
OTHER_TAGS = {
    "without tags": {},
    "without naming a drill": {naming.TAG_STACK: STACK},
    "under a name that drills do not give": {**drill_tags(), naming.TAG_DRILL: "mine"},
    "in the name of another stack": drill_tags("another-stack"),
}


def _one_tagged(kind: str, tags: Mapping[str, str]) -> dict[str, Any]:
    """A verifier of which one part has other tags."""
    others = [each for each in VERIFIER["TagSpecifications"] if each["ResourceType"] != kind]
    return {**VERIFIER, "TagSpecifications": [*others, *specified(tags, kind)]}


def _without(call: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in call.items() if key != name}


def _connected(**other: Any) -> dict[str, Any]:
    return {**VERIFIER, "NetworkInterfaces": [{**INTERFACE, **other}]}


OTHERS: Mapping[str, Call] = {
    **{
        f"{what} {how}": (OWN[what][0], OWN[what][1], _tagged(OWN[what][2], tags))
        for what in MAKING
        for how, tags in OTHER_TAGS.items()
    },
    **{
        f"start a verifier, its {kind} {how}": ("ec2", "RunInstances", _one_tagged(kind, tags))
        for kind in ("instance", "volume", "network-interface")
        for how, tags in OTHER_TAGS.items()
    },
    **{
        f"{call} under the original's name": ("rds", call, {**params, name: "orders"})
        for call, params, name in (
            ("RestoreDBInstanceFromDBSnapshot", INSTANCE, "DBInstanceIdentifier"),
            ("RestoreDBClusterFromSnapshot", CLUSTER, "DBClusterIdentifier"),
            ("CreateDBInstance", MEMBER, "DBInstanceIdentifier"),
        )
    },
    "add a member to a cluster of production": (
        "rds", "CreateDBInstance", {**MEMBER, "DBClusterIdentifier": "orders"},
    ),
    **{
        f"{call} into {where}": ("rds", call, {**params, "DBSubnetGroupName": where})
        for call, params in (
            ("RestoreDBInstanceFromDBSnapshot", INSTANCE),
            ("RestoreDBClusterFromSnapshot", CLUSTER),
        )
        for where in ("production", "default")
    },
    **{
        f"{call} of production": ("rds", call, {name: "orders", "SkipFinalSnapshot": True})
        for call, name in (
            ("ModifyDBInstance", "DBInstanceIdentifier"),
            ("ModifyDBCluster", "DBClusterIdentifier"),
            ("DeleteDBInstance", "DBInstanceIdentifier"),
            ("DeleteDBCluster", "DBClusterIdentifier"),
            ("StopDBInstance", "DBInstanceIdentifier"),
        )
    },
    "delete a snapshot": ("rds", "DeleteDBSnapshot", {"DBSnapshotIdentifier": "nightly"}),
    "restore a table under the original's name": (
        "dynamodb", "RestoreTableFromBackup", {"BackupArn": BACKUP, "TargetTableName": "carts"},
    ),
    **{
        f"{call} of {table}": ("dynamodb", call, {"TableName": table, "Key": {}, "Item": {}})
        for call in ("DeleteTable", "UpdateTable", "UpdateTimeToLive", "Scan", "DescribeTable")
        for table in ("carts", "Table", "Table/wk-drill-")
    },
    "delete a backup of a table": ("dynamodb", "DeleteBackup", {"BackupArn": BACKUP}),
    "start a verifier in another subnet": (
        "ec2", "RunInstances", _connected(SubnetId="production"),
    ),
    "start a verifier in another group": ("ec2", "RunInstances", _connected(Groups=["production"])),
    "start a verifier in one more group": (
        "ec2", "RunInstances", _connected(Groups=["DrillVerifiers", "production"]),
    ),
    "start a verifier among the databases": (
        "ec2", "RunInstances", _connected(Groups=["DrillDatabases"]),
    ),
    "start a verifier with a public address": (
        "ec2", "RunInstances", _connected(AssociatePublicIpAddress=True),
    ),
    "start a verifier as somebody else": (
        "ec2", "RunInstances", {**VERIFIER, "IamInstanceProfile": {"Name": "production"}},
    ),
    "start a verifier as nobody": (
        "ec2", "RunInstances", _without(VERIFIER, "IamInstanceProfile"),
    ),
    "start a verifier from another image": (
        "ec2", "RunInstances", {**VERIFIER, "ImageId": "ami-production"},
    ),
    "start a verifier of another type": (
        "ec2", "RunInstances", {**VERIFIER, "InstanceType": "p5.48xlarge"},
    ),
    "start a verifier with a key pair": ("ec2", "RunInstances", {**VERIFIER, "KeyName": "mine"}),
    "start a verifier that gives its role to whoever asks": (
        "ec2", "RunInstances", _without(VERIFIER, "MetadataOptions"),
    ),
    **{
        f"{call} of {kind}-{whose}": ("ec2", call, {name: many([f"{kind}-{whose}"])})
        for call, kind, name, many in (
            ("DeleteVolume", "vol", "VolumeId", "".join),
            ("TerminateInstances", "i", "InstanceIds", list),
            ("DeleteVpcEndpoints", "vpce", "VpcEndpointIds", list),
        )
        for whose in ("production", "foreign", "named")
    },
    "delete the way to the repositories": (
        "ec2", "DeleteVpcEndpoints", {"VpcEndpointIds": ["DrillRepositories"]},
    ),
    **{
        f"attach vol-{volume} to i-{instance}": (
            "ec2", "AttachVolume", {"InstanceId": f"i-{instance}", "VolumeId": f"vol-{volume}"},
        )
        for volume, instance in (
            ("production", "drill"), ("drill", "production"), ("foreign", "drill"),
            ("drill", "foreign"), ("named", "drill"),
        )
    },
    **{
        f"tag {what} as a drill's": (
            "ec2", "CreateTags", {"Resources": [what], "Tags": as_list(drill_tags())},
        )
        for what in ("i-production", "vol-production", "snap-any")
    },
    **{
        f"make an endpoint with {name} of production": (
            "ec2", "CreateVpcEndpoint", {**ENDPOINT, name: value},
        )
        for name, value in (
            ("VpcId", "production"),
            ("SubnetIds", ["production"]),
            ("SecurityGroupIds", ["production"]),
        )
    },
    **{
        f"make an endpoint to {service}": (
            "ec2", "CreateVpcEndpoint",
            {**ENDPOINT, "ServiceName": f"com.amazonaws.{REGION}.{service}"},
        )
        for service in ("s3", "execute-api", "vpce.vpce-svc-theirs")
    },
    **{
        f"send a command to i-{whose}": (
            "ssm", "SendCommand", {**COMMAND, "InstanceIds": ["i-drill", f"i-{whose}"]},
        )
        for whose in ("production", "foreign", "named")
    },
    "send another document": (
        "ssm", "SendCommand", {**COMMAND, "DocumentName": "AWS-RunPatchBaseline"},
    ),
    **{
        f"{call} of {name}": ("ssm", call, {"Name": name})
        for call in ("GetParameter", "PutParameter", "DeleteParameter")
        for name in (
            "/production/database/password", "/watchkeeper/policy/backups",
            f"/watchkeeper/drill-secrets/another-stack/{NAME}", f"{SECRETS}-of-others/{NAME}",
        )
    },
}  # fmt: skip

ALREADY_THERE = arn("ec2", "network-interface/eni-production")
NAMED = {
    "aws:requesttag/watchkeeper:stack": (STACK,),
    "aws:requesttag/watchkeeper:drill": (NAME,),
}
KEY = f"arn:aws:kms:{REGION}:{ID}:key/theirs"


def via(service: str) -> dict[str, tuple[str, ...]]:
    return {"kms:viaservice": (f"{service}.{REGION}.amazonaws.com",)}


GRANTED = {"kms:grantisforawsresource": ("true",)}

QUESTIONS: Mapping[str, Request] = {
    "move a database of a drill into production": Request(
        "rds:ModifyDBInstance", arn("rds", "subgrp:production")
    ),
    **{
        f"tag {what} as a drill's": Request("rds:AddTagsToResource", arn("rds", what), NAMED)
        for what in ("db:orders", "cluster:orders", "snapshot:nightly", "subgrp:DrillSubnetGroup")
    },
    "tag a table as a drill's": Request("dynamodb:TagResource", arn("dynamodb", "table/carts")),
    **{
        f"{action} of a table": Request(f"dynamodb:{action}", arn("dynamodb", "table/carts"))
        for action in (
            "RestoreTableFromBackup", "BatchWriteItem", "DeleteItem", "GetItem", "PutItem",
            "Query", "UpdateItem", "ListTagsOfResource", "DescribeTimeToLive",
        )
    },
    **{
        f"tag {what} as a drill's": Request(
            "ec2:CreateTags", arn("ec2", what), {**NAMED, "ec2:createaction": ("CreateSubnet",)}
        )
        for what in ("network-interface/eni-production", "volume/vol-production", "vpc/production")
    },
    "tag an endpoint as a drill's": Request(
        "ec2:CreateTags", arn("ec2", "vpc-endpoint/vpce-production"), NAMED
    ),
    "tag a security group in making something": Request(
        "ec2:CreateTags",
        arn("ec2", "security-group/production"),
        {**NAMED, "ec2:createaction": ("RunInstances",)},
    ),
    "start a verifier on an interface of production": Request(
        "ec2:RunInstances",
        ALREADY_THERE,
        {
            **NAMED,
            "ec2:subnet": (arn("ec2", "subnet/production"),),
            "ec2:associatepublicipaddress": ("false",),
        },
    ),
    "start something in a subnet of production": Request(
        "ec2:RunInstances", arn("ec2", "subnet/production")
    ),
    "make an endpoint in the network of production": Request(
        "ec2:CreateVpcEndpoint", arn("ec2", "vpc/production")
    ),
    "start a verifier by a template of somebody's": Request(
        "ec2:RunInstances", arn("ec2", "launch-template/lt-production"), NAMED
    ),
    "pass the role of production to an instance": Request(
        "iam:PassRole", role("production"), {"iam:passedtoservice": ("ec2.amazonaws.com",)}
    ),
    "pass the role of another function": Request(
        "iam:PassRole", role("TakeBackupsRole"), {"iam:passedtoservice": ("ec2.amazonaws.com",)}
    ),
    "pass the verifier's role to a function": Request(
        "iam:PassRole",
        role("DrillVerifierRole"),
        {"iam:passedtoservice": ("lambda.amazonaws.com",)},
    ),
    "give private names to another network": Request(
        "route53:AssociateVPCWithHostedZone",
        "arn:aws:route53:::hostedzone/Z1",
        {"route53:vpcs": (f"VPCId=production,VPCRegion={REGION}",)},
    ),
    "grant a key to somebody": Request("kms:CreateGrant", KEY, via("ec2")),
    "grant a key by itself": Request("kms:CreateGrant", KEY, GRANTED),
    "grant a key through another service": Request(
        "kms:CreateGrant", KEY, via("secretsmanager") | GRANTED
    ),
    "make a data key by itself": Request("kms:GenerateDataKeyWithoutPlaintext", KEY),
    "make a data key through another service": Request(
        "kms:GenerateDataKeyWithoutPlaintext", KEY, via("s3")
    ),
}  # fmt: skip


def trespasses(reach: Reach) -> Iterator[str]:
    """Everything of everybody else's that it may do."""
    yield from (what for what, call in OTHERS.items() if not reach.refused(*call))
    yield from (what for what, question in QUESTIONS.items() if reach.may(question))
