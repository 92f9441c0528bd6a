"""What the steps of a restore ask of a kind, whatever it is that it restores: volumes.py,
databases.py and tables.py each answer it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Protocol

from watchkeeper.backups.manifest import Manifest
from watchkeeper.backups.model import RecoveryPoint, Service
from watchkeeper.drills.model import Check, Level, Questioned

Facts = Mapping[str, str]
"""What is to be remembered between two looks; a kind's own names begin with its own word."""


@dataclass(frozen=True)
class Restoring:
    """One restore: of what, under which name."""

    name: str
    """Of everything that is made for it, in its name or its tag: `naming.drill_name`."""
    point: RecoveryPoint
    manifest: Manifest | None
    """What was written down when the point was made; None where nothing was (volumes, others')."""
    level: Level
    tags: Mapping[str, str]
    """`naming.drill_tags`: to be set in the call that makes something."""
    objective: timedelta
    """How old the newest data may be, measured from the moment that the point claims."""
    questions: Sequence[Questioned] = ()
    """Of the operator's policy, to this very resource."""
    before: Mapping[str, str] = field(default_factory=dict)
    """What the last drill that passed has found, by name of the check: `Answers.remember`."""


class State(Enum):
    COMING = "coming"
    AVAILABLE = "available"
    BROKEN = "broken"
    """It will not become available."""


@dataclass(frozen=True)
class Stands:
    """How far a restore has come, as its service shows it."""

    state: State
    why: str = ""
    """COMING: completes "waits for …". BROKEN: what its service says."""
    is_initialised: bool = True
    """Whether all its data has arrived; also true where its service does not say."""


@dataclass(frozen=True)
class Pending:
    """Not yet so."""

    on: str
    """Completes "waits for …": the status line that people read."""
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True)
class Answers:
    """What was found in a restored thing."""

    checks: Sequence[Check]
    """At least one; what could not be asked is a check that did not pass."""
    newest_data: datetime | None = None
    """The time of the newest data in it; None if nothing in it tells."""
    remember: Mapping[str, str] = field(default_factory=dict)
    """What the next drill is to compare its own findings with, by name of the check."""


@dataclass(frozen=True)
class Left:
    """Something that a drill has made and that is still there."""

    what: str
    """For people: `volume vol-0abc`."""
    drill: str
    """The name of the drill that has made it."""
    stack: str
    """Which has made it; empty if nothing says."""
    expires_at: datetime | None
    """When anybody may remove it; None if nothing says."""
    thing: Any = None
    """As its adapter has it."""


@dataclass(frozen=True)
class Where:
    """The isolation that drills restore into, as people need to know it."""

    subnet_group: str
    database_group: str
    """The security group of restored databases."""
    zone: str


class Remover(Protocol):
    """Finds and removes what drills have made."""

    def left(self) -> Sequence[Left]:
        """Everything of this service that any drill has made, of every stack. Describe may lag."""

    def remove(self, left: Left, now: datetime, /) -> str:
        """Empty if it is being removed, or gone; otherwise what must pass first. Raises Refused of
        what is not a drill's.
        """


class Restorer(Remover, Protocol):
    """Makes, examines and removes what drills restore of one service. Every method may be called
    again after an attempt that nobody heard of, and then finds what that one has made.
    """

    service: Service

    def ask(self, one: Restoring, /) -> str:
        """Ask for the restore. Empty once that was accepted; otherwise what must pass first.

        Raises Refused or NotThere if there will be none.
        """

    def stands(self, one: Restoring, /) -> Stands:
        """Raises NotThere if it was never begun, or somebody has removed it."""

    def secure(self, one: Restoring, facts: Facts, now: datetime, /) -> Pending | Facts:
        """Take from what is available whatever opened the original: a password of production."""

    def checks(self, one: Restoring, /) -> list[Check]:
        """L2: what its service shows of it, compared with the manifest: settings, sizes, source."""

    def examine(self, one: Restoring, facts: Facts, now: datetime, /) -> Pending | Answers:
        """L3: look into it, and compare what is found with what was written down."""
