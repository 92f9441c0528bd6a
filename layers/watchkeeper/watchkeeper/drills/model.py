"""What drills are about: levels, checks, times, verdicts, proofs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from watchkeeper.backups.model import Kind, RecoveryPoint

CAPABILITY = "drills"
"""The name of the policy's parameter, and in the keys of policy and coverage."""


class Level(StrEnum):
    """How much of a recovery a drill does; each does what those before it do. Stored: add, never
    rename.
    """

    METADATA = "metadata"
    """It is there, completed, young enough, its key is alive, its size has not collapsed."""
    BLOCKS = "blocks"
    """Its bytes are read where they lie: partition table, file system, sampled blocks."""
    RESTORE = "restore"
    """It is restored, and becomes available."""
    CHECK = "check"
    """What was restored is asked questions and compared with the manifest."""
    EXERCISE = "exercise"
    """A person follows the printed page, and signs it off."""

    @property
    def number(self) -> int:
        """As people say it: L0 to L4."""
        return list(Level).index(self)


class Verdict(StrEnum):
    """Stored: add, never rename. There is no third: a drill without a verdict has failed."""

    PASSED = "passed"
    FAILED = "failed"


@dataclass(frozen=True)
class Check:
    """One question that was put to a recovery point or to what was restored of it."""

    name: str
    """What was asked, in words: `row count of orders`."""
    level: Level
    version: int
    """Of the code that asks; its negative control is run again when it changes."""
    expected: str
    """What it should be, and where that is known from."""
    found: str
    passed: bool
    why: str = ""
    """Why bounds are as wide as they are, or why it could not be asked, which is no pass."""


@dataclass(frozen=True)
class Questioned:
    """A question of the operator's to one restored database."""

    database: str
    """Within the instance or cluster."""
    name: str
    query: str
    """Data, never part of a command."""
    at_least: float | None = None
    at_most: float | None = None
    equal: float | str | None = None
    newest: bool = False
    """The answer is the time of the newest row."""


@dataclass(frozen=True)
class Phases:
    """When things happened, in UTC; None for what has not, or is not part of the level."""

    asked: datetime | None = None
    """The restore was asked for."""
    available: datetime | None = None
    """Its service says that it can be used."""
    initialised: datetime | None = None
    """All its data has arrived: before that every first read waits for S3."""
    verified: datetime | None = None
    """The last check has answered."""
    torn_down: datetime | None = None
    """The sweep found nothing left of it."""


@dataclass(frozen=True)
class Drill:
    """A recovery point to be drilled at a level, and why this one."""

    point: RecoveryPoint
    level: Level
    why: str
    """`most overdue: last proved 31 days ago`."""
    cost: float = 0.0
    """USD, as estimated beforehand."""

    @property
    def resource(self) -> str:
        return self.point.resource


@dataclass(frozen=True)
class Begun:
    """A drill that was begun, and counts against the budget."""

    run: str
    resource: str
    point: str
    """The recovery point's id."""
    level: Level
    begun_at: datetime
    usd: float
    """As estimated beforehand."""
    is_running: bool = True


@dataclass(frozen=True)
class SignOff:
    """What a person says who has followed the page of an exercise."""

    by: str
    passed: bool
    note: str
    at: datetime


@dataclass(frozen=True)
class Proof:
    """What the last drill of a resource at a level proved, or did not."""

    resource: str
    level: Level
    drilled_at: datetime
    """When it ended."""
    verdict: Verdict
    point: str
    """The recovery point's id."""
    point_created_at: datetime
    run: str
    why: str = ""
    """Of a failure: the first check that did not pass, or what kept it from a verdict."""
    newest_data: datetime | None = None
    """The newest data found in what was restored; the RPO reached is measured from it."""
    phases: Phases = field(default_factory=Phases)
    sequence: int = 0
    """The number of its evidence in the resource's chain."""
    digest: str = ""
    """SHA-256 of its evidence, in hex."""
    found: Mapping[str, str] = field(default_factory=dict)
    """What the last drill at the level that passed has found in what it restored, by name of the
    check: the next one's findings are compared with it.
    """


@dataclass(frozen=True)
class Subject:
    """A protected resource, as the choice of drills sees it."""

    resource: str
    kind: Kind
    name: str
    plan: str
    points: tuple[RecoveryPoint, ...]
    """Everything that it can be restored from, whoever keeps it."""
    proofs: Mapping[Level, Proof] = field(default_factory=dict)
    """Per level, the newest that passed or failed."""
    is_protected: bool = True
    """Whether a plan takes recovery points of it now: of what is gone, the newest only gets older.
    """
