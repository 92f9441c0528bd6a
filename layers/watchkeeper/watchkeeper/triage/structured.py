"""Structured log lines, JSON objects and `level=error msg="…"`: the sentence in them, and the rest.

What tells one event from another is the message, its level and the error's kind. The other keys
are values with names, and are kept as such.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

LARGEST = 256 * 1024
"""Characters of the largest event that CloudWatch Logs used to take: a longer one is no record."""

FIELDS = 50
"""Fields of one record that are kept: more are no longer read by anybody."""

LONGEST_VALUE = 200
"""Characters of a field's value: enough for an id, a URL, the beginning of a statement."""

_LEVELS = ("level", "severity", "lvl", "loglevel", "log.level")
_KINDS = (
    "errortype", "exception_name", "error.type", "error.name", "err.type", "exception.type",
    "error.code", "err.code",
)  # fmt: skip
_MESSAGES = ("message", "msg", "log", "text")
_CAUSES = (
    "errormessage", "error.message", "err.message", "exception.message", "error", "err",
    "exception",
)  # fmt: skip
_TELLING = ("type", "event", "eventname", "action", "name", "kind")
_NUMBERED = {10: "TRACE", 20: "DEBUG", 30: "INFO", 40: "WARN", 50: "ERROR", 60: "FATAL"}
"""Levels as pino and bunyan number them (https://getpino.io/#/docs/api?id=loggerlevel-string-gettersetter)."""

_PAIR = re.compile(r'(?<!\S)([A-Za-z_][\w.]*+)=("(?:[^"\\]|\\.)*+"|[^\s"]*+)')
_LOGFMT = re.compile(r"(?<!\S)(?:msg|message)=")


@dataclass(frozen=True, slots=True)
class Record:
    text: str
    """What is mined: level, kind of error, message, and the error's own message."""
    fields: Mapping[str, str]
    """Everything else, one level deep, by name (`order.id`)."""


def record(line: str) -> Record | None:
    """The record that a line is, or None if it is plain text."""
    start = line[:1]
    if start == "{" or (start.isspace() and line.lstrip()[:1] == "{"):
        pairs, words = _json(line), ""
    elif "=" in line and len(line) <= LARGEST and _LOGFMT.search(line):
        pairs, words = _logfmt(line)
    else:
        return None
    return _record(pairs, words) if pairs else None


def _json(line: str) -> dict[str, str]:
    if len(line) > LARGEST or not line.rstrip().endswith("}"):
        return {}
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):  # not JSON, or built to break what reads it
        return {}
    return dict(_flat(found)) if isinstance(found, dict) else {}


def _flat(record: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for key, value in record.items():
        if isinstance(value, dict):
            for inner, deeper in value.items():
                if not isinstance(deeper, dict | list):
                    yield f"{key}.{inner}", _said(deeper)
            if not value or all(isinstance(one, dict | list) for one in value.values()):
                yield key, "{…}"
        elif isinstance(value, list):
            yield key, f"[{len(value)}]"
        else:
            yield key, _said(value)


def _said(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value)


def _logfmt(line: str) -> tuple[dict[str, str], str]:
    """The pairs, and the words between them; no pairs if the line is more words than pairs."""
    pairs = {key: value.strip('"') for key, value in _PAIR.findall(line)}
    words = _PAIR.sub("", line).split()
    return (pairs, " ".join(words)) if len(words) <= len(pairs) else ({}, "")


def _record(pairs: dict[str, str], words: str) -> Record:
    by_name = {key.lower(): key for key in pairs}
    used: list[str] = []

    def first(*names: str) -> str:
        for name in names:
            if (key := by_name.get(name)) and pairs[key].strip():
                used.append(key)
                return pairs[key].strip()
        return ""

    level = first(*_LEVELS)
    if level.isdecimal():
        level = _NUMBERED.get(int(level[:3]), level)
    kind, message, cause = first(*_KINDS), first(*_MESSAGES), first(*_CAUSES)
    if not message and not cause:
        message = _without_message(pairs, first(*_TELLING), used)
    said = [words, level, "" if kind in message else kind, message]
    said.append("" if cause in message else cause)
    rest = [key for key in pairs if key not in used][:FIELDS]
    text = " ".join(part for part in said if part)
    return Record(text, {key: pairs[key][:LONGEST_VALUE] for key in rest})


def _without_message(pairs: Mapping[str, str], telling: str, used: list[str]) -> str:
    """A record without a message is known by the names of its keys."""
    names = ", ".join(sorted(key for key in pairs if key not in used)[:FIELDS])
    return f"{telling} {{{names}}}" if telling else f"{{{names}}}"
