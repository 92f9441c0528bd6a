"""A night of databases and tables, killed, doubled, starved and lied to: the same recovery points
come of it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from local.aws import backup
from local.mischief import Mischief
from tests.crash.databases import (
    BOOKINGS,
    BROKEN,
    CALM,
    CARTS,
    LEDGER,
    OTHERS,
    QUICK,
    RATES,
    TONIGHT,
    VAULT,
    DatabaseAccount,
    Morning,
    account,
    findings,
    switches,
    tonight,
)
from tests.crash.forks import aside, explore_changes
from tests.crash.night import NIGHT, Outcome, Point, expire_later, records, run_night

CHOSEN = NIGHT + timedelta(seconds=90)
"""The night has chosen its targets, and taken none."""


@pytest.fixture(scope="module")
def evening() -> Iterator[DatabaseAccount]:
    """A minute before the night. Tests tell their stories aside, so all find it like this."""
    with account() as made:
        made.cloud.clock.run_until(NIGHT - timedelta(minutes=1))
        yield made


def night_with(made: DatabaseAccount, *troubles: Callable[[Mischief], object]) -> Morning:
    def story() -> Morning:
        for trouble in troubles:
            trouble(made.cloud.mischief)
        return tonight(made)

    return aside(story)


def night_changed(made: DatabaseAccount, change: Callable[[], object]) -> Morning:
    """How it goes if this happens to a target between its choice and its turn."""

    def story() -> Morning:
        made.cloud.clock.run_until(CHOSEN)
        change()
        return tonight(made)

    return aside(story)


def state_of(found: Morning, name: str) -> str:
    [state] = [point.state for point in found.end.points if point.source == name]
    return state


def fails_alone(found: Morning, name: str) -> bool:
    """It failed, as BROKEN always does, and all the others are as ever."""
    calm = {point for point in CALM if point.source != name}
    return (
        state_of(found, name) == "failed"
        and {point for point in found.end.points if point.source != name} == calm
        and not found.end.unlisted
        and set(found.end.runs.values()) == {"done"}
    )


# ── Killed, and raced ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "kind", "at_least"),
    [
        ("TakeBackups", "death", 50),
        ("TakeBackups", "twin", 45),
        ("SweepRuns", "death", 8),
        ("SweepRuns", "twin", 7),
    ],
)
def test_death_or_twin_at_every_call_that_changes_something(
    evening: DatabaseAccount, function: str, kind: str, at_least: int
) -> None:
    story = aside(lambda: explore_changes(evening.cloud, function, kind, lambda: tonight(evening)))
    assert len(story.branches) >= at_least
    news = set(story.calm.end.news)
    assert story.gone_wrong(lambda found: found.is_calm and set(found.end.news) == news) == []


def test_an_open_window_is_waited_out_and_holds_up_nobody(evening: DatabaseAccount) -> None:
    def story() -> dict[str, str]:
        run_night(evening)
        return {evening.name_of(one): one["created_at"][11:16] for one in records(evening.cloud)}

    taken_at = aside(story)
    assert taken_at.pop(BOOKINGS) == "02:06"  # its window is open until 02:05
    assert max(taken_at.values()) < "02:05"


# ── What is hidden ────────────────────────────────────────────────────────────────────────────────

CREATIONS = {
    LEDGER: ("rds", "CreateDBClusterSnapshot"),
    BOOKINGS: ("rds", "CreateDBSnapshot"),
    BROKEN: ("rds", "CreateDBSnapshot"),
    RATES: ("dynamodb", "CreateBackup"),
}


def is_of(name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda params: name in params.values()


def night_without_answers(
    made: DatabaseAccount, names: Iterable[str], hidden_for: timedelta
) -> tuple[Morning, Outcome]:
    """The morning after they were made and nobody heard of it; and what an expiry then leaves."""

    def story() -> tuple[Morning, Outcome]:
        made.cloud.pace = replace(QUICK, hidden_for=hidden_for)
        for name in names:
            made.cloud.mischief.fail(*CREATIONS[name], "ReadTimeout", after=True, match=is_of(name))
        return tonight(made), expire_later(made, 3)

    return aside(story)


@pytest.mark.parametrize("minutes", [1, 9])
def test_what_is_hidden_for_less_than_ten_minutes_is_never_made_twice(
    evening: DatabaseAccount, minutes: int
) -> None:
    found, later = night_without_answers(evening, CREATIONS, timedelta(minutes=minutes))
    assert found.is_calm, found
    assert not any(point.state == "double" for point in later.points)


def test_a_snapshot_of_a_database_has_a_name_and_so_no_double_however_long_it_is_hidden(
    evening: DatabaseAccount,
) -> None:
    names = (BOOKINGS, BROKEN, LEDGER)
    found, _ = night_without_answers(evening, names, timedelta(minutes=45))
    assert found.is_calm, found


def test_a_backup_hidden_for_longer_is_made_twice_and_the_double_is_expired(
    evening: DatabaseAccount,
) -> None:
    found, later = night_without_answers(evening, [RATES], timedelta(minutes=25))
    assert len(found.end.snapshots) == len(CALM) + 1
    assert Point(RATES, "completed", 1, TONIGHT) in found.end.points
    assert not found.undocumented
    # What failed and what was made twice is gone, and each has a record of it.
    assert not later.unlisted
    assert later.kept == {(name, "completed"): 1 for name in (BOOKINGS, CARTS, LEDGER, RATES)}
    assert len(later.snapshots) == len(CALM) - 1
    assert Point(RATES, "removed", 1, TONIGHT) in later.points


def test_what_was_promised_is_believed_for_an_hour(evening: DatabaseAccount) -> None:
    """A list that shows nothing is no proof that there is nothing."""

    def story() -> Morning:
        evening.cloud.pace = replace(QUICK, hidden_for=timedelta(minutes=45))
        return tonight(evening)

    assert aside(story).is_calm


# ── What AWS and the network do ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "trouble",
    [
        lambda mischief: mischief.trouble_events(drop=1.0),
        lambda mischief: mischief.trouble_events(repeat=1.0),
        lambda mischief: mischief.trouble_events(delay=timedelta(minutes=20), reorder=True),
    ],
    ids=["all dropped", "all repeated", "late and reordered"],
)
def test_events_only_make_it_sooner(
    evening: DatabaseAccount, trouble: Callable[[Mischief], object]
) -> None:
    assert night_with(evening, trouble).is_calm


READS = (
    ("rds", "DescribeDBInstances"),
    ("rds", "DescribeDBClusters"),
    ("rds", "DescribeDBSnapshots"),
    ("dynamodb", "DescribeContinuousBackups"),
    ("dynamodb", "ListBackups"),
    ("application-autoscaling", "DescribeScalableTargets"),
    ("s3", "GetObject"),
    ("kms", "DescribeKey"),
    ("backup", "ListRecoveryPointsByBackupVault"),
)
WRITES = (
    ("rds", "CreateDBSnapshot"),
    ("rds", "CreateDBClusterSnapshot"),
    ("dynamodb", "CreateBackup"),
    ("dynamodb", "UpdateContinuousBackups"),
    ("s3", "PutObject"),
)


@pytest.mark.parametrize(
    ("operations", "after"),
    # A read whose answer is lost has happened no more than one that was refused.
    [(READS, False), (WRITES, False), (WRITES, True)],
    ids=["not read", "not written", "written without an answer"],
)
def test_server_faults_change_nothing(
    evening: DatabaseAccount, operations: Iterable[tuple[str, str]], after: bool
) -> None:
    """Two faults in a row of each; botocore's own retries do not run here."""

    def trouble(mischief: Mischief) -> None:
        for service, operation in operations:
            mischief.fail(service, operation, "InternalError", status=500, after=after, times=2)

    found = night_with(evening, trouble)
    assert found.is_calm, found


