"""DynamoDB's transactions and limits, as its API reference documents them."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.cloud import Cloud
from tests.local.box import box


class Store:
    """The table of the small stack, with little to type."""

    def __init__(self, cloud: Cloud) -> None:
        self.client = cloud.client("dynamodb")
        self.table = cloud.physical_id("Table")

    def key(self, name: str) -> dict[str, Any]:
        return {"pk": {"S": name}, "sk": {"S": "x"}}

    def put(self, name: str, value: str, **options: Any) -> dict[str, Any]:
        item = {**self.key(name), "value": {"S": value}}
        return {"Put": {"TableName": self.table, "Item": item, **options}}

    def absent(self, name: str) -> dict[str, Any]:
        return {
            "ConditionCheck": {
                "TableName": self.table,
                "Key": self.key(name),
                "ConditionExpression": "attribute_not_exists(pk)",
            }
        }

    def increase(self, name: str) -> dict[str, Any]:
        return {
            "Update": {
                "TableName": self.table,
                "Key": self.key(name),
                "UpdateExpression": "ADD times :one",
                "ExpressionAttributeValues": {":one": {"N": "1"}},
            }
        }

    def transact(self, *actions: dict[str, Any], **options: Any) -> None:
        self.client.transact_write_items(TransactItems=list(actions), **options)

    def get(self, name: str) -> dict[str, Any] | None:
        answer = self.client.get_item(TableName=self.table, Key=self.key(name))
        found: dict[str, Any] | None = answer.get("Item")
        return found


@pytest.fixture
def store() -> Iterator[Store]:
    with box() as cloud:
        yield Store(cloud)


def test_a_transaction_that_fails_changes_nothing(store: Store) -> None:
    store.transact(store.put("old", "1"), store.increase("counter"))
    remove = {"Delete": {"TableName": store.table, "Key": store.key("old")}}
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        store.transact(
            store.put("new", "1"),
            store.increase("counter"),
            remove,
            {
                "ConditionCheck": {
                    **store.absent("counter")["ConditionCheck"],
                    "Key": store.key("z"),
                }
            },
            store.put("mine", "2", ConditionExpression="attribute_exists(pk)"),
        )
    assert store.get("new") is None
    assert store.get("old") == {**store.key("old"), "value": {"S": "1"}}
    assert store.get("counter") == {**store.key("counter"), "times": {"N": "1"}}


def test_the_reasons_are_in_the_order_of_the_actions(store: Store) -> None:
    store.transact(store.put("old", "1"))
    with pytest.raises(ClientError) as refused:
        store.transact(store.put("new", "1"), store.absent("old"))
    codes = [reason["Code"] for reason in refused.value.response["CancellationReasons"]]
    assert codes == ["None", "ConditionalCheckFailed"]


def test_a_token_makes_the_repetition_of_a_transaction_harmless(store: Store) -> None:
    store.transact(store.increase("counter"), ClientRequestToken="token-1")
    store.transact(store.increase("counter"), ClientRequestToken="token-1")
    assert store.get("counter") == {**store.key("counter"), "times": {"N": "1"}}


def test_a_token_with_another_request_is_refused(store: Store) -> None:
    store.transact(store.increase("counter"), ClientRequestToken="token-1")
    with pytest.raises(ClientError, match="IdempotentParameterMismatchException"):
        store.transact(store.increase("other"), ClientRequestToken="token-1")


def test_a_transaction_has_at_most_a_hundred_actions(store: Store) -> None:
    store.transact(*(store.put(str(number), "x") for number in range(100)))
    with pytest.raises(ClientError, match="ValidationException"):
        store.transact(*(store.put(str(number), "x") for number in range(101)))


def test_a_batch_writes_at_most_25_items(store: Store) -> None:
    def write(number: int) -> None:
        requests = [{"PutRequest": {"Item": store.key(str(each))}} for each in range(number)]
        store.client.batch_write_item(RequestItems={store.table: requests})

    write(25)
    with pytest.raises(ClientError, match="ValidationException"):
        write(26)
    assert store.get("24") is not None
    assert store.get("25") is None


def test_a_batch_reads_at_most_100_items(store: Store) -> None:
    keys = [store.key(str(number)) for number in range(101)]
    store.client.batch_get_item(RequestItems={store.table: {"Keys": keys[:100]}})
    with pytest.raises(ClientError, match="ValidationException"):
        store.client.batch_get_item(RequestItems={store.table: {"Keys": keys}})


def test_every_type_of_value_comes_back_as_it_was_written(store: Store) -> None:
    item = {
        **store.key("all"),
        "bytes": {"B": b"\x00\xff"},
        "list": {"L": [{"N": "1"}, {"B": b"\x01"}, {"NULL": True}]},
        "map": {"M": {"inner": {"M": {"flag": {"BOOL": False}}}, "set": {"SS": ["a", "b"]}}},
        "empty": {"S": ""},
        "numbers": {"NS": ["1", "2"]},
    }
    store.client.put_item(TableName=store.table, Item=item)
    assert store.get("all") == item
