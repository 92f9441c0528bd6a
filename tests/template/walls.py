"""Is there a way out of where drills restore? The template, walked as a graph.

Whatever refers to the network, or to a part of it, has to be of a kind that is known here and looks
as expected. What nobody has thought of is a way out until somebody has.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from local.iam_template import Resolver, offline_resolver
from tests.template.stack import Data, as_list

LOOPBACK = "127.0.0.1/32"
ANYWHERE = "0.0.0.0/0"
REPOSITORIES = "arn:aws:s3:::al2023-repos-us-east-1-de612dc2/*"
NAMES_OF_AWS = "*.amazonaws.com"

MENTIONS = frozenset({"AWS::IAM::ManagedPolicy", "AWS::IAM::Role", "AWS::Lambda::Function"})
"""These name parts of the network to people and to IAM; nothing of them stands in it."""


def references(value: Any) -> Iterator[str]:
    """The logical ids that intrinsic functions in a value refer to."""
    within: Iterable[Any] = value if isinstance(value, list) else ()
    if isinstance(value, dict):
        yield from _named(value)
        within = value.values()
    for each in within:
        yield from references(each)


def _named(function: Data) -> Iterator[str]:
    match function:
        case {"Ref": str(name)}:
            yield name
        case {"Fn::GetAtt": str(name) | [str(name), *_]}:
            yield name.partition(".")[0]
        case {"Fn::Sub": str(text) | [str(text), *_]}:
            for part in text.split("${")[1:]:
                yield part.partition("}")[0].partition(".")[0]
        case _:
            pass


class Walls:
    """The network that DrillRestores is told of, and all that is connected with it."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.resources: Data = document["Resources"]
        self.resolve: Resolver = offline_resolver(document)
        self.told = self._properties("DrillRestores")["Environment"]["Variables"]
        self.vpc = self.told["DRILL_VPC"]

    def _properties(self, logical_id: str) -> Data:
        found: Data = self.resolve(self.resources[logical_id].get("Properties", {}))
        return found

    def parts(self) -> dict[str, Data]:
        """What is connected with the network, directly or by another part, by logical id."""
        found = {self.vpc}
        while True:
            more = {
                logical_id
                for logical_id, resource in self.resources.items()
                if resource["Type"] not in MENTIONS and found & set(references(resource))
            }
            if more <= found:
                return {logical_id: self._properties(logical_id) for logical_id in sorted(found)}
            found |= more

    def of_type(self, kind: str) -> dict[str, Data]:
        """The parts of a type."""
        return {
            logical_id: properties
            for logical_id, properties in self.parts().items()
            if self.resources[logical_id]["Type"] == kind
        }

    def leaks(self) -> Iterator[str]:
        """A sentence for each way in or out that is not meant."""
        for logical_id, properties in self.parts().items():
            kind = self.resources[logical_id]["Type"]
            if kind not in KNOWN:
                yield f"{logical_id} is a {kind}, of which it is not known where it leads"
            else:
                for leak in KNOWN[kind](self, properties):
                    yield f"{logical_id}: {leak}"
        yield from self._functions_inside()
        yield from self._subnets_without_routes()
        yield from self._names()

    def _functions_inside(self) -> Iterator[str]:
        for logical_id, resource in self.resources.items():
            if (
                resource["Type"] == "AWS::Lambda::Function"
                and "VpcConfig" in resource["Properties"]
            ):
                yield f"{logical_id} stands in a network"

    def _subnets_without_routes(self) -> Iterator[str]:
        """A subnet without a table of its own has the main one, which nobody looks at here."""
        tables = [
            each["SubnetId"]
            for each in self.of_type("AWS::EC2::SubnetRouteTableAssociation").values()
        ]
        for logical_id in self.of_type("AWS::EC2::Subnet"):
            if tables.count(logical_id) != 1:
                yield f"{logical_id} has not one route table"

    def _names(self) -> Iterator[str]:
        """Names that are looked up reach the whole world, unless a firewall stands before them."""
        kind = "AWS::Route53Resolver::FirewallRuleGroupAssociation"
        groups = [each["FirewallRuleGroupId"] for each in self.of_type(kind).values()]
        if len(groups) != 1:
            yield f"{len(groups)} groups of rules for names"
            return
        rules = self._properties(groups[0])["FirewallRules"]
        *before, last = sorted(rules, key=lambda rule: int(rule["Priority"]))
        if (last["Action"], self._domains(last)) != ("BLOCK", ["*"]):
            yield "names that no rule is about are looked up"
        for rule in before:
            if rule["Action"] != "BLOCK" and self._domains(rule) != [NAMES_OF_AWS]:
                yield f"{self._domains(rule)} are looked up"

    def _domains(self, rule: Data) -> list[str]:
        found: list[str] = self._properties(rule["FirewallDomainListId"])["Domains"]
        return found

    def groups(self) -> set[str]:
        return {
            each for each, one in self.resources.items() if one["Type"] == SECURITY_GROUP
        } & set(self.parts())


SECURITY_GROUP = "AWS::EC2::SecurityGroup"


def _only(allowed: set[str], properties: Data) -> Iterator[str]:
    if unknown := properties.keys() - allowed:
        yield f"has {sorted(unknown)}, of which it is not known what they do"


