"""Log lines mined for templates: the same sentence with other values is one pattern.

    mined = mine(lines)
    mined.pattern_of[7]            # the pattern of line 7
    mined.patterns[0].template     # 'Order <*> failed after <*> ms'
    mined.slots(0)                 # the values of each <*>, most frequent first

Everything is decided from the lines given, in one pass over them and one over their shapes, and is
the same for the same lines. There is one configuration, for all logs. No text of a line decides
anything but which pattern it has.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from watchkeeper.triage import templates
from watchkeeper.triage.merging import Shape, is_word, merged
from watchkeeper.triage.slots import Slot, counted
from watchkeeper.triage.structured import record
from watchkeeper.triage.templates import Lexer
from watchkeeper.triage.traces import Event, fold

CUT = ("…", "...", "[truncated]", "(truncated)")
"""How a message ends that somebody cut off."""

CUT_AT = 1_000
"""Characters near which Logs Insights cuts a message, without a mark."""

MOST_COMPARED = 100
"""Whole templates of one beginning that a cut one is compared with."""

MOST_COMPLETED = 2_000
"""Cut templates that are completed: with the above, a fraction of a second."""

WORDS_BEFORE_A_CUT = 4
"""Words that a cut message must share with a whole one: fewer begin many sentences."""


@dataclass(frozen=True, slots=True)
class Pattern:
    template: str
    """The sentence with `<*>` for each value, its white space made single spaces."""
    count: int
    """Events, not lines: a stack trace counts once, with the line that it belongs to."""
    first: int
    """Index of the first line of its first event."""
    last: int
    """Index of the first line of its last event."""


@dataclass(frozen=True)
class Mined:
    pattern_of: list[int]
    """Per line, the index of its pattern. A line of a stack trace has its event's."""
    patterns: list[Pattern]
    """In the order in which they first appear."""
    events: list[Event] = field(repr=False)
    lines: Sequence[str] = field(repr=False)
    _shapes: list[Shape] = field(repr=False)

    def events_of(self, pattern: int) -> list[Event]:
        return [event for event in self.events if self.pattern_of[event.first] == pattern]

    def example(self, pattern: int) -> list[str]:
        """The lines of the pattern's first event, with its stack trace."""
        first = self.patterns[pattern].first
        event = next(event for event in self.events if event.first == first)
        return list(self.lines[event.first : event.last + 1])

    def values(
        self, pattern: int, among: Callable[[int], bool] | None = None
    ) -> list[tuple[str, Counter[str]]]:
        """The name and the values of each slot: of each `<*>` of the pattern, then those of a
        structured log's other keys.

        `among` says for a line's index whether its event counts. Counts are exact: the events are
        cut up again, at 20 µs each.
        """
        events = [event for event in self.events_of(pattern) if not among or among(event.first)]
        fields = (record(self.lines[event.first]) for event in events)
        return counted(
            self._shapes[pattern],
            (event.text for event in events),
            (found.fields for found in fields if found),
        )

    def slots(self, pattern: int, among: Callable[[int], bool] | None = None) -> list[Slot]:
        """The values of each slot, the most frequent ones of it."""
        return [Slot.of(name, counts) for name, counts in self.values(pattern, among)]

    def spread(self, pattern: int, labels: Sequence[str]) -> Slot:
        """Where the pattern's events come from: `labels` names each line's host, stream or group.
        "17 of 17 on host b" is its `said()`.
        """
        return Slot.of("", Counter(labels[event.first] for event in self.events_of(pattern)))


class _Shapes:
    """The different shapes among the lines, and what each is compared and shown by."""

    def __init__(self) -> None:
        self.lexer = Lexer()
        self.counts: list[int] = []
        self.shown: list[Shape] = []
        self.compared: list[Shape] = []
        self._of: dict[tuple[str, ...], int] = {}

    def of(self, text: str) -> int:
        masked = self.lexer.masked(self.lexer.tokens(text))
        found = self._of.get(masked)
        if found is None:
            found = self._of[masked] = len(self.counts)
            places = templates.kept(masked)
            self.counts.append(0)
            self.shown.append(tuple([masked[place] for place in places]))
            self.compared.append(tuple([templates.bare(masked[place]) for place in places]))
        self.counts[found] += 1
        return found


