"""Which settings a restore is told, which are put back after it, and what differs in the end."""

from typing import Any

import pytest

from watchkeeper.recovery import database_settings, table_settings
from watchkeeper.recovery.model import Change, Difference

SMALL = {
    "StorageType": "gp3", "Iops": 3000, "StorageThroughput": 125, "DBSubnetGroup": "inside",
    "VpcSecurityGroups": ["sg-1"], "DBParameterGroups": ["default.postgres16"],
    "OptionGroupMemberships": ["default:postgres-16"], "PubliclyAccessible": False,
    "AutoMinorVersionUpgrade": False, "DbInstancePort": 0, "BackupRetentionPeriod": 0,
    "EnabledCloudwatchLogsExports": [], "MultiAZ": True, "DBInstanceClass": "db.t4g.small",
}  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            SMALL,
            {
                "StorageType": "gp3",
                "DBSubnetGroupName": "inside",
                "VpcSecurityGroupIds": ["sg-1"],
                "PubliclyAccessible": False,
                "AutoMinorVersionUpgrade": False,
                "MultiAZ": True,
                "DBInstanceClass": "db.t4g.small",
            },
        ),
        (
            {"StorageType": "gp3", "Iops": 12000, "StorageThroughput": 500},
            {"StorageType": "gp3", "Iops": 12000, "StorageThroughput": 500},
        ),
        ({"StorageType": "io2", "Iops": 1000}, {"StorageType": "io2", "Iops": 1000}),
        ({"DBParameterGroups": ["tuned"]}, {"DBParameterGroupName": "tuned"}),
        ({"DbInstancePort": 5433}, {"Port": 5433}),
        ({}, {}),
    ],
)
def test_an_instance_is_told_what_a_restore_takes(
    settings: dict[str, Any], told: dict[str, Any]
) -> None:
    assert database_settings.told(settings, database_settings.INSTANCE) == told


def test_a_cluster_is_told_what_its_kind_takes() -> None:
    aurora = {"EngineMode": "provisioned", "PubliclyAccessible": False, "Iops": 3000}
    cluster = database_settings.CLUSTER
    assert database_settings.told(aurora, cluster) == {"EngineMode": "provisioned"}
    half = {"ServerlessV2ScalingConfiguration": {"MinCapacity": "0.5", "MaxCapacity": 4}}
    told = {"ServerlessV2ScalingConfiguration": {"MinCapacity": 0.5, "MaxCapacity": 4}}
    assert database_settings.told(half, cluster) == told
    other = aurora | {"DBClusterInstanceClass": "db.m6gd.large"}
    assert database_settings.told(other, cluster) == other


def test_what_belongs_together_is_changed_together_and_only_if_it_differs() -> None:
    wanted = {
        "MonitoringInterval": 60, "MonitoringRoleArn": "arn:role", "MaxAllocatedStorage": 100,
        "PreferredMaintenanceWindow": "sun:04:00-sun:04:30", "MultiAZ": True,
    }  # fmt: skip
    found = {"MonitoringInterval": 0, "PreferredMaintenanceWindow": "mon:01:00-mon:01:30"}
    found |= {"MaxAllocatedStorage": 100, "MultiAZ": True}
    groups = database_settings.OF_INSTANCES
    assert list(database_settings.changes(wanted, found, "orders", groups, " of it")) == [
        Change(
            "MonitoringInterval of it",
            "orders",
            {"MonitoringInterval": 60, "MonitoringRoleArn": "arn:role"},
        ),
        Change(
            "PreferredMaintenanceWindow of it",
            "orders",
            {"PreferredMaintenanceWindow": "sun:04:00-sun:04:30"},
        ),
    ]
    assert list(database_settings.changes(wanted, wanted, "orders", groups, "")) == []


def test_differences_are_listed_but_for_what_people_do_by_hand() -> None:
    wanted = {
        "MultiAZ": True, "AvailabilityZone": "a", "CopyTagsToSnapshot": False,
        "MasterUserSecret": {"SecretArn": "arn"},
        "Tags": {"owner": "harbour", "aws:cloudformation:stack-name": "x", "watchkeeper:run": "y"},
    }  # fmt: skip
    found = {"MultiAZ": False, "AvailabilityZone": "b", "Tags": {"owner": "harbour"}}
    assert database_settings.differences(wanted, found, " of ledger-1") == [
        Difference(
            "AvailabilityZone of ledger-1", "a", "b", database_settings.WHYS["AvailabilityZone"]
        ),
        Difference("MultiAZ of ledger-1", "true", "false"),
    ]


TARGET = {
    "ResourceId": "table/rates", "ScalableDimension": "dynamodb:table:ReadCapacityUnits",
    "MinCapacity": 5, "MaxCapacity": 50,
}  # fmt: skip
POLICY = {
    "PolicyName": "track", "ResourceId": "table/rates/index/by-day",
    "ScalableDimension": "dynamodb:index:ReadCapacityUnits", "PolicyType": "TargetTrackingScaling",
    "TargetTrackingScalingPolicyConfiguration": {"TargetValue": "70.5"},
}  # fmt: skip
RATES = {
    "deletion_protection": True,
    "point_in_time_recovery": {
        "PointInTimeRecoveryStatus": "ENABLED",
        "RecoveryPeriodInDays": 14,
    },
    "scaling": {
        "targets": [{**TARGET, "CreationTime": "2026-01-01", "ScalableTargetARN": "arn"}],
        "policies": [{**POLICY, "PolicyARN": "arn", "Alarms": []}],
        "scheduled_actions": [],
    },
    "stream": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    "table_class": "STANDARD",
    "tags": {"owner": "harbour", "watchkeeper:run": "x"},
    "time_to_live": {"TimeToLiveStatus": "ENABLED", "AttributeName": "until"},
}


def test_a_bare_table_gets_everything_back_for_itself() -> None:
    wanted = table_settings.comparable(RATES, "rates-wkr-1a2b3c4d")
    bare = table_settings.comparable({"table_class": "STANDARD"}, "rates-wkr-1a2b3c4d")
    changes = table_settings.changes(wanted, bare, "rates-wkr-1a2b3c4d")
    moved = {**TARGET, "ResourceId": "table/rates-wkr-1a2b3c4d"}
    moved_policy = {
        **POLICY,
        "ResourceId": "table/rates-wkr-1a2b3c4d/index/by-day",
        "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 70.5},
    }
    assert [(one.name, one.arguments["value"]) for one in changes] == [
        ("tags", {"owner": "harbour"}),
        ("time_to_live", "until"),
        ("stream", "NEW_IMAGE"),
        ("point_in_time_recovery", 14),
        ("deletion_protection", True),
        ("target ReadCapacityUnits", moved),
        ("policy track ReadCapacityUnits of index by-day", moved_policy),
    ]
    assert table_settings.changes(wanted, wanted, "rates-wkr-1a2b3c4d") == []


@pytest.mark.parametrize(
    ("changed", "differs"),
    [
        ({}, []),
        (
            {"stream": {}},
            [Difference("stream", "NEW_IMAGE", "")],
        ),
        (
            {"time_to_live": {"TimeToLiveStatus": "DISABLED"}},
            [Difference("time_to_live", "until", "")],
        ),
        ({"tags": {"owner": "harbour", "watchkeeper:run": "another"}}, []),
    ],
)
def test_a_table_is_compared_setting_by_setting(
    changed: dict[str, Any], differs: list[Difference]
) -> None:
    wanted, found = (table_settings.comparable(one, "t") for one in (RATES, RATES | changed))
    assert table_settings.differences(wanted, found) == differs
