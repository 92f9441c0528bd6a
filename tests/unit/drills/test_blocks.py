"""What is found on disks: real ones, made by the tools whose formats these are, and damaged ones.

`real_disks.json` holds the sectors that matter of disk images, by their numbers and in hex without
the zeros at their ends; beside each is the command that made it.
"""

import json
import struct
import zlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from local.disks import BOOT_AT, ROOT_AT, Image, Layout, crc32c, ext4, living, mbr
from watchkeeper.drills.blocks import (
    BLOCK,
    BLOCKS_PER_GIB,
    SPREAD,
    Survey,
    Written,
    compare,
    digest,
    not_collapsed,
    sample,
    sound,
    survey,
)
from watchkeeper.drills.file_systems import recognised
from watchkeeper.drills.findings import SECTOR, Area, Finding, Health, Reader
from watchkeeper.drills.partitions import table_on

GIB = 1024**3
NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)
VOLUME = "vol-0123456789abcdef0"
IDENTITY = "6b1de5a0-5d3c-4f6e-9a51-0d6a1c2b3f47"
REAL = json.loads((Path(__file__).parent / "real_disks.json").read_text())

Change = Callable[[bytearray], None]


def reader(pieces: Mapping[int, bytes]) -> Reader:
    """Of a disk that holds just these."""

    def read(offset: int, length: int) -> bytes | None:
        found = bytearray(length)
        for at, piece in pieces.items():
            begin, end = max(at, offset), min(at + len(piece), offset + length)
            if begin < end:
                found[begin - offset : end - offset] = piece[begin - at : end - at]
        return bytes(found) if any(found) else None

    return read


def real_pieces(name: str) -> dict[int, bytes]:
    sectors = REAL[name]["sectors"].items()
    return {int(number) * SECTOR: bytes.fromhex(kept) for number, kept in sectors}


def look(pieces: Mapping[int, bytes], size: int) -> Finding:
    """At a whole disk: its partition table, or what else it holds."""
    disk = Area(reader(pieces), "disk", 0, size)
    table = table_on(disk)
    return table.finding if table else recognised(disk)


def surveyed(
    layout: Layout, size_gib: int = 8, changed: Mapping[int, bytes | None] | None = None
) -> Survey:
    """A disk of 8 GiB, looked at as one of `size_gib`; `changed`: new bytes by their offset, or
    None for what was lost from there on.
    """
    pieces = dict(living(VOLUME, 8, layout, NOW).pieces)
    for at, new in (changed or {}).items():
        if new is None:
            pieces = {offset: piece for offset, piece in pieces.items() if offset < at}
        else:
            pieces[at] = new
    return survey(reader(pieces), size_gib)


# --- real disks ---


@pytest.mark.parametrize("name", REAL)
def test_real_disks_are_recognised_and_sound(name: str) -> None:
    finding = look(real_pieces(name), REAL[name]["size"])

    assert (finding.format, finding.health) == (name, Health.SOUND), finding.found
    assert IDENTITY in finding.found or name in {"GPT", "NTFS", "FAT"}


def test_the_partitions_of_a_real_table() -> None:
    table = table_on(Area(reader(real_pieces("GPT")), "disk", 0, GIB))

    assert table is not None
    assert {one.number: (one.start // SECTOR, one.purpose) for one in table.partitions} == {
        1: (227328, ""), 14: (2048, "BIOS boot"), 15: (10240, ""),
    }  # fmt: skip


CHECKSUMMED = {"ext4": (2, 3), "XFS": (0,), "LUKS": range(32), "GPT": range(1, 34)}
"""Sectors of which every byte is covered by a checksum, in which the others are by a copy."""

EXT4_HAS_CHECKSUM = ("ext4", 1024 + 0x65, 2)
"""The bit that says so: without it there is none to be wrong. Only the sampled hash tells."""


@given(st.data())
def test_no_flipped_bit_under_a_checksum_is_sound(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(CHECKSUMMED)))
    pieces = real_pieces(name)
    at = data.draw(st.sampled_from([n * SECTOR for n in CHECKSUMMED[name] if n * SECTOR in pieces]))
    damaged = bytearray(pieces[at])
    byte, bit = data.draw(st.integers(0, len(damaged) - 1)), data.draw(st.integers(0, 7))
    assume((name, at + byte, bit) != EXT4_HAS_CHECKSUM)
    damaged[byte] ^= 1 << bit
    pieces[at] = bytes(damaged)

    assert look(pieces, REAL[name]["size"]).health is not Health.SOUND


