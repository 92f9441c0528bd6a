"""The operator's policy: what is read, what is refused and why, and which one is in force."""

import json
import re
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.backups.retention import Keep
from watchkeeper.durations import Duration
from watchkeeper.policy import (
    DEFAULT_BACKUPS_POLICY,
    MOST_PLANS,
    BackupsPolicy,
    PolicyRefused,
    Scripts,
    decide_policy,
    default_backups_policy,
    parse_backups_policy,
    policy_digest,
)
from watchkeeper.schedules import longest_gap

PAGE = Path(__file__).parents[2] / "docs" / "policy.md"
NIGHTLY: dict[str, Any] = {"schedule": "0 2 * * *", "rpo": "26h", "keep": {"daily": 14}}
SCRIPTS = {"document": "watchkeeper-postgresql"}
GOOD = json.dumps({"plans": {"gold": NIGHTLY}})


def with_plan(**changes: object) -> str:
    """A policy with one plan, `gold`, that is good but for the changes."""
    return json.dumps({"plans": {"gold": {**NIGHTLY, **changes}}})


def with_removal(**changes: object) -> str:
    return json.dumps({"plans": {"gold": NIGHTLY}, "removal": changes})


def refusal(text: str) -> PolicyRefused:
    with pytest.raises(PolicyRefused) as refused:
        parse_backups_policy(text)
    return refused.value


# ---------------------------------------------------------------- what is read


def test_a_policy_needs_only_a_plan_and_takes_the_defaults_for_the_rest() -> None:
    policy = parse_backups_policy(GOOD)
    plan = policy.plans["gold"]
    assert (policy.version, policy.choose_by) == (1, "backup-plan")
    assert (plan.zone, plan.floor.count, plan.description) == ("UTC", 3, "")
    assert plan.rpo == Duration(hours=26)
    assert plan.keep == Keep(daily=14)
    assert (plan.point_in_time, plan.scripts) == ("optional", None)
    assert (policy.removal.cap, policy.removal.failed_after) == (1000, Duration(days=1))


def test_every_field_can_be_written() -> None:
    text = json.dumps(
        {
            "version": 1,
            "choose_by": "ops/backup",
            "plans": {
                "eu-prod": {
                    "description": "The shop",
                    "schedule": "30 1,13 * * *",
                    "zone": "Europe/Amsterdam",
                    "rpo": "14h",
                    "keep": {"within": "7d", "monthly": -1, "tags": [["hold"]]},
                    "floor": {"count": 5, "age": "3d"},
                    "point_in_time": "enable",
                    "scripts": {"document": "watchkeeper-shop_db.v2", "timeout": "90s"},
                }
            },
            "removal": {
                "schedule": "0 7 * * MON-FRI",
                "zone": "Europe/Amsterdam",
                "cap": 50,
                "failed_after": "2d",
            },
        }
    )
    policy = parse_backups_policy(text)
    plan = policy.plans["eu-prod"]
    assert plan.when.zone == policy.removal.when.zone == "Europe/Amsterdam"
    assert plan.when.expression == "30 1,13 * * *"
    assert (plan.floor.count, plan.floor.age) == (5, Duration(days=3))
    assert plan.point_in_time == "enable"
    assert plan.scripts == Scripts(document="watchkeeper-shop_db.v2", timeout=timedelta(seconds=90))
    assert policy.removal.cap == 50
    assert parse_backups_policy(policy.model_dump_json()) == policy


@pytest.mark.parametrize(
    "text",
    [
        with_plan(rpo="24h"),  # as long as the longest gap
        with_plan(rpo="24h", keep={"last": 1}),  # reaches back as far as the objective
        with_plan(rpo="8d", schedule="0 2 * * SUN", keep={"daily": 2}),  # days that have one
        with_plan(keep={"daily": 10**30}),
        with_plan(keep={"yearly": -1}),
        with_plan(keep={"within_yearly": "99999y"}),
        with_plan(rpo="1y1m", schedule="0 2 1 1 *", keep={"last": 2}),
        with_plan(floor={"count": 1}),
        with_plan(scripts=None),
        with_plan(scripts={"document": "watchkeeper-" + "d" * 116}),
        with_plan(scripts={**SCRIPTS, "timeout": "5s"}),
        with_plan(scripts={**SCRIPTS, "timeout": "10min"}),
        with_plan(scripts={**SCRIPTS, "timeout": "600s"}),
        with_removal(cap=1),
        with_removal(cap=100_000),
        json.dumps({"plans": {f"p{n}": NIGHTLY for n in range(MOST_PLANS)}}),
        json.dumps({"plans": {"a" * 31: NIGHTLY}}),
        GOOD + " " * (8192 - len(GOOD)),
    ],
)
def test_the_edge_of_what_is_accepted(text: str) -> None:
    assert isinstance(parse_backups_policy(text), BackupsPolicy)


