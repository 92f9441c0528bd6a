"""Freezing and thawing: the steps in the engine, against the box, when things go wrong.

A story is one run from its start to its end. What is asserted is what the instance went through and
what the record says of it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from local.pace import Pace
from tests.crash.engine_world import MemoryRuns
from tests.local.scripts_box import DOCUMENT, PACE, SECOND, ScriptsBox, scripts_box
from tests.local.service_box import REGION, TWO_O_CLOCK, SentEvents
from watchkeeper import naming
from watchkeeper.aws.scripts import POST, PRE, Scripts
from watchkeeper.backups.model import APPLICATION, Kind, Target
from watchkeeper.backups.scripts import (
    CRASH_CONSISTENT,
    ensure_frozen,
    ensure_thawed,
    ensure_thawed_for_good,
)
from watchkeeper.runs.engine import Engine, advance
from watchkeeper.runs.record import Done, Report, Run, Step, Told, new_run

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
NIGHT = "backup#gold#2026-11-23T02:00Z"
RUN = naming.shard_id(NIGHT, 3)
FIRST_SEND = 3
"""The moment before the first SendCommand; its intent has been saved before."""
FUNCTION = 10 * MINUTE
"""How long an invocation may take: a killed one holds its lease for a minute more."""


class Died(BaseException):
    """The process is gone."""


# ── A night in which only one instance counts ─────────────────────────────────────────────────────


@dataclass
class Cloud:
    """What the steps act on; the taking is of no interest but for its moment."""

    scripts: Scripts
    instance: str
    taken_at: list[datetime] = field(default_factory=list)

    @property
    def targets(self) -> Any:
        return self

    def of(self, night: str, shard: int) -> list[Target]:
        assert (night, shard) == (NIGHT, 3)
        arn = naming.instance_arn(("aws", REGION, "123456789012"), self.instance)
        return [Target(arn, Kind.INSTANCE, "orders")]


def ensure_taken(run: Run, cloud: Cloud, now: datetime) -> Report:
    if not cloud.taken_at:
        cloud.taken_at.append(now)
    return Done()


def ensure_completed(run: Run, cloud: Cloud, now: datetime) -> Report:
    return Done({"completed_at": naming.instant(now)})


STEPS = (
    Step("freeze", ensure_frozen, within=HOUR),
    Step("take", ensure_taken, within=HOUR),
    Step("thaw", ensure_thawed, within=HOUR, always=True),
    Step("complete", ensure_completed, within=HOUR, always=True),
    Step("thawed", ensure_thawed_for_good, within=HOUR, always=True),
)


@dataclass
class Waking(SentEvents):
    """The bus, and a rule on it for the ends of scripts."""

    wake: Callable[[], None] = lambda: None

    def send(self, event: dict[str, Any]) -> None:
        is_end = event["detail"].get("status") in ("Success", "Failed", "TimedOut")
        if "Invocation" in event["detail-type"] and is_end:
            self.wake()


class DyingRuns(MemoryRuns):
    """A table before and after whose every save a process can die."""

    moment: Callable[[str], None]

    def save(self, run: Run, history: Mapping[str, str] | None = None) -> Run:
        self.moment("before saving")
        saved = super().save(run, history)
        self.moment("after saving")
        return saved


@dataclass
class World:
    box: ScriptsBox
    cloud: Cloud
    runs: DyingRuns
    told: list[Told] = field(default_factory=list)
    mishaps: dict[int, BaseException] = field(default_factory=dict)
    """By the number of a moment: each call has one before it and one after its effect."""
    moments: list[str] = field(default_factory=list)

    @property
    def run(self) -> Run:
        run = self.runs.find(RUN)
        assert run is not None
        return run

    @property
    def pages(self) -> list[str]:
        return [told["type"] for told in self.told if told["type"] != "StepFailed"]

    @property
    def words(self) -> list[str]:
        return self.box.commands.words_run(self.cloud.instance)

    @property
    def is_frozen(self) -> bool:
        return self.box.commands.frozen(self.cloud.instance)

    def advance(self) -> None:
        clock = self.box.clock.now
        engine = Engine(
            self.runs, lambda run: STEPS, self.cloud, self.told.append, clock, clock() + FUNCTION
        )
        try:
            advance(RUN, engine)
        except Died:
            return

    def last(self, longest: timedelta) -> "World":
        """Until the run is over; the sweep comes every minute."""
        end = self.box.clock.now() + longest
        while not self.run.is_over and self.box.clock.now() < end:
            if self.run.wake_at <= self.box.clock.now():
                self.advance()
            self.box.clock.run_for(MINUTE)
        return self

    def moment(self, name: str) -> None:
        self.moments.append(name)
        if mishap := self.mishaps.pop(len(self.moments), None):
            raise mishap

    def watch(self, client: Any) -> None:
        def before(model: Any, **_: Any) -> None:
            self.moment(f"before {model.name}")

        def after(model: Any, **_: Any) -> None:
            self.moment(f"after {model.name}")

        client.meta.events.register("before-call", before)
        client.meta.events.register("after-call", after)

    def honest(self) -> None:
        """What holds however a story went."""
        [taken_at] = self.cloud.taken_at
        if self.run.facts["consistency"] == APPLICATION:
            assert self.box.commands.frozen(self.cloud.instance, taken_at)
        else:
            assert self.run.facts["consistency"].startswith(CRASH_CONSISTENT)
        assert self.words.count(PRE) <= 1


@contextmanager
def world_of(
    *, events: bool = True, pace: Pace = PACE, mishaps: dict[int, BaseException] | None = None
) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_DEFAULT_REGION", REGION)
        with scripts_box(pace) as box:
            cloud = Cloud(Scripts("watchkeeper"), box.instance)
            runs = DyingRuns()
            facts = {"script_document": DOCUMENT, "script_timeout": "120", "plan": "gold"}
            runs.start(new_run(RUN, STEPS, TWO_O_CLOCK, night=NIGHT, shard="3", **facts))
            world = World(box, cloud, runs, mishaps=dict(mishaps or {}))
            runs.moment = world.moment
            for client in (cloud.scripts.client, cloud.scripts.once, cloud.scripts.ec2):
                world.watch(client)
            if events:
                box.events = Waking(wake=world.advance)
            yield world


@pytest.fixture
def world() -> Iterator[World]:
    with world_of() as world:
        yield world


def throttled(operation: str = "SendCommand") -> ClientError:
    return ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate"}}, operation)


def no_answer() -> ReadTimeoutError:
    return ReadTimeoutError(endpoint_url="https://ssm")


# ── As it should be ───────────────────────────────────────────────────────────────────────────────


def test_a_recovery_point_is_taken_while_frozen_and_the_instance_stands_still_for_seconds(
    world: World,
) -> None:
    world.last(HOUR)
    world.honest()
    assert world.run.facts["consistency"] == APPLICATION
    assert world.run.facts["thawed"] == "by the post script"
    assert (world.words, world.told) == ([PRE, POST], [])
    [freeze] = world.box.commands.freezes(world.cloud.instance)
    assert freeze.until is not None
    assert freeze.until - freeze.since == 6 * SECOND


def test_without_events_it_takes_minutes_and_comes_to_the_same() -> None:
    with world_of(events=False) as world:
        world.last(HOUR)
        world.honest()
        assert (world.words, world.told) == ([PRE, POST], [])
        assert world.run.facts["consistency"] == APPLICATION
        [freeze] = world.box.commands.freezes(world.cloud.instance)
        assert freeze.until is not None
        assert freeze.until - freeze.since <= 2 * MINUTE


# ── The pre script ────────────────────────────────────────────────────────────────────────────────


def fails(world: World) -> None:
    world.box.commands.scripts_fail(world.cloud.instance, PRE, "no space", code=201)


def fails_half_way(world: World) -> None:
    world.box.commands.scripts_fail(world.cloud.instance, PRE, "no space", code=201, freezes=True)


def is_not_managed(world: World) -> None:
    world.box.commands.unmanaged.add(world.cloud.instance)


def has_no_document(world: World) -> None:
    world.box.client("ssm").delete_document(Name=DOCUMENT)


@pytest.mark.parametrize(
    ("trouble", "why", "words"),
    [
        (fails, 'the pre script failed: Failed, exit code 201, output "no space"', [PRE, POST]),
        (fails_half_way, "the pre script failed: Failed, exit code 201", [PRE, POST]),
        (is_not_managed, "ssm:SendCommand answered InvalidInstanceId", []),
        (has_no_document, "ssm:SendCommand answered InvalidDocument", []),
    ],
    ids=lambda one: getattr(one, "__name__", None),
)
def test_whatever_goes_wrong_with_the_pre_script_costs_consistency_alone(
    world: World, trouble: Callable[[World], None], why: str, words: list[str]
) -> None:
    trouble(world)
    world.last(HOUR)
    world.honest()
    assert world.run.facts["consistency"].startswith(CRASH_CONSISTENT + why)
    assert (world.words, world.is_frozen, world.pages) == (words, False, [])
    assert (world.run.is_over, world.run.failure) == (True, None)
    assert world.run.facts["thawed"]


def test_a_pre_script_that_freezes_when_nobody_waits_for_it_any_more_is_thawed_at_once(
    world: World,
) -> None:
    world.box.commands.scripts_take(world.cloud.instance, PRE, 8 * MINUTE)
    world.last(HOUR)
    world.honest()
    assert world.run.facts["consistency"] == (
        f"{CRASH_CONSISTENT}the pre script took longer than 0:02:00"
    )
    assert world.cloud.taken_at[0] <= TWO_O_CLOCK + 5 * MINUTE
    [freeze] = world.box.commands.freezes(world.cloud.instance)
    assert freeze.until is not None
    assert freeze.until - freeze.since == 6 * SECOND
    assert (world.run.is_over, world.pages) == (True, [])


def test_an_hour_of_throttling_delays_the_recovery_point_by_minutes(world: World) -> None:
    until = TWO_O_CLOCK + HOUR

    def refuse(model: Any, **_: Any) -> None:
        if world.box.clock.now() < until:
            raise throttled()

    world.cloud.scripts.once.meta.events.register("before-call.ssm.SendCommand", refuse)
    world.last(2 * HOUR)
    world.honest()
    assert world.cloud.taken_at[0] <= TWO_O_CLOCK + 7 * MINUTE
    assert world.run.facts["consistency"] == f"{CRASH_CONSISTENT}SSM took no command for 0:05:00"
    assert (world.words, world.pages) == ([], [])


def test_a_little_throttling_costs_nothing(world: World) -> None:
    world.mishaps[FIRST_SEND] = throttled()
    world.last(HOUR)
    assert world.run.facts["consistency"] == APPLICATION
    assert world.words == [PRE, POST]


def test_an_answer_that_is_lost_is_found_again(world: World) -> None:
    world.mishaps[FIRST_SEND + 1] = no_answer()
    world.last(HOUR)
    world.honest()
    assert world.run.facts["consistency"] == APPLICATION
    assert world.words == [PRE, POST]


def test_a_request_that_is_lost_is_not_repeated_and_nobody_is_paged(world: World) -> None:
    world.mishaps[FIRST_SEND] = no_answer()
    world.last(HOUR)
    world.honest()
    assert world.run.facts["consistency"] == (
        f"{CRASH_CONSISTENT}an attempt to send the pre script has left no trace"
    )
    assert world.cloud.taken_at[0] <= TWO_O_CLOCK + 3 * MINUTE
    assert PRE not in world.words
    assert (world.pages, world.run.is_over) == ([], True)


def test_lists_that_cannot_be_read_for_hours_hold_nothing_up(world: World) -> None:
    until = TWO_O_CLOCK + 2 * HOUR

    def refuse(model: Any, **_: Any) -> None:
        if world.box.clock.now() < until:
            raise no_answer()

    world.mishaps[FIRST_SEND + 1] = Died()
    world.cloud.scripts.client.meta.events.register("before-call.ssm", refuse)
    world.last(HOUR)
    assert world.cloud.taken_at[0] <= TWO_O_CLOCK + 12 * MINUTE
    assert naming.parse_instant(world.run.facts["completed_at"]) <= TWO_O_CLOCK + 25 * MINUTE
    world.last(3 * HOUR)
    world.honest()
    assert world.pages[0] == "PostScriptFailed"
    assert (world.is_frozen, world.run.is_over) == (False, True)


# ── The post script ───────────────────────────────────────────────────────────────────────────────


def test_a_post_script_that_fails_twice_is_run_a_third_time(world: World) -> None:
    world.box.commands.scripts_fail(world.cloud.instance, POST, "busy", code=202, times=2)
    world.last(HOUR)
    world.honest()
    assert (world.words, world.is_frozen, world.pages) == ([PRE, POST, POST, POST], False, [])
    [freeze] = world.box.commands.freezes(world.cloud.instance)
    assert freeze.until is not None
    assert freeze.until - freeze.since <= 5 * MINUTE


def test_what_is_not_shown_yet_is_not_sent_again() -> None:
    slow = replace(PACE, command_hidden_for=90 * SECOND)
    with world_of(pace=slow) as world:
        world.last(HOUR)
        world.honest()
        assert world.words == [PRE, POST]
        assert world.run.facts["consistency"] == APPLICATION


def test_a_post_script_without_an_answer_is_looked_for_before_another_is_sent() -> None:
    slow = replace(PACE, command_hidden_for=45 * SECOND)
    with world_of(pace=slow) as world:
        moments = world.last(HOUR).moments
    [_, number] = [number for number, name in enumerate(moments, 1) if name == "after SendCommand"]
    with world_of(pace=slow, mishaps={number: no_answer()}) as world:
        world.last(HOUR)
        assert world.words == [PRE, POST]


def test_a_post_script_that_runs_for_minutes_is_waited_for(world: World) -> None:
    world.box.commands.scripts_take(world.cloud.instance, POST, 4 * MINUTE)
    world.last(HOUR)
    assert (world.words, world.is_frozen, world.pages) == ([PRE, POST], False, [])


def test_a_post_script_that_never_works_is_told_at_once_and_daily_and_holds_nothing_up(
    world: World,
) -> None:
    world.box.commands.scripts_fail(world.cloud.instance, POST, "busy", code=202, times=99)
    world.last(3 * HOUR)
    world.honest()
    page = world.told[0]
    assert (page["type"], page["instance"]) == ("PostScriptFailed", world.cloud.instance)
    assert page["execution_id"] == world.cloud.scripts.execution_id(RUN)
    assert 'exit code 202, output "busy"' in page["why"]
    assert page["at"] <= "2026-11-23T02:11:00Z"
    completed_at = naming.parse_instant(world.run.facts["completed_at"])
    assert completed_at <= TWO_O_CLOCK + 11 * MINUTE
    world.last(24 * HOUR)
    assert world.is_frozen
    assert world.pages == ["PostScriptFailed", "StepOverdue", "StepOverdue"]
    assert 25 <= world.words.count(POST) <= 35


def test_after_a_failure_already_thawed_may_be_true_of_a_part_only(world: World) -> None:
    world.box.commands.scripts_fail(world.cloud.instance, POST, "busy", code=202)
    world.box.commands.scripts_fail(world.cloud.instance, POST, "thawed", code=205, times=4)
    world.last(30 * MINUTE)
    assert (world.is_frozen, world.pages) == (True, ["PostScriptFailed"])
    world.last(HOUR)
    assert (world.is_frozen, world.run.is_over) == (False, True)


@pytest.mark.parametrize(
    ("thawed_otherwise", "how"),
    [(False, "by the post script"), (True, "by somebody who has had it looked at")],
)
def test_a_thaw_by_hand_ends_it(world: World, *, thawed_otherwise: bool, how: str) -> None:
    world.box.commands.scripts_fail(world.cloud.instance, POST, "busy", code=202, times=6)
    world.last(HOUR)
    assert world.is_frozen
    if thawed_otherwise:
        world.box.commands.thaw(world.cloud.instance)
    world.box.client("ssm").send_command(
        DocumentName=DOCUMENT,
        InstanceIds=[world.cloud.instance],
        Parameters={"command": [POST], "executionId": [world.told[0]["execution_id"]]},
    )
    world.last(2 * HOUR)
    assert (world.is_frozen, world.run.is_over) == (False, True)
    assert world.run.facts["thawed"] == how


def test_a_terminated_instance_ends_it(world: World) -> None:
    world.box.commands.scripts_fail(world.cloud.instance, POST, "busy", code=202, times=99)
    world.last(HOUR)
    world.box.client("ec2").terminate_instances(InstanceIds=[world.cloud.instance])
    world.last(3 * HOUR)
    assert world.run.facts["thawed"] == "the instance is gone"
    assert world.run.is_over


def test_a_node_that_never_answers_is_thawed_when_it_is_back(world: World) -> None:
    world.box.commands.never_answers(world.cloud.instance)
    world.last(5 * HOUR)
    world.honest()
    assert world.run.facts["consistency"] == (
        f"{CRASH_CONSISTENT}the pre script failed: DeliveryTimedOut"
    )
    assert world.pages == ["PostScriptFailed", "StepOverdue"]
    world.box.commands.answers_again(world.cloud.instance)
    world.last(HOUR)
    assert world.run.is_over
    assert set(world.words) <= {POST}


def test_what_its_own_timer_thawed_is_not_called_consistent() -> None:
    with world_of(events=False) as world:
        thaw = partial(world.box.commands.thaw, world.cloud.instance)
        world.box.clock.at(TWO_O_CLOCK + 30 * SECOND, thaw, "the document's timer")
        world.last(HOUR)
        world.honest()
        assert world.run.facts["consistency"].startswith(
            f"{CRASH_CONSISTENT}thawed before the post script: Failed, exit code 205"
        )
        assert (world.run.is_over, world.pages) == (True, [])


def test_a_run_that_failed_before_it_asked_for_anything_has_nothing_to_thaw() -> None:
    run = replace(new_run(RUN, STEPS, TWO_O_CLOCK), step="thaw", failure="stuck")
    report = ensure_thawed(run, Cloud(Scripts("watchkeeper"), "i-0"), TWO_O_CLOCK)
    assert report == Done({"thawed": "the pre script never ran"})


# ── Cut off anywhere ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_killed_throttled_or_unanswered_at_any_moment_it_is_frozen_once_and_thawed() -> None:
    with world_of() as world:
        moments = world.last(HOUR).moments
    for number, name in enumerate(moments, start=1):
        mishaps: list[BaseException] = [Died()]
        if "saving" not in name:
            mishaps.append(no_answer())
            if name.startswith("before"):  # what is throttled has had no effect
                mishaps.append(throttled())
        for mishap in mishaps:
            story = f"{type(mishap).__name__} at {name} ({number})"
            with world_of(mishaps={number: mishap}) as world:
                world.last(HOUR)
                assert world.mishaps == {}, story
                assert world.run.is_over, story
                assert (world.is_frozen, world.pages, world.run.failure) == (False, [], None), story
                world.honest()
