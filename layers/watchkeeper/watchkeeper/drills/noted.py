"""What a drill's run notes down of its checks, as the texts that facts are."""

import json
from collections.abc import Iterable, Mapping

from watchkeeper.drills.evidence import LONGEST_TEXT
from watchkeeper.drills.model import Check, Level

MOST = 200
"""Checks in one fact: the largest allowed policy asks 50 lists of 20 questions, and no database all
of them. With three texts of at most 400 characters each, a record stays below DynamoDB's 400 KB.
"""


def checks(found: Iterable[Check]) -> str:
    rows = [
        {
            **vars(one),
            "level": one.level.value,
            **{name: getattr(one, name)[:LONGEST_TEXT] for name in ("expected", "found", "why")},
        }
        for one in found
    ]
    # A check that did not pass is never among those that are cut off.
    rows.sort(key=lambda row: bool(row["passed"]))
    return json.dumps(rows[:MOST])


def read_checks(text: str) -> list[Check]:
    """What `checks` wrote; of nothing, none."""
    rows = json.loads(text) if text else []
    return [Check(**{**row, "level": Level(row["level"])}) for row in rows]


def pairs(found: Mapping[str, str]) -> str:
    return json.dumps(dict(found), sort_keys=True)


def read_pairs(text: str) -> dict[str, str]:
    """What `pairs` wrote; of nothing, none."""
    return {str(name): str(value) for name, value in json.loads(text or "{}").items()}
