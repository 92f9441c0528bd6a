"""A year of the seeded account in a few minutes: `python -m tests.simulation.year [seed [weeks]]`.

Every night of a year runs in the cloud in a box, on a sparse clock (`sparse.py`). Once a week
something goes wrong (`year_story.py`); what that must lead to is worked out apart from it
(`year_model.py`). In the course of the year and at its end this checks that

- nothing leaked, and nothing of anybody else's was touched or called ours;
- the last good recovery point of a resource was never removed;
- the catalogue, rebuilt from the account, equals the catalogue that was lost;
- what is kept is what the pure plan keeps, applied to everything that ever completed;
- the gaps that people are told of are those that were injected, each told once;
- no run is stuck, no alarm sounds that should not, and no item of the table grows large.

It prints its figures, and ends with an error if something does not hold.
"""

import gc
import resource
import sys
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.dynamodb.models import dynamodb_backends

from local.aws import dynamodb_backups, ec2, rds
from local.cloud import Cloud
from tests.simulation import year_model as model
from tests.simulation import year_story as story
from tests.simulation.sparse import THIN, SparseClock
from tests.simulation.year_model import Completed, Expected, Span, Told
from tests.simulation.year_story import DAY, WEEK, Incident, Resource, Stretch
from watchkeeper import naming
from watchkeeper.aws.table import unpack

BEFORE_NOON = timedelta(minutes=10)
"""When a week is looked at: its removals are done, and no incident is open but of keys."""
QUARTER = 13
"""Weeks between two losses of the catalogue."""
ABOUT = timedelta(hours=1)
"""How far a page may be from the moment that the model gives: an alarm looks at ten minutes, and a
killed invocation comes back after a lease.
"""
ABOUT_THE_END = timedelta(hours=2)
"""It is over with the recovery point of the last resource, and a database may be in the hour before
its maintenance window when the night comes, and then in the window.
"""
REMEMBERED = 2 * DAY
"""How long measured values are kept: no alarm looks further back than a day."""

Record = dict[str, Any]


class Broken(AssertionError):
    """Something that must hold does not."""


