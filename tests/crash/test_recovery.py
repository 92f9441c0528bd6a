"""Recoveries in earnest, killed, raced and refused: one thing is made, never two, and what was made
is always named.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.crash.databases import BOOKINGS, BROKEN, CARTS, LEDGER, RATES
from tests.crash.forks import Story, aside, explore_changes
from tests.crash.recoveries import (
    DISK,
    ENDING,
    SERVER,
    Outcome,
    Shop,
    morning,
    recover,
)

INSTANCES, CLUSTERS, TABLES = {BOOKINGS, BROKEN, f"{LEDGER}-1"}, {LEDGER}, {RATES, CARTS}
"""What there is before."""
MADE: dict[str, tuple[set[str], set[str], set[str], int]] = {
    BOOKINGS: ({f"{BOOKINGS}{ENDING}"}, set(), set(), 0),
    LEDGER: ({f"{LEDGER}{ENDING}-1"}, {f"{LEDGER}{ENDING}"}, set(), 0),
    RATES: (set(), set(), {f"{RATES}{ENDING}"}, 0),
    SERVER: (set(), set(), set(), 2),
    DISK: (set(), set(), set(), 1),
}
"""Per resource, the instances, clusters, tables and volumes that a recovery of it makes."""


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    """Each call is judged by the role of its function. Tests tell their stories aside."""
    with morning(deny=True) as made:
        yield made


def is_as_calm(name: str, end: Outcome) -> bool:
    """One thing beside the original, with all its settings, written down and told once."""
    instances, clusters, tables, volumes = MADE[name]
    return (
        end.stands == "done"
        and set(end.instances) == INSTANCES | instances
        and set(end.clusters) == CLUSTERS | clusters
        and {one for one in end.tables if "-Table-" not in one} == TABLES | tables
        and len(end.volumes) == len(set(end.volumes)) == volumes
        and end.differs == {}
        and end.document["name"].endswith(ENDING)
        and end.told == (f"Recovered: {end.document['name']}",)
    )


def differing(name: str, story: Story[Outcome]) -> list[str]:
    """The branches that do not end as the calm story does, each with what is different."""
    assert is_as_calm(name, story.calm), story.calm
    return [
        f"{branch.name}: {branch.error or branch.outcome}"
        for branch in story.branches
        if branch.outcome is None or not is_as_calm(name, branch.outcome)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["death", "twin"])
@pytest.mark.parametrize("name", MADE)
def test_death_or_twin_at_every_call(shop: Shop, name: str, kind: str) -> None:
    story = aside(
        lambda: explore_changes(shop.cloud, "RecoverResources", kind, lambda: recover(shop, name))
    )
    assert len(story.branches) >= 10
    assert differing(name, story) == []


FAULTS = [
    (BOOKINGS, "rds", "RestoreDBInstanceFromDBSnapshot"),
    (BOOKINGS, "rds", "ModifyDBInstance"),
    (LEDGER, "rds", "RestoreDBClusterFromSnapshot"),
    (LEDGER, "rds", "CreateDBInstance"),
    (RATES, "dynamodb", "RestoreTableFromBackup"),
    (RATES, "dynamodb", "UpdateTimeToLive"),
    (RATES, "application-autoscaling", "RegisterScalableTarget"),
    (SERVER, "ec2", "CreateVolume"),
    (DISK, "ec2", "CreateTags"),
    (BOOKINGS, "s3", "PutObject"),
]


@pytest.mark.parametrize(("name", "service", "operation"), FAULTS)
@pytest.mark.parametrize("fault", ["throttled", "refused", "answer lost"])
def test_a_fault_changes_nothing(
    shop: Shop, name: str, service: str, operation: str, fault: str
) -> None:
    how: dict[str, Any] = {"code": "InternalError", "status": 500, "after": fault == "answer lost"}
    if fault == "throttled":
        how = {"code": "ThrottlingException", "status": 400, "after": False}

    def story() -> Outcome:
        shop.cloud.mischief.fail(service, operation, times=4, **how)
        return recover(shop, name)

    assert is_as_calm(name, aside(story))
