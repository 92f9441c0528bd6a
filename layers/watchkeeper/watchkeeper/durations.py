"""Durations as operators write them: `1y5m7d2h`, in restic's notation and with its arithmetic.

The units are years, months, days and hours: `y`, `m`, `d`, `h`. An `m` is a MONTH, never a minute.
Years, months and days are steps on the calendar of a time zone; hours are elapsed time:

    from                       minus   gives                      because
    31 March 2026 12:00        1m      3 March 2026 12:00         there is no 31 February: the three
                                                                  missing days run on into March
    29 March 2026 12:00 Berlin 1d      28 March 2026 12:00        a calendar day, here 23 hours long
    29 March 2026 12:00 Berlin 24h     28 March 2026 11:00        24 hours on any clock
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Self

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

_UNITS = {"y": "years", "m": "months", "d": "days", "h": "hours"}
# Five digits: 99,999 hours are 11 years, 99,999 years are past every calendar, and no sum of four
# such numbers overflows a timedelta.
_PART = re.compile(r"([0-9]{1,5})([ymdh])")
_WHOLE = re.compile(r"([0-9]{1,5}[ymdh])+")

# The mean Gregorian year: 146,097 days in 400 years. With it, 12m is as long as 1y.
_MEAN_YEAR = timedelta(days=146_097) / 400
_MEAN_MONTH = _MEAN_YEAR / 12

_FIRST_INSTANT = datetime.min.replace(tzinfo=UTC)
_LAST_INSTANT = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time on the calendar. Falsy when it is no time at all.

    In pydantic models it is read from its text and written as its text.
    """

    years: int = 0
    months: int = 0
    days: int = 0
    hours: int = 0

    def __post_init__(self) -> None:
        if min(self.years, self.months, self.days, self.hours) < 0:
            raise ValueError("a duration cannot be negative")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `1y5m7d2h`: each unit at most once, in any order.

        Raises ValueError, which says what is wrong and what to write.
        """
        compact = text.strip()
        if not _WHOLE.fullmatch(compact):
            raise ValueError(
                f"{text!r} is not a duration: write numbers of years (y), months (m), days (d) "
                f"and hours (h), for example 1y6m, 14d or 36h"
            )
        parts = [(_UNITS[unit], int(number)) for number, unit in _PART.findall(compact)]
        if len(dict(parts)) < len(parts):
            raise ValueError(f"{text!r} names a unit twice: write each of y, m, d, h at most once")
        return cls(**dict(parts))

    def __str__(self) -> str:
        """The shortest text that `parse` reads back as this duration; `0h` for no time."""
        parts = [f"{getattr(self, field)}{unit}" for unit, field in _UNITS.items()]
        return "".join(part for part in parts if not part.startswith("0")) or "0h"

    def __bool__(self) -> bool:
        return self != Duration()

    def before(self, moment: datetime, zone: tzinfo = UTC) -> datetime:
        """The instant, in UTC, that lies this long before the aware `moment` on `zone`'s calendar.

        Earlier than the year 1 it stops at the first instant that Python can express.
        """
        return self._step(moment, zone, sign=-1)

    def after(self, moment: datetime, zone: tzinfo = UTC) -> datetime:
        """The instant, in UTC, that lies this long after the aware `moment` on `zone`'s calendar.

        Later than the year 9999 it stops at the last instant that Python can express.
        """
        return self._step(moment, zone, sign=+1)

    def approximate(self) -> timedelta:
        """About how long it lasts, with a mean year of 365.2425 days and months of a twelfth of it.

        For comparing with a schedule or an objective; a deadline is computed with `before` or
        `after`.
        """
        months_and_years = self.years * _MEAN_YEAR + self.months * _MEAN_MONTH
        return months_and_years + timedelta(days=self.days, hours=self.hours)

    def _step(self, moment: datetime, zone: tzinfo, *, sign: int) -> datetime:
        if moment.utcoffset() is None:
            raise ValueError(f"{moment.isoformat()} has no time zone: pass an aware datetime")
        try:
            turned = self._turn_calendar(moment, zone, sign)
            return turned + sign * timedelta(hours=self.hours)
        except (OverflowError, ValueError):  # a year below 1 or above 9999
            return _FIRST_INSTANT if sign < 0 else _LAST_INSTANT

    def _turn_calendar(self, moment: datetime, zone: tzinfo, sign: int) -> datetime:
        if not (self.years or self.months or self.days):
            return moment.astimezone(UTC)  # hours alone never meet the calendar, nor its folds
        wall = moment.astimezone(zone).replace(tzinfo=None)
        months = wall.year * 12 + (wall.month - 1) + sign * (self.years * 12 + self.months)
        first = wall.replace(year=months // 12, month=months % 12 + 1, day=1)
        turned = first + timedelta(days=wall.day - 1 + sign * self.days)
        # A wall time that the zone has twice means the earlier of the two; one that it skips is
        # read with the offset before the gap, and so lies after it.
        return turned.replace(tzinfo=zone, fold=0).astimezone(UTC)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: object, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        from_text = core_schema.no_info_after_validator_function(
            cls.parse, core_schema.str_schema(strict=True)
        )
        return core_schema.json_or_python_schema(
            json_schema=from_text,
            python_schema=core_schema.union_schema(
                [core_schema.is_instance_schema(cls), from_text], mode="left_to_right"
            ),
            serialization=core_schema.plain_serializer_function_ser_schema(str),
        )
