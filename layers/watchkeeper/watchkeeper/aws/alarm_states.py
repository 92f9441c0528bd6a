"""CloudWatch's alarms as they are now, for who may have missed how they changed.

They are read like the events of the same changes, so that a description and an event of one change
have the same identity, key and time. CloudWatch writes two times: `StateTransitionedTimestamp`,
when the state changed, as the event says; and `StateUpdatedTimestamp`, which can move on without.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricAlarm.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html

What a description does not say: the state before, and the tags.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from watchkeeper import naming
from watchkeeper.aws.client import client
from watchkeeper.aws.errors import NotThere, translated
from watchkeeper.aws.iam import needs
from watchkeeper.aws.paging import paged

# Reading an alarm costs 10 ms of a cold start; most wake-ups read none.
if TYPE_CHECKING:
    from watchkeeper.triage.alarm_model import Alarm

NAMES_A_CALL = 100
"""The most that DescribeAlarms takes, and gives a page."""
ANSWERS = ("MetricAlarms", "CompositeAlarms", "LogAlarms")
MOST_RULES = 100
"""Mute rules that are active at once: each takes a call. More are maintenance of everything."""
ALARM = "ALARM"
"""The state of an alarm that fires."""


class AlarmStates:
    """Raises AwsError whenever it cannot know: of an alarm of which it is not known whether it is
    muted, nothing is said at all, or maintenance would page.
    """

    @cached_property
    def client(self) -> Any:
        return client("cloudwatch")

    @needs(
        "cloudwatch:DescribeAlarms",
        "cloudwatch:DescribeAlarmContributors",
        "cloudwatch:ListAlarmMuteRules",
        "cloudwatch:GetAlarmMuteRule",
    )
    def of(self, names: Sequence[str], ours: str = "") -> "list[Alarm]":
        """The alarms with these names, as they are now; those that are gone are not among them.

        `ours` is how the names of our own stack's alarms begin.
        """
        found: list[Mapping[str, Any]] = []
        for first in range(0, len(names), NAMES_A_CALL):
            found += self._described(AlarmNames=list(names[first : first + NAMES_A_CALL]))
        return self._read(found, ours)

    @needs(
        "cloudwatch:DescribeAlarms",
        "cloudwatch:DescribeAlarmContributors",
        "cloudwatch:ListAlarmMuteRules",
        "cloudwatch:GetAlarmMuteRule",
    )
    def firing(self, ours: str = "") -> "list[Alarm]":
        """Every alarm of this account and Region that is in ALARM, the muted ones included."""
        return self._read(list(self._described(StateValue=ALARM)), ours)

    @needs("cloudwatch:ListAlarmMuteRules", "cloudwatch:GetAlarmMuteRule")
    def mutes(self) -> dict[str, str]:
        """Why alarms are muted now by a rule, by the alarm's name."""
        rules = paged(
            self.client,
            "list_alarm_mute_rules",
            "AlarmMuteRuleSummaries",
            NAMES_A_CALL,
            Statuses=["ACTIVE"],
        )
        found: dict[str, str] = {}
        for summary, _ in zip(rules, range(MOST_RULES), strict=False):
            for name in self._muted_by(summary["AlarmMuteRuleArn"]):
                found.setdefault(name, f"Muted by {summary['AlarmMuteRuleArn']}")
        return found

    # ── What is asked ─────────────────────────────────────────────────────────────────────────────

    def _described(self, **which: Any) -> Iterator[Mapping[str, Any]]:
        """Of all types: without saying so, only metric alarms are told."""
        types = self.client.meta.service_model.shape_for("AlarmType").enum
        pages = self.client.get_paginator("describe_alarms").paginate(
            AlarmTypes=list(types), **which, PaginationConfig={"PageSize": NAMES_A_CALL}
        )
        with translated("cloudwatch:DescribeAlarms"):
            for page in pages:
                for answer in ANSWERS:
                    yield from page.get(answer, ())

    def _muted_by(self, arn: str) -> list[str]:
        name = arn.partition(":alarm-mute-rule:")[2]
        try:
            with translated("cloudwatch:GetAlarmMuteRule"):
                rule = self.client.get_alarm_mute_rule(AlarmMuteRuleName=name)
        except NotThere:  # deleted since it was listed
            return []
        return list(rule.get("MuteTargets", {}).get("AlarmNames", ()))

    def _contributors(self, name: str) -> list[Mapping[str, Any]]:
        """Only those in ALARM: what left it has gone from the answer. It has no paginator."""
        found: list[Mapping[str, Any]] = []
        more: dict[str, str] = {}
        while True:
            with translated("cloudwatch:DescribeAlarmContributors"):
                page = self.client.describe_alarm_contributors(AlarmName=name, **more)
            found += page["AlarmContributors"]
            more = {"NextToken": page["NextToken"]} if page.get("NextToken") else {}
            if not more:
                return found

    # ── How it is read ────────────────────────────────────────────────────────────────────────────

    def _read(self, described: Iterable[Mapping[str, Any]], ours: str) -> "list[Alarm]":
        from watchkeeper.triage.alarm_model import Kind  # noqa: PLC0415 (as above)

        found = sorted(described, key=lambda one: one["AlarmName"])
        muted = self.mutes() if any(one["StateValue"] == ALARM for one in found) else {}
        read = []
        for one in found:
            alarm = _alarm(one, _event(one), ours, muted)
            read.append(alarm)
            if alarm.kind is Kind.QUERY and alarm.state == ALARM:
                listed = self._contributors(alarm.name)
                read += [_alarm(one, _event_of(one, each), ours, muted) for each in listed]
        return read


def _alarm(
    described: Mapping[str, Any], event: Mapping[str, Any], ours: str, muted: Mapping[str, str]
) -> "Alarm":
    from watchkeeper.triage import alarms  # noqa: PLC0415 (as above)

    alarm = alarms.read(event, ours)[0]
    off = "" if described.get("ActionsEnabled", True) else "Its actions are switched off"
    why = alarm.muted or muted.get(alarm.name, "") or off
    return alarm.model_copy(update={"muted": why})


def _event(described: Mapping[str, Any]) -> dict[str, Any]:
    """The change of state as EventBridge would have told it."""
    at = described.get("StateTransitionedTimestamp") or described.get("StateUpdatedTimestamp")
    state = {
        "value": described.get("StateValue"),
        "reason": described.get("StateReason"),
        "reasonData": described.get("StateReasonData"),
        "timestamp": naming.instant(at) if at else None,
        "actionsSuppressedBy": described.get("ActionsSuppressedBy"),
        "actionsSuppressedReason": described.get("ActionsSuppressedReason"),
    }
    return {
        "source": "aws.cloudwatch",
        "detail-type": "CloudWatch Alarm State Change",
        "resources": [described["AlarmArn"]],
        "detail": {
            "alarmName": described["AlarmName"],
            "state": state,
            "configuration": described,
        },
    }


def _event_of(described: Mapping[str, Any], contributor: Mapping[str, Any]) -> dict[str, Any]:
    event = _event({**described, **contributor, "StateReasonData": None})
    event["detail-type"] = "CloudWatch Alarm Contributor State Change"
    event["detail"]["alarmContributor"] = {
        "id": contributor["ContributorId"],
        "attributes": contributor["ContributorAttributes"],
    }
    return event
