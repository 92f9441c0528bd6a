"""How long AWS takes, in simulated time.

AWS answers most calls at once and does the work later: a snapshot is `pending` for minutes, a
deleted one lingers, a new resource is missing from Describe for a while. A `Pace` says how long
each of these takes in the box.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

# Four minutes is a nearly unchanged small volume, twenty-five a first snapshot of a large one.
FASTEST_SNAPSHOT = timedelta(minutes=4)
SLOWEST_SNAPSHOT = timedelta(minutes=25)


def by_identifier(
    shortest: timedelta = FASTEST_SNAPSHOT, longest: timedelta = SLOWEST_SNAPSHOT
) -> Callable[[str], timedelta]:
    """A duration between the two that depends on the identifier alone, to the second.

    The same snapshot takes the same time in every run, so that a failing test fails again.
    """
    span = int((longest - shortest).total_seconds())

    def duration(identifier: str) -> timedelta:
        digest = hashlib.sha256(identifier.encode()).digest()
        return shortest + timedelta(seconds=int.from_bytes(digest[:8], "big") % (span + 1))

    return duration


@dataclass(frozen=True)
class Pace:
    """Durations of what AWS does behind its answers."""

    snapshot_takes: timedelta | Callable[[str], timedelta] = field(default_factory=by_identifier)
    """From `pending` to `completed`; a callable is given the snapshot id."""

    deletion_takes: timedelta = timedelta(minutes=1)
    """How long a deleted snapshot is still described."""

    hidden_for: timedelta = timedelta(seconds=20)
    """How long a new resource is missing from Describe (EC2 is eventually consistent)."""

    call: timedelta = timedelta(0)
    """What one AWS call costs a function of its own timeout."""

    def snapshot_duration(self, snapshot_id: str) -> timedelta:
        """How long this snapshot stays `pending`."""
        if callable(self.snapshot_takes):
            return self.snapshot_takes(snapshot_id)
        return self.snapshot_takes


INSTANT = Pace(snapshot_takes=timedelta(0), deletion_takes=timedelta(0), hidden_for=timedelta(0))
"""AWS as an impatient unit test wishes it: everything is done when the call returns."""
