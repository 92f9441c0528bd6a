"""What is taken out of evidence before it is stored or sent: secrets and personal data. Pure.

Out go passwords, keys, tokens, cookies and what opens a session, e-mail addresses, IBANs, numbers
of payment cards and telephone numbers in international form. In their place stands what was there:
`[redacted: e-mail]`. Nothing says whether two of them were equal: a digest of a password or an
address is found again by trying, and a key to make it untriable would be one more secret to keep.

What triage needs stays: ARNs, ids of resources, requests and commits, UUIDs, account ids, and IP
addresses. An IP address can be personal data, but it is what tells an intruder from a colleague and
one broken host from all of them; so whoever may read reports is to be chosen as for the logs
themselves. Names of people stay too: nothing tells them from other words.
"""

import json
from collections.abc import Mapping
from typing import Any

from watchkeeper.triage.redaction_named import is_telling, may_name, secret_kind, without_named
from watchkeeper.triage.redaction_shapes import KEY_ID, MASKED, without_people, without_secrets

ROUNDS = 4
"""What is left of one secret can look like another; it never has taken more than two."""
DEEPEST = 50
"""Levels of a record: CloudTrail's have fewer than 20, and no text is to overflow the stack."""
CARDS = 10**12, 10**19
"""Between these are the numbers of payment cards: 13 to 19 digits, ISO/IEC 7812."""
LONGEST_JSON = 262_144
"""Characters of a text that is read as JSON: an event of CloudTrail's is no larger than 256 KB."""

WHO = frozenset({
    "useridentity", "arn", "principalid", "username", "rolesessionname", "sourceidentity",
    "rolearn", "assumedroleuser", "resources", "resourcename",
})  # fmt: skip
"""Parts of a record that say who did something to what. Sessions are named for people, often by
their address: that is what an audit trail is for, so personal data stays there.
"""
HOLDERS = frozenset({"accesskey", "credentials", "accesskeys", "credential"})
"""Named like secrets, but a record keeps the id of an access key in them."""
VARIABLES = frozenset({"variables", "environmentvariables", "envvars", "env"})
SEALED = {
    "userdata": "user data", "secretstring": "secret", "secretbinary": "secret",
    "plaintext": "secret", "plaintextblob": "secret", "templatebody": "secret",
    "authorization": "authorization", "proxyauthorization": "authorization",
    "cookie": "cookie", "setcookie": "cookie",
}  # fmt: skip
"""Whole texts in which anything may be, and often is, and what they are called."""
LABELS = ("name", "key", "parameterkey", "parametername", "optionname")
VALUES = ("value", "parametervalue", "values")


def redacted(text: str) -> str:
    """`text` without secrets and personal data; of an access key's id its ends stay.

    The same again for what it has returned. Takes time in proportion to the length of the text.
    """
    for _ in range(ROUNDS):
        kept = _text(text, masks_ids=True)
        if kept != text and text.startswith("{") and _is_json(text) and not _is_json(kept):
            kept = KEY_ID.sub(MASKED, _inside(_whole(text), 0, is_who=False))
        if kept == text or not kept.startswith("{"):
            return kept
        text = kept
    return text


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def redacted_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record of CloudTrail's likewise, by the names of its fields and by what is in them, also
    in JSON inside its texts. Keys stay, and so does what rules read: names of events, ARNs, ids,
    those of access keys among them, addresses, policies.
    """
    return {_key(key): _field(str(key), one, 1, is_who=False) for key, one in _pairs(record)}


# ── Texts ─────────────────────────────────────────────────────────────────────────────────────────


def _text(text: str, *, masks_ids: bool, is_who: bool = False) -> str:
    text = _whole(text)
    for _ in range(ROUNDS):
        once = _once(text, masks_ids=masks_ids, is_who=is_who)
        if once == text:
            break
        text = once
    return text


def _once(text: str, *, masks_ids: bool, is_who: bool) -> str:
    text = without_secrets(text, masks_ids=masks_ids)
    if may_name(text.lower()):
        text = without_named(text)
    return text if is_who else without_people(text)


def _whole(text: str) -> str:
    """Without halves of characters, which no file and no message takes."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


