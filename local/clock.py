"""The box's clock: it jumps from one thing that is due to the next.

Nothing waits. What should happen later (a tick, a delivery, the end of a snapshot) is an
appointment; running the clock moves simulated time to each appointment in turn and keeps it.
Appointments of the same instant are kept in the order in which they were made, so the same run
happens the same way twice.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

from time_machine import Traveller


@dataclass(order=True)
class Appointment:
    """Something that will happen at `when`, unless it is cancelled first."""

    when: datetime
    number: int
    action: Callable[[], None] = field(compare=False)
    label: str = field(compare=False, default="")
    cancelled: bool = field(compare=False, default=False)

    def cancel(self) -> None:
        """Forget it; cancelling one that was kept already changes nothing."""
        self.cancelled = True


class Clock:
    """Simulated UTC time, for everything in the process that asks what time it is."""

    def __init__(self, traveller: Traveller, *, ticking: bool = False) -> None:
        self._traveller = traveller
        self._ticking = ticking
        self._appointments: list[Appointment] = []
        self._numbers = count()

    def now(self) -> datetime:
        """Simulated now: aware, UTC."""
        return datetime.now(UTC)

    def at(self, when: datetime, action: Callable[[], None], label: str = "") -> Appointment:
        """Make an appointment; one in the past is kept as soon as the clock runs."""
        if when.tzinfo is None:
            raise ValueError(
                f"{label or 'appointment'}: {when} has no time zone; use an aware UTC datetime"
            )
        appointment = Appointment(when.astimezone(UTC), next(self._numbers), action, label)
        heapq.heappush(self._appointments, appointment)
        return appointment

    def after(self, delay: timedelta, action: Callable[[], None], label: str = "") -> Appointment:
        """Make an appointment `delay` from now."""
        return self.at(self.now() + delay, action, label)

    def run_until(self, end: datetime) -> None:
        """Keep every appointment up to and including `end`, then be at `end`."""
        if end.tzinfo is None:
            raise ValueError(f"run_until: {end} has no time zone; use an aware UTC datetime")
        while (when := self.next_at()) is not None and when <= end:
            appointment = heapq.heappop(self._appointments)
            self.move_to(appointment.when)
            appointment.action()
        self.move_to(end)

    def run_for(self, duration: timedelta) -> None:
        """Let `duration` of simulated time pass."""
        self.run_until(self.now() + duration)

    def settle(self) -> None:
        """Keep what is due now, and what that makes due at once, without letting time pass."""
        self.run_for(timedelta(0))

    def next_at(self) -> datetime | None:
        """When the next appointment is; None when there is none."""
        while self._appointments and self._appointments[0].cancelled:
            heapq.heappop(self._appointments)
        return self._appointments[0].when if self._appointments else None

    def upcoming(self) -> list[Appointment]:
        """Everything that is still to happen, in order."""
        return sorted(each for each in self._appointments if not each.cancelled)

    def move_to(self, when: datetime) -> None:
        """Jump forward without keeping appointments; never moves backwards."""
        if when > self.now():
            self._traveller.move_to(when, tick=self._ticking)
