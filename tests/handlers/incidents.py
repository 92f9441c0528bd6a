"""An account in which things break: a function and a database, days of their metrics, their logs,
an audit trail, and alarms on them.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from local.aws import cloudtrail, logs, performance_insights
from local.cloud import Cloud
from local.metrics import Metric
from local.pace import INSTANT

START = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
QUIET = timedelta(minutes=100)
"""So long nothing breaks: the ring of events is older than what a look asks of it."""
BEGINS = START + QUIET
"""When things break: the first bad minute."""
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
CHECKOUT, ORDERS = "checkout", "orders"
GROUP = f"/aws/lambda/{CHECKOUT}"
DATABASE_LOG = f"/aws/rds/instance/{ORDERS}/postgresql"
FAILING, FULL = "checkout-errors", "orders-connections"
POLICY: Mapping[str, Any] = {
    "version": 1,
    "default_owner": "team-platform",
    "owners": [{"resources": f"arn:aws:lambda:*:*:function:{CHECKOUT}", "owner": "team-shop"}],
}
LIMIT = 100
"""Of connections, by the database's parameters."""
USUAL: Mapping[str, Mapping[str, float]] = {
    CHECKOUT: {"Invocations": 50, "Errors": 0, "Duration": 180, "Throttles": 0},
    ORDERS: {
        "DatabaseConnections": 40, "CPUUtilization": 22, "FreeStorageSpace": 8e9,
        "FreeableMemory": 3e9, "ReadLatency": 0.002, "WriteLatency": 0.003,
    },
}  # fmt: skip
"""What was measured every five minutes, with a little swing."""


@dataclass
class Account:
    cloud: Cloud

    def arn(self, name: str) -> str:
        place = f"{self.cloud.region}:{self.cloud.account_id}"
        kind = f"rds:{place}:db" if name == ORDERS else f"lambda:{place}:function"
        return f"arn:aws:{kind}:{name}"

    @property
    def trails(self) -> cloudtrail.Trails:
        return cloudtrail.installed_in(self.cloud)

    # ── What happens ──────────────────────────────────────────────────────────────────────────────

    def until(self, moment: datetime) -> None:
        self.cloud.clock.run_until(moment)

    def measure(self, of: str, at: datetime, *, tell: bool = True, **values: float) -> None:
        namespace, dimension = (
            ("AWS/RDS", "DBInstanceIdentifier") if of == ORDERS else ("AWS/Lambda", "FunctionName")
        )
        for name, value in values.items():
            self.cloud.metrics.record(
                Metric(namespace, name, value, at, "", {dimension: of}), tell=tell
            )

    def say(self, group: str, *lines: tuple[datetime, str]) -> None:
        logs.write(self.cloud, group, [(at, "one", text) for at, text in lines])

    def happened(self, action: str, about: str, told_after: timedelta, **more: Any) -> str:
        """Somebody does this now, and CloudTrail tells of it so long after."""
        now = self.cloud.clock.now()
        asked = {"functionName": about, "dBInstanceIdentifier": about}
        record = cloudtrail.record(
            now, action, more.pop("asked", asked), resources=[self.arn(about)], **more
        )
        return self.trails.happened(record, told_after)

    def alarm(self, name: str, of: str, metric: str, above: float, **more: Any) -> str:
        """On one bad minute; returns its ARN."""
        namespace, dimension = (
            ("AWS/RDS", "DBInstanceIdentifier") if of == ORDERS else ("AWS/Lambda", "FunctionName")
        )
        aws = self.cloud.client("cloudwatch")
        aws.put_metric_alarm(
            AlarmName=name, Namespace=namespace, MetricName=metric, Period=60,
            Dimensions=[{"Name": dimension, "Value": of}], EvaluationPeriods=1, Threshold=above,
            ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching",
            **{"Statistic": "Maximum", **more},
        )  # fmt: skip
        found = aws.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["AlarmArn"]
        return str(found)

    def set_policy(self, policy: Mapping[str, Any] = POLICY) -> None:
        self.cloud.client("ssm").put_parameter(
            Name="/watchkeeper/policy/triage", Value=json.dumps(policy), Type="String",
            Overwrite=True,
        )  # fmt: skip

    # ── What is there ─────────────────────────────────────────────────────────────────────────────

    def objects(self) -> dict[str, bytes]:
        """In the bucket of incidents."""
        aws, bucket = self.cloud.client("s3"), self.cloud.physical_id("IncidentsBucket")
        listed = aws.list_objects_v2(Bucket=bucket).get("Contents", [])
        keys = [one["Key"] for one in listed]
        return {key: aws.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}

    def reports(self) -> list[dict[str, Any]]:
        """Of all incidents, look after look."""
        found = [
            json.loads(body) for key, body in self.objects().items() if key.endswith("/report.json")
        ]
        return sorted(found, key=lambda one: (one["since"], one["incident"], one["look"]))

    def news(self) -> list[dict[str, Any]]:
        """Of incidents, for machines."""
        told = [one.json() for one in self.cloud.published("NewsTopic")]
        return [one for one in told if one["type"].startswith("Incident")]

    def pages(self) -> list[tuple[datetime, str, str]]:
        """Of incidents, for people: when, subject and text."""
        return [
            (one.at, one.subject or "", one.message)
            for one in self.cloud.published("PagesTopic")
            if not (one.subject or "").startswith(("OK: ", "ALARM: "))
        ]

    def failed(self) -> list[str]:
        """Errors of the function, and rights that it lacked."""
        errors = [
            one.error or ""
            for one in self.cloud.functions.invocations
            if one.function.logical_id == "TriageIncidents" and not one.ok
        ]
        return errors + [
            str(one) for one in (self.cloud.guard.refusals if self.cloud.guard else ())
        ]


