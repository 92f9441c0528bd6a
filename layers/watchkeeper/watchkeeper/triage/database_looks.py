"""Looks at what only a database service says of itself: events, who and what has the load.

Its metrics are asked for by the minute, too: a fault that is five minutes old is one coarse point.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from watchkeeper.aws.errors import AwsError, NotThere
from watchkeeper.triage.database_model import LEAD, DatabaseSource, Instance, Load
from watchkeeper.triage.evidence import Event, Query
from watchkeeper.triage.gathered import Database, Found, Measured, Span, Unchecked
from watchkeeper.triage.looking import Asked
from watchkeeper.triage.metric_model import MetricName, MetricSource, Wanted
from watchkeeper.triage.redaction import redacted

MOST = 4
"""Databases of a look: a person reads no more, and each is some six calls."""
MOST_REPLICAS = 5
"""That are looked at beside it: what RDS allows of most engines at one level is 15."""
EVENTS_BEFORE = timedelta(hours=3)
"""A failover or a change of parameters tells of itself hours before its effect is complete."""
MINUTE = 60
METRICS: Mapping[str, str] = {
    "CPUUtilization": "Average", "DatabaseConnections": "Average", "FreeStorageSpace": "Minimum",
    "FreeableMemory": "Minimum", "SwapUsage": "Maximum", "DiskQueueDepth": "Average",
    "ReadLatency": "Average", "WriteLatency": "Average", "CommitLatency": "Average",
    "ReadIOPS": "Average", "WriteIOPS": "Average", "ReadThroughput": "Average",
    "WriteThroughput": "Average", "TransactionLogsGeneration": "Average",
    "BurstBalance": "Minimum", "EBSIOBalance%": "Minimum", "EBSByteBalance%": "Minimum",
    "CPUCreditBalance": "Minimum", "ReplicaLag": "Maximum", "AuroraReplicaLag": "Maximum",
}  # fmt: skip
"""What the diagnosis knows, with the statistic that tells it soonest."""
OF_REPLICAS = ("CPUUtilization", "ReplicaLag", "AuroraReplicaLag")

Told = TypeVar("Told")


class DatabaseLook:
    """See `looking.Look`."""

    def __init__(self, databases: DatabaseSource, metrics: MetricSource) -> None:
        self.databases = databases
        self.metrics = metrics

    def __call__(self, asked: Asked, now: datetime) -> Found:
        unchecked: list[Unchecked] = []
        found: dict[str, Instance] = {}
        for arn in _of_databases(asked):
            told = _try(unchecked, f"the database {arn}", self._instance, arn)
            if told:
                found.setdefault(told.arn, told)
        unchecked += [
            Unchecked(f"the database {arn}", f"at most {MOST} of them are looked at")
            for arn in list(found)[MOST:]
        ]
        looks = [
            _Looked(self, instance, asked.span, now) for instance in list(found.values())[:MOST]
        ]
        databases = [one.database() for one in looks]
        return Found(
            databases=tuple(databases),
            unchecked=(*unchecked, *(each for one in looks for each in one.unchecked)),
            used={
                "metrics_requested": float(sum(one.metrics_requested for one in looks)),
                "pi_requests": float(sum(one.insights_asked for one in looks)),
            },
        )

    def _instance(self, arn: str) -> Instance:
        """Of a cluster its writer. Raises NotThere."""
        found = self.databases.instances(arn)
        if not found:
            raise NotThere("rds:DescribeDBInstances", "NotFound", f"{arn} has no instance")
        return found[0]


class _Looked:
    """One database at one look, with what could not be looked at."""

    def __init__(self, look: DatabaseLook, instance: Instance, span: Span, now: datetime) -> None:
        self.look = look
        self.instance = instance
        self.span = span
        self.now = now
        self.unchecked: list[Unchecked] = []
        self.metrics_requested = 0
        self.insights_asked = 0

    @property
    def since(self) -> datetime:
        return self.span.since - LEAD

    def database(self) -> Database:
        one = self.instance
        load, statements = self._load()
        return Database(
            arn=one.arn,
            instance=one.name,
            engine=one.engine,
            instance_class=one.instance_class,
            max_connections=self._limit(),
            replicas=tuple(one.replicas),
            events=tuple(self._events()),
            queries=tuple(statements),
            waits=dict(load.waits),
            users=dict(load.users),
            hosts=dict(load.hosts),
            load=tuple(load.total),
            metrics=tuple(self._measured()),
        )

    def _limit(self) -> int | None:
        group = self.instance.parameter_group
        if not group:
            return None
        what = f"max_connections of {self.instance.name}"
        return self._try(what, self.look.databases.connection_limit, group)

    def _events(self) -> Sequence[Event]:
        since = min(self.since, self.span.since - EVENTS_BEFORE)
        what = f"the RDS events of {self.instance.name}"
        told = self._try(what, self.look.databases.events, self.instance, since, self.now)
        return [replace(one, text=redacted(one.text)) for one in told or ()]

    def _load(self) -> tuple[Load, Sequence[Query]]:
        what = f"Performance Insights of {self.instance.name}"
        if not self.instance.has_insights:
            self.unchecked.append(Unchecked(what, "it is switched off"))
            return Load(), ()
        since, trouble = _whole(self.since), _whole(self.span.since)
        until = max(_whole(self.now), trouble + timedelta(seconds=MINUTE))
        self.insights_asked += 2
        load = self._try(what, self.look.databases.load, self.instance, since, trouble, until)
        if load is not None and not load.total:
            self.unchecked.append(Unchecked(what, "it has no data of these minutes"))
        what = f"the statements of {self.instance.name}"
        statements = self._try(what, self.look.databases.statements, self.instance, trouble, until)
        queries = [replace(one, text=redacted(one.text)) for one in statements or ()]
        return load or Load(), queries

    def _measured(self) -> Iterator[Measured]:
        own = [(self.instance.name, name) for name in METRICS]
        replicas = self.instance.replicas[:MOST_REPLICAS]
        names = own + [(replica, name) for replica in replicas for name in OF_REPLICAS]
        how_long = self.now - _whole(self.since)
        wanted = [
            Wanted.lasting(
                MetricName.of("AWS/RDS", name, {"DBInstanceIdentifier": instance}),
                METRICS[name],
                MINUTE,
                how_long,
                self.now,
            )
            for instance, name in names
        ]
        self.metrics_requested += len(wanted)
        what = f"the metrics of {self.instance.name} by the minute"
        answers = self._try(what, self.look.metrics.data, wanted)
        for one, answer in zip(wanted, answers or (), strict=False):
            if answer.points:
                yield Measured(
                    resource=self.instance.arn,
                    namespace=one.metric.namespace,
                    name=one.metric.name,
                    stat=one.stat,
                    dimensions=dict(one.metric.dimensions),
                    period=MINUTE,
                    points=tuple(answer.points),
                )

    def _try(self, what: str, call: Callable[..., Told], *arguments: object) -> Told | None:
        return _try(self.unchecked, what, call, *arguments)


def _try(
    unchecked: list[Unchecked], what: str, call: Callable[..., Told], *arguments: object
) -> Told | None:
    try:
        return call(*arguments)
    except AwsError as error:
        unchecked.append(Unchecked(what, error.quoted))
        return None


def _whole(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _of_databases(asked: Asked) -> list[str]:
    """ARNs of DB instances and clusters, in the order of the resources."""
    arns = [one.arn for one in asked.resources]
    kinds = [(arn, tuple(arn.split(":", 6)[2:6:3])) for arn in arns]
    return [arn for arn, kind in kinds if kind in (("rds", "db"), ("rds", "cluster"))]
