"""Wakes every run that is due, and says what is overdue. It must never fall silent."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from watchkeeper.news.runs import RunDue
from watchkeeper.runs.record import Told

OVERDUE_AFTER = timedelta(minutes=20)
"""A due run that is not taken up in this time is overdue: its function had a dozen wake-ups and a
whole lease to do so.
"""
MOST_WAKES = 500
"""Wake-ups in one sweep: 500 publishes take half of its minute. The longest overdue go first, the
rest next minute.
"""


class Due(Protocol):
    def due(self, capability: str, now: datetime) -> Iterable[tuple[str, datetime]]: ...


@dataclass(frozen=True)
class Swept:
    woken: tuple[str, ...]
    overdue: tuple[str, ...]


def sweep(
    capabilities: Iterable[str], table: Due, publish: Callable[[Told], None], now: datetime
) -> Swept:
    """One message per due run, never a loop over the runs themselves: one that is poisoned cannot
    starve the rest, nor one capability another.
    """
    due = sorted(
        (wake_at, run_id, capability)
        for capability in capabilities
        for run_id, wake_at in table.due(capability, now)
    )
    for wake_at, run_id, capability in due[:MOST_WAKES]:
        # The id names this moment of this run, so repeats of one message are one wake-up.
        due_id = f"{run_id}/{wake_at.isoformat()}/RunDue"
        publish(RunDue(id=due_id, capability=capability, run=run_id, at=now).told())
    return Swept(
        woken=tuple(run_id for _, run_id, _ in due[:MOST_WAKES]),
        overdue=tuple(run_id for wake_at, run_id, _ in due if now - wake_at > OVERDUE_AFTER),
    )
