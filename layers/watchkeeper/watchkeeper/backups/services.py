"""What the steps ask of an AWS service, whatever it is that it backs up: ec2.py, rds.py and
dynamodb.py each answer it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from watchkeeper.backups.model import Asked, Resource, Service, Snapshot, Span, Target, Unread
from watchkeeper.backups.rules import Found

BySource = Mapping[tuple[str, str], Found]
"""Per run and source, what the account shows."""


class Taker(Protocol):
    """Makes recovery points; it can remove none."""

    service: Service
    repeats_safely: bool
    """Asking twice makes one, because we choose the name: no traces need to be looked for after an
    answer was lost.
    """

    def resources(self) -> Sequence[Resource]:
        """Everything that could be backed up, as Describe shows it now."""

    def spans(self, arns: Iterable[str], /) -> Mapping[str, Span | Unread | None]:
        """Of those for which there is point-in-time recovery at all: None where it is off."""

    def take(self, target: Target, asked: Asked, now: datetime, /) -> str:
        """Ask for a recovery point. Empty once that was accepted; otherwise what must pass first.

        Raises Refused or NotThere if there will be none; any error but Unclear means that none was
        begun.
        """

    def of_run(self, asked: Asked, targets: Sequence[Target], /) -> BySource:
        """What a run has made, as far as it is shown already."""

    def all(self) -> BySource:
        """All that this stack has made."""


class Keeper(Protocol):
    """Looks at recovery points, and removes them; it can make none."""

    service: Service

    def all(self) -> Sequence[Snapshot]:
        """Every snapshot that this stack has made."""

    def parts(self, snapshot_ids: Iterable[str]) -> Sequence[Snapshot]:
        """Those of these that exist, whatever has become of their tags."""

    def amount_to(self, snapshots: Iterable[Snapshot]) -> BySource:
        """The recovery points that these snapshots make."""

    def forbidden(self, snapshots: Sequence[Snapshot]) -> Mapping[str, str]:
        """Per snapshot, a sentence about a lock, an image or a person that forbids removing it."""

    def shared_with(self, snapshot_id: str) -> str:
        """A sentence about who else may use it; empty if nobody. Raises NotThere."""

    def delete(self, snapshot_id: str) -> None:
        """Raises NotThere if it is gone already, Refused if the service will not."""
