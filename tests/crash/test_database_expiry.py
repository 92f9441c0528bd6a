"""An expiry of databases and tables, killed, doubled and forbidden things: what was planned goes,
and nothing else.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from local.aws import dynamodb_backups
from tests.crash.databases import (
    BOOKINGS,
    BROKEN,
    CARTS,
    LEDGER,
    RATES,
    DatabaseAccount,
    account,
    switches,
)
from tests.crash.forks import aside, explore_changes
from tests.crash.night import NIGHT, Outcome, ours, outcome, records, settle
from watchkeeper import naming

EXPIRY = NIGHT + timedelta(days=2, hours=4)
"""The third day at 06:00: three nights have been taken, and two are to be kept."""
STARTED = EXPIRY + timedelta(minutes=46)
"""Ticks of ExpireBackups come every hour from the start of the box."""
GOOD = (BOOKINGS, CARTS, LEDGER, RATES)
BEFORE = {(name, "completed"): 3 for name in GOOD} | {(BROKEN, "failed"): 2}
"""The first night's failed one went the day before."""
KEPT = {(name, "completed"): 2 for name in GOOD} | {(BROKEN, "failed"): 1}
REMOVED = 6
"""A good one of each of four sources, and two failed ones of the fifth."""


@pytest.fixture(scope="module")
def third_day() -> Iterator[DatabaseAccount]:
    """Three nights in the catalogue, and strangers all around, shortly before the expiry."""
    # Each call is judged by the role, which may not delete what is gone: that has no tags.
    with account(thin=timedelta(hours=1), deny=True) as made:
        made.cloud.clock.run_until(NIGHT + timedelta(hours=1))
        _add_strangers(made)
        made.cloud.clock.run_until(STARTED - timedelta(minutes=1))
        assert outcome(made).kept == BEFORE
        yield made


OLD = NIGHT - timedelta(days=90)
"""When what is not ours was made: long enough ago to go, if it were."""


def _add_strangers(made: DatabaseAccount) -> None:
    """What looks like ours and is not, beside what AWS Backup keeps."""
    switches(made.cloud).record_snapshot(BOOKINGS, "before-upgrade", created_at=OLD)
    switches(made.cloud).record_snapshot(LEDGER, "before-upgrade", created_at=OLD)
    made.cloud.client("rds").copy_db_snapshot(
        SourceDBSnapshotIdentifier=naming.rds_name(oldest_snapshot_of(made, BOOKINGS)),
        TargetDBSnapshotIdentifier="a-copy-with-our-tags",
        CopyTags=True,
    )
    run, theirs = naming.night_id("nightly", OLD), "another-stack"
    point = naming.point_id(run, made.arn(BOOKINGS))
    switches(made.cloud).record_snapshot(
        BOOKINGS, naming.database_snapshot(theirs, point), created_at=OLD,
        tags={
            naming.TAG_STACK: theirs, naming.TAG_RUN: naming.rds_value(run),
            naming.TAG_PLAN: "nightly", naming.TAG_SOURCE: made.arn(BOOKINGS),
            naming.TAG_POINT: point,
        },
    )  # fmt: skip
    for name in names_like_ours(made):
        dynamodb_backups.installed_in(made.cloud).record_backup(CARTS, name, created_at=OLD)


def names_like_ours(made: DatabaseAccount) -> list[str]:
    """Of backups of CARTS that are another stack's, or of no run's."""
    stack, run = made.cloud.stack_name, naming.night_id("nightly", OLD)
    right, wrong = naming.point_id(run, made.arn(CARTS)), naming.point_id(run, made.arn(RATES))
    return [
        naming.table_backup("another-stack", "nightly", run, right),
        naming.table_backup(f"{stack}-2", "nightly", run, right),
        naming.table_backup(stack, "nightly", run, wrong),
        f"wk.{stack}.by-hand",
    ]


def strangers(made: DatabaseAccount) -> set[str]:
    """Every snapshot and backup there is that is none of ours."""
    rds, names = switches(made.cloud).backend, names_like_ours(made)
    backups = dynamodb_backups.installed_in(made.cloud).backend.backups.values()
    ours_begin_with = naming.database_snapshot(made.cloud.stack_name, "")
    return {
        *(
            str(one.arn)
            for kept in (rds.database_snapshots, rds.cluster_snapshots)
            for name, one in kept.items()
            if not name.startswith(ours_begin_with)
        ),
        *(str(one.arn) for one in backups if one.type != "USER" or one.name in names),
    }


@dataclass(frozen=True)
class Expired:
    """How an expiry ended."""

    end: Outcome
    lost: frozenset[str]
    """Of the strangers."""
    left: frozenset[str]
    """Our snapshots and backups that are still there."""

    @property
    def as_planned(self) -> bool:
        end = self.end
        recorded = {name for name, state in end.catalogue.items() if state != "removed"}
        return (
            end.kept == KEPT
            and sum(state == "removed" for state in end.catalogue.values()) == REMOVED
            and sum(point.state == "removed" for point in end.points) == REMOVED
            and self.left == recorded
            and set(end.runs.values()) == {"done"}
            and not end.pages
            and not self.lost
        )


