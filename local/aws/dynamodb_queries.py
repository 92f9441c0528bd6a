"""Queries of DynamoDB that look at one partition, where moto looks at the whole table.

A year of backups is some 25,000 items; moto reads and sorts them all for each query. What is found,
and its order, are moto's own: it is only shown fewer items to choose from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table

from local.replacing import replace

if TYPE_CHECKING:
    from local.cloud import Cloud

Key = tuple[DynamoType, DynamoType | None]


@dataclass
class _Index:
    """The items of one table by the value of one attribute."""

    attribute: str
    by_value: dict[DynamoType, dict[Key, Item]] = field(default_factory=lambda: defaultdict(dict))
    value_of: dict[Key, DynamoType] = field(default_factory=dict)

    def put(self, key: Key, item: Item | None) -> None:
        """Enter an item as it is now; None for one that is gone."""
        if before := self.value_of.pop(key, None):
            del self.by_value[before][key]
        value = item.attrs.get(self.attribute) if item else None
        if item is not None and value is not None:
            # A copy, for an update changes the item's own in place.
            value = DynamoType({value.type: value.value})
            self.value_of[key] = value
            self.by_value[value][key] = item


@dataclass
class _Known:
    """What is known of one table: its indexes, and what was written since they were read."""

    items: object
    """The table's own dictionary: a restored table has another, and is read anew."""
    indexes: dict[str, _Index] = field(default_factory=dict)
    written: set[Key] = field(default_factory=set)


def install(cloud: Cloud) -> None:
    """Show moto's queries the items of their partition alone."""
    queries = _Queries()
    for name in ("put_item", "update_item", "delete_item"):
        wrapped = queries.noticing(getattr(DynamoDBBackend, name))
        replace(cloud.stack, DynamoDBBackend, name, wrapped)
    replace(cloud.stack, Table, "query", queries.narrowed(Table.query))
    replace(cloud.stack, Table, "all_items", queries.shown(Table.all_items))


class _Queries:
    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Table, _Known] = WeakKeyDictionary()
        self._partition: list[Item] | None = None
        """What the query that runs is shown."""

    def noticing(self, moto_does: Callable[..., Any]) -> Callable[..., Any]:
        """Every write begins with the table's name and the item or its key."""

        def write(backend: Any, table_name: str, item: Any, *given: Any, **named: Any) -> Any:
            table = backend.tables.get(table_name)
            if (known := self._known.get(table)) and table.hash_key_attr in item:
                known.written.add(_key(table, item))
            return moto_does(backend, table_name, item, *given, **named)

        return write

    def shown(self, moto_does: Callable[[Table], list[Item]]) -> Callable[[Table], list[Item]]:
        def all_items(table: Table) -> list[Item]:
            return moto_does(table) if self._partition is None else self._partition

        return all_items

    def narrowed(self, moto_does: Callable[..., Any]) -> Callable[..., Any]:
        def query(table: Table, hash_key: DynamoType | None, *given: Any, **named: Any) -> Any:
            conditions = named.get("hash_key_conditions")
            if conditions:
                self._partition = self._with(table, *conditions[0])
            try:
                return moto_does(table, hash_key, *given, **named)
            finally:
                self._partition = None

        return query

    def _with(self, table: Table, attribute: str, value: DynamoType) -> list[Item]:
        known = self._known.get(table)
        if known is None or known.items is not table.items:
            known = self._known[table] = _Known(table.items)
        for key in known.written:
            for index in known.indexes.values():
                index.put(key, _find(table, key))
        known.written.clear()
        if attribute not in known.indexes:
            index = known.indexes[attribute] = _Index(attribute)
            for item in _all(table):
                index.put((item.hash_key, item.range_key), item)
        return list(known.indexes[attribute].by_value.get(value, {}).values())


def _key(table: Table, item: dict[str, Any]) -> Key:
    range_key = item.get(table.range_key_attr) if table.range_key_attr else None
    return DynamoType(item[table.hash_key_attr]), DynamoType(range_key) if range_key else None


def _find(table: Table, key: Key) -> Item | None:
    found = cast("Any", table.items).get(key[0])
    return found.get(key[1]) if found and table.range_key_attr else found or None


def _all(table: Table) -> Iterable[Item]:
    for found in cast("Any", table.items).values():
        yield from found.values() if table.range_key_attr else [found]
