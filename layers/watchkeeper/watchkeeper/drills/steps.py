"""What each run of drills does, step by step: a round of them, one that restores something, an
exercise of people, and the janitor.
"""

from collections.abc import Sequence
from datetime import timedelta

from watchkeeper.drills.choosing import ensure_begun, ensure_chosen
from watchkeeper.drills.exercise import EXERCISE
from watchkeeper.drills.janitor import JANITOR
from watchkeeper.drills.reading import ensure_looked, ensure_reported
from watchkeeper.drills.restore import RESTORE
from watchkeeper.runs.record import Run, Step

ROUND = (
    Step("choose", ensure_chosen,   within=timedelta(hours=1)),
    Step("begin",  ensure_begun,    within=timedelta(hours=1)),
    Step("look",   ensure_looked,   within=timedelta(hours=6)),
    Step("report", ensure_reported, within=timedelta(hours=1)),
)  # fmt: skip


WORKFLOWS = {"": ROUND, "restore": RESTORE, "exercise": EXERCISE, "janitor": JANITOR}


def workflow(run: Run) -> Sequence[Step]:
    return WORKFLOWS.get(run.facts.get("workflow", ""), ())
