"""Least privilege, as the policies say it: what each role may do, to what, on which condition."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.template.stack import Data, Stack, allowed, as_list
from watchkeeper import naming
from watchkeeper.policy import DOCUMENT

FUNCTIONS = [
    "TakeBackups", "ExpireBackups", "DrillRestores", "RecoverResources", "TriageIncidents",
    "SweepRuns",
]  # fmt: skip

LISTS_ONLY = {
    "application-autoscaling:DescribeScalableTargets",
    "application-autoscaling:DescribeScalingPolicies",
    "application-autoscaling:DescribeScheduledActions",
    "backup:ListBackupVaults",
    "cloudtrail:DescribeTrails",
    "cloudtrail:LookupEvents",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricData",
    "cloudwatch:ListAlarmMuteRules",
    "cloudwatch:ListMetrics",
    "dynamodb:ListBackups",
    "dynamodb:ListTables",
    "ec2:DescribeImages",
    "ec2:DescribeInstances",
    "ec2:DescribeLockedSnapshots",
    "ec2:DescribeSnapshotAttribute",
    "ec2:DescribeSnapshots",
    "ec2:DescribeVolumeStatus",
    "ec2:DescribeVolumes",
    "ec2:DescribeVpcEndpoints",
    "logs:GetLogRecord",
    "logs:GetQueryResults",
    "logs:StopQuery",
    "rds:DescribeAccountAttributes",
    "rds:DescribeDBClusterSnapshots",
    "rds:DescribeDBClusters",
    "rds:DescribeDBInstanceAutomatedBackups",
    "rds:DescribeDBInstances",
    "rds:DescribeDBSnapshots",
    "rds:DescribeEvents",
    "ssm:DescribeInstanceInformation",
    "ssm:DescribeParameters",
    "ssm:GetCommandInvocation",
    "ssm:ListCommandInvocations",
    "ssm:ListCommands",
    "tag:GetResources",
}
"""Actions that read lists, or what only who has a token can ask for, for which AWS takes no
narrower resource than everything. RDS takes `db:*` for all instances and so on, which is as wide.
"""

MAKES_POINTS = {
    "backup:StartBackupJob", "backup:StartCopyJob", "dynamodb:CreateBackup",
    "dynamodb:ExportTableToPointInTime", "ec2:CopySnapshot", "ec2:CreateImage",
    "ec2:CreateSnapshot", "ec2:CreateSnapshots", "rds:CopyDBClusterSnapshot", "rds:CopyDBSnapshot",
    "rds:CreateDBClusterSnapshot", "rds:CreateDBSnapshot",
}  # fmt: skip
REMOVES_POINTS = {
    "backup:DeleteRecoveryPoint", "backup:UpdateRecoveryPointLifecycle", "dynamodb:DeleteBackup",
    "ec2:DeleteSnapshot", "ec2:DeleteTags", "ec2:DeregisterImage",
    "ec2:ModifySnapshotAttribute", "ec2:ModifySnapshotTier", "ec2:UnlockSnapshot",
    "kms:DisableKey", "kms:ScheduleKeyDeletion", "rds:DeleteDBClusterAutomatedBackup",
    "rds:DeleteDBClusterSnapshot", "rds:DeleteDBInstanceAutomatedBackup", "rds:DeleteDBSnapshot",
    "rds:ModifyDBClusterSnapshotAttribute", "rds:ModifyDBSnapshot",
    "rds:ModifyDBSnapshotAttribute", "rds:RemoveTagsFromResource",
}  # fmt: skip
"""What removes them, or takes from them what they are found or restored by."""
REMOVES_ORIGINALS = {
    "dynamodb:DeleteItem", "dynamodb:DeleteTable", "dynamodb:UpdateTable", "ec2:DeleteVolume",
    "ec2:TerminateInstances", "rds:DeleteDBCluster", "rds:DeleteDBInstance", "rds:ModifyDBCluster",
    "rds:ModifyDBInstance",
}  # fmt: skip
"""What removes or changes that which is backed up; with a database go its automated backups."""
WRITES_ITEMS = {"dynamodb:PutItem", "dynamodb:UpdateItem"}
READS_ITEMS = {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"}


def actions(stack: Stack, function: str) -> set[str]:
    return {action for _, action in allowed(stack.statements(function))}


def documents(stack: Stack) -> Iterator[tuple[str, Data]]:
    """Every policy document of the template, of roles and of resources, with its owner."""
    for logical_id, resource in stack.resources.items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::EC2::VPCEndpoint":
            continue  # it lets nobody do anything: test_isolation.py says what may pass
        for policy in properties.get("Policies", []):
            yield logical_id, policy["PolicyDocument"]
        for key in ("PolicyDocument", "KeyPolicy", "AssumeRolePolicyDocument"):
            if key in properties:
                yield logical_id, as_document(properties[key])


def as_document(given: Any) -> Data:
    """CloudWatch Logs takes its policies as text."""
    document: Data = json.loads(given) if isinstance(given, str) else given
    return document


# ── Of all ───────────────────────────────────────────────────────────────────────────────────────


def test_no_action_has_a_star(stack: Stack) -> None:
    for owner, document in documents(stack):
        for statement, action in allowed(document["Statement"]):
            assert not set("*?") & set(action), (owner, action)
            assert "NotAction" not in statement


def test_only_lists_may_be_read_from_everything(stack: Stack) -> None:
    for function in stack.functions:
        for statement, action in allowed(stack.statements(function)):
            assert "NotResource" not in statement
            if "*" in as_list(statement["Resource"]):
                assert action in LISTS_ONLY, (function, action)


def test_only_logs_and_traces_are_granted_by_policies_of_aws(stack: Stack) -> None:
    for function in stack.functions:
        managed = stack.properties(f"{function}Role")["ManagedPolicyArns"]
        assert sorted(arn.rsplit("/", 1)[-1] for arn in managed) == [
            "AWSLambdaBasicExecutionRole",
            "AWSXrayWriteOnlyAccess",
        ]


def test_each_function_has_a_role_that_only_lambda_may_take(stack: Stack) -> None:
    roles = {function["Role"] for function in stack.functions.values()}
    assert len(roles) == len(stack.functions)
    for function in stack.functions:
        (trust,) = stack.properties(f"{function}Role")["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": ["lambda.amazonaws.com"]}


def test_what_we_write_about_rights_reads_as_sentences(source: Data) -> None:
    """A Sid takes letters and digits only; ours are at least three words, each once a policy."""
    for resource in source["Resources"].values():
        properties = resource.get("Properties", {})
        written = [
            *(one.get("PolicyDocument", one) for one in properties.get("Policies", [])),
            properties.get("AssumeRolePolicyDocument"),
            properties.get("PolicyDocument"),
            properties.get("KeyPolicy"),
        ]
        for document in (as_document(one.get("Fn::Sub", one)) for one in written if one):
            sids = [statement["Sid"] for statement in document["Statement"]]
            assert len(set(sids)) == len(sids)
            for sid in sids:
                assert re.fullmatch(r"(?:[A-Z][a-z]*){3,}", sid), sid


def test_everybody_is_only_ever_denied(stack: Stack) -> None:
    for owner, document in documents(stack):
        for statement in document["Statement"]:
            if statement.get("Principal") in ("*", {"AWS": "*"}):
                assert statement["Effect"] == "Deny", owner


# ── Recovery points ──────────────────────────────────────────────────────────────────────────────


def test_only_expire_backups_may_remove_recovery_points_and_it_can_make_none(stack: Stack) -> None:
    assert {name for name in stack.functions if actions(stack, name) & REMOVES_POINTS} == {
        "ExpireBackups"
    }
    assert {name for name in stack.functions if actions(stack, name) & MAKES_POINTS} == {
        "TakeBackups"
    }
    assert actions(stack, "ExpireBackups") & REMOVES_POINTS == {
        "dynamodb:DeleteBackup",
        "ec2:DeleteSnapshot",
        "rds:DeleteDBClusterSnapshot",
        "rds:DeleteDBSnapshot",
    }


def test_only_drill_restores_removes_more_than_points_and_only_what_drills_made(
    stack: Stack,
) -> None:
    """test_isolation.py says what those are; test_recovery.py says what a recovery may change."""
    for function in stack.functions:
        if function == "RecoverResources":
            continue
        removes = actions(stack, function) & REMOVES_ORIGINALS
        assert removes == (REMOVES_ORIGINALS if function == "DrillRestores" else set())


EC2_SNAPSHOTS = "arn:aws:ec2:us-east-1::snapshot/*"
RDS = "arn:aws:rds:us-east-1:123456789012"
RDS_SNAPSHOTS = [
    f"{RDS}:cluster-snapshot:{naming.DATABASE_SNAPSHOT}*",
    f"{RDS}:snapshot:{naming.DATABASE_SNAPSHOT}*",
]
TABLES = "arn:aws:dynamodb:us-east-1:123456789012:table/*"
INSTANCES = "arn:aws:ec2:us-east-1:123456789012:instance/*"
VOLUMES = "arn:aws:ec2:us-east-1:123456789012:volume/*"
ALREADY_OURS = {"StringEquals": {f"aws:ResourceTag/{naming.TAG_STACK}": "stack"}}
NAMED_AS_OURS = {"StringEquals": {f"aws:RequestTag/{naming.TAG_STACK}": "stack"}}


def granted(stack: Stack, function: str, wanted: str) -> dict[str, Any]:
    """Per resource on which an action is allowed, on which condition; None for on none."""
    found: dict[str, Any] = {}
    for statement, action in allowed(stack.statements(function)):
        if action == wanted:
            for resource in as_list(statement["Resource"]):
                assert resource not in found, f"{wanted} is granted twice on {resource}"
                found[resource] = statement.get("Condition")
    return found


@pytest.mark.parametrize(
    ("action", "resources"),
    [
        ("ec2:DeleteSnapshot", [EC2_SNAPSHOTS]),
        ("rds:DeleteDBClusterSnapshot", RDS_SNAPSHOTS),
        ("rds:DeleteDBSnapshot", RDS_SNAPSHOTS),
    ],
)
def test_only_snapshots_that_name_this_stack_may_be_removed(
    stack: Stack, action: str, resources: list[str]
) -> None:
    assert granted(stack, "ExpireBackups", action) == dict.fromkeys(resources, ALREADY_OURS)


def test_of_tables_only_backups_may_be_removed(stack: Stack) -> None:
    """No policy can tell ours from others': they have neither tags nor names in their ARNs."""
    assert granted(stack, "ExpireBackups", "dynamodb:DeleteBackup") == {f"{TABLES}/backup/*": None}


