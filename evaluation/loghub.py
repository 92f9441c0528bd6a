"""How well the log templates found agree with labelled ones: loghub's sets of 2,000 lines.

    PYTHONPATH=layers/watchkeeper:. .venv/bin/python -m evaluation.loghub FOLDER

FOLDER holds `*_structured.csv` files, at any depth, with the columns Content (what is mined) and
EventId (the truth). A line counts as grouped right if the lines of its pattern are exactly those of
its event. GA is the share of such lines; FGA the F1 of the groups that are exactly right, among
those found and those there are (https://arxiv.org/abs/2308.10828). One giant template decides a
set's GA, so both are told. The means are over sets.
"""

import csv
import sys
import time
from collections import defaultdict
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import NamedTuple

from watchkeeper.triage.logs import mine


class Score(NamedTuple):
    name: str
    accuracy: float
    """GA, of 1."""
    f1: float
    """FGA, of 1."""
    events: int
    patterns: int
    seconds: float


def groups(labels: Sequence[Hashable]) -> set[tuple[int, ...]]:
    """The lines of each label."""
    found: dict[Hashable, list[int]] = defaultdict(list)
    for line, label in enumerate(labels):
        found[label].append(line)
    return {tuple(lines) for lines in found.values()}


def scored(name: str, lines: Sequence[str], truth: Sequence[str]) -> Score:
    start = time.process_time()
    pattern_of = mine(lines).pattern_of
    seconds = time.process_time() - start
    there, found = groups(truth), groups(pattern_of)
    right = there & found
    accuracy = sum(map(len, right)) / len(lines)
    f1 = 2 * len(right) / (len(there) + len(found))
    return Score(name, accuracy, f1, len(there), len(found), seconds)


def read(file: Path) -> tuple[list[str], list[str]]:
    """The lines of a set, and the event of each."""
    with file.open(encoding="utf-8", newline="") as text:
        rows = list(csv.DictReader(text))
    return [row["Content"] for row in rows], [row["EventId"] for row in rows]


def scores(folder: Path) -> list[Score]:
    return [
        scored(file.name.split("_")[0], *read(file))
        for file in sorted(folder.rglob("*_structured.csv"))
    ]


def main(folder: Path) -> int:
    found = scores(folder)
    if not found:
        print(f"no *_structured.csv below {folder}", file=sys.stderr)
        return 2
    print(f"{'set':14} {'GA':>6} {'FGA':>6} {'events':>7} {'patterns':>9} {'CPU s':>6}")
    for one in found:
        print(
            f"{one.name:14} {one.accuracy:6.3f} {one.f1:6.3f} {one.events:7} {one.patterns:9}"
            f" {one.seconds:6.2f}"
        )
    accuracy = sum(one.accuracy for one in found) / len(found)
    f1 = sum(one.f1 for one in found) / len(found)
    print(f"{'mean':14} {accuracy:6.3f} {f1:6.3f} {'':17} {sum(one.seconds for one in found):6.2f}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1])))
