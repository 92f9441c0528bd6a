"""An expiry, killed, doubled and forbidden things: what was planned goes, and nothing else."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from local.aws.ec2 import installed_in
from local.cloud import Cloud
from tests.crash.forks import aside, explore_changes
from tests.crash.night import (
    ARCHIVE,
    BROKEN,
    NIGHT,
    POLICY,
    SCRATCH,
    SERVER,
    Account,
    Outcome,
    account,
    items,
    ours,
    outcome,
    records,
    settle,
)
from watchkeeper import naming

EXPIRY = NIGHT + timedelta(days=2, hours=4)
"""The third day at 06:00: three nights have been taken, and two are to be kept."""
STARTED = EXPIRY + timedelta(minutes=46)
"""Ticks of ExpireBackups come every hour from the start of the box."""
KEPT = {
    (ARCHIVE, "completed"): 2,
    (SCRATCH, "completed"): 2,
    (SERVER, "completed"): 2,
    (BROKEN, "failed"): 1,
}
"""What is left: two good ones of each, and last night's failed one for somebody to look at."""
PLANNED = 5
"""A good one of each of three sources, and two failed ones of the fourth."""


@pytest.fixture(scope="module")
def morning() -> Iterator[Account]:
    """Three nights in the catalogue, and a policy that keeps two, shortly before it is applied."""
    generous: dict[str, Any] = {**POLICY, "removal": {**POLICY["removal"], "failed_after": "30d"}}
    generous["plans"] = {"nightly": {**POLICY["plans"]["nightly"], "keep": {"last": 30}}}
    # Each call is judged by the role, which may not delete what is gone: that has no tags.
    with account(policy=generous, thin=timedelta(hours=1), deny=True) as made:
        made.cloud.clock.run_until(EXPIRY)
        write_policy(made, POLICY)
        assert made.cloud.invoke("TakeBackups", tick(made)).ok
        assert outcome(made).kept == {
            (name, "failed" if name == BROKEN else "completed"): 3
            for name in (ARCHIVE, BROKEN, SCRATCH, SERVER)
        }
        made.cloud.clock.run_until(STARTED - timedelta(minutes=1))
        yield made


def write_policy(made: Account, policy: dict[str, Any]) -> None:
    made.cloud.client("ssm").put_parameter(
        Name="/watchkeeper/policy/backups", Value=json.dumps(policy), Overwrite=True
    )


def tick(made: Account) -> dict[str, str]:
    return {"trigger": "tick", "scheduled_at": made.cloud.clock.now().isoformat()}


def run_expiry(made: Account) -> Outcome:
    made.cloud.clock.run_until(STARTED)
    return settle(made)


def expire_by_hand(made: Account, **more: object) -> Any:
    event = {"trigger": "by-hand", "request_id": f"at-{made.cloud.clock.now():%H-%M}", **more}
    invocation = made.cloud.invoke("ExpireBackups", event)
    assert invocation.ok, invocation.error
    return invocation.result


def expiry_after(made: Account, *changes: Callable[[], object]) -> Outcome:
    """How the expiry ends if these changes come first."""

    def story() -> Outcome:
        for change in changes:
            change()
        return run_expiry(made)

    return aside(story)


def points_of(made: Account, name: str, state: str = "completed") -> list[dict[str, Any]]:
    """The recovery points of a source, oldest first."""
    return [
        item
        for item in records(made.cloud)
        if item["resource"] == made.arn(name) and item["state"] == state
    ]


def oldest_snapshot_of(made: Account, name: str) -> str:
    return str(points_of(made, name)[0]["parts"][0]["snapshot"])


def went_as_planned(end: Outcome) -> bool:
    gone = [state for state in end.catalogue.values() if state == "removed"]
    left = {snapshot for snapshot, state in end.catalogue.items() if state != "removed"}
    return (
        end.kept == KEPT
        and sum(point.state == "removed" for point in end.points) == PLANNED
        and len(gone) == PLANNED + 1  # the instance's point is of two snapshots
        and left == end.snapshots
        and set(end.runs.values()) == {"done"}
        and not end.pages
    )


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "at_least"), [("death", 25), ("twin", 25)])
def test_death_or_twin_at_every_call(morning: Account, kind: str, at_least: int) -> None:
    story = aside(
        lambda: explore_changes(morning.cloud, "ExpireBackups", kind, lambda: run_expiry(morning))
    )
    assert len(story.branches) >= at_least
    news = set(story.calm.news)
    assert story.gone_wrong(lambda end: went_as_planned(end) and set(end.news) == news) == []


