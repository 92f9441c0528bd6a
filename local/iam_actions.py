"""What IAM is asked for each call of boto3: actions, resources and the keys that policies may test.

One call can put several questions: creating a tagged snapshot asks for the volume, for the snapshot
and for `ec2:CreateTags`; all must be answered yes. The facts are those of the *Service
Authorization Reference* (pages "Actions, resources, and condition keys for Amazon EC2", "...
DynamoDB" and so on), except where a comment names another page. An operation that is not listed
here raises CannotJudge: unknown is never treated as allowed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from local.iam_recoveries import RECOVERIES
from local.iam_requests import (
    CREATE_ACTION,
    ENCLOSING_OPERATION,
    IF_NONE_MATCH,
    LEADING_KEYS,
    PASSED_TO,
    VIA_SERVICE,
    Account,
    Ask,
    CannotJudge,
    Params,
    Request,
    behind,
    on_key,
    tag_keys,
)
from local.iam_restores import RESTORES


def requests_of(service: str, operation: str, params: Params, account: Account) -> list[Request]:
    """What IAM evaluates for one call of a low-level boto3 client; every request must be allowed.

    `service` and `operation` are botocore's names ("ec2", "CreateSnapshots"), `params` as the
    client is given them. An empty list means that the call needs no permission. Raises CannotJudge
    for calls that are not in the tables.
    """
    if operation in ANY_RESOURCE.get(service, ()):
        requests = [Request(f"{service}:{operation}", "*")]
    else:
        try:
            ask = OPERATIONS[service, operation]
        except KeyError:
            raise CannotJudge(
                f"{service} {operation}: what IAM is asked is not known; add it to {__name__}"
            ) from None
        try:
            requests = ask(operation, params, account)
        except KeyError as missing:
            raise CannotJudge(f"{service} {operation}: parameter {missing} is missing") from None
    return [replace(each, keys={**_every_request(each, account), **each.keys}) for each in requests]


def _every_request(request: Request, account: Account) -> dict[str, tuple[str, ...]]:
    keys: dict[str, tuple[str, ...]] = {
        "aws:requestedregion": (account.region,),
        "aws:principalaccount": (account.id,),
        "aws:securetransport": ("true",),  # boto3 speaks HTTPS unless told otherwise
    }
    if request.action.startswith("ec2:"):
        keys["ec2:region"] = (account.region,)
    return keys


# EC2

EC2_KINDS = {"snap": "snapshot", "vol": "volume", "i": "instance", "ami": "image"}


def _created_tags(operation: str, params: Params, kind: str) -> dict[str, tuple[str, ...]]:
    tags: list[Mapping[str, str]] = []
    for specification in params.get("TagSpecifications", ()):
        if specification["ResourceType"] != kind:
            raise CannotJudge(f"ec2 {operation}: tags for a {specification['ResourceType']}")
        tags += specification.get("Tags", ())
    return tag_keys(tags)


def _new_snapshot(operation: str, params: Params, account: Account) -> list[Request]:
    """The snapshot to be created, and CreateTags on it when tags come along.

    EC2 User Guide, "Grant permission to tag Amazon EC2 resources during creation".
    """
    if "CopyTagsFromSource" in params:
        raise CannotJudge(f"ec2 {operation}: which tags CopyTagsFromSource would ask for")
    snapshot = account.ec2_arn("snapshot", "*")
    tags = _created_tags(operation, params, "snapshot")
    requests = [Request(f"ec2:{operation}", snapshot, tags, creates=True)]
    if tags:
        keys = {**tags, CREATE_ACTION: (operation,)}
        requests.append(Request("ec2:CreateTags", snapshot, keys, creates=True))
    return requests


def _create_snapshot(operation: str, params: Params, account: Account) -> list[Request]:
    volume = Request(f"ec2:{operation}", account.ec2_arn("volume", params["VolumeId"]))
    return [volume, *_new_snapshot(operation, params, account)]


def _create_snapshots(operation: str, params: Params, account: Account) -> list[Request]:
    """The instance and its volumes. A boot volume that is left out is asked for, to be strict."""
    source = params["InstanceSpecification"]
    attached = account.volumes_of(source["InstanceId"])
    if attached is None:
        raise CannotJudge(f"ec2 {operation}: which volumes {source['InstanceId']} has")
    left_out = source.get("ExcludeDataVolumeIds", ())
    sources = [account.ec2_arn("instance", source["InstanceId"])]
    sources += [account.ec2_arn("volume", each) for each in attached if each not in left_out]
    requests = [Request(f"ec2:{operation}", arn) for arn in sources]
    return [*requests, *_new_snapshot(operation, params, account)]


def _on_snapshot(operation: str, params: Params, account: Account) -> list[Request]:
    return [Request(f"ec2:{operation}", account.ec2_arn("snapshot", params["SnapshotId"]))]


def _on_image(operation: str, params: Params, account: Account) -> list[Request]:
    return [Request(f"ec2:{operation}", account.ec2_arn("image", params["ImageId"]))]


def _tagging(operation: str, params: Params, account: Account) -> list[Request]:
    keys = tag_keys(params.get("Tags", ()))
    arns = []
    for identifier in params["Resources"]:
        kind = EC2_KINDS.get(identifier.partition("-")[0])
        if kind is None:
            raise CannotJudge(f"ec2 {operation}: what kind of resource {identifier!r} is")
        arns.append(account.ec2_arn(kind, identifier))
    return [Request(f"ec2:{operation}", arn, keys) for arn in arns]


# DynamoDB

ITEM_ACTIONS = {
    "ConditionCheck": "ConditionCheckItem",
    "Delete": "DeleteItem",
    "Get": "GetItem",
    "Put": "PutItem",
    "Update": "UpdateItem",
}


def _table(name: str, account: Account) -> str:
    return name if name.startswith("arn:") else account.arn("dynamodb", f"table/{name}")


def _text(value: Any) -> str:
    """The key value as IAM sees it, from DynamoDB's typed form such as {"S": "..."}."""
    if isinstance(value, Mapping) and len(value) == 1:
        ((kind, content),) = value.items()
        if kind in {"S", "N"}:
            return str(content)
    raise CannotJudge(f"dynamodb: the key value {value!r} is not a typed string or number")


