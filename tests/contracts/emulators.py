"""AWS as two emulators have it, one after the other: what our code may count on, both must do."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.deployed.ministack import MARKS, ministack
from tests.template.stack import written

EMULATORS = ["moto", pytest.param("ministack", marks=MARKS)]


@contextmanager
def emulator(name: str) -> Iterator[None]:
    """Every client made meanwhile talks to it; nothing is in it yet."""
    if name == "moto":
        with mock_aws():
            yield
        return
    with ministack("ministack") as url, pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", url)
        environment.setenv("AWS_ACCESS_KEY_ID", "in-the-box")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "in-the-box")
        yield


@contextmanager
def table() -> Iterator[str]:
    """The template's own table, empty."""
    dynamodb = boto3.client("dynamodb")
    properties = written()["Resources"]["Table"]["Properties"]
    wanted = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
    name = "watchkeeper"
    dynamodb.create_table(TableName=name, **{key: properties[key] for key in wanted})
    yield name
    dynamodb.delete_table(TableName=name)


def bucket() -> str:
    """A bucket as the template has the one for evidence: versioned and locked; its name. It stays
    as long as its emulator: what is locked can hardly be removed.
    """
    s3: Any = boto3.client("s3")
    name = f"evidence-{uuid.uuid4().hex}"
    properties = written()["Resources"]["EvidenceBucket"]["Properties"]
    lock = properties["ObjectLockConfiguration"]
    lock["Rule"]["DefaultRetention"] = {"Mode": "GOVERNANCE", "Days": 1}  # parameters, there
    s3.create_bucket(
        Bucket=name,
        ObjectLockEnabledForBucket=properties["ObjectLockEnabled"],
        CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name},
    )
    s3.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=lock)
    return name
