"""The page of a drill: it tells what the evidence says, and nobody's text can make it do more."""

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.drills.evidence import Control, Evidence, digest
from watchkeeper.drills.markup import lasted, text
from watchkeeper.drills.model import Level, Phases, Proof, Verdict
from watchkeeper.drills.page import page
from watchkeeper.drills.style import STYLE

FIRST = (Path(__file__).parents[2] / "golden" / "evidence-v1.json").read_bytes()
PASSED = Evidence.of(FIRST)
DIGEST = digest(FIRST)
COUNT = PASSED.checks[0]
FAILED = replace(
    PASSED,
    verdict=Verdict.FAILED,
    failure="row count of rates: expected 12048, found 0",
    checks=(COUNT, replace(COUNT, name="newest row", found="none", passed=False)),
)
NOTHING = replace(
    FAILED, point=None, phases=Phases(), checks=(), controls=(), newest_data=None,
    rpo_reached=None, cost_known=None, removed=(), versions={},
)  # fmt: skip
PROOF = Proof(
    resource=PASSED.resource, level=Level.RESTORE, drilled_at=datetime(2026, 10, 24, tzinfo=UTC),
    verdict=Verdict.FAILED, point="ab", point_created_at=datetime(2026, 10, 23, tzinfo=UTC),
    run="drill#1", why="it never became available",
)  # fmt: skip
WORST = (
    "<script>alert(1)</script>\"'&--><!--]]>\u202e\u2066\x00\x1b[31m\r\n\ud800</style>"
    + "<" * 10**6
)
VOID = {"meta", "hr", "br", "use", "path", "rect", "circle"}


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


def words(evidence: Evidence, previous: tuple[Proof, ...] = ()) -> str:
    """What a person reads, on one line."""
    return " ".join(" ".join(read(page(evidence, DIGEST, previous)).data).split())


# ── What it says ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("evidence", "told"),
    [
        (PASSED, "Passed DynamoDB table rates , from its recovery point of 2026-11-23 02:00:04 ."),
        (PASSED, "Level L3: the recovery point is restored and compared with what it should hold."),
        (PASSED, "Recovery point (RPO) 24 h 12 min objective 26 h: met"),
        (PASSED, "in what was restored: 2026-11-23 01:58:00"),
        (PASSED, "Recovery time (RTO) 24 min 57 s objective 4 h: met"),
        (PASSED, "All data arrived 2026-11-24 02:32:00 0 s 21 min 56 s"),
        (PASSED, "1 asked, 0 failed."),
        (PASSED, "a table's ItemCount is up to six hours old 12048, by the manifest; within 1 %"),
        (PASSED, "Negative controls Check Version Failed as it should, at row count v2 2026-11-01"),
        (PASSED, "Why this one most overdue: last proved 31 days ago"),
        (PASSED, "Kept in account 111122223333, eu-central-1, tier standard Made by Watchkeeper"),
        (PASSED, "Cost 0.42 USD estimated, 0.39 USD in fact"),
        (PASSED, "The sweep found nothing left of the drill. Made for the drill, removed, and"),
        (PASSED, f"--resource {PASSED.resource} --anchor 12:{DIGEST}"),
        (PASSED, f"Document 12 of this resource SHA-256 {DIGEST} Before it {PASSED.previous}"),
        (FAILED, "Failed row count of rates: expected 12048, found 0 DynamoDB table"),
        (FAILED, "objective 4 h: not proved: the drill failed"),
        (FAILED, "2 asked, 1 failed. What was asked, and what was answered"),
        (FAILED, "Verdict newest row L3, v2"),  # what failed comes first
        (replace(PASSED, rto_objective=timedelta(minutes=15)), "missed by 9 min 57 s"),
        (replace(PASSED, rto_objective=None), "24 min 57 s no objective"),
        (replace(PASSED, newest_data=None), "By the recovery point’s own time: no data was looked"),
        (
            replace(PASSED, rpo_reached=None, rpo_objective=None),
            "not measured no objective An older recovery point, on purpose: its newest data is of",
        ),
        (replace(PASSED, controls=()), "that these checks can fail was not shown"),
        (NOTHING, "(RPO) not measured objective 26 h"),
        (NOTHING, "No restore was asked for. Checks Nothing was checked."),
        (NOTHING, "0.42 USD estimated, what it was is not known yet"),
        (NOTHING, "Whether anything is left of the drill is not known."),
        (replace(FAILED, left=("table x",)), "The sweep still found: table x"),
        (replace(PASSED, level=Level.METADATA, phases=Phases()), "Nothing is restored at this"),
        (replace(FAILED, level=Level.BLOCKS, phases=Phases()), "Nothing is made at this level."),
        (
            replace(PASSED, point=replace(PASSED.point, until=PASSED.began_at)),  # type: ignore[type-var]
            "recovery point of 2026-11-23 02:00:04 to 2026-11-24 02:10:00 .",
        ),
        (replace(PASSED, previous="", sequence=1), "Before it none: the first"),
        (replace(PASSED, resource="arn:x;rm -rf ~"), "--resource 'arn:x;rm -rf ~' --anchor"),
    ],
)
def test_it_tells_what_the_evidence_says(evidence: Evidence, told: str) -> None:
    assert told in words(evidence)


