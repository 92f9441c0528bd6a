"""What moto's CloudFormation lacks of networks: properties that it drops, and the DNS Firewall."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from moto.core.common_models import CloudFormationModel
from moto.core.utils import camelcase_to_underscores
from moto.ec2.models import ec2_backends
from moto.rds.models import rds_backends

from local.cloudformation_created import Created
from local.iam_template import cut

if TYPE_CHECKING:
    from local.cloud import Cloud


class SubnetResource(Created, CloudFormationModel):
    """AWS::EC2::Subnet."""

    @staticmethod
    def cloudformation_type() -> str:
        """The type."""
        return "AWS::EC2::Subnet"

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        """Whether Fn::GetAtt may ask for it."""
        return attr == "AvailabilityZone"

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,  # noqa: ARG003, moto's signature
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
        **_: Any,
    ) -> SubnetResource:
        """Create the subnet."""
        properties = cloudformation_json["Properties"]
        backend = ec2_backends[account_id][region_name]
        subnet = backend.create_subnet(
            vpc_id=properties["VpcId"],
            cidr_block=properties["CidrBlock"],
            availability_zone=properties.get("AvailabilityZone"),
        )
        for tag in properties.get("Tags", []):
            subnet.add_tag(tag["Key"], tag["Value"])
        is_public: Any = str(properties.get("MapPublicIpOnLaunch", False)).lower()
        backend.modify_subnet_attribute(subnet.id, "map_public_ip_on_launch", is_public)
        return cls(subnet.id, AvailabilityZone=subnet.availability_zone)


class SubnetGroupResource(Created, CloudFormationModel):
    """AWS::RDS::DBSubnetGroup."""

    @staticmethod
    def cloudformation_name_type() -> str:
        """The property that holds the name."""
        return "DBSubnetGroupName"

    @staticmethod
    def cloudformation_type() -> str:
        """The type."""
        return "AWS::RDS::DBSubnetGroup"

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
        **_: Any,
    ) -> SubnetGroupResource:
        """Create the group."""
        properties = cloudformation_json["Properties"]
        ec2 = ec2_backends[account_id][region_name]
        group = rds_backends[account_id][region_name].create_subnet_group(
            resource_name,
            properties["DBSubnetGroupDescription"],
            [ec2.get_subnet(each) for each in properties["SubnetIds"]],
            properties.get("Tags", []),
        )
        return cls(group.name)


class _NameRules(Created):
    """What the DNS Firewall of Route 53 is told. It is taken and not followed: nothing in the box
    looks up names.
    """

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],  # noqa: ARG003, moto's signature
        account_id: str,  # noqa: ARG003
        region_name: str,  # noqa: ARG003
        **_: Any,
    ) -> _NameRules:
        """Take it."""
        return cls(resource_name)


class FirewallDomainListResource(_NameRules, CloudFormationModel):
    """AWS::Route53Resolver::FirewallDomainList."""

    @staticmethod
    def cloudformation_type() -> str:
        """The type."""
        return "AWS::Route53Resolver::FirewallDomainList"


class FirewallRuleGroupResource(_NameRules, CloudFormationModel):
    """AWS::Route53Resolver::FirewallRuleGroup."""

    @staticmethod
    def cloudformation_type() -> str:
        """The type."""
        return "AWS::Route53Resolver::FirewallRuleGroup"


class FirewallAssociationResource(_NameRules, CloudFormationModel):
    """AWS::Route53Resolver::FirewallRuleGroupAssociation."""

    @staticmethod
    def cloudformation_type() -> str:
        """The type."""
        return "AWS::Route53Resolver::FirewallRuleGroupAssociation"


def with_addresses(value: Any, parameters: Mapping[str, str]) -> Any:
    """`value` with each Fn::Cidr, which moto does not know, worked out."""
    match value:
        case {"Fn::Cidr": [{"Ref": str(name)}, count, bits]}:
            return cut(parameters[name], count, bits)
        case dict():
            return {key: with_addresses(each, parameters) for key, each in value.items()}
        case list():
            return [with_addresses(each, parameters) for each in value]
        case _:
            return value


def complete(cloud: Cloud, kind: str, name: str, properties: dict[str, Any]) -> None:
    """Apply the properties that moto's own resource types drop."""
    match kind:
        case "AWS::EC2::VPC":
            _complete_vpc(cloud, name, properties)
        case "AWS::EC2::SecurityGroup":
            _complete_security_group(cloud, name, properties)
        case "AWS::EC2::VPCEndpoint":
            endpoint = ec2_backends[cloud.account_id][cloud.region].vpc_end_points[name]
            endpoint.policy_document = json.dumps(properties["PolicyDocument"])
        case _:
            pass


def _complete_vpc(cloud: Cloud, name: str, properties: dict[str, Any]) -> None:
    backend = ec2_backends[cloud.account_id][cloud.region]
    for attribute in ("EnableDnsSupport", "EnableDnsHostnames"):
        if attribute in properties:
            backend.modify_vpc_attribute(
                name, camelcase_to_underscores(attribute), str(properties[attribute]).lower()
            )


def _complete_security_group(cloud: Cloud, name: str, properties: dict[str, Any]) -> None:
    """Without rules of its own, CloudFormation leaves the one that lets everything out."""
    if not (rules := properties.get("SecurityGroupEgress")):
        return
    ec2 = cloud.client("ec2")
    (group,) = ec2.describe_security_groups(GroupIds=[name])["SecurityGroups"]
    ec2.revoke_security_group_egress(GroupId=name, IpPermissions=group["IpPermissionsEgress"])
    ec2.authorize_security_group_egress(
        GroupId=name, IpPermissions=[_permission(rule) for rule in rules]
    )


def _permission(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A rule of CloudFormation as the API of EC2 wants it."""
    converted: dict[str, Any] = {"IpProtocol": str(rule["IpProtocol"])}
    converted |= {name: int(rule[name]) for name in ("FromPort", "ToPort") if name in rule}
    described = {"Description": rule["Description"]} if "Description" in rule else {}
    if "CidrIp" in rule:
        converted["IpRanges"] = [{"CidrIp": rule["CidrIp"], **described}]
    if "DestinationSecurityGroupId" in rule:
        group = {"GroupId": rule["DestinationSecurityGroupId"], **described}
        converted["UserIdGroupPairs"] = [group]
    return converted
