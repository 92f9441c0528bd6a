"""Verifiers in the box, held against the AWS page that each test names."""

import base64
import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.aws import ec2, ec2_restores, ssm_commands, verifiers
from local.pace import Pace
from tests.local.service_box import REGION, ServiceBox, service_box

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
PACE = Pace(hidden_for=20 * SECOND)
TAG = {"Key": "watchkeeper:drill", "Value": "wk-drill-0123456789abcdef"}


@dataclass
class Box(ServiceBox):
    vpc: str = ""
    subnet: str = ""

    def connect(self, service: str = "ssm", token: str = "", **more: Any) -> str:
        request = {
            "VpcId": self.vpc,
            "VpcEndpointType": "Interface",
            "ServiceName": f"com.amazonaws.{REGION}.{service}",
            "SubnetIds": [self.subnet],
            **({"ClientToken": token} if token else {}),
        }
        made = self.client("ec2").create_vpc_endpoint(**(request | more))
        return str(made["VpcEndpoint"]["VpcEndpointId"])

    def endpoints(self) -> list[str]:
        filters = [{"Name": "vpc-id", "Values": [self.vpc]}]
        found = self.client("ec2").describe_vpc_endpoints(Filters=filters)["VpcEndpoints"]
        return [one["State"] for one in found]

    def verifier(self, **more: Any) -> str:
        tags = {"ResourceType": "instance", "Tags": [TAG]}
        request = {
            "ImageId": "ami-1",
            "MinCount": 1,
            "MaxCount": 1,
            "SubnetId": self.subnet,
            "TagSpecifications": [tags],
            "IamInstanceProfile": {"Name": "verifier"},
        }
        made = self.client("ec2").run_instances(**(request | more))
        return str(made["Instances"][0]["InstanceId"])

    def states(self) -> dict[str, str]:
        found = self.client("ec2").describe_instances()["Reservations"]
        shown = [one for reservation in found for one in reservation["Instances"]]
        return {one["InstanceId"]: one["State"]["Name"] for one in shown}

    def is_online(self, instance: str) -> bool:
        filters = [{"Key": "InstanceIds", "Values": [instance]}]
        found = self.client("ssm").describe_instance_information(Filters=filters)
        return [one["PingStatus"] for one in found["InstanceInformationList"]] == ["Online"]

    def send(self, instance: str, **more: Any) -> str:
        packed = [
            base64.b64encode(gzip.compress(one)).decode() for one in (b"print(1)", b'{"a":1}')
        ]
        request = {
            "DocumentName": "AWS-RunShellScript",
            "InstanceIds": [instance],
            "Comment": "count of a test",
            "Parameters": {"commands": [f"python3 -c x {' '.join(packed)}"]},
        }
        return str(self.client("ssm").send_command(**(request | more))["Command"]["CommandId"])

    def got(self, command: str, instance: str) -> Any:
        return self.client("ssm").get_command_invocation(CommandId=command, InstanceId=instance)


@pytest.fixture
def box() -> Iterator[Box]:
    with service_box(Box, ec2, ec2_restores, ssm_commands, verifiers, pace=PACE) as box:
        aws = box.client("ec2")
        box.vpc = aws.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        subnet = aws.create_subnet(VpcId=box.vpc, CidrBlock="10.9.0.0/24")
        box.subnet = subnet["Subnet"]["SubnetId"]
        box.client("iam").create_instance_profile(InstanceProfileName="verifier")
        verifiers.installed_in(box).answering["count"] = lambda _box, request, instance: (
            0, json.dumps([request, instance])
        )  # fmt: skip
        yield box


@pytest.fixture
def online(box: Box) -> str:
    """An instance that Systems Manager reaches."""
    for service in verifiers.SERVICES:
        box.connect(service)
    instance = box.verifier()
    box.clock.run_for(3 * MINUTE)
    return instance


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as failure:
        call()
    error = failure.value.response["Error"]
    return f"{error['Code']}: {error['Message']}"


# --- endpoints --------------------------------------------------------------------------------


def test_an_endpoint_comes_and_goes(box: Box) -> None:
    """API_CreateVpcEndpoint, API_DeleteVpcEndpoints; eventual consistency of Describe."""
    made = box.connect()
    assert box.endpoints() == []
    box.clock.run_for(20 * SECOND)
    assert box.endpoints() == ["pending"]
    box.clock.run_for(MINUTE)
    assert box.endpoints() == ["available"]
    for _ in range(2):
        answer = box.client("ec2").delete_vpc_endpoints(VpcEndpointIds=[made])
        assert answer["Unsuccessful"] == []
    assert box.endpoints() == ["deleting"]
    box.clock.run_for(3 * MINUTE)
    assert box.endpoints() == []
    [error] = box.client("ec2").delete_vpc_endpoints(VpcEndpointIds=[made])["Unsuccessful"]
    assert error["Error"]["Code"] == "InvalidVpcEndpointId.NotFound"


def test_a_private_name_leads_to_one_endpoint_in_a_vpc(box: Box) -> None:
    """PrivateDnsEnabled; the words are those that people quote in the trackers of Terraform."""
    made = box.connect()
    assert "InvalidParameter: private-dns-enabled cannot be set" in refusal(box.connect)
    box.connect("ssmmessages")
    box.connect(PrivateDnsEnabled=False)
    box.client("ec2").delete_vpc_endpoints(VpcEndpointIds=[made])
    assert "conflicting DNS domain for ssm.us-east-1" in refusal(box.connect)
    box.clock.run_for(3 * MINUTE)
    assert box.connect() != made


