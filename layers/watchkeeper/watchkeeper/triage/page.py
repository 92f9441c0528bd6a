"""The page of an incident, for people: whole in itself, at night, on a telephone, on paper. Pure.

What it is, the likely cause and what to look at first come before anything else. It runs no script
and fetches nothing, and says so to the browser as well; its links lead into the AWS console with
the reader's own rights. Every text is somebody else's: it is escaped, cut, and opens no element.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

from watchkeeper.drills.markup import code, paragraph, quiet, section, text
from watchkeeper.triage import page_charts
from watchkeeper.triage.page_style import STYLE
from watchkeeper.triage.report import Claim, Link, Moment, Report

CLAIMS, LINES, MOMENTS, SENTENCES, TREE = 60_000, 6_000, 30_000, 20_000, 20_000
"""Bytes of one list, and of the raw lines below one claim. A page of the longest texts everywhere
stays below half a megabyte, which a telephone loads in a second; the rest is in report.json.
"""
LONGEST_CLAIM, LONGEST_LINE, LONGEST_MOMENT = 1_800, 2_400, 500
"""Bytes of one text with its escapes."""
MOST_LINKS = 4
DEEPEST = 8
"""Of the tree of alarms: composites nest five deep."""
FIRST = 3
"""Things to look at first: what fits on a telephone below the cause."""
SEVERITIES = ("critical", "high", "medium", "low", "informational")
GRAVE = ("critical", "high")


def page(report: Report) -> str:
    """The whole document."""
    severity = _severity(report.severity)
    content = "".join(_content(report, severity))
    locked = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        f"style-src 'sha256-{locked}'; base-uri 'none'; form-action 'none'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{text(report.headline, 200)}</title>\n"
        f"<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{content}</main>\n</body>\n</html>\n"
    )


def _content(report: Report, severity: str) -> Iterator[str]:
    yield _headline(report, severity)
    yield _first(report)
    yield _verdict(report)
    yield _claims("changes", "What changed", report.changes, _none_of_trail(report, "No change"))
    yield _claims("errors", "New in the logs", report.errors, "No new or more frequent message.")
    yield _metrics(report)
    yield _claims(
        "suspicious",
        "Suspicious activity",
        report.suspicious,
        _none_of_trail(report, "Nothing suspicious"),
    )
    if report.silences:
        yield _claims("silences", "Gone silent", report.silences, "")
    yield _timeline(report)
    yield _alarms(report)
    yield _unchecked(report)
    yield _about(report)


def _severity(value: str) -> str:
    """A class of the style; nobody's text becomes one."""
    small = value.lower()
    return small if small in SEVERITIES else "medium"


# ── Above the fold ────────────────────────────────────────────────────────────────────────────────


def _headline(report: Report, severity: str) -> str:
    look = "first look" if report.look == 0 else f"look {report.look + 1}"
    owner = f" · for <strong>{quiet(report.owner, 120)}</strong>" if report.owner else ""
    again = ""
    if report.recurrence:
        times = "once" if report.recurrence == 1 else f"{report.recurrence} times in a row"
        again = paragraph(f"This has happened before: {times}.", "why")
    return (
        f'<header class="{severity}"><p class="kicker">'
        f'<span class="word">{text(report.severity, 40)}</span>'
        f" · since {_at(report.since)} · {look} at {_at(report.made_at)} UTC{owner}</p>"
        f"<h1>{text(report.headline, 1_000)}</h1>{again}</header>"
    )


def _first(report: Report) -> str:
    """The cause and where to look: what a person needs who reads no further."""
    verdict = report.verdict
    label = "Likely cause" if verdict.known else "Cause unknown"
    steps = "".join(f"<li>{one}</li>" for one in list(_steps(report))[:FIRST])
    gaps = len(report.unchecked)
    told = f'<a href="#unchecked">{gaps} thing{"s" if gaps > 1 else ""} could not be checked</a>'
    rest = paragraph(f"{told}.", "why") if gaps else paragraph("Everything was checked.", "calm")
    return (
        f'<section class="cause" aria-labelledby="cause"><h2 id="cause">{label}</h2>'
        f'<p class="lead">{text(verdict.headline, 700)}</p>'
        f"<h3>Look at this first</h3><ol>{steps}</ol>{rest}</section>"
    )


def _steps(report: Report) -> Iterator[str]:
    grave = [one for one in report.suspicious if one.severity in GRAVE]
    named = chain(
        (("suspicious", "Intruder?", one) for one in grave[:1]),
        (("changes", "Change:", one) for one in report.changes[:1]),
        (("errors", "New error:", one) for one in report.errors[:1]),
        (("moved", "Metric:", one) for one in report.moved[:1]),
        (("silences", "Silent:", one) for one in report.silences[:1]),
        (("alarms", "Alarm:", one) for one in report.alarms[:1]),
    )
    for place, word, claim in named:
        yield f'<a href="#{place}">{word}</a> {quiet(claim.text, 260)}'


