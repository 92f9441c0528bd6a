"""Who is chosen, what snapshots amount to, how plans stand: decided from plain data."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from watchkeeper import naming
from watchkeeper.backups.model import (
    Elsewhere,
    Gap,
    Kind,
    Place,
    RecoveryPoint,
    Resource,
    Snapshot,
    State,
    Target,
)
from watchkeeper.backups.rules import (
    Choice,
    Inventory,
    choose,
    chosen_by_hand,
    found_by_source,
    given_up,
    in_shards,
)
from watchkeeper.policy import default_backups_policy, parse_backups_policy

POLICY = default_backups_policy()
PLACE = Place("123456789012", "eu-west-1")
ARN = "arn:aws:ec2:eu-west-1:123456789012:"
RDS = "arn:aws:rds:eu-west-1:123456789012:"
TABLES = "arn:aws:dynamodb:eu-west-1:123456789012:table/"
SCRIPTED = """{"plans": {"gold": {
    "schedule": "0 2 * * *", "rpo": "26h", "keep": {"daily": 7},
    "scripts": {"document": "watchkeeper-freeze", "timeout": "30s"}
}}}"""


def at(clock: str, day: int = 23) -> datetime:
    hour, minute = map(int, clock.split(":"))
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def instance(name: str, *volumes: str, **tags: str) -> Resource:
    arn = f"{ARN}instance/i-{name}"
    return Resource(arn, Kind.INSTANCE, "EC2 instance", name, _tags(tags), "running", volumes)


def volume(name: str, attached_to: str = "", **tags: str) -> Resource:
    arn = f"{ARN}volume/{name}"
    holder = f"i-{attached_to}" if attached_to else ""
    return Resource(arn, Kind.VOLUME, "EBS volume", name, _tags(tags), "in-use", (), holder)


def database(name: str, state: str = "available", **tags: str) -> Resource:
    return Resource(f"{RDS}db:{name}", Kind.DATABASE, "RDS instance", name, _tags(tags), state)


def table(name: str, **tags: str) -> Resource:
    return Resource(f"{TABLES}{name}", Kind.TABLE, "DynamoDB table", name, _tags(tags), "ACTIVE")


def _tags(tags: dict[str, str]) -> dict[str, str]:
    return {key.replace("plan", "backup-plan"): value for key, value in tags.items()}


def chosen(*things: Resource, **more: Any) -> Choice:
    return choose(Inventory(things, **more), POLICY)


def targets(choice: Choice) -> dict[str, list[str]]:
    return {plan: [one.name for one in found] for plan, found in choice.targets.items()}


def gaps(choice: Choice) -> dict[str, Gap]:
    return {one.name or one.resource: one.gap for one in choice.findings}


class TestChoosing:
    def test_an_instance_takes_all_its_volumes_along(self) -> None:
        choice = chosen(
            instance("db", "vol-1", "vol-2", plan="gold"),
            volume("vol-1", "db"),
            volume("vol-2", "db"),
        )

        (target,) = choice.targets["gold"]
        assert (target.kind, target.volumes) == (Kind.INSTANCE, ("vol-1", "vol-2"))
        assert choice.findings == []

    def test_a_volume_that_opted_out_is_left_out_of_its_set(self) -> None:
        choice = chosen(
            instance("db", "vol-1", "vol-2", plan="gold"),
            volume("vol-1", "db"),
            volume("vol-2", "db", plan="none"),
        )

        assert choice.targets["gold"][0].left_out == ("vol-2",)
        assert gaps(choice) == {"vol-2": Gap.OPTED_OUT}

    def test_a_volume_in_its_instances_plan_is_not_taken_twice(self) -> None:
        choice = chosen(instance("db", "vol-1", plan="gold"), volume("vol-1", "db", plan="gold"))

        assert targets(choice) == {"gold": ["db"]}

    def test_a_volume_in_another_plan_is_taken_by_itself_as_well(self) -> None:
        choice = chosen(instance("db", "vol-1", plan="silver"), volume("vol-1", "db", plan="gold"))

        assert targets(choice) == {"silver": ["db"], "gold": ["vol-1"]}

    def test_a_tagged_volume_of_an_instance_in_no_plan_is_taken_by_itself(self) -> None:
        choice = chosen(instance("app", "vol-1"), volume("vol-1", "app", plan="silver"))

        assert targets(choice) == {"silver": ["vol-1"]}
        assert gaps(choice) == {"app": Gap.NEVER_TAGGED}

    def test_who_was_never_tagged_is_reported_once(self) -> None:
        choice = chosen(instance("app", "vol-1"), volume("vol-1", "app"), volume("vol-9"))

        assert gaps(choice) == {"app": Gap.NEVER_TAGGED, "vol-9": Gap.NEVER_TAGGED}

    @pytest.mark.parametrize(
        ("value", "says"),
        [("Gold", "did you mean gold?"), ("platinum", "plans are gold, silver, bronze")],
    )
    def test_an_unknown_plan_is_told_with_the_nearest_known(self, value: str, says: str) -> None:
        choice = chosen(instance("app", "vol-1", plan=value))

        assert gaps(choice) == {"app": Gap.UNKNOWN_PLAN}
        assert says in choice.findings[0].why

    def test_a_slip_in_the_tags_key_is_pointed_out(self) -> None:
        app = replace(instance("app", "vol-1"), tags={"bakup-plan": "gold"})

        assert '"bakup-plan" a slip?' in chosen(app).findings[0].why

    def test_an_instance_without_volumes_has_nothing_to_keep(self) -> None:
        choice = chosen(instance("store", plan="gold"))

        assert targets(choice) == {}
        assert gaps(choice) == {"store": Gap.NOTHING_TO_KEEP}

    def test_who_is_protected_by_another_service_is_listed_as_such(self) -> None:
        elsewhere = {f"{ARN}volume/vol-1": Elsewhere("AWS Backup", at("05:00"))}

        things = (instance("app", "vol-1"), volume("vol-1", "app"), volume("vol-2"))
        choice = chosen(*things, elsewhere=elsewhere)

        assert gaps(choice) == {"vol-2": Gap.NEVER_TAGGED, "app": Gap.ELSEWHERE}

    def test_half_protected_elsewhere_is_not_protected(self) -> None:
        elsewhere = {f"{ARN}volume/vol-1": Elsewhere("AWS Backup", at("05:00"))}

        app, data = instance("app", "vol-1", "vol-2"), volume("vol-1", "app")
        assert gaps(chosen(app, data, elsewhere=elsewhere)) == {"app": Gap.NEVER_TAGGED}

    def test_kinds_that_no_plan_can_protect_are_told(self) -> None:
        others = {
            "arn:aws:fsx:eu-west-1:123456789012:file-system/fs-1": {"backup-plan": "gold"},
            "arn:aws:s3:::orders": {"backup-plan": "gold"},
            "arn:aws:redshift:eu-west-1:123456789012:cluster:carts": {"backup-plan": "none"},
            "arn:aws:ec2:eu-west-1:123456789012:snapshot/snap-1": {"backup-plan": "gold"},
            "arn:aws:rds:eu-west-1:123456789012:snapshot:rds:orders": {"backup-plan": "gold"},
            "arn:aws:rds:eu-west-1:123456789012:cluster-snapshot:rds:x": {"backup-plan": "gold"},
        }

        choice = chosen(others=others)

        assert [finding.resource.split(":")[2] for finding in choice.findings] == ["fsx", "s3"]
        assert {finding.gap for finding in choice.findings} == {Gap.UNSUPPORTED}

    def test_databases_and_tables_choose_as_machines_do(self) -> None:
        choice = chosen(
            database("orders", plan="gold"), table("carts", plan="silver"), database("metrics")
        )

        assert targets(choice) == {"gold": ["orders"], "silver": ["carts"]}
        assert gaps(choice) == {"metrics": Gap.NEVER_TAGGED}

    def test_a_copy_is_answered_for_by_its_source(self) -> None:
        replica = replace(database("replica", plan="gold"), copy_of=f"{RDS}db:orders")
        member = replace(database("ledger-1", plan="gold"), copy_of=f"{RDS}cluster:ledger")
        silent = replace(database("ledger-2"), copy_of=f"{RDS}cluster:ledger")

        choice = chosen(replica, member, silent)

        assert targets(choice) == {}
        assert gaps(choice) == {"replica": Gap.COPY, "ledger-1": Gap.COPY}
        assert {one.why.split(",")[0] for one in choice.findings} == {
            "a read replica of orders", "a member of ledger",
        }  # fmt: skip

    def test_a_stopped_database_is_not_asked_for_and_says_so(self) -> None:
        choice = chosen(database("orders", state="stopped", plan="gold"))

        assert targets(choice) == {}
        assert gaps(choice) == {"orders": Gap.STOPPED}
        assert choice.findings[0].plan == "gold"

    def test_a_kind_of_cluster_that_no_plan_can_protect_is_told(self) -> None:
        graph = replace(database("graph", plan="gold"), kind=None, type="Neptune cluster")

        choice = chosen(graph)

        assert gaps(choice) == {"graph": Gap.UNSUPPORTED}
        assert "Neptune cluster" in choice.findings[0].why

    def test_scripts_and_keys_are_frozen_with_the_target(self) -> None:
        scripted = parse_backups_policy(SCRIPTED)
        things = (
            instance("app", "vol-1", "vol-2", plan="gold"),
            replace(volume("vol-1", "app"), key="key-b"),
            replace(volume("vol-2", "app"), key="key-a"),
        )

        (target,) = choose(Inventory(things), scripted).targets["gold"]

        assert (target.script, target.script_timeout) == ("watchkeeper-freeze", 30)
        assert target.keys == ("key-a", "key-b")
        (by_hand,), missing = chosen_by_hand(
            Inventory(things), [target.arn, "arn:gone"], scripted.plans["gold"]
        )
        assert (by_hand, missing) == (target, ["arn:gone"])

    def test_hostile_tag_values_are_quoted_short_and_escaped(self) -> None:
        choice = chosen(instance("app", "vol-1", plan="\x1b[31m" + "x" * 256))

        assert "\x1b" not in choice.findings[0].why
        assert len(choice.findings[0].why) < 300


def test_shards_hold_every_target_once_and_in_order() -> None:
    all_of_them = [Target(f"arn-{number}", Kind.VOLUME, "") for number in range(1_001)]

    shards = in_shards(all_of_them, size=400)

    assert [len(shard) for shard in shards] == [400, 400, 201]
    assert [target for shard in shards for target in shard] == all_of_them


def test_a_shard_is_of_one_service_and_scripts_are_alone_in_theirs() -> None:
    kinds = [Kind.TABLE, Kind.VOLUME, Kind.DATABASE, Kind.INSTANCE, Kind.CLUSTER]
    mixed = [Target(kind.value, kind, "") for kind in kinds]
    frozen = Target("frozen", Kind.INSTANCE, "", script="watchkeeper-freeze")

    shards = in_shards([*mixed, frozen])

    assert [[target.arn for target in shard] for shard in shards] == [
        ["frozen"],
        ["ebs-volume", "ec2-instance"],
        ["rds-instance", "rds-cluster"],
        ["dynamodb-table"],
    ]


def snapshot(name: str, of: str, started: str = "02:00", **fields: Any) -> Snapshot:
    tags = {
        naming.TAG_RUN: fields.pop("run", "backup#silver#2026-11-23T02:00Z#000"),
        naming.TAG_SOURCE: fields.pop("source", f"{ARN}volume/{of}"),
        naming.TAG_PLAN: "silver",
    }
    state = fields.pop("state", "completed")
    done = at(started) + timedelta(minutes=5) if state == "completed" else None
    return Snapshot(name, of, state, at(started), 8, tags, done, **fields)


class TestWhatSnapshotsAmountTo:
    def points(self, *snapshots: Snapshot) -> list[RecoveryPoint]:
        found = found_by_source(snapshots, PLACE).values()
        return [point for one in found for point in one.points]

    def test_a_completed_snapshot_is_a_recovery_point(self) -> None:
        (point,) = self.points(snapshot("snap-1", "vol-1"))

        assert (point.state, point.created_at) == (State.COMPLETED, at("02:00"))
        assert (point.kind, point.plan) == (Kind.VOLUME, "silver")
        assert point.completed_at == at("02:05")

    def test_a_set_is_one_recovery_point_of_its_instance(self) -> None:
        source = f"{ARN}instance/i-1"
        (point,) = self.points(
            snapshot("snap-2", "vol-2", source=source), snapshot("snap-1", "vol-1", source=source)
        )

        assert point.kind is Kind.INSTANCE
        assert [part.snapshot for part in point.parts] == ["snap-1", "snap-2"]

    def test_one_broken_part_breaks_the_set(self) -> None:
        source = f"{ARN}instance/i-1"
        (point,) = self.points(
            snapshot("snap-1", "vol-1", source=source),
            snapshot("snap-2", "vol-2", source=source, state="error", problem="no key"),
        )

        assert point.state is State.FAILED
        assert point.completed_at is None
        assert point.why == "snapshot snap-2 of vol-2 ended in error: no key"

    @pytest.mark.parametrize("state", ["pending", "recovering", "recoverable"])
    def test_what_has_not_ended_is_no_recovery_point_yet(self, state: str) -> None:
        found = found_by_source([snapshot("snap-1", "vol-1", state=state)], PLACE)

        ((one),) = found.values()
        assert list(one.points) == []
        assert [part.id for part in one.pending] == ["snap-1"]

    def test_of_two_the_oldest_is_the_recovery_point_and_the_other_a_double(self) -> None:
        first, second = self.points(
            snapshot("snap-b", "vol-1", "02:12"), snapshot("snap-a", "vol-1", "02:00")
        )

        assert (first.state, first.parts[0].snapshot) == (State.COMPLETED, "snap-a")
        assert (second.state, second.parts[0].snapshot) == (State.DOUBLE, "snap-b")
        assert first.id != second.id

    def test_two_sets_of_one_instance_are_told_apart(self) -> None:
        source = f"{ARN}instance/i-1"
        first, second = self.points(
            *(
                snapshot(f"snap-{volume}-{turn}", volume, started, source=source)
                for turn, started in enumerate(["02:00", "02:12"])
                for volume in ("vol-1", "vol-2")
            )
        )

        assert [part.snapshot for part in first.parts] == ["snap-vol-1-0", "snap-vol-2-0"]
        assert second.state is State.DOUBLE

    def test_two_runs_of_one_source_are_two_recovery_points(self) -> None:
        points = self.points(
            snapshot("snap-1", "vol-1"), snapshot("snap-2", "vol-1", "08:00", run="backup#x#y#000")
        )

        assert [point.state for point in points] == [State.COMPLETED] * 2

    def test_snapshots_that_lost_their_tags_are_left_alone(self) -> None:
        assert self.points(replace(snapshot("snap-1", "vol-1"), tags={})) == []

    def test_what_is_given_up_is_failed_and_can_be_removed(self) -> None:
        pending = snapshot("snap-1", "vol-1", state="pending")

        point = given_up("backup#silver#2026-11-23T02:00Z#000", [pending], PLACE, "too long")

        assert (point.state, point.why) == (State.FAILED, "too long")
        assert point.completed_at is None
        assert [part.snapshot for part in point.parts] == ["snap-1"]