@given(st.data())
def test_whatever_lies_on_a_disk_there_is_a_finding(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(REAL)))
    pieces = real_pieces(name)
    at = data.draw(st.sampled_from(sorted(pieces)[:4]))
    damaged = bytearray(pieces[at].ljust(SECTOR, b"\0"))
    for _ in range(data.draw(st.integers(1, 3))):
        where = data.draw(st.integers(0, SECTOR - 8))
        damaged[where : where + 8] = data.draw(st.binary(min_size=8, max_size=8))
    pieces[at] = bytes(damaged)

    assert look(pieces, REAL[name]["size"]).found


@pytest.mark.parametrize("name", sorted(REAL.keys() - {"GPT"}))
def test_a_disk_cut_short_is_broken(name: str) -> None:
    finding = look(real_pieces(name), REAL[name]["size"] - 1024**2)

    assert finding.health is Health.BROKEN or name == "LUKS", finding.found


# --- disks of volumes in use ---


@pytest.mark.parametrize("size_gib", [8, 500])
@pytest.mark.parametrize(
    ("layout", "formats"),
    [
        (
            Layout.ROOT_EXT4,
            {"disk": "GPT", "partition 127": "BIOS boot", "partition 1": "ext4"},
        ),
        (Layout.ROOT_XFS, {"disk": "GPT", "partition 127": "BIOS boot", "partition 1": "XFS"}),
        (Layout.EXT4, {"disk": "ext4"}),
        (Layout.XFS, {"disk": "XFS"}),
        (Layout.LVM, {"disk": "LVM2"}),
    ],
)
def test_a_disk_in_use_is_sound(layout: Layout, formats: dict[str, str], size_gib: int) -> None:
    image = living(VOLUME, size_gib, layout, NOW)
    found = survey(reader(image.pieces), size_gib)

    assert found.formats == formats
    assert {finding.health for finding in found.findings} == {Health.SOUND}, found.findings
    assert all(check.passed for check in sound(found.findings))
    assert all(check.passed for check in sound(found.findings, formats))
    assert set(found.landmarks) >= {0, *((size_gib * BLOCKS_PER_GIB - 1,) * ("GPT" in layout))}


def test_a_journal_to_be_replayed_is_told_and_normal() -> None:
    (finding,) = surveyed(Layout.EXT4).findings

    assert "journal to be replayed, as in any snapshot" in finding.found
    assert finding.written_at == NOW


def ext_superblock(change: Change, at: int = 1024) -> bytes:
    """A superblock with something else in it, and the checksum to go with that."""
    raw = bytearray(living(VOLUME, 8, Layout.EXT4, NOW).pieces[at])
    change(raw)
    struct.pack_into("<I", raw, 0x3FC, crc32c(bytes(raw[:0x3FC])) ^ 0xFFFFFFFF)
    return bytes(raw)


def xfs_superblock(change: Change) -> bytes:
    raw = bytearray(living(VOLUME, 8, Layout.XFS, NOW).pieces[0])
    change(raw)
    raw[224:228] = bytes(4)
    struct.pack_into("<I", raw, 224, crc32c(bytes(raw)))
    return bytes(raw)


def gpt_header(change: Change) -> bytes:
    raw = bytearray(living(VOLUME, 8, Layout.ROOT_XFS, NOW).pieces[SECTOR])
    change(raw)
    raw[16:20] = bytes(4)
    struct.pack_into("<I", raw, 16, zlib.crc32(raw))
    return bytes(raw)


def put(at: int, new: bytes) -> Change:
    def change(raw: bytearray) -> None:
        raw[at : at + len(new)] = new

    return change


def test_a_file_system_without_a_journal_needs_a_check_and_is_no_worse() -> None:
    def mount(raw: bytearray) -> None:
        put(0x3A, b"\0\0")(raw)  # not unmounted
        put(0x60, struct.pack("<I", 0x2C2))(raw)  # nothing to be replayed
        put(0x194, struct.pack("<I", 7))(raw)  # errors, which fsck has repaired

    (finding,) = surveyed(Layout.EXT4, 8, {1024: ext_superblock(mount)}).findings

    assert finding.health is Health.SOUND
    assert "it needs fsck before use, 7 errors counted" in finding.found


