"""News of incidents: for machines what changed, for people what to read."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from watchkeeper.news.base import News, cut

if TYPE_CHECKING:
    from watchkeeper.runs.record import Run, Told

SUBJECT = 120
"""Bytes kept of a subject; SNS takes 99 characters."""
TEXT = 6_500
"""Bytes of a page in JSON, of 8 KB in all: three screens of a telephone."""


class _Incident(News):
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


class IncidentOpened(_Incident):
    def measures(self) -> dict[str, float]:
        return {"IncidentsOpened": 1}


class IncidentChanged(_Incident):
    def measures(self) -> dict[str, float]:
        return {"IncidentsChanged": 1}


class IncidentResolved(_Incident):
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
        """With as much of the words as fits; the page has all of them."""
        line, words = cut(fields["line"], SUBJECT), cut(fields["words"], TEXT)
        told = super().about(run, at=at, of=of, incident=fields["incident"], line=line, words="")
        return cls.read({**told, "words": words}).told()

    def subject(self) -> str:
        return self.line

    def text(self) -> str:
        return self.words
