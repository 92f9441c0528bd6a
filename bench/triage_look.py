"""The first report of an incident with five busy logs, by the whole function in the cloud in a box.

    PYTHONPATH=layers/watchkeeper:functions:. .venv/bin/python -m bench.triage_look [lines each]

An alarm on a function; five log groups of an hour and a quarter, of which the last ten minutes are
the incident's. Measured is from the alarm's event until the page is published: finding resources,
gathering (AWS's answers are the box's, whose part is included), redacting and storing, mining. Logs
Insights answers after POLLS rounds of asking, each of which waits a second, as in AWS.

The memory is an upper bound: Python's peak, in which is what the box itself makes meanwhile, added
to the resident size of a bare handler. It is measured in a process of its own: tracing is slow.

Ends with exit code 1 above 30 s until the page, in which 20 s of waiting for queries are counted
whether they were needed or not; or above the function's memory.
"""

import json
import sys
import time
import tracemalloc
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.night import bare_megabytes
from local.aws import cloudtrail, logs
from local.cloud import Cloud
from local.metrics import Metric
from local.pace import INSTANT
from tests.crash.forks import aside
from watchkeeper.triage import analysis, log_queries, triaging
from watchkeeper.triage.log_queries import MOST_ROUNDS, PAUSE, Queries

LINES, GROUPS, POLLS = 60_000, 5, 3
SECONDS_ALLOWED = 30.0
START = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
RAISED = START + timedelta(minutes=100)
WINDOW = timedelta(minutes=10)
SHOP, NAME = "checkout", "checkout-errors"
WAITING = "waiting for Logs Insights"
USUAL = "INFO [http-nio-8080-exec-{n}] c.e.orders.OrderService - order {n} accepted in {n} ms"
TROUBLE = "ERROR [http-nio-8080-exec-{n}] c.e.payments.Client - payment {n} failed: timed out"
NEW = "ERROR order {n} failed: ConnectTimeout: pay.example:443 did not answer within 3000 ms"


def main(lines: int) -> int:
    with Cloud(START, seeded=False, thin=timedelta(minutes=15), pace=INSTANT) as cloud:
        _furnish(cloud, lines)
        logs.installed_in(cloud).polls = POLLS
        memory = bare_megabytes() + aside(lambda: _peak(cloud))
        timed = Timed()
        timed.watch_all()
        began = time.perf_counter()
        invoked = cloud.invoke("TriageIncidents", _event(cloud))
        took = time.perf_counter() - began
        pages = [one for one in cloud.published("PagesTopic") if NAME in one.message]
        allowed = cloud.functions.find("TriageIncidents").memory_mb
        read = _lines_read(cloud)
    waited = timed.seconds.get(WAITING, 0.0)
    worst = took - waited + MOST_ROUNDS * PAUSE
    print(f"{lines:,} lines in each of {GROUPS} log groups; {read:,} read")
    for name, seconds in timed.seconds.items():
        print(f"{seconds:7.2f} s  {name}")
    print(f"{took:7.2f} s  from the alarm's event until its page")
    print(f"{worst:7.2f} s  if queries took as long as they may (allowed {SECONDS_ALLOWED:.0f})")
    print(f"{memory:7} MB at most (the function has {allowed})")
    if not invoked.ok or not pages:
        print(f"there is no page: {invoked.error}")
        return 1
    return int(worst > SECONDS_ALLOWED or memory > allowed)


def _lines_read(cloud: Cloud) -> int:
    aws, bucket = cloud.client("s3"), cloud.physical_id("IncidentsBucket")
    listed = aws.list_objects_v2(Bucket=bucket)["Contents"]
    [key] = [one["Key"] for one in listed if one["Key"].endswith("/evidence.json")]
    evidence = json.loads(aws.get_object(Bucket=bucket, Key=key)["Body"].read())
    return sum(len(one["before"]) + len(one["lines"]) for one in evidence["logs"])


def _event(cloud: Cloud) -> dict[str, Any]:
    at = cloud.clock.now().strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    begun = (cloud.clock.now() - WINDOW).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    metric = {"namespace": "AWS/Lambda", "name": "Errors", "dimensions": {"FunctionName": SHOP}}
    stat = {"metric": metric, "period": 60, "stat": "Sum"}
    reason = f'{{"version": "1.0", "startDate": "{begun}", "recentDatapoints": [9], "period": 60}}'
    return {
        "source": "aws.cloudwatch",
        "detail-type": "CloudWatch Alarm State Change",
        "id": "one",
        "time": at,
        "account": cloud.account_id,
        "region": cloud.region,
        "resources": [f"arn:aws:cloudwatch:{cloud.region}:{cloud.account_id}:alarm:{NAME}"],
        "detail": {
            "alarmName": NAME,
            "state": {"value": "ALARM", "reason": "9 > 3", "reasonData": reason, "timestamp": at},
            "previousState": {"value": "OK", "timestamp": at},
            "configuration": {"metrics": [{"id": "m1", "metricStat": stat, "returnData": True}]},
        },
    }


def _furnish(cloud: Cloud, lines: int) -> None:
    names = [f"/aws/lambda/{SHOP}", *(f"/shop/{number}" for number in range(1, GROUPS))]
    told = [{"resources": f"arn:aws:lambda:*:*:function:{SHOP}", "groups": names}]
    policy = json.dumps({"version": 1, "logs": told})
    cloud.client("ssm").put_parameter(
        Name="/watchkeeper/policy/triage", Value=policy, Type="String"
    )
    cloudtrail.installed_in(cloud).log()
    cloud.clock.run_until(RAISED)
    span = timedelta(minutes=65) + WINDOW
    begin, step = RAISED - span, span / lines
    for group, name in enumerate(names):
        logs.write(cloud, name, (
            (begin + at * step, f"stream-{at % 7}", _line(at, begin + at * step, group))
            for at in range(lines)
        ))  # fmt: skip
    for number in range(864):
        at = RAISED - timedelta(minutes=5 * (864 - number))
        for metric, value in (("Invocations", 50), ("Errors", 0), ("Duration", 180)):
            cloud.metrics.record(
                Metric("AWS/Lambda", metric, value, at, "", {"FunctionName": SHOP}), tell=False
            )


def _line(number: int, at: datetime, group: int) -> str:
    if at > RAISED - WINDOW and number % 20 == 0:
        return NEW.format(n=number)
    return (TROUBLE if number % 10 == group else USUAL).format(n=number)


def _peak(cloud: Cloud) -> int:
    """Megabytes of Python's memory at most, of the same look in a copy of the world."""
    log_queries.PAUSE = 0.0
    tracemalloc.start()
    cloud.invoke("TriageIncidents", _event(cloud))
    return tracemalloc.get_traced_memory()[1] // 2**20


@dataclass
class Timed:
    """Seconds, by what they went into."""

    seconds: dict[str, float] = field(default_factory=dict)
    lines: int = 0

    def watch(self, owner: Any, name: str, label: str) -> None:
        call = getattr(owner, name)

        def run(*given: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return call(*given, **named)
            finally:
                took = time.perf_counter() - began
                self.seconds[label] = self.seconds.get(label, 0.0) + took

        setattr(owner, name, run)

    def watch_all(self) -> None:
        self.watch(Queries, "wait", WAITING)
        self.watch(triaging.Triaging, "_found", "gathering, waiting included")
        self.watch(analysis, "report_of", "analysing")
        self.watch(triaging.Triaging, "_kept", "the page, and storing all of it")


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else LINES))
