"""The operator's policy of drills: how often what is proved, for how much money.

The operator writes it as JSON into one parameter of the Parameter Store; `docs/policy-of-drills.md`
is their page. No parameter means the default below. `watchkeeper.policy_text` says what becomes of
a text that does not parse, or that would be dangerous.

Nothing here reads AWS or the clock: text in, decision out.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from functools import cache, lru_cache
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    StrictInt,
    model_validator,
)

from watchkeeper.drills.due import READING
from watchkeeper.drills.model import CAPABILITY, Level, Questioned
from watchkeeper.drills.questions import EXAMPLE, DatabaseQuestions, Number
from watchkeeper.durations import Duration
from watchkeeper.policy_text import (
    Dangers,
    NameOfPlan,
    OneLine,
    Policy,
    PolicyDecision,
    Problem,
    read_policy,
    which_policy,
    whole_hours,
)
from watchkeeper.schedules import (
    MEASURED_FROM,
    MEASURED_UNTIL,
    Schedule,
    check_expression,
    check_zone,
    longest_gap,
    occurrences,
)

# What auditors ask for at the least: a plan that tests a resource less often than once a year does
# not test it. Leap years have a day more.
LONGEST_INTERVAL = timedelta(days=366)

# A recovery that is meant to take longer is a rebuild; and an m is a month, which is how "30m" for
# minutes is found out.
LONGEST_RTO = timedelta(days=30)

# Half of the DB instances that an account may have in a Region before it asks for more (40, those
# in production included), and less than the 50 tables that DynamoDB restores at the same time.
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Limits.html
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_RestoreTableFromBackup.html
MOST_AT_ONCE = 20

# More is a slip of the keyboard: a drill of a large database for a day costs less.
MOST_USD = 10_000

# What fits into the parameter's 8 KB is fewer; the numbers keep one part from taking all of it.
MOST_PLANS = 20
MOST_WINDOWS = 20
MOST_CHECKS = 50
MOST_ADDRESSES = 10

# What is longer is not a pause any more: schedule the choice to miss it.
LONGEST_WINDOW = timedelta(days=62)

# The hour that autumn adds to a day. An interval of a day means a daily choice in any zone.
CLOCK_CHANGE = timedelta(hours=1)

# What pydantic's words mean here.
PLAIN_WORDS = {
    "too_short": "this is empty: write at least one item, or leave the field out",
    "too_long": "there are too many items here: merge those that are alike",
    "string_too_long": "this text is too long: shorten it",
}

DEFAULT_DRILLS_POLICY: Final[dict[str, Any]] = {
    "version": 1,
    # People are there when something fails, and the night's backups have completed.
    "schedule": "0 9 * * *",
    "zone": "UTC",
    "every": {
        "metadata": "1d",  # costs nothing
        "blocks": "7d",  # costs less than a cent
        "restore": "30d",
        "check": "30d",
        "exercise": "365d",  # takes a person's day; without anybody in sign_off, none is begun
    },
    "rto": "24h",
    # What each plan of the default backups policy promises by its name.
    "plans": {"gold": {"rto": "4h"}, "silver": {"rto": "8h"}, "bronze": {"rto": "24h"}},
    # Three small databases at a time, 40 in a month.
    "budget": {"at_once": 3, "per_run_usd": 5, "per_month_usd": 25},
    "older_points": 3,
    "closed": [],
    "checks": [],
    "sign_off": [],
}


def _interval(value: object) -> "Duration | Literal['never']":
    match value:
        case Duration():
            return value
        case "never":
            return "never"
        case str() if duration := Duration.parse(value):
            return duration
    raise ValueError('this is no interval: write a duration such as "30d", or "never"')


def _interval_or_none(value: object) -> "Duration | Literal['never'] | None":
    return None if value is None else _interval(value)


def _rto(duration: Duration) -> Duration:
    if not timedelta() < duration.approximate() <= LONGEST_RTO:
        raise ValueError(
            f"{duration} is not between an hour and {LONGEST_RTO.days} days: write how long a"
            ' recovery may take, such as "4h" (an m is a month in this policy)'
        )
    return duration


def _pause(duration: Duration) -> Duration:
    if not timedelta() < duration.approximate() <= LONGEST_WINDOW:
        raise ValueError(
            f"{duration} is not between an hour and {LONGEST_WINDOW.days} days: write how long"
            ' nothing may be restored, such as "12h" or "14d"'
        )
    return duration


def _usd(amount: float) -> float:
    if not 0 <= amount <= MOST_USD:
        raise ValueError(
            f"this is not between 0 and {MOST_USD}: write an amount in USD, such as 25"
        )
    return amount


def _address(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", text):
        raise ValueError('this is no address: write one such as "ops@example.com"')
    return text


Interval = Annotated[Duration | Literal["never"], PlainValidator(_interval), PlainSerializer(str)]
Inherited = Annotated[
    Duration | Literal["never"] | None,
    PlainValidator(_interval_or_none),
    PlainSerializer(lambda value: None if value is None else str(value)),
]
Rto = Annotated[Duration, AfterValidator(_rto)]


Usd = Annotated[Number, AfterValidator(_usd)]


class Every(Policy):
    """How often each protected resource is drilled at which level; `never` switches one off."""

    metadata: Interval = Field(default=Duration(days=1), examples=["1d"])
    blocks: Interval = Field(default=Duration(days=7), examples=["7d"])
    restore: Interval = Field(default=Duration(days=30), examples=["30d"])
    check: Interval = Field(default=Duration(days=30), examples=["30d"])
    exercise: Interval = Field(default=Duration(days=365), examples=["365d"])


class EveryOfPlan(Policy):
    """The same for the resources of one backup plan; what is left out is as for all."""

    metadata: Inherited = Field(default=None, examples=["1d"])
    blocks: Inherited = Field(default=None, examples=["7d"])
    restore: Inherited = Field(default=None, examples=["30d"])
    check: Inherited = Field(default=None, examples=["14d"])
    exercise: Inherited = Field(default=None, examples=["365d"])


class PlanDrills(Policy):
    """What holds for the resources of one backup plan."""

    every: EveryOfPlan = Field(default_factory=EveryOfPlan, examples=[{"check": "14d"}])
    rto: Rto | None = Field(default=None, examples=["4h"])
    """How long a recovery may take."""


class Budget(Policy):
    """What drills may use. Estimates count, as they stand before anything is asked for."""

    at_once: StrictInt = Field(default=3, ge=0, le=MOST_AT_ONCE, examples=[3])
    """Most drills that have something restored at the same time."""
    per_run_usd: Usd = Field(default=5, examples=[5])
    """Most that the drills of one choice may cost together."""
    per_month_usd: Usd = Field(default=25, examples=[25])
    """Most that the drills begun in any 30 days may cost together."""


class Window(Policy):
    """A time in which nothing may be restored; what only reads goes on."""

    opens: Annotated[str, AfterValidator(check_expression)] = Field(examples=["0 0 18 12 *"])
    """When it begins: five cron fields, read in the policy's zone."""
    lasts: Annotated[Duration, AfterValidator(_pause)] = Field(examples=["16d"])
    why: OneLine = Field(default="", max_length=200, examples=["Nothing changes at year's end"])
    """For people; shown in what is put off."""


