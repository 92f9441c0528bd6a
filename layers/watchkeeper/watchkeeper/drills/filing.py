"""How a verdict is filed: its evidence is appended to the resource's chain, a page for people lies
beside it, and the table remembers what it proves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from watchkeeper.aws.evidence import EvidenceStore
from watchkeeper.drills.evidence import Evidence, digest
from watchkeeper.drills.model import Proof
from watchkeeper.drills.page import page


@dataclass(frozen=True)
class Filed:
    """A document as it stands in its chain, whichever attempt has written it."""

    evidence: Evidence
    sequence: int
    """Its number in the chain, by its key."""
    digest: str
    """SHA-256, in hex, of the bytes as stored."""


def append(evidence: Evidence, store: EvidenceStore) -> Filed:
    """What an earlier attempt of the same run has filed stands, so go on with what this gives."""

    def document(sequence: int, previous: str) -> bytes:
        return replace(evidence, sequence=sequence, previous=previous).to_json()

    sequence, stored = store.append(evidence.resource, evidence.run, evidence.began_at, document)
    return Filed(Evidence.of(stored), sequence, digest(stored))


def write_page(filed: Filed, store: EvidenceStore) -> None:
    store.write_page(filed.evidence.resource, filed.sequence, page(filed.evidence, filed.digest))


def proof_of(filed: Filed, found: Mapping[str, str] | None = None) -> Proof:
    """What the table remembers; `found` is for the next drill to compare with."""
    known = filed.evidence
    return Proof(
        resource=known.resource,
        level=known.level,
        drilled_at=known.ended_at,
        verdict=known.verdict,
        point=known.point.id if known.point else "",
        point_created_at=known.point.created_at if known.point else known.ended_at,
        run=known.run,
        why=known.failure,
        newest_data=known.newest_data,
        phases=known.phases,
        sequence=filed.sequence,
        digest=filed.digest,
        found=found or {},
    )
