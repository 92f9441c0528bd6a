"""L3 of databases: what is asked of a restored one, and what the answers prove. Pure.

Beside the operator's questions each database of the server is asked for its tables, for those that
hold anything, and for its bytes; and no number may have collapsed since the last drill that passed.
So an empty restore, or half of one, does not pass even where nobody has written a question.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

from watchkeeper import naming
from watchkeeper.backups.coverage import hours
from watchkeeper.drills.model import Check, Level, Questioned
from watchkeeper.drills.restoring import Answers
from watchkeeper.quoting import quoted

VERSION = 1
"""Of the checks in this file."""
EVERY = "*"
"""As the database of a question: each one of the server that is not its own."""
SERVER = ""
"""As the database of an answer: the server itself."""
LEAST_SHARE = Decimal("0.9")
WHY_SHARE = (
    "old rows are purged, and files shrink; a database that has lost a tenth of itself since the"
    " last drill has lost more than that"
)
CLOCKS = timedelta(minutes=5)
"""RDS notes when a snapshot was asked for, and rows that were written until it had begun are in it;
besides, applications have clocks of their own.
"""
LONGEST_REASON = 200
"""Characters of what a database or the verifier says: a whole sentence of theirs."""
POINT = "as of"
"""Among what is remembered: the time of the recovery point that the numbers are of. First in the
alphabet, because what is remembered is cut at its end.
"""
DATABASES = "databases"
TABLES, FILLED, BYTES = "*tables", "*filled tables", "*bytes"
"""Names of questions: none of a policy's begins with a star."""

POSTGRES = {
    TABLES: (
        "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where c.relkind = 'r' and n.nspname !~ '^(pg_|information_schema$)'"
    ),
    # By their files, because the master user may not read every table.
    FILLED: (
        "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where c.relkind = 'r' and n.nspname !~ '^(pg_|information_schema$)'"
        " and pg_relation_size(c.oid) > 0"
    ),
    BYTES: "select pg_database_size(current_database())",
}
MYSQL = {
    TABLES: (
        "select count(*) from information_schema.tables"
        " where table_schema = database() and table_type = 'BASE TABLE'"
    ),
    FILLED: (
        "select count(*) from information_schema.tables"
        " where table_schema = database() and table_type = 'BASE TABLE' and table_rows > 0"
    ),
    BYTES: (
        "select coalesce(sum(data_length + index_length), 0) from information_schema.tables"
        " where table_schema = database()"
    ),
}
BUILT_IN: Mapping[str, Mapping[str, str]] = {
    "postgres": POSTGRES,
    "aurora-postgresql": POSTGRES,
    "mysql": MYSQL,
    "mariadb": MYSQL,
    "aurora-mysql": MYSQL,
}
"""By engine. Of the others there is no client in the distribution of the verifier."""


@dataclass(frozen=True)
class Asked:
    """What the answers are judged by."""

    created_at: datetime
    """The moment whose data the recovery point claims to hold."""
    objective: timedelta
    """How old the newest row may be then."""
    questions: Sequence[Questioned] = ()
    before: Mapping[str, str] = field(default_factory=dict)
    """What the last drill that passed has found."""

    @property
    def is_older(self) -> bool:
        """Than the recovery point of the last drill that passed."""
        try:
            return self.created_at < naming.parse_instant(self.before[POINT])
        except (KeyError, ValueError, TypeError):
            return False

    def known(self, name: str) -> Decimal | None:
        return _number(self.before.get(name))


def request(engine: str, questions: Sequence[Questioned]) -> list[dict[str, str]]:
    """The questions as the verifier's script takes them; the operator's first, in case the answers
    of a large server take too long. Raises KeyError for an engine that nobody can ask.
    """
    ours = BUILT_IN[engine]
    return [
        *({"database": one.database, "name": one.name, "query": one.query} for one in questions),
        *({"database": EVERY, "name": name, "query": query} for name, query in ours.items()),
    ]


def not_asked(why: str) -> Answers:
    """Nobody could ask anything."""
    return Answers([_answers("no answers", passed=False, why=why)])


