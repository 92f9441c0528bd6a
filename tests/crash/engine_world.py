"""A slow cloud, a table and a topic on a clock that jumps, in which any call can go wrong.

A drill copies something, verifies the copy and removes it. Copies take half an hour, are hidden
for the first minutes, and have no client token: the step saves its intent and looks for traces.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from watchkeeper import naming
from watchkeeper.aws.errors import Throttled, Unclear
from watchkeeper.news.base import News
from watchkeeper.runs.engine import Engine, advance
from watchkeeper.runs.record import (
    Done,
    Failed,
    Lease,
    Report,
    Run,
    RunStore,
    Stale,
    Step,
    Stop,
    Told,
    Waiting,
    new_run,
)
from watchkeeper.runs.sweep import sweep

START = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
TIMEOUT = timedelta(minutes=15)
MINUTE = timedelta(minutes=1)
LATENCY = timedelta(milliseconds=100)
HIDDEN = timedelta(minutes=3)
COPYING = timedelta(minutes=30)
DELETING = timedelta(minutes=12)
LOOK_FOR = timedelta(minutes=10)
DRILL = "drill#db#2026-11-23T02:00Z"
CAPABILITY = "drill"


class Died(BaseException):
    """The process is gone: nothing in it runs any more, no handler and no `finally`."""


class CopyVerified(News):
    rows: int


# ── The workflow ──────────────────────────────────────────────────────────────────────────────────


def ensure_copied(run: Run, cloud: "Cloud", now: datetime) -> Report:
    match cloud.copies(run.id):
        case []:
            if wait := _for_traces(run, now):
                return wait
            cloud.create_copy(run.id)
            return Waiting("the copy to appear", facts={"asked_at": naming.instant(now)})
        case ["available"]:
            return Done()
        case ["error"]:
            return Failed("the copy ended in error")
        case _:
            return Waiting("the copy to complete")


def _for_traces(run: Run, now: datetime) -> Waiting | None:
    """Wait for what was asked for, or may have been asked for, to become visible."""
    asked = [run.unclear_since] if run.unclear_since else []
    if "asked_at" in run.facts:
        asked.append(naming.parse_instant(run.facts["asked_at"]))
    if asked and now < max(asked) + LOOK_FOR:
        return Waiting("traces of the copy", until=max(asked) + LOOK_FOR)
    return None


def ensure_verified(run: Run, cloud: "Cloud", now: datetime) -> Report:
    rows = cloud.count_rows(run.id)
    if not rows:
        return Failed("the copy is empty")
    return Done({"rows": str(rows)}, news=[CopyVerified.about(run, at=now, rows=rows)])


def ensure_torn_down(run: Run, cloud: "Cloud", now: datetime) -> Report:
    states = cloud.copies(run.id)
    if not states:
        return _for_traces(run, now) or Done()
    if any(state != "deleting" for state in states) and not cloud.delete_copies(run.id):
        return Failed("the copy is locked")
    return Waiting("the copy to be gone")


STEPS = (
    Step("copy", ensure_copied, within=timedelta(hours=4)),
    Step("verify", ensure_verified, within=timedelta(hours=1)),
    Step("teardown", ensure_torn_down, within=timedelta(hours=1), always=True),
)


# ── The cloud ─────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Copy:
    run_id: str
    created_at: datetime
    deleted_at: datetime | None = None


@dataclass
class Cloud:
    """What AWS would hold. `verify` is asked for the number of rows, and may raise."""

    clock: Callable[[], datetime]
    rows: int = 10
    copying_fails: bool = False
    is_locked: bool = False
    verifier_is_broken: bool = False
    created: int = 0
    there: list[Copy] = field(default_factory=list)

    def copies(self, run_id: str) -> list[str]:
        now = self.clock()
        self.there = [
            one for one in self.there if not one.deleted_at or now < one.deleted_at + DELETING
        ]
        return [
            self._state(one)
            for one in self.there
            if one.run_id == run_id and now >= one.created_at + HIDDEN
        ]

    def _state(self, copy: Copy) -> str:
        if copy.deleted_at:
            return "deleting"
        if self.clock() < copy.created_at + COPYING:
            return "pending"
        return "error" if self.copying_fails else "available"

    def create_copy(self, run_id: str) -> None:
        self.created += 1
        self.there.append(Copy(run_id, self.clock()))

    def count_rows(self, run_id: str) -> int:
        if self.verifier_is_broken:
            raise TypeError("the verifier has a bug")
        return self.rows

    def delete_copies(self, run_id: str) -> bool:
        if self.is_locked:
            return False
        for copy in self.there:
            if copy.run_id == run_id:
                copy.deleted_at = copy.deleted_at or self.clock()
        return True


# ── The table ─────────────────────────────────────────────────────────────────────────────────────


class MemoryRuns:
    """A RunStore, start and due index in memory; tests/contracts holds it to what DynamoDB does."""

    def __init__(self) -> None:
        self.items: dict[str, Run] = {}
        self.history: dict[str, dict[str, Mapping[str, str]]] = {}
        self.receipts: set[str] = set()
        self.stop_item: Stop | None = None

    def find(self, run_id: str) -> Run | None:
        return self.items.get(run_id)

    def start(self, run: Run, *, receipt: Mapping[str, str] | None = None) -> bool:
        seen = receipt["pk"] if receipt else ""
        if run.id in self.items or seen in self.receipts:
            return False
        self.items[run.id] = replace(run, version=1)
        self.receipts |= {seen} - {""}
        return True

    def lease(self, run_id: str, lease: Lease, now: datetime) -> Run | None:
        run = self.items.get(run_id)
        if run is None or run.is_over:
            return None
        if run.lease and run.lease.until >= now and run.lease.token != lease.token:
            return None
        leased = replace(
            run,
            lease=lease,
            wake_at=lease.until,
            attempts=run.attempts + 1,
            version=run.version + 1,
        )
        self.items[run_id] = leased
        return leased

    def save(self, run: Run, history: Mapping[str, str] | None = None) -> Run:
        if self.items[run.id].version != run.version:
            raise Stale(run.id)
        if history is not None:
            key = naming.history_key(run.id, run.finished, history["step"])["sk"]
            self.history.setdefault(run.id, {})[key] = history
        saved = replace(run, version=run.version + 1)
        self.items[run.id] = replace(saved, wake_at=run.lease.until) if run.lease else saved
        return saved

    def stop(self) -> Stop | None:
        return self.stop_item

    def due(self, capability: str, now: datetime) -> Iterable[tuple[str, datetime]]:
        waiting = sorted((run.wake_at, run.id) for run in self.items.values() if not run.is_over)
        for wake_at, run_id in waiting:
            if wake_at <= now and naming.capability_of(run_id) == capability:
                yield run_id, wake_at


# ── Processes, which can die ──────────────────────────────────────────────────────────────────────


class Process:
    """One invocation. All it does to the world goes through `call`; once dead it does nothing."""

    def __init__(self, world: "World", skew: timedelta = timedelta()) -> None:
        self.world = world
        self.skew = skew
        self.is_dead = False

    def clock(self) -> datetime:
        return self.world.now + self.skew

    def die(self) -> None:
        self.is_dead = True
        raise Died

    def call(self, effect: Callable[[], Any]) -> Any:
        if self.is_dead:
            self.world.calls_of_the_dead += 1
            raise Died
        self.world.calls += 1
        mishap = self.world.mishaps.pop(self.world.calls, "")
        self._before(mishap)
        self.world.now += LATENCY
        result = effect()
        self._after(mishap)
        return result

    def _before(self, mishap: str) -> None:
        if mishap == "hangs":
            self.world.now += TIMEOUT
        if mishap in {"hangs", "dies before"}:
            self.die()
        if mishap == "throttled":
            raise Throttled("aws:Call", "Throttling", "too many requests")
        if mishap == "lost on the way":
            raise Unclear("aws:Call", "InternalError", "no answer")
        if mishap == "twin before":
            self.world.invoke()

    def _after(self, mishap: str) -> None:
        if mishap == "dies after":
            self.die()
        if mishap == "no answer":
            raise Unclear("aws:Call", "InternalError", "no answer")
        if mishap in {"twin after", "twin, a minute fast"}:
            self.world.invoke(skew=MINUTE if mishap.endswith("fast") else timedelta())


MISHAPS = (
    "dies before",
    "dies after",
    "hangs",
    "throttled",
    "lost on the way",
    "no answer",
    "twin before",
    "twin after",
    "twin, a minute fast",
)


class Through:
    """Something of the world's as one process reaches it: over calls that can go wrong."""

    def __init__(self, process: Process, target: object) -> None:
        self._process = process
        self._target = target

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._target, name)
        return lambda *args, **kwargs: self._process.call(partial(method, *args, **kwargs))


