"""Keys: what their states mean, what is lost with them, and who was told of that."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from watchkeeper import naming
from watchkeeper.backups.keys import (
    GONE,
    UNCHECKED,
    Amount,
    FailingKey,
    KeyState,
    failing,
    held,
    in_lines,
    keys_of,
    points_under,
    remembered,
    unchecked,
    unusable,
)
from watchkeeper.backups.model import Kind, Place, RecoveryPoint, State
from watchkeeper.news.base import LIMIT, LINE, LINES
from watchkeeper.news.keys import KeysFailing
from watchkeeper.runs.record import Run

NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)
DAY = timedelta(days=1)
PLACE = Place("123456789012", "eu-west-1")
RUN = Run(naming.keys_id(NOW), ("check keys",), "check keys", NOW, NOW)


def arn(name: str) -> str:
    return f"arn:aws:kms:eu-west-1:123456789012:key/{name}"


def key(name: str, state: str = "Enabled", problem: str = "") -> KeyState:
    dying = state == "PendingDeletion"
    return KeyState(arn(name), state, NOW + 7 * DAY if dying else None, problem)


def point(
    resource: str,
    *keys: str,
    age: int = 1,
    state: State = State.COMPLETED,
    keeper: str = "",
    until: datetime | None = None,
) -> RecoveryPoint:
    return RecoveryPoint(
        resource=resource, id=f"{age:016x}", kind=Kind.VOLUME, created_at=NOW - age * DAY,
        run="backup#gold#1", plan="gold", place=PLACE, state=state, keys=tuple(map(arn, keys)),
        keeper=keeper, until=until,
    )  # fmt: skip


def found(points: Sequence[RecoveryPoint], *keys: KeyState) -> list[FailingKey]:
    return failing(held(points), {one.arn: one for one in keys})


# ── States ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("Disabled", "enable-key"),
        ("PendingDeletion", "gone for good after 2026-11-30 02:00 UTC"),
        ("PendingReplicaDeletion", "cancel-key-deletion"),
        ("PendingImport", "key material"),
        ("Unavailable", "key store"),
        ("Creating", "still being created"),
        (GONE, "deleted"),
    ],
)
def test_under_a_key_that_fails_nothing_should_be_encrypted(state: str, says: str) -> None:
    why = unusable(key("k", state))

    assert arn("k") in why
    assert says in why
    assert unchecked(key("k", state)) == ""


@pytest.mark.parametrize("state", ["Enabled", "Updating"])
def test_a_usable_key_gives_no_reason(state: str) -> None:
    assert (unusable(key("k", state)), unchecked(key("k", state))) == ("", "")


@pytest.mark.parametrize(
    ("one", "says"),
    [
        (key("k", UNCHECKED, "KMS said no"), "could not be checked: KMS said no"),
        (key("k", "Hibernating\n"), r'its state "Hibernating\n" is not known to this version'),
    ],
)
def test_a_key_that_nobody_knows_of_stops_no_backup_and_is_told_of(
    one: KeyState, says: str
) -> None:
    assert unusable(one) == ""
    assert unchecked(one).endswith(says)
    assert [failed.key for failed in found([point("orders", "k")], one)] == [one]


# ── What is lost with a key ───────────────────────────────────────────────────────────────────────


def test_only_what_can_be_restored_now_is_counted_by_key_and_resource() -> None:
    points = [
        point("orders", "old", age=9),
        point("orders", "old", age=2, keeper="AWS Backup", until=NOW),
        point("orders", "new"),
        point("orders", "old", state=State.FAILED),
        point("orders", "old", state=State.REMOVING),
        point("plain"),
    ]

    assert held(points) == {
        ((arn("old"),), "orders"): Amount(2, 1, NOW - 9 * DAY, NOW),
        ((arn("new"),), "orders"): Amount(1, 0, NOW - DAY, NOW - DAY),
        ((), "plain"): Amount(1, 0, NOW - DAY, NOW - DAY),
    }
    assert keys_of(held(points)) == {arn("old"), arn("new")}


def test_nothing_fails_where_all_keys_are_well_or_nothing_needs_the_others() -> None:
    points = [point("orders", "new"), point("ledger", "old", state=State.FAILED), point("plain")]

    assert found(points, key("new")) == []


def test_who_has_nothing_else_is_named_first() -> None:
    points = [
        point("archive", "old"), point("archive", "new"),
        point("billing", "old"), point("billing"),
        point("ledger", "old"), point("ledger", "lost"),
        point("orders", "old"),
    ]  # fmt: skip
    one, other = found(points, key("old", "Disabled"), key("new"), key("lost", GONE))

    assert [(loss.resource, loss.is_last) for loss in one.losses] == [
        ("ledger", True), ("orders", True), ("archive", False), ("billing", False),
    ]  # fmt: skip
    assert [(loss.resource, loss.is_last) for loss in other.losses] == [("ledger", True)]
    assert "4 resources; nothing else restores 2 of these" in one.takes()


def test_a_key_that_nobody_could_check_makes_nobody_safe() -> None:
    points = [point("orders", "old"), point("orders", "dark")]
    failed = found(points, key("old", "Disabled"), key("dark", UNCHECKED, "why"))

    assert all(loss.is_last for one in failed for loss in one.losses)


def test_an_instance_whose_volumes_have_two_keys_is_lost_with_either_and_counted_once() -> None:
    under = held([point("server", "old", "new")])
    states = {arn("old"): key("old", "Disabled"), arn("new"): key("new")}
    (one,) = failing(under, states)
    both = failing(under, {**states, arn("new"): key("new", GONE)})

    assert one.losses[0].is_last
    assert len(both) == 2
    assert points_under(under, both) == 1


def test_keys_that_take_last_recovery_points_come_first_then_those_that_take_most() -> None:
    points = [
        point("a", "few"), point("a", "well"),
        point("b", "many"), point("b", "many", age=2), point("b", "well"),
        point("c", "last"),
    ]  # fmt: skip
    failed = found(points, *(key(one, "Disabled") for one in ("few", "last", "many")), key("well"))

    assert [one.key.arn for one in failed] == [arn("last"), arn("many"), arn("few")]


# ── The page ──────────────────────────────────────────────────────────────────────────────────────


def test_a_page_names_key_state_date_remedy_and_resources() -> None:
    points = [point("orders", "k", keeper="AWS Backup"), point("orders", "k", age=3)]
    lines = in_lines(found(points, key("k", "PendingDeletion")), LINES)

    assert lines == [
        (
            f"{arn('k')} is scheduled for deletion: it and all under it are gone for good after "
            "2026-11-30 02:00 UTC"
        ),
        (
            f"    remedy: aws kms cancel-key-deletion --key-id {arn('k')}; "
            f"aws kms enable-key --key-id {arn('k')}"
        ),
        (
            "    takes with it: 2 recovery points (1 of them somebody else's), 2026-11-20 to "
            "2026-11-22, of 1 resource; nothing else restores 1 of these"
        ),
        (
            "    nothing else restores orders: 2 recovery points (1 of them somebody else's), "
            "2026-11-20 to 2026-11-22"
        ),
    ]


@pytest.mark.parametrize(
    ("keys", "resources"), [(1, 1), (1, 17), (1, 18), (1, 4000), (3, 40), (5, 7), (6, 9), (400, 3)]
)
def test_thousands_of_points_fit_a_page_that_shares_its_lines_among_the_keys(
    keys: int, resources: int
) -> None:
    names = [f"01234567-89ab-cdef-0123-4567{one:08}" for one in range(keys)]
    volumes = [f"arn:aws:ec2:eu-west-1:123456789012:volume/vol-{n:017x}" for n in range(resources)]
    points = [point(volume, name) for name in names for volume in volumes]
    failed = found(points, *(key(name, "PendingDeletion") for name in names))
    lines = in_lines(failed, LINES)
    told = KeysFailing.about(
        RUN, at=NOW, fresh=lines, fresh_in_all=keys, in_all=keys, points=len(points),
    )  # fmt: skip
    text = KeysFailing.read(told).text()

    assert len(json.dumps(told)) <= LIMIT
    assert max(map(len, lines)) <= LINE
    assert all(name in text for name in names[:LINES])
    if keys <= LINES // 4:
        assert len(lines) <= LINES
        assert sum(volume in text for volume in volumes) == min(resources, LINES // keys - 3)


# ── Told once ─────────────────────────────────────────────────────────────────────────────────────

POINTS = [point("orders", "k"), point("orders", "other")]


def told_after(told: dict[str, str], run: str, *keys: KeyState) -> dict[str, str]:
    return remembered(found(POINTS, *keys), told, run)


def test_each_state_of_a_key_is_told_by_the_run_that_finds_it_until_the_key_was_well() -> None:
    other = key("other")
    steps = [
        ("1", "Disabled", {"Disabled": "1"}),
        ("1", "Disabled", {"Disabled": "1"}),
        ("2", "Disabled", {"Disabled": "1"}),
        ("3", "PendingDeletion", {"Disabled": "1", "PendingDeletion": "3"}),
        ("4", UNCHECKED, {"Disabled": "1", "PendingDeletion": "3", UNCHECKED: "4"}),
        ("5", "PendingDeletion", {"Disabled": "1", "PendingDeletion": "3", UNCHECKED: "4"}),
        ("6", "Enabled", {}),
        ("7", "Disabled", {"Disabled": "7"}),
    ]
    told: dict[str, str] = {}
    for run, state, expected in steps:
        told = told_after(told, run, key("k", state), other)
        assert told == {f"{arn('k')} {one}": by for one, by in expected.items()}


def test_one_key_that_is_well_again_makes_nobody_forget_another() -> None:
    told = told_after({}, "1", key("k", GONE), key("other", "Disabled"))

    assert told_after(told, "2", key("k", GONE), key("other")) == {f"{arn('k')} {GONE}": "1"}


# ── When ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("at", "run"),
    [
        ("2026-11-23T00:00:00+00:00", "backup#keys#2026-11-23T00:00Z"),
        ("2026-11-23T05:59:59+00:00", "backup#keys#2026-11-23T00:00Z"),
        ("2026-11-23T06:00:00+00:00", "backup#keys#2026-11-23T06:00Z"),
        ("2026-11-24T00:30:00+05:30", "backup#keys#2026-11-23T18:00Z"),
    ],
)
def test_the_keys_are_checked_every_six_hours_of_utc(at: str, run: str) -> None:
    assert naming.keys_id(datetime.fromisoformat(at)) == run
