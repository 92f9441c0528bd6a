"""Evidence as drills have written it, copied to a folder for an auditor, and broken there."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.drills import PLAIN, SECRET, Account, account, drill
from tests.crash.night import items
from watchkeeper.drills.verify import main

DRILLS = 4
"""Of PLAIN; of SECRET there is one."""


@pytest.fixture(scope="module")
def morning() -> Iterator[Account]:
    with account() as made:
        for _ in range(DRILLS):
            drill(made, PLAIN, "metadata")
        drill(made, SECRET, "metadata")
        yield made


@pytest.fixture
def folder(morning: Account, tmp_path: Path) -> Path:
    """What `aws s3 sync` makes of the bucket: pages and manifests, too."""
    s3 = morning.cloud.client("s3")
    for one in s3.list_objects_v2(Bucket=morning.bucket)["Contents"]:
        path = tmp_path / one["Key"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(s3.get_object(Bucket=morning.bucket, Key=one["Key"])["Body"].read())
    return tmp_path


def proof(made: Account, name: str) -> dict[str, str]:
    """The newest, as the table has it."""
    key = (f"PROOF#{made.arn(name)}", "LEVEL#metadata")
    return next(one for one in items(made.cloud) if (one["pk"], one["sk"]) == key)


def chain(folder: Path) -> list[Path]:
    """The documents of PLAIN."""
    chains = [sorted(one.glob("*.json")) for one in (folder / "evidence").iterdir()]
    return max(chains, key=len)


def flip_a_bit(documents: list[Path]) -> None:
    one = bytearray(documents[1].read_bytes())
    one[len(one) // 2] ^= 1
    documents[1].write_bytes(one)


def rewrite(documents: list[Path]) -> None:
    """Rewritten with its number and what is before it, so that it looks sound by itself."""
    told = json.loads(documents[1].read_bytes())
    documents[1].write_text(json.dumps({**told, "why": "most overdue"}))


def swap(documents: list[Path]) -> None:
    second = documents[1].read_bytes()
    documents[1].write_bytes(documents[2].read_bytes())
    documents[2].write_bytes(second)


def fork(documents: list[Path]) -> None:
    """Another drill that goes on from the first document, in the place of the second."""
    told = json.loads(documents[1].read_bytes())
    documents[1].write_text(json.dumps({**told, "run": "drill#by-hand#another#metadata"}))


def put_a_stranger_behind(documents: list[Path]) -> None:
    """A document of SECRET's, which has nothing before it."""
    other = next(
        path
        for path in documents[0].parents[1].rglob("*.json")
        if path.parent != documents[0].parent
    )
    (documents[0].parent / f"{DRILLS + 1:08d}.json").write_bytes(other.read_bytes())


BREAKS: dict[str, tuple[Callable[[list[Path]], object], str]] = {
    "one flipped bit": (flip_a_bit, "document 2 "),
    "rewritten": (rewrite, "document 2 was altered: its digest is not what document 3 says"),
    "forked": (fork, "document 2 was altered: its digest is not what document 3 says"),
    "the first is gone": (lambda found: found[0].unlink(), "document 1 is missing"),
    "one is gone": (lambda found: found[2].unlink(), "document 3 is missing"),
    "swapped": (swap, "document 2 says of itself that it is 3"),
    "moved": (
        lambda found: found[3].rename(found[3].with_name(f"{9:08d}.json")),
        f"document {DRILLS} is missing",
    ),
    "emptied": (lambda found: found[3].write_bytes(b""), "document 4 cannot be read"),
    "a stranger's": (put_a_stranger_behind, "document 5 is about another resource"),
}


def verify(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str]]:
    code = main(arguments)
    return code, capsys.readouterr().out.splitlines()


def test_what_drills_have_written_is_whole(
    morning: Account, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, lines = verify(capsys, "--folder", str(folder))
    newest = proof(morning, PLAIN)

    assert code == 0
    assert len(lines) == 2
    (plain,) = [line for line in lines if line.startswith(f"OK      {morning.arn(PLAIN)}: 4 ")]
    assert plain.endswith(f"newest {newest['sequence']}:{newest['digest']}")
    # The bucket itself says the same, but for the time that a copy's files have.
    in_bucket = verify(capsys, morning.bucket)
    assert (in_bucket[0], [one.split(",")[0] for one in in_bucket[1]]) == (
        0,
        [one.split(",")[0] for one in lines],
    )


@pytest.mark.parametrize("name", BREAKS)
def test_the_first_break_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    spoil, first = BREAKS[name]
    spoil(chain(folder))

    code, lines = verify(capsys, "--folder", str(folder))

    assert code == 1
    (broken,) = [line for line in lines if line.startswith("BROKEN  ")]
    assert f": {first}" in broken, broken
    assert len(lines) == 2  # SECRET's chain holds


def test_that_the_newest_is_cut_off_sees_who_has_its_digest(
    morning: Account, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chain(folder)[-1].unlink()
    newest = proof(morning, PLAIN)
    anchor = ("--anchor", f"{newest['sequence']}:{newest['digest']}")
    of_it = ("--folder", str(folder), "--resource", morning.arn(PLAIN))

    assert verify(capsys, *of_it)[0] == 0  # nothing in the copy tells
    code, [line] = verify(capsys, *of_it, *anchor)
    assert code == 1
    assert line.endswith(f": document {DRILLS} is missing")


def test_an_empty_folder_is_no_good_sign(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(capsys, "--folder", str(tmp_path)) == (
        1,
        [f"BROKEN  {tmp_path}: there is no evidence at all"],
    )
