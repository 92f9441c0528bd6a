"""What backups are about: resources, targets, recovery points, findings, coverage."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from watchkeeper import naming

CAPABILITY = "backups"
"""The name of the policy's parameter, and in the keys of policy and coverage."""

OPTED_OUT = "none"
"""Resources with this value of the tag are left out on purpose."""


class Service(StrEnum):
    """Which AWS service makes the recovery points of a kind. Stored: add, never rename."""

    EC2 = "ec2"
    RDS = "rds"
    DYNAMODB = "dynamodb"

    @property
    def label(self) -> str:
        """As people write it."""
        return "DynamoDB" if self is Service.DYNAMODB else self.value.upper()


class Kind(StrEnum):
    """What a recovery point was taken of. Stored: add, never rename."""

    INSTANCE = "ec2-instance"
    """All volumes of an instance at one moment: a crash-consistent set."""
    VOLUME = "ebs-volume"
    DATABASE = "rds-instance"
    CLUSTER = "rds-cluster"
    """Aurora, or RDS with readable standbys: the cluster holds the data, not its members."""
    TABLE = "dynamodb-table"

    @classmethod
    def of(cls, arn: str) -> "Kind | None":
        """The kind of a resource; None if no plan can protect it."""
        return KIND_OF.get(naming.service_and_type(arn))

    @property
    def service(self) -> Service:
        return SERVICE_OF[self]


SERVICE_OF = {
    Kind.INSTANCE: Service.EC2,
    Kind.VOLUME: Service.EC2,
    Kind.DATABASE: Service.RDS,
    Kind.CLUSTER: Service.RDS,
    Kind.TABLE: Service.DYNAMODB,
}
KIND_OF = {
    ("ec2", "instance"): Kind.INSTANCE,
    ("ec2", "volume"): Kind.VOLUME,
    ("rds", "db"): Kind.DATABASE,
    ("rds", "cluster"): Kind.CLUSTER,
    ("dynamodb", "table"): Kind.TABLE,
}
"""By service and type, as ARNs have them."""


class State(StrEnum):
    """What is true of a recovery point. Stored: add, never rename."""

    COMPLETED = "completed"
    """Every part was read back as completed: it can be restored from."""
    FAILED = "failed"
    """It cannot be restored from; `why` says why. Never counts."""
    DOUBLE = "double"
    """A second one of the same run and source, made in the corner where EC2's answer was lost.
    Never counts.
    """
    REMOVING = "removing"
    """Its deletion has been decided and may have been asked for."""
    REMOVED = "removed"
    """Read back as gone. The record stays."""


APPLICATION = "application"
"""`RecoveryPoint.consistency` where the scripts before and after it did their work."""

COUNTS = frozenset({State.COMPLETED})
"""Only these fill a slot of a retention rule or meet an RPO."""


@dataclass(frozen=True)
class Place:
    account: str
    region: str
    tier: str = "standard"

    @classmethod
    def of(cls, stack: tuple[str, str, str]) -> "Place":
        """Where a stack is, given its partition, Region and account."""
        _, region, account = stack
        return cls(account, region)


@dataclass(frozen=True)
class Part:
    """One snapshot of a recovery point."""

    snapshot: str
    """An EBS snapshot's id; of the other services the ARN of the snapshot or backup."""
    volume: str
    """The id of the EBS volume; the ARN of the database or table."""
    gib: int
    """Of the source, not of what is billed; a part of a GiB counts as a whole one."""


