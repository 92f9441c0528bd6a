"""EBS direct APIs: what snapshots hold, read block by block where they lie. Nothing is written.

Only a completed snapshot in the standard tier can be read; of a pending or archived one EBS answers
with a ValidationException, which is Refused here.
"""

import base64
import hashlib
from array import array
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from botocore.config import Config

from watchkeeper.aws.client import PATIENT, client
from watchkeeper.aws.errors import Busy, translated
from watchkeeper.aws.iam import needs
from watchkeeper.drills.blocks import BLOCK, Written, digest

PAGE = 10_000
"""The most that ListSnapshotBlocks gives a page: 5,000 MiB of written blocks."""
SHORT_PAGE = 100
"""The fewest that can be asked for, where only the token of one block is wanted."""
ATTEMPTS = 3
"""At a block whose bytes are not those that EBS announced: a network garbles something once."""
CACHED = 16
"""Blocks that a reader keeps, 8 MiB: partition tables and superblocks lie in fewer."""


class WrongChecksum(Busy):
    """A block did not arrive as EBS sent it; "consider the data not valid and retry".

    https://docs.aws.amazon.com/ebs/latest/userguide/ebsapis-using-checksums.html
    """


class SnapshotBlocks:
    """Reads snapshots of this Region, or of another."""

    def __init__(self, region: str = "") -> None:
        self.region = region

    @cached_property
    def client(self) -> Any:
        if not self.region:
            return client("ebs")
        return client("ebs", PATIENT.merge(Config(region_name=self.region)))

    @needs("ebs:ListSnapshotBlocks")
    def written(self, snapshot_id: str) -> Written:
        """Every block that was ever written: one call for each 5,000 MiB of them.

        Without their tokens, of which a large volume has gigabytes.
        """
        size_gib, present = 0, array("I")
        for page in self._pages(snapshot_id, 0, PAGE):
            size_gib = page["VolumeSize"]
            present.extend(one["BlockIndex"] for one in page["Blocks"])
        return Written(size_gib, present)

    @needs("ebs:ListSnapshotBlocks")
    def tokens(self, snapshot_id: str, start: int) -> dict[int, str]:
        """What it takes to read the first blocks from `start` on: their tokens, valid for a week.

        Empty if no block from there on was ever written.
        """
        for page in self._pages(snapshot_id, start, SHORT_PAGE):
            # A page may be empty though there are more blocks.
            if page["Blocks"]:
                return {one["BlockIndex"]: one["BlockToken"] for one in page["Blocks"]}
        return {}

    def _pages(self, snapshot_id: str, start: int, size: int) -> Iterator[dict[str, Any]]:
        """The API has no paginator in boto3."""
        arguments: dict[str, Any] = {"StartingBlockIndex": start}
        while True:
            with translated("ebs:ListSnapshotBlocks"):
                page = self.client.list_snapshot_blocks(
                    SnapshotId=snapshot_id, MaxResults=size, **arguments
                )
            yield page
            if not page.get("NextToken"):
                return
            arguments = {"NextToken": page["NextToken"]}

    @needs("ebs:GetSnapshotBlock", "kms:Decrypt")
    def read(self, snapshot_id: str, index: int, token: str) -> bytes:
        """A whole block. Raises WrongChecksum; of an encrypted snapshot, Denied without its key."""
        call = "ebs:GetSnapshotBlock"
        with translated(call):
            answer = self.client.get_snapshot_block(
                SnapshotId=snapshot_id, BlockIndex=index, BlockToken=token
            )
            block: bytes = answer["BlockData"].read()
        counted = base64.b64encode(hashlib.sha256(block).digest()).decode()
        if (answer["ChecksumAlgorithm"], answer["Checksum"]) != ("SHA256", counted):
            what = f"block {index} of {snapshot_id} is {counted}, announced was"
            announced = f"{answer['Checksum']} ({answer['ChecksumAlgorithm']})"
            raise WrongChecksum(call, "WrongChecksum", f"{what} {announced}")
        if len(block) != BLOCK:
            what = f"block {index} of {snapshot_id} has {len(block)} bytes of {BLOCK}"
            raise WrongChecksum(call, "WrongLength", what)
        return block


class SnapshotReader:
    """One snapshot as a disk: `reader(offset, length)`, as watchkeeper.drills.findings has it."""

    def __init__(self, blocks: SnapshotBlocks, snapshot_id: str) -> None:
        self.blocks = blocks
        self.snapshot_id = snapshot_id
        self._tokens: dict[int, str | None] = {}
        self._cache: dict[int, bytes] = {}

    def __call__(self, offset: int, length: int) -> bytes | None:
        first, last = offset // BLOCK, (offset + length - 1) // BLOCK
        found = [self.block(index) for index in range(first, last + 1)]
        if not any(found):
            return None
        begin = offset - first * BLOCK
        return b"".join(block or bytes(BLOCK) for block in found)[begin : begin + length]

    def block(self, index: int) -> bytes | None:
        """None if it was never written."""
        token = self._token(index)
        if token is None:
            return None
        if index not in self._cache:
            if len(self._cache) >= CACHED:
                del self._cache[next(iter(self._cache))]  # the oldest
            self._cache[index] = self._read(index, token)
        return self._cache[index]

    def _read(self, index: int, token: str) -> bytes:
        for _ in range(ATTEMPTS - 1):
            try:
                return self.blocks.read(self.snapshot_id, index, token)
            except WrongChecksum:
                continue
        return self.blocks.read(self.snapshot_id, index, token)

    def _token(self, index: int) -> str | None:
        """One call brings those of the hundred written blocks from here on, which lie near."""
        if index not in self._tokens:
            self._tokens |= self.blocks.tokens(self.snapshot_id, index)
            self._tokens.setdefault(index, None)
        return self._tokens[index]

    def digest(self, index: int) -> str | None:
        """Of a whole block, as manifests keep it; None if it was never written."""
        block = self.block(index)
        return None if block is None else digest(block)
