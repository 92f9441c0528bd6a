"""What is asked of a drill as a whole: how fast it was, and whether a person signed it off."""

from datetime import timedelta

import pytest

from tests.unit.drills.fleet import NOW
from watchkeeper.drills.model import Phases, SignOff
from watchkeeper.drills.objectives import recovery_time, signed_off

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("phases", "found", "passed"),
    [
        (Phases(asked=NOW, verified=NOW + 4 * HOUR), "4 h", True),
        (Phases(asked=NOW, verified=NOW + 4 * HOUR + SECOND), "4 h", False),
        (Phases(asked=NOW, available=NOW + HOUR), "not measured", False),
        (Phases(verified=NOW + HOUR), "not measured", False),
        (Phases(), "not measured", False),
    ],
)
def test_to_be_available_is_not_to_be_recovered(phases: Phases, found: str, passed: bool) -> None:
    check = recovery_time(phases, 4 * HOUR)

    assert (check.expected, check.found) == ("at most 4 h, the RTO of its plan", found)
    assert check.passed == passed


@pytest.mark.parametrize(
    ("signed", "found", "passed"),
    [
        (SignOff("a@b.c", passed=True, note="", at=NOW), "passed, says a@b.c", True),
        (SignOff("a@b.c", passed=False, note="slow", at=NOW), "failed, says a@b.c: slow", False),
        (None, "nobody has signed it off", False),
    ],
)
def test_an_exercise_passes_by_a_persons_word_alone(
    signed: SignOff | None, found: str, passed: bool
) -> None:
    check = signed_off(signed)

    assert (check.found, check.passed) == (found, passed)
