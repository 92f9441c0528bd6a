"""What people and chance do to the backups of the seeded account in the week of the demo."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

from local.account import AUDITOR_ACCOUNT, PLAN_TAG, instance_id, volume_id
from local.aws import rds, ssm_commands
from local.aws.ssm_commands import create_script_document
from local.cloud import Cloud
from local.demo.week import Happening
from watchkeeper import naming
from watchkeeper.aws.catalogue import Catalogue
from watchkeeper.policy import DEFAULT_BACKUPS_POLICY

LOCKED = "harbour-invoices"
SHARED = "harbour-web-2"
TAGGED_LATE = "harbour-postgres-old"
BEFORE_MIGRATION = "harbour-postgres-1"
MIGRATION = "before-migration"
AT_REST = BEFORE_MIGRATION
SCRIPT = "watchkeeper-postgresql"
KEY = "harbour-data"
RELEASED = "harbour-bookings-production"
RELEASES = 66
"""Manual snapshots that a job leaves behind: with those of the plans, more than AWS's 100 in sight.
"""

POLICY: Mapping[str, Any] = {
    "version": 1,
    "plans": {
        "gold": {
            "description": "Production: every twelve hours",
            "schedule": "0 2,14 * * *",
            "rpo": "14h",
            "keep": {"within": "1d", "daily": 3},
            "floor": {"count": 3},
            "point_in_time": "expected",
        },
        "silver": {
            "description": "Internal systems: every night",
            "schedule": "0 4 * * *",
            "rpo": "26h",
            "keep": {"daily": 3, "weekly": 2},
            "floor": {"count": 2},
        },
        "postgres": {
            "description": "PostgreSQL on EC2: every night, at rest in its snapshots",
            "schedule": "0 1 * * *",
            "rpo": "26h",
            "keep": {"daily": 3, "tags": [[MIGRATION]]},
            "floor": {"count": 2},
            "scripts": {"document": SCRIPT, "timeout": "2min"},
        },
        "bronze": DEFAULT_BACKUPS_POLICY["plans"]["bronze"],
    },
    "removal": {"schedule": "0 6 * * *", "cap": 50, "failed_after": "1d"},
}
"""The default with a shorter memory, so that a week is long enough to see things expire."""
CORRECTED = {
    **POLICY,
    "plans": {**POLICY["plans"], "gold": {**POLICY["plans"]["gold"], "point_in_time": "enable"}},
}

WRITES = "writes the policy: gold at 02:00 and 14:00, silver at 04:00, bronze on Sundays"
RESTS = f"has {AT_REST} at rest in its snapshots: plan postgres, scripts before and after"
TAGS = f"tags the volume {TAGGED_LATE}: {PLAN_TAG} = silver"
LOCKS = f"locks Monday's snapshot of {LOCKED}, for the auditors"
SHARES = f"shares the latest recovery point of {SHARED} with another account"
SLIPS = "edits the policy in a hurry: gold's daily becomes dayly"
CORRECTS = "puts the policy right; gold may now switch point-in-time recovery on"
SCHEDULES = f"tidies up in KMS: {KEY} is to be deleted in seven days"
SAVES = f"reads the page, cancels the deletion of {KEY} and enables it again"
LEAVES = f"leaves {RELEASES} manual snapshots of {RELEASED} behind, one per release"
THROWS = f"throws those {RELEASES} away: nobody needs them"
DROPS = "drops every event until midnight: only the sweep is left to notice"
ASKS = f"wants {BEFORE_MIGRATION} backed up by hand, as {MIGRATION}"
DELIVERS = "delivers again"


def story(start: datetime) -> list[Happening]:
    """Everything that is done from outside, oldest first; `start` is the Monday's midnight."""

    def on(day: int, hour: int, minute: int = 0) -> datetime:
        return start + timedelta(days=day, hours=hour, minutes=minute)

    return [
        Happening(on(0, 0), "operator", WRITES, lambda cloud: _write(cloud, POLICY)),
        Happening(on(1, 9, 10), "operator", RESTS, _put_to_rest),
        Happening(on(1, 10, 20), "operator", TAGS, _tag_late),
        Happening(on(1, 15, 10), "somebody", LOCKS, _lock),
        Happening(on(1, 15, 40), "somebody", SHARES, _share),
        Happening(on(2, 10, 30), "somebody", LEAVES, _leave_snapshots),
        Happening(
            on(2, 11, 20), "operator", SLIPS, lambda cloud: _write(cloud, _edited_in_a_hurry())
        ),
        Happening(on(2, 16, 40), "operator", THROWS, _throw_snapshots_away),
        Happening(on(3, 1, 59), "chance", "", _kill_halfway),  # told when it dies
        Happening(on(3, 9, 10), "operator", CORRECTS, lambda cloud: _write(cloud, CORRECTED)),
        Happening(on(3, 15, 10), "somebody", SCHEDULES, _schedule_deletion),
        Happening(on(3, 15, 35), "operator", SAVES, _cancel_deletion),
        Happening(on(4, 0), "chance", DROPS, lambda cloud: cloud.mischief.trouble_events(drop=1.0)),
        Happening(on(4, 20, 30), "operator", ASKS, _by_hand),
        Happening(on(5, 0), "chance", DELIVERS, lambda cloud: cloud.mischief.trouble_events()),
        Happening(on(6, 0, 30), "chance", "", _fail_script),  # told by the night
    ]


