"""What RDS and Performance Insights say of a database that is in trouble. All times are UTC."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from watchkeeper import naming
from watchkeeper.aws.client import client
from watchkeeper.aws.errors import translated
from watchkeeper.aws.iam import needs
from watchkeeper.aws.paging import paged
from watchkeeper.aws.rds import PAGE
from watchkeeper.backups.model import Kind
from watchkeeper.triage.database_model import Instance, Load
from watchkeeper.triage.evidence import Event, Query

PERIOD = 60
"""Seconds: of the periods of Performance Insights the one that metrics of RDS have, too."""
TOP = 10
"""Of each dimension: a person reads no more of them."""
MOST_RESULTS = 25
"""Of a page: https://docs.aws.amazon.com/performance-insights/latest/APIReference/API_GetResourceMetrics.html"""
LOAD = "db.load.avg"
GROUPS = {"db.wait_event": "waits", "db.user": "users", "db.host": "hosts"}
CALLS = {
    "postgres": "db.sql_tokenized.stats.calls_per_sec.avg",
    "aurora-postgresql": "db.sql_tokenized.stats.calls_per_sec.avg",
    "mysql": "db.sql_tokenized.stats.count_star_per_sec.avg",
    "mariadb": "db.sql_tokenized.stats.count_star_per_sec.avg",
    "aurora-mysql": "db.sql_tokenized.stats.count_star_per_sec.avg",
}
"""How often a statement is called:
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_PerfInsights.UsingDashboard.AnalyzeDBLoad.AdditionalMetrics.html
"""


class WatchedDatabases:
    """DB instances of this account and Region."""

    @cached_property
    def rds(self) -> Any:
        return client("rds")

    @cached_property
    def insights(self) -> Any:
        return client("pi")

    @needs("rds:DescribeDBInstances", "rds:DescribeDBClusters")
    def instances(self, arn: str) -> list[Instance]:
        """A DB instance, or the members of a cluster with the writer first. Raises NotThere."""
        name = naming.rds_name(arn)
        if Kind.of(arn) is Kind.CLUSTER:
            return self._members(name)
        with translated("rds:DescribeDBInstances"):
            found = self.rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
        if cluster := found.get("DBClusterIdentifier", ""):
            return [one for one in self._members(cluster) if one.name == name]
        return [_instance(found)]

    @needs("rds:DescribeEvents")
    def events(self, instance: Instance, since: datetime, until: datetime) -> list[Event]:
        """Of the instance, its replicas and its cluster, oldest first. RDS keeps them for 14 days:
        https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_ListEvents.html
        """
        sources = [("db-instance", name) for name in (instance.name, *instance.replicas)]
        if instance.cluster:
            sources.append(("db-cluster", instance.cluster))
        found = [
            Event(one["Date"].astimezone(UTC), one["SourceIdentifier"], one["Message"])
            for kind, name in sources
            for one in paged(
                self.rds,
                "describe_events",
                "Events",
                PAGE,
                SourceType=kind,
                SourceIdentifier=name,
                StartTime=since,
                EndTime=until,
            )
        ]
        return sorted(found, key=lambda one: (one.at, one.resource, one.text))

    @needs("rds:DescribeDBParameters")
    def connection_limit(self, parameter_group: str) -> int | None:
        """What the operator has set max_connections to; None if they have not, or to a formula."""
        changed = paged(
            self.rds,
            "describe_db_parameters",
            "Parameters",
            PAGE,
            DBParameterGroupName=parameter_group,
            Source="user",
        )
        for one in changed:
            if one["ParameterName"] == "max_connections":
                value = one.get("ParameterValue", "")
                return int(value) if value.isdecimal() else None
        return None

    @needs("pi:GetResourceMetrics")
    def load(self, instance: Instance, since: datetime, trouble: datetime, until: datetime) -> Load:
        """By the minute; and from `trouble` on, what it waits for, who and where from, on average.

        It is empty where Performance Insights is off. Of a database whose key this role may not
        use, Denied is raised.
        """
        queries: list[dict[str, Any]] = [{"Metric": LOAD}]
        queries += [{"Metric": LOAD, "GroupBy": {"Group": group, "Limit": TOP}} for group in GROUPS]
        total: dict[datetime, float] = {}
        parts: dict[str, dict[str, float]] = {kind: {} for kind in GROUPS.values()}
        for page in self._pages(
            "get_resource_metrics", **_of(instance, since, until), MetricQueries=queries
        ):
            for series in page.get("MetricList", ()):
                points = _points(series)
                dimensions = series["Key"].get("Dimensions")
                if not dimensions:  # every query brings it
                    total |= points
                    continue
                found = parts[GROUPS[_group(dimensions)]]
                name = _label(dimensions)
                load = sum(value for at, value in points.items() if at >= trouble)
                found[name] = found.get(name, 0.0) + load
        minutes = max(1, sum(at >= trouble for at in total))
        averages = {
            kind: {name: load / minutes for name, load in found.items() if load}
            for kind, found in parts.items()
        }
        return Load(sorted(total.items()), **averages)

    @needs("pi:DescribeDimensionKeys")
    def statements(self, instance: Instance, since: datetime, until: datetime) -> list[Query]:
        """Those with the most load, most first, without their parameters (digests), and what each
        waited for. Texts are the first 500 bytes:
        https://docs.aws.amazon.com/performance-insights/latest/APIReference/API_DescribeDimensionKeys.html
        """
        calls = CALLS.get(instance.engine)
        more = {"AdditionalMetrics": [calls]} if calls else {}
        queries = []
        partitions: list[str] = []
        for page in self._pages(
            "describe_dimension_keys",
            **_of(instance, since, until),
            Metric=LOAD,
            GroupBy={
                "Group": "db.sql_tokenized",
                "Dimensions": ["db.sql_tokenized.statement"],
                "Limit": TOP,
            },
            PartitionBy={"Group": "db.wait_event", "Limit": TOP},
            **more,
        ):
            partitions = [_label(one["Dimensions"]) for one in page.get("PartitionKeys", ())]
            queries += [_query(one, partitions, calls) for one in page.get("Keys", ())]
        return sorted(queries, key=lambda one: (-one.load, one.text))

    def _members(self, cluster: str) -> list[Instance]:
        with translated("rds:DescribeDBClusters"):
            found = self.rds.describe_db_clusters(DBClusterIdentifier=cluster)["DBClusters"][0]
        writers = {
            one["DBInstanceIdentifier"]
            for one in found.get("DBClusterMembers", ())
            if one.get("IsClusterWriter")
        }
        of_cluster = [{"Name": "db-cluster-id", "Values": [cluster]}]
        members = list(
            paged(self.rds, "describe_db_instances", "DBInstances", PAGE, Filters=of_cluster)
        )
        names = sorted(one["DBInstanceIdentifier"] for one in members)
        made = [
            _instance(
                one,
                is_writer=one["DBInstanceIdentifier"] in writers,
                replicas=[name for name in names if name not in writers],
            )
            for one in members
        ]
        return sorted(made, key=lambda one: (not one.is_writer, one.name))

    def _pages(self, operation: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        """Page after page: botocore has no paginators for these."""
        call = self.insights.meta.method_to_api_mapping[operation]
        token: dict[str, str] = {}
        while True:
            with translated(f"pi:{call}"):
                page = getattr(self.insights, operation)(
                    **arguments, MaxResults=MOST_RESULTS, **token
                )
            yield page
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}


