"""How a plan stands after its night: who can be restored as promised, and who cannot. Pure."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from watchkeeper.backups.model import (
    ABOUT_NO_RESOURCE,
    ACCEPTED,
    APPLICATION,
    Coverage,
    Finding,
    Gap,
    Kind,
    RecoveryPoint,
    State,
    Target,
)
from watchkeeper.backups.rules import Choice

if TYPE_CHECKING:  # reading a policy costs 20 ms of a cold start, and most wake-ups need none
    from watchkeeper.policy import BackupsPolicy, Plan

HAVE_POINT_IN_TIME = frozenset({Kind.DATABASE, Kind.CLUSTER, Kind.TABLE})
"""Kinds that can be restored to any moment, where that is switched on."""


@dataclass(frozen=True)
class Night:
    """One night of a plan, as coverage is measured after it."""

    plan: str
    occurrence: datetime
    taken: frozenset[str]
    """The ARNs of its targets."""


@dataclass(frozen=True)
class Kept:
    """What can be restored from."""

    ours: Mapping[str, RecoveryPoint]
    """Per resource, our newest completed recovery point."""
    newest: Mapping[str, RecoveryPoint]
    """Per resource, the one with the newest data, whoever keeps it."""
    spans: frozenset[str]
    """The resources that have point-in-time recovery."""
    locked_out: frozenset[str] = frozenset()
    """The resources that have recovery points, all of them under KMS keys that fail."""

    @classmethod
    def of(
        cls,
        ours: Iterable[RecoveryPoint],
        others: Iterable[RecoveryPoint],
        failing: Container[str] = frozenset(),
    ) -> "Kept":
        """`failing` are the ARNs of keys without which nothing can be read."""
        mine, theirs = list(ours), list(others)
        readable = [
            [point for point in some if not any(key in failing for key in point.keys)]
            for some in (mine, [*mine, *theirs])
        ]
        newest = newest_completed(readable[1])
        return cls(
            ours=newest_completed(readable[0]),
            newest=newest,
            spans=frozenset(point.resource for point in theirs if point.until),
            locked_out=frozenset(newest_completed([*mine, *theirs]).keys() - newest.keys()),
        )


def newest_completed(points: Iterable[RecoveryPoint]) -> dict[str, RecoveryPoint]:
    """Per resource, the recovery point with the newest data that can be restored from."""
    newest: dict[str, RecoveryPoint] = {}
    for point in points:
        known = newest.get(point.resource)
        if point.state is State.COMPLETED and (
            known is None or point.newest_data > known.newest_data
        ):
            newest[point.resource] = point
    return newest


def cover(
    policy: "BackupsPolicy",
    night: Night,
    choice: Choice,
    kept: Kept,
    unread: Sequence[Finding],
    now: datetime,
) -> Coverage:
    """How the plan of `night` stands now. `unread` is what could not be found out."""
    targets = choice.targets.get(night.plan, ())
    plan = policy.plans.get(night.plan)
    at_risk = [one for target in targets for one in _at_risk(target, plan, night, kept, now)]
    weaker = [one for target in targets for one in _weaker(target, plan, night, kept)]
    standing = [_as_it_stands(finding, night, kept) for finding in choice.findings]
    findings = (*at_risk, *weaker, *standing, *unread)
    owed = [target.arn for target in targets if target.arn in night.taken]
    moments = [kept.newest[arn].newest_data for arn in owed if arn in kept.newest]
    completed = sum(
        1 for arn in owed if arn in kept.ours and kept.ours[arn].created_at >= night.occurrence
    )
    return Coverage(
        plan=night.plan,
        occurrence=night.occurrence,
        targets=len(targets),
        completed=completed,
        failed=len(owed) - completed,
        oldest=min(moments) if moments and len(moments) == len(owed) else None,
        findings=findings,
        at_risk=tuple(finding for finding in at_risk if finding.resource in night.taken),
        unprotected=sum(1 for one in findings if one.gap not in ACCEPTED | ABOUT_NO_RESOURCE),
    )


def _at_risk(
    target: Target, plan: "Plan | None", night: Night, kept: Kept, now: datetime
) -> list[Finding]:
    """A finding, if it cannot be restored at all, or not to a moment within its objective."""
    point = kept.newest.get(target.arn)
    if point is None:
        is_taken = target.arn in night.taken
        when = "this night took none" if is_taken else "it chose the plan after this night began"
        why = f"{when}; nothing can be restored until the next one completes"
        if target.arn in kept.locked_out:
            why = "all of its recovery points are under KMS keys that fail: nothing can be restored"
        return [Finding(target.arn, target.name, Gap.NO_RECOVERY_POINT, why, night.plan)]
    objective = plan.rpo.approximate() if plan else None
    if objective is None or now - point.newest_data <= objective:
        return []
    age, keeper = hours(now - point.newest_data), f" by {point.keeper}" if point.keeper else ""
    taken_at = f"{point.newest_data:%Y-%m-%d %H:%M} UTC{keeper}"
    why = f"the newest ({taken_at}) is {age} old, the objective is {hours(objective)}"
    return [Finding(target.arn, target.name, Gap.RPO_MISSED, why, night.plan)]


def _weaker(target: Target, plan: "Plan | None", night: Night, kept: Kept) -> list[Finding]:
    """Findings, where it can be restored, but not as its plan asks."""
    found = []
    if (
        plan
        and plan.point_in_time != "optional"
        and target.kind in HAVE_POINT_IN_TIME
        and target.arn not in kept.spans
    ):
        why = f"plan {night.plan} expects it and it is off; {_remedy(target, plan)}"
        found.append(Finding(target.arn, target.name, Gap.NO_POINT_IN_TIME, why, night.plan))
    point = kept.ours.get(target.arn)
    if plan and plan.scripts and target.kind is Kind.INSTANCE and point:
        why = point.consistency or "its newest recovery point is older than the plan's scripts"
        if why != APPLICATION:
            found.append(Finding(target.arn, target.name, Gap.CRASH_CONSISTENT, why, night.plan))
    return found


def _remedy(target: Target, plan: "Plan") -> str:
    if target.kind is not Kind.TABLE:
        # Going from none to some restarts a database: not ours to do at night.
        return "give it a backup retention of a day or more (RDS restarts it for that)"
    if plan.point_in_time == "enable":
        return "it has been asked for and shows after the next night"
    return 'switch it on, or let the plan do so: "point_in_time": "enable"'


def _as_it_stands(finding: Finding, night: Night, kept: Kept) -> Finding:
    """What is stopped is well as long as there is something to restore it from."""
    if finding.gap is not Gap.STOPPED or finding.plan != night.plan:
        return finding
    point = kept.newest.get(finding.resource)
    if point:
        taken_at = f"{point.newest_data:%Y-%m-%d %H:%M} UTC"
        why = f"{finding.why}. Its newest recovery point is of {taken_at}"
        return Finding(finding.resource, finding.name, Gap.STOPPED, why, finding.plan)
    why = f"it is stopped: {finding.why}. Start it once, so that a night can take it"
    return Finding(finding.resource, finding.name, Gap.NO_RECOVERY_POINT, why, finding.plan)


def hours(span: timedelta) -> str:
    hours, minutes = divmod(int(span.total_seconds()) // 60, 60)
    return f"{hours} h {minutes:02d} min" if minutes else f"{hours} h"
