"""What is suspicious in an audit trail, and what changed."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.triage.audit import (
    Automation,
    Finding,
    RuleSet,
    changed,
    habits,
    shipped,
    suspicious,
)
from watchkeeper.triage.changes import Actor, Kind, is_change, kind_of
from watchkeeper.triage.policies import derived
from watchkeeper.triage.severity import Severity
from watchkeeper.triage.sigma import from_data
from watchkeeper.triage.sigma_text import compiled, linked
from watchkeeper.triage.trail import records

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ACCOUNT = "111122223333"
OTHER = "444455556666"
THEIRS = f"arn:aws:iam::{OTHER}:role/x"
INSTANCE = f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/i-0123456789abcdef0"
DATABASE = f"arn:aws:rds:us-east-1:{ACCOUNT}:db:shop"


def event(name: str = "StopLogging", after: float = 0, **more: Any) -> dict[str, Any]:
    at = NOON + timedelta(seconds=after)
    return {
        "eventID": f"{name}-{after}",
        "eventName": name,
        "eventSource": "cloudtrail.amazonaws.com",
        "eventTime": at.isoformat().replace("+00:00", "Z"),
        "awsRegion": "us-east-1",
        "recipientAccountId": ACCOUNT,
        "sourceIPAddress": "198.51.100.7",
        "userIdentity": {
            "type": "IAMUser", "accountId": ACCOUNT, "userName": "alice",
            "arn": f"arn:aws:iam::{ACCOUNT}:user/alice",
        },
        **more,
    }  # fmt: skip


def role(name: str, session: str = "s") -> dict[str, Any]:
    return {
        "type": "AssumedRole",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session}",
        "sessionContext": {"sessionIssuer": {"arn": f"arn:aws:iam::{ACCOUNT}:role/{name}"}},
    }


def rules_of(*documents: dict[str, Any]) -> RuleSet:
    return RuleSet(
        from_data(one)
        for one in linked(data for each in documents for data in compiled(json.dumps(each)))
    )


def single(name: str, level: str = "medium") -> dict[str, Any]:
    return {
        "title": name, "name": name, "level": level,
        "detection": {"x": {"eventName": name}, "condition": "x"},
    }  # fmt: skip


def correlation(kind: str, of: list[str], **more: Any) -> dict[str, Any]:
    about = {"type": kind, "rules": of, "timespan": "10m", "group-by": ["userIdentity.arn"]}
    return {"title": kind, "name": kind, "level": "high", "correlation": about | more}


def found(
    events: Iterable[dict[str, Any]], *documents: dict[str, Any], **more: Any
) -> list[tuple[str, ...]]:
    return [one.event_ids for one in suspicious(events, rules=rules_of(*documents), **more)]


# ── Findings ──────────────────────────────────────────────────────────────────────────────────────


def test_a_finding_says_what_was_done_by_whom_when_and_from_where() -> None:
    (finding,) = suspicious([event(requestParameters={"name": "main\x1b[2J"})])

    assert finding == Finding(
        rule="trail_stopped",
        severity=Severity.HIGH,
        why=(
            '"arn:aws:iam::111122223333:user/alice" did cloudtrail StopLogging at 2026-11-23'
            ' 12:00:00 UTC from "198.51.100.7". A trail was stopped or deleted; what follows leaves'
            r' no record. (name "main\u001b[2J")'
        ),
        event_ids=("StopLogging-0",),
        title="Trail stopped or deleted",
        attack=("defense-evasion", "T1562.008"),
        principal="arn:aws:iam::111122223333:user/alice",
        since=NOON,
        until=NOON,
    )


def test_what_one_principal_repeats_is_one_finding() -> None:
    events = [event(after=0), event("DeleteTrail", 60, errorCode="AccessDenied"),
              event(after=120, userIdentity=role("admin"))]  # fmt: skip

    findings = suspicious(events)

    assert [one.event_ids for one in findings] == [
        ("StopLogging-0", "DeleteTrail-60"), ("StopLogging-120",)
    ]  # fmt: skip
    assert "StopLogging, cloudtrail DeleteTrail between 2026-11-23 12:00:00 and 12:01:00 UTC" in (
        findings[0].why
    )
    assert ", in vain. " in findings[0].why
    assert findings[1].principal == f"arn:aws:iam::{ACCOUNT}:role/admin"


def test_the_gravest_comes_first() -> None:
    findings = found(
        [event("A"), event("B", 5), event("C", 10)],
        single("A", "low"), single("B", "critical"), single("C", "critical"),
    )  # fmt: skip

    assert findings == [("B-5",), ("C-10",), ("A-0",)]


def test_repeats_and_order_of_delivery_do_not_matter() -> None:
    events = [event(after=number) for number in range(3)]
    once = suspicious(events)

    for order in permutations([*events, events[0]]):
        assert suspicious(order) == once


@pytest.mark.parametrize(
    "wrapped",
    [
        {"detail-type": "AWS API Call via CloudTrail", "detail": event()},
        {"EventId": "x", "CloudTrailEvent": json.dumps(event())},
    ],
)
def test_events_may_come_wrapped(wrapped: dict[str, Any]) -> None:
    assert suspicious([wrapped]) == suspicious([event()])


@pytest.mark.parametrize(
    "ours", [[f"arn:aws:iam::{ACCOUNT}:role/watchkeeper-*"],
             [f"arn:aws:iam::{ACCOUNT}:role/watchkeeper-patch"]],
)  # fmt: skip
def test_our_own_actions_are_told_by_principal_alone(ours: list[str]) -> None:
    mine = event(userIdentity=role("watchkeeper-patch"))
    claimed = event(after=5, userAgent="watchkeeper-patch")

    assert [one.event_ids for one in suspicious([mine, claimed], ours=ours)] == [("StopLogging-5",)]


# ── Windows ───────────────────────────────────────────────────────────────────────────────────────

FIVE_MINUTES = 300


@pytest.mark.parametrize(
    ("times", "episodes"),
    [
        ([0, 1], []),
        ([0, 1, 2], [(0, 1, 2)]),
        ([0, 300, 600], [(0, 300, 600)]),
        ([0, 300, 601], []),
        ([0, 1, 2, 3, 500], [(0, 1, 2, 3, 500)]),
        ([0, 1, 2, 900, 1400, 1450], [(0, 1, 2), (900, 1400, 1450)]),
        ([0, 400, 500, 800, 1000], [(0, 400, 500, 800, 1000)]),
        ([0, 1, 2, 5000, 9000, 9001, 9002], [(0, 1, 2), (9000, 9001, 9002)]),
    ],
)
def test_bursts(times: list[int], episodes: list[tuple[int, ...]]) -> None:
    rule = correlation("event_count", ["A"], condition={"gte": 3})
    rules = rules_of(single("A"), rule)

    findings = suspicious([event("A", one) for one in times], rules=rules)

    ids = tuple(f"A-{one}" for some in episodes for one in some)
    assert [one.event_ids for one in findings] == ([ids] if ids else [])


def test_bursts_are_of_one_principal() -> None:
    events = [event("A", number, userIdentity=role(f"r{number % 2}")) for number in range(4)]
    rule = correlation("event_count", ["A"], condition={"gte": 3})

    assert found(events, single("A"), rule) == []


def test_different_values_are_counted() -> None:
    rule = correlation("value_count", ["A"], condition={"gte": 2, "field": "requestParameters.x"})
    same = [event("A", number, requestParameters={"x": "1"}) for number in range(5)]
    lists = [event("A", 9, requestParameters={"x": ["2", "3"]})]

    assert found(same, single("A"), rule) == []
    assert found(lists, single("A"), rule) == [("A-9",)]
    assert len(found(same + lists, single("A"), rule)[0]) == 6


@pytest.mark.parametrize(
    ("trail", "ids"),
    [
        ("A0 B5 C9", "A0 B5 C9"),
        ("B0 A5 C9", ""),
        ("A0 A3 B5 C9", "A3 B5 C9"),
        ("C0 B0 A0", "A0 B0 C0"),  # within one second there is no order
        ("A0 B5 C700", ""),
        ("A0 B5 B8 C9 C10", "A0 B8 C9"),
        ("A0 B1 C2 A10 B11 C12", "A0 B1 C2 A10 B11 C12"),
    ],
)
def test_sequences(trail: str, ids: str) -> None:
    events = [event(one[0], int(one[1:])) for one in trail.split()]
    documents = [single(one) for one in "ABC"]

    findings = found(events, *documents, correlation("temporal_ordered", ["A", "B", "C"]))

    wanted = tuple(f"{one[0]}-{one[1:]}" for one in ids.split())
    assert findings == ([wanted] if wanted else [])


@pytest.mark.parametrize(
    ("trail", "ids"), [("B0 A5", "B0 A5"), ("A0 B601", ""), ("A0 A5 B601", "A5 B601"), ("A0", "")]
)
def test_things_that_happen_together(trail: str, ids: str) -> None:
    events = [event(one[0], int(one[1:])) for one in trail.split()]

    findings = found(events, single("A"), single("B"), correlation("temporal", ["A", "B"]))

    wanted = tuple(f"{one[0]}-{one[1:]}" for one in ids.split())
    assert findings == ([wanted] if wanted else [])


def test_one_event_is_not_a_sequence_of_itself() -> None:
    also = single("also") | {"detection": {"x": {"eventName": "A"}, "condition": "x"}}

    assert (
        found([event("A")], single("A"), also, correlation("temporal_ordered", ["A", "also"])) == []
    )


def test_aliases_join_fields_of_different_names() -> None:
    rule = correlation(
        "temporal_ordered", ["A", "B"],
        **{
            "group-by": ["thing"],
            "aliases": {"thing": {"A": "requestParameters.a", "B": "requestParameters.b"}},
        },
    )  # fmt: skip
    first = event("A", requestParameters={"a": "x"})

    for value, findings in (("x", [("A-0", "B-5")]), ("y", [])):
        second = event("B", 5, requestParameters={"b": value})
        assert found([first, second], single("A"), single("B"), rule) == findings


FIRST = correlation("first_seen", ["A"], **{"group-by": ["derived.principal", "eventName"]})


@pytest.mark.parametrize(
    ("trail", "ids"),
    [
        ("A0", []),
        ("B0 A599", []),  # too early to know
        ("B0 A600", [("A-600",)]),
        ("A0 A600 A1200", []),
        ("B0 A700 A800", [("A-700",)]),
    ],
)
def test_what_is_new_after_a_time_to_learn_in(trail: str, ids: list[tuple[str, ...]]) -> None:
    events = [event(one[0], int(one[1:])) for one in trail.split()]

    assert found(events, single("A"), single("B", "low"), FIRST)[:1] == ids or not ids


def test_what_is_new_against_earlier_habits() -> None:
    rules = rules_of(single("A"), FIRST)
    known = habits([event("A", -5000)], rules=rules)
    by_another = event("A", 5, userIdentity=role("r"))

    assert suspicious([event("A")], known=known, rules=rules) == []
    (finding,) = suspicious([event("A"), by_another], known=known, rules=rules)
    assert finding.event_ids == ("A-5",)
    assert suspicious([event("A")], known={}, rules=rules)


def test_habits_of_sessions_are_their_roles() -> None:
    earlier = event("CreateUser", -9, eventSource="iam.amazonaws.com", userIdentity=role("r", "a"))
    later = event("CreateUser", 0, eventSource="iam.amazonaws.com", userIdentity=role("r", "b"))

    assert suspicious([later], known=habits([earlier])) == []
    assert [one.rule for one in suspicious([later], known={})] == ["sensitive_act_first_seen"]


# ── What policies say ─────────────────────────────────────────────────────────────────────────────


def statement(**more: Any) -> str:
    return json.dumps({"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole"} | more})


@pytest.mark.parametrize(
    ("parameters", "fields"),
    [
        ({"policyDocument": statement(Principal={"AWS": OTHER})}, {"otherAccounts": [OTHER]}),
        ({"policyDocument": statement(Principal={"AWS": [THEIRS, ACCOUNT]})},
         {"otherAccounts": [OTHER]}),
        ({"policyDocument": statement(Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"})}, {}),
        ({"policyDocument": statement(Principal={"AWS": OTHER}, Effect="Deny")}, {}),
        ({"policyDocument": statement(Principal={"Service": "ec2.amazonaws.com"})}, {}),
        ({"policyDocument": statement(Principal="*")}, {"anyone": True}),
        ({"policyDocument": statement(Principal={"AWS": "*"})}, {"anyone": True}),
        ({"policyDocument": statement(Principal="*", Condition={"Bool": {}})}, {}),
        ({"bucketPolicy": json.loads(statement(Principal="*"))}, {"anyone": True}),
        ({"policyDocument": quote(statement(Principal="*"))}, {"anyone": True}),
        ({"policy": statement(Action=["s3:*", "*"], Resource=["*"])}, {"fullAccess": True}),
        ({"policy": statement(Action="*", Resource="arn:aws:s3:::b")}, {}),
        ({"policy": statement(Action="*", Resource="*", Condition={"Bool": {}})}, {}),
        ({"principal": OTHER}, {"otherAccounts": [OTHER]}),
        ({"principal": "*"}, {"anyone": True}),
        ({"principal": "events.amazonaws.com"}, {}),
        ({"launchPermission": {"add": {"items": [{"group": "all"}]}}}, {"anyone": True}),
        ({"policyDocument": "{not json"}, {}),
        ({"policyDocument": '"text"'}, {}),
        ({"policyDocument": "[" * 100_000}, {}),
        ({"policyDocument": {"Statement": ["x", None, {"Effect": "Allow", "Principal": 5}]}}, {}),
        ("HIDDEN_DUE_TO_SECURITY_REASONS", {}),
        (None, {}),
    ],
)  # fmt: skip
def test_what_policies_say(parameters: Any, fields: dict[str, Any]) -> None:
    told = derived(event("X", requestParameters=parameters))

    assert told == fields | {"principal": f"arn:aws:iam::{ACCOUNT}:user/alice"}


# ── What changed ──────────────────────────────────────────────────────────────────────────────────


def ec2(name: str, after: float = 0, **more: Any) -> dict[str, Any]:
    return event(name, after, eventSource="ec2.amazonaws.com", **more)


def test_a_change_of_a_resource_is_told() -> None:
    modify = event(
        "ModifyDBInstance", eventSource="rds.amazonaws.com",
        requestParameters={"dBInstanceIdentifier": "shop", "allocatedStorage": 100,
                           "masterUserPassword": "x", "multiAZ": {"value": True}, "tags": []},
    )  # fmt: skip

    (change,) = changed([modify], [DATABASE])

    assert (change.kind, change.actor, change.via) == (Kind.CONFIGURATION, Actor.SOMEBODY, "")
    assert (change.resource, change.at, change.event_id) == (DATABASE, NOON, "ModifyDBInstance-0")
    assert change.why == (
        '"arn:aws:iam::111122223333:user/alice" did rds ModifyDBInstance at 2026-11-23 12:00:00 UTC'
        ' (dBInstanceIdentifier "shop"; allocatedStorage 100; multiAZ true)'
    )


@pytest.mark.parametrize(
    "more",
    [
        {"errorCode": "AccessDenied"},
        {"readOnly": True},
        {"eventName": "DescribeDBInstances"},
        {"awsRegion": "eu-west-1"},
        {"recipientAccountId": OTHER},
        {"eventSource": "dynamodb.amazonaws.com"},
        {"requestParameters": {"dBInstanceIdentifier": "shop-2"}},
        {"requestParameters": None},
    ],
    ids=str,
)
def test_what_is_no_change_of_the_resource(more: dict[str, Any]) -> None:
    modify = event("ModifyDBInstance", eventSource="rds.amazonaws.com",
                   requestParameters={"dBInstanceIdentifier": "shop"})  # fmt: skip

    assert changed([modify], [DATABASE])
    assert changed([modify | more], [DATABASE]) == []


def test_neighbours_are_what_the_events_show_beside_a_resource() -> None:
    both = {"instanceId": "i-0123456789abcdef0", "volumeId": "vol-0123456789abcdef0"}
    attach = ec2("AttachVolume", requestParameters=both)
    request = {"ModifyVolumeRequest": {"VolumeId": "vol-0123456789abcdef0"}}
    resize = ec2("ModifyVolume", 60, requestParameters=request)
    elsewhere = ec2("ModifyVolume", 90, requestParameters={"VolumeId": "vol-0fffffffffffffff0"})

    changes = changed([resize, elsewhere, attach], [INSTANCE])

    assert [(one.event_id, one.resource, one.via) for one in changes] == [
        ("AttachVolume-0", INSTANCE, ""),
        ("ModifyVolume-60", INSTANCE, "vol-0123456789abcdef0"),
    ]


@pytest.mark.parametrize("resource", [INSTANCE, "i-0123456789abcdef0"])
def test_ids_name_a_resource_in_any_service(resource: str) -> None:
    command = event("SendCommand", eventSource="ssm.amazonaws.com",
                    requestParameters={"instanceIds": ["i-0123456789abcdef0"]})  # fmt: skip

    (change,) = changed([command], [resource])

    assert change.kind is Kind.DEPLOY


def called_by(service: str) -> dict[str, Any]:
    return role("admin") | {"invokedBy": service}


AUTOMATION = Automation(
    ours=[f"arn:aws:iam::{ACCOUNT}:role/watchkeeper-*"],
    code=[f"arn:aws:iam::{ACCOUNT}:role/pipeline"],
)


@pytest.mark.parametrize(
    ("more", "actor"),
    [
        ({}, Actor.SOMEBODY),
        ({"userIdentity": role("watchkeeper-take")}, Actor.OURS),
        ({"userIdentity": role("pipeline")}, Actor.CODE),
        ({"userIdentity": called_by("cloudformation.amazonaws.com")}, Actor.CODE),
        ({"userIdentity": called_by("autoscaling.amazonaws.com")}, Actor.AWS),
        ({"userIdentity": {"type": "AWSService", "invokedBy": "rds.amazonaws.com"}}, Actor.AWS),
        ({"userIdentity": role("aws-service-role/rds.amazonaws.com/X")}, Actor.AWS),
        ({"userAgent": "APN/1.0 HashiCorp/1.0 Terraform/1.9.0"}, Actor.CODE),
        ({"userAgent": "aws-cli/2.15 md/installer"}, Actor.SOMEBODY),
        ({"userAgent": 5, "userIdentity": None}, Actor.SOMEBODY),
        ({"requestParameters": {"dBInstanceIdentifier": "shop",
                                "tags": [{"key": "Terraform", "value": "True"}]}}, Actor.CODE),
        ({"requestParameters": {"dBInstanceIdentifier": "shop",
                                "tags": {"aws:cloudformation:stack-name": "x"}}}, Actor.CODE),
        ({"requestParameters": {"dBInstanceIdentifier": "shop",
                                "tags": [{"key": "team", "value": "blue"}]}}, Actor.SOMEBODY),
    ],
)  # fmt: skip
def test_who_is_behind_a_change(more: dict[str, Any], actor: Actor) -> None:
    parameters = {"requestParameters": {"dBInstanceIdentifier": "shop"}}
    modify = event("ModifyDBInstance", eventSource="rds.amazonaws.com", **(parameters | more))

    (change,) = changed([modify], [DATABASE], AUTOMATION)

    assert change.actor is actor


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("lambda UpdateFunctionCode20150331v2", Kind.DEPLOY),
        ("ecs UpdateService", Kind.DEPLOY),
        ("codedeploy CreateDeployment", Kind.DEPLOY),
        ("cloudformation ExecuteChangeSet", Kind.DEPLOY),
        ("ec2 AuthorizeSecurityGroupIngress", Kind.NETWORK),
        ("elasticloadbalancing DeregisterTargets", Kind.NETWORK),
        ("iam AttachRolePolicy", Kind.ACCESS),
        ("s3 PutBucketPolicy", Kind.ACCESS),
        ("autoscaling SetDesiredCapacity", Kind.SCALING),
        ("lambda PutFunctionConcurrency", Kind.SCALING),
        ("ec2 StopInstances", Kind.LIFECYCLE),
        ("rds RebootDBInstance", Kind.LIFECYCLE),
        ("rds ModifyDBParameterGroup", Kind.CONFIGURATION),
        ("ssm PutParameter", Kind.CONFIGURATION),
        ("dynamodb DeleteTable", Kind.DATA),
        ("odd FrobnicateThing", Kind.OTHER),
    ],
)
def test_kinds_of_changes(action: str, kind: Kind) -> None:
    assert kind_of(action) is kind


@pytest.mark.parametrize("name", ["AssumeRole", "BatchGetItem", "GenerateDataKey", "PutLogEvents"])
def test_what_changes_nothing(name: str) -> None:
    assert not is_change(event(name))


# ── Hostile events ────────────────────────────────────────────────────────────────────────────────

HOSTILE = [
    "%s%n{0}{}${jndi:ldap://x}", "\x1b[2J\x07", "a\r\nb", "<script>alert(1)</script>",
    "\ud800\udfff",
    "\x00" * 50, "a" * 1_000_000, "((a+)+)+$", "\u202e\u2066", "9999-99-99T99:99:99Z",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_break_no_report(text: str) -> None:
    hostile = {
        **event(requestParameters={"name": text, "policyDocument": text, "documentName": text}),
        "eventTime": text, "sourceIPAddress": text, "eventID": text, "errorCode": text,
        "userAgent": text, "userIdentity": {"type": text, "arn": text, "userName": text},
    }  # fmt: skip

    findings = suspicious([hostile, hostile | {"eventName": text}], known={})
    changes = changed([hostile, hostile | {"errorCode": ""}], [text])

    for why in [one.why for one in findings] + [one.why for one in changes]:
        assert why.isprintable()
        assert len(why) < 3000
    assert findings


def test_deep_and_wide_events_are_looked_at_in_bounded_time() -> None:
    deep: Any = "x"
    for _ in range(900):
        deep = [{"tags": deep}]
    wide = {f"key-{number}": [f"i-{number:017x}"] * 50 for number in range(2000)}
    odd = [event(requestParameters=one) for one in (deep, wide)]

    assert len(suspicious([odd[0], odd[1] | {"eventID": "2"}])[0].event_ids) == 2
    assert changed(odd, [INSTANCE]) == []


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.text(max_size=20)
    | st.just("2026-11-23T12:00:00Z"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
FIELDS = ["eventName", "eventSource", "eventTime", "eventID", "userIdentity", "requestParameters",
          "responseElements", "resources", "errorCode", "sourceIPAddress", "detail",
          "CloudTrailEvent", "readOnly"]  # fmt: skip


@given(st.lists(anything | st.dictionaries(st.sampled_from(FIELDS), anything), max_size=4))
def test_any_events_are_read(events: list[Any]) -> None:
    assert len(records(events)) <= len(events)
    assert isinstance(suspicious(events, known={}), list)
    assert isinstance(changed(events, [INSTANCE, "x", ""]), list)


@given(st.lists(st.integers(0, 2000), max_size=40), st.integers(2, 6))
def test_a_burst_is_found_exactly_where_there_is_one(times: list[int], least: int) -> None:
    rule = correlation("event_count", ["A"], condition={"gte": least})
    events = [event("A", at, eventID=str(number)) for number, at in enumerate(times)]

    flagged = {int(one) for ids in found(events, single("A"), rule) for one in ids}

    wanted = {
        number
        for number, at in enumerate(times)
        if any(
            start <= at <= start + 600
            and sum(start <= one <= start + 600 for one in times) >= least
            for start in times
        )
    }
    assert flagged == wanted


def test_the_shipped_rules_find_nothing_in_nothing() -> None:
    assert suspicious([]) == []
    assert changed([], []) == []
    assert shipped() is shipped()
