"""A tiny account, one night of backups in it, and what there is afterwards."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from local.aws import dynamodb_backups, rds
from local.aws.ec2 import installed_in
from local.cloud import Cloud
from local.pace import Pace, by_identifier
from tests.crash.ends import is_busy, stands, told

PLAN = "nightly"
BEFORE = datetime(2026, 11, 23, 1, 46, tzinfo=UTC)
"""Ticks come at once and every 15 minutes: one finds the policy, the next starts the night."""
NIGHT = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
POLICY: dict[str, Any] = {
    "version": 1,
    "plans": {
        PLAN: {
            "schedule": "0 2 * * *",
            "rpo": "26h",
            "keep": {"last": 2},
            "floor": {"count": 1},
        }
    },
    "removal": {"schedule": "0 6 * * *", "cap": 100, "failed_after": "1d"},
}
PACE = Pace(snapshot_takes=by_identifier(timedelta(minutes=3), timedelta(minutes=8)))
"""Snapshots of small volumes: every minute of a night is calls, and calls are what tests cost."""

SERVER, ARCHIVE, BROKEN, SCRATCH = "server", "archive", "broken", "scratch"
"""The account: an instance of two volumes and three volumes by themselves."""
TAKEN = {SERVER, ARCHIVE, BROKEN, SCRATCH}
EXPECTED = ("At risk in plan ", "Drills failed: ")
"""What people are told of BROKEN, which never has a recovery point."""


@dataclass
class Account:
    """The box, and the ids of what is in it."""

    cloud: Cloud
    ids: dict[str, str]
    """By name: what their ARNs end with."""
    root: str = ""
    data: str = ""
    """The volumes of the instance."""

    def name_of(self, record: dict[str, Any]) -> str:
        identifier = record["resource"].replace("/", ":").rsplit(":", 1)[-1]
        return next(name for name, known in self.ids.items() if known == identifier)

    def arn(self, name: str) -> str:
        kind = "instance" if name == SERVER else "volume"
        return f"arn:aws:ec2:{self.cloud.region}:{self.cloud.account_id}:{kind}/{self.ids[name]}"


@contextmanager
def account(
    *,
    start: datetime = BEFORE,
    pace: Pace = PACE,
    policy: dict[str, Any] | None = None,
    breaks: bool = True,
    **options: Any,
) -> Iterator[Account]:
    """The tiny account with the stack in it. The snapshots of BROKEN fail, if it `breaks`."""
    thin = options.pop("thin", timedelta(minutes=15))
    with Cloud(start, seeded=False, thin=thin, pace=pace, **options) as cloud:
        cloud.client("ssm").put_parameter(
            Name="/watchkeeper/policy/backups", Value=json.dumps(policy or POLICY), Type="String"
        )
        made = _furnished(cloud)
        if breaks:
            installed_in(cloud).fail_snapshot_of(
                made.ids[BROKEN], "An internal error occurred.", times=99
            )
        yield made


def _furnished(cloud: Cloud) -> Account:
    ec2 = cloud.client("ec2")
    zone = f"{cloud.region}a"

    def tagged(kind: str, name: str) -> list[dict[str, Any]]:
        tags = {"Name": name, "backup-plan": PLAN}
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        return [{"ResourceType": kind, "Tags": listed}]

    instance = ec2.run_instances(
        ImageId="ami-12c6146b", MinCount=1, MaxCount=1, Placement={"AvailabilityZone": zone},
        TagSpecifications=tagged("instance", SERVER),
    )["Instances"][0]  # fmt: skip
    data = ec2.create_volume(AvailabilityZone=zone, Size=8)["VolumeId"]
    ec2.attach_volume(VolumeId=data, InstanceId=instance["InstanceId"], Device="/dev/sdf")
    ids = {SERVER: instance["InstanceId"]} | {
        name: ec2.create_volume(
            AvailabilityZone=zone, Size=4, TagSpecifications=tagged("volume", name)
        )["VolumeId"]
        for name in (ARCHIVE, BROKEN, SCRATCH)
    }
    described = ec2.describe_instances(InstanceIds=[ids[SERVER]])
    mappings = described["Reservations"][0]["Instances"][0]["BlockDeviceMappings"]
    root = next(one["Ebs"]["VolumeId"] for one in mappings if one["Ebs"]["VolumeId"] != data)
    return Account(cloud, ids, root, data)


# ── What there is ─────────────────────────────────────────────────────────────────────────────────


def items(cloud: Cloud) -> list[dict[str, Any]]:
    """The whole table, in plain Python."""
    from watchkeeper.aws.table import unpack  # noqa: PLC0415, the layer is importable inside a box

    pages = (
        cloud.client("dynamodb")
        .get_paginator("scan")
        .paginate(TableName=cloud.physical_id("Table"), ConsistentRead=True)
    )
    return [unpack(item) for page in pages for item in page["Items"]]


def records(cloud: Cloud) -> list[dict[str, Any]]:
    """The catalogue: every recovery point as it is stored, by key."""
    found = [item for item in items(cloud) if item["pk"].startswith("POINT#")]
    return sorted(found, key=lambda item: (item["pk"], item["sk"]))


@dataclass(frozen=True, order=True)
class Point:
    """A recovery point in the catalogue, without what differs from one telling to the next."""

    source: str
    state: str
    volumes: int
    night: str = ""


@dataclass(frozen=True)
class Outcome:
    """The world and the record after a story."""

    points: tuple[Point, ...]
    catalogue: dict[str, str]
    """Per snapshot that the catalogue names, the state of its recovery point."""
    snapshots: frozenset[str]
    """Those of ours that the account still has, hidden ones too."""
    runs: dict[str, str]
    """Per run, the step it is at; `failed: …` or `done`."""
    pages: tuple[str, ...]
    """Subjects of the pages that nobody expects here."""
    news: tuple[str, ...]
    reasons: dict[str, str]
    """Per source, why its newest recovery point failed, was removed or is not what it should be."""

    @property
    def unlisted(self) -> set[str]:
        """Snapshots of ours that cost money and are in no record."""
        return set(self.snapshots - self.catalogue.keys())

    @property
    def kept(self) -> dict[tuple[str, str], int]:
        """Per source and state, the recovery points that have snapshots."""
        return Counter(
            (point.source, point.state)
            for point in self.points
            if point.volumes and point.state != "removed"
        )


def outcome(made: Account) -> Outcome:
    cloud = made.cloud
    points = records(cloud)
    runs = [item for item in items(cloud) if item["sk"] == "RUN"]
    return Outcome(
        points=tuple(sorted(_point(made, item) for item in points)),
        catalogue={part["snapshot"]: item["state"] for item in points for part in item["parts"]},
        snapshots=frozenset(ours(cloud)),
        runs={item["pk"].removeprefix("RUN#"): stands(item) for item in runs},
        pages=told(cloud, *EXPECTED),
        news=tuple(news.json()["type"] for news in cloud.published("NewsTopic")),
        reasons={made.name_of(one): one["why"] for one in sorted(points, key=_created_at)},
    )


def _point(made: Account, item: dict[str, Any]) -> Point:
    return Point(made.name_of(item), item["state"], len(item["parts"]), item["run"].split("#")[2])


def _created_at(item: dict[str, Any]) -> str:
    return str(item["created_at"])


def ours(cloud: Cloud) -> list[str]:
    """The snapshots and backups that this stack made and that are not on their way out, as the
    catalogue names them.
    """
    return [*_of_volumes(cloud), *_of_databases(cloud), *_of_tables(cloud)]


def _of_volumes(cloud: Cloud) -> list[str]:
    return [
        str(snapshot.id)
        for snapshot in installed_in(cloud).backend.snapshots.values()
        if any(tag["key"] == "watchkeeper:stack" for tag in snapshot.get_tags())
        and installed_in(cloud).life_of(snapshot).gone_at is None
    ]


def _of_databases(cloud: Cloud) -> list[str]:
    from watchkeeper import naming  # noqa: PLC0415 (as above)

    installed, begins = rds.installed_in(cloud), naming.database_snapshot(cloud.stack_name, "")
    made = [
        *installed.backend.database_snapshots.values(),
        *installed.backend.cluster_snapshots.values(),
    ]
    return [
        str(snapshot.arn)
        for snapshot in made
        if snapshot.resource_id.startswith(begins) and installed.life_of(snapshot).gone_at is None
    ]


def _of_tables(cloud: Cloud) -> list[str]:
    installed = dynamodb_backups.installed_in(cloud)
    return [
        str(backup.arn)
        for backup in installed.backend.backups.values()
        if backup.name.startswith(f"wk.{cloud.stack_name}.")
        and installed.life_of(backup).gone_at is None
    ]


# ── Letting time pass ─────────────────────────────────────────────────────────────────────────────

LONGEST = timedelta(hours=30)
"""No night takes longer: its first snapshots are given up after a day."""


def run_night(made: Account, longest: timedelta = LONGEST) -> Outcome:
    """Until the night that comes next, and on until nothing is due any more."""
    if made.cloud.clock.now() < NIGHT:
        made.cloud.clock.run_until(NIGHT + timedelta(minutes=1))
    return settle(made, longest)


def settle(made: Account, longest: timedelta = LONGEST) -> Outcome:
    """Until no run has anything left to do."""
    end = made.cloud.clock.now() + longest
    while is_busy(made.cloud) and made.cloud.clock.now() < end:
        made.cloud.clock.run_for(timedelta(minutes=5))
    return outcome(made)


def expire_later(made: Account, days: int) -> Outcome:
    """What an expiry leaves, so many days later. What would have come between is skipped."""
    cloud = made.cloud
    cloud.clock.move_to(cloud.clock.now() + timedelta(days=days))
    event = {"trigger": "by-hand", "request_id": f"after-{days}-days"}
    for _ in range(2):  # the second look, after deletions have gone through, confirms them
        invocation = cloud.invoke("ExpireBackups", event)
        assert invocation.ok, invocation.error
        cloud.clock.move_to(cloud.clock.now() + timedelta(minutes=10))
    return outcome(made)
