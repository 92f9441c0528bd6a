"""Moves a run as far as it will go now: `next_run` decides, `advance` acts.

The order of things inside `advance` is what survives being killed anywhere:

    lease (counts the attempt) → ensure the step → save state and its news in one write → … → send news → release

Cut off before the save, the step is asked again and knows that an attempt went unreported. Cut off after it, the news
is still in the record, and the due index still holds it. Steps come before news, so that neither a topic that refuses
nor a verifier that crashes keeps a teardown from running.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from watchkeeper import telemetry
from watchkeeper.aws.clock import Clock
from watchkeeper.aws.errors import AwsError, Busy, Unclear
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
"""A lease ends this long after its function's timeout: clocks of two machines differ by seconds, and sixty are plenty."""
LAST_START = timedelta(seconds=30)
"""No step is begun this close to the function's deadline; one API call with its retries fits into it."""
MAX_ATTEMPTS = 5
"""So many attempts cut off in a row are no accident: Lambda itself retries an event twice, so two events' worth."""
LONGEST_BACKOFF = timedelta(hours=6)
"""A clean-up that keeps failing is tried four times a day: soon after whoever was paged has mended its cause."""
PAGE_AGAIN = timedelta(days=1)
"""Told once, people are told again a day later, not every five minutes."""
NEWS_RETRY = timedelta(minutes=1)
"""News that could not be sent is tried again by the next sweep."""
BUSY_RETRY = timedelta(minutes=1)
"""EC2's request buckets refill within seconds; the next sweep is early enough."""
HALT_POLL = timedelta(minutes=5)
"""How often a halted run looks whether the stop has been lifted."""

Workflow = Callable[[Run], Sequence[Step]]
"""The steps that this version of the code knows for a run."""
Publish = Callable[[Told], None]


@dataclass(frozen=True)
class Engine:
    """What moving runs takes; made once per invocation, because the deadline is the invocation's."""

    runs: RunStore
    workflow: Workflow
    cloud: Any
    """What the steps act on; passed to them as it is."""
    publish: Publish
    clock: Clock
    deadline: datetime
    """When Lambda will end this invocation."""


# ── Deciding ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def next_run(steps: Sequence[Step], run: Run, report: Report, now: datetime) -> Run:
    """What the record becomes after a report. Pure. Every report ends the count of cut-off attempts."""
    step = _step(steps, run)
    run = replace(
        run, facts={**run.facts, **report.facts}, unsent=(*run.unsent, *report.news), attempts=0
    )
    match report:
        case Done():
            return _enter_next(steps, run, now)
        case Waiting(on, until) if step.always or now <= run.entered_at + step.within:
            wake_at = until or now + step.poll
            return _paged_if_late(
                step, replace(run, waits_for=on, wake_at=wake_at, setbacks=0), now
            )
        case Waiting(on):
            return _fail(
                steps, step, run, f"{step.name} waited more than {step.within} for {on}", now
            )
        case Failed(why) if step.always:
            return _set_back(step, run, why, now)
        case Failed(why):
            return _fail(steps, step, run, why, now)


def _enter_next(steps: Sequence[Step], run: Run, now: datetime) -> Run:
    """Past the current step: to the next one that runs, or to the end."""
    known = {step.name: step for step in steps}
    rest = run.steps[run.steps.index(run.step or "") + 1 :]
    # After a failure only clean-up follows. A name that this version does not know may be clean-up: stop there.
    following = next(
        (n for n in rest if not run.failure or n not in known or known[n].always), None
    )
    entered = replace(
        run, step=following, entered_at=now, wake_at=now, finished=run.finished + 1, waits_for="",
        unclear_since=None, setbacks=0, paged_at=None, halted_at=None,
    )  # fmt: skip
    if following is None and run.failure:
        return _tell(entered, RunFailed.about(entered, why=run.failure, at=now))
    return entered


def _fail(steps: Sequence[Step], step: Step, run: Run, why: str, now: datetime) -> Run:
    failed = replace(run, failure=run.failure or why)
    return _enter_next(
        steps, _tell(failed, StepFailed.about(run, step=step.name, why=why, at=now)), now
    )


def _set_back(step: Step, run: Run, why: str, now: datetime) -> Run:
    """An `always` step failed: it stays, backs off, and people hear of it at once and then daily."""
    backoff = min(step.poll * 2 ** min(run.setbacks, 8), LONGEST_BACKOFF)
    again = replace(
        run,
        waits_for=f"another attempt, after: {why}",
        wake_at=now + backoff,
        setbacks=run.setbacks + 1,
    )
    return _paged(again, StepOverdue.about(run, step=step.name, why=why, at=now), now)


def _paged_if_late(step: Step, run: Run, now: datetime) -> Run:
    if now <= run.entered_at + step.within:
        return run
    why = f"has waited more than {step.within} for {run.waits_for}"
    return _paged(run, StepOverdue.about(run, step=step.name, why=why, at=now), now)


def _paged(run: Run, told: Told, now: datetime) -> Run:
    return _tell(replace(run, paged_at=now), told) if _page_due(run, now) else run


def _page_due(run: Run, now: datetime) -> bool:
    return run.paged_at is None or now >= run.paged_at + PAGE_AGAIN


def _tell(run: Run, told: Told) -> Run:
    return replace(run, unsent=(*run.unsent, told))


def _step(steps: Sequence[Step], run: Run) -> Step:
    return next(step for step in steps if step.name == run.step)