@pytest.mark.parametrize(
    ("action", "of", "made"),
    [
        ("ec2:CreateSnapshot", [INSTANCES, VOLUMES], [EC2_SNAPSHOTS]),
        ("ec2:CreateSnapshots", [INSTANCES, VOLUMES], [EC2_SNAPSHOTS]),
        ("rds:CreateDBClusterSnapshot", [f"{RDS}:cluster:*", f"{RDS}:db:*"], RDS_SNAPSHOTS),
        ("rds:CreateDBSnapshot", [f"{RDS}:cluster:*", f"{RDS}:db:*"], RDS_SNAPSHOTS),
    ],
)
def test_a_snapshot_names_this_stack_from_its_first_moment(
    stack: Stack, action: str, of: list[str], made: list[str]
) -> None:
    assert granted(stack, "TakeBackups", action) == {
        **dict.fromkeys(of, None),
        **dict.fromkeys(made, NAMED_AS_OURS),
    }


def test_nothing_can_be_tagged_later_into_what_expire_backups_may_remove(stack: Stack) -> None:
    """RDS cannot tell tags on what is being made from tags on what is there. So the names count:
    what TakeBackups could tag later was made by a Watchkeeper, if by another stack's.
    """
    while_creating = {"StringEquals": {"ec2:CreateAction": ["CreateSnapshot", "CreateSnapshots"]}}
    for function in stack.functions.keys() - {"RecoverResources"}:  # test_recovery.py
        tags_ec2 = granted(stack, function, "ec2:CreateTags")
        tags_rds = granted(stack, function, "rds:AddTagsToResource")
        tags = {each for each in actions(stack, function) if re.search(":(Un)?[Tt]ag", each)}
        if function == "DrillRestores":
            # What drills make, says test_isolation.py; no recovery point is among it.
            assert not any(":snapshot" in each for each in [*tags_ec2, *tags_rds])
            assert tags == {"dynamodb:TagResource"}
            continue
        takes = function == "TakeBackups"
        assert tags_ec2 == ({EC2_SNAPSHOTS: while_creating} if takes else {})
        assert tags_rds == (dict.fromkeys(RDS_SNAPSHOTS, NAMED_AS_OURS) if takes else {})
        assert not tags


