"""The look at five busy logs in the cloud in a box: seconds, and what it asked for.

    PYTHONPATH=layers/watchkeeper:. .venv/bin/python bench/triage_logs.py [lines of each group]

Five log groups, two small and three large, of which the incident's window is fifteen minutes. The
box answers at once, so that what is measured is our own part: reading answers, redacting, sorting.
Ends with exit code 1 above 10 s: of the 30 s until the first report, Logs Insights may take some,
and a function of 512 MB has a third of a processor.
"""

import sys
import time
from datetime import timedelta

import local.aws.logs as box_logs
from local.aws import metric_data
from local.pace import INSTANT
from tests.local.service_box import ACCOUNT, TWO_O_CLOCK, ServiceBox, service_box
from watchkeeper.aws.log_events import Logs
from watchkeeper.triage.gathered import Resource, Span
from watchkeeper.triage.log_looks import LogLook
from watchkeeper.triage.looking import Asked

LINES = 100_000
SMALL_LINES = 20_000
SECONDS_ALLOWED = 10.0
USUAL = "INFO [http-nio-8080-exec-{n}] c.e.orders.OrderService - Order {n} accepted in {n} ms"
TROUBLE = "ERROR [http-nio-8080-exec-{n}] c.e.payments.Client - Payment {n} failed: timed out"


def main(lines: int) -> int:
    now = TWO_O_CLOCK
    span = Span.of(now - timedelta(minutes=10), now)
    with service_box(ServiceBox, metric_data, box_logs, pace=INSTANT) as box:
        names = [f"/aws/lambda/service-{number}" for number in range(5)]
        for name, number in zip(
            names, (lines, lines, lines, SMALL_LINES, SMALL_LINES), strict=True
        ):
            step = (span.until - span.before) / number
            box_logs.write(box, name, (
                (span.before + at * step, f"stream-{at % 7}",
                 (TROUBLE if at % 10 == 0 else USUAL).format(n=at))
                for at in range(number)
            ))  # fmt: skip
        resources = [
            Resource(f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{number}", log_groups=[name])
            for number, name in enumerate(names)
        ]
        logs = Logs()
        logs.client, logs.metrics = box.client("logs"), box.client("cloudwatch")
        asked = Asked("bench", 0, span, (), resources, {})
        began, worked = time.perf_counter(), time.process_time()
        found = LogLook(logs, ACCOUNT)(asked, now)
        took, work = time.perf_counter() - began, time.process_time() - worked
    for one in found.logs:
        kind = "trouble only" if one.only_trouble else "all"
        print(f"{one.group}: {len(one.before):,} + {len(one.lines):,} lines, {kind}; {one.most}")
    print(f"asked: {dict(found.used)}; could not check: {len(found.unchecked)}")
    print(f"{took:.1f} s, {work:.1f} s of CPU, the box's own part included")
    return int(took > SECONDS_ALLOWED or len(found.logs) != len(names))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else LINES))
