"""DynamoDB: restoring a table for a drill, looking at what was restored, taking it down.

One class per right, so that a function composed of them needs exactly the actions that they name.
No restore takes tags: until a table is active its name alone says whose it is.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from watchkeeper import naming
from watchkeeper.aws.client import client
from watchkeeper.aws.dynamodb_backups import key_names, key_of, shape
from watchkeeper.aws.errors import AlreadyThere, NotThere, Refused, translated
from watchkeeper.aws.iam import needs
from watchkeeper.aws.restores_rds import check_is_drill
from watchkeeper.backups.sample import Item

PAGE = 100
"""The most that ListTables gives a page."""
ON_DEMAND = "PAY_PER_REQUEST"
"""A drill reads a table once: the capacity that its original has provisioned is not paid twice."""
DELETING = "DELETING"
LATER = {
    "LimitExceededException": "DynamoDB to finish other changes to this account's tables",
    "ResourceInUseException": "DynamoDB to finish creating or changing it",
}
"""Answers to a change of a table that pass by themselves, and what has to pass."""

Tags = Mapping[str, str]


@dataclass(frozen=True)
class RestoredTable:
    """A table that a drill made."""

    name: str
    arn: str
    state: str
    """In the words of DynamoDB: `CREATING`, `ACTIVE`, `DELETING`."""
    keys: tuple[str, ...]
    """The names of the attributes that make up its key."""
    source: str
    """The ARN of the backup, or of the table, that it was restored from."""
    is_protected: bool
    is_restoring: bool = False
    size: int = 0
    """Bytes; up to six hours old, and nothing for the first six."""
    key: str = ""
    """The ARN of its KMS key; empty if DynamoDB uses one of its own."""
    stream: Mapping[str, object] = field(default_factory=dict)
    """Its StreamSpecification, as in a manifest; empty if it has none."""
    shape: Mapping[str, object] = field(default_factory=dict)
    """As in a manifest: `dynamodb_backups.shape`."""


@dataclass(frozen=True)
class Page:
    """Some items of a table, as one call reads them."""

    items: Sequence[Item]
    next: Item
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

    @needs("dynamodb:DescribeTimeToLive")
    def time_to_live(self, name: str) -> dict[str, str]:
        """As in a manifest."""
        with translated("dynamodb:DescribeTimeToLive"):
            answer = self.client.describe_time_to_live(TableName=name)
        return dict(answer["TimeToLiveDescription"])

    @needs("dynamodb:Scan", "kms:Decrypt")
    def page(self, name: str, segment: int = 0, of: int = 1, after: Item | None = None) -> Page:
        """At most 1 MB of the items of a segment: one of so many parts of the values of the
        partition key, which are none too equal. Raises NotThere until the table is active.
        """
        check_is_drill("dynamodb:Scan", name)
        start = {"ExclusiveStartKey": after} if after else {}
        with translated("dynamodb:Scan"):
            answer = self.client.scan(
                TableName=name, ConsistentRead=True, Segment=segment, TotalSegments=of, **start
            )
        return Page(answer["Items"], answer.get("LastEvaluatedKey", {}))


class TableSettler(_DynamoDb):
    """Gives tables that drills have restored back what a restore loses; it can neither make nor
    delete one.
    """

    @needs("dynamodb:UpdateTable")
    def stream(self, restored: RestoredTable, view: str) -> None:
        """Switch a stream on, `view` being a StreamViewType. Raises Refused if it has one."""
        call = "dynamodb:UpdateTable"
        check_is_drill(call, restored.name)
        wanted = {"StreamEnabled": True, "StreamViewType": view}
        with translated(call):
            self.client.update_table(TableName=restored.name, StreamSpecification=wanted)

    @needs("dynamodb:UpdateTimeToLive")
    def time_to_live(self, restored: RestoredTable, attribute: str) -> None:
        """From now on DynamoDB deletes what has expired. Raises Refused if it does already."""
        call = "dynamodb:UpdateTimeToLive"
        check_is_drill(call, restored.name)
        wanted = {"Enabled": True, "AttributeName": attribute}
        with translated(call):
            self.client.update_time_to_live(TableName=restored.name, TimeToLiveSpecification=wanted)


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
            if error.code not in LATER:
                raise
            return LATER[error.code]
        return ""


# ── Shapes ────────────────────────────────────────────────────────────────────────────────────────


def _table(found: Mapping[str, Any]) -> RestoredTable:
    summary = found.get("RestoreSummary", {})
    return RestoredTable(
        name=found["TableName"],
        arn=found["TableArn"],
        state=found["TableStatus"],
        keys=key_names(found),
        source=summary.get("SourceBackupArn") or summary.get("SourceTableArn", ""),
        is_protected=found.get("DeletionProtectionEnabled", False),
        is_restoring=summary.get("RestoreInProgress", False),
        size=found.get("TableSizeBytes", 0),
        key=key_of(found),
        stream=found.get("StreamSpecification", {}),
        shape=shape(found),
    )
