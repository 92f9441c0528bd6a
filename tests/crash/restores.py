"""A tiny account whose recovery points are restored by drills, and what there is afterwards."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from local.aws import dynamodb_restores, ec2_restores, rds_restores
from local.aws.ebs_blocks import installed_in as blocks_of
from local.cloud import Cloud
from local.disks import Layout
from tests.crash.ends import is_busy, stands, told
from tests.crash.evidence import Filed, chains_of
from tests.crash.night import BEFORE, NIGHT, PACE, PLAN, POLICY, items

DISK, SECRET, BOOKINGS, LEDGER, RATES = "disk", "secret", "bookings", "ledger", "rates"
"""The account: two volumes (the second under a key of its owner's), a database, a cluster, a table.
"""
QUESTIONS = {
    "tag": {"key": "app", "value": "shop"},
    "database": "shop",
    "queries": [
        {"name": "rows of orders", "query": "select count(*) from orders", "at_least": 1000},
        {"name": "newest order", "query": "select max(created_at) from orders", "newest": True},
    ],
}
DRILLS: dict[str, Any] = {
    "schedule": "0 3 1 1 *",  # none by itself: the tests say when
    "every": {
        "metadata": "never",
        "blocks": "never",
        "restore": "never",
        "check": "366d",
        "exercise": "366d",
    },
    "checks": [QUESTIONS],
    "sign_off": ["ops@example.com"],
}
ITEMS = 60
ASKED = 3
"""Times that a person asks before they look for what is wrong."""
LASTS = timedelta(hours=6)
"""Longer than any drill of something small takes, its clean-up included."""


@dataclass
class Account:
    """The box, and the ARNs of what is in it."""

    cloud: Cloud
    arns: dict[str, str]

    @property
    def bucket(self) -> str:
        return self.cloud.physical_id("EvidenceBucket")

    def record(self, name: str) -> dict[str, Any]:
        """The newest recovery point in the catalogue, as it is stored."""
        found = [one for one in items(self.cloud) if one["pk"] == f"POINT#{self.arns[name]}"]
        return max(found, key=lambda one: str(one["sk"]))

    def snapshot(self, name: str) -> str:
        """As the switches of bad restores know it: an id, a name, or a table's backup's ARN."""
        known = str(self.record(name)["parts"][0]["snapshot"])
        return known.split(":", 6)[6] if ":rds:" in known else known


@contextmanager
def account(**options: Any) -> Iterator[Account]:
    """The morning after the first night: each has a recovery point, and none was drilled."""
    thin = options.pop("thin", timedelta(minutes=15))
    with Cloud(BEFORE, seeded=False, thin=thin, pace=PACE, **options) as cloud:
        for name, policy in (("backups", POLICY), ("drills", DRILLS)):
            cloud.client("ssm").put_parameter(
                Name=f"/watchkeeper/policy/{name}", Value=json.dumps(policy), Type="String"
            )
        made = Account(cloud, {})
        _volumes(made)
        _databases(made)
        _table(made)
        cloud.clock.run_until(NIGHT + timedelta(minutes=50))
        yield made


def _tags(name: str) -> list[dict[str, str]]:
    tags = {"Name": name, "backup-plan": PLAN, "app": "shop"}
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _volumes(made: Account) -> None:
    cloud = made.cloud
    key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    for name, layout in ((DISK, Layout.ROOT_EXT4), (SECRET, Layout.ROOT_XFS)):
        encrypted = {"Encrypted": True, "KmsKeyId": key} if name == SECRET else {}
        volume = cloud.client("ec2").create_volume(
            AvailabilityZone=f"{cloud.region}a", Size=4, **encrypted,
            TagSpecifications=[{"ResourceType": "volume", "Tags": _tags(name)}],
        )["VolumeId"]  # fmt: skip
        made.arns[name] = f"arn:aws:ec2:{cloud.region}:{cloud.account_id}:volume/{volume}"
        blocks_of(cloud).lay_out(volume, layout)


def _databases(made: Account) -> None:
    aws = made.cloud.client("rds")
    common = {"MasterUsername": "admin", "MasterUserPassword": "correct-horse"}
    made.arns[BOOKINGS] = aws.create_db_instance(
        DBInstanceIdentifier=BOOKINGS, Engine="postgres", DBInstanceClass="db.t4g.micro",
        AllocatedStorage=20, PreferredBackupWindow="12:00-12:30", BackupRetentionPeriod=7,
        PreferredMaintenanceWindow="sun:04:00-sun:04:30", Tags=_tags(BOOKINGS), **common,
    )["DBInstance"]["DBInstanceArn"]  # fmt: skip
    made.arns[LEDGER] = aws.create_db_cluster(
        DBClusterIdentifier=LEDGER, Engine="aurora-postgresql", Tags=_tags(LEDGER), **common
    )["DBCluster"]["DBClusterArn"]
    aws.create_db_instance(
        DBInstanceIdentifier=f"{LEDGER}-1", DBClusterIdentifier=LEDGER,
        DBInstanceClass="db.r7g.large", Engine="aurora-postgresql",
    )  # fmt: skip


def _table(made: Account) -> None:
    cloud, aws = made.cloud, made.cloud.client("dynamodb")
    made.arns[RATES] = aws.create_table(
        TableName=RATES,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        Tags=_tags(RATES),
    )["TableDescription"]["TableArn"]
    for number in range(ITEMS):
        item = {"id": {"S": f"{number:04d}"}, "rate": {"N": str(number / 7)}, "of": {"S": "eur"}}
        aws.put_item(TableName=RATES, Item=item)
    cloud.clock.run_for(cloud.pace.ddb_backups_enabled_after)


# ── Letting time pass ─────────────────────────────────────────────────────────────────────────────


def drill(made: Account, name: str, level: str = "check", **more: Any) -> str:
    """Ask for one by hand, now, and again while there is no answer; the id of its run."""
    from watchkeeper import naming  # noqa: PLC0415, the layer is importable inside a box

    request = f"now-{len(made.cloud.functions.invocations)}"
    event = {"trigger": "by-hand", "request_id": request, "resource": made.arns[name]}
    for _ in range(ASKED):
        if made.cloud.invoke("DrillRestores", {**event, "level": level, **more}).ok:
            break
    return naming.restore_id(naming.by_hand_id("drill", request), made.arns[name], level)


def settle(made: Account, until: timedelta = LASTS) -> "Outcome":
    end = made.cloud.clock.now() + until
    while is_busy(made.cloud) and made.cloud.clock.now() < end:
        made.cloud.clock.run_for(timedelta(minutes=5))
    return outcome(made)


def drilled(made: Account, name: str, level: str = "check", **more: Any) -> "Outcome":
    drill(made, name, level, **more)
    return settle(made)


# ── What there is ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Outcome:
    """The world and the record after a story."""

    chains: dict[str, tuple[Filed, ...]]
    """Per resource, its evidence in order."""
    breaks: tuple[str, ...]
    """Where a chain is not whole, by its newest proof in the table."""
    runs: dict[str, str]
    """Of the runs of drills, how each stands."""
    running: int
    """Drills that count as running in the budget."""
    made: dict[str, int]
    """How many things drills have ever made, by sort."""
    left: tuple[str, ...]
    """What drills have made and that is still there."""
    told: tuple[str, ...]
    """Subjects of pages; those of alarms have tests of their own."""

    def last(self, name: str) -> Filed:
        return self.chains[name][-1]


def outcome(made: Account) -> Outcome:
    cloud, stored = made.cloud, items(made.cloud)
    chains, breaks = chains_of(cloud, made.arns, stored)
    runs = [one for one in stored if one["sk"] == "RUN" and one["pk"].startswith("RUN#drill#")]
    return Outcome(
        chains=chains,
        breaks=breaks,
        runs={one["pk"].removeprefix("RUN#drill#"): stands(one) for one in runs},
        running=sum(one["pk"].startswith("DRILLS#") and "ended" not in one for one in stored),
        made=ever_made(cloud),
        left=left_in(cloud),
        told=told(cloud),
    )


def ever_made(cloud: Cloud) -> dict[str, int]:
    """Of the box's own memory, which forgets nothing."""
    return {
        "databases and clusters": rds_restores.installed_in(cloud).made,
        "tables": dynamodb_restores.installed_in(cloud).made,
        "volumes": ec2_restores.installed_in(cloud).made,
        "verifiers": ec2_restores.installed_in(cloud).started,  # there are no other instances
    }


def _verifiers(cloud: Cloud) -> dict[str, str]:
    """States by id, of all that were ever started."""
    from moto.ec2.models import ec2_backends  # noqa: PLC0415, with the box

    instances = ec2_backends[cloud.account_id][cloud.region].all_instances()
    return {
        one.id: one.state
        for one in instances
        if any(tag["key"] == "watchkeeper:drill" for tag in one.get_tags())
    }


def left_in(cloud: Cloud) -> tuple[str, ...]:
    """Whatever has a drill's name or tag, by AWS's own answers."""
    rds, ec2, ssm = (cloud.client(name) for name in ("rds", "ec2", "ssm"))
    tagged = [{"Name": "tag-key", "Values": ["watchkeeper:drill"]}]
    found = [
        *(one["DBInstanceIdentifier"] for one in rds.describe_db_instances()["DBInstances"]),
        *(one["DBClusterIdentifier"] for one in rds.describe_db_clusters()["DBClusters"]),
        *cloud.client("dynamodb").list_tables()["TableNames"],
        *(one["Name"].rsplit("/", 1)[-1] for one in ssm.describe_parameters()["Parameters"]),
    ]
    named = [name for name in found if name.startswith("wk-drill-")]
    volumes = ec2.describe_volumes(Filters=tagged)["Volumes"]
    endpoints = ec2.describe_vpc_endpoints(Filters=tagged)["VpcEndpoints"]
    alive = [name for name, state in _verifiers(cloud).items() if state != "terminated"]
    return (
        *named,
        *(one["VolumeId"] for one in volumes),
        *(one["VpcEndpointId"] for one in endpoints if one["State"] != "deleted"),
        *alive,
    )