# ── What was found ────────────────────────────────────────────────────────────────────────────────


def _verdict(report: Report) -> str:
    verdict = report.verdict
    parts = [_items(verdict.claims)] if verdict.claims else []
    if verdict.consequences:
        parts.append(f"<h3>What follows from it</h3>{_sentences(verdict.consequences)}")
    if verdict.ruled_out:
        parts.append(f"<h3>Ruled out</h3>{_sentences(verdict.ruled_out)}")
    if not parts:
        parts.append(paragraph("No rule explains what was seen; no evidence points one way."))
    return section("why", "Why this is thought", *parts)


def _claims(name: str, title: str, claims: Sequence[Claim], nothing: str) -> str:
    return section(name, title, _items(claims) if claims else paragraph(nothing, "why"))


def _items(claims: Sequence[Claim]) -> str:
    shown = _within(CLAIMS, map(_claim, claims))
    return f'<ul class="claims">{"".join(shown)}</ul>{_rest(len(claims) - len(shown))}'


def _claim(claim: Claim) -> str:
    severity = _severity(claim.severity)
    is_said = claim.text.lower().startswith(claim.severity.lower())  # it is, of a suspicious one
    word = "" if is_said else f'<span class="word {severity}">{severity}</span> '
    about = [f"<span>{claim.source.value}</span>"]
    if claim.at is not None:
        about.append(f" · {_at(claim.at)}")
    if claim.resource:
        about.append(f" · {code(claim.resource)}")
    return (
        f"<li><p>{word}{quiet(claim.text, LONGEST_CLAIM)}</p>"
        f'<p class="meta">{"".join(about)}{_links(claim.links)}</p>{_raw(claim.lines)}</li>'
    )


def _links(links: Sequence[Link]) -> str:
    """Only over HTTPS: an address is the one attribute here that is made of anything foreign."""
    safe = [one for one in links if _is_https(one.url)][:MOST_LINKS]
    return "".join(
        f' <a href="{text(one.url, 4_000)}" rel="noopener noreferrer">{text(one.text, 80)}</a>'
        for one in safe
    )