def test_earlier_drills_are_listed() -> None:
    assert "2026-10-24 00:00:00 failed it never became available L2 2026-10-23 00:00:00 –" in words(
        PASSED, (PROOF,)
    )
    assert "Earlier drills" not in words(PASSED)


@pytest.mark.parametrize("level", Level)
def test_only_an_exercise_is_signed(level: Level) -> None:
    assert ("Restored by" in words(replace(PASSED, level=level))) is (level is Level.EXERCISE)


def test_a_level_claims_no_controls_of_a_higher_one() -> None:
    assert "SOC 2" in words(PASSED)
    assert "DORA" not in words(replace(PASSED, level=Level.METADATA))


# ── For everybody ─────────────────────────────────────────────────────────────────────────────────

PAGES = [
    page(PASSED, DIGEST, (PROOF,)),
    page(FAILED, DIGEST),
    page(NOTHING, DIGEST),
    page(replace(PASSED, level=Level.EXERCISE), DIGEST),
]


@pytest.mark.parametrize("shown", PAGES)
def test_a_page_can_be_read_without_eyes_or_colours(shown: str) -> None:
    found = read(shown)
    ids = found.attributes("id")

    assert ("html", {"lang": "en"}) in found.tags
    assert max(Counter(ids).values()) == 1
    assert set(" ".join(found.attributes("aria-labelledby")).split()) <= set(ids)
    assert all(attributes.get("scope") for tag, attributes in found.tags if tag == "th")
    for tag, attributes in found.tags:
        if tag == "svg":  # either it is told in words, or words stand beside it
            assert attributes.get("aria-hidden") == "true" or (
                attributes["role"] == "img" and len(attributes["aria-labelledby"].split()) == 2
            )
    # Each verdict has a shape of its own, and its word.
    verdicts = re.findall(r'<use href="#(\w+)"/></svg> (\w+)', shown)
    assert verdicts
    assert all(drawn == word.lower() for drawn, word in verdicts)


