"""What of an incident's logs is read, and how: the budget. Pure.

A log that took a few megabytes is read whole. Of a larger one only messages with words of trouble
are asked for, and of one that is larger still only from a shorter time.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from watchkeeper.triage.gathered import Resource, Span
from watchkeeper.triage.log_groups import TAG
from watchkeeper.triage.looking import Asked

MOST_GROUPS = 5
"""Log groups of an incident: those of its alarms first. One more is two queries and 10,000 lines
more, and the first report is due within 30 s.
"""
MOST_NAMES = 24
"""Names that are looked up, 10 a second being the quota: two for each resource of an incident."""
SMALL = 4_000_000
"""Bytes of a log that is read whole: some five requests for a megabyte each, two or three seconds.
"""
SCANNED = 1_000_000_000
"""Bytes that Logs Insights scans at one look: half a cent, so that the three looks at an incident
cost a cent and a half.
"""
SHORTEST = timedelta(minutes=1)
"""Of a stretch of time that is worth a query."""
MOST_ROWS = 10_000
"""Of a query: one answer holds no more."""
MOST_LINES = 20_000
"""Of one log group, in the baseline or in the window."""
ALL_LINES = 50_000
"""Of all together: the lines that templates are mined from in five seconds."""

TROUBLE = (
    r"(?i)(error|exception|fail|fatal|crit|panic|emerg|alert|warn|severe|traceback|time[d]? ?out"
    r"|refused|reject|denied|unauthori|forbidden|unable|cannot|could not|throttl|exhaust|exceed"
    r"|kill|unavailable|abort|out ?of ?memory|deadlock|corrupt|lost|reset by)"
)
"""Words of trouble, broadly: what is usual among them is told by the baseline."""
QUERY = f"fields @timestamp, @logStream, @message | filter @message like /{TROUBLE}/"
QUERIES = {
    # Of a window the oldest rows, which are nearest to the onset; of a baseline the newest.
    "window": f"{QUERY} | sort @timestamp asc",
    "before": f"{QUERY} | sort @timestamp desc",
}
"""Of Logs Insights. Constant, for no text of anybody's belongs into a query."""
PATTERN = (
    "?error ?Error ?ERROR ?exception ?Exception ?EXCEPTION ?fail ?Fail ?FAIL ?failed ?Failed"
    " ?FAILED ?failure ?fatal ?Fatal ?FATAL ?critical ?CRITICAL ?panic ?PANIC ?warning ?WARN"
    " ?WARNING ?timeout ?Timeout ?TIMEOUT ?refused ?rejected ?denied ?Denied ?unable ?Unable"
    " ?cannot ?Cannot ?killed ?Killed ?unavailable ?aborted ?exceeded ?deadlock ?Traceback"
)
"""The same for FilterLogEvents, whose terms tell capitals from small letters."""

_NAME = re.compile(r"[.\-_/#A-Za-z0-9]{1,512}")
"""What CloudWatch Logs takes for a name."""
_ARN = re.compile(r"arn:[a-z-]+:logs:([a-z0-9-]+):(\d{12}):log-group:([^:*]+)(?::\*)?")
_OF_A_SERVICE = re.compile(r"/aws/|/ecs/|API-Gateway-Execution-Logs")
"""Names that services choose by themselves: of several that a resource could have, some exist."""


@dataclass(frozen=True, slots=True)
class Named:
    """A log group that somebody named; it need not exist."""

    name: str
    """Every group whose name begins so, if it ends in `*`."""
    resources: tuple[str, ...]
    """ARNs."""

    @property
    def by_convention(self) -> bool:
        return bool(_OF_A_SERVICE.match(self.name))


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of one group's log that a query is about."""

    group: str
    part: str
    """`before` or `window`."""
    since: datetime
    until: datetime
    limit: int


@dataclass(frozen=True, slots=True)
class Pending:
    """A query whose answer is to be collected at the next look."""

    id: str
    piece: Piece
    paid: bool
    """What it scanned has been counted."""


@dataclass(frozen=True, slots=True)
class Large:
    """A log that is too large for reading all of it, and what is asked of it instead."""

    group: str
    pieces: tuple[Piece, ...]
    """None if not even a minute of it is within the budget."""
    most: str = ""
    """Why it is less than the whole span."""


