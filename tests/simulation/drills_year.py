"""A year of restore drills in minutes: `python -m tests.simulation.drills_year [seed [weeks]]`.

A small account is backed up and drilled for a year in the cloud in a box, on a sparse clock
(`sparse.py`). Once a week something goes wrong (`drills_story.py`). Each day, and at the end, an
independent model (`drills_model.py`) judges that

- no resource goes undrilled past its days, but where a choice had said so or a trouble explains it,
  and then the alarm sounds, and ends;
- the budget is never exceeded: at once by what is there in AWS, in money by what was begun;
- bad recovery points are caught, good ones are not refused;
- every failure is paged once, and nothing else is;
- nothing is left behind, the chains of evidence are whole, and the table says what they say.

It prints its figures, and ends with an error if something does not hold.
"""

import gc
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from local.cloud import Cloud
from tests.crash.restores import left_in
from tests.simulation import drills_model as model
from tests.simulation import drills_story as story
from tests.simulation.drills_account import MEMBERS, PACE, backups_policy, begin
from tests.simulation.drills_records import LEVELS, Seen
from tests.simulation.drills_seen import (
    Year,
    broken_chains,
    drill_runs,
    ended,
    policies,
    read_documents,
    reported,
    seen,
    unmeasured,
    wrong_proofs,
)
from tests.simulation.sparse import THIN, SparseClock
from tests.simulation.year import _take_down as forget
from tests.simulation.year import alarms, sounded
from tests.simulation.year_story import DAY, Stretch
from watchkeeper import naming
from watchkeeper.runs.service import CAPABILITIES
from watchkeeper.schedules import occurrences

JUDGED = timedelta(hours=8, minutes=30)
"""Of a day, in UTC: before the round."""
SIGNED = timedelta(hours=16)
SOON = timedelta(minutes=2)


# ── Letting time pass ─────────────────────────────────────────────────────────────────────────────


class DrillsClock(SparseClock):
    """Knows when rounds are due, and lets ticks sleep again after those that only looked."""

    def __init__(self, year: "Year") -> None:
        super().__init__(year.made.cloud, backups_policy())
        self._year = year
        self._drills = policies()[0]
        self._hushed = -1

    def _moments(self, now: datetime, end: datetime) -> Iterator[datetime]:
        self._year.look_around()
        found = super()._moments(now, end)
        self._hush(now)
        return found

    def _of_the_policy(self, since: datetime, until: datetime) -> Iterator[datetime]:
        # A round that begins has its runs woken by the next sweep.
        rounds = occurrences(self._drills.when, since - DAY, until)
        return chain(super()._of_the_policy(since, until), rounds)

    def _hush(self, now: datetime) -> None:
        """The hourly look for leftovers leaves a record, after which all ticks would be regular.
        Whatever wants to be woken says when, so that nothing is missed if they are not.
        """
        functions = self._cloud.functions
        if functions.writes == self._hushed or functions.waiting:
            return
        due = [
            naming.parse_instant(item["wake_at"]["S"])
            for capability in CAPABILITIES
            for item in self._items("due", naming.due_key(capability), index="due")
        ]
        if min(due, default=now + DAY) > now + SOON:
            for timetable in self._cloud.schedules._timetables.values():
                # What one has measured that was killed is not to be assumed of those skipped.
                if timetable.invocation is None or timetable.invocation.ok:
                    timetable.writes = functions.writes
            self._hushed = functions.writes


@contextmanager
def begun(stretch: Stretch, **options: Any) -> Iterator[Year]:
    """The account at the beginning, with everything that will happen to it appointed."""
    with Cloud(
        stretch.begins, seeded=False, thin=THIN, pace=PACE, seed=stretch.seed, **options
    ) as cloud:
        made = begin(cloud)
        troubles = story.drawn(stretch)
        story.appoint(made, stretch, troubles)
        yield Year(made, stretch, troubles)


def live(year: Year) -> Iterator[datetime]:
    """Let it pass, and judge it each day; gives the end of each week."""
    clock = DrillsClock(year)
    midnight = year.stretch.begins.replace(hour=0, minute=0)
    for number in range(1, year.stretch.weeks * 7 + 1):
        day = midnight + number * DAY
        clock.run_until(day + JUDGED)
        judge_day(year)
        clock.run_until(day + SIGNED)
        story.sign(year.made, year.troubles)
        if number % 7 == 0:
            judge_week(year)
            forget(year)  # type: ignore[arg-type]
            yield day


# ── Judging ───────────────────────────────────────────────────────────────────────────────────────


def judge_day(year: Year) -> None:
    """What was so yesterday and still is stands; one day may have an invocation in the middle."""
    suspected = set(judged(year))
    year.complain(sorted(suspected & year.suspected))
    year.suspected = suspected


def judged(year: Year) -> Iterator[str]:
    read_documents(year)
    now = seen(year)
    yield from model.undrilled(now)
    yield from model.alarmed(now, unmeasured(year))
    yield from model.misjudged(now)
    yield from model.overspent(now)
    yield from model.unaccounted(now)
    yield from model.mispaged(now)
    yield from model.undocumented(now.documents, ended(year.cloud), reported(year.cloud))


NEVER = (
    *("SweepSilentAlarm", "RunsOverdueAlarm", "RunsStuckAlarm"),
    "DrillRestoresUndeliveredAlarm",
)
"""Whatever goes wrong in this year, none of these has a reason."""
CUT_OFF = ("DrillRestoresErrorsAlarm", "DrillRestoresUnhandledAlarm")
"""These have one where invocations are killed, or find the Parameter Store too busy."""


