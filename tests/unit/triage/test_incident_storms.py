"""A thousand alarms in five minutes, repeated, reordered, by two routes, and the work killed.

The table is a dictionary; what is told goes to an outbox in the same write. A killed worker's
message comes again, whether or not it had saved; so does one whose save is refused, because another
was faster.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from watchkeeper.triage.incident_items import restored, stored
from watchkeeper.triage.incident_records import ALARM, OK, Incident, key_of, stamp
from watchkeeper.triage.incidents import SETTLE, home, join, settle
from watchkeeper.triage.severity import Severity
from watchkeeper.triage.telling import APART, Kind, Told, after, digest, to_tell
from watchkeeper.triage.tree import tree

START = datetime(2026, 11, 23, 3, 12, tzinfo=UTC)
STORM = timedelta(minutes=5)
ALARMS = 1_000
ROOM = 200_000
"""Bytes, half of what an item may have."""


@dataclass(frozen=True)
class Change:
    """One change of one alarm."""

    key: str
    name: str
    at: datetime
    state: str
    severity: Severity
    resources: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    is_muted: bool = False
    is_ours: bool = False


def arn(number: int) -> str:
    return f"arn:aws:cloudwatch:eu-west-1:111122223333:alarm:storm-{number}"


def storm(rng: random.Random) -> list[Change]:
    """Each alarm fires within five minutes; some recover, some flap, some are composites."""
    changes = []
    for number in range(ALARMS):
        severity = rng.choices(list(Severity), [1, 10, 10, 3, 1])[0]
        of = rng.choice([number, number % 40, number % 3])
        resources = (f"arn:aws:ec2:eu-west-1:111122223333:instance/i-{of:017x}",)
        some = rng.sample(range(ALARMS), 5) if number % 50 == 0 else []
        children = tuple(arn(child) for child in some)
        times = sorted(rng.sample(range(int(STORM.total_seconds() * 1000)), 5))
        for index in range(rng.choice([1, 1, 1, 2, 3, 5])):
            at = START + timedelta(milliseconds=times[index])
            state = OK if index % 2 else ALARM
            changes.append(
                Change(arn(number), f"storm-{number}", at, state, severity, resources, children)
            )
    return changes


def deliveries(changes: list[Change], rng: random.Random) -> list[tuple[datetime, Change]]:
    """Each within two minutes; every third again, by another route, up to half an hour later."""
    late = [(one.at + timedelta(seconds=rng.expovariate(1 / 20) % 120), one) for one in changes]
    again = [
        (at + timedelta(seconds=rng.choice([0, 1, 60, 1800]) * rng.random()), one)
        for at, one in late
        if rng.random() < 0.33
    ]
    return sorted(late + again, key=lambda pair: pair[0])


@dataclass
class World:
    """A table, an outbox, and workers that may be killed or come second."""

    rng: random.Random
    table: dict[str, Incident] = field(default_factory=dict)
    outbox: list[Told] = field(default_factory=list)

    @property
    def incidents(self) -> list[Incident]:
        return list(self.table.values())

    def hear(self, change: Change, now: datetime) -> None:
        """Until it is acknowledged."""
        while True:
            fate = self.rng.random()
            found = home(self.incidents, change)
            new = join(found.incident, change, now, found.before)
            if fate < 0.03:
                continue  # killed before its save, or its save refused: the message comes again
            if new is not None:
                self.save(new, now)
            if fate < 0.06:
                continue  # killed after its save
            return

    def save(self, incident: Incident, now: datetime) -> None:
        """With what has to be told, in one write."""
        told = to_tell(incident, now)
        if told is not None:
            self.outbox.append(told)
            remembers = after(incident, told)
            read = restored(json.loads(json.dumps(stored(remembers))))
            incident = replace(read, last=remembers.last)  # which its run keeps
        self.table[incident.id] = incident

    def sweep(self, now: datetime) -> None:
        for one in self.incidents:
            self.save(settle(one, now), now)


def minutes(begin: datetime, end: datetime) -> Iterator[datetime]:
    while begin < end:
        yield begin
        begin += timedelta(minutes=1)


def play(world: World, coming: list[tuple[datetime, Change]], until: datetime) -> None:
    """The deliveries in their order, and the sweep of every minute between them."""
    ticks = minutes(START, until)
    tick = next(ticks)
    for at, change in coming:
        while tick <= at:
            world.sweep(tick)
            tick = next(ticks)
        world.hear(change, at)
    for later in ticks:
        world.sweep(later)


def truth(changes: list[Change]) -> dict[str, str]:
    """The last state of each alarm."""
    return {key_of(one.key): one.state for one in sorted(changes, key=lambda one: one.at)}


def without_hearing(incident: Incident) -> Incident:
    return replace(incident, id="", opened_at=START, last=None)


def check_storm(seed: int) -> None:
    """One storm, from the first alarm until all is over."""
    rng = random.Random(seed)
    changes = storm(rng)
    world = World(rng)
    coming = deliveries(changes, rng)
    ends = coming[-1][0] + timedelta(minutes=30)
    play(world, coming, ends)

    (incident,) = world.incidents
    assert {key: one.state for key, one in incident.members.items()} == truth(changes)
    assert len(incident.raised()) == ALARMS
    assert sum(one.count for one in tree(incident)) == ALARMS
    in_order: Incident | None = None
    for one in sorted(changes, key=lambda one: one.at):
        in_order = join(in_order, one, one.at)
    assert in_order is not None
    assert without_hearing(in_order) == without_hearing(incident)

    check_told(world, incident)
    assert len(json.dumps(stored(incident))) < ROOM

    calm = [replace(one, state=OK, at=ends) for one in changes if one.state == ALARM]
    for one in calm:
        world.hear(one, ends)
    for tick in minutes(ends, ends + SETTLE + timedelta(minutes=20)):
        world.sweep(tick)
    for one in changes:  # once more, all of it: nothing is opened and nothing told
        world.hear(one, ends + timedelta(hours=1))
    assert len(world.incidents) == 1
    kinds = [one.kind for one in world.outbox]
    assert (kinds.count(Kind.OPENED), kinds.count(Kind.RESOLVED)) == (1, 1)
    assert kinds[-1] is Kind.RESOLVED


def check_told(world: World, incident: Incident) -> None:
    """One page, updates far enough apart, and soon enough people know all of it."""
    kinds = [one.kind for one in world.outbox]
    assert kinds[0] is Kind.OPENED
    assert set(kinds[1:]) <= {Kind.CHANGED}
    moments = [one.at for one in world.outbox[1:]]
    assert all(later - sooner >= APART for sooner, later in pairwise(moments))
    assert world.outbox[-1].digest == digest(incident)
    assert world.outbox[-1].severity is list(Severity)[incident.severity]
    assert f"{ALARMS} alarms" in world.outbox[-1].headline
    last_raised = max(one.at for one in incident.members.values())
    assert stamp(world.outbox[-1].at) <= last_raised + 25 * 60 * 1000


@pytest.mark.parametrize("seed", range(5))
def test_a_storm_is_one_page_and_at_most_one_update_in_ten_minutes(seed: int) -> None:
    check_storm(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 120))
def test_many_storms(seed: int) -> None:
    check_storm(seed)
