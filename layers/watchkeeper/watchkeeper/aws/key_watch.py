"""What people were told of failing keys: one item beside the coverage of the plans."""

from collections.abc import Mapping
from datetime import datetime
from itertools import islice

from watchkeeper import naming
from watchkeeper.aws.iam import needs
from watchkeeper.aws.table import Table

MOST_REMEMBERED = 1500
"""Keys and states, each with the run that tells of it, take about 150 bytes: together half of an
item's 400 KB. What does not fit is told again.
"""


class KeyWatchTable(Table):
    @needs("dynamodb:GetItem")
    def told(self, capability: str) -> tuple[dict[str, str], int]:
        """Per key and state, the run that tells of it; and the version that `remember` asks for."""
        item = self.get(naming.keys_key(capability)) or {}
        return item.get("told", {}), item.get("version", 0)

    @needs("dynamodb:PutItem")
    def remember(
        self, capability: str, told: Mapping[str, str], version: int, now: datetime
    ) -> None:
        """Raises AlreadyThere if somebody else has remembered since this version was read."""
        item = {
            **naming.keys_key(capability),
            "told": dict(islice(told.items(), MOST_REMEMBERED)),
            "version": version + 1,
            "checked_at": naming.instant(now),
        }
        condition = "attribute_not_exists(pk) OR version = :version"
        self.put(item, condition, {":version": version})