def _items(
    action: str, table: str, items: Sequence[Params], account: Account, **keys: tuple[str, ...]
) -> Request:
    """`action` on items of one table; LeadingKeys holds the partition keys of all of them.

    DynamoDB Developer Guide, "Using IAM policy conditions for fine-grained access control".
    """
    name = account.partition_keys.get(table)
    if name is None:
        return Request(f"dynamodb:{action}", table, keys, unknown=frozenset({LEADING_KEYS}))
    values = tuple(dict.fromkeys(_text(item[name]) for item in items))
    return Request(f"dynamodb:{action}", table, {**keys, LEADING_KEYS: values})


def _with_table_key(requests: list[Request], account: Account) -> list[Request]:
    """The requests, and kms:Decrypt for tables under a customer-managed key.

    DynamoDB Developer Guide, "DynamoDB encryption at rest": the table key is decrypted in each
    caller's name.
    """
    tables = dict.fromkeys(request.resource.partition("/index/")[0] for request in requests)
    kms = [each for table in tables for each in on_key(account, "dynamodb", table, "Decrypt")]
    return [*requests, *kms]


def _one_item(operation: str, params: Params, account: Account) -> list[Request]:
    table = _table(params["TableName"], account)
    item = params["Item"] if operation == "PutItem" else params["Key"]
    return _with_table_key([_items(operation, table, [item], account)], account)


def _queried_key(params: Params, name: str) -> str:
    """The value that KeyConditionExpression asks of the partition key `name`."""
    expression = params["KeyConditionExpression"]
    if not isinstance(expression, str):
        raise CannotJudge("dynamodb Query: only key conditions that are strings can be read")
    names = params.get("ExpressionAttributeNames", {})
    for left, right in re.findall(r"([#:\w.-]+)\s*=\s*([#:\w.-]+)", expression):
        attribute, value = (right, left) if left.startswith(":") else (left, right)
        if names.get(attribute, attribute) == name and value.startswith(":"):
            return _text(params["ExpressionAttributeValues"][value])
    raise CannotJudge(f"dynamodb Query: {expression!r} does not say `{name} = :value`")


def _query(operation: str, params: Params, account: Account) -> list[Request]:
    """On an index, LeadingKeys is the partition key of the index."""
    resource = _table(params["TableName"], account)
    if "IndexName" in params:
        resource = f"{resource}/index/{params['IndexName']}"
    name = account.partition_keys.get(resource)
    if name is None:
        unknown = frozenset({LEADING_KEYS})
        requests = [Request(f"dynamodb:{operation}", resource, unknown=unknown)]
    else:
        keys = {LEADING_KEYS: (_queried_key(params, name),)}
        requests = [Request(f"dynamodb:{operation}", resource, keys)]
    return _with_table_key(requests, account)


def _scan(operation: str, params: Params, account: Account) -> list[Request]:
    """A scan has no LeadingKeys: ForAllValues alone lets it pass, `Null: false` keeps it out."""
    resource = _table(params["TableName"], account)
    if "IndexName" in params:
        resource = f"{resource}/index/{params['IndexName']}"
    return _with_table_key([Request(f"dynamodb:{operation}", resource)], account)


