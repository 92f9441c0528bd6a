"""EC2 in the box, held against the AWS page that each test names."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from botocore.exceptions import ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.amis import Ami
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.models.instances import Instance
from moto.ec2.responses import EC2Response

from local.aws import ec2
from local.aws.ec2 import Ec2
from local.clock import Clock
from local.pace import INSTANT, Pace
from tests.local.service_box import ACCOUNT, REGION, TWO_O_CLOCK, ServiceBox, service_box

TEN_MINUTES = Pace(
    snapshot_takes=timedelta(minutes=10),
    deletion_takes=timedelta(minutes=1),
    hidden_for=timedelta(seconds=20),
)
STRANGER = "210987654321"


class Box(ServiceBox):
    @property
    def ec2(self) -> Ec2:
        return ec2.installed_in(self)


@pytest.fixture
def box() -> Iterator[Box]:
    with service_box(Box, ec2, pace=TEN_MINUTES) as box:
        yield box


@pytest.fixture
def aws(box: Box) -> Any:
    return box.client("ec2")


def launched(aws: Any, *sizes: int, tags: dict[str, str] | None = None) -> str:
    """An instance with a root volume and data volumes of these sizes, in GiB."""
    devices = ["/dev/sda1", "/dev/sdf", "/dev/sdg", "/dev/sdh"]
    ebs = [{"VolumeSize": size, "VolumeType": "gp3", "DeleteOnTermination": True} for size in sizes]
    specification = {"Tags": listed(tags or {"Name": "web"})}
    [instance] = aws.run_instances(
        ImageId="ami-0abcdef1234567890",
        MinCount=1,
        MaxCount=1,
        BlockDeviceMappings=[
            {"DeviceName": d, "Ebs": one} for d, one in zip(devices, ebs, strict=False)
        ],
        TagSpecifications=[
            {"ResourceType": kind, **specification} for kind in ("instance", "volume")
        ],
    )["Instances"]
    return str(instance["InstanceId"])


def volumes_of(aws: Any, instance_id: str) -> list[str]:
    """Root first."""
    [reservation] = aws.describe_instances(InstanceIds=[instance_id])["Reservations"]
    mappings = reservation["Instances"][0]["BlockDeviceMappings"]
    return [mapping["Ebs"]["VolumeId"] for mapping in mappings]


def volume(aws: Any, **more: Any) -> str:
    made = aws.create_volume(AvailabilityZone="us-east-1a", Size=more.pop("size", 10), **more)
    return str(made["VolumeId"])


def snapshot(aws: Any, volume_id: str, **tags: str) -> str:
    made = aws.create_snapshot(VolumeId=volume_id, TagSpecifications=specified(tags))
    return str(made["SnapshotId"])


def listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def specified(tags: dict[str, str], kind: str = "snapshot") -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": listed(tags)}] if tags else []


def described(aws: Any, *snapshot_ids: str, **request: Any) -> list[dict[str, Any]]:
    if snapshot_ids:
        request["SnapshotIds"] = list(snapshot_ids)
    found: list[dict[str, Any]] = aws.describe_snapshots(**request)["Snapshots"]
    return found


def code_of(failure: pytest.ExceptionInfo[ClientError]) -> str:
    return str(failure.value.response["Error"]["Code"])


def filtered(aws: Any, name: str, *values: str) -> set[str]:
    found = described(aws, Filters=[{"Name": name, "Values": list(values)}])
    return {one["SnapshotId"] for one in found}


# --- a snapshot's life ------------------------------------------------------------------------


def test_a_snapshot_is_hidden_then_pending_then_completed(box: Box, aws: Any) -> None:
    """API_CreateSnapshot, API_Snapshot; devguide/eventual-consistency.html."""
    made = aws.create_snapshot(VolumeId=volume(aws, size=100), Description="nightly")
    identifier = made["SnapshotId"]
    assert (made["State"], made["Progress"], made["StartTime"]) == ("pending", "", TWO_O_CLOCK)
    assert described(aws, OwnerIds=["self"]) == []
    with pytest.raises(ClientError) as failure:
        described(aws, identifier)
    assert code_of(failure) == "InvalidSnapshot.NotFound"

    seen = []
    for minutes in (1, 4, 4):
        box.clock.run_for(timedelta(minutes=minutes))
        [shown] = described(aws, identifier)
        assert shown["State"] == "pending"
        assert "CompletionTime" not in shown
        seen.append(shown["Progress"])
    assert seen == ["10%", "50%", "90%"]

    box.clock.run_for(timedelta(minutes=1))
    [shown] = described(aws, identifier)
    assert (shown["State"], shown["Progress"]) == ("completed", "100%")
    assert shown["CompletionTime"] == TWO_O_CLOCK + timedelta(minutes=10)
    assert shown["StorageTier"] == "standard"
    assert shown["Description"] == "nightly"
    assert 0 < shown["FullSnapshotSizeInBytes"] < 100 * 1024**3


def test_a_hidden_snapshot_is_missing_from_filtered_lists_too(box: Box, aws: Any) -> None:
    """devguide/eventual-consistency.html: the cause of doubles when one looks before repeating."""
    identifier = snapshot(aws, volume(aws), point="0123456789abcdef")
    assert filtered(aws, "tag:point", "0123456789abcdef") == set()
    box.clock.run_for(timedelta(seconds=20))
    assert filtered(aws, "tag:point", "0123456789abcdef") == {identifier}


def test_completion_is_announced_when_it_happens(box: Box, aws: Any) -> None:
    """ebs-cloud-watch-events.html#create-snapshot-complete: note the Region in the ARN's place."""
    volume_id = volume(aws)
    identifier = snapshot(aws, volume_id)
    box.clock.run_for(timedelta(minutes=9))
    assert box.events.sent == []
    box.clock.run_for(timedelta(minutes=1))
    [event] = box.events.sent
    assert list(event) == [
        "version",
        "id",
        "detail-type",
        "source",
        "account",
        "time",
        "region",
        "resources",
        "detail",
    ]
    assert event["detail-type"] == "EBS Snapshot Notification"
    assert event["time"] == "2026-11-23T02:10:00Z"
    assert event["resources"] == [f"arn:aws:ec2::us-east-1:snapshot/{identifier}"]
    assert event["detail"] == {
        "event": "createSnapshot",
        "result": "succeeded",
        "cause": "",
        "request-id": "",
        "snapshot_id": f"arn:aws:ec2::us-east-1:snapshot/{identifier}",
        "source": f"arn:aws:ec2::us-east-1:volume/{volume_id}",
        "startTime": "2026-11-23T02:00:00Z",
        "endTime": "2026-11-23T02:10:00Z",
    }


