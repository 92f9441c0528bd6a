"""`python -m local.demo`: a week in the cloud in a box, told and judged."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from rich import box
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from local.cloud import ROOT, Cloud
from local.demo import (
    backups_state,
    backups_story,
    backups_view,
    drills_evidence,
    drills_state,
    drills_story,
    drills_view,
    incidents_state,
    incidents_story,
    incidents_view,
)
from local.demo.page import Page, plain
from local.demo.timeline import Line, Timeline
from local.demo.week import DAYS, START, THIN, pass_days
from local.demo.words import named
from watchkeeper.aws.table import unpack

KEPT_IN = ROOT / ".local" / "demo"
"""Not in version control; `make clean` removes it."""

MARKS = {
    "done": ("✔", "green"),
    "trouble": ("✘", "red"),
    "page": ("☎", "bold magenta"),
    "person": ("✎", "cyan"),
    "chance": ("↯", "yellow"),
    "removed": ("✂", "bright_black"),
}
LEGEND = {
    "person": "people",
    "done": "went well",
    "trouble": "did not",
    "removed": "retention",
    "page": "somebody is paged",
    "chance": "chance",
}

NEXT = (
    ("make test", "the tests: a night is killed before and after every AWS call"),
    ("make cloud", "the simulated account as an endpoint, for the AWS CLI"),
    ("make invoke", "one function, in Lambda's own container, against it"),
    ("docs/policy.md", "the policy: plans, retention, what is refused"),
    ("docs/operating.md", "whether one can recover, to which moment, under which key"),
    ("docs/runbooks/", "what to do when one of the alarms above goes off"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    run_demo(Page(), days=options.days, kept_in=options.to)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.demo", description=__doc__)
    parser.add_argument("--days", type=_days, default=DAYS, help="how long (default: %(default)s)")
    parser.add_argument("--to", type=Path, default=KEPT_IN, help="folder for what is left behind")
    return parser.parse_args(arguments)


def _days(text: str) -> int:
    days = int(text)
    if not 1 <= days <= 31:
        raise argparse.ArgumentTypeError(f"{days} days: the demo runs for 1 to 31 of them")
    return days


def run_demo(page: Page, *, days: int, kept_in: Path) -> None:
    """Let the days pass, show what became of them, and leave the state in `kept_in`."""
    page.show(_opening(days))
    with Cloud(START, thin=THIN) as cloud:
        _tell(page, cloud, days)
        backups = backups_state.read_backups(cloud)
        # Each capability has its sections and answers here.
        drills = drills_state.read_drills(cloud)
        incidents = incidents_state.read_incidents(cloud)
        for title, table in (
            *backups_view.sections(backups),
            *drills_view.sections(drills),
            *incidents_view.sections(incidents),
        ):
            page.show(
                Text(), Rule(Text(title, style="bold"), align="left", style="bright_black"), table
            )
        answers = [
            *backups_view.answers(backups),
            *drills_view.answers(drills),
            *incidents_view.answers(incidents),
        ]
        page.show(_headline(cloud.clock.now(), answers))
        _keep(cloud, kept_in)
        drills_evidence.keep(drills, kept_in)
        incidents_state.keep(incidents, kept_in)
    pages = drills_evidence.shown(drills) | incidents_view.shown(incidents)
    page.show(_closing(kept_in, pages))
    page.save(kept_in / "demo.txt", kept_in / "demo.html")


# ── The week ─────────────────────────────────────────────────────────────────────────────────────


def _opening(days: int) -> Text:
    length = {1: "One day", 7: "A week"}.get(days, f"{days} days")
    text = Text("Watchkeeper\n", style="bold")
    text.append(
        f"{length} in the account of a small company: template.yaml in a simulated AWS, with the\n"
        "real handlers, woken by their own triggers. Nothing here touches a real account.\n",
        style="not bold",
    )
    for number, (mark, meaning) in enumerate(LEGEND.items()):
        sign, style = MARKS[mark]
        text.append("   " if number else "\n", style="not bold")
        text.append(sign, style=style).append(f" {meaning}", style="not bold bright_black")
    return text


def _tell(page: Page, cloud: Cloud, days: int) -> None:
    document = partial(drills_state.document_of, cloud)
    timeline = Timeline(
        cloud,
        [
            lambda evidence: backups_view.tell(evidence, backups_state.taken_in(cloud)),
            lambda evidence: drills_view.tell(evidence, document),
            incidents_view.tell,
        ],
    )
    story = [
        *backups_story.story(START),
        *drills_story.story(START, days),
        *incidents_story.story(START, days),
    ]
    with _progress(page, days) as moved:
        for day in pass_days(cloud, days, story, moved):
            page.show(
                Text(),
                Rule(
                    Text(f"{day.begins:%A %d %B}", style="bold"), align="left", style="bright_black"
                ),
            )
            page.show(_day(timeline.of(day), backups_state.names_of(cloud)))


@contextmanager
def _progress(page: Page, days: int) -> Iterator[Callable[[datetime], None]]:
    """A bar for people who watch; nothing at all for a file."""
    if not page.console.is_terminal:
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=None))
    # Drawn when time has moved: a thread of its own would see the clock jump.
    with Progress(
        *columns, console=page.console, transient=True, auto_refresh=False,
        get_time=time.perf_counter, expand=True,
    ) as progress:  # fmt: skip
        task = progress.add_task("", total=days * 24)

        def moved(now: datetime) -> None:
            passed = (now - START).total_seconds() / 3600
            progress.update(
                task, completed=passed, description=f"{now:%a %d %b %H:%M}", refresh=True
            )

        yield moved


def _day(lines: Sequence[Line], names: Mapping[str, str]) -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(width=12)
    table.add_column(width=1)
    table.add_column(ratio=1)
    for line in lines:
        sign, style = MARKS[line.mark]
        said = plain(line.says, "bold" if line.mark in ("page", "person", "chance") else "")
        table.add_row(Text(f" {line.moments}"), Text(sign, style=style), said)
        for each in line.below:
            told = plain(named(each, names), "bright_black")
            table.add_row("", "", told)
    return table


# ── The end ──────────────────────────────────────────────────────────────────────────────────────


def _headline(at: datetime, answers: Sequence[tuple[str, Text]]) -> Panel:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(ratio=1)
    for question, answer in answers:
        table.add_row(question, answer)
    title = Text(f"{at:%A %d %B, %H:%M} UTC", style="bold")
    return Panel(table, title=title, title_align="left", box=box.ROUNDED, padding=(1, 2))


def _closing(kept_in: Path, evidence: Mapping[str, str]) -> Table:
    shown = kept_in.relative_to(ROOT) if kept_in.is_relative_to(ROOT) else kept_in
    table = Table.grid(padding=(0, 2))
    table.add_row("", "")
    table.add_row(Text("Left behind", style="bold"), plain(f"in {shown}/"))
    for name, what in {**LEFT, **evidence}.items():
        table.add_row(Text(f"  {name}", style="cyan"), what)
    table.add_row("", "")
    table.add_row(Text("Try next", style="bold"), "")
    for command, what in (*NEXT, (f"make verify-evidence FOLDER={shown}", VERIFIES)):
        table.add_row(Text(f"  {command}", style="cyan"), what)
    return table


LEFT = {
    "state.jsonl": "every record of the table: runs, steps, recovery points, coverage",
    "news.jsonl": "what the system told other systems",
    "pages.txt": "what it told people",
    "demo.html": "this page, with its colours; demo.txt without",
    "incidents/": "reports of incidents, and what they were made from, as their bucket has them",
    "evidence/": "what drills have filed, as their bucket has it; pages for a browser:",
}


VERIFIES = "the chains of evidence in it, checked as an auditor would"


def _keep(cloud: Cloud, folder: Path) -> None:
    """Write the state down: the same week leaves the same files."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = (
        cloud.client("dynamodb")
        .get_paginator("scan")
        .paginate(TableName=cloud.physical_id("Table"))
    )
    items = [unpack(item) for page in pages for item in page["Items"]]
    items.sort(key=lambda item: (item["pk"], item["sk"]))
    _write_lines(folder / "state.jsonl", items)
    _write_lines(folder / "news.jsonl", [one.json() for one in cloud.published("NewsTopic")])
    told = [
        f"{one.at:%Y-%m-%d %H:%M} UTC  {one.subject}\n\n{one.message}\n\n"
        for one in cloud.published("PagesTopic")
    ]
    (folder / "pages.txt").write_text(f"{'─' * 80}\n".join(told), encoding="utf-8")


def _write_lines(path: Path, records: Sequence[Any]) -> None:
    lines = [json.dumps(record, sort_keys=True, default=str) for record in records]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
