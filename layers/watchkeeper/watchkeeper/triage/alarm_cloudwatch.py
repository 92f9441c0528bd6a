"""CloudWatch's alarms: by EventBridge, as a direct action of Lambda, and by SNS. Pure.

The three say the same in different words; keys are folded to small letters, so that most of it is
read once. Log lines that an alarm brings along are left: triage asks the log groups itself.
"""

import re
from collections.abc import Iterator
from typing import Any

from watchkeeper import naming
from watchkeeper.triage.alarm_model import MOST_METRICS, Alarm, Kind, Metric
from watchkeeper.triage.envelopes import Message, parsed
from watchkeeper.triage.fields import Fields, first, folded, items, moment, text

AUTOSCALING = "TargetTracking-"
"""What Auto Scaling's own alarms are called:
https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-scaling-target-tracking.html
"""
_STATISTICS = {
    "sum": "Sum", "average": "Average", "minimum": "Minimum", "maximum": "Maximum",
    "samplecount": "SampleCount", "sample_count": "SampleCount",
}  # fmt: skip
"""SNS shouts them."""


def is_other_news(fields: Fields) -> bool:
    """Somebody has changed an alarm: that is no change of its state."""
    return fields.get("detail-type") == "CloudWatch Alarm Configuration Change"


def is_alarm(fields: Fields) -> bool:
    return (
        "alarmdata" in fields
        or ("alarmname" in fields and "newstatevalue" in fields)
        or text(fields.get("detail-type"), 100).startswith("CloudWatch Alarm ")
    )


def alarms(message: Message, fields: Fields, ours: str) -> Iterator[Alarm]:
    """The alarm of a message whose keys are folded."""
    detail = folded(fields.get("detail")) or folded(fields.get("alarmdata")) or fields
    configuration = folded(detail.get("configuration")) or folded(detail.get("trigger"))
    # An alarm by SNS has its rule, a log alarm perhaps its query beside everything else.
    configuration = {**detail, **configuration}
    state = folded(detail.get("state"))
    name, arn = _name(fields, detail)
    changed = moment(first(state, "timestamp") or detail.get("statechangetime"))
    at = changed or message.sent_at or moment(fields.get("time"))
    contributor = folded(detail.get("alarmcontributor"))
    data = _reason_data(first(state, "reasondata") or first(detail, "newstatereasondata"))
    key = _key(arn, fields, name, text(contributor.get("id"), 100))
    rule = text(configuration.get("alarmrule"), 10_240)
    yield Alarm.model_validate(
        {
            "identity": f"{key}@{naming.instant(at)}" if at else f"{key}@unknown",
            "key": key,
            "name": name,
            "arn": arn,
            "account": _part(arn, 4) or first(fields, "account", "accountid", "awsaccountid"),
            "region": _part(arn, 3) or fields.get("region"),
            "state": first(state, "value") or detail.get("newstatevalue"),
            "previous": folded(detail.get("previousstate")).get("value")
            or detail.get("oldstatevalue"),
            "at": at,
            "reason": first(state, "reason") or detail.get("newstatereason"),
            "description": first(configuration, "description", "alarmdescription"),
            "rule": rule,
            "children": [full_arn(child, arn) for child in named_in(rule)],
            "contributor": contributor.get("id"),
            "contributor_attributes": contributor.get("attributes"),
            "labels": first(detail, "alarmtags", "tags"),
            "muted": _muted(detail, state),
            "problem": _problem(name, message, has_state=bool(state) or "newstatevalue" in detail),
            **_whose(name, ours),
            **_looked_at(configuration, rule),
            **_evaluated(data, configuration, detail),
        }
    )


# ── Which alarm it is ─────────────────────────────────────────────────────────────────────────────


def _name(fields: Fields, detail: Fields) -> tuple[str, str]:
    """The alarm's name and ARN; "" for what nobody says."""
    resource = next(items(fields.get("resources"), 1), None)
    arn = text(first(fields, "alarmarn") or first(detail, "alarmarn") or resource, 400)
    name = text(first(detail, "alarmname"), 400) or arn.partition(":alarm:")[2]
    return name, arn


def _whose(name: str, ours: str) -> dict[str, bool]:
    return {
        "autoscaling": name.startswith(AUTOSCALING),
        "ours": bool(ours) and name.startswith(ours),
    }


def _key(arn: str, fields: Fields, name: str, contributor: str) -> str:
    account = text(first(fields, "account", "accountid", "awsaccountid"), 20)
    key = arn or f"alarm:{account}:{text(fields.get('region'), 40)}:{name}"
    return f"{key}#{contributor}" if contributor else key


def _part(arn: str, number: int) -> str:
    """SNS writes the Region as people say it: "EU (Ireland)"."""
    parts = arn.split(":", 6)
    return parts[number] if len(parts) == 7 else ""  # noqa: PLR2004  (arn:aws:cloudwatch:region:account:alarm:name)


