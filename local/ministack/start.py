"""Starts ministack, with what it lacks of EventBridge Scheduler, DynamoDB, IAM and CloudFormation
added.

    .tools/ministack/bin/python local/ministack/start.py

It runs in ministack's own environment and imports nothing of this project.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from ministack import app
from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import json_response
from ministack.services import dynamodb, ec2, eventbridge, scheduler, ssm
from ministack.services.cloudformation import provisioners

# ministack looks every ten seconds which schedule is due; whoever lets time jump waits for each.
scheduler._SCHEDULE_TICK_INTERVAL = 1

_invoke = eventbridge._invoke_target


def _invoke_with_time(target: dict[str, Any], event: dict[str, Any], *rest: Any) -> Any:
    """Fill in the time that the schedule was due, which Scheduler does and ministack leaves out."""
    if event.get("Source") == "aws.scheduler" and "Input" in target:
        due = f"{datetime.fromtimestamp(event['Time'], UTC):%Y-%m-%dT%H:%M:%SZ}"
        filled_in = target["Input"].replace("<aws.scheduler.scheduled-time>", due)
        target = target | {"Input": filled_in}
    return _invoke(target, event, *rest)


eventbridge._invoke_target = _invoke_with_time

_list_backups = dynamodb._list_backups


def _list_backups_asked_for(request: dict[str, Any]) -> Any:
    """Heed the type and the time range, of which ministack reads neither; it has users' backups."""
    if request.get("BackupType", "USER") not in {"USER", "ALL"}:
        return json_response({"BackupSummaries": []})
    status, _, body = _list_backups(request)
    answer = json.loads(body)
    answer["BackupSummaries"] = [
        backup
        for backup in answer.get("BackupSummaries", ())
        if request.get("TimeRangeLowerBound", 0) <= backup["BackupCreationDateTime"]
        and backup["BackupCreationDateTime"] < request.get("TimeRangeUpperBound", float("inf"))
    ]
    return json_response(answer, status)


dynamodb._list_backups = _list_backups_asked_for

_resources = iam_actions.dynamodb_resource_arns


def _resources_by_arn(body: bytes, region: str, account: str) -> list[str]:
    """Name the backup, or what tags and policies are read of, where ministack asks for `*`."""
    request = json.loads(body)
    named = request.get("BackupArn") or request.get("ResourceArn")
    resources: list[str] = [named] if named else _resources(body, region, account)
    return resources


iam_actions.dynamodb_resource_arns = _resources_by_arn

_object_context = iam_actions.s3_service_context


def _object_context_of_once(
    action: str, query: dict[str, Any] | None, path: str = "", headers: Any = None
) -> dict[str, Any]:
    """Add the key by which a policy demands that no object is written over."""
    context: dict[str, Any] = _object_context(action, query, path, headers)
    once = (headers or {}).get("if-none-match")
    return context | ({"s3:if-none-match": once} if action == "s3:PutObject" and once else {})


iam_actions.s3_service_context = _object_context_of_once

_context = iam_actions.dynamodb_service_context


def _context_with_keys(body: bytes) -> dict[str, Any]:
    """Add the partition keys that a request names: the condition in every right to the table."""
    keys = sorted(set(_partition_keys(json.loads(body))))
    context: dict[str, Any] = _context(body)
    return context | ({"dynamodb:LeadingKeys": keys} if keys else {})


def _partition_keys(request: Any) -> Iterator[str]:
    """Those of every item and key in the request, and the one that a query asks for."""
    if isinstance(request, list):
        for each in request:
            yield from _partition_keys(each)
    elif isinstance(request, dict):
        for name, value in request.items():
            if name == "KeyConditionExpression":
                (asked,) = re.findall(r"^\w+ = (:\w+)", value)
                yield request["ExpressionAttributeValues"][asked]["S"]
            elif name in {"Item", "Key", "Keys"}:
                # A tag has a Key, too, and the tables of others have partition keys of other names.
                items = value if name == "Keys" else [value]
                yield from (
                    one["pk"]["S"] for one in items if isinstance(one, dict) and "pk" in one
                )
            else:
                yield from _partition_keys(value)


iam_actions.dynamodb_service_context = _context_with_keys


# The image that the template asks for by default, of which ministack has the other architecture.
_images = ssm._PUBLIC_AMI_PARAMETERS
for _name, _image in list(_images.items()):
    _images[_name.replace("x86_64", "arm64")] = _image

Made = tuple[str, dict[str, str]]
"""A physical id, and what Fn::GetAtt gives."""


def _let_in(logical_id: str, properties: dict[str, Any], _stack: str) -> Made:
    """AWS::EC2::SecurityGroupIngress."""
    group = ec2._security_groups[properties["GroupId"]]
    group["IpPermissions"] += provisioners._ec2_sg_permissions([properties])
    return logical_id, {}


def _take(logical_id: str, _properties: dict[str, Any], stack: str) -> Made:
    """Of what is taken and not followed."""
    return f"{stack}-{logical_id}", {}


_types = provisioners._RESOURCE_HANDLERS
_types["AWS::EC2::SecurityGroupIngress"] = {"create": _let_in}
for _kind in ("DomainList", "RuleGroup", "RuleGroupAssociation"):  # of the DNS Firewall
    _types[f"AWS::Route53Resolver::Firewall{_kind}"] = {"create": _take}


def _as_if_by_tls(source_ip: str, _secure: bool) -> None:  # noqa: FBT001, ministack's signature
    """The topics refuse what comes without TLS, which on this machine's own loopback all does."""
    iam_evaluator.pin_request_origin(source_ip, secure_transport=True)


app.pin_request_origin = _as_if_by_tls

if __name__ == "__main__":
    app.main()
