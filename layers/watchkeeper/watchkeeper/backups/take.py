"""What TakeBackups does with a trigger: names the runs that it means, and advances them."""

from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from watchkeeper import naming
from watchkeeper.aws.catalogue import Catalogue, CoverageTable, TargetTable
from watchkeeper.aws.clock import Clock
from watchkeeper.aws.dynamodb_backups import (
    PointInTime,
    TableBackups,
    TableBackupTaker,
    Tables,
    TableSettings,
)
from watchkeeper.aws.dynamodb_samples import TableSampler
from watchkeeper.aws.ec2 import Fleet, Snapshots, SnapshotTaker, TaggedResources
from watchkeeper.aws.key_watch import KeyWatchTable
from watchkeeper.aws.keys import Keys
from watchkeeper.aws.objects import Manifests
from watchkeeper.aws.other_points import OtherPoints
from watchkeeper.aws.others import BackupVaults, ManagedSnapshots
from watchkeeper.aws.parameters import Parameters
from watchkeeper.aws.policy_table import PolicyTable
from watchkeeper.aws.rds import Databases, DatabaseSnapshots, DatabaseSnapshotTaker
from watchkeeper.aws.runs import RunTable
from watchkeeper.aws.scripts import Scripts
from watchkeeper.aws.topics import Topics
from watchkeeper.backups import steps
from watchkeeper.backups.dynamodb import DynamoDbTaker
from watchkeeper.backups.ec2 import Ec2Taker
from watchkeeper.backups.key_steps import KEYS
from watchkeeper.backups.model import CAPABILITY, Place, Service
from watchkeeper.backups.rds import RdsTaker
from watchkeeper.backups.services import Taker
from watchkeeper.backups.steps import NIGHT, REBUILD
from watchkeeper.backups.taking import Taking
from watchkeeper.policies import Policies
from watchkeeper.runs.engine import Engine, advance_all
from watchkeeper.runs.record import new_run
from watchkeeper.settings import TakeBackupsSettings
from watchkeeper.triggers import (
    BackUpNow,
    BadTrigger,
    DatabaseSnapshotEvent,
    KeyEvent,
    Rebuild,
    ScriptEvent,
    SnapshotEvent,
    TakeBackupsMeant,
    Tick,
    Wake,
)

# Reading a policy costs 20 ms of a cold start; it is imported by what reads one.
if TYPE_CHECKING:
    from watchkeeper.policy import BackupsPolicy
    from watchkeeper.policy_text import PolicyDecision


def _decide(text: str | None, last_good: str | None) -> "PolicyDecision[BackupsPolicy]":
    from watchkeeper.policy import decide_policy  # noqa: PLC0415 (as above)

    return decide_policy(text, last_good)


