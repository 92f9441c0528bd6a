"""Looks at the volumes that are attached to this instance, and prints what it found as one JSON
object. Runs on a verifier, as root, with the Python of Amazon Linux 2023 and nothing beside it.

    python3 look_at_volumes.py BASE64 [FOLDER OF DEVICES]

The argument is an object in JSON: `volumes`, each with its `id` and the numbers of `blocks`;
`until`, the time of their recovery point; and `seconds`, for everything. Printed are `volumes`,
each with its `hashes` and its `places`, or an `error`; and `logical`, what LVM makes of them.

It never writes to a volume: each is made read-only before anything else. Where a journal has to be
replayed, as in every snapshot of a mounted file system, an overlay takes the writes; where there
can be none, the file system is read as it lies, and what its check then complains of says nothing.

What is on a volume is somebody else's: nothing of it but numbers and the name of a format known
here leaves this script, beside the first words of what a tool has to say.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

DEVICES = "/dev/disk/by-id"
"""Where udev names disks for what they are:
https://docs.aws.amazon.com/ebs/latest/userguide/identify-nvme-ebs-device.html
"""
BLOCK = 512 * 1024
"""Bytes of a sampled block, as EBS snapshots are divided."""
DIGITS = 16
"""Of a SHA-256 in hex: 64 bits do not agree by chance, and the answer stays short."""
ROOM = 1024**3
"""Bytes for what an overlay takes: the largest journal that mkfs.ext4 makes, and as a sparse file
it uses what is written.
"""
MOST_FILES = 100_000
"""Counted in one file system: enough to tell an empty one, in a minute of reading."""
LONGEST = 20_000
"""Characters of the answer: Systems Manager gives the first 24,000,
https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetCommandInvocation.html
"""
HEARD, TOLD = 64 * 1024, 160
"""Bytes that are kept of what a tool says; characters of it in the answer."""
UNDO_SECONDS = 60
INSTALLED_WITHIN = 100
"""Seconds for one package: less than the share of the time that each of the most volumes has."""
PACKAGES = {
    "dmsetup": "device-mapper", "e2fsck": "e2fsprogs", "lvs": "lvm2", "xfs_repair": "xfsprogs",
}  # fmt: skip
"""By tool: where it comes from, if the image lacks it. Of Amazon's, that is lvm2."""
EXT = (("e2fsck", "-f", "-n"), 4)
CHECKS = {"ext2": EXT, "ext3": EXT, "ext4": EXT, "xfs": (("xfs_repair", "-n"), 1)}
"""By format: what looks for damage and mends nothing, and how its exit code says: there is some."""
OPTIONS = {"xfs": ",nouuid"}
"""This instance may have been started from the image that a volume was made from."""
AS_IT_LIES = {"ext3": ",noload", "ext4": ",noload", "xfs": ",norecovery"}
"""Mounting without replaying a journal."""
MOUNTED = (*CHECKS, "vfat")
LVM = "LVM2_member"


class Trouble(Exception):
    """Something could not be done; the message says what, for people."""


class Patience:
    """How long something may take. Then the tool that runs for it is killed, and no other begun."""

    def __init__(self, seconds: float) -> None:
        self.ends_at = time.monotonic() + seconds

    def left(self) -> float:
        return self.ends_at - time.monotonic()

    def run(self, *command: str, also_errors: bool = False) -> tuple[int, str]:
        """Its exit code and the beginning of what it says. Raises Trouble if it did not end."""
        if self.left() <= 0:
            raise Trouble("the time for this volume is over")
        lacking = install(command[0])
        errors = subprocess.STDOUT if also_errors else subprocess.DEVNULL
        try:
            process = subprocess.Popen(  # noqa: S603 (fixed names; no shell)
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                env={**os.environ, "LC_ALL": "C"},
            )  # fmt: skip
        except OSError as error:
            why = lacking or error.strerror
            raise Trouble(f"{command[0]} cannot be run here: {why}") from error
        timer = threading.Timer(self.left(), process.kill)
        timer.start()
        with process:
            assert process.stdout is not None  # noqa: S101 (it was asked for)
            heard = process.stdout.read(HEARD)
            while process.stdout.read(HEARD):  # a checker may have gigabytes to say
                pass
        timer.cancel()
        if self.left() <= 0:
            raise Trouble(f"{command[0]} did not end in time")
        return process.returncode, heard.decode("utf-8", "replace")

    def told(self, *command: str) -> str:
        """What it says. Raises Trouble if it failed."""
        code, heard = self.run(*command, also_errors=True)
        if code:
            raise Trouble(f"{command[0]} ended with {code}: {first_words(heard)}")
        return heard.strip()


