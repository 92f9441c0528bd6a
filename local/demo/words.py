"""How the demo says things: names, numbers, lengths of time, and what a list looks like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from local.demo.page import plain
from watchkeeper.backups.model import Kind

PLANS = {"gold": "yellow", "silver": "white", "bronze": "dark_orange3", "postgres": "cyan"}
NOUNS = {
    Kind.INSTANCE: "instance",
    Kind.VOLUME: "volume",
    Kind.DATABASE: "database",
    Kind.CLUSTER: "cluster",
    Kind.TABLE: "table",
}
RESOURCE = re.compile(r"arn:aws:[\w-]+:[\w-]*:\d*:[\w-]+[:/]([\w-]+)|\b((?:i|vol)-[0-9a-f]{2,})\b")


def listing(*columns: tuple[str, dict[str, Any]]) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, expand=True, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold"
    )
    for title, options in columns:
        table.add_column(title, **options)
    return table


def named(text: str, names: Mapping[str, str]) -> str:
    """The text with resources and keys called by their names, where they have any."""

    def name(found: re.Match[str]) -> str:
        tail = found[1] or found[2]
        return names.get(found[0]) or names.get(tail, tail)

    return RESOURCE.sub(name, text)


def plan_text(plan: str) -> Text:
    return plain(plan, PLANS.get(plan, ""))


def count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def compact(length: timedelta) -> str:
    """A length of time in one number, to compare at a glance."""
    hour = timedelta(hours=1)
    return span(round(length / hour) * hour if length > hour else length)


def span(length: timedelta) -> str:
    """A length of time as people say it: `40 min`, `12 h`, `8 d`."""
    minutes = round(length.total_seconds() / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 2 * 24 * 60:
        hours, left = divmod(minutes, 60)
        return f"{hours} h {left:02} min" if left and hours < 10 else f"{round(minutes / 60)} h"
    return f"{minutes // (24 * 60)} d"
