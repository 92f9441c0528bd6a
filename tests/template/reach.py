"""How far does DrillRestores reach? What its role says to a call, and the calls that it must make.

The names in the isolation are the logical ids of the template.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from local.iam import Statement, evaluate, role_statements
from local.iam_actions import requests_of
from local.iam_requests import Account, Request
from local.iam_template import offline_resolver
from watchkeeper import naming

ROLE = "DrillRestoresRole"
ID, REGION, STACK = "123456789012", "us-east-1", "stack"
NAME = naming.drill_name("watchkeeper", "drill#one")
SECRETS = f"/watchkeeper/drill-secrets/{STACK}"


def drill_tags(stack: str = STACK) -> dict[str, str]:
    return {naming.TAG_STACK: stack, naming.TAG_DRILL: NAME}


def as_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def specified(tags: Mapping[str, str], *kinds: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": as_list(tags)} for kind in kinds]


def arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ID}:{resource}"


def role(name: str) -> str:
    return f"arn:aws:iam::{ID}:role/{name}"


PRODUCTION = {"Name": "orders", naming.TAG_STACK: STACK}
"""Even something that carries the stack's tag, as its snapshots do, is not a drill's."""
TAGS: Mapping[str, Mapping[str, str]] = {
    **{
        f"{kind}-{suffix}": tags
        for kind in ("i", "vol", "vpce")
        for suffix, tags in (
            ("drill", drill_tags()),
            ("production", PRODUCTION),
            ("foreign", drill_tags("another-stack")),
            ("named", {naming.TAG_DRILL: "mine", naming.TAG_STACK: STACK}),
        )
    },
    "DrillRepositories": {},
}


def tags_of(wanted: str) -> Mapping[str, str]:
    return TAGS.get(wanted.rpartition("/")[2], {})


ACCOUNT = Account(
    ID,
    REGION,
    tags_of=tags_of,
    key_of=lambda _: f"arn:aws:kms:{REGION}:{ID}:key/theirs",
    role_of={
        "DrillVerifierProfile": role("DrillVerifierRole"),
        "production": role("production"),
    }.get,
)


class Reach:
    """What the role in a template lets DrillRestores do."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        kinds: dict[str, Callable[[str], str]] = {
            "AWS::IAM::Role": role,
            "AWS::IAM::InstanceProfile": lambda name: f"arn:aws:iam::{ID}:instance-profile/{name}",
            "AWS::DynamoDB::Table": lambda name: arn("dynamodb", f"table/{name}"),
        }
        resources = document["Resources"]

        def attribute(logical_id: str, name: str) -> str:
            known = kinds.get(resources[logical_id]["Type"]) if name == "Arn" else None
            return known(logical_id) if known else arn("placeholder", f"{logical_id}.{name}")

        offline = offline_resolver(document)
        resolve = replace(offline, attributes=attribute)
        self.statements: list[Statement] = role_statements(document, ROLE, resolve)

    def may(self, question: Request) -> bool:
        """A doubt is no yes, and no proof of a no: it fails the test that has it."""
        verdict = evaluate(self.statements, question, tags_of)
        if verdict.outcome == "cannot-judge":
            raise AssertionError(f"{question.action} on {question.resource}: {verdict.why}")
        return verdict.outcome == "allowed"

    def refused(self, service: str, operation: str, params: Mapping[str, Any]) -> list[str]:
        """What of a call is not allowed; empty if it may be made."""
        return [
            f"{one.action} on {one.resource}"
            for one in requests_of(service, operation, params, ACCOUNT)
            if not self.may(one)
        ]


