"""Recoveries in earnest, killed, raced and refused: one thing is made, never two, and what was made
is always named.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from local.aws import rds_restores
from tests.crash.databases import BOOKINGS, BROKEN, CARTS, LEDGER, RATES
from tests.crash.forks import Story, aside, explore_changes
from tests.crash.night import items
from tests.crash.recoveries import (
    DISK,
    ENDING,
    SERVER,
    Outcome,
    Shop,
    ask,
    morning,
    page,
    recover,
)

INSTANCES, CLUSTERS, TABLES = {BOOKINGS, BROKEN, f"{LEDGER}-1"}, {LEDGER}, {RATES, CARTS}
"""What there is before."""
MADE: dict[str, tuple[set[str], set[str], set[str], int]] = {
    BOOKINGS: ({f"{BOOKINGS}{ENDING}"}, set(), set(), 0),
    LEDGER: ({f"{LEDGER}{ENDING}-1"}, {f"{LEDGER}{ENDING}"}, set(), 0),
    RATES: (set(), set(), {f"{RATES}{ENDING}"}, 0),
    SERVER: (set(), set(), set(), 2),
    DISK: (set(), set(), set(), 1),
}
"""Per resource, the instances, clusters, tables and volumes that a recovery of it makes."""


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    """Each call is judged by the role of its function. Tests tell their stories aside."""
    with morning(deny=True) as made:
        yield made


def is_as_calm(name: str, end: Outcome) -> bool:
    """One thing beside the original, with all its settings, written down and told once."""
    instances, clusters, tables, volumes = MADE[name]
    return (
        end.stands == "done"
        and set(end.instances) == INSTANCES | instances
        and set(end.clusters) == CLUSTERS | clusters
        and {one for one in end.tables if "-Table-" not in one} == TABLES | tables
        and len(end.volumes) == len(set(end.volumes)) == volumes
        and end.differs == {}
        and end.document["name"].endswith(ENDING)
        # Who dies after telling, and before noting that it was told, tells once more.
        and set(end.told) == {f"Recovered: {end.document['name']}"}
    )


def differing(name: str, story: Story[Outcome]) -> list[str]:
    """The branches that do not end as the calm story does, each with what is different."""
    assert is_as_calm(name, story.calm), story.calm
    return [
        f"{branch.name}: {branch.error or branch.outcome}"
        for branch in story.branches
        if branch.outcome is None or not is_as_calm(name, branch.outcome)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["death", "twin"])
@pytest.mark.parametrize("name", MADE)
def test_death_or_twin_at_every_call(shop: Shop, name: str, kind: str) -> None:
    story = aside(
        lambda: explore_changes(shop.cloud, "RecoverResources", kind, lambda: recover(shop, name))
    )
    assert len(story.branches) >= 10
    assert "\n".join(differing(name, story)) == ""


FAULTS = [
    (BOOKINGS, "rds", "RestoreDBInstanceFromDBSnapshot"),
    (BOOKINGS, "rds", "ModifyDBInstance"),
    (LEDGER, "rds", "RestoreDBClusterFromSnapshot"),
    (LEDGER, "rds", "CreateDBInstance"),
    (RATES, "dynamodb", "RestoreTableFromBackup"),
    (RATES, "dynamodb", "UpdateTimeToLive"),
    (RATES, "application-autoscaling", "RegisterScalableTarget"),
    (SERVER, "ec2", "CreateVolume"),
    (DISK, "ec2", "CreateTags"),
    (BOOKINGS, "s3", "PutObject"),
]


@pytest.mark.parametrize(("name", "service", "operation"), FAULTS)
@pytest.mark.parametrize("fault", ["throttled", "refused", "answer lost"])
def test_a_fault_changes_nothing(
    shop: Shop, name: str, service: str, operation: str, fault: str
) -> None:
    how: dict[str, Any] = {"code": "InternalError", "status": 500, "after": fault == "answer lost"}
    if fault == "throttled":
        how = {"code": "ThrottlingException", "status": 400, "after": False}

    def story() -> Outcome:
        shop.cloud.mischief.fail(service, operation, times=4, **how)
        return recover(shop, name)

    assert is_as_calm(name, aside(story))


# ── What is not as it should be ───────────────────────────────────────────────────────────────────


def test_the_same_request_again_makes_nothing_more(shop: Shop) -> None:
    def story() -> Outcome:
        recover(shop, BOOKINGS)
        return recover(shop, BOOKINGS)

    end = aside(story)
    assert is_as_calm(BOOKINGS, end)
    assert len(end.told) == 1


def test_a_setting_that_is_lost_is_asked_for_again_and_read_back(shop: Shop) -> None:
    def story() -> Outcome:
        snapshot = shop.snapshot(BOOKINGS)
        rds_restores.installed_in(shop.cloud).lose_setting(snapshot, "deletion_protection")
        return recover(shop, BOOKINGS)

    end = aside(story)
    assert is_as_calm(BOOKINGS, end)
    assert "DeletionProtection" in end.document["put_back"]


def test_a_setting_that_is_refused_keeps_nobody_from_the_data(shop: Shop) -> None:
    def story() -> Outcome:
        shop.cloud.mischief.fail(
            "dynamodb", "UpdateTimeToLive", "ValidationException", status=400, times=99
        )
        return recover(shop, RATES)

    end = aside(story)
    assert end.stands == "done"
    assert end.differs == {"time_to_live": ("until", "")}
    (difference,) = end.document["differences"]
    assert "ValidationException" in difference["why"]
    assert "stream" in end.document["put_back"]


def test_a_database_that_breaks_is_left_and_named(shop: Shop) -> None:
    def story() -> tuple[Outcome, str]:
        rds_restores.installed_in(shop.cloud).fail_restores_of(shop.snapshot(BOOKINGS))
        return recover(shop, BOOKINGS), page(shop)

    end, told = aside(story)
    assert end.stands.startswith(f"failed: RDS shows {BOOKINGS}{ENDING} as incompatible-restore")
    assert f"{BOOKINGS}{ENDING}" in end.instances
    assert f"aws rds delete-db-instance --db-instance-identifier {BOOKINGS}{ENDING}" in told
    assert end.document == {}


def test_what_somebody_else_calls_so_is_neither_used_nor_offered_for_removal(shop: Shop) -> None:
    def story() -> tuple[Outcome, str]:
        shop.cloud.client("rds").create_db_instance(
            DBInstanceIdentifier=f"{BOOKINGS}{ENDING}", DBInstanceClass="db.t4g.micro",
            Engine="postgres", AllocatedStorage=20, MasterUsername="a1",
            MasterUserPassword="correct-horse",
        )  # fmt: skip
        return recover(shop, BOOKINGS), page(shop)

    end, told = aside(story)
    assert "this recovery has not made it" in end.stands
    assert "delete-db-instance" not in told


def test_an_original_that_is_gone_is_recovered_with_its_settings(shop: Shop) -> None:
    def story() -> Outcome:
        rds = shop.cloud.client("rds")
        rds.modify_db_instance(DBInstanceIdentifier=BOOKINGS, DeletionProtection=False)
        rds.delete_db_instance(DBInstanceIdentifier=BOOKINGS, SkipFinalSnapshot=True)
        shop.cloud.clock.run_for(timedelta(minutes=10))
        return recover(shop, BOOKINGS)

    end = aside(story)
    assert end.stands == "done"
    assert BOOKINGS not in end.instances
    assert f"{BOOKINGS}{ENDING}" in end.instances
    assert end.differs == {}


def test_a_volume_that_is_gone_needs_a_zone(shop: Shop) -> None:
    def story(**more: Any) -> Outcome:
        shop.cloud.client("ec2").delete_volume(VolumeId=shop.ids[DISK])
        shop.cloud.clock.run_for(timedelta(minutes=10))
        return recover(shop, DISK, **more)

    without = aside(story)
    assert 'as "zone": "us-east-1a"' in without.stands
    assert not without.volumes
    end = aside(lambda: story(zone="us-east-1b"))
    assert end.stands == "done"
    assert len(end.volumes) == 1
    assert end.document["settings_known_from"].startswith("the original")
    assert [one["found"] for one in end.document["differences"]] == ["gp3"]
    assert "us-east-1b" in end.document["made"][0]


def test_a_point_in_a_vault_is_refused_with_what_to_do_instead(shop: Shop) -> None:
    def story() -> tuple[Outcome, str]:
        kept = [one for one in items(shop.cloud) if one["pk"] == f"OTHERS#{shop.arn(CARTS)}"]
        point = next(one["id"] for one in kept if one["keeper"] == "AWS Backup")
        return recover(shop, CARTS, point=point), page(shop)

    end, told = aside(story)
    assert "It is in a vault of AWS Backup" in end.stands
    assert "aws backup start-restore-job --recovery-point-arn" in told
    assert set(end.tables) >= {CARTS}
    assert not any(ENDING in one for one in end.tables)


def test_what_was_never_backed_up_is_refused(shop: Shop) -> None:
    end = aside(lambda: recover(shop, BROKEN))
    assert end.stands.startswith("failed: ")
    assert "there is no" in end.stands
    assert set(end.instances) == INSTANCES


def test_the_page_has_whole_commands_and_the_document_all_of_them(shop: Shop) -> None:
    def story() -> tuple[Outcome, str]:
        return recover(shop, SERVER), page(shop)

    end, told = aside(story)
    assert len(end.commands) >= 8
    assert "…" not in told
    for line in end.commands:
        assert f"     {line}\n" in told


def hide_manifest(made: Shop, name: str) -> None:
    """Somebody has deleted it: S3 says so only to who may list the bucket."""
    found = [one for one in items(made.cloud) if one["pk"] == f"POINT#{made.arn(name)}"]
    for one in found:
        bucket = made.cloud.physical_id("EvidenceBucket")
        made.cloud.client("s3").delete_object(Bucket=bucket, Key=f"manifests/{one['id']}.json")


def test_without_its_manifest_the_settings_are_those_of_the_original(shop: Shop) -> None:
    def story() -> Outcome:
        hide_manifest(shop, RATES)
        return recover(shop, RATES)

    end = aside(story)
    assert is_as_calm(RATES, end)
    assert "cannot be used: s3:GetObject answered NoSuchKey" in end.document["settings_known_from"]


def adapters() -> list[type]:
    from watchkeeper.aws import (  # noqa: PLC0415, the layer is importable inside a box
        catalogue,
        dynamodb_backups,
        objects,
        other_points,
        recover_dynamodb,
        recover_ec2,
        recover_rds,
        recoveries,
        runs,
        topics,
    )

    return [
        *(catalogue.Catalogue, other_points.OtherPoints, runs.RunTable, topics.Topics),
        *(objects.ManifestReader, recoveries.Recoveries, dynamodb_backups.TableSettings),
        *(recover_ec2.OriginalVolumes, recover_ec2.VolumeRecoverer),
        *(recover_rds.DatabaseRecoverer, recover_rds.RecoveredDatabases),
        recover_dynamodb.TableRecoverer,
    ]


def test_every_right_that_is_declared_is_used_and_no_other_is_needed(shop: Shop) -> None:
    """Nobody was refused anything, or the stories above would not have ended well."""
    from watchkeeper.aws.iam import needed_by  # noqa: PLC0415, the layer is importable inside a box

    def story() -> set[str]:
        rds_restores.installed_in(shop.cloud).lose_setting(
            shop.snapshot(LEDGER), "deletion_protection"
        )
        hide_manifest(shop, CARTS)
        for name in (*MADE, CARTS):
            ask(shop, name, request_id=f"all-{name}")
        shop.cloud.clock.run_for(timedelta(hours=2))
        assert shop.cloud.guard is not None
        return set(shop.cloud.guard.seen["RecoverResources"])

    seen = aside(story)
    assert seen == needed_by(*adapters()) - {"dynamodb:BatchGetItem"}
