"""RDS and Aurora: what there is, taking snapshots, looking at them, deleting them.

One class per right, so that a function composed of them needs exactly the actions that they name.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

from watchkeeper import naming
from watchkeeper.aws.client import client
from watchkeeper.aws.errors import translated
from watchkeeper.aws.iam import needs
from watchkeeper.aws.paging import paged
from watchkeeper.backups.model import Kind, Resource, Snapshot, Span, Windows
from watchkeeper.backups.quota import Quota

PAGE = 100
"""The most that the Describe calls of RDS give a page."""
UNSUPPORTED = {"neptune": "Neptune", "docdb": "DocumentDB"}
"""Engines that RDS describes too: their snapshots are made by APIs of their own."""
STATES = {"creating": "pending", "available": "completed", "failed": "error"}
"""States of a snapshot, in the words of EBS; others, `deleting` for one, stay what they are."""
QUOTAS = {
    "ManualSnapshots": (Kind.DATABASE, "manual snapshots of RDS instances"),
    "ManualClusterSnapshots": (Kind.CLUSTER, "manual snapshots of clusters"),
}
"""AWS's names of the quotas: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_AccountQuota.html"""

Tags = Mapping[str, str]
Described = Mapping[str, Any]


class _Rds:
    @cached_property
    def client(self) -> Any:
        return client("rds")

    def _pages(self, operation: str, key: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        """Every item under `key`, page after page."""
        return paged(self.client, operation, key, PAGE, **arguments)


class Databases(_Rds):
    """What could be backed up, found by Describe: only it knows what was never tagged."""

    def __init__(self, place: tuple[str, str, str]) -> None:
        self.place = place
        """Partition, Region and account, for ARNs."""

    @needs("rds:DescribeDBInstances")
    def instances(self) -> list[Resource]:
        return [self._instance(one) for one in self._pages("describe_db_instances", "DBInstances")]

    @needs("rds:DescribeDBClusters")
    def clusters(self) -> list[Resource]:
        return [self._cluster(one) for one in self._pages("describe_db_clusters", "DBClusters")]

    @needs("rds:DescribeDBInstances", "rds:DescribeDBClusters")
    def one(self, arn: str) -> Resource:
        """An instance, or a cluster with its members among its settings. Raises NotThere."""
        name = naming.rds_name(arn)
        if Kind.of(arn) is Kind.CLUSTER:
            with translated("rds:DescribeDBClusters"):
                found = self.client.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"]
            of_cluster = [{"Name": "db-cluster-id", "Values": [name]}]
            members = self._pages("describe_db_instances", "DBInstances", Filters=of_cluster)
            return self._cluster(found[0], [_settings(one, MEMBER) for one in members])
        with translated("rds:DescribeDBInstances"):
            found = self.client.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
        return self._instance(found[0])

    @needs("rds:DescribeDBInstanceAutomatedBackups", "rds:DescribeDBClusters")
    def spans(self, arns: Iterable[str]) -> dict[str, Span | None]:
        """Per database or cluster, what point-in-time recovery reaches; None where it is off."""
        spans: dict[str, Span | None] = dict.fromkeys(arns)
        kinds = {Kind.of(arn) for arn in spans}
        if Kind.DATABASE in kinds:
            spans |= {arn: span for arn, span in self._of_instances() if arn in spans}
        if Kind.CLUSTER in kinds:
            spans |= {arn: span for arn, span in self._of_clusters() if arn in spans}
        return spans

    @needs("rds:DescribeAccountAttributes")
    def quotas(self) -> dict[Kind, Quota]:
        """Of manual snapshots, whoever takes them. A kind that AWS does not name is missing."""
        with translated("rds:DescribeAccountAttributes"):
            answered = self.client.describe_account_attributes()["AccountQuotas"]
        return {
            kind: Quota(what, one["Used"], one["Max"])
            for one in answered
            if one["AccountQuotaName"] in QUOTAS
            for kind, what in (QUOTAS[one["AccountQuotaName"]],)
        }

    def _of_instances(self) -> Iterator[tuple[str, Span | None]]:
        # Those of deleted instances are not active; copies from another Region have ARNs of that.
        active = [{"Name": "status", "Values": ["active"]}]
        operation = "describe_db_instance_automated_backups"
        for one in self._pages(operation, "DBInstanceAutomatedBackups", Filters=active):
            window = one.get("RestoreWindow", {})
            yield one["DBInstanceArn"], _span(window.get("EarliestTime"), window.get("LatestTime"))

    def _of_clusters(self) -> Iterator[tuple[str, Span | None]]:
        for one in self._pages("describe_db_clusters", "DBClusters"):
            times = one.get("EarliestRestorableTime"), one.get("LatestRestorableTime")
            yield one["DBClusterArn"], _span(*times)

    def _instance(self, found: Described) -> Resource:
        return Resource(
            arn=found["DBInstanceArn"],
            kind=Kind.DATABASE,
            type=f"{UNSUPPORTED.get(found['Engine'], 'RDS')} instance",
            name=found["DBInstanceIdentifier"],
            tags=_tags(found),
            state=found["DBInstanceStatus"],
            key=_key(found),
            copy_of=self._copied_by(found),
            windows=_windows(found),
            settings=_settings(found, INSTANCE),
        )

    def _cluster(self, found: Described, members: Iterable[object] = ()) -> Resource:
        engine = found["Engine"]
        is_aurora = engine.startswith("aurora")
        settings = _settings(found, CLUSTER)
        return Resource(
            arn=found["DBClusterArn"],
            kind=None if engine in UNSUPPORTED else Kind.CLUSTER,
            type=f"{UNSUPPORTED.get(engine) or ('Aurora' if is_aurora else 'RDS')} cluster",
            name=found["DBClusterIdentifier"],
            tags=_tags(found),
            state=found["Status"],
            key=_key(found),
            copy_of=self._here("cluster", found.get("ReplicationSourceIdentifier", "")),
            # Aurora backs itself up all the time, and AWS Backup exempts it from waiting:
            # https://docs.aws.amazon.com/aws-backup/latest/devguide/plan-options-and-configuration.html
            windows=None if is_aurora else _windows(found),
            settings=settings | {"Members": list(members)} if members else settings,
        )

    def _copied_by(self, found: Described) -> str:
        cluster = found.get("DBClusterIdentifier") or found.get(
            "ReadReplicaSourceDBClusterIdentifier"
        )
        source = found.get("ReadReplicaSourceDBInstanceIdentifier", "")
        return self._here("cluster", cluster) if cluster else self._here("db", source)

    def _here(self, kind: str, source: str) -> str:
        """The ARN of a source in this account and Region, which Describe gives by name or ARN;
        empty if it is elsewhere: nothing here backs that up.
        """
        made = naming.cluster_arn if kind == "cluster" else naming.database_arn
        if not source.startswith("arn:"):
            return made(self.place, source) if source else ""
        here = made(self.place, "").rsplit(":", 2)[0]
        return source if source.startswith(f"{here}:") else ""


class DatabaseSnapshotTaker(_Rds):
    """Makes recovery points; it can remove none.

    We choose the name, so asking again, as botocore does after a lost answer, makes no second one.
    RDS uses the key of an encrypted database in the name of whoever asks:
    https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Overview.Encryption.Keys.html
    """

    @needs("rds:CreateDBSnapshot", "rds:AddTagsToResource", "kms:DescribeKey", "kms:CreateGrant")
    def snapshot_instance(self, identifier: str, name: str, tags: Tags) -> None:
        """Start a snapshot, tagged as it is made. Raises AlreadyThere if the name is taken."""
        with translated("rds:CreateDBSnapshot"):
            self.client.create_db_snapshot(
                DBInstanceIdentifier=identifier, DBSnapshotIdentifier=name, Tags=_as_list(tags)
            )

    @needs(
        "rds:CreateDBClusterSnapshot", "rds:AddTagsToResource", "kms:DescribeKey", "kms:CreateGrant"
    )
    def snapshot_cluster(self, identifier: str, name: str, tags: Tags) -> None:
        """Start a snapshot, tagged as it is made. Raises AlreadyThere if the name is taken."""
        with translated("rds:CreateDBClusterSnapshot"):
            self.client.create_db_cluster_snapshot(
                DBClusterIdentifier=identifier,
                DBClusterSnapshotIdentifier=name,
                Tags=_as_list(tags),
            )


class DatabaseSnapshots(_Rds):
    """Looks at our own snapshots.

    RDS filters neither by tag nor by many names, so each answer is read from the list of all manual
    snapshots: a call per hundred of them, and a hundred is what an account may have by default.
    """

    def __init__(self, stack: str, place: tuple[str, str, str]) -> None:
        self.stack = stack
        self.place = place
        """Partition, Region and account, for ARNs."""

    @needs("rds:DescribeDBSnapshots", "rds:DescribeDBClusterSnapshots")
    def all(self, kinds: Iterable[Kind] = (Kind.DATABASE, Kind.CLUSTER)) -> list[Snapshot]:
        """Every snapshot that this stack has made."""
        return [one for kind in kinds for one in self._manual(kind) if self._is_ours(one)]

    @needs("rds:DescribeDBSnapshots", "rds:DescribeDBClusterSnapshots")
    def of_run(self, run_id: str, kinds: Iterable[Kind]) -> list[Snapshot]:
        """Those that a run has made of these kinds, as far as Describe shows them already."""
        return [one for one in self.all(kinds) if one.tags[naming.TAG_RUN] == run_id]

    @needs("rds:DescribeDBSnapshots", "rds:DescribeDBClusterSnapshots")
    def named(self, arns: Iterable[str]) -> list[Snapshot]:
        """Those of `arns` that exist, whatever has become of their tags."""
        wanted = set(arns)
        kinds = sorted({_kind_of(arn) for arn in wanted})
        return [one for kind in kinds for one in self._manual(kind) if one.id in wanted]

    @needs("rds:DescribeDBSnapshots", "rds:DescribeDBClusterSnapshots")
    def runs_of(self, arns: Iterable[str]) -> set[str]:
        """The runs that made these snapshots; others' and those not shown yet have none."""
        return {one.tags[naming.TAG_RUN] for one in self.named(arns) if self._is_ours(one)}

    @needs("rds:DescribeDBSnapshots", "rds:DescribeDBClusterSnapshots")
    def has(self, kind: Kind, name: str) -> bool:
        """Whether there is a snapshot of this name already. Describe lags: no proof that not."""
        return any(naming.rds_name(one.id) == name for one in self._manual(kind))

    def _is_ours(self, snapshot: Snapshot) -> bool:
        """Whether we made it. A copy carries our tags along too, but has another name than its run
        and source give it, or is in another Region than its source.
        """
        run = snapshot.tags.get(naming.TAG_RUN, "")
        source = snapshot.tags.get(naming.TAG_SOURCE, "")
        name = naming.database_snapshot(self.stack, naming.point_id(run, source))
        here = snapshot.id.split(":")[3:5]
        return (
            snapshot.tags.get(naming.TAG_STACK) == self.stack
            and naming.rds_name(snapshot.id) == name
            and source.split(":")[3:5] == here
        )

    def _manual(self, kind: Kind) -> Iterator[Snapshot]:
        if kind is Kind.CLUSTER:
            found = self._pages(
                "describe_db_cluster_snapshots", "DBClusterSnapshots", SnapshotType="manual"
            )
            return (self._of_cluster(one) for one in found)
        found = self._pages("describe_db_snapshots", "DBSnapshots", SnapshotType="manual")
        return (self._of_instance(one) for one in found)

    def _of_instance(self, found: Described) -> Snapshot:
        source = naming.database_arn(self.place, found["DBInstanceIdentifier"])
        return _snapshot(found, found["DBSnapshotArn"], source, found["InstanceCreateTime"])

    def _of_cluster(self, found: Described) -> Snapshot:
        source = naming.cluster_arn(self.place, found["DBClusterIdentifier"])
        return _snapshot(found, found["DBClusterSnapshotArn"], source, found["ClusterCreateTime"])


class DatabaseSnapshotRemover(_Rds):
    """Removes our own snapshots, and finds out what forbids it; it can make none."""

    @needs("rds:DeleteDBSnapshot", "rds:DeleteDBClusterSnapshot")
    def delete(self, arn: str) -> None:
        """Raises NotThere if it is gone already, Refused if RDS will not: it is neither `available`
        nor `failed`.
        """
        name = naming.rds_name(arn)
        if _kind_of(arn) is Kind.CLUSTER:
            with translated("rds:DeleteDBClusterSnapshot"):
                self.client.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=name)
        else:
            with translated("rds:DeleteDBSnapshot"):
                self.client.delete_db_snapshot(DBSnapshotIdentifier=name)

    @needs("rds:DescribeDBSnapshotAttributes", "rds:DescribeDBClusterSnapshotAttributes")
    def shared_with(self, arn: str) -> str:
        """A sentence about who else may restore it; empty if nobody. Raises NotThere."""
        name = naming.rds_name(arn)
        if _kind_of(arn) is Kind.CLUSTER:
            with translated("rds:DescribeDBClusterSnapshotAttributes"):
                answer = self.client.describe_db_cluster_snapshot_attributes(
                    DBClusterSnapshotIdentifier=name
                )["DBClusterSnapshotAttributesResult"]["DBClusterSnapshotAttributes"]
        else:
            with translated("rds:DescribeDBSnapshotAttributes"):
                answer = self.client.describe_db_snapshot_attributes(DBSnapshotIdentifier=name)[
                    "DBSnapshotAttributesResult"
                ]["DBSnapshotAttributes"]
        granted = {
            account
            for attribute in answer
            if attribute["AttributeName"] == "restore"
            for account in attribute["AttributeValues"]
        }
        if "all" in granted:
            return "is public: every account of AWS may restore it"
        return f"is shared with {', '.join(sorted(granted))}" if granted else ""


