"""What passes of restored volumes, and what does not: a table of good and bad ones."""

import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper import naming
from watchkeeper.backups.model import Kind, Part, Place, RecoveryPoint, State
from watchkeeper.drills import volume_checks
from watchkeeper.drills.controls import question
from watchkeeper.drills.model import Check
from watchkeeper.drills.volume_checks import Disk, Made, asked, looked, remembered, restored
from watchkeeper.drills.volume_findings import Finding

AT = datetime(2026, 11, 23, 2, tzinfo=UTC)
KEY = "arn:aws:kms:eu-west-1:111122223333:key/0"
ROOT, DATA, POOL = "vol-root", "vol-data", "vol-pool"
POINT = RecoveryPoint(
    resource="arn:aws:ec2:eu-west-1:111122223333:instance/i-0", id="0" * 16, kind=Kind.INSTANCE,
    created_at=AT, run="", plan="gold", place=Place("111122223333", "eu-west-1"),
    state=State.COMPLETED, keys=(KEY,),
    parts=(Part("snap-0", ROOT, 8), Part("snap-1", DATA, 100), Part("snap-2", POOL, 50)),
)  # fmt: skip
A, B = "a" * 64, "b" * 64
DISKS = [
    Disk(ROOT, "vol-0", {
        "disk": "GPT", "partition 1": "XFS", "partition 127": "BIOS boot", "partition 128": "FAT",
        "partition 2": "swap",
    }, {0: A, 24: B}),
    Disk(DATA, "vol-1", {"disk": "ext4"}, {7: B}),
    Disk(POOL, "vol-2", {"disk": "LVM2"}, {1: A}),
]  # fmt: skip
NEWEST = int((AT - timedelta(minutes=5)).timestamp())
BEFORE = {
    "point": naming.instant(AT - timedelta(days=1)),
    "newest file": naming.instant(AT - timedelta(days=1)),
    f"files of partition 1 of {ROOT}": "70000",
    f"files of disk of {DATA}": "900",
}


def inside(kind: str, files: int, **more: Any) -> dict[str, Any]:
    found = {"format": kind, "check": "clean", "files": files, "bytes": files * 1000}
    return {**found, "newest": NEWEST, "unread": 0, **more}


def good() -> dict[str, Any]:
    """What the script prints of volumes that are as they should be."""
    root = [
        {"place": "disk", "format": "gpt"},
        {"place": "partition 1", **inside("xfs", 60_000)},
        {"place": "partition 2", "format": "swap"},
        {"place": "partition 127", "format": ""},
        {"place": "partition 128", "format": "vfat", "files": 3, "bytes": 9, "unread": 0},
    ]
    return {
        "volumes": [
            {"volume": "vol-0", "hashes": [A[:16], B[:16]], "places": root},
            {"volume": "vol-1", "hashes": [B[:16]],
             "places": [{"place": "disk", **inside("ext4", 1000)}]},
            {"volume": "vol-2", "hashes": [A[:16]],
             "places": [{"place": "disk", "format": "LVM2_member"}]},
        ],
        "logical": {"places": [
            {"place": "logical volume data/files", **inside("ext4", 10)},
            {"place": "logical volume data/swap", "format": "swap"},
        ]},
    }  # fmt: skip


def all_made() -> list[Made]:
    return [
        Made("vol-0", "snap-0", 8, KEY, ""),
        Made("vol-1", "snap-1", 100, KEY, ""),
        Made("vol-2", "snap-2", 50, "", ""),  # one volume of an instance need not be encrypted
    ]


def failures(checks: list[Check]) -> set[str]:
    return {check.name for check in checks if not check.passed}


def failures_of(document: Any, before: dict[str, str] | None = None) -> set[str]:
    return failures(
        looked(POINT, DISKS, Finding.of(document), BEFORE if before is None else before)
    )


# --- L2 ---------------------------------------------------------------------------------------


def test_volumes_as_they_should_be() -> None:
    assert failures(restored(POINT, all_made())) == set()


BAD_VOLUMES: dict[str, tuple[Callable[[list[Made]], list[Made]], set[str]]] = {
    "one is missing": (
        lambda made: made[:2],
        {"restored volumes", f"restored size of {POOL}", "attachments"},
    ),
    "one is of another snapshot": (
        lambda made: [Made("vol-0", "snap-9", 8, KEY, ""), *made[1:]],
        {"restored volumes", f"restored size of {ROOT}", "attachments"},
    ),
    "one is smaller": (
        lambda made: [Made("vol-0", "snap-0", 7, KEY, ""), *made[1:]],
        {f"restored size of {ROOT}"},
    ),
    "one is larger": (
        lambda made: [Made("vol-0", "snap-0", 9, KEY, ""), *made[1:]],
        {f"restored size of {ROOT}"},
    ),
    "one is under another key": (
        lambda made: [Made("vol-0", "snap-0", 8, f"{KEY}1", ""), *made[1:]],
        {"restored keys"},
    ),
    "none is encrypted": (
        lambda made: [Made(one.id, one.snapshot, one.gib, "", "") for one in made],
        {"restored keys"},
    ),
    "one is attached": (
        lambda made: [Made("vol-0", "snap-0", 8, KEY, "i-production"), *made[1:]],
        {"attachments"},
    ),
}


