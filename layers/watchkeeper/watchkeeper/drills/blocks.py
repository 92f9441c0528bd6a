"""Blocks read where they lie: is there still a disk in a snapshot, and is it the one backed up?

Level BLOCKS of a drill: no restore, a few cents for thousands of volumes. Pure: who reads hands in
a reader, and the hashes of blocks.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from watchkeeper.drills.file_systems import UNKNOWN, recognised
from watchkeeper.drills.findings import Area, Finding, Health, Reader, gib
from watchkeeper.drills.model import Check, Level
from watchkeeper.drills.partitions import Partition, table_on

VERSION = 1
"""Of the checks below: raise it with every change of what they let pass."""
BLOCK = 512 * 1024
"""Bytes: EBS reads snapshots, and says which parts of them were ever written, in these.
https://docs.aws.amazon.com/ebs/latest/userguide/ebsapi-elements.html
"""
BLOCKS_PER_GIB = 1024**3 // BLOCK
SPREAD = 64
"""Blocks sampled beside those with partition tables and superblocks: where a twentieth of a volume
is damaged, 96 of 100 samples meet it. Reading them is $0.0002 (at $0.003 per 1,000 blocks,
https://docs.aws.amazon.com/ebs/latest/userguide/ebsapi-pricing.html), 32 MiB and a few seconds, so
that a thousand volumes can be sampled every day for $6 a month.
"""
FEWEST = 4
"""Blocks: a partition table and a superblock, each with its second copy. Fewer hold no system."""
LEAST_SHARE = 0.9
"""Of the blocks of the point before: EBS keeps each block that was ever written, so a later point
of the same volume lists as many or more. The tenth is for blocks that EBS may come to drop.
"""
SHOWN = 8
"""How many block numbers a sentence names before it only counts."""


@dataclass(frozen=True)
class Written:
    """Which blocks of a snapshot hold anything."""

    size_gib: int
    """Of its volume."""
    present: Sequence[int]
    """Numbers of the blocks that were ever written, ascending."""


@dataclass(frozen=True)
class Survey:
    """What was recognised on a disk, and where one had to look for it."""

    findings: tuple[Finding, ...]
    landmarks: tuple[int, ...]
    """The blocks that hold partition tables, superblocks and their backups."""

    @property
    def formats(self) -> dict[str, str]:
        """Format by place, as a manifest keeps it: `{"disk": "GPT", "partition 1": "ext4"}`."""
        return {finding.place: finding.format for finding in self.findings}


def survey(read: Reader, size_gib: int) -> Survey:
    """Look at a disk of this size. Reads some twenty pieces of it, most of them small."""
    touched: set[int] = set()

    def watched(offset: int, length: int) -> bytes | None:
        touched.update(range(offset // BLOCK, (offset + length - 1) // BLOCK + 1))
        return read(offset, length)

    disk = Area(watched, "disk", 0, size_gib * 1024**3)
    return Survey(tuple(_findings(disk)), tuple(sorted(touched)))


def _findings(disk: Area) -> Iterable[Finding]:
    table = table_on(disk)
    if table is None:
        yield recognised(disk)
        return
    yield table.finding
    for one in table.partitions:
        yield _in_partition(disk, one)


def _in_partition(disk: Area, one: Partition) -> Finding:
    place = f"partition {one.number}"
    if one.purpose:
        return Finding(place, one.purpose, Health.SOUND, f"{one.purpose}: has no file system")
    if one.size <= 0 or one.start + one.size > disk.size:
        reach = f"it would end at {gib(one.start + one.size)} of {gib(disk.size)}"
        return Finding(place, UNKNOWN, Health.BROKEN, reach)
    return recognised(Area(disk.read, place, one.start, one.size))


def sample(written: Written, seed: str, landmarks: Collection[int] = ()) -> list[int]:
    """The blocks to be read: the landmarks, and one of each of SPREAD equal shares of the rest.

    The same for the same snapshot and seed, months later too, and for its copies.
    """
    present = written.present
    shares = min(SPREAD, len(present))
    bounds = [number * len(present) // shares for number in range(shares + 1)] if shares else []
    spread = {present[low + _chance(seed, low) % (high - low)] for low, high in pairwise(bounds)}
    return sorted(spread | set(landmarks).intersection(present))


def _chance(seed: str, number: int) -> int:
    """Any number, always the same for the same two."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{number}".encode()).digest()[:8], "big")