INSTANCE = {
    "DBInstanceIdentifier": NAME,
    "DBSnapshotIdentifier": "nightly",
    "DBSubnetGroupName": "DrillSubnetGroup",
    "DBParameterGroupName": "tuned",
    "Tags": as_list(drill_tags()),
}
CLUSTER = {
    "DBClusterIdentifier": NAME,
    "SnapshotIdentifier": "nightly",
    "DBSubnetGroupName": "DrillSubnetGroup",
    "Tags": as_list(drill_tags()),
}
MEMBER = {
    "DBInstanceIdentifier": f"{NAME}-1",
    "DBClusterIdentifier": NAME,
    "Tags": as_list(drill_tags()),
}
INTERFACE = {
    "DeviceIndex": 0,
    "SubnetId": "DrillSubnet",
    "Groups": ["DrillVerifiers"],
    "AssociatePublicIpAddress": False,
}
VERIFIER: dict[str, Any] = {
    "ImageId": "placeholder-DrillImage",
    "InstanceType": "t4g.small",
    "IamInstanceProfile": {"Name": "DrillVerifierProfile"},
    "NetworkInterfaces": [INTERFACE],
    "MetadataOptions": {"HttpTokens": "required"},
    "TagSpecifications": specified(drill_tags(), "instance", "volume", "network-interface"),
}
VOLUME = {"SnapshotId": "snap-any", "TagSpecifications": specified(drill_tags(), "volume")}
ENDPOINT = {
    "VpcId": "DrillVpc",
    "ServiceName": f"com.amazonaws.{REGION}.ssm",
    "SubnetIds": ["DrillSubnet"],
    "SecurityGroupIds": ["DrillEndpoints"],
    "PrivateDnsEnabled": True,
    "TagSpecifications": specified(drill_tags(), "vpc-endpoint"),
}
BACKUP = arn("dynamodb", "table/carts/backup/01764000000000-aaaa1111")
COMMAND = {"DocumentName": "AWS-RunShellScript", "InstanceIds": ["i-drill"]}

Call = tuple[str, str, Mapping[str, Any]]

OWN: Mapping[str, Call] = {
    "restore a database": ("rds", "RestoreDBInstanceFromDBSnapshot", INSTANCE),
    "restore a cluster": ("rds", "RestoreDBClusterFromSnapshot", CLUSTER),
    "give it a member": ("rds", "CreateDBInstance", MEMBER),
    "renew its password": ("rds", "ModifyDBInstance", {"DBInstanceIdentifier": NAME}),
    "renew its cluster's": ("rds", "ModifyDBCluster", {"DBClusterIdentifier": NAME}),
    "delete it": (
        "rds", "DeleteDBInstance", {"DBInstanceIdentifier": NAME, "SkipFinalSnapshot": True},
    ),
    "start its cluster": ("rds", "StartDBCluster", {"DBClusterIdentifier": NAME}),
    "delete its cluster": (
        "rds", "DeleteDBCluster", {"DBClusterIdentifier": NAME, "SkipFinalSnapshot": True},
    ),
    "restore a table": (
        "dynamodb", "RestoreTableFromBackup", {"BackupArn": BACKUP, "TargetTableName": NAME},
    ),
    "read it": ("dynamodb", "Scan", {"TableName": NAME}),
    "delete the table": ("dynamodb", "DeleteTable", {"TableName": NAME}),
    "make a volume": ("ec2", "CreateVolume", VOLUME),
    "start a verifier": ("ec2", "RunInstances", VERIFIER),
    "attach one to the other": (
        "ec2", "AttachVolume", {"InstanceId": "i-drill", "VolumeId": "vol-drill"},
    ),
    "delete the volume": ("ec2", "DeleteVolume", {"VolumeId": "vol-drill"}),
    "end the verifier": ("ec2", "TerminateInstances", {"InstanceIds": ["i-drill"]}),
    "make an endpoint": ("ec2", "CreateVpcEndpoint", ENDPOINT),
    "delete the endpoint": ("ec2", "DeleteVpcEndpoints", {"VpcEndpointIds": ["vpce-drill"]}),
    "ask the verifier": ("ssm", "SendCommand", COMMAND),
    "keep a password": (
        "ssm", "PutParameter",
        {"Name": f"{SECRETS}/{NAME}", "Type": "SecureString", "Tags": as_list(drill_tags())},
    ),
    "read it back": (
        "ssm", "GetParameter", {"Name": f"{SECRETS}/{NAME}", "WithDecryption": True},
    ),
    "forget it": ("ssm", "DeleteParameter", {"Name": f"{SECRETS}/{NAME}"}),
}  # fmt: skip
