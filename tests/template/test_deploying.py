"""docs/deploying.md says what the template has."""

import re

import pytest

from tests.template.stack import ROOT, Data, Stack
from tests.template.test_runbooks import assert_understood, commands, operation_model
from watchkeeper import naming

PAGE = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")


def table(heading: str) -> list[list[str]]:
    """The rows of the table under a heading, without its first line."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line[:1] == "|"]
    return rows[2:]


def test_every_parameter_is_explained_with_its_default(source: Data) -> None:
    told = {row[0].strip("`"): row[1].strip("`") for row in table("Parameters")}
    assert told == {
        name: str(parameter["Default"]) or "empty"
        for name, parameter in source["Parameters"].items()
    }


def test_the_deployer_is_given_rights_to_every_service_in_the_template(stack: Stack) -> None:
    rights = " ".join(row[1] for row in table("What the deployer may do"))
    prefixes = set(re.findall(r"`(\w+):", rights))
    services = {resource["Type"].split("::")[1].lower() for resource in stack.resources.values()}
    assert prefixes == services | {"cloudformation", "ssm"}  # where DrillImage is looked up


@pytest.mark.parametrize(
    "logical_id", ["Table", "EvidenceBucket", "IncidentsBucket", "TrailLog", "TopicsKey"]
)
def test_what_stays_after_removal_is_what_the_template_retains(
    stack: Stack, logical_id: str
) -> None:
    section = PAGE.partition("\n## Remove it")[2]
    stays, goes = section.partition("What goes:")[::2]
    words = {
        "Table": "the table",
        "EvidenceBucket": "the evidence bucket",
        "IncidentsBucket": "the bucket of incidents",
        "TrailLog": "the ring of management events",
        "TopicsKey": "their key",
    }
    is_kept = stack.resources[logical_id].get("DeletionPolicy") == "Retain"
    assert words[logical_id] in (stays if is_kept else goes.partition("\n\n")[0])


def test_commands_are_such_as_the_aws_cli_takes() -> None:
    for service, operation, options in commands(PAGE):
        assert_understood(operation_model(service, operation), options)


def test_recovery_points_of_every_kind_are_found_again_by_what_we_put_on_them() -> None:
    section = PAGE.partition("\n## Remove it")[2]
    found_by = {operation: options for _, operation, options in commands(section)}
    assert f"Name=tag:{naming.TAG_STACK}," in found_by["describe-snapshots"]["--filters"][0]
    for operation in ("describe-db-snapshots", "describe-db-cluster-snapshots"):
        assert f"?Key=='{naming.TAG_STACK}' &&" in found_by[operation]["--query"][0]
    (asked,) = found_by["list-backups"]["--query"]
    assert f"starts_with(BackupName, '{naming.table_backups('watchkeeper')}')" in asked


def test_everything_that_the_functions_may_do_is_told_for_each_of_them(stack: Stack) -> None:
    told = {row[0].strip("`"): row[1:3] for row in table("What the functions may do")}
    assert told.keys() == stack.functions.keys()
    makers = [name for name, (makes, _) in told.items() if makes != "nothing"]
    removers = [name for name, (_, removes) in told.items() if removes != "nothing"]
    assert makers == ["TakeBackups", "DrillRestores", "RecoverResources", "TriageIncidents"]
    assert removers == ["ExpireBackups", "DrillRestores"]


@pytest.mark.parametrize("page", ["operating", "policy"])
def test_links_into_another_page_lead_to_its_headings(page: str) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^a-z -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^## (.+)$", text, re.MULTILINE)
    }
    linked = set(re.findall(rf"\({page}\.md#([\w-]+)\)", PAGE))
    assert linked
    assert linked <= headings
