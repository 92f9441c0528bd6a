"""Which drills are begun now, which are put off, and what is said beforehand."""

import json
import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.drills.fleet import NOW, arn, days_ago, point, proof, subject
from watchkeeper.backups.model import Kind
from watchkeeper.drills.costs import Shape, estimate
from watchkeeper.drills.due import Known
from watchkeeper.drills.model import Drill, Level, Subject, Verdict
from watchkeeper.drills.policy import DrillsPolicy, parse_drills_policy
from watchkeeper.drills.rules import Choice, choose

OFF = dict.fromkeys((level.value for level in Level), "never")
LONG_AGO = Known(since=days_ago(1000))


def policy(every: dict[str, str] | None = None, **fields: Any) -> DrillsPolicy:
    """One that asks for checks every 30 days and for nothing else."""
    return parse_drills_policy(json.dumps({"every": OFF | (every or {"check": "30d"}), **fields}))


def chosen(
    subjects: list[Subject],
    rules: DrillsPolicy | None = None,
    *,
    running: tuple[Drill, ...] = (),
    spent: float = 0.0,
    known: Known = LONG_AGO,
) -> Choice:
    return choose(subjects, rules or policy(), running, spent, NOW, "seed", known)


def names(choice: Choice) -> list[str]:
    return [drill.point.resource.rsplit("/", 1)[-1].removeprefix("vol-") for drill in choice.drills]


def running(level: Level, *of: str) -> tuple[Drill, ...]:
    return tuple(Drill(point(name=one), level, "") for one in of)


# ── Who, and in which order ───────────────────────────────────────────────────────────────────────


def test_never_proved_first_then_the_most_overdue() -> None:
    fleet = [subject("a", check=31), subject("b", check=45), subject("c"), subject("d", check=40)]
    choice = chosen(fleet)
    assert names(choice) == ["c", "b", "d"]
    assert [drill.why.split(";")[0] for drill in choice.drills] == [
        "never proved", "last proved 45 days ago", "last proved 40 days ago"
    ]  # fmt: skip
    assert [(one.name, one.why) for one in choice.put_off] == [
        ("a", "3 are running, and no more may be at once")
    ]


def test_what_was_never_proved_comes_before_what_is_overdue() -> None:
    fleet = [subject("a", check=45), subject("b")]
    new = replace(LONG_AGO, protected={arn(Kind.VOLUME, "b"): days_ago(29.9)})
    assert names(chosen(fleet, known=new, running=running(Level.CHECK, "x", "y"))) == ["b"]


def test_what_was_never_proved_is_taken_by_lot_before_it_is_due() -> None:
    known = Known(since=days_ago(0))
    lots = [
        choose([subject()], policy(), (), 0.0, days_ago(-day), "seed", known).drills
        for day in range(29)
    ]
    assert any(lots[:20])
    assert not all(lots[:20])


def test_what_is_not_due_is_left_alone() -> None:
    assert chosen([subject("a", check=20), subject("b", exercise=5)]) == Choice()


def test_it_begins_in_time_to_have_ended_when_it_is_due() -> None:
    # Silver may take eight hours: 09:00 tomorrow would be too late for 16:00.
    soon = policy(plans={"silver": {"rto": "8h"}})
    assert names(chosen([subject("a", check=28.71)], soon)) == ["a"]
    assert names(chosen([subject("a", check=28.66)], soon)) == []
    # And longer, where the archive must give something back.
    old = (point(name="a", tier="archive"), point(name="a", made=days_ago(1)))
    assert names(chosen([subject("a", points=old, check=25.71)], soon)) == ["a"]
    blocks = policy({"blocks": "7d"})
    assert names(chosen([subject("a", blocks=5.8)], blocks)) == ["a"]
    assert names(chosen([subject("a", blocks=5.7)], blocks)) == []


def test_many_that_are_due_together_are_spread_over_the_days_before() -> None:
    fleet = [subject(f"{n:02}", check=20) for n in range(30)]
    wide = policy(budget={"at_once": 20, "per_run_usd": 100, "per_month_usd": 100})
    assert len(chosen(fleet, wide).drills) == 3  # thirty in ten choices
    assert chosen(fleet[:9], wide).drills == ()  # nine can be done one a day, from tomorrow


