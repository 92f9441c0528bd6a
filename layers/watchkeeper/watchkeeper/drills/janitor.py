"""Removes what drills have left, found by tag and expiry alone: whatever became of its run."""

from datetime import datetime, timedelta

from watchkeeper.aws.errors import Refused
from watchkeeper.drills.drilling import Drilling
from watchkeeper.drills.restoring import Left
from watchkeeper.news.drills import LeftoversFound
from watchkeeper.runs.record import Done, Failed, Report, Run, Step, Waiting


def ensure_swept(run: Run, cloud: Drilling, now: datetime) -> Report:
    """Until nothing of this stack's is older than it may be. Drills that run are left alone: what
    they make expires later than they may last.
    """
    try:
        found = [
            (remover, one)
            for remover in cloud.every_remover()
            for one in remover.left()
            if _has_expired(one, cloud.stack, now)
        ]
        for remover, one in found:
            remover.remove(one, now)
    except Refused as error:
        return Failed(f"what a drill has left could not be removed: {error}")
    if not found:
        return Done()
    names = [f"{one.what} of {one.drill}" for _, one in found]
    facts = {"found": str(max(len(names), int(run.facts.get("found", "0"))))}
    if "found" in run.facts:  # people have been told
        return Waiting(f"{len(names)} things to be gone", facts=facts)
    told = LeftoversFound.about(run, at=now, things=names, in_all=len(names))
    return Waiting(f"{len(names)} things to be gone", facts=facts, news=[told])


def _has_expired(one: Left, stack: str, now: datetime) -> bool:
    return one.stack == stack and one.expires_at is not None and one.expires_at <= now


JANITOR = (
    Step("sweep", ensure_swept, within=timedelta(hours=2), always=True),
)  # fmt: skip
