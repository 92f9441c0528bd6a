"""When a snapshot waits for RDS's windows: a table, and a second opinion that counts minutes."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.backups.model import Windows
from watchkeeper.backups.windows import DAYS, closed, unreadable

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MINUTES_A_DAY = 24 * 60
MINUTES_A_WEEK = 7 * MINUTES_A_DAY
HOUR_BEFORE = 60


def at(text: str) -> datetime:
    """`tue 02:00` in the week of 23 November 2026."""
    day, time = text.split()
    hour, minute = map(int, time.split(":"))
    return MONDAY + timedelta(days=DAYS.index(day), hours=hour, minutes=minute)


@pytest.mark.parametrize(
    ("windows", "now", "until"),
    [
        (Windows(backup="02:00-02:30"), "tue 01:59", None),
        (Windows(backup="02:00-02:30"), "tue 02:00", "tue 02:30"),
        (Windows(backup="02:00-02:30"), "tue 02:29", "tue 02:30"),
        (Windows(backup="02:00-02:30"), "tue 02:30", None),
        (Windows(backup="23:45-00:15"), "tue 23:50", "wed 00:15"),
        (Windows(backup="23:45-00:15"), "tue 00:10", "tue 00:15"),
        (Windows(maintenance="tue:04:00-tue:04:30"), "tue 02:59", None),
        (Windows(maintenance="tue:04:00-tue:04:30"), "tue 03:00", "tue 04:30"),
        (Windows(maintenance="tue:04:00-tue:04:30"), "tue 04:29", "tue 04:30"),
        (Windows(maintenance="tue:04:00-tue:04:30"), "tue 04:30", None),
        (Windows(maintenance="tue:04:00-tue:04:30"), "wed 04:10", None),
        (Windows(maintenance="Tue:04:00-Tue:04:30"), "tue 04:10", "tue 04:30"),
        (Windows(maintenance="tue:23:30-wed:00:30"), "wed 00:10", "wed 00:30"),
        (Windows(maintenance="mon:00:30-mon:01:00"), "mon 00:10", "mon 01:00"),
        # The one that ends last is named.
        (Windows("03:00-03:30", "tue:04:00-tue:05:00"), "tue 03:10", "tue 05:00"),
        (Windows("03:00-06:00", "tue:04:00-tue:05:00"), "tue 03:10", "tue 06:00"),
        (Windows(), "tue 02:00", None),
    ],
)
def test_a_window_holds_a_snapshot_up_until_it_ends(
    windows: Windows, now: str, until: str | None
) -> None:
    found = closed(windows, at(now))

    assert (found and found.until) == (until and at(until))
    assert unreadable(windows) == []


def test_a_window_passes_the_end_of_the_week() -> None:
    windows = Windows(maintenance="sun:23:30-mon:00:30")
    next_monday = MONDAY + timedelta(weeks=1, minutes=30)

    late_sunday = closed(windows, at("sun 22:30"))
    early_monday = closed(windows, at("mon 00:29"))

    assert late_sunday is not None
    assert late_sunday.until == next_monday
    assert early_monday is not None
    assert early_monday.until == at("mon 00:30")
    assert closed(windows, at("sun 22:29")) is None
    assert closed(windows, at("mon 00:30")) is None


def test_the_reason_names_the_window_as_rds_shows_it() -> None:
    in_backup = closed(Windows(backup="02:00-02:30"), at("tue 02:00"))
    near_maintenance = closed(Windows(maintenance="tue:04:00-tue:04:30"), at("tue 03:00"))

    assert in_backup is not None
    assert in_backup.why == "its backup window 02:00-02:30 UTC is open"
    assert near_maintenance is not None
    assert near_maintenance.why == (
        "its maintenance window tue:04:00-tue:04:30 UTC is open, or will be within an hour"
    )


@pytest.mark.parametrize(
    ("backup", "maintenance"),
    [
        ("nonsense", ""),
        ("24:00-24:30", ""),
        ("02:00-02:00", ""),
        ("2:00-2:30", ""),
        ("mon:02:00-mon:02:30", ""),
        ("", "02:00-02:30"),
        ("", "moon:02:00-tue:02:30"),
        ("", "mon:02:00-tue:02:60"),
        ("", "mon:02:00-02:30"),
        ("", "mon:02:00-mon:02:00"),
    ],
)
def test_what_cannot_be_read_is_named_and_holds_nothing_up(backup: str, maintenance: str) -> None:
    windows = Windows(backup, maintenance)

    assert unreadable(windows) == [backup or maintenance]
    assert not any(
        closed(windows, MONDAY + timedelta(minutes=minute))
        for minute in range(0, MINUTES_A_WEEK, 15)
    )


def text(minute: int, *, with_day: bool) -> str:
    day, rest = divmod(minute, MINUTES_A_DAY)
    time = f"{rest // 60:02d}:{rest % 60:02d}"
    return f"{DAYS[day]}:{time}" if with_day else time


def counted(opens: int, lasts: int, early: int, period: int, now: int) -> int | None:
    """The minute at which the window ends that `now` is in, by trying every minute before it."""
    for minute in range(now, now - lasts - early, -1):
        if minute % period == (opens - early) % period:
            return minute + early + lasts
    return None


@given(
    opens=st.integers(0, MINUTES_A_DAY - 1),
    lasts=st.integers(30, 8 * 60),
    now=st.integers(0, MINUTES_A_WEEK - 1),
)
def test_a_backup_window_by_counting_minutes(opens: int, lasts: int, now: int) -> None:
    closes = (opens + lasts) % MINUTES_A_DAY
    windows = Windows(backup=f"{text(opens, with_day=False)}-{text(closes, with_day=False)}")

    found = closed(windows, MONDAY + now * MINUTE)

    ends = counted(opens, lasts, 0, MINUTES_A_DAY, now)
    assert (found and found.until) == (None if ends is None else MONDAY + ends * MINUTE)


@given(
    opens=st.integers(0, MINUTES_A_WEEK - 1),
    lasts=st.integers(30, 24 * 60),
    now=st.integers(0, MINUTES_A_WEEK - 1),
)
def test_a_maintenance_window_by_counting_minutes(opens: int, lasts: int, now: int) -> None:
    closes = (opens + lasts) % MINUTES_A_WEEK
    windows = Windows(maintenance=f"{text(opens, with_day=True)}-{text(closes, with_day=True)}")

    found = closed(windows, MONDAY + now * MINUTE)

    ends = counted(opens, lasts, HOUR_BEFORE, MINUTES_A_WEEK, now)
    assert (found and found.until) == (None if ends is None else MONDAY + ends * MINUTE)
