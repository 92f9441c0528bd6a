"""EC2 and EBS: what there is, taking snapshots, looking at them, deleting them.

One class per right, so that a function composed of them needs exactly the actions that they name.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from watchkeeper import naming
from watchkeeper.aws.client import ONCE, client
from watchkeeper.aws.errors import NotThere, translated
from watchkeeper.aws.iam import needs
from watchkeeper.aws.paging import paged
from watchkeeper.backups.model import Kind, Resource, Snapshot, Target

PAGE = 500
"""DescribeVolumes gives at most 500 a page; the other calls used here take as many."""
SNAPSHOT_PAGE = 1000
"""The most that DescribeSnapshots gives a page."""
FILTER_VALUES = 200
"""The most values that EC2 takes in one filter."""
COPY = "vol-ffffffff"
"""What a copied snapshot shows as its volume: copies are their makers', whatever their tags."""
LIVING = frozenset({"pending", "running", "stopping", "stopped"})
"""Instance states with volumes worth a snapshot; terminated instances stay visible for an hour."""
STATEFUL = [
    "s3:bucket", "elasticfilesystem", "fsx", "elasticache", "redshift", "es", "kafka",
]  # fmt: skip
"""Services whose resources hold data that somebody may ask a plan to protect. EC2, RDS and DynamoDB
are not among them: each answers for itself, and what they hold would come back here a hundred a
page.
"""

Tags = Mapping[str, str]


class _Ec2:
    @cached_property
    def client(self) -> Any:
        return client("ec2")

    def _pages(
        self, operation: str, key: str, size: int, **arguments: Any
    ) -> Iterator[dict[str, Any]]:
        """Every item under `key`, page after page."""
        return paged(self.client, operation, key, size, **arguments)


class Fleet(_Ec2):
    """What could be backed up, found by Describe: only it knows what was never tagged."""

    def __init__(self, place: tuple[str, str, str]) -> None:
        self.place = place
        """Partition, Region and account, for ARNs."""

    @needs("ec2:DescribeInstances")
    def instances(self) -> list[Resource]:
        reservations = self._pages("describe_instances", "Reservations", PAGE)
        instances = (
            instance for reservation in reservations for instance in reservation["Instances"]
        )
        return [self._instance(found) for found in instances if found["State"]["Name"] in LIVING]

    @needs("ec2:DescribeVolumes")
    def volumes(self) -> list[Resource]:
        found = self._pages("describe_volumes", "Volumes", PAGE)
        return [
            self._volume(volume)
            for volume in found
            if volume["State"] not in ("deleting", "deleted")
        ]

    def _instance(self, found: Mapping[str, Any]) -> Resource:
        root = found.get("RootDeviceName")
        mappings = [mapping for mapping in found.get("BlockDeviceMappings", []) if "Ebs" in mapping]
        mappings.sort(key=lambda mapping: (mapping["DeviceName"] != root, mapping["DeviceName"]))
        return Resource(
            arn=naming.instance_arn(self.place, found["InstanceId"]),
            kind=Kind.INSTANCE,
            type="EC2 instance",
            name=_tags(found).get("Name", ""),
            tags=_tags(found),
            state=found["State"]["Name"],
            volumes=tuple(mapping["Ebs"]["VolumeId"] for mapping in mappings),
        )

    def _volume(self, found: Mapping[str, Any]) -> Resource:
        attachments = found.get("Attachments", [])
        return Resource(
            arn=naming.volume_arn(self.place, found["VolumeId"]),
            kind=Kind.VOLUME,
            type="EBS volume",
            name=_tags(found).get("Name", ""),
            tags=_tags(found),
            state=found["State"],
            attached_to=attachments[0]["InstanceId"] if attachments else "",
            key=found.get("KmsKeyId", ""),
        )