def test_a_snapshot_can_be_told_to_fail(box: Box, aws: Any) -> None:
    """API_Snapshot: `error`, StateMessage; ebs-cloud-watch-events.html: result `failed`."""
    volume_id = volume(aws)
    box.ec2.fail_snapshot_of(volume_id, "Something broke.")
    identifier = snapshot(aws, volume_id)
    box.clock.run_for(timedelta(minutes=10))
    [shown] = described(aws, identifier)
    assert (shown["State"], shown["StateMessage"]) == ("error", "Something broke.")
    assert shown["Progress"] != "100%"
    assert "CompletionTime" not in shown
    [detail] = box.events.details("EBS Snapshot Notification")
    assert (detail["result"], detail["cause"]) == ("failed", "Something broke.")

    second = snapshot(aws, volume_id)
    box.clock.run_for(timedelta(minutes=10))
    assert described(aws, second)[0]["State"] == "completed"


@pytest.mark.parametrize("ruin", ["disable_key", "schedule_key_deletion"])
def test_a_key_that_cannot_be_used_ends_the_snapshot_in_error(
    box: Box, aws: Any, ruin: str
) -> None:
    """API_Snapshot StateMessage; ebs/latest/userguide/how-ebs-encryption-works.html."""
    kms = box.client("kms")
    key = kms.create_key()["KeyMetadata"]
    volume_id = volume(aws, Encrypted=True, KmsKeyId=key["KeyId"])
    good = snapshot(aws, volume_id)
    getattr(kms, ruin)(KeyId=key["KeyId"])
    box.clock.run_for(timedelta(minutes=11))
    bad = snapshot(aws, volume_id)
    box.clock.run_for(timedelta(minutes=11))
    by_id = {one["SnapshotId"]: one for one in described(aws, good, bad)}
    assert by_id[good]["State"] == "completed"
    assert by_id[good]["Encrypted"] is True
    assert by_id[good]["KmsKeyId"] == key["Arn"]
    assert by_id[bad]["State"] == "error"
    assert by_id[bad]["StateMessage"] == "Given key ID is not accessible"


def test_what_was_frozen_stays_when_the_volume_grows_or_goes(box: Box, aws: Any) -> None:
    """API_Snapshot: VolumeSize is of the volume when it was taken, and outlives the volume."""
    volume_id = volume(aws, size=10)
    identifier = snapshot(aws, volume_id)
    aws.modify_volume(VolumeId=volume_id, Size=40)
    aws.delete_volume(VolumeId=volume_id)
    box.clock.run_for(timedelta(minutes=10))
    [shown] = described(aws, identifier)
    assert (shown["State"], shown["VolumeSize"], shown["VolumeId"]) == ("completed", 10, volume_id)


# --- refusals of creation ---------------------------------------------------------------------


def test_unknown_volumes_and_dry_runs_are_refused(box: Box, aws: Any) -> None:
    """errors-overview.html: InvalidVolume.NotFound, DryRunOperation."""
    with pytest.raises(ClientError) as failure:
        aws.create_snapshot(VolumeId="vol-0123456789abcdef0")
    assert code_of(failure) == "InvalidVolume.NotFound"
    with pytest.raises(ClientError) as failure:
        aws.create_snapshot(VolumeId=volume(aws), DryRun=True)
    assert code_of(failure) == "DryRunOperation"
    box.clock.run_for(timedelta(minutes=1))
    assert described(aws) == []


def test_one_volume_is_not_snapshotted_twice_within_15_seconds(box: Box, aws: Any) -> None:
    """errors-overview.html: SnapshotCreationPerVolumeRateExceeded."""
    instance_id = launched(aws, 8)
    [volume_id] = volumes_of(aws, instance_id)
    snapshot(aws, volume_id)
    box.clock.run_for(timedelta(seconds=14))
    again: list[Callable[[], Any]] = [
        lambda: snapshot(aws, volume_id),
        lambda: aws.create_snapshots(InstanceSpecification={"InstanceId": instance_id}),
    ]
    for call in again:
        with pytest.raises(ClientError) as failure:
            call()
        assert code_of(failure) == "SnapshotCreationPerVolumeRateExceeded"
    box.clock.run_for(timedelta(seconds=1))
    assert snapshot(aws, volume_id)


