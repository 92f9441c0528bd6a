"""The verifiers of drills: instances without a way out, asked over Systems Manager, and the
interface endpoints that lead there.

One class per right, so that a function composed of them needs exactly the actions that they name.
What is made carries the drill's tag, set in the call that makes; only what has it is ever removed
here, and rights in template.yaml say the same.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from watchkeeper import naming
from watchkeeper.aws.client import client
from watchkeeper.aws.errors import NotThere, Refused, translated
from watchkeeper.aws.iam import needs
from watchkeeper.aws.restores_ec2 import Described, Ec2, Tags, as_list, drill_in, of_drill, tags_of

SERVICES = ("ec2messages", "ssm", "ssmmessages")
"""What the agent of Systems Manager connects to.
https://docs.aws.amazon.com/systems-manager/latest/userguide/setup-create-vpc.html
"""
GOING = frozenset({"shutting-down", "terminated"})
"""States of an instance that does not work any more; EC2 shows it for an hour longer."""
TERMINATED = "terminated"
AVAILABLE, DELETING, DELETED = "available", "deleting", "deleted"
"""States of an endpoint."""
TAKEN_NAME = ("InvalidParameter", "conflicting DNS domain")
"""How EC2 refuses a second endpoint with the service's name while there is another, or while the
name of a deleted one has not gone yet: a code that means much else, and words.
"""
END_BY_ITSELF = timedelta(hours=4)
"""The longest that a drill waits for an answer is three, see drills/verifier.py."""


@dataclass(frozen=True)
class Isolation:
    """Where drills start verifiers: nothing leads in or out but their connection to SSM."""

    account: str
    vpc: str
    subnet: str
    verifier_group: str
    endpoint_group: str
    profile: str
    """The name of an instance profile."""
    image: str
    instance_type: str


@dataclass(frozen=True)
class Instance:
    """A verifier that a drill started."""

    id: str
    state: str
    """In the words of EC2, e.g. `pending`, `running`, `shutting-down`, `terminated`."""
    started_at: datetime
    tags: Tags = field(default_factory=dict)

    @property
    def is_going(self) -> bool:
        return self.state in GOING


@dataclass(frozen=True)
class Endpoint:
    """An interface endpoint, whoever made it."""

    id: str
    service: str
    """The last part of its name: for AWS's own, one of `SERVICES`."""
    state: str
    """In the words of EC2, in small letters: `pending`, `available`, `deleting`."""
    created_at: datetime
    has_name: bool
    """Whether the service's own name leads to it: private DNS."""
    tags: Tags = field(default_factory=dict)


# ── Adapters ──────────────────────────────────────────────────────────────────────────────────────


def _for_own_account(account: str) -> str:
    """Credentials of somebody else's, brought along in a restored disk, reach nothing by it."""
    statement = {
        "Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*",
        "Condition": {"StringEquals": {"aws:PrincipalAccount": account}},
    }  # fmt: skip
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class VerifierMaker(Ec2):
    """Makes endpoints and starts verifiers; it can remove none."""

    def __init__(self, isolation: Isolation) -> None:
        self.isolation = isolation

    @needs("ec2:CreateVpcEndpoint", "ec2:CreateTags", "route53:AssociateVPCWithHostedZone")
    def make_endpoint(self, service: str, tags: Tags, now: datetime) -> str:
        """What must pass first; empty if it is being made. Private DNS allows no second one."""
        call = "ec2:CreateVpcEndpoint"
        drill = drill_in(call, tags)
        there = self.isolation
        try:
            with translated(call):
                self.client.create_vpc_endpoint(
                    VpcEndpointType="Interface",
                    VpcId=there.vpc,
                    ServiceName=f"com.amazonaws.{self.client.meta.region_name}.{service}",
                    SubnetIds=[there.subnet],
                    SecurityGroupIds=[there.endpoint_group],
                    PrivateDnsEnabled=True,
                    PolicyDocument=_for_own_account(there.account),
                    # Not the drill's name alone: if another drill has deleted this one's endpoint,
                    # it needs a second one.
                    ClientToken=naming.short_id(f"{drill}|{service}|{naming.minute(now)}"),
                    TagSpecifications=[{"ResourceType": "vpc-endpoint", "Tags": as_list(tags)}],
                )
        except Refused as error:
            code, words = TAKEN_NAME
            if error.code != code or words not in error.message:
                raise
            return f"the name of another endpoint for {service} to go"
        return ""

    @needs("ec2:RunInstances", "ec2:CreateTags", "iam:PassRole")
    def start(self, tags: Tags) -> str:
        """The id of an instance: for the same drill the same one, even if it has ended since."""
        call = "ec2:RunInstances"
        drill = drill_in(call, tags)
        there = self.isolation
        tagged = [
            {"ResourceType": kind, "Tags": as_list(tags)}
            for kind in ("instance", "volume", "network-interface")
        ]
        with translated(call):
            [made] = self.client.run_instances(
                ImageId=there.image,
                InstanceType=there.instance_type,
                MinCount=1,
                MaxCount=1,
                ClientToken=drill,
                IamInstanceProfile={"Name": there.profile},
                NetworkInterfaces=[
                    {
                        "DeviceIndex": 0,
                        "SubnetId": there.subnet,
                        "Groups": [there.verifier_group],
                        "AssociatePublicIpAddress": False,
                        "DeleteOnTermination": True,
                    }
                ],
                MetadataOptions={"HttpTokens": "required"},
                # It ends even if nobody is there any more to end it.
                InstanceInitiatedShutdownBehavior="terminate",
                UserData=f"#!/bin/sh\nshutdown -P +{END_BY_ITSELF // timedelta(minutes=1)}\n",
                TagSpecifications=tagged,
            )["Instances"]
        return str(made["InstanceId"])


