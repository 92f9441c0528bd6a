"""What a drill will cost: arithmetic that can be followed, and never less for what is unknown."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.drills.fleet import point
from watchkeeper.backups.model import Kind, Part
from watchkeeper.drills.costs import DATABASE_LARGE, SIZES, Shape, estimate
from watchkeeper.drills.model import Level

PAGE = Path(__file__).parents[3] / "docs" / "policy-of-drills.md"
MEDIUM = Shape("db.t4g.medium", "postgres")


@pytest.mark.parametrize(
    ("kind", "gib", "tier", "level", "shape", "usd"),
    [
        (Kind.DATABASE, 1000, "standard", Level.METADATA, MEDIUM, 0),
        # 16,384 blocks: two listings, a thousand blocks read.
        (Kind.VOLUME, 8, "standard", Level.BLOCKS, Shape(), 2 * 0.0000006 + 1000 * 0.000003),
        # An hour, and one more for 100 GiB to arrive.
        (Kind.VOLUME, 100, "standard", Level.RESTORE, Shape(),
         100 * 0.08 / 730 * 2),
        (Kind.VOLUME, 100, "archive", Level.RESTORE, Shape(),
         100 * 0.08 / 730 * 2 + 100 * 0.03),
        # Half an hour of questions; three endpoints for the third hour that has begun.
        (Kind.VOLUME, 100, "standard", Level.CHECK, Shape(),
         100 * 0.08 / 730 * 2.5 + 0.0208 * 2.5 + 0.09),
        (Kind.DATABASE, 100, "standard", Level.CHECK, MEDIUM,
         0.073 * 2.5 + 100 * 0.125 / 730 * 2.5 + 0.0208 * 2.5 + 0.09),
        (Kind.DATABASE, 100, "standard", Level.RESTORE, Shape("db.r6g.4xlarge", "postgres"),
         0.26 * 8 * 2 + 100 * 0.125 / 730 * 2),
        (Kind.TABLE, 10, "standard", Level.CHECK, Shape(), 1.5 + 10 * 0.25 / 730 * 1.6 + 0.32),
        # A person has a working day.
        (Kind.TABLE, 0, "standard", Level.EXERCISE, Shape(), 0.0),
    ],
)  # fmt: skip
def test_what_a_drill_costs(
    kind: Kind, gib: int, tier: str, level: Level, shape: Shape, usd: float
) -> None:
    found = estimate(point(kind, gib=gib, tier=tier), level, shape)

    assert found.usd == pytest.approx(usd, abs=1e-9)
    assert sum(found.parts.values()) == pytest.approx(found.usd)
    assert found.unknown == ()


@pytest.mark.parametrize(
    ("kind", "shape", "says"),
    [
        (Kind.DATABASE, Shape(), "the class not known: taken as $2.32 an hour"),
        (Kind.DATABASE, Shape("db.z9.large"), "class db.z9.large not known"),
        (Kind.DATABASE, Shape("db.r6g.huge"), "class db.r6g.huge not known"),
        (Kind.DATABASE, Shape("db.z9.48xlarge"), "taken as $29.18 an hour"),
        (Kind.CLUSTER, Shape("db.serverless", "aurora-mysql"), "8 capacity units"),
        (Kind.DATABASE, Shape("db.m5.large", "sqlserver-se"), "sqlserver-se: taken as 5 times"),
    ],
)
def test_what_is_unknown_is_taken_as_dear_and_said(kind: Kind, shape: Shape, says: str) -> None:
    found = estimate(point(kind), Level.RESTORE, shape)

    assert any(says in note for note in found.unknown)
    assert all(note in found.line() for note in found.unknown)


@given(st.sampled_from(sorted(DATABASE_LARGE)), st.sampled_from(sorted(SIZES)))
def test_an_unknown_class_costs_no_less_than_a_known_one_up_to_2xlarge(
    family: str, size: str
) -> None:
    database = point(Kind.DATABASE)
    known = estimate(database, Level.RESTORE, Shape(f"db.{family}.{size}"))

    assert known.unknown == ()
    assert estimate(database, Level.RESTORE, Shape()).usd > known.usd
    assert estimate(database, Level.RESTORE, Shape(f"db.new9.{size}")).usd >= known.usd


@given(
    st.sampled_from(list(Kind)),
    st.lists(st.integers(0, 20_000), max_size=5),
    st.sampled_from(["standard", "archive"]),
)
def test_a_higher_level_never_costs_less(kind: Kind, sizes: list[int], tier: str) -> None:
    parts = tuple(Part("snap-1", f"vol-{index}", gib) for index, gib in enumerate(sizes))
    costs = [
        estimate(point(kind, parts=parts, tier=tier), level).usd
        for level in (Level.METADATA, Level.RESTORE, Level.CHECK, Level.EXERCISE)
    ]

    assert costs == sorted(costs)


def test_a_line_for_people_names_what_costs_most() -> None:
    line = estimate(point(Kind.DATABASE, gib=100), Level.CHECK, MEDIUM).line()

    assert line == (
        "$0.37: database instance 0.18, its storage 0.04, verifier 0.05, interface endpoints 0.09"
    )
    assert estimate(point(), Level.METADATA).line() == "$0.00"


@pytest.mark.parametrize(
    ("kind", "gib", "tier", "shape"),
    [
        (Kind.VOLUME, 100, "standard", Shape()),
        (Kind.VOLUME, 100, "archive", Shape()),
        (Kind.DATABASE, 100, "standard", MEDIUM),
        (Kind.DATABASE, 1024, "standard", Shape("db.r6g.2xlarge", "postgres")),
        (Kind.TABLE, 10, "standard", Shape()),
    ],
)
def test_the_page_tells_what_a_check_costs(kind: Kind, gib: int, tier: str, shape: Shape) -> None:
    usd = estimate(point(kind, gib=gib, tier=tier), Level.CHECK, shape).usd

    assert f"| ${usd:.2f}" in PAGE.read_text("utf-8")
