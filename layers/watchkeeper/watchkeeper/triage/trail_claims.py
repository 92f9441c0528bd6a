"""What the audit trail says of an incident: what changed just before it, and what is suspicious.

Pure. Nothing is called clean that CloudTrail may still tell: it speaks about five minutes late, and
up to fifteen (https://docs.aws.amazon.com/awscloudtrail/latest/userguide/get-and-view-cloudtrail-log-files.html).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from watchkeeper.quoting import quoted
from watchkeeper.triage.audit import Finding, suspicious
from watchkeeper.triage.changes import Actor, Automation, Change, Named, changed, names_in
from watchkeeper.triage.gathered import Gathered
from watchkeeper.triage.links import trail_link
from watchkeeper.triage.phrases import LAST_YEAR, apart, clean, clock, counted, record_shown, stamp
from watchkeeper.triage.report import Claim, Link, Source
from watchkeeper.triage.severity import Severity
from watchkeeper.triage.trail import LONG_AGO, Event, Record, is_like, records

MOST_CHANGES = 30
"""A deployment is a dozen; the nearest to the onset are told."""
MOST_FINDINGS = 20
MOST_RECORDS = 3
"""Whose JSON is shown below a claim; the others are behind their links."""
LONGEST_RECORD = 1_500
"""Characters of one: what was asked for fits, an answer's details need not."""
COMPLETE = timedelta(minutes=15)
"""After which CloudTrail has told nearly everything."""
JUST_BEFORE = timedelta(minutes=30)
"""Deployments and rollouts take up to half an hour to show."""
PERIOD = timedelta(minutes=5)
"""A datapoint is of up to five minutes from its time on: what changed within these came before the
trouble as likely as after it.
"""


@dataclass(frozen=True, slots=True)
class FromTrail:
    changes: tuple[Change, ...] = ()
    """In the order of `changed`."""
    changed: tuple[Claim, ...] = ()
    """The one just before the onset first."""
    suspicious: tuple[Claim, ...] = ()
    grave: tuple[str, ...] = ()
    """Rule and principal of each finding that is high or above."""
    silences: tuple[Claim, ...] = ()
    """That it says nothing at all."""
    denied: tuple[Record, ...] = ()
    """Calls that were denied, of the window and from before it."""
    usual: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()


def from_trail(gathered: Gathered, onset: datetime) -> FromTrail:
    """What the trail says; what it does not say is usual or unchecked."""
    trail = gathered.trail
    automation = Automation(ours=gathered.ours, code=gathered.code)
    by_id = _by_id(trail.events)
    wanted = [one.arn for one in gathered.resources]
    near = sorted(changed(trail.events, wanted, automation), key=lambda one: _nearness(one, onset))
    told = tuple(_change_claim(one, by_id, gathered.region, onset) for one in near[:MOST_CHANGES])
    findings = _findings(gathered, near, by_id)
    shown = tuple(
        _finding_claim(one, by_id, gathered, is_near=is_near)
        for is_near, one in findings[:MOST_FINDINGS]
    )
    grave = {
        f"{one.rule} {one.principal}"
        for _, one in findings
        if one.severity.rank >= Severity.HIGH.rank
    }
    return FromTrail(
        tuple(near),
        told,
        shown,
        tuple(sorted(grave)),
        tuple(_silence(gathered)),
        tuple(_denied(trail.events)),
        tuple(_usual(gathered, is_changed=bool(near), is_suspicious=bool(findings))),
        (*_late(gathered), *_cut(gathered, len(near), len(findings))),
    )


def _by_id(events: Sequence[Event]) -> Mapping[str, Event]:
    return {one.id: one.event for one in records(events) if one.id}


def just_before(change: Change, onset: datetime) -> bool:
    """Whether it may be why something began."""
    return change.at != LONG_AGO and -PERIOD <= onset - change.at <= JUST_BEFORE


def _nearness(one: Change, onset: datetime) -> tuple[bool, bool, bool, timedelta, str]:
    after = one.at - onset > PERIOD
    ours = one.actor is Actor.OURS
    return ours, bool(one.via), after, abs(onset - one.at), one.event_id


# ── Changes ───────────────────────────────────────────────────────────────────────────────────────


def by_whom(one: Change) -> str:
    """`"alice"`, `"deployer" (infrastructure as code)`."""
    name = one.who.rpartition("/")[2] if one.who.startswith("arn:") else one.who
    by = "" if one.actor is Actor.SOMEBODY else f" ({one.actor})"
    return f"{quoted(name or 'somebody', 60)}{by}"


def when(at: datetime, onset: datetime) -> str:
    """`4 min before it began`."""
    if at == LONG_AGO:
        return "at an unknown time"
    by = apart(at, onset)
    return f"{by} as it began" if by.endswith("minute") else f"{by} it began"


def _change_claim(one: Change, by_id: Mapping[str, Event], region: str, onset: datetime) -> Claim:
    event = by_id.get(one.event_id)
    return Claim(
        Source.TRAIL,
        clean(f"{when(one.at, onset)}: {one.why}"),
        at=None if one.at == LONG_AGO else one.at,
        resource=clean(one.resource),
        links=_links([one.event_id], region),
        lines=(record_shown(event, LONGEST_RECORD),) if event else (),
        weight=-abs((onset - one.at).total_seconds()) if one.at != LONG_AGO else -1e12,
        key=clean(one.event_id or f"{one.action} {one.why}"),
    )


def _links(ids: Sequence[str], region: str) -> tuple[Link, ...]:
    """An event without an id of its own has a number instead, which no link leads to."""
    return tuple(
        Link("CloudTrail event", trail_link(clean(region, 40), clean(one, 80)))
        for one in ids[:MOST_RECORDS]
        if one and region and not one.isdecimal()
    )


