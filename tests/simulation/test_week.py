"""Bad days in the tiny account: everything goes wrong at random, and this must hold afterwards."""

from datetime import timedelta
from random import Random

import pytest

from local.mischief import Mischief
from tests.crash.forks import aside
from tests.crash.night import (
    ARCHIVE,
    BROKEN,
    NIGHT,
    SCRATCH,
    SERVER,
    Account,
    Outcome,
    account,
    expire_later,
    settle,
)

DAYS = 3
FAULTS = (
    ("ec2", "CreateSnapshot"),
    ("ec2", "CreateSnapshots"),
    ("ec2", "DeleteSnapshot"),
    ("ec2", "DescribeSnapshots"),
    ("dynamodb", "PutItem"),
    ("dynamodb", "TransactWriteItems"),
    ("dynamodb", "UpdateItem"),
    ("sns", "Publish"),
)


def spoil(mischief: Mischief, random: Random) -> None:
    """A death, a twin and a lost answer a day, throttling at times, and events as they like."""
    mischief.trouble_events(
        drop=0.3, repeat=0.3, delay=timedelta(minutes=5), reorder=True, seed=random.randrange(10**6)
    )
    for function, calls in (("TakeBackups", 100), ("ExpireBackups", 60), ("SweepRuns", 300)):
        mischief.kill(function, random.randint(1, calls), random.choice(("before", "after")))
        mischief.twin(function, random.randint(1, calls))
    for _ in range(2):
        service, operation = random.choice(FAULTS)
        code = random.choice(("InternalError", "ReadTimeout"))
        mischief.fail(service, operation, code, status=500, after=random.random() < 0.5)
    service, operation = random.choice(FAULTS)
    mischief.throttle(service, operation, times=random.randint(1, 5))


def bad_days(made: Account, seed: int) -> Outcome:
    random = Random(seed)
    for day in range(DAYS):
        spoil(made.cloud.mischief, random)
        made.cloud.clock.run_until(NIGHT + timedelta(days=day, hours=22))
    made.cloud.mischief.calm()
    settle(made)
    return expire_later(made, 3)  # what came to light late is settled after two days


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_bad_days_end_like_good_ones(seed: int) -> None:
    with account() as made:
        end = aside(lambda: bad_days(made, seed))
    assert end.unlisted == set(), "every snapshot that costs money is in a record"
    gone = {snapshot for snapshot, state in end.catalogue.items() if state == "removed"}
    assert not gone & end.snapshots, "what the catalogue calls removed is removed"
    for name in (ARCHIVE, SCRATCH, SERVER):
        assert end.kept[name, "completed"] == 2, end.kept
    assert all(count <= 2 for (name, _), count in end.kept.items() if name == BROKEN), end.kept
    assert not any(state == "double" for _, state in end.kept)
    assert set(end.runs.values()) == {"done"}, end.runs
    nights = {point.night for point in end.points}
    assert len(nights) == DAYS
