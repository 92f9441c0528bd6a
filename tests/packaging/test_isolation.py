"""What tests/conftest.py promises every other test."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import boto3
import pytest
from pytest_socket import SocketBlockedError

CONFTEST = Path(__file__).parents[1] / "conftest.py"

SKIPS = """
import pytest

@pytest.mark.skip(reason="no such machine here")
def test_that_is_skipped() -> None: ...

@pytest.mark.xfail(reason="known", strict=True)
def test_that_is_known_to_fail() -> None:
    assert False
"""

SKIPS_AS_A_WHOLE = """
import pytest

pytest.importorskip("no_such_module")
"""


def test_no_way_to_the_network() -> None:
    with pytest.raises(SocketBlockedError):
        socket.create_connection(("127.0.0.1", 9))


def test_no_credentials_and_one_region() -> None:
    session = boto3.Session()

    assert session.get_credentials() is None
    assert session.region_name == "eu-west-1"


def test_local_time_is_utc() -> None:
    assert (time.tzname[0], time.timezone) == ("UTC", 0)


@pytest.mark.parametrize(
    ("ci", "exit_status", "summary"),
    [("true", 1, "1 xfailed, 2 errors"), ("", 0, "2 skipped, 1 xfailed")],
)
def test_a_skip_fails_in_ci_and_only_there(
    tmp_path: Path, ci: str, exit_status: int, summary: str
) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text())
    (tmp_path / "test_one.py").write_text(SKIPS)
    (tmp_path / "test_whole.py").write_text(SKIPS_AS_A_WHOLE)

    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--continue-on-collection-errors",
    ]
    run = subprocess.run(
        command,
        check=False,
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "CI": ci},
        text=True,
    )

    assert (run.returncode, summary in run.stdout) == (exit_status, True), run.stdout
