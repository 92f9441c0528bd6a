"""Which failures of drills that only read people are told of: each once, until it is well."""

from dataclasses import replace

import pytest

from tests.unit.drills.fleet import NOW, arn, days_ago, proof
from watchkeeper.backups.model import Kind
from watchkeeper.drills.model import Level, Proof, Verdict
from watchkeeper.drills.reading import is_fresh

DISK = arn(Kind.VOLUME, "disk")


def failed(level: Level, days: float, why: str = "its key is disabled") -> Proof:
    return replace(proof(DISK, level, days_ago(days), Verdict.FAILED), why=why)


def passed(level: Level, days: float) -> Proof:
    return proof(DISK, level, days_ago(days))


OTHER = "its age: expected at most a day"


@pytest.mark.parametrize(
    ("known", "is_told"),
    [
        ([], True),
        ([passed(Level.BLOCKS, 7)], True),
        # At this level, for whatever reason.
        ([failed(Level.BLOCKS, 7)], False),
        ([failed(Level.BLOCKS, 7, OTHER)], False),
        # At another one, for the very same.
        ([failed(Level.CHECK, 3), passed(Level.BLOCKS, 7)], False),
        ([failed(Level.METADATA, 3), passed(Level.BLOCKS, 7)], False),
        ([failed(Level.CHECK, 3, OTHER), passed(Level.BLOCKS, 7)], True),
        # It was well since, at this level or at a higher one.
        ([failed(Level.CHECK, 7), passed(Level.BLOCKS, 3)], True),
        ([failed(Level.BLOCKS, 7), passed(Level.CHECK, 3)], True),
        ([failed(Level.METADATA, 7), passed(Level.CHECK, 3)], True),
        # A lower one says nothing of it.
        ([failed(Level.BLOCKS, 7), passed(Level.METADATA, 3)], False),
    ],
)
def test_each_failure_is_told_once_until_it_is_well(known: list[Proof], is_told: bool) -> None:
    now = replace(failed(Level.BLOCKS, 0), drilled_at=NOW)
    assert is_fresh(now, known) is is_told
