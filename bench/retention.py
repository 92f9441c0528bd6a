"""Retention of 100,000 recovery points: seconds for each policy, and the peak memory of it all.

    PYTHONPATH=layers/watchkeeper .venv/bin/python bench/retention.py

Ends with exit code 1 if a policy takes 5 s or more: ExpireBackups plans before it deletes, and
must have most of its time left for that.
"""

import resource
import sys
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from watchkeeper.backups.retention import Floor, Keep, Point, plan_retention
from watchkeeper.durations import Duration

POINTS = 100_000
SECONDS_ALLOWED = 5.0
NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)
SPACING = timedelta(minutes=17)  # 100,000 of them are 3.2 years: every period holds several
DECADE = Duration(years=10)

POLICIES = {
    "one rule": Keep(last=1),
    "a usual one": Keep(hourly=24, daily=14, weekly=8, monthly=12, yearly=5),
    "everything kept": Keep(last=-1),
    "every rule, all kept": Keep(
        last=-1,
        hourly=-1,
        daily=-1,
        weekly=-1,
        monthly=-1,
        yearly=-1,
        within=DECADE,
        within_hourly=DECADE,
        within_daily=DECADE,
        within_weekly=DECADE,
        within_monthly=DECADE,
        within_yearly=DECADE,
        tags=(("nightly",), ("release", "eu")),
    ),
    "every rule, most removed": Keep(
        last=1,
        hourly=POINTS,
        daily=POINTS,
        weekly=POINTS,
        monthly=POINTS,
        yearly=POINTS,
        within=Duration(hours=1),
        within_hourly=DECADE,
        within_daily=DECADE,
        within_weekly=DECADE,
        within_monthly=DECADE,
        within_yearly=DECADE,
        tags=(("release", "eu"),),
    ),
}


def history() -> list[Point]:
    """Oldest first, the order that costs the most to sort."""
    nightly = frozenset({"nightly"})
    return [
        Point(id=f"snap-{number:017x}", created_at=NOW - SPACING * (POINTS - number), tags=nightly)
        for number in range(POINTS)
    ]


def main() -> int:
    """Print one line per policy and the peak memory; say whether all were quick enough."""
    points = history()
    slowest = 0.0
    floor = Floor(count=3, age=Duration(days=7))
    for name, keep in POLICIES.items():
        start = time.perf_counter()
        plan = plan_retention(points, keep, zone=ZoneInfo("Europe/Berlin"), floor=floor, now=NOW)
        seconds = time.perf_counter() - start
        slowest = max(slowest, seconds)
        print(
            f"{name:26} {seconds:5.2f} s  {len(plan.kept):7,} kept {len(plan.removed):7,} removed"
        )
        del plan
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts it in KiB
    print(f"{POINTS:,} points: slowest {slowest:.2f} s, peak {peak:.0f} MB")
    return int(slowest >= SECONDS_ALLOWED)


if __name__ == "__main__":
    sys.exit(main())
