"""What drills have left is found by its tags alone, removed, and told of once."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest

from tests.crash.engine_world import DRILL, MISHAPS, START
from tests.unit.drills.restored import HOUR, RATES, STACK, DrillWorld, Thing
from watchkeeper import naming
from watchkeeper.drills.janitor import JANITOR
from watchkeeper.drills.model import Begun, Level
from watchkeeper.drills.restore import LONGEST
from watchkeeper.runs.record import Run, Stop, new_run

OLD = "drill#round#2026-11-19T09:00Z#0123456789abcdef#check"
DAY = timedelta(days=1)


def thing(
    expires: datetime = START, changes: Mapping[str, str] = MappingProxyType({}), run: str = OLD
) -> Thing:
    tags = {**naming.drill_tags(STACK, run, expires), **changes}
    return Thing(
        f"table {naming.drill_name(STACK, run)}",
        naming.drill_name(STACK, run),
        START - 4 * DAY,
        tags,
    )


def world(
    *there: Thing, run: Run | None = None, mishaps: Mapping[int, str] = MappingProxyType({})
) -> DrillWorld:
    made = DrillWorld(start=run or new_run(DRILL, JANITOR, START, workflow="janitor"))
    made.mishaps = dict(mishaps)
    made.workflow = lambda run: JANITOR
    made.tables.there += there
    return made


LEFT = [
    (thing(), True),
    (thing(expires=START + 30 * timedelta(minutes=1)), False),
    (thing(changes={naming.TAG_STACK: "other"}), False),
    (replace(thing(), tags={}), False),
    (replace(thing(), tags={naming.TAG_EXPIRES: naming.instant(START)}), False),
    (thing(changes={naming.TAG_EXPIRES: "soon"}), False),
]


@pytest.mark.parametrize(("left", "is_removed"), LEFT)
def test_what_has_expired_and_is_this_stacks_is_removed(left: Thing, is_removed: bool) -> None:
    there = world(replace(left))
    there.finish()

    assert (there.tables.there == []) is is_removed
    assert there.pages == (["LeftoversFound"] if is_removed else [])


def test_one_that_was_never_tagged_is_known_by_its_drills_name() -> None:
    """A table takes its tags when it is there; whoever was to tag it may have been lost."""
    left = replace(thing(), tags={})
    began = START - 2 * LONGEST
    for begun_at, is_removed in ((began, True), (began + HOUR, False)):
        there = world(replace(left))
        there.written.begun = [Begun(OLD, RATES, "p", Level.CHECK, begun_at, 0.1)]
        there.finish()
        assert (there.tables.there == []) is is_removed


def test_people_are_told_what_it_is_and_once() -> None:
    there = world(thing())
    there.finish()

    (page,) = there.news("LeftoversFound")
    assert page["things"] == [
        f"table {naming.drill_name(STACK, OLD)} of {naming.drill_name(STACK, OLD)}"
    ]
    assert there.now - START < HOUR


@pytest.mark.parametrize("mishap", MISHAPS)
def test_a_mishap_at_any_call_changes_nothing(mishap: str) -> None:
    calm = world(thing()).finish()
    for call in range(1, calm.calls + 1):
        there = world(thing(), mishaps={call: mishap})
        there.finish()
        assert there.tables.there == []
        assert there.run.is_over
        assert there.pages == ["LeftoversFound"], f"{mishap} at call {call}"


def test_a_stop_does_not_hold_it() -> None:
    there = world(thing())
    there.runs.stop_item = Stop(why="a freeze", by="alice")
    there.live(HOUR)

    assert there.tables.there == []


def test_what_cannot_be_removed_keeps_nothing_else_from_being_so() -> None:
    stuck = replace(thing(), what="cluster x")
    there = world(stuck, thing(), replace(thing(), what="verifier of x"))
    there.tables.held = "verifier"
    there.live(timedelta(days=2, hours=12))

    assert [one.what for one in there.tables.there] == ["cluster x", "verifier of x"]
    # Told of once; that it is not gone, at once and daily.
    assert there.pages.count("LeftoversFound") == 1
    assert there.pages.count("StepOverdue") == 3
    there.tables.held = ""
    there.finish()
    assert [one.what for one in there.tables.there] == ["cluster x"]  # no remover shows it


def test_one_janitor_is_at_it_at_a_time() -> None:
    """Each hour has its run; while something cannot be removed, they would all page of it."""
    there = world(replace(thing(), what="verifier of x"))
    there.tables.held = "verifier"
    hours = [START + hour * HOUR for hour in range(6)]
    stuck = new_run(naming.janitor_id(START), JANITOR, START, workflow="janitor")
    there.runs.start(replace(stuck, facts={**stuck.facts, "told": "verifier of x"}))
    ended: list[Any] = []
    for at in hours[1:]:
        name = naming.janitor_id(at)
        there.runs.start(new_run(name, JANITOR, at, workflow="janitor"))
        there.now = at
        ended.append(advanced(there, name))

    assert all(one.step is None for one in ended)
    assert {one.facts["at_it"] for one in ended} == {naming.janitor_id(START)}
    assert there.news("LeftoversFound") == []
    after = replace(there.runs.items[naming.janitor_id(START)], step=None)
    there.runs.items[after.id] = after
    there.runs.start(new_run(naming.janitor_id(START + 6 * HOUR), JANITOR, START + 6 * HOUR))
    there.now = START + 6 * HOUR
    assert advanced(there, naming.janitor_id(there.now)).step == "sweep"
    assert len(there.news("LeftoversFound")) == 1


def advanced(there: DrillWorld, run: str) -> Run:
    from tests.crash.engine_world import Process  # noqa: PLC0415 (one test's)
    from watchkeeper.runs.engine import advance  # noqa: PLC0415

    moved = advance(run, there.engine(Process(there)))
    assert moved is not None
    return moved
