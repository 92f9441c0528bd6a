"""What a function may do, what its adapters say they need, and what it was seen to do: three sets.

Where two of them differ, the difference stands here with its reason.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local import account
from local.cloud import Cloud
from local.iam import granted_actions
from watchkeeper.aws.iam import needed_by
from watchkeeper.backups.expire import ExpireBackups
from watchkeeper.backups.take import TakeBackups
from watchkeeper.runs.service import SweepRuns
from watchkeeper.settings import ExpireBackupsSettings, SweepRunsSettings, TakeBackupsSettings

ENVIRONMENT = {
    "STACK_NAME": "watchkeeper",
    "TABLE_NAME": "table",
    "NEWS_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:news",
    "PAGES_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:pages",
    "POLICY_PREFIX": "/watchkeeper/policy",
}
SERVICES: dict[str, Callable[[], Any]] = {
    "TakeBackups": lambda: TakeBackups(TakeBackupsSettings.read(ENVIRONMENT)),
    "ExpireBackups": lambda: ExpireBackups(ExpireBackupsSettings.read(ENVIRONMENT)),
    "SweepRuns": lambda: SweepRuns(SweepRunsSettings.read(ENVIRONMENT)),
}
FUNCTIONS = list(SERVICES)

# Lambda itself uses these in the function's name; no code of ours makes the calls.
BY_LAMBDA = {
    "logs:CreateLogGroup": "AWSLambdaBasicExecutionRole, which SAM attaches",
    "logs:CreateLogStream": "AWSLambdaBasicExecutionRole, which SAM attaches",
    "logs:PutLogEvents": "AWSLambdaBasicExecutionRole, which SAM attaches",
    "xray:PutTraceSegments": "tracing is switched on in the template",
    "xray:PutTelemetryRecords": "tracing is switched on in the template",
    "xray:GetSamplingRules": "tracing is switched on in the template",
    "xray:GetSamplingTargets": "tracing is switched on in the template",
    "xray:GetSamplingStatisticSummaries": "tracing is switched on in the template",
    "sqs:SendMessage": "Lambda sends an event that failed three times to its dead-letter queue",
}
# Declared by a method of a shared adapter that this function does not call, and so not granted.
NOT_CALLED: dict[str, dict[str, str]] = {
    "TakeBackups": {},
    "ExpireBackups": {"dynamodb:BatchGetItem": "RunTable.find_many: only a night has shards"},
    "SweepRuns": {
        "dynamodb:PutItem": "PolicyTable.accept: only TakeBackups accepts a policy",
        "dynamodb:UpdateItem": "CoverageTable: only TakeBackups starts nights and reports them",
    },
}

SHORT = {
    "plans": {
        "gold": {
            "schedule": "0 * * * *",
            "rpo": "2h",
            "keep": {"within": "2h"},
            "floor": {"count": 1},
        }
    },
    "removal": {"schedule": "30 * * * *"},
}


def adapters(thing: object) -> set[type]:
    """The classes in `watchkeeper.aws` whose instances hang on a service, at any depth."""
    found = {type(thing)} if type(thing).__module__.startswith("watchkeeper.aws") else set()
    for value in vars(thing).values() if hasattr(thing, "__dict__") else ():
        if type(value).__module__.startswith("watchkeeper."):
            found |= adapters(value)
    return found


def declared(function: str) -> set[str]:
    service = SERVICES[function]()
    if function != "SweepRuns":
        assert service.cloud  # made when first used
    return set(needed_by(*adapters(service)))


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    """Hours in which every function does all that it can, each call judged by its role."""
    start = datetime(2026, 11, 23, tzinfo=UTC)
    with Cloud(start=start, seeded=True, thin=timedelta(minutes=15), deny=True) as cloud:
        ssm = cloud.client("ssm")
        ssm.put_parameter(
            Name="/watchkeeper/policy/backups", Value=json.dumps(SHORT), Type="String"
        )
        cloud.clock.run_for(timedelta(hours=1))
        volume = account.volume_id(cloud, "harbour-api-1 /dev/sdf")
        arn = f"arn:aws:ec2:{cloud.region}:{cloud.account_id}:volume/{volume}"
        by_hand = {"trigger": "by-hand", "request_id": "one", "plan": "gold", "resources": [arn]}
        cloud.invoke("TakeBackups", by_hand, asynchronous=True)
        cloud.invoke("TakeBackups", {"trigger": "rebuild", "request_id": "r"}, asynchronous=True)
        cloud.clock.run_for(timedelta(hours=4))
        yield cloud


def test_nobody_was_refused_anything(cloud: Cloud) -> None:
    assert cloud.guard is not None
    assert cloud.guard.refusals == []
    assert [one.error for one in cloud.functions.invocations if one.error] == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_role_grants_exactly_what_its_adapters_declare(cloud: Cloud, function: str) -> None:
    granted = granted_actions(cloud.template, function)

    assert granted - set(BY_LAMBDA) == declared(function) - set(NOT_CALLED[function])
    assert granted & set(BY_LAMBDA), "the list of what Lambda itself needs is out of date"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_is_declared_was_seen(cloud: Cloud, function: str) -> None:
    assert cloud.guard is not None
    seen = set(cloud.guard.seen[function])

    assert seen <= declared(function)
    assert declared(function) - seen == set(NOT_CALLED[function])
