"""The account in the box: that of a small company and its booking product, "harbour".

Production and staging, some of it looked after well, some badly, some not at all. Things are found
again by their `Name` tag (`instance_id`, `volume_id`); a test or the demo may count on what the
tables below hold.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from local.aws import backup, dynamodb_backups, rds
from local.aws.ebs import Box
from local.aws.ec2 import installed_in
from local.pace import INSTANT, Pace

PLAN_TAG = "backup-plan"
AUDITOR_ACCOUNT = "210987654321"

# An image of Amazon's own, as nearly every fleet starts from; nobody describes it here.
BASE_IMAGE = "ami-0c101f26f147fa7fd"

DEVICES = ("/dev/sda1", "/dev/sdf", "/dev/sdg", "/dev/sdh")

# The vault that somebody filled before: one volume, one database and one table, every night.
VAULT = "harbour-nightly"

# What Data Lifecycle Manager leaves on the snapshots it owns.
LIFECYCLE_POLICY = "policy-0a7d3f1c9b2e4d586"


class SeedableBox(Box, Protocol):
    """What seeding needs of the cloud in a box."""

    @property
    def extensions(self) -> dict[str, Any]: ...
    @property
    def pace(self) -> Pace: ...
    @pace.setter
    def pace(self, pace: Pace) -> None: ...
    def client(self, name: str) -> Any: ...


@dataclass(frozen=True)
class Machine:
    """An EC2 instance; `plan` is the value of its `backup-plan` tag, None for no such tag."""

    name: str
    environment: str
    role: str
    volumes: tuple[int, ...]
    """GiB, the root volume first."""
    plan: str | None
    kind: str = "t4g.medium"
    encrypted: bool = False
    stopped: bool = False
    more_tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LooseVolume:
    """A volume attached to nothing; `key` is the alias of the KMS key that encrypts it."""

    name: str
    size: int
    plan: str | None
    environment: str = "production"
    key: str | None = None
    kind: str = "gp3"


@dataclass(frozen=True)
class Database:
    """An RDS instance of PostgreSQL; `plan` as for a Machine, `key` as for a LooseVolume."""

    name: str
    plan: str | None
    size: int = 50
    environment: str = "production"
    kind: str = "db.t4g.medium"
    retention: int = 7
    """Days of automated backups; 0 is none, and no point in time to restore to."""
    window: str = "03:00-03:30"
    key: str | None = None
    stopped: bool = False
    protected: bool = False


@dataclass(frozen=True)
class KeyValueTable:
    """A DynamoDB table; `plan` as for a Machine."""

    name: str
    plan: str | None
    recoverable: bool = False
    expires: bool = False
    streamed: bool = False
    protected: bool = False
    environment: str = "production"


INSTANCES = (
    Machine("harbour-web-1", "production", "web", (8,), "silver"),
    Machine("harbour-web-2", "production", "web", (8,), "silver"),
    Machine("harbour-api-1", "production", "api", (8, 40), "gold", "m7g.large"),
    Machine("harbour-api-2", "production", "api", (8, 40), "gold", "m7g.large"),
    Machine("harbour-worker-1", "production", "worker", (8, 100), "silver", "c7g.large"),
    Machine(
        "harbour-postgres-1",
        "production",
        "database",
        (16, 400, 100),
        "gold",
        "r7g.xlarge",
        encrypted=True,
    ),
    # A capital letter: it is not the plan it looks like.
    Machine("harbour-search-1", "production", "search", (8, 120, 120, 120), "Gold", "r7g.large"),
    # A plan that somebody invented.
    Machine("harbour-cms-1", "production", "web", (30,), "platinum"),
    # Opted out, and rightly: nothing on it.
    Machine("harbour-bastion-1", "production", "bastion", (8,), "none", "t4g.nano"),
    # Its data volume is Data Lifecycle Manager's.
    Machine("harbour-ledger-1", "production", "worker", (8, 60), None),
    Machine("staging-web-1", "staging", "web", (8,), "bronze", "t4g.small"),
    Machine("staging-api-1", "staging", "api", (8, 20), "bronze", "t4g.small", stopped=True),
    # The tag's key has a typing error, so it is not tagged at all.
    Machine(
        "staging-postgres-1",
        "staging",
        "database",
        (16, 50, 20),
        None,
        more_tags={"bakup-plan": "silver"},
    ),
)

# The build server that somebody started by hand one evening: no tag, not even a name.
UNTAGGED_SERVER = Machine("", "staging", "build", (100,), None, "c7g.xlarge")

VOLUMES = (
    LooseVolume("harbour-archive-2024", 500, "silver", kind="st1"),
    LooseVolume("harbour-invoices", 50, "gold", key="alias/harbour-data"),
    # Its key is disabled: every snapshot of it fails.
    LooseVolume("harbour-contracts", 20, "gold", key="alias/harbour-retired"),
    # AWS Backup looks after it.
    LooseVolume("harbour-exports", 80, None),
    LooseVolume("harbour-scratch", 200, "none"),
    LooseVolume("harbour-postgres-old", 400, None),
    LooseVolume("staging-fixtures", 10, "bronze", environment="staging"),
    LooseVolume("staging-media", 30, "", environment="staging"),
)

DATABASES = (
    # Its backup window is open when the night begins: it can only be backed up afterwards.
    Database(
        "harbour-bookings-production",
        "gold",
        200,
        kind="db.r7g.large",
        window="02:00-02:30",
        protected=True,
    ),
    Database("harbour-bookings-staging", "bronze", 20, environment="staging", retention=1),
    Database("harbour-guests", "gold", 100, key="alias/harbour-data", protected=True),
    # Its key is disabled, as that of the volume of the same name.
    Database("harbour-contracts", "gold", key="alias/harbour-retired"),
    # A plan, and nothing to restore a point in time from.
    Database("harbour-loyalty", "silver", retention=0),
    # A capital letter: it is not the plan it looks like.
    Database("harbour-payments", "Gold"),
    Database("harbour-metrics", None, 300),
    Database("staging-restore-test", "bronze", environment="staging", stopped=True),
)
# Of harbour-bookings-production, and tagged as its source is.
REPLICA = "harbour-bookings-replica"

# Aurora clusters, each with one writer, and their plans.
CLUSTERS = {"harbour-reporting": None, "harbour-ledger": "gold"}

TABLES = (
    KeyValueTable("harbour-rates", "gold", recoverable=True, streamed=True, protected=True),
    KeyValueTable("harbour-availability", "silver", recoverable=True, expires=True),
    KeyValueTable("harbour-carts", "gold", expires=True),
    KeyValueTable("harbour-sessions", None, expires=True),
    KeyValueTable("staging-rates", "bronze", environment="staging"),
)

# How long ago the databases were made: longer than anybody keeps their automated backups.
DATABASES_AGE = timedelta(days=400)

NETWORKS = {"production": "10.20", "staging": "10.30"}
SECURITY_GROUPS = {
    "web": (80, 443),
    "api": (8080,),
    "worker": (),
    "search": (9200,),
    "database": (5432,),
    "bastion": (22,),
    "build": (22,),
}

PARAMETERS = {
    "/harbour/{}/database/url": ("String", "postgresql://bookings@postgres.{}.harbour.internal"),
    "/harbour/{}/database/password": ("SecureString", "correct-horse-battery-{}"),
    "/harbour/{}/payments/api-key": ("SecureString", "pk-made-up-{}"),
    "/harbour/{}/feature-flags": ("String", '{{"new-calendar": true, "stage": "{}"}}'),
}


def seed(cloud: SeedableBox) -> None:
    """Build the account, as it is when Watchkeeper is first deployed into it."""
    pace = cloud.pace
    # What stands here was made long ago, not a few minutes before the first night.
    cloud.pace = INSTANT
    try:
        keys = _keys(cloud)
        for environment in NETWORKS:
            _environment(cloud, environment, keys)
        _loose_volumes(cloud, keys)
        _snapshots_of_others(cloud)
        _databases(cloud, keys)
        _tables(cloud)
        _vault(cloud)
        _disable_retired_key(cloud, keys)
        _buckets(cloud)
        _functions(cloud)
        _parameters(cloud, keys)
    finally:
        cloud.pace = pace


def many_volumes(cloud: SeedableBox, count: int, plan: str = "silver") -> list[str]:
    """Add stand-alone volumes tagged for a plan, as a benchmark needs them; returns their ids.

    Straight into moto's backend: through the API, making 2,000 would take longer than the night
    that is measured.
    """
    backend = installed_in(cloud).backend
    made = []
    for number in range(count):
        zone = f"{cloud.region}{'abc'[number % 3]}"
        volume = backend.create_volume(size=8 + number % 93, zone_name=zone, volume_type="gp3")
        volume.add_tags({PLAN_TAG: plan, "Name": f"{plan}-volume-{number:05d}"})
        made.append(str(volume.id))
    return made


def instance_id(cloud: SeedableBox, name: str) -> str:
    """The id of the instance with this Name tag."""
    found = cloud.client("ec2").describe_instances(Filters=[{"Name": "tag:Name", "Values": [name]}])
    identifiers = [one["InstanceId"] for each in found["Reservations"] for one in each["Instances"]]
    return _the_only(identifiers, f"instance named {name}")


def volume_id(cloud: SeedableBox, name: str) -> str:
    """The id of the volume with this Name tag; an instance's are named `harbour-api-1 /dev/sdf`."""
    found = cloud.client("ec2").describe_volumes(Filters=[{"Name": "tag:Name", "Values": [name]}])
    return _the_only([one["VolumeId"] for one in found["Volumes"]], f"volume named {name}")


