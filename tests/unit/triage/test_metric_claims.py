"""What the metrics of an incident are found to say."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.triage.incident_world import (
    BEGAN,
    FUNCTION,
    MINUTE,
    NOW,
    QUEUE,
    SPAN,
    incident,
    measured,
)
from watchkeeper.triage.charts import MOST_POINTS, thinned, unit_of
from watchkeeper.triage.gathered import Gathered, Measured, Resource
from watchkeeper.triage.metric_claims import FromMetrics, from_metrics, unmeasured


def found(*metrics: Measured, calls: dict[str, list[str]] | None = None) -> FromMetrics:
    return from_metrics(world(*metrics, calls=calls), BEGAN)


def world(*metrics: Measured, calls: dict[str, list[str]] | None = None) -> Gathered:
    both = (Resource(FUNCTION), Resource(QUEUE, beside="it reads it"))
    return incident(metrics=metrics, resources=both, calls=calls or {})


def test_what_moved_first_comes_first_and_of_the_same_time_what_moved_most() -> None:
    result = found(
        measured("Late", jump=500.0, since=BEGAN + 3 * MINUTE),
        measured("Little", jump=20.0),
        measured("Much", jump=90.0),
        measured("Early", jump=15.0, since=BEGAN - 3 * MINUTE),
        measured("Quiet"),
    )

    assert [one.text.partition(" ")[0] for one in result.moved] == [
        "Early", "Much", "Little", "Late",
    ]  # fmt: skip
    assert result.moved[0].at == BEGAN - 3 * MINUTE
    assert "3 min before it began" in result.moved[0].text
    assert result.usual == ('Nothing unusual in 1 metric of "orders": Quiet',)


def test_a_mover_is_told_by_where_it_went_and_where_it_was() -> None:
    (claim,) = found(measured("CPUUtilization", jump=98.2, stat="Average")).moved

    assert "rose to 98 %; it was between 8 % and 12 % in the 3 days before" in claim.text
    assert claim.resource == FUNCTION


def test_what_fell_fell() -> None:
    (claim,) = found(measured("HealthyHostCount", base=4, wave=0, jump=0.0)).moved

    assert "fell to 0; it was 4 in" in claim.text


def test_a_metric_that_stopped_is_a_silence_and_not_usual() -> None:
    whole = measured("CPUUtilization")
    short = tuple(one for one in whole.points if one[0] < NOW - 10 * MINUTE)
    result = found(replace(whole, points=short))

    assert "stopped" in result.silences[0].text
    assert result.usual == ()


@pytest.mark.parametrize("late", [0, 1, 3])
def test_a_late_point_is_no_silence(late: int) -> None:
    whole = measured("CPUUtilization")
    points = tuple(one for one in whole.points if one[0] <= NOW - late * MINUTE)

    assert not found(replace(whole, points=points)).silences


def test_a_metric_that_counts_what_seldom_happens_may_pause() -> None:
    whole = measured("HTTPCode_Target_5XX_Count")

    assert not found(replace(whole, points=whole.points[::7][:-4])).silences


def test_without_points_it_is_unchecked_or_of_the_alarm_a_silence() -> None:
    none = measured("Errors", points=())

    assert (
        'the metric Errors of "orders" because CloudWatch has no points' in found(none).unchecked[0]
    )
    assert "has no data at all" in found(replace(none, of_alarm=True)).silences[0].text


def test_too_little_history_is_unchecked() -> None:
    whole = measured("Errors", jump=900.0)
    result = found(replace(whole, points=whole.points[-90:]))

    assert "because there is less than a day of history" in result.unchecked[0]
    assert result.usual == ()


def test_the_suspect_is_what_the_failing_one_calls() -> None:
    result = found(
        measured("Duration", stat="p90", jump=80.0, of_alarm=True),
        measured("Duration", QUEUE, stat="p90", jump=79.0),
        calls={FUNCTION: [QUEUE]},
    )

    assert result.suspects == (QUEUE, FUNCTION)


def test_nobody_is_suspect_where_nothing_moved() -> None:
    assert found(measured(of_alarm=True), measured("Other", QUEUE)).suspects == ()


def test_charts_are_of_the_alarm_first_then_of_what_moved_most() -> None:
    movers = [measured(f"Metric{n}", jump=20.0 + n) for n in range(12)]
    alarmed = measured("Errors", jump=14.0, of_alarm=True, threshold=13.0)
    charts = found(*movers, alarmed, measured("Quiet")).charts

    assert len(charts) == 8
    assert charts[0].title == "Errors Sum of orders"
    assert charts[0].threshold == 13.0
    assert charts[0].odd_at == (BEGAN,)
    assert charts[1].title == "Metric11 Sum of orders"
    assert all(NOW - at <= timedelta(hours=3) for one in charts for at, _ in one.points)


def test_a_thinned_series_keeps_its_peaks() -> None:
    points = [(SPAN.before + n * timedelta(seconds=1), float(n == 777)) for n in range(10_000)]
    thin = thinned(points)

    assert len(thin) <= MOST_POINTS
    assert max(value for _, value in thin) == 1.0
    assert thin == sorted(thin)


@pytest.mark.parametrize(
    ("name", "unit"),
    [("CPUUtilization", "%"), ("disk_used_percent", "%"), ("FreeableMemory", "bytes"),
     ("Duration", "ms"), ("ReplicaLag", "s"), ("Errors", ""), ("WriteIOPS", "1/s")],
)  # fmt: skip
def test_units(name: str, unit: str) -> None:
    assert unit_of(name) == unit


def test_numbers_that_are_none_and_odd_periods_break_nothing() -> None:
    strange = [float("nan"), float("inf"), -float("inf"), 1e308, -1e308, 0.0] * 40
    points = tuple((NOW - n * 30 * MINUTE, value) for n, value in enumerate(strange))
    one = measured("X", points=points, of_alarm=True)
    result = found(*(replace(one, period=period) for period in (0, 1, 10**15)))

    assert len(result.series) == 3


def test_a_resource_without_metrics_is_unchecked() -> None:
    assert [*unmeasured(world())] == [
        'the metrics of "orders" because none is known',
        'the metrics of "orders-in" because none is known',
    ]
