"""What a restored table is held to: the backup that it was restored from, and the manifest written
when that was made. Pure.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from watchkeeper import naming
from watchkeeper.backups.manifest import Manifest
from watchkeeper.backups.model import Kind, Part, Place, RecoveryPoint, State
from watchkeeper.backups.sample import Sample
from watchkeeper.drills.model import Check, Level
from watchkeeper.drills.table_reading import ABSENT, OTHER, SAME, Reading
from watchkeeper.quoting import quoted

VERSION = 1
"""Of the checks in this file."""
LEAST_COUNT = 0.9
"""Of the items that DynamoDB counted: its figure is up to six hours old, and a table may lose items
meanwhile. https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TableDescription.html
"""
LEAST_SIZE = 0.8
"""Of the bytes that DynamoDB counted: as old, and how it sizes numbers is known only roughly."""
PART = 0.8
"""Of these shares, where only a part of the segments was read: they are not quite equal."""
LEAST_SINCE = 0.5
"""Of what the last drill counted: a live table shrinks; one that has lost half has collapsed."""
AT_ONCE = timedelta(seconds=10)
"""A backup is asked for within a second after the look; ten, for a slow answer. One that came later
had to wait for another, and the table has been used meanwhile.
"""
SURELY_MET = 5
"""Sampled items expected in what was read: if it is so many, to meet none has a chance of 1 in 150.
"""
ON = frozenset({"ENABLED", "ENABLING"})
"""States of a time to live that is switched on; until it works everywhere can take an hour:
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTimeToLive.html
"""
SHAPE = {
    "keys and attributes": ("key_schema", "attribute_definitions"),
    "indexes": ("global_indexes", "local_indexes"),
}
"""By name of the check, the settings that it compares."""


@dataclass(frozen=True)
class Shown:
    """A restored table as DynamoDB shows it; each as in `restores_dynamodb.RestoredTable`."""

    source: str = ""
    key: str = ""
    stream: Mapping[str, object] = field(default_factory=dict)
    shape: Mapping[str, object] = field(default_factory=dict)


# ── L2: what DynamoDB shows of it ─────────────────────────────────────────────────────────────────


def of_shown(point: RecoveryPoint, manifest: Manifest | None, shown: Shown) -> list[Check]:
    """What a manifest of an older version does not say is not asked."""
    asked = [_source(point, shown.source)]
    if manifest is None:
        return [*asked, _own_manifest(point, None)] if point.manifest else asked
    asked += [_own_manifest(point, manifest), _key(manifest.key, shown.key)]
    settings = manifest.settings
    if "key_schema" in settings:
        asked += [
            _shape(name, {one: settings.get(one) for one in names}, shown.shape)
            for name, names in SHAPE.items()
        ]
    return [*asked, stream(settings, shown.stream)]


def stream(settings: Mapping[str, object], found: Mapping[str, object]) -> Check:
    """Put back before it is compared."""
    return _setting("stream", viewed_by(settings), viewed_by({"stream": found}), Level.RESTORE)


def time_to_live(settings: Mapping[str, object], found: Mapping[str, object]) -> Check:
    """Put back after the items were counted, which it deletes."""
    then, now = expiring_by(settings), expiring_by({"time_to_live": found})
    return _setting("time_to_live", then, now, Level.CHECK)


def viewed_by(settings: Mapping[str, object]) -> str:
    """What of an item the stream of a manifest's settings shows; empty if there is no stream."""
    found = settings.get("stream")
    if not isinstance(found, Mapping) or not found.get("StreamEnabled"):
        return ""
    return str(found.get("StreamViewType", ""))


def expiring_by(settings: Mapping[str, object]) -> str:
    """The attribute by which items expire; empty if they do not."""
    found = settings.get("time_to_live")
    if not isinstance(found, Mapping) or found.get("TimeToLiveStatus") not in ON:
        return ""
    return str(found.get("AttributeName", ""))


def _source(point: RecoveryPoint, found: str) -> Check:
    backup = point.parts[0].snapshot
    return _check(
        "restored from", Level.RESTORE, f"{backup}, the backup that is the recovery point",
        found or "DynamoDB names none", passed=found == backup,
    )  # fmt: skip


def _own_manifest(point: RecoveryPoint, manifest: Manifest | None) -> Check:
    wanted = f"one about {point.id} of {point.resource}"
    found = f"one about {manifest.point} of {manifest.resource}" if manifest else "none"
    return _check(
        "its own manifest", Level.RESTORE, wanted, quoted(found, 300), passed=found == wanted
    )