# ── What the operator does ───────────────────────────────────────────────────────────────────────


def _write(cloud: Cloud, policy: Mapping[str, Any]) -> None:
    prefix = cloud.functions.find("TakeBackups").environment["POLICY_PREFIX"]
    cloud.client("ssm").put_parameter(
        Name=f"{prefix}/backups", Value=json.dumps(policy), Type="String", Overwrite=True
    )


def _edited_in_a_hurry() -> Mapping[str, Any]:
    edited = deepcopy(dict(POLICY))
    keep = edited["plans"]["gold"]["keep"]
    keep["dayly"] = keep.pop("daily")
    return edited


def _tag_late(cloud: Cloud) -> None:
    _tag(cloud, volume_id(cloud, TAGGED_LATE), "silver")


def _put_to_rest(cloud: Cloud) -> None:
    create_script_document(cloud.client("ssm"), SCRIPT)
    _tag(cloud, instance_id(cloud, AT_REST), "postgres")


def _tag(cloud: Cloud, resource: str, plan: str) -> None:
    cloud.client("ec2").create_tags(Resources=[resource], Tags=[{"Key": PLAN_TAG, "Value": plan}])


def _throw_snapshots_away(cloud: Cloud) -> None:
    for name in _releases():
        cloud.client("rds").delete_db_snapshot(DBSnapshotIdentifier=name)


def _cancel_deletion(cloud: Cloud) -> None:
    """A key whose deletion was cancelled is disabled: it takes both."""
    cloud.client("kms").cancel_key_deletion(KeyId=_key_id(cloud))
    cloud.client("kms").enable_key(KeyId=_key_id(cloud))


def _by_hand(cloud: Cloud) -> None:
    event = {
        "trigger": "by-hand",
        "request_id": MIGRATION,
        "plan": "postgres",
        "resources": [_instance_arn(cloud, BEFORE_MIGRATION)],
        "tags": [MIGRATION],
    }
    cloud.invoke("TakeBackups", event, asynchronous=True)


# ── What others do ───────────────────────────────────────────────────────────────────────────────


def _lock(cloud: Cloud) -> None:
    snapshot = _snapshots(cloud, naming.volume_arn(_place(cloud), volume_id(cloud, LOCKED)))[0]
    cloud.client("ec2").lock_snapshot(SnapshotId=snapshot, LockMode="governance", LockDuration=365)


def _share(cloud: Cloud) -> None:
    cloud.client("ec2").modify_snapshot_attribute(
        SnapshotId=_snapshots(cloud, _instance_arn(cloud, SHARED))[-1],
        Attribute="createVolumePermission",
        OperationType="add",
        UserIds=[AUDITOR_ACCOUNT],
    )


def _leave_snapshots(cloud: Cloud) -> None:
    for age, name in enumerate(_releases()):
        made_at = cloud.clock.now() - timedelta(days=age)
        rds.installed_in(cloud).record_snapshot(RELEASED, name, created_at=made_at)


def _releases() -> list[str]:
    return [f"bookings-release-{number:02}" for number in range(RELEASES, 0, -1)]


def _schedule_deletion(cloud: Cloud) -> None:
    cloud.client("kms").schedule_key_deletion(KeyId=_key_id(cloud), PendingWindowInDays=7)


def _key_id(cloud: Cloud) -> str:
    key: str = cloud.client("kms").describe_key(KeyId=f"alias/{KEY}")["KeyMetadata"]["KeyId"]
    return key


def _snapshots(cloud: Cloud, resource: str) -> list[str]:
    """The first snapshot of each recovery point of a resource, oldest first."""
    points = Catalogue(cloud.physical_id("Table"), cloud.stack_name).of(resource)
    return [point.parts[0].snapshot for point in points if point.parts]


def _instance_arn(cloud: Cloud, name: str) -> str:
    return naming.instance_arn(_place(cloud), instance_id(cloud, name))


def _place(cloud: Cloud) -> tuple[str, str, str]:
    return "aws", cloud.region, cloud.account_id


# ── What chance does ─────────────────────────────────────────────────────────────────────────────


def _fail_script(cloud: Cloud) -> None:
    ssm_commands.installed_in(cloud).scripts_fail(
        instance_id(cloud, AT_REST), "pre-script", "psql: could not connect", code=201
    )


def _kill_halfway(cloud: Cloud) -> None:
    """Once the next night has begun, kill the shard's invocation in the middle of its snapshots."""

    def arm() -> None:
        cloud.mischief.kill("TakeBackups", _calls_to_the_middle(cloud), "after")

    # The night starts with a tick at two; its shard is woken by the sweep a minute later.
    cloud.clock.after(timedelta(minutes=1, seconds=30), arm, "arm the killing")


def _calls_to_the_middle(cloud: Cloud) -> int:
    """How many AWS calls it took the last gold night to ask for half of its recovery points."""
    for invocation in reversed(cloud.functions.invocations):
        taking = [
            number
            for number, call in enumerate(invocation.calls, start=1)
            if call.operation in ("CreateSnapshot", "CreateSnapshots")
        ]
        if len(taking) > 1 and "gold" in str(invocation.calls[0].params):
            return taking[len(taking) // 2]
    return 1
