"""An incident in the few lines that a telephone shows. Pure.

For SNS: a subject of ASCII, and plain text of what it is, its likely cause, what changed, what is
new, whether anybody has intruded, and what could not be checked. Other people's texts come quoted
in the report's sentences; here nothing is left in them that drives a terminal or turns text around.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC
from types import MappingProxyType

from watchkeeper.triage.report import Report
from watchkeeper.triage.telling import Kind

SUBJECT = 99
"""SNS takes less than 100 characters of ASCII, without line breaks."""
TEXT = 3_500
"""Bytes: three screens of a telephone, and it fits into a message about a run."""
SENTENCE = 360
"""Bytes of one answer; nine of them and the headline fit."""
HEADLINE = 500

BEGINS: Mapping[Kind, str] = MappingProxyType(
    {Kind.OPENED: "", Kind.CHANGED: "Update: ", Kind.RESOLVED: "Over: "}
)
LABELS = (
    ("cause", "Cause"), ("changed", "Changed"), ("errors", "New errors"), ("moved", "Metrics"),
    ("intruder", "Intruder"), ("unchecked", "Not checked"),
)  # fmt: skip
"""In the order of what is asked at night."""


def subject(report: Report, kind: Kind) -> str:
    """`Update: [high] orders is out of connections, since 03:06 UTC, hits "orders"`."""
    line = f"{BEGINS[kind]}[{report.severity}] {report.headline}"
    plain = "".join(one if " " <= one <= "~" else "?" for one in line)
    return plain if len(plain) <= SUBJECT else plain[: SUBJECT - 3] + "..."


def text(report: Report, kind: Kind, link: str) -> str:
    """`link` says where the page is: its key in the bucket, or an address, or why it is nowhere."""
    return _cut("\n".join(_lines(report, kind, link)), TEXT)


def _lines(report: Report, kind: Kind, link: str) -> Iterator[str]:
    since, made = report.since.astimezone(UTC), report.made_at.astimezone(UTC)
    yield f"{BEGINS[kind]}{_plain(report.headline, HEADLINE)}"
    owner = f", for {_plain(report.owner, 80)}" if report.owner else ""
    severity = _plain(report.severity, 40)
    yield f"Severity {severity}, since {since:%Y-%m-%d %H:%M} UTC{owner}."
    if report.recurrence:
        yield f"It repeats an earlier incident: {report.recurrence} in a row before it."
    # Early, so that what follows may be cut and this is not.
    yield f"Report: {_plain(link, 500)}"
    yield ""
    answers = _answers(report)
    yield from (f"{label}: {_plain(answers[name], SENTENCE)}" for name, label in LABELS)
    if report.silences:
        yield f"Silent: {_plain(_some([one.text for one in report.silences]), SENTENCE)}"
    yield ""
    yield f"Incident {_plain(report.incident, 120)}, looked at {made:%H:%M:%S} UTC."


def _answers(report: Report) -> dict[str, str]:
    """As the report has them in short; else from its sections, so that none is ever missing."""
    is_read = report.audit_until is not None
    late = "the audit trail was not read" if not is_read else "nothing so far"
    found = {
        "cause": report.verdict.headline or "unknown",
        "changed": _some([one.text for one in report.changes]) or late,
        "errors": _some([one.text for one in report.errors]) or "none found",
        "moved": _some([one.text for one in report.moved]) or "none found to have moved",
        "intruder": _some([one.text for one in report.suspicious]) or late,
        "unchecked": _some(list(report.unchecked)) or "nothing: everything was checked",
    }
    return found | {name: one for name, one in report.more.items() if one and name in found}


def _some(texts: list[str]) -> str:
    """The first, and how many more."""
    if len(texts) > 1:
        return f"{_plain(texts[0], SENTENCE - 20)} (and {len(texts) - 1} more)"
    return texts[0] if texts else ""


def _plain(value: str, most: int) -> str:
    """One line of printable characters, in at most so many bytes."""
    cut = value[:most]
    told = "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in cut
    )
    return _cut(told + ("…" if len(value) > most else ""), most)


def _cut(value: str, most: int) -> str:
    encoded = value.encode()
    if len(encoded) <= most:
        return value
    return encoded[: most - len("…".encode())].decode(errors="ignore") + "…"