def _stuck(run: Run, why: str, now: datetime) -> Run:
    """The record of a run that cannot be moved as it is: kept, paged about daily, looked at ever more rarely."""
    backoff = min(timedelta(minutes=5) * 2 ** min(run.setbacks, 8), LONGEST_BACKOFF)
    stuck = replace(
        run, waits_for=f"a person: {why}", wake_at=now + backoff, setbacks=run.setbacks + 1
    )
    return _paged(stuck, RunStuck.about(run, step=run.step or "", why=why, at=now), now)


# ── Acting ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def advance(run_id: str, engine: Engine) -> Run | None:
    """Move one run as far as it will go now; None if another invocation is at it. Safe to repeat, late or side by side.

    Raises whatever a step raises that is not AWS being busy: a programming error belongs in the dead-letter queue.
    """
    lease = Lease(secrets.token_hex(8), engine.deadline + LEASE_MARGIN)
    run = engine.runs.lease(run_id, lease, engine.clock())
    if run is None:
        telemetry.logger.info(
            "run is held by another invocation, or does not exist", extra={"run": run_id}
        )
        return None
    if run.attempts > 1:  # an earlier attempt never reported: from now on its traces are looked for
        run = replace(run, unclear_since=engine.clock())
    try:
        return _release(_send(_move(run, engine), engine), engine)
    except Stale:
        telemetry.logger.info("another invocation moved the run first", extra={"run": run_id})
        return None


def _move(run: Run, engine: Engine) -> Run:
    """Ensure step after step until the run waits, ends, or too little time is left."""
    stop = engine.runs.stop() if run.step else None
    in_flight = run.attempts
    while run.step is not None and engine.clock() + LAST_START < engine.deadline:
        step = next((s for s in engine.workflow(run) if s.name == run.step), None)
        if stop and not (step and step.always):
            return _halted(run, stop, engine.clock())
        if run.halted_at:
            run = replace(
                run, entered_at=run.entered_at + (engine.clock() - run.halted_at), halted_at=None
            )
        moved = _attempt(step, run, engine)
        rests = moved.step is None or (moved.step == run.step and moved.wake_at > engine.clock())
        history = _history(run, moved, engine.clock()) if moved.finished > run.finished else None
        run = engine.runs.save(
            replace(
                moved,
                attempts=0
                if rests
                else 1,  # what follows in this invocation is an attempt at what comes next
                lease=None if rests and not moved.unsent else run.lease,
            ),
            history,
        )
        if rests:
            return run
        in_flight = 1
    return replace(
        run, attempts=max(in_flight - 1, 0)
    )  # this invocation has begun nothing that it has not reported


def _halted(run: Run, stop: Stop, now: datetime) -> Run:
    why = f"the stop set by {stop.by} to be lifted: {stop.why}"
    return replace(
        run, waits_for=why, wake_at=now + HALT_POLL, halted_at=run.halted_at or now, attempts=0
    )


def _attempt(step: Step | None, run: Run, engine: Engine) -> Run:
    now = engine.clock()
    if step is None:
        return _stuck(run, f"step {run.step!r} is not known to this version", now)
    steps = engine.workflow(run)
    if run.attempts > MAX_ATTEMPTS and (not step.always or _page_due(run, now)):
        why = f"{MAX_ATTEMPTS} attempts at {step.name} were cut off (killed, timed out or crashed) without a report"
        stuck = _stuck(run, why, now)
        # Clean-up is told of and then tried again; anything else gives way to it.
        return stuck if step.always else next_run(steps, stuck, Failed(why), now)
    try:
        report = step.ensure(run, engine.cloud, now)
    except Busy as busy:
        if isinstance(busy, Unclear):  # it may have happened: its traces are looked for
            run = replace(run, unclear_since=engine.clock())
        report = Waiting(
            f"{busy.service} to answer again ({busy.code})", until=engine.clock() + BUSY_RETRY
        )
    except Exception:
        _release(_send(replace(run, wake_at=_after_crash(run, engine.clock())), engine), engine)
        raise
    return next_run(steps, run, report, engine.clock())


def _after_crash(run: Run, now: datetime) -> datetime:
    """Lambda repeats a crashed event after one and two minutes; the sweep takes over at a growing distance."""
    return now + min(timedelta(minutes=2) * 2 ** min(run.attempts, 8), LONGEST_BACKOFF)


def _history(run: Run, moved: Run, now: datetime) -> Mapping[str, str]:
    went = moved.failure if moved.failure and not run.failure else "done"
    return {
        "step": run.step or "",
        "entered_at": run.entered_at.isoformat(),
        "left_at": now.isoformat(),
        "went": went,
    }


def _send(run: Run, engine: Engine) -> Run:
    """Send what the record holds, in order; what AWS would not take stays for the next sweep."""
    unsent = list(run.unsent)
    while unsent:
        try:
            engine.publish({**unsent[0], "version": run.version})
        except AwsError as error:
            telemetry.logger.warning(
                "news could not be sent", extra={"run": run.id, "why": str(error)}
            )
            retry_at = engine.clock() + NEWS_RETRY
            return replace(
                run,
                unsent=tuple(unsent),
                wake_at=min(run.wake_at, retry_at) if run.step else retry_at,
            )
        unsent.pop(0)
    return replace(run, unsent=())


def _release(run: Run, engine: Engine) -> Run:
    if run.lease is None:
        return run
    return engine.runs.save(replace(run, lease=None))