def test_nothing_is_drilled_earlier_than_half_its_interval() -> None:
    fleet = [subject(f"{n:03}", check=14) for n in range(300)]
    assert chosen(fleet).drills == ()


def test_one_drill_does_for_all_levels_that_are_due() -> None:
    all_levels = policy({"metadata": "1d", "blocks": "7d", "restore": "14d", "check": "30d"})
    choice = chosen([subject("a")], all_levels)
    assert [drill.level for drill in choice.drills] == [Level.CHECK]


def test_what_is_put_off_is_drilled_at_the_levels_that_only_read() -> None:
    all_levels = policy({"metadata": "1d", "blocks": "7d", "restore": "14d", "check": "30d"})
    busy = running(Level.CHECK, "x", "y", "z")
    choice = chosen([subject("a")], all_levels, running=busy)
    assert [one.level for one in choice.put_off] == [Level.CHECK]
    assert [drill.level for drill in choice.drills] == [Level.BLOCKS]


def test_what_comes_from_the_archive_is_looked_at_meanwhile() -> None:
    archived = subject("a", points=(point(name="a", tier="archive"),))
    choice = chosen([archived], policy({"metadata": "1d", "check": "30d"}))
    assert [drill.level for drill in choice.drills] == [Level.CHECK, Level.METADATA]


def test_what_lasts_longer_than_a_lower_level_can_wait_is_looked_at_meanwhile() -> None:
    daily = policy({"metadata": "1d", "check": "30d"}, budget={"per_run_usd": 25})
    small, large = (subject("a", Kind.DATABASE, gib=gib) for gib in (400, 500))
    assert [drill.level for drill in chosen([small], daily).drills] == [Level.CHECK]
    choice = chosen([large], daily)
    assert [drill.level for drill in choice.drills] == [Level.CHECK, Level.METADATA]
    signed = policy({"metadata": "1d", "exercise": "365d"}, sign_off=["ops@example.com"])
    choice = chosen([subject("a")], signed)
    assert [drill.level for drill in choice.drills] == [Level.EXERCISE, Level.METADATA]


@pytest.mark.parametrize(
    ("level", "begun"),
    [(Level.CHECK, [Level.METADATA]), (Level.METADATA, [Level.CHECK]),
     (Level.RESTORE, [Level.METADATA])],
)  # fmt: skip
def test_what_is_being_drilled_is_not_drilled_again(level: Level, begun: list[Level]) -> None:
    rules = policy({"metadata": "1d", "check": "30d"})
    choice = chosen([subject("a")], rules, running=running(level, "a"))
    assert [drill.level for drill in choice.drills] == begun


def test_what_failed_waits_a_week_and_does_not_crowd_out_the_others() -> None:
    one = subject("a")
    failed = {Level.CHECK: proof(one.resource, Level.CHECK, days_ago(3), Verdict.FAILED)}
    assert chosen([replace(one, proofs=failed)]) == Choice()
    failed = {Level.CHECK: proof(one.resource, Level.CHECK, days_ago(7), Verdict.FAILED)}
    (drill,) = chosen([replace(one, proofs=failed)]).drills
    assert drill.why.startswith("failed 7 days ago; ")


def test_reasons_name_the_point_and_its_keeper() -> None:
    theirs = subject("a", points=(point(name="a", keeper="AWS Backup"),))
    (drill,) = chosen([theirs]).drills
    assert drill.why == "never proved; the newest of 1, kept by AWS Backup"


def test_nothing_to_drill_is_a_failed_drill() -> None:
    bare, span = subject("a", points=()), subject("b", points=(point(name="b", until=NOW),))
    choice = chosen([bare, span], policy({"metadata": "1d", "check": "30d"}))
    assert choice.drills == ()
    assert {(one.name, one.level, one.why) for one in choice.failed} == {
        ("a", Level.CHECK, "it has no recovery point that could be restored"),
        ("b", Level.CHECK, "it has point-in-time recovery alone, which no drill restores yet"),
    }


def test_what_shows_no_blocks_fails_that_level_alone() -> None:
    archived = subject("a", points=(point(name="a", tier="archive"),))
    choice = chosen([archived], policy({"metadata": "1d", "blocks": "7d"}))
    assert [one.level for one in choice.failed] == [Level.BLOCKS]
    assert [drill.level for drill in choice.drills] == [Level.METADATA]