class TaggedResources:
    """Resources of every kind that carry a tag: finds those that a plan is asked to protect and
    cannot.
    """

    @cached_property
    def client(self) -> Any:
        return client("resourcegroupstaggingapi")

    @needs("tag:GetResources")
    def with_tag(self, key: str) -> dict[str, Tags]:
        """Per ARN, the tags."""
        pages = self.client.get_paginator("get_resources").paginate(
            TagFilters=[{"Key": key}], ResourceTypeFilters=STATEFUL, ResourcesPerPage=100
        )
        with translated("tag:GetResources"):
            return {
                found["ResourceARN"]: _tags(found)
                for page in pages
                for found in page["ResourceTagMappingList"]
            }


class SnapshotTaker(_Ec2):
    """Makes recovery points; it can remove none."""

    @cached_property
    def once(self) -> Any:
        """A client that never repeats a call by itself: CreateSnapshot knows no client token."""
        return client("ec2", ONCE)

    @needs("ec2:CreateSnapshot", "ec2:CreateTags")
    def snapshot_volume(self, target: Target, tags: Tags) -> None:
        """Start a snapshot of a volume, tagged as it is made. Any error but Unclear means that none
        was made.
        """
        with translated("ec2:CreateSnapshot"):
            self.once.create_snapshot(
                VolumeId=naming.ec2_id(target.arn),
                Description=_description(tags),
                TagSpecifications=[{"ResourceType": "snapshot", "Tags": _as_list(tags)}],
            )

    @needs("ec2:CreateSnapshots", "ec2:CreateTags")
    def snapshot_instance(self, target: Target, tags: Tags) -> None:
        """Start snapshots of all volumes of an instance at one moment (crash-consistent), but for
        `left_out`.
        """
        boot, *data = target.volumes
        specification: dict[str, Any] = {"InstanceId": naming.ec2_id(target.arn)}
        if boot in target.left_out:
            specification["ExcludeBootVolume"] = True
        if excluded := [volume for volume in data if volume in target.left_out]:
            specification["ExcludeDataVolumeIds"] = excluded
        with translated("ec2:CreateSnapshots"):
            self.once.create_snapshots(
                InstanceSpecification=specification,
                Description=_description(tags),
                TagSpecifications=[{"ResourceType": "snapshot", "Tags": _as_list(tags)}],
            )


class Snapshots(_Ec2):
    """Looks at our own snapshots."""

    def __init__(self, stack: str) -> None:
        self.stack = stack

    @needs("ec2:DescribeSnapshots")
    def of_run(self, run_id: str) -> list[Snapshot]:
        """Those that a run has made, as far as Describe shows them already."""
        return self._described(
            Filters=[self._ours(), {"Name": f"tag:{naming.TAG_RUN}", "Values": [run_id]}]
        )

    @needs("ec2:DescribeSnapshots")
    def all(self) -> list[Snapshot]:
        """Every snapshot that this stack has made."""
        return self._described(Filters=[self._ours()])

    @needs("ec2:DescribeSnapshots")
    def named(self, snapshot_ids: Iterable[str]) -> list[Snapshot]:
        """Those of `snapshot_ids` that exist, whatever has become of their tags."""
        ids = sorted(snapshot_ids)
        slices = [ids[start : start + FILTER_VALUES] for start in range(0, len(ids), FILTER_VALUES)]
        # A filter, unlike a list of ids, is no error if some of them are gone.
        filters = [[{"Name": "snapshot-id", "Values": values}] for values in slices]
        return [one for each in filters for one in self._described(Filters=each)]

    @needs("ec2:DescribeSnapshots")
    def runs_of(self, snapshot_ids: Sequence[str]) -> set[str]:
        """The runs that made these snapshots; others' and those not shown yet have none."""
        try:
            found = self._described(SnapshotIds=list(snapshot_ids))
        except NotThere:
            return set()
        ours = (one.tags for one in found if one.tags.get(naming.TAG_STACK) == self.stack)
        return {tags[naming.TAG_RUN] for tags in ours if naming.TAG_RUN in tags}

    def _ours(self) -> dict[str, Any]:
        return {"Name": f"tag:{naming.TAG_STACK}", "Values": [self.stack]}

    def _described(self, **arguments: Any) -> list[Snapshot]:
        if "SnapshotIds" in arguments:  # EC2 refuses ids and a page size together
            with translated("ec2:DescribeSnapshots"):
                found: Iterable[dict[str, Any]] = self.client.describe_snapshots(**arguments)[
                    "Snapshots"
                ]
        else:
            found = self._pages(
                "describe_snapshots", "Snapshots", SNAPSHOT_PAGE, OwnerIds=["self"], **arguments
            )
        return [_snapshot(one) for one in found if one["VolumeId"] != COPY]


