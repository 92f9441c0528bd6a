"""The same evidence makes the same report again, and what differs is named."""

from pathlib import Path

import pytest

from tests.unit.triage.incident_world import failing
from watchkeeper import naming
from watchkeeper.triage.analysis import report_of
from watchkeeper.triage.gathered import to_json
from watchkeeper.triage.page import page
from watchkeeper.triage.replay import main
from watchkeeper.triage.report import to_json as report_json

EVIDENCE = to_json(failing())
REPORT = report_json(report_of(failing()))


def stored(folder: Path, look: int = 0, evidence: bytes = EVIDENCE, report: bytes = REPORT) -> None:
    for name, document in (("evidence.json", evidence), ("report.json", report)):
        path = folder / naming.look_key("inc-1", look, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if document:
            path.write_bytes(document)


def replay(folder: Path, *more: str) -> int:
    return main(["--folder", str(folder), "inc-1", *more])


def test_the_same_to_the_byte(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored(tmp_path)
    stored(tmp_path, 2)  # the look between could not be stored

    assert replay(tmp_path, "--write", str(tmp_path / "again.html")) == 0
    assert capsys.readouterr().out == "EQUAL   look 0\nEQUAL   look 2\n"
    assert (tmp_path / "again.html").read_text() == page(report_of(failing()))


@pytest.mark.parametrize(
    ("evidence", "report", "told"),
    [
        (EVIDENCE, REPORT.replace(b"deployer", b"\x1b[31mme", 1), "DIFFERS look 0: the report"),
        (EVIDENCE, REPORT + b" ", "differs:"),
        (EVIDENCE, b"", "DIFFERS look 0: no report was stored"),
        (b"{", REPORT, "DIFFERS look 0: the evidence cannot be read"),
        (b"", REPORT, "DIFFERS inc-1: nothing is stored of it"),
    ],
)
def test_what_differs_is_named(
    evidence: bytes, report: bytes, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored(tmp_path, evidence=evidence, report=report)

    assert replay(tmp_path) == 1
    out = capsys.readouterr().out
    assert told in out
    assert "\x1b" not in out


def test_no_incident_leads_out_of_the_folder(tmp_path: Path) -> None:
    stored(tmp_path / "outside")
    inside = tmp_path / "inside"
    inside.mkdir()

    assert main(["--folder", str(inside), "../../outside/incidents/inc-1"]) == 1


def test_it_asks_for_a_bucket_and_an_incident() -> None:
    with pytest.raises(SystemExit):
        main(["inc-1"])
