"""The records of incidents: what is kept of each alarm, and of all of them together.

incidents.py says how they come about, incident_items.py how a table holds them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from watchkeeper import naming
from watchkeeper.triage.severity import Severity

ALARM, OK, SILENT = "ALARM", "OK", "INSUFFICIENT_DATA"

RAISES_EACH = 3
"""The latest times at which one alarm was raised; so many are flapping."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Alarm(Protocol):
    """One change of one alarm, as far as grouping reads it. Its text is anybody's."""

    @property
    def key(self) -> str:
        """Of the alarm, not of this change of it: its ARN, and the contributor where it has one."""

    @property
    def name(self) -> str: ...
    @property
    def state(self) -> str:
        """ALARM, OK or INSUFFICIENT_DATA. Anything else is read as INSUFFICIENT_DATA."""

    @property
    def at(self) -> datetime:
        """When its state changed, by its own account. Aware."""

    @property
    def severity(self) -> Severity: ...
    @property
    def resources(self) -> Sequence[str]:
        """ARNs."""

    @property
    def children(self) -> Sequence[str]:
        """Keys of the alarms that a composite is made of."""

    @property
    def is_muted(self) -> bool: ...
    @property
    def is_ours(self) -> bool:
        """Ours or autoscaling's: no incident of anybody's."""


@dataclass(frozen=True, slots=True)
class Member:
    """One alarm in an incident. Times are milliseconds since 1970, as short as an item needs."""

    state: str
    at: int
    """When it came into this state."""
    is_muted: bool = False
    severity: int = -1
    """The highest rank at which it was raised; below 0 if it never was."""
    first: int = 0
    """When it was first raised."""
    raised: tuple[int, ...] = ()
    """The latest times at which it was raised, oldest first."""
    resources: tuple[str, ...] = ()

    @property
    def was_raised(self) -> bool:
        return self.severity >= 0

    @property
    def is_firing(self) -> bool:
        return self.was_raised and self.state == ALARM and not self.is_muted

    @property
    def is_flapping(self) -> bool:
        return len(self.raised) >= RAISES_EACH


@dataclass(frozen=True, slots=True)
class Last:
    """What people know of an incident."""

    digest: str
    severity: int
    paged_at: datetime
    updated_at: datetime | None = None


@dataclass(frozen=True)
class Incident:
    """As the table holds it."""

    id: str
    opened_at: datetime
    """When the first of its alarms was heard."""
    members: Mapping[str, Member] = field(default_factory=dict)
    """By `key_of` the alarm."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Of the telling members."""
    resources: Mapping[str, str] = field(default_factory=dict)
    """ARNs of the resources with the most members, by their keys in `Member.resources`."""
    edges: frozenset[tuple[str, str]] = frozenset()
    """Composite and child."""
    follows: tuple[str, ...] = ()
    """Ids of the incidents that this one repeats."""
    recurrence: int = 0
    """How many of the same came before, each within RECURRENCE of the next."""
    beyond: int = 0
    """Changes of alarms that there was no room to follow, repeats and all: an upper bound."""
    matters: str = ""
    """A digest of what its latest report found that people must be told. The run keeps this and
    what was told last, in the one write that also holds the news of it.
    """
    last: Last | None = None
    closed_at: datetime | None = None
    closed_why: str = ""
    unknown: Mapping[str, Any] = field(default_factory=dict)
    """Fields that a newer version wrote; they survive our saving."""

    def raised(self) -> dict[str, Member]:
        return {key: one for key, one in self.members.items() if one.was_raised}

    @property
    def severity(self) -> int:
        """The highest rank of any member, ever; below 0 if none was raised."""
        return max((one.severity for one in self.members.values()), default=-1)

    @property
    def started_at(self) -> datetime:
        """When its first alarm was raised, or else when anything was first known of it."""
        raised = [one.first for one in self.members.values() if one.was_raised]
        return moment(min(raised or [one.at for one in self.members.values()]))

    @property
    def changed_at(self) -> datetime:
        return moment(max(one.at for one in self.members.values()))


# --- Small things ------------------------------------------------------------------------------


def telling(key: str, member: Member) -> tuple[int, int, str]:
    """Sorts the most telling first: the most severe, of those the earliest."""
    return -member.severity, member.first, key


def key_of(identity: str) -> str:
    """How an alarm is called within an incident."""
    return naming.short_id(clean(identity))


def clean(text: str, longest: int | None = None) -> str:
    """Fit for UTF-8: half a character, which no table takes, is escaped."""
    return text[:longest].encode("utf-8", "backslashreplace").decode()[:longest]


def stamp(at: datetime) -> int:
    """Milliseconds since 1970; AWS says no more."""
    return (at - _EPOCH) // _MILLISECOND


def moment(milliseconds: int) -> datetime:
    return _EPOCH + milliseconds * _MILLISECOND
