"""What a look at an incident is asked, and what it acts on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

# Most wake-ups do not look, and need not know what is found.
if TYPE_CHECKING:
    from watchkeeper.triage.alarm_model import Alarm
    from watchkeeper.triage.gathered import Found, Resource, Span, Unchecked

MOST_ALARMS = 20
"""Of an incident whose details are looked at: the telling ones. Their resources are among them."""
MOST_RESOURCES = 12
"""That are looked at, neighbours included: a person reads no more, and each costs some cents."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One look, as every kind of evidence is asked for it."""

    incident: str
    look: int
    """0 at once, then the later ones."""
    span: "Span"
    alarms: "Sequence[Alarm]"
    """As they were raised; at most MOST_ALARMS, the most telling first."""
    resources: "Sequence[Resource]"
    """At most MOST_RESOURCES, those of the alarms first."""
    calls: Mapping[str, Sequence[str]]
    """Who calls whom, by ARN, as the policy says."""
    pending: Sequence[str] = ()
    """What this kind handed back as pending at the look before."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What the run has to remember of a look: plain values."""

    headline: str = ""
    owner: str = ""
    resources: Sequence[str] = ()
    """ARNs that the alarms are about."""
    page: str = ""
    """The key of the page in the bucket of incidents; "" if it could not be written."""
    matters: str = ""
    """See `Report.matters`."""
    words: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Subject and text for people, by the kind of telling."""
    pending: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What each kind of evidence handed back, by its name."""
    used: Mapping[str, float] = field(default_factory=dict)
    unseen: str = ""
    """Why there was no look; "" if there was one."""


class Look(Protocol):
    """One kind of evidence. What AWS refuses becomes `Unchecked`, kind by kind and resource by
    resource: no error of AWS's leaves it.
    """

    def __call__(self, asked: Asked, now: datetime) -> "Found": ...


Looks = Mapping[str, Look]
"""By what they look at, in words: `the logs`, `the metrics`, `the audit trail`, `the databases`."""

Resourced = Callable[["Sequence[Alarm]"], tuple["Sequence[Resource]", "Sequence[Unchecked]"]]
"""The resources that alarms are about and their neighbours, with tags, owners and log groups."""
