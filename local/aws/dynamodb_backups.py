"""DynamoDB's backups as AWS documents them, where moto is done at once.

`install(cloud)` patches moto's classes until `cloud.stack` closes. What it adds:

- on-demand backups that take their time, are hidden at first and linger when deleted, one at a
  time for each table; lists in pages, by time and by type; the backup that a deleted table leaves;
- point-in-time recovery: a span that ends five minutes ago and begins when it was enabled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.dynamodb.exceptions import (
    BackupNotFoundException,
    MockValidationException,
    PointInTimeRecoveryUnavailable,
    ResourceNotFoundException,
    TableNotFoundException,
)
from moto.dynamodb.models import DynamoDBBackend, dynamodb_backends
from moto.dynamodb.models.table import Backup
from moto.dynamodb.responses import DynamoHandler

from local.aws.ebs import Box
from local.aws.ec2 import Host
from local.replacing import replace

ERROR = "com.amazonaws.dynamodb.v20120810#"

# Limit of ListBackups, "Minimum value of 1. Maximum value of 100":
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ListBackups.html
MOST_LISTED = 100

# "LatestRestorableDateTime is typically 5 minutes before the current time"; "You can restore your
# table to any point in time during the last 35 days":
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_PointInTimeRecoveryDescription.html
RESTORABLE_LAG = timedelta(minutes=5)
LONGEST_RECOVERY_DAYS = 35

# "If you delete a table with point-in-time recovery enabled, a system backup is automatically
# created and is retained for 35 days":
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/PointInTimeRecovery_Howitworks.html
SYSTEM_BACKUP_KEPT = timedelta(days=35)

# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ListBackups.html, BackupType
TYPES_LISTED = {
    "USER": frozenset({"USER"}),
    "SYSTEM": frozenset({"SYSTEM"}),
    "AWS_BACKUP": frozenset({"AWS_BACKUP"}),
    "ALL": frozenset({"USER", "SYSTEM"}),
}


def install(cloud: Box) -> DynamodbBackups:
    """Make moto's backups behave like this until `cloud.stack` closes; returns the switches."""
    backups = DynamodbBackups(cloud)
    for name, handler in backups.operations().items():
        replace(cloud.stack, DynamoHandler, name, _as_method(handler))
    for owner, name, wrapped in backups.checks():
        replace(cloud.stack, owner, name, wrapped(getattr(owner, name)))
    return backups


def installed_in(cloud: Host) -> DynamodbBackups:
    """The switches of a box's backups, e.g. `installed_in(cloud).record_backup(…)`."""
    backups: DynamodbBackups = cloud.extensions[__name__]
    return backups


@dataclass
class Life:
    """When things happen to one backup."""

    started_at: datetime
    ends_at: datetime
    listed_from: datetime
    deleted_at: datetime | None = None
    gone_at: datetime | None = None
    """When a deleted backup stops being described, or one of AWS's own expires."""

    def state(self, now: datetime) -> str:
        if self.deleted_at is not None:
            return "DELETED"
        return "CREATING" if now < self.ends_at else "AVAILABLE"

    def is_gone(self, now: datetime) -> bool:
        return self.gone_at is not None and now >= self.gone_at