def test_a_policy_cannot_be_changed_once_read() -> None:
    policy = parse_backups_policy(GOOD)
    with pytest.raises(ValueError, match="frozen"):
        policy.removal.cap = 5  # type: ignore[misc]


# ---------------------------------------------------------------- the default


def test_the_default_is_a_policy_that_an_operator_could_have_written() -> None:
    text = json.dumps(DEFAULT_BACKUPS_POLICY)
    assert parse_backups_policy(text) == default_backups_policy()
    assert len(text) < 4096  # fits the free tier of the Parameter Store


def test_the_page_shows_the_default_as_it_is_and_only_good_examples() -> None:
    blocks = PAGE.read_text("utf-8").split("```json\n")[1:]
    examples = [block.split("```")[0] for block in blocks]
    assert json.loads(examples[0]) == DEFAULT_BACKUPS_POLICY
    for example in examples:
        assert isinstance(parse_backups_policy(example), BackupsPolicy)


def test_the_page_names_every_field() -> None:
    page = PAGE.read_text("utf-8")
    plan = default_backups_policy().plans["gold"]
    models = [
        default_backups_policy(),
        plan,
        plan.keep,
        plan.floor,
        default_backups_policy().removal,
        Scripts(document="watchkeeper-x"),
    ]
    for model in models:
        for field in type(model).model_fields:
            assert f"`{field}`" in page


def test_only_gold_expects_point_in_time_recovery_by_default_and_nothing_is_switched_on() -> None:
    plans = default_backups_policy().plans
    asked = {name: plan.point_in_time for name, plan in plans.items()}
    assert asked == {"gold": "expected", "silver": "optional", "bronze": "optional"}
    assert all(plan.scripts is None for plan in plans.values())


@pytest.mark.parametrize("name", ["gold", "silver", "bronze"])
def test_the_default_leaves_time_for_a_backup_to_complete(name: str) -> None:
    plan = default_backups_policy().plans[name]
    assert plan.rpo.approximate() >= longest_gap(plan.when) + timedelta(hours=2)


# ---------------------------------------------------------------- what is refused

