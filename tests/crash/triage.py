"""A function with an alarm on it, an incident from that alarm to its end, and what came of it."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from local.aws import logs
from local.cloud import Cloud
from local.pace import INSTANT
from tests.crash.ends import is_busy, stands, told
from tests.crash.night import items

START = datetime(2026, 11, 23, 2, 1, tzinfo=UTC)
STRIKES = START + timedelta(minutes=2, seconds=20)
MINUTE = timedelta(minutes=1)
FAILING, SLOW = "checkout-errors", "checkout-duration"
CHECKOUT = "checkout"
GROUP = f"/aws/lambda/{CHECKOUT}"
THIN = timedelta(minutes=2)
"""A sweep that finds nothing to do may sleep through the next minute, and no longer."""
LASTS = timedelta(hours=4)
"""Longer than any incident of these, whatever becomes of its events."""
TOLD = "\nTold now because "
"""In the text of every page of an incident."""
QUEUES = ("TriageIncidentsUndelivered", "TriageIncidentsUnhandled", "AlarmsQueue")


@dataclass(frozen=True)
class Outcome:
    """The world and the record after a story."""

    news: dict[str, int]
    """How often machines were told of incidents, by type; repeats, which have one id, once."""
    repeats: int
    """Messages to machines and people that were sent again."""
    pages: tuple[str, ...]
    """Subjects of the pages of incidents, each page once."""
    words: tuple[str, ...]
    first_page_after: timedelta | None
    others: tuple[str, ...]
    """Subjects of all other pages, but for those of alarms."""
    members: tuple[int, ...]
    """Of each incident, how many alarms it has."""
    closed: tuple[str, ...]
    """Why each of those that are over is over."""
    runs: dict[str, str]
    looks: tuple[int, ...]
    """Whose reports are stored."""
    unchecked: tuple[str, ...]
    """By the last report."""
    differs: tuple[str, ...]
    """Reports that their own evidence does not make again."""
    waiting: dict[str, int]
    """Messages in queues where none should stay."""
    errors: tuple[str, ...] = field(default=(), compare=False)
    """What invocations died of."""

    @property
    def is_one_incident(self) -> bool:
        """Told once when it began and once when it was over, whole, and nothing left to do."""
        changed = self.news.get("IncidentChanged", 0)
        return (
            self.news.get("IncidentOpened") == self.news.get("IncidentResolved") == 1
            and changed <= 1
            and len(self.pages) == 2 + changed
            and len(self.members) == len(self.closed) == 1
            and set(self.runs.values()) == {"done"}
            and bool(self.looks)
            and not (self.differs or self.waiting or self.others)
        )


@dataclass
class Account:
    cloud: Cloud

    def change(self, state: str, name: str = FAILING) -> None:
        """As its evaluation would: EventBridge is told, and so are its actions."""
        self.cloud.client("cloudwatch").set_alarm_state(
            AlarmName=name, StateValue=state, StateReason="3 datapoints were greater than 2.0"
        )

    def put_alarm(self, name: str, **more: Any) -> str:
        """That nothing but `change` moves; its ARN."""
        aws = self.cloud.client("cloudwatch")
        aws.put_metric_alarm(
            AlarmName=name, Namespace="AWS/Lambda", MetricName="Errors", Statistic="Sum",
            Dimensions=[{"Name": "FunctionName", "Value": CHECKOUT}], Period=60, Threshold=2,
            EvaluationPeriods=1, ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="ignore", **more,
        )  # fmt: skip
        return str(aws.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["AlarmArn"])

    def topic_into_the_queue(self) -> str:
        """A topic that the queue of alarms is subscribed to; its ARN."""
        sns, arn = self.cloud.client("sns"), self.cloud.attributes("AlarmsQueue")["Arn"]
        topic = str(sns.create_topic(Name="others")["TopicArn"])
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        return topic

    def passes(self, span: timedelta) -> None:
        self.cloud.clock.run_for(span)


@contextmanager
def account() -> Iterator[Account]:
    """A little before it begins to fail. Every call is judged by the function's role."""
    with Cloud(START, seeded=False, thin=THIN, pace=INSTANT, deny=True) as cloud:
        made = Account(cloud)
        made.put_alarm(FAILING)
        made.put_alarm(SLOW)
        now = cloud.clock.now()
        lines = [(now - number * MINUTE / 6, f"INFO order {number} paid") for number in range(200)]
        logs.write(cloud, GROUP, [(at, "one", text) for at, text in lines])
        cloud.clock.run_until(STRIKES)
        yield made


