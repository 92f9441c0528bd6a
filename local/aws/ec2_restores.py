"""Volumes made from snapshots, and the instances that look at them, as AWS documents both, where
moto is done at once.

`install(cloud)` patches moto's classes until `cloud.stack` closes; install `local.aws.ec2` first,
and `local.aws.ebs_blocks`, which says what a volume holds. What it adds:

- volumes from snapshots that are being created, then available, and initialised much later; that
  end in `error` without their key; that are deleted for a while;
- DescribeVolumeStatus, which moto has not at all;
- client tokens, that moto ignores: the same one makes nothing twice;
- instances that start and shut down for a while; volumes that shut down with them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import InvalidVolumeIdError
from moto.ec2.models import EC2Backend
from moto.ec2.models.elastic_block_store import Volume
from moto.ec2.responses import EC2Response
from moto.kms.models import kms_backends

from local.aws import ec2
from local.aws.ebs import Box, stamp
from local.aws.ec2_requests import PageLimits, Reader, chosen_by, refused, stop_on_dry_run, tags_of
from local.replacing import replace

PENDING, RUNNING, SHUTTING_DOWN = ("pending", 0), ("running", 16), ("shutting-down", 32)


class Ec2Box(Box, ec2.Host, Protocol):
    """What this file needs of the cloud in a box: also its other extensions."""


def install(cloud: Ec2Box) -> Ec2Restores:
    """Make moto's EC2 behave like this until `cloud.stack` closes; returns the switches."""
    restores = Ec2Restores(cloud, ec2.installed_in(cloud))
    for name, value in restores.operations().items():
        # moto's operations sit in base classes of EC2Response: set on it, ours come first.
        replace(cloud.stack, EC2Response, name, value)
    moto_attaches = EC2Backend.attach_volume
    replace(cloud.stack, EC2Backend, "attach_volume", restores.checked_attach(moto_attaches))
    replace(cloud.stack, Volume, "status", restores.status())
    return restores


def installed_in(cloud: ec2.Host) -> Ec2Restores:
    """The switches of a box's restores, e.g. `installed_in(cloud).running_takes = …`."""
    restores: Ec2Restores = cloud.extensions[__name__]
    return restores


@dataclass
class Life:
    """When things happen to one volume made from a snapshot."""

    started_at: datetime
    available_from: datetime
    initialised_from: datetime
    trouble: str = ""
    """Why it will end in `error`."""
    deleted_at: datetime | None = None

    def state(self, now: datetime) -> str:
        if self.deleted_at is not None:
            return "deleting"
        if now < self.available_from:
            return "creating"
        return "error" if self.trouble else "available"

    def progress(self, now: datetime) -> int:
        """Of its initialisation, in percent."""
        span = self.initialised_from - self.available_from
        if now >= self.initialised_from or not span:
            return 100
        return max(0, int((now - self.available_from) / span * 100))


