"""What drills rely on, of chains of evidence: nobody forks them, and what came first stays."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from watchkeeper import naming
from watchkeeper.aws.errors import Throttled
from watchkeeper.aws.evidence import EvidenceStore
from watchkeeper.drills.evidence import digest
from watchkeeper.drills.verify import main

RATES = "arn:aws:dynamodb:eu-west-1:111122223333:table/rates"
ORDERS = "arn:aws:rds:eu-west-1:111122223333:db:orders"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
IN_A_WHILE = datetime(2120, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(bucket: str) -> EvidenceStore:
    return EvidenceStore(bucket)


def made(run: str, resource: str = RATES) -> Callable[[int, str], bytes]:
    def make(sequence: int, previous: str) -> bytes:
        link = {"resource": resource, "run": run, "sequence": sequence, "previous": previous}
        return json.dumps(link).encode()

    return make


def append(store: EvidenceStore, run: str, resource: str = RATES) -> tuple[int, bytes]:
    return store.append(resource, run, LONG_AGO, made(run, resource))


def put(store: EvidenceStore, key: str, body: bytes) -> None:
    """As somebody does who has the right to, and no regard for what is there."""
    s3: Any = boto3.client("s3")
    s3.put_object(Bucket=store.bucket, Key=key, Body=body, ChecksumAlgorithm="SHA256")


def runs(store: EvidenceStore, resource: str = RATES) -> list[str]:
    return [json.loads(store.read(one))["run"] for one in store.chain(resource)]


# ── Appending ─────────────────────────────────────────────────────────────────────────────────────


def test_every_document_names_the_digest_of_the_one_before(store: EvidenceStore) -> None:
    one, two = append(store, "one"), append(store, "two")

    assert one == (1, made("one")(1, ""))
    assert two == (2, made("two")(2, digest(one[1])))
    assert [store.read(stored) for stored in store.chain(RATES)] == [one[1], two[1]]


def test_resources_have_a_chain_each(store: EvidenceStore) -> None:
    append(store, "one")
    append(store, "one", ORDERS)
    append(store, "two")

    assert [len(chain) for chain in sorted(store.chains(), key=len)] == [1, 2]
    assert (runs(store), runs(store, ORDERS)) == (["one", "two"], ["one"])


def test_a_document_is_locked_from_its_first_moment(store: EvidenceStore) -> None:
    _, document = append(store, "one")

    found = boto3.client("s3").head_object(
        Bucket=store.bucket, Key=naming.evidence_key(RATES, 1), ChecksumMode="ENABLED"
    )
    assert found["ContentType"] == "application/json"
    assert base64.b64decode(found["ChecksumSHA256"]).hex() == digest(document)
    assert found["ObjectLockMode"] == "GOVERNANCE"
    kept = found["ObjectLockRetainUntilDate"] - found["LastModified"]
    assert abs(kept - timedelta(days=1)) < timedelta(minutes=1)


def test_a_drill_that_comes_back_finds_its_document(store: EvidenceStore) -> None:
    """The answer was lost, and other drills of the resource have ended since."""
    first = append(store, "one")
    append(store, "two")
    append(store, "three")

    assert append(store, "one") == first
    assert runs(store) == ["one", "two", "three"]


def test_who_has_only_begun_does_not_search_what_was_there_before(store: EvidenceStore) -> None:
    append(store, "one")
    append(store, "two")

    assert store.append(RATES, "one", IN_A_WHILE, made("one"))[0] == 3


def test_a_chain_goes_on_behind_what_cannot_be_read(store: EvidenceStore) -> None:
    append(store, "one")
    put(store, naming.evidence_key(RATES, 2), b"?")

    assert append(store, "three") == (3, made("three")(3, digest(b"?")))


@pytest.mark.parametrize("winner", ["other", "own"])
def test_who_is_overtaken_goes_behind_or_finds_its_own(store: EvidenceStore, winner: str) -> None:
    """Between the look at the chain and the write, another drill or the same one's twin writes."""
    append(store, "one")

    def overtaken(sequence: int, previous: str) -> bytes:
        if sequence == 2:
            append(store, winner)
        return made("own")(sequence, previous)

    sequence, _ = store.append(RATES, "own", LONG_AGO, overtaken)

    assert sequence == {"other": 3, "own": 2}[winner]
    assert runs(store) == {"other": ["one", "other", "own"], "own": ["one", "own"]}[winner]
    assert [one.versions for one in store.chain(RATES)] == [1] * len(runs(store))


def test_who_is_always_overtaken_comes_again_later(store: EvidenceStore) -> None:
    def overtaken(sequence: int, previous: str) -> bytes:
        append(store, f"other {sequence}")
        return made("own")(sequence, previous)

    with pytest.raises(Throttled, match="drills came first"):
        store.append(RATES, "own", LONG_AGO, overtaken)

    assert "own" not in runs(store)


