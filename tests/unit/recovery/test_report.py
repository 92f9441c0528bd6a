"""What people are told: names that never are the original's, whole commands, and such as work."""

import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.session import get_session

from tests.template.test_runbooks import assert_understood, operation_model, parsed
from tests.unit.recovery.test_choice import point
from watchkeeper import naming
from watchkeeper.news.base import LINE, LINES
from watchkeeper.news.recovery import fitting
from watchkeeper.recovery import database_settings, table_settings
from watchkeeper.recovery.model import ByHand, Recovering, command
from watchkeeper.recovery.report import numbered, span

RUN = "recover#by-hand#one"


@pytest.mark.parametrize("original", ["orders", "o" * 63, "orders-", "a.b.", "orders-wkr-1a2b3c4d"])
def test_a_name_is_beside_the_original_and_says_so(original: str) -> None:
    name = naming.recovered_name(original, RUN, 60)
    assert name != original
    assert len(name) <= 60
    assert "--" not in name
    assert naming.is_recovered(name)
    assert naming.is_recovered(f"{name}-12")
    assert naming.recovered_name(original, RUN, 60) == name
    assert naming.recovered_name(original, f"{RUN}r", 60) != name


@pytest.mark.parametrize(
    "other", ["orders", "-wkr-1a2b3c4d", "orders-wkr-1a2b3c4", "wk-drill-1", ""]
)
def test_no_other_name_is_taken_for_one(other: str) -> None:
    assert not naming.is_recovered(other)


def test_tags_of_the_original_come_along_as_far_as_there_is_room() -> None:
    tags = naming.recovered_tags("watchkeeper", RUN, "n")
    assert "#" not in "".join(tags.values())  # RDS takes none
    one = Recovering("n", point(1), {}, tags)
    theirs = {f"k{number:02d}": "v" for number in range(60)} | {"aws:x": "y", "watchkeeper:p": "z"}
    together = one.with_originals(theirs)
    assert len(together) == 49
    assert together.items() >= tags.items()
    assert not [key for key in together if key.startswith(("aws:", "watchkeeper:p"))]
    assert together["k00"] == "v"


def test_no_command_is_cut_on_a_page() -> None:
    long = command("aws", "dynamodb", "put-resource-policy", "--policy", "x" * LINE)
    shown = fitting(numbered([ByHand("First:", ("aws a", "aws b")), ByHand("Then:", (long,))]), 999)
    assert shown == ["1. First:", "     aws a", "     aws b", "2. Then:", MORE.format(1)]
    many = fitting([f"aws {number}" for number in range(99)], 9999)
    assert many[-1] == MORE.format(99 - LINES + 1)
    assert len(many) == LINES
    assert len(json.dumps(fitting(["é" * 20] * 20, 300))) < 400


MORE = "and {} lines more: see the document"


@pytest.mark.parametrize(
    ("time", "said"),
    [
        (timedelta(seconds=20), "less than a minute"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(hours=2, minutes=5), "2 hours 5 minutes"),
        (timedelta(days=3, hours=4, minutes=9), "3 days 4 hours"),
    ],
)
def test_times_are_said_as_people_say_them(time: timedelta, said: str) -> None:
    assert span(time) == said


EVERYTHING: dict[str, Any] = {
    "MasterUserSecret": {"SecretArn": "arn:aws:secretsmanager:x"},
    "AssociatedRoles": [{"RoleArn": "arn:aws:iam::1:role/s3", "FeatureName": "s3Import"}],
    "DomainMemberships": [{"Domain": "d-1", "IAMRoleName": "ad; rm -rf /"}],
    "CustomEndpoints": ["a.example"],
    "GlobalClusterIdentifier": "global",
    "TdeCredentialArn": "arn:tde",
}
OF_TABLES: dict[str, Any] = {
    "kinesis_destinations": [{"StreamArn": "arn:s", "DestinationStatus": "ACTIVE"}],
    "resource_policy": '{"Version": "2012-10-17"}',
    "replica_regions": ["eu-west-1"],
    "stream": {"StreamEnabled": True},
}


def test_commands_are_such_as_the_aws_cli_takes_whatever_a_setting_says() -> None:
    steps = [
        *database_settings.by_hand(EVERYTHING, "orders-wkr-1", is_cluster=False),
        *database_settings.by_hand(EVERYTHING, "ledger-wkr-1", is_cluster=True),
        *table_settings.by_hand(OF_TABLES, "rates-wkr-1", "arn:t"),
    ]
    lines = [line for step in steps for line in step.commands]
    assert len(lines) >= 12
    for line in lines:
        assert_taken(line)


def assert_taken(line: str) -> None:
    service, operation, options = parsed(line)
    if operation == "wait":
        words = line.split()
        waiters = get_session().get_waiter_model(service).waiter_names
        assert words[3].replace("-", "") in {name.lower() for name in waiters}
        return
    model = operation_model(service, operation)
    if operation == "run-instances":  # the CLI counts to one by itself
        options = options | {"--min-count": ["1"], "--max-count": ["1"]}
    assert_understood(model, options)
