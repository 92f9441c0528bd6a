"""How a report puts times, counts, names and other people's texts. Pure.

Whatever somebody else wrote is quoted in a sentence (`quoted`), and shown as lines only by `shown`,
which leaves nothing in it that drives a terminal, turns text around or breaks a line in two.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from watchkeeper.triage.fields import text
from watchkeeper.triage.report import Link

MOST_LINES = 10
"""Raw lines below one claim: an error, and the frames of its stack trace that name our code."""
LONGEST_LINE = 400
"""Characters of one: a sentence with its values; what is longer is stored with the evidence."""
LONGEST_NAME = 120
"""Characters of a name, without its account and Region."""
LONGEST_TEXT = 600
"""Characters of a sentence by another part of us that holds quotes: more is no sentence."""

LAST_YEAR = 9_999
"""Python has no later one: nothing can be added to its end."""

LONGEST_LINK = 4_000
"""Characters of an address: a query of Logs Insights is in it, each sign escaped."""

_INVISIBLE = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)
"""Control characters but the tab, and those that hide text or turn it around."""


def clean(value: str, most: int = LONGEST_TEXT) -> str:
    """A text as one line that UTF-8 can hold, cut; what is invisible in it is shown by its code."""
    cut = text(value, most)
    return _INVISIBLE.sub(lambda one: f"\\x{ord(one.group()):02x}", cut)


def shown(lines: Iterable[str]) -> tuple[str, ...]:
    """Raw lines as they are shown: at most MOST_LINES, each cut."""
    found: list[str] = []
    for line in lines:
        left = MOST_LINES - len(found)
        if left <= 0:
            break
        # Never more of a line than can be shown: it may be a megabyte.
        parts = line[: MOST_LINES * (LONGEST_LINE + 1)].splitlines() or [""]
        found += [clean(one, LONGEST_LINE) for one in parts[:left]]
    return tuple(found)


def linked(words: str, url: str) -> tuple[Link, ...]:
    """A link, where there is one."""
    return (Link(words, clean(url, LONGEST_LINK)),) if url else ()


def record_shown(event: Mapping[str, Any], most: int) -> str:
    """A record as JSON, cut."""
    try:
        told = json.dumps(event, default=repr, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        told = "{}"
    return clean(told, most)


def short(arn: str) -> str:
    """What people call a resource: `orders` of `arn:aws:lambda:…:function:orders`."""
    parts = arn.split(":", 5)
    if parts[0] != "arn" or len(parts) < 6:  # noqa: PLR2004 (arn:partition:service:Region:account:…)
        return clean(arn, LONGEST_NAME)
    name = parts[5]
    # A log group keeps its slashes; of `instance/i-0a` and `db:orders` the name is what follows.
    rest = name.partition(":" if ":" in name.partition("/")[0] else "/")[2]
    return clean(rest or name, LONGEST_NAME)


def service(arn: str) -> str:
    """`lambda` of an ARN of Lambda's, else ""."""
    parts = arn.split(":", 3)
    return parts[2] if parts[0] == "arn" and len(parts) > 3 else ""  # noqa: PLR2004 (as above)


def clock(at: datetime) -> str:
    return f"{at.astimezone(UTC):%H:%M} UTC" if _is_real(at) else "an unknown time"


def stamp(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if _is_real(at) else "an unknown time"


def _is_real(at: datetime) -> bool:
    """Not at either end of what Python can hold, where no zone can be changed."""
    return 1 < at.year < LAST_YEAR


def lasting(span: timedelta) -> str:
    """`40 s`, `6 min`, `2 h`, `3 days`."""
    seconds = abs(span.total_seconds())
    for most, unit, name in ((90, 1, "s"), (5400, 60, "min"), (172_800, 3600, "h")):
        if seconds < most:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86_400:.0f} days"


def before(span: timedelta) -> str:
    """`the hour before`, `the 12 min before`."""
    told = lasting(span)
    return "the hour before" if told == "60 min" else f"the {told} before"


def apart(at: datetime, onset: datetime) -> str:
    """`4 min before`, `in the same minute`, `2 min after`."""
    by = at - onset
    if abs(by) < timedelta(minutes=1):
        return "in the same minute"
    return f"{lasting(by)} {'before' if by < timedelta() else 'after'}"


def counted(number: int, what: str, several: str = "") -> str:
    """`1 message`, `1,204 messages`."""
    return f"{number:,} {what if number == 1 else several or what + 's'}"


def fitted(parts: Iterable[str], most: int, between: str = "; ") -> str:
    """As many of the parts, in order, as fit; the first is cut if it must be."""
    return between.join(_fitting(parts, most, len(between)))


def _fitting(parts: Iterable[str], most: int, between: int) -> Iterator[str]:
    used = 0
    for part in filter(None, parts):
        cut = part if used or len(part) <= most else part[: most - 1] + "…"
        if used + len(cut) > most:
            continue  # a shorter one may fit
        used += len(cut) + between
        yield cut