# ── Keys, scripts, manifests ─────────────────────────────────────────────────────────────────────

KEYS = "arn:aws:kms:us-east-1:*:key/*"


def via(service: str) -> Data:
    return {"StringEquals": {"kms:ViaService": f"{service}.us-east-1.amazonaws.com"}}


@pytest.mark.parametrize(
    ("action", "condition"),
    [
        ("kms:DescribeKey", None),
        ("kms:CreateGrant", via("rds") | {"Bool": {"kms:GrantIsForAWSResource": "true"}}),
        ("kms:Decrypt", via("dynamodb")),
        ("kms:GenerateDataKey", via("dynamodb")),
    ],
)
def test_the_operators_keys_are_looked_at_and_used_by_aws_alone(
    stack: Stack, action: str, condition: Data | None
) -> None:
    """A role that could decrypt by itself could read what it backs up."""
    topics = (
        {stack.arn("TopicsKey"): None} if action in {"kms:Decrypt", "kms:GenerateDataKey"} else {}
    )
    assert granted(stack, "TakeBackups", action) == {KEYS: condition, **topics}
    for function in ("ExpireBackups", "TriageIncidents", "SweepRuns"):
        assert granted(stack, function, action) == topics


def test_drills_decrypt_what_they_read_and_leave_the_rest_to_aws(stack: Stack) -> None:
    topics = stack.arn("TopicsKey")
    services = [f"{each}.us-east-1.amazonaws.com" for each in ("dynamodb", "ec2", "rds")]
    for action, on_theirs in (
        ("kms:DescribeKey", {KEYS: None}),
        ("kms:Decrypt", {KEYS: None, topics: None}),
        ("kms:GenerateDataKey", {topics: None}),
        ("kms:GenerateDataKeyWithoutPlaintext", {KEYS: via("ec2")}),
        (
            "kms:CreateGrant",
            {
                KEYS: {
                    "Bool": {"kms:GrantIsForAWSResource": "true"},
                    "StringEquals": {"kms:ViaService": services},
                }
            },
        ),
    ):
        assert granted(stack, "DrillRestores", action) == on_theirs, action


