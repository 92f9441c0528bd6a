"""Which lines that differ in words say the same: the words at one place are then values.

Two templates become one where they differ in a single word, and that word can be seen to be a
value: by its company (`user`, `=`), by how it is spelt, or by how many there are of it. Words that
tell events apart (the first one, levels, exceptions, states in capitals) stay words. What may be
merged is decided for a place and all the words found there, never for two lines.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from watchkeeper.triage.templates import SPACED_WILD, WILD, is_wild

Shape = tuple[str, ...]

WORDS_OF_A_VALUE = 5
"""So many different words at one place of otherwise equal lines are values: authors write two,
three or four variants of a sentence (started, stopped, failed, restarted). Between 4 and 6 nothing
that was measured changes.
"""

DIFFERENT_ENOUGH = 0.5
"""Spelt like names (com.example.Thing), two suffice if half of the lines have one of their own: a
few names that come again and again are the names of states.
"""

WORDS_OF_A_SENTENCE = 2
"""Words that must be equal around a place: two lines that share one word share nothing."""

TOO_MANY_WORDS = 100
"""No program has so many sentences of one build and one first word: the place holds values."""

LARGEST_FAMILY = 3_000
"""Shapes of one build that are compared with each other: 50 ms. More are merged until they fit."""

MOST_WAYS = 50
"""Sets of places that are tried on every shape of a family: ordinary ones have one or two."""

LEVELS = frozenset({
    "ALERT", "CRIT", "CRITICAL", "DEBUG", "EMERG", "ERR", "ERROR", "FATAL", "INFO", "NOTICE",
    "PANIC", "SEVERE", "TRACE", "WARN", "WARNING",
})  # fmt: skip
_NAMES_FOLLOW = frozenset({"host", "hostname", "ruser", "user", "username"})
_NO_NAME = re.compile(
    r"(?i:\w+(?:ed|ing)|is|was|has|had|does|did|can|cannot|will|not|in|out|on|off)"
)
"""What goes on with the sentence instead: the user was created, logged in."""
_TELLS = frozenset({
    "action", "err", "error", "event", "level", "lvl", "message", "msg", "outcome", "reason",
    "result", "severity", "state", "status", "type",
})  # fmt: skip
"""Keys whose values say what happened."""
_SPELT_LIKE_A_NAME = re.compile(r"[\w-]*+[._@$/]\S|[A-Z]?[a-z0-9]+[A-Z]")
_STATE = re.compile(r"[A-Z][A-Z_]+")


def is_word(token: str) -> bool:
    """Whether a token is a word, or a quoted text, and not punctuation or a value."""
    first = token[1:2] if token[0] == " " else token[0]
    return (first.isalpha() or first in ('"', "_")) and not is_wild(token)


def merged(shapes: Sequence[Shape], counts: Sequence[int]) -> dict[Shape, Shape]:
    """What each shape has become, itself if it stands alone. `counts`: how many lines have each."""
    families: dict[Shape, list[int]] = defaultdict(list)
    for index, shape in enumerate(shapes):
        families[_build(shape)].append(index)
    became: dict[Shape, Shape] = {}
    for members in families.values():
        family = _Family([shapes[one] for one in members], [counts[one] for one in members])
        became |= family.settled()
    return became


def _build(shape: Shape) -> Shape:
    """What shapes must have in common to be compared: the first word, and all that is no word."""
    first = _first(shape)
    return tuple(
        _value_like(token) if place > first and _is_place(token) else token
        for place, token in enumerate(shape)
    )


def _value_like(token: str) -> str:
    return SPACED_WILD if token[0] == " " else WILD


def _first(shape: Shape) -> int:
    """Where the first word or value stands."""
    return next((place for place, token in enumerate(shape) if _is_place(token)), -1)


def _is_place(token: str) -> bool:
    return is_wild(token) or is_word(token)


class _Family:
    """Shapes of one build."""

    def __init__(self, shapes: list[Shape], counts: list[int]) -> None:
        self._live = dict(zip(shapes, counts, strict=True))
        self._became = {shape: shape for shape in shapes}
        self._made: set[Shape] = set()
        first = _first(shapes[0])
        self._places = [
            place
            for place, token in enumerate(_build(shapes[0]))
            if place > first and is_wild(token) and any(not is_wild(one[place]) for one in shapes)
        ]

    def settled(self) -> dict[Shape, Shape]:
        if len(self._live) > 1:
            self._widen()
            while self._merge_once():
                pass
            self._absorb()
        return {shape: self._last(shape) for shape in self._became}

    def _last(self, shape: Shape) -> Shape:
        while self._became[shape] != shape:
            shape = self._became[shape]
        return shape

    def _widen(self) -> None:
        """Make a value of every place that holds too many words, and, if that leaves too many
        shapes to compare, of those with the most.
        """
        limit = TOO_MANY_WORDS
        while limit:
            words = {place: {shape[place] for shape in self._live} for place in self._places}
            wide = [place for place, found in words.items() if len(found) > limit]
            if wide:
                for shape in list(self._live):
                    self._move([shape], _with_values(shape, wide))
            if len(self._live) <= LARGEST_FAMILY:
                return
            limit //= 2

    def _merge_once(self) -> bool:
        changed = False
        for place, shapes in self._alike():
            found = [shape for shape in shapes if shape in self._live]
            words = Counter({shape[place]: self._live[shape] for shape in found})
            if len(words) > 1 and are_values(found[0], place, words):
                self._move(found, _with_values(found[0], [place]))
                changed = True
        return changed

    def _absorb(self) -> None:
        """Where two places or more have been found to hold values, so do they in a shape that has
        words of its own at all of them.
        """
        made = [shape for shape in self._live if shape in self._made]
        ways = dict.fromkeys(
            tuple(place for place in self._places if is_wild(shape[place])) for shape in made
        )
        for places in list(ways)[:MOST_WAYS]:
            for shape in list(self._live):
                to = _with_values(shape, places)
                if to != shape and to in self._made and to in self._live:
                    words = [shape[place].strip() for place in places if is_word(shape[place])]
                    if not any(_is_fixed(word) or _STATE.fullmatch(word) for word in words):
                        self._move([shape], to)

    def _alike(self) -> Iterator[tuple[int, list[Shape]]]:
        """Per place, the shapes that differ there and nowhere else."""
        numbers: dict[str, int] = {}
        alike: dict[tuple[int, int], list[Shape]] = defaultdict(list)
        for shape in self._live:
            # Hashes of whole numbers, unlike those of text, are the same in every process.
            parts = {
                place: hash((place, numbers.setdefault(shape[place], len(numbers))))
                for place in self._places
            }
            whole = sum(parts.values())
            for place, part in parts.items():
                alike[place, whole - part].append(shape)
        return ((place, found) for (place, _), found in alike.items() if len(found) > 1)

    def _move(self, shapes: Iterable[Shape], to: Shape) -> None:
        self._made.add(to)
        count = 0
        for shape in shapes:
            count += self._live.pop(shape)
            self._became[shape] = to
        self._became[to] = to
        self._live[to] = self._live.get(to, 0) + count


def _with_values(shape: Shape, places: Sequence[int]) -> Shape:
    tokens = list(shape)
    for place in places:
        tokens[place] = _value_like(tokens[place])
    return tuple(tokens)


def are_values(shape: Shape, place: int, found: Counter[str]) -> bool:
    """Whether what was found at a place of otherwise equal shapes are values. `found` counts the
    lines of each.
    """
    words = [token.strip() for token in found if not is_wild(token)]
    around = sum(is_word(token) for other, token in enumerate(shape) if other != place)
    if around < WORDS_OF_A_SENTENCE or _tells(shape, place) or any(map(_is_fixed, words)):
        return False
    if _is_named(shape, place, words):
        return True
    if all(map(_STATE.fullmatch, words)):
        return False
    if len(words) < len(found) or len(found) >= WORDS_OF_A_VALUE:
        return True
    spelt = all(map(_SPELT_LIKE_A_NAME.match, words))
    return spelt and len(found) >= DIFFERENT_ENOUGH * found.total()


def _tells(shape: Shape, place: int) -> bool:
    """Whether the place is a function's name, or the value of a key that says what happened."""
    if shape[place + 1 : place + 2] == ("(",):
        return True
    before = shape[place - 2 : place]
    return len(before) == 2 and before[1] == "=" and before[0].strip().lower() in _TELLS  # noqa: PLR2004


def _is_named(shape: Shape, place: int, words: Sequence[str]) -> bool:
    """Whether the token before says that a value follows."""
    before = shape[place - 1].strip().lower()
    return before == "=" or (before in _NAMES_FOLLOW and not any(map(_NO_NAME.fullmatch, words)))


def _is_fixed(word: str) -> bool:
    return word.upper() in LEVELS or word.endswith(("Exception", "Error"))