def test_a_volume_has_at_most_five_pending_snapshots(box: Box, aws: Any) -> None:
    """errors-overview.html: ConcurrentSnapshotLimitExceeded; general/latest/gr/ebs-service.html."""
    volume_id = volume(aws)
    for _ in range(5):
        snapshot(aws, volume_id)
        box.clock.run_for(timedelta(seconds=15))
    with pytest.raises(ClientError) as failure:
        snapshot(aws, volume_id)
    assert code_of(failure) == "ConcurrentSnapshotLimitExceeded"
    box.clock.run_for(timedelta(minutes=10))
    assert snapshot(aws, volume_id)


def test_failed_snapshots_count_as_pending_until_they_are_deleted(box: Box, aws: Any) -> None:
    """errors-overview.html, ConcurrentSnapshotLimitExceeded: `error` counts against the limit."""
    volume_id = volume(aws)
    box.ec2.fail_snapshot_of(volume_id, times=5)
    failed = []
    for _ in range(5):
        failed.append(snapshot(aws, volume_id))
        box.clock.run_for(timedelta(days=1))
    with pytest.raises(ClientError) as failure:
        snapshot(aws, volume_id)
    assert code_of(failure) == "ConcurrentSnapshotLimitExceeded"
    aws.delete_snapshot(SnapshotId=failed[0])
    box.clock.run_for(timedelta(minutes=1))
    assert snapshot(aws, volume_id)


def test_the_quota_of_snapshots_refuses_a_set_as_a_whole(box: Box, aws: Any) -> None:
    """errors-overview.html: SnapshotLimitExceeded."""
    box.ec2.snapshot_quota = 1
    with pytest.raises(ClientError) as failure:
        aws.create_snapshots(InstanceSpecification={"InstanceId": launched(aws, 8, 20)})
    assert code_of(failure) == "SnapshotLimitExceeded"
    assert snapshot(aws, volume(aws))


@pytest.mark.parametrize(
    ("specifications", "code"),
    [
        (specified({"aws:backup:source-resource": "x"}), "InvalidParameterValue"),
        (specified({f"key-{number}": "x" for number in range(51)}), "TagLimitExceeded"),
        (specified({"k" * 129: "x"}), "InvalidParameterValue"),
        (specified({"k": "x" * 257}), "InvalidParameterValue"),
        (specified({"k": "x"}, kind="volume"), "InvalidParameterValue"),
        (specified({"k": "x"}) + specified({"l": "y"}), "InvalidParameterValue"),
        (
            [{"ResourceType": "snapshot", "Tags": [*listed({"k": "x"}), *listed({"k": "y"})]}],
            "InvalidParameterValue",
        ),
    ],
    ids=["reserved", "51 tags", "long key", "long value", "other kind", "two lists", "twice"],
)
def test_bad_tags_are_refused_in_the_create_call(
    aws: Any, specifications: list[dict[str, Any]], code: str
) -> None:
    """AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions."""
    with pytest.raises(ClientError) as failure:
        aws.create_snapshot(VolumeId=volume(aws), TagSpecifications=specifications)
    assert code_of(failure) == code


def test_reserved_tags_are_refused_everywhere(box: Box, aws: Any) -> None:
    """Using_Tags.html: keys that begin with `aws:` are for AWS alone."""
    volume_id = volume(aws)
    for call in (aws.create_tags, aws.delete_tags):
        with pytest.raises(ClientError) as failure:
            call(Resources=[volume_id], Tags=listed({"aws:dlm:lifecycle-policy-id": "x"}))
        assert code_of(failure) == "InvalidParameterValue"


# --- multi-volume sets ------------------------------------------------------------------------


def test_a_set_has_one_snapshot_per_volume_and_one_event(box: Box, aws: Any) -> None:
    """API_CreateSnapshots, API_SnapshotInfo; ebs-create-snapshots.html."""
    instance_id = launched(aws, 8, 100, tags={"team": "harbour", "Name": "db"})
    root, data = volumes_of(aws, instance_id)
    made = aws.create_snapshots(
        InstanceSpecification={"InstanceId": instance_id},
        Description="nightly",
        TagSpecifications=specified({"Name": "db at night"}),
        CopyTagsFromSource="volume",
    )["Snapshots"]
    assert [(one["VolumeId"], one["VolumeSize"], one["State"]) for one in made] == [
        (root, 8, "pending"),
        (data, 100, "pending"),
    ]
    for one in made:
        assert one["OwnerId"] == ACCOUNT
        assert one["StartTime"] == TWO_O_CLOCK
        assert one["Description"] == "nightly"
        assert one["Encrypted"] is False
        tags = {tag["Key"]: tag["Value"] for tag in one["Tags"]}
        assert tags == {"Name": "db at night", "team": "harbour"}
    box.clock.run_for(timedelta(minutes=10))
    [event] = box.events.sent  # and no createSnapshot event of its members
    assert event["detail-type"] == "EBS Multi-Volume Snapshots Completion Status"
    identifiers = [f"arn:aws:ec2::us-east-1:snapshot/{one['SnapshotId']}" for one in made]
    assert event["resources"] == identifiers
    assert event["detail"] == {
        "event": "createSnapshots",
        "result": "succeeded",
        "cause": "",
        "request-id": "",
        "startTime": "2026-11-23T02:00:00Z",
        "endTime": "2026-11-23T02:10:00Z",
        "snapshots": [
            {
                "snapshot_id": identifier,
                "source": f"arn:aws:ec2::us-east-1:volume/{source}",
                "status": "completed",
            }
            for identifier, source in zip(identifiers, (root, data), strict=True)
        ],
    }


