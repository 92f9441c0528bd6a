"""The operator's policy: what is backed up when, kept how long, and how much a run may remove.

The operator writes it as JSON into one parameter of the Parameter Store; `docs/policy.md` is their
page. No parameter means the default below. A text that does not parse, or that would be dangerous,
is refused whole, with every problem named at once; the last good policy then stays in force.

Nothing here reads AWS or the clock: text in, decision out.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from functools import cache, lru_cache
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    StrictInt,
    model_validator,
)

from watchkeeper.backups.model import CAPABILITY
from watchkeeper.backups.retention import ALL, Floor, Keep
from watchkeeper.durations import Duration
from watchkeeper.policy_text import (
    Dangers,
    Lasting,
    NameOfPlan,
    OneLine,
    Policy,
    PolicyDecision,
    PolicyRefused,
    Problem,
    TagKey,
    policy_digest,
    read_policy,
    which_policy,
    whole_hours,
)
from watchkeeper.quoting import quoted
from watchkeeper.schedules import (
    LONGEST_PAUSE,
    Schedule,
    check_expression,
    check_zone,
    longest_gap,
)

__all__ = ["PolicyRefused", "policy_digest"]

# Each plan has its own nightly run and its own metrics, which cost money. Past this many, plans
# have become a list of resources, which is what the tag is for.
MOST_PLANS = 20

# Systems Manager allows 128 characters. The role may run no document that is not named so: with
# AWS-RunShellScript, which runs whatever it is given, a policy would be a root shell everywhere.
DOCUMENT = re.compile(r"watchkeeper-[a-zA-Z0-9_.-]{1,116}")

# Systems Manager takes a second or two to reach an instance and to hear back, so what is shorter
# than five seconds would be called failed on a good day.
SHORTEST_SCRIPT = timedelta(seconds=5)

# What the pre script has stopped stands still until the post script has run, and so may whoever
# uses it: past ten minutes, that is an outage and not a backup.
LONGEST_SCRIPT = timedelta(minutes=10)

# What pydantic's words mean here.
PLAIN_WORDS = {
    "too_short": "there is no plan, so nothing would be backed up",
    "too_long": f"there are more than {MOST_PLANS} plans: merge those that are alike",
}

DEFAULT_BACKUPS_POLICY: Final[dict[str, Any]] = {
    "version": 1,
    "choose_by": "backup-plan",
    "plans": {
        # Production data: at most a working day is lost. Two days in full for "what was it like
        # before the deploy", two weeks of days, two months of weeks, a year of month ends.
        "gold": {
            "description": "Production: every six hours, kept for a year",
            "schedule": "0 */6 * * *",
            "zone": "UTC",
            "rpo": "8h",  # six hours between two starts, and two for the snapshots to complete
            "keep": {"within": "2d", "daily": 14, "weekly": 8, "monthly": 12},
            "floor": {"count": 4, "age": "1d"},
            # A database that it is off for loses six hours more than it needs to.
            "point_in_time": "expected",
        },
        # What could be rebuilt, with pain: once a night, when few people work.
        "silver": {
            "description": "Internal systems: every night, kept for half a year",
            "schedule": "0 2 * * *",
            "zone": "UTC",
            "rpo": "26h",  # a day, and two hours for the snapshots to complete
            "keep": {"daily": 14, "weekly": 8, "monthly": 6},
            "floor": {"count": 3, "age": "2d"},
        },
        # What changes rarely: on Sunday, so that Monday's mistakes have a fresh copy before them.
        "bronze": {
            "description": "Development: every week, kept for three months",
            "schedule": "0 3 * * SUN",
            "zone": "UTC",
            "rpo": "8d",  # a week, and a day for somebody to repeat a failed run
            "keep": {"weekly": 8, "monthly": 3},
            "floor": {"count": 2, "age": "7d"},
        },
    },
    "removal": {
        "schedule": "0 6 * * *",  # after the night's backups, before people come in
        "zone": "UTC",
        # Two days' worth for 100 resources on gold (four a day each) and some to spare, so that a
        # missed day is caught up, and a slip in the policy stops before a fleet's history is gone.
        "cap": 1000,
        # EBS refuses a volume's sixth snapshot while five failed ones of it are there: at four a
        # day, a longer stay would go on refusing after the cause of the failures is mended.
        "failed_after": "1d",
    },
}


def _name_of_document(name: str) -> str:
    if not DOCUMENT.fullmatch(name):
        raise ValueError(
            "this is no document that may be run: write the name, not the ARN, of one of yours that"
            ' begins with "watchkeeper-", such as "watchkeeper-postgresql"'
        )
    return name


def _script_time(value: object) -> timedelta:
    time = value if isinstance(value, timedelta) else _read_script_time(value)
    if not SHORTEST_SCRIPT <= time <= LONGEST_SCRIPT:
        raise ValueError(
            f'{_script_time_text(time)} is not between "{_script_time_text(SHORTEST_SCRIPT)}" and'
            f' "{_script_time_text(LONGEST_SCRIPT)}": write less than a database may stand still,'
            ' such as "2min"'
        )
    return time


def _read_script_time(value: object) -> timedelta:
    parts = re.fullmatch("([0-9]{1,5})(s|min)", value) if isinstance(value, str) else None
    if not parts:
        raise ValueError(
            "this is no time for a script: write seconds or minutes in double quotes, such as"
            ' "90s" or "2min" (an m alone is a month in this policy)'
        )
    return timedelta(**{{"s": "seconds", "min": "minutes"}[parts[2]]: int(parts[1])})


def _script_time_text(time: timedelta) -> str:
    minutes, seconds = divmod(int(time.total_seconds()), 60)
    return f"{minutes * 60 + seconds}s" if seconds or not minutes else f"{minutes}min"


class Scripts(Policy):
    """What runs on an EC2 instance around its snapshots, so that applications are at rest in them.

    docs/application-consistency.md says when that is worth it.
    """

    document: Annotated[str, AfterValidator(_name_of_document)] = Field(
        examples=["watchkeeper-postgresql"]
    )
    """The operator's SSM Command document. It is run with `command` = `pre-script` before and
    `post-script` after, and with an `executionId`: as Data Lifecycle Manager runs its own."""
    timeout: Annotated[
        timedelta, PlainValidator(_script_time), PlainSerializer(_script_time_text)
    ] = Field(default=timedelta(minutes=2), examples=["2min"])
    """How long the pre script may take. Two minutes: what Data Lifecycle Manager gives at most."""


class Plan(Policy):
    """What a resource gets that carries the plan's name as its tag."""

    description: OneLine = Field(
        default="", max_length=200, examples=["Production: every six hours"]
    )
    """For people; shown in reports."""
    schedule: Annotated[str, AfterValidator(check_expression)] = Field(examples=["0 2 * * *"])
    """When a recovery point is made: five cron fields, read in `zone`."""
    zone: Annotated[str, AfterValidator(check_zone)] = Field(
        default="UTC", examples=["Europe/Amsterdam"]
    )
    """The IANA zone of the schedule, and of the days and months that `keep` counts."""
    rpo: Lasting = Field(examples=["26h"])
    """How old the newest completed recovery point may become before someone is told."""
    keep: Keep = Field(examples=[{"daily": 14, "weekly": 8}])
    """Which recovery points stay."""
    floor: Floor = Field(default=Floor(count=3), examples=[{"count": 3, "age": "2d"}])
    """What stays whatever `keep` says. Three: the newest, the one before, and one to compare."""

    point_in_time: Literal["optional", "expected", "enable"] = Field(
        default="optional", examples=["expected"]
    )
    """Whether databases and tables must have point-in-time recovery on: `expected` reports those
    that have not, `enable` also switches it on for DynamoDB tables. Never for RDS: going from no
    retention to some takes a database down for a moment, which is for a person to time."""
    scripts: Scripts | None = Field(
        default=None, examples=[{"document": "watchkeeper-postgresql", "timeout": "2min"}]
    )
    """What to run on EC2 instances around their snapshots, if anything."""

    @property
    def when(self) -> Schedule:
        return Schedule(self.schedule, self.zone)

    @model_validator(mode="after")
    def _refuse_dangers(self) -> Self:
        if dangers := [*_dangers_of_rpo(self), *_dangers_of_retention(self)]:
            raise Dangers(dangers)
        return self


