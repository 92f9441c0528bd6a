"""KMS keys under recovery points that fail, through the real triggers: told of at once where
CloudTrail tells, within six hours where nothing does, and once, whoever dies over it.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from local.aws import kms
from local.cloud import Cloud
from tests.crash.forks import Story, aside, explore
from tests.crash.night import BEFORE, NIGHT, PACE, PLAN, POLICY, items, records

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
MORNING = NIGHT + 3 * HOUR
TAGS = [{"Key": "backup-plan", "Value": PLAN}]
VOLUME, DATABASE, TABLE = "vol-", "db:orders", "table/carts"
NOBODY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Deny", "Principal": "*", "Action": ["kms:DescribeKey"], "Resource": "*"}
    ],
}


@dataclass
class Account:
    """One of each, under one key; and RDS and DynamoDB keep spans of their own under it, too."""

    cloud: Cloud
    key: str

    @property
    def kms(self) -> Any:
        return self.cloud.client("kms")

    def pages(self) -> list[tuple[str, str]]:
        """Subject and text of those about keys, each once: SNS may repeat."""
        pages = [(page.subject or "", page.message) for page in self.cloud.published("PagesTopic")]
        return list(dict.fromkeys(page for page in pages if page[0].startswith("Keys failing: ")))

    def alarm(self) -> str:
        name = self.cloud.physical_id("KeysFailingAlarm")
        [found] = self.cloud.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
        return str(found["StateValue"])

    def open_runs(self) -> list[str]:
        return [item["pk"] for item in items(self.cloud) if item["sk"] == "RUN" and "step" in item]


@pytest.fixture(scope="module")
def morning() -> Iterator[Account]:
    """After a first night. Tests tell their stories aside, so all find it like this."""
    with Cloud(BEFORE, seeded=False, thin=timedelta(minutes=15), pace=PACE) as cloud:
        cloud.client("ssm").put_parameter(
            Name="/watchkeeper/policy/backups", Value=json.dumps(POLICY), Type="String"
        )
        made = Account(cloud, cloud.client("kms").create_key()["KeyMetadata"]["Arn"])
        _furnish(made)
        cloud.clock.run_until(MORNING)
        yield made


def _furnish(made: Account) -> None:
    cloud, key = made.cloud, made.key
    cloud.client("ec2").create_volume(
        AvailabilityZone=f"{cloud.region}a", Size=1, Encrypted=True, KmsKeyId=key,
        TagSpecifications=[{"ResourceType": "volume", "Tags": TAGS}],
    )  # fmt: skip
    cloud.client("rds").create_db_instance(
        DBInstanceIdentifier="orders", Engine="postgres", DBInstanceClass="db.t4g.micro",
        AllocatedStorage=20, MasterUsername="owner", MasterUserPassword="not-a-secret",
        StorageEncrypted=True, KmsKeyId=key, BackupRetentionPeriod=7, Tags=TAGS,
    )  # fmt: skip
    client = cloud.client("dynamodb")
    client.create_table(
        TableName="carts", BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}, Tags=TAGS,
    )  # fmt: skip
    cloud.clock.run_for(MINUTE)
    client.update_continuous_backups(
        TableName="carts", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )


# ── Told ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_disabled_key_is_told_of_at_once_with_what_is_under_it(morning: Account) -> None:
    def story() -> list[tuple[str, str]]:
        morning.kms.disable_key(KeyId=morning.key)
        morning.cloud.clock.run_for(MINUTE)
        return morning.pages()

    [(subject, text)] = aside(story)
    assert subject == "Keys failing: 1 more, recovery points at stake: 5"
    assert f"{morning.key} is disabled" in text
    assert "5 recovery points (2 of them somebody else's)" in text
    assert "nothing else restores 3 of these" in text
    assert all(name in text for name in (VOLUME, DATABASE, TABLE))


def test_the_alarm_sounds_is_well_again_and_a_second_failure_is_told_again(
    morning: Account,
) -> None:
    def story() -> list[tuple[str, int]]:
        clock, stands = morning.cloud.clock, []

        def look() -> None:
            stands.append((morning.alarm(), len(morning.pages())))

        clock.run_for(2 * HOUR)
        look()
        morning.kms.disable_key(KeyId=morning.key)
        clock.run_for(6 * HOUR)
        look()
        morning.kms.enable_key(KeyId=morning.key)
        clock.run_for(18 * HOUR)  # the alarm looks back over two checks of six hours
        look()
        morning.kms.disable_key(KeyId=morning.key)
        clock.run_for(MINUTE)
        look()
        return stands

    assert aside(story) == [("OK", 0), ("ALARM", 1), ("OK", 1), ("OK", 2)]


def test_a_deletion_that_is_scheduled_and_cancelled_is_two_states_to_tell(
    morning: Account,
) -> None:
    def story() -> list[tuple[str, str]]:
        clock = morning.cloud.clock
        morning.kms.schedule_key_deletion(KeyId=morning.key, PendingWindowInDays=7)
        clock.run_for(HOUR)
        morning.kms.cancel_key_deletion(KeyId=morning.key)
        clock.run_for(HOUR)
        morning.kms.enable_key(KeyId=morning.key)
        clock.run_for(7 * HOUR)
        return morning.pages()

    (_, dying), (_, disabled) = aside(story)
    assert "scheduled for deletion" in dying
    assert f"gone for good after {MORNING + timedelta(days=7):%Y-%m-%d %H:%M} UTC" in dying
    assert f"{morning.key} is disabled" in disabled


def test_a_key_that_is_gone_is_told_as_lost(morning: Account) -> None:
    def story() -> list[tuple[str, str]]:
        identifier = morning.key.rsplit("/", 1)[1]
        kms.installed_in(morning.cloud).backend.delete_key(identifier)  # its day has come
        morning.cloud.events.send(
            {
                "source": "aws.kms",
                "detail-type": "KMS CMK Deletion",
                "resources": [morning.key],
                "detail": {"key-id": identifier},
            }
        )
        morning.cloud.clock.run_for(MINUTE)
        return morning.pages()

    [(_, text)] = aside(story)
    assert f"{morning.key} has been deleted: all under it is lost" in text


def test_without_events_it_is_told_within_six_hours_and_once(morning: Account) -> None:
    def story() -> list[int]:
        morning.cloud.mischief.trouble_events(drop=1.0)
        morning.cloud.clock.run_for(MINUTE * 75)  # the check of 06:00 has just been
        morning.kms.disable_key(KeyId=morning.key)
        told = []
        for _ in range(3):
            morning.cloud.clock.run_for(6 * HOUR)
            told.append(len(morning.pages()))
        return told

    assert aside(story) == [1, 1, 1]


# ── Cut off, raced, throttled ─────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Outcome:
    pages: list[tuple[str, str]]
    left_open: list[str]


def told_by_event_and_tick(made: Account) -> Outcome:
    """Disabled three minutes before the check of 06:00, so that it finds the other's work undone,
    whoever dies when.
    """
    made.kms.disable_key(KeyId=made.key)
    made.cloud.clock.run_for(HOUR)
    return Outcome(made.pages(), made.open_runs())


def is_told_once(end: Outcome) -> bool:
    """And nothing is left to do."""
    return len(end.pages) == 1 and "5 recovery points" in end.pages[0][1] and not end.left_open


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "at_least"), [("death", 26), ("twin", 24)])
def test_death_or_twin_at_every_call_of_a_check_tells_once(
    morning: Account, kind: str, at_least: int
) -> None:
    def story() -> Story[Outcome]:
        morning.cloud.clock.run_until(MORNING + MINUTE * 58)
        return explore(
            morning.cloud,
            partial(told_by_event_and_tick, morning),
            functions={"TakeBackups"},
            kinds=(kind,),
            # The ticks after the two checks are as any other night has them.
            wanted=lambda _: morning.cloud.clock.now() < MORNING + 75 * MINUTE,
        )

    told = aside(story)
    assert len(told.branches) >= at_least
    assert told.gone_wrong(is_told_once) == []


def kms_throttled(made: Account) -> None:
    until = made.cloud.clock.now() + HOUR
    made.cloud.mischief.throttle("kms", "DescribeKey", until=until, code="ThrottlingException")


def events_repeated(made: Account) -> None:
    made.cloud.mischief.trouble_events(repeat=1.0)


def events_late(made: Account) -> None:
    made.cloud.mischief.trouble_events(delay=20 * MINUTE, reorder=True)


def memory_refused(made: Account) -> None:
    made.cloud.mischief.fail("dynamodb", "PutItem", "InternalServerError", after=True, times=3)


def page_refused(made: Account) -> None:
    made.cloud.mischief.fail("sns", "Publish", "InternalError", times=3)


@pytest.mark.parametrize(
    "trouble", [kms_throttled, events_repeated, events_late, memory_refused, page_refused]
)
def test_trouble_only_makes_it_later(morning: Account, trouble: Callable[[Account], None]) -> None:
    def story() -> Outcome:
        trouble(morning)
        morning.kms.disable_key(KeyId=morning.key)
        morning.cloud.clock.run_for(HOUR + MINUTE * 15)
        return Outcome(morning.pages(), morning.open_runs())

    end = aside(story)
    assert len(end.pages) == 1
    assert end.left_open == []


# ── A night under a key that fails ────────────────────────────────────────────────────────────────


def second_night(made: Account, just_before: Callable[[], object]) -> list[dict[str, Any]]:
    """The recovery points of the second night."""
    clock = made.cloud.clock
    clock.run_until(NIGHT + timedelta(days=1) - 5 * MINUTE)
    just_before()
    clock.run_for(4 * HOUR + 30 * MINUTE)  # past the check of 06:00
    return [item for item in records(made.cloud) if "2026-11-24" in item["run"]]


def snapshots(made: Account) -> int:
    """Of ours and of anybody's, asked for by hand: of volumes, databases and tables."""
    cloud = made.cloud
    return (
        len(cloud.client("ec2").describe_snapshots(OwnerIds=["self"])["Snapshots"])
        + len(cloud.client("rds").describe_db_snapshots(SnapshotType="manual")["DBSnapshots"])
        + len(cloud.client("dynamodb").list_backups()["BackupSummaries"])
    )


def test_nothing_is_taken_under_a_disabled_key_and_each_has_the_reason(morning: Account) -> None:
    def story() -> tuple[int, list[dict[str, Any]], int]:
        before = snapshots(morning)
        night = second_night(morning, lambda: morning.kms.disable_key(KeyId=morning.key))
        return before, night, snapshots(morning)

    before, night, after = aside(story)
    assert before == after == 3
    assert [(item["state"], item["parts"]) for item in night] == [("failed", [])] * 3
    for item in night:
        assert f"KMS key {morning.key} is disabled" in item["why"]
        assert f"aws kms enable-key --key-id {morning.key}" in item["why"]


def test_what_is_under_a_key_that_nobody_may_look_at_is_taken_and_told_of(
    morning: Account,
) -> None:
    def story() -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
        hide = partial(
            morning.kms.put_key_policy,
            KeyId=morning.key, PolicyName="default", Policy=json.dumps(NOBODY),
        )  # fmt: skip
        return second_night(morning, hide), morning.pages()

    night, pages = aside(story)
    assert [item["state"] for item in night] == ["completed"] * 3
    [(_, text)] = pages
    assert f"{morning.key} could not be checked" in text
    assert "AccessDeniedException" in text
