"""The year of drills: a small account, its policies, and everything that goes wrong in it.

What goes wrong is drawn from a seed, one trouble a week, and done to the box at its time. Nothing
here looks at what Watchkeeper makes of it; `drills_model.py` says what it should.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any, Literal

from moto.dynamodb.models import dynamodb_backends

from local.aws import dynamodb_restores, ebs_blocks, ec2_restores, rds_restores, verifiers
from local.cloud import Cloud
from local.disks import Layout
from local.pace import Pace, by_identifier
from tests.simulation.year_story import DAY, WEEK, Stretch
from watchkeeper import naming
from watchkeeper.aws.table import unpack
from watchkeeper.policy import BackupsPolicy, parse_backups_policy

HOUR = timedelta(hours=1)
Record = dict[str, Any]

# ── What is there ─────────────────────────────────────────────────────────────────────────────────

PACE = Pace(
    snapshot_takes=by_identifier(timedelta(minutes=2), timedelta(minutes=4)),
    db_snapshot_takes=by_identifier(timedelta(minutes=2), timedelta(minutes=4)),
    ddb_backup_takes=timedelta(minutes=2),
)
"""Done by the first look of a shard: this year is about drills."""


def _plan(rpo: str, schedule: str, keep: int) -> dict[str, Any]:
    kept = {"keep": {"last": keep, "weekly": 2}, "floor": {"count": 2}}
    return {"schedule": schedule, "rpo": rpo, **kept}


BACKUPS: dict[str, Any] = {
    "version": 1,
    "plans": {
        "gold": _plan("4d", "30 2 * * SUN,TUE,THU", 4),
        "silver": _plan("5d", "30 2 * * MON,THU", 3),
        "bronze": _plan("8d", "30 2 * * SUN", 3),
    },
    "removal": {"schedule": "0 6 * * MON", "cap": 100, "failed_after": "1d"},
}
"""As few nights as the simulation of drills needs: some points to choose from, of some age."""


@dataclass(frozen=True)
class Member:
    """Something that is protected, for the whole year or for a part of it."""

    name: str
    kind: Literal["volume", "instance", "database", "cluster", "table"]
    plan: str
    comes: timedelta = timedelta(0)
    goes: timedelta | None = None
    """When its owner deletes it; its recovery points stay, as the policy has it."""


SECRET = "secret"  # noqa: S105, the volume's name
MEMBERS = (
    Member("disk", "volume", "gold"),
    Member("bookings", "database", "gold"),
    Member("ledger", "cluster", "gold"),
    Member(SECRET, "volume", "silver"),
    Member("server", "instance", "silver"),
    Member("rates", "table", "silver"),
    Member("visits", "table", "bronze", comes=9 * WEEK),
    Member("trial", "database", "bronze", comes=14 * WEEK, goes=27 * WEEK),
    Member("scratch", "volume", "bronze", comes=DAY, goes=19 * WEEK),
)
SIGNS = "ops@example.com"
QUESTIONS = {
    "tag": {"key": "app", "value": "shop"},
    "database": "shop",
    "queries": [
        {"name": "rows of orders", "query": "select count(*) from orders", "at_least": 1000},
        {"name": "newest order", "query": "select max(created_at) from orders", "newest": True},
    ],
}
CLOSED = {"opens": "0 0 20 12 *", "lasts": "14d", "why": "Nothing changes at year's end"}
ROUND = timedelta(hours=9)
"""Of a day, in UTC."""


def drills_policy(budget: dict[str, Any], silver: dict[str, str]) -> dict[str, Any]:
    """As the operator writes it; silver's intervals and the budget change in the year."""
    return {
        "version": 1,
        "schedule": "0 9 * * *",
        "every": {
            "metadata": "7d", "blocks": "14d", "restore": "30d", "check": "60d",
            "exercise": "never",
        },
        "plans": {
            "gold": {"every": {"restore": "20d", "check": "40d", "exercise": "180d"}},
            "silver": {"every": silver},
            "bronze": {"every": {"restore": "never", "check": "45d"}},
        },
        "budget": budget,
        "older_points": 3,
        "closed": [CLOSED],
        "checks": [QUESTIONS],
        "sign_off": [SIGNS],
    }  # fmt: skip


ENOUGH = {"at_once": 2, "per_run_usd": 6, "per_month_usd": 24}
"""One database a day, and four to five in a month: it binds, and suffices."""
TOO_LITTLE = {"at_once": 1, "per_run_usd": 5, "per_month_usd": 9}
"""For some weeks: two databases a month, where more are asked for."""
POLICIES: tuple[tuple[timedelta, dict[str, Any]], ...] = (
    (timedelta(0), drills_policy(ENOUGH, {})),
    (22 * WEEK, drills_policy(TOO_LITTLE, {})),
    (28 * WEEK, drills_policy(ENOUGH, {})),
    (36 * WEEK, drills_policy(ENOUGH, {"restore": "21d", "check": "42d", "metadata": "5d"})),
)
"""From when on each is in force."""
REFUSED = '{"version": 1, "every": {"check": "10 years"}}'