def judged(asked: Asked, document: Mapping[str, object]) -> Answers:
    """`document` is what the script has printed: `answers` and `errors`, texts by database and name
    of the question, and `failed` if it came to no question. The instance wrote it: only numbers,
    times and quotes of it go further.
    """
    if failed := document.get("failed"):
        return not_asked(quoted(str(failed), LONGEST_REASON))
    said = _Said(_texts(document.get("answers")), _texts(document.get("errors")))
    newest = [_newest(asked, one, said) for one in asked.questions if one.newest]
    checks = [
        _answers(
            f"those of {len(said.databases)}, version {_version(document)}",
            passed=bool(said.databases),
        ),
        _contents(said),
        *_built_in(asked, said),
        *(check for one in asked.questions if not one.newest for check in _own(asked, one, said)),
        *(check for check, _ in newest),
    ]
    times = [at for _, at in newest if at and at <= asked.created_at + CLOCKS]
    return Answers(checks, max(times, default=None), _remembered(asked, said))


# ── What was said ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Said:
    answers: Mapping[str, Mapping[str, str]]
    errors: Mapping[str, Mapping[str, str]]

    @property
    def databases(self) -> list[str]:
        """Those that were found on the server, also if they have answered nothing."""
        known = {
            one
            for named in (self.answers, self.errors)
            for one, texts in named.items()
            if texts.keys() & POSTGRES.keys()
        }
        return sorted(known - {SERVER})

    def answer(self, database: str, name: str) -> str | None:
        return self.answers.get(database, {}).get(name)

    def number(self, database: str, name: str) -> Decimal | None:
        return _number(self.answer(database, name))

    def found(self, database: str, name: str) -> str:
        answer = self.answer(database, name)
        number = _number(answer)
        return f"{number:f}" if number is not None else quoted(answer) if answer else "no answer"

    def why(self, database: str, name: str) -> str:
        error = self.errors.get(database, {}).get(name)
        return quoted(error, LONGEST_REASON) if error else ""


def _texts(found: object) -> dict[str, dict[str, str]]:
    """Whatever else is in it was not said."""
    named = found.items() if isinstance(found, Mapping) else ()
    return {
        str(database): {str(name): text for name, text in inner.items() if isinstance(text, str)}
        for database, inner in named
        if isinstance(inner, Mapping)
    }


def _version(document: Mapping[str, object]) -> str:
    versions = document.get("versions")
    server = versions.get("server") if isinstance(versions, Mapping) else None
    return quoted(server)


