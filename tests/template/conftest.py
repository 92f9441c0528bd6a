"""The stack under test, once as it comes and once with every parameter set to something else."""

from typing import cast

import pytest

from tests.template.stack import Data, Stack, written

AS_IT_COMES: dict[str, str] = {}
ALL_DIFFERENT = {
    "PolicyPrefix": "/operations/night-watch",
    "PagesEmail": "on-call@example.com",
    "EvidenceRetentionMode": "COMPLIANCE",
    "EvidenceRetentionDays": "30",
    "IncidentRetentionDays": "90",
    "LogRetentionDays": "365",
    "LogLevel": "DEBUG",
    "DrillNetwork": "10.99.7.0/24",
    "DrillImage": "/operations/image",
    "ReserveConcurrency": "no",
}


@pytest.fixture(
    scope="session", params=[AS_IT_COMES, ALL_DIFFERENT], ids=["as it comes", "all different"]
)
def stack(request: pytest.FixtureRequest) -> Stack:
    return Stack(cast("dict[str, str]", request.param))


@pytest.fixture(scope="session")
def usual() -> Stack:
    return Stack(AS_IT_COMES)


@pytest.fixture(scope="session")
def different() -> Stack:
    return Stack(ALL_DIFFERENT)


@pytest.fixture(scope="session")
def source() -> Data:
    return written()
