"""A world in which several invocations move at once: each of their calls takes its time, and in it
the others go on. One thread each, of which one runs at any moment, so a seed decides everything.

The table is in memory, with DynamoDB's conditional writes, transactions and limits.
"""

import heapq
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Any

from watchkeeper import naming
from watchkeeper.aws import incidents, runs
from watchkeeper.aws.errors import AlreadyThere, Throttled
from watchkeeper.aws.table import Item
from watchkeeper.runs.record import Told

MOST_OPERATIONS, MOST_OF_A_TRANSACTION, MOST_OF_AN_ITEM = 100, 4_000_000, 400_000
"""DynamoDB's limits, in operations and bytes."""
PACKING, UNPACKING = 0.00006, 0.000045
"""Seconds per member of an incident, of a Lambda function's share of a core."""
TIMEOUT = timedelta(seconds=120)
"""Of the function, in template.yaml."""


class Killed(BaseException):
    """The invocation is gone: nothing of it runs on."""


class Broken(AssertionError):
    """Something that must hold does not."""


@dataclass
class World:
    """Time, and what happens in it."""

    random: Random
    now: datetime
    deadliness: float
    """The probability that an invocation dies at a call, before or after it had its effect."""
    counted: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    """The largest of each kind that was seen."""
    told: list[tuple[datetime, Told]] = field(default_factory=list)
    _coming: list[tuple[datetime, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)
    _back: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _running: "Invocation | None" = None

    def at(self, when: datetime, then: Callable[[], None]) -> None:
        heapq.heappush(self._coming, (max(when, self.now), next(self._numbers), then))

    def after(self, seconds: float, then: Callable[[], None]) -> None:
        self.at(self.now + timedelta(seconds=seconds), then)

    def run_until(self, end: datetime) -> None:
        while self._coming and self._coming[0][0] <= end:
            self.now, _, then = heapq.heappop(self._coming)
            then()
        self.now = end

    def clock(self) -> datetime:
        return self.now

    def resume(self, invocation: "Invocation") -> None:
        """Let it run until its next call."""
        self._running = invocation
        invocation.turn.release()
        self._back.acquire()

    def yielded(self) -> None:
        self._back.release()

    def wait(self, seconds: float) -> None:
        """Within an invocation: the others go on meanwhile."""
        running = self._running
        if running is None:
            raise Broken("a call outside of any invocation")
        self.after(seconds, lambda: self.resume(running))
        self._back.release()
        running.turn.acquire()
        if self.now >= running.deadline:
            raise Killed("out of time")

    def call(self, effect: Callable[[], Any], seconds: float | None = None) -> Any:
        """A call of AWS: under way, done, and its answer under way."""
        takes = self.random.uniform(0.004, 0.03) if seconds is None else seconds
        self.wait(takes / 2)
        self._perhaps_die()
        answer = effect()
        self.wait(takes / 2)
        self._perhaps_die()
        return answer

    def _perhaps_die(self) -> None:
        if self.random.random() < self.deadliness / 2:
            self.counted["deaths"] += 1
            raise Killed("by chance")


class Invocation:
    """One invocation of the function, in a thread that only runs in its turn."""

    def __init__(self, world: World, work: Callable[[datetime], object]) -> None:
        self.world = world
        self.turn = threading.Semaphore(0)
        self.deadline = world.now + TIMEOUT
        self.error: BaseException | None = None
        self._work = work
        self._then: Callable[[Invocation], None] = lambda _: None

    def start(self, then: Callable[["Invocation"], None]) -> None:
        self._then = then
        threading.Thread(target=self._run, daemon=True).start()
        self.world.resume(self)

    def _run(self) -> None:
        self.turn.acquire()
        try:
            self._work(self.deadline)
        except BaseException as error:  # noqa: BLE001, whatever it is ends the invocation alone
            self.error = error
        self._then(self)
        self.world.yielded()


@dataclass
class Function:
    """Lambda's side of it: so many at once, and again what failed."""

    world: World
    work: Callable[[Any, datetime], object]
    at_once: int
    running: int = 0
    waiting: list[tuple[Any, Callable[[bool], None]]] = field(default_factory=list)
    lost: list[Any] = field(default_factory=list)
    """What has failed three times and is in the queue of unhandled events."""
    errors: list[BaseException] = field(default_factory=list)

    def queue(self, event: Any, attempt: int = 0) -> None:
        """Asynchronously: tried again after one and two minutes."""

        def ended(well: bool) -> None:
            if well:
                return
            if attempt == 2:
                self.lost.append(event)
            else:
                self.world.after(60 * (attempt + 1), lambda: self.queue(event, attempt + 1))

        self.invoke(event, ended)

    def invoke(self, event: Any, ended: Callable[[bool], None]) -> None:
        self.waiting.append((event, ended))
        self._next()

    def _next(self) -> None:
        while self.waiting and self.running < self.at_once:
            event, ended = self.waiting.pop(0)
            self.running += 1
            self.world.counted["invocations"] += 1

            def work(deadline: datetime, event: Any = event) -> object:
                return self.work(event, deadline)

            def over(one: Invocation, ended: Callable[[bool], None] = ended) -> None:
                self.running -= 1
                if one.error is not None and not isinstance(one.error, Killed | Throttled):
                    self.errors.append(one.error)
                if isinstance(one.error, Throttled):
                    self.world.counted["outrun"] += 1
                ended(one.error is None)
                self.world.after(0, self._next)

            Invocation(self.world, work).start(over)


# ── The table ─────────────────────────────────────────────────────────────────────────────────────


class Kept:
    """The items, and the operations on them that `watchkeeper.aws.table.Table` has."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.items: dict[tuple[str, str], Item] = {}
        self.busy: Counter[tuple[str, str]] = Counter()
        """Items that a transaction is at."""

    def under(self, pk: str) -> list[Item]:
        return [item for (its, _), item in sorted(self.items.items()) if its == pk]

    def due(self) -> list[str]:
        now = naming.instant(self.world.now)
        return [
            naming.run_id_of(pk)
            for (pk, sk), item in self.items.items()
            if sk == "RUN" and "due" in item and item["wake_at"] <= now
        ]


def _key(item: Mapping[str, Any]) -> tuple[str, str]:
    return item["pk"], item["sk"]


def _members(items: Sequence[Mapping[str, Any]]) -> int:
    return sum(len(item.get("members", ())) for item in items)


class _InMemory:
    """In place of the client's calls; everything above them is as it is deployed."""

    kept: Kept

    def get(self, key: Mapping[str, str]) -> Item | None:
        found: Item | None = self.kept.world.call(lambda: self.kept.items.get(_key(key)))
        return dict(found) if found else None

    def get_many(self, keys: Sequence[Mapping[str, str]]) -> list[Item]:
        if not keys:
            return []

        def read() -> list[Item]:
            items = self.kept.items
            return [dict(items[_key(key)]) for key in keys if _key(key) in items]

        found: list[Item] = self.kept.world.call(read)
        self.kept.world.wait(_members(found) * UNPACKING)
        return found

    def query(self, condition: str, values: Mapping[str, Any], **arguments: Any) -> Iterator[Item]:
        def read() -> list[Item]:
            return [
                item
                for item in self.kept.under(values[":pk"])
                if item["sk"].startswith(values[":alarm"])
            ]

        yield from self.kept.world.call(read)

    def conditional_put(
        self, item: Mapping[str, Any], condition: str = "", values: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        kept = {name: value for name, value in item.items() if value is not None}
        return {"item": kept, "condition": condition, "values": values or {}}

    def put(
        self, item: Mapping[str, Any], condition: str = "", values: Mapping[str, Any] | None = None
    ) -> None:
        one = self.conditional_put(item, condition, values)
        self.kept.world.call(lambda: self._write([one]))

    def write_together(self, operations: Sequence[Mapping[str, Any]]) -> None:
        keys = [_key(one["item"]) for one in operations]
        self._check_limits(keys, operations)
        self.kept.world.wait(_members([one["item"] for one in operations]) * PACKING)
        busy = self.kept.busy
        if any(busy[key] for key in keys):
            self.kept.world.counted["conflicts"] += 1
            self.kept.world.call(lambda: None)
            raise Throttled("dynamodb:TransactWriteItems", "TransactionConflict", "others")
        busy.update(keys)
        try:
            self.kept.world.call(lambda: self._write(operations))
        finally:
            busy.subtract(keys)

    def update(self, key: Mapping[str, str], **asked: Any) -> Item:
        if asked["ConditionExpression"] != runs.IS_UNFINISHED_AND_FREE:
            raise Broken(f"no update that is known: {asked}")
        values = asked["values"]

        def lease() -> Item:
            item = self.kept.items.get(_key(key))
            is_free = item is not None and (
                "lease_until" not in item
                or item["lease_until"] < values[":now"]
                or item["lease_token"] == values[":token"]
            )
            if item is None or "due" not in item or not is_free:
                raise AlreadyThere("dynamodb:UpdateItem", "ConditionalCheckFailedException", "")
            leased = {
                **item,
                "lease_token": values[":token"],
                "lease_until": values[":until"],
                "wake_at": values[":until"],
                "attempts": item["attempts"] + 1,
                "version": item["version"] + 1,
            }
            self.kept.items[_key(key)] = leased
            return dict(leased)

        found: Item = self.kept.world.call(lease)
        return found

    def _write(self, operations: Sequence[Mapping[str, Any]]) -> None:
        if not all(self._holds(one) for one in operations):
            self.kept.world.counted["refused writes"] += 1
            raise AlreadyThere("dynamodb:PutItem", "ConditionalCheckFailedException", "")
        for one in operations:
            self.kept.items[_key(one["item"])] = dict(one["item"])

    def _holds(self, one: Mapping[str, Any]) -> bool:
        there = self.kept.items.get(_key(one["item"]))
        match one["condition"]:
            case "":
                return True
            case runs.IS_NEW:
                return there is None
            case runs.NOBODY_ELSE_MOVED_IT | incidents.NOBODY_CHANGED_IT:
                return there is not None and there["version"] == one["values"][":version"]
            case other:
                raise Broken(f"no condition that is known: {other}")

    def _check_limits(
        self, keys: Sequence[tuple[str, str]], operations: Sequence[Mapping[str, Any]]
    ) -> None:
        sizes = [len(json.dumps(one["item"])) for one in operations]
        most = self.kept.world.most
        most["operations"] = max(most["operations"], len(keys))
        most["bytes of a transaction"] = max(most["bytes of a transaction"], sum(sizes))
        most["bytes of an item"] = max(most["bytes of an item"], *sizes)
        if len(keys) > MOST_OPERATIONS or len(set(keys)) < len(keys):
            raise Broken(f"{len(keys)} operations on {len(set(keys))} items")
        if sum(sizes) > MOST_OF_A_TRANSACTION or max(sizes) > MOST_OF_AN_ITEM:
            raise Broken(f"{sum(sizes)} bytes in a transaction, {max(sizes)} in one item")


class Incidents(_InMemory, incidents.IncidentTable):
    def __init__(self, kept: Kept) -> None:
        super().__init__("table", "watchkeeper")
        self.kept = kept


class Runs(_InMemory, runs.RunTable):
    def __init__(self, kept: Kept) -> None:
        super().__init__("table")
        self.kept = kept