@pytest.mark.parametrize("operation", ["DeleteSnapshot", "DescribeSnapshots", "DescribeImages"])
@pytest.mark.parametrize("after", [False, True], ids=["refused", "answer lost"])
def test_a_server_fault_changes_nothing(morning: Account, operation: str, after: bool) -> None:
    mischief = morning.cloud.mischief
    end = expiry_after(
        morning,
        lambda: mischief.fail("ec2", operation, "InternalError", status=500, after=after, times=2),
    )
    assert went_as_planned(end), end


def test_deletions_throttled_for_an_hour(morning: Account) -> None:
    until = EXPIRY + timedelta(hours=1)
    end = expiry_after(
        morning, lambda: morning.cloud.mischief.throttle("ec2", "DeleteSnapshot", until=until)
    )
    assert went_as_planned(end), end


# ── What forbids a removal ────────────────────────────────────────────────────────────────────────


def locked(made: Account, snapshot: str) -> None:
    made.cloud.client("ec2").lock_snapshot(
        SnapshotId=snapshot, LockMode="governance", LockDuration=30
    )


def made_an_image(made: Account, snapshot: str) -> None:
    mapping = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot}}
    image = made.cloud.client("ec2").register_image(
        Name="golden", RootDeviceName="/dev/xvda", BlockDeviceMappings=[mapping]
    )
    # moto registers an image with a snapshot of its own, whatever it is told.
    installed_in(made.cloud)._mappings[image["ImageId"]] = [mapping]


def shared(made: Account, snapshot: str) -> None:
    made.cloud.client("ec2").modify_snapshot_attribute(
        SnapshotId=snapshot, Attribute="createVolumePermission", OperationType="add",
        UserIds=["111122223333"],
    )  # fmt: skip


def held_by_law(made: Account, snapshot: str) -> None:
    tags = [{"Key": "watchkeeper:legal-hold", "Value": "case 7"}]
    made.cloud.client("ec2").create_tags(Resources=[snapshot], Tags=tags)


def stripped(made: Account, snapshot: str) -> None:
    made.cloud.client("ec2").delete_tags(Resources=[snapshot], Tags=[{"Key": "watchkeeper:stack"}])


def adopted_by_aws_backup(made: Account, snapshot: str) -> None:
    """AWS's own services set these tags; no caller can."""
    installed_in(made.cloud).backend.snapshots[snapshot].add_tags(
        {"aws:backup:source-resource": made.arn(ARCHIVE)}
    )


def held_by_name(made: Account, snapshot: str) -> None:
    point = points_of(made, ARCHIVE)[0]
    made.cloud.client("dynamodb").update_item(
        TableName=made.cloud.physical_id("Table"),
        Key={"pk": {"S": point["pk"]}, "sk": {"S": point["sk"]}},
        UpdateExpression="SET holds = :holds",
        ExpressionAttributeValues={":holds": {"L": [{"S": "an audit"}]}},
    )


def being_restored(made: Account, snapshot: str) -> None:
    enter_drill(made)


def enter_drill(made: Account, **ended: Any) -> None:
    """A drill of the oldest recovery point of ARCHIVE, begun an hour ago."""
    run, begun_at = "drill#round", naming.instant(EXPIRY)
    key = {"pk": naming.drills_pk(made.cloud.stack_name), "sk": naming.begun_sk(EXPIRY, run)}
    told = {"run": run, "resource": made.arn(ARCHIVE), "point": points_of(made, ARCHIVE)[0]["id"]}
    told |= {"level": "restore", "begun_at": begun_at}
    item = {name: {"S": text} for name, text in (key | told).items()}
    made.cloud.client("dynamodb").put_item(
        TableName=made.cloud.physical_id("Table"), Item={**item, "usd": {"N": "0.17"}, **ended}
    )


