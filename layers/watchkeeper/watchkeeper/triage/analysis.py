"""The report of an incident, made from what was gathered and from nothing else. Pure.

The same evidence gives the same report, to the byte. Every source and every resource that was
looked at is in a claim, in a silence, in `usual` or in `unchecked`: none is absent without a word.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from watchkeeper.quoting import quoted
from watchkeeper.triage.costs import cost
from watchkeeper.triage.gathered import Gathered, Raised, Resource
from watchkeeper.triage.headline import headline, matters, more
from watchkeeper.triage.log_claims import from_logs, unlogged
from watchkeeper.triage.metric_claims import from_metrics, unmeasured
from watchkeeper.triage.phrases import clean, clock, linked, service, short
from watchkeeper.triage.report import Claim, Report, Source
from watchkeeper.triage.rulings import Facts
from watchkeeper.triage.timeline import timeline
from watchkeeper.triage.trail_claims import from_trail
from watchkeeper.triage.verdict import Judged, judged

MOST_UNCHECKED = 60
"""Sentences; more are counted in the last."""


def report_of(gathered: Gathered) -> Report:
    """The report. It takes a few seconds for 50,000 lines, and never fails for what they say."""
    facts = _facts(gathered)
    verdict = judged(facts)
    unchecked = tuple(_unchecked(facts, verdict))
    return Report(
        incident=clean(gathered.incident),
        look=gathered.look,
        made_at=gathered.at,
        headline=headline(facts, verdict, len(unchecked) - len(verdict.unchecked)),
        severity=clean(gathered.severity, 40),
        owner=clean(gathered.owner),
        since=facts.onset,
        alarms=tuple(_alarm(one) for one in gathered.alarms),
        tree=tuple(_plain(one) for one in gathered.tree),
        hit=tuple(clean(one.arn) for one in gathered.resources if not one.beside),
        verdict=verdict.verdict,
        changes=facts.trail.changed,
        errors=tuple(one.claim for one in facts.logs.news),
        moved=facts.metrics.moved,
        suspects=facts.metrics.suspects,
        suspicious=facts.trail.suspicious,
        silences=(*facts.logs.silences, *facts.metrics.silences, *facts.trail.silences),
        usual=tuple(_usual(facts, verdict)),
        unchecked=unchecked,
        timeline=timeline(facts),
        charts=facts.metrics.charts,
        audit_until=gathered.trail.until,
        recurrence=gathered.recurrence,
        follows=tuple(clean(one) for one in gathered.follows),
        used={clean(name, 80): most for name, most in sorted(gathered.used.items())},
        cost_usd=cost(gathered.used),
        matters=matters(facts, verdict),
        more=more(facts, verdict, unchecked),
    )


def _facts(gathered: Gathered) -> Facts:
    onset = onset_of(gathered)
    return Facts(
        gathered,
        onset,
        from_logs(gathered),
        from_metrics(gathered, onset),
        from_trail(gathered, onset),
    )


def onset_of(gathered: Gathered) -> datetime:
    """When it began, by the first bad datapoint of an alarm: what a span says, it says of the first
    alarm alone.
    """
    since = (one.since for one in gathered.alarms if one.since <= gathered.at)
    return min(since, default=min(gathered.span.since, gathered.at))


def _alarm(one: Raised) -> Claim:
    what = f" about {quoted(one.metric, 120)}" if one.metric else ""
    since = f"since {clock(one.since)}, raised at {clock(one.at)}"
    reason = (clean(one.reason),) if one.reason else ()
    said = (f"description: {clean(one.description)}",) if one.description else ()
    return Claim(
        Source.ALARM,
        f"{quoted(one.name)}{what} is {clean(one.state, 40)} {since}",
        at=one.at,
        resource=clean(one.arn),
        links=linked("alarm", one.link),
        lines=(*reason, *said),
        key=clean(one.arn or one.name),
        severity=clean(one.severity, 40),
    )


def _plain(branch: Mapping[str, Any]) -> dict[str, Any]:
    """A branch of the tree whose texts UTF-8 can hold."""
    return {clean(str(name), 80): _value(one, 0) for name, one in branch.items()}


def _value(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return clean(value)
    if depth > 8:  # noqa: PLR2004 (the tree has five levels)
        return None
    if isinstance(value, Mapping):
        return {clean(str(name), 80): _value(one, depth + 1) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_value(one, depth + 1) for one in value]
    return value


# ── What showed nothing, and what could not be looked at ──────────────────────────────────────────


def _usual(facts: Facts, verdict: Judged) -> Iterator[str]:
    yield from facts.logs.usual
    yield from facts.metrics.usual
    yield from facts.trail.usual
    yield from verdict.usual
    if not facts.gathered.databases and not any(_is_database(one.arn) for one in _all(facts)):
        yield "No database is among the resources"


def _unchecked(facts: Facts, verdict: Judged) -> Iterator[str]:
    every = list(dict.fromkeys(_sentences(facts, verdict)))
    yield from every[:MOST_UNCHECKED]
    if len(every) > MOST_UNCHECKED:
        yield f"Could not check {len(every) - MOST_UNCHECKED} more things"


def _sentences(facts: Facts, verdict: Judged) -> Iterator[str]:
    gathered = facts.gathered
    for one in gathered.unchecked:
        yield f"Could not check {clean(one.what, 200)} because {clean(one.why, 300)}"
    if not gathered.resources:
        yield "Could not check any resource because none of the alarms says which it is about"
    found = (
        *facts.trail.unchecked, *facts.logs.unchecked, *facts.metrics.unchecked,
        *unlogged(gathered), *unmeasured(gathered), *_undiagnosed(facts), *verdict.unchecked,
        *_nothing(gathered),
    )  # fmt: skip
    yield from (f"Could not check {one}" for one in found)


def _undiagnosed(facts: Facts) -> Iterator[str]:
    """Databases of which nothing was gathered, and nothing else says so."""
    told = " ".join(one.what for one in facts.gathered.unchecked)
    for one in _all(facts):
        name = short(one.arn)
        if _is_database(one.arn) and one.arn not in facts.diagnosed and name not in told:
            yield f"what the database {quoted(name)} says of itself because it was not asked"


def _nothing(gathered: Gathered) -> Iterator[str]:
    if not gathered.logs and not gathered.resources:
        yield "any logs because none were looked at"
    if not gathered.metrics and not gathered.resources:
        yield "any metrics because none were looked at"


def _all(facts: Facts) -> Sequence[Resource]:
    return facts.gathered.resources


def _is_database(arn: str) -> bool:
    return service(arn) == "rds" and ":db:" in arn
