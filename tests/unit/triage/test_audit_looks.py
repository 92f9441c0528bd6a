"""The look at the audit trail, with a ring, a history and trails that are made up here."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.aws.cloudtrail import record
from watchkeeper.aws.audit_trail import Logging, Read, RingState
from watchkeeper.aws.errors import AwsError, Denied, NotThere
from watchkeeper.triage.audit import suspicious
from watchkeeper.triage.audit_looks import MOST_LOOKUPS, AuditLook, resource_name
from watchkeeper.triage.audit_records import LARGEST, cut, kept
from watchkeeper.triage.changes import changed
from watchkeeper.triage.gathered import (
    Found,
    Gathered,
    Resource,
    Span,
    Trail,
    from_json,
    to_json,
    with_found,
)
from watchkeeper.triage.looking import Asked

MINUTE = timedelta(minutes=1)
BEGAN = datetime(2026, 11, 23, 3, 12, tzinfo=UTC)
PLACE = "us-east-1:123456789012"
ORDERS = f"arn:aws:rds:{PLACE}:db:orders"
REFUSED = Denied("logs:FilterLogEvents", "AccessDeniedException", "not authorized")
ON = Logging(trail="all", since=BEGAN - timedelta(days=90))
OLD = RingState(BEGAN - timedelta(days=90), BEGAN - MINUTE)


@dataclass
class MadeUp:
    """Ring, history and trails in one; what is an error is raised."""

    rung: Sequence[Any] | AwsError = ()
    remembered: Sequence[Any] | AwsError = ()
    logs: Logging | AwsError = ON
    state_: RingState | None = OLD
    cut_since: datetime | None = None
    throttled_from: int = 99
    group: str = "/aws/events/watchkeeper-trail"
    asked: list[tuple[str, str]] = field(default_factory=list)

    def logging(self) -> Logging:
        if isinstance(self.logs, AwsError):
            raise self.logs
        return self.logs

    def state(self) -> RingState | None:
        return self.state_

    def read(self, since: datetime, until: datetime, **_: int) -> Read:
        if isinstance(self.rung, AwsError):
            raise self.rung
        if self.cut_since:
            return Read(tuple(self.rung), 24, self.cut_since, "reading ended after 24 pages")
        return Read(tuple(self.rung), 9, since)

    def look_up(
        self, attribute: str, value: str, since: datetime, until: datetime, *, most_pages: int
    ) -> Read:
        if isinstance(self.remembered, AwsError):
            raise self.remembered
        self.asked.append((attribute, value))
        if len(self.asked) >= self.throttled_from:
            return Read((), 1, until, "throttled", throttled=True)
        return Read(tuple(self.remembered), 1, since)


def look(made_up: MadeUp, after: timedelta = 2 * MINUTE, *arns: str) -> Found:
    """At an incident that began at BEGAN, so long after that."""
    now = BEGAN + after
    resources = [Resource(arn) for arn in arns or (ORDERS,)]
    asked = Asked("orders", 0, Span.of(BEGAN, now), (), resources, {})
    return AuditLook(made_up, made_up, made_up)(asked, now)


def trail(found: Found) -> Trail:
    assert found.trail is not None
    return found.trail


def by_bus(minutes_before: float, action: str = "rds ModifyDBInstance", **more: Any) -> Any:
    """As the ring holds it."""
    at = BEGAN - timedelta(minutes=minutes_before)
    detail = record(at, action, {"dBInstanceIdentifier": "orders"}, **more)
    return {"detail-type": "AWS API Call via CloudTrail", "detail": detail}


def by_history(minutes_before: float, **more: Any) -> Any:
    return {"CloudTrailEvent": json.dumps(by_bus(minutes_before, **more)["detail"])}


def names(found: Found) -> list[str]:
    return [str(one["eventName"]) for one in trail(found).events]


# ── Which source ──────────────────────────────────────────────────────────────────────────────────


def test_the_ring_tells_what_changed_in_the_hour_before() -> None:
    twice = by_bus(4)
    found = look(MadeUp([by_bus(70), twice, twice, by_bus(40, "ec2 StopInstances")]), 20 * MINUTE)

    assert names(found) == ["StopInstances", "ModifyDBInstance"]
    assert trail(found).since == BEGAN - 65 * MINUTE
    assert trail(found).until == BEGAN + 5 * MINUTE
    assert trail(found).source.startswith("the log group /aws/events/watchkeeper-trail")
    assert (trail(found).most, trail(found).silent, found.unchecked) == ("", "", ())
    assert found.used == {"filter_requests": 9}


def test_an_empty_ring_is_not_believed() -> None:
    found = look(MadeUp([], [by_history(4)]))

    assert names(found) == ["ModifyDBInstance"]
    assert "CloudTrail's event history, because nothing is in the log group" in trail(found).source
    assert found.used == {"filter_requests": 9, "lookup_requests": 2}


@pytest.mark.parametrize(
    ("made_up", "because", "silent"),
    [
        (MadeUp(state_=None), "does not exist", ""),
        (MadeUp(logs=Logging(why="there is no trail in this Region")), "told nothing without",
         "no trail logs what is changed: there is no trail in this Region"),
        (MadeUp(state_=RingState(BEGAN - 9 * MINUTE, BEGAN)), "exists only since 2026-11-23 03:03",
         ""),
        (MadeUp(state_=RingState(BEGAN - timedelta(days=9), None)), "for a day", "for a day"),
        (MadeUp(state_=RingState(BEGAN - timedelta(days=9), BEGAN - timedelta(days=2))),
         "for a day", "for a day"),
        (MadeUp(REFUSED), "it could not be read", ""),
    ],
)  # fmt: skip
def test_where_the_ring_cannot_be_relied_on_the_history_is_asked(
    made_up: MadeUp, because: str, silent: str
) -> None:
    made_up.remembered = [by_history(4)]

    found = look(made_up, 20 * MINUTE)

    assert names(found) == ["ModifyDBInstance"]
    assert because in trail(found).source
    assert silent in trail(found).silent
    assert bool(silent) == bool(trail(found).silent)
    assert trail(found).until == BEGAN + 5 * MINUTE


def test_a_trail_that_was_just_switched_on_is_a_finding() -> None:
    found = look(MadeUp([by_bus(4)], logs=Logging("all", BEGAN - 9 * MINUTE)))

    assert trail(found).silent == "the trail all logs only since 2026-11-23 03:03:00 UTC"


def test_without_a_ring_in_the_settings_the_history_is_enough() -> None:
    made_up = MadeUp(remembered=[by_history(4)])
    now = BEGAN + 20 * MINUTE
    asked = Asked("orders", 2, Span.of(BEGAN, now), (), [Resource(ORDERS)], {})

    found = AuditLook(None, made_up, made_up)(asked, now)

    assert names(found) == ["ModifyDBInstance"]
    assert found.unchecked == ()


def test_what_is_done_in_iam_is_asked_for_where_it_is_told() -> None:
    made_up = MadeUp([by_bus(4)])
    iam = MadeUp(remembered=[by_history(5, action="iam CreateUser")])
    now = BEGAN + 20 * MINUTE
    asked = Asked("orders", 2, Span.of(BEGAN, now), (), [Resource(ORDERS)], {})

    found = AuditLook(made_up, made_up, made_up, iam)(asked, now)
    refused = AuditLook(made_up, made_up, made_up, MadeUp(remembered=REFUSED))(asked, now)

    assert names(found) == ["CreateUser", "ModifyDBInstance"]
    assert found.used == {"filter_requests": 9, "lookup_requests": 1}
    assert [one.what for one in refused.unchecked] == ["what was changed in IAM"]


# ── What is not known ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("after", [0, 2, 15, 16])
def test_what_cloudtrail_may_still_tell_is_not_called_complete(after: int) -> None:
    found = look(MadeUp([], []), after * MINUTE)

    until = trail(found).until
    assert until == BEGAN + (after - 15) * MINUTE


def test_nothing_read_is_nothing_known() -> None:
    found = look(MadeUp(REFUSED, REFUSED, REFUSED))

    assert trail(found) == Trail()
    assert [one.what for one in found.unchecked] == [
        "whether a trail logs what is changed",
        "the log group /aws/events/watchkeeper-trail",
        "the event history of CloudTrail",
    ]
    assert all("AccessDenied" in one.why for one in found.unchecked)


def test_a_missing_log_group_is_said_to_be_missing() -> None:
    found = look(MadeUp(state_=None))

    (one,) = found.unchecked
    assert (one.what, one.why) == (
        "the log group /aws/events/watchkeeper-trail", "it does not exist",
    )  # fmt: skip


def test_a_ring_that_goes_between_two_calls_is_unchecked() -> None:
    gone = NotThere("logs:FilterLogEvents", "ResourceNotFoundException", "no such log group")

    found = look(MadeUp(gone, [by_history(4)]))

    assert len(found.unchecked) == 1
    assert names(found) == ["ModifyDBInstance"]


def test_a_ring_that_was_cut_says_from_when_on_it_is_whole() -> None:
    found = look(MadeUp([by_bus(4)], cut_since=BEGAN - 20 * MINUTE), 20 * MINUTE)

    assert trail(found).since == BEGAN - 20 * MINUTE
    assert trail(found).most == "reading ended after 24 pages"


@pytest.mark.parametrize("throttled_from", [1, 2])
def test_a_throttled_history_is_not_clean(throttled_from: int) -> None:
    found = look(MadeUp(state_=None, throttled_from=throttled_from), 20 * MINUTE)

    assert trail(found).until is None
    assert trail(found).most == "throttled"
    assert "what the audit trail lacks" in [one.what for one in found.unchecked]


def test_requests_of_the_history_are_few() -> None:
    made_up = MadeUp(state_=None)
    found = look(made_up, MINUTE, *(f"arn:aws:rds:{PLACE}:db:orders-{n}" for n in range(12)))

    assert found.used["lookup_requests"] <= MOST_LOOKUPS
    assert made_up.asked[0] == ("ResourceName", "orders-0")
    assert made_up.asked[-1] == ("ReadOnly", "false")


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        (ORDERS, "orders"),
        (f"arn:aws:ec2:{PLACE}:instance/i-0123456789abcdef0", "i-0123456789abcdef0"),
        (f"arn:aws:lambda:{PLACE}:function:checkout", "checkout"),
        (f"arn:aws:ecs:{PLACE}:service/shop/checkout", "checkout"),
        (f"arn:aws:logs:{PLACE}:log-group:/aws/lambda/checkout:*", "/aws/lambda/checkout"),
        (f"arn:aws:elasticloadbalancing:{PLACE}:loadbalancer/app/shop/50dc6c495c0c9188",
         f"arn:aws:elasticloadbalancing:{PLACE}:loadbalancer/app/shop/50dc6c495c0c9188"),
        ("arn:aws:s3:::orders", "orders"),
        ("orders", "orders"),
    ],
)  # fmt: skip
def test_a_resource_is_looked_up_by_the_name_that_requests_give_it(arn: str, name: str) -> None:
    assert resource_name(arn) == name


# ── What is kept ──────────────────────────────────────────────────────────────────────────────────


def test_of_too_many_those_are_kept_that_name_a_resource_and_the_newest() -> None:
    at = BEGAN - 50 * MINUTE
    named = record(at, "rds ModifyDBInstance", {"dBInstanceIdentifier": "orders"})
    others = [
        record(at + n * timedelta(seconds=1), "ec2 RunInstances", eventID=str(n))
        for n in range(1, 31)
    ]

    some = kept([named, *others], at, BEGAN, [ORDERS], most=11)

    assert [one["eventID"] for one in some.records] == [
        named["eventID"], *map(str, range(21, 31)),
    ]  # fmt: skip
    assert some.left_out == 20
    assert some.since == at + timedelta(seconds=20)


def test_secrets_are_not_kept() -> None:
    parameters = {"instanceId": "i-0123456789abcdef0", "userData": {"value": "cGFzc3dvcmQ="}}
    event = record(BEGAN, "ec2 ModifyInstanceAttribute", parameters)

    found = look(MadeUp([{"detail": event}]))

    (stored,) = trail(found).events
    assert "cGFzc3dvcmQ=" not in json.dumps(stored)
    assert "value" in stored["requestParameters"]["userData"]


def test_what_is_stored_says_the_same_as_what_was_read() -> None:
    """Who opened the bucket to everybody, and what changed of the database."""
    policy = {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*",
                             "Resource": "*"}]}  # fmt: skip
    opened = record(BEGAN - 9 * MINUTE, "s3 PutBucketPolicy",
                    {"bucketName": "orders", "bucketPolicy": policy})  # fmt: skip
    changed_ = by_bus(4)

    found = look(MadeUp([{"detail": opened}, changed_]))
    read = from_json(to_json(with_found(_gathered(), found))).trail.events

    before = [opened, changed_["detail"]]
    assert suspicious(read) == suspicious(before) != []
    assert changed(read, [ORDERS]) == changed(before, [ORDERS]) != []


def _gathered() -> Gathered:
    return Gathered("orders", 0, BEGAN, Span.of(BEGAN, BEGAN))


HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50)
    | st.sampled_from(["\ud800", "\x00", "x" * 40_000, "</script>", "%s%n", "\u202e"]),
    lambda inner: st.lists(inner, max_size=5)
    | st.dictionaries(st.text(max_size=9) | st.sampled_from(["\ud800"]), inner, max_size=5),
    max_leaves=20,
)  # fmt: skip


@given(fields=st.dictionaries(
    st.sampled_from(["requestParameters", "responseElements", "userIdentity", "resources",
                     "userAgent", "errorCode", "eventName", "eventID", "additional"]),
    HOSTILE, max_size=9,
))  # fmt: skip
def test_whatever_a_record_holds_it_is_stored_and_small(fields: dict[str, Any]) -> None:
    event = {**record(BEGAN - MINUTE, "ec2 RunInstances"), **fields}

    found = look(MadeUp([{"detail": event}]))

    stored = to_json(with_found(_gathered(), found))
    assert len(from_json(stored).trail.events) == 1
    assert len(json.dumps(cut(event), ensure_ascii=False)) <= LARGEST


def test_a_record_is_no_deeper_than_it_may_be() -> None:
    deep: Any = "bottom"
    for _ in range(900):
        deep = {"a": [deep]}

    found = look(MadeUp([{"detail": record(BEGAN, "ec2 RunInstances", deep)}]))

    assert b"(cut)" in to_json(with_found(_gathered(), found))
