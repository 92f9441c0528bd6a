"""A simulated year of choices: who is drilled when, and at what price. No box and no engine: each
drill passes after a while.
"""

import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise

import pytest

from tests.unit.drills.fleet import AWAY, NOW, arn, point, proof
from watchkeeper.backups.model import Kind, RecoveryPoint
from watchkeeper.drills.costs import Shape
from watchkeeper.drills.due import READING, Known, levels_of, overdue
from watchkeeper.drills.forecast import MONTH
from watchkeeper.drills.model import Drill, Level, Proof, Subject
from watchkeeper.drills.policy import DrillsPolicy, parse_drills_policy
from watchkeeper.drills.rules import Choice, choose

YEAR = 365
DAY = timedelta(days=1)
SIGNED = {"sign_off": ["ops@example.com"]}
EVERY = {"restore": "30d", "check": "30d", "exercise": "365d"}
RICH = {"at_once": 3, "per_run_usd": 30, "per_month_usd": 150}


@dataclass
class Year:
    """A made-up fleet and what became of it."""

    policy: DrillsPolicy
    size: int
    seed: int
    now: datetime = NOW
    proofs: dict[str, dict[Level, Proof]] = field(default_factory=dict)
    running: list[tuple[datetime, Drill]] = field(default_factory=list)
    """With when each will have ended."""
    begun: list[tuple[datetime, Drill]] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)
    overdue: Counter[Level] = field(default_factory=Counter)
    spent: list[float] = field(default_factory=list)
    """Per choice, USD of the 30 days that end with it."""

    def lived(self, days: int = YEAR) -> "Year":
        known = Known(since=self.now - timedelta(hours=1), shapes=self.shapes())
        for _ in range(days):
            self.end_what_has_passed()
            subjects = self.subjects()
            late = overdue(subjects, self.policy, self.now, known)
            self.overdue.update(one.level for one in late)
            running = [drill for _, drill in self.running]
            choice = choose(
                subjects, self.policy, running, self.spent_since(MONTH), self.now, "s", known
            )
            self.begin(choice)
            self.now += DAY
        return self

    def begin(self, choice: Choice) -> None:
        self.choices.append(choice)
        for drill in choice.drills:
            self.begun.append((self.now, drill))
            self.running.append((self.now + lasts(drill), drill))
        self.spent.append(self.spent_since(MONTH))

    def end_what_has_passed(self) -> None:
        for ends, drill in self.running:
            if ends <= self.now:
                resource = drill.point.resource
                passed = proof(resource, drill.level, ends)
                self.proofs[resource] = {**self.proofs.get(resource, {}), drill.level: passed}
        self.running = [(ends, drill) for ends, drill in self.running if ends > self.now]

    def spent_since(self, span: timedelta) -> float:
        return sum(drill.cost for at, drill in self.begun if at > self.now - span)

    def fleet(self) -> Iterator[tuple[str, Kind, str, int, bool]]:
        """Name, kind, plan, size and whether there are copies and archived ones, of each."""
        lots = random.Random(self.seed)
        for number in range(self.size):
            kind, plan = lots.choice(list(Kind)), lots.choice(["gold", "silver", "bronze"])
            yield f"{number:03}", kind, plan, lots.choice([1, 8, 50]), lots.random() < 0.3

    def subjects(self) -> list[Subject]:
        found = []
        for name, kind, plan, gib, is_rich in self.fleet():
            resource = arn(kind, name)
            points = made(kind, name, gib, self.now, is_rich=is_rich)
            proofs = self.proofs.get(resource, {})
            found.append(Subject(resource, kind, name, plan, points, proofs))
        return found

    def shapes(self) -> dict[str, Shape]:
        shape = Shape("db.t4g.medium", "postgres")
        return {arn(kind, name): shape for name, kind, *_ in self.fleet()}

    def a_day(self, level: Level) -> list[int]:
        """How many drills each choice began at a level."""
        return [sum(drill.level is level for drill in one.drills) for one in self.choices]

    def gaps(self, level: Level) -> list[timedelta]:
        """Between the ends of the drills of each resource that say something about a level, from
        the beginning to now.
        """
        asked = [one for one in self.subjects() if level in levels_of(one, self.policy)]
        ends = {one.resource: [NOW, self.now] for one in asked}
        for at, drill in self.begun:
            if drill.level.number >= level.number and drill.point.resource in ends:
                ends[drill.point.resource].append(at + lasts(drill))
        return [b - a for times in ends.values() for a, b in pairwise(sorted(times))]


def lasts(drill: Drill) -> timedelta:
    if drill.level in READING:
        return timedelta(minutes=10)
    return timedelta(hours=72 if drill.point.place.tier == "archive" else 3)


@cache
def _templates(kind: Kind, name: str, gib: int) -> tuple[RecoveryPoint, ...]:
    return (
        point(kind, name, gib=gib),
        point(kind, name, gib=gib, region=AWAY),
        point(kind, name, gib=gib, tier="archive"),
    )


