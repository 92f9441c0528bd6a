"""Scripts on instances through the adapter, in the box: asserted on what ran there."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.local.scripts_box import DOCUMENT, SECOND, ScriptsBox, scripts_box
from tests.local.service_box import REGION, TWO_O_CLOCK
from watchkeeper.aws.errors import Refused
from watchkeeper.aws.scripts import COMMENT, POST, PRE, Scripts, Sent, State

MINUTE = timedelta(minutes=1)
RUN = "backup#gold#2026-11-23T02:00Z#003"


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptsBox]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with scripts_box() as box:
        yield box


@pytest.fixture
def instance(box: ScriptsBox) -> str:
    return box.instance


@pytest.fixture
def scripts(box: ScriptsBox) -> Scripts:
    return Scripts("watchkeeper")


def send(scripts: Scripts, instance: str, word: str = PRE, run: str = RUN) -> str:
    return scripts.send(DOCUMENT, instance, word, run, 30 * SECOND)


def test_a_script_runs_and_its_outcome_is_unknown_until_it_is_shown(
    box: ScriptsBox, scripts: Scripts, instance: str
) -> None:
    command = send(scripts, instance)
    assert scripts.outcome(command, instance).state is State.UNFINISHED
    box.clock.run_for(3 * SECOND)
    assert scripts.outcome(command, instance).state is State.UNFINISHED
    box.clock.run_for(3 * SECOND)
    assert scripts.outcome(command, instance).state is State.SUCCEEDED
    assert box.commands.frozen(instance)


def test_what_an_instance_writes_is_quoted_and_cut(
    box: ScriptsBox, scripts: Scripts, instance: str
) -> None:
    output = "\x1b[31mred\nfour\nlines\nof it" + "x" * 3000
    box.commands.scripts_fail(instance, PRE, output, code=201)
    command = send(scripts, instance)
    box.clock.run_for(MINUTE)
    outcome = scripts.outcome(command, instance)
    assert (outcome.state, outcome.code) == (State.FAILED, 201)
    assert outcome.why == 'Failed, exit code 201, output "\\u001b[31mred / four / lines"'


def test_a_command_that_expires_has_failed_and_may_have_run(
    box: ScriptsBox, scripts: Scripts, instance: str
) -> None:
    box.commands.never_answers(instance)
    command = send(scripts, instance)
    box.clock.run_for(MINUTE)
    outcome = scripts.outcome(command, instance)
    assert (outcome.state, outcome.code, outcome.why) == (State.FAILED, 0, "DeliveryTimedOut")


def test_what_was_sent_is_found_by_run_word_and_stack(
    box: ScriptsBox, scripts: Scripts, instance: str
) -> None:
    other_stack = Scripts("watchkeeper-staging")
    first = send(scripts, instance)
    assert scripts.sent(DOCUMENT, PRE, RUN, TWO_O_CLOCK) == []
    send(scripts, instance, POST)
    send(scripts, instance, run="backup#gold#2026-11-23T02:00Z#004")
    send(other_stack, instance)
    box.clock.run_for(MINUTE)
    second = send(scripts, instance)
    box.clock.run_for(MINUTE)
    assert scripts.sent(DOCUMENT, PRE, RUN, TWO_O_CLOCK) == [Sent(first), Sent(second)]
    assert scripts.sent(DOCUMENT, PRE, RUN, TWO_O_CLOCK + MINUTE) == [Sent(second)]
    assert scripts.sent("watchkeeper-other", PRE, RUN, TWO_O_CLOCK) == []


def test_what_a_person_sends_with_the_execution_id_counts(
    box: ScriptsBox, scripts: Scripts, instance: str
) -> None:
    by_hand = box.client("ssm").send_command(
        DocumentName=DOCUMENT,
        InstanceIds=[instance],
        Parameters={"command": [POST], "executionId": [scripts.execution_id(RUN)]},
    )
    box.clock.run_for(MINUTE)
    command = by_hand["Command"]["CommandId"]
    assert scripts.sent(DOCUMENT, POST, RUN, TWO_O_CLOCK) == [Sent(command, by_hand=True)]


def test_a_command_leads_to_its_run_and_to_no_other_stack_s(
    box: ScriptsBox, scripts: Scripts, instance: str
) -> None:
    command = send(scripts, instance)
    long = send(scripts, instance, run="backup#by-hand#" + "x" * COMMENT)
    assert scripts.run_of(command) is None  # not shown yet
    box.clock.run_for(MINUTE)
    assert scripts.run_of(command) == RUN
    assert Scripts("watchkeeper-staging").run_of(command) is None
    assert scripts.run_of(long) is None  # the comment is cut: the sweep finds it
    assert scripts.run_of("00000000-0000-0000-0000-000000000000") is None


def test_lists_are_read_to_their_end(box: ScriptsBox, scripts: Scripts, instance: str) -> None:
    command = send(scripts, instance)
    for number in range(60):
        send(scripts, instance, run=f"backup#gold#{number}")
    box.clock.run_for(MINUTE)
    assert scripts.sent(DOCUMENT, PRE, RUN, TWO_O_CLOCK) == [Sent(command)]


def test_an_instance_without_an_agent_is_refused_and_a_terminated_one_is_gone(
    box: ScriptsBox, scripts: Scripts, instance: str
) -> None:
    box.commands.unmanaged.add(instance)
    with pytest.raises(Refused, match=r"ssm:SendCommand answered InvalidInstanceId"):
        send(scripts, instance)
    assert not scripts.is_gone(instance)
    box.client("ec2").stop_instances(InstanceIds=[instance])
    assert not scripts.is_gone(instance)
    box.client("ec2").terminate_instances(InstanceIds=[instance])
    assert scripts.is_gone(instance)
    assert scripts.is_gone("i-0123456789abcdef0")
