"""Restoring and deleting DynamoDB tables as AWS documents it, where moto is done at once.

`install(cloud)` patches moto's classes until `cloud.stack` closes; install
`local.aws.dynamodb_backups` first. What it adds:

- restored tables that are being created for a while, and then deleted for a while: meanwhile nobody
  reads, writes or deletes them; at most fifty at once; their backup cannot be deleted;
- the settings that a restore keeps (billing, encryption, indexes) unless it is told others;
- an ItemCount that says nothing for six hours;
- switches for bad backups. A good one holds the items that the table had when it was begun.

Restoring to a point in time brings the items of now, as moto does: it has no history of them.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, cast

from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.dynamodb.exceptions import ResourceNotFoundException
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import GlobalSecondaryIndex, RestoredPITTable, RestoredTable
from moto.dynamodb.responses import DynamoHandler

from local.aws import dynamodb_backups
from local.aws.dynamodb_backups import ERROR
from local.aws.ebs import Box
from local.aws.ec2 import Host
from local.replacing import replace

# "You can execute up to 50 concurrent restores (any type of restore) in a given account":
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_RestoreTableFromBackup.html
RESTORES_AT_ONCE = 50

# "DynamoDB updates this value approximately every six hours":
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TableDescription.html
COUNTED_EVERY = timedelta(hours=6)

# What answers ResourceNotFoundException until the table is ACTIVE.
ITEM_OPERATIONS = ("get_item", "put_item", "update_item", "delete_item", "query", "scan")


class DynamoBox(Box, Host, Protocol):
    """What this file needs of the cloud in a box: also its other extensions."""


def install(cloud: DynamoBox) -> DynamodbRestores:
    """Make moto's restores behave like this until `cloud.stack` closes; returns the switches."""
    restores = DynamodbRestores(cloud)
    for name, wrapped in restores.checks().items():
        replace(cloud.stack, DynamoHandler, name, wrapped(getattr(DynamoHandler, name)))
    for kind in (RestoredTable, RestoredPITTable):
        replace(cloud.stack, kind, "describe", restores.with_state(cast("Any", kind).describe))
    return restores


def installed_in(cloud: Host) -> DynamodbRestores:
    """The switches of a box's restores, e.g. `installed_in(cloud).empty(backup_arn)`."""
    restores: DynamodbRestores = cloud.extensions[__name__]
    return restores


@dataclass
class Life:
    """When things happen to one restored table."""

    source: str
    """The ARN of the backup or of the table that it is restored from."""
    active_from: datetime
    deleted_at: datetime | None = None

    def state(self, now: datetime) -> str:
        if self.deleted_at is not None:
            return "DELETING"
        return "CREATING" if now < self.active_from else "ACTIVE"


