"""What a person may ask for, and what is refused at the door."""

from typing import Any

import pytest

from watchkeeper import triggers
from watchkeeper.triggers import BadTrigger, RecoverNow

ASKED = {
    "trigger": "by-hand",
    "request_id": "one",
    "level": "real",
    "resource": "arn:aws:rds:us-east-1:123456789012:db:orders",
}


@pytest.mark.parametrize("zone", ["us-east-1a", "us-gov-west-1b", "us-west-2-lax-1a"])
def test_a_zone_is_accepted(zone: str) -> None:
    found = triggers.parse(triggers.recover_resources, {**ASKED, "zone": zone})
    assert isinstance(found, RecoverNow)
    assert (found.zone, found.point) == (zone, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"level": "restore"},
        {"zone": "us-east-1a; rm"},
        {"point": "newest"},
        {"resource": "orders"},
        {"resource": "arn:aws:s3:::bucket"},
        {"request_id": "a b"},
        {"name": "orders"},
        {"trigger": "tick"},
    ],
    ids=str,
)
def test_anything_else_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadTrigger):
        triggers.parse(triggers.recover_resources, {**ASKED, **wrong})
