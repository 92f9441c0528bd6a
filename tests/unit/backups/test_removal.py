"""Which recovery points go, which stay, which cannot; and what the account says of the records."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper import naming
from watchkeeper.backups.model import Blockers, Kind, Part, Place, RecoveryPoint, Snapshot, State
from watchkeeper.backups.removal import RemovalPlan, is_last_good, plan_removal, reconcile, stood
from watchkeeper.backups.rules import found_by_source
from watchkeeper.policy import default_backups_policy

POLICY = default_backups_policy()
PLACE = Place("123456789012", "eu-west-1")
ARN = "arn:aws:ec2:eu-west-1:123456789012:volume/"
NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
NOTHING_FORBIDS = Blockers()


def point(days: float, source: str = "vol-1", plan: str = "silver", **fields: Any) -> RecoveryPoint:
    """One of `source`, made so many days ago by its plan's night."""
    created = NOW - timedelta(days=days)
    run = fields.pop("run", naming.shard_id(naming.night_id(plan, created), 0))
    return RecoveryPoint(
        resource=ARN + source,
        id=naming.point_id(run, ARN + source),
        kind=Kind.VOLUME,
        created_at=created,
        run=run,
        plan=plan,
        place=PLACE,
        state=fields.pop("state", State.COMPLETED),
        parts=(Part(f"snap-{source}-{days}", source, 8),),
        **fields,
    )


def planned(*points: RecoveryPoint, blockers: Blockers = NOTHING_FORBIDS) -> RemovalPlan:
    return plan_removal(points, POLICY, blockers, NOW)


def ages(decisions: Any) -> list[float]:
    return sorted((NOW - one.point.created_at) / timedelta(days=1) for one in decisions)


NIGHTS = [point(day) for day in range(40)]  # silver keeps 14 days, 8 weeks, 6 months


def test_each_recovery_point_is_decided_once_and_with_a_reason() -> None:
    plan = planned(*NIGHTS)
    decisions = [*plan.kept, *plan.removed, *plan.blocked, *plan.set_aside]

    assert sorted(one.point.id for one in decisions) == sorted(one.id for one in NIGHTS)
    assert all(one.why for one in decisions)
    assert all(one.rules for one in plan.kept)


def test_retention_is_applied_to_each_source_by_itself() -> None:
    plan = planned(*NIGHTS, point(100, source="vol-2"))

    assert 100 in ages(plan.kept)  # the only one of its source


def test_a_source_that_is_gone_keeps_its_history_by_the_plan_that_took_it() -> None:
    gone_for = 43 * 7  # weeks, so that the same days are the last of theirs
    old = [point(gone_for + day) for day in range(40)]

    kept = ages(planned(*old).kept)
    assert kept[:14] == [gone_for + day for day in range(14)]
    assert 14 < len(kept) < len(old)


def test_a_plan_that_the_policy_has_no_more_removes_nothing() -> None:
    forgotten = [replace(one, plan="platinum") for one in NIGHTS]

    plan = planned(*forgotten)

    assert len(plan.kept) == len(NIGHTS)
    assert "no plan 'platinum'" in plan.kept[0].why


def test_one_taken_by_hand_does_not_put_a_history_under_another_plan() -> None:
    by_hand = point(0.1, plan="bronze", run=naming.shard_id(naming.by_hand_id("backup", "x"), 0))

    assert set(ages(planned(*NIGHTS).kept)) <= set(ages(planned(*NIGHTS, by_hand).kept))


def test_a_move_to_another_plan_applies_to_the_whole_history() -> None:
    moved = [*NIGHTS[1:], point(0, plan="bronze")]

    assert len(planned(*moved).kept) < len(planned(*NIGHTS).kept)


def test_failed_ones_stay_a_day_for_a_look_then_go_and_never_count() -> None:
    fresh, old = point(0.5, state=State.FAILED), point(2.5, state=State.FAILED)

    plan = planned(*NIGHTS, fresh, old)

    assert ages(plan.set_aside) == [0.5]
    assert 2.5 in ages(plan.removed)
    assert ages(plan.kept) == ages(planned(*NIGHTS).kept)


def test_doubles_go_at_once() -> None:
    double = point(0.2, state=State.DOUBLE)

    assert ages(planned(*NIGHTS[:3], double).removed) == [0.2]


def test_a_removal_that_was_cut_off_is_asked_for_again() -> None:
    plan = planned(NIGHTS[0], point(20, state=State.REMOVING, why="no rule keeps it"))

    assert [one.why for one in plan.removed] == ["no rule keeps it"]