@dataclass(frozen=True)
class RecoveryPoint:
    """One thing that a resource can be restored from, as the catalogue holds it."""

    resource: str
    """The ARN of what it was taken of."""
    id: str
    """16 hex digits, made from its run and its source; also a tag on every part."""
    kind: Kind
    created_at: datetime
    """The moment whose data it holds: the earliest start of its parts."""
    run: str
    plan: str
    place: Place
    state: State
    parts: tuple[Part, ...] = ()
    completed_at: datetime | None = None
    tags: frozenset[str] = frozenset()
    """Words given by whoever asked for it by hand; retention can keep by them."""
    holds: tuple[str, ...] = ()
    """Who needs it kept for now, a drill for one; a held point is not expired."""
    why: str = ""
    """Why it failed, is kept against the rules, or was removed."""
    removed_at: datetime | None = None
    keys: tuple[str, ...] = ()
    """The ARNs of the KMS keys without which nobody can read it; none if it is not encrypted, or
    was recorded before keys were.
    """
    manifest: str = ""
    """SHA-256, in hex, of the document kept beside it; empty if there is none."""
    consistency: str = ""
    """`application`, or what became of that; empty where no plan asked for it."""
    keeper: str = ""
    """Who made it and removes it, if not this stack: `AWS Backup`, for one. Never touched."""
    until: datetime | None = None
    """Where it is a span and not a moment: the last moment that can be restored, `created_at` being
    the first.
    """
    was: State | None = None
    """Of one that is being removed: what it becomes again if it cannot go."""
    unknown: Mapping[str, object] = field(default_factory=dict)
    """Fields that a newer version wrote; they survive our saving."""

    @property
    def newest_data(self) -> datetime:
        """The latest moment that can be restored from it: what an RPO is measured from."""
        return self.until or self.created_at


# ── What there is, and what a plan makes of it ────────────────────────────────────────────────────


@dataclass(frozen=True)
class Resource:
    """Something that could be backed up, as Describe shows it now."""

    arn: str
    kind: Kind | None
    """None for a kind that no plan can protect yet."""
    type: str
    """In words: `EC2 instance`, `EBS volume`, `rds:db`."""
    name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    state: str = ""
    volumes: tuple[str, ...] = ()
    """The EBS volumes of an instance, the root volume first."""
    attached_to: str = ""
    """The instance that a volume is attached to."""
    key: str = ""
    """The ARN of the KMS key that it is encrypted with; empty if with none."""
    copy_of: str = ""
    """The ARN of what holds the same data and is backed up in its place: a replica's source, or the
    cluster of a member.
    """
    windows: "Windows | None" = None
    settings: Mapping[str, object] = field(default_factory=dict)
    """What Describe shows of it that a restore does not bring back."""


@dataclass(frozen=True)
class Windows:
    """When RDS works on a database itself, in UTC as Describe has it."""

    backup: str = ""
    """`02:00-02:30`, every day; it may pass midnight. Empty if there is none."""
    maintenance: str = ""
    """`sun:23:30-mon:00:30`, every week."""


@dataclass(frozen=True)
class Span:
    """What can be restored to any moment: point-in-time recovery, where it is on."""

    earliest: datetime
    latest: datetime


@dataclass(frozen=True)
class Unread:
    """A resource that does not tell what can be restored of it."""

    why: str


@dataclass(frozen=True)
class Target:
    """A resource that a run will take a recovery point of, frozen when the run chose it."""

    arn: str
    kind: Kind
    name: str
    volumes: tuple[str, ...] = ()
    """What an instance's set is expected to hold; empty for a volume."""
    left_out: tuple[str, ...] = ()
    """Volumes of the instance that their owner opted out."""
    keys: tuple[str, ...] = ()
    """The ARNs of the KMS keys that its recovery point will be encrypted with."""
    script: str = ""
    """The SSM document that makes an instance's files hold still for its snapshots, if any."""
    script_timeout: int = 0
    """Seconds that it may take to do so."""


@dataclass(frozen=True)
class Asked:
    """On whose behalf a recovery point is asked for: what is written onto it as it is made."""

    stack: str
    run: str
    plan: str
    at: datetime
    """When the run meant it to be taken: RDS shows no time of a snapshot that is not done."""
    words: str = ""
    """Of whoever asked by hand, separated by spaces."""
    consistency: str = ""


