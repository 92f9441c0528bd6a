"""What the steps of a night act on."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from watchkeeper import naming
from watchkeeper.aws.catalogue import Catalogue, CoverageTable, TargetTable
from watchkeeper.aws.dynamodb_backups import PointInTime
from watchkeeper.aws.ec2 import TaggedResources
from watchkeeper.aws.key_watch import KeyWatchTable
from watchkeeper.aws.keys import Keys
from watchkeeper.aws.other_points import OtherPoints
from watchkeeper.aws.others import BackupVaults, ManagedSnapshots
from watchkeeper.aws.rds import Databases
from watchkeeper.aws.runs import RunTable
from watchkeeper.aws.scripts import Scripts
from watchkeeper.backups.model import Asked, Place, RecoveryPoint, Service, Target
from watchkeeper.backups.others import newest_elsewhere
from watchkeeper.backups.rules import Inventory
from watchkeeper.backups.services import Taker
from watchkeeper.runs.record import Run

if TYPE_CHECKING:
    from watchkeeper.policy import BackupsPolicy


@dataclass(frozen=True)
class Taking:
    stack: str
    place: Place
    policy: "Callable[[], BackupsPolicy]"
    """The policy in force; read only by the steps that choose and report."""
    takers: Mapping[Service, Taker]
    tagged: TaggedResources
    keys: Keys
    scripts: Scripts
    point_in_time: PointInTime
    databases: Databases
    vaults: BackupVaults
    managed: ManagedSnapshots
    runs: RunTable
    targets: TargetTable
    catalogue: Catalogue
    others: OtherPoints
    coverage: CoverageTable
    watch: KeyWatchTable

    def points(self) -> Iterator[RecoveryPoint]:
        """Every recovery point that is listed, ours and others'."""
        return chain(self.catalogue.listed(), self.others.listed())

    def inventory(self, choose_by: str, others: Iterable[RecoveryPoint] = ()) -> Inventory:
        """What there is now, and what somebody else keeps of it."""
        return Inventory(
            resources=[one for taker in self.takers.values() for one in taker.resources()],
            others=self.tagged.with_tag(choose_by),
            elsewhere=newest_elsewhere(others),
        )

    def asked_by(self, run: Run) -> Asked:
        return Asked(
            stack=self.stack,
            run=run.id,
            plan=run.facts["plan"],
            at=naming.parse_minute(run.facts["occurrence"]),
            words=run.facts.get("words", ""),
            consistency=run.facts.get("consistency", ""),
        )

    def taker_of(self, run: Run) -> Taker:
        # A shard that an older version began has volumes and instances only.
        return self.takers[Service(run.facts.get("service", Service.EC2))]

    def targets_of(self, run: Run) -> list[Target]:
        return self.targets.of(run.facts["night"], int(run.facts["shard"]))
