"""Alarms join their incidents: read what there is, decide, write all of it or look again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from watchkeeper import naming, telemetry
from watchkeeper.aws.errors import AlreadyThere, Throttled
from watchkeeper.runs.record import Run, new_run
from watchkeeper.triage.book import Book, Known
from watchkeeper.triage.heard import Heard, as_known
from watchkeeper.triage.incident_records import ALARM, Incident, key_of
from watchkeeper.triage.incidents import close, home, join
from watchkeeper.triage.steps import TRIAGE

ATTEMPTS = 30
"""Somebody else wrote first, each time. Of five invocations at the height of a storm, all that may
run at once, one in five gets through: thirty in a row fail once in 800. Each takes 0.1 s. After
that Lambda repeats the event.
"""
AT_ONCE = 24
"""Alarms that are joined in one write. Each may open an incident, with its run, close an older one,
and leave its words: with the book these are 97 of the 100 items that DynamoDB takes.
"""


class Incidents(Protocol):
    """What joining needs of the table. `watchkeeper.aws.incidents` keeps it in DynamoDB."""

    def known(self, also: Sequence[str] = ()) -> Known: ...
    def save(
        self,
        known: Known,
        changed: Sequence[Incident],
        new_book: Book,
        runs: Sequence[Run] = (),
        alarms: Mapping[tuple[str, str], str] | None = None,
    ) -> None: ...


def joined(table: Incidents, heard: Sequence[Heard], now: datetime) -> list[str]:
    """The runs of the incidents that these changes belong to; what they changed is saved.

    Safe to repeat: a change that is known changes nothing. Raises Throttled if others keep coming
    first.
    """
    runs: dict[str, None] = {}
    for first in range(0, len(heard), AT_ONCE):
        runs |= dict.fromkeys(_joined(table, heard[first : first + AT_ONCE], now))
    return list(runs)


def _joined(table: Incidents, heard: Sequence[Heard], now: datetime) -> list[str]:
    new: list[str] = []
    for _ in range(ATTEMPTS):
        # One that is new to the book, and is there all the same, was forgotten by it: the alarm was
        # told again after weeks.
        known = table.known(new)
        change = _Change(dict(known.incidents))
        for one in heard:
            change.take(one, now)
        changed = [
            one for one in change.incidents.values() if one is not known.incidents.get(one.id)
        ]
        if changed:
            new_book = known.book.after(changed, now)
            try:
                table.save(known, changed, new_book, change.runs(known, now), change.said)
            except (AlreadyThere, Throttled):  # before us, or at the same moment
                new = [one.id for one in changed if one.id not in known.incidents]
                continue
        return [naming.incident_run(one) for one in change.meant]
    raise Throttled("dynamodb:TransactWriteItems", "Conflict", f"{ATTEMPTS} others came first")


@dataclass
class _Change:
    """What some alarms make of the incidents that there are."""

    incidents: dict[str, Incident]
    meant: dict[str, None] = field(default_factory=dict)
    said: dict[tuple[str, str], str] = field(default_factory=dict)

    def take(self, one: Heard, now: datetime) -> None:
        where = home(self.incidents.values(), one)
        if where.incident is None and one.state != ALARM:
            # Whatever it was, it is over: whether it still is, is asked of CloudWatch.
            telemetry.logger.info("of no incident", extra={"alarm": one.name, "state": one.state})
            return
        known = as_known(one, where.incident) if where.incident else one
        after = join(where.incident, known, now, where.before)
        if after is None:
            return
        if where.before is not None and where.before.closed_at is None:
            ended = close(where.before, now, "it began again, so its end was not heard of")
            self.incidents[ended.id] = ended
        self.incidents[after.id] = after
        self.meant[after.id] = None
        key = key_of(one.key)
        # All, not only those that are named: whether they still fire, is asked of CloudWatch.
        if one.state == ALARM and key in after.members:
            self.said[after.id, key] = one.said

    def runs(self, known: Known, now: datetime) -> list[Run]:
        """Of the incidents that are new."""
        new = [one for one in self.incidents if one not in known.incidents]
        return [new_run(naming.incident_run(one), TRIAGE, now) for one in new]
