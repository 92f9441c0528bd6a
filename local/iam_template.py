"""What a CloudFormation template (after the SAM transform) says: values, roles, policies, tables
and keys.

Intrinsic functions behave as in the *CloudFormation User Guide*, "Intrinsic function reference".
What is not listed here raises CannotJudge.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from local.iam_requests import CannotJudge

Template = Mapping[str, Any]
Resolve = Callable[[Any], Any]

PARTITION = "aws"
# Of the types whose Ref a policy may name as a resource, those where it gives an ARN.
REF_IS_ARN = frozenset({"AWS::IAM::ManagedPolicy", "AWS::SNS::Topic"})
_NO_VALUE = object()

_XRAY_WRITES = (
    "xray:GetSamplingRules",
    "xray:GetSamplingStatisticSummaries",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
)
# AWS Managed Policy Reference Guide, one page per policy. SAM attaches the first to every function
# and an X-Ray one to functions that are traced; any other has to be written down here before a role
# may use it.
AWS_MANAGED_POLICIES: Mapping[str, tuple[str, ...]] = {
    "service-role/AWSLambdaBasicExecutionRole": (
        "logs:CreateLogGroup",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
    ),
    "AWSXRayDaemonWriteAccess": _XRAY_WRITES,
    "AWSXrayWriteOnlyAccess": _XRAY_WRITES,
}


@dataclass(frozen=True)
class Resolver:
    """Replaces the intrinsic functions in a value of the template: `resolver(value)`."""

    template: Template
    parameters: Mapping[str, Any]
    """Values given to the stack; the defaults are the template's. Of a parameter that names one of
    the Parameter Store, the value that is there."""
    physical_ids: Mapping[str, str]
    """What Ref of a resource gives, by logical id."""
    attributes: Callable[[str, str], Any]
    """What GetAtt gives for a logical id and an attribute name; None when it is not known."""
    account: str
    region: str
    stack_name: str

    def __call__(self, value: Any) -> Any:
        """`value` without intrinsic functions; raises CannotJudge when one cannot be resolved."""
        if isinstance(value, Mapping):
            if len(value) == 1:
                ((name, argument),) = value.items()
                if name == "Ref" or str(name).startswith("Fn::"):
                    return self._intrinsic(name, argument)
            pairs = ((key, self(each)) for key, each in value.items())
            return {key: each for key, each in pairs if each is not _NO_VALUE}
        if isinstance(value, list | tuple):
            return [each for each in map(self, value) if each is not _NO_VALUE]
        if isinstance(value, str) and "{{resolve:" in value:
            raise CannotJudge(f"the dynamic reference {value}")
        return value

    def condition(self, name: str) -> bool:
        """Whether a condition of the template holds."""
        try:
            return self._holds(self.template["Conditions"][name])
        except KeyError:
            raise CannotJudge(f"the condition {name!r} is not in the template") from None

    def _holds(self, rule: Mapping[str, Any]) -> bool:
        ((name, argument),) = rule.items()
        match name:
            case "Condition":
                return self.condition(argument)
            case "Fn::Equals":
                left, right = map(self, argument)
                return str(left) == str(right)
            case "Fn::Not":
                return not self._holds(argument[0])
            case "Fn::And":
                return all(self._holds(each) for each in argument)
            case "Fn::Or":
                return any(self._holds(each) for each in argument)
            case _:
                raise CannotJudge(f"{name} in a condition")

    def _intrinsic(self, name: str, argument: Any) -> Any:
        functions: dict[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Fn::Cidr": self._cidr,
            "Fn::FindInMap": self._find_in_map,
            "Fn::GetAZs": self._get_azs,
            "Fn::GetAtt": self._get_att,
            "Fn::If": self._if,
            "Fn::Join": self._join,
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::Sub": self._sub,
        }
        if name not in functions:
            raise CannotJudge(f"the intrinsic function {name}")
        return functions[name](argument)

    def _cidr(self, argument: Any) -> list[str]:
        return cut(*self(argument))

    def _get_azs(self, argument: Any) -> list[str]:
        region = self(argument) or self.region
        return [f"{region}{zone}" for zone in "abc"]

    def _find_in_map(self, argument: Any) -> Any:
        first, second, third = map(self, argument)
        try:
            return self(self.template["Mappings"][first][second][third])
        except KeyError:
            raise CannotJudge(f"Fn::FindInMap {first}, {second}, {third}: no such entry") from None

    def _get_att(self, argument: Any) -> Any:
        logical_id, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
        return self._attribute(logical_id, self(attribute))

    def _if(self, argument: Any) -> Any:
        condition, then, otherwise = argument
        return self(then if self.condition(condition) else otherwise)

    def _join(self, argument: Any) -> str:
        separator, parts = argument
        return str(separator).join(str(part) for part in self(parts))

    def _select(self, argument: Any) -> Any:
        index, choices = argument
        return self(choices)[int(self(index))]

    def _split(self, argument: Any) -> Any:
        separator, text = argument
        return self(text).split(separator)

    def _ref(self, name: str) -> Any:
        pseudo = {
            "AWS::AccountId": self.account,
            "AWS::NoValue": _NO_VALUE,
            "AWS::Partition": PARTITION,
            "AWS::Region": self.region,
            "AWS::StackName": self.stack_name,
            "AWS::URLSuffix": "amazonaws.com",
        }
        if name in pseudo:
            return pseudo[name]
        if name in self.template.get("Parameters", {}):
            return self._parameter(name)
        if name in self.template.get("Resources", {}) and name in self.physical_ids:
            return self.physical_ids[name]
        raise CannotJudge(f"Ref {name}: no such parameter, or no physical id is known")

    def _parameter(self, name: str) -> Any:
        declared = self.template["Parameters"][name]
        kind = declared["Type"]
        default = None if is_in_parameter_store(declared) else declared.get("Default")
        value = self.parameters.get(name, default)
        if value is None:
            raise CannotJudge(f"the parameter {name} has no value that is known here")
        if kind == "CommaDelimitedList" or kind.startswith("List<"):
            return [each.strip() for each in str(value).split(",")]
        return str(value)

    def _attribute(self, logical_id: str, attribute: str) -> Any:
        known = logical_id in self.template.get("Resources", {})
        value = self.attributes(logical_id, attribute) if known else None
        if value is None:
            raise CannotJudge(f"Fn::GetAtt {logical_id}.{attribute}: no value is known")
        return value

    def _sub(self, argument: Any) -> str:
        text, variables = (argument, {}) if isinstance(argument, str) else argument
        given = self(variables)

        def replaced(found: re.Match[str]) -> str:
            name = found.group(1)
            if name.startswith("!"):  # ${!Literal} stays as ${Literal}
                return "${" + name[1:] + "}"
            if name in given:
                return str(given[name])
            return str(self._attribute(*name.split(".", 1)) if "." in name else self._ref(name))

        return re.sub(r"\$\{([^}]+)\}", replaced, self(text))


def is_in_parameter_store(declared: Mapping[str, Any]) -> bool:
    """Whether a parameter of the template is given the name of one that has its value."""
    return str(declared["Type"]).startswith("AWS::SSM::Parameter::Value")


def cut(block: str, count: str | int, bits: str | int) -> list[str]:
    """The first `count` ranges of addresses in a block, of 2^`bits` each: Fn::Cidr."""
    parts = ipaddress.ip_network(block).subnets(new_prefix=32 - int(bits))
    return [str(part) for part, _ in zip(parts, range(int(count)), strict=False)]


def offline_resolver(template: Template) -> Resolver:
    """A resolver for a template that no stack was made of: names and ARNs are placeholders."""
    account, region = "123456789012", "us-east-1"

    def attribute(logical_id: str, name: str) -> str:
        return f"arn:{PARTITION}:placeholder:{region}:{account}:{logical_id}.{name}"

    defaults = {
        name: f"placeholder-{name}"
        if is_in_parameter_store(declared)
        else declared.get("Default", f"placeholder-{name}")
        for name, declared in template.get("Parameters", {}).items()
    }
    names = {
        logical_id: attribute(logical_id, "Ref") if resource["Type"] in REF_IS_ARN else logical_id
        for logical_id, resource in template["Resources"].items()
    }
    return Resolver(template, defaults, names, attribute, account, region, "stack")


def function_role(template: Template, function_logical_id: str) -> str:
    """The logical id of the role that a Lambda function of the template runs as."""
    function = _resource(template, function_logical_id, "AWS::Lambda::Function")
    role = function["Properties"]["Role"]
    match role:
        case {"Fn::GetAtt": [str(logical_id), "Arn"]} if logical_id in template["Resources"]:
            return logical_id
    raise CannotJudge(f"{function_logical_id}: its role {role!r} is not one of the template")


def functions(template: Template) -> list[str]:
    """The logical ids of the template's Lambda functions."""
    return [each for each, _ in _of_type(template, "AWS::Lambda::Function")]


