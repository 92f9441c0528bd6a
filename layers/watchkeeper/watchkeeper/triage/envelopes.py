"""Taking messages out of what brought them: SNS, SQS, one inside the other. Pure.

Lambda gets a message of SNS as a record, by a queue as a text inside a record, and EventBridge
Pipes hand over records without a list around them. Raw delivery leaves the inner envelope out.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from watchkeeper.triage.fields import Fields, first, folded, moment, number, pairs, text

LONGEST = 1024 * 1024
"""Characters read of one message: SQS takes a MiB, SNS and Alertmanager a quarter of it."""
DEEPEST = 5
"""Envelopes inside each other: a queue, a topic, a bus and a topic are four."""
DEEPEST_JSON = 40
"""Levels of a cut object that are closed again; no alarm has ten."""
MOST_ATTRIBUTES = 10
"""SNS allows a raw message ten."""


@dataclass(frozen=True)
class Message:
    """What somebody sent, out of its envelopes."""

    content: Any
    """Usually an object or a text."""
    subject: str = ""
    sent_at: datetime | None = None
    """UTC, by the innermost envelope that says it."""
    topic: str = ""
    """The ARN of the SNS topic, if it came by one."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    """Part of it is missing."""


def unwrapped(event: Any) -> Iterator[Message]:
    """The messages inside an event, in their order. Never an error: what is no envelope is a
    message, and what is too deep is one as it stands.
    """
    yield from _opened(Message(event), DEEPEST)


def _opened(outer: Message, depth: int) -> Iterator[Message]:
    content = outer.content
    if isinstance(content, str):
        outer = _parsed(outer, content)
        content = outer.content
    listed = content if isinstance(content, list) else folded(content).get("records")
    if depth and isinstance(listed, list):
        for one in listed:
            yield from _opened(Message(one, cut=outer.cut), depth - 1)
        return
    inside = _inside(outer, folded(content)) if depth else None
    if inside is None:
        yield outer
    else:
        yield from _opened(inside, depth - 1)


def _inside(outer: Message, fields: Fields) -> Message | None:
    """What one envelope holds; None if this is none."""
    sns = folded(fields.get("sns")) or fields
    if "message" in sns and ("topicarn" in sns or sns.get("type") == "Notification"):
        return Message(
            sns["message"],
            subject=text(sns.get("subject"), 200),
            sent_at=moment(sns.get("timestamp")) or outer.sent_at,
            topic=text(sns.get("topicarn"), 300),
            attributes=_attributes(sns.get("messageattributes")),
            cut=outer.cut,
        )
    if "body" in fields and ("receipthandle" in fields or "eventsourcearn" in fields):
        sent = number(folded(fields.get("attributes")).get("senttimestamp"))
        return Message(
            fields["body"],
            sent_at=_since_1970(sent),
            attributes=_attributes(fields.get("messageattributes")),
            cut=outer.cut,
        )
    return None


def _attributes(value: Any) -> dict[str, str]:
    """Of SNS (`Value`) or SQS (`stringValue`)."""
    flat = {
        key: first(folded(one), "value", "stringvalue")
        for key, one in (value.items() if isinstance(value, Mapping) else ())
    }
    return pairs(flat, MOST_ATTRIBUTES, 256)


def _since_1970(milliseconds: float | None) -> datetime | None:
    try:
        return datetime.fromtimestamp((milliseconds or 0) / 1000, UTC) if milliseconds else None
    except (ValueError, OverflowError, OSError):
        return None


# ── Texts that are objects, also where they are cut or written by Go ──────────────────────────────


def _parsed(outer: Message, content: str) -> Message:
    """The message with its text as the object that it is, if it is one."""
    said = outer.attributes.get("truncated", "").lower() == "true"
    cut = outer.cut or said or len(content) > LONGEST
    found, closed = parsed(content[:LONGEST])
    return Message(
        found if isinstance(found, (dict, list)) else content[:LONGEST],
        outer.subject,
        outer.sent_at,
        outer.topic,
        outer.attributes,
        cut=cut or closed,
    )


def parsed(content: str) -> tuple[Any, bool]:
    """A JSON object or list, and whether its end was missing; None for what is none."""
    if not content.lstrip().startswith(("{", "[")):
        return None, False
    for escape in (str, _json_escapes):
        whole = _loaded(escape(content))
        if whole is not None:
            return whole, False
    return _loaded(_closed(_json_escapes(content))), True


def _loaded(content: str) -> Any:
    try:
        found = json.loads(content, strict=False)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, (dict, list)) else None


_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|U[0-9a-fA-F]{8}|.)", re.DOTALL)


def _json_escapes(content: str) -> str:
    r"""Templates of Go quote with `%q`, whose escapes JSON does not know: `\x1b`, `\a`, `\v`."""

    def escape(match: re.Match[str]) -> str:
        code = match[1]
        if len(code) > 1:
            at = int(code[1:], 16)
            return json.dumps(chr(at))[1:-1] if at <= 0x10FFFF else "?"  # noqa: PLR2004  (Unicode's end)
        if code in '"\\/bfnrtu':
            return match[0]
        return {"a": "\\u0007", "v": "\\u000b"}.get(code, code)

    return _ESCAPE.sub(escape, content)


_TOKEN = re.compile(r'"(?:[^"\\]+|\\.)*+"?|[{}\[\],]', re.DOTALL)


def _closed(content: str) -> str:
    """What is whole of a cut object, with its brackets closed."""
    opened: list[str] = []
    end, closing = 0, ""
    for token in _TOKEN.finditer(content):
        kind = token[0]
        if kind in ("{", "["):
            opened.append("}" if kind == "{" else "]")
        elif kind in ("}", "]"):
            if not opened or opened.pop() != kind:
                break
            end, closing = token.end(), "".join(reversed(opened))
        elif kind == ",":
            end, closing = token.start(), "".join(reversed(opened))
        if len(opened) > DEEPEST_JSON or (kind[0] == '"' and (kind == '"' or kind[-1] != '"')):
            break
    return content[:end] + closing
