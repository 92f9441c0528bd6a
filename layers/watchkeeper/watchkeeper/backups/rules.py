"""What a night takes, and what the account's snapshots amount to. Pure: plain data in, decisions
with their reasons out.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from watchkeeper import naming
from watchkeeper.backups.model import (
    KIND_OF,
    OPTED_OUT,
    Elsewhere,
    Finding,
    Gap,
    Kind,
    Part,
    Place,
    RecoveryPoint,
    Resource,
    Service,
    Snapshot,
    State,
    Target,
)
from watchkeeper.quoting import quoted

if TYPE_CHECKING:  # reading a policy costs 20 ms of a cold start, and most wake-ups need none
    from watchkeeper.policy import BackupsPolicy, Plan

SHARD = 400
"""Targets in one shard: EC2 lets an account create about five snapshots a second, so a shard takes
80 s of a function's 600, and its targets fit into one item. More shards mean more polling calls per
recovery point.
"""

# ── What a night takes ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Inventory:
    """What there is, as Describe shows it now."""

    resources: Sequence[Resource] = ()
    others: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """ARN and tags of resources of any kind that carry the tag by which resources choose."""
    elsewhere: Mapping[str, Elsewhere] = field(default_factory=dict)
    """Per ARN, the newest recovery point that somebody else keeps."""

    def of(self, *kinds: Kind) -> list[Resource]:
        return [resource for resource in self.resources if resource.kind in kinds]


@dataclass(frozen=True)
class Choice:
    targets: Mapping[str, Sequence[Target]]
    """Per plan."""
    findings: Sequence[Finding]
    """Everything that is not protected, or not as somebody may think."""


def choose(inventory: Inventory, policy: "BackupsPolicy") -> Choice:
    """Who is backed up by which plan, and who by none, with reasons."""
    chosen: dict[str, list[Target]] = defaultdict(list)
    findings: list[Finding] = []
    _choose_machines(inventory, policy, chosen, findings)
    _choose_databases(inventory, policy, chosen, findings)
    findings += _unsupported(inventory, policy)
    order = list(Gap)
    findings.sort(key=lambda finding: (order.index(finding.gap), finding.name, finding.resource))
    return Choice(
        {plan: sorted(targets, key=lambda one: one.arn) for plan, targets in chosen.items()},
        findings,
    )


def _choose_machines(
    inventory: Inventory,
    policy: "BackupsPolicy",
    chosen: dict[str, list[Target]],
    findings: list[Finding],
) -> None:
    """An instance takes all its volumes along as one crash-consistent set. A volume is taken by
    itself if its own tag names another plan than its instance's, or if its instance is in no plan.
    """
    volumes = _by_id(inventory)
    plan_of_instance: dict[str, str] = {}
    for instance in inventory.of(Kind.INSTANCE):
        parts = [volumes[one].arn if one in volumes else one for one in instance.volumes]
        kept = _kept([instance.arn], inventory.elsewhere) or _kept(parts, inventory.elsewhere)
        plan = _plan_of(instance, policy, findings, kept)
        left_out = [
            one for one in instance.volumes
            if one in volumes and volumes[one].tags.get(policy.choose_by) == OPTED_OUT
        ]  # fmt: skip
        if plan and set(instance.volumes) <= set(left_out):
            findings.append(_nothing_to_keep(instance, plan, left_out))
            plan = ""
        elif plan:
            chosen[plan].append(_instance_target(instance, policy.plans[plan], volumes, left_out))
        plan_of_instance[naming.ec2_id(instance.arn)] = plan
    for volume in volumes.values():
        if volume.attached_to in plan_of_instance and policy.choose_by not in volume.tags:
            continue  # its instance answers for it
        plan = _plan_of(volume, policy, findings, _kept([volume.arn], inventory.elsewhere))
        if plan and plan != plan_of_instance.get(volume.attached_to):
            chosen[plan].append(_target(volume))


def _nothing_to_keep(instance: Resource, plan: str, left_out: Sequence[str]) -> Finding:
    what = "all its volumes have opted out" if left_out else "it has no EBS volumes"
    why = f"the instance is in plan {plan}, but {what}"
    return Finding(instance.arn, instance.name, Gap.NOTHING_TO_KEEP, why, plan)


def _choose_databases(
    inventory: Inventory,
    policy: "BackupsPolicy",
    chosen: dict[str, list[Target]],
    findings: list[Finding],
) -> None:
    """Databases and tables, each by itself. What only copies another is answered for by that one;
    RDS takes no snapshots of what is stopped.
    """
    for one in inventory.of(Kind.DATABASE, Kind.CLUSTER, Kind.TABLE):
        if one.copy_of:
            findings += _copied(one, policy)
            continue
        plan = _plan_of(one, policy, findings, _kept([one.arn], inventory.elsewhere))
        if plan and one.state in STOPPED:
            why = (
                "RDS takes no snapshot of it until it is started, which RDS does itself after seven"
                " days; nothing changes in it before that"
            )
            findings.append(Finding(one.arn, one.name, Gap.STOPPED, why, plan))
        elif plan:
            chosen[plan].append(_target(one))


STOPPED = frozenset({"stopped", "stopping"})


def _copied(copy: Resource, policy: "BackupsPolicy") -> list[Finding]:
    """A finding for a copy that asks for a plan; one that asks for nothing needs no word."""
    value = copy.tags.get(policy.choose_by, OPTED_OUT)
    if value == OPTED_OUT:
        return []
    source = naming.rds_name(copy.copy_of)
    what = "a member" if Kind.of(copy.copy_of) is Kind.CLUSTER else "a read replica"
    why = f"{what} of {source}, which is backed up in its place if its own tag names a plan"
    return [Finding(copy.arn, copy.name, Gap.COPY, why)]


def _plan_of(
    resource: Resource, policy: "BackupsPolicy", findings: list[Finding], kept: str
) -> str:
    """The plan that a resource has chosen; empty, with a finding, if none."""
    value = resource.tags.get(policy.choose_by)
    if value in policy.plans:
        return value or ""
    if value is None:
        finding = _never_tagged(resource, policy, kept)
    elif value == OPTED_OUT:
        why = f"its tag {policy.choose_by} says {OPTED_OUT!r}"
        finding = Finding(resource.arn, resource.name, Gap.OPTED_OUT, why)
    else:
        near = _like(value.lower(), policy.plans)
        meant = f"did you mean {near}?" if near else f"plans are {', '.join(policy.plans)}"
        why = f"the {resource.type}'s tag {policy.choose_by} says {quoted(value)}; {meant}"
        finding = Finding(resource.arn, resource.name, Gap.UNKNOWN_PLAN, why)
    findings.append(finding)
    return ""


def _never_tagged(resource: Resource, policy: "BackupsPolicy", kept: str) -> Finding:
    if kept:
        return Finding(resource.arn, resource.name, Gap.ELSEWHERE, kept)
    near = _like(policy.choose_by, resource.tags, alike=0.8)
    meant = f" (is its tag {quoted(near)} a slip?)" if near else ""
    remedy = f"set it to a plan or to {OPTED_OUT!r}"
    why = f"the {resource.type} has no tag {policy.choose_by}{meant}; {remedy}"
    return Finding(resource.arn, resource.name, Gap.NEVER_TAGGED, why)


def _like(word: str, words: Iterable[str], alike: float = 0.6) -> str:
    """The one that `word` was perhaps meant to be; empty if none is `alike`, from 0 to 1."""
    from difflib import get_close_matches  # noqa: PLC0415 (5 ms of a cold start, for a slip)

    return next(iter(get_close_matches(word, list(words), n=1, cutoff=alike)), "")


def _kept(arns: Sequence[str], elsewhere: Mapping[str, Elsewhere]) -> str:
    """A sentence, if somebody else keeps recovery points of every one of these."""
    known = [elsewhere[arn] for arn in arns if arn in elsewhere]
    if not known or len(known) < len(arns):
        return ""
    services = " and ".join(sorted({one.by for one in known}))
    newest = min(one.newest for one in known)
    return f"{services} took its newest recovery point at {newest:%Y-%m-%d %H:%M} UTC"


def chosen_by_hand(
    inventory: Inventory, only: Sequence[str], plan: "Plan"
) -> tuple[list[Target], list[str]]:
    """The named resources as `plan` takes them, whatever their tags say; and those that there are
    not.
    """
    there = {resource.arn: resource for resource in inventory.resources if resource.kind}
    volumes = _by_id(inventory)
    targets = [
        _instance_target(there[arn], plan, volumes)
        if there[arn].kind is Kind.INSTANCE
        else _target(there[arn])
        for arn in only
        if arn in there
    ]
    return targets, [arn for arn in only if arn not in there]


def _by_id(inventory: Inventory) -> dict[str, Resource]:
    return {naming.ec2_id(volume.arn): volume for volume in inventory.of(Kind.VOLUME)}


def _target(resource: Resource) -> Target:
    keys = (resource.key,) if resource.key else ()
    kind = KIND_OF[naming.service_and_type(resource.arn)]
    return Target(resource.arn, kind, resource.name, keys=keys)


def _instance_target(
    instance: Resource, plan: "Plan", volumes: Mapping[str, Resource], left_out: Sequence[str] = ()
) -> Target:
    keys = {
        volumes[volume].key
        for volume in instance.volumes
        if volume in volumes and volume not in left_out
    }
    return Target(
        arn=instance.arn,
        kind=Kind.INSTANCE,
        name=instance.name,
        volumes=instance.volumes,
        left_out=tuple(left_out),
        keys=tuple(sorted(keys - {""})),
        script=plan.scripts.document if plan.scripts else "",
        script_timeout=int(plan.scripts.timeout.total_seconds()) if plan.scripts else 0,
    )


COPIES = frozenset({"snapshot", "cluster-snapshot", "image", "recovery-point"})
"""Things that carry their source's tags along and ask for nothing themselves."""


