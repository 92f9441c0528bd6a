"""When a drill is due, and which due drills did not happen."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.unit.drills.fleet import NOW, days_ago, proof, subject
from watchkeeper.backups.model import Kind
from watchkeeper.drills.due import Known, due, levels_of, overdue, unproved
from watchkeeper.drills.model import Level, Verdict
from watchkeeper.drills.policy import parse_drills_policy

POLICY = parse_drills_policy('{"every": {"restore": "30d", "check": "30d", "exercise": "365d"}}')
MONTH = timedelta(days=30)
LONG_AGO = Known(since=days_ago(1000))


def at(level: Level, known: Known = LONG_AGO, **passed: float) -> datetime:
    return due(subject(**passed), level, MONTH, known).at  # type: ignore[arg-type]


def test_a_pass_counts_for_its_level_and_for_those_below() -> None:
    assert at(Level.CHECK, check=10) == days_ago(-20)
    assert at(Level.METADATA, check=10, metadata=12) == days_ago(-20)
    assert at(Level.EXERCISE, check=10, exercise=31) == days_ago(1)


def test_what_was_never_drilled_is_owed_since_policy_and_resource_are_there() -> None:
    one = subject()
    protected = Known(since=days_ago(100), protected={one.resource: days_ago(3)})
    assert due(one, Level.CHECK, MONTH, protected).at == days_ago(-27)
    assert at(Level.CHECK, Known(since=days_ago(100))) == days_ago(70)
    assert at(Level.CHECK, Known()) < days_ago(10_000)


def test_what_passed_at_lower_levels_alone_is_unproved_at_those_above() -> None:
    assert unproved(subject(), POLICY)
    assert unproved(subject(metadata=1, check=1), POLICY)
    assert not unproved(subject(exercise=300), POLICY)


@pytest.mark.parametrize(
    ("passed", "failed", "again"),
    [
        (None, 2, 5),  # a week to mend it
        (40, 2, 5),  # what passed before has run out anyway
        (3, 2, 5),
        (28, 1, 6),  # what passed before runs out sooner, and still there is a week to mend it
        (1, 2, 29),  # mended since
    ],
)
def test_what_failed_is_drilled_again_within_a_week(
    passed: float | None, failed: float, again: float
) -> None:
    one = subject(exercise=passed) if passed else subject()
    proofs = {**one.proofs, Level.CHECK: proof(one.resource, Level.CHECK, days_ago(failed),
                                               Verdict.FAILED)}  # fmt: skip
    one = replace(one, proofs=proofs)
    assert due(one, Level.CHECK, MONTH, LONG_AGO).at == days_ago(-again)


def test_what_fails_just_in_time_has_happened() -> None:
    """It passed a fortnight ago, at 09:15, and failed in today's choice, at nine: the next one is
    not due at 09:15 and overdue in the afternoon.
    """
    one, passed_at = subject(), NOW - timedelta(days=14) + timedelta(minutes=15)
    proofs = {
        Level.CHECK: proof(one.resource, Level.CHECK, passed_at),
        Level.BLOCKS: proof(one.resource, Level.BLOCKS, NOW, Verdict.FAILED),
    }
    one = replace(one, proofs=proofs)
    assert due(one, Level.BLOCKS, timedelta(days=14), LONG_AGO).at == days_ago(-7)
    fortnightly = parse_drills_policy('{"every": {"metadata": "14d", "blocks": "14d"}}')
    later = NOW + timedelta(days=7)
    assert Level.BLOCKS not in [late.level for late in overdue([one], fortnightly, later)]


def test_what_failed_is_not_waited_for_longer_than_its_interval() -> None:
    one = subject()
    failed = {Level.METADATA: proof(one.resource, Level.METADATA, days_ago(1), Verdict.FAILED)}
    one = replace(one, proofs=failed)
    assert due(one, Level.METADATA, timedelta(days=1), LONG_AGO).at == NOW


@pytest.mark.parametrize(("interval", "after"), [(1, 1), (14, 7)])
def test_what_failed_is_taken_by_a_choice_of_the_same_hour(interval: int, after: int) -> None:
    """It ends minutes after a choice; the next but one would be overdue."""
    one, ended = subject(), NOW - timedelta(days=after) + timedelta(minutes=10)
    failed = proof(one.resource, Level.METADATA, ended, Verdict.FAILED)
    one = replace(one, proofs={Level.METADATA: failed})
    again = due(one, Level.METADATA, timedelta(days=interval), LONG_AGO)
    assert again.earliest <= NOW < again.at
    assert again.earliest > NOW - timedelta(days=1)


def test_a_level_that_a_higher_one_covers_as_often_is_not_asked_for() -> None:
    assert list(levels_of(subject(), POLICY)) == [
        Level.EXERCISE, Level.CHECK, Level.BLOCKS, Level.METADATA
    ]  # fmt: skip
    weekly = parse_drills_policy(
        '{"every": {"restore": "7d", "blocks": "7d", "check": "30d", "exercise": "365d"}}'
    )
    assert list(levels_of(subject(), weekly)) == [
        Level.EXERCISE, Level.CHECK, Level.RESTORE, Level.METADATA
    ]  # fmt: skip


def test_an_exercise_that_nobody_signs_off_covers_nothing() -> None:
    text = '{"every": {"check": "30d", "exercise": "30d"}SIGNED}'
    unsigned = parse_drills_policy(text.replace("SIGNED", ""))
    signed = parse_drills_policy(text.replace("SIGNED", ', "sign_off": ["a@example.com"]'))
    assert Level.CHECK in levels_of(subject(), unsigned)
    assert Level.CHECK not in levels_of(subject(), signed)


def test_only_ebs_shows_blocks() -> None:
    with_blocks = [kind for kind in Kind if Level.BLOCKS in levels_of(subject(kind=kind), POLICY)]
    assert with_blocks == [Kind.INSTANCE, Kind.VOLUME]


class TestOverdue:
    def late(self, known: Known = LONG_AGO, **passed: float) -> list[tuple[Level, str]]:
        fine = {"metadata": 0.5, "blocks": 3.0, "check": 10.0, "exercise": 100.0}
        one = subject(**{level: days for level, days in (fine | passed).items() if days})  # type: ignore[arg-type]
        return [(late.level, late.why) for late in overdue([one], POLICY, NOW, known)]

    def test_nothing_is_said_while_all_is_well(self) -> None:
        assert self.late() == []

    @pytest.mark.parametrize(
        ("level", "interval", "grace"),
        [(Level.METADATA, 1, 0.25), (Level.BLOCKS, 7, 0.25), (Level.CHECK, 30, 3),
         (Level.EXERCISE, 365, 3)],
    )  # fmt: skip
    def test_after_interval_and_grace(self, level: Level, interval: float, grace: float) -> None:
        lower = {one.value: 0.0 for one in Level if one.number > level.number}
        not_yet = self.late(Known(since=days_ago(20)), **lower, **{level.value: interval + grace})
        late = self.late(Known(), **lower, **{level.value: interval + grace + 0.01})
        assert level not in [one for one, _ in not_yet]
        assert level in [one for one, _ in late]

    def test_it_says_what_is_missing_and_how_often_it_is_asked_for(self) -> None:
        ((level, why),) = self.late(check=34)
        assert level is Level.CHECK
        assert why == "last proved 34 days ago at level check; the policy asks for it every 30 days"

    def test_what_has_failed_did_happen(self) -> None:
        one = subject(metadata=0.5, blocks=3, exercise=100)
        failed = proof(one.resource, Level.CHECK, days_ago(6), Verdict.FAILED)
        one = replace(one, proofs={**one.proofs, Level.CHECK: failed})
        assert overdue([one], POLICY, NOW, LONG_AGO) == []

    def test_nobody_is_owed_what_was_due_before_there_was_a_policy(self) -> None:
        assert overdue([subject()], POLICY, NOW, Known(since=days_ago(1.2))) == []
        (late,) = overdue([subject()], POLICY, NOW, Known(since=days_ago(1.3)))
        assert (late.level, late.why[:12]) == (Level.METADATA, "never proved")

    def test_the_longest_overdue_comes_first(self) -> None:
        found = overdue([subject("a", metadata=3), subject("b", metadata=4)], POLICY, NOW, Known())
        metadata = [one.name for one in found if one.level is Level.METADATA]
        assert metadata == ["b", "a"]
