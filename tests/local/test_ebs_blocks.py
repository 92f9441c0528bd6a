"""EBS direct APIs in the box, held against the AWS page that each test names."""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import time_machine
from botocore.exceptions import ClientError
from moto.ebs.responses import EBSResponse
from moto.ec2.models import EC2Backend
from moto.moto_api._internal import mock_random

from local import account
from local.aws import backup, dynamodb_backups, dynamodb_tables, ebs_blocks, ec2, kms, rds
from local.aws.ebs_blocks import EbsBlocks, Volume
from local.clock import Clock
from local.disks import BLOCK, Layout
from local.pace import INSTANT, Pace
from tests.local.service_box import REGION, TWO_O_CLOCK, ServiceBox, service_box

DAY = timedelta(days=1)


class Box(ServiceBox):
    @property
    def blocks(self) -> EbsBlocks:
        return ebs_blocks.installed_in(self)

    def volume(self, **more: Any) -> str:
        zone = {"AvailabilityZone": f"{REGION}a", "Size": 8}
        return str(self.client("ec2").create_volume(**(zone | more))["VolumeId"])

    def snapshot(self, volume: str) -> str:
        return str(self.client("ec2").create_snapshot(VolumeId=volume)["SnapshotId"])

    def hashes(self, snapshot: str) -> dict[int, str]:
        content = self.blocks.content(snapshot)
        blocks = {number: content.block(number) or b"" for number in content.present}
        return {number: hashlib.sha256(block).hexdigest() for number, block in blocks.items()}


@pytest.fixture
def box() -> Iterator[Box]:
    with service_box(Box, ec2, ebs_blocks, pace=INSTANT) as box:
        yield box


@pytest.fixture
def ebs(box: Box) -> Any:
    return box.client("ebs")


@pytest.fixture
def snapshot(box: Box) -> str:
    return box.snapshot(box.volume())


def refusal(call: Any, **request: Any) -> tuple[str, str]:
    """Code and reason."""
    with pytest.raises(ClientError) as refused:
        call(**request)
    response = refused.value.response
    return str(response["Error"]["Code"]), str(response["Reason"])  # type: ignore[typeddict-item]


# --- ListSnapshotBlocks ---


def test_blocks_are_listed_in_order_page_by_page(box: Box, ebs: Any, snapshot: str) -> None:
    """https://docs.aws.amazon.com/ebs/latest/APIReference/API_ListSnapshotBlocks.html"""
    for number in range(3000, 3100):
        box.blocks.overwrite(snapshot, number * BLOCK, b"more than a page")
    first = ebs.list_snapshot_blocks(SnapshotId=snapshot, MaxResults=100)
    # "If you specify NextToken, then StartingBlockIndex is ignored"
    second = ebs.list_snapshot_blocks(
        SnapshotId=snapshot, NextToken=first["NextToken"], StartingBlockIndex=0
    )
    listed = [one["BlockIndex"] for page in (first, second) for one in page["Blocks"]]

    assert len(first["Blocks"]) == 100
    assert listed == sorted(box.blocks.content(snapshot).present)
    assert "NextToken" not in second
    assert (first["VolumeSize"], first["BlockSize"]) == (8, 512 * 1024)
    assert first["ExpiryTime"] == TWO_O_CLOCK + 7 * DAY


def test_a_list_starts_at_a_block_or_the_next_valid_one(ebs: Any, snapshot: str) -> None:
    """https://docs.aws.amazon.com/ebs/latest/APIReference/API_ListSnapshotBlocks.html"""
    every = [one["BlockIndex"] for one in ebs.list_snapshot_blocks(SnapshotId=snapshot)["Blocks"]]
    start = every[1] + 1 if every[1] + 1 not in every else every[1]
    listed = ebs.list_snapshot_blocks(SnapshotId=snapshot, StartingBlockIndex=start)["Blocks"]

    assert [one["BlockIndex"] for one in listed] == [one for one in every if one >= start]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"MaxResults": 10_001}, "INVALID_PARAMETER_VALUE"),
        ({"NextToken": "bm8gdG9rZW4="}, "INVALID_PAGE_TOKEN"),
    ],
)
def test_what_cannot_be_listed_is_refused(
    ebs: Any, snapshot: str, request_: dict[str, Any], reason: str
) -> None:
    found = refusal(ebs.list_snapshot_blocks, SnapshotId=snapshot, **request_)

    assert found == ("ValidationException", reason)


