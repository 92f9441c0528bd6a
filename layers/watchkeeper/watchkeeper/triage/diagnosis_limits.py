"""Rules about what an RDS instance runs out of: CPU, connections, memory. Pure.

Sources of the behaviour:
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-metrics.html
https://www.postgresql.org/docs/current/runtime-config-connection.html
"""

import re
from collections.abc import Iterator

from watchkeeper.triage.diagnosis_facts import MOST, PART, SATURATED, Facts, cited, said, shape
from watchkeeper.triage.evidence import Claim, Mode, Ruling

BUSY = 80.0
"""Per cent from which it is a bottleneck if CPU is also what sessions wait for most."""
FULL = 0.95
"""Of max_connections: the last few are reserved for administrators."""
BYTES_PER_CONNECTION = 9_531_392
MOST_CONNECTIONS = 5_000
"""How RDS sets max_connections of PostgreSQL, unless the operator does."""
EASED = 0.9
"""Of the limit: below it there is room again."""
LEAST_MEMORY = 0.05
"""Of all memory, available: below it RDS begins to swap, and kills processes."""
FEW_MEMORY = 256 * 2.0**20
"""Bytes, where nobody knows how much memory there is."""
SWAPPED = 256 * 2.0**20
"""Bytes of swap more than before: RDS keeps some tens of megabytes there at rest."""
IDLE = "Client:"
"""How wait events begin while a session waits for its client."""

_LIMIT = re.compile(r"(\d{1,7}) (?:of|/|out of) (\d{1,7})")
_REFUSED = re.compile(
    r"remaining connection slots|too many (?:clients|connections)"
    r"|max_connections (?:limit )?(?:has been |was |is )?(?:reached|exceeded)",
    re.IGNORECASE,
)
_OUT_OF_MEMORY = re.compile(r"out of memory|oom.?kill|low memory|memory pressure", re.IGNORECASE)


def cpu(facts: Facts) -> Ruling:
    """The processors are the bottleneck."""
    used = facts.metric("CPUUtilization")
    if used is None:
        return Ruling(Mode.CPU, missing=("CPUUtilization",))
    working = facts.share("CPU")
    bottleneck = used.held >= SATURATED or (used.held >= BUSY and working > MOST)
    if not bottleneck:
        return Ruling(
            Mode.CPU, why_not=f"CPUUtilization held at most {used.shown(used.held)} for 3 points"
        )
    since = used.onset(min(used.held, SATURATED))
    claims = [
        Claim(
            f"CPU saturation: CPUUtilization went from {used.shown(used.before)} to"
            f" {used.shown(used.highest)} and held {used.shown(used.held)} or more",
            (used.cited(since),),
        ),
        *who(facts),
    ]
    by = facts.most("CPU") if working > PART else None
    heavy = f" by the query {by.shown()}" if by else ""
    return Ruling(
        Mode.CPU,
        found=True,
        headline=f"CPU saturation{heavy}",
        claims=tuple(claims),
        since=since,
        over=used.lately < EASED * BUSY,
        by=by,
    )


def who(facts: Facts) -> Iterator[Claim]:
    """Which statement has the load, and what it waits for."""
    top = facts.top()
    if top is None or not facts.evidence.waits:
        return
    calls = f", {top.calls:.3g} calls a second" if top.calls is not None else ""
    yield Claim(
        f"Performance Insights has most load ({top.load:.2g} average active sessions{calls}) in the"
        f" query {top.shown()}{facts.runner()}; the top waits are {facts.top_waits()}",
        (top.cited(),),
    )
    reads = facts.metric("ReadIOPS")
    if any(name.startswith("IO:DataFileRead") for name in top.waits) and reads:
        yield Claim(
            f"it also waits for reads of tables (ReadIOPS up to {reads.shown(reads.highest)}), as"
            " scans without a fitting index do",
            (reads.cited(), top.cited()),
        )