def _network(_: Walls, properties: Data) -> Iterator[str]:
    yield from _only({"CidrBlock", "EnableDnsHostnames", "EnableDnsSupport", "Tags"}, properties)


def _subnet(walls: Walls, properties: Data) -> Iterator[str]:
    known = {"AvailabilityZone", "CidrBlock", "MapPublicIpOnLaunch", "Tags", "VpcId"}
    yield from _only(known, properties)
    if properties["VpcId"] != walls.vpc:
        yield "is in another network"
    if properties.get("MapPublicIpOnLaunch") is not False:
        yield "gives public addresses, or may"


def _route_table(_: Walls, properties: Data) -> Iterator[str]:
    yield from _only({"Tags", "VpcId"}, properties)


def _association(walls: Walls, properties: Data) -> Iterator[str]:
    if properties["RouteTableId"] not in walls.of_type("AWS::EC2::RouteTable"):
        yield "has the routes of another network"


def _endpoint(_: Walls, properties: Data) -> Iterator[str]:
    known = {"PolicyDocument", "RouteTableIds", "ServiceName", "VpcEndpointType", "VpcId"}
    yield from _only(known, properties)
    meant = ("Gateway", "com.amazonaws.us-east-1.s3")
    if (properties["VpcEndpointType"], properties["ServiceName"]) != meant:
        yield f"leads to {properties['ServiceName']}"
    statements = properties.get("PolicyDocument", {}).get("Statement", [])
    if not statements:
        yield "leads to everything in S3"
    for statement in statements:
        if "NotAction" in statement or as_list(statement["Action"]) != ["s3:GetObject"]:
            yield "lets more pass than reading"
        if "NotResource" in statement or as_list(statement["Resource"]) != [REPOSITORIES]:
            yield "leads to more than the repositories of Amazon Linux"


def _group(walls: Walls, properties: Data) -> Iterator[str]:
    known = {"GroupDescription", "SecurityGroupEgress", "SecurityGroupIngress", "Tags", "VpcId"}
    yield from _only(known, properties)
    for rule in properties.get("SecurityGroupIngress", []):
        yield from _way_in(walls, rule)
    rules = properties.get("SecurityGroupEgress", [])
    if not rules:
        yield "lets everything out: CloudFormation adds that where there is no rule"
    is_verifiers = properties == walls.of_type(SECURITY_GROUP).get(
        walls.told["DRILL_VERIFIER_GROUP"]
    )
    for rule in rules:
        yield from _way_out(walls, rule, is_verifiers=is_verifiers)


def _ingress(walls: Walls, properties: Data) -> Iterator[str]:
    if properties.get("GroupId") not in walls.groups():
        yield "is a rule of a group outside"
    yield from _way_in(walls, properties)


def _way_in(walls: Walls, rule: Data) -> Iterator[str]:
    known = {
        "Description", "FromPort", "GroupId", "IpProtocol", "SourceSecurityGroupId", "ToPort",
    }  # fmt: skip
    yield from _only(known, rule)
    if rule.get("SourceSecurityGroupId") != walls.told["DRILL_VERIFIER_GROUP"]:
        yield "lets others in than verifiers"
    elif rule["IpProtocol"] != "tcp" or not {"FromPort", "ToPort"} <= rule.keys():
        yield "lets every protocol in"


def _way_out(walls: Walls, rule: Data, *, is_verifiers: bool) -> Iterator[str]:
    """To anywhere, a verifier may go by 443: the only route there is leads to the repositories."""
    known = {
        "CidrIp", "Description", "DestinationSecurityGroupId", "FromPort", "IpProtocol", "ToPort",
    }  # fmt: skip
    yield from _only(known, rule)
    group, addresses = rule.get("DestinationSecurityGroupId"), rule.get("CidrIp")
    ports = (rule["IpProtocol"], rule.get("FromPort"), rule.get("ToPort"))
    if group is not None and group not in walls.groups():
        yield f"leads to the group {group} outside"
    if addresses is None or addresses == LOOPBACK:
        return
    if not is_verifiers or (addresses, ports) != (ANYWHERE, ("tcp", 443, 443)):
        yield f"leads to {addresses} by {ports}"


def _subnet_group(walls: Walls, properties: Data) -> Iterator[str]:
    if set(properties["SubnetIds"]) - walls.of_type("AWS::EC2::Subnet").keys():
        yield "puts databases outside"


def _names_rules(walls: Walls, properties: Data) -> Iterator[str]:
    if properties["VpcId"] != walls.vpc:
        yield "is about another network"


KNOWN: Mapping[str, Callable[[Walls, Data], Iterator[str]]] = {
    "AWS::EC2::RouteTable": _route_table,
    "AWS::EC2::SecurityGroup": _group,
    "AWS::EC2::SecurityGroupIngress": _ingress,
    "AWS::EC2::Subnet": _subnet,
    "AWS::EC2::SubnetRouteTableAssociation": _association,
    "AWS::EC2::VPC": _network,
    "AWS::EC2::VPCEndpoint": _endpoint,
    "AWS::RDS::DBSubnetGroup": _subnet_group,
    "AWS::Route53Resolver::FirewallRuleGroupAssociation": _names_rules,
}