class Gap(StrEnum):
    """Why something is not protected as somebody may think it is."""

    NEVER_TAGGED = "never tagged"
    UNKNOWN_PLAN = "unknown plan"
    UNSUPPORTED = "unsupported kind"
    NOTHING_TO_KEEP = "nothing to back up"
    NO_RECOVERY_POINT = "no recovery point yet"
    RPO_MISSED = "RPO missed"
    NO_POINT_IN_TIME = "no point-in-time recovery"
    """Its plan expects it, and it is off."""
    CRASH_CONSISTENT = "crash-consistent only"
    """Its plan asks for scripts around its snapshots, and they did not do their work."""
    UNKNOWN = "could not check"
    LIMIT = "limit in sight"
    """The account will run out of room for recovery points."""
    OPTED_OUT = "opted out"
    """Somebody said so: listed, but no gap to close."""
    ELSEWHERE = "protected elsewhere"
    """AWS Backup or Data Lifecycle Manager backs it up: listed, never touched."""
    COPY = "copy of another"
    """A read replica, or a member of a cluster: what it copies is backed up in its place."""
    STOPPED = "stopped"
    """RDS takes no snapshots of it, and nothing changes in it, until it is started."""


ABOUT_NO_RESOURCE = frozenset({Gap.UNKNOWN, Gap.LIMIT})
"""Findings about what is known, or about the account."""
ACCEPTED = frozenset({Gap.OPTED_OUT, Gap.ELSEWHERE, Gap.COPY, Gap.STOPPED})
"""Findings that are somebody's decision; they do not count as unprotected."""


@dataclass(frozen=True)
class Finding:
    resource: str
    name: str
    gap: Gap
    why: str
    """A sentence with the remedy."""
    plan: str = ""

    def line(self) -> str:
        kind = Kind.of(self.resource) if self.name else None
        named = f"{self.name} ({kind.value})" if kind else self.name or self.resource
        return ": ".join(part for part in (named, self.gap.value, self.why) if part)


@dataclass(frozen=True)
class Snapshot:
    """A snapshot or backup as its service shows it, in the words of EBS."""

    id: str
    """As in `Part.snapshot`."""
    volume: str
    """As in `Part.volume`."""
    state: str
    """`pending`, `completed`, `error`; EBS has a few more."""
    started_at: datetime
    gib: int
    tags: Mapping[str, str] = field(default_factory=dict)
    """Ours are made up, where a service knows no tags, of what its name says."""
    completed_at: datetime | None = None
    problem: str = ""
    tier: str = "standard"
    owner: str = ""
    key: str = ""
    """The ARN of its KMS key, if any."""
    manifest: str = ""


@dataclass(frozen=True)
class Elsewhere:
    """The newest recovery point that somebody else keeps of a resource."""

    by: str
    newest: datetime


@dataclass(frozen=True)
class Coverage:
    """How one plan stood after a night, as the table holds it for the sweep and the operator."""

    plan: str
    occurrence: datetime
    """The night that this was computed after."""
    targets: int
    completed: int
    failed: int
    oldest: datetime | None
    """The created_at of the newest recovery point of the worst-off target; None while one has none
    at all.
    """
    findings: tuple[Finding, ...] = ()
    at_risk: tuple[Finding, ...] = ()
    """Of the findings, those about resources that the night tried to protect."""
    unprotected: int = 0
    """Findings that are gaps, all of them, also those that did not fit into `findings`."""


@dataclass(frozen=True)
class Standing:
    """What the table knows of a plan: read by the sweep every minute, so it costs one query."""

    started: datetime | None = None
    reported: datetime | None = None
    """The occurrence of the last night that was reported."""
    targets: int = 0
    oldest: datetime | None = None


DRILLED = "a drill is restoring it"
"""What is said against the removal of such a recovery point."""


@dataclass(frozen=True)
class Blockers:
    """What forbids removing recovery points, asked once per run."""

    by_service: Mapping[str, str] = field(default_factory=dict)
    """Sentences per snapshot: locks, images, and what else its service knows of."""
    by_tags: Mapping[str, str] = field(default_factory=dict)
    """Sentences per snapshot: what its own tags forbid."""
    drilled: Collection[str] = ()
    """The ids of those that a drill is restoring."""

    def of(self, point: RecoveryPoint) -> tuple[str, ...]:
        """Sentences; the parts of a set stand and fall together."""
        reasons = [
            f"{part.snapshot} {reason}"
            for part in point.parts
            for reasons in (self.by_service, self.by_tags)
            if (reason := reasons.get(part.snapshot))
        ]
        drilled = [DRILLED] if point.id in self.drilled else []
        return (*(f"held by {hold}" for hold in point.holds), *drilled, *reasons)