def _batch_get(operation: str, params: Params, account: Account) -> list[Request]:
    requests = [
        _items(operation, _table(name, account), wanted["Keys"], account)
        for name, wanted in params["RequestItems"].items()
    ]
    return _with_table_key(requests, account)


def _batch_write(operation: str, params: Params, account: Account) -> list[Request]:
    requests = []
    for name, writes in params["RequestItems"].items():
        items = [
            each["PutRequest"]["Item"] if "PutRequest" in each else each["DeleteRequest"]["Key"]
            for each in writes
        ]
        requests.append(_items(operation, _table(name, account), items, account))
    return _with_table_key(requests, account)


def _transact(operation: str, params: Params, account: Account) -> list[Request]:
    """The actions of the items; there is no dynamodb:TransactWriteItems to grant.

    DynamoDB Developer Guide, "Using IAM with DynamoDB transactions". The items of one action and
    table are asked for together: a policy that passes under ForAllValues also passes item by item.
    """
    groups: dict[tuple[str, str], list[Params]] = {}
    for entry in params["TransactItems"]:
        for kind, item in entry.items():
            key = item["Item"] if kind == "Put" else item["Key"]
            group = (ITEM_ACTIONS[kind], _table(item["TableName"], account))
            groups.setdefault(group, []).append(key)
    enclosing = {ENCLOSING_OPERATION: (operation,)}
    requests = [
        _items(action, table, items, account, **enclosing)
        for (action, table), items in groups.items()
    ]
    return _with_table_key(requests, account)


def _on_table(operation: str, params: Params, account: Account) -> list[Request]:
    return [Request(f"dynamodb:{operation}", _table(params["TableName"], account))]


def _contributor_insights(operation: str, params: Params, account: Account) -> list[Request]:
    table = _table(params["TableName"], account)
    resource = f"{table}/index/{params['IndexName']}" if "IndexName" in params else table
    return [Request(f"dynamodb:{operation}", resource)]


def _create_backup(operation: str, params: Params, account: Account) -> list[Request]:
    """The table, and its key.

    AWS Backup Developer Guide, "Policy updates for AWS Backup", 10 March 2021: the role that calls
    CreateBackup for an encrypted table needs kms:Decrypt and kms:GenerateDataKey.
    """
    table = _table(params["TableName"], account)
    kms = behind(account, "dynamodb", table, "Decrypt", "GenerateDataKey")
    return [Request(f"dynamodb:{operation}", table), *kms]


# RDS


def _rds(account: Account, kind: str, identifier: str) -> str:
    """Identifiers may be given as ARNs."""
    if identifier.startswith("arn:"):
        return identifier
    return account.arn("rds", f"{kind}:{identifier}")


def _described(**kinds: str) -> Ask:
    """One question per resource type, by the parameter that names one of it; else for all of them.

    An answer that is not about one database is asked for as `db:*`, which only a permission on
    `*` or on all of them covers. Whether a Describe that can be narrowed in two ways asks for both
    types is not documented: here it does.
    """

    def ask(operation: str, params: Params, account: Account) -> list[Request]:
        return [
            Request(f"rds:{operation}", _rds(account, kind, params.get(parameter, "*")))
            for parameter, kind in kinds.items()
        ]

    return ask


def _insights(operation: str, params: Params, account: Account) -> list[Request]:
    """Performance Insights knows a database by its resource id, not by its name."""
    resource = f"metrics/{params['ServiceType'].lower()}/{params['Identifier']}"
    return [Request(f"pi:{operation}", account.arn("pi", resource))]


def _on_rds(kind: str, parameter: str) -> Ask:
    def ask(operation: str, params: Params, account: Account) -> list[Request]:
        return [Request(f"rds:{operation}", _rds(account, kind, params[parameter]))]

    return ask


def _new_rds_snapshot(source: tuple[str, str], snapshot: tuple[str, str]) -> Ask:
    """The source, the snapshot, AddTagsToResource on it when tags come along, and the key.

    RDS User Guide, "Grant permission to tag Amazon RDS resources during creation" and "AWS KMS key
    management": whoever creates an RDS resource under a customer-managed key needs kms:DescribeKey
    and kms:CreateGrant. Each pair is a resource type and the parameter that names one.
    """

    def ask(operation: str, params: Params, account: Account) -> list[Request]:
        keys = tag_keys(params.get("Tags", ()))
        database = _rds(account, source[0], params[source[1]])
        new = _rds(account, snapshot[0], params[snapshot[1]])
        requests = [
            Request(f"rds:{operation}", database, keys),
            Request(f"rds:{operation}", new, keys, creates=True),
        ]
        if keys:
            requests.append(Request("rds:AddTagsToResource", new, keys, creates=True))
        return [*requests, *behind(account, "rds", database, "DescribeKey", "CreateGrant")]

    return ask


