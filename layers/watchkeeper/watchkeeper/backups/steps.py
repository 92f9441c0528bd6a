"""How a night takes its recovery points: chosen once, taken in shards, read back, reported."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from watchkeeper import naming
from watchkeeper.aws.catalogue import Catalogue, CoverageTable, TargetTable
from watchkeeper.aws.ec2 import SnapshotTaker
from watchkeeper.aws.errors import AlreadyThere, Busy, Denied, NotThere, Refused, Unclear
from watchkeeper.aws.runs import RunTable
from watchkeeper.backups import ec2
from watchkeeper.backups.ec2 import Ec2Points, Ec2Sources
from watchkeeper.backups.model import CAPABILITY, Place, RecoveryPoint, State, Target
from watchkeeper.backups.rules import (
    Found,
    Inventory,
    choose,
    cover,
    given_up,
    in_shards,
    newest_completed,
    unusable,
)
from watchkeeper.news.backups import BackupsReported, RecoveryPointsCompleted, ResourcesAtRisk
from watchkeeper.news.base import LINE, LINES
from watchkeeper.runs.record import Done, Failed, Report, Run, Step, Waiting, new_run

if TYPE_CHECKING:
    from watchkeeper.policy import BackupsPolicy

SLICE = 100
"""Snapshots asked for between two savings of progress: at EC2's five a second that is 20 s, and
even
at two seconds each a slice begun at the last permitted moment ends in time for most of what it
asked to be known.
"""
SLICE_TAKES = timedelta(minutes=4)
"""The longest that a slice takes: a call without an answer was made up to so long after `now`."""
LOOK_FOR = timedelta(minutes=10)
"""How long the traces of a call without an answer are looked for: Describe lags by seconds to a few
minutes.
"""
BELIEVE_FOR = timedelta(hours=1)
"""How long a snapshot that EC2 has promised may stay hidden before it is written off."""
SHARD_EVERY = timedelta(seconds=90)
"""Between the starts of two shards: 400 snapshots at EC2's five a second, and a little more."""
FIRST_LOOK = timedelta(minutes=5)
"""The smallest snapshots take a few minutes; asking earlier costs a call and tells nothing."""
LOOK_EVERY = timedelta(minutes=10)
"""How often a shard's snapshots are looked at: one call shows a thousand of them."""
GIVE_UP = timedelta(hours=24)
"""A first snapshot of the largest volumes takes most of a day; one that takes longer has missed the
next night.
"""


@dataclass(frozen=True)
class Taking:
    """What the steps of a night act on."""

    stack: str
    place: Place
    policy: "Callable[[], BackupsPolicy]"
    """The policy in force; read only by the steps that choose and report."""
    sources: Ec2Sources
    taker: SnapshotTaker
    shown: Ec2Points
    runs: RunTable
    targets: TargetTable
    catalogue: Catalogue
    coverage: CoverageTable


# ── The night ─────────────────────────────────────────────────────────────────────────────────────


def ensure_chosen(run: Run, cloud: Taking, now: datetime) -> Report:
    """Freeze what this night takes, and start a run per shard; the sweep wakes them all."""
    shards = cloud.targets.chosen(run.id)
    if shards is None:
        chosen = _chosen(run, cloud)
        if isinstance(chosen, Failed):
            return chosen
        cut = in_shards(chosen)
        shards = len(cut)
        try:
            cloud.targets.freeze(run.id, cut or [[]])
        except AlreadyThere:
            return Waiting("the choice of an earlier attempt to be read", until=now)
    cloud.runs.start_many(shard_run(run, number, now) for number in range(shards))
    return Done({"shards": str(shards)})


def _chosen(run: Run, cloud: Taking) -> Sequence[Target] | Failed:
    plan, policy = run.facts["plan"], cloud.policy()
    inventory = cloud.sources.inventory(policy.choose_by)
    if only := run.facts.get("only", "").split():
        return _by_hand(inventory, only)
    if plan not in policy.plans:
        return Failed(f"the policy has no plan {plan!r} any more")
    return choose(inventory, policy).targets.get(plan, ())


def _by_hand(inventory: Inventory, only: Sequence[str]) -> Sequence[Target] | Failed:
    """The named resources, whatever their tags say."""
    there = {resource.arn: resource for resource in (*inventory.instances, *inventory.volumes)}
    if missing := [arn for arn in only if arn not in there]:
        return Failed(f"EC2 knows no {', '.join(missing)}; nothing was taken")
    return [
        Target(resource.arn, resource.kind, resource.name, resource.volumes)
        for resource in map(there.__getitem__, only)
        if resource.kind
    ]


def shard_run(night: Run, number: int, now: datetime) -> Run:
    facts = {**night.facts, "workflow": "shard", "night": night.id, "shard": str(number)}
    # One after the other, or they would only take EC2's few requests a second from each other.
    return new_run(naming.shard_id(night.id, number), SHARD, now + number * SHARD_EVERY, **facts)


