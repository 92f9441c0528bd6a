"""How an incident is followed: looked at at once and told, then looked at again, told where more
matters, and told once more when it is over.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from watchkeeper import naming
from watchkeeper.news.incidents import (
    IncidentChanged,
    IncidentOpened,
    IncidentResolved,
    IncidentTold,
)
from watchkeeper.runs.record import Done, Report, Run, Step, Told, Waiting
from watchkeeper.triage.incident_items import last_restored, last_stored
from watchkeeper.triage.incident_records import Incident
from watchkeeper.triage.looking import Looked
from watchkeeper.triage.telling import Kind, after, tells_at, to_tell, wakes_at

if TYPE_CHECKING:
    from watchkeeper.triage.triaging import Triaging

LOOKS = (timedelta(0), timedelta(minutes=2), timedelta(minutes=15))
"""After the first: logs arrive a minute late and queries may take as long, and CloudTrail tells
within 15 minutes.
"""
HOT = timedelta(minutes=20)
"""Since the incident last changed: so long somebody is reading, and it is looked at each minute."""
SOON = timedelta(minutes=1)
QUIET = timedelta(minutes=5)
"""Between looks at the record of an incident in which nothing has changed for long."""
ASKED_EVERY = timedelta(minutes=5)
"""CloudWatch is asked how the alarms stand: an OK may have been lost."""
WITHIN = timedelta(days=30)
"""An incident ends by itself within two weeks; the engine's own limit comes after that."""

NEWS = {
    Kind.OPENED: IncidentOpened, Kind.CHANGED: IncidentChanged, Kind.RESOLVED: IncidentResolved,
}  # fmt: skip

_AGAIN = timedelta(seconds=1)

_EVER = datetime.min.replace(tzinfo=UTC)
_NEVER = datetime.max.replace(tzinfo=UTC)


def ensure_looked(run: Run, cloud: "Triaging", now: datetime) -> Report:
    """Look for the first time, and page. An incident of nothing but muted alarms is only kept."""
    incident = cloud.settled(naming.incident_of_run(run.id), now)
    if incident.severity < 0:
        if incident.closed_at is not None:
            return Done()
        until = min(wakes_at(incident) or _NEVER, now + QUIET)
        return Waiting("an alarm that is not muted", until=until)
    facts = _looked(run, cloud, incident, now)
    facts |= {"first_look_at": naming.instant(now), "asked_at": naming.instant(now)}
    incident = cloud.settled(incident.id, now)  # looking takes long enough for others to join
    news, told = _told(run, cloud, incident, facts, now)
    return Done({**facts, **told}, news)


def ensure_followed(run: Run, cloud: "Triaging", now: datetime) -> Report:
    """Look again when it is time, tell what matters, and be done once it is over and told."""
    facts: dict[str, str] = {}
    incident_id = naming.incident_of_run(run.id)
    if now >= _at(run, "asked_at") + ASKED_EVERY:
        cloud.reconcile(incident_id, now)
        facts["asked_at"] = naming.instant(now)
    incident = cloud.settled(incident_id, now)
    if incident.severity >= 0 and incident.closed_at is None and now >= _next_look(run.facts):
        facts |= _looked(run, cloud, incident, now)
        incident = cloud.settled(incident_id, now)
    news, told = _told(run, cloud, incident, facts, now)
    facts |= told
    incident = _remembering(incident, {**run.facts, **facts})
    if incident.closed_at is not None and tells_at(incident) is None:
        return Done(facts, news)
    until = _wake(incident, {**run.facts, **facts}, now)
    return Waiting(_waits_for(incident), until=until, facts=facts, news=news)


# Never abandoned, and not halted by a stop: alarms join an open incident, and nobody would hear.
TRIAGE = (
    Step("look",   ensure_looked,   within=WITHIN, poll=SOON, always=True),
    Step("follow", ensure_followed, within=WITHIN, poll=SOON, always=True),
)  # fmt: skip


def workflow(_run: Run) -> Sequence[Step]:
    return TRIAGE


# ── Looking ───────────────────────────────────────────────────────────────────────────────────────


def _looked(run: Run, cloud: "Triaging", incident: Incident, now: datetime) -> dict[str, str]:
    """What the run has to remember of a look."""
    number = int(run.facts.get("looks", "0"))
    # An attempt that never reported may have died of what it looked at: people are told all the
    # same, and the next look tries again. Once they are told, a look that was cut off by chance is
    # worth a second attempt.
    before = Looked(**json.loads(run.facts["looked"])) if "looked" in run.facts else None
    if run.attempts > (2 if before else 1):
        looked = cloud.unseen(incident, before, "an earlier attempt at looking was cut off")
    else:
        looked = cloud.look(incident, number, now, before)
    return {"looks": str(number + 1), "looked": json.dumps(asdict(looked))}


def _next_look(facts: Mapping[str, str]) -> datetime:
    done = int(facts.get("looks", "0"))
    if done >= len(LOOKS):
        return _NEVER
    first = naming.parse_instant(facts["first_look_at"]) if "first_look_at" in facts else _EVER
    return first + LOOKS[done]


# ── Telling ───────────────────────────────────────────────────────────────────────────────────────


def _told(
    run: Run, cloud: "Triaging", incident: Incident, new: Mapping[str, str], now: datetime
) -> tuple[list[Told], dict[str, str]]:
    """What is told now, to people and to machines, and what the run has to remember of it."""
    facts = {**run.facts, **new}
    incident = _remembering(incident, facts)
    tell = to_tell(incident, now)
    if tell is None or (last := after(incident, tell).last) is None:
        return [], {}
    looked = Looked(**json.loads(facts["looked"])) if "looked" in facts else Looked()
    of = naming.instant(now)
    line, words = cloud.words(tell, looked)
    page = IncidentTold.about(run, at=now, of=of, incident=incident.id, line=line, words=words)
    news = NEWS[tell.kind].about(
        run,
        at=now,
        of=of,
        incident=incident.id,
        severity=str(tell.severity),
        owner=looked.owner,
        headline=looked.headline or tell.headline,
        resources=looked.resources,
        report=looked.page,
        why=tell.why,
    )
    return [page, news], {"last": json.dumps(last_stored(last))}


def _remembering(incident: Incident, facts: Mapping[str, str]) -> Incident:
    """With what people know, and what they should."""
    matters = json.loads(facts["looked"])["matters"] if "looked" in facts else ""
    last = last_restored(json.loads(facts["last"])) if "last" in facts else None
    return replace(incident, matters=matters, last=last)


# ── Waiting ───────────────────────────────────────────────────────────────────────────────────────


def _wake(incident: Incident, facts: Mapping[str, str], now: datetime) -> datetime:
    """When there is something to do, or else soon: an alarm that joins wakes nobody while somebody
    is at the run.
    """
    pause = SOON if now - incident.changed_at < HOT else QUIET
    look = _next_look(facts) if incident.closed_at is None else _NEVER
    # Never at once: what was not done now would not be done then.
    return max(min(wakes_at(incident) or _NEVER, look, now + pause), now + _AGAIN)


def _waits_for(incident: Incident) -> str:
    if incident.closed_at is not None:
        return "the time to tell that it is over"
    firing = sum(one.is_firing for one in incident.members.values())
    return f"{firing} alarms to be OK" if firing else "the alarms to stay OK"


def _at(run: Run, fact: str) -> datetime:
    return naming.parse_instant(run.facts[fact]) if fact in run.facts else run.entered_at
