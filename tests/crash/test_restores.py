"""Drills that restore, killed at every call, raced, starved and lied to: one thing restored, none
left, one verdict.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from local.mischief import Mischief
from tests.crash.forks import EVERY_CALL, aside, explore_changes
from tests.crash.restores import (
    BOOKINGS,
    DISK,
    LEDGER,
    RATES,
    SECRET,
    Account,
    Outcome,
    account,
    drilled,
)

MADE = {
    RATES: {"tables": 1},
    BOOKINGS: {"databases and clusters": 1, "verifiers": 1},
    LEDGER: {"databases and clusters": 1, "verifiers": 1},
    DISK: {"volumes": 1, "verifiers": 1},
    SECRET: {"volumes": 1, "verifiers": 1},
}
"""What one check of each makes, and nothing of it twice."""

FEWEST = 15
"""Calls of a share of a drill that change something: its record alone is saved so often."""

SHARES = {RATES: 1, BOOKINGS: 3, DISK: 3}
"""Of the longer stories a third of the calls, or with EVERY_CALL=1 all of them: each third takes a
minute of a core.
"""


@pytest.fixture(scope="module")
def morning() -> Iterator[Account]:
    """Each call is judged by the role of its function. Tests tell their stories aside."""
    with account(deny=True) as made:
        yield made


def is_one_verdict(end: Outcome, name: str, verdict: str) -> bool:
    """One document in a whole chain, nothing left to do, nothing left behind, nothing doubled."""
    return (
        [one.verdict for one in end.chains[name]] == [verdict]
        and not end.breaks
        and set(end.runs.values()) == {"done"}
        and end.running == 0
        and {sort: number for sort, number in end.made.items() if number} == MADE[name]
        and not end.left
        and len(end.told) == (verdict == "failed")
    )


# ── What is good ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", sorted(MADE))
def test_a_good_recovery_point_passes(morning: Account, name: str) -> None:
    end = aside(lambda: drilled(morning, name))
    assert is_one_verdict(end, name, "passed"), end


@pytest.mark.parametrize("name", sorted(MADE))
def test_and_passes_again_against_what_the_first_has_found(morning: Account, name: str) -> None:
    def story() -> Outcome:
        drilled(morning, name)
        return drilled(morning, name)

    end = aside(story)
    assert [one.verdict for one in end.chains[name]] == ["passed", "passed"], end
    assert not end.left


# ── Killed, raced ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["death", "twin"])
@pytest.mark.parametrize(
    ("name", "share"),
    [
        (name, (number, of))
        for name, of in SHARES.items()
        for number in range(of if EVERY_CALL else 1)
    ],
)
def test_death_or_twin_at_every_call(
    morning: Account, name: str, share: tuple[int, int], kind: str
) -> None:
    story = aside(
        lambda: explore_changes(
            morning.cloud, "DrillRestores", kind, lambda: drilled(morning, name), share
        )
    )
    assert len(story.branches) >= FEWEST
    assert story.gone_wrong(lambda end: is_one_verdict(end, name, "passed")) == []


# ── Starved, throttled, without an answer ─────────────────────────────────────────────────────────


def with_trouble(morning: Account, name: str, trouble: Callable[[Mischief], object]) -> Outcome:
    def story() -> Outcome:
        trouble(morning.cloud.mischief)
        return drilled(morning, name)

    return aside(story)


@pytest.mark.parametrize("name", [RATES, BOOKINGS, DISK])
def test_throttled_for_an_hour_it_is_only_later(morning: Account, name: str) -> None:
    until = morning.cloud.clock.now() + timedelta(hours=1)

    def throttle(mischief: Mischief) -> None:
        for service in ("rds", "ec2", "ssm"):
            mischief.throttle(service, "*", until=until)

    end = with_trouble(morning, name, throttle)
    assert is_one_verdict(end, name, "passed"), end
