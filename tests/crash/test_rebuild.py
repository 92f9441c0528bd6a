"""The catalogue, lost and rebuilt from the account: it equals what was lost, for every kind.

Two things are in no account: what failed and left no snapshot, and what was removed.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from local.cloud import Cloud
from tests.crash.databases import (
    BOOKINGS,
    BROKEN,
    CARTS,
    KINDS,
    LEDGER,
    OTHERS,
    QUICK,
    RATES,
    REBUILD,
    DatabaseAccount,
    Morning,
    account,
    lose,
    morning,
    switches,
    tonight,
)
from tests.crash.forks import aside, explore_changes
from tests.crash.night import NIGHT, expire_later, records, run_night, settle

Records = list[dict[str, Any]]


@pytest.fixture(scope="module")
def after_the_night() -> Iterator[DatabaseAccount]:
    """A night of databases, and what somebody asked for by hand after it, in their words."""
    with account() as made:
        run_night(made)
        event = {
            "trigger": "by-hand", "request_id": "before-migration", "plan": "nightly",
            "resources": [made.arn(name) for name in (BOOKINGS, LEDGER, RATES)],
            "tags": ["migration", "keep"],
        }  # fmt: skip
        assert made.cloud.invoke("TakeBackups", event).ok
        settle(made)
        yield made


def rebuilt(made: DatabaseAccount) -> Records:
    made.cloud.invoke("TakeBackups", REBUILD, asynchronous=True)
    made.cloud.clock.run_for(timedelta(minutes=1))
    settle(made)
    return records(made.cloud)


def lost_and_rebuilt(
    made: DatabaseAccount, before: Callable[[], object] = lambda: None
) -> tuple[Records, Records]:
    """The catalogue before and after; `before` happens while it is there."""

    def story() -> tuple[Records, Records]:
        before()
        known = records(made.cloud)
        lose(made.cloud)
        return known, rebuilt(made)

    return aside(story)


def test_of_databases_and_tables_all_comes_back(after_the_night: DatabaseAccount) -> None:
    known, again = lost_and_rebuilt(after_the_night)
    assert again == known
    # What the comparison is worth: keys, manifests and words are among what was lost.
    by_hand = [item for item in known if item["tags"]]
    assert {item["resource"] for item in known} == {after_the_night.arn(name) for name in KINDS}
    assert [sorted(item["tags"]) for item in by_hand] == [["keep", "migration"]] * 3
    assert all(item["manifest"] for item in known)
    encrypted = [item for item in known if item["resource"] == after_the_night.arn(BOOKINGS)]
    assert all(item["keys"] for item in encrypted)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "at_least"), [("death", 5), ("twin", 4)])
def test_killed_or_raced_while_it_is_rebuilt(
    after_the_night: DatabaseAccount, kind: str, at_least: int
) -> None:
    known = records(after_the_night.cloud)

    def story() -> Any:
        lose(after_the_night.cloud)
        return explore_changes(
            after_the_night.cloud, "TakeBackups", kind, lambda: rebuilt(after_the_night)
        )

    told = aside(story)
    assert len(told.branches) >= at_least
    assert told.gone_wrong(lambda again: again == known) == []


@pytest.mark.parametrize(
    ("service", "operation"),
    [("s3", "GetObject"), ("rds", "DescribeDBSnapshots"), ("dynamodb", "ListBackups")],
)
def test_what_cannot_be_read_now_is_waited_for(
    after_the_night: DatabaseAccount, service: str, operation: str
) -> None:
    mischief = after_the_night.cloud.mischief
    until = after_the_night.cloud.clock.now() + timedelta(minutes=20)
    known, again = lost_and_rebuilt(
        after_the_night,
        lambda: mischief.throttle(service, operation, until=until, code="Throttling"),
    )
    assert again == known


def test_what_is_in_no_account_does_not_come_back(after_the_night: DatabaseAccount) -> None:
    """The next night fails without a snapshot, and an expiry removes what failed before."""

    def next_night_refused() -> None:
        cloud = after_the_night.cloud
        cloud.clock.run_until(NIGHT + timedelta(days=1) - timedelta(minutes=1))
        cloud.client("kms").disable_key(KeyId=after_the_night.key)
        cloud.clock.run_until(NIGHT + timedelta(days=1, minutes=1))
        settle(after_the_night)
        expire_later(after_the_night, 2)

    known, again = lost_and_rebuilt(after_the_night, next_night_refused)
    missing = [item for item in known if item not in again]
    assert [item for item in again if item not in known] == []
    assert {(item["state"], bool(item["parts"])) for item in missing} == {
        ("failed", False), ("removed", True),
    }  # fmt: skip
    assert {item["resource"] for item in missing} >= {
        after_the_night.arn(name) for name in (BOOKINGS, BROKEN)
    }


def test_a_double_comes_back_as_one(after_the_night: DatabaseAccount) -> None:
    """The next night makes one: an answer is lost, and the backup hidden for long."""

    def next_night_doubled() -> None:
        cloud = after_the_night.cloud
        cloud.pace = replace(QUICK, hidden_for=timedelta(minutes=25))
        cloud.mischief.fail("dynamodb", "CreateBackup", "ReadTimeout", after=True)
        cloud.clock.run_until(NIGHT + timedelta(days=1, minutes=1))
        settle(after_the_night)
        cloud.clock.run_for(timedelta(minutes=30))

    known, again = lost_and_rebuilt(after_the_night, next_night_doubled)
    [extra] = [item for item in again if item not in known]
    assert extra["state"] == "double"
    assert [item for item in known if item not in again] == []


def test_what_is_still_being_made_is_left_to_its_night(after_the_night: DatabaseAccount) -> None:
    """A rebuild in mid-night neither takes its recovery points for done nor doubles them."""

    def story() -> tuple[Records, Morning]:
        cloud = after_the_night.cloud
        cloud.clock.run_until(NIGHT + timedelta(days=1, minutes=3, seconds=30))
        known = records(cloud)
        in_mid_night = [item for item in rebuilt_at_once(cloud) if item not in known]
        settle(after_the_night)
        return in_mid_night, morning(after_the_night)

    in_mid_night, found = aside(story)
    assert in_mid_night == []
    assert not found.end.unlisted
    second = [point for point in found.end.points if point.night == "2026-11-24T02:00Z"]
    assert {(point.source, point.state) for point in second} == {
        (name, "failed" if name == BROKEN else "completed") for name in KINDS
    }
    assert len(second) == len(KINDS)


def rebuilt_at_once(cloud: Cloud) -> Records:
    assert cloud.invoke("TakeBackups", REBUILD).ok
    return records(cloud)


def test_what_others_keep_is_read_again_by_the_next_night(
    after_the_night: DatabaseAccount,
) -> None:
    def story() -> Morning:
        cloud = after_the_night.cloud
        lose(cloud)
        cloud.clock.run_until(NIGHT + timedelta(days=1, minutes=1))
        return tonight(after_the_night)

    assert aside(story).others == OTHERS | {(CARTS, "point-in-time recovery")}


def test_a_copy_of_a_snapshot_is_no_recovery_point(after_the_night: DatabaseAccount) -> None:
    """It carries our tags along, and somebody else's purpose."""

    def copy() -> None:
        cloud = after_the_night.cloud
        made = switches(cloud).backend.database_snapshots.values()
        ours = next(one.resource_id for one in made if one.resource_id.startswith("wk-"))
        cloud.client("rds").copy_db_snapshot(
            SourceDBSnapshotIdentifier=ours, TargetDBSnapshotIdentifier="a-copy", CopyTags=True
        )

    known, again = lost_and_rebuilt(after_the_night, copy)
    assert again == known
