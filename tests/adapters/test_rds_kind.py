"""Databases backed up through the adapters, in the box: asserted on snapshots and objects there."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.aws import rds
from local.aws.rds import Rds
from local.pace import Pace
from tests.local.service_box import ACCOUNT, REGION, TWO_O_CLOCK, ServiceBox, service_box
from watchkeeper import naming, telemetry
from watchkeeper.aws import rds as adapters
from watchkeeper.aws.errors import NotThere, Refused
from watchkeeper.aws.objects import Manifests
from watchkeeper.backups.manifest import Manifest, digest
from watchkeeper.backups.model import (
    Asked,
    Kind,
    Place,
    RecoveryPoint,
    Resource,
    Span,
    State,
    Target,
    Windows,
)
from watchkeeper.backups.rds import PATIENCE, RdsKeeper, RdsTaker, tags_of
from watchkeeper.backups.services import Keeper, Taker

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
PACE = Pace(
    hidden_for=timedelta(seconds=20),
    deletion_takes=5 * MINUTE,
    db_snapshot_takes=10 * MINUTE,
    window_backup_takes=10 * MINUTE,
)
STACK = "watchkeeper"
BUCKET = "evidence"
PLACE = Place(ACCOUNT, REGION)
ARNS = ("aws", REGION, ACCOUNT)
RUN = "backup#gold#2026-11-23T02:00Z#000"
ASKED = Asked(STACK, RUN, "gold", TWO_O_CLOCK)
ORDERS = Target(naming.database_arn(ARNS, "orders"), Kind.DATABASE, "orders")
LEDGER = Target(naming.cluster_arn(ARNS, "ledger"), Kind.CLUSTER, "ledger")
PASSWORD = "correct-horse-battery"


@dataclass
class Box(ServiceBox):
    @property
    def switches(self) -> Rds:
        return rds.installed_in(self)

    @property
    def rds(self) -> Any:
        return self.client("rds")

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def wait(self, minutes: int = 11) -> None:
        self.clock.run_for(minutes * MINUTE)

    def database(
        self, name: str = "orders", tags: dict[str, str] | None = None, **more: Any
    ) -> str:
        """An instance whose windows are far from the night, unless `more` says otherwise."""
        windows = {
            "PreferredBackupWindow": "13:00-13:30",
            "PreferredMaintenanceWindow": "sun:14:00-sun:14:30",
        }
        made = self.rds.create_db_instance(
            DBInstanceIdentifier=name,
            DBInstanceClass="db.t4g.medium",
            AllocatedStorage=20,
            MasterUsername="admin1",
            MasterUserPassword=PASSWORD,
            Tags=listed(tags or {}),
            **{"Engine": "postgres"} | windows | more,
        )
        return str(made["DBInstance"]["DBInstanceArn"])

    def cluster(self, name: str = "ledger", engine: str = "aurora-postgresql", **more: Any) -> str:
        made = self.rds.create_db_cluster(
            DBClusterIdentifier=name,
            Engine=engine,
            MasterUsername="admin1",
            MasterUserPassword=PASSWORD,
            **more,
        )
        self.rds.create_db_instance(
            DBInstanceIdentifier=f"{name}-1",
            DBClusterIdentifier=name,
            DBInstanceClass="db.r7g.large",
            Engine=engine,
        )
        return str(made["DBCluster"]["DBClusterArn"])

    def snapshots(self) -> list[str]:
        """The names of all manual snapshots there are, whether or not Describe shows them yet."""
        backend = self.switches.backend
        made = [*backend.database_snapshots.values(), *backend.cluster_snapshots.values()]
        return [one.resource_id for one in made if one.snapshot_type == "manual"]


def listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    with service_box(Box, rds, pace=PACE) as box:
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        box.client("s3").create_bucket(Bucket=BUCKET)
        yield box


@pytest.fixture
def taker(box: Box) -> RdsTaker:
    return RdsTaker(
        adapters.Databases(ARNS),
        adapters.DatabaseSnapshots(STACK, ARNS),
        adapters.DatabaseSnapshotTaker(),
        Manifests(BUCKET),
        PLACE,
    )


@pytest.fixture
def keeper(box: Box) -> RdsKeeper:
    return RdsKeeper(
        adapters.DatabaseSnapshots(STACK, ARNS),
        adapters.DatabaseSnapshotRemover(),
        Manifests(BUCKET),
        PLACE,
    )


def name_of(target: Target = ORDERS, run: str = RUN) -> str:
    return naming.database_snapshot(STACK, naming.point_id(run, target.arn))


def snapshot_arn(target: Target = ORDERS, run: str = RUN) -> str:
    kind = "snapshot" if target.kind is Kind.DATABASE else "cluster-snapshot"
    return f"arn:aws:rds:{REGION}:{ACCOUNT}:{kind}:{name_of(target, run)}"


def taken(box: Box, taker: RdsTaker, target: Target = ORDERS) -> RecoveryPoint:
    """The recovery point of a database, once its snapshot has ended."""
    assert taker.take(target, ASKED, box.now) == ""
    box.wait()
    [point] = taker.of_run(ASKED, [target])[RUN, target.arn].points
    return point


def test_both_are_what_the_steps_ask_for(taker: RdsTaker, keeper: RdsKeeper) -> None:
    services: tuple[Taker, Keeper] = (taker, keeper)

    assert [service.service for service in services] == ["rds", "rds"]
    assert taker.repeats_safely


# ── What there is ─────────────────────────────────────────────────────────────────────────────────


def resources(taker: RdsTaker) -> dict[str, Resource]:
    return {resource.name: resource for resource in taker.resources()}


def test_an_instance_is_shown_with_tags_key_state_and_windows(box: Box, taker: RdsTaker) -> None:
    key = box.client("kms").create_key()["KeyMetadata"]["Arn"]
    arn = box.database(tags={"backup-plan": "gold"}, StorageEncrypted=True, KmsKeyId=key)
    box.database("scratch", BackupRetentionPeriod=0)

    orders, scratch = resources(taker)["orders"], resources(taker)["scratch"]

    assert (orders.arn, orders.kind, orders.type) == (arn, Kind.DATABASE, "RDS instance")
    assert (orders.tags, orders.state) == ({"backup-plan": "gold"}, "available")
    assert (orders.key, orders.copy_of) == (key, "")
    assert orders.windows == Windows("13:00-13:30", "sun:14:00-sun:14:30")
    assert (scratch.key, scratch.tags) == ("", {})
    assert scratch.windows == Windows("", "sun:14:00-sun:14:30")


def test_a_cluster_answers_for_its_members(box: Box, taker: RdsTaker) -> None:
    arn = box.cluster(StorageEncrypted=True)
    key = box.client("kms").describe_key(KeyId="alias/aws/rds")["KeyMetadata"]["Arn"]

    ledger, member = resources(taker)["ledger"], resources(taker)["ledger-1"]

    assert (ledger.arn, ledger.kind, ledger.type) == (arn, Kind.CLUSTER, "Aurora cluster")
    assert (ledger.key, ledger.copy_of, ledger.windows) == (key, "", None)
    assert (member.kind, member.copy_of) == (Kind.DATABASE, arn)


def test_a_cluster_with_readable_standbys_has_windows(box: Box, taker: RdsTaker) -> None:
    box.rds.create_db_cluster(
        DBClusterIdentifier="standby",
        Engine="mysql",
        DBClusterInstanceClass="db.m6gd.large",
        AllocatedStorage=100,
        StorageType="io1",
        Iops=1000,
        MasterUsername="admin1",
        MasterUserPassword=PASSWORD,
        PreferredBackupWindow="13:00-13:30",
        PreferredMaintenanceWindow="sun:14:00-sun:14:30",
    )

    standby = resources(taker)["standby"]

    assert (standby.kind, standby.type) == (Kind.CLUSTER, "RDS cluster")
    assert standby.windows == Windows("13:00-13:30", "sun:14:00-sun:14:30")


@pytest.mark.parametrize(("engine", "named"), [("neptune", "Neptune"), ("docdb", "DocumentDB")])
def test_what_no_plan_can_protect_yet_says_so(
    box: Box, taker: RdsTaker, engine: str, named: str
) -> None:
    arn = box.cluster("graph", "neptune")
    box.switches.backend.clusters["graph"].engine = engine  # moto makes none of DocumentDB
    box.switches.backend.databases["graph-1"].engine = engine

    graph, member = resources(taker)["graph"], resources(taker)["graph-1"]

    assert (graph.arn, graph.kind, graph.type) == (arn, None, f"{named} cluster")
    assert (member.type, member.copy_of) == (f"{named} instance", arn)


def test_a_replica_names_its_source(box: Box, taker: RdsTaker) -> None:
    arn = box.database()
    box.rds.create_db_instance_read_replica(
        DBInstanceIdentifier="reader", SourceDBInstanceIdentifier="orders"
    )

    assert resources(taker)["reader"].copy_of == arn


FOREIGN = "arn:aws:rds:eu-west-1:123456789012"
STRANGE = "arn:aws:rds:us-east-1:111122223333"


@pytest.mark.parametrize(
    ("operation", "described", "copy_of"),
    [
        ("instance", {"ReadReplicaSourceDBInstanceIdentifier": "orders"}, ORDERS.arn),
        ("instance", {"ReadReplicaSourceDBInstanceIdentifier": ORDERS.arn}, ORDERS.arn),
        ("instance", {"ReadReplicaSourceDBInstanceIdentifier": f"{FOREIGN}:db:orders"}, ""),
        ("instance", {"ReadReplicaSourceDBInstanceIdentifier": f"{STRANGE}:db:orders"}, ""),
        ("instance", {"ReadReplicaSourceDBClusterIdentifier": "ledger"}, LEDGER.arn),
        ("instance", {"ReadReplicaSourceDBClusterIdentifier": f"{FOREIGN}:cluster:ledger"}, ""),
        ("cluster", {"ReplicationSourceIdentifier": LEDGER.arn}, LEDGER.arn),
        ("cluster", {"ReplicationSourceIdentifier": ORDERS.arn}, ORDERS.arn),
        ("cluster", {"ReplicationSourceIdentifier": f"{FOREIGN}:cluster:ledger"}, ""),
    ],
)
def test_only_a_source_in_this_account_and_region_is_backed_up_in_its_place(
    operation: str, described: dict[str, str], copy_of: str
) -> None:
    """Answers that the box cannot give, in the shape of the API."""
    databases = adapters.Databases(ARNS)
    if operation == "cluster":
        answer = {"DBClusterArn": "", "DBClusterIdentifier": "", "Engine": "mysql", "Status": ""}
        found = databases._cluster(answer | described)
    else:
        answer = {"DBInstanceArn": "", "DBInstanceIdentifier": "", "Engine": "mysql"}
        found = databases._instance(answer | {"DBInstanceStatus": ""} | described)

    assert found.copy_of == copy_of


def test_more_databases_than_a_page_holds(box: Box, taker: RdsTaker) -> None:
    for number in range(103):
        box.database(f"db-{number:03d}")

    assert [one.name for one in taker.resources()] == [f"db-{number:03d}" for number in range(103)]


def test_settings_are_what_a_restore_loses(box: Box) -> None:
    box.rds.create_db_parameter_group(
        DBParameterGroupName="tuned", DBParameterGroupFamily="postgres16", Description="tuned"
    )
    box.database(
        tags={"owner": "web"},
        DBParameterGroupName="tuned",
        MultiAZ=True,
        DeletionProtection=True,
        MaxAllocatedStorage=100,
        EnableCloudwatchLogsExports=["postgresql"],
    )

    settings = adapters.Databases(ARNS).one(ORDERS.arn).settings

    assert settings["DBParameterGroups"] == ["tuned"]
    assert settings["DBInstanceClass"] == "db.t4g.medium"
    assert (settings["MultiAZ"], settings["DeletionProtection"]) == (True, True)
    assert settings["MaxAllocatedStorage"] == 100
    assert settings["EnabledCloudwatchLogsExports"] == ["postgresql"]
    assert settings["Tags"] == {"owner": "web"}
    assert settings["PreferredMaintenanceWindow"] == "sun:14:00-sun:14:30"


def test_the_members_of_a_cluster_are_settings_of_it(box: Box) -> None:
    box.cluster()
    box.cluster("other")

    settings = adapters.Databases(ARNS).one(LEDGER.arn).settings

    members = settings["Members"]
    assert isinstance(members, list)
    assert [(member["DBInstanceIdentifier"], member["DBInstanceClass"]) for member in members] == [
        ("ledger-1", "db.r7g.large")
    ]


def test_subnets_roles_and_domains_are_named_without_their_state() -> None:
    """Answers that the box cannot give, in the shape of the API."""
    found = {
        "DBSubnetGroup": {"DBSubnetGroupName": "private", "Subnets": [{"SubnetIdentifier": "s"}]},
        "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-1", "Status": "active"}],
        "AssociatedRoles": [{"RoleArn": "arn", "FeatureName": "s3Import", "Status": "ACTIVE"}],
        "DomainMemberships": [{"Domain": "d-1", "Status": "joined", "DnsIps": ["10.0.0.1"]}],
    }

    assert adapters._settings(found, ()) == {
        "DBSubnetGroup": "private",
        "VpcSecurityGroups": ["sg-1"],
        "AssociatedRoles": [{"RoleArn": "arn", "FeatureName": "s3Import"}],
        "DomainMemberships": [{"Domain": "d-1", "DnsIps": ["10.0.0.1"]}],
        "Tags": {},
    }


@pytest.mark.parametrize("target", [ORDERS, LEDGER])
def test_what_is_gone_is_not_there(box: Box, target: Target) -> None:
    with pytest.raises(NotThere):
        adapters.Databases(ARNS).one(target.arn)


def test_point_in_time_recovery_is_a_span(box: Box, taker: RdsTaker) -> None:
    box.database(BackupRetentionPeriod=7)
    off = box.database("scratch", BackupRetentionPeriod=0)
    box.cluster(BackupRetentionPeriod=3)
    for name in ("orders", "ledger"):
        box.switches.backdate(name, box.now - 30 * DAY)
    gone = naming.database_arn(ARNS, "gone")

    spans = taker.spans([ORDERS.arn, off, LEDGER.arn, gone])

    latest = TWO_O_CLOCK - 5 * MINUTE
    assert spans == {
        ORDERS.arn: Span(TWO_O_CLOCK - 7 * DAY, latest),
        off: None,
        LEDGER.arn: Span(TWO_O_CLOCK - 3 * DAY, latest),
        gone: None,
    }
    assert taker.spans([ORDERS.arn]) == {ORDERS.arn: spans[ORDERS.arn]}


def test_quotas_count_everybodys_manual_snapshots(box: Box, taker: RdsTaker) -> None:
    box.database()
    box.cluster()
    box.switches.record_snapshot("orders", "by-hand", created_at=box.now - DAY)
    box.switches.record_snapshot(
        "orders", "awsbackup:1", created_at=box.now - DAY, snapshot_type="awsbackup"
    )

    quotas = adapters.Databases(ARNS).quotas()

    assert {kind: (one.used, one.most) for kind, one in quotas.items()} == {
        Kind.DATABASE: (1, 100),
        Kind.CLUSTER: (0, 100),
    }


# ── Taking ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("target", [ORDERS, LEDGER], ids=lambda target: target.kind.value)
def test_a_recovery_point_is_read_back_when_it_is_complete(
    box: Box, taker: RdsTaker, target: Target
) -> None:
    box.database(StorageEncrypted=True)
    box.cluster(StorageEncrypted=True)
    key = box.client("kms").describe_key(KeyId="alias/aws/rds")["KeyMetadata"]["Arn"]
    asked = replace(ASKED, words="before-migration v2")

    assert taker.take(target, asked, box.now) == ""

    assert taker.of_run(asked, [target]) == {}  # Describe lags
    box.wait(1)
    [pending] = taker.of_run(asked, [target])[RUN, target.arn].pending
    assert (pending.state, pending.started_at, pending.manifest) == ("pending", TWO_O_CLOCK, "")
    box.wait(10)
    [point] = taker.of_run(asked, [target])[RUN, target.arn].points
    assert (point.resource, point.kind, point.state) == (target.arn, target.kind, State.COMPLETED)
    assert (point.run, point.plan, point.place) == (RUN, "gold", PLACE)
    assert (point.created_at, point.keys) == (TWO_O_CLOCK, (key,))
    assert point.tags == {"before-migration", "v2"}
    assert [(part.snapshot, part.volume) for part in point.parts] == [
        (snapshot_arn(target), target.arn)
    ]
    assert point.manifest == digest(Manifests(BUCKET).read(point.id))
    assert taker.all() == taker.of_run(asked, [target])


def test_the_manifest_holds_what_the_database_was(box: Box, taker: RdsTaker) -> None:
    key = box.client("kms").create_key()["KeyMetadata"]["Arn"]
    box.database(MultiAZ=True, StorageEncrypted=True, KmsKeyId=key)
    box.wait(3)

    point = taken(box, taker)

    manifest = Manifest.of(Manifests(BUCKET).read(point.id))
    assert (manifest.point, manifest.resource, manifest.kind) == (point.id, ORDERS.arn, point.kind)
    assert (manifest.run, manifest.plan, manifest.key) == (RUN, "gold", key)
    assert manifest.asked_at == TWO_O_CLOCK + 3 * MINUTE
    assert manifest.settings["MultiAZ"] is True


@pytest.mark.parametrize("minutes", [0, 1, 11])
@pytest.mark.parametrize("target", [ORDERS, LEDGER], ids=lambda target: target.kind.value)
def test_asking_twice_makes_one(box: Box, taker: RdsTaker, target: Target, minutes: int) -> None:
    """While RDS hides it (and says `backing-up`), shows it, and has completed it."""
    box.database()
    box.cluster()
    taker.take(target, ASKED, box.now)
    first = Manifests(BUCKET).read(naming.point_id(RUN, target.arn))
    box.wait(minutes)

    again = taker.take(target, ASKED, box.now)

    assert again == ('it is "backing-up"' if minutes == 0 else "")
    assert box.snapshots() == [name_of(target)]
    assert Manifests(BUCKET).read(naming.point_id(RUN, target.arn)) == first


def test_a_database_deleted_after_it_was_backed_up_was_backed_up(box: Box, taker: RdsTaker) -> None:
    box.database()
    taken(box, taker)
    box.rds.delete_db_instance(DBInstanceIdentifier="orders", SkipFinalSnapshot=True)

    assert taker.take(ORDERS, ASKED, box.now) == ""
    with pytest.raises(NotThere):
        taker.take(ORDERS, replace(ASKED, run="backup#gold#2026-11-24T02:00Z#000"), box.now)


@pytest.mark.parametrize("state", ["maintenance", "modifying", "rebooting"])
@pytest.mark.parametrize("target", [ORDERS, LEDGER], ids=lambda target: target.kind.value)
def test_it_waits_for_rds_to_be_done(box: Box, taker: RdsTaker, target: Target, state: str) -> None:
    box.database()
    box.cluster()
    box.switches.make_busy(target.name, state, 20 * MINUTE)

    assert taker.take(target, ASKED, box.now) == f'it is "{state}"'
    assert box.snapshots() == []
    box.wait(21)
    assert taker.take(target, ASKED, box.now) == ""


def test_storage_optimization_hinders_nothing(box: Box, taker: RdsTaker) -> None:
    box.database()
    box.switches.make_busy("orders", "storage-optimization", DAY)

    assert taker.take(ORDERS, ASKED, box.now) == ""


def test_what_was_stopped_since_it_was_chosen_is_waited_for(box: Box, taker: RdsTaker) -> None:
    box.database()
    box.rds.stop_db_instance(DBInstanceIdentifier="orders")

    assert taker.take(ORDERS, ASKED, box.now) == 'it is "stopped"'
    box.rds.start_db_instance(DBInstanceIdentifier="orders")
    assert taker.take(ORDERS, ASKED, box.now) == ""


def test_windows_are_waited_out(box: Box, taker: RdsTaker) -> None:
    box.database(
        PreferredBackupWindow="02:05-02:35", PreferredMaintenanceWindow="mon:03:40-mon:04:10"
    )
    box.wait(16)  # the automated backup itself is over, its window is not

    in_backup = taker.take(ORDERS, ASKED, box.now)
    box.wait(30)
    near_maintenance = taker.take(ORDERS, ASKED, box.now)
    made_meanwhile = box.snapshots()
    box.wait(85)
    afterwards = taker.take(ORDERS, ASKED, box.now)

    assert in_backup == "its backup window 02:05-02:35 UTC is open, until Mon 02:35 UTC"
    assert near_maintenance == (
        "its maintenance window mon:03:40-mon:04:10 UTC is open, or will be within an hour, "
        "until Mon 04:10 UTC"
    )
    assert (made_meanwhile, afterwards) == ([], "")


def test_a_night_that_windows_would_eat_is_saved(box: Box, taker: RdsTaker) -> None:
    box.database(PreferredMaintenanceWindow="mon:02:00-mon:10:00")

    box.clock.run_for(PATIENCE - MINUTE)
    assert "maintenance window" in taker.take(ORDERS, ASKED, box.now)
    box.wait(1)
    assert taker.take(ORDERS, ASKED, box.now) == ""


def test_aurora_waits_for_no_window(box: Box, taker: RdsTaker) -> None:
    box.cluster(
        PreferredBackupWindow="02:00-02:30", PreferredMaintenanceWindow="mon:02:40-mon:03:10"
    )

    assert taker.take(LEDGER, ASKED, box.now) == ""


def test_windows_that_cannot_be_read_are_logged_and_hold_nothing_up(
    box: Box, taker: RdsTaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = StringIO()
    monkeypatch.setattr(telemetry.logger.registered_handler, "stream", log)
    box.database()
    box.switches.backend.databases["orders"].preferred_maintenance_window = "whenever"

    assert taker.take(ORDERS, ASKED, box.now) == ""
    assert json.loads(log.getvalue())["windows"] == ['"whenever"']


def test_a_failed_snapshot_is_a_failed_recovery_point(box: Box, taker: RdsTaker) -> None:
    box.database()
    box.switches.backdate("orders", TWO_O_CLOCK - 30 * DAY)
    box.switches.fail_snapshot_of("orders")

    point = taken(box, taker)

    assert point.state is State.FAILED
    assert point.why == (
        f"snapshot {snapshot_arn()} of {ORDERS.arn} ended in error: "
        "RDS does not say why; the events of the database may"
    )
    assert point.created_at == TWO_O_CLOCK  # RDS shows no time of it


def test_a_full_account_refuses(box: Box, taker: RdsTaker) -> None:
    box.database()
    box.switches.manual_snapshot_quota = 0

    with pytest.raises(Refused, match="SnapshotQuotaExceeded"):
        taker.take(ORDERS, ASKED, box.now)


def test_a_database_whose_key_is_lost_refuses(box: Box, taker: RdsTaker) -> None:
    kms = box.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    box.database(StorageEncrypted=True, KmsKeyId=key)
    kms.disable_key(KeyId=key)

    with pytest.raises(Refused, match="KMSKeyNotAccessible"):
        taker.take(ORDERS, ASKED, box.now)
    box.wait(31)
    held = taker.take(ORDERS, ASKED, box.now)
    assert held == 'it is "inaccessible-encryption-credentials-recoverable"'


# ── Tags ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_snapshot_carries_the_catalogues_truth_and_the_databases_tags(
    box: Box, taker: RdsTaker
) -> None:
    stale = {naming.TAG_RUN: "of-a-restore", "Name": "orders of the web shop"}
    box.database(tags={"owner": "web", **stale})

    taken(box, taker)

    [made] = box.rds.describe_db_snapshots(DBSnapshotIdentifier=name_of())["DBSnapshots"]
    assert {tag["Key"]: tag["Value"] for tag in made["TagList"]} == {
        "Name": "orders gold",
        "owner": "web",
        "watchkeeper:asked-at": "2026-11-23T02:00:00.000Z",
        "watchkeeper:plan": "gold",
        "watchkeeper:point": naming.point_id(RUN, ORDERS.arn),
        "watchkeeper:run": "backup/gold/2026-11-23T02:00Z/000",
        "watchkeeper:source": ORDERS.arn,
        "watchkeeper:stack": STACK,
    }


def test_of_too_many_tags_ours_are_kept(box: Box, taker: RdsTaker) -> None:
    box.database(tags={f"tag-{number:02d}": "x" for number in range(50)})

    point = taken(box, taker)

    [made] = box.rds.describe_db_snapshots(DBSnapshotIdentifier=name_of())["DBSnapshots"]
    assert len(made["TagList"]) == 50
    assert point.state is State.COMPLETED


KEYS = st.text(min_size=1, max_size=20) | st.sampled_from(["aws:x", "rds:x", naming.TAG_STACK])


@given(st.dictionaries(KEYS, st.text(max_size=5), max_size=60))
def test_whatever_tags_a_database_has_ours_stay(copied: dict[str, str]) -> None:
    database = Resource(ORDERS.arn, Kind.DATABASE, "RDS instance", tags=copied)

    tags = tags_of(database, ORDERS, ASKED)
    ours = tags_of(replace(database, tags={}), ORDERS, ASKED)

    assert {key: tags[key] for key in ours} == ours
    assert len(tags) <= 50
    others = tags.keys() - ours.keys()
    assert not any(key.startswith(("aws:", "rds:", "watchkeeper:")) for key in others)
    assert all(tags[key] == copied[key] for key in others)


# ── What the account shows ────────────────────────────────────────────────────────────────────────


def test_a_run_sees_its_own_and_no_copies(box: Box, taker: RdsTaker, keeper: RdsKeeper) -> None:
    box.database()
    point = taken(box, taker)
    box.rds.copy_db_snapshot(
        SourceDBSnapshotIdentifier=name_of(), TargetDBSnapshotIdentifier="copy", CopyTags=True
    )
    box.switches.record_snapshot("orders", "by-hand", created_at=box.now)
    next_night = replace(ASKED, run="backup#gold#2026-11-24T02:00Z#000")
    assert taker.take(ORDERS, next_night, box.now) == ""
    box.wait()

    assert taker.of_run(ASKED, [ORDERS]) == {(RUN, ORDERS.arn): taker.all()[RUN, ORDERS.arn]}
    assert taker.all().keys() == {(RUN, ORDERS.arn), (next_night.run, ORDERS.arn)}
    assert [one.id for one in keeper.all()] == [
        *sorted([point.parts[0].snapshot, snapshot_arn(run=next_night.run)])
    ]
    elsewhere = adapters.DatabaseSnapshots("another-stack", ARNS)
    assert elsewhere.all() == []


def test_two_stacks_with_the_same_plan_take_one_each(box: Box, taker: RdsTaker) -> None:
    box.database()
    theirs = replace(ASKED, stack="another")

    for asked in (ASKED, theirs):
        assert taker.take(ORDERS, asked, TWO_O_CLOCK) == ""
        box.wait()

    point = naming.point_id(RUN, ORDERS.arn)
    assert set(box.snapshots()) == {name_of(), naming.database_snapshot("another", point)}


def test_a_copy_from_another_region_is_not_ours_though_named_alike(box: Box) -> None:
    source = naming.database_arn(("aws", "eu-west-1", ACCOUNT), "orders")
    tags = {
        naming.TAG_STACK: STACK,
        naming.TAG_RUN: naming.rds_value(RUN),
        naming.TAG_SOURCE: source,
    }
    box.database()
    name = naming.database_snapshot(STACK, naming.point_id(RUN, source))
    box.switches.record_snapshot("orders", name, created_at=box.now, tags=tags)

    assert adapters.DatabaseSnapshots(STACK, ARNS).all() == []


def test_more_snapshots_than_a_page_holds(box: Box, taker: RdsTaker, keeper: RdsKeeper) -> None:
    box.switches.manual_snapshot_quota = 500
    box.pace = replace(PACE, db_snapshot_takes=timedelta(0), hidden_for=timedelta(0))
    box.database()
    nights = [replace(ASKED, run=f"backup#gold#by-hand#{number}") for number in range(103)]
    for night in nights:
        assert taker.take(ORDERS, night, box.now) == ""

    assert taker.all().keys() == {(night.run, ORDERS.arn) for night in nights}
    assert len(keeper.parts(one.id for one in keeper.all())) == 103


@pytest.mark.parametrize("target", [ORDERS, LEDGER], ids=lambda target: target.kind.value)
def test_an_event_leads_to_its_run(box: Box, taker: RdsTaker, target: Target) -> None:
    box.database()
    box.cluster()
    box.switches.record_snapshot("orders", "by-hand", created_at=box.now)
    by_hand = f"arn:aws:rds:{REGION}:{ACCOUNT}:snapshot:by-hand"
    snapshots = adapters.DatabaseSnapshots(STACK, ARNS)
    taken(box, taker, target)

    assert snapshots.runs_of([snapshot_arn(target)]) == {RUN}
    assert snapshots.runs_of([by_hand, f"{by_hand}-gone"]) == set()


def test_a_manifest_is_found_by_the_name_of_the_snapshot(box: Box, taker: RdsTaker) -> None:
    box.database()
    point = taken(box, taker)
    part = point.parts[0].snapshot
    box.rds.remove_tags_from_resource(ResourceName=part, TagKeys=[naming.TAG_POINT])

    [shown] = taker.all()[RUN, ORDERS.arn].points

    assert shown == point
    assert shown.manifest != ""


def test_without_a_manifest_there_is_a_recovery_point_all_the_same(
    box: Box, taker: RdsTaker
) -> None:
    box.database()
    point = taken(box, taker)
    box.client("s3").delete_object(Bucket=BUCKET, Key=naming.manifest_key(point.id))

    [shown] = taker.all()[RUN, ORDERS.arn].points

    assert shown == replace(point, manifest="")


def test_one_that_lost_its_tags_is_found_by_name_only(
    box: Box, taker: RdsTaker, keeper: RdsKeeper
) -> None:
    box.database()
    point = taken(box, taker)
    part = point.parts[0].snapshot
    keys = [naming.TAG_STACK, naming.TAG_RUN]
    box.rds.remove_tags_from_resource(ResourceName=part, TagKeys=keys)

    assert keeper.all() == []
    [shown] = keeper.parts([part, f"{part}-gone"])
    assert (shown.id, naming.TAG_STACK in shown.tags) == (part, False)


@pytest.mark.parametrize(
    "asked_at", [None, "yesterday", "2026-11-23T02:00"], ids=["none", "nonsense", "no zone"]
)
def test_a_snapshot_of_no_known_time_is_as_old_as_its_database(asked_at: str | None) -> None:
    """So that it flatters no RPO. An answer in the shape of the API."""
    born = datetime(2025, 1, 1, tzinfo=UTC)
    tags = listed({naming.TAG_ASKED_AT: asked_at}) if asked_at else []
    found = {"Status": "creating", "TagList": tags}

    assert adapters._snapshot(found, "arn", ORDERS.arn, born).started_at == born


# ── Removing ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("target", [ORDERS, LEDGER], ids=lambda target: target.kind.value)
def test_removed_is_gone_and_asking_again_is_no_error(
    box: Box, taker: RdsTaker, keeper: RdsKeeper, target: Target
) -> None:
    box.database()
    box.cluster()
    part = taken(box, taker, target).parts[0].snapshot

    keeper.delete(part)
    keeper.delete(part)  # RDS refuses, because it is deleting

    [lingering] = keeper.parts([part])
    assert lingering.state == "deleting"
    assert taker.all() == keeper.amount_to(keeper.all()) == {}
    box.wait()
    assert (keeper.parts([part]), box.snapshots()) == ([], [])
    with pytest.raises(NotThere):
        keeper.delete(part)


def test_what_is_still_being_made_cannot_go(box: Box, taker: RdsTaker, keeper: RdsKeeper) -> None:
    box.database()
    taker.take(ORDERS, ASKED, box.now)
    box.wait(1)
    snapshots = keeper.all()

    assert keeper.forbidden(snapshots) == {snapshot_arn(): "is still being made"}
    with pytest.raises(Refused, match="InvalidDBSnapshotState"):
        keeper.delete(snapshot_arn())
    box.wait()
    assert keeper.forbidden(keeper.all()) == {}


def test_one_that_failed_can_go(box: Box, taker: RdsTaker, keeper: RdsKeeper) -> None:
    box.database()
    box.switches.fail_snapshot_of("orders")
    taken(box, taker)

    keeper.delete(snapshot_arn())
    box.wait()

    assert box.snapshots() == []


@pytest.mark.parametrize("target", [ORDERS, LEDGER], ids=lambda target: target.kind.value)
def test_sharing_is_seen(box: Box, taker: RdsTaker, keeper: RdsKeeper, target: Target) -> None:
    box.database()
    box.cluster()
    part = taken(box, taker, target).parts[0].snapshot
    before = keeper.shared_with(part)
    share(box, target, "111122223333")
    shared = keeper.shared_with(part)
    share(box, target, "all")

    assert before == ""
    assert shared == "is shared with 111122223333"
    assert keeper.shared_with(part) == "is public: every account of AWS may restore it"
    with pytest.raises(NotThere):
        keeper.shared_with(f"{part}-gone")


def share(box: Box, target: Target, account: str) -> None:
    name = name_of(target)
    if target.kind is Kind.CLUSTER:
        box.rds.modify_db_cluster_snapshot_attribute(
            DBClusterSnapshotIdentifier=name, AttributeName="restore", ValuesToAdd=[account]
        )
    else:
        box.rds.modify_db_snapshot_attribute(
            DBSnapshotIdentifier=name, AttributeName="restore", ValuesToAdd=[account]
        )
