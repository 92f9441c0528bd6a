"""The goals for the audit rules, where the labelled data is at hand, and that they hold when the
attacks are dressed otherwise.

DATA, in the environment, names the folder that holds `stratus` and `invictus`.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evaluation.audit import events_in, measure, report
from watchkeeper.triage.audit import suspicious
from watchkeeper.triage.severity import Severity

Event = dict[str, Any]

DATA = Path(os.environ.get("DATA") or "nowhere")
STRATUS, INVICTUS = DATA / "stratus", DATA / "invictus"

needs_data = pytest.mark.skipif(
    not (STRATUS.is_dir() and INVICTUS.is_dir()),
    reason="no labelled audit trails: DATA names no folder with stratus and invictus",
)


def in_a_session(events: list[Event]) -> list[Event]:
    """By a role's session instead of a user, as where people log in through a directory."""
    account = "999988887777"
    identity = {
        "type": "AssumedRole",
        "accountId": account,
        "accessKeyId": "ASIAEXAMPLE",
        "arn": f"arn:aws:sts::{account}:assumed-role/admin/alice",
        "sessionContext": {"sessionIssuer": {"arn": f"arn:aws:iam::{account}:role/admin"}},
    }
    return [
        one if one["eventName"] == "ConsoleLogin" else one | {"userIdentity": identity}
        for one in events
    ]


VARIATIONS: dict[str, Callable[[list[Event]], list[Event]]] = {
    "as it is": lambda events: events,
    "backwards": lambda events: events[::-1],
    "twice": lambda events: events * 2,
    "nameless": lambda events: json.loads(json.dumps(events).replace("stratus", "x")),
    "other agent": lambda events: [one | {"userAgent": "Terraform"} for one in events],
    "in a session": in_a_session,
    "successful": lambda events: [one | {"errorCode": None} for one in events],
    "from EventBridge": lambda events: [{"detail": one} for one in events],
}


@needs_data
def test_the_goals_are_reached(capsys: pytest.CaptureFixture[str]) -> None:
    score = measure(STRATUS, INVICTUS)
    report(score)

    printed = capsys.readouterr().out
    assert score.is_good, printed
    assert f"techniques at medium or above: {score.found} of {len(score.techniques)}" in printed


@needs_data
@pytest.mark.parametrize("variation", VARIATIONS)
def test_every_technique_is_found_however_it_is_dressed(variation: str) -> None:
    missed = []
    for path in sorted(STRATUS.glob("*.json")):
        findings = suspicious(VARIATIONS[variation](events_in(path)))
        if not any(one.severity.rank >= Severity.MEDIUM.rank for one in findings):
            missed.append(path.stem)

    assert missed == []


@needs_data
def test_user_agents_decide_nothing() -> None:
    seen, blind = measure(STRATUS, INVICTUS), measure(STRATUS, INVICTUS, blind=True)

    assert (seen.techniques, seen.flagged) == (blind.techniques, blind.flagged)
