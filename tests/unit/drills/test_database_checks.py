"""What is compared of a restored database, and what its answers prove."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from watchkeeper import naming
from watchkeeper.backups.model import Kind
from watchkeeper.drills import database_answers, database_checks
from watchkeeper.drills.controls import question
from watchkeeper.drills.database_answers import Asked, judged
from watchkeeper.drills.database_checks import Expected, Found
from watchkeeper.drills.database_settings import parameters, shown, told
from watchkeeper.drills.model import Check, Level, Questioned

AT = datetime(2026, 11, 23, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROWS = Questioned("shop", "orders", "select count(*) from orders", at_least=1000)
FEW = Questioned("shop", "errors", "select count(*) from errors", at_most=5)
RELEASE = Questioned("shop", "release", "select max(version) from migrations", equal="2026.11")
NUMBER = Questioned("shop", "tenants", "select count(*) from tenants", equal=3)
NEWEST = Questioned("shop", "order", "select max(created_at) from orders", newest=True)
ALL = (ROWS, FEW, RELEASE, NUMBER, NEWEST)
GOOD: dict[str, dict[str, str]] = {
    "": {"databases": "2"},
    "audit": {"*tables": "1", "*filled tables": "0", "*bytes": "9000"},
    "shop": {
        "*tables": "12", "*filled tables": "11", "*bytes": "123456789",
        "orders": "1000", "errors": "5", "release": "2026.11", "tenants": "3.0",
        "order": "2026-11-23 01:30:00+00",
    },
}  # fmt: skip


def ask(**changes: Any) -> Asked:
    return replace(Asked(AT, HOUR, ALL), **changes)


def answered(**changes: str | None) -> dict[str, Any]:
    """By `shop`; None is an answer that is missing."""
    shop = {**GOOD["shop"], **changes}
    return {
        "answers": {
            **GOOD,
            "shop": {name: text for name, text in shop.items() if text is not None},
        },
        "errors": {},
        "versions": {"server": "16.3"},
    }


def failed(checks: list[Check]) -> list[str]:
    return [check.name for check in checks if not check.passed]


def failing(asked: Asked, document: Mapping[str, object]) -> list[str]:
    return failed(list(judged(asked, document).checks))


# --- answers ----------------------------------------------------------------------------------


def test_a_whole_restore_passes_and_is_remembered() -> None:
    found = judged(ask(), answered())
    assert failed(list(found.checks)) == []
    assert found.newest_data == AT - HOUR / 2
    assert found.remember == {
        "as of": "2026-11-23T02:00:00.000Z",
        "databases of the server": "2",
        "database tables of audit": "1",
        "database filled tables of audit": "0",
        "database bytes of audit": "9000",
        "database tables of shop": "12",
        "database filled tables of shop": "11",
        "database bytes of shop": "123456789",
        "decline of orders in shop": "1000",
    }
    assert {check.level for check in found.checks} == {Level.CHECK}
    again = judged(ask(before=found.remember), answered())
    assert failed(list(again.checks)) == []
    assert again.remember == found.remember


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"orders": "999"}, ["answer of orders in shop"]),
        ({"orders": None}, ["answer of orders in shop"]),
        ({"orders": "many"}, ["answer of orders in shop"]),
        ({"orders": "NaN"}, ["answer of orders in shop"]),
        ({"orders": "inf"}, ["answer of orders in shop"]),
        ({"errors": "6"}, ["answer of errors in shop"]),
        ({"errors": ""}, ["answer of errors in shop"]),
        ({"release": "2026.10"}, ["exact answer of release in shop"]),
        ({"tenants": "4"}, ["exact answer of tenants in shop"]),
        ({"order": "2026-11-23 00:59:59+00"}, ["newest row of order in shop"]),
        ({"order": "2026-11-23 02:05:01+00"}, ["newest row of order in shop"]),
        ({"order": ""}, ["newest row of order in shop"]),
        ({"order": "1764000000"}, ["newest row of order in shop"]),
        ({"*tables": "x"}, ["database tables of shop"]),
        ({"*bytes": None}, ["database bytes of shop"]),
        ({"*filled tables": "0"}, ["database contents"]),
    ],
)
def test_an_answer_that_is_wrong_or_missing_fails(
    changes: dict[str, str | None], names: list[str]
) -> None:
    assert failing(ask(), answered(**changes)) == names


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-23 01:30:00", "2026-11-23 01:30:00.000000", "2026-11-23T01:30:00Z",
        "2026-11-23 02:30:00+01", "2026-11-23 02:30:00+01:00",
    ],
)  # fmt: skip
def test_times_as_databases_write_them(written: str) -> None:
    found = judged(ask(), answered(order=written))
    assert found.newest_data == AT - HOUR / 2
    assert failed(list(found.checks)) == []


def test_the_newest_data_is_that_of_the_newest_answer_before_the_recovery_point() -> None:
    other = replace(NEWEST, name="payment")
    asked = ask(questions=(NEWEST, other))
    assert judged(asked, answered(payment="2026-11-23 01:59:00")).newest_data == AT - HOUR / 60
    future = judged(asked, answered(payment="2031-01-01 00:00:00"))
    assert failed(list(future.checks)) == ["newest row of payment in shop"]
    assert future.newest_data == AT - HOUR / 2


BEFORE = judged(ask(), answered()).remember
COLLAPSED = ("orders", "*tables", "*filled tables", "*bytes")


def test_what_has_collapsed_since_the_last_drill_fails_without_a_policy() -> None:
    half = {name: str(int(GOOD["shop"][name]) // 2) for name in COLLAPSED}
    asked = ask(questions=(replace(ROWS, at_least=1),), before=BEFORE)
    assert failing(asked, answered(**half)) == [
        "database tables of shop",
        "database filled tables of shop",
        "database bytes of shop",
        "decline of orders in shop",
    ]
    tenth_less = {"orders": "900", "*bytes": "111111111", "*filled tables": "10", "*tables": "11"}
    assert failing(asked, answered(**tenth_less)) == []
    [decline] = [c for c in judged(asked, answered()).checks if c.name.startswith("decline")]
    assert decline.expected == "at least 900, 90% of the 1000 of the last drill"


def test_a_database_that_is_missing_fails() -> None:
    document = answered()
    del document["answers"]["audit"]
    document["answers"][""]["databases"] = "1"
    assert failing(ask(before=BEFORE), document) == [
        "databases of the server",
        "database bytes of audit",
        "database filled tables of audit",
        "database tables of audit",
    ]


def test_an_older_recovery_point_may_hold_less_but_not_nothing() -> None:
    older = ask(created_at=AT - 24 * HOUR, questions=(replace(ROWS, at_least=0),), before=BEFORE)
    found = judged(
        older, answered(orders="3", **{"*bytes": "4", "*tables": "2", "*filled tables": "1"})
    )
    assert failed(list(found.checks)) == []
    assert found.remember == BEFORE
    nothing = answered(orders="0", **{"*bytes": "0", "*tables": "0", "*filled tables": "0"})
    assert failing(older, nothing) == [
        "database contents",
        "database tables of shop",
        "database filled tables of shop",
        "database bytes of shop",
        "decline of orders in shop",
    ]


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"failed": "psql ended with 2"},
        {"answers": None, "errors": [], "versions": 3},
        {"answers": {"shop": ["*tables"], "": 3}},
        {"answers": {"": {"databases": "0"}}},
        {"answers": {"shop": {"*tables": 12}}},
    ],
)
def test_no_answers_are_a_failure(document: dict[str, object]) -> None:
    assert "database answers" in failing(ask(questions=()), document)
    assert judged(ask(questions=()), document).newest_data is None


def test_a_database_that_answers_nothing_fails() -> None:
    document = answered()
    document["errors"] = {"private": {"*tables": "permission denied", "*bytes": "no"}}
    checks = judged(ask(), document).checks
    assert failed(list(checks)) == [
        "database tables of private",
        "database filled tables of private",
        "database bytes of private",
    ]
    assert '"permission denied"' in {check.why for check in checks}


def test_a_question_of_the_policy_may_be_called_as_one_of_ours() -> None:
    tables = replace(ROWS, name="tables", at_least=99)
    asked = ask(questions=(tables,))
    assert failing(asked, answered(tables="99")) == []
    assert failing(asked, answered(tables="98")) == ["answer of tables in shop"]


def test_what_the_server_says_is_quoted() -> None:
    evil = "<script>\x1b[31m"
    document: dict[str, Any] = {
        "answers": {evil: {"*tables": evil}, "shop": {"orders": evil}},
        "errors": {"shop": {"errors": evil}},
        "versions": {"server": evil},
    }
    texts = [
        text
        for check in judged(ask(), document).checks
        for text in (check.name, check.expected, check.found, check.why)
    ]
    assert "\x1b" not in "".join(texts)
    assert any(check.why.startswith('"<script>') for check in judged(ask(), document).checks)


def test_questions_for_the_script() -> None:
    asked = database_answers.request("aurora-mysql", [ROWS])
    assert asked[0] == {"database": "shop", "name": "orders", "query": ROWS.query}
    assert [one["name"] for one in asked[1:]] == ["*tables", "*filled tables", "*bytes"]
    assert {one["database"] for one in asked[1:]} == {"*"}
    with pytest.raises(KeyError):
        database_answers.request("oracle-ee", [])


# --- settings ---------------------------------------------------------------------------------

EXPECTED = Expected(
    told={"DBInstanceClass": "db.t4g.medium", "MultiAZ": False, "PubliclyAccessible": False},
    kept={"EngineVersion": "16.3", "KmsKeyId": "none"},
    isolation={"PubliclyAccessible": False, "VpcSecurityGroups": ["sg-1"]},
    tags={naming.TAG_DRILL: "wk-drill-1"},
    gib=20,
)
FOUND = Found(
    {**EXPECTED.told, **EXPECTED.kept, **EXPECTED.isolation}, {naming.TAG_DRILL: "wk-drill-1"}, 25
)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"EngineVersion": "16.4"}, "database setting of EngineVersion"),
        ({"DBInstanceClass": None}, "database setting of DBInstanceClass"),
        ({"MultiAZ": True}, "database setting of MultiAZ"),
        ({"KmsKeyId": "arn:key/1"}, "database setting of KmsKeyId"),
        ({"PubliclyAccessible": True}, "database isolation of PubliclyAccessible"),
        ({"VpcSecurityGroups": ["sg-1", "sg-2"]}, "database isolation of VpcSecurityGroups"),
    ],
)
def test_each_setting_is_compared(changes: dict[str, object], name: str) -> None:
    assert failed(database_checks.checks(EXPECTED, FOUND)) == []
    found = replace(FOUND, settings={**FOUND.settings, **changes})
    assert failed(database_checks.checks(EXPECTED, found)) == [name]


def test_size_and_tags_are_compared() -> None:
    small = replace(FOUND, gib=19)
    assert failed(database_checks.checks(EXPECTED, small)) == ["database storage"]
    assert failed(database_checks.checks(replace(EXPECTED, gib=None), small)) == []
    for tags in ({}, {naming.TAG_DRILL: "wk-drill-2"}):
        found = replace(FOUND, tags=tags)
        assert failed(database_checks.checks(EXPECTED, found)) == ["database tags"]


def test_what_a_restore_is_told_is_what_it_shows() -> None:
    manifest = {
        "DBInstanceClass": "db.t4g.medium",
        "DBParameterGroups": ["default.postgres16"],
        "OptionGroupMemberships": ["own"],
        "IAMDatabaseAuthenticationEnabled": True,
        "MultiAZ": True,
        "StorageType": "io1",
    }
    described = {
        **manifest,
        "DBParameterGroups": [{"DBParameterGroupName": "default.postgres16"}],
        "OptionGroupMemberships": [{"OptionGroupName": "own", "Status": "in-sync"}],
    }
    expected = told(manifest, Kind.DATABASE)
    assert expected["OptionGroupMemberships"] == "own"
    assert expected["MultiAZ"] is False
    assert {"DBParameterGroups", "StorageType"}.isdisjoint(expected)
    asked = parameters(manifest, Kind.DATABASE)
    assert asked["EnableIAMDatabaseAuthentication"] is True
    assert asked["OptionGroupName"] == "own"
    assert shown(described, Kind.DATABASE)["MultiAZ"] is True
    assert told(described, Kind.DATABASE) == expected


def test_capacities_are_numbers_again() -> None:
    written = {"ServerlessV2ScalingConfiguration": {"MinCapacity": "0.5", "MaxCapacity": 4}}
    described = {"ServerlessV2ScalingConfiguration": {"MinCapacity": 0.5, "MaxCapacity": 4.0}}
    asked = parameters(written, Kind.CLUSTER)["ServerlessV2ScalingConfiguration"]
    assert asked == {"MinCapacity": 0.5, "MaxCapacity": 4.0}
    assert told(written, Kind.CLUSTER).items() >= shown(described, Kind.CLUSTER).items()


# --- negative controls ------------------------------------------------------------------------


def test_every_question_fails_on_both_stand_ins() -> None:
    whole = [
        *database_checks.checks(EXPECTED, FOUND),
        *judged(ask(before=BEFORE), answered()).checks,
    ]
    questions = {(question(check), check.version) for check in whole}
    for stand_in in (database_checks.tampered(), database_checks.empty()):
        refused = {(question(check), check.version) for check in stand_in if not check.passed}
        assert refused == questions
