"""EC2 as AWS documents it, where moto answers at once, answers wrongly, or has no API.

`install(cloud)` patches moto's classes until `cloud.stack` closes, so the same boto3 code runs
here, over HTTP against moto's server, and in AWS. What it adds:

- snapshots that take their time, and their locks, limits and events (`ebs.py`);
- paging, owners, sharing and filters, with AWS's error for an unknown one (`ec2_requests.py`);
- CreateSnapshots and CreateImage over all volumes of an instance;
- terminated instances that stay visible for an hour; volumes that attach once, in their zone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from moto.core.responses import ActionResult
from moto.ec2.exceptions import InvalidAMIIdError, InvalidTaggableResourceType
from moto.ec2.models import EC2Backend
from moto.ec2.models.amis import Ami
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.models.instances import Instance
from moto.ec2.responses import EC2Response
from moto.ec2.utils import random_ami_id

from local.aws.ebs import Box, Life, Snapshots, existing_instance
from local.aws.ec2_requests import (
    PageLimits,
    Reader,
    checked_specifications,
    chosen_by,
    listed_tags,
    refused,
    stop_on_dry_run,
    tags_of,
    without_reserved_tags,
)
from local.replacing import replace

# "Terminated instances remain visible after termination (for approximately one hour)":
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_TerminateInstances.html
TERMINATED_VISIBLE_FOR = timedelta(hours=1)


class Host(Protocol):
    """A box that keeps what installing an extension gave, by the extension's module name."""

    @property
    def extensions(self) -> dict[str, Any]: ...


def install(cloud: Box) -> Ec2:
    """Make moto's EC2 behave like this until `cloud.stack` closes; returns the switches."""
    ec2 = Ec2(cloud)
    for name, handler in ec2.operations().items():
        # moto's operations sit in base classes of EC2Response: set on it, ours come first.
        setattr(EC2Response, name, _as_method(handler))
        cloud.stack.callback(delattr, EC2Response, name)
    for owner, name, value in ec2.corrections():
        replace(cloud.stack, owner, name, value)
    return ec2


def installed_in(cloud: Host) -> Ec2:
    """The switches of a box's EC2, e.g. `installed_in(cloud).fail_snapshot_of(volume_id)`."""
    ec2: Ec2 = cloud.extensions[__name__]
    return ec2