HALF = 4 * GIB
LAST_HEADER = 8 * GIB - SECTOR
NOISE = b"\xa5" * SECTOR
# A backup in every group, in two groups of its choice, and in those of powers of 3, 5 and 7.
NOT_SPARSE = ext_superblock(put(0x64, struct.pack("<I", 0x46A)))
TWO_BACKUPS = put(0x24C, struct.pack("<II", 1, 50))
SPARSE_2 = ext_superblock(lambda raw: (put(0x5C, b"\x3c\2")(raw), TWO_BACKUPS(raw))[0])
OTHERS = living("vol-0fedcba9876543210", 8, Layout.ROOT_EXT4, NOW).pieces
OTHERS_XFS = living("vol-0fedcba9876543210", 8, Layout.XFS, NOW).pieces
OTHERS_BACKUP = {at: piece for at, piece in OTHERS.items() if at >= LAST_HEADER - 32 * SECTOR}
OWN = living(VOLUME, 8, Layout.ROOT_EXT4, NOW).pieces
GROUP_49 = 49 * 128 * 1024**2


@pytest.mark.parametrize(
    ("layout", "size_gib", "changed", "place", "words"),
    [
        (Layout.EXT4, 8, {1024: ext_superblock(put(0x3A, b"\2\0"))}, "disk", "recorded errors"),
        (Layout.EXT4, 8, {1024: ext_superblock(put(0x18, b"\x40"))}, "disk", "impossible sizes"),
        (Layout.EXT4, 8, {HALF: None}, "disk", "superblock in group 49 is not there"),
        (Layout.EXT4, 8, {1024: NOT_SPARSE}, "disk", "group 63 is not there"),
        (Layout.EXT4, 8, {1024: SPARSE_2}, "disk", "group 50 is not there"),
        (Layout.EXT4, 8, {GROUP_49: OTHERS[ROOT_AT + 1024]}, "disk", "group 49 is not there"),
        (Layout.EXT4, 7, {}, "disk", "it has 8 GiB where only 7 GiB are"),
        (Layout.XFS, 8, {0: xfs_superblock(put(219, b"\x10"))}, "disk", "needs xfs_repair"),
        (Layout.XFS, 8, {0: xfs_superblock(put(126, b"\1"))}, "disk", "never finished"),
        (Layout.XFS, 8, {0: xfs_superblock(put(88, bytes(4)))}, "disk", "impossible sizes"),
        (Layout.XFS, 8, {HALF: None}, "disk", "superblock in allocation group 3 is not there"),
        (Layout.XFS, 8, {6 * GIB: OTHERS_XFS[0]}, "disk", "allocation group 3 is not there"),
        (Layout.XFS, 7, {}, "disk", "it has 8 GiB where only 7 GiB are"),
        (Layout.LVM, 8, {600: b"\xff"}, "disk", "the checksum of its label"),
        (Layout.LVM, 7, {}, "disk", "it has 8 GiB where only 7 GiB are"),
        (Layout.ROOT_XFS, 8, {SECTOR: NOISE}, "disk", "primary: no GPT header"),
        (Layout.ROOT_XFS, 8, {SECTOR: gpt_header(put(84, b"\xff" * 4))}, "disk", "it claims 128"),
        (Layout.ROOT_XFS, 8, {LAST_HEADER: NOISE}, "disk", "backup in sector 16777215: no"),
        (Layout.ROOT_XFS, 8, {LAST_HEADER: OWN[SECTOR]}, "disk", "it lies in sector 1"),
        (Layout.ROOT_XFS, 8, OTHERS_BACKUP, "disk", "name different"),
        (Layout.ROOT_XFS, 8, {0: bytes(SECTOR)}, "disk", "no protective MBR"),
        (Layout.ROOT_XFS, 8, {1024: NOISE}, "disk", "checksum of its partition entries"),
        (Layout.ROOT_XFS, 7, {}, "disk", "it would lie outside the disk of 7 GiB"),
        (Layout.ROOT_XFS, 7, {}, "partition 1", "it would end at 7.999 GiB of 7 GiB"),
        (Layout.ROOT_EXT4, 8, {HALF: None}, "disk", "backup in sector 16777215"),
        (Layout.ROOT_EXT4, 8, {HALF: None}, "partition 1", "group 49 is not there"),
    ],
)
def test_damage_is_found_where_it_is(
    layout: Layout, size_gib: int, changed: dict[int, bytes | None], place: str, words: str
) -> None:
    found = surveyed(layout, size_gib, changed)
    (finding,) = (one for one in found.findings if one.place == place)

    assert finding.health is Health.BROKEN
    assert words in finding.found
    formats = surveyed(layout).formats
    for then in (None, formats):
        check = next(one for one in sound(found.findings, then) if one.name.endswith(place))
        assert not check.passed
        assert words in check.found


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ({}, "nothing was ever written at its beginning"),
        ({0: b"\xeb\x58raw database"}, "begins with eb 58 72 61"),
        ({0: NOISE[:510] + b"\x55\xaa"}, "begins with a5 a5 a5 a5"),
    ],
)
def test_what_is_not_known_is_neither_fine_nor_broken(pieces: dict[int, bytes], words: str) -> None:
    (finding,) = survey(reader(pieces), 8).findings

    assert (finding.format, finding.health) == ("unknown", Health.UNKNOWN)
    assert words in finding.found
    (alone,), (as_then,) = sound([finding]), sound([finding], {"disk": "unknown"})
    assert not alone.passed
    assert "cannot be told" in alone.why
    assert as_then.passed


