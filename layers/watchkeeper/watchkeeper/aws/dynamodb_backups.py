"""DynamoDB: what tables there are, backing them up, looking at the backups, deleting them.

One class per right, so that a function composed of them needs exactly the actions that they name.
Backups have neither tags nor client tokens: what they are of is told by their names alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

from watchkeeper import naming
from watchkeeper.aws.client import ONCE, client
from watchkeeper.aws.errors import Denied, NotThere, Refused, translated
from watchkeeper.aws.iam import needs
from watchkeeper.backups.model import Kind, Resource, Snapshot, Span, Unread
from watchkeeper.quoting import quoted

PAGE = 100
"""The most that ListTables, ListBackups and GetResources give a page."""
GIB = 2**30
STATES = {"CREATING": "pending", "AVAILABLE": "completed"}
"""In the words of EBS. A deleted backup is described for a while; it is not shown at all."""


class _DynamoDb:
    @cached_property
    def client(self) -> Any:
        return client("dynamodb")

    def _described(self, arn: str) -> dict[str, Any]:
        with translated("dynamodb:DescribeTable"):
            answer = self.client.describe_table(TableName=naming.table_name(arn))
        table: dict[str, Any] = answer["Table"]
        return table

    def _recovery(self, arn: str) -> dict[str, Any]:
        """What DynamoDB says of a table's point-in-time recovery."""
        with translated("dynamodb:DescribeContinuousBackups"):
            answer = self.client.describe_continuous_backups(TableName=naming.table_name(arn))
        described = answer["ContinuousBackupsDescription"]
        recovery: dict[str, Any] = described.get("PointInTimeRecoveryDescription", {})
        return recovery


class Tables(_DynamoDb):
    """What could be backed up. A replica of a global table is a table like any other: what is
    deleted from one is deleted from all, so a replica is no backup of another.
    """

    def __init__(self, place: tuple[str, str, str], own: str) -> None:
        self.place = place
        """Partition, Region and account, for ARNs."""
        self.own = own
        """The name of this stack's own table, which is not shown. Its template protects it by
        point-in-time recovery; a recovery point of it would bring back leases and runs of that
        night, and what it knows of recovery points is rebuilt from the account.
        """

    @cached_property
    def tagging(self) -> Any:
        return client("resourcegroupstaggingapi")

    @needs("dynamodb:ListTables", "dynamodb:DescribeTable", "tag:GetResources")
    def tables(self) -> list[Resource]:
        """One call per table: only DescribeTable shows its key, and whether it is being deleted. A
        table whose own policy denies us that is shown as `unknown`, so that it stops no other.
        """
        tags = self._tags()
        found = (self._table(name, tags) for name in self._names() if name != self.own)
        return [table for table in found if table and table.state != "DELETING"]

    @needs("dynamodb:DescribeContinuousBackups")
    def spans(self, arns: Iterable[str]) -> dict[str, Span | Unread | None]:
        """Per table that exists, what point-in-time recovery can restore; None if nothing. A table
        whose own policy denies us that answers for itself alone.
        """
        spans: dict[str, Span | Unread | None] = {}
        for arn in arns:
            try:
                recovery = self._recovery(arn)
            except NotThere:
                continue
            except Refused as error:
                spans[arn] = Unread(error.quoted)
                continue
            earliest = recovery.get("EarliestRestorableDateTime")
            latest = recovery.get("LatestRestorableDateTime")
            spans[arn] = Span(earliest, latest) if earliest and latest else None
        return spans

    def _names(self) -> Iterator[str]:
        pages = self.client.get_paginator("list_tables").paginate(
            PaginationConfig={"PageSize": PAGE}
        )
        with translated("dynamodb:ListTables"):
            for page in pages:
                yield from page["TableNames"]

    def _tags(self) -> dict[str, dict[str, str]]:
        """Of all tables at once; those that never had one are not among them."""
        pages = self.tagging.get_paginator("get_resources").paginate(
            ResourceTypeFilters=["dynamodb:table"], ResourcesPerPage=PAGE
        )
        with translated("tag:GetResources"):
            return {
                found["ResourceARN"]: _tags(found["Tags"])
                for page in pages
                for found in page["ResourceTagMappingList"]
            }

    def _table(self, name: str, tags: Mapping[str, Mapping[str, str]]) -> Resource | None:
        arn = naming.table_arn(self.place, name)
        try:
            found = self._described(arn)
        except NotThere:  # deleted since it was listed
            return None
        except Denied:
            found = {"TableStatus": "unknown"}
        return Resource(
            arn=arn,
            kind=Kind.TABLE,
            type="DynamoDB table",
            name=name,
            tags=tags.get(arn, {}),
            state=found["TableStatus"],
            key=key_of(found),
        )


