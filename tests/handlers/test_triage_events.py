"""Every example in events/triage_incidents/, and each by the road that it comes by: the bus, an
alarm's action, SNS, a queue.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.cloud import Cloud
from local.pace import INSTANT
from tests.crash.forks import aside
from tests.crash.night import items
from tests.handlers.incidents import Account

EVENTS = Path(__file__).parents[2] / "events" / "triage_incidents"
START = datetime(2026, 11, 23, 3, 13, tzinfo=UTC)
"""A minute after the examples' alarms."""
OPENS = {"incidents": 1, "pages": 1}
SAID = dict.fromkeys(
    ("alertmanager-json", "alertmanager-json-cut"), datetime(2026, 11, 23, 20, 30, tzinfo=UTC)
)
"""Where it is later: these alerts say themselves when they began."""
KEPT = {"incidents": 1, "pages": 0}
NONE = {"incidents": 0, "pages": 0}
OUTCOMES: dict[str, dict[str, int]] = {
    "alertmanager-json": OPENS,
    "alertmanager-json-cut": OPENS,
    "alertmanager-text": OPENS,
    "alertmanager-text-cut": OPENS,
    "alertmanager-text-resolved": OPENS,
    "anomaly-alarm": OPENS,
    "anomaly-alarm-sns": OPENS,
    "composite-alarm": OPENS,
    "composite-alarm-sns": OPENS,
    "composite-alarm-suppressed": KEPT,
    "contributor-alarm": OPENS,
    "contributor-alarm-direct": OPENS,
    "every-five-minutes": NONE,
    "log-alarm": OPENS,
    "log-alarm-sns": OPENS,
    "metric-alarm": OPENS,
    "metric-alarm-bridge-sns-sqs": OPENS,
    "metric-alarm-direct": OPENS,
    "metric-alarm-muted": KEPT,
    "metric-alarm-ok": NONE,
    "metric-alarm-sns": OPENS,
    "metric-alarm-sns-sqs": OPENS,
    "metric-alarm-sqs-raw": OPENS,
    "metric-math-alarm": OPENS,
    "metric-math-alarm-sns": OPENS,
    "not-an-alarm": OPENS,
    "our-own-alarm": NONE,
    "run-due": NONE,
    "set-by-hand": OPENS,
    "target-tracking-alarm": NONE,
}
"""What comes of each: an incident that pages, one that is only kept, or none."""


@pytest.fixture(scope="module")
def night() -> Iterator[Account]:
    with Cloud(START, seeded=False, thin=timedelta(minutes=15), pace=INSTANT, deny=True) as cloud:
        made = Account(cloud)
        made.trails.log()
        made.set_policy()
        cloud.clock.run_for(timedelta(minutes=1))
        yield made


def example(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text())


def counted(made: Account) -> dict[str, int]:
    runs = {
        one["pk"]
        for one in items(made.cloud)
        if one["pk"].startswith("RUN#triage#") and one["sk"] == "RUN"
    }
    return {"incidents": len(runs), "pages": len(made.pages())}


def test_every_example_is_here() -> None:
    assert sorted(one.stem for one in EVENTS.glob("*.json")) == sorted(OUTCOMES)


@pytest.mark.parametrize("name", OUTCOMES)
def test_what_comes_of_an_example(night: Account, name: str) -> None:
    def story() -> tuple[bool, str | None, dict[str, int], list[str]]:
        night.cloud.clock.move_to(SAID.get(name, START))
        invoked = night.cloud.invoke("TriageIncidents", example(name))
        return invoked.ok, invoked.error, counted(night), night.failed()

    assert aside(story) == (True, None, OUTCOMES[name], [])


def test_an_ok_joins_the_incident_of_its_alarm(night: Account) -> None:
    def story() -> tuple[dict[str, int], list[str]]:
        night.cloud.invoke("TriageIncidents", example("metric-alarm"))
        night.until(datetime(2026, 11, 23, 3, 31, 8, tzinfo=UTC))
        night.cloud.invoke("TriageIncidents", example("metric-alarm-ok"))
        night.cloud.clock.run_for(timedelta(hours=1))
        return counted(night), [one["type"] for one in night.news()]

    counts, news = aside(story)
    assert counts["incidents"] == 1
    assert (news[0], news[-1]) == ("IncidentOpened", "IncidentResolved")