def test_an_exercise_needs_somebody_to_sign_it_off() -> None:
    one = subject("a", check=1, exercise=364.7)
    alone, signed = (
        policy({"exercise": "365d"}),
        policy({"exercise": "365d"}, sign_off=["ops@example.com"]),
    )
    refused = chosen([one], alone)
    assert (names(refused), refused.put_off[0].why) == ([], "nobody is named in sign_off")
    assert "the exercises of 1 of 1 resources" in refused.findings[0].why
    assert [drill.level for drill in chosen([one], signed).drills] == [Level.EXERCISE]


# ── The budget ────────────────────────────────────────────────────────────────────────────────────


def test_no_more_at_once_than_the_budget_allows_running_ones_included() -> None:
    fleet = [subject(name) for name in "abcd"]
    assert len(chosen(fleet, running=running(Level.RESTORE, "x")).drills) == 2
    assert len(chosen(fleet, running=running(Level.BLOCKS, "x", "y", "z")).drills) == 3


COST = estimate(point(Kind.TABLE, gib=10), Level.CHECK).usd


def tables(*gib: int, **passed: float) -> list[Subject]:
    return [
        subject(f"t{n}", Kind.TABLE, gib=size, **passed)  # type: ignore[arg-type]
        for n, size in enumerate(gib)
    ]


def test_what_does_not_fit_into_a_run_is_put_off_and_smaller_ones_go_on() -> None:
    rules = policy(budget={"per_run_usd": COST * 1.5, "per_month_usd": 50})
    choice = chosen(tables(10, 10, 1), rules)
    assert len(choice.drills) == 2
    assert choice.estimate == pytest.approx(sum(drill.cost for drill in choice.drills))
    assert choice.estimate <= COST * 1.5
    assert "more than per_run_usd, 2.73" in choice.put_off[0].why


def test_what_does_not_fit_into_the_month_is_put_off_and_its_money_is_kept() -> None:
    rules = policy(budget={"per_run_usd": 5, "per_month_usd": 6})
    fleet = [*tables(10, check=41), *tables(1, 1, 1, check=40)[1:]]
    choice = chosen(fleet, rules, spent=5)
    first, *others = choice.put_off
    assert (choice.drills, first.name) == ((), "t0")
    assert "$5.00 of the last 30 days and $1.83 for it are more than per_month_usd, 6" in first.why
    assert {one.why for one in others} == {"the rest of the month's money is kept for t0"}


def test_what_is_chosen_counts_for_the_month_at_once() -> None:
    rules = policy(budget={"per_run_usd": 5, "per_month_usd": 5})
    choice = chosen(tables(10, 10, 10, check=40), rules, spent=1.0)
    assert len(choice.drills) == 2
    assert 1.0 + choice.estimate <= 5


def test_a_drill_that_no_month_can_pay_holds_nobody_up() -> None:
    rules = policy(budget={"per_run_usd": 5, "per_month_usd": 5})
    choice = chosen(tables(100, 1), rules)
    assert len(choice.drills) == 1
    says = [one.why for one in choice.findings if one.name == "t0"]
    assert "estimated at $15.41, and per_run_usd is 5: raise it to 16" in says[0]


def test_reading_metadata_needs_no_money() -> None:
    rules = policy({"metadata": "1d", "check": "30d"}, budget={"per_run_usd": 1})
    choice = chosen([subject("a")], rules, spent=1000)
    assert [drill.level for drill in choice.drills] == [Level.METADATA]


def test_nothing_is_restored_while_it_is_closed_and_reading_goes_on() -> None:
    rules = policy(
        {"metadata": "1d", "check": "30d"},
        closed=[{"opens": "0 0 23 11 *", "lasts": "2d", "why": "Peak"}],
    )
    choice = chosen([subject("a")], rules)
    assert [drill.level for drill in choice.drills] == [Level.METADATA]
    assert choice.put_off[0].why == "nothing may be restored now (Peak)"


def test_what_would_be_due_while_it_is_closed_is_drilled_before() -> None:
    rules = policy(closed=[{"opens": "0 0 24 11 *", "lasts": "9d"}])
    assert names(chosen([subject("a", check=22)], rules)) == ["a"]
    assert names(chosen([subject("a", check=22)], policy())) == []


# ── Beforehand ────────────────────────────────────────────────────────────────────────────────────


