"""What RecoverResources may make and change: what names a recovery, and nothing that is there."""

import re

import pytest

from tests.template.stack import Stack, allowed, as_list
from tests.template.test_least_privilege import granted
from watchkeeper import naming

FUNCTION = "RecoverResources"
RDS = "arn:aws:rds:us-east-1:123456789012"
VOLUMES = "arn:aws:ec2:us-east-1:123456789012:volume/*"
NAMED = [f"{RDS}:cluster:*{naming.RECOVERED}*", f"{RDS}:db:*{naming.RECOVERED}*"]
TABLE = f"arn:aws:dynamodb:us-east-1:123456789012:table/*{naming.RECOVERED}*"
BESIDE = {f"{RDS}:{kind}:*" for kind in ("cluster-pg", "og", "pg", "subgrp")}
SNAPSHOTS = {f"{RDS}:{kind}:*" for kind in ("cluster-snapshot", "snapshot")}


@pytest.mark.parametrize(
    "action",
    [
        "rds:CreateDBInstance",
        "rds:ModifyDBCluster",
        "rds:ModifyDBInstance",
        "rds:RestoreDBClusterFromSnapshot",
        "rds:RestoreDBInstanceFromDBSnapshot",
    ],
)
def test_of_databases_only_those_are_made_and_changed_that_a_recovery_names(
    stack: Stack, action: str
) -> None:
    """RDS asks for everything that a call names, and the database is always among it."""
    found = granted(stack, FUNCTION, action)
    assert found.keys() == {*NAMED, *BESIDE, *SNAPSHOTS}
    assert granted(stack, FUNCTION, "rds:AddTagsToResource").keys() == set(NAMED)


@pytest.mark.parametrize(
    "action",
    ["UpdateTable", "UpdateTimeToLive", "UpdateContinuousBackups", "TagResource", "DeleteItem"],
)
def test_of_tables_only_those_are_changed_that_a_recovery_names(stack: Stack, action: str) -> None:
    assert granted(stack, FUNCTION, f"dynamodb:{action}") == {TABLE: None}


def test_a_volume_says_of_which_recovery_it_is_from_its_first_moment(stack: Stack) -> None:
    named = {"StringLike": {f"aws:RequestTag/{naming.TAG_RECOVERED}": f"*{naming.RECOVERED}*"}}
    assert granted(stack, FUNCTION, "ec2:CreateVolume") == {
        "arn:aws:ec2:us-east-1::snapshot/*": None,
        VOLUMES: named,
    }
    conditions = [
        statement["Condition"]
        for statement, action in allowed(stack.statements(FUNCTION))
        if action == "ec2:CreateTags" and as_list(statement["Resource"]) == [VOLUMES]
    ]
    assert conditions == [
        {"StringEquals": {"ec2:CreateAction": "CreateVolume"}},
        {"StringLike": {f"aws:ResourceTag/{naming.TAG_RECOVERED}": f"*{naming.RECOVERED}*"}},
    ]


def test_nothing_can_be_removed(stack: Stack) -> None:
    """But for the items of a table that is being restored, which DynamoDB asks for."""
    actions = {action for _, action in allowed(stack.statements(FUNCTION))}
    removing = re.compile(":(Delete|Terminate|Detach|Remove|Untag|Stop|Disable|Schedule|Revoke)")
    assert {one for one in actions if removing.search(one)} == {"dynamodb:DeleteItem"}


def test_keys_are_used_by_services_alone(stack: Stack) -> None:
    services = [f"{one}.us-east-1.amazonaws.com" for one in ("dynamodb", "ec2", "rds")]
    via = {"StringEquals": {"kms:ViaService": services}}
    keys = "arn:aws:kms:us-east-1:*:key/*"
    for action in ("kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext"):
        assert granted(stack, FUNCTION, action)[keys] == via
    grants = {**via, "Bool": {"kms:GrantIsForAWSResource": "true"}}
    assert granted(stack, FUNCTION, "kms:CreateGrant") == {keys: grants}


def test_roles_are_passed_to_the_monitoring_of_rds_alone(stack: Stack) -> None:
    passed = {"StringEquals": {"iam:PassedToService": "monitoring.rds.amazonaws.com"}}
    roles = "arn:aws:iam::123456789012:role/*"
    assert granted(stack, FUNCTION, "iam:PassRole") == {roles: passed}


def test_only_tables_are_scaled(stack: Stack) -> None:
    for action in ("RegisterScalableTarget", "PutScalingPolicy", "PutScheduledAction"):
        (condition,) = granted(stack, FUNCTION, f"application-autoscaling:{action}").values()
        assert condition == {
            "StringEquals": {"application-autoscaling:service-namespace": "dynamodb"}
        }
