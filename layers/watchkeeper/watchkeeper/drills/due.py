"""When which drill of a resource is due, and which due drills did not happen. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from watchkeeper.backups.model import Kind
from watchkeeper.drills.costs import Shape
from watchkeeper.drills.model import Level, Proof, Subject, Verdict

if TYPE_CHECKING:  # reading a policy costs 20 ms of a cold start, and most wake-ups need none
    from watchkeeper.drills.policy import DrillsPolicy

READING = frozenset({Level.METADATA, Level.BLOCKS})
"""Levels that read what is there and make nothing. The others make resources, which cost money,
count against quotas and may raise somebody's alarms.
"""
HAVE_BLOCKS = frozenset({Kind.INSTANCE, Kind.VOLUME})
"""Kinds whose recovery points can be read without a restore: EBS shows its snapshots' blocks."""

SAYS = {level: frozenset(list(Level)[index:]) for index, level in enumerate(Level)}
"""Per level, those whose drills say something about it: itself and the higher ones."""

RETRY = timedelta(days=7)
"""After a drill that failed: people know of it from the page, and a week is time to mend what is
broken. Sooner, one broken resource would eat the budget of all.
"""
READING_GRACE = timedelta(hours=6)
"""A drill counts from its end. The next day's may begin an hour later by the wall (autumn) and end
later by as long as a large fleet takes; six hours are no false alarm, and still the same day.
"""
ARCHIVE_WAIT = timedelta(hours=72)
"""The longest that EBS takes to bring a snapshot back from the archive:
https://docs.aws.amazon.com/ebs/latest/userguide/snapshot-archive.html
"""
RESTORING_GRACE = ARCHIVE_WAIT
"""So long a drill may run, whatever it is of."""


@dataclass(frozen=True)
class Known:
    """What else there is to decide by."""

    since: datetime | None = None
    """When the policy came into force: nobody is owed a drill that was due before that."""
    protected: Mapping[str, datetime] = field(default_factory=dict)
    """Per resource, when its first recovery point ever was made, of those still kept or not."""
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    """Per resource, what it is made of."""


NOTHING_KNOWN = Known()


@dataclass(frozen=True)
class Due:
    """A drill of a resource at a level that the policy asks for, now or later."""

    subject: Subject
    level: Level
    interval: timedelta
    at: datetime
    """When it should have passed again."""
    last: Proof | None
    """The newest that says something about this level: of it, or of a higher one."""

    @property
    def earliest(self) -> datetime:
        """When it may be taken to spread the work: half an interval early. What failed is taken by
        the choice of the same day: it failed minutes after one, and is due minutes after another.
        """
        if self.last is None:
            return datetime.min.replace(tzinfo=UTC)
        early = self.interval / 2 if self.last.verdict is Verdict.PASSED else READING_GRACE
        return self.at - early

    def grace(self) -> timedelta:
        return READING_GRACE if self.level in READING else RESTORING_GRACE

    def standing(self, now: datetime) -> str:
        """In words: `last proved 31 days ago`."""
        if self.last is None:
            return "never proved"
        days = (now - self.last.drilled_at).days
        ago = "today" if days < 1 else "a day ago" if days == 1 else f"{days} days ago"
        return f"{'last proved' if self.last.verdict is Verdict.PASSED else 'failed'} {ago}"


def levels_of(subject: Subject, policy: "DrillsPolicy") -> dict[Level, timedelta]:
    """The levels at which the policy has a resource drilled, and how often, the highest first. One
    that a higher level covers as often is not among them: what passes there counts for it.
    """
    found: dict[Level, timedelta] = {}
    for level in reversed(Level):
        interval = policy.interval(subject.plan, level)
        if level is Level.BLOCKS and subject.kind not in HAVE_BLOCKS:
            continue
        if interval and interval < min(_counting(found, policy), default=timedelta.max):
            found[level] = interval
    return found


def _counting(found: Mapping[Level, timedelta], policy: "DrillsPolicy") -> list[timedelta]:
    """How often there is a drill that says something about lower levels. Without anybody to sign
    it off there is no exercise.
    """
    return [
        interval
        for level, interval in found.items()
        if level is not Level.EXERCISE or policy.sign_off
    ]


def due(subject: Subject, level: Level, interval: timedelta, known: Known = NOTHING_KNOWN) -> Due:
    """When the next drill of a resource at a level is due. What passed at a higher level counts."""
    said = [proof for of, proof in subject.proofs.items() if of in SAYS[level]]
    passed = max((one.drilled_at for one in said if one.verdict is Verdict.PASSED), default=None)
    failed = max((one.drilled_at for one in said if one.verdict is Verdict.FAILED), default=None)
    if failed and (passed is None or passed < failed):
        # It did happen, even if what passed before runs out sooner than it can be mended.
        at = failed + min(RETRY, interval)
    else:
        at = (passed or _owed_since(subject, known)) + interval
    last = max(said, key=lambda one: one.drilled_at, default=None)
    return Due(subject, level, interval, at, last)


def unproved(subject: Subject, policy: "DrillsPolicy") -> bool:
    """Whether some level that is asked for has never passed, itself or by a higher one."""
    passed = {of for of, proof in subject.proofs.items() if proof.verdict is Verdict.PASSED}
    return any(not passed & SAYS[level] for level in levels_of(subject, policy))


def _owed_since(subject: Subject, known: Known) -> datetime:
    """Without either date, since ever. The points that are left do not tell: retention removes
    the first ones.
    """
    moments = (known.since, known.protected.get(subject.resource))
    return max((at for at in moments if at), default=datetime.min.replace(tzinfo=UTC))


@dataclass(frozen=True)
class Overdue:
    """A drill that should have happened, and has neither passed nor failed."""

    resource: str
    name: str
    level: Level
    why: str


def overdue(
    subjects: Iterable[Subject],
    policy: "DrillsPolicy",
    now: datetime,
    known: Known = NOTHING_KNOWN,
) -> list[Overdue]:
    """The drills that were due and did not happen, the longest overdue first."""
    late = [
        drill
        for subject in subjects
        for level, interval in levels_of(subject, policy).items()
        if now > (drill := due(subject, level, interval, known)).at + drill.grace()
    ]
    late.sort(key=lambda one: (one.at, one.subject.resource, one.level.number))
    return [
        Overdue(one.subject.resource, one.subject.name, one.level, _late(one, now)) for one in late
    ]


def _late(drill: Due, now: datetime) -> str:
    every = f"{drill.interval.total_seconds() / 86_400:.3g} days"
    return (
        f"{drill.standing(now)} at level {drill.level.value}; the policy asks for it every {every}"
    )
