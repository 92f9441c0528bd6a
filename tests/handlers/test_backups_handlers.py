"""What the functions do with events that make no sense: say so, keep the event, hurt nothing."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from local.cloud import Cloud
from local.functions import Invocation
from tests.crash.forks import aside
from tests.crash.night import Account, account, items, run_night

FUNCTIONS = ("TakeBackups", "ExpireBackups", "DrillRestores", "SweepRuns")

RUN_DUE = {
    "type": "RunDue", "schema_version": 1, "id": "x", "capability": "backup",
    "run": "backup#nightly#2026-11-23T02:00Z", "at": "2026-11-23T02:00:00Z",
}  # fmt: skip


def from_sns(message: str) -> dict[str, Any]:
    return {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": message}}]}


FOR_ALL: dict[str, Any] = {
    "nothing": {},
    "a list": [1, 2],
    "a word": "tick",
    "null": None,
    "an unknown trigger": {"trigger": "tock"},
    "a tick without its time": {"trigger": "tick"},
    "a tick at no time": {"trigger": "tick", "scheduled_at": "soon"},
    "a tick without a zone": {"trigger": "tick", "scheduled_at": "2026-11-23T02:00:00"},
    "a tick that says more": {
        "trigger": "tick", "scheduled_at": "2026-11-23T02:00:00Z", "delete": "everything",
    },
}  # fmt: skip
FOR_WAKING: dict[str, Any] = {
    "no records": {"Records": []},
    "news that is no JSON": from_sns("{"),
    "news without its run": from_sns(json.dumps({**RUN_DUE, "run": None})),
}
FOR_TAKING: dict[str, Any] = {
    "a snapshot event without a snapshot": {
        "source": "aws.ec2", "detail-type": "EBS Snapshot Notification", "detail": {},
    },
    "another event of EC2's": {
        "source": "aws.ec2", "detail-type": "EC2 Instance State-change Notification",
        "detail": {"instance-id": "i-1", "state": "stopped"},
    },
    "by hand without a plan": {"trigger": "by-hand", "request_id": "x"},
    "by hand without an id": {"trigger": "by-hand", "plan": "nightly"},
    "by hand for no plan of ours": {"trigger": "by-hand", "request_id": "x", "plan": "platinum"},
    "by hand with a key for an id": {
        "trigger": "by-hand", "request_id": "x#000", "plan": "nightly",
    },
    "by hand for a bucket": {
        "trigger": "by-hand", "request_id": "x", "plan": "nightly", "resources": ["arn:aws:s3:::b"],
    },
    "by hand with words that are none": {
        "trigger": "by-hand", "request_id": "x", "plan": "nightly", "tags": ["a b"],
    },
    "a rebuild without an id": {"trigger": "rebuild"},
}  # fmt: skip
FOR_EXPIRING: dict[str, Any] = {
    "a dry run that is not sure": {"trigger": "by-hand", "request_id": "x", "dry_run": "maybe"},
    "a slip in dry_run": {"trigger": "by-hand", "request_id": "x", "dryrun": True},
    "a rebuild": {"trigger": "rebuild", "request_id": "x"},
}
VOLUME = "arn:aws:ec2:us-east-1:123456789012:volume/vol-0123456789abcdef0"
FOR_DRILLING: dict[str, Any] = {
    "a drill of nothing": {"trigger": "by-hand", "request_id": "x", "level": "blocks"},
    "a drill of no level": {"trigger": "by-hand", "request_id": "x", "resource": VOLUME},
    "a drill at a level that is none": {
        "trigger": "by-hand", "request_id": "x", "resource": VOLUME, "level": "rehearsal",
    },
    "a drill that may start anew": {
        "trigger": "by-hand", "request_id": "x", "resource": VOLUME, "level": "check",
        "anew": "perhaps",
    },
    "a drill of a bucket": {
        "trigger": "by-hand", "request_id": "x", "resource": "arn:aws:s3:::b", "level": "metadata",
    },
    "a drill of a snapshot's name": {
        "trigger": "by-hand", "request_id": "x", "resource": VOLUME, "level": "blocks",
        "point": "snap-0123456789abcdef0",
    },
    "a drill with a key for an id": {
        "trigger": "by-hand", "request_id": "x#0", "resource": VOLUME, "level": "blocks",
    },
}  # fmt: skip
CASES = [
    *[(function, name) for function in FUNCTIONS for name in FOR_ALL],
    *[(function, name) for function in FUNCTIONS for name in FOR_WAKING],
    *[("TakeBackups", name) for name in FOR_TAKING],
    *[("ExpireBackups", name) for name in FOR_EXPIRING],
    *[("DrillRestores", name) for name in FOR_DRILLING],
]
EVENTS = FOR_ALL | FOR_WAKING | FOR_TAKING | FOR_EXPIRING | FOR_DRILLING


@pytest.fixture(scope="module")
def box() -> Iterator[Account]:
    with account() as made:
        made.cloud.clock.run_for(timedelta(minutes=2))
        yield made


def waiting_in(cloud: Cloud, queue: str) -> list[dict[str, Any]]:
    url = cloud.physical_id(queue)
    answer = cloud.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    messages: list[dict[str, Any]] = answer.get("Messages", [])
    return messages


@pytest.mark.parametrize(("function", "name"), CASES)
def test_it_is_refused_with_a_sentence_and_touches_nothing(
    box: Account, function: str, name: str
) -> None:
    def story() -> tuple[str, str, list[str], bool]:
        before = items(box.cloud)
        invocation: Invocation = box.cloud.invoke(function, EVENTS[name])
        kind = type(invocation.exception).__name__
        writes = [call.operation for call in invocation.calls if call.operation not in READS]
        return kind, str(invocation.exception), writes, items(box.cloud) == before

    kind, message, writes, untouched = aside(story)
    assert kind == "BadTrigger", message
    assert untouched
    assert writes == []
    assert len(message) < 2000
    assert message.isprintable()


READS = frozenset({"GetItem", "GetParameter", "Query"})


@pytest.mark.parametrize("function", FUNCTIONS)
def test_it_ends_in_the_dead_letter_queue_and_raises_an_alarm(box: Account, function: str) -> None:
    def story() -> tuple[list[dict[str, Any]], list[str], Any]:
        cloud = box.cloud
        cloud.invoke(function, {"trigger": "tock"}, asynchronous=True)
        end = run_night(box)
        pages = [page.subject or "" for page in cloud.published("PagesTopic")]
        return waiting_in(cloud, f"{function}Unhandled"), pages, end

    (message,), pages, end = aside(story)
    kept = json.loads(message["Body"])
    assert kept["requestPayload"] == {"trigger": "tock"}
    assert kept["responsePayload"]["errorType"] == "BadTrigger"
    assert "tock" in kept["responsePayload"]["errorMessage"]
    assert any(page.startswith("ALARM: ") and f"{function}Unhandled" in page for page in pages)
    # The night goes on as if nothing had been.
    assert set(end.runs.values()) == {"done"}
    assert len(end.points) == 4


@pytest.mark.parametrize(
    "message",
    ["{", json.dumps({**RUN_DUE, "run": ["x"]}), json.dumps({**RUN_DUE, "schema_version": "x"})],
    ids=["no JSON", "a list for a run", "a word for a number"],
)
def test_bad_news_from_the_topic_is_kept_too(box: Account, message: str) -> None:
    def story() -> list[dict[str, Any]]:
        cloud = box.cloud
        attributes = {"type": "RunDue", "capability": "backup"}
        cloud.client("sns").publish(
            TopicArn=cloud.physical_id("NewsTopic"),
            Message=message,
            MessageAttributes={
                key: {"DataType": "String", "StringValue": value}
                for key, value in attributes.items()
            },
        )
        cloud.clock.run_for(timedelta(minutes=5))
        return waiting_in(cloud, "TakeBackupsUnhandled")

    (kept,) = aside(story)
    event = json.loads(kept["Body"])["requestPayload"]
    assert event["Records"][0]["Sns"]["Message"] == message


def test_a_run_that_does_not_exist_is_nobodys(box: Account) -> None:
    """News may be older than the record, or somebody's mistake: it wakes nothing."""
    event = from_sns(json.dumps({**RUN_DUE, "run": "backup#nightly#1999-01-01T00:00Z"}))

    def story() -> tuple[bool, bool]:
        before = items(box.cloud)
        return box.cloud.invoke("TakeBackups", event).ok, items(box.cloud) == before

    assert aside(story) == (True, True)


def test_a_snapshot_of_somebody_else_wakes_nothing(box: Account) -> None:
    def story() -> tuple[bool, bool]:
        ec2 = box.cloud.client("ec2")
        theirs = ec2.create_snapshot(VolumeId=box.ids["archive"])["SnapshotId"]
        before = items(box.cloud)
        event = {
            "source": "aws.ec2", "detail-type": "EBS Snapshot Notification",
            "detail": {"event": "createSnapshot", "result": "failed", "snapshot_id": theirs},
        }  # fmt: skip
        return box.cloud.invoke("TakeBackups", event).ok, items(box.cloud) == before

    assert aside(story) == (True, True)
