"""Secrets that their names give away: `password=…`, `"apiKey": "…"`, `--token …`. Pure.

A name is in doubt a secret's: only a list of endings (`secretArn`, `token_count`) says otherwise.
"""

import re
from functools import lru_cache

KEYS = (
    "api", "access", "private", "account", "shared", "signing", "encryption", "auth", "master",
    "storage", "license",
)  # fmt: skip
NAME = re.compile(
    r"(?i)(?P<name>pass(?:word|wd|phrase|code)?|pwd|secret|token|credentials?"
    rf"|(?:{'|'.join(KEYS)})[ _.-]?key|j?session[_-]?id|phpsessid|signature|sig)"
    r"(?P<rest>[\w-]{0,40}+)"
)
"""`rest` is short so that a text of nothing but names is read once, not once per name."""
KINDS = (
    ("pass", "password"), ("pwd", "password"), ("secret", "secret"), ("token", "token"),
    ("credential", "credential"), ("sig", "signature"), ("session", "session"),
    ("jsession", "session"), ("phpsess", "session"),
)  # fmt: skip
"""By how a name begins; everything else is a key."""
SIGNS = (
    "pass", "pwd", "secret", "token", "credential", "session", "phpsessid", "signature", "sig=",
)  # fmt: skip
SEPARATOR = re.compile(
    r"\\{0,8}[\"'`]?\]?[ \t]{0,4}(?:=>|:=|[:=]|%3[dD])[ \t]{0,4}|(?<=[\w-])(?P<gap>[ \t]{1,4})|>"
)
FLAG = re.compile(r"(?:^|(?<=[\s\"'\[,]))-{1,2}[\w-]{0,40}\Z")
"""Before a name: it is a program's option, whose value may stand behind a blank."""
TAG = re.compile(r"<[\w:.-]{0,40}\Z")
"""Before a name: it is that of an element."""
QUOTED = re.compile(r"(?s)(?P<quote>[\"'`])(?P<value>(?:\\.|(?!(?P=quote))[^\\])*+)")
ESCAPED = re.compile(r"(?s)(?P<quote>\\{1,8}[\"'])(?P<value>(?:(?!(?<!\\)(?P=quote)).)*+)")
"""A string inside a string: what ends it has as many backslashes as what begins it."""
LISTED = re.compile(r"\[(?P<value>[^\[\]{}]{1,1000})(?=\])")
BARE = re.compile(r"(?P<value>[^\s,;&\"'`<>{}\[\]()|][^\s,;&\"'`<>{}\]|]*+)")
QUOTE = re.compile(r"\\{0,8}[\"']")
ELEMENT = re.compile(r"(?P<value>[^<]++)")
HOLE = re.compile(r"\$?\{\{? ?[\w.:-]{1,80} ?\}")
"""Where a program puts a value in."""

HARMLESS = frozenset({
    "age", "algorithm", "arn", "arns", "at", "attempts", "bucket", "cache", "changed", "console",
    "count", "counts", "created", "date", "days", "disabled", "enabled", "endpoint", "error",
    "errors", "expiration", "expired", "expires", "expiry", "failures", "field", "file", "from",
    "group", "hint", "id", "ids", "in", "index", "invalid", "ize", "ized", "izer", "len", "length",
    "limit", "limits", "list", "manager", "method", "minute", "months", "name", "names", "on",
    "path", "per", "policies", "policy", "port", "prevention", "provider", "requests", "required",
    "reset", "rotated", "rotation", "second", "size", "smanager", "stage", "stages", "status",
    "store", "stream", "table", "tags", "time", "ttl", "type", "types", "until", "updated", "uri",
    "url", "usage", "used", "valid", "version",
})  # fmt: skip
"""Last words of a name that is about a secret and holds none."""
NO_SECRETS = re.compile(
    r"(?i)(?:|\[redacted: .{0,20}\]?|true|false|null|none|nil|undefined|yes|no|not|is"
    r"|was|has|must|should|cannot|empty|"
    r"missing|required|expired|invalid|incorrect|wrong|denied|rejected|failed|mismatch|changed|"
    r"revoked|unknown|unset|valid|ok|authentication|bearer|basic|hidden_due_to_security_reasons|"
    r"<?sensitivedataremoved>?|<?redacted>?|[*x•.#-]{2,}|\$[\w.]{1,80}|%[sdr])\Z"
)
"""Values that say something and give nothing away: masks, places to be filled in, and what a
program says of a secret (`token: expired`).
"""
HANDED = ("client", "clientrequest", "idempotency", "request")
"""Before `token`: it is made up by a caller so that AWS does one thing once."""
LONGEST_HANDED = len("client_request_")
MOST = 2_000
"""Secrets in one text: a dump of a vault has fewer. What comes behind them goes as a whole, so that
no line takes long.
"""
LONGEST_WORD = 90
"""Of those that give nothing away, in characters."""
SHORTEST_SESSION = 16
"""Characters: what opens somebody's session is long; a database counts its sessions."""


