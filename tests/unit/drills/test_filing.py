"""Filing: what stands in the chain is what the page shows and what the table remembers."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import cast

from tests.crash.engine_world import DRILL, START
from tests.unit.drills.restored import HOUR, POINT, Written, check
from watchkeeper import naming
from watchkeeper.aws.evidence import EvidenceStore
from watchkeeper.backups.model import Kind
from watchkeeper.drills import filing
from watchkeeper.drills.evidence import Evidence, Point, digest
from watchkeeper.drills.model import Level, Phases, Proof, Verdict

PHASES = Phases(*(START + number * HOUR for number in range(5)))
DRILLED = Evidence(
    resource=POINT.resource, kind=Kind.TABLE, name="rates", plan="gold", level=Level.CHECK,
    run=DRILL, why="most overdue", began_at=START, ended_at=START + 5 * HOUR,
    verdict=Verdict.PASSED, point=Point.of(POINT), phases=PHASES, newest_data=START - HOUR,
    checks=(check(),), cost_estimated=Decimal("0.1"),
)  # fmt: skip


def store(written: Written) -> EvidenceStore:
    return cast("EvidenceStore", written)


def test_the_table_remembers_the_document_as_stored() -> None:
    written = Written(chain=[("another drill", b"{}")])
    filed = filing.append(DRILLED, store(written))
    stored = written.chain[1][1]

    assert filed.evidence == replace(DRILLED, sequence=2, previous=digest(b"{}"))
    assert filing.proof_of(filed, {"its size": "8"}) == Proof(
        resource=POINT.resource, level=Level.CHECK, drilled_at=START + 5 * HOUR,
        verdict=Verdict.PASSED, point=POINT.id, point_created_at=POINT.created_at, run=DRILL,
        newest_data=START - HOUR, phases=PHASES, sequence=2, digest=digest(stored),
        found={"its size": "8"},
    )  # fmt: skip


def test_what_an_earlier_attempt_has_filed_stands() -> None:
    written = Written()
    first = filing.append(DRILLED, store(written))
    later = replace(
        DRILLED, verdict=Verdict.FAILED, failure="too late", ended_at=START + timedelta(days=1)
    )

    assert filing.append(later, store(written)) == first
    assert len(written.chain) == 1


def test_the_page_lies_beside_its_document_and_shows_its_digest() -> None:
    written = Written(chain=[("another drill", b"{}")])
    filed = filing.append(DRILLED, store(written))
    filing.write_page(filed, store(written))

    (key,) = written.pages
    assert key == naming.evidence_page_key(POINT.resource, 2)
    assert filed.digest in written.pages[key]


def test_without_a_recovery_point_the_proof_names_none() -> None:
    nothing = replace(DRILLED, verdict=Verdict.FAILED, failure="nothing to drill", point=None)
    proof = filing.proof_of(filing.append(nothing, store(Written())))

    assert (proof.point, proof.point_created_at) == ("", nothing.ended_at)
    assert (proof.why, proof.found) == ("nothing to drill", {})
