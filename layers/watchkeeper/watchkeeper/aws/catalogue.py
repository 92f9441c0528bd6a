"""The catalogue of recovery points, what stands beside a run, and how plans stood: the table's
backup items.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from watchkeeper import naming
from watchkeeper.aws.errors import AlreadyThere
from watchkeeper.aws.iam import needs
from watchkeeper.aws.table import TRANSACTION_ITEMS, Item, Table
from watchkeeper.backups.model import (
    Coverage,
    Kind,
    Part,
    Place,
    RecoveryPoint,
    Standing,
    State,
    Target,
)

MAX_FINDINGS = 300
"""Findings stored whole: with their sentences they take half of an item's 400 KB; the rest is a
number.
"""


class Catalogue(Table):
    """Recovery points. Records are never deleted; `listed_in` keeps those with something left to
    remove in an index.
    """

    def __init__(self, name: str, stack: str) -> None:
        super().__init__(name)
        self.listing = naming.listing_key(stack)

    @needs("dynamodb:Query")
    def listed(self) -> Iterator[RecoveryPoint]:
        """Every recovery point that still has snapshots. The index lags by about a second."""
        for item in self.query(
            "listed_in = :listing", {":listing": self.listing}, IndexName="listing"
        ):
            yield from_item(item)

    @needs("dynamodb:Query")
    def of(self, resource: str) -> list[RecoveryPoint]:
        """All recovery points of a resource, removed ones too, oldest first; read consistently."""
        items = self.query("pk = :pk", {":pk": naming.point_pk(resource)}, ConsistentRead=True)
        return [from_item(item) for item in items]

    @needs("dynamodb:PutItem")
    def record(self, points: Iterable[RecoveryPoint]) -> None:
        """Enter new points; one that is there already stays as it is, for whoever moved it on knows
        better.
        """
        left = [self._item(point) for point in points]
        while left:
            batch, left = left[:TRANSACTION_ITEMS], left[TRANSACTION_ITEMS:]
            try:
                self.put_together(batch, "attribute_not_exists(pk)")
            except AlreadyThere:  # an earlier attempt was cut off after its write
                for item in batch:
                    self._enter(item)

    def _enter(self, item: Item) -> None:
        try:
            self.put(item, "attribute_not_exists(pk)")
        except AlreadyThere:
            return

    @needs("dynamodb:PutItem")
    def change(self, point: RecoveryPoint, expected: State) -> bool:
        """Store `point` if the catalogue still has it in `expected`; False otherwise.

        Nor is it stored if its holds have changed since it was read, and what is held is not
        removed: a hold is never lost to a removal that was planned before it.
        """
        if point.state is State.REMOVING and point.holds:
            return False
        condition = "#state = :expected AND holds = :holds"
        values = {":expected": expected.value, ":holds": list(point.holds)}
        put = self.conditional_put(self._item(point), condition, values)
        put["Put"]["ExpressionAttributeNames"] = {"#state": "state"}
        try:
            self.write_together([put])
        except AlreadyThere:
            return False
        return True

    def _item(self, point: RecoveryPoint) -> Item:
        item = to_item(point)
        if point.parts and point.state is not State.REMOVED:
            item["listed_in"] = self.listing
        return item


class TargetTable(Table):
    """What a night chose, in items beside its run: one list of targets per shard, and what it found
    on the way.
    """

    @needs("dynamodb:PutItem")
    def freeze(self, run_id: str, shards: Sequence[Sequence[Target]]) -> None:
        """Store the choice; raises AlreadyThere if this run has chosen before. The first shard is
        written last.
        """
        items = [
            naming.targets_key(run_id, number)
            | {
                "shards": sum(map(bool, shards)),
                "targets": [_plain(asdict(target)) for target in shard],
            }
            for number, shard in enumerate(shards)
        ]
        while items:
            # Fewer than the hundred that DynamoDB allows, because a transaction also ends at 4 MB.
            batch, items = items[-SHARDS_TOGETHER:], items[:-SHARDS_TOGETHER]
            self.put_together(batch, "attribute_not_exists(pk)" if not items else "")

    @needs("dynamodb:GetItem")
    def chosen(self, run_id: str) -> int | None:
        """How many shards the run was cut into; None if it has not chosen yet."""
        item = self.get(naming.targets_key(run_id, 0))
        return int(item["shards"]) if item else None

    @needs("dynamodb:GetItem")
    def of(self, run_id: str, number: int) -> list[Target]:
        item = self.get(naming.targets_key(run_id, number)) or {"targets": []}
        return [
            Target(
                arn=target["arn"], kind=Kind(target["kind"]), name=target["name"],
                volumes=tuple(target["volumes"]), left_out=tuple(target["left_out"]),
                # What an older version froze has none of these.
                keys=tuple(target.get("keys", ())), script=target.get("script", ""),
                script_timeout=int(target.get("script_timeout", 0)),
            )
            for target in item["targets"]
        ]  # fmt: skip


SHARDS_TOGETHER = 40
"""A shard's targets take up to 80 KB (instances with many volumes); forty stay under a
transaction's 4 MB.
"""


class CoverageTable(Table):
    """How each plan stood after its last night, and which night it started last."""

    @needs("dynamodb:Query")
    def standings(self, capability: str) -> dict[str, Standing]:
        """Per plan, what the sweep needs to know every minute: numbers and times, no findings."""
        items = self.query(
            "pk = :pk AND begins_with(sk, :plans)",
            {":pk": naming.coverage_pk(capability), ":plans": naming.COVERAGE_PLAN},
            ConsistentRead=True,
        )
        return {item["sk"].removeprefix(naming.COVERAGE_PLAN): _standing(item) for item in items}

    @needs("dynamodb:UpdateItem")
    def started(self, capability: str, plan: str, occurrence: datetime) -> None:
        self.update(
            naming.coverage_key(capability, plan),
            UpdateExpression="SET started = :at",
            values={":at": naming.instant(occurrence)},
        )

    @needs("dynamodb:GetItem")
    def told_before(self, capability: str, plan: str, run_id: str) -> set[str]:
        """The resources that people were told of as at risk before this run: by the last report, or
        by the one before it, if the last is this run's own first attempt.
        """
        item = self.get(naming.findings_key(capability, plan)) or {}
        return set(item.get("told_before" if item.get("run") == run_id else "at_risk", ()))

    @needs("dynamodb:PutItem", "dynamodb:UpdateItem")
    def report(
        self,
        capability: str,
        coverage: Coverage,
        run_id: str,
        told_before: Iterable[str],
        now: datetime,
    ) -> None:
        self.put(
            {
                **naming.findings_key(capability, coverage.plan),
                "run": run_id,
                "findings": [_plain(asdict(one)) for one in coverage.findings[:MAX_FINDINGS]],
                "at_risk": [one.resource for one in coverage.at_risk[:MAX_FINDINGS]],
                "told_before": sorted(told_before),
            }
        )
        values = {
            "occurrence": naming.instant(coverage.occurrence),
            "targets": coverage.targets,
            "completed": coverage.completed,
            "failed": coverage.failed,
            "oldest": naming.instant(coverage.oldest) if coverage.oldest else "",
            "unprotected": coverage.unprotected,
            "reported_at": naming.instant(now),
        }
        self.update(
            naming.coverage_key(capability, coverage.plan),
            UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in values),
            values={f":{name}": value for name, value in values.items()},
        )


# ── Stored form of a recovery point ───────────────────────────────────────────────────────────────

_KNOWN = {
    "pk", "sk", "listed_in", "resource", "id", "kind", "created_at", "run", "plan", "place",
    "state", "parts", "completed_at", "tags", "holds", "why", "removed_at", "keys", "manifest",
    "consistency", "keeper", "until", "was", "schema",
}  # fmt: skip
SCHEMA = 1


def to_item(point: RecoveryPoint) -> Item:
    return {
        **point.unknown,
        "pk": naming.point_pk(point.resource),
        "sk": naming.point_sk(point.created_at, point.id),
        "resource": point.resource,
        "id": point.id,
        "kind": point.kind.value,
        "created_at": naming.instant(point.created_at),
        "run": point.run,
        "plan": point.plan,
        "place": asdict(point.place),
        "state": point.state.value,
        "parts": [asdict(part) for part in point.parts],
        "completed_at": naming.instant(point.completed_at) if point.completed_at else None,
        "tags": sorted(point.tags),
        "holds": list(point.holds),
        "why": point.why,
        "removed_at": naming.instant(point.removed_at) if point.removed_at else None,
        "keys": list(point.keys) or None,
        "manifest": point.manifest or None,
        "consistency": point.consistency or None,
        "keeper": point.keeper or None,
        "until": naming.instant(point.until) if point.until else None,
        "was": point.was.value if point.was else None,
        "schema": SCHEMA,
    }


def from_item(item: Mapping[str, Any]) -> RecoveryPoint:
    def at(name: str) -> datetime | None:
        return naming.parse_instant(item[name]) if item.get(name) else None

    return RecoveryPoint(
        resource=item["resource"],
        id=item["id"],
        kind=Kind(item["kind"]),
        created_at=naming.parse_instant(item["created_at"]),
        run=item["run"],
        plan=item["plan"],
        place=Place(**item["place"]),
        state=State(item["state"]),
        parts=tuple(Part(**part) for part in item["parts"]),
        completed_at=at("completed_at"),
        tags=frozenset(item["tags"]),
        holds=tuple(item["holds"]),
        why=item["why"],
        removed_at=at("removed_at"),
        keys=tuple(item.get("keys", ())),
        manifest=item.get("manifest", ""),
        consistency=item.get("consistency", ""),
        keeper=item.get("keeper", ""),
        until=at("until"),
        was=State(item["was"]) if item.get("was") else None,
        unknown={name: value for name, value in item.items() if name not in _KNOWN},
    )


def _standing(item: Mapping[str, Any]) -> Standing:
    def at(name: str) -> datetime | None:
        return naming.parse_instant(item[name]) if item.get(name) else None

    return Standing(at("started"), at("occurrence"), int(item.get("targets", 0)), at("oldest"))


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in record.items()
    }