def test_only_drills_read_blocks_of_snapshots_and_of_nothing_else(stack: Stack) -> None:
    for function in stack.functions:
        drills = function == "DrillRestores"
        for action in ("ebs:GetSnapshotBlock", "ebs:ListSnapshotBlocks"):
            assert granted(stack, function, action) == ({EC2_SNAPSHOTS: None} if drills else {})
        changes = {one for one in actions(stack, function) if re.match("ebs:(Put|Start|Comp)", one)}
        assert not changes


def test_no_other_right_to_any_key_is_granted(stack: Stack) -> None:
    for function in stack.functions:
        assert {action for action in actions(stack, function) if action.startswith("kms:")} <= {
            "kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey",
            "kms:GenerateDataKeyWithoutPlaintext",
        }  # fmt: skip


def test_on_instances_of_the_operator_only_their_own_documents_are_run(stack: Stack) -> None:
    """AWS-RunShellScript would be a root shell on every instance, for whoever writes the policy: so
    drills run it on none but their verifiers (test_isolation.py).
    """
    theirs = "arn:aws:ssm:us-east-1:123456789012:document/watchkeeper-*"
    assert granted(stack, "TakeBackups", "ssm:SendCommand") == {INSTANCES: None, theirs: None}
    assert DOCUMENT.fullmatch("watchkeeper-postgresql")
    assert not DOCUMENT.fullmatch("AWS-RunShellScript")
    for function in ("ExpireBackups", "SweepRuns"):
        assert not {one for one in actions(stack, function) if one.startswith("ssm:")}


