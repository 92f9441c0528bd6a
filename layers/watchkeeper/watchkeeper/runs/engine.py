"""Moves a run as far as it will go now: `next_run` decides, `advance` acts.

The order of things inside `advance` is what survives being killed anywhere:

    lease (counts the attempt) → ensure the step → save state and its news in one write → …
    → send news → release

Cut off before the save, the step is asked again and knows that an attempt went unreported. Cut off
after it, the news is still in the record, and the due index still holds it. Steps come before news,
so that neither a topic that refuses nor a verifier that crashes keeps a teardown from running.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from watchkeeper import naming, telemetry
from watchkeeper.aws.clock import Clock
from watchkeeper.aws.errors import Busy, Unclear
from watchkeeper.news.runs import RunFailed, RunStuck, StepFailed, StepOverdue
from watchkeeper.runs.record import (
    Done,
    Failed,
    Lease,
    Report,
    Run,
    RunStore,
    Stale,
    Step,
    Stop,
    Told,
    Waiting,
)

LEASE_MARGIN = timedelta(seconds=60)
"""A lease ends this long after its function's timeout: clocks of two machines differ by seconds,
and sixty are plenty.
"""
LAST_START = timedelta(seconds=30)
"""No step is begun this close to the function's deadline; one API call with its retries fits."""
MAX_ATTEMPTS = 5
"""So many attempts cut off in a row are no accident: Lambda itself makes three of one event."""
LONGEST_BACKOFF = timedelta(hours=6)
"""A clean-up that keeps failing is tried four times a day: soon after its cause has been mended."""
PAGE_AGAIN = timedelta(days=1)
"""Told once, people are told again a day later, not every five minutes."""
NEWS_RETRY = timedelta(minutes=1)
"""News that a busy topic did not take is tried again by the next sweep."""
REFUSED_NEWS_RETRY = timedelta(minutes=15)
"""News that cannot be sent as things are lands in the dead-letter queue each time it is tried:
four times an hour is enough to be noticed.
"""
BUSY_RETRY = timedelta(minutes=1)
"""EC2's request buckets refill within seconds; the next sweep is early enough."""
HALT_POLL = timedelta(minutes=5)
"""How often a halted run looks whether the stop has been lifted."""

Workflow = Callable[[Run], Sequence[Step]]
"""The steps that this version of the code knows for a run."""
Publish = Callable[[Told], None]


@dataclass(frozen=True)
class Engine:
    """What moving runs takes; made for each invocation, because the deadline is its own."""

    runs: RunStore
    workflow: Workflow
    cloud: Any
    """What the steps act on; passed to them as it is."""
    publish: Publish
    clock: Clock
    deadline: datetime
    """When Lambda will end this invocation."""


# ── Deciding ──────────────────────────────────────────────────────────────────────────────────────


def next_run(steps: Sequence[Step], run: Run, report: Report, now: datetime) -> Run:
    """What the record becomes after a report. Pure. Every report ends the count of attempts."""
    step = next(step for step in steps if step.name == run.step)
    run = replace(
        run, facts={**run.facts, **report.facts}, unsent=(*run.unsent, *report.news), attempts=0
    )
    match report:
        case Done():
            return _enter_next(steps, run, now)
        case Waiting(on, until) if step.always or now <= run.entered_at + step.within:
            waiting = replace(run, waits_for=on, wake_at=until or now + step.poll, setbacks=0)
            return _paged_if_late(step, waiting, now)
        case Waiting(on):
            why = f"{step.name} waited more than {step.within} for {on}"
            return _fail(steps, step, run, why, now)
        case Failed(why) if step.always:
            return _set_back(step, run, why, now)
        case Failed(why):
            return _fail(steps, step, run, why, now)


def _enter_next(steps: Sequence[Step], run: Run, now: datetime) -> Run:
    """Past the current step: to the next one that runs, or to the end."""
    known = {step.name: step for step in steps}
    rest = run.steps[run.steps.index(run.step or "") + 1 :]
    # After a failure only clean-up follows. A name that this version does not know may be clean-up:
    # stop there.
    following = next(
        (n for n in rest if not run.failure or n not in known or known[n].always), None
    )
    entered = replace(
        run, step=following, entered_at=now, wake_at=now, finished=run.finished + 1, waits_for="",
        setbacks=0, paged_at=None, halted_at=None,
        # What a failed step may have made without our knowing is for clean-up to look for.
        unclear_since=run.unclear_since if run.failure else None,
    )  # fmt: skip
    if following is None and run.failure:
        return _tell(entered, RunFailed.about(entered, why=run.failure, at=now))
    return entered