def incident(made: Account, lasts: timedelta = 12 * MINUTE) -> Outcome:
    """From its alarm until nothing is left to do."""
    began = made.cloud.clock.now()
    made.change("ALARM")
    made.passes(lasts)
    made.change("OK")
    return settle(made, began)


def settle(made: Account, began: datetime, longest: timedelta = LASTS) -> Outcome:
    end = made.cloud.clock.now() + longest
    made.passes(3 * MINUTE)
    while is_busy(made.cloud) and made.cloud.clock.now() < end:
        made.passes(5 * MINUTE)
    return outcome(made, began)


def outcome(made: Account, began: datetime) -> Outcome:
    cloud, stored = made.cloud, items(made.cloud)
    sent = [one.json() for one in cloud.published("NewsTopic")]
    ids = {one["id"]: one["type"] for one in sent if one["type"].startswith("Incident")}
    pages = [one for one in cloud.published("PagesTopic") if TOLD in one.message]
    each = dict.fromkeys((one.subject or "", one.message) for one in pages)
    incidents = [
        one for one in stored if one["pk"].startswith("INCIDENT#") and one["sk"] == "STATE"
    ]
    reports = _reports(cloud)
    mine = {one.subject for one in pages}
    return Outcome(
        news=dict(Counter(ids.values())),
        repeats=sum(one["type"].startswith("Incident") for one in sent) - len(ids)
        + len(pages) - len(each),
        pages=tuple(subject for subject, _ in each),
        words=tuple(words for _, words in each),
        first_page_after=pages[0].at - began if pages else None,
        others=tuple(one for one in told(cloud) if one not in mine),
        members=tuple(len(one["members"]) for one in incidents),
        closed=tuple(one["closed_why"] for one in incidents if "closed_at" in one),
        runs={
            one["pk"].removeprefix("RUN#"): stands(one)
            for one in stored
            if one["sk"] == "RUN" and one["pk"].startswith("RUN#triage#")
        },
        looks=tuple(one["look"] for one, _ in reports),
        unchecked=tuple(reports[-1][0]["unchecked"]) if reports else (),
        differs=tuple(key for one, key in reports if key),
        waiting={name: depth for name in QUEUES if (depth := _depth(cloud, name))},
        errors=tuple(
            one.error or ""
            for one in cloud.functions.invocations
            if one.function.logical_id == "TriageIncidents" and not one.ok
        ),
    )  # fmt: skip


def _depth(cloud: Cloud, queue: str) -> int:
    name = cloud.attributes(queue)["QueueName"]
    return cloud.triggers.queue_depth(name)


def _reports(cloud: Cloud) -> list[tuple[dict[str, Any], str]]:
    """Each report, and its key if its evidence does not make the very same again."""
    from watchkeeper.triage.analysis import report_of  # noqa: PLC0415, importable inside a box
    from watchkeeper.triage.gathered import from_json  # noqa: PLC0415
    from watchkeeper.triage.report import to_json  # noqa: PLC0415

    aws, bucket = cloud.client("s3"), cloud.physical_id("IncidentsBucket")
    listed = aws.list_objects_v2(Bucket=bucket).get("Contents", [])
    found = {
        one["Key"]: aws.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in listed
    }
    read = []
    for key, body in sorted(found.items()):
        if key.endswith("/report.json"):
            evidence = found[key.replace("report.json", "evidence.json")]
            same = to_json(report_of(from_json(evidence))) == body
            read.append((json.loads(body), "" if same else key))
    return sorted(read, key=lambda one: one[0]["made_at"])
