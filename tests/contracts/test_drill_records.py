"""What drills rely on, of their records: the newest proof rules; a long choice is kept whole."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from watchkeeper import naming
from watchkeeper.aws.drills import TOGETHER, DrillTable, Planned
from watchkeeper.aws.proofs import ProofTable
from watchkeeper.drills.model import Level, Proof, Verdict

RATES = "arn:aws:dynamodb:eu-west-1:111122223333:table/rates"
AT = datetime(2026, 11, 23, 9, 2, tzinfo=UTC)
PASSED = Proof(
    resource=RATES, level=Level.METADATA, drilled_at=AT, verdict=Verdict.PASSED, point="0" * 16,
    point_created_at=AT - timedelta(hours=7), run="drill#round#2026-11-23T09:00Z#metadata",
    sequence=1, digest="ab" * 32,
)  # fmt: skip
BY_HAND = replace(
    PASSED, drilled_at=AT + timedelta(minutes=1), verdict=Verdict.FAILED, why="gone", sequence=2
)
LATER = replace(PASSED, drilled_at=AT + timedelta(days=1), sequence=3)
BLOCKS = replace(PASSED, level=Level.BLOCKS)


@pytest.fixture
def proofs(table: str) -> ProofTable:
    return ProofTable(table, "watchkeeper")


def history(proofs: ProofTable) -> Iterator[int]:
    values = {":pk": naming.proof_pk(RATES), ":level": "LEVEL#"}
    for item in proofs.query("pk = :pk AND sk < :level", values):
        yield item["sequence"]


@pytest.mark.parametrize("order", list(permutations([PASSED, BY_HAND, LATER])))
def test_in_whatever_order_proofs_come_the_newest_of_a_level_rules(
    proofs: ProofTable, order: tuple[Proof, ...]
) -> None:
    """A drill by hand and a round end side by side, and either may be held up on its way."""
    proofs.record(BLOCKS)
    for one in order:
        proofs.record(one)

    assert proofs.newest(RATES, Level.METADATA) == LATER
    assert sorted(proofs.latest(), key=lambda one: one.level) == [BLOCKS, LATER]
    assert list(history(proofs)) == [1, 1, 2, 3]


def test_the_same_again_changes_nothing(proofs: ProofTable) -> None:
    for one in (PASSED, BY_HAND, PASSED, BY_HAND):
        proofs.record(one)

    assert list(proofs.latest()) == [BY_HAND]
    assert list(history(proofs)) == [1, 2]


def test_of_what_was_never_drilled_there_is_no_proof(proofs: ProofTable) -> None:
    proofs.record(PASSED)

    assert proofs.newest(RATES, Level.BLOCKS) is None


@pytest.mark.parametrize("number", [0, 1, TOGETHER, 2 * TOGETHER + 3])
def test_a_choice_is_read_back_whole_in_slices(table: str, number: int) -> None:
    drills = DrillTable(table)
    planned = [
        Planned(f"{RATES}-{one}", f"rates {one}", "gold", Level.METADATA, "never proved")
        for one in range(number)
    ]
    drills.freeze("drill#round", planned, {"drills": str(number)})
    drills.freeze("drill#round", planned[:1], {"drills": "another attempt's"})

    found: list[Planned] = []
    while slice_ := drills.of("drill#round", len(found), 150):
        found += slice_
    assert found == planned
    assert drills.decided("drill#round") == {"drills": str(number)}
