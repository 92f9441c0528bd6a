"""What a drill's run notes down of its checks, as the texts that facts are. Pure."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from watchkeeper.drills.evidence import LONGEST_TEXT
from watchkeeper.drills.model import Check, Level

LARGEST = 100_000
"""Characters of checks in one fact, all of them ASCII. Two facts are checks and two are pairs; with
the news that wait beside them a record stays below DynamoDB's 400 KB.
"""
LENGTHS = (LONGEST_TEXT, 60, 15)
"""Characters of a text; shorter ones where the longer would be too much in all."""
LARGEST_PAIRS = 40_000


def checks(found: Iterable[Check]) -> str:
    """Texts are cut as far as it must be. Checks that did not pass come first, so that what is left
    out, beyond hundreds of checks, has passed.
    """
    known = sorted(found, key=lambda one: one.passed)
    for longest in LENGTHS:
        text = json.dumps([_row(one, longest) for one in known])
        if len(text) <= LARGEST:
            return text
    while len(text := json.dumps([_row(one, LENGTHS[-1]) for one in known])) > LARGEST:
        known = known[: len(known) * 9 // 10]
    return text


def _row(check: Check, longest: int) -> dict[str, Any]:
    cut = {name: getattr(check, name)[:longest] for name in ("expected", "found", "why")}
    return {**vars(check), "name": check.name[:LONGEST_TEXT], "level": check.level.value, **cut}


def read_checks(text: str) -> list[Check]:
    """What `checks` wrote; of nothing, none."""
    rows = json.loads(text) if text else []
    return [Check(**{**row, "level": Level(row["level"])}) for row in rows]


def failure(check: Check) -> str:
    """Of one that did not pass, in a sentence."""
    said = f"{check.name}: expected {check.expected}, found {check.found}"
    return said[:LONGEST_TEXT]


def pairs(found: Mapping[str, str]) -> str:
    """What does not fit is not remembered, and not compared with the next time."""
    kept: dict[str, str] = {}
    room = LARGEST_PAIRS
    for name, value in sorted(found.items()):
        room -= len(json.dumps({name: value}))
        if room < 0:
            break
        kept[name] = value
    return json.dumps(kept)


def read_pairs(text: str) -> dict[str, str]:
    """What `pairs` wrote; of nothing, none."""
    return {str(name): str(value) for name, value in json.loads(text or "{}").items()}
