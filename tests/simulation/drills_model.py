"""What a year of drills must come to, judged from plain records alone.

A second, small implementation of what the policy of drills promises, that shares no code with what
it judges: when a drill of a resource at a level is due by the documents of evidence, what the
budget allows, and which pages people should have had. Each judgement gives complaints, in
sentences; a year without any is as it should be.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from tests.simulation.drills_records import (
    DAY,
    LEVELS,
    LONGEST,
    MONTH,
    READING,
    Begun,
    Document,
    Member,
    Page,
    Seen,
    Span,
)

AGAIN = 7 * DAY
"""What failed is drilled again so much later, or its interval if that is shorter."""
GRACE = {level: timedelta(hours=6) if level in READING else 3 * DAY for level in LEVELS}
"""From being due to being overdue."""
CATCHING_UP = 4 * DAY
"""After a trouble that kept drills from happening: the budget lets few begin on a day."""
MEASURED = timedelta(hours=9)
"""How far an alarm may be from what it is about: it is measured every six hours where nothing else
happens, and listens for two before it sounds or is quiet.
"""


# ── Nothing goes undrilled ────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Late:
    """A drill that was overdue."""

    member: Member
    level: str
    since: datetime
    until: datetime


def late(seen: Seen) -> list[Late]:
    """Every drill that was overdue, and how long."""
    by_resource: dict[str, list[Document]] = defaultdict(list)
    for one in sorted(seen.documents, key=lambda one: one.ended_at):
        by_resource[one.resource].append(one)
    found = []
    for member in seen.members:
        for level in LEVELS[:1] + LEVELS[1 + (not member.has_blocks) :]:
            said = [one for one in by_resource[member.resource] if _says(one, level)]
            found += list(_late(seen, member, level, said))
    return found


def _says(one: Document, level: str) -> bool:
    return LEVELS.index(one.level) >= LEVELS.index(level)


def _late(seen: Seen, member: Member, level: str, said: Sequence[Document]) -> Iterator[Late]:
    """Between two verdicts, and between two policies, what is due is due at one moment."""
    turns = {one.ended_at for one in said} | {one.since for one in seen.rules}
    moments = sorted(at for at in turns if member.since < at < seen.ends)
    spans: list[Span] = []
    for since, until in zip([member.since, *moments], [*moments, seen.ends], strict=True):
        interval = seen.rules_at(since).every.get(member.plan, {}).get(level)
        if interval is None:
            continue
        before = [one for one in said if one.ended_at <= since]
        overdue = _due(before, interval, max(member.since, seen.begins)) + GRACE[level]
        if overdue < until:
            spans.append((max(since, overdue), until))
    for since, until in merged(spans):
        yield Late(member, level, since, until)


def _due(before: Sequence[Document], interval: timedelta, owed: datetime) -> datetime:
    """Of each level only the newest verdict says anything."""
    newest = {one.level: one for one in before}.values()
    passed = max((one.ended_at for one in newest if one.verdict == "passed"), default=None)
    failed = max((one.ended_at for one in newest if one.verdict == "failed"), default=None)
    if failed is None or (passed is not None and passed >= failed):
        return (passed or owed) + interval
    return failed + min(AGAIN, interval)


def merged(spans: Iterable[Span], apart: timedelta = timedelta(0)) -> list[Span]:
    """Those that touch, or nearly, are one."""
    found: list[Span] = []
    for since, until in sorted(spans):
        if found and since <= found[-1][1] + apart:
            found[-1] = (found[-1][0], max(found[-1][1], until))
        else:
            found.append((since, until))
    return found


def undrilled(seen: Seen) -> Iterator[str]:
    """Nothing is overdue but what a choice had said, or a trouble explains."""
    for one in late(seen):
        if not (_explained(one, seen) or _said_before(one, seen)):
            yield (
                f"{one.member.name} at level {one.level} was overdue from"
                f" {one.since:%Y-%m-%d %H:%M} to {one.until:%Y-%m-%d %H:%M}, and nothing says why"
            )


def _explained(one: Late, seen: Seen) -> bool:
    return any(
        begins <= one.since <= ends + CATCHING_UP and one.until <= ends + CATCHING_UP + AGAIN
        for begins, ends in seen.troubles
    )


def _said_before(one: Late, seen: Seen) -> bool:
    """Within the time in which it could be known: from when it could wait no longer."""
    since = one.since - GRACE[one.level] - AGAIN
    lines = [
        line
        for choice in seen.choices
        if since <= choice.at <= one.since
        for line in (*choice.shortfalls, *choice.put_off)
    ]
    return any(
        line.startswith(
            (f"{one.member.name}: ", f"{one.member.name} at level", "the budget cannot")
        )
        for line in lines
    )


def alarmed(seen: Seen, unmeasured: Iterable[Span] = ()) -> Iterator[str]:
    """The alarm sounds while something is overdue or nobody could tell, and then ends."""
    spans = [(one.since, one.until) for one in late(seen)]
    expected = merged([*spans, *unmeasured], apart=MEASURED)
    for since, until in expected:
        if until - since > MEASURED and not any(
            begins <= since + MEASURED and ends >= until - MEASURED
            for begins, ends in merged(seen.alarms, apart=MEASURED)
        ):
            yield f"no alarm from {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M}"
    for begins, ends in seen.alarms:
        if not any(
            since <= begins <= until + MEASURED and ends <= until + MEASURED
            for since, until in expected
        ):
            yield f"an alarm from {begins:%Y-%m-%d %H:%M} to {ends:%Y-%m-%d %H:%M} for nothing"


# ── Bad ones are caught, good ones are not refused ────────────────────────────────────────────────

CATCHES = {"emptied": ("check",), "unrestorable": ("restore", "check")}
"""The levels at which a bad recovery point must be found out."""


def misjudged(seen: Seen) -> Iterator[str]:
    for one in seen.documents:
        bad = seen.damaged.get(one.point)
        if bad and bad.at > one.began_at:
            bad = None
        if one.verdict == "passed" and bad and one.level in CATCHES[bad.how]:
            yield f"{one.run} has passed, and {one.point} was {bad.how} at {bad.at}"
        excused = any(each.covers(one) for each in seen.excuses)
        if one.verdict == "failed" and not bad and not excused:
            yield f"{one.run} of {one.resource} has failed for nothing: {one.failure}"


# ── Within the budget ─────────────────────────────────────────────────────────────────────────────


def overspent(seen: Seen) -> Iterator[str]:
    """Never more at once, in a choice or within a month than the policy in force then allows."""
    for at, crowd in seen.crowds:
        # What was begun under the policy before may go on.
        before = max(at - LONGEST, seen.rules[0].since)
        allowed = max(seen.rules_at(before).at_once, seen.rules_at(at).at_once)
        if crowd > allowed:
            yield f"{crowd} drills at once at {at:%Y-%m-%d %H:%M}, and {allowed} may be"
    cost: dict[datetime, float] = defaultdict(float)
    for one in seen.begun:
        cost[one.at] += one.usd
    told = {one.at: one.estimate for one in seen.choices}
    for at, usd in sorted(cost.items()):
        yield from _overspent_at(seen, at, usd, told.get(at, 0.0))


def _overspent_at(seen: Seen, at: datetime, usd: float, told: float) -> Iterator[str]:
    rules, when = seen.rules_at(at), f"{at:%Y-%m-%d %H:%M}"
    if usd > rules.per_run_usd + CENT:
        yield f"${usd:.2f} at {when}; per_run_usd is {rules.per_run_usd}"
    spent = within_a_month(seen.begun, at)
    if usd and spent > rules.per_month_usd + CENT:
        yield f"${spent:.2f} until {when}; per_month_usd is {rules.per_month_usd}"
    if abs(told - usd) > CENT:
        yield f"at {when} ${told:.2f} was said, and ${usd:.2f} begun"


CENT = 0.0101
"""Estimates are told in cents."""


def within_a_month(begun: Iterable[Begun], until: datetime) -> float:
    return sum(one.usd for one in begun if until - MONTH < one.at <= until)


def unaccounted(seen: Seen) -> Iterator[str]:
    """Each drill that restored something has cost what the budget has counted for it."""
    counted = {one.run: one.usd for one in seen.begun if one.resource}
    for one in seen.documents:
        if not one.is_reading and abs(counted.get(one.run, -1.0) - one.usd) > CENT:
            yield f"{one.run} says ${one.usd:.4f}; counted is {counted.get(one.run)}"


# ── Each failure is paged once ────────────────────────────────────────────────────────────────────

NEVER = datetime.min.replace(tzinfo=UTC)


def mispaged(seen: Seen) -> Iterator[str]:
    """Every failure is told exactly once, and nothing else is told."""
    had = Counter((_sort(one.subject), one.run) for one in _distinct(seen.pages))
    wanted = Counter(_wanted(seen))
    for (sort, run), number in sorted((had - wanted).items()):
        yield f"{number} pages too many: {sort} {run}"
    for (sort, run), number in sorted((wanted - had).items()):
        yield f"{number} pages too few: {sort} {run}"
    yield from _miscounted(seen)


def _distinct(pages: Iterable[Page]) -> list[Page]:
    """An invocation that is killed after it has published publishes the same again."""
    return list({(one.subject, one.text or one.lines, one.run): one for one in pages}.values())


def repeated(pages: Sequence[Page]) -> int:
    return len(pages) - len(_distinct(pages))


def _sort(subject: str) -> str:
    return subject.partition(":")[0]


def _wanted(seen: Seen) -> Iterator[tuple[str, str]]:
    for run in seen.failed_runs:
        yield "Failed", run
    for run in seen.exercises:
        yield "Exercise", run
    for _ in range(seen.refused):
        yield "Policy refused", ""
    for one in seen.documents:
        if not one.is_reading and one.verdict == "failed" and one.run not in seen.failed_runs:
            yield "Drills failed", one.run
    for run in fresh_by_round(seen.documents):
        yield "Drills failed", run


def fresh_by_round(documents: Iterable[Document]) -> dict[str, int]:
    """Of those that only read, how many failures of each round people have not been told of."""
    before: dict[str, list[Document]] = defaultdict(list)
    fresh: Counter[str] = Counter()
    for one in sorted(documents, key=lambda one: (one.ended_at, one.sequence)):
        history = before[one.resource]
        if one.is_reading and one.verdict == "failed":
            earlier = [each for each in history if not each.is_reading or each.round != one.round]
            fresh[one.round] += not _told(one, earlier)
        history.append(one)
    return {run: number for run, number in fresh.items() if number}


def _told(one: Document, earlier: Iterable[Document]) -> bool:
    """Once until it is well, and not again for the very same reason at another level. Of each level
    only the newest verdict says anything, and nothing that is older than a pass of this one's.
    """
    newest = {each.level: each for each in earlier}.values()
    well = [each.ended_at for each in newest if each.verdict == "passed" and _says(each, one.level)]
    stands = [
        each
        for each in newest
        if each.verdict == "failed" and each.ended_at > max(well, default=NEVER)
    ]
    return any(one.level == each.level or one.failure == each.failure for each in stands)


def _miscounted(seen: Seen) -> Iterator[str]:
    """A round's page has a line for each."""
    fresh = fresh_by_round(seen.documents)
    for one in _distinct(seen.pages):
        if one.subject.startswith("Drills failed"):
            number = fresh.get(one.run, 1)
            if len(one.lines) != number:
                yield f"{len(one.lines)} failures in the page of {one.run}, not {number}"


