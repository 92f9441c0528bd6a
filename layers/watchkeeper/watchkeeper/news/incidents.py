"""News of incidents: for machines what changed, for people what to read."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from watchkeeper.news.base import News, cut, where_to_look

if TYPE_CHECKING:
    from watchkeeper.runs.record import Run, Told

ROOM: Mapping[str, int] = {
    "incident": 40, "severity": 20, "owner": 200, "headline": 1_000, "report": 120, "why": 400,
    "line": 120, "words": 6_200,
}  # fmt: skip
"""Bytes of a message for each field, of 8 KB in all; of a page for people three screens of a
telephone. The record and the report have all of it.
"""
MOST_RESOURCES = 12
"""Named in a message: ARNs of 240 bytes."""


class IncidentNews(News):
    """An incident, as machines are told of it. They read its record and report for more."""

    incident: str
    severity: str
    owner: str
    headline: str
    resources: list[str]
    """ARNs that its alarms are about."""
    report: str
    """The key of the page in the bucket of incidents; "" if there is none yet."""
    why: str
    """Why this is told now."""

    @classmethod
    def about(cls, run: "Run", *, at: datetime, of: str = "", **fields: Any) -> "Told":
        fitting = {name: _fitted(name, value) for name, value in fields.items()}
        return super().about(run, at=at, of=of, **fitting)


class IncidentOpened(IncidentNews):
    def measures(self) -> dict[str, float]:
        return {"IncidentsOpened": 1}


class IncidentChanged(IncidentNews):
    def measures(self) -> dict[str, float]:
        return {"IncidentsChanged": 1}


class IncidentResolved(IncidentNews):
    def measures(self) -> dict[str, float]:
        return {"IncidentsResolved": 1}


class IncidentTold(News):
    """The same for people."""

    is_page: ClassVar[bool] = True
    incident: str
    line: str
    """The subject."""
    words: str

    @classmethod
    def about(cls, run: "Run", *, at: datetime, of: str = "", **fields: Any) -> "Told":
        """With as much of the words as fits, which is more than other sentences have."""
        fitting = {name: _fitted(name, value) for name, value in fields.items()}
        told = super().about(run, at=at, of=of, **{**fitting, "words": ""})
        return cls.read({**told, "words": fitting["words"]}).told()

    def subject(self) -> str:
        # Mail cuts off what a subject begins with if it cannot be shown.
        return self.line if "!" <= self.line[:1] <= "~" else f"Incident {self.incident}"

    def text(self) -> str:
        return f"{self.words}\n{where_to_look(self.run)}"


def _fitted(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return cut(value, ROOM[name])
    return value[:MOST_RESOURCES]
