"""Our own Sigma rules: their examples, their form, and that what is shipped is what they say."""

import re
import uuid
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.rules import COMPILED, RULES, all_rules, examples, failing, is_found, main, source
from watchkeeper.triage.audit import shipped
from watchkeeper.triage.sigma import BadRule

FILES = sorted(RULES.glob("*.yml"))
COMPILED_RULES = {one["name"]: one for one in all_rules()}
EXAMPLES = [one for path in FILES for one in examples(path)]
DOCUMENTS: list[dict[str, Any]] = [
    one for path in FILES for one in yaml.safe_load_all(path.read_text())
]


def ids() -> list[str]:
    return [
        f"{name}-{'positive' if positive else 'negative'}-{number}"
        for (name, positive), some in groupby(EXAMPLES, key=lambda one: one[:2])
        for number, _ in enumerate(some)
    ]


@pytest.mark.parametrize(("name", "positive", "events"), EXAMPLES, ids=ids())
def test_each_example_does_what_it_is_for(
    name: str, positive: bool, events: list[dict[str, Any]]
) -> None:
    assert is_found(name, events, COMPILED_RULES) is positive


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda one: str(one["name"]))
def test_each_rule_is_complete(document: dict[str, Any]) -> None:
    given = document["examples"]
    texts = [str(document[key]) for key in ("title", "description", "status", "level")]

    assert str(uuid.UUID(document["id"])) == document["id"]
    assert all(texts)
    assert texts[1].endswith(".")
    assert given["positive"]
    assert given["negative"]
    assert all(re.fullmatch(r"attack\.(t\d{4}(\.\d{3})?|[a-z-]+)", one)
               for one in document.get("tags", ()))  # fmt: skip


def test_whoever_is_told_of_is_told_an_attack_technique() -> None:
    loud = [one for one in COMPILED_RULES.values() if not one["is_silent"]]

    untold = [
        one["name"] for one in loud
        if not any(tag.startswith("T") for tag in one["attack"])
        and one["name"] != "sensitive_act_first_seen"
    ]  # fmt: skip

    assert untold == []


def test_names_and_ids_are_used_once() -> None:
    for key in ("name", "id"):
        values = [one[key] for one in DOCUMENTS]
        assert len(values) == len(set(values))


def test_no_rule_looks_at_what_a_program_calls_itself() -> None:
    text = "".join(path.read_text() for path in FILES).lower()

    assert "useragent" not in text
    assert "stratus" not in text


def test_what_is_shipped_is_what_the_rules_compile_to() -> None:
    assert COMPILED.read_text() == source(all_rules()), "run 'python -m local.rules'"


def test_what_is_shipped_loads_every_rule() -> None:
    rules = shipped()

    assert {*rules.rules, *rules.correlations} == set(COMPILED_RULES)


def test_the_check_is_content_with_what_is_shipped() -> None:
    assert main(["--check"]) == 0


def test_a_dropped_in_rule_is_compiled_with_the_others(tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text(
        "title: Mine\nlogsource: {product: aws, service: cloudtrail}\n"
        "detection: {one: {eventName: CreateTopic}, condition: one}\n"
        "examples: {positive: [{eventName: CreateTopic}], negative: [{eventName: CreateTopic}]}\n"
    )

    assert [one["name"] for one in all_rules(tmp_path)] == ["Mine"]
    assert list(failing(tmp_path / "mine.yml")) == [
        "mine.yml: CreateTopic is wrongly found by Mine"
    ]


def test_a_bad_rule_is_named_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text("title: Mine\ndetection: {condition: nothing}\n")

    with pytest.raises(BadRule, match=r"mine\.yml: Mine: there is no search 'nothing'"):
        all_rules(tmp_path)


def test_the_check_refuses_what_the_rules_do_not_compile_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make check` and `make build` ask it: a rule that was not compiled would not ship."""
    old = tmp_path / "compiled.py"
    old.write_text(COMPILED.read_text() + "# by hand\n")
    monkeypatch.setattr("local.rules.COMPILED", old)
    assert main(["--check"]) == 1
    old.unlink()
    assert main(["--check"]) == 1
