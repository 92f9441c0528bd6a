"""Schedules: what an expression means in a zone, above all when the clock on the wall jumps."""

import os
import time as machine_time
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.schedules import (
    Schedule,
    ScheduleRefused,
    check_expression,
    check_zone,
    longest_gap,
    occurrences,
)

AMSTERDAM = "Europe/Amsterdam"  # 2026: forward on 29 March at 02:00, back on 25 October at 03:00
NEW_YORK = "America/New_York"  # 2026: forward on 8 March at 02:00, back on 1 November at 02:00
LORD_HOWE = "Australia/Lord_Howe"  # half an hour; 2026: back on 5 April, forward on 4 October
ZONES = ["UTC", AMSTERDAM, NEW_YORK, LORD_HOWE, "Asia/Kathmandu", "Africa/Casablanca"]
EXPRESSIONS = [
    "0 2 * * *",
    "30 2 * * *",
    "*/15 * * * *",
    "30 * * * *",
    "15 */6 * * *",
    "0 3 * * SUN",
    "0 0 L * *",
    "45 1,2,3 1 * *",
]


def local_day(schedule: Schedule, day: date) -> list[str]:
    """When the schedule runs on one calendar day of its zone: wall clock and UTC offset."""
    zone = ZoneInfo(schedule.zone)
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    next_midnight = midnight + timedelta(days=1)  # on the wall, whatever the clock does
    runs = occurrences(
        schedule, midnight.astimezone(UTC) - timedelta(minutes=1), next_midnight.astimezone(UTC)
    )
    walls = [run.astimezone(zone) for run in runs]
    return [f"{wall:%H:%M%z}" for wall in walls if wall.date() == day]


@pytest.mark.parametrize(
    ("zone", "day", "expression", "runs"),
    [
        # An ordinary day.
        (AMSTERDAM, date(2026, 1, 5), "30 2 * * *", ["02:30+0100"]),
        (AMSTERDAM, date(2026, 7, 6), "30 2 * * *", ["02:30+0200"]),
        ("UTC", date(2026, 3, 29), "30 2 * * *", ["02:30+0000"]),
        # The spring gap: at the next instant that exists, and once.
        (AMSTERDAM, date(2026, 3, 29), "30 2 * * *", ["03:00+0200"]),
        (AMSTERDAM, date(2026, 3, 29), "0,30 2 * * *", ["03:00+0200"]),
        (AMSTERDAM, date(2026, 3, 29), "30 1-3 * * *", ["01:30+0100", "03:00+0200", "03:30+0200"]),
        (AMSTERDAM, date(2026, 3, 29), "0 2-3 * * *", ["03:00+0200"]),
        (NEW_YORK, date(2026, 3, 8), "30 2 * * *", ["03:00-0400"]),
        (LORD_HOWE, date(2026, 10, 4), "15 2 * * *", ["02:30+1100"]),
        (LORD_HOWE, date(2026, 10, 4), "45 2 * * *", ["02:45+1100"]),
        # The autumn overlap: the first time only.
        (AMSTERDAM, date(2026, 10, 25), "30 2 * * *", ["02:30+0200"]),
        (AMSTERDAM, date(2026, 10, 25), "0 */2 * * *", [
            "00:00+0200", "02:00+0200", *(f"{hour:02}:00+0100" for hour in range(4, 24, 2)),
        ]),
        (NEW_YORK, date(2026, 11, 1), "30 1 * * *", ["01:30-0400"]),
        (LORD_HOWE, date(2026, 4, 5), "45 1 * * *", ["01:45+1100"]),
        # The edges of the overlap are on one side of it each.
        (AMSTERDAM, date(2026, 10, 25), "0 2 * * *", ["02:00+0200"]),
        (AMSTERDAM, date(2026, 10, 25), "0 3 * * *", ["03:00+0100"]),
    ],
)  # fmt: skip
def test_a_time_runs_once_on_each_day_it_is_named(
    zone: str, day: date, expression: str, runs: list[str]
) -> None:
    assert local_day(Schedule(expression, zone), day) == runs


@pytest.mark.parametrize(
    ("zone", "day", "count"),
    [
        (AMSTERDAM, date(2026, 10, 25), 25 * 4),
        (AMSTERDAM, date(2026, 3, 29), 23 * 4),
        (AMSTERDAM, date(2026, 6, 1), 24 * 4),
        (LORD_HOWE, date(2026, 4, 5), 24 * 4 + 2),
        (LORD_HOWE, date(2026, 10, 4), 24 * 4 - 2),
        (NEW_YORK, date(2026, 11, 1), 25 * 4),
    ],
)
def test_an_interval_runs_through_the_repeated_hour(zone: str, day: date, count: int) -> None:
    assert len(local_day(Schedule("*/15 * * * *", zone), day)) == count


