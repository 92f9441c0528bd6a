"""How plans stand after a night: decided from plain data."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from watchkeeper.backups.coverage import Kept, Night, cover
from watchkeeper.backups.model import (
    Coverage,
    Finding,
    Gap,
    Kind,
    Place,
    RecoveryPoint,
    State,
    Target,
)
from watchkeeper.backups.rules import Choice
from watchkeeper.policy import BackupsPolicy, default_backups_policy, parse_backups_policy

POLICY = default_backups_policy()
PLACE = Place("123456789012", "eu-west-1")
NIGHT = Night("gold", datetime(2026, 11, 23, 2, tzinfo=UTC), frozenset({"db"}))
NOW = NIGHT.occurrence + timedelta(hours=1)


def at(clock: str, day: int = 23) -> datetime:
    hour, minute = map(int, clock.split(":"))
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def point(resource: str, created: datetime, state: State = State.COMPLETED) -> RecoveryPoint:
    return RecoveryPoint(resource, "id", Kind.VOLUME, created, "run", "silver", PLACE, state)


class TestHowPlansStand:
    TARGETS = (Target("a", Kind.VOLUME, "a"), Target("b", Kind.VOLUME, "b"))

    def covered(
        self, *points: RecoveryPoint, taken: str = "ab", now: datetime | None = None
    ) -> Any:
        choice = Choice({"silver": self.TARGETS}, [])
        night = Night("silver", at("02:00"), frozenset(taken))
        return cover(POLICY, night, choice, Kept.of(points, ()), [], now or at("03:00"))

    def test_all_is_well_when_everything_has_a_fresh_one(self) -> None:
        stands = self.covered(point("a", at("02:01")), point("b", at("02:02")))

        assert (stands.completed, stands.failed, stands.unprotected) == (2, 0, 0)
        assert stands.oldest == at("02:01")

    def test_the_worst_off_decides_how_far_the_plan_goes_back(self) -> None:
        stands = self.covered(point("a", at("02:01")), point("b", at("02:02", day=20)))

        assert stands.oldest == at("02:02", day=20)
        assert [(one.resource, one.gap) for one in stands.findings] == [("b", Gap.RPO_MISSED)]
        assert (stands.completed, stands.failed) == (1, 1)

    def test_without_any_recovery_point_there_is_no_telling_how_far(self) -> None:
        stands = self.covered(point("a", at("02:01")))

        assert stands.oldest is None
        assert [(one.resource, one.gap) for one in stands.findings] == [
            ("b", Gap.NO_RECOVERY_POINT)
        ]

    def test_failed_ones_and_doubles_do_not_count(self) -> None:
        stands = self.covered(
            point("a", at("02:01")), point("b", at("02:02"), State.FAILED),
            point("b", at("02:02"), State.DOUBLE),
        )  # fmt: skip

        assert stands.oldest is None

    def test_who_chose_the_plan_after_the_night_began_is_told_but_not_held_against_it(self) -> None:
        stands = self.covered(point("a", at("02:01")), taken="a")

        assert stands.oldest == at("02:01")
        assert "chose the plan after" in stands.findings[0].why
        assert stands.at_risk == ()

    def test_who_the_night_tried_to_protect_and_could_not_is_at_risk(self) -> None:
        stands = self.covered(point("a", at("02:02", day=20)))

        assert [one.resource for one in stands.at_risk] == ["a", "b"]


# ── Databases ─────────────────────────────────────────────────────────────────────────────────────

STALE, FRESH = at("01:00", day=20), at("02:01")


def db(created: datetime, **more: Any) -> RecoveryPoint:
    return replace(point("db", created), kind=Kind.DATABASE, **more)


SPAN = db(at("00:00", day=16), keeper="point-in-time recovery", until=at("02:55"))


def stands(
    *points: RecoveryPoint,
    kind: Kind = Kind.DATABASE,
    policy: BackupsPolicy = POLICY,
    findings: tuple[Finding, ...] = (),
    unread: tuple[Finding, ...] = (),
) -> Coverage:
    ours = [one for one in points if not one.keeper]
    others = [one for one in points if one.keeper]
    targets = {} if findings else {"gold": [Target("db", kind, "db")]}
    choice = Choice(targets, findings)
    return cover(policy, NIGHT, choice, Kept.of(ours, others), unread, NOW)


def gaps(coverage: Coverage) -> set[Gap]:
    return {finding.gap for finding in coverage.findings}


def test_the_objective_is_measured_from_the_end_of_a_span() -> None:
    coverage = stands(db(STALE), SPAN)

    assert gaps(coverage) == set()
    assert coverage.oldest == SPAN.until
    assert (coverage.completed, coverage.failed) == (0, 1), "the night itself took nothing"


def test_what_others_keep_counts_for_the_objective() -> None:
    theirs = db(FRESH, keeper="AWS Backup")

    assert Gap.RPO_MISSED in gaps(stands(db(STALE)))
    assert gaps(stands(db(STALE), theirs)) == {Gap.NO_POINT_IN_TIME}
    assert gaps(stands(theirs)) == {Gap.NO_POINT_IN_TIME}


@pytest.mark.parametrize(
    ("kind", "wish", "says"),
    [
        (Kind.DATABASE, "optional", ""),
        (Kind.VOLUME, "expected", ""),
        (Kind.DATABASE, "expected", "RDS restarts it"),
        (Kind.DATABASE, "enable", "RDS restarts it"),
        (Kind.TABLE, "expected", "switch it on"),
        (Kind.TABLE, "enable", "asked for"),
    ],
)
def test_point_in_time_recovery_that_a_plan_expects_and_is_off(
    kind: Kind, wish: str, says: str
) -> None:
    policy = with_fields(f'"point_in_time": "{wish}"')

    coverage = stands(replace(db(FRESH), kind=kind), kind=kind, policy=policy)

    assert gaps(coverage) == ({Gap.NO_POINT_IN_TIME} if says else set())
    assert all(says in finding.why for finding in coverage.findings)
    assert coverage.at_risk == (), "it can be restored; only not to any moment"


@pytest.mark.parametrize(
    ("consistency", "why"),
    [
        ("application", ""),
        ("crash-consistent only: the pre script failed", "the pre script failed"),
        ("", "older than the plan's scripts"),
    ],
)
def test_an_instance_that_was_not_held_still(consistency: str, why: str) -> None:
    policy = with_fields('"scripts": {"document": "watchkeeper-freeze"}')
    taken = replace(db(FRESH), kind=Kind.INSTANCE, consistency=consistency)

    coverage = stands(taken, kind=Kind.INSTANCE, policy=policy)

    assert gaps(coverage) == ({Gap.CRASH_CONSISTENT} if why else set())
    assert all(why in finding.why for finding in coverage.findings)


def test_what_is_stopped_is_well_if_there_is_something_to_restore() -> None:
    stopped = Finding("db", "db", Gap.STOPPED, "RDS takes no snapshot of it", "gold")

    well = stands(db(STALE), findings=(stopped,))
    badly = stands(findings=(stopped,))

    assert gaps(well) == {Gap.STOPPED}
    assert "2026-11-20 01:00 UTC" in well.findings[0].why
    assert well.unprotected == 0
    assert gaps(badly) == {Gap.NO_RECOVERY_POINT}
    assert badly.unprotected == 1


def test_what_is_under_a_failing_key_cannot_be_restored() -> None:
    choice = Choice({"gold": [Target("db", Kind.DATABASE, "db")]}, [])
    locked, span = db(FRESH, keys=("dead",)), replace(SPAN, keys=("dead",))

    badly = cover(POLICY, NIGHT, choice, Kept.of([locked], [span], {"dead"}), [], NOW)
    well = cover(POLICY, NIGHT, choice, Kept.of([locked], [span], {"other"}), [], NOW)

    assert gaps(badly) == {Gap.NO_RECOVERY_POINT}
    assert "KMS keys that fail" in badly.at_risk[0].why
    assert badly.oldest is None
    assert gaps(well) == set()


def test_what_could_not_be_checked_is_told_and_is_no_resource() -> None:
    unread = Finding("", "", Gap.UNKNOWN, "AWS Backup could not be read: AccessDenied")

    coverage = stands(db(FRESH), SPAN, unread=(unread,))

    assert unread in coverage.findings
    assert coverage.unprotected == 0


def with_fields(fields: str) -> BackupsPolicy:
    plan = f'"schedule": "0 */6 * * *", "rpo": "8h", "keep": {{"daily": 7}}, {fields}'
    return parse_backups_policy(f'{{"plans": {{"gold": {{{plan}}}}}}}')
