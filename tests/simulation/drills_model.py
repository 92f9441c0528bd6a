"""What a year of drills must come to, judged from plain records alone.

A second, small implementation of what the policy of drills promises, that shares no code with what
it judges: when a drill of a resource at a level is due by the documents of evidence, what the
budget allows, and which pages people should have had. Each judgement gives complaints, in
sentences; a year without any is as it should be.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

DAY = timedelta(days=1)
MONTH = 30 * DAY
LEVELS = ("metadata", "blocks", "restore", "check", "exercise")
"""From the lowest to the highest: what passes at one says so of all below it."""
READING = ("metadata", "blocks")
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
LONGEST = 3 * DAY
"""So long may a drill have something restored."""

Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Document:
    """One of evidence."""

    resource: str
    level: str
    run: str
    verdict: str
    failure: str
    point: str
    began_at: datetime
    ended_at: datetime
    usd: float
    """As estimated."""
    sequence: int
    digest: str

    @property
    def is_reading(self) -> bool:
        return self.level in READING

    @property
    def round(self) -> str:
        """Of one that reads: the run that looked."""
        return self.run.rpartition("#")[0] if self.is_reading else self.run


@dataclass(frozen=True)
class Member:
    """A resource that is to be drilled."""

    resource: str
    name: str
    plan: str
    has_blocks: bool
    since: datetime
    """When its first recovery point was made."""


@dataclass(frozen=True)
class Rules:
    """A policy, and since when it is in force."""

    since: datetime
    every: Mapping[str, Mapping[str, timedelta]]
    """Per plan and level."""
    at_once: int
    per_run_usd: float
    per_month_usd: float


@dataclass(frozen=True)
class Choice:
    """What a round said beforehand."""

    run: str
    at: datetime
    estimate: float
    put_off: tuple[str, ...] = ()
    shortfalls: tuple[str, ...] = ()


@dataclass(frozen=True)
class Begun:
    """A drill that the budget counts; without a resource, all that only read in a round."""

    run: str
    resource: str
    at: datetime
    usd: float


@dataclass(frozen=True)
class Page:
    """Of drills, to people."""

    subject: str
    run: str
    at: datetime
    lines: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True)
class Seen:
    """The world, and the records of a while."""

    begins: datetime
    ends: datetime
    rules: Sequence[Rules]
    """The oldest first."""
    members: Sequence[Member] = ()
    documents: Sequence[Document] = ()
    choices: Sequence[Choice] = ()
    begun: Sequence[Begun] = ()
    pages: Sequence[Page] = ()
    failed_runs: frozenset[str] = frozenset()
    """Drills whose runs failed as runs."""
    exercises: frozenset[str] = frozenset()
    """Runs of exercises that were handed out."""
    refused: int = 0
    """Texts of the policy that had to be refused."""
    crowds: Sequence[tuple[datetime, int]] = ()
    """How many drills had something in AWS, whenever that changed."""
    troubles: Sequence[Span] = ()
    """When drills could not be chosen, or could not end."""
    alarms: Sequence[Span] = ()
    """When it was said that drills are overdue."""

    def rules_at(self, at: datetime) -> Rules:
        known = [one for one in self.rules if one.since <= at]
        return known[-1] if known else self.rules[0]


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
    passed = max((one.ended_at for one in before if one.verdict == "passed"), default=None)
    failed = max((one.ended_at for one in before if one.verdict == "failed"), default=None)
    if failed is None or (passed is not None and passed >= failed):
        return (passed or owed) + interval
    again = failed + min(AGAIN, interval)
    # What passed before holds for its time, but not if that was over when it failed.
    return min(again, passed + interval) if passed and failed < passed + interval else again


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


# ── Within the budget ─────────────────────────────────────────────────────────────────────────────


def overspent(seen: Seen) -> Iterator[str]:
    """Never more at once, in a choice or within a month than the policy in force then allows."""
    fewest = min((one.since for one in seen.rules), default=seen.begins)
    for at, crowd in seen.crowds:
        # What was begun under the policy before may go on.
        allowed = max(seen.rules_at(max(at - LONGEST, fewest)).at_once, seen.rules_at(at).at_once)
        if crowd > allowed:
            yield f"{crowd} drills at once at {at:%Y-%m-%d %H:%M}, and {allowed} may be"
    cost: Counter[datetime] = Counter()
    for one in seen.begun:
        cost[one.at] += one.usd  # type: ignore[assignment]
    for at, usd in sorted(cost.items()):
        rules = seen.rules_at(at)
        if usd > rules.per_run_usd + CENT:
            yield f"${usd:.2f} at {at:%Y-%m-%d %H:%M}; per_run_usd is {rules.per_run_usd}"
        spent = within_a_month(seen.begun, at)
        if usd and spent > rules.per_month_usd + CENT:
            yield f"${spent:.2f} until {at:%Y-%m-%d %H:%M}; per_month_usd is {rules.per_month_usd}"
    told = {one.at: one.estimate for one in seen.choices}
    for at, usd in sorted(cost.items()):
        if abs(told.get(at, 0.0) - usd) > CENT:
            yield f"at {at:%Y-%m-%d %H:%M} ${told.get(at, 0.0):.2f} was said, and ${usd:.2f} begun"


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
    return subject.split(":")[0]


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
    """Of those that only read, how many failures of each round people have not been told of: the
    drill before it had passed, or there was none.
    """
    last: dict[tuple[str, str], str] = {}
    fresh: Counter[str] = Counter()
    for one in sorted(documents, key=lambda one: (one.ended_at, one.sequence)):
        if one.is_reading:
            of = (one.resource, one.level)
            if one.verdict == "failed" and last.get(of) != "failed":
                fresh[one.round] += 1
            last[of] = one.verdict
    return dict(fresh)


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
            worst = max(b - a for a, b in zip(all_times, all_times[1:], strict=False))
            of = (member.plan, level)
            found[of] = max(worst, found.get(of, timedelta(0)))
    return found
