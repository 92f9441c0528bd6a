"""What the year of drills is judged by: plain records of what was written, told and seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

DAY = timedelta(days=1)
MONTH = 30 * DAY
LEVELS = ("metadata", "blocks", "restore", "check", "exercise")
"""From the lowest to the highest: what passes at one says so of all below it."""
READING = ("metadata", "blocks")

LONGEST = 3 * DAY
"""So long may a drill have something restored."""
Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Document:
    """One of evidence."""

    resource: str
    level: str
    run: str
    verdict: str
    failure: str
    point: str
    began_at: datetime
    ended_at: datetime
    usd: float
    """As estimated."""
    sequence: int
    digest: str

    @property
    def is_reading(self) -> bool:
        return self.level in READING

    @property
    def round(self) -> str:
        """Of one that reads: the run that looked."""
        return self.run.rpartition("#")[0] if self.is_reading else self.run


@dataclass(frozen=True)
class Member:
    """A resource that is to be drilled."""

    resource: str
    name: str
    plan: str
    has_blocks: bool
    since: datetime
    """When its first recovery point was made."""


@dataclass(frozen=True)
class Rules:
    """A policy, and since when it is in force."""

    since: datetime
    every: Mapping[str, Mapping[str, timedelta]]
    """Per plan and level."""
    at_once: int
    per_run_usd: float
    per_month_usd: float


@dataclass(frozen=True)
class Choice:
    """What a round said beforehand."""

    run: str
    at: datetime
    estimate: float
    put_off: tuple[str, ...] = ()
    shortfalls: tuple[str, ...] = ()


@dataclass(frozen=True)
class Begun:
    """A drill that the budget counts; without a resource, all that only read in a round."""

    run: str
    resource: str
    at: datetime
    usd: float


@dataclass(frozen=True)
class Page:
    """Of drills, to people."""

    subject: str
    run: str
    at: datetime
    lines: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True)
class Damage:
    """A recovery point that went bad."""

    how: str
    """`emptied`, or `unrestorable`."""
    at: datetime


@dataclass(frozen=True)
class Excuse:
    """A while in which a drill of something good may fail."""

    begins: datetime
    ends: datetime
    levels: tuple[str, ...] = LEVELS
    resource: str = ""
    """Empty for any."""

    def covers(self, one: Document) -> bool:
        of_it = self.resource in ("", one.resource) and one.level in self.levels
        return of_it and one.began_at <= self.ends and self.begins <= one.ended_at


@dataclass(frozen=True)
class Seen:
    """The world, and the records of a while."""

    begins: datetime
    ends: datetime
    rules: Sequence[Rules]
    """The oldest first."""
    members: Sequence[Member] = ()
    documents: Sequence[Document] = ()
    choices: Sequence[Choice] = ()
    begun: Sequence[Begun] = ()
    pages: Sequence[Page] = ()
    failed_runs: frozenset[str] = frozenset()
    """Drills whose runs failed as runs."""
    exercises: frozenset[str] = frozenset()
    """Runs of exercises that were handed out."""
    refused: int = 0
    """Texts of the policy that had to be refused."""
    crowds: Sequence[tuple[datetime, int]] = ()
    """How many drills had something in AWS, whenever that changed."""
    troubles: Sequence[Span] = ()
    """When drills could not be chosen, or could not end."""
    alarms: Sequence[Span] = ()
    """When it was said that drills are overdue."""
    damaged: Mapping[str, Damage] = field(default_factory=dict)
    """By the id of the recovery point."""
    excuses: Sequence[Excuse] = ()

    def rules_at(self, at: datetime) -> Rules:
        known = [one for one in self.rules if one.since <= at]
        return known[-1] if known else self.rules[0]