def _key(then: str, found: str) -> Check:
    none = "a key of DynamoDB's own"
    return _check(
        "encryption key", Level.RESTORE, f"{then or none}, as the original", found or none,
        passed=found == then, why="a restore is not told one, and so keeps that of the backup",
    )  # fmt: skip


def _shape(name: str, then: Mapping[str, object], shown: Mapping[str, object]) -> Check:
    expected = _in_order(then)
    found = _in_order({one: shown.get(one) for one in then})
    return _check(
        name, Level.RESTORE, f"{quoted(expected, 1000)}, as the original",
        quoted(found, 1000), passed=found == expected,
    )  # fmt: skip


def _setting(name: str, then: str, found: str, level: Level) -> Check:
    return _check(
        f"setting of {name}",
        level,
        f"{quoted(then) if then else 'off'}, as the original",
        quoted(found) if found else "off",
        passed=found == then,
        why="a restore loses it: it was put back, and read back",
    )


def _in_order(found: Mapping[str, object]) -> dict[str, object]:
    """DynamoDB promises no order of attributes and indexes, nor of what an index shows."""

    def sorted_in(value: object) -> object:
        match value:
            case list() | tuple():
                return sorted(
                    map(sorted_in, value), key=lambda one: json.dumps(one, sort_keys=True)
                )
            case Mapping():
                return {name: sorted_in(inner) for name, inner in value.items()}
            case _:
                return value

    return {name: sorted_in(value) for name, value in found.items()}


# ── L3: what was read of it ───────────────────────────────────────────────────────────────────────


def of_reading(
    point: RecoveryPoint,
    manifest: Manifest | None,
    reading: Reading,
    before: Mapping[str, str],
) -> list[Check]:
    """`before` as `remembered`."""
    sample = manifest.sample if manifest else None
    if sample is None:
        asked = [_items_at_all(point, reading)]
    else:
        moved = _moved(point, sample)
        asked = [_items(sample, moved, reading), _sampled(sample, moved, reading)]
        if not sample.is_whole:
            asked.append(_size(sample, reading))
    if since := _since(point, reading, before.get("items", "")):
        asked.append(since)
    return asked


def remembered(point: RecoveryPoint, reading: Reading) -> dict[str, str]:
    """For the next drill; nothing if it was not read to the end."""
    if not reading.is_whole:
        return {}
    return {"items": f"{reading.items} {naming.instant(point.created_at)}"}


def _moved(point: RecoveryPoint, sample: Sample) -> str:
    """Why a restored table need not be what the sample says; empty if it must be."""
    if sample.changed:
        return f"{sample.changed} of its first items changed between two looks, seconds apart"
    if sample.at is None:
        return "DynamoDB did not say when it was looked at"
    waited = point.created_at - sample.at
    return f"it was backed up {waited} after the look" if waited > AT_ONCE else ""


def _items_at_all(point: RecoveryPoint, reading: Reading) -> Check:
    is_empty = all(part.gib == 0 for part in point.parts)
    expected = "any number: DynamoDB showed no size of the backup" if is_empty else "at least 1"
    return _check(
        "items", Level.CHECK, expected, _told(reading), passed=bool(reading.items) or is_empty,
        why="nobody has written down how many there were",
    )  # fmt: skip


def _items(sample: Sample, moved: str, reading: Reading) -> Check:
    if sample.is_whole and not moved:
        expected, passed = f"{sample.looked_at}, all of them", reading.items == sample.looked_at
        why = "a second before its backup the table was read to its end, twice, and stood still"
    elif sample.is_whole:
        least = math.ceil(sample.looked_at / 2)
        expected, passed = f"at least {least}", reading.items >= least
        why = f"half of the {sample.looked_at} that it had: {moved}"
    else:
        least = _least(sample.count, LEAST_COUNT, reading)
        least = max(least, 1 if sample.count or sample.looked_at else 0)
        expected, passed = f"at least {least}", reading.items >= least
        why = f"of {sample.count} when it was backed up, up to six hours old{_of_part(reading)}"
    return _check("items", Level.CHECK, expected, _told(reading), passed=passed, why=why)


def _size(sample: Sample, reading: Reading) -> Check:
    least = _least(sample.size, LEAST_SIZE, reading)
    return _check(
        "size", Level.CHECK, f"at least {least} bytes", f"{reading.size} bytes",
        passed=reading.size >= least,
        why=f"of {sample.size} when it was backed up, up to six hours old{_of_part(reading)}",
    )  # fmt: skip


def _least(then: int, share: float, reading: Reading) -> int:
    part = 1.0 if reading.read == reading.segments else PART * reading.share
    return math.ceil(then * share * part)


