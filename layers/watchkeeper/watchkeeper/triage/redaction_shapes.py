"""Secrets and personal data that give themselves away by how they look. Pure.

Each pattern is tried only on texts that hold what it cannot be without, and none goes back over
what it has read: a line of a megabyte takes as long as a megabyte of lines.
"""

import re
from base64 import b64decode
from binascii import Error as NoBase64
from collections.abc import Callable
from itertools import pairwise

PRIVATE_KEY = re.compile(
    r"(?s)-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?!-----END).)*+(?:-----END[A-Z0-9 ]{0,60}-----)?"
)
"""To the end of the text where its end is cut off."""
KEY_LINE = re.compile(r"(?m)^[A-Za-z0-9+/]{60,76}={0,2}$")
"""A line of a private key's middle, where each line is a message of its own."""
HEADER = re.compile(
    r"(?i)(?P<head>authorization\\{0,8}[\"']?[ \t]{0,4}[:=][ \t]{0,4}\\{0,8}[\"']?)"
    r"(?P<value>(?:digest|aws4-hmac-sha256)\b[^\r\n]{0,4000}+"
    r"|(?:[a-z][\w-]{1,20}[ \t]{1,4})?[^\s\"'\\,;]++)"
)
COOKIE = re.compile(
    r"(?i)(?P<head>cookie2?\\{0,8}[\"']?[ \t]{0,4}[:=][ \t]{0,4}\\{0,8}[\"']?)"
    r"(?P<value>[^\r\n\"'=\\]{1,80}+=[^\r\n\"']*+)"
)
BEARER = re.compile(r"(?i)\b(?P<head>bearer[ \t]{1,4})(?P<value>[\w.~+/-]{8,}+=*+)")
BASIC = re.compile(r"(?i)\b(?P<head>basic[ \t]{1,4})(?P<value>[A-Za-z0-9+/]{4,}+={0,2})")
JWT = re.compile(r"eyJ(?<![\w-]eyJ)[\w-]{8,}+(?:\.[\w-]*+){1,4}")
SESSION_TOKEN = re.compile(
    r"(?<![A-Za-z0-9/+])(?:IQoJb3JpZ2lu|FwoGZXIvYXdz|FQoGZXIvYXdz|AQoDYXdz|AgoJb3JpZ2lu)"
    r"[A-Za-z0-9/+=%_-]{16,}+"
)
SECRET_KEY = re.compile(r"(?<![A-Za-z0-9/+=])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])")
KEY_ID = re.compile(r"(?<![A-Z0-9])(?P<kind>AKIA|ASIA)[A-Z0-9]{12}(?P<end>[A-Z0-9]{4})(?![A-Z0-9])")
MASKED = r"\g<kind>************\g<end>"
USERINFO = re.compile(
    r"(?P<head>://[^\s/:@\"'<>\[]{0,100}+:)(?!\d{1,5}+[/?#])"
    r"(?P<value>[^\s@\"'<>]{1,200}+(?:@[^\s@\"'<>/]{1,100}+(?=@))*+)(?=@)"
)
THIN = re.compile(r"(?i)(?P<head>:thin:[^\s/@:\"']{1,100}+/)(?P<value>[^\s@\"']{1,200}+)(?=@)")
CURL = re.compile(
    r"(?P<head>\s(?:-u|--user)[ =]?[\"']?[^\s:@\"']{1,100}+:)(?P<value>[^\s\"']{1,200}+)"
)
MAIL = re.compile(
    r"(?<![\w.%+-])[\w.%+-]++@(?:[A-Za-z0-9-]++\.(?=[A-Za-z0-9]))++"
    r"(?:xn--[A-Za-z0-9-]{1,59}|[A-Za-z]{2,}+)"
)
CARD = re.compile(
    r"[2-6](?<![\w-].)(?<!\d\..)(?:\d{12,18}"
    r"|\d{3}(?P<four>[ -])\d{4}(?P=four)\d{4}(?P=four)\d{1,7}"
    r"|\d{3}(?P<six>[ -])\d{6}(?P=six)\d{4,5})"
    r"(?![\w-])"
)
NETWORKS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}"
    r"|(?:6011|64[4-9]\d|65\d\d|62\d\d|35\d\d)\d{12}"
)
"""Beginnings and lengths of card numbers: other numbers pass the check digit one time in ten."""
IBAN = re.compile(
    r"[A-Z](?<![A-Za-z0-9].)[A-Z]\d\d(?: ?[A-Z0-9]{4}){2,7}+(?: ?[A-Z0-9]{1,3})?(?!\w)"
)
PHONE = re.compile(r"\+(?<![\w+/].)[1-9](?:[ ().-]{0,2}\d){7,14}(?!\d)")