class Removal(Policy):
    """How recovery points that no rule keeps are removed."""

    schedule: Annotated[str, AfterValidator(check_expression)] = Field(
        default="0 6 * * *", examples=["0 6 * * *"]
    )
    """When retention is applied: five cron fields, read in `zone`."""
    zone: Annotated[str, AfterValidator(check_zone)] = Field(
        default="UTC", examples=["Europe/Amsterdam"]
    )
    cap: StrictInt = Field(default=1000, ge=1, le=100_000, examples=[1000])
    """Most recovery points removed by one run. If more are due, none is removed and a person is
    paged."""
    failed_after: Lasting = Field(default=Duration(days=1), examples=["1d"])
    """Age at which recovery points that never completed are removed."""

    @property
    def when(self) -> Schedule:
        return Schedule(self.schedule, self.zone)


class BackupsPolicy(Policy):
    """The whole policy. One that exists is safe to act on."""

    version: Literal[1] = Field(default=1, examples=[1])
    """Of this format."""
    choose_by: TagKey = Field(default="backup-plan", examples=["backup-plan"])
    """The tag by which a resource names its plan, or `none`."""
    plans: dict[NameOfPlan, Plan] = Field(
        min_length=1,
        max_length=MOST_PLANS,
        examples=[{"silver": {"schedule": "0 2 * * *", "rpo": "26h", "keep": {"daily": 14}}}],
    )
    removal: Removal = Field(default_factory=Removal, examples=[{"cap": 1000}])