class DrillsPolicy(Policy):
    """The whole policy. One that exists is safe to act on."""

    version: Literal[1] = Field(default=1, examples=[1])
    """Of this format."""
    schedule: Annotated[str, AfterValidator(check_expression)] = Field(
        default="0 9 * * *", examples=["0 9 * * *"]
    )
    """When drills are chosen and begun: five cron fields, read in `zone`."""
    zone: Annotated[str, AfterValidator(check_zone)] = Field(
        default="UTC", examples=["Europe/Amsterdam"]
    )
    every: Every = Field(default_factory=Every, examples=[{"check": "14d"}])
    rto: Rto = Field(default=Duration(hours=24), examples=["24h"])
    """How long a recovery may take, where the resource's plan says nothing else."""
    plans: dict[NameOfPlan, PlanDrills] = Field(
        default_factory=dict, max_length=MOST_PLANS, examples=[{"gold": {"rto": "4h"}}]
    )
    """By name of the backup plan."""
    budget: Budget = Field(default_factory=Budget, examples=[{"at_once": 3, "per_month_usd": 25}])
    older_points: StrictInt = Field(default=3, ge=2, le=30, examples=[3])
    """Every how-many-eth drill of a resource takes an old or random recovery point, or the copy in
    another Region or the archive, instead of the newest."""
    closed: tuple[Window, ...] = Field(
        default=(), max_length=MOST_WINDOWS, examples=[[{"opens": "0 0 18 12 *", "lasts": "16d"}]]
    )
    checks: tuple[DatabaseQuestions, ...] = Field(
        default=(),
        max_length=MOST_CHECKS,
        examples=[[EXAMPLE]],
    )
    sign_off: tuple[Annotated[str, AfterValidator(_address)], ...] = Field(
        default=(), max_length=MOST_ADDRESSES, examples=[["ops@example.com"]]
    )
    """Who may sign off an exercise; without anybody, none is begun."""

    @property
    def when(self) -> Schedule:
        return Schedule(self.schedule, self.zone)

    def interval(self, plan: str, level: Level) -> timedelta | None:
        """How often a resource of a backup plan is drilled at a level; None for never."""
        own = getattr(self.plans[plan].every, level.value) if plan in self.plans else None
        interval = own if own is not None else getattr(self.every, level.value)
        return interval.approximate() if isinstance(interval, Duration) else None

    def objective(self, plan: str) -> timedelta:
        """How long a recovery of a resource of a backup plan may take: its RTO."""
        own = self.plans[plan].rto if plan in self.plans else None
        return (own or self.rto).approximate()

    def questions(self, arn: str, tags: Mapping[str, str]) -> list[Questioned]:
        """What to ask a database."""
        return [
            Questioned(asked.database, **question.model_dump())
            for asked in self.checks
            if asked.are_for(arn, tags)
            for question in asked.queries
        ]

    def closed_by(self, at: datetime) -> Window | None:
        """The window that forbids restores at a moment, if any."""
        for window in self.closed:
            opens = Schedule(window.opens, self.zone)
            if occurrences(opens, at - window.lasts.approximate(), at):
                return window
        return None

    def without_closed(self, times: Sequence[datetime]) -> Sequence[datetime]:
        """Of some moments, sorted, those at which something may be restored."""
        for window in self.closed if times else ():
            lasts = window.lasts.approximate()
            opens = Schedule(window.opens, self.zone)
            opened = occurrences(opens, times[0] - lasts, times[-1])
            times = [
                at
                for at in times
                if (index := bisect_right(opened, at)) == 0 or at - opened[index - 1] >= lasts
            ]
            if not times:
                break
        return times

    @model_validator(mode="after")
    def _refuse_dangers(self) -> Self:
        dangers = [*_dangers_of_intervals(self), *_dangers_of_budget(self)]
        if dangers:
            raise Dangers(dangers)
        return self