def mine(lines: Sequence[str]) -> Mined:
    """The patterns of the lines, which must be in order and, for stack traces to be folded, stream
    by stream.
    """
    shapes = _Shapes()
    events = list(fold(lines))
    shape_of = [shapes.of(event.text) for event in events]
    pattern_of_shape, compared = _settled(shapes, _cut(events, shape_of))
    numbers: dict[int, int] = {}
    pattern_of: list[int] = []
    firsts: dict[int, list[int]] = defaultdict(list)
    for event, shape in zip(events, shape_of, strict=True):
        number = numbers.setdefault(pattern_of_shape[shape], len(numbers))
        pattern_of += [number] * (event.last - event.first + 1)
        firsts[number].append(event.first)
    shown = _shown(shapes, pattern_of_shape, compared)
    patterns = [
        Pattern(shown[group], len(firsts[number]), firsts[number][0], firsts[number][-1])
        for group, number in numbers.items()
    ]
    return Mined(pattern_of, patterns, events, lines, [compared[group] for group in numbers])


def _cut(events: Sequence[Event], shape_of: Sequence[int]) -> set[int]:
    """The shapes of messages that were cut off."""
    return {
        shape
        for event, shape in zip(events, shape_of, strict=True)
        if event.text.endswith(CUT) or len(event.text) >= CUT_AT
    }


def _settled(shapes: _Shapes, cut: set[int]) -> tuple[list[int], list[Shape]]:
    """Per shape its group, and per group the tokens by which its lines are compared."""
    counts: dict[Shape, int] = defaultdict(int)
    for shape, count in zip(shapes.compared, shapes.counts, strict=True):
        counts[shape] += count
    became = merged(list(counts), list(counts.values()))
    settled = [became[shape] for shape in shapes.compared]
    if cut:
        became = _completed(settled, sorted(cut)[:MOST_COMPLETED])
        settled = [became.get(shape, shape) for shape in settled]
    groups: dict[Shape, int] = {}
    return [groups.setdefault(shape, len(groups)) for shape in settled], list(groups)


def _completed(settled: Sequence[Shape], cut: Sequence[int]) -> dict[Shape, Shape]:
    """Per cut shape the whole one that it is the beginning of, if there is one."""
    alike: dict[Shape, list[Shape]] = defaultdict(list)
    for shape in dict.fromkeys(settled):
        if len(same := alike[_beginning(shape)]) < MOST_COMPARED:
            same.append(shape)
    whole: dict[Shape, Shape] = {}
    # The longest first: what a shorter one continues as has by then been completed itself.
    for shape in sorted({settled[index] for index in cut}, key=lambda one: -len(_stem(one))):
        longer = _continued(shape, alike[_beginning(shape)])
        if longer:
            whole[shape] = whole.get(longer, longer)
    return whole


def _continued(shape: Shape, alike: Sequence[Shape]) -> Shape | None:
    """The longest shape that begins like a cut one; none if there are several ways to go on."""
    stem = _stem(shape)
    if sum(map(is_word, stem)) < WORDS_BEFORE_A_CUT:
        return None
    fitting = [one for one in alike if len(_stem(one)) > len(stem) and _begins(one, stem)]
    if not fitting:
        return None
    longest = max(fitting, key=lambda one: len(_stem(one)))
    return longest if all(_begins(longest, _stem(one)) for one in fitting) else None


def _stem(shape: Shape) -> Shape:
    """A shape without its end: the marks of a cut, and what may be half a word before them."""
    end = len(shape)
    while end and not shape[end - 1].strip(" .…[]()"):
        end -= 1
    return shape[: max(0, end - 1)]


def _beginning(shape: Shape) -> Shape:
    return shape[:3]


def _begins(whole: Shape, stem: Shape) -> bool:
    return all(
        one == other or templates.is_wild(one) for one, other in zip(whole, stem, strict=False)
    )


def _shown(shapes: _Shapes, group_of: Sequence[int], settled: Sequence[Shape]) -> list[str]:
    """Per group its template: what all its shapes show, and `<*>` where they differ."""
    shown: dict[int, list[str]] = {}
    for shape, group in zip(shapes.shown, group_of, strict=True):
        if len(shape) != len(settled[group]):
            continue  # a message that was cut
        common = shown.setdefault(group, list(shape))
        for place, token in enumerate(shape):
            if token != common[place]:
                common[place] = _both(token, common[place], settled[group][place])
    return [templates.rendered(shown[group]) for group in range(len(settled))]


def _both(one: str, other: str, settled: str) -> str:
    both_values = templates.is_wild(one) and templates.is_wild(other)
    empty = templates.NOTHING in (one, other)
    return templates.common(one, other) if both_values and not empty else settled
