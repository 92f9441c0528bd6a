"""What was found on the disks of a recovery point when it was first read: what it must hold ever
after, where its snapshots lie and on whatever is restored of them. Kept beside its manifest.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from watchkeeper.aws.ebs_blocks import SnapshotBlocks, SnapshotReader
from watchkeeper.aws.errors import NotThere
from watchkeeper.aws.objects import ManifestReader, Manifests
from watchkeeper.backups.model import Part, RecoveryPoint, Service
from watchkeeper.drills import blocks
from watchkeeper.drills.model import Check


@dataclass(frozen=True)
class Sampled:
    """One disk."""

    written: int
    """Blocks that were ever written."""
    formats: Mapping[str, str] = field(default_factory=dict)
    """By place on the disk."""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 by number of the sampled block."""


def kept(point: RecoveryPoint, manifests: ManifestReader) -> dict[str, Sampled]:
    """Per volume, what an earlier look has kept; empty if nobody has looked."""
    if point.kind.service is not Service.EC2:
        return {}
    try:
        return _from_json(manifests.read(_name(point)))
    except NotThere:
        return {}


def read(
    point: RecoveryPoint,
    before: RecoveryPoint | None,
    snapshots: SnapshotBlocks,
    manifests: Manifests,
) -> tuple[dict[str, Sampled], list[Check]]:
    """What its snapshots hold, compared with what was kept of them, or else of the recovery point
    before. Of those that nobody has looked at before, what is sound is kept.
    """
    then, earlier = kept(point, manifests), kept(before, manifests) if before else {}
    checks: list[Check] = []
    found: dict[str, Sampled] = {}
    for part in point.parts:
        found[part.volume], asked = _part(
            part, then.get(part.volume), earlier.get(part.volume), snapshots
        )
        checks += asked
    if not then and all(check.passed for check in checks):
        return _from_json(manifests.write(_name(point), _to_json(found))), checks
    return found, checks


def _part(
    part: Part, then: Sampled | None, earlier: Sampled | None, snapshots: SnapshotBlocks
) -> tuple[Sampled, list[Check]]:
    """Against what was kept of this very snapshot, or else against the one before it."""
    written = snapshots.written(part.snapshot)
    reader = SnapshotReader(snapshots, part.snapshot)
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
        as_then = {int(number): value for number, value in then.hashes.items()}
        checks.append(blocks.compare(as_then, hashes))
    kept_now = {str(number): value for number, value in hashes.items() if value}
    return Sampled(len(written.present), survey.formats, kept_now), checks


def _name(point: RecoveryPoint) -> str:
    return f"{point.id}.blocks"


def _from_json(document: bytes) -> dict[str, Sampled]:
    return {
        volume: Sampled(one["written"], one["formats"], one["hashes"])
        for volume, one in json.loads(document)["volumes"].items()
    }


def _to_json(found: Mapping[str, Sampled]) -> bytes:
    document = {"schema": 1, "volumes": {volume: asdict(one) for volume, one in found.items()}}
    return json.dumps(document, sort_keys=True, indent=1).encode()