# ── One document for each ─────────────────────────────────────────────────────────────────────────


def undocumented(
    documents: Iterable[Document], ended: Iterable[str], reported: Mapping[str, int]
) -> Iterator[str]:
    """`ended` are drills' runs that are over, `reported` are verdicts per round that reads."""
    documents = list(documents)
    of_run = Counter(one.run for one in documents if not one.is_reading)
    for run in sorted(set(ended) | set(of_run)):
        if of_run[run] != 1:
            yield f"{of_run[run]} documents of {run}"
    of_round = Counter(one.round for one in documents if one.is_reading)
    for run in sorted(set(reported) | set(of_round)):
        if of_round[run] != reported.get(run, 0):
            yield f"{of_round[run]} documents of {run}, which has reported {reported.get(run)}"
    read = Counter((one.run, one.resource) for one in documents if one.is_reading)
    for (run, resource), number in sorted(read.items()):
        if number > 1:
            yield f"{number} documents of {run} about {resource}"


# ── Figures ───────────────────────────────────────────────────────────────────────────────────────


def longest(seen: Seen) -> dict[tuple[str, str], timedelta]:
    """Per plan and level the longest time without a verdict, until the next one or the end."""
    found: dict[tuple[str, str], timedelta] = {}
    for member in seen.members:
        for level in seen.rules[-1].every.get(member.plan, {}):
            if level == "blocks" and not member.has_blocks:
                continue
            times = sorted(
                one.ended_at
                for one in seen.documents
                if one.resource == member.resource and _says(one, level)
            )
            all_times = [max(member.since, seen.begins), *times, seen.ends]
            worst = max(b - a for a, b in pairwise(all_times))
            of = (member.plan, level)
            found[of] = max(worst, found.get(of, timedelta(0)))
    return found