def _rds_tagging(operation: str, params: Params, account: Account) -> list[Request]:
    given = [*params.get("Tags", ()), *({"Key": key} for key in params.get("TagKeys", ()))]
    return [Request(f"rds:{operation}", params["ResourceName"], tag_keys(given))]


def _stop_database(operation: str, params: Params, account: Account) -> list[Request]:
    requests = [Request(f"rds:{operation}", _rds(account, "db", params["DBInstanceIdentifier"]))]
    if name := params.get("DBSnapshotIdentifier"):
        snapshot = _rds(account, "snapshot", name)
        requests.append(Request(f"rds:{operation}", snapshot, creates=True))
    return requests


# Parameters of ModifyDBInstance that name a resource of their own, to be asked for as well.
NAMED_BESIDE_A_DATABASE = (
    "CACertificateIdentifier", "DBParameterGroupName", "DBSecurityGroups", "DBSubnetGroupName",
    "ManageMasterUserPassword", "OptionGroupName",
)  # fmt: skip


def _modify_database(operation: str, params: Params, account: Account) -> list[Request]:
    """RDS User Guide, "Setting up and enabling Enhanced Monitoring": its role is passed on."""
    if beside := [name for name in NAMED_BESIDE_A_DATABASE if name in params]:
        raise CannotJudge(f"rds {operation}: what {', '.join(beside)} would ask for")
    requests = [Request(f"rds:{operation}", _rds(account, "db", params["DBInstanceIdentifier"]))]
    if role := params.get("MonitoringRoleArn"):
        passed = {PASSED_TO: ("monitoring.rds.amazonaws.com",)}
        requests.append(Request("iam:PassRole", role, passed))
    return requests


# SNS and SQS


def _publish(operation: str, params: Params, account: Account) -> list[Request]:
    """A text message to a telephone has no topic: only a permission on `*` covers it.

    SNS Developer Guide, "Securing Amazon SNS data with server-side encryption" (the permissions of
    publishers).
    """
    if "PhoneNumber" in params:
        return [Request("sns:Publish", "*")]
    topic = params["TopicArn"] if "TopicArn" in params else params["TargetArn"]
    return [
        Request("sns:Publish", topic),
        *on_key(account, "sns", topic, "GenerateDataKey", "Decrypt"),
    ]


def _queue(action: str, *kms: str) -> Ask:
    """`action` on the queue of QueueUrl; batches need the permission of the single operation."""

    def ask(operation: str, params: Params, account: Account) -> list[Request]:
        owner, _, name = params["QueueUrl"].rpartition("/")
        arn = f"arn:aws:sqs:{account.region}:{owner.rpartition('/')[2]}:{name}"
        return [Request(f"sqs:{action}", arn), *on_key(account, "sqs", arn, *kms)]

    return ask


def _queue_by_name(operation: str, params: Params, account: Account) -> list[Request]:
    return [Request(f"sqs:{operation}", account.arn("sqs", params["QueueName"]))]


# Systems Manager parameters


def _parameter(name: str, account: Account) -> str:
    if name.startswith("arn:"):
        return name
    path = name.partition(":")[0].strip("/")  # `name:3` and `name:label` select a version
    return account.arn("ssm", f"parameter/{path}")


def _parameters(operation: str, params: Params, account: Account) -> list[Request]:
    names = params["Names"] if "Names" in params else [params["Name"]]
    arns = [_parameter(name, account) for name in names]
    requests = [Request(f"ssm:{operation}", arn) for arn in arns]
    if params.get("WithDecryption"):
        requests += [each for arn in arns for each in on_key(account, "ssm", arn, "Decrypt")]
    return requests


def _tags_of_parameter(operation: str, params: Params, account: Account) -> list[Request]:
    if params["ResourceType"] != "Parameter":
        raise CannotJudge(f"ssm {operation}: tags of a {params['ResourceType']}")
    return [Request(f"ssm:{operation}", _parameter(params["ResourceId"], account))]


def _parameters_by_path(operation: str, params: Params, account: Account) -> list[Request]:
    if params.get("WithDecryption"):
        raise CannotJudge(f"ssm {operation}: which KMS keys decrypting a whole path needs")
    keys = {"ssm:recursive": (str(bool(params.get("Recursive"))).lower(),)}
    return [Request(f"ssm:{operation}", _parameter(params["Path"], account), keys)]


