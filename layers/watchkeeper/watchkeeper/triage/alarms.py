"""Every alarm that can reach us, as one kind of thing. Pure."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

from watchkeeper import naming
from watchkeeper.quoting import quoted
from watchkeeper.triage import alarm_alertmanager, alarm_cloudwatch
from watchkeeper.triage.alarm_model import Alarm, Kind, Metric, State
from watchkeeper.triage.envelopes import Message, unwrapped
from watchkeeper.triage.fields import folded, text

__all__ = ["Alarm", "Kind", "Metric", "State", "read"]

MOST = 10_000
"""Alarms of one event: a queue hands over 6 MB at most, and an alarm takes some hundred bytes."""


def read(event: Any, ours: str = "") -> list[Alarm]:
    """The alarms in an event, in its order, each change of state once. Never an error.

    By an EventBridge rule, as an action of the alarm, by SNS and SQS inside each other, from
    CloudWatch or Alertmanager. What cannot be read is an alarm with a problem.

    Args:
        event: What Lambda was given.
        ours: How the names of our own stack's alarms begin; only CloudWatch's count, because
            anybody may call an alert anything.
    """
    found: dict[str, Alarm] = {}
    for alarm in islice(_all(event, ours), MOST + 1):
        if len(found) == MOST:
            last = next(reversed(found))
            more = f"The event holds more alarms than the {MOST} that are read."
            found[last] = found[last].model_copy(update={"problem": more})
            break
        found.setdefault(alarm.identity, alarm)
    return list(found.values())


def _all(event: Any, ours: str) -> Iterator[Alarm]:
    for message in unwrapped(event):
        fields = folded(message.content)
        if alarm_cloudwatch.is_other_news(fields):
            continue
        if alarm_cloudwatch.is_alarm(fields):
            yield from alarm_cloudwatch.alarms(message, fields, ours)
        elif alarm_alertmanager.is_alerts(message.content):
            yield from _or_unread(message, alarm_alertmanager.alarms(message))
        else:
            yield _unread(message)


def _or_unread(message: Message, alarms: Iterator[Alarm]) -> Iterator[Alarm]:
    """A list without alerts is odd, or was cut before the first of them."""
    one = next(alarms, None)
    yield one or _unread(message)
    yield from alarms


def _unread(message: Message) -> Alarm:
    """What could be told of a message that is no alarm that we know."""
    fields = folded(message.content)
    if fields:
        what = "with the fields " + ", ".join(quoted(key) for key in sorted(fields)[:10])
    else:
        what = quoted(message.content) if isinstance(message.content, str) else "without text"
    shown = message.content if isinstance(message.content, str) else _as_text(message.content)
    key = f"unread:{naming.short_id(text(shown, 100_000))}"
    return Alarm.model_validate(
        {
            "identity": f"{key}@{naming.instant(message.sent_at)}" if message.sent_at else key,
            "key": key,
            "kind": Kind.UNKNOWN,
            "name": message.subject or fields.get("detail-type") or "a message that is no alarm",
            "at": message.sent_at,
            "account": fields.get("account"),
            "region": fields.get("region"),
            "description": shown,
            "problem": f"This is no alarm that can be read: a message {what}"
            + (", which was cut" if message.cut else ""),
        }
    )


def _as_text(content: Any) -> str:
    try:
        return json.dumps(content, sort_keys=True, default=repr)
    except (TypeError, ValueError, RecursionError):  # keys of several kinds, or too deep
        return type(content).__name__