def _the_only(identifiers: Sequence[str], what: str) -> str:
    if len(identifiers) != 1:
        raise LookupError(f"the seeded account has {len(identifiers)} of: {what}")
    return identifiers[0]


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _tagged(kind: str, tags: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": _tag_list(tags)}] if tags else []


# --- networks and machines --------------------------------------------------------------------


def _keys(cloud: SeedableBox) -> dict[str, str]:
    """ARNs by alias: the key of the product's data, and one that a tidy-minded person disabled."""
    kms = cloud.client("kms")
    arns = {}
    for alias, description in (
        ("alias/harbour-data", "Bookings, invoices and their backups"),
        ("alias/harbour-retired", "Old contracts; replaced by harbour-data"),
    ):
        key = kms.create_key(Description=description)["KeyMetadata"]
        kms.create_alias(AliasName=alias, TargetKeyId=key["KeyId"])
        arns[alias] = key["Arn"]
    return arns


def _environment(cloud: SeedableBox, environment: str, keys: Mapping[str, str]) -> None:
    aws = cloud.client("ec2")
    prefix = NETWORKS[environment]
    tags = {"Name": f"harbour-{environment}", "environment": environment}
    vpc = aws.create_vpc(CidrBlock=f"{prefix}.0.0/16", TagSpecifications=_tagged("vpc", tags))[
        "Vpc"
    ]["VpcId"]
    subnets = [
        aws.create_subnet(
            VpcId=vpc,
            CidrBlock=f"{prefix}.{number}.0/24",
            AvailabilityZone=f"{cloud.region}{zone}",
            TagSpecifications=_tagged("subnet", tags | {"Name": f"harbour-{environment}-{zone}"}),
        )["Subnet"]["SubnetId"]
        for number, zone in enumerate("ab")
    ]
    groups = {role: _security_group(aws, vpc, environment, role) for role in SECURITY_GROUPS}
    for role in ("web", "worker"):
        _launch_template(aws, environment, role, groups[role])
    machines = [one for one in (*INSTANCES, UNTAGGED_SERVER) if one.environment == environment]
    for number, machine in enumerate(machines):
        _launch(aws, machine, subnets[number % 2], groups[machine.role], keys)


def _security_group(aws: Any, vpc: str, environment: str, role: str) -> str:
    name = f"harbour-{environment}-{role}"
    group: str = aws.create_security_group(
        GroupName=name,
        Description=f"{role} of harbour {environment}",
        VpcId=vpc,
        TagSpecifications=_tagged("security-group", {"Name": name, "environment": environment}),
    )["GroupId"]
    permissions = [
        {
            "IpProtocol": "tcp",
            "FromPort": port,
            "ToPort": port,
            "IpRanges": [{"CidrIp": "0.0.0.0/0" if port in (80, 443) else "10.0.0.0/8"}],
        }
        for port in SECURITY_GROUPS[role]
    ]
    if permissions:
        aws.authorize_security_group_ingress(GroupId=group, IpPermissions=permissions)
    return group


def _launch_template(aws: Any, environment: str, role: str, group: str) -> None:
    aws.create_launch_template(
        LaunchTemplateName=f"harbour-{environment}-{role}",
        LaunchTemplateData={
            "ImageId": BASE_IMAGE,
            "InstanceType": "t4g.medium",
            "SecurityGroupIds": [group],
            "MetadataOptions": {"HttpTokens": "required"},
        },
        TagSpecifications=_tagged("launch-template", {"environment": environment}),
    )


def _launch(aws: Any, machine: Machine, subnet: str, group: str, keys: Mapping[str, str]) -> None:
    encryption = (
        {"Encrypted": True, "KmsKeyId": keys["alias/harbour-data"]} if machine.encrypted else {}
    )
    launched = aws.run_instances(
        ImageId=BASE_IMAGE,
        InstanceType=machine.kind,
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet,
        SecurityGroupIds=[group],
        BlockDeviceMappings=[
            {
                "DeviceName": device,
                "Ebs": {
                    "VolumeSize": size,
                    "VolumeType": "gp3",
                    "DeleteOnTermination": device == DEVICES[0],
                    **encryption,
                },
            }
            for device, size in zip(DEVICES, machine.volumes, strict=False)
        ],
        TagSpecifications=_tagged("instance", _tags_of(machine)),
    )["Instances"][0]
    if machine.name:
        _name_volumes(aws, machine, launched["BlockDeviceMappings"])
    if machine.stopped:
        aws.stop_instances(InstanceIds=[launched["InstanceId"]])


def _name_volumes(aws: Any, machine: Machine, mappings: Iterable[Mapping[str, Any]]) -> None:
    for mapping in mappings:
        name = f"{machine.name} {mapping['DeviceName']}"
        tags = _tag_list({"Name": name, "environment": machine.environment})
        aws.create_tags(Resources=[mapping["Ebs"]["VolumeId"]], Tags=tags)


def _tags_of(machine: Machine) -> dict[str, str]:
    if not machine.name:
        return {}
    tags = {
        "Name": machine.name,
        "environment": machine.environment,
        "owner": "data@harbour.example" if machine.role == "database" else "web@harbour.example",
    }
    if machine.plan is not None:
        tags[PLAN_TAG] = machine.plan
    return tags | dict(machine.more_tags)


def _loose_volumes(cloud: SeedableBox, keys: Mapping[str, str]) -> None:
    aws = cloud.client("ec2")
    for one in VOLUMES:
        tags = {"Name": one.name, "environment": one.environment}
        if one.plan is not None:
            tags[PLAN_TAG] = one.plan
        aws.create_volume(
            AvailabilityZone=f"{cloud.region}a",
            Size=one.size,
            VolumeType=one.kind,
            TagSpecifications=_tagged("volume", tags),
            **({"Encrypted": True, "KmsKeyId": keys[one.key]} if one.key else {}),
        )


def _disable_retired_key(cloud: SeedableBox, keys: Mapping[str, str]) -> None:
    retired = keys["alias/harbour-retired"].rsplit("/", 1)[-1]  # moto's DisableKey knows no ARNs
    cloud.client("kms").disable_key(KeyId=retired)


# --- snapshots that are not ours --------------------------------------------------------------


def _snapshots_of_others(cloud: SeedableBox) -> None:
    """All that must survive: DLM's, an image's, locked, shared, another stack's."""
    now = cloud.clock.now()
    aws = cloud.client("ec2")
    for days in (1, 2, 3):
        _lifecycle_snapshot(cloud, "harbour-ledger-1 /dev/sdf", now - timedelta(days=days, hours=1))
    aws.create_image(
        InstanceId=instance_id(cloud, "harbour-web-1"),
        Name="harbour-web-golden",
        Description="What harbour-web instances are launched from",
        NoReboot=True,
        TagSpecifications=_tagged("image", {"Name": "harbour-web-golden"}),
    )
    year_end = _by_hand(cloud, "harbour-invoices", "Year end, keep for the auditors", 40)
    aws.lock_snapshot(SnapshotId=year_end, LockMode="governance", LockDuration=365)
    shared = _by_hand(cloud, "staging-fixtures", "Fixtures for the auditors", 12)
    aws.modify_snapshot_attribute(
        SnapshotId=shared,
        Attribute="createVolumePermission",
        OperationType="add",
        UserIds=[AUDITOR_ACCOUNT],
    )
    _by_hand(cloud, "harbour-postgres-old", "before upgrade", 400)
    _another_stacks_snapshot(cloud, now - timedelta(days=90))


def _lifecycle_snapshot(cloud: SeedableBox, volume: str, started_at: datetime) -> None:
    source = volume_id(cloud, volume)
    installed_in(cloud).record_snapshot(
        source,
        started_at=started_at,
        description=f"Created for policy: {LIFECYCLE_POLICY} schedule: Daily",
        tags={
            "aws:dlm:lifecycle-policy-id": LIFECYCLE_POLICY,
            "aws:dlm:lifecycle-schedule-name": "Daily",
            "dlm:managed": "true",
        },
    )


def _by_hand(cloud: SeedableBox, volume: str, description: str, days_ago: int) -> str:
    return installed_in(cloud).record_snapshot(
        volume_id(cloud, volume),
        started_at=cloud.clock.now() - timedelta(days=days_ago),
        description=description,
    )


def _another_stacks_snapshot(cloud: SeedableBox, started_at: datetime) -> None:
    """It looks like one of ours, and is not: another Watchkeeper in the same account made it."""
    source = volume_id(cloud, "harbour-archive-2024")
    night = f"{started_at:%Y-%m-%dT%H:%MZ}"
    installed_in(cloud).record_snapshot(
        source,
        started_at=started_at,
        description="Watchkeeper recovery point",
        tags={
            "watchkeeper:stack": "another-stack",
            "watchkeeper:run": f"backup#silver#{night}",
            "watchkeeper:plan": "silver",
            "watchkeeper:source": (
                f"arn:aws:ec2:{cloud.region}:{cloud.account_id}:volume/{source}"
            ),
            "watchkeeper:point": "5ca1ab1e0ddba11f",
            "Name": "harbour-archive-2024",
        },
    )


# --- databases, buckets and the rest ----------------------------------------------------------


def _databases(cloud: SeedableBox, keys: Mapping[str, str]) -> None:
    aws, installed = cloud.client("rds"), rds.installed_in(cloud)
    made_at = cloud.clock.now() - DATABASES_AGE
    for one in DATABASES:
        _database(aws, one, keys)
        installed.backdate(one.name, made_at)
        if one.stopped:
            aws.stop_db_instance(DBInstanceIdentifier=one.name)
    aws.create_db_instance_read_replica(
        DBInstanceIdentifier=REPLICA,
        SourceDBInstanceIdentifier="harbour-bookings-production",
        Tags=_tag_list({PLAN_TAG: "gold", "environment": "production"}),
    )
    for name, plan in CLUSTERS.items():
        _cluster(aws, name, plan)
        installed.backdate(name, made_at)
    _database_snapshots_of_others(cloud)


def _database(aws: Any, one: Database, keys: Mapping[str, str]) -> None:
    tags = {"environment": one.environment} | ({PLAN_TAG: one.plan} if one.plan else {})
    aws.create_db_instance(
        DBInstanceIdentifier=one.name,
        DBInstanceClass=one.kind,
        Engine="postgres",
        EngineVersion="16.4",
        AllocatedStorage=one.size,
        MasterUsername="bookings",
        MasterUserPassword="correct-horse-battery",
        DeletionProtection=one.protected,
        BackupRetentionPeriod=one.retention,
        PreferredBackupWindow=one.window,
        PreferredMaintenanceWindow="sun:04:00-sun:04:30",
        CopyTagsToSnapshot=one.protected,
        Tags=_tag_list(tags),
        **({"StorageEncrypted": True, "KmsKeyId": keys[one.key]} if one.key else {}),
    )


def _cluster(aws: Any, name: str, plan: str | None) -> None:
    aws.create_db_cluster(
        DBClusterIdentifier=name,
        Engine="aurora-postgresql",
        MasterUsername=name.removeprefix("harbour-"),
        MasterUserPassword="correct-horse-battery",
        BackupRetentionPeriod=7,
        PreferredBackupWindow="03:00-03:30",
        Tags=_tag_list({"environment": "production"} | ({PLAN_TAG: plan} if plan else {})),
    )
    aws.create_db_instance(
        DBInstanceIdentifier=f"{name}-1",
        DBClusterIdentifier=name,
        DBInstanceClass="db.r7g.large",
        Engine="aurora-postgresql",
    )


def _database_snapshots_of_others(cloud: SeedableBox) -> None:
    """Somebody took one by hand before an upgrade."""
    rds.installed_in(cloud).record_snapshot(
        "harbour-bookings-production",
        "bookings-before-upgrade",
        created_at=cloud.clock.now() - timedelta(days=200),
    )


def _tables(cloud: SeedableBox) -> None:
    aws = cloud.client("dynamodb")
    for one in TABLES:
        tags = {"environment": one.environment} | ({PLAN_TAG: one.plan} if one.plan else {})
        stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
        aws.create_table(
            TableName=one.name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            DeletionProtectionEnabled=one.protected,
            Tags=_tag_list(tags),
            **({"StreamSpecification": stream} if one.streamed else {}),
        )
        if one.recoverable:
            aws.update_continuous_backups(
                TableName=one.name,
                PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
            )
        if one.expires:
            aws.update_time_to_live(
                TableName=one.name,
                TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires_at"},
            )
        aws.put_item(TableName=one.name, Item={"id": {"S": "first"}, "value": {"S": one.name}})
    _table_backups_of_others(cloud)


def _table_backups_of_others(cloud: SeedableBox) -> None:
    dynamodb_backups.installed_in(cloud).record_backup(
        "harbour-rates",
        "rates-before-import",
        created_at=cloud.clock.now() - timedelta(days=20),
    )


def _vault(cloud: SeedableBox) -> None:
    """What AWS Backup looks after: nothing of it is in a plan of ours."""
    cloud.client("backup").create_backup_vault(BackupVaultName=VAULT)
    account = f"{cloud.region}:{cloud.account_id}"
    sizes = {
        f"arn:aws:ec2:{account}:volume/{volume_id(cloud, 'harbour-exports')}": 80,
        f"arn:aws:rds:{account}:db:harbour-metrics": 300,
        f"arn:aws:dynamodb:{account}:table/harbour-sessions": 1,
    }
    for days in (1, 2, 3):
        made_at = cloud.clock.now() - timedelta(days=days, hours=19)
        for resource, gib in sizes.items():
            backup.installed_in(cloud).record_recovery_point(
                VAULT,
                resource,
                created_at=made_at,
                gib=gib,
                lifecycle={"DeleteAt": made_at + timedelta(days=35)},
            )


def _buckets(cloud: SeedableBox) -> None:
    s3 = cloud.client("s3")
    for name, versioned in (("artefacts", True), ("uploads", True), ("access-logs", False)):
        bucket = f"harbour-{name}-{cloud.account_id}"
        s3.create_bucket(Bucket=bucket)
        if versioned:
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    artefacts = f"harbour-artefacts-{cloud.account_id}"
    for release in ("2026.44.0", "2026.45.0", "2026.46.1"):
        for service in ("web", "api", "worker"):
            s3.put_object(
                Bucket=artefacts,
                Key=f"production/{service}/release.json",
                Body=json.dumps({"service": service, "release": release}),
            )


def _functions(cloud: SeedableBox) -> None:
    role = cloud.client("iam").create_role(
        RoleName="harbour-functions",
        AssumeRolePolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": "lambda.amazonaws.com"},
                        "Action": "sts:AssumeRole",
                    }
                ],
            }
        ),
    )["Role"]["Arn"]
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("app.py", "def handler(event, context):\n    return 'ahoy'\n")
    for name in ("harbour-send-confirmations", "harbour-resize-photos"):
        cloud.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=role,
            Handler="app.handler",
            Code={"ZipFile": package.getvalue()},
            Tags={"environment": "production"},
        )
        cloud.client("logs").create_log_group(logGroupName=f"/aws/lambda/{name}")


def _parameters(cloud: SeedableBox, keys: Mapping[str, str]) -> None:
    ssm = cloud.client("ssm")
    for environment in NETWORKS:
        for name, (kind, value) in PARAMETERS.items():
            ssm.put_parameter(
                Name=name.format(environment),
                Value=value.format(environment),
                Type=kind,
                **({"KeyId": keys["alias/harbour-data"]} if kind == "SecureString" else {}),
            )
        for service in ("web", "api", "worker"):
            group = f"/harbour/{environment}/{service}"
            cloud.client("logs").create_log_group(logGroupName=group)
            cloud.client("logs").put_retention_policy(logGroupName=group, retentionInDays=30)
