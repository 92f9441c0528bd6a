"""Incidents in the table: which there are, what they are, and what their alarms said."""

from collections.abc import Mapping, Sequence
from typing import Any

from watchkeeper import naming
from watchkeeper.aws.iam import needs
from watchkeeper.aws.runs import IS_NEW, to_item
from watchkeeper.aws.table import TRANSACTION_ITEMS, Item, Table
from watchkeeper.runs.record import Run
from watchkeeper.triage import book, incident_items
from watchkeeper.triage.book import Book, Known
from watchkeeper.triage.incident_records import Incident

NOBODY_CHANGED_IT = "version = :version"


class IncidentTable(Table):
    def __init__(self, name: str, stack: str) -> None:
        super().__init__(name)
        self.stack = stack

    @needs("dynamodb:GetItem", "dynamodb:BatchGetItem")
    def known(self, also: Sequence[str] = ()) -> Known:
        """All that an alarm might belong to, and those with these ids. The book is read first: an
        incident that opens after that is found out when the book is written.
        """
        item = self.get(naming.book_key(self.stack))
        found = book.restored(item) if item else Book()
        ids = list(dict.fromkeys([*found.ids, *also]))
        items = self.get_many([naming.incident_key(one) for one in ids])
        return Known(
            found,
            {item["id"]: incident_items.restored(_fields(item)) for item in items},
            {item["id"]: item["version"] for item in items},
        )

    @needs("dynamodb:GetItem")
    def find(self, incident_id: str) -> tuple[Incident, int] | None:
        """The incident and the version of its item."""
        item = self.get(naming.incident_key(incident_id))
        return (incident_items.restored(_fields(item)), item["version"]) if item else None

    @needs("dynamodb:PutItem")
    def save(
        self,
        known: Known,
        changed: Sequence[Incident],
        new_book: Book,
        runs: Sequence[Run] = (),
        alarms: Mapping[tuple[str, str], str] | None = None,
    ) -> None:
        """All or nothing: the incidents, the book if it differs, the runs that look at new ones,
        and what alarms said, as JSON by incident and key.

        Raises AlreadyThere if somebody else has changed one of them: look again.
        """
        puts = [self._put_incident(one, known.versions.get(one.id, 0)) for one in changed]
        if new_book != known.book:
            fields = {**naming.book_key(self.stack), **book.stored(new_book)}
            puts.append(self._put_versioned(fields, known.book.version))
        puts += [self.conditional_put({**to_item(one), "version": 1}, IS_NEW) for one in runs]
        said = [
            self.conditional_put({**naming.alarm_key(*where), "alarm": text})
            for where, text in (alarms or {}).items()
        ]
        self.write_together([*puts, *said[: TRANSACTION_ITEMS - len(puts)]])

    @needs("dynamodb:Query")
    def alarms(self, incident_id: str) -> dict[str, str]:
        """What the incident's alarms said when they were raised, as JSON by key."""
        key = naming.incident_key(incident_id)
        items = self.query(
            "pk = :pk AND begins_with(sk, :alarm)",
            {":pk": key["pk"], ":alarm": naming.ALARM_OF_INCIDENT},
            ConsistentRead=True,
        )
        return {naming.alarm_of_sk(item["sk"]): item["alarm"] for item in items}

    def _put_incident(self, incident: Incident, version: int) -> Mapping[str, Any]:
        fields = {**incident_items.stored(incident), **naming.incident_key(incident.id)}
        return self._put_versioned(fields, version)

    def _put_versioned(self, fields: Mapping[str, Any], version: int) -> Mapping[str, Any]:
        item = {**fields, "version": version + 1}
        if version == 0:
            return self.conditional_put(item, IS_NEW)
        return self.conditional_put(item, NOBODY_CHANGED_IT, {":version": version})


def _fields(item: Item) -> Item:
    return {name: value for name, value in item.items() if name not in ("pk", "sk", "version")}