@dataclass
class Ec2Restores:
    """What was made from snapshots, and the switches that make it unkind."""

    cloud: Ec2Box
    ec2: ec2.Ec2
    creating_takes: timedelta = timedelta(minutes=1)
    initialising_takes: timedelta = timedelta(minutes=40)
    """From `available` on, until no block has to be fetched from the snapshot any more."""
    deletion_takes: timedelta = timedelta(seconds=30)
    running_takes: timedelta = timedelta(seconds=40)
    """From `pending` to `running`."""
    shutting_down_takes: timedelta = timedelta(minutes=1)
    lives: dict[str, Life] = field(default_factory=dict)
    """By the id of the volume."""
    made: int = 0
    """Volumes that were ever made from a snapshot."""
    started: int = 0
    """Instances that were ever started; EC2 forgets terminated ones after an hour."""
    _doomed: set[str] = field(default_factory=set)
    """Snapshots, of which nothing is made that becomes available."""
    _other_keys: dict[str, str] = field(default_factory=dict)
    """By snapshot, the key that what is made of it gets."""
    _tokens: dict[tuple[str, str], tuple[str, Any]] = field(default_factory=dict)
    """By operation and client token: what was asked, and what was answered."""

    # --- switches ---

    def fail_restores_of(self, snapshot_id: str) -> None:
        """What is made of it ends in `error`."""
        self._doomed.add(snapshot_id)

    def wrong_key(self, snapshot_id: str, key: str) -> None:
        """What is made of it is encrypted under another key."""
        self._other_keys[snapshot_id] = key

    def operations(self) -> dict[str, Callable[[Any], Any]]:
        """API operations, by moto's name for them, that this file answers itself or tells more."""
        return {
            "create_volume": self.once("create_volume", self._slow(EC2Response.create_volume)),
            "run_instances": self.once("run_instances", self._starting(EC2Response.run_instances)),
            "terminate_instances": self._ending(EC2Response.terminate_instances),
            "delete_volume": _as_method(self.delete_volume),
            "describe_volume_status": _as_method(self.describe_volume_status),
        }

    def once(self, name: str, moto_does: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """An operation that a client token keeps from being done twice.

        https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html
        """

        def operation(response: Any) -> Any:
            token = response._get_param("ClientToken")
            if token is None:
                return moto_does(response)
            asked = json.dumps(response._get_params(), sort_keys=True, default=str)
            before, answer = self._tokens.get((name, token), (asked, None))
            if before != asked:
                raise refused(
                    "IdempotentParameterMismatch",
                    "The client token was used before with other parameters.",
                )
            if answer is None:
                answer = moto_does(response)
                self._tokens[name, token] = asked, answer
            return answer

        return operation

    # --- volumes ---

    def _slow(self, moto_does: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVolume.html"""

        def create_volume(response: Any) -> Any:
            answer = moto_does(response)
            volume, now = answer.result, self.ec2.now()
            if not volume.snapshot_id:
                return answer  # an empty one needs no initialisation; it is available at once
            available = now + self.creating_takes
            snapshot = response.ec2_backend.snapshots[volume.snapshot_id]
            key = self._other_keys.get(snapshot.id, snapshot.kms_key_id)
            volume.kms_key_id = volume.kms_key_id or key
            trouble = self._trouble_with(volume.kms_key_id)
            if snapshot.id in self._doomed:
                trouble = "An internal error occurred."
            life = Life(now, available, available + self.initialising_takes, trouble)
            self.lives[volume.id] = life
            self.made += 1
            self._announce(volume.id, life)
            return answer

        return create_volume

    def _trouble_with(self, key: str | None) -> str:
        """The key is looked at after the answer: "the action can appear to complete, but eventually
        fails".
        """
        if not key:
            return ""
        try:
            found = kms_backends[self.cloud.account_id][self.cloud.region].describe_key(key)
        except KeyError:
            return f"{key} does not exist."
        return "" if found.key_state == "Enabled" else f"{key} is {found.key_state.lower()}."

    def _announce(self, volume_id: str, life: Life) -> None:
        clock = self.cloud.clock
        made = {"result": "failed" if life.trouble else "available", "cause": life.trouble}
        clock.at(
            life.available_from,
            lambda: self._send(volume_id, "createVolume", made),
            f"{volume_id} is made",
        )
        if life.trouble:
            return
        done = {"result": "succeeded", "cause": "", "completionTime": stamp(life.initialised_from)}

        def initialised() -> None:
            if self.lives.get(volume_id) is life:
                self._send(volume_id, "initializeVolume", done)

        clock.at(life.initialised_from, initialised, f"{volume_id} is initialised")

    def _send(self, volume_id: str, event: str, detail: dict[str, str]) -> None:
        arn = f"arn:aws:ec2:{self.cloud.region}:{self.cloud.account_id}:volume/{volume_id}"
        detail = {"event": event, "request-id": "", **detail}
        self.ec2._send_event("EBS Volume Notification", [arn], detail)

    def status(self) -> property:
        moto_reads = Volume.status.fget  # type: ignore[attr-defined]

        def status(volume: Any) -> str:
            life = self.lives.get(volume.id)
            state = life.state(self.ec2.now()) if life else "available"
            return str(moto_reads(volume)) if state == "available" else state

        return property(status)

    def checked_attach(self, moto_does: Callable[..., Any]) -> Callable[..., Any]:
        def attach_volume(backend: Any, volume_id: str, *given: Any, **named: Any) -> Any:
            state = backend.get_volume(volume_id).status
            if state not in ("available", "in-use"):
                raise refused("IncorrectState", f"Volume '{volume_id}' is '{state}'.")
            return moto_does(backend, volume_id, *given, **named)

        return attach_volume

    def delete_volume(self, response: Any) -> Any:
        """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteVolume.html"""
        backend, volume_id = response.ec2_backend, response._get_param("VolumeId")
        volume = self._volume(backend, volume_id)
        stop_on_dry_run(response)
        life = self.lives.get(volume_id)
        if volume.status == "in-use" or life is None:
            backend.delete_volume(volume_id)
            return EmptyResult()
        if volume.status == "creating":
            raise refused("IncorrectState", f"The volume '{volume_id}' is 'creating'.")
        if life.deleted_at is None:
            life.deleted_at = self.ec2.now()
            at = life.deleted_at + self.deletion_takes
            self.cloud.clock.at(
                at, lambda: self._forget(backend, volume_id), f"{volume_id} is gone"
            )
        return EmptyResult()

    def _forget(self, backend: Any, volume_id: str) -> None:
        backend.volumes.pop(volume_id, None)
        backend.tags.pop(volume_id, None)
        self.lives.pop(volume_id, None)
        self._send(volume_id, "deleteVolume", {"result": "deleted", "cause": ""})

    def describe_volume_status(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVolumeStatus.html"""
        backend, wanted = response.ec2_backend, response._get_param("VolumeIds", [])
        limits = PageLimits(least=5, most=1000, with_identifiers="volumeSet" if wanted else None)
        size, pages = limits.checked(response), self.ec2.pages
        found = [self._volume(backend, one) for one in wanted] or list(backend.volumes.values())
        found = chosen_by(response, pages.remaining(response, found), STATUS_FILTERS, tags_of)
        stop_on_dry_run(response)
        page, token = pages.cut(found, size, lambda one: str(one.id))
        return ActionResult(
            {"VolumeStatuses": [self._shown(one) for one in page], "NextToken": token}
        )

    def _shown(self, volume: Any) -> dict[str, Any]:
        details = [{"Name": "io-enabled", "Status": "passed"}]
        shown: dict[str, Any] = {
            "VolumeId": volume.id,
            "AvailabilityZone": volume.availability_zone,
            "VolumeStatus": {"Status": "ok", "Details": details},
        }
        if life := self.lives.get(volume.id):
            progress = life.progress(self.ec2.now())
            state = "completed" if progress == 100 else "initializing"
            details.append({"Name": "initialization-state", "Status": state})
            shown["InitializationStatusDetails"] = {
                "InitializationType": "default",
                "Progress": progress,
            }
        return shown

    def _volume(self, backend: Any, volume_id: str) -> Any:
        if volume_id not in backend.volumes:
            raise InvalidVolumeIdError(volume_id)
        return backend.volumes[volume_id]

    # --- instances ---

    def _starting(self, moto_does: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html"""

        def run_instances(response: Any) -> Any:
            answer = moto_does(response)
            for instance in answer.result.instances:
                self.started += 1
                _put_into(instance, PENDING)
                self._later(instance, self.running_takes, PENDING, RUNNING)
            return answer

        return run_instances

    def _ending(self, moto_does: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Moto ends an instance at once; what it has gone with it, its volumes, is gone at once."""

        def terminate_instances(response: Any) -> Any:
            asked = response._get_param("InstanceIds", [])
            before = {
                one.id
                for one in response.ec2_backend.get_multi_instances_by_id(asked)
                if one.state != "terminated"
            }
            answer = moto_does(response)
            for instance in response.ec2_backend.get_multi_instances_by_id(sorted(before)):
                _put_into(instance, SHUTTING_DOWN)
                self._later(instance, self.shutting_down_takes, SHUTTING_DOWN, ("terminated", 48))
            return answer

        return terminate_instances

    def _later(
        self, instance: Any, after: timedelta, then: tuple[str, int], state: tuple[str, int]
    ) -> None:
        def become() -> None:
            if instance.state == then[0]:  # nobody has stopped it meanwhile
                _put_into(instance, state)

        at = self.ec2.now() + after
        self.cloud.clock.at(at, become, f"{instance.id} is {state[0]}")


STATUS_FILTERS: dict[str, Reader] = {
    "availability-zone": lambda one: [one.availability_zone],
}


def _put_into(instance: Any, state: tuple[str, int]) -> None:
    instance._state.name, instance._state.code = state


def _as_method(handler: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Moto finds the operations of a response class by looking for plain functions."""

    def operation(response: Any) -> Any:
        return handler(response)

    return operation
