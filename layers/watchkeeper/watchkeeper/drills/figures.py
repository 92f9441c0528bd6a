"""The figures of a drill's page, as inline SVG: how long its phases took, and what was measured
against its objective. Pure.

Colours come from the page's style by class, so that a figure follows it into the dark and onto
paper; what they say is also said in words.
"""

from datetime import datetime, timedelta

from watchkeeper.drills.markup import lasted
from watchkeeper.drills.model import Phases, Verdict

BARS = {
    "available": "restore",
    "initialised": "initialise",
    "verified": "verify",
    "torn_down": "tear down",
}
"""What was being done until a phase was reached, in the order in which that usually happens."""

# In the units of the viewBox; the page scales the figure to its width.
LEFT, RIGHT, WIDTH = 100, 590, 700
ROW, TOP, BAR = 26, 28, 14
THINNEST = 1.5
"""A bar of a second in an hour is still seen."""
GAUGE, THICK = 320, 10

SHAPES = (
    '<svg class="shapes" aria-hidden="true">'
    '<symbol id="passed" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7.5"/>'
    '<path class="mark" d="M4.5 8.3 7 10.8 11.6 5.4"/></symbol>'
    '<symbol id="failed" viewBox="0 0 16 16"><path d="M5 .5h6L15.5 5v6L11 15.5H5L.5 11V5z"/>'
    '<path class="mark" d="m5.3 5.3 5.4 5.4m0-5.4-5.4 5.4"/></symbol></svg>'
)
"""A disc with a tick and an octagon with a cross: told apart without their colours."""


def shape(verdict: Verdict) -> str:
    """Beside the word, which a screen reader reads instead."""
    return (
        f'<svg class="shape {verdict.value}" aria-hidden="true" focusable="false">'
        f'<use href="#{verdict.value}"/></svg>'
    )


def spans(phases: Phases) -> list[tuple[str, datetime, datetime]]:
    """Per phase that was reached, from which moment to which it was worked on, in the order of
    time: data can still arrive while checks are already asking.
    """
    if phases.asked is None:
        return []
    reached = [(at, name) for name in BARS if (at := getattr(phases, name)) is not None]
    reached.sort(key=lambda one: one[0])
    begins = [phases.asked, *(at for at, _ in reached)]
    return [(name, begin, at) for begin, (at, name) in zip(begins, reached, strict=False)]


def timeline(phases: Phases, objective: timedelta | None) -> str:
    """Empty if nothing was asked for, or nothing came of it."""
    worked = spans(phases)
    if phases.asked is None or not worked:
        return ""
    asked, ended = phases.asked, worked[-1][2]
    whole = max(ended - asked, objective or timedelta(0), timedelta(seconds=1))
    words = "; ".join(f"{BARS[name]} {lasted(end - begin)}" for name, begin, end in worked)
    bars = "".join(
        _bar(number, name, (begin - asked) / whole, (end - begin) / whole, lasted(end - begin))
        for number, (name, begin, end) in enumerate(worked)
    )
    height = TOP + ROW * len(worked) + 6
    limit = "" if objective is None else _limit(objective, objective / whole, height)
    against = "" if objective is None else f" The objective is {lasted(objective)}."
    return (
        f'<svg class="timeline" role="img" viewBox="0 0 {WIDTH} {height}" '
        'aria-labelledby="timeline-title timeline-desc">'
        '<title id="timeline-title">How long each phase took</title>'
        f'<desc id="timeline-desc">In order: {words}.{against}</desc>'
        f'<path class="axis" d="M{LEFT} {TOP - 8}V{height}"/>{bars}{limit}</svg>'
    )


def gauge(name: str, reached: timedelta, objective: timedelta) -> str:
    """What was reached as a bar, its objective as a line across it; `name` is `RPO` or `RTO`."""
    reached = max(reached, timedelta(0))
    # A fifth more than the larger, so that neither stands at the very edge.
    whole = max(reached, objective, timedelta(seconds=1)) * 1.2
    filled, limit = GAUGE * (reached / whole), GAUGE * (objective / whole)
    ids = name.lower()
    kind = "bar" if reached <= objective else "bar over"
    return (
        f'<svg class="gauge" role="img" viewBox="0 0 {GAUGE} {THICK + 8}" '
        f'aria-labelledby="{ids}-title {ids}-desc">'
        f'<title id="{ids}-title">{name} against its objective</title>'
        f'<desc id="{ids}-desc">{lasted(reached)} of {lasted(objective)}.</desc>'
        f'<rect class="track" y="4" width="{GAUGE}" height="{THICK}"/>'
        f'<rect class="{kind}" y="4" width="{max(filled, THINNEST):.1f}" height="{THICK}"/>'
        f'<path class="limit" d="M{limit:.1f} 0v{THICK + 8}"/></svg>'
    )


def _bar(number: int, name: str, begin: float, share: float, took: str) -> str:
    wide = RIGHT - LEFT
    y = TOP + ROW * number
    x, width = LEFT + wide * begin, max(wide * share, THINNEST)
    middle = y + BAR - 2
    return (
        f'<text x="0" y="{middle}">{BARS[name]}</text>'
        f'<rect class="bar {name}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR}"/>'
        f'<text class="end" x="{WIDTH}" y="{middle}">{took}</text>'
    )


def _limit(objective: timedelta, share: float, height: int) -> str:
    x = LEFT + (RIGHT - LEFT) * share
    # Its words stand on the side that has room for them.
    side = "end" if x > (LEFT + RIGHT) / 2 else "start"
    away = -6 if side == "end" else 6
    return (
        f'<path class="limit" d="M{x:.1f} 4V{height}"/>'
        f'<text class="{side}" x="{x + away:.1f}" y="14">RTO objective {lasted(objective)}</text>'
    )
