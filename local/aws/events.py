"""EventBridge beyond moto: rules reach functions, topics and queues, and can be disabled."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.events.models import Rule

from local.replacing import replace

if TYPE_CHECKING:
    from local.cloud import Cloud


def install(cloud: Cloud) -> None:
    """Deliver what PutEvents puts by the box's own triggers.

    moto raises NotImplementedError for functions and topics, ignores Input and InputPath, and
    delivers to disabled rules and to rules that have only a schedule.
    """

    def send_to_targets(rule: Rule, event: dict[str, Any], *_: Any) -> None:
        sent = dict(event)
        if not isinstance(sent.get("time"), str):
            moment = datetime.fromtimestamp(float(sent["time"]), UTC)
            sent["time"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        cloud.triggers.offer(rule, sent)

    replace(cloud.stack, Rule, "send_to_targets", send_to_targets)
