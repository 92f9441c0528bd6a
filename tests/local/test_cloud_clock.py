"""The clock jumps from one appointment to the next."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from local.clock import Clock

START = datetime(2026, 11, 23, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def clock() -> Iterator[Clock]:
    with time_machine.travel(START, tick=False) as traveller:
        yield Clock(traveller)


def test_appointments_are_kept_in_order_of_time_and_then_of_making(clock: Clock) -> None:
    kept: list[tuple[str, datetime]] = []

    def keep(name: str) -> None:
        kept.append((name, datetime.now(UTC)))

    clock.at(START + HOUR, lambda: keep("late"))
    clock.at(START, lambda: keep("first"))
    clock.at(START, lambda: keep("second"))
    clock.run_for(HOUR)
    assert kept == [("first", START), ("second", START), ("late", START + HOUR)]


def test_what_an_appointment_arranges_is_kept_too(clock: Clock) -> None:
    kept: list[datetime] = []

    def again() -> None:
        kept.append(clock.now())
        clock.after(HOUR, again)

    clock.at(START, again)
    clock.run_for(2 * HOUR)
    assert kept == [START, START + HOUR, START + 2 * HOUR]


def test_a_cancelled_appointment_is_not_kept(clock: Clock) -> None:
    kept: list[str] = []
    clock.after(HOUR, lambda: kept.append("x")).cancel()
    clock.run_for(2 * HOUR)
    assert kept == []
    assert clock.next_at() is None


def test_after_running_it_is_exactly_then(clock: Clock) -> None:
    clock.run_for(timedelta(minutes=7))
    assert clock.now() == START + timedelta(minutes=7)


def test_time_without_a_zone_is_refused(clock: Clock) -> None:
    with pytest.raises(ValueError, match=r"tea: .* has no time zone"):
        clock.at(datetime(2026, 11, 23), lambda: None, "tea")  # noqa: DTZ001, that is the point