def named(asked: Asked, region: str, account: str) -> tuple[list[Named], list[tuple[str, str]]]:
    """The groups to look for, those of the alarms first; and names that are none, with why.

    Args:
        asked: The look.
        region: Where logs can be read.
        account: Whose logs can be read; "" if that is unknown.
    """
    own = [one for one in asked.resources if not one.beside]
    beside = [one for one in asked.resources if one.beside]
    wanted = [(name, "") for alarm in asked.alarms for name in alarm.log_groups]
    wanted += [(name, one.arn) for one in (*own, *beside) for name in one.log_groups]
    found: dict[str, list[str]] = {}
    refused: dict[str, str] = {}
    for raw, arn in wanted:
        name, why = _name(raw, region, account)
        if why:
            refused.setdefault(name, why)
            continue
        resources = found.setdefault(name, [])
        if arn and arn not in resources:
            resources.append(arn)
    return [Named(name, tuple(arns)) for name, arns in found.items()], list(refused.items())


def _name(raw: str, region: str, account: str) -> tuple[str, str]:
    """A name and "", or the text as it came and why it cannot be looked for."""
    arn = _ARN.fullmatch(raw)
    if arn:
        if arn[1] != region or (account and arn[2] != account):
            return raw, f"it is of account {arn[2]} in {arn[1]}, and only those here are read"
        raw = arn[3]
    if not _NAME.fullmatch(raw.removesuffix("*")):
        return raw, "this is no name of a log group"
    return raw, ""


def lines_each(groups: int) -> int:
    """How many lines of a group are kept of the baseline, and of the window."""
    return min(MOST_LINES, ALL_LINES // (2 * max(1, groups)))


def larges(
    sizes: Mapping[str, float | None], span: Span, limit: int, budget: float = SCANNED
) -> list[Large]:
    """What is asked of the logs that are queried, by the bytes that came into each.

    The budget is shared evenly, and what a smaller one leaves goes to the larger ones. A size that
    is unknown counts as nothing: such a log is queried only where there is no other way.
    """
    found: dict[str, Large] = {}
    left, number = budget, len(sizes)
    for group in sorted(sizes, key=lambda one: (sizes[one] or 0.0, one)):
        size = sizes[group] or 0.0
        share = left / number
        found[group] = _large(group, share / size if size > share else 1.0, span, limit)
        left -= min(size, share)
        number -= 1
    return [found[group] for group in sizes]


def _large(group: str, part: float, span: Span, limit: int) -> Large:
    """`part` of the span, half of it before the window at least, for without it nothing is new."""
    if part >= 1.0:
        return Large(group, _pieces(group, span, limit))
    asked = (span.until - span.before) * part
    window = min(span.until - span.since, asked / 2)
    before = min(span.since - span.before, asked - window)
    if min(window, before) < SHORTEST:
        return Large(group, (), "more comes in than may be read for an incident")
    less = Span(span.since - before, span.since, span.since + window)
    shown = f"{less.before:%H:%M:%S}Z to {less.until:%H:%M:%S}Z"
    why = f"it is too large: only what it said from {shown} was asked for"
    return Large(group, _pieces(group, less, limit), why)


def _pieces(group: str, span: Span, limit: int) -> tuple[Piece, ...]:
    rows = min(limit, MOST_ROWS)
    return (
        Piece(group, "window", span.since, span.until, rows),
        Piece(group, "before", span.before, span.since, rows),
    )


def with_pending(piece: Piece, pending: Iterable[Pending]) -> list[tuple[Piece, Pending | None]]:
    """A piece, cut into what earlier looks have asked for and what has come since."""
    found: list[tuple[Piece, Pending | None]] = []
    rest = piece
    for one in pending:
        asked = one.piece
        same = (asked.group, asked.part, asked.since) == (rest.group, rest.part, rest.since)
        if same and asked.until <= rest.until:
            found.append((asked, one))
            rest = replace(rest, since=asked.until)
    return found if found and rest.since >= rest.until else [*found, (rest, None)]


def told(pending: Pending) -> str:
    """A query in one string, as the run keeps it."""
    piece = pending.piece
    times = [piece.since.isoformat(), piece.until.isoformat()]
    return json.dumps([pending.id, piece.group, piece.part, *times, piece.limit, pending.paid])


def read(text: str) -> Pending | None:
    """A query as `told` wrote it; None for anything else: it is asked again."""
    try:
        query, group, part, since, until, limit, paid = json.loads(text)
        times = datetime.fromisoformat(since), datetime.fromisoformat(until)
        piece = Piece(str(group), str(part), *times, int(limit))
    except (ValueError, TypeError):
        return None
    return Pending(str(query), piece, bool(paid))


def missing(resource: Resource, looked_for: Sequence[Named], exist: set[str]) -> list[str]:
    """Of a resource the names for which there is no log group, as far as that is worth saying: a
    service's own only where none of them is there.
    """
    own = [one for one in looked_for if resource.arn in one.resources]
    gone = [one for one in own if one.name not in exist]
    if len(gone) == len(own):
        return [one.name for one in gone]
    tagged = resource.tags.get(TAG, "").split()
    return [one.name for one in gone if one.name in tagged or not one.by_convention]
