"""Whatever goes wrong at whatever call, a run ends as it should and leaves nothing behind."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from tests.crash.engine_world import (
    DRILL,
    LATENCY,
    MINUTE,
    MISHAPS,
    START,
    STEPS,
    TIMEOUT,
    Died,
    MemoryRuns,
    Process,
    World,
)
from watchkeeper import naming
from watchkeeper.aws.errors import Denied, Throttled, Unclear
from watchkeeper.runs.engine import LAST_START, LONGEST_BACKOFF, advance
from watchkeeper.runs.record import Done, Failed, Report, Run, Step, Stop, Told, Waiting, new_run

CASES: tuple[dict[str, Any], ...] = ({}, {"rows": 0}, {"copying_fails": True})
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def with_step(name: str, ensure: Callable[[Run, Any, Any], Report]) -> tuple[Step, ...]:
    return tuple(replace(one, ensure=ensure) if one.name == name else one for one in STEPS)


def ids(world: World) -> set[str]:
    return {told["id"] for told in world.sent}


def outcome(world: World) -> dict[str, Any]:
    """What must be the same however a run got there."""
    run = world.run
    return {
        "over": run.is_over,
        "failure": run.failure,
        "facts": {name: value for name, value in run.facts.items() if name != "asked_at"},
        "counts": (run.finished, run.attempts, run.lease),
        "news": ids(world),
        "history": [(key, line["went"]) for key, line in world.runs.history[DRILL].items()],
        "copies": (world.cloud.created, world.cloud.there),
        "calls of the dead": world.calls_of_the_dead,
    }


# ── One mishap, anywhere ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("case", "failure", "news"),
    [
        ({}, None, ["CopyVerified"]),
        ({"rows": 0}, "the copy is empty", ["StepFailed", "RunFailed"]),
        ({"copying_fails": True}, "the copy ended in error", ["StepFailed", "RunFailed"]),
    ],
)
def test_undisturbed(case: dict[str, Any], failure: str | None, news: list[str]) -> None:
    world = World(**case).finish()
    assert world.run.failure == failure
    assert [told["type"] for told in world.sent] == news
    assert (world.cloud.created, world.cloud.there) == (1, [])
    assert world.now - START < HOUR


@pytest.mark.parametrize("mishap", MISHAPS)
@pytest.mark.parametrize("case", CASES)
def test_a_mishap_at_any_call_changes_nothing(case: dict[str, Any], mishap: str) -> None:
    calm = World(**case).finish()
    assert calm.calls > 30
    for call in range(1, calm.calls + 1):
        world = World(mishaps={call: mishap}, **case).finish()
        assert not world.mishaps, f"{mishap} at call {call} never came"
        assert outcome(world) == outcome(calm), f"{mishap} at call {call}"
        assert world.now - calm.now < HOUR, f"{mishap} at call {call} took too long to mend"


def test_two_deaths_and_a_twin_at_any_calls_change_nothing() -> None:
    calm = World().finish()
    for first, second in itertools.combinations(range(1, calm.calls, 3), 2):
        mishaps = {first: "dies after", second: "hangs", second + 4: "twin, a minute fast"}
        assert outcome(World(mishaps=mishaps).finish()) == outcome(calm), mishaps


# ── Killed again and again ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("after", [timedelta(0), TIMEOUT], ids=["out of memory", "timed out"])
def test_a_step_that_kills_its_process_five_times_gives_way_to_teardown(after: timedelta) -> None:
    begun = []

    def ensure_deadly(run: Run, cloud: Any, now: Any) -> Report:
        begun.append((now, run.attempts, run.unclear_since))
        world.now += after
        cloud._process.die()
        return Done()

    world = World(workflow=lambda run: with_step("verify", ensure_deadly))
    world.finish()
    assert [attempts for _, attempts, _ in begun] == [1, 2, 3, 4, 5]
    assert begun[0][2] is None
    assert all(now - unclear < timedelta(seconds=1) for now, _, unclear in begun[1:] if unclear)
    assert all(unclear for _, _, unclear in begun[1:])
    why = "5 attempts at verify never reported: killed, timed out or crashed"
    assert world.run.failure == why
    assert [told["type"] for told in world.sent] == ["RunStuck", "StepFailed", "RunFailed"]
    assert world.news("RunStuck")[0]["why"] == why
    assert world.cloud.there == []
    assert world.run.is_over


def test_the_killed_are_found_again_by_the_due_index_when_their_lease_ends() -> None:
    world = World(mishaps={3: "dies before"})
    world.invoke()
    world.retries.clear()  # Lambda forgets it, too
    until = world.now + TIMEOUT + MINUTE
    assert world.run.lease is not None
    assert world.run.wake_at == world.run.lease.until
    assert abs(world.run.wake_at - until) < timedelta(seconds=1)
    assert list(world.runs.due("drill", world.run.wake_at - LATENCY)) == []
    assert list(world.runs.due("drill", world.run.wake_at)) == [(DRILL, world.run.wake_at)]
    assert outcome(world.finish()) == outcome(World().finish())


# ── Steps and news that raise ─────────────────────────────────────────────────────────────────────


def test_a_verifier_that_raises_does_not_keep_teardown_from_running() -> None:
    world = World()
    world.cloud.verifier_is_broken = True
    world.finish()
    assert {str(crash) for crash in world.crashes} == {"the verifier has a bug"}
    assert len(world.crashes) == 5
    assert "5 attempts at verify never reported" in str(world.run.failure)
    assert world.cloud.there == []
    assert world.now - START < timedelta(hours=3)
    assert len(world.news("RunStuck")) == len(world.news("RunFailed")) == 1


def test_a_verifier_that_is_mended_in_time_fails_nothing() -> None:
    world = World()
    world.cloud.verifier_is_broken = True
    world.live(timedelta(minutes=33))
    assert world.crashes
    assert world.run.lease is None
    world.cloud.verifier_is_broken = False
    world.finish()
    assert (world.run.failure, world.run.facts["rows"]) == (None, "10")


REFUSALS: dict[str, Callable[[], Exception]] = {
    "throttled": partial(Throttled, "sns:Publish", "Throttling", "too many"),
    "unclear": partial(Unclear, "sns:Publish", "InternalError", "no answer"),
    "denied": partial(Denied, "sns:Publish", "AuthorizationError", "not allowed"),
    "bug": partial(TypeError, "the publisher has a bug"),
}


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("case", CASES)
def test_news_that_cannot_be_sent_hold_up_nothing_and_are_not_lost(
    case: dict[str, Any], refusal: str
) -> None:
    calm, world = World(**case).finish(), World(**case)
    world.refuse = lambda told: REFUSALS[refusal]()
    world.live(HOUR)
    assert world.cloud.there == [], "teardown has waited for news"
    assert world.run.step is None
    assert world.run.lease is None
    assert len(world.run.unsent) == len(calm.sent)
    world.live(DAY)
    assert not world.run.is_over
    world.refuse = lambda told: None
    world.live(timedelta(minutes=20))
    assert world.run.is_over
    assert [told["id"] for told in world.sent] == [told["id"] for told in calm.sent]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_only_a_busy_topic_is_waited_for_in_silence(refusal: str) -> None:
    """What somebody must mend has to reach the dead-letter queue, and that more than once."""
    world = World()
    world.refuse = lambda told: REFUSALS[refusal]()
    world.live(6 * HOUR)
    if refusal in {"throttled", "unclear"}:
        assert world.crashes == []
    else:
        assert {str(crash) for crash in world.crashes} == {str(REFUSALS[refusal]())}
        assert 6 < len(world.crashes) < 100


def test_one_message_that_is_never_taken_holds_up_none_behind_it() -> None:
    world = World(rows=0)
    world.refuse = lambda told: ValueError("too long") if told["type"] == "StepFailed" else None
    world.live(2 * HOUR)
    assert [told["type"] for told in world.sent] == ["RunFailed"]
    assert [told["type"] for told in world.run.unsent] == ["StepFailed"]


def test_a_crash_is_not_hidden_by_a_twin_that_takes_over() -> None:
    """The crash reaches Lambda although the lease could not be given back."""

    def ensure_slow(run: Run, cloud: Any, now: Any) -> Report:
        world.now += TIMEOUT + 2 * MINUTE  # beyond its lease
        world.workflow = lambda run: STEPS
        world.invoke()
        raise TypeError("a bug")

    world = World(workflow=lambda run: with_step("copy", ensure_slow))
    world.invoke()
    assert [str(crash) for crash in world.crashes] == ["a bug"]
    assert world.run.waits_for == "traces of the copy", "the twin's report is overwritten"


def test_who_was_overtaken_says_nothing_and_is_no_crash() -> None:
    def ensure_slow(run: Run, cloud: Any, now: Any) -> Report:
        world.now += TIMEOUT + 2 * MINUTE  # beyond its lease
        world.workflow = lambda run: STEPS
        world.invoke()
        return Failed("what it saw is long past")

    world = World(workflow=lambda run: with_step("copy", ensure_slow))
    assert world.invoke() is None
    assert (world.crashes, world.sent, world.run.failure) == ([], [], None)
    assert world.run.waits_for == "traces of the copy"


# ── Teardown ──────────────────────────────────────────────────────────────────────────────────────


def gaps(moments: Sequence[Any]) -> list[timedelta]:
    return [after - before for before, after in itertools.pairwise(moments)]


def test_a_teardown_that_fails_for_a_month_backs_off_and_is_paged_daily_and_never_ends() -> None:
    world = World()
    world.cloud.is_locked = True
    world.live(30 * DAY)
    assert (world.run.step, world.run.lease) == ("teardown", None)
    assert world.run.waits_for == "another attempt, after: the copy is locked"
    tried = gaps(world.began_at)
    assert max(tried) < LONGEST_BACKOFF + 2 * MINUTE
    assert min(tried[-20:]) > LONGEST_BACKOFF - MINUTE
    pages = world.news("StepOverdue")
    assert 25 <= len(pages) == len(world.sent) - 1 <= 30, "the first at once, then one a day"
    assert {page["why"] for page in pages} == {"the copy is locked"}
    assert world.sent_at[1] - START < HOUR
    assert all(DAY <= gap < DAY + LONGEST_BACKOFF for gap in gaps(world.sent_at[1:]))
    world.cloud.is_locked = False
    world.live(timedelta(hours=7))
    assert world.run.is_over
    assert (world.run.failure, world.cloud.there) == (None, [])


@pytest.mark.parametrize("end", ["crashes", "dies"])
def test_a_teardown_that_never_reports_for_a_month_is_paged_daily_and_tried_on(end: str) -> None:
    tried = []

    def ensure_broken(run: Run, cloud: Any, now: Any) -> Report:
        tried.append(now)
        if end == "dies":
            cloud._process.die()
        raise TypeError("a bug")

    world = World(workflow=lambda run: with_step("teardown", ensure_broken))
    world.live(30 * DAY)
    assert world.run.step == "teardown"
    assert 25 <= len(world.news("RunStuck")) <= 31
    assert max(gaps(tried)) < LONGEST_BACKOFF + HOUR
    assert end == "dies" or len(tried) < 20 * 30, "it backs off between the days"
    world.workflow = lambda run: STEPS
    world.live(timedelta(hours=7))
    assert world.run.is_over
    assert world.cloud.there == []


def test_a_teardown_that_is_late_is_paged_daily_and_not_given_up() -> None:
    world = World()
    looks_for_ever = with_step("teardown", lambda run, cloud, now: Waiting("the copy to be gone"))
    world.workflow = lambda run: looks_for_ever
    world.live(3 * DAY)
    assert world.run.step == "teardown"
    why = "has waited more than 1:00:00 for the copy to be gone"
    assert [page["why"] for page in world.news("StepOverdue")] == [why] * 3


def test_what_a_step_made_without_an_answer_just_before_its_limit_is_torn_down_too() -> None:
    """The step fails at once and its copy is still hidden: teardown has to know of it."""
    world = World()
    world.now += 5 * HOUR
    call = 4  # after lease, stop item and first look
    world.mishaps = {call: "no answer"}
    world.finish()
    assert "copy waited more than 4:00:00" in str(world.run.failure)
    assert (world.cloud.created, world.cloud.there) == (1, [])


# ── A deploy in mid-run ───────────────────────────────────────────────────────────────────────────


def test_a_renamed_step_is_stuck_and_goes_on_when_a_later_version_knows_it_again() -> None:
    renamed = tuple(replace(one, name="prove") if one.name == "verify" else one for one in STEPS)
    world = World(workflow=lambda run: renamed)
    world.live(3 * DAY)
    assert (world.run.step, world.run.failure, world.run.lease) == ("verify", None, None)
    assert world.crashes == []
    assert len(world.news("RunStuck")) == 3
    assert "step 'verify' is not known to this version" in world.run.waits_for
    world.workflow = lambda run: STEPS
    world.live(timedelta(hours=7))
    assert world.run.is_over
    assert (world.run.failure, world.cloud.there) == (None, [])


def test_time_in_which_a_step_was_unknown_does_not_count_against_its_limit() -> None:
    looks = with_step("verify", lambda run, cloud, now: Waiting("rows to be counted"))
    world = World(workflow=lambda run: STEPS[:1])
    world.live(3 * DAY)
    world.workflow = lambda run: looks
    world.invoke()
    assert (world.run.step, world.run.failure) == ("verify", None)
    world.live(timedelta(minutes=45))
    assert world.run.step == "verify"
    world.finish()
    assert world.run.failure == "verify waited more than 1:00:00 for rows to be counted"


@pytest.mark.parametrize("always", [True, False])
def test_after_a_failure_an_unknown_step_may_be_clean_up_and_is_waited_for(always: bool) -> None:
    """Only if it turns out to be none is it left out."""
    ran = []

    def ensure_tidy(run: Run, cloud: Any, now: Any) -> Report:
        ran.append(now)
        return Done()

    tidy = Step("tidy", ensure_tidy, within=HOUR, always=always)
    whole = (*STEPS[:2], tidy, STEPS[2])
    start = new_run(DRILL, whole, START)
    world = World(rows=0, workflow=lambda run: STEPS, start=start)
    world.live(2 * HOUR)
    assert (world.run.step, world.run.failure) == ("tidy", "the copy is empty")
    world.workflow = lambda run: whole
    world.finish()
    assert len(ran) == (1 if always else 0)
    went = world.runs.history[DRILL]["STEP#0003#tidy"]["went"]
    assert went == ("done" if always else "skipped")
    assert world.cloud.there == []
    assert world.run.failure == "the copy is empty"


def test_a_workflow_that_crashes_holds_no_lease() -> None:
    def broken(run: Run) -> Sequence[Step]:
        raise KeyError("facts of an older version")

    world = World(workflow=broken)
    world.live(DAY)
    assert world.crashes
    assert world.run.lease is None
    assert world.run.wake_at - world.now < LONGEST_BACKOFF
    world.workflow = lambda run: STEPS
    world.finish()
    assert world.run.is_over


# ── Finished, but not yet told ────────────────────────────────────────────────────────────────────


def test_the_last_news_of_a_finished_run_outlives_a_day_without_a_topic() -> None:
    world = World(rows=0)
    world.refuse = lambda told: (
        Throttled("sns:Publish", "Throttling", "") if told["type"] == "RunFailed" else None
    )
    world.live(DAY)
    assert (world.run.step, world.run.is_over) == (None, False)
    assert world.run.wake_at - world.now <= MINUTE
    world.refuse = lambda told: None
    world.live(2 * MINUTE)
    assert len(world.news("RunFailed")) == 1
    assert list(world.runs.due("drill", world.now + 30 * DAY)) == []


# ── The stop item ─────────────────────────────────────────────────────────────────────────────────

STOP = Stop(why="a freeze", by="alice")


def test_a_stop_halts_a_run_and_its_time_does_not_count() -> None:
    world = World()
    world.live(10 * MINUTE)
    world.runs.stop_item = STOP
    world.live(3 * DAY)
    assert (world.run.step, world.run.failure, world.run.lease) == ("copy", None, None)
    assert world.run.waits_for == "the stop set by alice to be lifted: a freeze"
    assert world.sent == []
    world.runs.stop_item = None
    world.finish()
    assert (world.run.failure, world.cloud.there) == (None, [])
    assert world.now - START < 3 * DAY + HOUR


def test_a_step_that_was_halted_has_the_rest_of_its_time_left() -> None:
    world = World(workflow=lambda run: with_step("copy", lambda *_: Waiting("room")))
    world.live(HOUR)
    world.runs.stop_item = STOP
    world.live(3 * DAY)
    world.runs.stop_item = None
    world.live(2 * HOUR)
    assert (world.run.step, world.run.failure, world.run.waits_for) == ("copy", None, "room")
    world.live(2 * HOUR)
    assert world.run.failure == "copy waited more than 4:00:00 for room"


def test_a_stop_does_not_halt_teardown_nor_news() -> None:
    world = World()
    world.refuse = lambda told: Throttled("sns:Publish", "Throttling", "")
    world.live(timedelta(minutes=33))
    assert world.run.step == "teardown"
    world.runs.stop_item = STOP
    world.refuse = lambda told: None
    world.finish()
    assert world.run.is_over
    assert world.cloud.there == []
    assert len(world.news("CopyVerified")) == 1


def test_a_stop_set_while_an_invocation_works_holds_before_its_next_step() -> None:
    def ensure_done(run: Run, cloud: Any, now: Any) -> Report:
        world.runs.stop_item = STOP
        return Done()

    world = World(workflow=lambda run: with_step("copy", ensure_done))
    world.live(HOUR)
    assert world.run.step == "verify"
    assert world.run.halted_at is not None


def test_teardown_does_not_depend_on_reading_the_stop_item() -> None:
    class Unreadable(MemoryRuns):
        def stop(self) -> Stop | None:
            if self.items[DRILL].step == "teardown":
                raise Denied("dynamodb:GetItem", "AccessDenied", "")
            return None

    world = World(runs=Unreadable()).finish()
    assert (world.crashes, world.cloud.there) == ([], [])


# ── Leases, clocks and deadlines ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("skew", [-MINUTE, timedelta(0), MINUTE])
def test_a_twin_whose_clock_is_a_minute_off_never_works_beside_the_living(skew: timedelta) -> None:
    """It knocks every second of an invocation that uses all of its time."""
    inside = []

    def ensure_slow(run: Run, cloud: Any, now: Any) -> Report:
        inside.append(run.attempts)
        assert len(inside) == 1, "two at work side by side"
        while world.now + timedelta(seconds=2) < START + TIMEOUT:
            world.now += timedelta(seconds=1)
            twin = Process(world, skew)
            assert advance(DRILL, world.engine(twin)) is None
        inside.pop()
        return Waiting("more")

    world = World(workflow=lambda run: with_step("copy", ensure_slow))
    world.invoke()
    assert world.run.waits_for == "more"


def test_a_lease_outlives_the_timeout_of_its_invocation() -> None:
    for skew in (-MINUTE, timedelta(0), MINUTE):
        world = World(mishaps={3: "dies before"})
        world.invoke(skew=skew, remaining=5 * MINUTE)
        assert world.run.lease is not None
        assert world.run.lease.until >= START + 5 * MINUTE


@pytest.mark.parametrize(
    ("remaining", "begins"),
    [
        (LAST_START, False),
        (LAST_START + LATENCY, False),  # taking the lease took as long
        (LAST_START + 2 * LATENCY, True),
    ],
)
def test_no_step_is_begun_within_thirty_seconds_of_the_deadline(
    remaining: timedelta, begins: bool
) -> None:
    world = World()
    world.invoke(remaining=remaining)
    assert (world.cloud.created == 1) is begins
    assert (world.run.lease, world.run.attempts) == (None, 0)
    assert begins or world.run.wake_at <= world.now + LAST_START + 2 * MINUTE


def test_slices_of_a_long_step_stop_before_the_deadline_and_go_on_in_the_next_invocation() -> None:
    def ensure_sliced(run: Run, cloud: Any, now: Any) -> Report:
        done = int(run.facts.get("done", "0")) + 1
        world.now += timedelta(seconds=20)
        facts = {"done": str(done)}
        return Done(facts) if done == 100 else Waiting("the next slice", until=now, facts=facts)

    world = World(workflow=lambda run: with_step("copy", ensure_sliced))
    world.invoke()
    assert 40 <= int(world.run.facts["done"]) <= 44
    assert (world.run.lease, world.run.attempts, world.run.unclear_since) == (None, 0, None)
    assert world.now <= START + TIMEOUT
    world.live(HOUR)
    assert world.run.facts["done"] == "100"


def ends_of_invocations() -> dict[str, Callable[[World], object]]:
    """Every way in which an invocation can end while it lives."""

    def step(report: Report) -> Callable[[World], object]:
        steps = with_step("copy", lambda run, cloud, now: report)
        return lambda world: setattr(world, "workflow", lambda run: steps)

    def crash(run: Run, cloud: Any, now: Any) -> Report:
        raise TypeError("a bug")

    def refused(world: World) -> None:
        step(Failed("something"))(world)
        world.refuse = lambda told: TypeError("a bug")

    return {
        "waits": step(Waiting("something")),
        "fails": step(Failed("something")),
        "done": step(Done()),
        "crashes": lambda world: setattr(world, "workflow", lambda run: with_step("copy", crash)),
        "halted": lambda world: setattr(world.runs, "stop_item", STOP),
        "unknown step": lambda world: setattr(world, "workflow", lambda run: ()),
        "busy": lambda world: world.mishaps.update({3: "throttled"}),
        "unclear": lambda world: world.mishaps.update({3: "no answer"}),
        "table busy": lambda world: world.mishaps.update({5: "throttled"}),
        "stop item unreadable": lambda world: world.mishaps.update({2: "throttled"}),
        "news refused": refused,
    }


@pytest.mark.parametrize("end", ends_of_invocations())
def test_the_lease_is_given_back_at_every_end(end: str) -> None:
    world = World()
    ends_of_invocations()[end](world)
    world.invoke()
    assert world.run.version > 1
    assert world.run.lease is None


def test_a_saved_report_ends_the_count_of_attempts() -> None:
    world = World(mishaps={3: "dies before", 6: "dies before"})
    world.invoke()
    world.now += TIMEOUT + 2 * MINUTE
    world.invoke()
    assert (world.run.attempts, world.retries and world.run.failure) == (2, None)
    world.now += TIMEOUT + 2 * MINUTE
    world.invoke()
    assert world.run.attempts == 0
    assert world.run.waits_for == "traces of the copy"


def test_throttled_is_waited_for_and_nothing_is_suspected() -> None:
    world = World(mishaps={4: "throttled"})
    world.invoke()
    assert world.run.waits_for == "AWS to answer again (Throttling)"
    assert (world.run.unclear_since, world.run.attempts) == (None, 0)
    assert world.run.wake_at - world.now <= MINUTE


def test_an_answer_that_was_lost_is_remembered_and_its_traces_are_looked_for() -> None:
    world = World(mishaps={4: "no answer"})
    world.invoke()
    assert world.run.waits_for == "AWS to answer again (InternalError)"
    assert world.run.unclear_since is not None
    assert abs(world.run.unclear_since - world.now) < timedelta(seconds=1)
    assert outcome(world.finish()) == outcome(World().finish())


def test_one_line_of_history_for_each_finished_step() -> None:
    world = World(rows=0).finish()
    history = world.runs.history[DRILL]
    assert [(key, line["went"]) for key, line in history.items()] == [
        ("STEP#0001#copy", "done"),
        ("STEP#0002#verify", "the copy is empty"),
        ("STEP#0003#teardown", "done"),
    ]
    lines = list(history.values())
    assert lines[0]["entered_at"] == START.isoformat()
    for line, following in itertools.pairwise(lines):
        assert line["entered_at"] < line["left_at"] == following["entered_at"]


# ── A campaign ────────────────────────────────────────────────────────────────────────────────────


def campaign(run: Run) -> Sequence[Step]:
    """Two steps a wave, computed from what was frozen into the run."""

    def ensure_patched(wave: str, run: Run, cloud: Any, now: Any) -> Report:
        return Failed(f"{wave} did not patch") if wave == run.facts["breaks"] else Done()

    def ensure_baked(run: Run, cloud: Any, now: Any) -> Report:
        ready = run.entered_at + 2 * HOUR
        return Done() if now >= ready else Waiting("alarms to stay quiet", until=ready)

    waves = run.facts["waves"].split()
    patching = {wave: partial(ensure_patched, wave) for wave in waves}
    steps = [
        step
        for wave in waves
        for step in (
            Step(f"patch:{wave}", patching[wave], within=HOUR),
            Step(f"bake:{wave}", ensure_baked, within=3 * HOUR),
        )
    ]
    return [*steps, Step("report", lambda run, cloud, now: Done(), within=HOUR, always=True)]


@pytest.mark.parametrize(
    ("breaks", "expected"),
    [
        ("", ["patch:a", "bake:a", "patch:b", "bake:b", "report"]),
        ("b", ["patch:a", "bake:a", "patch:b", "report"]),
    ],
)
def test_a_campaign_is_a_run_with_a_computed_table(breaks: str, expected: list[str]) -> None:
    facts = {"waves": "a b", "breaks": breaks}
    table = campaign(replace(new_run(DRILL, STEPS, START), facts=facts))
    world = World(workflow=campaign, start=new_run(DRILL, table, START, **facts)).finish()
    assert [line["step"] for line in world.runs.history[DRILL].values()] == expected
    assert world.run.failure == (f"{breaks} did not patch" if breaks else None)
    assert world.now - START > (2 if breaks else 4) * HOUR


# ── Those who act on news ─────────────────────────────────────────────────────────────────────────


def act_on(runs: Any, told: Told, acted: dict[str, int]) -> None:
    """A consumer as it should be: reads the record again, starts work once per message."""
    if told["version"] < acted.get(told["run"], 0):
        return
    run = runs.find(told["run"])
    follow_up = new_run(f"drill#follow-up#{naming.short_id(told['id'])}", STEPS, START)
    runs.start(follow_up, receipt=naming.receipt_key("toy", told["id"]))
    acted[told["run"]] = run.version


def test_news_in_any_order_and_repeated_have_each_effect_once() -> None:
    world = World(rows=0)
    world.refuse = lambda told: (
        Throttled("sns:Publish", "Throttling", "") if told["type"] == "RunFailed" else None
    )
    world.live(HOUR)
    world.refuse = lambda told: None
    world.finish()
    first, last = world.sent
    assert first["version"] < last["version"] <= world.run.version
    for order in itertools.product([first, last], repeat=4):
        runs = MemoryRuns()
        runs.items[DRILL] = world.run
        acted: dict[str, int] = {}
        for told in order:
            act_on(runs, told, acted)
        assert acted == {DRILL: world.run.version}
        # The record says all that either message could: whichever came first has done the work.
        assert runs.items.keys() - {DRILL} == {f"drill#follow-up#{naming.short_id(order[0]['id'])}"}


def test_a_message_sent_twice_has_one_id_and_no_smaller_version() -> None:
    world = World(mishaps={}).finish()
    for call in range(1, world.calls + 1):
        crashed = World(mishaps={call: "no answer"}).finish()
        assert {told["id"] for told in crashed.sent} == ids(world)
        versions = [told["version"] for told in crashed.sent]
        assert versions == sorted(versions)


def test_the_dead_do_nothing() -> None:
    """The net under all of the above: a process that has died reaches nothing."""
    world = World()
    process = Process(world)
    with pytest.raises(Died):
        process.die()
    with pytest.raises(Died):
        advance(DRILL, world.engine(process))
    assert world.calls_of_the_dead == 1
    assert world.run.version == 1
