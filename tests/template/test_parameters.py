"""What an operator can set, and what it changes."""

import re

import pytest

from local.iam_template import is_in_parameter_store
from tests.template.conftest import ALL_DIFFERENT
from tests.template.stack import Data, Stack

LIMITS = {"AllowedValues", "AllowedPattern", "MinValue", "MaxValue"}


def test_every_parameter_is_described_limited_and_has_a_default(source: Data) -> None:
    for name, parameter in source["Parameters"].items():
        assert len(parameter["Description"]) > 40, name
        # What is in the Parameter Store is limited by the type that it must have there.
        assert LIMITS & parameter.keys() or is_in_parameter_store(parameter), name
        assert "Default" in parameter, name
        if parameter["Type"] == "Number" and "AllowedValues" not in parameter:
            assert {"MinValue", "MaxValue"} <= parameter.keys(), name
        if "AllowedPattern" in parameter:
            assert {"MaxLength", "ConstraintDescription"} <= parameter.keys(), name


def test_the_form_in_the_console_shows_every_parameter_once(source: Data) -> None:
    groups = source["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    shown = [name for group in groups for name in group["Parameters"]]
    assert sorted(shown) == sorted(source["Parameters"])


def test_defaults_and_the_other_values_are_within_the_limits(source: Data) -> None:
    assert ALL_DIFFERENT.keys() == source["Parameters"].keys()
    for name, parameter in source["Parameters"].items():
        for value in (str(parameter["Default"]), ALL_DIFFERENT[name]):
            assert value in map(str, parameter.get("AllowedValues", [value])), name
            assert re.fullmatch(parameter.get("AllowedPattern", ".*"), value), name
            if "MinValue" in parameter:
                assert parameter["MinValue"] <= int(value) <= parameter["MaxValue"], name
        assert str(parameter["Default"]) != ALL_DIFFERENT[name], name


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "watchkeeper",
        "/watchkeeper/",
        "//policy",
        "/aws/policy",
        "/SSM/policy",
        "/a b",
        "/a*",
    ],
)
def test_a_policy_path_that_parameter_store_or_a_role_would_misread_is_refused(
    source: Data, path: str
) -> None:
    assert not re.fullmatch(source["Parameters"]["PolicyPrefix"]["AllowedPattern"], path)


@pytest.mark.parametrize(
    "address", ["on-call", "on-call@", "@example.com", "a@b@example.com", "a b@c.de"]
)
def test_what_is_no_mail_address_is_refused(source: Data, address: str) -> None:
    assert not re.fullmatch(source["Parameters"]["PagesEmail"]["AllowedPattern"], address)


@pytest.mark.parametrize("network", ["10.0.0.0/8", "10.1.2.128/24", "10.1.2.0/25", "fd00::/64"])
def test_what_cannot_be_cut_into_two_subnets_of_128_is_refused(source: Data, network: str) -> None:
    assert not re.fullmatch(source["Parameters"]["DrillNetwork"]["AllowedPattern"], network)


def test_conditions_are_questions(source: Data) -> None:
    assert all(name.startswith(("Is", "Are", "Has", "May")) for name in source["Conditions"])


def test_mail_is_subscribed_only_when_an_address_is_given(usual: Stack, different: Stack) -> None:
    assert "PagesEmailSubscription" not in usual.resources
    subscription = different.properties("PagesEmailSubscription")
    assert subscription == {
        "TopicArn": different.ref("PagesTopic"),
        "Protocol": "email",
        "Endpoint": "on-call@example.com",
    }


def test_concurrency_is_reserved_unless_the_account_is_too_small(
    usual: Stack, different: Stack
) -> None:
    reserved = {
        name: function["ReservedConcurrentExecutions"] for name, function in usual.functions.items()
    }
    assert all(1 <= share <= 10 for share in reserved.values())
    described = usual.document["Parameters"]["ReserveConcurrency"]["Description"]
    assert f"({sum(reserved.values())} in all)" in described
    assert f"under {sum(reserved.values()) + 100}" in described  # Lambda keeps 100 unreserved
    for function in different.functions.values():
        assert "ReservedConcurrentExecutions" not in function


def test_no_resource_has_a_physical_name_so_two_stacks_fit_in_one_account(stack: Stack) -> None:
    names = {
        "Name", "TableName", "BucketName", "QueueName", "TopicName", "FunctionName", "LayerName",
        "LogGroupName", "AlarmName", "RoleName", "PolicyName", "AliasName", "GroupName",
    }  # fmt: skip
    refers_to_a_function = {
        "AWS::Lambda::EventInvokeConfig",
        "AWS::Lambda::EventSourceMapping",
        "AWS::Lambda::Permission",
    }
    # EventBridge writes only to log groups whose names begin so.
    with_the_stacks_name = {"TrailLog": "/aws/events/stack-trail", "TrailLogPolicy": "stack-trail"}
    for logical_id, resource in stack.resources.items():
        fixed = names & resource.get("Properties", {}).keys()
        if resource["Type"] in refers_to_a_function:
            fixed -= {"FunctionName"}
        if resource["Type"] == "AWS::Lambda::LayerVersion":
            fixed -= {"LayerName"}  # a name for versions, which each stack adds to on its own
        named = {resource["Properties"][each] for each in fixed}
        assert named == {with_the_stacks_name[logical_id]} if fixed else True, logical_id
