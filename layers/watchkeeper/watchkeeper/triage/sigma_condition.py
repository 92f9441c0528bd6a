"""The `condition` of a Sigma rule: `selection and not 1 of filter_*`, parsed. Pure; at build time.

https://sigmahq.io/sigma-specification/specification/sigma-rules-specification.html#condition
"""

import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase

from watchkeeper.triage.sigma_match import Condition

TOKEN = re.compile(r"\s*([()|]|[^\s()|]+)")


class BadCondition(ValueError):
    """What is wrong with a condition, in words."""


def parse(text: str, searches: Mapping[str, Condition]) -> Condition:
    """The condition, with each search's own condition in its place. `not` binds more tightly than
    `and`, which binds more tightly than `or`.

    Raises:
        BadCondition: It cannot be read, or names a search that is not there.
    """
    reader = _Reader(TOKEN.findall(text), searches)
    parsed = reader.either()
    if reader.rest:
        raise BadCondition(f"{reader.rest[0]!r} is not expected there")
    return parsed


class _Reader:
    def __init__(self, tokens: list[str], searches: Mapping[str, Condition]) -> None:
        self.rest = tokens
        self.searches = searches

    def either(self) -> Condition:
        return self._joined("or", "any", self.both)

    def both(self) -> Condition:
        return self._joined("and", "all", self.one)

    def _joined(self, word: str, kind: str, part: Callable[[], Condition]) -> Condition:
        parts = [part()]
        while self._is_next(word):
            self.rest.pop(0)
            parts.append(part())
        return parts[0] if len(parts) == 1 else [kind, parts]

    def one(self) -> Condition:
        name = self._take()
        word = name.lower()
        if word == "not":
            return ["not", self.one()]
        if name == "(":
            inner = self.either()
            if self._take() != ")":
                raise BadCondition("a bracket is not closed")
            return inner
        if self._is_next("of"):
            return self._some_of(word)
        if name in self.searches:
            return self.searches[name]
        raise BadCondition(f"there is no search {name!r}")

    def _some_of(self, how_many: str) -> Condition:
        self.rest.pop(0)
        pattern = self._take()
        if how_many not in ("1", "any", "all"):
            raise BadCondition(f"{how_many!r} of is not possible: 1, any or all")
        everything = pattern.lower() == "them"
        some = [
            condition
            for name, condition in self.searches.items()
            if (not name.startswith("_") if everything else fnmatchcase(name, pattern))
        ]
        if not some:
            raise BadCondition(f"no search is called {pattern!r}")
        return ["all" if how_many == "all" else "any", some]

    def _is_next(self, word: str) -> bool:
        return bool(self.rest) and self.rest[0].lower() == word

    def _take(self) -> str:
        if not self.rest:
            raise BadCondition("it ends too early")
        return self.rest.pop(0)