def test_what_is_in_the_bucket_is_written_once_and_by_who_must(stack: Stack) -> None:
    bucket = stack.arn("EvidenceBucket")
    manifests = f"{bucket}/{naming.manifest_key('*').removesuffix('.json')}"
    hashes = f"{bucket}/{naming.manifest_key('*.blocks')}"
    evidence = f"{bucket}/{naming.EVIDENCE}*"
    exercises = f"{bucket}/{naming.exercise_page_key('*').removesuffix('.html')}"
    recoveries = f"{bucket}/{naming.recovery_key('*').removesuffix('.json')}"
    read = {("s3:GetObject", manifests), ("s3:ListBucket", bucket)}
    proved = {
        ("s3:GetObjectVersion", evidence),
        ("s3:ListBucketVersions", bucket),
        ("s3:PutObject", evidence),
        ("s3:PutObject", exercises),
        ("s3:PutObject", hashes),
    }
    written = {("s3:PutObject", manifests)}
    for function, expected in (
        ("TakeBackups", read | written),
        ("ExpireBackups", read),
        ("DrillRestores", read | proved),
        ("RecoverResources", read | {("s3:PutObject", recoveries)}),
        ("TriageIncidents", {("s3:PutObject", f"{stack.arn('IncidentsBucket')}/incidents/*")}),
        ("SweepRuns", set()),
    ):
        assert expected == {
            (action, resource)
            for statement, action in allowed(stack.statements(function))
            if action.startswith("s3:")
            for resource in as_list(statement["Resource"])
        }
    # Without If-None-Match, S3 would put another version in front of the first.
    only_new = {"Null": {"s3:if-none-match": "false"}}
    assert granted(stack, "TakeBackups", "s3:PutObject") == {manifests: only_new}
    assert granted(stack, "RecoverResources", "s3:PutObject") == {recoveries: only_new}
    assert granted(stack, "DrillRestores", "s3:PutObject") == dict.fromkeys(
        (evidence, exercises, hashes), only_new
    )


# ── Tables of others ─────────────────────────────────────────────────────────────────────────────

LOOKS_AT_TABLES = {
    "dynamodb:DescribeContinuousBackups",
    "dynamodb:DescribeKinesisStreamingDestination",
    "dynamodb:DescribeTable",
    "dynamodb:DescribeTimeToLive",
    "dynamodb:GetResourcePolicy",
    "dynamodb:ListTagsOfResource",
}
CHANGES_TABLES = {"dynamodb:CreateBackup", "dynamodb:UpdateContinuousBackups"}
SAMPLES = {"dynamodb:Scan"}
OF_DRILLS = f"{TABLES.removesuffix('*')}{naming.DRILL}*"
"""Tables that drills have made: what may be done to those, test_isolation.py says."""
OF_RECOVERIES = f"{TABLES}{naming.RECOVERED}*"
"""Tables that recoveries have made: what may be done to those, test_recovery.py says."""