def test_an_interval_runs_at_the_end_of_the_gap_and_invents_no_time() -> None:
    runs = local_day(Schedule("0 * * * *", LORD_HOWE), date(2026, 10, 4))
    assert runs[:4] == ["00:00+1030", "01:00+1030", "02:30+1100", "03:00+1100"]


def test_an_hour_may_repeat_across_midnight() -> None:
    # Newfoundland once turned its clocks at a minute past midnight: 7 November 2010 began, went
    # back to 23:01 on the 6th, and began again.
    schedule = Schedule("*/15 * * * *", "America/St_Johns")
    quarter = timedelta(minutes=15)
    start = datetime(2010, 11, 7, 1, tzinfo=UTC)
    steps = [start + n * quarter for n in range(20)]
    assert occurrences(schedule, start - quarter, steps[-1]) == steps


def test_a_day_that_a_zone_left_out_runs_when_the_next_one_begins() -> None:
    # Samoa crossed the date line: 30 December 2011 was not on its calendar.
    start = datetime(2011, 12, 29, 12, tzinfo=UTC)
    runs = occurrences(Schedule("0 0 * * *", "Pacific/Apia"), start, start + timedelta(days=2))
    assert runs == [datetime(2011, 12, 30, 10, tzinfo=UTC), datetime(2011, 12, 31, 10, tzinfo=UTC)]


def test_after_is_left_out_and_until_is_included() -> None:
    schedule = Schedule("0 2 * * *")
    second = datetime(2026, 11, 2, 2, tzinfo=UTC)
    third = datetime(2026, 11, 3, 2, tzinfo=UTC)
    assert occurrences(schedule, second, third) == [third]
    assert occurrences(schedule, third, third) == []
    assert occurrences(schedule, third, second) == []


def test_the_zone_of_the_arguments_does_not_matter() -> None:
    schedule = Schedule("0 2 * * *", AMSTERDAM)
    after = datetime(2026, 11, 2, tzinfo=UTC)
    until = after + timedelta(days=3)
    tokyo = ZoneInfo("Asia/Tokyo")
    in_tokyo = occurrences(schedule, after.astimezone(tokyo), until.astimezone(tokyo))
    assert in_tokyo == occurrences(schedule, after, until)
    assert {run.tzinfo for run in in_tokyo} == {UTC}


def test_the_zone_of_the_machine_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = Schedule("30 2 * * *", NEW_YORK)
    after = datetime(2026, 3, 1, tzinfo=UTC)
    expected = occurrences(schedule, after, after + timedelta(days=14))
    try:
        monkeypatch.setitem(os.environ, "TZ", "Pacific/Auckland")
        machine_time.tzset()
        assert occurrences(schedule, after, after + timedelta(days=14)) == expected
    finally:
        monkeypatch.undo()
        machine_time.tzset()


def test_a_datetime_without_a_zone_is_refused() -> None:
    naive = datetime(2026, 3, 1, tzinfo=UTC).replace(tzinfo=None)
    with pytest.raises(ValueError, match="aware"):
        occurrences(Schedule("0 2 * * *"), naive, naive)


@pytest.mark.parametrize(
    ("expression", "zone", "gap"),
    [
        ("0 2 * * *", "UTC", timedelta(days=1)),
        ("0 2 * * *", AMSTERDAM, timedelta(hours=25)),
        ("30 2 * * *", NEW_YORK, timedelta(hours=25)),
        ("0 2 * * *", LORD_HOWE, timedelta(hours=24, minutes=30)),
        ("0 */6 * * *", "UTC", timedelta(hours=6)),
        ("0 */6 * * *", AMSTERDAM, timedelta(hours=7)),
        ("0 8,20 * * *", "UTC", timedelta(hours=12)),
        ("0 8,9 * * *", "UTC", timedelta(hours=23)),
        ("*/15 * * * *", AMSTERDAM, timedelta(minutes=15)),
        ("0 * * * *", AMSTERDAM, timedelta(hours=1)),
        ("0 3 * * SUN", "UTC", timedelta(days=7)),
        ("0 3 * * SUN", AMSTERDAM, timedelta(days=7, hours=1)),
        ("0 3 * * MON-FRI", "UTC", timedelta(days=3)),
        ("0 0 1 * *", "UTC", timedelta(days=31)),
        ("0 0 31 * *", "UTC", timedelta(days=61)),
        ("0 0 1 1 *", "UTC", timedelta(days=366)),
    ],
)
def test_the_longest_gap_is_in_real_time(expression: str, zone: str, gap: timedelta) -> None:
    assert longest_gap(Schedule(expression, zone)) == gap


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_the_longest_gap_is_what_a_walk_over_the_same_years_finds(
    expression: str, zone: str
) -> None:
    schedule = Schedule(expression, zone)
    start = datetime(2027, 1, 2, tzinfo=UTC)
    end = datetime(2028, 12, 30, tzinfo=UTC)
    runs = occurrences(schedule, start, end)
    found = max(b - a for a, b in pairwise(runs))
    assert longest_gap(schedule) == found


