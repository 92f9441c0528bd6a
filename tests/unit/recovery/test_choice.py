"""Which recovery point is recovered, or why none can be."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from watchkeeper.backups.model import Kind, Part, Place, RecoveryPoint, State
from watchkeeper.recovery.choice import NoRecovery, chosen

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
TABLE = "arn:aws:dynamodb:eu-west-1:123456789012:table/rates"
PLACE = Place("123456789012", "eu-west-1")


def point(number: int, **changes: object) -> RecoveryPoint:
    """Made `number` days ago."""
    made = RecoveryPoint(
        resource=TABLE, id=f"{number:016x}", kind=Kind.TABLE, run="r", plan="gold", place=PLACE,
        created_at=NOW - timedelta(days=number), state=State.COMPLETED,
        parts=(Part(f"{TABLE}/backup/{number}", TABLE, 1),),
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


OURS = [point(1, state=State.FAILED, why="it broke"), point(3), point(2)]
VAULT = point(
    9, keeper="AWS Backup",
    parts=(Part("arn:aws:backup:eu-west-1:1:recovery-point:x", TABLE, 1),),
)  # fmt: skip
SPAN = point(8, keeper="point-in-time recovery", until=NOW, parts=())
OF_EBS = point(7, keeper="AWS Backup", parts=(Part("snap-0", "vol-0", 1),))


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("", point(2)), (point(3).id, point(3)), (OF_EBS.id, OF_EBS)],
    ids=["the newest completed one", "one that is named", "a snapshot that others keep"],
)
def test_a_point_is_chosen(wanted: str, found: RecoveryPoint) -> None:
    assert chosen(TABLE, wanted, OURS, [VAULT, SPAN, OF_EBS]) == found


@pytest.mark.parametrize(
    ("wanted", "ours", "others", "why"),
    [
        ("0" * 16, OURS, [], "no recovery point 0000000000000000: the newest are 0000000000000002"),
        (point(1).id, OURS, [], "is failed (it broke): the newest are"),
        (VAULT.id, OURS, [VAULT], "aws backup start-restore-job --recovery-point-arn arn:aws:back"),
        (SPAN.id, OURS, [SPAN], "aws dynamodb restore-table-to-point-in-time --source-table-name "),
        ("", [], [VAULT], "AWS Backup has 0000000000000009, of 2026-11-14 09:00 UTC"),
        ("", [], [OF_EBS], 'with "point": "0000000000000007"'),
        ("", OURS[:1], [], "there is no completed recovery point of it"),
        (
            point(3).id,
            [replace(point(3), place=replace(PLACE, tier="archive"))],
            [],
            "is in tier archive: bring it back first",
        ),
    ],
)
def test_none_is_chosen_and_why(
    wanted: str, ours: list[RecoveryPoint], others: list[RecoveryPoint], why: str
) -> None:
    with pytest.raises(NoRecovery) as no:
        chosen(TABLE, wanted, ours, others)
    assert why in str(no.value)


def test_what_no_kind_restores_is_refused() -> None:
    with pytest.raises(NoRecovery, match="nothing of its kind"):
        chosen("arn:aws:s3:::bucket", "", [], [])
