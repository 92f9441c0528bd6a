"""Retention, case by case: each rule, each guard, and the days on which clocks misbehave."""

import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from watchkeeper.backups.retention import (
    Floor,
    Keep,
    Point,
    RetentionPlan,
    plan_retention,
)
from watchkeeper.durations import Duration

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
GOLDEN = json.loads((Path(__file__).parent / "golden_restic.json").read_text())


def at(text: str) -> datetime:
    """An aware time; UTC unless the text has an offset."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def made(*times: str, tags: Iterable[str] = ()) -> list[Point]:
    """Recovery points whose ids are the times at which they were made."""
    return [Point(id=time, created_at=at(time), tags=frozenset(tags)) for time in times]


def keep(**rules: Any) -> Keep:
    """A policy as it is read from the operator's JSON."""
    return Keep.model_validate(rules)


def nights(count: int, last: str = "2026-11-23 02:00") -> list[Point]:
    """One recovery point a night, up to `last`."""
    newest = at(last)
    times = [newest - timedelta(days=age) for age in range(count)]
    return [Point(id=f"{time:%Y-%m-%d}", created_at=time) for time in times]


def kept(plan: RetentionPlan) -> dict[str, tuple[str, ...]]:
    return {kept.point.id: kept.rules for kept in plan.kept}


def removed(plan: RetentionPlan) -> list[str]:
    return [removed.point.id for removed in plan.removed]


# --- restic itself as the judge ------------------------------------------------------------------


def recorded() -> Iterable[Any]:
    for history in GOLDEN["histories"]:
        for case in history["cases"]:
            name = (
                f"{history['name']}: {' '.join(f'{rule}={n}' for rule, n in case['keep'].items())}"
            )
            yield pytest.param(history, case, id=name)


@pytest.mark.parametrize(("history", "case"), list(recorded()))
def test_every_reason_is_restics_reason(history: dict[str, Any], case: dict[str, Any]) -> None:
    """`golden_restic.json` says where its answers come from."""
    points = [
        Point(f"{number:03}", at(time), frozenset(tags))
        for number, (time, tags) in enumerate(history["points"])
    ]
    theirs = Counter(
        (rule, points[number].created_at)
        for rule, numbers in case["keeps"].items()
        for number in numbers
    )
    zone, now = ZoneInfo(history["zone"]), at(GOLDEN["now"])
    plan = plan_retention(points, keep(**case["keep"]), zone=zone, now=now)
    ours = Counter((rule, kept.point.created_at) for kept in plan.kept for rule in kept.rules)
    for rule, time in list(ours):
        # Restic may remove the newest one, and did not keep the oldest one when this was recorded.
        if rule == "newest" or (not history["oldest"] and time == points[-1].created_at):
            del ours[rule, time]
    if not history["oldest"]:
        theirs = Counter({rt: n for rt, n in theirs.items() if rt[1] != points[-1].created_at})
    assert ours == theirs


# --- Each rule -----------------------------------------------------------------------------------


def test_last_keeps_the_newest_few() -> None:
    plan = plan_retention(nights(5), keep(last=2))
    assert kept(plan) == {"2026-11-23": ("last",), "2026-11-22": ("last",)}
    assert removed(plan) == ["2026-11-21", "2026-11-20", "2026-11-19"]
    assert plan.kept[1].why == "number 2 of the 2 last"
    assert plan.removed[0].why == "no rule keeps it: not among the 2 last"


def test_daily_keeps_the_newest_of_each_day_that_has_any() -> None:
    points = made("2026-11-20 02:00", "2026-11-20 14:00", "2026-11-23 02:00", "2026-11-01 02:00")
    plan = plan_retention(points, keep(daily=2))
    assert kept(plan) == {"2026-11-23 02:00": ("daily",), "2026-11-20 14:00": ("daily",)}
    assert [kept.why for kept in plan.kept] == [
        "newest of the day 2026-11-23, 1 of 2 daily",
        "newest of the day 2026-11-20, 2 of 2 daily",
    ]
    assert [removed.why for removed in plan.removed] == [
        "no rule keeps it: newer ones fill all 2 daily slots",
        "no rule keeps it: newer ones fill all 2 daily slots",
    ]


