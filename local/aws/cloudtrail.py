"""CloudTrail beyond moto: its event history, and what it tells the event bus.

`install(cloud)` patches moto's classes until `cloud.stack` closes. moto knows trails and whether
they log. What is done in the box is not recorded by itself: `happened(record)` says what was done,
and `record(…)` makes one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.cloudtrail.models import Trail, cloudtrail_backends
from moto.cloudtrail.responses import CloudTrailResponse
from moto.core.exceptions import JsonRESTError
from moto.moto_api._internal import mock_random

from local.aws.ebs import Box
from local.aws.ec2 import Host as Extended
from local.replacing import replace

# "You can look up events that occurred in a Region within the last 90 days": LookupEvents.
# https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
KEPT = timedelta(days=90)
MOST_LISTED = 50

ATTRIBUTES: Mapping[str, Callable[[dict[str, Any]], Iterable[str]]] = {
    "AccessKeyId": lambda one: [str(one.get("userIdentity", {}).get("accessKeyId", ""))],
    "EventId": lambda one: [str(one["eventID"])],
    "EventName": lambda one: [str(one["eventName"])],
    "EventSource": lambda one: [str(one["eventSource"])],
    "ReadOnly": lambda one: ["true" if one.get("readOnly") else "false"],
    "ResourceName": lambda one: [each["ResourceName"] for each in _resources(one)],
    "ResourceType": lambda one: [each["ResourceType"] for each in _resources(one)],
    "Username": lambda one: [_username(one)],
}


class Host(Box, Extended):
    """What this file needs of the cloud in a box."""

    def client(self, name: str) -> Any: ...


def install(cloud: Host) -> Trails:
    """Make moto's CloudTrail behave like this until `cloud.stack` closes; returns the switches."""
    trails = Trails(cloud)

    def look_up(response: Any) -> str:
        """Moto finds the operations of a response class by looking for plain functions."""
        return trails.lookup_events(response)

    def description(trail: Trail, *given: Any, **named: Any) -> dict[str, Any]:
        chosen = bool(trail.event_selectors or trail.advanced_event_selectors)
        return {**described(trail, *given, **named), "HasCustomEventSelectors": chosen}

    replace(cloud.stack, CloudTrailResponse, "lookup_events", look_up)
    described = replace(cloud.stack, Trail, "description", description)
    return trails


def installed_in(cloud: Extended) -> Trails:
    """The switches of a box's CloudTrail, e.g. `installed_in(cloud).happened(record(…))`."""
    trails: Trails = cloud.extensions[__name__]
    return trails