def test_tables_are_looked_at_sampled_and_backed_up_and_no_item_is_written(stack: Stack) -> None:
    for function in stack.functions:
        of_all = {
            action
            for statement, action in allowed(stack.statements(function))
            if action.startswith("dynamodb:") and TABLES in as_list(statement["Resource"])
        }
        may_do = {
            "TakeBackups": LOOKS_AT_TABLES | CHANGES_TABLES | SAMPLES,
            "RecoverResources": LOOKS_AT_TABLES,
        }
        assert of_all == may_do.get(function, set()), function


# ── The table ────────────────────────────────────────────────────────────────────────────────────


def table_statements(stack: Stack, function: str) -> list[Data]:
    return [
        statement
        for statement in stack.statements(function)
        if any(action in READS_ITEMS | WRITES_ITEMS for action in as_list(statement["Action"]))
        and as_list(statement["Resource"]) not in ([OF_DRILLS], [OF_RECOVERIES])
    ]


def may(stack: Stack, function: str, wanted: set[str], key: str, index: str = "") -> bool:
    """Whether the role may do one of the `wanted` actions to items with this partition key."""
    resource = stack.arn("Table") + (f"/index/{index}" if index else "")
    return any(
        wanted & set(as_list(statement["Action"]))
        and resource in as_list(statement["Resource"])
        and any(fnmatchcase(key, pattern) for pattern in leading_keys(statement))
        for statement in table_statements(stack, function)
    )


def leading_keys(statement: Data) -> list[str]:
    found: list[str] = statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
    return found


def test_every_right_to_the_table_is_limited_to_keys(stack: Stack) -> None:
    for function in stack.functions:
        statements = table_statements(stack, function)
        assert statements, function
        for statement in statements:
            resources = {
                resource.partition("/index/")[0] for resource in as_list(statement["Resource"])
            }
            assert resources == {stack.arn("Table")}
            # ForAllValues holds for a request without any key; Null refuses such a request.
            assert statement["Condition"].keys() == {"ForAllValues:StringLike", "Null"}
            assert statement["Condition"]["Null"] == {"dynamodb:LeadingKeys": "false"}
            for pattern in leading_keys(statement):
                assert re.fullmatch(r"[A-Z]+(#[a-z]+)*(#\*)?", pattern), pattern


def test_nobody_may_delete_items_or_scan_but_for_samples(stack: Stack) -> None:
    """Of the stack's own table, as of any, TakeBackups may read what it could back up."""
    backups = {"dynamodb:ListBackups", "dynamodb:DescribeBackup", "dynamodb:DeleteBackup"}
    of_tables = LOOKS_AT_TABLES | CHANGES_TABLES | {"dynamodb:ListTables", "dynamodb:ListBackups"}
    beside = {
        "TakeBackups": of_tables | SAMPLES,
        "ExpireBackups": backups,
        "DrillRestores": {
            "dynamodb:DescribeBackup", "dynamodb:ListTables", "dynamodb:RestoreTableFromBackup",
        },
        "RecoverResources": LOOKS_AT_TABLES | {"dynamodb:RestoreTableFromBackup"},
        "TriageIncidents": set[str](),
        "SweepRuns": set[str](),
    }  # fmt: skip
    for function in stack.functions:
        elsewhere = {
            action
            for statement, action in allowed(stack.statements(function))
            if action.startswith("dynamodb:")
            and as_list(statement["Resource"]) not in ([OF_DRILLS], [OF_RECOVERIES])
        }
        assert elsewhere <= WRITES_ITEMS | READS_ITEMS | beside[function]


