"""What an expiry has decided to remove, frozen beside its run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

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
    created_at: datetime
    was: State
    """What it was when this was decided; it becomes that again if EC2 refuses."""
    why: str

    def is_of(self, point: RecoveryPoint) -> bool:
        """Ids alone do not do: the trace of one never made has the id of one that was made late."""
        return (point.id, point.created_at) == (self.point, self.created_at)


class RemovalTable(Table):
    @needs("dynamodb:PutItem")
    def freeze(self, run_id: str, removals: Sequence[Removal], facts: Mapping[str, str]) -> None:
        """Store the decision and what is to be said of it; one that was stored before stands.

        The first item is written last: it is the proof that all are there.
        """
        lists = [
            removals[start : start + TOGETHER] for start in range(0, len(removals), TOGETHER)
        ] or [[]]
        for number in reversed(range(len(lists))):
            item = {
                **naming.targets_key(run_id, number),
                "facts": dict(facts),
                "removals": [_row(removal) for removal in lists[number]],
            }
            try:
                self.put(item, "" if number else "attribute_not_exists(pk)")
            except AlreadyThere:
                return

    @needs("dynamodb:GetItem")
    def decided(self, run_id: str) -> Mapping[str, str] | None:
        """The facts of the run's decision; None if it has not decided yet."""
        item = self.get(naming.targets_key(run_id, 0))
        return dict(item["facts"]) if item else None

    @needs("dynamodb:GetItem")
    def of(self, run_id: str, start: int, most: int) -> list[Removal]:
        """At most `most` removals from the `start`-th on, and none past the end."""
        item = self.get(naming.targets_key(run_id, start // TOGETHER)) or {"removals": []}
        return [_removal(row) for row in item["removals"][start % TOGETHER :][:most]]


def _row(removal: Removal) -> dict[str, str]:
    return {
        "resource": removal.resource,
        "point": removal.point,
        "created_at": naming.instant(removal.created_at),
        "was": removal.was.value,
        "why": removal.why,
    }


def _removal(row: Mapping[str, str]) -> Removal:
    created_at = naming.parse_instant(row["created_at"])
    return Removal(row["resource"], row["point"], created_at, State(row["was"]), row["why"])
