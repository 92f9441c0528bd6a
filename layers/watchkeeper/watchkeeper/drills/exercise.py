"""An exercise: a person restores something by following the printed page, and signs it off."""

from datetime import datetime, timedelta

from watchkeeper import naming
from watchkeeper.backups.model import COUNTS
from watchkeeper.drills import noted
from watchkeeper.drills.drilling import Drilling
from watchkeeper.drills.exercise_page import Handout, exercise_page
from watchkeeper.drills.judge import ensure_judged
from watchkeeper.drills.objectives import signed_off
from watchkeeper.drills.restore import DISMANTLE
from watchkeeper.news.drills import ExerciseAsked
from watchkeeper.runs.record import Done, Report, Run, Step, Waiting

SIGN_WITHIN = timedelta(days=3)
"""A person has other things to do, and a weekend; what they have made expires after that, too."""
SIGN_OFF = "sign off"
"""The step that waits for that."""
ROOM = timedelta(hours=6)
"""After the last moment to sign, for what was made at that moment."""


def ensure_handed_out(run: Run, cloud: Drilling, now: datetime) -> Report:
    """Write the page, and tell people where it lies."""
    point, may_sign = cloud.point(run), cloud.policy().sign_off
    if point is None or point.state not in COUNTS:
        return Done({"failed": "the recovery point has been removed since it was chosen"})
    if not may_sign:
        return Done({"failed": "the policy of drills names nobody who may sign it off"})
    until = run.entered_at + SIGN_WITHIN
    out = Handout(
        run=run.id,
        drill=naming.drill_name(cloud.stack, run.id),
        resource_name=run.facts["name"],
        point=point,
        tags=naming.drill_tags(cloud.stack, run.id, until + ROOM),
        where=cloud.where,
        may_sign=may_sign,
        until=until,
    )
    told = ExerciseAsked.about(
        run,
        at=now,
        resource=run.facts["resource"],
        name=run.facts["name"],
        page=cloud.evidence.write_exercise(out.drill, exercise_page(out)),
        by=", ".join(out.may_sign),
        until=until,
    )
    return Done({"asked_at": naming.instant(now)}, news=[told])


def ensure_signed_off(run: Run, cloud: Drilling, now: datetime) -> Report:
    if "failed" in run.facts:
        return Done()
    signed = cloud.drills.signed(run.id)
    if signed is None and now <= run.entered_at + SIGN_WITHIN:
        return Waiting(f"one of {', '.join(cloud.policy().sign_off)} to sign it off")
    check = signed_off(signed)
    facts = {"examined": noted.checks([check])}
    if not check.passed:
        facts["failed"] = noted.failure(check)
    return Done(facts)


EXERCISE = (
    Step("hand out",  ensure_handed_out,  within=timedelta(hours=1)),
    Step(SIGN_OFF,    ensure_signed_off,  within=SIGN_WITHIN + timedelta(hours=1)),
    DISMANTLE,
    Step("judge",     ensure_judged,      within=timedelta(hours=1), always=True),
)  # fmt: skip
