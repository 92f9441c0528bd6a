"""One question to IAM, and what whoever decides it looks up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Params = Mapping[str, Any]

TAG_KEYS = "aws:tagkeys"
REQUEST_TAG = "aws:requesttag/"
LEADING_KEYS = "dynamodb:leadingkeys"
ENCLOSING_OPERATION = "dynamodb:enclosingoperation"
VIA_SERVICE = "kms:viaservice"
GRANT_FOR_AWS = "kms:grantisforawsresource"
IF_NONE_MATCH = "s3:if-none-match"
CREATE_ACTION = "ec2:createaction"
ENDPOINT_SERVICE = "ec2:vpceservicename"
INSTANCE_PROFILE = "ec2:instanceprofile"
INSTANCE_TYPE = "ec2:instancetype"
METADATA_TOKENS = "ec2:metadatahttptokens"
NETWORKS = "route53:vpcs"
PASSED_TO = "iam:passedtoservice"
PUBLIC_ADDRESS = "ec2:associatepublicipaddress"
SCALED_SERVICE = "application-autoscaling:service-namespace"
SUBNET = "ec2:subnet"

# Condition keys whose value, or absence, is known for every request built here; in lower case,
# because IAM ignores the case of key names. A policy that tests any other key cannot be judged.
KNOWN_KEYS = frozenset({
    "aws:principalaccount", "aws:requestedregion", "aws:securetransport", TAG_KEYS,
    "cloudwatch:namespace", ENCLOSING_OPERATION, LEADING_KEYS, PUBLIC_ADDRESS, CREATE_ACTION,
    INSTANCE_PROFILE, INSTANCE_TYPE, METADATA_TOKENS, "ec2:region", SUBNET, ENDPOINT_SERVICE,
    PASSED_TO, SCALED_SERVICE, GRANT_FOR_AWS, VIA_SERVICE, NETWORKS, IF_NONE_MATCH, "s3:prefix",
    "ssm:recursive",
})  # fmt: skip
RESOURCE_TAGS = ("aws:resourcetag/", "ec2:resourcetag/", "ssm:resourcetag/")
KNOWN_PREFIXES = (REQUEST_TAG, *RESOURCE_TAGS)
# Keys that hold a list in the request; a condition on them needs ForAllValues or ForAnyValue.
MULTIVALUED_KEYS = frozenset({TAG_KEYS, LEADING_KEYS, NETWORKS})


class CannotJudge(BaseException):
    """IAM's answer cannot be told. It passes through handlers on purpose, and fails the test."""


@dataclass(frozen=True)
class Request:
    """One question to IAM: may the caller do `action` to `resource`?"""

    action: str
    resource: str
    """An ARN, or `*` for an action that has no resource types."""
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Condition keys, in lower case, and their values. A known key that is not here is absent."""
    unknown: frozenset[str] = frozenset()
    """Keys that AWS would fill and the box cannot: a condition on one cannot be judged."""
    creates: bool = False
    """The resource does not exist yet, so it has no tags."""


def cannot_tell(_: str) -> None:
    """The lookup of somebody who knows nothing: what depends on it cannot be judged."""


@dataclass(frozen=True)
class Account:
    """What IAM looks up while it decides: the world as it is, not as a lagging Describe has it."""

    id: str
    region: str
    tags_of: Callable[[str], Mapping[str, str] | None] = cannot_tell
    """The tags of an ARN; None when the box cannot tell. What does not exist has none, so that a
    permission that depends on a tag is denied for it: EC2 then answers UnauthorizedOperation where
    one expects NotFound (seen in the Karpenter provider for AWS, number 2100 of its tracker).
    """
    volumes_of: Callable[[str], Sequence[str] | None] = cannot_tell
    """The ids of the volumes attached to an instance id; None when the box cannot tell."""
    partition_keys: Mapping[str, str] = field(default_factory=dict)
    """ARN of a table or an index to the name of its partition key."""
    customer_keys: Mapping[str, str] = field(default_factory=dict)
    """ARN of an encrypted topic, queue, table, bucket or parameter to the ARN of its
    customer-managed KMS key. AWS-managed keys are not listed: their key policies let everybody in
    the account use them through the service."""
    key_of: Callable[[str], str | None] = cannot_tell
    """The same for a database, a table or a snapshot that is not in `customer_keys`: empty if there
    is no such key, None when the box cannot tell."""
    role_of: Callable[[str], str | None] = cannot_tell
    """The ARN of the role in an instance profile; None when the box cannot tell."""
    has_object: Callable[[str], bool | None] = cannot_tell
    """Whether the ARN of an S3 object stands for one; None when the box cannot tell."""

    def arn(self, service: str, resource: str) -> str:
        """The ARN of something of `service` in this account and Region."""
        return f"arn:aws:{service}:{self.region}:{self.id}:{resource}"

    def ec2_arn(self, kind: str, identifier: str) -> str:
        """Snapshots and images have no account in their ARN."""
        owner = "" if kind in {"snapshot", "image"} else self.id
        return f"arn:aws:ec2:{self.region}:{owner}:{kind}/{identifier}"


Ask = Callable[[str, Params, Account], list[Request]]
"""What one call of boto3 asks, from its operation and its parameters."""


def tag_keys(tags: Iterable[Mapping[str, str]]) -> dict[str, tuple[str, ...]]:
    """The keys that carry a request's tags; one without a value (DeleteTags) has no RequestTag."""
    keys: dict[str, tuple[str, ...]] = {}
    names: list[str] = []
    for tag in tags:
        names.append(tag["Key"])
        key = REQUEST_TAG + tag["Key"].lower()
        if key in keys:
            raise CannotJudge(f"two tags named {tag['Key']!r}: IAM ignores the case of tag keys")
        if "Value" in tag:
            keys[key] = (tag["Value"],)
    return {**keys, TAG_KEYS: tuple(names)} if names else {}


def on_key(account: Account, service: str, resource: str, *actions: str) -> list[Request]:
    """What `service` asks of KMS in the caller's name, for a resource under a customer-managed key.

    Key policies are not read: the role itself has to allow it.
    """
    key = account.customer_keys.get(resource)
    if key is None:
        return []
    return through(account, service, key, *actions)


def through(account: Account, service: str, key: str, *actions: str) -> list[Request]:
    """Actions on a key, asked by `service`; a grant that it makes is for its own resource."""
    via = {VIA_SERVICE: (f"{service}.{account.region}.amazonaws.com",)}
    grant = via | {GRANT_FOR_AWS: ("true",)}
    return [
        Request(f"kms:{action}", key, grant if action == "CreateGrant" else via)
        for action in actions
    ]


def behind(account: Account, service: str, source: str, *actions: str) -> list[Request]:
    """What backing up `source` asks of its customer-managed key, if it has one."""
    key = account.customer_keys.get(source)
    key = account.key_of(source) if key is None else key
    if key is None:
        raise CannotJudge(f"{service}: which KMS key {source} is encrypted with")
    return through(account, service, key, *actions) if key else []
