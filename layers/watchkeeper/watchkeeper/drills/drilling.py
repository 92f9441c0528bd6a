"""What the steps of a round of drills act on, and who is to be drilled."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from watchkeeper import naming
from watchkeeper.aws.begun import BegunTable
from watchkeeper.aws.catalogue import Catalogue, CoverageTable, TargetTable
from watchkeeper.aws.drills import DrillTable
from watchkeeper.aws.ebs_blocks import SnapshotBlocks
from watchkeeper.aws.errors import NotThere, Refused
from watchkeeper.aws.evidence import EvidenceStore
from watchkeeper.aws.keys import Keys
from watchkeeper.aws.objects import Manifests
from watchkeeper.aws.other_points import OtherPoints
from watchkeeper.aws.proofs import ProofTable
from watchkeeper.aws.runs import RunTable
from watchkeeper.backups import model as backups
from watchkeeper.backups.manifest import BadManifest, Manifest
from watchkeeper.backups.model import RecoveryPoint, Service, Snapshot, State, Target
from watchkeeper.drills.costs import Shape, shape_of
from watchkeeper.drills.due import Known, unproved
from watchkeeper.drills.model import Level, Proof, Subject
from watchkeeper.drills.restoring import Remover, Restorer, Where
from watchkeeper.runs.record import Run

if TYPE_CHECKING:  # reading a policy costs 20 ms of a cold start, and most wake-ups need none
    from watchkeeper.drills.policy import DrillsPolicy
    from watchkeeper.policy import BackupsPolicy


UNKNOWN_RPO = timedelta(days=1)
"""Where no plan says one, for what others keep: the shortest that daily backups can promise."""


class Shown(Protocol):
    """What a service shows of snapshots."""

    def named(self, snapshot_ids: Iterable[str], /) -> Sequence[Snapshot]:
        """Those of these that exist."""


@dataclass(frozen=True)
class Drilling:
    stack: str
    policy: "Callable[[], DrillsPolicy]"
    since: Callable[[], datetime | None]
    """When the first policy of drills came into force."""
    backups: "Callable[[], BackupsPolicy | None]"
    """The policy of backups in force; None before there is one."""
    shown: Mapping[Service, Shown]
    blocks: SnapshotBlocks
    keys: Keys
    manifests: Manifests
    evidence: EvidenceStore
    proofs: ProofTable
    drills: DrillTable
    targets: TargetTable
    catalogue: Catalogue
    others: OtherPoints
    coverage: CoverageTable
    begun: BegunTable
    runs: RunTable
    restorers: Mapping[Service, Restorer]
    where: Where
    """The isolation, as people need to know it."""
    verifier: Remover
    """What examines databases and volumes is made for it, too, and has to be removed."""

    def removers(self, service: Service) -> "list[Remover]":
        """Of what a drill of a service may have made; verifiers first, because they hold volumes
        and talk to databases.
        """
        return [self.verifier, self.restorers[service]]

    def every_remover(self) -> "list[Remover]":
        return [self.verifier, *self.restorers.values()]

    def point(self, run: Run) -> RecoveryPoint | None:
        """What a drill's run restores; None if it is not there any more."""
        known = self.others if run.facts["others"] else self.catalogue
        history = known.of(run.facts["resource"])
        return next((one for one in history if one.id == run.facts["point"]), None)

    def objective(self, plan: str) -> timedelta:
        """How old the newest data of a plan's resources may be: its RPO."""
        policy = self.backups()
        known = policy.plans.get(plan) if policy else None
        return known.rpo.approximate() if known else UNKNOWN_RPO

    def subjects(self) -> list[Subject]:
        """Everything that a plan protects, or that something of ours can restore."""
        points: dict[str, list[RecoveryPoint]] = defaultdict(list)
        for point in (*self.catalogue.listed(), *self.others.listed()):
            if _is_shown(point):
                points[point.resource].append(point)
        proofs: dict[str, dict[Level, Proof]] = defaultdict(dict)
        for proof in self.proofs.latest():
            proofs[proof.resource][proof.level] = proof
        chosen = self._chosen()
        kept = {arn for arn, some in points.items() if any(not one.keeper for one in some)}
        return [
            _subject(arn, chosen.get(arn), points[arn], proofs[arn])
            for arn in sorted(kept | chosen.keys())
        ]

    def _chosen(self) -> dict[str, tuple[Target, str]]:
        """What each plan protects: what its last night was to take. A night that has just begun has
        not chosen yet; then the one that was reported last tells.
        """
        found: dict[str, tuple[Target, str]] = {}
        for plan, stands in self.coverage.standings(backups.CAPABILITY).items():
            for at in (stands.started, stands.reported):
                night = naming.night_id(plan, at) if at else ""
                if night and (shards := self.targets.chosen(night)) is not None:
                    for number in range(shards):
                        found |= {one.arn: (one, plan) for one in self.targets.of(night, number)}
                    break
        return found

    def shapes(self, subjects: Iterable[Subject]) -> dict[str, Shape]:
        """Of databases and clusters, by what was written down with their newest recovery point."""
        found = {}
        for subject in subjects:
            if subject.kind.service is not Service.RDS or (point := _newest(subject)) is None:
                continue
            try:
                manifest = Manifest.of(self.manifests.read(point.id))
            except (NotThere, Refused, BadManifest):
                continue  # its estimate then says what is not known
            found[subject.resource] = shape_of(manifest.settings)
        return found

    def known(self, subjects: Iterable[Subject]) -> Known:
        """Retention removes the first recovery points, so of what was never proved, at any level
        that is asked for, the whole history is read.
        """
        policy = self.policy()
        new = [one.resource for one in subjects if unproved(one, policy)]
        first = {arn: [one.created_at for one in self.catalogue.of(arn)] for arn in new}
        return Known(self.since(), {arn: min(times) for arn, times in first.items() if times})


def _newest(subject: Subject) -> RecoveryPoint | None:
    ours = [one for one in subject.points if one.state is State.COMPLETED and one.manifest]
    return max(ours, key=lambda one: one.created_at, default=None)


def _is_shown(point: RecoveryPoint) -> bool:
    """What AWS Backup keeps in its vaults is shown by nobody but AWS Backup."""
    return not point.keeper or all(part.snapshot.startswith("snap-") for part in point.parts)


def _subject(
    arn: str,
    chosen: tuple[Target, str] | None,
    points: Sequence[RecoveryPoint],
    proofs: Mapping[Level, Proof],
) -> Subject:
    if chosen:
        target, plan = chosen
        return Subject(arn, target.kind, target.name, plan, tuple(points), proofs)
    newest = max(points, key=lambda one: one.created_at)  # it is here because of its points
    return Subject(arn, newest.kind, "", newest.plan, tuple(points), proofs, is_protected=False)


def completed_before(
    point: RecoveryPoint, history: Iterable[RecoveryPoint]
) -> RecoveryPoint | None:
    """The completed recovery point of the same resource that was made last before this one."""
    earlier = [
        one for one in history if one.state is State.COMPLETED and one.created_at < point.created_at
    ]
    return max(earlier, key=lambda one: one.created_at, default=None)