NIGHT = naming.run_key(naming.night_id("gold", datetime(2026, 11, 23, 2, tzinfo=UTC)))["pk"]
EXPIRY = naming.run_key(naming.expiry_id(datetime(2026, 11, 23, 6, tzinfo=UTC)))["pk"]
BY_HAND = naming.run_key(naming.by_hand_id("backup", "try-1"))["pk"]
REBUILD = naming.run_key(naming.rebuild_id("try-1"))["pk"]
POINT = naming.point_pk("arn:aws:ec2:eu-central-1:123456789012:volume/vol-0abc")
OTHERS = naming.others_pk("arn:aws:rds:eu-central-1:123456789012:db:orders")
KEYS_CHECK = naming.run_key(naming.keys_id(datetime(2026, 11, 23, 2, tzinfo=UTC)))["pk"]
ROUND = naming.run_key(naming.round_id(datetime(2026, 11, 23, 9, tzinfo=UTC)))["pk"]
BEGUN = naming.drills_pk("stack")
RECOVERY = naming.run_key(naming.by_hand_id("recover", "try-1"))["pk"]
PROOF = naming.proof_pk("arn:aws:rds:eu-central-1:123456789012:db:orders")
POLICY = naming.policy_key("backups")["pk"]
POLICY_OF_DRILLS = naming.policy_key("drills")["pk"]
POLICY_OF_TRIAGE = naming.policy_key("triage")["pk"]
INCIDENT = naming.incident_key("3f9d1c0a7be24856")["pk"]
BOOK = naming.book_key("stack")["pk"]
LOOKS = naming.run_key(naming.incident_run("3f9d1c0a7be24856"))["pk"]
COVERAGE = naming.coverage_pk("backups")
STOP = naming.STOP_KEY["pk"]
RECEIPT = naming.receipt_key("expire", "event-1")["pk"]


@pytest.mark.parametrize(
    ("key", "writers", "readers"),
    [
        (NIGHT, {"TakeBackups"}, {"TakeBackups", "DrillRestores"}),
        (BY_HAND, {"TakeBackups"}, {"TakeBackups", "DrillRestores"}),
        (REBUILD, {"TakeBackups"}, {"TakeBackups", "DrillRestores"}),
        (KEYS_CHECK, {"TakeBackups"}, {"TakeBackups", "DrillRestores"}),
        (ROUND, {"DrillRestores"}, {"DrillRestores"}),
        (BEGUN, {"DrillRestores"}, {"DrillRestores", "ExpireBackups"}),
        (PROOF, {"DrillRestores"}, {"DrillRestores"}),
        (RECOVERY, {"RecoverResources"}, {"RecoverResources"}),
        (POLICY_OF_DRILLS, {"DrillRestores"}, {"DrillRestores"}),
        *[
            (key, {"TriageIncidents"}, {"TriageIncidents"})
            for key in (POLICY_OF_TRIAGE, INCIDENT, BOOK, LOOKS)
        ],
        (EXPIRY, {"ExpireBackups"}, {"ExpireBackups"}),
        (
            POINT,
            {"TakeBackups", "ExpireBackups"},
            {"TakeBackups", "ExpireBackups", "DrillRestores", "RecoverResources"},
        ),
        (OTHERS, {"TakeBackups"}, {"TakeBackups", "DrillRestores", "RecoverResources"}),
        (POLICY, {"TakeBackups"}, {"TakeBackups", "ExpireBackups", "DrillRestores", "SweepRuns"}),
        (COVERAGE, {"TakeBackups"}, {"TakeBackups", "DrillRestores", "SweepRuns"}),
        (
            STOP,
            set(),
            {
                "TakeBackups",
                "ExpireBackups",
                "DrillRestores",
                "RecoverResources",
                "TriageIncidents",
            },
        ),
        (RECEIPT, set(), set()),
    ],
)
def test_who_may_write_and_read_which_items(
    stack: Stack, key: str, writers: set[str], readers: set[str]
) -> None:
    assert {name for name in FUNCTIONS if may(stack, name, WRITES_ITEMS, key)} == writers
    assert {name for name in FUNCTIONS if may(stack, name, READS_ITEMS, key)} == readers


