"""News of the keys that recovery points are encrypted with."""

from typing import ClassVar

from watchkeeper.news.base import News, where_to_look


class KeysChecked(News):
    """Every key that a recovery point needs was looked at."""

    keys: int
    points: int
    failing: int
    """Recovery points that cannot be restored without a key that fails, or soon will."""
    unchecked: int
    """Recovery points whose key nobody could look at."""
    reasons: list[str] = []
    """One line per key that is not known to be usable."""

    def measures(self) -> dict[str, float]:
        return {
            "RecoveryPointsUnderFailingKeys": self.failing,
            "RecoveryPointsUnderUncheckedKeys": self.unchecked,
        }


class KeysFailing(News):
    """Keys are disabled, dying, dead or out of sight, with recovery points under them.

    Told once for each key and state: an alarm that sounds for the first does not sound again for
    the second.
    """

    is_page: ClassVar[bool] = True
    fresh: list[str]
    """Per key: what is wrong with it, the remedy, and what cannot be restored without it."""
    fresh_in_all: int
    """The list may have been cut."""
    in_all: int
    points: int

    def subject(self) -> str:
        return f"Keys failing: {self.fresh_in_all} more, recovery points at stake: {self.points}"

    def text(self) -> str:
        return (
            "Recovery points need these KMS keys, which fail, are about to, or cannot be looked "
            "at:\n\n" + "\n".join(self.fresh) + f"\n\n{self.points} recovery points are at stake "
            f"in all, under {self.in_all} such keys. Nothing shows on the snapshots themselves. "
            "You are not told of these keys again until they have been well.\n\n"
            f"Runbook: docs/runbooks/keys-failing.md\n{where_to_look(self.run)}"
        )