def decide_drills_policy(
    stored_text: str | None, last_good: str | None
) -> PolicyDecision[DrillsPolicy]:
    """Which policy is in force, given the parameter's text and the last text that was accepted.

    `None` means that there is none; what could not be read must not be passed as `None`.
    """
    return which_policy(stored_text, last_good, parse_drills_policy, default_drills_policy)


@cache
def default_drills_policy() -> DrillsPolicy:
    """The policy of an operator who wrote none."""
    return DrillsPolicy.model_validate(DEFAULT_DRILLS_POLICY)


@lru_cache(maxsize=4)  # every sweep reads the same text; two are in play while it changes
def parse_drills_policy(text: str) -> DrillsPolicy:
    """Read the operator's JSON. Raises `PolicyRefused` with every problem that it has."""
    return read_policy(DrillsPolicy, text, CAPABILITY, PLAIN_WORDS)


# ---------------------------------------------------------------- dangers


def _dangers_of_intervals(policy: DrillsPolicy) -> Iterator[Problem]:
    pause = longest_gap(policy.when)
    open_pause = _longest_pause(policy) if policy.closed else pause
    for plan in ("", *policy.plans):
        own = policy.plans[plan] if plan else None
        at = f"plans.{plan}.every" if plan else "every"
        intervals = {level: policy.interval(plan, level) for level in Level}
        if not any(intervals.values()):
            yield Problem(
                at,
                "every level is off, so nothing would ever be proved",
                'write at least "metadata": "1d", which costs nothing',
            )
        for level, interval in intervals.items():
            is_own = own is None or getattr(own.every, level.value) is not None
            place = f"{at}.{level.value}"
            if interval and is_own:  # what is inherited is judged once, where it is written
                shortest = pause if level in READING else open_pause
                yield from _dangers_of_interval(place, interval, shortest)
            if interval and level not in READING and (is_own or (own and own.rto)):
                yield from _dangers_of_rto(place, interval, policy.objective(plan))


