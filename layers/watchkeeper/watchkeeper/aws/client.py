"""boto3 clients, made when first used: a first client costs more than 100 ms of a cold start."""

from functools import cache
from typing import Any

import boto3
from botocore.config import Config

PATIENT = Config(
    connect_timeout=5,  # inside a Region a connection that takes longer is lost
    read_timeout=30,  # half of botocore's default: no call of ours is slow
    retries={"mode": "standard", "total_max_attempts": 3},
)
# Creating a snapshot has no client token: botocore's own retry after a lost answer would make a
# second one.
ONCE = Config(
    connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 1}
)


@cache
def _session() -> boto3.Session:
    return boto3.Session()


def client(service: str, config: Config = PATIENT) -> Any:
    """A new client of `service`, e.g. `dynamodb`. The adapters keep theirs in a cached property."""
    return _session().client(service, config=config)  # type: ignore[call-overload]
