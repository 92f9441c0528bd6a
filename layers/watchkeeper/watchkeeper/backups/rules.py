"""What backups decide, and why. Pure: plain data and `now` in, decisions with their reasons out."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING

from watchkeeper import naming
from watchkeeper.backups.model import (
    ACCEPTED,
    OPTED_OUT,
    Coverage,
    Elsewhere,
    Finding,
    Gap,
    Kind,
    Part,
    Place,
    RecoveryPoint,
    Resource,
    Snapshot,
    State,
    Target,
)
from watchkeeper.quoting import quoted

if TYPE_CHECKING:  # reading a policy costs 20 ms of a cold start, and most wake-ups need none
    from watchkeeper.policy import BackupsPolicy

SHARD = 400
"""Targets in one shard: EC2 lets an account create about five snapshots a second, so a shard takes
80 s of a function's 600, and its targets fit into one item. More shards mean more polling calls per
recovery point.
"""

# ── What a night takes ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Inventory:
    """What there is, as Describe shows it now."""

    instances: Sequence[Resource] = ()
    volumes: Sequence[Resource] = ()
    others: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """ARN and tags of resources of any kind that carry the tag by which resources choose."""
    elsewhere: Mapping[str, Elsewhere] = field(default_factory=dict)
    """Per volume id, what another service keeps of it."""


@dataclass(frozen=True)
class Choice:
    targets: Mapping[str, Sequence[Target]]
    """Per plan."""
    findings: Sequence[Finding]
    """Everything that is not protected, or not as somebody may think."""


def choose(inventory: Inventory, policy: "BackupsPolicy") -> Choice:
    """Who is backed up by which plan, and who by none, with reasons.

    An instance takes all its volumes along as one crash-consistent set. A volume is taken by itself
    if its own tag names another plan than its instance's, or if its instance is in no plan.
    """
    chosen: dict[str, list[Target]] = defaultdict(list)
    findings: list[Finding] = []
    volumes = {naming.ec2_id(volume.arn): volume for volume in inventory.volumes}
    plan_of_instance: dict[str, str] = {}
    for instance in inventory.instances:
        plan = _plan_of(instance, policy, findings, _keepers(instance.volumes, inventory.elsewhere))
        target = _instance_target(instance, plan, policy, volumes, findings) if plan else None
        if target:
            plan_of_instance[naming.ec2_id(instance.arn)] = plan
            chosen[plan].append(target)
    instance_ids = {naming.ec2_id(instance.arn) for instance in inventory.instances}
    for volume_id, volume in volumes.items():
        if volume.attached_to in instance_ids and policy.choose_by not in volume.tags:
            continue  # its instance answers for it
        plan = _plan_of(volume, policy, findings, _keepers([volume_id], inventory.elsewhere))
        if plan and plan != plan_of_instance.get(volume.attached_to):
            chosen[plan].append(Target(volume.arn, Kind.VOLUME, volume.name))
    findings += _unsupported(inventory.others, policy)
    order = list(Gap)
    findings.sort(key=lambda finding: (order.index(finding.gap), finding.name, finding.resource))
    return Choice(
        {plan: sorted(targets, key=lambda one: one.arn) for plan, targets in chosen.items()},
        findings,
    )


def _plan_of(
    resource: Resource, policy: "BackupsPolicy", findings: list[Finding], keepers: str
) -> str:
    """The plan that a resource has chosen; empty, with a finding, if none."""
    value = resource.tags.get(policy.choose_by)
    if value in policy.plans:
        return value or ""
    if value is None:
        finding = _never_tagged(resource, policy, keepers)
    elif value == OPTED_OUT:
        why = f"its tag {policy.choose_by} says {OPTED_OUT!r}"
        finding = Finding(resource.arn, resource.name, Gap.OPTED_OUT, why)
    else:
        near = get_close_matches(value.lower(), policy.plans, n=1)
        meant = f"did you mean {near[0]}?" if near else f"plans are {', '.join(policy.plans)}"
        why = f"the {resource.type}'s tag {policy.choose_by} says {quoted(value)}; {meant}"
        finding = Finding(resource.arn, resource.name, Gap.UNKNOWN_PLAN, why)
    findings.append(finding)
    return ""


def _never_tagged(resource: Resource, policy: "BackupsPolicy", keepers: str) -> Finding:
    if keepers:
        return Finding(resource.arn, resource.name, Gap.ELSEWHERE, keepers)
    near = get_close_matches(policy.choose_by, resource.tags, n=1, cutoff=0.8)
    meant = f" (is its tag {quoted(near[0])} a slip?)" if near else ""
    remedy = f"set it to a plan or to {OPTED_OUT!r}"
    why = f"the {resource.type} has no tag {policy.choose_by}{meant}; {remedy}"
    return Finding(resource.arn, resource.name, Gap.NEVER_TAGGED, why)


def _keepers(volumes: Iterable[str], elsewhere: Mapping[str, Elsewhere]) -> str:
    """A sentence, if every one of the volumes has snapshots of another service."""
    kept = [elsewhere.get(volume) for volume in volumes]
    known = [one for one in kept if one]
    if not known or len(known) < len(kept):
        return ""
    services = " and ".join(sorted({one.by for one in known}))
    newest = min(one.newest for one in known)
    return f"{services} took its newest snapshot at {newest:%Y-%m-%d %H:%M} UTC"


def _instance_target(
    instance: Resource,
    plan: str,
    policy: "BackupsPolicy",
    volumes: Mapping[str, Resource],
    findings: list[Finding],
) -> Target | None:
    left_out = tuple(
        volume for volume in instance.volumes
        if volume in volumes and volumes[volume].tags.get(policy.choose_by) == OPTED_OUT
    )  # fmt: skip
    if set(instance.volumes) <= set(left_out):
        what = "all its volumes have opted out" if left_out else "it has no EBS volumes"
        why = f"the instance is in plan {plan}, but {what}"
        findings.append(Finding(instance.arn, instance.name, Gap.NOTHING_TO_KEEP, why, plan))
        return None
    return Target(instance.arn, Kind.INSTANCE, instance.name, instance.volumes, left_out)


COPIES = frozenset({"snapshot", "cluster-snapshot", "image", "recovery-point"})
"""Things that carry their source's tags along and ask for nothing themselves."""
ANSWER_FOR_THEMSELVES = frozenset({"ec2:instance", "ec2:volume"})


