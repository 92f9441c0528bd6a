"""What has changed of others' recovery points, and which of them count."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from watchkeeper.backups.model import Elsewhere, Kind, Part, Place, RecoveryPoint, State
from watchkeeper.backups.others import (
    LONGEST_SPAN,
    POINT_IN_TIME,
    SETTLED,
    Changes,
    Shown,
    Source,
    compare,
    newest_elsewhere,
)

NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)
DAY = timedelta(days=1)
VOLUME = "arn:aws:ec2:eu-west-1:111122223333:volume/vol-0123456789abcdef0"
ORDERS = "arn:aws:rds:eu-west-1:111122223333:db:orders"

SNAPSHOT = RecoveryPoint(
    resource=VOLUME,
    id="00000000000000e1",
    kind=Kind.VOLUME,
    created_at=NOW - 2 * DAY,
    run="",
    plan="",
    place=Place("111122223333", "eu-west-1"),
    state=State.COMPLETED,
    parts=(Part("snap-0123456789abcdef0", "vol-0123456789abcdef0", 8),),
    keeper="Data Lifecycle Manager",
)
IN_VAULT = replace(
    SNAPSHOT,
    resource=ORDERS,
    id="00000000000000a1",
    kind=Kind.DATABASE,
    parts=(Part("arn:aws:rds:eu-west-1:111122223333:snapshot:awsbackup:job-1", ORDERS, 50),),
    keeper="AWS Backup",
)
SPAN = replace(
    IN_VAULT,
    id="00000000000000b1",
    parts=(),
    keeper=POINT_IN_TIME,
    until=NOW - timedelta(minutes=5),
)
OLD_SPAN = replace(SPAN, until=NOW - LONGEST_SPAN)
EXPIRED = replace(IN_VAULT, state=State.FAILED, why="AWS Backup shows it as EXPIRED")


def gone(point: RecoveryPoint, why: str) -> RecoveryPoint:
    return replace(point, state=State.REMOVED, removed_at=NOW, why=why)


NOT_SHOWN = gone(IN_VAULT, "AWS Backup no longer shows it")


@pytest.mark.parametrize(
    ("known", "shown", "changes"),
    [
        pytest.param([], Shown([SNAPSHOT]), Changes([SNAPSHOT], [], []), id="new"),
        pytest.param(
            [SNAPSHOT, IN_VAULT], Shown([IN_VAULT, SNAPSHOT]), Changes([], [], []), id="as it was"
        ),
        pytest.param([IN_VAULT], Shown([EXPIRED]), Changes([], [EXPIRED], []), id="expired"),
        pytest.param([IN_VAULT], Shown(), Changes([], [], [NOT_SHOWN]), id="gone from its vault"),
        pytest.param(
            [SNAPSHOT],
            Shown([IN_VAULT]),
            Changes([IN_VAULT], [], [gone(SNAPSHOT, "EC2 no longer shows it")]),
            id="gone from EBS",
        ),
        pytest.param(
            [IN_VAULT, SNAPSHOT],
            Shown(unread={Source.VAULTS, Source.SNAPSHOTS}),
            Changes([], [], []),
            id="nobody told anything",
        ),
        pytest.param(
            [IN_VAULT, SNAPSHOT],
            Shown(unread={Source.SNAPSHOTS}),
            Changes([], [], [NOT_SHOWN]),
            id="only the other source was refused",
        ),
        pytest.param(
            [IN_VAULT],
            Shown([EXPIRED], unread={Source.VAULTS}),
            Changes([], [EXPIRED], []),
            id="told in part: what was told counts",
        ),
        pytest.param(
            [replace(SNAPSHOT, created_at=NOW - SETTLED + timedelta(seconds=1))],
            Shown(),
            Changes([], [], []),
            id="too young to be missed",
        ),
        pytest.param(
            [replace(SPAN, until=NOW - DAY)], Shown([SPAN]), Changes([], [SPAN], []), id="it moves"
        ),
        pytest.param([SPAN], Shown([IN_VAULT]), Changes([IN_VAULT], [], []), id="not asked about"),
        pytest.param(
            [SPAN],
            Shown(without_span={ORDERS}),
            Changes([], [], [gone(SPAN, "point-in-time recovery is off")]),
            id="switched off",
        ),
        pytest.param([OLD_SPAN], Shown(), Changes([], [], []), id="as long as any can be"),
        pytest.param(
            [replace(OLD_SPAN, until=NOW - LONGEST_SPAN - DAY)],
            Shown(),
            Changes(
                [],
                [],
                [
                    gone(
                        replace(OLD_SPAN, until=NOW - LONGEST_SPAN - DAY),
                        "not asked about for 35 days, which is as far as any reaches",
                    )
                ],
            ),
            id="nothing can be left of it",
        ),
    ],
)
def test_compare(known: list[RecoveryPoint], shown: Shown, changes: Changes) -> None:
    assert compare(known, shown, NOW) == changes


def test_what_only_we_know_survives_a_change() -> None:
    held = replace(IN_VAULT, holds=("drill#1",), unknown={"verified_by": "drill#1"})
    assert compare([held], Shown([IN_VAULT]), NOW) == Changes([], [], [])
    [changed] = compare([held], Shown([EXPIRED]), NOW).changed
    assert changed == replace(held, state=State.FAILED, why=EXPIRED.why)


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        pytest.param([], {}, id="nothing"),
        pytest.param([EXPIRED, SPAN], {}, id="neither a failed one nor a span by itself"),
        pytest.param(
            [
                SNAPSHOT,
                replace(SNAPSHOT, created_at=NOW - DAY, keeper="AWS Backup"),
                replace(SNAPSHOT, created_at=NOW - 3 * DAY),
                IN_VAULT,
            ],
            {
                VOLUME: Elsewhere("AWS Backup", NOW - DAY),
                ORDERS: Elsewhere("AWS Backup", NOW - 2 * DAY),
            },
            id="the newest of each resource",
        ),
        pytest.param(
            [IN_VAULT, replace(SPAN, keeper="AWS Backup")],
            {ORDERS: Elsewhere("AWS Backup", NOW - timedelta(minutes=5))},
            id="a continuous backup reaches to its end",
        ),
    ],
)
def test_newest_elsewhere(points: list[RecoveryPoint], expected: dict[str, Elsewhere]) -> None:
    assert newest_elsewhere(points) == expected
