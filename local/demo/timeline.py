"""What happened on a day, from what people did, what the system published, and what died.

Nights of one plan that went the same way share a line; a reason is told when it is new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from local.cloud import Cloud
from local.demo.week import Day


@dataclass(frozen=True)
class Evidence:
    """What the system let be known on a day, oldest first."""

    news: Sequence[Mapping[str, Any]]
    stands: Sequence[Stand] = ()


class Stand(NamedTuple):
    """Where a run stood after somebody had moved it."""

    at: datetime
    run: str
    where: str


Teller = Callable[[Evidence], "Iterable[Line]"]
"""Makes lines of what concerns its capability and is worth one."""


@dataclass
class Line:
    """One line of the timeline, and what is said below it."""

    at: datetime
    mark: str
    """Which kind of line: `done`, `trouble`, `page`, `person`, `chance`, `removed`."""
    says: str
    below: list[str] = field(default_factory=list)
    also_at: list[datetime] = field(default_factory=list)
    """Later moments of the same day at which just this happened again."""

    @property
    def moments(self) -> str:
        return " ".join(f"{at:%H:%M}" for at in (self.at, *self.also_at))


class Timeline:
    """Tells one day after the other, and remembers what it has told."""

    def __init__(self, cloud: Cloud, tellers: Iterable[Teller]) -> None:
        self._cloud = cloud
        self._tellers = tuple(tellers)
        self._told: set[str] = set()

    def of(self, day: Day) -> list[Line]:
        lines = [
            Line(one.at, MARKS[one.who], _sentence(one.who, one.says)) for one in day.happenings
        ]
        evidence = self._evidence(day)
        lines += [line for tell in self._tellers for line in tell(evidence)]
        lines += [*self._pages(day), *self._deaths(day)]
        lines.sort(key=lambda line: line.at)
        return self._without_repeats(folded(lines))

    def _evidence(self, day: Day) -> Evidence:
        news = [
            published.json()
            for published in self._cloud.published("NewsTopic")
            if day.begins <= published.at < day.ends
        ]
        stands = [
            Stand(one.started_at, run, where)
            for one in self._cloud.functions.invocations
            if one.started_at and day.begins <= one.started_at < day.ends
            for run, where in (one.result or {}).items()
            if isinstance(where, str)
        ]
        return Evidence(news, stands)

    def _pages(self, day: Day) -> Iterator[Line]:
        for published in self._cloud.published("PagesTopic"):
            if not day.begins <= published.at < day.ends:
                continue
            if published.message.startswith("{"):
                yield from _alarm(published.at, published.json())
            else:
                yield Line(
                    published.at, "page", published.subject or "", _problems(published.message)
                )

    def _deaths(self, day: Day) -> Iterator[Line]:
        for one in self._cloud.functions.invocations:
            if one.died_of and one.started_at and day.begins <= one.started_at < day.ends:
                says = f"{one.function.logical_id} is {one.died_of}; nobody restarts it by hand"
                yield Line(one.started_at, "chance", says)

    def _without_repeats(self, lines: list[Line]) -> list[Line]:
        for line in lines:
            line.below = [each for each in line.below if each not in self._told]
            self._told.update(line.below)
        return lines


MARKS = {"operator": "person", "somebody": "person", "chance": "chance"}
SUBJECTS = {"operator": "The operator", "somebody": "Somebody", "chance": "EventBridge"}


def _sentence(who: str, says: str) -> str:
    return f"{SUBJECTS[who]} {says}"


def folded(lines: Iterable[Line]) -> list[Line]:
    """Lines that say the same, as one."""
    shown: list[Line] = []
    for line in lines:
        same = next((each for each in shown if _is_same(each, line)), None)
        if same is None:
            shown.append(line)
        else:
            same.also_at.append(line.at)
            same.below += [each for each in line.below if each not in same.below]
    return shown


def _is_same(one: Line, other: Line) -> bool:
    return (one.mark, one.says) == (other.mark, other.says) and one.mark in ("done", "trouble")


def _alarm(at: datetime, alarm: Mapping[str, Any]) -> Iterator[Line]:
    """An alarm that went off, or is over; not the first OK of a new one."""
    name = str(alarm["AlarmName"]).split("-")[1].removesuffix("Alarm")
    if alarm["NewStateValue"] == "ALARM":
        yield Line(
            at, "page", f"Alarm {name}", [str(alarm["AlarmDescription"]).partition(" Runbook:")[0]]
        )
    elif alarm["OldStateValue"] == "ALARM":
        yield Line(at, "done", f"Alarm {name} is over")


def _problems(page: str) -> list[str]:
    """The lines of a page that say what is wrong and what holds meanwhile."""
    wanted = ("- ", "remedy: ", "In force meanwhile: ", "Why: ", "arn:", "nothing else restores ")
    return [
        line.strip().removeprefix("- ")
        for line in page.splitlines()
        if line.strip().startswith(wanted)
    ]