def _dangers_of_interval(place: str, interval: timedelta, pause: timedelta) -> Iterator[Problem]:
    if interval > LONGEST_INTERVAL:
        yield Problem(
            place,
            f"{whole_hours(interval)} is longer than a year: nobody would call that tested",
            'write at most "365d", or "never"',
        )
    if interval < pause - CLOCK_CHANGE:
        longer = f'write at least "{whole_hours(pause)}", ' if pause < LONGEST_INTERVAL else ""
        yield Problem(
            place,
            f"{whole_hours(interval)} is shorter than the {whole_hours(pause)} that can pass"
            " between two choices that may begin it, so it would be missed on schedule",
            f"{longer}choose more often, or shorten what is closed",
        )


def _dangers_of_rto(place: str, interval: timedelta, rto: timedelta) -> Iterator[Problem]:
    if interval <= rto:
        yield Problem(
            place,
            f"{whole_hours(interval)} is not longer than the rto, {whole_hours(rto)}, which one"
            " drill alone may take",
            f'write for example "{whole_hours(2 * rto)}", or a shorter rto',
        )


def _longest_pause(policy: DrillsPolicy) -> timedelta:
    """The longest time between two choices that may restore something."""
    first = datetime.combine(MEASURED_FROM, time(), UTC)
    last = datetime.combine(MEASURED_UNTIL, time(), UTC)
    times = policy.without_closed(occurrences(policy.when, first, last))
    # From the beginning to the end, so that what is closed for good has no choice at all.
    return max(b - a for a, b in pairwise([first, *times, last]))


def _dangers_of_budget(policy: DrillsPolicy) -> Iterator[Problem]:
    budget = policy.budget
    on = {
        level
        for plan in ("", *policy.plans)
        for level in Level
        if level is not Level.METADATA and policy.interval(plan, level)
    }
    if not on:
        return
    for field, levels in (
        ("at_once", on - READING),
        ("per_run_usd", on),
        ("per_month_usd", on),
    ):
        if levels and getattr(budget, field) == 0:
            named = ", ".join(level.value for level in Level if level in levels)
            yield Problem(
                f"budget.{field}",
                f"0 would put off for good what is to be drilled ({named})",
                'write 1 or more, or "never" in "every" for these levels',
            )
    if budget.per_run_usd > budget.per_month_usd:
        yield Problem(
            "budget.per_run_usd",
            f"{budget.per_run_usd} is more than per_month_usd, {budget.per_month_usd}, allows",
            f"write at most {budget.per_month_usd}, or raise per_month_usd",
        )
