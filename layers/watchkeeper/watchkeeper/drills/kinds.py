"""Which kinds of resources drills restore, and who answers for each. A new kind is one file, and
one line here.
"""

from collections.abc import Mapping

from watchkeeper.aws.drill_secrets import DrillSecrets
from watchkeeper.aws.ebs_blocks import SnapshotBlocks
from watchkeeper.aws.objects import Manifests
from watchkeeper.aws.restores_dynamodb import (
    RestoredTables,
    TableDismantler,
    TableRestorer,
    TableSettler,
)
from watchkeeper.aws.restores_ec2 import RestoredVolumes, VolumeDismantler, VolumeRestorer
from watchkeeper.aws.restores_rds import (
    DatabaseDismantler,
    DatabaseRestorer,
    Isolation,
    RestoredDatabases,
)
from watchkeeper.aws.verifier_commands import VerifierCommands
from watchkeeper.aws.verifiers import Isolation as VerifierIsolation
from watchkeeper.aws.verifiers import (
    VerifierDismantler,
    VerifierMaker,
    Verifiers,
)
from watchkeeper.backups.model import Service
from watchkeeper.drills.databases import Databases
from watchkeeper.drills.restoring import Restorer
from watchkeeper.drills.tables import TableRestores
from watchkeeper.drills.verifier import Verifier
from watchkeeper.drills.volumes import Volumes
from watchkeeper.settings import DrillRestoresSettings


def restorers_in(there: DrillRestoresSettings, verifier: Verifier) -> Mapping[Service, Restorer]:
    """Those that restore into the isolation that template.yaml has made."""
    return {
        Service.EC2: Volumes(
            restorer=VolumeRestorer(there.zone),
            shown=RestoredVolumes(),
            dismantler=VolumeDismantler(),
            blocks=SnapshotBlocks(),
            manifests=Manifests(there.evidence_bucket),
            verifier=verifier,
        ),
        Service.RDS: Databases(
            restorer=DatabaseRestorer(Isolation(there.subnet_group, there.database_group)),
            shown=RestoredDatabases(),
            dismantler=DatabaseDismantler(),
            secrets=DrillSecrets(there.secrets),
            verifier=verifier,
        ),
        Service.DYNAMODB: TableRestores(
            restorer=TableRestorer(),
            shown=RestoredTables(),
            settler=TableSettler(),
            dismantler=TableDismantler(),
        ),
    }


def verifier_in(there: DrillRestoresSettings) -> Verifier:
    """What is asked about restored disks and databases."""
    return Verifier(
        making=VerifierMaker(
            VerifierIsolation(
                account=there.place[-1],
                vpc=there.vpc,
                subnet=there.subnet,
                verifier_group=there.verifier_group,
                endpoint_group=there.endpoint_group,
                profile=there.profile,
                image=there.image,
                instance_type=there.instance_type,
            )
        ),
        looking=Verifiers(),
        asking=VerifierCommands(),
        removing=VerifierDismantler(),
    )
