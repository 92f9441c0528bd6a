"""Correlations: what several events of one principal amount to within a time. Pure.

Events come in the order of their times. CloudTrail's times are whole seconds, so that events of one
second have no order: they count as being in whichever order fits.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from watchkeeper.triage.sigma import Correlation, Window
from watchkeeper.triage.sigma_match import Event, found
from watchkeeper.triage.trail import Record

Term = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """That a rule or a correlation matched."""

    records: tuple[Record, ...]
    since: datetime
    at: datetime

    @property
    def event(self) -> Event:
        """The event that stands for all: the last one."""
        return self.records[-1].event


def of_one(record: Record) -> Hit:
    return Hit((record,), record.at, record.at)


def correlated(
    rule: Correlation,
    hits: Mapping[str, Sequence[Hit]],
    begin: datetime,
    known: Collection[Term] | None = None,
) -> list[Hit]:
    """The episodes in which the rule's hits amount to what it looks for.

    Args:
        rule: The correlation.
        hits: Per name of a rule, its hits in the order of their times.
        begin: Since when there are events at all.
        known: What `first_seen` takes as seen before, instead of learning it from the events.
    """
    groups: dict[Term, list[tuple[int, Hit]]] = defaultdict(list)
    for place, name in enumerate(rule.of):
        for hit in hits.get(name, ()):
            groups[_term(rule, name, hit.event)].append((place, hit))
    for group in groups.values():
        group.sort(key=lambda one: (one[1].at, one[0]))
    if rule.window is Window.FIRST_SEEN:
        learnt = begin + timedelta(seconds=rule.seconds)
        firsts = [(term, group[0][1]) for term, group in groups.items()]
        return [
            hit for term, hit in firsts
            if (hit.at >= learnt if known is None else term not in known)
        ]  # fmt: skip
    return [hit for group in groups.values() for hit in _episodes(rule, group)]


def _term(rule: Correlation, name: str, event: Event) -> Term:
    fields = [rule.aliases[one].get(name, one) if one in rule.aliases else one for one in rule.by]
    return tuple(_value(event, one) for one in fields)


def _value(event: Event, field: str) -> str:
    values = found(event, tuple(field.split(".")))
    return " ".join(sorted({str(one) for one in values}))


def _episodes(rule: Correlation, group: Sequence[tuple[int, Hit]]) -> Iterator[Hit]:
    span = timedelta(seconds=rule.seconds)
    if rule.window in (Window.COUNT, Window.VALUES):
        return _bursts(rule, [hit for _, hit in group], span)
    if rule.window is Window.IN_ORDER:
        return _chains(len(rule.of), group, span)
    return _gatherings(len(rule.of), group, span)


def _bursts(rule: Correlation, hits: Sequence[Hit], span: timedelta) -> Iterator[Hit]:
    """Stretches of time in which every hit is in a window with enough others."""
    path = tuple(rule.distinct.split("."))
    marks = [_marks(hit, path) if rule.distinct else {str(index)} for index, hit in enumerate(hits)]
    counts: Counter[str] = Counter()
    first = taken = 0
    episode: list[Hit] = []
    for index, hit in enumerate(hits):
        counts.update(marks[index])
        while hit.at - hits[first].at > span:
            counts.subtract(marks[first])
            for gone in marks[first]:
                if not counts[gone]:
                    del counts[gone]
            first += 1
        if len(counts) >= rule.at_least:
            if episode and first >= taken:
                yield _joined(episode)
                episode = []
            episode += hits[max(first, taken) : index + 1]
            taken = index + 1
    if episode:
        yield _joined(episode)


def _marks(hit: Hit, path: tuple[str, ...]) -> set[str]:
    return {str(one) for one in found(hit.event, path) if isinstance(one, str | int | float)}


def _chains(length: int, group: Sequence[tuple[int, Hit]], span: timedelta) -> Iterator[Hit]:
    """One hit of each rule, in the order of the rules; of several, those nearest to each other."""
    so_far: list[Hit | None] = [None] * length
    for place, hit in group:
        if place == 0:
            so_far[0] = hit
        elif (before := so_far[place - 1]) and _follows(before, hit, span):
            so_far[place] = _joined([before, hit])
        if done := so_far[-1]:
            yield done
            so_far = [None] * length


def _follows(before: Hit, hit: Hit, span: timedelta) -> bool:
    return hit.since - before.since <= span and before.records[-1] is not hit.records[-1]


def _gatherings(length: int, group: Sequence[tuple[int, Hit]], span: timedelta) -> Iterator[Hit]:
    """One hit of each rule, in any order."""
    latest: dict[int, Hit] = {}
    for place, hit in group:
        latest[place] = hit
        latest = {key: one for key, one in latest.items() if hit.at - one.at <= span}
        if len(latest) == length:
            yield _joined(sorted(latest.values(), key=lambda one: one.at))
            latest = {}


def _joined(hits: Sequence[Hit]) -> Hit:
    """All in one; the burst that ended a chain keeps its own beginning."""
    records: dict[int, Record] = {id(one): one for hit in hits for one in hit.records}
    return replace(
        hits[-1],
        records=tuple(records.values()),
        since=min(hit.since for hit in hits),
        at=max(hit.at for hit in hits),
    )


def terms(rule: Correlation, hits: Mapping[str, Sequence[Hit]]) -> set[Term]:
    """What a `first_seen` rule has seen: for keeping, and for giving back as `known`."""
    return {_term(rule, name, hit.event) for name in rule.of for hit in hits.get(name, ())}


def as_terms(values: Any) -> frozenset[Term]:
    """Terms as they were stored: lists of texts."""
    return frozenset(tuple(str(part) for part in one) for one in values)
