"""What restored volumes are asked, and which answers pass. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from watchkeeper import naming
from watchkeeper.backups.model import Kind, Part, Place, RecoveryPoint, State
from watchkeeper.drills.blocks import SHOWN
from watchkeeper.drills.findings import gib
from watchkeeper.drills.model import Check, Level
from watchkeeper.drills.partitions import WITHOUT_FILE_SYSTEM
from watchkeeper.drills.volume_findings import Finding, Found, Looked

VERSION = 1
"""Of the checks in this file: raise it with every change of what they let pass."""
MOST_BLOCKS = 320
"""Hashes in one answer, of all volumes together: with what else is told of the most volumes that an
instance can have (27), they fit into the 20,000 characters that a verifier may answer.
"""
DIGITS = 16
"""Of each hash that a verifier answers."""
LEAST_FILES = 50
"""Percent of those that the last drill has found: a live system adds and removes files, and one
that has lost half of them is worth a look.
"""
CHECKED = {
    "ext2": "e2fsck -n", "ext3": "e2fsck -n", "ext4": "e2fsck -n", "XFS": "xfs_repair -n",
}  # fmt: skip
"""File systems, and what looks for damage in them."""
COUNTED = frozenset({*CHECKED, "FAT"})
"""Formats that have files a verifier can count."""
LVM = "LVM2"
WITHOUT_NAME = frozenset(WITHOUT_FILE_SYSTEM.values())
"""Purposes of partitions, of which blkid knows no format."""
NOTHING_INSIDE = frozenset({"GPT", "MBR", "swap", LVM, *WITHOUT_NAME})
"""Formats without files of their own; what LVM makes of its own is asked separately."""
NEWEST = "newest file"
POINT = "point"
"""In what a drill remembers, beside the names of its checks: when its recovery point was made."""


@dataclass(frozen=True)
class Made:
    """A volume that was restored, as EC2 shows it."""

    id: str
    snapshot: str
    gib: int
    key: str
    """The ARN of its KMS key; empty if it is not encrypted."""
    attached_to: str


@dataclass(frozen=True)
class Disk:
    """What a part of a recovery point must hold once it is restored."""

    source: str
    """The id of the volume that was backed up."""
    restored: str
    """The id of the volume that was made of it."""
    formats: Mapping[str, str]
    """By place: as its snapshot was found to be when it was first read."""
    hashes: Mapping[int, str]
    """SHA-256 of the blocks that are asked for, by number."""


def asked(hashes: Mapping[str, str], disks: int) -> dict[int, str]:
    """Of the blocks sampled of one of so many disks, those that a verifier is asked for."""
    numbers = sorted(int(number) for number in hashes)
    share = min(len(numbers), MOST_BLOCKS // disks)
    chosen = [numbers[one * len(numbers) // share] for one in range(share)]
    return {number: hashes[str(number)] for number in chosen}


# ── L2: what EC2 shows ────────────────────────────────────────────────────────────────────────────


def restored(point: RecoveryPoint, made: Sequence[Made]) -> list[Check]:
    """Whether every part became the volume that it should be."""
    by_snapshot = {one.snapshot: one for one in made}
    parts = [(part, by_snapshot.get(part.snapshot)) for part in point.parts]
    missing = [part.snapshot for part, one in parts if one is None]
    checks = [
        _check(
            "restored volumes",
            f"one of each of its {len(parts)} snapshots",
            f"{len(parts) - len(missing)}" + (f", none of {_listed(missing)}" if missing else ""),
            passed=bool(parts) and not missing,
            level=Level.RESTORE,
        ),
        *(_size(part, one) for part, one in parts),
        _attachments([one for _, one in parts if one], len(parts)),
    ]
    if point.keys:
        checks.append(_keys(point.keys, [one.key for _, one in parts if one]))
    return checks


def _size(part: Part, one: Made | None) -> Check:
    return _check(
        f"restored size of {part.volume}",
        f"{part.gib} GiB, as it was backed up",
        f"{one.gib} GiB" if one else "no volume",
        passed=one is not None and one.gib == part.gib,
        level=Level.RESTORE,
    )


def _attachments(made: Sequence[Made], parts: int) -> Check:
    held = [f"{one.id} to {one.attached_to}" for one in made if one.attached_to]
    return _check(
        "attachments",
        "no volume attached to anything: only its verifier may be, later",
        _listed(held) or f"{len(made)} volumes attached to nothing",
        passed=len(made) == parts and not held,
        level=Level.RESTORE,
    )


def _keys(expected: Sequence[str], found: Sequence[str]) -> Check:
    used = sorted(set(found) - {""})
    return _check(
        "restored keys",
        f"encrypted under {_listed(sorted(expected))}",
        _listed(used) or "nothing encrypted",
        passed=used == sorted(set(expected)),
        level=Level.RESTORE,
    )


# ── L3: what a verifier finds ─────────────────────────────────────────────────────────────────────


def looked(
    point: RecoveryPoint, disks: Sequence[Disk], finding: Finding, before: Mapping[str, str]
) -> list[Check]:
    """What was found on restored volumes, compared with their snapshots and the last drill's."""
    before = before if _is_newer(point, before) else {}
    checks: list[Check] = []
    for disk in disks:
        checks += _disk(disk, finding.of_disk(disk.restored), before)
    if any(LVM in disk.formats.values() for disk in disks):
        checks += _logical(finding.logical, before)
    if any({*COUNTED, LVM}.intersection(disk.formats.values()) for disk in disks):
        checks.append(_newest(finding.newest(point), before))
    return checks


