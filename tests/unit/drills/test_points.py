"""Which recovery point a drill takes."""

from collections import Counter
from datetime import timedelta

import pytest

from tests.unit.drills.fleet import AWAY, NOW, days_ago, point, subject
from watchkeeper.backups.model import Kind, Part, RecoveryPoint, State
from watchkeeper.drills.model import Level, Subject
from watchkeeper.drills.points import candidates, nothing, take

MONTH = timedelta(days=30)
RICH = subject(
    points=(
        *(point(made=days_ago(days)) for days in (1, 2, 5, 40)),
        point(made=days_ago(1), region=AWAY),
        point(made=days_ago(3), region=AWAY),
        point(made=days_ago(200), tier="archive"),
        point(made=days_ago(300), tier="archive"),
    )
)


def taken(one: Subject, level: Level, turns: int, older: int = 3, seed: str = "s") -> list[str]:
    """Why each of so many drills, an interval apart, took the point that it took."""
    found = [take(one, level, MONTH, older, NOW + turn * MONTH, seed) for turn in range(turns)]
    return [one.why for one in found if one]


@pytest.mark.parametrize("level", [Level.BLOCKS, Level.RESTORE, Level.CHECK])
def test_every_third_drill_takes_another_than_the_newest(level: Level) -> None:
    why = taken(RICH, level, 30)
    is_newest = [one.startswith("the newest of") for one in why]
    assert is_newest.count(False) == 10
    first = is_newest.index(False)
    assert is_newest[first::3] == [False] * len(is_newest[first::3])


def test_the_others_are_old_ones_random_ones_copies_and_archived_ones_in_turn() -> None:
    sorts = Counter(taken(RICH, Level.CHECK, 24, older=2))
    assert sorts == {
        "the newest of 8": 12,
        "the oldest of 8": 3,
        "one of 8, by lot": 3,
        f"the newest copy in {AWAY}": 3,
        "the newest in the archive": 3,
    }


def test_the_lot_falls_on_all_that_are_ready_at_home_but_the_newest() -> None:
    many = subject(points=tuple(point(made=days_ago(days)) for days in range(10)))
    drawn = {
        found.point.created_at
        for day in range(300)
        if (found := take(many, Level.CHECK, timedelta(days=1), 2, days_ago(-day), "s"))
        and found.why.endswith("by lot")
    }
    assert drawn == {days_ago(days) for days in range(1, 10)}


@pytest.mark.parametrize("level", [Level.METADATA, Level.EXERCISE])
def test_metadata_and_people_look_at_the_newest(level: Level) -> None:
    assert set(taken(RICH, level, 12)) == {"the newest of 8"}


def test_blocks_are_read_of_what_ebs_shows() -> None:
    image = point(parts=(Part("arn:aws:ec2:eu-west-1::image/ami-1", "vol-1", 8),))
    assert [one.place.tier for one in candidates(RICH, Level.BLOCKS)] == ["standard"] * 6
    assert candidates(subject(points=(image, point(parts=()))), Level.BLOCKS) == []


def test_the_same_inputs_give_the_same_point_and_seeds_set_stacks_apart() -> None:
    assert taken(RICH, Level.CHECK, 30) == taken(RICH, Level.CHECK, 30)
    assert len({tuple(taken(RICH, Level.CHECK, 30, seed=f"{n}")) for n in range(20)}) > 3


def test_of_two_of_the_same_moment_the_one_at_home_is_the_newest() -> None:
    copy, home = point(region=AWAY), point()
    one = subject(points=(copy, home))
    assert candidates(one, Level.CHECK) == [home, copy]


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ((), "no recovery point that could be restored"),
        ((point(state=State.FAILED), point(state=State.REMOVING)), "no recovery point that could"),
        ((point(until=NOW, keeper="RDS"),), "point-in-time recovery alone"),
        ((point(tier="archive"),), "not archived"),
    ],
)
def test_without_any_it_says_why(found: tuple[RecoveryPoint, ...], why: str) -> None:
    one = subject(points=found)
    assert take(one, Level.BLOCKS, MONTH, 3, NOW, "s") is None
    assert why in nothing(one, Level.BLOCKS)


def test_what_others_keep_is_drilled_too() -> None:
    theirs = point(Kind.DATABASE, keeper="AWS Backup")
    one = subject(kind=Kind.DATABASE, points=(theirs, point(Kind.DATABASE, made=days_ago(1))))
    assert candidates(one, Level.CHECK)[0] == theirs
