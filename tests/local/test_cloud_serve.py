"""The box behind HTTP: the same account, for whoever cannot be in its process."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.core.models import botocore_stubber

from local.cloud import Cloud
from local.serve import Application, Server, environment_of
from tests.local.box import box

pytestmark = [
    pytest.mark.allow_hosts(["127.0.0.1"]),
    pytest.mark.enable_socket,
]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Cloud, Server]]:
    with box(ticking=True) as cloud:
        server = Server(cloud)
        server.start()
        # This process is inside the box; its clients would be answered without a server.
        monkeypatch.setattr(botocore_stubber, "enabled", False)
        yield cloud, server
        server.stop()


def outsider(server: Server, service: str) -> Any:
    return boto3.client(  # type: ignore[call-overload]
        service, endpoint_url=server.url, config=Config(retries={"total_max_attempts": 1})
    )


def post(url: str) -> dict[str, str]:
    request = urllib.request.Request(url, method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        body: dict[str, str] = json.load(answer)
    return body


def test_a_client_elsewhere_sees_the_same_account(served: tuple[Cloud, Server]) -> None:
    cloud, server = served
    tables = outsider(server, "dynamodb").list_tables()["TableNames"]
    assert tables == [cloud.physical_id("Table")]


def test_time_can_be_pushed(served: tuple[Cloud, Server]) -> None:
    cloud, server = served
    answer = post(f"{server.url}/box/advance?minutes=3")
    assert answer["now"].startswith("2026-11-23T00:03:")
    assert len(cloud.functions.invocations) == 4


def test_bad_minutes_are_refused(served: tuple[Cloud, Server]) -> None:
    _, server = served
    with pytest.raises(urllib.error.HTTPError, match="400"):
        post(f"{server.url}/box/advance?minutes=-1")


def test_what_the_box_lacks_is_an_error_at_once(served: tuple[Cloud, Server]) -> None:
    _, server = served
    with pytest.raises(ClientError, match="NotImplemented"):
        outsider(server, "ssm").describe_instance_information()


def test_functions_elsewhere_are_told_where_the_account_is(served: tuple[Cloud, Server]) -> None:
    cloud, server = served
    environment = environment_of(cloud, server.url)["Keeper"]
    assert environment["AWS_ENDPOINT_URL"] == server.url
    assert environment["TABLE_NAME"] == cloud.physical_id("Table")


@pytest.mark.parametrize(
    ("peer", "status"),
    [
        ("127.0.0.1", "200 OK"),
        ("172.17.0.2", "200 OK"),  # a container of Docker's
        ("10.88.0.7", "200 OK"),  # one of podman's
        ("192.168.1.20", "403 Forbidden"),
        ("203.0.113.9", "403 Forbidden"),
    ],
)
def test_only_this_machine_and_its_containers_are_let_in(peer: str, status: str) -> None:
    answered = []
    request = {"REMOTE_ADDR": peer, "REQUEST_METHOD": "GET", "PATH_INFO": "/box/now"}
    with box() as cloud:
        list(Application(cloud)(request, lambda status, _: answered.append(status)))
    assert answered == [status]
