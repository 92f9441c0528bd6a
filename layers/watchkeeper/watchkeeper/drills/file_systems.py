"""File systems, and what lies in their place: what they say of themselves, by their superblocks.

A snapshot is what the disk of a running machine was at one instant: a journal that is still to be
replayed is normal, and errors that the file system has written down are not.

The formats: ext4, https://docs.kernel.org/filesystems/ext4/super.html; XFS, chapter "Superblocks"
of https://mirrors.edge.kernel.org/pub/linux/utils/fs/xfs/docs/xfs_filesystem_structure.pdf; LUKS2,
https://gitlab.com/cryptsetup/LUKS2-docs; LVM2, swap and NTFS by what reads them
(lib/format_text/layout.h of LVM2; include/linux/swap.h and fs/ntfs3/ntfs.h of Linux).
"""

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from uuid import UUID

from watchkeeper.drills.findings import SECTOR, Area, Finding, Health, gib
from watchkeeper.quoting import quoted

UNKNOWN = "unknown"


def recognised(area: Area) -> Finding:
    """What lies in this area; `unknown` if it is none of what this file knows."""
    for look in LOOKS:
        finding = look(area)
        if finding is not None:
            return finding
    # As far as anything is looked for here; read whole, a hole says more than zeros do.
    beginning = area.read(area.start, min(HEAD, area.size))
    nothing = "nothing was ever written at its beginning"
    found = nothing if beginning is None else f"begins with {beginning[:8].hex(' ')}"
    return Finding(area.place, UNKNOWN, Health.UNKNOWN, f"no format known here: {found}")


# --- ext2, ext3, ext4 ----------------------------------------------------------------------------

EXT_AT, EXT_SIZE = 1024, 1024
EXT_MAGIC = 0xEF53
EXT_ERRORS = 0x2
"""Of `s_state`: errors were detected."""
EXT_VALID = 0x1
"""Of `s_state`: unmounted cleanly, or mounted with a journal."""
COMPAT_JOURNAL, COMPAT_SPARSE_2 = 0x4, 0x200
INCOMPAT_RECOVER, INCOMPAT_EXTENTS, INCOMPAT_64BIT = 0x4, 0x40, 0x80
RO_COMPAT_SPARSE, RO_COMPAT_METADATA_CSUM = 0x1, 0x400
LARGEST_BLOCK = 6
"""As `s_log_block_size`: 64 KiB, the largest that ext4 and XFS know."""


def _ext(area: Area) -> Finding | None:
    raw = area.at(EXT_AT, EXT_SIZE)
    if _u16(raw, 0x38) != EXT_MAGIC:
        return None
    compat, incompat, ro_compat = struct.unpack_from("<III", raw, 0x5C)
    modern = incompat & (INCOMPAT_EXTENTS | INCOMPAT_64BIT) or ro_compat & RO_COMPAT_METADATA_CSUM
    journal = compat & COMPAT_JOURNAL
    name = "ext4" if modern else "ext3" if journal else "ext2"
    problems = list(_ext_problems(area, raw))
    state, errors = _u16(raw, 0x3A), _u32(raw, 0x194)
    told = [f"{name} {_text(raw[0x78:0x88])}, {UUID(bytes=raw[0x68:0x78])}"]
    if incompat & INCOMPAT_RECOVER:
        told.append("journal to be replayed, as in any snapshot of a mounted file system")
    elif not state & EXT_VALID:
        told.append("was mounted without a journal: it needs fsck before use")
    if errors:
        told.append(f"{errors} errors counted")
    mounted_at, written_at = (_moment(_u32(raw, at)) for at in (0x2C, 0x30))
    told.append(f"mounted {_shown(mounted_at)}, superblock written {_shown(written_at)}")
    return area.finding(name, problems, ", ".join(told), written_at)


