"""The account in which restores go wrong: two nights of backups of every kind, and none drilled."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from local.aws import backup, ec2
from local.aws.ebs_blocks import installed_in as blocks_of
from local.cloud import Cloud
from local.disks import Layout
from tests.crash.night import BEFORE, NIGHT, PACE, PLAN, POLICY, items
from tests.crash.restores import DRILLS, QUESTIONS, Account

DISK, TWIN, SECRET, SERVER = "disk", "twin", "secret", "server"
"""Two volumes that are laid out alike, one under a key of its owner's, an instance of three."""
LVM_DISK, BARE_DISK = "/dev/sdf", "/dev/sdg"
"""Of the instance, beside its root: one for LVM, and one without a partition table."""
BOOKINGS, SHELF, LEDGER = "bookings", "shelf", "ledger"
"""Databases: one with questions and a key, one that nobody has written questions for, a cluster."""
RATES, CARTS, BLANK = "rates", "carts", "blank"
"""Tables: larger than its sample, smaller than that, and without items."""
KEYS = (SECRET, BOOKINGS, LEDGER, RATES)
"""What is encrypted, each under a key of its own."""
MORNING = NIGHT + timedelta(days=1, minutes=50)
"""After the second night."""
VERSION = 11
"""Of the schema of a database in the box, in that week."""
ITEMS = {RATES: 60, CARTS: 12, BLANK: 0}
SOLD = 3
"""Items that come and go between the two nights, and again after the second."""


@contextmanager
def account(**options: Any) -> Iterator[Account]:
    """The morning after the second night: each has two recovery points, and none was drilled."""
    thin = options.pop("thin", timedelta(minutes=15))
    with Cloud(BEFORE, seeded=False, thin=thin, pace=PACE, **options) as cloud:
        made = Account(cloud, {})
        keys = {name: _key(cloud, name) for name in KEYS}
        _volumes(made, keys[SECRET])
        _server(made)
        _databases(made, keys)
        _tables(made, keys[RATES])
        _of_others(made)
        for name, policy in (("backups", POLICY), ("drills", _drills(made))):
            cloud.client("ssm").put_parameter(
                Name=f"/watchkeeper/policy/{name}", Value=json.dumps(policy), Type="String"
            )
        cloud.clock.run_until(NIGHT + timedelta(hours=1))
        trade(made, 0)
        cloud.clock.run_until(MORNING)
        yield made


def _drills(made: Account) -> dict[str, Any]:
    """A database that can be told from others of the same form is asked which it is."""
    asked = [QUESTIONS, *(_of(made, name) for name in (BOOKINGS, LEDGER))]
    return {**DRILLS, "checks": asked}


def _of(made: Account, name: str) -> dict[str, Any]:
    queries = [
        {"name": "installation", "query": "select name from installation",
         "equal": identity_of(made, name)},
        {"name": "schema", "query": "select max(version) from migrations", "equal": VERSION},
    ]  # fmt: skip
    return {"arn": made.arns[name], "database": "shop", "queries": queries}


def identity_of(made: Account, name: str) -> str:
    """What the application has written into its database when it was installed there."""
    aws = made.cloud.client("rds")
    if name == LEDGER:
        [found] = aws.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"]
        return str(found["DbClusterResourceId"])
    [found] = aws.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
    return str(found["DbiResourceId"])