def _fail(steps: Sequence[Step], step: Step, run: Run, why: str, now: datetime) -> Run:
    failed = replace(run, failure=run.failure or why)
    told = StepFailed.about(run, step=step.name, why=why, at=now)
    return _enter_next(steps, _tell(failed, told), now)


def _set_back(step: Step, run: Run, why: str, now: datetime) -> Run:
    """An `always` step failed: it stays and backs off; people hear of it at once, then daily."""
    again = replace(
        run,
        waits_for=f"another attempt, after: {why}",
        wake_at=now + _backoff(step.poll, run.setbacks),
        setbacks=run.setbacks + 1,
    )
    return _paged(again, StepOverdue, step.name, why, now)


def _paged_if_late(step: Step, run: Run, now: datetime) -> Run:
    if now <= run.entered_at + step.within:
        return run
    why = f"has waited more than {step.within} for {run.waits_for}"
    return _paged(run, StepOverdue, step.name, why, now)


def _stuck(run: Run, why: str, now: datetime) -> Run:
    """A run that cannot be moved as it is: kept, paged about daily, looked at ever more rarely."""
    stuck = replace(
        run,
        waits_for=f"a person: {why}",
        wake_at=now + _backoff(timedelta(minutes=5), run.setbacks),
        setbacks=run.setbacks + 1,
    )
    return _paged(stuck, RunStuck, run.step or "", why, now)


def _paged(run: Run, kind: type[StepOverdue | RunStuck], step: str, why: str, now: datetime) -> Run:
    """Told now and then daily; each day's page is news of its own, with an id of its own."""
    if not _page_due(run, now):
        return run
    told = kind.about(run, of=naming.minute(now), step=step, why=why, at=now)
    return _tell(replace(run, paged_at=now), told)


def _page_due(run: Run, now: datetime) -> bool:
    return run.paged_at is None or now >= run.paged_at + PAGE_AGAIN


def _tell(run: Run, told: Told) -> Run:
    return replace(run, unsent=(*run.unsent, told))


def _backoff(first: timedelta, times: int) -> timedelta:
    """Twice as long each time, up to the longest; two minutes take eight doublings to get there."""
    return min(first * (1 << min(times, 8)), LONGEST_BACKOFF)


# ── Acting ────────────────────────────────────────────────────────────────────────────────────────


def advance(run_id: str, engine: Engine) -> Run | None:
    """Move one run as far as it will go now; None if another invocation is at it, or it is over.

    Safe to repeat, late or side by side. Raises what crashed (a programming error, a permission
    that is missing: they belong in the dead-letter queue), but only after the news has been sent
    and the lease given back.
    """
    lease = Lease(secrets.token_hex(8), engine.deadline + LEASE_MARGIN)
    run = engine.runs.lease(run_id, lease, engine.clock())
    if run is None:
        telemetry.logger.info("run is over, unknown, or somebody's else", extra={"run": run_id})
        return None
    if run.step and run.attempts > 1:  # an earlier attempt never reported: look for its traces
        run = replace(run, unclear_since=engine.clock())
    crash = unsendable = None
    try:
        run, crash = _move(run, engine)
        run, unsendable = _send(run, engine)
        run = _release(run, engine)
    except Stale:
        telemetry.logger.info("another invocation moved the run first", extra={"run": run_id})
        run = None
    if error := crash or unsendable:
        raise error
    return run


def _move(run: Run, engine: Engine) -> tuple[Run, Exception | None]:
    """Ensure step after step until the run waits, ends, crashes, or too little time is left."""
    while run.step is not None and engine.clock() + LAST_START < engine.deadline:
        try:
            run, rests = _ensure(run, engine)
        except Stale:
            raise
        except Exception as crash:  # noqa: BLE001 (raised again, once the lease is given back)
            telemetry.logger.exception("step crashed", extra={"run": run.id, "step": run.step})
            # Lambda repeats the event after one and two minutes; then the sweep takes over.
            wake_at = engine.clock() + _backoff(timedelta(minutes=2), run.attempts)
            return replace(run, wake_at=wake_at), crash
        if rests:
            return run, None
    # This invocation has begun nothing that it has not reported; of an ended run, nobody has.
    return replace(run, attempts=max(run.attempts - 1, 0) if run.step else 0), None


