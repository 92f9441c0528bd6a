"""Volumes, alone or as the set of an instance, restored beside their originals.

Nothing is written down beside a snapshot of a volume: what is known of its settings is what the
original still shows when the recovery begins.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from watchkeeper import naming
from watchkeeper.aws.errors import NotThere, Refused
from watchkeeper.aws.recover_ec2 import OriginalVolumes, RecoveredVolume, VolumeRecoverer
from watchkeeper.backups.model import Kind, Part, RecoveryPoint, Service
from watchkeeper.drills.restoring import Stands, State
from watchkeeper.recovery.model import (
    ByHand,
    Change,
    Difference,
    Handover,
    Recovering,
    Settings,
    command,
    is_same,
    shown,
    theirs,
)

DEFAULT = {"VolumeType": "gp3"}
"""Of a volume that is gone: the one type that suits any use, and has no credits to run out of."""
TAG_VALUE = 256
"""The longest value that EC2 takes for a tag."""


@dataclass(frozen=True)
class Ec2Recoverer:
    recoverer: VolumeRecoverer
    originals: OriginalVolumes

    service = Service.EC2
    longest_name = TAG_VALUE

    def original(self, point: RecoveryPoint, zone: str, /) -> Settings:
        """The zone, and what is left of the volumes and of their instance."""
        volumes = self.originals.volumes(part.volume for part in point.parts)
        instance: Mapping[str, object] = {}
        if point.kind is Kind.INSTANCE:
            with suppress(NotThere):
                instance = self.originals.instance(naming.ec2_id(point.resource))
        zones = [str(one["zone"]) for one in (*volumes.values(), instance) if one]
        if not (chosen := zone or next(iter(zones), "")):
            why = (
                "the original is gone, and with it its availability zone: ask again, under another "
                'request_id, with the zone that it is needed in, as "zone": "us-east-1a"'
            )
            raise Refused("ec2:DescribeVolumes", "ZoneUnknown", why)
        return {"zone": chosen, "volumes": volumes, "instance": instance}

    def ask(self, one: Recovering, /) -> str:
        for part in one.point.parts:
            told = _told(one.settings["volumes"].get(part.volume))
            named = {**one.tags, "Name": _name(one, part)}
            self.recoverer.restore(part.snapshot, one.settings["zone"], told, named)
        return ""

    def stands(self, one: Recovering, /) -> Stands:
        """The least ready of them. All of them are looked for: Describe shows one after another."""
        made = self._made(one)
        if not made:
            raise NotThere("ec2:DescribeVolumes", "InvalidVolume.NotFound", one.name)
        if broken := [found.id for found in made.values() if found.state == "error"]:
            why = f"EC2 shows {', '.join(broken)} in error: can the key of the snapshot be used?"
            return Stands(State.BROKEN, why)
        if missing := [part.volume for part in one.point.parts if part.volume not in made]:
            return Stands(State.COMING, f"EC2 to show what is restored of {', '.join(missing)}")
        if coming := [found.id for found in made.values() if found.state == "creating"]:
            return Stands(State.COMING, f"{', '.join(coming)} to be available")
        return Stands(State.AVAILABLE)

    def _made(self, one: Recovering) -> Mapping[str, RecoveredVolume]:
        """By the id of the original."""
        of = {part.snapshot: part.volume for part in one.point.parts}
        made = self.recoverer.made(one.name)
        return {of[found.snapshot]: found for found in made if found.snapshot in of}

    def found(self, one: Recovering, /) -> Settings:
        made = self._made(one)
        return {
            "volumes": {of: found.shown for of, found in made.items()},
            "ids": {of: found.id for of, found in made.items()},
            "tags": {of: theirs(found.tags) for of, found in made.items()},
            "originals": {
                of: theirs(tags) for of, tags in self.originals.tags(made).items()
            },
        }  # fmt: skip

    def changes(self, one: Recovering, found: Settings, /) -> list[Change]:
        """Tags: of what a client token has made once, each attempt must say the same, and the
        original's may change meanwhile.
        """
        return [
            Change(f"tags of {of}", found["ids"][of], missing)
            for of, tags in found["originals"].items()
            if (missing := _missing(one, tags, found["tags"][of]))
        ]

    def change(self, _one: Recovering, change: Change, /) -> str:
        self.recoverer.tag(change.what, change.arguments)
        return ""

    def differences(self, one: Recovering, found: Settings, /) -> list[Difference]:
        wanted = one.settings["volumes"]
        return [
            difference
            for part in one.point.parts
            for difference in _differences(
                part.volume, wanted.get(part.volume), found["volumes"].get(part.volume, {})
            )
        ]

    def handover(self, one: Recovering, /) -> Handover:
        made = self._made(one)
        lines = tuple(
            f"volume {found.id} in {found.shown['zone']}, from {found.snapshot} of {of}"
            for of, found in sorted(made.items())
        )
        removal = tuple(
            command("aws", "ec2", "delete-volume", "--volume-id", found.id)
            for _, found in sorted(made.items())
        )
        return Handover(lines, tuple(_cut_over(one, made)), removal)


def _told(original: Settings | None) -> dict[str, object]:
    """EC2 takes IOPS and throughput only of types that have them, and shows them of others."""
    if original is None:
        return dict(DEFAULT)
    kind = original["VolumeType"]
    told: dict[str, object] = {"VolumeType": kind}
    if kind in ("gp3", "io1", "io2") and original["Iops"]:
        told["Iops"] = original["Iops"]
    if kind == "gp3" and original["Throughput"]:
        told["Throughput"] = original["Throughput"]
    if original["MultiAttachEnabled"]:
        told["MultiAttachEnabled"] = True
    return told


def _name(one: Recovering, part: Part) -> str:
    return f"{part.volume} restored of {one.point.created_at:%Y-%m-%d %H:%M} UTC"[:TAG_VALUE]


def _missing(one: Recovering, original: Mapping[str, str], are: Mapping[str, str]) -> Settings:
    """The original's tags that it has not; it keeps the name that says what it is."""
    wanted = one.with_originals(original)
    return {
        key: value
        for key, value in wanted.items()
        if key not in one.tags and key != "Name" and are.get(key) != value
    }


