"""The account of the year of drills: what is in it, and the policies that it has in turn."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from moto.dynamodb.models import dynamodb_backends

from local.aws import ebs_blocks
from local.cloud import Cloud
from local.disks import Layout
from local.pace import Pace, by_identifier
from tests.simulation.year_story import DAY, WEEK
from watchkeeper import naming
from watchkeeper.aws.table import unpack
from watchkeeper.policy import BackupsPolicy, parse_backups_policy

Record = dict[str, Any]

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
        "gold": _plan("5d", "30 2 * * SUN,WED", 4),
        "silver": _plan("8d", "30 2 * * WED", 3),
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


SECRET = "secret"
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
    damaged: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    """By the id of the recovery point: how, and when."""


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
            come(one, made)
    return made


def put_policy(cloud: Cloud, name: str, text: str) -> None:
    cloud.client("ssm").put_parameter(
        Name=f"/watchkeeper/policy/{name}", Value=text, Type="String", Overwrite=True
    )


def _tags(one: Member) -> list[dict[str, str]]:
    tags = {"Name": one.name, "backup-plan": one.plan, "app": "shop"}
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def come(one: Member, made: Account) -> None:
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
        DBInstanceIdentifier=one.name, Engine="postgres", DBInstanceClass="db.r5.4xlarge",
        AllocatedStorage=20, PreferredBackupWindow="12:00-12:30", BackupRetentionPeriod=0,
        PreferredMaintenanceWindow="sun:14:00-sun:14:30", Tags=_tags(one),
        MasterUsername="admin", MasterUserPassword="correct-horse",
    )["DBInstance"]["DBInstanceArn"]  # fmt: skip
    return arn


def _cluster(one: Member, cloud: Cloud) -> str:
    aws = cloud.client("rds")
    arn: str = aws.create_db_cluster(
        DBClusterIdentifier=one.name, Engine="aurora-postgresql", Tags=_tags(one),
        MasterUsername="admin", MasterUserPassword="correct-horse",
    )["DBCluster"]["DBClusterArn"]  # fmt: skip
    aws.create_db_instance(
        DBInstanceIdentifier=f"{one.name}-1", DBClusterIdentifier=one.name,
        DBInstanceClass="db.r7g.4xlarge", Engine="aurora-postgresql",
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


def go(one: Member, made: Account) -> None:
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
