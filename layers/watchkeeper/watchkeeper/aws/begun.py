"""The drills that were begun: what the budget counts, and which recovery points are in use."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal

from watchkeeper import naming
from watchkeeper.aws.errors import AlreadyThere
from watchkeeper.aws.iam import needs
from watchkeeper.aws.table import Table
from watchkeeper.drills.model import Begun, Level

KEPT = timedelta(days=60)
"""The budget looks back thirty days; twice that shows a person what it has seen."""


class BegunTable(Table):
    def __init__(self, name: str, stack: str) -> None:
        super().__init__(name)
        self.pk = naming.drills_pk(stack)

    @needs("dynamodb:PutItem")
    def begin(self, one: Begun) -> None:
        """Enter it; entered before, it stays as it is, and may have ended since."""
        item = {
            "pk": self.pk,
            "sk": naming.begun_sk(one.begun_at, one.run),
            "run": one.run,
            "resource": one.resource,
            "point": one.point,
            "level": one.level.value,
            "begun_at": naming.instant(one.begun_at),
            "usd": Decimal(str(one.usd)),
            "ended": None if one.is_running else True,
            "expires_at": int((one.begun_at + KEPT).timestamp()),
        }
        with suppress(AlreadyThere):
            self.put(item, "attribute_not_exists(pk)")

    @needs("dynamodb:UpdateItem")
    def end(self, run_id: str, begun_at: datetime) -> None:
        """Of one whose record has expired meanwhile, nothing is left to say."""
        with suppress(AlreadyThere):
            self.update(
                {"pk": self.pk, "sk": naming.begun_sk(begun_at, run_id)},
                UpdateExpression="SET ended = :yes",
                ConditionExpression="attribute_exists(pk)",
                values={":yes": True},
            )

    @needs("dynamodb:Query")
    def since(self, at: datetime) -> Iterator[Begun]:
        """Those begun since then, the oldest first."""
        values = {":pk": self.pk, ":at": naming.instant(at)}
        for item in self.query("pk = :pk AND sk >= :at", values, ConsistentRead=True):
            yield Begun(
                run=item["run"],
                resource=item["resource"],
                point=item["point"],
                level=Level(item["level"]),
                begun_at=naming.parse_instant(item["begun_at"]),
                usd=float(item["usd"]),
                is_running="ended" not in item,
            )
