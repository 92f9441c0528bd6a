"""Which nights are due, and which plans did not do as they promise. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from watchkeeper import naming
from watchkeeper.backups.coverage import hours
from watchkeeper.backups.model import Standing
from watchkeeper.policy import BackupsPolicy
from watchkeeper.schedules import Schedule, occurrences

START_GRACE = timedelta(minutes=45)
"""A night that has not started three ticks after its time is overdue: one may be lost, one more may
be late.
"""


@dataclass(frozen=True)
class DueNight:
    plan: str
    occurrence: datetime
    missed: int = 0
    """Earlier occurrences that nobody started; the past cannot be backed up any more, so only the
    last one runs.
    """


def due_nights(
    policy: BackupsPolicy, started: Mapping[str, datetime], since: datetime, now: datetime
) -> list[DueNight]:
    """The nights to start: per plan the last occurrence not yet started, if any.

    `since` is when the policy came into force: nobody is owed what it would have asked for before
    that.
    """
    nights = []
    for name, plan in policy.plans.items():
        passed = due_occurrences(plan.when, started.get(name), since, now)
        if passed:
            nights.append(DueNight(name, passed[-1], missed=len(passed) - 1))
    return nights


LOOK_BACK = timedelta(days=31)
"""A stack that slept longer starts as if it had been new: counting a year of missed nights helps
nobody.
"""


def due_occurrences(
    when: Schedule, last: datetime | None, since: datetime, now: datetime
) -> list[datetime]:
    """Occurrences that have come and were not started, oldest first."""
    after = max(at for at in (last, since, now - LOOK_BACK) if at is not None)
    return occurrences(when, after, now) if after < now else []


@dataclass(frozen=True)
class Overdue:
    plan: str
    why: str


def overdue(
    policy: BackupsPolicy, standings: Mapping[str, Standing], since: datetime, now: datetime
) -> list[Overdue]:
    """Plans that did not do as they promise. Silence is a failure, not knowing is not fine."""
    late = []
    for name, plan in policy.plans.items():
        stands = standings.get(name, Standing())
        objective = plan.rpo.approximate()
        missed = due_occurrences(plan.when, stands.started, since, now - START_GRACE)
        first = occurrences(plan.when, since, now)[:1]
        if missed:
            late.append(Overdue(name, f"the night of {naming.minute(missed[-1])} has not started"))
        elif stands.reported is None:
            if first and now - first[0] > objective:
                late.append(
                    Overdue(name, f"no night has been reported since {naming.minute(first[0])}")
                )
        elif stands.targets and stands.oldest is None:
            late.append(Overdue(name, "a protected resource has no recovery point at all"))
        elif stands.oldest and now - stands.oldest > objective:
            age = hours(now - stands.oldest)
            late.append(
                Overdue(name, f"the worst-off resource's newest recovery point is {age} old")
            )
    return late
