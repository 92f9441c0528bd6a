"""The policy of drills: what is read, what is refused and why, and what it says of a resource."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.drills.model import Level, Questioned
from watchkeeper.drills.policy import (
    DEFAULT_DRILLS_POLICY,
    Budget,
    DrillsPolicy,
    Every,
    PlanDrills,
    Window,
    decide_drills_policy,
    default_drills_policy,
    parse_drills_policy,
)
from watchkeeper.drills.questions import EXAMPLE, DatabaseQuestions, Question, Tag
from watchkeeper.policy import DEFAULT_BACKUPS_POLICY
from watchkeeper.policy_text import PolicyRefused

PAGE = Path(__file__).parents[3] / "docs" / "policy-of-drills.md"
QUERY: dict[str, Any] = {"name": "rows", "query": "select count(*) from orders", "at_least": 1}
SHOP = "arn:aws:rds:eu-west-1:111122223333:db:shop"
OFF = dict.fromkeys((level.value for level in Level), "never")
ON = {"restore": "30d", "check": "30d", "exercise": "365d"}


def policy(**fields: object) -> DrillsPolicy:
    return parse_drills_policy(json.dumps(fields))


def asked(**query: object) -> str:
    """A policy with one question, which is good but for the changes."""
    return json.dumps({"checks": [{**EXAMPLE, "queries": [{**QUERY, **query}]}]})


def refusal(text: str) -> PolicyRefused:
    with pytest.raises(PolicyRefused) as refused:
        parse_drills_policy(text)
    return refused.value


# ---------------------------------------------------------------- what is read


def test_the_default_is_a_policy_that_an_operator_could_have_written() -> None:
    text = json.dumps(DEFAULT_DRILLS_POLICY)
    assert parse_drills_policy(text) == default_drills_policy()
    assert set(DEFAULT_DRILLS_POLICY["plans"]) == set(DEFAULT_BACKUPS_POLICY["plans"])
    written = {name for name in DEFAULT_DRILLS_POLICY if name != "plans"}
    assert {name: getattr(policy(), name) for name in written} == {
        name: getattr(default_drills_policy(), name) for name in written
    }


def test_no_parameter_means_the_default_and_a_bad_one_the_last_good() -> None:
    good = json.dumps({"rto": "2h"})
    assert decide_drills_policy(None, good).policy == default_drills_policy()
    assert decide_drills_policy(good, None).policy.rto.hours == 2
    decision = decide_drills_policy("{", good)
    assert (decision.source, decision.policy.rto.hours) == ("last-good", 2)
    assert "The drills policy is refused: 1 problem." in str(decision.refused)


def test_every_field_can_be_written() -> None:
    text = json.dumps(
        {
            "version": 1,
            "schedule": "30 8 * * MON-FRI",
            "zone": "Europe/Amsterdam",
            "every": {**OFF, "check": "14d", "metadata": "4d"},
            "rto": "12h",
            "plans": {"gold": {"rto": "2h", "every": {"check": "7d", "exercise": "180d"}}},
            "budget": {"at_once": 5, "per_run_usd": 7.5, "per_month_usd": 80},
            "older_points": 2,
            "closed": [{"opens": "0 0 18 12 *", "lasts": "3d", "why": "Peak"}],
            "checks": [{"arn": SHOP, "database": "shop", "queries": [{**QUERY, "at_most": 9.5}]}],
            "sign_off": ["ops@example.com"],
        }
    )
    found = parse_drills_policy(text)
    assert parse_drills_policy(found.model_dump_json()) == found
    assert found.interval("gold", Level.CHECK) == timedelta(days=7)
    assert found.interval("gold", Level.METADATA) == timedelta(days=4)
    assert found.interval("silver", Level.CHECK) == timedelta(days=14)
    assert found.interval("silver", Level.EXERCISE) is None
    assert found.objective("gold") == timedelta(hours=2)
    assert found.objective("unheard-of") == timedelta(hours=12)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        json.dumps({"every": {"exercise": "366d"}}),
        json.dumps({"every": {"exercise": "1y"}}),
        # A daily choice is 25 hours apart once a year, in most of Europe.
        json.dumps({"zone": "Europe/Amsterdam"}),
        # Weekends without restores: metadata and blocks go on.
        json.dumps({"closed": [{"opens": "0 0 * * SAT", "lasts": "2d"}]}),
        json.dumps({"every": OFF | {"metadata": "1d"},
                    "budget": {"at_once": 0, "per_run_usd": 0, "per_month_usd": 0}}),
        json.dumps({"every": OFF | {"metadata": "1d", "blocks": "7d"}, "budget": {"at_once": 0}}),
        json.dumps({"budget": {"at_once": 20, "per_run_usd": 10000, "per_month_usd": 10000}}),
        json.dumps({"plans": {"bronze": {"every": {"restore": "never", "check": None}}}}),
        json.dumps({"rto": "30d", "every": {"restore": "60d", "check": "31d"}}),
        asked(at_least=None, equal="2026.11"),
        asked(at_least=None, newest=True),
        asked(at_least=5, at_most=5),
        asked(query="WITH x AS (SELECT 1) SELECT * FROM x"),
    ],
)  # fmt: skip
def test_the_edge_of_what_is_accepted(text: str) -> None:
    assert isinstance(parse_drills_policy(text), DrillsPolicy)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("[]", "policy", "not an object"),
        ('{"every": {}, "every": {}}', "every", "more than once"),
        ('{"budget": {"per_month_usd": NaN}}', "budget.per_month_usd", "finite"),
        ('{"evry": {}}', "evry", 'did you mean "every"?'),
        ('{"every": {"chek": "1d"}}', "every.chek", 'did you mean "check"?'),
        ('{"plans": {"gold": {"evry": {}}}}', "plans.gold.evry", 'did you mean "every"?'),
        ('{"version": 2}', "version", "write 1"),
        ('{"schedule": "daily"}', "schedule", "five fields"),
        ('{"zone": "EST"}', "zone", "not known"),
        # Intervals.
        ('{"every": {"check": "0d"}}', "every.check", "no interval"),
        ('{"every": {"check": 30}}', "every.check", 'or "never"'),
        ('{"every": {"check": null}}', "every.check", 'or "never"'),
        ('{"every": {"check": "off"}}', "every.check", "not a duration"),
        ('{"every": {"check": "367d"}}', "every.check", "longer than a year"),
        ('{"every": {"metadata": "12h"}}', "every.metadata", "missed on schedule"),
        ('{"schedule": "0 9 * * MON-FRI"}', "every.metadata", 'at least "3d"'),
        ('{"plans": {"gold": {"every": {"blocks": "2h"}}}}', "plans.gold.every.blocks", "24h"),
        (json.dumps({"every": OFF}), "every", "every level is off"),
        (json.dumps({"plans": {"gold": {"every": OFF}}}), "plans.gold.every", "level is off"),
        ('{"plans": {"none": {}}}', "plans.none", "opts out"),
        # Objectives.
        ('{"rto": "30m"}', "rto", "an m is a month"),
        ('{"rto": "0h"}', "rto", "between an hour"),
        ('{"plans": {"gold": {"rto": "31d"}}}', "plans.gold.rto", "30 days"),
        (json.dumps({"every": ON, "plans": {"gold": {"rto": "30d"}}}),
         "plans.gold.every.check", "than the rto"),
        # The budget.
        (json.dumps({"every": ON, "budget": {"at_once": 0}}),
         "budget.at_once", "restore, check, exercise"),
        ('{"budget": {"at_once": 21}}', "budget.at_once", "20"),
        ('{"budget": {"at_once": "3"}}', "budget.at_once", "whole number"),
        ('{"budget": {"per_run_usd": 0}}', "budget.per_run_usd", "put off for good"),
        ('{"budget": {"per_month_usd": 0}}', "budget.per_month_usd", "put off for good"),
        ('{"budget": {"per_month_usd": -1}}', "budget.per_month_usd", "not between 0"),
        ('{"budget": {"per_month_usd": 10001}}', "budget.per_month_usd", "10000"),
        ('{"budget": {"per_month_usd": true}}', "budget.per_month_usd", "not a number"),
        ('{"budget": {"per_run_usd": 26}}', "budget.per_run_usd", "more than per_month_usd"),
        ('{"older_points": 1}', "older_points", "greater than or equal"),
        # Closed times.
        ('{"closed": [{"opens": "0 0 * * *"}]}', "closed.0.lasts", "missing"),
        ('{"closed": [{"opens": "0 0 * * *", "lasts": "3m"}]}', "closed.0.lasts", "62 days"),
        (json.dumps({"every": ON, "closed": [{"opens": "0 0 * * *", "lasts": "1d"}]}),
         "every.check", "what is closed"),
        (json.dumps({"every": ON, "closed": [{"opens": "0 0 1 * *", "lasts": "30d"}]}),
         "every.check", "what is closed"),
        # Questions.
        (asked(query="delete from orders"), "checks.0.queries.0.query", "one question"),
        (asked(query="select 1; drop table x"), "checks.0.queries.0.query", "without a semicolon"),
        (asked(query="selection"), "checks.0.queries.0.query", "one question"),
        (asked(query="select " + "x" * 1000), "checks.0.queries.0.query", "too long"),
        (asked(name="$(reboot)"), "checks.0.queries.0.name", "no name"),
        (asked(name="x" * 61), "checks.0.queries.0.name", "no name"),
        (asked(at_least=None), "checks.0.queries.0.query", "known in one way"),
        (asked(newest=True), "checks.0.queries.0.query", "known in one way"),
        (asked(equal=3), "checks.0.queries.0.query", "known in one way"),
        (asked(at_most=0), "checks.0.queries.0.at_least", "no answer passes"),
        (asked(at_least="1"), "checks.0.queries.0.at_least", "not a number"),
        (asked(newest=1, at_least=None), "checks.0.queries.0.newest", "neither true nor false"),
        ('{"checks": [{"tag": {"key": "a", "value": "b"}, "database": "x", "queries": []}]}',
         "checks.0.queries", "nothing would be asked"),
        (json.dumps({"checks": [{**EXAMPLE, "queries": [QUERY, QUERY]}]}),
         "checks.0.queries", "a name of its own"),
        (json.dumps({"checks": [{**EXAMPLE, "arn": SHOP}]}), "checks.0.tag", "in one way whom"),
        (json.dumps({"checks": [{"database": "x", "queries": [QUERY]}]}), "checks.0.tag", "in one"),
        (json.dumps({"checks": [{**EXAMPLE, "database": "a b"}]}), "checks.0.database", "no name"),
        (json.dumps({"checks": [{"arn": "shop", "database": "x", "queries": [QUERY]}]}),
         "checks.0.arn", "the whole ARN"),
        ('{"sign_off": ["ops"]}', "sign_off.0", "no address"),
        ('{"sign_off": ["a@b.c\\nBcc: x@y.z"]}', "sign_off.0", "no address"),
    ],
)  # fmt: skip
def test_a_bad_policy_is_refused_naming_place_fault_and_remedy(
    text: str, place: str, says: str
) -> None:
    refused = refusal(text)
    found = [problem for problem in refused.problems if problem.place == place]
    assert any(says in f"{problem.what}: {problem.remedy}" for problem in found), str(refused)
    assert all(problem.what and problem.remedy for problem in refused.problems)


def test_all_problems_are_reported_at_once() -> None:
    text = json.dumps(
        {"rto": "0h", "every": {"check": 1}, "budget": {"at_once": -1}, "sign_off": ["x"], "y": 1}
    )
    assert {problem.place for problem in refusal(text).problems} == {
        "rto", "every.check", "budget.at_once", "sign_off.0", "y"
    }  # fmt: skip
    text = json.dumps({"every": {"metadata": "2h", "check": "2y"}, "budget": {"at_once": 0}})
    assert {problem.place for problem in refusal(text).problems} == {
        "every.metadata", "every.check", "budget.at_once"
    }  # fmt: skip


def test_a_danger_that_is_inherited_is_reported_where_it_is_written() -> None:
    text = json.dumps({"every": {"check": "2y"}, "plans": {"gold": {}, "silver": {}}})
    assert [problem.place for problem in refusal(text).problems] == ["every.check"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner),
    max_leaves=8,
)


@given(
    path=st.sampled_from(
        [*((field,) for field in DEFAULT_DRILLS_POLICY),
         *(("every", level.value) for level in Level),
         *(("budget", field) for field in Budget.model_fields),
         *(("plans", "gold", field) for field in PlanDrills.model_fields)]
    ),
    value=json_values,
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_one_field_of_anything_is_accepted_or_refused(path: tuple[str, ...], value: object) -> None:
    document = json.loads(json.dumps(DEFAULT_DRILLS_POLICY))
    inner = document
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    decision = decide_drills_policy(json.dumps(document), None)
    assert decision.refused is None or decision.refused.problems
    assert any(decision.policy.interval("gold", level) for level in Level)


# ---------------------------------------------------------------- what it says of a resource


def test_questions_are_for_the_databases_with_their_arn_or_tag() -> None:
    found = policy(
        checks=[EXAMPLE, {"arn": SHOP, "database": "postgres", "queries": [QUERY]}],
    )
    query = EXAMPLE["queries"][0]
    by_tag = Questioned("shop", query["name"], query["query"], at_least=1000)
    by_arn = Questioned("postgres", **QUERY)
    assert found.questions(SHOP, {}) == [by_arn]
    assert found.questions(SHOP, {"app": "shop"}) == [by_tag, by_arn]
    assert found.questions(f"{SHOP}-2", {"app": "Shop"}) == []


def test_a_closed_time_holds_from_its_first_moment_to_before_its_last() -> None:
    found = policy(
        zone="Europe/Amsterdam", closed=[{"opens": "0 0 18 12 *", "lasts": "16d", "why": "Peak"}]
    )
    opens = datetime(2026, 12, 17, 23, tzinfo=UTC)
    second = timedelta(seconds=1)
    moments = [
        opens - second,
        opens,
        opens + timedelta(days=16) - second,
        opens + timedelta(days=16),
    ]
    assert [bool(found.closed_by(at)) for at in moments] == [False, True, True, False]
    assert list(found.without_closed(moments)) == [moments[0], moments[3]]
    assert found.without_closed([]) == []


# ---------------------------------------------------------------- the page


def test_the_page_shows_the_default_as_it_is_and_only_good_examples() -> None:
    blocks = PAGE.read_text("utf-8").split("```json\n")[1:]
    examples = [block.split("```")[0] for block in blocks]
    assert json.loads(examples[0]) == DEFAULT_DRILLS_POLICY
    assert len(examples) > 2
    for example in examples:
        assert isinstance(parse_drills_policy(example), DrillsPolicy)


def test_the_page_names_every_field() -> None:
    page = PAGE.read_text("utf-8")
    for model in (
        DrillsPolicy, Every, PlanDrills, Budget, Window, DatabaseQuestions, Tag, Question
    ):  # fmt: skip
        for field in model.model_fields:
            assert f"`{field}`" in page
