"""EC2: making volumes from snapshots for a drill, and taking them down.

One class per right, so that a function composed of them needs exactly the actions that they name.
EC2 chooses the ids: a client token makes nothing twice, and a tag, set in the call that makes, says
which drill it is of. Only what has that tag is ever changed or deleted here; rights in
template.yaml say the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from watchkeeper import naming
from watchkeeper.aws.client import client
from watchkeeper.aws.errors import NotThere, Refused, translated
from watchkeeper.aws.iam import needs
from watchkeeper.aws.paging import paged
from watchkeeper.aws.restores_rds import check_is_drill

PAGE = 200
"""Well below the most that EC2 gives a page, 500: answers of all volumes at once take seconds."""
DELETING = "deleting"
ATTACHED = "attached"
LATER = frozenset({"IncorrectState", "VolumeInUse"})
"""Refusals that pass by themselves: it is still being created, or its instance is still there."""
VOLUME_TYPE = "gp3"
"""The cheapest that has no credits to run out of."""

Tags = Mapping[str, str]
Described = Mapping[str, Any]


@dataclass(frozen=True)
class RestoredVolume:
    """A volume that a drill made."""

    id: str
    state: str
    """In the words of EC2, e.g. `creating`, `available`, `in-use`, `error`, `deleting`."""
    snapshot: str
    attached_to: str
    """The id of an instance; empty if to none."""
    initialised: int | None
    """Percent of its blocks that need no more fetching; None while EC2 does not say."""
    tags: Tags = field(default_factory=dict)
    attachment: str = ""
    """In the words of EC2, e.g. `attaching`, `attached`; empty if to nothing."""
    gib: int = 0
    key: str = ""
    """The ARN of the KMS key that it is encrypted under; empty if it is not encrypted."""


class Ec2:
    @cached_property
    def client(self) -> Any:
        return client("ec2")

    def pages(self, operation: str, key: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        """Every item under `key`, page after page."""
        return paged(self.client, operation, key, PAGE, **arguments)


class VolumeRestorer(Ec2):
    """Makes volumes; it can delete none.

    EC2 uses the key of an encrypted snapshot in the name of whoever asks:
    https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html
    """

    def __init__(self, zone: str) -> None:
        self.zone = zone
        """Of the verifier: a volume attaches only there."""

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
        drill = drill_in(call, tags)
        with translated(call):
            answer = self.client.create_volume(
                SnapshotId=snapshot_id,
                AvailabilityZone=self.zone,
                VolumeType=VOLUME_TYPE,
                ClientToken=naming.short_id(f"{drill}|{snapshot_id}"),
                TagSpecifications=[{"ResourceType": "volume", "Tags": as_list(tags)}],
            )
        return str(answer["VolumeId"])

    @needs("ec2:AttachVolume")
    def attach(self, volume: RestoredVolume, instance_id: str, device: str) -> str:
        """What has to pass first; empty once EC2 shows it attached to this verifier. Raises Refused
        if it is attached to something else, or to what is no drill's.
        """
        call = "ec2:AttachVolume"
        drill_in(call, volume.tags)
        if volume.attached_to not in ("", instance_id):
            where = f"{volume.id} is attached to {volume.attached_to}"
            raise Refused(call, "VolumeInUse", where)
        if volume.attached_to == instance_id:
            is_done = volume.attachment == ATTACHED
            return "" if is_done else f"EC2 to finish attaching {volume.id}"
        try:
            with translated(call):
                self.client.attach_volume(VolumeId=volume.id, InstanceId=instance_id, Device=device)
        except Refused as error:
            # Describe may lag behind an attempt that nobody heard of.
            if error.code not in LATER:
                raise
        return f"EC2 to attach {volume.id}"


class RestoredVolumes(Ec2):
    """Looks at what drills have made."""

    @needs("ec2:DescribeVolumes", "ec2:DescribeVolumeStatus")
    def volumes(self, drill: str = "*") -> list[RestoredVolume]:
        """Those of one drill, or of all. Describe lags: an empty answer is no proof of none."""
        found = [
            one
            for one in self.pages("describe_volumes", "Volumes", Filters=of_drill(drill))
            if naming.is_drill(tags_of(one)[naming.TAG_DRILL])
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


class VolumeDismantler(Ec2):
    """Deletes what drills have made, and nothing else; it can make none."""

    @needs("ec2:DeleteVolume")
    def delete(self, volume: RestoredVolume) -> str:
        """What has to pass first; empty if it is being deleted, or gone. Raises Refused of what has
        no drill's tag.
        """
        call = "ec2:DeleteVolume"
        drill_in(call, volume.tags)
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


def drill_in(call: str, tags: Tags) -> str:
    """The drill that tags name. Raises Refused if they name none."""
    drill = tags.get(naming.TAG_DRILL, "")
    check_is_drill(call, drill)
    return drill


def of_drill(drill: str) -> list[dict[str, object]]:
    return [{"Name": f"tag:{naming.TAG_DRILL}", "Values": [drill]}]


def _volume(found: Described, progress: int | None) -> RestoredVolume:
    attached = [one for one in found["Attachments"] if one["State"] != "detached"]
    held = attached[0] if attached else {}
    return RestoredVolume(
        id=found["VolumeId"],
        state=found["State"],
        snapshot=found.get("SnapshotId", ""),
        attached_to=held.get("InstanceId", ""),
        initialised=progress,
        tags=tags_of(found),
        attachment=held.get("State", ""),
        gib=found["Size"],
        key=found.get("KmsKeyId", ""),
    )


def tags_of(described: Described) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in described.get("Tags", [])}


def as_list(tags: Tags) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