def _put_parameter(operation: str, params: Params, account: Account) -> list[Request]:
    """Without a key of the caller's choice, a SecureString is under the one that AWS manages."""
    if "KeyId" in params:
        raise CannotJudge(f"ssm {operation}: which KMS key encrypts a SecureString")
    arn, keys = _parameter(params["Name"], account), tag_keys(params.get("Tags", ()))
    requests = [Request(f"ssm:{operation}", arn, keys)]
    return [*requests, Request("ssm:AddTagsToResource", arn, keys)] if keys else requests


# Systems Manager commands


# What only documents of AWS may be named:
# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_CreateDocument.html, Name
NAMES_OF_AWS = ("aws", "amazon", "amzn")


def _document(name: str, account: Account) -> str:
    """Documents of AWS have no account in their ARN; one that is shared is named by its ARN."""
    if name.startswith("arn:"):
        return name
    owner = "" if name.lower().startswith(NAMES_OF_AWS) else account.id
    return f"arn:aws:ssm:{account.region}:{owner}:document/{name}"


def _node(identifier: str, account: Account) -> str:
    if identifier.startswith("mi-"):
        return account.arn("ssm", f"managed-instance/{identifier}")
    return account.ec2_arn("instance", identifier)


def _send_command(operation: str, params: Params, account: Account) -> list[Request]:
    """The document, every node, and the bucket that output goes to.

    Systems Manager User Guide, "Restricting Run Command access based on tags".
    """
    if "ServiceRoleArn" in params:
        raise CannotJudge(f"ssm {operation}: which role is passed with ServiceRoleArn")
    nodes = list(params.get("InstanceIds", ()))
    for target in params.get("Targets", ()):
        if target["Key"].lower() != "instanceids":
            raise CannotJudge(f"ssm {operation}: which nodes {target['Key']} stands for")
        nodes += target["Values"]
    arns = [_document(params["DocumentName"], account), *(_node(each, account) for each in nodes)]
    if bucket := params.get("OutputS3BucketName"):
        arns.append(f"arn:aws:s3:::{bucket}")
    return [Request(f"ssm:{operation}", arn) for arn in arns]


# AWS Backup


def _vault(operation: str, params: Params, account: Account) -> list[Request]:
    vault = account.arn("backup", f"backup-vault:{params['BackupVaultName']}")
    return [Request(f"backup:{operation}", vault)]


# S3

# Parameters of PutObject that need a permission of their own (S3 User Guide, "Required permissions
# for Amazon S3 API operations" and "How to prevent object overwrites with conditional writes"). The
# retention that a bucket gives to every object by default needs none.
PUT_OBJECT_EXTRAS = {
    "ACL": "PutObjectAcl",
    "IfMatch": "GetObject",
    "ObjectLockLegalHoldStatus": "PutObjectLegalHold",
    "ObjectLockMode": "PutObjectRetention",
    "Tagging": "PutObjectTagging",
}


def _snapshot_blocks(operation: str, params: Params, account: Account) -> list[Request]:
    """The snapshot; and its key where a block of it is read, by "Permissions to use KMS keys":
    https://docs.aws.amazon.com/ebs/latest/userguide/ebsapi-permissions.html

    Whether AWS then names a service in kms:ViaService, it does not document.
    """
    snapshot = account.ec2_arn("snapshot", params["SnapshotId"])
    requests = [Request(f"ebs:{operation}", snapshot)]
    if operation == "ListSnapshotBlocks":
        return requests
    if (key := account.key_of(snapshot)) is None:
        raise CannotJudge(f"ebs {operation}: which key {snapshot} is under")
    via = frozenset({VIA_SERVICE})
    return [*requests, *([Request("kms:Decrypt", key, unknown=via)] if key else [])]


def _bucket(params: Params) -> str:
    return f"arn:aws:s3:::{params['Bucket']}"


def _read_object(operation: str, params: Params, account: Account) -> list[Request]:
    """The object, and the bucket if there is no such object.

    Only to those who may list the bucket does S3 say that there is none; anybody else is denied.
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html, "Permissions"
    """
    action = "GetObjectVersion" if "VersionId" in params else "GetObject"
    bucket = _bucket(params)
    wanted = f"{bucket}/{params['Key']}"
    requests = [Request(f"s3:{action}", wanted)]
    exists = account.has_object(wanted)
    if exists is None:
        raise CannotJudge(f"s3 {operation}: whether there is {wanted}")
    if not exists:
        return [*requests, Request("s3:ListBucket", bucket)]
    return [*requests, *on_key(account, "s3", bucket, "Decrypt")]


