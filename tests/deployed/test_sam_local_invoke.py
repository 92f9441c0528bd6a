"""Every function in Lambda's own container, against the account of `make cloud`."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from watchkeeper import naming

ROOT = Path(__file__).parents[2]
SAM = ROOT / ".tools" / "sam" / "bin" / "sam"
HAS_ENGINE = "DOCKER_HOST" in os.environ or Path("/var/run/docker.sock").exists()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.enable_socket,
    pytest.mark.allow_hosts(["127.0.0.1"]),
    pytest.mark.skipif(not SAM.exists(), reason="needs SAM CLI: `make build` installs it"),
    pytest.mark.skipif(not HAS_ENGINE, reason="needs a container engine: Docker, or DOCKER_HOST"),
]


@pytest.fixture(scope="module")
def env_vars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that tells functions in containers where the account is."""
    return tmp_path_factory.mktemp("cloud") / "env-vars.json"


@pytest.fixture(scope="module")
def box(env_vars: Path) -> Iterator[str]:
    """The address of a seeded account."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "local.serve", "--containers"]
    command += [f"--port={port}", f"--env-vars={env_vars}"]
    path = os.pathsep.join(str(ROOT / each) for each in ("layers/watchkeeper", "functions", ""))
    log = env_vars.with_name("box.log")
    with log.open("wb") as output:
        serving = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path},
            stdout=output,
            stderr=output,
        )
        try:
            until = time.monotonic() + 60
            while not env_vars.exists():
                assert serving.poll() is None, log.read_text()
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            serving.send_signal(signal.SIGTERM)
            serving.wait(timeout=30)


def invoke(env_vars: Path) -> dict[str, Any]:
    """The answer of `make invoke`, which also builds what `invoke_built` takes."""
    command = ["make", "invoke", "FUNCTION=TakeBackups", "EVENT=events/take_backups/by-hand.json"]
    return answer_of([*command, f"ENV_VARS={env_vars}"])


def invoke_built(function: str, event: str, env_vars: Path) -> dict[str, Any]:
    """The same without building again."""
    command = [SAM, "local", "invoke", function, "--region=us-east-1", "--skip-pull-image"]
    command += ["--template=.aws-sam/build/local.yaml", f"--event=events/{event}"]
    return answer_of([*command, f"--env-vars={env_vars}"])


def answer_of(command: list[Any]) -> dict[str, Any]:
    """What a function returned: the last line; before it stand those that it logged."""
    done = subprocess.run(command, check=False, capture_output=True, cwd=ROOT, text=True)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert "errorMessage" not in answer, answer
    return answer


def client(box: str, service: str) -> Any:
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=box,
        region_name="us-east-1",
        aws_access_key_id="in-the-box",
        aws_secret_access_key="in-the-box",
    )


def let_pass(box: str, minutes: int) -> None:
    address = f"{box}/box/advance?minutes={minutes}"
    urllib.request.urlopen(address, data=b"", timeout=120).close()


def test_functions_in_containers_back_up_drill_and_look_into_it(box: str, env_vars: Path) -> None:
    """One test, because SAM's build folder is one: two tests might use it at the same time."""
    (run,) = invoke(env_vars)
    let_pass(box, 60)

    shard = {"Name": "tag:watchkeeper:run", "Values": [f"{run}#*"]}
    snapshots = client(box, "ec2").describe_snapshots(Filters=[shard])["Snapshots"]
    assert {one["State"] for one in snapshots} == {"completed"}
    table = json.loads(env_vars.read_text())["TakeBackups"]["TABLE_NAME"]
    points = points_of(run, box, table)
    assert {one["state"]["S"] for one in points} == {"completed"}
    parts = {part["M"]["snapshot"]["S"] for one in points for part in one["parts"]["L"]}
    assert parts == {one["SnapshotId"] for one in snapshots} | databases_and_tables(run, box)

    plan = invoke_built("ExpireBackups", "expire_backups/dry-run.json", env_vars)
    # A night of a plan may have come meanwhile: the box has the hour of the day that it is.
    assert {one["id"]["S"] for one in points} <= {one["id"] for one in plan["kept"]}
    assert "woken" in invoke_built("SweepRuns", "sweep_runs/minute.json", env_vars)

    check = ROOT / "events/drill_restores/by-hand-check.json"
    resource = json.loads(check.read_text())["resource"]
    (round_,) = invoke_built("DrillRestores", f"drill_restores/{check.name}", env_vars)
    let_pass(box, 60)  # what it has begun is seen through by the box
    bucket = json.loads(env_vars.read_text())["DrillRestores"]["EVIDENCE_BUCKET"]
    found = client(box, "s3").get_object(Bucket=bucket, Key=naming.evidence_key(resource, 1))
    evidence = json.loads(found["Body"].read())
    assert evidence["run"] == naming.restore_id(round_, resource, "check")
    assert (evidence["verdict"], evidence["failure"]) == ("passed", "")
    assert "drills" in invoke_built("DrillRestores", "drill_restores/show.json", env_vars)

    (looked,) = invoke_built("TriageIncidents", "triage_incidents/metric-alarm.json", env_vars)
    bucket = json.loads(env_vars.read_text())["TriageIncidents"]["INCIDENTS_BUCKET"]
    key = naming.incident_page_key(naming.incident_of_run(looked))
    assert b"checkout-errors" in client(box, "s3").get_object(Bucket=bucket, Key=key)["Body"].read()


def databases_and_tables(run: str, box: str) -> set[str]:
    """The ARNs of what the run has made of them, and is finished."""
    rds, dynamodb = client(box, "rds"), client(box, "dynamodb")
    snapshots = [
        *rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"],
        *rds.describe_db_cluster_snapshots(SnapshotType="manual")["DBClusterSnapshots"],
    ]
    made = {
        one.get("DBSnapshotArn") or one["DBClusterSnapshotArn"]
        for one in snapshots
        if one["Status"] == "available" and _made_by(run, one["TagList"])
    }
    backups = dynamodb.list_backups(BackupType="USER")["BackupSummaries"]
    named = {one["BackupArn"]: naming.parse_table_backup(one["BackupName"]) for one in backups}
    return made | {arn for arn, name in named.items() if name and name[2].startswith(run)}


def _made_by(run: str, tags: list[dict[str, str]]) -> bool:
    values = {tag["Key"]: tag["Value"] for tag in tags}
    return naming.from_rds_value(values.get(naming.TAG_RUN, "")).startswith(run)


def points_of(run: str, box: str, table: str) -> list[Any]:
    items = client(box, "dynamodb").scan(TableName=table)["Items"]
    points = [one for one in items if one["pk"]["S"].startswith("POINT#")]
    return [one for one in points if one["run"]["S"].startswith(run)]
