"""What some items of a table were when it was backed up. Pure.

Only digests: a manifest is kept for years and cannot be removed, which data may have to be.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Context, Decimal
from typing import Any

Item = Mapping[str, Mapping[str, Any]]
"""Its attributes, each with the letter of its type, as DynamoDB has them."""

FIRST = 25
"""Items that are looked at. A table that differs from the one backed up in a tenth of its items
shows it in one of 25 in 93 of 100 cases; reading them costs at most 1 MB, $0.00002.
"""
WORD = "watchkeeper:item:1"
"""Before what is digested: another way to write items down begins with another word."""
EXACT = Context(prec=38)
"""The digits that a number of DynamoDB can have."""


@dataclass(frozen=True)
class Sample:
    """The first items of a table, looked at twice within seconds: before its settings were read and
    after, which was just before the backup was asked for. What changed in between may have changed
    once more before DynamoDB wrote it down, so that nothing can be held to it.
    """

    items: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the whole item by that of its key: of those that were the same twice."""
    looked_at: int = 0
    """Items seen by the second look."""
    changed: int = 0
    """Items that only one look saw, or that differed."""
    is_whole: bool = False
    """The second look saw all that there was."""
    at: datetime | None = None
    """When that was, by DynamoDB's clock; None if it does not say."""
    count: int = 0
    """Items of the table as DynamoDB shows them: up to six hours old."""
    size: int = 0
    """Bytes, as old."""
    why: str = ""
    """Why nothing was looked at; empty if it was."""

    @classmethod
    def between(
        cls,
        first: Mapping[str, str],
        second: Mapping[str, str],
        *,
        is_whole: bool,
        at: datetime | None,
        count: int,
        size: int,
    ) -> "Sample":
        """Of two looks, as `digests` has them."""
        kept = {key: item for key, item in second.items() if first.get(key) == item}
        changed = len(first.keys() | second.keys()) - len(kept)
        return cls(kept, len(second), changed, is_whole, at, count, size)


def digests(items: Iterable[Item], keys: Sequence[str]) -> dict[str, str]:
    """Digests of whole items by those of their keys; `keys` are the names of the key attributes."""
    return {key_digest(item, keys): digest(item) for item in items}


def key_digest(item: Item, keys: Sequence[str]) -> str:
    return digest({name: item[name] for name in keys})


def digest(item: Item) -> str:
    """SHA-256 in hex: the same for the same item, in whatever order and shape it was written."""
    written = json.dumps(
        {name: _plain(value) for name, value in item.items()},
        sort_keys=True,
        separators=(",", ":"),
    )
    return hashlib.sha256(f"{WORD}\n{written}".encode()).hexdigest()


def _plain(value: Mapping[str, Any]) -> list[Any]:
    """One value: the letter of its type, and what it is, sets in order."""
    ((letter, found),) = value.items()
    plain: Any
    match letter:
        case "N":
            plain = _number(found)
        case "B":
            plain = base64.b64encode(found).decode()
        case "NS" | "SS" | "BS":
            plain = sorted(_plain({letter[0]: one})[1] for one in found)
        case "L":
            plain = [_plain(one) for one in found]
        case "M":
            plain = {name: _plain(one) for name, one in found.items()}
        case _:  # S, BOOL, NULL
            plain = found
    return [letter, plain]


def _number(written: str) -> str:
    """`1E+2` for 100, 100.0 and 1e2."""
    number = Decimal(written).normalize(EXACT)
    return str(number) if number else "0"


# ── Sizes ─────────────────────────────────────────────────────────────────────────────────────────


def size_of(item: Item) -> int:
    """Bytes, as DynamoDB counts them but for numbers, of which it tells the size only roughly:
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    return sum(len(name.encode()) + _size(value) for name, value in item.items())


def _size(value: Mapping[str, Any]) -> int:
    ((letter, found),) = value.items()
    match letter:
        case "S":
            size = len(found.encode())
        case "B":
            size = len(found)
        case "N":
            size = _size_of_number(found)
        case "NS" | "SS" | "BS":
            size = sum(_size({letter[0]: one}) for one in found)
        case "L":
            size = 3 + sum(1 + _size(one) for one in found)
        case "M":
            size = 3 + sum(1 + len(name.encode()) + _size(one) for name, one in found.items())
        case _:  # BOOL, NULL
            size = 1
    return size


def _size_of_number(written: str) -> int:
    digits = len(Decimal(written).normalize(EXACT).as_tuple().digits)
    return 1 + (digits + 1) // 2
