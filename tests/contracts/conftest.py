"""A fixture of module scope per emulator: starting ministack takes a second."""

from collections.abc import Iterator

import pytest

from tests.contracts.emulators import EMULATORS, bucket, emulator, table


@pytest.fixture(scope="module", params=EMULATORS)
def aws(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of the emulator that every client talks to."""
    with emulator(request.param):
        yield request.param


@pytest.fixture(name="table")
def empty_table(aws: str) -> Iterator[str]:
    with table() as name:
        yield name


@pytest.fixture(name="bucket")
def empty_bucket(aws: str) -> str:
    return bucket()