@dataclass
class Account:
    """The box, and what its members are called in AWS."""

    cloud: Cloud
    arns: dict[str, str] = field(default_factory=dict)
    key: str = ""
    """The ARN of the KMS key of SECRET."""
    damaged: dict[str, "Damage"] = field(default_factory=dict)
    """By the id of the recovery point."""


@dataclass(frozen=True)
class Damage:
    how: str
    at: object


def backups_policy() -> BackupsPolicy:
    return parse_backups_policy(json.dumps(BACKUPS))


def begin(cloud: Cloud) -> Account:
    """The account as it is when the year begins."""
    made = Account(cloud)
    made.key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    put_policy(cloud, "backups", json.dumps(BACKUPS))
    put_policy(cloud, "drills", json.dumps(POLICIES[0][1]))
    for one in MEMBERS:
        if not one.comes:
            _come(one, made)
    return made


def put_policy(cloud: Cloud, name: str, text: str) -> None:
    cloud.client("ssm").put_parameter(
        Name=f"/watchkeeper/policy/{name}", Value=text, Type="String", Overwrite=True
    )


def _tags(one: Member) -> list[dict[str, str]]:
    tags = {"Name": one.name, "backup-plan": one.plan, "app": "shop"}
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _come(one: Member, made: Account) -> None:
    cloud = made.cloud
    match one.kind:
        case "volume":
            made.arns[one.name] = _arn(cloud, "volume", _volume(one, made))
        case "instance":
            made.arns[one.name] = _arn(cloud, "instance", _instance(one, cloud))
        case "database":
            made.arns[one.name] = _database(one, cloud)
        case "cluster":
            made.arns[one.name] = _cluster(one, cloud)
        case "table":
            made.arns[one.name] = _table(one, cloud)


def _arn(cloud: Cloud, sort: str, identifier: str) -> str:
    return f"arn:aws:ec2:{cloud.region}:{cloud.account_id}:{sort}/{identifier}"


def _volume(one: Member, made: Account) -> str:
    encrypted = {"Encrypted": True, "KmsKeyId": made.key} if one.name == SECRET else {}
    volume: str = made.cloud.client("ec2").create_volume(
        AvailabilityZone=f"{made.cloud.region}a", Size=4, **encrypted,
        TagSpecifications=[{"ResourceType": "volume", "Tags": _tags(one)}],
    )["VolumeId"]  # fmt: skip
    layout = Layout.ROOT_XFS if one.name == SECRET else Layout.ROOT_EXT4
    ebs_blocks.installed_in(made.cloud).lay_out(volume, layout)
    return volume


def _instance(one: Member, cloud: Cloud) -> str:
    ec2 = cloud.client("ec2")
    instance: str = ec2.run_instances(
        ImageId="ami-12c6146b", MinCount=1, MaxCount=1,
        Placement={"AvailabilityZone": f"{cloud.region}a"},
        TagSpecifications=[{"ResourceType": "instance", "Tags": _tags(one)}],
    )["Instances"][0]["InstanceId"]  # fmt: skip
    return instance


def _database(one: Member, cloud: Cloud) -> str:
    arn: str = cloud.client("rds").create_db_instance(
        DBInstanceIdentifier=one.name, Engine="postgres", DBInstanceClass="db.t4g.micro",
        AllocatedStorage=20, PreferredBackupWindow="12:00-12:30", BackupRetentionPeriod=0,
        PreferredMaintenanceWindow="sun:14:00-sun:14:30", Tags=_tags(one),
        MasterUsername="admin", MasterUserPassword="correct-horse",  # noqa: S106
    )["DBInstance"]["DBInstanceArn"]  # fmt: skip
    return arn


def _cluster(one: Member, cloud: Cloud) -> str:
    aws = cloud.client("rds")
    arn: str = aws.create_db_cluster(
        DBClusterIdentifier=one.name, Engine="aurora-postgresql", Tags=_tags(one),
        MasterUsername="admin", MasterUserPassword="correct-horse",  # noqa: S106
    )["DBCluster"]["DBClusterArn"]  # fmt: skip
    aws.create_db_instance(
        DBInstanceIdentifier=f"{one.name}-1", DBClusterIdentifier=one.name,
        DBInstanceClass="db.r7g.large", Engine="aurora-postgresql",
    )  # fmt: skip
    return arn


def _table(one: Member, cloud: Cloud) -> str:
    aws = cloud.client("dynamodb")
    arn: str = aws.create_table(
        TableName=one.name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        Tags=_tags(one),
    )["TableDescription"]["TableArn"]
    for number in range(30):
        aws.put_item(TableName=one.name, Item={"id": {"S": f"{number:04d}"}, "of": {"S": "eur"}})
    return arn


