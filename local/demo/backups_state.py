"""What can be recovered at the end of the week, by the product's own adapters and rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from local.cloud import Cloud
from watchkeeper import naming
from watchkeeper.backups import keys, quota
from watchkeeper.backups.coverage import Kept, Night, cover
from watchkeeper.backups.model import (
    ACCEPTED,
    Finding,
    Gap,
    Kind,
    RecoveryPoint,
    Resource,
    Span,
    State,
)
from watchkeeper.backups.rules import Choice, choose
from watchkeeper.backups.take import TakeBackups
from watchkeeper.backups.taking import Taking
from watchkeeper.policy import BackupsPolicy
from watchkeeper.settings import TakeBackupsSettings

LOOK = {"trigger": "by-hand", "request_id": "look", "dry_run": True}
AT_RISK = frozenset({Gap.NO_RECOVERY_POINT, Gap.RPO_MISSED})
"""Findings about what a plan protects: it cannot be restored as was promised."""


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
    """Why it cannot be restored as its plan promises, by the product's own rule."""
    span: Span | None = None
    """What it can be restored to any moment of."""
    weaker: Finding | None = None
    """Why it can be restored, but not as its plan asks."""
    failing_key: str = ""
    """The key without which nothing of it can be restored, if that fails."""

    def counted(self, word: str) -> list[Fate]:
        return [fate for fate in self.fates if fate.word == word]

    @cached_property
    def completed(self) -> list[RecoveryPoint]:
        """What it can be restored from now, newest first."""
        return [fate.point for fate in self.fates if fate.point.state is State.COMPLETED]

    @property
    def newest(self) -> datetime | None:
        """The latest moment that can be restored."""
        taken = [point.created_at for point in self.completed[:1]]
        return max([*taken, self.span.latest] if self.span else taken, default=None)

    @property
    def oldest(self) -> datetime | None:
        """The furthest moment back that can be restored."""
        taken = [point.created_at for point in self.completed[-1:]]
        return min([*taken, self.span.earliest] if self.span else taken, default=None)


@dataclass(frozen=True)
class BackupsState:
    at: datetime
    policy: BackupsPolicy
    protected: Sequence[Protected]
    unprotected: Sequence[Finding]
    others: Sequence[RecoveryPoint] = ()
    """What somebody else keeps; spans of point-in-time recovery are not among them."""
    limits: Sequence[quota.Forecast] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    """What people call resources and keys, by ARN and by id."""

    @property
    def gaps(self) -> list[Finding]:
        """What nobody has decided to leave unprotected."""
        return [finding for finding in self.unprotected if finding.gap not in ACCEPTED]


def read_backups(cloud: Cloud) -> BackupsState:
    """The state now; asks ExpireBackups for a dry run, which touches nothing."""
    now, taking = cloud.clock.now(), _taking(cloud)
    policy, ours = taking.policy(), list(taking.catalogue.listed())
    others, spans = _others(taking)
    inventory = taking.inventory(policy.choose_by, others)
    choice = choose(inventory, policy)
    found = _found(policy, choice, Kept.of(ours, others), now)
    failing = _failing_keys(taking, [*ours, *others])
    decided = _decided(cloud.invoke("ExpireBackups", LOOK).result)
    chosen = {one.arn: plan for plan, targets in choice.targets.items() for one in targets}
    resources = {one.arn: one for one in inventory.resources}
    protected = [
        Protected(
            arn=arn,
            name=_name(resources.get(arn), arn),
            kind=Kind.of(arn) or Kind.VOLUME,
            plan=plan,
            fates=_fates(taking.catalogue.of(arn), decided),
            objective=policy.plans[plan].rpo.approximate() if plan in policy.plans else None,
            gap=_first(found, arn, lambda gap: gap in AT_RISK),
            span=spans.get(arn),
            weaker=_first(found, arn, lambda gap: gap not in AT_RISK),
            failing_key=failing.get(arn, ""),
        )
        for arn, plan in ({point.resource: point.plan for point in ours} | chosen).items()
    ]
    order = list(policy.plans)
    protected.sort(key=lambda one: (order.index(one.plan) if one.plan in order else 99, one.name))
    held = quota.held_by_plan(choice.targets, ours)
    limits = quota.forecasts(taking.databases.quotas(), held, policy, now)
    unprotected = [one for one in found if one.resource not in chosen]
    return BackupsState(
        at=now,
        policy=policy,
        protected=protected,
        unprotected=[*unprotected, *quota.findings(limits)],
        others=[point for point in others if not point.until],
        limits=limits,
        names=names_of(cloud),
    )


