"""DynamoDB tables, restored for a drill: made, given back what a restore loses, read, taken down.

Of the settings that a restore loses, a drill puts back its stream and, after its items are counted,
its time to live, which deletes what has expired. Nothing reads that stream, and both are gone with
the table. The others are left out:

- Kinesis destinations, the resource policy, scaling and replicas would reach what production uses;
- its tags could have it backed up, billed or opened to others as if it were the original;
- point-in-time recovery leaves a backup behind when a table is deleted, deletion protection keeps
  it from being deleted, and another table class moves its data first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from watchkeeper import naming
from watchkeeper.aws.errors import Busy, NotThere, Refused
from watchkeeper.aws.restores_dynamodb import (
    LATER,
    RestoredTable,
    RestoredTables,
    TableDismantler,
    TableRestorer,
    TableSettler,
)
from watchkeeper.backups.model import Service
from watchkeeper.drills import table_checks
from watchkeeper.drills.model import Check
from watchkeeper.drills.restoring import (
    Answers,
    Facts,
    Left,
    Pending,
    Restoring,
    Stands,
    State,
)
from watchkeeper.drills.table_checks import Shown
from watchkeeper.drills.table_reading import Reading
from watchkeeper.quoting import quoted

PAGES_A_LOOK = 100
"""Of 1 MB each: after so many the next segment is for the next look. A page takes a third of a
second, of the smallest items (15,000 a page) one second of a function of 512 MB.
"""
PAGES_A_SEGMENT = 300
"""Six times of what a segment should have. Its rest is not read, so that a table with more than a
tenth of its items there does not pass. Both together fit into one invocation even of the smallest.
"""
GIB = 2**30
ASKED_FOR_STREAM = "table.stream"
"""The fact that it was asked for: whether it came is for a check to say."""
READABLE = frozenset({"ACTIVE", "UPDATING"})


@dataclass(frozen=True)
class TableRestores:
    """One restorer of `restoring.Restorer`."""

    restorer: TableRestorer
    shown: RestoredTables
    settler: TableSettler
    dismantler: TableDismantler

    service = Service.DYNAMODB

    def ask(self, one: Restoring, /) -> str:
        backup = _backup(one)
        try:
            self.restorer.restore(one.name, backup)
        except Refused as error:
            if error.code != "BackupInUseException":
                raise
            return "DynamoDB to finish the backup"
        return ""

    def stands(self, one: Restoring, /) -> Stands:
        found = self.shown.one(one.name)
        if found.state == "CREATING" or found.is_restoring:
            return Stands(State.COMING, "DynamoDB to restore the table")
        if found.state in READABLE:
            return Stands(State.AVAILABLE)
        return Stands(State.BROKEN, f"DynamoDB says that the table is {quoted(found.state)}")

    def secure(self, one: Restoring, facts: Facts, _now: datetime, /) -> Pending | Facts:
        """Nothing that opened the original opens this. It gets its tags, which no restore takes,
        and its stream.
        """
        found = self.shown.one(one.name)
        if found.state != "ACTIVE":
            return Pending(LATER["ResourceInUseException"])
        try:
            self.restorer.tag(found, one.tags)
            return self._with_stream(one, found, facts)
        except Refused as error:
            if error.code not in LATER:
                raise
            return Pending(LATER[error.code])

    def _with_stream(self, one: Restoring, found: RestoredTable, facts: Facts) -> Pending | Facts:
        view = table_checks.viewed_by(one.manifest.settings) if one.manifest else ""
        has = table_checks.viewed_by({"stream": found.stream})
        if not view or has or ASKED_FOR_STREAM in facts:
            return {}
        self.settler.stream(found, view)
        return Pending("DynamoDB to switch its stream on", {ASKED_FOR_STREAM: view})

    def checks(self, one: Restoring, /) -> list[Check]:
        found = self.shown.one(one.name)
        shown = Shown(found.source, found.key, found.stream, found.shape)
        return table_checks.of_shown(one.point, one.manifest, shown)

    def examine(self, one: Restoring, facts: Facts, _now: datetime, /) -> Pending | Answers:
        """Nothing in a table says how new it is."""
        found = self.shown.one(one.name)
        known = Reading.of(facts) or _unread(one, found)
        reading = known if known.is_over else self._read(one, found, known)
        if not reading.is_over:
            of = f"{reading.read} of {reading.planned} parts so far"
            return Pending(f"the table to be read: {of}", reading.facts())
        checks = table_checks.of_reading(one.point, one.manifest, reading, one.before)
        settings = one.manifest.settings if one.manifest else {}
        if "time_to_live" in settings:
            if on := self._expiring(
                found, table_checks.expiring_by(settings), is_counted=known.is_over
            ):
                return Pending(on, reading.facts())
            shown = self.shown.time_to_live(one.name)
            checks.append(table_checks.time_to_live(settings, shown))
        return Answers(checks, remember=table_checks.remembered(one.point, reading))

    def _expiring(self, found: RestoredTable, attribute: str, *, is_counted: bool) -> str:
        """Switch its time to live on, if it is to have one. Returns what must pass first: its items
        were counted, and whoever had to count them again would find fewer.
        """
        if not attribute:
            return ""
        if not is_counted:
            return "its time to live to be switched on"
        if table_checks.expiring_by({"time_to_live": self.shown.time_to_live(found.name)}):
            return ""
        try:
            self.settler.time_to_live(found, attribute)
        except Refused as error:
            if error.code not in LATER:
                raise
            return LATER[error.code]
        return ""

    def _read(self, one: Restoring, found: RestoredTable, known: Reading) -> Reading:
        """Some segments more."""
        reading, pages = known, 0
        while not reading.is_over and pages < PAGES_A_LOOK:
            try:
                reading, turned = self._segment(one, found, reading)
            except Busy:
                if reading == known:
                    raise
                break  # what was read before is worth keeping
            pages += turned
        return reading

    def _segment(
        self, one: Restoring, found: RestoredTable, reading: Reading
    ) -> tuple[Reading, int]:
        """And how many pages it took."""
        sample = one.manifest.sample if one.manifest else None
        segment, after, pages = reading.next_segment(one.point.id), None, 0
        while pages == 0 or (after and pages < PAGES_A_SEGMENT):
            page = self.shown.page(one.name, segment, reading.segments, after)
            reading = reading.with_page(page.items, found.keys, sample)
            after, pages = page.next, pages + 1
        return reading.after_segment(is_cut=bool(after)), pages

    def left(self) -> Sequence[Left]:
        return [self._left(found) for found in self.shown.all()]

    def _left(self, found: RestoredTable) -> Left:
        try:
            tags = self.shown.tags(found)
        except NotThere:  # it is being created, or has just gone
            tags = {}
        return Left(
            what=f"table {found.name}",
            drill=naming.drill_of(found.name),
            stack=tags.get(naming.TAG_STACK, ""),
            expires_at=naming.expires_at(tags),
            thing=found,
        )

    def remove(self, left: Left, _now: datetime, /) -> str:
        return self.dismantler.delete(left.thing)


def _backup(one: Restoring) -> str:
    """Raises Refused if it is not DynamoDB's to restore."""
    backup = one.point.parts[0].snapshot
    if naming.service_and_type(backup)[0] != "dynamodb":
        why = f"{quoted(backup, 200)} is no backup of DynamoDB's: only its keeper restores from it"
        raise Refused("dynamodb:RestoreTableFromBackup", "NotDynamoDb", why)
    return backup


def _unread(one: Restoring, found: RestoredTable) -> Reading:
    """Of what size it is, each source may know nothing yet."""
    sample = one.manifest.sample if one.manifest else None
    backed_up = sum(part.gib for part in one.point.parts) * GIB
    size = max(found.size, sample.size if sample else backed_up)
    return Reading.of_table(size, sample)
