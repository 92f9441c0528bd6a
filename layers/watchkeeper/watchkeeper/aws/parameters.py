"""The operator's policies in SSM Parameter Store."""

from functools import cached_property
from typing import Any

from watchkeeper.aws.client import client
from watchkeeper.aws.errors import NotThere, translated
from watchkeeper.aws.iam import needs


class Parameters:
    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    @cached_property
    def client(self) -> Any:
        return client("ssm")

    @needs("ssm:GetParameter")
    def text(self, capability: str) -> str | None:
        """The text of `<prefix>/<capability>`; None if nobody has written one."""
        try:
            with translated("ssm:GetParameter"):
                answer = self.client.get_parameter(Name=f"{self.prefix}/{capability}")
        except NotThere:
            return None
        return str(answer["Parameter"]["Value"])
