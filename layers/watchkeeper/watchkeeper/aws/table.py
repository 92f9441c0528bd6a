"""The table's items as plain Python, and the few operations that every store shares."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from watchkeeper.aws.client import client
from watchkeeper.aws.errors import translated

Item = dict[str, Any]

TRANSACTION_ITEMS = 100
"""DynamoDB's limit of items in one transaction."""

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


def pack(item: Mapping[str, Any]) -> dict[str, Any]:
    """As the low-level API wants it; None is left out, so that a sparse index stays sparse."""
    return {name: _serialize(value) for name, value in item.items() if value is not None}


def unpack(item: Mapping[str, Any]) -> Item:
    return {name: _plain(_deserialize(value)) for name, value in item.items()}


def _plain(value: Any) -> Any:
    """DynamoDB's numbers come back as Decimal; every number that we store is whole, and one that
    is not was stored by a newer version.
    """
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else value
        case dict():
            return {name: _plain(inner) for name, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
        case _:
            return value


class Table:
    """One DynamoDB table. The stores built on it name the IAM actions: this class only makes the
    calls.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    @cached_property
    def client(self) -> Any:
        return client("dynamodb")

    def get(self, key: Mapping[str, str]) -> Item | None:
        with translated("dynamodb:GetItem"):
            answer = self.client.get_item(TableName=self.name, Key=pack(key), ConsistentRead=True)
        return unpack(answer["Item"]) if "Item" in answer else None

    def get_many(self, keys: Sequence[Mapping[str, str]]) -> list[Item]:
        """Consistently, up to 100 keys a call; what DynamoDB leaves over is asked for again."""
        found: list[Item] = []
        left = [pack(key) for key in keys]
        while left:
            page, left = left[:TRANSACTION_ITEMS], left[TRANSACTION_ITEMS:]
            request = {self.name: {"Keys": page, "ConsistentRead": True}}
            with translated("dynamodb:BatchGetItem"):
                answer = self.client.batch_get_item(RequestItems=request)
            found += [unpack(item) for item in answer["Responses"].get(self.name, [])]
            left += answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
        return found

    def put(
        self, item: Mapping[str, Any], condition: str = "", values: Mapping[str, Any] | None = None
    ) -> None:
        """Raises AlreadyThere when `condition` does not hold."""
        with translated("dynamodb:PutItem"):
            self.client.put_item(**self._put(item, condition, values))

    def put_together(
        self,
        items: Iterable[Mapping[str, Any]],
        condition: str = "",
        values: Mapping[str, Any] | None = None,
    ) -> None:
        """All or none, at most 100; raises AlreadyThere when `condition` does not hold for one of
        them.
        """
        puts = [{"Put": self._put(item, condition, values)} for item in items]
        self.write_together(puts)

    def write_together(self, operations: Sequence[Mapping[str, Any]]) -> None:
        with translated("dynamodb:TransactWriteItems"):
            self.client.transact_write_items(TransactItems=list(operations))

    def conditional_put(
        self, item: Mapping[str, Any], condition: str = "", values: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """One operation for `write_together`."""
        return {"Put": self._put(item, condition, values)}

    def update(self, key: Mapping[str, str], **arguments: Any) -> Item:
        """The item after the update; raises AlreadyThere when the condition does not hold."""
        values = pack(arguments.pop("values"))
        with translated("dynamodb:UpdateItem"):
            answer = self.client.update_item(
                TableName=self.name,
                Key=pack(key),
                ReturnValues="ALL_NEW",
                ExpressionAttributeValues=values,
                **arguments,
            )
        return unpack(answer["Attributes"])

    def query(self, condition: str, values: Mapping[str, Any], **arguments: Any) -> Iterator[Item]:
        """Every matching item, page after page."""
        arguments |= {
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": pack(values),
        }
        while True:
            with translated("dynamodb:Query"):
                page = self.client.query(TableName=self.name, **arguments)
            yield from map(unpack, page["Items"])
            if "LastEvaluatedKey" not in page:
                return
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _put(
        self, item: Mapping[str, Any], condition: str, values: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        put: dict[str, Any] = {"TableName": self.name, "Item": pack(item)}
        if condition:
            put["ConditionExpression"] = condition
        if values:
            put["ExpressionAttributeValues"] = pack(values)
        return put
