"""NewsTopic, which machines read, and PagesTopic, which people read."""

import json
from functools import cached_property
from typing import Any

from watchkeeper import telemetry
from watchkeeper.aws.client import client
from watchkeeper.aws.errors import translated
from watchkeeper.aws.iam import needs
from watchkeeper.news.every import read_news
from watchkeeper.runs.record import Told

SUBJECT_LENGTH = 99
"""SNS takes less than 100 characters of ASCII, without line breaks."""


class Topics:
    def __init__(self, news: str, pages: str = "") -> None:
        self.news = news
        self.pages = pages

    @cached_property
    def client(self) -> Any:
        return client("sns")

    # The topics are encrypted with a customer key: SNS makes a data key in the publisher's name.
    @needs("sns:Publish", "kms:GenerateDataKey", "kms:Decrypt")
    def publish(self, told: Told) -> None:
        """Send one piece of news to the topic of its kind, and count what it measures."""
        news = read_news(told)
        with translated("sns:Publish"):
            if news.is_page:
                self.client.publish(
                    TopicArn=self.pages, Subject=_subject(news.subject()), Message=news.text()
                )
            else:
                self.client.publish(
                    TopicArn=self.news,
                    Message=json.dumps(dict(told)),
                    MessageAttributes={
                        "type": {"DataType": "String", "StringValue": told["type"]},
                        "capability": {"DataType": "String", "StringValue": news.capability},
                    },
                )
        for name, value in news.measures().items():
            telemetry.count(name, value)
            if plan := getattr(news, "plan", ""):
                telemetry.count_for_plan(plan, name, value)


def _subject(line: str) -> str:
    printable = "".join(character if " " <= character <= "~" else " " for character in line)
    return (
        printable if len(printable) <= SUBJECT_LENGTH else printable[: SUBJECT_LENGTH - 3] + "..."
    )
