"""The demo runs, shows what there is to recover from, and shows the same every time."""

import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from local.account import CLUSTERS, DATABASES, INSTANCES, TABLES, VOLUMES
from local.demo.__main__ import main, run_demo
from local.demo.backups_state import BackupsState, Fate, Protected
from local.demo.backups_view import answers, sections, tell
from local.demo.page import Page, plain
from local.demo.timeline import Evidence, Line, Stand, folded
from local.demo.words import named, span
from watchkeeper.backups.model import Finding, Gap, Kind, Part, Place, RecoveryPoint, Span, State
from watchkeeper.drills import verify
from watchkeeper.policy import decide_policy

AT = datetime(2026, 11, 24, tzinfo=UTC)
STOPPED = "staging-restore-test"
ARN = "arn:aws:ec2:us-east-1:123456789012:volume/vol-0a"
UNTRUSTED = "[red]boo[/red] [link=file:///etc]x[/link]\x1b[31m\r\nbye"


def shown_by(*renderables: Table) -> str:
    file = io.StringIO()
    page = Page(Console(file=file, highlight=False))
    page.show(*renderables)
    return file.getvalue()


@pytest.fixture(scope="module")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("demo")
    file = io.StringIO()
    run_demo(Page(Console(file=file, highlight=False)), days=2, kept_in=folder)
    return file.getvalue(), folder