def test_one_failure_fails_the_whole_set(box: Box, aws: Any) -> None:
    """ebs-create-snapshots.html: "If any one snapshot … fails, all of the other snapshots enter
    the error state", one `createSnapshots` event with result `failed`.
    """
    instance_id = launched(aws, 8, 100, 100)
    box.ec2.fail_snapshot_of(volumes_of(aws, instance_id)[1])
    made = aws.create_snapshots(InstanceSpecification={"InstanceId": instance_id})["Snapshots"]
    box.clock.run_for(timedelta(minutes=10))
    shown = described(aws, *[one["SnapshotId"] for one in made])
    assert [one["State"] for one in shown] == ["error"] * 3
    [detail] = box.events.details("EBS Multi-Volume Snapshots Completion Status")
    assert detail["result"] == "failed"
    assert detail["cause"] == f"Snapshot {made[1]['SnapshotId']} is in status error"
    assert {one["status"] for one in detail["snapshots"]} == {"error"}


def test_volumes_can_be_left_out_of_a_set(aws: Any) -> None:
    """API_InstanceSpecification."""
    instance_id = launched(aws, 8, 20, 30)
    root, first, second = volumes_of(aws, instance_id)
    made = aws.create_snapshots(
        InstanceSpecification={
            "InstanceId": instance_id,
            "ExcludeBootVolume": True,
            "ExcludeDataVolumeIds": [second],
        }
    )["Snapshots"]
    assert [one["VolumeId"] for one in made] == [first]
    with pytest.raises(ClientError) as failure:
        aws.create_snapshots(
            InstanceSpecification={"InstanceId": instance_id, "ExcludeDataVolumeIds": [root]}
        )
    assert code_of(failure) == "InvalidParameterValue"


@pytest.mark.parametrize(
    ("instance_id", "code"),
    [
        ("i-0123456789abcdef0", "InvalidInstanceID.NotFound"),
        ("web-1", "InvalidInstanceID.Malformed"),
    ],
)
def test_a_set_of_no_instance_is_refused(aws: Any, instance_id: str, code: str) -> None:
    """errors-overview.html."""
    with pytest.raises(ClientError) as failure:
        aws.create_snapshots(InstanceSpecification={"InstanceId": instance_id})
    assert code_of(failure) == code


# --- deleting ---------------------------------------------------------------------------------


def test_a_deleted_snapshot_lingers_then_vanishes_with_its_tags(box: Box, aws: Any) -> None:
    """API_DeleteSnapshot; devguide/eventual-consistency.html."""
    identifier = snapshot(aws, volume(aws), Name="old")
    box.clock.run_for(timedelta(minutes=10))
    aws.delete_snapshot(SnapshotId=identifier)
    assert [one["SnapshotId"] for one in described(aws)] == [identifier]
    with pytest.raises(ClientError) as failure:
        aws.delete_snapshot(SnapshotId=identifier)
    assert code_of(failure) == "InvalidSnapshot.NotFound"
    box.clock.run_for(timedelta(minutes=1))
    assert described(aws) == []
    assert aws.describe_tags(Filters=[{"Name": "key", "Values": ["Name"]}])["Tags"] == []


def test_a_pending_snapshot_completes_before_its_deletion_takes_effect(box: Box, aws: Any) -> None:
    """ebs-deleting-snapshot.html."""
    identifier = snapshot(aws, volume(aws))
    box.clock.run_for(timedelta(minutes=1))
    aws.delete_snapshot(SnapshotId=identifier)
    box.clock.run_for(timedelta(minutes=9))
    assert described(aws, identifier)[0]["State"] == "completed"
    box.clock.run_for(timedelta(minutes=1))
    assert described(aws) == []


def test_deletion_names_what_it_cannot_find(aws: Any) -> None:
    """errors-overview.html."""
    for identifier, code in (
        ("snap-0123456789abcdef0", "InvalidSnapshot.NotFound"),
        ("vol-0123456789abcdef0", "InvalidSnapshotID.Malformed"),
    ):
        with pytest.raises(ClientError) as failure:
            aws.delete_snapshot(SnapshotId=identifier)
        assert code_of(failure) == code


# --- locks ------------------------------------------------------------------------------------


@pytest.fixture
def complete(box: Box, aws: Any) -> str:
    """A completed snapshot; it is ten past two."""
    identifier = snapshot(aws, volume(aws))
    box.clock.run_for(timedelta(minutes=10))
    box.events.sent.clear()
    return identifier


def test_a_governance_lock_forbids_deletion_until_unlocked(
    box: Box, aws: Any, complete: str
) -> None:
    """API_LockSnapshot, API_UnlockSnapshot, API_LockedSnapshotsInfo."""
    now = box.clock.now()
    answer = aws.lock_snapshot(SnapshotId=complete, LockMode="governance", LockDuration=30)
    expected = {
        "SnapshotId": complete,
        "LockState": "governance",
        "LockDuration": 30,
        "LockCreatedOn": now,
        "LockDurationStartTime": now,
        "LockExpiresOn": now + timedelta(days=30),
    }
    assert {key: answer.get(key) for key in expected} == expected
    assert aws.describe_locked_snapshots()["Snapshots"] == [{"OwnerId": ACCOUNT, **expected}]
    with pytest.raises(ClientError) as failure:
        aws.delete_snapshot(SnapshotId=complete)
    assert code_of(failure) == "OperationNotPermitted"
    aws.unlock_snapshot(SnapshotId=complete)
    assert aws.describe_locked_snapshots()["Snapshots"] == []
    aws.delete_snapshot(SnapshotId=complete)


