"""How recovery points that no rule keeps are removed: planned, capped, asked for, read back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from watchkeeper import naming
from watchkeeper.aws.catalogue import Catalogue
from watchkeeper.aws.ec2 import SnapshotRemover
from watchkeeper.aws.errors import Denied, NotThere, Refused
from watchkeeper.aws.removals import Removal, RemovalTable
from watchkeeper.backups.ec2 import Ec2Points, blockers
from watchkeeper.backups.model import RecoveryPoint, State
from watchkeeper.backups.removal import Reconciled, RemovalPlan, last_good, plan_removal, reconcile
from watchkeeper.news.backups import RecoveryPointsRemoved, RemovalHalted
from watchkeeper.news.base import LINE, LINES
from watchkeeper.policy import BackupsPolicy
from watchkeeper.runs.record import Done, Failed, Report, Run, Step, Waiting

SLICE = 50
"""Removals between two savings of progress: four calls each at most, so about a minute at EC2's pace for deletions."""


@dataclass(frozen=True)
class Expiring:
    """What the steps of an expiry act on."""

    policy: Callable[[], BackupsPolicy | None]
    """The policy in force; None while nobody has read the operator's."""
    shown: Ec2Points
    remover: SnapshotRemover
    removals: RemovalTable
    catalogue: Catalogue


def planned(
    cloud: Expiring, policy: BackupsPolicy, now: datetime
) -> tuple[Reconciled, RemovalPlan]:
    """The plan as of now. Touches nothing."""
    ours = cloud.shown.all()
    known = reconcile(cloud.catalogue.listed(), ours, cloud.shown.amount_to(ours), now)
    forbidden = blockers(cloud.remover, ours)
    return known, plan_removal(known.points, policy, forbidden, now)


def ensure_planned(run: Run, cloud: Expiring, now: datetime) -> Report:
    """Freeze what goes. Above the policy's cap nothing does, and a person is asked."""
    if cloud.removals.count(run.id) is not None:
        return Done()
    policy = cloud.policy()
    if policy is None:  # the default in its place might keep less than the operator asked for
        return Waiting("TakeBackups to read the operator's policy")
    known, plan = planned(cloud, policy, now)
    cloud.catalogue.record(known.adopted)
    for point in known.lost:
        cloud.catalogue.change(point, State.COMPLETED)
    refused = [f"{one.point.resource}: {one.why}" for one in plan.blocked]
    facts = {
        "planned": str(len(plan.removed)), "kept": str(len(plan.kept)), "refused": str(len(refused)),
        "adopted": str(len(known.adopted)), "lost": str(len(known.lost)), "reasons": _lines(refused),
    }  # fmt: skip
    cap = policy.removal.cap
    if len(plan.removed) > cap:
        told = RemovalHalted.about(run, at=now, planned=len(plan.removed), cap=cap)
        why = f"{len(plan.removed)} recovery points would go, the cap is {cap}; nothing was removed"
        return Failed(why, facts, news=[told])
    # Facts are saved with the report, the frozen list before it: cut off between the two, the list stands.
    cloud.removals.freeze(run.id, [(decision.point, decision.why) for decision in plan.removed])
    return Done(facts)


def ensure_removed(run: Run, cloud: Expiring, now: datetime) -> Report:
    """Ask EC2 for the deletions, in the frozen order. The catalogue says `removing` before the first call is made."""
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
    """The reason if it cannot go; empty once EC2 has been asked."""
    history = cloud.catalogue.of(removal.resource)
    point = next((one for one in history if one.id == removal.point), None)
    if point is None or point.state is State.REMOVED:
        return ""
    if (point.resource, point.id) in last_good(history):
        return "it is the newest good one"  # the world has changed since the plan
    if users := shared(point, cloud):
        cloud.catalogue.change(replace(point, why=users), point.state)
        return users
    removing = replace(point, state=State.REMOVING, why=removal.why)
    if point.state is not State.REMOVING and not cloud.catalogue.change(removing, point.state):
        return "somebody holds it, or moved it on, since the plan"
    return _delete(removing, removal.was, cloud)


def _delete(point: RecoveryPoint, was: State, cloud: Expiring) -> str:
    for number, part in enumerate(point.parts):
        try:
            cloud.remover.delete(part.snapshot)
        except NotThere:
            continue
        except Denied:
            raise  # our own role: no snapshot's fault
        except Refused as error:
            # Of a set that has lost a part nothing can be restored; one that is whole is what it was.
            state = State.FAILED if number and was is State.COMPLETED else was
            cloud.catalogue.change(replace(point, state=state, why=str(error)), State.REMOVING)
            return str(error)
    return ""


def shared(point: RecoveryPoint, cloud: Expiring) -> str:
    """A sentence about who else may use it; empty if nobody."""
    for part in point.parts:
        try:
            if users := cloud.remover.shared_with(part.snapshot):
                return f"{part.snapshot} is {users}"
        except NotThere:
            continue
    return ""


def ensure_confirmed(run: Run, cloud: Expiring, now: datetime) -> Report:
    """Read back: what Describe no longer shows is gone, and its record says so for ever."""
    there = {snapshot.id for snapshot in cloud.shown.all()}
    removing = [point for point in cloud.catalogue.listed() if point.state is State.REMOVING]
    waiting = [point for point in removing if any(part.snapshot in there for part in point.parts)]
    removed = int(run.facts.get("removed", "0"))
    for point in removing:
        if point not in waiting:
            gone = replace(point, state=State.REMOVED, removed_at=now)
            removed += cloud.catalogue.change(gone, State.REMOVING)
    facts = {"removed": str(removed)}
    if waiting:
        return Waiting(f"{len(waiting)} recovery points to be gone", facts=facts)
    told = RecoveryPointsRemoved.about(
        run, at=now, removed=removed, refused=int(run.facts.get("refused", "0")), kept=int(run.facts.get("kept", "0")),
        reasons=run.facts.get("reasons", "").splitlines(),
    )  # fmt: skip
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
