"""Rules about what an RDS instance does: replication, checkpoints, locks, failover, maintenance.

Pure. Sources of the behaviour:
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_ReadRepl.Monitoring.html
https://www.postgresql.org/docs/current/wal-configuration.html
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_Events.Messages.html
"""

import re
from collections.abc import Iterator

from watchkeeper.triage.diagnosis_facts import LEAD, MOST, SATURATED, Facts, cited, said, writer
from watchkeeper.triage.evidence import Claim, Event, LogPattern, Mode, Query, Ruling, Series

LATE = 60.0
"""Seconds of lag that readers notice; a replica at rest is within a few."""
CAUGHT_UP = 0.2
"""Of the worst lag: below it the replica has caught up, or soon will."""
LONG_WAIT = 2.0
"""Average active sessions waiting for locks: fewer hold up nobody else."""

_LAG = re.compile(
    r"replica(?:tion)? lag|replication (?:has )?(?:stopped|error|fail)|behind the primary"
    r"|behind primary",
    re.IGNORECASE,
)
_LONG = re.compile(
    r"canceling statement due to conflict with recovery|idle in transaction|long.?running trans",
    re.IGNORECASE,
)
_OFTEN = re.compile(r"checkpoints? (?:are|is) occurring too frequently", re.IGNORECASE)
_FORCED = re.compile(r"checkpoint starting:[^\n]{0,40}\b(?:wal|xlog)\b", re.IGNORECASE)
_UPKEEP = re.compile(r"\b(?:auto)?vacuum|\breindex\b|\bcreate\s+(?:unique\s+)?index\b",
                     re.IGNORECASE)  # fmt: skip
_FAILOVER = re.compile(r"fail(?:ed)?.?over", re.IGNORECASE)
_OUTAGE = re.compile(
    r"maintenance|upgrade|patch|re(?:start|boot)|shut ?down|recovery of the db|host (?:fail|repl)",
    re.IGNORECASE,
)
_ENDED = re.compile(r"complete|finished|is available|succeeded|success", re.IGNORECASE)
_ANNOUNCED = re.compile(
    r"\bwill\b(?! be unavailable)|needs to be|pending|scheduled for|upgrade is available|recommend"
    r"|\b(?:no|without|without a) failover|not required",
    re.IGNORECASE,
)
_DEADLOCK = re.compile(r"deadlock|lock (?:wait )?timeout|still waiting for", re.IGNORECASE)


# ── Replication ───────────────────────────────────────────────────────────────────────────────────


def lag(facts: Facts) -> Ruling:
    """A replica is behind, and why."""
    behind = facts.metric("ReplicaLag", replica=True) or facts.metric("ReplicaLag")
    told = said(facts, _LAG)
    missing = () if behind else ("ReplicaLag",)
    stopped = behind is not None and behind.now < 0  # -1 is how RDS says that it does not run
    late = behind is not None and behind.held >= LATE
    if not (stopped or late or (behind is None and told)):
        why = (
            f"ReplicaLag of {behind.resource} is {behind.shown(behind.highest)} at most"
            if (behind)
            else ""
        )
        return Ruling(Mode.LAG, why_not=why, missing=missing)
    claims = [_behind(behind, told, stopped=stopped)]
    reason, reasons, by = _why_late(facts)
    claims += reasons
    if behind is None:
        claims.append(
            Claim("ReplicaLag has no points: the lag is known from events only", cited(told))
        )
    what = "replication has stopped" if stopped else "replication lag"
    return Ruling(
        Mode.LAG,
        found=True,
        headline=f"{what} of the replica{f' {behind.resource}' if behind else ''}: {reason}",
        claims=tuple(claims),
        since=behind.onset(LATE) if behind else told[0].at,
        over=behind is not None and 0 <= behind.now < max(LATE, CAUGHT_UP * behind.highest),
        missing=missing,
        by=by,
    )


