"""How many recovery points of one source a plan keeps: while its history grows, and in the end.

Nothing is computed of rules and counts. A made-up source is backed up on the plan's own schedule
for ten years, and retention itself is applied all along:

    kept
      25 |                                 .------------   in the long run
      14 |       .--------------'''''''''''
         |  .-'''
         +----------------------------------------------> age of the source's history

Pure. Whoever imports this at a cold start pays for policies and schedules too.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from math import ceil
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from watchkeeper.backups.retention import ALL, Point, plan_retention
from watchkeeper.schedules import Schedule, longest_gap, occurrences

if TYPE_CHECKING:
    from watchkeeper.policy import Plan

LONG_RUN = timedelta(days=3650)
"""Ten years: past it a fleet, a policy and its limits are others. Rules that keep for longer, or
for ever, are counted as they stand then.
"""

MOST = 1_000
"""Recovery points of one source that are counted. A plan that keeps more is said to keep at least
this many: ten times what the limit is unless it was raised, for a single database.
"""

MONTH = timedelta(days=31)
"""Days, weeks and months begin at other times, so a plan keeps a few more or less from day to day:
the most of a month is what room is needed for.
"""

AGES = (
    *(1, 2, 3, 5, 7, 10, 14, 18, 21, 24, 28, 32, 36, 42, 50, 60),
    *(90, 135, 200, 300, 450, 700, 1050, 1575, 2350),
)  # fmt: skip
"""Days of history after which its growth is looked at: often in the two months in which rules of
hours and days fill up, then each half as long again.
"""

DAY = timedelta(days=1)
NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)
"""Any day without a change of clocks."""


@dataclass(frozen=True)
class Growth:
    """How many recovery points retention leaves of a history that so many days are kept of."""

    days: Sequence[int]
    kept: Sequence[int]

    @property
    def in_the_long_run(self) -> int:
        """The most that a removal leaves on any day of the last month."""
        return max(self.kept[-MONTH.days :])


@lru_cache(maxsize=32)  # a night asks twice for each of its plans: for instances, and for clusters
def growth(plan: "Plan", now: datetime) -> Growth:
    """From no history to one of ten years; it ends early at `MOST`."""
    since, end = now - LONG_RUN, LONG_RUN.days
    kept: list[Point] = []
    days, counts = [0], [0]
    for day in (*AGES, *range(end - MONTH.days + 1, end + 1)):
        until = now - LONG_RUN + day * DAY
        made = [Point(at.isoformat(), at) for at in _made(plan, since, until)]
        left = plan_retention(
            [*kept, *made], plan.keep, zone=ZoneInfo(plan.zone), floor=plan.floor, now=until
        )
        kept = [one.point for one in left.kept]
        days.append(day)
        counts.append(len(kept))
        if len(kept) >= MOST:
            break
        since = until
    return Growth(days, counts)


@dataclass(frozen=True)
class Course:
    """What the databases of one plan have, and come to: each is taken to be as far along the plan's
    growth as their average.
    """

    databases: int
    points: int
    growth: Growth
    waiting: int = 0
    """Of one database, made since the last removal, at most."""
    upcoming: Sequence[float] = ()
    """In how many days one more of each database is made, for the next `MONTH` at least."""

    @classmethod
    def of(
        cls, plan: "Plan | None", databases: int, points: int, removed: Schedule, now: datetime
    ) -> "Course":
        """Of no plan, or of no databases, is nothing made, and what there is stays."""
        if plan is None or not databases:
            return cls(0, points, Growth((0,), (0,)))
        gap = longest_gap(removed)
        made = occurrences(plan.when, now, now + MONTH + gap)
        waiting = max((bisect_left(made, at + gap) - n for n, at in enumerate(made)), default=1)
        upcoming = [(at - now) / DAY for at in made]
        return cls(databases, points, growth(plan, now), waiting, upcoming)

    @property
    def of_one(self) -> int:
        return self.growth.in_the_long_run + self.waiting

    @property
    def in_the_long_run(self) -> int:
        return self.databases * self.of_one if self.databases else self.points

    @property
    def words(self) -> str:
        if not self.databases:
            return f"{self.points} that no database goes with any more"
        at_least = "at least " if self.of_one >= MOST else ""
        return f"{self.in_the_long_run} ({self.databases} with {at_least}{self.of_one} each)"

    def after(self, days: int) -> int:
        """How many there may be so many days from now: never fewer than now."""
        if not self.databases:
            return self.points
        each = self.points / self.databases
        kept = list(accumulate(self.growth.kept, max))
        age = _between(kept, self.growth.days, each)  # as if a removal had just been
        kept_then = min(_between(self.growth.days, kept, age + days), self.growth.in_the_long_run)
        grown = kept_then + self.waiting
        if days <= MONTH.days:
            grown = min(grown, each + bisect_right(self.upcoming, days))
        return max(self.points, ceil(self.databases * grown))


def _between(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    """At `x`, the line through the points (xs, ys); level before its first and after its last."""
    index = bisect_left(xs, x)
    if index in (0, len(xs)):
        return ys[0] if index == 0 else ys[-1]
    share = (x - xs[index - 1]) / (xs[index] - xs[index - 1])
    return ys[index - 1] + share * (ys[index] - ys[index - 1])


# ── What is made, as far as retention can tell ────────────────────────────────────────────────────


def _made(plan: "Plan", since: datetime, until: datetime) -> list[datetime]:
    """When recovery points were made in (since, until]. Where none but rules of days and longer
    reach, of each day only the last: no such rule can keep another.
    """
    every: list[datetime] = []
    reach, at = max(since, until - _reach_within_days(plan)), until
    while at > reach and len(every) < MOST:
        before = max(reach, at - MONTH)
        every = occurrences(plan.when, before, at) + every
        at = before
    return occurrences(_last_of_each_day(plan.when), since, at) + every


def _reach_within_days(plan: "Plan") -> timedelta:
    """How far back some rule may keep more than one recovery point of a day, at most."""
    keep, gap = plan.keep, longest_gap(plan.when)
    if ALL in (keep.last, keep.hourly) or ("",) in keep.tags:  # it keeps what has no tags
        return LONG_RUN
    count = min(max(keep.last, keep.hourly, plan.floor.count), MOST)
    spans = [one.approximate() for one in (keep.within, keep.within_hourly, plan.floor.age) if one]
    reach = max(count * (gap + timedelta(hours=1)), *spans, timedelta())  # an hour for `hourly`
    return min(reach + gap + 2 * DAY, LONG_RUN)  # two days: months differ from their mean


def _last_of_each_day(schedule: Schedule) -> Schedule:
    minutes, hours, *days = schedule.expression.split()
    times = occurrences(
        Schedule(f"{minutes} {hours} * * *"), NEW_YEAR - timedelta(minutes=1), NEW_YEAR + DAY
    )
    last = max(times, key=lambda at: (at.hour, at.minute))
    return Schedule(" ".join([str(last.minute), str(last.hour), *days]), schedule.zone)
