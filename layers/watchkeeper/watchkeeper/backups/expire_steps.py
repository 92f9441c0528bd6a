"""How recovery points that no rule keeps are removed: planned, capped, asked for, read back."""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from watchkeeper import naming
from watchkeeper.aws.catalogue import Catalogue
from watchkeeper.aws.errors import Denied, NotThere, Refused
from watchkeeper.aws.held import HeldPoints
from watchkeeper.aws.removals import Removal, RemovalTable
from watchkeeper.backups.coverage import newest_completed
from watchkeeper.backups.model import (
    COUNTS,
    DRILLED,
    Blockers,
    RecoveryPoint,
    Service,
    Snapshot,
    State,
)
from watchkeeper.backups.removal import (
    Reconciled,
    RemovalPlan,
    forbidden,
    is_last_good,
    plan_removal,
    reconcile,
    stood,
)
from watchkeeper.backups.rules import DELETING, Found
from watchkeeper.backups.services import Keeper
from watchkeeper.news.backups import RecoveryPointsRemoved, RemovalHalted
from watchkeeper.news.base import LINE, LINES
from watchkeeper.runs.record import Done, Failed, Report, Run, Step, Waiting

if TYPE_CHECKING:
    from watchkeeper.policy import BackupsPolicy

SLICE = 50
"""Removals between two savings of progress: five calls each at most, so about a minute at EC2's
pace for deletions.
"""


@dataclass(frozen=True)
class Expiring:
    """What the steps of an expiry act on."""

    policy: "Callable[[], BackupsPolicy | None]"
    """The policy in force; None while nobody has read the operator's."""
    keepers: Mapping[Service, Keeper]
    removals: RemovalTable
    catalogue: Catalogue
    held: HeldPoints

    def keeper_of(self, point: RecoveryPoint) -> Keeper:
        return self.keepers[point.kind.service]


def planned(
    cloud: Expiring, policy: "BackupsPolicy", now: datetime
) -> tuple[Reconciled, RemovalPlan]:
    """The plan as of now. Touches nothing."""
    listed = list(cloud.catalogue.listed())
    found: dict[tuple[str, str], Found] = {}
    there: dict[str, Snapshot] = {}
    by_service: dict[str, str] = {}
    for service, keeper in cloud.keepers.items():
        points = [point for point in listed if point.kind.service is service]
        ours = keeper.all()
        found |= keeper.amount_to(_of_unlisted(ours, points))
        # Not shown as ours is not gone: somebody may have taken the tags off.
        unseen = _part_ids(points) - {one.id for one in ours}
        snapshots = [*keeper.parts(unseen), *ours]
        there |= {one.id: one for one in snapshots if one.state != DELETING}
        by_service |= keeper.forbidden(snapshots)
    by_tags = {one.id: why for one in there.values() if (why := forbidden(one.tags))}
    known = reconcile(listed, found, there.keys(), now)
    blockers = Blockers(by_service, by_tags, cloud.held.now())
    return known, plan_removal(known.points, policy, blockers, now)


def _of_unlisted(ours: Sequence[Snapshot], listed: Sequence[RecoveryPoint]) -> list[Snapshot]:
    """All snapshots of those sources and runs of which the catalogue does not name every one: only
    these can tell something new.
    """
    known = _part_ids(listed)
    new = {_source(one) for one in ours if one.id not in known}
    return [one for one in ours if _source(one) in new]


def _source(snapshot: Snapshot) -> tuple[str | None, str | None]:
    return snapshot.tags.get(naming.TAG_RUN), snapshot.tags.get(naming.TAG_SOURCE)


def _part_ids(points: Iterable[RecoveryPoint]) -> set[str]:
    return {part.snapshot for point in points for part in point.parts}


def ensure_planned(run: Run, cloud: Expiring, now: datetime) -> Report:
    """Freeze what goes. Above the policy's cap nothing does, and a person is asked."""
    if (facts := cloud.removals.decided(run.id)) is not None:
        return Done(facts)
    policy = cloud.policy()
    if policy is None:  # the default in its place might keep less than the operator asked for
        return Waiting("TakeBackups to read the operator's policy")
    known, plan = planned(cloud, policy, now)
    cloud.catalogue.record(known.adopted)
    for point in known.lost:
        cloud.catalogue.change(point, State.COMPLETED)
    refused = [f"{one.point.resource}: {one.why}" for one in plan.blocked]
    facts = {
        "planned": str(len(plan.removed)),
        "kept": str(len(plan.kept)),
        "refused": str(len(refused)),
        "adopted": str(len(known.adopted)),
        "lost": str(len(known.lost)),
        "reasons": _lines(refused),
    }
    cap = policy.removal.cap
    if len(plan.removed) > cap:
        told = RemovalHalted.about(run, at=now, planned=len(plan.removed), cap=cap)
        why = f"{len(plan.removed)} recovery points would go, the cap is {cap}; nothing was removed"
        return Failed(why, facts, news=[told])
    cloud.removals.freeze(run.id, [_removal(one.point, one.why) for one in plan.removed], facts)
    return Done(facts)


def _removal(point: RecoveryPoint, why: str) -> Removal:
    return Removal(point.resource, point.id, point.created_at, stood(point), why)


