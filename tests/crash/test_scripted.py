"""A night with scripts around a set of snapshots, killed, doubled, throttled and left alone: one
recovery point of each, honest about what the scripts did, and nothing left standing still.
"""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from local.mischief import Failure, Mischief
from tests.crash.forks import aside, explore
from tests.crash.night import NIGHT
from tests.crash.scripted import (
    DOCUMENT,
    PLAIN,
    POST,
    PRE,
    SCRIPTED,
    SHARD,
    Account,
    Outcome,
    Point,
    account,
    outcome,
    run_night,
    run_until,
    run_until_frozen,
    shard_of,
)
from watchkeeper.backups.model import APPLICATION

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
CALM = (
    Point("archive", "completed", 1),
    Point("database", "completed", 2),
    Point("web", "completed", 1),
)
FUNCTION = timedelta(minutes=10)
"""How long TakeBackups may take (template.yaml): a killed one may be at it for as long."""
FROZEN_AT_MOST = FUNCTION + timedelta(minutes=5)
"""Of an invocation killed while the instance was frozen: its lease ends a minute after its time,
the sweep that may sleep for a minute finds the run, and the script takes seconds.
"""


@pytest.fixture(scope="module")
def evening() -> Iterator[Account]:
    """A minute before the night. Tests tell their stories aside, so all find it like this."""
    with account() as made:
        made.cloud.clock.run_until(NIGHT - MINUTE)
        yield made


def is_well(end: Outcome) -> bool:
    """One recovery point of each, honest; nothing left frozen, to do, unlisted, or to tell."""
    return (
        end.points == CALM
        and end.is_honest
        and end.is_thawed
        and end.longest_freeze <= FROZEN_AT_MOST
        and not end.unlisted
        and set(end.runs.values()) == {"done"}
        and not end.pages
    )


def night_with(
    made: Account, trouble: Callable[[Account], object], longest: timedelta = 3 * HOUR
) -> Outcome:
    def story() -> Outcome:
        trouble(made)
        return run_night(made, longest)

    return aside(story)


# ── Killed and doubled ────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "at_least"), [("death", 36), ("twin", 34)])
def test_death_or_twin_at_every_call_about_the_scripted_instance(
    evening: Account, kind: str, at_least: int
) -> None:
    """From the shard's first wake-up to its news; what surrounds it is as in any other night."""

    def is_about_it(_: int) -> bool:
        running = evening.cloud.functions.running
        return running is not None and is_about_the_shard(running.event)

    story = aside(
        lambda: explore(
            evening.cloud,
            lambda: run_night(evening),
            functions={"TakeBackups"},
            kinds=(kind,),
            wanted=is_about_it,
        )
    )
    assert len(story.branches) >= at_least
    assert story.gone_wrong(is_well) == []
    # What was frozen is nearly always known to have been, whoever died: else this proves little.
    ends = [branch.outcome for branch in story.branches if branch.outcome]
    consistent = [end for end in ends if end.consistency == APPLICATION]
    assert len(consistent) > len(story.branches) * 3 // 4


def is_about_the_shard(event: dict[str, Any]) -> bool:
    if event.get("source") == "aws.ssm":
        return True
    news = [json.loads(record["Sns"]["Message"]) for record in event.get("Records", [])]
    return any(one["run"] == SHARD for one in news)


# ── Events ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("trouble", "frozen_at_most"),
    [
        # The sweep finds the end of the one script, and the beginning of the other.
        (lambda mischief: mischief.trouble_events(drop=1.0), 3 * MINUTE),
        (lambda mischief: mischief.trouble_events(repeat=1.0), MINUTE),
        # What the sweep sends is late, too.
        (lambda mischief: mischief.trouble_events(delay=5 * MINUTE, reorder=True), 13 * MINUTE),
    ],
    ids=["all dropped", "all repeated", "late and reordered"],
)
def test_events_only_make_it_shorter(
    evening: Account, trouble: Callable[[Mischief], object], frozen_at_most: timedelta
) -> None:
    end = night_with(evening, lambda made: trouble(made.cloud.mischief))
    assert is_well(end), end
    assert end.consistency == APPLICATION
    assert end.words == (PRE, POST)
    assert end.longest_freeze <= frozen_at_most


# ── Halted ────────────────────────────────────────────────────────────────────────────────────────


def put_stop(made: Account) -> None:
    stop = {"pk": "STOP", "sk": "STOP", "why": "a test", "by": "a person"}
    made.cloud.client("dynamodb").put_item(
        TableName=made.cloud.physical_id("Table"),
        Item={name: {"S": value} for name, value in stop.items()},
    )


