"""The master passwords of restored databases, in the Parameter Store: kept for as long as a drill
lasts, for its verifier to read.

One class for making, finding and removing: each is one call on one path, which nothing else uses.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from watchkeeper import naming
from watchkeeper.aws.client import client
from watchkeeper.aws.errors import AlreadyThere, NotThere, Refused, translated
from watchkeeper.aws.iam import needs
from watchkeeper.aws.restores_rds import check_is_drill

PAGE = 50
"""The most that DescribeParameters gives a page."""
GONE = "InvalidResourceId"
"""What ListTagsForResource answers of a parameter that is not there."""


@dataclass(frozen=True)
class DrillSecret:
    """A password that is kept for a drill."""

    name: str
    """Of the drill."""
    parameter: str
    tags: Mapping[str, str]


class DrillSecrets:
    """The key is the one that AWS manages for the Parameter Store: nobody needs rights to it."""

    def __init__(self, path: str) -> None:
        self.path = path
        """What the names begin with: `/watchkeeper/drill-secrets/<stack>`."""

    @cached_property
    def client(self) -> Any:
        return client("ssm")

    def parameter(self, name: str) -> str:
        return f"{self.path}/{name}"

    @needs("ssm:PutParameter", "ssm:AddTagsToResource", "ssm:GetParameter")
    def keep(self, name: str, fresh: str, tags: Mapping[str, str]) -> str:
        """The password of a drill: `fresh`, unless an earlier attempt has kept another, which may
        be in force already.
        """
        check_is_drill("ssm:PutParameter", name)
        parameter = self.parameter(name)
        try:
            with translated("ssm:PutParameter"):
                self.client.put_parameter(
                    Name=parameter,
                    Value=fresh,
                    Type="SecureString",
                    Overwrite=False,
                    Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
                )
        except AlreadyThere:
            with translated("ssm:GetParameter"):
                answer = self.client.get_parameter(Name=parameter, WithDecryption=True)
            return str(answer["Parameter"]["Value"])
        return fresh

    @needs("ssm:DescribeParameters", "ssm:ListTagsForResource")
    def all(self) -> list[DrillSecret]:
        """Those on the path that have a drill's name."""
        found = []
        for name in self._names():
            try:
                tags = self._tags(name)
            except Refused as error:
                if error.code != GONE:
                    raise
                continue  # since it was listed
            found.append(DrillSecret(name, self.parameter(name), tags))
        return found

    def _names(self) -> Iterator[str]:
        pages = self.client.get_paginator("describe_parameters").paginate(
            ParameterFilters=[{"Key": "Path", "Option": "OneLevel", "Values": [self.path]}],
            PaginationConfig={"PageSize": PAGE},
        )
        with translated("ssm:DescribeParameters"):
            for page in pages:
                names = (one["Name"].rsplit("/", 1)[-1] for one in page["Parameters"])
                yield from filter(naming.is_drill, names)

    def _tags(self, name: str) -> dict[str, str]:
        with translated("ssm:ListTagsForResource"):
            answer = self.client.list_tags_for_resource(
                ResourceType="Parameter", ResourceId=self.parameter(name)
            )
        return {tag["Key"]: tag["Value"] for tag in answer["TagList"]}

    @needs("ssm:DeleteParameter")
    def delete(self, name: str) -> None:
        """It is no error if it is gone."""
        check_is_drill("ssm:DeleteParameter", name)
        with suppress(NotThere), translated("ssm:DeleteParameter"):
            self.client.delete_parameter(Name=self.parameter(name))
