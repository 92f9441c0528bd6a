"""What the year should come to, computed from the injected incidents alone.

A second, small implementation of what Watchkeeper promises, on plain times: nights begin at the
first tick that works, snapshots fail as they were told to, a plan is overdue while a night has not
begun or a recovery point is too old. It shares no code with what it judges but `plan_retention`,
which is the pure plan itself. Minutes are not its business: whoever compares allows for an hour.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from tests.simulation.year_story import (
    DAY,
    MENDED_AFTER,
    RETIRED_KEY,
    SLEEPER,
    Incident,
    Resource,
    Stretch,
    sleeps,
)
from watchkeeper.backups.retention import Point, plan_retention
from watchkeeper.policy import Plan

TICK = timedelta(minutes=15)
GRACE = timedelta(minutes=45)
A_NIGHT_TAKES = timedelta(minutes=25)
"""From its start to its report, about."""
STOPPED_FOR = timedelta(days=7)
APART = timedelta(minutes=20)
"""Two troubles closer together than this are one alarm."""

Span = tuple[datetime, datetime]


# ── When nights are, and which of them run ────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Occasion:
    """When something is due, in words that need no cron: at a local time, on days of the week."""

    at: time
    zone: str
    weekdays: frozenset[int]

    def between(self, after: datetime, before: datetime) -> list[datetime]:
        days = (before.date() - after.date()).days + 2
        named = (after.date() + number * DAY for number in range(days))
        due = [self._on(day) for day in named if day.weekday() in self.weekdays]
        return [at for at in due if after < at < before]

    def _on(self, day: date) -> datetime:
        local = datetime.combine(day, self.at, ZoneInfo(self.zone))
        shown = local.astimezone(UTC).astimezone(ZoneInfo(self.zone))
        if shown.time() != self.at:  # in the hour that spring leaves out: when it is over
            shown = shown.replace(minute=0)
        return shown.astimezone(UTC)


OCCASIONS = {
    "gold": Occasion(time(2, 30), "Europe/Amsterdam", frozenset({0, 2, 4, 6})),
    "silver": Occasion(time(1, 30), "UTC", frozenset({1, 4})),
    "bronze": Occasion(time(3, 0), "UTC", frozenset({6})),
}
REMOVALS = Occasion(time(6, 0), "UTC", frozenset({0, 3}))


@dataclass(frozen=True)
class Night:
    """A night of a plan that runs; it starts later than it is due where ticks are lost."""

    plan: str
    due: datetime
    starts: datetime

    @property
    def reports(self) -> datetime:
        return self.starts + A_NIGHT_TAKES


def nights_of(plan: str, stretch: Stretch, incidents: Iterable[Incident]) -> list[Night]:
    """Those that run. While no tick works, the last occurrence alone is made up for."""
    outages = [one for one in incidents if one.what in ("ticks lost", "denied")]
    by_start: dict[datetime, datetime] = {}
    for due in OCCASIONS[plan].between(stretch.begins, stretch.ends):
        starts = due
        for outage in outages:
            if outage.begins <= starts < outage.ends:
                starts = outage.ends
        by_start[starts] = due
    return [
        Night(plan, due, starts)
        for starts, due in sorted(by_start.items())
        if starts < stretch.ends
    ]


# ── What each night takes ─────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Taken:
    """One night's recovery point of one resource."""

    night: Night
    completes: bool


def taken_of(
    one: Resource, nights: Iterable[Night], stretch: Stretch, incidents: Sequence[Incident]
) -> list[Taken]:
    """What becomes of a resource in the nights of its plan that find it there."""
    used = 0
    found = []
    for night in nights:
        if one.name == SLEEPER and not _is_awake(night.starts, stretch):
            continue
        doomed = sum(
            each.times
            for each in incidents
            if each.what == "snapshots failed"
            and each.name == one.name
            and each.begins <= night.starts
        )
        if not _can_be_read(one.key, night.starts, stretch, incidents):
            found.append(Taken(night, completes=False))  # nothing is asked for under a lost key
        else:
            found.append(Taken(night, completes=used >= doomed))
            used += used < doomed
    return found


def _is_awake(at: datetime, stretch: Stretch) -> bool:
    """From seven days after each stop, until the next."""
    stops = [stretch.begins, *sleeps(stretch), datetime.max.replace(tzinfo=UTC)]
    return any(since + STOPPED_FOR <= at < until for since, until in pairwise(stops))


def _can_be_read(key: str, at: datetime, stretch: Stretch, incidents: Iterable[Incident]) -> bool:
    if key == RETIRED_KEY and at < stretch.begins + MENDED_AFTER:
        return False
    troubles = [one for one in incidents if one.what in ("key disabled", "key doomed")]
    return not any(one.name == key and one.begins <= at < one.ends for one in troubles)


# ── Who is told of what ───────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, order=True)
class Told:
    """A page that names resources that have come to be at risk."""

    day: date
    plan: str
    fresh: tuple[str, ...]
    in_all: int


@dataclass(frozen=True)
class Expected:
    """What the incidents must lead to."""

    nights: Sequence[Night]
    lost: int
    """Occurrences that no night runs for, because the next has come meanwhile."""
    taken: Mapping[str, Sequence[Taken]]
    """Per ARN."""
    overdue: Sequence[Span]
    """When backups are overdue: of any plan."""
    told: Sequence[Told]
    gaps: Mapping[str, Sequence[Span]]
    """Per ARN, when nothing within the objective could be restored."""


