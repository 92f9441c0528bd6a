"""A night of backups, killed, doubled, starved and lied to: the same recovery points come of it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from local.aws.ec2 import installed_in
from local.mischief import Mischief
from tests.crash.forks import aside, explore_changes
from tests.crash.night import (
    ARCHIVE,
    BROKEN,
    NIGHT,
    PACE,
    PLAN,
    SCRATCH,
    SERVER,
    Account,
    Outcome,
    Point,
    account,
    expire_later,
    items,
    records,
    run_night,
    settle,
)

CALM = (
    Point(ARCHIVE, "completed", 1, "2026-11-23T02:00Z"),
    Point(BROKEN, "failed", 1, "2026-11-23T02:00Z"),
    Point(SCRATCH, "completed", 1, "2026-11-23T02:00Z"),
    Point(SERVER, "completed", 2, "2026-11-23T02:00Z"),
)
"""What the night comes to: a point of every source, and one of them failed."""


@pytest.fixture(scope="module")
def evening() -> Iterator[Account]:
    """A minute before the night. Tests tell their stories aside, so all find it like this."""
    with account() as made:
        made.cloud.clock.run_until(NIGHT - timedelta(minutes=1))
        yield made


def night_with(made: Account, trouble: Callable[[Mischief], object]) -> Outcome:
    def story() -> Outcome:
        trouble(made.cloud.mischief)
        return run_night(made)

    return aside(story)


def is_as_calm(end: Outcome) -> bool:
    """None lost, none doubled, none leaked, nothing left to do, and nobody woken for it."""
    return (
        end.points == CALM
        and not end.unlisted
        and len(end.snapshots) == 5
        and set(end.runs.values()) == {"done"}
        and not end.pages
    )


EVERY_SECOND = (0, 2)
"""Of the calls that change something: test_databases.py has the others of the same steps."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "kind", "at_least"),
    [
        ("TakeBackups", "death", 20),
        ("TakeBackups", "twin", 20),
        ("SweepRuns", "death", 3),
        ("SweepRuns", "twin", 3),
    ],
)
def test_death_or_twin_at_every_call(
    evening: Account, function: str, kind: str, at_least: int
) -> None:
    story = aside(
        lambda: explore_changes(
            evening.cloud, function, kind, lambda: run_night(evening), EVERY_SECOND
        )
    )
    assert len(story.branches) >= at_least
    news = set(story.calm.news)
    assert story.gone_wrong(lambda end: is_as_calm(end) and set(end.news) == news) == []


# ── What is hidden ────────────────────────────────────────────────────────────────────────────────

CREATIONS = ("CreateSnapshots", "CreateSnapshot")
TEN_MINUTES = timedelta(minutes=10)


def slow_to_show(made: Account, hidden_for: timedelta) -> None:
    made.cloud.pace = replace(PACE, hidden_for=hidden_for)


def killed_after_each_creation(made: Account, hidden_for: timedelta) -> list[list[Outcome]]:
    """Per creation whose answer is lost: the morning after, and what an expiry then leaves."""
    creations = 3  # the instance's, and two of the three volumes'

    def story(number: int) -> list[Outcome]:
        slow_to_show(made, hidden_for)
        seen = iter(range(creations))
        # `after` the effect: EC2 has made it, and nobody has heard.
        made.cloud.mischief.fail(
            "ec2", "*", "ReadTimeout", after=True, match=lambda asked: _creates(asked, seen, number)
        )
        return [run_night(made), expire_later(made, 3)]

    return [aside(partial(story, number)) for number in range(creations)]


def _creates(asked: dict[str, Any], seen: Iterator[int], wanted: int) -> bool:
    is_creation = "TagSpecifications" in asked
    return is_creation and next(seen, None) == wanted


@pytest.mark.parametrize("minutes", [1, 9])
def test_what_is_hidden_for_less_than_ten_minutes_is_never_made_twice(
    evening: Account, minutes: int
) -> None:
    for morning, later in killed_after_each_creation(evening, timedelta(minutes=minutes)):
        assert is_as_calm(morning)
        assert not any(point.state == "double" for point in later.points)


@pytest.mark.parametrize("minutes", [25, 45, 100])
def test_what_is_hidden_for_longer_is_at_most_doubled_and_then_expired(
    evening: Account, minutes: int
) -> None:
    for morning, later in killed_after_each_creation(evening, timedelta(minutes=minutes)):
        # Only the creation that went unanswered is made again; the instance has two volumes.
        assert len(morning.snapshots) in (6, 7)
        assert not later.unlisted
        # What failed and what was made twice is gone.
        assert later.kept == {(name, "completed"): 1 for name in (ARCHIVE, SCRATCH, SERVER)}
        assert len(later.snapshots) == 4