# ── Shapes ────────────────────────────────────────────────────────────────────────────────────────

BOTH = (
    "BackupRetentionPeriod", "PreferredBackupWindow", "PreferredMaintenanceWindow",
    "PubliclyAccessible", "DeletionProtection", "IAMDatabaseAuthenticationEnabled",
    "CopyTagsToSnapshot", "AutoMinorVersionUpgrade", "MultiAZ", "StorageType", "Iops",
    "StorageThroughput", "NetworkType", "EngineLifecycleSupport", "MonitoringInterval",
    "MonitoringRoleArn", "DatabaseInsightsMode", "PerformanceInsightsEnabled",
    "PerformanceInsightsKMSKeyId", "PerformanceInsightsRetentionPeriod",
    "EnabledCloudwatchLogsExports", "MasterUserSecret",
)  # fmt: skip
INSTANCE = (
    *BOTH, "DBInstanceClass", "AvailabilityZone", "DbInstancePort", "LicenseModel",
    "MaxAllocatedStorage", "AdditionalStorageVolumes", "DedicatedLogVolume", "ProcessorFeatures",
    "CACertificateIdentifier", "CustomerOwnedIpEnabled", "CustomIamInstanceProfile", "BackupTarget",
    "TdeCredentialArn",
)  # fmt: skip
CLUSTER = (
    *BOTH, "EngineMode", "EngineVersion", "Port", "AvailabilityZones", "DBClusterParameterGroup",
    "DBSubnetGroup", "DBClusterInstanceClass", "ScalingConfigurationInfo",
    "ServerlessV2ScalingConfiguration", "BacktrackWindow", "HttpEndpointEnabled",
    "CustomEndpoints", "GlobalClusterIdentifier", "VPCNetworkingEnabled",
    "InternetAccessGatewayEnabled",
)  # fmt: skip
MEMBER = (*INSTANCE, "DBInstanceIdentifier", "PromotionTier")
"""Restoring a cluster makes no instances in it, so each of its members is a setting of its own."""
NAMES_IN = {
    "DBParameterGroups": "DBParameterGroupName",
    "OptionGroupMemberships": "OptionGroupName",
    "DBClusterOptionGroupMemberships": "DBClusterOptionGroupName",
    "VpcSecurityGroups": "VpcSecurityGroupId",
}
"""Lists of which only a name is a setting: the rest is how things stand."""
DOMAIN = ("Domain", "FQDN", "OU", "IAMRoleName", "AuthSecretArn", "DnsIps")
ROLE = ("RoleArn", "FeatureName")


