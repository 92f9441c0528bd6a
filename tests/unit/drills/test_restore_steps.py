"""A drill that restores something: one thing restored, none left, one verdict, at most one page."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.crash.engine_world import MISHAPS, START
from tests.unit.drills.restored import (
    HOUR,
    MINUTE,
    NAME,
    POINT,
    RATES,
    STACK,
    DrillWorld,
    Thing,
    check,
)
from watchkeeper import naming
from watchkeeper.backups.manifest import Manifest, digest
from watchkeeper.backups.model import Kind, State
from watchkeeper.drills.exercise import EXERCISE, ROOM, SIGN_WITHIN
from watchkeeper.drills.restore import LONGEST, RESTORE
from watchkeeper.runs.record import Stop

BAD = check("its size", passed=False, found="7 items")
PAGE = ["DrillsFailed"]
"""What people are told of a drill that failed."""


def end(world: DrillWorld) -> dict[str, Any]:
    """What must be the same however a drill got there."""
    run = world.run
    return {
        "over": (run.is_over, run.failure, run.attempts, run.lease),
        "verdict": world.verdict,
        "pages": world.pages,
        "things": (world.tables.made, world.tables.there),
        "running": world.written.running,
        "documents": (len(world.written.chain), len(world.written.pages)),
        "removed": run.facts.get("removed"),
        "calls of the dead": world.calls_of_the_dead,
    }


# ── Undisturbed ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "failure", "made"),
    [
        ({}, "", 2),
        ({"level": "restore"}, "", 1),
        ({"broken": True}, "it was not restored: its key is gone", 1),
        ({"breaks_later": True}, "it broke before all its data had arrived: its disk has fai", 1),
        ({"never_comes": True}, "after 36 hours it still waited for the table to be restored", 1),
        ({"full": True}, "after 36 hours it still waited for room below a limit of the account", 0),
        ({"refuses": "ask"}, "it could not be gone on with: dynamodb:ask answered AccessDen", 0),
        ({"refuses": "secure"}, "it could not be gone on with: dynamodb:secure answered", 1),
        ({"refuses": "examine"}, "it could not be gone on with: dynamodb:examine answered", 1),
        ({"found": [BAD]}, "its size: expected 10 items, found 7 items", 1),
        ({"answers": [BAD]}, "its size: expected 10 items, found 7 items", 2),
        ({"found": []}, "nothing was checked", 1),
        ({"answers": []}, "nothing was checked", 2),
        ({"level": "restore", "found": []}, "nothing was checked", 1),
        ({"answers": [check("its mood")]}, "'its mood' was not seen to fail where it must", 2),
    ],
)
def test_one_verdict_and_a_page_if_it_failed(
    changes: dict[str, Any], failure: str, made: int
) -> None:
    world = DrillWorld(**changes).finish()

    assert world.verdict[0] == ("failed" if failure else "passed")
    assert world.verdict[1].startswith(failure)
    assert world.pages == (PAGE if failure else [])
    assert (world.tables.made, world.tables.there) == (made, [])
    assert world.run.is_over
    assert world.written.running == set()
    assert world.crashes == []


def test_what_was_made_is_in_the_evidence_as_removed() -> None:
    world = DrillWorld().finish()

    removed = world.run.facts["removed"].splitlines()
    assert removed == [f"table {NAME}", f"verifier of {NAME}"]


# ── One mishap, anywhere ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mishap", MISHAPS)
@pytest.mark.parametrize(
    ("changes", "every"), [({}, 1), ({"answers": [BAD]}, 3)], ids=["good", "bad"]
)
def test_a_mishap_at_any_call_changes_nothing(
    changes: dict[str, Any], every: int, mishap: str
) -> None:
    calm = DrillWorld(**changes).finish()
    for call in range(1, calm.calls + 1, every):
        world = DrillWorld(mishaps={call: mishap}, **changes).finish()
        assert not world.mishaps, f"{mishap} at call {call} never came"
        assert end(world) == end(calm), f"{mishap} at call {call}"
        assert world.now - calm.now < HOUR, f"{mishap} at call {call} took too long to mend"


@pytest.mark.parametrize("changes", [{}, {"level": "restore"}, {"broken": True}])
def test_a_refusal_at_any_call_costs_the_verdict_at_most(changes: dict[str, Any]) -> None:
    """Before clean-up it fails the drill; from there on it is told of, and overcome."""
    calm = DrillWorld(**changes).finish()
    seen = set()
    for call in range(1, calm.calls + 1):
        world = DrillWorld(refused_call=call, **changes).finish()
        told = end(world)
        assert told["things"][1] == []
        assert told["over"] == (True, None, 0, None)
        assert told["running"] == set()
        assert told["pages"].count("DrillsFailed") == (world.verdict[0] == "failed")
        assert told["pages"].count("StepOverdue") <= 1
        seen.add((world.verdict, *told["pages"]))
    refused = "it could not be gone on with: aws:Call answered AccessDenied: not allowed"
    after = [] if calm.verdict[0] == "passed" else PAGE
    assert seen == {
        (calm.verdict, *after),
        (calm.verdict, "StepOverdue", *after),
        (("failed", refused), *PAGE),
    }


CALLS = st.dictionaries(st.integers(1, 150), st.sampled_from(MISHAPS), max_size=12)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    mishaps=CALLS,
    refused=st.integers(0, 150),
    stops=st.lists(st.integers(1, 90), max_size=3),
    bad=st.booleans(),
)
def test_whatever_goes_wrong_together(
    mishaps: dict[int, str], refused: int, stops: list[int], bad: bool
) -> None:
    answers = [BAD] if bad else [check("its size")]
    world = DrillWorld(mishaps=mishaps, refused_call=refused, answers=answers)
    for number, minutes in enumerate(stops):
        world.runs.stop_item = Stop(why="a freeze", by="alice") if number % 2 == 0 else None
        world.live(timedelta(minutes=minutes))
    world.runs.stop_item = None
    world.finish()

    assert world.tables.there == []
    assert world.tables.made <= 2
    assert world.run.is_over
    assert world.written.running == set()
    assert len(world.written.chain) == len(world.written.pages) == 1
    failed = [one for one in world.pages if one in ("DrillsFailed", "RunFailed")]
    assert len(failed) == (world.verdict[0] == "failed")
    assert world.verdict[0] == "failed" or not bad


# ── Limits ────────────────────────────────────────────────────────────────────────────────────────


def test_throttled_for_an_hour_it_only_takes_longer() -> None:
    world = DrillWorld()
    world.live(5 * MINUTE)
    world.throttled_until = world.now + HOUR
    world.finish()

    assert world.verdict == ("passed", "")
    assert world.pages == []


def test_the_limit_holds_for_a_service_that_does_not_answer() -> None:
    """With the drill's own reason and page, and not with the engine's."""
    world = DrillWorld()
    world.live(5 * MINUTE)
    busy = world.throttled_until = world.now + timedelta(hours=37)
    world.live(busy - world.now)
    world.finish()

    why = "after 36 hours it still waited for DYNAMODB to answer again (Throttling)"
    assert world.verdict == ("failed", why)
    assert (world.pages, world.run.failure) == (PAGE, None)
    assert world.tables.there == []


def test_no_drill_outlasts_what_it_has_made() -> None:
    """Or the janitor would take it from under a drill that still runs."""
    assert sum((one.within for one in RESTORE), timedelta()) <= LONGEST
    in_hand = sum((one.within for one in EXERCISE if not one.always), timedelta())
    assert in_hand <= SIGN_WITHIN + ROOM


def test_what_is_made_expires_after_the_longest_drill_from_when_it_was_asked_for() -> None:
    """And not from when its round chose it, which a stop may have held up for days."""
    world = DrillWorld()
    world.runs.stop_item = Stop(why="a freeze", by="alice")
    world.live(timedelta(days=4))
    world.runs.stop_item = None
    world.live(10 * MINUTE)
    (asked, *more) = world.tables.asked

    asked_at = naming.parse_instant(world.run.facts["asked_at"])
    assert asked_at > START + timedelta(days=4)
    assert naming.expires_at(asked.tags) == asked_at + LONGEST
    assert all(one == asked for one in more)


def test_time_spent_halted_does_not_count_against_a_limit() -> None:
    world = DrillWorld()
    world.live(5 * MINUTE)
    world.runs.stop_item = Stop(why="a freeze", by="alice")
    world.live(timedelta(hours=40))
    world.runs.stop_item = None
    world.finish()

    assert world.tables.there == []
    # It does count as recovery time: nobody could have used it meanwhile.
    assert world.verdict[1].startswith("recovery time: expected at most 24 h, the RTO of its plan")


def test_a_step_that_crashes_is_told_of_by_the_engine_alone() -> None:
    world = DrillWorld()

    def crash(*_: Any) -> Any:
        raise TypeError("a bug")

    world.tables.checks = crash  # type: ignore[method-assign,assignment]
    world.finish()

    assert world.verdict[1].startswith("5 attempts at look never reported")
    assert world.pages == ["RunStuck", "RunFailed"]
    assert world.tables.there == []
    assert world.written.running == set()


# ── What is there and is not its own ──────────────────────────────────────────────────────────────


def test_only_this_stacks_own_things_are_removed() -> None:
    """Two stacks may drill the same resource in the same minute, by the same run id."""
    world = DrillWorld()
    theirs = Thing(f"table {NAME}-of-theirs", NAME, START, {naming.TAG_STACK: "other"})
    others = Thing("table wk-drill-1", "wk-drill-1", START, {naming.TAG_STACK: STACK})
    untagged = Thing(f"table {NAME}-untagged", NAME, START)
    world.tables.there += [theirs, others, untagged]
    world.finish()

    assert world.tables.there == [theirs, others]
    assert world.verdict == ("passed", "")


def test_what_is_not_shown_yet_is_looked_for_until_it_would_be() -> None:
    """Its answer was lost, and then the drill failed: nobody knows whether there is anything."""
    world = DrillWorld(loses=True, hidden=8 * MINUTE).finish()

    assert world.verdict[1].startswith("it could not be gone on with: dynamodb:ask answered")
    assert (world.tables.made, world.tables.there) == (1, [])
    assert world.run.facts["removed"] == f"table {NAME}"


def test_what_cannot_be_removed_keeps_nothing_else_from_being_so() -> None:
    world = DrillWorld(held="verifier")
    world.live(timedelta(days=2, hours=6))

    assert [one.what for one in world.tables.there] == [f"verifier of {NAME}"]
    assert world.written.chain == []  # no verdict while anything of it is left
    assert world.pages == ["StepOverdue"] * 3  # at once, and daily
    world.tables.held = ""
    world.finish()
    assert world.tables.there == []
    assert world.verdict == ("passed", "")


def test_what_somebody_else_has_removed_meanwhile_fails_it() -> None:
    world = DrillWorld()
    world.live(8 * MINUTE)
    world.tables.there.clear()
    world.finish()

    why = "what was being restored is not there any more: somebody has removed it"
    assert world.verdict == ("failed", why)
    assert world.pages == PAGE


# ── What it was chosen for ────────────────────────────────────────────────────────────────────────

MANIFEST = Manifest(POINT.id, RATES, Kind.TABLE, "r", "gold", START, settings={"Tags": {"a": "b"}})


@pytest.mark.parametrize(
    ("stored", "failure"),
    [
        (MANIFEST.to_json(), ""),
        (None, "it could not be gone on with: s3:GetObject answered NoSuchKey"),
        (replace(MANIFEST, settings={}).to_json(), "the manifest is not the one that was written"),
        (b"{", "the manifest is not the one that was written"),
    ],
)
def test_it_is_compared_with_nothing_but_what_was_written_down(
    stored: bytes | None, failure: str
) -> None:
    world = DrillWorld()
    world.written.points = [replace(POINT, manifest=digest(MANIFEST.to_json()))]
    world.written.manifests = {POINT.id: stored} if stored is not None else {}
    world.finish()

    assert world.verdict[0] == ("failed" if failure else "passed")
    assert failure in world.verdict[1]
    assert world.tables.made == (0 if failure else 2)
    assert all(one.manifest == MANIFEST for one in world.tables.asked)


@pytest.mark.parametrize("there", [[], [replace(POINT, state=State.REMOVING)]])
def test_a_recovery_point_that_is_gone_is_not_restored(there: list[Any]) -> None:
    world = DrillWorld()
    world.written.points = there
    world.finish()

    assert world.verdict == ("failed", "the recovery point has been removed since it was chosen")
    assert (world.pages, world.tables.made) == (PAGE, 0)


def test_a_policy_that_cannot_be_read_fails_it_and_is_told() -> None:
    world = DrillWorld()
    world.written.refuses = "in_force"
    world.live(HOUR)

    assert world.pages == ["StepOverdue"]
    assert world.written.chain == []
    world.written.refuses = ""
    world.finish()
    assert world.verdict[1].startswith("it could not be gone on with: ssm:GetParameter answered")
    assert world.pages == ["StepOverdue", *PAGE]
