"""What is new, and what comes more often than it did."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.triage.logs import mine
from watchkeeper.triage.novelty import Change, Ranked, ranked, shifts

HOUR, QUARTER = timedelta(hours=1), timedelta(minutes=15)


def rank(before: dict[str, int], now: dict[str, int]) -> tuple[list[str], list[Ranked]]:
    lines = [line for line, count in before.items() for _ in range(count)]
    is_before = [True] * len(lines)
    lines += [line for line, count in now.items() for _ in range(count)]
    is_before += [False] * (len(lines) - len(is_before))
    mined = mine(lines)
    found = ranked(mined, is_before, baseline=HOUR, window=QUARTER)
    return [mined.patterns[one.pattern].template for one in found], found


@pytest.mark.parametrize(
    ("before", "now", "change", "why"),
    [
        (0, 1, Change.NEW, "new: once, and not once in the baseline"),
        (0, 17, Change.NEW, "new: 17 times, and not once in the baseline"),
        (40, 100, Change.MORE, "more often: 100 times, the baseline's rate gives 10.0 (40 in all)"),
        (
            400,
            20,
            Change.LESS,
            "less often: 20 times, the baseline's rate gives 100.0 (400 in all)",
        ),
        (400, 0, Change.GONE, "gone: not once, where the baseline's rate gives 100"),
        (
            400,
            101,
            Change.USUAL,
            "as usual: 101 times, the baseline's rate gives 100.0 (400 in all)",
        ),
        (
            400,
            150,
            Change.USUAL,
            "as usual: 150 times, the baseline's rate gives 100.0 (400 in all)",
        ),
        (4, 3, Change.USUAL, "as usual: 3 times, the baseline's rate gives 1.0 (4 in all)"),
        (4, 0, Change.USUAL, "as usual: 0 times, the baseline's rate gives 1.0 (4 in all)"),
    ],
)
def test_what_a_pattern_is_called(before: int, now: int, change: Change, why: str) -> None:
    _, (found,) = rank({"pool is empty": before}, {"pool is empty": now})

    assert (found.change, found.why) == (change, why)
    assert (found.before, found.now, found.expected) == (before, now, before / 4)


def test_what_is_new_comes_before_what_is_always_there_whatever_its_words() -> None:
    order, _ = rank(
        {"ERROR cache miss": 400, "served a request": 4_000, "ERROR slow query": 40},
        {
            "ERROR cache miss": 100, "served a request": 1_000, "ERROR slow query": 200,
            "pool is empty": 30, "FATAL no space left": 30, "reloaded": 1,
        },
    )  # fmt: skip

    assert order == [
        "FATAL no space left", "pool is empty", "ERROR slow query", "reloaded",
        "ERROR cache miss", "served a request",
    ]  # fmt: skip


def test_twice_the_traffic_hides_nothing() -> None:
    order, _ = rank({"served": 40_000}, {"served": 21_000, "connect refused": 3})

    assert order == ["connect refused", "served"]


def test_of_equals_the_first_seen_comes_first() -> None:
    order, _ = rank({}, {"b started": 1, "a started": 1})

    assert order == ["b started", "a started"]


@pytest.mark.parametrize(
    ("flags", "baseline", "window"),
    [
        ([True], timedelta(0), HOUR),
        ([True], HOUR, -HOUR),
        ([], HOUR, HOUR),
        ([True] * 2, HOUR, HOUR),
    ],
)
def test_nonsense_is_refused(flags: list[bool], baseline: timedelta, window: timedelta) -> None:
    with pytest.raises(ValueError, match=r"baseline|is_before"):
        ranked(mine(["x"]), flags, baseline=baseline, window=window)


def test_a_value_that_came_up_in_a_pattern_that_is_as_usual() -> None:
    line = '"GET /orders/{}" status={} host={}'
    before = [line.format(n, 503 if n % 40 == 0 else 200, "abc"[n % 3]) for n in range(400)]
    now = [line.format(n, 503 if n % 2 == 0 else 200, "abc"[n % 3]) for n in range(100)]
    mined = mine([*before, *now])
    is_before = [True] * 400 + [False] * 100

    assert ranked(mined, is_before, baseline=HOUR, window=QUARTER)[0].change is Change.USUAL
    assert [one.said() for one in shifts(mined, 0, is_before)] == [
        '50 of 100 with status "503"; before 10 of 400'
    ]


def test_a_host_on_which_everything_happens_now() -> None:
    lines = [f"disk full on host={'abcd'[n % 4]} again" for n in range(40)]
    lines += ["disk full on host=b again"] * 17

    (shift,) = shifts(mine(lines), 0, [True] * 40 + [False] * 17)
    assert shift.said() == '17 of 17 with host "b"; before 10 of 40'


def test_ids_are_no_news() -> None:
    lines = [f"Order {n} took long" for n in range(500)]

    assert shifts(mine(lines), 0, [True] * 400 + [False] * 100) == []


def test_a_new_pattern_has_no_shifts() -> None:
    assert shifts(mine(["Order 5 is late"] * 20), 0, [False] * 20) == []


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.booleans()), min_size=1, max_size=60))
def test_every_pattern_is_ranked_once_and_every_event_counted(
    drawn: list[tuple[str, bool]],
) -> None:
    mined = mine([letter for letter, _ in drawn])
    flags = [flag for _, flag in drawn]
    found = ranked(mined, flags, baseline=HOUR, window=QUARTER)

    assert sorted(one.pattern for one in found) == list(range(len(mined.patterns)))
    assert sum(one.now + one.before for one in found) == len(drawn)
    usual = [one.change is Change.USUAL for one in found]
    assert usual == sorted(usual)
