"""What an incident's logs say: what is new or more frequent, what has gone silent. Pure.

The lines of the baseline and of the window are mined together, group by group, so that a sentence
is one pattern on both sides. No text of a line decides anything but which pattern it has.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from math import isfinite

from watchkeeper.quoting import quoted
from watchkeeper.triage.evidence import LogPattern
from watchkeeper.triage.gathered import Gathered, Line, Logged, Span
from watchkeeper.triage.logs import Mined, mine
from watchkeeper.triage.novelty import Change, Ranked, ranked
from watchkeeper.triage.phrases import (
    before,
    clean,
    clock,
    counted,
    fitted,
    lasting,
    linked,
    short,
    shown,
    stamp,
)
from watchkeeper.triage.report import Claim, Link, Source
from watchkeeper.triage.slots import Slot

MOST_OF_A_GROUP = 6
"""Claims about one log group: what else is new there is mostly more of the same fault."""
MOST_CLAIMS = 20
"""Over all groups: two screens."""
MOST_GONE = 2
"""Sentences of a group that are no longer said."""
MOST_PATTERNS = 40
"""Of a group, handed to the diagnosis of a database."""
MOST_SLOTS = 2
"""Values told in a sentence."""
LONGEST_TEMPLATE = 160
"""Characters of a template that are quoted: its beginning tells which it is."""
LONGEST_CLAIM = 900
"""Characters of a sentence: a template, counts and some values."""
SHORTEST = timedelta(minutes=1)
"""Of a stretch of time that rates are made from: less is a burst, and no rate."""

FEWEST = 10
"""Messages from which on a log has a rhythm."""
RHYTHMS = 3.0
"""Times its longest silence before, from which on it is silent: what pauses by itself pauses about
as long again.
"""
LATE = timedelta(minutes=5)
"""CloudWatch Logs shows messages a minute or two after they were sent, and counts later."""

TROUBLE = re.compile(
    r"(?i:\b(?:error|err|critical|crit|fatal|severe|emerg|alert|panic|fail(?:ed|ure|s|ing)?|refused"
    r"|rejected|timed? ?out|timeout|denied|unauthorized|forbidden|unable|cannot|could not|throttl"
    r"(?:ed|ing)|exhausted|killed|unavailable|expired|abort(?:ed|ing)?|exceeded)\b)"
    r"|[a-z](?:Exception|Error)\b"
)
"""Words by which a new sentence is called an error, and not only news."""


@dataclass(frozen=True, slots=True)
class News:
    """A sentence that is new or more frequent."""

    claim: Claim
    group: str
    resources: Sequence[str]
    template: str
    is_new: bool
    is_error: bool
    first: datetime
    """Of the window."""


@dataclass(frozen=True, slots=True)
class FromLogs:
    news: tuple[News, ...] = ()
    """The most telling first."""
    silences: tuple[Claim, ...] = ()
    usual: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    patterns: tuple[tuple[Logged, tuple[LogPattern, ...]], ...] = ()
    """Per group, of its window."""


def from_logs(gathered: Gathered) -> FromLogs:
    """What all groups say; each is a claim, a silence, usual or unchecked."""
    news: list[News] = []
    silences: list[Claim] = []
    usual: list[str] = []
    unchecked: list[str] = []
    patterns: list[tuple[Logged, tuple[LogPattern, ...]]] = []
    for logged in gathered.logs:
        group = _Group(logged, gathered.span)
        said = group.news()
        silent = [*_silence(logged, gathered.span), *group.gone()]
        news += said
        silences += silent
        patterns.append((logged, group.patterns()))
        if logged.most:
            unchecked.append(
                f"all of the logs of {quoted(logged.group)} because {clean(logged.most)}"
            )
        if not said and not silent:
            usual.append(group.usual())
    news.sort(key=lambda one: (not (one.is_new and one.is_error), -one.claim.weight, one.claim.key))
    if len(news) > MOST_CLAIMS:
        rest = counted(len(news) - MOST_CLAIMS, "further change")
        unchecked.append(f"{rest} in the logs because a report shows {MOST_CLAIMS}")
    return FromLogs(
        tuple(news[:MOST_CLAIMS]), tuple(silences), tuple(usual), tuple(unchecked), tuple(patterns)
    )


class _Group:
    """One log group with its lines mined."""

    def __init__(self, logged: Logged, span: Span) -> None:
        self.logged = logged
        self.span = span
        self.lines: list[Line] = [*logged.before, *logged.lines]
        self.begin = len(logged.before)
        """The index of the window's first line."""
        self.baseline = _covered(logged.before, span.since - span.before, logged.most)
        self.window = _covered(logged.lines, span.until - span.since, logged.most)
        self.mined: Mined = mine([line.text for line in self.lines])
        is_before = [number < self.begin for number in range(len(self.lines))]
        self.ranked: list[Ranked] = ranked(
            self.mined, is_before, baseline=self.baseline, window=self.window
        )
        self.first: dict[int, int] = {}
        """Per pattern, the line at which the window says it first."""
        for event in self.mined.events:
            if event.first >= self.begin:
                self.first.setdefault(self.mined.pattern_of[event.first], event.first)
        for number, line in self._of_window():
            pattern = self.mined.pattern_of[number]
            if line.at < self.lines[self.first.get(pattern, number)].at:
                self.first[pattern] = number  # another stream said it earlier

    def _of_window(self) -> Iterator[tuple[int, Line]]:
        firsts = (event.first for event in self.mined.events if event.first >= self.begin)
        return ((number, self.lines[number]) for number in firsts)

    @property
    def compared(self) -> bool:
        """Whether there is a baseline to compare with."""
        spoke = any(
            count > 0 and self.span.before <= at < self.span.since
            for at, count in self.logged.counts
            if isfinite(count)
        )
        # Trouble alone may well have had nothing to say before; the whole of a log has not.
        return bool(self.logged.before) or self.logged.only_trouble or not spoke

    def news(self) -> list[News]:
        told = [one for one in self.ranked if one.change in (Change.NEW, Change.MORE) and one.now]
        return [self._news(one) for one in told[:MOST_OF_A_GROUP]]

    def _news(self, one: Ranked) -> News:
        template = self.mined.patterns[one.pattern].template
        first = self.first[one.pattern]
        at = self.lines[first].at
        is_new = one.change is Change.NEW and self.compared
        claim = Claim(
            source=Source.LOGS,
            text=fitted(self._said(one, template, at), LONGEST_CLAIM),
            at=at,
            resource=clean(next(iter(self.logged.resources), "")),
            links=_links(self.logged),
            lines=shown(self._example(first)),
            weight=one.score if isfinite(one.score) else 0.0,
            key=clean(f"{self.logged.group} {template}"),
        )  # fmt: skip
        is_error = bool(TROUBLE.search(template[:2_000]))
        return News(claim, self.logged.group, self.logged.resources, template, is_new, is_error, at)

    def _said(self, one: Ranked, template: str, at: datetime) -> Iterator[str]:
        yield f"{self._beginning(one)}: {quoted(template, LONGEST_TEMPLATE)}"
        yield self._counts(one)
        yield from self._spread(one)
        yield from self._values(one)
        yield f"first at {stamp(at)}"

    def _beginning(self, one: Ranked) -> str:
        where = f"in {quoted(self.logged.group)}"
        if not self.compared:
            return f"said {where}, with nothing from before to compare it with"
        return f"{'new' if one.change is Change.NEW else 'more often'} {where}"

    def _counts(self, one: Ranked) -> str:
        earlier = "none" if not one.before else f"{one.before:,}"
        told = f"{one.now:,} in {lasting(self.window)}"
        return f"{told}, {earlier} in {before(self.baseline)}" if self.compared else told

    def _spread(self, one: Ranked) -> Iterator[str]:
        streams = {line.stream for line in self.logged.lines}
        if len(streams) > 1:
            pattern_of = self.mined.pattern_of
            mine_ = (line.stream for at, line in self._of_window() if pattern_of[at] == one.pattern)
            yield Slot.of("", Counter(mine_)).said("on stream")

    def _values(self, one: Ranked) -> list[str]:
        """The values that tell something: those that few events differ in."""
        slots = self.mined.slots(one.pattern, lambda line: line >= self.begin)
        named = [slot for slot in slots if slot.name and slot.top and slot.top[0][1] > 1]
        named.sort(key=lambda slot: (-slot.top[0][1] / slot.total, slot.name))
        return [clean(slot.said()) for slot in named[:MOST_SLOTS]]

    def _example(self, first: int) -> list[str]:
        event = next(one for one in self.mined.events if one.first == first)
        return [line.text for line in self.lines[event.first : event.last + 1]]

    def gone(self) -> Iterator[Claim]:
        """Sentences that belong to a healthy day and are no longer said, though others are."""
        if self.logged.most or not self.logged.lines:
            return
        gone = [one for one in self.ranked if one.change is Change.GONE]
        for one in gone[:MOST_GONE]:
            template = self.mined.patterns[one.pattern].template
            yield Claim(
                Source.LOGS,
                f"no longer in {quoted(self.logged.group)}: {quoted(template, LONGEST_TEMPLATE)}; "
                f"{one.before:,} in {before(self.baseline)}, "
                f"none in {lasting(self.window)}",
                at=self.span.since,
                resource=clean(next(iter(self.logged.resources), "")),
                links=_links(self.logged),
                weight=one.score if isfinite(one.score) else 0.0,
                key=clean(f"gone {self.logged.group} {template}"),
            )

    def usual(self) -> str:
        logged, what = self.logged, f"the logs of {quoted(self.logged.group)}"
        kind = "message with words of trouble" if logged.only_trouble else "message"
        kinds = "messages with words of trouble" if logged.only_trouble else "messages"
        until = f"until {clock(_until(logged, self.span))}"
        if not logged.lines:
            earlier = f"{len(logged.before):,}" if logged.before else "none"
            told = f"so far no {kind} {until}, {earlier} in {before(self.baseline)}"
            return f"Nothing unusual in {what}: {told}"
        number = counted(len(logged.lines), kind, kinds)
        return (
            f"Nothing unusual in {what}: {number} {until}, all of kinds and about as many as in"
            f" {before(self.baseline)}"
        )

    def patterns(self) -> tuple[LogPattern, ...]:
        """What the window says, the most telling first."""
        told = [one for one in self.ranked if one.now][:MOST_PATTERNS]
        return tuple(
            LogPattern(
                self.lines[self.first[one.pattern]].at,
                clean(self.mined.patterns[one.pattern].template),
                one.now,
            )
            for one in told
        )


