"""The pictures of an incident's page, as inline SVG: metrics, and all sources over time. Pure.

Colours come from the page's style by class. What a picture shows is also said in words, beside it
for people and in its description for those who hear it.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from math import isfinite

from watchkeeper.drills.markup import text
from watchkeeper.triage.report import Chart, Moment, Source

# In the units of the viewBox. A chart's are a telephone's pixels; the page scales it up.
WIDTH, HEIGHT = 320, 128
LEFT, RIGHT, TOP, BOTTOM = 4, 316, 14, 108
MOST_POINTS = 600
"""Of one chart: two per unit; more would not be seen."""
MOST_ODD = 60
FAR = 6.0
"""Ranges of the curve within which its threshold is drawn; further off it would flatten it."""
LANE, LANES_TOP, LANES_LEFT, LANES_RIGHT, LANES_WIDTH = 22, 10, 96, 690, 700
LEAD = timedelta(minutes=90)
"""Before the onset, as far as the lanes go back; the list goes further."""
MARKS = {
    "alarm": "alarm", "suspicious": "suspicious", "change": "change", "new error": "error",
    "anomaly": "anomaly", "silence": "silence", "database": "database",
}  # fmt: skip
"""Classes of the marks that there are: no text makes one up."""

SCALES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
LARGE = 100
"""From here on no decimals are shown."""


def amount(value: float, unit: str = "") -> str:
    """`1.2 M`, `83 %`, `0.004 s`, `3.8 GB`: three digits of it."""
    unit = unit.replace("bytes", "B")
    size = abs(value)
    if unit == "ms" and size >= 1e3:  # noqa: PLR2004 - milliseconds of a second
        return amount(value / 1e3, "s")
    for scale, letter in SCALES:
        if size >= scale:
            return f"{_digits(value / scale)} {letter}{text(unit, 20)}".rstrip()
    return f"{_digits(value)} {text(unit, 20)}".rstrip()


def _digits(value: float) -> str:
    if abs(value) >= LARGE:
        return f"{value:.0f}"
    return f"{value:.3g}".replace("e-0", "e-")


def chart(number: int, one: Chart, since: datetime) -> str:
    """`number` tells its ids from those of other charts. Empty if there is nothing to draw."""
    points = _finite(one.points)
    if not points:
        return ""
    low, high, limit = _range([value for _, value in points], one.threshold)
    begin, end = points[0][0], max(points[-1][0], points[0][0] + timedelta(minutes=1))

    def x(at: datetime) -> float:
        return LEFT + (RIGHT - LEFT) * ((at - begin) / (end - begin))

    def y(value: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * ((value - low) / (high - low))

    curve = "L".join(f"{x(at):.1f} {y(value):.1f}" for at, value in points)
    odd_at = set(one.odd_at)
    odd = "".join(
        f'<circle class="odd" cx="{x(at):.1f}" cy="{y(value):.1f}" r="3"/>'
        for at, value in [point for point in points if point[0] in odd_at][:MOST_ODD]
    )
    onset = (
        f'<path class="since" d="M{x(since):.1f} {TOP}V{BOTTOM}"/>' if begin < since < end else ""
    )
    return (
        f'<svg class="chart" role="img" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'aria-labelledby="c{number}-title c{number}-desc">'
        f'<title id="c{number}-title">{text(one.title, 200)}</title>'
        f'<desc id="c{number}-desc">{_told(one, points)}</desc>'
        f'<path class="axis" d="M{LEFT} {BOTTOM}H{RIGHT}"/>{onset}'
        f"{_limit(y(limit), limit, one.unit) if limit is not None else ''}"
        f'<path class="curve" d="M{curve}{"h1" if len(points) == 1 else ""}"/>{odd}'
        f'<text x="{LEFT}" y="10">{amount(high, one.unit)}</text>'
        f'<text x="{LEFT}" y="{HEIGHT - 6}">{begin:%H:%M}</text>'
        f'<text class="middle" x="{WIDTH // 2}" y="{HEIGHT - 6}">'
        f"from {amount(low, one.unit)}</text>"
        f'<text class="end" x="{RIGHT}" y="{HEIGHT - 6}">{end:%H:%M}</text></svg>'
    )


def latest(one: Chart) -> str:
    """What it is now, and what it must not be: for the line above it."""
    points = _finite(one.points)
    if not points:
        return "no data"
    limit = one.threshold
    against = "" if limit is None or not isfinite(limit) else f" / {amount(limit, one.unit)}"
    return f"{amount(points[-1][1], one.unit)}{against}"


def _finite(points: Sequence[tuple[datetime, float]]) -> list[tuple[datetime, float]]:
    return [one for one in points if isfinite(one[1]) and abs(one[1]) < 1e15][-MOST_POINTS:]  # noqa: PLR2004 (larger ones are no measurements)


def _range(values: Sequence[float], limit: float | None) -> tuple[float, float, float | None]:
    """Lowest and highest, from 0 on where that is not far, and the threshold where it is near."""
    low, high = min(values), max(values)
    if 0 < low < (high or 1) * 0.7:
        low = 0.0
    spread = (high - low) or abs(high) or 1.0
    if limit is None or not isfinite(limit):
        limit = None
    elif low - FAR * spread <= limit <= high + FAR * spread:
        low, high = min(low, limit), max(high, limit)
    else:
        limit = None
    return low, high if high > low else low + spread, limit


def _limit(y: float, limit: float, unit: str) -> str:
    under = y + 11 if y < TOP + 12 else y - 4
    return (
        f'<path class="limit" d="M{LEFT} {y:.1f}H{RIGHT}"/><text class="end limit-word" '
        f'x="{RIGHT}" y="{under:.1f}">threshold {amount(limit, unit)}</text>'
    )


def _told(one: Chart, points: Sequence[tuple[datetime, float]]) -> str:
    values = [value for _, value in points]
    low, high = amount(min(values), one.unit), amount(max(values), one.unit)
    odd = f" {len(one.odd_at)} points are unusual." if one.odd_at else ""
    now = amount(values[-1], one.unit)
    return f"Between {low} and {high}; at the end {now}.{odd}"


# ── All sources over time ─────────────────────────────────────────────────────────────────────────


def lanes(moments: Sequence[Moment], since: datetime, until: datetime) -> str:
    """A line per source with its marks, around the onset. Empty if there is nothing to draw."""
    begin = max(min((one.at for one in moments), default=since), since - LEAD)
    end = max(until, since, begin + timedelta(minutes=1))
    shown = [one for one in moments if begin <= one.at <= end]
    sources = [one for one in Source if any(moment.source is one for moment in shown)]
    if not sources:
        return ""

    def x(at: datetime) -> float:
        return LANES_LEFT + (LANES_RIGHT - LANES_LEFT) * ((at - begin) / (end - begin))

    rows = "".join(_lane(row, one, shown, x) for row, one in enumerate(sources))
    foot = LANES_TOP + LANE * len(sources)
    onset = f'<path class="since" d="M{x(since):.1f} {LANES_TOP}V{foot}"/>' if since > begin else ""
    where = min(max(x(since), LANES_LEFT + 70), LANES_RIGHT - 70)
    return (
        f'<svg class="lanes" role="img" viewBox="0 0 {LANES_WIDTH} {foot + 20}" '
        'aria-labelledby="lanes-title lanes-desc">'
        '<title id="lanes-title">All sources over time</title>'
        f'<desc id="lanes-desc">{len(shown)} moments of {len(sources)} sources; '
        "the list below names them.</desc>"
        f"{rows}{onset}"
        f'<text x="{LANES_LEFT}" y="{foot + 14}">{begin:%H:%M}</text>'
        f'<text class="middle" x="{where:.1f}" y="{foot + 14}">it began {since:%H:%M}</text>'
        f'<text class="end" x="{LANES_RIGHT}" y="{foot + 14}">{end:%H:%M}</text></svg>'
    )


def _lane(
    row: int, source: Source, moments: Sequence[Moment], x: Callable[[datetime], float]
) -> str:
    y = LANES_TOP + LANE * row + LANE / 2
    dots = "".join(
        f'<circle class="dot {mark_class(one.mark)}" cx="{x(one.at):.1f}" cy="{y:.0f}" r="5"/>'
        for one in moments
        if one.source is source
    )
    return (
        f'<text x="0" y="{y + 4:.0f}">{source.value}</text>'
        f'<path class="axis" d="M{LANES_LEFT} {y:.0f}H{LANES_RIGHT}"/>{dots}'
    )


def mark_class(mark: str) -> str:
    return MARKS.get(mark, "other")
