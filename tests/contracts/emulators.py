"""AWS as two emulators have it, one after the other: what our code may count on, both must do."""

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.template.stack import written

MINISTACK = Path(__file__).parents[2] / ".tools" / "ministack" / "bin" / "ministack"

EMULATORS = [
    "moto",
    pytest.param(
        "ministack",
        marks=[
            pytest.mark.slow,
            pytest.mark.enable_socket,
            pytest.mark.allow_hosts(["127.0.0.1"]),
            pytest.mark.skipif(
                not MINISTACK.exists(), reason="needs ministack: `make deploy-local` installs it"
            ),
        ],
    ),
]


@contextmanager
def emulator(name: str) -> Iterator[None]:
    """Every client made meanwhile talks to it; nothing is in it yet."""
    if name == "moto":
        with mock_aws():
            yield
        return
    with _ministack() as url, pytest.MonkeyPatch.context() as environment:
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


@contextmanager
def _ministack() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "IOT_MTLS_ENABLED": "0"}
    process = subprocess.Popen(
        [MINISTACK],
        env={**os.environ, **settings, "SFTP_ENABLED": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/_ministack/health", process)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=10)


def _wait_for(url: str, process: subprocess.Popen[Any]) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        assert process.poll() is None, f"ministack ended with {process.returncode}"
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
        else:
            return
    raise AssertionError("ministack did not answer within 30 s")
