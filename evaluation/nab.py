"""How well `anomaly_scores` finds the labelled anomalies of the Numenta Anomaly Benchmark.

    PYTHONPATH=layers/watchkeeper:. .venv/bin/python -m evaluation.nab FOLDER

FOLDER holds `data/<group>/<series>.csv` (timestamp, value), `labels/windows.json` (the anomalous
windows of each series) and `profiles.json` (what the scoring profiles weigh). The scoring is the
published one (https://arxiv.org/abs/1510.03336, and https://github.com/numenta/NAB for details):

- The first 15 % of a series, at most 750 points, are probation and count for nothing.
- A window earns by its earliest detection alone: 1 at its left edge, falling along a sigmoid to
  nothing at its right edge. Without a detection it costs the weight of a false negative.
- Each detection outside of windows costs the weight of a false positive; within about a window's
  length after a window less, along the same sigmoid.
- The sum is scaled so that no detection at all is 0, and all windows at their left edge are 100.

Every point from THRESHOLD on is a detection. The figure "at held-out thresholds" scores each group
of series at the threshold that is best for the other groups: what tuning it here has not seen.
"""

import csv
import json
import math
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from watchkeeper.triage.metrics import THRESHOLD, anomaly_scores

PROBATION = 0.15  # of a series
LONGEST_PROBATION = 750  # points: of a series of 5,000
FAR_BEHIND = 3.0  # windows' widths: from there on a false positive costs all of its weight
EPISODE_POINTS = 12  # false positives no further apart are one false episode
EARLIEST = 2 / (1 + math.exp(-5)) - 1  # what the sigmoid gives at a window's left edge


@dataclass(frozen=True, slots=True)
class Weights:
    """A profile. True positives weigh 1 in each."""

    false_positive: float
    false_negative: float


@dataclass(frozen=True, slots=True)
class Series:
    """One file: its points, and the positions of the first and last point of each window."""

    name: str
    points: tuple[tuple[datetime, float], ...]
    windows: tuple[tuple[int, int], ...]

    @property
    def probation(self) -> int:
        return min(math.floor(PROBATION * len(self.points)), LONGEST_PROBATION)

    @property
    def scored_windows(self) -> int:
        """Those that do not end within probation."""
        return sum(last >= self.probation for _, last in self.windows)


@dataclass(frozen=True, slots=True)
class Worth:
    """What a detection at a point is worth: in window number `window`, or outside of any."""

    window: int | None
    gain: float  # in a window: of 1
    cost: float  # outside: of the weight of a false positive


def sigmoid(position: float) -> float:
    """From 1 down to -1; 0 at a window's right edge, in widths of the window."""
    return -1.0 if position >= FAR_BEHIND else 2 / (1 + math.exp(5 * position)) - 1


def worths(series: Series) -> list[Worth]:
    """What a detection at each point is worth."""
    found = [Worth(None, 0.0, 1.0)] * len(series.points)
    starts = [first for first, _ in series.windows] + [len(series.points)]
    for window, (first, last) in enumerate(series.windows):
        width = last - first + 1
        for number in range(first, last + 1):
            gain = sigmoid((number - last - 1) / width) / EARLIEST
            found[number] = Worth(window, gain, 0.0)
        for number in range(last + 1, starts[window + 1]):
            found[number] = Worth(None, 0.0, -sigmoid((number - last) / (width - 1)))
    return found


def raw_score(
    series: Series, worth: Sequence[Worth], scores: Sequence[float], threshold: float, by: Weights
) -> float:
    """What the detections of one series sum to."""
    best = {
        window: -by.false_negative
        for window, (_, last) in enumerate(series.windows)
        if last >= series.probation
    }
    total = 0.0
    for number in range(series.probation, len(scores)):
        if scores[number] < threshold:
            continue
        at = worth[number]
        if at.window is None:
            total -= at.cost * by.false_positive
        else:
            best[at.window] = max(best[at.window], at.gain)
    return total + sum(best.values())


