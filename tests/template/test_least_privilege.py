"""Least privilege, as the policies say it: what each role may do, to what, on which condition."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase

import pytest

from tests.template.stack import Data, Stack, allowed, as_list
from watchkeeper import naming

FUNCTIONS = ["TakeBackups", "ExpireBackups", "SweepRuns"]

LISTS_ONLY = {
    "ec2:DescribeImages",
    "ec2:DescribeInstances",
    "ec2:DescribeLockedSnapshots",
    "ec2:DescribeSnapshotAttribute",
    "ec2:DescribeSnapshots",
    "ec2:DescribeVolumes",
    "tag:GetResources",
}
"""Actions that read lists, for which AWS takes no narrower resource than everything."""

MAKES_POINTS = {"ec2:CreateSnapshot", "ec2:CreateSnapshots", "ec2:CopySnapshot", "ec2:CreateImage"}
REMOVES_POINTS = {
    "ec2:DeleteSnapshot",
    "ec2:DeregisterImage",
    "ec2:ModifySnapshotAttribute",
    "ec2:ModifySnapshotTier",
    "ec2:UnlockSnapshot",
    "ec2:DeleteTags",
}
WRITES_ITEMS = {"dynamodb:PutItem", "dynamodb:UpdateItem"}
READS_ITEMS = {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"}


def actions(stack: Stack, function: str) -> set[str]:
    return {action for _, action in allowed(stack.statements(function))}


def documents(stack: Stack) -> Iterator[tuple[str, Data]]:
    """Every policy document of the template, of roles and of resources, with its owner."""
    for logical_id, resource in stack.resources.items():
        properties = resource.get("Properties", {})
        for policy in properties.get("Policies", []):
            yield logical_id, policy["PolicyDocument"]
        for key in ("PolicyDocument", "KeyPolicy", "AssumeRolePolicyDocument"):
            if key in properties:
                yield logical_id, properties[key]


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
            *properties.get("Policies", []),
            properties.get("PolicyDocument"),
            properties.get("KeyPolicy"),
        ]
        for document in filter(None, written):
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
    assert actions(stack, "ExpireBackups") & REMOVES_POINTS == {"ec2:DeleteSnapshot"}


def test_only_snapshots_that_name_this_stack_may_be_removed(stack: Stack) -> None:
    (statement,) = (
        statement
        for statement, action in allowed(stack.statements("ExpireBackups"))
        if action == "ec2:DeleteSnapshot"
    )
    assert statement["Resource"] == "arn:aws:ec2:us-east-1::snapshot/*"
    assert statement["Condition"] == {
        "StringEquals": {f"aws:ResourceTag/{naming.TAG_STACK}": "stack"}
    }


@pytest.mark.parametrize("action", ["ec2:CreateSnapshot", "ec2:CreateSnapshots"])
def test_a_snapshot_names_this_stack_from_its_first_moment(stack: Stack, action: str) -> None:
    granted = {
        resource: statement.get("Condition")
        for statement, each in allowed(stack.statements("TakeBackups"))
        if each == action
        for resource in as_list(statement["Resource"])
    }
    assert granted == {
        "arn:aws:ec2:us-east-1:123456789012:instance/*": None,
        "arn:aws:ec2:us-east-1:123456789012:volume/*": None,
        "arn:aws:ec2:us-east-1::snapshot/*": {
            "StringEquals": {f"aws:RequestTag/{naming.TAG_STACK}": "stack"}
        },
    }


def test_nothing_can_be_tagged_later_into_what_expire_backups_may_remove(stack: Stack) -> None:
    for function in stack.functions:
        for statement, action in allowed(stack.statements(function)):
            if action == "ec2:CreateTags":
                created_by = statement["Condition"]["StringEquals"]["ec2:CreateAction"]
                assert set(created_by) == {"CreateSnapshot", "CreateSnapshots"}
                assert statement["Resource"] == "arn:aws:ec2:us-east-1::snapshot/*"


# ── The table ────────────────────────────────────────────────────────────────────────────────────


def table_statements(stack: Stack, function: str) -> list[Data]:
    return [
        statement
        for statement in stack.statements(function)
        if any(action.startswith("dynamodb:") for action in as_list(statement["Action"]))
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
            # ForAllValues holds for a request without any key; Null refuses such a request.
            assert statement["Condition"].keys() == {"ForAllValues:StringLike", "Null"}
            assert statement["Condition"]["Null"] == {"dynamodb:LeadingKeys": "false"}
            for pattern in leading_keys(statement):
                assert re.fullmatch(r"[A-Z]+(#[a-z]+)*(#\*)?", pattern), pattern


def test_nobody_may_scan_or_delete_items(stack: Stack) -> None:
    for function in stack.functions:
        assert {each for each in actions(stack, function) if each.startswith("dynamodb:")} <= (
            WRITES_ITEMS | READS_ITEMS
        )


NIGHT = naming.run_key(naming.night_id("gold", datetime(2026, 11, 23, 2, tzinfo=UTC)))["pk"]
EXPIRY = naming.run_key(naming.expiry_id(datetime(2026, 11, 23, 6, tzinfo=UTC)))["pk"]
BY_HAND = naming.run_key(naming.by_hand_id("backup", "try-1"))["pk"]
REBUILD = naming.run_key(naming.rebuild_id("try-1"))["pk"]
POINT = naming.point_pk("arn:aws:ec2:eu-central-1:123456789012:volume/vol-0abc")
POLICY = naming.policy_key("backups")["pk"]
COVERAGE = naming.coverage_pk("backups")
STOP = naming.STOP_KEY["pk"]
RECEIPT = naming.receipt_key("expire", "event-1")["pk"]


@pytest.mark.parametrize(
    ("key", "writers", "readers"),
    [
        (NIGHT, {"TakeBackups"}, {"TakeBackups"}),
        (BY_HAND, {"TakeBackups"}, {"TakeBackups"}),
        (REBUILD, {"TakeBackups"}, {"TakeBackups"}),
        (EXPIRY, {"ExpireBackups"}, {"ExpireBackups"}),
        (POINT, {"TakeBackups", "ExpireBackups"}, {"TakeBackups", "ExpireBackups"}),
        (POLICY, {"TakeBackups"}, {"TakeBackups", "ExpireBackups", "SweepRuns"}),
        (COVERAGE, {"TakeBackups"}, {"TakeBackups", "SweepRuns"}),
        (STOP, set(), {"TakeBackups", "ExpireBackups"}),
        (RECEIPT, set(), set()),
        ("PROOF#anything", set(), set()),
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
        ("listing", naming.listing_key("stack"), {"TakeBackups", "ExpireBackups"}),
    ],
)
def test_who_may_query_which_index(stack: Stack, index: str, key: str, readers: set[str]) -> None:
    asked = {"dynamodb:Query"}
    assert {name for name in FUNCTIONS if may(stack, name, asked, key, index)} == readers


def test_the_sweep_changes_nothing(stack: Stack) -> None:
    assert actions(stack, "SweepRuns") <= READS_ITEMS | {
        "sns:Publish", "kms:Decrypt", "kms:GenerateDataKey", "sqs:SendMessage",
    }  # fmt: skip


# ── Policy, topics, key ──────────────────────────────────────────────────────────────────────────


def resources_of(stack: Stack, function: str, wanted: str) -> list[str]:
    return [
        resource
        for statement, action in allowed(stack.statements(function))
        if action == wanted
        for resource in as_list(statement["Resource"])
    ]


def test_only_take_backups_reads_the_operators_policy_and_only_where_it_is(
    usual: Stack, different: Stack
) -> None:
    parameter = "arn:aws:ssm:us-east-1:123456789012:parameter"
    for stack, path in (
        (usual, "/watchkeeper/policy/backups"),
        (different, "/operations/night-watch/backups"),
    ):
        assert resources_of(stack, "TakeBackups", "ssm:GetParameter") == [f"{parameter}{path}"]
        for function in ("ExpireBackups", "SweepRuns"):
            assert not resources_of(stack, function, "ssm:GetParameter")


@pytest.mark.parametrize(
    ("function", "topics"),
    [
        ("TakeBackups", ["NewsTopic", "PagesTopic"]),
        ("ExpireBackups", ["NewsTopic", "PagesTopic"]),
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
        assert resources_of(stack, function, action) == [stack.arn("TopicsKey")]
