"""What a restored table is held to, and that each check fails where it must."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from watchkeeper.backups.manifest import Manifest
from watchkeeper.backups.model import Kind, Part, Place, RecoveryPoint, State
from watchkeeper.backups.sample import Sample, digests
from watchkeeper.drills import table_checks, table_reading
from watchkeeper.drills.controls import question
from watchkeeper.drills.model import Check, Level
from watchkeeper.drills.table_checks import Shown
from watchkeeper.drills.table_reading import Reading

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TABLE = "arn:aws:dynamodb:eu-west-1:111122223333:table/rates"
BACKUP = f"{TABLE}/backup/01"
KEYS = [{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}]
ATTRIBUTES = [
    {"AttributeName": "id", "AttributeType": "S"},
    {"AttributeName": "at", "AttributeType": "N"},
]
INDEX = {
    "IndexName": "by-time",
    "KeySchema": KEYS,
    "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["b", "a"]},
}
SHAPE: dict[str, Any] = {
    "key_schema": KEYS,
    "attribute_definitions": ATTRIBUTES,
    "global_indexes": [INDEX, {**INDEX, "IndexName": "other"}],
    "local_indexes": [],
}
STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
EXPIRING = {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}
SAMPLE = Sample(
    {f"{number:02d}": "x" for number in range(25)}, looked_at=25, at=NOON, count=1000, size=10_000
)
WHOLE = replace(SAMPLE, is_whole=True, count=900)
POINT = RecoveryPoint(
    resource=TABLE, id="3f9d1c0a7be24856", kind=Kind.TABLE, created_at=NOON, run="", plan="gold",
    place=Place("111122223333", "eu-west-1"), state=State.COMPLETED,
    parts=(Part(BACKUP, TABLE, 1),), manifest="0",
)  # fmt: skip
MANIFEST = Manifest(
    point=POINT.id, resource=TABLE, kind=Kind.TABLE, run="", plan="gold", asked_at=NOON,
    key="key/1", settings={**SHAPE, "stream": STREAM, "time_to_live": EXPIRING}, sample=SAMPLE,
)  # fmt: skip
SHOWN = Shown(BACKUP, "key/1", STREAM, SHAPE)
READ = Reading(1, 1, items=1000, size=10_000, found="=" * 25)


def bad(checks: list[Check]) -> set[str]:
    return {check.name for check in checks if not check.passed}


def of_sample(
    reading: Reading, sample: Sample = SAMPLE, before: Mapping[str, str] | None = None
) -> list[Check]:
    manifest = replace(MANIFEST, sample=sample)
    return table_checks.of_reading(POINT, manifest, reading, before or {})


# ── What DynamoDB shows ───────────────────────────────────────────────────────────────────────────


def test_the_table_that_was_backed_up_passes_in_whatever_order_it_is_shown() -> None:
    projection = {"NonKeyAttributes": ["a", "b"], "ProjectionType": "INCLUDE"}
    indexes = [{**one, "Projection": projection} for one in reversed(SHAPE["global_indexes"])]
    shuffled = {
        **SHAPE, "attribute_definitions": ATTRIBUTES[::-1], "global_indexes": indexes
    }  # fmt: skip

    checks = table_checks.of_shown(POINT, MANIFEST, replace(SHOWN, shape=shuffled))

    assert bad(checks) == set()
    assert len(checks) == 6
    assert {check.level for check in checks} == {Level.RESTORE}


@pytest.mark.parametrize(
    ("shown", "caught"),
    [
        (replace(SHOWN, source=f"{TABLE}/backup/02"), "restored from"),
        (replace(SHOWN, source=""), "restored from"),
        (replace(SHOWN, key="key/2"), "encryption key"),
        (replace(SHOWN, key=""), "encryption key"),
        (replace(SHOWN, stream={}), "setting of stream"),
        (replace(SHOWN, stream={**STREAM, "StreamViewType": "KEYS_ONLY"}), "setting of stream"),
        (replace(SHOWN, stream={**STREAM, "StreamEnabled": False}), "setting of stream"),
        (replace(SHOWN, shape={**SHAPE, "key_schema": KEYS[:1]}), "keys and attributes"),
        (
            replace(SHOWN, shape={**SHAPE, "attribute_definitions": [ATTRIBUTES[0]] * 2}),
            "keys and attributes",
        ),
        (replace(SHOWN, shape={**SHAPE, "global_indexes": [INDEX]}), "indexes"),
        (replace(SHOWN, shape={**SHAPE, "local_indexes": [INDEX]}), "indexes"),
        (
            replace(
                SHOWN,
                shape={
                    **SHAPE,
                    "global_indexes": [
                        {**one, "Projection": {"ProjectionType": "KEYS_ONLY"}}
                        for one in SHAPE["global_indexes"]
                    ],
                },
            ),
            "indexes",
        ),
    ],
)
def test_what_is_not_as_it_was_is_caught_by_its_own_check(shown: Shown, caught: str) -> None:
    assert bad(table_checks.of_shown(POINT, MANIFEST, shown)) == {caught}


def test_what_was_never_written_down_is_not_asked() -> None:
    theirs = replace(POINT, manifest="")
    older = replace(MANIFEST, settings={"stream": {}})

    [only] = table_checks.of_shown(theirs, None, SHOWN)
    names = [check.name for check in table_checks.of_shown(POINT, older, SHOWN)]

    assert only.name == "restored from"
    assert "indexes" not in names
    assert bad(table_checks.of_shown(POINT, None, SHOWN)) == {"its own manifest"}


@pytest.mark.parametrize(
    ("then", "now", "passed"),
    [
        (EXPIRING, EXPIRING, True),
        (EXPIRING, {**EXPIRING, "TimeToLiveStatus": "ENABLING"}, True),
        (EXPIRING, {**EXPIRING, "AttributeName": "other"}, False),
        (EXPIRING, {"TimeToLiveStatus": "DISABLED"}, False),
        ({**EXPIRING, "TimeToLiveStatus": "DISABLING"}, {"TimeToLiveStatus": "DISABLED"}, True),
        ({"TimeToLiveStatus": "DISABLED"}, EXPIRING, False),
    ],
)
def test_a_time_to_live_is_put_back(then: Any, now: Any, passed: bool) -> None:
    check = table_checks.time_to_live({"time_to_live": then}, now)

    assert (check.passed, check.level) == (passed, Level.CHECK)


# ── What was read ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("reading", "caught"),
    [
        (READ, set()),
        (replace(READ, items=900, size=8000), set()),
        (replace(READ, items=899), {"items"}),
        (replace(READ, size=7999), {"size"}),
        (replace(READ, items=0, size=0, found="-" * 25), {"items", "size", "sampled items"}),
        (replace(READ, found="=" * 24 + "x"), {"sampled items"}),
        (replace(READ, found="=" * 24 + "-"), {"sampled items"}),
        (replace(READ, items=5000, found="-" * 25), {"sampled items"}),
        # Of 100 segments 50 were read: half of it, but for a fifth.
        (replace(READ, segments=100, read=50, items=361, size=3200), set()),
        (replace(READ, segments=100, read=50, items=359, size=3200), {"items"}),
        (replace(READ, segments=100, read=50, items=361, size=3199), {"size"}),
        (replace(READ, segments=100, read=50, found="=" + "-" * 24), set()),
        (replace(READ, segments=100, read=50, found="-" * 25), {"sampled items"}),
        (replace(READ, segments=100, read=50, found="=" + "-" * 23 + "x"), {"sampled items"}),
        # Of so few nothing may be met.
        (replace(READ, segments=100, read=19, found="-" * 25), set()),
        (replace(READ, segments=100, read=19, found="-" * 24 + "x"), {"sampled items"}),
    ],
)
def test_a_table_is_held_to_its_count_its_size_and_its_sample(
    reading: Reading, caught: set[str]
) -> None:
    assert bad(of_sample(reading)) == caught


@pytest.mark.parametrize(
    ("reading", "caught"),
    [
        (replace(READ, items=25), set()),
        (replace(READ, items=26), {"items", "sampled items"}),
        (replace(READ, items=24, found="=" * 24 + "-"), {"items", "sampled items"}),
        (replace(READ, items=25, found="=" * 24 + "x"), {"sampled items"}),
        (replace(READ, items=25, found="=" * 24 + "-"), {"sampled items"}),
    ],
)
def test_a_small_table_is_compared_completely(reading: Reading, caught: set[str]) -> None:
    assert bad(of_sample(reading, WHOLE)) == caught


def test_figures_that_are_hours_old_make_no_table_empty() -> None:
    unseen, odd = replace(SAMPLE, count=0, size=0), replace(SAMPLE, count=1001)

    assert "items" in bad(of_sample(replace(READ, items=0), unseen))
    assert bad(of_sample(replace(READ, items=25), unseen)) == set()
    assert bad(of_sample(replace(READ, items=900), odd)) == {"items"}


@pytest.mark.parametrize(
    "moved",
    [
        {"changed": 3},
        {"at": NOON - table_checks.AT_ONCE - timedelta(seconds=1)},
        {"at": None},
    ],
)
def test_of_a_table_that_moved_half_is_enough(moved: dict[str, Any]) -> None:
    sample, small = replace(SAMPLE, **moved), replace(WHOLE, **moved)

    for found, caught in [("=" * 13 + "x" * 12, set()), ("=" * 12 + "x" * 13, {"sampled items"})]:
        assert bad(of_sample(replace(READ, found=found), sample)) == caught
        assert bad(of_sample(replace(READ, items=40, found=found), small)) == caught
    assert bad(of_sample(replace(READ, items=12, found="=" * 12 + "-" * 13), small)) == {
        "items", "sampled items"
    }  # fmt: skip


def test_where_there_is_no_sample_nothing_is_claimed() -> None:
    denied = Sample(count=1000, size=10_000, why="dynamodb:Scan answered AccessDeniedException")
    restless = replace(SAMPLE, items={}, changed=25)
    empty = Sample(is_whole=True, at=NOON)

    for sample in (denied, restless):
        assert bad(of_sample(replace(READ, found=""), sample)) == {"sampled items"}
    assert bad(of_sample(Reading(1, 1), empty)) == set()
    assert bad(of_sample(Reading(1, 1, items=1), empty)) == {"items", "sampled items"}


@pytest.mark.parametrize(("gib", "items", "passed"), [(1, 1, True), (1, 0, False), (0, 0, True)])
def test_without_a_manifest_no_table_of_any_size_is_empty(
    gib: int, items: int, passed: bool
) -> None:
    point = replace(POINT, parts=(Part(BACKUP, TABLE, gib),))
    unsampled = replace(MANIFEST, sample=None)

    for manifest in (None, unsampled):
        [check] = table_checks.of_reading(point, manifest, Reading(1, 1, items=items), {})
        assert (check.name, check.passed) == ("items", passed)


@pytest.mark.parametrize(
    ("older", "items", "caught"),
    [
        (timedelta(days=1), 1000, set()),
        (timedelta(days=1), 999, {"items since the last drill"}),
        (timedelta(0), 999, {"items since the last drill"}),
        (-timedelta(days=1), 999, set()),  # that was of a newer one, which may have grown
    ],
)
def test_what_the_last_drill_has_counted_has_not_collapsed(
    older: timedelta, items: int, caught: set[str]
) -> None:
    then = replace(POINT, created_at=POINT.created_at - older)
    before = table_checks.remembered(then, replace(READ, items=2000))

    assert bad(of_sample(replace(READ, items=items), before=before)) == caught


def test_what_was_not_read_to_its_end_is_neither_remembered_nor_compared() -> None:
    before = table_checks.remembered(POINT, replace(READ, items=9000))
    for reading in (replace(READ, cut=1), replace(READ, segments=2)):
        assert table_checks.remembered(POINT, reading) == {}
        assert len(of_sample(reading, before=before)) == 3


# ── Reading ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("size", "segments", "planned"),
    [
        (0, 1, 1),
        (table_reading.SEGMENT, 1, 1),
        (table_reading.SEGMENT + 1, 2, 2),
        (10**10, 200, 200),
        (205 * table_reading.SEGMENT, 205, 200),
        (10**11, 2000, 200),
        (10**15, 1_000_000, 200),
    ],
)
def test_segments_are_of_one_size_and_only_so_many_are_read(
    size: int, segments: int, planned: int
) -> None:
    reading = Reading.of_table(size, SAMPLE)
    assert (reading.segments, reading.planned) == (segments, planned)

    for seed in ("one", "other"):
        at, read = reading, list[int]()
        while not at.is_over:
            read.append(at.next_segment(seed))
            at = at.after_segment(is_cut=False)
        assert read[0] == 0
        assert len(set(read)) == planned
        assert set(read) <= set(range(segments))
        spread = sorted(read[1:])
        gaps = [after - before for before, after in pairwise(spread)]
        assert all(gap <= 2 * segments / planned + 1 for gap in gaps)
        assert at.is_whole == (segments == planned)


def test_what_is_found_of_a_sample_is_remembered_as_letters() -> None:
    table = [{"id": {"N": str(number)}, "v": {"S": "x"}} for number in range(4)]
    sample = Sample(digests(table[:3], ["id"]), looked_at=3)
    changed = {**table[1], "v": {"S": "y"}}

    reading = Reading.of_table(0, sample)
    for page in ([table[0], table[3]], [changed]):
        reading = reading.with_page(page, ["id"], sample)

    assert sorted(reading.found) == sorted("=x-")
    assert (reading.items, reading.size) == (3, 3 * len("id..vx"))
    assert Reading.of(reading.facts()) == reading
    assert Reading.of({}) is None


# ── Negative controls ─────────────────────────────────────────────────────────────────────────────


def test_every_check_fails_on_both_stand_ins() -> None:
    asked = [
        *table_checks.of_shown(POINT, MANIFEST, SHOWN),
        *of_sample(READ, before=table_checks.remembered(POINT, READ)),
        table_checks.time_to_live(MANIFEST.settings, EXPIRING),
    ]
    assert bad(asked) == set()
    wanted = {question(check) for check in asked}

    for stand_in in (table_checks.tampered(), table_checks.empty()):
        assert {question(check) for check in stand_in if not check.passed} == wanted
        assert {check.version for check in stand_in} == {table_checks.VERSION}
