"""The searches of a Sigma rule: fields with modifiers and values. Pure; at build time.

https://sigmahq.io/sigma-specification/specification/sigma-appendix-modifiers.html
"""

import base64
import re
from collections.abc import Mapping
from ipaddress import ip_network
from itertools import product
from typing import Any

from watchkeeper.triage.sigma_match import ANY_ONE, Condition

TESTS = {"contains": "contains", "startswith": "starts", "endswith": "ends"}
ENCODINGS = {"wide": "utf-16-le", "utf16le": "utf-16-le", "utf16be": "utf-16-be", "utf16": "utf-16"}
DASHES = "-/\N{EN DASH}\N{EM DASH}\N{HORIZONTAL BAR}"
NUMBERS = ("lt", "lte", "gt", "gte")
FLAGS = ("i", "m", "s")
KNOWN = {
    *TESTS, *ENCODINGS, *NUMBERS, *FLAGS, "all", "re", "cidr", "exists", "fieldref", "cased", "neq",
    "base64", "base64offset", "windash",
}  # fmt: skip


class BadSearch(ValueError):
    """What is wrong with a search, in words."""


def search(definition: Any) -> Condition:
    """A search: a mapping is all of its fields; a list is any of its mappings or keywords.

    Raises:
        BadSearch: It means nothing, or something that cannot be done.
    """
    if isinstance(definition, Mapping):
        if not definition:
            raise BadSearch("a search is empty")
        return _joined("all", [_field(str(key), value) for key, value in definition.items()])
    if isinstance(definition, list):
        if not definition:
            raise BadSearch("a search is empty")
        return _joined("any", [_item(one) for one in definition])
    return _item(definition)


def _item(one: Any) -> Condition:
    return search(one) if isinstance(one, Mapping | list) else _field("", one)


def _joined(kind: str, parts: list[Condition]) -> Condition:
    return parts[0] if len(parts) == 1 else [kind, parts]


def _field(key: str, value: Any) -> Condition:
    field, *modifiers = key.split("|")
    modifiers = [one.strip().lower() for one in modifiers]
    if unknown := [one for one in modifiers if one not in KNOWN]:
        raise BadSearch(f"modifier {unknown[0]!r} of field {field!r} is not known")
    values = value if isinstance(value, list) else [value]
    if any(isinstance(one, Mapping | list) for one in values):
        raise BadSearch(f"field {field!r} has a mapping or list as value; nest with dots instead")
    if not values:
        raise BadSearch(f"field {field!r} has no values")
    if not field and not {"contains", "re", "startswith", "endswith"} & set(modifiers):
        modifiers.append("contains")  # a keyword is searched for, not compared
    each = [_one(field, modifiers, one) for one in values]
    condition = _joined("all", each) if "all" in modifiers else _any(each)
    return ["not", condition] if "neq" in modifiers else condition


def _any(leaves: list[Condition]) -> Condition:
    """Any of them, those alike as one: a set is looked up faster than a list is tried."""
    merged: dict[tuple[Any, ...], Condition] = {}
    others: list[Condition] = []
    for leaf in leaves:
        if leaf[0] != "is" or leaf[2] in (*NUMBERS, "null", "exists"):
            others.append(leaf)
            continue
        _, field, test, values, cased = leaf
        merged.setdefault((field, test, cased), ["is", field, test, [], cased])[3].extend(values)
    return _joined("any", [*merged.values(), *others])


def _one(field: str, modifiers: list[str], value: Any) -> Condition:
    """The condition that a field has one value."""
    cased = "cased" in modifiers
    mode = next((TESTS[one] for one in modifiers if one in TESTS), "equals")
    if "fieldref" in modifiers:
        return ["is", field, f"same_{mode}", [str(value)], cased]
    if "exists" in modifiers:
        return ["is", field, "exists", [_truth(field, value)], cased]
    if value is None:
        return ["is", field, "null", [], cased]
    if comparison := next((one for one in modifiers if one in NUMBERS), ""):
        return ["is", field, comparison, [_number(field, value)], cased]
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return _text(field, modifiers, mode, text)


def _text(field: str, modifiers: list[str], mode: str, text: str) -> Condition:
    cased = "cased" in modifiers
    if "re" in modifiers:
        return ["is", field, "regex", [_expression(text, modifiers)], True]
    if "cidr" in modifiers:
        return ["is", field, "cidr", [_network(text)], cased]
    return _any([_pattern(field, mode, one, cased) for one in _encoded(text, modifiers)])