def digest(block: bytes) -> str:
    """SHA-256 in hex: what a manifest keeps of a sampled block."""
    return hashlib.sha256(block).hexdigest()


# --- checks --------------------------------------------------------------------------------------


def compare(manifest: Mapping[int, str], found: Mapping[int, str | None]) -> Check:
    """Sampled blocks against those of the manifest, or of the other copy: hashes by number; None is
    a block that is not there any more.
    """
    differing = sorted(n for n, kept in manifest.items() if n in found and found[n] != kept)
    unread = sorted(manifest.keys() - found.keys())
    unexpected = sorted(found.keys() - manifest.keys())
    told = [
        f"{what}: {_numbers(numbers)}"
        for what, numbers in (
            ("different", differing),
            ("not read", unread),
            ("not in the manifest", unexpected),
        )
        if numbers
    ]
    return _check(
        "sampled blocks",
        expected=f"{len(manifest)} blocks as the manifest has them, by SHA-256",
        found="; ".join(told) or f"{len(manifest)} equal",
        passed=bool(manifest) and not told,
        why="" if manifest else "there are no hashes to compare with",
    )


def not_collapsed(written: Written, before: int | None = None) -> Check:
    """Whether a snapshot still holds something like a disk. `before`: how many blocks the previous
    point of the same volume lists; None if there is none.
    """
    count, end = len(written.present), written.size_gib * BLOCKS_PER_GIB
    least = max(FEWEST, int((before or 0) * LEAST_SHARE))
    since = f", {LEAST_SHARE:.0%} of the {before} of the point before" if before else ""
    outside = count > 0 and written.present[-1] >= end
    return _check(
        "written blocks",
        expected=f"at least {least}{since}, all within {written.size_gib} GiB",
        found=f"{count} ({gib(count * BLOCK)})"
        + (f", the last is number {written.present[-1]} of {end}" if outside else ""),
        passed=count >= least and not outside,
        why="EBS keeps every block that was ever written, so that they only become more",
    )


def sound(findings: Sequence[Finding], then: Mapping[str, str] | None = None) -> list[Check]:
    """One check per place of the disk. `then`: the formats that the manifest has, by place.

    What is unknown passes only if it was unknown then: what it holds is for `compare` to say.
    """
    checks = [_sound(finding, then) for finding in findings]
    lost = sorted((then or {}).keys() - {finding.place for finding in findings})
    return checks + [
        _check(f"format of {place}", f"{then[place]}, as in the manifest", "it is gone")
        for place in lost
        if then
    ]


def _sound(finding: Finding, then: Mapping[str, str] | None) -> Check:
    is_known = finding.health is not Health.UNKNOWN
    if then is None:
        expected, as_then = "a format known here", is_known
        why = "" if is_known else "what it is cannot be told, and no manifest says what it was"
    else:
        kept = then.get(finding.place, "nothing")
        expected, as_then, why = f"{kept}, as in the manifest", kept == finding.format, ""
    return _check(
        f"format of {finding.place}",
        expected=f"{expected}, sound by its own checksums and copies",
        found=f"{finding.format}: {finding.found}",
        passed=as_then and finding.health is not Health.BROKEN,
        why=why,
    )


def _check(name: str, expected: str, found: str, *, passed: bool = False, why: str = "") -> Check:
    return Check(name, Level.BLOCKS, VERSION, expected, found, passed, why)


def _numbers(numbers: Sequence[int]) -> str:
    shown = ", ".join(str(number) for number in numbers[:SHOWN])
    return shown + (f" and {len(numbers) - SHOWN} more" if len(numbers) > SHOWN else "")
