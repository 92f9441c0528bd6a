"""What the event bus delivers to log groups in the box, and the audit trail that comes of it."""

import json
from datetime import timedelta
from typing import Any

import pytest

from local.aws import cloudtrail
from local.aws.cloudtrail import record
from local.cloud import Cloud
from tests.local.box import START, box
from watchkeeper.aws.audit_trail import EventHistory, Ring, Trails
from watchkeeper.triage.audit_looks import AuditLook
from watchkeeper.triage.gathered import Resource, Span
from watchkeeper.triage.looking import Asked

MINUTE = timedelta(minutes=1)
GROUP = "/aws/events/watchkeeper-trail"
PLACE = f"us-east-1:{Cloud.account_id}"
ARN = f"arn:aws:logs:{PLACE}:log-group:{GROUP}"
ORDERS = f"arn:aws:rds:{PLACE}:db:orders"
PATTERN = {
    "detail-type": [
        "AWS API Call via CloudTrail",
        "AWS Service Event via CloudTrail",
        "AWS Console Sign In via CloudTrail",
        "AWS Console Action via CloudTrail",
    ],
    "detail": {
        "eventCategory": ["Management", {"exists": False}],
        "$or": [{"readOnly": [False, {"exists": False}]}, {"eventName": ["GetSecretValue"]}],
    },
}
ALL = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"


def policy(source: str = "*", **more: Any) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": ["events.amazonaws.com", "delivery.logs.amazonaws.com"]},
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": f"{ARN}:*",
        "Condition": {"ArnLike": {"aws:SourceArn": source}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [{**statement, **more}]})


def wire(cloud: Cloud, document: str | None, state: str = ALL) -> None:
    cloud.client("logs").create_log_group(logGroupName=GROUP)
    if document:
        cloud.client("logs").put_resource_policy(policyName="trail", policyDocument=document)
    events = cloud.client("events")
    events.put_rule(Name="trail", EventPattern=json.dumps(PATTERN), State=state)
    events.put_targets(Rule="trail", Targets=[{"Id": "ring", "Arn": ARN}])


def kept(cloud: Cloud) -> list[dict[str, Any]]:
    found = cloud.client("logs").filter_log_events(logGroupName=GROUP)["events"]
    return [json.loads(one["message"]) for one in found]


def test_an_event_is_kept_whole() -> None:
    with box() as cloud:
        wire(cloud, policy(f"arn:aws:events:{PLACE}:rule/trail"))
        trails = cloudtrail.installed_in(cloud)
        trails.log()
        now = cloud.clock.now()
        trails.happened(record(now, "ec2 StopInstances", {"instanceId": "i-0abc"}))
        trails.happened(record(now, "ec2 DescribeInstances"))
        trails.happened(record(now, "secretsmanager GetSecretValue"))
        trails.happened(record(now, "s3 PutObject", eventCategory="Data"))
        trails.happened(record(now, "signin ConsoleLogin", eventType="AwsConsoleSignIn"))
        cloud.clock.run_for(6 * MINUTE)

        events = kept(cloud)

        assert [one["detail"]["eventName"] for one in events] == [
            "StopInstances", "GetSecretValue", "ConsoleLogin",
        ]  # fmt: skip
        assert events[0]["source"] == "aws.ec2"
        assert events[0]["account"] == cloud.account_id


@pytest.mark.parametrize(("state", "names"), [("ENABLED", ["StopInstances"]), ("DISABLED", [])])
def test_a_rule_is_shown_reads_only_where_it_asks_for_them(state: str, names: list[str]) -> None:
    with box() as cloud:
        wire(cloud, policy(), state)
        trails = cloudtrail.installed_in(cloud)
        trails.log()
        for action in ("ec2 StopInstances", "secretsmanager GetSecretValue"):
            trails.happened(record(cloud.clock.now(), action))
        cloud.clock.run_for(6 * MINUTE)

        assert [one["detail"]["eventName"] for one in kept(cloud)] == names


@pytest.mark.parametrize(
    "document",
    [
        None,
        policy(f"arn:aws:events:{PLACE}:rule/another"),
        policy(Resource=ARN),
        policy(Action="logs:PutLogEvents"),
        policy(Principal={"Service": "delivery.logs.amazonaws.com"}),
    ],
)
def test_without_a_policy_that_lets_it_in_nothing_is_kept(document: str | None) -> None:
    with box() as cloud:
        wire(cloud, document)
        cloudtrail.installed_in(cloud).log()
        cloudtrail.installed_in(cloud).happened(record(cloud.clock.now(), "ec2 StopInstances"))
        cloud.clock.run_for(6 * MINUTE)

        assert kept(cloud) == []
        assert len(cloud.triggers.undelivered) == 1


def test_a_change_before_the_alarm_is_found_once_cloudtrail_has_told_it() -> None:
    with box() as cloud:
        wire(cloud, policy())
        trails = cloudtrail.installed_in(cloud)
        trails.log()
        look = AuditLook(Ring(GROUP), EventHistory(), Trails())
        cloud.clock.move_to(START + timedelta(hours=3))
        change = record(
            cloud.clock.now(), "rds ModifyDBInstance", {"dBInstanceIdentifier": "orders"}
        )
        trails.happened(record(cloud.clock.now() - 30 * MINUTE, "ec2 RunInstances"))
        trails.happened(change)
        cloud.clock.run_for(MINUTE)
        began = cloud.clock.now()

        def events() -> list[str]:
            now = cloud.clock.now()
            asked = Asked("orders", 0, Span.of(began, now), (), [Resource(ORDERS)], {})
            found = look(asked, now).trail
            assert found is not None
            assert found.until == now - 15 * MINUTE
            return [str(one["eventName"]) for one in found.events]

        at_once = events()
        cloud.clock.run_for(15 * MINUTE)

        assert at_once == ["RunInstances"]
        assert events() == ["RunInstances", "ModifyDBInstance"]
