"""Showing what somebody else wrote."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.quoting import LONGEST_QUOTE, quoted


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("daily", '"daily"'),
        ("", '""'),
        ('say "hi"', r'"say \"hi\""'),
        ("\x1b[2J\n", r'"\u001b[2J\n"'),
        ("\u202e", r'"\u202e"'),
        ("\ud800", r'"\ud800"'),
        ("x" * 80, f'"{"x" * 80}"'),
        ("x" * 81, f'"{"x" * 80}"…'),
        (-5, "-5"),
        (None, "null"),
        ([1, "a"], '[1, "a"]'),
        (["x" * 100], f'["{"x" * 78}…'),
        ({1}, '"{1}"'),
    ],
)
def test_what_is_shown(value: object, shown: str) -> None:
    assert quoted(value) == shown


@given(st.text(max_size=200))
def test_a_quote_is_short_and_can_be_printed(text: str) -> None:
    shown = quoted(text)
    assert shown.isprintable()
    assert len(shown) <= 12 * LONGEST_QUOTE + 3  # a character outside the BMP takes 12
