"""The policy evaluator on both sides: what is allowed, what is denied, what cannot be judged."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.iam import (
    Condition,
    Guard,
    Statement,
    action_matches,
    arn_matches,
    evaluate,
    granted_actions,
    holds,
    policy_statements,
    role_statements,
)
from local.iam_actions import ANY_RESOURCE, OPERATIONS
from local.iam_requests import Account, CannotJudge, Request
from local.iam_template import (
    Resolver,
    customer_keys,
    function_role,
    functions,
    offline_resolver,
    partition_keys,
)
from local.template import load

SNAPSHOT = "arn:aws:ec2:eu-west-1::snapshot/snap-1"
TABLE = "arn:aws:dynamodb:eu-west-1:111122223333:table/state"


def statement(**elements: Any) -> Statement:
    """Allow ec2:DeleteSnapshot on every resource, unless `elements` say otherwise."""
    written = {"Sid": "S", "Effect": "Allow", "Action": "ec2:DeleteSnapshot", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [written | elements]}
    (parsed,) = policy_statements("policy", document)
    return parsed


# Patterns


@pytest.mark.parametrize(
    ("pattern", "action", "matches"),
    [
        ("ec2:DeleteSnapshot", "ec2:DeleteSnapshot", True),
        ("EC2:deletesnapshot", "ec2:DeleteSnapshot", True),
        ("ec2:Delete*", "ec2:DeleteSnapshot", True),
        ("ec2:DeleteSnapsho?", "ec2:DeleteSnapshot", True),
        ("ec2:*", "ec2:DeleteSnapshot", True),
        ("*", "ec2:DeleteSnapshot", True),
        ("kms:GenerateDataKey*", "kms:GenerateDataKey", True),
        ("ec2:DeleteSnapshot", "ec2:DeleteSnapshots", False),
        ("ec2:DeleteSnapshot?", "ec2:DeleteSnapshot", False),
        ("ec2:Create*", "ec2:DeleteSnapshot", False),
        ("rds:*", "ec2:DeleteSnapshot", False),
    ],
)
def test_actions(pattern: str, action: str, matches: bool) -> None:
    assert action_matches(pattern, action) is matches


@pytest.mark.parametrize(
    ("pattern", "arn", "matches"),
    [
        (SNAPSHOT, SNAPSHOT, True),
        ("*", SNAPSHOT, True),
        ("*", "*", True),
        ("arn:aws:ec2:*::snapshot/*", SNAPSHOT, True),
        ("arn:aws:ec2:eu-west-?::snapshot/snap-?", SNAPSHOT, True),
        ("arn:aws:ec2:eu-west-1::snapshot/*", "arn:aws:ec2:eu-west-1::snapshot/*", True),
        ("arn:aws:s3:::b/*/test/*", "arn:aws:s3:::b/1/2/test/3", True),
        (
            "arn:aws:logs:*:*:log-group:/aws/*",
            "arn:aws:logs:r:1:log-group:/aws/f:log-stream:",
            True,
        ),
        ("arn:aws:ec2:eu-west-1::snapshot/SNAP-1", SNAPSHOT, False),
        ("arn:aws:ec2:eu-west-2::snapshot/*", SNAPSHOT, False),
        ("arn:aws:ec2:eu-west-1:111122223333:snapshot/*", SNAPSHOT, False),
        ("arn:aws:ec2:eu-west-1::volume/*", SNAPSHOT, False),
        # A permission for existing snapshots is not one to create some.
        ("arn:aws:ec2:eu-west-1::snapshot/snap-*", "arn:aws:ec2:eu-west-1::snapshot/*", False),
        # Describe calls have no resource: only a star covers them.
        ("arn:aws:ec2:*:*:*", "*", False),
        ("arn:aws:dynamodb:r:1:table/a", "arn:aws:dynamodb:r:1:table/a/index/due", False),
        ("arn:aws:logs:r:1:log-group:/a", "arn:aws:logs:r:1:log-group:/a:log-stream:", False),
        ("arn:aws:s3:::b+", "arn:aws:s3:::bb", False),
    ],
)
def test_resources(pattern: str, arn: str, matches: bool) -> None:
    assert arn_matches(pattern, arn) is matches


@pytest.mark.parametrize(
    "pattern", ["arn:aws:*snapshot/snap-1", "arn:aws:ec2:eu-west-1?:snapshot/*"]
)
def test_a_wildcard_that_would_stand_for_a_colon_cannot_be_judged(pattern: str) -> None:
    with pytest.raises(CannotJudge, match="stand for a colon"):
        arn_matches(pattern, SNAPSHOT)


# Condition operators

ARN = "arn:aws:ec2:eu-west-1:111122223333:volume/vol-1"


@pytest.mark.parametrize(
    ("operator", "policy", "request_value", "expected"),
    [
        ("StringEquals", ["a", "b"], "b", True),
        ("StringEquals", ["a", "b"], "B", False),
        ("StringEquals", ["a*"], "ab", False),
        ("StringNotEquals", ["a", "b"], "c", True),
        ("StringNotEquals", ["a", "b"], "b", False),
        ("StringEqualsIgnoreCase", ["a"], "A", True),
        ("StringEqualsIgnoreCase", ["a"], "b", False),
        ("StringNotEqualsIgnoreCase", ["a"], "b", True),
        ("StringNotEqualsIgnoreCase", ["a"], "A", False),
        ("StringLike", ["RUN#*"], "RUN#1", True),
        ("StringLike", ["RUN#?"], "RUN#12", False),
        ("StringLike", ["run#*"], "RUN#1", False),
        ("StringLike", ["[RP]UN"], "RUN", False),
        ("StringNotLike", ["RUN#*"], "POINT#1", True),
        ("StringNotLike", ["RUN#*"], "RUN#1", False),
        ("ArnLike", ["arn:aws:ec2:*:*:volume/*"], ARN, True),
        ("ArnLike", ["arn:aws:ec2:*:*:instance/*"], ARN, False),
        ("ArnLike", ["arn:aws:ec2:*:*:volume/*"], "arn:aws:ec2", False),
        ("ArnLike", ["arn:aws:*:volume/vol-1:*:*:*"], ARN, False),
        ("ArnEquals", ["arn:aws:ec2:*:*:volume/vol-?"], ARN, True),
        ("ArnEquals", ["arn:aws:ec2:*:*:volume/vol"], ARN, False),
        ("ArnNotLike", ["arn:aws:ec2:*:*:instance/*"], ARN, True),
        ("ArnNotLike", ["arn:aws:ec2:*:*:volume/*"], ARN, False),
        ("ArnNotEquals", ["arn:aws:ec2:*:*:instance/*"], ARN, True),
        ("ArnNotEquals", [ARN], ARN, False),
        ("Bool", [True], "true", True),
        ("Bool", ["false"], "true", False),
        ("NumericEquals", [7], "7.0", True),
        ("NumericEquals", ["7"], "8", False),
        ("NumericNotEquals", ["7"], "8", True),
        ("NumericNotEquals", ["7"], "7", False),
        ("NumericLessThan", ["7"], "6", True),
        ("NumericLessThan", ["7"], "7", False),
        ("NumericLessThanEquals", ["7"], "7", True),
        ("NumericLessThanEquals", ["7"], "10", False),
        ("NumericLessThanEquals", ["7"], "seven", False),
        ("NumericGreaterThan", ["7"], "10", True),
        ("NumericGreaterThan", ["7"], "7", False),
        ("NumericGreaterThanEquals", ["7"], "7", True),
        ("NumericGreaterThanEquals", ["7"], "6", False),
        ("Null", ["false"], "there", True),
        ("Null", [True], "there", False),
    ],
)
def test_operators(operator: str, policy: list[Any], request_value: str, expected: bool) -> None:
    parsed = statement(Condition={operator: {"aws:RequestTag/t": policy}})
    assert holds(parsed.conditions[0], (request_value,)) is expected


@pytest.mark.parametrize(
    ("operator", "values", "expected"),
    [
        ("ForAllValues:StringLike", ["RUN#1", "POINT#1"], True),
        ("ForAllValues:StringLike", ["RUN#1", "STOP"], False),
        ("ForAllValues:StringLike", [], True),
        ("ForAnyValue:StringLike", ["RUN#1", "STOP"], True),
        ("ForAnyValue:StringLike", ["STOP"], False),
        ("ForAnyValue:StringLike", [], False),
        ("ForAllValues:StringNotLike", ["STOP", "OTHER"], True),
        ("ForAllValues:StringNotLike", ["STOP", "RUN#1"], False),
        ("ForAllValues:StringNotLike", [], True),
        ("ForAnyValue:StringNotLike", ["STOP", "RUN#1"], True),
        ("ForAnyValue:StringNotLike", ["POINT#1", "RUN#1"], False),
        ("ForAnyValue:StringNotLike", [], False),
        ("ForAnyValue:StringLikeIfExists", [], True),
        ("ForAnyValue:StringLikeIfExists", ["STOP"], False),
        ("Null", [], False),
        ("Null", ["RUN#1", "STOP"], True),
    ],
)
def test_keys_with_several_values(operator: str, values: list[str], expected: bool) -> None:
    wanted = "false" if operator == "Null" else ["RUN#*", "POINT#*"]
    parsed = statement(Condition={operator: {"dynamodb:LeadingKeys": wanted}})
    assert holds(parsed.conditions[0], tuple(values)) is expected


@pytest.mark.parametrize(
    ("operator", "policy", "expected"),
    [
        ("StringEquals", "a", False),
        ("StringLike", "*", False),
        ("ArnLike", "arn:aws:*:*:*:*", False),
        ("Bool", "false", False),
        ("NumericLessThanEquals", "7", False),
        ("StringNotEquals", "a", True),
        ("StringNotLike", "*", True),
        ("ArnNotLike", "arn:aws:*:*:*:*", True),
        ("NumericNotEquals", "7", True),
        ("StringEqualsIfExists", "a", True),
        ("BoolIfExists", "false", True),
        ("StringNotEqualsIfExists", "a", True),
        ("Null", "true", True),
        ("Null", "false", False),
    ],
)
def test_a_missing_key(operator: str, policy: str, expected: bool) -> None:
    parsed = statement(Condition={operator: {"aws:RequestTag/t": policy}})
    assert holds(parsed.conditions[0], ()) is expected


def test_a_key_that_exists_is_tested_despite_if_exists() -> None:
    condition = Condition("", "StringEquals", True, "aws:requesttag/t", ("a",))
    assert holds(condition, ("a",))
    assert not holds(condition, ("b",))


# Policies that are not understood


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"NotAction": "ec2:*"}, "NotAction is not understood"),
        ({"NotResource": SNAPSHOT}, "NotResource is not understood"),
        ({"Principal": "*"}, "Principal is not understood"),
        ({"Effect": "Maybe"}, "its Effect is not understood"),
        ({"Action": []}, "it has no Action"),
        ({"Action": "DeleteSnapshot"}, "Action 'DeleteSnapshot'"),
        ({"Action": {"Ref": "Actions"}}, "Action {'Ref': 'Actions'}"),
        ({"Resource": "snapshot/*"}, "Resource 'snapshot/\\*'"),
        ({"Resource": "arn:aws:s3:::b/${aws:PrincipalTag/team}/*"}, "PrincipalTag"),
        (
            {"Condition": {"DateLessThan": {"aws:CurrentTime": "2030"}}},
            "operator is not understood",
        ),
        ({"Condition": {"stringequals": {"aws:RequestTag/t": "a"}}}, "operator is not understood"),
        (
            {"Condition": {"NullIfExists": {"aws:RequestTag/t": "true"}}},
            "operator is not understood",
        ),
        (
            {"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
            "operator is not understood",
        ),
        ({"Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}}, "key is not understood"),
        ({"Condition": {"StringEquals": {"aws:PrincipalTag/t": "a"}}}, "key is not understood"),
        ({"Condition": {"StringEquals": {"ec2:ParentVolume": ARN}}}, "key is not understood"),
        ({"Condition": {"StringEquals": {"dynamodb:LeadingKeys": "a"}}}, "needs ForAllValues"),
        ({"Condition": {"StringEquals": {"aws:TagKeys": "a"}}}, "needs ForAllValues"),
        ({"Condition": {"StringEquals": {"aws:RequestTag/t": "${aws:userid}"}}}, "the value"),
        ({"Condition": {"StringEquals": {"aws:RequestTag/t": []}}}, "the values"),
        ({"Condition": {"Null": {"aws:RequestTag/t": "perhaps"}}}, "the values"),
        ({"Condition": {"Null": {"aws:RequestTag/t": ["true", "false"]}}}, "the values"),
        ({"Condition": {"ArnLike": {"aws:RequestTag/t": "arn:aws:ec2:*"}}}, "not a whole ARN"),
    ],
)
def test_a_statement_cannot_be_judged(elements: dict[str, Any], reason: str) -> None:
    with pytest.raises(CannotJudge, match=reason):
        statement(**elements)


def test_a_policy_of_an_unknown_version_cannot_be_judged() -> None:
    document = {"Version": "2030-01-01", "Statement": []}
    with pytest.raises(CannotJudge, match="version 2030-01-01"):
        list(policy_statements("policy", document))


# Evaluation

DELETE = Request("ec2:DeleteSnapshot", SNAPSHOT)
OURS = {"StringEquals": {"aws:ResourceTag/stack": "wk"}}


def tagged(**tags: str) -> Any:
    """A `tags_of` that knows the tags of everything: these."""
    return lambda _arn: tags


@pytest.mark.parametrize(
    ("statements", "outcome"),
    [
        ([], "denied"),
        ([statement()], "allowed"),
        ([statement(Action="ec2:CreateSnapshot")], "denied"),
        ([statement(Resource="arn:aws:ec2:*:*:volume/*")], "denied"),
        ([statement(Resource=["arn:aws:ec2:*:*:volume/*", SNAPSHOT])], "allowed"),
        ([statement(), statement(Effect="Deny")], "denied"),
        ([statement(Effect="Deny"), statement()], "denied"),
        ([statement(), statement(Effect="Deny", Action="ec2:CreateSnapshot")], "allowed"),
        # The tags are not known. That matters only while nothing else decides.
        ([statement(Condition=OURS)], "cannot-judge"),
        ([statement(Condition=OURS), statement()], "allowed"),
        ([statement(Condition=OURS, Action="ec2:CreateSnapshot")], "denied"),
        ([statement(Condition=OURS, Resource="arn:aws:ec2:*:*:volume/*")], "denied"),
        ([statement(Condition=OURS | {"Bool": {"aws:SecureTransport": "true"}})], "denied"),
        ([statement(), statement(Effect="Deny", Condition=OURS)], "cannot-judge"),
        ([statement(Condition=OURS), statement(Effect="Deny")], "denied"),
        ([statement(Resource="arn:aws:*snapshot/snap-1")], "cannot-judge"),
        ([statement(Resource=["arn:aws:*snapshot/snap-1", SNAPSHOT])], "allowed"),
    ],
)
def test_statements_decide_together(statements: list[Statement], outcome: str) -> None:
    assert evaluate(statements, DELETE).outcome == outcome


def test_a_verdict_names_the_statement_that_decided() -> None:
    assert (
        evaluate([statement(Sid="DeleteOurs")], DELETE).why == "Allow DeleteOurs of policy matches"
    )
    assert evaluate([statement(Sid="No", Effect="Deny")], DELETE).why == "Deny No of policy matches"
    assert evaluate([], DELETE).why == f"no statement allows ec2:DeleteSnapshot on {SNAPSHOT}"
    doubt = evaluate([statement(Sid="Ours", Condition=OURS)], DELETE).why
    assert doubt == f"Allow Ours of policy: the tags of {SNAPSHOT} are not known"


@pytest.mark.parametrize(
    ("condition", "tags", "outcome"),
    [
        ({"StringEquals": {"aws:ResourceTag/stack": "wk"}}, {"stack": "wk"}, "allowed"),
        ({"StringEquals": {"ec2:ResourceTag/stack": "wk"}}, {"stack": "wk"}, "allowed"),
        ({"StringEquals": {"aws:resourcetag/Stack": "wk"}}, {"stack": "wk"}, "allowed"),
        ({"StringEquals": {"aws:ResourceTag/stack": "wk"}}, {"stack": "other"}, "denied"),
        ({"StringEquals": {"ec2:ResourceTag/stack": "wk"}}, {}, "denied"),
        ({"Null": {"aws:ResourceTag/hold": "true"}}, {"stack": "wk"}, "allowed"),
        ({"Null": {"aws:ResourceTag/hold": "true"}}, {"hold": "court"}, "denied"),
        (
            {"StringEquals": {"aws:ResourceTag/stack": "wk"}},
            {"stack": "wk", "Stack": "other"},
            "cannot-judge",
        ),
    ],
)
def test_tags_of_the_resource(
    condition: Mapping[str, Any], tags: dict[str, str], outcome: str
) -> None:
    assert evaluate([statement(Condition=condition)], DELETE, tagged(**tags)).outcome == outcome


def test_what_is_being_created_and_what_has_no_resource_have_no_tags() -> None:
    allowed = [statement(Action="ec2:*", Condition=OURS)]
    new = Request("ec2:CreateSnapshot", "arn:aws:ec2:eu-west-1::snapshot/*", creates=True)
    everything = Request("ec2:DescribeSnapshots", "*")
    assert evaluate(allowed, new, tagged(stack="wk")).outcome == "denied"
    assert evaluate(allowed, everything, tagged(stack="wk")).outcome == "denied"


def test_ec2_tags_do_not_exist_for_other_services() -> None:
    allowed = [statement(Action="sqs:*", Condition={"StringEquals": {"ec2:ResourceTag/a": "b"}})]
    request = Request("sqs:SendMessage", "arn:aws:sqs:eu-west-1:111122223333:q")
    assert evaluate(allowed, request, tagged(a="b")).outcome == "denied"


def test_a_key_whose_value_is_unknown_cannot_be_judged() -> None:
    condition = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": "RUN#*"}}
    allowed = [statement(Action="dynamodb:GetItem", Condition=condition)]
    request = Request("dynamodb:GetItem", TABLE, unknown=frozenset({"dynamodb:leadingkeys"}))
    assert evaluate(allowed, request).outcome == "cannot-judge"


# The template


TEMPLATE: dict[str, Any] = {
    "Parameters": {
        "PolicyPrefix": {"Type": "String", "Default": "/wk"},
        "Regions": {"Type": "CommaDelimitedList", "Default": "eu-west-1, eu-central-1"},
        "Days": {"Type": "Number", "Default": 400},
        "NoDefault": {"Type": "String"},
        "Image": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/aws/image"},
    },
    "Mappings": {"Stages": {"prod": {"Keys": "RUN#*"}}},
    "Conditions": {
        "IsWk": {"Fn::Equals": [{"Ref": "PolicyPrefix"}, "/wk"]},
        "IsNotWk": {"Fn::Not": [{"Condition": "IsWk"}]},
        "Both": {"Fn::And": [{"Condition": "IsWk"}, {"Condition": "IsNotWk"}]},
        "Either": {"Fn::Or": [{"Condition": "IsWk"}, {"Condition": "IsNotWk"}]},
        "Odd": {"Fn::Contains": []},
    },
    "Resources": {
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "KeySchema": [
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                    {"AttributeName": "pk", "KeyType": "HASH"},
                ],
                "GlobalSecondaryIndexes": [
                    {
                        "IndexName": "due",
                        "KeySchema": [{"AttributeName": "due", "KeyType": "HASH"}],
                    }
                ],
            },
        },
        "News": {"Type": "AWS::SNS::Topic", "Properties": {"KmsMasterKeyId": {"Ref": "Key"}}},
        "Pages": {"Type": "AWS::SNS::Topic", "Properties": {"KmsMasterKeyId": "alias/aws/sns"}},
        "Key": {"Type": "AWS::KMS::Key"},
        "Function": {
            "Type": "AWS::Lambda::Function",
            "Properties": {"Role": {"Fn::GetAtt": ["FunctionRole", "Arn"]}},
        },
        "FunctionRole": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "ManagedPolicyArns": [
                    "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
                    {"Ref": "SharedPolicy"},
                    {"Fn::If": ["IsNotWk", "arn:aws:iam::aws:policy/Odd", {"Ref": "AWS::NoValue"}]},
                ],
                "Policies": [
                    {
                        "PolicyName": "FunctionRolePolicy0",
                        "PolicyDocument": {
                            "Version": "2012-10-17",
                            "Statement": [
                                {
                                    "Sid": "CreateOnlyTaggedSnapshots",
                                    "Effect": "Allow",
                                    "Action": ["ec2:CreateSnapshot", "ec2:CreateSnapshots"],
                                    "Resource": {
                                        "Fn::Sub": "arn:aws:ec2:${AWS::Region}::snapshot/*"
                                    },
                                    "Condition": {
                                        "StringEquals": {
                                            "aws:RequestTag/stack": {"Ref": "AWS::StackName"}
                                        }
                                    },
                                },
                                {
                                    "Sid": "SnapshotAnything",
                                    "Effect": "Allow",
                                    "Action": ["ec2:CreateSnapshot", "ec2:CreateSnapshots"],
                                    "Resource": [
                                        "arn:aws:ec2:*:*:instance/*",
                                        "arn:aws:ec2:*:*:volume/*",
                                    ],
                                },
                                {
                                    "Sid": "TagWhileCreating",
                                    "Effect": "Allow",
                                    "Action": "ec2:CreateTags",
                                    "Resource": "arn:aws:ec2:*::snapshot/*",
                                    "Condition": {
                                        "StringEquals": {
                                            "ec2:CreateAction": [
                                                "CreateSnapshot",
                                                "CreateSnapshots",
                                            ]
                                        },
                                        "ForAllValues:StringEquals": {
                                            "aws:TagKeys": ["stack", "run"]
                                        },
                                    },
                                },
                                {
                                    "Sid": "DeleteOurs",
                                    "Effect": "Allow",
                                    "Action": "ec2:DeleteSnapshot",
                                    "Resource": "arn:aws:ec2:*::snapshot/*",
                                    "Condition": {"StringEquals": {"ec2:ResourceTag/stack": "wk"}},
                                },
                                {
                                    "Sid": "KeepRuns",
                                    "Effect": "Allow",
                                    "Action": [
                                        "dynamodb:ConditionCheckItem",
                                        "dynamodb:GetItem",
                                        "dynamodb:PutItem",
                                        "dynamodb:Query",
                                        "dynamodb:Scan",
                                    ],
                                    "Resource": {"Fn::GetAtt": ["Table", "Arn"]},
                                    "Condition": {
                                        "ForAllValues:StringLike": {
                                            "dynamodb:LeadingKeys": ["RUN#*", "POINT#*"]
                                        }
                                    },
                                },
                                {
                                    "Sid": "FindDue",
                                    "Effect": "Allow",
                                    "Action": "dynamodb:Query",
                                    "Resource": {"Fn::Sub": "${Table.Arn}/index/due"},
                                    "Condition": {
                                        "ForAllValues:StringLike": {
                                            "dynamodb:LeadingKeys": ["DUE#backup"]
                                        }
                                    },
                                },
                            ],
                        },
                    }
                ],
            },
        },
        "SharedPolicy": {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": {
                        "Sid": "Tell",
                        "Effect": "Allow",
                        "Action": ["sns:Publish", "kms:GenerateDataKey*", "kms:Decrypt"],
                        "Resource": [{"Ref": "News"}, {"Fn::GetAtt": "Key.Arn"}],
                    },
                }
            },
        },
        "AttachedPolicy": {
            "Type": "AWS::IAM::Policy",
            "Properties": {
                "Roles": [{"Ref": "FunctionRole"}],
                "PolicyDocument": {
                    "Statement": [
                        {
                            "Sid": "ReadPolicy",
                            "Effect": "Allow",
                            "Action": "ssm:GetParameter*",
                            "Resource": {
                                "Fn::Join": [
                                    "",
                                    [
                                        "arn:aws:ssm:*:",
                                        {"Ref": "AWS::AccountId"},
                                        ":parameter",
                                        {"Ref": "PolicyPrefix"},
                                        "/*",
                                    ],
                                ]
                            },
                        },
                        {
                            "Sid": "MeasureOurselves",
                            "Effect": "Allow",
                            "Action": "cloudwatch:PutMetricData",
                            "Resource": "*",
                            "Condition": {"StringEquals": {"cloudwatch:namespace": "Watchkeeper"}},
                        },
                        {
                            "Sid": "KeepEvidence",
                            "Effect": "Allow",
                            "Action": ["s3:PutObject", "s3:ListBucket"],
                            "Resource": ["arn:aws:s3:::evidence", "arn:aws:s3:::evidence/*"],
                        },
                        {
                            "Sid": "NeverInAnotherRegion",
                            "Effect": "Deny",
                            "Action": "*",
                            "Resource": "*",
                            "Condition": {
                                "StringNotEquals": {"aws:RequestedRegion": {"Ref": "Regions"}}
                            },
                        },
                    ]
                },
            },
        },
        "PolicyOfSomebodyElse": {
            "Type": "AWS::IAM::Policy",
            "Properties": {
                "Roles": ["somebody-else"],
                "PolicyDocument": {"Statement": {"NotAction": "*"}},
            },
        },
        "PolicyThatIsNotDeployed": {
            "Type": "AWS::IAM::Policy",
            "Condition": "IsNotWk",
            "Properties": {
                "Roles": [{"Ref": "FunctionRole"}],
                "PolicyDocument": {"Statement": {"NotAction": "*"}},
            },
        },
    },
}

PHYSICAL_IDS = {
    "FunctionRole": "wk-FunctionRole-1",
    "Function": "wk-Function-1",
    "Table": "state",
    "News": "arn:aws:sns:eu-west-1:111122223333:news",
    "Pages": "arn:aws:sns:eu-west-1:111122223333:pages",
    "SharedPolicy": "arn:aws:iam::111122223333:policy/shared",
    "Key": "1234",
}
ATTRIBUTES = {
    ("Table", "Arn"): TABLE,
    ("Key", "Arn"): "arn:aws:kms:eu-west-1:111122223333:key/1234",
}


def resolver(template: Mapping[str, Any] = TEMPLATE, **parameters: str) -> Resolver:
    return Resolver(
        template,
        parameters,
        PHYSICAL_IDS,
        lambda logical_id, name: ATTRIBUTES.get((logical_id, name)),
        "111122223333",
        "eu-west-1",
        "wk",
    )


@pytest.mark.parametrize(
    ("value", "resolved"),
    [
        ("plain", "plain"),
        ({"Ref": "AWS::Region"}, "eu-west-1"),
        ({"Ref": "AWS::AccountId"}, "111122223333"),
        ({"Ref": "AWS::Partition"}, "aws"),
        ({"Ref": "AWS::StackName"}, "wk"),
        ({"Ref": "PolicyPrefix"}, "/wk"),
        ({"Ref": "Days"}, "400"),
        ({"Ref": "Regions"}, ["eu-west-1", "eu-central-1"]),
        ({"Ref": "Table"}, "state"),
        ({"Fn::GetAtt": ["Table", "Arn"]}, TABLE),
        ({"Fn::GetAtt": "Table.Arn"}, TABLE),
        ({"Fn::Sub": "${Table.Arn}/${PolicyPrefix}/${!Literal}"}, f"{TABLE}//wk/${{Literal}}"),
        ({"Fn::Sub": ["${A}-${AWS::Region}", {"A": {"Ref": "Table"}}]}, "state-eu-west-1"),
        ({"Fn::Join": [":", ["a", {"Ref": "Table"}, 1]]}, "a:state:1"),
        ({"Fn::Select": ["1", {"Ref": "Regions"}]}, "eu-central-1"),
        ({"Fn::Select": [5, {"Fn::Split": [":", {"Fn::GetAtt": "Table.Arn"}]}]}, "table/state"),
        ({"Fn::FindInMap": ["Stages", "prod", "Keys"]}, "RUN#*"),
        ({"Fn::If": ["IsWk", "yes", "no"]}, "yes"),
        ({"Fn::If": ["IsNotWk", "yes", "no"]}, "no"),
        ({"Fn::If": ["Both", "yes", "no"]}, "no"),
        ({"Fn::If": ["Either", "yes", "no"]}, "yes"),
        ({"a": {"Ref": "AWS::NoValue"}, "b": [{"Ref": "AWS::NoValue"}, 1]}, {"b": [1]}),
    ],
)
def test_intrinsic_functions(value: Any, resolved: Any) -> None:
    assert resolver()(value) == resolved


def test_parameters_of_the_stack_replace_the_defaults() -> None:
    assert resolver(PolicyPrefix="/other")({"Fn::If": ["IsWk", "yes", "no"]}) == "no"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"Ref": "Nobody"}, "Ref Nobody"),
        ({"Ref": "AWS::StackId"}, "Ref AWS::StackId"),
        ({"Ref": "AttachedPolicy"}, "Ref AttachedPolicy"),
        ({"Ref": "NoDefault"}, "NoDefault has no value"),
        ({"Ref": "Image"}, "Image has no value"),
        ({"Fn::GetAtt": ["Table", "StreamArn"]}, "Table.StreamArn"),
        ({"Fn::Sub": "${Nobody.Arn}"}, "Nobody.Arn"),
        ({"Fn::ImportValue": "x"}, "Fn::ImportValue"),
        ({"Fn::If": ["Unheard", 1, 2]}, "'Unheard' is not in the template"),
        ({"Fn::If": ["Odd", 1, 2]}, "Fn::Contains in a condition"),
        ({"Fn::FindInMap": ["Stages", "dev", "Keys"]}, "Stages, dev, Keys"),
        ("{{resolve:ssm:/a}}", "dynamic reference"),
    ],
)
def test_a_value_cannot_be_told(value: Any, reason: str) -> None:
    with pytest.raises(CannotJudge, match=reason):
        resolver()(value)


def test_a_role_has_its_own_policies_those_attached_and_those_of_aws() -> None:
    statements = role_statements(TEMPLATE, "FunctionRole", resolver())
    assert [(each.policy, each.sid) for each in statements] == [
        ("FunctionRolePolicy0", "CreateOnlyTaggedSnapshots"),
        ("FunctionRolePolicy0", "SnapshotAnything"),
        ("FunctionRolePolicy0", "TagWhileCreating"),
        ("FunctionRolePolicy0", "DeleteOurs"),
        ("FunctionRolePolicy0", "KeepRuns"),
        ("FunctionRolePolicy0", "FindDue"),
        ("AttachedPolicy", "ReadPolicy"),
        ("AttachedPolicy", "MeasureOurselves"),
        ("AttachedPolicy", "KeepEvidence"),
        ("AttachedPolicy", "NeverInAnotherRegion"),
        ("SharedPolicy", "Tell"),
        (
            "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
            "AWSLambdaBasicExecutionRole",
        ),
    ]


def with_role(**properties: Any) -> dict[str, Any]:
    role = {"Type": "AWS::IAM::Role", "Properties": properties}
    return TEMPLATE | {"Resources": {**TEMPLATE["Resources"], "FunctionRole": role}}


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"PermissionsBoundary": "arn:aws:iam::aws:policy/x"}, "permissions boundary"),
        ({"ManagedPolicyArns": ["arn:aws:iam::aws:policy/AdministratorAccess"]}, "Administrator"),
        ({"ManagedPolicyArns": ["arn:aws:iam::111122223333:policy/x"]}, "policy/x"),
    ],
)
def test_a_role_cannot_be_judged(properties: dict[str, Any], reason: str) -> None:
    template = with_role(**properties)
    with pytest.raises(CannotJudge, match=reason):
        role_statements(template, "FunctionRole", resolver(template))


def test_the_role_of_a_function() -> None:
    assert function_role(TEMPLATE, "Function") == "FunctionRole"
    with pytest.raises(CannotJudge, match="Table is not a AWS::Lambda::Function"):
        function_role(TEMPLATE, "Table")
    foreign = {"Type": "AWS::Lambda::Function", "Properties": {"Role": "arn:aws:iam::1:role/x"}}
    with pytest.raises(CannotJudge, match="arn:aws:iam::1:role/x"):
        function_role({"Resources": {"Function": foreign}}, "Function")


def test_granted_actions_are_those_that_are_allowed_as_they_are_written() -> None:
    granted = granted_actions(TEMPLATE, "Function")
    assert {"ssm:GetParameter*", "kms:GenerateDataKey*", "logs:PutLogEvents"} <= granted
    assert "*" not in granted  # the Deny


def test_partition_keys_of_tables_and_indexes() -> None:
    assert partition_keys(TEMPLATE, resolver()) == {TABLE: "pk", f"{TABLE}/index/due": "due"}


ALIAS = {
    "Type": "AWS::KMS::Alias",
    "Properties": {"AliasName": "alias/wk", "TargetKeyId": {"Ref": "Key"}},
}
RULE = {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/wk"}}


@pytest.mark.parametrize(
    ("kind", "properties", "keys"),
    [
        ("SNS::Topic", {"KmsMasterKeyId": {"Ref": "Key"}}, ["1234"]),
        ("SNS::Topic", {"KmsMasterKeyId": "alias/wk"}, ["1234"]),
        ("SNS::Topic", {"KmsMasterKeyId": "alias/aws/sns"}, []),
        ("SNS::Topic", {"KmsMasterKeyId": "arn:aws:kms:eu-west-1:1:alias/aws/sns"}, []),
        ("SNS::Topic", {}, []),
        ("SQS::Queue", {"KmsMasterKeyId": {"Fn::GetAtt": ["Key", "Arn"]}}, ["1234"]),
        ("SQS::Queue", {"SqsManagedSseEnabled": True}, []),
        ("DynamoDB::Table", {"SSESpecification": {"KMSMasterKeyId": {"Ref": "Key"}}}, ["1234"]),
        ("DynamoDB::Table", {"SSESpecification": {"SSEEnabled": True}}, []),
        (
            "S3::Bucket",
            {"BucketEncryption": {"ServerSideEncryptionConfiguration": [RULE]}},
            ["1234"],
        ),
        ("S3::Bucket", {}, []),
    ],
)
def test_customer_keys(kind: str, properties: dict[str, Any], keys: list[str]) -> None:
    resources = {
        "Thing": {"Type": f"AWS::{kind}", "Properties": properties},
        "Key": {"Type": "AWS::KMS::Key"},
        "Alias": ALIAS,
    }
    arns = {("Thing", "Arn"): "arn:thing", **ATTRIBUTES}
    ids = {"Thing": "arn:thing", "Key": "1234"}
    found = customer_keys(
        Resolver(
            {"Resources": resources},
            {},
            ids,
            lambda logical_id, name: arns.get((logical_id, name)),
            "111122223333",
            "eu-west-1",
            "wk",
        )
    )
    assert list(found) == ["arn:thing"] * len(keys)
    assert list(found.values()) == [f"arn:aws:kms:eu-west-1:111122223333:key/{key}" for key in keys]


def test_a_key_behind_an_alias_of_somebody_else_cannot_be_told() -> None:
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"KmsMasterKeyId": "alias/theirs"}}
    with pytest.raises(CannotJudge, match="alias/theirs"):
        customer_keys(resolver({"Resources": {"News": topic}}))


# The guard

TAGS = {
    "arn:aws:ec2:eu-west-1::snapshot/snap-ours": {"stack": "wk"},
    "arn:aws:ec2:eu-west-1::snapshot/snap-theirs": {"stack": "other"},
    "arn:aws:ec2:eu-west-1::snapshot/snap-gone": {},
}
VOLUMES = {"i-1": ["vol-1", "vol-2"]}
KEYS = {"arn:aws:rds:eu-west-1:111122223333:db:orders": ""}


@pytest.fixture
def guard() -> Guard:
    return Guard.of_stack(
        resolver(),
        tags_of=TAGS.get,
        volumes_of=VOLUMES.get,
        key_of=KEYS.get,
        has_object=lambda _: True,
    )


def snapshot_tags(**values: str) -> list[dict[str, Any]]:
    listed = [{"Key": key, "Value": value} for key, value in values.items()]
    return [{"ResourceType": "snapshot", "Tags": listed}]


def key(value: str) -> dict[str, dict[str, str]]:
    return {"pk": {"S": value}, "sk": {"S": "RUN"}}


def query(value: str, index: str | None = None) -> dict[str, Any]:
    asked = {
        "TableName": "state",
        "KeyConditionExpression": f"{'due' if index else 'pk'} = :v",
        "ExpressionAttributeValues": {":v": {"S": value}},
    }
    return asked | ({"IndexName": index} if index else {})


def put(*keys: str) -> dict[str, Any]:
    return {"TransactItems": [{"Put": {"TableName": "state", "Item": key(each)}} for each in keys]}


def check(value: str) -> dict[str, Any]:
    return {"TransactItems": [{"ConditionCheck": {"TableName": "state", "Key": key(value)}}]}


INSTANCE = {"InstanceId": "i-1"}
EVIDENCE = {"Bucket": "evidence", "Key": "k"}


@pytest.mark.parametrize(
    ("service", "operation", "params"),
    [
        (
            "ec2",
            "CreateSnapshot",
            {"VolumeId": "vol-1", "TagSpecifications": snapshot_tags(stack="wk")},
        ),
        (
            "ec2",
            "CreateSnapshots",
            {
                "InstanceSpecification": INSTANCE,
                "TagSpecifications": snapshot_tags(stack="wk", run="r1"),
            },
        ),
        ("ec2", "DeleteSnapshot", {"SnapshotId": "snap-ours"}),
        ("dynamodb", "GetItem", {"TableName": "state", "Key": key("RUN#1")}),
        ("dynamodb", "PutItem", {"TableName": "state", "Item": key("POINT#1")}),
        ("dynamodb", "Query", query("RUN#1")),
        ("dynamodb", "Query", query("DUE#backup", index="due")),
        ("dynamodb", "TransactWriteItems", put("RUN#1", "POINT#1")),
        ("dynamodb", "TransactWriteItems", check("RUN#1")),
        # A scan has no leading keys, and ForAllValues holds for none: as in AWS.
        ("dynamodb", "Scan", {"TableName": "state"}),
        ("sns", "Publish", {"TopicArn": PHYSICAL_IDS["News"], "Message": "m"}),
        ("ssm", "GetParameter", {"Name": "/wk/backups"}),
        ("ssm", "GetParametersByPath", {"Path": "/wk/policy"}),
        ("cloudwatch", "PutMetricData", {"Namespace": "Watchkeeper"}),
        ("logs", "PutLogEvents", {"logGroupName": "/aws/lambda/f", "logStreamName": "s"}),
        ("s3", "PutObject", EVIDENCE),
        ("s3", "ListObjectsV2", {"Bucket": "evidence"}),
        ("kms", "Decrypt", {"KeyId": "1234"}),
        ("sts", "GetCallerIdentity", {}),
    ],
)
def test_a_call_that_the_role_allows_goes_on(
    guard: Guard, service: str, operation: str, params: dict[str, Any]
) -> None:
    guard.check("Function", service, operation, params)
    assert guard.seen.keys() == {"Function"}
    assert guard.refusals == []


EC2 = "UnauthorizedOperation"
DENIED = "AccessDeniedException"


@pytest.mark.parametrize(
    ("service", "operation", "params", "code", "action"),
    [
        ("ec2", "DescribeVolumes", {}, EC2, "ec2:DescribeVolumes"),
        ("ec2", "CreateSnapshot", {"VolumeId": "vol-1"}, EC2, "ec2:CreateSnapshot"),
        (
            "ec2",
            "CreateSnapshot",
            {"VolumeId": "vol-1", "TagSpecifications": snapshot_tags(stack="other")},
            EC2,
            "ec2:CreateSnapshot",
        ),
        (
            "ec2",
            "CreateSnapshots",
            {
                "InstanceSpecification": INSTANCE,
                "TagSpecifications": snapshot_tags(stack="wk", extra="x"),
            },
            EC2,
            "ec2:CreateTags",
        ),
        ("ec2", "DeleteSnapshot", {"SnapshotId": "snap-theirs"}, EC2, "ec2:DeleteSnapshot"),
        ("ec2", "DeleteSnapshot", {"SnapshotId": "snap-gone"}, EC2, "ec2:DeleteSnapshot"),
        (
            "ec2",
            "CreateTags",
            {"Resources": ["snap-ours"], "Tags": [{"Key": "run", "Value": "r1"}]},
            EC2,
            "ec2:CreateTags",
        ),
        (
            "dynamodb",
            "GetItem",
            {"TableName": "state", "Key": key("STOP")},
            DENIED,
            "dynamodb:GetItem",
        ),
        (
            "dynamodb",
            "GetItem",
            {"TableName": "other", "Key": key("RUN#1")},
            DENIED,
            "dynamodb:GetItem",
        ),
        (
            "dynamodb",
            "UpdateItem",
            {"TableName": "state", "Key": key("RUN#1")},
            DENIED,
            "dynamodb:UpdateItem",
        ),
        ("dynamodb", "Query", query("STOP"), DENIED, "dynamodb:Query"),
        ("dynamodb", "Query", query("DUE#expire", index="due"), DENIED, "dynamodb:Query"),
        ("dynamodb", "TransactWriteItems", put("RUN#1", "STOP"), DENIED, "dynamodb:PutItem"),
        ("dynamodb", "TransactWriteItems", check("STOP"), DENIED, "dynamodb:ConditionCheckItem"),
        (
            "dynamodb",
            "BatchGetItem",
            {"RequestItems": {"state": {"Keys": [key("RUN#1")]}}},
            DENIED,
            "dynamodb:BatchGetItem",
        ),
        (
            "sns",
            "Publish",
            {"TopicArn": PHYSICAL_IDS["Pages"]},
            "AuthorizationError",
            "sns:Publish",
        ),
        ("sns", "Publish", {"PhoneNumber": "+4911"}, "AuthorizationError", "sns:Publish"),
        ("ssm", "GetParameter", {"Name": "/other/backups"}, DENIED, "ssm:GetParameter"),
        (
            "cloudwatch",
            "PutMetricData",
            {"Namespace": "AWS/EC2"},
            "AccessDenied",
            "cloudwatch:PutMetricData",
        ),
        ("logs", "FilterLogEvents", {"logGroupName": "/a"}, DENIED, "logs:FilterLogEvents"),
        ("lambda", "Invoke", {"FunctionName": "f"}, DENIED, "lambda:InvokeFunction"),
        ("s3", "GetObject", EVIDENCE, "AccessDenied", "s3:GetObject"),
        ("s3", "PutObject", EVIDENCE | {"Tagging": "a=b"}, "AccessDenied", "s3:PutObjectTagging"),
        ("kms", "DescribeKey", {"KeyId": "1234"}, DENIED, "kms:DescribeKey"),
        ("sqs", "GetQueueUrl", {"QueueName": "q"}, "AccessDenied", "sqs:GetQueueUrl"),
    ],
)
def test_a_call_that_the_role_does_not_allow_is_refused_as_the_service_does(
    guard: Guard, service: str, operation: str, params: dict[str, Any], code: str, action: str
) -> None:
    with pytest.raises(ClientError) as refused:
        guard.check("Function", service, operation, params)
    error = refused.value.response["Error"]
    assert error["Code"] == code
    assert f"because no identity-based policy allows the {action} action" in error["Message"]
    assert guard.seen == {}
    (refusal,) = guard.refusals
    assert refusal.startswith(f"Function: no statement allows {action} on ")


def test_a_refusal_reads_like_that_of_ec2(guard: Guard) -> None:
    with pytest.raises(ClientError) as refused:
        guard.check("Function", "ec2", "DeleteSnapshot", {"SnapshotId": "snap-theirs"})
    assert refused.value.operation_name == "DeleteSnapshot"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert refused.value.response["Error"]["Message"] == (
        "You are not authorized to perform this operation. "
        "User: arn:aws:sts::111122223333:assumed-role/wk-FunctionRole-1/wk-Function-1 "
        "is not authorized to perform: ec2:DeleteSnapshot "
        "on resource: arn:aws:ec2:eu-west-1::snapshot/snap-theirs "
        "because no identity-based policy allows the ec2:DeleteSnapshot action"
    )


def test_an_explicit_deny_says_so(guard: Guard) -> None:
    params = {"Name": "/wk/backups"}
    guard.check("Function", "ssm", "GetParameter", params, region="eu-central-1")
    with pytest.raises(ClientError, match="with an explicit deny in an identity-based policy"):
        guard.check("Function", "ssm", "GetParameter", params, region="us-east-1")


def test_a_head_request_is_refused_without_a_reason(guard: Guard) -> None:
    with pytest.raises(ClientError) as refused:
        guard.check("Function", "s3", "HeadObject", EVIDENCE)
    assert refused.value.response["Error"] == {"Code": "403", "Message": "Forbidden"}


@pytest.mark.parametrize(
    ("service", "operation", "params", "code"),
    [
        ("sns", "Publish", {"TopicArn": "arn:t"}, "KMSAccessDenied"),
        ("sqs", "SendMessage", {"QueueUrl": "https://sqs/111122223333/q"}, "KmsAccessDenied"),
        ("dynamodb", "GetItem", {"TableName": "arn:t", "Key": key("RUN#1")}, DENIED),
        ("s3", "PutObject", {"Bucket": "b", "Key": "k"}, "AccessDenied"),
        (
            "rds",
            "CreateDBSnapshot",
            {"DBInstanceIdentifier": "orders", "DBSnapshotIdentifier": "wk-1"},
            "KMSKeyNotAccessibleFault",
        ),
        ("dynamodb", "CreateBackup", {"TableName": "arn:t", "BackupName": "b"}, DENIED),
    ],
)
def test_a_key_that_the_role_may_not_use_keeps_the_call_from_its_resource(
    service: str, operation: str, params: dict[str, Any], code: str
) -> None:
    everything_but_keys = {
        "PolicyName": "p",
        "PolicyDocument": {
            "Statement": {"Effect": "Allow", "Action": f"{service}:*", "Resource": "*"}
        },
    }
    template = with_role(Policies=[everything_but_keys])
    del template["Resources"]["AttachedPolicy"]
    encrypted = ["arn:t", "arn:aws:sqs:eu-west-1:111122223333:q", "arn:aws:s3:::b"]
    encrypted += ["arn:aws:rds:eu-west-1:111122223333:db:orders"]
    account = Account(
        "111122223333",
        "eu-west-1",
        partition_keys={"arn:t": "pk"},
        customer_keys=dict.fromkeys(encrypted, "arn:aws:kms:eu-west-1:1:key/k"),
    )
    guard = Guard(template, resolver(template), account)
    with pytest.raises(
        ClientError, match=r"not authorized to perform: kms:(GenerateDataKey|Decrypt|DescribeKey)"
    ) as refused:
        guard.check("Function", service, operation, params)
    assert refused.value.response["Error"]["Code"] == code


@pytest.mark.parametrize(
    ("service", "operation", "params", "reason"),
    [
        ("ec2", "DeleteSnapshot", {"SnapshotId": "snap-unheard"}, "tags of .*snap-unheard"),
        ("ec2", "StopInstances", {"InstanceIds": ["i-1"]}, "ec2 StopInstances"),
    ],
)
def test_no_handler_survives_a_call_that_cannot_be_judged(
    guard: Guard, service: str, operation: str, params: dict[str, Any], reason: str
) -> None:
    with pytest.raises(CannotJudge, match=reason), suppress(Exception):
        guard.check("Function", service, operation, params)


def test_the_guard_remembers_what_each_function_used(guard: Guard) -> None:
    tags = snapshot_tags(stack="wk")
    guard.check(
        "Function", "ec2", "CreateSnapshot", {"VolumeId": "vol-1", "TagSpecifications": tags}
    )
    guard.check("Function", "sns", "Publish", {"TopicArn": PHYSICAL_IDS["News"]})
    assert guard.seen == {
        "Function": {
            "ec2:CreateSnapshot",
            "ec2:CreateTags",
            "kms:Decrypt",
            "kms:GenerateDataKey",
            "sns:Publish",
        }
    }


RDS = "arn:aws:rds:eu-west-1:111122223333"
BACKUPS = "arn:aws:dynamodb:eu-west-1:111122223333:table"
GUESTS_KEY = "arn:aws:kms:eu-west-1:111122223333:key/guests"
SCRIPTS = "arn:aws:ssm:eu-west-1:111122223333:document/scripts"
TAGGED_OURS = {"StringEquals": {"aws:ResourceTag/stack": "wk"}}
ASKED_FOR_OURS = {"StringEquals": {"aws:RequestTag/stack": "wk"}}
IN_TAGGED_FLEET = {"StringEquals": {"ssm:resourceTag/stack": "wk"}}
FOR_THE_SERVICE = {
    "Bool": {"kms:GrantIsForAWSResource": "true"},
    "StringEquals": {"kms:ViaService": "rds.eu-west-1.amazonaws.com"},
}
FOR_OURSELVES = {"Bool": {"kms:GrantIsForAWSResource": "false"}}
BACKUP_TAGS = {
    f"{RDS}:snapshot:ours": {"stack": "wk"},
    f"{RDS}:snapshot:theirs": {"stack": "other"},
    f"{RDS}:snapshot:gone": {},
    f"{RDS}:db:orders": {"stack": "other"},
    "arn:aws:ec2:eu-west-1:111122223333:instance/i-ours": {"stack": "wk"},
    "arn:aws:ec2:eu-west-1:111122223333:instance/i-theirs": {},
    SCRIPTS: {},
}
BACKUP_KEYS = {
    f"{RDS}:db:orders": "",
    f"{RDS}:db:guests": GUESTS_KEY,
    f"{BACKUPS}/rates": GUESTS_KEY,
}


def may(actions: str | list[str], resource: str, **condition: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource} | (
        {"Condition": condition} if condition else {}
    )


DELETES_OURS = [may("rds:DeleteDBSnapshot", f"{RDS}:snapshot:*", **TAGGED_OURS)]
CREATES = [
    may("rds:CreateDBSnapshot", f"{RDS}:db:*"),
    may(
        ["rds:CreateDBSnapshot", "rds:AddTagsToResource"], f"{RDS}:snapshot:wk-*", **ASKED_FOR_OURS
    ),
]
USES_KEYS = [
    may("kms:DescribeKey", GUESTS_KEY),
    may("kms:CreateGrant", GUESTS_KEY, **FOR_THE_SERVICE),
]
SENDS = [
    may("ssm:SendCommand", SCRIPTS),
    may(
        "ssm:SendCommand",
        "arn:aws:ec2:eu-west-1:111122223333:instance/*",
        **IN_TAGGED_FLEET,
    ),
]
WRITES_ONCE = [may("s3:PutObject", "arn:aws:s3:::b/*", Null={"s3:if-none-match": "false"})]
READS = [may("s3:GetObject", "arn:aws:s3:::b/*")]


def new_snapshot(database: str, name: str, stack: str) -> dict[str, Any]:
    tags = [{"Key": "stack", "Value": stack}]
    return {"DBInstanceIdentifier": database, "DBSnapshotIdentifier": name, "Tags": tags}


@pytest.mark.parametrize(
    ("statements", "call", "params", "refused"),
    [
        (DELETES_OURS, "rds DeleteDBSnapshot", {"DBSnapshotIdentifier": "ours"}, ""),
        *(
            (
                DELETES_OURS,
                "rds DeleteDBSnapshot",
                {"DBSnapshotIdentifier": name},
                "rds:DeleteDBSnapshot",
            )
            for name in ("theirs", "gone")
        ),
        (CREATES, "rds CreateDBSnapshot", new_snapshot("orders", "wk-1", "wk"), ""),
        (
            CREATES,
            "rds CreateDBSnapshot",
            new_snapshot("orders", "nightly", "wk"),
            "rds:CreateDBSnapshot",
        ),
        (
            CREATES,
            "rds CreateDBSnapshot",
            new_snapshot("orders", "wk-1", "other"),
            "rds:CreateDBSnapshot",
        ),
        # A snapshot that is yet to be has no tags: this is a right to tag existing ones of ours.
        (
            [
                may("rds:CreateDBSnapshot", "*"),
                may("rds:AddTagsToResource", "*", **TAGGED_OURS),
            ],
            "rds CreateDBSnapshot",
            new_snapshot("orders", "ours", "wk"),
            "rds:AddTagsToResource",
        ),
        (
            CREATES,
            "rds CreateDBSnapshot",
            new_snapshot("guests", "wk-1", "wk"),
            "kms:DescribeKey",
        ),
        ([*CREATES, *USES_KEYS], "rds CreateDBSnapshot", new_snapshot("guests", "wk-1", "wk"), ""),
        (
            [*CREATES, USES_KEYS[0], may("kms:CreateGrant", "*", **FOR_OURSELVES)],
            "rds CreateDBSnapshot",
            new_snapshot("guests", "wk-1", "wk"),
            "kms:CreateGrant",
        ),
        ([may("rds:DescribeDBInstances", "*")], "rds DescribeDBInstances", {}, ""),
        ([may("rds:DescribeDBInstances", f"{RDS}:db:*")], "rds DescribeDBInstances", {}, ""),
        (
            [may("rds:DescribeDBInstances", f"{RDS}:db:orders")],
            "rds DescribeDBInstances",
            {},
            "rds:DescribeDBInstances",
        ),
        (
            [may("rds:DescribeDBSnapshots", f"{RDS}:snapshot:*")],
            "rds DescribeDBSnapshots",
            {},
            "rds:DescribeDBSnapshots",
        ),
        (
            [may("dynamodb:CreateBackup", f"{BACKUPS}/*")],
            "dynamodb CreateBackup",
            {"TableName": "rates", "BackupName": "b"},
            "kms:Decrypt",
        ),
        (
            [may("dynamodb:DeleteBackup", f"{BACKUPS}/*/backup/*")],
            "dynamodb DeleteBackup",
            {"BackupArn": f"{BACKUPS}/rates/backup/1"},
            "",
        ),
        (
            [may("dynamodb:DeleteBackup", f"{BACKUPS}/rates")],
            "dynamodb DeleteBackup",
            {"BackupArn": f"{BACKUPS}/rates/backup/1"},
            "dynamodb:DeleteBackup",
        ),
        (
            [may("dynamodb:ListBackups", f"{BACKUPS}/*")],
            "dynamodb ListBackups",
            {"TableName": "rates"},
            "dynamodb:ListBackups",
        ),
        (
            SENDS,
            "ssm SendCommand",
            {"DocumentName": "scripts", "InstanceIds": ["i-ours"]},
            "",
        ),
        (
            SENDS,
            "ssm SendCommand",
            {"DocumentName": "scripts", "InstanceIds": ["i-ours", "i-theirs"]},
            "ssm:SendCommand",
        ),
        (
            SENDS,
            "ssm SendCommand",
            {"DocumentName": "AWS-RunShellScript", "InstanceIds": ["i-ours"]},
            "ssm:SendCommand",
        ),
        (WRITES_ONCE, "s3 PutObject", {"Bucket": "b", "Key": "k", "IfNoneMatch": "*"}, ""),
        (WRITES_ONCE, "s3 PutObject", {"Bucket": "b", "Key": "k"}, "s3:PutObject"),
        (READS, "s3 GetObject", {"Bucket": "b", "Key": "there"}, ""),
        (READS, "s3 GetObject", {"Bucket": "b", "Key": "missing"}, "s3:ListBucket"),
    ],
)
def test_rights_to_backups(
    statements: list[dict[str, Any]], call: str, params: dict[str, Any], refused: str
) -> None:
    document = {"Version": "2012-10-17", "Statement": statements}
    template = with_role(Policies=[{"PolicyName": "p", "PolicyDocument": document}])
    del template["Resources"]["AttachedPolicy"]
    account = Account(
        "111122223333",
        "eu-west-1",
        tags_of=BACKUP_TAGS.get,
        key_of=BACKUP_KEYS.get,
        has_object={"arn:aws:s3:::b/there": True, "arn:aws:s3:::b/missing": False}.get,
    )
    guard = Guard(template, resolver(template), account)
    service, operation = call.split()
    if not refused:
        guard.check("Function", service, operation, params)
        assert guard.refusals == []
        return
    with pytest.raises(ClientError, match=f"not authorized to perform: {refused} "):
        guard.check("Function", service, operation, params)


def test_every_service_has_its_way_to_say_no() -> None:
    nothing_allowed = with_role()
    del nothing_allowed["Resources"]["AttachedPolicy"]
    account = Account("111122223333", "eu-west-1", has_object=lambda _: True)
    guard = Guard(nothing_allowed, resolver(nothing_allowed), account)
    calls: dict[str, tuple[str, dict[str, Any]]] = {
        "cloudtrail": ("LookupEvents", {}),
        "cloudwatch": ("ListMetrics", {}),
        "dynamodb": ("Scan", {"TableName": "state"}),
        "ebs": ("ListSnapshotBlocks", {"SnapshotId": "snap-1"}),
        "ec2": ("DescribeVolumes", {}),
        "kms": ("DescribeKey", {"KeyId": "1234"}),
        "lambda": ("Invoke", {"FunctionName": "f"}),
        "logs": ("FilterLogEvents", {"logGroupName": "/a"}),
        "pi": ("GetResourceMetrics", {"ServiceType": "RDS", "Identifier": "db-ABC"}),
        "resourcegroupstaggingapi": ("GetResources", {}),
        "s3": ("GetObject", EVIDENCE),
        "sns": ("Publish", {"TopicArn": "arn:t"}),
        "sqs": ("GetQueueUrl", {"QueueName": "q"}),
        "ssm": ("DescribeParameters", {}),
        "application-autoscaling": ("DescribeScalableTargets", {"ServiceNamespace": "dynamodb"}),
        "backup": ("ListBackupVaults", {}),
        "rds": ("DescribeDBInstances", {}),
    }
    assert calls.keys() == {service for service, _ in OPERATIONS} - {"sts"} | ANY_RESOURCE.keys()
    for service, (operation, params) in calls.items():
        with pytest.raises(ClientError, match="is not authorized to perform"):
            guard.check("Function", service, operation, params)


# The template that is deployed

DEPLOYED = Path(__file__).parents[2] / "template.yaml"


def test_every_statement_of_every_role_that_is_deployed_is_understood() -> None:
    template = load(DEPLOYED).document()
    resolve = offline_resolver(template)
    roles = [
        each for each, made in template["Resources"].items() if made["Type"] == "AWS::IAM::Role"
    ]
    empty = [role for role in roles if not role_statements(template, role, resolve)]
    assert empty == []
    assert {function_role(template, each) for each in functions(template)} <= set(roles)


def test_who_takes_recovery_points_cannot_delete_them_and_the_other_way_round() -> None:
    template = load(DEPLOYED).document()
    takes = granted_actions(template, "TakeBackups")
    expires = granted_actions(template, "ExpireBackups")
    assert {"ec2:CreateSnapshot", "ec2:CreateSnapshots"} <= takes - expires
    assert "ec2:DeleteSnapshot" in expires - takes


@pytest.mark.parametrize(
    ("function", "snapshot", "allowed"),
    [
        ("ExpireBackups", "snap-ours", True),
        ("ExpireBackups", "snap-theirs", False),
        ("TakeBackups", "snap-ours", False),
        ("SweepRuns", "snap-ours", False),
    ],
)
def test_only_our_own_recovery_points_are_deleted_and_only_by_one_function(
    function: str, snapshot: str, allowed: bool
) -> None:
    deployed = offline_resolver(load(DEPLOYED).document())
    tags = {
        "arn:aws:ec2:us-east-1::snapshot/snap-ours": {"watchkeeper:stack": deployed.stack_name},
        "arn:aws:ec2:us-east-1::snapshot/snap-theirs": {"watchkeeper:stack": "another"},
    }
    guard = Guard.of_stack(deployed, tags_of=tags.get)
    if allowed:
        guard.check(function, "ec2", "DeleteSnapshot", {"SnapshotId": snapshot})
        assert guard.seen == {function: {"ec2:DeleteSnapshot"}}
    else:
        with pytest.raises(ClientError, match=EC2):
            guard.check(function, "ec2", "DeleteSnapshot", {"SnapshotId": snapshot})
