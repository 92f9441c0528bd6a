"""The page of an incident: it tells what the report says, and no text can make it do more."""

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from html.parser import HTMLParser
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.triage.reports import HOSTILE, NOW, SINCE, claim, full, report
from watchkeeper.triage.page import page
from watchkeeper.triage.page_charts import amount, chart
from watchkeeper.triage.page_style import STYLE
from watchkeeper.triage.report import Chart, Link, Moment, Report, Source, Verdict

VOID = {"meta", "br", "path", "circle"}


@dataclass
class Read(HTMLParser):
    """A page as a browser would take it apart."""

    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["title"], ["desc"]):
            self.data.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def attributes(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.tags if name in attributes]


def read(shown: str) -> Read:
    parser = Read()
    parser.feed(shown)
    parser.close()
    assert parser.open == []
    return parser


def words(one: Report) -> str:
    """What a person reads, on one line."""
    return " ".join(" ".join(read(page(one)).data).split())


KNOWN = Verdict(
    known=True, category="change", headline="the deployment broke it", claims=(claim(),),
    consequences=("orders wait",), ruled_out=("more load",),
)  # fmt: skip
TREE = (
    {"by": "composite", "what": "checkout", "count": 3, "branches": [{"by": "alarm", "what": "a"}]},
)


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        (report(), "high · since 2026-11-24 03:06:00 · first look at 2026-11-24 03:12:00 UTC"),
        (report(), "orders-errors, since 03:06 Cause unknown unknown Look at this first Alarm:"),
        (report(), "Everything was checked."),
        (report(), "The audit trail could not be read: this is not known."),
        (report(audit_until=NOW), "Nothing suspicious in the audit trail so far; it can be"),
        (report(look=1), "· look 2 at"),
        (report(owner="team-a"), "UTC · for team-a"),
        (report(recurrence=2, follows=("inc-0",)), "This has happened before: 2 times in a row."),
        (report(verdict=KNOWN), "Likely cause the deployment broke it Look at this first"),
        (report(verdict=KNOWN), "What follows from it orders wait Ruled out more load"),
        (report(changes=(claim(text="deployed"),)), "Look at this first Change: deployed"),
        (report(errors=(claim(lines=("ERROR no route",)),)), "1 raw line ERROR no route"),
        (
            report(suspicious=(claim(text="opened", severity="high"),)),
            "Look at this first Intruder? opened",
        ),
        (report(suspicious=(claim(text="opened", severity="high"),)), "high opened logs"),
        (report(silences=(claim(text="stopped"),)), "Gone silent stopped"),
        (report(unchecked=("Could not check A because B",)), "1 thing could not be checked ."),
        (report(unchecked=("Could not check A because B",)), "Could not check A because B"),
        (report(usual=("Nothing unusual in X",)), "Nothing unusual Nothing unusual in X"),
        (report(suspects=("orders-db",)), "best first orders-db"),
        (report(tree=TREE), "Alarms composite checkout 3 alarms a"),
        (report(timeline=(Moment(NOW, Source.TRAIL, "did", "change"),)), "03:12:00 change did"),
        (report(cost_usd=0.0123, used={"s3_puts": 3.0}), "0.0123 USD at list prices Asked of AWS"),
    ],
)
def test_it_tells_what_the_report_says(shown: Report, told: str) -> None:
    assert told in words(shown)


def test_links_lead_out_over_https_only() -> None:
    good, bad = "https://a.example/x?y=1&z=2", ["javascript:alert(1)", "http://a", "//a", "https:x"]
    links = tuple(Link("here", url) for url in (*bad, "https://[", good))

    found = read(page(report(errors=(claim(links=links),))))

    assert [one for one in found.attributes("href") if not one.startswith("#")] == [good]


def test_anchors_lead_somewhere() -> None:
    found = read(page(full()))
    ids = found.attributes("id")

    assert max(Counter(ids).values()) == 1
    assert {one[1:] for one in found.attributes("href") if one.startswith("#")} <= set(ids)
    assert set(" ".join(found.attributes("aria-labelledby")).split()) <= set(ids)


@pytest.mark.parametrize("many", [1, 400])
def test_no_page_is_too_large(many: int) -> None:
    size = len(page(full("<ü" * 2_000, many=many)).encode())

    assert size < 1_500_000


def test_what_is_left_out_is_counted() -> None:
    assert "more are in report.json." in words(report(usual=tuple("u" * 500 for _ in range(200))))


