"""What backups are about: resources, targets, recovery points, findings, coverage."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

CAPABILITY = "backups"
"""The name of the policy's parameter, and in the keys of policy and coverage."""

OPTED_OUT = "none"
"""Resources with this value of the tag are left out on purpose."""


class Kind(StrEnum):
    """What a recovery point was taken of. Stored: add, never rename."""

    INSTANCE = "ec2-instance"
    """All volumes of an instance at one moment: a crash-consistent set."""
    VOLUME = "ebs-volume"


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
    volume: str
    gib: int


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
    unknown: Mapping[str, object] = field(default_factory=dict)
    """Fields that a newer version wrote; they survive our saving."""


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


class Gap(StrEnum):
    """Why something is not protected as somebody may think it is."""

    NEVER_TAGGED = "never tagged"
    UNKNOWN_PLAN = "unknown plan"
    UNSUPPORTED = "unsupported kind"
    NOTHING_TO_KEEP = "nothing to back up"
    NO_RECOVERY_POINT = "no recovery point yet"
    RPO_MISSED = "RPO missed"
    OPTED_OUT = "opted out"
    """Somebody said so: listed, but no gap to close."""
    ELSEWHERE = "protected elsewhere"
    """AWS Backup or Data Lifecycle Manager backs it up: listed, never touched."""


ACCEPTED = frozenset({Gap.OPTED_OUT, Gap.ELSEWHERE})
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
        return f"{self.name or self.resource}: {self.gap.value}: {self.why}"


@dataclass(frozen=True)
class Snapshot:
    """An EBS snapshot as Describe shows it."""

    id: str
    volume: str
    state: str
    started_at: datetime
    gib: int
    tags: Mapping[str, str] = field(default_factory=dict)
    completed_at: datetime | None = None
    problem: str = ""
    tier: str = "standard"
    owner: str = ""


@dataclass(frozen=True)
class Elsewhere:
    """The newest snapshot that another service took of a volume."""

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


@dataclass(frozen=True)
class Blockers:
    """What forbids removing snapshots, asked once per run."""

    locked: Mapping[str, str]
    in_images: Mapping[str, str]
    held: Mapping[str, str]
    """Per snapshot, what its own tags forbid."""

    def of(self, point: RecoveryPoint) -> tuple[str, ...]:
        """Sentences; the parts of a set stand and fall together."""
        reasons = [
            f"{part.snapshot} {reason}"
            for part in point.parts
            for reasons in (self.locked, self.in_images, self.held)
            if (reason := reasons.get(part.snapshot))
        ]
        return (*(f"held by {hold}" for hold in point.holds), *reasons)
