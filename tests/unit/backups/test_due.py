"""Which nights are due, and which plans did not do as they promise."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from watchkeeper.backups.due import DueNight, due_nights, overdue
from watchkeeper.backups.model import Standing
from watchkeeper.policy import BackupsPolicy, default_backups_policy

POLICY = default_backups_policy()


def at(clock: str, day: int = 23) -> datetime:
    hour, minute = map(int, clock.split(":"))
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def test_only_the_last_missed_night_runs_and_the_others_are_counted() -> None:
    started = dict.fromkeys(POLICY.plans, at("12:00", day=22))

    nights = due_nights(POLICY, started, at("00:00", day=1), at("13:00"))

    assert nights == [
        DueNight("gold", at("12:00"), missed=3),
        DueNight("silver", at("02:00")),
    ]


def test_nobody_is_owed_what_was_due_before_there_was_a_policy() -> None:
    assert due_nights(POLICY, {}, since=at("02:30"), now=at("05:59")) == []


def test_a_tick_delivered_twice_finds_nothing_more() -> None:
    started = {"gold": at("12:00"), "silver": at("02:00"), "bronze": at("03:00", day=22)}

    assert due_nights(POLICY, started, at("00:00", day=1), at("12:00")) == []


def test_a_clock_that_is_behind_is_no_error() -> None:
    assert due_nights(POLICY, {"gold": at("18:00")}, at("00:00", day=1), at("17:59")) != []


SINCE = at("00:00", day=1)


def standings(policy: BackupsPolicy, now: datetime, **silver: Any) -> dict[str, Standing]:
    fine = {plan: Standing(now, now, 1, now) for plan in policy.plans}
    return fine | {"silver": replace(fine["silver"], **silver)}


class TestOverdue:
    NOW = at("12:00")

    def late(self, **silver: Any) -> list[str]:
        found = overdue(POLICY, standings(POLICY, self.NOW, **silver), SINCE, self.NOW)
        return [one.why for one in found if one.plan == "silver"]

    def test_nothing_is_said_while_all_is_well(self) -> None:
        assert self.late() == []

    def test_a_night_that_did_not_start_is_overdue(self) -> None:
        assert self.late(started=at("02:00", day=22)) == [
            "the night of 2026-11-23T02:00Z has not started"
        ]

    def test_a_night_may_start_a_tick_or_two_late(self) -> None:
        now = at("02:40")
        stands = standings(POLICY, now, started=at("02:00", day=22))

        assert [one for one in overdue(POLICY, stands, SINCE, now) if one.plan == "silver"] == []

    def test_a_resource_without_any_recovery_point_is_overdue(self) -> None:
        assert self.late(oldest=None) == ["a protected resource has no recovery point at all"]

    def test_a_plan_that_nothing_has_chosen_owes_nothing(self) -> None:
        assert self.late(oldest=None, targets=0) == []

    def test_an_objective_that_is_missed_is_told_with_the_age(self) -> None:
        assert self.late(oldest=self.NOW - timedelta(hours=27)) == [
            "the worst-off resource's newest recovery point is 27 h old"
        ]

    def test_a_plan_that_never_reported_is_overdue_once_its_objective_has_passed(self) -> None:
        assert self.late(reported=None) == ["no night has been reported since 2026-11-01T02:00Z"]

    def test_not_knowing_anything_is_not_fine(self) -> None:
        assert {one.plan for one in overdue(POLICY, {}, SINCE, self.NOW)} == set(POLICY.plans)
