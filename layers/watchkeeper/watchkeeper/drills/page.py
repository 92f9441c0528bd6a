"""The page of a drill, for people: whole in itself, on a screen, on paper and without AWS. Pure.

A bucket's pages are opened by operators and auditors with their own rights. So it runs no script,
fetches nothing and links nowhere, and says so to the browser as well.
"""

import base64
import hashlib
import shlex
from collections.abc import Iterator, Sequence
from datetime import timedelta

from watchkeeper.backups.model import Kind
from watchkeeper.drills import figures, markup
from watchkeeper.drills.evidence import Evidence, Point, audited
from watchkeeper.drills.markup import code, lasted, moment, paragraph, quiet, row, section, text
from watchkeeper.drills.model import Check, Level, Proof, Verdict
from watchkeeper.drills.style import STYLE

# Of the 60 KB of a page: it is mailed, and printed. With these and the longest texts everywhere it
# stays below; what does not fit is counted, and is in the document.
CHECKS, CONTROLS, THINGS, EARLIER = 24_000, 4_000, 2_500, 4_000

KINDS = {
    Kind.INSTANCE: "EC2 instance",
    Kind.VOLUME: "EBS volume",
    Kind.DATABASE: "RDS instance",
    Kind.CLUSTER: "RDS cluster",
    Kind.TABLE: "DynamoDB table",
}
LEVELS = {
    Level.METADATA: "the recovery point’s metadata is examined",
    Level.BLOCKS: "the recovery point’s blocks are read where they lie",
    Level.RESTORE: "the recovery point is restored and becomes available",
    Level.CHECK: "the recovery point is restored and compared with what it should hold",
    Level.EXERCISE: "a person restores it by following the printed page",
}
REACHED = {
    "asked": "Restore asked for",
    "available": "Available",
    "initialised": "All data arrived",
    "verified": "Last check answered",
    "torn_down": "Nothing left of it",
}


def page(evidence: Evidence, digest: str, previous: Sequence[Proof] = ()) -> str:
    """`digest` is that of the stored document; `previous` are earlier proofs of the resource, the
    newest first.
    """
    name = text(evidence.name or evidence.resource, 120)
    title = f"{evidence.verdict.value.title()}: restore drill of {name}"
    return document(title, "".join(_content(evidence, digest, previous)))


def document(title: str, content: str) -> str:
    """A page whose title and content are markup already."""
    locked = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        f"style-src 'sha256-{locked}'; base-uri 'none'; form-action 'none'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{title}</title>\n"
        f"<style>{STYLE}</style>\n</head>\n<body>\n{figures.SHAPES}\n<main>\n{content}</main>\n"
        "</body>\n</html>\n"
    )


def _content(evidence: Evidence, digest: str, previous: Sequence[Proof]) -> Iterator[str]:
    yield _headline(evidence)
    yield _objectives(evidence)
    yield _phases(evidence)
    yield _checks(evidence)
    yield _drilled(evidence)
    yield _leftovers(evidence)
    if evidence.level is Level.EXERCISE:
        yield SIGNATURES
    if previous:
        yield _earlier(previous)
    yield _audited(evidence)
    yield _integrity(evidence, digest)


def _headline(evidence: Evidence) -> str:
    number = evidence.level.number
    what = f"{KINDS[evidence.kind]} <strong>{quiet(evidence.name or evidence.resource)}</strong>"
    taken = f", from its recovery point of {_when(evidence.point)}" if evidence.point else ""
    failure = paragraph(quiet(evidence.failure), "failure") if evidence.failure else ""
    return (
        f'<header class="{evidence.verdict.value}">'
        f'<p class="kicker">Restore drill · {moment(evidence.ended_at)} · all times in UTC</p>'
        f"<h1>{figures.shape(evidence.verdict)} {evidence.verdict.value.title()}</h1>{failure}"
        f'<p class="lead">{what}{taken}.</p>'
        f"<p>Level L{number}: {LEVELS[evidence.level]}.</p></header>"
    )


def _when(point: Point) -> str:
    """A moment, or a span of them where there is point-in-time recovery."""
    until = "" if point.until is None else f" to {moment(point.until)}"
    return f"{moment(point.created_at)}{until}"


# ── What was measured ─────────────────────────────────────────────────────────────────────────────


def _objectives(evidence: Evidence) -> str:
    verdict = evidence.verdict
    point = _measured("RPO", evidence.rpo_reached, evidence.rpo_objective, verdict)
    time = _measured("RTO", evidence.rto_reached, evidence.rto_objective, verdict)
    newest = "Age of the newest data in what was restored"
    if evidence.newest_data is not None:
        at = moment(evidence.newest_data)
        newest += f": {at}"
        if evidence.rpo_reached is None:
            newest = f"An older recovery point, on purpose: its newest data is of {at}"
    elif evidence.rpo_reached is not None:
        newest = "By the recovery point’s own time: no data was looked at"
    until = "From asking for the restore to the last check’s answer"
    return section(
        "objectives",
        "Objectives",
        '<div class="pair">',
        f"<div><h3>Recovery point (RPO)</h3>{point}{paragraph(newest, 'why')}</div>",
        f"<div><h3>Recovery time (RTO)</h3>{time}{paragraph(until, 'why')}</div></div>",
    )


