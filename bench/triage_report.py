"""The report of a large incident, from what was gathered: seconds of CPU, and peak memory.

    PYTHONPATH=layers/watchkeeper .venv/bin/python bench/triage_report.py

Five log groups of 10,000 lines each (usual text, JSON, stack traces, sentences of which few are
alike, long lines), 60 metrics of three days by five minutes, 2,000 events of the audit trail, a
database. The peak is the whole process's, what was gathered included.

Ends with exit code 1 above 6 s or 200 MiB: a function of 512 MB has a third of a processor, and its
first report is due within 30 s of which the queries take up to 20.
"""

import hashlib
import math
import re
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # the lines are those of another one

from bench.logs import KINDS
from watchkeeper.triage.analysis import report_of
from watchkeeper.triage.gathered import (
    Database,
    Gathered,
    Line,
    Logged,
    Measured,
    Raised,
    Resource,
    Span,
    Trail,
)
from watchkeeper.triage.report import to_json

LINES, METRICS, POINTS, EVENTS = 10_000, 60, 864, 2_000
SECONDS_ALLOWED = 6.0
MEBIBYTES_ALLOWED = 200
BEGAN = datetime(2026, 11, 23, 3, 6, tzinfo=UTC)
SPAN = Span.of(BEGAN, BEGAN + timedelta(minutes=15))
PLACE = "eu-west-1:111122223333"
FUNCTIONS = [f"arn:aws:lambda:{PLACE}:function:service-{number}" for number in range(11)]
DATABASE = f"arn:aws:rds:{PLACE}:db:orders"
OPERATIONS = (
    ("lambda", "UpdateFunctionCode20150331v2"), ("ec2", "RunInstances"), ("iam", "PutRolePolicy"),
    ("sts", "AssumeRole"), ("secretsmanager", "GetSecretValue"), ("ec2", "DescribeInstances"),
    ("s3", "PutBucketPolicy"), ("ssm", "GetParameters"), ("rds", "ModifyDBInstance"),
    ("ec2", "AuthorizeSecurityGroupIngress"),
)  # fmt: skip


def lines(kind: str) -> Iterator[Line]:
    """An hour and a quarter of them, of four streams, by stream and then time."""
    wanted = LINES * 10 if kind == "long" else LINES
    texts = list(KINDS[kind](wanted))
    whole = SPAN.until - SPAN.before
    for stream in range(4):
        some = (
            texts[stream::4] if kind != "traces" else texts[stream * 2_500 : stream * 2_500 + 2_500]
        )
        for number, text in enumerate(some):
            yield Line(SPAN.before + whole * number / len(some), f"stream-{stream}", text)


def logged(number: int, kind: str) -> Logged:
    every = list(lines(kind))
    return Logged(
        f"/aws/lambda/service-{number}",
        (FUNCTIONS[number], DATABASE),
        [one for one in every if one.at < SPAN.since],
        [one for one in every if one.at >= SPAN.since],
    )


def measured(number: int) -> Measured:
    """A daily rhythm with noise; every fifth jumps at the onset."""
    start = SPAN.until - timedelta(minutes=5) * POINTS
    jump = 40.0 if number % 5 == 0 else 0.0
    points = []
    for at in range(POINTS):
        when = start + timedelta(minutes=5) * at
        value = 20 + 9 * math.sin(math.tau * at / 288) + math.sin(at * at + number)
        points.append((when, value + (jump if when >= BEGAN else 0.0)))
    resource = DATABASE if number % 6 == 5 else FUNCTIONS[number % 11]
    return Measured(
        resource, "AWS/Lambda", f"Metric{number}Duration", "Average",
        {"DBInstanceIdentifier": "orders"}, 300, points, number == 0,
    )  # fmt: skip


def event(number: int) -> dict[str, Any]:
    drawn = hashlib.sha256(str(number).encode()).hexdigest()
    service, operation = OPERATIONS[int(drawn[0], 16) % len(OPERATIONS)]
    at = SPAN.before + (SPAN.until - SPAN.before) * number / EVENTS
    role = f"arn:aws:iam::111122223333:role/role-{drawn[1]}"
    return {
        "eventID": drawn[:32], "eventTime": f"{at:%Y-%m-%dT%H:%M:%SZ}", "awsRegion": "eu-west-1",
        "eventSource": f"{service}.amazonaws.com", "eventName": operation,
        "recipientAccountId": "111122223333", "sourceIPAddress": f"198.51.100.{number % 250}",
        "userIdentity": {
            "type": "AssumedRole", "arn": f"arn:aws:sts::111122223333:assumed-role/{role}/x",
            "sessionContext": {"sessionIssuer": {"arn": role, "type": "Role"}},
        },
        "requestParameters": {"functionName": f"service-{number % 40}", "secretId": drawn[2:6]},
        **({"errorCode": "AccessDenied"} if number % 17 == 0 else {}),
    }  # fmt: skip


def gathered() -> Gathered:
    return Gathered(
        "bench", 2, SPAN.until, SPAN, "eu-west-1", "111122223333",
        alarms=(Raised("service-0-slow", "arn", "ALARM", "high", BEGAN, BEGAN),),
        resources=[Resource(arn) for arn in (*FUNCTIONS, DATABASE)],
        logs=[logged(number, kind) for number, kind in enumerate(KINDS)],
        metrics=[measured(number) for number in range(METRICS)],
        trail=Trail([event(number) for number in range(EVENTS)], SPAN.before, SPAN.until, "ring"),
        databases=(Database(DATABASE, "orders", "postgres", "db.r6g.large"),),
    )  # fmt: skip


def main() -> int:
    """Print how long the report takes, and say if it was quick and small enough."""
    given = gathered()
    start = time.process_time()
    report = report_of(given)
    seconds = time.process_time() - start
    start = time.process_time()
    size = len(to_json(report))
    stored = time.process_time() - start
    # Not ru_maxrss: it remembers the process that this one was forked from.
    peak = int(re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[0]) / 1024
    number = sum(len(one.before) + len(one.lines) for one in given.logs)
    print(
        f"{number:,} lines, {METRICS} metrics of {POINTS} points, {EVENTS:,} events:"
        f" {seconds:.2f} s, {peak:.0f} MiB; as JSON {size / 1024:,.0f} KiB in {stored:.2f} s"
    )
    print(f"{report.verdict.category}: {report.headline}")
    print(f"allowed: {SECONDS_ALLOWED:.0f} s, {MEBIBYTES_ALLOWED} MiB")
    return int(seconds >= SECONDS_ALLOWED or peak >= MEBIBYTES_ALLOWED)


if __name__ == "__main__":
    sys.exit(main())
