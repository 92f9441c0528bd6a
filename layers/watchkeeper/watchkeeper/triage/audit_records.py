"""Which records of the audit trail are kept as evidence, and how much of each. Pure."""

import json
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from watchkeeper.triage.changes import Named, names_in
from watchkeeper.triage.redaction import redacted_record
from watchkeeper.triage.trail import LONG_AGO, Record, records

MOST_RECORDS = 1_500
"""That are kept: of 2 to 3 KB each, as most are, some 4 MB in S3, and a second of a whole processor
to redact, three of a function's third. Two hours in which more is changed are rare.
"""
LARGEST = 32 * 1024
"""Characters of one record as JSON, of the 256 KB that CloudTrail allows. The largest thing that
rules read in one is a bucket policy: 20 KB at most.
"""
DEEPEST = 24
"""Levels; real ones have ten. JSON can be nested until it breaks what writes it."""
MOST_ITEMS = 1_000
"""Of one list or mapping: RunInstances lists as many instances at once."""
ANSWERS = ("responseElements", "additionalEventData", "serviceEventDetails")
"""Shortened first: what was asked for tells more than what was answered."""
HEAD = (
    "eventID", "eventTime", "eventSource", "eventName", "awsRegion", "sourceIPAddress", "userAgent",
    "errorCode", "readOnly", "recipientAccountId", "userIdentity",
)  # fmt: skip
"""All that is left of a record that no shortening brings below LARGEST."""
STEPS = ((4_096, 100), (512, 20), (128, 5))
"""Characters of a text and items of a list, where LARGEST is passed: the first step that is enough
is taken, for answers first.
"""
CUT = "… (cut)"


@dataclass(frozen=True)
class Kept:
    """What is left of everything that was read."""

    records: tuple[dict[str, Any], ...]
    """Redacted and cut, the oldest first."""
    since: datetime
    """From when on they are all there; older ones only where they name a wanted resource."""
    left_out: int
    """Older ones that are not kept."""


def kept(
    events: Iterable[Any],
    since: datetime,
    until: datetime,
    resources: Collection[str],
    most: int = MOST_RECORDS,
) -> Kept:
    """Of events as any source gives them, those between two times, each once.

    Where they are too many, those are kept that name one of `resources` (ARNs), then the newest.
    """
    found = [one for one in records(events) if since <= one.at <= until and one.at != LONG_AGO]
    chosen = found if len(found) <= most else _chosen(found, resources, most)
    left_out = len(found) - len(chosen)
    if left_out:
        ids = {id(one) for one in chosen}
        since = max(one.at for one in found if id(one) not in ids)
    return Kept(tuple(redacted_record(cut(one.event)) for one in chosen), since, left_out)


def _chosen(found: list[Record], resources: Collection[str], most: int) -> list[Record]:
    wanted = [Named.of(one) for one in resources]
    ranked = sorted(
        enumerate(found), key=lambda pair: (_names_one(pair[1], wanted), pair[0]), reverse=True
    )
    return [found[place] for place in sorted(place for place, _ in ranked[:most])]


def _names_one(record: Record, wanted: Collection[Named]) -> bool:
    names = frozenset(names_in(record.event))
    return any(one.is_in(record, names) for one in wanted)


# ── Size ──────────────────────────────────────────────────────────────────────────────────────────


def cut(event: Mapping[str, Any]) -> dict[str, Any]:
    """The record in at most LARGEST characters of JSON, which can be written in any way."""
    whole: dict[str, Any] = _plain(event, LARGEST, MOST_ITEMS)
    for parts in (ANSWERS, tuple(whole)):
        for longest, most in STEPS:
            if _size(whole) <= LARGEST:
                return whole
            shorter = {name: _plain(whole[name], longest, most) for name in parts if name in whole}
            whole = {**whole, **shorter}
    if _size(whole) <= LARGEST:
        return whole
    head = {name: whole[name] for name in HEAD if name in whole}
    return {**_plain(head, 128, 5), "requestParameters": CUT}


def _plain(value: Any, longest: int, most: int, depth: int = 0) -> Any:
    """The value, with texts, lists and levels no longer than that, and nothing that UTF-8 or JSON
    cannot hold.
    """
    if depth > DEEPEST:
        return CUT
    if isinstance(value, str):
        return _text(value, longest)
    if isinstance(value, Mapping):
        some = list(value.items())[:most]
        return {_text(str(key), 256): _plain(one, longest, most, depth + 1) for key, one in some}
    if isinstance(value, list):
        return [_plain(one, longest, most, depth + 1) for one in value[:most]]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _text(text: str, longest: int) -> str:
    short = text if len(text) <= longest else text[:longest] + CUT
    return short.encode("utf-8", "replace").decode()


def _size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, default=str))
