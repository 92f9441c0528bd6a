"""DynamoDB: restoring a table for a drill, looking at what was restored, taking it down.

One class per right, so that a function composed of them needs exactly the actions that they name.
No restore takes tags: until a table is active its name alone says whose it is.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from watchkeeper import naming
from watchkeeper.aws.client import client
from watchkeeper.aws.errors import AlreadyThere, NotThere, Refused, translated
from watchkeeper.aws.iam import needs
from watchkeeper.aws.restores_rds import check_is_drill

PAGE = 100
"""The most that ListTables gives a page."""
ON_DEMAND = "PAY_PER_REQUEST"
"""A drill reads a table once: the capacity that its original has provisioned is not paid twice."""
DELETING = "DELETING"

Tags = Mapping[str, str]
Attributes = Mapping[str, Mapping[str, Any]]
"""Of an item, each with the letter of its type, as DynamoDB has them."""


@dataclass(frozen=True)
class RestoredTable:
    """A table that a drill made."""

    name: str
    arn: str
    state: str
    """In the words of DynamoDB: `CREATING`, `ACTIVE`, `DELETING`."""
    created_at: datetime
    keys: tuple[str, ...]
    """The names of the attributes that make up its key."""
    source: str
    """The ARN of the backup, or of the table, that it was restored from."""
    is_protected: bool


@dataclass(frozen=True)
class Page:
    """Some items of a table, as one call reads them."""

    items: Sequence[Attributes]
    next: Attributes
    """Where the next page begins; empty if there is none."""


class _DynamoDb:
    @cached_property
    def client(self) -> Any:
        return client("dynamodb")


class TableRestorer(_DynamoDb):
    """Makes tables from backups, and tags them; it can delete none.

    We choose the names, so what is there already is an earlier attempt's, and success. DynamoDB
    writes the items in the name of whoever asks for the restore:
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/backuprestore_IAM.html
    """

    @needs(
        "dynamodb:RestoreTableFromBackup", "dynamodb:BatchWriteItem", "dynamodb:DeleteItem",
        "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:Scan",
        "dynamodb:UpdateItem", "kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey",
    )  # fmt: skip
    def restore(self, name: str, backup: str) -> None:
        """Raises NotThere without the backup; OverQuota while fifty restores are under way, and
        Refused (`BackupInUseException`) while the backup is still being made.
        """
        call = "dynamodb:RestoreTableFromBackup"
        check_is_drill(call, name)
        try:
            with translated(call):
                self.client.restore_table_from_backup(
                    TargetTableName=name, BackupArn=backup, BillingModeOverride=ON_DEMAND
                )
        except AlreadyThere:
            return
        except Refused as error:
            # The name of a table that is being created, in DynamoDB's other words for it.
            if error.code != "TableInUseException":
                raise

    @needs("dynamodb:TagResource")
    def tag(self, restored: RestoredTable, tags: Tags) -> None:
        """Of an active table; again and again to the same effect."""
        call = "dynamodb:TagResource"
        check_is_drill(call, restored.name)
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        with translated(call):
            self.client.tag_resource(ResourceArn=restored.arn, Tags=listed)


class RestoredTables(_DynamoDb):
    """Looks at what drills have restored, and reads it."""

    @needs("dynamodb:DescribeTable")
    def one(self, name: str) -> RestoredTable:
        """Raises NotThere."""
        with translated("dynamodb:DescribeTable"):
            return _table(self.client.describe_table(TableName=name)["Table"])

    @needs("dynamodb:ListTables", "dynamodb:DescribeTable")
    def all(self) -> list[RestoredTable]:
        """Everything in this Region that has a drill's name, whichever stack made it."""
        found = []
        for name in self._names():
            try:
                found.append(self.one(name))
            except NotThere:  # gone since it was listed
                continue
        return found

    def _names(self) -> Iterator[str]:
        """From the list of all tables: DynamoDB promises no order in it."""
        pages = self.client.get_paginator("list_tables").paginate(
            PaginationConfig={"PageSize": PAGE}
        )
        with translated("dynamodb:ListTables"):
            for page in pages:
                yield from filter(naming.is_drill, page["TableNames"])

    @needs("dynamodb:ListTagsOfResource")
    def tags(self, restored: RestoredTable) -> dict[str, str]:
        pages = self.client.get_paginator("list_tags_of_resource").paginate(
            ResourceArn=restored.arn
        )
        with translated("dynamodb:ListTagsOfResource"):
            return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}

    @needs("dynamodb:Scan")
    def page(self, name: str, after: Attributes | None = None) -> Page:
        """At most 1 MB of items, in an order that is the same for the same items. The only count
        there is: ItemCount is six hours old. Raises NotThere until the table is active.
        """
        check_is_drill("dynamodb:Scan", name)
        start = {"ExclusiveStartKey": after} if after else {}
        with translated("dynamodb:Scan"):
            answer = self.client.scan(TableName=name, ConsistentRead=True, **start)
        return Page(answer["Items"], answer.get("LastEvaluatedKey", {}))

    @needs("dynamodb:GetItem")
    def item(self, name: str, key: Attributes) -> Attributes | None:
        """None if there is none."""
        check_is_drill("dynamodb:GetItem", name)
        with translated("dynamodb:GetItem"):
            answer = self.client.get_item(TableName=name, Key=key, ConsistentRead=True)
        found: Attributes | None = answer.get("Item")
        return found


class TableDismantler(_DynamoDb):
    """Deletes what drills have restored, and nothing else; it can make none."""

    @needs("dynamodb:DeleteTable", "dynamodb:UpdateTable")
    def delete(self, restored: RestoredTable) -> str:
        """What has to pass first; empty if it is being deleted, or gone. Raises Refused of what has
        no drill's name.
        """
        call = "dynamodb:DeleteTable"
        check_is_drill(call, restored.name)
        if restored.state == DELETING:
            return ""
        try:
            if restored.is_protected:
                with translated("dynamodb:UpdateTable"):
                    self.client.update_table(
                        TableName=restored.name, DeletionProtectionEnabled=False
                    )
            with translated(call):
                self.client.delete_table(TableName=restored.name)
        except NotThere:
            return ""
        except Refused as error:
            if error.code != "ResourceInUseException":
                raise
            return "DynamoDB to finish creating or changing it"
        return ""


# ── Shapes ────────────────────────────────────────────────────────────────────────────────────────


def _table(found: Mapping[str, Any]) -> RestoredTable:
    summary = found.get("RestoreSummary", {})
    return RestoredTable(
        name=found["TableName"],
        arn=found["TableArn"],
        state=found["TableStatus"],
        created_at=found["CreationDateTime"],
        keys=tuple(key["AttributeName"] for key in found["KeySchema"]),
        source=summary.get("SourceBackupArn") or summary.get("SourceTableArn", ""),
        is_protected=found.get("DeletionProtectionEnabled", False),
    )
