"""The scorer of labelled time series against scores worked out by hand, and the figure on data."""

import json
import math
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from evaluation import nab
from watchkeeper.triage.metrics import THRESHOLD

DATA = Path(os.environ.get("DATA", ""), "nab")
"""In the folder that `make evaluate DATA=folder` measures on."""

STANDARD = nab.Weights(false_positive=0.11, false_negative=1.0)
START = datetime(2026, 11, 2, tzinfo=UTC)


def series(name: str, *windows: tuple[int, int], points: int = 200) -> nab.Series:
    values = tuple((START + timedelta(minutes=5 * number), 0.0) for number in range(points))
    return nab.Series(name, values, windows)


def scored(one: nab.Series, *detections: int) -> nab.Scored:
    scores = [float(number in detections) for number in range(len(one.points))]
    return nab.Scored((one,), (nab.worths(one),), (scores,))


def figure(one: nab.Series, *detections: int) -> float:
    return scored(one, *detections).figure(THRESHOLD, STANDARD)


@pytest.mark.parametrize(
    ("what", "detections", "expected"),
    [
        ("nothing", (), 0.0),
        ("at the left edge", (100,), 100.0),
        ("only the earliest counts", (100, 105, 109), 100.0),
        ("in probation", (10, 29), 0.0),
        ("the right edge is worth little", (109,), 100 * (1 + 0.24491866 / 0.98661430) / 2),
        ("before any window", (50, 100), 100 * (2 - 0.11) / 2),
        ("just after the window, it costs less", (100, 110), 100 * (2 - 0.11 * 0.27042) / 2),
        ("long after it", (100, 190), 100 * (2 - 0.11) / 2),
    ],
)
def test_the_score_of_a_series(what: str, detections: tuple[int, ...], expected: float) -> None:
    assert figure(series("a/b.csv", (100, 109)), *detections) == pytest.approx(expected, abs=1e-2)


def test_a_missed_window_costs_what_a_profile_says() -> None:
    both = scored(series("a/b.csv", (100, 109), (150, 159)), 100)

    assert both.figure(THRESHOLD, STANDARD) == pytest.approx(50)
    twice = nab.Weights(false_positive=0.11, false_negative=2.0)
    assert both.figure(THRESHOLD, twice) == pytest.approx(100 * (1 - 2 + 4) / (2 + 4))
    assert both.windows_found(THRESHOLD) == 1


def test_probation_is_never_longer_than_750_points() -> None:
    assert series("a/b.csv", points=1000).probation == 150
    assert series("a/b.csv", points=20_000).probation == 750


def test_false_positives_close_together_are_one_episode() -> None:
    assert scored(series("a/b.csv", (100, 109)), 40, 45, 57, 70).false_episodes(THRESHOLD) == 2


def test_the_sigmoid_is_the_published_one() -> None:
    assert nab.sigmoid(-1) == pytest.approx(0.98661, abs=1e-5)
    assert nab.sigmoid(-0.5) == pytest.approx(0.84828, abs=1e-5)
    assert nab.sigmoid(0) == 0
    assert nab.sigmoid(1) == pytest.approx(-0.98661, abs=1e-5)
    assert nab.sigmoid(3) == -1


def test_a_held_out_group_does_not_choose_its_threshold() -> None:
    one, other = series("a/one.csv", (100, 109)), series("b/other.csv", (100, 109))
    low, high = [0.0] * 200, [0.0] * 200
    low[100] = 0.2  # found at 0.2 only, and that is the best threshold for it alone
    high[50:90] = [0.2] * 40
    high[100] = 0.9
    both = nab.Scored((one, other), (nab.worths(one), nab.worths(other)), (low, high))

    best = max(both.figure(threshold, STANDARD) for threshold in (0.2, 0.9))
    assert both.held_out([0.2, 0.9], STANDARD) < best


def test_a_folder_is_read_and_its_figures_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    times = [f"{START + timedelta(hours=number):%Y-%m-%d %H:%M:%S}" for number in range(400)]
    values = [math.sin(number) + 9 * (number == 300) for number in range(400)]
    lines = [f"{when},{value}" for when, value in zip(times, values, strict=True)]
    (tmp_path / "data/real").mkdir(parents=True)
    (tmp_path / "data/real/cpu.csv").write_text("\n".join(["timestamp,value", *lines]))
    (tmp_path / "labels").mkdir()
    window = [f"{times[300]}.000000", f"{times[320]}.000000"]
    (tmp_path / "labels/windows.json").write_text(json.dumps({"real/cpu.csv": [window]}))
    weights = {"CostMatrix": {"tpWeight": 1.0, "fpWeight": 0.11, "fnWeight": 1.0}}
    (tmp_path / "profiles.json").write_text(json.dumps({"standard": weights}))

    assert nab.main(tmp_path) == 0
    printed = capsys.readouterr().out
    assert "NAB: 1 series, 400 points, 1 windows" in printed
    assert "standard             100.00  at THRESHOLD = 0.5" in printed


@pytest.mark.skipif(not DATA.is_dir(), reason="DATA names no folder with labelled time series")
def test_labelled_anomalies_are_found() -> None:
    result = nab.scored(nab.read(DATA))

    assert result.figure(THRESHOLD, nab.profiles(DATA)["standard"]) >= 66
