"""What IAM is asked for the calls that scale a table like its original: the part of
`local.iam_actions` that is about recoveries in earnest.
"""

from __future__ import annotations

from collections.abc import Mapping

from local.iam_requests import SCALED_SERVICE, Account, Ask, Params, Request


def _scaled(operation: str, params: Params, account: Account) -> list[Request]:
    """No name of what is scaled: its target has an id of its own, which the caller does not know.

    Application Auto Scaling User Guide, "Identity-based policy examples": whoever puts a policy
    that tracks a target is asked for its alarms, too.
    """
    keys = {SCALED_SERVICE: (params["ServiceNamespace"],)}
    target = account.arn("application-autoscaling", "scalable-target/*")
    requests = [Request(f"application-autoscaling:{operation}", target, keys)]
    if "TargetTrackingScalingPolicyConfiguration" in params:
        name = f"alarm:TargetTracking-{params['ResourceId']}-AlarmHigh"
        alarm = account.arn("cloudwatch", name)
        requests += [
            Request("cloudwatch:PutMetricAlarm", alarm, creates=True),
            Request("cloudwatch:DescribeAlarms", alarm),
        ]
    return requests


RECOVERIES: Mapping[tuple[str, str], Ask] = {
    ("application-autoscaling", "RegisterScalableTarget"): _scaled,
    ("application-autoscaling", "PutScalingPolicy"): _scaled,
    ("application-autoscaling", "PutScheduledAction"): _scaled,
}
