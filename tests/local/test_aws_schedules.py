"""The dialect of AWS schedule expressions, on both sides: what AWS takes and what it refuses."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from local.aws_schedules import BadAwsSchedule, check_aws_schedule, occurrences_of_aws

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "expression",
    [
        "rate(1 minute)",
        "rate(15 minutes)",
        "rate(1 hour)",
        "rate(36 hours)",
        "rate(1 day)",
        "rate(7 days)",
        "cron(0 12 * * ? *)",
        "cron(15 10 ? * 6L 2026-2030)",
        "cron(0/15 * * * ? *)",
        "cron(0 18 ? * MON-FRI *)",
        "cron(0 8 1 * ? *)",
        "cron(0 8 L * ? *)",
        "cron(0 8 3W * ? *)",
        "cron(0 8 ? JAN,JUL SUN#1 *)",
        "cron(0,30 1-5/2 ? 1/3 L 2026/2)",
    ],
)
def test_documented_expressions_are_accepted(expression: str) -> None:
    check_aws_schedule(expression)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("rate(1 minutes)", "'minute'"),
        ("rate(15 minute)", "'minutes'"),
        ("rate(1 days)", "'day'"),
        ("rate(0 minutes)", "1 or more"),
        ("rate(-5 minutes)", "1 or more"),
        ("rate(1.5 hours)", "1 or more"),
        ("rate(30 seconds)", "minutes, hours or days"),
        ("rate(15minutes)", "whole number"),
        ("rate(15  minutes)", "whole number"),
        ("rate(15 minutes", "neither"),
        ("Rate(15 minutes)", "neither"),
        ("every 15 minutes", "neither"),
        ("", "neither"),
        ("at(2026-11-23T02:00:00)", "neither"),
        ("cron(0 2 * * *)", "5 fields instead of six"),
        ("cron(0 0 2 * * ? *)", "7 fields instead of six"),
        ("cron(0 2 * * * *)", "exactly one"),
        ("cron(0 2 ? * ? *)", "exactly one"),
        ("cron(0 2 1 * MON *)", "exactly one"),
        ("cron(60 2 * * ? *)", "minute '60'"),
        ("cron(0 24 * * ? *)", "hour '24'"),
        ("cron(0 2 32 * ? *)", "day of month '32'"),
        ("cron(0 2 0 * ? *)", "day of month '0'"),
        ("cron(0 2 * 13 ? *)", "month '13'"),
        ("cron(0 2 ? * 0 *)", "day of week '0'"),
        ("cron(0 2 ? * 8 *)", "day of week '8'"),
        ("cron(0 2 ? * MON/2 *)", "cannot have a step"),
        ("cron(0 2 ? * 3#6 *)", "from 1 to 5"),
        ("cron(0 2 ? * 3#1,6#3 *)", "from 1 to 5"),
        ("cron(0 2 * * ? 1969)", "year '1969'"),
        ("cron(0 2 * * ? 2200)", "year '2200'"),
        ("cron(30-10 2 * * ? *)", "backwards"),
        ("cron(*/0 2 * * ? *)", "step"),
        ("cron(*/x 2 * * ? *)", "step"),
        ("cron(0 2 LW * ? *)", "day of month 'L'"),
        ("cron(0 2 1,L * ? *)", "day of month 'L'"),
        ("cron(, 2 * * ? *)", "minute ''"),
        ("cron(0 ? * * ? *)", "hour"),
    ],
)
def test_what_aws_refuses_is_refused_with_the_reason(expression: str, reason: str) -> None:
    with pytest.raises(BadAwsSchedule, match=reason) as refused:
        check_aws_schedule(expression)
    assert expression in str(refused.value)


@pytest.mark.parametrize(
    ("expression", "day"),
    [
        ("cron(0 12 1W 8 ? 2026)", datetime(2026, 8, 3, 12, tzinfo=UTC)),  # the 1st: a Saturday
        ("cron(0 12 31W 5 ? 2026)", datetime(2026, 5, 29, 12, tzinfo=UTC)),  # the 31st: a Sunday
    ],
)
def test_the_nearest_weekday_stays_in_its_month(expression: str, day: datetime) -> None:
    until = datetime(2027, 1, 1, tzinfo=UTC)
    assert occurrences_of_aws(expression, "UTC", START, START, until) == [day]


def test_a_rate_counts_from_its_start_and_fires_there() -> None:
    start = datetime(2026, 3, 1, 10, 7, tzinfo=UTC)
    runs = occurrences_of_aws(
        "rate(15 minutes)", "UTC", start, start - timedelta(days=1), start + timedelta(minutes=40)
    )
    assert runs == [start, start + timedelta(minutes=15), start + timedelta(minutes=30)]


@pytest.mark.parametrize("expression", ["rate(15 minutes)", "cron(0/15 * * * ? *)"])
def test_after_is_left_out_and_until_is_included(expression: str) -> None:
    quarter = timedelta(minutes=15)
    after = START + 10 * quarter
    assert occurrences_of_aws(expression, "UTC", START, after, after + quarter) == [after + quarter]
    assert occurrences_of_aws(expression, "UTC", START, after, after) == []


def test_a_rate_is_real_time_whatever_the_zone_does() -> None:
    before = datetime(2026, 3, 28, 12, tzinfo=UTC)
    runs = occurrences_of_aws(
        "rate(1 day)", "Europe/Amsterdam", before, before, before + timedelta(days=3)
    )
    assert runs == [before + timedelta(days=n) for n in (1, 2, 3)]


def test_nothing_fires_before_the_start() -> None:
    noon = datetime(2026, 5, 5, 12, tzinfo=UTC)
    runs = occurrences_of_aws(
        "cron(0 * * * ? *)", "UTC", noon, noon - timedelta(days=2), noon + timedelta(hours=1)
    )
    assert runs == [noon, noon + timedelta(hours=1)]


@pytest.mark.parametrize(
    ("expression", "days"),
    [
        ("cron(0 12 15 * ? 2026)", ["01-15", "02-15", "03-15"]),
        ("cron(0 12 L * ? *)", ["01-31", "02-28", "03-31"]),
        ("cron(0 12 31 * ? *)", ["01-31", "03-31"]),
        # 1 February and 1 March 2026 are Sundays; 31 January is a Saturday.
        ("cron(0 12 1W * ? *)", ["01-01", "02-02", "03-02"]),
        ("cron(0 12 31W * ? *)", ["01-30", "03-31"]),
        ("cron(0 12 ? * 1#1 *)", ["01-04", "02-01", "03-01"]),
        ("cron(0 12 ? * SUN#1 *)", ["01-04", "02-01", "03-01"]),
        ("cron(0 12 ? * 6L *)", ["01-30", "02-27", "03-27"]),
        ("cron(0 12 ? 2 L *)", ["02-07", "02-14", "02-21", "02-28"]),
        ("cron(0 12 ? 2 MON,7 *)", [
            "02-02", "02-07", "02-09", "02-14", "02-16", "02-21", "02-23", "02-28",
        ]),
        ("cron(0 12 1 FEB-MAR ? 2026/2)", ["02-01", "03-01"]),
        ("cron(0 12 1 * ? 2027)", []),
    ],
)  # fmt: skip
def test_days_are_those_of_the_dialect(expression: str, days: list[str]) -> None:
    runs = occurrences_of_aws(expression, "UTC", START, START, datetime(2026, 4, 1, tzinfo=UTC))
    assert [f"{run:%m-%d}" for run in runs] == days


@pytest.mark.parametrize(
    ("zone", "day", "expression", "runs"),
    [
        ("Europe/Amsterdam", (2026, 3, 29), "cron(30 2 * * ? *)", []),
        ("Europe/Amsterdam", (2026, 10, 25), "cron(30 2 * * ? *)", ["02:30+0200"]),
        ("America/New_York", (2026, 3, 8), "cron(0/30 1-3 * * ? *)", [
            "01:00-0500", "01:30-0500", "03:00-0400", "03:30-0400",
        ]),
        ("UTC", (2026, 3, 29), "cron(30 2 * * ? *)", ["02:30+0000"]),
    ],
)  # fmt: skip
def test_clock_changes_are_handled_as_aws_documents_them(
    zone: str, day: tuple[int, int, int], expression: str, runs: list[str]
) -> None:
    midnight = datetime(*day, tzinfo=ZoneInfo(zone))
    found = occurrences_of_aws(expression, zone, START, midnight, midnight + timedelta(days=1))
    assert [f"{run.astimezone(ZoneInfo(zone)):%H:%M%z}" for run in found] == runs