def _of(instance: Instance, since: datetime, until: datetime) -> dict[str, Any]:
    return {
        "ServiceType": "RDS",
        "Identifier": instance.resource_id,
        "StartTime": since,
        "EndTime": until,
        "PeriodInSeconds": PERIOD,
    }


def _instance(
    found: Mapping[str, Any], *, is_writer: bool = True, replicas: Sequence[str] | None = None
) -> Instance:
    name = found["DBInstanceIdentifier"]
    # Replicas in another Region are named by their ARNs: their metrics are there.
    own = [one for one in found.get("ReadReplicaDBInstanceIdentifiers", ()) if ":" not in one]
    members = [one for one in replicas or () if one != name] if is_writer else []
    groups = [one["DBParameterGroupName"] for one in found.get("DBParameterGroups", ())]
    return Instance(
        arn=found["DBInstanceArn"],
        name=name,
        resource_id=found["DbiResourceId"],
        engine=found["Engine"],
        instance_class=found.get("DBInstanceClass", ""),
        cluster=found.get("DBClusterIdentifier", ""),
        is_writer=is_writer,
        replicas=tuple(sorted({*own, *members})),
        has_insights=bool(found.get("PerformanceInsightsEnabled")),
        parameter_group=next((one for one in groups if not one.startswith("default.")), ""),
    )


def _points(series: Mapping[str, Any]) -> dict[datetime, float]:
    return {
        one["Timestamp"].astimezone(UTC): float(one["Value"])
        for one in series.get("DataPoints", ())
    }


def _group(dimensions: Mapping[str, str]) -> str:
    """`db.wait_event` of `db.wait_event.name`."""
    return next(iter(dimensions)).rsplit(".", 1)[0]


def _label(dimensions: Mapping[str, str]) -> str:
    """A name; of a wait event, its type before it, as in PostgreSQL's `IO:DataFileRead`, unless the
    name says it, as in MySQL's `wait/io/table/sql/handler`.
    """
    named = {key.rsplit(".", 1)[1]: value for key, value in dimensions.items()}
    name = named.get("name") or named.get("id") or ""
    kind = named.get("type", "")
    plain = not kind or name.startswith((kind, "wait/")) or ":" in name
    return name if plain else f"{kind}:{name}"


def _query(found: Mapping[str, Any], partitions: Sequence[str], calls: str | None) -> Query:
    loads = zip(partitions, found.get("Partitions", ()), strict=False)
    waits = {name: float(load) for name, load in loads if load}
    told = found.get("AdditionalMetrics", {})
    return Query(
        text=found["Dimensions"].get("db.sql_tokenized.statement", ""),
        load=float(found.get("Total", 0.0)),
        calls=float(told[calls]) if calls and calls in told else None,
        waits=waits,
    )