def ensure_shards_finished(run: Run, cloud: Taking, now: datetime) -> Report:
    names = [naming.shard_id(run.id, number) for number in range(int(run.facts["shards"]))]
    shards = cloud.runs.find_many(names)
    if running := [name for name in names if name not in shards or shards[name].step is not None]:
        return Waiting(f"{len(running)} of {len(names)} shards")
    return Done(
        {"completed": _sum(shards.values(), "completed"), "failed": _sum(shards.values(), "failed")}
    )


def _sum(runs: Iterable[Run], fact: str) -> str:
    return str(sum(int(run.facts.get(fact, "0")) for run in runs))


def ensure_reported(run: Run, cloud: Taking, now: datetime) -> Report:
    """Say how the plan stands now: who is protected, who misses the objective, who has no plan."""
    if "only" in run.facts:
        return Done()
    plan, policy = run.facts["plan"], cloud.policy()
    taken = [
        target.arn
        for number in range(int(run.facts["shards"]))
        for target in cloud.targets.of(run.id, number)
    ]
    coverage = cover(
        policy,
        plan,
        choose(cloud.sources.inventory(policy.choose_by), policy),
        taken,
        newest_completed(cloud.catalogue.listed()),
        naming.parse_minute(run.facts["occurrence"]),
        now,
    )
    told_before = cloud.coverage.told_before(CAPABILITY, plan, run.id)
    cloud.coverage.report(CAPABILITY, coverage, run.id, told_before, now)
    told = BackupsReported.about(
        run,
        at=now,
        plan=plan,
        targets=coverage.targets,
        completed=coverage.completed,
        failed=coverage.failed,
        unprotected=coverage.unprotected,
        findings=[finding.line() for finding in coverage.findings],
    )
    fresh = [one for one in coverage.at_risk if one.resource not in told_before]
    if not fresh:
        return Done(news=[told])
    page = ResourcesAtRisk.about(
        run,
        at=now,
        plan=plan,
        fresh=[finding.line() for finding in fresh],
        fresh_in_all=len(fresh),
        in_all=len(coverage.at_risk),
    )
    return Done(news=[told, page])


# ── A shard of it ─────────────────────────────────────────────────────────────────────────────────


def ensure_taken(run: Run, cloud: Taking, now: datetime) -> Report:
    """Ask for a recovery point of every target of the shard, in the frozen order.

    `taken` counts how far that went: what comes before it was answered for.
    """
    targets = _targets(run, cloud)
    taken = int(run.facts.get("taken", "0"))
    left = targets[taken : taken + SLICE]
    in_doubt = _in_doubt_since(run)
    shown = cloud.shown.of_run(run.id) if in_doubt else {}
    unseen = [target for target in left if (run.id, target.arn) not in shown]
    if in_doubt and unseen and now < in_doubt + LOOK_FOR:
        why = "EC2 to show what a call without an answer has made"
        return Waiting(why, until=in_doubt + LOOK_FOR)
    busy: Busy | None = None
    refused = {}
    for target in left:
        try:
            reason = _refusal(run, target, cloud) if target in unseen else ""
        except Busy as error:
            busy = error
            break
        if reason:
            refused[taken] = _unusable(run, target, cloud, reason)
        taken += 1
    cloud.catalogue.record(refused.values())
    # Only the call without an answer is in doubt: the others were answered for.
    doubt = naming.instant(now + SLICE_TAKES) if isinstance(busy, Unclear) else ""
    facts = {"taken": str(taken), "in_doubt_since": doubt, **_tally(run, refused, ())}
    if busy:
        why = f"EC2 to {'answer again' if doubt else 'accept more'} ({busy.code})"
        return Waiting(why, until=now + timedelta(minutes=1), facts=facts)
    if taken < len(targets):
        return Waiting("the next slice", until=now, facts=facts)
    return Done(facts)


def _refusal(run: Run, target: Target, cloud: Taking) -> str:
    """Ask EC2 for a recovery point; why it will make none, empty if it makes one."""
    try:
        ec2.take(cloud.taker, target, _tags(run, target, cloud))
    except Denied:
        raise  # our own role: no target's fault
    except (NotThere, Refused) as error:
        return str(error)
    return ""


def _in_doubt_since(run: Run) -> datetime | None:
    """When a call went unanswered: of this attempt, or of one that was cut off."""
    told = run.facts.get("in_doubt_since")
    known = [at for at in (run.unclear_since, told and naming.parse_instant(told)) if at]
    return max(known, default=None)


