"""The list of incidents: what opens and closes, and what is forgotten."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from watchkeeper.triage.book import MOST_CLOSED, Book, restored, stored
from watchkeeper.triage.incident_records import Incident
from watchkeeper.triage.incidents import RECURRENCE

NOW = datetime(2026, 11, 25, 3, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def incident(name: str, closed_at: datetime | None = None) -> Incident:
    return Incident(id=name, opened_at=NOW, closed_at=closed_at)


def test_what_opens_is_listed_once_and_what_closes_moves() -> None:
    one = Book().after([incident("a"), incident("b")], NOW)
    assert one.open == ("a", "b")

    again = one.after([incident("a")], NOW)
    assert again is one

    over = one.after([incident("a", NOW)], NOW)
    assert (over.open, over.closed) == (("b",), {"a": NOW})
    assert over.after([incident("a", NOW)], NOW + MINUTE) is over


def test_what_nothing_can_repeat_any_more_is_forgotten_and_of_many_the_latest_stay() -> None:
    old = Book(1, (), {"old": NOW - RECURRENCE, "new": NOW - RECURRENCE + MINUTE})
    assert old.after([incident("x")], NOW).closed.keys() == {"new"}

    many = Book(1, (), {f"{one:03}": NOW - MINUTE * one for one in range(MOST_CLOSED + 5)})
    kept = many.after([incident("x")], NOW).closed
    assert sorted(kept) == [f"{one:03}" for one in range(MOST_CLOSED)]


def test_fields_of_a_newer_version_survive() -> None:
    item = {"pk": "p", "sk": "s", "version": 3, "open": ["a"], "closed": {}, "moon": "full"}
    read = restored(item)
    assert read.unknown == {"moon": "full"}
    written = stored(replace(read, open=("a", "b")))
    assert written == {"open": ["a", "b"], "closed": {}, "moon": "full"}
