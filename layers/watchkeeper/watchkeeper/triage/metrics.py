"""Which points of a metric have no like in its past, and where points are missing.

`anomaly_scores` asks of each point whether the metric is somewhere it has not been in its memory.
Four views of the metric are watched, each by itself:

    view         what it is                                          new when it passes its range by
    value        the points themselves                               1 %
    mean         the mean of the last 24 points                      1 %
    time of day  the mean, over 24 points, of what the points        2 %
                 differ by from the same time on earlier days
    held         the level that 6 points on end stayed above, or     2 %
                 stayed below

- A range is the highest less the lowest value in memory, so no unit, scale or distribution is
  assumed, and a metric that always had spikes is not reported for another one. Leaving the range is
  the question because the usual distances (deviations from a mean or a median) call every spike of
  a spiky metric unusual, and operational metrics are spiky.
- Memory is what is younger than 14 days, and at least the last 4,032 points (14 days of a point
  every five minutes): a metric with rare points remembers longer.
- The fewer points a memory holds, the easier a new one leaves their range by chance: short of 4,032
  points the margins are wider in proportion (twice as wide at 2,016, 14 times after a day of 288).
- The time of day speaks only where it predicts: where values differ less from the same time on
  earlier days than from their own running mean.
- A view is silent until it has a day and 100 points behind it: give at least two days of history,
  and eight if weekends matter.

Scores. 0 is nothing new, THRESHOLD is new by exactly the margin in the table, and towards 1 is new
by many times the range. An episode is told once: the score that opens it is at THRESHOLD or above,
and what is new after it scores below, until nothing has been new for six hours and 24 points. What
goes beyond the whole range seen so far, the episode's own points included, opens one again.

Causal: a score depends on the point and on points before it in time, never on later ones.

Input. Points may come in any order: they are scored in order of time, and the scores returned in
the order given. Points of the same instant count one by one, in the order given. Periods may be
irregular. A value that is NaN or infinite is a missing point: it scores 0 and is not remembered. A
constant metric scores 0 until it changes. A counter (a metric that only grows, or starts again) is
scored by its growth per second. Naive times are taken as UTC.

`gaps` tells where points are missing: silence is a finding of its own, not an anomaly score.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

THRESHOLD = 0.5
"""The score from which a point is an anomaly. One for every metric: margins are in ranges."""

MARGIN = 0.01
"""A hundredth of the range: less would be told for every record by a hair, and much more would miss
what is new in a metric that had spikes before. Half as much changes little."""
DERIVED_MARGIN = 0.02
"""Twice that for what is made of two values, each with its noise: a difference between days, and
a level looked at from both sides."""

MEMORY_SECONDS = 14 * 86_400.0  # two weeks: each weekday twice
MEMORY_POINTS = 4032  # as many as 14 days of five-minute points
WARM_UP_SECONDS = 86_400.0  # a day, because most metrics have one
WARM_UP_POINTS = 100  # a range of 100 points is left by steady noise at one point in 50
QUIET_SECONDS = 6 * 3600.0  # a quarter of a day: what comes back sooner is the same episode
QUIET_POINTS = 24
REOPENS = 1.0  # ranges: what is as far outside as everything so far was wide is worse, not the same

MEAN_POINTS = 24  # two hours of five-minute points
HELD_POINTS = 6  # half an hour of five-minute points
EARLIER_DAYS = (1, 2, 3, 7)  # days, and the same weekday
SAME_TIME_SECONDS = 3600.0  # how much earlier a point may be and still be of the same time of day
PREDICTS = 0.8  # the time of day must miss by a fifth less than the running mean does
RUNNING_POINTS = 1000  # the running means of what predictions missed by remember about so many

LATE_PERIODS = 1.5  # a point that is late by half a period is late, not missing

COUNTER_FALLS = 0.01  # a counter falls when its process restarts: rarer than one point in 100
COUNTER_GROWS = 0.5  # and it grows at half its points or more; a gauge that rests does not

_EVER = datetime.min.replace(tzinfo=UTC)
_NEVER = datetime.max.replace(tzinfo=UTC)
_REPEATED = 0.49  # of its score: keeps what an episode has told already below THRESHOLD
_LARGEST = 1e100  # larger values are taken as this, so that no sum or difference overflows
_HAIR = 1e-9  # relative: what differs by less differs by rounding


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch without data: from the last point seen (or the start) to the next (or the end)."""

    since: datetime  # UTC
    until: datetime  # UTC
    missing: int  # how many points should have come in between

    @property
    def why(self) -> str:
        """The gap in words."""
        points = "1 point is" if self.missing == 1 else f"{self.missing} points are"
        since, until = (f"{time:%Y-%m-%d %H:%M} UTC" for time in (self.since, self.until))
        return f"{points} missing between {since} and {until}"


