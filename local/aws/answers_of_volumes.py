"""What the script that looks at volumes would print on a verifier of the box: in the place of disks
and of the tools that read them stands what `local.aws.ebs_blocks` knows of the volumes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from moto.ec2.models import ec2_backends

from local.aws import ebs_blocks
from local.aws.ebs_blocks import Content, Frozen, Volume
from local.disks import BLOCK, GIBIBYTE
from watchkeeper.drills.blocks import survey
from watchkeeper.drills.findings import Finding, Health
from watchkeeper.drills.volume_findings import FORMATS

WORDS = {ours: of_blkid for of_blkid, ours in FORMATS.items()}
FILES_PER_BLOCK = 25
"""Files there are where data is: as many blocks as were written, times this."""
BYTES_PER_FILE = 20_000
LAST_WRITE = timedelta(minutes=5)
"""Before the snapshot was begun: a system in use always writes something."""
FILE_SYSTEMS = frozenset({"ext2", "ext3", "ext4", "xfs", "vfat"})
DAMAGE = {"ext4": "e2fsck ended with 4", "xfs": "xfs_repair ended with 1"}


def answer(cloud: Any, request: Mapping[str, Any], instance_id: str) -> tuple[int, str]:
    """The script's exit code, and what it prints."""
    looked = [_looked(cloud, asked, request["until"], instance_id) for asked in request["volumes"]]
    told: dict[str, Any] = {"volumes": looked}
    groups = [one.pop("group") for one in looked if "group" in one]
    if groups:
        told["logical"] = _logical(groups)
    return 0, json.dumps(told, separators=(",", ":"))


def _looked(cloud: Any, asked: Mapping[str, Any], until: float, instance_id: str) -> dict[str, Any]:
    told: dict[str, Any] = {"volume": asked["id"]}
    volume = ec2_backends[cloud.account_id][cloud.region].volumes.get(asked["id"])
    if volume is None or not volume.attachment or volume.attachment.instance.id != instance_id:
        return {**told, "error": "it is not attached to this instance"}
    content = ebs_blocks.installed_in(cloud)._volumes[volume.id]
    found = survey(lambda offset, length: _read(content, offset, length), volume.size)
    blocks = len(content.present)
    newest = int(min(until, (_moment(content) - LAST_WRITE).timestamp()))
    told["hashes"] = [_hash(content, number, volume.size) for number in asked["blocks"]]
    told["places"] = [_place(one, blocks, newest) for one in found.findings]
    [first, *_] = found.findings
    if first.format == "LVM2":
        told["group"] = (first.health is Health.SOUND, blocks, newest)
    return told


def _logical(groups: Sequence[tuple[bool, int, int]]) -> dict[str, Any]:
    """One logical volume on all of them: their disks have nothing of LVM but a label."""
    if not all(is_sound for is_sound, _, _ in groups):
        return {"error": "lvs ended with 5"}
    blocks, newest = sum(one for _, one, _ in groups), max(one for _, _, one in groups)
    inside = _file_system("ext4", blocks, newest)
    return {"places": [{"place": "logical volume data/files", **inside}]}


def _read(content: Content, offset: int, length: int) -> bytes | None:
    first, last = offset // BLOCK, (offset + length - 1) // BLOCK
    blocks = [content.block(number) for number in range(first, last + 1)]
    if not any(blocks):
        return None
    begin = offset - first * BLOCK
    return b"".join(block or bytes(BLOCK) for block in blocks)[begin : begin + length]


def _moment(content: Content) -> datetime:
    """When what is on a restored volume was on the one it comes from."""
    while isinstance(content, Frozen):
        content = content.origin
    assert isinstance(content, Volume)
    return content.moment


def _hash(content: Content, number: int, size_gib: int) -> str | None:
    """What was never written is read as zeros; behind the end nothing is read."""
    if number * BLOCK >= size_gib * GIBIBYTE:
        return None
    return hashlib.sha256(content.block(number) or bytes(BLOCK)).hexdigest()[:16]


def _place(finding: Finding, blocks: int, newest: int) -> dict[str, Any]:
    kind = WORDS.get(finding.format, "")
    place: dict[str, Any] = {"place": finding.place, "format": kind}
    if kind in FILE_SYSTEMS and finding.health is Health.BROKEN:
        said = f"mount ended with 32; {DAMAGE.get(kind, '')}"
        return {**place, "check": "damaged", "said": said}
    if kind in FILE_SYSTEMS:
        return {**place, **_file_system(kind, blocks, newest)}
    return place


def _file_system(kind: str, blocks: int, newest: int) -> dict[str, Any]:
    count = blocks * FILES_PER_BLOCK
    return {
        "format": kind, "check": "clean", "files": count, "bytes": count * BYTES_PER_FILE,
        "newest": newest, "unread": 0,
    }  # fmt: skip
