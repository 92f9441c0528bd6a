"""News of backups."""

from typing import ClassVar

from watchkeeper.news.base import News, where_to_look


class RecoveryPointsCompleted(News):
    """A shard of a night has ended: each of its targets has a recovery point, or a reason."""

    plan: str
    completed: int
    failed: int
    doubles: int
    """Second recovery points, made where EC2's answer was lost; they are expired."""
    reasons: list[str] = []
    """One line per target that has none."""
    crash_consistent: str = ""
    """The instance whose scripts did not hold it still, and why; such a one is alone in its shard.
    """

    def measures(self) -> dict[str, float]:
        return {
            "RecoveryPointsCompleted": self.completed,
            "RecoveryPointsFailed": self.failed,
            "RecoveryPointsDoubled": self.doubles,
        }


class BackupsReported(News):
    """A night has ended, and this is how its plan stands."""

    plan: str
    targets: int
    completed: int
    failed: int
    unprotected: int
    findings: list[str] = []
    database_snapshot_quota_used: float = 0
    """Percent of what RDS allows: taken now, or soon."""

    def measures(self) -> dict[str, float]:
        return {
            "UnprotectedResources": self.unprotected,
            "ProtectedResources": self.targets,
            "DatabaseSnapshotQuotaUsed": self.database_snapshot_quota_used,
        }


class ResourcesAtRisk(News):
    """Resources have no recovery point within their objective that had one after the last night.

    Told once for each: an alarm that sounds for the first does not sound again for the second.
    """

    is_page: ClassVar[bool] = True
    plan: str
    fresh: list[str]
    fresh_in_all: int
    """The list may have been cut."""
    in_all: int

    def subject(self) -> str:
        return f"At risk in plan {self.plan}: {self.fresh_in_all} more, {self.in_all} in all"

    def text(self) -> str:
        return (
            f"After this night, these resources of plan {self.plan} cannot be restored as was "
            "promised:\n\n"
            + "\n".join(f"- {line}" for line in self.fresh)
            + f"\n\n{self.in_all} of the plan are at risk in all. The next night tries them again; "
            "you are not told of these again until they have been well.\n\n"
            f"Runbook: docs/runbooks/backups-overdue.md\n{where_to_look(self.run)}"
        )


class RecoveryPointsRemoved(News):
    """What retention no longer keeps was read back as gone."""

    removed: int
    refused: int
    """Those that something forbids removing."""
    kept: int
    reasons: list[str] = []

    def measures(self) -> dict[str, float]:
        return {"RecoveryPointsRemoved": self.removed, "RemovalsRefused": self.refused}


class RemovalHalted(News):
    """Retention would have removed more than the policy's cap, so it removed nothing."""

    is_page: ClassVar[bool] = True
    planned: int
    cap: int

    def subject(self) -> str:
        return f"Removal halted: {self.planned} recovery points, the cap is {self.cap}"

    def text(self) -> str:
        return (
            f"Retention would remove {self.planned} recovery points in one run; "
            f"the policy's cap is {self.cap}. "
            f"Nothing was removed.\n\n"
            "Either the policy was changed by mistake, or much has come of age at once. "
            "Look at the plan first: invoke ExpireBackups with\n"
            '    {"trigger": "by-hand", "request_id": "look", "dry_run": true}\n'
            f"If it is right, raise removal.cap in the policy; the next run will do it.\n\n"
            f"Runbook: docs/runbooks/removal-halted.md\n{where_to_look(self.run)}"
        )

    def measures(self) -> dict[str, float]:
        return {"RemovalHalted": 1}
