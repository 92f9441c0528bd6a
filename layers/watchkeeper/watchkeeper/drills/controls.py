"""Negative controls: every check is put to stand-ins that it must refuse, an empty and a tampered
one. A check that lets one of them pass proves nothing, and no drill with it passes. Pure.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from watchkeeper.backups.keys import GONE, KeyState
from watchkeeper.backups.model import Kind, Part, Place, RecoveryPoint, Snapshot, State
from watchkeeper.drills import (
    blocks,
    database_checks,
    metadata,
    objectives,
    table_checks,
    volume_checks,
)
from watchkeeper.drills.blocks import Written
from watchkeeper.drills.evidence import Control
from watchkeeper.drills.findings import Finding, Health
from watchkeeper.drills.model import Check, Phases, SignOff


def proven(now: datetime) -> dict[str, Control]:
    """Per question, the control that showed that its check fails on both stand-ins. Costs a
    millisecond: so each round proves its own checks, whatever version they are.
    """
    tampered, empty = _failed(_of_tampered(now)), _failed(_of_empty(now))
    return {
        name: Control(name, version, now)
        for name, version in tampered.items()
        if empty.get(name) == version
    }


def question(check: Check) -> str:
    """`format of partition 1` and `format of disk` are the same question."""
    return check.name.split(" of ")[0]


def unproven(checks: Iterable[Check], controls: dict[str, Control]) -> list[str]:
    """The names of checks that were not seen to fail where they must, in this version."""
    return [
        check.name
        for check in checks
        if (known := controls.get(question(check))) is None or known.version != check.version
    ]


def refusal(checks: Iterable[Check], controls: dict[str, Control]) -> str:
    """Why these checks prove nothing, whatever they found; empty if nothing is against them."""
    if not (refused := unproven(checks, controls)):
        return ""
    return f"{refused[0]!r} was not seen to fail where it must, and proves nothing"


def those_of(checks: Iterable[Check], controls: dict[str, Control]) -> tuple[Control, ...]:
    """The controls of what was asked, and of nothing else."""
    asked = {question(check) for check in checks}
    return tuple(control for name, control in controls.items() if name in asked)


def _failed(checks: Iterable[Check]) -> dict[str, int]:
    """Versions by question."""
    return {question(check): check.version for check in checks if not check.passed}


def _of_tampered(now: datetime) -> Iterable[Check]:
    """Something is there, and it is not what it should be."""
    shown = {"snap-0": Snapshot("snap-0", "vol-0", "error", now, 1)}
    seen = metadata.Seen(shown, {KEY: KeyState(KEY, "Disabled")}, "1", _before(now), AN_HOUR)
    yield from metadata.checks(_point(now), seen, now)
    yield blocks.not_collapsed(Written(1, [0, 1, 2, 3, 9 * blocks.BLOCKS_PER_GIB]))
    yield blocks.compare({0: blocks.digest(b"then")}, {0: blocks.digest(b"now")})
    yield objectives.recovery_time(Phases(asked=now - 2 * AN_HOUR, verified=now), AN_HOUR)
    yield objectives.signed_off(SignOff("ops@example.com", passed=False, note="", at=now))
    for kind in KINDS:
        yield from kind.tampered()
    yield from blocks.sound([Finding("disk", "ext4", Health.BROKEN, "a changed superblock")])


def _of_empty(now: datetime) -> Iterable[Check]:
    """Nothing is there but the record of it."""
    seen = metadata.Seen({}, {KEY: KeyState(KEY, GONE)}, None, _before(now), AN_HOUR)
    yield from metadata.checks(_point(now), seen, now)
    yield blocks.not_collapsed(Written(8, []))
    yield blocks.compare({0: blocks.digest(b"then")}, {0: None})
    yield objectives.recovery_time(Phases(), AN_HOUR)
    yield objectives.signed_off(None)
    for kind in KINDS:
        yield from kind.empty()
    yield from blocks.sound([Finding("disk", "unknown", Health.UNKNOWN, "nothing")])


KINDS = (volume_checks, database_checks, table_checks)
"""Each has stand-ins of its own for what is restored."""
KEY = "arn:aws:kms:stand-in:000000000000:key/0"
AN_HOUR = timedelta(hours=1)


def _point(now: datetime) -> RecoveryPoint:
    """Of two disks, and older than it may be."""
    return RecoveryPoint(
        resource="arn:aws:ec2:stand-in:000000000000:instance/i-0", id="0" * 16, kind=Kind.INSTANCE,
        created_at=now - timedelta(days=2), run="", plan="", place=Place("", ""),
        state=State.COMPLETED, parts=(Part("snap-0", "vol-0", 8), Part("snap-1", "vol-1", 8)),
        keys=(KEY,), manifest="0",
    )  # fmt: skip


def _before(now: datetime) -> RecoveryPoint:
    return replace(_point(now), created_at=now - timedelta(days=3))
