"""The template deployed as it is: `make deploy-local`.

    python -m local.deploy          # deploys, sees a night through, shows what was kept, cleans up
    python -m local.deploy --keep   # the same, and leaves it there to look around until Ctrl-C

SAM CLI builds template.yaml and deploys it into ministack, a second emulator of AWS, which runs the
functions under their own roles on their real schedules, topics and rules. What ministack hardly
has (EC2, RDS and what belongs to them) and what the operator owns (the policy parameter, the
fleet's tags) is in the cloud in a box, reached over HTTP. The operator's DynamoDB tables are copied
into ministack, because the stack's own is there, and an account has one DynamoDB. Then time jumps,
in both alike, until a plan's night has come and was reported. The end is 0 only if the table there
tells the same as the snapshots and backups in both.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from local.account import TABLES
from watchkeeper import naming
from watchkeeper.aws.catalogue import from_item
from watchkeeper.aws.table import Item, unpack
from watchkeeper.backups.model import RecoveryPoint, Service, State

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".local" / "deploy"
SAM = ROOT / ".tools" / "sam" / "bin" / "sam"
MINISTACK = ROOT / ".tools" / "ministack" / "bin" / "python"

STACK = "watchkeeper-deployed"
"""Not the name of the stack in the box: recovery points name the stack that they belong to."""
ACCOUNT = "123456789012"
REGION = "us-east-1"

# Long before the next night of the box's own stack, which would snapshot the same volumes.
START = datetime(2026, 11, 23, 0, 40, tzinfo=UTC)
# After the first tick, which puts the policy in force: what lies before that is nobody's night.
NIGHT = datetime(2026, 11, 23, 1, 5, tzinfo=UTC)
PLAN = "gold"
POLICY = {
    "version": 1,
    "plans": {PLAN: {"schedule": "5 1 * * *", "rpo": "26h", "keep": {"daily": 14}}},
}

# TakeBackups's rate: a new schedule first comes due after that long.
FIRST_TICK = timedelta(minutes=15)

# Longer than the minute of the sweep, so that every jump has one; no longer than a step's own wait.
JUMP = timedelta(minutes=5)
# The first tick puts the policy in force, the next one starts the night, and a snapshot in the box
# takes up to 25 minutes and is looked at every ten. An hour more is not slow but stuck.
MOST_JUMPS = 24
# Each thing that is waited for takes a second or two; the rest is for a busy machine.
PATIENCE = timedelta(seconds=30)

# What the box answers; everything else is ministack's. Databases and volumes are encrypted with the
# box's keys, and AWS Backup's vaults hold what is left of the box's volumes and databases.
IN_THE_BOX = (
    "APPLICATION_AUTO_SCALING", "BACKUP", "EC2", "KMS", "RDS", "RESOURCE_GROUPS_TAGGING_API", "SSM",
)  # fmt: skip


class NotAsPromised(Exception):
    """What was deployed did not do what it is deployed for."""


@dataclass(frozen=True)
class Places:
    """Where everything is while it runs."""

    box: str
    ministack: str
    ahead: Path
    """Holds the seconds by which ministack's clock is ahead; see local/ministack."""

    @property
    def environment(self) -> dict[str, str]:
        """How SAM CLI, ministack and the functions that it runs find both."""
        box = {f"AWS_ENDPOINT_URL_{service}": self.box for service in IN_THE_BOX}
        mine = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return mine | box | {
            "AWS_ENDPOINT_URL": self.ministack,
            "AWS_ACCESS_KEY_ID": ACCOUNT,  # to ministack an account's number is its administrator
            "AWS_SECRET_ACCESS_KEY": "in-the-box",
            "AWS_DEFAULT_REGION": REGION,
            "SAM_CLI_TELEMETRY": "0",
        }  # fmt: skip

    def in_ministack(self, service: str) -> Any:
        """A client of the operator, of what ministack has."""
        return _client(service, self.ministack)

    def in_box(self, service: str) -> Any:
        """A client of the operator, of what the box has."""
        return _client(service, self.box)


def _client(service: str, url: str) -> Any:
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=ACCOUNT,
        aws_secret_access_key="in-the-box",
        config=Config(retries={"total_max_attempts": 1}),
    )


