"""A small box with one instance in it, and a document whose scripts freeze and thaw instances."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from local.aws import ec2, ssm_commands
from local.aws.ssm_commands import Commands, create_script_document
from local.pace import Pace
from tests.local.service_box import ServiceBox, service_box

SECOND = timedelta(seconds=1)
PACE = Pace(command_delivered_after=SECOND, command_takes=5 * SECOND, command_hidden_for=2 * SECOND)
DOCUMENT = "watchkeeper-freeze-postgres"


@dataclass
class ScriptsBox(ServiceBox):
    instance: str = ""

    @property
    def commands(self) -> Commands:
        return ssm_commands.installed_in(self)


@contextmanager
def scripts_box(pace: Pace = PACE) -> Iterator[ScriptsBox]:
    with service_box(ScriptsBox, ec2, ssm_commands, pace=pace) as box:
        create_script_document(box.client("ssm"), DOCUMENT)
        made = box.client("ec2").run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1)
        box.instance = made["Instances"][0]["InstanceId"]
        yield box