def first_words(heard: str) -> str:
    """One line without anything that drives a terminal."""
    return re.sub(r"[^ -~]+", " ", heard).strip()[:TOLD]


def undo(*command: str) -> None:
    """However late it is; what stays goes with the instance."""
    with contextlib.suppress(Trouble):
        Patience(UNDO_SECONDS).run(*command)


@cache
def install(tool: str) -> str:
    """Unless it is there. Why it cannot be, if so: once is enough. From the distribution's own
    repository, which lies in S3:
    https://docs.aws.amazon.com/linux/al2023/ug/managing-repos-os-updates.html
    """
    if tool in PACKAGES and not shutil.which(tool):
        try:
            Patience(INSTALLED_WITHIN).told("dnf", "install", "-y", "-q", PACKAGES[tool])
        except Trouble as trouble:
            return str(trouble)
    return ""


# ── Disks ─────────────────────────────────────────────────────────────────────────────────────────


def look_at(
    volume: dict[str, Any], until: float, devices: Path, lvm: list[str], patience: Patience
) -> dict[str, Any]:
    """One volume: the hashes of the blocks that were asked for, and what lies where. What belongs
    to LVM is added to `lvm`.
    """
    if not re.fullmatch("vol-[0-9a-f]+", volume["id"]):
        raise Trouble("this is no volume")
    name = "nvme-Amazon_Elastic_Block_Store_" + volume["id"].replace("-", "")
    disk = str((devices / name).resolve())
    if not Path(disk).exists():
        raise Trouble("it is not attached to this instance")
    paths = {"disk": disk, **partitions_of(disk, patience)}
    patience.told("blockdev", "--setro", *paths.values())
    hashes = [hash_of(disk, number) for number in volume["blocks"]]
    places = [look_into(place, path, until, patience) for place, path in paths.items()]
    lvm.extend(paths[one["place"]] for one in places if one.get("format") == LVM)
    return {"hashes": hashes, "places": places}


def partitions_of(disk: str, patience: Patience) -> dict[str, str]:
    """Paths by place. The numbers are behind the disk's own name: nvme1n1p128, xvdf1."""
    heard = patience.told("lsblk", "--json", "--paths", "--output", "NAME,TYPE", disk)
    try:
        [shown] = json.loads(heard)["blockdevices"]
        paths = [one["name"] for one in shown.get("children", []) if one["type"] == "part"]
        return {f"partition {path[len(shown['name']) :].lstrip('p')}": path for path in paths}
    except (ValueError, KeyError) as error:
        raise Trouble(f"lsblk shows what is not understood: {first_words(heard)}") from error


def hash_of(disk: str, number: int) -> str | None:
    """None if the block cannot be read, or is not there."""
    with contextlib.suppress(OSError), Path(disk).open("rb", buffering=0) as opened:
        block = os.pread(opened.fileno(), BLOCK, number * BLOCK)
        if len(block) == BLOCK:
            return hashlib.sha256(block).hexdigest()[:DIGITS]
    return None


