"""The scorer of injected faults, and the figures on data where there are any."""

import json
import os
from pathlib import Path

import pytest

from evaluation import petshop

DATA = Path(os.environ.get("DATA", ""), "petshop")
"""In the folder that `make evaluate DATA=folder` measures on."""

HEADER = ["microservice,site,search", "metric,latency,latency", "statistic,Average,Average"]


def write(file: Path, *rows: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(rows))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One fault in what the site calls."""
    traffic = tmp_path / "some_traffic"
    write(traffic / "graph.csv", ",site,search", "site,0.0,1.0", "search,0.0,0.0")
    usual = [f"{number}.0,{0.1 + number % 3 / 1000},0.0{number % 3 + 20}" for number in range(30)]
    write(traffic / "noissue/metrics.csv", *HEADER, "unix_timestamp,,", *usual)
    during = ["100.0,0.1,0.021", "101.0,0.2,0.12", "102.0,,0.12"]
    write(traffic / "issues/issue_0/metrics.csv", *HEADER, "unix_timestamp,,", *during)
    told = {
        "target": {"node": "site", "metric": "latency", "agg": "Average", "timestamp": 101},
        "root_cause": {"node": "search", "metric": None},
    }
    write(traffic / "issues/issue_0/target.json", json.dumps(told))
    return tmp_path


def test_a_fault_is_read(folder: Path) -> None:
    (fault,) = petshop.read(folder)

    assert fault.name == "some_traffic/issue_0"
    assert (fault.target, fault.cause) == (("site", "latency", "Average"), "search")
    assert fault.calls == {"site": ["search"], "search": []}
    assert fault.abnormal["site", "latency", "Average"] == [0.1, 0.2, None]
    assert len(fault.normal["search", "latency", "Average"]) == 30


def test_the_figures_are_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert petshop.main(folder) == 0
    assert "with calls           top-1 1.000  top-3 1.000" in capsys.readouterr().out


def test_traffic_without_a_normal_stretch_is_left_out(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "some_traffic/noissue/metrics.csv").unlink()

    assert petshop.main(folder) == 2
    assert "some_traffic: left out, it has no normal stretch" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("ranks", "most", "expected"),
    [([1, 2, 4, 0], 1, 0.25), ([1, 2, 4, 0], 3, 0.5), ([0], 3, 0.0), ([3], 3, 1.0)],
)
def test_top_counts_the_causes_named_so_early(ranks: list[int], most: int, expected: float) -> None:
    assert petshop.top(ranks, most) == expected


@pytest.mark.skipif(not DATA.is_dir(), reason="DATA names no folder with injected faults")
def test_causes_of_injected_faults_are_named_first() -> None:
    ranks = [petshop.rank(fault) for fault in petshop.read(DATA)]

    assert ranks
    assert petshop.top(ranks, 1) >= 0.60
    assert petshop.top(ranks, 3) >= 0.85
