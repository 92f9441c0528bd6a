"""The verifiers of drills in the box: interface endpoints, agents that come online behind them, and
scripts that are answered for.

`install(cloud)` patches moto's classes until `cloud.stack` closes; install `local.aws.ec2`,
`local.aws.ec2_restores` and `local.aws.ssm_commands` first. What it adds:

- interface endpoints that are made and deleted for a while, one private name of a service in a VPC;
- instances that end by themselves when their user data has said so;
- instances with a drill's tag, which Systems Manager reaches only through all three endpoints, only
  with an instance profile, and a minute after both are there; DescribeInstanceInformation;
- the scripts that they are sent: `local.aws.answers_of_…` say what those would find.
"""

from __future__ import annotations

import base64
import gzip
import importlib
import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol

from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.ec2.responses import EC2Response
from moto.ssm.responses import SimpleSystemManagerResponse

from local.aws import ec2, ec2_restores, ssm_commands
from local.aws.ebs import Box
from local.aws.ec2_requests import PageLimits, Reader, chosen_by, refused, stop_on_dry_run, tags_of
from local.aws.ssm_commands import Command, Ended
from local.replacing import replace

MINUTE = timedelta(minutes=1)
SERVICES = ("ec2messages", "ssm", "ssmmessages")
DRILL_TAG = "watchkeeper:drill"
ANSWERING = {
    "ask_database": "local.aws.answers_of_databases",
    "look_at_volumes": "local.aws.answers_of_volumes",
}
"""By the script's name, the module whose `answer` stands for it."""

Answer = Callable[[Any, Any, str], tuple[int, str]]
"""Of the box, the request and the instance's id: exit code and standard output."""


class VerifierBox(Box, ec2.Host, Protocol):
    """What this file needs of the cloud in a box: also its other extensions."""


def install(cloud: VerifierBox) -> Verifiers:
    """Make moto behave like this until `cloud.stack` closes; returns the switches."""
    restores = ec2_restores.installed_in(cloud)
    verifiers = Verifiers(cloud, restores)
    for name, value in verifiers.operations().items():
        # moto's operations sit in base classes of EC2Response: set on it, ours come first.
        replace(cloud.stack, EC2Response, name, value)
    described = _as_method(verifiers.describe_instance_information)
    replace(cloud.stack, SimpleSystemManagerResponse, "describe_instance_information", described)
    ssm_commands.installed_in(cloud).shell = verifiers
    return verifiers


def installed_in(cloud: ec2.Host) -> Verifiers:
    """The switches of a box's verifiers, e.g. `installed_in(cloud).fails(1)`."""
    verifiers: Verifiers = cloud.extensions[__name__]
    return verifiers


@dataclass
class Life:
    """When things happen to one interface endpoint."""

    shown_from: datetime
    available_from: datetime
    is_deleted: bool = False

    def state(self, now: datetime) -> str:
        if self.is_deleted:
            return "deleting"
        return "available" if now >= self.available_from else "pending"


