"""The script that looks at volumes, run as it is on a verifier: with files as disks, and in the
place of the system's tools such as refuse whatever would write to a disk.
"""

import ast
import base64
import gzip
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import watchkeeper.drills
from watchkeeper.aws.verifier_commands import LONGEST_COMMAND
from watchkeeper.drills import volume_checks
from watchkeeper.drills.blocks import BLOCK
from watchkeeper.drills.volume_checks import Disk
from watchkeeper.drills.volume_findings import Finding

SCRIPT = Path(watchkeeper.drills.__file__).parent / "scripts/look_at_volumes.py"
LONGEST = 20_000
UNTIL = 1_795_000_000
OLD = UNTIL - 3600
POINT = replace(volume_checks.STAND_IN, created_at=datetime.fromtimestamp(UNTIL, UTC))
TOOLS = {
    "udevadm": "",
    "blockdev": """
        case "$1" in
        --setro) for path; do : > "$WORLD/readonly/${path##*/}"; done;;
        --getsz) echo 2048;;
        esac""",
    "lsblk": """
        for path; do :; done
        /bin/cat "$WORLD/lsblk/${path##*/}" || exit 32""",
    "blkid": """
        for path; do :; done
        case "$path" in /dev/mapper/*) test -f "$WORLD/mapper/${path##*/}" || exit 4;; esac
        /bin/cat "$WORLD/blkid/${path##*/}" 2>/dev/null || exit 2""",
    "losetup": """
        case "$1" in
        --find) test -f "$3" || exit 1; : > "$WORLD/loops/9"; echo /dev/loop9;;
        --detach) test -e "$WORLD/mapper"/watchkeeper-* || /bin/rm "$WORLD/loops/9";;
        esac""",
    "dmsetup": """
        case "$1" in
        create) : > "$WORLD/mapper/$2";;
        remove) /bin/rm "$WORLD/mapper/$3";;
        esac""",
    "mount": """
        kind=$2 options=,$4, path=$5 folder=$6
        for wanted in ro nosuid nodev noexec; do
            case "$options" in *,$wanted,*) ;; *) echo "not $wanted"; exit 1;; esac
        done
        case "$path" in
        /dev/mapper/*) test -f "$WORLD/mapper/${path##*/}" || exit 1;;
        *) test -f "$WORLD/readonly/${path##*/}" || exit 1
           case "$kind,$options" in *,noload,*|*,norecovery,*|vfat,*|ext2,*) ;; *) exit 1;; esac;;
        esac
        test -f "$WORLD/unmountable" && { echo "wrong fs type"; exit 32; }
        /bin/cp -a "$WORLD/files/." "$folder/"
        : > "$WORLD/mounted/one" """,
    "umount": """
        /usr/bin/find "$1" -mindepth 1 -delete
        /bin/rm "$WORLD/mounted/one" """,
    "e2fsck": """
        case " $* " in *" -n "*) ;; *) exit 16;; esac
        /bin/cat "$WORLD/said" 2>/dev/null
        exit $(/bin/cat "$WORLD/code" 2>/dev/null || echo 0)""",
    "xfs_repair": """
        case " $* " in *" -n "*) ;; *) exit 16;; esac
        /bin/cat "$WORLD/said" 2>/dev/null
        exit $(/bin/cat "$WORLD/code" 2>/dev/null || echo 0)""",
}
LVM = {
    "vgchange": """
        case "$2 $*" in "n "*) /bin/rm -f "$WORLD/mapper/data-files"; exit;; esac
        case "$*" in *'read_only_volume_list=["data"]'*) ;; *) exit 5;; esac
        : > "$WORLD/mapper/data-files" """,
    "lvs": """
        echo "  WARNING: a device is missing" >&2
        echo '{"report": [{"lv": [{"lv_dm_path": "/dev/mapper/data-files",
              "vg_name": "data", "lv_name": "files"}]}]}' """,
}


