"""Patterns in which `*` is any text and `?` any one character. Pure.

Not fnmatch's: in its brackets an ARN or a name could mean what nobody meant, and no pattern that a
person writes may take longer than the text times the pattern.
"""

from collections.abc import Iterable


def matches(pattern: str, text: str) -> bool:
    """Whether all of `text` is as the pattern says; capitals count."""
    at, star, after = 0, -1, 0
    place = 0
    while place < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, after, at = at, place, at + 1
        elif at < len(pattern) and pattern[at] in ("?", text[place]):
            at, place = at + 1, place + 1
        elif star >= 0:
            after += 1
            at, place = star + 1, after
        else:
            return False
    return not pattern[at:].strip("*")


def any_matches(patterns: Iterable[str], text: str) -> bool:
    return any(matches(one, text) for one in patterns)
