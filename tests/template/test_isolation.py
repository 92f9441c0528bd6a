"""Where drills restore, nothing leads in or out, and whoever restores reaches nothing else.

Walls (walls.py) and reach (reach.py, trespassing.py) are looked at in the template as it is, and
then in templates that somebody has spoiled: each time they have to notice.
"""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import pytest

from tests.template.reach import OWN, Reach
from tests.template.spoiled_walls import ADDED, CHANGED, with_added, with_changed
from tests.template.stack import Data, Stack, as_list
from tests.template.trespassing import OTHERS, QUESTIONS, trespasses
from tests.template.walls import Walls

# ── As it is ─────────────────────────────────────────────────────────────────────────────────────


def test_nothing_leads_in_or_out(stack: Stack) -> None:
    assert list(Walls(stack.document).leaks()) == []


def test_drill_restores_is_told_of_the_isolation_and_of_nothing_else(stack: Stack) -> None:
    walls = Walls(stack.document)
    assert {name: value for name, value in walls.told.items() if name.startswith("DRILL_")} == {
        "DRILL_VPC": "DrillVpc",
        "DRILL_SUBNET": "DrillSubnet",
        "DRILL_ZONE": stack.attribute("DrillSubnet", "AvailabilityZone"),
        "DRILL_SUBNET_GROUP": "DrillSubnetGroup",
        "DRILL_DATABASE_GROUP": "DrillDatabases",
        "DRILL_VERIFIER_GROUP": "DrillVerifiers",
        "DRILL_ENDPOINT_GROUP": "DrillEndpoints",
        "DRILL_PROFILE": "DrillVerifierProfile",
        "DRILL_IMAGE": "placeholder-DrillImage",
        "DRILL_INSTANCE_TYPE": "t4g.small",
        "DRILL_SECRETS": "/watchkeeper/drill-secrets/stack",
    }
    for name in ("VPC", "SUBNET", "SUBNET_GROUP", "DATABASE_GROUP", "ENDPOINT_GROUP"):
        assert walls.told[f"DRILL_{name}"] in walls.parts()


def test_databases_have_two_zones_and_room(usual: Stack, different: Stack) -> None:
    for stack, blocks in (
        (usual, ["100.127.240.0/25", "100.127.240.128/25"]),
        (different, ["10.99.7.0/25", "10.99.7.128/25"]),
    ):
        subnets = stack.of_type("AWS::EC2::Subnet").values()
        assert sorted(subnet["CidrBlock"] for subnet in subnets) == blocks
        assert len({subnet["AvailabilityZone"] for subnet in subnets}) == 2
        # Both, or the private names of endpoints and databases lead nowhere.
        network = stack.properties("DrillVpc")
        assert network["EnableDnsHostnames"] is network["EnableDnsSupport"] is True


def test_a_verifier_may_be_asked_and_read_passwords_of_drills_and_no_more(stack: Stack) -> None:
    role = stack.properties("DrillVerifierRole")
    assert role.keys() == {"AssumeRolePolicyDocument", "Policies"}
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "ec2.amazonaws.com"}
    (policy,) = role["Policies"]
    rights = {
        action: statement["Resource"]
        for statement in policy["PolicyDocument"]["Statement"]
        for action in as_list(statement["Action"])
    }
    assert {action.split(":")[0] for action in rights} == {"ec2messages", "ssm", "ssmmessages"}
    assert {action: on for action, on in rights.items() if action.startswith("ssm:")} == {
        "ssm:UpdateInstanceInformation": "arn:aws:ec2:us-east-1:123456789012:instance/*",
        "ssm:GetParameter": (
            "arn:aws:ssm:us-east-1:123456789012:parameter/watchkeeper/drill-secrets/stack/*"
        ),
    }


def test_nobody_else_has_anything_to_do_with_the_isolation(stack: Stack) -> None:
    """Functions are told where it is by their environment, and roles by their policies."""
    parts = {
        name for name in stack.resources if name.startswith("Drill") and "Restores" not in name
    } - {"DrillsOverdueAlarm", "DrillsFailedAlarm"}
    for function in stack.functions:
        said = json.dumps([stack.properties(function), stack.statements(function)])
        assert any(f'"{part}"' in said for part in parts) == (function == "DrillRestores")


@pytest.mark.parametrize("what", OWN)
def test_drill_restores_may(usual: Stack, what: str) -> None:
    assert Reach(usual.document).refused(*OWN[what]) == []


@pytest.mark.parametrize("what", OTHERS)
def test_drill_restores_may_not(usual: Stack, what: str) -> None:
    assert Reach(usual.document).refused(*OTHERS[what])


@pytest.mark.parametrize("what", QUESTIONS)
def test_drill_restores_is_not_allowed_to(usual: Stack, what: str) -> None:
    assert not Reach(usual.document).may(QUESTIONS[what])


NEVER = {
    "ec2": {
        "AssociateIamInstanceProfile", "AttachNetworkInterface", "AuthorizeSecurityGroupEgress",
        "AuthorizeSecurityGroupIngress", "CreateNetworkInterface", "CreateRoute", "DeleteTags",
        "DetachVolume", "ModifyInstanceAttribute", "ModifyNetworkInterfaceAttribute",
        "ModifySubnetAttribute", "ModifyVpcEndpoint", "StopInstances",
    },
    "iam": {"AddRoleToInstanceProfile", "AttachRolePolicy", "PutRolePolicy", "UpdateRole"},
    "route53resolver": {"DisassociateFirewallRuleGroup", "UpdateFirewallRule"},
    "ssm": {"StartSession", "StartAutomationExecution", "CreateDocument", "UpdateDocument"},
    "sts": {"AssumeRole"},
}  # fmt: skip


