"""Some weeks of the year that `drills_year.py` runs as a command; and that its judge notices."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.simulation import drills_model as model
from tests.simulation.drills_records import (
    DAY,
    LEVELS,
    READING,
    Begun,
    Choice,
    Damage,
    Document,
    Excuse,
    Member,
    Page,
    Rules,
    Seen,
)
from tests.simulation.drills_seen import seen
from tests.simulation.drills_year import begun, judged, live
from tests.simulation.year_story import Stretch

# ── The judge ─────────────────────────────────────────────────────────────────────────────────────

BEGINS = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DISK = "arn:aws:ec2:us-east-1:123456789012:volume/vol-1"
RULES = Rules(BEGINS, {"gold": {"check": 10 * DAY, "metadata": 5 * DAY}}, 2, 5.0, 10.0)


def document(
    days: float, level: str = "check", verdict: str = "passed", **more: object
) -> Document:
    """Of a drill that ended so many days after the beginning, and took an hour."""
    ended = BEGINS + days * DAY
    run = f"drill#round#{days}#{level}" if level in READING else f"drill#round#{days}#1#{level}"
    made = Document(
        DISK, level, run, verdict, "", "point", ended - DAY / 24, ended, 4.0, 1, f"digest {days}"
    )
    return replace(made, **more)  # type: ignore[arg-type]


def a_while(*documents: Document, days: float = 25, **more: object) -> Seen:
    """With everything beside the documents as it should be."""
    restored = [one for one in documents if not one.is_reading]
    found = Seen(
        begins=BEGINS,
        ends=BEGINS + days * DAY,
        rules=[RULES],
        members=[Member(DISK, "disk", "gold", has_blocks=True, since=BEGINS)],
        documents=documents,
        choices=[Choice(one.run, one.began_at, one.usd) for one in restored],
        begun=[Begun(one.run, DISK, one.began_at, one.usd) for one in restored],
        pages=[
            Page("Drills failed: 1 more", one.round, one.ended_at, ("- disk",))
            for one in documents
            if one.verdict == "failed"
        ],
        excuses=[Excuse(BEGINS, BEGINS + 99 * DAY)],
    )
    return replace(found, **more)  # type: ignore[arg-type]


def complaints(of: Seen) -> list[str]:
    judges: Sequence[Iterator[str]] = [
        model.undrilled(of), model.alarmed(of), model.overspent(of), model.unaccounted(of),
        model.mispaged(of), model.misjudged(of),
    ]  # fmt: skip
    return [one for judge in judges for one in judge]


REGULAR = (
    *(document(number * 4.5, "metadata") for number in range(1, 6)),
    document(9),
    document(18),
)
RED = document(9, verdict="failed")
MENDED = (RED, document(15.5), *(document(number * 4.5, "metadata") for number in range(1, 6)))


@pytest.mark.parametrize("documents", [REGULAR, MENDED])
def test_the_judge_has_nothing_against_what_is_as_it_should_be(
    documents: tuple[Document, ...],
) -> None:
    assert complaints(a_while(*documents)) == []


def without(level: str) -> tuple[Document, ...]:
    return tuple(one for one in REGULAR if one.level != level)


WHY = "its key is disabled"
TOLD = (
    document(1, verdict="failed", failure=WHY),
    document(4.5, "metadata", "failed", failure=WHY),
)
"""A round finds what a check has found before, and tells nobody again."""
WELL = (document(1, verdict="failed", failure=WHY), document(3, "metadata"), TOLD[1])
CHECKED = (document(1, "metadata", "failed"), document(3), document(5.5, "metadata", "failed"))
"""It was well in between, at its own level or at a higher one: to be told again."""


@pytest.mark.parametrize(
    ("documents", "pages"),
    [
        (TOLD, [1]),
        ((TOLD[0], replace(TOLD[1], failure="another reason")), [1, 4.5]),
        (WELL, [1, 4.5]),
        (CHECKED, [1, 5.5]),
    ],
)
def test_the_judge_expects_each_failure_to_be_told_once_until_it_is_well(
    documents: tuple[Document, ...], pages: list[float]
) -> None:
    seen = a_while(*documents, days=6)
    wanted = [one for one in seen.pages if (one.at - BEGINS) / DAY in pages]
    assert complaints(replace(seen, pages=wanted)) == []
    for missing in wanted:
        others = [one for one in wanted if one is not missing]
        assert "1 pages too few" in "".join(complaints(replace(seen, pages=others)))


def test_the_judge_takes_a_failure_just_in_time_for_a_drill_that_happened() -> None:
    every = {"gold": {"check": 10 * DAY, "blocks": 10 * DAY}}
    documents = (document(4), document(13.99, "blocks", "failed"), document(13.995))
    of = a_while(*documents, days=16, rules=[replace(RULES, every=every)])
    assert list(model.undrilled(of)) == []
    failing = a_while(*documents[:2], days=22, rules=[replace(RULES, every=every)])
    assert [one.split(" was ")[0] for one in model.undrilled(failing)] == [
        "disk at level blocks", "disk at level check"
    ]  # fmt: skip


ROUND = document(4.5, "metadata", "failed")
AGAIN = document(9.5, "metadata", "failed")
PAGED = Page("Drills failed: 1 more", ROUND.round, BEGINS, ("- disk",))


@pytest.mark.parametrize(
    ("of", "what"),
    [
        (a_while(*without("check")), "disk at level check was overdue"),
        (a_while(*without("metadata"), days=40), "disk at level metadata was overdue"),
        (a_while(RED, document(9, "metadata"), document(24.5)), "level check was overdue"),
        (a_while(*REGULAR, crowds=[(BEGINS + DAY, 3)]), "3 drills at once"),
        (a_while(*REGULAR, document(18.1, usd=5.5)), "per_run_usd is"),
        (a_while(*REGULAR, document(20)), "per_month_usd is"),
        (a_while(*REGULAR, choices=[]), "$0.00 was said, and $4.00 begun"),
        (a_while(*REGULAR, begun=[]), "counted is None"),
        (a_while(*MENDED, pages=[]), "1 pages too few: Drills failed"),
        (a_while(*REGULAR, pages=[PAGED]), "1 pages too many: Drills failed"),
        (
            a_while(*MENDED, pages=[Page("Drills failed: 1", RED.run, BEGINS, ("- a",), text)
                                    for text in ("one", "another")]),
            "1 pages too many: Drills failed",
        ),
        (a_while(*MENDED, pages=[Page("Stuck: it", RED.run, BEGINS)]), "1 pages too many: Stuck"),
        (a_while(ROUND, AGAIN, days=10), "1 pages too many: Drills failed"),
        (a_while(ROUND, days=10, pages=[replace(PAGED, lines=("- a", "- b"))]), "2 failures in"),
        (a_while(RED, days=10, failed_runs=frozenset([RED.run])), "1 pages too few: Failed"),
        (a_while(RED, days=10, excuses=[]), "has failed for nothing"),
        (
            a_while(*REGULAR, damaged={"point": Damage("emptied", BEGINS)}),
            "has passed, and point was emptied",
        ),
        (a_while(*without("check"), days=25, alarms=[]), "no alarm from"),
        (a_while(*REGULAR, alarms=[(BEGINS + 3 * DAY, BEGINS + 4 * DAY)]), "for nothing"),
    ],
)  # fmt: skip
def test_the_judge_notices(of: Seen, what: str) -> None:
    assert any(what in one for one in complaints(of)), complaints(of)


@pytest.mark.parametrize(
    ("more", "is_fine"),
    [
        ({"choices": [Choice("a", BEGINS + 9 * DAY, 0, shortfalls=("disk: put off",))]}, True),
        (
            {"choices": [Choice("a", BEGINS + 9 * DAY, 0, put_off=("disk at level check: no",))]},
            True,
        ),
        ({"choices": [Choice("a", BEGINS + 9 * DAY, 0, shortfalls=("the budget cannot",))]}, True),
        ({"choices": [Choice("a", BEGINS + 9 * DAY, 0, shortfalls=("other: put off",))]}, False),
        ({"choices": [Choice("a", BEGINS + 20 * DAY, 0, shortfalls=("disk: put off",))]}, False),
        ({"troubles": [(BEGINS + 12 * DAY, BEGINS + 15 * DAY)]}, True),
        ({"troubles": [(BEGINS + 2 * DAY, BEGINS + 4 * DAY)]}, False),
    ],
)
def test_what_is_overdue_must_have_been_said_before_or_be_explained(
    more: dict[str, object], is_fine: bool
) -> None:
    of = a_while(*without("check"), days=16, **more)
    assert (list(model.undrilled(of)) == []) is is_fine


def test_the_judge_counts_a_document_for_each_verdict() -> None:
    runs, rounds = [RED.run], {ROUND.round: 1}
    assert list(model.undocumented([RED, ROUND], runs, rounds)) == []
    for documents in ([RED], [ROUND], [RED, RED, ROUND], [RED, ROUND, ROUND]):
        assert list(model.undocumented(documents, runs, rounds)), documents


# ── Weeks ─────────────────────────────────────────────────────────────────────────────────────────

WEEKS = 5


@pytest.mark.slow
def test_weeks_in_which_much_goes_wrong_come_to_what_the_policy_promises() -> None:
    with begun(
        Stretch(seed=24, begins=datetime(2027, 1, 11, 12, 0, tzinfo=UTC), weeks=WEEKS)
    ) as year:
        assert len(list(live(year))) == WEEKS
        year.complain(judged(year))
        assert year.complaints == []
        drilled = seen(year)
    assert {one.level for one in drilled.documents} >= set(LEVELS[:-1])
    assert any(one.verdict == "failed" for one in drilled.documents)
    assert max(number for _, number in drilled.crowds) > 0
