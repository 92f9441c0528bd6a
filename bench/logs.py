"""Mining 50,000 log lines for templates: seconds of CPU, and the peak memory of it all.

    PYTHONPATH=layers/watchkeeper .venv/bin/python bench/logs.py [lines]

Each kind of log is mined in a fresh process, so that its peak is its own: services' usual text;
JSON; stack traces; sentences of which every word is drawn from a list, so that few lines are alike;
and lines as long as are read. The peak is the whole process's, the lines included.

Ends with exit code 1 above 5 s or 128 MiB: one incident's lines fit beside everything else that a
function of 512 MB holds, and leave most of its time to the queries.
"""

import hashlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from watchkeeper.triage.logs import mine

LINES = 50_000
SECONDS_ALLOWED = 5.0
MEBIBYTES_ALLOWED = 128

SENTENCES = (
    "{t} INFO [{thread}] c.e.orders.OrderService - Order {id} accepted for {user} in {n} ms",
    "{t} INFO [{thread}] c.e.orders.OrderService - Order {id} shipped to {host}",
    "{t} WARN [{thread}] c.e.payments.Client - Payment {id} slow: {n} ms, retry {digit} of 3",
    "{t} ERROR [{thread}] c.e.payments.Client - Payment {id} failed: connect timed out to {ip}:443",
    "{t} ERROR [{thread}] c.z.h.pool.HikariPool - Connection is not available, waited {n}ms.",
    '{ip} - {user} [{apache}] "GET /api/v1/orders/{n} HTTP/1.1" 200 {n} "-" "curl/8.{digit}"',
    '{ip} - {user} [{apache}] "POST /api/v1/payments HTTP/1.1" 503 {n} "-" "okhttp/4.{digit}"',
    "START RequestId: {uuid} Version: $LATEST",
    "END RequestId: {uuid}",
    "REPORT RequestId: {uuid}\tDuration: {n}.{digit} ms\tMemory Size: 512 MB\tMax Memory Used: {n}",
    "{t} INFO Task task:{uuid} of service web on {host} became RUNNING",
    'level=info ts={t} caller=http.go:{n} msg="request served" path=/healthz took={n}ms',
    "sshd[{n}]: Failed password for invalid user {user} from {ip} port {n} ssh2",
    "kernel: [{n}.{n}] Out of memory: Killed process {n} (java) total-vm:{n}kB, anon-rss:{n}kB",
    "2 {n} eni-{hex} {ip} {ip} {n} 443 6 {n} {n} {n} {n} ACCEPT OK",
)
USERS = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy")
WORDS = tuple(
    f"{a}{b}{c}" for a in ("ba", "ko", "ri", "tu", "me") for b in ("lan", "ster", "vik", "dor")
    for c in ("o", "is", "ern", "a", "um")
)  # fmt: skip


def values(line: int) -> dict[str, str]:
    """What one line is filled with: the same in every run, and different in every line."""
    drawn = hashlib.sha256(str(line).encode()).hexdigest()
    number = int(drawn[:12], 16)
    clock = f"{line // 3600 % 24:02}:{line // 60 % 60:02}:{line % 60:02}"
    return {
        "t": f"2026-11-23T{clock}.{number % 1000:03}Z",
        "apache": f"23/Nov/2026:{clock} +0000",
        "thread": f"http-nio-8080-exec-{number % 40}",
        "id": f"ord-{drawn[:10]}",
        "uuid": f"{drawn[:8]}-{drawn[8:12]}-{drawn[12:16]}-{drawn[16:20]}-{drawn[20:32]}",
        "hex": drawn[:17],
        "ip": f"10.{number % 250}.{number // 250 % 250}.{number // 9973 % 250}",
        "host": f"ip-10-0-{number % 250}-7.eu-west-1.compute.internal",
        "user": USERS[number % len(USERS)],
        "n": str(number % 40_000),
        "digit": str(number % 10),
    }


def text(lines: int) -> Iterator[str]:
    for line in range(lines):
        drawn = values(line)
        yield SENTENCES[int(drawn["hex"], 16) % len(SENTENCES)].format(**drawn)


def structured(lines: int) -> Iterator[str]:
    for line in range(lines):
        drawn = values(line)
        yield json.dumps({
            "timestamp": drawn["t"],
            "level": "ERROR" if drawn["digit"] == "7" else "INFO",
            "message": f"Order {drawn['id']} of {drawn['user']} took {drawn['n']} ms",
            "service": "orders",
            "order": {"id": drawn["id"], "lines": int(drawn["digit"])},
            "host": drawn["host"],
        })  # fmt: skip


def traces(lines: int) -> Iterator[str]:
    trace = (
        "java.lang.IllegalStateException: no stock",
        *(f"\tat com.example.Layer{depth}.call(Layer{depth}.java:{depth})" for depth in range(22)),
        "Caused by: java.sql.SQLTransientException: connection reset",
        "\t... 22 more",
    )
    for line in range(lines // (len(trace) + 1)):
        yield SENTENCES[3].format(**values(line))
        yield from trace


def prose(lines: int) -> Iterator[str]:
    for line in range(lines):
        drawn = hashlib.sha256(str(line).encode()).digest()
        yield " ".join(WORDS[byte % len(WORDS)] for byte in drawn[:12])


def long(lines: int) -> Iterator[str]:
    for line in range(lines // 10):  # ten times as long as usual ones are
        yield (SENTENCES[0].format(**values(line)) + " ") * 20


KINDS: dict[str, Callable[[int], Iterator[str]]] = {
    "text": text, "structured": structured, "traces": traces, "prose": prose, "long": long,
}  # fmt: skip


def measure(kind: str, lines: int) -> None:
    """One kind, in this process."""
    given = list(KINDS[kind](lines))
    start = time.process_time()
    mined = mine(given)
    seconds = time.process_time() - start
    # Not ru_maxrss: it remembers the process that this one was forked from.
    status = Path("/proc/self/status").read_text()
    peak = int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1024
    print(f"{len(given)} {len(mined.patterns)} {seconds} {peak}")


def main(lines: int) -> int:
    worse = 0
    for kind in KINDS:
        command = [sys.executable, __file__, str(lines), kind]
        answer = subprocess.run(command, capture_output=True, check=True, text=True)
        given, patterns, seconds, peak = map(float, answer.stdout.split())
        print(
            f"{kind:11} {given:7,.0f} lines {patterns:6,.0f} patterns {seconds:5.2f} s"
            f" {peak:5.0f} MiB"
        )
        worse |= peak > MEBIBYTES_ALLOWED or seconds > SECONDS_ALLOWED
    print(f"allowed: {SECONDS_ALLOWED:.0f} s, {MEBIBYTES_ALLOWED} MiB")
    return worse


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else LINES
    if len(sys.argv) > 2:
        measure(sys.argv[2], number)
    else:
        sys.exit(main(number))
