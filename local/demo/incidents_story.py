"""What breaks in the week of the demo: a release that cannot reach its mail server, at night."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from local.aws import cloudtrail, logs
from local.cloud import Cloud
from local.demo.week import Happening
from local.metrics import Metric

FUNCTION = "harbour-send-confirmations"
ALARM = "harbour-confirmations-failing"
POLICY: Mapping[str, Any] = {
    "version": 1,
    "default_owner": "team-harbour",
    "owners": [{"resources": "arn:aws:lambda:*:*:function:harbour-*", "owner": "team-guests"}],
}
RELEASED, BROKE, MENDED, QUIET = (timedelta(hours=3, minutes=one) for one in (5, 8, 31, 55))
"""Within its night."""
USUAL = 50
"""Confirmations sent in five minutes."""

WRITES = "writes the policy of triage, and an alarm: more than three confirmations lost in a minute"
RELEASES = f"mira releases {FUNCTION} 2026.46.2, and goes to bed"
MENDS = f"mira, woken by the page, takes {FUNCTION} back to 2026.46.1"


def story(start: datetime, days: int) -> list[Happening]:
    """Everything that is done from outside, oldest first; `start` is the Monday's midnight."""
    night = start + timedelta(days=min(2, days - 1))
    minutes = int((QUIET - BROKE) / timedelta(minutes=1))
    return [
        Happening(start, "operator", WRITES, _set_up),
        # What was measured before: enough to know what is usual.
        Happening(night + BROKE - timedelta(minutes=1), "chance", "", lambda c: _before(c, start)),
        Happening(night + RELEASED, "somebody", RELEASES, lambda c: _release(c, "2026.46.2")),
        *(
            Happening(night + BROKE + timedelta(minutes=one), "chance", "", _minute)
            for one in range(1, minutes)
        ),
        Happening(night + MENDED, "somebody", MENDS, lambda c: _release(c, "2026.46.1")),
    ]


def _set_up(cloud: Cloud) -> None:
    prefix = cloud.functions.find("TriageIncidents").environment["POLICY_PREFIX"]
    cloud.client("ssm").put_parameter(
        Name=f"{prefix}/triage", Value=json.dumps(POLICY), Type="String", Overwrite=True
    )
    cloudtrail.installed_in(cloud).log()
    cloud.client("cloudwatch").put_metric_alarm(
        AlarmName=ALARM,
        AlarmDescription="Guests do not get the confirmation of their berth.",
        Namespace="AWS/Lambda",
        MetricName="Errors",
        Dimensions=[{"Name": "FunctionName", "Value": FUNCTION}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=2,
        Threshold=3,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
        Tags=[{"Key": "severity", "Value": "high"}],
    )


def _before(cloud: Cloud, start: datetime) -> None:
    """Three days of five minutes each, and an hour and a half of its log."""
    now = cloud.clock.now()
    points = int(timedelta(days=3) / timedelta(minutes=5))
    for number in range(points):
        at = now - timedelta(minutes=5) * (points - number)
        swing = (number * 7) % 11
        for name, value in (
            ("Invocations", USUAL + swing),
            ("Errors", 0),
            ("Duration", 180 + swing * 4),
            ("Throttles", 0),
        ):
            _measure(cloud, name, value, at, tell=False)
    lines = [
        (now - timedelta(seconds=6 * (900 - one)), _stream(one), _sent(one)) for one in range(900)
    ]
    logs.write(cloud, f"/aws/lambda/{FUNCTION}", lines)


def _minute(cloud: Cloud) -> None:
    """The minute that has passed: while the release is out, most confirmations fail."""
    now = cloud.clock.now()
    hour = now - now.replace(hour=0, minute=0, second=0, microsecond=0)
    is_broken = BROKE < hour <= MENDED
    at = now - timedelta(seconds=30)
    failed = 7 + now.minute % 3 if is_broken else 0
    _measure(cloud, "Invocations", 10, at)
    _measure(cloud, "Throttles", 0, at)
    _measure(cloud, "Duration", 3_010 if is_broken else 190, at)
    _measure(cloud, "Errors", failed, at)
    number = now.minute * 10
    lines = [
        (at + timedelta(seconds=one), _stream(one), _failed(number + one))
        if one < failed
        else (at + timedelta(seconds=one), _stream(one), _sent(number + one))
        for one in range(10)
    ]
    logs.write(cloud, f"/aws/lambda/{FUNCTION}", lines)


def _release(cloud: Cloud, version: str) -> None:
    arn = f"arn:aws:lambda:{cloud.region}:{cloud.account_id}:function:{FUNCTION}"
    cloudtrail.installed_in(cloud).happened(
        cloudtrail.record(
            cloud.clock.now(),
            "lambda UpdateFunctionCode20150331v2",
            {
                "functionName": arn,
                "s3Bucket": "harbour-artefacts",
                "s3Key": f"production/confirmations/{version}.zip",
            },
            role="harbour-release",
            session="mira",
            resources=[arn],
        )
    )


def _measure(cloud: Cloud, name: str, value: float, at: datetime, *, tell: bool = True) -> None:
    unit = "Milliseconds" if name == "Duration" else "Count"
    cloud.metrics.record(
        Metric("AWS/Lambda", name, value, at, unit, {"FunctionName": FUNCTION}), tell=tell
    )


def _stream(number: int) -> str:
    return f"2026/11/25/[$LATEST]{'ab'[number % 2] * 8}"


def _sent(number: int) -> str:
    took = 180 + number % 17
    return f"INFO sent the confirmation of berth {number % 40} to boat {4100 + number} in {took} ms"


def _failed(number: int) -> str:
    return (
        f"ERROR boat {4100 + number} gets no confirmation: ConnectTimeout: "
        f"mail-2.harbour.example:587 did not answer within 3000 ms (captain{number}@example.com)"
    )
