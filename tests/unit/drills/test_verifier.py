"""What a verifier is sent, and who has to delete the endpoints behind which it stood. No AWS."""

import json
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from watchkeeper import naming
from watchkeeper.aws.verifiers import Endpoint, Instance
from watchkeeper.drills.verifier import command_line, heirs

HOUR = timedelta(hours=1)
TWO = datetime(2026, 11, 23, 2, tzinfo=UTC)
SCRIPT = b"""\
import base64, json, sys
from dataclasses import dataclass

@dataclass
class Found:
    text: str

def main(request):
    asked = json.loads(base64.b64decode(request))
    print(json.dumps({"argv": len(sys.argv), "text": Found(asked["text"]).text}))

if __name__ == "__main__":
    main(sys.argv[1])
"""


@pytest.mark.parametrize(
    "text",
    ["select 1", "'; rm -rf / #", '" && reboot', "$(reboot) `reboot` \\\n", "{{ ssm:x }} %s é🙂\0"],
)
def test_a_shell_runs_the_script_and_whatever_was_asked_stays_data(text: str) -> None:
    line = command_line(SCRIPT, {"text": text})
    assert text not in line
    assert "\n" not in line
    assert "{{" not in line  # Systems Manager would put a parameter there
    ended = subprocess.run(["/bin/sh", "-c", line], capture_output=True, check=True)
    assert json.loads(ended.stdout) == {"argv": 2, "text": text}


def drill(name: str) -> str:
    return naming.drill_name("watchkeeper", name)


def instance(name: str, state: str = "running", at: float = 1, stack: str = "ours") -> Instance:
    tags = {naming.TAG_DRILL: drill(name), naming.TAG_STACK: stack}
    return Instance("i-1", state, TWO + at * HOUR, tags)


TAGS = {naming.TAG_DRILL: drill("maker"), naming.TAG_STACK: "ours"}
MADE = Endpoint("vpce-1", "ssm", "available", TWO, has_name=True, tags=TAGS)


@pytest.mark.parametrize(
    ("instances", "expected"),
    [
        ([], ["maker"]),
        ([instance("maker")], ["maker"]),
        ([instance("maker", "pending")], ["maker"]),
        ([instance("maker", "terminated")], ["maker"]),
        ([instance("maker"), instance("user")], []),
        ([instance("maker"), instance("user", "shutting-down")], ["maker"]),
        ([instance("maker", "terminated"), instance("user", "stopping")], ["user"]),
        ([instance("maker", "terminated"), instance("user", "terminated")], ["maker", "user"]),
        # Its own endpoints were deleted under it, and these were made by another.
        ([instance("user", at=-1)], ["user"]),
        # It ended before they were made.
        ([instance("older", "terminated", at=-1)], ["maker"]),
        ([instance("maker"), instance("stranger", stack="theirs")], ["maker"]),
    ],
)
def test_an_endpoint_is_deleted_by_whoever_needs_it_last(
    instances: list[Instance], expected: list[str]
) -> None:
    assert heirs(MADE, instances) == sorted(map(drill, expected))
