"""Queues that functions read: Lambda takes messages in batches, and hands back what failed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from moto.awslambda.models import EventSourceMapping
from moto.sqs.models import Message, Queue, sqs_backends

from local.metrics import Metric
from local.replacing import replace
from local.triggers import QUEUE_DEPTH

if TYPE_CHECKING:
    from local.cloud import Cloud

MOST_A_BATCH = 10
"""What one ReceiveMessage gives; Lambda asks often enough to fill a larger batch."""


def install(cloud: Cloud) -> None:
    """Deliver what a queue takes to the functions that read it, once the batching window is over.

    moto would run them in Docker, inside the call that sent the message.
    """
    stored = Queue.add_message

    def add_message(queue: Queue, message: Message) -> None:
        mappings, queue.lambda_event_source_mappings = queue.lambda_event_source_mappings, {}
        try:
            stored(queue, message)
        finally:
            queue.lambda_event_source_mappings = mappings
        for mapping in mappings.values():
            if mapping.enabled:
                _poll_later(cloud, queue, mapping, _window(cloud, mapping))

    replace(cloud.stack, Queue, "add_message", add_message)


def _window(cloud: Cloud, mapping: EventSourceMapping) -> timedelta:
    """Of the template: moto does not keep it."""
    declared = (
        one["Properties"]
        for one in cloud.resources.values()
        if one["Type"] == "AWS::Lambda::EventSourceMapping"
        and one["Properties"]["EventSourceArn"] == mapping.event_source_arn
    )
    properties: dict[str, Any] = next(declared, {})
    return timedelta(seconds=int(properties.get("MaximumBatchingWindowInSeconds", 0)))


def _poll_later(cloud: Cloud, queue: Queue, mapping: EventSourceMapping, delay: timedelta) -> None:
    cloud.clock.after(delay, lambda: _poll(cloud, queue, mapping), f"poll of {queue.name}")


def _poll(cloud: Cloud, queue: Queue, mapping: EventSourceMapping) -> None:
    backend = sqs_backends[cloud.account_id][cloud.region]
    timeout = int(str(vars(queue)["visibility_timeout"]))
    taken: list[Message] = []
    while len(taken) < mapping.batch_size:
        most = min(MOST_A_BATCH, mapping.batch_size - len(taken))
        some = backend.receive_message(queue.name, most, 0, timeout)
        taken += some
        if not some:
            break
    if not taken:
        _measure_dead_letters(cloud, queue)
        return
    function = cloud.functions.find(mapping.function_arn)
    invocation = cloud.functions.invoke(function, _event(cloud, queue, taken))
    if invocation.ok:
        for one in taken:
            backend.delete_message(queue.name, str(one.receipt_handle))
    else:  # they are visible again when their time is over; after too many times SQS moves them
        _poll_later(cloud, queue, mapping, timedelta(seconds=timeout + 1))


def _measure_dead_letters(cloud: Cloud, queue: Queue) -> None:
    """A message that was received too often has gone to the dead-letter queue."""
    if (letters := queue.dead_letter_queue) is None:
        return
    depth = float(cloud.triggers.queue_depth(letters.name))
    where = {"QueueName": letters.name}
    if depth and cloud.metrics.last(QUEUE_DEPTH, **where) != depth:
        now = cloud.clock.now()
        cloud.metrics.record(Metric("AWS/SQS", QUEUE_DEPTH, depth, now, "Count", where))


def _event(cloud: Cloud, queue: Queue, messages: list[Message]) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": one.id,
                "receiptHandle": one.receipt_handle,
                "body": one.body,
                "attributes": {
                    "ApproximateReceiveCount": str(one.approximate_receive_count),
                    "SentTimestamp": str(one.sent_timestamp),
                },
                "messageAttributes": {},
                "md5OfBody": one.body_md5,
                "eventSource": "aws:sqs",
                "eventSourceARN": queue.queue_arn,
                "awsRegion": cloud.region,
            }
            for one in messages
        ]
    }