@dataclass
class Year:
    """A stretch of the seeded account's life, and what was seen of it on the way."""

    cloud: Cloud
    stretch: Stretch
    resources: Sequence[Resource]
    incidents: Sequence[Incident]
    foreign: frozenset[str]
    """Ids and ARNs of everybody else's snapshots and backups, but for those that age."""
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Per service and operation."""
    invocations: Counter[str] = field(default_factory=Counter)
    rebuilt: list[int] = field(default_factory=list)
    """How many recovery points each rebuild brought back."""

    @property
    def expected(self) -> Expected:
        plans = story.policy().plans
        return model.expected(self.resources, plans, self.stretch, self.incidents)


@contextmanager
def begun(stretch: Stretch, thin: timedelta | None = THIN) -> Iterator[Year]:
    """The account at the beginning, with everything that will happen to it appointed."""
    with Cloud(stretch.begins, thin=thin, pace=story.PACE, seed=stretch.seed) as cloud:
        foreign = frozenset(held(cloud)) - vaulted(cloud)
        story.begin(cloud)
        incidents = story.drawn(stretch)
        story.appoint(cloud, stretch, incidents)
        yield Year(cloud, stretch, story.resources(cloud), incidents, foreign)


def live(year: Year) -> Iterator[datetime]:
    """Let the year pass, and check it; gives the end of each week."""
    clock = SparseClock(year.cloud, story.policy())
    for number in range(1, year.stretch.weeks + 1):
        week = year.stretch.begins + number * WEEK
        clock.run_until(week - BEFORE_NOON)  # at noon, the next incident may begin
        check_week(year)
        if number % QUARTER == 0 or week == year.stretch.ends:
            check_rebuild(year)
        _take_down(year)
        yield week


def _take_down(year: Year) -> None:
    """Count what was done, and let go of what nobody will look at again: a year of it is much."""
    cloud = year.cloud
    year.calls.update((one.service, one.operation) for one in cloud.calls)
    year.invocations.update(one.function.logical_id for one in cloud.functions.invocations)
    cloud.calls.clear()
    cloud.functions.invocations.clear()
    old = cloud.clock.now() - REMEMBERED
    for series in cloud.metrics._series.values():
        del series[: bisect_left(series, old, key=lambda one: one.at)]
    cloud.metrics._recorded.clear()
    cloudwatch_backends[cloud.account_id][cloud.region].metric_data.clear()


# ── What there is ─────────────────────────────────────────────────────────────────────────────────


def items(cloud: Cloud, prefix: str) -> list[Record]:
    """The items of the table whose pk begins like that, past the API: a year has 20,000."""
    table = dynamodb_backends[cloud.account_id][cloud.region].tables[cloud.physical_id("Table")]
    partitions: Mapping[Any, Any] = table.items
    return [
        unpack(one.to_json()["Attributes"])
        for pk, partition in partitions.items()
        if pk.value.startswith(prefix)
        for one in partition.values()
    ]


def held(cloud: Cloud) -> dict[str, bool]:
    """Per id or ARN of every snapshot and backup in the account, whether it says that it is ours.

    Past the APIs, which hide what is new and page the rest.
    """
    machines, databases = ec2.installed_in(cloud), rds.installed_in(cloud).backend
    tables = dynamodb_backups.installed_in(cloud)
    found = {
        str(one.id): _says_ours(cloud, one.get_tags(), "key", "value")
        for one in machines.backend.snapshots.values()
        if machines.life_of(one).gone_at is None
    }
    for snapshots in (databases.database_snapshots, databases.cluster_snapshots):
        for one in snapshots.values():
            if one.snapshot_type == "automated":
                continue  # RDS makes and removes them as it likes
            found[one.arn] = _says_ours(cloud, one.tags, "Key", "Value")
    for one in tables.backend.backups.values():
        if tables.life_of(one).gone_at is None:
            name = naming.parse_table_backup(one.name)
            found[one.arn] = name is not None and name[0] == cloud.stack_name
    return found


def _says_ours(cloud: Cloud, tags: Iterable[Mapping[str, Any]], key: str, value: str) -> bool:
    return any((tag[key], tag[value]) == (naming.TAG_STACK, cloud.stack_name) for tag in tags)


def vaulted(cloud: Cloud) -> set[str]:
    """What AWS Backup keeps, named as in `held`."""
    kept = story.kept_by_others(cloud).values()
    return {arn.rsplit("snapshot/", 1)[-1] for points in kept for arn in points}


def parts_of(records: Iterable[Record], *states: str) -> set[str]:
    return {part["snapshot"] for one in records if one["state"] in states for part in one["parts"]}


# ── What must hold every week ─────────────────────────────────────────────────────────────────────


def check_week(year: Year) -> None:
    """Catalogue and account agree, nobody else's is touched, and no run is left over."""
    cloud, there = year.cloud, held(year.cloud)
    records = items(cloud, "POINT#")
    ours = {one for one, is_ours in there.items() if is_ours}
    at = f"{cloud.clock.now():%Y-%m-%d}"
    _same(f"{at}: ours in the account", ours, parts_of(records, "completed", "failed"))
    _same(f"{at}: others' that are gone", (year.foreign | vaulted(cloud)) - there.keys(), set())
    removed = {one.rsplit(":", 1)[-1] for one in parts_of(records, "removed")}
    _same(f"{at}: deleted and not in the catalogue", _deleted(cloud) - removed, set())
    due = [one["pk"] for one in items(cloud, "RUN#") if one["sk"] == "RUN" and "due" in one]
    _same(f"{at}: runs that are not done", due, [])


def _deleted(cloud: Cloud) -> set[str]:
    """What functions asked to be deleted since the last look."""
    return {
        str(name).rsplit(":", 1)[-1]
        for call in cloud.calls
        if call.operation.startswith("Delete") and call.service in ("ec2", "rds", "dynamodb")
        for name in call.params.values()
    }


def check_rebuild(year: Year) -> None:
    """The catalogue is lost, and comes back from the account as it was."""
    cloud = year.cloud
    table, client = cloud.physical_id("Table"), cloud.client("dynamodb")
    before = _listed(cloud)
    for pk, sk in before:
        client.delete_item(TableName=table, Key={"pk": {"S": pk}, "sk": {"S": sk}})
    request = f"after-the-fire-of-{cloud.clock.now():%Y-%m-%d}"
    done = cloud.invoke("TakeBackups", {"trigger": "rebuild", "request_id": request})
    _same("a rebuild's error", done.error, None)
    _same("the catalogue, rebuilt", _listed(cloud), before)
    year.rebuilt.append(len(before))


