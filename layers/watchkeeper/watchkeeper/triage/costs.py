"""What looking at an incident cost, in USD. Pure.

List prices of us-east-1 without taxes, free tiers and discounts, as they are known in November
2026. Other Regions are dearer, by a few per cent to half. It is an estimate that says whether
looking was worth it, not a bill.
"""

from collections.abc import Mapping
from math import isfinite

PRICES: Mapping[str, float] = {
    # https://aws.amazon.com/cloudwatch/pricing/: Logs Insights, 0.005 per GB scanned.
    "insights_bytes": 0.005 / 1e9,
    # The same page: GetMetricData, 0.01 per 1,000 metrics requested.
    "metrics_requested": 0.01 / 1_000,
    # The same page: ListMetrics, DescribeAlarms and the like, 0.01 per 1,000 requests.
    "cloudwatch_requests": 0.01 / 1_000,
    # https://aws.amazon.com/lambda/pricing/: 0.0000166667 per GB-second on x86, and it has one.
    "lambda_seconds": 0.0000166667,
    # https://aws.amazon.com/s3/pricing/: PUT to S3 Standard, 0.005 per 1,000.
    "s3_puts": 0.005 / 1_000,
    # https://aws.amazon.com/dynamodb/pricing/on-demand/: 0.625 per million write units.
    "table_writes": 0.625 / 1_000_000,
    # FilterLogEvents, LookupEvents, the tagging API and Performance Insights with seven days of
    # history have no price.
    "filter_requests": 0.0,
    "lookup_requests": 0.0,
    "pi_requests": 0.0,
    "tag_requests": 0.0,
}
"""USD per unit, by the names of `Gathered.used`."""


def cost(used: Mapping[str, float]) -> float:
    """Of all that was asked, to a millionth of a dollar; what has no price here is free."""
    parts = (PRICES.get(name, 0.0) * most for name, most in used.items() if isfinite(most))
    return round(sum(part for part in parts if part > 0.0), 6)