# --- Scores --------------------------------------------------------------------------------------


def anomaly_scores(points: Sequence[tuple[datetime, float]]) -> list[float]:
    """One score from 0 to 1 per point, in the order given; from THRESHOLD it is an anomaly.

    Needs time and memory in proportion to the number of points.
    """
    scores = [0.0] * len(points)
    stamped = [
        (_utc(time).timestamp(), number)  # equal instants stay in the order given
        for number, (time, value) in enumerate(points)
        if math.isfinite(value)
    ]
    stamped.sort()
    times = [time for time, _ in stamped]
    numbers = [number for _, number in stamped]
    values = [max(-_LARGEST, min(_LARGEST, float(points[number][1]))) for number in numbers]
    if _is_counter(values[:WARM_UP_POINTS]):
        values = _growth(times, values)
    for number, score in zip(numbers, _told_once(times, _newness(times, values)), strict=True):
        scores[number] = score
    return scores


def _newness(times: Sequence[float], values: Sequence[float]) -> list[float]:
    """By how many of its margins the newest of the four views is outside its range."""
    means = _means(values, MEAN_POINTS)
    above, below = _held(values)
    numbers, differences, predicts = _differences(times, values)
    newness = [
        max(one / MARGIN, other / MARGIN, high / DERIVED_MARGIN, low / DERIVED_MARGIN)
        for one, other, high, low in zip(
            _outside(times, values),
            _outside(times, means),
            _outside(times, above),
            _outside(times, below),
            strict=True,
        )
    ]
    days = _outside([times[number] for number in numbers], _means(differences, MEAN_POINTS))
    for number, outside, predicted in zip(numbers, days, predicts, strict=True):
        if predicted:
            newness[number] = max(newness[number], outside / DERIVED_MARGIN)
    return newness


def _told_once(times: Sequence[float], newness: Iterable[float]) -> Iterator[float]:
    """Scores: an episode's opening as it is, and what repeats it below THRESHOLD."""
    last, last_number = -math.inf, -QUIET_POINTS
    for number, (time, new) in enumerate(zip(times, newness, strict=True)):
        score = 1.0 if math.isinf(new) else new / (1.0 + new)
        if score < THRESHOLD:
            yield score
            continue
        quiet = time - last >= QUIET_SECONDS and number - last_number >= QUIET_POINTS
        last, last_number = time, number
        # What never moved leaves its range by any number of ranges: that is not worse again.
        worse = REOPENS <= new * MARGIN < math.inf
        yield score if quiet or worse else score * _REPEATED


def _outside(times: Sequence[float], values: Sequence[float]) -> Iterator[float]:
    """How far each value is outside the range before it, in ranges; inf where that is a point.

    A range of few points counts as wider, in proportion to what its memory lacks.
    """
    highest = _highest_before(times, values)
    lowest = _highest_before(times, [-value for value in values])
    for number, (value, high, low) in enumerate(zip(values, highest, lowest, strict=True)):
        over = value - high if value > high else -value - low
        outside = over > 0.0 and over > _HAIR * max(abs(high), abs(low))
        warm = number >= WARM_UP_POINTS and times[number] - times[0] >= WARM_UP_SECONDS
        if not (outside and warm):
            yield 0.0
        else:
            size = (high + low) * max(1.0, MEMORY_POINTS / number)
            yield over / size if size > 0.0 else math.inf


def _highest_before(times: Sequence[float], values: Sequence[float]) -> list[float]:
    """The highest value in memory before each point; -inf before the first.

    Only values that no later one exceeds can be highest again, so only those are held: each is
    added and dropped once.
    """
    held: deque[tuple[float, float, int]] = deque()
    highest = []
    for number, (time, value) in enumerate(zip(times, values, strict=True)):
        oldest, first = time - MEMORY_SECONDS, number - MEMORY_POINTS
        while held and held[0][2] < first and held[0][1] < oldest:
            held.popleft()
        highest.append(held[0][0] if held else -math.inf)
        while held and held[-1][0] <= value:
            held.pop()
        held.append((value, time, number))
    return highest


# --- The views -----------------------------------------------------------------------------------


def _means(values: Iterable[float], points: int) -> list[float]:
    window: deque[float] = deque(maxlen=points)
    means = []
    for value in values:
        window.append(value)
        # Summed anew each time: a running sum would keep the rounding of what has left it.
        means.append(sum(window) / len(window))
    return _from_full(means, points)