def _ensure(run: Run, engine: Engine) -> tuple[Run, bool]:
    """One attempt at the run's step, saved; and whether the run rests now."""
    now = engine.clock()
    steps = engine.workflow(run)
    step = next((step for step in steps if step.name == run.step), None)
    if not (step and step.always) and (stop := engine.runs.stop()):
        return _halted(run, stop, now), True
    if run.halted_at:
        run = replace(run, entered_at=run.entered_at + (now - run.halted_at), halted_at=None)
    moved = _attempt(steps, step, run, engine)
    now = engine.clock()
    rests = moved.step is None or (moved.step == run.step and moved.wake_at > now)
    moved = replace(
        moved,
        attempts=0 if rests else 1,  # what follows is an attempt at what comes next
        lease=None if rests and not moved.unsent else run.lease,
    )
    return engine.runs.save(moved, _history(step, run, moved, now)), rests


def _halted(run: Run, stop: Stop, now: datetime) -> Run:
    why = f"the stop set by {stop.by} to be lifted: {stop.why}"
    return replace(
        run, waits_for=why, wake_at=now + HALT_POLL, halted_at=run.halted_at or now, attempts=0
    )


def _attempt(steps: Sequence[Step], step: Step | None, run: Run, engine: Engine) -> Run:
    now = engine.clock()
    if step is None:  # until a version knows it, the time does not count against its limit
        why = f"step {run.step!r} is not known to this version"
        return _stuck(replace(run, halted_at=now), why, now)
    if (
        run.failure and not step.always
    ):  # unknown when the run came to it, and no clean-up after all
        return _enter_next(steps, run, now)
    if run.attempts > MAX_ATTEMPTS and (not step.always or _page_due(run, now)):
        why = f"{MAX_ATTEMPTS} attempts at {step.name} never reported: killed, timed out or crashed"
        stuck = _stuck(run, why, now)
        # Clean-up is told of, which needs an invocation that survives, and then tried again;
        # anything else gives way to it.
        if step.always:
            return replace(stuck, wake_at=now + step.poll)
        return next_run(steps, stuck, Failed(why), now)
    try:
        report = step.ensure(run, engine.cloud, now)
    except Busy as busy:
        if isinstance(busy, Unclear):  # it may have happened: its traces are looked for
            run = replace(run, unclear_since=engine.clock())
        why = f"{busy.service} to answer again ({busy.code})"
        report = Waiting(why, until=engine.clock() + BUSY_RETRY)
    return next_run(steps, run, report, engine.clock())


def _history(step: Step | None, run: Run, moved: Run, now: datetime) -> Mapping[str, str] | None:
    """The line of a step that has ended."""
    if step is None or moved.finished == run.finished:
        return None
    skipped = run.failure and not step.always
    failed_here = moved.failure if not run.failure else None
    return {
        "step": step.name,
        "entered_at": run.entered_at.isoformat(),
        "left_at": now.isoformat(),
        "went": "skipped" if skipped else failed_here or "done",
    }


def _send(run: Run, engine: Engine) -> tuple[Run, Exception | None]:
    """Send what the record holds. What cannot be sent stays in it, and holds up nothing behind it.

    A busy topic is tried again quietly; anything else is returned, because somebody must mend it.
    """
    kept: list[Told] = []
    crash = None
    for number, told in enumerate(run.unsent):
        try:
            engine.publish({**told, "version": run.version})
        except Busy as busy:  # the rest would only wait for it too
            telemetry.logger.warning("topic busy", extra={"run": run.id, "why": str(busy)})
            kept += run.unsent[number:]
            break
        except Exception as error:  # noqa: BLE001 (raised again, once the lease is given back)
            telemetry.logger.exception("news cannot be sent", extra={"run": run.id})
            kept.append(told)
            crash = error
    if kept:
        retry_at = engine.clock() + (REFUSED_NEWS_RETRY if crash else NEWS_RETRY)
        run = replace(run, wake_at=min(run.wake_at, retry_at) if run.step else retry_at)
    return replace(run, unsent=tuple(kept)), crash


def _release(run: Run, engine: Engine) -> Run:
    return engine.runs.save(replace(run, lease=None)) if run.lease else run


# ── Told in words ─────────────────────────────────────────────────────────────────────────────────


def advance_all(run_ids: Iterable[str], engine: Engine) -> dict[str, str]:
    """Where each run stands, in words."""
    return {run_id: _stands(advance(run_id, engine)) for run_id in run_ids}


def _stands(run: Run | None) -> str:
    if run is None:
        return "somebody else is at it, or it is over"
    if run.step is None:
        return f"failed: {run.failure}" if run.failure else "done"
    return f"{run.step}: waits for {run.waits_for}" if run.waits_for else f"{run.step}: due"
