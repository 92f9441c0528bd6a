"""Rounds over databases and tables: what is bad fails its own drill, and no other one."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from tests.crash import databases, drills
from tests.crash.databases import BOOKINGS, BROKEN, CARTS, KINDS, LEDGER, RATES
from tests.crash.drills import Outcome, drill, outcome, settle
from tests.crash.evidence import Filed
from tests.crash.forks import aside
from tests.crash.night import NIGHT, run_night

TOLD = "Drills failed: "
NOTHING = "it has point-in-time recovery alone, "
"""What is said of BROKEN, whose snapshots all fail."""
ROUND = NIGHT + timedelta(hours=7)
"""At nine, as the default policy has it."""


class Databases(drills.Account):
    """The same as of volumes, but that their ARNs are told by name."""

    def arn(self, name: str) -> str:
        named = databases.DatabaseAccount(self.cloud, self.volumes)
        return named.arn(name)


@pytest.fixture(scope="module")
def morning() -> Iterator[Databases]:
    """Each call is judged by the role of its function. Tests tell their stories aside."""
    with databases.account(deny=True) as made:
        run_night(made)
        yield Databases(made.cloud, dict(made.ids), made.key)


def run_round(made: Databases) -> Outcome:
    made.cloud.clock.run_until(ROUND + timedelta(hours=1))
    return settle(made)


# ── What is bad ───────────────────────────────────────────────────────────────────────────────────


def delete_database_snapshot(made: Databases) -> None:
    name = made.snapshot(BOOKINGS).rsplit(":", 1)[-1]
    made.cloud.client("rds").delete_db_snapshot(DBSnapshotIdentifier=name)
    made.cloud.clock.run_for(timedelta(minutes=10))


def delete_cluster_snapshot(made: Databases) -> None:
    name = made.snapshot(LEDGER).rsplit(":", 1)[-1]
    made.cloud.client("rds").delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=name)
    made.cloud.clock.run_for(timedelta(minutes=10))


def delete_table_backup(made: Databases) -> None:
    made.cloud.client("dynamodb").delete_backup(BackupArn=made.snapshot(CARTS))
    made.cloud.clock.run_for(timedelta(minutes=10))


def doom_its_key(made: Databases) -> None:
    made.cloud.client("kms").schedule_key_deletion(KeyId=made.key, PendingWindowInDays=7)


def outlive_the_objective(made: Databases) -> None:
    """No night comes meanwhile."""
    made.cloud.clock.move_to(NIGHT + timedelta(hours=27))


def point_to_another_manifest(name: str) -> Callable[[Databases], None]:
    return lambda made: made.rewrite(name, manifest="0" * 64)


def lose_the_manifest(made: Databases) -> None:
    """Object Lock keeps it; but somebody can hide it."""
    key = f"manifests/{made.record(RATES)['id']}.json"
    made.cloud.client("s3").delete_object(Bucket=made.bucket, Key=key)


BAD: dict[str, tuple[str, Callable[[Databases], object], str]] = {
    "its snapshot is gone": (BOOKINGS, delete_database_snapshot, "it is there: expected 1 of 1"),
    "its cluster's snapshot is gone": (LEDGER, delete_cluster_snapshot, "it is there: expected"),
    "its backup is gone": (CARTS, delete_table_backup, "it is there: expected 1 of 1 parts"),
    "its key dies": (BOOKINGS, doom_its_key, "its key: expected "),
    "a database's manifest is another one": (
        LEDGER, point_to_another_manifest(LEDGER), "the manifest beside it: expected SHA-256 0000",
    ),
    "a table's manifest is another one": (
        RATES, point_to_another_manifest(RATES), "the manifest beside it: expected SHA-256 0000",
    ),
    "its manifest is gone": (RATES, lose_the_manifest, "the manifest beside it: expected SHA-256"),
    "it is too old": (CARTS, outlive_the_objective, "its age: expected at most 26 h,"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_recovery_point_is_caught(morning: Databases, name: str) -> None:
    resource, spoil, why = BAD[name]

    def story() -> tuple[Filed, Filed, Outcome]:
        good = drill(morning, resource, "metadata")
        spoil(morning)
        return good, drill(morning, resource, "metadata"), outcome(morning)

    good, bad, end = aside(story)
    assert (good.verdict, good.failure) == ("passed", "")
    assert bad.verdict == "failed"
    assert bad.failure.startswith(why), bad.failure
    assert end.proofs[resource] == {"metadata": "failed"}
    assert [one for one in end.told if one.startswith(TOLD)] == [f"{TOLD}1 more, 1 in all"]
    assert not end.breaks


# ── Rounds ────────────────────────────────────────────────────────────────────────────────────────


def test_a_round_passes_what_is_good(morning: Databases) -> None:
    end = aside(lambda: run_round(morning))

    assert {name: [one.verdict for one in end.chains[name]] for name in KINDS} == {
        name: ["failed" if name == BROKEN else "passed"] for name in KINDS
    }
    assert end.chains[BROKEN][0].failure.startswith(NOTHING)
    assert [one for one in end.told if one.startswith(TOLD)] == [f"{TOLD}1 more, 1 in all"]


def test_each_that_is_bad_fails_its_own_drill_alone(morning: Databases) -> None:
    def story() -> Outcome:
        # After the expiry of the morning: that marks what is gone, so that nothing is drilled.
        morning.cloud.clock.run_until(ROUND - timedelta(hours=1))
        doom_its_key(morning)
        delete_cluster_snapshot(morning)
        lose_the_manifest(morning)
        return run_round(morning)

    end = aside(story)
    begins = {
        BOOKINGS: "its key: ",
        BROKEN: NOTHING,
        LEDGER: "it is there: ",
        RATES: "the manifest beside it: ",
    }
    for name, begin in begins.items():
        (one,) = end.chains[name]
        assert one.verdict == "failed"
        assert one.failure.startswith(begin), one.failure
    assert [one.verdict for one in end.chains[CARTS]] == ["passed"]
    assert set(end.runs.values()) == {"done"}
    assert set(end.pages.values()) == {0}
    assert [one for one in end.told if one.startswith(TOLD)] == [f"{TOLD}4 more, 4 in all"]
    assert not end.breaks