def decide_policy(stored_text: str | None, last_good: str | None) -> PolicyDecision[BackupsPolicy]:
    """Which policy is in force, given the parameter's text and the last text that was accepted.

    `None` means that there is none; what could not be read must not be passed as `None`.
    """
    return which_policy(stored_text, last_good, parse_backups_policy, default_backups_policy)


@cache
def default_backups_policy() -> BackupsPolicy:
    """The policy of an operator who wrote none."""
    return BackupsPolicy.model_validate(DEFAULT_BACKUPS_POLICY)


@lru_cache(maxsize=4)  # every tick and sweep reads the same text; two are in play while it changes
def parse_backups_policy(text: str) -> BackupsPolicy:
    """Read the operator's JSON. Raises `PolicyRefused` with every problem that it has."""
    return read_policy(BackupsPolicy, text, CAPABILITY, PLAIN_WORDS)


# ---------------------------------------------------------------- dangers


def _dangers_of_rpo(plan: Plan) -> Iterator[Problem]:
    rpo, gap = plan.rpo.approximate(), longest_gap(plan.when)
    if rpo < gap:
        yield Problem(
            "rpo",
            f"{plan.rpo} is shorter than the {whole_hours(gap)} that can pass between two runs of"
            f" {quoted(plan.schedule)} in {plan.zone}, so it would be missed on schedule",
            f'write at least "{whole_hours(gap)}", better some hours more for the backup to'
            " complete, or run more often",
        )
    if rpo > LONGEST_PAUSE:
        yield Problem(
            "rpo",
            f"{plan.rpo} is longer than {LONGEST_PAUSE.days} days: nobody would be told for years",
            f'write the age at which a missing backup matters, such as "{whole_hours(2 * gap)}"',
        )


def _dangers_of_retention(plan: Plan) -> Iterator[Problem]:
    reach = _reach(plan.keep, longest_gap(plan.when))
    if reach < plan.rpo.approximate():
        yield Problem(
            "keep",
            f"these rules reach back about {whole_hours(reach)}, less than the rpo of {plan.rpo}:"
            " after one bad backup there may be none to go back to",
            'keep more, for example "last": 3 or "daily": 14'
            " (tags alone keep no recovery point that is made on schedule)",
        )
    if plan.floor.count < 1:
        yield Problem(
            "floor.count",
            "0 would let the last good recovery point be removed",
            "write 1 or more, or leave the whole floor out for the default of 3",
        )


def _reach(keep: Keep, gap: timedelta) -> timedelta:
    """How far back the rules keep recovery points that are made every `gap`, about."""
    counts = (
        (keep.last, gap),
        (keep.hourly, timedelta(hours=1)),
        (keep.daily, timedelta(days=1)),
        (keep.weekly, timedelta(weeks=1)),
        (keep.monthly, timedelta(days=30)),
        (keep.yearly, timedelta(days=365)),
    )
    spans = (
        keep.within,
        keep.within_hourly,
        keep.within_daily,
        keep.within_weekly,
        keep.within_monthly,
        keep.within_yearly,
    )
    if any(count == ALL for count, _ in counts):
        return timedelta.max
    # No more than 100,000 of anything: a century of hours, and far from overflowing.
    by_count = [min(count, 100_000) * max(period, gap) for count, period in counts]
    return max([*by_count, *(span.approximate() for span in spans if span is not None)])
