"""An exercise: a page, a person who follows it, a signature; and nothing left of it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.crash.engine_world import DRILL, MISHAPS, START
from tests.unit.drills.restored import HOUR, MINUTE, NAME, POINT, STACK, DrillWorld, Thing
from watchkeeper import naming
from watchkeeper.backups.model import State
from watchkeeper.drills.exercise import ROOM, SIGN_WITHIN
from watchkeeper.drills.model import SignOff
from watchkeeper.drills.policy import DrillsPolicy

ALICE = "ops@example.com"
DAY = timedelta(days=1)
UNSIGNED = (
    "signed off: expected a person followed the page, and it went well, found nobody has signed it "
    "off"
)


def story(signed: bool | None, after: timedelta = 5 * HOUR, **changes: Any) -> DrillWorld:
    """A person restores it by the page, forgets half of it, and signs, or does not."""
    world = DrillWorld(level="exercise", **changes)
    world.live(after)
    tags = naming.drill_tags(STACK, DRILL, START + SIGN_WITHIN + ROOM)
    world.tables.there.append(Thing(f"table {NAME}", NAME, world.now, tags))
    if signed is not None:
        world.written.signed = SignOff(ALICE, passed=signed, note="", at=world.now)
    return world


@pytest.mark.parametrize(
    ("signed", "after", "verdict", "failure"),
    [
        (True, 5 * HOUR, "passed", ""),
        (True, 2 * DAY, "passed", ""),
        (False, 5 * HOUR, "failed", UNSIGNED.replace("nobody has signed it off", "failed, says")),
        (None, 5 * HOUR, "failed", UNSIGNED),
    ],
)
def test_it_ends_as_the_person_says(
    signed: bool | None, after: timedelta, verdict: str, failure: str
) -> None:
    world = story(signed, after).finish()

    assert world.verdict[0] == verdict
    assert world.verdict[1].startswith(failure)
    assert world.pages == ["ExerciseAsked", *(["DrillsFailed"] if failure else [])]
    assert world.tables.there == []
    assert world.written.running == set()
    assert world.now - START < SIGN_WITHIN + HOUR


def test_people_are_told_where_the_page_is_and_until_when() -> None:
    world = story(signed=True)
    (asked,) = world.news("ExerciseAsked")

    assert asked["page"] in world.written.pages
    assert asked["by"] == ALICE
    assert asked["until"].startswith("2026-11-26T02:0")
    assert DRILL in world.written.pages[asked["page"]].replace("&#x27;", "'")


@pytest.mark.parametrize("mishap", MISHAPS)
def test_a_mishap_at_any_call_changes_nothing(mishap: str) -> None:
    """One page to follow, one verdict, nothing left."""
    calm = story(signed=True, after=20 * MINUTE).finish()
    for call in range(1, calm.calls + 1):
        world = story(signed=True, after=20 * MINUTE, mishaps={call: mishap}).finish()
        assert world.verdict == ("passed", ""), f"{mishap} at call {call}"
        assert world.pages == ["ExerciseAsked"], f"{mishap} at call {call}"
        assert (world.tables.there, world.calls_of_the_dead) == ([], 0)
        assert len(world.written.chain) == 1


@pytest.mark.parametrize("there", [[], [replace(POINT, state=State.REMOVED)]])
def test_nobody_is_asked_to_restore_what_is_gone(there: list[Any]) -> None:
    world = DrillWorld(level="exercise")
    world.written.points = there
    world.finish()

    assert world.verdict == ("failed", "the recovery point has been removed since it was chosen")
    assert world.pages == ["DrillsFailed"]


def test_without_anybody_who_may_sign_it_is_not_even_asked_for() -> None:
    """A drill by hand does not ask the policy whether there is somebody."""
    world = DrillWorld(level="exercise")
    world.written.policy = DrillsPolicy()
    world.finish()

    assert world.verdict == ("failed", "the policy of drills names nobody who may sign it off")
    assert world.pages == ["DrillsFailed"]
    assert world.now - START < HOUR
