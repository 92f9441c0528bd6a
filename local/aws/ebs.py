"""EBS snapshots as AWS documents them: slow, fallible, lingering, lockable and announced.

What a snapshot is (volume, tags, sharing) stays in moto's backend; when things happen to it is
a `Life` kept here.
"""

from __future__ import annotations

import math
import random
import re
import uuid
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import InvalidInstanceIdError, InvalidSnapshotInUse, TagLimitExceeded
from moto.ec2.models import ec2_backends
from moto.kms.models import kms_backends

from local.aws.ec2_requests import (
    TAGS_PER_RESOURCE,
    PageLimits,
    Pages,
    Reader,
    Tags,
    chosen_by,
    own_tags,
    refused,
    snapshot_tags,
    stop_on_dry_run,
    tags_as_mapping,
    tags_of,
)
from local.pace import Pace

# "Wait at least 15 seconds between concurrent volume snapshots":
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
SNAPSHOT_INTERVAL = timedelta(seconds=15)

# Quota "Concurrent snapshots per volume": 5, but 1 for the throughput-optimized and cold disks.
# https://docs.aws.amazon.com/general/latest/gr/ebs-service.html
CONCURRENT_SNAPSHOTS = 5
CONCURRENT_SNAPSHOTS_OF_DISKS = 1
DISK_TYPES = frozenset({"st1", "sc1"})

# "Multi-volume snapshots support up to 128 Amazon EBS volumes attached to an instance":
# https://docs.aws.amazon.com/ebs/latest/userguide/ebs-create-snapshots.html
VOLUMES_PER_SET = 128
# Limits of LockSnapshot's parameters, in hours and days.
LONGEST_COOL_OFF_HOURS = 72
LONGEST_LOCK_DAYS = 36_500

GIBIBYTE = 1024**3


class Clock(Protocol):
    """What this file needs of the box's clock."""

    def now(self) -> datetime: ...
    def at(self, when: datetime, action: Callable[[], None], label: str) -> object: ...


class Bus(Protocol):
    """What this file needs of the default event bus."""

    def send(self, event: dict[str, Any]) -> object: ...


