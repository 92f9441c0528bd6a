"""Lets the days of the demo pass, with what people and chance do in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from local.cloud import Cloud

START = datetime(2026, 11, 23, tzinfo=UTC)
"""A Monday, before the first night."""
DAYS = 7
THIN = timedelta(minutes=5)
"""Quiet ticks closer together than this are skipped: more detail costs time and tells nothing.
Drills are looked at as often, and what they measure is as exact.
"""
STRIDE = timedelta(hours=1)
"""How much passes between two looks at the progress bar."""

Who = Literal["operator", "somebody", "chance"]


@dataclass(frozen=True)
class Happening:
    """Something that is done to the account from outside, and the line that tells of it.

    Nothing is told of one that says nothing.
    """

    at: datetime
    who: Who
    says: str
    act: Callable[[Cloud], None]


@dataclass(frozen=True)
class Day:
    """One simulated day that has passed."""

    date: date
    happenings: Sequence[Happening]

    @property
    def begins(self) -> datetime:
        return datetime.combine(self.date, time(), UTC)

    @property
    def ends(self) -> datetime:
        return self.begins + timedelta(days=1)


def pass_days(
    cloud: Cloud,
    days: int,
    story: Sequence[Happening],
    moved: Callable[[datetime], None] = lambda _: None,
) -> Iterator[Day]:
    """Let `days` days pass, and give each when it is over; `moved` hears how far it is."""
    for happening in story:
        cloud.clock.at(happening.at, lambda it=happening: it.act(cloud), happening.says)  # type: ignore[misc]
    begin = cloud.clock.now()
    for number in range(days):
        day = Day((begin + timedelta(days=number)).date(), ())
        while cloud.clock.now() < day.ends:
            # Midnight belongs to the day that begins with it.
            until = min(cloud.clock.now() + STRIDE, day.ends - timedelta(seconds=1))
            cloud.clock.run_until(until)
            moved(until)
            if until == day.ends - timedelta(seconds=1):
                break
        yield Day(day.date, [one for one in story if one.says and day.begins <= one.at < day.ends])
        cloud.clock.move_to(day.ends)