def _covered(lines: Sequence[Line], asked: timedelta, most: str) -> timedelta:
    """How long the lines are of: all that was asked for, unless some were left out."""
    if most and lines:
        times = [line.at for line in lines]
        asked = min(asked, max(times) - min(times))
    return max(asked, SHORTEST)


def _until(logged: Logged, span: Span) -> datetime:
    """Until when nothing more can come."""
    return min(logged.until or span.until, span.until)


def _links(logged: Logged) -> tuple[Link, ...]:
    return linked("log lines", logged.link)


# ── Silence ───────────────────────────────────────────────────────────────────────────────────────


def _silence(logged: Logged, span: Span) -> Iterator[Claim]:
    """That a log stopped: it has a rhythm, and has said nothing for much longer than that."""
    heard = _heard(logged, span)
    last = max([*heard, *([logged.last_at] if logged.last_at else [])], default=None)
    if last is None:
        return
    silent = _until(logged, span) - last
    rhythm = [at for at in heard if at <= last]
    if len(rhythm) >= FEWEST:
        longest = max((after - one for one, after in pairwise(rhythm)), default=timedelta())
        if silent <= max(RHYTHMS * longest, LATE):
            return
        why = f"before, it was silent for {lasting(longest)} at most"
    elif rhythm or silent <= span.until - span.before:
        return
    else:
        why = "nothing tells how often it speaks by itself"
    yield Claim(
        Source.LOGS,
        f"{quoted(logged.group)} has said nothing since {stamp(last)}, {lasting(silent)} ago; "
        f"{why}",
        at=last,
        resource=clean(next(iter(logged.resources), "")),
        links=_links(logged),
        weight=1.0 if len(rhythm) >= FEWEST else 0.1,
        key=clean(f"silent {logged.group}"),
    )


def _heard(logged: Logged, span: Span) -> list[datetime]:
    """When it spoke, by what CloudWatch counted and by what was read."""
    times = {at for at, count in logged.counts if isfinite(count) and count > 0}
    if not logged.only_trouble:
        times |= {line.at for line in (*logged.before, *logged.lines)}
    return sorted(at for at in times if at <= span.until)


def unlogged(gathered: Gathered) -> Iterator[str]:
    """Resources that no log was looked at of, and nothing else says so."""
    told = " ".join(one.what for one in gathered.unchecked)
    logged = {arn for one in gathered.logs for arn in one.resources}
    for resource in gathered.resources:
        if resource.arn not in logged and not ("log" in told and short(resource.arn) in told):
            groups = "none of its log groups exists" if resource.log_groups else "none is known"
            yield f"the logs of {quoted(short(resource.arn))} because {groups}"
