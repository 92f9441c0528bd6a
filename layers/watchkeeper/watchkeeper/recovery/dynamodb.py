"""DynamoDB tables, restored beside their originals."""

from dataclasses import dataclass

from watchkeeper import naming
from watchkeeper.aws.dynamodb_backups import TableSettings
from watchkeeper.aws.errors import NotThere, Refused
from watchkeeper.aws.recover_dynamodb import Standing, TableRecoverer
from watchkeeper.backups.model import RecoveryPoint, Service
from watchkeeper.drills.restoring import Stands, State
from watchkeeper.quoting import quoted
from watchkeeper.recovery import table_settings as known
from watchkeeper.recovery.model import (
    ByHand,
    Change,
    Difference,
    Handover,
    Recovering,
    Settings,
    as_written,
    command,
)

COMING = frozenset({"CREATING", "UPDATING"})
ACTIVE = "ACTIVE"


@dataclass(frozen=True)
class DynamoDbRecoverer:
    recoverer: TableRecoverer
    settings: TableSettings

    service = Service.DYNAMODB
    longest_name = 255

    def original(self, point: RecoveryPoint, _zone: str, /) -> Settings:
        _, settings = self.settings.read(point.resource)
        return as_written(point, settings)

    def ask(self, one: Recovering, /) -> str:
        return self.recoverer.restore(one.name, one.point.parts[0].snapshot)

    def stands(self, one: Recovering, /) -> Stands:
        found = self._one(one)
        if found.state == ACTIVE:
            return Stands(State.AVAILABLE)
        if found.state in COMING:
            return Stands(State.COMING, f"table {one.name} to be active: it is {found.state}")
        return Stands(State.BROKEN, f"DynamoDB shows table {one.name} as {quoted(found.state)}")

    def _one(self, one: Recovering) -> Standing:
        found = self.recoverer.one(one.name)
        if found.source != one.point.parts[0].snapshot:
            why = f"table {one.name} is there, and this recovery has not made it"
            raise Refused("dynamodb:DescribeTable", "NotOurs", why)
        return found

    def found(self, one: Recovering, /) -> Settings:
        _, settings = self.settings.read(_arn(one))
        return as_written(one.point, settings)

    def changes(self, one: Recovering, found: Settings, /) -> list[Change]:
        """Our own tags, too: no restore of a table takes any."""
        tags = one.with_originals(one.settings.get("tags") or {})
        is_tagged = tags.items() <= (found.get("tags") or {}).items()
        wanted, are = (known.comparable(some, one.name) for some in (one.settings, found))
        rest = [change for change in known.changes(wanted, are, one.name) if change.name != "tags"]
        return rest if is_tagged else [Change("tags", one.name, {"value": tags}), *rest]

    def change(self, one: Recovering, change: Change, /) -> str:
        table = self._one(one)
        return self.recoverer.change(table, one.name, change.name, change.arguments["value"])

    def differences(self, one: Recovering, found: Settings, /) -> list[Difference]:
        wanted = known.comparable(one.settings, one.name) if one.settings else {}
        return known.differences(wanted, known.comparable(found, one.name))

    def handover(self, one: Recovering, /) -> Handover:
        steps = (*known.by_hand(one.settings, one.name, _arn(one)), _cut_over(one))
        try:
            self._one(one)
        except NotThere:
            return Handover((), steps, ())
        return Handover((f"table {_arn(one)}",), steps, _removal(one.name))


def _arn(one: Recovering) -> str:
    return f"{one.point.resource.rpartition('/')[0]}/{one.name}"


# ── For people ────────────────────────────────────────────────────────────────────────────────────


def _cut_over(one: Recovering) -> ByHand:
    original = naming.table_name(one.point.resource)
    return ByHand(
        f"Cut over: look into it first; then give the application the name {one.name} in place of "
        f"{original}. A table cannot be renamed; to keep the name, the original has to be deleted, "
        "and this one restored to it from a backup of its own:",
        (
            command("aws", "dynamodb", "create-backup", "--table-name", one.name,
                    "--backup-name", f"{one.name[:240]}-cut-over"),
        ),
    )  # fmt: skip


def _removal(name: str) -> tuple[str, ...]:
    table = ("--table-name", name)
    return (
        command("aws", "dynamodb", "update-table", *table, "--no-deletion-protection-enabled"),
        command("aws", "dynamodb", "delete-table", *table),
    )
