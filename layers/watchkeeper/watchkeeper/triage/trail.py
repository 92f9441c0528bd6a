"""Records of CloudTrail, however they come. Pure."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from watchkeeper.triage.policies import principal

Event = Mapping[str, Any]

LONG_AGO = datetime.min.replace(tzinfo=UTC)
"""When an event was that does not say it."""


@dataclass(frozen=True, slots=True)
class Record:
    """An event of CloudTrail's with what everybody asks of it."""

    id: str
    at: datetime
    who: str
    """The principal's ARN, of the role where it was a session of one; "" if there is none."""
    event: Event

    @property
    def action(self) -> str:
        """Service and operation: `ec2 StopInstances`."""
        service = str(self.event.get("eventSource") or "").removesuffix(".amazonaws.com")
        return f"{service} {self.event.get('eventName') or ''}".strip()


def records(events: Iterable[Any], leave_out: Collection[str] = ()) -> list[Record]:
    """The events in the order of their times, each once, as records, as details of EventBridge's
    events or as answers of LookupEvents. What is no event is left out, and so are those of
    principals whose ARN is like one in `leave_out` (`*` stands for anything).
    """
    found: dict[str, Record] = {}
    for number, event in enumerate(unwrapped(events)):
        id_ = event.get("eventID")
        key = id_ if isinstance(id_, str) and id_ else f"\0{number}"
        if key not in found:
            identity = event.get("userIdentity")
            who = principal(identity) if isinstance(identity, Mapping) else ""
            found[key] = Record(key.lstrip("\0"), _time(event.get("eventTime")), who, event)
    kept = (one for one in found.values() if not is_like(one.who, leave_out))
    return sorted(kept, key=lambda one: one.at)


def unwrapped(events: Iterable[Any]) -> Iterator[Event]:
    """The records inside whatever brought them."""
    for event in events:
        inside = event
        if isinstance(inside, Mapping) and isinstance(inside.get("CloudTrailEvent"), str):
            inside = _parsed(inside["CloudTrailEvent"])
        if isinstance(inside, Mapping) and isinstance(inside.get("detail"), Mapping):
            inside = inside["detail"]
        if isinstance(inside, Mapping):
            yield inside


def is_like(name: str, patterns: Collection[str]) -> bool:
    return any(fnmatchcase(name, one) for one in patterns)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _time(text: Any) -> datetime:
    """UTC, also where nothing says so."""
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        return LONG_AGO