def run_expiry(made: DatabaseAccount) -> Expired:
    before = strangers(made)
    made.cloud.clock.run_until(STARTED)
    end = settle(made)
    after = strangers(made)
    return Expired(end, frozenset(before - after), end.snapshots - after)


def expiry_after(made: DatabaseAccount, *changes: Callable[[], object]) -> Expired:
    """How the expiry ends if these changes come first."""

    def story() -> Expired:
        for change in changes:
            change()
        return run_expiry(made)

    return aside(story)


def points_of(made: DatabaseAccount, name: str) -> list[dict[str, Any]]:
    """The completed recovery points of a source, oldest first."""
    return [
        item
        for item in records(made.cloud)
        if item["resource"] == made.arn(name) and item["state"] == "completed"
    ]


def oldest_snapshot_of(made: DatabaseAccount, name: str) -> str:
    return str(points_of(made, name)[0]["parts"][0]["snapshot"])


# ── Killed, raced, starved ────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "at_least"), [("death", 20), ("twin", 20)])
def test_death_or_twin_at_every_call_that_changes_something(
    third_day: DatabaseAccount, kind: str, at_least: int
) -> None:
    story = aside(
        lambda: explore_changes(
            third_day.cloud, "ExpireBackups", kind, lambda: run_expiry(third_day)
        )
    )
    assert len(story.branches) >= at_least
    news = set(story.calm.end.news)
    assert story.gone_wrong(lambda found: found.as_planned and set(found.end.news) == news) == []


DELETIONS = (
    ("rds", "DeleteDBSnapshot"),
    ("rds", "DeleteDBClusterSnapshot"),
    ("dynamodb", "DeleteBackup"),
)
READINGS = (
    ("rds", "DescribeDBSnapshots"),
    ("rds", "DescribeDBSnapshotAttributes"),
    ("dynamodb", "ListBackups"),
    ("dynamodb", "DescribeBackup"),
)


@pytest.mark.parametrize(
    ("operations", "after"),
    [(READINGS, False), (DELETIONS, False), (DELETIONS, True)],
    ids=["not read", "not deleted", "deleted without an answer"],
)
def test_server_faults_change_nothing(
    third_day: DatabaseAccount, operations: Iterable[tuple[str, str]], after: bool
) -> None:
    def trouble() -> None:
        for service, operation in operations:
            third_day.cloud.mischief.fail(
                service, operation, "InternalError", status=500, after=after, times=2
            )

    found = expiry_after(third_day, trouble)
    assert found.as_planned, found


@pytest.mark.parametrize("service", ["rds", "dynamodb"])
def test_deletions_throttled_for_an_hour(third_day: DatabaseAccount, service: str) -> None:
    def throttle() -> None:
        for of, operation in DELETIONS:
            if of == service:
                third_day.cloud.mischief.throttle(
                    service, operation, until=EXPIRY + timedelta(hours=2), code="Throttling"
                )

    found = expiry_after(third_day, throttle)
    assert found.as_planned, found


def test_deletions_denied_stop_nothing_for_good(third_day: DatabaseAccount) -> None:
    """The role is mended in the afternoon; the next expiry does what was left."""

    def story() -> tuple[Expired, Outcome]:
        for service, operation in DELETIONS:
            third_day.cloud.mischief.fail(service, operation, "AccessDenied", times=None)
        denied = run_expiry(third_day)
        third_day.cloud.mischief.calm()
        third_day.cloud.clock.move_to(third_day.cloud.clock.now() + timedelta(hours=8))
        for _ in range(2):
            event = {"trigger": "by-hand", "request_id": "mended"}
            assert third_day.cloud.invoke("ExpireBackups", event).ok
            third_day.cloud.clock.run_for(timedelta(minutes=10))
        return denied, settle(third_day)

    denied, mended = aside(story)
    assert not denied.lost
    assert denied.end.pages
    assert len(denied.end.snapshots) == len(mended.snapshots) + REMOVED - 1  # one had gone before
    assert {key: mended.kept[key] for key in KEPT if key[0] != BROKEN} == {
        key: number for key, number in KEPT.items() if key[0] != BROKEN
    }


# ── What forbids a removal ────────────────────────────────────────────────────────────────────────


def shared(made: DatabaseAccount, snapshot: str) -> None:
    name, of_cluster = naming.rds_name(snapshot), ":cluster-snapshot:" in snapshot
    given = {"AttributeName": "restore", "ValuesToAdd": ["111122223333"]}
    aws = made.cloud.client("rds")
    if of_cluster:
        aws.modify_db_cluster_snapshot_attribute(DBClusterSnapshotIdentifier=name, **given)
    else:
        aws.modify_db_snapshot_attribute(DBSnapshotIdentifier=name, **given)