def _key(cloud: Cloud, name: str) -> str:
    kms = cloud.client("kms")
    key: str = kms.create_key()["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName=f"alias/{name}", TargetKeyId=key)
    return key


def key_of(made: Account, name: str) -> str:
    """The id of the key that it is encrypted under."""
    aliases = made.cloud.client("kms").list_aliases()["Aliases"]
    return str(next(one["TargetKeyId"] for one in aliases if one["AliasName"] == f"alias/{name}"))


def _tags(name: str, **more: str) -> list[dict[str, str]]:
    tags = {"Name": name, "backup-plan": PLAN, **more}
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _tagged(kind: str, name: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": _tags(name)}]


def _arn(made: Account, kind: str, identifier: str) -> str:
    return f"arn:aws:ec2:{made.cloud.region}:{made.cloud.account_id}:{kind}/{identifier}"


def _volumes(made: Account, key: str) -> None:
    layouts = {DISK: Layout.ROOT_EXT4, TWIN: Layout.ROOT_EXT4, SECRET: Layout.ROOT_XFS}
    for name, layout in layouts.items():
        encrypted = {"Encrypted": True, "KmsKeyId": key} if name == SECRET else {}
        volume = made.cloud.client("ec2").create_volume(
            AvailabilityZone=f"{made.cloud.region}a", Size=4,
            TagSpecifications=_tagged("volume", name), **encrypted,
        )["VolumeId"]  # fmt: skip
        made.arns[name] = _arn(made, "volume", volume)
        blocks_of(made.cloud).lay_out(volume, layout)


def _server(made: Account) -> None:
    """Its root and two disks for data."""
    aws, zone = made.cloud.client("ec2"), f"{made.cloud.region}a"
    [instance] = aws.run_instances(
        ImageId="ami-12c6146b", MinCount=1, MaxCount=1, Placement={"AvailabilityZone": zone},
        TagSpecifications=_tagged("instance", SERVER),
    )["Instances"]  # fmt: skip
    for device, layout in ((LVM_DISK, Layout.LVM), (BARE_DISK, Layout.XFS)):
        volume = aws.create_volume(AvailabilityZone=zone, Size=4)["VolumeId"]
        aws.attach_volume(VolumeId=volume, InstanceId=instance["InstanceId"], Device=device)
        blocks_of(made.cloud).lay_out(volume, layout)
    made.arns[SERVER] = _arn(made, "instance", instance["InstanceId"])


def _databases(made: Account, keys: dict[str, str]) -> None:
    aws = made.cloud.client("rds")
    common = {
        "MasterUsername": "admin", "MasterUserPassword": "correct-horse",
        "CopyTagsToSnapshot": True, "EnableIAMDatabaseAuthentication": True,
    }  # fmt: skip
    for name, engine in ((BOOKINGS, "postgres"), (SHELF, "mysql")):
        of_it = {"StorageEncrypted": True, "KmsKeyId": keys[name]} if name in keys else {}
        tags = _tags(name, app="shop") if name == BOOKINGS else _tags(name)
        made.arns[name] = aws.create_db_instance(
            DBInstanceIdentifier=name, Engine=engine, DBInstanceClass="db.t4g.micro",
            AllocatedStorage=20, PreferredBackupWindow="12:00-12:30", BackupRetentionPeriod=7,
            PreferredMaintenanceWindow="sun:04:00-sun:04:30", Tags=tags, **common, **of_it,
        )["DBInstance"]["DBInstanceArn"]  # fmt: skip
    made.arns[LEDGER] = aws.create_db_cluster(
        DBClusterIdentifier=LEDGER, Engine="aurora-postgresql", Tags=_tags(LEDGER, app="shop"),
        StorageEncrypted=True, KmsKeyId=keys[LEDGER], **common,
    )["DBCluster"]["DBClusterArn"]  # fmt: skip
    aws.create_db_instance(
        DBInstanceIdentifier=f"{LEDGER}-1", DBClusterIdentifier=LEDGER,
        DBInstanceClass="db.r7g.large", Engine="aurora-postgresql",
    )  # fmt: skip


def _tables(made: Account, key: str) -> None:
    cloud, aws = made.cloud, made.cloud.client("dynamodb")
    by_currency: dict[str, Any] = {
        "IndexName": "by-currency", "Projection": {"ProjectionType": "KEYS_ONLY"},
        "KeySchema": [{"AttributeName": "of", "KeyType": "HASH"}],
    }  # fmt: skip
    of_rates = {
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        "SSESpecification": {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key},
        "GlobalSecondaryIndexes": [by_currency],
    }
    for name in ITEMS:
        used = ("id", "of") if name == RATES else ("id",)
        made.arns[name] = aws.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": one, "AttributeType": "S"} for one in used],
            BillingMode="PAY_PER_REQUEST",
            Tags=_tags(name),
            **(of_rates if name == RATES else {}),
        )["TableDescription"]["TableArn"]
    for name, count in ITEMS.items():
        for number in range(count):
            put(made, name, number)
    aws.update_time_to_live(
        TableName=CARTS, TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"}
    )
    cloud.clock.run_for(cloud.pace.ddb_backups_enabled_after)


def put(made: Account, name: str, number: int, rate: int = 7) -> None:
    item = {"id": {"S": f"{number:04d}"}, "rate": {"N": str(number / rate)}, "of": {"S": "eur"}}
    made.cloud.client("dynamodb").put_item(TableName=name, Item=item)


def trade(made: Account, round_: int) -> None:
    """Some items of tables in use go, others come, and every tenth changes."""
    for name in (RATES, CARTS):
        for number in range(10, ITEMS[name], 10):
            put(made, name, number, rate=8 + round_)
        for number in range(round_ * SOLD, (round_ + 1) * SOLD):
            made.cloud.client("dynamodb").delete_item(
                TableName=name, Key={"id": {"S": f"{number:04d}"}}
            )
            put(made, name, 1000 + number)


def _of_others(made: Account) -> None:
    """Yesterday's, as AWS Backup and the Data Lifecycle Manager make them."""
    cloud, yesterday = made.cloud, made.cloud.clock.now() - timedelta(days=1)
    cloud.client("backup").create_backup_vault(BackupVaultName="daily")
    backup.installed_in(cloud).record_recovery_point("daily", made.arns[DISK], created_at=yesterday)
    ec2.installed_in(cloud).record_snapshot(
        made.arns[TWIN].rsplit("/", 1)[-1], started_at=yesterday,
        description="Created for policy: policy-0 schedule: Daily",
        tags={"aws:dlm:lifecycle-policy-id": "policy-0", "dlm:managed": "true"},
    )  # fmt: skip


# ── What there is to harm ─────────────────────────────────────────────────────────────────────────


def points(made: Account, name: str) -> list[dict[str, Any]]:
    """Ours in the catalogue, oldest first, as they are stored."""
    found = [one for one in items(made.cloud) if one["pk"] == f"POINT#{made.arns[name]}"]
    return sorted(found, key=lambda one: str(one["sk"]))


def kept_by_others(made: Account, name: str) -> str:
    """The id of the recovery point that somebody else keeps."""
    known = items(made.cloud)
    return str(next(one["id"] for one in known if one["pk"] == f"OTHERS#{made.arns[name]}"))


def part(made: Account, name: str, device: str = "") -> str:
    """A snapshot of the newest recovery point: of its volume at a device, or the first."""
    parts = made.record(name)["parts"]
    if device:
        held = [{"Name": "attachment.device", "Values": [device]}]
        [volume] = made.cloud.client("ec2").describe_volumes(Filters=held)["Volumes"]
        parts = [one for one in parts if one["volume"] == volume["VolumeId"]]
    return str(parts[0]["snapshot"])
