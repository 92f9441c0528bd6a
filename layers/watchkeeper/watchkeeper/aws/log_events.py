"""CloudWatch Logs: which groups there are, how much they took, and what they say. Read only.

Two ways lead to messages. FilterLogEvents is free and reads everything, a megabyte a page. Logs
Insights looks for words in gigabytes within seconds, costs by the bytes that it scans, and allows
an account only some queries at a time (30, or 100 by now: StartQuery's own page).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from math import ceil
from typing import Any

from botocore.config import Config

from watchkeeper.aws.client import client
from watchkeeper.aws.errors import NotThere, Refused, translated
from watchkeeper.aws.iam import needs

HASTY = Config(
    connect_timeout=3,  # inside a Region
    read_timeout=10,  # a person waits for the answer; a page of a megabyte takes one or two
    retries={"mode": "standard", "total_max_attempts": 2},
)
PAGE = 10_000
"""The most messages, or rows of a query, that one answer holds: also the default of both calls."""
LISTED = 50
"""The most groups that one answer of DescribeLogGroups holds."""
FIELDS = frozenset({"@timestamp", "@logStream", "@message", "@ptr"})
"""What a query has to ask for, for its rows to be messages; `@ptr` comes by itself."""
STANDARD = "STANDARD"
"""The class of log groups in which all calls work. The others know Logs Insights at most:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CloudWatch_Logs_Log_Classes.html
"""

COUNTED = {"e": "IncomingLogEvents", "b": "IncomingBytes"}
"""Metrics of a log group, by a letter for their requests."""


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    kind: str = STANDARD
    """Its class: `STANDARD`, `INFREQUENT_ACCESS`, `ESSENTIALS` or `DELIVERY`."""


@dataclass(frozen=True, slots=True)
class Message:
    at: datetime
    """UTC, to the millisecond."""
    stream: str
    text: str
    """As it was sent; Logs Insights cuts it near 1,000 characters, without a mark."""
    pointer: str = ""
    """By which Logs Insights shows all of it."""


@dataclass(frozen=True, slots=True)
class Page:
    messages: Sequence[Message]
    """The oldest first; maybe none though more pages follow."""
    is_last: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query of Logs Insights has brought so far."""

    status: str
    """`Scheduled`, `Running`, `Complete`, `Failed`, `Cancelled`, `Timeout` or `Unknown`."""
    messages: Sequence[Message] = ()
    """In the order that the query asks for; of one that is not complete, whatever it has found."""
    scanned: float = 0.0
    """Bytes, which is what is paid for."""
    matched: float = 0.0
    """Messages that fit, also those beyond the limit."""

    @property
    def has_ended(self) -> bool:
        return self.status not in ("Scheduled", "Running")


@dataclass(frozen=True, slots=True)
class Volume:
    """What came into a log group, per minute, by when it came: CloudWatch counts it minutes later,
    and counts nothing where nothing came.
    """

    events: Sequence[tuple[datetime, float]] = ()
    bytes: Sequence[tuple[datetime, float]] = ()