# ── The world ─────────────────────────────────────────────────────────────────────────────────────


class World:
    """One drill, the sweep that wakes it, and Lambda, which tries a failed event three times."""

    def __init__(
        self,
        *,
        rows: int = 10,
        copying_fails: bool = False,
        mishaps: Mapping[int, str] | None = None,
        runs: Any = None,
        workflow: Callable[[Run], Sequence[Step]] = lambda run: STEPS,
        start: Run | None = None,
    ) -> None:
        self.now = START
        self.calls = 0
        self.calls_of_the_dead = 0
        self.mishaps = dict(mishaps or {})
        self.cloud = Cloud(lambda: self.now, rows=rows, copying_fails=copying_fails)
        self.runs: Any = MemoryRuns() if runs is None else runs
        self.workflow = workflow
        self.sent: list[dict[str, Any]] = []
        self.sent_at: list[datetime] = []
        self.crashes: list[Exception] = []
        self.refuse: Callable[[Told], Exception | None] = lambda told: None
        self.retries: list[tuple[datetime, int]] = []
        self.began_at: list[datetime] = []
        self.runs.start(start or new_run(DRILL, STEPS, START))

    @property
    def run(self) -> Run:
        run: Run | None = self.runs.find(DRILL)
        assert run is not None
        return run

    def news(self, kind: str) -> list[dict[str, Any]]:
        """What was sent of one kind, each message once however often it was repeated."""
        return list({told["id"]: told for told in self.sent if told["type"] == kind}.values())

    def publish(self, told: Told) -> None:
        if error := self.refuse(told):
            raise error
        self.sent.append(dict(told))
        self.sent_at.append(self.now)

    def engine(self, process: Process, remaining: timedelta = TIMEOUT) -> Engine:
        runs: RunStore = Through(process, self.runs)
        publish = Through(process, self).publish
        cloud = Through(process, self.cloud)
        deadline = process.clock() + remaining
        return Engine(runs, self.workflow, cloud, publish, process.clock, deadline)

    def invoke(
        self, *, skew: timedelta = timedelta(), remaining: timedelta = TIMEOUT, tried: int = 0
    ) -> Run | None:
        """Lambda runs the handler; what fails it tries again after one minute and after two."""
        self.began_at.append(self.now)
        try:
            return advance(DRILL, self.engine(Process(self, skew), remaining))
        except Died:
            pass
        except Exception as error:  # noqa: BLE001 (as Lambda does)
            self.crashes.append(error)
        if tried < 2:
            self.retries.append((self.now + MINUTE * (tried + 1), tried + 1))
        return None

    def sweep(self) -> None:
        woken: list[Told] = []
        sweep([CAPABILITY], self.runs, woken.append, self.now)
        for _ in woken:
            self.invoke()

    def live(self, how_long: timedelta, *, until_over: bool = False) -> None:
        """Minute by minute, without the minutes in which nothing is due."""
        end = self.now + how_long
        while self.now < end and not (until_over and self.run.is_over and not self.retries):
            due = [self.run.wake_at] if not self.run.is_over else []
            following = min([*due, *(at for at, _ in self.retries), end])
            self.now = min(max(following, self.now + MINUTE), end)
            for retry in [one for one in self.retries if one[0] <= self.now]:
                self.retries.remove(retry)
                self.invoke(tried=retry[1])
            self.sweep()

    def finish(self) -> "World":
        """Live until the run is over, at most two months."""
        self.live(timedelta(days=60), until_over=True)
        return self
