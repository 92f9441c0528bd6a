"""The part of Logs Insights' query language that the box understands; the rest is refused.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

Row = dict[str, str]

_FIELDS = re.compile(r"@\w+(?:\s*,\s*@\w+)*")
_LIKE = re.compile(r"@message\s+(not\s+)?like\s+/(.*)/", re.DOTALL)
_SORT = re.compile(r"@timestamp(?:\s+(asc|desc))?")
_STATS = re.compile(r"count\(\*\)\s+(?:as\s+(\w+)\s+)?by\s+bin\((\d+)m\)")


@dataclass(frozen=True)
class Parsed:
    """What a query asks for."""

    fields: tuple[str, ...] = ("@timestamp", "@message")
    filters: tuple[tuple[re.Pattern[str], bool], ...] = ()
    """Expressions, and whether messages must have them."""
    ascending: bool = False
    limit: int | None = None
    bin: timedelta | None = None
    """Messages are counted in stretches this long."""
    counted_as: str = "count(*)"

    def fits(self, message: str) -> bool:
        return all(bool(one.search(message)) == wanted for one, wanted in self.filters)


def parsed(query: str) -> Parsed:
    """Raises ValueError for what is no query, or one that the box does not understand."""
    found = Parsed()
    for command in _commands(query):
        name, _, rest = command.partition(" ")
        if name not in _COMMANDS:
            raise ValueError(f"unexpected symbol found {name!r} in {query!r}")
        found = _COMMANDS[name](found, rest.strip())
    return found


def _commands(query: str) -> list[str]:
    """Cut at the pipes that are not within an expression."""
    parts = re.split(r"\|(?=\s*(?:fields|filter|sort|limit|stats|[a-z]+\s))", query)
    whole: list[str] = []
    for part in parts:
        if whole and whole[-1].count("/") % 2:
            whole[-1] += f"|{part}"
        else:
            whole.append(part)
    return [part.strip() for part in whole]


def _fields(found: Parsed, rest: str) -> Parsed:
    if not _FIELDS.fullmatch(rest):
        raise ValueError(f"fields {rest!r}")
    return replace(found, fields=tuple(name.strip() for name in rest.split(",")))


def _filter(found: Parsed, rest: str) -> Parsed:
    like = _LIKE.fullmatch(rest)
    if like is None:
        raise ValueError(f"filter {rest!r}")
    one = (re.compile(like[2]), not like[1])
    return replace(found, filters=(*found.filters, one))


def _sort(found: Parsed, rest: str) -> Parsed:
    order = _SORT.fullmatch(rest)
    if order is None:
        raise ValueError(f"sort {rest!r}")
    return replace(found, ascending=order[1] == "asc")


def _limit(found: Parsed, rest: str) -> Parsed:
    return replace(found, limit=int(rest))


def _stats(found: Parsed, rest: str) -> Parsed:
    stats = _STATS.fullmatch(rest)
    if stats is None:
        raise ValueError(f"stats {rest!r}")
    width = timedelta(minutes=int(stats[2]))
    return replace(found, bin=width, counted_as=stats[1] or "count(*)")


_COMMANDS: dict[str, Callable[[Parsed, str], Parsed]] = {
    "fields": _fields, "filter": _filter, "sort": _sort, "limit": _limit, "stats": _stats,
}  # fmt: skip