def _listed(cloud: Cloud) -> dict[tuple[str, str], Record]:
    return {
        (one["pk"], one["sk"]): one for one in items(cloud, "POINT#") if one["state"] == "completed"
    }


def _same(what: str, is_: object, should_be: object) -> None:
    if is_ == should_be:
        return
    if isinstance(is_, Collection) and isinstance(should_be, Collection):
        more, fewer = [
            [one for one in a if one not in b] for a, b in ((is_, should_be), (should_be, is_))
        ]
        raise Broken(f"{what}: unexpected {more[:5]}, missing {fewer[:5]}")
    raise Broken(f"{what}: {is_!r}, not {should_be!r}")


# ── What must hold in the end ─────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class End:
    """The year in hindsight: the catalogue remembers everything that ever was."""

    history: Mapping[str, Sequence[Record]]
    """Per ARN of a resource, every recovery point of it that ever completed, oldest first."""
    failed: Mapping[str, int]
    """Per ARN, how many never did."""

    @classmethod
    def of(cls, year: Year) -> "End":
        history, failed = defaultdict(list), Counter[str]()
        for one in sorted(items(year.cloud, "POINT#"), key=lambda one: str(one["created_at"])):
            if one["state"] == "failed" or one["why"].startswith("it never completed"):
                failed[one["resource"]] += 1
            else:
                history[one["resource"]].append(one)
        return cls(dict(history), failed)


def check_end(year: Year) -> End:
    """All of what the year must have come to."""
    end, expected = End.of(year), year.expected
    for one in year.resources:
        history = end.history.get(one.arn, [])
        _check_taken(one, history, end, expected)
        _check_kept(one, history, year.stretch)
        _check_last_good(one.label, history)
    check_pages(year, expected)
    return end


def _check_taken(one: Resource, history: Sequence[Record], end: End, expected: Expected) -> None:
    nights = [record["run"].split("#")[2] for record in history]
    taken = expected.taken[one.arn]
    should_be = [naming.minute(each.night.due) for each in taken if each.completes]
    _same(f"completed of {one.label}", nights, should_be)
    should_fail = sum(not each.completes for each in taken)
    _same(f"failed of {one.label}", end.failed.get(one.arn, 0), should_fail)


def _check_kept(one: Resource, history: Iterable[Record], stretch: Stretch) -> None:
    """The pure plan, applied at each removal to all that ever completed, leaves what is left."""
    points = [
        Completed(
            record["id"],
            naming.parse_instant(record["created_at"]),
            _completed_at(record),
        )
        for record in history
    ]
    left = {record["id"] for record in history if record["state"] == "completed"}
    _same(f"kept of {one.label}", left, model.kept(points, story.policy().plans[one.plan], stretch))


def _completed_at(record: Record) -> datetime:
    """RDS and DynamoDB do not tell; it is minutes."""
    return naming.parse_instant(record.get("completed_at") or record["created_at"])


def _check_last_good(name: str, history: Sequence[Record]) -> None:
    """Whenever one was removed, a newer one had completed and was still there."""
    for older, record in enumerate(history):
        if (at := record.get("removed_at")) and not any(
            _completed_at(newer) <= naming.parse_instant(at)
            and (newer.get("removed_at") or "9999") > at
            for newer in history[older + 1 :]
        ):
            raise Broken(f"{name}: {record['id']} was removed, and no newer one was there at {at}")


# ── What people were told ─────────────────────────────────────────────────────────────────────────

NEVER_SOUND = (
    *("SweepSilentAlarm", "RunsOverdueAlarm", "RunsStuckAlarm", "PolicyRefusedAlarm"),
    *("RemovalHaltedAlarm", "PostScriptFailedAlarm", "SweepRunsUndeliveredAlarm"),
    *("TakeBackupsUndeliveredAlarm", "ExpireBackupsUndeliveredAlarm"),
    "ExpireBackupsUnhandledAlarm",
)
"""Whatever goes wrong in this year, none of these has a reason."""


def alarms(cloud: Cloud) -> dict[str, list[tuple[datetime, str]]]:
    """Per alarm, when it changed and to what: ALARM or OK."""
    names = {cloud.physical_id(one): one for one in cloud.resources if one.endswith("Alarm")}
    found: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
    for page in cloud.published("PagesTopic"):
        state, _, rest = (page.subject or "").partition(': "')
        if state in ("ALARM", "OK"):
            found[names[rest.partition('"')[0]]].append((page.at, state))
    return dict(found)


