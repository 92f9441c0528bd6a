"""The limits on manual snapshots of databases: how many plans come to keep, and until when there is
room.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.backups.model import Gap, Kind
from watchkeeper.backups.quota import (
    Forecast,
    Held,
    Quota,
    findings,
    forecast,
    forecasts,
    quota_used,
)
from watchkeeper.backups.retention import Point, plan_retention
from watchkeeper.backups.steady import MONTH, MOST, Course, growth
from watchkeeper.policy import BackupsPolicy, Plan, default_backups_policy, parse_backups_policy
from watchkeeper.schedules import Schedule, longest_gap, occurrences

NOW = datetime(2026, 11, 23, 7, tzinfo=UTC)
DAY = timedelta(days=1)
EVERY_MORNING = Schedule("0 6 * * *")
POLICY = default_backups_policy()
DATABASES = "manual snapshots of RDS instances"


def policy_with(**plan: object) -> BackupsPolicy:
    nightly = {"schedule": "0 2 * * *", "rpo": "40d", "keep": {"last": 60}}
    return parse_backups_policy(json.dumps({"plans": {"plan": {**nightly, **plan}}}))


def plan_with(**plan: object) -> Plan:
    return policy_with(**plan).plans["plan"]


def of(used: int, most: int = 100, **held: Held) -> Forecast:
    """The forecast for RDS instances under the default policy."""
    return forecast(Kind.DATABASE, Quota(DATABASES, used, most), held, POLICY, NOW)


# ── What a plan keeps of one source ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("plan", "keeps"),
    [
        ({"keep": {"last": 45}}, 45),
        ({"keep": {"within": "50d"}}, 50),
        ({"keep": {"daily": 10, "yearly": 3}, "rpo": "9d"}, 12),  # this year's is the newest
        ({"schedule": "0 3 * * SUN", "keep": {"weekly": 8}}, 8),
        ({"schedule": "0 */6 * * *", "keep": {"daily": 41}}, 42),  # and the third of the floor
        ({"schedule": "0 * * * *", "keep": {"within_hourly": "3d", "monthly": 12}}, 72 + 11),
        ({"schedule": "0 3 L * *", "keep": {"monthly": -1}}, 120),  # as it stands after ten years
        ({"schedule": "0 2,14 1 * *", "keep": {"last": -1}}, 240),
        ({"schedule": "0 2,14 1 * *", "keep": {"last": 2, "tags": [[""]]}}, 240),
        ({"keep": {"tags": [["hold"]], "last": 41}}, 41),  # what a schedule makes has no tags
    ],
)
def test_what_plans_keep_of_one_source_in_the_long_run(plan: dict[str, object], keeps: int) -> None:
    assert growth(plan_with(**plan), NOW).in_the_long_run == keeps


SCHEDULES = ["0 2 * * *", "30 1,13 * * *", "0 20 * * MON-FRI", "0 3 * * SUN", "0 */8 * * *"]


@st.composite
def small_plans(draw: st.DrawFn) -> Plan:
    zone = draw(st.sampled_from(["UTC", "Europe/Amsterdam", "Pacific/Auckland"]))
    schedule = draw(st.sampled_from(SCHEDULES))
    counts = {rule: draw(st.integers(0, 4)) for rule in ("hourly", "daily", "weekly", "monthly")}
    spans = draw(
        st.dictionaries(
            st.sampled_from(["within", "within_hourly", "within_daily", "within_weekly"]),
            st.sampled_from(["1d", "36h", "5d", "1m"]),
            max_size=2,
        )
    )
    keep = {"last": draw(st.integers(1, 6)), "yearly": draw(st.integers(0, 1)), **counts, **spans}
    floor = {"count": draw(st.integers(1, 4)), "age": draw(st.sampled_from(["1h", "2d", "5d"]))}
    hours = -(-longest_gap(Schedule(schedule, zone)) // timedelta(hours=1))
    return plan_with(schedule=schedule, zone=zone, keep=keep, floor=floor, rpo=f"{hours}h")


def night_by_night(
    plan: Plan, since: datetime, removals: list[datetime]
) -> Iterator[tuple[int, int]]:
    """Per removal, how many there are before and after it: every one made, none thinned out."""
    there: list[Point] = []
    made = occurrences(plan.when, since, removals[-1])
    for earlier, removal in zip([since, *removals], removals, strict=False):
        new = made[bisect_right(made, earlier) : bisect_right(made, removal)]
        there += [Point(at.isoformat(), at) for at in new]
        before = len(there)
        left = plan_retention(
            there, plan.keep, zone=ZoneInfo(plan.zone), floor=plan.floor, now=removal
        )
        there = [one.point for one in left.kept]
        yield before, len(there)


@given(plan=small_plans())
@settings(max_examples=15, deadline=None)
def test_the_long_run_is_what_nights_and_retention_come_to(plan: Plan) -> None:
    days = 600  # past the reach of every rule drawn
    removals = [NOW - (days - day) * DAY for day in range(1, days + 1)]
    counts = [after for _, after in night_by_night(plan, NOW - days * DAY, removals)]

    assert growth(plan, NOW).in_the_long_run == max(counts[-MONTH.days :])


@given(plan=small_plans(), age=st.integers(3, 60))
@settings(max_examples=15, deadline=None)
def test_what_is_foreseen_is_what_happens(plan: Plan, age: int) -> None:
    """To within two of each database: its growth is looked at every few days only. And to within
    a day's worth more where a rule counts by months, which are not all as long.
    """
    spans = (plan.keep.within, plan.keep.within_hourly, plan.keep.within_daily)
    is_by_months = any(span and span.months for span in (*spans, plan.keep.within_weekly))
    slack = 2 + (len(occurrences(plan.when, NOW, NOW + DAY)) if is_by_months else 0)
    start, ahead = NOW - age * DAY, 60
    removals = occurrences(EVERY_MORNING, start, NOW + ahead * DAY)
    counts = list(night_by_night(plan, start, removals))
    now = removals[age - 1]
    course = Course.of(plan, 10, 10 * counts[age - 1][1], EVERY_MORNING, now)
    peaks = [before for before, _ in counts[age:]]

    for days, peak in enumerate(peaks, start=1):
        assert course.after(days) >= 10 * (peak - slack)
    assert course.in_the_long_run >= 10 * (peaks[-1] - slack)
    assert course.after(14) <= 10 * (max(peaks[:30]) + course.waiting + slack)


def test_a_plan_that_keeps_more_than_any_limit_is_not_counted_to_the_end() -> None:
    plan = plan_with(schedule="*/15 * * * *", keep={"last": -1})
    held = {"plan": Held(1, 4)}
    policy = policy_with(schedule="*/15 * * * *", keep={"last": -1})

    assert MOST <= growth(plan, NOW).in_the_long_run < 2 * MOST
    assert len(growth(plan, NOW).kept) < 15
    foreseen = forecast(Kind.DATABASE, Quota(DATABASES, 4, 100), held, policy, NOW)
    assert "at least" in foreseen.why


@pytest.mark.parametrize(("plan", "comes_to"), [("gold", 40), ("silver", 26), ("bronze", 10)])
def test_the_page_on_policies_says_what_one_database_comes_to(plan: str, comes_to: int) -> None:
    course = Course.of(POLICY.plans[plan], 1, 0, POLICY.removal.when, NOW)
    page = " ".join((Path(__file__).parents[2] / "docs/policy.md").read_text("utf-8").split())

    assert course.in_the_long_run == comes_to
    assert re.search(rf"\b{plan} (comes )?to {comes_to}\b", page)


# ── What is said about a limit ────────────────────────────────────────────────────────────────────


def test_room_for_all_is_said_and_is_no_finding() -> None:
    calm = of(20, bronze=Held(1, 5))

    assert (calm.used, calm.needed, calm.reached) == (20, 15 + 10, None)
    assert calm.why == "20 of 100 are used, and 25 will be in the long run: there is room"
    assert findings([calm]) == []


def test_a_limit_that_will_be_reached_is_seen_with_its_day_and_the_remedy() -> None:
    silver = (
        growth(POLICY.plans["silver"], NOW).in_the_long_run + 1
    )  # and one that waits for its removal
    seen = of(50, silver=Held(4, 48))

    assert (seen.used, seen.needed) == (50, 4 * silver + 2)
    assert seen.reached is not None
    assert NOW + 60 * DAY < seen.reached < NOW + 200 * DAY
    (finding,) = findings([seen])
    assert (finding.gap, finding.name, finding.resource) == (Gap.LIMIT, DATABASES, "")
    assert f"reached on {seen.reached:%Y-%m-%d}; ask for 140 in Service Quotas" in finding.why
    assert "quota L-272F1212" in finding.why
    assert f"silver comes to {4 * silver} (4 with {silver} each)" in finding.why
    assert "2 are not of this stack" in finding.why


def test_the_alarm_looks_two_weeks_ahead_and_no_further() -> None:
    in_two_weeks, in_months = of(60, gold=Held(6, 60)), of(48, silver=Held(4, 48))

    assert in_two_weeks.percent > 100
    assert 48 < in_months.percent < 80 < in_months.percent_in_the_long_run
    assert quota_used([in_months, in_two_weeks]) == in_two_weeks.percent
    assert quota_used([]) == 0.0


@pytest.mark.parametrize(
    ("used", "held", "reached"),
    [
        (100, {}, NOW),  # what others fill is full too
        (99, {}, None),
        (99, {"bronze": Held(1, 9)}, None),  # it comes to ten, and all of a hundred fit
        (99, {"silver": Held(1, 9)}, NOW + 2 * DAY),  # the hundredth is made, the next is not
        (100, {"silver": Held(1, 9)}, NOW),
        (40, {"gone": Held(2, 40)}, None),  # no plan makes more of them, or removes any
        (40, {"silver": Held(0, 40)}, None),
    ],
)
def test_when_a_limit_is_reached(
    used: int, held: dict[str, Held], reached: datetime | None
) -> None:
    quota = Quota(DATABASES, used, 100)

    assert forecast(Kind.DATABASE, quota, held, POLICY, NOW).reached == reached


def test_snapshots_that_rds_has_not_counted_yet_count() -> None:
    assert of(0, bronze=Held(1, 9)).used == 9


def test_a_raised_limit_makes_room() -> None:
    assert of(50, most=100, silver=Held(4, 48)).is_tight
    assert not of(50, most=140, silver=Held(4, 48)).is_tight


def test_more_than_the_plan_keeps_is_not_wished_away() -> None:
    """A removal that halted, or rules made shorter: they are there until they are removed."""
    seen = of(95, bronze=Held(1, 95))

    assert (seen.soon, seen.percent) == (95, 95.0)
    assert seen.needed == 10
    assert seen.is_tight


@pytest.mark.parametrize("quota", [None, Quota(DATABASES, 0, 0)])
def test_an_unknown_limit_is_never_an_all_clear(quota: Quota | None) -> None:
    unknown = forecast(Kind.DATABASE, quota, {}, POLICY, NOW, "it may not ask RDS")
    (finding,) = findings([unknown])

    assert quota_used([of(10), unknown]) == 100.0
    assert finding.gap is Gap.UNKNOWN
    assert ("it may not ask RDS" if quota is None else "shows it as 0") in finding.why
    assert "quota L-272F1212" in finding.why


def test_both_limits_are_foreseen_each_from_what_is_its_own() -> None:
    quotas = {Kind.CLUSTER: Quota("manual snapshots of clusters", 9, 100)}
    held = {Kind.CLUSTER: {"bronze": Held(1, 9)}, Kind.DATABASE: {"bronze": Held(50, 90)}}
    database, cluster = forecasts(quotas, held, POLICY, NOW)

    assert not database.is_known
    assert (cluster.is_known, cluster.needed) == (True, 10)