def _measured(
    name: str, reached: timedelta | None, objective: timedelta | None, verdict: Verdict
) -> str:
    """In words, then as a figure. What a failed drill measured proves nothing."""
    asked = "no objective" if objective is None else f"objective {lasted(objective)}"
    if reached is None:
        return f'<p class="big">not measured</p><p>{asked}</p>'
    if objective is None:
        return f'<p class="big">{lasted(reached)}</p><p>{asked}</p>'
    if reached > objective:
        word = f'<strong class="bad">missed by {lasted(reached - objective)}</strong>'
    elif verdict is Verdict.PASSED:
        word = '<strong class="good">met</strong>'
    else:
        word = "not proved: the drill failed"
    gauge = figures.gauge(name, reached, objective)
    return f'<p class="big">{lasted(reached)}</p><p>{asked}: {word}</p>{gauge}'


def _phases(evidence: Evidence) -> str:
    phases = evidence.phases
    figure = figures.timeline(phases, evidence.rto_objective)
    if phases.asked is None:
        why = (
            "Nothing is restored at this level, so there is no recovery time to measure."
            if evidence.level.number < Level.RESTORE.number
            else "No restore was asked for."
        )
        return section("phases", "Phases", paragraph(why))
    took = {name: end - begin for name, begin, end in figures.spans(phases)}
    rows = [
        row(
            words,
            moment(at),
            lasted(took[name]) if name in took else "–",
            "–" if at is None else lasted(at - phases.asked),
        )
        for name, words in REACHED.items()
        for at in (getattr(phases, name),)
    ]
    columns = ("Phase", "Reached at", "Took", "Since asked")
    scrolled = '<div class="frame" role="region" aria-label="Timeline" tabindex="0">'
    shown = f"{scrolled}{figure}</div>" if figure else ""
    return section("phases", "Phases", shown, markup.table("Times of the phases", columns, rows))


# ── What was checked ──────────────────────────────────────────────────────────────────────────────


def _checks(evidence: Evidence) -> str:
    if not evidence.checks:
        return section("checks", "Checks", paragraph("Nothing was checked.", "failure"))
    ordered = sorted(evidence.checks, key=lambda check: check.passed)  # what failed comes first
    rows = [_check(check) for check in ordered]
    shown = markup.within(CHECKS, rows)
    bad = sum(not check.passed for check in ordered)
    told = f"{len(ordered)} asked, {bad} failed."
    if len(shown) < len(rows):
        hidden = sum(not check.passed for check in ordered[len(shown) :])
        told += (
            f" The {len(rows) - len(shown)} for which there is no room here, {hidden} of them "
            "failed, are in the document."
        )
    columns = ("Check", "Expected", "Found", "Verdict")
    checks = markup.table("What was asked, and what was answered", columns, shown)
    return section("checks", "Checks", paragraph(told), checks, _controls(evidence))


def _check(check: Check) -> str:
    why = f'<p class="why">{text(check.why)}</p>' if check.why else ""
    return row(
        f'{text(check.name)} <span class="why">L{check.level.number}, v{check.version}</span>{why}',
        text(check.expected),
        text(check.found),
        _verdict(Verdict.PASSED if check.passed else Verdict.FAILED),
    )


def _verdict(verdict: Verdict) -> str:
    return f'<span class="verdict">{figures.shape(verdict)} {verdict.value}</span>'


def _controls(evidence: Evidence) -> str:
    if not evidence.controls:
        told = "No negative control is on record: that these checks can fail was not shown."
        return paragraph(told, "failure")
    rows = [
        row(text(one.check), f"v{one.version}", moment(one.proven_at)) for one in evidence.controls
    ]
    shown = markup.within(CONTROLS, rows)
    told = "These were run on a tampered and on an empty stand-in, and failed there."
    if len(shown) < len(rows):
        told += f" The first {len(shown)} of {len(rows)}:"
    columns = ("Check", "Version", "Failed as it should, at")
    return paragraph(told) + markup.table("Negative controls", columns, shown)


# ── What was drilled, and what is left of it ──────────────────────────────────────────────────────