def _as_method(handler: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
    """Moto finds the operations of a response class by looking for plain functions."""

    def operation(response: Any) -> ActionResult:
        return handler(response)

    return operation


@dataclass
class Ec2(Snapshots):
    """What the installed EC2 remembers, and its switches."""

    _mappings: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _terminated_at: dict[str, datetime] = field(default_factory=dict)

    def operations(self) -> dict[str, Callable[[Any], ActionResult]]:
        """API operations, by moto's name for them, that this file answers itself."""
        return {
            "create_snapshot": self.create_snapshot,
            "create_snapshots": self.create_snapshots,
            "delete_snapshot": self.delete_snapshot,
            "describe_snapshots": self.describe_snapshots,
            "lock_snapshot": self.lock_snapshot,
            "unlock_snapshot": self.unlock_snapshot,
            "describe_locked_snapshots": self.describe_locked_snapshots,
            "describe_volumes": self.describe_volumes,
            "describe_instances": self.describe_instances,
            "describe_images": self.describe_images,
            "create_image": self.create_image,
        }

    def corrections(self) -> list[tuple[object, str, object]]:
        """What else of moto is replaced: (class, attribute, value)."""
        return [
            (TaggedEC2Resource, "get_tags", listed_tags),
            (EC2Response, "_parse_tag_specification", checked_specifications()),
            (EC2Response, "create_tags", without_reserved_tags(EC2Response.create_tags)),
            (EC2Response, "delete_tags", without_reserved_tags(EC2Response.delete_tags)),
            (
                EC2Backend,
                "get_snapshot",
                self._moto_get_snapshot(),
            ),
            (EC2Backend, "describe_snapshots", self._moto_describe_snapshots()),
            (EC2Backend, "attach_volume", _checked_attach(EC2Backend.attach_volume)),
            (EC2Backend, "detach_volume", _detach_by_volume(EC2Backend.detach_volume)),
            (
                EC2Backend,
                "all_reservations",
                self._visible_reservations(EC2Backend.all_reservations),
            ),
            (Instance, "terminate", self._remembered_termination(Instance.terminate)),
            (Ami, "block_device_mappings", self._image_mappings()),
        ]

    # --- volumes and instances ---

    def describe_volumes(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVolumes.html"""
        backend = response.ec2_backend
        wanted = response._get_param("VolumeIds", [])
        # The page says of MaxResults: a value larger than 500 returns 500 results.
        limits = PageLimits(least=5, most=500, with_identifiers="volumeSet" if wanted else None)
        size = limits.checked(response)
        found = [self._volume(backend, one) for one in wanted] or list(
            backend.volumes.copy().values()
        )
        found = self.pages.remaining(response, found)
        found = chosen_by(response, found, VOLUME_FILTERS, tags_of)
        stop_on_dry_run(response)
        page, token = self.pages.cut(found, size, lambda one: str(one.id))
        return ActionResult({"Volumes": page, "NextToken": token})

    def describe_instances(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html"""
        backend = response.ec2_backend
        wanted = response._get_param("InstanceIds", [])
        limits = PageLimits(
            5, 1000, refuses_more=True, with_identifiers="instancesSet" if wanted else None
        )
        size = limits.checked(response)
        reservations = (
            backend.get_reservations_by_instance_ids(wanted)
            if wanted
            else backend.all_reservations()
        )
        reservations = self.pages.remaining(response, reservations)
        for reservation in reservations:
            for instance in reservation.instances:
                instance.reservation_id = reservation.id  # a filter asks; moto's do not know it
        instances = [instance for one in reservations for instance in one.instances]
        chosen = set(map(id, chosen_by(response, instances, INSTANCE_FILTERS, tags_of)))
        for reservation in reservations:
            reservation.instances = [one for one in reservation.instances if id(one) in chosen]
        reservations = [one for one in reservations if one.instances]
        stop_on_dry_run(response)
        page, token = self.pages.cut(reservations, size, lambda one: str(one.id))
        return ActionResult({"Reservations": page, "NextToken": token})

    def _visible_reservations(
        self, moto_does: Callable[..., list[Any]]
    ) -> Callable[..., list[Any]]:
        def all_reservations(backend: Any, filters: Any = None) -> list[Any]:
            reservations = moto_does(backend, filters)
            earliest = self.now() - TERMINATED_VISIBLE_FOR
            for reservation in reservations:
                reservation.instances = [
                    one
                    for one in reservation.instances
                    if self._terminated_at.get(one.id, self.now()) > earliest
                ]
            return [one for one in reservations if one.instances]

        return all_reservations

    def _remembered_termination(self, moto_does: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def terminate(instance: Any) -> Any:
            if (
                instance.state == "terminated"
            ):  # "if you terminate an instance more than once, each call succeeds"
                return instance.instance_state
            previous = moto_does(instance)
            self._terminated_at[instance.id] = self.now()
            return previous

        return terminate

    # --- images ---

    def describe_images(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html"""
        backend = response.ec2_backend
        wanted = response._get_param("ImageIds", [])
        size = PageLimits(least=1, most=1000).checked(response)
        unknown = [
            one for one in wanted if one not in backend.amis and one not in backend.deleted_amis
        ]
        if unknown:
            raise InvalidAMIIdError(unknown)
        found = backend.describe_images(
            ami_ids=wanted,
            exec_users=response._get_param("ExecutableUsers", []),
            owners=response._get_param("Owners", []),
        )
        mine = [one for one in found if one.owner_id == backend.account_id or one.is_public]
        mine = self.pages.remaining(response, mine)
        mine = chosen_by(response, mine, IMAGE_FILTERS, tags_of)
        stop_on_dry_run(response)
        page, token = self.pages.cut(mine, size, lambda one: str(one.id))
        return ActionResult({"Images": page, "NextToken": token})

    def create_image(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateImage.html"""
        backend = response.ec2_backend
        instance = existing_instance(backend, response._get_param("InstanceId"))
        name = response._get_param("Name", "")
        namesake = next((one.id for one in backend.amis.values() if one.name == name), None)
        if namesake:
            raise refused(
                "InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {namesake}"
            )
        specifications = response._parse_tag_specification()
        for kind in specifications.keys() - {"image", "snapshot"}:
            raise InvalidTaggableResourceType(kind)
        stop_on_dry_run(response)
        image_id = random_ami_id()
        begun = {
            device: self._begin(
                backend,
                backend.volumes[attached.volume_id],
                f"Created by CreateImage({instance.id}) for {image_id}",
                specifications.get("snapshot", {}),
                image_id,
            )
            for device, attached in instance.get_block_device_mapping
        }
        self._mappings[image_id] = [
            _image_mapping(
                device, backend.snapshots[life.snapshot_id], instance.block_device_mapping[device]
            )
            for device, life in begun.items()
        ]
        self._register(backend, image_id, instance, name, response._get_param("Description"))
        backend.amis[image_id].add_tags(specifications.get("image", {}))
        self._make_available(backend.amis[image_id], list(begun.values()))
        return ActionResult({"ImageId": image_id})

    def _register(
        self, backend: Any, image_id: str, instance: Any, name: str, description: str | None
    ) -> None:
        image = Ami(backend, image_id, instance=instance, name=name, description=description)
        # moto gives every image a snapshot of a made-up volume; this one has its instance's.
        backend.snapshots.pop(image.ebs_snapshot.id, None)
        image.root_device_name, image.root_device_type = instance.root_device_name, "ebs"
        image.state = "pending"
        backend.amis[image_id] = image

    def _make_available(self, image: Any, lives: list[Life]) -> None:
        """An image can be used once all of its snapshots are complete."""

        def settle() -> None:
            image.state = "failed" if any(life.failure for life in lives) else "available"
            self._send_event(
                "EC2 AMI State Change",
                [f"arn:aws:ec2:{self.cloud.region}::image/{image.id}"],
                {"RequestId": "", "ImageId": image.id, "State": image.state, "ErrorMessage": ""},
            )

        for life in lives:
            self._end_alone(life)
        self.cloud.clock.at(
            max(life.ends_at for life in lives), settle, f"{image.id} becomes available"
        )

    def _image_mappings(self) -> property:
        moto_does = Ami.block_device_mappings.fget  # type: ignore[attr-defined]

        def block_device_mappings(image: Any) -> list[dict[str, Any]]:
            return self._mappings.get(image.id) or list(moto_does(image))

        return property(block_device_mappings)


def _mapped(name: str, *more: str) -> Reader:
    """Reads `name` of every block device of an image, e.g. `Ebs`, `SnapshotId`."""

    def read(image: Any) -> list[object]:
        values: list[Any] = list(image.block_device_mappings)
        for step in (name, *more):
            values = [value.get(step) for value in values]
        return values

    return read


def _attachment(name: str) -> Reader:
    return lambda volume: [getattr(one, name) for one in volume.attachments]


VOLUME_FILTERS: dict[str, Reader] = {
    "attachment.attach-time": _attachment("attach_time"),
    "attachment.delete-on-termination": _attachment("delete_on_termination"),
    "attachment.device": _attachment("device"),
    "attachment.instance-id": _attachment("instance_id"),
    "attachment.status": _attachment("status"),
    "availability-zone": lambda one: [one.availability_zone],
    "create-time": lambda one: [one.create_time],
    "encrypted": lambda one: [bool(one.encrypted)],
    "multi-attach-enabled": lambda one: [bool(one.multi_attach_enabled)],
    "size": lambda one: [one.size],
    "snapshot-id": lambda one: [one.snapshot_id],
    "status": lambda one: [one.status],
    "volume-id": lambda one: [one.id],
    "volume-type": lambda one: [one.volume_type],
}

INSTANCE_FILTERS: dict[str, Reader] = {
    "architecture": lambda one: [one.architecture],
    "availability-zone": lambda one: [one.availability_zone],
    "block-device-mapping.device-name": lambda one: [
        device for device, _ in one.get_block_device_mapping
    ],
    "block-device-mapping.volume-id": lambda one: [
        m.volume_id for _, m in one.get_block_device_mapping
    ],
    "dns-name": lambda one: [one.public_dns_name],
    "image-id": lambda one: [one.image_id],
    "instance-id": lambda one: [one.id],
    "instance-state-code": lambda one: [one.state_code],
    "instance-state-name": lambda one: [one.state],
    "instance-type": lambda one: [one.instance_type],
    "instance.group-id": lambda one: [group.id for group in one.security_groups],
    "instance.group-name": lambda one: [group.name for group in one.security_groups],
    "ip-address": lambda one: [one.public_ip_address],
    "key-name": lambda one: [one.key_name],
    "launch-time": lambda one: [one.launch_time],
    "owner-id": lambda one: [one.owner_id],
    "private-dns-name": lambda one: [one.private_dns_name],
    "private-ip-address": lambda one: [one.private_ip_address],
    "reservation-id": lambda one: [one.reservation_id],
    "root-device-name": lambda one: [one.root_device_name],
    "root-device-type": lambda one: [one.root_device_type],
    "source-dest-check": lambda one: [bool(one.source_dest_check)],
    "state-reason-code": lambda one: [one.state_reason.code],
    "subnet-id": lambda one: [one.subnet_id],
    "vpc-id": lambda one: [one.vpc_id],
}

IMAGE_FILTERS: dict[str, Reader] = {
    "architecture": lambda one: [one.architecture],
    "block-device-mapping.device-name": _mapped("DeviceName"),
    "block-device-mapping.snapshot-id": _mapped("Ebs", "SnapshotId"),
    "block-device-mapping.volume-size": _mapped("Ebs", "VolumeSize"),
    "block-device-mapping.volume-type": _mapped("Ebs", "VolumeType"),
    "creation-date": lambda one: [one.creation_date],
    "description": lambda one: [one.description],
    "image-id": lambda one: [one.id],
    "image-type": lambda one: [one.image_type],
    "is-public": lambda one: [one.is_public],
    "name": lambda one: [one.name],
    "owner-alias": lambda one: [one.owner_alias],
    "owner-id": lambda one: [one.owner_id],
    "platform": lambda one: [one.platform],
    "root-device-name": lambda one: [one.root_device_name],
    "root-device-type": lambda one: [one.root_device_type],
    "source-instance-id": lambda one: [one.source_instance_id],
    "state": lambda one: [one.state],
    "virtualization-type": lambda one: [one.virtualization_type],
}


def _image_mapping(device: str, snapshot: Any, attached: Any) -> dict[str, Any]:
    return {
        "DeviceName": device,
        "Ebs": {
            "SnapshotId": snapshot.id,
            "VolumeSize": snapshot.volume.size,
            "VolumeType": snapshot.volume.volume_type,
            "DeleteOnTermination": attached.delete_on_termination,
            "Encrypted": bool(snapshot.encrypted),
        },
    }


def _checked_attach(moto_does: Callable[..., Any]) -> Callable[..., Any]:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AttachVolume.html"""

    def attach_volume(
        backend: Any,
        volume_id: str,
        instance_id: str,
        device_path: str,
        delete_on_termination: bool = False,  # noqa: FBT001, FBT002 (moto's signature)
    ) -> Any:
        volume, instance = backend.get_volume(volume_id), backend.get_instance(instance_id)
        if volume.attachment:
            holder = volume.attachment.instance.id
            raise refused(
                "VolumeInUse", f"{volume_id} is already attached to an instance: {holder}"
            )
        if volume.availability_zone not in (None, instance.availability_zone):
            raise refused(
                "InvalidVolume.ZoneMismatch",
                f"The volume '{volume_id}' is not in the same availability zone as instance "
                f"'{instance_id}'",
            )
        made = moto_does(backend, volume_id, instance_id, device_path, delete_on_termination)
        made.delete_on_termination = (
            delete_on_termination  # DescribeVolumes shows it; moto drops it
        )
        return made

    return attach_volume


def _detach_by_volume(moto_does: Callable[..., Any]) -> Callable[..., Any]:
    """DetachVolume needs no InstanceId; moto does."""

    def detach_volume(
        backend: Any, volume_id: str, instance_id: str | None, device_path: str | None
    ) -> Any:
        volume = backend.get_volume(volume_id)
        if instance_id is None:
            if volume.attachment is None:
                raise refused(
                    "IncorrectState", f"Volume '{volume_id}' is in the 'available' state."
                )
            instance_id = volume.attachment.instance.id
        return moto_does(backend, volume_id, instance_id, device_path)

    return detach_volume
