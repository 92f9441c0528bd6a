"""Recoveries in earnest in a tiny account, and what there is afterwards."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from local.cloud import Cloud
from tests.crash import databases, night
from tests.crash.ends import stands
from tests.crash.night import items

REQUEST = "after-the-flood"
RUN = f"recover#by-hand#{REQUEST}"
ENDING = "-wkr-c9bf73e8"
"""What the names of all that this request makes end with."""


SERVER, DISK = "server", "disk"


class Shop(databases.DatabaseAccount):
    """Databases and tables, an instance of two volumes, and a volume by itself."""

    def arn(self, name: str) -> str:
        if name not in (SERVER, DISK):
            return super().arn(name)
        kind = "instance" if name == SERVER else "volume"
        return f"arn:aws:ec2:{self.cloud.region}:{self.cloud.account_id}:{kind}/{self.ids[name]}"

    def snapshot(self, name: str) -> str:
        """The name of the snapshot of a database that is its newest recovery point."""
        found = [one for one in items(self.cloud) if one["pk"] == f"POINT#{self.arn(name)}"]
        newest = max(found, key=lambda one: str(one["sk"]))
        return str(newest["parts"][0]["snapshot"]).rsplit(":", 1)[-1]


@contextmanager
def morning(**options: Any) -> Iterator[Shop]:
    """The morning after the first night: everything has a recovery point, but for BROKEN."""
    with databases.account(**options) as made:
        shop = Shop(made.cloud, {**made.ids, **_machines(made.cloud)})
        _tune(made.cloud)
        night.run_night(shop)
        yield shop


def _machines(cloud: Cloud) -> dict[str, str]:
    ec2, zone = cloud.client("ec2"), f"{cloud.region}a"

    def tagged(kind: str, name: str) -> list[dict[str, Any]]:
        tags = {"Name": name, "backup-plan": night.PLAN, "owner": "harbour"}
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        return [{"ResourceType": kind, "Tags": listed}]

    instance = ec2.run_instances(
        ImageId="ami-12c6146b", MinCount=1, MaxCount=1, Placement={"AvailabilityZone": zone},
        TagSpecifications=tagged("instance", SERVER),
    )["Instances"][0]["InstanceId"]  # fmt: skip
    key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    encrypted = {"Encrypted": True, "KmsKeyId": key}
    data = ec2.create_volume(AvailabilityZone=zone, Size=8, **encrypted)["VolumeId"]
    cloud.clock.run_for(timedelta(minutes=1))  # until the instance runs
    ec2.attach_volume(VolumeId=data, InstanceId=instance, Device="/dev/sdf")
    disk = ec2.create_volume(
        AvailabilityZone=zone, Size=4, VolumeType="gp3", Iops=4000, Throughput=250,
        TagSpecifications=tagged("volume", DISK),
    )  # fmt: skip
    return {SERVER: instance, DISK: disk["VolumeId"]}


def _tune(cloud: Cloud) -> None:
    """Settings that no restore brings back by itself."""
    rds, dynamodb = cloud.client("rds"), cloud.client("dynamodb")
    rds.modify_db_instance(
        DBInstanceIdentifier=databases.BOOKINGS, DeletionProtection=True, CopyTagsToSnapshot=True,
        MultiAZ=True, MaxAllocatedStorage=100, ApplyImmediately=True, MonitoringInterval=60,
        MonitoringRoleArn=f"arn:aws:iam::{cloud.account_id}:role/monitoring",
    )  # fmt: skip
    rds.modify_db_cluster(DBClusterIdentifier=databases.LEDGER, DeletionProtection=True)
    dynamodb.update_table(
        TableName=databases.RATES, DeletionProtectionEnabled=True,
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )  # fmt: skip
    scaled = {
        "ServiceNamespace": "dynamodb", "ResourceId": f"table/{databases.RATES}",
        "ScalableDimension": "dynamodb:table:ReadCapacityUnits",
    }  # fmt: skip
    measured = {"PredefinedMetricType": "DynamoDBReadCapacityUtilization"}
    scaling = cloud.client("application-autoscaling")
    scaling.put_scaling_policy(
        PolicyName="track", PolicyType="TargetTrackingScaling", **scaled,
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 70.5,
            "PredefinedMetricSpecification": measured,
        },
    )  # fmt: skip
    scaling.put_scheduled_action(
        ScheduledActionName="mornings", Schedule="cron(0 6 * * ? *)",
        ScalableTargetAction={"MinCapacity": 20}, **scaled,
    )  # fmt: skip


# ── Asking ────────────────────────────────────────────────────────────────────────────────────────


TRIES = 3
"""Lambda's own of an event that is sent to it without waiting for the answer."""


