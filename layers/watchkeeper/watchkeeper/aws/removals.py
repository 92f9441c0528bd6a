"""What an expiry has decided to remove, frozen beside its run."""

from collections.abc import Sequence
from dataclasses import dataclass

from watchkeeper import naming
from watchkeeper.aws.errors import AlreadyThere
from watchkeeper.aws.iam import needs
from watchkeeper.aws.table import Table
from watchkeeper.backups.model import RecoveryPoint, State

TOGETHER = 400
"""Removals in one item: with an ARN and a sentence each, a third of an item's 400 KB."""


@dataclass(frozen=True)
class Removal:
    """A recovery point that is to go."""

    resource: str
    point: str
    was: State
    """What it was when this was decided; it becomes that again if EC2 refuses."""
    why: str


class RemovalTable(Table):
    @needs("dynamodb:PutItem")
    def freeze(self, run_id: str, removals: Sequence[tuple[RecoveryPoint, str]]) -> None:
        """Store the decision; one that was stored before stands. The first item is written last: it is the proof."""
        lists = [
            removals[start : start + TOGETHER] for start in range(0, len(removals), TOGETHER)
        ] or [[]]
        for number in reversed(range(len(lists))):
            rows = [
                {
                    "resource": point.resource,
                    "point": point.id,
                    "was": point.state.value,
                    "why": why,
                }
                for point, why in lists[number]
            ]
            item = {**naming.targets_key(run_id, number), "total": len(removals), "removals": rows}
            try:
                self.put(item, "" if number else "attribute_not_exists(pk)")
            except AlreadyThere:
                return

    @needs("dynamodb:GetItem")
    def count(self, run_id: str) -> int | None:
        """How many removals the run has frozen; None if it has not decided yet."""
        item = self.get(naming.targets_key(run_id, 0))
        return int(item["total"]) if item else None

    @needs("dynamodb:GetItem")
    def of(self, run_id: str, start: int, most: int) -> list[Removal]:
        """At most `most` removals from the `start`-th on, and none past the end."""
        item = self.get(naming.targets_key(run_id, start // TOGETHER)) or {"removals": []}
        rows = item["removals"][start % TOGETHER :][:most]
        return [
            Removal(row["resource"], row["point"], State(row["was"]), row["why"]) for row in rows
        ]
