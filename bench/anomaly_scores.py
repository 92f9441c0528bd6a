"""Anomaly scores of two weeks of five-minute points for 50 metrics: points per second, and memory.

    PYTHONPATH=layers/watchkeeper .venv/bin/python bench/anomaly_scores.py

Ends with exit code 1 if they take 5 s or more: the first report on an incident is due within 30 s,
and metrics are one of its three sources.
"""

import math
import sys
import time
import tracemalloc
from datetime import UTC, datetime, timedelta

from watchkeeper.triage.metrics import anomaly_scores

METRICS = 50
POINTS = 4032  # 14 days
SECONDS_ALLOWED = 5.0
START = datetime(2026, 11, 2, tzinfo=UTC)
PERIOD = timedelta(minutes=5)


def metric(number: int) -> list[tuple[datetime, float]]:
    """A daily rhythm with noise that never repeats."""
    return [
        (START + PERIOD * at, 9 * math.sin(math.tau * at / 288) + math.sin(at * at + number))
        for at in range(POINTS)
    ]


def main() -> int:
    """Print the speed and the memory that one metric's scores take; say if it was quick enough."""
    metrics = [metric(number) for number in range(METRICS)]
    start = time.process_time()
    for points in metrics:
        anomaly_scores(points)
    seconds = time.process_time() - start
    tracemalloc.start()
    anomaly_scores(metrics[0])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(
        f"{METRICS} metrics of {POINTS:,} points: {seconds:.2f} s, "
        f"{METRICS * POINTS / seconds:,.0f} points per second, peak {peak / POINTS:.0f} B per point"
    )
    return int(seconds >= SECONDS_ALLOWED)


if __name__ == "__main__":
    sys.exit(main())
