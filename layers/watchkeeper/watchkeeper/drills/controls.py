"""Negative controls: every check is put to stand-ins that it must refuse. A check that lets an empty
or a tampered one pass proves nothing, and no drill with it passes. Pure.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from watchkeeper.backups.keys import GONE, KeyState
from watchkeeper.backups.model import Kind, Part, Place, RecoveryPoint, Snapshot, State
from watchkeeper.drills import blocks, metadata
from watchkeeper.drills.blocks import Written
from watchkeeper.drills.evidence import Control
from watchkeeper.drills.findings import Finding, Health
from watchkeeper.drills.model import Check


def proven(now: datetime) -> dict[str, Control]:
    """Per check that can fail, the control that showed it. Costs a millisecond: so each round
    proves its own checks, whatever version they are.
    """
    failed = [check for check in _asked_of_stand_ins(now) if not check.passed]
    return {_kind(check): Control(_kind(check), check.version, now) for check in failed}


def unproven(checks: Iterable[Check], controls: dict[str, Control]) -> list[str]:
    """The names of checks that were not seen to fail where they must, in this version."""
    return [
        check.name
        for check in checks
        if (known := controls.get(_kind(check))) is None or known.version != check.version
    ]


def _kind(check: Check) -> str:
    """`format of partition 1` and `format of disk` are the same question."""
    return check.name.split(" of ")[0]


def _asked_of_stand_ins(now: datetime) -> Iterable[Check]:
    yield from _of_metadata(now)
    yield blocks.not_collapsed(Written(8, []))
    yield blocks.compare({0: blocks.digest(b"then")}, {0: blocks.digest(b"now")})
    yield from blocks.sound([Finding("disk", "ext4", Health.BROKEN, "a tampered superblock")])


def _of_metadata(now: datetime) -> Iterable[Check]:
    """A recovery point of which all but its record is gone or wrong."""
    point = RecoveryPoint(
        resource="arn:aws:ec2:stand-in:000000000000:volume/vol-0", id="0" * 16, kind=Kind.VOLUME,
        created_at=now - timedelta(days=2), run="", plan="", place=Place("", ""),
        state=State.COMPLETED, parts=(Part("snap-0", "vol-0", 0),), keys=("key",), manifest="0",
    )  # fmt: skip
    before = replace(point, parts=(Part("snap-1", "vol-0", 100),))
    keys = {"key": KeyState("key", GONE)}
    broken = Snapshot("snap-0", "vol-0", "error", point.created_at, 0)
    for shown in ({}, {"snap-0": broken}):
        seen = metadata.Seen(shown, keys, None, before, timedelta(hours=1))
        yield from metadata.checks(point, seen, now)