def _unsupported(others: Mapping[str, Mapping[str, str]], policy: "BackupsPolicy") -> list[Finding]:
    findings = []
    for arn, tags in sorted(others.items()):
        service, resource = arn.split(":", 5)[2::3]
        # A bucket's ARN is its name alone; the others begin with their type.
        thing = "bucket" if service == "s3" else resource.replace("/", ":").split(":")[0]
        kind = f"{service}:{thing}"
        value = tags.get(policy.choose_by, "")
        if value == OPTED_OUT or thing in COPIES or kind in ANSWER_FOR_THEMSELVES:
            continue
        why = f"it asks for plan {quoted(value)}, but no plan can protect the kind {kind} yet"
        findings.append(Finding(arn, tags.get("Name", ""), Gap.UNSUPPORTED, why))
    return findings


def in_shards(targets: Sequence[Target], size: int = SHARD) -> list[Sequence[Target]]:
    return [targets[start : start + size] for start in range(0, len(targets), size)]


# ── What snapshots amount to ──────────────────────────────────────────────────────────────────────

PENDING = frozenset({"pending", "recovering", "recoverable"})
"""Snapshot states that are not an end; `recoverable` is a snapshot in the Recycle Bin, which a
person can bring back.
"""


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
        if run and source  # a snapshot that lost its tags is not ours to judge
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
            "a second one of the same run: EC2's answer to the first was lost",
        )
    elif broken:
        state, why = State.FAILED, "; ".join(_broken(part) for part in broken)
    else:
        state, why = State.COMPLETED, ""
    ended = [part.completed_at for part in parts if part.completed_at]
    return RecoveryPoint(
        resource=source,
        id=naming.point_id(run, source, min(part.id for part in parts) if is_double else ""),
        kind=Kind.INSTANCE if naming.ec2_type(source) == "instance" else Kind.VOLUME,
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


# ── How plans stand ───────────────────────────────────────────────────────────────────────────────


def newest_completed(points: Iterable[RecoveryPoint]) -> dict[str, RecoveryPoint]:
    """Per resource, the newest recovery point that can be restored from."""
    newest: dict[str, RecoveryPoint] = {}
    for point in points:
        known = newest.get(point.resource)
        if point.state is State.COMPLETED and (
            known is None or point.created_at > known.created_at
        ):
            newest[point.resource] = point
    return newest


def cover(
    policy: "BackupsPolicy",
    plan: str,
    choice: Choice,
    taken: Iterable[str],
    newest: Mapping[str, RecoveryPoint],
    occurrence: datetime,
    now: datetime,
) -> Coverage:
    """How `plan` stands after a night that took `taken` (ARNs): who misses its RPO, who has
    nothing, who has no plan.
    """
    targets = choice.targets.get(plan, ())
    night = set(taken)
    objective = policy.plans[plan].rpo.approximate() if plan in policy.plans else None
    findings: list[Finding] = []
    for target in targets:
        point = newest.get(target.arn)
        if point is None:
            when = (
                "this night took none"
                if target.arn in night
                else "it chose the plan after this night began"
            )
            why = f"{when}; nothing can be restored until the next one completes"
            findings.append(Finding(target.arn, target.name, Gap.NO_RECOVERY_POINT, why, plan))
        elif objective is not None and now - point.created_at > objective:
            age = hours(now - point.created_at)
            taken_at = f"{point.created_at:%Y-%m-%d %H:%M} UTC"
            why = f"the newest ({taken_at}) is {age} old, the objective is {hours(objective)}"
            findings.append(Finding(target.arn, target.name, Gap.RPO_MISSED, why, plan))
    gaps = [finding for finding in (*findings, *choice.findings) if finding.gap not in ACCEPTED]
    owed = [newest.get(target.arn) for target in targets if target.arn in night]
    ages = [point.created_at for point in owed if point]
    completed = sum(1 for point in owed if point and point.created_at >= occurrence)
    return Coverage(
        plan=plan,
        occurrence=occurrence,
        targets=len(targets),
        completed=completed,
        failed=len(owed) - completed,
        oldest=min(ages) if ages and len(ages) == len(owed) else None,
        findings=(*findings, *choice.findings),
        at_risk=tuple(finding for finding in findings if finding.resource in night),
        unprotected=len(gaps),
    )


def hours(span: timedelta) -> str:
    hours, minutes = divmod(int(span.total_seconds()) // 60, 60)
    return f"{hours} h {minutes:02d} min" if minutes else f"{hours} h"
