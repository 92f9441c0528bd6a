"""News of drills."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from watchkeeper.news.base import News, where_to_look

if TYPE_CHECKING:
    from watchkeeper.drills.evidence import Evidence
    from watchkeeper.runs.record import Run, Told


class DrillsChosen(News):
    """What a round of drills will do, before anything of it is begun."""

    drills: int
    """In all, those that only read included."""
    restores: list[str] = []
    """One line for each that restores something, with why and its estimate; the first of them."""
    restores_in_all: int = 0
    put_off: list[str] = []
    """One line for each that should have begun, and why it does not."""
    shortfalls: list[str] = []
    """What the policy asks for and its budget cannot do."""
    estimate: float
    """USD, of all of them."""

    @classmethod
    def about(cls, run: "Run", *, at: datetime, of: str = "", **fields: Any) -> "Told":
        """With its lists cut: three of them share the room of a message."""
        lists = {name: _first(value) for name, value in fields.items() if isinstance(value, list)}
        return super().about(run, at=at, of=of, **{**fields, **lists})


SHOWN = 7
"""Lines of one list; twenty-one of them, and three that say how many more there are, fit."""


def _first(lines: list[str]) -> list[str]:
    left = len(lines) - SHOWN
    return [*lines[:SHOWN], f"and {left} more"] if left > 1 else lines


class DrillsReported(News):
    """A round of drills has ended."""

    passed: int
    failed: int
    put_off: int
    reasons: list[str] = []
    """One line per drill that failed."""

    def measures(self) -> dict[str, float]:
        return {"DrillsPassed": self.passed, "DrillsFailed": self.failed}


class DrillsFailed(News):
    """Recovery points did not prove what they promise. Of those that were read people are told
    once, until it is well; of one that was restored each time, because that is seldom.
    """

    is_page: ClassVar[bool] = True
    fresh: list[str]
    fresh_in_all: int
    """The list may have been cut."""
    in_all: int

    def subject(self) -> str:
        return f"Drills failed: {self.fresh_in_all} more, {self.in_all} in all"

    def text(self) -> str:
        return (
            "These recovery points did not prove that they can be recovered from:\n\n"
            + "\n".join(f"- {line}" for line in self.fresh)
            + f"\n\n{self.in_all} failed in this round. Each left its evidence, with every check, "
            "what was expected and what was found.\n\n"
            f"Runbook: docs/runbooks/drills-failed.md\n{where_to_look(self.run)}"
        )


class RestoreDrilled(News):
    """A drill that restored something has its verdict."""

    resource: str
    name: str
    level: str
    verdict: str
    failure: str
    point: str
    recovery_seconds: float | None
    """From asking for the restore to the answer of the last check."""
    data_age_seconds: float | None
    """Of the newest data that was restored, when the restore was asked for."""

    @classmethod
    def of(cls, run: "Run", evidence: "Evidence", now: datetime) -> "Told":
        reached, age = evidence.rto_reached, evidence.rpo_reached
        return cls.about(
            run,
            at=now,
            resource=evidence.resource,
            name=evidence.name,
            level=evidence.level.value,
            verdict=evidence.verdict.value,
            failure=evidence.failure,
            point=evidence.point.id if evidence.point else "",
            recovery_seconds=reached.total_seconds() if reached is not None else None,
            data_age_seconds=age.total_seconds() if age is not None else None,
        )

    def measures(self) -> dict[str, float]:
        passed = self.verdict == "passed"
        found = {"RecoveryTime": self.recovery_seconds, "DataAge": self.data_age_seconds}
        known = {name: value for name, value in found.items() if value is not None}
        return {"DrillsPassed": float(passed), "DrillsFailed": float(not passed)} | known


class ExerciseAsked(News):
    """Somebody should restore something by following a printed page, and sign it off."""

    is_page: ClassVar[bool] = True
    resource: str
    name: str
    page: str
    """The key of the page in the evidence bucket."""
    by: str
    """Who may sign it off."""
    until: datetime

    def subject(self) -> str:
        return f"Exercise: restore {self.name or self.resource}"

    def text(self) -> str:
        return (
            f"It is time that a person restores {self.name or self.resource} by the page, as in "
            f"earnest.\n\nThe page: {self.page} in the evidence bucket. Print it, follow it, and "
            f"sign it off by {self.until:%Y-%m-%d %H:%M} UTC; without that the exercise has "
            f"failed.\nWho may sign: {self.by}\n\n"
            f"How: docs/operating.md, Exercises\n{where_to_look(self.run)}"
        )


class LeftoversFound(News):
    """Drills have left things behind, which cost money; they are being removed."""

    is_page: ClassVar[bool] = True
    things: list[str]
    in_all: int

    def subject(self) -> str:
        return f"Drills left {self.in_all} things behind"

    def text(self) -> str:
        return (
            "These were made by restore drills, and should have been gone by now:\n\n"
            + "\n".join(f"- {one}" for one in self.things)
            + "\n\nThey are being removed; it is tried again and again until they are gone.\n\n"
            f"Runbook: docs/runbooks/drills-failed.md\n{where_to_look(self.run)}"
        )

    def measures(self) -> dict[str, float]:
        return {"DrillLeftovers": self.in_all}