def ensure_removed(run: Run, cloud: Expiring, now: datetime) -> Report:
    """Ask for the deletions, in the frozen order.

    The catalogue says `removing` before the first call is made.
    """
    asked = int(run.facts.get("asked", "0"))
    slice_ = cloud.removals.of(run.id, asked, SLICE)
    refused = [f"{one.resource}: {reason}" for one in slice_ if (reason := _remove(one, cloud))]
    facts = {
        "asked": str(asked + len(slice_)),
        "refused": str(int(run.facts.get("refused", "0")) + len(refused)),
        "reasons": _lines([*run.facts.get("reasons", "").splitlines(), *refused]),
    }
    return Waiting("the next slice", until=now, facts=facts) if slice_ else Done(facts)


def _remove(removal: Removal, cloud: Expiring) -> str:
    """The reason if it cannot go; empty once its service has been asked."""
    history = cloud.catalogue.of(removal.resource)
    point = next((one for one in history if removal.is_of(one)), None)
    if point is None or point.state is State.REMOVED:
        return ""
    as_it_stood = replace(point, state=removal.was, was=None)
    others = newest_completed(one for one in history if one is not point).values()
    # The world may have changed since the plan, so what forbids a removal is asked again.
    seen = cloud.keeper_of(point).parts(_part_ids([point, *others]))
    shown = [one for one in seen if one.id in _part_ids([point])]
    if reason := _last_good(as_it_stood, others, seen) or _held(point, shown, cloud):
        cloud.catalogue.change(replace(as_it_stood, why=reason), point.state)
        return reason
    removing = replace(point, state=State.REMOVING, why=removal.why, was=removal.was)
    if point.state is not State.REMOVING and not cloud.catalogue.change(removing, point.state):
        return "somebody holds it, or moved it on, since the plan"
    # A drill enters what it restores and then looks at the catalogue, so one of us sees the other.
    if point.id in cloud.held.now():
        cloud.catalogue.change(replace(as_it_stood, why=DRILLED), State.REMOVING)
        return DRILLED
    return _delete(removing, {part.id for part in shown}, removal.was, cloud)


def _last_good(
    point: RecoveryPoint, others: Iterable[RecoveryPoint], seen: Iterable[Snapshot]
) -> str:
    """A sentence, if nothing good would be left; empty if something would. `others` is the newest
    good one beside it, if there is one; somebody may be deleting that.
    """
    if is_last_good(point, [point, *others]):
        return "it is the newest good one"
    there = {one.id for one in seen if one.state != DELETING}
    if point.state in COUNTS and (gone := _part_ids(others) - there):
        return f"it may be the last good one: of the newer one, {', '.join(sorted(gone))} is gone"
    return ""


def _delete(point: RecoveryPoint, there: Container[str], was: State, cloud: Expiring) -> str:
    for number, part in enumerate(point.parts):
        # What is gone has no tags, so our role, which may delete by tag only, would be denied.
        if part.snapshot not in there:
            continue
        try:
            cloud.keeper_of(point).delete(part.snapshot)
        except NotThere:
            continue
        except Denied:
            raise  # our own role: no snapshot's fault
        except Refused as error:
            # Nothing can be restored of a set that has lost a part; a whole one is what it was.
            state = State.FAILED if number and was in COUNTS else was
            cloud.catalogue.change(
                replace(point, state=state, was=None, why=str(error)), State.REMOVING
            )
            return str(error)
    return ""


def _held(point: RecoveryPoint, shown: Iterable[Snapshot], cloud: Expiring) -> str:
    """What its snapshots' tags, its holds or its other users say against it; empty if nothing."""
    tagged = [f"{part.id} {reason}" for part in shown if (reason := forbidden(part.tags))]
    held = [f"held by {hold}" for hold in point.holds]
    return "; ".join([*held, *tagged]) or shared(point, cloud)


def shared(point: RecoveryPoint, cloud: Expiring) -> str:
    """A sentence about who else may use it; empty if nobody."""
    for part in point.parts:
        try:
            if users := cloud.keeper_of(point).shared_with(part.snapshot):
                return f"{part.snapshot} {users}"
        except NotThere:
            continue
    return ""


def ensure_confirmed(run: Run, cloud: Expiring, now: datetime) -> Report:
    """Read back: what Describe no longer shows is gone, and its record says so for ever."""
    removing = [point for point in cloud.catalogue.listed() if point.state is State.REMOVING]
    there = {
        snapshot.id
        for service, keeper in cloud.keepers.items()
        for snapshot in keeper.parts(
            _part_ids(point for point in removing if point.kind.service is service)
        )
    }
    waiting = [point for point in removing if any(part.snapshot in there for part in point.parts)]
    removed = int(run.facts.get("removed", "0"))
    for point in removing:
        if point not in waiting:
            gone = replace(point, state=State.REMOVED, was=None, removed_at=now)
            removed += cloud.catalogue.change(gone, State.REMOVING)
    facts = {"removed": str(removed)}
    if waiting:
        return Waiting(f"{len(waiting)} recovery points to be gone", facts=facts)
    told = RecoveryPointsRemoved.about(
        run,
        at=now,
        removed=removed,
        refused=int(run.facts.get("refused", "0")),
        kept=int(run.facts.get("kept", "0")),
        reasons=run.facts.get("reasons", "").splitlines(),
    )
    return Done(facts, news=[told])


def _lines(reasons: Sequence[str]) -> str:
    return "\n".join(reason.replace("\n", " ")[:LINE] for reason in reasons[:LINES])


EXPIRY = (
    Step("plan",    ensure_planned,   within=timedelta(hours=1)),
    Step("remove",  ensure_removed,   within=timedelta(hours=6)),
    Step("confirm", ensure_confirmed, within=timedelta(hours=6)),
)  # fmt: skip


def workflow(run: Run) -> Sequence[Step]:
    return EXPIRY