def _drilled(evidence: Evidence) -> str:
    known = "what it was is not known yet"
    if evidence.cost_known is not None:
        known = f"{evidence.cost_known:f} USD in fact"
    versions = ", ".join(f"{name} {version}" for name, version in evidence.versions.items())
    return section(
        "drilled",
        "What was drilled, and why",
        markup.facts(
            [
                ("Resource", code(evidence.resource)),
                ("Plan", text(evidence.plan) or "–"),
                ("Why this one", text(evidence.why)),
                *(_point(evidence.point) if evidence.point else [("Recovery point", "none")]),
                ("Run", code(evidence.run)),
                ("Began, ended", f"{moment(evidence.began_at)}, {moment(evidence.ended_at)}"),
                ("Cost", f"{evidence.cost_estimated:f} USD estimated, {known}"),
                ("Done by", text(versions) or "–"),
            ]
        ),
    )


def _point(point: Point) -> list[tuple[str, str]]:
    place = point.place
    shown = markup.within(THINGS, [code(snapshot) for snapshot in point.snapshots])
    more = len(point.snapshots) - len(shown)
    return [
        ("Recovery point", f"{code(point.id)} of {_when(point)}"),
        ("Kept in", text(f"account {place.account}, {place.region}, tier {place.tier}")),
        ("Made by", text(point.keeper) or "Watchkeeper"),
        ("Snapshots", ("<br>".join(shown) or "–") + (f"<br>and {more} more" if more else "")),
        ("Manifest", code(point.manifest) if point.manifest else "none was kept beside it"),
    ]


def _leftovers(evidence: Evidence) -> str:
    if evidence.left:
        swept = _things("The sweep still found:", evidence.left)
    elif evidence.phases.torn_down is not None:
        swept = paragraph("The sweep found nothing left of the drill.")
    elif evidence.level.number < Level.RESTORE.number:
        swept = paragraph("Nothing is made at this level.")
    else:
        swept = paragraph("Whether anything is left of the drill is not known.", "failure")
    if evidence.removed:
        swept += _things("Made for the drill, removed, and read back as gone:", evidence.removed)
    return section("leftovers", "Leftovers", swept)


def _things(told: str, things: Sequence[str]) -> str:
    shown = markup.within(THINGS, [f"<li>{text(thing)}</li>" for thing in things])
    more = len(things) - len(shown)
    rest = f"<li>and {more} more</li>" if more else ""
    return f"{paragraph(told)}<ul>{''.join(shown)}{rest}</ul>"


# ── For people who sign, and people who audit ─────────────────────────────────────────────────────

SIGNATURES = section(
    "sign-off",
    "Sign-off",
    paragraph(
        "Signed by whoever restored it by following the printed page, and by whoever answers for "
        "the resource. They are two people."
    ),
    '<div class="lines">',
    markup.table(
        "To be filled in by hand",
        ("Signed as", "Name", "Role", "Date and time, UTC", "Signature"),
        [row("Restored by", "", "", "", ""), row("Accepted by", "", "", "", "")],
    ),
    "<p>Where the page was wrong or missing a step:</p><hr><hr><hr></div>",
)


def _earlier(previous: Sequence[Proof]) -> str:
    rows = markup.within(EARLIER, [_proof(proof) for proof in previous])
    columns = ("Drilled at", "Verdict", "Level", "Recovery point of", "Recovery time")
    return section("earlier", "Earlier drills", markup.table("Newest first", columns, rows))


def _proof(proof: Proof) -> str:
    asked, verified = proof.phases.asked, proof.phases.verified
    why = f'<p class="why">{text(proof.why, 200)}</p>' if proof.why else ""
    return row(
        moment(proof.drilled_at),
        f"{_verdict(proof.verdict)}{why}",
        f"L{proof.level.number}",
        moment(proof.point_created_at),
        "–" if asked is None or verified is None else lasted(verified - asked),
    )


def _audited(evidence: Evidence) -> str:
    rows = [row(one.control, one.asks) for one in audited(evidence.level)]
    asks = markup.table("Controls that this level speaks to", ("Control", "Asks to"), rows)
    return section("audit", "For auditors", asks)


def _integrity(evidence: Evidence, digest: str) -> str:
    anchor = f"{evidence.sequence}:{digest}"
    command = (
        "python -m watchkeeper.drills.verify BUCKET "
        f"--resource {shlex.quote(evidence.resource)} --anchor {anchor}"
    )
    return section(
        "integrity",
        "Is this genuine?",
        paragraph(
            "This page shows a document that is kept under Object Lock. Each document names the "
            "digest of the one before it, so this digest vouches for all earlier ones. To check "
            "that, with read access to the evidence bucket:"
        ),
        f"<pre><code>{text(command, 1_000)}</code></pre>",
        markup.facts(
            [
                ("Document", f"{evidence.sequence} of this resource"),
                ("SHA-256", code(digest)),
                ("Before it", code(evidence.previous) if evidence.previous else "none: the first"),
            ]
        ),
    )