@dataclass(frozen=True, slots=True)
class Scored:
    """All series with their scores."""

    series: tuple[Series, ...]
    worth: tuple[list[Worth], ...]
    scores: tuple[list[float], ...]

    def figure(self, threshold: float, by: Weights) -> float:
        """The normalised score: 0 for no detection, 100 for perfect ones."""
        return self._normal(sum(self._raw(threshold, by)), by)

    def held_out(self, thresholds: Iterable[float], by: Weights) -> float:
        """The same, each group at the threshold that is best for the others."""
        groups: dict[str, list[int]] = {}
        for number, series in enumerate(self.series):
            groups.setdefault(series.name.split("/")[0], []).append(number)
        tried = [self._raw(each, by) for each in thresholds]
        total = 0.0
        for group in groups.values():
            best = max(tried, key=lambda raw: sum(raw) - sum(raw[number] for number in group))
            total += sum(best[number] for number in group)
        return self._normal(total, by)

    def windows_found(self, threshold: float) -> int:
        return sum(len(self._detected(number, threshold) - {None}) for number in self._all())

    def false_episodes(self, threshold: float) -> int:
        """Detections outside of windows, those less than 12 points apart taken as one."""
        count = 0
        for number in self._all():
            last = -math.inf
            for at in self._outside(number, threshold):
                count += at - last > EPISODE_POINTS
                last = at
        return count

    def days(self) -> float:
        spans = (
            (series.points[-1][0] - series.points[0][0]).total_seconds() for series in self.series
        )
        return sum(spans) / 86_400

    def _all(self) -> range:
        return range(len(self.series))

    def _raw(self, threshold: float, by: Weights) -> list[float]:
        return [
            raw_score(self.series[one], self.worth[one], self.scores[one], threshold, by)
            for one in self._all()
        ]

    def _normal(self, raw: float, by: Weights) -> float:
        windows = sum(series.scored_windows for series in self.series)
        null = -by.false_negative * windows
        return 100 * (raw - null) / (windows - null)

    def _detected(self, number: int, threshold: float) -> set[int | None]:
        series, worth = self.series[number], self.worth[number]
        return {
            worth[at].window
            for at, score in enumerate(self.scores[number])
            if at >= series.probation and score >= threshold
        }

    def _outside(self, number: int, threshold: float) -> list[int]:
        series, worth = self.series[number], self.worth[number]
        return [
            at
            for at, score in enumerate(self.scores[number])
            if at >= series.probation and score >= threshold and worth[at].window is None
        ]


def read(folder: Path) -> list[Series]:
    """Every series that has labels, in order of their names."""
    labels: Mapping[str, list[list[str]]] = json.loads(
        (folder / "labels/windows.json").read_text(encoding="utf-8")
    )
    return [_series(folder, name, labels[name]) for name in sorted(labels)]


def _series(folder: Path, name: str, labels: list[list[str]]) -> Series:
    with (folder / "data" / name).open(encoding="utf-8", newline="") as file:
        points = tuple(
            (_time(row["timestamp"]), float(row["value"])) for row in csv.DictReader(file)
        )
    times = [when for when, _ in points]
    windows = tuple((times.index(_time(first)), times.index(_time(last))) for first, last in labels)
    return Series(name, points, windows)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def profiles(folder: Path) -> dict[str, Weights]:
    content = json.loads((folder / "profiles.json").read_text(encoding="utf-8"))
    return {
        name: Weights(profile["CostMatrix"]["fpWeight"], profile["CostMatrix"]["fnWeight"])
        for name, profile in content.items()
    }


def scored(series: Iterable[Series]) -> Scored:
    """Score every series, as a caller of the product would."""
    every = tuple(series)
    return Scored(
        every,
        tuple(worths(one) for one in every),
        tuple(anomaly_scores(one.points) for one in every),
    )


def main(folder: Path) -> int:
    """Print the figures for the folder."""
    series = read(folder)
    points = sum(len(one.points) for one in series)
    start = time.process_time()
    result = scored(series)
    seconds = time.process_time() - start
    weights = profiles(folder)
    standard = weights["standard"]
    # Scores that differ by less than a thousandth are told apart by nobody.
    candidates = sorted({round(score, 3) for one in result.scores for score in one if score > 0})
    windows = sum(one.scored_windows for one in series)
    false = result.false_episodes(THRESHOLD)
    print(f"NAB: {len(series)} series, {points:,} points, {windows} windows")
    for name, by in weights.items():
        print(f"  {name:20} {result.figure(THRESHOLD, by):6.2f}  at THRESHOLD = {THRESHOLD}")
    print(f"  {'standard':20} {result.held_out(candidates, standard):6.2f}  at held-out thresholds")
    print(f"  windows found        {result.windows_found(THRESHOLD)} of {windows}")
    print(f"  false episodes       {false}, {false / result.days():.3f} per metric and day")
    print(f"  CPU time             {seconds:.1f} s, {points / seconds:,.0f} points per second")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1])))
