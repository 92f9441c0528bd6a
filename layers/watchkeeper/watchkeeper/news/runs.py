"""News of the engine, the same for every capability."""

from typing import ClassVar

from watchkeeper.news.base import News, where_to_look


class RunDue(News):
    """A run wants to be looked at. A plain wake-up: it needs no receipt, because the lease makes
    repeats harmless.
    """


class StepFailed(News):
    step: str
    why: str

    def measures(self) -> dict[str, float]:
        return {"StepsFailed": 1}


class RunFailed(News):
    """A run has ended, clean-up included, without doing what it was for."""

    is_page: ClassVar[bool] = True
    why: str

    def subject(self) -> str:
        return f"Failed: {self.run}"

    def text(self) -> str:
        return (
            f"{self.run} has failed.\n\nWhy: {self.why}\n\n"
            "What it cleans up after itself is gone; nothing more happens to it by itself.\n"
            f"{where_to_look(self.run)}"
        )

    def measures(self) -> dict[str, float]:
        return {"RunsFailed": 1}


class StepOverdue(News):
    """A step that is never abandoned is later than its limit, or keeps failing."""

    is_page: ClassVar[bool] = True
    step: str
    why: str

    def subject(self) -> str:
        return f"Overdue: {self.step} of {self.run}"

    def text(self) -> str:
        return (
            f"The step {self.step} of {self.run} is overdue.\n\nWhy: {self.why}\n\n"
            "It is tried again and again, at least every six hours, "
            "and you are told daily until it succeeds.\n"
            f"{where_to_look(self.run)}"
        )


class RunStuck(News):
    """A run cannot be moved without a person."""

    is_page: ClassVar[bool] = True
    step: str
    why: str

    def subject(self) -> str:
        return f"Stuck: {self.run}"

    def text(self) -> str:
        return (
            f"{self.run} is stuck at {self.step or 'its end'}.\n\nWhy: {self.why}\n\n"
            "Runbook: docs/runbooks/runs-stuck.md. You are told daily until it moves.\n"
            f"{where_to_look(self.run)}"
        )

    def measures(self) -> dict[str, float]:
        return {"RunsStuck": 1}