REFUSED = [
    # Not JSON, or not quite.
    ("", "line 1, column 1", "not JSON"),
    ("{\n  'plans': 1}", "line 2, column 3", "not JSON"),
    ('{"plans": {};}', "line 1, column 13", "not JSON"),
    ("\ufeff{}", "line 1, column 1", "not JSON"),
    (f'{{"version": {"9" * 5000}}}', "policy", "not JSON that can be read"),
    ('{"plans": "\\ud800"}', "policy", "JSON"),
    ("x" * 8193, "policy", "8193 bytes"),
    ("é" * 4097, "policy", "8194 bytes"),
    (with_removal(cap=float("nan")), "removal.cap", "finite"),
    (with_removal(cap=1).replace("1}}", "1e999}}"), "removal.cap", "finite"),
    (GOOD.replace('"rpo"', '"rpo": "8d", "rpo"'), "plans.gold.rpo", "more than once"),
    ('{"plans": {}, "plans": {}}', "plans", "more than once"),
    # The wrong shape.
    ("[]", "policy", "not an object"),
    ("null", "policy", "not an object"),
    ('"plans"', "policy", "not an object"),
    ("{}", "plans", "missing"),
    ('{"plans": {}}', "plans", "no plan"),
    ('{"plans": null}', "plans", "not an object"),
    ('{"plans": {"gold": null}}', "plans.gold", "not an object"),
    ('{"plans": {"gold": []}}', "plans.gold", "not an object"),
    ('{"plans": {"gold": {}}}', "plans.gold.schedule", "missing"),
    ('{"plans": {"gold": {}}}', "plans.gold.rpo", "missing"),
    ('{"plans": {"gold": {}}}', "plans.gold.keep", "missing"),
    (with_plan(kepe={}), "plans.gold.kepe", "not known"),
    (with_plan(keep={"dayly": 3}), "plans.gold.keep.dayly", "not known"),
    (json.dumps({"plans": {"gold": NIGHTLY}, "version": 2}), "version", "write 1"),
    (json.dumps({"plans": {f"p{n}": NIGHTLY for n in range(MOST_PLANS + 1)}}), "plans", "merge"),
    # Names.
    (json.dumps({"plans": {"none": NIGHTLY}}), "plans.none", "opts out"),
    (json.dumps({"plans": {"Gold": NIGHTLY}}), "plans.Gold", "no name for a plan"),
    (json.dumps({"plans": {"": NIGHTLY}}), 'plans.""', "no name for a plan"),
    (json.dumps({"plans": {"a" * 32: NIGHTLY}}), f"plans.{'a' * 32}", "no name for a plan"),
    (json.dumps({"plans": {"gold\n": NIGHTLY}}), 'plans."gold\\n"', "no name for a plan"),
    (json.dumps({"plans": {"gold": NIGHTLY}, "choose_by": "aws:x"}), "choose_by", "aws:"),
    (json.dumps({"plans": {"gold": NIGHTLY}, "choose_by": "Watchkeeper:x"}), "choose_by", "aws:"),
    (json.dumps({"plans": {"gold": NIGHTLY}, "choose_by": " "}), "choose_by", "no key"),
    (json.dumps({"plans": {"gold": NIGHTLY}, "choose_by": "k" * 129}), "choose_by", "no key"),
    (with_plan(description="two\nlines"), "plans.gold.description", "line ends"),
    (with_plan(description="x" * 201), "plans.gold.description", "200"),
    # Schedules.
    (with_plan(schedule="0 25 * * *"), "plans.gold.schedule", "bad hour"),
    (with_plan(schedule="*/5 * * * *"), "plans.gold.schedule", "5 min apart"),
    (with_plan(schedule=5), "plans.gold.schedule", "not text"),
    (with_plan(zone="Europe/Amstredam"), "plans.gold.zone", "not known"),
    (with_plan(zone=None), "plans.gold.zone", "not text"),
    (with_removal(schedule="daily"), "removal.schedule", "five fields"),
    (with_removal(zone="EST"), "removal.zone", "not known"),
    # The objective.
    (with_plan(rpo="23h"), "plans.gold.rpo", "shorter than the 24h"),
    (with_plan(rpo="24h", zone="Europe/Amsterdam"), "plans.gold.rpo", "shorter than the 25h"),
    (with_plan(rpo="2d", schedule="0 2 * * MON-FRI"), "plans.gold.rpo", "shorter than the 3d"),
    (with_plan(rpo="0h"), "plans.gold.rpo", "no time at all"),
    (with_plan(rpo="-26h"), "plans.gold.rpo", "not a duration"),
    (with_plan(rpo="30m", schedule="0 2 * * *"), "plans.gold.rpo", "longer than 400 days"),
    (with_plan(rpo="99999y"), "plans.gold.rpo", "longer than 400 days"),
    (with_plan(rpo=26), "plans.gold.rpo", "not text"),
    # Retention.
    (with_plan(keep={}), "plans.gold.keep", "keep nothing"),
    (with_plan(keep={"last": 0, "daily": 0}), "plans.gold.keep", "keep nothing"),
    (with_plan(keep={"daily": -2}), "plans.gold.keep.daily", "-2"),
    (with_plan(keep={"daily": 1.5}), "plans.gold.keep.daily", "whole number"),
    (with_plan(keep={"daily": "14"}), "plans.gold.keep.daily", "whole number"),
    (with_plan(keep={"daily": True}), "plans.gold.keep.daily", "whole number"),
    (with_plan(keep={"within": "0d"}), "plans.gold.keep.within", "keeps nothing"),
    (with_plan(keep={"within": "2 weeks"}), "plans.gold.keep.within", "not a duration"),
    (with_plan(keep={"last": 1}), "plans.gold.keep", "reach back about 24h"),
    (with_plan(keep={"within": "12h"}), "plans.gold.keep", "reach back about 12h"),
    (with_plan(keep={"tags": [["hold"]]}), "plans.gold.keep", "reach back"),
    (with_plan(keep={"tags": "hold"}), "plans.gold.keep.tags", "not a list"),
    (with_plan(floor={"count": 0}), "plans.gold.floor.count", "last good"),
    (with_plan(floor={"age": "2d"}), "plans.gold.floor.count", "last good"),
    (with_plan(floor={"count": -1}), "plans.gold.floor.count", "greater than or equal"),
    # Databases, and applications at rest.
    (with_plan(point_in_time="on"), "plans.gold.point_in_time", '"expected" or "enable"'),
    (with_plan(point_in_time=True), "plans.gold.point_in_time", '"optional", '),
    (with_plan(point_in_time=None), "plans.gold.point_in_time", '"optional", '),
    (with_plan(scripts={}), "plans.gold.scripts.document", "missing"),
    (with_plan(scripts="watchkeeper-x"), "plans.gold.scripts", "not an object"),
    (with_plan(scripts={**SCRIPTS, "command": "rm"}), "plans.gold.scripts.command", "not known"),
    (with_plan(scripts={"document": 5}), "plans.gold.scripts.document", "not text"),
    *(
        (with_plan(scripts={"document": name}), "plans.gold.scripts.document", "watchkeeper-")
        for name in (
            "AWS-RunShellScript",
            "postgresql",
            "watchkeeper-",
            "watchkeeper-" + "d" * 117,
            "watchkeeper-a b",
            "watchkeeper-db\n",
            "Watchkeeper-db",
            "arn:aws:ssm:eu-west-1:111122223333:document/watchkeeper-db",
        )
    ),
    *(
        (with_plan(scripts={**SCRIPTS, "timeout": time}), "plans.gold.scripts.timeout", says)
        for time, says in (
            ("2m", "an m alone is a month"),
            ("2 min", "no time"),
            ("", "no time"),
            ("-5s", "no time"),
            ("1h", "no time"),
            (120, "in double quotes"),
            (None, "in double quotes"),
            ("4s", '4s is not between "5s" and "10min"'),
            ("601s", "601s is not between"),
            ("11min", "less than a database may stand still"),
            ("0s", "is not between"),
        )
    ),
    # Removal.
    (with_removal(cap=0), "removal.cap", "greater than or equal"),
    (with_removal(cap=-1), "removal.cap", "greater than or equal"),
    (with_removal(cap=10**30), "removal.cap", "less than or equal"),
    (with_removal(cap="10"), "removal.cap", "whole number"),
    (with_removal(failed_after="0d"), "removal.failed_after", "no time at all"),
]


