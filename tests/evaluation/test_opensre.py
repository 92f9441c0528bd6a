"""The scorer of diagnosed RDS incidents, and the figure on data where there are any."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from evaluation import opensre
from watchkeeper.triage.evidence import Category, Citation, Claim, Diagnosis, Mode, Source

DATA = Path(os.environ.get("DATA", ""), "opensre-rds")
"""In the folder that `make evaluate DATA=folder` measures on."""

TIMES = [f"2027-05-04T08:{minute:02}:00Z" for minute in range(10)]


def metric(name: str, values: list[float], of: str = "shop", unit: str = "") -> dict[str, Any]:
    dimensions = [{"Name": "DBInstanceIdentifier", "Value": of}]
    told = {"metric_name": name, "dimensions": dimensions, "unit": unit}
    return told | {"timestamps": TIMES, "values": values}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One incident, CPU of a query, with metrics of another instance beside it."""
    below, own = tmp_path / "000", tmp_path / "001"
    below.mkdir()
    own.mkdir()
    (below / "scenario.yml").write_text("instance_class: db.r6g.large\nengine: postgres\n")
    (own / "scenario.yml").write_text("base: '000'\ndb_instance_identifier: shop\n")
    (own / "answer.yml").write_text(
        "root_cause_category: resource_exhaustion\nrequired_keywords: [CPU, baskets]\n"
        "forbidden_categories: [lock_contention]\n"
        "required_evidence_sources: [aws_performance_insights]\n"
    )
    results = [
        metric("CPUUtilization", [20, 20, *[97] * 8]),
        metric("WriteLatency", [2] * 10, unit="Milliseconds"),
        metric("FreeStorageSpace", [0] * 10, of="other"),
    ]
    waits = [{"name": "CPU", "db_load_avg": 90}]
    query = {"statement": "SELECT * FROM baskets", "db_load_avg": 90, "wait_events": waits}
    files = {
        "alert": {"state": "alerting", "commonAnnotations": {"rds_failure_mode": "healthy"}},
        "aws_cloudwatch_metrics": {"metric_data_results": results},
        "aws_rds_events": {"events": [{"date": TIMES[0], "message": "all is well"}]},
        "aws_performance_insights": {
            "db_load": {"timestamps": TIMES, "values": [2.0] * 10},
            "top_sql": [query],
            "top_wait_events": waits,
        },
    }
    for name, content in files.items():
        (own / f"{name}.json").write_text(json.dumps(content))
    return tmp_path


def test_evidence_is_of_the_instance_in_base_units(folder: Path) -> None:
    evidence = opensre.evidence(folder / "001")

    assert {one.name: one.highest for one in evidence.metrics} == {
        "CPUUtilization": 97,
        "WriteLatency": 0.002,
    }
    assert evidence.instance_class == "db.r6g.large"
    assert evidence.queries[0].load == pytest.approx(1.8)  # 90 % of 2 sessions
    assert evidence.firing


def test_a_line_and_the_total_are_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert opensre.main(folder) == 0
    told = capsys.readouterr().out
    assert "right  001: category resource_exhaustion" in told
    assert "RDS incidents: 1 of 1 right, 1 in the right category" in told


def test_a_folder_without_incidents_is_an_error(tmp_path: Path) -> None:
    assert opensre.main(tmp_path) == 2


DIAGNOSIS = Diagnosis(
    Category.EXHAUSTION,
    "lag of the replicas",
    (Mode.LAG,),
    (Claim("WAL is late", (Citation(Source.EVENTS, "late"),)),),
)


@pytest.mark.parametrize(
    ("answer", "flaw"),
    [
        ({"root_cause_category": "healthy"}, "!= healthy"),
        ({"required_keywords": ["replica", "wal", "ETL"]}, "does not name ETL"),
        ({"ruling_out_keywords": ["failover"]}, "does not name failover"),
        ({"forbidden_keywords": ["WAL is late"]}, "names the forbidden WAL is late"),
        ({"forbidden_keywords": ["lag_of"]}, "names the forbidden lag_of"),
        ({"forbidden_categories": ["replication_lag"]}, "forbidden replication_lag"),
        ({"required_evidence_sources": ["aws_rds_events", "grafana"]}, "does not cite grafana"),
    ],
)
def test_what_is_wrong_is_told(answer: dict[str, Any], flaw: str) -> None:
    scored = opensre.judge(
        "one", {"root_cause_category": "resource_exhaustion"} | answer, DIAGNOSIS
    )

    assert not scored.right
    assert scored.line().startswith("WRONG  one")
    assert flaw in scored.line()


@pytest.mark.parametrize(
    ("word", "text", "expected"),
    [
        ("connection", "All Connections", True),
        ("WAL", "the renewal", False),
        ("ETL", "by etl_writer", True),
        ("storage space", "storage\n space", True),
        ("cpu_saturation", "CPU saturation", False),
    ],
)
def test_what_counts_as_named(word: str, text: str, expected: bool) -> None:
    assert opensre.is_in(word, text) is expected


@pytest.mark.skipif(not DATA.is_dir(), reason="DATA names no folder with RDS incidents")
def test_the_incidents_are_diagnosed() -> None:
    scores = [opensre.score(one) for one in opensre.folders(DATA)]

    assert scores
    assert [one.line() for one in scores if not one.right] == []
