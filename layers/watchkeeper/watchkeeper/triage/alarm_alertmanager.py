"""Alertmanager's alerts: as JSON (its web hook's, or by our template) and as its plain text. Pure.

The text is made to be read by people: a label of several lines can look like another alert in it.
It is read all the same, because many never change the default; the template has no such doubt.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from watchkeeper.triage.alarm_model import Alarm, Kind
from watchkeeper.triage.envelopes import Message
from watchkeeper.triage.fields import Fields, folded, items, moment, number, pairs, text

MOST_ALERTS = 5_000
"""In one message: the smallest alert takes 50 of the 256 KB that SNS takes."""
MOST_LINES = 100_000
"""Of text: as many as 5,000 alerts with 20 labels have."""
CUT = "The message was cut here: this alert may be incomplete, and others are missing."
NO_TIME = "The plain text does not say since when: the time is when it was sent."
_KNOWN = {"status", "fingerprint", "startsat", "endsat", "generatorurl", "annotations", "summary"}


def is_alerts(content: Any) -> bool:
    fields = folded(content)
    is_one = "labels" in fields and "status" in fields
    return is_one or isinstance(fields.get("alerts"), list) or _is_text(content)


def alarms(message: Message) -> Iterator[Alarm]:
    """The alerts of a message, each its own: they belong together only in who is told of them."""
    if isinstance(message.content, str):
        found = list(islice(_alerts_in(message.content), MOST_ALERTS + 1))
        left: float = len(found) - MOST_ALERTS
    else:
        fields = folded(message.content)
        alerts = fields.get("alerts")
        listed = alerts if isinstance(alerts, list) else [message.content]
        found = [_alert(folded(one), fields) for one in items(listed, MOST_ALERTS)]
        left = max(0, len(listed) - MOST_ALERTS) + (number(fields.get("truncatedalerts")) or 0)
    for at, alert in enumerate(found[:MOST_ALERTS], 1):
        is_last = at == min(len(found), MOST_ALERTS)
        problem = CUT if is_last and (message.cut or left > 0) else ""
        yield _alarm(alert, message, problem)


def _alarm(alert: dict[str, Any], message: Message, problem: str) -> Alarm:
    labels = alert["labels"]
    began = moment(alert.get("startsat"))
    ended = moment(alert.get("endsat"))
    print_ = text(alert.get("fingerprint"), 64) or fingerprint(labels)
    is_over = text(alert["status"], 20).lower() == "resolved"
    key = f"alertmanager:{print_}"
    at = (ended if is_over else None) or began or message.sent_at
    annotations = alert["annotations"]
    return Alarm.model_validate(
        {
            "identity": f"{key}@{_second(began or message.sent_at)}/{'OK' if is_over else 'ALARM'}",
            "key": key,
            "kind": Kind.ALERT,
            "name": labels.get("alertname") or "an alert without a name",
            "state": alert["status"],
            "at": at,
            "since": began,
            "reason": annotations.get("summary") or annotations.get("message"),
            "description": annotations.get("description"),
            "labels": labels,
            "annotations": annotations,
            "source": alert.get("generatorurl"),
            "problem": problem or ("" if began else NO_TIME),
        }
    )


def _second(at: datetime | None) -> str:
    """The template and the web hook differ in what they write below the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else "unknown"


def fingerprint(labels: dict[str, str]) -> str:
    """What Alertmanager calls an alert with these labels: FNV-1a of 64 bits over names and values
    in order, each ended by a byte that UTF-8 has not.
    https://pkg.go.dev/github.com/prometheus/common/model#LabelSet.Fingerprint
    """
    sum_ = 0xCBF29CE484222325
    for name, value in sorted(labels.items()):
        for byte in b"%b\xff%b\xff" % (name.encode(), value.encode()):
            sum_ = ((sum_ ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{sum_:016x}"


# ── JSON ──────────────────────────────────────────────────────────────────────────────────────────


def _alert(fields: Fields, group: Fields) -> dict[str, Any]:
    """Some templates write labels straight into the alert."""
    labels = pairs(fields.get("labels"), 64, 1_100)
    if not labels:
        flat = {key: one for key, one in fields.items() if key not in _KNOWN}
        labels = {k: v for k, v in pairs(flat, 64, 1_100).items() if v}
    annotations = pairs(fields.get("annotations"), 64, 1_100)
    if not annotations and "summary" in fields:
        annotations = {"summary": text(fields["summary"], 1_100)}
    status = fields.get("status") or group.get("status")
    return {**fields, "status": status, "labels": labels, "annotations": annotations}


# ── Plain text ────────────────────────────────────────────────────────────────────────────────────

_STARTS = re.compile(r"^Alerts (?:Firing|Resolved):[ \r]*$", re.MULTILINE)
_PAIR = re.compile(r" - ([A-Za-z_][A-Za-z0-9_]{0,127}) = (.*)", re.DOTALL)


def _is_text(content: Any) -> bool:
    return isinstance(content, str) and _STARTS.search(content) is not None


def _alerts_in(content: str) -> Iterator[dict[str, Any]]:
    """The alerts of the default text, section by section.

    Each ends with its source; what looks like another one before that is in a value of this one.
    """
    start = _STARTS.search(content)
    status, lines, is_between = "firing", list[str](), True
    has_ends = "\nSource: " in content
    for line in islice(content[start.start() if start else 0 :].split("\n"), MOST_LINES):
        may_begin = is_between or not has_ends
        if may_begin and line.rstrip() == "Labels:":
            if lines:
                yield _alert_of(status, lines)
            lines, is_between = [line], False
        elif may_begin and line.startswith("Alerts ") and _STARTS.match(line):
            if lines:
                yield _alert_of(status, lines)
            lines, status = [], line.split()[1].rstrip(":").lower()
        elif lines:
            lines.append(line)
            is_between = is_between or line.startswith("Source: ")
    if lines:
        yield _alert_of(status, lines)


def _alert_of(status: str, lines: list[str]) -> dict[str, Any]:
    """One alert, from its line `Labels:` on; a value may have several lines."""
    found: dict[str, dict[str, list[str]]] = {"labels": {}, "annotations": {}}
    part, value, source = found["labels"], list[str](), ""
    for line in lines[1:]:
        match = _PAIR.match(line)
        if line.rstrip() == "Annotations:":
            part, value = found["annotations"], []
        elif line.startswith("Source: "):
            source, value = line.removeprefix("Source: "), []
        elif match:
            value = part[match[1]] = [match[2]]
        else:
            value.append(line)
    joined = {name: {k: "\n".join(v) for k, v in of.items()} for name, of in found.items()}
    return {"status": status, "generatorurl": source, **joined}
