"""News of drills."""

from typing import ClassVar

from watchkeeper.news.base import News, where_to_look


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
    """Recovery points did not prove what they promise. Told once of each, until it is well."""

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
