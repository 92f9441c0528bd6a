"""Disks as volumes hold them: partition tables, superblocks, and data that changes as time passes.

Sparse: a disk of 500 GiB is a few dozen pieces, and a block of it is made when somebody reads it.
Everything follows from a volume's id and the time, so that it is the same in every run.
"""

from __future__ import annotations

import hashlib
import struct
import uuid
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property, lru_cache

SECTOR = 512
MEBIBYTE = 1024**2
GIBIBYTE = 1024**3
BLOCK = MEBIBYTE // 2

Pieces = dict[int, bytes]
"""What is written, by its offset in bytes."""

LINUX = uuid.UUID("0FC63DAF-8483-4772-8E79-3D69D8477DE4")
BIOS_BOOT = uuid.UUID("21686148-6449-6E6F-744E-656564454649")

# As the images of Amazon Linux 2023 are cut: boot code in partition 127, then the root.
BOOT_AT, ROOT_AT = 11 * MEBIBYTE, 12 * MEBIBYTE


class Layout(StrEnum):
    """How the disk of a volume is used."""

    ROOT_EXT4 = "GPT, ext4"
    ROOT_XFS = "GPT, XFS"
    XFS = "XFS without a partition table"
    EXT4 = "ext4 without a partition table"
    LVM = "LVM2 without a partition table"


def layout_of(volume_id: str, *, is_root: bool) -> Layout:
    """Of a volume that nobody was told about; always the same for the same one."""
    chance = _number(volume_id, "layout") % 6
    if is_root:
        return Layout.ROOT_XFS if chance % 2 else Layout.ROOT_EXT4
    return {0: Layout.LVM, 1: Layout.EXT4}.get(chance, Layout.XFS)