def _put_object(operation: str, params: Params, account: Account) -> list[Request]:
    if "SSEKMSKeyId" in params:
        raise CannotJudge(f"s3 {operation}: a KMS key of the request's own choice")
    bucket = _bucket(params)
    extras = [action for parameter, action in PUT_OBJECT_EXTRAS.items() if parameter in params]
    new = f"{bucket}/{params['Key']}"
    once = {IF_NONE_MATCH: (params["IfNoneMatch"],)} if "IfNoneMatch" in params else {}
    requests = [Request("s3:PutObject", new, once)]
    requests += [Request(f"s3:{action}", new) for action in extras]
    return [*requests, *on_key(account, "s3", bucket, "GenerateDataKey")]


def _delete_object(operation: str, params: Params, account: Account) -> list[Request]:
    action = "DeleteObjectVersion" if "VersionId" in params else "DeleteObject"
    return [Request(f"s3:{action}", f"{_bucket(params)}/{params['Key']}")]


def _list_bucket(operation: str, params: Params, account: Account) -> list[Request]:
    keys = {"s3:prefix": (params["Prefix"],)} if "Prefix" in params else {}
    action = "ListBucketVersions" if operation == "ListObjectVersions" else "ListBucket"
    return [Request(f"s3:{action}", _bucket(params), keys)]


# CloudWatch, CloudWatch Logs, Lambda, KMS and the Resource Groups Tagging API


def _put_metric_data(operation: str, params: Params, account: Account) -> list[Request]:
    namespace = {"cloudwatch:namespace": (params["Namespace"],)}
    return [Request(f"cloudwatch:{operation}", "*", namespace)]


def _alarm(kind: str, parameter: str) -> Ask:
    def ask(operation: str, params: Params, account: Account) -> list[Request]:
        arn = account.arn("cloudwatch", f"{kind}:{params[parameter]}")
        return [Request(f"cloudwatch:{operation}", arn)]

    return ask


def _log_group(operation: str, params: Params, account: Account) -> list[Request]:
    """Logs asks for a stream, named or not: `log-group:NAME:*` covers it, `log-group:NAME` not."""
    stream = params.get("logStreamName", "")
    keys = tag_keys({"Key": key, "Value": value} for key, value in params.get("tags", {}).items())
    resource = f"log-group:{params['logGroupName']}:log-stream:{stream}"
    return [Request(f"logs:{operation}", account.arn("logs", resource), keys)]


def _log_groups(operation: str, params: Params, account: Account) -> list[Request]:
    """A list is of no group: only `log-group:*` and `*` cover it, whatever prefix is asked for."""
    return [Request(f"logs:{operation}", account.arn("logs", "log-group::log-stream:"))]


def _logs_query(operation: str, params: Params, account: Account) -> list[Request]:
    """Logs Insights asks for every group that is queried."""
    one = params.get("logGroupName")
    names = [one] if one else params["logGroupNames"]
    return [
        Request(f"logs:{operation}", account.arn("logs", f"log-group:{name}:log-stream:"))
        for name in names
    ]


def _invoke(operation: str, params: Params, account: Account) -> list[Request]:
    name = params["FunctionName"]
    arn = name if name.startswith("arn:") else account.arn("lambda", f"function:{name}")
    if "Qualifier" in params:
        arn = f"{arn}:{params['Qualifier']}"
    return [Request("lambda:InvokeFunction", arn)]


def _key(operation: str, params: Params, account: Account) -> list[Request]:
    key = params["KeyId"]
    if "alias/" in key:
        raise CannotJudge(f"kms {operation}: which key {key} stands for")
    arn = key if key.startswith("arn:") else account.arn("kms", f"key/{key}")
    return [Request(f"kms:{operation}", arn)]


def _on_arn(service: str, parameter: str) -> Ask:
    """An action on the resource whose ARN is given as `parameter`."""

    def ask(operation: str, params: Params, account: Account) -> list[Request]:
        return [Request(f"{service}:{operation}", params[parameter])]

    return ask


def _tag_search(operation: str, params: Params, account: Account) -> list[Request]:
    return [Request(f"tag:{operation}", "*")]


def _nothing(operation: str, params: Params, account: Account) -> list[Request]:
    return []