@pytest.mark.slow
class TestTwoDays:
    def test_both_tables_name_every_resource_that_has_a_plan(
        self, two_days: tuple[str, Path]
    ) -> None:
        text, _ = two_days
        points, coverage = text.split("Recovery points, and why")[1].split("Coverage against")
        machines = {one.name: one.plan for one in (*INSTANCES, *VOLUMES)}
        databases = {one.name: one.plan for one in (*DATABASES, *TABLES) if one.name != STOPPED}
        for name, plan in {**machines, **databases, **CLUSTERS}.items():
            if plan in {"gold", "silver", "bronze"}:
                assert f" {name} " in points
                assert f" {name} " in coverage.split("What no plan protects")[0]

    def test_what_no_plan_protects_is_listed_with_its_reason(
        self, two_days: tuple[str, Path]
    ) -> None:
        unprotected = " ".join(two_days[0].split("What no plan protects")[1].split())
        for reason in ("did you mean gold?", "never tagged", "opted out", "protected elsewhere"):
            assert reason in unprotected
        assert "a read replica of harbour-bookings-production" in unprotected
        assert "it is stopped: RDS takes no snapshot of it" in unprotected

    def test_the_timeline_tells_what_happened(self, two_days: tuple[str, Path]) -> None:
        timeline = " ".join(two_days[0].split("Recovery points, and why")[0].split())
        for told in (
            "Monday 23 November",
            "The operator tags",
            "silver: 3 instances, 1 volume, 1 database, 1 table",
            "harbour-bookings-production: its backup window 02:00-02:30 UTC is open: postponed",
            "harbour-carts (dynamodb-table): no point-in-time recovery",
            "nothing else restores the RDS instance harbour-contracts",
        ):
            assert told in timeline

    def test_a_file_gets_no_terminal_codes_and_no_long_lines(
        self, two_days: tuple[str, Path]
    ) -> None:
        assert "\x1b" not in two_days[0]
        assert max(map(len, two_days[0].splitlines())) <= 100

    def test_it_answers_whether_one_can_recover(self, two_days: tuple[str, Path]) -> None:
        answer = two_days[0].split("Can we recover?")[1]
        assert "What is at risk?" in answer
        assert "harbour-contracts (volume, gold): no recovery point yet" in answer
        assert "harbour-contracts (database, gold): nothing of it can be restored" in answer
        assert "9 by AWS Backup, 3 by Data Lifecycle Manager" in answer

    def test_what_was_restored_is_shown_as_its_evidence_says(
        self, two_days: tuple[str, Path]
    ) -> None:
        text, folder = two_days
        proofs, phases = text.split("Proofs: what was")[1].split("How long each restore took")
        documents = [json.loads(path.read_text()) for path in folder.rglob("evidence/*/*.json")]
        restored = [one for one in documents if one["phases"]["asked"]]
        assert len(restored) >= 2
        for one in restored:
            ended = datetime.fromisoformat(one["ended_at"])
            took = span(timedelta(seconds=one["rto_seconds"]["reached"]))
            [line] = [line for line in proofs.splitlines() if f" {one['name']} " in line]
            assert f" {ended:%d %b} " in line
            assert (f" {took} " in line) == (one["verdict"] == "passed")  # a failure proves none
            assert ("✔" in line) == (one["verdict"] == "passed")
            assert f" {one['name']} " in phases

    def test_the_evidence_left_behind_holds(
        self, two_days: tuple[str, Path], capsys: pytest.CaptureFixture[str]
    ) -> None:
        text, folder = two_days
        assert verify.main(["--folder", str(folder)]) == 0
        assert len(capsys.readouterr().out.splitlines()) == len([*folder.glob("evidence/*")])
        pages = re.findall(r"evidence/\w+/\w+\.html", text)
        assert pages
        assert all((folder / page).read_text().endswith("</html>\n") for page in pages)

    def test_the_state_is_left_behind(self, two_days: tuple[str, Path]) -> None:
        text, folder = two_days
        records = [json.loads(line) for line in (folder / "state.jsonl").read_text().splitlines()]
        assert any(record["pk"].startswith("POINT#") for record in records)
        assert "Alarm" in (folder / "pages.txt").read_text()
        assert "RecoveryPointsCompleted" in (folder / "news.jsonl").read_text()
        assert "Can we recover?" in (folder / "demo.html").read_text()
        assert (folder / "demo.txt").read_text().split() == text.split()

    def test_it_is_the_same_every_time(
        self, two_days: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        _, folder = two_days
        other = tmp_path_factory.mktemp("demo")  # a name as long as the other: both are shown
        run_demo(Page(Console(file=io.StringIO())), days=2, kept_in=other)
        for name in ("demo.txt", "news.jsonl", "pages.txt", "state.jsonl"):
            again = (other / name).read_text().replace(str(other), str(folder))
            assert again.split() == (folder / name).read_text().split(), name


def test_a_length_that_makes_no_demo_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--days", "0"])
    assert "1 to 31" in capsys.readouterr().err


def point(**changes: object) -> RecoveryPoint:
    values = {
        "resource": ARN,
        "id": "0" * 16,
        "kind": Kind.VOLUME,
        "created_at": AT - timedelta(hours=2),
        "run": "backup#gold#2026-11-23T22:00Z",
        "plan": "gold",
        "place": Place("123456789012", "us-east-1"),
        "state": State.COMPLETED,
        "parts": (Part("snap-0a", "vol-0a", 8),),
        "completed_at": AT - timedelta(hours=1),
    }
    return RecoveryPoint(**(values | changes))  # type: ignore[arg-type]


def state(name: str, why: str) -> BackupsState:
    protected = Protected(
        arn=ARN,
        name=name,
        kind=Kind.VOLUME,
        plan="gold",
        fates=[Fate(point(), "kept", why, ("daily",))],
        objective=timedelta(hours=8),
        gap=None,
    )
    finding = Finding(ARN, name, Gap.UNKNOWN_PLAN, why)
    return BackupsState(AT, decide_policy(None, None).policy, [protected], [finding])


def test_untrusted_text_is_shown_as_text() -> None:
    text = shown_by(*(table for _, table in sections(state("[red]boo[/red]", UNTRUSTED))))
    assert text.count("[red]boo[/red]") >= 4
    assert "\x1b" not in text
    assert "\r" not in text


def test_resources_that_met_the_same_fate_share_their_lines() -> None:
    one = state("web-1", "newest of the day")
    twin = replace(one.protected[0], name="web-2", arn=ARN + "b")
    other = replace(twin, name="web-3", fates=[Fate(point(), "refused", "it is locked")])
    both = replace(one, protected=[*one.protected, twin, other])
    text = shown_by(sections(both)[0][1])
    assert text.count("newest of the day") == 1
    assert all(name in text for name in ("web-1", "web-2", "web-3", "it is locked"))


def test_nothing_to_restore_from_is_no_yes() -> None:
    gap = Finding(ARN, "web-1", Gap.NO_RECOVERY_POINT, "this night took none", "gold")
    failed = Fate(point(state=State.FAILED, completed_at=None), "failed", "its key is disabled")
    one = state("web-1", "")
    bad = replace(one, protected=[replace(one.protected[0], gap=gap, fates=[failed])])
    said = {question: answer.plain for question, answer in answers(bad)}
    assert said["Can we recover?"].startswith("No: ")
    assert "From when?" not in said
    at_risk = "web-1 (volume, gold): no recovery point yet; its key is disabled"
    assert at_risk in said["What is at risk?"]


def test_what_a_failing_key_locks_is_no_yes() -> None:
    one = state("web-1", "")
    locked = replace(one, protected=[replace(one.protected[0], failing_key="arn:aws:kms:…")])
    assert {question: answer.plain for question, answer in answers(locked)}[
        "Can we recover?"
    ].startswith("No: ")
    assert "✘ its key fails" in shown_by(sections(locked)[1][1])


def test_a_span_is_newer_and_older_than_the_recovery_points() -> None:
    reach = Span(AT - timedelta(days=7), AT - timedelta(minutes=5))
    one = state("web-1", "")
    spanned = replace(one, protected=[replace(one.protected[0], span=reach)])
    assert spanned.protected[0].newest == reach.latest
    assert spanned.protected[0].oldest == reach.earliest
    shown = shown_by(sections(spanned)[1][1])
    assert "17 Nov 00:00" in shown
    assert "5 min" in shown
    assert "✔ to any moment" in shown


def test_what_is_restored_less_well_than_its_plan_asks_is_said() -> None:
    one = state("web-1", "")
    weaker = Finding(ARN, "web-1", Gap.CRASH_CONSISTENT, "the pre script failed", "gold")
    weak = replace(one, protected=[replace(one.protected[0], weaker=weaker)])
    said = {question: answer.plain for question, answer in answers(weak)}
    assert said["Can we recover?"].startswith("Yes: all 1")
    assert "web-1 (volume, gold): crash-consistent only" in said["What is at risk?"]


def test_control_characters_are_replaced() -> None:
    assert plain("a\x1b[31mb\r\nc").plain == "a�[31mb��c"


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (timedelta(minutes=40), "40 min"),
        (timedelta(hours=1, minutes=5), "1 h 05 min"),
        (timedelta(hours=11, minutes=59), "12 h"),
        (timedelta(days=1), "24 h"),
        (timedelta(days=8), "8 d"),
    ],
)
def test_lengths_of_time_are_said_shortly(length: timedelta, said: str) -> None:
    assert span(length) == said


