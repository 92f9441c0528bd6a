"""Which alarms are one incident, and what the incident becomes when an alarm changes. Pure.

An incident is what its alarms' changes make it, whatever the order in which they came and however
often: every field of its members is a largest, a smallest or a union, and a change counts by its
own time. Only the id says who was first to be heard. What was told of it is in telling.py, how its
members hang together in tree.py.

An alarm belongs to an open incident, in this order, if
    it is a member already: flapping is one episode;
    it is a composite over a member, or a child of one;
    it is about a resource that a member is about;
    it was raised within TOGETHER of the incident's start: whatever spans no more is one incident.

An OK that overtakes its ALARM is kept, too, in an incident that nobody is told about, or else the
ALARM would later open one that never ends. Muted alarms are recorded and raise nothing. Our own
alarms, and those of autoscaling, are refused: they page directly, or nobody.

Where two reports of the same alarm at the same millisecond differ, the worse is believed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from watchkeeper import naming
from watchkeeper.triage.incident_records import (
    ALARM,
    OK,
    RAISES_EACH,
    SILENT,
    Alarm,
    Incident,
    Member,
    clean,
    key_of,
    stamp,
    telling,
)  # fmt: skip

TOGETHER = timedelta(minutes=10)
"""Alarms look every one to five minutes, often twice before they speak: one fault shows in all that
see it within two of the longest periods.
"""
SETTLE = timedelta(minutes=15)
"""Three periods of five minutes in which nothing fires: then it is over. Sooner, a flapping alarm
would be a page per flap.
"""
UNPROVED = timedelta(hours=1)
"""The same where a member has gone silent instead of OK: its metric may only be late."""
EPISODE = timedelta(hours=12)
"""After so long without any change a new one is another incident, though the first never ended: an
OK may have been lost, and whoever is on call by now has been told nothing.
"""
RECURRENCE = timedelta(days=7)
"""Who is on call wants to know that it is the third time this week."""
SKEW = timedelta(minutes=5)
"""No clock is wrong by more: a change from further ahead is taken as of now, for otherwise the true
ones after it would look old.
"""

MOST_MEMBERS = 1_500
"""At most 160 bytes each: 240 of the 400 KB of an item, and half as many again as the largest storm
that is expected. Of more, the telling ones stay.
"""
MOST_NAMES = 40
"""Members known by name, more than a person reads; the others are counted by state and resource."""
MOST_SHARED = 20
"""Resources known by name: those with the most members."""
MOST_EDGES = 500
"""From composites to their children."""
MOST_FOLLOWED = 5
RESOURCES_EACH = 3
"""Resources of one alarm: a metric has one or two, and its cluster."""
LONGEST_NAME = 80
LONGEST_ARN = 256

_WORSE = {OK: 0, SILENT: 1, ALARM: 2}


class Home(NamedTuple):
    """Where an alarm belongs."""

    incident: Incident | None
    """The one that it joins; None if it opens one."""
    before: Incident | None = None
    """The latest that it repeats. If that one is still open, its end was lost: `close` it."""
    why: str = ""


# --- Which incident ------------------------------------------------------------------------------

_WHY = ("the same alarm", "a composite and its children", "the same resource", "the same minutes")
_BY_TIME, _NOT_AT_ALL = 3, 4


def home(incidents: Iterable[Incident], alarm: Alarm) -> Home:
    """Of the open incidents and those closed within RECURRENCE, where this change belongs.

    A late report of an episode that is over belongs to that episode, and tells nobody anything.
    """
    ranked = sorted(
        ((_relation(one, alarm), one) for one in incidents),
        key=lambda pair: (pair[0], pair[1].opened_at, pair[1].id),
    )
    over = [(rank, one) for rank, one in ranked if _is_over(one, alarm)]
    going = [pair for pair in ranked if not _is_over(pair[1], alarm)]
    rank, incident = going[0] if going else (_NOT_AT_ALL, None)
    for its, one in over:
        if its == 0 and (_is_known(one, alarm) or (rank > 0 and alarm.state != ALARM)):
            return Home(one, why="of an episode that is over")
    same = [one for its, one in over if its < _BY_TIME and _is_recent(one, alarm)]
    before = max(same, key=lambda one: (one.opened_at, one.id), default=None)
    if rank > _BY_TIME:
        return Home(None, before)
    return Home(incident, before, _WHY[rank])


def _relation(incident: Incident, alarm: Alarm) -> int:
    """An index of _WHY, the closest first."""
    key = key_of(alarm.key)
    if key in incident.members:
        return 0
    children = {key_of(child) for child in alarm.children}
    if not children.isdisjoint(incident.members) or any(
        child == key and parent in incident.members for parent, child in incident.edges
    ):
        return 1
    mine = set(_resource_keys(alarm))
    if any(not mine.isdisjoint(one.resources) for one in incident.members.values()):
        return 2
    near = incident.members and abs(alarm.at - incident.started_at) <= TOGETHER
    return _BY_TIME if near else _NOT_AT_ALL


def _is_over(incident: Incident, alarm: Alarm) -> bool:
    return incident.closed_at is not None or alarm.at - incident.changed_at > EPISODE


def _is_known(incident: Incident, alarm: Alarm) -> bool:
    return stamp(alarm.at) <= incident.members[key_of(alarm.key)].at


def _is_recent(incident: Incident, alarm: Alarm) -> bool:
    return bool(incident.raised()) and alarm.at - incident.changed_at <= RECURRENCE


# --- What it becomes -----------------------------------------------------------------------------


def join(
    incident: Incident | None, alarm: Alarm, now: datetime, before: Incident | None = None
) -> Incident | None:
    """The incident with this change in it, or a new one; see `home` for which, and for `before`.

    The very same object if it knew all of it. None if there is none, and the alarm is none of ours
    to look at.
    """
    if alarm.is_ours:
        return incident
    at = stamp(now if alarm.at > now + SKEW else alarm.at)
    if incident is None:
        identity = f"{key_of(alarm.key)}@{at}"
        incident = Incident(id=naming.short_id(identity), opened_at=now)
    incident = _followed(incident, before)
    key = key_of(alarm.key)
    old = incident.members.get(key)
    new = _changed(old, alarm, at)
    edges = _with_edges(incident, key, alarm)
    if new == old and edges == incident.edges:
        return incident
    return _with_member(replace(incident, edges=edges), key, new, alarm)


def settle(incident: Incident, now: datetime) -> Incident:
    """Closed, if nothing fires and nothing has changed for long enough; or the very same."""
    ends_at = settles_at(incident)
    if ends_at is None or now < ends_at:
        return incident
    silent = sum(one.state == SILENT for one in incident.raised().values())
    why = f"{silent} stopped reporting, the others are OK" if silent else "all are OK"
    return close(incident, now, why)


def settles_at(incident: Incident) -> datetime | None:
    """When it will be over if nothing more happens; None while something fires, or once over."""
    if incident.closed_at is not None or any(one.is_firing for one in incident.members.values()):
        return None
    silent = any(one.state == SILENT for one in incident.raised().values())
    return incident.changed_at + (UNPROVED if silent else SETTLE)


def close(incident: Incident, now: datetime, why: str) -> Incident:
    """Over, because it settled or another took its place; once closed it stays as it is."""
    if incident.closed_at is not None:
        return incident
    return replace(incident, closed_at=now, closed_why=why)


def _followed(incident: Incident, before: Incident | None) -> Incident:
    if before is None or before.id == incident.id or before.id in incident.follows:
        return incident
    follows = tuple(sorted({*incident.follows, before.id}))[:MOST_FOLLOWED]
    times = max(incident.recurrence, before.recurrence + 1)
    if (follows, times) == (incident.follows, incident.recurrence):
        return incident
    return replace(incident, follows=follows, recurrence=times)


def _changed(old: Member | None, alarm: Alarm, at: int) -> Member:
    state = alarm.state if alarm.state in _WORSE else SILENT
    latest = (at, _WORSE[state], not alarm.is_muted)
    new = Member(state, at, alarm.is_muted, resources=_resource_keys(alarm))
    if state == ALARM and not alarm.is_muted:
        new = replace(new, severity=alarm.severity.rank, first=at, raised=(at,))
    if old is None:
        return new
    if latest <= (old.at, _WORSE[old.state], not old.is_muted):
        new = replace(new, state=old.state, at=old.at, is_muted=old.is_muted)
    firsts = [one.first for one in (old, new) if one.was_raised]
    return replace(
        new,
        severity=max(old.severity, new.severity),
        first=min(firsts, default=0),
        raised=tuple(sorted({*old.raised, *new.raised})[-RAISES_EACH:]),
        resources=tuple(sorted({*old.resources, *new.resources})[:RESOURCES_EACH]),
    )


def _with_edges(incident: Incident, key: str, alarm: Alarm) -> frozenset[tuple[str, str]]:
    edges = {(key, key_of(child)) for child in alarm.children}
    if edges <= incident.edges:
        return incident.edges
    return frozenset(sorted(incident.edges | edges)[:MOST_EDGES])


def _with_member(incident: Incident, key: str, new: Member, alarm: Alarm) -> Incident:
    members = {**incident.members, key: new}
    beyond = incident.beyond
    if len(members) > MOST_MEMBERS:
        least = max(members, key=lambda one: telling(one, members[one]))
        del members[least]
        beyond += 1
    # A member's place only ever improves, and by changes that carry its name: so of the names that
    # are dropped here none is missed later, whatever the order.
    names = {**incident.names, key: clean(alarm.name, LONGEST_NAME)}
    kept = sorted(names.keys() & members.keys(), key=lambda one: telling(one, members[one]))
    return replace(
        incident,
        members=members,
        names={one: names[one] for one in kept[:MOST_NAMES]},
        resources=_with_resources(incident.resources, members, alarm),
        beyond=beyond,
    )


def _with_resources(
    known: Mapping[str, str], members: Mapping[str, Member], alarm: Alarm
) -> Mapping[str, str]:
    new = {_resource_key(one): clean(one, LONGEST_ARN) for one in alarm.resources}
    both = {**known, **new}
    if len(both) <= MOST_SHARED:
        return both
    counts = dict.fromkeys(both, 0)
    for member in members.values():
        for one in member.resources:
            if one in counts:
                counts[one] += 1
    kept = sorted(both, key=lambda one: (-counts[one], one))[:MOST_SHARED]
    return {one: both[one] for one in kept}


def _resource_key(arn: str) -> str:
    return key_of(arn)[:10]  # 40 bits keep a thousand apart with odds of 1 in two million


def _resource_keys(alarm: Alarm) -> tuple[str, ...]:
    return tuple(sorted({_resource_key(one) for one in alarm.resources})[:RESOURCES_EACH])