def ask(made: Shop, name: str, **more: Any) -> None:
    """By hand, as a person does; the box may be unkind meanwhile."""
    event = {"trigger": "by-hand", "request_id": REQUEST, "level": "real"}
    for _ in range(TRIES):
        asked = {**event, "resource": made.arn(name), **more}
        if made.cloud.invoke("RecoverResources", asked).ok:
            return


def recover(made: Shop, name: str, **more: Any) -> "Outcome":
    """Ask, and let it go on by itself until it is over."""
    ask(made, name, **more)
    return settle(made)


def settle(made: Shop) -> "Outcome":
    """Until the recovery is over. Other functions rest, whose ticks would only cost time."""
    end = made.cloud.clock.now() + timedelta(hours=60)
    while not _is_over(made.cloud) and made.cloud.clock.now() < end:
        made.cloud.clock.run_for(timedelta(minutes=5))
    return outcome(made)


def _is_over(cloud: Cloud) -> bool:
    found = run(cloud)
    return found is not None and "due" not in found and cloud.functions.waiting == 0


def run(cloud: Cloud) -> dict[str, Any] | None:
    return next(
        (one for one in items(cloud) if one["pk"] == f"RUN#{RUN}" and one["sk"] == "RUN"), None
    )


# ── What there is ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Outcome:
    """The world and the record after a story."""

    stands: str
    instances: tuple[str, ...]
    clusters: tuple[str, ...]
    tables: tuple[str, ...]
    volumes: tuple[str, ...]
    """Per volume that a recovery made, the snapshot that it was made from."""
    told: tuple[str, ...]
    """Subjects of pages; those of alarms have tests of their own."""
    document: dict[str, Any]
    """What was written down; empty if nothing was."""

    @property
    def differs(self) -> dict[str, tuple[str, str]]:
        return {one["name"]: (one["wanted"], one["found"]) for one in self.document["differences"]}

    @property
    def commands(self) -> list[str]:
        return [line for one in self.document["by_hand"] for line in one["commands"]]


def outcome(made: Shop) -> Outcome:
    cloud = made.cloud
    rds, ec2 = cloud.client("rds"), cloud.client("ec2")
    found = run(cloud)
    volumes = ec2.describe_volumes(
        Filters=[{"Name": "tag-key", "Values": ["watchkeeper:recovered"]}]
    )
    return Outcome(
        stands=stands(found) if found else "was never begun",
        instances=_named(rds.describe_db_instances()["DBInstances"], "DBInstanceIdentifier"),
        clusters=_named(rds.describe_db_clusters()["DBClusters"], "DBClusterIdentifier"),
        tables=tuple(sorted(cloud.client("dynamodb").list_tables()["TableNames"])),
        volumes=tuple(sorted(one["SnapshotId"] for one in volumes["Volumes"])),
        told=tuple(
            page.subject or ""
            for page in cloud.published("PagesTopic")
            if (page.subject or "").startswith(("Recovered: ", "Failed: ", "Stuck: ", "Late: "))
        ),
        document=_document(made),
    )


def _named(found: list[dict[str, Any]], key: str) -> tuple[str, ...]:
    return tuple(sorted(str(one[key]) for one in found))


def _document(made: Shop) -> dict[str, Any]:
    s3, bucket = made.cloud.client("s3"), made.cloud.physical_id("EvidenceBucket")
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="recoveries/").get("Contents", [])
    if not listed:
        return {}
    (one,) = listed
    found: dict[str, Any] = json.loads(s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read())
    return found


def page(made: Shop) -> str:
    """The text of the newest page about a recovery."""
    pages = made.cloud.published("PagesTopic")
    about = [one for one in pages if (one.subject or "").startswith(("Recovered: ", "Failed: "))]
    return str(about[-1].message)
