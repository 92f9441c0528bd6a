"""CloudWatch Logs as AWS documents it, where moto answers at once and understands few queries.

`install(cloud)` patches moto's classes until `cloud.stack` closes. What it adds:

- Logs Insights: the commands `fields`, `filter … like /…/`, `sort @timestamp`, `limit` and
  `stats count(*) by bin(…)`; queries that take their time, fail, are forgotten or too many; bytes
  that were scanned; messages that are cut;
- FilterLogEvents in pages of a megabyte, empty ones if asked for, with terms `?one ?of ?these`;
- messages that are shown only some time after they were taken;
- what CloudWatch counts of every log group.

`write(cloud, group, lines)` puts many messages into a group, past ones as well.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.core.exceptions import JsonRESTError
from moto.logs.exceptions import (
    InvalidParameterException,
    LimitExceededException,
    ResourceNotFoundException,
)
from moto.logs.models import LogEvent, LogGroup, LogsBackend, LogStream, logs_backends
from moto.logs.responses import LogsResponse
from moto.moto_api._internal import mock_random

from local.aws.ebs import Box
from local.aws.ec2 import Host
from local.aws.logs_queries import Parsed, Row, parsed
from local.metrics import Metric, Metrics
from local.replacing import replace

# "You can have up to 30 concurrent CloudWatch Logs insights queries" (100 in the newest text):
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html
CONCURRENT = 30
# "Each page returned can contain up to 1 MB of log events or up to 10,000 log events":
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
PAGE_BYTES, PAGE_EVENTS = 1_000_000, 10_000
# CloudWatch counts an event's bytes with 26 more for each:
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
OVERHEAD = 26
# Near which Logs Insights cuts @message; GetLogRecord shows all of it.
CUT_AT = 1_000


def install(cloud: Box) -> BoxLogs:
    """Make moto's logs behave like this until `cloud.stack` closes; returns the switches."""
    logs = BoxLogs(cloud)
    for name, handler in logs.operations().items():
        replace(cloud.stack, LogsResponse, name, _as_method(handler))

    def put(stream: LogStream, log_events: list[dict[str, Any]]) -> str:
        token: str = put_as_moto(stream, log_events)
        ours = (stream.account_id, stream.region) == (cloud.account_id, cloud.region)
        if ours and log_events:
            logs.count(stream.log_group.name, {logs.now(): (len(log_events), _bytes(log_events))})
        return token

    put_as_moto = replace(cloud.stack, LogStream, "put_log_events", put)
    return logs


def installed_in(cloud: Host) -> BoxLogs:
    """The switches of a box's logs, e.g. `installed_in(cloud).polls = 3`."""
    logs: BoxLogs = cloud.extensions[__name__]
    return logs


def write(cloud: Host, group: str, lines: Iterable[tuple[datetime, str, str]]) -> None:
    """Put messages (when, which stream, what) into a log group as if each had come at its time.

    A group and streams that are not there are made. A hundred thousand lines take half a second.
    """
    installed_in(cloud).write(group, lines)


def _as_method(handler: Callable[[Any], str]) -> Callable[[Any], str]:
    """Moto finds the operations of a response class by looking for plain functions."""

    def operation(response: Any) -> str:
        return handler(response)

    return operation


@dataclass
class Started:
    """A query of Logs Insights."""

    id: str
    parsed: Parsed
    groups: Sequence[str]
    since: int
    until: int
    """Both in seconds, both included."""
    limit: int
    at: datetime
    polls: int
    takes: timedelta
    ends_as: str
    status: str = "Scheduled"
    rows: list[Row] = field(default_factory=list)
    scanned: tuple[int, int, int] = (0, 0, 0)
    """Bytes, messages, and those that matched."""

    @property
    def is_open(self) -> bool:
        return self.status in ("Scheduled", "Running")


