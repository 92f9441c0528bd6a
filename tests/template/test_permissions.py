"""What a function may do, what its adapters say they need, and what it was seen to do: three sets.

Where two of them differ, the difference stands here with its reason.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local import account
from local.alarms import Alarms
from local.aws import alarm_states, logs, performance_insights, rds_restores
from local.aws.ec2 import installed_in
from local.aws.ssm_commands import create_script_document
from local.cloud import Cloud
from local.iam import granted_actions
from tests.handlers import incidents as broken
from watchkeeper import naming
from watchkeeper.aws.clock import utc_now
from watchkeeper.aws.iam import needed_by
from watchkeeper.backups.expire import ExpireBackups
from watchkeeper.backups.take import TakeBackups
from watchkeeper.drills.drill import DrillRestores
from watchkeeper.recovery.recover import RecoverResources
from watchkeeper.runs.service import SweepRuns
from watchkeeper.settings import (
    DrillRestoresSettings,
    ExpireBackupsSettings,
    RecoverResourcesSettings,
    SweepRunsSettings,
    TakeBackupsSettings,
    TriageIncidentsSettings,
)
from watchkeeper.triage import log_choice, log_queries
from watchkeeper.triage.composed import triaging_in
from watchkeeper.triage.policy import TriagePolicy
from watchkeeper.triage.respond import TriageIncidents

ENVIRONMENT = {
    "STACK_NAME": "watchkeeper",
    "TABLE_NAME": "table",
    "NEWS_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:news",
    "PAGES_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:pages",
    "POLICY_PREFIX": "/watchkeeper/policy",
    "EVIDENCE_BUCKET": "evidence",
    "DRILL_VPC": "vpc-1",
    "DRILL_SUBNET": "subnet-1",
    "DRILL_ZONE": "us-east-1a",
    "DRILL_SUBNET_GROUP": "drills",
    "DRILL_DATABASE_GROUP": "sg-1",
    "DRILL_VERIFIER_GROUP": "sg-2",
    "DRILL_ENDPOINT_GROUP": "sg-3",
    "DRILL_PROFILE": "verifier",
    "DRILL_IMAGE": "ami-1",
    "DRILL_INSTANCE_TYPE": "t4g.small",
    "DRILL_SECRETS": "/watchkeeper/drill-secrets/watchkeeper",
    "INCIDENTS_BUCKET": "incidents",
    "TRAIL_GROUP": "/aws/events/watchkeeper-trail",
}
SERVICES: dict[str, Callable[[], Any]] = {
    "TakeBackups": lambda: TakeBackups(TakeBackupsSettings.read(ENVIRONMENT)),
    "ExpireBackups": lambda: ExpireBackups(ExpireBackupsSettings.read(ENVIRONMENT)),
    "DrillRestores": lambda: DrillRestores(DrillRestoresSettings.read(ENVIRONMENT)),
    "RecoverResources": lambda: RecoverResources(RecoverResourcesSettings.read(ENVIRONMENT)),
    "TriageIncidents": lambda: TriageIncidents(TriageIncidentsSettings.read(ENVIRONMENT)),
    "SweepRuns": lambda: SweepRuns(SweepRunsSettings.read(ENVIRONMENT)),
}
FUNCTIONS = list(SERVICES)

# Lambda itself uses these in the function's name; no code of ours makes the calls.
BY_LAMBDA = {
    "logs:CreateLogGroup": "AWSLambdaBasicExecutionRole, which SAM attaches",
    "logs:CreateLogStream": "AWSLambdaBasicExecutionRole, which SAM attaches",
    "logs:PutLogEvents": "AWSLambdaBasicExecutionRole, which SAM attaches",
    "xray:PutTraceSegments": "tracing is switched on in the template",
    "xray:PutTelemetryRecords": "tracing is switched on in the template",
    "xray:GetSamplingRules": "tracing is switched on in the template",
    "xray:GetSamplingTargets": "tracing is switched on in the template",
    "xray:GetSamplingStatisticSummaries": "tracing is switched on in the template",
    "sqs:SendMessage": "Lambda sends an event that failed three times to its dead-letter queue",
}
# The same, of the queue that Lambda reads for TriageIncidents.
READ_BY_LAMBDA = {"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"}
# Declared by a method of a shared adapter that this function does not call, and so not granted.
NOT_CALLED: dict[str, dict[str, str]] = {
    "TakeBackups": {},
    "ExpireBackups": {"dynamodb:BatchGetItem": "RunTable.find_many: only a night has shards"},
    "DrillRestores": {"dynamodb:BatchGetItem": "RunTable.find_many: only a night has shards"},
    "RecoverResources": {"dynamodb:BatchGetItem": "RunTable.find_many: only a night has shards"},
    "TriageIncidents": {
        "s3:GetObject": "ReportReader: only whoever replays a look reads it",
        "s3:ListBucket": "ReportReader: the same",
    },
    "SweepRuns": {
        "dynamodb:PutItem": "PolicyTable.accept: only TakeBackups accepts a policy",
        "dynamodb:UpdateItem": "CoverageTable: only TakeBackups starts nights and reports them",
    },
}

BY_TABLE = 'SELECT SUM(ThrottledRequests) FROM "AWS/DynamoDB" GROUP BY TableName'
DOCUMENT = "watchkeeper-postgresql"
ENCRYPTED = "harbour-passports"
"""A table under a key of its owner's, as the seeded account has none."""
HOURLY = {
    "schedule": "0 * * * *",
    "rpo": "2h",
    "keep": {"within": "2h"},
    "floor": {"count": 1},
}
SHORT = {
    "plans": {
        "gold": {**HOURLY, "point_in_time": "enable"},
        "bronze": {**HOURLY, "scripts": {"document": DOCUMENT}},
    },
    "removal": {"schedule": "30 * * * *"},
}


