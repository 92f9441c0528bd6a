"""What can be wrong with a restore, and the level and the check that must catch it; what is good;
and what no drill sees, with the reason.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from local.disks import ROOT_AT
from tests.crash.restores import Account
from tests.simulation import restores_harm as harm
from tests.simulation.restores_harm import Act, after
from tests.simulation.restores_world import (
    BARE_DISK,
    BLANK,
    BOOKINGS,
    CARTS,
    DISK,
    LEDGER,
    LVM_DISK,
    RATES,
    SECRET,
    SERVER,
    SHELF,
    TWIN,
    kept_by_others,
    points,
    trade,
)

METADATA, BLOCKS, RESTORE, CHECK = "metadata", "blocks", "restore", "check"
LONG = timedelta(hours=30)
"""Beyond the RPO of the plan, 26 hours."""
A_WHILE = timedelta(hours=3)
"""Within it, and less than from one night to the next."""
KINDS = {
    DISK: "volume", TWIN: "volume", SECRET: "volume", SERVER: "instance set",
    BOOKINGS: "database", SHELF: "database", LEDGER: "cluster",
    RATES: "table", CARTS: "table", BLANK: "table",
}  # fmt: skip


@dataclass(frozen=True)
class Bad:
    """A recovery point, or what is restored of it, that is not what it should be."""

    name: str
    wrong: str
    level: str
    """The first that must catch it; those below must pass."""
    by: str
    """The check that must catch it; of a restore that comes to no check, how its failure begins."""
    harm: Act


@dataclass(frozen=True)
class Good:
    """What must pass at every level."""

    name: str
    what: str
    before: Act = harm.nothing
    again: Act | None = None
    """What happens until it is drilled a second time, against what the first drill has found."""
    point: Callable[[Account, str], str] = lambda _made, _name: ""
    """The id of the recovery point; empty for the newest."""


@dataclass(frozen=True)
class Unseen:
    """What is wrong, and passes at every level."""

    name: str
    wrong: str
    why: str
    harm: Act


def oldest(made: Account, name: str) -> str:
    return str(points(made, name)[0]["id"])


def trading(made: Account, _name: str) -> None:
    trade(made, 1)


# ── Bad ───────────────────────────────────────────────────────────────────────────────────────────

WRITTEN, SAMPLED = "written blocks", "sampled blocks"
RESTORED = "restored blocks"
VOLUMES = (
    Bad(DISK, "its snapshot is deleted", METADATA, "it is there", harm.delete_snapshot),
    Bad(SECRET, "its key is disabled", METADATA, "its key", harm.disable_key),
    Bad(SECRET, "its key is to be deleted", METADATA, "its key", harm.schedule_deletion_of_key),
    Bad(DISK, "empty", BLOCKS, WRITTEN, harm.empty_disk),
    Bad(SECRET, "empty, XFS", BLOCKS, WRITTEN, harm.empty_disk),
    Bad(DISK, "truncated", BLOCKS, "format of disk", harm.truncate_disk),
    Bad(DISK, "one flipped bit", BLOCKS, SAMPLED, after(BLOCKS, harm.flip_sampled_block)),
    Bad(SECRET, "one flipped bit, XFS", BLOCKS, SAMPLED, after(BLOCKS, harm.flip_sampled_block)),
    Bad(DISK, "no partition table", BLOCKS, "format of disk", harm.zero_partition_table),
    Bad(DISK, "no superblock of ext4", BLOCKS, "format of partition 1",
        harm.zero_superblock_in_partition),
    Bad(SECRET, "no superblock of XFS", BLOCKS, "format of partition 1",
        harm.zero_superblock_in_partition),
    Bad(DISK, "another volume", BLOCKS, SAMPLED, after(BLOCKS, harm.swap_disk_with(TWIN))),
    Bad(DISK, "older than claimed, looked at when young", BLOCKS, SAMPLED,
        after(BLOCKS, harm.age_disk(A_WHILE))),
    Bad(SECRET, "restored under another key", RESTORE, "restored keys",
        harm.restored_under_another_key),
    Bad(DISK, "it cannot be restored", RESTORE, "it was not restored: EC2 shows",
        harm.fail_volume),
    Bad(DISK, "restored empty", CHECK, RESTORED,
        harm.restored_badly(lambda blocks, snapshot: blocks.empty(snapshot))),
    Bad(DISK, "restored by half", CHECK, RESTORED,
        harm.restored_badly(lambda blocks, snapshot: blocks.truncate(snapshot, harm.CUT_AT))),
    Bad(DISK, "restored with a flipped bit", CHECK, RESTORED,
        after(BLOCKS, harm.restored_with_a_flipped_bit)),
    Bad(DISK, "restored without a superblock", CHECK, "restored format of partition 1",
        harm.restored_badly(
            lambda blocks, snapshot: blocks.overwrite(snapshot, ROOT_AT, harm.ZEROS))),
    Bad(DISK, "restored from another volume", CHECK, RESTORED, harm.restored_of_another),
    Bad(DISK, "older than the last drill's, never looked at", CHECK, "newest file",
        after(CHECK, harm.age_disk(LONG), oldest=True)),
)  # fmt: skip
SETS = (
    Bad(SERVER, "one of its snapshots is deleted", METADATA, "it is there", harm.delete_snapshot),
    Bad(SERVER, "one of its disks is empty", BLOCKS, WRITTEN, harm.empty_disk),
    Bad(SERVER, "no label of LVM", BLOCKS, "format of disk",
        after(BLOCKS, harm.zero(0, device=LVM_DISK))),
    Bad(SERVER, "no superblock, without partitions", BLOCKS, "format of disk",
        harm.zero(0, device=BARE_DISK)),
    Bad(SERVER, "two of its disks are exchanged", BLOCKS, SAMPLED,
        after(BLOCKS, harm.swap_own_disks)),
    Bad(SERVER, "LVM restored without its label", CHECK, "logical volumes",
        harm.restored_badly(
            lambda blocks, snapshot: blocks.overwrite(snapshot, 0, harm.ZEROS), LVM_DISK)),
)  # fmt: skip

NEWEST, WHICH = "newest row of newest order in shop", "exact answer of installation in shop"
KEY, IAM, COPIES, MINOR, PUBLIC = (
    "database setting of KmsKeyId",
    "database setting of IAMDatabaseAuthenticationEnabled",
    "database setting of CopyTagsToSnapshot",
    "database setting of AutoMinorVersionUpgrade",
    "database isolation of PubliclyAccessible",
)
SHELVED = (
    Bad(SHELF, "empty, nobody asks", CHECK, "database contents", harm.empty_database),
    Bad(SHELF, "cut to half, nobody asks", CHECK, "database bytes of shop",
        after(CHECK, harm.halve_database)),
)  # fmt: skip


def _of_databases(name: str) -> tuple[Bad, ...]:
    """Of instances and clusters alike."""
    return (
        Bad(name, "its snapshot is deleted", METADATA, "it is there",
            harm.delete_database_snapshot),
        Bad(name, "its key is disabled", METADATA, "its key", harm.disable_key),
        Bad(name, "its manifest is hidden", METADATA, "the manifest beside it",
            harm.hide_manifest),
        Bad(name, "it cannot be restored", RESTORE, "it was not restored: RDS says",
            harm.fail_database),
        Bad(name, "restored under another key", RESTORE, KEY,
            harm.restored_under_another_database_key),
        Bad(name, "logs in without IAM", RESTORE, IAM,
            harm.lose_setting("enable_iam_database_authentication")),
        Bad(name, "copies no tags", RESTORE, COPIES, harm.lose_setting("copy_tags_to_snapshot")),
        Bad(name, "of another version", RESTORE, "database setting of EngineVersion",
            harm.mistake_setting("engine_version", "12.1")),
        Bad(name, "without its tags", RESTORE, "database tags", harm.lose_setting("tags")),
        Bad(name, "empty", CHECK, "database contents", harm.empty_database),
        Bad(name, "cut to half", CHECK, NEWEST, harm.halve_database),
        Bad(name, "half of its rows purged", CHECK, "decline of rows of orders in shop",
            after(CHECK, harm.purge_database(50))),
        Bad(name, "older than claimed", CHECK, NEWEST, harm.age_database(LONG)),
        Bad(name, "newest rows missing", CHECK, NEWEST, harm.lose_newest_orders(LONG)),
        Bad(name, "another database", CHECK, WHICH, harm.swap_database_with(SHELF)),
        Bad(name, "one flipped bit, where somebody asks", CHECK, "exact answer of schema in shop",
            harm.flip_version),
    )  # fmt: skip


DATABASES = (
    *_of_databases(BOOKINGS),
    Bad(BOOKINGS, "upgrades itself", RESTORE, MINOR,
        harm.lose_setting("auto_minor_version_upgrade")),
    Bad(BOOKINGS, "public", RESTORE, PUBLIC, harm.mistake_setting("publicly_accessible", True)),
    *SHELVED,
    *_of_databases(LEDGER),
)  # fmt: skip

COUNTED, ITEMS = "items", "sampled items"
TABLES = (
    Bad(RATES, "its backup is deleted", METADATA, "it is there", harm.delete_backup),
    Bad(RATES, "its key is disabled", METADATA, "its key", harm.disable_key),
    Bad(RATES, "its manifest is hidden", METADATA, "the manifest beside it", harm.hide_manifest),
    Bad(RATES, "restored under another key", RESTORE, "encryption key", harm.wrong_key_of_table),
    Bad(RATES, "an index is lost", RESTORE, "indexes", harm.lose_index),
    Bad(RATES, "its stream is lost", RESTORE, "setting of stream", harm.lose_settings),
    Bad(CARTS, "its time to live is lost", CHECK, "setting of time_to_live", harm.lose_settings),
    Bad(RATES, "empty", CHECK, COUNTED, harm.empty_table),
    Bad(RATES, "cut to half", CHECK, COUNTED, harm.truncate_table(50)),
    Bad(RATES, "another table", CHECK, ITEMS, harm.swap_table_with(CARTS)),
    Bad(BLANK, "another table, instead of none", CHECK, COUNTED, harm.swap_table_with(CARTS)),
    Bad(RATES, "older than claimed", CHECK, ITEMS, harm.age_table),
    Bad(RATES, "one flipped bit in a sampled item", CHECK, ITEMS, harm.flip_sampled_item),
    Bad(RATES, "a fifth of it is missing, the newest", CHECK, COUNTED, harm.lose_newest_items(12)),
    Bad(CARTS, "the newest item is missing", CHECK, COUNTED, harm.lose_newest_items(1)),
)  # fmt: skip
BAD = (*VOLUMES, *SETS, *DATABASES, *TABLES)

# ── Good ──────────────────────────────────────────────────────────────────────────────────────────

HOURS = harm.waiting(timedelta(hours=5))
GOOD = (
    *(Good(name, "untouched, drilled twice", again=harm.nothing) for name in KINDS),
    *(Good(name, "the older recovery point", point=oldest) for name in KINDS),
    *(Good(name, "the older one, after the newest", after(CHECK, harm.nothing), point=oldest)
      for name in (DISK, SERVER, BOOKINGS, LEDGER, RATES)),
    *(Good(name, "the newest, after the older one", after(CHECK, harm.nothing, oldest=True))
      for name in (DISK, SERVER, BOOKINGS, LEDGER, RATES, CARTS)),
    *(Good(name, "in use since then", HOURS, again=HOURS)
      for name in (DISK, BOOKINGS, LEDGER)),
    *(Good(name, "items came and went since then", trading, again=harm.nothing)
      for name in (RATES, CARTS)),
    *(Good(name, "old rows were purged between two", after(CHECK, harm.purge_database(5),
      oldest=True)) for name in (BOOKINGS, SHELF, LEDGER)),
    Good(DISK, "made by AWS Backup", point=kept_by_others),
    Good(TWIN, "made by the Data Lifecycle Manager", point=kept_by_others),
)  # fmt: skip

# ── What no drill sees ────────────────────────────────────────────────────────────────────────────

UNSEEN = (
    Unseen(DISK, "one flipped bit in a block that is not sampled",
        "some seventy blocks of a disk are read, not all", after(BLOCKS,
        harm.flip_unsampled_block)),
    Unseen(DISK, "one flipped bit in data, before the first look",
        "nobody knows what was there; EBS hands out no hashes", harm.flip_data_block),
    Unseen(DISK, "another volume, before the first look",
        "it is a sound disk of the same form, and nobody knows which it should be",
        harm.swap_disk_with(TWIN)),
    Unseen(DISK, "older by hours, before the first look",
        "a disk may be at rest: how old its newest file is, is told, and no failure",
        harm.age_disk(A_WHILE)),
    Unseen(BOOKINGS, "one flipped bit in a row",
        "rows change, so that only a question with one right answer sees one", harm.flip_a_row),
    Unseen(BOOKINGS, "newest rows missing, within the RPO",
        "so old the data may be", harm.lose_newest_orders(A_WHILE)),
    Unseen(SHELF, "another database, and nobody asks which",
        "it has tables, and as many rows", harm.swap_database_with(BOOKINGS)),
    Unseen(SHELF, "cut to half, at its first drill, and nobody asks",
        "no drill has found a number before", harm.halve_database),
    Unseen(RATES, "the newest items missing, less than a tenth",
        "none of them is sampled; how many there were is known up to six hours late",
        harm.lose_newest_items(4)),
)  # fmt: skip