def _truth(field: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("true", "yes", "false", "no"):
        return str(value).lower() in ("true", "yes")
    raise BadSearch(f"field {field!r} exists: true or false?")


def _number(field: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as problem:
        raise BadSearch(f"field {field!r} is compared with no number") from problem


def _network(text: str) -> str:
    try:
        return str(ip_network(text, strict=False))
    except ValueError as problem:
        raise BadSearch(f"{text!r} is no network") from problem


def _expression(text: str, modifiers: list[str]) -> str:
    flags = "".join(one for one in modifiers if one in FLAGS)
    source = f"(?{flags}:{text})" if flags else text
    try:
        re.compile(source)
    except (re.error, RecursionError, OverflowError) as problem:
        raise BadSearch(f"{text!r} is no regular expression: {problem}") from problem
    if _may_explode(text):
        raise BadSearch(
            f"the regular expression {text!r} repeats what repeats: some texts would take it for"
            " ever; bound one of the two, or make the inner one possessive (`*+`)"
        )
    return source


def _encoded(text: str, modifiers: list[str]) -> list[str]:
    """The texts to look for: with dashes of all kinds, encoded as asked."""
    if "windash" in modifiers and "-" in text:
        # Flags stand at the start of a word; more than two in one value would be absurdly many.
        spots = [found.start() for found in re.finditer(r"(?<!\S)-", text)][:2]
        return [_with_dashes(text, spots, some) for some in product(DASHES, repeat=len(spots))]
    encoding = next((ENCODINGS[one] for one in modifiers if one in ENCODINGS), "utf-8")
    if "base64offset" in modifiers:
        return [_offset(text.encode(encoding), number) for number in range(3)]
    if "base64" in modifiers:
        return [base64.b64encode(text.encode(encoding)).decode()]
    if encoding != "utf-8":
        raise BadSearch("utf16 and wide go with base64")
    return [text]


def _with_dashes(text: str, spots: list[int], dashes: tuple[str, ...]) -> str:
    letters = list(text)
    for spot, dash in zip(spots, dashes, strict=True):
        letters[spot] = dash
    return "".join(letters)


def _offset(content: bytes, number: int) -> str:
    """What of `content` shows in base64 whatever precedes it by `number` bytes of three."""
    start = (0, 2, 3)[number]
    end = (None, -3, -2)[(len(content) + number) % 3]
    return base64.b64encode(b" " * number + content).decode()[start:end]


def _pattern(field: str, mode: str, text: str, cased: bool) -> Condition:  # noqa: FBT001
    """`*` and `?` stand for any characters and any one, unless a backslash precedes them."""
    segments = _segments(text)
    if len(segments) == 1 and ANY_ONE not in segments[0]:
        return ["is", field, mode, segments, cased]
    if mode in ("contains", "ends"):
        segments = ["", *segments]
    if mode in ("contains", "starts"):
        segments = [*segments, ""]
    return ["is", field, "glob", [segments], cased]


def _segments(text: str) -> list[str]:
    segments, at = [""], 0
    while at < len(text):
        letter, after = text[at], text[at + 1 : at + 2]
        if letter == "\\" and after and after in "\\*?":
            segments[-1] += after
            at += 2
            continue
        if letter == "*":
            segments.append("")
        else:
            segments[-1] += ANY_ONE if letter == "?" else letter
        at += 1
    return segments


PIECES = re.compile(r"\\.|\[(?:\\.|[^\]\\])+\]|[()]|(?:[*+]|\{\d+,\})[+]?|.", re.DOTALL)
"""What a regular expression is made of: escapes, sets, brackets, repeats without bound, others."""

POSSESSIVE = ("*+", "++")


def _may_explode(expression: str) -> bool:
    """Whether something that repeats without bound repeats without bound. Stricter than needed:
    what it refuses can be written otherwise.
    """
    repeats = [False]
    closed = False
    for piece in PIECES.findall(expression):
        if piece == ")" and len(repeats) > 1:
            closed = repeats.pop()
            repeats[-1] |= closed
            continue
        if piece == "(":
            repeats.append(False)
        elif piece[0] in "*+{" and piece not in ("{", *POSSESSIVE):
            if closed:
                return True
            repeats[-1] = True
        closed = False
    return False
