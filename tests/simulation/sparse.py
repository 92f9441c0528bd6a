"""A sparse clock: simulated time jumps between the moments at which a tick has something to do.

The box's own thinning skips quiet ticks, up to so many hours. That alone would start a night late,
so this makes every tick regular again just before the moments that matter. Nothing is missed,
because a quiet tick acts on one of four things, and each is such a moment:

- a time of the policy's: a night or a removal has come, or a night is overdue for not starting;
- a run's `wake_at` in the due index, read again after every write of a function;
- a plan's newest recovery points grow older than its objective, as the sweep tells it;
- a slot of the six-hourly check of keys.

And after a night's report a sweep says soon enough that all is well again: an alarm of the box that
has seen the same in two periods does not look again while ticks are skipped.

Everything else (events, deliveries, retries, alarms, what AWS finishes, what people do) is an
appointment of the clock, and those are always kept. `test_year.py` lets one stretch of time pass
both ways and compares what there is afterwards.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from moto.dynamodb.models import dynamodb_backends

from local.cloud import Cloud
from watchkeeper import naming
from watchkeeper.backups.due import START_GRACE
from watchkeeper.backups.model import CAPABILITY
from watchkeeper.policy import BackupsPolicy
from watchkeeper.runs.service import CAPABILITIES
from watchkeeper.schedules import occurrences

THIN = timedelta(hours=6)
"""Give this to the box: how far apart quiet ticks may be, where nothing at all is due."""
JUST_BEFORE = timedelta(milliseconds=1)
"""A tick that is made regular so long before a moment comes at that moment, if it is one of its."""
KEY_SLOT = timedelta(hours=6)
HEARD = timedelta(minutes=11)
"""After that, both periods of an alarm lie behind the report."""
AHEAD = timedelta(days=1)


class SparseClock:
    """Lets the time of a box pass; the box is made with `thin=THIN`."""

    def __init__(self, cloud: Cloud, policy: BackupsPolicy) -> None:
        self._cloud = cloud
        self._policy = policy
        self._planned: list[datetime] = []
        """Moments that the policy tells of, until then."""
        self._planned_until = cloud.clock.now()
        self._written = -1
        self._stored: list[datetime] = []
        """Moments that the table tells of."""

    def run_until(self, end: datetime) -> None:
        """Keep every appointment up to and including `end`, then be at `end`."""
        clock = self._cloud.clock
        while (now := clock.now()) < end:
            moment = min((one for one in self._moments(now, end) if one > now), default=end)
            appointment = clock.next_at()
            if appointment is not None and appointment < moment - JUST_BEFORE:
                clock.run_until(appointment)  # it may make something due before that moment
                continue
            clock.run_until(max(now, moment - JUST_BEFORE))
            self._cloud.functions.stir()
            clock.run_until(moment)

    def _moments(self, now: datetime, end: datetime) -> Iterator[datetime]:
        written = self._cloud.functions.writes
        if self._written != written:
            self._stored = list(self._read())
            self._written = written
        if now >= self._planned_until:
            self._planned_until = now + AHEAD
            self._planned = list(self._of_the_policy(now, self._planned_until))
        return chain([end, self._planned_until], self._stored, self._planned)

    def _of_the_policy(self, since: datetime, until: datetime) -> Iterator[datetime]:
        midnight = since.replace(hour=0, minute=0, second=0, microsecond=0)
        yield from (
            midnight + slot * KEY_SLOT for slot in range((until - midnight) // KEY_SLOT + 1)
        )
        yield from occurrences(self._policy.removal.when, since, until)
        for plan in self._policy.plans.values():
            for night in occurrences(plan.when, since - START_GRACE, until):
                yield from (night, night + START_GRACE + JUST_BEFORE)

    def _read(self) -> Iterator[datetime]:
        """When runs want to be woken, and when plans miss their objectives."""
        for capability in CAPABILITIES:
            for item in self._items("due", naming.due_key(capability), index="due"):
                yield naming.parse_instant(item["wake_at"]["S"])
        for item in self._items("pk", naming.coverage_pk(CAPABILITY)):
            name = item["sk"]["S"].removeprefix(naming.COVERAGE_PLAN)
            if name in self._policy.plans and item.get("oldest", {}).get("S"):
                objective = self._policy.plans[name].rpo.approximate()
                yield naming.parse_instant(item["oldest"]["S"]) + objective + JUST_BEFORE
            if "reported_at" in item:
                yield naming.parse_instant(item["reported_at"]["S"]) + HEARD

    def _items(self, key: str, value: str, index: str | None = None) -> list[dict[str, Any]]:
        """Of the table as it stands, past the API: this is asked after every write."""
        cloud = self._cloud
        partition = {"S": value}
        found, _, _ = dynamodb_backends[cloud.account_id][cloud.region].query(
            cloud.physical_id("Table"), partition, None, [], None, None, True, None,  # type: ignore[arg-type]
            index_name=index, hash_key_conditions=[(key, partition)],
        )  # fmt: skip
        return [item.to_json()["Attributes"] for item in found]
