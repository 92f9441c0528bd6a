"""Lets time jump in ministack and in every function that it runs.

Python imports a module of this name when it starts. With this folder on PYTHONPATH that is done by
ministack and, since they inherit the variable, by the processes of its functions: the clock of all
of them is ahead of the real one by the seconds that stand in a file, asked at every reading, so
that no process sees a jump later than another.
"""

import os
import time
from pathlib import Path

import time_machine

AHEAD = Path(os.environ["WATCHKEEPER_CLOCK_AHEAD"])

_real_time_ns = time_machine.escape_hatch.time.time_ns
_traveller = time_machine.travel(time.time(), tick=True).start()


def _time_ns() -> int:
    return _real_time_ns() + int(AHEAD.read_text(encoding="ascii")) * 10**9


_traveller.time_ns = _time_ns  # type: ignore[method-assign]
