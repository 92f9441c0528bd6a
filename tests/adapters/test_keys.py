"""Keys as KMS has them, and what is told of them: the adapter, its table and the step on both."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from local.aws import kms
from local.aws.kms import Kms
from local.pace import INSTANT
from tests.contracts.emulators import table
from tests.local.service_box import REGION, TWO_O_CLOCK, ServiceBox, service_box
from watchkeeper import naming
from watchkeeper.aws.errors import AlreadyThere, Busy
from watchkeeper.aws.key_watch import KeyWatchTable
from watchkeeper.aws.keys import Keys
from watchkeeper.backups.key_steps import KEYS, Watching, ensure_keys_checked
from watchkeeper.backups.keys import GONE, UNCHECKED
from watchkeeper.backups.model import CAPABILITY, Kind, Place, RecoveryPoint, State
from watchkeeper.news.every import read_news
from watchkeeper.news.keys import KeysChecked, KeysFailing
from watchkeeper.runs.record import Done, Run, Waiting, new_run

WEEK = timedelta(days=7)
NOBODY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Deny", "Principal": "*", "Action": ["kms:DescribeKey"], "Resource": "*"}
    ],
}


class Box(ServiceBox):
    @property
    def kms(self) -> Kms:
        return kms.installed_in(self)

    def key(self) -> str:
        return str(self.client("kms").create_key()["KeyMetadata"]["Arn"])


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with service_box(Box, kms, pace=INSTANT) as box:
        yield box


@pytest.fixture
def aws(box: Box) -> Any:
    return box.client("kms")


# ── The adapter ───────────────────────────────────────────────────────────────────────────────────


def left_alone(box: Box, aws: Any, key: str) -> None: ...


def disabled(box: Box, aws: Any, key: str) -> None:
    aws.disable_key(KeyId=key)


def dying(box: Box, aws: Any, key: str) -> None:
    aws.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)


def gone(box: Box, aws: Any, key: str) -> None:
    dying(box, aws, key)
    box.clock.run_until(TWO_O_CLOCK + WEEK)


def kept_after_all(box: Box, aws: Any, key: str) -> None:
    dying(box, aws, key)
    aws.cancel_key_deletion(KeyId=key)
    box.clock.run_until(TWO_O_CLOCK + WEEK)


def disconnected(box: Box, aws: Any, key: str) -> None:
    box.kms.put_into("Unavailable", key)


@pytest.mark.parametrize(
    ("happened", "state", "deleted_at"),
    [
        (left_alone, "Enabled", None),
        (disabled, "Disabled", None),
        (dying, "PendingDeletion", TWO_O_CLOCK + WEEK),
        (gone, GONE, None),
        (kept_after_all, "Disabled", None),
        (disconnected, "Unavailable", None),
    ],
)
def test_a_key_is_in_the_state_that_kms_shows(
    box: Box,
    aws: Any,
    happened: Callable[[Box, Any, str], None],
    state: str,
    deleted_at: datetime | None,
) -> None:
    key, other = box.key(), box.key()
    happened(box, aws, key)
    states = Keys().states([key, other, key])

    assert states.keys() == {key, other}
    assert (states[key].state, states[key].deleted_at, states[key].problem) == (
        state, deleted_at, "",
    )  # fmt: skip
    assert states[other].is_usable


def test_a_key_that_we_may_not_look_at_is_not_taken_for_gone(box: Box, aws: Any) -> None:
    locked, well = box.key(), box.key()
    aws.put_key_policy(KeyId=locked, PolicyName="default", Policy=json.dumps(NOBODY))
    foreign = well.replace("123456789012", "210987654321")
    elsewhere = well.replace(REGION, "eu-west-1")
    states = Keys().states([locked, well, foreign, elsewhere, "alias/harbour-data"])

    assert states[well].is_usable
    for unknown in (locked, foreign, elsewhere, "alias/harbour-data"):
        assert states[unknown].state == UNCHECKED
    assert "kms:DescribeKey answered AccessDeniedException" in states[locked].problem
    assert "AccessDeniedException" in states[foreign].problem
    assert states[elsewhere].problem == "it is no ARN of a key in us-east-1"


def test_a_busy_kms_is_no_answer_about_a_key(box: Box) -> None:
    keys = Keys()

    def throttle(**_: Any) -> None:
        error = {"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}
        raise keys.client.exceptions.ClientError(error, "DescribeKey")

    keys.client.meta.events.register("before-call.kms.DescribeKey", throttle)
    with pytest.raises(Busy):
        keys.states([box.key()])


# ── The step ──────────────────────────────────────────────────────────────────────────────────────


def point(key: str, age: int = 0) -> RecoveryPoint:
    arn = f"arn:aws:ec2:{REGION}:123456789012:volume/vol-0abc"
    return RecoveryPoint(
        resource=arn, id=f"{age:016x}", kind=Kind.VOLUME, plan="gold", run="backup#gold#1",
        created_at=TWO_O_CLOCK - timedelta(days=age), place=Place("123456789012", REGION),
        state=State.COMPLETED, keys=(key,),
    )  # fmt: skip


@pytest.fixture
def cloud(box: Box) -> Iterator[Watching]:
    """With two recovery points under one key, and one under another."""
    key, other = box.key(), box.key()
    points = [point(key), point(key, age=1), point(other, age=2)]
    with table() as name:
        yield Watching(Keys(), lambda: points, KeyWatchTable(name))


def key_of(cloud: Watching) -> str:
    return next(iter(cloud.points())).keys[0]


def check(cloud: Watching, number: int = 1) -> tuple[KeysChecked, list[KeysFailing]]:
    """What one run tells."""
    report = ensure_keys_checked(run(number), cloud, TWO_O_CLOCK)
    assert isinstance(report, Done)
    checked, *pages = map(read_news, report.news)
    assert isinstance(checked, KeysChecked)
    return checked, [page for page in pages if isinstance(page, KeysFailing)]


def run(number: int) -> Run:
    return new_run(naming.keys_event_id(str(number)), KEYS, TWO_O_CLOCK)


def test_where_all_is_well_that_is_measured_and_nobody_is_told(cloud: Watching) -> None:
    checked, pages = check(cloud)

    assert (checked.keys, checked.points, pages) == (2, 3, [])
    assert set(checked.measures().values()) == {0}


def test_a_page_names_the_key_its_end_the_remedy_and_what_it_takes(
    cloud: Watching, aws: Any
) -> None:
    key = key_of(cloud)
    aws.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    checked, (page,) = check(cloud)

    assert checked.measures() == {
        "RecoveryPointsUnderFailingKeys": 2,
        "RecoveryPointsUnderUncheckedKeys": 0,
    }
    text = page.text()
    for part in (
        f"{key} is scheduled for deletion",
        "2026-11-30 02:00 UTC",
        f"aws kms cancel-key-deletion --key-id {key}",
        "volume/vol-0abc: 2 recovery points, 2026-11-22 to 2026-11-23",
        "docs/runbooks/keys-failing.md",
    ):
        assert part in text
    assert page.subject() == "Keys failing: 1 more, recovery points at stake: 2"


def test_people_are_told_once_per_state_and_again_after_it_was_well(
    cloud: Watching, aws: Any
) -> None:
    key = key_of(cloud)
    told = []
    for number, does in enumerate([
        aws.disable_key, None, aws.schedule_key_deletion, None, aws.cancel_key_deletion,
        aws.enable_key, aws.disable_key, None,
    ]):  # fmt: skip
        if does:
            does(KeyId=key)
        checked, pages = check(cloud, number)
        told.append(f"{checked.failing} {len(pages)}")

    assert told == ["2 1", "2 0", "2 1", "2 0", "2 0", "0 0", "2 1", "2 0"]


def test_keys_out_of_sight_are_told_of_but_not_counted_as_failing(
    cloud: Watching, aws: Any
) -> None:
    aws.put_key_policy(KeyId=key_of(cloud), PolicyName="default", Policy=json.dumps(NOBODY))
    checked, (page,) = check(cloud)

    assert (checked.failing, checked.unchecked) == (0, 2)
    assert "could not be checked: kms:DescribeKey answered AccessDeniedException" in page.text()
    assert check(cloud, 2)[1] == []


def test_a_run_that_died_before_its_news_was_saved_tells_again_whoever_came_between(
    cloud: Watching, aws: Any
) -> None:
    aws.disable_key(KeyId=key_of(cloud))
    _, died_with = check(cloud, 1)
    _, came_between = check(cloud, 2)
    _, told_again = check(cloud, 1)

    assert came_between == []
    assert told_again == died_with != []


class Overtaken(KeyWatchTable):
    """Another check ends between this one's read and its write."""

    def told(self, capability: str) -> tuple[dict[str, str], int]:
        read = super().told(capability)
        KeyWatchTable(self.name).remember(capability, {}, read[1], TWO_O_CLOCK)
        return read


def test_of_two_checks_at_once_the_later_looks_again(cloud: Watching) -> None:
    overtaken = replace(cloud, watch=Overtaken(cloud.watch.name))

    assert isinstance(ensure_keys_checked(run(1), overtaken, TWO_O_CLOCK), Waiting)


def test_more_keys_than_an_item_holds_are_cut_not_refused(cloud: Watching) -> None:
    told = {f"{key_of(cloud)[:-4]}{one:04} PendingDeletion": run(one).id for one in range(4000)}
    cloud.watch.remember(CAPABILITY, told, 0, TWO_O_CLOCK)
    kept, version = cloud.watch.told(CAPABILITY)

    assert 1000 < len(kept) < 4000
    assert kept.items() <= told.items()
    assert version == 1
    with pytest.raises(AlreadyThere):
        cloud.watch.remember(CAPABILITY, told, 0, TWO_O_CLOCK)
