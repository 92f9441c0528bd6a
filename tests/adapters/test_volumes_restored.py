"""Volumes restored for drills, attached to a verifier and looked into, in the box."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from local.aws import ebs_blocks, ec2, ec2_restores, kms, ssm_commands, verifiers
from local.aws.ebs_blocks import EbsBlocks
from local.disks import MEBIBYTE, ROOT_AT, Layout
from local.pace import INSTANT
from tests.local.service_box import ACCOUNT, REGION, TWO_O_CLOCK, ServiceBox, service_box
from watchkeeper import naming
from watchkeeper.aws.ebs_blocks import SnapshotBlocks
from watchkeeper.aws.errors import NotThere, Refused
from watchkeeper.aws.objects import Manifests
from watchkeeper.aws.restores_ec2 import RestoredVolumes, VolumeDismantler, VolumeRestorer
from watchkeeper.aws.verifier_commands import VerifierCommands
from watchkeeper.aws.verifiers import Isolation, VerifierDismantler, VerifierMaker, Verifiers
from watchkeeper.backups.model import Kind, Part, Place, RecoveryPoint
from watchkeeper.backups.model import State as PointState
from watchkeeper.drills import sampled
from watchkeeper.drills.controls import question
from watchkeeper.drills.model import Check, Level
from watchkeeper.drills.restoring import Answers, Restoring, State
from watchkeeper.drills.verifier import Verifier
from watchkeeper.drills.volumes import Volumes

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
GIB = 8
EXPIRES = TWO_O_CLOCK + timedelta(days=3)
PACE = replace(INSTANT, command_takes=5 * SECOND)
BUCKET = "evidence"


class Box(ServiceBox):
    @property
    def blocks(self) -> EbsBlocks:
        return ebs_blocks.installed_in(self)

    def volume(self, layout: Layout, **more: Any) -> str:
        asked = {"AvailabilityZone": f"{REGION}a", "Size": GIB, **more}
        made = str(self.client("ec2").create_volume(**asked)["VolumeId"])
        self.blocks.lay_out(made, layout)
        return made

    def point(self, *volumes: str, keys: tuple[str, ...] = ()) -> RecoveryPoint:
        """A recovery point of all these, made now."""
        created_at, aws = self.clock.now(), self.client("ec2")
        parts = [Part(aws.create_snapshot(VolumeId=one)["SnapshotId"], one, GIB) for one in volumes]
        self.clock.run_for(20 * SECOND)  # EBS takes one snapshot of a volume in 15 s
        kind = Kind.VOLUME if len(parts) == 1 else Kind.INSTANCE
        return RecoveryPoint(
            resource=naming.volume_arn(("aws", REGION, ACCOUNT), volumes[0]),
            id=naming.short_id(parts[0].snapshot), kind=kind, created_at=created_at, run="r",
            plan="gold", place=Place(ACCOUNT, REGION), state=PointState.COMPLETED,
            parts=tuple(parts), keys=keys,
        )  # fmt: skip

    def left(self) -> set[str]:
        """The volumes that drills have made."""
        found = self.client("ec2").describe_volumes()["Volumes"]
        tagged = [
            one
            for one in found
            if any(tag["Key"] == naming.TAG_DRILL for tag in one.get("Tags", []))
        ]
        return {one["VolumeId"] for one in tagged}


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    services = (kms, ec2, ebs_blocks, ec2_restores, ssm_commands, verifiers)
    with service_box(Box, *services, pace=PACE) as box:
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        box.client("s3").create_bucket(Bucket=BUCKET)
        yield box


@pytest.fixture
def kind(box: Box) -> Volumes:
    aws = box.client("ec2")
    vpc = aws.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = aws.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24", AvailabilityZone=f"{REGION}a")[
        "Subnet"
    ]["SubnetId"]
    group = aws.create_security_group(GroupName="v", Description="d", VpcId=vpc)["GroupId"]
    box.client("iam").create_instance_profile(InstanceProfileName="verifier")
    there = Isolation("123456789012", vpc, subnet, group, group, "verifier", "ami-1", "t4g.small")
    verifier = Verifier(VerifierMaker(there), Verifiers(), VerifierCommands(), VerifierDismantler())
    return Volumes(
        VolumeRestorer(f"{REGION}a"), RestoredVolumes(), VolumeDismantler(), SnapshotBlocks(),
        Manifests(BUCKET), verifier,
    )  # fmt: skip


def restoring(
    point: RecoveryPoint, before: Mapping[str, str] | None = None, run: str = "drill#a"
) -> Restoring:
    return Restoring(
        name=naming.drill_name("watchkeeper", run), point=point, manifest=None, level=Level.CHECK,
        tags=naming.drill_tags("watchkeeper", run, EXPIRES), objective=timedelta(days=1),
        before=before or {},
    )  # fmt: skip


class Drill:
    """One drill, minute by minute."""

    def __init__(self, box: Box, kind: Volumes, one: Restoring) -> None:
        self.box, self.kind, self.one = box, kind, one
        self.facts: dict[str, str] = {}
        self.waits: list[str] = []

    def restored(self) -> list[Check]:
        """What L2 says, once everything is available."""
        assert self.kind.ask(self.one) == ""
        while (stands := self.kind.stands(self.one)).state is State.COMING:
            self._wait(stands.why)
        assert stands.state is State.AVAILABLE
        assert self.kind.secure(self.one, {}, self.box.clock.now()) == {}
        return self.kind.checks(self.one)

    def examined(self) -> Answers:
        while not self.kind.stands(self.one).is_initialised:
            self._wait("its data")
        for _ in range(300):
            found = self.kind.examine(self.one, self.facts, self.box.clock.now())
            if isinstance(found, Answers):
                return found
            self.facts |= found.facts
            self._wait(found.on)
        raise AssertionError(f"no answer in five hours: {self.waits[-1]}")

    def dismantled(self) -> None:
        removers = (self.kind.verifier, self.kind)
        for _ in range(30):
            left = [
                (remover, one)
                for remover in removers
                for one in remover.left()
                if one.drill == self.one.name
            ]
            if not left:
                return
            for remover, one in left:
                assert (one.stack, one.expires_at) == ("watchkeeper", EXPIRES)
                remover.remove(one, self.box.clock.now())
            self._wait("everything to be gone")
        raise AssertionError("something is left")

    def _wait(self, on: str) -> None:
        self.waits.append(on)
        self.box.clock.run_for(MINUTE)


def failed(checks: Any) -> set[str]:
    return {question(check) for check in checks if not check.passed}


def keep(kind: Volumes, point: RecoveryPoint) -> None:
    """What an earlier drill at level BLOCKS has written down."""
    found, checks = sampled.read(point, None, kind.blocks, kind.manifests)
    assert all(check.passed for check in checks)
    assert sampled.kept(point, kind.manifests) == found


# --- good ones --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "was_read"), [*((one, False) for one in Layout), (Layout.ROOT_XFS, True)]
)
def test_a_good_volume_passes_whether_or_not_it_was_read_before(
    box: Box, kind: Volumes, layout: Layout, was_read: bool
) -> None:
    point = box.point(box.volume(layout))
    if was_read:
        keep(kind, point)
    drill = Drill(box, kind, restoring(point))

    assert failed(drill.restored()) == set()
    answers = drill.examined()

    assert [check for check in answers.checks if not check.passed] == []
    assert {"restored blocks", "files", "file system", "newest file"} <= {
        question(check) for check in answers.checks
    }
    assert answers.newest_data
    assert timedelta() <= point.created_at - answers.newest_data <= timedelta(hours=1)
    drill.dismantled()
    assert box.left() == set()


def test_all_volumes_of_an_instance_are_restored_and_compared_with_the_last_drill(
    box: Box, kind: Volumes
) -> None:
    volumes = [box.volume(layout) for layout in (Layout.ROOT_XFS, Layout.EXT4, Layout.LVM)]
    found = []
    before: Mapping[str, str] = {}
    for number in range(2):
        drill = Drill(box, kind, restoring(box.point(*volumes), before, f"drill#{number}"))
        assert failed(drill.restored()) == set()
        found.append(drill.examined())
        assert failed(found[-1].checks) == set()
        before = found[-1].remember
        drill.dismantled()
        box.clock.run_for(timedelta(hours=1))

    root, data, _ = volumes
    assert {name for name in before if name.startswith("files of")} == {
        f"files of partition 1 of {root}",
        f"files of disk of {data}",
        "files of logical volume data/files",
    }
    compared = [check for check in found[-1].checks if "the last drill" in check.expected]
    assert len(compared) == 3


def test_an_attempt_that_nobody_heard_of_makes_nothing_twice(box: Box, kind: Volumes) -> None:
    one = restoring(box.point(box.volume(Layout.XFS), box.volume(Layout.EXT4)))
    with pytest.raises(NotThere):
        kind.stands(one)
    for _ in range(2):
        kind.ask(one)

    assert len(box.left()) == 2
    assert kind.stands(one).why == "EC2 to create 2 of 2 volumes"


# --- bad ones ---------------------------------------------------------------------------------


def flip_a_bit(blocks: EbsBlocks, snapshot: str) -> None:
    blocks.tamper(snapshot, ROOT_AT // (MEBIBYTE // 2))


def break_superblock(blocks: EbsBlocks, snapshot: str) -> None:
    blocks.overwrite(snapshot, ROOT_AT + 1024 + 0x78, b"another label")


def lose_file_system(blocks: EbsBlocks, snapshot: str) -> None:
    blocks.overwrite(snapshot, ROOT_AT + 1024, bytes(1024))


def lose_half(blocks: EbsBlocks, snapshot: str) -> None:
    blocks.truncate(snapshot, GIB * 1024)


def lose_all(blocks: EbsBlocks, snapshot: str) -> None:
    blocks.empty(snapshot)


SPOILT = (
    (flip_a_bit, {"restored blocks"}),
    (break_superblock, {"restored blocks", "file system", "files", "newest file"}),
    (lose_file_system,
     {"restored blocks", "restored format", "file system", "files", "newest file"}),
    (lose_half, {"restored blocks", "file system", "files", "newest file"}),
    (lose_all,
     {"restored blocks", "restored format", "file system", "files", "newest file"}),
)  # fmt: skip


@pytest.mark.parametrize(("spoil", "caught"), SPOILT, ids=[one.__name__ for one, _ in SPOILT])
def test_what_was_spoilt_since_it_was_read_is_caught(
    box: Box, kind: Volumes, spoil: Callable[[EbsBlocks, str], None], caught: set[str]
) -> None:
    point = box.point(box.volume(Layout.ROOT_EXT4))
    keep(kind, point)
    spoil(box.blocks, point.parts[0].snapshot)
    drill = Drill(box, kind, restoring(point))

    assert failed(drill.restored()) == set()  # EC2 shows nothing of it
    assert failed(drill.examined().checks) == caught
    drill.dismantled()


@pytest.mark.parametrize("spoil", [break_superblock, lose_file_system, lose_half, lose_all])
def test_what_is_no_disk_in_its_snapshot_needs_no_verifier(
    box: Box, kind: Volumes, spoil: Callable[[EbsBlocks, str], None]
) -> None:
    point = box.point(box.volume(Layout.ROOT_EXT4))
    spoil(box.blocks, point.parts[0].snapshot)
    drill = Drill(box, kind, restoring(point))
    drill.restored()

    answers = drill.examined()

    assert failed(answers.checks) & {"format", "written blocks"}
    assert box.client("ec2").describe_instances()["Reservations"] == []
    assert sampled.kept(point, kind.manifests) == {}


def test_one_that_lost_its_files_and_one_that_is_older_than_claimed(
    box: Box, kind: Volumes
) -> None:
    volume = box.volume(Layout.EXT4)
    point = box.point(volume)
    newest = naming.instant(point.created_at - MINUTE)
    yesterday = naming.instant(point.created_at - timedelta(days=1))
    before = {"point": yesterday, "newest file": newest, f"files of disk of {volume}": "9000"}
    drill = Drill(box, kind, restoring(point, before))
    drill.restored()

    assert failed(drill.examined().checks) == {"files", "newest file"}


def test_the_drill_of_an_older_recovery_point_is_no_measure_of_a_younger(
    box: Box, kind: Volumes
) -> None:
    volume = box.volume(Layout.EXT4)
    point = box.point(volume)
    before = {
        "point": naming.instant(point.created_at + timedelta(days=30)),
        "newest file": naming.instant(point.created_at + timedelta(days=30)),
        f"files of disk of {volume}": "9000",
    }
    drill = Drill(box, kind, restoring(point, before))
    drill.restored()
    answers = drill.examined()

    assert failed(answers.checks) == set()
    assert answers.remember == before


def test_a_verifier_without_an_answer_is_no_pass(box: Box, kind: Volumes) -> None:
    drill = Drill(box, kind, restoring(box.point(box.volume(Layout.ROOT_XFS))))
    drill.restored()
    verifiers.installed_in(box).never_answers()
    answers = drill.examined()

    looked = next(check for check in answers.checks if question(check) == "look at the disk")
    assert "verifier" in looked.found
    assert failed(answers.checks) == {question(check) for check in answers.checks}
    assert answers.newest_data is None
    drill.dismantled()
    assert box.left() == set()


# --- as EC2 shows them ------------------------------------------------------------------------


def test_without_its_key_it_is_broken(box: Box, kind: Volumes) -> None:
    aws = box.client("kms")
    key = aws.create_key()["KeyMetadata"]["Arn"]
    point = box.point(box.volume(Layout.XFS, Encrypted=True, KmsKeyId=key), keys=(key,))
    good = restoring(point, run="drill#good")
    kind.ask(good)
    aws.disable_key(KeyId=key)
    bad = restoring(point)
    kind.ask(bad)
    box.clock.run_for(2 * MINUTE)

    assert failed(kind.checks(good)) == set()
    stands = kind.stands(bad)
    assert stands.state is State.BROKEN
    assert point.parts[0].snapshot in stands.why


def test_what_ec2_shows_wrong_is_caught_before_anything_is_attached(
    box: Box, kind: Volumes
) -> None:
    aws = box.client("ec2")
    point = box.point(box.volume(Layout.XFS), keys=("arn:aws:kms:::key/expected",))
    other = aws.run_instances(ImageId="ami-1", MinCount=1, MaxCount=1)["Instances"][0]
    drill = Drill(box, kind, restoring(point))
    assert failed(drill.restored()) == {"restored keys"}
    [made] = box.left()
    box.clock.run_for(MINUTE)
    aws.attach_volume(VolumeId=made, InstanceId=other["InstanceId"], Device="/dev/sdf")

    assert failed(kind.checks(drill.one)) == {"restored keys", "attachments"}
    shown = [one for one in kind.left() if one.drill == drill.one.name]
    assert other["InstanceId"] in kind.remove(shown[0], box.clock.now())
    assert box.left() == {made}
    answers = drill.examined()
    assert "look at the disk" in failed(answers.checks)
    assert any("VolumeInUse" in check.found for check in answers.checks)


def test_one_that_somebody_removes_is_not_there(box: Box, kind: Volumes) -> None:
    one = restoring(box.point(box.volume(Layout.XFS)))
    kind.ask(one)
    box.clock.run_for(2 * MINUTE)
    [made] = box.left()
    box.client("ec2").delete_volume(VolumeId=made)
    with pytest.raises(NotThere):
        kind.stands(one)
    box.clock.run_for(2 * MINUTE)
    with pytest.raises(NotThere):
        kind.stands(one)
    assert failed(kind.checks(one)) == {"restored volumes", "restored size", "attachments"}


def test_only_what_a_drill_has_made_is_found_and_removed(box: Box, kind: Volumes) -> None:
    theirs = box.volume(Layout.XFS)
    shown = box.client("ec2").describe_volumes(VolumeIds=[theirs])["Volumes"][0]
    one = restoring(box.point(theirs))
    kind.ask(one)
    [left] = kind.left()
    stolen = type(left)(
        "a volume", left.drill, left.stack, left.expires_at,
        type(left.thing)(theirs, shown["State"], "", "", None),
    )  # fmt: skip

    assert left.what == f"volume {box.left().pop()}"
    with pytest.raises(Refused, match="NotOurs"):
        kind.remove(stolen, box.clock.now())
    assert kind.remove(left, box.clock.now())  # it is being created
    box.clock.run_for(2 * MINUTE)
    assert kind.remove(left, box.clock.now()) == ""
    box.clock.run_for(MINUTE)
    assert kind.left() == []