@dataclass
class BoxLogs:
    """What the installed logs answer by themselves, and their switches."""

    cloud: Box
    polls: int = 0
    """Times that a query is asked for before it has ended."""
    takes: timedelta = timedelta(0)
    """Simulated time that a query takes at least."""
    ends_as: str = "Complete"
    """How queries end: also `Failed`, `Cancelled`, `Timeout`."""
    quota: int = CONCURRENT
    """Queries that may run at a time."""
    empty_pages: int = 0
    """Of FilterLogEvents, before each that has messages."""
    lag: timedelta = timedelta(0)
    """For how long a message is not shown after it has come."""
    count_lag: timedelta = timedelta(0)
    """For how long CloudWatch has not counted what has come: its metrics up to then are there."""
    kinds: dict[str, str] = field(default_factory=dict)
    """Classes of log groups that are not `STANDARD`, by name."""
    started: dict[str, Started] = field(default_factory=dict)
    """All queries, by id."""
    _sorted: dict[str, tuple[int, list[Stored]]] = field(default_factory=dict)

    def now(self) -> datetime:
        return self.cloud.clock.now()

    @property
    def backend(self) -> LogsBackend:
        """Moto's logs of this account and Region."""
        backend: LogsBackend = logs_backends[self.cloud.account_id][self.cloud.region]
        return backend

    def forget(self, query: str) -> None:
        """Lose a query, as AWS does after some days."""
        del self.started[query]

    # --- messages come ---

    def write(self, group: str, lines: Iterable[tuple[datetime, str, str]]) -> None:
        """See the function of this name."""
        if group not in self.backend.groups:
            self.backend.create_log_group(group, {})
        found: LogGroup = self.backend.groups[group]
        minutes: dict[datetime, list[int]] = {}
        for at, name, text in lines:
            if name not in found.streams:
                found.create_log_stream(name)
            stamp = int(at.timestamp() * 1000)
            found.streams[name].events.append(
                LogEvent(stamp, {"timestamp": stamp, "message": text})
            )
            counted = minutes.setdefault(at.replace(second=0, microsecond=0), [0, 0])
            counted[0] += 1
            counted[1] += len(text) + OVERHEAD
        self.count(group, {at: (number, size) for at, (number, size) in minutes.items()})

    def count(self, group: str, came: dict[datetime, tuple[int, int]]) -> None:
        """Measure what came into a group, as the service itself does: messages and bytes."""
        metrics: Metrics | None = getattr(self.cloud, "metrics", None)
        for at, values in sorted(came.items()):
            if at > self.now() - self.count_lag:
                continue
            for name, value, unit in zip(
                ("IncomingLogEvents", "IncomingBytes"), values, ("Count", "Bytes"), strict=True
            ):
                metric = Metric(
                    "AWS/Logs", name, float(value), at, unit, {"LogGroupName": group}, "AWS"
                )
                if metrics is not None:
                    metrics.record(metric)
                else:
                    self._record(metric)

    def _record(self, metric: Metric) -> None:
        """In a box of services alone, which keeps metrics nowhere else."""
        cloudwatch_backends[self.cloud.account_id][self.cloud.region].put_metric_data(
            metric.namespace,
            [{
                "MetricName": metric.name,
                "Value": metric.value,
                "Unit": metric.unit,
                "Timestamp": metric.at.astimezone(UTC).replace(tzinfo=None),
                "Dimensions": [{"Name": k, "Value": v} for k, v in metric.dimensions.items()],
            }],
        )  # fmt: skip

    # --- messages are read ---

    def operations(self) -> dict[str, Callable[[Any], str]]:
        """API operations, by moto's name for them, that this file answers itself."""
        return {
            "describe_log_groups": self.describe_log_groups,
            "filter_log_events": self.filter_log_events,
            "start_query": self.start_query,
            "get_query_results": self.get_query_results,
            "stop_query": self.stop_query,
            "get_log_record": self.get_log_record,
        }

    def describe_log_groups(self, response: Any) -> str:
        """By prefix, at most 50 a page, by name; moto knows no classes."""
        prefix = response._get_param("logGroupNamePrefix") or ""
        token = response._get_param("nextToken") or ""
        limit = response._get_param("limit") or 50
        if limit > 50:
            raise InvalidParameterException("limit is at most 50")
        names = sorted(name for name in self.backend.groups if name.startswith(prefix))
        names = [name for name in names if name > token]
        shown = [
            self.backend.groups[name].to_describe_dict()
            | {"logGroupClass": self.kinds.get(name, "STANDARD")}
            for name in names[:limit]
        ]
        more = {"nextToken": names[limit - 1]} if len(names) > limit else {}
        return json.dumps({"logGroups": shown, **more})

    def filter_log_events(self, response: Any) -> str:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html"""
        name = response._get_param("logGroupName") or response._get_param("logGroupIdentifier")
        if self.kinds.get(name, "STANDARD") != "STANDARD":
            raise InvalidParameterException("This operation is not supported for this log class.")
        events = self._between(
            name, response._get_param("startTime") or 0, response._get_param("endTime")
        )
        streams = response._get_param("logStreamNames")
        fits = _terms(response._get_param("filterPattern") or "")
        first, empty = _token(response._get_param("nextToken"))
        if empty < self.empty_pages:
            return json.dumps({"events": [], "nextToken": f"{first}/{empty + 1}"})
        limit = min(response._get_param("limit") or PAGE_EVENTS, PAGE_EVENTS)
        page: list[dict[str, Any]] = []
        size, at = 0, first
        while at < len(events) and len(page) < limit and size < PAGE_BYTES:
            event, stream = events[at]
            at += 1
            # What is looked through counts as well: a page may be empty.
            size += len(event.message) + OVERHEAD
            if fits(event.message) and (not streams or stream in streams):
                page.append(event.to_filter_dict() | {"logStreamName": stream})
        more = {"nextToken": f"{at}/0"} if at < len(events) else {}
        return json.dumps({"events": page, "searchedLogStreams": [], **more})

    def start_query(self, response: Any) -> str:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html"""
        one = response._get_param("logGroupName")
        groups = [one] if one else response._get_param("logGroupNames") or []
        for name in groups:
            self._group(name)
        if sum(query.is_open for query in self.started.values()) >= self.quota:
            raise LimitExceededException
        try:
            query = parsed(response._get_param("queryString"))
        except ValueError as error:
            raise JsonRESTError("MalformedQueryException", str(error)) from error
        query_id = str(mock_random.uuid4())
        since, until = response._get_param("startTime"), response._get_param("endTime")
        limit = query.limit or response._get_param("limit") or PAGE_EVENTS
        self.started[query_id] = Started(
            query_id, query, tuple(groups), since, until, limit,
            self.now(), self.polls, self.takes, self.ends_as,
        )  # fmt: skip
        return json.dumps({"queryId": query_id})

    def get_query_results(self, response: Any) -> str:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetQueryResults.html"""
        query = self._query(response)
        if query.is_open:
            self._go_on(query)
        first = int(response._get_param("nextToken") or 0)
        most = min(response._get_param("maxItems") or PAGE_EVENTS, PAGE_EVENTS)
        rows = query.rows[first : first + most]
        more = {"nextToken": str(first + most)} if len(query.rows) > first + most else {}
        scanned, seen, matched = query.scanned
        return json.dumps({
            "results": [[{"field": k, "value": v} for k, v in row.items()] for row in rows],
            "statistics": {
                "bytesScanned": float(scanned),
                "recordsScanned": float(seen),
                "recordsMatched": float(matched),
            },
            "status": query.status,
            **more,
        })  # fmt: skip

    def stop_query(self, response: Any) -> str:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StopQuery.html"""
        query = self._query(response)
        if not query.is_open:
            raise InvalidParameterException("The specified query is not running.")
        query.status = "Cancelled"
        return json.dumps({"success": True})

    def get_log_record(self, response: Any) -> str:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogRecord.html"""
        group, _, number = str(response._get_param("logRecordPointer")).rpartition("@")
        for event, stream in self._stored(group) if group in self.backend.groups else ():
            if str(event.event_id) == number:
                record = {"@message": event.message, "@logStream": stream}
                return json.dumps({"logRecord": record | {"@timestamp": str(event.timestamp)}})
        raise ResourceNotFoundException("The specified log record does not exist.")

    def _query(self, response: Any) -> Started:
        query = self.started.get(response._get_param("queryId"))
        if query is None:
            raise ResourceNotFoundException("The specified query does not exist.")
        return query

    def _go_on(self, query: Started) -> None:
        if query.polls > 0 or self.now() < query.at + query.takes:
            query.polls -= 1
            query.status = "Running"
            return
        query.status = query.ends_as
        if query.status == "Complete":
            self._run(query)

    def _run(self, query: Started) -> None:
        found: list[tuple[LogEvent, str, str]] = []
        size = seen = 0
        for group in query.groups:
            for event, stream in self._between(group, query.since * 1000, query.until * 1000):
                size += len(event.message) + OVERHEAD
                seen += 1
                if query.parsed.fits(event.message):
                    found.append((event, stream, group))
        query.scanned = (size, seen, len(found))
        found.sort(key=lambda one: one[0].timestamp, reverse=not query.parsed.ascending)
        if query.parsed.bin is not None:
            query.rows = _counted(found, query.parsed.bin, query.parsed.counted_as)[: query.limit]
        else:
            query.rows = [_row(one, query.parsed.fields) for one in found[: query.limit]]

    def _group(self, name: str) -> LogGroup:
        group: LogGroup | None = self.backend.groups.get(name)
        if group is None:
            raise ResourceNotFoundException
        return group

    def _between(self, name: str, since: int, until: int | None) -> list[Stored]:
        """What is shown of a time in milliseconds, both ends included; the oldest first."""
        stored = self._stored(name)
        first = bisect_left(stored, since, key=lambda one: one[0].timestamp)
        last = len(stored)
        if until is not None:
            last = bisect_left(stored, until + 1, key=lambda one: one[0].timestamp)
        shown = (self.now() - self.lag).timestamp() * 1000
        return [one for one in stored[first:last] if one[0].ingestion_time <= shown]

    def _stored(self, name: str) -> list[Stored]:
        """All messages of a group in order; sorted again only when some have come."""
        group = self._group(name)
        number = sum(len(stream.events) for stream in group.streams.values())
        known = self._sorted.get(name)
        if known is None or known[0] != number:
            stored = [
                (event, stream.log_stream_name)
                for stream in group.streams.values()
                for event in stream.events
            ]
            stored.sort(key=lambda one: (one[0].timestamp, one[0].ingestion_time))
            known = self._sorted[name] = (number, stored)
        return known[1]


Stored = tuple[LogEvent, str]
"""A message and the name of its stream."""


def _bytes(events: Iterable[dict[str, Any]]) -> int:
    return sum(len(event["message"]) + OVERHEAD for event in events)


def _token(token: str | None) -> tuple[int, int]:
    """Which message comes next, and how many empty pages have been shown before it."""
    if not token:
        return 0, 0
    found = re.fullmatch(r"(\d+)/(\d+)", token)
    if found is None:
        raise InvalidParameterException("The specified nextToken is invalid.")
    return int(found[1]), int(found[2])


def _terms(pattern: str) -> Callable[[str], bool]:
    """A filter of terms of which one must be there, `?one ?of ?these`, or all, `one and other`."""
    terms = pattern.replace('"', "").split()
    wanted = [term.removeprefix("?") for term in terms]
    if terms and all(term.startswith("?") for term in terms):
        return lambda message: any(term in message for term in wanted)
    return lambda message: all(term in message for term in wanted)


def _row(found: tuple[LogEvent, str, str], fields: Sequence[str]) -> Row:
    event, stream, group = found
    values = {
        "@timestamp": _shown(event.timestamp),
        "@message": event.message[:CUT_AT],
        "@logStream": stream,
        "@log": group,
    }
    row = {name: values[name] for name in fields if name in values}
    return row | {"@ptr": f"{group}@{event.event_id}"}


def _counted(found: Iterable[tuple[LogEvent, str, str]], width: timedelta, name: str) -> list[Row]:
    step = int(width.total_seconds() * 1000)
    counts = Counter(event.timestamp // step * step for event, _, _ in found)
    return [{f"bin({_width(width)})": _shown(at), name: str(counts[at])} for at in _bins(counts)]


def _bins(counts: Counter[int]) -> Iterator[int]:
    yield from sorted(counts, reverse=True)


def _width(width: timedelta) -> str:
    return f"{int(width.total_seconds() // 60)}m"


def _shown(milliseconds: int) -> str:
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return f"{at:%Y-%m-%d %H:%M:%S}.{milliseconds % 1000:03d}"
