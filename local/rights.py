"""The box's guard: what a deployed function's own role lets it do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from moto.ec2.models import ec2_backends

from local.iam import Guard
from local.iam_template import Resolver

if TYPE_CHECKING:
    from local.cloud import Cloud


def guard_of(cloud: Cloud) -> Guard:
    """A guard for everything deployed in the box."""

    def attribute(logical_id: str, name: str) -> Any:
        return cloud.attributes(logical_id).get(name)

    def tags_of(arn: str) -> Mapping[str, str] | None:
        service, region, identifier = arn.split(":")[2], arn.split(":")[3], arn.rpartition("/")[2]
        if service != "ec2":
            return None
        backend = ec2_backends[cloud.account_id][region or cloud.region]
        if identifier.startswith("snap-") and identifier not in backend.snapshots:
            return {}  # what does not exist has no tags, so a condition on them denies it
        return dict(backend.tags.get(identifier, {}))

    def volumes_of(instance_id: str) -> Sequence[str] | None:
        volumes = ec2_backends[cloud.account_id][cloud.region].volumes.values()
        return [
            each.id
            for each in volumes
            if each.attachment and each.attachment.instance.id == instance_id
        ]

    resolver = Resolver(
        template=cloud.template,
        parameters=cloud.parameters,
        physical_ids={name: cloud.physical_id(name) for name in cloud.resources},
        attributes=attribute,
        account=cloud.account_id,
        region=cloud.region,
        stack_name=cloud.stack_name,
    )
    return Guard.of_stack(resolver, tags_of=tags_of, volumes_of=volumes_of)
