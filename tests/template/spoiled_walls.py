"""The template with a way in or out of where drills restore: what somebody may add, or change."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from tests.template.stack import Data


def ref(name: str) -> Data:
    return {"Ref": name}


ATTACHED = {"VpcId": ref("DrillVpc")}
ADDED: Mapping[str, tuple[str, Data]] = {
    "an internet gateway": (
        "AWS::EC2::VPCGatewayAttachment", ATTACHED | {"InternetGatewayId": "igw-1"},
    ),
    "a gateway to a VPN": ("AWS::EC2::VPCGatewayAttachment", ATTACHED | {"VpnGatewayId": "vgw-1"}),
    "a way out for IPv6": ("AWS::EC2::EgressOnlyInternetGateway", ATTACHED),
    "addresses of IPv6": ("AWS::EC2::VPCCidrBlock", ATTACHED | {"AmazonProvidedIpv6CidrBlock": 1}),
    "a NAT gateway": ("AWS::EC2::NatGateway", {"SubnetId": ref("DrillSubnet")}),
    "a peering": ("AWS::EC2::VPCPeeringConnection", ATTACHED | {"PeerVpcId": "vpc-production"}),
    "a peering from the other side": (
        "AWS::EC2::VPCPeeringConnection", {"VpcId": "vpc-production", "PeerVpcId": ref("DrillVpc")},
    ),
    "a transit gateway": (
        "AWS::EC2::TransitGatewayAttachment",
        ATTACHED | {"SubnetIds": [ref("DrillSecondSubnet")], "TransitGatewayId": "tgw-1"},
    ),
    "a client VPN": (
        "AWS::EC2::ClientVpnTargetNetworkAssociation", {"SubnetId": ref("DrillSubnet")},
    ),
    "a route": (
        "AWS::EC2::Route",
        {"RouteTableId": ref("DrillRoutes"), "DestinationCidrBlock": "10.0.0.0/8"},
    ),
    "a route to a prefix list": (
        "AWS::EC2::Route",
        {"RouteTableId": {"Fn::Sub": "${DrillRoutes}"}, "DestinationPrefixListId": "pl-1"},
    ),
    "the subnet shared with another account": (
        "AWS::RAM::ResourceShare",
        {"ResourceArns": [{"Fn::Sub": "arn:aws:ec2:::subnet/${DrillSubnet}"}]},
    ),
    "an instance of somebody's": ("AWS::EC2::Instance", {"SubnetId": ref("DrillSubnet")}),
    "an endpoint to everything": (
        "AWS::EC2::VPCEndpoint",
        ATTACHED
        | {"ServiceName": "com.amazonaws.us-east-1.dynamodb", "VpcEndpointType": "Gateway"},
    ),
    "an endpoint to an API": (
        "AWS::EC2::VPCEndpoint",
        ATTACHED | {"ServiceName": "com.amazonaws.us-east-1.sts", "VpcEndpointType": "Interface"},
    ),
    "a connection for people": (
        "AWS::EC2::InstanceConnectEndpoint", {"SubnetId": ref("DrillSubnet")},
    ),
    "a way for names": (
        "AWS::Route53Resolver::ResolverRuleAssociation", ATTACHED | {"ResolverRuleId": "rslvr-1"},
    ),
    "names if the firewall fails": (
        "AWS::Route53Resolver::FirewallConfig",
        {"ResourceId": ref("DrillVpc"), "FirewallFailOpen": "ENABLED"},
    ),
    "a rule that lets anybody in": (
        "AWS::EC2::SecurityGroupIngress",
        {"GroupId": ref("DrillDatabases"), "IpProtocol": "-1", "CidrIp": "0.0.0.0/0"},
    ),
    "a rule that lets another group in": (
        "AWS::EC2::SecurityGroupIngress",
        {
            "GroupId": ref("DrillVerifiers"), "SourceSecurityGroupId": "sg-production",
            "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22,
        },
    ),
    "a rule that lets everything of verifiers in": (
        "AWS::EC2::SecurityGroupIngress",
        {
            "GroupId": ref("DrillEndpoints"), "SourceSecurityGroupId": ref("DrillVerifiers"),
            "IpProtocol": "-1",
        },
    ),
    "a rule of the default group": (
        "AWS::EC2::SecurityGroupIngress",
        {
            "GroupId": {"Fn::GetAtt": ["DrillVpc", "DefaultSecurityGroup"]},
            "SourceSecurityGroupId": ref("DrillVerifiers"),
            "IpProtocol": "tcp", "FromPort": 1, "ToPort": 2,
        },
    ),
    "a rule that lets something out": (
        "AWS::EC2::SecurityGroupEgress",
        {"GroupId": ref("DrillDatabases"), "IpProtocol": "-1", "CidrIp": "0.0.0.0/0"},
    ),
    "a second route table": (
        "AWS::EC2::SubnetRouteTableAssociation",
        {"SubnetId": ref("DrillSubnet"), "RouteTableId": "rtb-main"},
    ),
    "a subnet without routes of its own": (
        "AWS::EC2::Subnet", ATTACHED | {"CidrBlock": "1.2.3.0/28", "MapPublicIpOnLaunch": False},
    ),
    "other rules for names": (
        "AWS::Route53Resolver::FirewallRuleGroupAssociation",
        ATTACHED | {"FirewallRuleGroupId": "DrillNameRules", "Priority": 100},
    ),
}  # fmt: skip


def with_added(document: Mapping[str, Any], kind: str, properties: Data) -> Data:
    spoiled = deepcopy(dict(document))
    spoiled["Resources"]["Added"] = {"Type": kind, "Properties": properties}
    return spoiled


REPOSITORIES = ("DrillRepositories", "PolicyDocument", "Statement", 0)
OUT = ("DrillVerifiers", "SecurityGroupEgress")
CHANGED: Mapping[str, tuple[tuple[str | int, ...], Any]] = {
    "public addresses": (("DrillSubnet", "MapPublicIpOnLaunch"), True),
    "public addresses by default": (("DrillSecondSubnet", "MapPublicIpOnLaunch"), None),
    "addresses of IPv6": (("DrillSubnet", "AssignIpv6AddressOnCreation"), True),
    "databases that may call anybody": (("DrillDatabases", "SecurityGroupEgress"), None),
    "databases that may call by 443": (
        ("DrillDatabases", "SecurityGroupEgress", 0),
        {"CidrIp": "0.0.0.0/0", "IpProtocol": "tcp", "FromPort": 443, "ToPort": 443},
    ),
    "endpoints without rules": (("DrillEndpoints", "SecurityGroupEgress"), []),
    "verifiers that may call by every protocol": ((*OUT, 2, "IpProtocol"), "-1"),
    "verifiers that may call by every port": ((*OUT, 2, "FromPort"), 0),
    "verifiers that may call somebody": ((*OUT, 2, "CidrIp"), "10.0.0.0/8"),
    "verifiers that may call by IPv6": ((*OUT, 2, "CidrIpv6"), "::/0"),
    "verifiers that may call a prefix list": ((*OUT, 0, "DestinationPrefixListId"), "pl-1"),
    "verifiers that may call another group": (
        (*OUT, 0, "DestinationSecurityGroupId"), "sg-production",
    ),
    "verifiers that are called": (
        ("DrillVerifiers", "SecurityGroupIngress"),
        [{"CidrIp": "10.0.0.0/8", "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}],
    ),
    "databases that others ask": (
        ("DrillDatabasesFromVerifiers", "SourceSecurityGroupId"), "sg-production",
    ),
    "databases in another network": (
        ("DrillSubnetGroup", "SubnetIds"), ["subnet-production", ref("DrillSubnet")],
    ),
    "routes of another network": (("DrillSubnetRoutes", "RouteTableId"), "rtb-production"),
    "no routes of its own": (("DrillSubnetRoutes", "SubnetId"), ref("DrillSecondSubnet")),
    "all of S3": (("DrillRepositories", "PolicyDocument"), None),
    "any bucket": ((*REPOSITORIES, "Resource"), "*"),
    "one more bucket": (
        (*REPOSITORIES, "Resource"),
        ["arn:aws:s3:::al2023-repos-us-east-1-de612dc2/*", "arn:aws:s3:::mine/*"],
    ),
    "buckets of similar names": (
        (*REPOSITORIES, "Resource"), "arn:aws:s3:::al2023-repos-us-east-1-*",
    ),
    "writing to S3": ((*REPOSITORIES, "Action"), ["s3:GetObject", "s3:PutObject"]),
    "one thing less denied": ((*REPOSITORIES, "NotAction"), "s3:DeleteObject"),
    "all names": (("DrillNamesOfAws", "Domains"), ["*"]),
    "names of somebody": (("DrillNamesOfAws", "Domains"), ["*.amazonaws.com", "*.example.com"]),
    "some names blocked": (("DrillAllNames", "Domains"), ["*.example.com"]),
    "names that are only counted": (("DrillNameRules", "FirewallRules", 1, "Action"), "ALERT"),
    "the rules in the wrong order": (("DrillNameRules", "FirewallRules", 0, "Priority"), 3),
    "rules for another network": (("DrillNameRulesInForce", "VpcId"), "vpc-production"),
    "a function inside": (
        ("SweepRuns", "VpcConfig"), {"SubnetIds": [ref("DrillSubnet")], "SecurityGroupIds": []},
    ),
    "drills that restore elsewhere": (
        ("DrillRestores", "Environment", "Variables", "DRILL_VPC"), ref("EvidenceBucket"),
    ),
}  # fmt: skip


def with_changed(document: Mapping[str, Any], path: tuple[str | int, ...], value: Any) -> Data:
    """A property, by its path, is given another value; None removes it."""
    spoiled = deepcopy(dict(document))
    logical_id, *steps, last = path
    place = spoiled["Resources"][logical_id]["Properties"]
    for step in steps:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return spoiled
