"""The record of one run, and what a step can report about it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from watchkeeper import naming

SCHEMA = 1
"""Raised when stored fields change meaning. Fields are only ever added; readers keep those that
they do not know.
"""

Told = Mapping[str, Any]
"""A piece of news in its stored form (see `watchkeeper.news`)."""


# ── What a step reports ───────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Done:
    """It is so, read back."""

    facts: Mapping[str, str] = field(default_factory=dict)
    news: Sequence[Told] = ()


@dataclass(frozen=True)
class Waiting:
    """Not yet so. `on` completes the sentence "waits for …": the status line that people read."""

    on: str
    until: datetime | None = None
    """When to look again; None means after the step's own `poll`, a past moment means at once."""
    facts: Mapping[str, str] = field(default_factory=dict)
    news: Sequence[Told] = ()


@dataclass(frozen=True)
class Failed:
    """The world does not allow it. A fact about the world, never about our code."""

    why: str
    facts: Mapping[str, str] = field(default_factory=dict)
    news: Sequence[Told] = ()


Report = Done | Waiting | Failed


# ── The record ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Lease:
    """One invocation's right to move a run. It outlives that invocation, so that two never move it
    side by side.
    """

    token: str
    until: datetime


@dataclass(frozen=True)
class Run:
    """One night, shard, drill or campaign, exactly as the table holds it."""

    id: str
    steps: tuple[str, ...]
    """The names of its steps, frozen when it started: a deploy changes code, never the plan."""
    step: str | None
    """Where it is; None once finished."""
    entered_at: datetime
    """When it reached this step; the step's limit counts from here."""
    wake_at: datetime
    """When somebody should look at it next; the due index is ordered by it."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What the steps found out, for the steps after them."""
    waits_for: str = ""
    failure: str | None = None
    """The first thing that went wrong. Where it is and how it went are two facts."""
    finished: int = 0
    """How many steps have ended; numbers their history lines."""
    attempts: int = 0
    """Attempts at this step that were begun and have not reported: above one, an earlier one was
    cut off.
    """
    unclear_since: datetime | None = None
    """When an attempt at this step, or at the one whose failure led here, was found cut off or was
    left without an answer: what it asked for may still come to light.
    """
    setbacks: int = 0
    """Failures in a row of an `always` step; it backs off by them."""
    paged_at: datetime | None = None
    """When people were last told that this step is late or stuck."""
    halted_at: datetime | None = None
    """Since when this step is halted, by a stop item or because this version does not know it; that
    time does not count against its limit.
    """
    unsent: tuple[Told, ...] = ()
    """News caused by this state and saved with it, still to be sent."""
    lease: Lease | None = None
    version: int = 0
    schema: int = SCHEMA
    unknown: Mapping[str, Any] = field(default_factory=dict)
    """Fields that a newer version wrote; they survive our saving."""

    @property
    def capability(self) -> str:
        return naming.capability_of(self.id)

    @property
    def is_over(self) -> bool:
        return self.step is None and not self.unsent


def new_run(run_id: str, steps: Sequence["Step"], now: datetime, **facts: str) -> Run:
    names = tuple(step.name for step in steps)
    return Run(id=run_id, steps=names, step=names[0], entered_at=now, wake_at=now, facts=facts)


def news_run(run_id: str, now: datetime, *told: Told) -> Run:
    """A run without steps: news that must be sent exactly as reliably as any other."""
    return Run(id=run_id, steps=(), step=None, entered_at=now, wake_at=now, unsent=told)


@dataclass(frozen=True)
class Step:
    """One line of a workflow's table."""

    name: str
    """Stored in records: add, never rename."""
    ensure: Callable[[Run, Any, datetime], Report]
    """Make it so and report whether it is; safe to repeat, late, or beside itself."""
    within: timedelta
    """Waiting longer than this fails the step; an `always` step pages instead and goes on."""
    poll: timedelta = timedelta(minutes=5)
    """AWS's slow work takes minutes to hours: finer looks cost calls and save no time."""
    always: bool = False
    """Runs after a failure too, and is never abandoned."""


# ── Where records are kept ────────────────────────────────────────────────────────────────────────


class Stale(Exception):
    """Another invocation moved the run first. No error: log it and stop."""


@dataclass(frozen=True)
class Stop:
    """An operator's order to halt everything but clean-up."""

    why: str
    by: str


class RunStore(Protocol):
    """What the engine needs of the table. `watchkeeper.aws.runs` keeps it in DynamoDB."""

    def lease(self, run_id: str, lease: Lease, now: datetime) -> Run | None:
        """Take the lease in one conditional write, which adds one to `attempts` and sets `wake_at`
        to the end of the lease.

        None if the run does not exist, is over, or another invocation holds its lease. The same
        lease again is granted again: the answer to the first request may have been lost.
        """

    def save(self, run: Run, history: Mapping[str, str] | None = None) -> Run:
        """Store the run if nobody else has moved it; raises Stale.

        `history` is the line of a step that has ended.
        """

    def stop(self) -> Stop | None:
        """The stop item, if an operator has set one."""
