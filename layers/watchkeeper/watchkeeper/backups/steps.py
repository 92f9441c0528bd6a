"""How a night goes: chosen once, taken in shards, compared with what others keep, reported."""

from collections.abc import Container, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from watchkeeper import naming
from watchkeeper.aws.errors import AlreadyThere, NotThere, Refused
from watchkeeper.backups.coverage import Kept, Night, cover
from watchkeeper.backups.key_steps import KEYS
from watchkeeper.backups.keys import KeyState, unchecked, unusable
from watchkeeper.backups.model import (
    CAPABILITY,
    Coverage,
    Finding,
    Gap,
    Kind,
    RecoveryPoint,
    Target,
)
from watchkeeper.backups.others import POINT_IN_TIME, ensure_others_read, in_a_fact, tolerated
from watchkeeper.backups.quota import Forecast, forecasts, held_by_plan, quota_used
from watchkeeper.backups.quota import findings as findings_of
from watchkeeper.backups.rules import Choice, choose, chosen_by_hand, in_shards
from watchkeeper.backups.scripts import ensure_frozen, ensure_thawed, ensure_thawed_for_good
from watchkeeper.backups.shard import ensure_completed, ensure_taken, ensure_taken_frozen
from watchkeeper.backups.taking import Taking
from watchkeeper.news.backups import BackupsReported, ResourcesAtRisk
from watchkeeper.runs.record import Done, Failed, Report, Run, Step, Told, Waiting, new_run

if TYPE_CHECKING:  # reading a policy costs 20 ms of a cold start, and most wake-ups need none
    from watchkeeper.policy import BackupsPolicy

SHARD_EVERY = timedelta(seconds=90)
"""Between the starts of two shards: 400 snapshots at EC2's five a second, and a little more."""
LOOK_EVERY = timedelta(minutes=10)
"""How often a shard's snapshots are looked at: one call shows a thousand of them."""


# ── Choosing ──────────────────────────────────────────────────────────────────────────────────────


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
    cloud.runs.start_many(
        shard_run(run, number, cloud.targets.of(run.id, number), now) for number in range(shards)
    )
    return Done({"shards": str(shards)})


def _chosen(run: Run, cloud: Taking) -> Sequence[Target] | Failed:
    plan, policy = run.facts["plan"], cloud.policy()
    inventory = cloud.inventory(policy.choose_by)
    if plan not in policy.plans:
        return Failed(f"the policy has no plan {plan!r} any more")
    if only := run.facts.get("only", "").split():
        targets, missing = chosen_by_hand(inventory, only, policy.plans[plan])
        why = f"the account has no {', '.join(missing)}; nothing was taken"
        return Failed(why) if missing else targets
    return choose(inventory, policy).targets.get(plan, ())


def shard_run(night: Run, number: int, targets: Sequence[Target], now: datetime) -> Run:
    """A shard has targets of one service; one with scripts around it has a single target."""
    first = targets[0]
    facts = {
        **night.facts,
        "workflow": "scripted" if first.script else "shard",
        "night": night.id,
        "shard": str(number),
        "service": first.kind.service.value,
    }
    if first.script:
        facts |= {"script_document": first.script, "script_timeout": str(first.script_timeout)}
    steps = SCRIPTED if first.script else SHARD
    # One after the other, or they would only take EC2's few requests a second from each other.
    starts_at = now if first.script else now + number * SHARD_EVERY
    return new_run(naming.shard_id(night.id, number), steps, starts_at, **facts)


def ensure_begun(run: Run, cloud: Taking, now: datetime) -> Report:
    """Nothing yet."""
    return Done()


def ensure_shards_finished(run: Run, cloud: Taking, now: datetime) -> Report:
    names = [naming.shard_id(run.id, number) for number in range(int(run.facts["shards"]))]
    shards = cloud.runs.find_many(names)
    # A script that does not let go of an instance keeps its run alive; its recovery point is done.
    ended = {name for name, shard in shards.items() if shard.step in (None, THAWED)}
    if running := [name for name in names if name not in ended]:
        return Waiting(f"{len(running)} of {len(names)} shards")
    return Done(
        {"completed": _sum(shards.values(), "completed"), "failed": _sum(shards.values(), "failed")}
    )


def _sum(runs: Iterable[Run], fact: str) -> str:
    return str(sum(int(run.facts.get(fact, "0")) for run in runs))


# ── Reporting ─────────────────────────────────────────────────────────────────────────────────────


def ensure_recoverable(run: Run, cloud: Taking, now: datetime) -> Report:
    """Switch point-in-time recovery on, where the plan says so and nothing stands still for it.

    A table that refuses stops no night: the report has a line about it, and the next night asks
    again.
    """
    plan = cloud.policy().plans.get(run.facts["plan"])
    if plan is None or plan.point_in_time != "enable" or "only" in run.facts:
        return Done()
    tables = [target.arn for target in _taken(run, cloud) if target.kind is Kind.TABLE]
    stops, switched_on = tolerated(run, now), 0
    refused: list[str] = []
    for arn in tables:
        try:
            switched_on += cloud.point_in_time.switch_on(arn)
        except NotThere:
            continue  # deleted since its turn
        except stops as error:
            refused.append(f"{POINT_IN_TIME} of {arn} could not be switched on: {error.quoted}")
    return Done({"switched on": str(switched_on), "not switched on": in_a_fact(refused)})


