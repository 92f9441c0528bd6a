"""An alarm as the incidents take it: which it is, how it stands, how grave it is. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from watchkeeper.triage.alarm_cloudwatch import full_arn
from watchkeeper.triage.alarm_model import Alarm, State
from watchkeeper.triage.alarm_resources import Place, arns_of, partition_of, place_of
from watchkeeper.triage.fields import text
from watchkeeper.triage.incident_records import Incident, key_of, moment
from watchkeeper.triage.redaction import redacted
from watchkeeper.triage.severity import Severity

# Reading a policy costs 20 ms of a cold start; who has one has read it.
if TYPE_CHECKING:
    from watchkeeper.triage.policy import TriagePolicy

SAME = timedelta(seconds=2)
"""An alarm changes at most once in ten seconds, its shortest period: two reports of one state that
are closer are of one change, though a service rounded its time.
"""
LONGEST_SAID = 64_000
"""Bytes: 50 of them fit into the 4 MB of one transaction. Only hostile alarms are longer."""
_WORDS = {
    Severity.CRITICAL: "critical crit fatal emergency emerg page disaster blocker sev0 sev1 p0 p1",
    Severity.HIGH: "high error err major urgent severe alert sev2 p2",
    Severity.MEDIUM: "medium moderate warning warn average ticket sev3 p3",
    Severity.LOW: "low minor sev4 p4",
    Severity.INFORMATIONAL: "informational information info notice none debug sev5 p5",
}
SEVERITIES: Mapping[str, Severity] = {
    word: severity for severity, words in _WORDS.items() for word in words.split()
}
"""What alarms and alerts say themselves, in small letters and without `-`, `_` and spaces."""
_LABELS = ("severity", "sev", "priority")
"""Labels or tags that say it, the surest first."""


@dataclass(frozen=True)
class Heard:
    """What `watchkeeper.triage.incidents` groups by."""

    alarm: Alarm
    at: datetime
    severity: Severity
    resources: tuple[str, ...] = ()
    children: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return self.alarm.key

    @property
    def name(self) -> str:
        return self.alarm.name

    @property
    def state(self) -> str:
        """What cannot be read counts as ALARM: silence would be worse."""
        return str(State.ALARM if self.alarm.state is State.UNKNOWN else self.alarm.state)

    @property
    def is_muted(self) -> bool:
        return bool(self.alarm.muted)

    @property
    def is_ours(self) -> bool:
        return self.alarm.ours or self.alarm.autoscaling

    @cached_property
    def said(self) -> str:
        """The alarm as JSON, redacted, to be kept; `Alarm.model_validate_json` reads it again.

        What names it stays as it is: identity, key, name, ARNs, metrics and dimensions.
        """
        alarm = self.alarm.model_copy(
            update={
                name: _redacted(getattr(self.alarm, name))
                for name in (
                    "reason", "description", "query", "labels", "annotations", "source", "muted",
                    "problem",
                )
            }
        )  # fmt: skip
        for left in ((), ("annotations", "labels"), ("metrics", "rule", "query", "datapoints")):
            alarm = alarm.model_copy(update={one: _nothing(getattr(alarm, one)) for one in left})
            said = alarm.model_dump_json(exclude_defaults=True)
            if len(said.encode()) <= LONGEST_SAID:
                return said
        short = ("identity", "key", "kind", "name", "arn", "state", "at")
        return alarm.model_dump_json(include=set(short))


def heard(alarm: Alarm, policy: "TriagePolicy", now: datetime, ours: Place | None = None) -> Heard:
    """An alarm without a time is of `now`. `ours` is where we are, for alerts that do not say."""
    return Heard(
        alarm=alarm,
        at=alarm.at or now,
        severity=severity_of(alarm) or policy.severity_of(alarm.name),
        resources=arns_of(alarm, ours),
        children=tuple(_key_of_child(child, alarm) for child in alarm.children),
    )


def as_known(one: Heard, incident: Incident) -> Heard:
    """With the time at which the incident knows this change of state, where it nearly is that time.

    An event and a description tell the same of a change; if ever they differ in a fraction of a
    second, that is no second change.
    """
    member = incident.members.get(key_of(one.key))
    if member is None or member.state != one.state:
        return one
    known = moment(member.at)
    return replace(one, at=known) if abs(known - one.at) < SAME else one


def severity_of(alarm: Alarm) -> Severity | None:
    """As its own labels or tags say it; None if they say nothing that is known."""
    labels = {name.lower(): value for name, value in reversed(list(alarm.labels.items()))}
    for name in _LABELS:
        word = labels.get(name, "").lower()
        found = SEVERITIES.get(word.translate({ord(one): None for one in "-_ "}))
        if found is not None:
            return found
    return None


def _key_of_child(child: str, alarm: Alarm) -> str:
    """The key of a composite's child: its ARN, in the account and Region of its parent."""
    if child.startswith("arn:"):
        return child
    place = place_of(alarm, None)
    if place is None:
        return f"alarm:{alarm.account}:{alarm.region}:{child}"
    base = f"arn:{partition_of(place.region)}:cloudwatch:{place.region}:{place.account}:alarm:"
    return full_arn(child, base)


def _redacted(value: str | dict[str, str]) -> str | dict[str, str]:
    if isinstance(value, str):
        return text(redacted(value), 10_240)
    return {name: redacted(f"{name}={one}").removeprefix(f"{name}=") for name, one in value.items()}


def _nothing(value: object) -> object:
    return type(value)()
