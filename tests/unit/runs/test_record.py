"""The stored form of a run: an interface to every version, older and newer."""

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.aws.runs import from_item, to_item
from watchkeeper.aws.table import pack, unpack
from watchkeeper.news.runs import StepFailed
from watchkeeper.runs.record import Done, Lease, Run, Step, new_run, news_run

GOLDEN = Path(__file__).parents[2] / "golden" / "run-v1.json"
START = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
RUN = Run(
    id="backup#gold#2026-11-23T02:00Z#003",
    steps=("take", "complete"),
    step="complete",
    entered_at=START,
    wake_at=START + timedelta(minutes=5),
    facts={"plan": "gold", "taken": "7"},
    waits_for="3 of 7 recovery points to complete",
    failure="EC2 refused",
    finished=1,
    attempts=2,
    unclear_since=START + timedelta(minutes=1),
    setbacks=3,
    paged_at=START + timedelta(minutes=2),
    halted_at=START + timedelta(minutes=3),
    unsent=({"type": "StepFailed", "id": "a/b", "why": "so — 'so'", "version": 0},),
    lease=None,
    version=9,
)


def stored(run: Run) -> dict[str, Any]:
    """As DynamoDB gives it back."""
    return unpack(pack(to_item(run)))


def test_the_golden_record_says_every_field() -> None:
    bare = new_run("drill#db", [Step("x", lambda run, cloud, now: Done(), timedelta())], START)
    assert [
        field.name
        for field in fields(Run)
        if field.name not in {"id", "steps", "step", "schema", "lease", "unknown", "entered_at"}
        and getattr(RUN, field.name) == getattr(bare, field.name)
    ] == []


def test_the_golden_record_stays_readable() -> None:
    """A record that version 1 wrote. Never changed: a new schema version adds a file beside it."""
    assert from_item(json.loads(GOLDEN.read_text(encoding="utf-8"))) == RUN


def test_what_is_written_today_is_what_version_1_wrote() -> None:
    assert stored(RUN) == json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_unknown_fields_survive_a_save() -> None:
    newer = {**stored(RUN), "priority": 7, "labels": {"a": ["b", True]}, "schema": 2}
    run = from_item(newer)
    moved = replace(run, step=None, unsent=(), failure=None, version=run.version + 1)
    again = stored(moved)
    assert (again["priority"], again["labels"], again["schema"]) == (7, {"a": ["b", True]}, 2)
    assert "step" not in again
    assert "due" not in again, "an attribute of ours that is gone is not kept as unknown"


def test_a_record_of_the_first_version_without_later_fields_is_read() -> None:
    item = stored(RUN)
    for later in ("halted_at", "paged_at", "setbacks", "unclear_since", "waits_for", "failure"):
        del item[later]
    run = from_item(item)
    assert (run.halted_at, run.setbacks, run.waits_for, run.failure) == (None, 0, "", None)


@pytest.mark.parametrize("step", ["complete", None])
@pytest.mark.parametrize("unsent", [(), RUN.unsent])
def test_the_due_index_holds_what_has_a_step_or_unsent_news(step: str | None, unsent: Any) -> None:
    item = stored(replace(RUN, step=step, unsent=unsent))
    assert item.get("due") == (None if step is None and not unsent else "DUE#backup")


def test_while_leased_it_is_due_when_the_lease_ends() -> None:
    until = START + timedelta(minutes=16)
    item = stored(replace(RUN, lease=Lease("token", until)))
    assert item["wake_at"] == item["lease_until"] == "2026-11-23T02:16:00.000Z"
    assert from_item(item).lease == Lease("token", until)


def test_a_run_of_news_alone() -> None:
    told = StepFailed.about(RUN, step="take", why="x", at=START)
    run = news_run("backup#policy#abc", START, told)
    assert (run.step, run.is_over, run.capability) == (None, False, "backup")
    assert from_item(stored(run)) == run


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
moments = st.integers(0, 10**9).map(lambda ms: START + timedelta(milliseconds=ms))
runs = st.builds(
    Run,
    id=st.just(RUN.id),
    steps=st.lists(texts, max_size=3).map(tuple),
    step=st.none() | texts,
    entered_at=moments,
    wake_at=moments,
    facts=st.dictionaries(texts.filter(bool), texts, max_size=3),
    waits_for=texts,
    failure=st.none() | texts,
    finished=st.integers(0, 9999),
    attempts=st.integers(0, 99),
    unclear_since=st.none() | moments,
    setbacks=st.integers(0, 999),
    paged_at=st.none() | moments,
    halted_at=st.none() | moments,
    unsent=st.lists(st.dictionaries(texts, texts | st.integers()), max_size=2).map(tuple),
    version=st.integers(0, 10**6),
    unknown=st.dictionaries(st.sampled_from(["later", "newer"]), texts | st.integers(), max_size=2),
)


@given(runs)
def test_any_run_is_read_as_it_was_written(run: Run) -> None:
    assert from_item(stored(run)) == run


def test_the_golden_record_is_plain_dynamodb() -> None:
    """Nothing in it needs more than the types that DynamoDB has."""
    packed = pack(json.loads(GOLDEN.read_text(encoding="utf-8")))
    kinds = {kind for value in packed.values() for kind in value}
    assert kinds <= {"S", "N", "M", "L"}
    assert TypeDeserializer().deserialize(packed["finished"]) == 1
