"""The look at the logs of an incident: which groups there are, how large, and what they say.

Small logs are read whole with FilterLogEvents while Logs Insights looks for words of trouble in the
large ones; what it has not answered within 20 s is collected at the next look.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from watchkeeper.aws.errors import AwsError, Busy, OverQuota
from watchkeeper.aws.log_events import STANDARD, Logs, Message
from watchkeeper.triage import log_plan
from watchkeeper.triage.gathered import Found, Logged, Span, Unchecked
from watchkeeper.triage.links import logs_link
from watchkeeper.triage.log_choice import Choice, Chosen
from watchkeeper.triage.log_lines import (
    LAG,
    counts,
    how_filtered,
    how_queried,
    in_order,
    stamp,
)
from watchkeeper.triage.log_plan import PATTERN, QUERIES, Large, Pending
from watchkeeper.triage.log_queries import MOST_ROUNDS, PAUSE, Queries, Query, stop
from watchkeeper.triage.looking import Asked

PATIENCE = MOST_ROUNDS * PAUSE
"""Seconds that a look at the logs takes: the first report is due within 30 s of the alarm."""
LAST_LOOK = 2
"""Nobody collects later what this one has not got."""
MOST_PAGES = 12
"""Of one log group, in the baseline or in the window, empty ones included: of a log of 4 MB some
five are full.
"""
MOST_RECORDS = 10
"""Messages that Logs Insights has cut and that are fetched whole, one request each."""
NEAR_CUT = 990
"""Characters from which on a message from Logs Insights may have been cut: near 1,000, and without
a mark.
"""
ALIKE = 80
"""Characters of two messages that are the same: one of them is enough to see the whole of."""


class LogLook:
    """Implements `looking.Look` for the logs."""

    def __init__(
        self,
        logs: Logs,
        account: str = "",
        pause: Callable[[float], None] = time.sleep,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self.logs = logs
        self.account = account
        """Whose logs these are; "" if that is unknown."""
        self.pause = pause
        self.elapsed = elapsed
        """Seconds, from any beginning: how long the look has taken."""

    def __call__(self, asked: Asked, now: datetime) -> Found:
        return _Look(self, asked, now).found()


@dataclass
class _Read:
    """What was read of a group."""

    before: Sequence[Message]
    lines: Sequence[Message]
    most: list[str] = field(default_factory=list)
    only_trouble: bool = False
    how: str = ""
    whole_before: bool = True
    """All of the baseline was looked through."""
    until: datetime | None = None
    """Where less of the window was looked through."""


class _Look:
    """One look, and what it has found so far."""

    def __init__(self, by: LogLook, asked: Asked, now: datetime) -> None:
        self.logs, self.asked, self.now = by.logs, asked, now
        self.fetched = 0
        """Messages that were asked for whole."""
        self.account = by.account
        self.span: Span = asked.span
        self.unchecked: list[Unchecked] = []
        self.used: Counter[str] = Counter()
        self.pending: list[Pending] = []
        self.known = [one for one in map(log_plan.read, asked.pending) if one]
        self.elapsed = by.elapsed
        self.began = by.elapsed()
        self.queries = Queries(by.logs, by.pause, self.has_time)
        self.limit = log_plan.MOST_LINES

    def has_time(self) -> bool:
        return self.elapsed() - self.began < PATIENCE

    def found(self) -> Found:
        choice = Choice(self.logs, self.account)
        chosen = choice.measured(self.asked)
        self.unchecked += choice.unchecked
        self.used["metrics_requested"] += 2 * len(chosen)
        self.limit = log_plan.lines_each(len(chosen))
        queried = [one for one in chosen if one.is_large]
        larges = self._started(queried)
        read: dict[str, _Read] = {}
        for one in chosen:
            if not one.is_large:
                self._keep(read, one, only_trouble=False)
            elif one.name not in larges:
                self._keep(read, one, only_trouble=True)
        self.queries.wait()
        for one in queried:
            if one.name in larges and (answers := self._answered(one, larges[one.name])):
                read[one.name] = answers
        self.used["insights_bytes"] += int(self.queries.scanned)
        logs = [self._logged(one, read[one.name]) for one in chosen if one.name in read]
        used = {name: float(value) for name, value in sorted(self.used.items()) if value}
        told = tuple(log_plan.told(one) for one in self.pending)
        return Found(logs=logs, unchecked=self.unchecked, used=used, pending=told)

    def _could_not(self, what: str, why: str) -> None:
        self.unchecked.append(Unchecked(what, why))

    # ── Large ones ────────────────────────────────────────────────────────────────────────────────

    def _started(self, queried: Sequence[Chosen]) -> dict[str, Large]:
        """The queries of the large ones; without those for which none can be started now."""
        larges: dict[str, Large] = {}
        by_name = {one.name: one for one in queried}
        sizes = {one.name: one.size for one in queried}
        for large in log_plan.larges(sizes, self.span, self.limit):
            one = by_name[large.group]
            if not large.pieces:
                self._could_not(one.said, large.most)
                larges[large.group] = large
                continue
            try:
                self.queries.start(large, self.known)
            except (OverQuota, Busy) as error:
                if one.group.kind != STANDARD:
                    self._could_not(one.said, error.quoted)
                    larges[large.group] = Large(large.group, ())
            except AwsError as error:
                self._could_not(one.said, error.quoted)
                larges[large.group] = Large(large.group, ())
            else:
                larges[large.group] = large
        self._forget()
        return larges

    def _forget(self) -> None:
        """Stop what an earlier look has asked and this one does not wait for."""
        waited = {query.id for queries in self.queries.of.values() for query in queries}
        for one in self.known:
            if one.id not in waited and not one.paid:
                stop(self.logs, one.id)

    def _answered(self, one: Chosen, large: Large) -> _Read | None:
        """What the queries brought; None if that cannot be compared yet, or ever."""
        queries = self.queries.of.get(one.name)
        if not queries:
            return None
        problem = next((query.problem for query in queries if query.problem), "")
        if problem:
            self._could_not(one.said, problem)
            self.queries.stop(queries)
            return None
        asked, queries = queries, _from_the_first(queries)
        window = [query for query in queries if query.piece.part == "window"]
        before = [query for query in queries if query.piece.part == "before"]
        is_some = bool(window and before)
        if len(queries) < len(asked):
            said = f"{one.said} after {stamp(window[-1].piece.until)}" if is_some else one.said
            self._hand_on(one, asked, said)
        if not is_some:
            return None
        read = _Read(_of(before), self._uncut(_of(window)), only_trouble=True)
        read.until = window[-1].piece.until
        read.most += [large.most] if large.most else []
        read.most += [_limited(query) for query in queries if _is_limited(query)]
        read.how = how_queried(large)
        return read

    def _hand_on(self, one: Chosen, queries: Sequence[Query], said: str) -> None:
        why = f"Logs Insights had not answered after {PATIENCE:.0f} s"
        if self.asked.look >= LAST_LOOK:
            self.queries.stop(queries)
            self._could_not(said, f"{why}, and this is the last look")
        else:
            self.pending += self.queries.handed_on(one.name)
            self._could_not(said, f"{why}: its answer is read at the next look")

    def _uncut(self, messages: Sequence[Message]) -> list[Message]:
        """With some of those that Logs Insights has cut shown whole, one of each kind."""
        found = list(messages)
        seen: set[str] = set()
        for place, one in enumerate(found):
            if len(one.text) < NEAR_CUT or not one.pointer or one.text[:ALIKE] in seen:
                continue
            if self.fetched >= MOST_RECORDS or not self.has_time():
                break
            seen.add(one.text[:ALIKE])
            self.fetched += 1
            try:
                text = self.logs.whole(one.pointer)
            except AwsError:
                continue  # its beginning is enough
            found[place] = Message(one.at, one.stream, text or one.text, one.pointer)
        return found

    # ── Small ones, and large ones while Logs Insights is busy ────────────────────────────────────

    def _keep(self, read: dict[str, _Read], one: Chosen, *, only_trouble: bool) -> None:
        try:
            filtered = self._filtered(one, only_trouble=only_trouble)
        except AwsError as error:
            self._could_not(one.said, error.quoted)
            return
        if only_trouble and not filtered.whole_before and not filtered.before:
            why = "Logs Insights takes no more queries now, and reading it all takes too long"
            self._could_not(one.said, why)
            return
        read[one.name] = filtered

    def _filtered(self, one: Chosen, *, only_trouble: bool) -> _Read:
        """Of the window the oldest messages, of the baseline the newest."""
        span, pattern = self.span, PATTERN if only_trouble else ""
        lines, whole = self._paged(one.name, span.since, span.until, pattern)
        before, whole_before = self._paged(one.name, span.before, span.since, pattern)
        read = _Read(before[-self.limit :], lines[: self.limit], only_trouble=only_trouble)
        read.whole_before = whole_before
        read.how = how_filtered(one.name, span, only_trouble=only_trouble)
        if only_trouble and not (whole and whole_before):
            read.most.append("Logs Insights takes no more queries now")
        for part, done, messages in (
            ("window", whole, lines), ("hour before", whole_before, before),
        ):  # fmt: skip
            if not done:
                read.most.append(f"only the first {len(messages):,} messages of the {part} were "
                                 f"read, up to {_last(messages)}")  # fmt: skip
            elif len(messages) > self.limit:
                which = "first" if part == "window" else "last"
                read.most.append(f"only the {which} {self.limit:,} of {len(messages):,} messages "
                                 f"of the {part} were kept")  # fmt: skip
        return read

    def _paged(
        self, group: str, since: datetime, until: datetime, pattern: str
    ) -> tuple[list[Message], bool]:
        """Messages, and whether these are all."""
        found: list[Message] = []
        for number, page in enumerate(self.logs.pages(group, since, until, pattern), 1):
            self.used["filter_requests"] += 1
            found += page.messages
            if page.is_last:
                return found, True
            if number >= MOST_PAGES or not self.has_time():
                break
        return found, False

    # ── What they said ────────────────────────────────────────────────────────────────────────────

    def _logged(self, one: Chosen, read: _Read) -> Logged:
        span = self.span
        before = in_order(read.before, span.before, span.since)
        lines = in_order(read.lines, span.since, span.until)
        last_read = max((line.at for line in (*before, *lines)), default=None)
        counted = counts(one.volume.events, span, last_read) if one.volume else []
        spoke = [at for at, value in counted if value > 0]
        last = [*spoke[-1:], *([last_read] if last_read else [])]
        query = QUERIES["window"] if read.only_trouble else ""
        return Logged(
            group=one.name,
            resources=one.resources,
            before=before,
            lines=lines,
            only_trouble=read.only_trouble,
            most="; ".join(read.most),
            counts=counted,
            last_at=max(last, default=None),
            until=min(span.until, self.now - LAG, read.until or span.until),
            how=read.how,
            link=logs_link(self.logs.region, one.name, span.before, span.until, query),
        )


def _from_the_first(queries: Sequence[Query]) -> list[Query]:
    """Those that have ended, of each part up to the first that has not."""
    found: list[Query] = []
    open_parts: set[str] = set()
    for query in sorted(queries, key=lambda one: one.piece.since):
        if query.is_open:
            open_parts.add(query.piece.part)
        elif query.piece.part not in open_parts:
            found.append(query)
    return found


def _of(queries: Sequence[Query]) -> list[Message]:
    """All answers; a query is over whole seconds, of which two may share one."""
    return [
        message
        for query in queries
        if query.answer
        for message in query.answer.messages
        if query.piece.since <= message.at < query.piece.until
    ]


def _is_limited(query: Query) -> bool:
    return query.answer is not None and len(query.answer.messages) >= query.piece.limit


def _limited(query: Query) -> str:
    which, of = ("first", "window") if query.piece.part == "window" else ("last", "hour before")
    matched = int(query.answer.matched) if query.answer else 0
    shown = f" of {matched:,}" if matched else ""
    return (
        f"only the {which} {query.piece.limit:,}{shown} messages with words of trouble of the {of}"
    )


def _last(messages: Sequence[Message]) -> str:
    return stamp(messages[-1].at) if messages else "nothing"
