"""Storms of alarms: `python -m tests.simulation.storms [seed [storms [alarms]]]`, or `make storms`.

A thousand alarms of forty resources within five minutes, repeated, late, out of order, by two
routes, some lost; some flap, one is a composite over others, and twenty minutes later comes one
that is more severe than all before. Two to five invocations are at it at once, each call of each
takes its time, and at any call one may die (`storms_world.py`). What is deployed runs: the handler,
the joining, the engine, the steps and the stored forms; only the looks are made up.

Checked of each storm: one page; no two updates within ten minutes; every alarm that was raised is a
member, and at the end none fires; what is more severe was told; the end was told once; the same
trouble hours later is a new incident that says so. And DynamoDB's limits.

It prints its figures, and ends with an error if something does not hold.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from random import Random
from typing import Any, ClassVar
from unittest import mock

from tests.simulation.storms_world import Broken, Function, Incidents, Kept, Runs, World
from watchkeeper import naming, telemetry, triggers
from watchkeeper.settings import TriageIncidentsSettings
from watchkeeper.triage import alarms, composed
from watchkeeper.triage.alarm_model import Alarm
from watchkeeper.triage.alarm_resources import Place
from watchkeeper.triage.heard import heard
from watchkeeper.triage.incident_items import restored
from watchkeeper.triage.incident_records import Incident, key_of
from watchkeeper.triage.incidents import UNPROVED
from watchkeeper.triage.looking import Looked
from watchkeeper.triage.policy import TriagePolicy
from watchkeeper.triage.respond import TriageIncidents
from watchkeeper.triage.telling import APART
from watchkeeper.triage.triaging import Triaging

START = datetime(2026, 11, 23, 3, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LASTS = 5 * MINUTE
RESOURCES = 40
ACCOUNT, REGION = "111122223333", "eu-west-1"
BASE = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:"
POLICY = TriagePolicy.model_validate(
    {
        "severities": [
            {"alarms": "critical-*", "severity": "critical"},
            {"alarms": "low-*", "severity": "low"},
            {"alarms": "medium-*", "severity": "medium"},
        ]
    }
)
SETTINGS = TriageIncidentsSettings.read({
    "STACK_NAME": "watchkeeper", "TABLE_NAME": "table", "PAGES_TOPIC_ARN": "pages",
    "NEWS_TOPIC_ARN": f"arn:aws:sns:{REGION}:{ACCOUNT}:news", "POLICY_PREFIX": "/watchkeeper",
    "INCIDENTS_BUCKET": "incidents", "TRAIL_GROUP": "/aws/events/watchkeeper-trail",
})  # fmt: skip
LOST = 0.02
"""Of the events of EventBridge, which promises at least one delivery and breaks it rarely."""
LATER, WORSE_AT = START + timedelta(hours=5), START + 20 * MINUTE
ENDS = LATER + timedelta(hours=2)
SOON = timedelta(minutes=5)
"""Within which people are paged, whatever dies: a lease, and the sweep after it."""


# ── What happens to the alarms ────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Change:
    """An alarm has come into a state."""

    name: str
    state: str
    at: datetime
    resource: int = 0
    children: Sequence[str] = ()

    @property
    def event(self) -> dict[str, Any]:
        return {
            "source": "aws.cloudwatch",
            "detail-type": "CloudWatch Alarm State Change",
            "account": ACCOUNT,
            "region": REGION,
            "resources": [BASE + self.name],
            "detail": {
                "alarmName": self.name,
                "configuration": self._configuration(),
                "state": {
                    "value": self.state,
                    "timestamp": naming.instant(self.at),
                    "reason": "Threshold Crossed: 3 out of 3 datapoints were greater than 2.0.",
                },
            },
        }

    def _configuration(self) -> dict[str, Any]:
        if self.children:
            return {"alarmRule": " OR ".join(f'ALARM("{child}")' for child in self.children)}
        of = {"InstanceId": f"i-{self.resource:017x}"}
        metric = {"namespace": "AWS/EC2", "name": "CPUUtilization", "dimensions": of}
        return {"metrics": [{"id": "m1", "metricStat": {"metric": metric, "period": 60}}]}


def storm(random: Random, number: int) -> list[Change]:
    """All that happens, in the order in which it does."""
    names = [f"{random.choice(('low', 'medium', 'high'))}-{one}" for one in range(number)]
    changes: list[Change] = []
    for place, name in enumerate(names):
        of = place % RESOURCES
        raises = random.choice([1] * 18 + [3, 5])
        times = sorted(random.sample(range(int(LASTS.total_seconds() * 1000)), 2 * raises - 1))
        children = tuple(random.sample(names, min(20, number))) if place == 0 else ()
        for index, at in enumerate(times):
            state = "OK" if index % 2 else "ALARM"
            moment = START + timedelta(milliseconds=at)
            changes.append(Change(name, state, moment, of, children))
        calm = START + timedelta(minutes=25, seconds=random.uniform(0, 900))
        changes.append(Change(name, "OK", calm, of, children))
    for name, state, when in (
        ("critical-late", "ALARM", WORSE_AT),
        ("critical-late", "OK", WORSE_AT + 15 * MINUTE),
        (names[-1], "ALARM", LATER),
        (names[-1], "OK", LATER + 12 * MINUTE),
    ):
        changes.append(Change(name, state, when, (number - 1) % RESOURCES))
    return sorted(changes, key=lambda one: (one.at, one.name))


@cache
def _read(change: Change) -> Alarm:
    return alarms.read(change.event)[0]


@dataclass
class States:
    """What CloudWatch would tell of them."""

    world: World
    changes: Sequence[Change]

    def firing(self, ours: str = "") -> list[Alarm]:
        return [one for one in self._all() if one.state == "ALARM"]

    def of(self, names: Sequence[str], ours: str = "") -> list[Alarm]:
        wanted = set(names)
        return [one for one in self._all() if one.name in wanted]

    def _all(self) -> list[Alarm]:
        def read() -> dict[str, Change]:
            return {one.name: one for one in self.changes if one.at <= self.world.now}

        self.world.counted["times that CloudWatch was asked"] += 1
        found: dict[str, Change] = self.world.call(read)
        return [_read(one) for one in found.values()]


class Scripted(Triaging):
    """Looks are made up: the first takes up to half a minute, and finds something."""

    world: ClassVar[World]

    def look(self, incident: Incident, number: int, now: datetime, before: Looked | None) -> Looked:
        world = self.world
        world.call(lambda: None, world.random.uniform(1, 28))
        world.counted[f"look {number} of {incident.id}"] += 1
        used = {"table_writes": 6.0, **(before.used if before else {})}
        words = {one: (f"Incident {one}", f"Look {number}") for one in ("opened", "changed")}
        matters = "a cause" if number else ""
        return Looked(headline="Something", owner="ops", matters=matters, words=words, used=used)


class _Policies:
    def __init__(self, world: World) -> None:
        self.world = world

    def in_force(self) -> TriagePolicy:
        policy: TriagePolicy = self.world.call(lambda: POLICY)
        return policy

    def read(self, now: datetime) -> tuple[TriagePolicy, datetime, str]:
        return self.in_force(), now, ""


@dataclass
class _Topics:
    world: World

    def publish(self, told: Mapping[str, Any]) -> None:
        self.world.call(lambda: self.world.told.append((self.world.now, dict(told))))


# ── One storm ─────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Storm:
    """A storm as it went."""

    seed: int
    number: int
    world: World
    kept: Kept
    changes: Sequence[Change]
    function: Function
    took: float = 0.0
    """Seconds of our own time."""
    wakes: set[str] = field(default_factory=set)

    @property
    def incidents(self) -> list[Incident]:
        found = [item for (_, sk), item in self.kept.items.items() if sk == "STATE"]
        plain = [
            {k: v for k, v in one.items() if k not in ("pk", "sk", "version")} for one in found
        ]
        return sorted(map(restored, plain), key=lambda one: one.opened_at)

    def news(self, kind: str, incident: str) -> list[dict[str, Any]]:
        """Each once, in the order in which it was sent first."""
        found: dict[str, dict[str, Any]] = {}
        for _, told in self.world.told:
            if told["type"] == kind and told["incident"] == incident:
                found.setdefault(told["id"], dict(told))
        return list(found.values())


@contextmanager
def _deployed(world: World, kept: Kept, states: States) -> Iterator[TriageIncidents]:
    Scripted.world = world

    def triaging_in(*_: Any) -> Scripted:
        made: dict[str, Any] = {
            "incidents": Incidents(kept), "states": states, "reports": None, "resourced": None,
            "looks": {}, "owner": "", "calls": {}, "code": (), "ours": (), "region": REGION,
            "account": ACCOUNT, "clock": world.clock,
            "hear": lambda alarm, now: heard(alarm, POLICY, now, Place("aws", REGION, ACCOUNT)),
        }  # fmt: skip
        return Scripted(**made)

    service = TriageIncidents(SETTINGS)
    vars(service).update(
        runs=Runs(kept), incidents=Incidents(kept), states=states, policy=_Policies(world),
        topics=_Topics(world),
    )  # fmt: skip
    level = telemetry.logger.log_level
    telemetry.logger.setLevel("CRITICAL")
    with (
        mock.patch.object(composed, "triaging_in", triaging_in),
        mock.patch.object(telemetry, "count"),
    ):
        yield service
    telemetry.logger.setLevel(level)


def lived(seed: int, number: int, deadliness: float = 0.003) -> Storm:
    """A storm and its recurrence, to their ends."""
    random, began = Random(seed), time.monotonic()
    world = World(random, START - MINUTE, deadliness)
    kept = Kept(world)
    changes = storm(random, number)
    states = States(world, changes)
    with _deployed(world, kept, states) as service:

        def work(event: Any, deadline: datetime) -> object:
            trigger = triggers.parse(triggers.triage_incidents, event)
            return service.handle(trigger, world.clock, deadline)

        function = Function(world, work, random.randint(2, 5))
        one = Storm(seed, number, world, kept, changes, function)
        _schedule(one)
        world.run_until(ENDS)
    return replace(one, took=time.monotonic() - began)


def _schedule(one: Storm) -> None:
    world, random = one.world, one.world.random
    for change in one.changes:
        if random.random() >= LOST:
            for _ in range(2 if random.random() < 0.2 else 1):
                late = random.expovariate(1 / 5) + (900 if random.random() < 0.02 else 0)
                world.at(change.at + timedelta(seconds=late), _queued(one, change.event))
        if random.random() < 0.3:
            _by_queue(one, change)
    for minute in range(int((ENDS - world.now) / MINUTE)):
        at = world.now + minute * MINUTE
        world.at(at + timedelta(seconds=17), lambda: _sweep(one))
        if minute % 5 == 0:
            tick = {"trigger": "tick", "scheduled_at": at.isoformat()}
            world.at(at, _queued(one, tick))


def _queued(one: Storm, event: Any) -> Any:
    return lambda: one.function.queue(event)


def _by_queue(one: Storm, change: Change) -> None:
    """By SNS and SQS; a batch is what has come within two seconds, simplified to one message."""
    sent = str(int(change.at.timestamp() * 1000))
    record = {
        "messageId": naming.short_id(f"{change}"),
        "receiptHandle": "of-this-time",
        "eventSource": "aws:sqs",
        "body": json.dumps(change.event),
        "attributes": {"SentTimestamp": sent},
    }
    body = {"Records": [record]}

    def ended(well: bool) -> None:
        if not well:
            one.world.after(180, lambda: one.function.invoke(body, ended))

    late = timedelta(seconds=2 + one.world.random.expovariate(1 / 3))
    one.world.at(change.at + late, lambda: one.function.invoke(body, ended))


def _sweep(one: Storm) -> None:
    """SNS repeats, and is late."""
    for run in one.kept.due():
        told = {"type": "RunDue", "id": f"{run}/due", "capability": "triage", "run": run}
        message = json.dumps({**told, "at": naming.instant(one.world.now)})
        wake = {"Records": [{"Sns": {"Message": message}}]}
        for _ in range(2 if one.world.random.random() < 0.1 else 1):
            one.world.after(one.world.random.expovariate(1), _queued(one, wake))


# ── What must hold ────────────────────────────────────────────────────────────────────────────────


def check(one: Storm) -> None:
    """Raises Broken, saying what does not hold."""
    problems = list(_problems(one))
    if problems:
        raise Broken(f"storm {one.seed}: " + "; ".join(problems))


def _problems(one: Storm) -> Iterator[str]:
    yield from (f"an invocation failed: {error!r}" for error in one.function.errors)
    if one.kept.due():
        yield f"runs are due: {one.kept.due()}"
    if len(one.incidents) != 2:
        yield f"{len(one.incidents)} incidents: {[len(each.members) for each in one.incidents]}"
        return
    first, again = one.incidents
    yield from _problems_of_members(one, first)
    for each in (first, again):
        yield from _problems_of_telling(one, each)
    if again.follows != (first.id,) or again.recurrence != 1:
        yield f"the recurrence follows {again.follows}"
    worse = [
        each for each in one.news("IncidentChanged", first.id) if each["severity"] == "critical"
    ]
    if not worse or _at(worse[0]) > WORSE_AT + APART + SOON:
        yield f"the more severe alarm was told {[each['at'] for each in worse]}"


def _problems_of_members(one: Storm, incident: Incident) -> Iterator[str]:
    early = [each for each in one.changes if each.at < LATER]
    raised = {key_of(BASE + each.name) for each in early if each.state == "ALARM"}
    missing = raised - incident.raised().keys()
    if len(missing) > incident.beyond:
        yield f"{len(missing)} alarms are in no incident"
    firing = [each for each in incident.members.values() if each.is_firing]
    if incident.closed_at is None or firing:
        yield f"it has not ended: {len(firing)} still fire"
    elif incident.closed_at > early[-1].at + UNPROVED:
        yield f"it ended late, at {incident.closed_at}"


def _problems_of_telling(one: Storm, incident: Incident) -> Iterator[str]:
    opened, resolved, changed = (
        one.news(f"Incident{kind}", incident.id) for kind in ("Opened", "Resolved", "Changed")
    )
    if (len(opened), len(resolved)) != (1, 1):
        yield f"{incident.id} was opened {len(opened)} times, resolved {len(resolved)} times"
        return
    pages = one.news("IncidentTold", incident.id)
    if len(pages) != len(changed) + 2:
        yield f"{len(pages)} pages for {len(changed)} updates"
    if _at(opened[0]) > incident.started_at + SOON:
        yield f"{incident.id} was paged {_at(opened[0]) - incident.started_at} late"
    updates = sorted(_at(each) for each in [*changed, *resolved])
    if any(later - sooner < APART for sooner, later in pairwise(updates)):
        yield f"updates too close: {updates}"


def _at(news: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(news["at"])


def figures(one: Storm) -> str:
    first = one.incidents[0]
    pages = one.news("IncidentTold", first.id)
    gaps = [later - sooner for sooner, later in pairwise(_at(each) for each in pages)]
    sent = (at for at, told in one.world.told if told.get("incident") == first.id)
    late = next(sent) - first.started_at
    counted, most = one.world.counted, one.world.most
    looks = sum(number for name, number in counted.items() if name.startswith("look"))
    return (
        f"seed {one.seed}: {len(first.members)} alarms, {len(one.changes)} changes,"
        f" {counted['invocations']} invocations ({one.function.at_once} at once,"
        f" {counted['deaths']} died, {counted['outrun']} outrun, {len(one.function.lost)} lost),"
        f" {counted['refused writes']} writes refused, {counted['conflicts']} in conflict;"
        f" paged after {late}, {len(pages) - 2} updates and the end, largest gap"
        f" {max(gaps, default=None)}; {looks} looks; largest item"
        f" {most['bytes of an item'] // 1000} KB, transaction {most['operations']} items and"
        f" {most['bytes of a transaction'] // 1000} KB; {one.took:.0f} s"
    )


def main(arguments: Sequence[str]) -> int:
    seed, storms, number = [*map(int, arguments), *(1, 5, 1_000)[len(arguments) :]]
    wrong = 0
    for each in range(seed, seed + storms):
        one = lived(each, number)
        _say(figures(one))
        try:
            check(one)
        except Broken as broken:
            _say(f"BROKEN: {broken}")
            wrong += 1
    _say(f"{storms} storms, {wrong} in which something does not hold")
    return 1 if wrong else 0


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201, a command for a person


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
