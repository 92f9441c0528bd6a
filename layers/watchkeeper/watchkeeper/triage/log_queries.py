"""Queries of Logs Insights at one look: started, waited for, collected, or handed on."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from watchkeeper.aws.errors import AwsError, Busy, NotThere
from watchkeeper.aws.log_events import Answer, Logs
from watchkeeper.triage.log_plan import QUERIES, Large, Pending, Piece, with_pending

PAUSE = 1.0
"""Seconds between two rounds of asking: GetQueryResults allows 5 requests a second in the smallest
Regions, and ten queries may be open.
"""
MOST_ROUNDS = 20
"""So that all pauses are 20 s together, however the time is measured."""
COMPLETE = "Complete"


@dataclass
class Query:
    id: str
    piece: Piece
    paid: bool = False
    """What it scanned was counted at an earlier look."""
    asked_again: bool = False
    answer: Answer | None = None
    """The last one."""
    problem: str = ""
    """Why there will be none; else ""."""

    @property
    def is_open(self) -> bool:
        return not self.problem and not (self.answer and self.answer.has_ended)

    @property
    def is_complete(self) -> bool:
        return self.answer is not None and self.answer.status == COMPLETE


class Queries:
    """Those of one look."""

    def __init__(
        self, logs: Logs, pause: Callable[[float], None], has_time: Callable[[], bool]
    ) -> None:
        self.logs = logs
        self.pause = pause
        self.has_time = has_time
        self.of: dict[str, list[Query]] = {}
        """By log group."""
        self.scanned = 0.0
        """Bytes, of what was not counted at an earlier look."""

    def start(self, large: Large, pending: Iterable[Pending]) -> None:
        """Ask for every piece that no earlier look has asked for. Raises AwsError if that cannot be
        done; nothing of this group is asked then.
        """
        pending = list(pending)
        queries: list[Query] = []
        try:
            for piece in large.pieces:
                for part, known in with_pending(piece, pending):
                    if known:
                        queries.append(Query(known.id, part, paid=known.paid))
                    else:
                        queries.append(Query(self._ask(part), part))
        except AwsError:
            self.stop(queries)
            raise
        self.of[large.group] = queries

    def _ask(self, piece: Piece) -> str:
        span = (piece.since, piece.until)
        return self.logs.ask([piece.group], QUERIES[piece.part], span, piece.limit)

    def wait(self) -> None:
        """Until all have ended, or no time is left."""
        for _ in range(MOST_ROUNDS):
            if not self._look():
                return
            if not self.has_time():
                return
            self.pause(PAUSE)
        self._look()

    def _look(self) -> bool:
        """Whether any has not ended yet."""
        for query in self._all():
            if query.is_open:
                self._look_at(query)
        return any(query.is_open for query in self._all())

    def _look_at(self, query: Query) -> None:
        try:
            query.answer = self.logs.answer(query.id)
        except Busy:
            return
        except NotThere as error:
            self._lost(query, error)
        except AwsError as error:
            query.problem = error.quoted
        else:
            if query.answer.has_ended:
                self._count(query)
                if not query.is_complete:
                    query.problem = f"Logs Insights ended the query as {query.answer.status}"

    def _lost(self, query: Query, error: AwsError) -> None:
        """AWS has forgotten the query: it is asked once more."""
        if query.asked_again:
            query.problem = error.quoted
            return
        query.asked_again = True
        query.paid = False
        try:
            query.id = self._ask(query.piece)
        except AwsError as refusal:
            query.problem = refusal.quoted

    def _count(self, query: Query) -> None:
        if query.answer and not query.paid:
            self.scanned += query.answer.scanned
            query.paid = True

    def handed_on(self, group: str) -> list[Pending]:
        """What the next look collects: the answers that are there as well, instead of paying for
        them twice.
        """
        return [
            Pending(one.id, replace(one.piece), one.paid)
            for one in self.of[group]
            if not one.problem
        ]

    def stop(self, queries: Sequence[Query]) -> None:
        """Those that nobody waits for."""
        for query in queries:
            if query.is_open:
                self._count(query)
                stop(self.logs, query.id)

    def _all(self) -> list[Query]:
        return [query for queries in self.of.values() for query in queries]


def stop(logs: Logs, query: str) -> None:
    """It ends by itself as well, only later."""
    try:
        logs.stop(query)
    except AwsError:
        return
