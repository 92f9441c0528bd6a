"""The drills that were begun, as the table keeps them: what the budget counts, what is in use."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.contracts.emulators import emulator, table
from watchkeeper import naming
from watchkeeper.aws.begun import BegunTable
from watchkeeper.aws.drills import DrillTable
from watchkeeper.aws.held import HeldPoints
from watchkeeper.drills.model import Begun, Level, SignOff

AT = datetime(2026, 11, 23, 9, 46, 0, 123_000, tzinfo=UTC)
DAY = timedelta(days=1)
RATES = "arn:aws:dynamodb:eu-west-1:111122223333:table/rates"
ONE = Begun(
    run="drill#round#2026-11-23T09:00Z#0123456789abcdef#check", resource=RATES,
    point="0123456789abcdef", level=Level.CHECK, begun_at=AT, usd=0.07,
)  # fmt: skip
READ = Begun("drill#round#x", "", "", Level.BLOCKS, AT, 0.0031, is_running=False)


@pytest.fixture
def begun() -> Iterator[BegunTable]:
    with emulator("moto"), table() as name:
        yield BegunTable(name, "watchkeeper")


def test_what_was_entered_is_read_back_the_oldest_first(begun: BegunTable) -> None:
    later = replace(ONE, run="drill#round#y", begun_at=AT + DAY)
    for one in (later, READ, ONE):
        begun.begin(one)

    assert list(begun.since(AT)) == [ONE, READ, later]
    assert list(begun.since(AT + timedelta(milliseconds=1))) == [later]
    assert list(BegunTable(begun.name, "another").since(AT)) == []


def test_what_has_ended_has_ended_however_often_it_is_entered_again(begun: BegunTable) -> None:
    """A round that was cut off enters all of its drills again, and one may be quick."""
    begun.begin(ONE)
    begun.end(ONE.run, AT)
    begun.begin(ONE)
    begun.begin(replace(ONE, usd=9.0))
    begun.end(ONE.run, AT)

    assert list(begun.since(AT)) == [replace(ONE, is_running=False)]


def test_an_end_whose_record_has_expired_leaves_nothing_that_cannot_be_read(
    begun: BegunTable,
) -> None:
    begun.end(ONE.run, AT)

    assert list(begun.since(AT - DAY)) == []


def test_its_recovery_point_is_held_until_it_has_ended(begun: BegunTable) -> None:
    held = HeldPoints(begun.name, "watchkeeper")
    begun.begin(READ)
    assert ONE.point not in held.now()
    begun.begin(ONE)
    assert ONE.point in held.now()
    begun.end(ONE.run, AT)
    assert ONE.point not in held.now()


def test_the_first_signature_stands(begun: BegunTable) -> None:
    drills = DrillTable(begun.name)
    run = f"{naming.by_hand_id('drill', 'x')}#0123456789abcdef#exercise"
    first = SignOff("a@example.com", passed=False, note="it took a day: 3 × too long", at=AT)
    assert drills.signed(run) is None
    drills.sign(run, first)
    drills.sign(run, SignOff("b@example.com", passed=True, note="", at=AT + DAY))

    assert drills.signed(run) == first
