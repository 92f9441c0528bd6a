"""What is asked of a drill as a whole: was it fast enough, and did a person sign it off. Pure."""

from datetime import timedelta

from watchkeeper.backups.coverage import hours
from watchkeeper.drills.model import Check, Level, Phases, SignOff

VERSION = 1
"""Of the checks in this file."""


def recovery_time(phases: Phases, objective: timedelta) -> Check:
    """From asking for the restore to the answer of the last check, against the RTO."""
    reached = phases.verified - phases.asked if phases.verified and phases.asked else None
    return Check(
        "recovery time", Level.RESTORE, VERSION,
        expected=f"at most {hours(objective)}, the RTO of its plan",
        found=hours(reached) if reached is not None else "not measured",
        passed=reached is not None and reached <= objective,
        why="as the runs saw it, which look every few minutes: a service may have been done sooner",
    )  # fmt: skip


def signed_off(signed: SignOff | None) -> Check:
    """The one question of an exercise."""
    found = "nobody has signed it off"
    if signed:
        found = f"{'passed' if signed.passed else 'failed'}, says {signed.by}"
        found += f": {signed.note}" if signed.note else ""
    return Check(
        "signed off", Level.EXERCISE, VERSION,
        expected="a person followed the page, and it went well",
        found=found,
        passed=signed is not None and signed.passed,
    )  # fmt: skip