def test_drill_restores_cannot_change_the_walls_or_its_own_rights(stack: Stack) -> None:
    granted = {action for one in Reach(stack.document).statements for action in one.actions}
    never = {f"{service}:{call}" for service, calls in NEVER.items() for call in calls}
    assert granted.isdisjoint(never)


LONGEST = "s" * 128
INLINE, MANAGED = 10_240, 6_144
"""Characters without spaces that IAM takes in all policies of a role together, and in one of its
own: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""


def test_policies_fit_into_what_iam_takes_for_the_longest_names(usual: Stack) -> None:
    def size(document: Any) -> int:
        text = json.dumps(document, separators=(",", ":"))
        return len(text.replace('"stack"', f'"{LONGEST}"').replace("/stack", f"/{LONGEST}"))

    for role in usual.of_type("AWS::IAM::Role").values():
        assert sum(size(each["PolicyDocument"]) for each in role["Policies"]) < 0.9 * INLINE
    for policy in usual.of_type("AWS::IAM::ManagedPolicy").values():
        assert size(policy["PolicyDocument"]) < 0.9 * MANAGED


# ── Spoiled walls ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("what", ADDED)
def test_it_is_noticed_when_somebody_adds(usual: Stack, what: str) -> None:
    assert list(Walls(with_added(usual.document, *ADDED[what])).leaks())


@pytest.mark.parametrize("what", CHANGED)
def test_it_is_noticed_when_somebody_changes_the_template_to(usual: Stack, what: str) -> None:
    assert list(Walls(with_changed(usual.document, *CHANGED[what])).leaks())


# ── Spoiled rights ───────────────────────────────────────────────────────────────────────────────

TESTED_ELSEWHERE = {
    "SeeSnapshotsAndWhatDrillsHaveMade", "ReadBlocksOfSnapshots",
    "DecryptBlocksAndSeeWhetherKeysAreAlive", "ReadManifestsBack", "ReadEvidenceBack",
    "SeeWhatIsInTheBucket", "WriteEvidencePagesAndHashesThatAreNotThereYet",
    "KeepItsRunsAndWhatTheyProved", "ReadWhatWasBackedUpAndWhetherItMustStop",
    "ListTheCatalogueAndTheProofs", "ReadTheOperatorsPolicy", "TellMachinesAndPeople",
    "EncryptWhatItTells", "",
}  # fmt: skip
"""By test_least_privilege.py: what reads, and what drills write down. The last one is SAM's."""


def restoring_statements(document: Data) -> list[Data]:
    """The statements by which DrillRestores restores, in a template that may be spoiled."""
    resources = document["Resources"]
    policies = [
        *(
            one["PolicyDocument"]
            for one in resources["DrillRestoresRole"]["Properties"]["Policies"]
        ),
        resources["DrillVerifierRights"]["Properties"]["PolicyDocument"],
    ]
    return [
        statement
        for policy in policies
        for statement in policy["Statement"]
        if statement.get("Sid", "") not in TESTED_ELSEWHERE
    ]


def spoiled_rights(document: Mapping[str, Any]) -> Iterator[tuple[str, Data]]:
    """One template for each way to widen one statement."""
    for number, statement in enumerate(restoring_statements(deepcopy(dict(document)))):
        for operator, tests in statement.get("Condition", {}).items():
            for key in tests:
                spoiled = deepcopy(dict(document))
                del restoring_statements(spoiled)[number]["Condition"][operator][key]
                yield f"{statement['Sid']} without {operator} of {key}", spoiled
        for place, resource in enumerate(as_list(statement["Resource"])):
            wider = widened(resource)
            if wider != resource:
                spoiled = deepcopy(dict(document))
                found = restoring_statements(spoiled)[number]
                found["Resource"] = as_list(found["Resource"])
                found["Resource"][place] = wider
                yield f"{statement['Sid']} on {wider}", spoiled
        if "Condition" not in statement:
            spoiled = deepcopy(dict(document))
            restoring_statements(spoiled)[number]["Resource"] = "*"
            yield f"{statement['Sid']} on everything", spoiled


def widened(resource: Any) -> Any:
    """The same ARN with a star for the last name in it."""
    match resource:
        case {"Fn::GetAtt": ["DrillVerifierRole", "Arn"]}:
            return "arn:aws:iam::123456789012:role/*"
        case {"Fn::Sub": str(text)}:
            cut = max(text.rfind("/"), text.rfind(":", 0, text.rfind("${") + 1), text.rfind(":"))
            return {"Fn::Sub": f"{text[: cut + 1]}*"}
        case _:
            raise AssertionError(f"how to widen {resource}")


def test_every_statement_is_as_narrow_as_it_must_be(usual: Stack) -> None:
    """Whatever is taken from one, or added to it, lets somebody trespass."""
    spoiled = dict(spoiled_rights(usual.document))
    assert len(spoiled) > 40
    unnoticed = [what for what, each in spoiled.items() if not any(trespasses(Reach(each)))]
    assert unnoticed == []


def test_every_statement_is_needed(usual: Stack) -> None:
    """Without one of them something of the drill's own is refused."""
    for number, statement in enumerate(restoring_statements(dict(usual.document))):
        spoiled = deepcopy(dict(usual.document))
        restoring_statements(spoiled)[number]["Effect"] = "Deny"
        reach = Reach(spoiled)
        assert any(reach.refused(*call) for call in OWN.values()), statement["Sid"]
