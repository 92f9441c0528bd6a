"""Tags of resources of every kind, and the resources with a tag: AWS's index of tags.

Only of this account and Region. The index follows changes after some seconds or minutes, and may
show what is gone: https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import Any

from watchkeeper.aws.client import client
from watchkeeper.aws.errors import Busy, Denied, Refused, translated
from watchkeeper.aws.iam import needs

Tags = Mapping[str, str]

ARNS_A_CALL = 50
"""Half of the most that GetResources takes: asked for ARNs it gives no second page, and 50 is what
it puts into a page by itself.
"""
MOST_SHARING = 500
"""Resources with one tag that are looked through: five pages. A tag on more of them says nothing of
who works with whom.
"""


class TaggedResources:
    @cached_property
    def client(self) -> Any:
        return client("resourcegroupstaggingapi")

    @needs("tag:GetResources")
    def of(self, arns: Sequence[str]) -> dict[str, Tags]:
        """Tags by ARN; what is not in the index, or never had a tag, is not in the answer.

        One ARN that the service does not take makes it refuse all: then each is asked by itself,
        and that one is left out.
        """
        found: dict[str, Tags] = {}
        for first in range(0, len(arns), ARNS_A_CALL):
            found |= self._of(arns[first : first + ARNS_A_CALL])
        return found

    @needs("tag:GetResources")
    def sharing(self, key: str, value: str) -> tuple[dict[str, Tags], bool]:
        """Tags by ARN of what has this tag, and whether these are all; by ARN, at most 500."""
        pages = self.client.get_paginator("get_resources").paginate(
            TagFilters=[{"Key": key, "Values": [value]}], ResourcesPerPage=100
        )
        with translated("tag:GetResources"):
            listed = [
                one
                for page in islice(pages, MOST_SHARING // 100 + 1)
                for one in page["ResourceTagMappingList"]
            ]
        found = {one["ResourceARN"]: _tags(one) for one in listed[:MOST_SHARING]}
        return dict(sorted(found.items())), len(listed) <= MOST_SHARING

    def _of(self, arns: Sequence[str]) -> dict[str, Tags]:
        try:
            with translated("tag:GetResources"):
                answer = self.client.get_resources(ResourceARNList=list(arns))
        except (Busy, Denied):
            raise
        except Refused:
            if len(arns) == 1:
                return {}
            return {arn: tags for one in arns for arn, tags in self._of([one]).items()}
        return {one["ResourceARN"]: _tags(one) for one in answer["ResourceTagMappingList"]}


def _tags(found: Mapping[str, Any]) -> Tags:
    return {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}
