"""Performance Insights, which moto does not know at all, and events of RDS.

    put(cloud, "orders", minute, 4.5, wait=("IO", "DataFileRead"), statement="SELECT …", user="app")
    put_event(cloud, "orders", "Multi-AZ instance failover started.", at)

Load is put by the minute as average active sessions; the API groups and averages it. A database of
which something was put has Performance Insights switched on.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from moto import backend_index, backends
from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult, BaseResponse
from moto.rds.exceptions import RDSClientError
from moto.rds.models import RDSBackend, rds_backends
from moto.rds.responses import RDSResponse

from local.aws.ebs import Box
from local.aws.ec2 import Host
from local.replacing import replace

ADDRESS = r"https?://pi\.(.+)\.amazonaws\.com/.*"
# https://docs.aws.amazon.com/performance-insights/latest/APIReference/API_GetResourceMetrics.html
PERIODS = frozenset({1, 60, 300, 3_600, 86_400})
MOST_RESULTS = 25
LOAD = "db.load.avg"
MINUTE = 60
# https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeEvents.html
EVENTS_KEPT = timedelta(days=14)
EVENTS_BY_DEFAULT = timedelta(hours=1)
LEAST_RECORDS, MOST_RECORDS = 20, 100

Names = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Sample:
    """Sessions that did the same in one minute."""

    at: datetime
    load: float
    wait: tuple[str, str]
    user: str
    host: str
    statement: str
    calls: float

    def of(self, group: str) -> Names:
        """What it is in a dimension group."""
        return {
            "db.wait_event": (
                ("db.wait_event.name", self.wait[1]),
                ("db.wait_event.type", self.wait[0]),
            ),
            "db.user": (("db.user.name", self.user),),
            "db.host": (("db.host.id", self.host), ("db.host.name", self.host)),
            "db.sql_tokenized": (("db.sql_tokenized.statement", self.statement),),
        }[group]


@dataclass
class Insights:
    """What the installed API remembers."""

    cloud: Box
    samples: dict[str, list[Sample]] = field(default_factory=lambda: defaultdict(list))
    """By the resource id of the database."""
    most_results: int = MOST_RESULTS
    """Of one page. A test makes it small."""

    @property
    def rds(self) -> RDSBackend:
        found: RDSBackend = rds_backends[self.cloud.account_id][self.cloud.region]
        return found

    def within(self, params: Mapping[str, Any]) -> list[Sample]:
        """The samples that a request is about."""
        identifier = params["Identifier"]
        since, until = _utc(params["StartTime"]), _utc(params["EndTime"])
        databases = self.rds.databases.values()
        if identifier not in {one.dbi_resource_id for one in databases}:
            raise JsonRESTError("NotAuthorizedException", f"{identifier} is not to be looked at.")
        if since >= until or params.get("PeriodInSeconds", MINUTE) not in PERIODS:
            raise JsonRESTError("InvalidArgumentException", "The times or the period do not fit.")
        return [one for one in self.samples[identifier] if since <= one.at < until]

    # --- API ---

    def get_resource_metrics(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/performance-insights/latest/APIReference/API_GetResourceMetrics.html"""
        params = response._get_params()
        samples = self.within(params)
        period = int(params.get("PeriodInSeconds", MINUTE))
        listed = []
        for query in params["MetricQueries"]:
            if query["Metric"] != LOAD:
                raise JsonRESTError("InvalidArgumentException", f"{query['Metric']} is not known.")
            listed.append({"Key": {"Metric": LOAD}, "DataPoints": _points(samples, period)})
            by = query.get("GroupBy")
            for names, own in _grouped(samples, by)[: int(by.get("Limit", 10))] if by else ():
                key = {"Metric": LOAD, "Dimensions": dict(names)}
                listed.append({"Key": key, "DataPoints": _points(own, period)})
        page, token = self._page(listed, params)
        return ActionResult(
            {
                "AlignedStartTime": params["StartTime"],
                "AlignedEndTime": params["EndTime"],
                "Identifier": params["Identifier"],
                "MetricList": page,
                "NextToken": token,
            }
        )

    def describe_dimension_keys(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/performance-insights/latest/APIReference/API_DescribeDimensionKeys.html"""
        params = response._get_params()
        samples = self.within(params)
        minutes = max(1, len({one.at for one in samples}))
        by, parted = params["GroupBy"], params.get("PartitionBy")
        partitions = [names for names, _ in _grouped(samples, parted)] if parted else []
        keys = []
        for names, own in _grouped(samples, by)[: int(by.get("Limit", 10))]:
            loads = {part: sum(one.load for one in of) for part, of in _grouped(own, parted)}
            calls = sum(one.calls for one in own) / minutes
            more = dict.fromkeys(params.get("AdditionalMetrics", ()), calls)
            keys.append(
                {
                    "Dimensions": {name: value[:500] for name, value in names},
                    "Total": sum(one.load for one in own) / minutes,
                    "AdditionalMetrics": more,
                    "Partitions": [loads.get(part, 0.0) / minutes for part in partitions],
                }
            )
        page, token = self._page(keys, params)
        return ActionResult(
            {
                "AlignedStartTime": params["StartTime"],
                "AlignedEndTime": params["EndTime"],
                "PartitionKeys": [{"Dimensions": dict(part)} for part in partitions],
                "Keys": page,
                "NextToken": token,
            }
        )

    def _page(
        self, listed: Sequence[Mapping[str, Any]], params: Mapping[str, Any]
    ) -> tuple[Sequence[Mapping[str, Any]], str | None]:
        begin = int((params.get("NextToken") or "page-0").removeprefix("page-"))
        end = begin + min(int(params.get("MaxResults") or MOST_RESULTS), self.most_results)
        return listed[begin:end], f"page-{end}" if end < len(listed) else None

    def describe_events(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeEvents.html

        moto knows neither times nor pages.
        """
        params = response.params
        now = self.cloud.clock.now()
        until = _utc(params.get("EndTime") or now)
        minutes = params.get("Duration")
        duration = timedelta(minutes=int(minutes)) if minutes else EVENTS_BY_DEFAULT
        since = _utc(params.get("StartTime") or until - duration)
        found = [
            one
            for one in self.rds.describe_events(
                params.get("SourceIdentifier"), params.get("SourceType")
            )
            if max(since, now - EVENTS_KEPT) <= _utc(one.date) <= until
        ]
        found.sort(key=lambda one: _utc(one.date))
        size = int(params.get("MaxRecords", MOST_RECORDS))
        if not LEAST_RECORDS <= size <= MOST_RECORDS:
            raise RDSClientError("InvalidParameterValue", f"Invalid value {size} for MaxRecords.")
        begin = int(params.get("Marker") or 0)
        marker = str(begin + size) if begin + size < len(found) else None
        return ActionResult({"Events": found[begin : begin + size], "Marker": marker})


class PiResponse(BaseResponse):
    """The API, as moto calls it."""

    def __init__(self) -> None:
        super().__init__(service_name="pi")
        self.automated_parameter_parsing = True


@dataclass
class _Backend:
    urls: dict[str, Any]


@dataclass
class _Event:
    source_identifier: str
    source_type: str
    message: str
    date: datetime
    source_arn: str
    event_categories: list[str]


def install(cloud: Box) -> Insights:
    """Answer for Performance Insights until `cloud.stack` closes; returns what is remembered."""
    insights = Insights(cloud)
    for name in ("get_resource_metrics", "describe_dimension_keys"):
        replace(cloud.stack, PiResponse, name, _as_method(getattr(insights, name)))
    replace(cloud.stack, RDSResponse, "describe_events", _as_method(insights.describe_events))
    patterns = [("pi", re.compile(ADDRESS)), *backend_index.backend_url_patterns]
    replace(cloud.stack, backend_index, "backend_url_patterns", patterns)
    known = backends.get_backend
    ours = {"global": _Backend({ADDRESS: PiResponse.dispatch})}
    replace(
        cloud.stack, backends, "get_backend", lambda name: ours if name == "pi" else known(name)
    )
    return insights


def installed_in(cloud: Host) -> Insights:
    found: Insights = cloud.extensions[__name__]
    return found


def put(  # noqa: PLR0913, each is a dimension of its own, and all have defaults
    cloud: Host,
    database: str,
    at: datetime,
    load: float,
    *,
    wait: tuple[str, str] = ("CPU", "CPU"),
    user: str = "app",
    host: str = "10.0.0.5",
    statement: str = "SELECT ?",
    calls: float = 1.0,
) -> None:
    """So many sessions of `database` did this in the minute of `at`; it adds up."""
    insights = installed_in(cloud)
    switch_on(cloud, database)
    minute = _utc(at).replace(second=0, microsecond=0)
    found = insights.rds.databases[database].dbi_resource_id
    insights.samples[found].append(Sample(minute, load, wait, user, host, statement, calls))


def switch_on(cloud: Host, database: str) -> None:
    """Switch Performance Insights of a database on, without any data."""
    found: Any = installed_in(cloud).rds.databases[database]
    found.performance_insights_enabled = True


def put_event(
    cloud: Host, source: str, message: str, at: datetime, *, kind: str = "db-instance"
) -> None:
    """RDS has told this of a database or, with `kind="db-cluster"`, of a cluster."""
    rds = installed_in(cloud).rds
    owner = rds.clusters[source] if kind == "db-cluster" else rds.databases[source]
    event: Any = _Event(source, kind, message, _utc(at), owner.arn, ["notification"])
    rds.events.append(event)


def _as_method(handler: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
    """Moto finds the operations of a response class by looking for plain functions."""

    def operation(response: Any) -> ActionResult:
        return handler(response)

    return operation


def _utc(at: datetime) -> datetime:
    """Of a time of moto's, which has no zone."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _grouped(
    samples: Sequence[Sample], by: Mapping[str, Any] | None
) -> list[tuple[Names, list[Sample]]]:
    """By a dimension group, or the dimensions of it that are asked for, the most load first."""
    found: dict[Names, list[Sample]] = defaultdict(list)
    for one in samples if by else ():
        assert by is not None
        only = by.get("Dimensions")
        names = tuple(pair for pair in one.of(by["Group"]) if not only or pair[0] in only)
        found[names].append(one)
    return sorted(found.items(), key=lambda item: (-sum(one.load for one in item[1]), item[0]))


def _points(samples: Sequence[Sample], period: int) -> list[dict[str, Any]]:
    """The average of each period over the minutes of it that have passed."""
    loads: dict[int, float] = defaultdict(float)
    for one in samples:
        loads[int(one.at.timestamp()) // period] += one.load
    minutes = max(1, period // MINUTE)
    return [
        {"Timestamp": datetime.fromtimestamp(number * period, UTC), "Value": load / minutes}
        for number, load in sorted(loads.items())
    ]
