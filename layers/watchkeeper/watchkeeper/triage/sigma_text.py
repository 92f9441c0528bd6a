"""Sigma rules, compiled from YAML to the data that rules run from. At build time and in tests:
PyYAML is not among what the functions import.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from watchkeeper.triage.severity import Severity
from watchkeeper.triage.sigma import BadRule, Window
from watchkeeper.triage.sigma_condition import BadCondition, parse
from watchkeeper.triage.sigma_match import Condition
from watchkeeper.triage.sigma_values import BadSearch, search

Data = dict[str, Any]

SPAN = re.compile(r"(\d+)([smhd])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
COUNTED = re.compile(
    r"count\(\s*(?P<distinct>[\w.]*)\s*\)(?:\s+by\s+(?P<by>[\w.]+(?:\s*,\s*[\w.]+)*))?"
    r"\s*(?P<compare>>=?)\s*(?P<number>\d+)",
    re.IGNORECASE,
)
NO_TIMEFRAME = 86400
"""Seconds within which events are counted where a rule does not say it: more than what is ever
looked at together.
"""

MOST_NAMES = 64
"""Event names by which a rule is found. A rule with more is tried on every event."""


def compiled(text: str) -> list[Data]:
    """The rules of one file, several if `---` stands between them.

    Raises:
        BadRule: One of them is none, or asks for what cannot be done.
    """
    import yaml  # noqa: PLC0415 (as above)

    try:
        documents = [one for one in yaml.safe_load_all(text) if one is not None]
    except (yaml.YAMLError, RecursionError, ValueError) as problem:
        raise BadRule(f"it is no YAML: {problem}") from problem
    if not documents:
        raise BadRule("there is no rule in it")
    return [data for document in documents for data in _document(document)]


def linked(rules: Iterable[Data]) -> list[Data]:
    """All rules of a build: each correlation behind those that it names, which are silent unless
    it says `generate`.

    Raises:
        BadRule: Two have one name, or one names what is not there, or itself.
    """
    by_name: dict[str, Data] = {}
    for one in rules:
        if one["name"] in by_name:
            raise BadRule(f"{one['title']}: there is another rule {one['name']!r}")
        by_name[one["name"]] = dict(one)
    names = {one["id"]: one["name"] for one in by_name.values() if one["id"]}
    correlations = [one for one in by_name.values() if "of" in one]
    for one in correlations:
        _link(one, names)
        if missing := [each for each in one["of"] if each not in by_name]:
            raise BadRule(f"{one['title']}: there is no rule {missing[0]!r}")
    _silence(by_name, correlations)
    return _in_order(by_name)


def _link(one: Data, names: Mapping[str, str]) -> None:
    """Calls rules by their names where the correlation has their ids."""
    one["of"] = [names.get(each, each) for each in one["of"]]
    one["aliases"] = {
        alias: {names.get(each, each): field for each, field in some.items()}
        for alias, some in one["aliases"].items()
    }


def _silence(by_name: Mapping[str, Data], correlations: Iterable[Data]) -> None:
    """What is only there for correlations finds nothing by itself, nor does what is informational
    where a correlation says `generate`.
    """
    named = {each for one in correlations for each in one["of"]}
    loud = {each for one in correlations if one["generate"] for each in one["of"]}
    for one in by_name.values():
        asked = one["name"] in loud and one["severity"] != Severity.INFORMATIONAL
        one["is_silent"] |= one["name"] in named and not asked
        del one["id"]
        one.pop("generate", None)


def _in_order(by_name: Mapping[str, Data]) -> list[Data]:
    done: dict[str, Data] = {}
    waiting = list(by_name.values())
    while waiting:
        ready = [one for one in waiting if all(each in done for each in one.get("of", ()))]
        if not ready:
            raise BadRule(f"{waiting[0]['title']}: it waits for itself")
        done.update((one["name"], one) for one in ready)
        waiting = [one for one in waiting if one["name"] not in done]
    return list(done.values())


# ── One document ──────────────────────────────────────────────────────────────────────────────────


def _document(document: Any) -> list[Data]:
    if not isinstance(document, Mapping):
        raise BadRule("a rule is a mapping with a title, a logsource and a detection")
    title = " ".join(str(document.get("title") or document.get("id") or "a rule").split())
    try:
        common = _common(document, title)
        if "correlation" in document:
            return [common | _correlation(_mapping(document["correlation"], "the correlation"))]
        return _detection(document, common)
    except (BadSearch, BadCondition, BadRule) as problem:
        raise BadRule(f"{title}: {problem}") from problem
    except RecursionError as problem:
        raise BadRule(f"{title}: it is nested too deeply") from problem


def _common(document: Mapping[str, Any], title: str) -> Data:
    level = str(document.get("level", Severity.MEDIUM)).lower()
    if level not in set(Severity):
        raise BadRule(f"level {level!r} is none of {', '.join(Severity)}")
    tags = [str(one) for one in document.get("tags") or ()]
    return {
        "name": str(document.get("name") or document.get("id") or title),
        "id": str(document.get("id") or ""),
        "title": title,
        "severity": level,
        "why": " ".join(str(document.get("description") or title).split()),
        "attack": [_attack(one) for one in tags if one.startswith("attack.")],
        "fields": [str(one) for one in document.get("fields") or ()],
        "is_silent": False,
    }


def _attack(tag: str) -> str:
    name = tag.removeprefix("attack.")
    return name.upper() if re.fullmatch(r"[tgs]\d{4}(\.\d{3})?", name) else name


def _detection(document: Mapping[str, Any], common: Data) -> list[Data]:
    _check_source(document.get("logsource"))
    detection = _mapping(document.get("detection"), "the detection")
    texts = _conditions(detection)
    searches = {
        str(name): search(definition)
        for name, definition in detection.items()
        if name not in ("condition", "timeframe")
    }
    conditions, counts = [], []
    for text in texts:
        selecting, _, counting = text.partition("|")
        conditions.append(parse(selecting, searches))
        counts.append(counting.strip())
    condition = conditions[0] if len(conditions) == 1 else ["any", conditions]
    rule = common | {"condition": condition, "events": _events(condition)}
    timeframe = detection.get("timeframe")
    if any(counts) and len(counts) == 1:
        return _counting(rule, counts[0], timeframe)
    if any(counts) or timeframe:
        raise BadRule("a timeframe goes with one condition that counts; write a correlation")
    return [rule]


def _conditions(detection: Mapping[str, Any]) -> list[str]:
    """One, or several of which any will do."""
    given = detection.get("condition")
    texts = [one for one in (given if isinstance(given, list) else [given]) if isinstance(one, str)]
    if not texts or not all(one.strip() for one in texts):
        raise BadRule("the detection has no condition")
    return texts


def _check_source(source: Any) -> None:
    source = _mapping(source or {}, "the logsource")
    about = {key: str(source[key]).lower() for key in ("product", "service") if source.get(key)}
    if about.get("product", "aws") != "aws" or about.get("service", "cloudtrail") != "cloudtrail":
        raise BadRule(f"it is about {' '.join(about.values())}, not about CloudTrail")


def _counting(rule: Data, text: str, timeframe: Any) -> list[Data]:
    """Sigma's older way to count, as the correlation that it stands for."""
    found = COUNTED.fullmatch(text)
    if not found:
        raise BadRule(f"{text!r} behind the bar is not possible: count() by field > number, only")
    number = int(found["number"]) + (found["compare"] == ">")
    part = rule | {"name": f"{rule['name']}, one event", "id": "", "is_silent": True}
    whole = {key: rule[key] for key in rule if key not in ("condition", "events")} | {
        "window": Window.VALUES.value if found["distinct"] else Window.COUNT.value,
        "of": [part["name"]],
        "by": [one.strip() for one in (found["by"] or "").split(",") if one.strip()],
        "seconds": _seconds(timeframe) if timeframe else NO_TIMEFRAME,
        "at_least": number,
        "distinct": found["distinct"],
        "aliases": {},
        "generate": False,
    }
    return [part, whole]