def _unsupported(inventory: Inventory, policy: "BackupsPolicy") -> list[Finding]:
    """What asks for a plan and is of a kind that none can protect."""
    asking = [
        (one.arn, one.name, one.type, one.tags.get(policy.choose_by, OPTED_OUT))
        for one in inventory.resources
        if one.kind is None
    ]
    for arn, tags in sorted(inventory.others.items()):
        service, thing = naming.service_and_type(arn)
        if thing not in COPIES:
            value = tags.get(policy.choose_by, "")
            asking.append((arn, tags.get("Name", ""), f"{service}:{thing}", value))
    why = "it asks for plan {}, but no plan can protect the kind {} yet"
    return [
        Finding(arn, name, Gap.UNSUPPORTED, why.format(quoted(value), kind))
        for arn, name, kind, value in asking
        if value != OPTED_OUT
    ]


def in_shards(targets: Sequence[Target], size: int = SHARD) -> list[Sequence[Target]]:
    """Cut by service, so that a database that waits for its window holds up no volume. What has
    scripts around it is a shard by itself, held still no longer than it must be.
    """
    shards: list[Sequence[Target]] = [[target] for target in targets if target.script]
    for service in Service:
        rest = [one for one in targets if one.kind.service is service and not one.script]
        shards += [rest[start : start + size] for start in range(0, len(rest), size)]
    return shards


