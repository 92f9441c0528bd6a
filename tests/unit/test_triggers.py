"""Every example event is accepted by the function whose folder it is in; nothing else is."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from watchkeeper import triggers
from watchkeeper.triggers import BackUpNow, BadTrigger, SnapshotEvent, Tick, Wake

EVENTS = Path(__file__).parents[2] / "events"
ACCEPTED: dict[str, TypeAdapter[Any]] = {
    "take_backups": triggers.take_backups,
    "expire_backups": triggers.expire_backups,
    "drill_restores": triggers.drill_restores,
    "recover_resources": triggers.recover_resources,
    "triage_incidents": triggers.triage_incidents,
    "sweep_runs": triggers.sweep_runs,
}
EXAMPLES = sorted(path.relative_to(EVENTS).as_posix() for path in EVENTS.rglob("*.json"))


def read(example: str) -> Any:
    return json.loads((EVENTS / example).read_text())


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_accepted_by_its_function(example: str) -> None:
    function = example.split("/", maxsplit=1)[0]

    trigger = triggers.parse(ACCEPTED[function], read(example))

    assert type(trigger).__module__ == "watchkeeper.triggers"


def test_every_function_and_every_kind_of_trigger_has_an_example() -> None:
    kinds = {
        function: {
            type(triggers.parse(ACCEPTED[function], read(example))).__name__
            for example in EXAMPLES
            if example.startswith(f"{function}/")
        }
        for function in ACCEPTED
    }
    assert kinds == {
        "take_backups": {
            "Tick", "Wake", "SnapshotEvent", "DatabaseSnapshotEvent", "ScriptEvent", "KeyEvent",
            "BackUpNow", "Rebuild",
        },
        "expire_backups": {"Tick", "Wake", "RemoveNow"},
        "drill_restores": {"Tick", "Wake", "DrillNow", "SignOffNow", "ShowDrills"},
        "recover_resources": {"Wake", "RecoverNow"},
        "triage_incidents": {"Tick", "Wake", "AlarmsSaid"},
        "sweep_runs": {"Tick"},
    }  # fmt: skip


def test_a_wake_names_each_run_once_however_often_sns_says_it() -> None:
    event = read("take_backups/run-due.json")
    event["Records"] *= 3

    trigger = triggers.parse(triggers.take_backups, event)

    assert isinstance(trigger, Wake)
    assert trigger.run_ids == ["backup#silver#2026-11-23T02:00Z"]


@pytest.mark.parametrize(
    ("example", "ids"),
    [
        ("take_backups/snapshot-failed.json", ["snap-0a1b2c3d4e5f60718"]),
        (
            "take_backups/snapshot-set-succeeded.json",
            ["snap-0a1b2c3d4e5f60718", "snap-0b1b2c3d4e5f60718"],
        ),
    ],
)
def test_an_ebs_event_names_its_snapshots_by_their_bare_ids(example: str, ids: list[str]) -> None:
    trigger = triggers.parse(triggers.take_backups, read(example))

    assert isinstance(trigger, SnapshotEvent)
    assert trigger.snapshot_ids == ids


def test_what_aws_adds_to_its_events_does_no_harm() -> None:
    event = read("take_backups/snapshot-failed.json")
    event["detail"]["new-field"] = {"of": "tomorrow"}

    assert isinstance(triggers.parse(triggers.take_backups, event), SnapshotEvent)


BY_HAND = {"trigger": "by-hand", "request_id": "r-1", "plan": "gold"}
VOLUME = "arn:aws:ec2:eu-west-1:123456789012:volume/vol-1"


def test_resources_and_words_are_optional_by_hand() -> None:
    trigger = triggers.parse(triggers.take_backups, BY_HAND)

    assert trigger == BackUpNow(trigger="by-hand", request_id="r-1", plan="gold")


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (None, "unknown"),
        ([], "unknown"),
        ("tick", "unknown"),
        ({}, "unknown"),
        ({"trigger": "dance"}, "dance"),
        ({"trigger": "tick"}, "scheduled_at"),
        ({"trigger": "tick", "scheduled_at": "soon"}, "scheduled_at"),
        ({"trigger": "tick", "scheduled_at": "2026-11-23T02:00:00"}, "timezone"),
        ({"Records": []}, "Records"),
        ({"Records": [{"Sns": {"Message": "{not json"}}]}, "Message"),
        ({"Records": [{"Sns": {"Message": "{}"}}]}, "Message"),
        ({"source": "aws.ec2", "detail-type": "EBS Volume Notification"}, "detail-type"),
        ({**BY_HAND, "request_id": ""}, "request_id"),
        ({**BY_HAND, "request_id": "a#b"}, "request_id"),
        ({**BY_HAND, "request_id": "x" * 65}, "request_id"),
        ({**BY_HAND, "resource": [VOLUME]}, "resource"),
        ({**BY_HAND, "resources": ["vol-1"]}, "resources"),
        ({**BY_HAND, "resources": [VOLUME] * 51}, "resources"),
        ({**BY_HAND, "tags": ["two words"]}, "tags"),
        ({"trigger": "by-hand", "request_id": "r-1"}, "plan"),
    ],
)
def test_anything_else_is_refused_and_told_where(event: Any, says: str) -> None:
    with pytest.raises(BadTrigger, match=says):
        triggers.parse(triggers.take_backups, event)


def test_a_refusal_quotes_the_event_escaped_and_short() -> None:
    hostile = {"trigger": "\x1b[31m" + "x" * 10_000}

    with pytest.raises(BadTrigger) as refused:
        triggers.parse(triggers.take_backups, hostile)

    assert "\x1b" not in str(refused.value)
    assert len(str(refused.value)) < 1_000


def test_the_sweep_takes_ticks_only() -> None:
    assert isinstance(triggers.parse(triggers.sweep_runs, read("sweep_runs/minute.json")), Tick)
    with pytest.raises(BadTrigger):
        triggers.parse(triggers.sweep_runs, BY_HAND)
