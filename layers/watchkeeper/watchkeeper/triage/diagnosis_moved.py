"""Metrics that moved and that are no causes: what they followed from, in words. Pure."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from watchkeeper.triage.diagnosis_facts import Facts, writes
from watchkeeper.triage.diagnosis_limits import BUSY
from watchkeeper.triage.evidence import Claim, Mode, Ruling, Series

SLACK = timedelta(minutes=5)
"""How much earlier a consequence may seem to begin: metrics are of minutes, and alarms of five."""
RAISED = 15.0
"""Points of CPU more than before that want an explanation."""
GROWN = 1.5
"""Times what it was, from which other metrics want one."""
SHRUNK = 0.9
"""The same of what is free: volumes shrink slowly, so a tenth in an hour is much."""
_WITH = {
    "DatabaseConnections": "sessions pile up while the work before them takes longer",
    "FreeableMemory": "more work takes more memory; what is left is no limit yet",
    "SwapUsage": "more work takes more memory; it is not at its limit",
    "FreeStorageSpace": "what is written takes space; it is not critical yet",
    "ReadLatency": "requests wait for a busy volume",
    "WriteLatency": "requests wait for a busy volume",
    "CommitLatency": "commits wait for a busy volume",
    "DiskQueueDepth": "requests wait for a busy volume",
    "ReadIOPS": "it is part of the same load",
    "WriteIOPS": "it is part of the same load",
    "TransactionLogsGeneration": "it is part of the same load",
}


def words(mode: Mode) -> str:
    return mode.value.replace("_", " ").replace("cpu", "CPU").replace("io ", "I/O ")


def cause_words(one: Ruling) -> str:
    """A fault as what follows from it names it."""
    if one.mode is Mode.LAG:
        return "writes that make the replication lag" if one.by else "replication lag"
    return {Mode.STORAGE_FULL: "full storage", Mode.CREDITS: "exhausted burst credits"}.get(
        one.mode, words(one.mode)
    )


def moved(facts: Facts, causes: Sequence[Ruling], effects: Sequence[Ruling]) -> Iterator[Claim]:
    """Metrics that moved and that no cause has named: why they did."""
    told = [*causes, *(one for one in effects if one.mode is not Mode.CPU)]
    named = {cited.name for one in told for claim in one.claims for cited in claim.evidence}
    for series in facts.series:
        if series.cited().name in named or not has_moved(series):
            continue
        if series.name == "CPUUtilization" and series.resource == facts.evidence.instance:
            yield _why_busy(facts, series, causes[0])
        elif series.name in _WITH:
            yield _went_with(series, causes[0])


def has_moved(series: Series) -> bool:
    first = series.points[0][1]
    if series.name == "CPUUtilization":
        return series.held - series.before >= RAISED
    if series.name.startswith("Free"):
        return (
            series.lowest < SHRUNK * first
            if series.name == "FreeStorageSpace"
            else (series.held_low < first / GROWN)
        )
    if series.name in ("DatabaseConnections", "SwapUsage"):
        return series.held >= GROWN * series.before
    return series.surged


def _went_with(series: Series, cause: Ruling) -> Claim:
    falling = series.name.startswith("Free")
    at = series.fall() if falling else series.rise()
    to = series.lowest if falling else series.highest
    text = f"{series.name} went from {series.shown(series.points[0][1])} to {series.shown(to)}"
    if cause.since and at < cause.since - SLACK:
        return Claim(f"{text}, but before: this does not explain it", (series.cited(at),))
    return Claim(
        f"{text}: a consequence of the {cause_words(cause)} ({_WITH[series.name]})",
        (series.cited(at),),
    )


def _why_busy(facts: Facts, used: Series, cause: Ruling) -> Claim:
    """Whose work raised CPU: the same statement's, or that of another that only reads."""
    text = f"CPUUtilization went from {used.shown(used.before)} to {used.shown(used.highest)}"
    at = used.rise()
    other = facts.most("CPU")
    if other and cause.by and other is not cause.by and not writes(other):
        spent, own = other.on("CPU"), cause.by.on("CPU")
        if spent > own and used.held >= RAISED + BUSY / 2:
            return Claim(
                f"{text}, mostly by another statement, {other.shown()} ({spent:.2g} of"
                f" {spent + own:.2g} active sessions on CPU). That only reads: it is causally"
                f" independent of the {cause_words(cause)}, and coincides with it",
                (used.cited(at), other.cited()),
            )
    return Claim(
        f"{text}: a consequence of the {cause_words(cause)}, not CPU saturation of its own"
        f" (sessions wait most for {facts.top_waits(2) or 'what is not known'})",
        (used.cited(at),),
    )
