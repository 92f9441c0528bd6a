"""AWS's index of tags, in the box."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from watchkeeper.aws.errors import Denied, Throttled
from watchkeeper.aws.tagged import MOST_SHARING, TaggedResources

REGION = "eu-west-1"
PLACE = f"{REGION}:123456789012"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        yield


def queue(name: str, **tags: str) -> str:
    boto3.client("sqs").create_queue(QueueName=name, tags=tags)
    return f"arn:aws:sqs:{PLACE}:{name}"


def table(name: str, **tags: str) -> str:
    boto3.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )
    return f"arn:aws:dynamodb:{PLACE}:table/{name}"


@pytest.mark.usefixtures("aws")
def test_tags_are_told_by_arn() -> None:
    orders, carts = queue("orders", service="orders"), table("carts", service="carts", owner="a")
    found = TaggedResources().of([orders, carts, f"arn:aws:sqs:{PLACE}:gone"])
    assert found == {orders: {"service": "orders"}, carts: {"service": "carts", "owner": "a"}}
    assert TaggedResources().of([]) == {}


@pytest.mark.usefixtures("aws")
def test_more_arns_than_one_call_takes() -> None:
    arns = [queue(f"q{number}", n=str(number)) for number in range(130)]
    assert TaggedResources().of(arns) == {
        arn: {"n": str(number)} for number, arn in enumerate(arns)
    }


@pytest.mark.usefixtures("aws")
def test_what_shares_a_tag_is_told_page_after_page() -> None:
    arns = [queue(f"q{number:03}", service="orders") for number in range(230)]
    table("carts", service="Orders")
    found, is_all = TaggedResources().sharing("service", "orders")
    assert (list(found), is_all) == (sorted(arns), True)
    assert TaggedResources().sharing("service", "none") == ({}, True)


class Answering:
    """A client that answers as AWS was seen to, where moto is kinder."""

    def __init__(self) -> None:
        self.tagged = TaggedResources()
        self.stub = Stubber(self.tagged.client)

    def of_list(self, arns: list[str], code: str = "", found: list[str] | None = None) -> None:
        asked = {"ResourceARNList": arns}
        if code:
            self.stub.add_client_error("get_resources", code, expected_params=asked)
        else:
            self.stub.add_response(
                "get_resources", {"ResourceTagMappingList": _listed(found)}, asked
            )


def _listed(arns: list[str] | None) -> list[dict[str, Any]]:
    return [{"ResourceARN": arn, "Tags": [{"Key": "n", "Value": "1"}]} for arn in arns or []]


@pytest.mark.usefixtures("aws")
def test_one_arn_that_is_not_taken_does_not_cost_the_others_their_tags() -> None:
    good, bad = f"arn:aws:sqs:{PLACE}:orders", "arn:aws:odd:::thing"
    box = Answering()
    box.of_list([good, bad], "InvalidParameterException")
    box.of_list([good], found=[good])
    box.of_list([bad], "InvalidParameterException")
    with box.stub:
        assert box.tagged.of([good, bad]) == {good: {"n": "1"}}


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(
    ("code", "error"), [("AccessDeniedException", Denied), ("ThrottledException", Throttled)]
)
def test_what_aws_refuses_is_not_no_tags(code: str, error: type[Exception]) -> None:
    box = Answering()
    box.of_list([f"arn:aws:sqs:{PLACE}:orders"], code)
    with box.stub, pytest.raises(error):
        box.tagged.of([f"arn:aws:sqs:{PLACE}:orders"])


@pytest.mark.usefixtures("aws")
def test_a_tag_on_everything_is_cut_and_said_to_be() -> None:
    box = Answering()
    for page in range(7):
        arns = [f"arn:aws:sqs:{PLACE}:q{page}-{number:02}" for number in range(100)]
        answer = {"PaginationToken": str(page), "ResourceTagMappingList": _listed(arns)}
        box.stub.add_response("get_resources", answer)
    with box.stub:
        found, is_all = box.tagged.sharing("env", "prod")
    assert (len(found), is_all) == (MOST_SHARING, False)
