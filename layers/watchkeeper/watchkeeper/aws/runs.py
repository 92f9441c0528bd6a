"""Runs in the table: starting, leasing, saving, finding what is due."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from watchkeeper import naming
from watchkeeper.aws.errors import AlreadyThere
from watchkeeper.aws.iam import needs
from watchkeeper.aws.table import TRANSACTION_ITEMS, Item, Table
from watchkeeper.runs.record import Lease, Run, Stale, Stop

IS_NEW = "attribute_not_exists(pk)"
IS_UNFINISHED_AND_FREE = (
    "attribute_exists(due) "
    # Our own token: botocore repeats a request whose answer was lost.
    "AND (attribute_not_exists(lease_until) OR lease_until < :now OR lease_token = :token)"
)
NOBODY_ELSE_MOVED_IT = "version = :version"


class RunTable(Table):
    """The engine's RunStore, in DynamoDB. A role may write only the runs of its own capability."""

    @needs("dynamodb:GetItem")
    def find(self, run_id: str) -> Run | None:
        item = self.get(naming.run_key(run_id))
        return from_item(item) if item else None

    @needs("dynamodb:BatchGetItem")
    def find_many(self, run_ids: Sequence[str]) -> dict[str, Run]:
        items = self.get_many([naming.run_key(run_id) for run_id in run_ids])
        return {run.id: run for run in map(from_item, items)}

    @needs("dynamodb:PutItem")
    def start(
        self, run: Run, *also: Mapping[str, Any], receipt: Mapping[str, str] | None = None
    ) -> bool:
        """Store a new run; False if it was started before.

        `also` are items of it that go with it, all or none. `receipt` is the key under which a
        consumer notes the news that made it start this run: the same news again, or the run again,
        changes nothing.
        """
        items = [to_item(replace(run, version=1)), *also, *([receipt] if receipt else [])]
        try:
            if len(items) == 1:
                self.put(items[0], IS_NEW)
            else:
                self.put_together(items, IS_NEW)
        except AlreadyThere:
            return False
        return True

    @needs("dynamodb:PutItem")
    def start_many(self, runs: Iterable[Run]) -> None:
        """Store those of `runs` that are not there yet."""
        left = list(runs)
        while left:
            batch, left = left[:TRANSACTION_ITEMS], left[TRANSACTION_ITEMS:]
            try:
                self.put_together([to_item(replace(run, version=1)) for run in batch], IS_NEW)
            except AlreadyThere:  # an earlier attempt was cut off between two batches
                for run in batch:
                    self.start(run)

    @needs("dynamodb:UpdateItem")
    def lease(self, run_id: str, lease: Lease, now: datetime) -> Run | None:
        values = {
            ":token": lease.token,
            ":until": naming.instant(lease.until),
            ":now": naming.instant(now),
            ":one": 1,
        }
        try:
            item = self.update(
                naming.run_key(run_id),
                UpdateExpression="SET lease_token = :token, lease_until = :until, wake_at = :until "
                "ADD attempts :one, version :one",
                ConditionExpression=IS_UNFINISHED_AND_FREE,
                values=values,
            )
        except AlreadyThere:
            return None
        return from_item(item)

    @needs("dynamodb:PutItem")
    def save(self, run: Run, history: Mapping[str, str] | None = None) -> Run:
        saved = replace(run, version=run.version + 1)
        expected = {":version": run.version}
        try:
            if history is None:
                self.put(to_item(saved), NOBODY_ELSE_MOVED_IT, expected)
            else:
                line = naming.history_key(run.id, run.finished, history["step"]) | dict(history)
                put = self.conditional_put(to_item(saved), NOBODY_ELSE_MOVED_IT, expected)
                self.write_together([put, self.conditional_put(line)])
        except AlreadyThere as error:
            raise Stale(run.id) from error
        return saved

    @needs("dynamodb:GetItem")
    def stop(self) -> Stop | None:
        item = self.get(naming.STOP_KEY)
        if item is None:
            return None
        return Stop(why=item.get("why", "no reason given"), by=item.get("by", "an operator"))


class DueTable(Table):
    """Which runs want to be looked at."""

    @needs("dynamodb:Query")
    def due(self, capability: str, now: datetime) -> Iterator[tuple[str, datetime]]:
        """Ids of runs whose moment has come, the longest overdue first, each with that moment."""
        items = self.query(
            "due = :due AND wake_at <= :now",
            {":due": naming.due_key(capability), ":now": naming.instant(now)},
            IndexName="due",
        )
        for item in items:
            yield naming.run_id_of(item["pk"]), naming.parse_instant(item["wake_at"])


# ── Stored form ───────────────────────────────────────────────────────────────────────────────────

_TIMES = ("entered_at", "wake_at", "unclear_since", "paged_at", "halted_at")
_PLAIN = ("step", "waits_for", "failure", "finished", "attempts", "setbacks", "version", "schema")
_KNOWN = {
    "pk",
    "sk",
    "due",
    "steps",
    "facts",
    "unsent",
    "lease_token",
    "lease_until",
    *_TIMES,
    *_PLAIN,
}


def to_item(run: Run) -> Item:
    item: Item = {**run.unknown, **naming.run_key(run.id)}
    item |= {name: getattr(run, name) for name in _PLAIN}
    item |= {name: naming.instant(at) if (at := getattr(run, name)) else None for name in _TIMES}
    item |= {
        "steps": list(run.steps),
        "facts": dict(run.facts),
        "unsent": [json.dumps(told) for told in run.unsent],
    }
    if not run.is_over:
        item["due"] = naming.due_key(run.capability)
    if run.lease:
        # While somebody is at it, it is due when the lease ends: one that is killed is found again.
        until = naming.instant(run.lease.until)
        item |= {"lease_token": run.lease.token, "lease_until": until, "wake_at": until}
    return item


def from_item(item: Mapping[str, Any]) -> Run:
    lease = (
        Lease(item["lease_token"], naming.parse_instant(item["lease_until"]))
        if "lease_until" in item
        else None
    )
    times = {name: naming.parse_instant(item[name]) for name in _TIMES if name in item}
    plain = {name: item[name] for name in _PLAIN if name in item}
    return Run(**{
        "step": None, **plain, **times,
        "id": naming.run_id_of(item["pk"]),
        "steps": tuple(item["steps"]),
        "facts": item["facts"],
        "unsent": tuple(json.loads(told) for told in item["unsent"]),
        "lease": lease,
        "unknown": {name: value for name, value in item.items() if name not in _KNOWN},
    })  # fmt: skip
