"""Asks the databases of one server, and prints what they answer as one JSON object. Runs on a
verifier with the Python of Amazon Linux 2023 and nothing beside it.

    python3 ask_database.py BASE64

The argument is an object in JSON: `engine`, `host`, `port`, `user`, `region`, `secret` (the name of
a parameter that holds the password) and `questions`, each with `database`, `name` and `query`. The
database `*` stands for each one of the server that is not its own. Printed are `answers`, `errors`
and `versions`, texts by database and name, and `failed` if it came to no question.

It only reads: every query is one statement in a read-only transaction with a time limit, over TLS,
and no client gets a query that it could take for a command to itself. The password is in the
environment of the client, where only root can see it, never in its arguments.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
from typing import Any

SECONDS = 60
"""For one query; the server ends it, and a little later so do we."""
CONNECTED_WITHIN = 15
"""Seconds: the server is in the next subnet."""
INSTALLED_WITHIN = 300
ENDS_AFTER = 2400
"""Seconds for everything: below the hour that Systems Manager gives a script."""
MOST_DATABASES = 50
"""Looked into, the first by name: the numbers of all must fit into the answer."""
LONGEST = 20_000
"""Characters of the answer: Systems Manager gives the first 24,000,
https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetCommandInvocation.html
"""
LONGEST_TEXT = 200
"""Characters of an answer, or of what somebody says instead of one."""
EVERY, SERVER = "*", ""


class NoAnswer(Exception):
    """In words, why."""


class Postgres:
    program, package = "psql", "postgresql16"
    databases = (
        "select datname from pg_database where datallowconn and not datistemplate"
        " and datname <> 'rdsadmin' order by datname"
    )
    version = "show server_version"
    first = "postgres"

    def __init__(self, asked: dict[str, Any], password: str) -> None:
        self.environment = {
            "PGHOST": asked["host"],
            "PGPORT": str(asked["port"]),
            "PGUSER": asked["user"],
            "PGPASSWORD": password,
            "PGSSLMODE": "require",
            "PGCONNECT_TIMEOUT": str(CONNECTED_WITHIN),
            "PGCLIENTENCODING": "UTF8",
            "PGAPPNAME": "ask_database",
            "PGOPTIONS": (
                "-c default_transaction_read_only=on"
                f" -c statement_timeout={SECONDS * 1000} -c timezone=UTC -c datestyle=ISO"
            ),
        }

    def rows(self, database: str, query: str) -> list[list[str]]:
        """In CSV, so that no value can be taken for two. In `-c` nothing is replaced, and only what
        begins with a backslash is a command to psql. A name in PGDATABASE is nothing but a name.
        """
        said = _run(
            [self.program, "-X", "-w", "-q", "-t", "--csv", "-v", "ON_ERROR_STOP=1", "-c", query],
            SECONDS + CONNECTED_WITHIN,
            {**self.environment, "PGDATABASE": database},
        )
        return [row or [""] for row in csv.reader(io.StringIO(said))]


class MySql:
    program, package = "mysql", "mariadb105"
    databases = (
        "select schema_name from information_schema.schemata where schema_name not in"
        " ('information_schema', 'innodb', 'mysql', 'performance_schema', 'sys', 'tmp')"
        " order by schema_name"
    )
    version = "select version()"
    first = "information_schema"
    session = (
        "set session transaction read only",
        "set session time_zone = '+00:00'",
        # Otherwise the sizes of tables may be a day old.
        "/*!80000 set session information_schema_stats_expiry = 0 */",
    )
    limit = f"set session max_execution_time = {SECONDS * 1000}"

    def __init__(self, asked: dict[str, Any], password: str) -> None:
        self.arguments = [
            f"--host={asked['host']}", f"--port={asked['port']}", f"--user={asked['user']}",
        ]  # fmt: skip
        self.environment = {"MYSQL_PWD": password}

    def rows(self, database: str, query: str) -> list[list[str]]:
        """By standard input in binary mode, where the client takes no commands. Who signed the
        server's certificate is not checked: what RDS signs with is not on the verifier.
        """
        is_encrypted = "show session status like 'Ssl_cipher'"
        statements = [*self.session, self.limit, is_encrypted, query]
        said = _run(
            [
                self.program, "--no-defaults", "--protocol=TCP", "--ssl",
                "--skip-ssl-verify-server-cert", "--batch", "--binary-mode", "--comments",
                "--skip-column-names", "--default-character-set=utf8mb4",
                f"--connect-timeout={CONNECTED_WITHIN}", *self.arguments, f"--database={database}",
            ],
            SECONDS + CONNECTED_WITHIN,
            self.environment,
            ";\n".join(statements) + "\n;\n",  # a query may end in a comment
        )  # fmt: skip
        first, *rest = [line.split("\t") for line in said.split("\n")[:-1]] or [[]]
        if len(first) != 2 or not first[1]:  # noqa: PLR2004 (a name and its value)
            raise NoAnswer("the connection is not encrypted")
        return [["" if value == "NULL" else value for value in row] for row in rest]


class MariaDb(MySql):
    limit = f"set session max_statement_time = {SECONDS}"


ENGINES: dict[str, type[Postgres | MySql]] = {}
ENGINES.update({"postgres": Postgres, "aurora-postgresql": Postgres})
ENGINES.update({"mysql": MySql, "aurora-mysql": MySql, "mariadb": MariaDb})


def main(argument: str) -> None:
    found: dict[str, Any] = {"answers": {}, "errors": {}, "versions": {}}
    try:
        ask(json.loads(base64.b64decode(argument)), found, time.monotonic() + ENDS_AFTER)
    except NoAnswer as error:
        found["failed"] = _cut(str(error))
    printed = json.dumps(found)
    if len(printed) > LONGEST:
        printed = json.dumps({"failed": f"the answer would have {len(printed)} characters"})
    sys.stdout.write(f"{printed}\n")


def ask(asked: dict[str, Any], found: dict[str, Any], ends_at: float) -> None:
    if asked["engine"] not in ENGINES:
        raise NoAnswer(f"{asked['engine']} is no engine that can be asked here")
    client = ENGINES[asked["engine"]]
    _install(client)
    server = client(asked, _password(asked))
    found["versions"] = {
        "server": _one_value(server, client.first, client.version),
        "client": _run([client.program, "--version"], CONNECTED_WITHIN).strip(),
    }
    databases = [row[0] for row in server.rows(client.first, client.databases) if row]
    found["answers"][SERVER] = {"databases": str(len(databases))}
    for one in asked["questions"]:
        every = one["database"] == EVERY
        for database in databases[:MOST_DATABASES] if every else [one["database"]]:
            _ask_one(server, database, one, found, ends_at)


def _ask_one(
    server: Postgres | MySql,
    database: str,
    one: dict[str, str],
    found: dict[str, Any],
    ends_at: float,
) -> None:
    """One question's failure stops no other."""
    answers = found["answers"].setdefault(database, {})
    errors = found["errors"].setdefault(database, {})
    if time.monotonic() > ends_at:
        errors[one["name"]] = f"{ENDS_AFTER} seconds had passed before it was asked"
        return
    try:
        answers[one["name"]] = _one_value(server, database, one["query"])
    except NoAnswer as error:
        errors[one["name"]] = _cut(str(error))