def test_a_recovery_point_fills_a_slot_of_every_rule() -> None:
    plan = plan_retention(nights(30), keep(daily=2, weekly=2, monthly=2))
    assert kept(plan) == {
        "2026-11-23": ("daily", "weekly", "monthly"),
        "2026-11-22": ("daily", "weekly"),
        "2026-10-31": ("monthly",),
    }
    assert plan.kept[1].why == (
        "newest of the day 2026-11-22, 2 of 2 daily; "
        "newest of the week starting Monday 2026-11-16, 2 of 2 weekly"
    )
    assert plan.removed[0].why == (
        "no rule keeps it: newer ones fill all 2 daily slots; newer ones fill all 2 weekly slots; "
        "the month 2026-11 has a newer one (monthly)"
    )


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("hourly", "the hour 2026-11-23 02:00+00:00"),
        ("daily", "the day 2026-11-23"),
        ("weekly", "the week starting Monday 2026-11-23"),
        ("monthly", "the month 2026-11"),
        ("yearly", "the year 2026"),
    ],
)
def test_each_period_is_named_in_words(rule: str, words: str) -> None:
    points = made("2026-11-23 02:40", "2026-11-23 02:20", "2026-11-23 02:10")
    plan = plan_retention(points, keep(**{rule: 5}))
    assert [kept.why for kept in plan.kept] == [
        f"newest of {words}, 1 of 5 {rule}",
        f"the oldest there is, 2 of 5 {rule}",
    ]
    assert plan.removed[0].why == f"no rule keeps it: {words} has a newer one ({rule})"


def test_minus_one_keeps_all() -> None:
    assert len(plan_retention(nights(400), keep(last=-1)).kept) == 400
    plan = plan_retention(nights(400), keep(monthly=-1))
    assert len(plan.kept) == 14 + 1  # 14 months from October 2025 on, and the oldest there is
    assert plan.kept[2].why == "newest of the month 2026-09, number 3 of all monthly"


def test_the_oldest_stays_only_while_slots_are_left() -> None:
    assert "2026-11-02" in kept(plan_retention(nights(22), keep(yearly=2)))
    assert "2026-11-02" not in kept(plan_retention(nights(22), keep(yearly=1)))


def test_weeks_begin_on_monday_and_do_not_end_with_the_year() -> None:
    points = made("2020-12-27", "2020-12-28", "2020-12-31", "2021-01-03", "2021-01-04")
    plan = plan_retention(points, keep(weekly=3))
    assert list(kept(plan)) == ["2021-01-04", "2021-01-03", "2020-12-27"]
    assert "week starting Monday 2020-12-28" in plan.kept[1].why


@pytest.mark.parametrize("rule", ["weekly", "monthly", "within_weekly", "within_monthly"])
def test_the_same_week_or_month_of_another_year_is_another(rule: str) -> None:
    points = made("2026-11-20", "2025-11-20", "2024-11-20")
    setting = "2y" if rule.startswith("within") else 2
    plan = plan_retention(points, keep(**{rule: setting}))
    assert list(kept(plan)) == ["2026-11-20", "2025-11-20"]


def test_within_is_measured_from_the_latest_and_excludes_its_edge() -> None:
    plan = plan_retention(nights(10), keep(within="3d"), now=at("2027-06-01"))  # backups stopped
    assert list(kept(plan)) == ["2026-11-23", "2026-11-22", "2026-11-21"]
    assert plan.kept[2].why == "within 3d of the latest"
    assert plan.removed[0].why == "no rule keeps it: not within 3d of the latest"


def test_within_a_period_keeps_its_newest_and_the_oldest_in_reach() -> None:
    plan = plan_retention(nights(10), keep(within_weekly="1m"))
    assert kept(plan) == dict.fromkeys(
        ["2026-11-23", "2026-11-22", "2026-11-15", "2026-11-14"], ("within-weekly",)
    )
    assert plan.kept[1].why == (
        "newest of the week starting Monday 2026-11-16, weekly within 1m of the latest"
    )
    assert plan.kept[3].why == "the oldest there is, weekly within 1m of the latest"


def test_within_a_month_of_the_end_of_march_reaches_back_to_the_third() -> None:
    points = made("2026-03-31 12:00", "2026-03-03 12:01", "2026-03-03 12:00", "2026-02-28 12:00")
    plan = plan_retention(points, keep(within="1m"))
    assert list(kept(plan)) == ["2026-03-31 12:00", "2026-03-03 12:01"]


