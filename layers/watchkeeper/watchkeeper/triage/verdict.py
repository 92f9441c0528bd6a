"""What is wrong, in words, by rules that name their evidence; or "unknown". Pure.

A verdict selects nothing and repairs nothing. The hard facts come first: what is stopped, full or
used up. Then what a database says of itself, what was changed, the limits that a change may bring
about, and at last what metrics and logs only hint at.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from watchkeeper.quoting import quoted
from watchkeeper.triage import diagnosis
from watchkeeper.triage import evidence as words
from watchkeeper.triage.evidence import LogPattern
from watchkeeper.triage.gathered import Database
from watchkeeper.triage.phrases import LAST_YEAR, clean, counted, fitted, short
from watchkeeper.triage.report import Claim, Source, Verdict
from watchkeeper.triage.rulings import Category, Facts, Ruling
from watchkeeper.triage.rulings_causes import change, downstream, permission, reported, stopped
from watchkeeper.triage.rulings_limits import LIMITS, LOAD, ruled

MOST_CLAIMS = 12
HARD = (Category.STOPPED, Category.DISK_FULL, Category.STATUS_CHECK, Category.CREDITS)
"""Facts of their own, whatever was changed."""
SOURCES = {
    words.Source.METRICS: Source.METRICS,
    words.Source.EVENTS: Source.DATABASE,
    words.Source.QUERIES: Source.DATABASE,
    words.Source.LOGS: Source.LOGS,
}


@dataclass(frozen=True, slots=True)
class Judged:
    verdict: Verdict
    unchecked: tuple[str, ...] = ()
    """What rules and diagnoses lacked."""
    usual: tuple[str, ...] = ()
    """Databases that are healthy."""
    change: Ruling | None = None
    """What began it, if something was changed just before."""


@dataclass(frozen=True, slots=True)
class _Fault:
    category: str
    headline: str
    claims: tuple[Claim, ...]
    consequences: tuple[str, ...] = ()


def judged(facts: Facts) -> Judged:
    """All rules asked, and each database; the first fault in their order is the verdict."""
    rulings = _rulings(facts)
    found = [one for one in rulings if one.found]
    databases = [(one, diagnosed(facts, one)) for one in facts.gathered.databases]
    faults = [
        *(_fault(one) for one in found if one.category in HARD),
        *(_of_database(one, told) for one, told in databases if told.modes),
        *(_fault(one) for one in found if one.category not in HARD),
    ]
    ruled_out = [one.why_not for one in rulings if one.why_not and not one.found]
    ruled_out += [
        f"{quoted(one.instance)}: {claim.text}" for one, told in databases
        for claim in told.ruled_out
    ]  # fmt: skip
    changed = next((one for one in found if one.category is Category.CHANGE), None)
    return Judged(
        _verdict(faults, changed, [clean(one) for one in ruled_out]),
        tuple(dict.fromkeys(_lacked(rulings, databases))),
        tuple(
            f"Nothing unusual in the database {quoted(one.instance)}: {clean(told.headline)}"
            for one, told in databases
            if not told.modes and told.category is words.Category.HEALTHY
        ),
        changed,
    )


def _rulings(facts: Facts) -> list[Ruling]:
    """In the order in which they are believed."""
    limits = [ruled(limit, facts) for limit in LIMITS]
    hard = [one for one in limits if one.category in HARD]
    soft = [one for one in limits if one.category not in HARD]
    causes = (change(facts), permission(facts))
    hints = (downstream(facts), ruled(LOAD, facts), reported(facts))
    return [stopped(facts), *hard, *causes, *soft, *hints]


def _verdict(faults: Sequence[_Fault], changed: Ruling | None, ruled_out: Sequence[str]) -> Verdict:
    if not faults:
        looked = f", {counted(len(ruled_out), 'cause')} ruled out" if ruled_out else ""
        headline = f"unknown: no rule explains it{looked}"
        return Verdict(False, str(Category.UNKNOWN), headline, ruled_out=tuple(ruled_out))  # noqa: FBT003 (a dataclass's first field)
    first = faults[0]
    parts, claims = [first.headline], list(first.claims)
    if changed and first.category != changed.category:
        parts.append(changed.headline)
        claims += changed.claims
    rest = [one for one in faults[1:] if not (changed and one.category == changed.category)]
    return Verdict(
        known=True,
        category=first.category,
        headline=fitted(parts, 600),
        claims=tuple(dict.fromkeys(claims))[:MOST_CLAIMS],
        consequences=(*first.consequences, *(f"also: {one.headline}" for one in rest)),
        ruled_out=tuple(ruled_out),
    )


def _fault(one: Ruling) -> _Fault:
    return _Fault(str(one.category), one.headline, one.claims)


# ── Databases ─────────────────────────────────────────────────────────────────────────────────────


def diagnosed(facts: Facts, database: Database) -> words.Diagnosis:
    """By what it says of itself, and what its logs say."""
    from watchkeeper.triage.database_evidence import evidence_of  # noqa: PLC0415 (few incidents are about a database)

    sane = replace(
        database,
        events=[one for one in database.events if _is_real(one.at)],
        load=[one for one in database.load if _is_real(one[0])],
    )
    patterns = [one for one in _patterns(facts, database) if _is_real(one.at)]
    return diagnosis.diagnose(evidence_of(facts.gathered, sane, patterns))


def _is_real(at: datetime) -> bool:
    """Not at an end of the calendar, where nothing can be added or taken away."""
    return 1 < at.year < LAST_YEAR


def _patterns(facts: Facts, database: Database) -> list[LogPattern]:
    return [
        pattern
        for logged, patterns in facts.logs.patterns
        if database.arn in logged.resources
        for pattern in patterns
    ]


def _of_database(database: Database, told: words.Diagnosis) -> _Fault:
    return _Fault(
        str(told.category),
        clean(f"{quoted(short(database.arn))}: {told.headline}"),
        tuple(_claim(one, database) for one in told.claims),
        tuple(clean(one.text) for one in told.consequences),
    )


def _claim(one: words.Claim, database: Database) -> Claim:
    first = one.evidence[0] if one.evidence else None
    return Claim(
        SOURCES[first.source] if first else Source.DATABASE,
        clean(one.text),
        at=first.at if first else None,
        resource=clean(database.arn),
        lines=tuple(clean(f"{cited.source}: {cited.name}") for cited in one.evidence),
        key=clean(f"{database.arn} {first.name if first else one.text}"),
    )


def _lacked(
    rulings: Iterable[Ruling], databases: Sequence[tuple[Database, words.Diagnosis]]
) -> Iterator[str]:
    yield from (one.lacked for one in rulings if one.lacked)
    for one, told in databases:
        yield from (f"{clean(what)} ({quoted(one.instance)})" for what in told.could_not_check)
        if not told.modes and told.category is words.Category.UNKNOWN:
            yield f"what is wrong with {quoted(one.instance)} because it is {clean(told.headline)}"
