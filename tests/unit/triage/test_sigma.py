"""Sigma rules of anybody's: modifiers, conditions, what is refused, and hostile texts."""

import base64
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.triage.severity import Severity
from watchkeeper.triage.sigma import BadRule, Correlation, Rule, Window, from_data, load
from watchkeeper.triage.sigma_text import compiled, linked

EVENT: dict[str, Any] = {
    "eventSource": "iam.amazonaws.com",
    "eventName": "CreateUser",
    "sourceIPAddress": "198.51.100.7",
    "errorCode": None,
    "readOnly": False,
    "recipientAccountId": "111122223333",
    "userIdentity": {
        "type": "IAMUser",
        "userName": "Alice",
        "arn": "arn:aws:iam::111122223333:user/Alice",
        "accountId": "111122223333",
    },
    "requestParameters": {
        "userName": "alice",
        "path": r"C:\temp\file*.txt",
        "port": 22,
        "count": "1500",
        "tags": [{"key": "team", "value": "blue"}, {"key": "stage", "value": "Prod"}],
        "names": ["one", "two"],
        "dotted.key": "here",
        "policyDocument": '{\n "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}',
        "command": "run -enc " + base64.b64encode(b"xx evil command").decode(),
        "empty": "",
        "nothing": [],
    },
    "responseElements": None,
}


def rule_of(detection: object, **more: object) -> str:
    logsource = {"product": "aws", "service": "cloudtrail"}
    return json.dumps({"title": "A rule", "logsource": logsource, "detection": detection} | more)


def matches(search: object) -> bool:
    return load(rule_of({"one": search, "condition": "one"})).matches(EVENT)


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ({"eventName": "CreateUser"}, True),
        ({"eventName": "createuser"}, True),
        ({"eventName|cased": "createuser"}, False),
        ({"eventName|cased": "CreateUser"}, True),
        ({"eventName": ["DeleteUser", "CreateUser"]}, True),
        ({"eventName": "CreateUser", "eventSource": "s3.amazonaws.com"}, False),
        ({"eventName": "Create*"}, True),
        ({"eventName": "*user"}, True),
        ({"eventName": "Create????"}, True),
        ({"eventName": "Create???"}, False),
        ({"eventName": "C*t?U*"}, True),
        ({"eventName": "*"}, True),
        ({"absent": "*"}, False),
        ({"eventName": r"Create\*"}, False),
        ({"requestParameters.path": r"C:\temp\file\*.txt"}, True),
        ({"requestParameters.path": r"C:\\temp\\file\*.txt"}, True),
        ({"requestParameters.path": r"C:\temp\\*"}, True),
        ({"requestParameters.path|endswith": r"\*.txt"}, True),
        ({"requestParameters.path|contains": r"t?mp"}, True),
        ({"eventName|contains": "TEUS"}, True),
        ({"eventName|startswith": ["Delete", "Create"]}, True),
        ({"eventName|endswith": "user"}, True),
        ({"eventName|contains|all": ["create", "user"]}, True),
        ({"eventName|contains|all": ["create", "role"]}, False),
        ({"eventName|neq": "DeleteUser"}, True),
        ({"eventName|neq": "CreateUser"}, False),
        ({"eventName|re": "^Create[A-Z]"}, True),
        ({"eventName|re": "^create"}, False),
        ({"eventName|re|i": "^create"}, True),
        ({"eventName|re": "teU"}, True),
        ({"requestParameters.policyDocument|re": r'"Action":\s*"\*"'}, True),
        ({"requestParameters.policyDocument|re|s": r"^\{.+Allow"}, True),
        ({"requestParameters.policyDocument|re": r"^\{.+Allow"}, False),
        ({"requestParameters.policyDocument|re|m": r'^ "Statement"'}, True),
        ({"sourceIPAddress|cidr": "198.51.100.0/24"}, True),
        ({"sourceIPAddress|cidr": ["10.0.0.0/8", "2001:db8::/32"]}, False),
        ({"eventSource|cidr": "10.0.0.0/8"}, False),
        ({"requestParameters.port": 22}, True),
        ({"requestParameters.port": "22"}, True),
        ({"requestParameters.port|lt": 23}, True),
        ({"requestParameters.port|lte": 22}, True),
        ({"requestParameters.port|gt": 22}, False),
        ({"requestParameters.count|gte": 1500}, True),
        ({"eventName|gte": 0}, False),
        ({"readOnly": False}, True),
        ({"readOnly": "false"}, True),
        ({"readOnly|gte": 0}, False),
        ({"errorCode": None}, True),
        ({"errorCode|exists": False}, True),
        ({"eventName|exists": True}, True),
        ({"eventName|exists": "no"}, False),
        ({"requestParameters.nothing|exists": True}, False),
        ({"requestParameters.empty": ""}, True),
        ({"requestParameters.absent": ""}, False),
        ({"responseElements.user.arn": None}, True),
        ({"eventName": None}, False),
        ({"eventName": [None, "CreateUser"]}, True),
        ({"requestParameters.tags.key": "team"}, True),
        ({"requestParameters.tags.value": "prod"}, True),
        ({"requestParameters.names": "two"}, True),
        ({"requestParameters.names|all": ["one", "two"]}, True),
        ({"requestParameters.dotted.key": "here"}, True),
        ({"requestParameters|contains": '"userName": "alice"'}, True),
        ({"requestParameters|contains": '"userName":"alice"'}, True),
        ({"requestParameters|contains": "userName=alice"}, True),
        ({"requestParameters|contains": "layers="}, False),
        ({"requestParameters.userName|fieldref": "userIdentity.userName"}, True),
        ({"requestParameters.userName|cased|fieldref": "userIdentity.userName"}, False),
        ({"userIdentity.arn|endswith|fieldref": "requestParameters.userName"}, True),
        ({"userIdentity.arn|contains|fieldref": "recipientAccountId"}, True),
        ({"requestParameters.command|base64offset|contains": "evil"}, True),
        ({"requestParameters.command|contains|windash": "/enc "}, False),
        ({"requestParameters.command|contains|windash": "-enc "}, True),
        (["alice", "bob"], True),
        (["bob"], False),
        ("198.51.100", True),
        ({"|all": ["alice", "blue"]}, True),
        ({"|all": ["alice", "green"]}, False),
        ({"|re": "^two$"}, True),
        ([{"eventName": "DeleteUser"}, {"eventName": "CreateUser"}], True),
        ([{"eventName": "DeleteUser"}, "alice"], True),
    ],
    ids=str,
)
def test_what_a_search_finds(search: object, expected: bool) -> None:
    assert matches(search) is expected