def adapters(thing: object) -> set[type]:
    """The classes in `watchkeeper.aws` whose instances hang on a service, at any depth."""
    found = {type(thing)} if type(thing).__module__.startswith("watchkeeper.aws") else set()
    for value in parts(thing):
        if type(value).__module__.startswith("watchkeeper."):
            found |= adapters(value)
    return found


def parts(thing: object) -> Iterator[object]:
    """What hangs on it by an attribute, or by a mapping that does."""
    for value in vars(thing).values() if hasattr(thing, "__dict__") else ():
        yield from value.values() if isinstance(value, dict) else [value]


def declared(function: str) -> set[str]:
    service = SERVICES[function]()
    if function == "TriageIncidents":  # it is put together by the policy of the moment
        cloud = triaging_in(
            service.settings, service.incidents, service.states, TriagePolicy(), utc_now
        )
        return set(needed_by(*adapters(service), *adapters(cloud)))
    if function != "SweepRuns":
        assert service.cloud  # made when first used
    return set(needed_by(*adapters(service)))


@pytest.fixture(scope="module")
def cloud(incidents: Cloud) -> Iterator[Cloud]:
    """Hours in which every function does all that it can, each call judged by its role.

    People do their part: they ask by hand, enable a key, hide manifests, restore the table.
    """
    start = datetime(2026, 11, 23, tzinfo=UTC)
    with Cloud(start=start, seeded=True, thin=timedelta(minutes=15), deny=True) as cloud:
        prepare(cloud)
        cloud.clock.run_for(timedelta(hours=1))
        volume = account.volume_id(cloud, "harbour-api-1 /dev/sdf")
        here = f"{cloud.region}:{cloud.account_id}"
        by_hand = {
            "trigger": "by-hand",
            "request_id": "one",
            "plan": "gold",
            "resources": [
                f"arn:aws:ec2:{here}:volume/{volume}",
                f"arn:aws:rds:{here}:db:harbour-guests",
                f"arn:aws:dynamodb:{here}:table/{ENCRYPTED}",
            ],
        }
        cloud.invoke("TakeBackups", by_hand, asynchronous=True)
        cloud.clock.run_for(timedelta(hours=1))
        forget_manifests(cloud)
        cloud.invoke("TakeBackups", {"trigger": "rebuild", "request_id": "r"}, asynchronous=True)
        cloud.client("kms").enable_key(KeyId=key_named(cloud, "alias/harbour-retired"))
        cloud.clock.run_for(timedelta(minutes=15))
        forget_points(cloud, f"arn:aws:rds:{here}:db:harbour-guests")
        cloud.clock.run_for(timedelta(hours=1, minutes=45))
        drill(cloud, f"arn:aws:ec2:{here}:volume/{volume}", "blocks")
        drill(cloud, f"arn:aws:ec2:{here}:volume/{volume}", "metadata")
        drill(cloud, f"arn:aws:rds:{here}:cluster:harbour-ledger", "metadata")
        drill(cloud, f"arn:aws:dynamodb:{here}:table/{ENCRYPTED}", "metadata")
        restore(cloud)
        recover(cloud)
        yield cloud


