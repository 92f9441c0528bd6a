"""Partition tables: what GPT and MBR say, and whether it can be believed.

The formats: UEFI Specification, chapter 5 (GUID Partition Table Disk Layout),
https://uefi.org/specs/UEFI/2.10/05_GUID_Partition_Table_Format.html
"""

import struct
import zlib
from dataclasses import dataclass
from itertools import pairwise
from uuid import UUID

from watchkeeper.drills.findings import SECTOR, Area, Finding, gib

MBR_SIGNATURE = b"\x55\xaa"
MBR_ENTRY = struct.Struct("<B3xB3xII")
"""Boot flag, type, first sector, sectors."""
BOOT_FLAGS = frozenset({0x00, 0x80})
PROTECTIVE = 0xEE
"""The MBR's partition type that says: this is a disk with GPT, leave it alone."""

GPT_MAGIC = b"EFI PART"
GPT_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
"""Magic, revision, header's size, its CRC32, reserved, own, other copy's, first usable and last
usable sector, GUID of the disk, then of the entries: first sector, number, size, CRC32.
"""
GPT_ENTRY = struct.Struct("<16s16sQQQ72s")
"""Type, GUID, first and last sector, attributes, name."""
MOST_ENTRIES, LARGEST_ENTRY = 1024, 4096
"""Every tool writes 128 of 128 bytes; far more than that is damage, not a table to be read."""

WITHOUT_FILE_SYSTEM = {
    UUID("21686148-6449-6E6F-744E-656564454649"): "BIOS boot",
    UUID("E3C9E316-0B5C-4DB8-817D-F92DF00215AE"): "Microsoft reserved",
    UUID("9E1A2D38-C612-4316-AA26-8B49521E5A8B"): "PowerPC boot",
}
"""Types of partitions that hold boot code, or nothing, and never a file system."""


@dataclass(frozen=True)
class Partition:
    """Offsets and sizes in bytes, from the beginning of the disk."""

    number: int
    start: int
    size: int
    purpose: str = ""
    """Of one without a file system: why it has none."""


@dataclass(frozen=True)
class Table:
    """A partition table that was found, and the partitions it names."""

    finding: Finding
    partitions: tuple[Partition, ...] = ()


def table_on(disk: Area) -> Table | None:
    """The partition table of a disk; None if it has none that is recognised."""
    first = disk.at(0, SECTOR)
    is_protected = any(kind == PROTECTIVE for _, kind, _, _ in _mbr_entries(first))
    if is_protected or disk.at(SECTOR, len(GPT_MAGIC)) == GPT_MAGIC:
        return _gpt(disk, is_protected=is_protected)
    return _mbr(disk, first)


# --- GPT -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Header:
    """One of the two copies."""

    problem: str = ""
    """What makes it worthless; then the rest is not known."""
    other: int = 0
    """The sector of the other copy."""
    disk: UUID | None = None
    entries: bytes = b""
    entry_size: int = GPT_ENTRY.size


def _gpt(disk: Area, *, is_protected: bool) -> Table:
    primary = _header(disk, 1)
    last = disk.size // SECTOR - 1
    # Where the primary says: a volume that has grown keeps the backup where its end once was.
    at = last if primary.problem else primary.other
    backup = _header(disk, at)
    problems = [f"primary: {primary.problem}"] if primary.problem else []
    if backup.problem:
        problems.append(f"backup in sector {at}: {backup.problem}")
    if not is_protected:
        problems.append("no protective MBR before it")
    if not problems and (primary.disk, primary.entries) != (backup.disk, backup.entries):
        problems.append("primary and backup name different partitions")
    believed = backup if primary.problem else primary
    partitions = _gpt_partitions(believed)
    problems += _misplaced(partitions, disk.size)
    described = f"GPT of disk {believed.disk}, {len(partitions)} partitions, both copies agree"
    return Table(disk.finding("GPT", problems, described), partitions)


def _header(disk: Area, sector: int) -> _Header:
    if not 0 < sector < disk.size // SECTOR:
        return _Header(f"it would lie outside the disk of {gib(disk.size)}")
    raw = disk.at(sector * SECTOR, SECTOR)
    problem = _damage(raw, sector)
    if problem:
        return _Header(problem)
    fields = GPT_HEADER.unpack_from(raw)
    other, guid = fields[6], fields[9]
    entries_at, count, entry_size, entries_crc = fields[10:]
    if count > MOST_ENTRIES or not GPT_ENTRY.size <= entry_size <= LARGEST_ENTRY:
        return _Header(f"it claims {count} entries of {entry_size} bytes")
    entries = disk.at(entries_at * SECTOR, count * entry_size)
    if zlib.crc32(entries) != entries_crc:
        return _Header("the checksum of its partition entries is wrong")
    return _Header("", other, UUID(bytes_le=guid), entries, entry_size)


def _damage(raw: bytes, sector: int) -> str:
    """What is wrong with a header in this sector by itself; nothing if it can be believed."""
    magic, _, size, crc, _, own = GPT_HEADER.unpack_from(raw)[:6]
    if magic != GPT_MAGIC:
        return f"no GPT header but {raw[: len(GPT_MAGIC)].hex(' ')}"
    if not GPT_HEADER.size <= size <= SECTOR:
        return f"its header claims {size} bytes"
    if zlib.crc32(raw[:16] + bytes(4) + raw[20:size]) != crc:
        return "the checksum of its header is wrong"
    return "" if own == sector else f"it says that it lies in sector {own}"


def _gpt_partitions(header: _Header) -> tuple[Partition, ...]:
    found = []
    for at in range(0, len(header.entries), header.entry_size):
        kind, _, first, last, _, _ = GPT_ENTRY.unpack_from(header.entries, at)
        if any(kind):
            purpose = WITHOUT_FILE_SYSTEM.get(UUID(bytes_le=kind), "")
            number, size = at // header.entry_size + 1, (last - first + 1) * SECTOR
            found.append(Partition(number, first * SECTOR, size, purpose))
    return tuple(found)


# --- MBR -----------------------------------------------------------------------------------------


def _mbr_entries(sector: bytes) -> list[tuple[int, int, int, int]]:
    """Boot flag, type, first sector and sectors of each; none if this is no MBR.

    NTFS and FAT begin with a sector that ends like an MBR, and has code where the entries are.
    """
    entries = [MBR_ENTRY.unpack_from(sector, 446 + 16 * number) for number in range(4)]
    plausible = all(
        flag in BOOT_FLAGS and (not kind or (first and sectors))
        for flag, kind, first, sectors in entries
    )
    return entries if sector[510:] == MBR_SIGNATURE and plausible else []


def _mbr(disk: Area, sector: bytes) -> Table | None:
    partitions = tuple(
        Partition(number, first * SECTOR, sectors * SECTOR)
        for number, (_, kind, first, sectors) in enumerate(_mbr_entries(sector), 1)
        if kind
    )
    if not partitions:
        return None
    problems = _misplaced(partitions, disk.size)
    described = f"MBR, {len(partitions)} partitions"
    return Table(disk.finding("MBR", problems, described), partitions)


def _misplaced(partitions: tuple[Partition, ...], disk_size: int) -> list[str]:
    """What lies outside the disk, or in each other."""
    problems = [
        f"partition {one.number} ends at {gib(one.start + one.size)} of {gib(disk_size)}"
        for one in partitions
        if one.size <= 0 or one.start + one.size > disk_size
    ]
    in_order = sorted(partitions, key=lambda one: one.start)
    problems += [
        f"partitions {one.number} and {following.number} overlap"
        for one, following in pairwise(in_order)
        if one.start + one.size > following.start
    ]
    return problems