def _is_https(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    whole = len(text(url, 4_000)) and not text(url, 4_000).endswith("…")
    return parts.scheme == "https" and bool(parts.netloc) and bool(whole) and url.isprintable()


def _raw(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    shown = _within(LINES, (text(line, LONGEST_LINE) for line in lines))
    count = f"{len(lines)} raw line{'s' if len(lines) > 1 else ''}"
    rest = f"\n… {len(lines) - len(shown)} more" if len(shown) < len(lines) else ""
    body = "\n".join(shown)
    return f"<details><summary>{count}</summary><pre>{body}{rest}</pre></details>"


def _metrics(report: Report) -> str:
    figures = []
    for number, one in enumerate(report.charts):
        drawn = page_charts.chart(number, one, report.since)
        caption = f"<span>{quiet(one.title, 200)}</span><span>{page_charts.latest(one)}</span>"
        figures.append(f"<figure><figcaption>{caption}</figcaption>{drawn}</figure>")
    parts = [f'<div class="charts">{"".join(figures)}</div>'] if figures else []
    if report.suspects:
        names = ", ".join(code(one) for one in report.suspects[:5])
        parts.append(f"<h3>Where the cause is, by metrics and calls, best first</h3><p>{names}</p>")
    if report.moved:
        parts.append(f"<h3>First and most moved</h3>{_items(report.moved)}")
    else:
        parts.append(paragraph("No metric that was looked at has moved.", "why"))
    return section("moved", "Metrics", *parts)


def _none_of_trail(report: Report, nothing: str) -> str:
    """Nothing in a trail that is late is nothing so far."""
    if report.audit_until is None:
        return "The audit trail could not be read: this is not known."
    return (
        f"{nothing} in the audit trail so far; it can be complete until {_at(report.audit_until)}."
    )


# ── All of it in time, and the alarms ─────────────────────────────────────────────────────────────


def _timeline(report: Report) -> str:
    moments = sorted(report.timeline, key=lambda one: one.at)
    if not moments:
        return section("timeline", "Timeline", paragraph("Nothing was dated.", "why"))
    days = {one.at.astimezone(UTC).date() for one in moments}
    drawn = page_charts.lanes(moments, report.since, report.made_at)
    frame = (
        '<div class="frame" role="region" aria-label="All sources over time" tabindex="0">'
        f"{drawn}</div>"
    )
    before = sum(one.at < report.since for one in moments)
    shown = _within(MOMENTS, (_moment(one, with_date=len(days) > 1) for one in moments))
    onset = f'<li class="onset">it began at {_at(report.since)}</li>'
    rows = "".join([*shown[:before], onset, *shown[before:]])
    listed = f'<ol class="moments">{rows}</ol>{_rest(len(moments) - len(shown))}'
    return section("timeline", "Timeline", frame if drawn else "", listed)


def _moment(one: Moment, *, with_date: bool) -> str:
    kind = page_charts.mark_class(one.mark)
    at = _at(one.at) if with_date else _at(one.at, "%H:%M:%S")
    return (
        f'<li>{at}<span class="mark {kind}">{text(one.mark or one.source.value, 40)}</span>'
        f"<span>{quiet(one.text, LONGEST_MOMENT)}</span></li>"
    )


def _alarms(report: Report) -> str:
    parts = []
    if report.tree:
        parts.append(f'<ul class="tree">{"".join(_branches(report.tree, 0))}</ul>')
    if report.alarms:
        parts.append(f"<h3>What each said</h3>{_items(report.alarms)}")
    if report.hit:
        hit = _within(SENTENCES, (f"<li>{code(one)}</li>" for one in report.hit))
        rest = _rest(len(report.hit) - len(hit))
        parts.append(f'<h3>What they are about</h3><ul class="plain">{"".join(hit)}</ul>{rest}')
    return section("alarms", "Alarms", *(parts or [paragraph("None is known.", "why")]))


def _branches(branches: Sequence[Any], depth: int) -> Iterator[str]:
    rows = [one for one in branches if isinstance(one, Mapping)]
    shown = _within(TREE // (depth + 1) ** 2, (_branch(one, depth) for one in rows))
    yield from shown
    if len(shown) < len(rows):
        yield f"<li>and {len(rows) - len(shown)} more</li>"


def _branch(branch: Mapping[str, Any], depth: int) -> str:
    by, what, count = str(branch.get("by", "")), str(branch.get("what", "")), branch.get("count", 1)
    number = count if isinstance(count, int) else 1
    words = {"composite": "composite", "resource": "about", "minute": "raised in the minute"}.get(
        by
    )
    kind = f'<span class="why">{words}</span> ' if words else ""
    many = f' <span class="why">{number:,} alarms</span>' if number > 1 else ""
    inner = branch.get("branches")
    below = ""
    if isinstance(inner, (list, tuple)) and inner and depth < DEEPEST:
        below = f"<ul>{''.join(_branches(inner, depth + 1))}</ul>"
    return f"<li>{kind}{quiet(what, 300)}{many}{below}</li>"


# ── What was not found, and what this is ──────────────────────────────────────────────────────────


def _unchecked(report: Report) -> str:
    gaps = (
        _sentences(report.unchecked, "gaps")
        if report.unchecked
        else paragraph("Everything that was to be looked at was looked at.", "calm")
    )
    parts = [gaps]
    if report.usual:
        parts.append(f"<h3>Nothing unusual</h3>{_sentences(report.usual)}")
    return section("unchecked", "Could not check", *parts)


def _sentences(sentences: Sequence[str], kind: str = "") -> str:
    shown = _within(SENTENCES, (f"<li>{quiet(one, LONGEST_CLAIM)}</li>" for one in sentences))
    listed = f'<ul class="plain {kind}">' if kind else '<ul class="plain">'
    return f"{listed}{''.join(shown)}</ul>{_rest(len(sentences) - len(shown))}"


def _about(report: Report) -> str:
    used = ", ".join(f"{text(name, 40)} {amount:,.0f}" for name, amount in report.used.items())
    audit = _at(report.audit_until) if report.audit_until else "it was not read"
    pairs = [
        ("Incident", code(report.incident)),
        ("Owner", quiet(report.owner, 120) if report.owner else "none is known"),
        ("Began, looked at", f"{_at(report.since)}, {_at(report.made_at)}"),
        ("Audit trail complete until", audit),
        ("Repeats", f"{report.recurrence} before it" if report.recurrence else "no earlier one"),
        *(
            [("Follows", ", ".join(code(one) for one in report.follows[:5]))]
            if report.follows
            else []
        ),
        ("Cost of looking", f"{report.cost_usd:.4f} USD at list prices"),
        ("Asked of AWS", used[:2_000] or "nothing"),
    ]
    rows = "".join(f"<dt>{term}</dt><dd>{meaning}</dd>" for term, meaning in pairs)
    told = paragraph(
        "Made by rules from the stored evidence alone, which makes the same page again: "
        "<code>python -m watchkeeper.triage.replay BUCKET INCIDENT</code>. Secrets and personal "
        "data were taken out before anything was stored. All times are in UTC.",
        "why",
    )
    return section("about", "About this report", f'<dl class="facts">{rows}</dl>', told)


def _within(budget: int, items: Iterable[str]) -> list[str]:
    """As many of the first as fit into so many bytes; the others are not even made."""
    shown: list[str] = []
    for item in items:
        budget -= len(item.encode())
        if budget < 0:
            break
        shown.append(item)
    return shown


def _rest(number: int) -> str:
    return paragraph(f"{number} more are in report.json.", "why") if number else ""


def _at(at: datetime, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    at = at.astimezone(UTC)
    return f'<time datetime="{at:%Y-%m-%dT%H:%M:%SZ}">{at:{form}}</time>'
