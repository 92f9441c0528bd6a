"""What is new in the logs of an incident, and what comes more often than before it began.

Severity words alone name mostly what is always there: usual errors. So a pattern is judged by its
rate in the window against a baseline, and its words only break near ties.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from math import log, log2, sqrt
from typing import TYPE_CHECKING

from watchkeeper.quoting import quoted
from watchkeeper.triage.slots import TOP

if TYPE_CHECKING:
    from watchkeeper.triage.logs import Mined

SURPRISING = 3.0
"""Deviations of a Poisson count from what was expected before its rate counts as changed: one
pattern in 700 is further out by chance, and an incident has some hundreds.
"""

TWICE = 1.0
"""Doublings before a changed rate is told: less is the traffic of another hour."""

HALF = 0.5
"""Added to both counts: a pattern seen once, and never before, has not grown without bound."""

NEW_COUNTS = 1.0
"""Doublings that being new is worth: it is about the incident or about what preceded it."""

SEVERE_COUNTS = 1.0
"""Doublings that a word of trouble is worth: it breaks ties, it does not rank."""

_SEVERE = re.compile(
    r"(?i:\b(?:error|err|critical|crit|fatal|severe|emerg|alert|panic|failed|failure|refused"
    r"|timed out|denied|unable|cannot)\b)|[a-z](?:Exception|Error)\b"
)


class Change(StrEnum):
    NEW = "new"
    """Not once in the baseline."""
    MORE = "more"
    LESS = "less"
    GONE = "gone"
    """Expected, and not once in the window."""
    USUAL = "usual"


@dataclass(frozen=True, slots=True)
class Ranked:
    pattern: int
    """Its index in `Mined.patterns`."""
    change: Change
    now: int
    """Events in the window."""
    before: int
    """Events in the baseline."""
    expected: float
    """Events that the baseline's rate would give in the window."""
    score: float
    """Doublings (or halvings) from what was expected, and what being new and severe is worth."""
    why: str


def ranked(
    mined: "Mined", is_before: Sequence[bool], *, baseline: timedelta, window: timedelta
) -> list[Ranked]:
    """Every pattern, the most telling first.

    `is_before` says for each line whether it is of the baseline; `baseline` and `window` are how
    long each lasted. Raises ValueError if a duration is not positive, or `is_before` does not fit.
    """
    if baseline <= timedelta(0) or window <= timedelta(0):
        raise ValueError(f"baseline ({baseline}) and window ({window}) must be longer than nothing")
    if len(is_before) != len(mined.pattern_of):
        raise ValueError(
            f"is_before has {len(is_before)} entries for {len(mined.pattern_of)} lines"
        )
    now: Counter[int] = Counter()
    before: Counter[int] = Counter()
    for event in mined.events:
        (before if is_before[event.first] else now)[mined.pattern_of[event.first]] += 1
    found = [
        _judged(index, pattern.template, now[index], before[index], window / baseline)
        for index, pattern in enumerate(mined.patterns)
    ]
    # What is usual comes last whatever its words; of equals, the one seen first.
    found.sort(key=lambda one: (one.change is Change.USUAL, -one.score, one.pattern))
    return found


@dataclass(frozen=True, slots=True)
class Shift:
    """A value that is more frequent at one place of a pattern than it was: status 503, host b."""

    name: str
    """What stands before it, or nothing."""
    value: str
    now: int
    now_of: int
    """Events of the window that have a value there."""
    before: int
    before_of: int

    def said(self) -> str:
        """For people. The value is quoted: it is somebody else's text."""
        shown = " ".join(filter(None, (self.name, quoted(self.value))))
        return f"{self.now} of {self.now_of} with {shown}; before {self.before} of {self.before_of}"


def shifts(mined: "Mined", pattern: int, is_before: Sequence[bool]) -> list[Shift]:
    """The values that came up in a pattern whose rate may be as usual; the most surprising first.

    Empty for a pattern that is new: all its values are.
    """
    values_now = mined.values(pattern, lambda line: not is_before[line])
    values_before = mined.values(pattern, lambda line: is_before[line])
    found = []
    for (name, now), (_, before) in _paired(values_now, values_before):
        if not before:
            continue
        share = now.total() / before.total()
        for value, count in now.items():
            # Half an event more: what was never seen may have been missed by chance.
            expected = before[value] * share + HALF
            surprise = _deviations(count, expected)
            if count >= 2 * expected and surprise >= SURPRISING:
                shift = Shift(name, value, count, now.total(), before[value], before.total())
                found.append((surprise, shift))
    found.sort(key=lambda one: -one[0])
    return [shift for _, shift in found[:TOP]]


_Values = tuple[str, Counter[str]]


def _paired(now: Sequence[_Values], before: Sequence[_Values]) -> Iterator[tuple[_Values, _Values]]:
    """The same slots of both: by name, and of equal names by order if there are equally many."""
    by_name: dict[str, tuple[list[_Values], list[_Values]]] = {}
    for side, found in enumerate((now, before)):
        for one in found:
            by_name.setdefault(one[0], ([], []))[side].append(one)
    for ours, theirs in by_name.values():
        if len(ours) == len(theirs):
            yield from zip(ours, theirs, strict=True)


def _judged(index: int, template: str, now: int, before: int, share: float) -> Ranked:
    expected = before * share
    doublings = log2((now + HALF) / (expected + HALF))
    change = _change(now, before, expected, doublings)
    score = abs(doublings)
    if change is Change.NEW:
        score += NEW_COUNTS
    if change in (Change.NEW, Change.MORE) and _SEVERE.search(template):
        score += SEVERE_COUNTS
    return Ranked(index, change, now, before, expected, score, _why(change, now, before, expected))


def _change(now: int, before: int, expected: float, doublings: float) -> Change:
    if not before:
        return Change.NEW
    if abs(doublings) < TWICE or _deviations(now, expected) < SURPRISING:
        return Change.USUAL
    if not now:
        return Change.GONE
    return Change.MORE if doublings > 0 else Change.LESS


def _deviations(now: int, expected: float) -> float:
    """How far a Poisson count lies from its mean: the signed root of the deviance, unsigned."""
    deviance = expected - now + (now * log(now / expected) if now else 0)
    return sqrt(2 * max(deviance, 0.0))


def _why(change: Change, now: int, before: int, expected: float) -> str:
    if change is Change.NEW:
        return f"new: {_times(now)}, and not once in the baseline"
    if change is Change.GONE:
        return f"gone: not once, where the baseline's rate gives {expected:.0f}"
    usual = f"the baseline's rate gives {expected:.1f} ({before} in all)"
    if change is Change.USUAL:
        return f"as usual: {_times(now)}, {usual}"
    return f"{change} often: {_times(now)}, {usual}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
