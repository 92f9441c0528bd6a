"""What is wrong with a database, in words, by rules that name their evidence. Pure.

Each rule asks for one fault and answers with it, with why it is none, or with the metric it lacks.
A fault that another one brings about (BRINGS) and that began no earlier is a consequence, and so is
a metric that moved because of it. What is left are the causes; if nothing is left, the instance is
healthy, or the diagnosis is "unknown" with what was ruled out.

An instance is called healthy only if what it could run out of was measured. A fault that is over is
told as such: nothing is left to repair, though somebody should know.
"""

from collections.abc import Iterator, Mapping, Sequence

from watchkeeper.triage.diagnosis_facts import Facts, shape, writes
from watchkeeper.triage.diagnosis_limits import connections, cpu, limit_told, memory
from watchkeeper.triage.diagnosis_moved import GROWN, SLACK, cause_words, has_moved, moved, words
from watchkeeper.triage.diagnosis_volume import DEEP_QUEUE, SLOW_IO, credits_, io, storage
from watchkeeper.triage.diagnosis_work import (
    checkpoints,
    failover,
    lag,
    locks,
    maintenance,
)
from watchkeeper.triage.evidence import (
    Category,
    Citation,
    Claim,
    Diagnosis,
    Evidence,
    Mode,
    Query,
    Ruling,
    Series,
    Source,
)

RULES = (
    storage, failover, maintenance, memory, checkpoints, credits_, lag, connections, cpu, locks, io,
)  # fmt: skip
"""In the order of Mode: of two causes, the one that stops more is told first."""
CATEGORY = {
    Mode.FAILOVER: Category.INFRASTRUCTURE,
    Mode.MAINTENANCE: Category.INFRASTRUCTURE,
    Mode.LOCKS: Category.CONTENTION,
}
"""All others are resources that are exhausted."""
BRINGS: Mapping[Mode, frozenset[Mode]] = {
    Mode.STORAGE_FULL: frozenset({Mode.LOCKS, Mode.IO, Mode.CONNECTIONS, Mode.LAG}),
    Mode.FAILOVER: frozenset(
        {Mode.MAINTENANCE, Mode.CONNECTIONS, Mode.LAG, Mode.CPU, Mode.IO, Mode.LOCKS}
    ),
    Mode.MAINTENANCE: frozenset({Mode.CONNECTIONS, Mode.LAG, Mode.CPU, Mode.IO, Mode.LOCKS}),
    Mode.MEMORY: frozenset(
        {Mode.CPU, Mode.IO, Mode.FAILOVER, Mode.MAINTENANCE, Mode.CONNECTIONS, Mode.LOCKS}
    ),
    Mode.CHECKPOINTS: frozenset(
        {Mode.CPU, Mode.IO, Mode.LAG, Mode.LOCKS, Mode.CONNECTIONS, Mode.CREDITS, Mode.MEMORY}
    ),
    Mode.CREDITS: frozenset({Mode.IO, Mode.LAG, Mode.LOCKS, Mode.CONNECTIONS, Mode.CPU}),
    Mode.LAG: frozenset({Mode.IO, Mode.CREDITS, Mode.CPU}),
    Mode.CONNECTIONS: frozenset({Mode.CPU}),
    Mode.CPU: frozenset({Mode.CONNECTIONS, Mode.LOCKS, Mode.IO}),
    Mode.LOCKS: frozenset({Mode.CONNECTIONS}),
    Mode.IO: frozenset({Mode.CONNECTIONS, Mode.LAG, Mode.LOCKS}),
}
"""What a fault brings about. Lag stands here for the burst of writes that made it."""
CORE = ("CPUUtilization", "DatabaseConnections")
"""Without these, and without what the alarm is about, nothing is called healthy."""
BOUNDS = (*CORE, "FreeStorageSpace", "FreeableMemory", "ReplicaLag")
ASKED = (
    *BOUNDS, "ReadLatency", "WriteLatency", "ReadIOPS", "WriteIOPS", "DiskQueueDepth", "SwapUsage",
    "BurstBalance",
)  # fmt: skip
"""Metrics that an alarm may name."""


def diagnose(evidence: Evidence) -> Diagnosis:
    """The causes with their evidence; or healthy; or unknown. Same evidence, same answer."""
    facts = Facts(evidence)
    rulings = [rule(facts) for rule in RULES]
    present = [ruling for ruling in rulings if ruling.found and not ruling.over]
    over = [ruling for ruling in rulings if ruling.found and ruling.over]
    ruled_out = tuple(
        Claim(f"{words(one.mode)}: {one.why_not}")
        for one in rulings
        if one.why_not and not one.found
    )
    lacking = tuple(_lacking(rulings))
    if present:
        return _faulty(facts, present, over, ruled_out, lacking)
    return _quiet(facts, over, ruled_out, lacking)


def _lacking(rulings: Sequence[Ruling]) -> Iterator[str]:
    for one in rulings:
        for metric in one.missing:
            how = "directly: it is known from other evidence, and" if one.found else "because"
            yield f"{words(one.mode)} {how} {metric} is missing (no points in this window)"


# ── Faults ────────────────────────────────────────────────────────────────────────────────────────


def _faulty(
    facts: Facts,
    present: Sequence[Ruling],
    over: Sequence[Ruling],
    ruled_out: tuple[Claim, ...],
    lacking: tuple[str, ...],
) -> Diagnosis:
    causes = [one for one in present if not any(_brings(other, one) for other in present)]
    causes = causes or [present[0]]  # each brings the other about: the one told first
    effects = [one for one in present if one not in causes]
    main = causes[0]
    return Diagnosis(
        CATEGORY.get(main.mode, Category.EXHAUSTION),
        "; and, at the same time, ".join(one.headline for one in causes),
        tuple(one.mode for one in causes),
        tuple(claim for one in causes for claim in one.claims),
        (
            *(_effect(one, main) for one in effects if one.mode is not Mode.CPU),
            *(_past(one) for one in over),
            *moved(facts, causes, effects),
        ),
        ruled_out,
        lacking,
    )


