"""An incident in a few lines: what matters, within SNS's limits, whatever the texts are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.triage.reports import HOSTILE, claim, full, report
from watchkeeper.triage.report import Report
from watchkeeper.triage.short import subject, text
from watchkeeper.triage.telling import Kind

LINK = "incidents/inc-1/report.html"


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (Kind.OPENED, "[high] orders-errors, since 03:06"),
        (Kind.CHANGED, "Update: [high] orders-errors, since 03:06"),
        (Kind.RESOLVED, "Over: [high] orders-errors, since 03:06"),
    ],
)
def test_the_subject_says_what_and_how_bad(kind: Kind, told: str) -> None:
    assert subject(report(), kind) == told


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        (report(), "Severity high, since 2026-11-24 03:06 UTC.\n"),
        (report(owner="team-a"), "03:06 UTC, for team-a.\n"),
        (report(), f"Report: {LINK}\n"),
        (report(), "Cause: unknown\nChanged: the audit trail was not read\n"),
        (report(), "Not checked: nothing: everything was checked\n"),
        (report(recurrence=3), "repeats an earlier incident: 3 in a row"),
        (report(errors=(claim(), claim())), "New errors: no route (and 1 more)\n"),
        (report(silences=(claim(text="stopped"),)), "Silent: stopped\n"),
        (report(more={"cause": "a deployment"}), "Cause: a deployment\n"),
        (report(more={"strange": "x", "cause": ""}), "Cause: unknown\n"),
    ],
)
def test_the_text_says_what_is_asked_at_night(shown: Report, told: str) -> None:
    assert told in text(shown, Kind.OPENED, LINK)


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda one: repr(one[:12]))
@pytest.mark.parametrize("kind", Kind)
def test_no_text_breaks_the_message(hostile: str, kind: Kind) -> None:
    _holds(full(hostile, many=3), kind)


@given(st.text(max_size=400))
def test_whatever_the_text(words: str) -> None:
    _holds(full(words), Kind.CHANGED)


def _holds(shown: Report, kind: Kind) -> None:
    line, words = subject(shown, kind), text(shown, kind, LINK)

    assert 0 < len(line) <= 99
    assert all(" " <= one <= "~" for one in line)
    assert len(words.encode()) <= 3_500
    assert all(one.isprintable() for one in words.replace("\n", ""))
    assert f"\nReport: {LINK}\n" in words
    # No text makes up a line of its own.
    assert len(words.splitlines()) == len(text(full("x", many=3), kind, LINK).splitlines())