@pytest.mark.parametrize("wide", ["utf16le", "wide"])
def test_base64_of_wide_text(wide: str) -> None:
    event = {"x": base64.b64encode("secret".encode("utf-16-le")).decode()}
    rule = load(rule_of({"one": {f"x|{wide}|base64": "secret"}, "condition": "one"}))

    assert rule.matches(event)


@given(st.binary(max_size=8), st.binary(max_size=8), st.text("abcdef", min_size=3, max_size=9))
def test_base64_is_found_at_any_offset(before: bytes, after: bytes, text: str) -> None:
    rule = load(rule_of({"one": {"x|base64offset|contains|cased": text}, "condition": "one"}))

    assert rule.matches({"x": base64.b64encode(before + text.encode() + after).decode()})


SEARCHES = {
    "yes": {"eventName": "CreateUser"},
    "no": {"eventName": "DeleteUser"},
    "filter_one": {"eventName": "DeleteUser"},
    "filter_two": {"eventSource": "iam.amazonaws.com"},
    "_unused": {"eventName": "DeleteUser"},
}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("yes", True),
        ("yes and no", False),
        ("yes or no", True),
        ("not no", True),
        ("not not yes", True),
        ("no and no or yes", True),
        ("no and (no or yes)", False),
        ("not no and yes", True),
        ("not (no or yes)", False),
        ("YES and yes", None),
        ("yes AND NOT no", True),
        ("1 of them", True),
        ("any of filter_*", True),
        ("all of filter_*", False),
        ("all of them", False),
        ("yes and not all of filter_*", True),
        ("yes and not 1 of filter_*", False),
        ("1 of *_two", True),
        ("all of yes*", True),
        (["no", "yes"], True),
        ("((((yes))))", True),
        ("2 of them", None),
        ("1 of nothing*", None),
        ("yes and", None),
        ("(yes", None),
        ("yes)", None),
        ("yes no", None),
        ("nobody", None),
        ("", None),
        (None, None),
        ("(" * 5000 + "yes" + ")" * 5000, None),
    ],
)
def test_conditions(condition: object, expected: bool | None) -> None:
    text = rule_of(SEARCHES | {"condition": condition})
    if expected is None:
        with pytest.raises(BadRule, match="A rule"):
            load(text)
    else:
        assert load(text).matches(EVENT) is expected


