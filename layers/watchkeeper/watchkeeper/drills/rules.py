"""Which drills are begun now, which are put off, and what the budget cannot do. Pure.

Each level has its own queue: what was never proved first, then the most overdue. Of a queue as many
are taken as it needs so that every one is drilled in time: those that cannot wait for the next
choice, and, where many are due soon, some of them early. So work is spread over the days, and no
day of the month is special.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import floor
from typing import TYPE_CHECKING

from watchkeeper.backups.model import RecoveryPoint
from watchkeeper.drills import costs, points
from watchkeeper.drills.costs import STANDARD, UNKNOWN_SHAPE, Estimate, estimate
from watchkeeper.drills.due import (
    ARCHIVE_WAIT,
    NOTHING_KNOWN,
    READING,
    READING_GRACE,
    Due,
    Known,
    due,
    levels_of,
)
from watchkeeper.drills.forecast import MONTH, Shortfall, forecast
from watchkeeper.drills.model import Begun, Drill, Level, Subject
from watchkeeper.schedules import occurrences

if TYPE_CHECKING:  # reading a policy costs 20 ms of a cold start, and most wake-ups need none
    from watchkeeper.drills.policy import DrillsPolicy

AHEAD = timedelta(days=366)
"""The longest interval: no due date lies further away, of what was drilled before now."""


@dataclass(frozen=True)
class NoDrill:
    """A drill that has failed before it could begin: there is nothing to drill."""

    resource: str
    name: str
    level: Level
    why: str


@dataclass(frozen=True)
class PutOff:
    """A drill that should have begun now, and did not."""

    resource: str
    name: str
    level: Level
    why: str
    cost: float = 0.0
    """USD, as estimated."""


@dataclass(frozen=True)
class Choice:
    drills: tuple[Drill, ...] = ()
    failed: tuple[NoDrill, ...] = ()
    put_off: tuple[PutOff, ...] = ()
    findings: tuple[Shortfall, ...] = ()
    estimate: float = 0.0
    """USD, of all drills together."""
    unknown: tuple[str, ...] = ()
    """What of the estimate is a guess, in sentences."""


def choose(
    subjects: Iterable[Subject],
    policy: "DrillsPolicy",
    running: Sequence[Drill | Begun],
    spent: float,
    now: datetime,
    seed: str,
    known: Known = NOTHING_KNOWN,
) -> Choice:
    """The drills to begin now. `running` are those that have not ended; `spent` is USD, as
    estimated, of all that were begun within the last MONTH, running ones included. `seed` sets
    apart stacks that would otherwise choose alike.
    """
    everyone = sorted(subjects, key=lambda one: one.resource)
    asked = [(subject, levels_of(subject, policy)) for subject in everyone]
    times = _Times(policy, now, seed)
    taking = _Taking(policy, running, spent, now, seed, known)
    for level in reversed(Level):
        queue = _queue(asked, level, taking, known)
        for wanted in times.in_time(queue):
            taking.take(wanted, must=times.cannot_wait(wanted))
    return Choice(
        drills=tuple(taking.drills),
        failed=tuple(taking.failed),
        put_off=tuple(taking.put_off),
        findings=(*forecast(asked, policy, times.per_day(), known), *taking.late),
        estimate=taking.total,
        unknown=tuple(taking.unknown),
    )


def _queue(
    asked: Sequence[tuple[Subject, Mapping[Level, timedelta]]],
    level: Level,
    taking: "_Taking",
    known: Known,
) -> list[Due]:
    """Who may be drilled at a level now."""
    queue = [
        due(subject, level, levels[level], known)
        for subject, levels in asked
        if level in levels and taking.may_take(subject, level)
    ]
    return [wanted for wanted in queue if wanted.earliest <= taking.now]


# ── When ──────────────────────────────────────────────────────────────────────────────────────────


class _Times:
    """The choices to come, and how much of a queue must be done before them."""

    def __init__(self, policy: "DrillsPolicy", now: datetime, seed: str) -> None:
        self.policy, self.now, self.seed = policy, now, seed
        self.reading = occurrences(policy.when, now, now + AHEAD)
        self.restoring = policy.without_closed(self.reading)

    def left(self, wanted: Due) -> int:
        """How many choices there are to take it in time, this one included: it must have ended when
        it is due. Metadata is asked for too often for that, and takes minutes.
        """
        if wanted.level is Level.METADATA:
            return 1 + bisect_right(self.reading, wanted.at)
        if wanted.level is Level.BLOCKS:
            return 1 + bisect_right(self.reading, wanted.at - READING_GRACE)
        lasts = self.policy.objective(wanted.subject.plan)
        if any(point.place.tier != STANDARD for point in wanted.subject.points):
            lasts += ARCHIVE_WAIT
        return 1 + bisect_right(self.restoring, wanted.at - lasts)

    def cannot_wait(self, wanted: Due) -> bool:
        return self.left(wanted) == 1

    def in_time(self, queue: Sequence[Due]) -> list[Due]:
        """Who of a queue is drilled now so that all of it is drilled in time: what was never proved
        first, then the most overdue.
        """
        order = sorted(
            queue,
            key=lambda one: (
                one.last is not None,
                one.at,
                points.draw(self.seed, one.subject.resource),
            ),
        )
        count = self._pace(order)
        return [one for index, one in enumerate(order) if index < count or self.cannot_wait(one)]

    def _pace(self, order: Sequence[Due]) -> int:
        """How many a choice must take on average so that none is late. Rounded down: what is left
        raises the pace of the next choice. A queue that is slower than one a choice would so wait
        until its end; what was never proved is taken by lot before that.
        """
        left = sorted(self.left(one) for one in order)
        pace = max((count / choices for count, choices in enumerate(left, 1)), default=0.0)
        whole = floor(pace)
        if order and order[0].last is None:
            lot = points.draw(self.seed, order[0].level.value, self.now.isoformat()) / 2**64
            whole += lot < pace - whole
        return whole

    def per_day(self) -> float:
        """How many choices a day may restore something, on average."""
        return len(self.restoring) / (AHEAD / timedelta(days=1))


def _answers_today(point: RecoveryPoint, level: Level) -> bool:
    """Whether lower levels can wait for its answer. What the archive gives back may take three
    days, a large database ten hours, a person's signature as long as they let it.
    """
    return point.place.tier == STANDARD and costs.expected(point, level) <= READING_GRACE


# ── Within the budget ─────────────────────────────────────────────────────────────────────────────


class _Taking:
    """What has been taken so far, and whether the budget allows one more."""

    def __init__(
        self,
        policy: "DrillsPolicy",
        running: Sequence[Drill | Begun],
        spent: float,
        now: datetime,
        seed: str,
        known: Known,
    ) -> None:
        self.policy, self.spent, self.now, self.seed, self.known = policy, spent, now, seed, known
        self.closed = policy.closed_by(now)
        self.running = {(one.resource, one.level) for one in running}
        self.restoring = {one.resource for one in running if one.level not in READING}
        self.drills: list[Drill] = []
        self.failed: list[NoDrill] = []
        self.put_off: list[PutOff] = []
        self.late: list[Shortfall] = []
        self.unknown: list[str] = []
        self.total = 0.0
        self.saving_for = ""
        """Whose drill the rest of the month's money is kept for."""
        self.answered: set[str] = set()
        """Who is drilled now, soon over, or cannot be: lower levels have nothing to add today."""
        self.waiting: set[str] = set()
        """Who would have something restored, if the budget or the time allowed it."""

    def may_take(self, subject: Subject, level: Level) -> bool:
        resource = subject.resource
        if (resource, level) in self.running or resource in self.answered:
            return False
        if level in READING:
            return True
        return resource not in self.restoring | self.waiting

    def take(self, wanted: Due, *, must: bool) -> None:
        """Take it, put it off, or call it failed; `must` if it would then be late."""
        subject, level = wanted.subject, wanted.level
        taken = points.take(
            subject, level, wanted.interval, self.policy.older_points, self.now, self.seed
        )
        if taken is None:
            why = points.nothing(subject, level)
            self.failed.append(NoDrill(subject.resource, subject.name, level, why))
            if not points.candidates(subject, Level.METADATA):
                self.answered.add(subject.resource)
            return
        shape = self.known.shapes.get(subject.resource, UNKNOWN_SHAPE)
        expected = estimate(taken.point, level, shape)
        if why := self._forbidden(subject, level, expected.usd, must=must):
            self._put_off(wanted, why, expected.usd, must=must)
        else:
            self._take(wanted, taken, expected)

    def _take(self, wanted: Due, taken: points.Taken, expected: Estimate) -> None:
        subject, level = wanted.subject, wanted.level
        why = f"{wanted.standing(self.now)}; {taken.why}"
        if taken.point.keeper:
            why += f", kept by {taken.point.keeper}"
        self.drills.append(Drill(taken.point, level, why, expected.usd))
        self.total += expected.usd
        self.unknown += [f"{subject.name or subject.resource}: {one}" for one in expected.unknown]
        if level not in READING:
            self.restoring.add(subject.resource)
        if _answers_today(taken.point, level):
            self.answered.add(subject.resource)

    def _put_off(self, wanted: Due, why: str, cost: float, *, must: bool) -> None:
        subject, level = wanted.subject, wanted.level
        self.put_off.append(PutOff(subject.resource, subject.name, level, why, cost))
        if level is Level.EXERCISE and not self.policy.sign_off:
            return  # said once, for all; a lower level can be drilled meanwhile
        if level not in READING:
            self.waiting.add(subject.resource)
        if must:
            until = wanted.at + wanted.grace()
            what = f"{wanted.standing(self.now)} at level {level.value}, and put off: {why}"
            if until > self.now:
                what += f"; from {until:%Y-%m-%d %H:%M} UTC it is overdue"
            self.late.append(Shortfall(what, subject.resource, subject.name))

    def _forbidden(self, subject: Subject, level: Level, cost: float, *, must: bool) -> str:
        """Why it cannot begin now; empty if it can."""
        if level is Level.EXERCISE and not self.policy.sign_off:
            return "nobody is named in sign_off"
        if level not in READING:
            if self.closed:
                reason = f" ({self.closed.why})" if self.closed.why else ""
                return f"nothing may be restored now{reason}"
            if len(self.restoring) >= self.policy.budget.at_once:
                return f"{len(self.restoring)} are running, and no more may be at once"
            if self.saving_for:
                return f"the rest of the month's money is kept for {self.saving_for}"
        return self._too_dear(subject, level, cost, must=must) if cost else ""

    def _too_dear(self, subject: Subject, level: Level, cost: float, *, must: bool) -> str:
        budget = self.policy.budget
        if self.total + cost > budget.per_run_usd:
            together = f"${self.total:.2f} of this choice and ${cost:.2f} for it"
            return f"{together} are more than per_run_usd, {budget.per_run_usd:g}"
        used = self.spent + self.total
        if used + cost <= budget.per_month_usd:
            return ""
        if must and level not in READING:
            # Or cheaper ones would use up what is left, month after month.
            self.saving_for = subject.name or subject.resource
        together = f"${used:.2f} of the last {MONTH.days} days and ${cost:.2f} for it"
        return f"{together} are more than per_month_usd, {budget.per_month_usd:g}"