def secret_kind(name: str) -> str:
    """What is under a name (`password`, `token`, …), or "" if it is no secret."""
    at = 0
    while found := NAME.search(name, at):
        if kind := _kind(found):
            return kind
        at = found.end("name")
    return ""


def is_telling(value: str) -> bool:
    """Whether a value under a secret's name is none: there is nothing in it, or a word about it."""
    return NO_SECRETS.match(value.strip()) is not None


def without_named(text: str) -> str:
    """`text` with every value behind a secret's name replaced. Reads it once."""
    parts: list[str] = []
    at = done = 0
    while found := NAME.search(text, at):
        at = found.end("name")
        kind = _kind(found)
        span = _value(text, found, kind) if kind else None
        if span is not None:
            parts += [text[done : span[0]], _marker(found, span, kind)]
            at = done = span[1]
        if len(parts) >= 2 * MOST:
            return "".join([*parts, "[redacted: rest]"])
    return "".join([*parts, text[done:]]) if parts else text


def _marker(found: re.Match[str], span: tuple[int, int], kind: str) -> str:
    """In quotes where the name stands in some and the value did not: a line of JSON stays one."""
    text = found.string
    quote = QUOTE.match(text, found.end())
    is_bare = quote is not None and text[span[0] - 1] not in "\"'`"
    mark = quote[0] if quote is not None and is_bare else ""
    return f"{mark}[redacted: {kind}]{mark}"


def may_name(small: str) -> bool:
    """Whether a text in small letters can hold such a name: ordinary lines cost next to nothing."""
    if any(one in small for one in SIGNS):
        return True
    return "key" in small and any(one in small for one in KEYS)


def _kind(found: re.Match[str]) -> str:
    before = found.string[max(0, found.start() - LONGEST_HANDED) : found.start()]
    return _kind_of(before, found["name"], found["rest"])


@lru_cache(maxsize=1024)  # the lines of a program repeat their names
def _kind_of(before: str, name: str, rest: str) -> str:
    small = name.lower()
    if small in ("pass", "sig") and _is_part_of_word(before, name, rest):
        return ""
    in_arn = small == "secret" and before[-1:] == ":" and before[-2:-1].isdigit()
    is_handed = small == "token" and re.sub(r"[^a-z]", "", before.lower()).endswith(HANDED)
    words = re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", rest).lower())
    if in_arn or is_handed or (words and words[-1] in HARMLESS):
        return ""
    return next((kind for begin, kind in KINDS if small.startswith(begin)), "key")


def _is_part_of_word(before: str, name: str, rest: str) -> bool:
    """`bypass`, `passed`, `design`; but not `DB_PASS` or `dbPass`."""
    last = before[-1:]
    is_begun = last.isalpha() and not (last.islower() and name[0].isupper())
    return is_begun or rest[:1].islower() or (rest[:1].isupper() and name.isupper())


def _value(text: str, found: re.Match[str], kind: str) -> tuple[int, int] | None:
    """From where to where the secret is; None if there is none."""
    separator = SEPARATOR.match(text, found.end())
    if separator is None:
        return None
    at = separator.end()
    if text.startswith("[redacted: ", at) or (text[at : at + 1] in "${" and HOLE.match(text, at)):
        return None
    for one in _kinds(found, separator):
        if value := one.match(text, at):
            return None if _is_none(value["value"], found, kind) else value.span("value")
    return None


def _kinds(found: re.Match[str], separator: re.Match[str]) -> tuple[re.Pattern[str], ...]:
    """How a value can look that stands behind this name and what separates it."""
    before = found.string[max(0, found.start() - 43) : found.start()]
    if separator[0] == ">":
        return (ELEMENT,) if TAG.search(before) else ()
    if separator["gap"]:
        return (QUOTED, BARE) if FLAG.search(before) else ()
    return (QUOTED, ESCAPED, LISTED, BARE)


def _is_none(value: str, found: re.Match[str], kind: str) -> bool:
    is_short = len(value) <= LONGEST_WORD
    if is_short and all(is_telling(one.strip(" \"'")) for one in value.split(",")):
        return True
    name, rest = found["name"].lower(), found["rest"].lower()
    if name == "token" and rest == "s" and value.isdecimal():
        return True  # a model counts them
    if name == "pwd" and value.startswith("/"):
        return True  # the working directory
    return kind == "session" and len(value) < SHORTEST_SESSION
