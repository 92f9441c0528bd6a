"""What CloudWatch says of an alarm's change of state: to the event bus, to Lambda and to topics."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from moto.cloudwatch.models import Alarm


def dimensions_of(alarm: Alarm) -> list[tuple[str, str]]:
    return [(str(each.name), str(each.value)) for each in alarm.dimensions]


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}+0000"


def reason_of(
    alarm: Alarm,
    values: list[tuple[datetime, float | None]],
    words: str,
    state: str,
    now: datetime,
) -> tuple[str, str]:
    """What CloudWatch says about a change of state: a sentence, and the same as JSON."""
    known = [(start, value) for start, value in reversed(values) if value is not None]
    data = {
        "version": "1.0",
        "queryDate": stamp(now),
        "startDate": stamp(values[0][0]),
        "statistic": alarm.statistic,
        "period": alarm.period,
        "recentDatapoints": [value for _, value in reversed(known)],
        "threshold": alarm.threshold,
    }
    if state == "INSUFFICIENT_DATA":
        return "Insufficient Data: no datapoints were received.", json.dumps(data)
    negation = "" if state == "ALARM" else "not "
    if not known:
        treatment = "Breaching" if alarm.treat_missing_data == "breaching" else "NonBreaching"
        reason = (
            f"Threshold Crossed: no datapoints were received for {len(values)} periods and "
            f"{len(values)} missing datapoints were treated as [{treatment}]."
        )
        return reason, json.dumps(data)
    shown = ", ".join(f"{value} ({start.strftime('%d/%m/%y %H:%M:%S')})" for start, value in known)
    needed = alarm.datapoints_to_alarm or alarm.evaluation_periods
    reason = (
        f"Threshold Crossed: {len(known)} out of the last {len(values)} datapoints [{shown}] was "
        f"{negation}{words} the threshold ({alarm.threshold}) (minimum {needed} datapoint"
        f"{'s' if needed > 1 else ''} for OK -> ALARM transition)."
    )
    return reason, json.dumps(data)


def detail_of(alarm: Alarm, previous: tuple[Any, ...], name_key: str) -> dict[str, Any]:
    """State, previous state and configuration, as the event bus and Lambda are told."""
    return {
        name_key: alarm.name,
        "state": {
            "value": alarm.state_value,
            "reason": alarm.state_reason,
            "reasonData": alarm.state_reason_data,
            "timestamp": stamp(alarm.state_updated_timestamp),
        },
        "previousState": {
            "value": previous[0],
            "reason": previous[1],
            "reasonData": previous[2],
            "timestamp": stamp(previous[3]),
        },
        "configuration": {
            "description": alarm.description,
            "alarmRule": alarm.rule,
        }
        if alarm.rule
        else {
            "description": alarm.description,
            "metrics": [
                {
                    "id": "m1",
                    "metricStat": {
                        "metric": {
                            "namespace": alarm.namespace,
                            "name": alarm.metric_name,
                            "dimensions": dict(dimensions_of(alarm)),
                        },
                        "period": alarm.period,
                        "stat": alarm.statistic,
                    },
                    "returnData": True,
                }
            ],
        },
    }


def message_of(alarm: Alarm, previous: str, account_id: str) -> dict[str, Any]:
    """What a topic is told."""
    region = alarm.region_name
    message = {
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.description,
        "AWSAccountId": account_id,
        "AlarmConfigurationUpdatedTimestamp": stamp(alarm.configuration_updated_timestamp),
        "NewStateValue": alarm.state_value,
        "NewStateReason": alarm.state_reason,
        "StateChangeTime": stamp(alarm.state_updated_timestamp),
        "Region": {"us-east-1": "US East (N. Virginia)"}.get(region, region),
        "AlarmArn": alarm.alarm_arn,
        "OldStateValue": previous,
        "OKActions": alarm.ok_actions,
        "AlarmActions": alarm.alarm_actions,
        "InsufficientDataActions": alarm.insufficient_data_actions,
    }
    if alarm.rule:
        triggering = json.loads(alarm.state_reason_data).get("triggeringAlarms", [])
        children = [
            {
                "Arn": one["arn"],
                "State": {"Value": one["state"]["value"], "Timestamp": one["state"]["timestamp"]},
            }
            for one in triggering
        ]
        return {**message, "AlarmRule": alarm.rule, "TriggeringChildren": children}
    return {
        **message,
        "Trigger": {
            "MetricName": alarm.metric_name,
            "Namespace": alarm.namespace,
            "StatisticType": "Statistic",
            "Statistic": alarm.statistic.upper(),
            "Unit": alarm.unit,
            "Dimensions": [{"value": value, "name": name} for name, value in dimensions_of(alarm)],
            "Period": alarm.period,
            "EvaluationPeriods": alarm.evaluation_periods,
            "DatapointsToAlarm": alarm.datapoints_to_alarm or alarm.evaluation_periods,
            "ComparisonOperator": alarm.comparison_operator,
            "Threshold": alarm.threshold,
            "TreatMissingData": alarm.treat_missing_data or "missing",
            "EvaluateLowSampleCountPercentile": "",
        },
    }