@dataclass
class DynamodbBackups:
    """What the installed backups remember, and their switches."""

    cloud: Box
    lives: dict[str, Life] = field(default_factory=dict)
    """By the ARN of the backup."""
    _refused_until: dict[str, datetime] = field(default_factory=dict)
    """When backups of a new table become possible, by the ARN of the table."""

    def record_backup(
        self, table_name: str, name: str, *, created_at: datetime, backup_type: str = "USER"
    ) -> str:
        """Put an available backup of the past into the account; returns its ARN.

        The only way to a backup that AWS's own services make: `AWS_BACKUP` or `SYSTEM`.
        """
        backend = self.backend
        backup = self._add(backend, backend.get_table(table_name), name, backup_type, created_at)
        self.lives[backup.arn] = Life(created_at, created_at, created_at)
        return str(backup.arn)

    @property
    def backend(self) -> Any:
        """Moto's DynamoDB of this account and Region."""
        return dynamodb_backends[self.cloud.account_id][self.cloud.region]

    def now(self) -> datetime:
        """Simulated now, in the whole milliseconds that DynamoDB answers with."""
        now = self.cloud.clock.now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def operations(self) -> dict[str, Callable[[Any], ActionResult]]:
        """API operations, by moto's name for them, that this file answers itself."""
        return {
            "create_backup": self.create_backup,
            "describe_backup": self.describe_backup,
            "delete_backup": self.delete_backup,
            "list_backups": self.list_backups,
            "describe_continuous_backups": self.describe_continuous_backups,
            "update_continuous_backups": self.update_continuous_backups,
        }

    def checks(self) -> list[tuple[type, str, Callable[[Any], Any]]]:
        """Methods of moto that are kept and told more: (class, name, what wraps it)."""
        return [
            (DynamoDBBackend, "create_table", self._remembered_creation),
            (DynamoDBBackend, "delete_table", self._backed_up_deletion),
            (DynamoHandler, "tag_resource", _tables_only),
            (DynamoHandler, "restore_table_from_backup", self._checked_restore),
            (DynamoHandler, "restore_table_to_point_in_time", self._checked_restore_to_time),
        ]

    # --- on-demand backups ---

    def create_backup(self, handler: Any) -> ActionResult:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_CreateBackup.html"""
        backend, now = handler.dynamodb_backend, self.now()
        table = _existing_table(backend, handler.body["TableName"])
        self._check_enabled(table)
        if any(
            self.life_of(one).state(now) == "CREATING"
            for one in backend.backups.values()
            if one.table.table_arn == table.table_arn
        ):
            raise _refused(
                "BackupInUseException",
                f"Backup is being created for the table: {table.name}. Please retry later",
            )
        backup = self._add(backend, table, handler.body["BackupName"], "USER", now)
        pace = self.cloud.pace
        self.lives[backup.arn] = Life(
            started_at=now,
            ends_at=now + pace.ddb_backup_duration(backup.arn),
            listed_from=now + pace.hidden_for,
        )
        return ActionResult({"BackupDetails": self._details(backup) | {"BackupStatus": "CREATING"}})

    def describe_backup(self, handler: Any) -> ActionResult:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DescribeBackup.html"""
        backup = self._existing(handler.dynamodb_backend, handler.body["BackupArn"])
        return ActionResult({"BackupDescription": self._described(backup)})

    def delete_backup(self, handler: Any) -> ActionResult:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DeleteBackup.html"""
        backend, now = handler.dynamodb_backend, self.now()
        backup = self._existing(backend, handler.body["BackupArn"])
        life = self.life_of(backup)
        state = life.state(now)
        if state == "DELETED":
            raise BackupNotFoundException(backup.arn)
        if state == "CREATING":
            raise _refused("BackupInUseException", f"Backup is being created: {backup.arn}")
        if backup.type != "USER":
            # AWS documents that only its own services delete these, not with which error.
            raise MockValidationException(f"Only USER backups can be deleted: {backup.arn}")
        life.deleted_at, life.gone_at = now, now + self.cloud.pace.deletion_takes
        described = self._described(backup)
        self._forget_gone(backend)
        return ActionResult({"BackupDescription": described})

    def list_backups(self, handler: Any) -> ActionResult:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ListBackups.html"""
        backend, body, now = handler.dynamodb_backend, handler.body, self.now()
        self._forget_gone(backend)
        limit = int(body.get("Limit", MOST_LISTED))
        kind = body.get("BackupType", "USER")
        if not 1 <= limit <= MOST_LISTED:
            _unsatisfied("limit", limit, f"Member must have value between 1 and {MOST_LISTED}")
        if kind not in TYPES_LISTED:
            _unsatisfied("backupType", kind, f"Member must satisfy enum value set: {TYPES_LISTED}")
        lower, upper = _moment(body, "TimeRangeLowerBound"), _moment(body, "TimeRangeUpperBound")
        after = body.get("ExclusiveStartBackupArn")
        start = _place(self.life_of(self._existing(backend, after)), after) if after else None
        chosen = sorted(
            (_place(life, one.arn), one)
            for one in backend.backups.values()
            if (life := self.life_of(one)).listed_from <= now
            and one.type in TYPES_LISTED[kind]
            and body.get("TableName") in (None, one.table.name, one.table.table_arn)
            and (lower is None or life.started_at >= lower)
            and (upper is None or life.started_at < upper)
            and (start is None or _place(life, one.arn) > start)
        )
        page = [backup for _, backup in chosen[:limit]]
        answer: dict[str, Any] = {"BackupSummaries": [self._summary(one) for one in page]}
        if len(chosen) > limit:
            answer["LastEvaluatedBackupArn"] = page[-1].arn
        return ActionResult(answer)

    def life_of(self, backup: Any) -> Life:
        """A backup's life; one that this file did not see begin is available at once."""
        life = self.lives.get(backup.arn)
        if life is None:
            at = backup.creation_date_time.replace(tzinfo=UTC)
            life = self.lives[backup.arn] = Life(at, at, at)
        return life

    def _existing(self, backend: Any, arn: str) -> Any:
        self._forget_gone(backend)
        if arn not in backend.backups:
            raise BackupNotFoundException(arn)
        return backend.backups[arn]

    def _forget_gone(self, backend: Any) -> None:
        now = self.now()
        for arn, backup in list(backend.backups.items()):
            if self.life_of(backup).is_gone(now):
                del backend.backups[arn], self.lives[arn]

    def _add(
        self, backend: Any, table: Any, name: str, backup_type: str, created_at: datetime
    ) -> Any:
        backup = Backup(backend.account_id, backend.region_name, name, table, type_=backup_type)
        backup.creation_date_time = created_at.astimezone(UTC).replace(tzinfo=None)
        backup.identifier = backup._make_identifier()
        backend.backups[backup.arn] = backup
        return backup

    def _details(self, backup: Any) -> dict[str, Any]:
        life = self.life_of(backup)
        shown = {
            "BackupArn": backup.arn,
            "BackupName": backup.name,
            "BackupSizeBytes": _described_table(backup)["TableSizeBytes"],
            "BackupStatus": life.state(self.now()),
            "BackupType": backup.type,
            "BackupCreationDateTime": life.started_at,
        }
        if backup.type == "SYSTEM":
            shown["BackupExpiryDateTime"] = life.gone_at
        return shown

    def _summary(self, backup: Any) -> dict[str, Any]:
        table = _described_table(backup)
        source = {name: table.get(name) for name in ("TableName", "TableId", "TableArn")}
        return source | self._details(backup)

    def _described(self, backup: Any) -> dict[str, Any]:
        """What a backup knows of its table: not its tags, alarms, policies or scaling."""
        table = _described_table(backup)
        source = {name: table.get(name) for name in SOURCE_DETAILS} | {
            "TableCreationDateTime": table["CreationDateTime"],
            "BillingMode": table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"),
        }
        features: dict[str, Any] = {
            name: table[name]
            for name in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes", "SSEDescription")
            if table.get(name)
        }
        features["TimeToLiveDescription"] = backup.table.ttl
        if table.get("StreamSpecification"):
            features["StreamDescription"] = table["StreamSpecification"]
        return {
            "BackupDetails": self._details(backup),
            "SourceTableDetails": source,
            "SourceTableFeatureDetails": features,
        }

    # --- tables ---

    def _remembered_creation(self, moto_does: Callable[..., Any]) -> Callable[..., Any]:
        def create(backend: Any, *given: Any, **named: Any) -> Any:
            table = moto_does(backend, *given, **named)
            enabled_at = self.now() + self.cloud.pace.ddb_backups_enabled_after
            self._refused_until[table.table_arn] = enabled_at
            return table

        return create

    def _check_enabled(self, table: Any) -> None:
        if self.now() < self._refused_until.get(table.table_arn, self.now()):
            raise _refused(
                "ContinuousBackupsUnavailableException",
                f"Backups are being enabled for the table: {table.name}. Please retry later",
            )

    def _backed_up_deletion(self, moto_does: Callable[..., Any]) -> Callable[..., Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/PointInTimeRecovery_Howitworks.html"""

        def delete(backend: Any, name: str) -> Any:
            table = moto_does(backend, name)
            if _recovery(table)["PointInTimeRecoveryStatus"] == "ENABLED":
                now = self.now()
                system = f"{table.name}$DeletedTableBackup"
                backup = self._add(backend, table, system, "SYSTEM", now)
                self.lives[backup.arn] = Life(now, now, now, gone_at=now + SYSTEM_BACKUP_KEPT)
            return table

        return delete

    # --- point-in-time recovery ---

    def describe_continuous_backups(self, handler: Any) -> ActionResult:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DescribeContinuousBackups.html"""
        table = _existing_table(handler.dynamodb_backend, handler.body["TableName"])
        return ActionResult({"ContinuousBackupsDescription": self._continuous(table)})

    def update_continuous_backups(self, handler: Any) -> ActionResult:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateContinuousBackups.html"""
        backend, body = handler.dynamodb_backend, handler.body
        table = _existing_table(backend, body["TableName"])
        self._check_enabled(table)
        specification = body["PointInTimeRecoverySpecification"]
        days = specification.get("RecoveryPeriodInDays", LONGEST_RECOVERY_DAYS)
        if not 1 <= int(days) <= LONGEST_RECOVERY_DAYS:
            _unsatisfied(
                "pointInTimeRecoverySpecification.recoveryPeriodInDays",
                days,
                f"Member must have value between 1 and {LONGEST_RECOVERY_DAYS}",
            )
        # What is left out is not left as it was: "If no value is provided, the value will default
        # to 35" (API_PointInTimeRecoverySpecification).
        backend.update_continuous_backups(
            table.name, specification | {"RecoveryPeriodInDays": int(days)}
        )
        return ActionResult({"ContinuousBackupsDescription": self._continuous(table)})

    def _continuous(self, table: Any) -> dict[str, Any]:
        recovery: dict[str, Any] = {"PointInTimeRecoveryStatus": "DISABLED"}
        if span := self._restorable(table):
            recovery = {
                "PointInTimeRecoveryStatus": "ENABLED",
                "RecoveryPeriodInDays": _recovery_days(table),
                "EarliestRestorableDateTime": span[0],
                "LatestRestorableDateTime": span[1],
            }
        return {"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": recovery}

    def _restorable(self, table: Any) -> tuple[datetime, datetime] | None:
        """The span that a table can be restored to; None when recovery is disabled.

        Enabling again begins it anew: moto keeps the moment of enabling as the earliest.
        """
        recovery = _recovery(table)
        if recovery["PointInTimeRecoveryStatus"] != "ENABLED":
            return None
        now = self.now()
        enabled_at = datetime.fromtimestamp(float(recovery["EarliestRestorableDateTime"]), tz=UTC)
        earliest = max(enabled_at, now - timedelta(days=_recovery_days(table)))
        return earliest, max(earliest, now - RESTORABLE_LAG)

    def _checked_restore(self, moto_does: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def restore(handler: Any) -> Any:
            backup = self._existing(handler.dynamodb_backend, handler.body["BackupArn"])
            state = self.life_of(backup).state(self.now())
            if state == "DELETED":
                raise BackupNotFoundException(backup.arn)
            if state == "CREATING":
                raise _refused("BackupInUseException", f"Backup is being created: {backup.arn}")
            return moto_does(handler)

        return restore

    def _checked_restore_to_time(self, moto_does: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def restore(handler: Any) -> Any:
            body = handler.body
            source = body.get("SourceTableName") or str(body.get("SourceTableArn")).split("/")[-1]
            span = self._restorable(_existing_table(handler.dynamodb_backend, source))
            if span is None:
                raise PointInTimeRecoveryUnavailable(source)
            moment = _moment(body, "RestoreDateTime")
            if moment is not None and not span[0] <= moment <= span[1]:
                raise _refused(
                    "InvalidRestoreTimeException",
                    f"RestoreDateTime must be between {span[0]} and {span[1]}",
                )
            return moto_does(handler)

        return restore


# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_SourceTableDetails.html
SOURCE_DETAILS = (
    "TableName",
    "TableId",
    "TableArn",
    "TableSizeBytes",
    "KeySchema",
    "ProvisionedThroughput",
    "ItemCount",
)


def _as_method(handler: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
    """Moto finds the operations of a response class by looking for plain functions."""

    def operation(response: Any) -> ActionResult:
        return handler(response)

    return operation


def _tables_only(moto_does: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Backups have no tags; moto gives tags to anything."""

    def tag_resource(handler: Any) -> Any:
        if "/backup/" in handler.body["ResourceArn"]:
            raise MockValidationException(f"Invalid TableArn: {handler.body['ResourceArn']}")
        return moto_does(handler)

    return tag_resource


def _refused(code: str, message: str) -> JsonRESTError:
    return JsonRESTError(ERROR + code, message)


def _unsatisfied(member: str, value: object, constraint: str) -> None:
    raise MockValidationException(
        f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy "
        f"constraint: {constraint}"
    )


def _existing_table(backend: Any, name_or_arn: str) -> Any:
    name = name_or_arn.rsplit("/", maxsplit=1)[-1]
    try:
        return backend.get_table(name)
    except ResourceNotFoundException as error:
        raise TableNotFoundException(name) from error


def _described_table(backup: Any) -> dict[str, Any]:
    table: dict[str, Any] = backup.table.describe()["TableDescription"]
    return table


def _recovery(table: Any) -> dict[str, Any]:
    recovery: dict[str, Any] = table.continuous_backups["PointInTimeRecoveryDescription"]
    return recovery


def _recovery_days(table: Any) -> int:
    return int(_recovery(table).get("RecoveryPeriodInDays") or LONGEST_RECOVERY_DAYS)


def _moment(body: dict[str, Any], name: str) -> datetime | None:
    """A time of a request, which moto has read as UTC without saying so."""
    moment: datetime | None = body.get(name)
    return None if moment is None else moment.replace(tzinfo=UTC)


def _place(life: Life, arn: str) -> tuple[datetime, str]:
    """Backups are listed in the order in which they were made."""
    return life.started_at, arn
