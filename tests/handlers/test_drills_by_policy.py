"""DrillRestores and the operator's policy: accepted, refused, gone; and what is overdue by it."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.crash.drills import (
    DRILLS,
    PLAIN,
    ROUND,
    TICK,
    Account,
    Outcome,
    account,
    run_round,
    settle,
)
from tests.crash.forks import aside
from tests.crash.night import items

NAME = "/watchkeeper/policy/drills"
A_DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def morning() -> Iterator[Account]:
    with account() as made:
        made.cloud.clock.run_until(ROUND)
        yield made


def write(made: Account, policy: dict[str, Any]) -> None:
    made.cloud.client("ssm").put_parameter(
        Name=NAME, Value=json.dumps(policy), Type="String", Overwrite=True
    )


def last_good(made: Account) -> dict[str, Any]:
    (item,) = [one for one in items(made.cloud) if one["pk"] == "POLICY#drills"]
    return item


def test_a_policy_that_never_proves_anything_is_refused_and_the_last_good_rules(
    morning: Account,
) -> None:
    levels = ("metadata", "blocks", "restore", "check", "exercise")

    def story() -> tuple[Outcome, dict[str, Any]]:
        write(morning, {**DRILLS, "every": dict.fromkeys(levels, "never")})
        return run_round(morning), last_good(morning)

    end, kept = aside(story)
    assert end.told == (f"Policy refused: {NAME}",)
    assert json.loads(kept["text"]) == DRILLS
    assert end.proofs[PLAIN] == {"blocks": "passed"}
    page = next(run for run in end.runs if run.startswith("policy#"))
    assert end.runs[page] == "done"


def test_a_policy_that_is_gone_is_told_and_kept_as_the_previous_one(morning: Account) -> None:
    def story() -> tuple[Outcome, dict[str, Any]]:
        morning.cloud.client("ssm").delete_parameter(Name=NAME)
        return run_round(morning), last_good(morning)

    end, kept = aside(story)
    assert end.told == (f"Policy gone: {NAME}",)
    assert json.loads(kept["previous"]) == DRILLS


def test_what_is_overdue_is_measured_each_hour_and_sounds_the_alarm(morning: Account) -> None:
    """The stop holds the rounds, and not who counts what they do not do."""

    def story() -> tuple[list[str], list[str]]:
        cloud = morning.cloud
        run_round(morning)
        stop = {"pk": {"S": "STOP"}, "sk": {"S": "STOP"}, "why": {"S": "x"}, "by": {"S": "ops"}}
        cloud.client("dynamodb").put_item(TableName=cloud.physical_id("Table"), Item=stop)
        cloud.clock.run_until(ROUND + TICK + A_DAY + timedelta(hours=5))
        before = sounding(morning)
        cloud.clock.run_for(timedelta(hours=5))
        return before, sounding(morning)

    before, after = aside(story)
    assert not any("DrillsOverdue" in subject for subject in before)
    assert any("DrillsOverdue" in subject for subject in after)


def sounding(made: Account) -> list[str]:
    return [
        page.subject or ""
        for page in made.cloud.published("PagesTopic")
        if (page.subject or "").startswith("ALARM: ")
    ]


def test_the_next_round_drills_the_next_night(morning: Account) -> None:
    def story() -> Outcome:
        run_round(morning)
        morning.cloud.clock.run_until(ROUND + A_DAY + TICK + timedelta(minutes=5))
        return settle(morning)

    end = aside(story)
    chain = end.chains[PLAIN]
    assert [(one.run, one.verdict) for one in chain] == [
        ("drill#round#2026-11-23T03:00Z#blocks", "passed"),
        ("drill#round#2026-11-24T03:00Z#blocks", "passed"),
    ]
    assert not end.breaks
