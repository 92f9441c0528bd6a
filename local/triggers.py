"""What wakes functions, and where their failures go: event bus, topics, targets, dead letters.

Delivery is never nested inside the call that caused it: everything asynchronous is an appointment
with the clock.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from random import Random
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from moto.awslambda.models import lambda_backends
from moto.events.models import Rule, events_backends
from moto.events.utils import EventTemplateParser
from moto.sns.models import Subscription, sns_backends
from moto.sqs.models import sqs_backends

from local import log_groups
from local.functions import Invocation
from local.metrics import Metric
from local.mischief import NotInTheBox

if TYPE_CHECKING:
    from local.cloud import Cloud

QUEUE_DEPTH = "ApproximateNumberOfMessagesVisible"


@dataclass(frozen=True)
class Published:
    """A message that a topic took."""

    topic_arn: str
    subject: str | None
    message: str
    attributes: dict[str, str]
    at: datetime
    message_id: str

    def json(self) -> Any:
        """The message as the JSON document that it is."""
        return json.loads(self.message)


class Triggers:
    """Deliveries of one box."""

    def __init__(self, cloud: Cloud, random: Random) -> None:
        self._cloud = cloud
        self._random = random
        self.published: list[Published] = []
        self.undelivered: list[tuple[str, dict[str, Any]]] = []
        """Events that Lambda did not take, with the ARN of the rule or subscription."""

    # The event bus

    def put_event(self, event: dict[str, Any]) -> None:
        """Put an event on the default bus; what it lacks of the envelope is filled in.

        Events of AWS services are best effort: those may be dropped, repeated, late and reordered.
        """
        full = {
            "version": "0",
            "id": self.uuid(),
            "account": self._cloud.account_id,
            "time": self._cloud.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": self._cloud.region,
            "resources": [],
            **deepcopy(event),
        }
        mischief = self._cloud.mischief
        best_effort = str(full.get("source", "")).startswith("aws.")
        delays = mischief.events.deliveries(mischief.random) if best_effort else [timedelta(0)]
        for delay in delays:
            self._cloud.clock.after(
                delay, lambda: self._arrive(full), f"event {full['detail-type']}"
            )

    def _arrive(self, event: dict[str, Any]) -> None:
        bus = events_backends[self._cloud.account_id][self._cloud.region].event_buses["default"]
        for rule in list(bus.rules.values()):
            self.offer(rule, event)

    def offer(self, rule: Rule, event: dict[str, Any]) -> None:
        """Send an event to the targets of a rule when it is enabled and its pattern matches."""
        pattern = rule.event_pattern.get_pattern()
        if (
            not _is_for(rule.state, event)
            or not pattern
            or not rule.event_pattern.matches_event(cast("Any", event))
        ):
            return
        for target in rule.targets:
            arn, payload = target["Arn"], _input(target, event)
            if self._may_deliver(arn, rule.arn):
                self.send(arn, payload)
            else:
                self._give_up(target.get("DeadLetterConfig", {}).get("Arn"), rule.arn, event)

    # Topics

    def notify(
        self,
        subscription: Subscription,
        message: str,
        message_id: str,
        subject: str | None,
        attributes: dict[str, Any] | None,
    ) -> None:
        """Deliver a message that passed the filter to a function; SNS may repeat and reorder."""
        published_at = self._cloud.clock.now()
        event = sns_event(subscription, message, message_id, subject, attributes, published_at)
        if not self._may_invoke(subscription.endpoint, "sns", subscription.topic_arn):
            redrive = json.loads(subscription.attributes.get("RedrivePolicy", "{}"))
            self._give_up(redrive.get("deadLetterTargetArn"), subscription.arn, event)
            return
        function = self._cloud.functions.find(subscription.endpoint)
        mischief = self._cloud.mischief
        for delay in mischief.events.deliveries(mischief.random, may_drop=False):
            self._cloud.functions.queue(function, event, delay)

    def publish(self, topic_arn: str, message: str, subject: str | None = None) -> None:
        """Publish as AWS itself does, to a topic of this account."""
        sns_backends[self._cloud.account_id][self._cloud.region].publish(
            message, topic_arn, subject=subject
        )

    # Targets

    def _may_deliver(self, arn: str, rule_arn: str) -> bool:
        """Whether the target's own policy lets the rule in, as far as the box knows policies."""
        service = arn.split(":")[2]
        if service == "logs":
            return log_groups.takes(arn, rule_arn)
        return service != "lambda" or self._may_invoke(arn, "events", rule_arn)

    def _may_invoke(self, function_arn: str, service: str, source_arn: str) -> bool:
        """Whether the function is there, and its own policy lets this source of the service in."""
        backend = lambda_backends[self._cloud.account_id][self._cloud.region]
        deployed = backend._lambdas.get_arn(function_arn)
        statements = deployed.policy.statements if deployed else []
        return any(
            each["Principal"] == {"Service": f"{service}.amazonaws.com"}
            and fnmatchcase(source_arn, _source_of(each))
            for each in statements
        )

    def _give_up(self, dead_letters: str | None, source: str, event: dict[str, Any]) -> None:
        """What a rule or a topic does with an event that Lambda does not take."""
        self.undelivered.append((source, event))
        if dead_letters is not None:
            self._enqueue(dead_letters, json.dumps(event))

    def send(self, arn: str, payload: Any) -> Invocation | None:
        """Deliver to whatever the ARN is; the invocation when it is a function."""
        service = arn.split(":")[2]
        text = payload if isinstance(payload, str) else json.dumps(payload)
        if service == "lambda":
            return self._cloud.functions.queue(self._cloud.functions.find(arn), payload)
        if service == "sns":
            self.publish(arn, text)
        elif service == "sqs":
            self._enqueue(arn, text)
        elif service == "logs":
            log_groups.put(arn, self.uuid(), text, self._cloud.clock.now())
        else:
            raise NotInTheBox(f"deliveries to {arn}")
        return None

    def send_to_destination(self, arn: str | None, invocation: Invocation) -> None:
        """Tell the on-success or on-failure destination of an asynchronous invocation."""
        if arn is not None:
            self.send(arn, destination_record(invocation, self._cloud.clock.now()))

    def send_to_dead_letters(self, arn: str | None, invocation: Invocation) -> None:
        """Keep the event of an asynchronous invocation that failed for good."""
        if arn is None:
            return
        body = json.dumps(invocation.event)
        if arn.split(":")[2] == "sns":
            self.publish(arn, body)
            return
        attributes = {
            "RequestID": {"DataType": "String", "StringValue": invocation.request_id},
            "ErrorCode": {"DataType": "Number", "StringValue": "200"},
            "ErrorMessage": {"DataType": "String", "StringValue": (invocation.error or "")[:1000]},
        }
        self._enqueue(arn, body, attributes)

    def _enqueue(self, arn: str, body: str, attributes: dict[str, Any] | None = None) -> None:
        name = arn.rpartition(":")[2]
        backend = sqs_backends[self._cloud.account_id][self._cloud.region]
        backend.send_message(name, body, message_attributes=attributes)
        depth = float(self.queue_depth(name))
        now = self._cloud.clock.now()
        self._cloud.metrics.record(
            Metric("AWS/SQS", QUEUE_DEPTH, depth, now, "Count", {"QueueName": name})
        )

    def queue_depth(self, name: str) -> int:
        """How many messages wait in a queue; 0 for one that does not exist."""
        queue = sqs_backends[self._cloud.account_id][self._cloud.region].queues.get(name)
        return int(queue.approximate_number_of_messages) if queue else 0

    def uuid(self) -> str:
        """A random identifier that is the same in every run of the box."""
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def published_to(self, topic_arn: str) -> Iterator[Published]:
        """The messages that a topic took, oldest first."""
        return (each for each in self.published if each.topic_arn == topic_arn)