@pytest.mark.parametrize(
    ("index", "key", "readers"),
    [
        ("due", naming.due_key("backup"), {"SweepRuns"}),
        ("due", naming.due_key("expire"), {"SweepRuns"}),
        ("due", naming.due_key("anything"), {"SweepRuns"}),
        (
            "listing",
            naming.listing_key("stack"),
            {"TakeBackups", "ExpireBackups", "DrillRestores"},
        ),
        ("listing", naming.others_listing_key("stack"), {"TakeBackups", "DrillRestores"}),
        ("listing", naming.proofs_listing_key("stack"), {"DrillRestores"}),
    ],
)
def test_who_may_query_which_index(stack: Stack, index: str, key: str, readers: set[str]) -> None:
    asked = {"dynamodb:Query"}
    assert {name for name in FUNCTIONS if may(stack, name, asked, key, index)} == readers


def test_the_sweep_changes_nothing(stack: Stack) -> None:
    assert actions(stack, "SweepRuns") <= READS_ITEMS | {
        "sns:Publish", "kms:Decrypt", "kms:GenerateDataKey", "sqs:SendMessage",
    }  # fmt: skip


CHANGES = re.compile(
    "(Create|Put|Update|Modify|Delete|Start|Stop|Set|Enable|Disable|Tag|Untag|Add|Remove|Send|Copy)"
)


def test_triage_changes_nothing_that_it_looks_at(stack: Stack) -> None:
    """What it may do besides reading: its own items, reports, news, and queries of logs."""
    changes = {one for one in actions(stack, "TriageIncidents") if CHANGES.match(one.split(":")[1])}
    assert changes == {
        "dynamodb:PutItem", "dynamodb:UpdateItem", "logs:StartQuery", "logs:StopQuery",
        "s3:PutObject", "sqs:DeleteMessage", "sqs:SendMessage",
    }  # fmt: skip
    assert granted(stack, "TriageIncidents", "sqs:DeleteMessage") == {
        stack.arn("AlarmsQueue"): None
    }


# ── Policy, topics, key ──────────────────────────────────────────────────────────────────────────


def resources_of(stack: Stack, function: str, wanted: str) -> list[str]:
    return [
        resource
        for statement, action in allowed(stack.statements(function))
        if action == wanted
        for resource in as_list(statement["Resource"])
    ]


def test_a_policy_is_read_by_who_follows_it_and_only_where_it_is(
    usual: Stack, different: Stack
) -> None:
    parameter = "arn:aws:ssm:us-east-1:123456789012:parameter"
    for stack, path in ((usual, "/watchkeeper/policy"), (different, "/operations/night-watch")):
        for function, policy in (
            ("TakeBackups", "backups"),
            ("DrillRestores", "drills"),
            ("TriageIncidents", "triage"),
        ):
            read = resources_of(stack, function, "ssm:GetParameter")
            secrets = [f"{parameter}/watchkeeper/drill-secrets/stack/*"]
            beside = secrets if function == "DrillRestores" else []
            assert sorted(read) == sorted([f"{parameter}{path}/{policy}", *beside])
        for function in ("ExpireBackups", "RecoverResources", "SweepRuns"):
            assert not resources_of(stack, function, "ssm:GetParameter")


@pytest.mark.parametrize(
    ("function", "topics"),
    [
        ("TakeBackups", ["NewsTopic", "PagesTopic"]),
        ("ExpireBackups", ["NewsTopic", "PagesTopic"]),
        ("DrillRestores", ["NewsTopic", "PagesTopic"]),
        ("RecoverResources", ["NewsTopic", "PagesTopic"]),
        ("TriageIncidents", ["NewsTopic", "PagesTopic"]),
        ("SweepRuns", ["NewsTopic"]),
    ],
)
def test_who_publishes_where_may_use_the_topics_key(
    stack: Stack, function: str, topics: list[str]
) -> None:
    published = resources_of(stack, function, "sns:Publish")
    # A topic's Ref is its ARN.
    assert published == [stack.ref(topic) for topic in topics]
    for action in ("kms:Decrypt", "kms:GenerateDataKey"):
        assert granted(stack, function, action)[stack.arn("TopicsKey")] is None
