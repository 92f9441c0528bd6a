"""L0: what a recovery point's own service says of it, compared with what the catalogue promises.
Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from watchkeeper.backups.coverage import hours
from watchkeeper.backups.keys import KeyState, unchecked, unusable
from watchkeeper.backups.model import Kind, RecoveryPoint, Snapshot
from watchkeeper.drills.model import Check, Level

VERSION = 1
"""Of the checks in this file."""
LEAST_SIZE = 50
"""Percent of the recovery point before it: a source that has really lost half of its size overnight
is worth a look, too.
"""
NEVER_EMPTY = frozenset({Kind.INSTANCE, Kind.VOLUME})
"""Kinds whose size is that of disks. A table may be empty, and Aurora does not tell its size."""


@dataclass(frozen=True)
class Seen:
    """What there is to judge a recovery point by."""

    snapshots: Mapping[str, Snapshot]
    """Its parts, as their service shows them now."""
    keys: Mapping[str, KeyState] = field(default_factory=dict)
    """Those that it is encrypted under, by ARN."""
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
        _size(point, [one for one in shown if one], seen.before),
        *(_key(state) for _, state in sorted(seen.keys.items())),
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


def _size(point: RecoveryPoint, shown: Sequence[Snapshot], before: RecoveryPoint | None) -> Check:
    size = sum(one.gib for one in shown)
    least = sum(part.gib for part in before.parts) * LEAST_SIZE / 100 if before else 0.0
    expected = f"at least {least:g} GiB, {LEAST_SIZE} % of the one before it"
    why = "a live source grows and shrinks; one that has lost half of itself has collapsed"
    if before is None:
        expected, why = "more than nothing", "there is none before it to compare it with"
    if point.kind not in NEVER_EMPTY and not least:
        expected, why = "any", "an empty table is a table, and Aurora does not tell its size"
    is_empty = size == 0 and point.kind in NEVER_EMPTY
    return _check(
        "its size", expected, f"{size} GiB", passed=size >= least and not is_empty, why=why
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