def throttled(service: str, operation: str, minutes: int) -> Callable[[Mischief], object]:
    until = NIGHT + timedelta(minutes=minutes)
    return lambda mischief: mischief.throttle(
        service, operation, until=until, code="ThrottlingException"
    )


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("rds", "*"),
        ("dynamodb", "CreateBackup"),
        ("dynamodb", "ListBackups"),
        ("s3", "*"),
        ("kms", "*"),
    ],
)
def test_throttled_for_an_hour_it_is_only_later(
    evening: DatabaseAccount, service: str, operation: str
) -> None:
    found = night_with(evening, throttled(service, operation, 60))
    assert found.is_calm, found


def test_a_night_that_cannot_even_keep_its_records_is_only_later(evening: DatabaseAccount) -> None:
    """DynamoDB, with the table of the runs in it, begins to throttle in the middle."""
    trouble = throttled("dynamodb", "*", 60)
    found = night_changed(evening, lambda: trouble(evening.cloud.mischief))
    assert found.is_calm, found


# ── Denied ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("operation", ["CreateBackup", "DescribeTimeToLive"])
def test_a_table_that_its_own_policy_closes_fails_alone(
    evening: DatabaseAccount, operation: str
) -> None:
    found = night_with(
        evening,
        lambda mischief: mischief.fail(
            "dynamodb", operation, "AccessDeniedException", times=None, match=is_of(CARTS)
        ),
    )
    assert fails_alone(found, CARTS), found
    assert f"dynamodb:{operation} answered AccessDenied" in found.end.reasons[CARTS]


