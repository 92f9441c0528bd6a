"""What the audit trail says: what is suspicious in it, and what changed. Pure.

`suspicious` looks at what was done, never at how a program calls itself: user agents are chosen by
whoever acts. Our own principals are left out by their ARNs, which nobody else can have.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from watchkeeper.quoting import quoted
from watchkeeper.triage.changes import Automation, Change, changed
from watchkeeper.triage.severity import Severity
from watchkeeper.triage.sigma import Correlation, Rule, Window, from_data
from watchkeeper.triage.sigma_match import Event, found
from watchkeeper.triage.trail import LONG_AGO, Record, records
from watchkeeper.triage.windows import Hit, Term, correlated, of_one, terms

__all__ = ["Automation", "Change", "Finding", "RuleSet", "changed", "habits", "shipped",
           "suspicious"]  # fmt: skip

MOST_SHOWN = 3
"""Fields that a finding tells; the events it names hold the others."""


@dataclass(frozen=True)
class Finding:
    """Something in the audit trail that a person should look at."""

    rule: str
    severity: Severity
    why: str
    """What was done by whom, when and from where, and why that matters."""
    event_ids: tuple[str, ...]
    title: str = ""
    attack: tuple[str, ...] = ()
    """ATT&CK techniques and tactics."""
    principal: str = ""
    since: datetime | None = None
    until: datetime | None = None
    """Times of the first and last event, in UTC."""


class RuleSet:
    """Rules, found by the events that they can match."""

    def __init__(self, rules: Iterable[Rule | Correlation]) -> None:
        self.rules: dict[str, Rule] = {}
        self.correlations: dict[str, Correlation] = {}
        """Each behind those that it looks at."""
        self._by_event: dict[str, list[Rule]] = defaultdict(list)
        self._any_event: list[Rule] = []
        for rule in rules:
            if isinstance(rule, Correlation):
                self.correlations[rule.name] = rule
                continue
            self.rules[rule.name] = rule
            for name in rule.events:
                self._by_event[name].append(rule)
            if not rule.events:
                self._any_event.append(rule)

    def matching(self, event: Event) -> list[Rule]:
        """The rules about single events that match this one."""
        name = event.get("eventName")
        if not isinstance(name, str):
            return []
        some = self._by_event.get(name.casefold(), ())
        return [rule for each in (some, self._any_event) for rule in each if rule.matches(event)]

    def hits(self, trail: Iterable[Record]) -> dict[str, list[Hit]]:
        """Per rule about single events, its hits in the order of their times."""
        hits: dict[str, list[Hit]] = defaultdict(list)
        for record in trail:
            for rule in self.matching(record.event):
                hits[rule.name].append(of_one(record))
        return hits


@cache
def shipped() -> RuleSet:
    """Our own rules, and those that were dropped in when the layer was built."""
    from watchkeeper.triage.compiled import RULES  # noqa: PLC0415 (67 KB; most wake-ups need none)

    return RuleSet(from_data(one) for one in json.loads(RULES))


def suspicious(
    events: Iterable[Any],
    *,
    ours: Collection[str] = (),
    known: Mapping[str, Collection[Term]] | None = None,
    rules: RuleSet | None = None,
) -> list[Finding]:
    """What a person should look at, the gravest first, the earliest of them first.

    Args:
        events: Records of CloudTrail in any order, with repeats, or EventBridge's events or
            LookupEvents' answers that hold them.
        ours: ARNs of principals whose actions are our own, or patterns of them (`*`). A session
            has its role's.
        known: What was seen before, from `habits` of earlier events: what is in it is not new.
            Without it, the events themselves tell, once they reach back long enough.
        rules: Other rules than those shipped.
    """
    rules = rules or shipped()
    trail = records(events, leave_out=ours)
    begin = next((one.at for one in trail if one.at != LONG_AGO), LONG_AGO)
    hits = rules.hits(trail)
    findings = [
        _finding(rule, some)
        for rule in rules.rules.values()
        if not rule.is_silent
        for some in _by_principal(hits.get(rule.name, ()))
    ]
    for correlation in rules.correlations.values():
        seen = None if known is None else known.get(correlation.name, ())
        some = sorted(correlated(correlation, hits, begin, seen), key=lambda one: one.at)
        hits[correlation.name] = some
        if not correlation.is_silent:
            findings += [_finding(correlation, each) for each in _by_principal(some)]
    return sorted(findings, key=lambda one: (-one.severity.rank, one.since or LONG_AGO, one.rule))


def habits(
    events: Iterable[Any], *, ours: Collection[str] = (), rules: RuleSet | None = None
) -> dict[str, set[Term]]:
    """What `suspicious` shall take as seen before, per rule that looks for what is new."""
    rules = rules or shipped()
    hits = rules.hits(records(events, leave_out=ours))
    return {
        one.name: terms(one, hits)
        for one in rules.correlations.values()
        if one.window is Window.FIRST_SEEN
    }


def _by_principal(hits: Sequence[Hit]) -> list[list[Hit]]:
    groups: dict[str, list[Hit]] = defaultdict(list)
    for hit in hits:
        groups[hit.records[-1].who].append(hit)
    return list(groups.values())


def _finding(rule: Rule | Correlation, hits: Sequence[Hit]) -> Finding:
    each = {id(record): record for hit in hits for record in hit.records}
    trail = sorted(each.values(), key=lambda one: one.at)
    times = [one.at for one in trail if one.at != LONG_AGO]
    return Finding(
        rule=rule.name,
        severity=rule.severity,
        why=f"{_sentence(trail)}. {rule.why}{_details(rule.fields, trail[-1].event)}",
        event_ids=tuple(one.id for one in trail),
        title=rule.title,
        attack=rule.attack,
        principal=trail[-1].who,
        since=times[0] if times else None,
        until=times[-1] if times else None,
    )


def _sentence(trail: Sequence[Record]) -> str:
    """Who did what, when and from where."""
    last = trail[-1]
    actions = list(dict.fromkeys(one.action for one in trail))
    did = ", ".join(quoted(one).strip('"') for one in actions[:MOST_SHOWN])
    more = f" and {len(actions) - MOST_SHOWN} other actions" if len(actions) > MOST_SHOWN else ""
    times = f" {len(trail)} times" if len(trail) > len(actions) else ""
    failed = sum(1 for one in trail if one.event.get("errorCode"))
    in_vain = f", in vain {failed} times" if failed > 1 else ", in vain" if failed else ""
    source = last.event.get("sourceIPAddress")
    origin = f" from {quoted(source)}" if source else ""
    who = quoted(last.who or "somebody")
    return f"{who} did {did}{more}{times}{_when(trail)}{origin}{in_vain}"


def _when(trail: Sequence[Record]) -> str:
    first, last = trail[0].at, trail[-1].at
    if LONG_AGO in (first, last):
        return ""
    if first == last:
        return f" at {last:%Y-%m-%d %H:%M:%S} UTC"
    return f" between {first:%Y-%m-%d %H:%M:%S} and {last:%H:%M:%S} UTC"


def _details(fields: Sequence[str], event: Event) -> str:
    shown: list[str] = []
    for field in fields:
        values = found(event, tuple(field.split(".")))
        if values and len(shown) < MOST_SHOWN:
            shown.append(f"{field.rpartition('.')[2]} {', '.join(map(quoted, values[:2]))}")
    return f" ({'; '.join(shown)})" if shown else ""
