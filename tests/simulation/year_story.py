"""The year that the seeded account has: its policy, and everything that goes wrong in it.

What goes wrong is drawn from a seed, one incident a week, and done to the box at its time. Nothing
here looks at what Watchkeeper makes of it; `year_model.py` says what it should.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any, Literal

from local import account
from local.aws import backup, ec2, rds
from local.cloud import Cloud
from local.pace import Pace, by_identifier
from watchkeeper.backups.model import Kind
from watchkeeper.policy import BackupsPolicy, parse_backups_policy

DAY, WEEK = timedelta(days=1), timedelta(weeks=1)


@dataclass(frozen=True)
class Stretch:
    """Some weeks of the account's life, from a Monday noon; the seed says what goes wrong."""

    seed: int = 1
    begins: datetime = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    weeks: int = 52
    """A year has both changes of clocks in it."""

    @property
    def ends(self) -> datetime:
        return self.begins + self.weeks * WEEK


DRILLS: dict[str, Any] = {
    "schedule": "0 9 21 11 *",
    "every": {
        "metadata": "366d",
        **dict.fromkeys(("blocks", "restore", "check", "exercise"), "never"),
    },
}
"""They have a year of their own (drills_year.py); here they would only take time."""
POLICY: dict[str, Any] = {
    "version": 1,
    "plans": {
        # In local time, and at an hour that the end of March leaves out.
        "gold": {
            "schedule": "30 2 * * SUN,MON,WED,FRI",
            "zone": "Europe/Amsterdam",
            "rpo": "2d3h",
            "keep": {"daily": 4, "weekly": 3, "monthly": 6},
            "floor": {"count": 3, "age": "1d"},
            "point_in_time": "expected",
        },
        "silver": {
            "schedule": "30 1 * * TUE,FRI",
            "rpo": "4d2h",
            "keep": {"last": 3, "monthly": 4},
            "floor": {"count": 3, "age": "2d"},
        },
        "bronze": {
            "schedule": "0 3 * * SUN",
            "rpo": "8d",
            "keep": {"weekly": 3, "monthly": 2},
            "floor": {"count": 2, "age": "7d"},
        },
    },
    "removal": {"schedule": "0 6 * * MON,THU", "cap": 100, "failed_after": "1d"},
}
"""Three plans as the default has, run as often as a year can be simulated in minutes."""

PACE = Pace(
    snapshot_takes=by_identifier(timedelta(minutes=2), timedelta(minutes=4)),
    db_snapshot_takes=by_identifier(timedelta(minutes=2), timedelta(minutes=4)),
)
"""Done by the first look of a shard: each further look costs calls and shows nothing new."""

WINDOWED = "harbour-bookings-production"
WINDOW = "01:20-01:50"
"""Its backup window, UTC: open when the night comes in winter, long closed in summer."""
SLEEPER = "staging-restore-test"
"""The database that RDS starts after seven days, and that people stop again."""
AWAKE = timedelta(days=2)
"""How long nobody notices. Whole days: it is always stopped at noon, far from its backup window."""
TIGHT_QUOTA, RAISED_QUOTA = 40, 100
RAISED_AFTER = timedelta(days=19, hours=3)
MENDED_AFTER = timedelta(days=2, hours=4)
"""When somebody reads the first page, and enables the key that was retired too early."""
VAULT_KEEPS = 3
OTHERS_LAST_WEEK = 9
"""Until then AWS Backup makes a recovery point a week; from then on they only age out."""

What = Literal[
    "ticks lost",
    "denied",
    "snapshots failed",
    "events lost",
    "killed",
    "key disabled",
    "key doomed",
]


@dataclass(frozen=True)
class Incident:
    """Something that goes wrong."""

    what: What
    begins: datetime
    lasts: timedelta = timedelta(0)
    name: str = ""
    """Of the resource whose snapshots fail, or of the key."""
    times: int = 0
    """So many of its next snapshots."""
    seed: int = 0

    @property
    def ends(self) -> datetime:
        return self.begins + self.lasts

    def __str__(self) -> str:
        about = f" of {self.name}" if self.name else ""
        extent = f", {self.times} times" if self.times else ""
        extent = f" for {self.lasts / DAY:g} days" if self.lasts else extent
        return f"{self.begins:%Y-%m-%d %H:%M}  {self.what}{about}{extent}"


@dataclass(frozen=True)
class Resource:
    """A tagged thing of the seeded account, as the tables in `local.account` have it."""

    name: str
    arn: str
    kind: Kind
    plan: str
    key: str = ""
    """The alias of its KMS key."""
    has_span: bool = False
    """Whether it can be restored to any moment, and so is as fresh as its plan's last report."""

    @property
    def label(self) -> str:
        """What pages call it."""
        return f"{self.name} ({self.kind.value})"


def policy() -> BackupsPolicy:
    return parse_backups_policy(json.dumps(POLICY))


