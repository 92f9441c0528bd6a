"""Removes what drills have left, found by tag and expiry alone: whatever became of its run."""

from collections.abc import Callable
from datetime import datetime, timedelta

from watchkeeper import naming
from watchkeeper.drills.clearing import clear, find
from watchkeeper.drills.drilling import Drilling
from watchkeeper.drills.restore import LONGEST
from watchkeeper.drills.restoring import Left
from watchkeeper.news.drills import LeftoversFound
from watchkeeper.runs.record import Done, Failed, Report, Run, Step, Waiting

AN_HOUR = timedelta(hours=1)
BEGUN_BEFORE = timedelta(days=30)
"""What names no expiry and was begun earlier than that is not looked up any more."""


def ensure_swept(run: Run, cloud: Drilling, now: datetime) -> Report:
    """Until nothing of this stack's is older than it may be. Drills that run are left alone: what
    they make expires later than they may last. There is one janitor at a time: people are told of
    a thing once, and then daily that it is still there.
    """
    if "told" not in run.facts and (at_it := _at_it_already(run, cloud)):
        return Done({"at_it": at_it})
    found = find(cloud.every_remover(), _has_expired(cloud, now))
    told = run.facts.get("told", "").splitlines()
    fresh = [_named(one) for _, one in found.things if _named(one) not in told]
    if fresh:  # of what goes at once, people can be told only before that
        facts = {"told": "\n".join([*told, *fresh])}
        of = naming.instant(now)
        news = LeftoversFound.about(run, at=now, of=of, things=fresh, in_all=len(fresh))
        return Waiting(f"{len(fresh)} things to be removed", until=now, facts=facts, news=[news])
    cleared = clear(found, _named, now)
    if cleared.refused:
        return Failed(f"what a drill has left could not be removed: {cleared.refused[0]}")
    return Waiting(cleared.on) if cleared.waits else Done()


def _at_it_already(run: Run, cloud: Drilling) -> str:
    """The run of an earlier hour that has not ended: each says to the next who it is."""
    before = cloud.runs.find(naming.janitor_id(run.entered_at - AN_HOUR))
    at_it = before.facts.get("at_it", before.id) if before else ""
    other = cloud.runs.find(at_it) if at_it else None
    return at_it if other and other.step else ""


def _named(one: Left) -> str:
    return f"{one.what} of {one.drill}"


def _has_expired(cloud: Drilling, now: datetime) -> Callable[[Left], bool]:
    """Tables are tagged only once they are there. Of one that never was, the drill's own name says
    whose it is; the drill may have begun late.
    """
    begun: dict[str, datetime] = {}

    def expires_at(one: Left) -> datetime | None:
        if one.stack or one.expires_at:
            return one.expires_at if one.stack == cloud.stack else None
        if not begun:
            known = cloud.begun.since(now - BEGUN_BEFORE)
            begun.update(
                (naming.drill_name(cloud.stack, each.run), each.begun_at) for each in known
            )
        return begun[one.drill] + 2 * LONGEST if one.drill in begun else None

    return lambda one: (at := expires_at(one)) is not None and at <= now


JANITOR = (
    Step("sweep", ensure_swept, within=timedelta(hours=2), always=True),
)  # fmt: skip