def connections(facts: Facts) -> Ruling:
    """No slot is left for a new session."""
    used = facts.metric("DatabaseConnections")
    limit = _limit(facts)
    refused = said(facts, _REFUSED)
    grown = used is not None and used.highest >= 1.5 * used.before
    full = used is not None and limit is not None and used.held >= FULL * limit
    of = f" of {limit}" if limit else ""
    if not full and not (refused and (grown or used is None)):
        if used is None:
            return Ruling(Mode.CONNECTIONS, missing=("DatabaseConnections",))
        return Ruling(
            Mode.CONNECTIONS,
            why_not=f"at most {used.shown(used.highest)}{of} connections, and none was refused",
        )
    claims = []
    if used is not None:
        claims.append(
            Claim(
                f"connections went from {used.shown(used.before)} to {used.shown(used.highest)}{of}"
                " (max_connections)",
                (used.cited(used.rise()), *cited(refused)),
            )
        )
    else:
        claims.append(Claim("new connections were refused: max_connections", cited(refused)))
    idle = facts.share(IDLE) > PART
    claims += _sessions(facts, idle=idle)
    over = used is not None and used.lately < EASED * (limit or used.highest)
    what = "idle client sessions hold the slots" if idle else "sessions take all slots"
    return Ruling(
        Mode.CONNECTIONS,
        found=True,
        headline=f"connection exhaustion: {what} of max_connections",
        claims=tuple(claims),
        since=used.rise() if used else refused[0].at,
        over=over,
        by=facts.most(IDLE) if idle else None,
    )


def _sessions(facts: Facts, *, idle: bool) -> Iterator[Claim]:
    top = facts.most(IDLE) if idle else facts.top()
    evidence = (top.cited(),) if top else ()
    if idle:
        yield Claim(
            f"many client sessions are idle: {facts.share(IDLE):.0%} of the load waits for the"
            f" client to say something ({facts.top_waits()}), as with transactions left open or a"
            f" pool that leaks{facts.runner()}",
            evidence,
        )
    elif top:
        yield Claim(
            f"client sessions are at work, not idle: the top waits are {facts.top_waits()}",
            evidence,
        )


def _limit(facts: Facts) -> int | None:
    """What max_connections is: as told, or RDS's default."""
    told = limit_told(facts)
    if told:
        return told
    whole = shape(facts.evidence.instance_class)[1]
    if whole and facts.evidence.engine.startswith("postgres"):
        return min(int(whole / BYTES_PER_CONNECTION), MOST_CONNECTIONS)
    return None


def limit_told(facts: Facts) -> int | None:
    """What max_connections is, if anybody says it: the caller, an event, or the alarm."""
    if facts.evidence.max_connections:
        return facts.evidence.max_connections
    for text in (*(event.text for event in facts.evidence.events), facts.evidence.alarm):
        told = _LIMIT.search(text)
        if told and "onnection" in text and int(told[1]) <= int(told[2]):
            return int(told[2])
    return None


def memory(facts: Facts) -> Ruling:
    """The instance swaps, or its processes are killed for want of memory."""
    free, swap = facts.metric("FreeableMemory"), facts.metric("SwapUsage")
    told = said(facts, _OUT_OF_MEMORY)
    lacking = (("FreeableMemory", free), ("SwapUsage", swap))
    missing = tuple(name for name, one in lacking if one is None)
    whole = shape(facts.evidence.instance_class)[1]
    least = max(LEAST_MEMORY * whole, FEW_MEMORY) if whole else FEW_MEMORY
    low = free is not None and free.held_low < least
    swapping = swap is not None and swap.held - swap.before > SWAPPED
    shrunk = free is not None and free.held_low < 0.5 * free.points[0][1]
    if not (told or low or (swapping and shrunk)):
        left = f"FreeableMemory is {free.shown(free.lowest)} at least" if free else ""
        used = f"SwapUsage at most {swap.shown(swap.highest)}" if swap else ""
        return Ruling(Mode.MEMORY, why_not=", ".join(filter(None, (left, used))), missing=missing)
    claims = [Claim("the engine or RDS says that memory is short", cited(told))] if told else []
    if free:
        text = f"FreeableMemory went from {free.shown(free.points[0][1])} to"
        claims.append(Claim(f"{text} {free.shown(free.lowest)}", (free.cited(free.fall()),)))
    if swap and swapping:
        text = f"SwapUsage grew from {swap.shown(swap.before)} to {swap.shown(swap.highest)}"
        claims.append(Claim(text, (swap.cited(swap.rise()),)))
    return Ruling(
        Mode.MEMORY,
        found=True,
        headline="memory pressure: the instance has too little memory for its work, and swaps",
        claims=tuple(claims),
        since=told[0].at if told else free.fall() if free else None,
        over=not told and free is not None and free.now > 2 * least,
        missing=missing,
    )