@pytest.mark.parametrize("name", BAD_VOLUMES)
def test_volumes_as_they_should_not_be(name: str) -> None:
    spoil, caught = BAD_VOLUMES[name]

    assert failures(restored(POINT, spoil(all_made()))) == caught


# --- L3 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [BEFORE, {}], ids=["after another drill", "the first"])
def test_disks_as_they_should_be(before: dict[str, str]) -> None:
    assert failures_of(good(), before) == set()


def spoilt(volume: int, place: int, **changed: Any) -> dict[str, Any]:
    document = good()
    document["volumes"][volume]["places"][place].update(changed)
    return document


def without(*path: Any) -> dict[str, Any]:
    document = good()
    inner: Any = document
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    return document


def another(volume: int, **changed: Any) -> dict[str, Any]:
    document = good()
    document["volumes"][volume].update(changed)
    return document


OF_ROOT, OF_DATA = f"partition 1 of {ROOT}", f"disk of {DATA}"
EVERYTHING_OF_DATA = {
    f"look at the disk of {DATA}", f"restored blocks of {DATA}", f"restored format of {OF_DATA}",
    f"files of {OF_DATA}", f"file system of {OF_DATA}",
}  # fmt: skip
BAD_DISKS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "one flipped byte": (
        another(0, hashes=[A[:16], "c" * 16]), {f"restored blocks of {ROOT}"}
    ),
    "a block that cannot be read": (
        another(0, hashes=[A[:16], None]), {f"restored blocks of {ROOT}"}
    ),
    "fewer hashes than asked for": (another(0, hashes=[A[:16]]), {f"restored blocks of {ROOT}"}),
    "hashes in another order": (
        another(0, hashes=[B[:16], A[:16]]), {f"restored blocks of {ROOT}"}
    ),
    "damaged": (
        spoilt(0, 1, check="damaged", said="xfs_repair ended with 1"), {f"file system of {OF_ROOT}"}
    ),
    "a check that was not possible": (
        spoilt(0, 1, check="unknown", said="xfs_repair cannot be run here"),
        {f"file system of {OF_ROOT}"},
    ),
    "it cannot be mounted": (
        spoilt(1, 0, files=None, newest=0, said="mount ended with 32"), {f"files of {OF_DATA}"}
    ),
    "no file": (spoilt(1, 0, files=0), {f"files of {OF_DATA}"}),
    "half of the files": (spoilt(1, 0, files=449), {f"files of {OF_DATA}"}),
    "a directory that cannot be read": (spoilt(1, 0, unread=1), {f"files of {OF_DATA}"}),
    "not counted to the end": (spoilt(1, 0, whole=False), {f"files of {OF_DATA}"}),
    "another file system": (spoilt(1, 0, format="xfs"), {f"restored format of {OF_DATA}"}),
    "an unknown format": (spoilt(1, 0, format="zfs"), {f"restored format of {OF_DATA}"}),
    "an unpartitioned disk": (
        another(0, places=[{"place": "disk", "format": ""}]),
        {
            *(f"restored format of {place} of {ROOT}" for place in DISKS[0].formats),
            f"files of {OF_ROOT}", f"file system of {OF_ROOT}", f"files of partition 128 of {ROOT}",
        },
    ),
    "a file system where boot code was": (
        spoilt(0, 3, format="xfs"), {f"restored format of partition 127 of {ROOT}"}
    ),
    "swap that is gone": (
        spoilt(0, 2, format=""), {f"restored format of partition 2 of {ROOT}"}
    ),
    "a volume that was not attached": (
        another(1, error="it is not attached to this instance"), EVERYTHING_OF_DATA
    ),
    "a volume that is not told of": (without("volumes", 1), EVERYTHING_OF_DATA),
    "no logical volumes": (without("logical"), {"logical volumes"}),
    "no physical volume that LVM knows": (
        {**good(), "logical": {"error": "lvs cannot be run here"}}, {"logical volumes"}
    ),
    "a logical volume of nothing known": (
        {**good(), "logical": {"places": [{"place": "logical volume a/b", "format": ""}]}},
        {"file system of logical volume a/b"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_DISKS)
def test_disks_as_they_should_not_be(name: str) -> None:
    document, caught = BAD_DISKS[name]

    assert failures_of(document) == caught


def test_a_file_system_without_a_file_was_no_better_before() -> None:
    assert failures_of(spoilt(1, 0, files=0), {}) == {f"files of {OF_DATA}"}


def test_names_that_a_verifier_makes_up_are_left_out() -> None:
    made_up = {"place": "logical volume <b>/x", **inside("ext4", 9)}

    assert failures_of({**good(), "logical": {"places": [made_up]}}) == {"logical volumes"}


def test_an_older_recovery_point_is_not_compared_with_a_younger_and_is_not_remembered() -> None:
    younger = {**BEFORE, "point": naming.instant(AT + timedelta(days=1))}
    document = spoilt(1, 0, files=5)

    assert failures_of(document, younger) == set()
    assert remembered(POINT, DISKS, Finding.of(document), younger) == younger


def test_older_than_the_last_drill_found() -> None:
    document = good()
    for one in (*document["volumes"], document["logical"]):
        for place in one["places"]:
            place["newest"] = int((AT - timedelta(days=2)).timestamp())

    assert failures_of(document) == {"newest file"}


@pytest.mark.parametrize("format_", ["LUKS", "NTFS"])
def test_a_disk_that_no_verifier_can_read_is_no_pass(format_: str) -> None:
    told = {"crypto_LUKS": "LUKS", "ntfs": "NTFS"}
    [word] = [one for one, name in told.items() if name == format_]
    disk = Disk(DATA, "vol-1", {"disk": format_}, {7: B})
    document = spoilt(1, 0, format=word)

    assert failures(looked(POINT, [disk], Finding.of(document), {})) == {
        f"file system of disk of {DATA}"
    }


def test_without_any_hash_nothing_was_compared() -> None:
    disk = Disk(DATA, "vol-1", {"disk": "ext4"}, {})

    assert failures(looked(POINT, [disk], Finding.of(another(1, hashes=[])), {})) == {
        f"restored blocks of {DATA}"
    }


def test_without_an_answer_every_check_fails_and_says_why() -> None:
    checks = looked(POINT, DISKS, Finding.of(None, "the verifier did not answer"), BEFORE)

    assert all(not check.passed for check in checks)
    assert "the verifier did not answer" in {check.found for check in checks}


def test_a_time_after_the_recovery_point_proves_nothing() -> None:
    document = spoilt(1, 0, newest=int((AT + timedelta(days=900)).timestamp()))

    assert Finding.of(document).newest(POINT) == datetime.fromtimestamp(NEWEST, UTC)


def test_what_the_next_drill_is_compared_with() -> None:
    assert remembered(POINT, DISKS, Finding.of(good()), BEFORE) == {
        "point": naming.instant(AT),
        "newest file": naming.instant(AT - timedelta(minutes=5)),
        f"files of {OF_ROOT}": "60000",
        f"files of partition 128 of {ROOT}": "3",
        f"files of {OF_DATA}": "1000",
        "files of logical volume data/files": "10",
    }


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=20,
)


