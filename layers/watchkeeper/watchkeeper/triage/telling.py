"""What people are told of an incident, and when: one page, then changes that matter. Pure.

A page when its first alarm is raised. After that at most one update in APART, and only if what
matters differs from what was told last: another alarm raised, one more severe, one flapping, one
episode over, something else found by looking. OKs in between, repeats and counts of flaps do not
matter.

The first update waits for APART after the page, so that a storm is told in two messages, unless the
incident has become more severe than people know: then it is told at once, and the next one waits.
A more severe alarm is so told at once, or within APART of the update before it. Nothing is dropped:
what waits is still different when its time comes, and `wakes_at` says when to look.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from watchkeeper.quoting import quoted
from watchkeeper.triage.incident_records import Incident, Last, telling
from watchkeeper.triage.incidents import settles_at
from watchkeeper.triage.severity import Severity

APART = timedelta(minutes=10)
"""Between updates: long enough to read one and act, and no one is more than that behind."""
NAMED = 3
"""Alarms named in a headline: what a telephone shows."""


class Kind(StrEnum):
    """Each is told as its own piece of news."""

    OPENED = "opened"
    CHANGED = "changed"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Told:
    """To be told, once."""

    incident: str
    kind: Kind
    at: datetime
    digest: str
    severity: Severity
    headline: str
    """Of what others wrote only names, quoted."""
    why: str
    """Why now."""


def to_tell(incident: Incident, now: datetime) -> Told | None:
    """What has to be told now, if anything; save `after` it in the same write."""
    due_at = tells_at(incident)
    if due_at is None or now < due_at:
        return None
    last = incident.last
    if last is None:
        kind, why = Kind.OPENED, "it has begun"
    elif incident.closed_at is not None:
        kind, why = Kind.RESOLVED, incident.closed_why
    elif incident.severity > last.severity:
        kind, why = Kind.CHANGED, "it is more severe than was told"
    else:
        kind, why = Kind.CHANGED, "there is more to it than was told"
    severity = list(Severity)[incident.severity]
    # Of one that was over before anybody could be told, the end is told as well.
    told = digest(incident if last else replace(incident, closed_at=None))
    return Told(incident.id, kind, now, told, severity, headline(incident), why)


def after(incident: Incident, told: Told) -> Incident:
    """The incident that remembers it."""
    last = incident.last
    paged_at, updated_at = (last.paged_at, told.at) if last else (told.at, None)
    known = Last(told.digest, told.severity.rank, paged_at, updated_at)
    return replace(incident, last=known)


def tells_at(incident: Incident) -> datetime | None:
    """From when on people may be told what they do not know; None if they know everything."""
    last = incident.last
    if incident.severity < 0:
        return None
    if last is None:
        return incident.opened_at
    if digest(incident) == last.digest:
        return None
    if last.updated_at is not None:
        return last.updated_at + APART
    is_worse = incident.closed_at is None and incident.severity > last.severity
    return last.paged_at if is_worse else last.paged_at + APART


def wakes_at(incident: Incident) -> datetime | None:
    """When somebody should look at it next, if no alarm comes."""
    moments = [one for one in (tells_at(incident), settles_at(incident)) if one is not None]
    return min(moments, default=None)


def digest(incident: Incident) -> str:
    """Of what matters to people: two incidents with the same are told alike."""
    if incident.closed_at is not None:
        return "closed"  # whatever is heard of it later, people are not told again
    lines = sorted(
        f"{key} {one.severity} {one.is_flapping}" for key, one in incident.raised().items()
    )
    lines += [incident.matters] if incident.matters else []
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def headline(incident: Incident) -> str:
    """One line: how many, how bad, which, since when, and whether it is the first time."""
    raised = incident.raised()
    firing = sum(one.is_firing for one in raised.values())
    flapping = sum(one.is_flapping for one in raised.values())
    shown = sorted(raised.keys() & incident.names.keys(), key=lambda one: telling(one, raised[one]))
    names = [quoted(incident.names[one]) for one in shown[:NAMED]]
    rest = len(raised) - len(names)
    count = f"{len(raised)} alarm{'s' if len(raised) > 1 else ''}"
    since = incident.started_at.astimezone(UTC)
    parts = [
        f"{count}, {list(Severity)[incident.severity]}, since {since:%Y-%m-%d %H:%M} UTC",
        ", ".join(names) + (f" and {rest} more" if rest else ""),
        f"{firing} firing now" if incident.closed_at is None else f"over: {incident.closed_why}",
    ]
    if flapping:
        parts.append(f"{flapping} flapping")
    if incident.recurrence:
        parts.append(f"repeats an earlier incident, {incident.recurrence} in a row before it")
    if incident.beyond:
        parts.append("more alarms than can be followed")
    return "; ".join(parts)