def _settings(found: Described, plain: Iterable[str]) -> dict[str, object]:
    """What a restore makes anew from defaults unless it is told, under the names of Describe:
    https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_RestoreDBInstanceFromDBSnapshot.html
    https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_RestoreDBClusterFromSnapshot.html
    """
    settings: dict[str, object] = {name: found[name] for name in plain if name in found}
    for listed, name in NAMES_IN.items():
        if listed in found:
            settings[listed] = [one[name] for one in found[listed]]
    for listed, names in (("DomainMemberships", DOMAIN), ("AssociatedRoles", ROLE)):
        if listed in found:
            settings[listed] = [_only(names, one) for one in found[listed]]
    if isinstance(group := found.get("DBSubnetGroup"), dict):  # of an instance; of a cluster a name
        settings["DBSubnetGroup"] = group["DBSubnetGroupName"]
    return settings | {"Tags": _tags(found)}


def _only(names: Iterable[str], found: Described) -> dict[str, object]:
    return {name: found[name] for name in names if name in found}


def _windows(found: Described) -> Windows:
    backs_up = found.get("BackupRetentionPeriod", 0) > 0
    return Windows(
        backup=found.get("PreferredBackupWindow", "") if backs_up else "",
        maintenance=found.get("PreferredMaintenanceWindow", ""),
    )