@contextmanager
def account() -> Iterator[Account]:
    """Until the moment before it breaks, with everything as every day."""
    with Cloud(START, seeded=False, thin=timedelta(minutes=15), pace=INSTANT, deny=True) as cloud:
        made = Account(cloud)
        made.trails.log()
        made.set_policy()
        _database(made)
        made.alarm(FAILING, CHECKOUT, "Errors", 3, Statistic="Sum")
        made.alarm(FULL, ORDERS, "DatabaseConnections", 90)
        made.happened("lambda TagResource", "another", timedelta(0))
        made.until(BEGINS - 10 * MINUTE)
        _measured(made)
        _logged(made)
        yield made


def _database(made: Account) -> None:
    aws = made.cloud.client("rds")
    aws.create_db_parameter_group(
        DBParameterGroupName=ORDERS, DBParameterGroupFamily="postgres16", Description="its own"
    )
    limit = {"ParameterName": "max_connections", "ParameterValue": str(LIMIT)}
    aws.modify_db_parameter_group(
        DBParameterGroupName=ORDERS, Parameters=[{**limit, "ApplyMethod": "pending-reboot"}]
    )
    aws.create_db_instance(
        DBInstanceIdentifier=ORDERS, DBInstanceClass="db.m6g.large", Engine="postgres",
        EngineVersion="16.3", AllocatedStorage=20, MasterUsername="shop",
        MasterUserPassword="correct-horse", DBParameterGroupName=ORDERS,
        Tags=[{"Key": "owner", "Value": "team-orders"}],
        EnableCloudwatchLogsExports=["postgresql"],
    )  # fmt: skip
    performance_insights.switch_on(made.cloud, ORDERS)


def _measured(made: Account) -> None:
    now = made.cloud.clock.now()
    points = int(3 * DAY / (5 * MINUTE))
    for number in range(points):
        at, swing = now - 5 * MINUTE * (points - number), number * 7 % 11 / 100
        for name, values in USUAL.items():
            told = {metric: value * (1 + swing) for metric, value in values.items()}
            made.measure(name, at, tell=False, **told)


def _logged(made: Account) -> None:
    now = made.cloud.clock.now()
    times = [now - 6 * timedelta(seconds=number) for number in range(900)]
    sent = [(at, f"INFO order {at:%H%M%S} paid in {180 + at.second} ms") for at in times]
    made.say(GROUP, *sent)
    points = [(at, f"LOG:  checkpoint complete: wrote {at.second} buffers") for at in times[::10]]
    made.say(DATABASE_LOG, *points)
