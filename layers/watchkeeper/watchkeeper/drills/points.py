"""Which recovery point of a resource a drill takes. Pure, and without chance: the same day,
resource and seed give the same one.

Mostly the newest, which is what people would restore. But what fails silently is old, far away or
archived; so every few drills one of those is taken.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from watchkeeper.backups.model import COUNTS, RecoveryPoint
from watchkeeper.drills.costs import STANDARD
from watchkeeper.drills.model import Level, Subject

NEWEST_ONLY = frozenset({Level.METADATA, Level.EXERCISE})
"""The age and the size of the newest are what metadata tells, every day; and a person follows the
page as they would in earnest.
"""


@dataclass(frozen=True)
class Taken:
    point: RecoveryPoint
    why: str
    """`the oldest of 14`."""


def candidates(subject: Subject, level: Level) -> list[RecoveryPoint]:
    """What a drill at a level can be made of, whoever keeps it; the newest first, at home first."""
    usable = [
        point
        for point in subject.points
        if point.state in COUNTS
        and point.until is None
        and (level is not Level.BLOCKS or _shows_blocks(point))
    ]
    home = _region(subject)
    return sorted(
        usable,
        key=lambda one: (
            one.created_at,
            one.place.region == home,
            one.place.tier == STANDARD,
            one.id,
        ),
        reverse=True,
    )


def nothing(subject: Subject, level: Level) -> str:
    """Why a resource has no candidate, in a sentence."""
    completed = [point for point in subject.points if point.state in COUNTS]
    if not completed:
        return "it has no recovery point that could be restored"
    if all(point.until for point in completed):
        return "it has point-in-time recovery alone, which no drill restores yet"
    return (
        f"none of its recovery points can be drilled at level {level.value}: blocks are read of"
        " EBS snapshots that are not archived"
    )


def take(
    subject: Subject, level: Level, interval: timedelta, older: int, now: datetime, seed: str
) -> Taken | None:
    """The recovery point for a drill now; None if there is none. Every `older`-th drill of the
    resource at this level takes another than the newest.
    """
    points = candidates(subject, level)
    if not points:
        return None
    newest = Taken(points[0], f"the newest of {len(points)}")
    if level in NEWEST_ONLY or len(points) == 1:
        return newest
    # Drills are an interval apart, so that each has a number, which nobody needs to remember.
    number = now.toordinal() // max(1, interval.days) + draw(seed, subject.resource)
    others = _others(points, _region(subject), draw(seed, subject.resource, f"{now:%Y-%m-%d}"))
    return newest if number % older else others[number // older % len(others)]


def draw(*words: str) -> int:
    """A number that looks like chance and is not: from the words alone."""
    return int.from_bytes(hashlib.sha256("|".join(words).encode()).digest()[:8])


def _others(points: Sequence[RecoveryPoint], home: str, chance: int) -> list[Taken]:
    """One of each sort that there is; `points` are at least two, the newest first."""
    here = [point for point in points[1:] if point.place.region == home]
    ready = [point for point in here if point.place.tier == STANDARD]
    away = [point for point in points if point.place.region != home]
    archived = [point for point in points if point.place.tier != STANDARD]
    taken = []
    if ready:
        taken.append(Taken(ready[-1], f"the oldest of {len(points)}"))
        taken.append(Taken(ready[chance % len(ready)], f"one of {len(points)}, by lot"))
    if away:
        taken.append(Taken(away[0], f"the newest copy in {away[0].place.region}"))
    if archived:
        taken.append(Taken(archived[0], "the newest in the archive"))
    return taken


def _region(subject: Subject) -> str:
    return subject.resource.split(":")[3]


def _shows_blocks(point: RecoveryPoint) -> bool:
    """EBS reads the snapshots of volumes, and none that are archived:
    https://docs.aws.amazon.com/ebs/latest/userguide/snapshot-archive.html
    """
    snapshots = [part.snapshot for part in point.parts]
    are_of_ebs = bool(snapshots) and all(one.startswith("snap-") for one in snapshots)
    return are_of_ebs and point.place.tier == STANDARD
