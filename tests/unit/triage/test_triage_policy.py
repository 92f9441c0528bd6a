"""The policy of triage: what is read, what is refused and why, and what it says."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.policy_text import PolicyRefused
from watchkeeper.triage.heard import SEVERITIES
from watchkeeper.triage.policy import (
    DEFAULT_TRIAGE_POLICY,
    LogsOf,
    OwnerOf,
    SeverityOf,
    TriagePolicy,
    decide_triage_policy,
    default_triage_policy,
    parse_triage_policy,
)
from watchkeeper.triage.severity import Severity

PAGE = Path(__file__).parents[3] / "docs" / "policy-of-triage.md"
API = "arn:aws:lambda:eu-west-1:111122223333:function:orders-api"
ORDERS = "arn:aws:rds:eu-west-1:111122223333:db:orders"
EDGE = "arn:aws:apigateway:eu-west-1::/restapis/a1b2c3"
DEPLOY = "arn:aws:iam::111122223333:role/deploy-*"


def policy(**fields: object) -> TriagePolicy:
    return parse_triage_policy(json.dumps(fields))


def refusal(text: str) -> PolicyRefused:
    with pytest.raises(PolicyRefused) as refused:
        parse_triage_policy(text)
    return refused.value


# ---------------------------------------------------------------- what is read


def test_the_default_is_a_policy_that_an_operator_could_have_written() -> None:
    text = json.dumps(DEFAULT_TRIAGE_POLICY)
    assert parse_triage_policy(text) == default_triage_policy() == policy()


def test_no_parameter_means_the_default_and_a_bad_one_the_last_good() -> None:
    good = json.dumps({"owner_tag": "team"})
    assert decide_triage_policy(None, good).policy == default_triage_policy()
    assert decide_triage_policy(good, None).policy.owner_tag == "team"
    decision = decide_triage_policy("{", good)
    assert (decision.source, decision.policy.owner_tag) == ("last-good", "team")
    assert "The triage policy is refused: 1 problem." in str(decision.refused)


def test_every_field_can_be_written() -> None:
    text = json.dumps(
        {
            "version": 1,
            "owner_tag": "team",
            "owners": [{"resources": ORDERS, "owner": "dba@example.com"}],
            "default_owner": "team-platform",
            "together_tags": ["aws:cloudformation:stack-name", "app"],
            "logs": [{"resources": "*", "groups": ["/shop/all", "audit#1"]}],
            "calls": {EDGE: [API], API: [ORDERS]},
            "code": [DEPLOY, "arn:aws:sts::*:assumed-role/deploy-*"],
            "severities": [{"alarms": "*-batch-?", "severity": "informational"}],
            "default_severity": "medium",
            "note": "as agreed",
        }
    )
    found = parse_triage_policy(text)
    assert parse_triage_policy(found.model_dump_json()) == found


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"together_tags": []},
        {"owners": [{"resources": "arn:aws:rds:*:*:db:a-*", "owner": "a"},
                    {"resources": "arn:aws:rds:*", "owner": "b"},
                    {"resources": "*", "owner": "c"}]},
        {"owners": [{"resources": f"arn:aws:rds:*:*:db:x{n}", "owner": "o" * 64}
                    for n in range(60)]},
        {"calls": {API: [ORDERS], ORDERS: [API]}},
    ],
)  # fmt: skip
def test_the_edge_of_what_is_accepted(fields: dict[str, Any]) -> None:
    assert isinstance(policy(**fields), TriagePolicy)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("fields", "place", "says"),
    [
        ({"ownr_tag": "x"}, "ownr_tag", 'did you mean "owner_tag"?'),
        ({"version": 2}, "version", "write 1"),
        ({"owner_tag": ""}, "owner_tag", "no key of a tag"),
        ({"owner_tag": "a\nb"}, "owner_tag", "no key of a tag"),
        ({"default_owner": "x" * 65}, "default_owner", "too long"),
        ({"default_owner": "a\u202eb"}, "default_owner", "no name"),
        ({"default_owner": " a"}, "default_owner", "no name"),
        ({"owners": [{"resources": "orders-*", "owner": "a"}]}, "owners.0.resources", "no pattern"),
        ({"owners": [{"resources": "arn:aws:s3: :x", "owner": "a"}]}, "owners.0.resources", "ARNs"),
        ({"owners": [{"resources": "*", "owner": ""}]}, "owners.0.owner", "empty"),
        ({"owners": [{"resources": "*"}]}, "owners.0.owner", "missing"),
        ({"owners": [{"resources": "*", "owner": "a"}, {"resources": ORDERS, "owner": "b"}]},
         "owners.1.resources", "never reached"),
        ({"owners": [{"resources": "*", "owner": "a"}] * 101}, "owners", "too many"),
        ({"together_tags": list("abcdef")}, "together_tags", "too many"),
        ({"together_tags": "service"}, "together_tags", "not a list"),
        ({"logs": [{"resources": "*", "groups": []}]}, "logs.0.groups", "empty"),
        ({"logs": [{"resources": "*", "groups": ["/a *"]}]}, "logs.0.groups.0", "no name of a log"),
        ({"logs": [{"resources": "*", "groups": ["arn:aws:x"]}]}, "logs.0.groups.0", "no name"),
        ({"calls": {API: []}}, f'calls."{API[:80]}"', "empty"),
        ({"calls": {"orders": [API]}}, "calls.orders", "no ARN"),
        ({"calls": {API: ["arn:aws:rds:*:111122223333:db:x"]}}, f'calls."{API}".0', "no ARN"),
        ({"calls": {API: [API]}}, f'calls."{API}"', "calls itself"),
        ({"code": ["*"]}, "code.0", "nearly everybody"),
        ({"code": ["arn:aws:iam::111122223333:role/*"]}, "code.0", "nearly everybody"),
        ({"code": ["arn:aws:iam::111122223333:*"]}, "code.0", "nearly everybody"),
        ({"code": ["arn:aws:iam::*:role/d?*"]}, "code.0", "nearly everybody"),
        ({"code": ["arn:aws:s3:::deploy/x"]}, "code.0", "nearly everybody"),
        ({"severities": [{"alarms": "x", "severity": "p1"}]}, "severities.0.severity", "critical"),
        ({"severities": [{"alarms": "", "severity": "low"}]}, "severities.0.alarms", "no pattern"),
        ({"severities": [{"alarms": "x" * 301, "severity": "low"}]}, "severities.0.alarms", "long"),
        ({"severities": [{"alarms": "a*", "severity": "low"}, {"alarms": "ab", "severity": "low"}]},
         "severities.1.alarms", "never reached"),
        ({"default_severity": "none"}, "default_severity", "critical"),
        ({"note": "a\nb"}, "note", "line ends"),
    ],
)  # fmt: skip
def test_a_bad_policy_is_refused_naming_place_fault_and_remedy(
    fields: dict[str, Any], place: str, says: str
) -> None:
    refused = refusal(json.dumps(fields))
    found = [problem for problem in refused.problems if problem.place == place]
    assert any(says in f"{problem.what}: {problem.remedy}" for problem in found), str(refused)
    assert all(problem.what and problem.remedy for problem in refused.problems)


def test_all_problems_are_reported_at_once() -> None:
    text = json.dumps({"owner_tag": "", "code": ["x"], "default_severity": "x", "y": 1})
    assert {problem.place for problem in refusal(text).problems} == {
        "owner_tag", "code.0", "default_severity", "y"
    }  # fmt: skip
    text = json.dumps({"code": ["*"], "calls": {API: [API]}})
    assert len(refusal(text).problems) == 2


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner),
    max_leaves=8,
)


@given(field=st.sampled_from(list(TriagePolicy.model_fields)), value=json_values)
@settings(max_examples=200)
def test_one_field_of_anything_is_accepted_or_refused(field: str, value: object) -> None:
    decision = decide_triage_policy(json.dumps({**DEFAULT_TRIAGE_POLICY, field: value}), None)
    assert decision.refused is None or decision.refused.problems
    assert decision.policy.severity_of("x") in Severity


# ---------------------------------------------------------------- what it says


def test_the_first_pattern_that_matches_counts() -> None:
    found = policy(
        owners=[
            {"resources": "arn:aws:rds:*:*:db:orders", "owner": "orders"},
            {"resources": "arn:aws:rds:*", "owner": "dba"},
        ],
        default_owner="platform",
        severities=[{"alarms": "*-batch-*", "severity": "low"}],
    )
    assert found.owner_of(ORDERS) == "orders"
    assert found.owner_of(f"{ORDERS}-2") == "dba"
    assert found.owner_of(API) == "platform"
    assert found.severity_of("orders-batch-1") is Severity.LOW
    assert found.severity_of("orders") is Severity.HIGH


def test_log_groups_of_all_patterns_that_match_count() -> None:
    found = policy(
        logs=[
            {"resources": "arn:aws:lambda:*", "groups": ["/a", "/b"]},
            {"resources": "*", "groups": ["/b", "/c"]},
        ]
    )
    assert found.groups_of(API) == ("/a", "/b", "/c")
    assert found.groups_of(ORDERS) == ("/b", "/c")


def test_calls_are_known_from_both_ends() -> None:
    found = policy(calls={EDGE: [API], API: [ORDERS]})
    assert list(found.called_by(API)) == [ORDERS]
    assert list(found.callers_of(API)) == [EDGE]
    assert list(found.called_by(ORDERS)) == []


# ---------------------------------------------------------------- the page


def test_the_page_shows_the_default_as_it_is_and_only_good_examples() -> None:
    blocks = PAGE.read_text("utf-8").split("```json\n")[1:]
    examples = [block.split("```")[0] for block in blocks]
    assert json.loads(examples[0]) == DEFAULT_TRIAGE_POLICY
    assert len(examples) > 2
    for example in examples:
        assert isinstance(parse_triage_policy(example), TriagePolicy)


def test_the_page_names_every_field_and_severity() -> None:
    page = PAGE.read_text("utf-8")
    for model in (TriagePolicy, OwnerOf, LogsOf, SeverityOf):
        for field in model.model_fields:
            assert f"`{field}`" in page
    for severity in Severity:
        assert f"`{severity}`" in page


def test_the_page_says_what_each_word_of_an_alarm_means() -> None:
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    found = {
        word: Severity(row[1])
        for row in cells
        if len(row) == 2 and row[1] in set(Severity)
        for word in row[0].split(", ")
    }
    assert found == SEVERITIES