def _correlation(about: Mapping[str, Any]) -> Data:
    kind = str(about.get("type"))
    if kind not in set(Window):
        raise BadRule(f"correlation type {kind!r} is none of {', '.join(Window)}")
    of = about.get("rules") or []
    by = about.get("group-by") or []
    aliases = _mapping(about.get("aliases") or {}, "aliases")
    condition = about.get("condition") or {}
    counts = kind in (Window.COUNT, Window.VALUES)
    if counts and not isinstance(condition, Mapping):
        raise BadRule("the condition of a count is a mapping: gte: 5")
    if not counts and condition:
        raise BadRule(f"a condition is not possible for {kind}: all its rules have to match")
    return {
        "window": kind,
        "of": [str(one) for one in (of if isinstance(of, list) else [of])],
        "by": [str(one) for one in (by if isinstance(by, list) else [by])],
        "seconds": _seconds(about.get("timespan")),
        "at_least": _least(condition) if counts else 1,
        "distinct": _distinct(condition) if kind == Window.VALUES else "",
        "aliases": {
            str(alias): {str(rule): str(field) for rule, field in _mapping(some, "alias").items()}
            for alias, some in aliases.items()
        },
        "generate": bool(about.get("generate")),
    }


def _least(condition: Mapping[str, Any]) -> int:
    compares = {key: value for key, value in condition.items() if key != "field"}
    (compare, number), *more = compares.items() or [("nothing", 0)]
    if more or compare not in ("gt", "gte") or not isinstance(number, int):
        raise BadRule(
            f"a count is compared by one of gt and gte, not by {', '.join(compares) or 'nothing'}:"
            " only these are decided while events still arrive"
        )
    return number + (compare == "gt")


def _distinct(condition: Mapping[str, Any]) -> str:
    if not isinstance(condition.get("field"), str):
        raise BadRule("a value_count needs the field whose values it counts")
    return str(condition["field"])


def _seconds(span: Any) -> int:
    found = SPAN.fullmatch(str(span).strip())
    if not found:
        raise BadRule(f"timespan {span!r} is not like 10m: a number of s, m, h or d")
    return int(found[1]) * SECONDS[found[2]]


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadRule(f"{what} is not a mapping")
    return value


# ── Which events a rule is tried on ───────────────────────────────────────────────────────────────


def _events(condition: Condition) -> list[str]:
    names = _names(condition)
    return sorted(names) if names is not None and len(names) <= MOST_NAMES else []


def _names(condition: Condition) -> set[str] | None:
    """The event names that a condition allows, or None if it may allow any."""
    kind, *rest = condition
    if kind == "is":
        field, test, values, _ = rest
        named = field == "eventName" and test == "equals"
        return {one.casefold() for one in values} if named else None
    if kind == "not":
        return None
    parts = [_names(one) for one in rest[0]]
    known = [one for one in parts if one is not None]
    if kind == "any":
        return set().union(*known) if len(known) == len(parts) else None
    return set.intersection(*known) if known else None