def _one_value(server: Postgres | MySql, database: str, query: str) -> str:
    if not re.match(r"(select|with|show)\b", query, re.IGNORECASE) or re.search(r"[;\\]", query):
        raise NoAnswer("this is not one question: a single select without ; and \\")
    rows = server.rows(database, query)
    if len(rows) != 1 or len(rows[0]) != 1:
        raise NoAnswer(f"the answer is no single value, but has {len(rows)} rows")
    return _cut(rows[0][0])


def _install(client: type[Postgres | MySql]) -> None:
    """From the distribution's own repository, which lies in S3:
    https://docs.aws.amazon.com/linux/al2023/ug/managing-repos-os-updates.html
    """
    if shutil.which(client.program) is None:
        _run(["dnf", "install", "-y", "-q", client.package], INSTALLED_WITHIN)


def _password(asked: dict[str, Any]) -> str:
    return _run(
        [
            "aws", "ssm", "get-parameter", f"--name={asked['secret']}", "--with-decryption",
            f"--region={asked['region']}", "--query=Parameter.Value", "--output=text",
        ],
        SECONDS,
    ).rstrip("\n")  # fmt: skip


def _run(
    command: list[str], seconds: int, environment: dict[str, str] | None = None, given: str = ""
) -> str:
    """What a program prints. Raises NoAnswer with what it complains of."""
    try:
        ended = subprocess.run(  # noqa: S603 (no shell, and every argument is a whole one)
            command,
            input=given.encode(),
            capture_output=True,
            timeout=seconds,
            check=False,
            env={**os.environ, **(environment or {})},
        )
    except subprocess.TimeoutExpired:
        raise NoAnswer(f"{command[0]} took more than {seconds} seconds") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in a name
        raise NoAnswer(f"{command[0]} cannot be run here: {error}") from None
    if ended.returncode:
        said = ended.stderr.decode(errors="replace").strip()
        raise NoAnswer(f"{command[0]} ended with {ended.returncode}: {said}")
    return ended.stdout.decode(errors="replace")


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


if __name__ == "__main__":
    main(sys.argv[1])
