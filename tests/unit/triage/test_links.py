"""Links into the console: known good ones, and names that try to lead elsewhere."""

from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.triage.links import alarm_link, logs_link, metric_link, trail_link

SINCE = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
UNTIL = datetime(2026, 11, 23, 2, 5, 30, 250_000, tzinfo=UTC)
HOME = "https://eu-west-1.console.aws.amazon.com"


def test_a_log_group() -> None:
    assert logs_link("eu-west-1", "/aws/lambda/orders", SINCE, UNTIL) == (
        f"{HOME}/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/"
        "$252Faws$252Flambda$252Forders/log-events$3Fstart$3D1795395600000$26end$3D1795399530250"
    )


def test_a_query_of_logs_insights() -> None:
    query = "fields @message | filter @message like /(?i)error/"
    assert logs_link("eu-west-1", "/ecs/a", SINCE, UNTIL, query) == (
        f"{HOME}/cloudwatch/home?region=eu-west-1#logsV2:logs-insights$3FqueryDetail$3D"
        "$257E$2528end$257E$25272026-11-23T02*3a05*3a30.250Z"
        "$257Estart$257E$25272026-11-23T01*3a00*3a00.000Z"
        "$257EtimeType$257E$2527ABSOLUTE$257Etz$257E$2527UTC"
        "$257EeditorString$257E$2527fields*20*40message*20*7c*20filter*20*40message*20like*20"
        "*2f*28*3fi*29error*2f$257EisLiveTail$257Efalse"
        "$257Esource$257E$2528$257E$2527*2fecs*2fa$2529$2529"
    )


def test_a_metric() -> None:
    dimensions = {"DBInstanceIdentifier": "orders (old)"}
    link = metric_link(
        "eu-west-1", "AWS/RDS", "CPUUtilization", dimensions, "p99.9", 300, SINCE, UNTIL
    )
    assert link == (
        f"{HOME}/cloudwatch/home?region=eu-west-1#metricsV2:graph=~(metrics~(~(~'AWS*2fRDS"
        "~'CPUUtilization~'DBInstanceIdentifier~'orders*20*28old*29~(stat~'p99.9~period~300)))"
        "~view~'timeSeries~stacked~false~region~'eu-west-1"
        "~start~'2026-11-23T01*3a00*3a00.000Z~end~'2026-11-23T02*3a05*3a30.250Z)"
    )


def test_an_event_and_an_alarm() -> None:
    event = "0a7d3f1c-9b2e-4d58-8c31-5f1c2d3e4a5b"
    assert trail_link("eu-west-1", event) == (
        f"{HOME}/cloudtrailv2/home?region=eu-west-1#/events/{event}"
    )
    assert alarm_link("eu-west-1", "orders: CPU > 80 %/high") == (
        f"{HOME}/cloudwatch/home?region=eu-west-1#alarmsV2:alarm/"
        "orders%3A%20CPU%20%3E%2080%20%25%2Fhigh"
    )


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("us-east-1", "us-east-1.console.aws.amazon.com"),
        ("cn-north-1", "cn-north-1.console.amazonaws.cn"),
        ("us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
    ],
)
def test_consoles_of_other_partitions(region: str, host: str) -> None:
    assert urlsplit(alarm_link(region, "x")).netloc == host


def test_beyond_the_first_plane_and_half_a_character() -> None:
    assert "~'n**00e9~" not in metric_link("r", "n", "x", {}, "s", 1, SINCE, UNTIL)
    link = metric_link("r", "é€😀\ud800", "x", {}, "s", 1, SINCE, UNTIL)
    assert "~'*e9**20ac**d83d**de00**d800~" in link


@given(st.text(), st.text(), st.text())
def test_no_name_leads_elsewhere(name: str, other: str, query: str) -> None:
    """Nothing that an attribute, a line or a terminal takes for more than text gets through."""
    links = [
        logs_link("eu-west-1", name.replace("\ud800", ""), SINCE, UNTIL, query),
        metric_link("eu-west-1", name, other, {name: other}, other, 60, SINCE, UNTIL),
    ]
    for link in links:
        parts = urlsplit(link)
        assert (parts.scheme, parts.netloc) == ("https", "eu-west-1.console.aws.amazon.com")
        assert link.isascii()
        assert link.isprintable()
        assert not set(link) & set(' "<>\\`{}|^')
        assert link.count("#") == 1
