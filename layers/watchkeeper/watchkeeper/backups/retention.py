"""Which recovery points of one source are kept, which are removed, and why.

The rules are restic's (`restic forget`), so that what people know of them holds here:

    rule                 keeps
    last: 3              the newest 3
    hourly: 24           the newest of each hour, for the latest 24 hours that have any
    daily: 7             the newest of each day, for the latest 7 days that have any
    weekly: 4            the newest of each ISO week (Monday to Sunday), likewise
    monthly: 12          the newest of each month, likewise
    yearly: 5            the newest of each year, likewise
    within: 14d          everything made less than 14 days before the latest
    within_hourly: 2d    the newest of each hour made less than 2 days before the latest
    within_daily: 7d     and so on for days, weeks, months and years
    tags: [[a, b], [c]]  everything tagged a and b, or tagged c; [""] is everything without tags

- A count of -1 means all; 0, the default, means that the rule is not used.
- Rules add up: a recovery point stays if any rule keeps it, and may fill a slot of every rule.
- The oldest recovery point there is stays while a rule with periods has a slot left for it (or
  still reaches it), so that a young history grows to its full length instead of starting anew.
- "The latest" is the newest completed recovery point, not the clock: when backups stop, their
  history stays.

What this module adds to them:

    newest               the newest completed recovery point stays, whatever the rules say
    floor-count          so do the newest N                        (`Floor.count`)
    floor-age            and everything younger than an age        (`Floor.age`, needs `now`)

- These three speak only where no rule keeps a recovery point: they show when they mattered.
- Only completed recovery points count. Others fill no slot, are not removed, and are listed apart.
- A recovery point with a blocker (a lock, a share, a legal hold) is not removed but reported.
- A policy that keeps nothing is refused: it never means "remove everything".

Time. Hours, days, weeks, months and years are those of the policy's zone, and a day of 23 or 25
hours is one day. When clocks go back, the hour that comes twice is two hours, so that `hourly`
loses neither (restic takes both for one). Months are restic's: one before 31 March is 3 March.

The future. As in restic, a recovery point later than `now` takes part in every rule but is never
"the latest"; if all are later, none is old and `within` keeps them. Here it cannot displace the
present either: the newest that is not in the future stays too, and the floor's count starts at it.
Without `now`, nothing is in the future.

Equal times are ordered by id, so that the same recovery points always give the same plan.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, StrictInt, field_validator, model_validator

from watchkeeper.durations import Duration

COMPLETED = "completed"
ALL = -1  # as a count: no limit
_BEGINNING = datetime.min.replace(tzinfo=UTC)  # earlier than every recovery point


class Keep(BaseModel):
    """The operator's retention rules; the table at the top of this module says what each keeps.

    A policy without any rule, or with a value that could only be a slip, raises ValidationError.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    last: StrictInt = 0
    hourly: StrictInt = 0
    daily: StrictInt = 0
    weekly: StrictInt = 0
    monthly: StrictInt = 0
    yearly: StrictInt = 0
    within: Duration | None = None
    within_hourly: Duration | None = None
    within_daily: Duration | None = None
    within_weekly: Duration | None = None
    within_monthly: Duration | None = None
    within_yearly: Duration | None = None
    tags: tuple[tuple[str, ...], ...] = ()

    @field_validator("last", "hourly", "daily", "weekly", "monthly", "yearly")
    @classmethod
    def _count_has_a_meaning(cls, count: int) -> int:
        if count < ALL:
            raise ValueError(f"{count} is no count: write how many to keep, 0 for none, -1 for all")
        return count

    @field_validator(
        "within",
        "within_hourly",
        "within_daily",
        "within_weekly",
        "within_monthly",
        "within_yearly",
    )
    @classmethod
    def _duration_lasts(cls, duration: Duration | None) -> Duration | None:
        if duration is not None and not duration:
            raise ValueError(f"{duration} keeps nothing: leave the rule out or give it a duration")
        return duration

    @field_validator("tags")
    @classmethod
    def _tags_select(cls, lists: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        for names in lists:
            if not names:
                raise ValueError("a list of no tags fits everything: to keep all, write last: -1")
            if "" in names and len(names) > 1:
                raise ValueError(
                    f'{list(names)} asks for no tags ("") and for tags at once: write two lists'
                )
        return lists

    @model_validator(mode="after")
    def _keeps_something(self) -> Self:
        if not any(getattr(self, _field(rule)) for rule in RULES):
            raise ValueError(
                "this retention has no rule and would keep nothing: set at least one of "
                f"{', '.join(_field(rule) for rule in RULES)} (a count of -1 keeps all)"
            )
        return self


class Floor(BaseModel):
    """What retention leaves alone, however little the rules keep."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    count: StrictInt = Field(default=0, ge=0)  # the newest so many completed recovery points
    age: Duration | None = None  # everything made less than this long before `now`


@dataclass(frozen=True, slots=True)
class Point:
    """A recovery point as retention sees it. `created_at` must be aware; it is held in UTC."""

    id: str
    created_at: datetime
    tags: frozenset[str] = frozenset()
    state: str = COMPLETED
    blockers: tuple[str, ...] = ()  # sentences such as "locked until 2027-01-01"

    def __post_init__(self) -> None:
        if self.created_at.utcoffset() is None:
            raise ValueError(
                f"created_at of recovery point {self.id} is {self.created_at.isoformat()}, "
                "which has no time zone: pass an aware datetime"
            )
        # In UTC, because Python compares two times of one zone by their wall clocks, and those
        # run backwards once a year.
        object.__setattr__(self, "created_at", self.created_at.astimezone(UTC))
        object.__setattr__(self, "tags", frozenset(self.tags))
        object.__setattr__(self, "blockers", tuple(self.blockers))


@dataclass(frozen=True, slots=True)
class Kept:
    """A recovery point that stays, and every rule that keeps it."""

    point: Point
    rules: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Removed:
    """A recovery point that no rule keeps and nothing blocks."""

    point: Point
    why: str


@dataclass(frozen=True, slots=True)
class Blocked:
    """A recovery point that no rule keeps, and that cannot be removed all the same."""

    point: Point
    why: str


@dataclass(frozen=True, slots=True)
class Uncounted:
    """A recovery point that is not completed: retention neither counts nor removes it."""

    point: Point
    why: str


@dataclass(frozen=True, slots=True)
class RetentionPlan:
    """What becomes of each recovery point. Every one is in exactly one list, newest first."""

    kept: tuple[Kept, ...]
    removed: tuple[Removed, ...]
    blocked: tuple[Blocked, ...]
    uncounted: tuple[Uncounted, ...]


def plan_retention(
    points: Iterable[Point],
    keep: Keep,
    *,
    zone: tzinfo = UTC,
    floor: Floor | None = None,
    now: datetime | None = None,
) -> RetentionPlan:
    """Decide what becomes of the recovery points of ONE source (and one storage tier).

    `zone` is where hours, days, weeks, months and years begin. Raises ValueError if a point is
    listed twice, if `now` is naive, or if `floor` has an age and there is no `now`.
    """
    newest_first = _newest_first(points)
    counted = [point for point in newest_first if point.state == COMPLETED]
    timeline = Timeline.of(counted, zone, _checked_now(now, floor))
    kept, removed, blocked = [], [], []
    for point, verdicts, guards in zip(
        counted, _verdicts(keep, timeline), _guards(floor or Floor(), timeline), strict=True
    ):
        reasons = [verdict for verdict in verdicts if verdict.keeps] or guards
        if reasons:
            rules = tuple(reason.rule for reason in reasons)
            kept.append(Kept(point, rules, "; ".join(reason.words for reason in reasons)))
            continue
        why = f"no rule keeps it: {'; '.join(verdict.words for verdict in verdicts)}"
        if point.blockers:
            why = f"{why}; but it cannot be removed: {'; '.join(point.blockers)}"
            blocked.append(Blocked(point, why))
        else:
            removed.append(Removed(point, why))
    return RetentionPlan(tuple(kept), tuple(removed), tuple(blocked), _uncounted(newest_first))


def _uncounted(points: Iterable[Point]) -> tuple[Uncounted, ...]:
    why = "only completed recovery points count or are removed"
    return tuple(
        Uncounted(point, f"it is {point.state}: {why}")
        for point in points
        if point.state != COMPLETED
    )


# --- The timeline: what every rule looks at ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Timeline:
    """The completed recovery points of a source, newest first, and how their zone sees them."""

    points: Sequence[Point]
    local: Sequence[datetime]  # when each was made, in the policy's zone
    latest: datetime | None  # the newest that is not in the future; None if all of them are
    zone: tzinfo
    now: datetime | None

    @classmethod
    def of(cls, newest_first: Sequence[Point], zone: tzinfo, now: datetime | None) -> Self:
        """Place completed recovery points, already in order, in `zone`."""
        past = (point.created_at for point in newest_first if _is_past(point, now))
        local = [point.created_at.astimezone(zone) for point in newest_first]
        return cls(newest_first, local, next(past, None), zone, now)


def _newest_first(points: Iterable[Point]) -> list[Point]:
    ordered = sorted(points, key=lambda point: point.id)
    for one, other in pairwise(ordered):
        if one.id == other.id:
            raise ValueError(
                f"recovery point {one.id} is listed twice: it could be kept and removed at once"
            )
    ordered.sort(key=lambda point: point.created_at, reverse=True)  # stable: equal times stay by id
    return ordered


def _checked_now(now: datetime | None, floor: Floor | None) -> datetime | None:
    if now is not None and now.utcoffset() is None:
        raise ValueError(
            f"now is {now.isoformat()}, which has no time zone: pass an aware datetime"
        )
    if now is None and floor is not None and floor.age:
        raise ValueError(f"a floor of {floor.age} in age needs to know what time it is: pass now")
    return now


def _is_past(point: Point, now: datetime | None) -> bool:
    return now is None or point.created_at <= now


# --- Periods -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of local time of which a rule keeps the newest recovery point."""

    key: Callable[[datetime], Hashable]  # equal for local times of the same stretch
    words: Callable[[datetime], str]


def _hour_words(local: datetime) -> str:
    # With its offset, which tells the two hours apart that share a name when clocks go back.
    on_the_hour = local.replace(minute=0, second=0, microsecond=0)
    return f"the hour {on_the_hour.isoformat(' ', 'minutes')}"


def _week_words(local: datetime) -> str:
    return f"the week starting Monday {local.date() - timedelta(days=local.weekday())}"


HOUR = Period(lambda local: (local.toordinal(), local.hour, local.fold), _hour_words)
DAY = Period(lambda local: local.toordinal(), lambda local: f"the day {local.date()}")
WEEK = Period(lambda local: local.isocalendar()[:2], _week_words)
MONTH = Period(
    lambda local: (local.year, local.month),
    lambda local: f"the month {local.year:04}-{local.month:02}",
)
YEAR = Period(lambda local: local.year, lambda local: f"the year {local.year}")


# --- The rules: each gives one verdict per recovery point, newest first --------------------------


class Verdict(NamedTuple):
    """What one rule says about one recovery point."""

    rule: str
    words: str
    keeps: bool


def _tagged(rule: str, lists: Sequence[Sequence[str]], timeline: Timeline) -> Iterator[Verdict]:
    for point in timeline.points:
        fitting = [" and ".join(names) for names in lists if _has_tags(point, names)]
        if not fitting:
            yield Verdict(rule, "its tags are not among those kept", keeps=False)
        elif not point.tags:
            yield Verdict(rule, "has no tags, and those without are kept", keeps=True)
        else:
            yield Verdict(rule, f"tagged {', '.join(fitting)}", keeps=True)


def _has_tags(point: Point, names: Sequence[str]) -> bool:
    if names[0] == "":
        return not point.tags
    return point.tags.issuperset(names)


def _last(rule: str, count: int, timeline: Timeline) -> Iterator[Verdict]:
    for number, _ in enumerate(timeline.points, start=1):
        if count == ALL:
            yield Verdict(rule, "all are kept", keeps=True)
        elif number <= count:
            yield Verdict(rule, f"number {number} of the {count} last", keeps=True)
        else:
            yield Verdict(rule, f"not among the {count} last", keeps=False)


def _newest_of_each(period: Period, rule: str, count: int, timeline: Timeline) -> Iterator[Verdict]:
    oldest = len(timeline.points) - 1
    full = Verdict(rule, f"newer ones fill all {count} {rule} slots", keeps=False)
    filled, current = 0, None
    for index, local in enumerate(timeline.local):
        if filled == count:
            yield full
            continue
        key = period.key(local)
        if key == current and index != oldest:
            yield Verdict(rule, f"{period.words(local)} has a newer one ({rule})", keeps=False)
            continue
        filled += 1
        place = "the oldest there is" if key == current else f"newest of {period.words(local)}"
        slot = f"number {filled} of all {rule}" if count == ALL else f"{filled} of {count} {rule}"
        yield Verdict(rule, f"{place}, {slot}", keeps=True)
        current = key


def _within(rule: str, duration: Duration, timeline: Timeline) -> Iterator[Verdict]:
    since, reach = _reach(duration, timeline)
    inside = Verdict(rule, reach, keeps=True)
    outside = Verdict(rule, f"not {reach}", keeps=False)
    for point in timeline.points:
        yield inside if point.created_at > since else outside


def _newest_of_each_within(
    period: Period, rule: str, duration: Duration, timeline: Timeline
) -> Iterator[Verdict]:
    since, reach = _reach(duration, timeline)
    outside = Verdict(rule, f"not {reach} ({rule})", keeps=False)
    each = rule.removeprefix("within-")
    oldest = len(timeline.points) - 1
    current = None
    for index, (point, local) in enumerate(zip(timeline.points, timeline.local, strict=True)):
        if point.created_at <= since:
            yield outside
            continue
        key = period.key(local)
        if key != current:
            yield Verdict(rule, f"newest of {period.words(local)}, {each} {reach}", keeps=True)
        elif index == oldest:
            yield Verdict(rule, f"the oldest there is, {each} {reach}", keeps=True)
        else:
            yield Verdict(rule, f"{period.words(local)} has a newer one ({rule})", keeps=False)
        current = key


def _reach(duration: Duration, timeline: Timeline) -> tuple[datetime, str]:
    """The instant after which something is within `duration`, and the words for being so."""
    words = f"within {duration} of the latest"
    if timeline.latest is None:  # some clock is wrong: then nothing is called old
        return _BEGINNING, f"{words}, which is unknown: all are in the future"
    return duration.before(timeline.latest, timeline.zone), words


# Each rule by its name; its setting is the field of Keep of that name, with _ for -.
RULES: dict[str, Callable[[str, Any, Timeline], Iterator[Verdict]]] = {
    "last": _last,
    "hourly": partial(_newest_of_each, HOUR),
    "daily": partial(_newest_of_each, DAY),
    "weekly": partial(_newest_of_each, WEEK),
    "monthly": partial(_newest_of_each, MONTH),
    "yearly": partial(_newest_of_each, YEAR),
    "within": _within,
    "within-hourly": partial(_newest_of_each_within, HOUR),
    "within-daily": partial(_newest_of_each_within, DAY),
    "within-weekly": partial(_newest_of_each_within, WEEK),
    "within-monthly": partial(_newest_of_each_within, MONTH),
    "within-yearly": partial(_newest_of_each_within, YEAR),
    "tags": _tagged,
}


def _field(rule: str) -> str:
    return rule.replace("-", "_")


def _verdicts(keep: Keep, timeline: Timeline) -> Iterator[tuple[Verdict, ...]]:
    """What the rules in use say about each recovery point."""
    settings = {rule: getattr(keep, _field(rule)) for rule in RULES}
    walks = [RULES[rule](rule, setting, timeline) for rule, setting in settings.items() if setting]
    return zip(*walks, strict=True)


# --- The guards: what stays even if no rule keeps it ---------------------------------------------


def _guards(floor: Floor, timeline: Timeline) -> Iterator[list[Verdict]]:
    newest_past = 0
    young = floor.age.before(timeline.now, timeline.zone) if floor.age and timeline.now else None
    for index, point in enumerate(timeline.points):
        reasons = []
        past = _is_past(point, timeline.now)
        newest_past += past
        if index == 0:
            reasons.append(Verdict("newest", "the newest completed one is always kept", keeps=True))
        elif past and newest_past == 1:
            words = "the newest completed one that is not in the future is always kept"
            reasons.append(Verdict("newest", words, keeps=True))
        if past and newest_past <= floor.count:
            words = f"number {newest_past} of the {floor.count} that the floor keeps"
            reasons.append(Verdict("floor-count", words, keeps=True))
        if young and point.created_at > young:
            words = f"younger than the floor of {floor.age}"
            reasons.append(Verdict("floor-age", words, keeps=True))
        yield reasons