def _number(text: str | None) -> Decimal | None:
    try:
        number = Decimal((text or "").strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _time(text: str | None) -> datetime | None:
    """The session's time zone is UTC, and so is a time that names none."""
    try:
        at = datetime.fromisoformat((text or "").strip())
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    except ValueError:
        return None


# ── Checks ────────────────────────────────────────────────────────────────────────────────────────


def _check(name: str, expected: str, found: str, *, passed: bool, why: str = "") -> Check:
    return Check(name, Level.CHECK, VERSION, expected, found, passed, why)


def _answers(found: str, *, passed: bool, why: str = "") -> Check:
    return _check(
        "database answers", "answers of at least one database", found, passed=passed, why=why
    )


def _contents(said: _Said) -> Check:
    tables = sum((said.number(one, TABLES) or 0 for one in said.databases), Decimal())
    filled = sum((said.number(one, FILLED) or 0 for one in said.databases), Decimal())
    return _check(
        "database contents", "at least one table that holds anything",
        f"{filled:f} of {tables:f} tables", passed=filled > 0,
    )  # fmt: skip


def _built_in(asked: Asked, said: _Said) -> Iterator[Check]:
    """Of every database that was found, and of those that are missing."""
    sources = _sources(said)
    for name, source in sources.items():
        yield _kept(asked, said, name, source)
    for name in sorted(asked.before.keys() - sources.keys()):
        word, _, database = name.removeprefix("database ").partition(" of ")
        is_ours = name.startswith("database ") and f"*{word}" in POSTGRES
        if is_ours and not asked.is_older:
            yield _kept(asked, said, name, (f"*{word}", database))


def _sources(said: _Said) -> dict[str, tuple[str, str]]:
    """By name of the check, the question that is always asked, and the database."""
    of_databases = {
        f"database {question.lstrip('*')} of {_shown(one)}": (question, one)
        for one in said.databases
        for question in POSTGRES
    }
    return {f"{DATABASES} of the server": (DATABASES, SERVER), **of_databases}


def _own(asked: Asked, one: Questioned, said: _Said) -> Iterator[Check]:
    found = said.found(one.database, one.name)
    expected, passed = _bounds(one, said)
    kind = "answer" if one.equal is None else "exact answer"
    yield _check(
        f"{kind} of {one.name} in {one.database}", f"{expected}, by the policy", found,
        passed=passed, why=said.why(one.database, one.name),
    )  # fmt: skip
    name = _declined(one)
    if one.at_least is not None and asked.known(name) is not None:
        yield _kept(asked, said, name, (one.name, one.database))


def _declined(one: Questioned) -> str:
    return f"decline of {one.name} in {one.database}"


def _bounds(one: Questioned, said: _Said) -> tuple[str, bool]:
    """What the policy expects, and whether it is so."""
    number = said.number(one.database, one.name)
    if isinstance(one.equal, str):
        return quoted(one.equal), said.answer(one.database, one.name) == one.equal
    if one.equal is not None:
        return f"{one.equal:.12g}", number == Decimal(str(one.equal))
    least, most = one.at_least, one.at_most
    bounds = (f"at least {least:.12g}" if least is not None else "",
              f"at most {most:.12g}" if most is not None else "")  # fmt: skip
    passed = (
        number is not None
        and (least is None or number >= Decimal(str(least)))
        and (most is None or number <= Decimal(str(most)))
    )
    return " and ".join(filter(None, bounds)), passed


def _newest(asked: Asked, one: Questioned, said: _Said) -> tuple[Check, datetime | None]:
    at = _time(said.answer(one.database, one.name))
    earliest = asked.created_at - asked.objective
    found = naming.instant(at) if at else said.found(one.database, one.name)
    return _check(
        f"newest row of {one.name} in {one.database}",
        f"from {naming.instant(earliest)} to {naming.instant(asked.created_at)}, at most"
        f" {hours(asked.objective)} older than the recovery point and not newer",
        found,
        passed=at is not None and earliest <= at <= asked.created_at + CLOCKS,
        why=said.why(one.database, one.name) or "clocks may differ by five minutes",
    ), at


def _kept(asked: Asked, said: _Said, name: str, source: tuple[str, str]) -> Check:
    """That a number is there, and has not collapsed."""
    question, database = source
    before, found = asked.known(name), said.number(database, question)
    if before is None:
        least, expected, why = Decimal(), "any number", "no drill has found one before"
    elif asked.is_older:
        least, expected = min(before, Decimal(1)), "more than nothing"
        why = "it is older than what the last drill looked into, which may have grown since"
    else:
        least, why = before * LEAST_SHARE, WHY_SHARE
        if question == FILLED:
            # Of a few tables one may be a queue, which is empty now and then.
            least = Decimal(int(least))
        expected = (
            f"at least {least.normalize():f}, {LEAST_SHARE:.0%} of the {before:f} of the last drill"
        )
    return _check(
        name, expected, said.found(database, question),
        passed=found is not None and found >= least, why=said.why(database, question) or why,
    )  # fmt: skip


def _remembered(asked: Asked, said: _Said) -> Mapping[str, str]:
    """What was found in an older recovery point says less than what is known already."""
    if asked.is_older:
        return asked.before
    own = [one for one in asked.questions if one.at_least is not None]
    sources = _sources(said) | {_declined(one): (one.name, one.database) for one in own}
    numbers = {
        name: said.number(database, question) for name, (question, database) in sources.items()
    }
    known = {name: f"{number:f}" for name, number in numbers.items() if number is not None}
    return {POINT: naming.instant(asked.created_at), **known}


def _shown(database: str) -> str:
    """The server wrote the name."""
    return database if re.fullmatch(r"[A-Za-z0-9_$-]{1,63}", database) else quoted(database)
