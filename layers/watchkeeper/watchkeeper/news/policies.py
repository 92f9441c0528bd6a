"""News of the operator's policies, the same for every capability."""

from typing import ClassVar

from watchkeeper import naming
from watchkeeper.news.base import News


class PolicyGone(News):
    """The operator's policy parameter is not there any more, so the documented default rules."""

    is_page: ClassVar[bool] = True
    parameter: str

    @property
    def item(self) -> str:
        return naming.policy_key(self.parameter.rsplit("/", 1)[-1])["pk"]

    def subject(self) -> str:
        return f"Policy gone: {self.parameter}"

    def text(self) -> str:
        return (
            f"The parameter {self.parameter} is not there any more: the documented default policy "
            "is in force. What it asks for, and what it keeps, may differ from yours.\n\n"
            "If that is not meant, write the parameter again before anything is removed by it. The "
            f"text that was in force is kept as `previous` in the item {self.item} of the table."
            "\n\n"
            "Runbook: docs/runbooks/policy-refused.md"
        )


class PolicyRefused(News):
    """The operator's policy was not put in force."""

    is_page: ClassVar[bool] = True
    parameter: str
    problems: str
    in_force: str

    def subject(self) -> str:
        return f"Policy refused: {self.parameter}"

    def text(self) -> str:
        return (
            f"The policy in the parameter {self.parameter} was refused.\n\n{self.problems}\n\n"
            f"Meanwhile, {self.in_force}.\n\nRunbook: docs/runbooks/policy-refused.md"
        )