def lift_stop(made: Account) -> None:
    key = {"pk": {"S": "STOP"}, "sk": {"S": "STOP"}}
    made.cloud.client("dynamodb").delete_item(TableName=made.cloud.physical_id("Table"), Key=key)


def test_a_stop_set_while_it_is_frozen_keeps_it_from_nothing(evening: Account) -> None:
    def story() -> tuple[Outcome, Outcome]:
        clock = evening.cloud.clock
        evening.cloud.mischief.trouble_events(drop=1.0)
        run_until_frozen(evening)
        put_stop(evening)
        clock.run_for(20 * MINUTE)
        halted = outcome(evening)
        lift_stop(evening)
        return halted, run_night(evening)

    halted, end = aside(story)
    assert SCRIPTED not in halted.reported
    assert halted.is_thawed
    assert halted.longest_freeze <= 3 * MINUTE
    assert is_well(end), end
    assert end.consistency == APPLICATION


def test_a_stop_set_before_freezes_nothing(evening: Account) -> None:
    def story() -> tuple[Outcome, Outcome]:
        clock = evening.cloud.clock
        evening.cloud.mischief.trouble_events(delay=5 * MINUTE)
        run_until(evening, lambda: shard_of(evening))
        put_stop(evening)
        clock.run_for(20 * MINUTE)
        halted = outcome(evening)
        lift_stop(evening)
        return halted, run_night(evening)

    halted, end = aside(story)
    assert halted.words == ()
    assert is_well(end), end
    assert end.consistency == APPLICATION


# ── EC2 keeps it waiting ──────────────────────────────────────────────────────────────────────────


def about_the_instance(made: Account) -> Callable[[dict[str, Any]], bool]:
    return lambda asked: asked.get("InstanceSpecification", {}).get("InstanceId") == made.instance


def throttled(made: Account) -> None:
    made.cloud.mischief.failures.append(
        Failure(
            "ec2", "CreateSnapshots", "RequestLimitExceeded", "Request limit exceeded.", 503,
            until=NIGHT + HOUR, match=about_the_instance(made),
        )
    )  # fmt: skip


def unanswered(made: Account) -> None:
    made.cloud.mischief.fail(
        "ec2", "CreateSnapshots", "ReadTimeout", match=about_the_instance(made)
    )


def answer_lost(made: Account) -> None:
    made.cloud.mischief.fail(
        "ec2", "CreateSnapshots", "ReadTimeout", after=True, match=about_the_instance(made)
    )


@pytest.mark.parametrize(
    ("trouble", "held_still", "why"),
    [
        (throttled, False, "RequestLimitExceeded"),
        (unanswered, False, "ReadTimeoutError"),
        (answer_lost, True, "ReadTimeoutError"),
    ],
)
def test_it_is_thawed_before_ec2_is_waited_for(
    evening: Account, trouble: Callable[[Account], object], why: str, *, held_still: bool
) -> None:
    end = night_with(evening, trouble)
    assert is_well(end), end
    assert end.words == (PRE, POST)
    assert end.longest_freeze <= MINUTE
    assert end.held_still == held_still
    assert why in end.consistency


def denied(made: Account) -> None:
    made.cloud.mischief.fail(
        "ec2", "CreateSnapshots", "UnauthorizedOperation", times=None,
        match=about_the_instance(made),
    )  # fmt: skip


def refused(made: Account) -> None:
    made.cloud.mischief.fail(
        "ec2", "CreateSnapshots", "SnapshotLimitExceeded", times=None,
        match=about_the_instance(made),
    )  # fmt: skip


@pytest.mark.parametrize("trouble", [denied, refused])
def test_it_is_thawed_where_there_can_be_no_recovery_point(
    evening: Account, trouble: Callable[[Account], object]
) -> None:
    end = night_with(evening, trouble, 4 * HOUR)  # three of them go by before `take` gives up
    failed = [point for point in end.points if point.state == "failed"]
    assert failed == [Point("database", "failed", 0)]
    assert end.is_thawed
    assert end.longest_freeze <= 3 * MINUTE
    assert set(end.reported) == {SCRIPTED, PLAIN}


# ── SSM and the instance ──────────────────────────────────────────────────────────────────────────


def pre_fails(made: Account) -> None:
    made.commands.scripts_fail(made.instance, PRE, "no space", code=201)


def pre_fails_half_way(made: Account) -> None:
    made.commands.scripts_fail(made.instance, PRE, "no space", code=201, freezes=True)


def unmanaged(made: Account) -> None:
    made.commands.unmanaged.add(made.instance)


