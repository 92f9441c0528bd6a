"""What looking at an incident is said to have cost."""

import pytest

from watchkeeper.triage.costs import PRICES, cost


@pytest.mark.parametrize(
    ("used", "usd"),
    [
        ({}, 0.0),
        ({"insights_bytes": 2e9}, 0.01),
        ({"metrics_requested": 500, "cloudwatch_requests": 500}, 0.01),
        ({"lookup_requests": 1e9, "something new": 1e9}, 0.0),
        ({"insights_bytes": float("nan"), "s3_puts": 200}, 0.001),
        ({"s3_puts": -5}, 0.0),
    ],
)
def test_cost(used: dict[str, float], usd: float) -> None:
    assert cost(used) == pytest.approx(usd)


def test_every_look_has_its_price() -> None:
    assert {name for name, price in PRICES.items() if not price} == {
        "filter_requests", "lookup_requests", "pi_requests", "tag_requests",
    }  # fmt: skip