def test_tags_are_and_within_a_list_and_or_between_lists() -> None:
    points = [
        *made("2026-11-23"),
        *made("2026-11-22", tags=["release", "eu"]),
        *made("2026-11-21", tags=["release"]),
        *made("2026-11-20", tags=["hold"]),
    ]
    plan = plan_retention(points, keep(tags=[["release", "eu"], ["hold"]]))
    assert kept(plan) == {
        "2026-11-23": ("newest",),
        "2026-11-22": ("tags",),
        "2026-11-20": ("tags",),
    }
    assert plan.kept[1].why == "tagged release and eu"
    assert plan.removed[0].why == "no rule keeps it: its tags are not among those kept"


def test_an_empty_tag_stands_for_recovery_points_without_tags() -> None:
    points = [*made("2026-11-23", tags=["a"]), *made("2026-11-22"), *made("2026-11-21", tags=["b"])]
    plan = plan_retention(points, keep(tags=[[""]]))
    assert kept(plan) == {"2026-11-23": ("newest",), "2026-11-22": ("tags",)}


# --- A policy that cannot be meant is refused ----------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "complaint"),
    [
        ({}, "no rule and would keep nothing: set at least one of last, hourly"),
        ({"last": 0, "daily": 0}, "no rule and would keep nothing"),
        ({"tags": []}, "no rule and would keep nothing"),
        ({"within": None}, "no rule and would keep nothing"),
        ({"daily": -2}, "-2 is no count: write how many to keep, 0 for none, -1 for all"),
        ({"daily": "7"}, "valid integer"),
        ({"daily": True}, "valid integer"),
        ({"daily": 1.0}, "valid integer"),
        ({"within": "0d"}, "0h keeps nothing: leave the rule out or give it a duration"),
        ({"last": 1, "within_daily": "0h"}, "keeps nothing"),
        ({"within": "2w"}, "'2w' is not a duration"),
        ({"within": "-7d"}, "'-7d' is not a duration"),
        ({"tags": [[]]}, "a list of no tags fits everything"),
        ({"tags": [["", "a"]]}, "write two lists"),
        ({"tags": "hold"}, "valid tuple"),
        ({"tags": ["hold"]}, "valid tuple"),
        ({"dayly": 7}, "Extra inputs are not permitted"),
        ({"within-daily": "7d"}, "Extra inputs are not permitted"),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(policy: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        Keep.model_validate(policy)
    assert complaint in str(refusal.value)


def test_a_policy_reads_and_writes_json() -> None:
    policy = keep(daily=7, within_weekly="1y5m7d2h", tags=[["a", "b"], [""]])
    assert Keep.model_validate_json(policy.model_dump_json()) == policy
    assert policy.within_weekly == Duration(1, 5, 7, 2)


# --- What no rule can remove ---------------------------------------------------------------------


def test_the_newest_completed_one_stays_whatever_the_rules_say() -> None:
    plan = plan_retention(nights(3), keep(tags=[["never used"]]))
    assert kept(plan) == {"2026-11-23": ("newest",)}
    assert plan.kept[0].why == "the newest completed one is always kept"


def test_the_floor_keeps_the_newest_few() -> None:
    plan = plan_retention(nights(5), keep(weekly=2), floor=Floor(count=3))
    assert kept(plan) == {
        "2026-11-23": ("weekly",),
        "2026-11-22": ("weekly",),
        "2026-11-21": ("floor-count",),
    }
    assert plan.kept[2].why == "number 3 of the 3 that the floor keeps"


def test_the_floor_keeps_what_is_young() -> None:
    floor = Floor(age=Duration(days=2))
    plan = plan_retention(nights(5), keep(last=1), floor=floor, now=at("2026-11-24 02:00"))
    assert kept(plan) == {"2026-11-23": ("last",)}  # the night of the 22nd is exactly 2 days old
    plan = plan_retention(nights(5), keep(last=1), floor=floor, now=at("2026-11-24 01:59"))
    assert kept(plan) == {"2026-11-23": ("last",), "2026-11-22": ("floor-age",)}
    assert plan.kept[1].why == "younger than the floor of 2d"


def test_a_floor_in_age_needs_a_clock() -> None:
    with pytest.raises(ValueError, match="a floor of 2d in age needs to know what time it is"):
        plan_retention(nights(1), keep(last=1), floor=Floor(age=Duration(days=2)))


@pytest.mark.parametrize("floor", [{"count": -1}, {"count": "3"}, {"age": "soon"}, {"days": 3}])
def test_a_floor_that_cannot_be_meant_is_refused(floor: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Floor.model_validate(floor)


def test_what_is_blocked_is_not_removed_but_reported() -> None:
    held = Point("held", at("2026-11-20"), blockers=("locked until 2027-01-01", "shared with 1111"))
    plan = plan_retention([*made("2026-11-23"), held], keep(last=1))
    assert removed(plan) == []
    assert [blocked.point for blocked in plan.blocked] == [held]
    assert plan.blocked[0].why == (
        "no rule keeps it: not among the 1 last; "
        "but it cannot be removed: locked until 2027-01-01; shared with 1111"
    )


def test_a_blocker_does_not_matter_to_what_is_kept() -> None:
    held = Point("held", at("2026-11-20"), blockers=("locked until 2027-01-01",))
    plan = plan_retention([held], keep(last=1))
    assert kept(plan) == {"held": ("last",)}
    assert plan.blocked == ()


@pytest.mark.parametrize("state", ["pending", "error", "recoverable", "removed", "", "Completed"])
def test_only_completed_ones_count_and_no_other_is_removed(state: str) -> None:
    other = Point("other", at("2026-11-24"), state=state)
    plan = plan_retention([*nights(2), other], keep(last=1))
    assert kept(plan) == {"2026-11-23": ("last",)}
    assert removed(plan) == ["2026-11-22"]
    assert [uncounted.point for uncounted in plan.uncounted] == [other]
    assert plan.uncounted[0].why == (
        f"it is {state}: only completed recovery points count or are removed"
    )


def test_a_failed_one_does_not_move_what_within_is_measured_from() -> None:
    failed = Point("failed", at("2026-12-24"), state="error")
    plan = plan_retention([*nights(5), failed], keep(within="2d"))
    assert list(kept(plan)) == ["2026-11-23", "2026-11-22"]


def test_nothing_gives_an_empty_plan() -> None:
    assert plan_retention([], keep(last=1)) == RetentionPlan((), (), (), ())


def test_the_same_id_twice_is_refused() -> None:
    points = [Point("snap-1", at("2026-11-23")), Point("snap-1", at("2026-11-20"))]
    with pytest.raises(ValueError, match="recovery point snap-1 is listed twice"):
        plan_retention(points, keep(last=1))


def test_naive_times_are_refused() -> None:
    naive = datetime(2026, 11, 23)  # noqa: DTZ001
    with pytest.raises(ValueError, match="created_at of recovery point snap-1 is 2026-11-23"):
        Point("snap-1", naive)
    with pytest.raises(ValueError, match="now is 2026-11-23T00:00:00, which has no time zone"):
        plan_retention(nights(1), keep(last=1), now=naive)


def test_equal_times_are_ordered_by_id() -> None:
    points = [Point(name, at("2026-11-23")) for name in ("c", "a", "b")]
    assert list(kept(plan_retention(points, keep(last=2)))) == ["a", "b"]
    assert list(kept(plan_retention(points[::-1], keep(last=2)))) == ["a", "b"]


# --- The future ----------------------------------------------------------------------------------


NOW = at("2026-11-23 12:00")
PAST_AND_FUTURE = [*nights(4), *made("2099-01-01 00:00", "2099-01-01 01:00", "2098-01-01 00:00")]


def test_the_future_takes_part_in_count_rules_but_cannot_displace_the_present() -> None:
    plan = plan_retention(PAST_AND_FUTURE, keep(daily=2), now=NOW)
    assert kept(plan) == {
        "2099-01-01 01:00": ("daily",),
        "2098-01-01 00:00": ("daily",),
        "2026-11-23": ("newest",),
    }
    assert plan.kept[2].why == ("the newest completed one that is not in the future is always kept")


def test_the_future_is_never_the_latest_and_always_within() -> None:
    plan = plan_retention(PAST_AND_FUTURE, keep(within="2d"), now=NOW)
    assert list(kept(plan))[-2:] == ["2026-11-23", "2026-11-22"]
    assert len(plan.kept) == 3 + 2


def test_the_floor_counts_from_the_present() -> None:
    plan = plan_retention(PAST_AND_FUTURE, keep(last=1), floor=Floor(count=2), now=NOW)
    assert kept(plan) == {
        "2099-01-01 01:00": ("last",),
        "2026-11-23": ("newest", "floor-count"),
        "2026-11-22": ("floor-count",),
    }


def test_when_all_is_in_the_future_within_calls_nothing_old() -> None:
    plan = plan_retention(nights(5), keep(within="1h"), now=at("2020-01-01"))
    assert len(plan.kept) == 5
    assert plan.kept[4].why == "within 1h of the latest, which is unknown: all are in the future"


def test_a_recovery_point_made_this_instant_is_not_in_the_future() -> None:
    plan = plan_retention(nights(5), keep(within="1h"), now=at("2026-11-23 02:00"))
    assert list(kept(plan)) == ["2026-11-23"]


def test_without_a_clock_nothing_is_in_the_future() -> None:
    plan = plan_retention(PAST_AND_FUTURE, keep(within="2h"))
    assert list(kept(plan)) == ["2099-01-01 01:00", "2099-01-01 00:00"]


# --- Time zones ----------------------------------------------------------------------------------


def test_periods_are_those_of_the_policys_zone() -> None:
    points = made("2026-11-23 03:00", "2026-11-22 23:30", "2026-11-22 12:00")
    assert len(plan_retention(points, keep(daily=3)).kept) == 3  # two days and the oldest
    plan = plan_retention(points, keep(daily=1), zone=BERLIN)
    assert list(kept(plan)) == ["2026-11-23 03:00"]
    assert "the day 2026-11-23 has" not in plan.removed[0].why  # the slot is full: nothing to tell
    plan = plan_retention(points, keep(daily=2), zone=BERLIN)  # 23:30 UTC is the 23rd in Berlin
    assert list(kept(plan)) == ["2026-11-23 03:00", "2026-11-22 12:00"]
    assert plan.removed[0].why == "no rule keeps it: the day 2026-11-23 has a newer one (daily)"


def test_the_zone_in_which_a_time_is_written_does_not_matter() -> None:
    here = plan_retention(nights(40), keep(daily=3, weekly=3), zone=BERLIN)
    zones = [UTC, BERLIN, NEW_YORK, timezone(timedelta(hours=5, minutes=45))]
    moved = [
        Point(point.id, point.created_at.astimezone(zones[number % 4]))
        for number, point in enumerate(nights(40))
    ]
    assert plan_retention(moved, keep(daily=3, weekly=3), zone=BERLIN) == here


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-23", 24)]
)
def test_a_day_is_one_day_and_each_of_its_hours_an_hour(day: str, hours: int) -> None:
    midnight = datetime.fromisoformat(day).replace(tzinfo=BERLIN).astimezone(UTC)
    half_hours = [midnight + timedelta(minutes=30 * number) for number in range(2 * hours)]
    points = [Point(time.isoformat(), time) for time in half_hours]
    hourly = plan_retention(points, keep(hourly=-1), zone=BERLIN)
    assert len(hourly.kept) == hours + 1  # and the oldest there is
    assert len(plan_retention(points, keep(daily=1), zone=BERLIN).kept) == 1
    assert len({kept.why.split(",")[0] for kept in hourly.kept}) == hours + 1


def test_the_hour_that_comes_twice_is_two_hours() -> None:
    points = made(
        "2026-10-25 02:30+02:00", "2026-10-25 02:10+01:00", "2026-10-25 02:30+01:00", "2026-10-01"
    )
    plan = plan_retention(points, keep(hourly=2), zone=BERLIN)
    assert [kept.why for kept in plan.kept] == [
        "newest of the hour 2026-10-25 02:00+01:00, 1 of 2 hourly",
        "newest of the hour 2026-10-25 02:00+02:00, 2 of 2 hourly",
    ]


def test_half_an_hour_that_comes_twice_is_told_apart_too() -> None:
    lord_howe = ZoneInfo("Australia/Lord_Howe")  # its clocks go back by thirty minutes
    points = made("2026-04-05 01:45+11:00", "2026-04-05 01:45+10:30", "2026-04-01")
    assert len(plan_retention(points, keep(hourly=2), zone=lord_howe).kept) == 2


def test_newest_first_follows_time_and_not_the_wall_clock() -> None:
    early = Point("early", datetime(2026, 10, 25, 2, 50, tzinfo=BERLIN, fold=0))
    late = Point("late", datetime(2026, 10, 25, 2, 10, tzinfo=BERLIN, fold=1))
    assert list(kept(plan_retention([early, late], keep(last=1), zone=BERLIN))) == ["late"]


def test_within_a_day_counts_a_calendar_day_and_24h_counts_hours() -> None:
    latest = "2026-03-29 12:00+02:00"  # the day of 23 hours
    day_before = "2026-03-28 12:00+01:00"
    between = "2026-03-28 11:30+01:00"
    points = made(latest, day_before, between)
    by_day = plan_retention(points, keep(within="1d"), zone=BERLIN)
    by_hours = plan_retention(points, keep(within="24h"), zone=BERLIN)
    assert list(kept(by_day)) == [latest]
    assert list(kept(by_hours)) == [latest, day_before, between]
