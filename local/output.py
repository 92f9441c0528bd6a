"""What functions print: one standard output for all of them, which knows who is running.

Libraries (Powertools' Logger) keep the stream that they find at import for good, so there is
exactly one, and it asks at every write where the line belongs.
"""

from __future__ import annotations

import io
import sys
from typing import Any


class FunctionOutput(io.TextIOBase):
    """A standard output that collects the lines of the running invocation, if there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.collector: list[str] | None = None
        self.silent = False
        self.outside: Any = sys.__stdout__
        self._unfinished = ""

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, text: str) -> int:
        """Keep complete lines of the running invocation; the dead print nothing."""
        if self.silent:
            return len(text)
        if self.collector is None:
            return int(self.outside.write(text))
        *lines, self._unfinished = (self._unfinished + text).split("\n")
        self.collector.extend(line for line in lines if line)
        return len(text)

    def flush(self) -> None:
        """Pass on to the stream outside."""
        if self.collector is None and not self.silent:
            self.outside.flush()

    def finish(self) -> None:
        """Keep the last line even though it has no newline."""
        if self._unfinished and self.collector is not None:
            self.collector.append(self._unfinished)
        self._unfinished = ""


# One per process, see above.
OUTPUT = FunctionOutput()
