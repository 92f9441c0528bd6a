"""What CloudWatch tells of alarms as they are, beyond moto.

`install(cloud)` patches moto's classes until `cloud.stack` closes. What it adds:

- DescribeAlarms by types, names and state together, a page at a time, composite alarms only when
  asked for, with the time at which the state changed;
- composite alarms, kept with their rules (`local.composites` evaluates them in a whole box);
- mute rules with one window, and contributors as a test sets them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from moto.cloudwatch.exceptions import ResourceNotFoundException
from moto.cloudwatch.models import Alarm, cloudwatch_backends
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult, EmptyResult

from local.clock import Clock
from local.mischief import NotInTheBox
from local.replacing import replace

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html
PAGE = 50
METRIC, COMPOSITE, LOG = "MetricAlarm", "CompositeAlarm", "LogAlarm"

LASTS = re.compile(r"P(?:([0-9]+)D)?(?:T(?:([0-9]+)H)?(?:([0-9]+)M)?)?")


class Box(Protocol):
    stack: ExitStack
    clock: Clock
    account_id: str
    region: str


def install(cloud: Box) -> AlarmStates:
    """Make moto's CloudWatch answer like this until `cloud.stack` closes; returns the switches."""
    states = AlarmStates(cloud)
    for name, answer in states.operations().items():
        replace(cloud.stack, CloudWatchResponse, name, _as_method(answer))

    def changed(alarm: Alarm, reason: str, data: str, state: str) -> None:
        same = alarm.state_value == state
        since = alarm.state_transitioned_timestamp  # type: ignore[attr-defined]
        update(alarm, reason, data, state)
        alarm._transitioned = since if same else alarm.state_updated_timestamp  # type: ignore[attr-defined]

    update = replace(cloud.stack, Alarm, "update_state", changed)
    replace(cloud.stack, Alarm, "state_transitioned_timestamp", property(_transitioned))
    return states


def installed_in(cloud: Any) -> AlarmStates:
    states: AlarmStates = cloud.extensions[__name__]
    return states


def _transitioned(alarm: Any) -> datetime:
    at: datetime = getattr(alarm, "_transitioned", alarm.state_updated_timestamp)
    return at