def test_the_next_page_must_be_asked_for_within_an_hour(box: Box, ebs: Any, snapshot: str) -> None:
    """https://docs.aws.amazon.com/ebs/latest/userguide/ebsapi-faq.html"""
    box.blocks.empty_pages = 1
    page = ebs.list_snapshot_blocks(SnapshotId=snapshot)
    assert page["Blocks"] == []
    assert ebs.list_snapshot_blocks(SnapshotId=snapshot, NextToken=page["NextToken"])["Blocks"]

    box.clock.run_for(timedelta(minutes=61))
    late = refusal(ebs.list_snapshot_blocks, SnapshotId=snapshot, NextToken=page["NextToken"])
    assert late == ("ValidationException", "INVALID_PAGE_TOKEN")


# --- GetSnapshotBlock ---


def test_a_block_comes_whole_with_its_checksum(box: Box, ebs: Any, snapshot: str) -> None:
    """https://docs.aws.amazon.com/ebs/latest/APIReference/API_GetSnapshotBlock.html"""
    [one, *_] = ebs.list_snapshot_blocks(SnapshotId=snapshot)["Blocks"]
    answer = ebs.get_snapshot_block(SnapshotId=snapshot, **one)
    block = answer["BlockData"].read()

    assert block == box.blocks.content(snapshot).block(one["BlockIndex"])
    assert answer["DataLength"] == len(block) == BLOCK
    checksum = base64.b64encode(hashlib.sha256(block).digest()).decode()
    assert (answer["ChecksumAlgorithm"], answer["Checksum"]) == ("SHA256", checksum)
    box.blocks.garbled.add((snapshot, one["BlockIndex"]))
    assert ebs.get_snapshot_block(SnapshotId=snapshot, **one)["Checksum"] != checksum


def test_a_token_reads_one_block_of_one_snapshot_for_a_week(
    box: Box, ebs: Any, snapshot: str
) -> None:
    """https://docs.aws.amazon.com/ebs/latest/userguide/ebsapi-faq.html"""
    other = box.snapshot(box.volume())
    [one, another, *_] = ebs.list_snapshot_blocks(SnapshotId=snapshot)["Blocks"]
    invalid = ("ValidationException", "INVALID_BLOCK_TOKEN")
    swapped = {**one, "BlockToken": another["BlockToken"]}

    for request in ({"SnapshotId": snapshot, **swapped}, {"SnapshotId": other, **one}):
        assert refusal(ebs.get_snapshot_block, **request) == invalid
    beyond = {**one, "BlockIndex": 8 * 2048}
    found = refusal(ebs.get_snapshot_block, SnapshotId=snapshot, **beyond)
    assert found == ("ValidationException", "INVALID_BLOCK")

    box.clock.run_for(7 * DAY)
    assert ebs.get_snapshot_block(SnapshotId=snapshot, **one)["DataLength"] == BLOCK
    box.clock.run_for(timedelta(seconds=1))
    assert refusal(ebs.get_snapshot_block, SnapshotId=snapshot, **one) == invalid


def test_only_completed_snapshots_of_the_standard_tier_are_read(
    box: Box, ebs: Any, snapshot: str
) -> None:
    """https://docs.aws.amazon.com/ebs/latest/userguide/ebsapi-faq.html, and
    https://docs.aws.amazon.com/ebs/latest/userguide/snapshot-archive.html
    """
    invalid, aws = ("ValidationException", "INVALID_SNAPSHOT_ID"), box.client("ec2")
    box.pace = Pace(snapshot_takes=timedelta(minutes=10), hidden_for=timedelta(seconds=20))
    late = box.snapshot(box.volume())
    not_there = ("ResourceNotFoundException", "SNAPSHOT_NOT_FOUND")

    assert refusal(ebs.list_snapshot_blocks, SnapshotId=late) == not_there
    box.clock.run_for(timedelta(seconds=20))
    assert refusal(ebs.list_snapshot_blocks, SnapshotId=late) == invalid
    box.clock.run_for(timedelta(minutes=10))
    assert ebs.list_snapshot_blocks(SnapshotId=late)["Blocks"]

    aws.modify_snapshot_tier(SnapshotId=snapshot, StorageTier="archive")
    assert refusal(ebs.list_snapshot_blocks, SnapshotId=snapshot) == invalid
    aws.restore_snapshot_tier(SnapshotId=snapshot, TemporaryRestoreDays=2)
    assert ebs.list_snapshot_blocks(SnapshotId=snapshot)["Blocks"]
    box.clock.run_for(2 * DAY)
    assert refusal(ebs.list_snapshot_blocks, SnapshotId=snapshot) == invalid