def _differences(of: str, wanted: Settings | None, found: Settings) -> Iterator[Difference]:
    if wanted is None:
        unknown = "unknown: the original is gone"
        yield Difference(f"VolumeType of {of}", unknown, shown(found.get("VolumeType")))
        return
    for name in (*_told(wanted), "key", "zone"):
        if not is_same(wanted[name], found.get(name)):
            yield Difference(f"{name} of {of}", shown(wanted[name]), shown(found.get(name)))


# ── For people ────────────────────────────────────────────────────────────────────────────────────


def _cut_over(one: Recovering, made: Mapping[str, RecoveredVolume]) -> Iterator[ByHand]:
    yield ByHand(
        "Its data arrives while it is used, and until then the first read of each block is slow. "
        "It is encrypted as its snapshot is."
    )
    volumes = one.settings["volumes"]
    attached = {of: volumes[of] for of in made if volumes.get(of, {}).get("instance")}
    for instance in sorted({one["instance"] for one in attached.values()}):
        of_it = {of: found for of, found in attached.items() if found["instance"] == instance}
        yield ByHand(
            f"Cut over: look into it first; then put it in the place of the original, while "
            f"{instance} stands still:",
            tuple(_swap(instance, of_it, made)),
        )
    if left := [found.id for of, found in sorted(made.items()) if of not in attached]:
        yield ByHand(
            "The original is attached to no instance. To use it, attach it to one in its zone:",
            tuple(_attach(volume, "<instance>", "<device>") for volume in left),
        )
    if one.point.kind is Kind.INSTANCE and not one.settings["instance"]:
        yield ByHand(
            "The instance is gone. To launch one like it, make an image of the snapshot that it "
            "started from:",
            tuple(_launch(one)),
        )


def _swap(
    instance: str, attached: Mapping[str, Settings], made: Mapping[str, RecoveredVolume]
) -> Iterator[str]:
    ids = ("--instance-ids", instance)
    yield command("aws", "ec2", "stop-instances", *ids)
    yield command("aws", "ec2", "wait", "instance-stopped", *ids)
    for of in sorted(attached):
        yield command("aws", "ec2", "detach-volume", "--volume-id", of)
    yield command("aws", "ec2", "wait", "volume-available", "--volume-ids", *sorted(attached))
    for of, found in sorted(attached.items()):
        yield _attach(made[of].id, instance, found["device"])
    yield command("aws", "ec2", "start-instances", *ids)


def _attach(volume: str, instance: str, device: str) -> str:
    return command(
        "aws", "ec2", "attach-volume", "--volume-id", volume, "--instance-id", instance,
        "--device", device,
    )  # fmt: skip


def _launch(one: Recovering) -> Iterator[str]:
    snapshots = ", ".join(part.snapshot for part in one.point.parts)
    yield f"# its snapshots: {snapshots}"
    yield command(
        "aws", "ec2", "register-image", "--name", one.name[:128],
        "--architecture", "<x86_64|arm64>",
        "--root-device-name", "/dev/xvda", "--ena-support", "--virtualization-type", "hvm",
        "--block-device-mappings", "DeviceName=/dev/xvda,Ebs={SnapshotId=<snapshot of the root>}",
    )  # fmt: skip
    yield command(
        "aws", "ec2", "run-instances", "--image-id", "<image>", "--instance-type", "<type>",
        "--subnet-id", "<subnet>",
    )  # fmt: skip