TOKENS = (
    ("GitHub token", "gh", r"gh[pousr]_[A-Za-z0-9]{20,}+"),
    ("GitHub token", "github_pat_", r"github_pat_\w{20,}+"),
    ("GitLab token", "glpat-", r"glpat-[\w-]{16,}+"),
    ("Slack token", "xox", r"xox[abeoprs]-[\w-]{10,}+"),
    ("Slack token", "xapp-", r"xapp-[\w-]{10,}+"),
    ("Slack address", "hooks.slack.com", r"hooks\.slack\.com/[\w/-]{10,}+"),
    ("Stripe key", "k_", r"[sr]k_(?:live|test)_\w{10,}+"),
    ("Stripe key", "whsec_", r"whsec_[\w/+=]{10,}+"),
    ("Google key", "AIza", r"AIza[\w-]{35}"),
    ("Google token", "ya29.", r"ya29\.[\w.-]{10,}+"),
    ("Google key", "GOCSPX-", r"GOCSPX-[\w-]{10,}+"),
    ("key", "sk-", r"sk-[\w-]{20,}+"),
    ("SendGrid key", "SG.", r"SG\.[\w-]{16,}+\.[\w-]{16,}+"),
    ("npm token", "npm_", r"npm_[A-Za-z0-9]{30,}+"),
    ("PyPI token", "pypi-", r"pypi-[\w-]{40,}+"),
    ("Vault token", "hv", r"hv[sbr]\.[\w-]{20,}+"),
    ("Twilio key", "SK", r"SK[0-9a-f]{32}"),
    ("token", "_v1_", r"do[opr]_v1_[0-9a-f]{32,}+"),
    ("Shopify token", "shp", r"shp(?:at|ss|ca|pa)_[0-9a-fA-F]{32}"),
)
"""What it is, what a text with one holds, and how it looks."""
TOKEN = [
    (kind, holds, re.compile(rf"(?<![A-Za-z0-9]){looks}(?![A-Za-z0-9])"))
    for kind, holds, looks in TOKENS
]

IBAN_LENGTHS = (
    "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BR29BY28CH21CR22CY28CZ24DE22DK18DO28EE20EG29ES24FI18FO18"
    "FR27GB22GE22GI23GL18GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21"
    "LY25MC27MD24ME22MK19MR27MT31MU30NL18NO15PK24PL28PS29PT25QA29RO24RS22SA24SC31SE24SI19SK24SM27"
    "ST25SV28TL23TN24TR26UA29VA22VG24XK20"
)
"""Two letters of a country, two digits: https://www.swift.com/standards/data-standards/iban"""
LENGTH_OF = {
    IBAN_LENGTHS[at : at + 2]: int(IBAN_LENGTHS[at + 2 : at + 4])
    for at in range(0, len(IBAN_LENGTHS), 4)
}
CHANGES = 12
"""Of small, large, digit and sign in 40 characters: a path has fewer, chance gives 26."""


def without_secrets(text: str, *, masks_ids: bool = True) -> str:
    """`masks_ids`: of an access key's id only its beginning and end stay."""
    small = text.lower()
    if "-----BEGIN" in text:
        text = PRIVATE_KEY.sub("[redacted: private key]", text)
    if "authorization" in small:
        text = _behind(HEADER, "authorization", text)
    if "cookie" in small:
        text = _behind(COOKIE, "cookie", text)
    text = _tokens(text)
    if "bearer" in small or "basic" in small:
        text = _behind(BEARER, "token", text, _is_bearer)
        text = _behind(BASIC, "authorization", text, _is_basic)
    if "@" in text:
        text = _behind(USERINFO, "password", text)
        text = _behind(THIN, "password", text)
    if " -u" in text or " --user" in text:
        text = _behind(CURL, "password", text)
    return _aws(text, masks_ids=masks_ids)


