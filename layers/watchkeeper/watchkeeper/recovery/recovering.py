"""What the steps of a recovery act on."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from watchkeeper import naming
from watchkeeper.aws.catalogue import Catalogue
from watchkeeper.aws.errors import NotThere
from watchkeeper.aws.objects import ManifestReader
from watchkeeper.aws.other_points import OtherPoints
from watchkeeper.aws.recoveries import Recoveries
from watchkeeper.backups.manifest import BadManifest, Manifest, digest
from watchkeeper.backups.model import RecoveryPoint, Service
from watchkeeper.recovery.model import Recoverer, Recovering, Settings
from watchkeeper.runs.record import Run


@dataclass(frozen=True)
class Recoverers:
    stack: str
    catalogue: Catalogue
    others: OtherPoints
    manifests: ManifestReader
    recoveries: Recoveries
    recoverers: Mapping[Service, Recoverer]

    def one(self, run: Run) -> Recovering:
        """What the run recovers, once it has chosen. Raises NotThere if the recovery point has left
        the catalogue, or its manifest the bucket; BadManifest.
        """
        point = self.point(run.facts["resource"], run.facts["point"])
        if point is None:
            raise NotThere("dynamodb:Query", "PointNotFound", run.facts["point"])
        return Recovering(
            name=run.facts["name"],
            point=point,
            settings=self._settings(run, point),
            tags=naming.recovered_tags(self.stack, run.id, run.facts["name"]),
        )

    def _settings(self, run: Run, point: RecoveryPoint) -> Settings:
        if run.facts["known_from"] == MANIFEST:
            return self.manifest(point).settings
        settings: Settings = json.loads(run.facts["settings"])
        return settings

    def manifest(self, point: RecoveryPoint) -> Manifest:
        """What was written down when the point was made. Raises NotThere, or BadManifest of one
        that has been replaced.
        """
        document = self.manifests.read(point.id)
        if digest(document) != point.manifest:
            raise BadManifest("it is another one than was written when the point was made")
        return Manifest.of(document)

    def point(self, resource: str, point_id: str) -> RecoveryPoint | None:
        history = [*self.catalogue.of(resource), *self.others.of(resource)]
        return next((one for one in history if one.id == point_id), None)


MANIFEST = "the manifest beside the recovery point"
ORIGINAL = "the original, as it was when this was asked for"
UNKNOWN = "nothing"
"""Where settings are known from."""
