"""The verdict: what it measures, what it remembers, and that there is always one."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.crash.engine_world import DRILL, START
from tests.unit.drills.restored import HOUR, MINUTE, POINT, DrillWorld, a_run, check
from watchkeeper import naming
from watchkeeper.drills import noted
from watchkeeper.drills.evidence import Evidence
from watchkeeper.drills.exercise import EXERCISE
from watchkeeper.drills.model import Proof
from watchkeeper.drills.policy import DrillsPolicy
from watchkeeper.runs.record import Run

BAD = check("its size", passed=False)


def judged(facts: dict[str, str] | None = None, **changes: Any) -> DrillWorld:
    """A drill that has just been dismantled, with these facts."""
    known = {
        "asked_at": naming.instant(START), "available_at": naming.instant(START + HOUR),
        "initialised_at": naming.instant(START + 2 * HOUR),
        "verified_at": naming.instant(START + 3 * HOUR),
        "torn_down_at": naming.instant(START + 4 * HOUR),
        "looked": noted.checks([check()]), "examined": noted.checks([check("its size")]),
    }  # fmt: skip
    run = a_run(changes.pop("level", "check"), **(known | (facts or {})))
    return DrillWorld(start=replace(run, step="judge", **changes))


def evidence(world: DrillWorld) -> Evidence:
    return Evidence.of(world.written.chain[0][1])


def proof(world: DrillWorld) -> Proof:
    (found,) = world.written.proofs.values()
    return found


# ── Measured ──────────────────────────────────────────────────────────────────────────────────────


def test_it_measures_both_objectives_and_says_so() -> None:
    newest = POINT.created_at - 20 * MINUTE
    world = judged({"newest_data": naming.instant(newest)}).finish()
    found, (told,) = evidence(world), world.news("RestoreDrilled")

    assert world.verdict == ("passed", "")
    assert (found.rto_reached, found.rto_objective) == (3 * HOUR, 24 * HOUR)
    assert (found.rpo_reached, found.rpo_objective) == (START - newest, 24 * HOUR)
    assert (told["recovery_seconds"], told["data_age_seconds"]) == (10_800, 19_200)
    assert [one.name for one in found.checks] == ["it is complete", "its size", "recovery time"]
    assert {one.check for one in found.controls} == {one.name for one in found.checks}


def test_data_that_tells_no_time_are_as_old_as_the_recovery_point_says() -> None:
    assert evidence(judged().finish()).rpo_reached == START - POINT.created_at


def test_too_slow_is_a_failure_though_every_check_has_passed() -> None:
    world = judged()
    world.written.policy = DrillsPolicy.model_validate({"rto": "2h"})
    world.finish()

    assert world.verdict == (
        "failed", "recovery time: expected at most 2 h, the RTO of its plan, found 3 h"
    )  # fmt: skip
    assert world.pages == ["DrillsFailed"]


# ── There is always one ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("facts", "changes", "failure", "page"),
    [
        ({"failed": "gone"}, {}, "gone", "DrillsFailed"),
        ({}, {"failure": "5 attempts"}, "5 attempts", "RunFailed"),
        ({"failed": "gone"}, {"failure": "5 attempts"}, "5 attempts", "RunFailed"),
        ({"looked": "", "examined": ""}, {}, "nothing was checked", "DrillsFailed"),
        ({"examined": noted.checks([BAD])}, {}, noted.failure(BAD), "DrillsFailed"),
        ({"verified_at": ""}, {}, "recovery time: expected at most 24 h, the", "DrillsFailed"),
        (
            {"looked": noted.checks([replace(check(), version=99)])}, {},
            "'it is complete' was not seen to fail where it must, and proves", "DrillsFailed",
        ),
    ],
)  # fmt: skip
def test_whatever_went_wrong_there_is_one_verdict_and_one_page(
    facts: dict[str, str], changes: dict[str, Any], failure: str, page: str
) -> None:
    world = judged(facts, **changes).finish()

    assert world.verdict[0] == "failed"
    assert world.verdict[1].startswith(failure)
    assert world.pages == [page]
    assert world.written.running == set()


def test_a_recovery_point_that_has_gone_meanwhile_proves_nothing() -> None:
    """Others remove theirs when they like, and their records go with them."""
    world = judged()
    world.written.points = []
    world.finish()

    assert world.verdict == (
        "failed", "the recovery point has been removed since it was restored"
    )  # fmt: skip
    assert world.pages == ["DrillsFailed"]
    assert world.crashes == []


@pytest.mark.parametrize("refused", ["in_force", "append"])
def test_what_keeps_it_from_being_written_down_is_told_and_overcome(refused: str) -> None:
    world = judged()
    world.written.refuses = refused
    world.live(timedelta(hours=30))
    assert world.pages == ["StepOverdue"] * 2  # at once, and daily
    assert world.written.running == {DRILL}

    world.written.refuses = ""
    world.finish()
    assert world.verdict == ("passed", "")
    assert world.pages == ["StepOverdue"] * 2


def test_a_verdict_that_an_earlier_attempt_has_written_stands() -> None:
    """Between two attempts a policy may become stricter."""
    world = judged()
    calls = DrillWorld(start=world.run).finish().calls
    for call in range(1, calls + 1):
        world = judged()
        world.mishaps = {call: "dies after"}
        world.invoke()
        written = list(world.written.chain)
        world.written.policy = DrillsPolicy.model_validate({"rto": "2h"})
        world.finish()
        assert world.written.chain[: len(written)] == written
        assert len(world.written.chain) == 1
        assert world.pages == (["DrillsFailed"] if world.verdict[0] == "failed" else [])


def test_texts_of_others_can_neither_break_the_record_nor_the_page() -> None:
    flood = replace(BAD, found="<script>\n\x1b[2J🜂" * 50_000)
    world = DrillWorld(answers=[flood, *[check("its size", found="🜂" * 9999)] * 40]).finish()

    facts: Run = world.run
    assert len(json.dumps(dict(facts.facts))) < 300_000
    assert world.verdict[0] == "failed"
    (page,) = world.written.pages.values()
    assert "<script>" not in page
    assert "\x1b" not in page


# ── What the next one is compared with ────────────────────────────────────────────────────────────


def test_what_was_found_is_remembered_for_the_next_one_if_it_passed() -> None:
    before = noted.pairs({"its size": "8"})

    passed = DrillWorld(start=a_run("check", before=before)).finish()
    assert passed.tables.asked[0].before == {"its size": "8"}
    assert proof(passed).found == {"its size": "10"}

    failed = DrillWorld(start=a_run("check", before=before), answers=[BAD]).finish()
    assert proof(failed).found == {"its size": "8"}


# ── Exercises ─────────────────────────────────────────────────────────────────────────────────────


def test_how_long_a_person_took_to_answer_is_no_recovery_time() -> None:
    """They have three days for it, and say themselves whether it went well."""
    signed = {"looked": "", "examined": noted.checks([signed_off_check()]), "verified_at": ""}
    run = replace(judged(signed, level="exercise").run, steps=tuple(s.name for s in EXERCISE))
    world = DrillWorld(level="exercise", start=run).finish()

    assert world.verdict == ("passed", "")
    assert evidence(world).rto_reached is None
    assert [one.name for one in evidence(world).checks] == ["signed off"]


def signed_off_check() -> Any:
    from watchkeeper.drills.model import SignOff  # noqa: PLC0415 (one test's)
    from watchkeeper.drills.objectives import signed_off  # noqa: PLC0415

    return signed_off(SignOff("ops@example.com", passed=True, note="", at=START + 30 * HOUR))
