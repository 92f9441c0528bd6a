"""The box's guard: what a deployed function's own role lets it do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.dynamodb.models import dynamodb_backends
from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends
from moto.kms.models import kms_backends
from moto.rds.models import rds_backends
from moto.s3.models import FakeKey, s3_backends

from local.iam import Guard
from local.iam_template import Resolver, is_in_parameter_store

if TYPE_CHECKING:
    from local.cloud import Cloud


@dataclass(frozen=True)
class World:
    """What IAM looks up: the account as it is, whatever a Describe shows of it yet or still.

    What does not exist has no tags, so that a condition on them denies it.
    """

    account: str
    region: str

    def tags_of(self, arn: str) -> Mapping[str, str] | None:
        """The tags of an ARN; None for what is not looked up here."""
        service, region, kind, name = self._parsed(arn)
        match service, kind:
            case "ec2", _:
                return self._tags_in_ec2(name, region)
            case "rds", _ if kind in RDS_COLLECTIONS:
                return _mapping(getattr(self._in_rds(kind, name, region), "tags", ()))
            case "dynamodb", "table":
                return self._tags_of_table(name, region)
            case "kms", "key":
                tagger: Any = kms_backends[self.account][region].tagger
                return dict(tagger.get_tag_dict_for_resource(name))
            case _:
                return None

    def volumes_of(self, instance_id: str) -> Sequence[str]:
        """The ids of the volumes attached to an instance."""
        volumes = ec2_backends[self.account][self.region].volumes.values()
        return [
            each.id
            for each in volumes
            if each.attachment and each.attachment.instance.id == instance_id
        ]

    def key_of(self, arn: str) -> str | None:
        """The customer-managed key of a database, table or EBS snapshot; empty if none, None if
        unknown.
        """
        service, region, kind, name = self._parsed(arn)
        match service, kind:
            case "rds", _ if kind in RDS_COLLECTIONS:
                key = getattr(self._in_rds(kind, name, region), "kms_key_id", None)
            case "ec2", "snapshot":
                found = ec2_backends[self.account][region].snapshots.get(name)
                key = getattr(found, "kms_key_id", None)
            case "dynamodb", "table":
                table = dynamodb_backends[self.account][region].tables.get(name)
                key = (getattr(table, "sse_specification", None) or {}).get("KMSMasterKeyId")
            case _:
                return None
        return self._customers(key, region) if key else ""

    def role_of(self, profile: str) -> str | None:
        """The ARN of the role in an instance profile."""
        found = iam_backends[self.account]["aws"].instance_profiles.values()
        return next((one.roles[0].arn for one in found if one.name == profile), None)

    def has_object(self, arn: str) -> bool:
        """Whether there is an object in S3 now; a delete marker is none."""
        name, _, key = arn.rpartition(":::")[2].partition("/")
        bucket = s3_backends[self.account]["aws"].buckets.get(name)
        return bucket is not None and isinstance(bucket.keys.get(key), FakeKey)

    def _parsed(self, arn: str) -> tuple[str, str, str, str]:
        """Service, Region, and the type and name of the resource."""
        _, _, service, region, _, resource = arn.split(":", 5)
        kind, _, name = resource.replace("/", ":", 1).partition(":")
        return service, region or self.region, kind, name

    def _tags_in_ec2(self, identifier: str, region: str) -> Mapping[str, str]:
        backend = ec2_backends[self.account][region]
        if identifier.startswith("snap-") and identifier not in backend.snapshots:
            return {}  # its tags outlive it
        return dict(backend.tags.get(identifier, {}))

    def _in_rds(self, kind: str, name: str, region: str) -> Any:
        """None if there is no such database or snapshot."""
        collection = getattr(rds_backends[self.account][region], RDS_COLLECTIONS[kind])
        return collection.get(name)

    def _tags_of_table(self, path: str, region: str) -> Mapping[str, str]:
        """Of a table or of an index, which has those of its table. Backups of tables have none."""
        name, _, part = path.partition("/")
        table = dynamodb_backends[self.account][region].tables.get(name)
        if table is None or part.startswith("backup/"):
            return {}
        return _mapping(table.tags or ())

    def _customers(self, key: str, region: str) -> str | None:
        """The ARN of a key, empty if AWS manages it; None for a key that is not of this account."""
        found = kms_backends[self.account][region].keys.get(key.rpartition("/")[2])
        if found is None:
            return None
        is_of_aws = any(alias.startswith("alias/aws/") for alias in found.aliases)
        return "" if is_of_aws else str(found.arn)


# Where moto keeps what an RDS ARN names.
RDS_COLLECTIONS = {
    "cluster": "clusters",
    "cluster-snapshot": "cluster_snapshots",
    "db": "databases",
    "snapshot": "database_snapshots",
}


def _mapping(tags: Sequence[Mapping[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}


def _values(cloud: Cloud) -> dict[str, str]:
    """Of each parameter, what Ref gives: of one in the Parameter Store, what is there."""
    ssm, declared = cloud.client("ssm"), cloud.template.get("Parameters", {})
    return {
        name: ssm.get_parameter(Name=value)["Parameter"]["Value"]
        if is_in_parameter_store(declared[name])
        else value
        for name, value in cloud.parameters.items()
    }


def guard_of(cloud: Cloud) -> Guard:
    """A guard for everything deployed in the box."""

    def attribute(logical_id: str, name: str) -> Any:
        return cloud.attributes(logical_id).get(name)

    resolver = Resolver(
        template=cloud.template,
        parameters=_values(cloud),
        physical_ids={name: cloud.physical_id(name) for name in cloud.resources},
        attributes=attribute,
        account=cloud.account_id,
        region=cloud.region,
        stack_name=cloud.stack_name,
    )
    world = World(cloud.account_id, cloud.region)
    return Guard.of_stack(
        resolver,
        tags_of=world.tags_of,
        volumes_of=world.volumes_of,
        key_of=world.key_of,
        role_of=world.role_of,
        has_object=world.has_object,
    )