def _go(one: Member, made: Account) -> None:
    cloud = made.cloud
    match one.kind:
        case "volume":
            cloud.client("ec2").delete_volume(VolumeId=naming.ec2_id(made.arns[one.name]))
        case "database":
            cloud.client("rds").delete_db_instance(
                DBInstanceIdentifier=one.name, SkipFinalSnapshot=True
            )
        case other:
            raise ValueError(f"nobody deletes a {other} in this year")


# ── What is drawn ─────────────────────────────────────────────────────────────────────────────────

What = Literal[
    "ticks lost",
    "killed",
    "throttled",
    "events lost",
    "emptied",
    "unrestorable",
    "verifier silent",
    "key disabled",
    "policy refused",
    "not signed",
]
SOMETIMES: dict[What, int] = {
    "ticks lost": 3,
    "killed": 4,
    "throttled": 3,
    "events lost": 1,
    "emptied": 4,
    "unrestorable": 3,
    "verifier silent": 2,
}
"""What a week may bring, by weight; the others have weeks of their own."""
APPOINTED: dict[int, What] = {13: "key disabled", 24: "not signed", 31: "policy refused"}
"""By number of the week, where the year is long enough."""
BAD_FOR = 6 * DAY
"""So long every new recovery point of a resource is bad: one alone would rarely be chosen."""


@dataclass(frozen=True)
class Trouble:
    """Something that goes wrong."""

    what: What
    begins: Any
    lasts: timedelta
    name: str = ""
    """Of the resource whose recovery points are bad."""
    seed: int = 0

    @property
    def ends(self) -> Any:
        return self.begins + self.lasts

    def __str__(self) -> str:
        about = f" of {self.name}" if self.name else ""
        lasts = f"for {self.lasts / DAY:.3g} days"
        return f"{self.begins:%Y-%m-%d %H:%M}  {self.what}{about} {lasts}"


def drawn(stretch: Stretch) -> list[Trouble]:
    """One trouble a week, from the second week on."""
    random = Random(stretch.seed)
    found = []
    for week in range(1, stretch.weeks):
        monday = stretch.begins + week * WEEK
        what = APPOINTED.get(week) or random.choices(list(SOMETIMES), list(SOMETIMES.values()))[0]
        found.append(_drawn(what, random, monday + random.randrange(3) * DAY))
    return found


def _drawn(what: What, random: Random, begins: Any) -> Trouble:
    there = [one.name for one in MEMBERS if not one.comes]
    match what:
        case "ticks lost":
            return Trouble(what, begins, random.choice((1, 2, 3, 5)) * DAY)
        case "throttled":  # from the moment when drills are chosen
            return Trouble(what, begins + DAY - timedelta(hours=3), HOUR)
        case "emptied":
            return Trouble(what, begins, BAD_FOR, random.choice(there))
        case "unrestorable":
            able = [one.name for one in MEMBERS if not one.comes and one.kind != "table"]
            return Trouble(what, begins, BAD_FOR, random.choice(able))
        case "key disabled":
            return Trouble(what, begins, 5 * DAY, SECRET)
        case "not signed":  # somebody is on holiday for long enough
            return Trouble(what, begins - 2 * WEEK, 5 * WEEK)
        case _:
            return Trouble(what, begins, 2 * DAY, seed=random.randrange(10**6))


# ── What is done ──────────────────────────────────────────────────────────────────────────────────

Act = Callable[[Account], None]
Happening = tuple[Any, Act, str]


def appoint(made: Account, stretch: Stretch, troubles: Sequence[Trouble]) -> None:
    """Make an appointment for everything that happens."""
    for at, act, label in (*_troublesome(troubles), *_regular(stretch)):
        if stretch.begins < at <= stretch.ends:
            made.cloud.clock.at(at, partial(_happen, made, act), label)


def _happen(made: Account, act: Act) -> None:
    act(made)
    made.cloud.functions.stir()  # the next tick may find the world changed