@dataclass
class DynamodbRestores:
    """What was restored, and the switches that make it unkind."""

    cloud: DynamoBox
    restore_takes: timedelta = timedelta(minutes=10)
    deletion_takes: timedelta = timedelta(minutes=1)
    at_once: int = RESTORES_AT_ONCE
    loses_settings: bool = False
    """Changes of restored tables are answered as if they had been made."""
    lives: dict[str, Life] = field(default_factory=dict)
    """By the name of the table."""
    made: int = 0
    """Tables that were ever restored."""

    def checks(self) -> dict[str, Callable[[Callable[[Any], Any]], Callable[[Any], Any]]]:
        """Operations of moto that are kept and told more."""
        return {
            "restore_table_from_backup": self._begun,
            "restore_table_to_point_in_time": self._begun,
            "delete_table": self._slow_deletion,
            "delete_backup": self._unless_in_use,
            "update_table": self._lost,
            "update_time_to_live": self._lost,
            **dict.fromkeys(ITEM_OPERATIONS, self._of_active),
        }

    # --- switches ---

    def empty(self, backup: str) -> None:
        """The backup has no items."""
        self._keep_first(backup, 0)

    def truncate(self, backup: str, percent: int = 50) -> None:
        """The backup has only its first items."""
        self._keep_first(backup, len(self._table(backup).all_items()) * percent // 100)

    def swap(self, backup: str, other: str) -> None:
        """The backup has the items of another: of another table, or an older one of this."""
        self._table(backup).items = deepcopy(self._table(other).items)

    def lose_newest(self, backup: str, attribute: str, count: int) -> None:
        """The backup lacks the items whose attribute is largest."""
        items = self._table(backup).all_items()
        items.sort(key=lambda item: item.attrs[attribute].cast_value)
        self._put(backup, items[: len(items) - count])

    def flip_byte(self, backup: str, attribute: str) -> None:
        """One letter of one item of the backup is another: of the first that has this text."""
        found = next(one for one in self._table(backup).all_items() if attribute in one.attrs)
        text = found.attrs[attribute].value
        found.attrs[attribute] = DynamoType({"S": chr(ord(text[0]) ^ 1) + text[1:]})

    def lose_index(self, backup: str) -> None:
        """The backup lacks its last global index."""
        self._table(backup).global_indexes.pop()

    def wrong_key(self, backup: str, key: str) -> None:
        """The backup is encrypted with another key."""
        told = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
        self._table(backup).sse_specification = told

    def _keep_first(self, backup: str, count: int) -> None:
        self._put(backup, self._table(backup).all_items()[:count])

    def _put(self, backup: str, items: list[Item]) -> None:
        table = self._table(backup)
        table.items.clear()
        for item in items:
            if item.range_key:
                table.items[item.hash_key][item.range_key] = item
            else:
                table.items[item.hash_key] = item

    def _table(self, backup: str) -> Any:
        return dynamodb_backups.installed_in(self.cloud).backend.backups[backup].table

    # --- restoring ---

    def _begun(self, moto_does: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def restore(handler: Any) -> Any:
            now, body = self.cloud.clock.now(), handler.body
            if sum(life.state(now) == "CREATING" for life in self.lives.values()) >= self.at_once:
                raise _refused(
                    "LimitExceededException",
                    f"Subscriber limit exceeded: only {self.at_once} restores at a time",
                )
            if source := body.get("SourceTableArn"):  # moto knows only the name
                body.setdefault("SourceTableName", source.split("/")[1])
            moto_does(handler)
            name = body["TargetTableName"]
            source = body.get("BackupArn") or body["SourceTableName"]
            self.lives[name] = Life(source, now + self.restore_takes)
            self.made += 1
            table = handler.dynamodb_backend.tables[name]
            self._settle(table, self._origin(handler), body)
            return ActionResult(table.describe())

        return restore

    def _origin(self, handler: Any) -> Any:
        if backup := handler.body.get("BackupArn"):
            return handler.dynamodb_backend.backups[backup].table
        return handler.dynamodb_backend.tables[handler.body["SourceTableName"]]

    def _settle(self, table: Any, origin: Any, told: dict[str, Any]) -> None:
        """Moto forgets billing and encryption, and knows no overrides."""
        table.billing_mode = told.get("BillingModeOverride") or origin.billing_mode
        table.sse_specification = told.get("SSESpecificationOverride") or origin.sse_specification
        if (indexes := told.get("GlobalSecondaryIndexOverride")) is not None:
            keys = table.table_key_attrs
            table.global_indexes = [GlobalSecondaryIndex.create(one, keys) for one in indexes]

    def with_state(self, moto_does: Callable[..., Any]) -> Callable[..., Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TableDescription.html"""

        def describe(table: Any, *given: Any, **named: Any) -> Any:
            described, now = moto_does(table, *given, **named), self.cloud.clock.now()
            if life := self.lives.get(table.name):
                for shown in described.values():
                    shown["TableStatus"] = life.state(now)
                    shown["RestoreSummary"]["RestoreInProgress"] = now < life.active_from
                    if now < life.active_from + COUNTED_EVERY:
                        shown["ItemCount"] = 0
            return described

        return describe

    def _of_active(self, moto_does: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def operation(handler: Any) -> Any:
            name = handler.body["TableName"].rsplit("/", 1)[-1]
            if self._state(name) not in ("ACTIVE", None):
                raise ResourceNotFoundException(table_name=name)
            return moto_does(handler)

        return operation

    def _lost(self, moto_does: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def change(handler: Any) -> Any:
            name = handler.body["TableName"].rsplit("/", 1)[-1]
            is_lost = self.loses_settings and name in self.lives
            return ActionResult({}) if is_lost else moto_does(handler)

        return change

    # --- deleting ---

    def _slow_deletion(self, moto_does: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Of a restored table; others go at once."""

        def delete(handler: Any) -> Any:
            backend, name = handler.dynamodb_backend, handler.body["TableName"].rsplit("/", 1)[-1]
            state = self._state(name)
            if state is None or backend.tables[name].deletion_protection_enabled:
                return moto_does(handler)
            if state != "ACTIVE":
                raise _refused(
                    "ResourceInUseException",
                    f"Attempt to change a resource which is still in use: Table is being "
                    f"{'created' if state == 'CREATING' else 'deleted'}: {name}",
                )
            life = self.lives[name]
            life.deleted_at = self.cloud.clock.now()

            def forget() -> None:
                backend.delete_table(name)
                del self.lives[name]

            at = life.deleted_at + self.deletion_takes
            self.cloud.clock.at(at, forget, f"table {name} is gone")
            return ActionResult(backend.tables[name].describe())

        return delete

    def _unless_in_use(self, moto_does: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DeleteBackup.html"""

        def delete_backup(handler: Any) -> Any:
            arn, now = handler.body["BackupArn"], self.cloud.clock.now()
            if any(
                one.source == arn and one.state(now) == "CREATING" for one in self.lives.values()
            ):
                raise _refused("BackupInUseException", f"Backup is being restored: {arn}")
            return moto_does(handler)

        return delete_backup

    def _state(self, name: str) -> str | None:
        """None of a table that was not restored."""
        life = self.lives.get(name)
        return life.state(self.cloud.clock.now()) if life else None


def _refused(code: str, message: str) -> JsonRESTError:
    return JsonRESTError(ERROR + code, message)