@pytest.mark.parametrize(("text", "place", "says"), REFUSED)
def test_a_bad_policy_is_refused_naming_place_fault_and_remedy(
    text: str, place: str, says: str
) -> None:
    refused = refusal(text)
    found = [problem for problem in refused.problems if problem.place == place]
    assert any(says in f"{problem.what}: {problem.remedy}" for problem in found), str(refused)
    assert all(problem.what and problem.remedy for problem in refused.problems)
    assert all(str(problem) in str(refused) for problem in found)


@pytest.mark.parametrize("text", ["[" * 8000, '{"plans": {},}'])
def test_what_each_python_reads_in_its_own_way_is_refused_by_all(text: str) -> None:
    """The newest gives up on deep nesting later, and places a comma too many elsewhere."""
    assert "not JSON" in str(refusal(text))


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        (with_plan(kepe={}), 'did you mean "keep"?'),
        (with_plan(keep={"dayly": 3}), 'did you mean "daily"?'),
        (with_removal(limit=3), "known here: cap, failed_after, schedule, zone"),
        (with_plan(zone="Europe/Amstredam"), 'did you mean "Europe/Amsterdam"?'),
        (with_plan(point_in_tim="enable"), 'did you mean "point_in_time"?'),
        (with_plan(scripts={"dokument": "x"}), 'did you mean "document"?'),
        (with_plan(scripts={}), '"document": "watchkeeper-postgresql"'),
        (with_plan(scripts={**SCRIPTS, "timeout": "2m"}), '"90s" or "2min"'),
        (with_plan(rpo="24h", zone="Europe/Amsterdam"), 'at least "25h"'),
        ('{"plans": {"gold": {}}}', '"rpo": "26h"'),
    ],
)
def test_the_remedy_says_what_to_write(text: str, remedy: str) -> None:
    assert any(remedy in problem.remedy for problem in refusal(text).problems)


def test_a_remedy_that_is_followed_is_accepted() -> None:
    for text in ("{}", '{"plans": {}}', '{"plans": {"gold": null}}'):
        (problem,) = refusal(text).problems
        followed = "{" + problem.remedy.removeprefix("write for example ") + "}"
        assert parse_backups_policy(followed).plans


