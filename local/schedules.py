"""EventBridge Scheduler: fires the deployed schedules on the box's clock.

A schedule is looked up in moto every time it fires, so that one switched off, changed or deleted
through the API behaves as in AWS. Scheduler's own retries and dead-letter queue concern deliveries
that Lambda does not accept; here Lambda accepts all, and its own retries apply.

Thinning (`Cloud(thin=...)`) makes long quiet spans cheap. What is skipped, precisely: a tick of a
`rate()` schedule finer than `thin`, when since its previous tick no function has written to a
table or published, and no asynchronous invocation is queued or waits for a retry. The next tick is
then the first regular one that is at least `thin` after the previous one, or the first regular one
after any function writes or publishes, whichever is earlier. Alarms see the metrics of the last
tick again for each skipped one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from moto.scheduler.models import Schedule, scheduler_backends

from local.aws_schedules import occurrences_of_aws
from local.clock import Appointment
from local.metrics import Metric

if TYPE_CHECKING:
    from local.cloud import Cloud
    from local.functions import Invocation

RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")

# How far to look for the next time: most schedules fire within a day, all but leap days within a
# year.
HORIZONS = (timedelta(days=1), timedelta(days=32), timedelta(days=366), timedelta(days=5 * 366))


def next_occurrence(
    expression: str, zone: str, created: datetime, previous: datetime | None
) -> datetime | None:
    """When a schedule fires next after `previous` (None: at all); None when never again."""
    # A rate starts at once when the schedule has no start date.
    after = created - timedelta(microseconds=1) if previous is None else previous
    if every := interval(expression):
        return occurrences_of_aws(expression, zone, created, after, after + every)[0]
    for horizon in HORIZONS:
        times = occurrences_of_aws(expression, zone, created, after, after + horizon)
        if times:
            return times[0]
    return None


def interval(expression: str) -> timedelta | None:
    """The interval of a rate; None for other expressions."""
    rate = RATE.fullmatch(expression)
    return timedelta(**{f"{rate[2]}s": int(rate[1])}) if rate else None


@dataclass
class _Timetable:
    """What the box remembers about one schedule."""

    arn: str
    created: datetime
    fired_at: datetime | None = None
    writes: int = 0
    invocation: Invocation | None = None
    next: Appointment | None = None
    asleep: bool = False
    assumed: list[Metric] = field(default_factory=list)


class Schedules:
    """The Scheduler of one box."""

    def __init__(self, cloud: Cloud, thin: timedelta | None) -> None:
        self._cloud = cloud
        self._thin = thin
        self._backend = scheduler_backends[cloud.account_id][cloud.region]
        self._timetables: dict[str, _Timetable] = {}

    def start(self, schedule: Schedule) -> None:
        """Begin to fire a schedule that was just created or changed."""
        old = self._timetables.pop(schedule.arn, None)
        if old and old.next:
            old.next.cancel()
        timetable = _Timetable(schedule.arn, self._cloud.clock.now())
        self._timetables[schedule.arn] = timetable
        self._plan(timetable, None)

    def stir(self) -> None:
        """Something happened: schedules that sleep resume with their next regular tick."""
        for timetable in self._timetables.values():
            if timetable.asleep:
                self._wake(timetable)

    def _find(self, timetable: _Timetable) -> Schedule | None:
        for group in self._backend.schedule_groups.values():
            for schedule in group.schedules.values():
                if schedule.arn == timetable.arn:
                    return schedule
        return None

    def _plan(self, timetable: _Timetable, previous: datetime | None) -> None:
        """Make the appointment for the next regular tick."""
        schedule = self._find(timetable)
        if schedule is None:
            return
        expression, zone = schedule.schedule_expression, schedule.schedule_expression_timezone
        when = next_occurrence(expression, zone, timetable.created, previous)
        if when is not None:
            self._appoint(timetable, when, lambda: self._tick(timetable, when))

    def _appoint(self, timetable: _Timetable, when: datetime, action: Callable[[], None]) -> None:
        if timetable.next:
            timetable.next.cancel()
        timetable.next = self._cloud.clock.at(when, action, f"schedule {timetable.arn}")

    def _tick(self, timetable: _Timetable, when: datetime) -> None:
        schedule = self._find(timetable)
        if schedule is None:
            return
        every = interval(schedule.schedule_expression)
        if self._thin and every and every < self._thin and self._quiet(timetable):
            self._sleep(timetable, when, every)
        else:
            self._fire(timetable, when)

    def _fire(self, timetable: _Timetable, when: datetime) -> None:
        timetable.asleep = False
        timetable.fired_at = when
        timetable.writes = self._cloud.functions.writes
        schedule = self._find(timetable)
        if schedule is not None and schedule.state == "ENABLED":
            payload = self._payload(schedule, when)
            timetable.invocation = self._cloud.triggers.send(schedule.target["Arn"], payload)
        self._plan(timetable, when)

    def _payload(self, schedule: Schedule, when: datetime) -> Any:
        text = schedule.target.get("Input") or "{}"
        attributes = {
            "schedule-arn": schedule.arn,
            "scheduled-time": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "execution-id": str(UUID(int=self._cloud.random.getrandbits(128), version=4)),
            "attempt-number": "1",
        }
        for name, value in attributes.items():
            text = text.replace(f"<aws.scheduler.{name}>", value)
        return json.loads(text)

    # Thinning

    def _quiet(self, timetable: _Timetable) -> bool:
        functions = self._cloud.functions
        return (
            timetable.fired_at is not None
            and functions.writes == timetable.writes
            and functions.waiting == 0
        )

    def _sleep(self, timetable: _Timetable, when: datetime, every: timedelta) -> None:
        """Skip the regular ticks from `when` on until `thin` after the last one."""
        if timetable.fired_at is None or self._thin is None:
            return
        skipped = []
        while when - timetable.fired_at < self._thin:
            skipped.append(when)
            when += every
        timetable.asleep = True
        if timetable.invocation is not None and skipped:
            timetable.assumed = timetable.invocation.metrics
            self._cloud.metrics.assume(timetable.assumed, skipped)
        self._appoint(timetable, when, lambda: self._fire(timetable, when))

    def _wake(self, timetable: _Timetable) -> None:
        schedule = self._find(timetable)
        every = interval(schedule.schedule_expression) if schedule else None
        if every is None or timetable.fired_at is None:
            return
        timetable.asleep = False
        periods = (self._cloud.clock.now() - timetable.fired_at) // every + 1
        when = timetable.fired_at + periods * every
        self._cloud.metrics.stop_assuming(timetable.assumed, when)
        self._appoint(timetable, when, lambda: self._fire(timetable, when))