def main() -> int:
    """0 if the night was kept as promised."""
    parser = argparse.ArgumentParser(prog="python -m local.deploy", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--keep", action="store_true", help="leave it running until Ctrl-C")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    began = time.monotonic()
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        with ExitStack() as running:
            places = _start(running)
            running.callback(_keep_logs, places)
            copy_tables(places.in_box("dynamodb"), places.in_ministack("dynamodb"))
            names = _deploy(places)
            _see_a_night_through(places, names)
            _say(f"As promised, after {time.monotonic() - began:.0f} s.")
            if arguments.keep:
                _keep(places)
    except NotAsPromised as problem:
        _say(f"Not as promised: {problem}")
        _say(f"What was printed is in {FOLDER.relative_to(ROOT)}/*.log")
        return 1
    except KeyboardInterrupt:
        _say("Both are gone, and everything in them.")
    return 0


def _say(line: str) -> None:
    print(line, flush=True)


# --- the two emulators ------------------------------------------------------------------------


def _start(running: ExitStack) -> Places:
    """Both emulators, until `running` is left; SAM CLI builds meanwhile."""
    box, ministack = f"http://127.0.0.1:{_free_port()}", f"http://127.0.0.1:{_free_port()}"
    places = Places(box, ministack, FOLDER / "ahead")
    places.ahead.write_text("0", encoding="ascii")
    _say(f"Starting the cloud in a box at {box} and ministack at {ministack}")
    serve = ["-m", "local.serve", "--port", box.rpartition(":")[2], "--start", START.isoformat()]
    env_vars = ["--env-vars", str(FOLDER / "env-vars.json")]
    running.enter_context(_program("box", [sys.executable, *serve, *env_vars], dict(os.environ)))
    start = [str(MINISTACK), "local/ministack/start.py"]
    running.enter_context(_program("ministack", start, _of_ministack(places)))
    _build(places)
    _wait("the cloud in a box", lambda: _get(f"{box}/box/now"))
    _wait("ministack", lambda: _get(f"{ministack}/_ministack/health"))
    _set_clock(places)
    return places


def _of_ministack(places: Places) -> dict[str, str]:
    return places.environment | {
        "GATEWAY_PORT": places.ministack.rpartition(":")[2],
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "AUTH": "true",  # each function has the rights of its own role
        "LAMBDA_WARM_TTL_SECONDS": str(24 * 3600),  # a jump would end every function that rests
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "PYTHONPATH": str(ROOT / "local" / "ministack"),
        "WATCHKEEPER_CLOCK_AHEAD": str(places.ahead),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def _program(name: str, command: list[str], environment: dict[str, str]) -> Iterator[None]:
    """A program of ours, in a process group of its own, which ends with its functions."""
    with (FOLDER / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _get(url: str, data: bytes | None = None) -> Any:
    """The JSON at an address; None if nobody answers there yet."""
    try:
        with urllib.request.urlopen(url, data=data, timeout=60) as answer:
            return json.load(answer)
    except OSError:
        return None


def _wait(what: str, is_there: Callable[[], Any]) -> Any:
    """What `is_there` finds, as soon as it finds something."""
    until = time.monotonic() + PATIENCE.total_seconds()
    while time.monotonic() < until:
        if found := is_there():
            return found
        time.sleep(0.5)
    raise NotAsPromised(f"{PATIENCE.seconds} s later there is still no sign of {what}")


# --- time -------------------------------------------------------------------------------------


def _set_clock(places: Places) -> datetime:
    """Make it the same time in ministack as in the box; that time."""
    now = datetime.fromisoformat(_get(f"{places.box}/box/now")["now"])
    ahead = round((now - datetime.now(UTC)).total_seconds())
    new = places.ahead.with_suffix(".new")
    new.write_text(str(ahead), encoding="ascii")
    new.replace(places.ahead)  # at once: somebody may be reading
    return now


def _jump(places: Places) -> datetime:
    """Let time pass, in the box first: nothing of the deployed stack runs by the box's clock."""
    minutes = int(JUMP.total_seconds() // 60)
    _get(f"{places.box}/box/advance?minutes={minutes}", data=b"")
    return _set_clock(places)


def copy_tables(source: Any, target: Any) -> None:
    """Make the account's tables anew with another client of DynamoDB, as the first one has them."""
    for name in (table.name for table in TABLES):
        table = source.describe_table(TableName=name)["Table"]
        kept: tuple[str, ...] = ("AttributeDefinitions", "DeletionProtectionEnabled", "KeySchema")
        if "StreamSpecification" in table:
            kept += ("StreamSpecification",)
        target.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            Tags=source.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"],
            **{key: table[key] for key in kept},
        )
        _copy_recovery(source, target, name)
        for item in source.scan(TableName=name)["Items"]:
            target.put_item(TableName=name, Item=item)


def _copy_recovery(source: Any, target: Any, name: str) -> None:
    """What is not said when a table is created: point-in-time recovery, and time to live."""
    backups = source.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    if recovery == "ENABLED":
        target.update_continuous_backups(
            TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )
    expiry = source.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    if expiry["TimeToLiveStatus"] == "ENABLED":
        target.update_time_to_live(
            TableName=name,
            TimeToLiveSpecification={"Enabled": True, "AttributeName": expiry["AttributeName"]},
        )


# --- the deployment ---------------------------------------------------------------------------


def _build(places: Places) -> None:
    """Build the layers for the Python that runs ministack, which is the one that runs this."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    wheels = (
        "aarch64-apple-darwin"
        if sys.platform == "darwin"
        else f"{platform.machine()}-manylinux_2_28"
    )
    for_here = {"MAKEFLAGS": f" -- PYTHON_VERSION={version} PLATFORM={wheels}"}
    _say("sam build")
    _sam("build", [f"--build-dir={FOLDER}/build", "--no-cached"], places.environment | for_here)


def _deploy(places: Places) -> dict[str, str]:
    """The stack's outputs, and the name of the log of its sweep."""
    _say(f"sam deploy --stack-name {STACK}")
    options = [f"--template-file={FOLDER}/build/template.yaml", f"--stack-name={STACK}"]
    # SAM looks for its configuration beside the template that was built.
    options += [f"--config-file={ROOT}/samconfig.toml", "--no-confirm-changeset"]
    _sam("deploy", options, places.environment)
    cloudformation = places.in_ministack("cloudformation")
    (stack,) = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
    _say(f"  {stack['StackStatus']}")
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    log = cloudformation.describe_stack_resource(StackName=STACK, LogicalResourceId="SweepRunsLog")
    return outputs | {"SweepRunsLog": log["StackResourceDetail"]["PhysicalResourceId"]}


def _sam(command: str, options: list[str], environment: dict[str, str]) -> None:
    with (FOLDER / f"sam-{command}.log").open("wb") as log:
        done = subprocess.run(
            [SAM, command, *options], check=False, env=environment, cwd=ROOT, stdout=log, stderr=log
        )
    if done.returncode:
        raise NotAsPromised(f"sam {command} ended with {done.returncode}")


# --- a night ----------------------------------------------------------------------------------


def _see_a_night_through(places: Places, names: dict[str, str]) -> None:
    """Nothing is invoked here: the schedules of the deployed stack do it all."""
    places.in_box("ssm").put_parameter(
        Name=names["PolicyParameterName"], Type="String", Value=json.dumps(POLICY)
    )
    _say(f"Time jumps; plan {PLAN} is due at {NIGHT:%H:%M}")
    for _ in range(MOST_JUMPS):
        now = _jump(places)
        _wait("an end of what is due", partial(_is_settled, places, names, now))
        if reported := _reported(places, names["TableName"]):
            _say(f"  {now:%H:%M} the night is reported")
            return _check(places, names, reported)
    raise NotAsPromised(f"{MOST_JUMPS * JUMP} later the night is not reported")


def _reported(places: Places, table: str) -> Item | None:
    """How the plan stands, once its night is reported."""
    answer = places.in_ministack("dynamodb").query(
        TableName=table,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": naming.coverage_pk("backups")}},
        ConsistentRead=True,
    )
    coverage = map(unpack, answer["Items"])
    # The policy has one plan, so that whatever was reported is about it.
    return next((item for item in coverage if "occurrence" in item), None)


def _is_settled(places: Places, names: dict[str, str], now: datetime) -> bool:
    """Whether the sweep has come by since `now`, the first tick has, and nobody moves a run.

    A jump meanwhile would take minutes of a function's time for a second of its work. What a sweep
    has woken, or just missed, may start after the next jump as well.
    """
    items = list(_scan(places, names["TableName"]))
    ticked = now < START + FIRST_TICK or any(item["pk"] == "POLICY#backups" for item in items)
    leased = [item for item in items if "lease_token" in item]
    return ticked and not leased and _swept(places, names["SweepRunsLog"], now)


def _swept(places: Places, log_group: str, now: datetime) -> bool:
    """Whether the sweep has run to its end since `now`, which was a jump and so is exact enough."""
    since = int((now - JUMP / 2).timestamp() * 1000)
    found = places.in_ministack("logs").filter_log_events(
        logGroupName=log_group, startTime=since, filterPattern="END"
    )
    return bool(found["events"])


def _scan(places: Places, table: str) -> Iterable[Item]:
    return map(unpack, places.in_ministack("dynamodb").scan(TableName=table)["Items"])


def _kept(places: Places) -> set[str]:
    """What of the deployed stack's making is complete: ids of EBS, ARNs of RDS and DynamoDB."""
    tag = {"Name": "tag:watchkeeper:stack", "Values": [STACK]}
    ec2 = places.in_box("ec2").describe_snapshots(OwnerIds=["self"], Filters=[tag])["Snapshots"]
    kept = {one["SnapshotId"] for one in ec2 if one["State"] == "completed"}
    rds = places.in_box("rds")
    instances = rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
    clusters = rds.describe_db_cluster_snapshots(SnapshotType="manual")["DBClusterSnapshots"]
    kept |= {one["DBSnapshotArn"] for one in instances if _is_done(one)}
    kept |= {one["DBClusterSnapshotArn"] for one in clusters if _is_done(one)}
    backups = places.in_ministack("dynamodb").list_backups()["BackupSummaries"]
    ours = [one for one in backups if one["BackupName"].startswith(naming.table_backups(STACK))]
    return kept | {one["BackupArn"] for one in ours if one["BackupStatus"] == "AVAILABLE"}


def _is_done(snapshot: Mapping[str, Any]) -> bool:
    """Whether a snapshot of a database is ours, and complete."""
    ours = {"Key": "watchkeeper:stack", "Value": STACK}
    return snapshot["Status"] == "available" and ours in snapshot["TagList"]


# --- what came of it --------------------------------------------------------------------------


def _check(places: Places, names: dict[str, str], reported: Item) -> None:
    items = _scan(places, names["TableName"])
    points = [from_item(item) for item in items if item["pk"].startswith("POINT#")]
    _show(points, reported)
    usable = {part.snapshot for one in points if one.state is State.COMPLETED for part in one.parts}
    completed = _kept(places)
    if not usable or usable != completed:
        raise NotAsPromised(f"the table has {sorted(usable)}, the account {sorted(completed)}")
    if len(points) != reported["targets"]:
        raise NotAsPromised(f"{len(points)} recovery points for {reported['targets']} resources")
    services = {one.kind.service for one in points if one.state is State.COMPLETED}
    if missing := set(Service) - services:
        raise NotAsPromised(f"nothing of {', '.join(sorted(missing))} could be restored")
    if left := _left_over(places):
        raise NotAsPromised(f"events that nobody took: {left}")
    _say("The stack's table and what both emulators keep agree; no event was left over.")


def _left_over(places: Places) -> dict[str, str]:
    """Messages in the dead-letter queues, by queue."""
    sqs = places.in_ministack("sqs")
    counts = {}
    for url in sqs.list_queues(QueueNamePrefix=STACK).get("QueueUrls", []):
        name = "ApproximateNumberOfMessages"
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"]
        counts[url.rpartition("/")[2]] = attributes[name]
    if not counts:
        raise NotAsPromised("the stack has no dead-letter queues")
    return {queue: count for queue, count in counts.items() if count != "0"}


def _show(points: list[RecoveryPoint], reported: Item) -> None:
    _say(f"\nRecovery points of {PLAN}, {NIGHT:%A %Y-%m-%d %H:%M} UTC:")
    for point in sorted(points, key=lambda one: (one.kind, one.resource)):
        resource = point.resource.rpartition(":")[2]
        parts = " ".join(part.snapshot.rpartition(":")[2] for part in point.parts)
        _say(f"  {point.state:<10} {resource:<32} {parts}")
        if point.why:
            _say(f"             {point.why}")
    completed, targets = reported["completed"], reported["targets"]
    _say(f"  {completed} of {targets} completed; {reported['unprotected']} resources unprotected\n")


def _keep_logs(places: Places) -> None:
    """What the functions logged, beside what the programs printed."""
    logs = places.in_ministack("logs")
    lines = []
    for group in logs.describe_log_groups()["logGroups"]:
        found = logs.filter_log_events(logGroupName=group["logGroupName"])["events"]
        lines += [f"{group['logGroupName']} {event['message'].rstrip()}" for event in found]
    (FOLDER / "functions.log").write_text("\n".join(lines), encoding="utf-8")


def _keep(places: Places) -> None:
    _say(f"""
  The stack:     export AWS_ENDPOINT_URL={places.ministack} AWS_DEFAULT_REGION={REGION} \\
                        AWS_ACCESS_KEY_ID={ACCOUNT} AWS_SECRET_ACCESS_KEY=in-the-box
  The account:   the same with AWS_ENDPOINT_URL={places.box}
  The end:       Ctrl-C""")
    signal.pause()


if __name__ == "__main__":
    sys.exit(main())
