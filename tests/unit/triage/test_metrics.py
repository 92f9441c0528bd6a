"""What is new in a metric, said once, and where its points are missing."""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.triage.metrics import THRESHOLD, Gap, anomaly_scores, gaps

START = datetime(2026, 11, 2, tzinfo=UTC)  # a Monday
FIVE_MINUTES = timedelta(minutes=5)
HOUR = timedelta(hours=1)
DAY = 288  # points of five minutes

Points = list[tuple[datetime, float]]


def series(values: Sequence[float], period: timedelta = FIVE_MINUTES) -> Points:
    return [(START + period * number, value) for number, value in enumerate(values)]


def noise(number: int) -> float:
    """Between -1 and 1, and after eight hours the same again: no value of it stays new."""
    return math.sin(number % 97 * 12.9898) * 43758.5453 % 2 - 1


def flat(points: int) -> list[float]:
    return [50 + noise(number) for number in range(points)]


def daily(points: int) -> list[float]:
    return [50 + 30 * math.sin(math.tau * number / DAY) + noise(number) for number in range(points)]


def found(points: Points) -> list[int]:
    """The points that are anomalies."""
    return [number for number, score in enumerate(anomaly_scores(points)) if score >= THRESHOLD]


def changed(values: list[float], at: int, *new: float) -> list[float]:
    return [*values[:at], *new, *values[at + len(new) :]]


AT = 5 * DAY + 100


@pytest.mark.parametrize(
    ("what", "values", "first", "last"),
    [
        ("a spike", changed(flat(6 * DAY), AT, 80.0), AT, AT),
        ("a drop", changed(flat(6 * DAY), AT, 20.0), AT, AT),
        ("the mean moves, no value is new", changed(flat(6 * DAY), AT, *[50.9] * 30), AT, AT + 24),
        ("a bump of every day is missing",
         changed(daily(6 * DAY), 5 * DAY + 40, *[50 + noise(n) for n in range(70)]),
         5 * DAY + 40, 5 * DAY + 110),
        ("a level is held that only spikes reached",
         changed([90.0 if number % 50 == 0 else 10 + noise(number) for number in range(6 * DAY)],
                 AT, *[85.0] * 20), AT, AT + 8),
        ("what never moved moves", changed([100.0] * 6 * DAY, AT, 99.0), AT, AT),
    ],
)  # fmt: skip
def test_what_is_new_is_found_when_it_comes(
    what: str, values: list[float], first: int, last: int
) -> None:
    anomalies = found(series(values))

    assert anomalies
    assert first <= anomalies[0] <= last, what


@pytest.mark.parametrize(
    ("what", "values"),
    [
        ("a constant", [7.0] * 6 * DAY),
        ("a constant but for rounding", [0.1 + 1e-17 * (n % 3) for n in range(6 * DAY)]),
        ("a rhythm", [float(n % DAY) for n in range(10 * DAY)]),
        ("a metric with spikes", [99.0 if n % 37 == 0 else 1.0 for n in range(6 * DAY)]),
        ("a counter", [float(n * 10) for n in range(6 * DAY)]),
        ("a counter that begins anew", [float((n % 900) * 10) for n in range(6 * DAY)]),
        ("less than a day", [*flat(200), 500.0]),
        ("less than a hundred points", [*flat(99)[:60], 500.0]),
    ],
)
def test_what_is_as_ever_is_not_found(what: str, values: list[float]) -> None:
    assert found(series(values)) == [], what


def test_a_counter_is_scored_by_its_growth() -> None:
    steps = [10 + noise(number) for number in range(6 * DAY)]
    steps[AT] = 40.0
    total = 0.0
    values = [total := total + step for step in steps]

    assert found(series(values)) == [AT]


def test_a_counter_that_stops_is_found() -> None:
    values = [10.0 * min(number, AT) for number in range(6 * DAY)]

    assert found(series(values)) == [AT + 1]


def test_a_pause_of_a_counter_is_not_a_burst() -> None:
    points = series([float(number * 10) for number in range(6 * DAY)])

    assert found(points[: 5 * DAY] + points[5 * DAY + 60 :]) == []


def test_an_episode_is_told_once_until_it_has_been_quiet() -> None:
    values = flat(8 * DAY)
    for at, value in ((AT, 90.0), (AT + 10, 91.0), (AT + 40, 92.0), (AT + 200, 93.0)):
        values[at] = value

    assert found(series(values)) == [AT, AT + 200]


def test_what_is_much_worse_within_an_episode_is_told() -> None:
    values = changed(flat(6 * DAY), AT, 60.0)
    values[AT + 5] = 5000.0

    assert found(series(values)) == [AT, AT + 5]


def test_what_repeats_an_episode_still_scores_by_how_new_it_is() -> None:
    values = changed(flat(6 * DAY), AT, 60.0, 65.0)

    assert 0.4 < anomaly_scores(series(values))[AT + 1] < THRESHOLD


def test_rare_points_are_remembered_for_longer_than_two_weeks() -> None:
    values = flat(24 * 60)
    values[200] = values[24 * 50] = 90.0

    assert found(series(values, HOUR)) == [200]


# ── Input as it comes ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("missing", [math.nan, math.inf, -math.inf])
def test_a_missing_value_scores_nothing_and_is_not_remembered(missing: float) -> None:
    values = changed(flat(6 * DAY), AT, 80.0)
    with_missing = changed(values, AT - 3, missing, missing)
    scores = anomaly_scores(series(with_missing))

    assert scores[AT - 3 : AT - 1] == [0.0, 0.0]
    assert found(series(with_missing)) == [AT]


def test_points_are_scored_in_order_of_time_and_answered_in_the_order_given() -> None:
    points = series(changed(flat(6 * DAY), AT, 80.0))
    backwards = points[::-1]

    assert anomaly_scores(backwards) == anomaly_scores(points)[::-1]


