"""What a verifier tells of restored volumes, as far as it can be believed. Pure.

A script has read it from somebody else's disks: nothing of it is taken for more than a number, a
hash, the name of a place or of a format that is known here; its words are quoted.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from watchkeeper.backups.model import RecoveryPoint
from watchkeeper.quoting import quoted

FORMATS = {
    "gpt": "GPT", "dos": "MBR", "ext2": "ext2", "ext3": "ext3", "ext4": "ext4", "xfs": "XFS",
    "vfat": "FAT", "ntfs": "NTFS", "swap": "swap", "LVM2_member": "LVM2", "crypto_LUKS": "LUKS",
}  # fmt: skip
"""What blkid calls what drills find on disks."""
PLACE = re.compile(
    r"disk|partition [0-9]{1,4}|logical volume [A-Za-z0-9+_.-]{1,127}/[A-Za-z0-9+_.-]{1,127}"
)
"""Where something can lie; of what LVM lets names be made of."""
LONGEST = 200
"""Characters of what a tool on the verifier had to say."""
NOT_TOLD = "the verifier has not told of it"


@dataclass(frozen=True)
class Found:
    """What lies in one place of a disk, or in a logical volume."""

    format: str = ""
    check: str = ""
    """`clean`, `damaged`, `unknown`; empty of what is not checked."""
    files: int | None = None
    """None if it could not be mounted."""
    size: int = 0
    """Bytes, of all files."""
    newest: int = 0
    """Seconds since 1970, of the newest file or directory; 0 if there is none."""
    unread: int = 0
    """Directories that could not be read."""
    is_whole: bool = True
    """Whether it was counted to the end, or to as many files as are ever counted."""
    said: str = ""

    @classmethod
    def of(cls, told: Any) -> "Found":
        return cls(
            format=FORMATS.get(_text(told.get("format")), ""),
            check=_text(told.get("check")),
            files=_number(told.get("files"), None),
            size=_number(told.get("bytes"), 0) or 0,
            newest=_number(told.get("newest"), 0) or 0,
            unread=_number(told.get("unread"), 0) or 0,
            is_whole=told.get("whole") is not False,
            said=_words(told.get("said")),
        )


@dataclass(frozen=True)
class Looked:
    """What the verifier tells of one volume, or of LVM."""

    error: str = ""
    hashes: Sequence[object] = ()
    places: Mapping[str, Found] = field(default_factory=dict)

    @classmethod
    def of(cls, told: object) -> "Looked":
        if not isinstance(told, Mapping):
            return cls(NOT_TOLD)
        if told.get("error"):
            return cls(_words(told["error"]))
        hashes, places = told.get("hashes"), told.get("places")
        return cls(
            hashes=hashes if isinstance(hashes, list) else (),
            places={
                str(one["place"]): Found.of(one)
                for one in _each(places)
                if PLACE.fullmatch(_text(one.get("place")))
            },
        )


@dataclass(frozen=True)
class Finding:
    """Everything that a verifier tells of the volumes of one recovery point."""

    disks: Mapping[str, Looked]
    """By the id of the volume that was looked at."""
    logical: Looked
    """What LVM makes of them all."""
    why: str = ""
    """Why nothing is told at all."""

    @classmethod
    def of(cls, document: Mapping[str, object] | None, why: str = "") -> "Finding":
        """`why`: in words, why there is no document."""
        told = document or {}
        return cls(
            {_text(one.get("volume")): Looked.of(one) for one in _each(told.get("volumes"))},
            Looked.of(told.get("logical")),
            why,
        )

    def of_disk(self, volume_id: str) -> Looked:
        return self.disks.get(volume_id, Looked(self.why or NOT_TOLD))

    def newest(self, point: RecoveryPoint) -> datetime | None:
        """The newest time on any of them; what lies after the recovery point proves nothing."""
        latest = point.created_at.timestamp()
        looked = (*self.disks.values(), self.logical)
        times = [one.newest for each in looked for one in each.places.values()]
        known = [one for one in times if 0 < one <= latest]
        return datetime.fromtimestamp(max(known), UTC) if known else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object, default: int | None) -> int | None:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if isinstance(value, int) and is_number and value >= 0 else default


def _words(value: object) -> str:
    return quoted(value, LONGEST) if value else ""


def _each(value: object) -> list[Mapping[str, Any]]:
    """The objects of a list; none of anything else."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
