"""The sweep as a function: wakes what is due, counts what is overdue, and is itself missed when it
stops.
"""

from datetime import datetime

from watchkeeper import naming, telemetry
from watchkeeper.aws.catalogue import CoverageTable
from watchkeeper.aws.policy_table import PolicyTable
from watchkeeper.aws.runs import DueTable
from watchkeeper.aws.topics import Topics
from watchkeeper.backups.model import CAPABILITY
from watchkeeper.runs.sweep import sweep
from watchkeeper.settings import SweepRunsSettings

CAPABILITIES = ("backup", "expire", "drill", "recover", "triage")
"""The first words of all run ids; the due index has one partition for each."""


class SweepRuns:
    def __init__(self, settings: SweepRunsSettings) -> None:
        self.due = DueTable(settings.table)
        self.policies = PolicyTable(settings.table)
        self.coverage = CoverageTable(settings.table)
        self.topics = Topics(settings.news_topic)

    def handle(self, now: datetime) -> dict[str, list[str]]:
        """What was woken and what is overdue. Overdue is counted first: it must be told even if no
        wake-up can be sent.
        """
        late = self._late_backups(now)
        telemetry.count("BackupsOverdue", len(late))
        swept = sweep(CAPABILITIES, self.due, self.topics.publish, now)
        telemetry.count("RunsOverdue", len(swept.overdue))
        telemetry.count("SweepCompleted")
        if late or swept.overdue:
            telemetry.logger.warning("overdue", extra={"backups": late, "runs": swept.overdue})
        return {
            "woken": list(swept.woken),
            "overdue_runs": list(swept.overdue),
            "overdue_backups": late,
        }

    def _late_backups(self, now: datetime) -> list[str]:
        # Reading a policy costs 20 ms of a cold start; it is imported by what reads one.
        from watchkeeper.backups.due import overdue  # noqa: PLC0415
        from watchkeeper.policy import decide_policy  # noqa: PLC0415

        good = self.policies.last_good(CAPABILITY)
        if good is None:
            return ["every plan: TakeBackups has not read the policy yet"]
        policy = decide_policy(good.get("text"), None).policy
        standings = self.coverage.standings(CAPABILITY)
        late = overdue(policy, standings, naming.parse_instant(good["since"]), now)
        return [f"{one.plan}: {one.why}" for one in late]