def _ext_problems(area: Area, raw: bytes) -> Iterator[str]:
    incompat, ro_compat = struct.unpack_from("<II", raw, 0x60)
    # ext4 leaves out the last step of the CRC, and inverts nothing.
    checksum = _crc32c(raw[:0x3FC]) ^ 0xFFFFFFFF
    if ro_compat & RO_COMPAT_METADATA_CSUM and checksum != _u32(raw, 0x3FC):
        yield "the checksum of its superblock is wrong"
    if _u16(raw, 0x3A) & EXT_ERRORS:
        yield f"it has recorded errors ({_u32(raw, 0x194)}): it needs fsck"
    if _u32(raw, 0x18) > LARGEST_BLOCK or not _u32(raw, 0x20):
        yield "its superblock claims impossible sizes"
        return
    block = 1024 << _u32(raw, 0x18)
    blocks = _u32(raw, 0x4) | (_u32(raw, 0x150) << 32 if incompat & INCOMPAT_64BIT else 0)
    yield from _too_large(area, blocks * block)
    first, per_group = _u32(raw, 0x14), _u32(raw, 0x20)
    groups = -(-(blocks - first) // per_group)
    for group in _ext_backups(raw, groups):
        copy = area.at((first + group * per_group) * block, EXT_SIZE)
        if _u16(copy, 0x38) != EXT_MAGIC or copy[0x68:0x78] != raw[0x68:0x78]:
            yield f"the backup of its superblock in group {group} is not there"


def _ext_backups(raw: bytes, groups: int) -> list[int]:
    """The first and the last group with a backup: those in between are no likelier to be lost."""
    (compat,), (ro_compat,) = (struct.unpack_from("<I", raw, at) for at in (0x5C, 0x64))
    if compat & COMPAT_SPARSE_2:
        kept = {_u32(raw, 0x24C), _u32(raw, 0x250)} - {0}
    elif ro_compat & RO_COMPAT_SPARSE:
        kept = {base**power for base in (3, 5, 7) for power in range(groups.bit_length())}
    else:
        kept = {1, groups - 1}
    kept = {group for group in kept if 0 < group < groups}
    return sorted({min(kept), max(kept)}) if kept else []


# --- XFS -----------------------------------------------------------------------------------------

XFS_VERSION_4, XFS_VERSION_5 = 4, 5
XFS_OF_VERSION_5 = slice(208, 264)
"""Fields that are zeros in older versions, which have no checksum."""
XFS_NEEDS_REPAIR = 0x10
"""Of `sb_features_incompat`: xfs_repair was interrupted, or asked for."""
XFS_SMALLEST, XFS_LARGEST = 512, 65536
"""Bytes, of a block."""


def _xfs(area: Area) -> Finding | None:
    raw = area.at(0, SECTOR)
    if raw[:4] != b"XFSB":
        return None
    problems = list(_xfs_problems(area, raw))
    label, version = _text(raw[108:120]), _be16(raw, 100) & 0xF
    described = f"XFS version {version} {label}, {UUID(bytes=raw[32:48])}"
    return area.finding("XFS", problems, described)


def _xfs_problems(area: Area, raw: bytes) -> Iterator[str]:
    yield from _xfs_damage(area, raw)
    if raw[126]:
        yield "it was never finished: mkfs was at work on it"
    block, group_blocks, groups = _be32(raw, 4), _be32(raw, 84), _be32(raw, 88)
    (blocks,) = struct.unpack_from(">Q", raw, 8)
    if not XFS_SMALLEST <= block <= XFS_LARGEST or not (
        (groups - 1) * group_blocks < blocks <= groups * group_blocks
    ):
        yield "its superblock claims impossible sizes"
        return
    yield from _too_large(area, blocks * block)
    for group in sorted({1, groups - 1} if groups > 1 else ()):
        copy = area.at(group * group_blocks * block, SECTOR)
        if copy[:4] != b"XFSB" or copy[32:48] != raw[32:48]:
            yield f"the backup of its superblock in allocation group {group} is not there"


def _xfs_damage(area: Area, raw: bytes) -> Iterator[str]:
    """Of the superblock by itself."""
    version, sector = _be16(raw, 100) & 0xF, _be16(raw, 102)
    if version == XFS_VERSION_5:
        whole = area.at(0, sector) if SECTOR <= sector <= XFS_LARGEST else raw
        # The one field of XFS that is little-endian.
        if _crc32c(whole[:224] + bytes(4) + whole[228:]) != _u32(raw, 224):
            yield "the checksum of its superblock is wrong"
        if _be32(raw, 216) & XFS_NEEDS_REPAIR:
            yield "it says of itself that it needs xfs_repair"
    elif version != XFS_VERSION_4 or any(raw[XFS_OF_VERSION_5]):
        yield f"it claims version {version}, and is not of that"


# --- Windows -------------------------------------------------------------------------------------

NTFS_MOST_SECTORS = 128
"""In a cluster, as a plain number."""
FAT_NO_BACKUP = frozenset({0x0000, 0xFFFF})
"""Where other FAT32 say in which sector the backup of the first is."""


def _ntfs(area: Area) -> Finding | None:
    raw = area.at(0, SECTOR)
    if raw[3:11] != b"NTFS    ":
        return None
    (sectors,), (table,) = (struct.unpack_from("<Q", raw, at) for at in (0x28, 0x30))
    (serial,) = struct.unpack_from("<Q", raw, 0x48)
    sector, per_cluster = _u16(raw, 11), raw[13]
    # Clusters of more than 64 KiB are counted as a negative power of two.
    is_power = per_cluster > NTFS_MOST_SECTORS
    cluster = sector * (1 << (256 - per_cluster) if is_power else per_cluster)
    problems = []
    if raw[510:] != b"\x55\xaa" or not sector or not cluster:
        problems.append("its boot sector is damaged")
    else:
        problems += _too_large(area, sectors * sector)
        if area.at(table * cluster, 4) != b"FILE":
            problems.append("its master file table is not where the boot sector says")
        # One sector more than the file system counts holds the copy of the first.
        if area.at(sectors * sector, SECTOR)[3:11] != b"NTFS    ":
            problems.append("the backup of its boot sector is not there")
    return area.finding("NTFS", problems, f"NTFS, serial {serial:016x}")


def _fat(area: Area) -> Finding | None:
    raw = area.at(0, SECTOR)
    wide = raw[82:90] == b"FAT32   "
    if not wide and raw[54:59] not in (b"FAT12", b"FAT16"):
        return None
    sector, sectors = _u16(raw, 11), _u16(raw, 19) or _u32(raw, 32)
    problems = []
    if raw[510:] != b"\x55\xaa" or not sector:
        problems.append("its boot sector is damaged")
    problems += _too_large(area, sectors * sector)
    backup = _u16(raw, 50)
    is_kept_twice = wide and backup not in FAT_NO_BACKUP
    if is_kept_twice and area.at(backup * sector, SECTOR)[82:90] != b"FAT32   ":
        problems.append("the backup of its boot sector is not there")
    label = _text((raw[71:82] if wide else raw[43:54]).rstrip())
    return area.finding("FAT", problems, f"FAT {label}")


# --- volumes, swap, encryption -------------------------------------------------------------------

LVM_FIRST_CRC = 0xF597A6CF
"""INITIAL_CRC of LVM2, where others begin with all ones."""
LVM_LABEL_SECTORS = 4
"""The label is in one of the first four sectors; pvcreate takes the second."""


def _lvm(area: Area) -> Finding | None:
    for number in range(LVM_LABEL_SECTORS):
        raw = area.at(number * SECTOR, SECTOR)
        if raw[:8] == b"LABELONE" and raw[24:32] == b"LVM2 001":
            break
    else:
        return None
    problems = []
    if zlib.crc32(raw[20:], LVM_FIRST_CRC ^ 0xFFFFFFFF) ^ 0xFFFFFFFF != _u32(raw, 16):
        problems.append("the checksum of its label is wrong")
    header = _u32(raw, 20)
    if header + 40 <= SECTOR:
        problems += _too_large(area, struct.unpack_from("<Q", raw, header + 32)[0])
    identity = _text(raw[header : header + 32])
    described = f"LVM2 physical volume {identity}; the volumes inside are not looked into"
    return area.finding("LVM2", problems, described)


SWAP_PAGES = (4096, 65536)
"""Bytes: of x86 and most of ARM, and of ARM kernels with large pages."""


def _swap(area: Area) -> Finding | None:
    for page in SWAP_PAGES:
        if area.at(page - 10, 10) == b"SWAPSPACE2":
            header = area.at(1024, 44)
            last = _u32(header, 4)
            problems = list(_too_large(area, (last + 1) * page))
            return area.finding("swap", problems, f"swap, {UUID(bytes=header[12:28])}")
    return None


LUKS_MAGIC = b"LUKS\xba\xbe"
LUKS_1, LUKS_2 = 1, 2
LUKS_LARGEST_HEADER = 4 * 1024**2
"""Bytes: the specification knows no larger one."""


def _luks(area: Area) -> Finding | None:
    raw = area.at(0, 4096)
    if raw[:6] != LUKS_MAGIC:
        return None
    version = _be16(raw, 6)
    problems = list(_luks_2_problems(area, raw)) if version == LUKS_2 else []
    if version not in (LUKS_1, LUKS_2):
        problems.append(f"it claims version {version}")
    identity = _text(raw[168:208])
    described = f"LUKS{version} {identity}; what is encrypted inside cannot be looked into"
    return area.finding("LUKS", problems, described)


def _luks_2_problems(area: Area, raw: bytes) -> Iterator[str]:
    (size,) = struct.unpack_from(">Q", raw, 8)
    if not len(raw) <= size <= LUKS_LARGEST_HEADER or raw[72:104].rstrip(b"\0") != b"sha256":
        yield "its header claims impossible things"
        return
    whole = area.at(0, size)
    if hashlib.sha256(whole[:448] + bytes(64) + whole[512:]).digest() != raw[448:480]:
        yield "the checksum of its header is wrong"


# --- all of them ---------------------------------------------------------------------------------

LOOKS: tuple[Callable[[Area], Finding | None], ...] = (
    _luks, _lvm, _xfs, _ntfs, _fat, _ext, _swap,
)  # fmt: skip
"""Each writes over what those behind it are recognised by, or is written over by them: where two
are recognised, the first is the newer. (FAT leaves alone where ext begins, and ext where swap ends
its first page.)
"""
HEAD = 65536
"""Bytes: everything above begins within these."""


def _too_large(area: Area, size: int) -> Iterator[str]:
    """Smaller than its place is fine: then the volume has grown, and the file system not yet."""
    if size > area.size:
        yield f"it has {gib(size)} where only {gib(area.size)} are"


def _u16(raw: bytes, at: int) -> int:
    return int.from_bytes(raw[at : at + 2], "little")


def _u32(raw: bytes, at: int) -> int:
    return int.from_bytes(raw[at : at + 4], "little")


def _be16(raw: bytes, at: int) -> int:
    return int.from_bytes(raw[at : at + 2], "big")


def _be32(raw: bytes, at: int) -> int:
    return int.from_bytes(raw[at : at + 4], "big")


def _text(raw: bytes) -> str:
    """A name that somebody gave, up to the first zero."""
    return quoted(raw.split(b"\0")[0].decode("utf-8", "replace"))


def _moment(seconds: int) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _shown(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else "never"


def _crc32c_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)  # noqa: PLW2901
        table.append(value)
    return tuple(table)


_CRC32C = _crc32c_table()


def _crc32c(data: bytes) -> int:
    """Castagnoli's CRC, which the standard library lacks; for a few kilobytes."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC32C[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
