"""DynamoDB: restoring a table beside its original, and putting settings back.

What is made here stays: there is nothing in this file that deletes. We choose the names, and only
what has one of them is ever changed; rights in template.yaml say the same of `*-wkr-*`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from watchkeeper.aws.client import client
from watchkeeper.aws.errors import AlreadyThere, Refused, translated
from watchkeeper.aws.iam import needs
from watchkeeper.aws.recover_rds import check_is_recovered

LATER = {
    "BackupInUseException": "the backup to be free: it is being made, or restored by others",
    "ConcurrentUpdateException": "Application Auto Scaling to be done with the table",
    "ContinuousBackupsUnavailableException": "DynamoDB to allow backups of a new table",
    "LimitExceededException": "DynamoDB to be done with other tables of this account",
    "ResourceInUseException": "DynamoDB to be done with the change before",
}
"""Answers that pass by themselves, and what has to pass. Fifty restores, and as many changes of
tables, may be under way at once in an account.
"""

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Standing:
    """A table as DynamoDB shows it."""

    arn: str
    state: str
    """In the words of DynamoDB: `CREATING`, `UPDATING`, `ACTIVE`."""
    source: str
    """The ARN of the backup that it was restored from; empty if it was not."""


class TableRecoverer:
    """Makes tables from backups, and changes what it has made; it can delete none.

    DynamoDB writes the items in the name of whoever asks for the restore:
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/backuprestore_IAM.html
    """

    @cached_property
    def client(self) -> Any:
        return client("dynamodb")

    @cached_property
    def scaling(self) -> Any:
        return client("application-autoscaling")

    @needs(
        "dynamodb:RestoreTableFromBackup", "dynamodb:BatchWriteItem", "dynamodb:DeleteItem",
        "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:Scan",
        "dynamodb:UpdateItem", "kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey",
    )  # fmt: skip
    def restore(self, name: str, backup: str) -> str:
        """Empty once it was accepted, now or before; otherwise what must pass first. With the
        original's capacity, indexes and key. Raises NotThere without the backup.
        """
        call = "dynamodb:RestoreTableFromBackup"
        check_is_recovered(call, name)
        try:
            with translated(call):
                self.client.restore_table_from_backup(TargetTableName=name, BackupArn=backup)
        except AlreadyThere:
            return ""
        except Refused as error:
            if error.code == "TableInUseException":  # the name of a table that is being created
                return ""
            return _later(error)
        return ""

    @needs("dynamodb:DescribeTable")
    def one(self, name: str) -> Standing:
        """Raises NotThere."""
        with translated("dynamodb:DescribeTable"):
            found = self.client.describe_table(TableName=name)["Table"]
        source = found.get("RestoreSummary", {}).get("SourceBackupArn", "")
        return Standing(found["TableArn"], found["TableStatus"], source)

    @needs(
        "dynamodb:TagResource", "dynamodb:UpdateTimeToLive", "dynamodb:UpdateTable",
        "dynamodb:UpdateContinuousBackups", "application-autoscaling:RegisterScalableTarget",
        "application-autoscaling:PutScalingPolicy", "application-autoscaling:PutScheduledAction",
        "cloudwatch:DescribeAlarms", "cloudwatch:PutMetricAlarm",
    )  # fmt: skip
    def change(self, table: Standing, name: str, setting: str, value: Any) -> str:
        """Empty once it was accepted; otherwise what must pass first. `setting` and `value` as
        `table_settings.comparable` has them. The same change again does nothing more.
        """
        known: dict[str, Callable[[], str]] = {
            "tags": lambda: self._asked(
                "TagResource", ResourceArn=table.arn,
                Tags=[{"Key": key, "Value": word} for key, word in value.items()],
            ),
            "time_to_live": lambda: self._asked(
                "UpdateTimeToLive", TableName=name,
                TimeToLiveSpecification={"Enabled": True, "AttributeName": value},
            ),
            "stream": lambda: self._asked(
                "UpdateTable", TableName=name,
                StreamSpecification={"StreamEnabled": True, "StreamViewType": value},
            ),
            "table_class": lambda: self._asked("UpdateTable", TableName=name, TableClass=value),
            "point_in_time_recovery": lambda: self._asked(
                "UpdateContinuousBackups", TableName=name,
                PointInTimeRecoverySpecification=_recovery(value),
            ),
            "deletion_protection": lambda: self._asked(
                "UpdateTable", TableName=name, DeletionProtectionEnabled=True
            ),
        }  # fmt: skip
        check_is_recovered("dynamodb:UpdateTable", name)
        if setting in known:
            return known[setting]()
        return self._scale(setting.split(maxsplit=1)[0], name, value)

    def _asked(self, call: str, **arguments: Any) -> str:
        operation = getattr(self.client, OPERATIONS[call])
        try:
            with translated(f"dynamodb:{call}"):
                operation(**arguments)
        except Refused as error:
            return _later(error)
        return ""

    def _scale(self, kind: str, name: str, value: Settings) -> str:
        operation, call = SCALING[kind]
        # No condition key names what is scaled, so this is the only guard.
        scaled = value["ResourceId"].split("/")
        check_is_recovered(
            f"application-autoscaling:{call}", scaled[1] if scaled[1] == name else ""
        )
        try:
            with translated(f"application-autoscaling:{call}"):
                getattr(self.scaling, operation)(ServiceNamespace="dynamodb", **value)
        except Refused as error:
            return _later(error)
        return ""


OPERATIONS = {
    "TagResource": "tag_resource",
    "UpdateContinuousBackups": "update_continuous_backups",
    "UpdateTable": "update_table",
    "UpdateTimeToLive": "update_time_to_live",
}
SCALING = {
    "target": ("register_scalable_target", "RegisterScalableTarget"),
    "policy": ("put_scaling_policy", "PutScalingPolicy"),
    "schedule": ("put_scheduled_action", "PutScheduledAction"),
}


def _later(error: Refused) -> str:
    """What must pass first. Raises the error if nothing will."""
    if error.code not in LATER:
        raise error
    return LATER[error.code]


def _recovery(days: Any) -> dict[str, object]:
    on: dict[str, object] = {"PointInTimeRecoveryEnabled": True}
    return on | {"RecoveryPeriodInDays": days} if isinstance(days, int) else on
