"""What each function is told by its environment: one frozen model per function, read once."""

from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class BadSettings(Exception):
    """The environment lacks something that template.yaml should have set."""


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)

    stack: str = Field(alias="STACK_NAME", min_length=1)
    """Marks what is ours: two stacks in one account never touch each other's recovery points."""
    table: str = Field(alias="TABLE_NAME", min_length=1)
    news_topic: str = Field(alias="NEWS_TOPIC_ARN", pattern=r"^arn:[\w-]+:sns:[\w-]+:\d{12}:.+")
    pages_topic: str = Field(alias="PAGES_TOPIC_ARN", min_length=1)

    @property
    def place(self) -> tuple[str, str, str]:
        """Partition, Region and account of the stack, as its own topic's ARN has them."""
        _, partition, _, region, account, _ = self.news_topic.split(":", 5)
        return partition, region, account

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """Raises BadSettings naming every variable that is missing or empty."""
        try:
            return cls.model_validate(dict(environment))
        except ValidationError as error:
            names = ", ".join(str(problem["loc"][0]) for problem in error.errors())
            raise BadSettings(
                f"environment variables missing or empty: {names}; template.yaml sets them"
            ) from error


class _KeepsManifests(Settings):
    evidence_bucket: str = Field(alias="EVIDENCE_BUCKET", min_length=1)


class _ReadsPolicy(_KeepsManifests):
    policy_prefix: str = Field(alias="POLICY_PREFIX", pattern=r"^/[\w./-]+$")


class TakeBackupsSettings(_ReadsPolicy): ...


class DrillRestoresSettings(_ReadsPolicy):
    """Where drills restore: made by template.yaml, apart from everything else."""

    vpc: str = Field(alias="DRILL_VPC", pattern=r"^vpc-\w+$")
    subnet: str = Field(alias="DRILL_SUBNET", pattern=r"^subnet-\w+$")
    """Of the verifier and of the endpoints that it needs."""
    zone: str = Field(alias="DRILL_ZONE", min_length=1)
    """Of the subnet: a volume attaches only there."""
    subnet_group: str = Field(alias="DRILL_SUBNET_GROUP", min_length=1)
    """Of databases: RDS asks for two zones."""
    database_group: str = Field(alias="DRILL_DATABASE_GROUP", pattern=r"^sg-\w+$")
    verifier_group: str = Field(alias="DRILL_VERIFIER_GROUP", pattern=r"^sg-\w+$")
    endpoint_group: str = Field(alias="DRILL_ENDPOINT_GROUP", pattern=r"^sg-\w+$")
    profile: str = Field(alias="DRILL_PROFILE", min_length=1)
    """The name of the verifier's instance profile."""
    image: str = Field(alias="DRILL_IMAGE", pattern=r"^ami-\w+$")
    instance_type: str = Field(alias="DRILL_INSTANCE_TYPE", min_length=1)
    secrets: str = Field(alias="DRILL_SECRETS", pattern=r"^/[\w./-]+$")
    """Path in the Parameter Store for the passwords of restored databases."""


class ExpireBackupsSettings(_KeepsManifests): ...


class RecoverResourcesSettings(_KeepsManifests): ...


class TriageIncidentsSettings(Settings):
    policy_prefix: str = Field(alias="POLICY_PREFIX", pattern=r"^/[\w./-]+$")
    incidents_bucket: str = Field(alias="INCIDENTS_BUCKET", min_length=1)
    """Reports of incidents, with what they are made from."""
    trail_group: str = Field(alias="TRAIL_GROUP", pattern=r"^/aws/events/[\w./#-]+$")
    """The log group that the ring of management events is."""


class SweepRunsSettings(Settings): ...
