"""An upgrade keeps what is stored: no change makes CloudFormation replace what holds state.

`golden/stateful.json` is what the last release deployed. CloudFormation replaces a resource when
one of the properties below changes (its reference says "Update requires: Replacement"), and what
was replaced is empty: the table has no catalogue, the bucket no evidence, a topic no subscribers.
A resource that loses its logical id or its type is replaced, too.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.template.stack import Data, Stack

GOLDEN = Path(__file__).parents[1] / "golden" / "stateful.json"

REPLACED_BY = {
    "AWS::DynamoDB::Table": ("TableName", "KeySchema", "ImportSourceSpecification"),
    "AWS::S3::Bucket": ("BucketName", "BucketNamespace", "BucketNamePrefix"),
    "AWS::SNS::Topic": ("TopicName", "FifoTopic"),
    "AWS::KMS::Key": ("KeySpec", "KeyUsage", "Origin", "MultiRegion"),
    "AWS::SQS::Queue": ("QueueName", "FifoQueue"),
    "AWS::Logs::LogGroup": ("LogGroupName",),
}
"""By type, from the CloudFormation reference. Some need no replacement there and are as final:
AWS refuses to change a key's spec, and a bucket's lock can be put on but not taken off."""

ONLY_FORWARD = {
    "AWS::S3::Bucket": ("ObjectLockEnabled", "VersioningConfiguration"),
    "AWS::DynamoDB::Table": ("SSESpecification", "TimeToLiveSpecification"),
}
"""What cannot be taken back, or would let go of stored things that count on it."""

SWITCHED_ON = "WATCHKEEPER_WRITE_GOLDEN"
REMEDY = (
    "leave it as it was; if that cannot be, write down how what is stored moves, then run this test"
    f" with {SWITCHED_ON}=1"
)


def stateful(stack: Stack) -> Data:
    """What an upgrade may not touch, by logical id; None for a property that is not given."""
    found = {}
    for logical_id, resource in stack.resources.items():
        kind = resource["Type"]
        if kind in REPLACED_BY:
            names = (*REPLACED_BY[kind], *ONLY_FORWARD.get(kind, ()))
            properties = resource.get("Properties", {})
            found[logical_id] = {
                "Type": kind,
                **{name: properties.get(name) for name in names},
                **indexes(properties),
            }
    return found


def indexes(properties: Data) -> Data:
    """An index whose keys change is deleted and filled again, while queries to it fail."""
    keys = {
        index["IndexName"]: {"KeySchema": index["KeySchema"], "Projection": index["Projection"]}
        for index in properties.get("GlobalSecondaryIndexes", ())
    }
    return {"GlobalSecondaryIndexes": keys} if keys else {}


def losses(released: Data, now: Data) -> list[str]:
    """A sentence for each thing that the upgrade would lose; new resources lose nothing."""
    return [
        sentence
        for logical_id, before in released.items()
        for sentence in _losses_of(logical_id, before, now.get(logical_id))
    ]


def _losses_of(logical_id: str, before: Data, after: Data | None) -> list[str]:
    if after is None:
        return [f"{logical_id} is gone from the template, and what it holds with it: {REMEDY}"]
    return [
        f"{logical_id}: {name} was {value!r} and is {after.get(name)!r}, for which CloudFormation"
        f" would replace it, or refuse: {REMEDY}"
        for name, value in before.items()
        if not _still(name, value, after.get(name))
    ]


def _still(name: str, before: Any, after: Any) -> bool:
    if name == "GlobalSecondaryIndexes":  # more of them cost nothing
        return after is not None and before.items() <= after.items()
    return bool(before == after)


def test_the_golden_file_says_what_is_deployed_now(usual: Stack) -> None:
    """A new resource is added to it, so that the next change finds it there."""
    if os.environ.get(SWITCHED_ON):
        GOLDEN.write_text(json.dumps(stateful(usual), indent=2, sort_keys=True) + "\n")
    assert stateful(usual).keys() == json.loads(GOLDEN.read_text()).keys(), (
        f"run this test with {SWITCHED_ON}=1"
    )


def test_an_upgrade_loses_nothing(stack: Stack) -> None:
    assert losses(json.loads(GOLDEN.read_text()), stateful(stack)) == []


@pytest.mark.parametrize(
    ("logical_id", "name", "value"),
    [
        ("Table", "KeySchema", [{"AttributeName": "id", "KeyType": "HASH"}]),
        ("Table", "TableName", "watchkeeper"),
        ("Table", "GlobalSecondaryIndexes", {}),
        ("Table", "Type", "AWS::DynamoDB::GlobalTable"),
        ("EvidenceBucket", "BucketName", "evidence"),
        ("EvidenceBucket", "ObjectLockEnabled", None),
        ("NewsTopic", "TopicName", "news"),
        ("PagesTopic", "FifoTopic", True),
        ("TopicsKey", "MultiRegion", True),
        ("TakeBackupsUnhandled", "QueueName", "unhandled"),
        ("SweepRunsLog", "LogGroupName", "/aws/lambda/sweep"),
    ],
)
def test_a_change_that_would_replace_something_is_refused(
    usual: Stack, logical_id: str, name: str, value: Any
) -> None:
    now = stateful(usual)
    (refusal,) = losses(now, now | {logical_id: now[logical_id] | {name: value}})
    assert refusal.startswith(f"{logical_id}: {name} was ")


def test_a_resource_that_is_renamed_is_missed(usual: Stack) -> None:
    now = stateful(usual)
    renamed = {("State" if name == "Table" else name): one for name, one in now.items()}
    (refusal,) = losses(now, renamed)
    assert refusal.startswith("Table is gone")


def test_what_is_new_is_welcome(usual: Stack) -> None:
    now = stateful(usual)
    table = now["Table"]
    more = table["GlobalSecondaryIndexes"] | {"by_plan": {}}
    later = now | {"Table": table | {"GlobalSecondaryIndexes": more}, "Another": {"Type": "x"}}
    assert losses(now, later) == []