class TableSettings(_DynamoDb):
    """Reads what a table has and a table restored from its backup has not; and its shape, which a
    restored table must have.

    DynamoDB's list, and the table class, which it mentions elsewhere:
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CreateBackup.html
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Restore.Tutorial.html
    Not read, because they are not the table's own: IAM policies, alarms, Contributor Insights.
    """

    @cached_property
    def scaling(self) -> Any:
        return client("application-autoscaling")

    @needs(
        "dynamodb:DescribeTable",
        "dynamodb:DescribeTimeToLive",
        "dynamodb:ListTagsOfResource",
        "dynamodb:DescribeContinuousBackups",
        "dynamodb:DescribeKinesisStreamingDestination",
        "dynamodb:GetResourcePolicy",
        "application-autoscaling:DescribeScalableTargets",
        "application-autoscaling:DescribeScalingPolicies",
        "application-autoscaling:DescribeScheduledActions",
    )
    def read(self, arn: str) -> tuple[str, dict[str, object]]:
        """The ARN of the KMS key of a table, if any, and its settings, each in its API's words.

        Every setting is there, however empty. Raises NotThere if the table is gone.
        """
        table = self._described(arn)
        recovery = self._recovery(arn)
        return key_of(table), {
            "deletion_protection": table.get("DeletionProtectionEnabled", False),
            "kinesis_destinations": self._kinesis_destinations(arn),
            "point_in_time_recovery": {
                name: recovery[name]
                for name in ("PointInTimeRecoveryStatus", "RecoveryPeriodInDays")
                if name in recovery
            },
            "replica_regions": [replica["RegionName"] for replica in table.get("Replicas", [])],
            "resource_policy": self._resource_policy(arn),
            "scaling": self._scaling(table),
            "stream": table.get("StreamSpecification", {}),
            "table_class": table.get("TableClassSummary", {}).get("TableClass", "STANDARD"),
            "tags": self._tags(arn),
            "time_to_live": self._time_to_live(arn),
            **shape(table),
        }

    def _kinesis_destinations(self, arn: str) -> list[dict[str, Any]]:
        with translated("dynamodb:DescribeKinesisStreamingDestination"):
            answer = self.client.describe_kinesis_streaming_destination(
                TableName=naming.table_name(arn)
            )
        return list(answer.get("KinesisDataStreamDestinations", []))

    def _resource_policy(self, arn: str) -> str:
        try:
            with translated("dynamodb:GetResourcePolicy"):
                return str(self.client.get_resource_policy(ResourceArn=arn)["Policy"])
        except NotThere as error:
            if error.code != "PolicyNotFoundException":  # the table itself is gone
                raise
            return ""

    def _scaling(self, table: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
        """What Application Auto Scaling does to the capacity of a table and its indexes."""
        whole = f"table/{table['TableName']}"
        indexes = (index["IndexName"] for index in table.get("GlobalSecondaryIndexes", []))
        ids = [whole, *(f"{whole}/index/{name}" for name in indexes)]
        targets = self._scaled("describe_scalable_targets", "ScalableTargets", ResourceIds=ids)
        scaled = sorted({target["ResourceId"] for target in targets})
        return {
            "targets": targets,
            "policies": [
                policy
                for one in scaled
                for policy in self._scaled(
                    "describe_scaling_policies", "ScalingPolicies", ResourceId=one
                )
            ],
            "scheduled_actions": [
                action
                for one in scaled
                for action in self._scaled(
                    "describe_scheduled_actions", "ScheduledActions", ResourceId=one
                )
            ],
        }

    def _scaled(self, operation: str, key: str, **arguments: Any) -> list[dict[str, Any]]:
        pages = self.scaling.get_paginator(operation).paginate(
            ServiceNamespace="dynamodb", **arguments
        )
        call = "".join(word.title() for word in operation.split("_"))
        with translated(f"application-autoscaling:{call}"):
            return [found for page in pages for found in page[key]]

    def _tags(self, arn: str) -> dict[str, str]:
        pages = self.client.get_paginator("list_tags_of_resource").paginate(ResourceArn=arn)
        with translated("dynamodb:ListTagsOfResource"):
            return _tags(tag for page in pages for tag in page["Tags"])

    def _time_to_live(self, arn: str) -> dict[str, str]:
        with translated("dynamodb:DescribeTimeToLive"):
            answer = self.client.describe_time_to_live(TableName=naming.table_name(arn))
        return dict(answer["TimeToLiveDescription"])


class TableBackupTaker:
    """Makes backups; it can remove none."""

    @cached_property
    def once(self) -> Any:
        """A client that never repeats a call by itself: CreateBackup knows no client token, and a
        name may be used twice.
        """
        return client("dynamodb", ONCE)

    @needs("dynamodb:CreateBackup", "kms:Decrypt", "kms:GenerateDataKey")
    def take(self, arn: str, name: str) -> None:
        """Start a backup of a table. Any error but Unclear means that none was made.

        DynamoDB uses the table's key, if it has one of its owner's, in our name.
        """
        with translated("dynamodb:CreateBackup"):
            self.once.create_backup(TableName=naming.table_name(arn), BackupName=name)


class TableBackups(_DynamoDb):
    """Lists our own backups."""

    def __init__(self, stack: str) -> None:
        self.stack = stack

    @needs("dynamodb:ListBackups")
    def made_since(self, at: datetime | None) -> list[Snapshot]:
        """Those of this stack that DynamoDB lists already; of all time if `at` is None."""
        bound = {} if at is None else {"TimeRangeLowerBound": at}
        pages = self.client.get_paginator("list_backups").paginate(
            BackupType="USER", **bound, PaginationConfig={"PageSize": PAGE}
        )
        with translated("dynamodb:ListBackups"):
            found = [backup for page in pages for backup in page["BackupSummaries"]]
        shown = [_snapshot(one, self.stack) for one in found if one["BackupStatus"] in STATES]
        return [one for one in shown if one.tags]


class TableBackup(_DynamoDb):
    """Looks at single backups."""

    def __init__(self, stack: str) -> None:
        self.stack = stack

    @needs("dynamodb:DescribeBackup")
    def named(self, arns: Iterable[str]) -> list[Snapshot]:
        """Those of `arns` that exist; what is not named as ours is has no tags."""
        found = [self._backup(arn) for arn in arns]
        return [_snapshot(one, self.stack) for one in found if one]

    def _backup(self, arn: str) -> dict[str, Any] | None:
        """A backup in the shape in which ListBackups has it; None if there is none (any more)."""
        try:
            with translated("dynamodb:DescribeBackup"):
                answer = self.client.describe_backup(BackupArn=arn)
        except NotThere:
            return None
        described = answer["BackupDescription"]
        table = described["SourceTableDetails"]["TableArn"]
        backup: dict[str, Any] = {**described["BackupDetails"], "TableArn": table}
        return backup if backup["BackupStatus"] in STATES else None


class TableBackupRemover(TableBackup):
    """Removes our own backups; it can make none."""

    @needs("dynamodb:DescribeBackup", "dynamodb:DeleteBackup")
    def delete(self, arn: str) -> None:
        """Raises NotThere if it is gone already; Refused if it is not named as ours, which no
        policy can ask of a backup, or is in use (`BackupInUseException`): being restored, for one.
        """
        call, backup = "dynamodb:DeleteBackup", self._backup(arn)
        if backup is None:
            raise NotThere(call, "BackupNotFoundException", arn)
        if not _tags_of(backup, self.stack):
            why = f"{quoted(backup['BackupName'])} names no recovery point of stack {self.stack}"
            raise Refused(call, "NotOurs", why)
        with translated(call):
            self.client.delete_backup(BackupArn=arn)


class PointInTime(_DynamoDb):
    """Switches point-in-time recovery on; it can switch nothing off."""

    @needs("dynamodb:DescribeContinuousBackups", "dynamodb:UpdateContinuousBackups")
    def switch_on(self, arn: str) -> bool:
        """Whether it was off. Raises NotThere if the table is gone, and Refused: for a moment of a
        new table (`ContinuousBackupsUnavailableException`), always where its own policy forbids it.
        """
        if self._recovery(arn).get("PointInTimeRecoveryStatus") == "ENABLED":
            return False  # asking again would set its owner's recovery period back to 35 days
        with translated("dynamodb:UpdateContinuousBackups"):
            self.client.update_continuous_backups(
                TableName=naming.table_name(arn),
                PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
            )
        return True


# ── Shapes ────────────────────────────────────────────────────────────────────────────────────────


def _tags(listed: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in listed}


def key_of(table: Mapping[str, Any]) -> str:
    """The ARN of the KMS key; empty if DynamoDB uses one of its own."""
    return str(table.get("SSEDescription", {}).get("KMSMasterKeyArn", ""))


def key_names(table: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(key["AttributeName"] for key in table["KeySchema"])


def shape(table: Mapping[str, Any]) -> dict[str, object]:
    """What a table cannot be used without: a backup keeps it."""
    return {
        "key_schema": table["KeySchema"],
        "attribute_definitions": table["AttributeDefinitions"],
        "global_indexes": _indexes(table.get("GlobalSecondaryIndexes", [])),
        "local_indexes": _indexes(table.get("LocalSecondaryIndexes", [])),
    }


def _indexes(listed: Iterable[Mapping[str, Any]]) -> list[dict[str, object]]:
    """Without their figures."""
    return [
        {name: one[name] for name in ("IndexName", "KeySchema", "Projection")} for one in listed
    ]


def _snapshot(backup: Mapping[str, Any], stack: str) -> Snapshot:
    return Snapshot(
        id=backup["BackupArn"],
        volume=backup["TableArn"],
        state=STATES[backup["BackupStatus"]],
        started_at=backup["BackupCreationDateTime"],
        gib=-(-backup.get("BackupSizeBytes", 0) // GIB),
        tags=_tags_of(backup, stack),
    )


def _tags_of(backup: Mapping[str, Any], stack: str) -> dict[str, str]:
    """What a backup's tags would say if it had any; none if it is not one of this stack's.

    The id in the name must be that of the run and the table: nobody picks such a name by accident,
    and it fits no other table.
    """
    named = naming.parse_table_backup(backup["BackupName"])
    if named is None:
        return {}
    by, plan, run, point = named
    if by != stack or point != naming.point_id(run, backup["TableArn"]):
        return {}
    return {
        naming.TAG_STACK: by,
        naming.TAG_PLAN: plan,
        naming.TAG_RUN: run,
        naming.TAG_POINT: point,
        naming.TAG_SOURCE: backup["TableArn"],
    }