def _brings(cause: Ruling, effect: Ruling) -> bool:
    """Whether one fault is enough to explain the other."""
    if cause is effect or effect.mode not in BRINGS[cause.mode]:
        return False
    if _apart(cause.by, effect.by):
        return False
    earlier = cause.since and effect.since and effect.since < cause.since - SLACK
    both_ways = cause.mode in BRINGS[effect.mode] and not _apart(effect.by, cause.by)
    if both_ways and cause.since and effect.since and cause.since != effect.since:
        return cause.since < effect.since
    first = not both_ways or list(Mode).index(cause.mode) < list(Mode).index(effect.mode)
    return first and not earlier


def _apart(cause: Query | None, effect: Query | None) -> bool:
    """Whether another statement is behind the second, that only reads: it has its own cause."""
    return bool(effect and effect is not cause and (cause is not None or not writes(effect)))


def _effect(effect: Ruling, cause: Ruling) -> Claim:
    told = tuple(one for claim in effect.claims for one in claim.evidence)
    return Claim(
        f"{effect.headline}: it follows from the {cause_words(cause)} and is not a cause",
        tuple(dict.fromkeys(told)),
    )


def _past(one: Ruling) -> Claim:
    told = tuple(cited for claim in one.claims for cited in claim.evidence)
    return Claim(f"{one.headline}: this is over, it has recovered", told)


# ── None ──────────────────────────────────────────────────────────────────────────────────────────


def _quiet(
    facts: Facts,
    over: Sequence[Ruling],
    ruled_out: tuple[Claim, ...],
    lacking: tuple[str, ...],
) -> Diagnosis:
    wanted = {*CORE, *(() if over else _alarmed(facts))}
    absent = sorted(
        name for name in wanted if not (facts.metric(name) or facts.metric(name, replica=True))
    )
    odd = list(_unexplained(facts))
    past = tuple(_past(one) for one in over)
    if absent or odd:
        missing = f" ({', '.join(absent)} missing from the metrics)" if absent else ""
        what = f": {odd[0].text}" if odd else ""
        return Diagnosis(
            Category.UNKNOWN, f"unknown{what}{missing}", (), tuple(odd), past, ruled_out, lacking
        )
    if over:
        modes = ", ".join(words(one.mode) for one in over)
        headline = (
            f"healthy: it has recovered from {modes}, and is within normal bounds again; no failure"
            " is present"
        )
    else:
        headline = "healthy: all that was measured is within normal bounds, no failure is found"
    return Diagnosis(
        Category.HEALTHY, headline, (), tuple(_bounds(facts)), past, ruled_out, lacking
    )


def _alarmed(facts: Facts) -> list[str]:
    """The metrics that the alarm names."""
    alarm = facts.evidence.alarm.replace(" ", "").lower()
    return [name for name in ASKED if name.lower() in alarm]


def _bounds(facts: Facts) -> Iterator[Claim]:
    for name in BOUNDS:
        one = facts.metric(name) or facts.metric(name, replica=True)
        if one:
            lowest, highest = one.shown(one.lowest), one.shown(one.highest)
            yield Claim(f"{name} is between {lowest} and {highest}", (one.cited(),))
    if facts.evidence.load:
        most = max(value for _, value in facts.evidence.load)
        cpus = shape(facts.evidence.instance_class)[0]
        of = f", of {cpus} vCPUs" if cpus else ""
        told = Citation(Source.QUERIES, "database load")
        yield Claim(f"at most {most:.2g} sessions are active at a time{of}", (told,))
    for event in facts.evidence.events:
        yield Claim("an RDS event that needs nobody", (event.cited(),))


_UNLIMITED = ("CPUUtilization", "DatabaseConnections", "ReadIOPS", "WriteIOPS")
"""What only the alarm can call too much, below the limits that the rules know."""


def _unexplained(facts: Facts) -> Iterator[Claim]:
    """What is not as it should be, though no rule says why."""
    for name, worst in (
        ("ReadLatency", SLOW_IO),
        ("WriteLatency", SLOW_IO),
        ("CommitLatency", SLOW_IO),
        ("DiskQueueDepth", DEEP_QUEUE),
    ):
        one = facts.metric(name)
        if one and one.surged and min(one.held, one.now) > worst:
            yield Claim(
                f"{name} rose from {one.shown(one.before)} to {one.shown(one.highest)}",
                (one.cited(one.rise()),),
            )
    yield from _as_alarmed(facts)
    cpus = shape(facts.evidence.instance_class)[0]
    load = Series(facts.evidence.instance, "DBLoad", facts.evidence.load)
    if cpus and load.points and load.now > cpus:
        yield Claim(
            f"{load.now:.2g} sessions are active at a time, on {cpus} vCPUs ({facts.top_waits()})",
            (Citation(Source.QUERIES, "database load"),),
        )


def _as_alarmed(facts: Facts) -> Iterator[Claim]:
    """What the alarm is about has risen, is still high, and no rule calls it a fault."""
    for name in _alarmed(facts) if facts.evidence.firing else ():
        one = facts.metric(name) or facts.metric(name, replica=True)
        if one and name in _UNLIMITED and has_moved(one) and one.now > one.held / GROWN:
            if name == "DatabaseConnections" and limit_told(facts):
                continue
            yield Claim(
                f"{name} rose from {one.shown(one.before)} to {one.shown(one.highest)}, as the"
                " alarm says",
                (one.cited(one.rise()),),
            )
