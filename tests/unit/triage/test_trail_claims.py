"""What the audit trail of an incident is found to say."""

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.triage.incident_world import (
    ACCOUNT,
    BEGAN,
    DEPLOYER,
    MINUTE,
    NOW,
    deployed,
    event,
    incident,
    trail,
)
from watchkeeper.triage.gathered import Gathered, Trail
from watchkeeper.triage.trail_claims import FromTrail, from_trail


def found(*events: dict[str, Any], **fields: Any) -> FromTrail:
    return from_trail(incident(trail=trail(*events), **fields), BEGAN)


def configured(minutes: int, who: str = DEPLOYER) -> dict[str, Any]:
    at, request = BEGAN - minutes * MINUTE, {"functionName": "orders"}
    return event("UpdateFunctionConfiguration20150331v2", at, who, request=request)


def test_the_change_just_before_comes_first_with_how_long_before() -> None:
    result = found(deployed(50), deployed(4), deployed(12), configured(-20))

    assert [one.text.partition(":")[0] for one in result.changed] == [
        "4 min before it began", "12 min before it began", "50 min before it began",
        "20 min after it began",
    ]  # fmt: skip
    assert "UpdateFunctionCode" in result.changed[0].text
    assert '"functionName": "orders"' in result.changed[0].lines[0]
    assert result.changed[0].links[0].url.endswith("/UpdateFunctionCode20150331v2-030200")


def test_what_changed_within_the_first_bad_datapoint_came_before_it() -> None:
    result = found(deployed(20), configured(-2))

    assert "2 min after it began" in result.changed[0].text


def test_our_own_changes_are_told_apart_and_come_last() -> None:
    ours = f"arn:aws:iam::{ACCOUNT}:role/watchkeeper-patch"
    result = found(configured(2, ours), deployed(9), ours=(ours,), code=(DEPLOYER,))

    assert "(infrastructure as code)" in result.changed[0].text
    assert "(watchkeeper)" in result.changed[1].text


def intruder(name: str = "StopLogging", **fields: Any) -> dict[str, Any]:
    who = f"arn:aws:iam::{ACCOUNT}:role/other"
    return event(name, BEGAN - 9 * MINUTE, who, source="cloudtrail", **fields)


def test_what_is_suspicious_names_rule_attack_and_event() -> None:
    result = found(intruder(request={"name": "main"}))

    (claim,) = [one for one in result.suspicious if "StopLogging" in one.text]
    assert claim.severity in ("high", "critical")
    assert "T1" in claim.text
    assert "StopLogging-" in claim.links[0].url
    assert '"eventName": "StopLogging"' in claim.lines[0]
    assert result.grave


def test_findings_about_this_incident_come_first() -> None:
    result = found(intruder(request={"name": "main"}), deployed())

    assert "about this incident's resources" in result.suspicious[0].text
    assert "StopLogging" in result.suspicious[1].text


@pytest.mark.parametrize("events", [(), (deployed(),)])
def test_a_trail_that_is_late_is_never_clean(events: tuple[dict[str, Any], ...]) -> None:
    late = incident(trail=trail(*events, until=NOW - 3 * MINUTE))
    result = from_trail(late, BEGAN)

    assert result.usual == ()
    assert result.silences == ()
    assert "the audit trail after 03:09 UTC because CloudTrail tells later" in result.unchecked[0]
    assert "complete by 03:27 UTC" in result.unchecked[0]


def test_a_complete_trail_without_anything_is_usual_and_an_empty_one_is_silent() -> None:
    quiet = found(event("DescribeInstances", BEGAN, source="ec2", readOnly=True))

    assert len(quiet.usual) == 2
    assert quiet.silences == ()
    assert found().usual == ()
    assert "or it is switched off" in found().silences[0].text


def test_a_trail_that_is_switched_off_is_a_silence() -> None:
    off = replace(trail(), silent="logging of the trail main was stopped")

    assert [one.text for one in from_trail(incident(trail=off), BEGAN).silences] == [
        "the audit trail: logging of the trail main was stopped"
    ]


def test_a_trail_that_was_not_read_is_unchecked() -> None:
    nothing = replace(incident(), trail=Trail())

    assert from_trail(nothing, BEGAN).unchecked == ("the audit trail because it was not read",)


def test_too_many_changes_are_counted() -> None:
    many: Gathered = incident(trail=trail(*(
        {**deployed(number % 40), "eventID": f"e{number}"} for number in range(50)
    )))  # fmt: skip
    result = from_trail(many, BEGAN)

    assert len(result.changed) == 30
    assert any("20 further changes" in one for one in result.unchecked)


@pytest.mark.parametrize(
    "garbage",
    [{}, {"eventName": 5}, {"eventName": "X", "errorCode": ["x"], "eventID": {"a": 1}},
     {"eventName": "StopInstances", "eventTime": "soon", "userIdentity": []},
     {"detail": {"eventName": "\ud800"}}, {"CloudTrailEvent": "{" * 100_000}],
)  # fmt: skip
def test_garbage_breaks_nothing(garbage: dict[str, Any]) -> None:
    assert from_trail(incident(trail=trail(garbage, deployed())), BEGAN).changed
