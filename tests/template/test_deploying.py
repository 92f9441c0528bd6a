"""docs/deploying.md says what the template has."""

import re

import pytest

from tests.template.stack import ROOT, Data, Stack

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
    assert prefixes == services | {"cloudformation"}


@pytest.mark.parametrize("logical_id", ["Table", "EvidenceBucket", "TopicsKey"])
def test_what_stays_after_removal_is_what_the_template_retains(
    stack: Stack, logical_id: str
) -> None:
    section = PAGE.partition("\n## Remove it")[2]
    stays, goes = section.partition("What goes:")[::2]
    words = {
        "Table": "the table",
        "EvidenceBucket": "the evidence bucket",
        "TopicsKey": "their key",
    }
    is_kept = stack.resources[logical_id].get("DeletionPolicy") == "Retain"
    assert words[logical_id] in (stays if is_kept else goes.partition("\n\n")[0])


def test_links_into_the_other_page_lead_to_its_headings() -> None:
    operating = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^a-z -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^## (.+)$", operating, re.MULTILINE)
    }
    assert set(re.findall(r"\(operating\.md#([\w-]+)\)", PAGE)) <= headings
