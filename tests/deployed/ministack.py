"""ministack: an emulator of AWS that runs as a process of its own, for as long as it is needed."""

import os
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / ".tools" / "ministack" / "bin"
PATIENCE = 30
"""Seconds within which it must answer; it takes one or two."""
MARKS = [
    pytest.mark.slow,
    pytest.mark.enable_socket,
    pytest.mark.allow_hosts(["127.0.0.1"]),
    pytest.mark.skipif(
        not (PROGRAMS / "ministack").exists(),
        reason="needs ministack: `make deploy-local` installs it",
    ),
]


@contextmanager
def ministack(program: str, *arguments: str, **settings: str) -> Iterator[str]:
    """The address at which one of `PROGRAMS` answers, started with these variables."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    always = {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [PROGRAMS / program, *arguments],
                cwd=ROOT,
                env={**os.environ, **always, **settings},
                stdout=output,
                stderr=output,
            )
        try:
            _wait_for(f"{url}/_ministack/health", process, log)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=10)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"no answer within {PATIENCE} s:\n{log.read_text()}")