def test_what_came_first_stays_the_document_whatever_is_done_to_its_key(
    store: EvidenceStore,
) -> None:
    first = append(store, "one")
    _, second = append(store, "two")
    put(store, naming.evidence_key(RATES, 1), made("forged")(1, ""))
    boto3.client("s3").delete_object(Bucket=store.bucket, Key=naming.evidence_key(RATES, 2))

    assert runs(store) == ["one", "two"]
    assert append(store, "one") == first
    assert append(store, "three") == (3, made("three")(3, digest(second)))
    assert [one.versions for one in store.chain(RATES)] == [2, 1, 1]


def test_the_first_page_of_a_document_stays(store: EvidenceStore) -> None:
    append(store, "one")
    store.write_page(RATES, 1, "<p>Zoë")
    store.write_page(RATES, 1, "<p>again")

    found = boto3.client("s3").get_object(
        Bucket=store.bucket, Key=naming.evidence_page_key(RATES, 1)
    )
    assert found["Body"].read().decode() == "<p>Zoë"
    assert found["ContentType"] == "text/html; charset=utf-8"
    assert runs(store) == ["one"]


# ── The command ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def verify(
    store: EvidenceStore, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, list[str]]]:
    def run(*arguments: str) -> tuple[int, list[str]]:
        code = main([store.bucket, *arguments])
        return code, sorted(capsys.readouterr().out.splitlines())

    return run


Verify = Callable[..., tuple[int, list[str]]]


def test_sound_chains_have_a_line_each(store: EvidenceStore, verify: Verify) -> None:
    append(store, "one")
    _, newest = append(store, "two")
    append(store, "one", ORDERS)
    today = f"{store.chain(RATES)[0].at:%Y-%m-%d}"

    code, lines = verify()
    assert code == 0
    assert lines[0] == (
        f"OK      {RATES}: 2 documents, {today} to {today}, newest 2:{digest(newest)}"
    )
    assert lines[1].startswith(f"OK      {ORDERS}: 1 document, ")

    code, [line] = verify("--resource", RATES, "--anchor", f"2:{digest(newest)}")
    assert (code, line) == (0, lines[0])


def test_a_broken_chain_is_named_and_the_others_are_still_checked(
    store: EvidenceStore, verify: Verify
) -> None:
    append(store, "one", ORDERS)
    for run in ("one", "two", "three"):
        append(store, run)
    put(store, naming.evidence_key(RATES, 4), b"?")
    put(store, naming.evidence_key(RATES, 3), b"?")

    code, [broken, sound] = verify()

    assert code == 1
    assert broken.startswith(f"BROKEN  {RATES}: 4 documents, ")
    assert broken.endswith(": document 3 was written 2 times: only the first of them counts")
    assert sound.startswith(f"OK      {ORDERS}")


def test_what_is_gone_for_good_is_missed(store: EvidenceStore, verify: Verify) -> None:
    for run in ("one", "two", "three"):
        append(store, run)
    gone = store.chain(RATES)[1]
    boto3.client("s3").delete_object(
        Bucket=store.bucket, Key=gone.key, VersionId=gone.version, BypassGovernanceRetention=True
    )

    code, [line] = verify()

    assert code == 1
    assert line.endswith(": document 2 is missing")
    assert append(store, "four")[0] == 4


def test_what_was_cut_off_is_missed_by_who_knows_it(store: EvidenceStore, verify: Verify) -> None:
    append(store, "one")

    code, [line] = verify("--resource", RATES, "--anchor", f"2:{'ab' * 32}")

    assert code == 1
    assert line.endswith(": document 2 is missing")


@pytest.mark.parametrize("arguments", [(), ("--resource", RATES)])
def test_no_evidence_is_no_good_sign(verify: Verify, arguments: tuple[str, ...]) -> None:
    code, [line] = verify(*arguments)

    assert code == 1
    assert line.endswith("there is no evidence at all")


@pytest.mark.usefixtures("aws")
def test_what_could_not_be_checked_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no-such-bucket-of-ours"]) == 2

    assert capsys.readouterr().err.startswith(
        "could not check no-such-bucket-of-ours: s3:ListObjectVersions answered NoSuchBucket"
    )


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("b", "--resource", RATES, "--anchor", "2:ab"), "write NUMBER:DIGEST"),
        (("b", "--anchor", f"2:{'ab' * 32}"), "name it with --resource"),
    ],
)
def test_half_a_question_is_refused(
    arguments: tuple[str, ...], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)

    assert why in capsys.readouterr().err