@pytest.fixture(scope="module")
def incidents() -> Cloud:
    """An hour in which a function and databases break, each call judged by the role that looks.

    It is over: there is one box at a time, and of this one only what was seen is asked.
    """
    with pytest.MonkeyPatch.context() as patch, broken.account() as made:
        patch.setattr(log_queries, "PAUSE", 0.0)
        patch.setattr(log_choice, "SMALL", 1_000)  # bytes: so that queries read the logs
        with pytest.MonkeyPatch.context() as watching:
            watching.setattr(Alarms, "watch", lambda *_: None)  # the box evaluates no queries
            query(made)
        watch(made)
        made.until(broken.BEGINS)
        breaks(made)
    return made.cloud


def query(made: broken.Account) -> None:
    """An alarm over a query, of which one contributor is in ALARM."""
    made.cloud.client("cloudwatch").put_metric_alarm(
        AlarmName="throttled",
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        Threshold=1.0,
        Metrics=[{"Id": "q1", "Expression": BY_TABLE, "Period": 60, "ReturnData": True}],
    )
    alarm_states.installed_in(made.cloud).contributors["throttled"] = [
        {
            "ContributorId": "c1",
            "ContributorAttributes": {"TableName": "carts"},
            "StateReason": "too much",
            "StateTransitionedTimestamp": broken.BEGINS,
        }
    ]


def watch(made: broken.Account) -> None:
    """What there is to look at besides: a cluster, a mute rule, a trail that is choosy."""
    made.cloud.client("cloudtrail").put_event_selectors(
        TrailName="management-events",
        EventSelectors=[{"ReadWriteType": "All", "IncludeManagementEvents": True}],
    )
    aws = made.cloud.client("cloudwatch")
    made.cloud.client("rds").create_db_cluster(
        DBClusterIdentifier="ledger",
        Engine="aurora-postgresql",
        MasterUsername="harbour",
        MasterUserPassword="correct-horse-battery",
    )
    aws.put_metric_alarm(
        AlarmName="ledger-connections",
        Namespace="AWS/RDS",
        MetricName="DatabaseConnections",
        Dimensions=[{"Name": "DBClusterIdentifier", "Value": "ledger"}],
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        Period=60,
        Statistic="Maximum",
        Threshold=90,
    )
    aws.put_alarm_mute_rule(
        Name="move",
        Rule={"Schedule": {"Expression": "at(2026-11-23T00:00)", "Duration": "P1D"}},
        MuteTargets={"AlarmNames": ["something-else"]},
    )


def breaks(made: broken.Account) -> None:
    """The function fails on its database. At the last look the trail is switched off, and queries
    are not answered.
    """
    now = made.cloud.clock.now()
    made.happened("lambda UpdateFunctionCode20150331v2", broken.CHECKOUT, timedelta(0))
    for number in range(5):
        at = now + number * broken.MINUTE
        made.until(at)
        long = f"ERROR no connection {number} " + "at harbour.pay.Connection " * 100
        made.say(broken.GROUP, *((at, long) for _ in range(3)))
        performance_insights.put(
            made.cloud, broken.ORDERS, at, 9.0, wait=("Lock", "tuple"), statement="UPDATE orders"
        )
        made.measure(broken.CHECKOUT, at, Errors=20, Invocations=50)
        made.measure(broken.ORDERS, at, DatabaseConnections=99)
    for alarm in ("ledger-connections", "throttled"):
        made.cloud.client("cloudwatch").set_alarm_state(
            AlarmName=alarm, StateValue="ALARM", StateReason="too many"
        )
    made.until(now + 10 * broken.MINUTE)
    logs.installed_in(made.cloud).polls = 10_000
    made.cloud.client("cloudtrail").stop_logging(Name="management-events")
    made.until(now + broken.HOUR)


