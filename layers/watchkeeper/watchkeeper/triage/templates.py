"""One line of a log, cut into tokens, and which of these can be seen to be values at once.

A value shows itself by its form: it has a digit, it is a path, a URL, a date, or nothing at all
where something belongs (`rhost=`). This alone finds most templates
(https://arxiv.org/abs/2412.05254); what looks like a word and is a value all the same is found by
comparing lines, in `merging`.
"""

import re
from collections.abc import Iterable

WILD = "<*>"
SPACED_WILD = " " + WILD
NOTHING = "\0" + WILD
"""What is shown, as nothing, for a value that no line has. Lines are rid of NULs: see `_spaced`."""

LONGEST = 2_000
"""Characters of a line that are read. Of a longer line, only the first tokens tell what it is, and
a line of a megabyte must not cost more than any other.
"""

TOKENS_OF_LONG = 64
"""Tokens kept of a line that was longer than that: where it is cut, the values before decide, so
the end cannot be compared. A sentence or two of log text has fewer.
"""

_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*+"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*+"
_TIME = r"\d\d?:\d\d:\d\d(?:[.,]\d++)?"
_IN_PATH = r"[\w.$@%+~*-]"

# Every repetition is possessive or short: no line makes the expression go back over it. A token
# carries the space before it, so that the template can be put together again.
_TOKENS = re.compile(
    rf"""(?<=\ \()(?=\))|(?<=\w=)(?=\ |$)                     # a value that is not there
    | \ ?(?:
      (?:{_DAY},?\ )?{_MONTH}\ \d\d?(?!\w)(?:\ {_TIME}(?:\ [A-Z]{{3,4}}(?!\w))?)?
      (?:\ \d{{4}}(?!\w))?
    | (?:{_DAY},?\ )?\d\d?[ /-]{_MONTH}[ /-]\d{{4}}(?:[ :]{_TIME}(?:\ ?(?:GMT|UTC|[+-]\d{{4}}))?)?
    | \d{{4}}[-/.]\d\d[-/.]\d\d(?:[T ]{_TIME}(?:Z|\ ?[+-]\d\d:?\d\d)?)?
    | {_TIME}
    | \d++(?:\.\d++){{3}}(?![.-]?\w)(?::\d++)?                 # IPv4, and its port
    | (?<![\w:])[0-9A-Fa-f]{{0,4}}+(?::[0-9A-Fa-f]{{0,4}}+){{2,}}+(?![\w:])       # IPv6, MAC
    | [\w-]++(?:\.[\w-]++)++:\d{{2,5}}(?![\w.:])               # a host's port, a file's line
    | (?<![\w.])\.{{0,2}}/(?:{_IN_PATH}++|[=,:\#/](?={_IN_PATH}|/))++/?          # a path
    | -?\w++(?:[.@$+%~/-]{{1,2}}\w++)*+(?:://[^\s"'<>]++)?     # a word, a number, an id, a URL
    | (?<=\w=)(?<!msg=)(?<!message=)(?<!error=)(?<!err=)(?<!reason=)"[^"]*+"     # a quoted value
    | .)""",
    re.VERBOSE | re.DOTALL,
)
_COLOUR = re.compile(r"\x1b\[[0-9;?]*+[A-Za-z]")
"""Terminals' control sequences: left in, their numbers would hide the words that they touch."""
_DIGIT = re.compile(r"\d")
_NAMED = re.compile(r"(?:[A-Za-z]{2,}[._/$@-])*+(?:[A-Za-z]{2,}(?=\d+$)|[A-Za-z_.-]+:(?=\d+$))?")
"""The beginning of a value that says what it is of: `blk_` of blk_123, `eth` of eth0."""

KNOWN_MASKS = 50_000
"""Tokens remembered with their masks: 10 MB at the most of ordinary words."""


def mask(token: str) -> str:
    """What a template shows for a token: itself, or, for a value, what it begins with and `<*>`."""
    space = " " if token[:1] == " " and len(token) > 1 else ""
    bare = token[len(space) :]
    if not bare:
        return NOTHING
    if len(bare) > 1 and bare[0] in "./" and "/" in bare:
        return space + WILD
    if "://" in bare or bare.count("/") > 1:
        return space + WILD
    if _DIGIT.search(bare):
        named = _NAMED.match(bare)
        return space + (named[0] if named else "") + WILD
    return token


class _Masks(dict[str, str]):
    def __missing__(self, token: str) -> str:
        if len(self) >= KNOWN_MASKS:
            self.clear()
        masked = self[token] = mask(token)
        return masked


def is_wild(token: str) -> bool:
    return token.endswith(WILD)


def _spaced(text: str) -> str:
    """A text without colours, its white space, and NULs, made single spaces."""
    if "\x1b" in text:
        text = _COLOUR.sub("", text)
    return " ".join(text.replace("\0", " ").split())


class Lexer:
    """Cuts lines; remembers what it has masked, so one is made per run."""

    def __init__(self) -> None:
        self._masks = _Masks()

    def tokens(self, text: str) -> list[str]:
        """The tokens of a text, its white space made single spaces and its excess cut off."""
        if len(text) <= LONGEST:
            return _TOKENS.findall(_spaced(text))
        return _TOKENS.findall(_spaced(text[:LONGEST]))[:TOKENS_OF_LONG]

    def masked(self, tokens: list[str]) -> tuple[str, ...]:
        return tuple(map(self._masks.__getitem__, tokens))


def kept(masked: tuple[str, ...]) -> list[int]:
    """The positions that matter: of equal values in a row, only the first, because a list of any
    length is one value.
    """
    positions: list[int] = []
    before = ""
    for position, token in enumerate(masked):
        if not (token[0] == " " and before.endswith(WILD) and token[1:] == before.lstrip(" ")):
            positions.append(position)
        before = token
    return positions


def rendered(shown: Iterable[str]) -> str:
    """A template, as people read it."""
    return "".join(shown).replace(NOTHING, "").strip()


def common(one: str, other: str) -> str:
    """What two values show of themselves together: the names that both begin with, and `<*>`."""
    named = 0
    for length, (mine, its) in enumerate(zip(one, other, strict=False), start=1):
        if mine != its or mine == "<":
            break
        if mine in " ._/$@-":
            named = length
    return one[:named] + WILD


def bare(token: str) -> str:
    """A token as the lines are compared: of a value, only that it is one, and the space before."""
    if not is_wild(token):
        return token
    return SPACED_WILD if token[0] == " " else WILD
