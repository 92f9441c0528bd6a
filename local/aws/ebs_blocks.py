"""EBS direct APIs, reading: what volumes hold, and snapshots froze of it, block by block.

`install(cloud)` patches moto's classes until `cloud.stack` closes. Contents come from
`local.disks`, made when they are asked for: a volume is in use and changes as time passes, a
snapshot keeps what was there when it was begun, a copy what its source has, and a volume made from
a snapshot has its content and is not written to. Install `local.aws.ec2` first. Writing snapshots
(StartSnapshot, PutSnapshotBlock) is left to moto, and does not show here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from bisect import bisect_left
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.ebs.responses import EBSResponse
from moto.ec2.models import EC2Backend, ec2_backends
from moto.kms.models import kms_backends

from local import replacing
from local.aws import ec2
from local.aws.ebs import Box, Life
from local.disks import BLOCK, GIBIBYTE, Image, Layout, layout_of, living

# MaxResults, "Valid Range: Minimum value of 100. Maximum value of 10000"; fewer than the minimum
# gives the minimum: https://docs.aws.amazon.com/ebs/latest/userguide/ebsapi-faq.html
FEWEST_LISTED, MOST_LISTED = 100, 10_000

# "Block tokens are valid for seven days, and next tokens are valid for 60 minutes": the same page.
TOKEN_LIVES = timedelta(days=7)
PAGE_TOKEN_LIVES = timedelta(minutes=60)

HASHED = 20
"""Bytes of a token that say what it is for; eight more say until when it is valid."""


class Host(Box, ec2.Host, Protocol):
    """What this file needs of the cloud in a box: also its other extensions."""


class Refused(ServiceException):
    """An error as these APIs word it, with a reason beside the message."""

    def __init__(self, code: str, reason: str, message: str) -> None:
        super().__init__(code, message)
        self.reason = reason


def install(cloud: Host) -> EbsBlocks:
    """Make moto's EBS direct APIs behave like this until `cloud.stack` closes; returns the
    switches.
    """
    blocks = EbsBlocks(cloud)
    for name, handler in blocks.operations().items():
        replacing.replace(cloud.stack, EBSResponse, name, _as_method(handler))
    for name, value in blocks.corrections().items():
        replacing.replace(cloud.stack, EC2Backend, name, value)
    return blocks


def installed_in(cloud: ec2.Host) -> EbsBlocks:
    """The switches of a box's blocks, e.g. `installed_in(cloud).empty(snapshot_id)`."""
    blocks: EbsBlocks = cloud.extensions[__name__]
    return blocks