# ── Records ───────────────────────────────────────────────────────────────────────────────────────


def _pairs(record: Mapping[Any, Any]) -> list[tuple[Any, Any]]:
    """With the value of a setting blanked that another field names: a secret's, a variable's."""
    small = {str(key).lower(): key for key in record}
    label = next((str(record[small[one]]) for one in LABELS if one in small), "")
    is_secret = secret_kind(label) or str(record.get(small.get("type"))) == "SecureString"
    if not is_secret:
        return list(record.items())
    return [
        (key, _blank(one, secret_kind(label) or "secret", 1) if str(key).lower() in VALUES else one)
        for key, one in record.items()
    ]


def _key(key: Any) -> str:
    return _whole(str(key))


def _field(key: str, value: Any, depth: int, *, is_who: bool) -> Any:
    name = "".join(one for one in key.lower() if one.isalnum())
    if name in SEALED:
        return _blank(value, SEALED[name], depth)
    if name in VARIABLES or (name == "environment" and isinstance(value, (list, tuple))):
        return _variables(value, depth)
    kind = secret_kind(key)
    if kind and not (name in HOLDERS and isinstance(value, (Mapping, list, tuple))):
        return _blank(value, kind, depth)
    return _any(value, depth, is_who=is_who or name in WHO)


def _any(value: Any, depth: int, *, is_who: bool) -> Any:
    if depth > DEEPEST:
        return "[redacted: too deep]"
    if isinstance(value, Mapping):
        return {_key(k): _field(str(k), v, depth + 1, is_who=is_who) for k, v in _pairs(value)}
    if isinstance(value, (list, tuple)):
        return [_any(one, depth + 1, is_who=is_who) for one in value]
    if isinstance(value, str):
        return _inside(value, depth, is_who=is_who)
    if not is_who and isinstance(value, int) and CARDS[0] <= value < CARDS[1]:
        kept = without_people(str(value))
        return value if kept == str(value) else kept
    return value


def _inside(text: str, depth: int, *, is_who: bool) -> str:
    """JSON in a text as JSON, so that what stays is JSON; as it was if nothing goes."""
    for _ in range(ROUNDS):
        once = _inside_once(text, depth, is_who=is_who)
        if once == text:
            break
        text = once
    return text


def _inside_once(text: str, depth: int, *, is_who: bool) -> str:
    if text[:1] in ("{", "[") and len(text) <= LONGEST_JSON:
        try:
            held = json.loads(text, object_pairs_hook=_unrepeated)
            kept = _any(held, depth + 1, is_who=is_who)
        except (ValueError, RecursionError):
            return _text(text, masks_ids=False, is_who=is_who)
        return _whole(text) if kept == held else json.dumps(kept)
    return _text(text, masks_ids=False, is_who=is_who)


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a key that stands twice a parser keeps the last value alone: such JSON is read as text."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key twice")
    return found


def _variables(value: Any, depth: int) -> Any:
    """Of names and values the names stay."""
    if isinstance(value, (list, tuple)):
        return [
            {
                _key(key): _blank(held, "variable", depth + 1)
                if str(key).lower() in VALUES
                else _any(held, depth + 1, is_who=False)
                for key, held in one.items()
            }
            if isinstance(one, Mapping)
            else _blank(one, "variable", depth)
            for one in value
        ]
    return _blank(value, "variable", depth)


def _blank(value: Any, kind: str, depth: int) -> Any:
    """Every value in it goes, every key stays, and so does what says that there was nothing."""
    if depth > DEEPEST:
        return "[redacted: too deep]"
    if isinstance(value, Mapping):
        return {_key(key): _blank(one, kind, depth + 1) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_blank(one, kind, depth + 1) for one in value]
    is_kept = value is None or isinstance(value, bool)
    if is_kept or (isinstance(value, str) and (is_telling(value) or _is_marker(value))):
        return value
    return f"[redacted: {kind}]"


def _is_marker(value: str) -> bool:
    return value.startswith("[redacted: ") and value.endswith("]")