class TakeBackups:
    """Takes what a plan says is due."""

    def __init__(self, settings: TakeBackupsSettings) -> None:
        self.settings = settings
        self.runs = RunTable(settings.table)
        self.topics = Topics(settings.news_topic, settings.pages_topic)
        self.coverage = CoverageTable(settings.table)
        self.policy = Policies(
            CAPABILITY, "backup", _decide,
            Parameters(settings.policy_prefix), PolicyTable(settings.table), self.runs,
        )  # fmt: skip

    def handle(
        self,
        trigger: TakeBackupsMeant,
        clock: Clock,
        deadline: datetime,
    ) -> dict[str, str]:
        """Where each run stands afterwards."""
        engine = Engine(self.runs, steps.workflow, self.cloud, self.topics.publish, clock, deadline)
        return advance_all(self._meant(trigger, clock()), engine)

    def _meant(self, trigger: TakeBackupsMeant, now: datetime) -> Iterable[str]:
        match trigger:
            case Tick():
                return [*self._start_due(now), self._start_keys(naming.keys_id(now), now)]
            case Wake():
                return trigger.run_ids
            case SnapshotEvent() | DatabaseSnapshotEvent() | ScriptEvent():
                return sorted(self._told_of_by(trigger))
            case KeyEvent():
                return [self._start_keys(naming.keys_event_id(trigger.id), now)]
            case BackUpNow():
                return [self._start_by_hand(trigger, now)]
            case Rebuild():
                return [self._start_rebuild(trigger, now)]

    def _told_of_by(self, event: SnapshotEvent | DatabaseSnapshotEvent | ScriptEvent) -> set[str]:
        """The runs that something has ended for; none if it is somebody else's."""
        match event:
            case SnapshotEvent():
                return self.ec2_snapshots.runs_of(event.snapshot_ids)
            case DatabaseSnapshotEvent():
                return self.database_snapshots.runs_of([event.snapshot])
            case ScriptEvent():
                run_id = self.scripts.run_of(event.command)
                return {run_id} if run_id else set()

    def _start_rebuild(self, trigger: Rebuild, now: datetime) -> str:
        run = new_run(naming.rebuild_id(trigger.request_id), REBUILD, now, workflow="rebuild")
        self.runs.start(run)
        return run.id

    def _start_keys(self, run_id: str, now: datetime) -> str:
        self.runs.start(new_run(run_id, KEYS, now, workflow="keys"))
        return run_id

    def _start_due(self, now: datetime) -> list[str]:
        """Runs for the nights that have come; for a policy that was refused, a run that tells
        people.
        """
        from watchkeeper.backups.due import due_nights  # noqa: PLC0415 (as above)

        policy, since, told = self.policy.read(now)
        standings = self.coverage.standings(CAPABILITY)
        started = {plan: at for plan, stands in standings.items() if (at := stands.started)}
        meant = [told] if told else []
        for night in due_nights(policy, started, since, now):
            run = new_run(
                naming.night_id(night.plan, night.occurrence),
                NIGHT,
                now,
                workflow="night",
                plan=night.plan,
                occurrence=naming.minute(night.occurrence),
                missed=str(night.missed),
            )
            self.runs.start(run)
            self.coverage.started(CAPABILITY, night.plan, night.occurrence)
            meant.append(run.id)
        return meant

    def _start_by_hand(self, trigger: BackUpNow, now: datetime) -> str:
        plans = self.policy.in_force().plans
        if trigger.plan not in plans:
            raise BadTrigger(
                f"the policy has no plan {trigger.plan!r}; its plans are {', '.join(plans)}"
            )
        facts = {"workflow": "night", "plan": trigger.plan, "occurrence": naming.minute(now)}
        if trigger.resources:
            facts["only"] = " ".join(trigger.resources)
        if trigger.tags:
            facts["words"] = " ".join(trigger.tags)
        run = new_run(naming.by_hand_id("backup", trigger.request_id), NIGHT, now, **facts)
        self.runs.start(run)
        return run.id

    @cached_property
    def ec2_snapshots(self) -> Snapshots:
        return Snapshots(self.settings.stack)

    @cached_property
    def database_snapshots(self) -> DatabaseSnapshots:
        return DatabaseSnapshots(self.settings.stack, self.settings.place)

    @cached_property
    def scripts(self) -> Scripts:
        return Scripts(self.settings.stack)

    @cached_property
    def cloud(self) -> Taking:
        table, stack, place = self.settings.table, self.settings.stack, self.settings.place
        return Taking(
            stack=stack,
            place=Place.of(place),
            policy=self.policy.in_force,
            takers=self._takers(),
            tagged=TaggedResources(),
            keys=Keys(),
            scripts=self.scripts,
            point_in_time=PointInTime(),
            databases=Databases(place),
            vaults=BackupVaults(place),
            managed=ManagedSnapshots(place),
            runs=self.runs,
            targets=TargetTable(table),
            catalogue=Catalogue(table, stack),
            others=OtherPoints(table, stack),
            coverage=self.coverage,
            watch=KeyWatchTable(table),
        )

    def _takers(self) -> dict[Service, Taker]:
        stack, arns = self.settings.stack, self.settings.place
        place, manifests = Place.of(arns), Manifests(self.settings.evidence_bucket)
        return {
            Service.EC2: Ec2Taker(Fleet(arns), SnapshotTaker(), self.ec2_snapshots, place),
            Service.RDS: RdsTaker(
                Databases(arns), self.database_snapshots, DatabaseSnapshotTaker(), manifests, place
            ),
            Service.DYNAMODB: DynamoDbTaker(
                Tables(arns, own=self.settings.table), TableSettings(), TableBackupTaker(),
                TableBackups(stack), manifests, place, TableSampler(),
            ),
        }  # fmt: skip
