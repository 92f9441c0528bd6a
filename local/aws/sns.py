"""SNS beyond moto: messages reach functions by the clock, with the envelope of the real service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.sns.models import Subscription, Topic

from local.replacing import replace
from local.triggers import Published

if TYPE_CHECKING:
    from local.cloud import Cloud


def install(cloud: Cloud) -> None:
    """Record what topics take, and deliver to functions.

    moto delivers to functions inside the Publish call, with a made-up envelope and without
    attributes.
    """

    def publish(topic: Topic, message: str, *args: Any, **kwargs: Any) -> str:
        message_id: str = publish_as_moto(topic, message, *args, **kwargs)
        attributes = kwargs.get("message_attributes") or {}
        cloud.triggers.published.append(
            Published(
                topic_arn=topic.arn,
                subject=kwargs.get("subject"),
                message=message,
                attributes={name: str(value["Value"]) for name, value in attributes.items()},
                at=cloud.clock.now(),
                message_id=message_id,
            )
        )
        return message_id

    def deliver(
        subscription: Subscription,
        message: str,
        message_id: str,
        subject: str | None = None,
        message_attributes: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if subscription.protocol != "lambda":
            deliver_as_moto(
                subscription, message, message_id, subject, message_attributes, **kwargs
            )
            return
        matcher = subscription._filter_policy_matcher
        if matcher is None or matcher.matches(message_attributes, message):
            cloud.triggers.notify(subscription, message, message_id, subject, message_attributes)

    publish_as_moto = replace(cloud.stack, Topic, "publish", publish)
    deliver_as_moto = replace(cloud.stack, Subscription, "publish", deliver)
