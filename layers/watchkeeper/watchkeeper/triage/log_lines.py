"""What a log group said, from its messages and what CloudWatch counted. Pure."""

import re
import shlex
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from watchkeeper.triage.gathered import Line, Span
from watchkeeper.triage.log_plan import PATTERN, QUERIES, Large
from watchkeeper.triage.redaction import redacted

LONGEST = 20_000
"""Characters of a line that are kept: what tells stands at its beginning, and messages of a
megabyte exist (https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html).
"""
BEYOND = 1_000
"""Characters more that are read for redacting: the end of a secret that was cut is still found."""
CUT = "…"

LAG = timedelta(minutes=2)
"""Messages that were sent so lately may still be on their way: agents send them in batches, and
CloudWatch Logs takes its time until it shows them.
"""
SETTLED = timedelta(minutes=5)
"""After it CloudWatch has counted what came in a minute; one without a count had nothing."""
MINUTE = timedelta(minutes=1)

_BROKEN = re.compile("[\ud800-\udfff]")
"""Halves of characters: no text in UTF-8 can hold them."""


class Message(Protocol):
    """As `aws.log_events` reads it."""

    @property
    def at(self) -> datetime: ...
    @property
    def stream(self) -> str: ...
    @property
    def text(self) -> str: ...


def line_of(message: Message) -> Line:
    """A message as it is stored: redacted, whole characters, not too long."""
    return Line(message.at, whole(message.stream)[:512], kept(message.text))


def kept(text: str) -> str:
    """A text redacted, cut, and without what cannot be stored."""
    text = redacted(whole(text[: LONGEST + BEYOND].rstrip("\r\n")))
    return text if len(text) <= LONGEST else text[:LONGEST] + CUT


def whole(text: str) -> str:
    return text if text.isascii() else _BROKEN.sub("\N{REPLACEMENT CHARACTER}", text)


def in_order(messages: Sequence[Message], since: datetime, until: datetime) -> list[Line]:
    """Those of a stretch of time, by stream and then time; of one millisecond as they came."""
    within = [one for one in messages if since <= one.at < until]
    within.sort(key=lambda one: (one.stream, one.at))
    return [line_of(one) for one in within]


def counts(
    counted: Sequence[tuple[datetime, float]], span: Span, last_read: datetime | None
) -> list[tuple[datetime, float]]:
    """Messages per minute: 0 where CloudWatch counted none, as long as it can have counted them.

    Its counts may lag behind the messages themselves: zeros after which messages were read are left
    out.
    """
    by_minute = {at: value for at, value in counted if span.before <= at + MINUTE}
    spoke = max((at for at, value in by_minute.items() if value > 0), default=None)
    found = []
    at = span.before.replace(second=0, microsecond=0)
    while at + MINUTE + LAG <= span.until:
        is_settled = at + MINUTE + SETTLED <= span.until
        lags = last_read is not None and at <= last_read and (spoke is None or at > spoke)
        if at in by_minute or (is_settled and not lags):
            found.append((at, by_minute.get(at, 0.0)))
        at += MINUTE
    return found


def how_filtered(group: str, span: Span, *, only_trouble: bool = False) -> str:
    """The call that reads all messages of the span."""
    pattern = f" --filter-pattern {shlex.quote(PATTERN)}" if only_trouble else ""
    start, end = (round(at.timestamp() * 1000) for at in (span.before, span.until))
    return (
        f"aws logs filter-log-events --log-group-name {shlex.quote(group)} "
        f"--start-time {start} --end-time {end - 1}{pattern}"
        f"  # {stamp(span.before)} to {stamp(span.until)}, the window from {stamp(span.since)}"
    )


def how_queried(large: Large) -> str:
    """The queries, a line each."""
    return "\n".join(
        f"aws logs start-query --log-group-names {shlex.quote(large.group)} "
        f"--start-time {int(one.since.timestamp())} --end-time {int(one.until.timestamp())} "
        f"--limit {one.limit} --query-string {shlex.quote(QUERIES[one.part])}"
        f"  # {stamp(one.since)} to {stamp(one.until)}"
        for one in large.pieces
    )


def stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
