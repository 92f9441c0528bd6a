"""The verdict of a drill: its evidence, what it proves, and what people are told."""

import platform
from datetime import datetime, timedelta
from decimal import Decimal

from watchkeeper import naming
from watchkeeper.aws.errors import Refused
from watchkeeper.backups.model import COUNTS, Kind, RecoveryPoint
from watchkeeper.drills import controls, filing, noted, objectives
from watchkeeper.drills.drilling import Drilling
from watchkeeper.drills.evidence import Evidence, Point
from watchkeeper.drills.model import Check, Level, Phases, Verdict
from watchkeeper.news.drills import DrillsFailed, RestoreDrilled
from watchkeeper.runs.record import Done, Failed, Report, Run


def ensure_judged(run: Run, cloud: Drilling, now: datetime) -> Report:
    """Write the evidence; record what it proves; say so. There is no drill without a verdict."""
    try:
        return _judged(run, cloud, now)
    except Refused as error:
        return Failed(f"the verdict could not be written down: {error}")


def _judged(run: Run, cloud: Drilling, now: datetime) -> Report:
    document = filing.append(_evidence(run, cloud, now), cloud.evidence)
    filing.write_page(document, cloud.evidence)
    filed = document.evidence  # an earlier attempt's, if there was one
    # What passed is compared with the next time; until then, what had passed before.
    found = "remember" if filed.verdict is Verdict.PASSED else "before"
    cloud.proofs.record(filing.proof_of(document, noted.read_pairs(run.facts.get(found, ""))))
    cloud.begun.end(run.id, naming.parse_instant(run.facts["begun_at"]))
    told = RestoreDrilled.of(run, filed, now)
    # Of a run that failed as a run, the engine tells.
    if filed.verdict is Verdict.PASSED or run.failure:
        return Done(news=[told])
    line = f"{filed.name or filed.resource}: {filed.failure}"
    page = DrillsFailed.about(run, at=now, fresh=[line], fresh_in_all=1, in_all=1)
    return Done(news=[told, page])


def _evidence(run: Run, cloud: Drilling, now: datetime) -> Evidence:
    facts, resource = run.facts, run.facts["resource"]
    level, plan = Level(facts["level"]), facts["plan"]
    point, began_at = cloud.point(run), naming.parse_instant(facts["begun_at"])
    phases = _phases(run)
    newest = _at(run, "newest_data")
    objective = cloud.policy().objective(plan)
    checks = [
        check for name in ("looked", "examined") for check in noted.read_checks(facts.get(name, ""))
    ]
    failure = run.failure or facts.get("failed") or ("" if checks else "nothing was checked")
    if not failure and level is not Level.EXERCISE:  # a person answers when they have the time
        checks.append(objectives.recovery_time(phases, objective))
    proven = controls.proven(now)
    failure = failure or _first_failure(checks) or controls.refusal(checks, proven)
    if not (failure or point):
        failure = "the recovery point has been removed since it was restored"
    is_newest = point is not None and _is_newest(point, phases.asked or began_at, cloud)
    return Evidence(
        resource=resource,
        kind=Kind.of(resource) or Kind.VOLUME,
        name=facts["name"],
        plan=plan,
        level=level,
        run=run.id,
        why=facts["why"],
        began_at=began_at,
        ended_at=now,
        verdict=Verdict.FAILED if failure else Verdict.PASSED,
        failure=failure,
        point=Point.of(point) if point else None,
        phases=phases,
        newest_data=newest,
        rpo_reached=_age(newest, point, phases) if is_newest else None,
        rpo_objective=cloud.objective(plan) if is_newest else None,
        rto_objective=objective,
        checks=tuple(checks),
        controls=controls.those_of(checks, proven),
        versions={"python": platform.python_version()},
        cost_estimated=Decimal(facts["cost"]),
        removed=tuple(facts.get("removed", "").splitlines()),
    )


def _first_failure(checks: list[Check]) -> str:
    bad = next((one for one in checks if not one.passed), None)
    return noted.failure(bad) if bad else ""


def _phases(run: Run) -> Phases:
    return Phases(
        asked=_at(run, "asked_at"),
        available=_at(run, "available_at"),
        initialised=_at(run, "initialised_at"),
        verified=_at(run, "verified_at"),
        torn_down=_at(run, "torn_down_at"),
    )


def _at(run: Run, fact: str) -> datetime | None:
    return naming.parse_instant(run.facts[fact]) if run.facts.get(fact) else None


def _is_newest(point: RecoveryPoint, asked_at: datetime, cloud: Drilling) -> bool:
    """Whether it was the newest one then: of an older one, on purpose, the age is no measure."""
    known = cloud.others if point.keeper else cloud.catalogue
    return not any(
        point.created_at < one.created_at <= asked_at and one.state in COUNTS
        for one in known.of(point.resource)
    )


def _age(newest: datetime | None, point: RecoveryPoint | None, phases: Phases) -> timedelta | None:
    """How old the newest data was when its restore was asked for: what would have been lost."""
    newest = newest or (point.newest_data if point else None)
    return phases.asked - newest if newest and phases.asked else None
