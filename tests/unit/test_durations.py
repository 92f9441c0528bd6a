"""Durations: what is read, what is refused, and where the calendar bends."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from watchkeeper.durations import Duration

BERLIN = ZoneInfo("Europe/Berlin")
NUMBERS = st.integers(min_value=0, max_value=99_999)
DURATIONS = st.builds(Duration, NUMBERS, NUMBERS, NUMBERS, NUMBERS)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def berlin(text: str, *, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold)


@pytest.mark.parametrize(
    ("text", "duration", "written"),
    [
        ("9h", Duration(hours=9), "9h"),
        ("3d", Duration(days=3), "3d"),
        ("4d2h", Duration(days=4, hours=2), "4d2h"),
        ("1y5m7d2h", Duration(1, 5, 7, 2), "1y5m7d2h"),
        ("5d7m", Duration(months=7, days=5), "7m5d"),
        ("4h3d9m", Duration(months=9, days=3, hours=4), "9m3d4h"),
        (" 14d ", Duration(days=14), "14d"),
        ("007d", Duration(days=7), "7d"),
        ("10y", Duration(years=10), "10y"),
        ("0d", Duration(), "0h"),
    ],
)
def test_text_is_read_and_written(text: str, duration: Duration, written: str) -> None:
    assert Duration.parse(text) == duration
    assert str(duration) == written


NO_DURATIONS = "7 d 2w 1y4m3w 30min 1.5d -7d 7d-2h 7D ٣d 1d,2h P7D 123456d"


@pytest.mark.parametrize("text", ["", "  ", "7 d", "9" * 5000 + "d", *NO_DURATIONS.split()])
def test_what_is_no_duration_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(ValueError, match="write numbers of years") as refusal:
        Duration.parse(text)
    assert repr(text) in str(refusal.value)


def test_a_unit_named_twice_is_refused_rather_than_guessed() -> None:
    with pytest.raises(ValueError, match="'1d2d' names a unit twice"):
        Duration.parse("1d2d")


def test_a_negative_duration_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="negative"):
        Duration(days=-1)


@given(DURATIONS)
def test_what_is_written_is_read_back(duration: Duration) -> None:
    assert Duration.parse(str(duration)) == duration


def test_no_time_at_all_is_falsy() -> None:
    assert not Duration()
    assert Duration(hours=1)


@pytest.mark.parametrize(
    ("moment", "text", "before"),
    [
        ("2026-03-31 12:00", "1m", "2026-03-03 12:00"),  # 31 February is 3 March
        ("2024-03-31 12:00", "1m", "2024-03-02 12:00"),  # a leap year: 31 February is 2 March
        ("2026-03-30 12:00", "1m", "2026-03-02 12:00"),
        ("2026-03-28 12:00", "1m", "2026-02-28 12:00"),
        ("2026-05-31 12:00", "1m", "2026-05-01 12:00"),  # 31 April is 1 May
        ("2026-01-31 12:00", "1m", "2025-12-31 12:00"),
        ("2026-01-15 12:00", "13m", "2024-12-15 12:00"),
        ("2024-02-29 12:00", "1y", "2023-03-01 12:00"),  # 29 February 2023 is 1 March
        ("2024-02-29 12:00", "4y", "2020-02-29 12:00"),
        ("2026-03-31 12:00", "1m3d", "2026-02-28 12:00"),  # the month first, then the days
        ("1999-12-30 15:16:17", "1y2m3d4h", "1998-10-27 11:16:17"),
        ("2026-11-23 02:00", "0d", "2026-11-23 02:00"),
    ],
)
def test_calendar_steps_back(moment: str, text: str, before: str) -> None:
    assert Duration.parse(text).before(utc(moment)) == utc(before)


@pytest.mark.parametrize(
    ("moment", "text", "after"),
    [
        ("2026-01-31 12:00", "1m", "2026-03-03 12:00"),
        ("2024-02-29 12:00", "1y", "2025-03-01 12:00"),
        ("2026-11-30 23:00", "1m2h", "2026-12-31 01:00"),
        ("2026-12-31 12:00", "1d", "2027-01-01 12:00"),
    ],
)
def test_calendar_steps_forward(moment: str, text: str, after: str) -> None:
    assert Duration.parse(text).after(utc(moment)) == utc(after)


@pytest.mark.parametrize(
    ("moment", "text", "before"),
    [
        # The day of 23 hours: a calendar day is not 24 hours.
        (berlin("2026-03-29 12:00"), "1d", berlin("2026-03-28 12:00")),
        (berlin("2026-03-29 12:00"), "24h", berlin("2026-03-28 11:00")),
        # The day of 25 hours.
        (berlin("2026-10-25 12:00"), "1d", berlin("2026-10-24 12:00")),
        (berlin("2026-10-25 12:00"), "24h", berlin("2026-10-24 13:00")),
        # 02:30 does not exist on 29 March: the instant is 03:30, an hour after the skipped time.
        (berlin("2026-03-30 02:30"), "1d", berlin("2026-03-29 03:30")),
        # 02:30 comes twice on 25 October: the earlier one, which keeps more.
        (berlin("2026-10-26 02:30"), "1d", berlin("2026-10-25 02:30", fold=0)),
        # Hours alone do not look at the calendar, and so tell both 02:30s apart.
        (berlin("2026-10-25 02:30", fold=1), "1h", berlin("2026-10-25 02:30", fold=0)),
    ],
)
def test_days_follow_the_clocks_of_the_zone_and_hours_do_not(
    moment: datetime, text: str, before: datetime
) -> None:
    assert Duration.parse(text).before(moment, BERLIN) == before.astimezone(UTC)


def test_the_zone_is_that_of_the_calendar_and_not_that_of_the_moment() -> None:
    moment = utc("2026-03-31 22:30")  # in Berlin it is already 1 April
    assert Duration(months=1).before(moment) == utc("2026-03-03 22:30")
    assert Duration(months=1).before(moment, BERLIN) == berlin("2026-03-01 00:30").astimezone(UTC)


def test_before_the_first_and_after_the_last_year_time_stands_still() -> None:
    ages = Duration(years=9999)
    assert ages.before(utc("2026-01-01 00:00")) == datetime.min.replace(tzinfo=UTC)
    assert ages.after(utc("2026-01-01 00:00")) == datetime.max.replace(tzinfo=UTC)


@given(DURATIONS, st.datetimes(timezones=st.just(UTC)))
def test_before_is_never_later_and_after_never_earlier(duration: Duration, at: datetime) -> None:
    assert duration.before(at) <= at <= duration.after(at)


@given(DURATIONS)
def test_every_duration_has_an_approximate_length(duration: Duration) -> None:
    assert bool(duration.approximate()) == bool(duration)


def test_the_approximate_length_has_mean_months_and_years() -> None:
    assert Duration.parse("1d2h").approximate() == timedelta(hours=26)
    assert Duration.parse("12m").approximate() == Duration.parse("1y").approximate()
    assert Duration.parse("400y").approximate() == timedelta(days=146_097)
    assert timedelta(days=30) < Duration.parse("1m").approximate() < timedelta(days=31)


def test_a_naive_moment_is_refused() -> None:
    with pytest.raises(ValueError, match="has no time zone: pass an aware datetime"):
        Duration(days=1).before(datetime(2026, 1, 1))  # noqa: DTZ001


class Objective(BaseModel):
    rpo: Duration


def test_pydantic_reads_and_writes_the_text() -> None:
    objective = Objective.model_validate_json('{"rpo": "26h"}')
    assert objective == Objective(rpo=Duration(hours=26))
    assert objective.model_dump() == {"rpo": "26h"}
    assert Objective.model_validate_json(objective.model_dump_json()) == objective
    assert Objective.model_json_schema()["properties"]["rpo"]["type"] == "string"


@pytest.mark.parametrize("value", ["soon", "", 26, 1.5, None, True, ["1d"], timedelta(days=1)])
def test_pydantic_refuses_what_is_not_a_duration(value: object) -> None:
    with pytest.raises(ValidationError):
        Objective.model_validate({"rpo": value})
