"""Compiled Sigma rules, made into functions of an event. Pure; reads no YAML.

A compiled condition is plain data, so that it can be stored as JSON:

    ["all", [condition, …]]    ["any", [condition, …]]    ["not", condition]
    ["is", field, test, values, cased]

`field` is a path with dots, "" for anywhere in the event. A test is passed by any one of `values`.
Text is compared without regard to case unless `cased`. sigma.py makes such data out of rules.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from watchkeeper.triage.policies import DERIVED, derived

Event = Mapping[str, Any]
Condition = list[Any]
Matcher = Callable[[Event], bool]
TextTest = Callable[[str], bool]

LONGEST_SEARCHED = 16 * 1024
"""Characters of a text that regular expressions look at: the longest policy that IAM takes has
10,240, and some expressions take a time that grows with the square of the length.
"""

ANY_ONE = "\0"
"""In a pattern, what stands for any one character."""

DEEPEST = 50
"""Levels of an event that a search anywhere descends: real ones have some ten."""


def matcher(condition: Condition) -> Matcher:
    """The condition as a function of an event."""
    kind, *rest = condition
    if kind == "all":
        parts = [matcher(one) for one in rest[0]]
        return lambda event: all(part(event) for part in parts)
    if kind == "any":
        parts = [matcher(one) for one in rest[0]]
        return lambda event: any(part(event) for part in parts)
    if kind == "not":
        inner = matcher(rest[0])
        return lambda event: not inner(event)
    return _leaf(*rest)


def _leaf(field: str, test: str, values: list[Any], cased: bool) -> Matcher:  # noqa: FBT001
    path = tuple(field.split("."))
    if test in ("null", "exists"):
        wanted = test == "exists" and bool(values[0])
        return lambda event: any(one is not None for one in found(event, path)) is wanted
    if test.startswith("same_"):
        return _same_as(path, TEXT_TESTS[test.removeprefix("same_")], values, cased)
    if test in COMPARISONS:
        compare, number = COMPARISONS[test], float(values[0])
        return lambda event: any(compare(one, number) for one in _numbers(found(event, path)))
    passes = _text_test(test, values, cased)
    if not field:
        return lambda event: any(passes(text) for text in _everywhere(event))
    return lambda event: any(passes(text) for text in _texts(found(event, path)))


# ── Where a field is ──────────────────────────────────────────────────────────────────────────────


def found(event: Any, path: tuple[str, ...]) -> list[Any]:
    """The values at `path`; a list on the way stands for each of its elements."""
    if path[0] == DERIVED:
        return _flat(derived(event).get(".".join(path[1:])))
    here: Any = event
    for index, part in enumerate(path):
        if isinstance(here, Mapping):
            rest = path[index:]
            if part not in here and len(rest) > 1:
                return _flat(here.get(".".join(rest)))  # a key may hold dots itself
            here = here.get(part)
        elif isinstance(here, list):
            rest = path[index:]
            return [
                value
                for one in here
                if isinstance(one, Mapping | list)
                for value in found(one, rest)
            ]
        else:
            return []
    return _flat(here)


def _flat(value: Any) -> list[Any]:
    if isinstance(value, list):
        whole = [value] if any(isinstance(one, Mapping) for one in value) else []
        return [*value, *whole]
    return [] if value is None else [value]


def _texts(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, bool):
            yield "true" if value else "false"
        elif isinstance(value, Mapping | list):
            yield from _of_whole(value)
        elif value is not None:
            yield str(value)


def _of_whole(value: Any) -> Iterator[str]:
    """Rules that search a whole object expect its JSON with or without blanks, or `key=value`: as
    the log stores that they were written for show it.
    """
    try:
        yield json.dumps(value, default=str, ensure_ascii=False)
        yield json.dumps(value, default=str, ensure_ascii=False, separators=(",", ":"))
        yield _pairs(value)
    except (RecursionError, ValueError):
        return


def _pairs(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}={_pairs(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_pairs(one) for one in value) + "]"
    return next(_texts([value]), "null")


def _everywhere(value: Any, depth: int = 0) -> Iterator[str]:
    if depth > DEEPEST:
        return
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield str(key)
            yield from _everywhere(one, depth + 1)
    elif isinstance(value, list):
        for one in value:
            yield from _everywhere(one, depth + 1)
    else:
        yield from _texts([value])


# ── Tests ─────────────────────────────────────────────────────────────────────────────────────────


def _text_test(test: str, values: list[Any], cased: bool) -> TextTest:  # noqa: FBT001
    if test == "regex":
        return _any_regex([re.compile(one) for one in values])
    if test == "cidr":
        return _in_networks(tuple(values))
    passes = _glob_test(values, cased) if test == "glob" else _plain_test(test, values, cased)
    return passes if cased else lambda text: passes(text.casefold())


def _glob_test(values: list[list[str]], cased: bool) -> TextTest:  # noqa: FBT001
    globs = [_glob([one if cased else one.casefold() for one in some]) for some in values]
    return lambda text: any(one(text) for one in globs)


def _plain_test(test: str, values: list[str], cased: bool) -> TextTest:  # noqa: FBT001
    wanted = tuple(one if cased else one.casefold() for one in values)
    if test == "starts":
        return lambda text: text.startswith(wanted)
    if test == "ends":
        return lambda text: text.endswith(wanted)
    if test == "contains":
        return lambda text: any(one in text for one in wanted)
    return frozenset(wanted).__contains__


def _any_regex(expressions: list[re.Pattern[str]]) -> TextTest:
    return lambda text: any(one.search(text[:LONGEST_SEARCHED]) for one in expressions)


def _glob(segments: list[str]) -> TextTest:
    """`segments` are what stands between stars; a NUL in one is any one character. Each is taken at
    the first place where it fits, which is enough, and linear where a backtracking search is not.
    """
    parts = [
        re.compile("".join("." if one == ANY_ONE else re.escape(one) for one in text), re.DOTALL)
        for text in segments
    ]
    if len(parts) == 1:
        return lambda text: bool(parts[0].fullmatch(text))
    first, *middle, last = parts
    least = len(segments[-1])

    def passes(text: str) -> bool:
        if not (start := first.match(text)):
            return False
        at = start.end()
        for one in middle:
            if not (there := one.search(text, at)):
                return False
            at = there.end()
        return len(text) - least >= at and bool(last.match(text, len(text) - least))

    return passes


def _in_networks(networks: tuple[str, ...]) -> TextTest:
    from ipaddress import ip_address, ip_network  # noqa: PLC0415 (few rules ask; 5 ms of a start)

    parsed = [ip_network(one, strict=False) for one in networks]

    @lru_cache(maxsize=4096)
    def inside(text: str) -> bool:
        try:
            address = ip_address(text)
        except ValueError:
            return False  # a service's name stands where an address would
        return any(address in one for one in parsed)

    return inside


def _numbers(values: Iterable[Any]) -> Iterator[float]:
    for value in values:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            try:
                yield float(value)
            except (ValueError, OverflowError):
                continue


def _same_as(
    path: tuple[str, ...],
    compare: Callable[[str, str], bool],
    others: list[str],
    cased: bool,  # noqa: FBT001
) -> Matcher:
    paths = [tuple(one.split(".")) for one in others]

    def texts(event: Event, where: tuple[str, ...]) -> list[str]:
        return [one if cased else one.casefold() for one in _texts(found(event, where))]

    def same(event: Event) -> bool:
        wanted = [text for one in paths for text in texts(event, one)]
        return any(compare(text, one) for text in texts(event, path) for one in wanted)

    return same


COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "lt": lambda one, other: one < other,
    "lte": lambda one, other: one <= other,
    "gt": lambda one, other: one > other,
    "gte": lambda one, other: one >= other,
}
TEXT_TESTS: dict[str, Callable[[str, str], bool]] = {
    "equals": lambda text, one: text == one,
    "starts": lambda text, one: text.startswith(one),
    "ends": lambda text, one: text.endswith(one),
    "contains": lambda text, one: one in text,
}