def resources(cloud: Cloud) -> list[Resource]:
    """Everything that the plans take, told from what the account was seeded with."""
    here = f"{cloud.region}:{cloud.account_id}"
    plans = POLICY["plans"]
    machines = [
        Resource(
            one.name, f"arn:aws:ec2:{here}:instance/{account.instance_id(cloud, one.name)}",
            Kind.INSTANCE, one.plan or "", "alias/harbour-data" if one.encrypted else "",
        )
        for one in account.INSTANCES
        if one.plan in plans
    ]  # fmt: skip
    volumes = [
        Resource(
            one.name, f"arn:aws:ec2:{here}:volume/{account.volume_id(cloud, one.name)}",
            Kind.VOLUME, one.plan or "", one.key or "",
        )
        for one in account.VOLUMES
        if one.plan in plans
    ]  # fmt: skip
    databases = [
        Resource(
            one.name, f"arn:aws:rds:{here}:db:{one.name}",
            Kind.DATABASE, one.plan or "", one.key or "", has_span=one.retention > 0,
        )
        for one in account.DATABASES
        if one.plan in plans
    ]  # fmt: skip
    clusters = [
        Resource(name, f"arn:aws:rds:{here}:cluster:{name}", Kind.CLUSTER, plan, has_span=True)
        for name, plan in account.CLUSTERS.items()
        if plan is not None
    ]
    tables = [
        Resource(
            one.name, f"arn:aws:dynamodb:{here}:table/{one.name}",
            Kind.TABLE, one.plan or "", has_span=one.recoverable,
        )
        for one in account.TABLES
        if one.plan in plans
    ]  # fmt: skip
    return [*machines, *volumes, *databases, *clusters, *tables]


# ── What is drawn ─────────────────────────────────────────────────────────────────────────────────

BRITTLE = (
    *("harbour-api-1", "harbour-web-2", "harbour-invoices", "harbour-archive-2024"),
    *("staging-fixtures", "harbour-loyalty"),
)
"""Whose snapshots fail: instances, volumes and a database of all plans, none with a span."""
DATA_KEY, RETIRED_KEY = "alias/harbour-data", "alias/harbour-retired"


def drawn(stretch: Stretch) -> list[Incident]:
    """One incident a week, from the second week on; the keys' troubles a third of the way."""
    random = Random(stretch.seed)
    found = []
    for week in range(1, stretch.weeks):
        monday = stretch.begins + week * WEEK
        if week == stretch.weeks // 3:
            found.append(Incident("key disabled", monday, 6 * DAY, DATA_KEY))
        elif week == stretch.weeks // 3 + 2:
            found.append(Incident("key doomed", monday, 4 * DAY, RETIRED_KEY))
        else:
            found.append(_drawn(random, monday + random.randrange(4) * DAY))
    return found


def _drawn(random: Random, begins: datetime) -> Incident:
    what = random.choices(
        ("ticks lost", "denied", "snapshots failed", "events lost", "killed"), (3, 1, 4, 1, 3)
    )[0]
    match what:
        case "ticks lost":
            return Incident(what, begins, random.randint(1, 3) * DAY)
        case "denied":
            return Incident(what, begins, DAY)
        case "snapshots failed":
            return Incident(what, begins, name=random.choice(BRITTLE), times=random.randint(1, 3))
        case "events lost":
            return Incident(what, begins, 3 * DAY)
        case _:
            return Incident("killed", begins, DAY, seed=random.randrange(10**6))


# ── What is done ──────────────────────────────────────────────────────────────────────────────────


def begin(cloud: Cloud) -> None:
    """The account as it is when the year begins."""
    for name, policy in (("backups", POLICY), ("drills", DRILLS)):
        cloud.client("ssm").put_parameter(
            Name=f"/watchkeeper/policy/{name}", Value=json.dumps(policy), Type="String"
        )
    cloud.client("rds").modify_db_instance(
        DBInstanceIdentifier=WINDOWED, PreferredBackupWindow=WINDOW, ApplyImmediately=True
    )
    rds.installed_in(cloud).manual_snapshot_quota = TIGHT_QUOTA


def appoint(cloud: Cloud, stretch: Stretch, incidents: Iterable[Incident]) -> None:
    """Make an appointment for everything that happens."""
    for at, act, label in (*_incidental(incidents), *_regular(stretch)):
        cloud.clock.at(at, partial(_happen, cloud, act), label)


def _happen(cloud: Cloud, act: Callable[[Cloud], None]) -> None:
    act(cloud)
    cloud.functions.stir()  # the next tick may find the world changed


Happening = tuple[datetime, Callable[[Cloud], None], str]


def _incidental(incidents: Iterable[Incident]) -> Iterator[Happening]:
    for one in incidents:
        yield one.begins, partial(_begin, one), f"{one}"
        if one.lasts:
            yield one.ends, partial(_end, one), f"end of {one}"


def _regular(stretch: Stretch) -> Iterator[Happening]:
    begins = stretch.begins
    yield begins + MENDED_AFTER, partial(_enable, RETIRED_KEY), "the retired key is enabled"
    yield begins + RAISED_AFTER, _raise_quota, "AWS raises the quota"
    for asleep in sleeps(stretch):
        yield asleep, _stop_sleeper, f"{SLEEPER} is stopped again"
    for week in range(1, stretch.weeks + 1):
        makes_one = week < OTHERS_LAST_WEEK
        yield begins + week * WEEK - DAY / 2, partial(_age_others, makes_one), "AWS Backup's week"


