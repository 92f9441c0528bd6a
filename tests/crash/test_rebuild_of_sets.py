"""The catalogue of instances, lost and rebuilt: what was taken between scripts says so again."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.crash.databases import REBUILD, lose
from tests.crash.forks import aside
from tests.crash.night import NIGHT, records
from tests.crash.scripted import Account, account


@pytest.fixture(scope="module")
def evening() -> Iterator[Account]:
    with account() as made:
        made.cloud.clock.run_until(NIGHT - timedelta(minutes=1))
        yield made


def test_what_was_taken_between_scripts_says_so_again(evening: Account) -> None:
    def story() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        evening.cloud.clock.run_until(NIGHT + timedelta(hours=2))
        known = records(evening.cloud)
        lose(evening.cloud)
        assert evening.cloud.invoke("TakeBackups", REBUILD).ok
        return known, records(evening.cloud)

    known, again = aside(story)
    assert again == known
    assert {item["kind"] for item in known} == {"ec2-instance", "ebs-volume"}
    assert {item.get("consistency", "") for item in known} == {"application", ""}
