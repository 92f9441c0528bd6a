"""EC2: making volumes from snapshots beside their originals.

What is made here stays: there is nothing in this file that deletes. EC2 chooses the ids: a client
token makes nothing twice, and a tag, set in the call that makes, says which recovery it is of. Only
what has that tag is tagged further; rights in template.yaml say the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from watchkeeper import naming
from watchkeeper.aws.client import client
from watchkeeper.aws.errors import NotThere, translated
from watchkeeper.aws.iam import needs
from watchkeeper.aws.recover_rds import check_is_recovered

GONE = frozenset({"deleting", "deleted", "terminated", "shutting-down"})

Tags = Mapping[str, str]
Shown = Mapping[str, Any]


@dataclass(frozen=True)
class RecoveredVolume:
    """A volume that a recovery made."""

    id: str
    state: str
    """In the words of EC2, e.g. `creating`, `available`, `error`."""
    snapshot: str
    tags: Tags
    shown: Shown
    """Its settings, as `OriginalVolumes.volumes` has them."""


class _Ec2:
    @cached_property
    def client(self) -> Any:
        return client("ec2")

    def _volumes(self, name: str, values: list[str]) -> list[dict[str, Any]]:
        """Those that a filter finds: unlike a list of ids, it is no error if some are gone."""
        pages = self.client.get_paginator("describe_volumes").paginate(
            Filters=[{"Name": name, "Values": values}]
        )
        with translated("ec2:DescribeVolumes"):
            return [one for page in pages for one in page["Volumes"] if one["State"] not in GONE]


class OriginalVolumes(_Ec2):
    """What is still there of an original."""

    @needs("ec2:DescribeVolumes")
    def volumes(self, ids: Iterable[str]) -> dict[str, Shown]:
        """Settings by id, of those that are still there."""
        found = self._volumes("volume-id", sorted(ids))
        return {one["VolumeId"]: _shown(one) for one in found}

    @needs("ec2:DescribeVolumes")
    def tags(self, ids: Iterable[str]) -> dict[str, Tags]:
        """By id, of those that are still there."""
        found = self._volumes("volume-id", sorted(ids))
        return {one["VolumeId"]: _tags(one) for one in found}

    @needs("ec2:DescribeInstances")
    def instance(self, instance_id: str) -> Shown:
        """Where an instance is, and which device it starts from. Raises NotThere."""
        with translated("ec2:DescribeInstances"):
            answer = self.client.describe_instances(InstanceIds=[instance_id])["Reservations"]
        found = next((one for each in answer for one in each["Instances"]), None)
        if found is None or found["State"]["Name"] in GONE:
            raise NotThere("ec2:DescribeInstances", "InvalidInstanceID.NotFound", instance_id)
        return {
            "id": instance_id,
            "zone": found["Placement"]["AvailabilityZone"],
            "root": found.get("RootDeviceName", ""),
        }


class VolumeRecoverer(_Ec2):
    """Makes volumes, and tags what it has made; it can delete none.

    EC2 uses the key of an encrypted snapshot in the name of whoever asks:
    https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html
    """

    @needs(
        "ec2:CreateVolume", "ec2:CreateTags", "kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey",
        "kms:GenerateDataKeyWithoutPlaintext",
    )  # fmt: skip
    def restore(self, snapshot_id: str, zone: str, settings: Shown, tags: Tags) -> str:
        """The id of a volume: for the same recovery and snapshot the same one. Without the
        snapshot's key EC2 answers so, too, and the volume ends in `error`. Raises NotThere.
        """
        call = "ec2:CreateVolume"
        recovered = tags[naming.TAG_RECOVERED]
        check_is_recovered(call, recovered)
        with translated(call):
            answer = self.client.create_volume(
                SnapshotId=snapshot_id,
                AvailabilityZone=zone,
                ClientToken=naming.short_id(f"{recovered}|{snapshot_id}"),
                TagSpecifications=[{"ResourceType": "volume", "Tags": _as_list(tags)}],
                **settings,
            )
        return str(answer["VolumeId"])

    @needs("ec2:CreateTags")
    def tag(self, volume_id: str, tags: Tags) -> None:
        """Of a volume that this has made; again and again to the same effect."""
        with translated("ec2:CreateTags"):
            self.client.create_tags(Resources=[volume_id], Tags=_as_list(tags))

    @needs("ec2:DescribeVolumes")
    def made(self, recovered: str) -> list[RecoveredVolume]:
        """By one recovery. Describe lags: an empty answer is no proof of none."""
        found = self._volumes(f"tag:{naming.TAG_RECOVERED}", [recovered])
        return [
            RecoveredVolume(
                one["VolumeId"], one["State"], one.get("SnapshotId", ""), _tags(one), _shown(one)
            )
            for one in found
        ]


SETTINGS = {
    "VolumeType": "",
    "Iops": 0,
    "Throughput": 0,
    "MultiAttachEnabled": False,
}
"""By the name that Describe and CreateVolume share, what it is where EC2 shows none."""


def _shown(found: Mapping[str, Any]) -> dict[str, Any]:
    attached = [one for one in found.get("Attachments", []) if one["State"] != "detached"]
    return {
        **{name: found.get(name, default) for name, default in SETTINGS.items()},
        "zone": found["AvailabilityZone"],
        "key": found.get("KmsKeyId", ""),
        "instance": attached[0]["InstanceId"] if attached else "",
        "device": attached[0]["Device"] if attached else "",
    }


def _tags(described: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in described.get("Tags", [])}


def _as_list(tags: Tags) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