FORBIDDEN: dict[Callable[[Account, str], None], str] = {
    locked: "is locked",
    made_an_image: "ami-",
    shared: "is shared with 111122223333",
    held_by_law: "legal hold",
    stripped: "has lost its tag",
    adopted_by_aws_backup: "AWS Backup",
    held_by_name: "held by an audit",
    being_restored: "a drill is restoring it",
}


def call_that_freezes(made: Account) -> int:
    """How many calls ExpireBackups makes until its plan is stored."""
    first = len(made.cloud.calls)
    run_expiry(made)
    calls = [call for call in made.cloud.calls[first:] if call.function == "ExpireBackups"]
    sort_keys = [call.params.get("Item", {}).get("sk", {}).get("S", "") for call in calls]
    return sort_keys.index("TARGETS#000") + 1


@pytest.mark.parametrize("forbids", FORBIDDEN, ids=lambda forbids: forbids.__name__)
@pytest.mark.parametrize("late", [False, True], ids=["before the plan", "after the plan"])
def test_what_is_forbidden_stays_and_says_why(
    morning: Account, forbids: Callable[[Account, str], None], late: bool
) -> None:
    snapshot = oldest_snapshot_of(morning, ARCHIVE)
    frozen_at = aside(lambda: call_that_freezes(morning))

    def story() -> tuple[Outcome, list[str], bool]:
        if late:  # the expiry dies once its plan is frozen, and is found again when all has changed
            morning.cloud.mischief.kill("ExpireBackups", frozen_at, "after")
            morning.cloud.clock.run_until(STARTED + timedelta(seconds=30))
        forbids(morning, snapshot)
        end = run_expiry(morning)
        news = [one.json() for one in morning.cloud.published("NewsTopic")]
        told = [one["reasons"] for one in news if one["type"] == "RecoveryPointsRemoved"]
        exists = snapshot in installed_in(morning.cloud).backend.snapshots
        return end, told[-1], exists

    end, reasons, exists = aside(story)
    assert exists
    assert end.kept == {**KEPT, (ARCHIVE, "completed"): 3}
    assert sum(point.state == "removed" for point in end.points) == PLANNED - 1
    assert any(FORBIDDEN[forbids] in reason for reason in reasons), reasons
    assert set(end.runs.values()) == {"done"}


def test_what_a_drill_has_restored_goes_as_planned(morning: Account) -> None:
    end = expiry_after(morning, lambda: enter_drill(morning, ended={"BOOL": True}))
    assert went_as_planned(end), end


# ── What has changed since it was taken ───────────────────────────────────────────────────────────


@pytest.mark.parametrize("known", [True, False], ids=["recorded", "unnoticed"])
def test_the_last_good_one_stays_though_newer_ones_vanish_after_the_plan(
    morning: Account, known: bool
) -> None:
    """The plan keeps the two newest; somebody removes these while the expiry lies dead, and the
    catalogue has heard of it, or has not.
    """
    frozen_at = aside(lambda: call_that_freezes(morning))
    newest = [item["parts"][0]["snapshot"] for item in points_of(morning, ARCHIVE)[1:]]

    def story() -> Outcome:
        morning.cloud.mischief.kill("ExpireBackups", frozen_at, "after")
        morning.cloud.clock.run_until(STARTED + timedelta(seconds=30))
        for point in points_of(morning, ARCHIVE)[1:] if known else ():
            mark(morning.cloud, point, "failed")
        for snapshot in newest:
            morning.cloud.client("ec2").delete_snapshot(SnapshotId=snapshot)
        return run_expiry(morning)

    end = aside(story)
    oldest = oldest_snapshot_of(morning, ARCHIVE)
    assert end.catalogue[oldest] == "completed"
    assert oldest in end.snapshots
    assert set(end.runs.values()) == {"done"}


def mark(cloud: Cloud, point: dict[str, Any], state: str) -> None:
    cloud.client("dynamodb").update_item(
        TableName=cloud.physical_id("Table"),
        Key={"pk": {"S": point["pk"]}, "sk": {"S": point["sk"]}},
        UpdateExpression="SET #state = :state",
        ExpressionAttributeNames={"#state": "state"},
        ExpressionAttributeValues={":state": {"S": state}},
    )


