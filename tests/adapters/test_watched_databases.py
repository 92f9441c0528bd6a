"""What RDS and Performance Insights say of a database, in the box."""

from collections.abc import Iterator
from datetime import UTC, timedelta

import pytest

from local.aws import performance_insights, rds
from local.aws.performance_insights import put, put_event, switch_on
from local.pace import INSTANT
from tests.local.service_box import ACCOUNT, REGION, TWO_O_CLOCK, ServiceBox, service_box
from watchkeeper import naming
from watchkeeper.aws.errors import NotThere, Refused
from watchkeeper.aws.watched_databases import WatchedDatabases
from watchkeeper.triage.database_model import Instance

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
ARNS = ("aws", REGION, ACCOUNT)
ORDERS = naming.database_arn(ARNS, "orders")
LEDGER = naming.cluster_arn(ARNS, "ledger")
SCAN = "SELECT * FROM baskets WHERE note LIKE ?"
LOGIN = {"MasterUsername": "harbour", "MasterUserPassword": "correct-horse-battery"}


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceBox]:
    with service_box(ServiceBox, rds, performance_insights, pace=INSTANT) as box:
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        box.client("rds").create_db_instance(
            DBInstanceIdentifier="orders",
            DBInstanceClass="db.m6g.large",
            Engine="postgres",
            AllocatedStorage=20,
            BackupRetentionPeriod=7,
            **LOGIN,
        )
        yield box


@pytest.fixture
def databases() -> WatchedDatabases:
    return WatchedDatabases()


def orders(databases: WatchedDatabases) -> Instance:
    [one] = databases.instances(ORDERS)
    return one


def test_an_instance_is_described(box: ServiceBox, databases: WatchedDatabases) -> None:
    one = orders(databases)
    assert (one.arn, one.name, one.engine) == (ORDERS, "orders", "postgres")
    assert (one.instance_class, one.replicas, one.has_insights) == ("db.m6g.large", (), False)
    switch_on(box, "orders")
    assert orders(databases).has_insights


def test_replicas_of_this_region_are_named(box: ServiceBox, databases: WatchedDatabases) -> None:
    box.client("rds").create_db_instance_read_replica(
        DBInstanceIdentifier="orders-2", SourceDBInstanceIdentifier="orders"
    )
    assert orders(databases).replicas == ("orders-2",)


def test_of_a_cluster_the_writer_comes_first(box: ServiceBox, databases: WatchedDatabases) -> None:
    aws = box.client("rds")
    aws.create_db_cluster(DBClusterIdentifier="ledger", Engine="aurora-postgresql", **LOGIN)
    for name in ("ledger-b", "ledger-a"):
        aws.create_db_instance(
            DBInstanceIdentifier=name,
            DBInstanceClass="db.r6g.large",
            Engine="aurora-postgresql",
            DBClusterIdentifier="ledger",
        )
    writer, reader = databases.instances(LEDGER)
    assert (writer.is_writer, reader.is_writer) == (True, False)
    assert (writer.replicas, reader.replicas) == ((reader.name,), ())
    assert {writer.cluster, reader.cluster} == {"ledger"}
    [again] = databases.instances(writer.arn)
    assert again == writer


def test_what_is_gone_is_not_there(box: ServiceBox, databases: WatchedDatabases) -> None:
    for arn in (naming.database_arn(ARNS, "gone"), naming.cluster_arn(ARNS, "gone")):
        with pytest.raises(NotThere):
            databases.instances(arn)


def test_events_are_of_the_span_and_of_the_database(
    box: ServiceBox, databases: WatchedDatabases
) -> None:
    box.client("rds").create_db_instance_read_replica(
        DBInstanceIdentifier="orders-2", SourceDBInstanceIdentifier="orders"
    )
    put_event(box, "orders", "DB instance restarted", TWO_O_CLOCK - 4 * HOUR)
    put_event(box, "orders", "Failover completed", TWO_O_CLOCK - 5 * MINUTE)
    put_event(box, "orders", "Failover started", TWO_O_CLOCK - 6 * MINUTE)
    put_event(box, "orders-2", "Replication has stopped", TWO_O_CLOCK - MINUTE)
    put_event(box, "orders", "Later", TWO_O_CLOCK + HOUR)
    one = orders(databases)
    told = databases.events(one, TWO_O_CLOCK - 3 * HOUR, TWO_O_CLOCK)
    told = [each for each in told if "DB instance created" not in each.text]
    assert [(each.resource, each.text) for each in told if each.at < TWO_O_CLOCK] == [
        ("orders", "Failover started"),
        ("orders", "Failover completed"),
        ("orders-2", "Replication has stopped"),
    ]
    assert all(each.at.tzinfo is UTC for each in told)


