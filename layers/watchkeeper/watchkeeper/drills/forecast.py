"""What the policy of drills asks for and the budget cannot do, in the long run. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from math import ceil
from typing import TYPE_CHECKING

from watchkeeper.drills import points
from watchkeeper.drills.costs import UNKNOWN_SHAPE, estimate
from watchkeeper.drills.due import READING, Known
from watchkeeper.drills.model import Level, Subject

if TYPE_CHECKING:  # reading a policy costs 20 ms of a cold start, and most wake-ups need none
    from watchkeeper.drills.policy import DrillsPolicy

MONTH = timedelta(days=30)
"""What `per_month_usd` is for: any 30 days in a row. A calendar month would begin with a full
purse, and everything that had been put off would be done on its first days.
"""
HEADROOM = 1.25
"""Drills are taken early to spread them, and failed ones again: an amount that only just suffices
on paper does not.
"""


@dataclass(frozen=True)
class Shortfall:
    """Something that the policy asks for and will not get, said before it is too late."""

    why: str
    """A sentence with the remedy."""
    resource: str = ""
    """Empty where it is about many."""
    name: str = ""


@dataclass(frozen=True)
class _Need:
    """What one resource needs of the budget in the long run."""

    subject: Subject
    usd_a_month: float = 0.0
    restores_a_day: float = 0.0
    dearest: float = 0.0
    """USD, of its dearest drill."""
    intervals: frozenset[int] = field(default_factory=frozenset)
    """Days, of the levels that restore something."""


def forecast(
    asked: Sequence[tuple[Subject, Mapping[Level, timedelta]]],
    policy: "DrillsPolicy",
    choices_a_day: float,
    known: Known,
) -> list[Shortfall]:
    """What the policy asks for and will not get, whoever is due today: `asked` is who is drilled at
    which levels, how often. `choices_a_day` are those that may restore something, on average.
    """
    needs = [_need(subject, levels, policy, known) for subject, levels in asked]
    return [
        *_too_dear(needs, policy),
        *_too_much_money(needs, policy),
        *_too_many(needs, policy, choices_a_day),
        *_unsigned(asked, policy),
        *_spans([subject for subject, _ in asked]),
    ]


def _need(
    subject: Subject, levels: Mapping[Level, timedelta], policy: "DrillsPolicy", known: Known
) -> _Need:
    shape = known.shapes.get(subject.resource, UNKNOWN_SHAPE)
    usd, restores, dearest, covered = 0.0, 0.0, 0.0, 0.0
    intervals = set()
    for level, interval in levels.items():  # the highest first
        found = points.candidates(subject, level)
        if not found or (level is Level.EXERCISE and not policy.sign_off):
            continue
        # Of this level alone, a day: what passes at a higher one counts for it.
        rate = max(0.0, timedelta(days=1) / interval - covered)
        covered += rate
        cost = estimate(found[0], level, shape).usd
        usd += rate * MONTH.days * cost
        dearest = max(dearest, cost)
        if level not in READING:
            restores += rate
            intervals.add(interval.days)
    return _Need(subject, usd, restores, dearest, frozenset(intervals))


def _too_dear(needs: Sequence[_Need], policy: "DrillsPolicy") -> list[Shortfall]:
    least = policy.budget.per_run_usd
    return [
        Shortfall(
            f"one drill of it is estimated at ${need.dearest:.2f}, and per_run_usd is {least:g}:"
            f" raise it to {ceil(need.dearest)}, or drill it less far",
            need.subject.resource,
            need.subject.name,
        )
        for need in needs
        if need.dearest > least
    ]


def _too_much_money(needs: Sequence[_Need], policy: "DrillsPolicy") -> list[Shortfall]:
    total, can, used = sum(need.usd_a_month for need in needs), 0, 0.0
    for need in sorted(needs, key=lambda one: one.usd_a_month):
        used += need.usd_a_month
        can += used <= policy.budget.per_month_usd
    if can == len(needs):
        return []
    return [
        Shortfall(
            f"the budget cannot prove {len(needs) - can} of {len(needs)} resources"
            f" {_within(needs)}: that takes about ${total:.2f} a month, and per_month_usd is"
            f" {policy.budget.per_month_usd:g}: raise it to {ceil(total * HEADROOM)}"
        )
    ]


def _too_many(
    needs: Sequence[_Need], policy: "DrillsPolicy", choices_a_day: float
) -> list[Shortfall]:
    restored = [need for need in needs if need.restores_a_day]
    restores = sum(need.restores_a_day for need in restored)
    at_once = policy.budget.at_once
    can_a_day = at_once * choices_a_day
    if restores <= can_a_day:
        return []
    missed = ceil(len(restored) * (1 - can_a_day / restores))
    enough = ceil(restores * HEADROOM / choices_a_day)
    return [
        Shortfall(
            f"the budget cannot prove {missed} of {len(restored)} resources {_within(restored)}:"
            f" that takes {restores:.1f} restores a day, and at_once is {at_once} at"
            f" {choices_a_day:.1f} choices a day: raise it to {enough}, or choose more often"
        )
    ]


def _within(needs: Sequence[_Need]) -> str:
    asked = {min(need.intervals) for need in needs if need.intervals}
    return f"within {asked.pop()} days" if len(asked) == 1 else "as often as the policy asks"


def _unsigned(
    asked: Sequence[tuple[Subject, Mapping[Level, timedelta]]], policy: "DrillsPolicy"
) -> list[Shortfall]:
    asking = [subject for subject, levels in asked if Level.EXERCISE in levels]
    if not asking or policy.sign_off:
        return []
    return [
        Shortfall(
            f"nobody is named to sign off the exercises of {len(asking)} of {len(asked)} resources,"
            ' so that none is begun: write addresses into sign_off, or "exercise": "never"'
        )
    ]


def _spans(subjects: Sequence[Subject]) -> list[Shortfall]:
    have = [one for one in subjects if any(point.until for point in one.points)]
    if not have:
        return []
    return [
        Shortfall(
            f"no drill restores to a point in time yet: of {len(have)} of {len(subjects)} resources"
            " that could be, only snapshots and backups are proved"
        )
    ]
