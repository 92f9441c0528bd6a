"""How well the audit rules tell an attack from work.

    python -m evaluation.audit STRATUS_DIR INVICTUS_DIR

STRATUS_DIR holds one JSON file of CloudTrail events per attack technique, named after it; each is a
trail of its own. INVICTUS_DIR holds CloudTrail files of one account in which Terraform
and attacks ran; the events of Terraform's, told by their user agents, stand for honest work. The
rules see no such agents: with --blind they are taken out of the events, and nothing may change.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watchkeeper.triage.audit import Finding, suspicious
from watchkeeper.triage.severity import Severity

Event = dict[str, Any]

WORK = "Terraform"
"""In the user agents of the program that stands for honest work."""

MEASURED = 50_000
"""Events by which speed is measured: a few seconds."""

GOALS = "every technique at medium or above, at most 1 % of honest events, 10,000 events/s"


@dataclass(frozen=True)
class Score:
    """What was measured."""

    techniques: dict[str, list[Finding]]
    """Per technique, the findings at medium or above."""
    flagged: int
    """Events of honest work in any finding, of any severity."""
    honest: int
    by_rule: Counter[str]
    """Rules and severities of those findings, with how many such events they name."""
    per_second: float

    @property
    def found(self) -> int:
        return sum(1 for findings in self.techniques.values() if findings)

    @property
    def percent_flagged(self) -> float:
        return 100 * self.flagged / self.honest if self.honest else 0.0

    @property
    def is_good(self) -> bool:
        return (
            self.found == len(self.techniques)
            and self.percent_flagged <= 1
            and self.per_second >= 10_000
        )


def events_in(path: Path) -> list[Event]:
    """The records of a file: a list, or CloudTrail's own form."""
    content = json.loads(path.read_text())
    return list(content["Records"] if isinstance(content, dict) else content)


def measure(stratus: Path, invictus: Path, *, blind: bool = False) -> Score:
    """Score the shipped rules."""
    techniques = {}
    for path in sorted(stratus.glob("*.json")):
        findings = suspicious(_seen(events_in(path), blind=blind))
        techniques[path.stem] = [
            one for one in findings if one.severity.rank >= Severity.MEDIUM.rank
        ]
    mixed = [one for path in sorted(invictus.glob("*.json")) for one in events_in(path)]
    honest = {one["eventID"] for one in mixed if WORK in str(one.get("userAgent"))}
    findings = suspicious(_seen(mixed, blind=blind))
    return Score(
        techniques,
        len(honest & {id_ for one in findings for id_ in one.event_ids}),
        len(honest),
        Counter(
            f"{one.rule} ({one.severity})"
            for one in findings
            for id_ in one.event_ids
            if id_ in honest
        ),
        _speed(mixed),
    )


def _seen(events: list[Event], *, blind: bool) -> list[Event]:
    return [one | {"userAgent": "-"} for one in events] if blind else events


def _speed(events: Sequence[Event]) -> float:
    """Events a second on one core, in CPU time; what was parsed before is not counted."""
    many = [
        one | {"eventID": f"{number}"}
        for number in range(MEASURED // max(len(events), 1) + 1)
        for one in events
    ]
    many = [one | {"eventID": str(index)} for index, one in enumerate(many[:MEASURED])]
    start = time.process_time()
    suspicious(many)
    return len(many) / max(time.process_time() - start, 1e-9)


def report(score: Score) -> None:
    """Print it."""
    for technique, findings in score.techniques.items():
        best = ", ".join(f"{one.rule} ({one.severity})" for one in findings)
        print(f"{'found ' if findings else 'MISSED'}  {technique:52} {best}")
    print(f"\ntechniques at medium or above: {score.found} of {len(score.techniques)}")
    print(
        f"honest events flagged: {score.flagged} of {score.honest} ({score.percent_flagged:.2f} %)"
    )
    for rule, count in score.by_rule.most_common():
        print(f"    {count:4} {rule}")
    print(f"events per second: {score.per_second:,.0f}")
    print(f"{'reached' if score.is_good else 'NOT reached'}: {GOALS}")


def main() -> int:
    """Measure, print, and say by the exit code whether the goals are reached."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("stratus", type=Path)
    parser.add_argument("invictus", type=Path)
    parser.add_argument("--blind", action="store_true", help="take user agents out of the events")
    given = parser.parse_args()
    score = measure(given.stratus, given.invictus, blind=given.blind)
    report(score)
    return int(not score.is_good)


if __name__ == "__main__":
    sys.exit(main())
