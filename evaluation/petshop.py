"""How often `rank_causes` names the node in which PetShop's faults were injected.

    PYTHONPATH=layers/watchkeeper:. .venv/bin/python -m evaluation.petshop FOLDER

FOLDER holds one folder per kind of traffic, each with `graph.csv` (1 where the row calls the
column), `noissue/metrics.csv` (the normal stretch) and `issues/*/` with the fault's `metrics.csv`
and `target.json` (the metric that alarmed, and the node that is the cause). Protocol as published
(https://arxiv.org/abs/2311.04806): the whole of a fault's file is its abnormal stretch, and the
cause counts as found in the first k of the nodes named. Both ways are told, with the calls and
without. A kind of traffic without a normal stretch is left out, and said so.
"""

import csv
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from watchkeeper.triage.causes import Key, Values, rank_causes

COLUMN_ROWS = 3  # node, metric, statistic


@dataclass(frozen=True, slots=True)
class Fault:
    name: str
    target: Key
    cause: str
    normal: Mapping[Key, Values]
    abnormal: Mapping[Key, Values]
    calls: Mapping[str, Sequence[str]]


def read(folder: Path) -> Iterator[Fault]:
    """Every fault of every kind of traffic that has a normal stretch."""
    for graph in sorted(folder.glob("*/graph.csv")):
        traffic = graph.parent
        if not (traffic / "noissue/metrics.csv").is_file():
            print(f"{traffic.name}: left out, it has no normal stretch")
            continue
        normal, calls = metrics(traffic / "noissue/metrics.csv"), _calls(graph)
        # The published layout calls the folders of faults train and test.
        for file in sorted(traffic.glob("*/*/target.json")):
            told = json.loads(file.read_text(encoding="utf-8"))
            target = told["target"]
            yield Fault(
                f"{traffic.name}/{file.parent.name}",
                (target["node"], target["metric"], target["agg"]),
                told["root_cause"]["node"],
                normal,
                metrics(file.parent / "metrics.csv"),
                calls,
            )


def metrics(file: Path) -> dict[Key, Values]:
    """The series of a file by node, metric and statistic; None where there is no value."""
    with file.open(encoding="utf-8", newline="") as text:
        rows = list(csv.reader(text))
    nodes, names, statistics = rows[:COLUMN_ROWS]
    body = [row for row in rows[COLUMN_ROWS:] if row[0] != "unix_timestamp"]
    return {
        key: [float(row[column]) if row[column] else None for row in body]
        for column, key in enumerate(zip(nodes, names, statistics, strict=True))
        if column > 0
    }


def _calls(file: Path) -> dict[str, list[str]]:
    with file.open(encoding="utf-8", newline="") as text:
        (_, *columns), *rows = csv.reader(text)
    return {
        caller: [callee for callee, cell in zip(columns, cells, strict=True) if float(cell)]
        for caller, *cells in rows
    }


def rank(fault: Fault, *, graph: bool = True) -> int:
    """The place of the cause among the nodes named, from 1; 0 if it is not named."""
    calls = fault.calls if graph else None
    named = rank_causes(fault.target, fault.normal, fault.abnormal, calls)
    return named.index(fault.cause) + 1 if fault.cause in named else 0


def top(ranks: Sequence[int], most: int) -> float:
    return sum(1 <= rank <= most for rank in ranks) / len(ranks)


def main(folder: Path) -> int:
    """Print the figures for the folder; 2 if it has no faults."""
    faults = list(read(folder))
    if not faults:
        print(f"no */*/*/target.json below {folder}", file=sys.stderr)
        return 2
    start = time.process_time()
    ranks = [rank(fault) for fault in faults]
    seconds = time.process_time() - start
    alone = [rank(fault, graph=False) for fault in faults]
    causes = {fault.cause for fault in faults}
    print(f"PetShop: {len(faults)} faults in {len(causes)} node(s)")
    for fault, place in zip(faults, ranks, strict=True):
        if place != 1:
            print(f"  {fault.name}: the cause is {fault.cause}, named in place {place or 'none'}")
    print(f"  with calls           top-1 {top(ranks, 1):.3f}  top-3 {top(ranks, 3):.3f}")
    print(f"  without              top-1 {top(alone, 1):.3f}  top-3 {top(alone, 3):.3f}")
    print(f"  CPU time             {seconds / len(faults) * 1000:.0f} ms per fault")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1])))