@dataclass
class Verifiers:
    """The verifiers of one account and Region, and the switches that make them unkind."""

    cloud: VerifierBox
    restores: ec2_restores.Ec2Restores
    endpoint_takes: timedelta = timedelta(minutes=1)
    """From `pending` to `available`."""
    endpoint_deletion_takes: timedelta = timedelta(minutes=3)
    online_after: timedelta = timedelta(seconds=60)
    """From the moment when the instance runs and can reach Systems Manager."""
    never_online: bool = False
    """No agent ever registers."""
    answering: dict[str, Answer] = field(default_factory=dict)
    """By the script's name, what stands for it instead of the module in `ANSWERING`."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Script and instance of every run that came to its end."""
    lives: dict[str, Life] = field(default_factory=dict)
    """By the id of the endpoint."""
    _takes: timedelta | None = None
    _ended: Ended | None = None

    # --- switches ---

    def never_answers(self) -> None:
        """From now on scripts hang."""
        self._takes = timedelta.max

    def answers_garbage(self, text: str) -> None:
        """From now on scripts print this, and succeed."""
        self._ended = Ended(0, text)

    def fails(self, code: int, complaint: str = "Traceback: made to fail") -> None:
        """From now on scripts end so."""
        self._ended = Ended(code, error=complaint)

    def takes_so_long(self, duration: timedelta) -> None:
        """From now on scripts run for so long."""
        self._takes = duration

    def operations(self) -> dict[str, Callable[[Any], Any]]:
        """API operations, by moto's name for them, that this file answers itself or tells more."""
        create = self._slow(EC2Response.create_vpc_endpoint)
        return {
            "create_vpc_endpoint": self.restores.once("create_vpc_endpoint", create),
            "describe_vpc_endpoints": _as_method(self.describe_vpc_endpoints),
            "delete_vpc_endpoints": _as_method(self.delete_vpc_endpoints),
            "run_instances": self._ending_by_itself(EC2Response.run_instances),
        }

    # --- endpoints ---

    def _slow(self, moto_does: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVpcEndpoint.html"""

        def create_vpc_endpoint(response: Any) -> Any:
            service, vpc = response._get_param("ServiceName"), response._get_param("VpcId")
            if response._get_param("VpcEndpointType") != "Interface":
                return moto_does(response)
            named = response._get_bool_param("PrivateDnsEnabled", if_none=True)
            if named and any(
                one.private_dns_enabled
                for one in self._endpoints(vpc)
                if one.service_name == service
            ):
                name = f"{service.rsplit('.', 1)[-1]}.{self.cloud.region}.amazonaws.com"
                raise refused(
                    "InvalidParameter",
                    "private-dns-enabled cannot be set because there is already a conflicting DNS "
                    f"domain for {name} in the VPC {vpc}",
                )
            answer = moto_does(response)
            now = self._now()
            endpoint = answer.result["VpcEndpoint"]
            endpoint.state = "pending"
            self.lives[endpoint.id] = Life(
                now + self.cloud.pace.hidden_for, now + self.endpoint_takes
            )
            return answer

        return create_vpc_endpoint

    def describe_vpc_endpoints(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVpcEndpoints.html"""
        backend, wanted = response.ec2_backend, response._get_param("VpcEndpointIds", [])
        size = PageLimits(least=5, most=1000).checked(response)
        pages, now = self.restores.ec2.pages, self._now()
        found = [
            one
            for one in backend.describe_vpc_endpoints(wanted)
            if one.id not in self.lives or self.lives[one.id].shown_from <= now
        ]
        for one in found:
            if life := self.lives.get(one.id):
                one.state = life.state(now)
        found = chosen_by(response, pages.remaining(response, found), ENDPOINT_FILTERS, tags_of)
        stop_on_dry_run(response)
        page, token = pages.cut(found, size, lambda one: str(one.id))
        return ActionResult({"VpcEndpoints": page, "NextToken": token})

    def delete_vpc_endpoints(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteVpcEndpoints.html"""
        unsuccessful = []
        for endpoint_id in response._get_param("VpcEndpointIds", []):
            life = self.lives.get(endpoint_id)
            if life is None:
                error = {
                    "Code": "InvalidVpcEndpointId.NotFound",
                    "Message": f"The Vpc Endpoint Id '{endpoint_id}' does not exist",
                }
                unsuccessful.append({"Error": error, "ResourceId": endpoint_id})
            elif not life.is_deleted:
                life.is_deleted = True
                self._forget_later(response.ec2_backend, endpoint_id)
        return ActionResult({"Unsuccessful": unsuccessful})

    def _forget_later(self, backend: Any, endpoint_id: str) -> None:
        def forget() -> None:
            backend.delete_vpc_endpoints([endpoint_id])
            backend.vpc_end_points.pop(endpoint_id, None)
            backend.tags.pop(endpoint_id, None)
            self.lives.pop(endpoint_id, None)

        at = self._now() + self.endpoint_deletion_takes
        self.cloud.clock.at(at, forget, f"{endpoint_id} is gone")

    def _endpoints(self, vpc: str) -> list[Any]:
        backend = ec2_backends[self.cloud.account_id][self.cloud.region]
        return [
            one
            for one in backend.vpc_end_points.values()
            if one.vpc_id == vpc and one.id in self.lives
        ]

    # --- agents ---

    def _ending_by_itself(self, does: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_ChangingInstanceInitiatedShutdownBehavior.html"""

        def run_instances(response: Any) -> Any:
            answer = does(response)
            script = base64.b64decode(response._get_param("UserData") or "").decode()
            after = re.search(r"^shutdown -P \+(\d+)$", script, re.MULTILINE)
            ends = response._get_param("InstanceInitiatedShutdownBehavior") == "terminate"
            if after and ends:
                ids = [one.id for one in answer.result.instances]
                at = self._now() + self.restores.running_takes + int(after[1]) * MINUTE
                end = partial(_end, response.ec2_backend, ids)
                self.cloud.clock.at(at, end, f"{', '.join(ids)} shut down")
            return answer

        return run_instances

    def reaches(self, instance_id: str) -> bool:
        """Of instances that no drill has started nothing is known here."""
        backend = ec2_backends[self.cloud.account_id][self.cloud.region]
        instance = backend.get_instance_by_id(instance_id)
        if instance is None or DRILL_TAG not in tags_of(instance):
            return True
        online_from = self._online_from(backend, instance)
        return online_from is not None and online_from <= self._now()

    def _online_from(self, backend: Any, instance: Any) -> datetime | None:
        """None if never, as things are."""
        has_profile = instance.id in backend.iam_instance_profile_associations
        named = {
            one.service_name.rsplit(".", 1)[-1]: self.lives[one.id]
            for one in self._endpoints(instance.vpc_id)
            if one.private_dns_enabled and not self.lives[one.id].is_deleted
        }
        if self.never_online or not has_profile or set(SERVICES) - named.keys():
            return None
        started_at: datetime = instance.launch_time.replace(tzinfo=UTC)  # moto's is naive
        running_from = started_at + self.restores.running_takes
        return (
            max(running_from, *(one.available_from for one in named.values())) + self.online_after
        )

    def describe_instance_information(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeInstanceInformation.html"""
        filters = {one["Key"]: one["Values"] for one in response._get_param("Filters", [])}
        if filters.keys() != {"InstanceIds"}:
            raise NotImplementedError("the box is asked for the information of InstanceIds only")
        backend = ec2_backends[self.cloud.account_id][self.cloud.region]
        unmanaged = ssm_commands.installed_in(self.cloud).unmanaged
        found = [backend.get_instance_by_id(one) for one in filters["InstanceIds"]]
        online = [
            {
                "InstanceId": one.id,
                "PingStatus": "Online",
                "PlatformType": "Linux",
                "ResourceType": "EC2Instance",
            }
            for one in found
            if one and one.state == "running" and one.id not in unmanaged and self.reaches(one.id)
        ]
        return ActionResult({"InstanceInformationList": online})

    # --- scripts ---

    def takes(self, command: Command, instance_id: str) -> timedelta:
        return self.cloud.pace.command_takes if self._takes is None else self._takes

    def run(self, command: Command, instance_id: str) -> Ended:
        """What the script of a command would print."""
        script, request = _decoded(command)
        self.asked.append((script, instance_id))
        if self._ended is not None:
            return self._ended
        code, output = self._answer(script)(self.cloud, request, instance_id)
        return Ended(code, output)

    def _answer(self, script: str) -> Answer:
        if script in self.answering:
            return self.answering[script]
        answer: Answer = importlib.import_module(ANSWERING[script]).answer
        return answer

    def _now(self) -> datetime:
        return self.restores.ec2.now()


ENDPOINT_FILTERS: Mapping[str, Reader] = {
    "service-name": lambda one: [one.service_name],
    "vpc-id": lambda one: [one.vpc_id],
    "vpc-endpoint-id": lambda one: [one.id],
    "vpc-endpoint-state": lambda one: [one.state],
    "vpc-endpoint-type": lambda one: [one.vpc_endpoint_type],
}


def _decoded(command: Command) -> tuple[str, Any]:
    """The script's name, which is the comment's first word, and the request that it is sent with.
    Raises if the script itself did not arrive whole.
    """
    [line] = command.parameters["commands"]
    source, request = (gzip.decompress(base64.b64decode(one)) for one in shlex.split(line)[-2:])
    script = command.comment.split(" ")[0]
    compile(source, script, "exec")
    return script, json.loads(request)


def _end(backend: Any, ids: list[str]) -> None:
    """Those that somebody has ended before are forgotten an hour later."""
    if known := [one for one in ids if backend.get_instance_by_id(one)]:
        backend.terminate_instances(known)


def _as_method(handler: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Moto finds the operations of a response class by looking for plain functions."""

    def operation(response: Any) -> Any:
        return handler(response)

    return operation
