"""What IAM is asked for the calls that restore something, look into it and take it down: the part
of `local.iam_actions` that is about drills.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from local.iam_requests import (
    CREATE_ACTION,
    ENDPOINT_SERVICE,
    INSTANCE_PROFILE,
    INSTANCE_TYPE,
    METADATA_TOKENS,
    NETWORKS,
    PASSED_TO,
    PUBLIC_ADDRESS,
    SUBNET,
    Account,
    Ask,
    CannotJudge,
    Params,
    Request,
    behind,
    tag_keys,
)

Keys = Mapping[str, tuple[str, ...]]

# EC2


def _tags_for(kind: str, params: Params) -> Keys:
    """The keys of the tags that a call gives to what it makes of a kind."""
    specifications = params.get("TagSpecifications", ())
    return tag_keys(
        tag for each in specifications if each["ResourceType"] == kind for tag in each["Tags"]
    )


def _made(operation: str, kind: str, params: Params, account: Account, keys: Keys) -> list[Request]:
    """Something new, and CreateTags on it when tags come along."""
    arn, tags = account.ec2_arn(kind, "*"), _tags_for(kind, params)
    requests = [Request(f"ec2:{operation}", arn, {**tags, **keys}, creates=True)]
    if tags:
        tagging = {**tags, CREATE_ACTION: (operation,)}
        requests.append(Request("ec2:CreateTags", arn, tagging, creates=True))
    return requests


def _create_volume(operation: str, params: Params, account: Account) -> list[Request]:
    """The volume, the snapshot, and its key.

    EBS User Guide, "Amazon EBS encryption requirements". One that asks for another key than the
    snapshot's needs more, and is not judged.
    """
    if "KmsKeyId" in params:
        raise CannotJudge(f"ec2 {operation}: what another key than the snapshot's would ask for")
    snapshot = account.ec2_arn("snapshot", params["SnapshotId"])
    used = ("CreateGrant", "Decrypt", "DescribeKey", "GenerateDataKeyWithoutPlaintext")
    return [
        *_made(operation, "volume", params, account, {}),
        Request(f"ec2:{operation}", snapshot),
        *behind(account, "ec2", snapshot, *used),
    ]


RUN_INSTANCES = frozenset({
    "BlockDeviceMappings", "ClientToken", "IamInstanceProfile", "ImageId",
    "InstanceInitiatedShutdownBehavior", "InstanceType", "KeyName", "MaxCount", "MetadataOptions",
    "MinCount", "NetworkInterfaces", "TagSpecifications", "UserData",
})  # fmt: skip


def _run_instances(operation: str, params: Params, account: Account) -> list[Request]:
    """Everything that the instance is made of or connected with, and the role in its profile.

    EC2 User Guide, "Example policies to control access the Amazon EC2 API", part "Launch instances
    (RunInstances)".
    """
    if strange := sorted(params.keys() - RUN_INSTANCES):
        raise CannotJudge(f"ec2 {operation}: what {', '.join(strange)} would ask for")
    keys: dict[str, tuple[str, ...]] = {INSTANCE_TYPE: (params["InstanceType"],)}
    if "HttpTokens" in params.get("MetadataOptions", {}):
        keys[METADATA_TOKENS] = (params["MetadataOptions"]["HttpTokens"],)
    passed: list[Request] = []
    if "IamInstanceProfile" in params:
        profile = params["IamInstanceProfile"]["Name"]
        keys[INSTANCE_PROFILE] = (f"arn:aws:iam::{account.id}:instance-profile/{profile}",)
        passed = [_pass_role(operation, profile, account)]
    beside = [account.ec2_arn("image", params["ImageId"])]
    if "KeyName" in params:
        beside.append(account.ec2_arn("key-pair", params["KeyName"]))
    return [
        *_made(operation, "instance", params, account, keys),
        *_made(operation, "volume", params, account, {}),
        *_connected(operation, params, account),
        *(Request(f"ec2:{operation}", arn) for arn in beside),
        *passed,
    ]


def _connected(operation: str, params: Params, account: Account) -> Iterator[Request]:
    """A new interface in a subnet and in groups; which one takes by default is not asked here."""
    for interface in params["NetworkInterfaces"]:
        if "NetworkInterfaceId" in interface:
            raise CannotJudge(f"ec2 {operation}: where {interface['NetworkInterfaceId']} is")
        subnet = account.ec2_arn("subnet", interface["SubnetId"])
        keys = {SUBNET: (subnet,)}
        if "AssociatePublicIpAddress" in interface:
            keys[PUBLIC_ADDRESS] = (str(interface["AssociatePublicIpAddress"]).lower(),)
        yield from _made(operation, "network-interface", params, account, keys)
        yield Request(f"ec2:{operation}", subnet)
        for group in interface["Groups"]:
            yield Request(f"ec2:{operation}", account.ec2_arn("security-group", group))


def _pass_role(operation: str, profile: str, account: Account) -> Request:
    role = account.role_of(profile)
    if role is None:
        raise CannotJudge(f"ec2 {operation}: which role is in the instance profile {profile}")
    return Request("iam:PassRole", role, {PASSED_TO: ("ec2.amazonaws.com",)})


def _on_ec2(**kinds: str) -> Ask:
    """One question for each resource that a parameter names, or that is in the list it gives."""

    def ask(operation: str, params: Params, account: Account) -> list[Request]:
        return [
            Request(f"ec2:{operation}", account.ec2_arn(kind, identifier))
            for parameter, kind in kinds.items()
            for identifier in _listed(params[parameter])
        ]

    return ask


def _listed(value: str | Sequence[str]) -> Sequence[str]:
    return [value] if isinstance(value, str) else value


def _create_endpoint(operation: str, params: Params, account: Account) -> list[Request]:
    """The endpoint, the network with its parts, and the hosted zone of its private names."""
    service = {ENDPOINT_SERVICE: (params["ServiceName"],)}
    parts = _on_ec2(VpcId="vpc", SubnetIds="subnet", SecurityGroupIds="security-group")
    requests = [
        *_made(operation, "vpc-endpoint", params, account, service),
        *parts(operation, params, account),
    ]
    if params.get("PrivateDnsEnabled"):
        network = {NETWORKS: (f"VPCId={params['VpcId']},VPCRegion={account.region}",)}
        zones = "arn:aws:route53:::hostedzone/*"
        requests.append(Request("route53:AssociateVPCWithHostedZone", zones, network))
    return requests


# RDS


def _rds(account: Account, kind: str, identifier: str) -> str:
    return account.arn("rds", f"{kind}:{identifier}")


def _named(account: Account, params: Params, kinds: Mapping[str, str]) -> list[str]:
    """The ARN of each thing that a parameter names; where it is left out, of the default one."""
    return [
        _rds(account, kind, params.get(parameter, "default")) for parameter, kind in kinds.items()
    ]


def _make_database(kind: str, name: str, beside: Mapping[str, str], snapshot: str = "") -> Ask:
    """What is made, what it is made with, AddTagsToResource when tags come along, and the key.

    RDS User Guide, "Identity-based policy examples for Amazon RDS": also groups that are not named
    are asked for. `name` and `snapshot` are parameters; `beside` has the types of others.
    """

    def ask(operation: str, params: Params, account: Account) -> list[Request]:
        keys = tag_keys(params.get("Tags", ()))
        new = _rds(account, kind, params[name])
        requests = [Request(f"rds:{operation}", new, keys, creates=True)]
        if keys:
            requests.append(Request("rds:AddTagsToResource", new, keys, creates=True))
        used = _named(account, params, beside)
        requests += [Request(f"rds:{operation}", arn, keys) for arn in used]
        if snapshot:
            source = _snapshot(account, kind, params[snapshot])
            requests.append(Request(f"rds:{operation}", source, keys))
            requests += behind(account, "rds", source, "DescribeKey", "CreateGrant")
        return requests

    return ask


def _snapshot(account: Account, kind: str, identifier: str) -> str:
    """An automated one has a colon in its name, and may be named by its ARN."""
    if identifier.startswith("arn:"):
        return identifier
    of = "cluster-snapshot" if kind == "cluster" else "snapshot"
    return account.arn("rds", f"{of}:{identifier}")


# What a change of a cluster names besides it, to be asked for as well.
NAMED_BESIDE_A_CLUSTER = frozenset({
    "DBClusterParameterGroupName", "DBInstanceParameterGroupName", "ManageMasterUserPassword",
    "NewDBClusterIdentifier", "OptionGroupName",
})  # fmt: skip


def _on_cluster(operation: str, params: Params, account: Account) -> list[Request]:
    if beside := sorted(NAMED_BESIDE_A_CLUSTER & params.keys()):
        raise CannotJudge(f"rds {operation}: what {', '.join(beside)} would ask for")
    cluster = _rds(account, "cluster", params["DBClusterIdentifier"])
    return [Request(f"rds:{operation}", cluster)]


def _delete_database(operation: str, params: Params, account: Account) -> list[Request]:
    if not params.get("SkipFinalSnapshot"):
        raise CannotJudge(f"rds {operation}: what a final snapshot would ask for")
    if operation == "DeleteDBCluster":
        return _on_cluster(operation, params, account)
    return [Request(f"rds:{operation}", _rds(account, "db", params["DBInstanceIdentifier"]))]


# DynamoDB


def _table(account: Account, name: str) -> str:
    return name if name.startswith("arn:") else account.arn("dynamodb", f"table/{name}")


WRITTEN_BY_A_RESTORE = (
    "BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem",
)  # fmt: skip


def _restore_table(operation: str, params: Params, account: Account) -> list[Request]:
    """The backup, the new table, all that is done to its items, and the key of the original.

    DynamoDB Developer Guide, "Using IAM with DynamoDB backup and restore".
    """
    backup = params["BackupArn"]
    new = _table(account, params["TargetTableName"])
    used = ("CreateGrant", "Decrypt", "DescribeKey")
    return [
        Request(f"dynamodb:{operation}", backup),
        *(
            Request(f"dynamodb:{action}", new, creates=True)
            for action in (operation, *WRITTEN_BY_A_RESTORE)
        ),
        *behind(account, "dynamodb", backup.partition("/backup/")[0], *used),
    ]


def _on_table(operation: str, params: Params, account: Account) -> list[Request]:
    keys = tag_keys(params.get("Tags", ()))
    name = params["TableName"] if "TableName" in params else params["ResourceArn"]
    return [Request(f"dynamodb:{operation}", _table(account, name), keys)]


GROUPS_OF_AN_INSTANCE = {
    "DBParameterGroupName": "pg",
    "DBSubnetGroupName": "subgrp",
    "OptionGroupName": "og",
}
GROUPS_OF_A_CLUSTER = {
    "DBClusterParameterGroupName": "cluster-pg",
    "DBSubnetGroupName": "subgrp",
    "OptionGroupName": "og",
}
GROUPS_OF_A_MEMBER = {"DBClusterIdentifier": "cluster", "DBParameterGroupName": "pg"}
"""The rest it has of its cluster."""

RESTORES: Mapping[tuple[str, str], Ask] = {
    ("ec2", "CreateVolume"): _create_volume,
    ("ec2", "RunInstances"): _run_instances,
    ("ec2", "AttachVolume"): _on_ec2(InstanceId="instance", VolumeId="volume"),
    ("ec2", "DeleteVolume"): _on_ec2(VolumeId="volume"),
    ("ec2", "TerminateInstances"): _on_ec2(InstanceIds="instance"),
    ("ec2", "CreateVpcEndpoint"): _create_endpoint,
    ("ec2", "DeleteVpcEndpoints"): _on_ec2(VpcEndpointIds="vpc-endpoint"),
    ("rds", "RestoreDBInstanceFromDBSnapshot"): _make_database(
        "db", "DBInstanceIdentifier", GROUPS_OF_AN_INSTANCE, "DBSnapshotIdentifier"
    ),
    ("rds", "RestoreDBClusterFromSnapshot"): _make_database(
        "cluster", "DBClusterIdentifier", GROUPS_OF_A_CLUSTER, "SnapshotIdentifier"
    ),
    ("rds", "CreateDBInstance"): _make_database("db", "DBInstanceIdentifier", GROUPS_OF_A_MEMBER),
    ("rds", "ModifyDBCluster"): _on_cluster,
    ("rds", "StartDBCluster"): _on_cluster,
    ("rds", "DeleteDBInstance"): _delete_database,
    ("rds", "DeleteDBCluster"): _delete_database,
    ("dynamodb", "RestoreTableFromBackup"): _restore_table,
    ("dynamodb", "DeleteTable"): _on_table,
    ("dynamodb", "TagResource"): _on_table,
    ("dynamodb", "UpdateTable"): _on_table,
    ("dynamodb", "UpdateTimeToLive"): _on_table,
}
