"""Tables backed up through the adapters, in the box: asserted on the backups and objects there."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ReadTimeoutError

from local.aws import autoscaling, dynamodb_backups, dynamodb_tables
from local.aws.dynamodb_backups import DynamodbBackups
from local.pace import Pace
from tests.local.service_box import ACCOUNT, REGION, TWO_O_CLOCK, ServiceBox, service_box
from watchkeeper import naming
from watchkeeper.aws import dynamodb_backups as adapters
from watchkeeper.aws.dynamodb_samples import TableSampler
from watchkeeper.aws.errors import NotThere, Refused, Unclear
from watchkeeper.aws.objects import ManifestReader, Manifests
from watchkeeper.backups.dynamodb import DynamoDbKeeper, DynamoDbTaker
from watchkeeper.backups.manifest import Manifest, digest
from watchkeeper.backups.model import Asked, Kind, Place, Span, State, Target
from watchkeeper.backups.sample import FIRST, Item, Sample, digests
from watchkeeper.backups.services import Keeper, Taker

MINUTE = timedelta(minutes=1)
PACE = Pace(
    hidden_for=timedelta(seconds=20),
    ddb_backup_takes=2 * MINUTE,
    ddb_backups_enabled_after=timedelta(0),
)
STACK = "watchkeeper"
BUCKET = "evidence"
PLACE = Place(ACCOUNT, REGION)
ARNS = ("aws", REGION, ACCOUNT)
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0b6c1d1e"
RUN = "backup#gold#2026-11-23T02:00Z#000"
ASKED = Asked(STACK, RUN, "gold", TWO_O_CLOCK)
RATES = Target(naming.table_arn(ARNS, "rates"), Kind.TABLE, "rates")
SOURCE = (RUN, RATES.arn)
KEYS = [{"AttributeName": "id", "KeyType": "HASH"}]
ATTRIBUTES = [{"AttributeName": "id", "AttributeType": "S"}]


@dataclass
class Box(ServiceBox):
    @property
    def backups(self) -> DynamodbBackups:
        return dynamodb_backups.installed_in(self)

    @property
    def dynamodb(self) -> Any:
        return self.client("dynamodb")

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def table(self, name: str = "rates", **more: Any) -> str:
        billing = {} if "ProvisionedThroughput" in more else {"BillingMode": "PAY_PER_REQUEST"}
        made = self.dynamodb.create_table(
            TableName=name,
            KeySchema=KEYS,
            AttributeDefinitions=ATTRIBUTES,
            **billing,
            **more,
        )
        return str(made["TableDescription"]["TableArn"])

    def names(self) -> list[str]:
        """Of every backup there is, whether or not lists show it yet."""
        return [backup.name for backup in self.backups.backend.backups.values()]

    def wait(self, minutes: int = 5) -> None:
        self.clock.run_for(minutes * MINUTE)


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    with service_box(Box, autoscaling, dynamodb_backups, dynamodb_tables, pace=PACE) as box:
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        box.client("s3").create_bucket(Bucket=BUCKET)
        yield box


@pytest.fixture
def taker(box: Box) -> DynamoDbTaker:
    return DynamoDbTaker(
        adapters.Tables(ARNS, "own"),
        adapters.TableSettings(),
        adapters.TableBackupTaker(),
        adapters.TableBackups(STACK),
        Manifests(BUCKET),
        PLACE,
        TableSampler(),
    )


@pytest.fixture
def keeper(box: Box) -> DynamoDbKeeper:
    return DynamoDbKeeper(
        adapters.TableBackups(STACK),
        adapters.TableBackupRemover(STACK),
        ManifestReader(BUCKET),
        PLACE,
    )


def manifest_of(box: Box, target: Target = RATES) -> Manifest:
    return Manifest.of(Manifests(BUCKET).read(naming.point_id(RUN, target.arn)))


def name_of(target: Target = RATES, stack: str = STACK) -> str:
    return naming.table_backup(stack, "gold", RUN, naming.point_id(RUN, target.arn))


def test_both_are_what_the_steps_ask_for(taker: DynamoDbTaker, keeper: DynamoDbKeeper) -> None:
    services: tuple[Taker, Keeper] = (taker, keeper)

    assert [service.service for service in services] == ["dynamodb", "dynamodb"]
    assert not taker.repeats_safely


# ── What there is ─────────────────────────────────────────────────────────────────────────────────


def test_every_table_is_shown_with_its_tags_and_key_but_for_our_own(
    box: Box, taker: DynamoDbTaker
) -> None:
    sse = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": KEY}
    arn = box.table(Tags=[{"Key": "backup-plan", "Value": "gold"}], SSESpecification=sse)
    box.table("sessions")
    box.table("own")

    found = {resource.name: resource for resource in taker.resources()}

    assert found.keys() == {"rates", "sessions"}
    rates = found["rates"]
    assert (rates.arn, rates.kind, rates.type) == (arn, Kind.TABLE, "DynamoDB table")
    assert (rates.tags, rates.key, rates.state) == ({"backup-plan": "gold"}, KEY, "ACTIVE")
    assert (found["sessions"].tags, found["sessions"].key) == ({}, "")


@pytest.mark.parametrize(
    ("status", "answer", "shown"),
    [
        (200, {"Table": {"TableStatus": "DELETING"}}, {}),
        (400, {"Error": {"Code": "ResourceNotFoundException"}}, {}),
        # Its own policy shuts us out: that hides no other.
        (400, {"Error": {"Code": "AccessDeniedException"}}, {"odd": ("unknown", {"a": "b"})}),
    ],
)
def test_a_table_that_is_going_or_cannot_be_looked_at(
    box: Box, taker: DynamoDbTaker, status: int, answer: dict[str, Any], shown: dict[str, Any]
) -> None:
    box.table()
    box.table("odd", Tags=[{"Key": "a", "Value": "b"}])

    def described(params: dict[str, Any], **_: Any) -> Any:
        is_odd = json.loads(params["body"])["TableName"] == "odd"
        return (AWSResponse("", status, HTTPHeaders(), None), answer) if is_odd else None

    taker.tables.client.meta.events.register("before-call.dynamodb.DescribeTable", described)

    found = {one.name: (one.state, one.tags) for one in taker.resources()}

    assert found == {"rates": ("ACTIVE", {}), **shown}


def test_more_tables_than_a_page_holds(box: Box, taker: DynamoDbTaker) -> None:
    for number in range(103):
        box.table(f"t-{number:03d}", Tags=[{"Key": "n", "Value": str(number)}])

    found = taker.resources()

    assert [one.tags for one in found] == [{"n": str(number)} for number in range(103)]


def test_spans_of_point_in_time_recovery(box: Box, taker: DynamoDbTaker) -> None:
    on, off = box.table(), box.table("sessions")
    assert adapters.PointInTime().switch_on(on)
    box.wait(60)

    spans = taker.spans([on, off, naming.table_arn(ARNS, "gone")])

    assert spans == {on: Span(TWO_O_CLOCK, box.now - 5 * MINUTE), off: None}


def test_switching_on_what_is_on_leaves_its_recovery_period(box: Box) -> None:
    arn = box.table()
    chosen = {"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 7}
    box.dynamodb.update_continuous_backups(
        TableName="rates", PointInTimeRecoverySpecification=chosen
    )

    assert not adapters.PointInTime().switch_on(arn)

    answer = box.dynamodb.describe_continuous_backups(TableName="rates")
    found = answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert found["RecoveryPeriodInDays"] == 7


# ── Taking ────────────────────────────────────────────────────────────────────────────────────────


def test_a_backup_is_made_once_hidden_then_pending_then_a_recovery_point(
    box: Box, taker: DynamoDbTaker
) -> None:
    box.table()

    assert taker.take(RATES, replace(ASKED, words="release-42 hold"), box.now) == ""

    assert box.names() == [name_of()]
    assert taker.of_run(ASKED, [RATES]) == {}
    box.wait(1)
    [pending] = taker.of_run(ASKED, [RATES])[SOURCE].pending
    assert (pending.state, pending.manifest) == ("pending", "")
    box.wait(2)
    [point] = taker.of_run(ASKED, [RATES])[SOURCE].points
    document = Manifests(BUCKET).read(naming.point_id(RUN, RATES.arn))
    assert point.id == naming.point_id(RUN, RATES.arn)
    assert (point.state, point.kind, point.created_at) == (State.COMPLETED, Kind.TABLE, TWO_O_CLOCK)
    assert (point.run, point.plan, point.place) == (RUN, "gold", PLACE)
    assert point.tags == {"release-42", "hold"}
    [part] = point.parts
    assert part.snapshot.startswith(f"{RATES.arn}/backup/")
    assert part.volume == RATES.arn
    assert digest(document) == point.manifest


@pytest.mark.parametrize(("size", "gib"), [(0, 0), (1, 1), (2**30, 1), (2**30 + 1, 2)])
def test_a_part_of_a_gib_counts_as_a_whole_one(size: int, gib: int) -> None:
    shown = {
        "BackupArn": f"{RATES.arn}/backup/1",
        "BackupName": name_of(),
        "BackupStatus": "AVAILABLE",
        "BackupCreationDateTime": TWO_O_CLOCK,
        "BackupSizeBytes": size,
        "TableArn": RATES.arn,
    }

    assert adapters._snapshot(shown, STACK).gib == gib


def test_what_is_asked_of_another_run_or_of_other_targets_is_not_told(
    box: Box, taker: DynamoDbTaker
) -> None:
    box.table()
    taker.take(RATES, ASKED, box.now)
    box.wait()

    assert taker.of_run(replace(ASKED, run="backup#gold#2026-11-24T02:00Z#000"), [RATES]) == {}
    assert taker.of_run(ASKED, []) == {}
    assert taker.of_run(replace(ASKED, at=box.now + MINUTE), [RATES]) == {}
    assert taker.all().keys() == {SOURCE}


def test_a_table_in_use_or_too_new_is_asked_for_later(box: Box, taker: DynamoDbTaker) -> None:
    box.pace = replace(PACE, ddb_backups_enabled_after=MINUTE)
    box.table()
    assert taker.take(RATES, ASKED, box.now) == "DynamoDB to allow backups of a new table"
    box.wait(1)
    box.dynamodb.create_backup(TableName="rates", BackupName="by-hand")

    assert taker.take(RATES, ASKED, box.now) == "another backup of it to be made"

    box.wait(2)
    assert box.names() == ["by-hand"]
    assert taker.take(RATES, ASKED, box.now) == ""
    assert box.names() == ["by-hand", name_of()]
    assert manifest_of(box).asked_at == TWO_O_CLOCK  # the first attempt's


def test_a_table_that_is_gone_is_said_to_be(box: Box, taker: DynamoDbTaker) -> None:
    with pytest.raises(NotThere, match="DescribeTable"):
        taker.take(RATES, ASKED, box.now)


def test_an_id_too_long_for_a_name_is_refused_before_anything_is_written(
    box: Box, taker: DynamoDbTaker
) -> None:
    box.table()
    asked = replace(ASKED, run=naming.by_hand_id("backup", "_" * 120))

    with pytest.raises(Refused, match="too long an id"):
        taker.take(RATES, asked, box.now)

    assert box.client("s3").list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0


class LosesAnswers(adapters.TableBackupTaker):
    """As botocore has it: the request arrived, its answer did not."""

    def __init__(self) -> None:
        def lose(**_: Any) -> None:
            raise ReadTimeoutError(endpoint_url="https://dynamodb")

        # After the box has acted, where botocore would still repeat the request by itself.
        self.once.meta.events.register_last("before-send", lose)


def test_a_repeated_call_makes_a_double_and_the_oldest_is_the_point(
    box: Box, taker: DynamoDbTaker
) -> None:
    box.pace = replace(PACE, ddb_backup_takes=timedelta(0))  # or each would refuse the next
    box.table()
    with pytest.raises(Unclear):
        replace(taker, taker=LosesAnswers()).take(RATES, ASKED, box.now)
    box.wait(3)  # less than what begins a new set of EBS snapshots
    assert taker.take(RATES, ASKED, box.now) == ""
    box.wait()

    [point, double] = taker.of_run(ASKED, [RATES])[SOURCE].points

    assert box.names() == [name_of(), name_of()]
    assert (point.created_at, point.state) == (TWO_O_CLOCK, State.COMPLETED)
    assert (double.created_at, double.state) == (TWO_O_CLOCK + 3 * MINUTE, State.DOUBLE)
    assert point.id != double.id
    assert point.manifest == double.manifest != ""


# ── The manifest ──────────────────────────────────────────────────────────────────────────────────


def scaled(box: Box, resource: str, what: str) -> None:
    scaling = box.client("application-autoscaling")
    where = {
        "ServiceNamespace": "dynamodb",
        "ResourceId": resource,
        "ScalableDimension": f"dynamodb:{what}:ReadCapacityUnits",
    }
    scaling.register_scalable_target(**where, MinCapacity=5, MaxCapacity=50)
    scaling.put_scaling_policy(
        **where,
        PolicyName=f"{what}-reads",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 70.0,
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "DynamoDBReadCapacityUtilization"
            },
        },
    )
    scaling.put_scheduled_action(
        **where,
        ScheduledActionName=f"{what}-morning",
        Schedule="cron(0 6 * * ? *)",
        ScalableTargetAction={"MinCapacity": 20, "MaxCapacity": 50},
    )


def test_what_a_restore_loses_is_written_down(box: Box, taker: DynamoDbTaker) -> None:
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    index = {
        "IndexName": "by-id",
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
        "ProvisionedThroughput": units,
    }
    arn = box.table(
        ProvisionedThroughput=units,
        GlobalSecondaryIndexes=[index],
        StreamSpecification=stream,
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": KEY},
        DeletionProtectionEnabled=True,
        TableClass="STANDARD_INFREQUENT_ACCESS",
        Tags=[{"Key": f"tag-{number:02d}", "Value": "x"} for number in range(12)],
    )
    box.dynamodb.update_time_to_live(
        TableName="rates", TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires_at"}
    )
    box.dynamodb.update_continuous_backups(
        TableName="rates",
        PointInTimeRecoverySpecification={
            "PointInTimeRecoveryEnabled": True,
            "RecoveryPeriodInDays": 7,
        },
    )
    kinesis = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/changes"
    box.dynamodb.enable_kinesis_streaming_destination(TableName="rates", StreamArn=kinesis)
    box.dynamodb.put_resource_policy(ResourceArn=arn, Policy='{"Statement": []}')
    scaled(box, "table/rates", "table")
    scaled(box, "table/rates/index/by-id", "index")
    box.table("sessions")

    taker.take(RATES, replace(ASKED, words="release-42"), box.now)

    manifest = manifest_of(box)
    assert (manifest.resource, manifest.kind, manifest.run) == (arn, Kind.TABLE, RUN)
    assert (manifest.plan, manifest.words, manifest.key) == ("gold", ("release-42",), KEY)
    settings: dict[str, Any] = dict(manifest.settings)
    scaling = settings.pop("scaling")
    assert settings == {
        "deletion_protection": True,
        "kinesis_destinations": [{"StreamArn": kinesis, "DestinationStatus": "ACTIVE"}],
        "point_in_time_recovery": {
            "PointInTimeRecoveryStatus": "ENABLED",
            "RecoveryPeriodInDays": 7,
        },
        "replica_regions": [],
        "resource_policy": '{"Statement": []}',
        "stream": stream,
        "table_class": "STANDARD_INFREQUENT_ACCESS",
        "tags": {f"tag-{number:02d}": "x" for number in range(12)},
        "time_to_live": {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"},
        "key_schema": KEYS,
        "attribute_definitions": ATTRIBUTES,
        "global_indexes": [
            {name: index[name] for name in ("IndexName", "KeySchema", "Projection")}
        ],
        "local_indexes": [],
    }
    assert [
        (one["ResourceId"], one["MinCapacity"], one["MaxCapacity"]) for one in scaling["targets"]
    ] == [("table/rates", 5, 50), ("table/rates/index/by-id", 5, 50)]
    assert [
        (one["PolicyName"], one["TargetTrackingScalingPolicyConfiguration"]["TargetValue"])
        for one in scaling["policies"]
    ] == [("table-reads", 70), ("index-reads", 70)]
    assert [
        (one["ScheduledActionName"], one["Schedule"]) for one in scaling["scheduled_actions"]
    ] == [("table-morning", "cron(0 6 * * ? *)"), ("index-morning", "cron(0 6 * * ? *)")]


def test_of_a_plain_table_every_setting_is_there_and_empty(box: Box, taker: DynamoDbTaker) -> None:
    box.table()

    taker.take(RATES, ASKED, box.now)

    manifest = manifest_of(box)
    assert (manifest.words, manifest.key) == ((), "")
    assert manifest.settings == {
        "deletion_protection": False,
        "kinesis_destinations": [],
        "point_in_time_recovery": {"PointInTimeRecoveryStatus": "DISABLED"},
        "replica_regions": [],
        "resource_policy": "",
        "scaling": {"targets": [], "policies": [], "scheduled_actions": []},
        "stream": {},
        "table_class": "STANDARD",
        "tags": {},
        "time_to_live": {"TimeToLiveStatus": "DISABLED"},
        "key_schema": KEYS,
        "attribute_definitions": ATTRIBUTES,
        "global_indexes": [],
        "local_indexes": [],
    }


@pytest.mark.parametrize(("items", "is_whole"), [(0, True), (7, True), (30, False)])
def test_what_some_items_were_is_written_down(
    box: Box, taker: DynamoDbTaker, items: int, is_whole: bool
) -> None:
    box.table()
    written: list[Item] = [
        {"id": {"S": f"{number:02d}"}, "raw": {"B": b"x"}} for number in range(items)
    ]
    for item in written:
        box.dynamodb.put_item(TableName="rates", Item=item)

    taker.take(RATES, ASKED, box.now)

    sample = manifest_of(box).sample
    assert sample
    assert sample.items == digests(written[:FIRST], ["id"])
    assert (sample.looked_at, sample.changed) == (len(sample.items), 0)
    assert (sample.is_whole, sample.count, sample.why) == (is_whole, items, "")
    assert sample.at == TWO_O_CLOCK


def test_a_table_that_may_not_be_read_is_backed_up_without_a_sample(
    box: Box, taker: DynamoDbTaker
) -> None:
    box.table()
    denied = (AWSResponse("", 400, HTTPHeaders(), None), {"Error": {"Code": "AccessDenied"}})
    taker.sampler.client.meta.events.register("before-call.dynamodb.Scan", lambda **_: denied)

    assert taker.take(RATES, ASKED, box.now) == ""

    assert box.names() == [name_of()]
    assert manifest_of(box).sample == Sample(why="dynamodb:Scan answered AccessDenied")


@pytest.mark.parametrize("spoilt", [None, b"no json", json.dumps({"schema": 1}).encode()])
def test_a_recovery_point_counts_without_a_manifest_that_can_be_read(
    box: Box, taker: DynamoDbTaker, keeper: DynamoDbKeeper, spoilt: bytes | None
) -> None:
    box.table()
    taker.take(RATES, ASKED, box.now)
    box.wait()
    where = {"Bucket": BUCKET, "Key": naming.manifest_key(naming.point_id(RUN, RATES.arn))}
    if spoilt is None:
        box.client("s3").delete_object(**where)
    else:
        box.client("s3").put_object(**where, Body=spoilt)

    for found in (taker.of_run(ASKED, [RATES]), taker.all(), keeper.amount_to(keeper.all())):
        [point] = found[SOURCE].points
        assert (point.state, point.manifest) == (State.COMPLETED, "")


# ── Keeping ───────────────────────────────────────────────────────────────────────────────────────


def foreign(box: Box) -> list[str]:
    """Backups that are somebody else's, some of which look like ours."""
    box.table("sessions")
    at = box.now - timedelta(days=3)
    return [
        box.backups.record_backup("rates", "before-import", created_at=at),
        box.backups.record_backup("rates", name_of(stack="other"), created_at=at),
        box.backups.record_backup("sessions", name_of(), created_at=at),  # names another table
        box.backups.record_backup("rates", name_of(), created_at=at, backup_type="AWS_BACKUP"),
    ]


