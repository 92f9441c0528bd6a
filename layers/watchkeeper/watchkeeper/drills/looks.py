"""How a recovery point is looked at without a restore: its metadata, and then its blocks."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from watchkeeper.aws.ebs_blocks import SnapshotReader
from watchkeeper.aws.errors import NotThere
from watchkeeper.backups.coverage import newest_completed
from watchkeeper.backups.manifest import digest
from watchkeeper.backups.model import Part, RecoveryPoint, Service
from watchkeeper.drills import blocks, metadata
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
        checks += _blocks(point, before, cloud)
    return checks


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


# ── Blocks ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Sampled:
    """What was found on one snapshot when it was first read: what it must hold ever after."""

    written: int
    """Blocks that were ever written."""
    formats: Mapping[str, str] = field(default_factory=dict)
    """By place on the disk."""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 by number of the sampled block."""


def _blocks(point: RecoveryPoint, before: RecoveryPoint | None, cloud: Drilling) -> list[Check]:
    then, earlier = _kept(point, cloud), _kept(before, cloud) if before else {}
    checks: list[Check] = []
    found: dict[str, Sampled] = {}
    for part in point.parts:
        found[part.volume], asked = _part(
            part, then.get(part.volume), earlier.get(part.volume), cloud
        )
        checks += asked
    if not then and all(check.passed for check in checks):
        cloud.manifests.write(_name(point), _to_json(found))
    return checks


def _part(
    part: Part, then: Sampled | None, earlier: Sampled | None, cloud: Drilling
) -> tuple[Sampled, list[Check]]:
    """Against what was kept of this very snapshot, or else against the one before it."""
    written = cloud.blocks.written(part.snapshot)
    reader = SnapshotReader(cloud.blocks, part.snapshot)
    survey = blocks.survey(reader, written.size_gib)
    wanted = (
        [int(number) for number in then.hashes]
        if then
        else blocks.sample(written, part.snapshot, survey.landmarks)
    )
    hashes = {number: reader.digest(number) for number in wanted}
    known = then or earlier
    checks = [
        blocks.not_collapsed(written, earlier.written if earlier else None),
        *blocks.sound(survey.findings, known.formats if known else None),
    ]
    if then:
        kept = {int(number): value for number, value in then.hashes.items()}
        checks.append(blocks.compare(kept, hashes))
    kept_now = {str(number): value for number, value in hashes.items() if value}
    return Sampled(len(written.present), survey.formats, kept_now), checks


def _name(point: RecoveryPoint) -> str:
    return f"{point.id}.blocks"


def _kept(point: RecoveryPoint, cloud: Drilling) -> dict[str, Sampled]:
    """Per volume, what an earlier look has kept; empty if nobody has looked."""
    if point.kind.service is not Service.EC2:
        return {}
    try:
        found = json.loads(cloud.manifests.read(_name(point)))
    except NotThere:
        return {}
    return {
        volume: Sampled(one["written"], one["formats"], one["hashes"])
        for volume, one in found["volumes"].items()
    }


def _to_json(found: Mapping[str, Sampled]) -> bytes:
    document = {"schema": 1, "volumes": {volume: asdict(one) for volume, one in found.items()}}
    return json.dumps(document, sort_keys=True, indent=1).encode()
