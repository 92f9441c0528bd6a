"""What happens to recovery points, to what is restored of them, and to what is in use meanwhile."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from local.aws import dynamodb_restores, ebs_blocks, ec2_restores, rds_restores
from local.disks import BLOCK, ROOT_AT
from tests.crash.restores import Account, drilled
from tests.simulation.restores_world import BARE_DISK, LVM_DISK, TWIN, key_of, part, points

Act = Callable[[Account, str], object]
"""Done to the resource of this name, or to its newest recovery point."""
ZEROS = bytes(4096)
GPT_SIZE = 34 * 512
"""Bytes: the protective MBR, the header and its entries."""
CUT_AT = 5000
"""A block of a disk of 4 GiB; behind it lies, beside data, the second copy of the GPT."""


def nothing(_made: Account, _name: str) -> None:
    """As it was backed up."""


def after(level: str, harm: Act, *, oldest: bool = False) -> Act:
    """Once it, or the oldest recovery point, was drilled at a level, and was good."""

    def act(made: Account, name: str) -> None:
        which = {"point": points(made, name)[0]["id"]} if oldest else {}
        found = drilled(made, name, level, **which).last(name)
        assert found.verdict == "passed", f"{name} was not good to begin with: {found.failure}"
        harm(made, name)

    return act


def waiting(time: timedelta) -> Act:
    return lambda made, _: made.cloud.clock.run_for(time)


# ── Of every service ──────────────────────────────────────────────────────────────────────────────


def disable_key(made: Account, name: str) -> None:
    made.cloud.client("kms").disable_key(KeyId=key_of(made, name))


def schedule_deletion_of_key(made: Account, name: str) -> None:
    aws = made.cloud.client("kms")
    aws.schedule_key_deletion(KeyId=key_of(made, name), PendingWindowInDays=7)


def another_key(made: Account) -> str:
    return str(made.cloud.client("kms").create_key()["KeyMetadata"]["Arn"])


def hide_manifest(made: Account, name: str) -> None:
    """Object Lock keeps it; but somebody can hide it."""
    key = f"manifests/{made.record(name)['id']}.json"
    made.cloud.client("s3").delete_object(Bucket=made.bucket, Key=key)


# ── Volumes ───────────────────────────────────────────────────────────────────────────────────────


def blocks(made: Account) -> ebs_blocks.EbsBlocks:
    return ebs_blocks.installed_in(made.cloud)


def delete_snapshot(made: Account, name: str) -> None:
    made.cloud.client("ec2").delete_snapshot(SnapshotId=part(made, name))
    made.cloud.clock.run_for(timedelta(minutes=10))  # until Describe has heard of it


def empty_disk(made: Account, name: str) -> None:
    blocks(made).empty(part(made, name))


def truncate_disk(made: Account, name: str) -> None:
    blocks(made).truncate(part(made, name), CUT_AT)


def zero(offset: int, size: int = len(ZEROS), *, device: str = "") -> Act:
    """Bytes of a disk."""
    return lambda made, name: blocks(made).overwrite(part(made, name, device), offset, bytes(size))


zero_partition_table = zero(0, GPT_SIZE)
zero_superblock_in_partition = zero(ROOT_AT)


def flip_sampled_block(made: Account, name: str) -> None:
    """The last of those that the first look has kept: data, and no structure."""
    blocks(made).tamper(part(made, name), max(sampled(made, name)))


def flip_unsampled_block(made: Account, name: str) -> None:
    """The first behind the superblocks that no look has kept."""
    snapshot, kept = part(made, name), sampled(made, name)
    present = blocks(made).content(snapshot).present
    others = sorted(one for one in present if one not in kept and one > ROOT_AT // BLOCK)
    blocks(made).tamper(snapshot, others[0])


def flip_data_block(made: Account, name: str) -> None:
    """The last one: a block of data, not of the second table of partitions."""
    snapshot = part(made, name)
    [*_, last, _table] = sorted(blocks(made).content(snapshot).present)
    blocks(made).tamper(snapshot, last)


def sampled(made: Account, name: str) -> set[int]:
    """The numbers of the blocks of its first disk that the first look has kept."""
    record = made.record(name)
    key = f"manifests/{record['id']}.blocks.json"
    answer = made.cloud.client("s3").get_object(Bucket=made.bucket, Key=key)
    kept: dict[str, Any] = json.loads(answer["Body"].read())["volumes"]
    return {int(number) for number in kept[record["parts"][0]["volume"]]["hashes"]}


def swap_disk_with(other: str) -> Act:
    return lambda made, name: blocks(made).swap(part(made, name), part(made, other))


def swap_own_disks(made: Account, name: str) -> None:
    first, second = part(made, name, LVM_DISK), part(made, name, BARE_DISK)
    spare = copied(made, first)
    blocks(made).swap(first, second)
    blocks(made).swap(second, spare)


def age_disk(by: timedelta) -> Act:
    return lambda made, name: blocks(made).age(part(made, name), by)


def copied(made: Account, snapshot: str) -> str:
    aws = made.cloud.client("ec2")
    copy = aws.copy_snapshot(SourceRegion=made.cloud.region, SourceSnapshotId=snapshot)
    return str(copy["SnapshotId"])


def restored_badly(harm: Callable[[ebs_blocks.EbsBlocks, str], object], device: str = "") -> Act:
    """The snapshot is good; what is made of it is as if it came from a harmed one."""

    def act(made: Account, name: str) -> None:
        snapshot = part(made, name, device)
        spoiled = copied(made, snapshot)
        harm(blocks(made), spoiled)
        blocks(made).mistake(snapshot, spoiled)

    return act


def restored_with_a_flipped_bit(made: Account, name: str) -> None:
    """One bit of a block that the first look has kept."""
    number = max(sampled(made, name))
    restored_badly(lambda switches, snapshot: switches.tamper(snapshot, number))(made, name)


def restored_of_another(made: Account, name: str) -> None:
    blocks(made).mistake(part(made, name), part(made, TWIN))


def restored_under_another_key(made: Account, name: str) -> None:
    switches = ec2_restores.installed_in(made.cloud)
    switches.wrong_key(part(made, name), another_key(made))


def fail_volume(made: Account, name: str) -> None:
    ec2_restores.installed_in(made.cloud).fail_restores_of(part(made, name))


# ── Databases ─────────────────────────────────────────────────────────────────────────────────────


def databases(made: Account) -> rds_restores.RdsRestores:
    return rds_restores.installed_in(made.cloud)


def delete_database_snapshot(made: Account, name: str) -> None:
    aws, snapshot = made.cloud.client("rds"), made.snapshot(name)
    if ":cluster:" in made.arns[name]:
        aws.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=snapshot)
    else:
        aws.delete_db_snapshot(DBSnapshotIdentifier=snapshot)
    made.cloud.clock.run_for(timedelta(minutes=10))


def empty_database(made: Account, name: str) -> None:
    databases(made).empty(made.snapshot(name))


def halve_database(made: Account, name: str) -> None:
    databases(made).truncate(made.snapshot(name), 50)


def purge_database(percent: int) -> Act:
    return lambda made, name: databases(made).purge(made.snapshot(name), percent)


def age_database(by: timedelta) -> Act:
    return lambda made, name: databases(made).age(made.snapshot(name), by)


def swap_database_with(other: str) -> Act:
    """As it was then, so that nothing tells but what is in it."""

    def act(made: Account, name: str) -> None:
        databases(made).swap(made.snapshot(name), other)
        databases(made).age(made.snapshot(name), timedelta())

    return act


def lose_newest_orders(behind: timedelta) -> Act:
    return lambda made, name: databases(made).lose_newest(made.snapshot(name), "orders", behind)


def flip_version(made: Account, name: str) -> None:
    databases(made).flip_version(made.snapshot(name))


def flip_a_row(made: Account, name: str) -> None:
    databases(made).flip_byte(made.snapshot(name), "customers")


def lose_setting(setting: str) -> Act:
    return lambda made, name: databases(made).lose_setting(made.snapshot(name), setting)


def mistake_setting(setting: str, value: object) -> Act:
    return lambda made, name: databases(made).mistake_setting(made.snapshot(name), setting, value)


def restored_under_another_database_key(made: Account, name: str) -> None:
    mistake_setting("kms_key_id", another_key(made))(made, name)


def fail_database(made: Account, name: str) -> None:
    databases(made).fail_restores_of(made.snapshot(name))


# ── Tables ────────────────────────────────────────────────────────────────────────────────────────


def tables(made: Account) -> dynamodb_restores.DynamodbRestores:
    return dynamodb_restores.installed_in(made.cloud)


def delete_backup(made: Account, name: str) -> None:
    made.cloud.client("dynamodb").delete_backup(BackupArn=made.snapshot(name))
    made.cloud.clock.run_for(timedelta(minutes=10))


def empty_table(made: Account, name: str) -> None:
    tables(made).empty(made.snapshot(name))


def truncate_table(percent: int) -> Act:
    return lambda made, name: tables(made).truncate(made.snapshot(name), percent)


def swap_table_with(other: str) -> Act:
    return lambda made, name: tables(made).swap(made.snapshot(name), made.snapshot(other))


def age_table(made: Account, name: str) -> None:
    """It has the items of the night before."""
    tables(made).swap(made.snapshot(name), points(made, name)[0]["parts"][0]["snapshot"])


def lose_newest_items(count: int) -> Act:
    return lambda made, name: tables(made).lose_newest(made.snapshot(name), "id", count)


def flip_sampled_item(made: Account, name: str) -> None:
    """The first item: samples begin there."""
    tables(made).flip_byte(made.snapshot(name), "of")


def lose_index(made: Account, name: str) -> None:
    tables(made).lose_index(made.snapshot(name))


def lose_settings(made: Account, _name: str) -> None:
    tables(made).loses_settings = True


def wrong_key_of_table(made: Account, name: str) -> None:
    tables(made).wrong_key(made.snapshot(name), another_key(made))
