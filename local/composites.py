"""The rules of composite alarms: ALARM, OK, INSUFFICIENT_DATA, AND, OR, NOT, TRUE, FALSE, brackets.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html
AT_LEAST is not in the box.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from local.mischief import NotInTheBox

TOKEN = re.compile(
    r"\s*(?:(?P<state>ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*"
    r'(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^()"]+?))\s*\)'
    r"|(?P<word>AND|OR|NOT|TRUE|FALSE)\b|(?P<bracket>[()]))"
)


def named_in(rule: str) -> list[str]:
    """The names of the alarms in a rule, each once."""
    return list(dict.fromkeys(name for kind, name in _tokens(rule) if kind in STATES))


def holds(rule: str, state_of: Callable[[str], str]) -> bool:
    """Whether a rule is true while alarms are in these states."""
    tokens = [*_tokens(rule), ("end", "")]
    value = _any_of(tokens, state_of)
    if tokens[0][0] != "end":
        raise NotInTheBox(f"the alarm rule {rule}")
    return value


STATES = ("ALARM", "OK", "INSUFFICIENT_DATA")


def _tokens(rule: str) -> Iterator[tuple[str, str]]:
    at = 0
    while rule[at:].strip():
        match = TOKEN.match(rule, at)
        if match is None:
            raise NotInTheBox(f"the alarm rule {rule}")
        at = match.end()
        if match["state"]:
            plain = match["plain"] or ""
            name = re.sub(r"\\(.)", r"\1", match["quoted"] or "") or plain.strip()
            yield match["state"], name.rpartition(":alarm:")[2]
        else:
            yield match["word"] or match["bracket"], ""


def _any_of(tokens: list[tuple[str, str]], state_of: Callable[[str], str]) -> bool:
    value = _all_of(tokens, state_of)
    while tokens[0][0] == "OR":
        tokens.pop(0)
        value = _all_of(tokens, state_of) or value
    return value


def _all_of(tokens: list[tuple[str, str]], state_of: Callable[[str], str]) -> bool:
    value = _one_of(tokens, state_of)
    while tokens[0][0] == "AND":
        tokens.pop(0)
        value = _one_of(tokens, state_of) and value
    return value


def _one_of(tokens: list[tuple[str, str]], state_of: Callable[[str], str]) -> bool:
    kind, name = tokens.pop(0)
    if kind == "NOT":
        return not _one_of(tokens, state_of)
    if kind == "(":
        value = _any_of(tokens, state_of)
        if tokens.pop(0)[0] != ")":
            raise NotInTheBox("an alarm rule with a bracket that is not closed")
        return value
    if kind in STATES:
        return state_of(name) == kind
    if kind in ("TRUE", "FALSE"):
        return kind == "TRUE"
    raise NotInTheBox(f"an alarm rule with {kind or name!r} in this place")
