"""Databases and clusters as a kind of restore, in the box: asserted on what is there."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast

import pytest

from local.aws import answers_of_databases, ec2, kms, rds, rds_restores
from local.pace import INSTANT
from tests.local.service_box import ACCOUNT, REGION, TWO_O_CLOCK, ServiceBox, service_box
from watchkeeper import naming
from watchkeeper.aws.drill_secrets import DrillSecrets
from watchkeeper.aws.errors import NotThere, OverQuota, Refused
from watchkeeper.aws.rds import Databases as Sources
from watchkeeper.aws.restores_rds import (
    DatabaseDismantler,
    DatabaseRestorer,
    Isolation,
    RestoredDatabases,
)
from watchkeeper.backups.manifest import Manifest
from watchkeeper.backups.model import Kind, Part, Place, RecoveryPoint, State
from watchkeeper.drills import restoring
from watchkeeper.drills.databases import Databases
from watchkeeper.drills.model import Check, Level, Questioned
from watchkeeper.drills.restoring import Answers, Facts, Pending, Restoring
from watchkeeper.drills.verifier import Told, Verifier

MINUTE = timedelta(minutes=1)
RUN = "drill#orders#2026-11-23T02:00Z"
NAME = naming.drill_name("watchkeeper", RUN)
TAGS = naming.drill_tags("watchkeeper", RUN, TWO_O_CLOCK + timedelta(days=3))
PASSWORD = "correct-horse-battery"
PLACE = ("aws", REGION, ACCOUNT)
ORDERS, LEDGER = naming.database_arn(PLACE, "orders"), naming.cluster_arn(PLACE, "ledger")
QUESTIONS = (
    Questioned("shop", "orders", "select count(*) from orders", at_least=1000),
    Questioned("shop", "order", "select max(created_at) from orders", newest=True),
    Questioned("shop", "schema", "select max(version) from migrations", equal=11),
)


class Box(ServiceBox):
    def wait(self, minutes: float) -> None:
        self.clock.run_for(minutes * MINUTE)

    @property
    def switches(self) -> rds_restores.RdsRestores:
        return rds_restores.installed_in(self)


@dataclass(frozen=True)
class Asking:
    """A verifier that is there at once, and runs nothing: the box answers for the script."""

    box: Box

    def answer(
        self, one: Restoring, script: str, request: Mapping[str, object], facts: Facts, now: object
    ) -> Pending | Told:
        assert script == "ask_database"
        if "verifier.asked" not in facts:
            return Pending("a verifier", {"verifier.asked": "yes"})
        code, printed = answers_of_databases.answer(self.box, request, "i-1")
        assert code == 0
        return Told(json.loads(printed))


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    """With a database and a cluster, and a snapshot of each named as its source."""
    with service_box(Box, ec2, kms, rds, rds_restores, pace=INSTANT) as box:
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        aws = box.client("rds")
        aws.create_db_parameter_group(
            DBParameterGroupName="tuned", DBParameterGroupFamily="postgres16", Description="d"
        )
        key = box.client("kms").create_key()["KeyMetadata"]["Arn"]
        owner = {"MasterUsername": "admin1", "MasterUserPassword": PASSWORD}
        aws.create_db_instance(
            DBInstanceIdentifier="orders", DBInstanceClass="db.t4g.medium", Engine="postgres",
            EngineVersion="16.3", AllocatedStorage=20, DBParameterGroupName="tuned", MultiAZ=True,
            DeletionProtection=True, EnableIAMDatabaseAuthentication=True, StorageEncrypted=True,
            KmsKeyId=key, CopyTagsToSnapshot=True, **owner,
        )  # fmt: skip
        aws.create_db_cluster(
            DBClusterIdentifier="ledger", DeletionProtection=True, Engine="aurora-postgresql",
            **owner,
        )  # fmt: skip
        aws.create_db_instance(
            DBInstanceIdentifier="ledger-a", DBClusterIdentifier="ledger",
            Engine="aurora-postgresql", DBInstanceClass="db.r7g.large",
        )  # fmt: skip
        aws.create_db_snapshot(DBInstanceIdentifier="orders", DBSnapshotIdentifier="orders")
        aws.create_db_cluster_snapshot(
            DBClusterIdentifier="ledger", DBClusterSnapshotIdentifier="ledger"
        )
        yield box


@pytest.fixture
def databases(box: Box) -> Databases:
    aws = box.client("ec2")
    vpc = aws.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = aws.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24")["Subnet"]["SubnetId"]
    group = aws.create_security_group(GroupName="drills", Description="d", VpcId=vpc)["GroupId"]
    box.client("rds").create_db_subnet_group(
        DBSubnetGroupName="drills", DBSubnetGroupDescription="d", SubnetIds=[subnet]
    )
    return Databases(
        restorer=DatabaseRestorer(Isolation("drills", group)),
        shown=RestoredDatabases(),
        dismantler=DatabaseDismantler(),
        secrets=DrillSecrets("/watchkeeper/drills"),
        verifier=cast("Verifier", Asking(box)),
    )


def restoring_of(arn: str, **changes: Any) -> Restoring:
    """Of a snapshot that is called like its source, with the manifest of its source."""
    source, name = Sources(PLACE).one(arn), naming.rds_name(arn)
    kind = "cluster-snapshot" if source.kind is Kind.CLUSTER else "snapshot"
    snapshot = f"arn:aws:rds:{REGION}:{ACCOUNT}:{kind}:{name}"
    assert source.kind is not None
    point = RecoveryPoint(
        resource=arn, id="0" * 16, kind=source.kind, created_at=TWO_O_CLOCK, run="backup#1",
        plan="gold", place=Place(ACCOUNT, REGION), state=State.COMPLETED,
        parts=(Part(snapshot, arn, 20 if source.kind is Kind.DATABASE else 0),),
    )  # fmt: skip
    manifest = Manifest(
        point.id, arn, source.kind, "backup#1", "gold", TWO_O_CLOCK,
        key=source.key, settings=source.settings,
    )  # fmt: skip
    one = Restoring(
        name=NAME, point=point, manifest=Manifest.of(manifest.to_json()), level=Level.CHECK,
        tags=TAGS, objective=timedelta(hours=24), questions=QUESTIONS,
    )  # fmt: skip
    return replace(one, **changes)


def restored(box: Box, databases: Databases, one: Restoring) -> None:
    while databases.ask(one):
        box.wait(1)
    while databases.stands(one).state is restoring.State.COMING:
        box.wait(1)
    assert databases.stands(one).state is restoring.State.AVAILABLE


def looked(box: Box, look: Callable[[Facts], Pending | Any]) -> Any:
    """What comes of looking again and again, every minute, for an hour."""
    facts: dict[str, str] = {}
    for _ in range(60):
        found = look(facts)
        if not isinstance(found, Pending):
            return found
        facts |= found.facts
        box.wait(1)
    pytest.fail(f"it still waits, and knows {facts}")


def secured(box: Box, databases: Databases, one: Restoring) -> None:
    looked(box, lambda facts: databases.secure(one, facts, box.clock.now()))


def examined(box: Box, databases: Databases, one: Restoring) -> Answers:
    secured(box, databases, one)
    found = looked(box, lambda facts: databases.examine(one, facts, box.clock.now()))
    assert isinstance(found, Answers)
    return found


def failed(checks: Any) -> list[str]:
    found: list[Check] = list(checks)
    assert found
    return [check.name for check in found if not check.passed]


BOTH = pytest.mark.parametrize("arn", [ORDERS, LEDGER], ids=["database", "cluster"])


# --- a good restore ---------------------------------------------------------------------------


@BOTH
def test_a_good_restore_passes_and_leaves_nothing(box: Box, databases: Databases, arn: str) -> None:
    one = restoring_of(arn)
    restored(box, databases, one)
    for _ in range(2):
        assert databases.ask(one) == ""
    found = examined(box, databases, one)
    assert failed(databases.checks(one)) == []
    assert failed(found.checks) == []
    assert found.newest_data == TWO_O_CLOCK
    assert found.remember["decline of orders in shop"] == "469560"
    left = databases.left()
    assert {(each.drill, each.stack) for each in left} == {(NAME, "watchkeeper")}
    assert {each.expires_at for each in left} == {TWO_O_CLOCK + timedelta(days=3)}
    for _ in range(20):
        for each in databases.left():
            databases.remove(each, box.clock.now())
        box.wait(1)
    assert databases.left() == []
    with pytest.raises(NotThere):
        databases.stands(one)
    names = {
        each["DBInstanceIdentifier"]
        for each in box.client("rds").describe_db_instances()["DBInstances"]
    }
    assert names == {"orders", "ledger-a"}
    assert box.client("ssm").describe_parameters()["Parameters"] == []


@BOTH
def test_production_s_password_opens_nothing(box: Box, databases: Databases, arn: str) -> None:
    one = restoring_of(arn)
    restored(box, databases, one)
    assert box.switches.opens(NAME, PASSWORD)
    secured(box, databases, one)
    kept = databases.secrets.keep(NAME, "another", TAGS)
    assert box.switches.opens(NAME, kept)
    assert not box.switches.opens(NAME, PASSWORD)
    assert len(kept) == 30


def test_a_killed_attempt_goes_on_with_the_same_password(box: Box, databases: Databases) -> None:
    one = restoring_of(ORDERS)
    restored(box, databases, one)
    for _ in range(3):  # and nobody heard of what came of it
        assert isinstance(databases.secure(one, {}, box.clock.now()), Pending)
        box.wait(1)
    secured(box, databases, one)
    assert box.switches.opens(NAME, databases.secrets.keep(NAME, "another", TAGS))


def test_a_password_is_not_taken_for_renewed_before_that_was_seen(
    box: Box, databases: Databases
) -> None:
    one = restoring_of(ORDERS)
    restored(box, databases, one)
    facts = {"database.renewed": naming.instant(box.clock.now())}
    assert isinstance(databases.secure(one, facts, box.clock.now()), Pending)
    assert databases.secure(one, facts, box.clock.now() + 5 * MINUTE) == {}


def test_without_a_manifest_defaults_do(box: Box, databases: Databases) -> None:
    for arn, classed in ((ORDERS, "db.t4g.medium"), (LEDGER, "db.t4g.medium")):
        run = f"{RUN}#{arn}"
        name = naming.drill_name("watchkeeper", run)
        tags = naming.drill_tags("watchkeeper", run, TWO_O_CLOCK)
        one = restoring_of(arn, manifest=None, name=name, tags=tags)
        restored(box, databases, one)
        assert failed(databases.checks(one)) == []
        member = name if arn == ORDERS else f"{name}-1"
        assert databases.shown.one(member, Kind.DATABASE).settings["DBInstanceClass"] == classed


# --- bad ones ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "check"),
    [
        ("enable_iam_database_authentication", "setting of IAMDatabaseAuthenticationEnabled"),
        ("copy_tags_to_snapshot", "setting of CopyTagsToSnapshot"),
        ("auto_minor_version_upgrade", "setting of AutoMinorVersionUpgrade"),
        ("tags", "tags"),
    ],
)
def test_a_lost_setting_is_seen(box: Box, databases: Databases, setting: str, check: str) -> None:
    one = restoring_of(ORDERS)
    box.switches.lose_setting("orders", setting)
    restored(box, databases, one)
    assert failed(databases.checks(one)) == [f"database {check}"]


def test_a_member_that_is_public_is_seen(box: Box, databases: Databases) -> None:
    one = restoring_of(LEDGER)
    restored(box, databases, one)
    box.switches.rds._database(f"{NAME}-1").publicly_accessible = True
    assert failed(databases.checks(one)) == ["database isolation of PubliclyAccessible"]


def test_another_key_or_version_than_written_down_is_seen(box: Box, databases: Databases) -> None:
    one = restoring_of(ORDERS)
    restored(box, databases, one)
    assert one.manifest
    other = replace(one, manifest=replace(one.manifest, key="arn:aws:kms:other"))
    assert failed(databases.checks(other)) == ["database setting of KmsKeyId"]
    settings = {**one.manifest.settings, "EngineVersion": "15.1", "DBParameterGroups": ["other"]}
    other = replace(one, manifest=replace(one.manifest, settings=settings))
    assert failed(databases.checks(other)) == [
        "database setting of DBParameterGroups",
        "database setting of EngineVersion",
    ]


CONTENTS: Mapping[str, tuple[Callable[[Box], None], list[str]]] = {
    "empty": (
        lambda box: box.switches.empty("orders"),
        [
            "database contents",
            "answer of orders in shop",
            "exact answer of schema in shop",
            "newest row of order in shop",
        ],
    ),
    "older than claimed": (
        lambda box: box.switches.age("orders", timedelta(days=2)),
        ["newest row of order in shop"],
    ),
    "without its newest rows": (
        lambda box: box.switches.lose_newest("orders", "orders", timedelta(hours=25)),
        ["newest row of order in shop"],
    ),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_a_bad_content_is_seen(box: Box, databases: Databases, name: str) -> None:
    spoil, expected = CONTENTS[name]
    one = restoring_of(ORDERS)
    spoil(box)
    restored(box, databases, one)
    assert failed(examined(box, databases, one).checks) == expected


@pytest.mark.parametrize("spoil", ["empty", "truncate"])
def test_without_a_policy_half_a_restore_is_seen_by_what_was_found_before(
    box: Box, databases: Databases, spoil: str
) -> None:
    one = restoring_of(ORDERS, questions=())
    restored(box, databases, one)
    good = examined(box, databases, one)
    assert failed(good.checks) == []
    getattr(box.switches, spoil)("orders")
    run = f"{RUN}#2"
    tags = naming.drill_tags("watchkeeper", run, TWO_O_CLOCK)
    again = replace(
        one, name=naming.drill_name("watchkeeper", run), tags=tags, before=good.remember
    )
    restored(box, databases, again)
    assert "database bytes of shop" in failed(examined(box, databases, again).checks)


def test_an_engine_that_nobody_can_ask_is_no_pass(box: Box, databases: Databases) -> None:
    box.client("rds").create_db_instance(
        DBInstanceIdentifier="books", DBInstanceClass="db.t3.medium", Engine="oracle-ee",
        AllocatedStorage=20, MasterUsername="admin1", MasterUserPassword=PASSWORD,
    )  # fmt: skip
    box.client("rds").create_db_snapshot(DBInstanceIdentifier="books", DBSnapshotIdentifier="books")
    one = restoring_of(naming.database_arn(PLACE, "books"))
    restored(box, databases, one)
    found = databases.examine(one, {}, box.clock.now())
    assert isinstance(found, Answers)
    [check] = found.checks
    assert (check.name, check.passed) == ("database answers", False)
    assert '"check": "never"' in check.why


def test_a_wrong_password_is_no_pass(box: Box, databases: Databases) -> None:
    one = restoring_of(ORDERS)
    restored(box, databases, one)
    databases.secrets.keep(NAME, "never asked for", TAGS)
    found = looked(box, lambda facts: databases.examine(one, facts, box.clock.now()))
    assert failed(found.checks) == ["database answers"]
    assert "password authentication failed" in found.checks[0].why


@BOTH
def test_a_restore_that_fails_is_broken(box: Box, databases: Databases, arn: str) -> None:
    one = restoring_of(arn)
    box.switches.fail_restores_of(naming.rds_name(arn), "incompatible-restore")
    while databases.ask(one):
        box.wait(1)
    while (stands := databases.stands(one)).state is restoring.State.COMING:
        box.wait(1)
    assert stands.state is restoring.State.BROKEN
    assert '"incompatible-restore"' in stands.why


@BOTH
def test_at_its_limit_an_account_has_one_restore_and_no_second(
    box: Box, databases: Databases, arn: str
) -> None:
    one = restoring_of(arn)
    box.switches.quota = 1
    with pytest.raises(OverQuota):
        databases.ask(one)
    box.switches.quota = 3
    databases.ask(one)
    box.switches.quota = 2
    restored(box, databases, one)


def test_a_snapshot_that_is_gone_is_never_restored(box: Box, databases: Databases) -> None:
    for arn in (ORDERS, LEDGER):
        one = restoring_of(arn)
        part = replace(one.point.parts[0], snapshot=f"{one.point.parts[0].snapshot}-gone")
        with pytest.raises(NotThere):
            databases.ask(replace(one, point=replace(one.point, parts=(part,))))
    assert databases.left() == []


# --- taking down ------------------------------------------------------------------------------


def test_protected_and_stopped_ones_are_removed_all_the_same(
    box: Box, databases: Databases
) -> None:
    one = restoring_of(LEDGER)
    restored(box, databases, one)
    aws = box.client("rds")
    aws.modify_db_cluster(DBClusterIdentifier=NAME, DeletionProtection=True, ApplyImmediately=True)
    aws.stop_db_cluster(DBClusterIdentifier=NAME)
    for _ in range(30):
        for each in databases.left():
            databases.remove(each, box.clock.now())
        box.wait(1)
    assert databases.left() == []


def test_what_no_drill_made_is_never_removed(box: Box, databases: Databases) -> None:
    one = restoring_of(ORDERS)
    restored(box, databases, one)
    [left] = databases.left()
    with pytest.raises(Refused, match="NotOurs"):
        databases.remove(
            replace(left, thing=databases.shown.one("orders", Kind.DATABASE)), TWO_O_CLOCK
        )
    assert databases.shown.one("orders", Kind.DATABASE).state == "available"