def test_a_client_token_makes_no_second_endpoint(box: Box) -> None:
    """ec2-api-idempotency.html"""
    assert box.connect(token="a") == box.connect(token="a")
    assert "IdempotentParameterMismatch" in refusal(lambda: box.connect("ec2messages", token="a"))


# --- agents -----------------------------------------------------------------------------------


def test_an_agent_comes_online_a_minute_after_its_network(box: Box) -> None:
    """setup-create-vpc.html: all three endpoints, and a role in an instance profile."""
    instance, powerless = box.verifier(), box.verifier(IamInstanceProfile={})
    for service in verifiers.SERVICES[:2]:
        box.connect(service)
    box.clock.run_for(10 * MINUTE)
    assert not box.is_online(instance)
    assert "InvalidInstanceId" in refusal(lambda: box.send(instance))
    last = box.connect(verifiers.SERVICES[2])
    box.clock.run_for(119 * SECOND)
    assert not box.is_online(instance)
    box.clock.run_for(SECOND)
    assert box.is_online(instance)
    assert not box.is_online(powerless)
    box.client("ec2").delete_vpc_endpoints(VpcEndpointIds=[last])
    assert not box.is_online(instance)


def test_instances_of_nobodys_drill_are_managed_as_before(box: Box) -> None:
    instance = box.verifier(TagSpecifications=[])
    box.clock.run_for(MINUTE)
    assert box.is_online(instance)
    ssm_commands.installed_in(box).unmanaged.add(instance)
    assert not box.is_online(instance)


def test_a_verifier_ends_by_itself_unless_somebody_was_first(box: Box) -> None:
    """Using_ChangingInstanceInitiatedShutdownBehavior.html, terminating-instances.html: one that is
    terminated is shown for an hour or so, and long forgotten when its own end comes.
    """
    user_data = "#!/bin/bash\nshutdown -P +240\n"
    ending = {"UserData": user_data, "InstanceInitiatedShutdownBehavior": "terminate"}
    left, stopping = box.verifier(**ending), box.verifier(UserData=user_data)
    ended = box.verifier(**ending)
    box.client("ec2").terminate_instances(InstanceIds=[ended])
    box.clock.run_for(230 * MINUTE)
    assert box.states() == {left: "running", stopping: "running"}
    box.clock.run_for(20 * MINUTE)
    assert box.states() == {left: "terminated", stopping: "running"}


# --- scripts ----------------------------------------------------------------------------------


def test_a_script_is_answered_for(box: Box, online: str) -> None:
    """API_GetCommandInvocation"""
    command = box.send(online)
    box.clock.run_for(2 * SECOND)
    assert box.got(command, online)["Status"] == "InProgress"
    box.clock.run_for(MINUTE)
    got = box.got(command, online)
    assert (got["Status"], got["ResponseCode"]) == ("Success", 0)
    assert json.loads(got["StandardOutputContent"]) == [{"a": 1}, online]
    assert verifiers.installed_in(box).asked == [("count", online)]


def test_what_a_script_writes_is_cut(box: Box, online: str) -> None:
    """API_GetCommandInvocation: 24,000 and 8,000 characters; API_CommandPlugin: 2,500."""
    switches = verifiers.installed_in(box)
    switches.answers_garbage("x" * 30_000)
    long = box.send(online)
    box.clock.run_for(MINUTE)
    assert len(box.got(long, online)["StandardOutputContent"]) == 24_000
    switches.fails(3, "y" * 30_000)
    failed = box.send(online)
    box.clock.run_for(MINUTE)
    got = box.got(failed, online)
    assert (got["Status"], got["ResponseCode"]) == ("Failed", 3)
    assert (got["StandardOutputContent"], len(got["StandardErrorContent"])) == ("", 8_000)
    listed = box.client("ssm").list_command_invocations(CommandId=failed, Details=True)
    [plugin] = listed["CommandInvocations"][0]["CommandPlugins"]
    assert len(plugin["Output"]) == 2_500


def test_a_script_that_hangs_is_ended(box: Box, online: str) -> None:
    """monitor-commands.html: Execution Timed Out."""
    verifiers.installed_in(box).never_answers()
    parameters = {"commands": ["python3 -c x x x"], "executionTimeout": ["600"]}
    command = box.send(online, Parameters=parameters)
    box.clock.run_for(10 * MINUTE)
    assert box.got(command, online)["Status"] == "InProgress"
    box.clock.run_for(MINUTE)
    got = box.got(command, online)
    assert (got["Status"], got["StatusDetails"]) == ("TimedOut", "ExecutionTimedOut")


def test_an_answer_waits_for_the_network(box: Box, online: str) -> None:
    verifiers.installed_in(box).takes_so_long(MINUTE)
    command = box.send(online)
    box.clock.run_for(10 * SECOND)
    [lost, *_] = box.client("ec2").describe_vpc_endpoints()["VpcEndpoints"]
    box.client("ec2").delete_vpc_endpoints(VpcEndpointIds=[lost["VpcEndpointId"]])
    box.clock.run_for(10 * MINUTE)
    assert box.got(command, online)["Status"] == "InProgress"
    box.connect(lost["ServiceName"].rsplit(".", 1)[-1])
    box.clock.run_for(3 * MINUTE)
    assert box.got(command, online)["Status"] == "Success"


def test_parameters_are_those_of_the_document(box: Box, online: str) -> None:
    """AWS-RunShellScript"""
    for parameters in ({}, {"commands": ["x"], "executionTimeout": ["soon"]}, {"command": ["x"]}):
        assert "InvalidParameters" in refusal(lambda: box.send(online, Parameters=parameters))  # noqa: B023