def test_backups_of_others_are_never_shown_nor_deleted(
    box: Box, taker: DynamoDbTaker, keeper: DynamoDbKeeper
) -> None:
    box.table()
    others = foreign(box)
    others_of_user = others[:3]

    assert (keeper.all(), taker.all()) == ([], {})
    found = keeper.parts(others_of_user)
    assert [one.id for one in found] == others_of_user
    assert keeper.forbidden(found).keys() == set(others_of_user)
    assert keeper.amount_to(found) == {}
    for arn in others_of_user:
        with pytest.raises(Refused, match="names no recovery point of stack watchkeeper"):
            keeper.delete(arn)
    assert len(box.names()) == len(others)


def test_more_backups_than_a_page_holds(box: Box, keeper: DynamoDbKeeper) -> None:
    box.table()
    nights = [naming.night_id("gold", TWO_O_CLOCK - timedelta(days=day)) for day in range(120)]
    for day, night in enumerate(nights):
        name = naming.table_backup(STACK, "gold", night, naming.point_id(night, RATES.arn))
        created_at = TWO_O_CLOCK - timedelta(days=day)
        box.backups.record_backup("rates", name, created_at=created_at)
        box.backups.record_backup("rates", "somebody-else's", created_at=created_at)

    found = keeper.all()

    assert sorted(one.tags[naming.TAG_RUN] for one in found) == sorted(nights)
    since = adapters.TableBackups(STACK).made_since(TWO_O_CLOCK - timedelta(days=104))
    assert len(since) == 105


