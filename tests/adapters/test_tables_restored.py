"""Tables backed up and restored by a drill, in the box: good backups pass, and each kind of bad one
is caught by the check that is there for it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from local.aws import autoscaling, dynamodb_backups, dynamodb_restores, dynamodb_tables
from local.aws.dynamodb_restores import DynamodbRestores
from local.pace import INSTANT
from tests.local.service_box import ACCOUNT, REGION, TWO_O_CLOCK, ServiceBox, service_box
from watchkeeper import naming
from watchkeeper.aws import dynamodb_backups as adapters
from watchkeeper.aws.dynamodb_samples import TableSampler
from watchkeeper.aws.errors import NotThere, Refused, Throttled
from watchkeeper.aws.objects import Manifests
from watchkeeper.aws.restores_dynamodb import (
    Page,
    RestoredTables,
    TableDismantler,
    TableRestorer,
    TableSettler,
)
from watchkeeper.backups.dynamodb import DynamoDbTaker
from watchkeeper.backups.manifest import Manifest
from watchkeeper.backups.model import Asked, Kind, Part, Place, RecoveryPoint, Target
from watchkeeper.backups.sample import FIRST, Item
from watchkeeper.drills import table_reading, tables
from watchkeeper.drills.model import Check, Level
from watchkeeper.drills.restoring import Answers, Pending, Restorer, Restoring, State
from watchkeeper.drills.tables import TableRestores

MINUTE = timedelta(minutes=1)
STACK = "watchkeeper"
BUCKET = "evidence"
ARNS = ("aws", REGION, ACCOUNT)
RUN = "backup#gold#2026-11-23T02:00Z#000"
KEYS = [f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{number:08d}" for number in range(2)]
DRILL = "drill#orders#2026-11-23T02:00Z"
NAME = naming.drill_name(STACK, DRILL)
EXPIRES = TWO_O_CLOCK + timedelta(hours=12)
TAGS = naming.drill_tags(STACK, DRILL, EXPIRES)
EXTENSIONS = (autoscaling, dynamodb_backups, dynamodb_tables, dynamodb_restores)


@dataclass
class Box(ServiceBox):
    @property
    def restores(self) -> DynamodbRestores:
        return dynamodb_restores.installed_in(self)

    @property
    def dynamodb(self) -> Any:
        return self.client("dynamodb")

    def wait(self, minutes: float) -> None:
        self.clock.run_for(minutes * MINUTE)

    def table(self, name: str, items: int, **more: Any) -> str:
        """With a sort key, an index, a stream and a time to live by which all of it has expired."""
        self.dynamodb.create_table(
            TableName=name,
            KeySchema=[
                {"AttributeName": "id", "KeyType": "HASH"},
                {"AttributeName": "at", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "id", "AttributeType": "S"},
                {"AttributeName": "at", "AttributeType": "N"},
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "by-time",
                    "KeySchema": [{"AttributeName": "at", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["b", "a"]},
                }
            ],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
            SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": KEYS[0]},
            **more,
        )
        self.dynamodb.update_time_to_live(
            TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"}
        )
        for start in range(0, items, 25):  # the most that a batch may have
            numbers = range(start, min(start + 25, items))
            writes = [{"PutRequest": {"Item": item(name, number)}} for number in numbers]
            self.dynamodb.batch_write_item(RequestItems={name: writes})
        return naming.table_arn(ARNS, name)

    def put(self, name: str, number: int, **more: Any) -> None:
        self.dynamodb.put_item(TableName=name, Item=item(name, number) | more)


def item(table: str, number: int) -> dict[str, Any]:
    return {
        "id": {"S": f"{table}-{number:04d}"},
        "at": {"N": str(number)},
        "note": {"S": "hello"},
        "expires": {"N": "1"},
        "parts": {"SS": ["b", "a"]},
    }


@dataclass
class Drills:
    """Tables backed up by the adapters of a night and restored by those of a drill."""

    box: Box
    taker: DynamoDbTaker
    restores: TableRestores
    facts: dict[str, str] = field(default_factory=dict)

    def backed_up(self, name: str) -> RecoveryPoint:
        target = Target(naming.table_arn(ARNS, name), Kind.TABLE, name)
        asked = Asked(STACK, RUN, "gold", self.box.clock.now())
        assert self.taker.take(target, asked, self.box.clock.now()) == ""
        self.box.wait(1)
        [point] = self.taker.of_run(asked, [target])[RUN, target.arn].points
        return point

    def about(self, point: RecoveryPoint, **more: Any) -> Restoring:
        manifest = Manifest.of(self.taker.manifests.read(point.id)) if point.manifest else None
        one = Restoring(NAME, point, manifest, Level.CHECK, TAGS, timedelta(days=1))
        return replace(one, **more)

    def restored(self, one: Restoring) -> None:
        assert self.restores.ask(one) == ""
        self.box.wait(10)
        assert self.restores.stands(one).state is State.AVAILABLE

    def secured(self, one: Restoring) -> None:
        while isinstance(found := self.restores.secure(one, self.facts, TWO_O_CLOCK), Pending):
            self.facts |= found.facts
        self.facts |= found

    def examined(self, one: Restoring) -> Answers:
        while isinstance(found := self.restores.examine(one, self.facts, TWO_O_CLOCK), Pending):
            self.facts |= found.facts
        return found

    def drilled(self, one: Restoring) -> list[Check]:
        self.restored(one)
        self.secured(one)
        return [*self.restores.checks(one), *self.examined(one).checks]


@pytest.fixture
def drills(monkeypatch: pytest.MonkeyPatch) -> Iterator[Drills]:
    with service_box(Box, *EXTENSIONS, pace=INSTANT) as box:
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        box.client("s3").create_bucket(Bucket=BUCKET)
        yield Drills(
            box,
            DynamoDbTaker(
                adapters.Tables(ARNS, "own"),
                adapters.TableSettings(),
                adapters.TableBackupTaker(),
                adapters.TableBackups(STACK),
                Manifests(BUCKET),
                Place(ACCOUNT, REGION),
                TableSampler(),
            ),
            TableRestores(TableRestorer(), RestoredTables(), TableSettler(), TableDismantler()),
        )


def bad(checks: list[Check]) -> set[str]:
    return {one.name for one in checks if not one.passed}


def test_it_is_a_restorer(drills: Drills) -> None:
    restorer: Restorer = drills.restores

    assert restorer.service == "dynamodb"


# ── Good ones ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("items", [0, 1, FIRST - 1, FIRST, 60])
def test_a_good_backup_passes_every_check(drills: Drills, items: int) -> None:
    drills.box.table("orders", items)
    one = drills.about(drills.backed_up("orders"))

    checks = drills.drilled(one)

    assert bad(checks) == set()
    assert {check.name for check in checks} >= {
        "restored from", "its own manifest", "encryption key", "keys and attributes", "indexes",
        "setting of stream", "setting of time_to_live", "items", "sampled items",
    }  # fmt: skip
    assert next(check.found for check in checks if check.name == "items") == str(items)
    described = drills.box.dynamodb.describe_table(TableName=NAME)["Table"]
    assert described["StreamSpecification"]["StreamViewType"] == "NEW_IMAGE"
    assert drills.restores.shown.time_to_live(NAME)["AttributeName"] == "expires"
    assert not described.get("DeletionProtectionEnabled")


def test_nothing_of_an_item_is_written_down(drills: Drills) -> None:
    drills.box.table("orders", 3)
    for number in range(3):
        drills.box.put("orders", number, secret={"S": "xyzzy"})
    point = drills.backed_up("orders")
    one = drills.about(point)

    checks = drills.drilled(one)

    written = [drills.taker.manifests.read(point.id).decode(), *drills.facts.values()]
    written += [json.dumps(vars(check)) for check in checks]
    assert not any(word in text for text in written for word in ("xyzzy", "orders-000"))
    assert drills.facts["table.items"] == "3"


def test_a_point_of_others_is_asked_only_what_is_known(drills: Drills) -> None:
    drills.box.table("orders", 5)
    arn = dynamodb_backups.installed_in(drills.box).record_backup(
        "orders", "theirs", created_at=TWO_O_CLOCK
    )
    point = drills.backed_up("orders")
    theirs = replace(point, id="theirs", manifest="", parts=(Part(arn, point.resource, 1),))

    checks = drills.drilled(drills.about(theirs))

    assert {check.name: check.passed for check in checks} == {"restored from": True, "items": True}


def test_what_an_older_version_wrote_down_is_enough(drills: Drills) -> None:
    drills.box.table("orders", 5)
    one = drills.about(drills.backed_up("orders"))
    assert one.manifest
    shape = {"key_schema", "attribute_definitions", "global_indexes", "local_indexes"}
    settings = {name: value for name, value in one.manifest.settings.items() if name not in shape}
    older = replace(one.manifest, sample=None, settings=settings)

    checks = drills.drilled(replace(one, manifest=older))

    assert bad(checks) == set()
    assert not {check.name for check in checks} & {"sampled items", "size", "indexes"}


# ── Bad ones ──────────────────────────────────────────────────────────────────────────────────────

Spoil = Callable[[Box, str, str], object]
"""Given the box and the ARNs of the backup and of another."""

BAD: Mapping[str, tuple[Spoil, set[str]]] = {
    "empty": (
        lambda box, backup, _: box.restores.empty(backup),
        {"items", "sampled items", "items since the last drill"},
    ),
    "half empty": (
        lambda box, backup, _: box.restores.truncate(backup, percent=49),
        {"items", "items since the last drill"},
    ),
    "another table": (
        lambda box, backup, other: box.restores.swap(backup, other),
        {"sampled items"},
    ),
    "one flipped byte": (
        lambda box, backup, _: box.restores.flip_byte(backup, "note"),
        {"sampled items"},
    ),
    "missing newest rows": (
        lambda box, backup, _: box.restores.lose_newest(backup, "at", 11),
        {"items"},
    ),
    "wrong key": (
        lambda box, backup, _: box.restores.wrong_key(backup, KEYS[1]),
        {"encryption key"},
    ),
    "lost index": (
        lambda box, backup, _: box.restores.lose_index(backup),
        {"indexes"},
    ),
    "lost settings": (
        lambda box, _backup, _other: setattr(box.restores, "loses_settings", True),
        {"setting of stream", "setting of time_to_live"},
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_backup_is_caught(drills: Drills, name: str) -> None:
    spoil, caught = BAD[name]
    drills.box.table("orders", 100)
    drills.box.table("others", 100)
    other, point = drills.backed_up("others"), drills.backed_up("orders")
    spoil(drills.box, point.parts[0].snapshot, other.parts[0].snapshot)
    before = {"items": f"100 {naming.instant(point.created_at)}"}

    checks = drills.drilled(drills.about(point, before=before))

    assert bad(checks) == caught


@pytest.mark.parametrize(
    "spoil",
    [
        lambda box, backup: box.restores.flip_byte(backup, "note"),
        lambda box, backup: box.restores.lose_newest(backup, "at", 1),
        lambda box, backup: box.restores.empty(backup),
    ],
)
def test_of_a_small_table_nothing_may_differ(
    drills: Drills, spoil: Callable[[Box, str], None]
) -> None:
    drills.box.table("orders", FIRST - 1)
    point = drills.backed_up("orders")
    spoil(drills.box, point.parts[0].snapshot)

    assert "sampled items" in bad(drills.drilled(drills.about(point)))


def test_an_older_backup_of_the_same_table_is_not_the_recovery_point(drills: Drills) -> None:
    drills.box.table("orders", 30)
    arn = dynamodb_backups.installed_in(drills.box).record_backup(
        "orders", "older", created_at=TWO_O_CLOCK - timedelta(days=30)
    )
    drills.box.wait(5)
    drills.box.put("orders", 0, note={"S": "changed"})
    point = drills.backed_up("orders")
    one = drills.about(point)
    drills.restored(drills.about(replace(point, parts=(Part(arn, point.resource, 1),))))
    drills.secured(one)

    assert bad(drills.restores.checks(one)) == {"restored from"}
    assert bad(list(drills.examined(one).checks)) == {"sampled items"}


def test_a_manifest_of_another_point_is_no_measure(drills: Drills) -> None:
    drills.box.table("orders", 3)
    drills.box.table("others", 3)
    point = drills.backed_up("orders")
    one = drills.about(point, manifest=drills.about(drills.backed_up("others")).manifest)
    drills.restored(one)

    assert "its own manifest" in bad(drills.restores.checks(one))
    unread = replace(one, manifest=None)
    assert bad(drills.restores.checks(unread)) == {"its own manifest"}


# ── Tables that are in use ────────────────────────────────────────────────────────────────────────


def test_what_changes_while_it_is_looked_at_is_not_held_to(drills: Drills) -> None:
    """And half of the rest may change before DynamoDB has written it down."""
    drills.box.table("orders", 20)
    settings = drills.taker.settings

    class Busy(adapters.TableSettings):
        def read(self, arn: str) -> tuple[str, dict[str, object]]:
            drills.box.put("orders", 0, note={"S": "changed"})
            return settings.read(arn)

    drills.taker = replace(drills.taker, settings=Busy())
    point = drills.backed_up("orders")
    one = drills.about(point)
    assert one.manifest
    assert one.manifest.sample
    assert (one.manifest.sample.changed, len(one.manifest.sample.items)) == (1, 19)
    drills.box.restores.flip_byte(point.parts[0].snapshot, "note")
    drills.restored(one)
    drills.secured(one)
    assert bad(list(drills.examined(one).checks)) == set()
    drills.box.restores.empty(point.parts[0].snapshot)
    remade = replace(one, name=naming.drill_name(STACK, "another"))
    drills.restored(remade)
    drills.facts = {}

    assert bad(list(drills.examined(remade).checks)) == {"items", "sampled items"}


def answering(status: int, code: str) -> Callable[..., Any]:
    def answer(**_: Any) -> Any:
        return AWSResponse("", status, HTTPHeaders(), None), {"Error": {"Code": code}}

    return answer


@pytest.mark.parametrize(
    "code", ["AccessDeniedException", "ProvisionedThroughputExceededException", "InternalError"]
)
def test_a_table_that_cannot_be_looked_at_is_backed_up_all_the_same(
    drills: Drills, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    drills.box.table("orders", 30)
    events = drills.taker.sampler.client.meta.events
    events.register("before-call.dynamodb.Scan", answering(400, code))

    one = drills.about(drills.backed_up("orders"))
    checks = drills.drilled(one)

    assert bad(checks) == {"sampled items"}
    [check] = [check for check in checks if check.name == "sampled items"]
    assert check.why == f"dynamodb:Scan answered {code}"


# ── Again and again ───────────────────────────────────────────────────────────────────────────────


def test_whatever_is_asked_twice_is_done_once(drills: Drills) -> None:
    drills.box.table("orders", 30)
    one = drills.about(drills.backed_up("orders"))
    with pytest.raises(NotThere):
        drills.restores.stands(one)

    for _ in range(2):
        assert drills.restores.ask(one) == ""
    assert drills.restores.stands(one).state is State.COMING
    assert isinstance(drills.restores.secure(one, {}, TWO_O_CLOCK), Pending)
    drills.box.wait(10)
    assert drills.restores.ask(one) == ""
    # Killed after each call, before its facts were saved.
    assert isinstance(drills.restores.secure(one, {}, TWO_O_CLOCK), Pending)
    assert drills.restores.secure(one, {}, TWO_O_CLOCK) == {}
    assert drills.restores.secure(one, {}, TWO_O_CLOCK) == {}
    stream = drills.box.dynamodb.describe_table(TableName=NAME)["Table"]["LatestStreamLabel"]
    reads = [drills.restores.examine(one, {}, TWO_O_CLOCK) for _ in range(2)]
    assert reads[0] == reads[1]
    assert isinstance(reads[0], Pending)
    answers = [drills.restores.examine(one, reads[0].facts, TWO_O_CLOCK) for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert isinstance(answers[0], Answers)
    assert bad(list(answers[0].checks)) == set()

    table = drills.box.dynamodb.describe_table(TableName=NAME)["Table"]
    assert table["LatestStreamLabel"] == stream
    names = drills.box.dynamodb.list_tables()["TableNames"]
    assert sorted(names) == sorted(["orders", NAME])


class KilledError(BaseException):
    """The function has gone."""


class Killer:
    """Ends one of the calls of some adapters: before it is made, or after it was answered."""

    def __init__(self, restores: TableRestores, event: str) -> None:
        self.calls, self.at = 0, 0
        for adapter in (
            restores.restorer, restores.shown, restores.settler, restores.dismantler
        ):  # fmt: skip
            adapter.client.meta.events.register(f"{event}.dynamodb", self.count)

    def count(self, **_: Any) -> None:
        self.calls += 1
        if self.calls == self.at:
            raise KilledError


def survived(do: Callable[..., Any], *given: object) -> Any:
    """What is answered in the end: what was not heard is asked again."""
    try:
        return do(*given)
    except KilledError:
        return do(*given)


def whole_drill(drills: Drills, one: Restoring) -> tuple[set[str], Answers]:
    """From its first call to its last: which checks did not pass, and what was found."""
    restores, facts = drills.restores, dict[str, str]()
    assert survived(restores.ask, one) == ""
    drills.box.wait(10)
    while isinstance(found := survived(restores.secure, one, facts, TWO_O_CLOCK), Pending):
        facts |= found.facts
    checks = survived(restores.checks, one)
    while isinstance(found := survived(restores.examine, one, facts, TWO_O_CLOCK), Pending):
        facts |= found.facts
    while left := survived(restores.left):
        assert [one.name] == [other.drill for other in left]
        survived(restores.remove, left[0], TWO_O_CLOCK)
        drills.box.wait(1)
    assert isinstance(found, Answers)
    return bad([*checks, *found.checks]), found


@pytest.mark.parametrize("event", ["before-call", "after-call"])
def test_killed_at_any_call_it_ends_the_same(drills: Drills, event: str) -> None:
    drills.box.table("orders", 30)
    point = drills.backed_up("orders")
    killer = Killer(drills.restores, event)
    ended = [whole_drill(drills, drills.about(point))]
    assert ended[0][0] == set()
    for at in range(1, killer.calls + 1):
        killer.calls, killer.at = 0, at
        one = drills.about(point, name=naming.drill_name(STACK, str(at)))
        ended.append(whole_drill(drills, one))
        assert killer.calls >= at

    assert len(ended) > 15
    assert all(end == ended[0] for end in ended)
    assert drills.box.dynamodb.list_tables()["TableNames"] == ["orders"]


def test_what_has_to_pass_first(drills: Drills) -> None:
    drills.box.table("orders", 3)
    point = drills.backed_up("orders")
    drills.box.pace = replace(INSTANT, ddb_backup_takes=5 * MINUTE)
    made = drills.box.dynamodb.create_backup(TableName="orders", BackupName="slow")
    slow = Part(made["BackupDetails"]["BackupArn"], point.resource, 1)
    one = drills.about(replace(point, parts=(slow,)))

    assert drills.restores.ask(one) == "DynamoDB to finish the backup"
    drills.box.wait(5)
    assert drills.restores.ask(one) == ""
    theirs = Part(f"arn:aws:backup:{REGION}:{ACCOUNT}:recovery-point:1", point.resource, 1)
    with pytest.raises(Refused, match="only its keeper restores from it"):
        drills.restores.ask(drills.about(replace(point, parts=(theirs,))))
    gone = Part(f"{point.resource}/backup/1", point.resource, 1)
    with pytest.raises(NotThere):
        drills.restores.ask(drills.about(replace(point, parts=(gone,)), name=f"{NAME}-1"))


def test_a_table_that_cannot_be_used_any_more_is_broken(drills: Drills) -> None:
    drills.box.table("orders", 3)
    one = drills.about(drills.backed_up("orders"))
    drills.restored(one)
    drills.restores.remove(drills.restores.left()[0], TWO_O_CLOCK)

    stands = drills.restores.stands(one)

    assert (stands.state, stands.why) == (
        State.BROKEN,
        'DynamoDB says that the table is "DELETING"',
    )


# ── Large ones ────────────────────────────────────────────────────────────────────────────────────


def large(one: Restoring, megabytes: int, count: int) -> Restoring:
    """As if the manifest told of a table of this size."""
    assert one.manifest
    assert one.manifest.sample
    sample = replace(one.manifest.sample, size=megabytes * 10**6, count=count)
    return replace(one, manifest=replace(one.manifest, sample=sample))


def without_size(checks: list[Check]) -> list[Check]:
    """The items of these tests are small."""
    return [check for check in checks if check.name != "size"]


def test_a_large_table_is_read_in_many_looks(
    drills: Drills, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "PAGES_A_LOOK", 3)
    drills.box.table("orders", 300)
    one = large(drills.about(drills.backed_up("orders")), megabytes=500, count=300)
    drills.restored(one)

    first = drills.restores.examine(one, {}, TWO_O_CLOCK)
    assert isinstance(first, Pending)
    assert first.on == "the table to be read: 3 of 10 parts so far"
    assert sum(len(value) for value in first.facts.values()) < 100
    answers = drills.examined(one)

    assert bad(without_size(list(answers.checks))) == set()
    assert drills.facts["table.items"] == "300"
    assert drills.facts["table.found"] == "=" * FIRST
    assert answers.remember["items"].startswith("300 ")


@pytest.mark.parametrize(("percent", "caught"), [(100, set()), (50, {"items"}), (0, {"items"})])
def test_of_a_very_large_table_a_part_is_read(
    drills: Drills, monkeypatch: pytest.MonkeyPatch, percent: int, caught: set[str]
) -> None:
    monkeypatch.setattr(table_reading, "MOST_SEGMENTS", 8)
    drills.box.table("orders", 400)
    point = drills.backed_up("orders")
    drills.box.restores.truncate(point.parts[0].snapshot, percent)
    one = large(drills.about(point), megabytes=1000, count=400)
    drills.restored(one)

    answers = drills.examined(one)

    assert drills.facts["table.read"] == "8"
    assert bad(without_size(list(answers.checks))) - {"sampled items"} == caught
    assert answers.remember == {}


class Endless(RestoredTables):
    def page(self, name: str, segment: int = 0, of: int = 1, after: Item | None = None) -> Page:
        found = super().page(name, segment, of)
        return Page(found.items, found.items[-1])


def test_what_is_too_large_to_be_read_to_its_end_is_said_to_be(
    drills: Drills, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "PAGES_A_SEGMENT", 4)
    drills.box.table("orders", 30)
    one = drills.about(drills.backed_up("orders"))
    drills.restored(one)
    drills.restores = replace(drills.restores, shown=Endless())

    answers = drills.examined(one)

    [items] = [check for check in answers.checks if check.name == "items"]
    assert items.found.startswith("120 or more: 1 of 1 parts")
    assert answers.remember == {}


class Throttling(RestoredTables):
    def __init__(self, after: int) -> None:
        self.left = after

    def page(self, name: str, segment: int = 0, of: int = 1, after: Item | None = None) -> Page:
        if not self.left:
            raise Throttled("dynamodb:Scan", "ThrottlingException", "too fast")
        self.left -= 1
        return super().page(name, segment, of, after)


def test_what_was_read_before_a_throttle_is_kept(drills: Drills) -> None:
    drills.box.table("orders", 30)
    one = large(drills.about(drills.backed_up("orders")), megabytes=500, count=30)
    drills.restored(one)
    drills.restores = replace(drills.restores, shown=Throttling(after=4))

    found = drills.restores.examine(one, {}, TWO_O_CLOCK)

    assert isinstance(found, Pending)
    assert found.facts["table.read"] == "4"
    with pytest.raises(Throttled):
        drills.restores.examine(one, found.facts, TWO_O_CLOCK)


# ── What is left ──────────────────────────────────────────────────────────────────────────────────


def test_everything_of_a_drill_is_found_and_removed(drills: Drills) -> None:
    drills.box.table("orders", 3, DeletionProtectionEnabled=True)
    one = drills.about(drills.backed_up("orders"))
    drills.restores.ask(one)
    [left] = drills.restores.left()
    assert (left.what, left.drill, left.stack, left.expires_at) == (f"table {NAME}", NAME, "", None)
    assert drills.restores.remove(left, TWO_O_CLOCK) != ""
    drills.box.wait(10)
    drills.secured(one)
    drills.box.dynamodb.update_table(TableName=NAME, DeletionProtectionEnabled=True)

    [left] = drills.restores.left()

    assert (left.stack, left.expires_at) == (STACK, EXPIRES)
    assert drills.restores.remove(left, TWO_O_CLOCK) == ""
    [going] = drills.restores.left()
    assert drills.restores.remove(going, TWO_O_CLOCK) == ""
    drills.box.wait(1)
    assert drills.restores.left() == []
    assert drills.restores.remove(left, TWO_O_CLOCK) == ""
    assert drills.box.dynamodb.list_tables()["TableNames"] == ["orders"]
    [backup] = drills.box.dynamodb.list_backups(BackupType="ALL")["BackupSummaries"]
    assert backup["BackupArn"] == one.point.parts[0].snapshot