def _is_for(state: str, event: dict[str, Any]) -> bool:
    """Whether a rule in that state is shown the event: only one that asks for them is shown what
    CloudTrail tells of mere reads.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail-management.html
    """
    told = str(event.get("detail-type", "")).endswith(" via CloudTrail")
    is_read = told and event.get("detail", {}).get("readOnly") is True
    return state == "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS" or (
        state == "ENABLED" and not is_read
    )


def _source_of(statement: dict[str, Any]) -> str:
    """The ARN pattern that a permission is limited to; `*` when to none."""
    pattern: str = statement.get("Condition", {}).get("ArnLike", {}).get("AWS:SourceArn", "*")
    return pattern


def _input(target: dict[str, Any], event: dict[str, Any]) -> Any:
    if target.get("Input"):
        return json.loads(target["Input"])
    if target.get("InputPath"):
        found: Any = event
        for name in target["InputPath"].removeprefix("$").split("."):
            found = found[name] if name else found
        return found
    if transformer := target.get("InputTransformer"):
        return EventTemplateParser.parse(
            input_template=transformer["InputTemplate"],
            input_paths_map=transformer.get("InputPathsMap", {}),
            event=cast("Any", event),
        )
    return event


def sns_event(
    subscription: Subscription,
    message: str,
    message_id: str,
    subject: str | None,
    attributes: dict[str, Any] | None,
    at: datetime,
) -> dict[str, Any]:
    """What SNS gives a function."""
    region = subscription.topic_arn.split(":")[3]
    return {
        "Records": [
            {
                "EventSource": "aws:sns",
                "EventVersion": "1.0",
                "EventSubscriptionArn": subscription.arn,
                "Sns": {
                    "Type": "Notification",
                    "MessageId": message_id,
                    "TopicArn": subscription.topic_arn,
                    "Subject": subject,
                    "Message": message,
                    "Timestamp": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.")
                    + f"{at.microsecond // 1000:03}Z",
                    "SignatureVersion": "1",
                    "Signature": "EXAMPLE==",
                    "SigningCertUrl": f"https://sns.{region}.amazonaws.com/EXAMPLE.pem",
                    "UnsubscribeUrl": f"https://sns.{region}.amazonaws.com/?Action=Unsubscribe"
                    f"&SubscriptionArn={subscription.arn}",
                    "MessageAttributes": {
                        name: {"Type": value["Type"], "Value": str(value["Value"])}
                        for name, value in (attributes or {}).items()
                    },
                },
            }
        ]
    }


def destination_record(invocation: Invocation, at: datetime) -> dict[str, Any]:
    """What Lambda tells an on-success or on-failure destination."""
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "requestContext": {
            "requestId": invocation.request_id,
            "functionArn": f"{invocation.function.arn}:$LATEST",
            "condition": "Success" if invocation.ok else "RetriesExhausted",
            "approximateInvokeCount": invocation.attempt,
        },
        "requestPayload": invocation.event,
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
        "responsePayload": invocation.result,
    }
    if not invocation.ok:
        kind, _, message = (invocation.error or "").partition(": ")
        record["responseContext"]["functionError"] = "Unhandled"
        record["responsePayload"] = {"errorMessage": message, "errorType": kind}
    return record