def _as_method(answer: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Moto finds the operations of a response class by looking for plain functions."""

    def operation(response: Any) -> Any:
        return answer(response)

    return operation


@dataclass
class AlarmStates:
    cloud: Box
    rules: dict[str, dict[str, Any]] = field(default_factory=dict)
    contributors: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By the alarm's name, as DescribeAlarmContributors tells them."""

    def operations(self) -> dict[str, Callable[[Any], Any]]:
        """API operations, by moto's name for them, that this file answers itself."""
        return {
            "describe_alarms": self.describe_alarms,
            "describe_alarm_contributors": self.describe_alarm_contributors,
            "put_composite_alarm": lambda response: response.put_metric_alarm(),
            "put_alarm_mute_rule": self.put_alarm_mute_rule,
            "get_alarm_mute_rule": self.get_alarm_mute_rule,
            "list_alarm_mute_rules": self.list_alarm_mute_rules,
        }

    def muting(self, name: str) -> str:
        """The ARN of a rule that mutes an alarm now, or ""."""
        found = (
            rule["AlarmMuteRuleArn"]
            for rule in self.rules.values()
            if name in rule["MuteTargets"]["AlarmNames"] and self._status(rule) == "ACTIVE"
        )
        return next(found, "")

    # --- alarms ---

    def describe_alarms(self, response: Any) -> ActionResult:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html"""
        for other in ("ActionPrefix", "ChildrenOfAlarmName", "ParentsOfAlarmName"):
            if response._get_param(other):
                raise NotInTheBox(f"DescribeAlarms by {other}")
        types = response._get_param("AlarmTypes") or [METRIC]
        page, more = _page(response, self._asked_for(response, types))
        answer: dict[str, Any] = {f"{kind}s": [] for kind in (METRIC, COMPOSITE, LOG)}
        for alarm in page:
            answer[f"{_type(alarm)}s"].append(alarm)
        return ActionResult({**answer, "NextToken": more})

    def _asked_for(self, response: Any, types: list[str]) -> list[Alarm]:
        backend = cloudwatch_backends[self.cloud.account_id][self.cloud.region]
        names = response._get_param("AlarmNames")
        prefix = response._get_param("AlarmNamePrefix") or ""
        state = response._get_param("StateValue")
        return [
            alarm
            for name, alarm in sorted(backend.alarms.items())
            if _type(alarm) in types
            and (not names or name in names)
            and name.startswith(prefix)
            and (not state or alarm.state_value == state)
        ]

    def describe_alarm_contributors(self, response: Any) -> ActionResult:
        name = response._get_param("AlarmName")
        if name not in cloudwatch_backends[self.cloud.account_id][self.cloud.region].alarms:
            raise ResourceNotFoundException(f"{name} does not exist")
        page, more = _page(response, self.contributors.get(name, []))
        return ActionResult({"AlarmContributors": page, "NextToken": more})

    # --- mute rules ---

    def put_alarm_mute_rule(self, response: Any) -> EmptyResult:
        name = response._get_param("Name")
        if not response._get_param("Rule")["Schedule"]["Expression"].startswith("at("):
            raise NotInTheBox("a mute rule that comes again")
        self.rules[name] = {
            "Name": name,
            "AlarmMuteRuleArn": (
                f"arn:aws:cloudwatch:{self.cloud.region}:{self.cloud.account_id}"
                f":alarm-mute-rule:{name}"
            ),
            "Rule": response._get_param("Rule"),
            "MuteTargets": response._get_param("MuteTargets") or {"AlarmNames": []},
            "MuteType": "ONE_TIME",
            "LastUpdatedTimestamp": self.cloud.clock.now(),
        }
        return EmptyResult()

    def get_alarm_mute_rule(self, response: Any) -> ActionResult:
        rule = self.rules.get(response._get_param("AlarmMuteRuleName"))
        if rule is None:
            raise ResourceNotFoundException("no such mute rule")
        return ActionResult({**rule, "Status": self._status(rule)})

    def list_alarm_mute_rules(self, response: Any) -> ActionResult:
        asked = response._get_param("Statuses") or ["SCHEDULED", "ACTIVE", "EXPIRED"]
        name = response._get_param("AlarmName")
        found = [
            {**rule, "Status": self._status(rule)}
            for rule in self.rules.values()
            if self._status(rule) in asked
            and (not name or name in rule["MuteTargets"]["AlarmNames"])
        ]
        page, more = _page(response, found)
        return ActionResult({"AlarmMuteRuleSummaries": page, "NextToken": more})

    def _status(self, rule: dict[str, Any]) -> str:
        schedule = rule["Rule"]["Schedule"]
        begins = datetime.fromisoformat(schedule["Expression"][3:-1]).replace(tzinfo=UTC)
        match = LASTS.fullmatch(schedule["Duration"])
        if match is None or schedule.get("Timezone", "UTC") != "UTC":
            raise NotInTheBox(f"a mute rule with the schedule {schedule}")
        days, hours, minutes = (int(one or 0) for one in match.groups())
        ends = begins + timedelta(days=days, hours=hours, minutes=minutes)
        now = self.cloud.clock.now()
        return "SCHEDULED" if now < begins else "ACTIVE" if now < ends else "EXPIRED"


def _type(alarm: Alarm) -> str:
    return METRIC if alarm.rule is None else COMPOSITE


def _page(response: Any, found: Iterable[Any]) -> tuple[list[Any], str | None]:
    """The page that is asked for, and the token of the next."""
    size = response._get_param("MaxRecords") or PAGE
    first = int(response._get_param("NextToken") or 0)
    listed = list(found)
    more = str(first + size) if first + size < len(listed) else None
    return listed[first : first + size], more
