"""An incident in one line, in short sentences, and what of it people are told again."""

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.triage.incident_world import (
    ACCOUNT,
    BEGAN,
    DEPLOYER,
    MINUTE,
    NOW,
    alarm,
    deployed,
    errors,
    event,
    failing,
    incident,
    logged,
    measured,
    trail,
)
from watchkeeper.triage.analysis import report_of
from watchkeeper.triage.gathered import Resource, Unchecked


def test_a_headline_says_what_since_when_who_and_what_changed() -> None:
    assert report_of(failing()).headline == (
        '"orders-errors": it began 4 min after UpdateFunctionCode by "deployer", since 03:06 UTC,'
        ' hits "orders"; 1 new error'
    )


def test_of_an_unknown_cause_it_names_the_alarms_and_what_was_not_checked() -> None:
    alarms = (alarm(), alarm("b"), alarm("c"), alarm("d"))
    unchecked = (Unchecked("the logs of x", "denied"),)

    assert report_of(incident(alarms=alarms, unchecked=unchecked)).headline == (
        '"orders-errors", "b" and 2 more alarms, since 03:06 UTC, hits "orders"; 1 not checked'
    )


@pytest.mark.parametrize(
    "name", ["x" * 400, "\x1b[2J\r\nBCC: a@b", "<script>", "{0!r:>9}%s%n", "\ud800"]
)
def test_no_name_breaks_the_line(name: str) -> None:
    arn = f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:{name}"
    made = failing(alarms=(alarm(name), alarm(name * 2)), resources=(Resource(arn), Resource(name)))
    line = report_of(made).headline

    assert len(line) <= 200
    assert line.isprintable()
    assert "since 03:06 UTC" in line


def test_short_sentences_answer_each_question() -> None:
    more = report_of(failing()).more

    assert set(more) == {"what", "changed", "errors", "moved", "intruder", "unchecked", "cause"}
    assert more["what"] == '"orders-errors" since 03:06 UTC, hits "orders"'
    assert more["changed"].startswith("4 min before it began")
    assert more["errors"].startswith("new in")
    assert more["moved"].startswith("Errors Sum")
    assert all(len(text) <= 300 for text in more.values())


def test_nothing_of_a_late_trail_is_nothing_so_far() -> None:
    late = report_of(incident(trail=trail(until=NOW - MINUTE))).more

    assert late["intruder"] == "nothing suspicious so far, until 03:11 UTC; CloudTrail tells later"
    assert late["changed"].startswith("no change was found so far")
    assert report_of(incident(logs=())).more["errors"] == "no logs were looked at"


INTRUDER = event("StopLogging", BEGAN - 9 * MINUTE, f"arn:aws:iam::{ACCOUNT}:role/other",
                 source="cloudtrail", request={"name": "main"})  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"logs": (logged(errors(40)),)}, False),
        ({"metrics": (measured(jump=91.0, of_alarm=True),)}, False),
        ({"look": 1, "recurrence": 3, "used": {"s3_puts": 2}}, False),
        ({"logs": (logged(errors(17, "FATAL another {n} error")),)}, False),
        ({"trail": trail(deployed(4), deployed(20))}, False),
        ({"trail": trail(deployed(4), deployed(2))}, True),
        ({"trail": trail(deployed(), INTRUDER)}, True),
        ({"logs": (logged(),)}, True),
        ({"trail": trail()}, True),
    ],
)
def test_people_are_told_again_only_of_what_matters(fields: dict[str, Any], told: bool) -> None:
    assert (report_of(failing(**fields)).matters != report_of(failing()).matters) is told


def test_our_own_change_is_named() -> None:
    made = failing(ours=(DEPLOYER,))

    assert 'by "deployer" (watchkeeper)' in report_of(made).headline
    assert report_of(replace(made, alarms=())).headline.startswith("an alarm: ")