# ── Suspicious ────────────────────────────────────────────────────────────────────────────────────


def _findings(
    gathered: Gathered, changes: Sequence[Change], by_id: Mapping[str, Event]
) -> list[tuple[bool, Finding]]:
    """With whether each is about this incident; those first, then the gravest. What only informs
    is told where it is about this incident.
    """
    actors = {one.who for one in changes if one.who and one.actor is not Actor.OURS}
    arns = {one.arn for one in gathered.resources}
    wanted = [Named.of(one) for one in sorted(arns)]
    found = []
    for one in suspicious(gathered.trail.events, ours=gathered.ours):
        is_near = one.principal in actors or one.principal in arns or _names(one, wanted, by_id)
        if is_near or one.severity is not Severity.INFORMATIONAL:
            found.append((is_near, one))
    found.sort(key=lambda pair: (not pair[0], -pair[1].severity.rank))
    return found


def _names(one: Finding, wanted: Sequence[Named], by_id: Mapping[str, Event]) -> bool:
    """Whether its first events are about the incident's resources."""
    for id_ in one.event_ids[:20]:
        event = by_id.get(id_)
        if event is not None:
            record = Record(id_, LONG_AGO, "", event)
            names = frozenset(names_in(event))
            if any(each.is_in(record, names) for each in wanted):
                return True
    return False


def _finding_claim(
    one: Finding, by_id: Mapping[str, Event], gathered: Gathered, *, is_near: bool
) -> Claim:
    attack = f" [{', '.join(one.attack)}]" if one.attack else ""
    near = "about this incident's resources: " if is_near else ""
    actor = " (infrastructure as code)" if is_like(one.principal, gathered.code) else ""
    lines = [by_id[id_] for id_ in one.event_ids[:MOST_RECORDS] if id_ in by_id]
    return Claim(
        Source.TRAIL,
        clean(f"{one.severity}, {near}{one.title or one.rule}{actor}. {one.why}{attack}", 900),
        at=one.since,
        resource=clean(one.principal),
        links=_links(one.event_ids, gathered.region),
        lines=tuple(record_shown(each, LONGEST_RECORD) for each in lines),
        weight=float(one.severity.rank) + (10.0 if is_near else 0.0),
        key=clean(f"{one.rule} {one.principal} {' '.join(one.event_ids[:MOST_RECORDS])}"),
        severity=str(one.severity),
    )


DENIED = frozenset({
    "AccessDenied", "AccessDeniedException", "UnauthorizedOperation",
    "Client.UnauthorizedOperation", "UnauthorizedAccess", "AuthorizationError",
    "AuthorizationErrorException",
})  # fmt: skip


def _denied(events: Sequence[Event]) -> Iterator[Record]:
    return (one for one in records(events) if str(one.event.get("errorCode"))[:80] in DENIED)


# ── Nothing, and not yet ──────────────────────────────────────────────────────────────────────────


def _usual(gathered: Gathered, *, is_changed: bool, is_suspicious: bool) -> Iterator[str]:
    """Only of a trail that is complete. Of one that is late, `_late` speaks."""
    trail = gathered.trail
    if trail.until is None or trail.until < gathered.span.until or not trail.events:
        return
    span = f" from {stamp(trail.since)}" if trail.since else ""
    told = f"{counted(len(trail.events), 'event')}{span} to {stamp(trail.until)}"
    if not is_changed:
        yield f"No change of these resources or beside them in the audit trail: {told}"
    if not is_suspicious:
        yield f"Nothing suspicious in the audit trail: {told}"


def _silence(gathered: Gathered) -> Iterator[Claim]:
    """That it is switched off, or complete and empty: as we ourselves act in this account, that
    one is off, or does not reach us.
    """
    trail = gathered.trail
    if trail.silent:
        yield _silent(gathered, f"the audit trail: {clean(trail.silent)}", 1.0)
    if trail.silent or trail.until is None or trail.until < gathered.span.until or trail.events:
        return
    yield _silent(
        gathered,
        f"the audit trail has no event at all until {stamp(trail.until)}: nobody did anything that"
        " is told to it, or it is switched off",
        0.5,
    )


def _silent(gathered: Gathered, text: str, weight: float) -> Claim:
    at = gathered.span.since
    return Claim(Source.TRAIL, text, at=at, weight=weight, key="silent audit trail")


def _late(gathered: Gathered) -> Iterator[str]:
    trail, until = gathered.trail, gathered.span.until
    if trail.until is None:
        if not any("audit" in one.what or "trail" in one.what for one in gathered.unchecked):
            yield "the audit trail because it was not read"
        return
    if trail.until < until:
        so_far = counted(len(trail.events), "event")
        # No addition that could leave the calendar: garbage may be of its last day.
        by = clock(until + COMPLETE) if until.year < LAST_YEAR else "later"
        yield (
            f"the audit trail after {clock(trail.until)} because CloudTrail tells later: {so_far} "
            f"so far, complete by {by}"
        )


def _cut(gathered: Gathered, changes: int, findings: int) -> Iterator[str]:
    if gathered.trail.most:
        yield f"all of the audit trail because {clean(gathered.trail.most)}"
    if changes > MOST_CHANGES:
        rest = counted(changes - MOST_CHANGES, "further change")
        yield f"{rest} because a report shows the {MOST_CHANGES} nearest to its beginning"
    if findings > MOST_FINDINGS:
        rest = counted(findings - MOST_FINDINGS, "further suspicious finding")
        yield f"{rest} because a report shows {MOST_FINDINGS}"