def sleeps(stretch: Stretch) -> list[datetime]:
    """When the sleeper is stopped again, having been started by RDS after seven days."""
    cycle = timedelta(days=7) + AWAKE
    cycles = int((stretch.ends - stretch.begins) / cycle)
    return [stretch.begins + number * cycle for number in range(1, cycles + 1)]


def _begin(incident: Incident, cloud: Cloud) -> None:
    match incident.what:
        case "ticks lost":
            _switch_ticks(cloud, "DISABLED")
        case "denied":
            cloud.mischief.fail("ssm", "GetParameter", "AccessDeniedException", times=None)
        case "events lost":
            cloud.mischief.trouble_events(drop=1.0)
        case "killed":
            _kill(cloud, Random(incident.seed))
        case "snapshots failed":
            _doom(cloud, incident.name, incident.times)
        case "key disabled" | "key doomed":
            _lose_key(cloud, incident)


def _end(incident: Incident, cloud: Cloud) -> None:
    match incident.what:
        case "ticks lost":
            _switch_ticks(cloud, "ENABLED")
        case "key disabled":
            _enable(incident.name, cloud)
        case "key doomed":
            cloud.client("kms").cancel_key_deletion(KeyId=_key(cloud, incident.name))
            _enable(incident.name, cloud)  # a key whose deletion is cancelled is disabled
        case "killed":
            cloud.mischief.calm()
            # As the alarm's runbook has it: a sweep's tick is not tried again, and waits there.
            cloud.client("sqs").purge_queue(QueueUrl=cloud.physical_id("SweepRunsUnhandled"))
        case _:
            cloud.mischief.calm()


def _kill(cloud: Cloud, random: Random) -> None:
    """One invocation of each function, at one of the calls that a day of it makes."""
    for function, calls in (("TakeBackups", 250), ("ExpireBackups", 60), ("SweepRuns", 90)):
        cloud.mischief.kill(function, random.randint(1, calls), random.choice(("before", "after")))


def _switch_ticks(cloud: Cloud, state: str) -> None:
    """What a person does who presses the wrong button of EventBridge Scheduler's console."""
    scheduler = cloud.client("scheduler")
    name = cloud.physical_id("TakeBackupsTick")
    known = scheduler.get_schedule(Name=name)
    wanted = ("ScheduleExpression", "FlexibleTimeWindow", "Target")
    scheduler.update_schedule(Name=name, State=state, **{one: known[one] for one in wanted})


def _doom(cloud: Cloud, name: str, times: int) -> None:
    if name in {one.name for one in account.DATABASES}:
        rds.installed_in(cloud).fail_snapshot_of(name, times=times)
        return
    machines = [one.name for one in account.INSTANCES]
    volume = f"{name} /dev/sda1" if name in machines else name
    ec2.installed_in(cloud).fail_snapshot_of(account.volume_id(cloud, volume), times=times)


def _key(cloud: Cloud, alias: str) -> str:
    # By its id, which all of KMS's operations take, in moto too.
    key: str = cloud.client("kms").describe_key(KeyId=alias)["KeyMetadata"]["KeyId"]
    return key


def _lose_key(cloud: Cloud, incident: Incident) -> None:
    kms, key = cloud.client("kms"), _key(cloud, incident.name)
    if incident.what == "key disabled":
        kms.disable_key(KeyId=key)
    else:
        kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)


def _enable(alias: str, cloud: Cloud) -> None:
    cloud.client("kms").enable_key(KeyId=_key(cloud, alias))


def _raise_quota(cloud: Cloud) -> None:
    rds.installed_in(cloud).manual_snapshot_quota = RAISED_QUOTA


def _stop_sleeper(cloud: Cloud) -> None:
    cloud.client("rds").stop_db_instance(DBInstanceIdentifier=SLEEPER)


def _age_others(makes_one: bool, cloud: Cloud) -> None:
    """AWS Backup makes a recovery point of each of its resources, and removes the oldest ones."""
    backups, now = backup.installed_in(cloud), cloud.clock.now()
    for resource, points in kept_by_others(cloud).items():
        if makes_one:
            backups.record_recovery_point(account.VAULT, resource, created_at=now)
            surplus = len(points) + 1 - VAULT_KEEPS
        else:
            surplus = 1
        for arn in points[:surplus]:
            backups.expire(arn)


def kept_by_others(cloud: Cloud) -> dict[str, Sequence[str]]:
    """Per resource, the ARNs of what AWS Backup keeps of it, oldest first."""
    listed = cloud.client("backup").list_recovery_points_by_backup_vault(
        BackupVaultName=account.VAULT
    )["RecoveryPoints"]
    ordered = sorted(listed, key=lambda one: (one["CreationDate"], one["RecoveryPointArn"]))
    found: dict[str, list[str]] = {}
    for one in ordered:
        found.setdefault(one["ResourceArn"], []).append(one["RecoveryPointArn"])
    return {arn: tuple(points) for arn, points in found.items()}