@pytest.mark.parametrize(
    ("name", "at", "words"),
    [
        ("NTFS", 510, "boot sector is damaged"),
        ("NTFS", 0x4000, "master file table is not where"),
        ("NTFS", 64 * 1024**2 - SECTOR + 3, "backup of its boot sector"),
        ("FAT", 510, "boot sector is damaged"),
        ("FAT", 6 * SECTOR + 82, "backup of its boot sector"),
    ],
)
def test_damage_of_what_windows_writes(name: str, at: int, words: str) -> None:
    pieces = real_pieces(name) | {at: b"\xff\xff"}
    finding = look(pieces, REAL[name]["size"])

    assert finding.health is Health.BROKEN
    assert words in finding.found


def test_partitions_are_found_by_the_backup_of_their_table() -> None:
    found = surveyed(Layout.ROOT_EXT4, 8, {SECTOR: NOISE})

    assert found.formats == surveyed(Layout.ROOT_EXT4).formats
    assert [one.health for one in found.findings if one.place != "disk"] == [Health.SOUND] * 2


def test_nothing_is_read_beyond_the_end_of_an_area() -> None:
    area = Area(reader({0: b"x" * 4096}), "partition 1", SECTOR, 2 * SECTOR)

    assert area.at(SECTOR, SECTOR) == b"x" * SECTOR
    assert area.at(SECTOR, SECTOR + 1) == area.at(-1, SECTOR + 1) == bytes(SECTOR + 1)


def test_a_table_of_the_old_kind() -> None:
    partition = (ROOT_AT, 8 * GIB - ROOT_AT, 0x83)
    system = ext4(ROOT_AT, partition[1], UUID(IDENTITY), "/", NOW)
    good = survey(reader(mbr({1: partition}) | system), 8)
    overlapping = survey(reader(mbr({1: partition, 2: (HALF, GIB, 0x83)}) | system), 8)
    outside = survey(reader(mbr({1: partition}) | system), 6)

    assert good.formats == {"disk": "MBR", "partition 1": "ext4"}
    assert all(check.passed for check in sound(good.findings))
    assert overlapping.findings[0].found == "partitions 1 and 2 overlap"
    assert outside.findings[0].found == "partition 1 ends at 8 GiB of 6 GiB"
    assert outside.findings[0].health is outside.findings[1].health is Health.BROKEN


def test_a_volume_that_has_grown_is_sound() -> None:
    for layout in Layout:
        findings = surveyed(layout, 20).findings
        assert {finding.health for finding in findings} == {Health.SOUND}, findings


def test_another_format_than_then_and_a_lost_partition_do_not_pass() -> None:
    findings = surveyed(Layout.EXT4).findings
    changed, lost = sound(findings, {"disk": "XFS", "partition 1": "ext4"})

    assert (changed.passed, lost.passed) == (False, False)
    assert changed.expected.startswith("XFS, as in the manifest")
    assert changed.found.startswith("ext4: ")
    assert (lost.name, lost.found) == ("format of partition 1", "it is gone")


# --- samples ---


