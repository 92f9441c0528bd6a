"""What backups rely on, of the catalogue in the table."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from watchkeeper.aws.catalogue import Catalogue, from_item
from watchkeeper.backups.model import RecoveryPoint, State

GOLDEN = Path(__file__).parents[1] / "golden" / "point-v1.json"
POINT = replace(from_item(json.loads(GOLDEN.read_text(encoding="utf-8"))), holds=())
LATER = [
    replace(POINT, id=f"{number:016x}", created_at=POINT.created_at + timedelta(days=number))
    for number in range(1, 8)
]


@pytest.fixture
def catalogue(table: str) -> Catalogue:
    return Catalogue(table, "watchkeeper")


def found(catalogue: Catalogue) -> list[RecoveryPoint]:
    return catalogue.of(POINT.resource)


def test_what_is_recorded_is_found_oldest_first_and_listed(catalogue: Catalogue) -> None:
    catalogue.record(reversed([POINT, *LATER]))
    assert found(catalogue) == [POINT, *LATER]
    assert list(catalogue.listed()) == [POINT, *LATER]


def test_recording_again_changes_nothing_and_enters_what_was_missing(catalogue: Catalogue) -> None:
    removed = replace(POINT, state=State.REMOVING)
    catalogue.record([POINT])
    assert catalogue.change(removed, State.COMPLETED)
    catalogue.record([POINT, *LATER])
    assert found(catalogue) == [removed, *LATER]


def test_a_change_is_refused_when_somebody_else_was_first(catalogue: Catalogue) -> None:
    catalogue.record([POINT])
    assert catalogue.change(replace(POINT, state=State.REMOVING), State.COMPLETED)
    assert not catalogue.change(replace(POINT, state=State.FAILED), State.COMPLETED)
    assert [point.state for point in found(catalogue)] == [State.REMOVING]


def test_a_hold_that_came_meanwhile_stops_a_removal(catalogue: Catalogue) -> None:
    held = replace(POINT, holds=("drill#1",))
    catalogue.record([held])
    assert not catalogue.change(replace(POINT, state=State.REMOVING), State.COMPLETED)
    assert found(catalogue) == [held]


def test_what_is_removed_leaves_the_list_and_stays_in_the_history(catalogue: Catalogue) -> None:
    catalogue.record([POINT, LATER[0]])
    gone = replace(POINT, state=State.REMOVED, why="no rule keeps it")
    assert catalogue.change(gone, State.COMPLETED)
    assert list(catalogue.listed()) == [LATER[0]]
    assert found(catalogue) == [gone, LATER[0]]
