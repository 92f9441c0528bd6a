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

    db_snapshot_takes: timedelta | Callable[[str], timedelta] = field(default_factory=by_identifier)
    """From `creating` to `available`, of RDS and Aurora; a callable is given the name."""

    window_backup_takes: timedelta = timedelta(minutes=10)
    """How long RDS backs an instance up in its daily window, when nobody else can."""

    lost_key_noticed_after: timedelta = timedelta(minutes=30)
    """How long a database whose KMS key was disabled still shows itself as `available`."""

    ddb_backup_takes: timedelta | Callable[[str], timedelta] = timedelta(minutes=2)
    """From `CREATING` to `AVAILABLE`, of DynamoDB, whatever the size of the table; a callable is
    given the ARN of the backup."""

    ddb_backups_enabled_after: timedelta = timedelta(seconds=30)
    """How long a new DynamoDB table refuses backups."""

    command_delivered_after: timedelta = timedelta(seconds=1)
    """How long a command of Systems Manager needs to reach an agent that answers."""

    command_takes: timedelta = timedelta(seconds=5)
    """How long a script runs."""

    command_hidden_for: timedelta = timedelta(seconds=2)
    """How long a new command is missing from lists (Run Command is eventually consistent)."""

    call: timedelta = timedelta(0)
    """What one AWS call costs a function of its own timeout."""

    def snapshot_duration(self, snapshot_id: str) -> timedelta:
        """How long this snapshot stays `pending`."""
        return _duration(self.snapshot_takes, snapshot_id)

    def db_snapshot_duration(self, name: str) -> timedelta:
        """How long this snapshot of a database stays `creating`."""
        return _duration(self.db_snapshot_takes, name)

    def ddb_backup_duration(self, arn: str) -> timedelta:
        """How long this backup of a table stays `CREATING`."""
        return _duration(self.ddb_backup_takes, arn)


def _duration(takes: timedelta | Callable[[str], timedelta], identifier: str) -> timedelta:
    return takes(identifier) if callable(takes) else takes


INSTANT = Pace(
    snapshot_takes=timedelta(0),
    deletion_takes=timedelta(0),
    hidden_for=timedelta(0),
    db_snapshot_takes=timedelta(0),
    window_backup_takes=timedelta(0),
    lost_key_noticed_after=timedelta(0),
    ddb_backup_takes=timedelta(0),
    ddb_backups_enabled_after=timedelta(0),
    command_delivered_after=timedelta(0),
    command_takes=timedelta(0),
    command_hidden_for=timedelta(0),
)
"""AWS as an impatient unit test wishes it: everything is done when the call returns."""
