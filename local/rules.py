"""Compiles the Sigma rules of triage into the module that its functions load.

    python -m local.rules           write it
    python -m local.rules --check   say whether it is what the rules compile to

A rule of one's own is a file beside ours: layers/watchkeeper/watchkeeper/triage/rules/*.yml. What
it has as `examples` is tried before anything is written. They are no part of Sigma, and other tools
overlook them: lists of events called `positive`, each found by the rule, and `negative`, none;
for a correlation, lists of lists. An event needs only what matters, the rest is that of a usual
user. `times: 10` repeats it, `vary: requestParameters.key` gives each repeat another value there,
`every: 5` sets the repeats 5 seconds apart, and `after: 60` begins 60 seconds after the first.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from watchkeeper.triage.audit import RuleSet, suspicious
from watchkeeper.triage.sigma import BadRule, Correlation, from_data
from watchkeeper.triage.sigma_text import Data, compiled, linked

TRIAGE = Path(__file__).parents[1] / "layers/watchkeeper/watchkeeper/triage"
RULES = TRIAGE / "rules"
COMPILED = TRIAGE / "compiled.py"

HEADER = '''"""The rules of rules/*.yml, as `python -m local.rules` compiles them: do not edit.

JSON in a text, since a function reads that ten times as fast as YAML, or as Python's own literals.
"""

# ruff: noqa: E501
RULES = r"""[
'''

START = datetime(2026, 11, 23, 2, tzinfo=UTC)
ACCOUNT = "111122223333"
ALICE = {
    "type": "IAMUser",
    "accountId": ACCOUNT,
    "arn": f"arn:aws:iam::{ACCOUNT}:user/alice",
    "userName": "alice",
    "accessKeyId": "AKIAEXAMPLE",
}

# ── Compiling ─────────────────────────────────────────────────────────────────────────────────────


def all_rules(folder: Path = RULES) -> list[Data]:
    """Every rule in the folder, compiled.

    Raises:
        BadRule: One cannot be, with its file.
    """
    found: list[Data] = []
    for path in sorted(folder.glob("*.y*ml")):
        try:
            found += compiled(path.read_text())
        except BadRule as problem:
            raise BadRule(f"{path.name}: {problem}") from problem
    return linked(found)


def source(rules: list[Data]) -> str:
    """The module's text."""
    lines = ",\n".join(json.dumps(one, separators=(",", ":"), sort_keys=True) for one in rules)
    if '"""' in lines:
        raise BadRule('three quotes in a row (""") do not fit into the compiled file')
    return f'{HEADER}{lines}\n]"""\n'


def main(arguments: list[str]) -> int:
    """Compile, or check; say what is wrong."""
    try:
        rules = all_rules()
        wrong = [problem for path in sorted(RULES.glob("*.y*ml")) for problem in failing(path)]
    except BadRule as problem:
        print(problem, file=sys.stderr)
        return 1
    if wrong:
        print(*wrong, sep="\n", file=sys.stderr)
        return 1
    text = source(rules)
    if "--check" in arguments:
        if not COMPILED.exists() or COMPILED.read_text() != text:
            print(f"{COMPILED.name} is not what the rules compile to: run 'python -m local.rules'")
            return 1
        return 0
    COMPILED.write_text(text)
    print(f"{len(rules)} rules, {len(text):,} characters")
    return 0


# ── Examples ──────────────────────────────────────────────────────────────────────────────────────


def examples(path: Path) -> Iterator[tuple[str, bool, list[Data]]]:
    """Of each rule in the file: its name, whether it is to be found, and the events."""
    for document in yaml.safe_load_all(path.read_text()):
        name = str(document.get("name") or document.get("id") or document.get("title"))
        given = document.get("examples") or {}
        for positive in (True, False):
            for one in given.get("positive" if positive else "negative") or ():
                yield name, positive, written_out(one if isinstance(one, list) else [one])


def written_out(events: list[Data]) -> list[Data]:
    """The events of an example, whole."""
    return [whole for event in events for whole in _repeated(dict(event))]


def _repeated(event: Data) -> Iterator[Data]:
    after, every = event.pop("after", 0), event.pop("every", 1)
    times, vary = event.pop("times", 1), event.pop("vary", "")
    for number in range(times):
        at = START + timedelta(seconds=after + number * every)
        one: Data = {
            "eventTime": at.isoformat().replace("+00:00", "Z"),
            "eventSource": "ec2.amazonaws.com",
            "sourceIPAddress": "198.51.100.7",
            "recipientAccountId": ACCOUNT,
            "userIdentity": ALICE,
            **json.loads(json.dumps(event)),
        }
        if vary:
            _set(one, vary.split("."), f"varied-{number}")
        one["eventID"] = f"{one.get('eventName')}-{after}-{number}"
        yield one


def _set(event: Data, path: list[str], value: str) -> None:
    for part in path[:-1]:
        inner = event.get(part)
        event[part] = inner if isinstance(inner, dict) else {}
        event = event[part]
    event[path[-1]] = value


def failing(path: Path) -> Iterator[str]:
    """A sentence for each example that does not do what it is for."""
    by_name = {one["name"]: one for one in all_rules(path.parent)}
    for name, positive, events in examples(path):
        if is_found(name, events, by_name) is not positive:
            missed = "is not found by" if positive else "is wrongly found by"
            yield f"{path.name}: {events[0].get('eventName')} {missed} {name}"


def is_found(name: str, events: list[Data], by_name: Mapping[str, Data]) -> bool:
    """Whether the rule finds something in the events."""
    rule = from_data(by_name[name])
    if not isinstance(rule, Correlation):
        return any(rule.matches(one) for one in events)
    needed = [*_needed(name, by_name)]
    loud = [from_data(by_name[one] | {"is_silent": one != name}) for one in needed]
    return bool(suspicious(events, rules=RuleSet(loud)))


def _needed(name: str, by_name: Mapping[str, Data]) -> Iterator[str]:
    for one in by_name[name].get("of", ()):
        yield from _needed(one, by_name)
    yield name


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