def test_all_problems_are_reported_at_once() -> None:
    text = json.dumps(
        {
            "plans": {
                "gold": {**NIGHTLY, "rpo": "2h"},
                "silver": {**NIGHTLY, "keep": {}, "zone": "Mars/Phobos"},
                "Bronze": NIGHTLY,
            },
            "removal": {"cap": 0},
            "colour": "red",
        }
    ).replace('"cap"', '"cap": 5, "cap"')
    assert sorted(problem.place for problem in refusal(text).problems) == [
        "colour",
        "plans.Bronze",
        "plans.gold.rpo",
        "plans.silver.keep",
        "plans.silver.zone",
        "removal.cap",
        "removal.cap",
    ]


def test_a_plan_reports_each_danger() -> None:
    text = with_plan(rpo="2d", schedule="0 2 * * SUN", keep={"tags": [["a"]]}, floor={"count": 0})
    places = {problem.place for problem in refusal(text).problems}
    assert places == {"plans.gold.rpo", "plans.gold.keep", "plans.gold.floor.count"}


@pytest.mark.parametrize(
    "text",
    [
        with_plan(rpo="AKIA" + "S" * 3000),
        with_plan(keep={"within": "S" * 3000}),
        with_plan(schedule="S" * 3000),
        with_plan(zone="S" * 3000),
        with_plan(description="S" * 3000),
        with_plan(**{"S" * 3000: 1}),
        with_plan(keep={"tags": [["", "S" * 3000]]}),
        with_plan(point_in_time="S" * 3000),
        with_plan(scripts={"document": "S" * 3000}),
        with_plan(scripts={**SCRIPTS, "timeout": "S" * 3000}),
        json.dumps({"plans": {"S" * 3000: NIGHTLY}}),
        json.dumps({"plans": {"gold": NIGHTLY}, "choose_by": "S" * 3000}),
        json.dumps({"version": "S" * 3000}),
        json.dumps("S" * 3000),
        "S" * 3000,
    ],
)
def test_little_of_the_input_is_repeated(text: str) -> None:
    for problem in refusal(text).problems:
        for part in (problem.place, problem.what, problem.remedy):
            assert "S" * 81 not in part
            assert len(part) <= 500


def test_control_characters_of_the_input_are_never_shown() -> None:
    bad = "\x1b[2J\u202e\x00"
    texts = [with_plan(rpo=bad), with_plan(**{bad: 1}), json.dumps({"plans": {bad: NIGHTLY}}), bad]
    for text in texts:
        for problem in refusal(text).problems:
            assert all(c.isprintable() for c in problem.place + problem.what + problem.remedy)


def test_a_flood_of_problems_is_cut_for_people_and_kept_for_programs() -> None:
    refused = refusal(json.dumps({"plans": {"gold": NIGHTLY}, **{f"x{n}": 1 for n in range(50)}}))
    assert len(refused.problems) == 50
    assert "50 problems" in str(refused)
    assert str(refused).endswith("… and 30 more")


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda raw: raw.decode("latin-1")))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_policy_or_refused(text: str) -> None:
    assert refusal(text).problems


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner),
    max_leaves=8,
)