@given(st.data())
def test_whatever_a_verifier_tells_nothing_breaks_and_nothing_passes_by_it(data: Any) -> None:
    """One value anywhere in a good answer becomes anything."""
    document: Any = copy.deepcopy(good())
    inner: Any = document
    while isinstance(inner, dict | list) and inner:
        keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(inner[key], dict | list) or data.draw(st.booleans()):
            inner[key] = data.draw(junk)
            break
        inner = inner[key]
    finding = Finding.of(document)

    checks = looked(POINT, DISKS, finding, BEFORE)
    remembered(POINT, DISKS, finding, BEFORE)

    assert all(check.name.isascii() for check in checks)
    newest = finding.newest(POINT)
    assert newest is None or newest <= AT


# --- which blocks -----------------------------------------------------------------------------


@pytest.mark.parametrize("disks", [1, 4, 27])
def test_the_blocks_of_all_disks_fit_into_one_answer(disks: int) -> None:
    hashes = {str(number): A for number in range(0, 9000, 100)}

    chosen = asked(hashes, disks)

    assert set(chosen) <= {int(one) for one in hashes}
    assert list(chosen) == sorted(chosen)
    assert len(chosen) == min(len(hashes), volume_checks.MOST_BLOCKS // disks)
    assert max(chosen) >= 8000  # all over the disk


def test_of_nothing_sampled_nothing_is_asked() -> None:
    assert asked({}, 3) == {}


# --- negative controls ------------------------------------------------------------------------


@pytest.mark.parametrize("stand_in", [volume_checks.tampered, volume_checks.empty])
def test_every_check_fails_on_what_is_tampered_and_on_what_is_empty(
    stand_in: Callable[[], list[Check]],
) -> None:
    ever = {
        (question(check), check.version)
        for check in (*restored(POINT, all_made()), *looked(POINT, DISKS, Finding.of(good()), {}))
    }
    refused = {(question(check), check.version) for check in stand_in() if not check.passed}

    assert ever - refused == set()