@pytest.mark.parametrize(
    "expression",
    [*EXPRESSIONS, "0 3 LW * *", "0 3 * * SUN#1", "0 3 * * 5L", "0 3 13 * FRI", "0 3 */2 2-4 1-5"],
)
def test_in_utc_the_library_finds_the_same_by_itself(expression: str) -> None:
    after, until = datetime(2026, 12, 31, tzinfo=UTC), datetime(2028, 3, 15, tzinfo=UTC)
    walk = takewhile(lambda run: run <= until, CronSim(expression, after))
    assert occurrences(Schedule(expression), after, until) == list(walk)


@given(
    expression=st.sampled_from(EXPRESSIONS),
    zone=st.sampled_from(ZONES),
    after=st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - the strategy adds the zone
    hours=st.integers(0, 24 * 60),
    cut=st.integers(0, 24 * 60),
)
@settings(max_examples=150, deadline=None)
def test_windows_that_touch_miss_nothing_and_repeat_nothing(
    expression: str, zone: str, after: datetime, hours: int, cut: int
) -> None:
    schedule = Schedule(expression, zone)
    until = after + timedelta(hours=hours)
    middle = after + timedelta(hours=min(cut, hours))
    whole = occurrences(schedule, after, until)
    assert whole == sorted(set(whole))
    assert whole == occurrences(schedule, after, middle) + occurrences(schedule, middle, until)


@given(
    zone=st.sampled_from(ZONES),
    minute=st.integers(0, 59),
    hour=st.integers(0, 23),
    day=st.dates(date(2025, 1, 1), date(2030, 1, 1)),
)
@settings(max_examples=150, deadline=None)
def test_a_daily_time_runs_once_on_every_calendar_day(
    zone: str, minute: int, hour: int, day: date
) -> None:
    runs = local_day(Schedule(f"{minute} {hour} * * *", zone), day)
    assert len(runs) == 1
    assert runs[0] >= f"{hour:02}:{minute:02}"


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("", "five fields"),
        ("0 2 * *", "five fields"),
        ("0 0 2 * * *", "five fields"),
        ("@daily", "five fields"),
        ("0 24 * * *", "bad hour"),
        ("60 2 * * *", "bad minute"),
        ("0 2 0 * *", "bad day-of-month"),
        ("0 2 * 13 *", "bad month"),
        ("0 2 * * 8", "bad day-of-week"),
        ("0 2 ? * *", "bad day-of-month"),
        ("0 2 30 2 *", "bad day-of-month"),
        ("0 2 29 2 *", "every year"),
        ("0 2 * 2 MON#5", "every year"),
        ("* * * * *", "1 min apart"),
        ("*/10 * * * *", "10 min apart"),
        ("0,50 * * * *", "10 min apart"),
        ("0,50 0,23 * * *", "10 min apart"),
        ("0 2 * * \u202e\x1b[2J", r"\\u202e\\u001b"),
        (f"{'9' * 5000} * * * *", "…"),
    ],
)
def test_a_bad_expression_is_refused_with_its_text_and_a_remedy(expression: str, says: str) -> None:
    with pytest.raises(ScheduleRefused, match=says) as refused:
        Schedule(expression)
    assert len(str(refused.value)) < 400
    assert str(refused.value).isprintable()
    remedy_examples = [part for part in refused.value.remedy.split('"') if part.count(" ") == 4]
    for example in remedy_examples:
        check_expression(example)  # what the message tells people to write is accepted
    assert remedy_examples or "at least once a year" in refused.value.remedy


def test_times_close_to_midnight_are_close_only_on_consecutive_days() -> None:
    assert check_expression("0,50 0,23 * * SUN")


@pytest.mark.parametrize(
    ("zone", "meant"),
    [
        ("Europe/Amstredam", "Europe/Amsterdam"),
        ("america/new_york", "America/New_York"),
        ("EST", "IANA"),
        ("CET", "IANA"),
        ("localtime", "IANA"),
        ("posix/UTC", "IANA"),
        ("../../etc/localtime", "IANA"),
        ("/etc/localtime", "IANA"),
        ("", "IANA"),
        ("z" * 9_000, "IANA"),
    ],
)
def test_a_zone_that_is_not_in_the_database_is_refused(zone: str, meant: str) -> None:
    with pytest.raises(ScheduleRefused, match=meant) as refused:
        Schedule("0 2 * * *", zone)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("zone", ZONES)
def test_zones_of_the_database_are_accepted(zone: str) -> None:
    assert check_zone(zone) == zone
