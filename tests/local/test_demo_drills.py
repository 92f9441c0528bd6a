"""What the demo says of drills is what their evidence says."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from rich.console import Console
from rich.table import Table

from local.demo.drills_evidence import keep, shown
from local.demo.drills_state import DrillsState, Filed, Proved
from local.demo.drills_view import answers, sections, tell
from local.demo.page import Page
from local.demo.timeline import Evidence as Told
from watchkeeper import naming
from watchkeeper.backups.model import Kind, Place
from watchkeeper.drills import verify
from watchkeeper.drills.evidence import Evidence, Point
from watchkeeper.drills.model import Check, Level, Phases, Verdict

AT = datetime(2026, 11, 25, 9, tzinfo=UTC)
ARN = "arn:aws:rds:us-east-1:123456789012:db:guests"
RUN = "drill#round#2026-11-25T09:00Z#0123456789abcdef#check"
PHASES = Phases(
    asked=AT,
    available=AT + timedelta(minutes=12),
    initialised=AT + timedelta(minutes=12),
    verified=AT + timedelta(minutes=15),
    torn_down=AT + timedelta(minutes=24),
)
ROWS = Check("rows of orders", Level.CHECK, 1, "at least 4", "5", passed=True)
PASSED = Evidence(
    resource=ARN,
    kind=Kind.DATABASE,
    name="guests",
    plan="gold",
    level=Level.CHECK,
    run=RUN,
    why="never proved; the newest of 3",
    began_at=AT,
    ended_at=AT + timedelta(minutes=24),
    verdict=Verdict.PASSED,
    point=Point("0" * 16, AT - timedelta(hours=7), Place("123456789012", "us-east-1")),
    phases=PHASES,
    newest_data=AT - timedelta(hours=7),
    rpo_reached=timedelta(hours=7),
    rpo_objective=timedelta(hours=14),
    rto_objective=timedelta(hours=4),
    checks=(ROWS,),
    cost_estimated=Decimal("0.42"),
    sequence=1,
)
FAILED = replace(
    PASSED,
    verdict=Verdict.FAILED,
    failure="rows of orders: expected at least 4, found 2",
    checks=(replace(ROWS, found="2", passed=False),),
)
OLDER = replace(PASSED, rpo_reached=None, rpo_objective=None)
READ = replace(PASSED, level=Level.METADATA, phases=Phases(), rpo_reached=None, newest_data=None)


def filed(evidence: Evidence) -> Filed:
    key = naming.evidence_key(evidence.resource, evidence.sequence)
    page_key = naming.evidence_page_key(evidence.resource, evidence.sequence)
    return Filed(key, evidence.ended_at, evidence.to_json(), page_key, b"<p>page</p>", evidence)


def proved(*history: Evidence, name: str = "guests") -> Proved:
    """`history` is oldest first."""
    restored = [filed(one) for one in history if one.level is Level.CHECK]
    passed = [one for one in restored if one.evidence.verdict is Verdict.PASSED]
    return Proved(
        arn=ARN,
        name=name,
        kind=Kind.DATABASE,
        plan="gold",
        rto=timedelta(hours=4),
        rpo=timedelta(hours=14),
        restored=restored[-1] if restored else None,
        passed=passed[-1] if passed else None,
        read=next((filed(one) for one in history if one.level is Level.METADATA), None),
    )


def state(*resources: Proved, documents: tuple[Evidence, ...] = ()) -> DrillsState:
    return DrillsState(
        at=AT,
        proved=resources,
        filed=[filed(one) for one in documents],
        spent=12.5,
        per_month=180,
        next_estimate=3.25,
        put_off=["rates at level check: 2 are running"],
        shortfalls=["guests: never proved, and put off", "nobody is named to sign off"],
    )


def text_of(*tables: Table) -> str:
    file = io.StringIO()
    Page(Console(file=file, highlight=False)).show(*tables)
    return " ".join(file.getvalue().split())


def line_of(*history: Evidence) -> str:
    return text_of(sections(state(proved(*history)))[0][1]).partition("─ ")[2]


def said(*resources: Proved) -> dict[str, str]:
    return {question: answer.plain for question, answer in answers(state(*resources))}


# ── The line of a resource ───────────────────────────────────────────────────────────────────────


def test_a_proof_shows_when_how_old_how_long_and_against_what() -> None:
    shown = "guests database gold 25 Nov 7 h 14 h 15 min 4 h ✔ proved"
    assert line_of(READ, PASSED) == shown


def test_what_failed_last_shows_what_was_proved_before_it() -> None:
    assert line_of(PASSED, FAILED).endswith("gold 25 Nov 7 h 14 h 15 min 4 h ✘ on 25 Nov")
    assert "gold never – 14 h – 4 h ✘ on 25 Nov" in line_of(FAILED)


def test_what_was_only_read_is_no_proof() -> None:
    assert "gold never – 14 h – 4 h – only read" in line_of(READ)


def test_an_older_recovery_point_is_said_to_be_one() -> None:
    assert line_of(OLDER).endswith("✔ by an older")


def test_the_phases_of_every_restore_are_shown_with_its_evidence() -> None:
    [_, (_, phases)] = sections(state(documents=(READ, PASSED)))
    key = naming.evidence_key(ARN, 1).removeprefix(naming.EVIDENCE).removesuffix(".json")
    assert text_of(phases).endswith(f"guests 12 min 0 min 3 min 9 min $0.42 {key}")


# ── The answers ──────────────────────────────────────────────────────────────────────────────────


def test_the_answer_counts_what_is_proved_and_names_what_is_not() -> None:
    told = said(proved(PASSED), proved(FAILED, name="loyalty"), proved(READ, name="rates"))
    first, of_gold = told["Is that proved?"].splitlines()
    assert first == "1 of 3 resources were restored and checked, each within its RTO."
    slowest = "the slowest in 15 min of 4 h; data at most 7 h of 14 h old"
    assert of_gold == f"gold: 1 of 3; {slowest}; proved since Wed 25 Nov"
    assert told["What failed?"] == f"loyalty (database, gold): {FAILED.failure}"
    assert told["Not restored yet?"].startswith("rates. ")


def test_nothing_proved_is_no() -> None:
    assert said(proved(READ))["Is that proved?"].startswith("No: ")


def test_what_is_next_says_the_money_and_what_the_policy_cannot_have() -> None:
    first, *more = said(proved(PASSED))["What is next?"].splitlines()
    assert first == (
        "A round now: drills for $3.25, 1 put off. "
        "Of $180 for any 30 days, $12.50 are spent, as estimated."
    )
    assert more == ["nobody is named to sign off"]


# ── The timeline ─────────────────────────────────────────────────────────────────────────────────


def told(evidence: Evidence) -> tuple[str, str, list[str]]:
    news = {"type": "RestoreDrilled", "resource": ARN, "run": RUN, "at": "2026-11-25T09:24:00Z"}
    known = {(ARN, RUN): evidence}
    [line] = tell(Told([news]), lambda resource, run: known[resource, run])
    return line.mark, line.says, line.below


def test_a_restore_is_told_with_its_times() -> None:
    mark, says, below = told(PASSED)
    assert mark == "done"
    assert says == "guests (database) restored and checked in 15 min of 4 h; its data was 7 h old"
    assert below == ["guests: 12 min to restore, 3 min to check, 9 min to take it down"]
    assert told(FAILED)[:2] == ("trouble", "guests (database) restored, and it failed")
    assert told(OLDER)[1].endswith("in 15 min of 4 h, an older recovery point on purpose")


def test_a_round_is_told_with_its_estimate_and_what_it_puts_off() -> None:
    run, at = "drill#round#2026-11-25T09:00Z", "2026-11-25T09:00:00Z"
    full = "2 are running, and no more may be at once"
    chosen = {
        "type": "DrillsChosen", "run": run, "at": at, "drills": 9, "estimate": 4.9,
        "restores": ["guests: never proved; the newest of 3, $4.90"], "restores_in_all": 1,
        "put_off": [f"rates at level check: {full}", f"web-1 at level check: {full}"],
    }  # fmt: skip
    reported = {"type": "DrillsReported", "run": run, "at": at, "failed": 2}

    [line] = tell(Told([chosen, reported]), lambda *_: PASSED)

    assert (line.at, line.mark) == (AT, "trouble")
    assert line.says == "drills: 8 to read, 2 of them failed; 1 to restore, estimated $4.90"
    assert line.below == [*chosen["restores"], f"put off: rates, web-1 ({full})"]  # type: ignore[misc]


# ── What is left behind ──────────────────────────────────────────────────────────────────────────


def test_the_evidence_is_left_behind_as_its_bucket_has_it(tmp_path: Path) -> None:
    old = replace(PASSED, sequence=2, previous="0" * 64)
    keep(state(documents=(PASSED, old)), tmp_path)
    keep(state(documents=(PASSED,)), tmp_path)  # of another demo nothing stays

    kept = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")]
    assert sorted(kept) == [naming.evidence_page_key(ARN, 1), naming.evidence_key(ARN, 1)]
    assert verify.main(["--folder", str(tmp_path)]) == 0


def test_a_page_of_each_kind_that_passed_and_of_what_failed_is_named() -> None:
    second, third = (replace(one, sequence=n) for n, one in ((2, FAILED), (3, PASSED)))
    never = replace(FAILED, sequence=4, phases=Phases(), point=None)
    named = shown(state(documents=(READ, PASSED, second, third, never)))
    assert named == {
        naming.evidence_page_key(ARN, 3): "guests (database): passed in 15 min",
        naming.evidence_page_key(ARN, 2): "guests (database): failed in 15 min",
    }
