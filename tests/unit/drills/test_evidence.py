"""Evidence: the same bytes for ever, and a chain in which nothing can be changed unseen."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from watchkeeper import naming
from watchkeeper.backups.model import Kind, Part, Place, RecoveryPoint, State
from watchkeeper.drills.chain import Anchor, Break, Link, verify_chain
from watchkeeper.drills.evidence import BadEvidence, Control, Evidence, Point, audited, digest
from watchkeeper.drills.model import Check, Level, Phases, Verdict

FIRST = (Path(__file__).parents[2] / "golden" / "evidence-v1.json").read_bytes()
TABLE = "arn:aws:dynamodb:eu-west-1:111122223333:table/rates"
CHAIN = naming.short_id(TABLE)
AT = datetime(2026, 11, 24, 2, 10, tzinfo=UTC)
COUNT = Check(
    name="row count of rates",
    level=Level.CHECK,
    version=2,
    expected="12048, by the manifest; within 1 %",
    found="12051",
    passed=True,
    why="a table's ItemCount is up to six hours old",
)
POINT = Point(
    id="3f9d1c0a7be24856",
    created_at=datetime(2026, 11, 23, 2, 0, 4, 250000, tzinfo=UTC),
    place=Place("111122223333", "eu-central-1"),
    snapshots=("arn:aws:dynamodb:eu-central-1:111122223333:table/rates/backup/0176-ab",),
    manifest="48b4e301cd4d333aeb3ff917315e8854baf05385cb43ba16fa2e22f94cafaa2b",
)
PASSED = Evidence(
    resource=TABLE,
    kind=Kind.TABLE,
    name="rates",
    plan="gold",
    level=Level.CHECK,
    run="drill#rates#2026-11-24T02:10Z",
    why="most overdue: last proved 31 days ago",
    began_at=AT,
    ended_at=AT + timedelta(minutes=41),
    verdict=Verdict.PASSED,
    point=POINT,
    phases=Phases(
        asked=AT + timedelta(seconds=4),
        available=AT + timedelta(minutes=22),
        initialised=AT + timedelta(minutes=22),
        verified=AT + timedelta(minutes=25, milliseconds=500),
        torn_down=AT + timedelta(minutes=41),
    ),
    newest_data=datetime(2026, 11, 23, 1, 58, tzinfo=UTC),
    rpo_reached=timedelta(hours=24, minutes=12),
    rpo_objective=timedelta(hours=26),
    rto_objective=timedelta(hours=4),
    checks=(COUNT,),
    controls=(Control("row count", 2, datetime(2026, 11, 1, 9, tzinfo=UTC)),),
    versions={"watchkeeper": "0.1.0", "python": "3.13.1", "boto3": "1.43.127"},
    cost_estimated=Decimal("0.42"),
    cost_known=Decimal("0.39"),
    removed=("table wk-drill-0d7a", "interface endpoint vpce-0a1b"),
    sequence=12,
    previous="9c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab",
)
FAILED = replace(
    PASSED,
    verdict=Verdict.FAILED,
    failure="nothing to drill: no completed recovery point",
    point=None,
    phases=Phases(),
    newest_data=None,
    rpo_reached=None,
    checks=(),
    cost_known=None,
    removed=(),
    left=("table wk-drill-0d7a",),
)


# ── One document ──────────────────────────────────────────────────────────────────────────────────


def test_the_first_evidence_is_written_as_it_was_and_read_as_it_was_meant() -> None:
    assert PASSED.to_json() == FIRST
    assert Evidence.of(FIRST) == PASSED


@pytest.mark.parametrize("evidence", [PASSED, FAILED, replace(FAILED, rto_objective=None)])
def test_what_is_written_is_read_back(evidence: Evidence) -> None:
    assert Evidence.of(evidence.to_json()) == evidence


def test_what_a_newer_version_adds_does_not_get_in_the_way() -> None:
    newer: dict[str, Any] = json.loads(FIRST) | {"schema": 2, "weather": "fine"}
    newer["checks"][0]["asked_of"] = "the Data API"
    newer["point"]["vault"] = "cold"

    assert Evidence.of(json.dumps(newer).encode()) == PASSED


def test_recovery_time_is_measured_until_the_last_check_has_answered() -> None:
    unverified = replace(PASSED, phases=replace(PASSED.phases, verified=None))

    assert PASSED.rto_reached == timedelta(minutes=24, seconds=56, milliseconds=500)
    assert json.loads(FIRST)["rto_seconds"] == {"reached": 24 * 60 + 57, "objective": 14400}
    assert unverified.rto_reached is None


def test_the_point_is_what_the_catalogue_had() -> None:
    point = RecoveryPoint(
        resource=TABLE, id=POINT.id, kind=Kind.TABLE, created_at=POINT.created_at, run="", plan="",
        place=POINT.place, state=State.COMPLETED, parts=(Part(POINT.snapshots[0], TABLE, 1),),
        manifest=POINT.manifest, keeper="AWS Backup", until=AT,
    )  # fmt: skip

    assert Point.of(point) == replace(POINT, keeper="AWS Backup", until=AT)


@given(st.text(max_size=500))
@example("x" * 400)
@example("x" * 401)
def test_somebody_elses_text_is_short_plain_ascii_and_stays_so(text: str) -> None:
    check = replace(COUNT, found=text, why=text)
    document = replace(PASSED, checks=(check,), name=text).to_json()

    assert document.isascii()
    assert all(byte >= 32 or byte == 10 for byte in document)
    assert Evidence.of(document).to_json() == document
    found = Evidence.of(document).checks[0].found
    assert found == (text if len(text) <= 400 else text[:399] + "…")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"checks": ()}, "nothing was checked"),
        ({"point": None}, "nothing was checked"),
        ({"checks": (COUNT, replace(COUNT, name="newest row", passed=False))}, "'newest row'"),
        ({"phases": replace(PASSED.phases, torn_down=None)}, "it was not torn down"),
        ({"left": ("table wk-drill-0d7a",)}, "it left 'table wk-drill-0d7a'"),
    ],
)
def test_no_drill_passes_against_its_own_findings(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=f"'{PASSED.run}' cannot have passed: .*{why}"):
        replace(PASSED, **changes)


def changed(**changes: object) -> bytes:
    return json.dumps(json.loads(FIRST) | changes).encode()


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (b"", "it is no JSON"),
        (b"\xff\xfe\x00", "it is no JSON"),
        (b"[" * 100_000, "it is no JSON"),
        (b"[1]", r"it is no JSON object but \[1\]"),
        (changed(run=None), "its run is null where a str is expected"),
        (changed(sequence=True), "its sequence is true where a int is expected"),
        (changed(kind="floppy-disk"), "'floppy-disk' is not a valid Kind"),
        (changed(verdict="probably"), "'probably' is not a valid Verdict"),
        (changed(began_at="yesterday"), "yesterday"),
        (changed(began_at="2026-11-24T02:10:00"), "its began_at has no time zone"),
        (changed(checks=["fine"]), 'its checks hold "fine" where an object is expected'),
        (changed(rpo_seconds={"reached": 10**14}), "days="),
        (changed(cost_usd={"estimated": "a lot"}), "Conversion"),
        (changed(left=["a table"]), "cannot have passed"),
    ],
)
def test_what_is_no_evidence_is_refused_with_what_is_wrong(document: bytes, why: str) -> None:
    with pytest.raises(BadEvidence, match=why):
        Evidence.of(document)


def test_a_level_shows_what_it_can_and_the_next_shows_more() -> None:
    shown = [{one.control for one in audited(level)} for level in Level]

    assert all(lower <= higher for lower, higher in pairwise(shown))
    assert shown[Level.METADATA.number] == {"ISO/IEC 27001 A.8.13"}
    assert {"DORA Art. 12(3)", "DORA Art. 12(6)"} <= shown[Level.RESTORE.number]
    assert "SOC 2 A1.3" in shown[Level.CHECK.number] - shown[Level.RESTORE.number]


# ── The chain ─────────────────────────────────────────────────────────────────────────────────────

Documents = list[tuple[int, bytes]]


def extended(documents: Documents, length: int, resource: str = TABLE) -> Documents:
    """`documents` and as many drills after them as make `length`."""
    made = list(documents)
    while len(made) < length:
        sequence = len(made) + 1
        previous = digest(made[-1][1]) if made else ""
        link = {"sequence": sequence, "previous": previous, "resource": resource, "run": "r"}
        made.append((sequence, json.dumps(link | {"found": "a"}).encode()))
    return made


def chain_of(length: int) -> Documents:
    return extended([], length)


def newest(documents: Documents) -> Anchor:
    sequence, document = documents[-1]
    return Anchor(sequence, digest(document))


def numbered(documents: list[bytes]) -> Documents:
    return list(enumerate(documents, start=1))


def bytes_of(documents: Documents) -> list[bytes]:
    return [document for _, document in documents]


lengths = st.integers(1, 6)


@given(lengths)
def test_a_sound_chain_has_no_break(length: int) -> None:
    documents = chain_of(length)

    assert verify_chain(documents, CHAIN) is None
    for anchor in (newest(documents[: n + 1]) for n in range(length)):
        assert verify_chain(documents, CHAIN, anchor) is None


def test_evidence_itself_makes_a_chain() -> None:
    first = replace(FAILED, sequence=1, previous="").to_json()
    second = replace(PASSED, sequence=2, previous=digest(first)).to_json()

    assert verify_chain(numbered([first, second]), CHAIN) is None
    assert Link.of(second) == Link(TABLE, PASSED.run, 2, digest(first))


def test_nothing_is_a_sound_chain_unless_something_is_known() -> None:
    assert verify_chain([], CHAIN) is None
    assert verify_chain([], CHAIN, Anchor(3, "ab")) == Break(1, "is missing")


@given(lengths, st.data())
def test_any_changed_byte_is_found_and_its_document_named(length: int, data: st.DataObject) -> None:
    documents = chain_of(length)
    anchor = newest(documents)
    at = data.draw(st.integers(0, length - 1))
    document = bytearray(documents[at][1])
    place = data.draw(st.integers(0, len(document) - 1))
    document[place] ^= data.draw(st.integers(1, 255))
    documents[at] = (at + 1, bytes(document))

    found = verify_chain(documents, CHAIN, anchor)

    assert found is not None
    assert found.sequence == at + 1
    # Without an anchor too, except in the newest; where it and the one before it disagree, either.
    alone = verify_chain(documents, CHAIN)
    if at < length - 1:
        assert alone is not None
        assert alone.sequence == at + 1
    else:
        assert alone is None or alone.sequence in (at, at + 1)


@given(lengths, st.data())
def test_a_removed_document_is_found_and_named(length: int, data: st.DataObject) -> None:
    documents = chain_of(length)
    anchor = newest(documents)
    at = data.draw(st.integers(0, length - 1))
    del documents[at]

    assert verify_chain(documents, CHAIN, anchor) == Break(at + 1, "is missing")
    renumbered = verify_chain(numbered(bytes_of(documents)), CHAIN, anchor)
    assert renumbered is not None
    assert renumbered.sequence == at + 1


@given(st.integers(2, 6), st.data())
def test_swapped_documents_are_found_and_the_first_is_named(
    length: int, data: st.DataObject
) -> None:
    documents = chain_of(length)
    one = data.draw(st.integers(0, length - 2))
    other = data.draw(st.integers(one + 1, length - 1))
    swapped = bytes_of(documents)
    swapped[one], swapped[other] = swapped[other], swapped[one]

    found = verify_chain(numbered(swapped), CHAIN)

    assert found == Break(one + 1, f"says of itself that it is {other + 1}")


@given(lengths, st.data())
def test_an_inserted_document_is_found_and_named(length: int, data: st.DataObject) -> None:
    documents = chain_of(length)
    anchor = newest(documents)
    at = data.draw(st.integers(0, length))
    # The best forgery: it says the right number, and continues what is before it.
    forged = json.loads(extended(documents[:at], at + 1)[at][1]) | {"found": "forged"}
    assume(at < length)  # after the newest it is one more drill, as far as anybody can tell
    documents.insert(at, (at + 1, json.dumps(forged).encode()))

    beside = verify_chain(documents, CHAIN, anchor)
    pushed = verify_chain(numbered(bytes_of(documents)), CHAIN, anchor)

    assert beside == Break(at + 1, "is there twice")
    assert pushed is not None
    assert pushed.sequence in (at + 1, at + 2)  # what was pushed back no longer says its number


@given(st.integers(2, 6), st.data())
def test_a_rewritten_end_is_found_by_what_is_known(length: int, data: st.DataObject) -> None:
    """Everything from one document on is made again, each with the right digest."""
    documents = chain_of(length)
    anchor = newest(documents)
    at = data.draw(st.integers(0, length - 1))
    forged = json.dumps(json.loads(documents[at][1]) | {"found": "forged"}).encode()
    rewritten = extended([*documents[:at], (at + 1, forged)], length)

    assert verify_chain(rewritten, CHAIN) is None
    found = verify_chain(rewritten, CHAIN, anchor)
    assert found is not None
    assert found.sequence == length
    assert "is not the one that is known" in found.why


def altered(documents: Documents, number: int, **fields: object) -> Documents:
    document = json.dumps(json.loads(documents[number - 1][1]) | fields).encode()
    return [*documents[: number - 1], (number, document), *documents[number:]]


OTHER = "arn:aws:dynamodb:eu-west-1:111122223333:table/other"


@pytest.mark.parametrize(
    ("alter", "broken"),
    [
        (lambda chain: altered(chain, 3, found="b"), "document 3 was altered: its digest is not"),
        (lambda chain: altered(chain, 3, previous="0" * 64), "document 3 was altered: neither"),
        (lambda chain: altered(chain, 5, previous="0" * 64), "document 4 is not what document 5"),
        (lambda chain: altered(chain, 3, sequence=4), "document 3 says of itself that it is 4"),
        (
            lambda chain: altered(chain, 2, resource=OTHER),
            f'document 2 is about another resource, "{OTHER}"',
        ),
        (lambda chain: altered(chain, 2, resource="\ud800"), "document 2 cannot be read: its res"),
        (lambda chain: altered(chain, 1, previous="00"), "document 1 names one before it"),
        (lambda chain: [*chain[:2], (3, b"?"), *chain[3:]], "document 3 cannot be read: it is no"),
        (lambda chain: altered(altered(chain, 4, found="b"), 2, found="b"), "document 2 was"),
        (
            lambda chain: [*altered(chain, 3, found="b")[:4], (5, b"?")],
            "document 3 is not what document 4 says: one of them",
        ),
        (lambda chain: [(0, chain[0][1]), *chain], "document 0 is none"),
        (lambda chain: extended([], 5, OTHER), "document 1 is about another resource"),
    ],
)
def test_the_first_break_is_named_with_what_is_wrong(
    alter: Callable[[Documents], Documents], broken: str
) -> None:
    assert str(verify_chain(alter(chain_of(5)), CHAIN)).startswith(broken)


def test_a_fork_after_what_is_known_is_named() -> None:
    documents = chain_of(3)
    forked = altered(documents, 3, previous="0" * 64)

    assert str(verify_chain(forked, CHAIN, newest(documents[:2]))) == (
        "document 3 does not continue document 2, which is as it is known"
    )


# ── Keys ──────────────────────────────────────────────────────────────────────────────────────────


def test_keys_never_change_and_are_read_back() -> None:
    key = naming.evidence_key(TABLE, 12)

    assert key == f"evidence/{CHAIN}/00000012.json"
    assert naming.evidence_page_key(TABLE, 12) == f"evidence/{CHAIN}/00000012.html"
    assert naming.parse_evidence_key(key) == (CHAIN, 12)
    assert naming.parse_evidence_key(naming.evidence_page_key(TABLE, 12)) is None
    assert naming.parse_evidence_key(f"{key}\n") is None