def remembered(
    point: RecoveryPoint, disks: Sequence[Disk], finding: Finding, before: Mapping[str, str]
) -> dict[str, str]:
    """For the next drill: the files of each file system, and the newest time on any."""
    if not _is_newer(point, before):
        return dict(before)  # of a younger recovery point: that says more
    found = {
        f"files of {place} of {disk.source}": one
        for disk in disks
        for place, one in finding.of_disk(disk.restored).places.items()
    }
    found |= {f"files of {place}": one for place, one in finding.logical.places.items()}
    newest = finding.newest(point)
    return {
        POINT: naming.instant(point.created_at),
        **({NEWEST: naming.instant(newest)} if newest else {}),
        **{name: str(one.files) for name, one in found.items() if one.files},
    }


def _is_newer(point: RecoveryPoint, before: Mapping[str, str]) -> bool:
    """An older recovery point may well have fewer files than a younger one."""
    return naming.instant(point.created_at) >= before.get(POINT, "")


def _disk(disk: Disk, found: Looked, before: Mapping[str, str]) -> list[Check]:
    checks = [
        _check(
            f"look at the disk of {disk.source}",
            "read by the verifier",
            found.error or "read",
            passed=not found.error,
        ),
        _blocks(disk, found),
    ]
    for place, kept in sorted(disk.formats.items()):
        where, one = f"{place} of {disk.source}", found.places.get(place)
        checks.append(_format(where, kept, one))
        if kept not in NOTHING_INSIDE:
            checks += _inside(where, kept, one or Found(said="it is gone"), before)
    return checks


def _blocks(disk: Disk, found: Looked) -> Check:
    told = dict(zip(disk.hashes, found.hashes, strict=False))
    bad = [number for number, kept in disk.hashes.items() if told.get(number) != kept[:DIGITS]]
    numbers = _listed([str(number) for number in bad])
    return _check(
        f"restored blocks of {disk.source}",
        f"{len(disk.hashes)} blocks as its snapshot has them, by SHA-256",
        f"{len(bad)} different or not read: {numbers}" if bad else f"{len(disk.hashes)} equal",
        passed=bool(disk.hashes) and not bad,
        why="" if disk.hashes else "there are no hashes to compare with",
    )


def _format(where: str, kept: str, one: Found | None) -> Check:
    is_kept = one is not None and (one.format == kept or (kept in WITHOUT_NAME and not one.format))
    return _check(
        f"restored format of {where}",
        f"{kept}, as on its snapshot",
        (one.format or "nothing known here") if one else "it is gone",
        passed=is_kept,
        why=one.said if one else "",
    )


def _inside(where: str, kept: str, one: Found, before: Mapping[str, str]) -> list[Check]:
    if kept not in COUNTED:
        why = f"what is in {kept} no verifier can read"
        return [_check(f"file system of {where}", "one that can be read", kept, why=why)]
    asked = [_files(where, one, before)]
    if kept in CHECKED:
        asked.append(
            _check(
                f"file system of {where}",
                f"clean, by {CHECKED[kept]}",
                one.check if one.check in ("clean", "damaged") else "it could not be told",
                passed=one.check == "clean",
                why=one.said,
            )
        )
    return asked


