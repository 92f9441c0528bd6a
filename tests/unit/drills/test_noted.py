"""What a run notes down of its checks: it comes back, and it never outgrows the record."""

import json
from dataclasses import replace
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.drills import noted
from watchkeeper.drills.evidence import LONGEST_TEXT
from watchkeeper.drills.model import Check, Level

CHECK = Check("row count of orders", Level.CHECK, 3, "at least 10", "12", passed=True, why="live")
WORDS = st.text(max_size=30)
CHECKS = st.lists(
    st.builds(Check, WORDS, st.sampled_from(Level), st.integers(1, 9), WORDS, WORDS, st.booleans(),
              WORDS),
    max_size=8,
)  # fmt: skip
ITEM = 400_000
"""Bytes, at the most, of an item of DynamoDB's; one leaves room for news that wait in it."""
NEWS = 8 * 8 * 1024


@given(CHECKS)
def test_what_was_found_comes_back(found: list[Check]) -> None:
    read = noted.read_checks(noted.checks(found))

    assert sorted(map(repr, read)) == sorted(map(repr, found))
    assert [one.passed for one in read] == sorted(one.passed for one in found)


@given(st.dictionaries(WORDS, WORDS, max_size=8))
def test_what_is_to_be_remembered_comes_back(found: dict[str, str]) -> None:
    assert noted.read_pairs(noted.pairs(found)) == found


def test_of_nothing_there_is_nothing() -> None:
    assert (noted.read_checks(""), noted.read_pairs("")) == ([], {})


@pytest.mark.parametrize("letter", ["x", "ё", "🜂", "\n", "\x00"])
@pytest.mark.parametrize("count", [1, 20, 130, 1000])
def test_a_record_with_the_longest_texts_stays_below_what_dynamodb_takes(
    letter: str, count: int
) -> None:
    """JSON writes some letters with twelve characters."""
    text = letter * 20_000
    found = [replace(CHECK, expected=text, found=text, why=text) for _ in range(count)]
    failed = replace(CHECK, name="its size", found=text, passed=False)
    checks = noted.checks([*found, failed])
    pairs = noted.pairs({f"{number:04d}": text[:300] for number in range(count)})
    facts = {"looked": checks, "examined": checks, "before": pairs, "remember": pairs}

    assert sum(len(one.encode()) for one in facts.values()) + NEWS < ITEM
    read = noted.read_checks(checks)
    assert (read[0].name, read[0].passed) == ("its size", False)
    assert max(map(len, chain(*((one.expected, one.found) for one in read)))) <= LONGEST_TEXT


def test_of_as_many_as_a_policy_can_ask_none_is_left_out() -> None:
    """Its parameter holds 8 KB, which is some 130 questions."""
    found = [replace(CHECK, name=f"answer of question {n}", found="🜂" * 400) for n in range(200)]

    assert len(noted.read_checks(noted.checks(found))) == len(found)


@settings(max_examples=20)
@given(st.integers(1, 4000))
def test_what_does_not_fit_is_not_remembered_rather_than_cut(count: int) -> None:
    found = {f"row count of table {n:04d}": str(n) * 5 for n in range(count)}
    kept = noted.read_pairs(noted.pairs(found))

    assert kept.items() <= found.items()
    assert json.dumps(kept) == noted.pairs(found)


def test_a_failure_is_one_sentence_however_much_was_found() -> None:
    said = noted.failure(replace(CHECK, found="x" * 100_000))

    assert said.startswith("row count of orders: expected at least 10, found xxx")
    assert len(said) == LONGEST_TEXT
