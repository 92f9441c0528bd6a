"""How a round of drills goes: chosen once, looked at in slices, reported; each leaves evidence."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from watchkeeper import naming
from watchkeeper.aws.drills import Planned
from watchkeeper.aws.ebs_blocks import WrongChecksum
from watchkeeper.aws.errors import NotThere, Refused
from watchkeeper.backups.model import COUNTS, Kind, RecoveryPoint
from watchkeeper.drills import controls, noted
from watchkeeper.drills.costs import estimate
from watchkeeper.drills.drilling import Drilling
from watchkeeper.drills.evidence import Control, Evidence, Point, digest
from watchkeeper.drills.exercise import EXERCISE
from watchkeeper.drills.forecast import MONTH, Shortfall
from watchkeeper.drills.janitor import JANITOR
from watchkeeper.drills.looks import looked_at
from watchkeeper.drills.model import Begun, Check, Drill, Level, Proof, Subject, Verdict
from watchkeeper.drills.page import page
from watchkeeper.drills.points import candidates, nothing
from watchkeeper.drills.restore import RESTORE
from watchkeeper.drills.rules import Choice, NoDrill, PutOff, choose
from watchkeeper.news.base import LINE, LINES
from watchkeeper.news.drills import DrillsChosen, DrillsFailed, DrillsReported
from watchkeeper.runs.record import Done, Report, Run, Step, Waiting, new_run

SLICE = 10
"""Drills between two savings of progress: a volume's blocks are some ninety calls, so ten instances
of three volumes take two to three minutes of a function's ten.
"""
TRIES = 3
"""Attempts that were cut off, after which it is the drill that ends them: so many Lambda itself
makes of an event. The engine gives up the whole round after five.
"""

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
        restores=[f"{one.name or one.resource}: {one.why}, ${one.cost}" for one in restores],
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
    known = cloud.known(everyone)
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
            point=one.point.id, others=bool(one.point.keeper), cost=str(Decimal(str(one.cost))),
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
    name = naming.restore_id(run.id, one.resource, one.level)
    return new_run(name, WORKFLOWS[facts["workflow"]], now, **facts)


def ensure_looked(run: Run, cloud: Drilling, now: datetime) -> Report:
    """Drill what needs no restore, slice after slice. Whatever keeps a drill from a verdict is its
    failure.

    Once an attempt was cut off, one by one: then the drill that crashes is known, and the others
    are drilled.
    """
    looked = int(run.facts.get("looked", "0"))
    slice_ = cloud.drills.of(run.id, looked, 1 if run.unclear_since else SLICE)
    if not slice_:
        return Done()
    latest = {
        (one.resource, one.level): cloud.proofs.newest(one.resource, one.level)
        for one in slice_
        if not one.is_restore
    }
    # What is restored has a run, and a verdict, of its own.
    read = [planned for planned in slice_ if not planned.is_restore]
    proofs = [_drill(run, planned, cloud, now) for planned in read]
    failed = [proof for proof in proofs if proof.verdict is Verdict.FAILED]
    fresh = [one for one in failed if _is_fresh(one, latest.get((one.resource, one.level)))]
    for proof in proofs:
        cloud.proofs.record(proof)
    names = {planned.resource: planned.name for planned in slice_}
    facts = {
        "looked": str(looked + len(slice_)),
        "passed": str(int(run.facts.get("passed", "0")) + len(proofs) - len(failed)),
        "failed": str(int(run.facts.get("failed", "0")) + len(failed)),
        "fresh": str(int(run.facts.get("fresh", "0")) + len(fresh)),
        "reasons": _lines(run, "reasons", failed, names),
        "fresh_reasons": _lines(run, "fresh_reasons", fresh, names),
    }
    return Waiting("the next slice", until=now, facts=facts)


def _is_fresh(proof: Proof, before: Proof | None) -> bool:
    """Whether people have not been told: it passed before, or this very run has failed it."""
    return before is None or before.verdict is Verdict.PASSED or before.run == proof.run


def _lines(run: Run, fact: str, proofs: Sequence[Proof], names: dict[str, str]) -> str:
    fresh = [f"{names[one.resource] or one.resource}: {one.why}" for one in proofs]
    lines = [*run.facts.get(fact, "").splitlines(), *fresh]
    return "\n".join(line.replace("\n", " ")[:LINE] for line in lines[:LINES])


def ensure_reported(run: Run, cloud: Drilling, now: datetime) -> Report:
    """Say how the round went; of what had passed before, or was never drilled, people are told."""
    failed = int(run.facts.get("failed", "0"))
    told = DrillsReported.about(
        run,
        at=now,
        passed=int(run.facts.get("passed", "0")),
        failed=failed,
        put_off=int(run.facts["put_off"]),
        reasons=run.facts.get("reasons", "").splitlines(),
    )
    if not (fresh := int(run.facts.get("fresh", "0"))):
        return Done(news=[told])
    failures = DrillsFailed.about(
        run,
        at=now,
        fresh=run.facts["fresh_reasons"].splitlines(),
        fresh_in_all=fresh,
        in_all=failed,
    )
    return Done(news=[told, failures])


# ── One drill ─────────────────────────────────────────────────────────────────────────────────────


def _drill(run: Run, planned: Planned, cloud: Drilling, now: datetime) -> Proof:
    """Look, write the evidence, and say what it proves."""
    known = cloud.others if planned.others else cloud.catalogue
    history = known.of(planned.resource)
    point = next((one for one in history if planned.point and one.id == planned.point), None)
    checks, failure = _asked(run, planned, point, history, cloud, now)
    proven = controls.proven(now)
    if not failure and (refused := controls.unproven(checks, proven)):
        failure = f"{refused[0]!r} was not seen to fail where it must, and proves nothing"
    if not failure and (bad := next((one for one in checks if not one.passed), None)):
        failure = f"{bad.name}: expected {bad.expected}, found {bad.found}"
    asked = {controls.question(check) for check in checks}
    of_these = tuple(control for name, control in proven.items() if name in asked)
    evidence = _evidence(run, planned, point, checks, failure, of_these, now)
    return _filed(run, planned, evidence, cloud)


def _asked(
    run: Run,
    planned: Planned,
    point: RecoveryPoint | None,
    history: Sequence[RecoveryPoint],
    cloud: Drilling,
    now: datetime,
) -> tuple[list[Check], str]:
    """The checks, and what kept them from being asked."""
    if run.attempts > TRIES:
        return [], f"the check crashed, or was cut off, {TRIES} times: see the function's log"
    if not planned.point:
        return [], planned.why
    if point is None or point.state not in COUNTS:
        return [], "it has been removed since it was chosen"
    try:
        checks = looked_at(point, history, planned.level, cloud, now, protected=planned.protected)
    except (NotThere, Refused, WrongChecksum) as error:
        return [], f"it could not be looked at: {error}"
    return checks, ""


def _evidence(
    run: Run,
    planned: Planned,
    point: RecoveryPoint | None,
    checks: Sequence[Check],
    failure: str,
    proven: tuple[Control, ...],
    now: datetime,
) -> Evidence:
    return Evidence(
        resource=planned.resource,
        kind=Kind.of(planned.resource) or Kind.VOLUME,
        name=planned.name,
        plan=planned.plan,
        level=planned.level,
        run=naming.drill_id(run.id, planned.level.value),
        why=planned.why,
        began_at=run.entered_at,
        ended_at=now,
        verdict=Verdict.FAILED if failure else Verdict.PASSED,
        failure=failure,
        point=Point.of(point) if point else None,
        checks=tuple(checks),
        controls=proven,
        versions={"python": platform.python_version()},
        cost_estimated=Decimal(planned.cost),
    )


def _filed(run: Run, planned: Planned, evidence: Evidence, cloud: Drilling) -> Proof:
    """Append the evidence to its chain. What an earlier attempt has filed stands."""

    def document(sequence: int, previous: str) -> bytes:
        return replace(evidence, sequence=sequence, previous=previous).to_json()

    sequence, stored = cloud.evidence.append(
        planned.resource, evidence.run, run.entered_at, document
    )
    filed = Evidence.of(stored)
    # If it has crashed on its page, an earlier attempt has filed its checks.
    if run.attempts <= TRIES or not filed.checks:
        cloud.evidence.write_page(planned.resource, sequence, page(filed, digest(stored)))
    return Proof(
        resource=planned.resource,
        level=planned.level,
        drilled_at=filed.ended_at,
        verdict=filed.verdict,
        point=planned.point,
        point_created_at=filed.point.created_at if filed.point else filed.ended_at,
        run=filed.run,
        why=filed.failure,
        sequence=sequence,
        digest=digest(stored),
    )


ROUND = (
    Step("choose", ensure_chosen,   within=timedelta(hours=1)),
    Step("begin",  ensure_begun,    within=timedelta(hours=1)),
    Step("look",   ensure_looked,   within=timedelta(hours=6)),
    Step("report", ensure_reported, within=timedelta(hours=1)),
)  # fmt: skip


WORKFLOWS = {"": ROUND, "restore": RESTORE, "exercise": EXERCISE, "janitor": JANITOR}


def workflow(run: Run) -> Sequence[Step]:
    return WORKFLOWS.get(run.facts.get("workflow", ""), ())
