"""KMS: what state keys are in. Nothing here uses a key, or changes one."""

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from watchkeeper.aws.client import client
from watchkeeper.aws.errors import NotThere, Refused, translated
from watchkeeper.aws.iam import needs
from watchkeeper.backups.keys import GONE, UNCHECKED, KeyState


class Keys:
    @cached_property
    def client(self) -> Any:
        return client("kms")

    @needs("kms:DescribeKey")
    def states(self, arns: Iterable[str]) -> dict[str, KeyState]:
        """Per key, one call each. A key that is gone, or that we may not look at, is an answer
        about that key; raises Busy if KMS gives none.
        """
        return {arn: self._state(arn) for arn in sorted(set(arns))}

    def _state(self, arn: str) -> KeyState:
        region = self.client.meta.region_name
        # To KMS, a key of another Region does not exist: "NotFoundException: Invalid arn eu-west-1"
        if not arn.startswith("arn:") or arn.split(":")[3] != region:
            return KeyState(arn, UNCHECKED, problem=f"it is no ARN of a key in {region}")
        try:
            with translated("kms:DescribeKey"):
                found = self.client.describe_key(KeyId=arn)["KeyMetadata"]
        except NotThere:
            return KeyState(arn, GONE)
        except Refused as refused:
            return KeyState(arn, UNCHECKED, problem=refused.quoted)
        return KeyState(arn, found["KeyState"], found.get("DeletionDate"))
