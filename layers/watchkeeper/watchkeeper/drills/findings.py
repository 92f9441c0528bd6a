"""What is found on a disk, and where one looks for it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

SECTOR = 512
"""Bytes: how EBS shows its volumes to instances."""

Reader = Callable[[int, int], bytes | None]
"""`read(offset, length)` in bytes, from the beginning of the disk. None where nothing of it was
ever written; else all of it, and what was never written is zeros.
"""


class Health(StrEnum):
    """Of a partition table or a file system, by what it says of itself."""

    SOUND = "sound"
    BROKEN = "broken"
    UNKNOWN = "unknown"
    """Nothing that is recognised here: that is neither fine nor broken."""


@dataclass(frozen=True)
class Finding:
    """What lies in one place of a disk."""

    place: str
    """`disk`, `partition 1`."""
    format: str
    """`GPT`, `ext4`, `XFS`; `unknown`."""
    health: Health
    found: str
    """In words: what it says of itself, or everything that is wrong with it."""
    written_at: datetime | None = None
    """UTC: when the file system last wrote down that it was written to, where it does."""


@dataclass(frozen=True)
class Area:
    """A stretch of the disk in which a file system may lie; sizes and offsets in bytes."""

    read: Reader
    place: str
    start: int
    size: int

    def at(self, offset: int, length: int) -> bytes:
        """Zeros where nothing was written, and for what is not wholly inside."""
        if offset < 0 or offset + length > self.size:
            return bytes(length)
        return self.read(self.start + offset, length) or bytes(length)

    def finding(
        self,
        name: str,
        problems: list[str],
        described: str,
        written_at: datetime | None = None,
    ) -> Finding:
        """Of what was recognised here: broken if there is any problem with it."""
        if problems:
            return Finding(self.place, name, Health.BROKEN, "; ".join(problems), written_at)
        return Finding(self.place, name, Health.SOUND, described, written_at)


def gib(size: int) -> str:
    """Bytes, for people."""
    return f"{size / 1024**3:.4g} GiB"