def sends_throttled(made: Account) -> None:
    made.cloud.mischief.throttle(
        "ssm", "SendCommand", until=NIGHT + HOUR, code="ThrottlingException"
    )


def sends_denied(made: Account) -> None:
    made.cloud.mischief.fail("ssm", "SendCommand", "AccessDeniedException", times=None)


def no_document(made: Account) -> None:
    made.cloud.client("ssm").delete_document(Name=DOCUMENT)


@pytest.mark.parametrize(
    ("trouble", "why", "words"),
    [
        (pre_fails, 'failed: Failed, exit code 201, output "no space"', (PRE, POST)),
        (pre_fails_half_way, "failed: Failed, exit code 201", (PRE, POST)),
        (unmanaged, "InvalidInstanceId", ()),
        (sends_throttled, "SSM took no command for 0:05:00", ()),
        (sends_denied, "AccessDeniedException", ()),
        (no_document, "InvalidDocument", ()),
    ],
)
def test_a_pre_script_that_does_not_work_costs_consistency_alone(
    evening: Account, trouble: Callable[[Account], object], why: str, words: tuple[str, ...]
) -> None:
    end = night_with(evening, trouble)
    assert is_well(end), end
    assert why in end.consistency
    assert (end.words, end.held_still) == (words, False)
    assert end.catalogued_at is not None
    assert end.catalogued_at <= NIGHT + 20 * MINUTE


def lists_throttled(made: Account) -> None:
    for operation in ("ListCommands", "ListCommandInvocations"):
        made.cloud.mischief.throttle(
            "ssm", operation, until=NIGHT + HOUR, code="ThrottlingException"
        )


def lists_denied(made: Account) -> None:
    for operation in ("ListCommands", "ListCommandInvocations"):
        made.cloud.mischief.failures.append(
            Failure("ssm", operation, "AccessDeniedException", "no", until=NIGHT + HOUR)
        )


@pytest.mark.parametrize("trouble", [lists_throttled, lists_denied])
def test_it_is_thawed_even_if_nobody_can_see_what_the_scripts_did(
    evening: Account, trouble: Callable[[Account], object]
) -> None:
    end = night_with(evening, trouble)
    assert end.points == CALM
    assert end.is_honest
    assert end.is_thawed
    assert end.longest_freeze <= 6 * MINUTE
    assert set(end.runs.values()) == {"done"}


def test_an_instance_that_never_answers_is_taken_and_told_of(evening: Account) -> None:
    end = night_with(evening, lambda made: made.commands.never_answers(made.instance))
    assert end.points == CALM
    assert end.is_honest
    assert "DeliveryTimedOut" in end.consistency
    assert set(end.reported) == {SCRIPTED, PLAIN}
    assert end.pages[0] == f"Post script failed: {evening.instance} may be frozen"


def test_a_document_that_thaws_by_itself_is_not_called_consistent(evening: Account) -> None:
    """Its own timer runs out before the sweep of the next minute has the snapshots taken."""

    def story() -> Outcome:
        evening.cloud.mischief.trouble_events(drop=1.0)
        run_until_frozen(evening)
        evening.commands.thaw(evening.instance)
        return run_night(evening)

    end = aside(story)
    assert is_well(end), end
    assert not end.held_still
    assert "thawed before the post script" in end.consistency


def test_a_post_script_that_works_at_the_fourth_try_is_no_news(evening: Account) -> None:
    end = night_with(
        evening,
        lambda made: made.commands.scripts_fail(made.instance, POST, "busy", code=202, times=3),
    )
    assert is_well(end), end
    assert end.consistency == APPLICATION
    assert end.words == (PRE, *[POST] * 4)
    assert end.longest_freeze <= 10 * MINUTE


def test_a_thaw_that_never_works_is_told_and_waited_for_by_nobody(evening: Account) -> None:
    end = night_with(
        evening,
        lambda made: made.commands.scripts_fail(made.instance, POST, "busy", code=202, times=99),
    )
    assert end.points == CALM
    assert end.is_honest
    assert end.consistency == APPLICATION
    assert not end.is_thawed
    assert end.pages[0] == f"Post script failed: {evening.instance} may be frozen"
    assert end.catalogued_at is not None
    assert end.catalogued_at <= NIGHT + 20 * MINUTE
    assert max(end.reported.values()) <= NIGHT + 30 * MINUTE
    still = {run: where for run, where in end.runs.items() if where != "done"}
    assert list(still) == [SHARD]
    assert still[SHARD].startswith("thawed waits for another try of the post script")
