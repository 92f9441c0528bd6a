"""How an incident stands, around what the latest look has found: the words of a page. Pure."""

from watchkeeper.news.base import cut
from watchkeeper.triage.looking import Looked
from watchkeeper.triage.telling import Kind, Told

BEGINS = {Kind.OPENED: "", Kind.CHANGED: "Update: ", Kind.RESOLVED: "Over: "}
LINE = 120
"""Bytes of a subject; SNS takes 99 characters, in which a quoted name may be cut short."""


def with_standing(text: str, tell: Told) -> str:
    """What the look found, below what is known of the alarms by now."""
    return f"{tell.headline}\nTold now because {tell.why}.\n\n{text}"


def plain(tell: Told, looked: Looked) -> tuple[str, str]:
    """Subject and text of an incident that nobody could look at: the alarms alone."""
    why = looked.unseen or "there was no look yet"
    return (
        cut(f"{BEGINS[tell.kind]}{tell.headline}", LINE),
        with_standing(
            f"Nothing else is known: {why}. It is looked at again within minutes.\n"
            f"For: {looked.owner or 'whoever is on call'}\n"
            f"Runbook: docs/triage.md\nIncident: {tell.incident}",
            tell,
        ),
    )
