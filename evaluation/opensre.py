"""Whether incidents of RDS are diagnosed as those who made them up say.

    PYTHONPATH=layers/watchkeeper:. .venv/bin/python -m evaluation.opensre FOLDER [--reports]

FOLDER holds one folder per incident: `alert.json`, `aws_cloudwatch_metrics.json` (or one file per
metric), `aws_rds_events.json`, `aws_performance_insights.json`, `scenario.yml` and `answer.yml`.
Of the scenario only the instance, its class and its engine are read, and of the alert its words and
state: not `rds_failure_mode` nor `failure_mode`, which are the answer. Metrics of instances that
the incident does not name are left out.

An incident is right if all of these are:
    category   it is the answer's `root_cause_category`
    required   every `required_keywords` and `ruling_out_keywords` is in the report
    forbidden  no `forbidden_keywords` is; none, with spaces for underscores, is in the headline;
               and no cause or category is one of `forbidden_categories`
    sources    every `required_evidence_sources` is cited by some claim

In the report means: letter for letter, but for case and blanks, as a whole word or the beginning of
one (`connection` is in "connections", `WAL` is not in "renewal"). No synonyms, and no model judges.
Words that only quote the alert count as little as they prove: the report does not quote it. What
this does not measure is whether the sentence around the word is true.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from watchkeeper.triage.diagnosis import diagnose
from watchkeeper.triage.evidence import Diagnosis, Event, Evidence, Query, Series, Source

FACTORS = {
    "Milliseconds": 1e-3,
    "Microseconds": 1e-6,
    "Kilobytes": 1e3,
    "Megabytes": 1e6,
    "Gigabytes": 1e9,
}
SOURCES = {
    "aws_cloudwatch_metrics": Source.METRICS,
    "aws_rds_events": Source.EVENTS,
    "aws_performance_insights": Source.QUERIES,
}


@dataclass(frozen=True, slots=True)
class Score:
    name: str
    expected: str
    told: str
    not_named: Sequence[str]
    forbidden: Sequence[str]
    not_cited: Sequence[str]

    @property
    def right(self) -> bool:
        wrong = (self.not_named, self.forbidden, self.not_cited)
        return self.expected == self.told and not any(wrong)

    def line(self) -> str:
        parts = [
            f"category {self.told}" + ("" if self.told == self.expected else f" != {self.expected}")
        ]
        for what, words in (
            ("does not name", self.not_named),
            ("names the forbidden", self.forbidden),
            ("does not cite", self.not_cited),
        ):
            if words:
                parts.append(f"{what} {', '.join(words)}")
        return f"{'right' if self.right else 'WRONG'}  {self.name}: {'; '.join(parts)}"


# ── Reading ───────────────────────────────────────────────────────────────────────────────────────


def folders(folder: Path) -> list[Path]:
    return sorted(file.parent for file in folder.glob("*/answer.yml"))


def evidence(folder: Path) -> Evidence:
    """What the incident's files hold; what is not there stays empty."""
    scenario = _scenario(folder)
    alert = _json(folder / "alert.json")
    notes = alert.get("commonAnnotations") or {}
    insights = _json(folder / "aws_performance_insights.json")
    instance = str(notes.get("db_instance_identifier") or scenario["db_instance_identifier"])
    events = [
        Event(_time(one["date"]), str(one.get("source_identifier", "")), str(one["message"]))
        for one in _json(folder / "aws_rds_events.json").get("events", [])
    ]
    named = {instance, str(notes.get("read_replica")), *(one.resource for one in events)}
    series = list(_series(folder))
    own = [
        one
        for one in series
        if one.resource in named or one.resource.startswith((f"{instance}-", f"{instance}."))
    ]
    load = insights.get("db_load") or {}
    points = list(zip(map(_time, load.get("timestamps", [])), load.get("values", []), strict=True))
    queries = insights.get("top_sql") or []
    factor = _factor([one["db_load_avg"] for one in queries], [value for _, value in points])
    return Evidence(
        instance,
        own or series,
        events,
        queries=[_query(one, factor) for one in queries],
        waits=_loads(insights.get("top_wait_events"), factor),
        users=_loads(insights.get("top_users"), factor),
        hosts=_loads(insights.get("top_hosts"), factor),
        load=points,
        instance_class=str(scenario.get("instance_class", "")),
        engine=str(scenario.get("engine", "postgres")),
        alarm=" ".join(str(notes.get(key, "")) for key in ("summary", "error")),
        firing=alert.get("state") == "alerting",
    )


