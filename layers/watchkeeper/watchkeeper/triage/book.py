"""Which incidents there are: the open ones, and those that an alarm might repeat. Pure.

One item of the table, written only when an incident opens or closes. That makes two alarms that
come first at the same moment meet: the second one's write is refused, it looks again, and joins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from watchkeeper import naming
from watchkeeper.triage.incident_records import Incident
from watchkeeper.triage.incidents import RECURRENCE

MOST_CLOSED = 40
"""That are read again with every alarm: those of a bad week. Of more, the latest stay."""


@dataclass(frozen=True)
class Book:
    version: int = 0
    """Of its item; 0 if there is none yet."""
    open: Sequence[str] = ()
    """Ids, the earliest first."""
    closed: Mapping[str, datetime] = field(default_factory=dict)
    """When, by id."""
    unknown: Mapping[str, object] = field(default_factory=dict)
    """Fields that a newer version wrote; they survive our saving."""

    @property
    def ids(self) -> list[str]:
        return [*self.open, *self.closed]

    def after(self, changed: Sequence[Incident], now: datetime) -> "Book":
        """The book that knows of these incidents as they are now; the very same if it does."""
        opened = [one.id for one in changed if one.closed_at is None]
        ended = {one.id: one.closed_at for one in changed if one.closed_at is not None}
        stay = [one for one in dict.fromkeys([*self.open, *opened]) if one not in ended]
        closed = {**self.closed, **ended}
        recent = sorted(
            (pair for pair in closed.items() if pair[1] > now - RECURRENCE),
            key=lambda pair: (pair[1], pair[0]),
        )[-MOST_CLOSED:]
        if stay == list(self.open) and ended.keys() <= self.closed.keys():
            return self
        return replace(self, open=tuple(stay), closed=dict(recent))


def stored(book: Book) -> dict[str, object]:
    """The fields of its item, without its key and version."""
    return {
        **book.unknown,
        "open": list(book.open),
        "closed": {one: naming.instant(at) for one, at in book.closed.items()},
    }


def restored(item: Mapping[str, object]) -> Book:
    version, ids, closed = item["version"], item["open"], item["closed"]
    if not (isinstance(version, int) and isinstance(ids, list) and isinstance(closed, dict)):
        raise TypeError(f"this is no book of incidents: {sorted(item)}")
    return Book(
        version,
        tuple(ids),
        {one: naming.parse_instant(at) for one, at in closed.items()},
        {name: value for name, value in item.items() if name not in _KNOWN},
    )


_KNOWN = ("pk", "sk", "version", "open", "closed")


@dataclass(frozen=True)
class Known:
    """The book, and its incidents as they were read, each with the version of its item."""

    book: Book
    incidents: Mapping[str, Incident]
    versions: Mapping[str, int]
