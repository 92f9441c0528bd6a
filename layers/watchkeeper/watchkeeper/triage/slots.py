"""The values that stand at the places of a template, most frequent first."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

from watchkeeper.quoting import quoted
from watchkeeper.triage.templates import Lexer, is_wild, kept

TOP = 5
"""Values shown of a slot: who is hit is one host or a few; more are a number."""

LONGEST_VALUE = 200
"""Characters of a value that are kept."""


@dataclass(frozen=True, slots=True)
class Slot:
    name: str
    """What stands before it (`user=`, `port:`), a structured log's key, or nothing."""
    total: int
    """Events that have a value here."""
    distinct: int
    """Different values."""
    top: tuple[tuple[str, int], ...]
    """The most frequent values and their events; of equally frequent ones, the first seen."""

    @classmethod
    def of(cls, name: str, counts: Counter[str]) -> Self:
        return cls(name, counts.total(), len(counts), tuple(counts.most_common(TOP)))

    def said(self, of: str = "") -> str:
        """For people: `17 of 17 on host "b"`, with `of` = "on host". The value is quoted: it is
        somebody else's text.
        """
        if not self.top:
            return ""
        value, count = self.top[0]
        return " ".join(filter(None, (f"{count} of {self.total}", of or self.name, quoted(value))))


def counted(
    shape: tuple[str, ...], texts: Iterable[str], fields: Iterable[Mapping[str, str]]
) -> list[tuple[str, Counter[str]]]:
    """The names and the values of a template's places, in order, and then of the named fields.

    `shape` is what the lines were compared by; `texts` are events of that template.
    """
    places = [place for place, token in enumerate(shape) if is_wild(token)]
    values: dict[int, Counter[tuple[str, ...]]] = {place: Counter() for place in places}
    lexer = Lexer()
    for text in texts:
        found = _values(lexer, text)
        for place in places:
            if place < len(found):  # a message that was cut has less
                values[place][found[place]] += 1
    named: dict[str, Counter[str]] = {}
    for one in fields:
        for name, value in one.items():
            named.setdefault(name, Counter())[value] += 1
    of_places = (
        (_name(shape, place), column) for place in places for column in _columns(values[place])
    )
    return [*of_places, *named.items()]


def _values(lexer: Lexer, text: str) -> list[tuple[str, ...]]:
    """What stands at each place: one value, or the values of a list."""
    tokens = lexer.tokens(text)
    places = kept(lexer.masked(tokens))
    return [
        tuple([token.strip()[:LONGEST_VALUE] for token in tokens[place:following]])
        for place, following in pairwise([*places, len(tokens)])
    ]


def _columns(lists: Counter[tuple[str, ...]]) -> Iterator[Counter[str]]:
    """Lists of one length, such as the columns of an access log, are values side by side; of
    several lengths, each list is one value.
    """
    lengths = {len(one) for one in lists}
    if len(lengths) > 1:
        lists = Counter({(" ".join(one)[:LONGEST_VALUE],): count for one, count in lists.items()})
        lengths = {1}
    for column in range(max(lengths, default=1)):
        counts: Counter[str] = Counter()
        for one, count in lists.items():
            counts[one[column]] += count
        yield counts


def _name(shape: tuple[str, ...], place: int) -> str:
    """The word before the sign before a value: `user` of `user=<*>`."""
    before = [token.strip() for token in shape[max(0, place - 2) : place]]
    return before[0] if len(before) == 2 and before[1] in ("=", ":") else ""  # noqa: PLR2004
