"""DrillRestores asked by hand: to drill what restores, to show what is due, to sign an exercise."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.crash.forks import aside
from tests.crash.night import items
from tests.crash.restores import DISK, RATES, Account, account, drill, settle

ALICE = "ops@example.com"
READS = frozenset({"GetItem", "GetObject", "GetParameter", "Query"})
SIGN: dict[str, Any] = {"trigger": "sign-off", "by": ALICE, "passed": True}


@pytest.fixture(scope="module")
def morning() -> Iterator[Account]:
    with account(deny=True) as made:
        yield made


def begun(made: Account) -> list[dict[str, Any]]:
    return [one for one in items(made.cloud) if one["pk"].startswith("DRILLS#")]


# ── Now ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_drill_by_hand_counts_against_the_budget_of_the_month(morning: Account) -> None:
    """Nobody asks the budget whether it may; what comes by itself has that much less."""

    def story() -> tuple[list[dict[str, Any]], list[dict[str, Any]], Any]:
        drill(morning, DISK, "restore")
        during = begun(morning)
        end = settle(morning)
        return during, begun(morning), end

    during, after, end = aside(story)
    assert [(one["level"], "ended" in one) for one in during] == [("restore", False)]
    assert during[0]["usd"] > 0
    assert [(one["level"], "ended" in one) for one in after] == [("restore", True)]
    assert [(one.level, one.verdict) for one in end.chains[DISK]] == [("restore", "passed")]


def test_what_is_restored_is_not_proved_by_looking_at_it(morning: Account) -> None:
    """A round looks at what it reads alone; a restore has a run, and a verdict, of its own."""

    def story() -> list[str]:
        drill(morning, RATES)
        return [one["level"] for one in items(morning.cloud) if one["pk"].startswith("PROOF#")]

    assert aside(story) == []


def test_the_same_request_twice_is_one_drill(morning: Account) -> None:
    def story() -> Any:
        event = {"trigger": "by-hand", "request_id": "x", "resource": morning.arns[RATES]}
        for _ in range(2):
            morning.cloud.invoke("DrillRestores", {**event, "level": "restore"})
        return settle(morning)

    end = aside(story)
    assert [(one.level, one.verdict) for one in end.chains[RATES]] == [("restore", "passed")]
    assert (end.made["tables"], end.left) == (1, ())


# ── Show ──────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_due_is_shown_and_nothing_is_touched(morning: Account) -> None:
    def story() -> tuple[Any, bool, list[str]]:
        before = items(morning.cloud)
        shown = morning.cloud.invoke("DrillRestores", {"trigger": "show"})
        made = [one.operation for one in shown.calls if one.operation not in READS]
        return shown.result, items(morning.cloud) == before, made

    shown, untouched, made = aside(story)
    assert (untouched, made) == (True, [])
    assert set(shown) == {
        "drills", "estimate_usd", "guessed", "put_off", "nothing_to_drill", "shortfalls",
    }  # fmt: skip
    prices = [one.partition(": never proved; the newest of 1, $")[2] for one in shown["drills"]]
    assert shown["estimate_usd"] == pytest.approx(sum(map(float, prices)), abs=0.02)
    assert 0 < shown["estimate_usd"] < 5
    assert any(one.startswith("the budget cannot prove 2 of 5") for one in shown["shortfalls"])


# ── Exercises ─────────────────────────────────────────────────────────────────────────────────────


def sign(made: Account, run: str, **changes: Any) -> Any:
    return made.cloud.invoke("DrillRestores", {**SIGN, "run": run, **changes})


def test_an_exercise_is_asked_for_signed_and_judged(morning: Account) -> None:
    def story() -> tuple[Any, Any]:
        run = drill(morning, DISK, "exercise")
        morning.cloud.clock.run_for(timedelta(minutes=10))
        early = settle(morning, timedelta(hours=5))
        assert sign(morning, run).ok
        return early, settle(morning)

    early, end = aside(story)
    assert early.chains[DISK] == ()
    assert [one.split(":")[0] for one in early.told] == ["Exercise"]
    assert [(one.level, one.verdict) for one in end.chains[DISK]] == [("exercise", "passed")]
    assert [one.split(":")[0] for one in end.told] == ["Exercise"]
    assert (end.running, end.left) == (0, ())


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"by": "mallory@example.com"}, "may not sign off an exercise"),
    ({"by": ""}, "may not sign off an exercise"),
    ({"run": "drill#by-hand#slip#0123456789abcdef#exercise"}, "is no exercise that waits"),
    ({"run": "drill#by-hand#slip#0123456789abcdef#check"}, "run: "),
    ({"run": "drill#by-hand#a#b#0123456789abcdef#exercise"}, "run: "),
    ({"passed": "surely"}, "passed: "),
    ({"note": "x" * 401}, "note: "),
]


def test_who_may_not_sign_and_what_cannot_be_signed_is_refused(morning: Account) -> None:
    def story() -> tuple[list[tuple[str, str]], bool]:
        run = drill(morning, DISK, "exercise")
        morning.cloud.clock.run_for(timedelta(minutes=10))
        before = items(morning.cloud)
        refused = [sign(morning, **{"run": run, **changes}) for changes, _ in REFUSED]
        said = [(type(one.exception).__name__, str(one.exception)) for one in refused]
        return said, items(morning.cloud) == before

    said, untouched = aside(story)
    assert untouched
    for (kind, message), (changes, why) in zip(said, REFUSED, strict=True):
        assert (kind, why in message) == ("BadTrigger", True), (changes, message)


def test_nobody_signs_before_it_was_asked_for_or_after_it_has_ended(morning: Account) -> None:
    def story() -> list[bool]:
        run = drill(morning, DISK, "exercise")
        early = sign(morning, run.replace("#now-", "#later-")).ok
        morning.cloud.clock.run_for(timedelta(minutes=10))
        signed = sign(morning, run, passed=False).ok
        settle(morning)
        return [early, signed, sign(morning, run).ok]

    assert aside(story) == [False, True, False]


# ── Clean-up ──────────────────────────────────────────────────────────────────────────────────────


def test_a_policy_that_cannot_be_read_keeps_the_janitor_from_nothing(morning: Account) -> None:
    def story() -> dict[str, str]:
        cloud = morning.cloud
        cloud.mischief.fail("ssm", "GetParameter", "AccessDeniedException", times=None)
        cloud.clock.run_for(timedelta(hours=2))
        return settle(morning).runs

    assert [stands for run, stands in aside(story).items() if run.startswith("janitor#")]