# Operations whose action has no resource types: a policy must say Resource "*".
ANY_RESOURCE: Mapping[str, frozenset[str]] = {
    "ec2": frozenset({
        "DescribeAvailabilityZones", "DescribeImages", "DescribeInstanceStatus",
        "DescribeInstances", "DescribeLockedSnapshots", "DescribeRegions",
        "DescribeSnapshotTierStatus", "DescribeSnapshots", "DescribeTags", "DescribeVolumeStatus",
        "DescribeVolumes", "DescribeVpcEndpoints",
    }),
    "application-autoscaling": frozenset({
        "DescribeScalableTargets", "DescribeScalingPolicies", "DescribeScheduledActions",
    }),
    "backup": frozenset({"ListBackupVaults", "ListProtectedResources"}),
    "cloudtrail": frozenset({"DescribeTrails", "LookupEvents"}),
    "cloudwatch": frozenset({
        # Composite alarms are told only to who may ask for all.
        "DescribeAlarms", "GetMetricData", "GetMetricStatistics", "ListAlarmMuteRules",
        "ListMetrics",
    }),
    "dynamodb": frozenset({"ListBackups", "ListTables"}),
    "logs": frozenset({"GetLogRecord", "GetQueryResults", "StopQuery"}),
    "rds": frozenset({"DescribeAccountAttributes", "DescribeEvents"}),
    "ssm": frozenset({
        "CancelCommand", "DescribeInstanceInformation", "DescribeParameters",
        "GetCommandInvocation", "ListCommandInvocations", "ListCommands",
    }),
}  # fmt: skip

