"""Makes the reports of an incident again from what was stored, and compares them:

    python -m watchkeeper.triage.replay BUCKET INCIDENT
    python -m watchkeeper.triage.replay --folder FOLDER INCIDENT
    python -m watchkeeper.triage.replay --folder FOLDER INCIDENT --write report.html

FOLDER is a copy of the bucket, made by `aws s3 sync`. One line per look. The exit code is 0 if all
are the same to the byte, 1 if one differs or there is none, and 2 if that could not be found out.
"""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from difflib import unified_diff
from itertools import islice
from pathlib import Path
from typing import Protocol

from watchkeeper import naming
from watchkeeper.aws.errors import AwsError, NotThere
from watchkeeper.aws.reports import EVIDENCE, REPORT, ReportReader
from watchkeeper.triage.analysis import report_of
from watchkeeper.triage.gathered import from_json
from watchkeeper.triage.page import page
from watchkeeper.triage.report import Report, to_json

MOST_LOOKS = 1_000
"""Of one incident: it is looked at a handful of times."""
SHOWN = 12
"""Lines of differences that are shown: they tell where to look."""
LONGEST = 160
"""Characters of such a line."""


class Reader(Protocol):
    """Where reports are kept."""

    def read(self, key: str, /) -> bytes:
        """Raises NotThere."""
        ...


class FolderReader:
    """A copy of the bucket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    def read(self, key: str) -> bytes:
        path = (self.folder / key).resolve()
        if not path.is_relative_to(self.folder) or not path.is_file():
            raise NotThere("read", "NoSuchKey", key)
        return path.read_bytes()


def looks(reader: Reader, incident: str) -> Iterator[tuple[int, bytes]]:
    """Each look's number and evidence. Looks are numbered from 0 on; one that could not be stored
    leaves a gap of one or two.
    """
    missing = 0
    for look in range(MOST_LOOKS):
        try:
            evidence = reader.read(naming.look_key(incident, look, EVIDENCE))
        except NotThere:
            missing += 1
            if missing > 3:  # noqa: PLR2004 (three looks in all)
                return
            continue
        missing = 0
        yield look, evidence


def replayed(
    reader: Reader, incident: str, look: int, evidence: bytes
) -> tuple[str, Report | None]:
    """What is to be said of one look ("" if it is the same), and its report if one was made."""
    try:
        report = report_of(from_json(evidence))
    except ValueError as error:
        return f"the evidence cannot be read: {str(error).splitlines()[0]}", None
    again = to_json(report)
    try:
        stored = reader.read(naming.look_key(incident, look, REPORT))
    except NotThere:
        return "no report was stored", report
    return ("" if stored == again else _differences(stored, again)), report


def _differences(stored: bytes, again: bytes) -> str:
    """The first of them, by line; texts in JSON are quoted already."""
    old, new = (one.decode("utf-8", "backslashreplace").splitlines() for one in (stored, again))
    lines = unified_diff(old, new, "stored", "made again", lineterm="", n=0)
    shown = [one[:LONGEST] for one in islice(lines, SHOWN)]
    plain = ["".join(c if c.isprintable() else "?" for c in line) for line in shown]
    return "\n  ".join(["the report differs:", *(plain or ["in its line ends only"])])


def _asked(arguments: Sequence[str] | None) -> Namespace:
    parser = ArgumentParser("watchkeeper.triage.replay", description="Make reports again.")
    parser.add_argument("--folder", type=Path, help="a copy of the bucket, in its place")
    parser.add_argument("where", nargs="+", metavar="[BUCKET] INCIDENT")
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="write the page of the last look there"
    )
    asked = parser.parse_args(arguments)
    if len(asked.where) != (1 if asked.folder else 2):
        parser.error("name the bucket and the incident, or --folder FOLDER and the incident")
    return asked


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _asked(arguments)
    incident = asked.where[-1]
    reader = FolderReader(asked.folder) if asked.folder else ReportReader(asked.where[0])
    same: list[bool] = []
    last: Report | None = None
    try:
        for look, evidence in looks(reader, incident):
            told, report = replayed(reader, incident, look, evidence)
            sys.stdout.write(
                f"{'DIFFERS' if told else 'EQUAL  '} look {look}{told and ': '}{told}\n"
            )
            same.append(not told)
            last = report or last
        if asked.write and last:
            asked.write.write_text(page(last), encoding="utf-8")
    except (AwsError, OSError) as error:
        sys.stderr.write(f"could not replay {incident}: {error}\n")
        return 2
    if not same:
        sys.stdout.write(f"DIFFERS {incident}: nothing is stored of it\n")
    return 0 if same and all(same) else 1


if __name__ == "__main__":
    sys.exit(main())