def drill(cloud: Cloud, resource: str, level: str) -> None:
    event = {"trigger": "by-hand", "request_id": level, "resource": resource, "level": level}
    event["request_id"] = f"{resource.replace('/', ':').rsplit(':', 1)[-1]}-{level}"
    cloud.invoke("DrillRestores", event, asynchronous=True)
    cloud.clock.run_for(timedelta(minutes=1))


def restore(cloud: Cloud) -> None:
    """One of each kind, to the end; somebody stops the cluster, which cannot be deleted then."""
    here = f"{cloud.region}:{cloud.account_id}"
    for resource in (
        f"arn:aws:ec2:{here}:volume/{account.volume_id(cloud, 'harbour-invoices')}",
        f"arn:aws:rds:{here}:db:harbour-guests",
        f"arn:aws:rds:{here}:cluster:harbour-ledger",
        f"arn:aws:dynamodb:{here}:table/{ENCRYPTED}",
    ):
        drill(cloud, resource, "check")
    assert cloud.guard is not None
    while "rds:ModifyDBCluster" not in cloud.guard.seen["DrillRestores"]:
        cloud.clock.run_for(timedelta(minutes=1))
    while (made := drilled(cloud))["Status"] != "available":  # until its new password is in force
        cloud.clock.run_for(timedelta(seconds=20))
    cloud.client("rds").stop_db_cluster(DBClusterIdentifier=made["DBClusterIdentifier"])
    cloud.clock.run_for(timedelta(hours=2))


def recover(cloud: Cloud) -> None:
    """One of each kind, in earnest; a setting of the cluster is lost on the way."""
    here = f"{cloud.region}:{cloud.account_id}"
    ledger = cloud.client("rds").describe_db_cluster_snapshots(
        DBClusterIdentifier="harbour-ledger", SnapshotType="manual"
    )["DBClusterSnapshots"]
    for snapshot in ledger:
        rds_restores.installed_in(cloud).lose_setting(
            snapshot["DBClusterSnapshotIdentifier"], "deletion_protection"
        )
    instance = account.instance_id(cloud, "harbour-api-1")
    for number, resource in enumerate(
        (
            f"arn:aws:ec2:{here}:volume/{account.volume_id(cloud, 'harbour-invoices')}",
            f"arn:aws:ec2:{here}:instance/{instance}",
            f"arn:aws:rds:{here}:db:harbour-guests",
            f"arn:aws:rds:{here}:cluster:harbour-ledger",
            f"arn:aws:dynamodb:{here}:table/{ENCRYPTED}",
        )
    ):
        recover_one(cloud, f"r{number}", resource)
    cloud.clock.run_for(timedelta(hours=2))
    forget_manifests(cloud)
    recover_one(cloud, "without", f"arn:aws:dynamodb:{here}:table/harbour-rates")
    cloud.clock.run_for(timedelta(minutes=1))


def recover_one(cloud: Cloud, request: str, resource: str) -> None:
    event = {"trigger": "by-hand", "request_id": request, "level": "real", "resource": resource}
    cloud.invoke("RecoverResources", event, asynchronous=True)


def drilled(cloud: Cloud) -> Any:
    """The cluster that a drill has made."""
    clusters = cloud.client("rds").describe_db_clusters()["DBClusters"]
    return next(one for one in clusters if naming.is_drill(one["DBClusterIdentifier"]))


def prepare(cloud: Cloud) -> None:
    """What the seeded account lacks of what there is to look at and to do."""
    ssm = cloud.client("ssm")
    ssm.put_parameter(Name="/watchkeeper/policy/backups", Value=json.dumps(SHORT), Type="String")
    hourly = {"schedule": "20 * * * *"}
    ssm.put_parameter(Name="/watchkeeper/policy/drills", Value=json.dumps(hourly), Type="String")
    create_script_document(ssm, DOCUMENT)
    installed_in(cloud).fail_snapshot_of(account.volume_id(cloud, "harbour-invoices"))
    cloud.client("dynamodb").create_table(
        TableName=ENCRYPTED,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        SSESpecification={
            "Enabled": True,
            "SSEType": "KMS",
            "KMSMasterKeyId": key_named(cloud, "alias/harbour-data"),
        },
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        Tags=[{"Key": account.PLAN_TAG, "Value": "gold"}],
    )
    cloud.client("dynamodb").update_time_to_live(
        TableName=ENCRYPTED,
        TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires_at"},
    )
    tune(cloud)


