"""L0: what a recovery point's own service says of it, compared with what the catalogue promises.
Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from watchkeeper.backups.coverage import hours
from watchkeeper.backups.keys import KeyState, unchecked, unusable
from watchkeeper.backups.model import RecoveryPoint, Snapshot
from watchkeeper.drills.model import Check, Level

VERSION = 1
"""Of the checks in this file."""
LEAST_SIZE = 50
"""Percent of the recovery point before it: a source that has really lost half of its size overnight
is worth a look, too.
"""


@dataclass(frozen=True)
class Seen:
    """What there is to judge a recovery point by."""

    snapshots: Mapping[str, Snapshot]
    """Its parts, as their service shows them now."""
    keys: Mapping[str, KeyState] = field(default_factory=dict)
    manifest: str | None = None
    """The digest of the document beside it; None if there is no such document."""
    before: RecoveryPoint | None = None
    """The completed recovery point before it, if there is one."""
    objective: timedelta | None = None
    """How old the newest one may be; None for one that is not the newest."""


def checks(point: RecoveryPoint, seen: Seen, now: datetime) -> list[Check]:
    """Everything that can be told of a recovery point without reading it."""
    shown = [seen.snapshots.get(part.snapshot) for part in point.parts]
    asked = [
        _exists(point, shown),
        _completed([one for one in shown if one]),
        _size(point, seen.before),
        *(_key(seen.keys[arn]) for arn in point.keys),
    ]
    if point.manifest:
        asked.append(_manifest(point, seen.manifest))
    if seen.objective is not None:
        asked.append(_age(point, seen.objective, now))
    return asked


def _check(name: str, expected: str, found: str, *, passed: bool, why: str = "") -> Check:
    return Check(name, Level.METADATA, VERSION, expected, found, passed, why)


def _exists(point: RecoveryPoint, shown: Sequence[Snapshot | None]) -> Check:
    there = sum(1 for one in shown if one)
    missing = [part.snapshot for part, one in zip(point.parts, shown, strict=True) if one is None]
    return _check(
        "it is there",
        f"{len(point.parts)} of {len(point.parts)} parts, as catalogued",
        f"{there} of {len(point.parts)}" + (f", without {', '.join(missing)}" if missing else ""),
        passed=bool(point.parts) and not missing,
    )


def _completed(shown: Sequence[Snapshot]) -> Check:
    states = sorted({one.state for one in shown})
    return _check(
        "it is complete",
        "every part completed",
        ", ".join(states) or "nothing is shown",
        passed=states == ["completed"],
    )


def _size(point: RecoveryPoint, before: RecoveryPoint | None) -> Check:
    size = sum(part.gib for part in point.parts)
    if before is None:
        why = "the first of its resource: there is nothing to compare it with"
        return _check("its size", "more than nothing", f"{size} GiB", passed=size > 0, why=why)
    least = sum(part.gib for part in before.parts) * LEAST_SIZE / 100
    return _check(
        "its size",
        f"at least {least:g} GiB, {LEAST_SIZE} % of the one before it",
        f"{size} GiB",
        passed=size >= least and size > 0,
        why="a live source grows and shrinks; one that has lost half of itself has collapsed",
    )


def _key(state: KeyState) -> Check:
    return _check(
        "its key",
        f"{state.arn} is Enabled",
        state.state,
        passed=state.is_usable,
        why=unusable(state) or unchecked(state),
    )


def _manifest(point: RecoveryPoint, found: str | None) -> Check:
    return _check(
        "the manifest beside it",
        f"SHA-256 {point.manifest}, as catalogued",
        f"SHA-256 {found}" if found else "none",
        passed=found == point.manifest,
    )


def _age(point: RecoveryPoint, objective: timedelta, now: datetime) -> Check:
    age = now - point.newest_data
    return _check(
        "its age", f"at most {hours(objective)}, the RPO of its plan", hours(age),
        passed=age <= objective,
    )  # fmt: skip
