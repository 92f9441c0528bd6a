"""What TakeBackups does with events of RDS, Systems Manager and KMS: ours wake their run, others'
wake nothing, and what makes no sense is refused and kept.
"""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from local.cloud import ROOT
from tests.crash.forks import aside
from tests.crash.night import NIGHT, items
from tests.crash.scripted import PLAIN, SHARD, Account, account, run_until_frozen

EVENTS = ROOT / "events" / "take_backups"
SNAPSHOTS = ("cluster-snapshot-made", "database-snapshot-made")
SCRIPT = "script-ended"
KEYS = ("key-deletion-scheduled", "key-disabled")
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def event_of(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(Path(EVENTS / f"{name}.json").read_text())
    return event


@pytest.fixture(scope="module")
def box() -> Iterator[Account]:
    """A minute before a night that takes an instance with scripts, a database and a cluster; of
    which no event tells.
    """
    with account() as made:
        _furnish(made.cloud.client("rds"))
        made.cloud.mischief.trouble_events(drop=1.0)
        made.cloud.clock.run_until(NIGHT - MINUTE)
        yield made


def _furnish(rds: Any) -> None:
    tags = [{"Key": "backup-plan", "Value": PLAIN}]
    login = {"MasterUsername": "owner", "MasterUserPassword": "not-a-secret"}
    rds.create_db_instance(
        DBInstanceIdentifier="orders", Engine="postgres", DBInstanceClass="db.t4g.micro",
        AllocatedStorage=20, BackupRetentionPeriod=0, Tags=tags, **login,
    )  # fmt: skip
    rds.create_db_cluster(
        DBClusterIdentifier="ledger", Engine="aurora-postgresql", Tags=tags, **login
    )


# ── Others' ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", [*SNAPSHOTS, SCRIPT])
def test_what_is_somebody_else_s_wakes_nothing(box: Account, name: str) -> None:
    def story() -> tuple[bool, Any, bool]:
        before = items(box.cloud)
        invocation = box.cloud.invoke("TakeBackups", event_of(name))
        return invocation.ok, invocation.result, items(box.cloud) == before

    assert aside(story) == (True, {}, True)


@pytest.mark.parametrize("name", KEYS)
def test_a_key_that_nothing_is_under_is_looked_for_once_and_worries_nobody(
    box: Account, name: str
) -> None:
    def story() -> tuple[list[Any], list[str]]:
        event = event_of(name)
        stands = [box.cloud.invoke("TakeBackups", event).result for _ in range(2)]
        box.cloud.clock.run_for(MINUTE // 2)
        pages = [page.subject or "" for page in box.cloud.published("PagesTopic")]
        return stands, [page for page in pages if page.startswith("Keys")]

    run = f"backup#keys#event#{event_of(name)['id']}"
    over = "somebody else is at it, or it is over"
    assert aside(story) == ([{run: "done"}, {run: over}], [])


# ── Ours ──────────────────────────────────────────────────────────────────────────────────────────


def with_detail(name: str, **detail: Any) -> dict[str, Any]:
    event = event_of(name)
    event["detail"] |= detail
    return event


def made_by_night(box: Account, kind: str) -> str:
    """The ARN of the snapshot that the night has had made."""
    rds = box.cloud.client("rds")
    if kind == "cluster-snapshot-made":
        [made] = rds.describe_db_cluster_snapshots(SnapshotType="manual")["DBClusterSnapshots"]
        return str(made["DBClusterSnapshotArn"])
    [made] = rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
    return str(made["DBSnapshotArn"])


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_a_snapshot_of_ours_wakes_the_run_that_asked_for_it(box: Account, name: str) -> None:
    def story() -> tuple[Any, Any]:
        box.cloud.clock.run_until(NIGHT + 5 * MINUTE)
        event = with_detail(name, SourceArn=made_by_night(box, name))
        waiting = {item["pk"]: item for item in items(box.cloud) if item["sk"] == "RUN"}
        return box.cloud.invoke("TakeBackups", event).result, waiting

    result, waiting = aside(story)
    [run] = result
    assert waiting[f"RUN#{run}"]["facts"]["service"] == "rds"
    assert waiting[f"RUN#{run}"]["facts"]["workflow"] == "shard"


def test_the_end_of_our_script_wakes_its_run_and_moves_it(box: Account) -> None:
    def story() -> tuple[Any, bool]:
        run_until_frozen(box)
        event = with_detail(SCRIPT, **{"command-id": box.commands.sent[-1].id})
        result = box.cloud.invoke("TakeBackups", event).result
        box.cloud.clock.run_for(timedelta(seconds=10))
        return result, box.commands.frozen(box.instance)

    assert aside(story) == ({SHARD: "thaw: waits for the post script to end"}, False)


# ── Garbage ───────────────────────────────────────────────────────────────────────────────────────

LONG = "x" * 1_000_000
FIELDS = {
    "cluster-snapshot-made": "SourceArn",
    "database-snapshot-made": "SourceArn",
    SCRIPT: "command-id",
}
NO_IDS: dict[str, Any] = {
    "empty": "", "null": None, "a number": 7, "a list": ["x"], "an object": {"x": 1},
    "a word": "snapshot", "a million letters": LONG,
    "an ARN of something else": "arn:aws:s3:::bucket",
    "an ARN with too much": f"arn:aws:rds:us-east-1:123456789012:snapshot:{LONG}",
}  # fmt: skip
NO_DETAILS: dict[str, Any] = {"null": None, "a list": [], "a word": LONG}
NO_EVENT_IDS: dict[str, Any] = {"null": None, "a key": "x#y", "a million letters": LONG}


def without(field: str, event: dict[str, Any]) -> None:
    del event["detail"][field]


def holding(field: str, value: Any, event: dict[str, Any]) -> None:
    event["detail"][field] = value


def with_(field: str, value: Any, event: dict[str, Any]) -> None:
    event[field] = value


GARBAGE: list[tuple[str, str, Callable[[dict[str, Any]], None]]] = [
    *[(name, "without it", partial(without, field)) for name, field in FIELDS.items()],
    *[
        (name, what, partial(holding, field, value))
        for name, field in FIELDS.items()
        for what, value in NO_IDS.items()
    ],
    *[
        (name, f"detail {what}", partial(with_, "detail", value))
        for name in FIELDS
        for what, value in NO_DETAILS.items()
    ],
    *[
        (name, f"id {what}", partial(with_, "id", value))
        for name in KEYS
        for what, value in NO_EVENT_IDS.items()
    ],
    *[
        (name, "another kind", partial(with_, "detail-type", "AWS Service Event via CloudTrail"))
        for name in (*FIELDS, *KEYS)
    ],
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "spoil"),
    [pytest.param(name, spoil, id=f"{name} {what}") for name, what, spoil in GARBAGE],
)
def test_garbage_is_refused_with_a_sentence_and_touches_nothing(
    box: Account, name: str, spoil: Callable[[dict[str, Any]], None]
) -> None:
    event = event_of(name)
    spoil(event)
    before = items(box.cloud)
    invocation = box.cloud.invoke("TakeBackups", event)
    assert type(invocation.exception).__name__ == "BadTrigger", invocation.error
    assert len(str(invocation.exception)) < 2000
    assert str(invocation.exception).isprintable()
    assert invocation.calls == []
    assert items(box.cloud) == before


def test_it_is_kept_in_the_dead_letter_queue_and_the_night_goes_on(box: Account) -> None:
    spoilt = [event_of(name) for name in (*SNAPSHOTS, SCRIPT, *KEYS)]
    for event in spoilt:
        event["detail-type"] = "Something new"

    def story() -> tuple[list[Any], set[str], list[str]]:
        cloud = box.cloud
        for event in spoilt:
            cloud.invoke("TakeBackups", event, asynchronous=True)
        cloud.clock.run_until(NIGHT + HOUR)
        answer = cloud.client("sqs").receive_message(
            QueueUrl=cloud.physical_id("TakeBackupsUnhandled"), MaxNumberOfMessages=10
        )
        kept = [json.loads(message["Body"]) for message in answer["Messages"]]
        errors = [one["responsePayload"]["errorType"] for one in kept]
        stand = {item.get("step", "done") for item in items(cloud) if item["sk"] == "RUN"}
        return [one["requestPayload"] for one in kept], stand, errors

    kept, runs, errors = aside(story)
    assert sorted(map(json.dumps, kept)) == sorted(map(json.dumps, spoilt))
    assert set(errors) == {"BadTrigger"}
    assert runs == {"done"}
