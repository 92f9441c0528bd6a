"""Which recovery points go, which stay, and which cannot go: with a reason for each. Pure."""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from watchkeeper import naming
from watchkeeper.backups.coverage import newest_completed
from watchkeeper.backups.model import Blockers, RecoveryPoint, State
from watchkeeper.backups.retention import Point, plan_retention
from watchkeeper.backups.rules import Found
from watchkeeper.quoting import quoted

if TYPE_CHECKING:
    from watchkeeper.policy import BackupsPolicy

SETTLED = timedelta(days=2)
"""A snapshot that no record names after two days belongs to no running night: a night ends within
30 hours.
"""
VISIBLE = timedelta(hours=1)
"""Describe shows a snapshot within minutes of its creation; after an hour, one that is not shown is
not there.
"""


@dataclass(frozen=True)
class Decision:
    """What becomes of one recovery point, and why."""

    point: RecoveryPoint
    why: str
    rules: tuple[str, ...] = ()
    """The retention rules that keep it."""


@dataclass(frozen=True)
class RemovalPlan:
    kept: Sequence[Decision] = ()
    removed: Sequence[Decision] = ()
    blocked: Sequence[Decision] = ()
    """Retention would remove them, and something forbids it."""
    set_aside: Sequence[Decision] = ()
    """Those that do not count: failed, doubles, being removed."""


def plan_removal(
    points: Iterable[RecoveryPoint], policy: "BackupsPolicy", blockers: Blockers, now: datetime
) -> RemovalPlan:
    """Apply retention to each source and tier by itself.

    The plan whose night took a source's newest recovery point says what stays, also after the
    source is gone; one taken by hand decides nothing, or a slip would put a long history under a
    short plan. If the policy has that plan no more, everything stays: no rule says what may go.
    """
    groups: dict[tuple[str, str], list[RecoveryPoint]] = defaultdict(list)
    for point in points:
        groups[point.resource, point.place.tier].append(point)
    plans = []
    for _, group in sorted(groups.items()):
        plans.append(_retain(group, policy, blockers, now))
        plans.append(_clear_away(group, policy, blockers, now))
    return RemovalPlan(
        kept=[one for plan in plans for one in plan.kept],
        removed=[one for plan in plans for one in plan.removed],
        blocked=[one for plan in plans for one in plan.blocked],
        set_aside=[one for plan in plans for one in plan.set_aside],
    )


def _retain(
    group: Sequence[RecoveryPoint], policy: "BackupsPolicy", blockers: Blockers, now: datetime
) -> RemovalPlan:
    """What the rules of its plan make of a source's completed recovery points."""
    scheduled = [point for point in group if not naming.is_by_hand(point.run)]
    name = max(scheduled or group, key=lambda point: point.created_at).plan
    counted = {point.id: point for point in group if point.state is State.COMPLETED}
    if name not in policy.plans:
        why = f"the policy has no plan {name!r}: no rule says what may go"
        return RemovalPlan([Decision(point, why) for point in counted.values()])
    plan = policy.plans[name]
    retention = plan_retention(
        [
            Point(one.id, one.created_at, tags=one.tags, blockers=blockers.of(one))
            for one in counted.values()
        ],
        plan.keep,
        zone=ZoneInfo(plan.zone),
        floor=plan.floor,
        now=now,
    )
    return RemovalPlan(
        kept=[Decision(counted[one.point.id], one.why, one.rules) for one in retention.kept],
        removed=[Decision(counted[one.point.id], one.why) for one in retention.removed],
        blocked=[Decision(counted[one.point.id], one.why) for one in retention.blocked],
    )


def _clear_away(
    group: Sequence[RecoveryPoint], policy: "BackupsPolicy", blockers: Blockers, now: datetime
) -> RemovalPlan:
    """Failed ones and doubles never count; they go once nobody will want to look at them."""
    removed, blocked, aside = [], [], []
    oldest_shown = policy.removal.failed_after.before(now)
    for point in group:
        if point.state in (State.COMPLETED, State.REMOVED):
            continue
        what = "a double" if point.state is State.DOUBLE else f"it never completed ({point.why})"
        if point.state is State.REMOVING:
            removed.append(Decision(point, point.why))
        elif point.state is State.FAILED and point.created_at > oldest_shown:
            stays = policy.removal.failed_after
            aside.append(Decision(point, f"{what}; it stays {stays} for a look"))
        elif forbidden := blockers.of(point):
            blocked.append(Decision(point, f"{what}, but {'; '.join(forbidden)}"))
        else:
            removed.append(Decision(point, f"{what}; nothing is lost with it"))
    return RemovalPlan(removed=removed, blocked=blocked, set_aside=aside)