@pytest.mark.parametrize("written", [ARN, "vol-0a"])
def test_resources_are_called_by_name(written: str) -> None:
    assert named(f"{written}: gone", {"vol-0a": "invoices"}) == "invoices: gone"
    assert named(f"{written}: gone", {}) == "vol-0a: gone"


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        ("arn:aws:rds:us-east-1:123456789012:db:guests", "guests"),
        ("arn:aws:dynamodb:us-east-1:123456789012:table/rates", "rates"),
        ("arn:aws:kms:us-east-1:123456789012:key/4a84eb03", "harbour-data"),
    ],
)
def test_databases_and_keys_are_called_by_name(arn: str, name: str) -> None:
    assert named(f"{arn}: 2 of it", {"4a84eb03": "harbour-data"}) == f"{name}: 2 of it"


NIGHT = "backup#gold#2026-11-23T22:00Z"


def completed(shard: int, at: str, **changes: object) -> dict[str, object]:
    news = {
        "type": "RecoveryPointsCompleted",
        "run": f"{NIGHT}#{shard:03d}",
        "at": at,
        "plan": "gold",
        "completed": 1,
        "failed": 0,
        "reasons": [],
    }
    return news | changes


def test_the_shards_of_a_night_are_one_line_told_when_a_slow_one_ends() -> None:
    broken = {"completed": 0, "failed": 1, "reasons": ["guests: its key is disabled (aws kms e"]}
    news = [
        completed(0, "2026-11-23T22:30:00Z"),
        completed(1, "2026-11-24T00:00:00Z", **broken),
        completed(2, "2026-11-23T22:20:00Z", crash_consistent="web-1: crash-consistent only: no"),
    ]
    taken = {NIGHT: {Kind.TABLE: 2, Kind.VOLUME: 1}}

    [line] = tell(Evidence(news), taken)

    assert line.at == AT
    after = "complete 2 h after the night began"
    assert (line.mark, line.says) == ("trouble", f"gold: 1 volume, 2 tables; 1 failed, {after}")
    assert line.below == ["guests: its key is disabled", "web-1: crash-consistent only: no"]


def test_what_was_postponed_and_what_was_reported_is_told_below_its_night() -> None:
    waits = "take: waits for 1 that cannot be backed up yet: guests: its backup window 02:00-02:30"
    reported = {
        "type": "BackupsReported",
        "run": NIGHT,
        "findings": ["a: never tagged: b", "carts: no point-in-time recovery: switch it on"],
    }
    evidence = Evidence(
        [completed(1, "2026-11-23T22:30:00Z"), reported],
        [Stand(AT, f"{NIGHT}#001", f"{waits} UTC is open, until Mon 02:30 UTC")],
    )

    [line] = tell(evidence, {})

    assert line.below == [
        "guests: its backup window 02:00-02:30 UTC is open: postponed, and taken after it",
        "carts: no point-in-time recovery: switch it on",
    ]


def test_news_of_others_is_no_line_of_backups() -> None:
    assert list(tell(Evidence([{"type": "RunDue", "run": "drill#x"}]), {})) == []


def test_nights_that_went_the_same_way_share_a_line() -> None:
    lines = [Line(AT, "done", "gold"), Line(AT + timedelta(hours=6), "done", "gold")]
    assert [line.moments for line in folded(lines)] == ["00:00 06:00"]


def test_each_page_has_a_line_of_its_own() -> None:
    lines = [Line(AT, "page", "Stuck"), Line(AT + timedelta(hours=6), "page", "Stuck")]
    assert [line.moments for line in folded(lines)] == ["00:00", "06:00"]
