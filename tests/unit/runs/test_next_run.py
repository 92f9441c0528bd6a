"""What a record becomes after a report, told by examples and by what holds for all of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.news.runs import StepFailed
from watchkeeper.runs.engine import LONGEST_BACKOFF, PAGE_AGAIN, next_run
from watchkeeper.runs.record import Done, Failed, Report, Run, Step, Waiting, new_run

START = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
POLL = timedelta(minutes=5)


def ensure_nothing(run: Run, cloud: object, now: datetime) -> Report:
    raise AssertionError("deciding asks no step")


STEPS = (
    Step("restore", ensure_nothing, within=4 * HOUR, poll=POLL),
    Step("verify", ensure_nothing, within=HOUR),
    Step("teardown", ensure_nothing, within=HOUR, always=True),
    Step("report", ensure_nothing, within=HOUR),
)


def at(step: str, **fields: object) -> Run:
    return replace(new_run("drill#db", STEPS, START, snapshot="s"), step=step, **fields)  # type: ignore[arg-type]


def kinds(run: Run) -> list[str]:
    return [told["type"] for told in run.unsent]


# ── Done ──────────────────────────────────────────────────────────────────────────────────────────


def test_done_enters_the_next_step_with_a_clean_slate() -> None:
    run = at("restore", attempts=2, setbacks=3, paged_at=START, waits_for="it", unclear_since=START)
    now = START + HOUR
    expected = replace(
        at("verify"), facts={"snapshot": "s", "rows": "1"}, entered_at=now, wake_at=now, finished=1
    )
    assert next_run(STEPS, run, Done({"rows": "1"}), now) == expected


def test_done_with_the_last_step_ends_the_run() -> None:
    run = next_run(STEPS, at("report"), Done(), START)
    assert (run.step, run.is_over, run.failure) == (None, True, None)


def test_the_end_of_a_failed_run_is_told() -> None:
    run = next_run(STEPS, at("teardown", failure="empty", finished=2), Done(), START)
    assert (run.step, run.is_over) == (None, False)
    assert [(told["type"], told["why"]) for told in run.unsent] == [("RunFailed", "empty")]


def test_news_of_a_report_are_kept_behind_what_is_unsent() -> None:
    first, second = (
        StepFailed.about(at("restore"), of=name, step=name, why="", at=START) for name in "ab"
    )
    run = next_run(STEPS, at("restore", unsent=(first,)), Done(news=[second]), START)
    assert run.unsent == (first, second)


# ── Waiting ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("until", "wake_at"), [(None, START + POLL), (START + HOUR, START + HOUR), (START, START)]
)
def test_waiting_keeps_the_step(until: datetime | None, wake_at: datetime) -> None:
    run = next_run(STEPS, at("restore", attempts=3, setbacks=2), Waiting("it", until), START)
    assert run == replace(at("restore"), waits_for="it", wake_at=wake_at)


def test_waiting_up_to_the_limit_is_no_failure_and_longer_is_one() -> None:
    limit = START + STEPS[0].within
    assert next_run(STEPS, at("restore"), Waiting("it"), limit).failure is None
    late = next_run(STEPS, at("restore"), Waiting("it", facts={"a": "b"}), limit + POLL)
    assert late.failure == "restore waited more than 4:00:00 for it"
    assert (late.step, late.facts["a"], kinds(late)) == ("teardown", "b", ["StepFailed"])


def test_waiting_too_long_for_clean_up_is_paged_at_once_and_then_daily() -> None:
    run, pages = at("teardown"), []
    for minute in range(0, 3 * 24 * 60, 5):
        now = START + timedelta(minutes=minute)
        run = replace(next_run(STEPS, replace(run, unsent=()), Waiting("it"), now))
        pages += [(minute, told["id"]) for told in run.unsent]
    assert [minute for minute, _ in pages] == [65, 65 + 24 * 60, 65 + 2 * 24 * 60]
    assert len({page for _, page in pages}) == 3, "each day's page is news of its own"
    assert run.step == "teardown"


# ── Failed ────────────────────────────────────────────────────────────────────────────────────────


def test_a_failure_skips_to_clean_up_and_nothing_else_follows() -> None:
    run = next_run(STEPS, at("restore"), Failed("no room", facts={"a": "b"}), START + HOUR)
    assert (run.step, run.failure, run.finished) == ("teardown", "no room", 1)
    assert run.facts == {"snapshot": "s", "a": "b"}
    assert [(told["type"], told["step"], told["why"]) for told in run.unsent] == [
        ("StepFailed", "restore", "no room")
    ]
    assert next_run(STEPS, run, Done(), START + 2 * HOUR).step is None


def test_what_may_have_happened_in_a_failed_step_is_passed_on_to_clean_up() -> None:
    run = next_run(STEPS, at("restore", unclear_since=START), Failed("no room"), START + HOUR)
    assert run.unclear_since == START


def test_only_the_first_failure_is_the_failure_of_the_run() -> None:
    assert next_run(STEPS, at("verify", failure="first"), Failed("x"), START).failure == "first"


def test_a_name_that_is_unknown_is_not_skipped_after_a_failure() -> None:
    known = (STEPS[0], STEPS[3])
    assert next_run(known, at("restore"), Failed("no room"), START).step == "verify"


def test_failing_clean_up_backs_off_to_six_hours_and_stays() -> None:
    run, now, waits = at("teardown"), START, []
    for _ in range(40):
        run = next_run(STEPS, run, Failed("locked"), now)
        waits.append(run.wake_at - now)
        now = run.wake_at
    assert waits[:3] == [POLL, 2 * POLL, 4 * POLL]
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_BACKOFF
    assert (run.step, run.failure, run.setbacks) == ("teardown", None, 40)
    days = (now - START) / PAGE_AGAIN
    assert abs(len(run.unsent) - days) <= 1.5
    assert len({told["id"] for told in run.unsent}) == len(run.unsent)


# ── Whatever the report ───────────────────────────────────────────────────────────────────────────

moments = st.integers(-60, 60 * 24 * 7).map(lambda minutes: START + timedelta(minutes=minutes))
facts = st.dictionaries(st.sampled_from("abc"), st.text(max_size=3), max_size=2)
reports = st.one_of(
    st.builds(Done, facts),
    st.builds(Waiting, st.text(max_size=5), st.none() | moments, facts),
    st.builds(Failed, st.text(max_size=5), facts),
)


@given(step=st.sampled_from(STEPS), report=reports, now=moments, failure=st.none() | st.just("x"))
def test_after_any_report(step: Step, report: Report, now: datetime, failure: str | None) -> None:
    before = at(step.name, failure=failure, attempts=4, unsent=({"type": "Earlier"},))
    after = next_run(STEPS, before, report, now)
    order = [*before.steps, None]
    assert order.index(after.step) in {order.index(before.step), *range(len(order))}
    assert order.index(after.step) >= order.index(before.step), "a run never goes back"
    assert (after.finished - before.finished) == (after.step != before.step)
    assert after.attempts == 0
    assert after.unsent[0] == {"type": "Earlier"}, "no news is lost"
    assert {**after.facts, **report.facts} == after.facts
    assert after.failure is not None or failure is None
    if after.failure and after.step:
        stayed = after.step == before.step
        assert stayed or next(one for one in STEPS if one.name == after.step).always
    if step.always and not isinstance(report, Done):
        assert after.step == before.step, "clean-up is never given up"
    if after.step is None and after.failure:
        assert after.unsent[-1]["type"] == "RunFailed"
