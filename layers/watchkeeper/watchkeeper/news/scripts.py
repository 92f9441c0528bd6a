"""News of the scripts around a recovery point."""

from typing import ClassVar

from watchkeeper.news.base import News, where_to_look


class PostScriptFailed(News):
    """A post script did not do its work in time: an instance may be frozen."""

    is_page: ClassVar[bool] = True
    plan: str
    instance: str
    document: str
    execution_id: str
    why: str

    def subject(self) -> str:
        return f"Post script failed: {self.instance} may be frozen"

    def text(self) -> str:
        return (
            f"The pre script of {self.document} was sent to {self.instance}, and its post script "
            "has not succeeded: databases on the instance may stand still.\n\n"
            f"Why: {self.why}\n\n"
            "Run it by hand, or thaw the instance itself:\n"
            f"    aws ssm send-command --document-name {self.document} \\\n"
            f"      --instance-ids {self.instance} \\\n"
            f"      --parameters command=post-script,executionId={self.execution_id}\n\n"
            "Meanwhile it is tried again, at least once an hour, until it succeeds by whichever "
            "hand or the instance is gone; you are reminded daily.\n\n"
            f"Runbook: docs/runbooks/post-script-failed.md\n{where_to_look(self.run)}"
        )

    def measures(self) -> dict[str, float]:
        return {"PostScriptsFailed": 1}