def test_one_that_was_postponed_and_is_then_denied_fails_alone(evening: DatabaseAccount) -> None:
    """It is the only one asked for by then; the others tell that it is not the role."""
    found = night_with(
        evening,
        lambda mischief: mischief.fail(
            "rds", "CreateDBSnapshot", "AccessDenied", times=None, match=is_of(BOOKINGS)
        ),
    )
    assert fails_alone(found, BOOKINGS), found
    assert "rds:CreateDBSnapshot answered AccessDenied" in found.end.reasons[BOOKINGS]
    assert not found.end.pages


def test_a_role_that_may_take_nothing_pages_and_loses_nothing(evening: DatabaseAccount) -> None:
    """Once it is allowed again, the next night is as good as ever."""

    def story() -> tuple[Morning, str, Outcome]:
        for service, operation in set(CREATIONS.values()):
            evening.cloud.mischief.fail(service, operation, "AccessDenied", times=None)
        denied = tonight(evening)
        evening.cloud.clock.run_for(timedelta(hours=1))  # the alarm counts by the hour
        subjects = [page.subject or "" for page in evening.cloud.published("PagesTopic")]
        evening.cloud.mischief.calm()
        evening.cloud.clock.run_until(NIGHT + timedelta(days=1, minutes=1))
        return denied, " ".join(subjects), run_night(evening)

    denied, subjects, next_day = aside(story)
    assert {point.state for point in denied.end.points} == {"failed"}
    assert len(denied.end.points) == len(CALM)
    assert not denied.end.snapshots
    assert all("AccessDenied" in why for why in denied.end.reasons.values())
    assert 'ALARM: "watchkeeper-RecoveryPointsFailedAlarm' in subjects
    assert next_day.kept == {
        (name, "failed" if name == BROKEN else "completed"): 1
        for name in (BOOKINGS, BROKEN, CARTS, LEDGER, RATES)
    }


@pytest.mark.parametrize(
    ("trouble", "unread"),
    [
        (throttled("backup", "*", 120), "backup:ListBackupVaults answered ThrottlingException"),
        (
            lambda mischief: mischief.fail("backup", "*", "AccessDeniedException", times=None),
            "backup:ListBackupVaults answered AccessDeniedException",
        ),
        (
            lambda mischief: mischief.fail(
                "backup", "ListRecoveryPointsByBackupVault", "AccessDeniedException", times=None
            ),
            f"AWS Backup's vault {VAULT} could not be read",
        ),
        # A Region without AWS Backup: nobody ever answers.
        (
            lambda mischief: mischief.fail("backup", "*", "ReadTimeout", times=None),
            "backup:ListBackupVaults answered ReadTimeoutError",
        ),
    ],
    ids=["throttled", "denied", "a vault denied", "no endpoint"],
)
def test_a_night_is_reported_without_aws_backup_and_says_so(
    evening: DatabaseAccount, trouble: Callable[[Mischief], object], unread: str
) -> None:
    def story() -> tuple[Morning, list[str]]:
        trouble(evening.cloud.mischief)
        return tonight(evening), findings(evening, "could not check")

    found, lines = aside(story)
    assert found.end.points == CALM
    assert set(found.end.runs.values()) == {"done"}
    assert not found.end.pages
    assert found.others == {one for one in OTHERS if one[1] != "AWS Backup"}
    assert [line for line in lines if unread in line], lines


def test_throttled_for_less_than_half_an_hour_aws_backup_is_waited_for(
    evening: DatabaseAccount,
) -> None:
    assert night_with(evening, throttled("backup", "*", 30)).is_calm


@pytest.mark.parametrize(
    "trouble",
    [
        throttled("dynamodb", "UpdateContinuousBackups", 120),
        *(
            partial(
                Mischief.fail,
                service="dynamodb",
                operation="UpdateContinuousBackups",
                code=code,
                times=None,
            )
            for code in ("ContinuousBackupsUnavailableException", "AccessDeniedException")
        ),
    ],
    ids=["throttled", "a new table", "denied"],
)
def test_a_night_is_reported_though_point_in_time_recovery_cannot_be_switched_on(
    evening: DatabaseAccount, trouble: Callable[[Mischief], object]
) -> None:
    def story() -> tuple[Morning, list[str]]:
        trouble(evening.cloud.mischief)
        return tonight(evening), findings(evening, "could not check")

    found, lines = aside(story)
    assert found.is_calm, found
    [line] = lines
    assert f"of {evening.arn(CARTS)} could not be switched on" in line
    assert "dynamodb:UpdateContinuousBackups answered" in line


def test_a_table_that_hides_its_point_in_time_recovery_hides_no_other(
    evening: DatabaseAccount,
) -> None:
    def story() -> tuple[Morning, list[str]]:
        evening.cloud.mischief.fail(
            "dynamodb", "DescribeContinuousBackups", "AccessDeniedException", times=None,
            match=is_of(CARTS),
        )  # fmt: skip
        return tonight(evening), findings(evening, "could not check")

    found, lines = aside(story)
    assert fails_alone(found, CARTS), found
    assert found.others == OTHERS
    assert [line for line in lines if f"of {evening.arn(CARTS)} could not be read" in line], lines