def test_a_compliance_lock_can_be_taken_back_only_while_it_cools_off(
    box: Box, aws: Any, complete: str
) -> None:
    """snapshot-lock-concepts.html#cool-off; the event: ebs-cloud-watch-events.html."""
    now = box.clock.now()
    answer = aws.lock_snapshot(
        SnapshotId=complete, LockMode="compliance", LockDuration=2, CoolOffPeriod=24
    )
    assert (answer["LockState"], answer["CoolOffPeriod"]) == ("compliance-cooloff", 24)
    assert answer["CoolOffPeriodExpiresOn"] == now + timedelta(hours=24)
    [event] = box.events.sent
    assert event["resources"] == [f"arn:aws:ec2:us-east-1::snapshot/{complete}"]
    assert event["detail"] | {"snapshot_id": ""} == {
        "event": "lockSnapshot",
        "result": "succeeded",
        "cause": "",
        "request-id": "",
        "snapshot_id": "",
        "startTime": "2026-11-23T02:10:00Z",
        "endTime": "2026-11-23T02:10:00Z",
        "lockState": "compliance-cooloff",
        "lockCreatedOn": "2026-11-23T02:10:00Z",
        "lockExpiresOn": "2026-11-25T02:10:00Z",
        "lockDuration": "2",
        "lockStartDurationTime": "2026-11-23T02:10:00Z",
        "cooOffPeriod": "24",
        "coolOffPeriodExpiresOn": "2026-11-24T02:10:00Z",
    }
    aws.unlock_snapshot(SnapshotId=complete)
    aws.lock_snapshot(SnapshotId=complete, LockMode="compliance", LockDuration=2, CoolOffPeriod=1)
    box.clock.run_for(timedelta(hours=1))
    forbidden: list[Callable[[], Any]] = [
        lambda: aws.unlock_snapshot(SnapshotId=complete),
        lambda: aws.delete_snapshot(SnapshotId=complete),
        lambda: aws.lock_snapshot(SnapshotId=complete, LockMode="governance", LockDuration=9),
        lambda: aws.lock_snapshot(SnapshotId=complete, LockMode="compliance", LockDuration=1),
    ]
    for call in forbidden:
        with pytest.raises(ClientError) as failure:
            call()
        assert code_of(failure) == "OperationNotPermitted"
    longer = aws.lock_snapshot(SnapshotId=complete, LockMode="compliance", LockDuration=9)
    assert longer["LockExpiresOn"] == box.clock.now() + timedelta(days=9)


def test_a_lock_expires(box: Box, aws: Any, complete: str) -> None:
    """API_LockedSnapshotsInfo: `expired`, "not locked and can be deleted"."""
    until = box.clock.now() + timedelta(days=3)
    aws.lock_snapshot(SnapshotId=complete, LockMode="compliance", ExpirationDate=until)
    box.clock.run_for(timedelta(days=3))
    by_state = aws.describe_locked_snapshots(
        Filters=[{"Name": "lock-state", "Values": ["expired"]}]
    )
    assert [one["SnapshotId"] for one in by_state["Snapshots"]] == [complete]
    aws.delete_snapshot(SnapshotId=complete)


def test_a_lock_on_a_pending_snapshot_counts_from_its_completion(box: Box, aws: Any) -> None:
    """API_LockedSnapshotsInfo, LockDurationStartTime."""
    identifier = snapshot(aws, volume(aws))
    box.clock.run_for(timedelta(minutes=1))
    answer = aws.lock_snapshot(SnapshotId=identifier, LockMode="governance", LockDuration=1)
    assert answer["LockDurationStartTime"] == TWO_O_CLOCK + timedelta(minutes=10)
    assert answer["LockExpiresOn"] == TWO_O_CLOCK + timedelta(days=1, minutes=10)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"LockMode": "governance"}, "InvalidParameterCombination"),
        (
            {"LockMode": "governance", "LockDuration": 1, "CoolOffPeriod": 1},
            "InvalidParameterCombination",
        ),
        (
            {
                "LockMode": "compliance",
                "LockDuration": 1,
                "ExpirationDate": datetime(2030, 1, 1, tzinfo=UTC),
            },
            "InvalidParameterCombination",
        ),
        ({"LockMode": "governance", "LockDuration": 36_501}, "InvalidParameterValue"),
        (
            {"LockMode": "compliance", "LockDuration": 1, "CoolOffPeriod": 73},
            "InvalidParameterValue",
        ),
        (
            {"LockMode": "governance", "ExpirationDate": datetime(2020, 1, 1, tzinfo=UTC)},
            "InvalidParameterValue",
        ),
    ],
)
def test_bad_locks_are_refused(
    aws: Any, complete: str, request_: dict[str, Any], code: str
) -> None:
    """API_LockSnapshot."""
    with pytest.raises(ClientError) as failure:
        aws.lock_snapshot(SnapshotId=complete, **request_)
    assert code_of(failure) == code


# --- reading: owners, filters, pages ----------------------------------------------------------


def test_owners_and_restorers_are_honoured(box: Box, aws: Any, complete: str) -> None:
    """API_DescribeSnapshots, API_ModifySnapshotAttribute, API_DescribeSnapshotAttribute."""
    assert described(aws, OwnerIds=["self"])
    assert described(aws, OwnerIds=["amazon"]) == []
    assert described(aws, OwnerIds=[STRANGER]) == []
    assert described(aws, RestorableByUserIds=["self"])
    assert described(aws, RestorableByUserIds=[STRANGER]) == []
    aws.modify_snapshot_attribute(
        SnapshotId=complete,
        Attribute="createVolumePermission",
        OperationType="add",
        UserIds=[STRANGER],
    )
    shared = described(aws, RestorableByUserIds=[STRANGER])
    assert [one["SnapshotId"] for one in shared] == [complete]
    attribute = aws.describe_snapshot_attribute(
        SnapshotId=complete, Attribute="createVolumePermission"
    )
    assert attribute["CreateVolumePermissions"] == [{"UserId": STRANGER}]


