"""Runbook pages: one per alarm, short, and with commands that exist.

Whoever is paged copies commands without reading them twice: a logical id that is gone or an option
that was never there costs the time that the page was to save. Services, operations, options and
their values are checked against botocore, which the AWS CLI is made from.
"""

import json
import re
import shlex
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from botocore.model import OperationModel, ServiceModel
from botocore.session import get_session
from pydantic import TypeAdapter

from tests.template.stack import RUNBOOKS, Stack
from watchkeeper import triggers

PAGES = sorted(RUNBOOKS.glob("*.md"))
LINES_OF_A_SCREEN = 50
COLUMNS_OF_A_SCREEN = 110

OPTIONS_OF_EVERY_COMMAND = {"--query", "--output", "--cli-binary-format"}
OPTIONS_OF_LOGS_TAIL = {"--since", "--filter-pattern"}
"""`aws logs tail` is the CLI's own; botocore does not know it."""

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def test_every_alarm_has_its_page_and_every_page_its_alarm(stack: Stack) -> None:
    named = {
        alarm["AlarmDescription"].rpartition("docs/runbooks/")[2]
        for alarm in stack.of_type("AWS::CloudWatch::Alarm").values()
    }
    assert named == {page.name for page in PAGES}


@every_page
def test_a_page_is_one_screen_with_the_same_four_questions(page: Path, usual: Stack) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("#")] == [
        lines[0],
        "## What it means",
        "## How to look",
        "## What to do",
        "## How it ends",
    ]
    assert len(lines) <= LINES_OF_A_SCREEN
    assert max(map(len, lines)) <= COLUMNS_OF_A_SCREEN
    alarm = lines[0].removeprefix("# ").partition(":")[0]
    description = usual.properties(alarm)["AlarmDescription"]
    assert description.endswith(f"docs/runbooks/{page.name}")


@every_page
def test_links_lead_to_pages_that_are_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        assert (RUNBOOKS / target).is_file(), target


@every_page
def test_commands_name_resources_and_outputs_of_the_template(page: Path, different: Stack) -> None:
    text = page.read_text(encoding="utf-8")
    for logical_id in re.findall(r"\$\(name (\w+)\)", text):
        assert logical_id in different.resources, logical_id
    for output in re.findall(r"OutputKey=='(\w+)'", text):
        assert output in different.document["Outputs"], output


@every_page
def test_index_and_keys_in_commands_are_those_of_the_table(page: Path, usual: Stack) -> None:
    table = usual.properties("Table")
    names = {each["AttributeName"] for each in table["AttributeDefinitions"]}
    indexes = {index["IndexName"] for index in table["GlobalSecondaryIndexes"]}
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r"--index-name (\w+)", text)) <= indexes
    assert set(re.findall(r"--key-condition-expression '(\w+) =", text)) <= names


@every_page
def test_commands_are_such_as_the_aws_cli_takes(page: Path) -> None:
    found = list(commands(page.read_text(encoding="utf-8")))
    assert len(found) >= 3
    for service, operation, options in found:
        if (service, operation) == ("logs", "tail"):
            assert options.keys() <= OPTIONS_OF_LOGS_TAIL
            continue
        assert_understood(operation_model(service, operation), options)


@every_page
def test_events_to_invoke_a_function_with_are_such_as_it_understands(page: Path) -> None:
    for service, operation, options in commands(page.read_text(encoding="utf-8")):
        if (service, operation) == ("lambda", "invoke"):
            (function,), (event,) = options["--function-name"], options["--payload"][:1]
            accepted: dict[str, TypeAdapter[Any]] = {
                "TakeBackups": triggers.take_backups,
                "ExpireBackups": triggers.expire_backups,
                "DrillRestores": triggers.drill_restores,
                "RecoverResources": triggers.recover_resources,
                "SweepRuns": triggers.sweep_runs,
            }
            assert triggers.parse(accepted[function], json.loads(event))


def commands(text: str) -> Iterator[tuple[str, str, dict[str, list[str]]]]:
    """Service, operation and options of each `aws` command, those inside `$(…)` too."""
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        script = block.replace("\\\n", " ")
        script = re.sub(r"\$\(name (\w+)\)", r"\1", script)
        script = re.sub(r"\$\(date [^)]*\)", "2026-11-23T03:12:00Z", script)
        for inner in re.findall(r"\$\((aws [^)]*)\)", script):
            yield parsed(inner)
        script = re.sub(r"\$\(aws [^)]*\)", "inner", script)
        for command in re.findall(
            r"(?:^|\{ )(aws (?:'[^']*'|\"[^\"]*\"|[^'\"\n;])*)", script, re.MULTILINE
        ):
            yield parsed(command)


def parsed(command: str) -> tuple[str, str, dict[str, list[str]]]:
    words = shlex.split(command, comments=True)
    options: dict[str, list[str]] = {}
    values: list[str] = []
    for word in words[3:]:
        if word.startswith("--"):
            values = options.setdefault(word, [])
        else:
            values.append(word)
    return words[1], words[2], options


@lru_cache
def operation_model(command: str, operation: str) -> OperationModel:
    service = "s3" if command == "s3api" else command  # `aws s3` is something of the CLI's own
    loaded = get_session().get_component("data_loader").load_service_model(service, "service-2")
    model = ServiceModel(loaded, service)
    names = {xform_name(name, "-"): name for name in model.operation_names}
    assert operation in names, f"aws {service} has no {operation}"
    return model.operation_model(names[operation])


def assert_understood(model: OperationModel, options: dict[str, list[str]]) -> None:
    shape = model.input_shape
    assert shape is not None
    members = {f"--{xform_name(name, '-')}" for name in shape.members}
    switches = {
        f"--no-{xform_name(name, '-')}"
        for name, member in shape.members.items()
        if member.type_name == "boolean"
    }
    assert options.keys() <= members | switches | OPTIONS_OF_EVERY_COMMAND, model.name
    required = {f"--{xform_name(name, '-')}" for name in shape.required_members}
    assert required <= options.keys(), model.name
    for option, values in options.items():
        for value in values:
            if value.startswith(("{", "[")) and option != "--query":
                json.loads(value)