@dataclass(frozen=True)
class Image:
    """What a disk holds at one instant."""

    pieces: Mapping[int, bytes]
    """Structures, by offset in bytes; no two overlap."""
    data: Mapping[int, str]
    """Blocks full of data by number: what their bytes are made of."""

    @cached_property
    def present(self) -> frozenset[int]:
        """The numbers of all blocks that were ever written."""
        return frozenset(self.data) | frozenset(self._by_block)

    def block(self, number: int) -> bytes | None:
        """None if it was never written."""
        if number not in self.present:
            return None
        seed = self.data.get(number)
        made = bytearray(_noise(seed) if seed else bytes(BLOCK))
        for at in self._by_block.get(number, ()):
            piece = self.pieces[at]
            begin = max(at, number * BLOCK)
            part = piece[begin - at : (number + 1) * BLOCK - at]
            made[begin % BLOCK : begin % BLOCK + len(part)] = part
        return bytes(made)

    @cached_property
    def _by_block(self) -> dict[int, list[int]]:
        touched: dict[int, list[int]] = {}
        for at, piece in self.pieces.items():
            for number in range(at // BLOCK, (at + len(piece) - 1) // BLOCK + 1):
                touched.setdefault(number, []).append(at)
        return touched


# The last few are kept: a drill reads one snapshot after the other, each in some seventy pieces.
@lru_cache(maxsize=16)
def living(volume_id: str, size_gib: int, layout: Layout, moment: datetime) -> Image:
    """The disk of a volume in use, at `moment`."""
    size = size_gib * GIBIBYTE
    hour = moment.replace(minute=0, second=0, microsecond=0)
    identity = uuid.UUID(int=_number(volume_id, "file system"))
    pieces: Pieces = {}
    if layout in (Layout.ROOT_EXT4, Layout.ROOT_XFS):
        root_size = size - ROOT_AT - MEBIBYTE
        partitions = {127: (BOOT_AT, MEBIBYTE, BIOS_BOOT), 1: (ROOT_AT, root_size, LINUX)}
        pieces |= gpt(size, uuid.UUID(int=_number(volume_id, "disk")), partitions)
        make = ext4 if layout is Layout.ROOT_EXT4 else xfs
        pieces |= make(ROOT_AT, root_size, identity, "/", hour)
    elif layout is Layout.LVM:
        pieces |= lvm(0, size, _hashed(volume_id, "physical volume")[:32])
    else:
        make = ext4 if layout is Layout.EXT4 else xfs
        pieces |= make(0, size, identity, "data", hour)
    return Image(pieces, _data(volume_id, size // BLOCK, hour))


# Blocks of data in a disk: few, because each that is read has to be made.
FIRST_DATA_BLOCKS = 48
# A volume in use is written to in new places, too, and those stay written.
NEW_DATA_BLOCK_EVERY = timedelta(days=7)
FIRST_USED_AT = datetime(2026, 1, 1, tzinfo=UTC)
# The slowest block changes once in 60 days, the fastest every hour.
SLOWEST_CHANGE_HOURS = 60 * 24


def _data(volume_id: str, blocks: int, hour: datetime) -> dict[int, str]:
    """Data blocks, each of which changes in a rhythm of its own."""
    hours = int(hour.timestamp()) // 3600
    count = FIRST_DATA_BLOCKS + max(0, (hour - FIRST_USED_AT) // NEW_DATA_BLOCK_EVERY)
    made = {}
    for number in range(count):
        rhythm = 1 + _number(volume_id, f"rhythm {number}") % SLOWEST_CHANGE_HOURS
        where = _number(volume_id, f"data {number}") % blocks
        made[where] = f"{volume_id} {number} {hours // rhythm}"
    return made


# --- partition tables -------------------------------------------------------------------------


def mbr(partitions: Mapping[int, tuple[int, int, int]]) -> Pieces:
    """A master boot record: by number, the first byte, the size in bytes and the type."""
    sector = bytearray(SECTOR)
    for number, (start, size, kind) in partitions.items():
        sectors = min(size // SECTOR, 0xFFFFFFFF)
        entry = struct.pack("<B3sB3sII", 0, b"", kind, b"", start // SECTOR, sectors)
        sector[446 + 16 * (number - 1) : 446 + 16 * number] = entry
    sector[510:] = b"\x55\xaa"
    return {0: bytes(sector)}


def gpt(
    size: int, identity: uuid.UUID, partitions: Mapping[int, tuple[int, int, uuid.UUID]]
) -> Pieces:
    """Both copies of a GPT: by number, the first byte, the size in bytes and the type."""
    entries = bytearray(128 * 128)
    for number, (start, length, kind) in partitions.items():
        own = uuid.uuid5(identity, str(number))
        first, last = start // SECTOR, (start + length) // SECTOR - 1
        struct.pack_into(
            "<16s16sQQ", entries, 128 * (number - 1), kind.bytes_le, own.bytes_le, first, last
        )
    end = size // SECTOR - 1
    table = bytes(entries)
    return {
        **mbr({1: (SECTOR, size - SECTOR, 0xEE)}),
        SECTOR: _gpt_header(1, end, identity, table, entries_at=2),
        2 * SECTOR: table,
        (end - 32) * SECTOR: table,
        end * SECTOR: _gpt_header(end, end, identity, table, entries_at=end - 32),
    }


def _gpt_header(own: int, end: int, identity: uuid.UUID, entries: bytes, entries_at: int) -> bytes:
    other = end if own == 1 else 1
    last_usable = end - 33
    fields = (own, other, 34, last_usable, identity.bytes_le, entries_at, 128, 128)
    rest = struct.pack("<QQQQ16sQII", *fields) + struct.pack("<I", zlib.crc32(entries))
    begin = struct.pack("<8sII", b"EFI PART", 0x00010000, 92)
    crc = zlib.crc32(begin + bytes(8) + rest)
    return begin + struct.pack("<II", crc, 0) + rest


# --- file systems -----------------------------------------------------------------------------

EXT4_GROUP = 32768
EXT4_BLOCK = 4096
EXT4_RECOVER = 0x4


def ext4(start: int, size: int, identity: uuid.UUID, label: str, at: datetime) -> Pieces:
    """Superblocks as mkfs.ext4 cuts a disk, mounted when the snapshot is taken."""
    blocks = size // EXT4_BLOCK
    groups = -(-blocks // EXT4_GROUP)
    pieces = {start + 1024: _ext4_superblock(blocks, groups, identity, label, at, 0)}
    for group in _backup_groups(groups):
        where = start + group * EXT4_GROUP * EXT4_BLOCK
        pieces[where] = _ext4_superblock(blocks, groups, identity, label, at, group)
    return pieces


def _backup_groups(groups: int) -> Iterator[int]:
    """Group 1, and the powers of 3, 5 and 7: `sparse_super`."""
    kept = {base**power for base in (3, 5, 7) for power in range(groups.bit_length())}
    return (group for group in sorted(kept) if group < groups)


def _ext4_superblock(
    blocks: int, groups: int, identity: uuid.UUID, label: str, at: datetime, group: int
) -> bytes:
    raw = bytearray(1024)
    written = int(at.timestamp())
    mounted = written - written % (30 * 86400)
    pack = struct.pack_into
    pack("<IIIII", raw, 0, groups * 8192, blocks, blocks // 20, blocks // 2, groups * 8000)
    pack("<IIIIII", raw, 0x14, 0, 2, 2, EXT4_GROUP, EXT4_GROUP, 8192)
    pack("<IIHHHHHH", raw, 0x2C, mounted, written, 3, 0xFFFF, 0xEF53, 1, 1, 0)
    pack("<IIII", raw, 0x40, mounted, 0, 0, 1)
    # The backups are those of mkfs: nothing was mounted yet.
    incompat = 0x2C2 | (0 if group else EXT4_RECOVER)
    pack("<IHHIII", raw, 0x54, 11, 256, group, 0x3C, incompat, 0x46B)
    raw[0x68:0x78] = identity.bytes
    raw[0x78:0x88] = label.encode().ljust(16, b"\0")
    pack("<H", raw, 0xFE, 64)
    raw[0x175] = 1  # metadata checksums are CRC32C
    pack("<I", raw, 0x3FC, crc32c(bytes(raw[:0x3FC])) ^ 0xFFFFFFFF)
    return bytes(raw)


XFS_GROUPS = 4
XFS_BLOCK = 4096


def xfs(start: int, size: int, identity: uuid.UUID, label: str, at: datetime) -> Pieces:
    """Superblocks as mkfs.xfs cuts a disk of less than 4 TiB: four allocation groups."""
    blocks = size // XFS_BLOCK
    group_blocks = -(-blocks // XFS_GROUPS)
    written = int(at.timestamp()) // 3600
    return {
        start + group * group_blocks * XFS_BLOCK: _xfs_superblock(
            blocks, group_blocks, identity, label, 0 if group else written
        )
        for group in range(XFS_GROUPS)
    }


def _xfs_superblock(
    blocks: int, group_blocks: int, identity: uuid.UUID, label: str, used: int
) -> bytes:
    raw = bytearray(SECTOR)
    pack = struct.pack_into
    pack(">4sIQQQ16s", raw, 0, b"XFSB", XFS_BLOCK, blocks, 0, 0, identity.bytes)
    pack(">QQQQ", raw, 48, blocks // 2, 128, 129, 130)
    pack(">IIIIIHHHH", raw, 80, 1, group_blocks, XFS_GROUPS, 0, 16384, 0xB4A5, SECTOR, 512, 8)
    raw[108:120] = label.encode().ljust(12, b"\0")
    pack(">BBBBBBBB", raw, 120, 12, 9, 9, 3, (group_blocks - 1).bit_length(), 0, 0, 25)
    pack(">QQQ", raw, 128, 64, 61, blocks - 16384 - used % (blocks // 2))
    pack(">IIIBBHIII", raw, 180, 8, 0, 0, 0, 0, 0, 1, 0x18A, 0x18A)
    pack(">IIII", raw, 208, 0, 0x5, 0x3, 0)
    pack("<I", raw, 224, crc32c(bytes(raw)))
    return bytes(raw)


def lvm(start: int, size: int, identity: str) -> Pieces:
    """The label of a physical volume, as pvcreate writes it into the second sector."""
    areas = struct.pack("<QQQQQQQQ", MEBIBYTE, 0, 0, 0, 4096, MEBIBYTE - 4096, 0, 0)
    header = identity.encode() + struct.pack("<Q", size) + areas
    rest = (struct.pack("<I8s", 32, b"LVM2 001") + header).ljust(SECTOR - 20, b"\0")
    crc = zlib.crc32(rest, 0xF597A6CF ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
    return {start + SECTOR: struct.pack("<8sQI", b"LABELONE", 1, crc) + rest}


# --- bytes ------------------------------------------------------------------------------------


def crc32c(data: bytes) -> int:
    """Castagnoli's CRC, which the standard library lacks."""
    table = _crc32c_table()
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


@lru_cache(maxsize=1)
def _crc32c_table() -> list[int]:
    table = list(range(256))
    for _ in range(8):
        table = [value >> 1 ^ (value & 1) * 0x82F63B78 for value in table]
    return table


def _noise(seed: str) -> bytes:
    """A block that looks used and compresses well."""
    return hashlib.shake_128(seed.encode()).digest(4096) * (BLOCK // 4096)


def _hashed(*words: str) -> str:
    return hashlib.sha256(" ".join(words).encode()).hexdigest()


def _number(*words: str) -> int:
    """A number of 128 bits."""
    return int(_hashed(*words)[:32], 16)
