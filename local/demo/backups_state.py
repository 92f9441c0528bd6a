"""What can be recovered at the end of the week, by the product's own adapters and rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from local.cloud import Cloud
from watchkeeper import naming
from watchkeeper.aws.catalogue import Catalogue, PolicyTable
from watchkeeper.aws.ec2 import Fleet, TaggedResources
from watchkeeper.aws.parameters import Parameters
from watchkeeper.backups.ec2 import Ec2Sources
from watchkeeper.backups.model import ACCEPTED, Finding, Gap, Kind, RecoveryPoint, Resource, State
from watchkeeper.backups.rules import Inventory, choose, cover, newest_completed
from watchkeeper.policy import BackupsPolicy, decide_policy

LOOK = {"trigger": "by-hand", "request_id": "look", "dry_run": True}


@dataclass(frozen=True)
class Fate:
    """What became of a recovery point, or will, and why."""

    point: RecoveryPoint
    word: str
    """`kept`, `refused` (to remove), `expiring` (at the next removal), `failed`, `removed`."""
    why: str
    rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class Protected:
    """A resource that a plan protects, and everything it can or could be recovered from."""

    arn: str
    name: str
    kind: Kind
    plan: str
    fates: Sequence[Fate]
    """Newest first."""
    objective: timedelta | None
    gap: Finding | None
    """What the product's own rule finds wrong with its protection now."""

    def counted(self, word: str) -> list[Fate]:
        return [fate for fate in self.fates if fate.word == word]

    @cached_property
    def completed(self) -> list[RecoveryPoint]:
        """What it can be restored from now, newest first."""
        return [fate.point for fate in self.fates if fate.point.state is State.COMPLETED]

    @cached_property
    def since(self) -> datetime | None:
        """Since when there has always been something to restore from."""
        ever = [one.point for one in self.fates if one.word != "failed" and one.point.completed_at]
        return min((point.created_at for point in ever), default=None)


@dataclass(frozen=True)
class BackupsState:
    at: datetime
    policy: BackupsPolicy
    protected: Sequence[Protected]
    unprotected: Sequence[Finding]

    @property
    def gaps(self) -> list[Finding]:
        """What nobody has decided to leave unprotected."""
        return [finding for finding in self.unprotected if finding.gap not in ACCEPTED]


def read_backups(cloud: Cloud) -> BackupsState:
    """The state now; asks ExpireBackups for a dry run, which touches nothing."""
    now, policy = cloud.clock.now(), _policy(cloud)
    inventory = _inventory(cloud, policy.choose_by)
    choice = choose(inventory, policy)
    catalogue = Catalogue(cloud.physical_id("Table"), cloud.stack_name)
    listed = list(catalogue.listed())
    chosen = {one.arn: plan for plan, targets in choice.targets.items() for one in targets}
    plans = {point.resource: point.plan for point in listed} | chosen
    gaps = _gaps(policy, choice, listed, now)
    decided = _decided(cloud.invoke("ExpireBackups", LOOK).result)
    resources = _resources(inventory)
    protected = []
    for arn, plan in plans.items():
        known = resources.get(arn)
        protected.append(
            Protected(
                arn=arn,
                name=(known.name if known else "") or naming.ec2_id(arn),
                kind=Kind.INSTANCE if naming.ec2_type(arn) == "instance" else Kind.VOLUME,
                plan=plan,
                fates=_fates(catalogue.of(arn), decided),
                objective=policy.plans[plan].rpo.approximate() if plan in policy.plans else None,
                gap=gaps.get(arn),
            )
        )
    order = list(policy.plans)
    protected.sort(key=lambda one: (order.index(one.plan) if one.plan in order else 99, one.name))
    return BackupsState(now, policy, protected, choice.findings)


def names_of(cloud: Cloud) -> dict[str, str]:
    """What people call the resources, by ARN and by id."""
    names: dict[str, str] = {}
    for arn, resource in _resources(_inventory(cloud, "")).items():
        if resource.name:
            names |= {arn: resource.name, naming.ec2_id(arn): resource.name}
    return names


def _policy(cloud: Cloud) -> BackupsPolicy:
    """The policy in force, decided as TakeBackups decides it."""
    prefix = cloud.functions.find("TakeBackups").environment["POLICY_PREFIX"]
    good = PolicyTable(cloud.physical_id("Table")).last_good("backups")
    text = Parameters(prefix).text("backups")
    return decide_policy(text, good.get("text") if good else None).policy


def _inventory(cloud: Cloud, choose_by: str) -> Inventory:
    fleet = Fleet(("aws", cloud.region, cloud.account_id))
    if not choose_by:
        return Inventory(fleet.instances(), fleet.volumes())
    return Ec2Sources(fleet, TaggedResources()).inventory(choose_by)


def _resources(inventory: Inventory) -> dict[str, Resource]:
    return {one.arn: one for one in (*inventory.instances, *inventory.volumes)}


def _gaps(
    policy: BackupsPolicy, choice: Any, listed: Sequence[RecoveryPoint], now: datetime
) -> dict[str, Finding]:
    """What the rule that reports every night would say now of the resources that have a plan."""
    newest = newest_completed(listed)
    findings = [
        finding
        for plan, targets in choice.targets.items()
        for finding in cover(
            policy, plan, choice, [one.arn for one in targets], newest, now, now
        ).findings
        if finding.gap in (Gap.NO_RECOVERY_POINT, Gap.RPO_MISSED)
    ]
    return {finding.resource: finding for finding in findings}


def _decided(dry_run: Mapping[str, Any]) -> dict[tuple[str, str], tuple[str, str, tuple[str, ...]]]:
    """Per resource and point, what a removal would do now."""
    words = {"kept": "kept", "blocked": "refused", "removed": "expiring", "set_aside": "failed"}
    return {
        (one["resource"], one["id"]): (word, one["why"], tuple(one["rules"]))
        for key, word in words.items()
        for one in dry_run.get(key, ())
    }


def _fates(
    points: Iterable[RecoveryPoint],
    decided: Mapping[tuple[str, str], tuple[str, str, tuple[str, ...]]],
) -> list[Fate]:
    fates = []
    for point in points:
        word, why, rules = decided.get((point.resource, point.id), ("", point.why, ()))
        if point.state is State.REMOVED:
            word = "removed"
        elif point.state is State.FAILED:
            word, why = "failed", point.why
        fates.append(Fate(point, word or point.state.value, why, rules))
    return sorted(fates, key=lambda fate: fate.point.created_at, reverse=True)
