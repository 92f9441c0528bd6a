"""What TakeBackups does with a trigger: names the runs that it means, and advances them."""

from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from watchkeeper import naming, telemetry
from watchkeeper.aws.catalogue import Catalogue, CoverageTable, PolicyTable, TargetTable
from watchkeeper.aws.clock import Clock
from watchkeeper.aws.ec2 import Fleet, Snapshots, SnapshotTaker, TaggedResources
from watchkeeper.aws.parameters import Parameters
from watchkeeper.aws.runs import RunTable
from watchkeeper.aws.topics import Topics
from watchkeeper.backups import steps
from watchkeeper.backups.ec2 import Ec2Points, Ec2Sources
from watchkeeper.backups.model import CAPABILITY, Place
from watchkeeper.backups.steps import NIGHT, REBUILD, Taking
from watchkeeper.news.backups import PolicyGone, PolicyRefused
from watchkeeper.news.base import News
from watchkeeper.runs.engine import Engine, advance_all
from watchkeeper.runs.record import new_run, news_run
from watchkeeper.settings import TakeBackupsSettings
from watchkeeper.triggers import BackUpNow, BadTrigger, Rebuild, SnapshotEvent, Tick, Wake

# Reading a policy costs 20 ms of a cold start; it is imported by what reads one.
if TYPE_CHECKING:
    from watchkeeper.policy import BackupsPolicy


class TakeBackups:
    """Takes what a plan says is due."""

    def __init__(self, settings: TakeBackupsSettings) -> None:
        self.settings = settings
        self.runs = RunTable(settings.table)
        self.topics = Topics(settings.news_topic, settings.pages_topic)
        self.policies = PolicyTable(settings.table)
        self.coverage = CoverageTable(settings.table)
        self.parameters = Parameters(settings.policy_prefix)

    def handle(
        self,
        trigger: Tick | Wake | SnapshotEvent | BackUpNow | Rebuild,
        clock: Clock,
        deadline: datetime,
    ) -> dict[str, str]:
        """Where each run stands afterwards."""
        engine = Engine(self.runs, steps.workflow, self.cloud, self.topics.publish, clock, deadline)
        return advance_all(self._meant(trigger, clock()), engine)

    def _meant(
        self, trigger: Tick | Wake | SnapshotEvent | BackUpNow | Rebuild, now: datetime
    ) -> Iterable[str]:
        match trigger:
            case Tick():
                return self._start_due(now)
            case Wake():
                return trigger.run_ids
            case SnapshotEvent():
                return sorted(self.cloud.shown.runs_of(trigger.snapshot_ids))
            case BackUpNow():
                return [self._start_by_hand(trigger, now)]
            case Rebuild():
                run = new_run(
                    naming.rebuild_id(trigger.request_id), REBUILD, now, workflow="rebuild"
                )
                self.runs.start(run)
                return [run.id]

    def _start_due(self, now: datetime) -> list[str]:
        """Runs for the nights that have come; for a policy that was refused, a run that tells
        people.
        """
        from watchkeeper.backups.due import due_nights  # noqa: PLC0415 (as above)

        policy, since, refused = self._read_policy(now)
        standings = self.coverage.standings(CAPABILITY)
        started = {plan: at for plan, stands in standings.items() if (at := stands.started)}
        meant = [refused] if refused else []
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

    def _read_policy(self, now: datetime) -> "tuple[BackupsPolicy, datetime, str]":
        """The policy in force, since when there has been one, and the run that tells people about
        a text that was refused or is gone, if any.
        """
        from watchkeeper.policy import decide_policy, policy_digest  # noqa: PLC0415 (as above)

        text = self.parameters.text(CAPABILITY)
        good = self.policies.last_good(CAPABILITY)
        decision = decide_policy(text, good.get("text") if good else None)
        since = naming.parse_instant(good["since"]) if good else now
        telemetry.count("PolicyRefused", 1 if decision.refused else 0)
        if decision.refused:
            told = {"problems": str(decision.refused), "in_force": decision.why}
            run_id = naming.refused_policy_id(policy_digest(text or ""))
            return decision.policy, since, self._tell(run_id, PolicyRefused, now, told)
        digest = policy_digest(text) if text is not None else "default"
        if good and good["digest"] == digest:
            return decision.policy, since, ""
        telemetry.logger.info("policy accepted", extra={"why": decision.why})
        meant = ""
        if good and text is None:
            run_id = naming.gone_policy_id(good["digest"], now)
            meant = self._tell(run_id, PolicyGone, now, {})
        previous = good.get("text") if good else None
        self.policies.accept(CAPABILITY, text, digest, since, previous)
        return decision.policy, since, meant

    def _tell(self, run_id: str, kind: type[News], now: datetime, fields: dict[str, str]) -> str:
        """A run that does nothing but tell people, once per id; its id."""
        parameter = f"{self.parameters.prefix}/{CAPABILITY}"
        told = kind.about(news_run(run_id, now), at=now, parameter=parameter, **fields)
        self.runs.start(news_run(run_id, now, told))
        return run_id

    def _policy_in_force(self) -> "BackupsPolicy":
        from watchkeeper.policy import decide_policy  # noqa: PLC0415 (as above)

        good = self.policies.last_good(CAPABILITY)
        return decide_policy(
            self.parameters.text(CAPABILITY), good.get("text") if good else None
        ).policy

    def _start_by_hand(self, trigger: BackUpNow, now: datetime) -> str:
        plans = self._policy_in_force().plans
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
    def cloud(self) -> Taking:
        table, place = self.settings.table, self.settings.place
        return Taking(
            stack=self.settings.stack,
            place=Place.of(self.settings.place),
            policy=self._policy_in_force,
            sources=Ec2Sources(Fleet(place), TaggedResources()),
            taker=SnapshotTaker(),
            shown=Ec2Points(Snapshots(self.settings.stack), Place.of(self.settings.place)),
            runs=self.runs,
            targets=TargetTable(table),
            catalogue=Catalogue(table, self.settings.stack),
            coverage=self.coverage,
        )