def made(
    kind: Kind, name: str, gib: int, now: datetime, *, is_rich: bool
) -> tuple[RecoveryPoint, ...]:
    home, away, archived = _templates(kind, name, gib)
    ages: Sequence[tuple[RecoveryPoint, float]] = [(home, 0.3), (home, 1.3), (home, 20.3)]
    if is_rich:
        ages = [*ages, (away, 1.3), (archived, 60.3)]
    return tuple(replace(one, created_at=now - timedelta(days=days)) for one, days in ages)


@cache
def year(size: int = 20, seed: int = 1, days: int = YEAR, **fields: str) -> Year:
    """`fields` of the policy, each as JSON."""
    document = {name: json.loads(text) for name, text in fields.items()}
    text = json.dumps({"budget": RICH, "every": EVERY, **SIGNED, **document})
    return Year(parse_drills_policy(text), size, seed).lived(days)


@pytest.mark.parametrize(("size", "seed"), [(20, 1), (1, 2), (36, 3)])
def test_nothing_goes_undrilled_past_its_days_if_the_budget_allows(size: int, seed: int) -> None:
    lived = year(size, seed)
    assert lived.overdue == {}
    assert max(lived.gaps(Level.CHECK)) <= timedelta(days=30)
    assert max(lived.gaps(Level.EXERCISE)) <= timedelta(days=365)
    assert max(lived.gaps(Level.BLOCKS), default=DAY) <= timedelta(days=7)
    # From the end of one to the end of the next, of which a higher one may take some hours more.
    assert max(lived.gaps(Level.METADATA)) <= timedelta(days=1, hours=6)


def test_drills_are_not_much_more_frequent_than_asked_for() -> None:
    checks = sum(year().a_day(Level.CHECK)) + sum(year().a_day(Level.EXERCISE))
    asked = 20 * YEAR / 30
    assert asked <= checks <= asked * 1.25


@pytest.mark.parametrize(
    "budget",
    [RICH, {"at_once": 3, "per_run_usd": 5, "per_month_usd": 25},
     {"at_once": 1, "per_run_usd": 8, "per_month_usd": 9}],
)  # fmt: skip
def test_the_budget_is_never_exceeded(budget: dict[str, float]) -> None:
    lived = year(days=150, budget=json.dumps(budget))
    assert max(lived.spent) <= budget["per_month_usd"]
    assert max(choice.estimate for choice in lived.choices) <= budget["per_run_usd"]
    for at in {at for at, _ in lived.begun}:
        restoring = [
            drill
            for began, drill in lived.begun
            if drill.level not in READING and began <= at < began + lasts(drill)
        ]
        assert len(restoring) <= budget["at_once"]


def test_a_budget_that_is_too_small_says_so_from_the_first_day_and_serves_all_in_turn() -> None:
    budget = {"at_once": 3, "per_run_usd": 9, "per_month_usd": 12}
    lived = year(days=150, budget=json.dumps(budget))
    assert any("cannot prove" in one.why for one in lived.choices[0].findings)
    assert lived.overdue[Level.CHECK] > 0
    assert lived.overdue[Level.METADATA] == 0
    drilled = {drill.point.resource for _, drill in lived.begun if drill.level not in READING}
    assert drilled == {subject.resource for subject in lived.subjects()}


def test_work_is_spread_over_the_days() -> None:
    lived = year(36, 3)
    checks = lived.a_day(Level.CHECK)
    assert max(checks) <= 3  # 1.2 a day are asked for
    assert max(sum(checks[day : day + 30]) for day in range(YEAR - 30)) <= 36 * 1.5
    firsts = [count for day, count in enumerate(checks) if (NOW + day * DAY).day == 1]
    assert sum(firsts) / len(firsts) <= 2.5
    exercises = lived.a_day(Level.EXERCISE)
    assert max(sum(exercises[day : day + 30]) for day in range(YEAR - 30)) <= 15


def test_newest_old_random_far_and_archived_points_are_all_drilled() -> None:
    sorts = Counter(
        drill.why.split("; ")[1].split(" of ")[0]
        for _, drill in year().begun
        if drill.level is Level.CHECK
    )
    assert set(sorts) == {
        "the newest", "the oldest", "one", f"the newest copy in {AWAY}", "the newest in the archive"
    }  # fmt: skip
    assert 0.55 < sorts["the newest"] / sum(sorts.values()) < 0.8


def test_nothing_is_restored_in_closed_times_and_nothing_is_late_for_it() -> None:
    weekends, peak = (
        {"opens": "0 0 * * SAT", "lasts": "2d"},
        {"opens": "0 0 18 12 *", "lasts": "9d"},
    )
    lived = year(days=90, closed=json.dumps([weekends, peak]))
    assert lived.overdue == {}
    for at, drill in lived.begun:
        is_closed = at.weekday() >= 5 or (at.month, at.day) in {(12, day) for day in range(18, 27)}
        assert drill.level in READING or not is_closed


def test_a_year_can_be_lived_again() -> None:
    again = Year(year().policy, 20, 1).lived(40)
    assert again.choices == year().choices[:40]
