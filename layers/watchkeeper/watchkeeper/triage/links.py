"""Links into the AWS console with absolute times, so that they show the same tomorrow. Pure.

AWS documents none of these addresses; they are what the console itself makes and other tools use.
Every value that goes in is escaped: no name, tag or query can change where a link leads.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import quote

_PARTITIONS = {"cn-": "amazonaws.cn", "us-gov-": "amazonaws-us-gov.com"}
"""Consoles of the Regions that are elsewhere, by the beginnings of their names."""
_PLAIN = re.compile(r"[A-Za-z0-9_.-]")
"""What JSURL, the notation of the console's objects, leaves as it is
(https://github.com/Sage/jsurl).
"""
_MARKS = {"~": "$257E", "(": "$2528", ")": "$2529", "'": "$2527"}
"""How the page of Logs Insights escapes the marks of JSURL."""


def logs_link(region: str, group: str, since: datetime, until: datetime, query: str = "") -> str:
    """The messages of a log group, or, with a query, that query in Logs Insights."""
    start = f"{_console('cloudwatch', region)}#logsV2:"
    if not query:
        times = f"$3Fstart$3D{_milliseconds(since)}$26end$3D{_milliseconds(until)}"
        name = quote(quote(group, safe=""), safe="").replace("%", "$")
        return f"{start}log-groups/log-group/{name}/log-events{times}"
    detail = _member({
        "end": _moment(until), "start": _moment(since), "timeType": "ABSOLUTE", "tz": "UTC",
        "editorString": query, "isLiveTail": False, "source": [group],
    })  # fmt: skip
    marked = "".join(_MARKS.get(one, one) for one in detail)
    return f"{start}logs-insights$3FqueryDetail$3D{marked}"


def metric_link(  # noqa: PLR0913, PLR0917, a metric is named by as many
    region: str,
    namespace: str,
    name: str,
    dimensions: Mapping[str, str],
    stat: str,
    period: int,
    since: datetime,
    until: datetime,
) -> str:
    """The graph of one metric; `period` in seconds."""
    pairs = [part for pair in dimensions.items() for part in pair]
    graph = _member({
        "metrics": [[namespace, name, *pairs, {"stat": stat, "period": period}]],
        "view": "timeSeries", "stacked": False, "region": region,
        "start": _moment(since), "end": _moment(until),
    })  # fmt: skip
    return f"{_console('cloudwatch', region)}#metricsV2:graph={graph}"


def trail_link(region: str, event_id: str) -> str:
    """One event in CloudTrail's history of the last 90 days."""
    return f"{_console('cloudtrailv2', region)}#/events/{quote(event_id, safe='')}"


def alarm_link(region: str, name: str) -> str:
    """One alarm, of metrics or composite."""
    return f"{_console('cloudwatch', region)}#alarmsV2:alarm/{quote(name, safe='')}"


def _console(service: str, region: str) -> str:
    named = quote(region, safe="")
    ends = (end for start, end in _PARTITIONS.items() if region.startswith(start))
    domain = next(ends, "aws.amazon.com")
    return f"https://{named}.console.{domain}/{service}/home?region={named}"


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


_Value = str | int | bool | Sequence["_Value"] | Mapping[str, "_Value"]


def _member(value: _Value) -> str:
    """A value in JSURL; every one begins with a tilde."""
    return f"~{_jsurl(value)}"


def _jsurl(value: _Value) -> str:
    if isinstance(value, str):
        return "'" + "".join(_escaped(one) for one in value)
    if isinstance(value, Mapping):
        return f"({'~'.join(f'{key}{_member(one)}' for key, one in value.items())})"
    if isinstance(value, Sequence):
        return f"({''.join(_member(one) for one in value)})"
    return str(value).lower()


def _escaped(character: str) -> str:
    if _PLAIN.fullmatch(character):
        return character
    # JavaScript's characters are UTF-16: one beyond has two.
    units = character.encode("utf-16-be", "surrogatepass")
    codes = [int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2)]
    return "".join(f"*{code:02x}" if code < 0x100 else f"**{code:04x}" for code in codes)  # noqa: PLR2004, JSURL's own limit
