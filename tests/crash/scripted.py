"""A tiny account with scripts around one instance's snapshots, one night in it, and what the
instance went through.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from local.aws import ec2, ssm_commands
from local.aws.ssm_commands import Commands, Freeze, create_script_document
from local.cloud import Cloud
from local.pace import Pace
from tests.crash.ends import is_busy, stands, told
from tests.crash.night import BEFORE, NIGHT, items, ours, records

SCRIPTED, PLAIN = "scripted", "plain"
"""The plans, with scripts and without."""
DOCUMENT = "watchkeeper-freeze"
PRE, POST = ssm_commands.FREEZES, ssm_commands.THAWS
SHARD = "backup#scripted#2026-11-23T02:00Z#000"
"""The run around the scripted instance."""
POLICY: dict[str, Any] = {
    "version": 1,
    "plans": {
        name: {
            "schedule": "0 2 * * *",
            "rpo": "26h",
            "keep": {"last": 2},
            "floor": {"count": 1},
            **scripts,
        }
        for name, scripts in (
            (SCRIPTED, {"scripts": {"document": DOCUMENT, "timeout": "2min"}}),
            (PLAIN, {}),
        )
    },
    "removal": {"schedule": "0 6 * * *", "cap": 100, "failed_after": "1d"},
}
PACE = Pace(snapshot_takes=timedelta(minutes=4))
THIN = timedelta(minutes=2)
"""A sweep that finds nothing to do may sleep through the next minute, and no longer."""

DATABASE, WEB, ARCHIVE = "database", "web", "archive"
"""The account: an instance of two volumes whose plan has scripts, one of one volume whose plan has
none, and a volume by itself.
"""


@dataclass
class Account:
    cloud: Cloud
    ids: dict[str, str]
    """By name."""

    @property
    def commands(self) -> Commands:
        return ssm_commands.installed_in(self.cloud)

    @property
    def instance(self) -> str:
        """The one with the scripts."""
        return self.ids[DATABASE]

    def name_of(self, arn: str) -> str:
        identifier = arn.rsplit("/", 1)[-1]
        return next(name for name, known in self.ids.items() if known == identifier)


@contextmanager
def account(**options: Any) -> Iterator[Account]:
    """The tiny account with the stack in it, before the first night."""
    with Cloud(BEFORE, seeded=False, thin=THIN, pace=PACE, **options) as cloud:
        ssm = cloud.client("ssm")
        ssm.put_parameter(
            Name="/watchkeeper/policy/backups", Value=json.dumps(POLICY), Type="String"
        )
        create_script_document(ssm, DOCUMENT)
        yield Account(cloud, _furnished(cloud))


def _furnished(cloud: Cloud) -> dict[str, str]:
    client, zone = cloud.client("ec2"), f"{cloud.region}a"

    def tagged(kind: str, name: str, plan: str) -> list[dict[str, Any]]:
        tags = {"Name": name, "backup-plan": plan}
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        return [{"ResourceType": kind, "Tags": listed}]

    def instance(name: str, plan: str) -> str:
        made = client.run_instances(
            ImageId="ami-12c6146b", MinCount=1, MaxCount=1, Placement={"AvailabilityZone": zone},
            TagSpecifications=tagged("instance", name, plan),
        )  # fmt: skip
        return str(made["Instances"][0]["InstanceId"])

    ids = {DATABASE: instance(DATABASE, SCRIPTED), WEB: instance(WEB, PLAIN)}
    data = client.create_volume(AvailabilityZone=zone, Size=8)["VolumeId"]
    client.attach_volume(VolumeId=data, InstanceId=ids[DATABASE], Device="/dev/sdf")
    alone = client.create_volume(
        AvailabilityZone=zone, Size=4, TagSpecifications=tagged("volume", ARCHIVE, PLAIN)
    )
    return {**ids, ARCHIVE: alone["VolumeId"]}


# ── What there is ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, order=True)
class Point:
    """A recovery point in the catalogue, without what differs from one telling to the next."""

    source: str
    state: str
    volumes: int


@dataclass(frozen=True)
class Outcome:
    """The world and the record after a story."""

    points: tuple[Point, ...]
    consistency: str
    """Of the scripted instance's recovery point, as its record has it."""
    held_still: bool
    """Whether, in the world, the instance was frozen when each of those snapshots was begun."""
    told: tuple[str, ...]
    """The instance's line in the news, where it was not as its plan asks; once per shard's end."""
    found: tuple[str, ...]
    """Why the coverage report says `crash-consistent only`."""
    words: tuple[str, ...]
    """What ran on the instance, in order."""
    freezes: tuple[tuple[datetime, datetime | None], ...]
    thawed: str
    """How that ended, as the run has it."""
    runs: dict[str, str]
    """Per run, the step it is at; `failed: …` or `done`."""
    reported: dict[str, datetime]
    """Per plan, when the night's report was sent."""
    catalogued_at: datetime | None
    """When the news came that the scripted instance's recovery point was read back."""
    unlisted: tuple[str, ...]
    """Snapshots of ours that cost money and are in no record."""
    pages: tuple[str, ...]
    """Subjects of the pages, but for alarms, which have their own tests."""

    @property
    def is_thawed(self) -> bool:
        return all(until for _, until in self.freezes)

    @property
    def longest_freeze(self) -> timedelta:
        """Of those that ended."""
        spans = [until - since for since, until in self.freezes if until]
        return max(spans, default=timedelta(0))

    @property
    def is_honest(self) -> bool:
        """What is called application-consistent was, and what is not says so in three places."""
        if self.consistency == "application":
            return self.held_still and not self.told and not self.found
        return (
            self.consistency.startswith("crash-consistent only: ")
            and self.found == (self.consistency,)
            and [line[: len(SAID)] for line in self.told] == [SAID]
        )


