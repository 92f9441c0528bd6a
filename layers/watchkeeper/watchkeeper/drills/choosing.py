"""How a round of drills begins: chosen once, shown with its estimate, and begun."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from watchkeeper import naming
from watchkeeper.aws.drills import Planned
from watchkeeper.drills import noted
from watchkeeper.drills.costs import estimate
from watchkeeper.drills.drilling import Drilling
from watchkeeper.drills.exercise import EXERCISE
from watchkeeper.drills.forecast import MONTH, Shortfall
from watchkeeper.drills.model import Begun, Drill, Level, Proof, Subject
from watchkeeper.drills.points import candidates, nothing
from watchkeeper.drills.restore import RESTORE
from watchkeeper.drills.rules import Choice, NoDrill, PutOff, choose
from watchkeeper.news.base import LINE, LINES
from watchkeeper.news.drills import DrillsChosen
from watchkeeper.runs.record import Done, Report, Run, new_run

A_DAY = timedelta(days=1)
"""Longer than a round takes to begin what it has chosen."""


def ensure_chosen(run: Run, cloud: Drilling, now: datetime) -> Report:
    """Freeze what this round drills, and why."""
    facts = cloud.drills.decided(run.id)
    if facts is None:
        subjects = {one.resource: one for one in cloud.subjects()}
        if "resource" in run.facts:
            choice = _by_hand(run, subjects)
        else:
            choice = chosen(list(subjects.values()), cloud, now)
        cloud.drills.freeze(run.id, _planned(choice, subjects), _facts(choice, now))
        facts = cloud.drills.decided(run.id) or {}
    restores = [one for one in cloud.drills.all(run.id) if one.is_restore]
    told = DrillsChosen.about(
        run,
        at=now,
        drills=int(facts["drills"]),
        restores=[
            f"{one.name or one.resource}: {one.why}, ${Decimal(one.cost):.2f}" for one in restores
        ],
        restores_in_all=len(restores),
        put_off=facts["put_off_lines"].splitlines(),
        shortfalls=facts["shortfalls"].splitlines(),
        estimate=float(facts["estimate"]),
    )
    return Done(facts, news=[told])


def chosen(everyone: Sequence[Subject], cloud: Drilling, now: datetime) -> Choice:
    """What is due, and fits into the budget that the drills of the last weeks leave."""
    lately = list(cloud.begun.since(now - MONTH))
    running = [one for one in lately if one.is_running and _goes_on(one, cloud, now)]
    spent = sum(one.usd for one in lately)
    known = replace(cloud.known(everyone), shapes=cloud.shapes(everyone))
    return choose(everyone, cloud.policy(), running, spent, now, cloud.stack, known)


def _goes_on(one: Begun, cloud: Drilling, now: datetime) -> bool:
    """A drill that was entered and whose run never began takes no room after the next day."""
    run = cloud.runs.find(one.run)
    return run.step is not None if run else now < one.begun_at + A_DAY


def line(one: PutOff) -> str:
    return f"{one.name or one.resource} at level {one.level.value}: {one.why}"


def shortfall(one: Shortfall) -> str:
    """That of one resource names it; the others are about all of them."""
    of = one.name or one.resource
    return f"{of}: {one.why}" if of else one.why


def _by_hand(run: Run, subjects: Mapping[str, Subject]) -> Choice:
    """The one drill that somebody asked for."""
    resource, level, wanted = (run.facts.get(name, "") for name in ("resource", "level", "point"))
    if (subject := subjects.get(resource)) is None:
        why = "nothing protects it, and there is no recovery point of it"
        return Choice(failed=(NoDrill(resource, "", Level(level), why),))
    found = candidates(subject, Level(level))
    chosen = next((one for one in found if wanted in ("", one.id)), None)
    if chosen is None:
        why = nothing(subject, Level(level))
        if found:
            why = f"it has no recovery point {wanted} that can be drilled at level {level}"
        return Choice(failed=(NoDrill(resource, subject.name, Level(level), why),))
    cost = estimate(chosen, Level(level)).usd
    return Choice(drills=(Drill(chosen, Level(level), "asked for by hand", cost),), estimate=cost)


def _planned(choice: Choice, subjects: Mapping[str, Subject]) -> list[Planned]:
    drills = [
        Planned(
            resource=one.point.resource, name=subjects[one.point.resource].name,
            plan=subjects[one.point.resource].plan, level=one.level, why=one.why,
            point=one.point.id, others=bool(one.point.keeper), cost=f"{one.cost:.4f}",
            protected=subjects[one.point.resource].is_protected,
        )
        for one in choice.drills
    ]  # fmt: skip
    return [*drills, *(_without_point(one, subjects) for one in choice.failed)]


def _without_point(one: NoDrill, subjects: Mapping[str, Subject]) -> Planned:
    plan = subjects[one.resource].plan if one.resource in subjects else ""
    return Planned(one.resource, one.name, plan, one.level, one.why)


def _facts(choice: Choice, now: datetime) -> dict[str, str]:
    return {
        "chosen_at": naming.instant(now),
        "drills": str(len(choice.drills) + len(choice.failed)),
        "put_off": str(len(choice.put_off)),
        "put_off_lines": "\n".join(line(one)[:LINE] for one in choice.put_off[:LINES]),
        "shortfalls": "\n".join(shortfall(one)[:LINE] for one in choice.findings[:LINES]),
        "estimate": f"{choice.estimate:.2f}",
    }


def ensure_begun(run: Run, cloud: Drilling, now: datetime) -> Report:
    """Start a run for each drill that restores something; the sweep wakes them all. The budget
    counts them first: a record too much is seen, one too little would be spent twice.
    """
    chosen_at = naming.parse_instant(run.facts["chosen_at"])
    planned = cloud.drills.all(run.id)
    restores = [one for one in planned if one.is_restore]
    for one in restores:
        cloud.begun.begin(
            _begun(naming.restore_id(run.id, one.resource, one.level), one, chosen_at)
        )
    reading = sum((Decimal(one.cost) for one in planned if not one.is_restore), Decimal(0))
    if reading:
        read = Begun(run.id, "", "", Level.BLOCKS, chosen_at, float(reading), is_running=False)
        cloud.begun.begin(read)
    proofs = {(one.resource, one.level): one for one in cloud.proofs.latest()}
    cloud.runs.start_many(_restore(run, one, proofs, now) for one in restores)
    return Done({"begun": str(len(restores))})


def _begun(run_id: str, one: Planned, at: datetime) -> Begun:
    return Begun(run_id, one.resource, one.point, one.level, at, float(one.cost))


def _restore(
    run: Run, one: Planned, proofs: Mapping[tuple[str, Level], Proof], now: datetime
) -> Run:
    last = proofs.get((one.resource, one.level))
    facts = {
        "workflow": "exercise" if one.level is Level.EXERCISE else "restore",
        "resource": one.resource,
        "name": one.name,
        "plan": one.plan,
        "level": one.level.value,
        "point": one.point,
        "others": "yes" if one.others else "",
        "why": one.why,
        "cost": one.cost,
        "begun_at": run.facts["chosen_at"],
        "before": noted.pairs(last.found) if last and "anew" not in run.facts else "",
    }
    steps = EXERCISE if one.level is Level.EXERCISE else RESTORE
    return new_run(naming.restore_id(run.id, one.resource, one.level), steps, now, **facts)
