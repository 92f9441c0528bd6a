"""A round of drills, killed and raced: one verdict and one document each. And what is bad fails."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from tests.crash.drills import (
    PLAIN,
    ROUND,
    SECRET,
    TICK,
    Account,
    Outcome,
    account,
    drill,
    outcome,
    run_round,
    settle,
)
from tests.crash.evidence import Filed
from tests.crash.forks import Story, aside, explore_changes
from watchkeeper import naming

RUN = naming.drill_id(naming.round_id(ROUND), "blocks")


@pytest.fixture(scope="module")
def morning() -> Iterator[Account]:
    """Each call is judged by the role of its function. Tests tell their stories aside."""
    with account(deny=True) as made:
        yield made


def is_as_calm(end: Outcome) -> bool:
    """Each volume has passed once, by one document in a whole chain, and nothing is left to do."""
    return (
        all(
            [(one.run, one.level, one.verdict) for one in chain] == [(RUN, "blocks", "passed")]
            for chain in end.chains.values()
        )
        and len(end.chains) == 2
        and not end.breaks
        and set(end.pages.values()) == {0}
        and all(proof == {"blocks": "passed"} for proof in end.proofs.values())
        and set(end.runs.values()) == {"done"}
        and not end.told
    )


def differing(story: Story[Outcome]) -> list[str]:
    """The branches that do not end as the calm story does, each with what is different."""
    assert is_as_calm(story.calm), story.calm
    return [
        f"{branch.name}: {branch.error or branch.outcome}"
        for branch in story.branches
        if branch.outcome is None
        or not is_as_calm(branch.outcome)
        or set(branch.outcome.news) != set(story.calm.news)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["death", "twin"])
def test_death_or_twin_at_every_call(morning: Account, kind: str) -> None:
    story = aside(
        lambda: explore_changes(
            morning.cloud, "DrillRestores", kind, lambda: run_round(morning), (0, 2)
        )
    )
    assert len(story.branches) >= 10
    assert differing(story) == []


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("ebs", "ListSnapshotBlocks"),
        ("ebs", "GetSnapshotBlock"),
        ("ec2", "DescribeSnapshots"),
        ("kms", "DescribeKey"),
        ("s3", "PutObject"),
        ("s3", "ListObjectVersions"),
        ("dynamodb", "TransactWriteItems"),
        ("dynamodb", "PutItem"),
    ],
)
@pytest.mark.parametrize("after", [False, True], ids=["refused", "answer lost"])
def test_a_server_fault_changes_nothing(
    morning: Account, service: str, operation: str, after: bool
) -> None:
    def story() -> tuple[int, Outcome]:
        morning.cloud.clock.run_until(ROUND + TICK - timedelta(minutes=1))
        fault = morning.cloud.mischief.fail(
            service, operation, "InternalError", status=500, after=after, times=2
        )
        end = run_round(morning)
        return fault.fired, end

    fired, end = aside(story)
    assert fired == 2
    assert is_as_calm(end), end


# ── What is bad, and what is good ─────────────────────────────────────────────────────────────────


def test_good_recovery_points_pass_and_pass_again(morning: Account) -> None:
    def story() -> list[Filed]:
        return [
            drill(morning, name, level)
            for name in (PLAIN, SECRET)
            for level in ("blocks", "metadata", "blocks")
        ]

    found = aside(story)
    assert [one.verdict for one in found] == ["passed"] * 6
    # The second look at blocks compares them with what the first has kept, too.
    assert [one.checks for one in found[0:3:2]] == [found[0].checks, found[0].checks + 1]


def delete(made: Account) -> None:
    made.cloud.client("ec2").delete_snapshot(SnapshotId=made.snapshot(PLAIN))
    made.cloud.clock.run_for(timedelta(minutes=10))  # until Describe has heard of it


def flip_a_sampled_block(made: Account) -> None:
    made.blocks.tamper(made.snapshot(PLAIN), int(max(made.hashes(PLAIN), key=int)))


def fill_the_table_of_partitions_with_zeros(made: Account) -> None:
    made.blocks.overwrite(made.snapshot(PLAIN), 0, bytes(34 * 512))


def lose_the_key(made: Account) -> None:
    made.cloud.client("kms").disable_key(KeyId=made.key)


BAD: dict[str, tuple[str, str, Callable[[Account], object], str]] = {
    "gone": (PLAIN, "metadata", delete, "it is there: expected 1 of 1 parts"),
    "key disabled": (SECRET, "metadata", lose_the_key, "its key: expected"),
    "size collapsed": (
        PLAIN,
        "metadata",
        lambda made: made.rewrite(
            PLAIN, id="0" * 16, sk="2026-11-22T02:00:00.000Z#" + "0" * 16,
            created_at="2026-11-22T02:00:00.000Z",
            parts=[{"snapshot": "snap-0", "volume": made.volumes[PLAIN], "gib": 100}],
        ),
        "its size: expected at least 50 GiB",
    ),
    "of another manifest": (
        PLAIN,
        "metadata",
        lambda made: made.rewrite(PLAIN, manifest="0" * 64),
        "the manifest beside it: expected SHA-256 0000",
    ),
    "failed": (
        PLAIN,
        "metadata",
        lambda made: made.rewrite(PLAIN, state="failed"),
        "it has no recovery point that could be restored",
    ),
    "one flipped bit": (PLAIN, "blocks", flip_a_sampled_block, "sampled blocks: expected"),
    "no partition table": (
        PLAIN, "blocks", fill_the_table_of_partitions_with_zeros, "format of disk: expected",
    ),
    "emptied": (
        PLAIN, "blocks", lambda made: made.blocks.empty(made.snapshot(PLAIN)), "written blocks",
    ),
    "truncated": (
        PLAIN,
        "blocks",
        lambda made: made.blocks.truncate(made.snapshot(PLAIN), 5000),
        "format of disk: expected GPT",
    ),
    "garbled on its way": (
        PLAIN,
        "blocks",
        lambda made: made.blocks.garbled.add((made.snapshot(PLAIN), 0)),
        "it could not be looked at: ebs:GetSnapshotBlock answered WrongChecksum",
    ),
    "another volume's": (
        PLAIN,
        "blocks",
        lambda made: made.rewrite(
            PLAIN, parts=[{**made.record(PLAIN)["parts"][0], "snapshot": made.snapshot(SECRET)}]
        ),
        "format of partition 1: expected ext4, as in the manifest",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_recovery_point_is_caught(morning: Account, name: str) -> None:
    volume, level, spoil, why = BAD[name]

    def story() -> tuple[Filed, Filed, Outcome]:
        good = drill(morning, volume)
        spoil(morning)
        return good, drill(morning, volume, level), outcome(morning)

    good, bad, end = aside(story)
    assert good.verdict == "passed"
    assert (bad.verdict, bad.level) == ("failed", level)
    assert bad.failure.startswith(why), bad.failure
    assert end.proofs[volume][level] == "failed"
    assert end.told == ("Drills failed: 1 more, 1 in all",)
    assert not end.breaks


def test_emptied_and_truncated_are_caught_by_who_never_looked_before(morning: Account) -> None:
    def story() -> list[Filed]:
        morning.blocks.empty(morning.snapshot(PLAIN))
        morning.blocks.truncate(morning.snapshot(SECRET), 8)
        return [drill(morning, PLAIN), drill(morning, SECRET)]

    assert [one.verdict for one in aside(story)] == ["failed", "failed"]


def test_a_drill_of_an_older_one_keeps_what_the_newest_is(morning: Account) -> None:
    """So that even the first drill of that one sees a bit that has flipped meanwhile."""

    def story() -> tuple[Filed, Filed]:
        older = tomorrow(morning)
        first = drill(morning, PLAIN, point=older)
        flip_a_sampled_block(morning)
        return first, drill(morning, PLAIN)

    good, bad = aside(story)
    assert good.verdict == "passed", good.failure
    assert bad.failure.startswith("sampled blocks: expected"), bad.failure


def test_an_empty_newest_fails_the_drill_of_an_older_one(morning: Account) -> None:
    def story() -> Filed:
        older = tomorrow(morning)
        morning.blocks.empty(morning.snapshot(PLAIN))
        return drill(morning, PLAIN, point=older)

    bad = aside(story)
    assert bad.failure.startswith("written blocks of the newest: expected at least"), bad.failure


def tomorrow(made: Account) -> str:
    """After the next night, and before its round; the id of what is not the newest any more."""
    older = str(made.record(PLAIN)["id"])
    made.cloud.clock.run_until(ROUND + timedelta(hours=23, minutes=45))
    assert made.record(PLAIN)["id"] != older
    return older


def test_people_are_told_once_of_what_goes_on_failing(morning: Account) -> None:
    def story() -> Outcome:
        delete(morning)
        for _ in range(3):
            drill(morning, PLAIN, "metadata")
        return outcome(morning)

    end = aside(story)
    assert [one.verdict for one in end.chains[PLAIN]] == ["failed"] * 3
    assert end.told == ("Drills failed: 1 more, 1 in all",)
    assert not end.breaks


def test_what_nobody_protects_fails_with_a_reason(morning: Account) -> None:
    def story() -> Filed:
        morning.volumes["stray"] = "vol-00000000000000000"
        return drill(morning, "stray", "metadata")

    stray = aside(story)
    assert stray.verdict == "failed"
    assert stray.failure == "nothing protects it, and there is no recovery point of it"


def test_the_round_goes_on_past_what_fails(morning: Account) -> None:
    def story() -> Outcome:
        delete(morning)
        return run_round(morning)

    end = aside(story)
    assert [one.verdict for one in end.chains[PLAIN]] == ["failed"]
    assert [one.verdict for one in end.chains[SECRET]] == ["passed"]
    assert set(end.runs.values()) == {"done"}


def test_a_check_that_crashes_fails_its_own_drill_alone(morning: Account) -> None:
    """What it is compared with was recorded in a way that nobody thought of."""

    def story() -> Outcome:
        sized_in_words = {"snapshot": "snap-0", "volume": morning.volumes[PLAIN], "gib": "four"}
        morning.rewrite(
            PLAIN, id="0" * 16, sk="2026-11-22T02:00:00.000Z#" + "0" * 16,
            created_at="2026-11-22T02:00:00.000Z", parts=[sized_in_words],
        )  # fmt: skip
        return run_round(morning)

    end = aside(story)
    assert [(one.verdict, one.failure) for one in end.chains[PLAIN]] == [
        ("failed", "the check crashed, or was cut off, 3 times: see the function's log")
    ]
    assert [one.verdict for one in end.chains[SECRET]] == ["passed"]
    assert (end.proofs[PLAIN], end.proofs[SECRET]) == ({"blocks": "failed"}, {"blocks": "passed"})
    assert set(end.runs.values()) == {"done"}
    assert set(end.pages.values()) == {0}
    assert end.told == ("Drills failed: 1 more, 1 in all",)
    assert not end.breaks


def test_a_stop_holds_the_round_and_lifting_it_lets_it_go_on(morning: Account) -> None:
    def story() -> tuple[Outcome, Outcome]:
        table = {"TableName": morning.cloud.physical_id("Table")}
        stop = {"pk": {"S": "STOP"}, "sk": {"S": "STOP"}}
        why = {"why": {"S": "an audit"}, "by": {"S": "ops"}}
        morning.cloud.client("dynamodb").put_item(**table, Item=stop | why)
        held = run_round(morning)
        morning.cloud.client("dynamodb").delete_item(**table, Key=stop)
        return held, settle(morning)

    held, end = aside(story)
    assert not any(held.chains.values())
    assert is_as_calm(end)
