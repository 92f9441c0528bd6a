"""A night over 2,000 tagged volumes: AWS calls per recovery point, and the memory it takes.

    PYTHONPATH=layers/watchkeeper:functions:. .venv/bin/python bench/night.py [volumes]

Everything that the night causes is counted, from the tick that starts it until its report:
choosing, taking, reading back, the catalogue, leases, news, and the sweep's wake-ups. The sweep's
own look at the table, every minute of every day whether or not there is a night, is printed
beside it. For comparison: Cloud Custodian makes 1.01 calls with no catalogue and no read-back,
shelvery 9.0.

The memory is an upper bound: Python's peak while one invocation runs in the box, which includes
what moto itself stores meanwhile, added to the resident size of a bare handler.

Ends with exit code 1 above 1.15 calls per recovery point or 256 MB.
"""

import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from local.account import many_volumes
from local.cloud import Cloud
from local.functions import Call, Functions, Invocation
from watchkeeper.aws.table import unpack

CALLS_ALLOWED = 1.15
MEGABYTES_ALLOWED = 256
NIGHT = datetime(2026, 11, 23, 2, tzinfo=UTC)  # silver's, of the default policy
START = NIGHT - timedelta(minutes=20)  # one tick before it, in which the policy is read
LONGEST = timedelta(hours=3)

BARE = (
    "import re, pathlib, boto3, aws_lambda_powertools, pydantic;"
    "boto3.client('ec2', region_name='us-east-1');"
    "boto3.client('dynamodb', region_name='us-east-1');"
    # Not ru_maxrss: it remembers the process that this one was forked from.
    "status = pathlib.Path('/proc/self/status').read_text();"
    "print(int(re.search(r'VmHWM:\\s+(\\d+)', status)[1]) // 1024)"
)


def main(volumes: int) -> int:
    with Cloud(start=START, seeded=False) as cloud:
        many_volumes(cloud, volumes)
        cloud.clock.run_until(NIGHT - timedelta(minutes=1))
        before = len(cloud.calls)
        peaks = measured_peaks(cloud.functions)
        while not (points := completed(cloud)) and cloud.clock.now() < NIGHT + LONGEST:
            cloud.clock.run_for(timedelta(minutes=5))
        calls, minutes = cloud.calls[before:], (cloud.clock.now() - NIGHT).total_seconds() / 60
    megabytes = bare_megabytes() + max(peaks)
    return report(points, volumes, calls, minutes, megabytes)


def bare_megabytes() -> int:
    """What a handler takes before it has done anything."""
    answer = subprocess.run([sys.executable, "-c", BARE], capture_output=True, check=True)
    return int(answer.stdout)


def measured_peaks(functions: Functions) -> list[int]:
    """The megabytes of Python's memory that each invocation from now on peaks at, as they come."""
    peaks = [0]
    run = functions._run  # noqa: SLF001 (every kind of invocation goes through it)

    def measured(invocation: Invocation) -> None:
        if invocation.function.logical_id != "TakeBackups":
            run(invocation)
            return
        tracemalloc.start()
        try:
            run(invocation)
        finally:
            peaks.append(tracemalloc.get_traced_memory()[1] // 2**20)
            tracemalloc.stop()

    functions._run = measured  # type: ignore[method-assign]  # noqa: SLF001
    return peaks


def completed(cloud: Cloud) -> int:
    """Recovery points in the catalogue, once the night has been reported."""
    table, client = cloud.physical_id("Table"), cloud.client("dynamodb")
    night = {"pk": {"S": f"RUN#backup#silver#{NIGHT:%Y-%m-%dT%H:%MZ}"}, "sk": {"S": "RUN"}}
    found = client.get_item(TableName=table, Key=night).get("Item")
    if not found or "step" in unpack(found):
        return 0
    pages = client.get_paginator("scan").paginate(TableName=table, ProjectionExpression="pk, #s",
        ExpressionAttributeNames={"#s": "state"})  # fmt: skip
    items = (unpack(item) for page in pages for item in page["Items"])
    return sum(
        1 for item in items if item["pk"].startswith("POINT#") and item["state"] == "completed"
    )


def report(points: int, volumes: int, calls: Sequence[Call], minutes: float, megabytes: int) -> int:
    counts = Counter((call.function, call.operation) for call in calls)
    for (function, operation), count in counts.most_common():
        print(f"{function:12} {operation:24} {count:6}")
    standing = sum(
        count
        for (function, operation), count in counts.items()
        if function != "TakeBackups" and operation != "Publish"
    )
    per_point = (len(calls) - standing) / points if points else float("inf")
    print(f"recovery points          {points} of {volumes} volumes")
    print(f"calls per recovery point {per_point:.3f} (allowed {CALLS_ALLOWED})")
    print(f"the sweep's own look     {standing / minutes:.1f} calls a minute, night or not")
    print(f"peak memory, at most     {megabytes} MB (allowed {MEGABYTES_ALLOWED})")
    is_good = per_point <= CALLS_ALLOWED and megabytes <= MEGABYTES_ALLOWED
    return 0 if is_good and points == volumes else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000))