def test_what_somebody_else_removed_is_marked_and_does_not_count(morning: Account) -> None:
    """With the newest gone, the two that count are the two before it."""
    newest = points_of(morning, ARCHIVE)[-1]
    (part,) = newest["parts"]
    end = expiry_after(
        morning, lambda: morning.cloud.client("ec2").delete_snapshot(SnapshotId=part["snapshot"])
    )
    assert end.catalogue[part["snapshot"]] == "failed"
    assert "no longer exists" in end.reasons[ARCHIVE]
    assert end.kept[ARCHIVE, "completed"] == 2
    assert len(end.snapshots) == len(set(end.catalogue) & end.snapshots)


def test_a_tag_taken_off_everything_removes_nothing(morning: Account) -> None:
    """What no longer carries our tag is not shown as ours; that is no proof that it is gone."""
    before = ours(morning.cloud)

    def strip_all() -> None:
        for snapshot in before:
            stripped(morning, snapshot)

    def story() -> tuple[Outcome, list[bool]]:
        strip_all()
        end = run_expiry(morning)
        snapshots = installed_in(morning.cloud).backend.snapshots
        return end, [snapshot in snapshots for snapshot in before]

    end, there = aside(story)
    assert all(there)
    assert not [point for point in end.points if point.state in ("removed", "removing")]
    assert end.kept[ARCHIVE, "completed"] == 3


def test_a_record_that_was_lost_comes_back(morning: Account) -> None:
    def lose() -> None:
        for name in (ARCHIVE, SERVER):
            point = points_of(morning, name)[0]
            morning.cloud.client("dynamodb").delete_item(
                TableName=morning.cloud.physical_id("Table"),
                Key={"pk": {"S": point["pk"]}, "sk": {"S": point["sk"]}},
            )

    assert went_as_planned(expiry_after(morning, lose))


# ── Brakes ────────────────────────────────────────────────────────────────────────────────────────


def test_above_the_cap_nothing_goes_and_people_are_told(morning: Account) -> None:
    def lower_the_cap() -> None:
        write_policy(morning, {**POLICY, "removal": {**POLICY["removal"], "cap": PLANNED - 1}})
        assert morning.cloud.invoke("TakeBackups", tick(morning)).ok

    before = set(ours(morning.cloud))
    end = expiry_after(morning, lower_the_cap)
    assert end.snapshots == before
    assert not [point for point in end.points if point.state in ("removed", "removing")]
    assert any(f"Removal halted: {PLANNED} " in subject for subject in end.pages)


def test_a_dry_run_shows_the_plan_and_touches_nothing(morning: Account) -> None:
    def story() -> tuple[Any, bool, Outcome]:
        table, snapshots = items(morning.cloud), ours(morning.cloud)
        shown = expire_by_hand(morning, dry_run=True)
        untouched = (table, snapshots) == (items(morning.cloud), ours(morning.cloud))
        return shown, untouched, run_expiry(morning)

    shown, untouched, end = aside(story)
    assert untouched
    assert len(shown["removed"]) == PLANNED
    assert len(shown["kept"]) == 6
    assert len(shown["set_aside"]) == 1
    assert all(one["why"] for one in (*shown["removed"], *shown["kept"]))
    planned = {snapshot for one in shown["removed"] for snapshot in one["snapshots"]}
    assert planned == {one for one, state in end.catalogue.items() if state == "removed"}


def test_by_hand_does_what_the_schedule_would(morning: Account) -> None:
    def story() -> Outcome:
        event = {"trigger": "by-hand", "request_id": "now"}
        for _ in range(2):
            assert morning.cloud.invoke("ExpireBackups", event).ok
        return settle(morning)

    assert went_as_planned(aside(story))


def test_applied_twice_it_removes_nothing_more(morning: Account) -> None:
    def story() -> tuple[Outcome, Outcome]:
        first = run_expiry(morning)
        expire_by_hand(morning)
        return first, settle(morning)

    first, second = aside(story)
    assert first.points == second.points
    assert first.snapshots == second.snapshots
