"""Some of the storms that `storms.py` lives as a command."""

import pytest

from tests.simulation.storms import check, lived


@pytest.mark.parametrize("seed", range(100, 106))
def test_a_storm_is_one_page_and_loses_nothing(seed: int) -> None:
    check(lived(seed, 120))


@pytest.mark.parametrize("seed", [200, 201])
def test_though_one_call_in_fifty_is_the_last_one(seed: int) -> None:
    """A tenth of all invocations dies, so that people may have to wait for a lease and a sweep."""
    check(lived(seed, 60, deadliness=0.02))


@pytest.mark.slow
def test_a_thousand_alarms() -> None:
    storm = lived(7, 1_000)
    check(storm)
    assert storm.world.most["operations"] <= 100
    assert storm.world.counted["refused writes"] > 100, "nobody was in anybody's way"