def test_snapshots_are_found_by_every_documented_filter(box: Box, aws: Any) -> None:
    """API_DescribeSnapshots, Filters; wildcards: UserGuide/Using_Filtering.html."""
    first_volume, second_volume = volume(aws, size=10), volume(aws, size=20)
    first = aws.create_snapshot(
        VolumeId=first_volume,
        Description="of [the] db*",
        TagSpecifications=specified({"plan": "gold", "Name": "a"}),
    )["SnapshotId"]
    box.clock.run_for(timedelta(days=1))
    second = snapshot(aws, second_volume, plan="silver")
    box.clock.run_for(timedelta(minutes=5))
    both = {first, second}
    for name, values, expected in [
        ("status", ["completed"], {first}),
        ("status", ["pending"], {second}),
        ("progress", ["50%"], {second}),
        ("volume-id", [first_volume], {first}),
        ("volume-size", ["20"], {second}),
        ("owner-id", [ACCOUNT], both),
        ("owner-alias", ["amazon"], set()),
        ("description", ["of [the] db\\*"], {first}),
        ("description", ["of * ??\\*"], {first}),
        ("description", ["of t*"], set()),
        ("encrypted", ["false"], both),
        ("storage-tier", ["standard"], both),
        ("start-time", ["2026-11-23*"], {first}),
        ("start-time", ["2026-11-24T02:00:00.000Z"], {second}),
        ("snapshot-id", [second], {second}),
        ("tag-key", ["Name"], {first}),
        ("tag:plan", ["gold", "silver"], both),
        ("tag:plan", ["Gold"], set()),
        ("tag:plan", ["*"], both),
        ("tag:Plan", ["gold"], set()),
    ]:
        assert filtered(aws, name, *values) == expected, (name, values)


def test_filters_that_aws_does_not_know_are_refused(aws: Any) -> None:
    """errors-overview.html: InvalidParameterValue; Using_Filtering.html: 200 values at most."""
    for call in (
        aws.describe_snapshots,
        aws.describe_volumes,
        aws.describe_instances,
        aws.describe_images,
        aws.describe_locked_snapshots,
    ):
        with pytest.raises(ClientError) as failure:
            call(Filters=[{"Name": "colour", "Values": ["red"]}])
        assert code_of(failure) == "InvalidParameterValue"
        assert "'colour'" in failure.value.response["Error"]["Message"]
    with pytest.raises(ClientError) as failure:
        filtered(aws, "tag:point", *[str(number) for number in range(201)])
    assert code_of(failure) == "FilterLimitExceeded"


def test_snapshots_come_in_pages_that_nothing_shifts(box: Box, aws: Any) -> None:
    """API_DescribeSnapshots, MaxResults and NextToken."""
    box.pace = INSTANT
    made = [snapshot(aws, volume(aws)) for _ in range(12)]
    page = aws.describe_snapshots(MaxResults=5)
    seen = [one["SnapshotId"] for one in page["Snapshots"]]
    assert seen == made[:5]
    aws.delete_snapshot(SnapshotId=made[0])
    box.clock.run_for(timedelta(seconds=1))
    page = aws.describe_snapshots(MaxResults=5, NextToken=page["NextToken"])
    seen += [one["SnapshotId"] for one in page["Snapshots"]]
    page = aws.describe_snapshots(MaxResults=5, NextToken=page["NextToken"])
    seen += [one["SnapshotId"] for one in page["Snapshots"]]
    assert seen == made
    assert "NextToken" not in page
    assert len(described(aws)) == 11  # without MaxResults: all


@pytest.mark.parametrize(
    ("operation", "list_name"),
    [("describe_volumes", "Volumes"), ("describe_instances", "Reservations")],
)
def test_volumes_and_instances_come_in_pages(aws: Any, operation: str, list_name: str) -> None:
    """API_DescribeVolumes, API_DescribeInstances."""
    for _ in range(11):
        launched(aws, 8)
    pages = aws.get_paginator(operation).paginate(PaginationConfig={"PageSize": 5})
    assert [len(page[list_name]) for page in pages] == [5, 5, 1]


@pytest.mark.parametrize(
    ("operation", "request_", "code"),
    [
        ("describe_snapshots", {"MaxResults": 4}, "InvalidParameterValue"),
        ("describe_volumes", {"MaxResults": 4}, "InvalidParameterValue"),
        ("describe_instances", {"MaxResults": 4}, "InvalidParameterValue"),
        ("describe_instances", {"MaxResults": 1001}, "InvalidParameterValue"),
        ("describe_snapshots", {"NextToken": "made-up", "MaxResults": 5}, "InvalidNextToken"),
        (
            "describe_snapshots",
            {"MaxResults": 5, "SnapshotIds": ["snap-0123456789abcdef0"]},
            "InvalidParameterCombination",
        ),
        (
            "describe_volumes",
            {"MaxResults": 5, "VolumeIds": ["vol-0123456789abcdef0"]},
            "InvalidParameterCombination",
        ),
        (
            "describe_instances",
            {"MaxResults": 5, "InstanceIds": ["i-0123456789abcdef0"]},
            "InvalidParameterCombination",
        ),
        ("describe_volumes", {"VolumeIds": ["vol-0123456789abcdef0"]}, "InvalidVolume.NotFound"),
        (
            "describe_instances",
            {"InstanceIds": ["i-0123456789abcdef0"]},
            "InvalidInstanceID.NotFound",
        ),
        ("describe_images", {"ImageIds": ["ami-0123456789abcdef0"]}, "InvalidAMIID.NotFound"),
    ],
)
def test_bad_describes_are_refused(
    aws: Any, operation: str, request_: dict[str, Any], code: str
) -> None:
    """The API page of each, and errors-overview.html."""
    with pytest.raises(ClientError) as failure:
        getattr(aws, operation)(**request_)
    assert code_of(failure) == code


