"""L0: what is told of a recovery point by its metadata alone; and that each check can fail."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.drills.fleet import NOW, days_ago, point
from watchkeeper.backups.keys import GONE, UNCHECKED, KeyState
from watchkeeper.backups.model import Kind, Part, RecoveryPoint, Snapshot
from watchkeeper.drills import blocks, controls, metadata
from watchkeeper.drills.blocks import Written
from watchkeeper.drills.metadata import Seen
from watchkeeper.drills.model import Check

KEY = "arn:aws:kms:eu-west-1:111122223333:key/1"
SERVER = point(
    Kind.INSTANCE,
    parts=(Part("snap-1", "vol-1", 8), Part("snap-2", "vol-2", 100)),
    made=days_ago(0.5),
    keys=(KEY,),
    manifest="a1",
)
SHOWN = {
    "snap-1": Snapshot("snap-1", "vol-1", "completed", SERVER.created_at, 8),
    "snap-2": Snapshot("snap-2", "vol-2", "completed", SERVER.created_at, 100),
}
GOOD = Seen(SHOWN, {KEY: KeyState(KEY, "Enabled")}, "a1", SERVER, timedelta(hours=26))


def failed(one: RecoveryPoint, seen: Seen) -> list[str]:
    return [check.name for check in metadata.checks(one, seen, NOW) if not check.passed]


def test_a_good_one_passes_all_that_it_is_asked() -> None:
    checks = metadata.checks(SERVER, GOOD, NOW)
    assert [check.name for check in checks] == [
        "it is there", "it is complete", "its size", "its key", "the manifest beside it", "its age",
    ]  # fmt: skip
    assert all(check.passed for check in checks)


def state(state: str, problem: str = "") -> dict[str, KeyState]:
    return {KEY: KeyState(KEY, state, problem=problem)}


def shown(**changes: Snapshot | None) -> dict[str, Snapshot]:
    every = SHOWN | {name.replace("_", "-"): one for name, one in changes.items()}
    return {name: one for name, one in every.items() if one}


LARGE = replace(SERVER, parts=(Part("snap-0", "vol-1", 217),))


@pytest.mark.parametrize(
    ("seen", "names"),
    [
        (replace(GOOD, snapshots={}), ["it is there", "it is complete", "its size"]),
        (replace(GOOD, snapshots=shown(snap_1=None)), ["it is there"]),
        (replace(GOOD, snapshots=shown(snap_2=None)), ["it is there", "its size"]),
        (replace(GOOD, snapshots=shown(snap_1=replace(SHOWN["snap-1"], state="error"))),
         ["it is complete"]),
        (replace(GOOD, snapshots=shown(snap_1=replace(SHOWN["snap-1"], state="recoverable"))),
         ["it is complete"]),
        (replace(GOOD, before=LARGE), ["its size"]),
        (replace(GOOD, keys=state("Disabled")), ["its key"]),
        (replace(GOOD, keys=state("PendingDeletion")), ["its key"]),
        (replace(GOOD, keys=state(GONE)), ["its key"]),
        (replace(GOOD, keys=state(UNCHECKED, "denied")), ["its key"]),
        (replace(GOOD, keys=state("AStateOfNextYear")), ["its key"]),
        (replace(GOOD, manifest=None), ["the manifest beside it"]),
        (replace(GOOD, manifest="a2"), ["the manifest beside it"]),
        (replace(GOOD, objective=timedelta(hours=11)), ["its age"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(seen: Seen, names: list[str]) -> None:
    assert failed(SERVER, seen) == names


def test_nobody_is_asked_the_age_of_one_that_is_not_the_newest() -> None:
    names = [one.name for one in metadata.checks(SERVER, replace(GOOD, objective=None), NOW)]
    assert "its age" not in names


@pytest.mark.parametrize(
    ("kind", "gib", "before", "passes"),
    [
        (Kind.VOLUME, 8, None, True),
        (Kind.VOLUME, 0, None, False),
        (Kind.VOLUME, 4, 8, True),
        (Kind.VOLUME, 3, 8, False),
        (Kind.TABLE, 0, None, True),
        (Kind.TABLE, 0, 0, True),
        (Kind.TABLE, 0, 1, False),
        (Kind.CLUSTER, 0, 0, True),
        (Kind.DATABASE, 100, 20, True),
    ],
)
def test_a_size_that_has_collapsed(kind: Kind, gib: int, before: int | None, passes: bool) -> None:
    one = point(kind, gib=gib)
    part = one.parts[0]
    there = {part.snapshot: Snapshot(part.snapshot, part.volume, "completed", NOW, gib)}
    earlier = None if before is None else point(kind, gib=before, made=days_ago(1))
    assert ("its size" not in failed(one, Seen(there, before=earlier))) is passes


class TestControls:
    """A check that lets an empty or a tampered stand-in pass proves nothing."""

    def asked(self) -> list[Check]:
        """Every question that needs no restore, with answers that are fine."""
        return [
            *metadata.checks(SERVER, GOOD, NOW),
            blocks.not_collapsed(Written(8, range(100))),
            blocks.compare({0: "a"}, {0: "a"}),
            *blocks.sound([], {"partition 1": "ext4"}),
        ]

    def test_every_question_was_seen_to_fail_where_it_must(self) -> None:
        proven = controls.proven(NOW)
        assert {controls.question(one) for one in self.asked()} <= proven.keys()
        assert controls.unproven(self.asked(), proven) == []
        assert controls.refusal(self.asked(), proven) == ""

    def test_a_check_of_a_later_version_and_one_without_control_are_refused(self) -> None:
        (later, *rest) = self.asked()
        new = replace(later, version=later.version + 1)
        unknown = replace(later, name="its colour")
        refused = controls.unproven([new, unknown, *rest], controls.proven(NOW))
        assert refused == ["it is there", "its colour"]
        why = controls.refusal([unknown, new, *rest], controls.proven(NOW))
        assert why == "'its colour' was not seen to fail where it must, and proves nothing"

    def test_a_drill_shows_the_controls_of_what_it_asked_alone(self) -> None:
        proven = controls.proven(NOW)
        (one, *_), (*_, last) = (
            metadata.checks(SERVER, GOOD, NOW),
            blocks.sound([], {"disk": "xfs"}),
        )
        shown = controls.those_of([last, one, last], proven)
        assert {control.check for control in shown} == {"it is there", controls.question(last)}
        assert set(shown) <= set(proven.values())