def findings(choice: Choice) -> list[str]:
    return [one.why for one in choice.findings if not one.resource]


def test_it_says_beforehand_whom_the_money_does_not_prove() -> None:
    rules = policy(budget={"per_run_usd": 5, "per_month_usd": 39.5})
    fleet = tables(*[10] * 40, check=1)
    (finding,) = findings(chosen(fleet, rules))
    assert finding == (
        "the budget cannot prove 19 of 40 resources within 30 days: that takes about $73.02 a"
        " month, and per_month_usd is 39.5: raise it to 92"
    )
    enough = policy(budget={"per_run_usd": 5, "per_month_usd": 76})
    assert chosen(fleet, enough) == Choice()


def test_what_a_higher_level_covers_costs_nothing_more() -> None:
    one = tables(10, check=1)
    restores = estimate(one[0].points[0], Level.RESTORE).usd

    def says(usd: float) -> list[str]:
        rules = policy(
            {"restore": "15d", "check": "30d"}, budget={"per_run_usd": 2, "per_month_usd": usd}
        )
        return findings(chosen(one, rules))

    # In 30 days one check, and one restore between two of them.
    assert says(COST + restores) == []
    assert f"takes about ${COST + restores:.2f} a month" in says(COST + restores - 0.01)[0]


def test_it_says_beforehand_whom_the_number_does_not_prove() -> None:
    fleet = [subject(f"{n:03}", check=1) for n in range(150)]
    rich = {"per_run_usd": 100, "per_month_usd": 100}
    (finding,) = findings(chosen(fleet, policy(budget=rich)))
    assert finding == (
        "the budget cannot prove 60 of 150 resources within 30 days: that takes 5.0 restores a day,"
        " and at_once is 3 at 1.0 choices a day: raise it to 7, or choose more often"
    )
    assert findings(chosen(fleet, policy(budget={**rich, "at_once": 7}))) == []


def test_it_says_when_what_is_put_off_will_be_overdue() -> None:
    busy = running(Level.CHECK, "x", "y", "z")
    (late,) = chosen([subject("a", check=29.8)], running=busy).findings
    assert late.name == "a"
    assert late.why == (
        "last proved 29 days ago at level check, and put off: 3 are running, and no more may be at"
        " once; from 2026-11-26 13:48 UTC it is overdue"
    )
    assert chosen([subject("a", check=26)], running=busy).findings == ()


def test_point_in_time_recovery_is_said_to_be_unproved() -> None:
    span = replace(point(Kind.TABLE, "t"), until=NOW)
    one = subject("t", Kind.TABLE, points=(span, point(Kind.TABLE, "t")), check=1)
    assert "of 1 of 1 resources that could be" in findings(chosen([one]))[0]


def test_what_the_estimate_guesses_is_said() -> None:
    one = subject("shop", Kind.DATABASE)
    assert "shop: the class not known" in chosen([one]).unknown[0]
    known = replace(LONG_AGO, shapes={one.resource: Shape("db.t3.small", "postgres")})
    assert chosen([one], known=known).unknown == ()


# ── Inputs alone ──────────────────────────────────────────────────────────────────────────────────


def test_the_order_of_the_subjects_does_not_matter() -> None:
    lots = random.Random(4)
    fleet = [
        subject(f"{n:02}", lots.choice(list(Kind)), check=lots.choice([1.0, 20.0, 40.0]))
        for n in range(40)
    ]
    first = chosen(fleet)
    assert len(first.drills) == 3
    for _ in range(5):
        lots.shuffle(fleet)
        assert chosen(fleet) == first


def test_a_policy_of_plans_is_followed() -> None:
    rules = policy(plans={"gold": {"every": {"check": "7d"}}})
    fleet = [subject("a", plan="gold", check=8), subject("b", plan="silver", check=8)]
    assert names(chosen(fleet, rules)) == ["a"]


def test_a_stack_that_slept_for_a_year_begins_with_what_the_budget_allows() -> None:
    fleet = [subject(f"{n}", check=400 + n) for n in range(5)]
    late = choose(fleet, policy(), (), 0.0, NOW + timedelta(days=365), "seed", LONG_AGO)
    assert [drill.point.resource for drill in late.drills] == [
        arn(Kind.VOLUME, name) for name in "432"
    ]