def test_what_ec2_has_promised_is_believed_for_an_hour(evening: Account) -> None:
    """Describe that shows nothing is no proof that there is nothing."""

    def story() -> Outcome:
        slow_to_show(evening, timedelta(minutes=45))
        return run_night(evening)

    assert is_as_calm(aside(story))


def test_parts_of_two_attempts_are_never_mixed_into_one_recovery_point(evening: Account) -> None:
    """The first attempt's root volume stays hidden while the second attempt is made and ends."""

    def story() -> tuple[Outcome, dict[str, Any]]:
        slow_to_show(evening, timedelta(minutes=25))
        evening.cloud.mischief.fail("ec2", "CreateSnapshots", "InternalError", after=True)
        evening.cloud.clock.run_until(NIGHT + timedelta(minutes=3))
        first = [
            one
            for one in installed_in(evening.cloud).lives.values()
            if one.volume_id == evening.root
        ]
        first[0].visible_from += timedelta(hours=3)
        run_night(evening)
        end = expire_later(evening, 3)
        return end, {
            life.snapshot_id: life.started_at
            for life in installed_in(evening.cloud).lives.values()
            if life.volume_id in (evening.root, evening.data) and life.snapshot_id in end.snapshots
        }

    end, kept = aside(story)
    assert end.kept[SERVER, "completed"] == 1
    assert not end.unlisted
    assert len(set(kept.values())) == 1, "the parts that are kept began together"


# ── What AWS and the network do ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "trouble",
    [
        lambda mischief: mischief.trouble_events(drop=1.0),
        lambda mischief: mischief.trouble_events(repeat=1.0),
        lambda mischief: mischief.trouble_events(delay=timedelta(minutes=20), reorder=True),
        lambda mischief: mischief.trouble_events(
            drop=0.3, repeat=0.5, delay=timedelta(minutes=3), reorder=True, seed=7
        ),
    ],
    ids=["all dropped", "all repeated", "late and reordered", "some of each"],
)
def test_events_only_make_it_sooner(
    evening: Account, trouble: Callable[[Mischief], object]
) -> None:
    assert is_as_calm(night_with(evening, trouble))


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("ec2", "CreateSnapshot"),
        ("ec2", "CreateSnapshots"),
        ("ec2", "DescribeSnapshots"),
        ("ec2", "DescribeInstances"),
        ("dynamodb", "PutItem"),
        ("dynamodb", "UpdateItem"),
        ("dynamodb", "TransactWriteItems"),
        ("dynamodb", "Query"),
        ("sns", "Publish"),
        ("ssm", "GetParameter"),
    ],
)
@pytest.mark.parametrize("after", [False, True], ids=["refused", "answer lost"])
def test_a_server_fault_changes_nothing(
    evening: Account, service: str, operation: str, after: bool
) -> None:
    """Two faults in a row, with or without the effect; botocore's own retries do not run here."""
    end = night_with(
        evening,
        lambda mischief: mischief.fail(
            service, operation, "InternalError", status=500, after=after, times=2
        ),
    )
    assert is_as_calm(end), end


def test_creations_throttled_for_an_hour(evening: Account) -> None:
    def trouble(mischief: Mischief) -> None:
        for operation in CREATIONS:
            mischief.throttle("ec2", operation, until=NIGHT + timedelta(hours=1))

    assert is_as_calm(night_with(evening, trouble))


def test_creations_throttled_all_night_fail_with_the_reason_and_a_page(evening: Account) -> None:
    def trouble(mischief: Mischief) -> None:
        for operation in CREATIONS:
            mischief.throttle("ec2", operation, until=NIGHT + timedelta(hours=8))

    end = night_with(evening, trouble)
    assert {point.state for point in end.points} == {"failed"}
    assert len(end.points) == 4
    assert not end.snapshots
    assert "RequestLimitExceeded" in end.reasons[SERVER]
    assert [subject for subject in end.pages if subject.startswith("Failed: ")]


def test_the_snapshot_quota_is_a_reason_for_those_it_stops(evening: Account) -> None:
    def story() -> Outcome:
        ec2 = installed_in(evening.cloud)
        ec2.snapshot_quota = len(ec2.backend.snapshots) + 3
        return run_night(evening)

    end = aside(story)
    completed = [point for point in end.points if point.state == "completed"]
    assert completed
    assert len(end.points) == 4
    assert not end.unlisted
    refused = [name for name, why in end.reasons.items() if "SnapshotLimitExceeded" in why]
    assert refused
    assert not {point.source for point in completed} & set(refused)
    assert set(end.runs.values()) == {"done"}


