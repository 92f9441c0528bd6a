"""The cloud in a box as an HTTP endpoint: `make cloud`.

The same box, on a clock that goes by itself, for the AWS CLI, for `sam local invoke` and for
functions in containers. Functions deployed in it run in this process; one request or one function
at a time.

    python -m local.serve --port 5000

The box's own clock can be pushed: `curl -X POST 'http://127.0.0.1:5000/box/advance?minutes=60'`.
"""

from __future__ import annotations

import argparse
import json
import signal
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, socket
from threading import Event, RLock, Thread
from typing import Any
from urllib.parse import parse_qs

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import BaseWSGIServer, make_server

from local.cloud import ROOT, Cloud
from local.mischief import NotInTheBox

StartResponse = Callable[..., Any]

# For handlers that run elsewhere: `sam local invoke --env-vars` reads it.
ENV_VARS = ROOT / ".local" / "env-vars.json"

# Who is answered besides this machine: the networks that Docker and podman give to containers by
# default. Containers reach the host by an address of its own, so that the port is open to all.
CONTAINERS = tuple(map(ip_network, ("172.16.0.0/12", "10.88.0.0/15")))

# How often the box looks whether something is due. A tick may be this late.
LOOK_EVERY = timedelta(milliseconds=200)


class Application:
    """moto's server and the box's own few paths, one request at a time."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._moto = DomainDispatcherApplication(create_backend_app)
        self.lock = RLock()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        if not self._is_neighbour(peer := ip_address(environ["REMOTE_ADDR"])):
            refusal = {"error": f"{peer} is neither this machine nor a container on it"}
            return _answer(start_response, "403 Forbidden", refusal)
        with self.lock:
            if str(environ["PATH_INFO"]).startswith("/box/"):
                return self._answer_box(environ, start_response)
            try:
                answer = self._moto(environ, start_response)
                return list(answer)
            except (NotImplementedError, NotInTheBox) as error:
                # Not 5xx, which clients would try again and again.
                return _answer(start_response, "400 Bad Request", _not_there(error))

    @staticmethod
    def _is_neighbour(peer: IPv4Address | IPv6Address) -> bool:
        """Whether it is this machine or a container on it; Docker's desktop speaks as the first."""
        ours = peer.is_loopback or str(peer) == own_address()
        return ours or any(peer in network for network in CONTAINERS)

    def _answer_box(
        self, environ: dict[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        request = (environ["REQUEST_METHOD"], environ["PATH_INFO"])
        if request == ("POST", "/box/advance"):
            minutes = parse_qs(environ["QUERY_STRING"]).get("minutes", ["1"])[0]
            if not minutes.isdecimal():
                problem = {"error": f"minutes={minutes!r} is not a whole number"}
                return _answer(start_response, "400 Bad Request", problem)
            self._cloud.clock.run_for(timedelta(minutes=int(minutes)))
        elif request != ("GET", "/box/now"):
            known = {"error": "there are only POST /box/advance?minutes=… and GET /box/now"}
            return _answer(start_response, "404 Not Found", known)
        return _answer(start_response, "200 OK", {"now": self._cloud.clock.now().isoformat()})


def _not_there(error: BaseException) -> dict[str, str]:
    return {"__type": "NotImplemented", "message": f"The box has no such thing: {error}"}


def _answer(start_response: StartResponse, status: str, body: dict[str, str]) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(body).encode() + b"\n"]


class Server:
    """A box behind an HTTP port of this machine."""

    def __init__(self, cloud: Cloud, host: str = "127.0.0.1", port: int = 0) -> None:
        """`port` 0 lets the system choose; see `url`."""
        self._cloud = cloud
        self._application = Application(cloud)
        self._server: BaseWSGIServer = make_server(
            host, port, self._application, threaded=True, request_handler=MotoRequestHandler
        )
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._stopped = Event()
        self._threads = [
            Thread(target=self._server.serve_forever, daemon=True),
            Thread(target=self._keep_appointments, daemon=True),
        ]

    def start(self) -> None:
        """Begin to answer, and to do what is due."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Answer no more."""
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()
        for thread in self._threads:
            thread.join()

    def wait(self) -> None:
        """Until someone stops it."""
        self._stopped.wait()

    def _keep_appointments(self) -> None:
        while not self._stopped.wait(LOOK_EVERY.total_seconds()):
            with self._application.lock:
                self._cloud.clock.settle()


@cache
def own_address() -> str:
    """This machine's address in its network; its own containers reach it there, too."""
    with socket(AF_INET, SOCK_DGRAM) as probe:
        try:
            # Asks for the route and sends nothing: the address is one of documentation's.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"  # in no network; containers on the host's own still find it
        address: str = probe.getsockname()[0]
    return address


def environment_of(cloud: Cloud, url: str) -> dict[str, dict[str, str]]:
    """The environment of functions that run elsewhere, by logical id, as SAM CLI reads it."""
    credentials = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "in-the-box",
        "AWS_SECRET_ACCESS_KEY": "in-the-box",
        "AWS_DEFAULT_REGION": cloud.region,
    }
    return {
        logical_id: function.environment | credentials
        for logical_id, function in cloud.functions.by_id.items()
    }


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m local.serve", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument(
        "--containers", action="store_true", help="let containers on this machine in"
    )
    parser.add_argument("--start", help="simulated time to begin with, ISO 8601; default: now")
    parser.add_argument(
        "--env-vars", type=Path, default=ENV_VARS, help="file that tells functions elsewhere"
    )
    arguments = parser.parse_args()
    start = datetime.fromisoformat(arguments.start) if arguments.start else datetime.now(UTC)
    if start.tzinfo is None:
        start = start.replace(tzinfo=UTC)
    with Cloud(start, ticking=True) as cloud:
        host = "0.0.0.0" if arguments.containers else "127.0.0.1"  # noqa: S104, see CONTAINERS
        server = Server(cloud, host, arguments.port)
        signal.signal(signal.SIGTERM, lambda *_: server._stopped.set())
        server.start()
        address = own_address() if arguments.containers else "127.0.0.1"
        _write(arguments.env_vars, environment_of(cloud, f"http://{address}:{server.port}"))
        print(_welcome(cloud, server.url), flush=True)
        try:
            server.wait()
        except KeyboardInterrupt:
            print("\nThe box is gone, and everything in it.")
        finally:
            arguments.env_vars.unlink(missing_ok=True)
            server.stop()


def _write(path: Path, environment: dict[str, dict[str, str]]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(environment, indent=2) + "\n", encoding="utf-8")


def _welcome(cloud: Cloud, url: str) -> str:
    example = cloud.functions.find("TakeBackups").name
    example_event = '{"trigger": "by-hand", "request_id": "try-1", "plan": "gold"}'
    return f"""\
Simulated AWS account {cloud.account_id}, Region {cloud.region}, at {url}
It is {cloud.clock.now():%Y-%m-%d %H:%M} UTC there, and time passes. Stop it with Ctrl-C.

  Point anything at it:   export AWS_ENDPOINT_URL={url} AWS_DEFAULT_REGION={cloud.region} \\
                                 AWS_ACCESS_KEY_ID=in-the-box AWS_SECRET_ACCESS_KEY=in-the-box
  Look around:            aws ec2 describe-snapshots --owner-ids self
  Run a function there:   aws lambda invoke --function-name {example} \\
                              --payload '{example_event}' /dev/stdout
  Run one in a container: make invoke FUNCTION=TakeBackups
  Let an hour pass:       curl -X POST '{url}/box/advance?minutes=60'
"""


if __name__ == "__main__":
    main()
