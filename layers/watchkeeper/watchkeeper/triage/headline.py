"""An incident in one line, in short sentences, and as a digest of what matters. Pure."""

import hashlib
from collections.abc import Mapping, Sequence

from watchkeeper.quoting import quoted
from watchkeeper.triage.phrases import clean, clock, counted, fitted, short
from watchkeeper.triage.rulings import Category, Facts
from watchkeeper.triage.rulings_causes import MAY_CAUSE
from watchkeeper.triage.trail_claims import by_whom, just_before, when
from watchkeeper.triage.verdict import Judged

LONGEST = 200
"""Characters of a headline: two lines of a telephone."""
LONGEST_WHAT = 110
"""Of these for what it is, so that who is hit and what changed fit behind it."""
LONGEST_SENTENCE = 300
LONGEST_NAME = 50
NAMED = 2
"""Alarms and resources by name; the others are counted."""


def headline(facts: Facts, judged: Judged, unchecked: int) -> str:
    """What, since when, who is hit, what changed just before, what is new: what fits."""
    news = sum(one.is_new and one.is_error for one in facts.logs.news)
    grave = len(facts.trail.grave)
    what = fitted([_what(facts, judged)], LONGEST_WHAT)
    parts = [
        f"{what}, since {clock(facts.onset)}, hits {_hit(facts)}",
        "" if judged.verdict.category == Category.CHANGE else _changed(facts),
        counted(news, "new error") if news else "",
        f"{counted(grave, 'grave finding')} in the audit trail" if grave else "",
        f"{unchecked} not checked" if unchecked else "",
    ]
    return fitted(parts, LONGEST)


def _what(facts: Facts, judged: Judged) -> str:
    if not judged.verdict.known:
        return alarms(facts)
    if judged.verdict.category == Category.CHANGE:
        return f"{alarms(facts)}: {judged.verdict.headline}"
    return judged.verdict.headline


def alarms(facts: Facts) -> str:
    """`"orders-5xx" and 3 more alarms`."""
    names = [quoted(one.name, LONGEST_NAME) for one in facts.gathered.alarms[:NAMED]]
    if not names:
        return "an alarm"
    rest = len(facts.gathered.alarms) - len(names)
    return ", ".join(names) + (f" and {counted(rest, 'more alarm', 'more alarms')}" if rest else "")


def _hit(facts: Facts) -> str:
    hit = [one.arn for one in facts.gathered.resources if not one.beside]
    names = [quoted(short(arn), LONGEST_NAME) for arn in hit[:NAMED]]
    rest = f" and {len(hit) - NAMED} more" if len(hit) > NAMED else ""
    return ", ".join(names) + rest if names else "no resource that is known"


def _changed(facts: Facts) -> str:
    near = [one for one in facts.trail.changes if just_before(one, facts.onset)]
    if not near:
        return ""
    one = near[0]
    action = quoted(one.action.rpartition(" ")[2], LONGEST_NAME).strip('"')
    return f"{action} by {by_whom(one)} {when(one.at, facts.onset)}"


# ── Short sentences ───────────────────────────────────────────────────────────────────────────────


def more(facts: Facts, judged: Judged, unchecked: Sequence[str]) -> Mapping[str, str]:
    """By the names that `Report.more` lists; each says so where there is nothing."""
    verdict, trail = judged.verdict, facts.trail
    news = [one.claim.text for one in facts.logs.news]
    moved = [one.text for one in facts.metrics.moved]
    cause = verdict.headline
    if not verdict.known and facts.metrics.suspects:
        cause += f"; first suspect {quoted(short(facts.metrics.suspects[0]))}"
    found = {
        "what": f"{alarms(facts)} since {clock(facts.onset)}, hits {_hit(facts)}",
        "changed": _first(
            [one.text for one in trail.changed], _unless_late(facts, "no change was found")
        ),
        "errors": _first(news, _or("logs", "no new error", bool(facts.gathered.logs))),
        "moved": _first(moved, _or("metrics", "no metric moved", bool(facts.gathered.metrics))),
        "intruder": _first(
            [one.text for one in trail.suspicious], _unless_late(facts, "nothing suspicious")
        ),
        "unchecked": _first(unchecked, "everything was checked"),
        "cause": cause,
    }
    return {name: clean(text, LONGEST_SENTENCE) for name, text in found.items()}


def _first(texts: Sequence[str], nothing: str) -> str:
    if not texts:
        return nothing
    rest = f" (and {len(texts) - 1} more)" if len(texts) > 1 else ""
    return clean(texts[0], LONGEST_SENTENCE - len(rest)) + rest


def _or(what: str, nothing: str, looked: bool) -> str:  # noqa: FBT001 (whether it was looked at)
    return nothing if looked else f"no {what} were looked at"


def _unless_late(facts: Facts, nothing: str) -> str:
    """Nothing of a trail that is late is nothing so far."""
    until = facts.gathered.trail.until
    if until is None:
        return "the audit trail was not read"
    if until < facts.gathered.span.until:
        return f"{nothing} so far, until {clock(until)}; CloudTrail tells later"
    return nothing


# ── What matters ──────────────────────────────────────────────────────────────────────────────────


def matters(facts: Facts, judged: Judged) -> str:
    """Of what people must be told again when it differs. Counts, values and texts are not in it."""
    near = [
        one
        for one in facts.trail.changes
        if one.kind in MAY_CAUSE and just_before(one, facts.onset)
    ]
    lines = [
        f"{judged.verdict.known} {judged.verdict.category}",
        *facts.trail.grave,
        near[0].event_id if near else "",
        str(any(one.is_new and one.is_error for one in facts.logs.news)),
    ]
    told = "\n".join(lines).encode("utf-8", "replace")
    return hashlib.sha256(told).hexdigest()[:16]
