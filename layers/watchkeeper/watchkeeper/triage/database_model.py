"""What RDS and Performance Insights say of a database. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from watchkeeper.triage.evidence import Event, Query

LEAD = timedelta(minutes=15)
"""Of metrics and load before the window: three points of a quiet minute, and room for a slow rise.
The rules of the diagnosis compare with these, and were made with windows of 15 to 20 minutes.
"""


@dataclass(frozen=True, slots=True)
class Instance:
    """One DB instance, as RDS describes it."""

    arn: str
    name: str
    resource_id: str
    """By which Performance Insights knows it."""
    engine: str = ""
    instance_class: str = ""
    cluster: str = ""
    """Identifier; "" if it is in none."""
    is_writer: bool = True
    replicas: Sequence[str] = ()
    """Identifiers of those in this Region; of a cluster's writer, the other members."""
    has_insights: bool = False
    parameter_group: str = ""
    """The operator's own; "" if it is AWS's."""


@dataclass(frozen=True, slots=True)
class Load:
    """Average active sessions in a span of time, as Performance Insights has them."""

    total: Sequence[tuple[datetime, float]] = ()
    """By the minute."""
    waits: Mapping[str, float] = field(default_factory=dict)
    users: Mapping[str, float] = field(default_factory=dict)
    hosts: Mapping[str, float] = field(default_factory=dict)


class DatabaseSource(Protocol):
    """What keeps them. Everything raises what the adapters raise."""

    def instances(self, arn: str) -> Sequence[Instance]:
        """A DB instance, or the members of a cluster with the writer first."""

    def events(self, instance: Instance, since: datetime, until: datetime) -> Sequence[Event]: ...

    def connection_limit(self, parameter_group: str) -> int | None: ...

    def load(self, instance: Instance, since: datetime, trouble: datetime, until: datetime) -> Load:
        """The total of all the time, what it is made of from `trouble` on."""

    def statements(
        self, instance: Instance, since: datetime, until: datetime
    ) -> Sequence[Query]: ...