@pytest.mark.parametrize(
    ("search", "why"),
    [
        ({"eventName|expand": "%names%"}, "modifier 'expand' of field 'eventName' is not known"),
        ({"eventName|re": "("}, "is no regular expression"),
        ({"eventName|re": "(a+)+$"}, "repeats what repeats"),
        ({"eventName|re": "(?:(?:ab*)?c)*d"}, "repeats what repeats"),
        ({"eventName|re": "(x|y{2,})*"}, "repeats what repeats"),
        ({"eventName|cidr": "300.0.0.0/8"}, "is no network"),
        ({"eventName|gt": "many"}, "is compared with no number"),
        ({"eventName|exists": "perhaps"}, "true or false"),
        ({"eventName": {"a": 1}}, "nest with dots"),
        ({"eventName": []}, "has no values"),
        ({}, "a search is empty"),
        ([], "a search is empty"),
    ],
    ids=str,
)
def test_what_is_refused_in_a_search(search: object, why: str) -> None:
    with pytest.raises(BadRule, match=why):
        load(rule_of({"one": search, "condition": "one"}))


@pytest.mark.parametrize("expression", ["(a+)b+", "(?:abc)+", "[(+*]+x*", r"\(a+\)+", "(a{1,3})+",
                                        "(a*+)+", "((a|b)?c)+"])  # fmt: skip
def test_harmless_regular_expressions_are_taken(expression: str) -> None:
    assert isinstance(matches({"eventName|re": expression}), bool)


def counting(condition: str, kind: str = "event_count", span: str = "5m") -> str:
    about = f"type: {kind}, rules: [a], timespan: {span}, condition: {{{condition}}}"
    return f"title: C\ncorrelation: {{{about}}}"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "there is no rule in it"),
        ("[1, 2", "it is no YAML"),
        ("just words", "a rule is a mapping"),
        ("title: T\ndetection: []", "T: the detection is not a mapping"),
        (rule_of({"condition": "x"}, level="dreadful"), "level 'dreadful' is none of"),
        (rule_of({"a": ["x"], "condition": "a"}, logsource={"product": "windows"}), "windows"),
        (rule_of({"a": ["x"], "condition": "a"}, logsource={"service": "guardduty"}), "guardduty"),
        (rule_of({"a": ["x"], "condition": "a", "timeframe": "5m"}), "one condition that counts"),
        (rule_of({"a": ["x"], "condition": "a | near b"}), "behind the bar is not possible"),
        (rule_of({"a": ["x"], "condition": "a | count() < 5"}), "behind the bar is not possible"),
        (counting("gte: 3"), "says nothing about a single event"),
        (counting("gte: 3", "odd"), "'odd' is none of"),
        (counting("gte: 3", span="soon"), "is not like"),
        (counting("lt: 3"), "one of gt and gte"),
        (counting("gt: 3, lt: 9"), "one of gt and gte"),
        (counting(""), "one of gt and gte"),
        (counting("gt: 3", "value_count"), "needs the field"),
        (counting("gt: 3", "temporal"), "a condition is not possible for temporal"),
    ],
)
def test_what_is_refused_in_a_rule(text: str, why: str) -> None:
    with pytest.raises(BadRule, match=re.escape(why)):
        load(text)


def test_what_a_rule_says_of_itself() -> None:
    rule = load(
        rule_of(
            {"a": {"eventName": ["CreateUser", "DeleteUser"]}, "condition": "a"},
            description="First.\n  Second.",
            level="high",
            tags=["attack.t1098.001", "attack.persistence", "cve.2020-1"],
            fields=["eventName"],
        )
    )

    assert rule.title == rule.name == "A rule"
    assert rule.why == "First. Second."
    assert rule.severity is Severity.HIGH
    assert rule.attack == ("T1098.001", "persistence")
    assert rule.fields == ("eventName",)
    assert rule.events == ("createuser", "deleteuser")


@pytest.mark.parametrize(
    ("condition", "events"),
    [
        ("a", ["createuser"]),
        ("a or b", ["createuser", "deleteuser"]),
        ("a and c", ["createuser"]),
        ("a or c", []),
        ("not a", []),
        ("c and not a", []),
        ("(a or b) and not c", ["createuser", "deleteuser"]),
    ],
)
def test_which_events_a_rule_is_tried_on(condition: str, events: list[str]) -> None:
    searches = {
        "a": {"eventName": "CreateUser"},
        "b": {"eventName": "DeleteUser"},
        "c": {"eventSource": "iam.amazonaws.com"},
    }

    assert compiled(rule_of(searches | {"condition": condition}))[0]["events"] == events


