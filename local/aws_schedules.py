"""AWS schedule expressions, judged and evaluated as AWS documents them.

Emulators store any text and fire nothing, so a bad expression in the template would first show at
a real deploy. The dialect is not that of cron: six fields with the year at the end, Sunday is 1,
and exactly one of the two day fields is `?`. Source: the EventBridge Scheduler user guide, page
"Schedule types", and the wildcard table of the EventBridge user guide.
"""

import re
from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
SATURDAY, SUNDAY = 7, 1
ONE_DAY = timedelta(days=1)


class BadAwsSchedule(ValueError):
    """AWS would refuse this schedule expression; the message says why."""


@dataclass(frozen=True, slots=True)
class Rate:
    every: timedelta


@dataclass(frozen=True, slots=True)
class Cron:
    times: tuple[time, ...]
    names_day: Callable[[date], bool]


@dataclass(frozen=True, slots=True)
class Field:
    """One numeric field: its limits, and the names that stand for its numbers."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def number(self, text: str) -> int:
        if text in self.names:
            return self.names.index(text) + self.low
        if re.fullmatch("[0-9]{1,4}", text) and self.low <= int(text) <= self.high:
            return int(text)
        raise BadAwsSchedule(f"{self.name} {text!r} is not within {self.low}-{self.high}")

    def numbers(self, text: str) -> frozenset[int]:
        """The numbers that a list such as `1,5-7,*/10` stands for."""
        return frozenset(number for term in text.split(",") for number in self._term(term))

    def _term(self, term: str) -> range:
        span, slash, step = term.partition("/")
        low, dash, high = span.partition("-")
        if span == "*":
            first, last = self.low, self.high
        elif dash:
            first, last = self.number(low), self.number(high)
        else:
            first = self.number(span)
            last = self.high if slash else first
        if first > last:
            raise BadAwsSchedule(f"{self.name} range {term!r} runs backwards")
        if slash and not re.fullmatch("[1-9][0-9]{0,3}", step):
            raise BadAwsSchedule(f"{self.name} step {term!r} is not a whole number of 1 or more")
        return range(first, last + 1, int(step) if slash else 1)


MINUTE = Field("minute", 0, 59)
HOUR = Field("hour", 0, 23)
DAY_OF_MONTH = Field("day of month", 1, 31)
MONTH = Field("month", 1, 12, MONTHS)
DAY_OF_WEEK = Field("day of week", 1, 7, WEEKDAYS)
YEAR = Field("year", 1970, 2199)


def check_aws_schedule(expression: str) -> None:
    """Raise `BadAwsSchedule`, with the reason, if AWS would refuse the `rate(…)` or `cron(…)`."""
    _parse(expression)


def occurrences_of_aws(
    expression: str, zone: str, start: datetime, after: datetime, until: datetime
) -> list[datetime]:
    """Every instant in (after, until] at which EventBridge Scheduler would fire: UTC, sorted.

    A rate is counted from `start`, when the schedule begins, and fires at `start` too. A cron time
    in the spring gap is skipped and one in the repeated hour fires once, as AWS documents it.
    Nothing fires before `start`.
    """
    schedule = _parse(expression)
    if isinstance(schedule, Rate):
        return _rate_instants(schedule, start, after, until)
    return [
        instant
        for instant in _cron_instants(schedule, ZoneInfo(zone), after, until)
        if instant >= start
    ]


def _rate_instants(rate: Rate, start: datetime, after: datetime, until: datetime) -> list[datetime]:
    start = start.astimezone(UTC)
    count = max(0, (after - start) // rate.every + 1)
    instants = []
    while (instant := start + count * rate.every) <= until:
        instants.append(instant)
        count += 1
    return instants


def _cron_instants(cron: Cron, zone: ZoneInfo, after: datetime, until: datetime) -> list[datetime]:
    # A day more on both sides: the repeated hour can lie on the other side of midnight.
    day = after.astimezone(zone).date() - ONE_DAY
    last = until.astimezone(zone).date() + ONE_DAY
    instants = []
    while day <= last:
        walls = [datetime.combine(day, at) for at in cron.times if cron.names_day(day)]
        for wall in walls:
            instant = wall.replace(tzinfo=zone).astimezone(UTC)
            in_gap = instant.astimezone(zone).replace(tzinfo=None) != wall
            if not in_gap and after < instant <= until:
                instants.append(instant)
        day += ONE_DAY
    return sorted(instants)


def _parse(expression: str) -> Rate | Cron:
    kind, _, rest = expression.partition("(")
    if not rest.endswith(")") or kind not in {"rate", "cron"}:
        raise BadAwsSchedule(f"{expression!r} is neither rate(value unit) nor cron(six fields)")
    body = rest.removesuffix(")")
    try:
        return _rate(body) if kind == "rate" else _cron(body)
    except BadAwsSchedule as error:
        raise BadAwsSchedule(f"{expression}: {error}") from error


def _rate(body: str) -> Rate:
    parts = re.fullmatch("([1-9][0-9]{0,5}) (minute|hour|day)(s?)", body)
    if parts is None:
        raise BadAwsSchedule("a rate is a whole number of 1 or more and minutes, hours or days")
    value, unit, plural = int(parts[1]), parts[2], parts[3]
    if (value == 1) == bool(plural):
        right = unit if value == 1 else f"{unit}s"
        raise BadAwsSchedule(f"a value of {value} goes with {right!r}")
    return Rate(value * UNITS[unit])


def _cron(body: str) -> Cron:
    fields = body.split()
    if len(fields) != 6:
        raise BadAwsSchedule(
            f"{len(fields)} fields instead of six: minute, hour, day of month, month,"
            " day of week, year"
        )
    minute, hour, day_of_month, month, day_of_week, year = fields
    if (day_of_month == "?") == (day_of_week == "?"):
        raise BadAwsSchedule("exactly one of day of month and day of week must be ?")
    times = tuple(
        time(each_hour, each_minute)
        for each_hour in sorted(HOUR.numbers(hour))
        for each_minute in sorted(MINUTE.numbers(minute))
    )
    months, years = MONTH.numbers(month), YEAR.numbers(year)
    names_day = _weekday(day_of_week) if day_of_month == "?" else _month_day(day_of_month)
    return Cron(
        times=times,
        names_day=lambda day: day.year in years and day.month in months and names_day(day),
    )


def _month_day(text: str) -> Callable[[date], bool]:
    if text == "L":
        return lambda day: day.day == monthrange(day.year, day.month)[1]
    if text.endswith("W"):
        wanted = DAY_OF_MONTH.number(text.removesuffix("W"))
        return lambda day: day == _nearest_working_day(day, wanted)
    days = DAY_OF_MONTH.numbers(text)
    return lambda day: day.day in days


def _nearest_working_day(day: date, wanted: int) -> date | None:
    """The Monday to Friday of this month that is nearest to its day `wanted`, if it has one."""
    last = monthrange(day.year, day.month)[1]
    if wanted > last:
        return None
    target = day.replace(day=wanted)
    shift = {5: -1, 6: 1}.get(target.weekday(), 0)
    if not 1 <= wanted + shift <= last:
        shift = 2 if shift < 0 else -2  # never into another month
    return target + timedelta(days=shift)


def _weekday(text: str) -> Callable[[date], bool]:
    if "/" in text:
        raise BadAwsSchedule(f"day of week {text!r} cannot have a step")
    if text == "L":
        return lambda day: _number_of(day) == SATURDAY
    if text.endswith("L"):
        wanted = DAY_OF_WEEK.number(text.removesuffix("L"))
        return lambda day: _number_of(day) == wanted and (day + 7 * ONE_DAY).month != day.month
    if "#" in text:
        name, _, nth = text.partition("#")
        wanted = DAY_OF_WEEK.number(name)
        if nth not in {"1", "2", "3", "4", "5"}:
            raise BadAwsSchedule(f"day of week {text!r}: after # comes one number from 1 to 5")
        return lambda day: _number_of(day) == wanted and (day.day + 6) // 7 == int(nth)
    days = DAY_OF_WEEK.numbers(text)
    return lambda day: _number_of(day) in days


def _number_of(day: date) -> int:
    """1 for Sunday to 7 for Saturday, as AWS counts."""
    return day.isoweekday() % 7 + SUNDAY
