"""What the engine relies on, of the table and of the stand-in that the crash tests use."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pytest

from tests.crash.engine_world import DRILL, MINUTE, MISHAPS, START, STEPS, MemoryRuns, World
from watchkeeper import naming
from watchkeeper.aws.runs import DueTable, RunTable
from watchkeeper.news.runs import RunFailed
from watchkeeper.runs.record import Lease, Run, Stale, Stop, new_run, news_run

UNTIL = START + timedelta(minutes=16)
LEASE = Lease("first", UNTIL)
OTHER = Lease("second", UNTIL + timedelta(hours=1))


class DynamoRuns(RunTable):
    """The real store, asked as the stand-in is."""

    def due(self, capability: str, now: Any) -> Any:
        return DueTable(self.name).due(capability, now)

    @property
    def history(self) -> dict[str, dict[str, Any]]:
        lines: dict[str, dict[str, Any]] = {}
        key = {":pk": naming.run_key(DRILL)["pk"], ":step": "STEP#"}
        for item in self.query("pk = :pk AND begins_with(sk, :step)", key):
            lines.setdefault(DRILL, {})[item.pop("sk")] = item
        return lines

    @property
    def stop_item(self) -> Stop | None:
        return self.stop()

    @stop_item.setter
    def stop_item(self, stop: Stop) -> None:
        self.put({**naming.STOP_KEY, "why": stop.why, "by": stop.by})


@pytest.fixture(params=["memory", "dynamodb"])
def runs(request: pytest.FixtureRequest, table: str) -> Any:
    return MemoryRuns() if request.param == "memory" else DynamoRuns(table)


@pytest.fixture
def started(runs: Any) -> Any:
    assert runs.start(new_run(DRILL, STEPS, START, snapshot="snap-1"))
    return runs


def leased(runs: Any, lease: Lease = LEASE, now: Any = START) -> Run:
    run: Run | None = runs.lease(DRILL, lease, now)
    assert run is not None
    return run


def due(runs: Any, now: Any) -> list[tuple[str, Any]]:
    return list(runs.due("drill", now))


# ── Starting ──────────────────────────────────────────────────────────────────────────────────────


def test_a_run_is_found_as_it_was_started(started: Any) -> None:
    run = new_run(DRILL, STEPS, START, snapshot="snap-1")
    assert started.find(DRILL) == replace(run, version=1)


def test_what_was_never_started_is_not_there(runs: Any) -> None:
    assert runs.find(DRILL) is None
    assert runs.lease(DRILL, LEASE, START) is None


def test_starting_again_changes_nothing(started: Any) -> None:
    before = leased(started)
    assert started.start(new_run(DRILL, STEPS, START + MINUTE)) is False
    assert started.find(DRILL) == before


def test_a_receipt_makes_repeated_news_start_nothing(runs: Any) -> None:
    receipt = naming.receipt_key("toy", "event-1")
    assert runs.start(new_run(DRILL, STEPS, START), receipt=receipt) is True
    assert runs.start(new_run("drill#other", STEPS, START), receipt=receipt) is False
    assert runs.find("drill#other") is None
    other = naming.receipt_key("toy", "event-2")
    assert runs.start(new_run("drill#other", STEPS, START), receipt=other) is True


def test_a_refused_start_leaves_no_receipt(started: Any) -> None:
    receipt = naming.receipt_key("toy", "event-1")
    assert started.start(new_run(DRILL, STEPS, START), receipt=receipt) is False
    assert started.start(new_run("drill#other", STEPS, START), receipt=receipt) is True


# ── Leasing ───────────────────────────────────────────────────────────────────────────────────────


def test_a_lease_counts_the_attempt_and_is_due_at_its_end(started: Any) -> None:
    run = leased(started)
    assert (run.attempts, run.version, run.lease, run.wake_at) == (1, 2, LEASE, UNTIL)
    assert started.find(DRILL) == run
    assert due(started, UNTIL - MINUTE) == []
    assert due(started, UNTIL) == [(DRILL, UNTIL)]


@pytest.mark.parametrize("now", [START, START + MINUTE, UNTIL])
def test_a_lease_is_refused_to_others_until_it_has_ended(started: Any, now: Any) -> None:
    before = leased(started)
    assert started.lease(DRILL, OTHER, now) is None
    assert started.find(DRILL) == before


def test_an_ended_lease_goes_to_the_next(started: Any) -> None:
    leased(started)
    run = leased(started, OTHER, UNTIL + timedelta(milliseconds=1))
    assert (run.attempts, run.version, run.lease) == (2, 3, OTHER)


def test_the_same_lease_is_granted_again(started: Any) -> None:
    """The answer to the first request may have been lost, and the client repeats it by itself."""
    leased(started)
    run = leased(started)
    assert (run.attempts, run.lease) == (2, LEASE)


def test_a_lease_given_back_is_free_at_once(started: Any) -> None:
    started.save(replace(leased(started), lease=None, wake_at=START + MINUTE))
    assert due(started, START + MINUTE) == [(DRILL, START + MINUTE)]
    assert leased(started, OTHER).lease == OTHER


# ── Saving ────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_saved_is_found(started: Any) -> None:
    told = RunFailed.about(leased(started), why="no rows — ни одной", at=START)
    run = replace(
        leased(started),
        step="teardown",
        facts={"rows": "0"},
        waits_for="the copy to be gone",
        failure="empty",
        finished=2,
        setbacks=3,
        unclear_since=START,
        paged_at=START + MINUTE,
        halted_at=START + 2 * MINUTE,
        unsent=(told, told),
    )
    saved = started.save(run)
    assert saved == replace(run, version=run.version + 1)
    found = started.find(DRILL)
    assert found == replace(saved, wake_at=UNTIL)


def test_who_was_overtaken_saves_nothing(started: Any) -> None:
    first = leased(started)
    second = leased(started, OTHER, UNTIL + MINUTE)
    line = {"step": "copy", "went": "done"}
    with pytest.raises(Stale):
        started.save(replace(first, step="verify", finished=1), line)
    with pytest.raises(Stale):
        started.save(replace(first, lease=None))
    assert started.find(DRILL) == second
    assert started.history == {}


def test_a_line_of_history_is_saved_with_the_state_that_it_tells_of(started: Any) -> None:
    line = {"step": "copy", "entered_at": "a", "left_at": "b", "went": "done"}
    started.save(replace(leased(started), step="verify", finished=1), line)
    assert started.find(DRILL).step == "verify"
    stored = started.history[DRILL]["STEP#0001#copy"]
    assert {name: stored[name] for name in line} == line


# ── What is due ───────────────────────────────────────────────────────────────────────────────────


def test_the_longest_overdue_comes_first_and_what_lies_ahead_not_at_all(runs: Any) -> None:
    for minute in (5, 1, 3, 9):
        runs.start(new_run(f"drill#{minute}", STEPS, START + minute * MINUTE))
    runs.start(new_run("other#1", STEPS, START))
    found = due(runs, START + 5 * MINUTE)
    assert found == [(f"drill#{minute}", START + minute * MINUTE) for minute in (1, 3, 5)]


def test_unsent_news_keep_a_finished_run_due(runs: Any) -> None:
    told = RunFailed.about(new_run(DRILL, STEPS, START), why="empty", at=START)
    runs.start(news_run(DRILL, START, told))
    assert due(runs, START) == [(DRILL, START)]
    run = leased(runs)
    assert run.step is None
    runs.save(replace(run, unsent=(), lease=None))
    assert due(runs, START + timedelta(days=99)) == []
    assert runs.lease(DRILL, OTHER, START + timedelta(days=99)) is None


def test_the_stop_item(runs: Any) -> None:
    assert runs.stop() is None
    runs.stop_item = Stop(why="a freeze", by="alice")
    assert runs.stop() == Stop(why="a freeze", by="alice")


# ── The engine, on the real store ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mishap", MISHAPS)
def test_a_drill_on_the_table_ends_as_it_does_in_memory(table: str, mishap: str) -> None:
    """The crash tests in small: the lease, the version and the due index as DynamoDB keeps them."""
    for call in (2, 5, 23):  # taking a lease, saving, sending
        remembered = World(mishaps={call: mishap}, rows=0).finish()
        stored = World(mishaps={call: mishap}, rows=0, runs=DynamoRuns(table)).finish()
        assert stored.run == remembered.run
        assert stored.sent == remembered.sent
        assert stored.runs.history[DRILL].keys() == remembered.runs.history[DRILL].keys()
        assert stored.cloud.there == []
        _empty(table)


def _empty(table: str) -> None:
    client = boto3.client("dynamodb")
    for item in client.scan(TableName=table)["Items"]:
        client.delete_item(TableName=table, Key={name: item[name] for name in ("pk", "sk")})