def test_the_older_way_to_count_is_a_correlation() -> None:
    counting = {
        "a": {"eventName": "CreateUser"},
        "condition": "a | count() by userIdentity.arn > 4",
    }
    part, whole = map(from_data, linked(compiled(rule_of(counting | {"timeframe": "15m"}))))

    assert isinstance(part, Rule)
    assert part.is_silent
    assert part.matches(EVENT)
    assert isinstance(whole, Correlation)
    assert whole.window is Window.COUNT
    assert (whole.at_least, whole.seconds, whole.by) == (5, 900, ("userIdentity.arn",))
    assert load(rule_of(counting)).matches(EVENT)


def test_what_was_compiled_survives_being_stored() -> None:
    stored = json.loads(json.dumps(linked(compiled(rule_of(SEARCHES | {"condition": "yes"})))))

    rule = from_data(stored[0])

    assert isinstance(rule, Rule)
    assert rule.matches(EVENT)


COUNT = {"type": "event_count", "timespan": "5m", "condition": {"gte": 2}}


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ([{"name": "a"}, {"name": "a"}], "there is another rule 'a'"),
        ([{"name": "c", "correlation": COUNT | {"rules": ["a"]}}], "there is no rule 'a'"),
        ([{"name": "c", "correlation": COUNT | {"rules": ["c"]}}], "it waits for itself"),
    ],
)
def test_rules_that_do_not_go_together(rules: list[dict[str, Any]], why: str) -> None:
    detection = {"x": ["x"], "condition": "x"}
    texts = [json.dumps({"title": "R", "detection": detection} | one) for one in rules]

    with pytest.raises(BadRule, match=why):
        linked([data for text in texts for data in compiled(text)])


def test_correlations_name_rules_by_id_and_come_behind_them() -> None:
    first = {"title": "C", "name": "c", "correlation": COUNT | {"rules": ["0001"]}}
    second = {"title": "A", "name": "a", "id": "0001", "detection": {"x": ["x"], "condition": "x"}}

    rules = linked([*compiled(json.dumps(first)), *compiled(json.dumps(second))])

    assert [one["name"] for one in rules] == ["a", "c"]
    assert rules[1]["of"] == ["a"]
    assert [one["is_silent"] for one in rules] == [True, False]


# ── Hostile texts ─────────────────────────────────────────────────────────────────────────────────

HOSTILE = [
    "%s%n{0}{}${jndi:ldap://x}", "\x1b[2J\x07", "a\r\nb", "<script>alert(1)</script>",
    "\ud800\udfff",
    "\x00" * 50, "a" * 1_000_000, "*" * 5000, "(" * 5000, "((a+)+)+$", "\u202e\u2066", "Ⅷ ß ſ K",
]  # fmt: skip
EVERY_TEST: list[dict[str, Any]] = [
    {"eventName": "*a*a*a*b"}, {"eventName|contains": "a?a*b"}, {"eventName|re": "a*b"},
    {"eventName|cidr": "10.0.0.0/8"}, {"eventName|gte": 5}, {"eventName|startswith": "x"},
    {"eventName|fieldref": "eventSource"}, {"requestParameters|contains": "x"}, {"|re": "zzz$"},
    {"eventName.deeper.still": "x"}, {"derived.fullAccess": True},
]  # fmt: skip


@pytest.mark.parametrize("search", EVERY_TEST, ids=str)
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_are_only_texts(search: dict[str, Any], text: str) -> None:
    event = {
        "eventName": text,
        "eventSource": [text, {text: text}],
        "requestParameters": {text: [[text]], "policyDocument": text},
    }

    assert isinstance(load(rule_of({"a": search, "condition": "a"})).matches(event), bool)


def test_what_is_nested_without_end_is_looked_at_as_far_as_it_goes() -> None:
    deep: dict[str, Any] = {}
    for _ in range(3000):
        deep = {"requestParameters": [deep]}
    for search in EVERY_TEST:
        assert not load(rule_of({"a": search, "condition": "a"})).matches(deep)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["eventName", "eventSource", "requestParameters"]), anything)
)
def test_any_event_is_decided(event: dict[str, Any]) -> None:
    for search in EVERY_TEST:
        rule = load(rule_of({"a": search, "condition": "a"}))
        opposite = load(rule_of({"a": search, "condition": "not a"}))
        assert rule.matches(event) is not opposite.matches(event)


@given(st.text("ab*?", max_size=12), st.text("ab", max_size=16))
def test_stars_mean_what_they_mean_in_regular_expressions(pattern: str, text: str) -> None:
    if not pattern:
        return
    rule = load(rule_of({"one": {"x|cased": pattern}, "condition": "one"}))
    expression = "".join({"*": ".*", "?": "."}.get(one, re.escape(one)) for one in pattern)

    assert rule.matches({"x": text}) is bool(re.fullmatch(expression, text, re.DOTALL))
