"""The scorer, and the figures on labelled data where there are any."""

import os
from pathlib import Path

import pytest

from evaluation import loghub

DATA = os.environ.get("DATA", "")
"""The folder that `make evaluate DATA=folder` measures on."""


def write(folder: Path, *rows: tuple[str, str]) -> None:
    lines = [f'"{content}",{event}' for content, event in rows]
    (folder / "Made_2k.log_structured.csv").write_text("\n".join(["Content,EventId", *lines]))


def test_groups_are_right_if_their_lines_are_exactly_those_of_an_event(tmp_path: Path) -> None:
    write(
        tmp_path,
        ("Order 1 failed", "E1"), ("Order 2 failed", "E1"), ("up", "E2"), ("up", "E3"),
    )  # fmt: skip
    (score,) = loghub.scores(tmp_path)

    assert (score.name, score.events, score.patterns) == ("Made", 3, 2)
    assert score.accuracy == 0.5
    assert score.f1 == 2 * 1 / (3 + 2)


def test_an_empty_folder_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert loghub.main(tmp_path) == 2
    assert "no *_structured.csv" in capsys.readouterr().err


def test_the_means_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, ("Order 1 failed", "E1"))

    assert loghub.main(tmp_path) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("mean            1.000  1.000")


@pytest.mark.skipif(not DATA, reason="DATA names no folder with labelled log lines")
def test_templates_agree_with_the_labelled_ones() -> None:
    scores = loghub.scores(Path(DATA))

    assert scores
    assert sum(one.accuracy for one in scores) / len(scores) >= 0.85
    assert sum(one.f1 for one in scores) / len(scores) >= 0.86
