"""A tiny account of databases and tables, one night of backups in it, and what there is then."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from local.aws import backup, rds
from local.cloud import Cloud
from local.pace import Pace
from tests.crash.night import (
    BEFORE,
    PLAN,
    POLICY,
    Account,
    Outcome,
    Point,
    items,
    outcome,
    records,
    run_night,
)

DATABASE_POLICY: dict[str, Any] = {
    **POLICY,
    "plans": {PLAN: {**POLICY["plans"][PLAN], "point_in_time": "enable"}},
}
SMALL = timedelta(minutes=4)
QUICK = Pace(
    snapshot_takes=SMALL,
    db_snapshot_takes=SMALL,
    ddb_backup_takes=timedelta(minutes=2),
    deletion_takes=SMALL,
)
"""Snapshots of small databases: every minute of a night is calls, and calls are what tests cost."""

BOOKINGS, BROKEN, LEDGER = "bookings", "broken", "ledger"
RATES, CARTS = "rates", "carts"
"""The account: two instances, a cluster of one member, and two tables."""
KINDS = {BOOKINGS: "db", BROKEN: "db", LEDGER: "cluster", RATES: "table", CARTS: "table"}
KEPT_BY_OTHERS = {BOOKINGS, CARTS}
"""AWS Backup has a recovery point of each, too."""
VAULT = "somebody-elses"
TONIGHT = "2026-11-23T02:00Z"

CALM = (
    Point(BOOKINGS, "completed", 1, TONIGHT),
    Point(BROKEN, "failed", 1, TONIGHT),
    Point(CARTS, "completed", 1, TONIGHT),
    Point(LEDGER, "completed", 1, TONIGHT),
    Point(RATES, "completed", 1, TONIGHT),
)
"""What the night comes to: a point of every source, and one of them failed."""
OTHERS = frozenset(
    {
        (BOOKINGS, "AWS Backup"),
        (CARTS, "AWS Backup"),
        *((name, "point-in-time recovery") for name in (BOOKINGS, BROKEN, LEDGER, RATES)),
    }
)
"""What others keep. CARTS has no span yet: its recovery is switched on by this night."""


class DatabaseAccount(Account):
    """The same as of machines, but that their ARNs are told by name."""

    def arn(self, name: str) -> str:
        cloud, kind = self.cloud, KINDS[name]
        service = "dynamodb" if kind == "table" else "rds"
        last = f"table/{name}" if kind == "table" else f"{kind}:{name}"
        return f"arn:aws:{service}:{cloud.region}:{cloud.account_id}:{last}"

    @property
    def key(self) -> str:
        """The id of the key that BOOKINGS is encrypted with."""
        aliases = self.cloud.client("kms").list_aliases()["Aliases"]
        return str(next(one["TargetKeyId"] for one in aliases if one["AliasName"] == KEY))


KEY = "alias/bookings"


@contextmanager
def account(
    *,
    start: datetime = BEFORE,
    pace: Pace = QUICK,
    policy: dict[str, Any] | None = None,
    **options: Any,
) -> Iterator[DatabaseAccount]:
    """The tiny account with the stack in it. Every snapshot of BROKEN fails."""
    thin = options.pop("thin", timedelta(minutes=15))
    with Cloud(start, seeded=False, thin=thin, pace=pace, **options) as cloud:
        text = json.dumps(policy or DATABASE_POLICY)
        cloud.client("ssm").put_parameter(
            Name="/watchkeeper/policy/backups", Value=text, Type="String"
        )
        made = DatabaseAccount(cloud, {name: name for name in KINDS})
        _databases(made)
        _tables(cloud)
        _vault(made)
        yield made


def _tags() -> list[dict[str, str]]:
    return [{"Key": "backup-plan", "Value": PLAN}]


def _databases(made: DatabaseAccount) -> None:
    aws, kms = made.cloud.client("rds"), made.cloud.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName=KEY, TargetKeyId=key)
    common = {"MasterUsername": "admin", "MasterUserPassword": "correct-horse", "Tags": _tags()}
    small: dict[str, Any] = {**common, "DBInstanceClass": "db.t4g.micro", "Engine": "postgres"}
    small |= {"AllocatedStorage": 20, "PreferredMaintenanceWindow": "sun:04:00-sun:04:30"}
    # The window of BOOKINGS is open when the night begins, so that it is postponed.
    for name, window in ((BOOKINGS, "01:35-02:05"), (BROKEN, "12:00-12:30")):
        encrypted = {"StorageEncrypted": True, "KmsKeyId": key} if name == BOOKINGS else {}
        aws.create_db_instance(
            DBInstanceIdentifier=name, PreferredBackupWindow=window, BackupRetentionPeriod=7,
            **small, **encrypted,
        )  # fmt: skip
    aws.create_db_cluster(DBClusterIdentifier=LEDGER, Engine="aurora-postgresql", **common)
    aws.create_db_instance(
        DBInstanceIdentifier=f"{LEDGER}-1", DBClusterIdentifier=LEDGER,
        DBInstanceClass="db.r7g.large", Engine="aurora-postgresql",
    )  # fmt: skip
    # Since yesterday: a span begins with a first backup.
    for name in (BOOKINGS, BROKEN, LEDGER):
        switches(made.cloud).backdate(name, made.cloud.clock.now() - timedelta(days=1))
    switches(made.cloud).fail_snapshot_of(BROKEN, times=99)


def switches(cloud: Cloud) -> rds.Rds:
    return rds.installed_in(cloud)


def _tables(cloud: Cloud) -> None:
    aws = cloud.client("dynamodb")
    for name in (RATES, CARTS):
        aws.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
            Tags=_tags(),
        )
    cloud.clock.run_for(cloud.pace.ddb_backups_enabled_after)
    aws.update_continuous_backups(
        TableName=RATES, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    aws.update_time_to_live(
        TableName=RATES, TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"}
    )
    cloud.client("application-autoscaling").register_scalable_target(
        ServiceNamespace="dynamodb", ResourceId=f"table/{RATES}", MinCapacity=5, MaxCapacity=50,
        ScalableDimension="dynamodb:table:ReadCapacityUnits",
    )  # fmt: skip


def _vault(made: DatabaseAccount) -> None:
    cloud = made.cloud
    cloud.client("backup").create_backup_vault(BackupVaultName=VAULT)
    for name in sorted(KEPT_BY_OTHERS):
        backup.installed_in(cloud).record_recovery_point(
            VAULT, made.arn(name), created_at=cloud.clock.now() - timedelta(hours=9)
        )


# ── What there is ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Morning:
    """The world and the record after a story, with what databases add to it."""

    end: Outcome
    others: frozenset[tuple[str, str]]
    """Source and keeper of what others keep."""
    undocumented: tuple[str, ...]
    """Sources whose completed recovery points lack the manifest that their digest is of."""

    @property
    def is_calm(self) -> bool:
        """None lost, none doubled, none leaked, nothing left to do, and nobody woken for it."""
        end = self.end
        return (
            end.points == CALM
            and not end.unlisted
            and len(end.snapshots) == len(CALM)
            and set(end.runs.values()) == {"done"}
            and not end.pages
            and self.others == OTHERS
            and not self.undocumented
        )


def morning(made: Account, end: Outcome | None = None) -> Morning:
    kept = [item for item in items(made.cloud) if item["pk"].startswith("OTHERS#")]
    return Morning(
        end=end or outcome(made),
        others=frozenset((made.name_of(item), item["keeper"]) for item in kept),
        undocumented=tuple(
            made.name_of(item)
            for item in records(made.cloud)
            if item["state"] == "completed" and item.get("manifest") != _digest(made, item["id"])
        ),
    )


def tonight(made: Account) -> Morning:
    """How the night goes."""
    return morning(made, run_night(made))


def _digest(made: Account, point: str) -> str:
    """Of the document that lies beside a recovery point."""
    s3, bucket = made.cloud.client("s3"), made.cloud.physical_id("EvidenceBucket")
    key = f"manifests/{point}.json"
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents", [])
    if not listed:
        return "there is none"
    return hashlib.sha256(s3.get_object(Bucket=bucket, Key=key)["Body"].read()).hexdigest()


def findings(made: Account, gap: str) -> list[str]:
    """Why, of all that the night's report says about this gap."""
    told = [item for item in items(made.cloud) if item["sk"].startswith("FINDINGS#")]
    return [one["why"] for item in told for one in item["findings"] if one["gap"] == gap]


# ── The catalogue, lost ───────────────────────────────────────────────────────────────────────────

REBUILD = {"trigger": "rebuild", "request_id": "after-the-fire"}


def lose(cloud: Cloud) -> None:
    """All that is in the table."""
    client, table = cloud.client("dynamodb"), cloud.physical_id("Table")
    for item in items(cloud):
        client.delete_item(TableName=table, Key={name: {"S": item[name]} for name in ("pk", "sk")})


# ── Where it is worth being killed ────────────────────────────────────────────────────────────────
