"""An incident as a table holds it: strings, integers, lists and maps, nothing else.

At MOST_MEMBERS with the longest texts it takes under 300 KB of the 400 KB of an item.
"""

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from watchkeeper import naming
from watchkeeper.triage.incident_records import ALARM, OK, SILENT, Incident, Last, Member

SCHEMA = 1
"""Raised when stored fields change meaning. Fields are only ever added."""

_LETTERS = {ALARM: "A", OK: "O", SILENT: "S"}
_STATES = {letter: state for state, letter in _LETTERS.items()}
_KNOWN = {one.name for one in fields(Incident)} - {"unknown"} | {"schema"}
"""What people were told is not among it: the run keeps that, with the news."""


def stored(incident: Incident) -> dict[str, Any]:
    """The fields of the item, without its keys and without the version that the table counts."""
    item: dict[str, Any] = {
        **incident.unknown,
        "schema": SCHEMA,
        "id": incident.id,
        "opened_at": naming.instant(incident.opened_at),
        "members": {key: _listed(one) for key, one in incident.members.items()},
        "names": dict(incident.names),
        "resources": dict(incident.resources),
        "edges": [list(one) for one in sorted(incident.edges)],
        "follows": list(incident.follows),
        "recurrence": incident.recurrence,
        "beyond": incident.beyond,
        "closed_why": incident.closed_why,
    }
    if incident.closed_at is not None:
        item["closed_at"] = naming.instant(incident.closed_at)
    return item


def restored(item: Mapping[str, Any]) -> Incident:
    """From such an item; the table gives integers back as decimals. KeyError if it is none."""
    return Incident(
        id=item["id"],
        opened_at=naming.parse_instant(item["opened_at"]),
        members={key: _member(*one) for key, one in item["members"].items()},
        names=dict(item["names"]),
        resources=dict(item["resources"]),
        edges=frozenset((parent, child) for parent, child in item["edges"]),
        follows=tuple(item["follows"]),
        recurrence=int(item["recurrence"]),
        beyond=int(item["beyond"]),
        closed_at=_moment(item.get("closed_at")),
        closed_why=item["closed_why"],
        unknown={key: value for key, value in item.items() if key not in _KNOWN},
    )


def _listed(one: Member) -> list[Any]:
    head = [_LETTERS[one.state], one.at, int(one.is_muted), one.severity, one.first]
    return [*head, list(one.raised), list(one.resources)]


def _member(
    state: str, at: Any, is_muted: Any, severity: Any, first: Any, raised: Any, resources: Any,
    *_newer: Any,
) -> Member:  # fmt: skip
    return Member(
        state=_STATES[state],
        at=int(at),
        is_muted=bool(is_muted),
        severity=int(severity),
        first=int(first),
        raised=tuple(int(one) for one in raised),
        resources=tuple(resources),
    )


def last_stored(last: Last) -> dict[str, Any]:
    told: dict[str, Any] = {"digest": last.digest, "severity": last.severity}
    told["paged_at"] = naming.instant(last.paged_at)
    if last.updated_at is not None:
        told["updated_at"] = naming.instant(last.updated_at)
    return told


def last_restored(told: Mapping[str, Any]) -> Last:
    return Last(
        digest=told["digest"],
        severity=int(told["severity"]),
        paged_at=naming.parse_instant(told["paged_at"]),
        updated_at=_moment(told.get("updated_at")),
    )


def _moment(text: str | None) -> datetime | None:
    return naming.parse_instant(text) if text else None
