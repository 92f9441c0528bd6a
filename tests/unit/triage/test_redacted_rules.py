"""Rules about the audit trail find in what is stored what they find in what was read."""

from itertools import groupby
from typing import Any

import pytest

from local.aws.cloudtrail import record
from local.rules import RULES, START, all_rules, examples, is_found
from watchkeeper.triage.audit_records import LARGEST, cut
from watchkeeper.triage.changes import changed
from watchkeeper.triage.redaction import redacted_record

COMPILED_RULES = {one["name"]: one for one in all_rules()}
EXAMPLES = [one for path in sorted(RULES.glob("*.yml")) for one in examples(path)]


def ids() -> list[str]:
    return [
        f"{name}-{'positive' if positive else 'negative'}-{number}"
        for (name, positive), some in groupby(EXAMPLES, key=lambda one: one[:2])
        for number, _ in enumerate(some)
    ]


@pytest.mark.parametrize(("name", "positive", "events"), EXAMPLES, ids=ids())
def test_each_example_does_redacted_and_cut_what_it_is_for(
    name: str, positive: bool, events: list[dict[str, Any]]
) -> None:
    stored = [redacted_record(cut(one)) for one in events]

    assert is_found(name, stored, COMPILED_RULES) is positive


ORDERS = "arn:aws:rds:us-east-1:123456789012:db:orders"


@pytest.mark.parametrize(
    ("action", "parameters", "resource"),
    [
        ("rds ModifyDBInstance",
         {"dBInstanceIdentifier": "orders", "masterUserPassword": "hunter2"}, ORDERS),
        ("ec2 ModifyInstanceAttribute", {"instanceId": "i-0123456789abcdef0", "userData": {
            "value": "IyEvYmluL3NoCmV4cG9ydCBQQVNTV09SRD1odW50ZXIyCg=="}},
         "arn:aws:ec2:us-east-1:123456789012:instance/i-0123456789abcdef0"),
        ("lambda UpdateFunctionConfiguration20150331v2",
         {"functionName": "checkout",
          "environment": {"variables": {"DB_PASSWORD": "hunter2", "TABLE": "orders"}}},
         "arn:aws:lambda:us-east-1:123456789012:function:checkout"),
        ("secretsmanager PutSecretValue", {"secretId": "orders", "secretString": "hunter2"},
         "arn:aws:secretsmanager:us-east-1:123456789012:secret:orders"),
    ],
)  # fmt: skip
def test_a_change_is_the_same_change_without_its_secrets(
    action: str, parameters: dict[str, Any], resource: str
) -> None:
    event = record(START, action, parameters)
    stored = redacted_record(cut(event))

    assert "hunter2" not in str(stored)
    assert "aHVudGVy" not in str(stored)
    assert "IyEvYmlu" not in str(stored)
    assert [(one.action, one.who, one.kind, one.at) for one in changed([stored], [resource])] == [
        (one.action, one.who, one.kind, one.at) for one in changed([event], [resource])
    ]
    assert changed([stored], [resource])
    assert stored["requestParameters"].keys() == parameters.keys()


def test_a_large_policy_is_still_one() -> None:
    statements = [
        {"Sid": f"Colleague{number}", "Effect": "Allow", "Action": "s3:GetObject",
         "Principal": {"AWS": f"arn:aws:iam::{100_000_000_000 + number}:root"}, "Resource": "*"}
        for number in range(90)
    ]  # fmt: skip
    policy = {"Version": "2012-10-17", "Statement": statements}
    event = record(
        START, "s3 PutBucketPolicy", {"bucketName": "orders", "bucketPolicy": policy},
        responseElements={"x-amz-id-2": "x" * 200_000},
    )  # fmt: skip

    stored = redacted_record(cut(event))

    assert stored["requestParameters"]["bucketPolicy"] == policy
    assert len(str(stored)) < LARGEST * 1.2