SAID = f"{DATABASE}: crash-consistent only: "


def outcome(made: Account) -> Outcome:
    cloud = made.cloud
    stored, points = items(cloud), records(cloud)
    runs = {item["pk"].removeprefix("RUN#"): item for item in stored if item["sk"] == "RUN"}
    news = [one.json() for one in cloud.published("NewsTopic")]
    completed = [one for one in news if one["type"] == "RecoveryPointsCompleted"]
    listed = {part["snapshot"] for item in points for part in item["parts"]}
    findings = [
        finding
        for item in stored
        if item["sk"].startswith("FINDINGS#")
        for finding in item["findings"]
    ]
    return Outcome(
        points=tuple(
            sorted(
                Point(made.name_of(item["resource"]), item["state"], len(item["parts"]))
                for item in points
            )
        ),
        consistency=_newest(made, points).get("consistency", ""),
        held_still=_held_still(made, points),
        told=tuple(sorted({one["crash_consistent"] for one in completed} - {""})),
        found=tuple(one["why"] for one in findings if one["gap"] == "crash-consistent only"),
        words=tuple(made.commands.words_run(made.instance)),
        freezes=tuple(map(_span, made.commands.freezes(made.instance))),
        thawed=runs.get(SHARD, {}).get("facts", {}).get("thawed", ""),
        runs={run_id: stands(item) for run_id, item in runs.items()},
        reported={one["plan"]: _at(one) for one in news if one["type"] == "BackupsReported"},
        catalogued_at=next((_at(one) for one in completed if one["plan"] == SCRIPTED), None),
        unlisted=tuple(sorted(set(ours(cloud)) - listed)),
        pages=told(cloud),
    )


def shard_of(made: Account) -> dict[str, Any]:
    """The record of the run around the scripted instance; empty before there is one."""
    found = [item for item in items(made.cloud) if item["pk"] == f"RUN#{SHARD}"]
    return next((item for item in found if item["sk"] == "RUN"), {})


def _newest(made: Account, points: list[dict[str, Any]]) -> dict[str, Any]:
    """The scripted instance's recovery point that can be restored from."""
    known = [
        item
        for item in points
        if made.name_of(item["resource"]) == DATABASE and item["state"] == "completed"
    ]
    return known[-1] if known else {}


def _held_still(made: Account, points: list[dict[str, Any]]) -> bool:
    lives = ec2.installed_in(made.cloud).lives
    parts = [part["snapshot"] for part in _newest(made, points).get("parts", [])]
    return bool(parts) and all(
        made.commands.frozen(made.instance, lives[part].started_at) for part in parts
    )


def _span(freeze: Freeze) -> tuple[datetime, datetime | None]:
    return freeze.since, freeze.until


def _at(news: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(news["at"])


# ── Letting time pass ─────────────────────────────────────────────────────────────────────────────


def run_until(made: Account, condition: Callable[[], object]) -> None:
    """To the second at which something has come true, within the hour."""
    clock = made.cloud.clock
    end = clock.now() + timedelta(hours=1)
    while not condition():
        assert clock.now() < end, "it has not come true"
        clock.run_for(timedelta(seconds=1))


def run_until_frozen(made: Account) -> None:
    run_until(made, lambda: made.commands.frozen(made.instance))


def run_night(made: Account, longest: timedelta = timedelta(hours=3)) -> Outcome:
    """Until the night that comes next, and on until nothing is due any more."""
    clock = made.cloud.clock
    if clock.now() < NIGHT:
        clock.run_until(NIGHT + timedelta(minutes=1))
    end = clock.now() + longest
    while is_busy(made.cloud) and clock.now() < end:
        clock.run_for(timedelta(minutes=5))
    return outcome(made)
