"""Values out of messages that anybody may have written: bounded, and never an error. Pure."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

Fields = Mapping[str, Any]

_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,9})?"
    r"(?: ?(Z|[+-][0-9]{2}:?[0-9]{2}))?"
)
"""ISO 8601 as CloudWatch and SNS write it (`+0000`, `Z`), and Go's way of printing a time."""


def folded(value: Any) -> dict[str, Any]:
    """An object by its keys in small letters: EventBridge writes `alarmName`, SNS `AlarmName`.

    What is no object is an empty one; of two keys that differ only so, the first counts.
    """
    if not isinstance(value, Mapping):
        return {}
    found: dict[str, Any] = {}
    for key, one in value.items():
        found.setdefault(str(key).lower(), one)
    return found


def first(fields: Fields, *names: str) -> Any:
    """The first of these fields that is there and says something."""
    return next((fields[name] for name in names if fields.get(name) not in (None, "")), None)


def items(value: Any, most: int) -> Iterator[Any]:
    """The first `most` of a list; of what is no list nothing."""
    yield from value[:most] if isinstance(value, (list, tuple)) else ()


def text(value: Any, most: int) -> str:
    """The first `most` characters of a text or number, as UTF-8 can hold them; else ""."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    try:
        cut = str(value)[: most + 1]
    except ValueError:  # an integer of more digits than Python prints
        return ""
    clean = cut.encode("utf-8", "replace").decode()
    return clean[: most - 1] + "…" if len(clean) > most else clean


def texts(most: int) -> Callable[[Any], str]:
    return lambda value: text(value, most)


def number(value: Any) -> float | None:
    """A finite number, also from its text; else None."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        found = float(value[:40] if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def moment(value: Any) -> datetime | None:
    """A time in UTC, also where nothing says so; None for none, and for Go's zero time."""
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    match = _MOMENT.match(value) if isinstance(value, str) else None
    if match is None:
        return None
    day, clock, fraction, zone = match.groups()
    try:
        at = datetime.fromisoformat(f"{day}T{clock}{(fraction or '')[:7]}{zone or 'Z'}")
        return at.astimezone(UTC) if at.year > 1 else None
    except (ValueError, OverflowError):
        return None


def pairs(value: Any, most: int, longest: int) -> dict[str, str]:
    """Names and texts: an object, or a list of objects with `name` or `key` and `value`."""
    if isinstance(value, Mapping):
        found = [(key, one) for key, one in value.items() if isinstance(key, str)]
    else:
        listed = (folded(one) for one in items(value, most))
        found = [(first(one, "name", "key"), one.get("value")) for one in listed]
    return {text(key, longest): text(one, longest) for key, one in found[:most] if key}