# ── What snapshots amount to ──────────────────────────────────────────────────────────────────────

PENDING = frozenset({"pending", "recovering", "recoverable"})
"""Snapshot states that are not an end; `recoverable` is a snapshot in the Recycle Bin, which a
person can bring back.
"""
DELETING = "deleting"
"""RDS shows a snapshot for minutes while it deletes it; nobody can restore from it any more."""


BEGAN_TOGETHER = timedelta(minutes=5)
"""One call starts all snapshots of a set within seconds; a second call comes ten minutes later."""


@dataclass(frozen=True)
class Found:
    """What the account shows of one source in one run."""

    points: Sequence[RecoveryPoint]
    """Those whose parts have all ended: the recovery point first, doubles after it."""
    pending: Sequence[Snapshot]


def found_by_source(snapshots: Iterable[Snapshot], place: Place) -> dict[tuple[str, str], Found]:
    """Per (run, source), what our snapshots amount to: told by their tags alone, so the catalogue
    can be rebuilt.

    One run takes one recovery point of a source. Where EC2's answer was lost there may be two: what
    began together is one set, the oldest set is the recovery point, the others are doubles.
    """
    groups: dict[tuple[str, str], list[Snapshot]] = defaultdict(list)
    for snapshot in snapshots:
        groups[
            snapshot.tags.get(naming.TAG_RUN, ""), snapshot.tags.get(naming.TAG_SOURCE, "")
        ].append(snapshot)
    return {
        (run, source): _found(run, source, group, place)
        for (run, source), group in groups.items()
        # A snapshot that lost its tags is not ours to judge.
        if run and Kind.of(source)
    }


