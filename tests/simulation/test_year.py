"""Some weeks of the year that `year.py` runs as a command, and its clock beside a full one."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from tests.crash.forks import aside
from tests.simulation import year_story as story
from tests.simulation.sparse import THIN, SparseClock
from tests.simulation.year import Record, begun, check_end, items, live
from tests.simulation.year_story import DAY, Stretch
from watchkeeper.naming import parse_instant

BEFORE_SPRING = datetime(2027, 3, 15, 12, 0, tzinfo=UTC)
"""A Monday: the clocks go forward on the second Sunday, and the month ends in the week after it."""


@pytest.mark.slow
def test_weeks_in_which_much_goes_wrong_come_to_what_the_incidents_say() -> None:
    with begun(Stretch(seed=15, begins=BEFORE_SPRING, weeks=3)) as year:
        ended = list(live(year))
        end = check_end(year)
        assert len(ended) == 3
        assert any(night.starts > night.due for night in year.expected.nights)
        assert year.expected.told, "somebody was told of a gap"
    assert sum(len(points) for points in end.history.values()) > 100


TWO_NIGHTS = Stretch(weeks=1)
"""Of its week the first two days: silver's night and gold's, with all kinds and a window."""


def two_nights(*, is_sparse: bool) -> list[Record]:
    """The catalogue after them, with every tick there is or on the sparse clock."""
    with begun(TWO_NIGHTS, thin=THIN if is_sparse else None) as year:
        clock = SparseClock(year.cloud, story.policy()) if is_sparse else year.cloud.clock
        clock.run_until(TWO_NIGHTS.begins + 2 * DAY)
        return items(year.cloud, "POINT#")


def _comparable(record: Record) -> Record:
    """Without what is drawn or follows from it: the ids of snapshots say how long they take."""
    left_out = ("sk", "created_at", "completed_at", "parts")
    known = {name: value for name, value in record.items() if name not in left_out}
    return known | {"volumes": [(part["volume"], part["gib"]) for part in record["parts"]]}


@pytest.mark.slow
def test_the_sparse_clock_misses_nothing() -> None:
    full, sparse = (aside(partial(two_nights, is_sparse=one)) for one in (False, True))
    assert len(full) > 15
    assert [_comparable(one) for one in sparse] == [_comparable(one) for one in full]
    for one, other in zip(sparse, full, strict=True):
        # Which of two ticks of the same minute comes first is nobody's promise.
        made, made_in_full = (parse_instant(each["created_at"]) for each in (one, other))
        assert abs(made - made_in_full) <= timedelta(minutes=1)
