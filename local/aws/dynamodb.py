"""DynamoDB beyond moto: cheap and idempotent transactions, and the limits of batches."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from copy import deepcopy
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.dynamodb.exceptions import MockValidationException
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler

from local.replacing import replace

if TYPE_CHECKING:
    from local.cloud import Cloud

# Documented limits of the API.
MOST_IN_A_TRANSACTION = 100
MOST_IN_A_BATCH_WRITE = 25
MOST_IN_A_BATCH_GET = 100

# A client request token is remembered for ten minutes after the transaction that used it.
TOKEN_LIFETIME = timedelta(minutes=10)


# Types whose value is compared as it is stored: strings, bytes and truth values.
UNCAST = frozenset({"S", "B", "BOOL"})


class IdempotentParameterMismatch(JsonRESTError):
    """The same token came with another request."""

    def __init__(self) -> None:
        super().__init__(
            "com.amazonaws.dynamodb.v20120810#IdempotentParameterMismatchException",
            "The provided client token is already in use with different parameters",
        )


def install(cloud: Cloud) -> None:
    """Replace moto's transactions and check batches."""
    _install_transactions(cloud)
    _install_limits(cloud)
    _install_faster_order(cloud)


def _install_transactions(cloud: Cloud) -> None:
    tokens: dict[str, tuple[datetime, str]] = {}

    def transact(backend: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
        if len(transact_items) > MOST_IN_A_TRANSACTION:
            _too_long("transactItems", MOST_IN_A_TRANSACTION)
        _transact(backend, transact_items, transact_as_moto)

    def request(handler: DynamoHandler) -> Any:
        token = handler.body.get("ClientRequestToken")
        if token is None:
            return request_as_moto(handler)
        asked = json.dumps(handler.body["TransactItems"], sort_keys=True)
        now = cloud.clock.now()
        used_at, before = tokens.get(token, (None, ""))
        if used_at is not None and now - used_at < TOKEN_LIFETIME:
            if before != asked:
                raise IdempotentParameterMismatch
            return ActionResult({"ConsumedCapacity": [], "ItemCollectionMetrics": {}})
        answer = request_as_moto(handler)
        tokens[token] = (now, asked)
        return answer

    transact_as_moto = replace(cloud.stack, DynamoDBBackend, "transact_write_items", transact)
    request_as_moto = replace(cloud.stack, DynamoHandler, "transact_write_items", request)


def _install_limits(cloud: Cloud) -> None:
    def batch_get(handler: DynamoHandler) -> Any:
        number = sum(len(asked["Keys"]) for asked in handler.body["RequestItems"].values())
        if number > MOST_IN_A_BATCH_GET:
            _too_long("requestItems", MOST_IN_A_BATCH_GET)
        return get_as_moto(handler)

    def batch_write(handler: DynamoHandler) -> Any:
        number = sum(len(requests) for requests in handler.body["RequestItems"].values())
        if number > MOST_IN_A_BATCH_WRITE:
            _too_long("requestItems", MOST_IN_A_BATCH_WRITE)
        return write_as_moto(handler)

    get_as_moto = replace(cloud.stack, DynamoHandler, "batch_get_item", batch_get)
    write_as_moto = replace(cloud.stack, DynamoHandler, "batch_write_item", batch_write)


def _install_faster_order(cloud: Cloud) -> None:
    """Order items as moto does, by plain strings where keys are strings.

    Every query of moto puts the whole table in order: a third of a simulated week.
    """

    def cast_value(value: DynamoType) -> Any:
        return value.value if value.type in UNCAST else cast_as_moto.fget(value)

    def key(item: Item) -> tuple[Any, ...]:
        range_key = (item.range_key.cast_value,) if item.range_key else ()
        return (item.hash_key.cast_value, *range_key)

    def all_items(table: Table) -> list[Item]:
        found: list[Item] = []
        for each in cast("Any", table.items).values():
            found += each.values() if table.range_key_attr else [each]
        return sorted(found, key=key)

    cast_as_moto = replace(cloud.stack, DynamoType, "cast_value", property(cast_value))
    replace(cloud.stack, Table, "all_items", all_items)


def _transact(
    backend: DynamoDBBackend,
    actions: list[dict[str, Any]],
    transact_as_moto: Callable[[DynamoDBBackend, list[dict[str, Any]]], None],
) -> None:
    """Run a transaction, and put back only what it touched if it fails.

    moto copies every table of the transaction in full, once per action: a quarter of a second at
    5,000 items.
    """
    undo = [_remember(*each) for each in _touched(backend, actions)]
    with ExitStack() as stack:
        # What moto copies, and puts back on failure, is then the table itself.
        replace(stack, Table, "__deepcopy__", _itself)
        try:
            transact_as_moto(backend, actions)
        except BaseException:
            for put_back in undo:
                put_back()
            raise


def _itself(table: Table, _memo: dict[int, Any]) -> Table:
    return table


def _touched(
    backend: DynamoDBBackend, actions: list[dict[str, Any]]
) -> list[tuple[Table, dict[str, Any]]]:
    """Table and key of each action, as far as the table exists and the key is complete."""
    found = []
    for action in actions:
        for operation in action.values():
            table = backend.tables.get(operation.get("TableName", ""))
            key = operation.get("Key") or operation.get("Item") or {}
            if table is not None and all(name in key for name in table.table_key_attrs):
                found.append((table, key))
    return found


def _remember(table: Table, key: dict[str, Any]) -> Callable[[], None]:
    """What puts an item back as it is now."""
    hash_value = DynamoType(key[table.hash_key_attr])
    range_value = DynamoType(key[table.range_key_attr]) if table.range_key_attr else None
    item = deepcopy(table.get_item(hash_value, range_value))
    records = len(table.stream_shard.items) if table.stream_shard else 0

    def put_back() -> None:
        if item is None:
            table.delete_item(hash_value, range_value)
        elif range_value is None:
            cast("Any", table.items)[hash_value] = item
        else:
            cast("Any", table.items[hash_value])[range_value] = item
        if table.stream_shard:
            del table.stream_shard.items[records:]

    return put_back


def _too_long(member: str, limit: int) -> None:
    raise MockValidationException(
        f"1 validation error detected: Value at '{member}' failed to satisfy constraint: "
        f"Member must have length less than or equal to {limit}"
    )
