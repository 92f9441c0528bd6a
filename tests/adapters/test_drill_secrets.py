"""Passwords of restored databases in the Parameter Store, in the box: asserted on what is there."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from local.pace import INSTANT
from tests.local.service_box import REGION, TWO_O_CLOCK, ServiceBox, service_box
from watchkeeper import naming
from watchkeeper.aws.drill_secrets import DrillSecrets
from watchkeeper.aws.errors import Refused

PATH = "/watchkeeper/drills"
RUN = "drill#orders#2026-11-23T02:00Z"
NAME = naming.drill_name("watchkeeper", RUN)
TAGS = naming.drill_tags("watchkeeper", RUN, TWO_O_CLOCK + timedelta(days=3))


@pytest.fixture
def ssm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with service_box(ServiceBox, pace=INSTANT) as box:
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        yield box.client("ssm")


def test_a_second_attempt_goes_on_with_the_password_of_the_first(ssm: Any) -> None:
    secrets = DrillSecrets(PATH)
    assert secrets.keep(NAME, "first", TAGS) == "first"
    assert secrets.keep(NAME, "second", TAGS) == "first"
    [shown] = ssm.describe_parameters()["Parameters"]
    assert (shown["Name"], shown["Type"]) == (f"{PATH}/{NAME}", "SecureString")
    found = ssm.get_parameter(Name=secrets.parameter(NAME), WithDecryption=True)
    assert found["Parameter"]["Value"] == "first"


def test_what_is_left_is_found_with_its_tags_and_removed(ssm: Any) -> None:
    secrets = DrillSecrets(PATH)
    secrets.keep(NAME, "first", TAGS)
    for other in (f"{PATH}/deeper/{NAME}", f"{PATH}/orders", f"/elsewhere/{NAME}"):
        ssm.put_parameter(Name=other, Value="x", Type="String")
    [found] = secrets.all()
    assert (found.name, found.parameter, found.tags) == (NAME, f"{PATH}/{NAME}", TAGS)
    for _ in range(2):
        secrets.delete(NAME)
    assert secrets.all() == []
    assert len(ssm.describe_parameters()["Parameters"]) == 3


def test_there_may_be_more_than_a_page(ssm: Any) -> None:
    secrets = DrillSecrets(PATH)
    names = sorted(naming.drill_name("watchkeeper", str(number)) for number in range(60))
    for name in names:
        secrets.keep(name, "x" * 8, TAGS)
    assert sorted(one.name for one in secrets.all()) == names


def test_only_what_has_a_drills_name_is_kept_or_deleted(ssm: Any) -> None:
    secrets = DrillSecrets(PATH)
    ssm.put_parameter(Name=f"{PATH}/orders", Value="x", Type="String")
    for call in (
        lambda: secrets.delete("orders"),
        lambda: secrets.keep("orders", "y", TAGS),
        lambda: secrets.delete(f"../{NAME}"),
    ):
        with pytest.raises(Refused, match="NotOurs"):
            call()
    assert ssm.get_parameter(Name=f"{PATH}/orders")["Parameter"]["Value"] == "x"
