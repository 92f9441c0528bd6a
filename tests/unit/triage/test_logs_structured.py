"""Structured log lines: the sentence in them, and the rest."""

import json

import pytest

from watchkeeper.triage.logs import mine
from watchkeeper.triage.structured import FIELDS, LONGEST_VALUE, record


@pytest.mark.parametrize(
    ("line", "text", "fields"),
    [
        ('{"level":"ERROR","message":"no stock","id":5}', "ERROR no stock", {"id": "5"}),
        ('  {"msg":"no stock"}\n', "no stock", {}),
        ('{"level":50,"msg":"late","pid":7}', "ERROR late", {"pid": "7"}),
        (
            '{"errorType":"KeyError","errorMessage":"x","stackTrace":["a","b"]}',
            "KeyError x",
            {"stackTrace": "[2]"},
        ),
        (
            '{"message":"failed","error":{"type":"IOError","message":"reset","at":{"a":1}}}',
            "IOError failed reset",
            {},
        ),
        ('{"message":"failed: reset","error":"reset"}', "failed: reset", {}),
        (
            '{"type":"platform.start","time":"t","record":{"id":"r"}}',
            "platform.start {record.id, time}",
            {"time": "t", "record.id": "r"},
        ),
        ('{"b":1,"a":true,"c":{"d":{}}}', "{a, b, c}", {"a": "true", "b": "1", "c": "{…}"}),
        ('level=warn msg="late by 5" host=a', "warn late by 5", {"host": "a"}),
        ("audit type=1 msg=denied pid=5", "audit denied", {"pid": "5"}),
    ],
)
def test_what_is_read_of_a_record(line: str, text: str, fields: dict[str, str]) -> None:
    found = record(line)

    assert found is not None
    assert found.text == text
    assert {name: found.fields.get(name) for name in fields} == fields


@pytest.mark.parametrize(
    "line",
    [
        "plain text", "", "{}", "{", "{not json}", "[1]", '"a"', "{" * 10_000 + "}",
        '{"a":' * 10_000 + "}" * 10_000, '{"a":' + "9" * 10_000 + "}",
        "we were told in plain words that msg=x", '{"a":"' + "x" * 300_000 + '"}',
    ],
)  # fmt: skip
def test_what_is_no_record(line: str) -> None:
    assert record(line) is None


def test_a_record_of_many_fields_keeps_some_of_their_beginnings() -> None:
    found = record(json.dumps({f"key{number}": "x" * 1_000 for number in range(100)}))

    assert found is not None
    assert len(found.fields) == FIELDS
    assert {len(value) for value in found.fields.values()} == {LONGEST_VALUE}


def test_records_are_mined_by_their_message_and_their_keys_are_slots() -> None:
    lines = [
        json.dumps({"time": n, "level": "ERROR", "message": f"Order {n} failed", "host": "b"})
        for n in range(3)
    ]
    mined = mine([*lines, "ERROR Order 7 failed"])

    assert [one.template for one in mined.patterns] == ["ERROR Order <*> failed"]
    assert [slot.name for slot in mined.slots(0)] == ["", "time", "host"]
    assert mined.slots(0)[2].said() == '3 of 3 host "b"'