def tune(cloud: Cloud) -> None:
    """Settings that a restore loses: what is recovered gets them back."""
    rds, scaling = cloud.client("rds"), cloud.client("application-autoscaling")
    role = f"arn:aws:iam::{cloud.account_id}:role/monitoring"
    rds.modify_db_instance(
        DBInstanceIdentifier="harbour-guests", MonitoringInterval=60, MonitoringRoleArn=role
    )
    rds.modify_db_cluster(DBClusterIdentifier="harbour-ledger", DeletionProtection=True)
    scaled = {
        "ServiceNamespace": "dynamodb",
        "ResourceId": f"table/{ENCRYPTED}",
        "ScalableDimension": "dynamodb:table:ReadCapacityUnits",
    }
    scaling.register_scalable_target(**scaled, MinCapacity=5, MaxCapacity=50)
    tracked = {"PredefinedMetricType": "DynamoDBReadCapacityUtilization"}
    scaling.put_scaling_policy(
        **scaled,
        PolicyName="track",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 70,
            "PredefinedMetricSpecification": tracked,
        },
    )
    scaling.put_scheduled_action(
        **scaled,
        ScheduledActionName="mornings",
        Schedule="cron(0 6 * * ? *)",
        ScalableTargetAction={"MinCapacity": 20},
    )


def key_named(cloud: Cloud, alias: str) -> str:
    arn: str = cloud.client("kms").describe_key(KeyId=alias)["KeyMetadata"]["Arn"]
    return arn


def forget_manifests(cloud: Cloud) -> None:
    """Somebody has hidden every manifest: S3 says so only to who may list the bucket."""
    s3, bucket = cloud.client("s3"), cloud.physical_id("EvidenceBucket")
    found = s3.list_objects_v2(Bucket=bucket)["Contents"]
    for one in found:
        s3.delete_object(Bucket=bucket, Key=one["Key"])


def forget_points(cloud: Cloud, resource: str) -> None:
    """The catalogue knows no recovery points of it, as after a restore to an earlier time."""
    dynamodb, table = cloud.client("dynamodb"), cloud.physical_id("Table")
    known = dynamodb.query(
        TableName=table,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": naming.point_pk(resource)}},
    )["Items"]
    for item in known:
        dynamodb.delete_item(TableName=table, Key={name: item[name] for name in ("pk", "sk")})


def test_nobody_was_refused_anything(cloud: Cloud, incidents: Cloud) -> None:
    for one in (cloud, incidents):
        assert one.guard is not None
        assert one.guard.refusals == []
        assert [each.error for each in one.functions.invocations if each.error] == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_role_grants_exactly_what_its_adapters_declare(cloud: Cloud, function: str) -> None:
    granted = granted_actions(cloud.template, function)

    reads = READ_BY_LAMBDA if function == "TriageIncidents" else set()
    assert granted - set(BY_LAMBDA) - reads == declared(function) - set(NOT_CALLED[function])
    assert reads <= granted
    assert granted & set(BY_LAMBDA), "the list of what Lambda itself needs is out of date"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_is_declared_was_seen(cloud: Cloud, incidents: Cloud, function: str) -> None:
    guard = (incidents if function == "TriageIncidents" else cloud).guard
    assert guard is not None
    seen = set(guard.seen[function])

    assert seen <= declared(function)
    assert declared(function) - seen == set(NOT_CALLED[function])


def test_the_events_of_those_hours_woke_take_backups(cloud: Cloud) -> None:
    """All that its rules hear of but the end of a key, which nobody gets in less than a week."""
    heard = {
        one.event["detail-type"]
        for one in cloud.functions.invocations
        if one.function.logical_id == "TakeBackups" and "detail-type" in one.event
    }
    assert heard == {
        "AWS API Call via CloudTrail",
        "EBS Multi-Volume Snapshots Completion Status",
        "EBS Snapshot Notification",
        "EC2 Command Status-change Notification",
        "RDS DB Cluster Snapshot Event",
        "RDS DB Snapshot Event",
    }
