"""What RecoverResources does with a trigger: names the runs that it means, and advances them."""

from datetime import datetime
from functools import cached_property

from watchkeeper import naming
from watchkeeper.aws.catalogue import Catalogue
from watchkeeper.aws.clock import Clock
from watchkeeper.aws.dynamodb_backups import TableSettings
from watchkeeper.aws.objects import ManifestReader
from watchkeeper.aws.other_points import OtherPoints
from watchkeeper.aws.recover_dynamodb import TableRecoverer
from watchkeeper.aws.recover_ec2 import OriginalVolumes, VolumeRecoverer
from watchkeeper.aws.recover_rds import DatabaseRecoverer, RecoveredDatabases
from watchkeeper.aws.recoveries import Recoveries
from watchkeeper.aws.runs import RunTable
from watchkeeper.aws.topics import Topics
from watchkeeper.backups.model import Service
from watchkeeper.recovery.dynamodb import DynamoDbRecoverer
from watchkeeper.recovery.ec2 import Ec2Recoverer
from watchkeeper.recovery.model import CAPABILITY
from watchkeeper.recovery.rds import RdsRecoverer
from watchkeeper.recovery.recovering import Recoverers
from watchkeeper.recovery.steps import RECOVERY, workflow
from watchkeeper.runs.engine import Engine, advance_all
from watchkeeper.runs.record import new_run
from watchkeeper.settings import RecoverResourcesSettings
from watchkeeper.triggers import RecoverNow, Wake


class RecoverResources:
    """Restores what a person asks for, beside its original."""

    def __init__(self, settings: RecoverResourcesSettings) -> None:
        self.settings = settings
        self.runs = RunTable(settings.table)
        self.topics = Topics(settings.news_topic, settings.pages_topic)

    def handle(
        self, trigger: Wake | RecoverNow, clock: Clock, deadline: datetime
    ) -> dict[str, str]:
        """Where each run stands afterwards."""
        engine = Engine(self.runs, workflow, self.cloud, self.topics.publish, clock, deadline)
        if isinstance(trigger, Wake):
            return advance_all(trigger.run_ids, engine)
        return advance_all([self._start(trigger, clock())], engine)

    def _start(self, trigger: RecoverNow, now: datetime) -> str:
        """The same request again is the same run."""
        run_id = naming.by_hand_id(CAPABILITY, trigger.request_id)
        facts = {
            "resource": trigger.resource,
            "wanted": trigger.point or "",
            "zone": trigger.zone or "",
        }
        self.runs.start(new_run(run_id, RECOVERY, now, **facts))
        return run_id

    @cached_property
    def cloud(self) -> Recoverers:
        table, stack, bucket = (
            self.settings.table, self.settings.stack, self.settings.evidence_bucket,
        )  # fmt: skip
        return Recoverers(
            stack=stack,
            catalogue=Catalogue(table, stack),
            others=OtherPoints(table, stack),
            manifests=ManifestReader(bucket),
            recoveries=Recoveries(bucket),
            recoverers={
                Service.EC2: Ec2Recoverer(VolumeRecoverer(), OriginalVolumes()),
                Service.RDS: RdsRecoverer(
                    DatabaseRecoverer(), RecoveredDatabases(self.settings.place)
                ),
                Service.DYNAMODB: DynamoDbRecoverer(TableRecoverer(), TableSettings()),
            },
        )