def _behind(behind: Series | None, told: list[Event | LogPattern], *, stopped: bool) -> Claim:
    if behind is None:
        return Claim("RDS says that a replica lags", cited(told))
    if stopped:
        return Claim("ReplicaLag is below 0: replication does not run", (behind.cited(),))
    return Claim(
        f"replication lag grew from {behind.shown(behind.points[0][1])} to"
        f" {behind.shown(behind.highest)}",
        (behind.cited(behind.onset(LATE)), *cited(told)),
    )


def _why_late(facts: Facts) -> tuple[str, list[Claim], Query | None]:
    """What makes the replica late: writes of the primary, a long transaction, or its own limits."""
    log = "WAL" if facts.evidence.engine.startswith(("postgres", "aurora-postgres")) else "binlog"
    burst = list(_burst(facts, log))
    by = writer(facts)
    if burst:
        who = f" of {by.shown()}" if by else ""
        return (
            f"the primary's writes{who} make {log} faster than the replica can replay it",
            burst,
            by,
        )
    own = [
        one
        for one in (facts.metric("CPUUtilization", replica=True),)
        if one is not None and one.held >= SATURATED
    ]
    if own:
        text = f"the replica's own CPU is at {own[0].shown(own[0].held)}: it replays too slowly"
        return "the replica itself is the bottleneck", [Claim(text, (own[0].cited(),))], None
    long = said(facts, _LONG)
    if long:
        text = f"a long transaction holds up the replay of {log}"
        return text, [Claim(text, cited(long))], None
    return f"why its replay of {log} is late is not known: no burst of writes is seen", [], None


def _burst(facts: Facts, log: str) -> Iterator[Claim]:
    """More is written than before: more log, more I/O, and sessions that wait to write it."""
    for name in ("TransactionLogsGeneration", "WriteIOPS", "WriteThroughput"):
        one = facts.metric(name)
        if one and one.surged:
            yield Claim(
                f"{name} rose from {one.shown(one.before)} to {one.shown(one.highest)}:"
                f" more {log} to replay",
                (one.cited(one.rise()),),
            )
    by = writer(facts)
    waiting = facts.share("WAL", "IO:WAL", "LWLock:WAL", "IO:XactSync")
    if by and (by is facts.top() or waiting > MOST) and facts.share("CPU") < MOST:
        yield Claim(
            f"Performance Insights has {by.load:.2g} average active sessions in {by.shown()}"
            f"{facts.runner()}; the top waits are {facts.top_waits()}",
            (by.cited(),),
        )


# ── Checkpoints and locks ─────────────────────────────────────────────────────────────────────────


def checkpoints(facts: Facts) -> Ruling:
    """Checkpoints follow each other without a pause, because something writes that much WAL."""
    often, forced = said(facts, _OFTEN), said(facts, _FORCED)
    rose = [
        one
        for one in map(facts.metric, ("WriteIOPS", "TransactionLogsGeneration", "DiskQueueDepth"))
        if one and one.surged
    ]
    upkeep = next((one for one in facts.by_load if _UPKEEP.search(one.text[:2000])), None)
    if upkeep and facts.total > 0 and upkeep.load < MOST * facts.total:
        upkeep = None
    if not ((often or len(forced) > 1 or upkeep) and rose):
        known = facts.evidence.events or facts.evidence.logs or facts.evidence.queries
        why = "no event, log line or statement shows forced checkpoints or heavy upkeep"
        return Ruling(Mode.CHECKPOINTS, why_not=why if known else "")
    by = upkeep or writer(facts)
    claims = _writing(facts, rose, sorted([*often, *forced], key=lambda one: one.at), by)
    who = f" driven by {by.shown()}" if by else ""
    return Ruling(
        Mode.CHECKPOINTS,
        found=True,
        headline=f"checkpoint storm{who}: it writes WAL and dirty pages faster than the volume"
        " takes them",
        claims=tuple(claims),
        since=min(one.rise() for one in rose),
        over=all(one.now < MOST * one.held for one in rose),
        by=by,
    )