def ensure_reported(run: Run, cloud: Taking, now: datetime) -> Report:
    """Say how the plan stands now: who is protected, who misses the objective, who has no plan."""
    if "only" in run.facts:
        return Done()
    plan, policy = run.facts["plan"], cloud.policy()
    ours, others = list(cloud.catalogue.listed()), list(cloud.others.listed())
    choice = choose(cloud.inventory(policy.choose_by, others), policy)
    limits = _limits(choice, ours, policy, cloud, now)
    keys = cloud.keys.states({key for point in (*ours, *others) for key in point.keys})
    about_no_resource = [*_unread(run, keys.values()), *findings_of(limits)]
    night = Night(plan, naming.parse_minute(run.facts["occurrence"]), _taken_arns(run, cloud))
    kept = Kept.of(ours, others, {arn for arn, state in keys.items() if unusable(state)})
    coverage = cover(policy, night, choice, kept, about_no_resource, now)
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
        database_snapshot_quota_used=quota_used(limits),
    )
    page = _page(run, coverage, told_before, now)
    return Done(news=[told, page] if page else [told])


def _page(run: Run, coverage: Coverage, told_before: Container[str], now: datetime) -> Told | None:
    """For those at risk that people have not been told of; None if they have of all."""
    fresh = [one for one in coverage.at_risk if one.resource not in told_before]
    if not fresh:
        return None
    return ResourcesAtRisk.about(
        run,
        at=now,
        plan=coverage.plan,
        fresh=[finding.line() for finding in fresh],
        fresh_in_all=len(fresh),
        in_all=len(coverage.at_risk),
    )


UNREAD = ("unread", "not switched on")
"""The facts of a night with lines about what it could not do."""


def _unread(run: Run, keys: Iterable[KeyState]) -> list[Finding]:
    """What could not be found out, or made so: of others' recovery points, of spans, of keys."""
    lines = [line for fact in UNREAD for line in run.facts.get(fact, "").splitlines()]
    lines += [why for state in keys if (why := unchecked(state))]
    return [Finding("", "", Gap.UNKNOWN, why) for why in lines]


def _limits(
    choice: Choice,
    ours: Sequence[RecoveryPoint],
    policy: "BackupsPolicy",
    cloud: Taking,
    now: datetime,
) -> list[Forecast]:
    """How near the account is to the most snapshots of databases that it may have."""
    held = held_by_plan(choice.targets, ours)
    if not held:
        return []
    try:
        quotas = cloud.databases.quotas()
    except Refused as error:
        return forecasts({}, held, policy, now, str(error))
    return forecasts(quotas, held, policy, now)


def _taken(run: Run, cloud: Taking) -> list[Target]:
    return [
        target
        for number in range(int(run.facts["shards"]))
        for target in cloud.targets.of(run.id, number)
    ]


def _taken_arns(run: Run, cloud: Taking) -> frozenset[str]:
    return frozenset(target.arn for target in _taken(run, cloud))


# ── The catalogue again ───────────────────────────────────────────────────────────────────────────


def ensure_rebuilt(run: Run, cloud: Taking, now: datetime) -> Report:
    """Enter every recovery point that the account shows; what is catalogued stays as it is.

    What still runs is left to its night. What was removed or never made leaves no trace in the
    account.
    """
    found = [one for taker in cloud.takers.values() for one in taker.all().values()]
    points = [point for one in found for point in one.points]
    cloud.catalogue.record(points)
    return Done({"recovery points": str(len(points))})


# ── The tables of steps ───────────────────────────────────────────────────────────────────────────

THAWED = "thawed"

NIGHT = (
    Step("choose",        ensure_chosen,          within=timedelta(hours=1)),
    Step("shards",        ensure_shards_finished, within=timedelta(hours=30)),
    Step("others",        ensure_others_read,     within=timedelta(hours=1)),
    Step("point-in-time", ensure_recoverable,     within=timedelta(hours=1)),
    Step("report",        ensure_reported,        within=timedelta(hours=1)),
)  # fmt: skip
SHARD = (
    Step("take",     ensure_taken,     within=timedelta(hours=3)),
    # Whatever became of the taking, what was made is read back: it costs, and may be all there is.
    Step("complete", ensure_completed, within=timedelta(hours=25), poll=LOOK_EVERY, always=True),
)  # fmt: skip
SCRIPTED = (
    # A stop halts a run here, and nowhere between the scripts.
    Step("begin",       ensure_begun,        within=timedelta(hours=1)),
    Step("freeze",      ensure_frozen,       within=timedelta(minutes=30), always=True),
    Step("take frozen", ensure_taken_frozen, within=timedelta(minutes=30), always=True),
    Step("thaw",        ensure_thawed,       within=timedelta(minutes=30), always=True),
    *SHARD,
    Step(THAWED, ensure_thawed_for_good,     within=timedelta(minutes=30), always=True),
)  # fmt: skip
REBUILD = (
    Step("rebuild", ensure_rebuilt, within=timedelta(hours=1)),
)  # fmt: skip
WORKFLOWS = {
    "night": NIGHT, "shard": SHARD, "scripted": SCRIPTED, "rebuild": REBUILD, "keys": KEYS,
}  # fmt: skip


def workflow(run: Run) -> Sequence[Step]:
    return WORKFLOWS.get(run.facts.get("workflow", ""), ())
