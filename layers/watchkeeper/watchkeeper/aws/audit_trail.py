"""The audit trail: the ring of management events, CloudTrail's event history, and the trails.

The ring is a log group that an EventBridge rule fills with what CloudTrail tells the default event
bus; see docs/decisions/0013. CloudTrail tells the bus only while a trail logs. Its event history
needs no trail, but answers two questions a second, for the whole account.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from botocore.config import Config

from watchkeeper.aws.client import client
from watchkeeper.aws.errors import Refused, Throttled, translated
from watchkeeper.aws.iam import needs

HASTY = Config(
    connect_timeout=3,
    read_timeout=10,  # a person waits for the report, which says what is missing
    retries={"mode": "standard", "total_max_attempts": 2},
)
RING_PAGE = 10_000
"""Messages, or 1 MB of them: the most that FilterLogEvents gives a page.
https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
"""
LOOKUP_PAGE = 50
"""Events: the most that LookupEvents gives a page.
https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
"""
SLICE = timedelta(minutes=10)
"""Of the ring that is read at once. FilterLogEvents gives the oldest first (newer versions of its
API can do otherwise, but a Lambda runtime's boto3 need not know), so that a smaller slice loses
less where reading ends early; an hour and a half then costs nine requests, which are free.
"""
MOST_TRAILS = 5
"""The quota of trails in a Region.
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/WhatIsCloudTrail-Limits.html
"""
LONGEST_MESSAGE = 300_000
"""Characters: EventBridge takes 256 KB an event, a log group as much a message."""


@dataclass(frozen=True, slots=True)
class Read:
    """Events of CloudTrail's, in whatever brought them."""

    events: tuple[Any, ...]
    """Newest part first, each part in its own order; `triage.trail.records` sorts them out."""
    requests: int
    since: datetime
    """From when on they are all there."""
    most: str = ""
    """Why not from when it was asked for; "" if so."""
    throttled: bool = False


@dataclass(frozen=True, slots=True)
class RingState:
    """Whether the ring can be relied on."""

    created_at: datetime
    last_at: datetime | None
    """When the newest event came, as CloudWatch Logs knows it: up to an hour late."""


@dataclass(frozen=True, slots=True)
class Logging:
    """Whether a trail logs what is changed in this Region; without one, the ring stays empty."""

    trail: str = ""
    """The name of one that does; "" if none."""
    since: datetime | None = None
    """When that one was last switched on."""
    why: str = ""
    """Why none does; "" if one does."""


class Ring:
    """The log group that holds the management events of the last days.

    Args:
        group: Its name, as `/aws/events/watchkeeper-trail`.
    """

    def __init__(self, group: str) -> None:
        self.group = group

    @cached_property
    def client(self) -> Any:
        return client("logs", HASTY)

    @needs("logs:DescribeLogGroups", "logs:DescribeLogStreams")
    def state(self) -> RingState | None:
        """Its state; None if there is no such log group."""
        with translated("logs:DescribeLogGroups"):
            groups = self.client.describe_log_groups(logGroupNamePrefix=self.group)["logGroups"]
        found = next((one for one in groups if one["logGroupName"] == self.group), None)
        if found is None:
            return None
        with translated("logs:DescribeLogStreams"):
            streams = self.client.describe_log_streams(
                logGroupName=self.group, orderBy="LastEventTime", descending=True, limit=1
            )["logStreams"]
        last = max((one["lastEventTimestamp"] for one in streams if "lastEventTimestamp" in one),
                   default=None)  # fmt: skip
        return RingState(_moment(found["creationTime"]), None if last is None else _moment(last))

    @needs("logs:FilterLogEvents")
    def read(self, since: datetime, until: datetime, *, most_pages: int, most_events: int) -> Read:
        """What arrived between two times, the newest slice first.

        Pages may be empty and have a token: then there is more. Where a limit is reached, the
        slice that is being read is kept as far as it was read, and older ones are not.
        """
        events: list[Any] = []
        pages, end = 0, until
        while end > since:
            begin, token = max(since, end - SLICE), ""
            while True:
                if len(events) >= most_events or pages >= most_pages:
                    why = f"reading ended after {pages} pages with {len(events)} events"
                    return Read(tuple(events), pages, end, why)
                page, token = self._page(begin, end, token)
                pages += 1
                events += page
                if not token:
                    break
            end = begin
        return Read(tuple(events), pages, since)

    def _page(self, since: datetime, until: datetime, token: str) -> tuple[list[Any], str]:
        """Events and the next token. Both ends of a slice are in it: an event may come twice."""
        with translated("logs:FilterLogEvents"):
            answer = self.client.filter_log_events(
                logGroupName=self.group,
                startTime=_milliseconds(since),
                endTime=_milliseconds(until),
                limit=RING_PAGE,
                **({"nextToken": token} if token else {}),
            )
        found = (_parsed(one.get("message", "")) for one in answer.get("events", ()))
        return [one for one in found if one is not None], answer.get("nextToken") or ""


class EventHistory:
    """What CloudTrail keeps of the last 90 days by itself, Region by Region.

    Args:
        region: Another than our own.
    """

    def __init__(self, region: str = "") -> None:
        self.region = region

    @cached_property
    def client(self) -> Any:
        there = Config(region_name=self.region) if self.region else Config()
        return client("cloudtrail", HASTY.merge(there))

    @needs("cloudtrail:LookupEvents")
    def look_up(
        self, attribute: str, value: str, since: datetime, until: datetime, *, most_pages: int
    ) -> Read:
        """The events with that value of one attribute (`ResourceName`, `ReadOnly`, …), newest
        first. LookupEvents takes no second attribute.

        Throttling ends it, with what was read so far; what is refused otherwise raises.
        """
        asked = {
            "LookupAttributes": [{"AttributeKey": attribute, "AttributeValue": value}],
            "StartTime": since,
            "EndTime": until,
            "MaxResults": LOOKUP_PAGE,
        }
        events: list[Any] = []
        token: dict[str, str] = {}
        for page in range(1, most_pages + 1):
            try:
                with translated("cloudtrail:LookupEvents"):
                    answer = self.client.lookup_events(**asked, **token)
            except Throttled:
                why = "CloudTrail answers two such questions a second, and others asked, too"
                return Read(tuple(events), page, _oldest(events, until), why, throttled=True)
            events += answer.get("Events", ())
            if not answer.get("NextToken"):
                return Read(tuple(events), page, since)
            token = {"NextToken": answer["NextToken"]}
        why = f"only the newest {len(events)} were read"
        return Read(tuple(events), most_pages, _oldest(events, until), why)


class Trails:
    """The trails of this Region, those of other Regions and of the organisation that cover it."""

    @cached_property
    def client(self) -> Any:
        return client("cloudtrail", HASTY)

    @needs("cloudtrail:DescribeTrails", "cloudtrail:GetTrailStatus", "cloudtrail:GetEventSelectors")
    def logging(self) -> Logging:
        """The first trail that logs management events that write; else why none does."""
        with translated("cloudtrail:DescribeTrails"):
            trails = self.client.describe_trails()["trailList"]
        if not trails:
            return Logging(why="there is no trail in this Region")
        whys = []
        for trail in sorted(trails, key=lambda one: str(one["TrailARN"]))[:MOST_TRAILS]:
            why, since = self._off(trail)
            if not why:
                return Logging(trail=trail["Name"], since=since)
            whys.append(f"{trail['Name']} {why}")
        return Logging(why="; ".join(whys))

    def _off(self, trail: dict[str, Any]) -> tuple[str, datetime | None]:
        """Why it logs no writes, or ""; and when it was switched on."""
        # A trail of another Region is known here by its ARN only.
        with translated("cloudtrail:GetTrailStatus"):
            status = self.client.get_trail_status(Name=trail["TrailARN"])
        if not status.get("IsLogging"):
            stopped = status.get("StopLoggingTime")
            return (
                f"is switched off{f' since {stopped:%Y-%m-%d %H:%M} UTC' if stopped else ''}",
                None,
            )
        since = status.get("StartLoggingTime")
        if not trail.get("HasCustomEventSelectors"):
            return "", since  # all management events, by default
        try:
            with translated("cloudtrail:GetEventSelectors"):
                chosen = self.client.get_event_selectors(TrailName=trail["TrailARN"])
        except Refused:
            return "", since  # of the organisation: it logs, and what is its owner's to say
        return ("" if _writes(chosen) else "logs no management events that write"), since


def _writes(chosen: dict[str, Any]) -> bool:
    """Whether event selectors let management events pass that change something."""
    basic = any(
        one.get("IncludeManagementEvents", True) and one.get("ReadWriteType", "All") != "ReadOnly"
        for one in chosen.get("EventSelectors") or ()
    )
    return basic or any(
        _passes(one.get("FieldSelectors", ())) for one in chosen.get("AdvancedEventSelectors") or ()
    )


def _passes(fields: list[dict[str, Any]]) -> bool:
    """The same of an advanced selector: each of its fields must hold."""
    by_name = {one["Field"]: one for one in fields}
    category = by_name.get("eventCategory", {}).get("Equals", [])
    read_only = by_name.get("readOnly", {}).get("Equals", ["false"])
    return "Management" in category and "false" in read_only


def _oldest(events: list[Any], otherwise: datetime) -> datetime:
    return min((one["EventTime"] for one in events if "EventTime" in one), default=otherwise)


def _parsed(text: str) -> Any:
    """What a message holds; None if it is no JSON object, or too large to be an event."""
    if len(text) > LONGEST_MESSAGE:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
