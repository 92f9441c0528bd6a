"""EC2: making volumes from snapshots for a drill, and a verifier that looks at them; taking both
down.

One class per right, so that a function composed of them needs exactly the actions that they name.
EC2 chooses the ids: a client token makes nothing twice, and a tag, set in the call that makes, says
which drill it is of. Only what has that tag is ever changed or deleted here; rights in
template.yaml say the same.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from watchkeeper import naming
from watchkeeper.aws.client import client
from watchkeeper.aws.errors import NotThere, Refused, translated
from watchkeeper.aws.iam import needs
from watchkeeper.aws.restores_rds import check_is_drill

PAGE = 200
"""Well below the most that EC2 gives a page, 500: answers of all volumes at once take seconds."""
GONE = frozenset({"shutting-down", "terminated"})
"""States of an instance that is going, or gone; EC2 shows it for an hour longer."""
DELETING = "deleting"
LATER = frozenset({"IncorrectState", "VolumeInUse"})
"""Refusals that pass by themselves: it is still being created, or its instance is still there."""
VOLUME_TYPE = "gp3"
"""The cheapest that has no credits to run out of."""

Tags = Mapping[str, str]
Described = Mapping[str, Any]


@dataclass(frozen=True)
class Isolation:
    """Where drills start verifiers: nothing leads in or out but their connection to SSM."""

    subnet: str
    zone: str
    """Of the subnet: a volume attaches only there."""
    security_group: str
    instance_profile: str
    """The name."""
    image: str
    instance_type: str


@dataclass(frozen=True)
class RestoredVolume:
    """A volume that a drill made."""

    id: str
    state: str
    """In the words of EC2, e.g. `creating`, `available`, `in-use`, `error`, `deleting`."""
    snapshot: str
    attached_to: str
    """The id of an instance; empty if to none."""
    created_at: datetime
    initialised: int | None
    """Percent of its blocks that need no more fetching; None while EC2 does not say."""
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True)
class Verifier:
    """An instance that a drill started."""

    id: str
    state: str
    """In the words of EC2, e.g. `pending`, `running`, `shutting-down`, `terminated`."""
    started_at: datetime
    tags: Tags = field(default_factory=dict)

    @property
    def is_gone(self) -> bool:
        return self.state in GONE


class _Ec2:
    @cached_property
    def client(self) -> Any:
        return client("ec2")

    def _pages(self, operation: str, key: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        """Every item under `key`, page after page."""
        pages = self.client.get_paginator(operation).paginate(
            **arguments, PaginationConfig={"PageSize": PAGE}
        )
        call = self.client.meta.method_to_api_mapping[operation]
        with translated(f"ec2:{call}"):
            for page in pages:
                yield from page[key]


class VolumeRestorer(_Ec2):
    """Makes volumes and verifiers; it can delete none.

    EC2 uses the key of an encrypted snapshot in the name of whoever asks:
    https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html
    """

    def __init__(self, isolation: Isolation) -> None:
        self.isolation = isolation

    @needs(
        "ec2:CreateVolume", "ec2:CreateTags", "kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey",
        "kms:GenerateDataKeyWithoutPlaintext",
    )  # fmt: skip
    def restore(self, snapshot_id: str, tags: Tags) -> str:
        """The id of a volume: for the same drill and snapshot the same one. Without the snapshot's
        key EC2 answers so, too, and the volume ends in `error`. Raises NotThere, or Refused
        (`IncorrectState`) while the snapshot is pending.
        """
        call = "ec2:CreateVolume"
        drill = _drill(call, tags)
        with translated(call):
            answer = self.client.create_volume(
                SnapshotId=snapshot_id,
                AvailabilityZone=self.isolation.zone,
                VolumeType=VOLUME_TYPE,
                ClientToken=naming.short_id(f"{drill}|{snapshot_id}"),
                TagSpecifications=[{"ResourceType": "volume", "Tags": _as_list(tags)}],
            )
        return str(answer["VolumeId"])

    @needs("ec2:RunInstances", "ec2:CreateTags", "iam:PassRole")
    def start_verifier(self, tags: Tags) -> str:
        """The id of an instance: for the same drill the same one."""
        call = "ec2:RunInstances"
        drill = _drill(call, tags)
        there = self.isolation
        tagged = [
            {"ResourceType": kind, "Tags": _as_list(tags)}
            for kind in ("instance", "volume", "network-interface")
        ]
        with translated(call):
            [made] = self.client.run_instances(
                ImageId=there.image,
                InstanceType=there.instance_type,
                MinCount=1,
                MaxCount=1,
                ClientToken=drill,
                IamInstanceProfile={"Name": there.instance_profile},
                NetworkInterfaces=[
                    {
                        "DeviceIndex": 0,
                        "SubnetId": there.subnet,
                        "Groups": [there.security_group],
                        "AssociatePublicIpAddress": False,
                        "DeleteOnTermination": True,
                    }
                ],
                MetadataOptions={"HttpTokens": "required"},
                # Nobody has to find and delete it if it switches itself off.
                InstanceInitiatedShutdownBehavior="terminate",
                TagSpecifications=tagged,
            )["Instances"]
        return str(made["InstanceId"])

    @needs("ec2:AttachVolume")
    def attach(self, volume: RestoredVolume, verifier: Verifier, device: str) -> None:
        """Raises Refused (`IncorrectState`) while either is not ready."""
        call = "ec2:AttachVolume"
        if volume.attached_to == verifier.id:
            return
        _drill(call, volume.tags)
        _drill(call, verifier.tags)
        with translated(call):
            self.client.attach_volume(VolumeId=volume.id, InstanceId=verifier.id, Device=device)


class RestoredVolumes(_Ec2):
    """Looks at what drills have made."""

    @needs("ec2:DescribeVolumes", "ec2:DescribeVolumeStatus")
    def volumes(self, drill: str = "*") -> list[RestoredVolume]:
        """Those of one drill, or of all. Describe lags: an empty answer is no proof of none."""
        found = [
            one
            for one in self._pages("describe_volumes", "Volumes", Filters=_tagged(drill))
            if naming.is_drill(_tags(one)[naming.TAG_DRILL])
        ]
        progress = self._progress([one["VolumeId"] for one in found if one.get("SnapshotId")])
        return [_volume(one, progress.get(one["VolumeId"])) for one in found]

    def _progress(self, ids: Sequence[str]) -> dict[str, int]:
        """Percent initialised, of those that EC2 says it of: up to five minutes late."""
        if not ids:
            return {}
        try:
            with translated("ec2:DescribeVolumeStatus"):
                answer = self.client.describe_volume_status(VolumeIds=ids)["VolumeStatuses"]
        except NotThere:  # one of them is gone since it was described: then the next look will say
            return {}
        return {
            one["VolumeId"]: one["InitializationStatusDetails"]["Progress"]
            for one in answer
            if "Progress" in one.get("InitializationStatusDetails", {})
        }

    @needs("ec2:DescribeInstances")
    def verifiers(self, drill: str = "*") -> list[Verifier]:
        """Those of one drill, or of all; terminated ones for as long as EC2 shows them."""
        reservations = self._pages("describe_instances", "Reservations", Filters=_tagged(drill))
        found = (_verifier(one) for some in reservations for one in some["Instances"])
        return [one for one in found if naming.is_drill(one.tags[naming.TAG_DRILL])]


class VolumeDismantler(_Ec2):
    """Deletes what drills have made, and nothing else; it can make none."""

    @needs("ec2:TerminateInstances")
    def terminate(self, verifiers: Iterable[Verifier]) -> None:
        """Those that are not going already. Raises Refused of what has no drill's tag."""
        call = "ec2:TerminateInstances"
        for verifier in verifiers:
            _drill(call, verifier.tags)
            if verifier.is_gone:
                continue
            try:
                with translated(call):
                    self.client.terminate_instances(InstanceIds=[verifier.id])
            except NotThere:
                continue

    @needs("ec2:DeleteVolume")
    def delete(self, volume: RestoredVolume) -> str:
        """What has to pass first; empty if it is being deleted, or gone. Raises Refused of what has
        no drill's tag.
        """
        call = "ec2:DeleteVolume"
        _drill(call, volume.tags)
        if volume.state == DELETING:
            return ""
        try:
            with translated(call):
                self.client.delete_volume(VolumeId=volume.id)
        except NotThere:
            return ""
        except Refused as error:
            if error.code not in LATER:
                raise
            return f"EC2 does not delete it while it is {volume.state}"
        return ""


# ── Shapes ────────────────────────────────────────────────────────────────────────────────────────


def _drill(call: str, tags: Tags) -> str:
    """The drill that tags name. Raises Refused if they name none."""
    drill = tags.get(naming.TAG_DRILL, "")
    check_is_drill(call, drill)
    return drill


def _tagged(drill: str) -> list[dict[str, object]]:
    return [{"Name": f"tag:{naming.TAG_DRILL}", "Values": [drill]}]


def _volume(found: Described, progress: int | None) -> RestoredVolume:
    attached = [one["InstanceId"] for one in found["Attachments"] if one["State"] != "detached"]
    return RestoredVolume(
        id=found["VolumeId"],
        state=found["State"],
        snapshot=found.get("SnapshotId", ""),
        attached_to=attached[0] if attached else "",
        created_at=found["CreateTime"],
        initialised=progress,
        tags=_tags(found),
    )


def _verifier(found: Described) -> Verifier:
    state = found["State"]["Name"]
    return Verifier(found["InstanceId"], state, found["LaunchTime"], _tags(found))


def _tags(described: Described) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in described.get("Tags", [])}


def _as_list(tags: Tags) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