def test_pages_longer_than_allowed_are_cut(aws: Any) -> None:
    """API_DescribeVolumes: a MaxResults larger than 500 returns 500."""
    for _ in range(2):
        volume(aws)
    assert len(aws.describe_volumes(MaxResults=5000)["Volumes"]) == 2


def test_instances_and_volumes_are_filtered(aws: Any) -> None:
    """API_DescribeInstances, API_DescribeVolumes: the filters that a backup tool uses."""
    web = launched(aws, 8, tags={"backup-plan": "gold"})
    other = launched(aws, 8, tags={"Name": "other"})
    spare = volume(aws, TagSpecifications=specified({"backup-plan": "gold"}, kind="volume"))
    aws.stop_instances(InstanceIds=[other])

    def instances(name: str, value: str) -> list[str]:
        found = aws.describe_instances(Filters=[{"Name": name, "Values": [value]}])
        return [one["InstanceId"] for each in found["Reservations"] for one in each["Instances"]]

    def volumes(name: str, value: str) -> list[str]:
        found = aws.describe_volumes(Filters=[{"Name": name, "Values": [value]}])
        return [one["VolumeId"] for one in found["Volumes"]]

    [of_web] = volumes_of(aws, web)
    [attachment] = aws.describe_volumes(VolumeIds=[of_web])["Volumes"][0]["Attachments"]
    assert attachment["DeleteOnTermination"] is True
    assert instances("tag:backup-plan", "gold") == [web]
    assert instances("instance-state-name", "stopped") == [other]
    assert instances("block-device-mapping.volume-id", of_web) == [web]
    assert instances("launch-time", "2026-11-23T02*") == [web, other]
    assert volumes("status", "available") == [spare]
    assert volumes("attachment.instance-id", web) == [of_web]
    assert sorted(volumes("tag:backup-plan", "gold")) == sorted([of_web, spare])
    assert volumes("volume-type", "gp2") == [spare]


# --- images -----------------------------------------------------------------------------------


def test_an_image_has_the_volumes_of_its_instance_and_keeps_their_snapshots(
    box: Box, aws: Any
) -> None:
    """API_CreateImage (two TagSpecifications), API_DescribeImages, API_DeleteSnapshot."""
    instance_id = launched(aws, 8, 100)
    image_id = aws.create_image(
        InstanceId=instance_id,
        Name="harbour-web",
        NoReboot=True,
        TagSpecifications=[
            *specified({"kind": "image"}, kind="image"),
            *specified({"kind": "snapshot"}),
        ],
    )["ImageId"]
    [image] = aws.describe_images(ImageIds=[image_id])["Images"]
    assert (image["State"], image["Tags"]) == ("pending", listed({"kind": "image"}))
    assert image["RootDeviceName"] == "/dev/sda1"
    mappings = {one["DeviceName"]: one["Ebs"] for one in image["BlockDeviceMappings"]}
    assert {device: ebs["VolumeSize"] for device, ebs in mappings.items()} == {
        "/dev/sda1": 8,
        "/dev/sdf": 100,
    }
    box.clock.run_for(timedelta(minutes=10))
    assert aws.describe_images(Owners=["self"])["Images"][0]["State"] == "available"
    identifiers = {ebs["SnapshotId"] for ebs in mappings.values()}
    assert filtered(aws, "tag:kind", "snapshot") == identifiers
    [shown, _] = described(aws, Filters=[{"Name": "tag:kind", "Values": ["snapshot"]}])
    assert shown["Description"] == f"Created by CreateImage({instance_id}) for {image_id}"
    [event] = [one for one in box.events.sent if one["detail-type"] == "EC2 AMI State Change"]
    assert event["detail"]["State"] == "available"

    found = aws.describe_images(
        Filters=[{"Name": "block-device-mapping.snapshot-id", "Values": list(identifiers)}]
    )["Images"]
    assert [one["ImageId"] for one in found] == [image_id]
    for identifier in identifiers:
        with pytest.raises(ClientError) as failure:
            aws.delete_snapshot(SnapshotId=identifier)
        assert code_of(failure) == "InvalidSnapshot.InUse"
        assert image_id in failure.value.response["Error"]["Message"]
    aws.deregister_image(ImageId=image_id)
    for identifier in identifiers:
        aws.delete_snapshot(SnapshotId=identifier)


def test_image_names_are_unique(aws: Any) -> None:
    """errors-overview.html: InvalidAMIName.Duplicate."""
    instance_id = launched(aws, 8)
    aws.create_image(InstanceId=instance_id, Name="once")
    with pytest.raises(ClientError) as failure:
        aws.create_image(InstanceId=instance_id, Name="once")
    assert code_of(failure) == "InvalidAMIName.Duplicate"


# --- instances and volumes --------------------------------------------------------------------