# ── Nothing but a page ────────────────────────────────────────────────────────────────────────────

PLAIN = read(page(full())).tags
SOME = {"path", "circle"}
"""Elements of pictures, of which there are as many as there are points."""


def bare(tags: list[tuple[str, dict[str, str]]]) -> list[tuple[str, dict[str, str]]]:
    return [one for one in tags if one[0] not in SOME]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
def test_no_text_becomes_an_element_or_an_attribute(text: str) -> None:
    shown = page(full(text, link=f"https://a.example/{text[:50]}"))
    found = read(shown)

    def named(tags: list[tuple[str, dict[str, str]]]) -> Counter[tuple[str, ...]]:
        return Counter((tag, *sorted(attributes)) for tag, attributes in bare(tags))

    # A link that is none is left out, and so is an owner or a cause of no words.
    strange = set(named(found.tags)) - set(named(PLAIN))
    assert not strange
    assert {value for _, kept in found.tags for value in kept.get("class", "").split()} <= set(
        re.findall(r"[a-z-]+", STYLE)
    ) | {"other", "error", "anomaly", "database", "medium"}
    raw = re.sub(r"[\n]", "", shown)
    assert all(one.isprintable() for one in raw)
    shown.encode()


@given(st.text(max_size=60))
def test_whatever_the_text(text: str) -> None:
    tags = read(page(full(text))).tags

    assert {tag for tag, _ in tags} <= {tag for tag, _ in PLAIN}


@pytest.mark.parametrize("shown", [page(report()), page(full()), page(full(HOSTILE[4]))])
def test_a_page_runs_nothing_and_fetches_nothing(shown: str) -> None:
    found = read(shown)

    assert not {tag for tag, _ in found.tags} & {"script", "link", "img", "iframe", "form", "use"}
    names = {name for _, attributes in found.tags for name in attributes}
    assert not [name for name in names if name in ("src", "style") or name.startswith("on")]
    assert "default-src 'none'" in found.attributes("content")[0]
    assert not re.search(r"@import|url\(|https?:", STYLE)


def test_the_same_report_makes_the_same_page() -> None:
    assert page(full()) == page(full())


# ── Pictures ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "values",
    [[], [nan], [inf, -inf], [1e300, 2], [0.0], [5.0, 5.0], [-1, 1], [*map(float, range(5000))]],
)  # fmt: skip
@pytest.mark.parametrize("limit", [None, 0.0, 3.0, -1e9, inf, nan])
def test_any_points_make_a_picture_or_none(values: list[float], limit: float | None) -> None:
    points = [(SINCE + timedelta(minutes=n), value) for n, value in enumerate(values)]
    one = Chart("t", "%", points, limit, tuple(at for at, _ in points))
    drawn = chart(0, one, SINCE)

    read(page(report(charts=(one,))))
    assert "nan" not in drawn
    assert "inf" not in drawn
    for y in re.findall(r'cy="(-?[\d.]+)"', drawn):
        assert 0 <= float(y) <= 128


def test_the_threshold_and_odd_points_are_drawn() -> None:
    one = full().charts[0]

    assert "threshold 5 x" in chart(0, one, SINCE)
    assert chart(0, one, SINCE).count('class="odd"') == 1
    assert "threshold" not in chart(0, replace(one, threshold=1e6), SINCE)


@pytest.mark.parametrize(
    ("value", "unit", "told"),
    [(0, "", "0"), (83.456, "%", "83.5 %"), (1234, "", "1.23 k"), (3.76e9, "bytes", "3.76 GB"),
     (0.004, "s", "0.004 s"), (-250, "ms", "-250 ms")],
)  # fmt: skip
def test_amounts(value: float, unit: str, told: str) -> None:
    assert amount(value, unit) == told


def luminance(colour: str) -> float:
    if len(colour) == 4:
        colour = "#" + "".join(digit * 2 for digit in colour[1:])
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1, 2], ids=["light", "dark", "paper"])
def test_colours_keep_their_contrast(scheme: int) -> None:
    """https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio"""
    colours = dict(re.findall(r"--(\w+):(#\w+)", re.findall(r":root\{(.*?)\}", STYLE)[scheme]))

    for ground in ("paper", "wash"):
        for word in ("ink", "soft", "good", "bad", "warn", "bar"):
            dark, light = sorted((luminance(colours[word]), luminance(colours[ground])))
            assert (light + 0.05) / (dark + 0.05) >= 4.5