def policy_documents(
    template: Template, role_logical_id: str, resolve: Resolve
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and content of every policy of the role: its own, those attached, those of AWS."""
    role = _resource(template, role_logical_id, "AWS::IAM::Role").get("Properties", {})
    if "PermissionsBoundary" in role:
        raise CannotJudge(f"{role_logical_id} has a permissions boundary")
    for policy in resolve(role.get("Policies", [])):
        yield policy["PolicyName"], policy["PolicyDocument"]
    managed = set(resolve(role.get("ManagedPolicyArns", [])))
    name = resolve({"Ref": role_logical_id})
    for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"):
        for logical_id, resource in _of_type(template, kind, resolve):
            properties = resource["Properties"]
            own_arn = resolve({"Ref": logical_id}) if kind == "AWS::IAM::ManagedPolicy" else None
            roles = [*properties.get("Roles", []), properties.get("RoleName", "")]
            if name in resolve(roles) or own_arn in managed:
                managed.discard(own_arn)
                yield logical_id, resolve(properties["PolicyDocument"])
    for arn in sorted(managed):
        yield arn, _aws_managed(arn)


def _aws_managed(arn: str) -> dict[str, Any]:
    _, of_aws, name = arn.partition(":iam::aws:policy/")
    if not of_aws or name not in AWS_MANAGED_POLICIES:
        raise CannotJudge(f"the managed policy {arn}: what it says is not written down")
    statement = {
        "Sid": name.rpartition("/")[2],
        "Effect": "Allow",
        "Action": list(AWS_MANAGED_POLICIES[name]),
        "Resource": "*",
    }
    return {"Version": "2012-10-17", "Statement": statement}


def partition_keys(template: Template, resolve: Resolve) -> dict[str, str]:
    """ARN of each table and index of the template to the name of its partition key."""
    keys = {}
    for logical_id, resource in _of_type(template, "AWS::DynamoDB::Table", resolve):
        table = resolve(resource["Properties"])
        arn = resolve({"Fn::GetAtt": [logical_id, "Arn"]})
        keys[arn] = _hash_key(table)
        indexes = table.get("GlobalSecondaryIndexes", []) + table.get("LocalSecondaryIndexes", [])
        for index in indexes:
            keys[f"{arn}/index/{index['IndexName']}"] = _hash_key(index)
    return keys


def _hash_key(described: Mapping[str, Any]) -> str:
    hashed = [each for each in described["KeySchema"] if each["KeyType"] == "HASH"]
    return str(hashed[0]["AttributeName"])


def customer_keys(resolver: Resolver) -> dict[str, str]:
    """ARN of each encrypted topic, queue, table and bucket to its customer-managed KMS key."""
    template = resolver.template
    keys = {}
    for kind, read in _KEY_OF.items():
        for logical_id, resource in _of_type(template, kind, resolver):
            key = read(resolver(resource.get("Properties", {})))
            arn = _key_arn(key, resolver) if key else None
            if arn:
                is_topic = kind == "AWS::SNS::Topic"
                own = {"Ref": logical_id} if is_topic else {"Fn::GetAtt": [logical_id, "Arn"]}
                keys[resolver(own)] = arn
    return keys


def _bucket_key(bucket: Mapping[str, Any]) -> str | None:
    rules = bucket.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", [])
    default = [rule.get("ServerSideEncryptionByDefault", {}) for rule in rules]
    return next((each["KMSMasterKeyID"] for each in default if "KMSMasterKeyID" in each), None)


_KEY_OF: Mapping[str, Callable[[Mapping[str, Any]], str | None]] = {
    "AWS::SNS::Topic": lambda topic: topic.get("KmsMasterKeyId"),
    "AWS::SQS::Queue": lambda queue: queue.get("KmsMasterKeyId"),
    "AWS::DynamoDB::Table": lambda table: table.get("SSESpecification", {}).get("KMSMasterKeyId"),
    "AWS::S3::Bucket": _bucket_key,
}


def _key_arn(key: str, resolver: Resolver) -> str | None:
    """The ARN of a key given as ARN, id or alias; None for a key that AWS manages."""
    alias = key[key.index("alias/") :] if "alias/" in key else None
    if alias is not None and alias.startswith("alias/aws/"):
        return None
    if alias is not None:
        for _, resource in _of_type(resolver.template, "AWS::KMS::Alias", resolver):
            properties = resolver(resource["Properties"])
            if properties["AliasName"] == alias:
                return _key_arn(properties["TargetKeyId"], resolver)
        raise CannotJudge(f"which KMS key {key} stands for: the template has no such alias")
    if key.startswith("arn:"):
        return key
    return f"arn:{PARTITION}:kms:{resolver.region}:{resolver.account}:key/{key}"


def _resource(template: Template, logical_id: str, kind: str) -> Mapping[str, Any]:
    resource: Mapping[str, Any] = template["Resources"].get(logical_id, {})
    if resource.get("Type") != kind:
        raise CannotJudge(f"{logical_id} is not a {kind} of the template")
    return resource


def _of_type(
    template: Template, kind: str, resolve: Resolve | None = None
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The resources of a type; with `resolve`, without those whose condition does not hold."""
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] != kind:
            continue
        condition = resource.get("Condition")
        if condition is None or resolve is None or resolve({"Fn::If": [condition, True, False]}):
            yield logical_id, resource