def expected(
    resources: Sequence[Resource],
    plans: Mapping[str, Plan],
    stretch: Stretch,
    incidents: Sequence[Incident],
) -> Expected:
    """Everything that it must come to."""
    courses = [
        _Course.of(name, plan, resources, stretch, incidents)
        for name, plan in sorted(plans.items())
    ]
    nights = [night for course in courses for night in course.nights]
    due = sum(
        len(OCCASIONS[course.plan].between(stretch.begins, stretch.ends)) for course in courses
    )
    overdue = [span for course in courses for span in (*course.not_started(), *course.too_old())]
    gaps = {
        one.arn: spans
        for course in courses
        for one in course.members
        if not one.has_span
        and (spans := list(_gaps(course.taken[one.arn], course.rpo, stretch.ends)))
    }
    return Expected(
        nights=sorted(nights, key=lambda night: night.starts),
        lost=due - len(nights),
        taken={arn: taken for course in courses for arn, taken in course.taken.items()},
        overdue=merged(overdue),
        told=sorted(told for course in courses for told in course.told()),
        gaps=gaps,
    )


@dataclass(frozen=True)
class _Course:
    """How one plan fares."""

    plan: str
    rpo: timedelta
    nights: Sequence[Night]
    members: Sequence[Resource]
    taken: Mapping[str, Sequence[Taken]]
    stretch: Stretch
    incidents: Sequence[Incident]

    @classmethod
    def of(
        cls,
        name: str,
        plan: Plan,
        resources: Iterable[Resource],
        stretch: Stretch,
        incidents: Sequence[Incident],
    ) -> "_Course":
        nights = nights_of(name, stretch, incidents)
        members = [one for one in resources if one.plan == name]
        taken = {one.arn: taken_of(one, nights, stretch, incidents) for one in members}
        return cls(name, plan.rpo.approximate(), nights, members, taken, stretch, incidents)

    def not_started(self) -> Iterator[Span]:
        for due in OCCASIONS[self.plan].between(self.stretch.begins, self.stretch.ends):
            later = (night.starts for night in self.nights if night.due >= due)
            starts = min(later, default=self.stretch.ends)
            if starts > due + GRACE:
                yield due + GRACE, starts

    def too_old(self) -> Iterator[Span]:
        """While the worst-off of those that the last night took is older than the objective."""
        until = [*(night.reports for night in self.nights[1:]), self.stretch.ends]
        for night, next_report in zip(self.nights, until, strict=True):
            newest = [self._newest(one, night) for one in self._owed(night)]
            if not newest:
                continue
            known = [at for at in newest if at is not None]
            missed = min(known) + self.rpo if len(known) == len(newest) else night.reports
            if max(missed, night.reports) < next_report:
                yield max(missed, night.reports), next_report

    def told(self) -> Iterator[Told]:
        """Of each resource once, until it has been well."""
        before: set[str] = set()
        for night in self.nights:
            newest = {one.label: self._newest(one, night) for one in self._owed(night)}
            at_risk = {
                label for label, at in newest.items() if at is None or night.reports - at > self.rpo
            }
            if fresh := at_risk - before:
                yield Told(night.reports.date(), self.plan, tuple(sorted(fresh)), len(at_risk))
            before = at_risk

    def _owed(self, night: Night) -> list[Resource]:
        return [
            one for one in self.members if any(each.night == night for each in self.taken[one.arn])
        ]

    def _newest(self, one: Resource, until: Night) -> datetime | None:
        """The newest data that can be restored when a night reports; None if nothing can be."""
        if not _can_be_read(one.key, until.reports, self.stretch, self.incidents):
            return None  # all that there is of it is under that key
        if one.has_span:
            return until.reports
        done = (each.night.starts for each in self.taken[one.arn] if each.completes)
        return max((at for at in done if at <= until.starts), default=None)


def _gaps(taken: Sequence[Taken], rpo: timedelta, end: datetime) -> Iterator[Span]:
    done = [one.night.starts for one in taken if one.completes]
    for one, following in pairwise([*done, end]):
        if following - one > rpo:
            yield one + rpo, following


def merged(spans: Iterable[Span]) -> list[Span]:
    """Those that touch are one."""
    found: list[Span] = []
    for since, until in sorted(spans):
        if found and since <= found[-1][1] + APART:
            found[-1] = (found[-1][0], max(found[-1][1], until))
        else:
            found.append((since, until))
    return found


# ── What is kept ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Completed:
    """A recovery point that completed, whatever became of it."""

    id: str
    created_at: datetime
    completed_at: datetime


def kept(points: Iterable[Completed], plan: Plan, stretch: Stretch) -> set[str]:
    """The ids that are left, when the pure plan is applied at each removal in turn."""
    left: list[Point] = []
    coming = sorted(points, key=lambda one: one.completed_at)
    for now in REMOVALS.between(stretch.begins, stretch.ends):
        left += [Point(one.id, one.created_at) for one in coming if one.completed_at <= now]
        coming = [one for one in coming if one.completed_at > now]
        retention = plan_retention(
            left, plan.keep, zone=ZoneInfo(plan.zone), floor=plan.floor, now=now
        )
        left = [one.point for one in retention.kept]
    return {point.id for point in left} | {one.id for one in coming}
