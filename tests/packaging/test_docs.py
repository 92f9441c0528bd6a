"""What the pages say is there: links, files, make targets."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
EVENT = re.compile(r"events/[\w/-]+\.json")
TARGET = re.compile(r"^make (\w[\w-]*)", re.MULTILINE)


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link]

    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_event_file_and_make_target_exists(page: Path) -> None:
    text = page.read_text()
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert [event for event in EVENT.findall(text) if not (ROOT / event).exists()] == []
    assert set(TARGET.findall(text)) <= targets


def test_the_readme_fits_on_a_screen_and_starts_with_its_two_commands() -> None:
    readme = (ROOT / "README.md").read_text()

    assert len(readme.splitlines()) <= 60
    assert TARGET.findall(readme)[:2] == ["demo", "test"]


def test_every_decision_is_numbered_and_dated() -> None:
    pages = sorted((ROOT / "docs/decisions").glob("*.md"))

    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    assert all(re.search(r"^\d{4}-\d\d-\d\d", page.read_text(), re.MULTILINE) for page in pages)