def test_what_is_locked_in_an_image_or_on_hold_is_blocked_and_says_by_what() -> None:
    going = [one.point for one in planned(*NIGHTS).removed][:4]
    locked, in_image, on_hold, needed = going
    blockers = Blockers(
        by_service={
            locked.parts[0].snapshot: "locked (governance)",
            in_image.parts[0].snapshot: "AMI ami-1 is made of it",
        },
        by_tags={on_hold.parts[0].snapshot: "legal hold (case 7)"},
    )
    held = replace(needed, holds=("drill#orders#2026-11-23",))

    plan = planned(*(held if one is needed else one for one in NIGHTS), blockers=blockers)

    reasons = " | ".join(one.why for one in plan.blocked)
    assert {one.point.id for one in plan.blocked} == {one.id for one in going}
    for word in ("locked (governance)", "AMI ami-1", "case 7", "held by drill#orders"):
        assert word in reasons
    assert not {one.point.id for one in plan.removed} & {one.id for one in going}


@given(
    st.lists(
        st.tuples(
            st.floats(0, 400), st.sampled_from(["vol-1", "vol-2"]), st.sampled_from(list(State))
        ),
        max_size=40,
        unique_by=lambda one: one[0],
    )
)
def test_the_newest_good_one_of_a_source_is_never_removed(
    made: list[tuple[float, str, State]],
) -> None:
    points = [point(days, source, state=state) for days, source, state in made]

    plan = planned(*points)

    assert not [one for one in plan.removed if is_last_good(one.point, points)]


# ── Catalogue and account ─────────────────────────────────────────────────────────────────────────


def shown(*points: RecoveryPoint) -> list[Snapshot]:
    return [
        Snapshot(
            id=part.snapshot,
            volume=part.volume,
            state="completed",
            started_at=one.created_at,
            gib=part.gib,
            tags={
                naming.TAG_RUN: one.run,
                naming.TAG_SOURCE: one.resource,
                naming.TAG_PLAN: "silver",
            },
        )
        for one in points
        for part in one.parts
    ]


def reconciled(listed: list[RecoveryPoint], account: list[Snapshot]) -> Any:
    return reconcile(
        listed, found_by_source(account, PLACE), {snapshot.id for snapshot in account}, NOW
    )


def test_when_both_agree_nothing_changes() -> None:
    result = reconciled(NIGHTS[:5], shown(*NIGHTS[:5]))

    assert (list(result.points), result.adopted, result.lost) == (NIGHTS[:5], [], [])


def test_a_snapshot_that_no_record_names_is_adopted() -> None:
    result = reconciled(NIGHTS[:5], shown(*NIGHTS[:6]))

    assert [(one.id, one.state) for one in result.adopted] == [(NIGHTS[5].id, State.COMPLETED)]


def test_a_late_second_one_of_the_same_run_is_adopted_as_a_double() -> None:
    record = NIGHTS[5]
    late = replace(record, parts=(Part("snap-late", "vol-1", 8),))

    result = reconciled([record], shown(record, late))

    assert [one.state for one in result.adopted] == [State.DOUBLE]
    assert [one.parts[0].snapshot for one in result.adopted] == ["snap-late"]


def test_what_a_running_night_may_still_record_is_left_to_it() -> None:
    assert reconciled([], shown(point(1))).adopted == []


def test_a_record_whose_snapshot_somebody_removed_is_lost_and_does_not_count() -> None:
    result = reconciled(NIGHTS[1:3], shown(NIGHTS[2]))

    (lost,) = result.lost
    assert (lost.id, lost.state) == (NIGHTS[1].id, State.FAILED)
    assert "somebody else removed it" in lost.why
    assert is_last_good(NIGHTS[2], result.points)


def test_one_too_young_to_be_shown_for_certain_is_not_given_up() -> None:
    assert reconciled([point(0.01)], []).lost == []


@pytest.mark.parametrize("was", [State.COMPLETED, State.FAILED, State.DOUBLE])
def test_what_cannot_go_becomes_what_it_was(was: State) -> None:
    """RDS and DynamoDB show no time at which a snapshot was done, so that tells nothing."""
    database = replace(NIGHTS[0], kind=Kind.DATABASE, state=was, completed_at=None)

    assert stood(replace(database, state=State.REMOVING, was=was)) is was


def test_what_an_older_version_began_to_remove_is_told_by_its_times() -> None:
    night = NIGHTS[0]
    begun = replace(night, id=naming.point_id(night.run, night.resource), state=State.REMOVING)

    assert stood(replace(begun, completed_at=night.created_at)) is State.COMPLETED
    assert stood(replace(begun, completed_at=None)) is State.FAILED
    assert stood(replace(begun, id="of a second one")) is State.DOUBLE
