"""KMS in the box, held against the AWS page that each test names."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from botocore.exceptions import ClientError
from moto.kms.responses import KmsResponse

from local.aws import kms
from local.clock import Clock
from local.pace import INSTANT
from tests.local.service_box import ACCOUNT, REGION, TWO_O_CLOCK, ServiceBox, service_box

DAY = timedelta(days=1)
CALL = "AWS API Call via CloudTrail"


@pytest.fixture
def box() -> Iterator[ServiceBox]:
    with service_box(ServiceBox, kms, pace=INSTANT) as box:
        yield box


@pytest.fixture
def aws(box: ServiceBox) -> Any:
    return box.client("kms")


@pytest.fixture
def key(aws: Any) -> str:
    return str(aws.create_key()["KeyMetadata"]["Arn"])


def state(aws: Any, key: str) -> str:
    return str(aws.describe_key(KeyId=key)["KeyMetadata"]["KeyState"])


def refusal(call: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**request)
    return str(refused.value.response["Error"]["Code"])


def test_a_key_goes_when_its_waiting_period_is_over(box: ServiceBox, aws: Any, key: str) -> None:
    """https://docs.aws.amazon.com/kms/latest/APIReference/API_ScheduleKeyDeletion.html"""
    answer = aws.schedule_key_deletion(KeyId=key)

    assert (answer["KeyId"], answer["KeyState"]) == (key, "PendingDeletion")
    assert answer["DeletionDate"] == TWO_O_CLOCK + 30 * DAY
    box.clock.run_until(TWO_O_CLOCK + 29 * DAY)
    assert state(aws, key) == "PendingDeletion"
    box.clock.run_until(TWO_O_CLOCK + 30 * DAY)
    assert refusal(aws.describe_key, KeyId=key) == "NotFoundException"
    assert box.events.details("KMS CMK Deletion") == [{"key-id": key.rsplit("/", 1)[1]}]


def test_a_key_that_is_kept_after_all_stays_until_its_new_day(
    box: ServiceBox, aws: Any, key: str
) -> None:
    """https://docs.aws.amazon.com/kms/latest/APIReference/API_CancelKeyDeletion.html"""
    aws.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert aws.cancel_key_deletion(KeyId=key)["KeyId"] == key
    assert state(aws, key) == "Disabled"
    box.clock.run_until(TWO_O_CLOCK + DAY)
    aws.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    box.clock.run_until(TWO_O_CLOCK + 7 * DAY)
    assert state(aws, key) == "PendingDeletion"
    box.clock.run_until(TWO_O_CLOCK + 8 * DAY)
    assert refusal(aws.describe_key, KeyId=key) == "NotFoundException"


def test_what_can_be_done_depends_on_the_state(aws: Any, key: str) -> None:
    """https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html"""
    assert refusal(aws.cancel_key_deletion, KeyId=key) == "KMSInvalidStateException"
    refused = refusal(aws.schedule_key_deletion, KeyId=key, PendingWindowInDays=6)
    assert refused == "ValidationException"
    aws.disable_key(KeyId=key)
    aws.disable_key(KeyId=key)
    assert state(aws, key) == "Disabled"
    aws.schedule_key_deletion(KeyId=key)
    for call in (aws.enable_key, aws.disable_key, aws.schedule_key_deletion):
        assert refusal(call, KeyId=key) == "KMSInvalidStateException"
    aws.cancel_key_deletion(KeyId=key)
    aws.enable_key(KeyId=key)
    assert state(aws, key) == "Enabled"


def test_keys_of_others_are_denied_and_those_of_other_regions_not_there(aws: Any, key: str) -> None:
    """https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeKey.html"""
    foreign = key.replace(ACCOUNT, "210987654321")
    assert refusal(aws.describe_key, KeyId=foreign) == "AccessDeniedException"
    elsewhere = key.replace(REGION, "eu-west-1")
    assert refusal(aws.describe_key, KeyId=elsewhere) == "NotFoundException"


def test_cloudtrail_tells_what_was_done_to_a_key(box: ServiceBox, aws: Any, key: str) -> None:
    """https://docs.aws.amazon.com/kms/latest/developerguide/ct-schedule-key-deletion.html"""
    aws.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    aws.cancel_key_deletion(KeyId=key)
    aws.enable_key(KeyId=key)
    aws.disable_key(KeyId=key)
    told = box.events.details(CALL)

    assert [detail["eventName"] for detail in told] == [
        "ScheduleKeyDeletion", "CancelKeyDeletion", "EnableKey", "DisableKey",
    ]  # fmt: skip
    assert {detail["resources"][0]["ARN"] for detail in told} == {key}
    assert told[0]["responseElements"] == {
        "keyId": key, "keyState": "PendingDeletion", "deletionDate": "Nov 30, 2026 02:00:00 AM",
    }  # fmt: skip


def test_moto_is_as_it_was_after_the_box() -> None:
    before = dict(vars(KmsResponse))
    with ExitStack() as stack, time_machine.travel(TWO_O_CLOCK, tick=False) as traveller:
        kms.install(ServiceBox(stack, Clock(traveller), INSTANT))
        assert dict(vars(KmsResponse)) != before
    assert dict(vars(KmsResponse)) == before
