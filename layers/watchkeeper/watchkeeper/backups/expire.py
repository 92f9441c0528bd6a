"""What ExpireBackups does with a trigger: names the run that it means, and advances it."""

from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from watchkeeper import naming
from watchkeeper.aws.catalogue import Catalogue
from watchkeeper.aws.clock import Clock
from watchkeeper.aws.dynamodb_backups import TableBackupRemover, TableBackups
from watchkeeper.aws.ec2 import SnapshotRemover, Snapshots
from watchkeeper.aws.held import HeldPoints
from watchkeeper.aws.objects import ManifestReader
from watchkeeper.aws.policy_table import PolicyTable
from watchkeeper.aws.rds import DatabaseSnapshotRemover, DatabaseSnapshots
from watchkeeper.aws.removals import RemovalTable
from watchkeeper.aws.runs import RunTable
from watchkeeper.aws.table import Item
from watchkeeper.aws.topics import Topics
from watchkeeper.backups import expire_steps
from watchkeeper.backups.dynamodb import DynamoDbKeeper
from watchkeeper.backups.ec2 import Ec2Keeper
from watchkeeper.backups.expire_steps import EXPIRY, Expiring
from watchkeeper.backups.model import CAPABILITY, Place, Service
from watchkeeper.backups.rds import RdsKeeper
from watchkeeper.backups.removal import Decision
from watchkeeper.backups.services import Keeper
from watchkeeper.runs.engine import Engine, advance_all
from watchkeeper.runs.record import new_run
from watchkeeper.settings import ExpireBackupsSettings
from watchkeeper.triggers import RemoveNow, Tick, Wake

# Reading a policy costs 20 ms of a cold start; it is imported by what reads one.
if TYPE_CHECKING:
    from watchkeeper.policy import BackupsPolicy

CATCH_UP = timedelta(days=1)
"""An expiry that was missed is made up for within a day; after that the next one does its work."""


class ExpireBackups:
    """Removes what retention no longer keeps: the only one that may, and it can create nothing."""

    def __init__(self, settings: ExpireBackupsSettings) -> None:
        self.settings = settings
        self.runs = RunTable(settings.table)
        self.topics = Topics(settings.news_topic, settings.pages_topic)
        self.policies = PolicyTable(settings.table)

    def handle(
        self, trigger: Tick | Wake | RemoveNow, clock: Clock, deadline: datetime
    ) -> dict[str, Any]:
        """Where each run stands afterwards; for a dry run, the plan."""
        if isinstance(trigger, RemoveNow) and trigger.dry_run:
            return self._dry_run(clock())
        engine = Engine(
            self.runs, expire_steps.workflow, self.cloud, self.topics.publish, clock, deadline
        )
        return dict(advance_all(self._meant(trigger, clock()), engine))

    def _meant(self, trigger: Tick | Wake | RemoveNow, now: datetime) -> list[str]:
        if isinstance(trigger, Wake):
            return trigger.run_ids
        run_id = self._asked_for(trigger, now)
        if run_id is None:
            return []
        self.runs.start(new_run(run_id, EXPIRY, now))
        return [run_id]

    def _asked_for(self, trigger: Tick | RemoveNow, now: datetime) -> str | None:
        match trigger:
            case RemoveNow():
                return naming.by_hand_id("expire", trigger.request_id)
            case Tick():
                good = self.policies.last_good(CAPABILITY)
                if good is None:
                    return None  # there is nothing to expire before the first night
                from watchkeeper.backups.due import due_occurrences  # noqa: PLC0415 (as above)

                removal = _policy_of(good).removal
                since = naming.parse_instant(good["since"])
                passed = due_occurrences(removal.when, now - CATCH_UP, since, now)
                return naming.expiry_id(passed[-1]) if passed else None

    def _dry_run(self, now: datetime) -> dict[str, Any]:
        policy = _in_force_or_none(self.policies)
        if policy is None:
            return {
                "dry_run": True,
                "why": "TakeBackups has not read the policy yet, so there is nothing to expire",
            }
        _, plan = expire_steps.planned(self.cloud, policy, now)
        shared = [(one, expire_steps.shared(one.point, self.cloud)) for one in plan.removed]
        blocked = [
            *plan.blocked,
            *(Decision(one.point, reason) for one, reason in shared if reason),
        ]
        removed = [one for one, reason in shared if not reason]
        return {
            "dry_run": True,
            "cap": policy.removal.cap,
            "removed": [_shown(one) for one in removed],
            "blocked": [_shown(one) for one in blocked],
            "kept": [_shown(one) for one in plan.kept],
            "set_aside": [_shown(one) for one in plan.set_aside],
        }

    @cached_property
    def cloud(self) -> Expiring:
        return Expiring(
            policy=lambda: _in_force_or_none(self.policies),
            keepers=self._keepers(),
            removals=RemovalTable(self.settings.table),
            catalogue=Catalogue(self.settings.table, self.settings.stack),
            held=HeldPoints(self.settings.table, self.settings.stack),
        )

    def _keepers(self) -> dict[Service, Keeper]:
        stack, place = self.settings.stack, Place.of(self.settings.place)
        manifests = ManifestReader(self.settings.evidence_bucket)
        databases = DatabaseSnapshots(stack, self.settings.place)
        return {
            Service.EC2: Ec2Keeper(Snapshots(stack), SnapshotRemover(), place),
            Service.RDS: RdsKeeper(databases, DatabaseSnapshotRemover(), manifests, place),
            Service.DYNAMODB: DynamoDbKeeper(
                TableBackups(stack), TableBackupRemover(stack), manifests, place
            ),
        }


def _shown(decision: Decision) -> dict[str, Any]:
    point = decision.point
    return {
        "resource": point.resource,
        "id": point.id,
        "created_at": naming.instant(point.created_at),
        "snapshots": [part.snapshot for part in point.parts],
        "why": decision.why,
        "rules": list(decision.rules),
    }


def _in_force_or_none(policies: PolicyTable) -> "BackupsPolicy | None":
    good = policies.last_good(CAPABILITY)
    return _policy_of(good) if good else None


def _policy_of(good: Item) -> "BackupsPolicy":
    from watchkeeper.policy import decide_policy  # noqa: PLC0415 (as above)

    return decide_policy(good.get("text"), None).policy