@given(
    path=st.sampled_from(
        [("version",), ("choose_by",), ("plans",), ("plans", "gold"), ("removal",),
         *(("removal", field) for field in ("schedule", "zone", "cap", "failed_after")),
         *(("plans", "gold", field) for field in DEFAULT_BACKUPS_POLICY["plans"]["gold"]),
         *(("plans", "gold", "keep", field) for field in Keep.model_fields),
         ("plans", "gold", "scripts"),
         *(("plans", "gold", "scripts", field) for field in Scripts.model_fields)]
    ),
    value=json_values,
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_one_field_of_anything_is_accepted_or_refused_at_its_place(
    path: tuple[str, ...], value: object
) -> None:
    document = json.loads(json.dumps(DEFAULT_BACKUPS_POLICY))
    document["plans"]["gold"]["scripts"] = dict(SCRIPTS)
    inner = document
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    decision = decide_policy(json.dumps(document), None)
    problems = decision.refused.problems if decision.refused else ()
    assert all(problem.place.startswith((path[0], "policy", "line")) for problem in problems)
    for plan in decision.policy.plans.values():
        assert plan.rpo.approximate() >= longest_gap(plan.when)
        assert plan.floor.count >= 1


# ---------------------------------------------------------------- which policy is in force


@pytest.mark.parametrize(
    ("stored", "last_good", "source", "is_refused", "why"),
    [
        (None, None, "default", False, "no policy parameter"),
        (None, GOOD, "default", False, "no policy parameter"),
        (GOOD, None, "parameter", False, "accepted"),
        (GOOD, "{}", "parameter", False, "accepted"),
        ("{}", GOOD, "last-good", True, "last good policy stays in force"),
        ("{}", None, "default", True, "none was good before"),
        ("{}", '{"old": 1}', "default", True, "no longer accepted"),
        ("", GOOD, "last-good", True, "last good policy stays in force"),
    ],
)
def test_which_policy_is_in_force(
    stored: str | None, last_good: str | None, source: str, is_refused: bool, why: str
) -> None:
    decision = decide_policy(stored, last_good)
    default, good = default_backups_policy(), parse_backups_policy(GOOD)
    assert decision.source == source
    assert decision.policy == (default if source == "default" else good)
    assert (decision.refused is not None) == is_refused
    assert why in decision.why


def test_a_digest_tells_texts_apart() -> None:
    assert policy_digest(GOOD) == policy_digest(str(GOOD))
    assert policy_digest(GOOD) != policy_digest(GOOD + " ")
    assert len(policy_digest("\ud800")) == 16


# ---------------------------------------------------------------- the page on scripts


def shown_document() -> dict[str, Any]:
    page = (PAGE.parent / "application-consistency.md").read_text("utf-8")
    document: dict[str, Any] = yaml.safe_load(page.split("```yaml\n")[1].split("```")[0])
    return document


def test_the_document_shown_is_one_that_can_be_run_as_the_page_says() -> None:
    document = shown_document()
    (step,) = document["mainSteps"]
    command, execution = document["parameters"]["command"], document["parameters"]["executionId"]
    longest = Scripts(document="watchkeeper-postgresql").timeout

    assert {"pre-script", "post-script"} < set(command["allowedValues"])
    assert re.fullmatch(execution["allowedPattern"], "3e0f4b5c-7f1e-5a51-9d6c-0123456789ab")
    assert int(step["inputs"]["timeoutSeconds"]) < longest.total_seconds()


STAND_INS = {
    "mountpoint": "true",
    "runuser": "true",
    "systemd-run": 'test ! -e "$BOX/thaw-timer" && touch "$BOX/thaw-timer"',
    "systemctl": 'rm "$BOX/thaw-timer"',
    "fsfreeze": 'case "$1" in --freeze) test ! -e "$BOX/frozen" && touch "$BOX/frozen" ;;'
    ' *) test ! -e "$BOX/broken" || { echo "fsfreeze: Input/output error" >&2; exit 1; };'
    ' rm "$BOX/frozen" || { echo "fsfreeze: unfreeze failed: Invalid argument" >&2; exit 1; } ;;'
    " esac",
}
"""What the script calls, as far as it can tell from exit codes; the state is files in a folder."""


@pytest.mark.parametrize(
    ("words", "before_the_last", "code", "left"),
    [
        (["dry-run"], "", 0, set()),
        (["pre-script"], "", 0, {"frozen", "thaw-timer"}),
        (["pre-script", "post-script"], "", 0, set()),
        (["pre-script"], "touch $BOX/frozen", 201, {"frozen"}),  # somebody else froze it
        (["pre-script", "pre-script"], "", 201, {"frozen", "thaw-timer"}),
        (["pre-script", "post-script"], "rm $BOX/frozen $BOX/thaw-timer", 203, set()),
        (
            ["pre-script", "post-script"],
            "touch $BOX/broken",
            202,
            {"frozen", "thaw-timer", "broken"},
        ),
        (["post-script"], "", 203, set()),
    ],
)
def test_the_document_shown_freezes_and_thaws(
    tmp_path: Path, words: list[str], before_the_last: str, code: int, left: set[str]
) -> None:
    (script,) = shown_document()["mainSteps"][0]["inputs"]["runCommand"]
    state = tmp_path / "state"
    state.mkdir()
    for name, does in STAND_INS.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{does}\n")
        program.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "BOX": str(state)}
    *first, last = [script.replace("{{ command }}", word) for word in words]

    for text in first:
        subprocess.run(["sh", "-c", text], check=True, env=environment)
    subprocess.run(["sh", "-c", before_the_last], check=True, env=environment)
    ended = subprocess.run(["sh", "-c", last], check=False, env=environment, capture_output=True)

    assert ended.returncode == code
    assert {one.name for one in state.iterdir()} == left