def without_people(text: str) -> str:
    if "@" in text:
        text = MAIL.sub("[redacted: e-mail]", text)
    if "+" in text:
        text = PHONE.sub("[redacted: phone number]", text)
    text = CARD.sub(_card, text)
    return IBAN.sub(_iban, text)


def _behind(
    pattern: re.Pattern[str],
    kind: str,
    text: str,
    is_one: Callable[[str], bool] = bool,
) -> str:
    def replaced(found: re.Match[str]) -> str:
        if found["value"].startswith("[redacted:") or not is_one(found["value"]):
            return found[0]
        return f"{found['head']}[redacted: {kind}]"

    return pattern.sub(replaced, text)


def _tokens(text: str) -> str:
    if "eyJ" in text:
        text = JWT.sub("[redacted: JWT]", text)
    for kind, holds, looks in TOKEN:
        if holds in text:
            text = looks.sub(f"[redacted: {kind}]", text)
    return text


def _aws(text: str, *, masks_ids: bool) -> str:
    if len(text) < 20:  # noqa: PLR2004 (an access key's id, the shortest of these)
        return text
    if "Yd" in text or "Zp" in text or "Z2lu" in text or "YXdz" in text:
        text = SESSION_TOKEN.sub("[redacted: AWS session token]", text)
    if masks_ids and ("AKIA" in text or "ASIA" in text):
        text = KEY_ID.sub(MASKED, text)
    text = KEY_LINE.sub(_secret("private key"), text)
    return SECRET_KEY.sub(_secret("AWS secret key"), text)


def _secret(kind: str) -> Callable[[re.Match[str]], str]:
    return lambda found: f"[redacted: {kind}]" if _is_random(found[0]) else found[0]


def _is_random(value: str) -> bool:
    """It looks drawn by chance: no digest in hexadecimal, no path, no name."""
    kinds = [
        "A" if c.isupper() else "a" if c.islower() else "0" if c.isdigit() else c for c in value
    ]
    changes = sum(one != other for one, other in pairwise(kinds))
    return {"A", "a", "0"} <= set(kinds) and changes >= CHANGES * len(value) // 40


def _is_bearer(value: str) -> bool:
    """And no word of a sentence about one."""
    return any(one.isdigit() for one in value) or len(value) >= 24  # noqa: PLR2004


def _is_basic(value: str) -> bool:
    """A name and a password, as that scheme writes them: RFC 7617, 2."""
    try:
        return b":" in b64decode(value[: len(value) // 4 * 4], validate=True)
    except (NoBase64, ValueError):
        return False


def _card(found: re.Match[str]) -> str:
    digits = [int(one) for one in found[0] if one.isdigit()]
    if not NETWORKS.fullmatch("".join(map(str, digits))):
        return found[0]
    doubled = [sum(divmod(2 * one, 10)) for one in digits[-2::-2]]
    if (sum(digits[::-2]) + sum(doubled)) % 10:
        return found[0]
    # As a number of JSON's it stands behind a name in quotes, and becomes a text of JSON's.
    before = found.string[max(0, found.start() - 4) : found.start()].rstrip(" ")
    mark = '"' if before.endswith('":') else ""
    return f"{mark}[redacted: card number]{mark}"


def _iban(found: re.Match[str]) -> str:
    """ISO 13616: its country's length, and 1 modulo 97."""
    plain = found[0].replace(" ", "")
    if LENGTH_OF.get(plain[:2]) != len(plain):
        return found[0]
    number = "".join(str(int(one, 36)) for one in plain[4:] + plain[:4])
    return "[redacted: IBAN]" if int(number) % 97 == 1 else found[0]