# --- contents ---


def test_a_volume_in_use_changes_a_little_and_grows(box: Box) -> None:
    volume = box.volume()
    taken = []
    for _ in range(3):
        taken.append(box.hashes(box.snapshot(volume)))
        box.clock.run_for(30 * DAY)

    for before, after in pairwise(taken):
        same = sum(after[number] == kept for number, kept in before.items())
        assert before.keys() < after.keys()
        assert 0 < same < len(before)


def test_a_snapshot_keeps_what_was_there_when_it_was_begun(box: Box) -> None:
    volume = box.volume()
    one, two = box.snapshot(volume), box.volume()
    at_once = box.hashes(one)
    box.clock.run_for(100 * DAY)

    assert box.hashes(one) == at_once
    assert box.hashes(box.snapshot(two)) != at_once


def test_what_is_done_to_a_snapshot_is_not_done_to_its_copies(box: Box, snapshot: str) -> None:
    good = box.hashes(snapshot)
    copy = box.client("ec2").copy_snapshot(SourceRegion=REGION, SourceSnapshotId=snapshot)
    restored = box.volume(SnapshotId=snapshot)
    box.blocks.tamper(snapshot, 0)
    box.client("ec2").delete_snapshot(SnapshotId=snapshot)
    box.clock.run_for(DAY)

    assert box.hashes(copy["SnapshotId"]) == good
    assert box.hashes(box.snapshot(restored)) == good


def test_switches_do_what_they_say(box: Box, snapshot: str) -> None:
    good = box.hashes(snapshot)
    box.blocks.tamper(snapshot, 0)
    assert {n for n, kept in box.hashes(snapshot).items() if good.get(n) != kept} == {0}
    box.blocks.truncate(snapshot, 1000)
    assert set(box.hashes(snapshot)) == {number for number in good if number < 1000}
    box.blocks.empty(snapshot)
    assert box.hashes(snapshot) == {}


def test_the_seeded_account_has_disks_of_every_kind() -> None:
    services = (kms, ec2, ebs_blocks, rds, dynamodb_tables, dynamodb_backups, backup)
    with service_box(Box, *services, pace=INSTANT) as box:
        mock_random.seed(0)  # as the box does: the ids decide
        account.seed(box)
        box.clock.run_for(timedelta(hours=1))  # it took snapshots by itself
        found: dict[bool, set[Layout]] = {False: set(), True: set()}
        for volume in box.client("ec2").describe_volumes()["Volumes"]:
            is_root = any(one["Device"] == account.DEVICES[0] for one in volume["Attachments"])
            origin = box.blocks.content(box.snapshot(volume["VolumeId"])).origin
            assert isinstance(origin, Volume)
            found[is_root].add(origin.layout)

    assert found[True] == {Layout.ROOT_EXT4, Layout.ROOT_XFS}
    assert found[False] == {Layout.XFS, Layout.EXT4, Layout.LVM}


def test_moto_is_as_it_was_after_the_box() -> None:
    before = dict(vars(EBSResponse)), dict(vars(EC2Backend))
    with ExitStack() as stack, time_machine.travel(TWO_O_CLOCK, tick=False) as traveller:
        ebs_blocks.install(ServiceBox(stack, Clock(traveller), INSTANT))
        assert (dict(vars(EBSResponse)), dict(vars(EC2Backend))) != before
    assert (dict(vars(EBSResponse)), dict(vars(EC2Backend))) == before
