"""The script on a verifier, as a program of its own, with clients that note how they were run."""

import base64
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from watchkeeper.drills import database_answers
from watchkeeper.drills.scripts import ask_database

SCRIPT = Path(ask_database.__file__)
PASSWORD = "it's-a-$ecret"
CLIENT = r"""#!{python}
import json, os, sys, time
given = sys.stdin.read()
name = os.path.basename(sys.argv[0])
seen = {{"name": name, "arguments": sys.argv[1:], "given": given, "environment": dict(os.environ)}}
with open({log!r}, "a") as log:
    log.write(json.dumps(seen) + "\n")
replies = json.load(open({replies!r}))
text = given if name == "mysql" else sys.argv[-1]
for part, (code, out, err) in replies.get(name, {{}}).items():
    if part in text:
        break
else:
    code, out, err = 0, "", ""
sys.stdout.buffer.write(out.encode("utf-8", "surrogateescape"))
sys.stderr.write(err)
sys.exit(code)
"""

Reply = tuple[int, str, str]
Replies = Mapping[str, Mapping[str, Reply]]
Run = dict[str, Any]


class Instance:
    """A verifier whose PATH has nothing but these programs."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.log, self.replies = folder / "bin", folder / "log", folder / "replies"
        self.bin.mkdir()
        self.log.touch()

    def install(self, *names: str) -> None:
        text = CLIENT.format(python=sys.executable, log=str(self.log), replies=str(self.replies))
        for name in names:
            program = self.bin / name
            program.write_text(text)
            program.chmod(0o755)

    def ask(self, request: Mapping[str, object], replies: Replies) -> dict[str, Any]:
        self.replies.write_text(json.dumps(replies))
        argument = base64.b64encode(json.dumps(request).encode()).decode()
        ended = subprocess.run(
            [sys.executable, str(SCRIPT), argument],
            capture_output=True,
            timeout=30,
            check=True,
            env={"PATH": str(self.bin), "HOME": "/nowhere"},
        )
        found: dict[str, Any] = json.loads(ended.stdout)
        return found

    def runs(self, name: str) -> list[Run]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in lines if line["name"] == name]


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    made = Instance(tmp_path)
    made.install("aws", "psql", "mysql")
    return made


def request(engine: str = "postgres", **changes: object) -> dict[str, object]:
    asked: dict[str, object] = {
        "engine": engine,
        "host": "wk-drill-1.local",
        "port": 5432,
        "user": "admin1",
        "region": "eu-west-1",
        "secret": "/watchkeeper/drills/wk-drill-1",
        "questions": [{"database": "shop", "name": "orders", "query": "select count(*) from o"}],
    }
    return {**asked, **changes}


AWS = {"get-parameter": (0, f"{PASSWORD}\n", ""), "": (0, f"{PASSWORD}\n", "")}
PSQL = {
    "pg_database where": (0, "audit\nshop\n", ""),
    "server_version": (0, "16.3\n", ""),
    "--version": (0, "psql (PostgreSQL) 16.9\n", ""),
    "from o": (0, "1234\n", ""),
}
TLS = "Ssl_cipher\tTLS_AES_256_GCM_SHA384\n"
MYSQL = {
    "information_schema.schemata": (0, f"{TLS}shop\n", ""),
    "version()": (0, f"{TLS}8.0.40\n", ""),
    "from o": (0, f"{TLS}1234\n", ""),
    "": (0, "mysql  Ver 15.1\n", ""),
}


@pytest.mark.parametrize("engine", ["postgres", "aurora-postgresql"])
def test_postgres_is_asked(instance: Instance, engine: str) -> None:
    found = instance.ask(request(engine), {"aws": AWS, "psql": PSQL})
    assert found == {
        "answers": {"": {"databases": "2"}, "shop": {"orders": "1234"}},
        "errors": {"shop": {}},
        "versions": {"server": "16.3", "client": "psql (PostgreSQL) 16.9"},
    }
    [asked] = [run for run in instance.runs("psql") if "from o" in run["arguments"][-1]]
    environment = asked["environment"]
    assert environment["PGPASSWORD"] == PASSWORD
    assert environment["PGSSLMODE"] == "require"
    assert environment["PGDATABASE"] == "shop"
    assert "default_transaction_read_only=on" in environment["PGOPTIONS"]
    assert "statement_timeout=60000" in environment["PGOPTIONS"]
    [read] = instance.runs("aws")
    assert read["arguments"][:2] == ["ssm", "get-parameter"]
    assert "--name=/watchkeeper/drills/wk-drill-1" in read["arguments"]
    assert "--with-decryption" in read["arguments"]
    assert_no_password_in_arguments(instance)


@pytest.mark.parametrize(
    ("engine", "limit"),
    [
        ("mysql", "max_execution_time = 60000"),
        ("aurora-mysql", "max_execution_time = 60000"),
        ("mariadb", "max_statement_time = 60"),
    ],
)
def test_mysql_and_mariadb_are_asked(instance: Instance, engine: str, limit: str) -> None:
    found = instance.ask(request(engine), {"aws": AWS, "mysql": MYSQL})
    assert found["answers"] == {"": {"databases": "1"}, "shop": {"orders": "1234"}}
    assert found["versions"]["server"] == "8.0.40"
    asked = next(run for run in instance.runs("mysql") if "from o" in run["given"])
    assert asked["environment"]["MYSQL_PWD"] == PASSWORD
    assert {"--ssl", "--binary-mode", "--database=shop"} <= set(asked["arguments"])
    assert asked["arguments"][0] == "--no-defaults"
    assert "set session transaction read only;" in asked["given"]
    assert limit in asked["given"]
    assert_no_password_in_arguments(instance)


def assert_no_password_in_arguments(instance: Instance) -> None:
    for name in ("aws", "dnf", "psql", "mysql"):
        for run in instance.runs(name):
            assert PASSWORD not in " ".join(run["arguments"]) + run["given"]


def test_a_connection_without_tls_answers_nothing(instance: Instance) -> None:
    bare = {**MYSQL, "version()": (0, "Ssl_cipher\t\n9\n", "")}
    found = instance.ask(request("mysql"), {"aws": AWS, "mysql": bare})
    assert found["failed"] == "the connection is not encrypted"


def test_every_database_is_asked_what_is_always_asked(instance: Instance) -> None:
    names = [f"db{number:02d}" for number in range(60)]
    question = database_answers.request("postgres", [])[0]
    psql = {
        **PSQL,
        "pg_database where": (0, "".join(f"{name}\n" for name in names), ""),
        "select ": (0, "7\n", ""),
    }
    found = instance.ask(request(questions=[question]), {"aws": AWS, "psql": psql})
    assert found["answers"].pop("") == {"databases": "60"}
    assert found["answers"] == {name: {question["name"]: "7"} for name in names[:50]}


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ((1, "", 'ERROR:  relation "o" does not exist'), "psql ended with 1: ERROR:  relation"),
        ((0, "", ""), "the answer is no single value, but has 0 rows"),
        ((0, "1\n2\n", ""), "the answer is no single value, but has 2 rows"),
        ((0, "1,2\n", ""), "the answer is no single value, but has 1 rows"),
        ((0, '"1\n2",3\n', ""), "the answer is no single value, but has 1 rows"),
    ],
)
def test_one_failure_stops_no_other_question(instance: Instance, reply: Reply, error: str) -> None:
    questions = [
        {"database": "shop", "name": "bad", "query": "select bad from o"},
        {"database": "shop", "name": "good", "query": "select good"},
    ]
    psql = {"select bad": reply, "select good": (0, "1\n", ""), **PSQL}
    found = instance.ask(request(questions=questions), {"aws": AWS, "psql": psql})
    assert found["answers"]["shop"] == {"good": "1"}
    assert found["errors"]["shop"]["bad"].startswith(error)


@pytest.mark.parametrize("engine", ["postgres", "mysql"])
@pytest.mark.parametrize(
    "query",
    [
        "\\! touch /tmp/x", "select 1 \\! touch /tmp/x", "select 1; drop table o", "drop table o",
        "select 1\n;system id;", "\\copy o to '/tmp/x'", "", " select 1",
    ],
)  # fmt: skip
def test_what_is_more_than_a_question_reaches_no_client(
    instance: Instance, engine: str, query: str
) -> None:
    questions = [{"database": "shop", "name": "evil", "query": query}]
    replies = {"aws": AWS, "psql": PSQL, "mysql": MYSQL}
    found = instance.ask(request(engine, questions=questions), replies)
    assert found["errors"]["shop"]["evil"].startswith("this is not one question")
    seen = [json.dumps(run) for run in (*instance.runs("psql"), *instance.runs("mysql"))]
    assert not any("touch" in one or "drop" in one or "system" in one for one in seen)


def test_hostile_names_and_queries_are_one_argument(instance: Instance) -> None:
    database, query = "a b=$(id)' \"`x`", "select '$(id)`id`\"' -- \n 'é'"
    questions = [{"database": database, "name": "n'\"", "query": query}]
    psql = {**PSQL, "select '": (0, '"a ""b"" é"\n', "")}
    found = instance.ask(request(questions=questions), {"aws": AWS, "psql": psql})
    assert found["answers"][database] == {"n'\"": 'a "b" é'}
    [asked] = [run for run in instance.runs("psql") if "select '" in run["arguments"][-1]]
    assert asked["arguments"][-2:] == ["-c", query]
    assert asked["environment"]["PGDATABASE"] == database


def test_broken_output_is_text_like_any_other(instance: Instance) -> None:
    psql = {**PSQL, "from o": (0, "\udcff" * 300 + "\n", "")}
    found = instance.ask(request(), {"aws": AWS, "psql": psql})
    answer = found["answers"]["shop"]["orders"]
    assert len(answer) == 200
    assert set(answer) == {"�", "…"}


@pytest.mark.parametrize(
    ("engine", "name", "reply"), [("postgres", "psql", "\n"), ("mysql", "mysql", f"{TLS}NULL\n")]
)
def test_no_value_is_an_empty_one(instance: Instance, engine: str, name: str, reply: str) -> None:
    replies = {"psql": PSQL, "mysql": MYSQL}[name]
    found = instance.ask(request(engine), {"aws": AWS, name: {**replies, "from o": (0, reply, "")}})
    assert found["answers"]["shop"] == {"orders": ""}


def test_too_much_to_tell_is_said(instance: Instance) -> None:
    questions = [
        {"database": "shop", "name": f"{number}", "query": "select bad"} for number in range(20)
    ]
    psql = {"select bad": (1, "", "é" * 300), **PSQL}
    found = instance.ask(request(questions=questions), {"aws": AWS, "psql": psql})
    assert found["failed"].startswith("the answer would have ")


def test_a_missing_client_is_installed(tmp_path: Path) -> None:
    instance = Instance(tmp_path)
    instance.install("aws")
    dnf = instance.bin / "dnf"
    log, source = tmp_path / "dnf.log", tmp_path / "psql"
    instance.install("psql")
    (instance.bin / "psql").rename(source)
    dnf.write_text(f'#!/bin/sh\necho "$@" > {log}\n/bin/mv {source} {instance.bin}/psql\n')
    dnf.chmod(0o755)
    found = instance.ask(request(), {"aws": AWS, "psql": PSQL})
    assert found["answers"]["shop"] == {"orders": "1234"}
    assert log.read_text() == "install -y -q postgresql16\n"


@pytest.mark.parametrize(
    ("present", "replies", "failed"),
    [
        (("aws",), {}, "dnf cannot be run here"),
        (("aws", "dnf"), {"dnf": {"": (1, "", "No match")}}, "dnf ended with 1: No match"),
        (("psql",), {"psql": PSQL}, "aws cannot be run here"),
        (
            ("psql", "aws"),
            {"psql": PSQL, "aws": {"": (254, "", "ParameterNotFound")}},
            "aws ended with 254: ParameterNotFound",
        ),
        (
            ("psql", "aws"),
            {"aws": AWS, "psql": {"": (2, "", "password authentication failed")}},
            "psql ended with 2: password authentication failed",
        ),
    ],
)
def test_what_keeps_it_from_asking_is_told(
    tmp_path: Path, present: tuple[str, ...], replies: Replies, failed: str
) -> None:
    instance = Instance(tmp_path)
    instance.install(*present)
    found = instance.ask(request(), replies)
    assert found["failed"].startswith(failed)
    assert found["answers"] == {}


def test_an_engine_that_nobody_can_ask(instance: Instance) -> None:
    found = instance.ask(request("oracle-ee"), {})
    assert found["failed"] == "oracle-ee is no engine that can be asked here"


def test_a_client_that_hangs_is_ended(tmp_path: Path) -> None:
    hangs = tmp_path / "psql"
    hangs.write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    hangs.chmod(0o755)
    with pytest.raises(ask_database.NoAnswer, match="took more than 1 seconds"):
        ask_database._run([str(hangs)], 1)


def test_when_the_time_is_up_the_rest_is_an_error() -> None:
    found: dict[str, Any] = {"answers": {}, "errors": {}}
    server = ask_database.Postgres(request(), PASSWORD)
    one = {"database": "shop", "name": "orders", "query": "select 1"}
    ask_database._ask_one(server, "shop", one, found, -1.0)
    assert found["errors"] == {"shop": {"orders": "2400 seconds had passed before it was asked"}}
