"""Volumes, and all volumes of an instance together: restored from their snapshots, attached to a
verifier, looked into.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from string import ascii_lowercase

from watchkeeper import naming
from watchkeeper.aws.ebs_blocks import SnapshotBlocks
from watchkeeper.aws.errors import NotThere
from watchkeeper.aws.objects import Manifests
from watchkeeper.aws.restores_ec2 import (
    RestoredVolume,
    RestoredVolumes,
    VolumeDismantler,
    VolumeRestorer,
)
from watchkeeper.aws.verifier_commands import TAKES_AT_MOST
from watchkeeper.backups.model import Service
from watchkeeper.drills import sampled, volume_checks
from watchkeeper.drills.model import Check
from watchkeeper.drills.restoring import Answers, Facts, Left, Pending, Restoring, Stands, State
from watchkeeper.drills.sampled import Sampled
from watchkeeper.drills.verifier import Verifier
from watchkeeper.drills.volume_checks import Disk, Made
from watchkeeper.drills.volume_findings import Finding

CREATING, ERROR = "creating", "error"
GOING = frozenset({"deleting", "deleted"})
SCRIPT = "look_at_volumes"
SECONDS = int((TAKES_AT_MOST - timedelta(minutes=5)).total_seconds())
"""That the script gives itself: it tells what it has found before it is ended."""
DEVICES = (
    *(f"/dev/sd{letter}" for letter in ascii_lowercase[ascii_lowercase.index("f") :]),
    *(f"/dev/xvdb{letter}" for letter in ascii_lowercase),
)
"""More than an instance takes; the first are those that EC2 recommends.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/device_naming.html
"""


class Volumes:
    """Restores what EC2 keeps as snapshots."""

    service = Service.EC2

    def __init__(
        self,
        restorer: VolumeRestorer,
        shown: RestoredVolumes,
        dismantler: VolumeDismantler,
        blocks: SnapshotBlocks,
        manifests: Manifests,
        verifier: Verifier,
    ) -> None:
        self.restorer = restorer
        self.shown = shown
        self.dismantler = dismantler
        self.blocks = blocks
        self.manifests = manifests
        self.verifier = verifier

    def ask(self, one: Restoring, /) -> str:
        """EC2 takes all at once, and the same again by their client tokens."""
        for part in one.point.parts:
            self.restorer.restore(part.snapshot, one.tags)
        return ""

    def stands(self, one: Restoring, /) -> Stands:
        made = self._all(one)
        for each in made:
            if each.state in GOING:
                raise _not_shown(f"{each.id} is being deleted")
            if each.state == ERROR:
                # EC2 does not say why. The first to suspect: "the action can appear to complete,
                # but eventually fails" without the key,
                # https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVolume.html
                why = f"EC2 shows {each.id}, made of {each.snapshot}, in error: its key, perhaps"
                return Stands(State.BROKEN, why)
        coming = [each for each in made if each.state == CREATING]
        if coming:
            return Stands(State.COMING, f"EC2 to create {len(coming)} of {len(made)} volumes")
        arrived = all(each.initialised in (None, 100) for each in made)
        return Stands(State.AVAILABLE, is_initialised=arrived)

    def secure(self, _one: Restoring, _facts: Facts, _now: datetime, /) -> Pending | Facts:
        """Nothing on a disk opens anything by itself, and its verifier reaches nothing."""
        return {}

    def checks(self, one: Restoring, /) -> list[Check]:
        made = [
            Made(each.id, each.snapshot, each.gib, each.key, each.attached_to)
            for each in self._made(one).values()
        ]
        return volume_checks.restored(one.point, made)

    def examine(self, one: Restoring, facts: Facts, now: datetime, /) -> Pending | Answers:
        known = sampled.kept(one.point, self.manifests)
        if not known:
            # Nobody has read its snapshots yet: what is no disk there need not be attached.
            known, checks = sampled.read(one.point, None, self.blocks, self.manifests)
            if not all(check.passed for check in checks):
                return Answers(checks)
        made = self._all(one)
        disks = _disks(one, made, known)
        attach = partial(self._attach, made)
        told = self.verifier.answer(one, SCRIPT, _request(one, disks), facts, now, attach)
        if isinstance(told, Pending):
            return told
        finding = Finding.of(told.document, told.why)
        return Answers(
            volume_checks.looked(one.point, disks, finding, one.before),
            finding.newest(one.point),
            volume_checks.remembered(one.point, disks, finding, one.before),
        )

    def left(self) -> Sequence[Left]:
        return [
            Left(
                what=f"volume {each.id}",
                drill=each.tags[naming.TAG_DRILL],
                stack=each.tags.get(naming.TAG_STACK, ""),
                expires_at=naming.expires_at(each.tags),
                thing=each,
            )
            for each in self.shown.volumes()
        ]

    def remove(self, left: Left, _now: datetime, /) -> str:
        volume: RestoredVolume = left.thing
        if volume.attached_to:
            return f"{volume.attached_to} to be gone, which it is attached to"
        return self.dismantler.delete(volume)

    # ── Its volumes ───────────────────────────────────────────────────────────────────────────────

    def _made(self, one: Restoring) -> dict[str, RestoredVolume]:
        """By snapshot, as far as EC2 shows them; the verifier's own disk has the same tag."""
        snapshots = {part.snapshot for part in one.point.parts}
        shown = self.shown.volumes(one.name)
        return {each.snapshot: each for each in shown if each.snapshot in snapshots}

    def _all(self, one: Restoring) -> list[RestoredVolume]:
        """One per part, in their order. Raises NotThere unless all are shown."""
        made = self._made(one)
        if missing := [one.snapshot for one in one.point.parts if one.snapshot not in made]:
            raise _not_shown(f"no volume made of {', '.join(missing)} is shown")
        return [made[part.snapshot] for part in one.point.parts]

    def _attach(self, made: Sequence[RestoredVolume], instance_id: str) -> str:
        """All of them at once; always under the same names."""
        waits = [
            self.restorer.attach(volume, instance_id, device)
            for volume, device in zip(made, DEVICES, strict=False)
        ]
        return next(filter(None, waits), "")


def _disks(
    one: Restoring, made: Sequence[RestoredVolume], known: Mapping[str, Sampled]
) -> list[Disk]:
    pairs = [
        (part.volume, volume, known.get(part.volume, Sampled(0)))
        for part, volume in zip(one.point.parts, made, strict=True)
    ]
    return [
        Disk(source, volume.id, kept.formats, volume_checks.asked(kept.hashes, len(pairs)))
        for source, volume, kept in pairs
    ]


def _request(one: Restoring, disks: Sequence[Disk]) -> dict[str, object]:
    """Which blocks, and not what is in them: who is asked cannot know what passes."""
    return {
        "volumes": [{"id": disk.restored, "blocks": list(disk.hashes)} for disk in disks],
        "until": one.point.created_at.timestamp(),
        "seconds": SECONDS,
    }


def _not_shown(why: str) -> NotThere:
    return NotThere("ec2:DescribeVolumes", "InvalidVolume.NotFound", why)
