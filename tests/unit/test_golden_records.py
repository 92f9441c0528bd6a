"""Records that a release has stored stay readable, and an upgrade that saves them loses nothing.

A golden file is never edited: a version that stores something else adds a file of its own. The run
has its own test, beside the others about runs.
"""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from watchkeeper.aws.catalogue import from_item, to_item
from watchkeeper.aws.table import pack, unpack
from watchkeeper.backups.model import Kind, Part, Place, RecoveryPoint, State
from watchkeeper.triage import book, incident_items
from watchkeeper.triage.book import Book
from watchkeeper.triage.incident_records import OK, SILENT, Incident, Member

GOLDEN = Path(__file__).parents[1] / "golden"
POINTS = sorted(GOLDEN.glob("point-v*.json"))


def stored(path: Path) -> dict[str, Any]:
    """The item as DynamoDB gives it back."""
    return unpack(pack(json.loads(path.read_text(encoding="utf-8"))))


def test_the_first_recovery_point_is_read_as_it_was_meant() -> None:
    assert from_item(stored(GOLDEN / "point-v1.json")) == RecoveryPoint(
        resource="arn:aws:ec2:eu-west-1:111122223333:instance/i-0a1b2c3d4e5f60718",
        id="3f9d1c0a7be24856",
        kind=Kind.INSTANCE,
        created_at=datetime(2026, 11, 23, 2, 0, 4, tzinfo=UTC),
        run="backup#gold#2026-11-23T02:00Z#003",
        plan="gold",
        place=Place(account="111122223333", region="eu-west-1", tier="standard"),
        state=State.COMPLETED,
        parts=(
            Part(snapshot="snap-0123456789abcdef0", volume="vol-0123456789abcdef0", gib=8),
            Part(snapshot="snap-0123456789abcdef1", volume="vol-0123456789abcdef1", gib=400),
        ),
        completed_at=datetime(2026, 11, 23, 2, 19, 31, tzinfo=UTC),
        tags=frozenset({"release-42", "before-the-move"}),
        holds=("drill#2026-11-24",),
        why="kept for a drill",
        removed_at=None,
    )


@pytest.mark.parametrize("path", POINTS, ids=lambda path: path.stem)
def test_a_stored_recovery_point_survives_being_saved(path: Path) -> None:
    item = stored(path)
    saved = unpack(pack(to_item(from_item(item))))
    # The table that saves it gives it its place in the listing, and the version its number.
    kept = item.keys() - {"listed_in", "schema"}
    assert {name: saved[name] for name in kept} == {name: item[name] for name in kept}


@pytest.mark.parametrize("path", POINTS, ids=lambda path: path.stem)
def test_what_a_newer_version_wrote_survives_being_saved(path: Path) -> None:
    point = from_item(stored(path) | {"verified_by": "drill#2027-01-01"})
    saved = to_item(replace(point, state=State.REMOVING))
    assert (saved["verified_by"], saved["state"]) == ("drill#2027-01-01", "removing")


# ── Incidents ────────────────────────────────────────────────────────────────────────────────────

COMPOSITE, CHILD = "0a1b2c3d4e5f6071", "9f8e7d6c5b4a3928"
KEYS = {"pk", "sk", "version"}
"""The table adds them to what an incident or the book stores, and takes them away."""
INCIDENT = Incident(
    id="3f9d1c0a7be24856",
    opened_at=datetime(2026, 11, 23, 3, 10, tzinfo=UTC),
    members={
        COMPOSITE: Member(
            OK, 1795404660000, severity=3, first=1795403527086, raised=(1795403527086,)
        ),
        CHILD: Member(
            SILENT,
            1795404600123,
            is_muted=True,
            severity=4,
            first=1795403400000,
            raised=(1795403400000, 1795403700500),
            resources=("7c6b5a4938271605",),
        ),
    },
    names={COMPOSITE: "checkout-is-broken", CHILD: "orders-connections"},
    resources={"7c6b5a4938271605": "arn:aws:rds:eu-west-1:111122223333:db:orders"},
    edges=frozenset({(COMPOSITE, CHILD)}),
    follows=("11aa22bb33cc44dd",),
    recurrence=1,
    beyond=2,
    closed_at=datetime(2026, 11, 23, 4, 31, tzinfo=UTC),
    closed_why="all its alarms have been OK for 20 minutes",
)


def incident_item() -> dict[str, Any]:
    item = stored(GOLDEN / "incident-v1.json")
    return {name: value for name, value in item.items() if name not in KEYS}


def test_the_first_incident_is_read_as_it_was_meant() -> None:
    assert incident_items.restored(incident_item()) == INCIDENT


def test_a_stored_incident_survives_being_saved() -> None:
    item = incident_item()
    assert unpack(pack(incident_items.stored(incident_items.restored(item)))) == item


def test_what_a_newer_version_wrote_of_an_incident_survives_being_saved() -> None:
    newer = incident_item() | {"acknowledged_by": "mira"}
    read = incident_items.restored(newer)
    assert incident_items.stored(replace(read, beyond=3))["acknowledged_by"] == "mira"


def test_a_member_of_which_a_newer_version_says_more_is_read() -> None:
    item = incident_item()
    item["members"][CHILD] = [*item["members"][CHILD], "more"]
    assert incident_items.restored(item) == INCIDENT


def test_the_first_book_of_incidents_is_read_as_it_was_meant_and_survives_being_saved() -> None:
    item = stored(GOLDEN / "book-v1.json")
    read = book.restored(item)
    assert read == Book(
        version=12,
        open=("3f9d1c0a7be24856", "5e6f7a8b9c0d1e2f"),
        closed={"11aa22bb33cc44dd": datetime(2026, 11, 23, 4, 31, tzinfo=UTC)},
    )
    saved = unpack(pack(book.stored(read)))
    assert saved == {name: value for name, value in item.items() if name not in KEYS}
