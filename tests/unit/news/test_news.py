"""Every message: small, told apart, readable by older and newer versions, fit for its topic."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from watchkeeper.aws.topics import _subject
from watchkeeper.news.base import LIMIT, LINE, LINES, SENTENCE, News
from watchkeeper.news.every import EVERY, read_news
from watchkeeper.news.runs import RunFailed, RunStuck, StepFailed, StepOverdue
from watchkeeper.runs.record import Run, Told

NOW = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
RUN = Run("backup#gold#2026-11-23T02:00Z", ("take", "report"), "take", NOW, NOW, version=7)

VALUES = {
    "str": "because", "int": 3, "float": 3.0, "bool": True, "datetime": NOW,
    "list[str]": ["a", "b"], "float | None": 3.0,
}  # fmt: skip
PAGES = [kind for kind in EVERY.values() if kind.is_page]


def fields_of(kind: type[News], text: str = "because", lines: int = 2) -> dict[str, Any]:
    """Values for the fields that a kind has beyond those of all news."""
    own = {name: one for name, one in kind.model_fields.items() if name not in News.model_fields}
    values = {**VALUES, "str": text, "list[str]": [text] * lines}
    return {name: values[_name(field.annotation)] for name, field in own.items()}


def _name(annotation: Any) -> str:
    return annotation.__name__ if type(annotation) is type else str(annotation)


def told(kind: type[News], **values: Any) -> Told:
    return kind.about(RUN, at=NOW, **{**fields_of(kind), **values})


def sent(message: Told) -> bytes:
    """What reaches SNS."""
    return json.dumps(dict(message)).encode()


# ── Stored and read ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", EVERY.values(), ids=lambda kind: kind.__name__)
def test_a_message_is_read_as_what_it_was(kind: type[News]) -> None:
    message = json.loads(sent(told(kind)))
    news = read_news(message)
    assert type(news) is kind
    assert (news.run, news.capability, news.at) == (RUN.id, "backup", NOW)
    assert news.told() == told(kind)


def test_a_type_that_only_a_newer_version_knows_is_passed_on_whole() -> None:
    message = {**told(StepFailed), "type": "MoonRose", "phase": "full", "schema_version": 2}
    news = read_news(message)
    assert type(news) is News
    assert not news.is_page
    assert news.measures() == {}
    kept = {key: value for key, value in news.told().items() if key != "type"}
    assert kept == {key: value for key, value in message.items() if key != "type"}


def test_fields_of_a_newer_version_are_kept() -> None:
    message = {**told(StepFailed), "severity": "low"}
    assert read_news(message).told()["severity"] == "low"


# ── Ids ───────────────────────────────────────────────────────────────────────────────────────────


def test_an_id_is_stable_and_names_run_step_and_kind() -> None:
    assert told(StepFailed)["id"] == told(StepFailed, why="another")["id"]
    assert told(StepFailed)["id"] == "backup#gold#2026-11-23T02:00Z/0000-take/StepFailed"


def test_ids_tell_steps_kinds_and_occasions_apart() -> None:
    fields = fields_of(StepFailed)
    one = Run(RUN.id, RUN.steps, "take", NOW, NOW)
    other = Run(RUN.id, RUN.steps, "report", NOW, NOW, finished=1)
    over = Run(RUN.id, RUN.steps, None, NOW, NOW, finished=2)
    ids = {
        StepFailed.about(one, at=NOW, **fields)["id"],
        StepFailed.about(one, at=NOW, of="vol-1", **fields)["id"],
        StepFailed.about(other, at=NOW, **fields)["id"],
        StepFailed.about(over, at=NOW, **fields)["id"],
        told(StepOverdue)["id"],
        told(RunFailed)["id"],
    }
    assert len(ids) == 6


# ── Size ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", EVERY.values(), ids=lambda kind: kind.__name__)
def test_the_longest_message_of_each_kind_stays_within_the_limit(kind: type[News]) -> None:
    message = kind.about(RUN, at=NOW, **fields_of(kind, "x" * 100_000, lines=1_000))
    assert len(sent(message)) <= LIMIT


@pytest.mark.parametrize("text", ["ü", "備", "🌙"])
def test_so_do_those_in_another_script(text: str) -> None:
    for kind in EVERY.values():
        message = kind.about(RUN, at=NOW, **fields_of(kind, text * 100_000, lines=1_000))
        assert len(sent(message)) <= LIMIT


def test_what_is_too_long_is_refused_with_its_name_and_size() -> None:
    news = RunFailed(id="x", capability="backup", run=RUN.id, at=NOW, why="x" * LIMIT)
    with pytest.raises(ValueError, match=r"RunFailed of backup#gold.* takes 8\d+ bytes"):
        news.told()


def test_long_text_is_cut_visibly_and_long_lists_end_with_a_count() -> None:
    message = told(StepFailed, why="x" * (SENTENCE + 1))
    assert message["why"] == "x" * SENTENCE + "…"
    kind = EVERY["RecoveryPointsCompleted"]
    reasons = told(kind, reasons=["y" * (LINE + 1)] * (LINES + 5))["reasons"]
    assert reasons == ["y" * LINE + "…"] * LINES + ["and 5 more"]
    assert told(kind, reasons=["a"] * LINES)["reasons"] == ["a"] * LINES


# ── For people ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", PAGES, ids=lambda kind: kind.__name__)
def test_a_page_says_what_why_and_where_to_look(kind: type[News]) -> None:
    news = read_news(told(kind))
    text = news.text()
    assert "RUN#backup#gold#2026-11-23T02:00Z" in text or "docs/runbooks/" in text
    fields = fields_of(kind)
    explained = [value for value in fields.values() if isinstance(value, str)] or ["3"]
    assert all(value in text for value in explained)
    assert len(text.encode()) < LIMIT


@pytest.mark.parametrize("kind", [StepOverdue, RunStuck])
def test_a_page_of_the_engine_names_the_step(kind: type[News]) -> None:
    assert "take" in read_news(told(kind, step="take")).text()


@pytest.mark.parametrize("kind", PAGES, ids=lambda kind: kind.__name__)
def test_the_subject_is_one_that_sns_takes(kind: type[News]) -> None:
    for text in ("because", "x" * 500, "ночь", "a\nb\tc", "🌙" * 99):
        own = [name for name, value in fields_of(kind).items() if value == "because"]
        news = read_news(told(kind, **dict.fromkeys(own, text)))
        subject = _subject(news.subject())
        assert subject.isascii()
        assert subject.isprintable()
        assert 0 < len(subject) <= 100
        assert not subject[0].isspace()


@pytest.mark.parametrize(
    "kind",
    [kind for kind in EVERY.values() if not kind.is_page],
    ids=lambda kind: kind.__name__,
)
def test_news_for_machines_is_no_page(kind: type[News]) -> None:
    with pytest.raises(NotImplementedError, match=kind.__name__):
        read_news(told(kind)).text()


@pytest.mark.parametrize("kind", EVERY.values(), ids=lambda kind: kind.__name__)
def test_measures_are_numbers(kind: type[News]) -> None:
    for name, value in read_news(told(kind)).measures().items():
        assert name.isalpha()
        assert value >= 0
