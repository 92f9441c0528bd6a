"""The limits on manual snapshots of databases, seen coming. Pure.

AWS lets an account keep 100 manual snapshots of DB instances in a Region, and as many of clusters,
whoever made them, unless it is asked for more; the next one is refused. Here that day is foreseen:
from what the plans come to keep (steady.py), what they have now, and what others use.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

from watchkeeper.backups.model import Finding, Gap, Kind, RecoveryPoint, Target

if TYPE_CHECKING:  # what reads policies and schedules costs 20 ms of a cold start
    from watchkeeper.backups.steady import Course
    from watchkeeper.policy import BackupsPolicy

CODES = {Kind.DATABASE: "L-272F1212", Kind.CLUSTER: "L-9B510759"}
"""The limits in Service Quotas: "Manual DB instance snapshots" and "Manual DB cluster snapshots".
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Limits.html
"""

WHAT = {
    Kind.DATABASE: "manual snapshots of RDS instances",
    Kind.CLUSTER: "manual snapshots of clusters",
}

TIGHT = 80
"""Percent of a limit from which on somebody should know: AWS can take days to raise it."""

SOON = timedelta(days=14)
"""How far ahead is alarmed about: AWS has answered by then, and whoever asks it is back from leave.
"""

FARTHEST = timedelta(days=3650)
"""How far ahead is looked at all."""

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Quota:
    """One limit of an account in a Region, and how much of it is used, by whomever."""

    what: str
    used: int
    most: int


class Held(NamedTuple):
    """What a plan has of one kind."""

    databases: int
    """How many it will go on backing up."""
    points: int
    """Recovery points that exist now."""


@dataclass(frozen=True)
class Forecast:
    """Of one limit. One that could not be read is said to be used up, and not known: an alarm that
    stays quiet would say that there is room.
    """

    what: str
    why: str
    """A sentence, with the remedy if there is need of one."""
    is_known: bool = False
    used: int = 0
    most: int = 0
    soon: int = 0
    """Most in use until `SOON` has passed."""
    needed: int = 0
    """Most in use in the long run: ours, and what others have now."""
    reached: datetime | None = None
    """The day on which a snapshot will first be refused, at the present pace, if it will be."""

    @property
    def percent_in_the_long_run(self) -> float:
        return self._percent(self.needed)

    @property
    def percent(self) -> float:
        """What is alarmed about: the larger of now and soon."""
        return self._percent(max(self.used, self.soon))

    @property
    def is_tight(self) -> bool:
        return max(self.percent, self.percent_in_the_long_run) > TIGHT

    def _percent(self, count: int) -> float:
        return 100 * count / self.most if self.is_known else 100.0


def quota_used(forecasts: Iterable[Forecast]) -> float:
    """The metric DatabaseSnapshotQuotaUsed: percent, of the limit that is nearest to its end."""
    return max((forecast.percent for forecast in forecasts), default=0.0)


def findings(forecasts: Iterable[Forecast]) -> list[Finding]:
    """What the report says of limits that are near, or could not be read."""
    return [
        Finding("", one.what, Gap.LIMIT if one.is_known else Gap.UNKNOWN, one.why)
        for one in forecasts
        if one.is_tight
    ]


def held_by_plan(
    targets: Mapping[str, Iterable[Target]], points: Iterable[RecoveryPoint]
) -> dict[Kind, dict[str, Held]]:
    """What each plan has of databases and of clusters; empty if none has any."""
    databases = Counter((one.kind, plan) for plan, some in targets.items() for one in some)
    snapshots = Counter((point.kind, point.plan) for point in points)
    held: dict[Kind, dict[str, Held]] = {}
    for kind, plan in sorted({*databases, *snapshots}):
        if kind in CODES:
            one = Held(databases[kind, plan], snapshots[kind, plan])
            held.setdefault(kind, {})[plan] = one
    return held


def forecasts(
    quotas: Mapping[Kind, Quota],
    held: Mapping[Kind, Mapping[str, Held]],
    policy: "BackupsPolicy",
    now: datetime,
    problem: str = "RDS does not show it",
) -> list[Forecast]:
    """Of both limits, given what each plan has of each kind. `problem` says why one is missing."""
    return [
        forecast(kind, quotas.get(kind), held.get(kind, {}), policy, now, problem) for kind in CODES
    ]


def forecast(
    kind: Kind,
    quota: Quota | None,
    held: Mapping[str, Held],
    policy: "BackupsPolicy",
    now: datetime,
    problem: str = "RDS does not show it",
) -> Forecast:
    """How the limit of one kind stands against what the plans have of it, and come to."""
    what = quota.what if quota else WHAT[kind]
    if quota is None or quota.most < 1:
        because = f"RDS shows it as {quota.most}" if quota else problem
        remedy = f"look in Service Quotas, service rds, quota {CODES[kind]}"
        return Forecast(what, f"their limit is unknown because {because}; {remedy}")
    ours = _courses(held, policy, now)
    have = sum(one.points for one in held.values())
    others = max(quota.used - have, 0)  # RDS may be late to count what was just made

    def used_after(days: int) -> int:
        return others + sum(course.after(days) for course in ours.values())

    known = Forecast(
        what,
        why="",
        is_known=True,
        used=others + have,
        most=quota.most,
        soon=used_after(SOON.days),
        needed=others + sum(course.in_the_long_run for course in ours.values()),
        reached=_reached(quota, used_after, now),
    )
    return replace(known, why=_sentence(known, CODES[kind], others, ours))


def _courses(
    held: Mapping[str, Held], policy: "BackupsPolicy", now: datetime
) -> "dict[str, Course]":
    from watchkeeper.backups.steady import Course  # noqa: PLC0415 (as above)

    return {
        plan: Course.of(policy.plans.get(plan), *one, policy.removal.when, now)
        for plan, one in sorted(held.items())
        if any(one)
    }


def _reached(quota: Quota, used_after: Callable[[int], int], now: datetime) -> datetime | None:
    if quota.used >= quota.most:
        return now
    days = bisect_left(range(FARTHEST.days + 1), quota.most + 1, key=used_after)
    return now + days * DAY if days <= FARTHEST.days else None


def _sentence(known: Forecast, code: str, others: int, ours: "Mapping[str, Course]") -> str:
    stands = f"{known.used} of {known.most} are used, and {known.needed} will be in the long run"
    if not known.is_tight:
        return f"{stands}: there is room"
    day = known.reached
    when = f"; at this pace the limit is reached on {day:%Y-%m-%d}" if day else ""
    largest = sorted(ours, key=lambda plan: -ours[plan].in_the_long_run)
    keep = [f"{plan} comes to {ours[plan].words}" for plan in largest]
    if others:
        keep.append(f"{others} are not of this stack")
    room = ceil(max(known.used, known.needed) / TIGHT * 100 / 10) * 10
    return (
        f"{stands}{when}; ask for {room} in Service Quotas (service rds, quota {code}) or keep"
        f" fewer: {', '.join(keep)}"
    )