def sounded(changes: Iterable[tuple[datetime, str]], ends: datetime) -> list[Span]:
    """From ALARM to OK, or to the end."""
    spans: list[Span] = []
    ordered = [*changes, (ends, "OK")]
    for (since, state), (until, _) in pairwise(ordered):
        if state == "ALARM":
            spans.append((since, until))
    return spans


def told(year: Year) -> list[Told]:
    """The pages that name resources at risk."""
    found = []
    for page in year.cloud.published("PagesTopic"):
        if (page.subject or "").startswith("At risk in plan "):
            plan, counted = (page.subject or "").removeprefix("At risk in plan ").split(": ")
            lines = [line for line in page.message.splitlines() if line.startswith("- ")]
            named = sorted(line.removeprefix("- ").partition(": ")[0] for line in lines)
            in_all = int(counted.split(", ")[1].split()[0])
            found.append(Told(page.at.date(), plan, tuple(named), in_all))
    return sorted(found)


def check_pages(year: Year, expected: Expected) -> None:
    """People are told of the gaps that were injected, of each once, and of no other."""
    _same("pages about resources at risk", told(year), list(expected.told))
    changes = alarms(year.cloud)
    _check_overdue(
        sounded(changes.get("BackupsOverdueAlarm", []), year.stretch.ends), expected.overdue
    )
    for name in NEVER_SOUND:
        _same(f"{name}", sounded(changes.get(name, []), year.stretch.ends), [])
    _check_given_up(
        sounded(changes.get("SweepRunsUnhandledAlarm", []), year.stretch.ends), year.incidents
    )
    pages = [page.subject or "" for page in year.cloud.published("PagesTopic")]
    _same("pages", [one for one in pages if one.startswith(("Stuck: ", "Failed: "))], [])


def _check_given_up(heard: Sequence[Span], incidents: Sequence[Incident]) -> None:
    """A sweep's tick is given up where the sweep was killed, until somebody empties its queue."""
    kills = [(one.begins, one.ends + ABOUT) for one in incidents if one.what == "killed"]
    unexplained = [
        span
        for span in heard
        if not any(begins <= span[0] and span[1] <= ends for begins, ends in kills)
    ]
    _same("SweepRunsUnhandledAlarm", unexplained, [])


def _check_overdue(heard: Sequence[Span], expected: Sequence[Span]) -> None:
    def shown(spans: Iterable[Span]) -> list[str]:
        return [f"{since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M}" for since, until in spans]

    if len(heard) != len(expected):
        more, fewer = (
            [one for one in spans if not any(abs(one[0] - two[0]) <= ABOUT for two in others)]
            for spans, others in ((heard, expected), (expected, heard))
        )
        raise Broken(f"backups overdue: unexpected {shown(more)}, missing {shown(fewer)}")
    for one, other in zip(heard, expected, strict=True):
        (since, until), (should_begin, should_end) = one, other
        if abs(since - should_begin) > ABOUT or abs(until - should_end) > ABOUT_THE_END:
            _same("backups overdue", shown([one]), shown([other]))


# ── Its figures ───────────────────────────────────────────────────────────────────────────────────

# US dollars per call in us-east-1: https://aws.amazon.com/dynamodb/pricing/on-demand/,
# /sns/pricing/, /s3/pricing/, /kms/pricing/. What is not named here costs nothing per call.
PRICES = {
    ("dynamodb", "GetItem"): 0.125e-6, ("dynamodb", "Query"): 0.125e-6,
    ("dynamodb", "BatchGetItem"): 0.5e-6, ("dynamodb", "PutItem"): 0.625e-6,
    ("dynamodb", "UpdateItem"): 0.625e-6, ("dynamodb", "TransactWriteItems"): 2.5e-6,
    ("sns", "Publish"): 0.5e-6, ("s3", "PutObject"): 5e-6, ("s3", "GetObject"): 0.4e-6,
    ("kms", "DescribeKey"): 3e-6,
}  # fmt: skip
LAMBDA_REQUEST, SCHEDULER_REQUEST = 0.2e-6, 1e-6
TICKS_A_DAY = {"SweepRuns": 24 * 60, "TakeBackups": 24 * 4, "ExpireBackups": 24}
QUIET_TICK = {"SweepRuns": 4, "TakeBackups": 5, "ExpireBackups": 4}
"""Calls of a tick that finds nothing to do, nearly all of them reads of DynamoDB."""