class Box(Protocol):
    """What this file needs of the cloud in a box."""

    @property
    def stack(self) -> ExitStack: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def events(self) -> Bus: ...
    @property
    def pace(self) -> Pace: ...
    @property
    def account_id(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def random(self) -> random.Random: ...


# --- the life of a snapshot -------------------------------------------------------------------


@dataclass
class Lock:
    """A snapshot lock. https://docs.aws.amazon.com/ebs/latest/userguide/snapshot-lock-concepts.html"""

    mode: str
    created_at: datetime
    starts_at: datetime
    """When the duration starts to count: for a snapshot locked while pending, when it completes."""
    expires_at: datetime
    cool_off_hours: int | None = None

    @property
    def cool_off_until(self) -> datetime | None:
        if self.cool_off_hours is None:
            return None
        return self.created_at + timedelta(hours=self.cool_off_hours)

    def state(self, now: datetime) -> str:
        if now >= self.expires_at:
            return "expired"
        if self.mode == "compliance" and self.cool_off_until and now < self.cool_off_until:
            return "compliance-cooloff"
        return self.mode

    def described(self, now: datetime) -> dict[str, Any]:
        """The fields that LockSnapshot and DescribeLockedSnapshots share."""
        shown: dict[str, Any] = {
            "LockState": self.state(now),
            "LockDuration": math.ceil((self.expires_at - self.starts_at) / timedelta(days=1)),
            "LockCreatedOn": self.created_at,
            "LockDurationStartTime": self.starts_at,
            "LockExpiresOn": self.expires_at,
        }
        if self.cool_off_hours is not None:
            shown |= {
                "CoolOffPeriod": self.cool_off_hours,
                "CoolOffPeriodExpiresOn": self.cool_off_until,
            }
        return shown


@dataclass
class Life:
    """When things happen to one snapshot, and what it froze of its volume."""

    snapshot_id: str
    volume_id: str
    volume_size: int
    """GiB, when the snapshot was begun; the volume may grow afterwards."""
    started_at: datetime
    ends_at: datetime
    visible_from: datetime
    failure: str | None = None
    """AWS's StateMessage, when it will end (or has ended) in `error`."""
    gone_at: datetime | None = None
    """When a deleted snapshot stops being described."""
    lock: Lock | None = None

    def state(self, now: datetime) -> str:
        if now < self.ends_at:
            return "pending"
        return "error" if self.failure else "completed"

    def progress(self, now: datetime) -> str:
        if now >= self.ends_at and not self.failure:
            return "100%"
        span = self.ends_at - self.started_at
        share = min(1.0, (now - self.started_at) / span) if span else 0.0
        # A failed snapshot stops where it failed; nothing shows 100% before it is complete.
        return f"{min(99, max(0, int(share * 100)))}%"

    def is_visible(self, now: datetime) -> bool:
        return now >= self.visible_from and (self.gone_at is None or now < self.gone_at)

    def locked(self, now: datetime) -> bool:
        return self.lock is not None and self.lock.state(now) != "expired"


# --- what happens to snapshots ----------------------------------------------------------------


@dataclass
class Snapshots:
    """The snapshots of one account and Region, and the switches that make them unkind."""

    cloud: Box
    snapshot_quota: int | None = None
    """Quota "Snapshots per Region"; None is no limit."""
    lives: dict[str, Life] = field(default_factory=dict)
    pages: Pages = field(default_factory=Pages)
    _doomed: dict[str, list[str]] = field(default_factory=dict)
    _of_volume: dict[str, list[Life]] = field(default_factory=lambda: defaultdict(list))

    def fail_snapshot_of(
        self, volume_id: str, message: str = "An internal error occurred.", times: int = 1
    ) -> None:
        """Let the next `times` snapshots of this volume end in `error` with this StateMessage."""
        self._doomed.setdefault(volume_id, []).extend([message] * times)

    def record_snapshot(
        self,
        volume_id: str,
        *,
        started_at: datetime,
        description: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Put a completed snapshot of the past into the account; returns its id.

        The only way to the tags that AWS reserves (`aws:…`): its own services set them, callers
        cannot.
        """
        snapshot = self.backend.create_snapshot(volume_id, description)
        snapshot.start_time = started_at.astimezone(UTC).replace(tzinfo=None)
        snapshot.kms_key_id = snapshot.volume.kms_key_id
        snapshot.add_tags(dict(tags or {}))
        self._remember(
            Life(
                snapshot_id=snapshot.id,
                volume_id=volume_id,
                volume_size=snapshot.volume.size,
                started_at=started_at,
                ends_at=started_at + self.cloud.pace.snapshot_duration(snapshot.id),
                visible_from=started_at,
            )
        )
        return str(snapshot.id)

    @property
    def backend(self) -> Any:
        """Moto's EC2 of this account and Region."""
        return ec2_backends[self.cloud.account_id][self.cloud.region]

    def now(self) -> datetime:
        """Simulated now, in the whole milliseconds that EC2 answers with."""
        now = self.cloud.clock.now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    # --- snapshots: creating ---

    def create_snapshot(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSnapshot.html"""
        volume = self._volume(response.ec2_backend, response._get_param("VolumeId"))
        tags = snapshot_tags(response)
        stop_on_dry_run(response)
        self._check_limits(response.ec2_backend, [volume])
        life = self._begin(
            response.ec2_backend, volume, response._get_param("Description", ""), tags
        )
        self._end_alone(life)
        return ActionResult(self._just_begun(response.ec2_backend, life))

    def create_snapshots(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSnapshots.html"""
        backend = response.ec2_backend
        volumes = self._chosen_volumes(backend, response._get_param("InstanceSpecification", {}))
        tags = snapshot_tags(response)
        copied = response._get_param("CopyTagsFromSource") == "volume"
        tags_by_volume = {v.id: (own_tags(backend, v.id) if copied else {}) | tags for v in volumes}
        if any(len(one) > TAGS_PER_RESOURCE for one in tags_by_volume.values()):
            raise TagLimitExceeded
        stop_on_dry_run(response)
        self._check_limits(backend, volumes)
        description = response._get_param("Description", "")
        lives = [self._begin(backend, one, description, tags_by_volume[one.id]) for one in volumes]
        self._end_together(lives)
        return ActionResult({"Snapshots": [self._just_begun(backend, life) for life in lives]})

    def _just_begun(self, backend: Any, life: Life) -> dict[str, Any]:
        """What creating answers: `pending` and no progress yet, however fast it will be."""
        shown = self._described(backend.snapshots[life.snapshot_id], life, life.started_at)
        return shown | {"State": "pending", "Progress": "", "CompletionTime": None}

    def _begin(
        self, backend: Any, volume: Any, description: str, tags: Tags, image_id: str | None = None
    ) -> Life:
        snapshot = backend.create_snapshot(volume.id, description, from_ami=image_id)
        key_arn, key_trouble = self._key_of(volume)
        snapshot.kms_key_id = key_arn
        snapshot.add_tags(tags)
        now = self.now()
        doomed = self._doomed.get(volume.id)
        life = Life(
            snapshot_id=snapshot.id,
            volume_id=volume.id,
            volume_size=volume.size,
            started_at=now,
            ends_at=now + self.cloud.pace.snapshot_duration(snapshot.id),
            visible_from=now + self.cloud.pace.hidden_for,
            failure=doomed.pop(0) if doomed else key_trouble,
        )
        self._remember(life)
        return life

    def _remember(self, life: Life) -> None:
        self.lives[life.snapshot_id] = life
        self._of_volume[life.volume_id].append(life)

    def _end_alone(self, life: Life) -> None:
        self.cloud.clock.at(
            life.ends_at, lambda: self._send_snapshot_event(life), f"{life.snapshot_id} ends"
        )

    def _end_together(self, lives: Sequence[Life]) -> None:
        """A multi-volume set: one failure puts all of its snapshots into `error`; one event tells.

        Its members get no `createSnapshot` event: for a set, the documentation knows only
        `createSnapshots`.
        https://docs.aws.amazon.com/ebs/latest/userguide/ebs-create-snapshots.html
        """
        culprit = next((life for life in lives if life.failure), None)
        if culprit:
            # The first member to end ends them all: no completed snapshot turns into a failed one.
            ends_at = min(life.ends_at for life in lives)
            for life in lives:
                life.ends_at = ends_at
                life.failure = life.failure or f"Snapshot {culprit.snapshot_id} is in status error"
        self.cloud.clock.at(
            max(life.ends_at for life in lives),
            lambda: self._send_set_event(lives, culprit),
            f"{len(lives)} snapshots of one set end",
        )

    def _chosen_volumes(self, backend: Any, specification: Mapping[str, Any]) -> list[Any]:
        instance = existing_instance(backend, specification.get("InstanceId", ""))
        attached = {
            device: backend.volumes[m.volume_id] for device, m in instance.get_block_device_mapping
        }
        root = attached.get(instance.root_device_name)
        excluded = set(specification.get("ExcludeDataVolumeIds", []))
        if root is not None and root.id in excluded:
            raise refused(
                "InvalidParameterValue", f"'{root.id}' is the root volume: use ExcludeBootVolume."
            )
        for unknown in sorted(excluded - {volume.id for volume in attached.values()}):
            raise refused(
                "InvalidParameterValue", f"'{unknown}' is not attached to instance '{instance.id}'."
            )
        if specification.get("ExcludeBootVolume") and root is not None:
            excluded.add(root.id)
        chosen = [volume for volume in attached.values() if volume.id not in excluded]
        if not chosen:
            raise refused(
                "InvalidParameterValue",
                f"No volume of instance '{instance.id}' is left to snapshot.",
            )
        if len(chosen) > VOLUMES_PER_SET:
            raise refused(
                "InvalidParameterValue", f"More than {VOLUMES_PER_SET} volumes in one snapshot set."
            )
        return chosen

    def _check_limits(self, backend: Any, volumes: Sequence[Any]) -> None:
        now = self.now()
        most = self.snapshot_quota
        if most is not None and len(backend.snapshots) + len(volumes) > most:
            raise refused("SnapshotLimitExceeded", "You have exceeded your maximum snapshot limit.")
        for volume in volumes:
            self._check_limits_of(volume, now)

    def _check_limits_of(self, volume: Any, now: datetime) -> None:
        taken = self._of_volume[volume.id]
        if any(life.started_at > now - SNAPSHOT_INTERVAL for life in taken):
            raise refused(
                "SnapshotCreationPerVolumeRateExceeded",
                "The maximum per volume CreateSnapshot request rate has been exceeded. "
                "Use an increasing or variable sleep interval between requests.",
            )
        is_disk = volume.volume_type in DISK_TYPES
        most = CONCURRENT_SNAPSHOTS_OF_DISKS if is_disk else CONCURRENT_SNAPSHOTS
        # "snapshots that are in an incomplete state, such as 'error', … count against your
        # concurrent snapshot limit" until they are deleted: errors-overview.html.
        if sum(life.state(now) != "completed" for life in taken) >= most:
            raise refused(
                "ConcurrentSnapshotLimitExceeded",
                "Maximum allowed in-progress snapshots for a single volume exceeded.",
            )

    def _volume(self, backend: Any, volume_id: str) -> Any:
        if volume_id not in backend.volumes:
            raise refused("InvalidVolume.NotFound", f"The volume '{volume_id}' does not exist.")
        return backend.volumes[volume_id]

    def _key_of(self, volume: Any) -> tuple[str | None, str | None]:
        """The ARN of the volume's key, and the StateMessage if that key cannot be used."""
        if not volume.kms_key_id:
            return None, None
        keys = kms_backends[self.cloud.account_id][self.cloud.region]
        try:
            key = keys.describe_key(volume.kms_key_id)
        except KeyError:
            return str(volume.kms_key_id), "Given key ID is not accessible"
        return key.arn, None if key.key_state == "Enabled" else "Given key ID is not accessible"

    # --- snapshots: events ---

    def _send_snapshot_event(self, life: Life) -> None:
        self._send_event(
            "EBS Snapshot Notification",
            [self._event_arn("snapshot", life.snapshot_id)],
            {
                "event": "createSnapshot",
                "result": "failed" if life.failure else "succeeded",
                "cause": life.failure or "",
                "request-id": "",
                "snapshot_id": self._event_arn("snapshot", life.snapshot_id),
                "source": self._event_arn("volume", life.volume_id),
                "startTime": stamp(life.started_at),
                "endTime": stamp(life.ends_at),
            },
        )

    def _send_set_event(self, lives: Sequence[Life], culprit: Life | None) -> None:
        ended_at = max(life.ends_at for life in lives)
        self._send_event(
            "EBS Multi-Volume Snapshots Completion Status",
            [self._event_arn("snapshot", life.snapshot_id) for life in lives],
            {
                "event": "createSnapshots",
                "result": "failed" if culprit else "succeeded",
                "cause": f"Snapshot {culprit.snapshot_id} is in status error" if culprit else "",
                "request-id": "",
                "startTime": stamp(lives[0].started_at),
                "endTime": stamp(ended_at),
                "snapshots": [
                    {
                        "snapshot_id": self._event_arn("snapshot", life.snapshot_id),
                        "source": self._event_arn("volume", life.volume_id),
                        "status": life.state(ended_at),
                    }
                    for life in lives
                ],
            },
        )

    def _event_arn(self, kind: str, identifier: str) -> str:
        """The Region stands where the account belongs: so the snapshot events of AWS spell it."""
        return f"arn:aws:ec2::{self.cloud.region}:{kind}/{identifier}"

    def _send_event(self, detail_type: str, resources: list[str], detail: dict[str, Any]) -> None:
        self.cloud.events.send(
            {
                "version": "0",
                "id": str(uuid.UUID(int=self.cloud.random.getrandbits(128), version=4)),
                "detail-type": detail_type,
                "source": "aws.ec2",
                "account": self.cloud.account_id,
                "time": stamp(self.now()),
                "region": self.cloud.region,
                "resources": resources,
                "detail": detail,
            }
        )

    # --- snapshots: reading ---

    def describe_snapshots(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSnapshots.html"""
        backend, now = response.ec2_backend, self.now()
        wanted = response._get_param("SnapshotIds", [])
        # The page says of MaxResults: a value larger than 1,000 returns 1,000 results.
        limits = PageLimits(least=5, most=1000, with_identifiers="snapshotSet" if wanted else None)
        size = limits.checked(response)
        found = [self.existing(backend, one) for one in wanted] or backend.snapshots.copy().values()
        owners = _with_self(response._get_param("OwnerIds", []), backend.account_id)
        restorers = _with_self(response._get_param("RestorableByUserIds", []), backend.account_id)
        shown = [
            self._described(snapshot, life, now)
            for snapshot in self.pages.remaining(response, found)
            if (life := self.life_of(snapshot)).is_visible(now)
            and _restorable_by(snapshot, [backend.account_id])
            and (not owners or snapshot.owner_id in owners)
            and (not restorers or _restorable_by(snapshot, restorers))
        ]
        shown = chosen_by(
            response, shown, SNAPSHOT_FILTERS, lambda one: tags_as_mapping(one["Tags"])
        )
        stop_on_dry_run(response)
        page, token = self.pages.cut(shown, size, lambda one: str(one["SnapshotId"]))
        return ActionResult({"Snapshots": page, "NextToken": token})

    def _described(self, snapshot: Any, life: Life, now: datetime) -> dict[str, Any]:
        state = life.state(now)
        shown = {
            "SnapshotId": snapshot.id,
            "VolumeId": life.volume_id,
            "VolumeSize": life.volume_size,
            "State": state,
            "Progress": life.progress(now),
            "StartTime": life.started_at,
            "OwnerId": snapshot.owner_id,
            "Description": snapshot.description or "",
            "Encrypted": bool(snapshot.encrypted),
            "StorageTier": snapshot.storage_tier,
            "FullSnapshotSizeInBytes": written_bytes(life),
            "Tags": [{"Key": key, "Value": value} for key, value in tags_of(snapshot).items()],
        }
        if snapshot.kms_key_id:
            shown["KmsKeyId"] = snapshot.kms_key_id
        if state == "completed":
            shown["CompletionTime"] = life.ends_at
        if state == "error":
            shown["StateMessage"] = life.failure
        return shown

    def life_of(self, snapshot: Any) -> Life:
        """A snapshot's life; what moto makes by itself (a copy) is complete at once."""
        life = self.lives.get(snapshot.id)
        if life is None:
            at = snapshot.start_time.replace(tzinfo=UTC)
            life = Life(snapshot.id, snapshot.volume.id, snapshot.volume.size, at, at, at)
            self.lives[snapshot.id] = life
        return life

    def existing(self, backend: Any, snapshot_id: str) -> Any:
        """The snapshot a caller named, which is not there while hidden, nor once gone."""
        if not re.fullmatch(r"snap-[0-9a-f]{8,17}", snapshot_id):
            raise refused("InvalidSnapshotID.Malformed", f'Invalid id: "{snapshot_id}"')
        snapshot = backend.snapshots.get(snapshot_id)
        if snapshot is None or not self.life_of(snapshot).is_visible(self.now()):
            raise refused(
                "InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist."
            )
        return snapshot

    def _moto_get_snapshot(self) -> Callable[[Any, str], Any]:
        """For moto's CreateTags, CreateVolume, DescribeSnapshotAttribute and the like."""

        def get_snapshot(backend: Any, snapshot_id: str) -> Any:
            return self.existing(backend, snapshot_id)

        return get_snapshot

    def _moto_describe_snapshots(self) -> Callable[..., list[Any]]:
        """For moto's own callers (CopySnapshot, tiering): they see what the API shows."""

        def describe_snapshots(
            backend: Any, snapshot_ids: list[str] | None = None, filters: Any = None
        ) -> list[Any]:
            if filters:
                raise NotImplementedError(
                    "moto asked itself for filtered snapshots, which it does not in 5.2.5"
                )
            if snapshot_ids:
                return [self.existing(backend, one) for one in snapshot_ids]
            now = self.now()
            return [one for one in backend.snapshots.values() if self.life_of(one).is_visible(now)]

        return describe_snapshots

    # --- snapshots: deleting and locking ---

    def delete_snapshot(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSnapshot.html"""
        backend, now = response.ec2_backend, self.now()
        snapshot = self.existing(backend, response._get_param("SnapshotId"))
        life = self.life_of(snapshot)
        if life.gone_at is not None:
            raise refused(
                "InvalidSnapshot.NotFound", f"The snapshot '{snapshot.id}' does not exist."
            )
        for image in backend.amis.values():
            if snapshot.id in _snapshots_of(image):
                raise InvalidSnapshotInUse(snapshot.id, image.id)
        if life.locked(now):
            # AWS documents that this fails, not with which code: this is its general one for what
            # is protected.
            raise refused(
                "OperationNotPermitted",
                f"The snapshot '{snapshot.id}' is locked and can't be deleted.",
            )
        stop_on_dry_run(response)
        # "Although you can delete a snapshot that is still in progress, the snapshot must complete
        # before the deletion takes effect":
        # https://docs.aws.amazon.com/ebs/latest/userguide/ebs-deleting-snapshot.html
        life.gone_at = max(now, life.ends_at) + self.cloud.pace.deletion_takes
        self.cloud.clock.at(
            life.gone_at,
            lambda: self._forget(backend, life),
            f"{snapshot.id} is no longer described",
        )
        return EmptyResult()

    def _forget(self, backend: Any, life: Life) -> None:
        backend.snapshots.pop(life.snapshot_id, None)
        backend.tags.pop(life.snapshot_id, None)
        self.lives.pop(life.snapshot_id, None)
        if life in self._of_volume[life.volume_id]:
            self._of_volume[life.volume_id].remove(life)

    def lock_snapshot(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_LockSnapshot.html"""
        now = self.now()
        snapshot = self.existing(response.ec2_backend, response._get_param("SnapshotId"))
        life = self.life_of(snapshot)
        if life.state(now) not in ("pending", "completed"):
            raise refused(
                "IncorrectState", f"The snapshot '{snapshot.id}' is in state '{life.state(now)}'."
            )
        lock = _requested_lock(response, now, max(now, life.ends_at))
        if life.lock and life.lock.state(now) == "compliance":
            lock = _extended(life.lock, lock)
        stop_on_dry_run(response)
        life.lock = lock
        self._send_lock_event(life.snapshot_id, lock, now)
        return ActionResult({"SnapshotId": snapshot.id, **lock.described(now)})

    def _send_lock_event(self, snapshot_id: str, lock: Lock, now: datetime) -> None:
        # Here AWS puts the Region of the ARN in its place, and misspells the cooling-off period.
        arn = f"arn:aws:ec2:{self.cloud.region}::snapshot/{snapshot_id}"
        shown = lock.described(now)
        detail = {
            "event": "lockSnapshot",
            "result": "succeeded",
            "cause": "",
            "request-id": "",
            "snapshot_id": arn,
            "startTime": stamp(now),
            "endTime": stamp(now),
            "lockState": shown["LockState"],
            "lockCreatedOn": stamp(lock.created_at),
            "lockExpiresOn": stamp(lock.expires_at),
            "lockDuration": str(shown["LockDuration"]),
            "lockStartDurationTime": stamp(lock.starts_at),
        }
        if lock.cool_off_until:
            detail["cooOffPeriod"] = str(lock.cool_off_hours)
            detail["coolOffPeriodExpiresOn"] = stamp(lock.cool_off_until)
        self._send_event("EBS Snapshot Notification", [arn], detail)

    def unlock_snapshot(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_UnlockSnapshot.html"""
        now = self.now()
        snapshot = self.existing(response.ec2_backend, response._get_param("SnapshotId"))
        life = self.life_of(snapshot)
        if life.lock is None or not life.locked(now):
            raise refused("IncorrectState", f"The snapshot '{snapshot.id}' is not locked.")
        if life.lock.state(now) == "compliance":
            raise refused(
                "OperationNotPermitted",
                f"The snapshot '{snapshot.id}' is locked in compliance mode and can't be unlocked.",
            )
        stop_on_dry_run(response)
        life.lock = None
        return ActionResult({"SnapshotId": snapshot.id})

    def describe_locked_snapshots(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeLockedSnapshots.html"""
        backend, now = response.ec2_backend, self.now()
        size = PageLimits(least=5, most=1000, refuses_more=True).checked(response)
        wanted = response._get_param("SnapshotIds", [])
        found = [self.existing(backend, one) for one in wanted] or backend.snapshots.copy().values()
        shown = [
            {"OwnerId": snapshot.owner_id, "SnapshotId": snapshot.id, **life.lock.described(now)}
            for snapshot in self.pages.remaining(response, found)
            if (life := self.life_of(snapshot)).is_visible(now) and life.lock
        ]
        shown = chosen_by(response, shown, {"lock-state": lambda one: [one["LockState"]]})
        stop_on_dry_run(response)
        page, token = self.pages.cut(shown, size, lambda one: str(one["SnapshotId"]))
        return ActionResult({"Snapshots": page, "NextToken": token})


SNAPSHOT_FILTERS: dict[str, Reader] = {
    "description": lambda one: [one["Description"]],
    "encrypted": lambda one: [one["Encrypted"]],
    "owner-alias": lambda _: [],
    "owner-id": lambda one: [one["OwnerId"]],
    "progress": lambda one: [one["Progress"]],
    "snapshot-id": lambda one: [one["SnapshotId"]],
    "start-time": lambda one: [one["StartTime"]],
    "status": lambda one: [one["State"]],
    "storage-tier": lambda one: [one["StorageTier"]],
    "transfer-type": lambda _: [],
    "volume-id": lambda one: [one["VolumeId"]],
    "volume-size": lambda one: [one["VolumeSize"]],
}


def stamp(moment: datetime) -> str:
    """As events show it: UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def written_bytes(life: Life) -> int:
    """FullSnapshotSizeInBytes: what was ever written, a fifth to four fifths of the volume."""
    share = 20 + zlib.crc32(life.volume_id.encode()) % 60
    return life.volume_size * GIBIBYTE * share // 100


def existing_instance(backend: Any, instance_id: str) -> Any:
    """An instance that still has its volumes."""
    if not re.fullmatch(r"i-[0-9a-f]{8,17}", instance_id):
        raise refused("InvalidInstanceID.Malformed", f'Invalid id: "{instance_id}"')
    for reservation in backend.all_reservations():
        for instance in reservation.instances:
            if instance.id == instance_id and instance.state == "terminated":
                raise refused(
                    "IncorrectInstanceState", f"The instance '{instance_id}' is terminated."
                )
            if instance.id == instance_id:
                return instance
    raise InvalidInstanceIdError(instance_id)


def _with_self(accounts: Iterable[str], own: str) -> list[str]:
    return [own if account == "self" else account for account in accounts]


def _restorable_by(snapshot: Any, accounts: Iterable[str]) -> bool:
    """Whether any of these accounts may create a volume: as owner, by name, or all may."""
    return (
        "all" in snapshot.create_volume_permission_groups
        or snapshot.owner_id in accounts
        or any(account in snapshot.create_volume_permission_userids for account in accounts)
    )


def _snapshots_of(image: Any) -> set[str]:
    return {mapping.get("Ebs", {}).get("SnapshotId") for mapping in image.block_device_mappings}


def _requested_lock(response: Any, now: datetime, starts_at: datetime) -> Lock:
    """The lock that a LockSnapshot request asks for, if its parameters are allowed."""
    mode = response._get_param("LockMode")
    cool_off = response._get_param("CoolOffPeriod")
    days = response._get_param("LockDuration")
    expires_at = response._get_param("ExpirationDate")
    if mode not in ("governance", "compliance"):
        raise refused("InvalidParameterValue", f"Value ({mode}) for parameter lockMode is invalid.")
    if (days is None) == (expires_at is None):
        raise refused(
            "InvalidParameterCombination",
            "Specify either LockDuration or ExpirationDate, but not both.",
        )
    if cool_off is not None and mode == "governance":
        raise refused(
            "InvalidParameterCombination", "CoolOffPeriod can't be specified in governance mode."
        )
    if cool_off is not None and not 1 <= int(cool_off) <= LONGEST_COOL_OFF_HOURS:
        raise refused(
            "InvalidParameterValue", f"CoolOffPeriod must be 1 to {LONGEST_COOL_OFF_HOURS} hours."
        )
    if days is not None and not 1 <= int(days) <= LONGEST_LOCK_DAYS:
        raise refused(
            "InvalidParameterValue", f"LockDuration must be 1 to {LONGEST_LOCK_DAYS} days."
        )
    if expires_at is not None and expires_at.tzinfo is None:
        expires_at = expires_at.replace(tzinfo=UTC)
    ends = expires_at if expires_at is not None else starts_at + timedelta(days=int(days))
    if ends <= now:
        raise refused("InvalidParameterValue", "ExpirationDate must be in the future.")
    return Lock(mode, now, starts_at, ends, None if cool_off is None else int(cool_off))


def _extended(lock: Lock, asked: Lock) -> Lock:
    """A compliance lock past its cooling-off period can only be made longer."""
    if (
        asked.mode != "compliance"
        or asked.cool_off_hours is not None
        or asked.expires_at < lock.expires_at
    ):
        raise refused(
            "OperationNotPermitted",
            "In compliance mode a lock can only be made longer, without a cooling-off period.",
        )
    return Lock(lock.mode, lock.created_at, lock.starts_at, asked.expires_at, lock.cool_off_hours)
