"""Somebody else's recovery points in the table: apart from ours, so that what removes never sees
them.
"""

from collections.abc import Iterable, Iterator
from datetime import timedelta

from watchkeeper import naming
from watchkeeper.aws.catalogue import from_item, to_item
from watchkeeper.aws.iam import needs
from watchkeeper.aws.table import TRANSACTION_ITEMS, Item, Table
from watchkeeper.backups.model import RecoveryPoint

"""A resource has one span, and it moves: its record is written over each time."""
REMEMBERED = timedelta(days=400)
"""How long the record of what is gone stays. It is its keeper's to account for, not ours; but an
audit of a year asks what a resource could have been restored from, and comes some weeks after it.
"""


class OtherPoints(Table):
    """Recovery points of other keepers, and the spans of point-in-time recovery."""

    def __init__(self, name: str, stack: str) -> None:
        super().__init__(name)
        self.listing = naming.others_listing_key(stack)

    @needs("dynamodb:Query")
    def listed(self) -> Iterator[RecoveryPoint]:
        """Those that were there when last looked for. The index lags by about a second."""
        for item in self.query(
            "listed_in = :listing", {":listing": self.listing}, IndexName="listing"
        ):
            yield from_item(item)

    @needs("dynamodb:Query")
    def of(self, resource: str) -> list[RecoveryPoint]:
        """Those of a resource, gone ones too, oldest first; read consistently."""
        items = self.query("pk = :pk", {":pk": naming.others_pk(resource)}, ConsistentRead=True)
        return [from_item(item) for item in items]

    @needs("dynamodb:PutItem")
    def save(self, points: Iterable[RecoveryPoint]) -> None:
        """Store them as they are now, whatever was known; removed ones leave the listing."""
        left = [self._item(point) for point in points]
        while left:
            batch, left = left[:TRANSACTION_ITEMS], left[TRANSACTION_ITEMS:]
            self.put_together(batch)

    def _item(self, point: RecoveryPoint) -> Item:
        item = to_item(point)
        item["pk"] = naming.others_pk(point.resource)
        if point.until:
            item["sk"] = naming.SPAN_SK
        if point.removed_at:
            item["expires_at"] = int((point.removed_at + REMEMBERED).timestamp())
        else:
            item["listed_in"] = self.listing
        return item