def _of_part(reading: Reading) -> str:
    if reading.read == reading.segments:
        return ""
    return f"; {reading.read} of {reading.segments} equal parts were read: more costs too much"


def _told(reading: Reading) -> str:
    if reading.cut:
        return (
            f"{reading.items} or more: {reading.cut} of {reading.segments} parts, each with one"
            " partition key or few, are too large to be read to their end"
        )
    return f"{reading.items}"


def _sampled(sample: Sample, moved: str, reading: Reading) -> Check:
    """A table that stood still has every sampled item as it was, and, if the sample is the whole
    table, no other. Of one that moved, half: with fewer it is another table.
    """
    wanted = len(sample.items)
    same, other, absent = (reading.found.count(letter) for letter in (SAME, OTHER, ABSENT))
    added = max(0, reading.items - same - other) if sample.is_whole and not moved else 0
    may_differ = wanted // 2 if moved else 0
    missed = absent - _may_be_elsewhere(wanted, reading)
    is_known = wanted > 0 or (sample.is_whole and not moved)
    told = f"{same} as they were, {other} different, {absent} not found"
    return _check(
        "sampled items", Level.CHECK, f"{wanted - may_differ} of {wanted} as they were, by SHA-256",
        told + (f", {added} that were not there" if added else ""),
        passed=is_known and other + max(0, missed) <= may_differ and not added,
        why=sample.why or moved or "none of them changed between two looks before the backup",
    )  # fmt: skip


def _may_be_elsewhere(wanted: int, reading: Reading) -> int:
    """Sampled items that may lie where nobody has read."""
    if reading.is_whole:
        return 0
    return wanted if wanted * reading.share < SURELY_MET else wanted - 1


def _since(point: RecoveryPoint, reading: Reading, before: str) -> Check | None:
    """Against the last drill that passed, if that was of no newer recovery point."""
    if not before or not reading.is_whole:
        return None
    count, created_at = before.split(" ")
    if point.created_at < naming.parse_instant(created_at):
        return None
    least = math.ceil(int(count) * LEAST_SINCE)
    return _check(
        "items since the last drill", Level.CHECK, f"at least {least}", f"{reading.items}",
        passed=reading.items >= least,
        why=f"{LEAST_SINCE:.0%} of the {count} in the recovery point of {created_at}",
    )  # fmt: skip


def _check(
    name: str, level: Level, expected: str, found: str, *, passed: bool, why: str = ""
) -> Check:
    return Check(name, level, VERSION, expected, found, passed, why)


# ── Negative controls ─────────────────────────────────────────────────────────────────────────────


def tampered() -> list[Check]:
    """What all these checks say of a table that is not what was backed up."""
    other = Shown(
        f"{SOURCE}/backup/1", "another key", {}, {"key_schema": ["another"], "global_indexes": [0]}
    )
    reading = Reading(1, 1, items=1, size=1, found=OTHER * 2)
    return [
        *of_shown(POINT, replace(MANIFEST, point="another"), other),
        *of_reading(POINT, MANIFEST, reading, BEFORE),
        time_to_live(MANIFEST.settings, {"TimeToLiveStatus": "ENABLED", "AttributeName": "other"}),
    ]


def empty() -> list[Check]:
    """And of one with nothing in it."""
    reading = Reading(1, 1, found=ABSENT * 2)
    return [
        *of_shown(POINT, MANIFEST, Shown()),
        _own_manifest(POINT, None),
        *of_reading(POINT, MANIFEST, reading, BEFORE),
        time_to_live(MANIFEST.settings, {}),
    ]


SOURCE = "arn:aws:dynamodb:stand-in:000000000000:table/0"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
POINT = RecoveryPoint(
    resource=SOURCE, id="0" * 16, kind=Kind.TABLE, created_at=NOON, run="", plan="",
    place=Place("", ""), state=State.COMPLETED, parts=(Part(f"{SOURCE}/backup/0", SOURCE, 1),),
    manifest="0",
)  # fmt: skip
MANIFEST = Manifest(
    point=POINT.id, resource=SOURCE, kind=Kind.TABLE, run="", plan="", asked_at=NOON, key="a key",
    settings={
        "stream": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
        "time_to_live": {"TimeToLiveStatus": "ENABLED", "AttributeName": "0"},
        "key_schema": ["0"], "attribute_definitions": ["0"],
        "global_indexes": ["0"], "local_indexes": [],
    },
    sample=Sample({"0": "0", "1": "1"}, looked_at=2, at=NOON, count=10, size=100),
)  # fmt: skip
BEFORE = {"items": f"10 {naming.instant(NOON)}"}