@given(
    st.sets(st.integers(0, 2000)),
    st.text(max_size=5),
    st.sets(st.integers(0, 2000), max_size=9),
)
def test_a_sample_is_of_what_is_there_spread_over_it_and_always_the_same(
    numbers: set[int], seed: str, landmarks: set[int]
) -> None:
    written = Written(1, sorted(numbers))
    chosen = sample(written, seed, landmarks)

    assert chosen == sample(written, seed, landmarks)
    assert set(chosen) <= numbers
    assert set(chosen) >= landmarks & numbers
    spread = set(sample(written, seed))
    assert len(spread) == min(SPREAD, len(numbers))
    if len(numbers) >= 2 * SPREAD:
        half = sorted(numbers)[len(numbers) // 2]
        assert abs(sum(number < half for number in spread) - SPREAD / 2) <= 1


def test_the_seed_decides_which_blocks_beside_the_landmarks() -> None:
    written = Written(8, range(0, 8 * BLOCKS_PER_GIB, 2))
    one, another = (set(sample(written, seed, {0, 2, 3, 4000})) for seed in ("one", "another"))

    assert one & another >= {0, 2, 4000}
    assert len(one & another) < SPREAD / 2


def hashes(image: Image, numbers: list[int]) -> dict[int, str | None]:
    blocks = {number: image.block(number) for number in numbers}
    return {n: None if block is None else digest(block) for n, block in blocks.items()}


def test_a_sample_tells_a_disk_from_the_same_disk_later_and_from_another() -> None:
    image = living(VOLUME, 8, Layout.ROOT_XFS, NOW)
    landmarks = survey(reader(image.pieces), 8).landmarks
    numbers = sample(Written(8, sorted(image.present)), "seed", landmarks)
    kept = {number: found or "" for number, found in hashes(image, numbers).items()}

    assert compare(kept, hashes(image, numbers)).passed
    for other in (
        living(VOLUME, 8, Layout.ROOT_XFS, NOW.replace(month=12)),
        living("vol-0fedcba9876543210", 8, Layout.ROOT_XFS, NOW),
    ):
        assert not compare(kept, hashes(other, numbers)).passed


@pytest.mark.parametrize(
    ("manifest", "found", "words"),
    [
        ({1: "a", 2: "b"}, {1: "a", 2: "b"}, "2 equal"),
        ({1: "a", 2: "b"}, {1: "a", 2: "c"}, "different: 2"),
        ({1: "a", 2: "b"}, {1: "a", 2: None}, "different: 2"),
        ({1: "a", 2: "b"}, {1: "a"}, "not read: 2"),
        ({1: "a"}, {1: "a", 2: "b"}, "not in the manifest: 2"),
        (dict.fromkeys(range(20), "a"), {}, "not read: 0, 1, 2, 3, 4, 5, 6, 7 and 12 more"),
        ({}, {}, "0 equal"),
    ],
)
def test_sampled_blocks_are_all_equal_or_do_not_pass(
    manifest: dict[int, str], found: dict[int, str | None], words: str
) -> None:
    check = compare(manifest, found)

    assert check.found == words
    assert check.passed is (words == "2 equal")
    assert bool(check.why) is not bool(manifest)


# --- what is written at all ---


@pytest.mark.parametrize(
    ("blocks", "before", "passed", "words"),
    [
        (range(4), None, True, "4 (0.001953 GiB)"),
        (range(3), None, False, "3 ("),
        (range(0), None, False, "0 (0 GiB)"),
        (range(1000), 1000, True, "1000 ("),
        (range(900), 1000, True, "900 ("),
        (range(899), 1000, False, "899 ("),
        (range(500), 1000, False, "500 ("),
        (range(1000), 400, True, "1000 ("),
        (range(3), 3, False, "3 ("),
        ([0, 1, 2, 2048], None, False, "the last is number 2048 of 2048"),
    ],
)
def test_what_is_nearly_empty_or_has_shrunk_does_not_pass(
    blocks: range | list[int], before: int | None, passed: bool, words: str
) -> None:
    check = not_collapsed(Written(1, blocks), before)

    assert check.passed is passed
    assert words in check.found


def test_landmarks_are_where_tables_and_superblocks_lie() -> None:
    found = surveyed(Layout.ROOT_XFS)

    assert {0, ROOT_AT // BLOCK, 8 * BLOCKS_PER_GIB - 1} <= set(found.landmarks)
    assert BOOT_AT // BLOCK not in found.landmarks
    assert len(found.landmarks) < SPREAD
