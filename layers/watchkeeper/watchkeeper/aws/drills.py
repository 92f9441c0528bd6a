"""What a round of drills has chosen, frozen beside its run."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from watchkeeper import naming
from watchkeeper.aws.errors import AlreadyThere
from watchkeeper.aws.iam import needs
from watchkeeper.aws.table import Table
from watchkeeper.drills.due import READING
from watchkeeper.drills.model import Level, SignOff

TOGETHER = 400
"""Drills in one item: with two ARNs and a sentence each, half of an item's 400 KB."""


@dataclass(frozen=True)
class Planned:
    """A drill of a round; with nothing to drill, it has failed before it began."""

    resource: str
    name: str
    plan: str
    level: Level
    why: str
    """Why it was chosen, or why there is nothing to drill."""
    point: str = ""
    """The recovery point's id; empty if there is none."""
    others: bool = False
    """Whether somebody else keeps it."""
    cost: str = "0"
    """USD, as estimated."""
    protected: bool = True
    """Whether a plan takes recovery points of it now."""

    @property
    def is_restore(self) -> bool:
        """Whether it becomes a run of its own; what has no point has failed already."""
        return bool(self.point) and self.level not in READING


class DrillTable(Table):
    @needs("dynamodb:PutItem")
    def freeze(self, run_id: str, drills: Sequence[Planned], facts: Mapping[str, str]) -> None:
        """Store the choice and what is to be said of it; one that was stored before stands.

        The first item is written last: it is the proof that all are there.
        """
        lists = [drills[start : start + TOGETHER] for start in range(0, len(drills), TOGETHER)]
        for number in reversed(range(max(1, len(lists)))):
            item = {
                **naming.targets_key(run_id, number),
                "facts": dict(facts),
                "drills": [_row(one) for one in (lists[number] if lists else ())],
            }
            try:
                self.put(item, "" if number else "attribute_not_exists(pk)")
            except AlreadyThere:
                return

    @needs("dynamodb:GetItem")
    def decided(self, run_id: str) -> Mapping[str, str] | None:
        """The facts of the run's choice; None if it has not chosen yet."""
        item = self.get(naming.targets_key(run_id, 0))
        return dict(item["facts"]) if item else None

    @needs("dynamodb:GetItem")
    def all(self, run_id: str) -> list[Planned]:
        """Every drill of a run, in the order of its choice."""
        found: list[Planned] = []
        number = 0
        while item := self.get(naming.targets_key(run_id, number)):
            found += map(_planned, item["drills"])
            number += 1
        return found

    @needs("dynamodb:GetItem")
    def of(self, run_id: str, start: int, most: int) -> list[Planned]:
        """At most `most` drills from the `start`-th on, and none past the end."""
        item = self.get(naming.targets_key(run_id, start // TOGETHER)) or {"drills": []}
        return [_planned(row) for row in item["drills"][start % TOGETHER :][:most]]

    @needs("dynamodb:PutItem")
    def sign(self, run_id: str, signed: SignOff) -> None:
        """The first one stands."""
        item = {
            **naming.sign_off_key(run_id),
            "by": signed.by,
            "passed": signed.passed,
            "note": signed.note,
            "at": naming.instant(signed.at),
        }
        with suppress(AlreadyThere):
            self.put(item, "attribute_not_exists(pk)")

    @needs("dynamodb:GetItem")
    def signed(self, run_id: str) -> SignOff | None:
        item = self.get(naming.sign_off_key(run_id))
        if item is None:
            return None
        return SignOff(item["by"], item["passed"], item["note"], naming.parse_instant(item["at"]))


def _row(one: Planned) -> dict[str, Any]:
    return {**vars(one), "level": one.level.value}


def _planned(row: Mapping[str, Any]) -> Planned:
    return Planned(
        resource=row["resource"], name=row["name"], plan=row["plan"], level=Level(row["level"]),
        why=row["why"], point=row["point"], others=row["others"], cost=row["cost"],
        protected=row["protected"],
    )  # fmt: skip