def judge_week(year: Year) -> None:
    """Nothing is left, chains are whole, and the table's newest proofs are the newest documents."""
    cloud = year.cloud
    at = f"{cloud.clock.now():%Y-%m-%d}"
    running = [one for one in drill_runs(cloud) if "step" in one]
    if not running:
        year.complain(f"{at}: left behind: {one}" for one in left_in(cloud))
    judge_day(year)
    year.complain(f"{at}: {one}" for one in broken_chains(year))
    year.complain(f"{at}: {one}" for one in wrong_proofs(year))
    for name, changes in alarms(cloud).items():
        spans = sounded(changes, cloud.clock.now())
        if name in NEVER:
            year.complain(f"{name} at {begins:%Y-%m-%d %H:%M}" for begins, _ in spans)
        if name in CUT_OFF:
            year.complain(
                f"{name} at {begins:%Y-%m-%d %H:%M}"
                for begins, _ in spans
                if not any(
                    one.what in ("killed", "throttled")
                    and one.begins <= begins <= one.ends + story.HOUR
                    for one in year.troubles
                )
            )


# ── Its figures ───────────────────────────────────────────────────────────────────────────────────


def figures(year: Year, seconds: float) -> Iterator[str]:
    """Lines for people."""
    now = seen(year)
    yield f"simulated       {year.stretch.weeks} weeks, {len(now.members)} resources"
    yield f"took            {seconds:.0f} s of one core, {_peak_mib():.0f} MiB at most"
    for what, number in sorted(Counter(one.what for one in year.troubles).items()):
        yield f"went wrong      {number} times: {what}"
    yield from _drills(year, now)
    yield from _money(now)
    late = model.late(now)
    in_all = [(one.since, one.until) for one in late]
    hours = sum((b - a for a, b in model.merged(in_all)), timedelta(0)) / story.HOUR
    yield f"overdue         {len(late)} times, {hours:.0f} h together; each was said or explained"
    for one in late:
        yield (
            f"                {one.member.name} at level {one.level}:"
            f" {one.since:%Y-%m-%d %H:%M} to {one.until:%Y-%m-%d %H:%M}"
        )
    yield f"  alarm         {len(now.alarms)} times"
    sorts = Counter(one.subject.split(":")[0] for one in now.pages)
    told = ", ".join(f"{number} {sort!r}" for sort, number in sorted(sorts.items()))
    yield f"pages           {told}; {model.repeated(now.pages)} sent twice by a killed invocation"
    yield f"calls           {sum(year.calls.values())} of AWS"
    woken = ", ".join(f"{number} {name}" for name, number in sorted(year.invocations.items()))
    yield f"invocations     {woken}"


def _drills(year: Year, now: Seen) -> Iterator[str]:
    kinds = {year.made.arns[one.name]: one.kind for one in MEMBERS if one.name in year.made.arns}
    counted = Counter((kinds[one.resource], one.level, one.verdict) for one in now.documents)
    verdicts = Counter(one.verdict for one in now.documents)
    yield f"drills          {verdicts['passed']} passed, {verdicts['failed']} failed"
    for kind in sorted(set(kinds.values())):
        parts = [
            f"{level} {counted[kind, level, 'passed']}+{counted[kind, level, 'failed']}"
            for level in LEVELS
            if counted[kind, level, "passed"] + counted[kind, level, "failed"]
        ]
        yield f"  {kind:<13} {', '.join(parts)}"
    met = {one.point for one in now.documents} & now.damaged.keys()
    yield f"bad points      {len(now.damaged)}, {len(met)} of them drilled, each caught"
    for (plan, level), span in sorted(model.longest(now).items()):
        every = now.rules[-1].every[plan][level] / DAY
        yield f"  {plan:<7} {level:<9} at most {span / DAY:.1f} days apart, every {every:g} days"


def _money(now: Seen) -> Iterator[str]:
    times = sorted({one.at for one in now.begun})
    most = max((model.within_a_month(now.begun, at) for at in times), default=0.0)
    total = sum(one.usd for one in now.begun)
    crowd = max((number for _, number in now.crowds), default=0)
    largest = max(now.rules, key=lambda one: one.per_month_usd)
    yield (
        f"budget          ${total:.2f} in all, at most ${most:.2f} in 30 days of"
        f" ${largest.per_month_usd:g}; at most {crowd} at once of {largest.at_once}"
    )
    put_off = sum(len(one.put_off) for one in now.choices)
    said = sum(any("budget" in line for line in one.shortfalls) for one in now.choices)
    yield f"                {put_off} put off; {said} of {len(now.choices)} choices called it short"


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    # Next to nothing that a year makes is garbage in a circle, and looking for it costs a fifth.
    gc.set_threshold(100_000, 50, 100)
    numbers = [int(one) for one in sys.argv[1:]]
    seed, weeks = [*numbers, *(1, 52)[len(numbers) :]]
    with begun(Stretch(seed, weeks=weeks)) as year:
        for one in year.troubles:
            print(one)  # noqa: T201, a command for a person
        started, told = time.process_time(), 0
        for week in live(year):
            spent = time.process_time() - started
            print(f"{week:%Y-%m-%d}: {spent:.0f} s", file=sys.stderr)  # noqa: T201
            for complaint in year.complaints[told:]:
                print(f"  NOT SO: {complaint}", file=sys.stderr)  # noqa: T201
            told = len(year.complaints)
        year.complain(judged(year))
        for line in (*figures(year, time.process_time() - started), *year.complaints):
            print(line)  # noqa: T201
        if year.complaints:
            sys.exit(f"{len(year.complaints)} things do not hold")


if __name__ == "__main__":
    main()
