"""One service of the box by itself: moto, a clock, and a bus that remembers what it was sent."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from types import ModuleType
from typing import Any, TypeVar

import boto3
import pytest
import time_machine
from moto import mock_aws
from moto.server import ThreadedMotoServer

from local.clock import Clock
from local.pace import Pace

TWO_O_CLOCK = datetime(2026, 11, 23, 2, tzinfo=UTC)
REGION = "us-east-1"
ACCOUNT = "123456789012"


@dataclass
class SentEvents:
    sent: list[dict[str, Any]] = field(default_factory=list)

    def send(self, event: dict[str, Any]) -> None:
        self.sent.append(event)

    def details(self, detail_type: str) -> list[dict[str, Any]]:
        return [event["detail"] for event in self.sent if event["detail-type"] == detail_type]

    @property
    def ids(self) -> list[str]:
        """Of RDS events."""
        return [event["detail"]["EventID"] for event in self.sent]


@dataclass
class ServiceBox:
    """What an extension of moto needs of the box."""

    stack: ExitStack
    clock: Clock
    pace: Pace
    events: SentEvents = field(default_factory=SentEvents)
    account_id: str = ACCOUNT
    region: str = REGION
    random: Random = field(default_factory=lambda: Random(2))
    endpoint: str | None = None
    extensions: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        return boto3.client(
            service,  # type: ignore[call-overload]
            region_name=REGION,
            endpoint_url=self.endpoint,
            aws_access_key_id="made-up",
            aws_secret_access_key="made-up",
        )


Box = TypeVar("Box", bound=ServiceBox)


@contextmanager
def service_box(
    kind: type[Box], *services: ModuleType, pace: Pace, over_http: bool = False
) -> Iterator[Box]:
    """A box with these extensions installed, at two o'clock at night."""
    # The environment last: moto puts back what it found in it.
    with pytest.MonkeyPatch.context() as environment, ExitStack() as stack:
        environment.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
        traveller = stack.enter_context(time_machine.travel(TWO_O_CLOCK, tick=False))
        endpoint = _served(stack) if over_http else None
        if not over_http:
            stack.enter_context(mock_aws())
        box = kind(stack, Clock(traveller), pace, endpoint=endpoint)
        for service in services:
            box.extensions[service.__name__] = service.install(box)
        yield box


def _served(stack: ExitStack) -> str:
    """The address of a moto server that runs until the stack closes."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    stack.callback(server.stop)
    host, port = server.get_host_and_port()
    return f"http://{host}:{port}"
