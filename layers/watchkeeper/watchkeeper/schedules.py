"""When a plan runs: a cron expression, read in a named time zone.

The zone is always written down; the machine's own zone is never used. Twice a year the clock on
the wall jumps, and a schedule must say what then happens:

    wall      01:00      02:00      03:00          a time of day in the gap (02:30) runs at the
    spring      |----------|~~gap~~~~|----> 03:00  next instant that exists: 03:00, once

    wall      02:00      02:00      03:00          a time of day in the repeated hour (02:30) runs
    autumn      |--first---|--again--|---->        the first time only

An expression that names all 24 hours means an interval, not a time of day: `*/15 * * * *` also
runs in the repeated hour, or a protected resource would go 75 minutes without a backup.

Everything here is pure: aware datetimes in, UTC datetimes out, and no clock is read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from functools import lru_cache
from itertools import pairwise
from pkgutil import get_data
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from watchkeeper.quoting import quoted

# Runs are started by a tick every 15 minutes: what is asked more often than that would run late,
# or be started twice by one tick.
SHORTEST_STEP = timedelta(minutes=15)

# A year and a month: "the first Monday of January" can be 371 days apart. A schedule with longer
# pauses (29 February) is taken for a mistake: nobody would notice for years that it never ran.
LONGEST_PAUSE = timedelta(days=400)

# Enough to spell out every minute and hour; more is not a schedule that somebody can read.
LONGEST_EXPRESSION = 250

# Two whole years that pauses are measured over. The second is a leap year, so the longest month,
# quarter and year are in it, and every zone changes its clocks in both. Fixed, so that the same
# policy is judged the same way on every day.
MEASURED_FROM = date(2027, 1, 1)
MEASURED_UNTIL = date(2029, 1, 1)

ONE_DAY = timedelta(days=1)
EVERY_HOUR = set(range(24))
FIELDS = 5  # a sixth, for seconds, is an extension of the library that cron does not have


class ScheduleRefused(ValueError):
    """The schedule cannot be used: `what` is wrong, and the `remedy`."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what = what
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Schedule:
    """A cron expression of five fields and the IANA zone that it is read in.

    Raises `ScheduleRefused` when it does not parse, names an unknown zone, runs more often than
    every 15 minutes or less often than once a year.
    """

    expression: str
    zone: str = "UTC"

    def __post_init__(self) -> None:
        check_expression(self.expression)
        check_zone(self.zone)


def check_expression(expression: str) -> str:
    """The expression itself; raises `ScheduleRefused` when no schedule can have it."""
    times = _times_of_day(expression)
    days = _measured_days(expression)
    _check_pauses(expression, days)
    _check_steps(expression, times, days)
    return expression


def check_zone(zone: str) -> str:
    """The zone itself; raises `ScheduleRefused` when it is not the full name of an IANA zone."""
    # Abbreviations are in the database too, but do not mean what they seem to: EST is Panama,
    # without summer time.
    if zone == "UTC" or ("/" in zone and zone in _zones()):
        return zone
    near = get_close_matches(zone[:80], [name for name in _zones() if "/" in name], n=1)
    meant = f'; did you mean "{near[0]}"?' if near else ""
    raise ScheduleRefused(
        f"time zone {quoted(zone)} is not known",
        f'write "UTC" or an IANA name, such as "America/New_York"{meant}',
    )


def occurrences(schedule: Schedule, after: datetime, until: datetime) -> list[datetime]:
    """Every instant in (after, until] at which the schedule runs: UTC, sorted, no doubles."""
    zone = ZoneInfo(schedule.zone)
    # A day more on both sides: the repeated hour can put an instant on the other side of midnight.
    first = _aware(after).astimezone(zone).date() - ONE_DAY
    last = _aware(until).astimezone(zone).date() + ONE_DAY
    instants = {
        instant
        for day in _days(schedule.expression, first, last)
        for instant in _instants(schedule, day)
    }
    return sorted(instant for instant in instants if after < instant <= until)


@lru_cache(maxsize=256)
def longest_gap(schedule: Schedule) -> timedelta:
    """The longest real time between two consecutive occurrences, clock changes included.

    A daily schedule in a zone with summer time has a gap of 25 hours, once a year.
    """
    zone = ZoneInfo(schedule.zone)
    walls = [datetime.combine(MEASURED_FROM, at) for at in _times_of_day(schedule.expression)]
    gaps = [later - earlier for earlier, later in pairwise(walls)]
    previous: datetime | None = None
    for day in _measured_days(schedule.expression):
        instants = _instants(schedule, day)
        if previous is not None:
            gaps.append(instants[0] - previous)
        if _clock_changes(day, zone):
            gaps += [later - earlier for earlier, later in pairwise(instants)]
        previous = instants[-1]
    return max(gaps)


