"""What the logs of an incident are found to say."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.unit.triage.incident_world import (
    BEGAN,
    FUNCTION,
    GROUP,
    MINUTE,
    NOW,
    SPAN,
    errors,
    incident,
    logged,
    usual,
)
from watchkeeper.triage.gathered import Line, Logged, Resource, Unchecked
from watchkeeper.triage.log_claims import FromLogs, from_logs, unlogged


def found(*groups: Logged) -> FromLogs:
    return from_logs(incident(logs=groups))


def test_a_new_error_is_told_with_counts_before_and_after_and_where() -> None:
    news = found(logged(errors(17))).news

    assert [one.is_new and one.is_error for one in news] == [True]
    claim = news[0].claim
    assert '"ERROR payment <*> failed: no route"' in claim.text
    assert "17 in 11 min, none in the hour before" in claim.text
    assert '17 of 17 on stream "s1"' in claim.text
    assert claim.at == news[0].first == BEGAN
    assert claim.resource == FUNCTION
    assert claim.lines == ("ERROR payment 0 failed: no route",)
    assert [link.url for link in claim.links] == ["https://logs.example"]


def test_top_values_of_named_slots_are_told() -> None:
    text = "ERROR refused user=carol7 after {n} ms"

    assert 'user "carol7"' in found(logged(errors(9, text))).news[0].claim.text


def test_what_comes_more_often_is_told_and_is_not_new() -> None:
    before = [Line(SPAN.before + n * 10 * MINUTE, "s1", f"ERROR payment {n} failed: no route")
              for n in range(6)]  # fmt: skip
    group = logged(errors(30))
    both = sorted([*group.before, *before], key=lambda one: (one.stream, one.at))
    news = found(replace(group, before=tuple(both))).news

    assert [(one.is_new, one.is_error) for one in news] == [(False, True)]
    assert news[0].claim.text.startswith("more often in")
    assert "30 in 11 min, 6 in the hour before" in news[0].claim.text


def test_new_errors_come_before_other_news_and_the_key_is_the_same_at_a_later_look() -> None:
    group = logged([*errors(3), *errors(40, "started worker {n} anew")])
    first, second = (
        found(group),
        found(logged([*errors(9), *errors(60, "started worker {n} anew")])),
    )

    assert [one.is_error for one in first.news] == [True, False]
    assert {one.claim.key for one in first.news} == {one.claim.key for one in second.news}


def test_a_stack_trace_is_one_event_and_its_lines_are_shown_cut() -> None:
    trace = ["java.lang.IllegalStateException: no stock " + "x" * 900,
             *(f"\tat com.example.Layer{n}.call(Layer.java:{n})" for n in range(30))]  # fmt: skip
    lines = [Line(BEGAN, "s2", text) for text in ["ERROR order failed", *trace]]
    claim = found(logged(lines)).news[0].claim

    assert "1 in 11 min" in claim.text
    assert len(claim.lines) == 10
    assert claim.lines[0] == "ERROR order failed"
    assert max(map(len, claim.lines)) <= 400


def test_a_group_with_only_usual_lines_is_usual() -> None:
    result = found(logged())

    assert (result.news, result.silences) == ((), ())
    assert len(result.usual) == 1
    assert result.usual[0].startswith(f'Nothing unusual in the logs of "{GROUP}": 44 messages')


def test_a_group_asked_for_trouble_alone_says_so() -> None:
    result = found(Logged(GROUP, only_trouble=True))

    assert "so far no message with words of trouble until 03:12 UTC" in result.usual[0]


def test_what_was_cut_off_is_unchecked_and_rates_are_of_what_was_read() -> None:
    late = [one for one in usual(60, SPAN.since) if one.at >= SPAN.since - 12 * MINUTE]
    result = found(logged(errors(5), before=tuple(late), most="10,000 messages are the most"))

    assert "because 10,000 messages are the most" in result.unchecked[0]
    assert "none in the 12 min before" in result.news[0].claim.text


def test_nothing_is_called_new_without_a_baseline() -> None:
    counts = tuple((SPAN.before + n * MINUTE, 40.0) for n in range(60))
    news = found(replace(logged(errors(5)), before=(), counts=counts)).news

    assert news
    assert not any(one.is_new for one in news)
    assert "with nothing from before to compare it with" in news[0].claim.text


def test_a_sentence_that_is_no_longer_said_is_a_silence() -> None:
    group = logged(lines=tuple(errors(3)))

    assert any("no longer in" in one.text and "Order <*>" in one.text
               for one in found(group).silences)  # fmt: skip


@pytest.mark.parametrize(
    ("counted_until", "last", "silent"),
    [
        pytest.param(NOW, None, False, id="speaks"),
        pytest.param(NOW - 3 * MINUTE, None, False, id="late"),
        pytest.param(NOW - 10 * MINUTE, None, True, id="stopped"),
        pytest.param(NOW - 10 * MINUTE, NOW - MINUTE, False, id="stopped, and heard of since"),
        pytest.param(SPAN.before, None, False, id="never spoke"),
        pytest.param(SPAN.before, NOW - timedelta(days=3), True, id="spoke days ago"),
    ],
)
def test_a_log_that_stopped_is_a_silence(
    counted_until: datetime, last: datetime | None, silent: bool
) -> None:
    minutes = int((counted_until - SPAN.before) / MINUTE)
    counts = tuple((SPAN.before + n * MINUTE, 5.0) for n in range(minutes))
    result = found(Logged(GROUP, only_trouble=True, counts=counts, last_at=last))

    assert bool(result.silences) is silent
    assert bool(result.usual) is not silent


def test_silence_is_counted_until_when_the_log_can_be_complete() -> None:
    counts = tuple((SPAN.before + n * MINUTE, 5.0) for n in range(60))
    group = Logged(GROUP, only_trouble=True, counts=counts, until=SPAN.since + 2 * MINUTE)

    assert found(replace(group, until=None)).silences
    assert not found(group).silences
    assert "until 03:03 UTC" in found(group).usual[0]


def test_a_log_that_pauses_by_itself_is_not_silent() -> None:
    counts = tuple((SPAN.before + n * 6 * MINUTE, 5.0) for n in range(11))

    assert not found(Logged(GROUP, only_trouble=True, counts=counts)).silences


def test_a_resource_without_any_log_is_unchecked_once() -> None:
    quiet = incident(logs=())
    told = replace(quiet, unchecked=(Unchecked("the logs of orders", "denied"),))

    assert [*unlogged(quiet)] == ['the logs of "orders" because none of its log groups exists']
    assert [*unlogged(told)] == []
    assert [*unlogged(replace(quiet, resources=(Resource("x"),)))]


def test_patterns_are_of_the_window_with_counts_and_first_times() -> None:
    ((group, patterns),) = found(logged(errors(17))).patterns

    assert group.group == GROUP
    assert (patterns[0].template, patterns[0].count, patterns[0].at) == (
        "ERROR payment <*> failed: no route", 17, BEGAN,
    )  # fmt: skip