def _files(where: str, one: Found, before: Mapping[str, str]) -> Check:
    name = f"files of {where}"
    then = int(before.get(name, "0"))
    least = max(1, then * LEAST_FILES // 100)
    since = f", {LEAST_FILES} % of the {then} that the last drill has found" if then else ""
    count, troubles = one.files or 0, []
    if one.files is None:
        troubles.append("it could not be mounted")
    if one.unread:
        troubles.append(f"{one.unread} directories could not be read")
    if not one.is_whole:
        troubles.append("the time was over before all were counted")
    return _check(
        name,
        f"at least {least}{since}",
        "; ".join([f"{count} files, {gib(one.size)}", *troubles]),
        passed=count >= least and not troubles,
        why=one.said or "a live system adds and removes files",
    )


def _logical(found: Looked, before: Mapping[str, str]) -> list[Check]:
    readable = {place: one for place, one in found.places.items() if one.format != "swap"}
    checks = [
        _check(
            "logical volumes",
            "at least one with a file system, on its physical volumes",
            found.error or f"{len(readable)}",
            passed=not found.error and bool(readable),
        )
    ]
    for place, one in sorted(readable.items()):
        checks += _inside(place, one.format or "nothing known here", one, before)
    return checks


def _newest(newest: datetime | None, before: Mapping[str, str]) -> Check:
    then = before.get(NEWEST, "")
    return _check(
        NEWEST,
        f"not before {then}, which an older recovery point holds"
        if then
        else "a time that is not after the recovery point",
        naming.instant(newest) if newest else "none",
        passed=newest is not None and naming.instant(newest) >= then,
        why="a directory is written to when a file in it goes, so that this time never goes back",
    )


def _check(
    name: str,
    expected: str,
    found: str,
    *,
    passed: bool = False,
    why: str = "",
    level: Level = Level.CHECK,
) -> Check:
    return Check(name, level, VERSION, expected, found, passed, why)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


# ── Negative controls ─────────────────────────────────────────────────────────────────────────────


def tampered() -> list[Check]:
    """Answers of every check to volumes that are there, and are not what they should be."""
    made = [Made("vol-2", "snap-2", 8, "", ""), Made("vol-3", "snap-1", 9, "another", "i-0")]
    damaged = {
        "format": "xfs", "check": "damaged", "files": 4, "unread": 1, "newest": 1,
        "said": "made up", "whole": False,
    }  # fmt: skip
    document = {
        "volumes": [
            {"volume": "vol-2", "error": "cannot be read"},
            {"volume": "vol-3", "hashes": ["f" * DIGITS],
             "places": [{"place": "disk", **damaged}]},
        ],
        "logical": {"error": "no volume group"},
    }  # fmt: skip
    return [
        *restored(STAND_IN, made),
        *looked(STAND_IN, DISKS, Finding.of(document), BEFORE),
    ]


def empty() -> list[Check]:
    """Answers of every check where nothing is: no volume, and disks that nobody has written to."""
    blank = [{"volume": "vol-3", "hashes": [None], "places": [{"place": "disk", "format": ""}]}]
    document = {"volumes": blank, "logical": {"places": []}}
    return [
        *restored(STAND_IN, []),
        *looked(STAND_IN, DISKS, Finding.of(document), {}),
    ]


DIGEST = "0" * 64
DISKS = (
    Disk("vol-0", "vol-2", {"disk": LVM}, {0: DIGEST}),
    Disk("vol-1", "vol-3", {"disk": "ext4"}, {0: DIGEST}),
)
STAND_IN = RecoveryPoint(
    resource="arn:aws:ec2:stand-in:000000000000:instance/i-0", id="0" * 16, kind=Kind.INSTANCE,
    created_at=datetime(2026, 1, 2, tzinfo=UTC), run="", plan="", place=Place("", ""),
    state=State.COMPLETED, parts=(Part("snap-0", "vol-0", 8), Part("snap-1", "vol-1", 8)),
    keys=("arn:aws:kms:stand-in:000000000000:key/0",),
)  # fmt: skip
YESTERDAY = naming.instant(STAND_IN.created_at - timedelta(days=1))
BEFORE = {POINT: YESTERDAY, NEWEST: YESTERDAY, "files of disk of vol-1": "100"}