@dataclass
class Trails:
    """What the installed CloudTrail answers by itself, and its switches."""

    cloud: Host
    told_after: timedelta = timedelta(minutes=5)
    """How long it takes until an event can be looked up, and comes by the bus: "within an average
    of about 5 minutes".
    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/get-and-view-cloudtrail-log-files.html
    """
    throttled: int = 0
    """So many lookups from now on are refused; below 0, all."""
    per_second: int | None = None
    """Lookups that are answered in a second; AWS's are 2. None is as many as one likes, because the
    box's clock stands still while a function runs.
    """
    history: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)
    """From when on it can be looked up, and the record."""
    asked_at: list[datetime] = field(default_factory=list)

    # --- switches ---

    def log(self, name: str = "management-events") -> str:
        """Make a trail over all Regions, with its bucket, and switch it on; returns its ARN."""
        bucket = f"{name}-{self.cloud.account_id}"
        self.cloud.client("s3").create_bucket(Bucket=bucket)
        aws = self.cloud.client("cloudtrail")
        arn = aws.create_trail(Name=name, S3BucketName=bucket, IsMultiRegionTrail=True)["TrailARN"]
        aws.start_logging(Name=arn)
        return str(arn)

    def happened(self, record: dict[str, Any], told_after: timedelta | None = None) -> str:
        """Say that something was done, now or in the past; returns the event's id.

        CloudTrail's history shows it after `told_after`, and the event bus, if then a trail logs.
        """
        record = {"eventID": str(mock_random.uuid4()), **record}
        at = datetime.fromisoformat(record["eventTime"])
        told_at = at + (self.told_after if told_after is None else told_after)
        self.history.append((told_at, record))
        label = f"CloudTrail tells of {record['eventName']}"
        self.cloud.clock.at(max(told_at, self.now()), lambda: self._tell(record), label)
        return str(record["eventID"])

    def now(self) -> datetime:
        return self.cloud.clock.now()

    # --- the event bus ---

    def _tell(self, record: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html"""
        if not any(self._logs(trail, record) for trail in self._trails()):
            return
        is_login = record.get("eventType") == "AwsConsoleSignIn"
        kind = "AWS Console Sign In" if is_login else "AWS API Call"
        service = str(record["eventSource"]).removesuffix(".amazonaws.com")
        self.cloud.events.send({
            "detail-type": f"{kind} via CloudTrail",
            "source": f"aws.{service}",
            "time": record["eventTime"],
            "detail": record,
        })  # fmt: skip

    def _trails(self) -> Iterable[Any]:
        backend: Any = cloudtrail_backends[self.cloud.account_id][self.cloud.region]
        found: Iterable[Any] = backend.describe_trails(include_shadow_trails=True)
        return found

    @staticmethod
    def _logs(trail: Any, record: dict[str, Any]) -> bool:
        """Whether the trail is on, and its basic selectors take the event."""
        kinds = ("All", "ReadOnly" if record.get("readOnly") else "WriteOnly")
        chosen = trail.event_selectors or [{}]
        return trail.status.is_logging and any(
            one.get("IncludeManagementEvents", True) and one.get("ReadWriteType", "All") in kinds
            for one in chosen
        )

    # --- operations ---

    def lookup_events(self, response: Any) -> str:
        """https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html"""
        given = json.loads(response.body or "{}")
        self._check_rate()
        size = given.get("MaxResults", MOST_LISTED)
        if not 1 <= size <= MOST_LISTED:
            raise JsonRESTError("InvalidMaxResultsException", "MaxResults must be from 1 to 50.")
        found = self._found(given)
        begin = _place(given)
        answer: dict[str, Any] = {"Events": [_listed(one) for one in found[begin : begin + size]]}
        if len(found) > begin + size:
            answer["NextToken"] = json.dumps({**_question(given), "from": begin + size})
        return json.dumps(answer)

    def _check_rate(self) -> None:
        now = self.now()
        last = [at for at in self.asked_at if now - at < timedelta(seconds=1)]
        self.asked_at = [*last, now]
        if self.throttled or (self.per_second is not None and len(last) >= self.per_second):
            self.throttled -= 1 if self.throttled > 0 else 0
            raise JsonRESTError("ThrottlingException", "Rate exceeded")

    def _found(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        """The newest first."""
        now = self.now()
        since = _moment(given.get("StartTime"), now - KEPT)
        until = _moment(given.get("EndTime"), now)
        if since > until:
            raise JsonRESTError("InvalidTimeRangeException", "StartTime must be before EndTime.")
        matches = _matcher(given.get("LookupAttributes", []))
        found = [
            (at, record)
            for told_at, record in self.history
            if told_at <= now
            and max(since, now - KEPT)
            <= (at := datetime.fromisoformat(record["eventTime"]))
            <= until
            and matches(record)
        ]
        return [record for _, record in sorted(found, key=lambda one: one[0], reverse=True)]


def _matcher(attributes: list[dict[str, str]]) -> Callable[[dict[str, Any]], bool]:
    if len(attributes) > 1:
        message = "The number of lookup attributes must be 1 at most."
        raise JsonRESTError("InvalidLookupAttributesException", message)
    if not attributes:
        return lambda _: True
    key, value = attributes[0]["AttributeKey"], attributes[0]["AttributeValue"]
    return lambda record: value in ATTRIBUTES[key](record)


def _question(given: dict[str, Any]) -> dict[str, Any]:
    """What must be the same with every token."""
    return {name: given.get(name) for name in ("LookupAttributes", "StartTime", "EndTime")}


def _place(given: dict[str, Any]) -> int:
    if "NextToken" not in given:
        return 0
    token = json.loads(given["NextToken"])
    begin = int(token.pop("from"))
    if token != _question(given):
        raise JsonRESTError("InvalidNextTokenException", "The token is of another request.")
    return begin


def _moment(seconds: float | None, otherwise: datetime) -> datetime:
    return otherwise if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _listed(record: dict[str, Any]) -> dict[str, Any]:
    """A record as LookupEvents shows it."""
    return {
        "EventId": record["eventID"],
        "EventName": record["eventName"],
        "ReadOnly": "true" if record.get("readOnly") else "false",
        "AccessKeyId": record.get("userIdentity", {}).get("accessKeyId", ""),
        "EventTime": datetime.fromisoformat(record["eventTime"]).timestamp(),
        "EventSource": record["eventSource"],
        "Username": _username(record),
        "Resources": _resources(record),
        "CloudTrailEvent": json.dumps(record),
    }


def _username(record: dict[str, Any]) -> str:
    identity = record.get("userIdentity", {})
    if "userName" in identity:
        return str(identity["userName"])
    return str(identity.get("arn", "")).rpartition("/")[2]


def _resources(record: dict[str, Any]) -> list[dict[str, str]]:
    """CloudTrail finds them in the record's resources and in some parameters; here it is in all
    whose names end in Id, Identifier or Name.
    """
    found = {
        one["ARN"]: one.get("type", "") for one in record.get("resources") or () if "ARN" in one
    }
    for name, value in _texts(record.get("requestParameters")):
        if name.endswith(("Id", "Identifier", "Name")):
            found.setdefault(value, "")
    return [{"ResourceName": name, "ResourceType": kind} for name, kind in sorted(found.items())]


def _texts(value: Any, name: str = "") -> Iterable[tuple[str, str]]:
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _texts(one, key)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one, name)


# ── Records ───────────────────────────────────────────────────────────────────────────────────────


def record(  # noqa: PLR0913 (each is a field of the record that tests tell apart)
    at: datetime,
    action: str,
    parameters: dict[str, Any] | None = None,
    *,
    role: str = "deployer",
    session: str = "alice",
    account: str = "123456789012",
    region: str = "us-east-1",
    address: str = "198.51.100.7",
    agent: str = "aws-cli/2.17.9 md/Botocore#2.17.9 ua/2.0 os/linux#6.1 lang/python#3.11",
    resources: Iterable[str] = (),
    error: str = "",
    **more: Any,
) -> dict[str, Any]:
    """A record of CloudTrail's of what a session of a role did at a time, which has a zone.

    `action` is service and operation, `ec2 StopInstances`; `parameters` are spelt as CloudTrail
    spells them, from a small letter on; `resources` are ARNs; `error` is an error code such as
    `AccessDenied`; `more` are other fields, in place of those made here.
    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
    """
    service, _, name = action.partition(" ")
    moment = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    made = {
        "eventVersion": "1.11",
        "userIdentity": _session(role, session, account, moment),
        "eventTime": moment,
        "eventSource": f"{service}.amazonaws.com",
        "eventName": name,
        "awsRegion": region,
        "sourceIPAddress": address,
        "userAgent": agent,
        "requestParameters": parameters,
        "responseElements": None,
        "requestID": str(mock_random.uuid4()),
        "eventID": str(mock_random.uuid4()),
        "readOnly": name.startswith(("Get", "List", "Describe", "Lookup", "AssumeRole")),
        "resources": [{"accountId": account, "ARN": one} for one in resources],
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": account,
        "eventCategory": "Management",
        "tlsDetails": {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_128_GCM_SHA256",
            "clientProvidedHostHeader": f"{service}.{region}.amazonaws.com",
        },
    }
    failed = {"errorCode": error, "errorMessage": f"{role} may not {name}"} if error else {}
    return {**made, **failed, **more}


def _session(role: str, session: str, account: str, moment: str) -> dict[str, Any]:
    return {
        "type": "AssumedRole",
        "principalId": f"AROAEXAMPLEEXAMPLE000:{session}",
        "arn": f"arn:aws:sts::{account}:assumed-role/{role}/{session}",
        "accountId": account,
        "accessKeyId": "ASIAEXAMPLEEXAMPLE00",
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": "AROAEXAMPLEEXAMPLE000",
                "arn": f"arn:aws:iam::{account}:role/{role}",
                "accountId": account,
                "userName": role,
            },
            "attributes": {"creationDate": moment, "mfaAuthenticated": "false"},
        },
    }