def luminance(colour: str) -> float:
    if len(colour) == 4:
        colour = "#" + "".join(digit * 2 for digit in colour[1:])
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio"""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1, 2], ids=["light", "dark", "paper"])
def test_colours_keep_their_contrast(scheme: int) -> None:
    colours = dict(re.findall(r"--(\w+):(#\w+)", re.findall(r":root\{(.*?)\}", STYLE)[scheme]))

    for ground in ("paper", "wash"):
        for words_in in ("ink", "soft", "good", "bad"):
            assert contrast(colours[words_in], colours[ground]) >= 4.5
        for figure in ("bar", "calm", "bad"):
            assert contrast(colours[figure], colours[ground]) >= 3


# ── Nothing but a page ────────────────────────────────────────────────────────────────────────────


def hostile(value: str) -> tuple[Evidence, tuple[Proof, ...]]:
    """`value` wherever somebody else's text can stand."""
    check = replace(COUNT, name=value, expected=value, found=value, why=value)
    point = replace(PASSED.point, id=value, snapshots=(value,) * 2, keeper=value, manifest=value)  # type: ignore[type-var]
    evidence = replace(
        FAILED, resource=value, name=value, plan=value, run=value, why=value, failure=value,
        point=point, checks=(check, replace(check, passed=False)), previous=value,
        controls=(Control(value, 1, PASSED.began_at),), versions={value: value},
        removed=(value,), left=(value,),
    )  # fmt: skip
    return evidence, (replace(PROOF, why=value),)


def shape_of(value: str) -> list[tuple[str, dict[str, str]]]:
    evidence, previous = hostile(value)
    return read(page(evidence, DIGEST, previous)).tags


PLAIN = shape_of("x")


@pytest.mark.parametrize("shown", [*PAGES, page(hostile(WORST)[0], DIGEST)])
def test_a_page_runs_nothing_fetches_nothing_and_links_nowhere(shown: str) -> None:
    found = read(shown)

    assert not {tag for tag, _ in found.tags} & {"script", "link", "img", "a", "iframe", "form"}
    names = {name for _, attributes in found.tags for name in attributes}
    assert not [name for name in names if name in ("src", "style") or name.startswith("on")]
    assert all(href.startswith("#") for href in found.attributes("href"))
    assert not re.search(r"@import|url\(|https?:|//", re.sub(r"</?[a-z]+[^>]*>", "", STYLE))
    assert not [one for _, kept in found.tags for one in kept.values() if "//" in one]


@pytest.mark.parametrize("shown", PAGES)
def test_the_browser_is_told_so_and_knows_the_one_style(shown: str) -> None:
    [policy] = [one["content"] for _, one in read(shown).tags if "http-equiv" in one]
    style = shown[shown.index("<style>") + len("<style>") : shown.index("</style>")]
    locked = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    assert policy == (
        f"default-src 'none'; style-src 'sha256-{locked}'; base-uri 'none'; form-action 'none'"
    )


@pytest.mark.parametrize(
    "value",
    [
        WORST,
        '"><img src=x onerror=alert(1)>',
        "' onmouseover='alert(1)",
        "</title></style></svg><svg onload=alert(1)>",
        "javascript:alert(1)",
        "&lt;script&gt;",
        "{{7*7}}${7*7}%(x)s{x}",
    ],
)
def test_nobodys_text_becomes_part_of_the_page(value: str) -> None:
    assert shape_of(value) == PLAIN


@given(st.text(alphabet=st.characters(codec=None), min_size=1, max_size=60))
def test_whatever_the_text_the_page_stays_the_same(value: str) -> None:
    evidence, previous = hostile(value)
    shown = page(evidence, DIGEST, previous)

    assert read(shown).tags == PLAIN
    assert shown.replace("\n", "").isprintable()
    shown.encode()


def test_what_has_no_shape_is_spelt_out() -> None:
    assert text("a\u202eb\x1b[0m\n\ud800\U000e0001") == ("a\\u202eb\\x1b[0m\\n\\ud800\\U000e0001")
    assert text('<b a="1">&\'') == "&lt;b a=&quot;1&quot;&gt;&amp;&#x27;"


@given(st.text(), st.integers(1, 30))
def test_a_cut_text_is_never_longer_than_it_may_be_nor_cut_within_a_letter(
    value: str, limit: int
) -> None:
    shown = text(value, limit)

    assert len(shown.removesuffix("…").encode()) <= limit
    assert text(value, 10**6).startswith(shown.removesuffix("…"))