def test_one_alarm_by_every_road_is_one_incident_and_one_page(night: Account) -> None:
    same = ["metric-alarm", "metric-alarm-direct", "metric-alarm-sns", "metric-alarm-sns-sqs",
            "metric-alarm-sqs-raw", "metric-alarm-bridge-sns-sqs", "metric-alarm"]  # fmt: skip

    def story() -> tuple[dict[str, int], set[str]]:
        results = [night.cloud.invoke("TriageIncidents", example(name)).result for name in same]
        return counted(night), {run for one in results for run in one}

    counts, runs = aside(story)
    assert (counts, len(runs)) == (OPENS, 1)


# ── By their roads ────────────────────────────────────────────────────────────────────────────────


def subscribed(made: Account, *, raw: bool = False) -> str:
    """A topic of somebody's, whose messages come to the queue of alarms."""
    sns = made.cloud.client("sns")
    topic = sns.create_topic(Name="alarms")["TopicArn"]
    queue = made.cloud.attributes("AlarmsQueue")["Arn"]
    sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=queue,
        Attributes={"RawMessageDelivery": "true" if raw else "false"},
    )
    return str(topic)


def fire(made: Account, *actions: str) -> None:
    """An alarm of the box, which CloudWatch raises."""
    made.alarm("checkout-errors", "checkout", "Errors", 3, Statistic="Sum", AlarmActions=[*actions])
    made.cloud.clock.run_for(timedelta(minutes=2))
    made.measure("checkout", made.cloud.clock.now(), Errors=9)
    made.cloud.clock.run_for(timedelta(minutes=1, seconds=5))


def came_by(made: Account) -> set[str]:
    """The kinds of events that the function was given, but for its own."""
    events = [
        one.event
        for one in made.cloud.functions.invocations
        if one.function.logical_id == "TriageIncidents"
    ]
    kinds = {
        one.get("detail-type") or one.get("Records", [{}])[0].get("eventSource")
        or ("action" if "alarmData" in one else "")
        for one in events
        if "trigger" not in one and "RunDue" not in json.dumps(one)
    }  # fmt: skip
    return {str(one) for one in kinds}


BUS, ACTION, QUEUE = "CloudWatch Alarm State Change", "action", "aws:sqs"


@pytest.mark.parametrize("raw", [False, True])
def test_an_alarm_of_cloudwatch_comes_by_bus_action_and_queue_at_once(
    night: Account, raw: bool
) -> None:
    def story() -> tuple[set[str], dict[str, int], list[str]]:
        function = night.cloud.functions.find("TriageIncidents").arn
        fire(night, function, subscribed(night, raw=raw))
        return came_by(night), counted(night), night.failed()

    roads, counts, failed = aside(story)
    assert failed == []
    assert roads == {BUS, ACTION, QUEUE}
    assert counts == OPENS


@pytest.mark.parametrize("name", ["alertmanager-json", "alertmanager-text", "metric-alarm-sns"])
def test_what_a_topic_says_comes_by_the_queue(night: Account, name: str) -> None:
    """As the same message does when it is an event of the function."""
    sns = example(name)["Records"][0]["Sns"]

    def story() -> tuple[set[str], dict[str, int], list[str]]:
        night.cloud.clock.move_to(SAID.get(name, START))
        night.cloud.client("sns").publish(
            TopicArn=subscribed(night), Subject=sns["Subject"].strip(), Message=sns["Message"]
        )
        night.cloud.clock.run_for(timedelta(seconds=10))
        return came_by(night), counted(night), night.failed()

    assert aside(story) == ({QUEUE}, OPENS, [])


def test_our_own_alarms_do_not_even_come(night: Account) -> None:
    def story() -> tuple[set[str], dict[str, int]]:
        night.cloud.events.send(example("our-own-alarm"))
        night.cloud.clock.run_for(timedelta(seconds=10))
        return came_by(night), counted(night)

    assert aside(story) == (set(), NONE)
