"""How a round drills what needs no restore: looked at in slices, reported; each leaves evidence."""

import platform
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from watchkeeper import naming
from watchkeeper.aws.drills import Planned
from watchkeeper.aws.ebs_blocks import WrongChecksum
from watchkeeper.aws.errors import NotThere, Refused
from watchkeeper.backups.model import COUNTS, Kind, RecoveryPoint
from watchkeeper.drills import controls, filing
from watchkeeper.drills.drilling import Drilling
from watchkeeper.drills.due import READING, SAYS
from watchkeeper.drills.evidence import Control, Evidence, Point
from watchkeeper.drills.looks import looked_at
from watchkeeper.drills.model import Check, Level, Proof, Verdict
from watchkeeper.news.base import LINE, LINES
from watchkeeper.news.drills import DrillsFailed, DrillsReported
from watchkeeper.runs.record import Done, Report, Run, Waiting

SLICE = 10
"""Drills between two savings of progress: a volume's blocks are some ninety calls, so ten instances
of three volumes take two to three minutes of a function's ten.
"""
TRIES = 3
"""Attempts that were cut off, after which it is the drill that ends them: so many Lambda itself
makes of an event. The engine gives up the whole round after five.
"""


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
    # What is restored has a run, and a verdict, of its own.
    read = [planned for planned in slice_ if not planned.is_restore]
    proofs = [_drill(run, planned, cloud, now) for planned in read]
    failed = [proof for proof in proofs if proof.verdict is Verdict.FAILED]
    fresh = [one for one in failed if is_fresh(one, _known(run, one, cloud))]
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


def _known(run: Run, failed: Proof, cloud: Drilling) -> list[Proof]:
    """What was proved of its resource before this round. What an earlier attempt of this round has
    recorded was not told yet.
    """
    of_this = {naming.drill_id(run.id, level.value) for level in READING}
    newest = (cloud.proofs.newest(failed.resource, level) for level in Level)
    return [one for one in newest if one and one.run not in of_this]


def is_fresh(failed: Proof, known: Collection[Proof]) -> bool:
    """Whether people have not been told of a failure: since its level was last well, nothing has
    failed at it, and at no other one for the very same reason. `known` is the newest of each level.
    """
    passed = [one for one in known if one.verdict is Verdict.PASSED]
    well = max((one.drilled_at for one in passed if one.level in SAYS[failed.level]), default=None)
    return not any(
        one.verdict is Verdict.FAILED
        and (well is None or one.drilled_at > well)
        and (one.level is failed.level or one.why == failed.why)
        for one in known
    )


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
    failure = failure or controls.refusal(checks, proven)
    if not failure and (bad := next((one for one in checks if not one.passed), None)):
        failure = f"{bad.name}: expected {bad.expected}, found {bad.found}"
    of_these = controls.those_of(checks, proven)
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
    """What an earlier attempt has filed stands."""
    filed = filing.append(evidence, cloud.evidence)
    # If it has crashed on its page, an earlier attempt has filed its checks.
    if run.attempts <= TRIES or not filed.evidence.checks:
        filing.write_page(filed, cloud.evidence)
    # Of a point that has been removed since it was chosen, the evidence holds nothing.
    return replace(filing.proof_of(filed), point=planned.point)
