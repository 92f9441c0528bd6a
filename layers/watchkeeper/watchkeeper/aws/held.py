"""Which recovery points drills are restoring, for who removes recovery points: it may only look."""

from watchkeeper import naming
from watchkeeper.aws.iam import needs
from watchkeeper.aws.table import Table


class HeldPoints(Table):
    """Written by drills, as they begin and end: `watchkeeper.aws.begun`."""

    def __init__(self, name: str, stack: str) -> None:
        super().__init__(name)
        self.pk = naming.drills_pk(stack)

    @needs("dynamodb:Query")
    def now(self) -> frozenset[str]:
        """The ids of the recovery points."""
        running = self.query(
            "pk = :pk",
            {":pk": self.pk},
            FilterExpression="attribute_not_exists(ended)",
            ConsistentRead=True,
        )
        return frozenset(item["point"] for item in running)