def figures(year: Year, end: End, seconds: float) -> Iterator[str]:
    """Lines for people."""
    expected, stretch = year.expected, year.stretch
    late = sum(night.starts > night.due for night in expected.nights)
    things, nights = len(year.resources), len(expected.nights)
    yield f"simulated       {stretch.weeks} weeks, {nights} nights of {things} resources"
    yield f"took            {seconds:.0f} s of one core, {_peak_mib():.0f} MiB at most"
    for what, number in sorted(Counter(one.what for one in year.incidents).items()):
        yield f"went wrong      {number} times: {what}"
    yield f"nights          {expected.lost} never came, {late} came late"
    yield from _kept_figures(year, end)
    gaps = [until - since for spans in expected.gaps.values() for since, until in spans]
    longest = max(gaps, default=timedelta(0)) / DAY
    yield f"RPO missed      {len(gaps)} times, as injected; the longest for {longest:.1f} days"
    yield f"  told          {len(told(year))} pages name resources that have come to be at risk"
    for name, changes in sorted(alarms(year.cloud).items()):
        if spans := sounded(changes, stretch.ends):
            yield f"  alarm         {name.removesuffix('Alarm')}: {len(spans)} times"
    table = items(year.cloud, "")
    largest = max(table, key=_size)
    yield f"table           {len(table)} items, the largest has {_size(largest)} bytes:"
    yield f"                {largest['pk']} {largest['sk']}"
    calls, completed = sum(year.calls.values()), sum(map(len, end.history.values()))
    yield f"calls           {calls} of AWS, {calls / completed:.1f} per recovery point"
    yield f"invocations     {sum(year.invocations.values())}, without quiet ticks"
    yield f"calls cost      {_cost(year):.2f} USD, with quiet ticks; storage is extra"


def _kept_figures(year: Year, end: End) -> Iterator[str]:
    left = {
        arn: sum(one["state"] == "completed" for one in points)
        for arn, points in end.history.items()
    }
    completed, failed = sum(map(len, end.history.values())), sum(end.failed.values())
    yield f"recovery points {completed} completed, {failed} failed, {sum(left.values())} kept"
    for plan in story.policy().plans:
        per = [left.get(one.arn, 0) for one in year.resources if one.plan == plan]
        yield f"  {plan:<13} {len(per)} resources, {min(per)} to {max(per)} kept of each"
    rebuilt = ", ".join(map(str, year.rebuilt))
    yield f"catalogue       lost and rebuilt {len(year.rebuilt)} times, with {rebuilt} in it"


def _cost(year: Year) -> float:
    """Of every call, and of the quiet ticks that the sparse clock left out."""
    days = year.stretch.weeks * 7
    quiet = {name: max(0, days * per - year.invocations[name]) for name, per in TICKS_A_DAY.items()}
    read = PRICES["dynamodb", "GetItem"]
    return (
        sum(PRICES.get(call, 0) * number for call, number in year.calls.items())
        + sum(year.invocations.values()) * LAMBDA_REQUEST
        + sum(
            number * (QUIET_TICK[name] * read + LAMBDA_REQUEST + SCHEDULER_REQUEST)
            for name, number in quiet.items()
        )
    )


def _size(item: Record) -> int:
    """About what DynamoDB counts: names and values in UTF-8."""
    return len(str(item).encode())


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    # Next to nothing that a year makes is garbage in a circle, and looking for it costs a fifth.
    gc.set_threshold(100_000, 50, 100)
    numbers = [int(one) for one in sys.argv[1:]]
    seed, weeks = [*numbers, *(1, 52)[len(numbers) :]]
    with begun(Stretch(seed, weeks=weeks)) as year:
        for one in year.incidents:
            print(one)  # noqa: T201, a command for a person
        started = time.process_time()
        for week in live(year):
            spent = time.process_time() - started
            print(f"{week:%Y-%m-%d}: {spent:.0f} s", file=sys.stderr)  # noqa: T201
        end = check_end(year)
        for line in figures(year, end, time.process_time() - started):
            print(line)  # noqa: T201


if __name__ == "__main__":
    main()
