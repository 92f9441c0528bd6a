"""Some of the restores that `restores.py` drills as a command, and how it judges them."""

from collections.abc import Iterator, Sequence

import pytest

from tests.crash.restores import Account
from tests.simulation.restores import Case, Drilled, chosen, counts, drills_of, judged, tell
from tests.simulation.restores_cases import CHECK, METADATA, RESTORE, Bad, Good, Unseen
from tests.simulation.restores_harm import nothing
from tests.simulation.restores_world import BLANK, BOOKINGS, account

BAD = Bad(BOOKINGS, "empty", CHECK, "database contents", nothing)
UNRESTORED = Bad(BOOKINGS, "it cannot be restored", RESTORE, "it was not restored", nothing)
GOOD = Good(BOOKINGS, "untouched")
UNSEEN = Unseen(BOOKINGS, "a flipped bit", "nobody asks", nothing)


def passed(level: str, *left: str) -> Drilled:
    return Drilled(level, "passed", "", left=left)


def failed(level: str, *names: str, at: str = "") -> Drilled:
    failing = tuple((name, at or level) for name in names)
    return Drilled(level, "failed", "it was not restored: RDS says so", failing)


LOWER = passed(METADATA)


@pytest.mark.parametrize(
    ("case", "drills", "is_right", "said"),
    [
        (BAD, [LOWER, failed(CHECK, "database contents")], True, "database contents"),
        (BAD, [LOWER, failed(CHECK, "a", "database contents of it")], True, "database contents"),
        (BAD, [LOWER, passed(CHECK)], False, "MISSED"),
        (BAD, [], False, "MISSED"),
        (BAD, [failed(METADATA, "its key")], False, "CAUGHT TOO EARLY, at metadata"),
        (BAD, [LOWER, failed(CHECK, "database contents", at=RESTORE)], False, "CAUGHT TOO EARLY"),
        (BAD, [LOWER, failed(CHECK, "database answers")], False, "CAUGHT BY ANOTHER: database a"),
        (BAD, [LOWER, failed(CHECK, "database contents and more")], False, "CAUGHT BY ANOTHER"),
        (BAD, [LOWER, failed(CHECK)], False, "CAUGHT BY ANOTHER: it was not restored"),
        (UNRESTORED, [LOWER, failed(RESTORE)], True, "it was not restored"),
        (UNRESTORED, [LOWER, failed(RESTORE, "it was not restored")], True, "it was not restored"),
        (GOOD, [LOWER, passed(CHECK)], True, "passed"),
        (GOOD, [LOWER, failed(CHECK, "database contents")], False, "REFUSED at check"),
        (GOOD, [LOWER, passed(CHECK, "vol-1")], False, "LEFT BEHIND: vol-1"),
        (GOOD, [], False, "passed"),
        (UNSEEN, [LOWER, passed(CHECK)], True, "nobody asks"),
        (UNSEEN, [LOWER, failed(CHECK, "database contents")], False, "CAUGHT at check"),
    ],
)
def test_a_case_is_right_only_by_its_own_check_at_its_own_level(
    case: Case, drills: Sequence[Drilled], is_right: bool, said: str
) -> None:
    row = judged(case, drills)
    assert (row.is_right, row.said[: len(said)]) == (is_right, said)


def test_both_counts_are_told_and_one_slip_is_an_error() -> None:
    caught = judged(BAD, [LOWER, failed(CHECK, "database contents")])
    missed = judged(BAD, [LOWER, passed(CHECK)])
    good, refused = judged(GOOD, [passed(CHECK)]), judged(GOOD, [failed(METADATA, "its key")])
    assert counts([caught, caught, good]) == (
        "caught 2 of 2 bad restores; refused 0 of 1 good ones",
        True,
    )
    assert counts([caught, missed, good, refused]) == (
        "caught 1 of 2 bad restores; refused 1 of 2 good ones",
        False,
    )
    assert not counts([])[1]


def test_no_case_counts_twice() -> None:
    cases = [case for _, some in chosen() for case in some]
    told = [(case.name, case.what if isinstance(case, Good) else case.wrong) for case in cases]
    assert len(set(told)) == len(told) > 100


# ── In the box ────────────────────────────────────────────────────────────────────────────────────

TELLING = {
    "volume": ("no superblock of XFS", "another volume", "restored with a flipped bit"),
    "instance set": ("LVM restored without its label", "untouched"),
    "database": ("of another version", "half of its rows purged", "newest rows missing"),
    "cluster": ("without its tags", "another database", "old rows were purged"),
    "table": ("its stream is lost", "older than claimed", "the newest item", "came and went"),
}
"""By kind, what is wrong in some cases, or good; the command has them all."""


@pytest.fixture(scope="module")
def morning() -> Iterator[Account]:
    """Each call is judged by the role of its function. Cases happen aside."""
    with account(deny=True) as made:
        yield made


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "words"), [(kind, words) for kind, some in TELLING.items() for words in some]
)
def test_telling_ones(morning: Account, kind: str, words: str) -> None:
    cases = [case for _, some in chosen([kind, words]) for case in some]
    [case] = [case for case in cases if not isinstance(case, Unseen)][:1]
    row = judged(case, drills_of(morning, case))
    assert row.is_right, row.said


@pytest.mark.slow
def test_what_is_not_caught_is_told_and_ends_the_command_with_an_error(
    morning: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    harmless = Bad(BLANK, "nothing is wrong with it", CHECK, "items", nothing)
    assert tell(morning, [("Bad", [harmless])]) == 1
    told = capsys.readouterr().out
    assert "MISSED" in told
    assert "caught 0 of 1 bad restores; refused 0 of 0 good ones" in told
