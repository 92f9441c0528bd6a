"""What people and chance do to the backups of the seeded account in the week of the demo."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

from local.account import AUDITOR_ACCOUNT, PLAN_TAG, instance_id, volume_id
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

POLICY: Mapping[str, Any] = {
    "version": 1,
    "plans": {
        "gold": {
            "description": "Production: every twelve hours",
            "schedule": "0 */12 * * *",
            "rpo": "14h",
            "keep": {"within": "1d", "daily": 3, "tags": [[MIGRATION]]},
            "floor": {"count": 3},
        },
        "silver": {
            "description": "Internal systems: every night",
            "schedule": "0 2 * * *",
            "rpo": "26h",
            "keep": {"daily": 3, "weekly": 2},
            "floor": {"count": 2},
        },
        "bronze": DEFAULT_BACKUPS_POLICY["plans"]["bronze"],
    },
    "removal": {"schedule": "0 6 * * *", "cap": 50, "failed_after": "1d"},
}
"""The default with a shorter memory, so that a week is long enough to see things expire."""


WRITES = "writes the policy: gold twice a day, silver at night, bronze on Sundays"
TAGS = f"tags the volume {TAGGED_LATE}: {PLAN_TAG} = silver"
LOCKS = f"locks Monday's snapshot of {LOCKED}, for the auditors"
SHARES = f"shares the latest recovery point of {SHARED} with another account"
SLIPS = "edits the policy in a hurry: gold's daily becomes dayly"
CORRECTS = "reads the page and puts the policy right"
DROPS = "drops every event until midnight: only the sweep is left to notice"
ASKS = f"wants {BEFORE_MIGRATION} backed up by hand, as {MIGRATION}"
DELIVERS = "delivers again"


def story(start: datetime) -> list[Happening]:
    """Everything that is done from outside, oldest first; `start` is the Monday's midnight."""

    def on(day: int, hour: int, minute: int = 0) -> datetime:
        return start + timedelta(days=day, hours=hour, minutes=minute)

    return [
        Happening(on(0, 0), "operator", WRITES, lambda cloud: _write(cloud, POLICY)),
        Happening(on(1, 10, 20), "operator", TAGS, _tag_late),
        Happening(on(1, 14, 10), "somebody", LOCKS, _lock),
        Happening(on(1, 15, 40), "somebody", SHARES, _share),
        Happening(
            on(2, 11, 20), "operator", SLIPS, lambda cloud: _write(cloud, _edited_in_a_hurry())
        ),
        Happening(on(2, 23, 59), "chance", "", _kill_halfway),  # told when it dies
        Happening(on(3, 9, 10), "operator", CORRECTS, lambda cloud: _write(cloud, POLICY)),
        Happening(on(4, 0), "chance", DROPS, lambda cloud: cloud.mischief.trouble_events(drop=1.0)),
        Happening(on(4, 20, 30), "operator", ASKS, _by_hand),
        Happening(on(5, 0), "chance", DELIVERS, lambda cloud: cloud.mischief.trouble_events()),
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
    cloud.client("ec2").create_tags(
        Resources=[volume_id(cloud, TAGGED_LATE)], Tags=[{"Key": PLAN_TAG, "Value": "silver"}]
    )


def _by_hand(cloud: Cloud) -> None:
    event = {
        "trigger": "by-hand",
        "request_id": MIGRATION,
        "plan": "gold",
        "resources": [_instance_arn(cloud, BEFORE_MIGRATION)],
        "tags": [MIGRATION],
    }
    cloud.invoke("TakeBackups", event, asynchronous=True)


# ── What others do to recovery points ────────────────────────────────────────────────────────────


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


def _snapshots(cloud: Cloud, resource: str) -> list[str]:
    """The first snapshot of each recovery point of a resource, oldest first."""
    points = Catalogue(cloud.physical_id("Table"), cloud.stack_name).of(resource)
    return [point.parts[0].snapshot for point in points if point.parts]


def _instance_arn(cloud: Cloud, name: str) -> str:
    return naming.instance_arn(_place(cloud), instance_id(cloud, name))


def _place(cloud: Cloud) -> tuple[str, str, str]:
    return "aws", cloud.region, cloud.account_id


# ── What chance does ─────────────────────────────────────────────────────────────────────────────


def _kill_halfway(cloud: Cloud) -> None:
    """Once the next night has begun, kill the shard's invocation in the middle of its snapshots."""

    def arm() -> None:
        cloud.mischief.kill("TakeBackups", _calls_to_the_middle(cloud), "after")

    # The night starts with a tick at midnight; its shard is woken by the sweep a minute later.
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