def _found(run: str, source: str, group: Sequence[Snapshot], place: Place) -> Found:
    sets: list[list[Snapshot]] = []
    for snapshot in sorted(group, key=lambda one: (one.started_at, one.id)):
        is_of_last = sets and (
            snapshot.started_at - sets[-1][0].started_at < BEGAN_TOGETHER
            and all(snapshot.volume != part.volume for part in sets[-1])
        )
        if is_of_last:
            sets[-1].append(snapshot)
        else:
            sets.append([snapshot])
    ended = [one for one in sets if not any(part.state in PENDING for part in one)]
    points = [_point(run, source, one, place, is_double=one is not sets[0]) for one in ended]
    return Found(points, [part for one in sets if one not in ended for part in one])


def _point(
    run: str, source: str, parts: Sequence[Snapshot], place: Place, *, is_double: bool
) -> RecoveryPoint:
    tags = parts[0].tags
    broken = [part for part in parts if part.state != "completed"]
    if is_double:
        state, why = (
            State.DOUBLE,
            "a second one of the same run: the answer to the first was lost",
        )
    elif broken:
        state, why = State.FAILED, "; ".join(_broken(part) for part in broken)
    else:
        state, why = State.COMPLETED, ""
    ended = [part.completed_at for part in parts if part.completed_at]
    return RecoveryPoint(
        resource=source,
        id=naming.point_id(run, source, min(part.id for part in parts) if is_double else ""),
        kind=KIND_OF[naming.service_and_type(source)],
        created_at=min(part.started_at for part in parts),
        run=run,
        plan=tags.get(naming.TAG_PLAN, ""),
        place=replace(place, tier=parts[0].tier),
        state=state,
        parts=tuple(
            Part(part.id, part.volume, part.gib)
            for part in sorted(parts, key=lambda one: one.volume)
        ),
        completed_at=max(ended) if ended and not broken else None,
        tags=frozenset(tags.get(naming.TAG_WORDS, "").split()),
        why=why,
        keys=tuple(sorted({part.key for part in parts} - {""})),
        manifest=parts[0].manifest,
        consistency=tags.get(naming.TAG_CONSISTENCY, ""),
    )


def _broken(part: Snapshot) -> str:
    reason = f": {part.problem}" if part.problem else ""
    return f"snapshot {part.id} of {part.volume} ended in {part.state}{reason}"


def unusable(
    run: str, target: Target, plan: str, place: Place, at: datetime, why: str
) -> RecoveryPoint:
    """The record of a recovery point that does not exist, so that its absence has a reason."""
    return RecoveryPoint(
        resource=target.arn, id=naming.point_id(run, target.arn), kind=target.kind, created_at=at,
        run=run, plan=plan, place=place, state=State.FAILED, why=why,
    )  # fmt: skip


def given_up(run: str, found: Sequence[Snapshot], place: Place, why: str) -> RecoveryPoint:
    """The record of a recovery point whose parts never came to an end; retention removes them."""
    source = found[0].tags[naming.TAG_SOURCE]
    ended = [replace(part, state="completed") for part in found]
    return replace(
        _point(run, source, ended, place, is_double=False),
        state=State.FAILED,
        completed_at=None,
        why=why,
    )