def _key(found: Described) -> str:
    """Both of databases and of snapshots; RDS says it in two ways."""
    encrypted = found.get("StorageEncrypted") or found.get("Encrypted")
    return found.get("KmsKeyId", "") if encrypted else ""


def _span(earliest: datetime | None, latest: datetime | None) -> Span | None:
    return Span(earliest, latest) if earliest and latest else None


def _kind_of(snapshot: str) -> Kind:
    is_of_cluster = naming.service_and_type(snapshot) == ("rds", "cluster-snapshot")
    return Kind.CLUSTER if is_of_cluster else Kind.DATABASE


def _tags(described: Described) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in described.get("TagList", [])}


def _as_list(tags: Tags) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _snapshot(found: Described, arn: str, source: str, born: datetime) -> Snapshot:
    """`born` is when the source was created."""
    tags = _tags(found)
    if naming.TAG_RUN in tags:
        tags[naming.TAG_RUN] = naming.from_rds_value(tags[naming.TAG_RUN])
    status: str = found["Status"]
    state = STATES.get(status, status)
    return Snapshot(
        id=arn,
        volume=source,
        state=state,
        started_at=found.get("SnapshotCreateTime") or _asked_at(tags) or born,
        gib=found.get("AllocatedStorage", 0),
        tags=tags,
        problem="RDS does not say why; the events of the database may" if state == "error" else "",
        key=_key(found),
    )


def _asked_at(tags: Tags) -> datetime | None:
    """RDS shows no time of a snapshot that is not done (https://github.com/boto/boto3/issues/952).
    Without the tag, the birth of the source is no later than the data: it flatters no RPO.
    """
    try:
        asked_at = naming.parse_instant(tags[naming.TAG_ASKED_AT])
    except (KeyError, ValueError):
        return None
    return asked_at if asked_at.tzinfo else None  # somebody has written another one