def _held(values: Iterable[float]) -> tuple[list[float], list[float]]:
    """The level that the last points all stayed above, and the one they all stayed below."""
    window: deque[float] = deque(maxlen=HELD_POINTS)
    above, below = [], []
    for value in values:
        window.append(value)
        above.append(min(window))
        below.append(max(window))
    return _from_full(above, HELD_POINTS), _from_full(below, HELD_POINTS)


def _from_full(of_windows: list[float], points: int) -> list[float]:
    """With the first full window in place of those before it, which fewer points move further.

    None of these is scored: warming up takes longer.
    """
    if len(of_windows) >= points:
        of_windows[: points - 1] = [of_windows[points - 1]] * (points - 1)
    return of_windows


def _differences(
    times: Sequence[float], values: Sequence[float]
) -> tuple[list[int], list[float], list[bool]]:
    """Which points have earlier days, what they differ by from those, and if that predicts them."""
    numbers, differences, predicts = [], [], []
    mean = values[0] if values else 0.0
    missed_by_day = missed_by_mean = 0.0
    for number, (value, earlier) in enumerate(zip(values, _earlier(times, values), strict=True)):
        if earlier:
            difference = value - _median(earlier)
            numbers.append(number)
            differences.append(difference)
            predicts.append(missed_by_day < PREDICTS * missed_by_mean)
            missed_by_day += (abs(difference) - missed_by_day) / RUNNING_POINTS
            missed_by_mean += (abs(value - mean) - missed_by_mean) / RUNNING_POINTS
        mean += (value - mean) / RUNNING_POINTS
    return numbers, differences, predicts


def _earlier(times: Sequence[float], values: Sequence[float]) -> Iterator[list[float]]:
    """For each point, the values at its time of day on earlier days, as far as there are any."""
    at = [0] * len(EARLIER_DAYS)  # for each of those days, the last point up to that time
    for time in times:
        found = []
        for place, days in enumerate(EARLIER_DAYS):
            wanted = time - days * 86_400.0
            number = at[place]
            while number + 1 < len(times) and times[number + 1] <= wanted:
                number += 1
            at[place] = number
            if 0.0 <= wanted - times[number] <= SAME_TIME_SECONDS:
                found.append(values[number])
        yield found


def _median(values: list[float]) -> float:
    values.sort()
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


# --- Counters ------------------------------------------------------------------------------------


def _is_counter(values: Sequence[float]) -> bool:
    """Whether the first points only grow, so that the judgement itself looks at no later point."""
    steps = [after - before for before, after in pairwise(values)]
    falls = sum(step < 0 for step in steps)
    grows = sum(step > 0 for step in steps)
    return (
        len(values) == WARM_UP_POINTS
        and falls <= COUNTER_FALLS * len(steps)
        and grows >= COUNTER_GROWS * len(steps)
    )


def _growth(times: Sequence[float], values: Sequence[float]) -> list[float]:
    """Growth per second since the point before.

    After a fall, or in no time, it is not known: the growth before stands for it.
    """
    rates = [0.0]
    for (before, old), (after, new) in pairwise(zip(times, values, strict=True)):
        known = after > before and new >= old
        rates.append((new - old) / (after - before) if known else rates[-1])
    return [*rates[1:2], *rates[1:]]  # the first has none before it: it takes the next one's


# --- Gaps ----------------------------------------------------------------------------------------


def gaps(
    points: Sequence[tuple[datetime, float]],
    period: timedelta,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Gap]:
    """Where points of that period are missing, oldest first; what is NaN or infinite is missing.

    With `since` and `until`, points outside of them do not count, silence before the first and
    after the last point is found too, and no point at all is one gap. A point may be late by half a
    period before it is missed. Raises ValueError if the period is not positive.
    """
    if period <= timedelta():
        raise ValueError(f"a period of {period} expects no points: pass how often one should come")
    start, end = _utc(since or _EVER), _utc(until or _NEVER)
    seen = sorted({_utc(time) for time, value in points if math.isfinite(value)})
    within = [time for time in seen if start <= time <= end]
    found = [
        gap
        for before, after in pairwise(within)
        for gap in _gap(before, after, round((after - before) / period) - 1, period)
    ]
    first, last = (within[0], within[-1]) if within else (end, start)
    if since is not None and (within or until is not None):
        found[:0] = _gap(start, first, int((first - start) / period), period)
    if until is not None and within:
        found += _gap(last, end, int((end - last) / period), period)
    return found


def _gap(since: datetime, until: datetime, missing: int, period: timedelta) -> Iterator[Gap]:
    if missing > 0 and until - since > LATE_PERIODS * period:
        yield Gap(since, until, missing)


def _utc(time: datetime) -> datetime:
    if time.tzinfo is UTC:
        return time
    return time.replace(tzinfo=UTC) if time.utcoffset() is None else time.astimezone(UTC)
