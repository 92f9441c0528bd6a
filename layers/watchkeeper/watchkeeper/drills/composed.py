"""Everything that drills act on, put together."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from watchkeeper.aws.begun import BegunTable
from watchkeeper.aws.catalogue import Catalogue, CoverageTable, TargetTable
from watchkeeper.aws.drills import DrillTable
from watchkeeper.aws.dynamodb_backups import TableBackup
from watchkeeper.aws.ebs_blocks import SnapshotBlocks
from watchkeeper.aws.ec2 import Snapshots
from watchkeeper.aws.evidence import EvidenceStore
from watchkeeper.aws.keys import Keys
from watchkeeper.aws.objects import Manifests
from watchkeeper.aws.other_points import OtherPoints
from watchkeeper.aws.proofs import ProofTable
from watchkeeper.aws.rds import DatabaseSnapshots
from watchkeeper.aws.runs import RunTable
from watchkeeper.backups.model import Service
from watchkeeper.drills.drilling import Drilling
from watchkeeper.drills.kinds import restorers_in, verifier_in
from watchkeeper.drills.restoring import Where
from watchkeeper.policies import Policies
from watchkeeper.settings import DrillRestoresSettings

if TYPE_CHECKING:
    from watchkeeper.drills.policy import DrillsPolicy
    from watchkeeper.policy import BackupsPolicy


def drilling_in(
    settings: DrillRestoresSettings,
    runs: RunTable,
    policy: "Policies[DrillsPolicy]",
    backups: "Callable[[], BackupsPolicy | None]",
) -> Drilling:
    table, stack, bucket = settings.table, settings.stack, settings.evidence_bucket
    verifier = verifier_in(settings)
    return Drilling(
        stack=stack,
        policy=policy.in_force,
        since=policy.since,
        backups=backups,
        shown={
            Service.EC2: Snapshots(stack),
            Service.RDS: DatabaseSnapshots(stack, settings.place),
            Service.DYNAMODB: TableBackup(stack),
        },
        blocks=SnapshotBlocks(),
        keys=Keys(),
        manifests=Manifests(bucket),
        evidence=EvidenceStore(bucket),
        proofs=ProofTable(table, stack),
        drills=DrillTable(table),
        targets=TargetTable(table),
        catalogue=Catalogue(table, stack),
        others=OtherPoints(table, stack),
        coverage=CoverageTable(table),
        begun=BegunTable(table, stack),
        runs=runs,
        restorers=restorers_in(settings, verifier),
        where=Where(settings.subnet_group, settings.database_group, settings.zone),
        verifier=verifier,
    )
