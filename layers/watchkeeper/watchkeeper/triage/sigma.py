"""Sigma rules for CloudTrail: what they are, and how their text becomes data.

A rule is YAML when it is written and plain data when it runs: `compiled` makes the data at build
time, and `from_data` the rule at run time, without reading YAML. A rule of anybody's for product
`aws`, service `cloudtrail` can be dropped in. https://sigmahq.io/docs/basics/rules.html
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from watchkeeper.triage.severity import Severity
from watchkeeper.triage.sigma_match import Condition, Event, Matcher, matcher


class BadRule(ValueError):
    """What is wrong with a rule, and which one it is, in words."""


class Window(StrEnum):
    """What a correlation looks for. The last is not Sigma's: Sigma has none for what is new."""

    COUNT = "event_count"
    VALUES = "value_count"
    TOGETHER = "temporal"
    IN_ORDER = "temporal_ordered"
    FIRST_SEEN = "first_seen"


@dataclass(frozen=True)
class Rule:
    """A rule about single events."""

    name: str
    title: str
    severity: Severity
    why: str
    """Its description, on one line."""
    condition: Condition = field(repr=False)
    attack: tuple[str, ...] = ()
    """ATT&CK techniques and tactics, as in its tags: `T1098.001`, `persistence`."""
    fields: tuple[str, ...] = ()
    """Fields whose values a person wants to see."""
    events: tuple[str, ...] = ()
    """The only values of eventName with which it can match, in lower case; empty: any."""
    is_silent: bool = False
    """Whether it only serves correlations, and is no finding by itself."""

    def matches(self, event: Event) -> bool:
        """Whether one CloudTrail record is what the rule describes."""
        return self._matcher(event)

    @cached_property
    def _matcher(self) -> Matcher:
        return matcher(self.condition)


@dataclass(frozen=True)
class Correlation:
    """A rule about several events within a time."""

    name: str
    title: str
    severity: Severity
    why: str
    window: Window
    of: tuple[str, ...]
    """The rules or correlations whose events it looks at, by name."""
    by: tuple[str, ...] = ()
    """Fields that its events have in common."""
    seconds: int = 0
    at_least: int = 1
    distinct: str = ""
    """The field whose different values are counted."""
    aliases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Per name in `by`, the field of each rule that it stands for."""
    attack: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    is_silent: bool = False


def load(text: str) -> Rule:
    """The rule in a text of YAML. Of one that counts (`… | count() > 5`), the part before the bar:
    the counting is done by `audit.suspicious`, with all rules compiled.

    Raises:
        BadRule: It is no rule, not about CloudTrail, or a correlation, which needs other events.
    """
    from watchkeeper.triage.sigma_text import compiled  # noqa: PLC0415 (YAML is for builds only)

    first = from_data(compiled(text)[0])
    if isinstance(first, Correlation):
        raise BadRule(
            f"{first.title}: a correlation says nothing about a single event; it is compiled"
            " together with the rules that it names"
        )
    return first


def from_data(data: Mapping[str, Any]) -> Rule | Correlation:
    """What `compiled` made, as it was stored."""
    common: dict[str, Any] = {
        "name": data["name"],
        "title": data["title"],
        "severity": Severity(data["severity"]),
        "why": data["why"],
        "attack": tuple(data["attack"]),
        "fields": tuple(data["fields"]),
        "is_silent": data["is_silent"],
    }
    if "condition" in data:
        return Rule(**common, condition=data["condition"], events=tuple(data["events"]))
    return Correlation(
        **common,
        window=Window(data["window"]),
        of=tuple(data["of"]),
        by=tuple(data["by"]),
        seconds=data["seconds"],
        at_least=data["at_least"],
        distinct=data["distinct"],
        aliases=data["aliases"],
    )
