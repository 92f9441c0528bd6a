"""The audit trail read from the box: asserted on what is read."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.aws import cloudtrail
from local.aws.cloudtrail import record
from local.pace import INSTANT
from tests.local.service_box import ACCOUNT, REGION, TWO_O_CLOCK, ServiceBox, service_box
from watchkeeper.aws.audit_trail import EventHistory, Logging, Ring, Trails
from watchkeeper.aws.errors import NotThere, Refused
from watchkeeper.triage.trail import records

GROUP = "/aws/events/watchkeeper-trail"
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
ORDERS = f"arn:aws:rds:{REGION}:{ACCOUNT}:db:orders"


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceBox]:
    with service_box(ServiceBox, cloudtrail, pace=INSTANT) as box:
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        yield box


@pytest.fixture
def cloud_trail(box: ServiceBox) -> cloudtrail.Trails:
    found = cloudtrail.installed_in(box)
    found.told_after = timedelta(0)
    return found


def ids(events: Any) -> list[str]:
    """In the order of their times."""
    return [one.id for one in records(events)]


# ── The ring ──────────────────────────────────────────────────────────────────────────────────────


def keep(box: ServiceBox, *messages: str, at: datetime) -> None:
    """Put messages into the ring; AWS takes them from the last 14 days."""
    logs = box.client("logs")
    events = [{"timestamp": int(at.timestamp() * 1000), "message": one} for one in messages]
    logs.put_log_events(logGroupName=GROUP, logStreamName="bus", logEvents=events)


def told(event_id: str, at: datetime) -> str:
    """A message as EventBridge writes it: the whole event."""
    detail = record(at, "rds ModifyDBInstance", {"dBInstanceIdentifier": "orders"})
    return json.dumps({"source": "aws.rds", "detail": {**detail, "eventID": event_id}})


@pytest.fixture
def ring(box: ServiceBox) -> Ring:
    logs = box.client("logs")
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName="bus")
    return Ring(GROUP)


def test_the_ring_is_read_between_two_times(box: ServiceBox, ring: Ring) -> None:
    for minutes in (100, 70, 35, 5):
        at = TWO_O_CLOCK - minutes * MINUTE
        keep(box, told(f"before-{minutes}", at), at=at)

    read = ring.read(TWO_O_CLOCK - 80 * MINUTE, TWO_O_CLOCK, most_pages=20, most_events=100)

    assert ids(read.events) == ["before-70", "before-35", "before-5"]
    assert (read.since, read.most) == (TWO_O_CLOCK - 80 * MINUTE, "")


@pytest.mark.parametrize(("most_pages", "most_events"), [(2, 100), (20, 2)])
def test_what_is_cut_off_is_the_oldest_and_it_is_said(
    box: ServiceBox, ring: Ring, most_pages: int, most_events: int
) -> None:
    for minutes in (55, 15, 5):
        at = TWO_O_CLOCK - minutes * MINUTE
        keep(box, told(f"before-{minutes}", at), at=at)

    read = ring.read(
        TWO_O_CLOCK - HOUR, TWO_O_CLOCK, most_pages=most_pages, most_events=most_events
    )

    assert ids(read.events) == ["before-15", "before-5"]
    assert read.since == TWO_O_CLOCK - 20 * MINUTE
    assert "reading ended after 2 pages with 2 events" in read.most


@pytest.mark.parametrize(
    "text",
    ["", "no JSON", "[1]", '"text"', "[" * 100_000, "9" * 5_000, '{"a":' * 2_000, "x" * 400_000],
)
def test_what_is_no_event_is_left_out(box: ServiceBox, ring: Ring, text: str) -> None:
    keep(box, text or " ", told("whole", TWO_O_CLOCK - MINUTE), at=TWO_O_CLOCK - MINUTE)

    read = ring.read(TWO_O_CLOCK - HOUR, TWO_O_CLOCK, most_pages=20, most_events=100)

    assert ids(read.events) == ["whole"]


def test_the_state_of_the_ring_is_since_when_it_is_and_when_something_came_last(
    box: ServiceBox, ring: Ring
) -> None:
    empty = ring.state()
    keep(box, told("one", TWO_O_CLOCK), at=TWO_O_CLOCK - MINUTE)
    filled = ring.state()

    assert empty is not None
    assert filled is not None
    assert (empty.created_at, empty.last_at) == (TWO_O_CLOCK, None)
    assert filled == replace(empty, last_at=TWO_O_CLOCK - MINUTE)


def test_a_ring_that_is_not_there_is_told_apart_from_an_empty_one(box: ServiceBox) -> None:
    box.client("logs").create_log_group(logGroupName=f"{GROUP}-of-another-stack")

    assert Ring(GROUP).state() is None
    with pytest.raises(NotThere):
        Ring(GROUP).read(TWO_O_CLOCK - HOUR, TWO_O_CLOCK, most_pages=9, most_events=9)


# ── The event history ─────────────────────────────────────────────────────────────────────────────


def test_events_are_looked_up_by_one_attribute(cloud_trail: cloudtrail.Trails) -> None:
    at = TWO_O_CLOCK - MINUTE
    named = {"dBInstanceIdentifier": "orders"}
    write = cloud_trail.happened(record(at, "rds ModifyDBInstance", named))
    cloud_trail.happened(record(at, "rds DescribeDBInstances", named))
    other = cloud_trail.happened(record(at, "ec2 StopInstances", {"instanceId": "i-0abc"}))
    ask = EventHistory().look_up

    by_name = ask("ResourceName", "orders", at, TWO_O_CLOCK, most_pages=1)
    writes = ask("ReadOnly", "false", at, TWO_O_CLOCK, most_pages=1)

    assert len(by_name.events) == 2
    assert sorted(ids(writes.events)) == sorted([write, other])
    assert (writes.requests, writes.since, writes.most) == (1, at, "")


def test_pages_end_with_the_newest_and_say_from_when_on(cloud_trail: cloudtrail.Trails) -> None:
    for seconds in range(120):
        cloud_trail.happened(
            record(TWO_O_CLOCK - seconds * timedelta(seconds=1), "ec2 RunInstances")
        )
    ask = EventHistory().look_up

    some = ask("ReadOnly", "false", TWO_O_CLOCK - HOUR, TWO_O_CLOCK, most_pages=2)
    everything = ask("ReadOnly", "false", TWO_O_CLOCK - HOUR, TWO_O_CLOCK, most_pages=9)

    assert (len(some.events), some.since) == (100, TWO_O_CLOCK - timedelta(seconds=99))
    assert some.most == "only the newest 100 were read"
    assert (len(everything.events), everything.requests, everything.most) == (120, 3, "")


def test_throttling_ends_it_with_what_there_is(cloud_trail: cloudtrail.Trails) -> None:
    for _ in range(60):
        cloud_trail.happened(record(TWO_O_CLOCK - MINUTE, "ec2 RunInstances"))
    cloud_trail.per_second = 1

    read = EventHistory().look_up(
        "ReadOnly", "false", TWO_O_CLOCK - HOUR, TWO_O_CLOCK, most_pages=9
    )

    assert len(read.events) == 50
    assert read.throttled
    assert read.since == TWO_O_CLOCK - MINUTE
    assert "two such questions a second" in read.most


def test_nothing_is_sure_where_the_first_question_is_throttled(
    cloud_trail: cloudtrail.Trails,
) -> None:
    cloud_trail.throttled = -1

    read = EventHistory().look_up(
        "ReadOnly", "false", TWO_O_CLOCK - HOUR, TWO_O_CLOCK, most_pages=9
    )

    assert (read.events, read.since, read.throttled) == ((), TWO_O_CLOCK, True)


def test_the_history_of_another_region_is_another(cloud_trail: cloudtrail.Trails) -> None:
    assert EventHistory("eu-west-1").client.meta.region_name == "eu-west-1"
    assert EventHistory().client.meta.region_name == REGION


def test_what_is_refused_raises(cloud_trail: cloudtrail.Trails) -> None:
    with pytest.raises(Refused):
        EventHistory().look_up("ReadOnly", "false", TWO_O_CLOCK, TWO_O_CLOCK - HOUR, most_pages=1)


# ── The trails ────────────────────────────────────────────────────────────────────────────────────


def test_without_a_trail_nothing_is_told(cloud_trail: cloudtrail.Trails) -> None:
    assert Trails().logging() == Logging(why="there is no trail in this Region")


def test_a_trail_that_logs_is_named(cloud_trail: cloudtrail.Trails) -> None:
    cloud_trail.log("all-regions")

    assert Trails().logging() == Logging(trail="all-regions", since=TWO_O_CLOCK)


def test_a_trail_that_is_switched_off_is_said_to_be(
    box: ServiceBox, cloud_trail: cloudtrail.Trails
) -> None:
    box.client("cloudtrail").stop_logging(Name=cloud_trail.log("all-regions"))

    assert Trails().logging() == Logging(
        why="all-regions is switched off since 2026-11-23 02:00 UTC"
    )


BASIC = "EventSelectors"
ADVANCED = "AdvancedEventSelectors"


@pytest.mark.parametrize(
    ("selectors", "logs"),
    [
        ({BASIC: [{"ReadWriteType": "All", "IncludeManagementEvents": True}]}, True),
        ({BASIC: [{"ReadWriteType": "WriteOnly", "IncludeManagementEvents": True}]}, True),
        ({BASIC: [{"ReadWriteType": "ReadOnly", "IncludeManagementEvents": True}]}, False),
        ({BASIC: [{"ReadWriteType": "All", "IncludeManagementEvents": False}]}, False),
        ({ADVANCED: [{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Data"]}]}]}, False),
        ({ADVANCED: [{"FieldSelectors": [
            {"Field": "eventCategory", "Equals": ["Management"]},
        ]}]}, True),
        ({ADVANCED: [{"FieldSelectors": [
            {"Field": "eventCategory", "Equals": ["Management"]},
            {"Field": "readOnly", "Equals": ["true"]},
        ]}]}, False),
    ],
)  # fmt: skip
def test_what_a_trail_logs_is_what_its_selectors_choose(
    box: ServiceBox, cloud_trail: cloudtrail.Trails, selectors: dict[str, Any], logs: bool
) -> None:
    arn = cloud_trail.log("chosen")
    box.client("cloudtrail").put_event_selectors(TrailName=arn, **selectors)

    found = Trails().logging()

    assert found.trail == ("chosen" if logs else "")
    assert found.why == ("" if logs else "chosen logs no management events that write")


def test_a_second_trail_that_logs_is_enough(
    box: ServiceBox, cloud_trail: cloudtrail.Trails
) -> None:
    box.client("cloudtrail").stop_logging(Name=cloud_trail.log("a-first"))
    cloud_trail.log("b-second")

    assert Trails().logging().trail == "b-second"


# ── The box itself ────────────────────────────────────────────────────────────────────────────────


def code(call: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**request)
    return str(refused.value.response["Error"]["Code"])


def test_the_box_looks_up_as_cloudtrail_does(
    box: ServiceBox, cloud_trail: cloudtrail.Trails
) -> None:
    """https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html"""
    ask = box.client("cloudtrail").lookup_events
    for _ in range(3):
        cloud_trail.happened(record(TWO_O_CLOCK, "ec2 RunInstances"))
    cloud_trail.happened(record(TWO_O_CLOCK - timedelta(days=91), "ec2 RunInstances"))
    one = {"AttributeKey": "EventName", "AttributeValue": "RunInstances"}

    page = ask(LookupAttributes=[one], MaxResults=2)

    assert len(page["Events"]) == 2
    assert page["Events"][0]["Username"] == "alice"
    last = ask(LookupAttributes=[one], MaxResults=2, NextToken=page["NextToken"])
    assert (len(last["Events"]), last.get("NextToken")) == (1, None)
    assert code(ask, MaxResults=2, NextToken=page["NextToken"]) == "InvalidNextTokenException"
    assert code(ask, LookupAttributes=[one, one]) == "InvalidLookupAttributesException"
    assert code(ask, MaxResults=51) == "InvalidMaxResultsException"


def test_the_box_tells_later_and_the_bus_only_while_a_trail_logs(
    box: ServiceBox, cloud_trail: cloudtrail.Trails
) -> None:
    cloud_trail.told_after = 5 * MINUTE
    ask = box.client("cloudtrail").lookup_events
    cloud_trail.happened(record(TWO_O_CLOCK, "ec2 RunInstances"))
    at_once = ask()["Events"]
    box.clock.run_for(6 * MINUTE)
    untold = list(box.events.sent)
    arn = cloud_trail.log()
    cloud_trail.happened(record(box.clock.now(), "ec2 StopInstances"))
    cloud_trail.happened(
        record(box.clock.now(), "signin ConsoleLogin", eventType="AwsConsoleSignIn")
    )
    box.clock.run_for(6 * MINUTE)
    box.client("cloudtrail").stop_logging(Name=arn)

    assert (at_once, untold) == ([], [])
    assert len(ask()["Events"]) == 3
    assert [one["detail-type"] for one in box.events.sent] == [
        "AWS API Call via CloudTrail", "AWS Console Sign In via CloudTrail",
    ]  # fmt: skip
    assert box.events.sent[0]["source"] == "aws.ec2"