def _writing(
    facts: Facts, rose: list[Series], told: list[Event | LogPattern], by: Query | None
) -> Iterator[Claim]:
    for one in rose:
        yield Claim(
            f"{one.name} rose from {one.shown(one.before)} to {one.shown(one.highest)}",
            (one.cited(one.rise()),),
        )
    if told:
        yield Claim("checkpoints are forced by the amount of WAL", cited(told))
    if by:
        yield Claim(
            f"Performance Insights has {by.load:.2g} average active sessions in {by.shown()}"
            f"{facts.runner()}; the top waits are {facts.top_waits()}, so the load is writing"
            " and the contention for buffers that comes with it",
            (by.cited(),),
        )


def locks(facts: Facts) -> Ruling:
    """Sessions wait for each other's locks."""
    share = facts.share("Lock:", "synch/", "wait/synch", "io/table/sql", "wait/lock")
    waiting = share * facts.total
    told = said(facts, _DEADLOCK)
    if not facts.evidence.waits and not told:
        return Ruling(Mode.LOCKS, missing=("wait events of Performance Insights",))
    if not (share > MOST and waiting >= LONG_WAIT) and not told:
        return Ruling(Mode.LOCKS, why_not=f"{waiting:.2g} sessions wait for locks")
    top = facts.top()
    claims = [Claim("the engine says that statements wait for locks", cited(told))] if told else []
    if share > MOST and top:
        text = f"{waiting:.2g} sessions wait for locks ({facts.top_waits()}), first in"
        claims.append(Claim(f"{text} {top.shown()}{facts.runner()}", (top.cited(),)))
    return Ruling(
        Mode.LOCKS,
        found=True,
        headline="lock contention: sessions wait for locks that others hold",
        claims=tuple(claims),
        since=told[0].at if told else None,
    )


# ── What RDS itself did ───────────────────────────────────────────────────────────────────────────


def failover(facts: Facts) -> Ruling:
    """The standby took over while this was measured."""
    return _outage(facts, Mode.FAILOVER, _FAILOVER, "failover")


def maintenance(facts: Facts) -> Ruling:
    """RDS restarted or changed the instance while this was measured."""
    return _outage(facts, Mode.MAINTENANCE, _OUTAGE, "maintenance or restart")


def _outage(facts: Facts, mode: Mode, pattern: re.Pattern[str], what: str) -> Ruling:
    told = [
        event
        for event in facts.evidence.events
        if pattern.search(event.text) and not _ANNOUNCED.search(event.text)
    ]
    if mode is Mode.MAINTENANCE:
        told = [event for event in told if not _FAILOVER.search(event.text)]
    told.sort(key=lambda event: event.at)
    recent = [event for event in told if facts.begin is None or event.at >= facts.begin - LEAD]
    if not recent:
        return Ruling(mode, why_not=_past(facts, told, what))
    ended = bool(_ENDED.search(recent[-1].text))
    claims = [
        Claim(
            f"RDS reports a {what}, {'completed' if ended else 'not yet completed'}",
            tuple(event.cited() for event in recent),
        ),
        *_cut(facts),
    ]
    return Ruling(
        mode,
        found=True,
        headline=f"{what} of {facts.evidence.instance}"
        + (", completed: connections were cut while it ran" if ended else ", not yet completed"),
        claims=tuple(claims),
        since=recent[0].at,
    )


def _past(facts: Facts, told: list[Event], what: str) -> str:
    if not told:
        return f"no event of a {what}" if facts.evidence.events else "RDS reports no event of it"
    last = told[-1]
    state = "completed" if _ENDED.search(last.text) else "was last heard of"
    begin = f", before what was measured begins ({facts.begin:%H:%M}Z)" if facts.begin else ""
    return (
        f"the {what} of {told[0].at:%Y-%m-%d %H:%M}Z {state} at {last.at:%H:%M}Z{begin}: it is"
        f" historical ({', '.join(event.cited().name for event in told[:3])})"
    )


def _cut(facts: Facts) -> Iterator[Claim]:
    """Connections drop to (almost) nothing when an instance goes away."""
    used = facts.metric("DatabaseConnections")
    if used and used.lowest < 0.2 * used.highest:
        yield Claim(
            f"DatabaseConnections fell from {used.shown(used.highest)} to"
            f" {used.shown(used.lowest)}",
            (used.cited(min(used.points, key=lambda point: point[1])[0]),),
        )