def test_zones_do_not_matter_and_naive_is_utc() -> None:
    points = series(changed(flat(6 * DAY), AT, 80.0))
    tokyo = timezone(timedelta(hours=9))
    elsewhere = [(time.astimezone(tokyo), value) for time, value in points]
    naive = [(time.replace(tzinfo=None), value) for time, value in points]

    assert anomaly_scores(elsewhere) == anomaly_scores(naive) == anomaly_scores(points)


def test_points_of_one_instant_count_one_by_one() -> None:
    points = series(changed(flat(6 * DAY), AT, 80.0))
    twice = [point for point in points for _ in range(2)]

    assert found(twice) == [2 * AT]


def test_nothing_has_no_scores() -> None:
    assert anomaly_scores([]) == []


VALUES = st.one_of(
    st.floats(),
    st.floats(min_value=-10, max_value=10),
    st.sampled_from([0.0, 1.0, -0.0, 5e-324, 1.7e308, -1.7e308]),
)


@st.composite
def histories(draw: st.DrawFn) -> Points:
    """Two days and more, with anything at the end of them."""
    before = draw(st.sampled_from([flat, daily, lambda points: [float(n) for n in range(points)]]))
    times = st.integers(min_value=0, max_value=90 * 60)
    points = series(before(draw(st.sampled_from([0, 2 * DAY + 50]))))
    late = draw(st.lists(st.tuples(times, VALUES), max_size=40))
    return points + [(START + timedelta(minutes=minutes), value) for minutes, value in late]


@settings(deadline=None, max_examples=60)
@given(histories())
def test_scores_are_one_for_each_point_from_0_to_1(points: Points) -> None:
    scores = anomaly_scores(points)

    assert len(scores) == len(points)
    assert all(0.0 <= score <= 1.0 for score in scores)


@settings(deadline=None, max_examples=60)
@given(histories(), st.integers(min_value=1, max_value=40))
def test_a_score_does_not_depend_on_later_points(points: Points, later: int) -> None:
    ordered = sorted(points, key=lambda point: point[0])
    before = ordered[:-later]

    assert anomaly_scores(before) == anomaly_scores(ordered)[: len(before)]


@pytest.mark.parametrize("scale", [lambda x: 1024 * x, lambda x: -x], ids=["unit", "sign"])
def test_neither_the_unit_nor_the_sign_matters(scale: Callable[[float], float]) -> None:
    values = changed(daily(6 * DAY), AT, 120.0)
    scores = anomaly_scores(series([scale(value) for value in values]))

    assert scores == pytest.approx(anomaly_scores(series(values)), abs=1e-6)


# ── Gaps ──────────────────────────────────────────────────────────────────────────────────────────


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def points_at(*minutes: float) -> Points:
    return [(at(minute), 1.0) for minute in minutes]


@pytest.mark.parametrize(
    ("what", "points", "since", "until", "expected"),
    [
        ("nothing missing", points_at(0, 5, 10), None, None, []),
        ("late by less than half a period", points_at(0, 7, 10), None, None, []),
        ("one missing", points_at(0, 10), None, None, [(0, 10, 1)]),
        ("three missing", points_at(0, 5, 25, 30), None, None, [(5, 25, 3)]),
        ("unordered and double", points_at(10, 0, 25, 0, 5), None, None, [(10, 25, 2)]),
        ("silent since", points_at(0, 5), None, 60, [(5, 60, 11)]),
        ("the newest is not due yet", points_at(0, 5), None, 11, []),
        ("silent at first", points_at(30, 35), 0, 36, [(0, 30, 6)]),
        ("begins in time", points_at(3, 8), 0, 10, []),
        ("never a point", [], 0, 60, [(0, 60, 12)]),
        ("no points and no bounds", [], None, 60, []),
        ("points outside of the bounds", points_at(-60, 0, 5, 70), 0, 10, []),
    ],
)
def test_gaps_are_where_points_are_missing(
    what: str,
    points: Points,
    since: float | None,
    until: float | None,
    expected: list[tuple[float, float, int]],
) -> None:
    bounds = (None if minutes is None else at(minutes) for minutes in (since, until))
    since_at, until_at = bounds
    there = gaps(points, FIVE_MINUTES, since=since_at, until=until_at)

    assert there == [Gap(at(one), at(other), missing) for one, other, missing in expected], what


def test_values_that_are_none_are_gaps() -> None:
    points = [(at(0), 1.0), (at(5), math.nan), (at(10), math.inf), (at(15), 1.0)]

    assert gaps(points, FIVE_MINUTES) == [Gap(at(0), at(15), 2)]


def test_a_gap_tells_itself() -> None:
    assert Gap(at(0), at(15), 2).why == (
        "2 points are missing between 2026-11-02 00:00 UTC and 2026-11-02 00:15 UTC"
    )
    assert Gap(at(0), at(10), 1).why.startswith("1 point is missing")


@pytest.mark.parametrize("period", [timedelta(), -FIVE_MINUTES])
def test_a_period_is_positive(period: timedelta) -> None:
    with pytest.raises(ValueError, match="pass how often one should come"):
        gaps([], period)


@settings(deadline=None)
@given(st.lists(st.integers(min_value=0, max_value=500)), st.integers(min_value=1, max_value=60))
def test_gaps_neither_overlap_nor_hold_a_point(minutes: list[int], period: int) -> None:
    points = points_at(*minutes)
    there = gaps(points, timedelta(minutes=period), since=at(0), until=at(500))

    for one in there:
        assert one.since < one.until
        assert one.missing >= 1
        assert not any(one.since < time < one.until for time, _ in points)
    assert all(one.until <= other.since for one, other in pairwise(there))