def forbidden(tags: Mapping[str, str]) -> str:
    """What a snapshot's own tags say against its removal; empty if nothing."""
    if naming.TAG_STACK not in tags:
        return f"has lost its tag {naming.TAG_STACK}: only what carries it may be removed"
    if naming.TAG_LEGAL_HOLD in tags:
        return f"is under legal hold ({quoted(tags[naming.TAG_LEGAL_HOLD])})"
    keepers = [keeper for tag, keeper in naming.TAGS_OF_OTHERS.items() if tag in tags]
    return f"is managed by {keepers[0]}" if keepers else ""


# ── Catalogue and account, compared ───────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Reconciled:
    """The catalogue as the account bears it out."""

    points: Sequence[RecoveryPoint]
    adopted: Sequence[RecoveryPoint]
    """Ours, shown by the account, and in no record: a double that came to light late, or a record
    that was lost.
    """
    lost: Sequence[RecoveryPoint]
    """Recorded as completed, and not there any more: somebody else removed them, so they must not
    count.
    """


def reconcile(
    listed: Iterable[RecoveryPoint],
    found: Mapping[tuple[str, str], Found],
    there: Container[str],
    now: datetime,
) -> Reconciled:
    """`found` is what carries our tags; `there` are the snapshots that exist, tags or not."""
    catalogue = list(listed)
    known = {part.snapshot for point in catalogue for part in point.parts}
    taken = {(point.run, point.resource) for point in catalogue if point.state is State.COMPLETED}
    adopted = [
        late
        for one in found.values()
        for point in one.points
        if now - point.created_at > SETTLED
        and (late := _late(point, known, has_first=(point.run, point.resource) in taken))
    ]
    lost = [
        replace(point, state=State.FAILED, why=_lost(point, there))
        for point in catalogue
        if point.state is State.COMPLETED
        and now - point.created_at > VISIBLE
        and _gone(point, there)
    ]
    ghosts = {(point.resource, point.id) for point in lost}
    standing = [point for point in catalogue if (point.resource, point.id) not in ghosts]
    return Reconciled([*standing, *adopted, *lost], adopted, lost)


def _late(point: RecoveryPoint, known: Container[str], *, has_first: bool) -> RecoveryPoint | None:
    """What to catalogue of a point that came to light late; None if all of it is in a record."""
    unlisted = tuple(part for part in point.parts if part.snapshot not in known)
    if not unlisted or (unlisted == point.parts and not has_first):
        return point if unlisted else None
    first = min(part.snapshot for part in unlisted)
    return replace(
        point,
        id=naming.point_id(point.run, point.resource, first),  # the plain id is the first one's
        state=State.DOUBLE,
        parts=unlisted,
        why="a second one of the same run, or a part of one, which came to light late",
    )


def _gone(point: RecoveryPoint, there: Container[str]) -> list[str]:
    return [part.snapshot for part in point.parts if part.snapshot not in there]


def _lost(point: RecoveryPoint, there: Container[str]) -> str:
    return f"{', '.join(_gone(point, there))} no longer exists: somebody else removed it"


def is_last_good(point: RecoveryPoint, history: Iterable[RecoveryPoint]) -> bool:
    """The newest completed one of its resource is never removed, whatever a rule says."""
    return newest_completed(history).get(point.resource) == point


def stood(point: RecoveryPoint) -> State:
    """What it was before its removal was begun: it becomes that again if it cannot go."""
    if point.state is not State.REMOVING:
        return point.state
    if point.was:
        return point.was
    # Begun by a version that did not write it down, and removed EBS snapshots alone.
    if point.id != naming.point_id(point.run, point.resource):
        return State.DOUBLE
    return State.COMPLETED if point.completed_at else State.FAILED
