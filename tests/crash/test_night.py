"""A night of backups, killed, doubled, starved and lied to: the same recovery points come of it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from local.aws.ec2 import installed_in
from local.mischief import Mischief
from local.pace import Pace
from tests.crash.forks import Story, aside, explore
from tests.crash.night import (
    ARCHIVE,
    BROKEN,
    NIGHT,
    PACE,
    PLAN,
    SCRATCH,
    SERVER,
    Account,
    Outcome,
    Point,
    account,
    expire_later,
    outcome,
    run_night,
    settle,
)

CALM = (
    Point(ARCHIVE, "completed", 1, "2026-11-23T02:00Z"),
    Point(BROKEN, "failed", 1, "2026-11-23T02:00Z"),
    Point(SCRATCH, "completed", 1, "2026-11-23T02:00Z"),
    Point(SERVER, "completed", 2, "2026-11-23T02:00Z"),
)
"""What the night comes to: a point of every source, and one of them failed."""


@pytest.fixture(scope="module")
def evening() -> Iterator[Account]:
    """A minute before the night. Tests tell their stories aside, so all find it like this."""
    with account() as made:
        made.cloud.clock.run_until(NIGHT - timedelta(minutes=1))
        yield made


def night_with(made: Account, trouble: Callable[[Mischief], object]) -> Outcome:
    def story() -> Outcome:
        trouble(made.cloud.mischief)
        return run_night(made)

    return aside(story)


def is_as_calm(end: Outcome) -> bool:
    """None lost, none doubled, none leaked, nothing left to do, and nobody woken for it."""
    return (
        end.points == CALM
        and not end.unlisted
        and len(end.snapshots) == 5
        and set(end.runs.values()) == {"done"}
        and not end.pages
    )


def differing(story: Story[Outcome]) -> list[str]:
    """The branches that do not end as the calm story does, each with what is different."""
    assert is_as_calm(story.calm), story.calm
    return [
        f"{branch.name}: {branch.error or branch.outcome}"
        for branch in story.branches
        if branch.outcome is None
        or not is_as_calm(branch.outcome)
        or set(branch.outcome.news) != set(story.calm.news)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "kind", "at_least"),
    [
        ("TakeBackups", "death", 80),
        ("TakeBackups", "twin", 70),
        ("SweepRuns", "death", 40),
        ("SweepRuns", "twin", 35),
    ],
)
def test_death_or_twin_at_every_call(
    evening: Account, function: str, kind: str, at_least: int
) -> None:
    story = aside(
        lambda: explore(
            evening.cloud, lambda: run_night(evening), functions={function}, kinds=(kind,)
        )
    )
    assert len(story.branches) >= at_least
    assert differing(story) == []


# ── What is hidden ────────────────────────────────────────────────────────────────────────────────

CREATIONS = ("CreateSnapshots", "CreateSnapshot")
TEN_MINUTES = timedelta(minutes=10)


def slow_to_show(made: Account, hidden_for: timedelta) -> None:
    made.cloud.pace = replace(PACE, hidden_for=hidden_for)


def killed_after_each_creation(made: Account, hidden_for: timedelta) -> list[list[Outcome]]:
    """Per creation whose answer is lost: the morning after, and what an expiry then leaves."""
    creations = 4

    def story(number: int) -> list[Outcome]:
        slow_to_show(made, hidden_for)
        seen = iter(range(creations))
        # `after` the effect: EC2 has made it, and nobody has heard.
        made.cloud.mischief.fail(
            "ec2", "*", "ReadTimeout", after=True, match=lambda asked: _creates(asked, seen, number)
        )
        return [run_night(made), expire_later(made, 3)]

    return [aside(lambda number=number: story(number)) for number in range(creations)]


def _creates(asked: dict[str, Any], seen: Iterator[int], wanted: int) -> bool:
    is_creation = "TagSpecifications" in asked
    return is_creation and next(seen, None) == wanted


@pytest.mark.parametrize("minutes", [1, 9])
def test_what_is_hidden_for_less_than_ten_minutes_is_never_made_twice(
    evening: Account, minutes: int
) -> None:
    for morning, later in killed_after_each_creation(evening, timedelta(minutes=minutes)):
        assert is_as_calm(morning)
        assert not any(point.state == "double" for point in later.points)


@pytest.mark.parametrize("minutes", [14, 45, 100])
def test_what_is_hidden_for_longer_is_at_most_doubled_and_then_expired(
    evening: Account, minutes: int
) -> None:
    for morning, later in killed_after_each_creation(evening, timedelta(minutes=minutes)):
        # Only the creation that went unanswered is made again: an instance has two volumes.
        assert 5 <= len(morning.snapshots) <= 7
        assert not later.unlisted
        assert later.kept == {(name, "completed"): 1 for name in (ARCHIVE, SCRATCH, SERVER)} | {
            key: count for key, count in later.kept.items() if key == (BROKEN, "failed")
        }
        assert {point.source for point in later.points if point.state == "completed"}
        assert len(later.snapshots) == 4, "what failed or was made twice is gone"
