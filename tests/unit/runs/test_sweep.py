"""What is due is woken, what is overdue is said, and nobody starves."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from watchkeeper.aws.errors import Throttled
from watchkeeper.news.runs import RunDue
from watchkeeper.runs.record import Told
from watchkeeper.runs.sweep import MOST_WAKES, OVERDUE_AFTER, Swept, sweep

NOW = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Index:
    """The due index: capability and minutes since each run was due."""

    def __init__(self, **overdue: Iterable[float]) -> None:
        self.overdue = overdue

    def due(self, capability: str, now: datetime) -> Iterable[tuple[str, datetime]]:
        minutes = sorted(self.overdue.get(capability, ()), reverse=True)
        for number, minute in enumerate(minutes):
            yield f"{capability}#{number}", now - minute * MINUTE


def swept(index: Index) -> tuple[Swept, list[Told]]:
    sent: list[Told] = []
    return sweep(("backup", "expire"), index, sent.append, NOW), sent


def test_nothing_is_due() -> None:
    assert swept(Index()) == (Swept((), ()), [])


def test_each_due_run_is_woken_by_one_message() -> None:
    result, sent = swept(Index(backup=[3, 1], expire=[2]))
    assert result == Swept(("backup#0", "expire#0", "backup#1"), ())
    news = [RunDue.read(told) for told in sent]
    assert [(one.run, one.capability, one.at) for one in news] == [
        ("backup#0", "backup", NOW),
        ("expire#0", "expire", NOW),
        ("backup#1", "backup", NOW),
    ]
    assert {told["type"] for told in sent} == {"RunDue"}


def test_a_wake_up_has_the_same_id_in_the_next_sweep_and_another_at_the_next_moment() -> None:
    def ids(index: Index, now: datetime) -> list[str]:
        sent: list[Told] = []
        sweep(("backup",), index, sent.append, now)
        return [told["id"] for told in sent]

    assert ids(Index(backup=[1]), NOW) == ids(Index(backup=[2]), NOW + MINUTE)
    assert ids(Index(backup=[1]), NOW) != ids(Index(backup=[1]), NOW + MINUTE)


def test_overdue_is_what_nobody_took_up_for_too_long() -> None:
    limit = OVERDUE_AFTER / MINUTE
    result, _ = swept(Index(backup=[limit + 1], expire=[limit]))
    assert result.overdue == ("backup#0",)


def test_the_longest_overdue_go_first_whatever_their_capability() -> None:
    """A thousand runs of one capability do not starve another's."""
    result, sent = swept(Index(backup=[1] * 2 * MOST_WAKES, expire=[2, 0]))
    assert len(result.woken) == len(sent) == MOST_WAKES
    assert result.woken[0] == "expire#0"
    assert "expire#1" not in result.woken


def test_all_that_is_overdue_is_said_even_if_it_is_too_much_to_wake() -> None:
    result, _ = swept(Index(backup=[30] * 2 * MOST_WAKES))
    assert len(result.overdue) == 2 * MOST_WAKES


def test_a_sweep_that_cannot_wake_anybody_fails_loudly() -> None:
    def refuse(told: Told) -> None:
        raise Throttled("sns:Publish", "Throttling", "too many")

    with pytest.raises(Throttled):
        sweep(("backup",), Index(backup=[1]), refuse, NOW)
