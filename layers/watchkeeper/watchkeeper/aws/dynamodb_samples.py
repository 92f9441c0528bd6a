"""DynamoDB: a look at a table that is about to be backed up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

from watchkeeper import naming
from watchkeeper.aws.client import client
from watchkeeper.aws.dynamodb_backups import key_names
from watchkeeper.aws.errors import translated
from watchkeeper.aws.iam import needs
from watchkeeper.backups.sample import Item


@dataclass(frozen=True)
class Measured:
    """A table as DynamoDB shows it; its figures are up to six hours old."""

    keys: tuple[str, ...]
    """The names of the attributes that make up its key."""
    count: int
    """Items."""
    size: int
    """Bytes."""


@dataclass(frozen=True)
class Looked:
    """The first items of a table."""

    items: Sequence[Item]
    is_whole: bool
    """There are no others."""
    at: datetime | None
    """By DynamoDB's clock, which the times of backups are of, too; None if it does not say."""


class TableSampler:
    """Reads some items of a table that is in use; it can write nothing."""

    @cached_property
    def client(self) -> Any:
        return client("dynamodb")

    @needs("dynamodb:DescribeTable")
    def measured(self, arn: str) -> Measured:
        """Raises NotThere."""
        with translated("dynamodb:DescribeTable"):
            table = self.client.describe_table(TableName=naming.table_name(arn))["Table"]
        return Measured(key_names(table), table["ItemCount"], table["TableSizeBytes"])

    @needs("dynamodb:Scan", "kms:Decrypt")
    def first(self, arn: str, most: int) -> Looked:
        """At most so many items. Eventually consistent, which takes half of the capacity: what is a
        second old differs from the next look, and is left out.
        """
        with translated("dynamodb:Scan"):
            answer = self.client.scan(TableName=naming.table_name(arn), Limit=most)
        at = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        return Looked(
            items=answer["Items"],
            is_whole="LastEvaluatedKey" not in answer,
            at=parsedate_to_datetime(at) if at else None,
        )
