"""What functions rely on, of the topics: who hears what we publish, and how it reads."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from tests.template.conftest import AS_IT_COMES
from tests.template.stack import Stack
from watchkeeper.aws.topics import Topics
from watchkeeper.news.base import News
from watchkeeper.news.runs import RunDue, RunFailed
from watchkeeper.runs.record import Step as RunStep
from watchkeeper.runs.record import new_run

NOW = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)


@dataclass
class Ear:
    """A queue that hears what a function or a person would."""

    url: str

    def heard(self) -> list[dict[str, Any]]:
        """The messages so far, each as SNS delivers it."""
        answer = boto3.client("sqs").receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=1
        )
        return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


@dataclass
class World:
    topics: Topics
    take_backups: Ear
    expire_backups: Ear
    people: Ear

    def publish(self, kind: type[News], run: str, **fields: Any) -> None:
        record = new_run(run, (RunStep("take", _never, NOW - NOW),), NOW)
        self.topics.publish(kind.about(record, at=NOW, **fields))


def _never(*_: Any) -> Any:
    raise AssertionError("nothing here advances a run")


@pytest.fixture
def world(aws: str) -> Iterator[World]:
    sns, sqs = boto3.client("sns"), boto3.client("sqs")
    news, pages = (sns.create_topic(Name=name)["TopicArn"] for name in ("news", "pages"))
    subscriptions = Stack(AS_IT_COMES).of_type("AWS::SNS::Subscription")

    def listen(name: str, topic: str, attributes: dict[str, str]) -> Ear:
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
        sns.subscribe(
            TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"], Attributes=attributes
        )
        return Ear(url)

    def filtered(function: str) -> dict[str, str]:
        subscription = subscriptions[f"{function}Wake"]
        return {
            "FilterPolicy": json.dumps(subscription["FilterPolicy"]),
            "FilterPolicyScope": subscription["FilterPolicyScope"],
        }

    made = World(
        Topics(news, pages),
        listen("take", news, filtered("TakeBackups")),
        listen("expire", news, filtered("ExpireBackups")),
        listen("people", pages, {}),
    )
    yield made
    for topic in (news, pages):
        sns.delete_topic(TopicArn=topic)
    for ear in (made.take_backups, made.expire_backups, made.people):
        sqs.delete_queue(QueueUrl=ear.url)


@pytest.mark.parametrize("run", ["backup#gold#2026-11-23T02:00Z", "expire#2026-11-23T06:00Z"])
def test_a_run_that_is_due_wakes_its_own_function_alone(world: World, run: str) -> None:
    world.publish(RunDue, run)
    ears = {"backup": world.take_backups, "expire": world.expire_backups}
    heard = {capability: ear.heard() for capability, ear in ears.items()}
    own = run.partition("#")[0]
    (message,) = heard.pop(own)
    assert json.loads(message["Message"])["run"] == run
    assert message["MessageAttributes"]["capability"] == {"Type": "String", "Value": own}
    assert [*heard.values()] == [[]]
    assert world.people.heard() == []


def test_a_page_reaches_people_as_text_with_a_subject_that_mail_can_carry(world: World) -> None:
    world.publish(RunFailed, "backup#gold#2026-11-23T02:00Z", why="no rows — ни одной\nline two")
    (message,) = world.people.heard()
    assert message["Subject"].startswith("Failed: backup#gold#")
    assert message["Subject"].isascii()
    assert "no rows — ни одной" in message["Message"]
    assert world.take_backups.heard() == []
