"""Snapshots read block by block where they lie: the adapter, and what the checks make of it."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest

from local.aws import ebs_blocks, ec2, kms
from local.aws.ebs_blocks import EbsBlocks
from local.disks import Layout
from local.pace import INSTANT, Pace
from tests.local.service_box import REGION, ServiceBox, service_box
from watchkeeper.aws.ebs_blocks import SnapshotBlocks, SnapshotReader, WrongChecksum
from watchkeeper.aws.errors import AwsError, Busy, NotThere, Refused
from watchkeeper.aws.iam import needed_by
from watchkeeper.drills.blocks import (
    BLOCK,
    BLOCKS_PER_GIB,
    SPREAD,
    compare,
    not_collapsed,
    sample,
    sound,
    survey,
)
from watchkeeper.drills.model import Check

GIB = 8
LAST = GIB * BLOCKS_PER_GIB - 1
ELSEWHERE = "eu-central-1"


class Box(ServiceBox):
    @property
    def blocks(self) -> EbsBlocks:
        return ebs_blocks.installed_in(self)

    def volume(self, layout: Layout = Layout.ROOT_EXT4, **more: Any) -> str:
        zone = {"AvailabilityZone": f"{REGION}a", "Size": GIB}
        made = str(self.client("ec2").create_volume(**(zone | more))["VolumeId"])
        self.blocks.lay_out(made, layout)
        return made

    def snapshot(self, volume: str) -> str:
        made = str(self.client("ec2").create_snapshot(VolumeId=volume)["SnapshotId"])
        self.clock.run_for(timedelta(seconds=20))  # EBS takes one snapshot of a volume in 15 s
        return made


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with service_box(Box, kms, ec2, ebs_blocks, pace=INSTANT) as box:
        yield box


@pytest.fixture
def adapter(box: Box) -> SnapshotBlocks:
    return SnapshotBlocks()


class Manifest:
    """What a backup would write down of a snapshot."""

    def __init__(self, adapter: SnapshotBlocks, snapshot: str) -> None:
        reader, written = SnapshotReader(adapter, snapshot), adapter.written(snapshot)
        found = survey(reader, written.size_gib)
        self.formats = found.formats
        self.blocks = len(written.present)
        numbers = sample(written, snapshot, found.landmarks)
        self.hashes = {number: reader.digest(number) or "" for number in numbers}

    def checks(self, adapter: SnapshotBlocks, snapshot: str) -> list[Check]:
        """Level BLOCKS of a drill."""
        reader, written = SnapshotReader(adapter, snapshot), adapter.written(snapshot)
        return [
            not_collapsed(written, self.blocks),
            *sound(survey(reader, written.size_gib).findings, self.formats),
            compare(self.hashes, {number: reader.digest(number) for number in self.hashes}),
        ]

    def failures(self, adapter: SnapshotBlocks, snapshot: str) -> set[str]:
        return {check.name for check in self.checks(adapter, snapshot) if not check.passed}


# --- good ones ---


@pytest.mark.parametrize("layout", Layout)
def test_a_good_snapshot_passes_at_once_months_later_and_as_a_copy(
    box: Box, adapter: SnapshotBlocks, layout: Layout
) -> None:
    snapshot = box.snapshot(box.volume(layout))
    manifest = Manifest(adapter, snapshot)
    box.clock.run_for(timedelta(days=100))
    copy = box.client("ec2").copy_snapshot(SourceRegion=REGION, SourceSnapshotId=snapshot)

    assert len(manifest.hashes) >= SPREAD
    assert manifest.failures(adapter, snapshot) == set()
    assert manifest.failures(adapter, copy["SnapshotId"]) == set()


def test_a_copy_in_another_region_is_read_there(box: Box, adapter: SnapshotBlocks) -> None:
    snapshot = box.snapshot(box.volume())
    elsewhere = SnapshotBlocks(ELSEWHERE)
    copy = boto3.client("ec2", region_name=ELSEWHERE).copy_snapshot(
        SourceRegion=REGION, SourceSnapshotId=snapshot
    )["SnapshotId"]

    assert Manifest(adapter, snapshot).failures(elsewhere, copy) == set()
    with pytest.raises(NotThere):
        adapter.written(copy)


def test_what_is_restored_from_a_snapshot_has_its_content(
    box: Box, adapter: SnapshotBlocks
) -> None:
    snapshot = box.snapshot(box.volume())
    restored = box.snapshot(box.volume(SnapshotId=snapshot))

    assert Manifest(adapter, snapshot).failures(adapter, restored) == set()


def test_a_later_snapshot_of_the_same_volume_is_sound_and_another(
    box: Box, adapter: SnapshotBlocks
) -> None:
    volume = box.volume()
    manifest = Manifest(adapter, box.snapshot(volume))
    box.clock.run_for(timedelta(days=30))

    assert manifest.failures(adapter, box.snapshot(volume)) == {"sampled blocks"}


# --- bad ones ---


def tampered(box: Box, snapshot: str, manifest: Manifest) -> None:
    box.blocks.tamper(snapshot, sorted(manifest.hashes)[len(manifest.hashes) // 2])


def emptied(box: Box, snapshot: str, manifest: Manifest) -> None:
    box.blocks.empty(snapshot)


def halved(box: Box, snapshot: str, manifest: Manifest) -> None:
    box.blocks.truncate(snapshot, LAST // 2)


def without_its_last_block(box: Box, snapshot: str, manifest: Manifest) -> None:
    box.blocks.truncate(snapshot, LAST)


def with_another_table(box: Box, snapshot: str, manifest: Manifest) -> None:
    box.blocks.overwrite(snapshot, 512, b"no table")


PLACES = {"format of disk", "format of partition 1", "format of partition 127"}


@pytest.mark.parametrize(
    ("worsen", "failures"),
    [
        (tampered, {"sampled blocks"}),
        (emptied, {"written blocks", "sampled blocks", *PLACES}),
        (
            halved,
            {"written blocks", "sampled blocks", "format of disk", "format of partition 1"},
        ),
        (without_its_last_block, {"sampled blocks", "format of disk"}),
        (with_another_table, {"sampled blocks", "format of disk"}),
    ],
)
def test_a_bad_snapshot_fails_by_the_checks_that_should_catch_it(
    box: Box,
    adapter: SnapshotBlocks,
    worsen: Callable[[Box, str, Manifest], None],
    failures: set[str],
) -> None:
    snapshot = box.snapshot(box.volume())
    manifest = Manifest(adapter, snapshot)
    worsen(box, snapshot, manifest)

    assert manifest.failures(adapter, snapshot) == failures


# --- reading ---


def test_a_reader_gives_bytes_across_blocks_and_none_where_nothing_was_written(
    box: Box, adapter: SnapshotBlocks
) -> None:
    snapshot = box.snapshot(box.volume(Layout.ROOT_XFS))
    reader, content = SnapshotReader(adapter, snapshot), box.blocks.content(snapshot)
    present = set(adapter.written(snapshot).present)
    inside = next(n for n in sorted(present) if n + 1 not in present)
    hole = next(n for n in range(inside, LAST) if not {n, n + 1} & present)
    block = content.block(inside)

    assert block is not None
    assert reader((inside + 1) * BLOCK - 4, 8) == block[-4:] + bytes(4)
    assert reader(hole * BLOCK + 7, BLOCK) is None
    assert reader.digest(hole) is None
    assert reader(LAST * BLOCK, BLOCK) == content.block(LAST)
    assert reader(LAST * BLOCK, BLOCK) == content.block(LAST)  # now from what it has kept


def test_more_than_a_page_and_empty_pages_are_read_to_the_end(
    box: Box, adapter: SnapshotBlocks
) -> None:
    snapshot = box.snapshot(box.volume())
    listed = list(adapter.written(snapshot).present)
    box.blocks.empty_pages = 3

    assert len(listed) > 100  # more than the page that a token is looked for in
    assert list(adapter.written(snapshot).present) == listed
    box.blocks.empty_pages = 3
    assert SnapshotReader(adapter, snapshot).block(LAST) is not None


def test_a_block_that_is_not_what_was_announced_is_an_error_of_its_own(
    box: Box, adapter: SnapshotBlocks
) -> None:
    snapshot = box.snapshot(box.volume())
    box.blocks.garbled.add((snapshot, 0))

    with pytest.raises(WrongChecksum, match=f"block 0 of {snapshot} is .*, announced was") as error:
        SnapshotReader(adapter, snapshot).block(0)
    assert isinstance(error.value, Busy)  # AWS says: ask again
    box.blocks.garbled.clear()
    assert SnapshotReader(adapter, snapshot).block(0)


def pending(box: Box, snapshot: str) -> str:
    box.pace = Pace(snapshot_takes=timedelta(hours=1), hidden_for=timedelta(0))
    return box.snapshot(box.volume())


def archived(box: Box, snapshot: str) -> str:
    box.client("ec2").modify_snapshot_tier(SnapshotId=snapshot, StorageTier="archive")
    return snapshot


def missing(box: Box, snapshot: str) -> str:
    return "snap-0123456789abcdef0"


@pytest.mark.parametrize(
    ("what", "error", "words"),
    [
        (pending, Refused, "pending"),
        (archived, Refused, "archived"),
        (missing, NotThere, "does not exist"),
    ],
)
def test_what_cannot_be_read_is_said(
    box: Box,
    adapter: SnapshotBlocks,
    what: Callable[[Box, str], str],
    error: type[AwsError],
    words: str,
) -> None:
    snapshot = what(box, box.snapshot(box.volume()))

    with pytest.raises(error, match=words):
        adapter.written(snapshot)
    with pytest.raises(error, match=words):
        SnapshotReader(adapter, snapshot).block(0)


def test_an_encrypted_snapshot_is_listed_and_not_read_without_its_key(
    box: Box, adapter: SnapshotBlocks
) -> None:
    key = box.client("kms").create_key()["KeyMetadata"]["Arn"]
    snapshot = box.snapshot(box.volume(Encrypted=True, KmsKeyId=key))
    assert SnapshotReader(adapter, snapshot).block(0)

    box.client("kms").disable_key(KeyId=key)
    assert adapter.written(snapshot).present
    with pytest.raises(Refused, match="Disabled"):
        SnapshotReader(adapter, snapshot).block(0)


def test_reading_needs_no_other_right() -> None:
    assert needed_by(SnapshotBlocks) == {
        "ebs:ListSnapshotBlocks", "ebs:GetSnapshotBlock", "kms:Decrypt",
    }  # fmt: skip