def _as_method(handler: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
    """Moto finds the operations of a response class by looking for plain functions."""

    def operation(response: Any) -> ActionResult:
        return handler(response)

    return operation


class Content(Protocol):
    """What a disk holds."""

    @property
    def present(self) -> Collection[int]:
        """The numbers of the blocks that were ever written."""
        ...

    def block(self, number: int) -> bytes | None:
        """None if it was never written."""
        ...


@dataclass
class Frozen:
    """What a snapshot keeps, and what somebody did to it."""

    origin: Content
    changed: dict[int, bytes] = field(default_factory=dict)
    ends_at: int | None = None
    """The number of the first block that is lost, and all behind it."""

    def copy(self) -> Frozen:
        """The same, and what is done to one of the two is not done to the other."""
        return Frozen(self.origin, dict(self.changed), self.ends_at)

    @property
    def present(self) -> Collection[int]:
        end = self.ends_at
        kept = {*self.origin.present, *self.changed}
        return kept if end is None else {number for number in kept if number < end}

    def block(self, number: int) -> bytes | None:
        if self.ends_at is not None and number >= self.ends_at:
            return None
        return self.changed.get(number) or self.origin.block(number)


@dataclass(frozen=True)
class Volume:
    """A volume in use, as it was at one moment."""

    volume_id: str
    size_gib: int
    layout: Layout
    moment: datetime

    @property
    def present(self) -> Collection[int]:
        return self._image().present

    def block(self, number: int) -> bytes | None:
        return self._image().block(number)

    def _image(self) -> Image:
        return living(self.volume_id, self.size_gib, self.layout, self.moment)


@dataclass
class EbsBlocks:
    """What was done to contents, and the switches."""

    cloud: Host
    garbled: set[tuple[str, int]] = field(default_factory=set)
    """Snapshot and block: these answers carry a checksum that is not theirs."""
    empty_pages: int = 0
    """How many of the next answers of ListSnapshotBlocks list nothing, though there is more."""
    _snapshots: dict[str, Frozen] = field(default_factory=dict)
    _volumes: dict[str, Frozen] = field(default_factory=dict)
    """Of volumes that were made from a snapshot."""
    _mistaken: dict[str, str] = field(default_factory=dict)
    """By snapshot, the one whose content what is made of it gets."""
    _layouts: dict[str, Layout] = field(default_factory=dict)

    def operations(self) -> dict[str, Callable[[Any], ActionResult]]:
        """API operations, by moto's name for them, that this file answers itself."""
        return {
            "list_snapshot_blocks": self.list_snapshot_blocks,
            "get_snapshot_block": self.get_snapshot_block,
        }

    def corrections(self) -> dict[str, Callable[..., Any]]:
        """What of moto's EC2 tells this file where contents come from."""
        return {
            "create_snapshot": self._remembering_layout(EC2Backend.create_snapshot),
            "copy_snapshot": self._remembering_source(EC2Backend.copy_snapshot),
            "create_volume": self._remembering_origin(EC2Backend.create_volume),
        }

    # --- switches ---

    def lay_out(self, volume_id: str, layout: Layout) -> None:
        """Say how the disk of a volume is used; else its id decides."""
        self._layouts[volume_id] = layout

    def tamper(self, snapshot_id: str, block: int) -> None:
        """Flip one bit in the middle of a block of a snapshot."""
        content = self.content(snapshot_id)
        changed = bytearray(content.block(block) or bytes(BLOCK))
        changed[BLOCK // 2] ^= 1
        content.changed[block] = bytes(changed)

    def overwrite(self, snapshot_id: str, offset: int, new: bytes) -> None:
        """Put bytes into a snapshot, within one block."""
        content, number = self.content(snapshot_id), offset // BLOCK
        changed = bytearray(content.block(number) or bytes(BLOCK))
        changed[offset % BLOCK : offset % BLOCK + len(new)] = new
        content.changed[number] = bytes(changed)

    def truncate(self, snapshot_id: str, block: int) -> None:
        """Lose this block of a snapshot, and everything behind it."""
        self.content(snapshot_id).ends_at = block

    def empty(self, snapshot_id: str) -> None:
        """Lose everything in a snapshot."""
        self.truncate(snapshot_id, 0)

    def swap(self, snapshot_id: str, other: str) -> None:
        """A snapshot holds what another one does."""
        self._snapshots[snapshot_id] = self.content(other).copy()

    def age(self, snapshot_id: str, by: timedelta) -> None:
        """The whole content of a snapshot of a volume in use is older than the snapshot says."""
        origin = self._origin(snapshot_id)
        assert isinstance(origin, Volume)
        self._snapshots[snapshot_id] = Frozen(replace(origin, moment=origin.moment - by))

    def mistake(self, snapshot_id: str, other: str) -> None:
        """What is made of a snapshot gets the content of another one; its own stays as it is."""
        self._mistaken[snapshot_id] = other

    # --- contents ---

    def content(self, snapshot_id: str) -> Frozen:
        """What a snapshot holds."""
        if snapshot_id not in self._snapshots:
            self._snapshots[snapshot_id] = Frozen(self._origin(snapshot_id))
        return self._snapshots[snapshot_id]

    def _origin(self, snapshot_id: str) -> Content:
        snapshot, life = self._snapshot(snapshot_id)
        volume = snapshot.volume
        if volume.id in self._volumes:
            return self._volumes[volume.id]
        return Volume(volume.id, life.volume_size, self._layout(volume), life.started_at)

    def _snapshot(self, snapshot_id: str) -> tuple[Any, Life]:
        """Of any Region: a snapshot's id says nothing of it, and copies lie in others."""
        lives = ec2.installed_in(self.cloud)
        for backend in list(ec2_backends[self.cloud.account_id].values()):
            snapshot = backend.snapshots.get(snapshot_id)
            if snapshot is not None:
                return snapshot, lives.life_of(snapshot)
        raise KeyError(f"no snapshot {snapshot_id} in the box")

    def _layout(self, volume: Any) -> Layout:
        if volume.id not in self._layouts:
            held = volume.attachment
            is_root = held is not None and held.device == held.instance.root_device_name
            self._layouts[volume.id] = layout_of(volume.id, is_root=is_root)
        return self._layouts[volume.id]

    def _remembering_layout(self, moto_does: Callable[..., Any]) -> Callable[..., Any]:
        """While it is attached: a root volume taken off its instance is laid out as before."""

        def create_snapshot(backend: Any, volume_id: str, *args: Any, **kwargs: Any) -> Any:
            snapshot = moto_does(backend, volume_id, *args, **kwargs)
            self._layout(snapshot.volume)
            return snapshot

        return create_snapshot

    def _remembering_source(self, moto_does: Callable[..., Any]) -> Callable[..., Any]:
        def copy_snapshot(backend: Any, source_snapshot_id: str, *args: Any, **kwargs: Any) -> Any:
            copy = moto_does(backend, source_snapshot_id, *args, **kwargs)
            self._snapshots[copy.id] = self.content(source_snapshot_id).copy()
            return copy

        return copy_snapshot

    def _remembering_origin(self, moto_does: Callable[..., Any]) -> Callable[..., Any]:
        def create_volume(backend: Any, *args: Any, **kwargs: Any) -> Any:
            volume = moto_does(backend, *args, **kwargs)
            if volume.snapshot_id in backend.snapshots:
                held = self._mistaken.get(volume.snapshot_id, volume.snapshot_id)
                self._volumes[volume.id] = self.content(held).copy()
            return volume

        return create_volume

    # --- the API ---

    def list_snapshot_blocks(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/ebs/latest/APIReference/API_ListSnapshotBlocks.html"""
        snapshot_id = response._get_param("SnapshotId")
        life = self._readable(response, snapshot_id)
        size = int(response._get_param("MaxResults") or MOST_LISTED)
        if size > MOST_LISTED:
            raise _invalid("INVALID_PARAMETER_VALUE", f"MaxResults {size} is above {MOST_LISTED}.")
        start = int(response._get_param("StartingBlockIndex") or 0)
        token = response._get_param("NextToken")
        if token:
            start = self._start_of(snapshot_id, token)
        present = sorted(self.content(snapshot_id).present)
        rest = present[bisect_left(present, start) :]
        page = rest[: max(FEWEST_LISTED, size)]
        if self.empty_pages:
            self.empty_pages, page = self.empty_pages - 1, []
        expires_at = self.cloud.clock.now() + TOKEN_LIVES
        answer = {
            "Blocks": [
                {"BlockIndex": one, "BlockToken": _token(snapshot_id, one, expires_at)}
                for one in page
            ],
            "ExpiryTime": expires_at,
            "VolumeSize": life.volume_size,
            "BlockSize": BLOCK,
        }
        if len(page) < len(rest):
            answer["NextToken"] = self._next_token(snapshot_id, page[-1] + 1 if page else start)
        return ActionResult(answer)

    def _next_token(self, snapshot_id: str, start: int) -> str:
        until = self.cloud.clock.now() + PAGE_TOKEN_LIVES
        return base64.b64encode(f"{snapshot_id} {start} {until.timestamp()}".encode()).decode()

    def _start_of(self, snapshot_id: str, token: str) -> int:
        try:
            owner, start, until = base64.b64decode(token, validate=True).decode().split()
        except (binascii.Error, ValueError):
            raise _invalid("INVALID_PAGE_TOKEN", "The page token is not valid.") from None
        if owner != snapshot_id or self.cloud.clock.now().timestamp() > float(until):
            raise _invalid("INVALID_PAGE_TOKEN", "The page token is not valid.")
        return int(start)

    def get_snapshot_block(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/ebs/latest/APIReference/API_GetSnapshotBlock.html"""
        snapshot_id = response._get_param("SnapshotId")
        number = int(response._get_param("BlockIndex"))
        life = self._readable(response, snapshot_id)
        if number >= life.volume_size * GIBIBYTE // BLOCK:
            raise _invalid("INVALID_BLOCK", f"Block {number} is beyond the end of the volume.")
        self._check_token(snapshot_id, number, response._get_param("BlockToken"))
        self._check_key(response, snapshot_id)
        block = self.content(snapshot_id).block(number)
        if block is None:
            raise _invalid("INVALID_BLOCK_TOKEN", "The block token is not valid.")
        is_garbled = (snapshot_id, number) in self.garbled
        checksum = hashlib.sha256(b"another block" if is_garbled else block).digest()
        return ActionResult(
            {
                "DataLength": len(block),
                "BlockData": block,
                "Checksum": base64.b64encode(checksum).decode(),
                "ChecksumAlgorithm": "SHA256",
            }
        )

    def _check_token(self, snapshot_id: str, number: int, token: str) -> None:
        try:
            seconds = int.from_bytes(base64.b64decode(token, validate=True)[HASHED:], "big")
            expires_at = datetime.fromtimestamp(seconds, UTC)
        except (binascii.Error, ValueError, OverflowError):
            raise _invalid("INVALID_BLOCK_TOKEN", "The block token is not valid.") from None
        is_own = token == _token(snapshot_id, number, expires_at)
        if not is_own or self.cloud.clock.now() > expires_at:
            raise _invalid("INVALID_BLOCK_TOKEN", "The block token is not valid.")

    def _readable(self, response: Any, snapshot_id: str) -> Life:
        """The life of a snapshot whose blocks can be read: completed, and in the standard tier.

        AWS documents that others cannot be read, not with which reason.
        """
        backend = ec2_backends[response.current_account][response.region]
        snapshot = backend.snapshots.get(snapshot_id)
        if snapshot is None:
            raise _not_found(snapshot_id)
        now = self.cloud.clock.now()
        life = ec2.installed_in(self.cloud).life_of(snapshot)
        if not life.is_visible(now):
            raise _not_found(snapshot_id)
        if life.state(now) != "completed":
            state = life.state(now)
            raise _invalid("INVALID_SNAPSHOT_ID", f"Snapshot '{snapshot_id}' is {state}.")
        if snapshot.storage_tier == "archive" and not _is_restored(snapshot, now):
            raise _invalid("INVALID_SNAPSHOT_ID", f"Snapshot '{snapshot_id}' is archived.")
        return life

    def _check_key(self, response: Any, snapshot_id: str) -> None:
        """Nobody reads an encrypted snapshot whose key cannot be used."""
        snapshot, _ = self._snapshot(snapshot_id)
        if not snapshot.kms_key_id:
            return
        keys = kms_backends[response.current_account][response.region]
        try:
            state = keys.describe_key(snapshot.kms_key_id).key_state
        except KeyError:
            state = "gone"
        if state != "Enabled":
            message = f"The key '{snapshot.kms_key_id}' is {state}."
            raise _invalid("INVALID_CUSTOMER_KEY", message)


def _invalid(reason: str, message: str) -> Refused:
    return Refused("ValidationException", reason, message)


def _not_found(snapshot_id: str) -> Refused:
    message = f"The snapshot '{snapshot_id}' does not exist."
    return Refused("ResourceNotFoundException", "SNAPSHOT_NOT_FOUND", message)


def _is_restored(snapshot: Any, now: datetime) -> bool:
    """Whether an archived snapshot is in the standard tier for a while."""
    until = snapshot.restore_expiry_time
    return until is not None and now < until.replace(tzinfo=UTC)


def _token(snapshot_id: str, number: int, expires_at: datetime) -> str:
    """What it takes to read this block of this snapshot until then."""
    seconds = int(expires_at.timestamp())
    what = hashlib.sha256(f"{snapshot_id} {number} {seconds}".encode()).digest()[:HASHED]
    return base64.b64encode(what + seconds.to_bytes(8, "big")).decode()