def test_a_night_is_reported_though_the_quota_may_not_be_read(evening: DatabaseAccount) -> None:
    """It counts as used up, so that its alarm sounds."""

    def story() -> tuple[Morning, list[str], list[float]]:
        evening.cloud.mischief.fail("rds", "DescribeAccountAttributes", "AccessDenied", times=None)
        found = tonight(evening)
        news = [one.json() for one in evening.cloud.published("NewsTopic")]
        told = [one for one in news if one["type"] == "BackupsReported"]
        used = [one["database_snapshot_quota_used"] for one in told]
        return found, findings(evening, "could not check"), used

    found, lines, used = aside(story)
    assert found.is_calm, found
    assert used == [100.0]
    assert len(lines) == len(("of instances", "of clusters"))
    assert all("rds:DescribeAccountAttributes answered AccessDenied" in line for line in lines)


# ── What becomes of the databases meanwhile ───────────────────────────────────────────────────────


def test_a_database_that_is_modified_for_a_while_is_waited_for(evening: DatabaseAccount) -> None:
    busy = partial(switches(evening.cloud).make_busy, BOOKINGS, "modifying")
    assert night_changed(evening, lambda: busy(timedelta(minutes=40))).is_calm
    found = night_changed(evening, lambda: busy(timedelta(hours=5)))
    assert fails_alone(found, BOOKINGS), found
    assert "modifying" in found.end.reasons[BOOKINGS]


def test_what_stops_or_goes_before_its_turn_fails_with_the_reason(evening: DatabaseAccount) -> None:
    aws, tables = evening.cloud.client("rds"), evening.cloud.client("dynamodb")
    changes: dict[str, tuple[str, Callable[[], object], str]] = {
        "stopped": (
            BOOKINGS, lambda: aws.stop_db_instance(DBInstanceIdentifier=BOOKINGS), "stopped"
        ),
        "database": (
            BOOKINGS,
            lambda: aws.delete_db_instance(DBInstanceIdentifier=BOOKINGS, SkipFinalSnapshot=True),
            "DBInstanceNotFound",
        ),
        "table": (CARTS, lambda: tables.delete_table(TableName=CARTS), "ResourceNotFound"),
    }  # fmt: skip
    for name, change, why in changes.values():
        found = night_changed(evening, change)
        assert fails_alone(found, name), found
        assert why in found.end.reasons[name]


def test_what_is_deleted_after_its_turn_has_its_recovery_point(evening: DatabaseAccount) -> None:
    def story() -> Morning:
        evening.cloud.clock.run_until(NIGHT + timedelta(minutes=6, seconds=45))
        aws, tables = evening.cloud.client("rds"), evening.cloud.client("dynamodb")
        aws.delete_db_instance(DBInstanceIdentifier=BOOKINGS, SkipFinalSnapshot=True)
        tables.delete_table(TableName=CARTS)
        return tonight(evening)

    found = aside(story)
    assert found.end.points == CALM
    assert not found.undocumented
    assert not found.end.unlisted


def test_a_key_disabled_before_its_turn_is_a_reason_for_its_database_alone(
    evening: DatabaseAccount,
) -> None:
    kms = evening.cloud.client("kms")
    found = night_changed(evening, lambda: kms.disable_key(KeyId=evening.key))
    assert fails_alone(found, BOOKINGS), found
    assert "is disabled" in found.end.reasons[BOOKINGS]


def test_the_quota_is_a_reason_for_those_that_it_stops(evening: DatabaseAccount) -> None:
    """One of each kind fits: the cluster and the instance that comes first."""

    def story() -> Morning:
        switches(evening.cloud).manual_snapshot_quota = 1
        return tonight(evening)

    found = aside(story)
    assert fails_alone(found, BOOKINGS), found
    assert "SnapshotQuotaExceeded" in found.end.reasons[BOOKINGS]


def test_what_aws_backup_keeps_is_left_to_it(evening: DatabaseAccount) -> None:
    """An expiry sees it no more than it sees a stranger's."""

    def story() -> tuple[set[str], set[str]]:
        tonight(evening)
        expire_later(evening, 3)
        held = backup.installed_in(evening.cloud).points
        rds = switches(evening.cloud).backend.database_snapshots.values()
        tables = evening.cloud.client("dynamodb").list_backups(BackupType="AWS_BACKUP")
        arns = {one.arn for one in rds} | {one["BackupArn"] for one in tables["BackupSummaries"]}
        return set(held), arns

    held, there = aside(story)
    assert held
    assert held <= there