OPERATIONS: Mapping[tuple[str, str], Ask] = {
    **RECOVERIES,
    **RESTORES,
    ("ec2", "CreateSnapshot"): _create_snapshot,
    ("ec2", "CreateSnapshots"): _create_snapshots,
    ("ec2", "DeleteSnapshot"): _on_snapshot,
    ("ec2", "DescribeSnapshotAttribute"): _on_snapshot,
    ("ec2", "LockSnapshot"): _on_snapshot,
    ("ec2", "ModifySnapshotTier"): _on_snapshot,
    ("ec2", "RestoreSnapshotTier"): _on_snapshot,
    ("ec2", "DescribeImageAttribute"): _on_image,
    ("ec2", "CreateTags"): _tagging,
    ("ec2", "DeleteTags"): _tagging,
    ("dynamodb", "GetItem"): _one_item,
    ("dynamodb", "PutItem"): _one_item,
    ("dynamodb", "UpdateItem"): _one_item,
    ("dynamodb", "DeleteItem"): _one_item,
    ("dynamodb", "Query"): _query,
    ("dynamodb", "Scan"): _scan,
    ("dynamodb", "BatchGetItem"): _batch_get,
    ("dynamodb", "BatchWriteItem"): _batch_write,
    ("dynamodb", "TransactGetItems"): _transact,
    ("dynamodb", "TransactWriteItems"): _transact,
    ("dynamodb", "CreateBackup"): _create_backup,
    ("dynamodb", "DeleteBackup"): _on_arn("dynamodb", "BackupArn"),
    ("dynamodb", "DescribeBackup"): _on_arn("dynamodb", "BackupArn"),
    ("dynamodb", "DescribeContinuousBackups"): _on_table,
    ("dynamodb", "DescribeContributorInsights"): _contributor_insights,
    ("dynamodb", "DescribeKinesisStreamingDestination"): _on_table,
    ("dynamodb", "DescribeTable"): _on_table,
    ("dynamodb", "DescribeTimeToLive"): _on_table,
    ("dynamodb", "GetResourcePolicy"): _on_arn("dynamodb", "ResourceArn"),
    ("dynamodb", "ListTagsOfResource"): _on_arn("dynamodb", "ResourceArn"),
    ("dynamodb", "UpdateContinuousBackups"): _on_table,
    ("rds", "CreateDBSnapshot"): _new_rds_snapshot(
        ("db", "DBInstanceIdentifier"), ("snapshot", "DBSnapshotIdentifier")
    ),
    ("rds", "CreateDBClusterSnapshot"): _new_rds_snapshot(
        ("cluster", "DBClusterIdentifier"), ("cluster-snapshot", "DBClusterSnapshotIdentifier")
    ),
    ("rds", "DeleteDBSnapshot"): _on_rds("snapshot", "DBSnapshotIdentifier"),
    ("rds", "DeleteDBClusterSnapshot"): _on_rds("cluster-snapshot", "DBClusterSnapshotIdentifier"),
    ("rds", "DescribeDBSnapshotAttributes"): _on_rds("snapshot", "DBSnapshotIdentifier"),
    ("rds", "DescribeDBClusterSnapshotAttributes"): _on_rds(
        "cluster-snapshot", "DBClusterSnapshotIdentifier"
    ),
    ("pi", "DescribeDimensionKeys"): _insights,
    ("pi", "GetResourceMetrics"): _insights,
    ("rds", "DescribeDBInstances"): _described(DBInstanceIdentifier="db"),
    ("rds", "DescribeDBClusters"): _described(DBClusterIdentifier="cluster"),
    ("rds", "DescribeDBParameters"): _on_rds("pg", "DBParameterGroupName"),
    ("rds", "DescribeDBSnapshots"): _described(
        DBInstanceIdentifier="db", DBSnapshotIdentifier="snapshot"
    ),
    ("rds", "DescribeDBClusterSnapshots"): _described(
        DBClusterIdentifier="cluster", DBClusterSnapshotIdentifier="cluster-snapshot"
    ),
    ("rds", "DescribeDBInstanceAutomatedBackups"): _described(
        DBInstanceIdentifier="db", DBInstanceAutomatedBackupsArn="auto-backup"
    ),
    ("rds", "AddTagsToResource"): _rds_tagging,
    ("rds", "RemoveTagsFromResource"): _rds_tagging,
    ("rds", "ListTagsForResource"): _rds_tagging,
    ("rds", "ModifyDBInstance"): _modify_database,
    ("rds", "StartDBInstance"): _on_rds("db", "DBInstanceIdentifier"),
    ("rds", "StopDBInstance"): _stop_database,
    ("backup", "DescribeRecoveryPoint"): _on_arn("backup", "RecoveryPointArn"),
    ("backup", "ListRecoveryPointsByBackupVault"): _vault,
    ("sns", "Publish"): _publish,
    ("sns", "PublishBatch"): _publish,
    ("sqs", "SendMessage"): _queue("SendMessage", "GenerateDataKey", "Decrypt"),
    ("sqs", "SendMessageBatch"): _queue("SendMessage", "GenerateDataKey", "Decrypt"),
    ("sqs", "ReceiveMessage"): _queue("ReceiveMessage", "Decrypt"),
    ("sqs", "DeleteMessage"): _queue("DeleteMessage"),
    ("sqs", "DeleteMessageBatch"): _queue("DeleteMessage"),
    ("sqs", "ChangeMessageVisibility"): _queue("ChangeMessageVisibility"),
    ("sqs", "GetQueueAttributes"): _queue("GetQueueAttributes"),
    ("sqs", "GetQueueUrl"): _queue_by_name,
    ("ssm", "DeleteParameter"): _parameters,
    ("ssm", "GetParameter"): _parameters,
    ("ssm", "GetParameters"): _parameters,
    ("ssm", "GetParametersByPath"): _parameters_by_path,
    ("ssm", "ListTagsForResource"): _tags_of_parameter,
    ("ssm", "PutParameter"): _put_parameter,
    ("ssm", "SendCommand"): _send_command,
    ("ebs", "GetSnapshotBlock"): _snapshot_blocks,
    ("ebs", "ListSnapshotBlocks"): _snapshot_blocks,
    ("s3", "GetObject"): _read_object,
    ("s3", "HeadObject"): _read_object,
    ("s3", "PutObject"): _put_object,
    ("s3", "DeleteObject"): _delete_object,
    ("s3", "HeadBucket"): _list_bucket,
    ("s3", "ListObjectsV2"): _list_bucket,
    ("s3", "ListObjectVersions"): _list_bucket,
    ("cloudtrail", "GetEventSelectors"): _on_arn("cloudtrail", "TrailName"),
    ("cloudtrail", "GetTrailStatus"): _on_arn("cloudtrail", "Name"),
    ("cloudwatch", "DescribeAlarmContributors"): _alarm("alarm", "AlarmName"),
    ("cloudwatch", "GetAlarmMuteRule"): _alarm("alarm-mute-rule", "AlarmMuteRuleName"),
    ("cloudwatch", "PutMetricData"): _put_metric_data,
    ("logs", "CreateLogGroup"): _log_group,
    ("logs", "CreateLogStream"): _log_group,
    ("logs", "DescribeLogGroups"): _log_groups,
    ("logs", "DescribeLogStreams"): _log_group,
    ("logs", "FilterLogEvents"): _log_group,
    ("logs", "PutLogEvents"): _log_group,
    ("logs", "StartQuery"): _logs_query,
    ("lambda", "Invoke"): _invoke,
    ("kms", "DescribeKey"): _key,
    ("kms", "DisableKey"): _key,
    ("kms", "ScheduleKeyDeletion"): _key,
    ("kms", "Decrypt"): _key,
    ("kms", "GenerateDataKey"): _key,
    ("resourcegroupstaggingapi", "GetResources"): _tag_search,
    ("sts", "GetCallerIdentity"): _nothing,  # needs no permission, and cannot be denied
}