def _scenario(folder: Path) -> dict[str, Any]:
    """The scenario over the one that it is based on."""
    own: dict[str, Any] = yaml.safe_load((folder / "scenario.yml").read_text(encoding="utf-8"))
    base = folder.parent / str(own.get("base", ""))
    below = _scenario(base) if own.get("base") and (base / "scenario.yml").is_file() else {}
    return below | own


def _json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return told


def _series(folder: Path) -> Iterator[Series]:
    rows = list(_json(folder / "aws_cloudwatch_metrics.json").get("metric_data_results", []))
    rows += [_json(file) for file in sorted(folder.glob("aws_cloudwatch_metrics_*.json"))]
    for row in rows:
        if "metric_name" not in row:  # what all the files of a folder have in common
            continue
        factor = FACTORS.get(row.get("unit"), 1.0)
        times = map(_time, row["timestamps"])
        points = sorted(zip(times, (value * factor for value in row["values"]), strict=True))
        resource = next((one["Value"] for one in row.get("dimensions", [])), "")
        yield Series(resource, row["metric_name"], points)


def _factor(loads: Sequence[float], total: Sequence[float]) -> float:
    """Some folders give loads in per cent of the whole: these add up to far more than it."""
    most = max(total, default=0.0)
    return most / 100 if most and sum(loads) > 3 * most else 1.0


def _query(told: Mapping[str, Any], factor: float) -> Query:
    return Query(
        str(told["statement"]),
        told["db_load_avg"] * factor,
        told.get("calls_per_sec"),
        _loads(told.get("wait_events"), factor),
    )


def _loads(told: Any, factor: float) -> dict[str, float]:
    return {
        str(one.get("name") or one.get("id")): one["db_load_avg"] * factor for one in told or []
    }


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


# ── Scoring ───────────────────────────────────────────────────────────────────────────────────────


def score(folder: Path) -> Score:
    answer = yaml.safe_load((folder / "answer.yml").read_text(encoding="utf-8"))
    return judge(folder.name, answer, diagnose(evidence(folder)))


def judge(name: str, answer: Mapping[str, Any], diagnosis: Diagnosis) -> Score:
    """Compare with the answer, as the head of this file says."""
    text = diagnosis.text()
    required = [*_list(answer, "required_keywords"), *_list(answer, "ruling_out_keywords")]
    kinds = {diagnosis.category.value, *(mode.value for mode in diagnosis.modes)}
    forbidden = [
        word
        for word in _list(answer, "forbidden_keywords")
        if is_in(word, text) or is_in(word.replace("_", " "), diagnosis.headline)
    ]
    claims = (*diagnosis.claims, *diagnosis.consequences)
    cited = {one.source for claim in claims for one in claim.evidence}
    return Score(
        name,
        str(answer["root_cause_category"]),
        diagnosis.category.value,
        [word for word in dict.fromkeys(required) if not is_in(word, text)],
        [*forbidden, *(kind for kind in _list(answer, "forbidden_categories") if kind in kinds)],
        [
            name
            for name in _list(answer, "required_evidence_sources")
            if SOURCES.get(name) not in cited
        ],
    )


def is_in(word: str, text: str) -> bool:
    """Letter for letter, but for case and blanks, from the beginning of a word."""
    pattern = r"\s+".join(re.escape(part) for part in word.split())
    return bool(re.search(rf"(?<![^\W_]){pattern}", text, re.IGNORECASE))


def _list(answer: Mapping[str, Any], name: str) -> list[str]:
    return [str(word) for word in answer.get(name) or []]


def main(folder: Path, *, reports: bool = False) -> int:
    """Print a line per incident and the total; 2 if there is none."""
    found = folders(folder)
    if not found:
        print(f"no */answer.yml below {folder}", file=sys.stderr)
        return 2
    scores = [score(one) for one in found]
    for one, scored in zip(found, scores, strict=True):
        print(scored.line())
        if reports:
            print(diagnose(evidence(one)).text(), end="\n\n")
    print(f"RDS incidents: {sum(one.right for one in scores)} of {len(scores)} right,", end=" ")
    print(f"{sum(one.told == one.expected for one in scores)} in the right category")
    return 0


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1]), reports="--reports" in sys.argv))