@dataclass
class World:
    """An instance with disks."""

    folder: Path

    def __post_init__(self) -> None:
        for name in ("bin", "dev", "byid", "readonly", "lsblk", "blkid", "loops", "mapper",
                     "mounted", "files"):  # fmt: skip
            (self.folder / name).mkdir()
        self.has(**TOOLS)
        self.file("etc/hostname", b"shop-1", OLD)
        self.file("var/log/messages", b"x" * 100, UNTIL - 60)

    def has(self, **tools: str) -> None:
        for name, does in tools.items():
            tool = self.folder / "bin" / name
            tool.write_text(f"#!/bin/sh\n{does}\n")
            tool.chmod(0o755)

    def lacks(self, *tools: str) -> None:
        for name in tools:
            (self.folder / "bin" / name).unlink()

    def keeps(self, package: str, *tools: str) -> None:
        """In the repository of the distribution, and not here."""
        folder = self.folder / "repository" / package
        folder.mkdir(parents=True)
        for name in tools:
            (self.folder / "bin" / name).rename(folder / name)

    def says(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def file(self, name: str | bytes, content: bytes, at: float) -> None:
        """On whatever file system is mounted."""
        path = os.fsencode(self.folder / "files") + b"/" + os.fsencode(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 (bytes)
        with open(path, "wb") as made:  # noqa: PTH123
            made.write(content)
        os.utime(path, (at, at))
        while (path := os.path.dirname(path)) != os.fsencode(self.folder):  # noqa: PTH120
            os.utime(path, (OLD, OLD))

    def disk(self, volume: str, kinds: dict[str, str] | None = None, content: bytes = b"") -> str:
        """An attached volume; `kinds`: what blkid says, by the suffix of the partition."""
        name = f"nvme{volume[4:]}n1"
        path = self.folder / "dev" / name
        path.write_bytes(content or bytes(BLOCK) + b"\1" * BLOCK + b"\2" * BLOCK)
        link = "nvme-Amazon_Elastic_Block_Store_" + volume.replace("-", "")
        (self.folder / "byid" / link).symlink_to(path)
        kinds = {"": "TYPE=ext4"} if kinds is None else kinds
        parts = [{"name": f"{path}{one}", "type": "part"} for one in kinds if one]
        shown = {"name": str(path), "type": "disk", **({"children": parts} if parts else {})}
        self.says(f"lsblk/{name}", json.dumps({"blockdevices": [shown]}))
        for suffix, kind in kinds.items():
            if kind:
                self.says(f"blkid/{name}{suffix}", f"DEVNAME={path}{suffix}\n{kind}\n")
        return volume

    def run(self, *volumes: str, seconds: float = 60, blocks: tuple[int, ...] = ()) -> str:
        request = {
            "volumes": [{"id": one, "blocks": list(blocks)} for one in volumes],
            "until": UNTIL, "seconds": seconds,
        }  # fmt: skip
        packed = base64.b64encode(json.dumps(request).encode()).decode()
        before = self._disks()
        ended = subprocess.run(
            [sys.executable, str(SCRIPT), packed, str(self.folder / "byid")],
            env={"PATH": str(self.folder / "bin"), "WORLD": str(self.folder)},
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert (ended.returncode, ended.stderr) == (0, b"")
        assert self._disks() == before
        for kind in ("loops", "mapper", "mounted"):
            assert list((self.folder / kind).iterdir()) == [], f"{kind} were left"
        assert ended.stdout.isascii()
        assert ended.stdout.count(b"\n") == 1
        assert len(ended.stdout) <= LONGEST + 1
        return ended.stdout.decode()

    def looks(self, *volumes: str, **more: Any) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run(*volumes, **more))
        return found

    def looks_at_one(self, **more: Any) -> dict[str, Any]:
        """The one place of the one volume."""
        [[place]] = [one["places"] for one in self.looks("vol-0a", **more)["volumes"]]
        found: dict[str, Any] = place
        return found

    def _disks(self) -> dict[str, bytes]:
        return {one.name: one.read_bytes() for one in (self.folder / "dev").iterdir()}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


# --- what is found ----------------------------------------------------------------------------


def test_hashes_formats_and_files(world: World) -> None:
    kinds = {"": "PTTYPE=gpt", "p1": "TYPE=xfs", "p2": "TYPE=swap", "p127": "", "p128": "TYPE=vfat"}
    world.disk("vol-0a", kinds)
    world.disk("vol-0b", {"": "TYPE=ext4"}, b"\3" * (BLOCK + 1))

    found = world.looks("vol-0a", "vol-0b", blocks=(0, 1, 9))

    files = {"files": 2, "bytes": 106, "newest": UNTIL - 60, "unread": 0}
    assert found == {
        "volumes": [
            {
                "volume": "vol-0a",
                "hashes": [sha(bytes(BLOCK)), sha(b"\1" * BLOCK), None],
                "places": [
                    {"place": "disk", "format": "gpt"},
                    {"place": "partition 1", "format": "xfs", **files, "check": "clean"},
                    {"place": "partition 2", "format": "swap"},
                    {"place": "partition 127", "format": ""},
                    {"place": "partition 128", "format": "vfat", **files},
                ],
            },
            {
                "volume": "vol-0b",
                "hashes": [sha(b"\3" * BLOCK), None, None],
                "places": [{"place": "disk", "format": "ext4", **files, "check": "clean"}],
            },
        ]
    }


def test_a_time_in_the_future_hides_no_other(world: World) -> None:
    world.disk("vol-0a")
    world.file("future", b"", UNTIL + 1)

    assert world.looks_at_one()["newest"] == UNTIL - 60


def test_a_file_system_without_a_file(world: World) -> None:
    world.disk("vol-0a")
    for name in ("etc", "var"):
        subprocess.run(["/bin/rm", "-r", world.folder / "files" / name], check=True)

    assert world.looks_at_one()["files"] == 0


@pytest.mark.parametrize(
    ("has_overlay", "code", "check"),
    [
        (True, 0, "clean"),
        (True, 4, "damaged"),
        (True, 8, "unknown"),
        (False, 0, "clean"),
        (False, 4, "unknown"),  # its journal was not replayed
    ],
)
def test_what_a_check_says_is_believed_where_the_journal_was_replayed(
    world: World, has_overlay: bool, code: int, check: str
) -> None:
    world.disk("vol-0a")
    world.says("code", str(code))
    if not has_overlay:
        world.lacks("dmsetup")

    place = world.looks_at_one()

    assert (place["check"], place["files"]) == (check, 2)
    assert ("e2fsck ended with" in place.get("said", "")) == (code > 0)
    assert ("dmsetup cannot be run here" in place.get("said", "")) == (not has_overlay)


def test_partitions_are_read_as_they_lie_where_there_can_be_no_overlay(world: World) -> None:
    world.disk("vol-0a", {"": "PTTYPE=dos", "p1": "TYPE=ext4", "p2": "TYPE=xfs"})
    world.lacks("losetup")

    _, *places = world.looks("vol-0a")["volumes"][0]["places"]

    assert [(one["files"], one["check"]) for one in places] == [(2, "clean")] * 2


def test_logical_volumes(world: World) -> None:
    world.disk("vol-0a", {"": "TYPE=LVM2_member"})
    world.has(**LVM)
    world.says("blkid/data-files", "TYPE=ext4\n")

    logical = world.looks("vol-0a")["logical"]

    [place] = logical["places"]
    assert (place["place"], place["format"], place["files"]) == (
        "logical volume data/files",
        "ext4",
        2,
    )


# --- what goes wrong --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tool", "found"),
    [
        ("blockdev", {"error": "blockdev cannot be run here: No such file or directory"}),
        ("lsblk", {"error": "lsblk cannot be run here: No such file or directory"}),
        ("blkid", {"said": "blkid cannot be run here: No such file or directory"}),
        ("e2fsck", {"check": "unknown"}),
        ("mount", {"said": "mount cannot be run here: No such file or directory"}),
        ("losetup", {"check": "clean"}),
        ("udevadm", {"check": "clean"}),
    ],
)
def test_a_tool_that_is_missing(world: World, tool: str, found: dict[str, str]) -> None:
    world.disk("vol-0a")
    world.lacks(tool)

    [one] = world.looks("vol-0a")["volumes"]

    shown = {**one, **(one["places"][0] if "places" in one else {})}
    assert found.items() <= shown.items()
    assert ("files" in shown) == (tool not in ("blockdev", "lsblk", "blkid", "mount"))


def test_without_lvm_it_says_so(world: World) -> None:
    world.disk("vol-0a", {"": "TYPE=LVM2_member"})

    assert world.looks("vol-0a")["logical"] == {
        "error": "lvs cannot be run here: dnf cannot be run here: No such file or directory"
    }


DNF = """
    echo "$*" >> "$WORLD/installed"
    case "$*" in "install -y -q "*) ;; *) exit 1;; esac
    test -f "$WORLD/unreachable" && { echo "Error: Cannot download repomd.xml"; exit 1; }
    for package; do :; done
    /bin/cp "$WORLD/repository/$package/"* "$WORLD/bin/" """


def test_what_the_image_lacks_is_installed_once(world: World) -> None:
    world.disk("vol-0a", {"": "TYPE=LVM2_member"})
    world.disk("vol-0b", {"": "PTTYPE=gpt", "p1": "TYPE=xfs", "p2": "TYPE=xfs"})
    world.has(**LVM, dnf=DNF)
    world.says("blkid/data-files", "TYPE=ext4\n")
    world.keeps("lvm2", *LVM)
    world.keeps("xfsprogs", "xfs_repair")
    world.keeps("e2fsprogs", "e2fsck")
    world.keeps("device-mapper", "dmsetup")

    found = world.looks("vol-0a", "vol-0b")

    places = [*found["volumes"][1]["places"][1:], *found["logical"]["places"]]
    assert [(one["check"], one.get("said", "")) for one in places] == [("clean", "")] * 3
    assert sorted((world.folder / "installed").read_text().splitlines()) == [
        "install -y -q device-mapper",
        "install -y -q e2fsprogs",
        "install -y -q lvm2",
        "install -y -q xfsprogs",
    ]


def test_nothing_is_installed_that_is_there(world: World) -> None:
    world.disk("vol-0a", {"": "TYPE=LVM2_member"})
    world.disk("vol-0b", {"": "PTTYPE=gpt", "p1": "TYPE=xfs", "p2": "TYPE=ext4"})
    world.has(**LVM, dnf=DNF)

    world.looks("vol-0a", "vol-0b")

    assert not (world.folder / "installed").exists()


def test_what_could_not_be_examined_for_lack_of_a_tool_is_no_pass(world: World) -> None:
    world.has(dnf=DNF)
    world.says("unreachable", "")
    world.lacks("xfs_repair")
    disks = [
        Disk("vol-01", world.disk("vol-0a", {"": "TYPE=LVM2_member"}), {"disk": "LVM2"}, {}),
        Disk("vol-02", world.disk("vol-0b", {"": "TYPE=xfs"}), {"disk": "XFS"}, {}),
        Disk("vol-03", world.disk("vol-0c", {"": "TYPE=xfs"}), {"disk": "XFS"}, {}),
    ]

    found = Finding.of(world.looks("vol-0a", "vol-0b", "vol-0c"))

    checks = {one.name: one for one in volume_checks.looked(POINT, disks, found, {})}
    why = "cannot be run here: dnf ended with 1: Error: Cannot download repomd.xml"
    for name in ("file system of disk of vol-02", "file system of disk of vol-03"):
        assert (checks[name].passed, checks[name].why) == (False, f'"xfs_repair {why}"')
    assert checks["files of disk of vol-02"].passed
    assert not checks["logical volumes"].passed
    assert checks["logical volumes"].found == f'"lvs {why}"'
    assert (world.folder / "installed").read_text().count("xfsprogs") == 1


def test_what_lvm_refuses(world: World) -> None:
    world.disk("vol-0a", {"": "TYPE=LVM2_member"})
    world.has(**{**LVM, "lvs": LVM["lvs"] + "; exit 5"})

    assert world.looks("vol-0a")["logical"] == {"error": "lvs ended with 5"}


def test_what_cannot_be_mounted(world: World) -> None:
    world.disk("vol-0a")
    world.says("unmountable", "")

    place = world.looks_at_one()

    assert "files" not in place
    assert place["said"] == "mount ended with 32: wrong fs type"


def test_one_that_cannot_be_looked_at_keeps_nobody_from_the_others(world: World) -> None:
    for volume in ("vol-0a", "vol-0c", "vol-0d"):
        world.disk(volume)
    world.says("lsblk/nvme0cn1", '{"blockdevices": []}')

    found = world.looks("vol-0a", "vol-0b", "vol-0c", "vol-../../etc", "vol-0d")["volumes"]

    errors = {one["volume"]: one.get("error", "") for one in found}
    assert errors["vol-0b"] == "it is not attached to this instance"
    assert "lsblk shows what is not understood" in errors["vol-0c"]
    assert errors["vol-../../etc"] == "this is no volume"
    assert (errors["vol-0a"], errors["vol-0d"]) == ("", "")


def test_a_tool_that_hangs_takes_no_time_from_the_others(world: World) -> None:
    world.has(e2fsck="exec /bin/sleep 500")
    world.disk("vol-0a")
    world.disk("vol-0b", {"": "TYPE=xfs"})

    hung, other = world.looks("vol-0a", "vol-0b", seconds=12)["volumes"]

    assert hung["places"][0]["check"] == "unknown"
    assert hung["places"][0]["said"] == "e2fsck did not end in time"
    assert other["places"][0]["check"] == "clean"


# --- what is hostile --------------------------------------------------------------------------

HOSTILE = '\x1b]0;owned\x07\n{"volumes": []}\r\u202e<script>\ufffd"\\'


def test_names_on_a_disk_break_nothing_and_leave_nothing(world: World) -> None:
    world.disk("vol-0a")
    for name in (b"\xff\xfe\x80", b"new\nline", b"\x1b[2J", b"{}'\"$(reboot)", b"a" * 255):
        world.file(name, b"", OLD)
    deep = world.folder / "files"
    for _ in range(8):
        deep /= "d" * 250
    deep.mkdir(parents=True)
    os.symlink("/", world.folder / "files" / "loop")  # noqa: PTH211 (dangling or not)

    told = world.run("vol-0a")

    assert json.loads(told)["volumes"][0]["places"][0]["files"] == 8
    assert "reboot" not in told


def test_what_tools_repeat_of_a_disk_is_cut_and_made_plain(world: World) -> None:
    world.disk("vol-0a", {"": f"TYPE={HOSTILE}"})
    world.disk("vol-0b")
    world.says("code", "4")
    world.says("said", HOSTILE * 100_000)

    told = world.run("vol-0a", "vol-0b")

    assert "\\u" not in told
    first, second = json.loads(told)["volumes"]
    assert first["places"][0]["format"].isprintable()
    assert len(second["places"][0]["said"]) < 400


def test_what_has_no_room_is_said_to_be_left_out(world: World) -> None:
    kinds = {"": "PTTYPE=gpt", **{f"p{number}": "TYPE=swap" for number in range(1, 129)}}
    volumes = [world.disk(f"vol-{number:04x}", kinds) for number in range(4)]

    found = world.looks(*volumes)["volumes"]

    assert [one["volume"] for one in found] == volumes
    assert "error" not in found[0]
    assert found[-1]["error"] == "there was no room for it in the answer"


# --- how it gets there ------------------------------------------------------------------------


def test_it_knows_the_same_sizes() -> None:
    tree = ast.parse(SCRIPT.read_text())
    values = {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }

    assert eval(compile(ast.Expression(values["BLOCK"]), "", "eval")) == BLOCK
    assert ast.literal_eval(values["DIGITS"]) == volume_checks.DIGITS
    assert ast.literal_eval(values["LONGEST"]) == LONGEST


def test_the_largest_question_can_be_sent() -> None:
    share = range(0, 33_000_000, 3_000_000)  # block numbers of volumes of 16 TiB
    volumes = [{"id": f"vol-{number:017x}", "blocks": list(share)} for number in range(27)]
    request = {"volumes": volumes, "until": 1795400000.123, "seconds": 3300}

    packed = [gzip.compress(one) for one in (SCRIPT.read_bytes(), json.dumps(request).encode())]

    assert sum(len(base64.b64encode(one)) for one in packed) < LONGEST_COMMAND / 2
