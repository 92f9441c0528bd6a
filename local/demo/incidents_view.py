"""What broke and what was found out about it, as lines of the timeline, a table and an answer."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from local.demo.incidents_state import IncidentsState, Looked, took
from local.demo.page import plain
from local.demo.timeline import Evidence, Line
from local.demo.words import listing, span
from watchkeeper import naming

MARKS = {"IncidentOpened": "trouble", "IncidentChanged": "trouble", "IncidentResolved": "done"}
VERBS = {
    "IncidentOpened": "an incident",
    "IncidentChanged": "the incident has changed",
    "IncidentResolved": "the incident is over",
}


def tell(news: Evidence) -> Iterator[Line]:
    """Whatever was told to machines of incidents; the pages to people are told apart."""
    for one in news.news:
        if one["type"] in MARKS:
            says = f"{VERBS[one['type']]}: {one['headline']}"
            yield Line(
                naming.parse_instant(one["at"]), MARKS[one["type"]], says, [f"told {one['why']}"]
            )


def sections(state: IncidentsState) -> list[tuple[str, Table]]:
    return [("Incidents: from an alarm to an answer", _incidents(state))]


def _incidents(state: IncidentsState) -> Table:
    table = listing(
        ("since", {"width": 12}),
        ("for", {"width": 12}),
        ("told after", {"justify": "right", "width": 10}),
        ("over after", {"justify": "right", "width": 10}),
        ("cause", {"ratio": 1}),
        ("cost", {"justify": "right", "width": 7}),
    )
    for one in state.looked:
        lasted = took(one)
        table.add_row(
            f"{one.since:%d %b %H:%M}",
            plain(one.report["owner"] or "–"),
            span(one.told_at - one.since) if one.told_at else "–",
            span(lasted) if lasted is not None else "–",
            plain(one.report["verdict"]["headline"]),
            f"${one.report['cost_usd']:.4f}",
        )
    return table


def answers(state: IncidentsState) -> list[tuple[str, Text]]:
    """What broke, what changed, and what could not be checked."""
    if not state.looked:
        return [("What broke?", Text("Nothing raised an alarm.", style="green"))]
    return [("What broke?", Text("\n").join(_told(one) for one in state.looked))]


def _told(one: Looked) -> Text:
    more = one.report["more"]
    words = [more.get("what", ""), more.get("cause", ""), more.get("changed", "")]
    style = "green" if one.resolved_at else "bold red"
    return plain("; ".join(filter(None, words)), style)


def shown(state: IncidentsState) -> dict[str, str]:
    """The pages to open."""
    return {one.page_key: f"the report: {one.report['headline']}" for one in state.looked}
