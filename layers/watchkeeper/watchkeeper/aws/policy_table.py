"""What is kept of each capability's policy: the table's policy items."""

from datetime import datetime

from watchkeeper import naming
from watchkeeper.aws.iam import needs
from watchkeeper.aws.table import Item, Table


class PolicyTable(Table):
    """The last good copy of each policy."""

    @needs("dynamodb:GetItem")
    def last_good(self, capability: str) -> Item | None:
        """`text` (absent for the default), `digest`, and `since`: when the first policy came into
        force.
        """
        return self.get(naming.policy_key(capability))

    @needs("dynamodb:PutItem")
    def accept(
        self, capability: str, text: str | None, digest: str, since: datetime, previous: str | None
    ) -> None:
        """`previous` is kept because deleting a parameter deletes its history, too."""
        item = {"text": text, "digest": digest, "since": naming.instant(since)}
        self.put({**naming.policy_key(capability), **item, "previous": previous})