def format_of(path: str, patience: Patience) -> str:
    """In the words of blkid; empty if it knows nothing that begins so."""
    code, heard = patience.run("blkid", "-p", "-s", "TYPE", "-s", "PTTYPE", "-o", "export", path)
    if code not in (0, 2):  # 2 is: nothing found
        raise Trouble("blkid recognises more than one thing there, or cannot read it")
    found = dict(line.split("=", 1) for line in heard.splitlines() if "=" in line)
    return first_words(found.get("TYPE") or found.get("PTTYPE") or "")


def look_into(place: str, path: str, until: float, patience: Patience) -> dict[str, Any]:
    """One place of a disk, or a logical volume: its format; of a file system what is in it."""
    found: dict[str, Any] = {"place": place}
    try:
        found["format"] = format_of(path, patience)
        if found["format"] in MOUNTED:
            found.update(file_system(path, found["format"], until, patience))
    except Trouble as trouble:
        found["said"] = str(trouble)
    return found


# ── File systems ──────────────────────────────────────────────────────────────────────────────────


def file_system(path: str, kind: str, until: float, patience: Patience) -> dict[str, Any]:
    """Mounted first, because mounting replays the journal into the overlay, and then checked."""
    found: dict[str, Any] = {}
    said, options = [], OPTIONS.get(kind, "")
    with contextlib.ExitStack() as undone:
        folder = Path(undone.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp")))
        try:
            seen = overlay(path, folder, undone, patience)
        except Trouble as trouble:
            said.append(f"no overlay: {trouble}")
            seen, options = path, options + AS_IT_LIES.get(kind, "")
        try:
            found.update(files(seen, kind, options, folder / "mounted", until, patience))
        except Trouble as trouble:
            said.append(str(trouble))
        if kind in CHECKS:
            state, words = checked(seen, kind, patience)
            # Without its journal, a file system that was in use looks damaged.
            found["check"] = "unknown" if state == "damaged" and seen == path else state
            said += [words] if words else []
    if said:
        found["said"] = "; ".join(said)[: 2 * TOLD]
    return found


def overlay(path: str, folder: Path, undone: contextlib.ExitStack, patience: Patience) -> str:
    """A device that shows what the one at `path` holds, and keeps writes to itself."""
    store = folder / "writes"
    with store.open("wb") as made:
        made.truncate(ROOM)
    loop = patience.told("losetup", "--find", "--show", str(store))
    undone.callback(undo, "losetup", "--detach", loop)
    sectors = patience.told("blockdev", "--getsz", path)
    name = f"watchkeeper-{folder.name}"
    table = f"0 {sectors} snapshot {path} {loop} N 8"
    patience.told("dmsetup", "create", name, "--table", table)
    undone.callback(undo, "dmsetup", "remove", "--retry", name)
    return f"/dev/mapper/{name}"


def files(
    path: str, kind: str, options: str, folder: Path, until: float, patience: Patience
) -> dict[str, Any]:
    """Mount, count and unmount."""
    folder.mkdir()
    safe = "ro,nosuid,nodev,noexec"
    patience.told("mount", "-t", kind, "-o", safe + options, path, str(folder))
    try:
        return counted(folder, until, patience)
    finally:
        undo("umount", str(folder))


def counted(top: Path, until: float, patience: Patience) -> dict[str, Any]:
    """Everything but directories, the newest time in it that is not after `until`, and how many
    directories could not be read.
    """
    found = {"files": 0, "bytes": 0, "newest": 0, "unread": 0}
    waiting = [os.fsencode(top)]  # names are bytes, whatever they were meant to be
    while waiting and found["files"] < MOST_FILES:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if patience.left() <= 0:
                        return {**found, "whole": False}
                    status = entry.stat(follow_symlinks=False)
                    if found["newest"] < status.st_mtime <= until:
                        found["newest"] = int(status.st_mtime)
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                        continue
                    found["files"] += 1
                    found["bytes"] += status.st_size
        except OSError:
            found["unread"] += 1
    return found


def checked(path: str, kind: str, patience: Patience) -> tuple[str, str]:
    """`clean`, `damaged` or `unknown`, and what there is to say."""
    command, damage = CHECKS[kind]
    try:
        code, heard = patience.run(*command, path, also_errors=True)
    except Trouble as trouble:
        return "unknown", str(trouble)
    if code == 0:
        return "clean", ""
    words = f"{command[0]} ended with {code}: {first_words(heard)}"
    return "damaged" if code == damage else "unknown", words


# ── Logical volumes ───────────────────────────────────────────────────────────────────────────────


def logical(paths: list[str], until: float, patience: Patience) -> dict[str, Any]:
    """What LVM makes of these, for the time of a look."""
    allowed = ", ".join(json.dumps(f"a|^{re.escape(path)}$|") for path in paths)
    config = (
        f'devices {{ use_devicesfile=0 filter=[ {allowed}, "r|.*|" ] }}'
        " global { metadata_read_only=1 }"
    )
    rows = listed(config, patience)
    groups = sorted({row["vg_name"] for row in rows})
    only_read = f"{config} activation {{ read_only_volume_list={json.dumps(groups)} }}"
    names = {row["lv_dm_path"]: f"{row['vg_name']}/{row['lv_name']}" for row in rows}
    try:
        for group in groups:
            patience.told("vgchange", "--activate", "y", "--config", only_read, group)
        places = [
            look_into(f"logical volume {name}", path, until, patience)
            for path, name in names.items()
        ]
    finally:
        for group in groups:
            undo("vgchange", "--activate", "n", "--config", config, group)
    return {"places": places}


def listed(config: str, patience: Patience) -> list[dict[str, str]]:
    """All logical volumes, by their names and the path that each has once it is active."""
    columns = ("--reportformat", "json", "--options", "vg_name,lv_name,lv_dm_path")
    code, heard = patience.run("lvs", *columns, "--config", config)
    safe = re.compile("[A-Za-z0-9+_./-]*")  # what LVM lets names be made of
    with contextlib.suppress(ValueError, KeyError, IndexError):
        rows: list[dict[str, str]] = json.loads(heard)["report"][0]["lv"]
        if code == 0 and all(safe.fullmatch(text) for row in rows for text in row.values()):
            return rows
    raise Trouble(f"lvs ended with {code}")


# ── All of it ─────────────────────────────────────────────────────────────────────────────────────


def look(request: dict[str, Any], devices: Path) -> dict[str, Any]:
    """One that cannot be looked at keeps nobody from looking at the others."""
    undo("udevadm", "settle")  # what was attached a moment ago may have no name yet
    until, volumes = request["until"], request["volumes"]
    share = request["seconds"] / (len(volumes) + 1)
    lvm: list[str] = []
    answer: dict[str, Any] = {
        "volumes": [
            {"volume": one["id"], **within(share, partial(look_at, one, until, devices, lvm))}
            for one in volumes
        ]
    }
    if lvm:
        answer["logical"] = within(share, partial(logical, lvm, until))
    return answer


def within(seconds: float, do: Callable[[Patience], dict[str, Any]]) -> dict[str, Any]:
    try:
        return do(Patience(seconds))
    except (Trouble, OSError) as trouble:
        return {"error": str(trouble)[:TOLD]}


def fitting(answer: dict[str, Any]) -> str:
    """As JSON in plain ASCII. What there is no room for is said to be left out."""
    for volume in reversed(answer["volumes"]):
        if len(json.dumps(answer, separators=(",", ":"))) <= LONGEST:
            break
        named = volume["volume"]
        volume.clear()
        volume.update(volume=named, error="there was no room for it in the answer")
    return json.dumps(answer, separators=(",", ":"))


if __name__ == "__main__":
    asked = json.loads(base64.b64decode(sys.argv[1]))
    there = Path((sys.argv[2:] or [DEVICES])[0])
    sys.stdout.write(fitting(look(asked, there)) + "\n")