def test_a_deleted_backup_is_gone_at_once_though_dynamodb_describes_it_a_while(
    box: Box, taker: DynamoDbTaker, keeper: DynamoDbKeeper
) -> None:
    box.table()
    taker.take(RATES, ASKED, box.now)
    box.wait()
    [snapshot] = keeper.all()
    assert keeper.parts([snapshot.id]) == [snapshot]
    assert keeper.shared_with(snapshot.id) == ""

    keeper.delete(snapshot.id)

    described = box.dynamodb.describe_backup(BackupArn=snapshot.id)["BackupDescription"]
    assert described["BackupDetails"]["BackupStatus"] == "DELETED"
    assert (keeper.all(), keeper.parts([snapshot.id])) == ([], [])
    with pytest.raises(NotThere):
        keeper.delete(snapshot.id)
    box.wait()
    with pytest.raises(NotThere):
        keeper.delete(snapshot.id)


def test_a_backup_in_use_is_not_deleted(
    box: Box, taker: DynamoDbTaker, keeper: DynamoDbKeeper
) -> None:
    box.table()
    taker.take(RATES, ASKED, box.now)
    box.wait(1)
    [pending] = keeper.all()

    with pytest.raises(Refused, match="BackupInUseException"):
        keeper.delete(pending.id)

    assert len(box.names()) == 1


def test_a_backup_outlives_its_table(
    box: Box, taker: DynamoDbTaker, keeper: DynamoDbKeeper
) -> None:
    box.table()
    taker.take(RATES, ASKED, box.now)
    box.wait()
    box.dynamodb.delete_table(TableName="rates")

    [point] = keeper.amount_to(keeper.all())[SOURCE].points

    assert (point.resource, point.state) == (RATES.arn, State.COMPLETED)
    assert point.manifest == digest(Manifests(BUCKET).read(point.id))