def test_a_disabled_key_is_a_reason_for_its_volume_alone(evening: Account) -> None:
    def story() -> Outcome:
        cloud = evening.cloud
        kms, ec2 = cloud.client("kms"), cloud.client("ec2")
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        tags = [{"Key": "backup-plan", "Value": PLAN}]
        volume = ec2.create_volume(
            AvailabilityZone=f"{cloud.region}a", Size=1, Encrypted=True, KmsKeyId=key,
            TagSpecifications=[{"ResourceType": "volume", "Tags": tags}],
        )  # fmt: skip
        kms.disable_key(KeyId=key)
        evening.ids["vault"] = volume["VolumeId"]
        return run_night(evening)

    end = aside(story)
    assert Point("vault", "failed", 1, "2026-11-23T02:00Z") in end.points
    assert "not accessible" in end.reasons["vault"]
    assert set(CALM) <= set(end.points)


def test_an_instance_terminated_before_its_turn(evening: Account) -> None:
    def story() -> Outcome:
        evening.cloud.clock.run_until(NIGHT + timedelta(seconds=90))
        ec2 = evening.cloud.client("ec2")
        ec2.terminate_instances(InstanceIds=[evening.ids[SERVER]])
        return run_night(evening)

    end = aside(story)
    assert Point(SERVER, "failed", 0, "2026-11-23T02:00Z") in end.points
    assert "left to snapshot" in end.reasons[SERVER]  # it is shutting down, its disks are gone
    assert set(CALM) - set(end.points) == {CALM[3]}
    assert set(end.runs.values()) == {"done"}


def test_a_volume_deleted_before_its_turn(evening: Account) -> None:
    def story() -> Outcome:
        evening.cloud.clock.run_until(NIGHT + timedelta(seconds=90))
        evening.cloud.client("ec2").delete_volume(VolumeId=evening.ids[SCRATCH])
        return run_night(evening)

    end = aside(story)
    assert Point(SCRATCH, "failed", 0, "2026-11-23T02:00Z") in end.points
    assert "does not exist" in end.reasons[SCRATCH]
    assert set(CALM) - set(end.points) == {CALM[2]}


def test_one_failing_volume_fails_its_set_and_no_other(evening: Account) -> None:
    def story() -> Outcome:
        installed_in(evening.cloud).fail_snapshot_of(evening.data, "The volume is impaired.")
        return run_night(evening)

    end = aside(story)
    assert Point(SERVER, "failed", 2, "2026-11-23T02:00Z") in end.points
    assert "The volume is impaired." in end.reasons[SERVER]
    assert set(CALM) - set(end.points) == {CALM[3]}


def test_a_volume_detached_before_its_turn_is_named(evening: Account) -> None:
    def story() -> Outcome:
        evening.cloud.clock.run_until(NIGHT + timedelta(seconds=90))
        evening.cloud.client("ec2").detach_volume(VolumeId=evening.data)
        return run_night(evening)

    end = aside(story)
    assert Point(SERVER, "completed", 1, "2026-11-23T02:00Z") in end.points
    assert evening.data in end.reasons[SERVER]
    assert not end.unlisted


# ── By hand ───────────────────────────────────────────────────────────────────────────────────────


def test_by_hand_takes_the_named_resources_with_their_words(evening: Account) -> None:
    def story() -> tuple[Outcome, list[str]]:
        event = {
            "trigger": "by-hand", "request_id": "before-migration", "plan": PLAN,
            "resources": [evening.arn(ARCHIVE), evening.arn(SERVER)], "tags": ["migration"],
        }  # fmt: skip
        for _ in range(2):  # the same request again is the same run
            assert evening.cloud.invoke("TakeBackups", event).ok
        end = settle(evening)
        words = [item["tags"] for item in records(evening.cloud)]
        return end, [word for one in words for word in one]

    end, words = aside(story)
    asked_for = [point for point in end.points if point.night == "before-migration"]
    assert [(point.source, point.state) for point in asked_for] == [
        (ARCHIVE, "completed"),
        (SERVER, "completed"),
    ]
    assert words == ["migration", "migration"]
    assert not end.unlisted


def test_the_catalogue_is_rebuilt_from_the_account(evening: Account) -> None:
    def story() -> tuple[list[dict[str, Any]], list[dict[str, Any]], Outcome]:
        run_night(evening)
        before = records(evening.cloud)
        client, table = evening.cloud.client("dynamodb"), evening.cloud.physical_id("Table")
        for item in items(evening.cloud):
            key = {name: {"S": item[name]} for name in ("pk", "sk")}
            client.delete_item(TableName=table, Key=key)
        event = {"trigger": "rebuild", "request_id": "after-the-fire"}
        assert evening.cloud.invoke("TakeBackups", event).ok
        after = records(evening.cloud)
        return before, after, settle(evening)

    before, after, end = aside(story)
    assert len(before) == 4
    assert after == before
    assert end.points == CALM
