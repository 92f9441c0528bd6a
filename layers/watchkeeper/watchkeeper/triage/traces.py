"""Lines folded into the events that they belong to: stack traces of Java, Python, Node and Go, and
indented text.

The lines must come in order, from one stream: two streams' lines in turn cannot be told apart.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from watchkeeper.triage.structured import record

LINES_OF_A_MESSAGE = 1_000
"""Lines of one message, sent with its line ends, that are read. Deeper stacks repeat themselves."""

_FRAME = re.compile(r"\s+at \S|\s*\.\.\. \d+ (?:more|common frames)")
_CAUSED = re.compile(r"\s*(?:Caused by: |Suppressed: |\[cause\]: )(?=\S)")
_TRACEBACK = re.compile(r"\s*(?:\+ )?(?:Exception Group )?Traceback \(most recent call last\):")
_CHAINED = ("During handling of the above", "The above exception was")
_THROWN = re.compile(r"(?:[A-Za-z_$][\w$]*+\.)*+[\w$]*(?:Exception|Error|Throwable)(?::|$)")
_PANIC = re.compile(r"panic: |fatal error: ")
_GO = re.compile(
    r"goroutine \d+ \[|created by |\[signal |exit status \d|\s*$|\s+\S"
    r"|[\w./*()\[\]{}-]+\([^()]*\)\s*$"
)
_TROUBLE = re.compile(
    r"error|err\b|crit|fatal|severe|warn|exception|fail|unhandled|uncaught|panic", re.IGNORECASE
)
_CLOSING = frozenset({"}", "]", "},", "})", "});"})
"""What ends the object that Node shows below an error's frames."""

_INDENT = 2
"""Spaces, or one tab, that make a line part of the one before. One space is a slip of a format."""


class Event(NamedTuple):
    first: int
    """Index of its first line."""
    last: int
    """Index of its last line."""
    text: str
    """What is mined: its first line, or the sentence of its record, and the cause in its trace."""


def fold(lines: Sequence[str]) -> Iterator[Event]:
    """The events of a stream's lines, in order; every line is in exactly one."""
    place = 0
    while place < len(lines):
        last, cause = _end(lines, place)
        yield Event(place, last, _text(lines[place], cause))
        place = last + 1


def _text(line: str, cause: str) -> str:
    found = record(line)
    text = found.text if found else line
    if "\n" in text or "\r" in text:
        text = _first_of(text)
    if not cause or cause in text:
        return text
    # A traceback without a word before it is known by what was raised.
    return cause if _TRACEBACK.match(text) else f"{text} | {cause}"


def _first_of(text: str) -> str:
    """What an event of many lines, sent as one message, is about."""
    within = text[: LINES_OF_A_MESSAGE * 100].strip("\r\n").splitlines()[:LINES_OF_A_MESSAGE]
    if len(within) < 2:  # noqa: PLR2004 (one line, and its end)
        return "".join(within)
    last, cause = _end(within, 0)
    head = within[0]
    if last == 0 and not cause:  # a statement over several lines, not a trace
        return " ".join(within)
    if _TRACEBACK.match(head):
        return cause or head
    return head if not cause or cause in head else f"{head} | {cause}"


def _end(lines: Sequence[str], place: int) -> tuple[int, str]:
    """The last line of the event that begins at `place`, and the cause that its trace names."""
    line = lines[place]
    if place + 1 == len(lines):
        return place, ""
    if _TRACEBACK.match(line):
        return _python(lines, place)
    if _PANIC.match(line):
        return _go(lines, place)
    if not _goes_on(lines[place + 1]) and not _is_thrown_next(lines, place):
        return place, ""
    if _TRACEBACK.match(lines[place + 1]):
        return _python(lines, place + 1) if _TROUBLE.search(line[:500]) else (place, "")
    return _frames(lines, place)


def _goes_on(line: str) -> bool:
    """Whether a line belongs to the one before by its looks alone."""
    start = line[:1]
    if start == "\t" or line[:_INDENT] == " " * _INDENT:
        return bool(line.strip())
    if start in "TC." or start == " ":
        return bool(_FRAME.match(line) or _CAUSED.match(line) or _TRACEBACK.match(line))
    return False


def _is_thrown_next(lines: Sequence[str], place: int) -> bool:
    """Whether the next line names what was thrown, with its frames below."""
    return (
        place + 2 < len(lines)
        and lines[place + 2][:1] in ("\t", " ")
        and _THROWN.match(lines[place + 1]) is not None
        and _FRAME.match(lines[place + 2]) is not None
        and _TROUBLE.search(lines[place][:500]) is not None
        and not _THROWN.match(lines[place])
    )


def _frames(lines: Sequence[str], place: int) -> tuple[int, str]:
    """Frames and causes, of Java and Node, and whatever is indented. Of the causes, what was
    thrown and the last one, the root.
    """
    thrown, root = "", ""
    last = place
    if _is_thrown_next(lines, place):
        last = place + 1
        thrown = lines[last].strip()
    for index in range(last + 1, len(lines)):
        line = lines[index]
        if index <= last:
            continue
        if _throws_after_blank(lines, index):
            last, thrown = index + 1, lines[index + 1].strip()
            continue
        if not (_goes_on(line) or line.strip() in _CLOSING) or _TRACEBACK.match(line):
            break
        if (named := _CAUSED.match(line)) and "Suppressed" not in named[0]:
            root = line[named.end() :].strip()
        last = index
    return last, " | ".join(filter(None, (thrown, root)))


def _throws_after_blank(lines: Sequence[str], blank: int) -> bool:
    """Node shows the source of what it could not catch, a blank line, what was thrown, frames."""
    return (
        not lines[blank].strip()
        and blank + 2 < len(lines)
        and _THROWN.match(lines[blank + 1]) is not None
        and _FRAME.match(lines[blank + 2]) is not None
    )


def _python(lines: Sequence[str], place: int) -> tuple[int, str]:
    """From a traceback's first line to the exception that it ends with, and those chained to it."""
    cause = ""
    last = place
    for index in range(place + 1, len(lines)):
        line = lines[index]
        if line.startswith(_CHAINED):
            cause = ""
        elif cause:
            if line.strip() or not _chains_on(lines, index):
                break
        elif line.strip() and not line[:1].isspace() and not _TRACEBACK.match(line):
            if not _looks_raised(line):
                break
            cause = line.strip()
        last = index
    return last, cause


def _chains_on(lines: Sequence[str], blank: int) -> bool:
    return blank + 1 < len(lines) and lines[blank + 1].startswith(_CHAINED)


def _looks_raised(line: str) -> bool:
    """A name, and its words: `KeyError: 'x'`, `botocore.errorfactory.NoSuchKey: …`."""
    if _THROWN.match(line):
        return True
    name = line.split(":", 1)[0].strip()
    return bool(name) and name.replace(".", "").replace("_", "").isalnum() and not name[0].isdigit()


def _go(lines: Sequence[str], place: int) -> tuple[int, str]:
    last = place
    for index in range(place + 1, len(lines)):
        line = lines[index]
        if not _GO.match(line):
            break
        if line.strip():
            last = index
    return last, ""