def _instants(schedule: Schedule, day: date) -> list[datetime]:
    """The instants at which the schedule runs on one calendar day of its zone, sorted."""
    zone = ZoneInfo(schedule.zone)
    times = _times_of_day(schedule.expression)
    if not _clock_changes(day, zone):
        return [datetime.combine(day, at, zone).astimezone(UTC) for at in times]
    instants = {_first_valid(datetime.combine(day, at), zone) for at in times}
    if {at.hour for at in times} == EVERY_HOUR:
        again = [datetime.combine(day, at.replace(fold=1), zone) for at in times]
        instants |= {instant.astimezone(UTC) for instant in again if _exists(instant)}
    return sorted(instants)


def _first_valid(wall: datetime, zone: ZoneInfo) -> datetime:
    """The instant at which a clock in `zone` first shows `wall`, or has just jumped past it."""
    instant = wall.replace(tzinfo=zone)
    while not _exists(instant):
        instant += timedelta(minutes=1)  # clocks jump by whole minutes, by at most a day
    return instant.astimezone(UTC)


def _exists(instant: datetime) -> bool:
    """Whether a clock in the zone of `instant` ever shows its time: not in the spring gap."""
    shown = instant.astimezone(UTC).astimezone(instant.tzinfo)
    return shown.replace(tzinfo=None, fold=0) == instant.replace(tzinfo=None, fold=0)


def _clock_changes(day: date, zone: ZoneInfo) -> bool:
    midnight = datetime.combine(day, time(), zone)
    next_midnight = datetime.combine(day + ONE_DAY, time(fold=1), zone)
    return midnight.utcoffset() != next_midnight.utcoffset()


@lru_cache(maxsize=256)
def _times_of_day(expression: str) -> tuple[time, ...]:
    """The times of day that the expression names, sorted."""
    minute, hour, *_ = _fields(expression)
    start = datetime.combine(MEASURED_FROM, time())
    times = []
    for at in CronSim(f"{minute} {hour} * * *", start - timedelta(seconds=1)):
        if at >= start + ONE_DAY:
            break
        times.append(at.time())
    return tuple(times)


def _days(expression: str, first: date, last: date) -> Iterator[date]:
    """The days from `first` to `last`, both included, that the expression names."""
    # Only asked about the calendar: what a clock change means is decided here, and iterating would
    # walk from one day to the next hour by hour.
    cron = CronSim(" ".join(_fields(expression)), datetime.combine(first, time()))
    day = first
    while day <= last:
        if day.month in cron.months and cron.match_day(day):
            yield day
        day += ONE_DAY


@lru_cache(maxsize=256)
def _measured_days(expression: str) -> tuple[date, ...]:
    """The days named in the two measured years, and the first one after them."""
    days = []
    for day in _days(expression, MEASURED_FROM, MEASURED_UNTIL + LONGEST_PAUSE):
        days.append(day)
        if day >= MEASURED_UNTIL:
            break
    return tuple(days)


@lru_cache(maxsize=256)
def _fields(expression: str) -> tuple[str, ...]:
    fields = tuple(expression.split()) if len(expression) <= LONGEST_EXPRESSION else ()
    if len(fields) != FIELDS:
        raise ScheduleRefused(
            f"schedule {quoted(expression)} does not have five fields",
            'write minute, hour, day of month, month and day of week, such as "0 2 * * *"',
        )
    try:
        CronSim(expression, datetime.combine(MEASURED_FROM, time()))
    except CronSimError as error:
        # The library names the field and nothing else: "Bad minute".
        field = str(error).removeprefix("Bad ")
        raise ScheduleRefused(
            f"schedule {quoted(expression)} has a bad {field} field",
            "write minute, hour, day of month, month and day of week, such as"
            ' "30 2 * * MON-FRI" (02:30 on weekdays) or "0 */6 * * *" (every six hours)',
        ) from error
    return fields


def _check_pauses(expression: str, days: tuple[date, ...]) -> None:
    # The days end with the first one after the measured years, unless that is too far away.
    never = not days or days[-1] < MEASURED_UNTIL
    if never or max(b - a for a, b in pairwise((MEASURED_FROM, *days))) > LONGEST_PAUSE:
        raise ScheduleRefused(
            f"schedule {quoted(expression)} does not run every year",
            "name days that come at least once a year",
        )


def _check_steps(expression: str, times: tuple[time, ...], days: tuple[date, ...]) -> None:
    walls = [datetime.combine(MEASURED_FROM, at) for at in times]
    if any(later - earlier == ONE_DAY for earlier, later in pairwise(days)):
        walls.append(walls[0] + ONE_DAY)
    shortest = min((b - a for a, b in pairwise(walls)), default=ONE_DAY)
    if shortest < SHORTEST_STEP:
        minutes = shortest // timedelta(minutes=1)
        raise ScheduleRefused(
            f"schedule {quoted(expression)} runs {minutes} min apart, more often than"
            " every 15 minutes, which is how often due runs are looked for",
            'leave 15 minutes or more between two times, such as "*/15 * * * *"',
        )


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    """Every zone of the IANA database that came with the program, not of the machine."""
    listed = get_data("tzdata", "zones") or b""  # empty: none is known, so all are refused
    return frozenset(listed.decode("utf-8").split())


def _aware(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        # Python would silently read it in the machine's zone.
        raise ValueError(f"{instant.isoformat()} has no time zone; pass an aware datetime")
    return instant