def test_many_events_come_in_pages(box: ServiceBox, databases: WatchedDatabases) -> None:
    for number in range(101):
        put_event(box, "orders", f"event {number}", TWO_O_CLOCK - (200 - number) * MINUTE)
    told = databases.events(orders(databases), TWO_O_CLOCK - 4 * HOUR, TWO_O_CLOCK - 10 * MINUTE)
    assert len(told) == 101


@pytest.mark.parametrize(
    ("value", "limit"),
    [("450", 450), ("LEAST({DBInstanceClassMemory/9531392},5000)", None), (None, None)],
)
def test_the_limit_of_connections_is_what_the_operator_has_set(
    box: ServiceBox, databases: WatchedDatabases, value: str | None, limit: int | None
) -> None:
    aws = box.client("rds")
    aws.create_db_parameter_group(
        DBParameterGroupName="tuned", DBParameterGroupFamily="postgres16", Description="ours"
    )
    if value:
        aws.modify_db_parameter_group(
            DBParameterGroupName="tuned",
            Parameters=[
                {
                    "ParameterName": "max_connections",
                    "ParameterValue": value,
                    "ApplyMethod": "pending-reboot",
                }
            ],
        )
    aws.modify_db_instance(DBInstanceIdentifier="orders", DBParameterGroupName="tuned")
    assert orders(databases).parameter_group == "tuned"
    assert databases.connection_limit("tuned") == limit


def trouble(box: ServiceBox) -> None:
    """Ten quiet minutes, then ten of a scan."""
    for minute in range(20):
        at = TWO_O_CLOCK - (20 - minute) * MINUTE
        put(box, "orders", at, 0.5, statement="SELECT ?", user="shop", host="10.0.0.1", calls=80.0)
        if minute >= 10:
            common = {"statement": SCAN, "user": "reports", "host": "10.0.0.2"}
            put(box, "orders", at, 6.0, calls=2.0, **common)  # type: ignore[arg-type]
            put(
                box, "orders", at, 1.5, wait=("IO", "DataFileRead"), calls=0.0,
                statement=SCAN, user="reports", host="10.0.0.2",
            )  # fmt: skip


@pytest.mark.parametrize("most", [25, 2])
def test_load_is_by_the_minute_and_what_it_is_made_of_is_of_the_trouble(
    box: ServiceBox, databases: WatchedDatabases, most: int
) -> None:
    trouble(box)
    performance_insights.installed_in(box).most_results = most
    began = TWO_O_CLOCK - 10 * MINUTE
    load = databases.load(orders(databases), TWO_O_CLOCK - 20 * MINUTE, began, TWO_O_CLOCK)
    assert [value for _, value in load.total] == [0.5] * 10 + [8.0] * 10
    assert load.waits == {"CPU": 6.5, "IO:DataFileRead": 1.5}
    assert load.users == {"reports": 7.5, "shop": 0.5}
    assert load.hosts == {"10.0.0.2": 7.5, "10.0.0.1": 0.5}


@pytest.mark.parametrize("most", [25, 1])
def test_statements_have_their_waits_and_calls(
    box: ServiceBox, databases: WatchedDatabases, most: int
) -> None:
    trouble(box)
    performance_insights.installed_in(box).most_results = most
    began = TWO_O_CLOCK - 10 * MINUTE
    scan, other = databases.statements(orders(databases), began, TWO_O_CLOCK)
    assert (scan.text, scan.load, scan.calls) == (SCAN, 7.5, 2.0)
    assert scan.waits == {"CPU": 6.0, "IO:DataFileRead": 1.5}
    assert (other.text, other.load, other.calls, other.waits) == (
        "SELECT ?",
        0.5,
        80.0,
        {"CPU": 0.5},
    )


def test_without_data_there_is_no_load(box: ServiceBox, databases: WatchedDatabases) -> None:
    switch_on(box, "orders")
    one = orders(databases)
    load = databases.load(one, TWO_O_CLOCK - HOUR, TWO_O_CLOCK - HOUR, TWO_O_CLOCK)
    assert not any((load.total, load.waits, load.users, load.hosts))
    assert databases.statements(one, TWO_O_CLOCK - HOUR, TWO_O_CLOCK) == []


def test_another_accounts_database_is_refused(box: ServiceBox, databases: WatchedDatabases) -> None:
    stranger = Instance(ORDERS, "orders", "db-STRANGER")
    with pytest.raises(Refused, match="pi:GetResourceMetrics answered NotAuthorizedException"):
        databases.load(stranger, TWO_O_CLOCK - HOUR, TWO_O_CLOCK - HOUR, TWO_O_CLOCK)
