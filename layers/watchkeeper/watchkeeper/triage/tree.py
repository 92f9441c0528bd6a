"""How the alarms of an incident hang together: composites, shared resources, shared minutes. Pure.

Every raised member is in the tree once, by name or in a count. A composite stands above its
children, because they say why it fired; of two composites over one child the first to be raised has
it. What no composite holds stands below the resource that most members share, and the rest below
the minute in which it was raised.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from watchkeeper import naming
from watchkeeper.triage.incident_records import Incident, Member, moment, telling

MOST_BRANCHES = 20
"""Below one branch, or at the root: a page of them. The others are counted."""
SHARED = 2
"""Members from which on a resource, or a minute, is shared."""
DEEPEST = 5
"""Composites above composites: CloudWatch's own nest no deeper in practice, and no text is broken
by more; members below are counted.
"""


class By(StrEnum):
    """What a branch is."""

    COMPOSITE = "composite"
    RESOURCE = "resource"
    MINUTE = "minute"
    ALARM = "alarm"
    REST = "rest"
    """What there was no room to show; its count says how much."""


@dataclass(frozen=True, slots=True)
class Branch:
    """One alarm, or several for one reason."""

    by: By
    what: str
    """A name, an ARN or a minute; an alarm without a name has its key. Anybody's text."""
    count: int
    """Raised members in it, itself included."""
    severity: int
    """The highest rank in it."""
    first: int
    """When the first of it was raised; milliseconds since 1970."""
    branches: tuple["Branch", ...] = ()


def tree(incident: Incident) -> tuple[Branch, ...]:
    """The branches of the root, the most severe first, then the largest, then the earliest."""
    raised = incident.raised()
    waiting = dict(sorted(raised.items(), key=lambda pair: telling(*pair)))
    found = [*_composites(incident, waiting), *_resources(incident, waiting)]
    return _shown([*found, *_minutes(incident, waiting)])


def _composites(incident: Incident, waiting: dict[str, Member]) -> list[Branch]:
    """Takes what it shows out of `waiting`, so that circles end and nothing is shown twice."""
    below: dict[str, list[str]] = {}
    for parent, child in sorted(incident.edges):
        if parent in waiting and child in waiting and parent != child:
            below.setdefault(parent, []).append(child)
    children = {child for some in below.values() for child in some}
    order = sorted(below, key=lambda one: (one in children, waiting[one].first, one))
    found = []
    for parent in order:
        # Children that another composite already has leave it an alarm like any other.
        if parent in waiting and any(child in waiting for child in below[parent]):
            member = waiting.pop(parent)
            found.append(_composite(incident, parent, member, below, waiting, DEEPEST))
    return found


def _composite(
    incident: Incident,
    key: str,
    member: Member,
    below: Mapping[str, list[str]],
    waiting: dict[str, Member],
    deep: int,
) -> Branch:
    branches = []
    mine = [(one, waiting.pop(one)) for one in below.get(key, ()) if one in waiting]
    for child, own in mine:
        if deep > 1:
            branches.append(_composite(incident, child, own, below, waiting, deep - 1))
        else:
            branches.append(_leaf(incident, child, own))
    if not branches:
        return _leaf(incident, key, member)
    return _over(By.COMPOSITE, _name(incident, key), branches, (member,))


def _resources(incident: Incident, waiting: dict[str, Member]) -> list[Branch]:
    counts = Counter(one for member in waiting.values() for one in member.resources)
    order = sorted(counts, key=lambda one: (-counts[one], one))
    found = []
    for resource in order:
        if counts[resource] < SHARED:
            break
        mine = [key for key, one in waiting.items() if resource in one.resources]
        if len(mine) >= SHARED:
            leaves = [_leaf(incident, key, waiting.pop(key)) for key in mine]
            what = incident.resources.get(resource, resource)
            found.append(_over(By.RESOURCE, what, leaves))
    return found


def _minutes(incident: Incident, waiting: Mapping[str, Member]) -> list[Branch]:
    together: dict[str, list[Branch]] = {}
    for key, one in waiting.items():
        minute = naming.minute(moment(one.first))
        together.setdefault(minute, []).append(_leaf(incident, key, one))
    found = []
    for minute, leaves in together.items():
        shared = len(leaves) >= SHARED
        found.extend([_over(By.MINUTE, minute, leaves)] if shared else leaves)
    return found


def _leaf(incident: Incident, key: str, member: Member) -> Branch:
    return Branch(By.ALARM, _name(incident, key), 1, member.severity, member.first)


def _over(by: By, what: str, branches: list[Branch], own: Iterable[Member] = ()) -> Branch:
    count, severity, first = _sums(branches)
    for one in own:
        count, severity, first = count + 1, max(severity, one.severity), min(first, one.first)
    return Branch(by, what, count, severity, first, _shown(branches))


def _shown(branches: list[Branch]) -> tuple[Branch, ...]:
    order = sorted(branches, key=lambda one: (-one.severity, -one.count, one.first, one.what))
    if len(order) <= MOST_BRANCHES:
        return tuple(order)
    shown, rest = order[:MOST_BRANCHES], order[MOST_BRANCHES:]
    return (*shown, Branch(By.REST, "more", *_sums(rest)))


def _sums(branches: list[Branch]) -> tuple[int, int, int]:
    return (
        sum(one.count for one in branches),
        max(one.severity for one in branches),
        min(one.first for one in branches),
    )


def _name(incident: Incident, key: str) -> str:
    return incident.names.get(key, key)