def _problem(name: str, message: Message, *, has_state: bool) -> str:
    missing = [what for what, there in (("its name", name), ("its state", has_state)) if not there]
    if message.cut:
        return "The message was cut: parts of the alarm are missing."
    return f"The message does not say {' and '.join(missing)}." if missing else ""


def _muted(detail: Fields, state: Fields) -> str:
    rule = folded(detail.get("mutedetail"))
    if rule:
        until = text(rule.get("mutewindowend"), 40)
        by = text(rule.get("mutedbyarn"), 400) or "a mute rule"
        return f"Muted by {by}" + (f" until {until}" if until else "")
    by = text(first(state, "actionssuppressedby") or first(detail, "actionssuppressedby"), 100)
    why = first(state, "actionssuppressedreason") or first(detail, "actionssuppressedreason")
    return f"Suppressed by {by}: {text(why, 400) or 'no reason given'}" if by else ""


# ── What it looks at ──────────────────────────────────────────────────────────────────────────────


def _looked_at(configuration: Fields, rule: str) -> dict[str, Any]:
    """Metrics or logs, and so the kind of alarm."""
    listed = configuration.get("metrics")
    metrics = [_metric(folded(one)) for one in items(listed, MOST_METRICS)]
    if not metrics and "metricname" in configuration:
        metrics = [_metric(configuration)]
    logs = folded(configuration.get("scheduledqueryconfiguration"))
    criteria = folded(configuration.get("evaluationcriteria"))
    promql = folded(criteria.get("promqlcriteria")).get("query")
    query = first(logs, "querystring") or promql
    kind = (
        Kind.COMPOSITE if rule else Kind.LOG if logs else Kind.QUERY if promql else _kind(metrics)
    )
    groups = first(logs, "loggroupidentifiers")
    return {"metrics": metrics, "kind": kind, "query": query, "log_groups": groups}


def _kind(metrics: list[Metric]) -> Kind:
    expressions = [one.expression.lstrip().upper() for one in metrics if one.expression]
    if any(one.startswith("ANOMALY_DETECTION_BAND") for one in expressions):
        return Kind.ANOMALY
    if any(one.startswith("SELECT") for one in expressions):
        return Kind.QUERY
    if expressions:
        return Kind.MATH
    return Kind.METRIC if metrics else Kind.UNKNOWN


def _metric(line: Fields) -> Metric:
    """One of the list, or of SNS the only one, which is not in a list."""
    stat = folded(line.get("metricstat")) or line
    metric = folded(stat.get("metric")) or stat
    statistic = text(first(stat, "stat", "extendedstatistic", "statistic"), 40)
    return Metric.model_validate(
        {
            "id": line.get("id"),
            "namespace": metric.get("namespace"),
            "name": first(metric, "name", "metricname"),
            "dimensions": metric.get("dimensions"),
            "stat": _STATISTICS.get(statistic.lower(), statistic),
            "period": first(stat, "period") or line.get("period"),
            "expression": line.get("expression"),
            "label": line.get("label"),
            "returned": line.get("returndata") is not False,
        }
    )


# ── Why it changed ────────────────────────────────────────────────────────────────────────────────


def _reason_data(value: Any) -> Fields:
    """JSON in a text; there is none after `set-alarm-state` and the first evaluation."""
    return folded(parsed(value)[0] if isinstance(value, str) else value)


def _evaluated(data: Fields, configuration: Fields, detail: Fields) -> dict[str, Any]:
    triggering = first(data, "triggeringalarms") or first(detail, "triggeringchildren")
    threshold = data.get("threshold")
    return {
        "since": data.get("startdate"),
        "datapoints": data.get("recentdatapoints"),
        "threshold": configuration.get("threshold") if threshold is None else threshold,
        "triggered_by": [folded(one).get("arn") for one in items(triggering, MOST_METRICS)],
    }


# ── The rule of a composite alarm ─────────────────────────────────────────────────────────────────

_IN_BRACKETS = re.compile(
    r'(?:\b(?:ALARM|OK|INSUFFICIENT_DATA)\s*+|,\s*+)\(((?:"(?:[^"\\]|\\.)*+"|[^()"])*+)\)',
    re.DOTALL,
)
"""After a state its one alarm; after a comma, in `AT_LEAST`, the list of them."""
_ONE = re.compile(r'"((?:[^"\\]|\\.)*+)"|([^,"]+)', re.DOTALL)


def named_in(rule: str) -> list[str]:
    """The alarms that a rule names, each once, in its order. Names may be quoted, or ARNs:
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html
    """
    found = []
    for brackets in _IN_BRACKETS.finditer(rule):
        for one in _ONE.finditer(brackets[1]):
            quoted = re.sub(r"\\(.)", r"\1", one[1] or "", flags=re.DOTALL)
            found.append((quoted or one[2] or "").strip())
    return list(dict.fromkeys(filter(None, found)))[:MOST_METRICS]


def full_arn(child: str, parent: str) -> str:
    """Children without an ARN are in their parent's account and Region."""
    before, marker, _ = parent.partition(":alarm:")
    return child if child.startswith("arn:") or not marker else f"{before}{marker}{child}"
