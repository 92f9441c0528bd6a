"""What IAM is asked for calls that put back what scales a table: an example per operation."""

from typing import Any

import pytest

from local.iam_actions import requests_of
from local.iam_recoveries import RECOVERIES
from local.iam_requests import Account, Request

ACCOUNT = Account("111122223333", "eu-west-1")
TARGET = "arn:aws:application-autoscaling:eu-west-1:111122223333:scalable-target/*"
OF_DYNAMODB = {"application-autoscaling:service-namespace": ("dynamodb",)}
ALARM = "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:TargetTracking-table/rates-AlarmHigh"
GIVEN = {"ServiceNamespace": "dynamodb", "ResourceId": "table/rates"}


@pytest.mark.parametrize("operation", [operation for _, operation in RECOVERIES])
def test_scaling_asks_for_the_service_that_is_scaled(operation: str) -> None:
    action = f"application-autoscaling:{operation}"
    assert asked(operation, GIVEN) == [Request(action, TARGET, OF_DYNAMODB)]


def test_a_policy_that_tracks_a_target_asks_for_its_alarms() -> None:
    tracking = {**GIVEN, "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 70}}
    assert asked("PutScalingPolicy", tracking)[1:] == [
        Request("cloudwatch:PutMetricAlarm", ALARM, creates=True),
        Request("cloudwatch:DescribeAlarms", ALARM),
    ]


def test_the_role_of_detailed_monitoring_is_passed_on() -> None:
    role = "arn:aws:iam::111122223333:role/monitoring"
    params = {"DBInstanceIdentifier": "orders", "MonitoringRoleArn": role}
    requests = requests_of("rds", "ModifyDBInstance", params, ACCOUNT)
    [passed] = [one for one in requests if one.action == "iam:PassRole"]
    assert passed.resource == role
    assert passed.keys["iam:passedtoservice"] == ("monitoring.rds.amazonaws.com",)


def asked(operation: str, params: dict[str, Any]) -> list[Request]:
    """Without the keys of every request."""
    requests = requests_of("application-autoscaling", operation, params, ACCOUNT)
    return [
        Request(
            one.action,
            one.resource,
            {key: value for key, value in one.keys.items() if key in OF_DYNAMODB},
            creates=one.creates,
        )
        for one in requests
    ]
