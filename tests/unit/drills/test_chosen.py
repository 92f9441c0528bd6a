"""What a choice counts as running: a drill that goes on, and not one that never began."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.drills.fleet import NOW, arn, subject
from watchkeeper.backups.model import Kind
from watchkeeper.drills import choosing
from watchkeeper.drills.due import Known
from watchkeeper.drills.model import Begun, Level
from watchkeeper.drills.policy import DrillsPolicy
from watchkeeper.drills.restore import RESTORE
from watchkeeper.runs.record import Run, new_run

RUN = "drill#round#2026-11-22T09:00Z#0123456789abcdef#check"
POLICY = DrillsPolicy.model_validate(
    {"every": dict.fromkeys(("metadata", "blocks", "restore", "exercise"), "never"),
     "budget": {"at_once": 1, "per_run_usd": 100, "per_month_usd": 100}}
)  # fmt: skip
GOES_ON = new_run(RUN, RESTORE, NOW)
HOUR = timedelta(hours=1)


def drills(run: Run | None, begun_at: Any, *, is_running: bool = True, usd: float = 1.0) -> int:
    """How many are chosen beside one that was begun, where one at a time is allowed."""
    one = Begun(RUN, arn(Kind.TABLE, "other"), "p", Level.CHECK, begun_at, usd, is_running)
    cloud: Any = SimpleNamespace(
        stack="watchkeeper", policy=lambda: POLICY,
        known=lambda everyone: Known(), shapes=lambda everyone: {},
        begun=SimpleNamespace(since=lambda at: [one] if begun_at >= at else []),
        runs=SimpleNamespace(find=lambda run_id: run),
    )  # fmt: skip
    return len(choosing.chosen([subject(kind=Kind.TABLE, name="rates")], cloud, NOW).drills)


@pytest.mark.parametrize(
    ("run", "ago", "is_running", "chosen"),
    [
        (GOES_ON, HOUR, True, 0),
        (GOES_ON, timedelta(days=20), True, 0),  # its clean-up does not end, and costs money
        (GOES_ON, HOUR, False, 1),
        (None, HOUR, True, 0),  # it is just being started
        (None, timedelta(days=2), True, 1),  # it was never started
        (replace(GOES_ON, step=None), HOUR, True, 1),
    ],
)
def test_only_a_drill_that_goes_on_takes_a_place(
    run: Run | None, ago: timedelta, is_running: bool, chosen: int
) -> None:
    assert drills(run, NOW - ago, is_running=is_running) == chosen


@pytest.mark.parametrize(
    ("ago", "usd", "chosen"),
    [(HOUR, 99.99, 0), (timedelta(days=29), 99.99, 0), (timedelta(days=31), 99.99, 1)],
)
def test_what_has_ended_is_money_of_the_last_thirty_days(
    ago: timedelta, usd: float, chosen: int
) -> None:
    assert drills(None, NOW - ago, is_running=False, usd=usd) == chosen
