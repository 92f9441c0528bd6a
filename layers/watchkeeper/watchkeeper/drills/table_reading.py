"""How far a restored table has been read, and what was counted on the way. Pure.

It is read in segments, each in one go, so that only numbers are remembered between two looks: where
within a segment a look ended could only be told by an item's key, which is data.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from watchkeeper.backups.sample import Item, Sample, digest, key_digest, size_of

SEGMENT = 50 * 10**6
"""Bytes that a segment is meant to have: fifty pages, some twenty seconds. All items with the same
partition key lie in one segment, so that some have much more.
"""
MOST_OF_ALL = 1_000_000
"""Segments: the limit of Scan.
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Scan.html
"""
MOST_SEGMENTS = 200
"""That are read: 10 GB, of which reading is $0.32 (strongly consistent, at $0.125 per million units
of 4 KB), and takes two to three hours of looks. Of a larger table so many are read, spread over it.
"""
SAME, OTHER, ABSENT = "=", "x", "-"
"""What has become of a sampled item."""
PREFIX = "table."
"""Before the names of the facts."""


@dataclass(frozen=True)
class Reading:
    """What has been counted so far."""

    segments: int
    """Into which the table is divided."""
    read: int = 0
    """Segments that have been read."""
    items: int = 0
    size: int = 0
    """Bytes of the items."""
    cut: int = 0
    """Segments whose end was not reached: they are larger than what is read in one go."""
    found: str = ""
    """A letter per sampled item, in the order of the digests of their keys."""

    @classmethod
    def of_table(cls, size: int, sample: Sample | None) -> "Reading":
        """Not begun. `size` in bytes: the most that anything says."""
        segments = min(max(1, -(-size // SEGMENT)), MOST_OF_ALL)
        return cls(segments, found=ABSENT * len(sample.items if sample else ()))

    @classmethod
    def of(cls, facts: Mapping[str, str]) -> "Reading | None":
        """None if it has not begun."""
        if f"{PREFIX}segments" not in facts:
            return None
        numbers = ("segments", "read", "items", "size", "cut")
        read = {name: int(facts[PREFIX + name]) for name in numbers}
        return cls(**read, found=facts[f"{PREFIX}found"])

    def facts(self) -> dict[str, str]:
        return {PREFIX + name: str(value) for name, value in vars(self).items()}

    @property
    def planned(self) -> int:
        """Segments to be read."""
        return min(self.segments, MOST_SEGMENTS)

    @property
    def is_over(self) -> bool:
        return self.read >= self.planned

    @property
    def share(self) -> float:
        """Of the whole table, that was read, were its segments of one size."""
        return self.read / self.segments

    @property
    def is_whole(self) -> bool:
        return self.read == self.segments and not self.cut

    def next_segment(self, seed: str) -> int:
        """First the first, with which other scans begin, too, and so most likely the sample; then
        others spread evenly, which are others with another seed.
        """
        if self.segments == self.planned or not self.read:
            return self.read
        start = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big")
        stride = (self.segments - 1) / (self.planned - 1)
        return 1 + (start + int((self.read - 1) * stride)) % (self.segments - 1)

    def with_page(
        self, items: Iterable[Item], keys: Sequence[str], sample: Sample | None
    ) -> "Reading":
        """And what another page has; `keys` are the names of the key attributes."""
        wanted = sample.items if sample else {}
        letters = dict(zip(sorted(wanted), self.found, strict=True))
        count, size = self.items, self.size
        for item in items:
            count, size = count + 1, size + size_of(item)
            if wanted and (key := key_digest(item, keys)) in wanted:
                letters[key] = SAME if digest(item) == wanted[key] else OTHER
        return replace(self, items=count, size=size, found="".join(letters.values()))

    def after_segment(self, *, is_cut: bool) -> "Reading":
        return replace(self, read=self.read + 1, cut=self.cut + is_cut)