class Logs:
    """The log groups of this account and Region."""

    @cached_property
    def client(self) -> Any:
        return client("logs", HASTY)

    @cached_property
    def metrics(self) -> Any:
        return client("cloudwatch", HASTY)

    @property
    def region(self) -> str:
        """Where these logs are."""
        found: str = self.client.meta.region_name
        return found

    @needs("logs:DescribeLogGroups")
    def groups(self, prefix: str, most: int = LISTED) -> list[Group]:
        """Those whose names begin so, by name: one named exactly so comes first."""
        asked = {"logGroupNamePrefix": prefix, "limit": min(most, LISTED)}
        with translated("logs:DescribeLogGroups"):
            found = self.client.describe_log_groups(**asked)["logGroups"]
        return [Group(one["logGroupName"], one.get("logGroupClass", STANDARD)) for one in found]

    @needs("logs:FilterLogEvents")
    def pages(
        self, group: str, since: datetime, until: datetime, pattern: str = ""
    ) -> Iterator[Page]:
        """All messages with `since` <= time < `until`, the oldest first, a megabyte at a time.

        The paginator of boto3 is not used, for it raises an error of its own when a token repeats.
        """
        asked = {
            "logGroupName": group, "startTime": _milliseconds(since),
            "endTime": _milliseconds(until) - 1, "limit": PAGE,
        }  # fmt: skip
        if pattern:
            asked["filterPattern"] = pattern
        token = None
        while True:
            with translated("logs:FilterLogEvents"):
                page = self.client.filter_log_events(**asked)
            is_last = page.get("nextToken") in (None, token)
            yield Page([_message(one) for one in page["events"]], is_last)
            if is_last:
                return
            token = asked["nextToken"] = page["nextToken"]

    @needs("logs:StartQuery")
    def ask(self, groups: Sequence[str], query: str, span: tuple[datetime, datetime],
            limit: int) -> str:  # fmt: skip
        """Start a query of Logs Insights over whole seconds around the span; returns its id.

        Raises OverQuota while too many queries run, NotThere if a group is gone.
        """
        since, until = span
        with translated("logs:StartQuery"):
            started = self.client.start_query(
                logGroupNames=list(groups),
                startTime=int(since.timestamp()),
                endTime=ceil(until.timestamp()),
                queryString=query,
                limit=limit,
            )
        found: str = started["queryId"]
        return found

    @needs("logs:GetQueryResults")
    def answer(self, query: str) -> Answer:
        """What a query has brought so far, up to PAGE rows. Raises NotThere if it is forgotten."""
        with translated("logs:GetQueryResults"):
            found = self.client.get_query_results(queryId=query)
        statistics = found.get("statistics", {})
        return Answer(
            found["status"],
            tuple(_messages(found["results"])),
            statistics.get("bytesScanned", 0.0),
            statistics.get("recordsMatched", 0.0),
        )

    @needs("logs:StopQuery")
    def stop(self, query: str) -> None:
        """Stop a query that nobody waits for any more; one that has ended is as good."""
        try:
            with translated("logs:StopQuery"):
                self.client.stop_query(queryId=query)
        except NotThere:
            pass
        except Refused as error:
            # "If the query has already ended, the operation returns an error".
            if error.code != "InvalidParameterException":
                raise

    @needs("logs:GetLogRecord")
    def whole(self, pointer: str) -> str:
        """All of a message that a query has shown the beginning of."""
        with translated("logs:GetLogRecord"):
            record = self.client.get_log_record(logRecordPointer=pointer)["logRecord"]
        message: str = record.get("@message", "")
        return message

    @needs("cloudwatch:GetMetricData")
    def volumes(self, groups: Sequence[str], since: datetime, until: datetime) -> dict[str, Volume]:
        """What came into each group, in one request for two metrics a group (at most 250 groups).

        https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CloudWatch-Logs-Monitoring-CloudWatch-Metrics.html
        """
        queries = [
            {"Id": f"{letter}{number}", "MetricStat": _sum_of(metric, group)}
            for number, group in enumerate(groups)
            for letter, metric in COUNTED.items()
        ]
        minute = timedelta(minutes=1)
        asked = {
            "StartTime": since.replace(second=0, microsecond=0),
            "EndTime": until.replace(second=0, microsecond=0) + minute,
            "ScanBy": "TimestampAscending",
        }
        points = self._points(queries, asked)
        return {
            group: Volume(points.get(f"e{number}", ()), points.get(f"b{number}", ()))
            for number, group in enumerate(groups)
        }

    def _points(
        self, queries: Sequence[Mapping[str, Any]], asked: dict[str, Any]
    ) -> dict[str, list[tuple[datetime, float]]]:
        points: dict[str, list[tuple[datetime, float]]] = {}
        while True:
            with translated("cloudwatch:GetMetricData"):
                page = self.metrics.get_metric_data(MetricDataQueries=queries, **asked)
            for one in page["MetricDataResults"]:
                times = (at.astimezone(UTC) for at in one["Timestamps"])
                points.setdefault(one["Id"], []).extend(zip(times, one["Values"], strict=True))
            if not page.get("NextToken"):
                return points
            asked["NextToken"] = page["NextToken"]


def _sum_of(metric: str, group: str) -> dict[str, Any]:
    dimensions = [{"Name": "LogGroupName", "Value": group}]
    named = {"Namespace": "AWS/Logs", "MetricName": metric, "Dimensions": dimensions}
    return {"Metric": named, "Period": 60, "Stat": "Sum"}


def _messages(rows: Sequence[Sequence[Mapping[str, str]]]) -> Iterator[Message]:
    for row in rows:
        fields = {one["field"]: one.get("value", "") for one in row if one["field"] in FIELDS}
        at = fields.get("@timestamp", "")
        if at:
            # "2026-11-23 02:00:00.000", in UTC and without saying so.
            moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
            stream, text = fields.get("@logStream", ""), fields.get("@message", "")
            yield Message(moment, stream, text, fields.get("@ptr", ""))


def _message(event: Mapping[str, Any]) -> Message:
    at, stream = _moment(event["timestamp"]), event.get("logStreamName", "")
    return Message(at, stream, event["message"])


def _milliseconds(at: datetime) -> int:
    """The first whole one from then on."""
    return -((datetime(1970, 1, 1, tzinfo=UTC) - at) // timedelta(milliseconds=1))


def _moment(milliseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