def _troublesome(troubles: Iterable[Trouble]) -> Iterator[Happening]:
    for one in troubles:
        yield one.begins, partial(_begin, one), f"{one}"
        yield one.ends, partial(_end, one), f"end of {one}"
        if one.what in ("emptied", "unrestorable"):
            for number in range(one.lasts // DAY):
                # After the night, before the round.
                at = one.begins + number * DAY + timedelta(hours=20)
                yield at, partial(_spoil, one), f"{one}: the newest"


def _regular(stretch: Stretch) -> Iterator[Happening]:
    begins = stretch.begins
    for one in MEMBERS:
        if one.comes:
            yield begins + one.comes, partial(_come, one), f"{one.name} comes"
        if one.goes:
            yield begins + one.goes, partial(_go, one), f"{one.name} goes"
    for after, policy in POLICIES[1:]:
        text = json.dumps(policy)
        yield begins + after, partial(_put, text), "the policy of drills changes"


def _put(text: str, made: Account) -> None:
    put_policy(made.cloud, "drills", text)


def _begin(trouble: Trouble, made: Account) -> None:
    cloud = made.cloud
    match trouble.what:
        case "ticks lost":
            _switch_ticks(cloud, "DISABLED")
        case "killed":
            random = Random(trouble.seed)
            for _ in range(3):
                moment: Literal["before", "after"] = random.choice(("before", "after"))
                cloud.mischief.kill("DrillRestores", random.randint(1, 900), moment)
        case "throttled":
            for service in ("rds", "ec2", "ebs", "ssm", "kms"):
                cloud.mischief.throttle(service, "*")
        case "events lost":
            cloud.mischief.trouble_events(drop=1.0)
        case "verifier silent":
            verifiers.installed_in(cloud).never_answers()
        case "key disabled":
            cloud.client("kms").disable_key(KeyId=made.key)
        case "policy refused":
            put_policy(cloud, "drills", REFUSED)
        case "emptied" | "unrestorable" | "not signed":
            pass  # what happens then asks whether it is so


def _end(trouble: Trouble, made: Account) -> None:
    cloud = made.cloud
    match trouble.what:
        case "ticks lost":
            _switch_ticks(cloud, "ENABLED")
        case "killed" | "throttled" | "events lost":
            cloud.mischief.calm()
        case "verifier silent":
            verifiers.installed_in(cloud)._takes = None
        case "key disabled":
            cloud.client("kms").enable_key(KeyId=made.key)
        case "policy refused":
            since = max(after for after, _ in POLICIES if after <= 31 * WEEK)
            put_policy(cloud, "drills", json.dumps(dict(POLICIES)[since]))
        case _:
            pass


def _switch_ticks(cloud: Cloud, state: str) -> None:
    """What a person does who presses the wrong button of EventBridge Scheduler's console."""
    scheduler = cloud.client("scheduler")
    name = cloud.physical_id("DrillRestoresTick")
    known = scheduler.get_schedule(Name=name)
    wanted = ("ScheduleExpression", "FlexibleTimeWindow", "Target")
    scheduler.update_schedule(Name=name, State=state, **{one: known[one] for one in wanted})


def _spoil(trouble: Trouble, made: Account) -> None:
    """The newest recovery point of the resource turns out to be bad, unless it is known to be."""
    resource = made.arns[trouble.name]
    completed = [
        one for one in items(made.cloud, f"POINT#{resource}") if one["state"] == "completed"
    ]
    newest = max(completed, key=lambda one: str(one["sk"]), default=None)
    if newest is None or newest["id"] in made.damaged:
        return
    for part in newest["parts"]:
        _damage(trouble, resource, str(part["snapshot"]), made.cloud)
    made.damaged[newest["id"]] = Damage(trouble.what, made.cloud.clock.now())


def _damage(trouble: Trouble, resource: str, snapshot: str, cloud: Cloud) -> None:
    service, empties = resource.split(":")[2], trouble.what == "emptied"
    name = snapshot.split(":", 6)[6] if ":rds:" in snapshot else snapshot
    if service == "dynamodb":
        dynamodb_restores.installed_in(cloud).empty(name)
    elif service == "rds":
        restores = rds_restores.installed_in(cloud)
        (restores.empty if empties else restores.fail_restores_of)(name)
    elif empties:
        ebs_blocks.installed_in(cloud).empty(name)
    else:
        ec2_restores.installed_in(cloud).fail_restores_of(name)


def sign(made: Account, troubles: Sequence[Trouble]) -> list[str]:
    """What a person does in the afternoon: sign off the exercises that wait for it; their runs."""
    now = made.cloud.clock.now()
    if any(one.what == "not signed" and one.begins <= now < one.ends for one in troubles):
        return []
    asked = [
        naming.run_id_of(one["pk"])
        for one in items(made.cloud, "RUN#drill#")
        if one["sk"] == "RUN" and one.get("step") == "sign off"
    ]
    for run in asked:
        event = {"trigger": "sign-off", "run": run, "by": SIGNS, "passed": True, "note": "done"}
        made.cloud.invoke("DrillRestores", event)
    return asked


def items(cloud: Cloud, prefix: str) -> list[Record]:
    """The items of the table whose pk begins like that, past the API: a year has many."""
    table = dynamodb_backends[cloud.account_id][cloud.region].tables[cloud.physical_id("Table")]
    partitions: Any = table.items
    return [
        unpack(one.to_json()["Attributes"])
        for pk, partition in partitions.items()
        if pk.value.startswith(prefix)
        for one in partition.values()
    ]