def held_by_law(made: DatabaseAccount, snapshot: str) -> None:
    tags = [{"Key": "watchkeeper:legal-hold", "Value": "case 7"}]
    made.cloud.client("rds").add_tags_to_resource(ResourceName=snapshot, Tags=tags)


def stripped(made: DatabaseAccount, snapshot: str) -> None:
    keys = ["watchkeeper:stack"]
    made.cloud.client("rds").remove_tags_from_resource(ResourceName=snapshot, TagKeys=keys)


def held_by_a_drill(made: DatabaseAccount, snapshot: str) -> None:
    changed(made, snapshot, "holds", {"L": [{"S": "drill#carts#2026-11-26"}]})


def changed(made: DatabaseAccount, snapshot: str, field: str, value: dict[str, Any]) -> None:
    found = records(made.cloud)
    [item] = [one for one in found if snapshot in {part["snapshot"] for part in one["parts"]}]
    made.cloud.client("dynamodb").update_item(
        TableName=made.cloud.physical_id("Table"),
        Key={"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}},
        UpdateExpression="SET #field = :value",
        ExpressionAttributeNames={"#field": field},
        ExpressionAttributeValues={":value": value},
    )


FORBIDDEN: list[tuple[str, Callable[[DatabaseAccount, str], None], str]] = [
    (BOOKINGS, shared, "is shared with 111122223333"),
    (LEDGER, shared, "is shared with 111122223333"),
    (BOOKINGS, held_by_law, "legal hold"),
    (LEDGER, held_by_law, "legal hold"),
    (BOOKINGS, stripped, "has lost its tag"),
    (CARTS, held_by_a_drill, "held by drill#carts"),
]


@pytest.fixture(scope="module")
def frozen_at(third_day: DatabaseAccount) -> int:
    """How many calls ExpireBackups makes until its plan is stored."""

    def story() -> int:
        first = len(third_day.cloud.calls)
        run_expiry(third_day)
        calls = [one for one in third_day.cloud.calls[first:] if one.function == "ExpireBackups"]
        sort_keys = [call.params.get("Item", {}).get("sk", {}).get("S", "") for call in calls]
        return sort_keys.index("TARGETS#000") + 1

    return aside(story)


def die_with_a_plan(made: DatabaseAccount, frozen_at: int) -> None:
    """The expiry dies once its plan is frozen, and is found again when all has changed."""
    made.cloud.mischief.kill("ExpireBackups", frozen_at, "after")
    made.cloud.clock.run_until(STARTED + timedelta(seconds=30))


@pytest.mark.parametrize(("name", "forbids", "why"), FORBIDDEN)
@pytest.mark.parametrize("late", [False, True], ids=["before the plan", "after the plan"])
def test_what_is_forbidden_stays_and_says_why(
    third_day: DatabaseAccount,
    name: str,
    forbids: Callable[[DatabaseAccount, str], None],
    why: str,
    late: bool,
    frozen_at: int,
) -> None:
    snapshot = oldest_snapshot_of(third_day, name)

    def story() -> tuple[Expired, list[str]]:
        if late:
            die_with_a_plan(third_day, frozen_at)
        forbids(third_day, snapshot)
        found = run_expiry(third_day)
        news = [one.json() for one in third_day.cloud.published("NewsTopic")]
        told = [one["reasons"] for one in news if one["type"] == "RecoveryPointsRemoved"]
        return found, told[-1]

    found, reasons = aside(story)
    end = found.end
    assert snapshot in found.left
    assert not found.lost
    assert end.kept == {**KEPT, (name, "completed"): 3}
    assert sum(point.state == "removed" for point in end.points) == REMOVED - 1
    assert any(why in reason for reason in reasons), reasons
    assert set(end.runs.values()) == {"done"}


@pytest.mark.parametrize("late", [False, True], ids=["before the plan", "after the plan"])
def test_a_record_that_names_a_strangers_backup_removes_it_no_more(
    third_day: DatabaseAccount, late: bool, frozen_at: int
) -> None:

    def story() -> Expired:
        if late:
            die_with_a_plan(third_day, frozen_at)
        backups = dynamodb_backups.installed_in(third_day.cloud).backend.backups.values()
        theirs = next(one.arn for one in backups if "another-stack" in one.name)
        part = {
            "snapshot": {"S": theirs}, "volume": {"S": third_day.arn(CARTS)}, "gib": {"N": "1"},
        }  # fmt: skip
        oldest = oldest_snapshot_of(third_day, CARTS)
        changed(third_day, oldest, "parts", {"L": [{"M": part}]})
        return run_expiry(third_day)

    found = aside(story)
    assert not found.lost
    assert found.end.kept[CARTS, "completed"] == 3  # one of them says why it stays
    assert set(found.end.runs.values()) == {"done"}


# ── What has changed since it was taken ───────────────────────────────────────────────────────────


def delete(made: DatabaseAccount, snapshot: str) -> None:
    """As a person would."""
    if ":rds:" not in snapshot:
        made.cloud.client("dynamodb").delete_backup(BackupArn=snapshot)
    elif ":cluster-snapshot:" in snapshot:
        made.cloud.client("rds").delete_db_cluster_snapshot(
            DBClusterSnapshotIdentifier=naming.rds_name(snapshot)
        )
    else:
        made.cloud.client("rds").delete_db_snapshot(DBSnapshotIdentifier=naming.rds_name(snapshot))


@pytest.mark.parametrize("name", [BOOKINGS, LEDGER, CARTS])
def test_what_somebody_else_removed_is_marked_and_does_not_count(
    third_day: DatabaseAccount, name: str
) -> None:
    """With the newest gone, the two that count are the two before it."""
    newest = points_of(third_day, name)[-1]["parts"][0]["snapshot"]
    found = expiry_after(third_day, lambda: delete(third_day, newest))
    end = found.end
    assert end.catalogue[newest] == "failed"
    assert "no longer exists" in end.reasons[name]
    assert end.kept[name, "completed"] == 2
    assert not found.lost


@pytest.mark.parametrize("name", [BOOKINGS, CARTS])
def test_the_last_good_one_stays_though_newer_ones_vanish_after_the_plan(
    third_day: DatabaseAccount, name: str, frozen_at: int
) -> None:
    """The plan keeps the two newest; somebody removes these while the expiry lies dead."""
    newer = [item["parts"][0]["snapshot"] for item in points_of(third_day, name)[1:]]

    def story() -> Outcome:
        die_with_a_plan(third_day, frozen_at)
        for snapshot in newer:
            changed(third_day, snapshot, "state", {"S": "failed"})
            delete(third_day, snapshot)
        return run_expiry(third_day).end

    end = aside(story)
    assert end.kept[name, "completed"] == 1
    assert set(end.runs.values()) == {"done"}


def test_tags_taken_off_every_snapshot_remove_none(third_day: DatabaseAccount) -> None:
    """What no longer carries our tag is not shown as ours; that is no proof that it is gone."""
    of_rds = [one for one in ours(third_day.cloud) if ":rds:" in one]

    def strip_all() -> None:
        for snapshot in of_rds:
            stripped(third_day, snapshot)

    found = expiry_after(third_day, strip_all)
    assert not found.lost
    assert found.left >= set(of_rds)
    assert found.end.kept == {**BEFORE, (CARTS, "completed"): 2, (RATES, "completed"): 2}


def test_a_source_that_is_gone_keeps_its_retention(third_day: DatabaseAccount) -> None:
    def delete_sources() -> None:
        aws = third_day.cloud.client("rds")
        aws.delete_db_instance(DBInstanceIdentifier=BOOKINGS, SkipFinalSnapshot=True)
        third_day.cloud.client("dynamodb").delete_table(TableName=RATES)
        # Until its own automated backups have gone with it, which nobody expires.
        third_day.cloud.clock.run_for(timedelta(minutes=10))

    found = expiry_after(third_day, delete_sources)
    assert found.as_planned, found

    def weeks_later() -> Outcome:
        delete_sources()
        run_expiry(third_day)
        third_day.cloud.clock.move_to(third_day.cloud.clock.now() + timedelta(days=30))
        for _ in range(2):
            event = {"trigger": "by-hand", "request_id": "weeks-later"}
            assert third_day.cloud.invoke("ExpireBackups", event).ok
        return outcome(third_day)

    end = aside(weeks_later)
    assert all(end.kept[name, "completed"] == 2 for name in GOOD)


def test_a_record_that_was_lost_comes_back(third_day: DatabaseAccount) -> None:
    """And with it all that its manifest tells."""

    def story() -> tuple[bool, list[dict[str, Any]], list[dict[str, Any]]]:
        lost = [points_of(third_day, name)[0] for name in GOOD]
        for item in lost:
            third_day.cloud.client("dynamodb").delete_item(
                TableName=third_day.cloud.physical_id("Table"),
                Key={"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}},
            )
        planned = run_expiry(third_day).as_planned
        after = {item["sk"]: item for item in records(third_day.cloud)}
        return planned, lost, [after.get(item["sk"], {}) for item in lost]

    planned, lost, back = aside(story)
    assert planned
    same = ("resource", "id", "kind", "run", "plan", "parts", "keys", "manifest", "completed_at")
    assert [[one.get(field) for field in same] for one in back] == [
        [one.get(field) for field in same] for one in lost
    ]
