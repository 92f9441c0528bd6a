"""CloudWatch alarms: evaluated on the box's clock, acting as in AWS.

Alarms on one metric with a plain statistic, and composite alarms over them; metric math, anomaly
bands and percentiles are not in the box. Two simplifications: a period that began before the alarm
existed and has no data is neither breaching nor well; and there is no evaluation range beyond the
alarm's own periods, so a late value counts as missing when its period ends.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from moto.cloudwatch.models import Alarm, cloudwatch_backends

from local import composites
from local.alarm_messages import detail_of, dimensions_of, message_of, reason_of, stamp
from local.clock import Appointment
from local.metrics import Key, Metric
from local.mischief import NotInTheBox
from local.triggers import QUEUE_DEPTH

if TYPE_CHECKING:
    from local.cloud import Cloud

STATISTICS: dict[str, Callable[[list[float]], float]] = {
    "Sum": sum,
    "Maximum": max,
    "Minimum": min,
    "Average": lambda values: sum(values) / len(values),
    "SampleCount": lambda values: float(len(values)),
}

COMPARISONS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}

# AWS looks at a queue once a minute; the box does when an alarm wants to know, just before the
# period's end.
JUST_BEFORE = timedelta(seconds=1)


class Alarms:
    """The alarms of one box."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._backend = cloudwatch_backends[cloud.account_id][cloud.region]
        self._by_key: dict[Key, list[str]] = {}
        self._created: dict[str, datetime] = {}
        self._next: dict[str, Appointment] = {}
        cloud.metrics.listen(self._heard)

    def watch(self, alarm: Alarm) -> None:
        """Begin to evaluate an alarm that was just created or changed."""
        if alarm.rule:
            self._created[alarm.name] = self._cloud.clock.now()
            alarm.state_value = "INSUFFICIENT_DATA"
            self._composite_at_once(alarm.name)
            return
        if alarm.metric_data_queries or alarm.extended_statistic:
            raise NotInTheBox(
                f"alarm {alarm.name}: only alarms on one metric with a plain statistic"
            )
        for names in self._by_key.values():
            if alarm.name in names:
                names.remove(alarm.name)
        self._by_key.setdefault(_key(alarm), []).append(alarm.name)
        self._created[alarm.name] = self._cloud.clock.now()
        alarm.state_value = "INSUFFICIENT_DATA"
        self._evaluate_at(alarm, _period_end(alarm, self._cloud.clock.now()))

    def _composite_at_once(self, name: str, child: Alarm | None = None) -> None:
        """Evaluate a composite alarm, when whatever happens now has happened."""
        now = self._cloud.clock.now()
        self._cloud.clock.at(now, lambda: self._evaluate_composite(name, child), f"alarm {name}")

    def _evaluate_composite(self, name: str, child: Alarm | None) -> None:
        alarm = self._backend.alarms.get(name)
        if alarm is None or not alarm.rule:
            return

        def state_of(one: str) -> str:
            known = self._backend.alarms.get(one)
            return str(known.state_value) if known else "INSUFFICIENT_DATA"

        state = "ALARM" if composites.holds(alarm.rule, state_of) else "OK"
        if state == alarm.state_value:
            return
        if child is None:
            self.change(alarm, state, f"{alarm.alarm_arn} was created", "{}")
            return
        at = stamp(child.state_updated_timestamp)
        triggering = {
            "arn": child.alarm_arn,
            "state": {"value": child.state_value, "timestamp": at},
        }
        reason = f"{child.alarm_arn} transitioned to {child.state_value} at {at}"
        self.change(alarm, state, reason, json.dumps({"triggeringAlarms": [triggering]}))

    def _heard(self, key: Key, at: datetime) -> None:
        for name in self._by_key.get(key, []):
            alarm = self._backend.alarms.get(name)
            if alarm is not None:
                self._evaluate_at(alarm, _period_end(alarm, at))

    def _evaluate_at(self, alarm: Alarm, when: datetime) -> None:
        """Evaluate then, unless it will be evaluated before that anyway."""
        when = max(when, self._cloud.clock.now())
        pending = self._next.get(alarm.name)
        if pending is not None:
            if pending.when <= when:
                return
            pending.cancel()
        self._next[alarm.name] = self._cloud.clock.at(
            when, lambda: self._evaluate(alarm.name), f"alarm {alarm.name}"
        )

    def _evaluate(self, name: str) -> None:
        self._next.pop(name, None)
        alarm = self._backend.alarms.get(name)
        if alarm is None:
            return
        now = self._cloud.clock.now()
        depth = self._look_at_queue(alarm, now)
        values = self._periods(alarm, now)
        self._judge(alarm, values, now)
        period = timedelta(seconds=alarm.period)
        known = now - period * alarm.evaluation_periods >= self._created[name]
        same = all(value == values[0][1] for _, value in values)
        if same and values[0][1] is None and known and not depth:
            return  # Nothing can change until something is measured, and that will be heard.
        assumed = self._cloud.metrics.assumed_until(_key(alarm), now) if same else None
        self._evaluate_at(alarm, _period_end(alarm, assumed or now))

    def _look_at_queue(self, alarm: Alarm, now: datetime) -> int:
        """Measure the queue of an alarm about a queue; the number of messages in it."""
        if (alarm.namespace, alarm.metric_name) != ("AWS/SQS", QUEUE_DEPTH):
            return 0
        name = dict(dimensions_of(alarm))["QueueName"]
        depth = self._cloud.triggers.queue_depth(name)
        if depth:
            metric = Metric(
                *_key(alarm)[:2], float(depth), now - JUST_BEFORE, "Count", {"QueueName": name}
            )
            self._cloud.metrics.record(metric, tell=False)
        return depth

    def _periods(self, alarm: Alarm, now: datetime) -> list[tuple[datetime, float | None]]:
        """Start and statistic of each period, oldest first; None when nothing was measured."""
        period = timedelta(seconds=alarm.period)
        end = _period_end(alarm, now) - period
        statistic = STATISTICS[alarm.statistic]
        found: list[tuple[datetime, float | None]] = []
        for back in range(alarm.evaluation_periods, 0, -1):
            start = end - back * period
            values = self._cloud.metrics.values(_key(alarm), start, start + period)
            found.append((start, statistic(values) if values else None))
        return found

    def _judge(
        self, alarm: Alarm, values: list[tuple[datetime, float | None]], now: datetime
    ) -> None:
        compare, words = COMPARISONS[alarm.comparison_operator]
        treatment = alarm.treat_missing_data or "missing"
        filled: dict[str, bool | None] = {"breaching": True, "notBreaching": False}
        verdicts: list[bool | None] = []
        for start, value in values:
            if value is not None:
                verdicts.append(compare(value, alarm.threshold))
            elif start < self._created[alarm.name] and treatment != "notBreaching":
                verdicts.append(None)
            else:
                verdicts.append(filled.get(treatment))
        needed = alarm.datapoints_to_alarm or alarm.evaluation_periods
        if verdicts.count(True) >= needed:
            state = "ALARM"
        elif any(verdict is not None for verdict in verdicts):
            state = "OK"
        else:
            state = alarm.state_value if treatment != "missing" else "INSUFFICIENT_DATA"
        if state != alarm.state_value:
            self.change(alarm, state, *reason_of(alarm, values, words, state, now))

    def change(self, alarm: Alarm, state: str, reason: str, data: str) -> None:
        """Change the state of an alarm, then tell its actions and the event bus."""
        previous = (
            alarm.state_value,
            alarm.state_reason,
            alarm.state_reason_data,
            alarm.state_updated_timestamp,
        )
        alarm.update_state(reason, data, state)
        for one in list(self._backend.alarms.values()):
            if one.rule and alarm.name in composites.named_in(one.rule):
                self._composite_at_once(one.name, alarm)
        muted = self._muted(alarm)
        if alarm.actions_enabled and not muted:
            actions = {
                "ALARM": alarm.alarm_actions,
                "OK": alarm.ok_actions,
                "INSUFFICIENT_DATA": alarm.insufficient_data_actions,
            }[state]
            for arn in actions:
                self._act(arn, alarm, previous)
        self._cloud.events.send(
            {
                "source": "aws.cloudwatch",
                "detail-type": "CloudWatch Alarm State Change",
                "resources": [alarm.alarm_arn],
                "detail": {**detail_of(alarm, previous, "alarmName"), **muted},
            }
        )

    def _muted(self, alarm: Alarm) -> dict[str, Any]:
        """What the event says of a mute rule that holds now."""
        states = self._cloud.extensions.get("local.aws.alarm_states")
        arn = states.muting(alarm.name) if states else ""
        return {"muteDetail": {"mutedByArn": arn}} if arn else {}

    def _act(self, arn: str, alarm: Alarm, previous: tuple[Any, ...]) -> None:
        if arn.split(":")[2] == "sns":
            message = message_of(alarm, previous[0], self._cloud.account_id)
            subject = f'{alarm.state_value}: "{alarm.name}" in {message["Region"]}'
            self._cloud.triggers.publish(arn, json.dumps(message), subject[:100])
        elif arn.split(":")[2] == "lambda":
            payload = {
                "source": "aws.cloudwatch",
                "alarmArn": alarm.alarm_arn,
                "accountId": self._cloud.account_id,
                "time": stamp(alarm.state_updated_timestamp),
                "region": self._cloud.region,
                "alarmData": detail_of(alarm, previous, "alarmName"),
            }
            self._cloud.triggers.send(arn, payload)
        else:
            raise NotInTheBox(f"alarm {alarm.name}: action {arn}")


def _key(alarm: Alarm) -> Key:
    return (alarm.namespace, alarm.metric_name, frozenset(dimensions_of(alarm)))


def _period_end(alarm: Alarm, at: datetime) -> datetime:
    """The end of the period that contains this time."""
    period = int(alarm.period)
    return datetime.fromtimestamp((int(at.timestamp()) // period + 1) * period, UTC)