def _found(policy: BackupsPolicy, choice: Choice, kept: Kept, now: datetime) -> list[Finding]:
    """What the rule that reports every night would say now, of all plans."""
    found: dict[tuple[str, Gap], Finding] = {}
    for plan in policy.plans:
        arns = frozenset(target.arn for target in choice.targets.get(plan, ()))
        coverage = cover(policy, Night(plan, now, arns), choice, kept, (), now)
        # Of another plan's, that one's own report knows more.
        mine = [one for one in coverage.findings if one.plan in ("", plan)]
        found |= {(one.resource, one.gap): one for one in mine}
    return list(found.values())


def names_of(cloud: Cloud) -> dict[str, str]:
    """What people call resources and keys, by ARN and by id."""
    names: dict[str, str] = {}
    found = [one for taker in _taking(cloud).takers.values() for one in taker.resources()]
    often = Counter(one.name for one in found)
    for one in found:
        if one.name:
            name = one.name if often[one.name] == 1 else f"the {one.type} {one.name}"
            names |= {one.arn: name, naming.ec2_id(one.arn): name}
    for alias in cloud.client("kms").list_aliases()["Aliases"]:
        if key := alias.get("TargetKeyId"):
            names[key] = alias["AliasName"].removeprefix("alias/")
    return names


def taken_in(cloud: Cloud) -> dict[str, Counter[Kind]]:
    """Per night, of what there are completed recovery points that are still there."""
    taken: dict[str, Counter[Kind]] = {}
    for point in _taking(cloud).catalogue.listed():
        if point.state is State.COMPLETED:
            night = point.run.rpartition("#")[0]
            taken.setdefault(night, Counter())[point.kind] += 1
    return taken


def _taking(cloud: Cloud) -> Taking:
    """What TakeBackups itself acts on."""
    environment = cloud.functions.find("TakeBackups").environment
    return TakeBackups(TakeBackupsSettings.read(environment)).cloud


def _others(taking: Taking) -> tuple[list[RecoveryPoint], dict[str, Span]]:
    """What others keep as the last night read it, and the spans as they are now."""
    listed = list(taking.others.listed())
    spans: dict[str, Span] = {}
    for service, taker in taking.takers.items():
        arns = [one.resource for one in listed if one.until and one.kind.service is service]
        spans |= {arn: span for arn, span in taker.spans(arns).items() if isinstance(span, Span)}
    others = [
        replace(one, created_at=spans[one.resource].earliest, until=spans[one.resource].latest)
        if one.until and one.resource in spans
        else one
        for one in listed
    ]
    return others, spans


def _failing_keys(taking: Taking, points: Sequence[RecoveryPoint]) -> dict[str, str]:
    """Per resource that nothing can be restored of without it, the key that fails."""
    under = keys.held(points)
    found = keys.failing(under, taking.keys.states(keys.keys_of(under)))
    return {loss.resource: one.key.arn for one in found for loss in one.losses if loss.is_last}


def _name(resource: Resource | None, arn: str) -> str:
    """Of what is gone, its id."""
    return (resource.name if resource else "") or arn.rpartition(":")[2].rpartition("/")[2]


def _first(found: Iterable[Finding], arn: str, wanted: Callable[[Gap], bool]) -> Finding | None:
    return next((one for one in found if one.resource == arn and wanted(one.gap)), None)


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
