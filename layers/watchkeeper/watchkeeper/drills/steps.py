"""What each run of drills does, step by step: a round of them, one that restores something, an
exercise of people, and the janitor.

A wake-up needs one of these tables, and what it acts on is half of a cold start: each is imported
when it is needed.
"""
# ruff: noqa: PLC0415 (as said above)

from collections.abc import Sequence

from watchkeeper.runs.record import Run, Step


def workflow(run: Run) -> Sequence[Step]:
    return table(run.facts.get("workflow", ""))


def table(name: str) -> Sequence[Step]:
    """Stored names; of one that this version does not know, no steps."""
    match name:
        case "":
            from watchkeeper.drills.rounds import ROUND

            return ROUND
        case "restore":
            from watchkeeper.drills.restore import RESTORE

            return RESTORE
        case "exercise":
            from watchkeeper.drills.exercise import EXERCISE

            return EXERCISE
        case "janitor":
            from watchkeeper.drills.janitor import JANITOR

            return JANITOR
        case _:
            return ()