@pytest.mark.parametrize("value", [WORST, "😀" * 10**6, "a" * 10**6, '"' * 10**6])
def test_a_page_stays_small_whatever_it_is_about(value: str) -> None:
    evidence, _ = hostile(value)
    many = replace(
        evidence,
        level=Level.EXERCISE,
        checks=evidence.checks * 200,
        controls=evidence.controls * 200,
        left=evidence.left * 200,
        removed=evidence.removed * 200,
        versions={value[:n]: value for n in range(1, 100)},
        cost_estimated=Decimal("0.123456"),
        point=replace(evidence.point, snapshots=(value,) * 200),  # type: ignore[type-var]
    )

    size = len(page(many, DIGEST, (replace(PROOF, why=value),) * 100).encode())

    assert size <= 60_000


def test_what_has_no_room_is_counted() -> None:
    bad = replace(COUNT, passed=False, found="x" * 200)
    things = tuple(f"volume vol-{number:017x}" for number in range(500))
    many = replace(FAILED, checks=(COUNT,) * 50 + (bad,) * 200, removed=things)

    told = words(many)

    matched = re.search(r"The (\d+) for which there is no room here, (\d+) of them failed,", told)
    assert matched is not None
    left_out, failed = map(int, matched.groups())
    assert 250 - left_out == told.count("row count of rates L3, v2")
    assert failed == left_out - 50  # those that passed come last, and none of them is shown
    assert told.count("volume vol-") + int(re.findall(r"and (\d+) more", told)[0]) == 500


# ── Figures ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (timedelta(0), "0 s"),
        (timedelta(milliseconds=1), "1 s"),
        (timedelta(seconds=59, milliseconds=1), "1 min"),
        (timedelta(minutes=24, seconds=56.5), "24 min 57 s"),
        (timedelta(hours=1), "1 h"),
        (timedelta(hours=24, minutes=11, seconds=1), "24 h 12 min"),
        (timedelta(hours=48), "2 d"),
        (timedelta(days=31, hours=3, minutes=1), "31 d 4 h"),
        (-timedelta(minutes=2), "−2 min"),
    ],
)
def test_lengths_are_said_in_two_units_and_never_too_short(length: timedelta, said: str) -> None:
    assert lasted(length) == said


moments = st.none() | st.integers(0, 300_000).map(
    lambda seconds: PASSED.began_at + timedelta(seconds=seconds)
)


def boxes(shown: str) -> Iterator[tuple[float, float]]:
    for tag, attributes in read(shown).tags:
        if tag == "rect" and "x" in attributes:
            yield float(attributes["x"]), float(attributes["width"])


@given(moments, moments, moments, moments, st.none() | st.integers(1, 10**6))
def test_a_timeline_never_leaves_its_frame(
    available: Any, initialised: Any, verified: Any, torn_down: Any, objective: int | None
) -> None:
    phases = Phases(PASSED.began_at, available, initialised, verified, torn_down)
    limit = None if objective is None else timedelta(seconds=objective)
    bars = list(boxes(page(replace(FAILED, phases=phases, rto_objective=limit), DIGEST)))

    assert len(bars) == sum(at is not None for at in (available, initialised, verified, torn_down))
    assert all(x >= 100 and width > 0 and x + width <= 592 for x, width in bars)
    assert [x for x, _ in bars] == sorted(x for x, _ in bars)


def test_a_timeline_shows_how_long_each_phase_took() -> None:
    """490 units for the objective of four hours; 41 minutes in all."""
    assert [width for _, width in boxes(PAGES[0])] == [44.8, 1.5, 6.1, 32.6]
    assert "In order: restore 21 min 56 s; initialise 0 s; verify 3 min 1 s;" in PAGES[0]
    assert "The objective is 4 h." in PAGES[0]