class Verifiers(Ec2):
    """Looks at what drills have made to ask questions with."""

    @cached_property
    def ssm(self) -> Any:
        return client("ssm")

    @needs("ec2:DescribeInstances")
    def instances(self, drill: str = "*") -> list[Instance]:
        """Those of one drill, or of all; terminated ones for as long as EC2 shows them."""
        reservations = self.pages("describe_instances", "Reservations", Filters=of_drill(drill))
        found = (_instance(one) for some in reservations for one in some["Instances"])
        return [one for one in found if naming.is_drill(one.tags[naming.TAG_DRILL])]

    @needs("ec2:DescribeVpcEndpoints")
    def endpoints_in(self, vpc: str) -> list[Endpoint]:
        """Those that have the name of one of `SERVICES`, whoever made them."""
        found = self._endpoints({"Name": "vpc-id", "Values": [vpc]})
        return [one for one in found if one.service in SERVICES and one.has_name]

    @needs("ec2:DescribeVpcEndpoints")
    def endpoints(self) -> list[Endpoint]:
        """All that drills have made. Describe lags."""
        found = self._endpoints(*of_drill("*"))
        return [one for one in found if naming.is_drill(one.tags[naming.TAG_DRILL])]

    def _endpoints(self, *filters: Mapping[str, object]) -> list[Endpoint]:
        found = map(
            _endpoint, self.pages("describe_vpc_endpoints", "VpcEndpoints", Filters=filters)
        )
        return [one for one in found if one.state != DELETED]

    @needs("ssm:DescribeInstanceInformation")
    def is_online(self, instance_id: str) -> bool:
        """Whether Systems Manager can reach its agent."""
        with translated("ssm:DescribeInstanceInformation"):
            found = self.ssm.describe_instance_information(
                Filters=[{"Key": "InstanceIds", "Values": [instance_id]}]
            )["InstanceInformationList"]
        return any(one["PingStatus"] == "Online" for one in found)


class VerifierDismantler(Ec2):
    """Ends verifiers and deletes endpoints, and nothing else; it can make none."""

    @needs("ec2:TerminateInstances")
    def terminate(self, instances: Sequence[Instance]) -> None:
        """Those that are not going already. Raises Refused of what has no drill's tag."""
        call = "ec2:TerminateInstances"
        for instance in instances:
            drill_in(call, instance.tags)
            if instance.is_going:
                continue
            try:
                with translated(call):
                    self.client.terminate_instances(InstanceIds=[instance.id])
            except NotThere:
                continue

    @needs("ec2:DeleteVpcEndpoints")
    def delete(self, endpoint: Endpoint) -> None:
        """Unless that is under way. Raises Refused of what has no drill's tag."""
        call = "ec2:DeleteVpcEndpoints"
        drill_in(call, endpoint.tags)
        if endpoint.state == DELETING:
            return
        try:
            with translated(call):
                answer = self.client.delete_vpc_endpoints(VpcEndpointIds=[endpoint.id])
        except NotThere:
            return
        # What it could not delete is no error of the call.
        for error in (one["Error"] for one in answer.get("Unsuccessful", [])):
            if not error["Code"].endswith("NotFound"):
                raise Refused(call, error["Code"], error.get("Message", ""))


# ── Shapes ────────────────────────────────────────────────────────────────────────────────────────


def _instance(found: Described) -> Instance:
    state = found["State"]["Name"]
    return Instance(found["InstanceId"], state, found["LaunchTime"], tags_of(found))


def _endpoint(found: Described) -> Endpoint:
    return Endpoint(
        id=found["VpcEndpointId"],
        service=found["ServiceName"].rsplit(".", 1)[-1],
        state=found["State"].lower(),  # the model says Available, the service available
        created_at=found["CreationTimestamp"],
        has_name=found.get("PrivateDnsEnabled", False),
        tags=tags_of(found),
    )