class SnapshotRemover(_Ec2):
    """Removes our own snapshots, and finds out what forbids it; it can make none."""

    @needs("ec2:DeleteSnapshot")
    def delete(self, snapshot: str) -> None:
        """Raises NotThere if it is gone already, Refused (`InvalidSnapshot.InUse`, …) if EC2 will
        not.
        """
        with translated("ec2:DeleteSnapshot"):
            self.client.delete_snapshot(SnapshotId=snapshot)

    @needs("ec2:DescribeLockedSnapshots")
    def locked(self) -> dict[str, str]:
        """Per locked snapshot, a sentence about its lock."""
        answers: dict[str, str] = {}
        arguments: dict[str, Any] = {"MaxResults": SNAPSHOT_PAGE}
        while True:  # botocore has no paginator for this call
            with translated("ec2:DescribeLockedSnapshots"):
                page = self.client.describe_locked_snapshots(**arguments)
            answers |= {
                lock["SnapshotId"]: _lock(lock)
                for lock in page["Snapshots"]
                if lock["LockState"] != "expired"
            }
            if not page.get("NextToken"):
                return answers
            arguments["NextToken"] = page["NextToken"]

    @needs("ec2:DescribeImages")
    def in_images(self) -> dict[str, str]:
        """Per snapshot that one of our account's AMIs is made of, a sentence about it. Disabled
        AMIs count too.
        """
        arguments = {"Owners": ["self"], "IncludeDisabled": True}
        images = self._pages("describe_images", "Images", PAGE, **arguments)
        return {
            mapping["Ebs"]["SnapshotId"]: f"is what AMI {image['ImageId']} is made of"
            for image in images
            for mapping in image.get("BlockDeviceMappings", [])
            if mapping.get("Ebs", {}).get("SnapshotId")
        }

    @needs("ec2:DescribeSnapshotAttribute")
    def shared_with(self, snapshot: str) -> str:
        """A sentence about who else may use the snapshot; empty if nobody."""
        with translated("ec2:DescribeSnapshotAttribute"):
            answer = self.client.describe_snapshot_attribute(
                SnapshotId=snapshot, Attribute="createVolumePermission"
            )
        granted = [
            grant.get("UserId") or f"group {grant['Group']}"
            for grant in answer["CreateVolumePermissions"]
        ]
        return f"is shared with {', '.join(granted)}" if granted else ""


# ── Shapes ────────────────────────────────────────────────────────────────────────────────────────


def _tags(described: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in described.get("Tags", [])}


def _as_list(tags: Tags) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _description(tags: Tags) -> str:
    return f"Watchkeeper {tags[naming.TAG_RUN]} of {tags[naming.TAG_SOURCE]}"[
        :255
    ]  # EC2's limit of a description


def _snapshot(found: Mapping[str, Any]) -> Snapshot:
    return Snapshot(
        id=found["SnapshotId"],
        volume=found["VolumeId"],
        state=found["State"],
        started_at=found["StartTime"],
        gib=found["VolumeSize"],
        tags=_tags(found),
        completed_at=found.get("CompletionTime"),
        problem=found.get("StateMessage", ""),
        tier=found.get("StorageTier", "standard"),
        owner=found["OwnerId"],
        key=found.get("KmsKeyId", ""),
    )


def _lock(lock: Mapping[str, Any]) -> str:
    until: datetime | None = lock.get("LockExpiresOn")
    return f"is locked ({lock['LockState']})" + (f" until {until:%Y-%m-%d}" if until else "")
