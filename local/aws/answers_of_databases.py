"""What `drills/scripts/ask_database.py` would print on a verifier, of databases in the box.

Each server has one database, `shop`, with the tables of `local.aws.rds_restores`, and two that are
not counted: its migrations, and where it was installed. It knows the questions that are always
asked, counts and newest times of its tables, the version of its schema, and which installation it
is; anything else is an error, as a database would answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from moto.ssm.models import ssm_backends

from local.aws import rds_restores
from local.aws.rds_restores import Content, RdsBox
from watchkeeper.drills import database_answers
from watchkeeper.drills.database_answers import BYTES, FILLED, TABLES

DATABASE = "shop"
MIGRATIONS = "migrations"
WHICH = "select name from installation"
BYTES_OF = {"a table": 65_536, "a row": 200}
ANSWERS_IN = frozenset({"available", "storage-optimization", "storage-initialization"})

Request = Mapping[str, Any]


def answer(cloud: RdsBox, request: Mapping[str, object], instance_id: str) -> tuple[int, str]:
    """The exit code of the script, and what it prints. Whichever verifier asks, hears the same."""
    asked: Request = request
    name = _server(cloud, asked["host"])
    if problem := _problem(cloud, asked, name):
        return 0, json.dumps({"answers": {}, "errors": {}, "versions": {}, "failed": problem})
    content = rds_restores.installed_in(cloud).content(name)
    found: dict[str, Any] = {
        "answers": {database_answers.SERVER: {"databases": "1"}, DATABASE: {}},
        "errors": {},
        "versions": {"server": "box", "client": "box"},
    }
    for one in asked["questions"]:
        _put(found, one, asked["engine"], content)
    return 0, json.dumps(found)


def _server(cloud: RdsBox, host: str) -> str:
    """The name of the instance or cluster with this address; empty if there is none."""
    backend = rds_restores.installed_in(cloud).rds.backend
    addresses = {one.address: one.db_instance_identifier for one in backend.databases.values()}
    addresses |= {one.endpoint: one.db_cluster_identifier for one in backend.clusters.values()}
    return str(addresses.get(host, ""))


def _problem(cloud: RdsBox, asked: Request, name: str) -> str:
    """What ends the script before it comes to a question."""
    restores = rds_restores.installed_in(cloud)
    kept = ssm_backends[cloud.account_id][cloud.region].get_parameter(asked["secret"])
    if kept is None:
        return f"aws ended with 254: ParameterNotFound: {asked['secret']}"
    if not name or restores.rds._database(name).status not in ANSWERS_IN:
        return f"the client ended with 2: could not connect to {asked['host']}"
    if not restores.opens(name, kept.decrypt(kept.value) or ""):
        return f'the client ended with 2: password authentication failed for "{asked["user"]}"'
    return ""


def _put(found: dict[str, Any], one: Mapping[str, str], engine: str, content: Content) -> None:
    database = DATABASE if one["database"] == database_answers.EVERY else one["database"]
    known = _answer(one["query"], engine, content) if database == DATABASE else None
    if known is not None:
        found["answers"].setdefault(database, {})[one["name"]] = known
        return
    what = "relation or column" if database == DATABASE else f'database "{database}"'
    error = f"the client ended with 1: {what} does not exist"
    found["errors"].setdefault(database, {})[one["name"]] = error


def _answer(query: str, engine: str, content: Content) -> str | None:
    """None for what no table of it can answer."""
    known = {WHICH: content.identity} | {
        text: str(_built_in(name, content))
        for name, text in database_answers.BUILT_IN.get(engine, {}).items()
    }
    if query in known:
        return known[query]
    asked = re.fullmatch(r"select (count|max)\((\*|\w+)\) from (\w+)", query, re.IGNORECASE)
    if asked is None:
        return None
    function, column, table = asked[1].lower(), asked[2], asked[3]
    if (function, column, table) == ("max", "version", MIGRATIONS):
        return str(content.schema_version) if _built_in(FILLED, content) else ""
    rows = content.tables.get(table)
    if rows is None or (function, column) == ("max", "*"):
        return None
    if function == "count":
        return str(rows.count)
    return f"{rows.newest:%Y-%m-%d %H:%M:%S}+00" if rows.newest else ""


def _built_in(name: str, content: Content) -> int:
    tables = content.tables.values()
    numbers = {
        TABLES: len(tables),
        FILLED: sum(1 for rows in tables if rows.count),
        BYTES: sum(BYTES_OF["a table"] + rows.count * BYTES_OF["a row"] for rows in tables),
    }
    return numbers[name]