def test_a_terminated_instance_is_visible_for_an_hour(box: Box, aws: Any) -> None:
    """API_TerminateInstances: idempotent; visible "for approximately one hour"."""
    instance_id = launched(aws, 8, 20)
    gone_volumes = volumes_of(aws, instance_id)
    snapshots = aws.create_snapshots(InstanceSpecification={"InstanceId": instance_id})["Snapshots"]
    for _ in range(2):
        aws.terminate_instances(InstanceIds=[instance_id])
    box.clock.run_for(timedelta(minutes=59))
    [reservation] = aws.describe_instances(InstanceIds=[instance_id])["Reservations"]
    assert reservation["Instances"][0]["State"]["Name"] == "terminated"
    with pytest.raises(ClientError) as failure:
        aws.create_snapshots(InstanceSpecification={"InstanceId": instance_id})
    assert code_of(failure) == "IncorrectInstanceState"
    with pytest.raises(ClientError) as failure:
        aws.describe_volumes(VolumeIds=gone_volumes)
    assert code_of(failure) == "InvalidVolume.NotFound"
    # What was begun before goes on.
    shown = described(aws, *[one["SnapshotId"] for one in snapshots])
    assert {one["State"] for one in shown} == {"completed"}

    box.clock.run_for(timedelta(minutes=1))
    assert aws.describe_instances()["Reservations"] == []
    too_late: list[Callable[[], Any]] = [
        lambda: aws.describe_instances(InstanceIds=[instance_id]),
        lambda: aws.create_snapshots(InstanceSpecification={"InstanceId": instance_id}),
    ]
    for call in too_late:
        with pytest.raises(ClientError) as failure:
            call()
        assert code_of(failure) == "InvalidInstanceID.NotFound"


def test_a_volume_attaches_once_in_its_zone_and_detaches_by_its_own_id(aws: Any) -> None:
    """API_AttachVolume, API_DetachVolume (InstanceId is optional)."""
    instance_id = launched(aws, 8)
    here = volume(aws)
    elsewhere = aws.create_volume(AvailabilityZone="us-east-1b", Size=1)["VolumeId"]
    aws.attach_volume(VolumeId=here, InstanceId=instance_id, Device="/dev/sdf")
    for volume_id, code in ((here, "VolumeInUse"), (elsewhere, "InvalidVolume.ZoneMismatch")):
        with pytest.raises(ClientError) as failure:
            aws.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device="/dev/sdg")
        assert code_of(failure) == code
    aws.detach_volume(VolumeId=here)
    assert aws.describe_volumes(VolumeIds=[here])["Volumes"][0]["State"] == "available"


def test_a_copy_is_a_snapshot_like_others(box: Box, aws: Any, complete: str) -> None:
    """API_CopySnapshot; moto's own, which takes no time."""
    copy = aws.copy_snapshot(SourceRegion=REGION, SourceSnapshotId=complete)["SnapshotId"]
    [shown] = described(aws, copy)
    assert (shown["State"], shown["StartTime"]) == ("completed", box.clock.now())
    assert {one["SnapshotId"] for one in described(aws, OwnerIds=["self"])} == {complete, copy}
    with pytest.raises(ClientError) as failure:
        aws.copy_snapshot(SourceRegion=REGION, SourceSnapshotId="snap-0123456789abcdef0")
    assert code_of(failure) == "InvalidSnapshot.NotFound"


# --- the past, the scale, the wire, the end ---------------------------------------------------


def test_a_snapshot_of_the_past_carries_tags_that_only_aws_can_set(box: Box, aws: Any) -> None:
    """UserGuide/Using_Tags.html; what AWS Backup and DLM leave in an account."""
    week_ago = TWO_O_CLOCK - timedelta(days=7)
    identifier = box.ec2.record_snapshot(
        volume(aws), started_at=week_ago, tags={"aws:backup:source-resource": "i-1"}
    )
    [shown] = described(aws, identifier)
    assert (shown["State"], shown["StartTime"]) == ("completed", week_ago)
    assert shown["CompletionTime"] == week_ago + timedelta(minutes=10)
    assert shown["Tags"] == listed({"aws:backup:source-resource": "i-1"})


@pytest.mark.slow
def test_thousands_come_in_full_pages(box: Box, aws: Any) -> None:
    """APIReference/API_DescribeSnapshots.html: MaxResults and NextToken, with a filter."""
    box.pace = INSTANT
    volume_id = volume(aws)
    for number in range(2000):
        started_at = TWO_O_CLOCK - timedelta(minutes=number + 1)
        box.ec2.record_snapshot(volume_id, started_at=started_at, tags={"plan": "gold", "n": "1"})
    pages = aws.get_paginator("describe_snapshots").paginate(
        Filters=[{"Name": "tag:plan", "Values": ["gold"]}], PaginationConfig={"PageSize": 500}
    )
    assert [len(page["Snapshots"]) for page in pages] == [500] * 4


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_it_works_over_http_too() -> None:
    """What `make cloud` serves is what tests see."""
    with service_box(Box, ec2, pace=TEN_MINUTES, over_http=True) as box:
        aws = box.client("ec2")
        identifier = snapshot(aws, volume(aws))
        box.clock.run_for(timedelta(minutes=10))
        assert described(aws, identifier)[0]["State"] == "completed"
        answer = aws.lock_snapshot(SnapshotId=identifier, LockMode="governance", LockDuration=1)
        assert answer["LockState"] == "governance"


def test_everything_is_undone_when_the_stack_closes() -> None:
    patched = (EC2Response, EC2Backend, TaggedEC2Resource, Instance, Ami)
    before = [dict(vars(owner)) for owner in patched]
    with ExitStack() as stack, time_machine.travel(TWO_O_CLOCK, tick=False) as traveller:
        ec2.install(Box(stack, Clock(traveller), TEN_MINUTES))
        assert hasattr(EC2Response, "lock_snapshot")
        assert [dict(vars(owner)) for owner in patched] != before
    assert [dict(vars(owner)) for owner in patched] == before
    assert not hasattr(EC2Response, "lock_snapshot")
