"""How a recovery point is looked at without a restore: its metadata, and then its blocks."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from watchkeeper.aws.errors import NotThere
from watchkeeper.backups.coverage import newest_completed
from watchkeeper.backups.manifest import digest
from watchkeeper.backups.model import RecoveryPoint
from watchkeeper.drills import metadata, sampled
from watchkeeper.drills.costs import STANDARD
from watchkeeper.drills.drilling import Drilling, completed_before
from watchkeeper.drills.metadata import Seen
from watchkeeper.drills.model import Check, Level


def looked_at(
    point: RecoveryPoint,
    history: Iterable[RecoveryPoint],
    level: Level,
    cloud: Drilling,
    now: datetime,
    *,
    protected: bool = True,
) -> list[Check]:
    """The answers to every question of the level. Blocks are read of what its metadata says can be
    read. Of what no plan protects any more, nobody is owed a young recovery point.
    """
    known = list(history)
    before = completed_before(point, known)
    objective = _objective(point, known, cloud) if protected else None
    checks = metadata.checks(point, _seen(point, before, objective, cloud), now)
    if level is Level.BLOCKS and all(check.passed for check in checks):
        checks += sampled.read(point, before, cloud.blocks, cloud.manifests)[1]
        checks += _of_the_newest(point, known, cloud)
    return checks


def _of_the_newest(
    point: RecoveryPoint, history: Sequence[RecoveryPoint], cloud: Drilling
) -> list[Check]:
    """While an older one is drilled, the newest is read as well, if nobody has read it: it should
    be known what it was when it was young.
    """
    newest = newest_completed(history).get(point.resource)
    if newest is None or newest.id == point.id or newest.place.tier != STANDARD:
        return []
    if sampled.kept(newest, cloud.manifests):
        return []
    before = completed_before(newest, history)
    checks = sampled.read(newest, before, cloud.blocks, cloud.manifests)[1]
    return [replace(one, name=f"{one.name} of the newest") for one in checks]


def _objective(
    point: RecoveryPoint, history: Iterable[RecoveryPoint], cloud: Drilling
) -> timedelta | None:
    """How old the newest recovery point may be; None for any other one."""
    policy = cloud.backups()
    plan = policy.plans.get(point.plan) if policy else None
    is_newest = newest_completed(history).get(point.resource) == point
    return plan.rpo.approximate() if plan and is_newest else None


def _seen(
    point: RecoveryPoint,
    before: RecoveryPoint | None,
    objective: timedelta | None,
    cloud: Drilling,
) -> Seen:
    shown = cloud.shown[point.kind.service].named([part.snapshot for part in point.parts])
    # What an older version catalogued does not say its keys.
    keys = {*point.keys, *(one.key for one in shown)} - {""}
    return Seen(
        snapshots={one.id: one for one in shown},
        keys=cloud.keys.states(keys),
        manifest=_digest(point.id, cloud) if point.manifest else None,
        before=before,
        objective=objective,
    )


def _digest(name: str, cloud: Drilling) -> str | None:
    try:
        return digest(cloud.manifests.read(name))
    except NotThere:
        return None