def ensure_completed(run: Run, cloud: Taking, now: datetime) -> Report:
    """Read back what was taken, and catalogue what has ended."""
    if now < run.entered_at + FIRST_LOOK:
        return Waiting("snapshots to complete", until=run.entered_at + FIRST_LOOK)
    targets = _targets(run, cloud)
    recorded = int(run.facts.get("recorded", "0"), 16)
    shown = cloud.shown.of_run(run.id)
    fresh: dict[int, RecoveryPoint] = {}
    doubles: list[RecoveryPoint] = []
    waiting = 0
    for number, target in enumerate(targets):
        if recorded >> number & 1:
            continue
        # What was answered for exists, and Describe lags; anything else may never have been made.
        patience = BELIEVE_FOR if number < int(run.facts.get("taken", "0")) else LOOK_FOR
        found = shown.get((run.id, target.arn))
        points = _ended(run, target, found, cloud, now, patience)
        if points is None:
            waiting += 1
        else:
            fresh[number], *others = points
            doubles += others
    cloud.catalogue.record([*fresh.values(), *doubles])
    facts = _tally(run, fresh, doubles)
    if waiting:
        return Waiting(f"{waiting} of {len(targets)} recovery points to complete", facts=facts)
    told = RecoveryPointsCompleted.about(
        run,
        at=now,
        plan=run.facts["plan"],
        completed=int(facts["completed"]),
        failed=int(facts["failed"]),
        doubles=int(facts["doubles"]),
        reasons=facts["reasons"].splitlines(),
    )
    return Done(facts, news=[told])


def _ended(
    run: Run, target: Target, found: Found | None, cloud: Taking, now: datetime, patience: timedelta
) -> list[RecoveryPoint] | None:
    """The recovery point of a target and its doubles, once nothing about it can change; None until
    then.
    """
    since = now - run.entered_at
    if found is None:
        why = run.failure or f"EC2 shows no snapshot of it {patience} after it was asked for"
        return [_unusable(run, target, cloud, why)] if since >= patience else None
    if found.pending:
        why = f"still {found.pending[0].state} after {GIVE_UP}"
        abandoned = given_up(run.id, found.pending, cloud.place, why)
        return [abandoned, *found.points] if since >= GIVE_UP else None
    shown = {part.volume for part in found.points[0].parts}
    missing = set(target.volumes) - set(target.left_out) - shown
    if missing and since < patience:
        return None  # Describe shows the members of a set one after another
    point, *doubles = found.points
    if missing:
        point = replace(
            point, why=f"without {', '.join(sorted(missing))}: detached before it was taken"
        )
    return [point, *doubles]


def _tally(
    run: Run, fresh: dict[int, RecoveryPoint], doubles: Sequence[RecoveryPoint]
) -> dict[str, str]:
    """The shard's counts with `fresh` added. `recorded` is a bit per target, so that each is
    catalogued once.
    """
    recorded = int(run.facts.get("recorded", "0"), 16)
    for number in fresh:
        recorded |= 1 << number
    failed = [point for point in fresh.values() if point.state is State.FAILED]
    reasons = run.facts.get("reasons", "").splitlines()
    reasons += [f"{point.resource}: {point.why}".replace("\n", " ")[:LINE] for point in failed]
    return {
        "recorded": f"{recorded:x}",
        "completed": str(int(run.facts.get("completed", "0")) + len(fresh) - len(failed)),
        "failed": str(int(run.facts.get("failed", "0")) + len(failed)),
        "doubles": str(int(run.facts.get("doubles", "0")) + len(doubles)),
        "reasons": "\n".join(reasons[:LINES]),
    }


def _targets(run: Run, cloud: Taking) -> list[Target]:
    return cloud.targets.of(run.facts["night"], int(run.facts["shard"]))


def _tags(run: Run, target: Target, cloud: Taking) -> dict[str, str]:
    return ec2.tags_of(run.id, run.facts["plan"], run.facts.get("words", ""), cloud.stack, target)


def _unusable(run: Run, target: Target, cloud: Taking, why: str) -> RecoveryPoint:
    night = naming.parse_minute(run.facts["occurrence"])
    return unusable(run.id, target, run.facts["plan"], cloud.place, night, why)


# ── The catalogue again ───────────────────────────────────────────────────────────────────────────


def ensure_rebuilt(run: Run, cloud: Taking, now: datetime) -> Report:
    """Enter every recovery point that the account shows; what is catalogued stays as it is.

    What still runs is left to its night. What was removed or never made leaves no trace in the
    account.
    """
    found = cloud.shown.amount_to(cloud.shown.all())
    points = [point for one in found.values() for point in one.points]
    cloud.catalogue.record(points)
    return Done({"recovery points": str(len(points))})


# ── The tables of steps ───────────────────────────────────────────────────────────────────────────

NIGHT = (
    Step("choose", ensure_chosen,          within=timedelta(hours=1)),
    Step("shards", ensure_shards_finished, within=timedelta(hours=30)),
    Step("report", ensure_reported,        within=timedelta(hours=1)),
)  # fmt: skip
SHARD = (
    Step("take",     ensure_taken,     within=timedelta(hours=3)),
    # Whatever became of the taking, what was made is read back: it costs, and may be all there is.
    Step("complete", ensure_completed, within=timedelta(hours=25), poll=LOOK_EVERY, always=True),
)  # fmt: skip
REBUILD = (
    Step("rebuild", ensure_rebuilt, within=timedelta(hours=1)),
)  # fmt: skip
WORKFLOWS = {"night": NIGHT, "shard": SHARD, "rebuild": REBUILD}


def workflow(run: Run) -> Sequence[Step]:
    return WORKFLOWS.get(run.facts.get("workflow", ""), ())
