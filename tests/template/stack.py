"""template.yaml as data: as it is written, and as CloudFormation gets it for some parameters."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from local import template
from local.iam_template import Resolver, is_in_parameter_store, offline_resolver

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "template.yaml"
RUNBOOKS = ROOT / "docs" / "runbooks"

Data = dict[str, Any]


def written() -> Data:
    """The template before the transform, intrinsic functions in their long form."""
    document: Data = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))
    return document


class Stack:
    """The transformed template, resolved; what a deploy would name is a placeholder."""

    def __init__(self, parameters: dict[str, str]) -> None:
        self.parameters = parameters

    @cached_property
    def _resolve(self) -> Resolver:
        document = template.load(TEMPLATE, self.parameters).document()
        offline = offline_resolver(document)
        given = {
            name: value
            for name, value in self.parameters.items()
            if not is_in_parameter_store(document["Parameters"][name])
        }
        return replace(offline, parameters={**offline.parameters, **given})

    @property
    def document(self) -> Mapping[str, Any]:
        return self._resolve.template

    @cached_property
    def resources(self) -> dict[str, Data]:
        """Every resource whose condition holds, by logical id."""
        resolve = self._resolve
        return {
            logical_id: resolve(resource)
            for logical_id, resource in resolve.template["Resources"].items()
            if "Condition" not in resource or resolve.condition(resource["Condition"])
        }

    def properties(self, logical_id: str) -> Data:
        found: Data = self.resources[logical_id].get("Properties", {})
        return found

    def of_type(self, kind: str) -> dict[str, Data]:
        """Properties of the resources of a type, by logical id."""
        return {
            logical_id: self.properties(logical_id)
            for logical_id, resource in self.resources.items()
            if resource["Type"] == kind
        }

    @property
    def functions(self) -> dict[str, Data]:
        return self.of_type("AWS::Lambda::Function")

    def arn(self, logical_id: str) -> str:
        return self.attribute(logical_id, "Arn")

    def attribute(self, logical_id: str, name: str) -> str:
        found: str = self._resolve({"Fn::GetAtt": [logical_id, name]})
        return found

    def ref(self, logical_id: str) -> str:
        found: str = self._resolve({"Ref": logical_id})
        return found

    def statements(self, function: str) -> list[Data]:
        """What the function's own role says, SAM's additions and policies beside it included."""
        role = f"{function}Role"
        documents = [each["PolicyDocument"] for each in self.properties(role)["Policies"]]
        documents += [
            policy["PolicyDocument"]
            for policy in self.of_type("AWS::IAM::ManagedPolicy").values()
            if self.ref(role) in policy["Roles"]
        ]
        return [one for document in documents for one in document["Statement"]]

    def alarms_on(self, namespace: str, metric: str, dimension: str, value: str) -> list[str]:
        """Logical ids of the alarms that watch one metric."""
        return [
            logical_id
            for logical_id, alarm in self.of_type("AWS::CloudWatch::Alarm").items()
            if (alarm["Namespace"], alarm["MetricName"]) == (namespace, metric)
            and alarm["Dimensions"] == [{"Name": dimension, "Value": value}]
        ]


def as_list(value: Any) -> list[Any]:
    """IAM lets a single value stand for a list of one."""
    return value if isinstance(value, list) else [value]


def allowed(statements: list[Data]) -> Iterator[tuple[Data, str]]:
    """Each action that is allowed, with its statement."""
    for statement in statements:
        if statement["Effect"] == "Allow":
            yield from ((statement, action) for action in as_list(statement["Action"]))


def refuses_plain_text(document: Mapping[str, Any]) -> bool:
    """Whether a resource policy denies everybody whatever comes without TLS."""
    return any(
        statement["Effect"] == "Deny"
        and statement["Principal"] == "*"
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        for statement in document["Statement"]
    )
