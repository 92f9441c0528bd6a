"""Recovery points that somebody else keeps: read into the catalogue, counted, never touched.

AWS Backup's and Data Lifecycle Manager's are read from them; what point-in-time recovery can
restore is asked of the service whose resource it is.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol

from watchkeeper import naming
from watchkeeper.aws.catalogue import TargetTable
from watchkeeper.aws.errors import AwsError, Busy, NotThere, Refused
from watchkeeper.aws.other_points import OtherPoints
from watchkeeper.aws.others import AWS_BACKUP, BackupVaults, ManagedSnapshots
from watchkeeper.backups.model import (
    Elsewhere,
    Kind,
    Place,
    RecoveryPoint,
    Service,
    Span,
    State,
    Unread,
)
from watchkeeper.backups.services import Taker
from watchkeeper.news.base import LINE, LINES
from watchkeeper.runs.record import Done, Report, Run

POINT_IN_TIME = "point-in-time recovery"
"""The keeper of a span that AWS Backup has no hand in."""
LONGEST_SPAN = timedelta(days=35)
"""Neither RDS nor DynamoDB keeps more: so long after its last moment nothing is left of a span.
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_WorkingWithAutomatedBackups.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Point-in-time-recovery.html
"""
PATIENCE = timedelta(minutes=30)
"""How long a busy source is asked again; a Region without AWS Backup never answers, and the step
ends within an hour.
"""
SETTLED = timedelta(hours=1)
"""An answer may lag behind an earlier one by minutes: what is younger than this is not taken for
gone because it is missing.
"""


# ── What has changed ──────────────────────────────────────────────────────────────────────────────


class Source(Enum):
    """Who can tell whether a recovery point is still there."""

    VAULTS = AWS_BACKUP
    SNAPSHOTS = "EC2"


@dataclass(frozen=True)
class Shown:
    """What the sources answered."""

    points: Sequence[RecoveryPoint] = ()
    """Spans among them."""
    without_span: Collection[str] = frozenset()
    """ARNs of those whose point-in-time recovery is off."""
    unread: Collection[Source] = frozenset()
    """Those that have not told all that they know: what they do not show may be there."""


@dataclass(frozen=True)
class Changes:
    """What to write: no recovery point is in two of them."""

    fresh: Sequence[RecoveryPoint]
    changed: Sequence[RecoveryPoint]
    gone: Sequence[RecoveryPoint]


def compare(known: Iterable[RecoveryPoint], shown: Shown, now: datetime) -> Changes:
    """What is new, different or gone, compared with what was known before the sources were asked.

    A false alarm corrects itself: what was wrongly taken for gone is fresh the next time.
    """
    listed = {(point.resource, point.id): point for point in known}
    found = {(point.resource, point.id): point for point in shown.points}
    fresh = [point for key, point in found.items() if key not in listed]
    both = [(listed[key], point) for key, point in found.items() if key in listed]
    updated = [(before, _updated(before, point)) for before, point in both]
    missing = [point for key, point in listed.items() if key not in found]
    gone = [(point, why) for point in missing if (why := _gone(point, shown, now))]
    return Changes(
        fresh=fresh,
        changed=[after for before, after in updated if after != before],
        gone=[replace(point, state=State.REMOVED, removed_at=now, why=why) for point, why in gone],
    )


def _updated(before: RecoveryPoint, shown: RecoveryPoint) -> RecoveryPoint:
    """As it is shown, with what only we know of it: the keys of a span are told by the night that
    its resource is a target of, and by no other.
    """
    keys = shown.keys or before.keys
    return replace(shown, keys=keys, holds=before.holds, unknown=before.unknown)


def _gone(point: RecoveryPoint, shown: Shown, now: datetime) -> str:
    """Why a point that is not shown is gone; empty if it is not known to be."""
    if point.until:
        if point.resource in shown.without_span:
            return f"{POINT_IN_TIME} is off"
        if now - point.until > LONGEST_SPAN:
            return f"not asked about for {LONGEST_SPAN.days} days, which is as far as any reaches"
        return ""
    source = _source(point)
    if source in shown.unread or now - point.created_at < SETTLED:
        return ""
    return f"{source.value} no longer shows it"


def _source(point: RecoveryPoint) -> Source:
    is_snapshot = all(part.snapshot.startswith("snap-") for part in point.parts)
    return Source.SNAPSHOTS if is_snapshot else Source.VAULTS


def newest_elsewhere(points: Iterable[RecoveryPoint]) -> dict[str, Elsewhere]:
    """Per ARN, the newest data that another service keeps of it and that can be restored.

    Point-in-time recovery by itself is no such service: whoever creates a database has it.
    """
    newest: dict[str, Elsewhere] = {}
    for point in points:
        if point.state is not State.COMPLETED or point.keeper == POINT_IN_TIME:
            continue
        known = newest.get(point.resource)
        if known is None or point.newest_data > known.newest:
            newest[point.resource] = Elsewhere(point.keeper, point.newest_data)
    return newest


# ── The step of a night ───────────────────────────────────────────────────────────────────────────


class Reading(Protocol):
    """What the step acts on."""

    @property
    def place(self) -> Place: ...
    @property
    def takers(self) -> Mapping[Service, Taker]: ...
    @property
    def targets(self) -> TargetTable: ...
    @property
    def vaults(self) -> BackupVaults: ...
    @property
    def managed(self) -> ManagedSnapshots: ...
    @property
    def others(self) -> OtherPoints: ...


def ensure_others_read(run: Run, cloud: Reading, now: datetime) -> Report:
    """Enter what others keep, as they show it now.

    A source that refuses to tell, or is not to be had for long, stops no night: what was known of
    it stays as it was, and the fact `unread` has a line about it.
    """
    if "only" in run.facts:
        return Done()
    # Before the sources are asked: what another run enters meanwhile would be missing from an
    # answer that is older than it.
    known = list(cloud.others.listed())
    answers = _Answers(stops=tolerated(run, now))
    _read_vaults(cloud, answers, now)
    _read_snapshots(cloud, answers)
    if Source.VAULTS in answers.unread:
        answers.continuous |= {
            point.resource for point in known if point.until and point.keeper == AWS_BACKUP
        }
    _read_spans(run, cloud, answers)
    changes = compare(known, Shown(answers.points, answers.without_span, answers.unread), now)
    cloud.others.save([*changes.fresh, *changes.changed, *changes.gone])
    return Done({"others": str(len(answers.points)), "unread": in_a_fact(answers.lines)})


def tolerated(run: Run, now: datetime) -> tuple[type[AwsError], ...]:
    """The answers that stop no night: whoever is busy is asked again first, for a while."""
    return (Refused,) if now < run.entered_at + PATIENCE else (Refused, Busy)


def in_a_fact(lines: Sequence[str]) -> str:
    """As many as people read, and how many more there are: what was left out is said, too."""
    left_out = len(lines) - LINES
    more = [f"and {left_out} more that could not be checked"] if left_out > 0 else []
    return "\n".join([*(line[:LINE] for line in lines[:LINES]), *more])


@dataclass
class _Answers:
    """What the sources have answered so far."""

    stops: tuple[type[AwsError], ...]
    """The errors that leave a source unread."""
    points: list[RecoveryPoint] = field(default_factory=list)
    continuous: set[str] = field(default_factory=set)
    """ARNs of the resources that AWS Backup keeps a continuous backup of."""
    without_span: set[str] = field(default_factory=set)
    unread: set[Source] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)

    def refused(self, what: str, why: str) -> None:
        self.lines.append(f"{what} could not be read: {why}")


def _read_vaults(cloud: Reading, answers: _Answers, now: datetime) -> None:
    try:
        names = cloud.vaults.names()
    except answers.stops as error:
        answers.unread.add(Source.VAULTS)
        answers.refused(AWS_BACKUP, error.quoted)
        return
    for name in names:
        try:
            vault = cloud.vaults.held(name, now)
        except NotThere:
            continue  # deleted since it was listed, as only an empty vault can be
        except answers.stops as error:  # a vault may have a policy of its own
            answers.unread.add(Source.VAULTS)
            answers.refused(f"{AWS_BACKUP}'s vault {name}", error.quoted)
        else:
            answers.points += vault.points
            answers.continuous |= vault.continuous


def _read_snapshots(cloud: Reading, answers: _Answers) -> None:
    try:
        answers.points += cloud.managed.points()
    except answers.stops as error:
        answers.unread.add(Source.SNAPSHOTS)
        answers.refused("snapshots of other services", error.quoted)


def _read_spans(run: Run, cloud: Reading, answers: _Answers) -> None:
    """Of the night's targets, and of what AWS Backup backs up continuously, which it does by the
    same means.
    """
    keys = {
        target.arn: target.keys
        for number in range(int(run.facts["shards"]))
        for target in cloud.targets.of(run.id, number)
    }
    kinds = {arn: kind for arn in keys.keys() | answers.continuous if (kind := Kind.of(arn))}
    stops: tuple[type[AwsError], ...] = (NotThere, *answers.stops)
    for service, taker in cloud.takers.items():
        try:
            spans = taker.spans(sorted(arn for arn in kinds if kinds[arn].service is service))
        except stops as error:
            answers.refused(f"{POINT_IN_TIME} of {service.value}", error.quoted)
            continue
        for arn, span in spans.items():
            if span is None:
                answers.without_span.add(arn)
                continue
            if isinstance(span, Unread):
                answers.refused(f"{POINT_IN_TIME} of {arn}", span.why)
                continue
            keeper = AWS_BACKUP if arn in answers.continuous else POINT_IN_TIME
            point = _span_point(arn, kinds[arn], span, cloud.place, keeper)
            answers.points.append(replace(point, keys=keys.get(arn, ())))


def _span_point(resource: str, kind: Kind, span: Span, place: Place, keeper: str) -> RecoveryPoint:
    """All that can be restored of a resource, as one recovery point that moves."""
    return RecoveryPoint(
        resource=resource,
        id=naming.point_id(POINT_IN_TIME, resource),
        kind=kind,
        created_at=span.earliest,
        run="",
        plan="",
        place=place,
        state=State.COMPLETED,
        keeper=keeper,
        until=span.latest,
    )
